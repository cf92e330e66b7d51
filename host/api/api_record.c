/* api_record.c - recording, and sealing what waits. SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api.h"
#include "psdk_file.h"
#include "pv_log.h"

#define CONTEXT_PARTS 8

/* The context of this process, gathered once: a training loop must not pay for it at every step. A copy for the caller, since
 * reference counts of shared values are no good between threads. NULL: none. */
static json_t *context_of(prov_handle *h)
{
    pthread_mutex_lock(&h->lock);
    if (!h->context_done) {
        const char *parts[CONTEXT_PARTS];
        size_t n = pv_config_count(h->config, "record.context");
        n = n < CONTEXT_PARTS ? n : CONTEXT_PARTS;
        for (size_t i = 0; i < n; i++)
            parts[i] = pv_config_item(h->config, "record.context", i);
        h->context = n ? pv_context_gather(pv_config_dir(h->config), parts, n, PROV_VERSION) : NULL;
        h->context_done = true;
    }
    json_t *copy = json_deep_copy(h->context);
    pthread_mutex_unlock(&h->lock);
    return copy;
}

void api_draft_done(struct api_draft *d)
{
    psdk_buf_done(&d->body);
    free(d->actor);
    d->actor = NULL;
}

static int set_draft(prov_handle *h, struct api_draft *d, const char *stream, const char *kind, const char *subject,
                     const char *actor, prov_error *err)
{
    char prefix[PV_NAME_MAX];
    memset(d, 0, sizeof *d);
    int rc = pv_stream_prefix(stream, prefix, sizeof prefix, err);
    if (!rc)
        rc = pv_id_check("subject", subject ? subject : "", err);
    if (!rc && (!kind || !pv_kind_ok(kind)))
        rc = psdk_fail(err, PROV_E_INVALID, "kind '%.80s': want lower-case words joined by dots", kind ? kind : "");
    if (!rc && strlen(stream) >= sizeof d->stream)
        rc = psdk_fail(err, PROV_E_LIMIT, "stream: too long");
    if (!rc && !(d->actor = strdup(api_actor(h, actor))))
        rc = psdk_fail(err, PROV_E_NOMEM, "out of memory");
    if (rc)
        return rc;
    snprintf(d->stream, sizeof d->stream, "%s", stream);
    snprintf(d->kind, sizeof d->kind, "%s", kind);
    snprintf(d->subject, sizeof d->subject, "%s", subject);
    return PROV_OK;
}

static int hash_or_file(const char *hash, const char *const *files, uint64_t n_files, const char *what, char ret[65],
                        const char **ret_hash, prov_error *err)
{
    if (hash && n_files)
        return psdk_fail(err, PROV_E_INVALID, "%s: give either a hash or files, not both", what);
    *ret_hash = hash;
    if (hash || !n_files)
        return PROV_OK;
    *ret_hash = ret;
    return pv_hash_files(files, (size_t)n_files, ret, err);
}

int api_draft_checkpoint(prov_handle *h, const prov_checkpoint *c, struct api_draft *ret, prov_error *err)
{
    char stream[300], model[65], config[65], code[65];
    const char *model_id = api_model_id(h, c->model_id);
    struct pv_checkpoint_fields f = {.model_id = model_id, .epoch = c->epoch, .step = c->step,
                                     .metrics_json = c->metrics_json, .fingerprint_hash = c->fingerprint_hash,
                                     .datasets = c->datasets, .n_datasets = (size_t)c->n_datasets,
                                     .extra_json = c->extra_json};
    memset(ret, 0, sizeof *ret);
    int rc = api_model_path(h, c->model_id, stream, sizeof stream, err);
    if (!rc)
        rc = set_draft(h, ret, stream, PV_KIND_CHECKPOINT, model_id, c->actor, err);
    if (!rc)
        rc = hash_or_file(c->model_hash, c->files, c->n_files, "model_hash", model, &f.model_hash, err);
    if (!rc && c->config_file) {
        rc = pv_hash_files(&c->config_file, 1, config, err);
        f.config_digest = config;
    }
    if (!rc && c->code_file) {
        rc = pv_hash_files(&c->code_file, 1, code, err);
        f.code_digest = code;
    }
    if (!rc) {
        json_t *context = context_of(h);
        f.context = context;
        rc = pv_checkpoint_body(&ret->body, &f, err);
        json_decref(context);
    }
    if (rc)
        api_draft_done(ret);
    return rc;
}

/* A validator's key: a name in the keys folder, or a path. */
static int load_validator(prov_handle *h, const char *name, struct pv_key *ret, prov_error *err)
{
    if (strchr(name, '/') || strchr(name, '.') == name)
        return pv_key_load_file(ret, name, "validator", &api_passphrase, err);
    int rc = api_keys_dir(h, err);
    return rc ? rc : pv_key_load(ret, h->keys_dir, name, &api_passphrase, err);
}

/* A checkpoint as `prov history` prints it: 12 digits or more of its id, sealed or still in the journal here. */
static int resolve_record(prov_handle *h, const char *stream, const char *prefix, char ret[65], prov_error *err)
{
    struct pv_ledger *ledger = NULL;
    struct pv_stream *s = NULL;
    struct psdk_buf pending = {0};
    struct pv_reader r;
    const uint8_t *entry;
    size_t at = 0, len, n = strlen(prefix);
    uint8_t id[32];
    bool found = false;
    int rc = api_ledger(h, &ledger, err);
    if (!rc && pv_ledger_has(ledger, stream)) {
        rc = api_stream(h, stream, &s, err);
        if (!rc)
            rc = pv_stream_pending(s, &pending, err);
    }
    while (!rc && !found && pv_bundle_next(pending.data, pending.len, &at, &entry, &len) > 0) {
        psdk_leaf_hash(entry, len, id);
        psdk_hex(id, 32, ret);
        found = strncmp(ret, prefix, n) == 0;
    }
    psdk_buf_done(&pending);
    if (rc || found)
        return rc;
    rc = api_reader(h, stream, &r, err);
    if (rc)
        return rc;
    uint64_t index;
    rc = pv_reader_find(&r, prefix, &index, err);
    if (!rc)
        rc = pv_reader_leaf(&r, index, id, err);
    if (!rc)
        psdk_hex(id, 32, ret);
    pv_reader_close(&r);
    return rc;
}

int api_draft_validation(prov_handle *h, const prov_validation *v, struct api_draft *ret, prov_error *err)
{
    char stream[300], model[65], challenge[65], checkpoint[65];
    struct pv_key key = PV_KEY_INIT;
    const char *model_id = api_model_id(h, v->model_id);
    struct pv_validation_fields f = {.model_id = model_id, .validator_id = v->validator_id, .result_json = v->result_json,
                                     .confidence_score = v->confidence_score, .checkpoint_id = v->checkpoint_id,
                                     .extra_json = v->extra_json};
    memset(ret, 0, sizeof *ret);
    int rc = api_model_path(h, v->model_id, stream, sizeof stream, err);
    if (!rc)
        rc = set_draft(h, ret, stream, PV_KIND_VALIDATION, model_id, v->actor, err);
    if (!rc)
        rc = hash_or_file(v->model_hash, &v->file, v->file ? 1 : 0, "model_hash", model, &f.model_hash, err);
    if (!rc)
        rc = hash_or_file(v->challenge_hash, &v->challenge_file, v->challenge_file ? 1 : 0, "challenge_hash", challenge,
                          &f.challenge_hash, err);
    size_t digits = v->checkpoint_id ? strspn(v->checkpoint_id, "0123456789abcdef") : 0;
    if (!rc && digits >= 12 && digits < 64 && !v->checkpoint_id[digits]) {
        rc = resolve_record(h, stream, v->checkpoint_id, checkpoint, err);
        f.checkpoint_id = checkpoint;
    }
    if (!rc && v->validator_key) {
        rc = load_validator(h, v->validator_key, &key, err);
        f.key = &key;
    }
    if (!rc)
        rc = pv_validation_body(&ret->body, &f, err);
    pv_key_done(&key);
    if (rc)
        api_draft_done(ret);
    return rc;
}

int api_check_raw_kind(const char *kind, prov_error *err)
{
    static const char *const ours[] = {"key.", "writer.", PV_KIND_CHECKPOINT, PV_KIND_VALIDATION};
    for (size_t i = 0; kind && i < sizeof ours / sizeof *ours; i++) {
        size_t n = strlen(ours[i]);
        if (strncmp(kind, ours[i], n) == 0 && (ours[i][n - 1] == '.' || !kind[n]))
            return psdk_fail(err, PROV_E_INVALID, "kind %s: records of this kind have a function and a command of their own", kind);
    }
    return PROV_OK;
}

int api_draft_raw(prov_handle *h, const char *stream, const char *kind, const char *subject, const char *actor,
                  const char *body_json, struct api_draft *ret, prov_error *err)
{
    int rc = set_draft(h, ret, stream, kind, subject, actor, err);
    json_t *body = rc ? NULL : psdk_json_parse(body_json, strlen(body_json), "body", err);
    if (!rc && !body)
        rc = err->code;
    if (!rc && !json_is_object(body))
        rc = psdk_fail(err, PROV_E_INVALID, "body: want a JSON object");
    if (!rc)
        rc = psdk_jcs_write(body, &ret->body, err);
    json_decref(body);
    if (rc)
        api_draft_done(ret);
    return rc;
}

int api_claim_store(prov_handle *h, prov_error *err)
{
    struct pv_store *store = NULL;
    struct psdk_buf data = {0}, there = {0};
    struct pv_store_info info = {{0}, {0}, {0}};
    prov_precond absent = {.struct_size = sizeof absent, .kind = PROV_PRECOND_ABSENT};
    int rc = api_store(h, &store, err);
    if (!rc)
        rc = pv_store_get(store, "store.json", 65536, &there, NULL, err);
    if (rc == PROV_E_NOT_FOUND) {
        snprintf(info.origin, sizeof info.origin, "%s", h->origin);
        memcpy(info.log_key, h->log_key.ed.public_key, 32);
        psdk_time_format(psdk_wall_ns(), info.created);
        pv_store_info_write(&data, &info);
        rc = psdk_buf_check(&data, err);
        if (!rc)
            rc = pv_store_put(store, "store.json", data.data, data.len, &absent, NULL, err);
        if (rc == PROV_E_EXISTS)
            rc = pv_store_get(store, "store.json", 65536, &there, NULL, err);
    }
    if (!rc && there.len) {
        rc = pv_store_info_parse(psdk_buf_str(&there), there.len, "store.json", &info, err);
        if (!rc && strcmp(info.origin, h->origin) != 0)
            rc = psdk_fail(err, PROV_E_CONFIG, "the store is %s, this host is configured for %s: set `origin` or `store` right",
                           info.origin, h->origin);
        if (!rc && memcmp(info.log_key, h->log_key.ed.public_key, 32) != 0)
            rc = psdk_fail(err, PROV_E_DENIED, "the store %s belongs to another log key: copy its log.key to %s", info.origin,
                           h->keys_dir);
    }
    psdk_buf_done(&data);
    psdk_buf_done(&there);
    return rc;
}

int api_ready(prov_handle *h, struct pv_ledger **ret, prov_error *err)
{
    struct pv_store *store = NULL;
    int rc = api_ledger(h, ret, err);
    if (!rc)
        rc = api_store(h, &store, err);
    if (rc)
        return rc;
    pthread_mutex_lock(&h->lock);
    if (!h->ledger.store) /* once: sealing threads read it without the lock */
        h->ledger.store = store;
    if (!h->store_checked) {
        rc = api_claim_store(h, err);
        h->store_checked = !rc;
    }
    pthread_mutex_unlock(&h->lock);
    return rc;
}

int api_seal(prov_handle *h, struct pv_stream *stream, struct pv_seal_report *ret, prov_error *err)
{
    struct pv_ledger *ledger = NULL;
    int rc = api_ready(h, &ledger, err);
    return rc ? rc : pv_stream_seal(stream, ret, err);
}

static int append_draft(prov_handle *h, const struct api_draft *d, char ret_id[65], prov_error *err)
{
    struct pv_stream *s = NULL;
    struct pv_draft draft = {d->kind, d->subject, d->actor, psdk_buf_str(&d->body), d->body.len};
    uint8_t id[1][32];
    int rc = api_stream(h, d->stream, &s, err);
    if (!rc)
        rc = pv_stream_append(s, &draft, 1, id, err);
    if (rc)
        return rc;
    if (ret_id)
        psdk_hex(id[0], 32, ret_id);
    /* A batch that is full is sealed here; a failing store is no failure of the record. */
    uint64_t size = (uint64_t)pv_config_int(h->config, "record.batch_size", 10);
    if (atomic_fetch_add(&h->unsealed, 1) + 1 >= size) {
        prov_error seal = {0};
        atomic_store(&h->unsealed, 0);
        if (api_seal(h, s, NULL, &seal) != PROV_OK)
            pv_log(PROV_LOG_WARN, "%s (the records are safe in the journal and will be sealed later)", seal.message);
    }
    return PROV_OK;
}

int prov_record_checkpoint(prov_handle *handle, const prov_checkpoint *checkpoint, char ret_id[65], prov_error *err)
{
    API_ERR(err);
    struct api_draft d;
    int rc = api_draft_checkpoint(handle, checkpoint, &d, err);
    if (!rc)
        rc = append_draft(handle, &d, ret_id, err);
    api_draft_done(&d);
    return rc;
}

int prov_record_validation(prov_handle *handle, const prov_validation *validation, char ret_id[65], prov_error *err)
{
    API_ERR(err);
    struct api_draft d;
    int rc = api_draft_validation(handle, validation, &d, err);
    if (!rc)
        rc = append_draft(handle, &d, ret_id, err);
    api_draft_done(&d);
    return rc;
}

int prov_record_raw(prov_handle *handle, const char *stream, const char *kind, const char *subject, const char *actor,
                    const char *body_json, char ret_id[65], prov_error *err)
{
    API_ERR(err);
    int rc = api_check_raw_kind(kind, err);
    return rc ? rc : api_record(handle, stream, kind, subject, actor, body_json, ret_id, err);
}

int api_record(prov_handle *h, const char *stream, const char *kind, const char *subject, const char *actor,
               const char *body_json, char ret_id[65], prov_error *err)
{
    struct api_draft d;
    int rc = api_draft_raw(h, stream, kind, subject, actor, body_json, &d, err);
    if (!rc)
        rc = append_draft(h, &d, ret_id, err);
    api_draft_done(&d);
    return rc;
}

int prov_record_many(prov_handle *handle, const char *stream, const char *kind, const char *subject,
                     const char *const *bodies_json, uint64_t n, char (*ret_ids)[65], prov_error *err)
{
    API_ERR(err);
    struct pv_stream *s = NULL;
    struct api_draft *d = calloc(n ? (size_t)n : 1, sizeof *d);
    struct pv_draft *drafts = calloc(n ? (size_t)n : 1, sizeof *drafts);
    uint8_t(*ids)[32] = calloc(n ? (size_t)n : 1, sizeof *ids);
    size_t made = 0;
    int rc = d && drafts && ids ? api_check_raw_kind(kind, err) : psdk_fail(err, PROV_E_NOMEM, "out of memory");
    for (; !rc && made < n; made++) {
        rc = api_draft_raw(handle, stream, kind, subject, NULL, bodies_json[made], &d[made], err);
        drafts[made] = (struct pv_draft){d[made].kind, d[made].subject, d[made].actor, psdk_buf_str(&d[made].body),
                                         d[made].body.len};
        if (rc)
            psdk_wrap(err, "record %zu", made);
    }
    if (!rc)
        rc = api_stream(handle, stream, &s, err);
    if (!rc)
        rc = pv_stream_append(s, drafts, (size_t)n, ids, err);
    for (size_t i = 0; !rc && ret_ids && i < n; i++)
        psdk_hex(ids[i], 32, ret_ids[i]);
    for (size_t i = 0; i < made; i++)
        api_draft_done(&d[i]);
    free(d);
    free(drafts);
    free(ids);
    return rc;
}

/* ---- sealing all ------------------------------------------------------------------------------------------------------ */

struct flush {
    prov_handle *h;
    json_t *paths;
};

static void note_pending(void *ctx, const char *path, uint64_t bytes)
{
    (void)bytes;
    json_array_append_new(((struct flush *)ctx)->paths, json_string(path));
}

int prov_flush(prov_handle *handle, char **ret_json, prov_error *err)
{
    API_ERR(err);
    struct pv_ledger *ledger = NULL;
    struct flush f = {handle, json_array()};
    json_t *done = json_array();
    json_int_t total = 0;
    prov_error first = {0};
    int rc = api_ledger(handle, &ledger, err);
    if (!rc)
        rc = pv_ledger_pending(ledger, note_pending, &f, err);
    for (size_t i = 0; !rc && i < json_array_size(f.paths); i++) {
        const char *path = json_string_value(json_array_get(f.paths, i));
        struct pv_stream *s = NULL;
        struct pv_seal_report report = {0};
        prov_error one = {0};
        int code = api_stream(handle, path, &s, &one);
        if (!code)
            code = api_seal(handle, s, &report, &one);
        if (!code)
            json_array_append_new(done, json_pack("{s:s,s:I,s:I}", "stream", path, "records", (json_int_t)report.records,
                                                  "tree_size", (json_int_t)report.tree_size));
        else if (!first.code) /* one stream that fails does not keep the others waiting */
            first = one;
        total += (json_int_t)report.records;
    }
    if (!rc && first.code) {
        *err = first;
        rc = first.code;
    }
    atomic_store(&handle->unsealed, 0);
    json_decref(f.paths);
    if (rc) {
        json_decref(done);
        return rc;
    }
    return api_give(json_pack("{s:I,s:o}", "records", total, "streams", done), ret_json, err);
}
