/* pv_head.c - head.json, store.json and seal objects. SPDX-License-Identifier: Apache-2.0 */
#include "pv_head.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "psdk_file.h"
#include "psdk_json.h"
#include "pv_tile.h"

/* What was parsed must write back to the same bytes: then nothing was left out, doubled or spelled another way. */
static int same_bytes(const struct psdk_buf *again, const void *data, size_t len, const char *what, prov_error *err)
{
    if (again->failed)
        return psdk_buf_check(again, err);
    if (again->len == len && memcmp(again->data, data, len) == 0)
        return PROV_OK;
    return psdk_fail(err, PROV_E_CORRUPT, "%s: not in canonical form", what);
}

static int corrupt(int rc, prov_error *err)
{
    if (rc && rc != PROV_E_NOMEM) {
        err->code = PROV_E_CORRUPT;
        return PROV_E_CORRUPT;
    }
    return rc;
}

static int copy_str(const json_t *o, const char *what, const char *key, char *ret, size_t cap, prov_error *err)
{
    const char *text = NULL;
    int rc = psdk_json_get_str(o, what, key, &text, err);
    if (rc)
        return rc;
    if (strlen(text) >= cap)
        return psdk_fail(err, PROV_E_CORRUPT, "%s.%s: too long", what, key);
    memcpy(ret, text, strlen(text) + 1);
    return PROV_OK;
}

/* ---- head.json ------------------------------------------------------------------------------------------------------ */

int pv_head_write(struct psdk_buf *out, const struct pv_head *head)
{
    char hash[PSDK_SHA256_HEX];
    psdk_hex(head->content_hash, 32, hash);
    if (head->has_version)
        psdk_buf_addf(out, "{\"content_hash\":\"%s\",\"counter\":%" PRIu64, hash, head->counter);
    else
        psdk_buf_adds(out, "{\"content_hash\":null,\"counter\":null");
    psdk_buf_addf(out, ",\"nonce\":\"%s\",\"seal\":\"%s\",\"semver\":", head->nonce, head->seal);
    if (head->has_version)
        psdk_jcs_string(out, head->semver, strlen(head->semver));
    else
        psdk_buf_adds(out, "null");
    psdk_buf_adds(out, ",\"store\":");
    psdk_jcs_string(out, head->store, strlen(head->store));
    psdk_buf_adds(out, ",\"tree_head\":");
    psdk_jcs_string(out, head->tree_head_text, strlen(head->tree_head_text));
    psdk_buf_addf(out, ",\"updated_at\":\"%s\",\"version_id\":", head->updated_at);
    if (head->has_version)
        psdk_jcs_string(out, head->version_id, strlen(head->version_id));
    else
        psdk_buf_adds(out, "null");
    return psdk_buf_addf(out, ",\"writer\":\"%s\"}", head->writer);
}

static int parse_version(const json_t *o, const char *what, struct pv_head *ret, prov_error *err)
{
    ret->has_version = !json_is_null(json_object_get(o, "counter"));
    if (!ret->has_version)
        return PROV_OK;
    int64_t counter = 0;
    int rc = psdk_json_get_int(o, what, "counter", 0, PSDK_JSON_INT_MAX, &counter, err);
    ret->counter = (uint64_t)counter;
    if (!rc)
        rc = psdk_json_get_hash(o, what, "content_hash", ret->content_hash, err);
    if (!rc)
        rc = copy_str(o, what, "version_id", ret->version_id, sizeof ret->version_id, err);
    if (!rc)
        rc = copy_str(o, what, "semver", ret->semver, sizeof ret->semver, err);
    return rc;
}

/* What follows from the signed tree head must be what it says. */
static int check_agrees(const struct pv_head *head, const char *what, prov_error *err)
{
    char seal[PV_SEAL_NAME];
    size_t n = strlen(head->store);
    pv_seal_name(head->tree.size, head->tree.root, seal);
    if (strcmp(seal, head->seal) != 0)
        return psdk_fail(err, PROV_E_CORRUPT, "%s.seal: does not name the seal of its tree head", what);
    if (strncmp(head->tree.origin, head->store, n) != 0 || (head->tree.origin[n] != '/' && head->tree.origin[n] != '\0'))
        return psdk_fail(err, PROV_E_CORRUPT, "%s.store: is not the store of its tree head", what);
    return PROV_OK;
}

int pv_head_parse(const char *data, size_t len, const char *what, struct pv_head *ret, prov_error *err)
{
    memset(ret, 0, sizeof *ret);
    struct psdk_buf again = {0};
    struct pv_note note = {0};
    json_t *o = psdk_json_parse(data, len, what, err);
    int rc = o ? parse_version(o, what, ret, err) : err->code;
    if (!rc)
        rc = copy_str(o, what, "nonce", ret->nonce, sizeof ret->nonce, err);
    if (!rc)
        rc = copy_str(o, what, "seal", ret->seal, sizeof ret->seal, err);
    if (!rc)
        rc = copy_str(o, what, "store", ret->store, sizeof ret->store, err);
    if (!rc)
        rc = copy_str(o, what, "tree_head", ret->tree_head_text, sizeof ret->tree_head_text, err);
    if (!rc)
        rc = copy_str(o, what, "updated_at", ret->updated_at, sizeof ret->updated_at, err);
    if (!rc)
        rc = copy_str(o, what, "writer", ret->writer, sizeof ret->writer, err);
    if (!rc) {
        pv_head_write(&again, ret);
        rc = same_bytes(&again, data, len, what, err);
    }
    if (!rc)
        rc = pv_note_parse(ret->tree_head_text, strlen(ret->tree_head_text), what, &note, err);
    if (!rc)
        rc = pv_tree_head_parse(&note, &ret->tree, err);
    if (!rc)
        rc = check_agrees(ret, what, err);
    pv_note_done(&note);
    psdk_buf_done(&again);
    json_decref(o);
    return corrupt(rc, err);
}

/* ---- seal objects --------------------------------------------------------------------------------------------------- */

void pv_seal_name(uint64_t size, const uint8_t root[32], char ret[PV_SEAL_NAME])
{
    char hex[17];
    psdk_hex(root, 8, hex);
    snprintf(ret, PV_SEAL_NAME, "seal/%" PRIu64 "-%s", size, hex);
}

bool pv_seal_name_parse(const char *name, uint64_t *ret_size)
{
    char again[PV_SEAL_NAME];
    uint8_t root[32] = {0};
    if (strncmp(name, "seal/", 5) != 0)
        return false;
    char *end = NULL;
    *ret_size = strtoull(name + 5, &end, 10);
    if (*end != '-' || !psdk_unhex(end + 1, strlen(end + 1), root, 8))
        return false;
    pv_seal_name(*ret_size, root, again);
    return strcmp(again, name) == 0;
}

static int write_seal_header(struct psdk_buf *out, const struct pv_seal *seal, uint64_t count)
{
    char root[PSDK_SHA256_HEX];
    psdk_buf_adds(out, "{\"edge\":[");
    for (uint32_t i = 0; i < seal->old.count; i++) {
        psdk_buf_adds(out, i ? ",\"" : "\"");
        psdk_buf_add_hex(out, seal->old.hash[i], 32);
        psdk_buf_addc(out, '"');
    }
    psdk_hex(seal->root, 32, root);
    psdk_buf_addf(out, "],\"entries\":%" PRIu64 ",\"old_size\":%" PRIu64 ",\"origin\":", count, seal->old.size);
    psdk_jcs_string(out, seal->origin, strlen(seal->origin));
    return psdk_buf_addf(out, ",\"root\":\"%s\",\"signatures\":%u,\"size\":%" PRIu64 "}\n", root, seal->n_sigs, seal->size);
}

int pv_seal_write(struct psdk_buf *out, const struct pv_seal *seal)
{
    write_seal_header(out, seal, seal->size - seal->old.size);
    for (uint32_t i = 0; i < seal->n_sigs; i++)
        pv_batch_write(out, &seal->sigs[i]);
    return psdk_buf_add(out, seal->entries, seal->entries_len);
}

static int parse_edge(const json_t *o, const char *what, struct pv_range *old, prov_error *err)
{
    const json_t *edge = NULL;
    int rc = psdk_json_get_arr(o, what, "edge", &edge, err);
    if (rc)
        return rc;
    old->count = (uint32_t)json_array_size(edge);
    if (old->count != (uint32_t)__builtin_popcountll(old->size))
        return psdk_fail(err, PROV_E_CORRUPT, "%s.edge: wrong number of hashes", what);
    for (uint32_t i = 0; i < old->count; i++) {
        const char *hex = json_string_value(json_array_get(edge, i));
        if (!hex || !psdk_unhex(hex, strlen(hex), old->hash[i], 32))
            return psdk_fail(err, PROV_E_CORRUPT, "%s.edge[%u]: not a hash", what, i);
    }
    return PROV_OK;
}

static int parse_seal_header(const json_t *o, const char *what, struct pv_seal *ret, int64_t *ret_entries, prov_error *err)
{
    int64_t old_size = 0, size = 0, sigs = 0;
    int rc = psdk_json_get_int(o, what, "entries", 0, PSDK_JSON_INT_MAX, ret_entries, err);
    if (!rc)
        rc = psdk_json_get_int(o, what, "old_size", 0, PSDK_JSON_INT_MAX, &old_size, err);
    if (!rc)
        rc = psdk_json_get_int(o, what, "size", 0, PSDK_JSON_INT_MAX, &size, err);
    if (!rc)
        rc = psdk_json_get_int(o, what, "signatures", 0, 65536, &sigs, err);
    if (!rc)
        rc = psdk_json_get_hash(o, what, "root", ret->root, err);
    if (!rc)
        rc = copy_str(o, what, "origin", ret->origin, sizeof ret->origin, err);
    ret->size = (uint64_t)size;
    ret->old.size = (uint64_t)old_size;
    ret->n_sigs = (uint32_t)sigs;
    if (!rc && size - old_size != *ret_entries)
        rc = psdk_fail(err, PROV_E_CORRUPT, "%s: sizes and entries do not agree", what);
    return rc ? rc : parse_edge(o, what, &ret->old, err);
}

static int parse_sigs(const uint8_t **at, const uint8_t *end, const char *what, struct pv_seal *ret, prov_error *err)
{
    struct pv_batch_sig *sigs = calloc(ret->n_sigs ? ret->n_sigs : 1, sizeof *sigs);
    if (!sigs)
        return psdk_fail(err, PROV_E_NOMEM, "%s: out of memory", what);
    ret->sigs = sigs;
    for (uint32_t i = 0; i < ret->n_sigs; i++) {
        const uint8_t *nl = memchr(*at, '\n', (size_t)(end - *at));
        if (!nl)
            return psdk_fail(err, PROV_E_CORRUPT, "%s: cut in its signatures", what);
        int rc = pv_batch_parse((const char *)*at, (size_t)(nl - *at), what, &sigs[i], err);
        if (rc)
            return rc;
        *at = nl + 1;
    }
    return PROV_OK;
}

static int check_entries(const struct pv_seal *seal, int64_t entries, const char *what, prov_error *err)
{
    const uint8_t *entry;
    size_t at = 0, n;
    int64_t count = 0;
    int rc;
    while ((rc = pv_bundle_next(seal->entries, seal->entries_len, &at, &entry, &n)) > 0)
        count++;
    if (rc < 0 || count != entries)
        return psdk_fail(err, PROV_E_CORRUPT, "%s: want %lld entries, found %lld", what, (long long)entries, (long long)count);
    return PROV_OK;
}

int pv_seal_parse(const uint8_t *data, size_t len, const char *what, struct pv_seal *ret, prov_error *err)
{
    memset(ret, 0, sizeof *ret);
    struct psdk_buf again = {0};
    int64_t entries = 0;
    const uint8_t *nl = len ? memchr(data, '\n', len) : NULL;
    if (!nl)
        return psdk_fail(err, PROV_E_CORRUPT, "%s: not a seal object", what);
    size_t line = (size_t)(nl + 1 - data);
    json_t *o = psdk_json_parse((const char *)data, line - 1, what, err);
    int rc = o ? parse_seal_header(o, what, ret, &entries, err) : err->code;
    json_decref(o);
    if (!rc) {
        write_seal_header(&again, ret, (uint64_t)entries);
        rc = same_bytes(&again, data, line, what, err);
    }
    psdk_buf_done(&again);
    const uint8_t *at = nl + 1;
    if (!rc)
        rc = parse_sigs(&at, data + len, what, ret, err);
    ret->entries = at;
    ret->entries_len = (size_t)(data + len - at);
    if (!rc)
        rc = check_entries(ret, entries, what, err);
    if (rc)
        pv_seal_done(ret);
    return corrupt(rc, err);
}

void pv_seal_done(struct pv_seal *seal)
{
    free((void *)(uintptr_t)seal->sigs);
    seal->sigs = NULL;
    seal->n_sigs = 0;
}

/* ---- store.json ----------------------------------------------------------------------------------------------------- */

int pv_store_info_write(struct psdk_buf *out, const struct pv_store_info *info)
{
    char key[PSDK_SHA256_HEX];
    psdk_hex(info->log_key, 32, key);
    psdk_buf_addf(out, "{\"created\":\"%s\",\"format\":1,\"log_key\":\"ed25519:%s\",\"origin\":", info->created, key);
    psdk_jcs_string(out, info->origin, strlen(info->origin));
    return psdk_buf_addc(out, '}');
}

int pv_store_info_parse(const char *data, size_t len, const char *what, struct pv_store_info *ret, prov_error *err)
{
    memset(ret, 0, sizeof *ret);
    struct psdk_buf again = {0};
    char key[128] = "";
    int64_t format = 0;
    json_t *o = psdk_json_parse(data, len, what, err);
    int rc = o ? psdk_json_get_int(o, what, "format", 1, PSDK_JSON_INT_MAX, &format, err) : err->code;
    if (!rc && format != 1)
        rc = psdk_fail(err, PROV_E_CORRUPT, "%s: format %lld; this program knows format 1", what, (long long)format);
    if (!rc)
        rc = copy_str(o, what, "created", ret->created, sizeof ret->created, err);
    if (!rc)
        rc = copy_str(o, what, "origin", ret->origin, sizeof ret->origin, err);
    if (!rc)
        rc = copy_str(o, what, "log_key", key, sizeof key, err);
    if (!rc && (strncmp(key, "ed25519:", 8) != 0 || !psdk_unhex(key + 8, strlen(key + 8), ret->log_key, 32)))
        rc = psdk_fail(err, PROV_E_CORRUPT, "%s.log_key: want ed25519: and 64 hex digits", what);
    if (!rc && !pv_origin_ok(ret->origin))
        rc = psdk_fail(err, PROV_E_CORRUPT, "%s.origin: not an origin", what);
    if (!rc) {
        pv_store_info_write(&again, ret);
        rc = same_bytes(&again, data, len, what, err);
    }
    psdk_buf_done(&again);
    json_decref(o);
    return corrupt(rc, err);
}
