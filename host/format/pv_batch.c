/* pv_batch.c - signatures of batches and of keys, stored beside or inside records. SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "psdk_json.h"
#include "pv_record.h"

int pv_batch_text(struct psdk_buf *out, const char *origin, const struct pv_batch_sig *sig)
{
    char id[PSDK_SHA256_HEX];
    psdk_hex(sig->id, 32, id);
    return psdk_buf_addf(out, "provhost-batch-v1\n%s\n%s\n%llu\n%s\n", origin, sig->writer, (unsigned long long)sig->wseq, id);
}

int pv_batch_sign(struct pv_batch_sig *sig, const char *origin, const struct psdk_ed25519 *key, prov_error *err)
{
    struct psdk_buf text = {0};
    pv_batch_text(&text, origin, sig);
    int rc = psdk_buf_check(&text, err);
    if (!rc)
        rc = psdk_ed25519_sign(key, text.data, text.len, sig->signature, err);
    psdk_buf_done(&text);
    return rc;
}

bool pv_batch_verify(const struct pv_batch_sig *sig, const char *origin, const uint8_t public_key[32])
{
    struct psdk_buf text = {0};
    pv_batch_text(&text, origin, sig);
    bool ok = !text.failed && psdk_ed25519_verify(public_key, text.data, text.len, sig->signature);
    psdk_buf_done(&text);
    return ok;
}

int pv_batch_write(struct psdk_buf *out, const struct pv_batch_sig *sig)
{
    char id[PSDK_SHA256_HEX];
    psdk_hex(sig->id, 32, id);
    psdk_buf_addf(out, "{\"id\":\"%s\",\"index\":%llu,\"signature\":\"", id, (unsigned long long)sig->index);
    psdk_buf_add_base64(out, sig->signature, 64);
    return psdk_buf_addf(out, "\",\"writer\":\"%s\",\"wseq\":%llu}\n", sig->writer, (unsigned long long)sig->wseq);
}

/* Reads the line back into its canonical form: what does not give the same bytes is refused. */
int pv_batch_parse(const char *line, size_t len, const char *what, struct pv_batch_sig *ret, prov_error *err)
{
    memset(ret, 0, sizeof *ret);
    struct psdk_buf again = {0};
    const char *signature = NULL, *writer = NULL;
    int64_t index = 0, wseq = 0;
    json_t *o = psdk_json_parse(line, len, what, err);
    int rc = o ? PROV_OK : err->code;
    if (!rc)
        rc = psdk_json_get_hash(o, what, "id", ret->id, err);
    if (!rc)
        rc = psdk_json_get_int(o, what, "index", 0, PSDK_JSON_INT_MAX, &index, err);
    if (!rc)
        rc = psdk_json_get_str(o, what, "signature", &signature, err);
    if (!rc)
        rc = psdk_json_get_str(o, what, "writer", &writer, err);
    if (!rc)
        rc = psdk_json_get_int(o, what, "wseq", 0, PSDK_JSON_INT_MAX, &wseq, err);
    if (!rc && (strlen(writer) != PV_WRITER_TEXT - 1 ||
                psdk_unbase64(signature, strlen(signature), ret->signature, 64) != 64))
        rc = psdk_fail(err, PROV_E_CORRUPT, "%s: not a batch signature", what);
    if (!rc) {
        ret->index = (uint64_t)index;
        ret->wseq = (uint64_t)wseq;
        memcpy(ret->writer, writer, PV_WRITER_TEXT);
        pv_batch_write(&again, ret);
        if (again.len != len + 1 || memcmp(again.data, line, len) != 0)
            rc = psdk_fail(err, PROV_E_CORRUPT, "%s: not a batch signature in canonical form", what);
    }
    psdk_buf_done(&again);
    json_decref(o);
    if (rc && rc != PROV_E_NOMEM) {
        rc = PROV_E_CORRUPT;
        err->code = rc;
    }
    return rc;
}

int pv_authorize_text(struct psdk_buf *out, const char *origin, const char *role, const uint8_t key[32])
{
    psdk_buf_addf(out, "provhost-key-v1\n%s\n%s\n", origin, role);
    psdk_buf_add_hex(out, key, 32);
    return psdk_buf_addc(out, '\n');
}

int pv_authorize_body(struct psdk_buf *out, const char *origin, const char *role, const uint8_t key[32],
                      const struct psdk_ed25519 *by, prov_error *err)
{
    struct psdk_buf text = {0};
    uint8_t signature[64];
    pv_authorize_text(&text, origin, role, key);
    int rc = psdk_buf_check(&text, err);
    if (!rc)
        rc = psdk_ed25519_sign(by, text.data, text.len, signature, err);
    psdk_buf_done(&text);
    if (rc)
        return rc;
    psdk_buf_adds(out, "{\"by\":\"ed25519:");
    psdk_buf_add_hex(out, by->public_key, 32);
    psdk_buf_adds(out, "\",\"key\":\"ed25519:");
    psdk_buf_add_hex(out, key, 32);
    psdk_buf_addf(out, "\",\"role\":\"%s\",\"signature\":\"", role);
    psdk_buf_add_base64(out, signature, 64);
    psdk_buf_adds(out, "\"}");
    return psdk_buf_check(out, err);
}

static bool parse_ed25519(const char *text, uint8_t ret[32])
{
    return strncmp(text, "ed25519:", 8) == 0 && psdk_unhex(text + 8, strlen(text + 8), ret, 32);
}

int pv_authorize_parse(const struct pv_record *record, struct pv_authorize *ret, prov_error *err)
{
    memset(ret, 0, sizeof *ret);
    const char *key = NULL, *by = NULL, *role = NULL, *signature = NULL;
    json_t *o = psdk_json_parse(record->body.data, record->body.len, "body", err);
    int rc = o ? PROV_OK : err->code;
    if (!rc)
        rc = psdk_json_get_str(o, "body", "by", &by, err);
    if (!rc)
        rc = psdk_json_get_str(o, "body", "key", &key, err);
    if (!rc)
        rc = psdk_json_get_str(o, "body", "role", &role, err);
    if (!rc)
        rc = psdk_json_get_str(o, "body", "signature", &signature, err);
    if (!rc && (!parse_ed25519(key, ret->key) || !parse_ed25519(by, ret->by) || strlen(role) >= sizeof ret->role ||
                psdk_unbase64(signature, strlen(signature), ret->signature, 64) != 64))
        rc = psdk_fail(err, PROV_E_CORRUPT, "body: not a key authorisation");
    if (!rc)
        memcpy(ret->role, role, strlen(role) + 1);
    json_decref(o);
    if (rc)
        err->code = rc = PROV_E_CORRUPT;
    return rc;
}

bool pv_authorize_verify(const struct pv_authorize *auth, const char *origin)
{
    struct psdk_buf text = {0};
    pv_authorize_text(&text, origin, auth->role, auth->key);
    bool ok = !text.failed && psdk_ed25519_verify(auth->by, text.data, text.len, auth->signature);
    psdk_buf_done(&text);
    return ok;
}
