/* api_log.c - history, log show, list, verify, prove. SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api.h"
#include "psdk_file.h"
#include "pv_note.h"

/* ---- history -------------------------------------------------------------------------------------------------------- */

struct history {
    const prov_history_params *p;
    prov_each_fn each;
    void *ctx;
    uint64_t given;
};

static bool wanted(const prov_history_params *p, const struct pv_record *r)
{
    size_t n = p->kind ? strlen(p->kind) : 0;
    if (n == 0)
        return true;
    if (p->kind[n - 1] == '.')
        return r->kind.len > n && memcmp(r->kind.data, p->kind, n) == 0;
    return r->kind.len == n && memcmp(r->kind.data, p->kind, n) == 0;
}

/* index UINT64_MAX: pending. Returns 1 when the limit is reached. */
static int give_record(struct history *x, const uint8_t *entry, size_t len, uint64_t index, prov_error *err)
{
    struct pv_record r;
    struct psdk_buf out = {0};
    char id[PSDK_SHA256_HEX], what[48];
    snprintf(what, sizeof what, "leaf %llu", (unsigned long long)index);
    int rc = pv_record_parse((const char *)entry, len, what, &r, err);
    if (rc || !wanted(x->p, &r))
        return rc;
    psdk_hex(r.id, 32, id);
    psdk_buf_addf(&out, "{\"id\":\"%s\",\"index\":", id);
    if (index == UINT64_MAX)
        psdk_buf_adds(&out, "null");
    else
        psdk_buf_addf(&out, "%llu", (unsigned long long)index);
    psdk_buf_adds(&out, ",\"record\":");
    psdk_buf_add(&out, entry, len);
    psdk_buf_addc(&out, '}');
    rc = psdk_buf_check(&out, err);
    if (!rc && (rc = x->each(x->ctx, psdk_buf_str(&out), out.len)) != 0)
        psdk_fail(err, rc, "stopped by the receiver");
    psdk_buf_done(&out);
    if (!rc && ++x->given == x->p->limit)
        rc = 1;
    return rc;
}

static int give_bundle(struct history *x, struct pv_reader *r, uint64_t b, prov_error *err)
{
    const uint8_t *entry[PV_TILE_WIDTH];
    size_t len[PV_TILE_WIDTH], n = 0, at = 0;
    struct psdk_buf bundle = {0};
    int rc = pv_reader_bundle(r, b, &bundle, err);
    while (!rc && n < PV_TILE_WIDTH && pv_bundle_next(bundle.data, bundle.len, &at, &entry[n], &len[n]) > 0)
        n++;
    for (size_t i = 0; !rc && i < n; i++) {
        size_t k = x->p->newest_first ? n - 1 - i : i;
        uint64_t index = b * PV_TILE_WIDTH + k;
        if (index >= x->p->from)
            rc = give_record(x, entry[k], len[k], index, err);
    }
    psdk_buf_done(&bundle);
    return rc;
}

static int give_sealed(prov_handle *h, struct history *x, const char *stream, prov_error *err)
{
    struct pv_reader r;
    int rc = api_reader(h, stream, &r, err);
    if (rc)
        return rc;
    uint64_t first = x->p->from / PV_TILE_WIDTH, end = (r.head.tree.size + PV_TILE_WIDTH - 1) / PV_TILE_WIDTH;
    for (uint64_t i = first; !rc && i < end; i++)
        rc = give_bundle(x, &r, x->p->newest_first ? end - 1 - (i - first) : i, err);
    pv_reader_close(&r);
    return rc;
}

static int give_pending(prov_handle *h, struct history *x, const char *stream, prov_error *err)
{
    struct pv_stream *s = NULL;
    struct psdk_buf entries = {0};
    const uint8_t *entry;
    size_t at = 0, len;
    struct pv_ledger *ledger = NULL;
    int rc = api_ledger(h, &ledger, err);
    if (rc || !pv_ledger_has(ledger, stream)) /* reading makes no journal */
        return PROV_OK;
    rc = api_stream(h, stream, &s, err);
    if (!rc)
        rc = pv_stream_pending(s, &entries, err);
    while (!rc && pv_bundle_next(entries.data, entries.len, &at, &entry, &len) > 0)
        rc = give_record(x, entry, len, UINT64_MAX, err);
    psdk_buf_done(&entries);
    return rc;
}

int prov_history(prov_handle *handle, const prov_history_params *params, prov_each_fn each, void *ctx, prov_error *err)
{
    API_ERR(err);
    static const prov_history_params all = {.struct_size = sizeof all};
    struct history x = {params ? params : &all, each, ctx, 0};
    char model[300];
    const char *stream = x.p->stream;
    int rc = PROV_OK;
    if (!stream) {
        rc = api_model_path(handle, NULL, model, sizeof model, err);
        stream = model;
    }
    if (!rc) {
        rc = give_sealed(handle, &x, stream, err);
        if (rc == PROV_E_NOT_FOUND && x.p->with_pending) {
            prov_error pending = {0};
            if (give_pending(handle, &x, stream, &pending) >= 0 && x.given)
                rc = PROV_OK;
        } else if (!rc && x.p->with_pending) {
            rc = give_pending(handle, &x, stream, err);
        }
    }
    return rc > 0 ? PROV_OK : rc;
}

/* ---- show, list ------------------------------------------------------------------------------------------------------- */

int prov_log_show(prov_handle *handle, const char *stream, char **ret_json, prov_error *err)
{
    API_ERR(err);
    struct pv_reader r;
    struct psdk_buf vkey = {0};
    char model[300], root[PSDK_SHA256_HEX], key_id[PSDK_KEYID_HEX] = "";
    uint8_t key[32];
    int rc = stream ? PROV_OK : api_model_path(handle, NULL, model, sizeof model, err);
    stream = stream ? stream : model;
    if (!rc)
        rc = api_reader(handle, stream, &r, err);
    if (rc)
        return rc;
    prov_error why = {0};
    bool is_signed = api_signer(handle, &r, key, &why) == PROV_OK;
    psdk_hex(r.head.tree.root, 32, root);
    if (is_signed) {
        psdk_key_id(key, key_id);
        pv_vkey_format(&vkey, r.head.tree.origin, key);
    }
    json_t *doc = json_pack("{s:s,s:s,s:I,s:s,s:s,s:s,s:s,s:b,s:b,s:s?,s:s?}", "stream", stream, "origin", r.head.tree.origin,
                            "size", (json_int_t)r.head.tree.size, "root", root, "checkpoint", r.head.tree_head_text,
                            "updated_at", r.head.updated_at, "writer", r.head.writer, "signed", is_signed, "trusted",
                            is_signed && pv_trust_has(&handle->trust, r.head.tree.origin, key), "key_id",
                            is_signed ? key_id : NULL, "verifier_key", is_signed ? psdk_buf_str(&vkey) : NULL);
    struct pv_stream *s = NULL;
    struct pv_journal_state state;
    struct pv_ledger *ledger = NULL;
    if (doc && api_ledger(handle, &ledger, &why) == PROV_OK && pv_ledger_has(ledger, stream) &&
        api_stream(handle, stream, &s, &why) == PROV_OK && pv_stream_state(s, &state, &why) == PROV_OK)
        json_object_set_new(doc, "pending", json_boolean(state.pending));
    pv_reader_close(&r);
    psdk_buf_done(&vkey);
    return api_give(doc, ret_json, err);
}

struct listing {
    json_t *streams;
};

static int list_entry(void *ctx, const prov_list_entry *entry)
{
    struct listing *x = ctx;
    size_t n = strlen(entry->key), tail = strlen("/head.json");
    if (n > tail && strcmp(entry->key + n - tail, "/head.json") == 0)
        json_array_append_new(x->streams, json_stringn(entry->key, n - tail));
    return PROV_OK;
}

int prov_log_list(prov_handle *handle, char **ret_json, prov_error *err)
{
    API_ERR(err);
    struct pv_store *store = NULL;
    struct listing x = {json_array()};
    json_t *list = json_array();
    int rc = api_store(handle, &store, err);
    if (!rc)
        rc = pv_store_list(store, "", list_entry, &x, err);
    for (size_t i = 0; !rc && i < json_array_size(x.streams); i++) {
        const char *path = json_string_value(json_array_get(x.streams, i));
        struct pv_reader r;
        prov_error bad = {0};
        if (pv_reader_open(&r, store, path, &bad) == PROV_OK) {
            json_array_append_new(list, json_pack("{s:s,s:I,s:s}", "stream", path, "size", (json_int_t)r.head.tree.size,
                                                  "updated_at", r.head.updated_at));
            pv_reader_close(&r);
        } else {
            json_array_append_new(list, json_pack("{s:s,s:s}", "stream", path, "error", bad.message));
        }
    }
    json_decref(x.streams);
    if (rc) {
        json_decref(list);
        return rc;
    }
    return api_give(list, ret_json, err);
}

/* ---- verify ------------------------------------------------------------------------------------------------------------ */

static void add_writer(void *ctx, const char *writer, uint64_t records, const uint8_t key[32])
{
    char hex[PSDK_SHA256_HEX];
    psdk_hex(key, 32, hex);
    json_array_append_new(ctx, json_pack("{s:s,s:I,s:s}", "writer", writer, "records", (json_int_t)records, "key", hex));
}

static int32_t end_verify(prov_handle *h, struct pv_reader *r, const uint8_t key[32], struct pv_checker *c, json_t *report)
{
    char detail[200], key_id[PSDK_KEYID_HEX], summary[256];
    snprintf(detail, sizeof detail, "%llu records: form, sequences, keys and signatures hold",
             (unsigned long long)r->head.tree.size);
    pv_report_add(report, "records", true, detail);
    pv_report_add(report, "tree", true, "every hash tile follows from the entries and leads to the signed root");
    psdk_key_id(key, key_id);
    bool known = pv_trust_has(&h->trust, r->head.tree.origin, key);
    pv_report_add(report, "trust", known, known ? "the log key is one that you trust" : "the log key is not among those that you trust");
    snprintf(summary, sizeof summary, known ? "intact, signed by a key that you trust (%s)" : "intact, signer unknown: %s", key_id);
    json_t *writers = json_array();
    pv_checker_writers(c, add_writer, writers);
    json_object_set_new(report, "writers", writers);
    json_object_set_new(report, "size", json_integer((json_int_t)r->head.tree.size));
    json_object_set_new(report, "origin", json_string(r->head.tree.origin));
    return pv_report_end(report, known ? PROV_VERDICT_OK : PROV_VERDICT_UNKNOWN, summary);
}

/* Something that is there and not valid is an answer; what could not be read is an error. */
static int32_t end_tampered(json_t *report, const char *name, const prov_error *why)
{
    char summary[600];
    snprintf(summary, sizeof summary, "not intact: %s", why->message);
    pv_report_add(report, name, false, why->message);
    return pv_report_end(report, PROV_VERDICT_TAMPERED, summary);
}

int prov_log_verify(prov_handle *handle, const char *stream, void (*progress)(void *ctx, uint64_t done, uint64_t all),
                    void *ctx, int32_t *ret_verdict, char **ret_json, prov_error *err)
{
    API_ERR(err);
    struct pv_reader r;
    struct pv_checker *c = NULL;
    char model[300];
    uint8_t key[32];
    json_t *report = pv_report_new();
    int rc = stream ? PROV_OK : api_model_path(handle, NULL, model, sizeof model, err);
    stream = stream ? stream : model;
    if (!rc)
        rc = api_reader(handle, stream, &r, err);
    if (!rc) {
        rc = api_signer(handle, &r, key, err);
        if (!rc)
            rc = api_check_store(handle, &r, key, err);
        if (!rc) {
            pv_report_add(report, "tree head", true, "signed by the log key");
            rc = pv_stream_check(&r, key, progress, ctx, &c, err);
        }
        if (!rc)
            *ret_verdict = end_verify(handle, &r, key, c, report);
        pv_reader_close(&r);
    }
    pv_checker_free(c);
    if (rc == PROV_E_CORRUPT) {
        *ret_verdict = end_tampered(report, "log", err);
        memset(err, 0, sizeof *err);
        rc = PROV_OK;
    }
    if (rc) {
        json_decref(report);
        return rc;
    }
    json_object_set_new(report, "stream", json_string(stream));
    return api_give(report, ret_json, err);
}

int prov_log_prove(prov_handle *handle, const char *stream, const char *id_or_index, char **ret_text, prov_error *err)
{
    API_ERR(err);
    struct pv_reader r;
    struct pv_tlog_proof proof;
    struct psdk_buf out = {0};
    char model[300];
    uint64_t index = 0;
    int rc = stream ? PROV_OK : api_model_path(handle, NULL, model, sizeof model, err);
    stream = stream ? stream : model;
    if (!rc)
        rc = api_reader(handle, stream, &r, err);
    if (rc)
        return rc;
    if (id_or_index[0] == '#') {
        char *end = NULL;
        index = strtoull(id_or_index + 1, &end, 10);
        if (!id_or_index[1] || *end || id_or_index[1] == '-')
            rc = psdk_fail(err, PROV_E_INVALID, "'%.80s': want # and a leaf index", id_or_index);
    } else {
        rc = pv_reader_find(&r, id_or_index, &index, err);
    }
    if (!rc)
        rc = pv_reader_inclusion(&r, index, &proof, err);
    if (!rc) {
        pv_tlog_proof_write(&out, &proof);
        rc = psdk_buf_check(&out, err);
    }
    pv_reader_close(&r);
    if (!rc)
        *ret_text = psdk_buf_take(&out);
    psdk_buf_done(&out);
    return rc;
}

int prov_log_consistency(prov_handle *handle, const char *stream, uint64_t old_size, char **ret_json, prov_error *err)
{
    API_ERR(err);
    struct pv_reader r;
    char model[300], hex[PSDK_SHA256_HEX];
    uint8_t root[32], proof[PV_PROOF_MAX][32];
    uint32_t n = 0;
    json_t *doc = NULL;
    int rc = stream ? PROV_OK : api_model_path(handle, NULL, model, sizeof model, err);
    stream = stream ? stream : model;
    if (!rc)
        rc = api_reader(handle, stream, &r, err);
    if (rc)
        return rc;
    if (old_size == 0 || old_size > r.head.tree.size)
        rc = psdk_fail(err, PROV_E_INVALID, "old size %llu: want 1 to %llu", (unsigned long long)old_size,
                       (unsigned long long)r.head.tree.size);
    if (!rc)
        rc = pv_reader_root(&r, old_size, root, err);
    if (!rc)
        rc = pv_reader_consistency(&r, old_size, root, proof, &n, err);
    if (!rc) {
        json_t *list = json_array();
        for (uint32_t i = 0; i < n; i++) {
            psdk_hex(proof[i], 32, hex);
            json_array_append_new(list, json_string(hex));
        }
        psdk_hex(root, 32, hex);
        doc = json_pack("{s:I,s:s,s:I,s:o}", "old_size", (json_int_t)old_size, "old_root", hex, "size",
                        (json_int_t)r.head.tree.size, "proof", list);
        psdk_hex(r.head.tree.root, 32, hex);
        json_object_set_new(doc, "root", json_string(hex));
    }
    pv_reader_close(&r);
    return rc ? rc : api_give(doc, ret_json, err);
}
