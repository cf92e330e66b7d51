/* pv_training.c - bodies of training records. SPDX-License-Identifier: Apache-2.0 */
#include "pv_training.h"

#include <math.h>
#include <string.h>

#include "psdk_eth.h"
#include "psdk_hash.h"

static int put(json_t *body, const char *key, json_t *value, prov_error *err)
{
    return value && json_object_set_new(body, key, value) == 0 ? PROV_OK
                                                               : psdk_fail(err, PROV_E_NOMEM, "%s: out of memory", key);
}

static int put_hash(json_t *body, const char *key, const char *text, bool required, prov_error *err)
{
    uint8_t hash[32];
    char hex[PSDK_SHA256_HEX];
    if (!text)
        return required ? psdk_fail(err, PROV_E_INVALID, "%s: missing", key) : PROV_OK;
    if (!psdk_parse_hash(text, hash))
        return psdk_fail(err, PROV_E_INVALID, "%s '%.100s': want 64 hex digits, got %zu characters", key, text, strlen(text));
    psdk_hex(hash, 32, hex);
    return put(body, key, json_string(hex), err);
}

static int put_object(json_t *body, const char *key, const char *text, bool required, prov_error *err)
{
    if (!text)
        return required ? psdk_fail(err, PROV_E_INVALID, "%s: missing", key) : put(body, key, json_object(), err);
    json_t *value = psdk_json_parse(text, strlen(text), key, err);
    if (!value)
        return err ? err->code : PROV_E_INVALID;
    if (!json_is_object(value)) {
        json_decref(value);
        return psdk_fail(err, PROV_E_INVALID, "%s: want a JSON object like {\"loss\":0.5}", key);
    }
    return put(body, key, value, err);
}

/* Members of the caller's own, which may not hide ours. */
static int put_extra(json_t *body, const char *text, prov_error *err)
{
    const char *key;
    json_t *value;
    if (!text)
        return PROV_OK;
    json_t *extra = psdk_json_parse(text, strlen(text), "extra", err);
    if (!extra)
        return err ? err->code : PROV_E_INVALID;
    int rc = json_is_object(extra) ? PROV_OK : psdk_fail(err, PROV_E_INVALID, "extra: want a JSON object");
    if (!rc)
        json_object_foreach(extra, key, value)
        {
            if (json_object_get(body, key))
                rc = psdk_fail(err, PROV_E_INVALID, "extra.%s: is a member that this record has already", key);
            else if (json_object_set(body, key, value))
                rc = psdk_fail(err, PROV_E_NOMEM, "extra: out of memory");
            if (rc)
                break;
        }
    json_decref(extra);
    return rc;
}

static int put_text(json_t *body, const char *key, const char *text, prov_error *err)
{
    if (!text || !*text)
        return psdk_fail(err, PROV_E_INVALID, "%s: missing", key);
    if (strlen(text) > 1024)
        return psdk_fail(err, PROV_E_LIMIT, "%s: %zu bytes, at most 1024", key, strlen(text));
    json_t *value = json_string(text);
    return value ? put(body, key, value, err) : psdk_fail(err, PROV_E_INVALID, "%s: not UTF-8", key);
}

static int put_datasets(json_t *body, const char *const *datasets, size_t n, prov_error *err)
{
    if (!n)
        return PROV_OK;
    json_t *list = json_array();
    int rc = put(body, "datasets", list, err);
    for (size_t i = 0; i < n && !rc; i++) {
        const char *at = strchr(datasets[i], '@');
        json_t *one = json_object();
        json_array_append_new(list, one);
        json_t *id = json_stringn(datasets[i], at ? (size_t)(at - datasets[i]) : strlen(datasets[i]));
        rc = put(one, "id", id, err);
        if (!rc)
            rc = pv_id_check("dataset", json_string_value(id), err);
        if (!rc && at)
            rc = put_hash(one, "record", at + 1, true, err);
    }
    return rc;
}

static int write_body(struct psdk_buf *out, json_t *body, int rc, const char *what, prov_error *err)
{
    if (!rc)
        rc = psdk_jcs_write(body, out, err);
    json_decref(body);
    return rc ? psdk_wrap(err, "%s", what) : PROV_OK;
}

int pv_checkpoint_body(struct psdk_buf *out, const struct pv_checkpoint_fields *in, prov_error *err)
{
    json_t *body = json_object();
    int rc = pv_id_check("model_id", in->model_id, err);
    if (!rc)
        rc = put(body, "model_id", json_string(in->model_id), err);
    if (!rc)
        rc = put_hash(body, "model_hash", in->model_hash, true, err);
    if (!rc && (in->epoch < 0 || in->epoch > PSDK_JSON_INT_MAX))
        rc = psdk_fail(err, PROV_E_INVALID, "epoch %lld: want 0 or more", (long long)in->epoch);
    if (!rc)
        rc = put(body, "epoch", json_integer(in->epoch), err);
    if (!rc && in->step > PSDK_JSON_INT_MAX)
        rc = psdk_fail(err, PROV_E_INVALID, "step %lld: too large", (long long)in->step);
    if (!rc && in->step >= 0)
        rc = put(body, "step", json_integer(in->step), err);
    if (!rc)
        rc = put_object(body, "metrics", in->metrics_json, false, err);
    if (!rc)
        rc = put_hash(body, "fingerprint_hash", in->fingerprint_hash, false, err);
    if (!rc)
        rc = put_hash(body, "config_digest", in->config_digest, false, err);
    if (!rc)
        rc = put_hash(body, "code_digest", in->code_digest, false, err);
    if (!rc)
        rc = put_datasets(body, in->datasets, in->n_datasets, err);
    if (!rc && in->context && json_object_set(body, "context", (json_t *)(uintptr_t)in->context))
        rc = psdk_fail(err, PROV_E_NOMEM, "context: out of memory");
    if (!rc)
        rc = put_extra(body, in->extra_json, err);
    return write_body(out, body, rc, "checkpoint", err);
}

/* ---- validations ------------------------------------------------------------------------------------------------------ */

static int sign_body(json_t *body, const struct pv_key *key, prov_error *err)
{
    struct psdk_buf text = {0}, public_text = {0};
    char signature[140] = "";
    int rc = pv_key_public_text(key, &public_text);
    if (rc)
        rc = psdk_fail(err, rc, "validator key: %s", psdk_rc_text(rc));
    if (!rc)
        rc = put(body, "validator_key", json_string(psdk_buf_str(&public_text)), err);
    if (!rc)
        rc = psdk_jcs_write(body, &text, err);
    if (!rc && key->algorithm == PV_KEY_ED25519) {
        uint8_t sig[64];
        rc = psdk_ed25519_sign(&key->ed, text.data, text.len, sig, err);
        if (!rc)
            psdk_base64(sig, sizeof sig, signature);
    } else if (!rc) {
        uint8_t digest[32], sig[65];
        psdk_eip191_digest(text.data, text.len, digest);
        rc = psdk_secp256k1_sign(key->secp_secret, digest, sig, err);
        memcpy(signature, "0x", 2);
        psdk_hex(sig, sizeof sig, signature + 2);
    }
    if (!rc)
        rc = put(body, "validator_signature", json_string(signature), err);
    psdk_buf_done(&text);
    psdk_buf_done(&public_text);
    return rc;
}

int pv_validation_body(struct psdk_buf *out, const struct pv_validation_fields *in, prov_error *err)
{
    json_t *body = json_object();
    int rc = pv_id_check("model_id", in->model_id, err);
    if (!rc)
        rc = put(body, "model_id", json_string(in->model_id), err);
    if (!rc)
        rc = put_hash(body, "model_hash", in->model_hash, true, err);
    if (!rc)
        rc = put_text(body, "validator_id", in->validator_id, err);
    if (!rc)
        rc = put_object(body, "validation_result", in->result_json, true, err);
    if (!rc && (isnan(in->confidence_score) || in->confidence_score > 1))
        rc = psdk_fail(err, PROV_E_INVALID, "confidence_score: want a number from 0 to 1");
    if (!rc && in->confidence_score >= 0)
        rc = put(body, "confidence_score", json_real(in->confidence_score), err);
    if (!rc)
        rc = put_hash(body, "challenge_hash", in->challenge_hash, false, err);
    if (!rc)
        rc = put_hash(body, "checkpoint_id", in->checkpoint_id, false, err);
    if (!rc)
        rc = put_extra(body, in->extra_json, err);
    if (!rc && in->key)
        rc = sign_body(body, in->key, err);
    return write_body(out, body, rc, "validation", err);
}

static bool ed25519_holds(const char *key, const char *signature, const struct psdk_buf *text)
{
    uint8_t public_key[32], sig[64];
    return strlen(key) == 8 + 64 && psdk_unhex(key + 8, 64, public_key, 32) &&
           psdk_unbase64(signature, strlen(signature), sig, sizeof sig) == 64 &&
           psdk_ed25519_verify(public_key, text->data, text->len, sig);
}

static bool eip191_holds(const char *key, const char *signature, const struct psdk_buf *text)
{
    uint8_t want[20], got[20], sig[65], digest[32];
    prov_error ignored = {0};
    if (!psdk_eth_address_parse(key, want) || !psdk_eth_signature_parse(signature, sig))
        return false;
    psdk_eip191_digest(text->data, text->len, digest);
    return psdk_eth_recover(digest, sig, got, &ignored) == PROV_OK && memcmp(want, got, 20) == 0;
}

int pv_validation_check(const json_t *body, bool *ret_signed, char *ret_key, prov_error *err)
{
    struct psdk_buf text = {0};
    const char *signature = json_string_value(json_object_get(body, "validator_signature"));
    const char *key = json_string_value(json_object_get(body, "validator_key"));
    *ret_signed = json_object_get(body, "validator_signature") != NULL;
    if (!*ret_signed)
        return PROV_OK;
    if (!signature || !key || strlen(key) >= PV_TRUST_NAME)
        return psdk_fail(err, PROV_E_CORRUPT, "validator_signature: stands without a validator_key");
    memcpy(ret_key, key, strlen(key) + 1);
    json_t *rest = json_copy((json_t *)(uintptr_t)body);
    int rc = rest ? PROV_OK : psdk_fail(err, PROV_E_NOMEM, "validator_signature: out of memory");
    if (!rc) {
        json_object_del(rest, "validator_signature");
        rc = psdk_jcs_write(rest, &text, err);
    }
    if (!rc && !(strncmp(key, "ed25519:", 8) == 0 ? ed25519_holds(key, signature, &text) : eip191_holds(key, signature, &text)))
        rc = psdk_fail(err, PROV_E_CORRUPT, "validator_signature: does not verify with %s", key);
    json_decref(rest);
    psdk_buf_done(&text);
    return rc;
}
