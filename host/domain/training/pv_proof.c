/* pv_proof.c - deriving and signing a proof of training. SPDX-License-Identifier: Apache-2.0 */
#include "pv_proof.h"

#include <stdlib.h>
#include <string.h>

#include "psdk_file.h"

struct derive {
    const struct pv_proof_source *source;
    json_t *training, *validation, *other;
    json_t *epochs;       /* set of the epochs seen */
    json_t *validators;   /* set of validator ids */
    json_t *by_id;        /* record id of a checkpoint -> its element */
    json_t *by_hash;      /* model hash -> element of the newest checkpoint with it */
    const json_t *last;   /* body of the last checkpoint, kept alive by last_body */
    json_t *last_body;
};

static json_t *parse_body(const struct pv_record *r, uint64_t index, prov_error *err)
{
    char what[64];
    snprintf(what, sizeof what, "leaf %llu: body", (unsigned long long)index);
    return psdk_json_parse(r->body.data, r->body.len, what, err);
}

static json_t *element(const struct pv_record *r, uint64_t index, const char *id_name)
{
    char id[PSDK_SHA256_HEX];
    psdk_hex(r->id, 32, id);
    json_t *e = json_object();
    json_object_set_new(e, id_name, json_string(id));
    json_object_set_new(e, "index", json_integer((json_int_t)index));
    json_object_set_new(e, "record", json_stringn(r->bytes, r->len));
    return e;
}

/* What a proof repeats as fact must have the form that recording demands, also when another program wrote the record. */
static int check_body(const struct derive *d, const json_t *body, uint64_t index, prov_error *err)
{
    const char *model = json_string_value(json_object_get(body, "model_id"));
    const char *hash = json_string_value(json_object_get(body, "model_hash"));
    const json_t *confidence = json_object_get(body, "confidence_score");
    if (!model || strcmp(model, d->source->model_id) != 0)
        return psdk_fail(err, PROV_E_CORRUPT, "leaf %llu: body.model_id is not %s", (unsigned long long)index,
                         d->source->model_id);
    if (!hash || strlen(hash) != 64 || strspn(hash, "0123456789abcdef") != 64)
        return psdk_fail(err, PROV_E_CORRUPT, "leaf %llu: body.model_hash is not 64 lower-case hex digits",
                         (unsigned long long)index);
    if (confidence && (!json_is_number(confidence) || json_number_value(confidence) < 0 || json_number_value(confidence) > 1))
        return psdk_fail(err, PROV_E_CORRUPT, "leaf %llu: body.confidence_score is not from 0 to 1", (unsigned long long)index);
    return PROV_OK;
}

static int add_checkpoint(struct derive *d, const struct pv_record *r, uint64_t index, prov_error *err)
{
    json_t *body = parse_body(r, index, err);
    const char *hash = json_string_value(json_object_get(body, "model_hash"));
    const json_t *epoch = json_object_get(body, "epoch");
    int rc = body ? check_body(d, body, index, err) : err->code;
    if (!rc && (!json_is_integer(epoch) || json_integer_value(epoch) < 0))
        rc = psdk_fail(err, PROV_E_CORRUPT, "leaf %llu: body.epoch is not 0 or more", (unsigned long long)index);
    if (rc) {
        json_decref(body);
        return rc;
    }
    char key[32];
    snprintf(key, sizeof key, "%lld", (long long)json_integer_value(epoch));
    json_object_set_new(d->epochs, key, json_true());
    json_t *e = element(r, index, "checkpoint_id");
    json_object_set_new(e, "validation_hash", json_null());
    json_array_append_new(d->training, e);
    json_object_set(d->by_id, json_string_value(json_object_get(e, "checkpoint_id")), e);
    json_object_set(d->by_hash, hash, e);
    json_decref(d->last_body);
    d->last_body = body;
    return PROV_OK;
}

/* A validation names a checkpoint by its id, or else the newest one before it with the same model hash. */
static int add_validation(struct derive *d, const struct pv_record *r, uint64_t index, prov_error *err)
{
    json_t *body = parse_body(r, index, err);
    const char *hash = json_string_value(json_object_get(body, "model_hash"));
    const char *checkpoint = json_string_value(json_object_get(body, "checkpoint_id"));
    const char *validator = json_string_value(json_object_get(body, "validator_id"));
    int rc = body ? check_body(d, body, index, err) : err->code;
    if (!rc && !validator)
        rc = psdk_fail(err, PROV_E_CORRUPT, "leaf %llu: a validation without validator_id", (unsigned long long)index);
    if (rc) {
        json_decref(body);
        return rc;
    }
    json_t *e = element(r, index, "validation_id");
    json_array_append_new(d->validation, e);
    json_object_set_new(d->validators, validator, json_true());
    json_t *named = checkpoint ? json_object_get(d->by_id, checkpoint) : json_object_get(d->by_hash, hash);
    if (named)
        json_object_set(named, "validation_hash", json_object_get(e, "validation_id"));
    json_decref(body);
    return PROV_OK;
}

static bool kind_is(const struct pv_record *r, const char *kind)
{
    return r->kind.len == strlen(kind) && memcmp(r->kind.data, kind, r->kind.len) == 0;
}

static int add_entries(struct derive *d, prov_error *err)
{
    int rc = PROV_OK;
    for (uint64_t i = 0; i < d->source->tree->size && !rc; i++) {
        struct pv_record r;
        char what[48];
        snprintf(what, sizeof what, "leaf %llu", (unsigned long long)i);
        rc = pv_record_parse(d->source->entries[i].data, d->source->entries[i].len, what, &r, err);
        if (rc)
            break;
        if (kind_is(&r, PV_KIND_CHECKPOINT))
            rc = add_checkpoint(d, &r, i, err);
        else if (kind_is(&r, PV_KIND_VALIDATION))
            rc = add_validation(d, &r, i, err);
        else
            json_array_append_new(d->other, element(&r, i, "id"));
    }
    return rc;
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static json_t *sorted_keys(const json_t *set)
{
    size_t n = json_object_size(set), i = 0;
    const char **keys = calloc(n ? n : 1, sizeof *keys);
    const char *key;
    json_t *value, *list = json_array();
    json_object_foreach((json_t *)(uintptr_t)set, key, value)
        keys[i++] = key;
    qsort(keys, n, sizeof *keys, by_bytes);
    for (i = 0; i < n; i++)
        json_array_append_new(list, json_string(keys[i]));
    free(keys);
    return list;
}

static json_t *signature_list(const struct pv_proof_source *s)
{
    json_t *list = json_array();
    for (size_t i = 0; i < s->n_sigs; i++) {
        char id[PSDK_SHA256_HEX], signature[92];
        psdk_hex(s->sigs[i].id, 32, id);
        psdk_base64(s->sigs[i].signature, 64, signature);
        json_array_append_new(list, json_pack("{s:s,s:I,s:s,s:s,s:I}", "id", id, "index", (json_int_t)s->sigs[i].index,
                                              "signature", signature, "writer", s->sigs[i].writer, "wseq",
                                              (json_int_t)s->sigs[i].wseq));
    }
    return list;
}

static json_t *assemble(const struct derive *d)
{
    const struct pv_proof_source *s = d->source;
    char root[PSDK_SHA256_HEX];
    psdk_hex(s->tree->root, 32, root);
    json_t *metrics = json_object_get(d->last_body, "metrics");
    json_t *meta = json_pack(
        "{s:b,s:O,s:I,s:s,s:I,s:I,s:I,s:o}", "blockchain_enabled", s->blockchain_enabled, "final_metrics",
        metrics ? metrics : json_null(), "merkle_tree_size", (json_int_t)s->tree->size, "origin", s->origin,
        "total_checkpoints", (json_int_t)json_array_size(d->training), "total_validations",
        (json_int_t)json_array_size(d->validation), "training_epochs", (json_int_t)json_object_size(d->epochs),
        "validator_ids", sorted_keys(d->validators));
    return json_pack("{s:o,s:O,s:O,s:s,s:s,s:O,s:s,s:O,s:s,s:O,s:o}", "batch_signatures", signature_list(s),
                     "blockchain_transactions", s->transactions, "final_model_hash",
                     json_object_get(d->last_body, "model_hash"), "merkle_root", root, "model_id", s->model_id,
                     "other_records", d->other, "proof_timestamp", s->timestamp, "training_chain", d->training, "tree_head",
                     s->tree_head, "validation_chain", d->validation, "verification_metadata", meta);
}

json_t *pv_proof_derive(const struct pv_proof_source *source, prov_error *err)
{
    struct derive d = {.source = source,
                       .training = json_array(),
                       .validation = json_array(),
                       .other = json_array(),
                       .epochs = json_object(),
                       .validators = json_object(),
                       .by_id = json_object(),
                       .by_hash = json_object()};
    json_t *proof = NULL;
    int rc = add_entries(&d, err);
    if (!rc && json_array_size(d.training) == 0)
        rc = psdk_fail(err, PROV_E_NOT_FOUND, "%s: no training checkpoint is recorded", source->origin);
    if (!rc && !(proof = assemble(&d)))
        psdk_fail(err, PROV_E_NOMEM, "proof: out of memory");
    json_decref(d.training);
    json_decref(d.validation);
    json_decref(d.other);
    json_decref(d.epochs);
    json_decref(d.validators);
    json_decref(d.by_id);
    json_decref(d.by_hash);
    json_decref(d.last_body);
    return proof;
}

int pv_proof_text(struct psdk_buf *out, const char *origin, const char *signature_hash)
{
    return psdk_buf_addf(out, "provhost-proof-v1\n%s\n%s\n", origin, signature_hash);
}

int pv_proof_sign(json_t *proof, const struct psdk_ed25519 *log_key, struct psdk_buf *ret, prov_error *err)
{
    struct psdk_buf body = {0}, text = {0};
    uint8_t digest[32], signature[64];
    char hash[PSDK_SHA256_HEX], base64[92], key[80];
    const char *origin = json_string_value(json_object_get(json_object_get(proof, "verification_metadata"), "origin"));
    int rc = psdk_jcs_write(proof, &body, err);
    if (!rc) {
        psdk_sha256(body.data, body.len, digest);
        psdk_hex(digest, 32, hash);
        pv_proof_text(&text, origin ? origin : "", hash);
        rc = psdk_buf_check(&text, err);
    }
    if (!rc)
        rc = psdk_ed25519_sign(log_key, text.data, text.len, signature, err);
    if (!rc) {
        psdk_base64(signature, sizeof signature, base64);
        memcpy(key, "ed25519:", 8);
        psdk_hex(log_key->public_key, 32, key + 8);
        json_object_set_new(proof, "signature_hash", json_string(hash));
        json_object_set_new(proof, "signatures",
                            json_pack("[{s:s,s:s,s:s}]", "algorithm", "ed25519", "key", key, "signature", base64));
        rc = psdk_jcs_write(proof, ret, err);
    }
    psdk_buf_done(&body);
    psdk_buf_done(&text);
    return rc;
}

/* ---- from a reader ---------------------------------------------------------------------------------------------------- */

struct gather {
    struct psdk_buf *bundles;
    uint64_t n_bundles;
    struct pv_slice *entries;
    struct pv_batch_sig *sigs;
    size_t n_sigs, cap_sigs;
};

static void gather_done(struct gather *g)
{
    for (uint64_t i = 0; g->bundles && i < g->n_bundles; i++)
        psdk_buf_done(&g->bundles[i]);
    free(g->bundles);
    free(g->entries);
    free(g->sigs);
}

static int gather_sigs(struct gather *g, const struct psdk_buf *lines, prov_error *err)
{
    const char *at = psdk_buf_str(lines);
    while (*at) {
        const char *nl = strchr(at, '\n');
        if (g->n_sigs == g->cap_sigs) {
            g->cap_sigs = g->cap_sigs ? g->cap_sigs * 2 : 64;
            struct pv_batch_sig *more = realloc(g->sigs, g->cap_sigs * sizeof *more);
            if (!more)
                return psdk_fail(err, PROV_E_NOMEM, "proof: out of memory");
            g->sigs = more;
        }
        if (!nl)
            return psdk_fail(err, PROV_E_CORRUPT, "signatures: the last line is cut");
        int rc = pv_batch_parse(at, (size_t)(nl - at), "signatures", &g->sigs[g->n_sigs++], err);
        if (rc)
            return rc;
        at = nl + 1;
    }
    return PROV_OK;
}

static int gather_all(struct pv_reader *r, struct gather *g, prov_error *err)
{
    uint64_t size = r->head.tree.size, next = 0;
    size_t total = 0;
    g->n_bundles = (size + PV_TILE_WIDTH - 1) / PV_TILE_WIDTH;
    g->bundles = calloc(g->n_bundles ? g->n_bundles : 1, sizeof *g->bundles);
    g->entries = calloc(size ? size : 1, sizeof *g->entries);
    int rc = g->bundles && g->entries ? PROV_OK : psdk_fail(err, PROV_E_NOMEM, "proof: out of memory");
    for (uint64_t b = 0; b < g->n_bundles && !rc; b++) {
        struct psdk_buf lines = {0};
        const uint8_t *entry;
        size_t at = 0, len;
        rc = pv_reader_bundle(r, b, &g->bundles[b], err);
        total += g->bundles[b].len;
        if (!rc && total > PV_PROOF_BYTES_MAX / 4)
            rc = psdk_fail(err, PROV_E_LIMIT,
                           "the stream has %llu records, too many for one proof.json: prove single records with `prov log prove`",
                           (unsigned long long)size);
        while (!rc && next < size && pv_bundle_next(g->bundles[b].data, g->bundles[b].len, &at, &entry, &len) > 0)
            g->entries[next++] = (struct pv_slice){(const char *)entry, len};
        if (!rc)
            rc = pv_reader_signatures(r, b, &lines, err);
        if (!rc)
            rc = gather_sigs(g, &lines, err);
        psdk_buf_done(&lines);
    }
    if (!rc && next != size)
        rc = psdk_fail(err, PROV_E_CORRUPT, "the entry bundles hold %llu of %llu entries", (unsigned long long)next,
                       (unsigned long long)size);
    return rc;
}

int pv_proof_make(struct pv_reader *r, const char *model_id, const json_t *transactions, bool blockchain_enabled,
                  const struct psdk_ed25519 *log_key, struct psdk_buf *ret, prov_error *err)
{
    struct gather g = {0};
    char timestamp[PSDK_TIME_SIZE];
    json_t *proof = NULL;
    psdk_time_format(psdk_wall_ns(), timestamp);
    int rc = gather_all(r, &g, err);
    if (!rc) {
        struct pv_proof_source source = {.model_id = model_id, .origin = r->head.tree.origin,
                                         .tree_head = r->head.tree_head_text, .tree = &r->head.tree,
                                         .timestamp = timestamp, .transactions = transactions,
                                         .blockchain_enabled = blockchain_enabled, .entries = g.entries, .sigs = g.sigs,
                                         .n_sigs = g.n_sigs};
        proof = pv_proof_derive(&source, err);
        rc = proof ? pv_proof_sign(proof, log_key, ret, err) : err->code;
    }
    json_decref(proof);
    gather_done(&g);
    return rc;
}
