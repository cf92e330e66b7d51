/* api_key.c - keys of this host. SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api.h"
#include "psdk_eth.h"
#include "psdk_file.h"
#include "pv_note.h"

static int ask_environment(void *ctx, const char *key_name, char *ret, size_t cap, prov_error *err)
{
    const char *text = secure_getenv("PROV_PASSPHRASE");
    (void)ctx;
    if (!text)
        return psdk_fail(err, PROV_E_DENIED, "key %s is encrypted: set PROV_PASSPHRASE in the environment", key_name);
    if (strlen(text) >= cap)
        return psdk_fail(err, PROV_E_LIMIT, "PROV_PASSPHRASE: too long");
    memcpy(ret, text, strlen(text) + 1);
    return PROV_OK;
}

const struct pv_passphrase api_passphrase = {NULL, ask_environment};

json_t *api_key_json(const struct pv_key *key, const char *origin, const char *dir, prov_error *err)
{
    struct psdk_buf text = {0}, vkey = {0};
    char id[PSDK_KEYID_HEX], address[43];
    bool ed = key->algorithm == PV_KEY_ED25519;
    pv_key_public_text(key, &text);
    json_t *doc = json_pack("{s:s,s:s,s:s}", "name", key->name, "algorithm", ed ? "ed25519" : "secp256k1", "public",
                            psdk_buf_str(&text));
    if (ed) {
        psdk_key_id(key->ed.public_key, id);
        json_object_set_new(doc, "key_id", json_string(id));
    } else {
        psdk_eth_address_format(key->address, address);
        json_object_set_new(doc, "address", json_string(address));
    }
    if (ed && origin && origin[0] && pv_vkey_format(&vkey, origin, key->ed.public_key) == PROV_OK)
        json_object_set_new(doc, "verifier_key", json_string(psdk_buf_str(&vkey)));
    if (doc && dir) {
        struct psdk_buf file = {0};
        psdk_buf_addf(&file, "%s/%s.key", dir, key->name);
        json_object_set_new(doc, "file", json_string(psdk_buf_str(&file)));
        psdk_buf_done(&file);
    }
    psdk_buf_done(&text);
    psdk_buf_done(&vkey);
    if (!doc)
        psdk_fail(err, PROV_E_NOMEM, "out of memory");
    return doc;
}

static int save_key(prov_handle *h, struct pv_key *key, const char *passphrase, char **ret_json, prov_error *err)
{
    int rc = psdk_mkdirs(h->keys_dir, 0700, err);
    if (!rc)
        rc = pv_key_save(key, h->keys_dir, passphrase, err);
    return rc ? rc : api_give(api_key_json(key, h->origin, h->keys_dir, err), ret_json, err);
}

static int check_name(const char *name, prov_error *err)
{
    return name && pv_key_name_ok(name)
               ? PROV_OK
               : psdk_fail(err, PROV_E_INVALID, "key name '%.80s': want lower-case letters, digits, '.', '_' or '-'",
                           name ? name : "");
}

int prov_key_new(prov_handle *handle, const char *name, const char *algorithm, const char *passphrase, char **ret_json,
                 prov_error *err)
{
    API_ERR(err);
    struct pv_key key = PV_KEY_INIT;
    int kind = !algorithm || strcmp(algorithm, "ed25519") == 0 ? PV_KEY_ED25519
               : strcmp(algorithm, "secp256k1") == 0           ? PV_KEY_SECP256K1
                                                               : 0;
    int rc = check_name(name, err);
    if (!rc && !kind)
        rc = psdk_fail(err, PROV_E_INVALID, "algorithm '%.40s': want ed25519 or secp256k1", algorithm);
    if (!rc)
        rc = api_keys_dir(handle, err);
    if (!rc)
        rc = pv_key_new(&key, name, kind, err);
    if (!rc)
        rc = save_key(handle, &key, passphrase, ret_json, err);
    pv_key_done(&key);
    return rc;
}

static int given_passphrase(void *ctx, const char *key_name, char *ret, size_t cap, prov_error *err)
{
    const char *text = ctx;
    if (!text)
        return ask_environment(NULL, key_name, ret, cap, err);
    if (strlen(text) >= cap)
        return psdk_fail(err, PROV_E_LIMIT, "passphrase: too long");
    memcpy(ret, text, strlen(text) + 1);
    return PROV_OK;
}

int prov_key_import(prov_handle *handle, const char *name, const char *file, const char *passphrase, char **ret_json,
                    prov_error *err)
{
    API_ERR(err);
    struct pv_key key = PV_KEY_INIT;
    struct pv_passphrase pass = {(void *)(uintptr_t)passphrase, given_passphrase};
    int rc = check_name(name, err);
    if (!rc)
        rc = api_keys_dir(handle, err);
    if (!rc)
        rc = pv_key_load_file(&key, file, name, &pass, err);
    if (!rc)
        rc = save_key(handle, &key, passphrase, ret_json, err);
    pv_key_done(&key);
    return rc;
}

int prov_key_show(prov_handle *handle, const char *name, char **ret_json, prov_error *err)
{
    API_ERR(err);
    struct pv_key key = PV_KEY_INIT;
    json_t *doc = NULL;
    int rc = check_name(name, err);
    if (!rc)
        rc = api_keys_dir(handle, err);
    if (!rc)
        rc = pv_key_load(&key, handle->keys_dir, name, &api_passphrase, err);
    if (!rc)
        doc = api_key_json(&key, handle->origin, handle->keys_dir, err);
    pv_key_done(&key);
    return rc ? rc : api_give(doc, ret_json, err);
}

int prov_key_list(prov_handle *handle, char **ret_json, prov_error *err)
{
    API_ERR(err);
    struct psdk_buf names = {0};
    json_t *list = json_array();
    int rc = api_keys_dir(handle, err);
    if (!rc)
        rc = pv_key_list(handle->keys_dir, &names, err);
    for (const char *n = psdk_buf_str(&names); !rc && *n; n += strlen(n) + 1) {
        struct pv_key key = PV_KEY_INIT;
        prov_error bad = {0};
        if (pv_key_load(&key, handle->keys_dir, n, &api_passphrase, &bad) == PROV_OK)
            json_array_append_new(list, api_key_json(&key, handle->origin, handle->keys_dir, err));
        else
            json_array_append_new(list, json_pack("{s:s,s:s}", "name", n, "error", bad.message));
        pv_key_done(&key);
    }
    psdk_buf_done(&names);
    if (rc) {
        json_decref(list);
        return rc;
    }
    return api_give(list, ret_json, err);
}

/* key.authorize and key.revoke are records like others, signed inside by the log key. */
static int key_record(prov_handle *h, const char *stream, const char *public_key, const char *kind, const char *role,
                      const char *reason, char **ret_json, prov_error *err)
{
    struct pv_ledger *ledger = NULL;
    struct pv_stream *s = NULL;
    struct psdk_buf body = {0};
    char name[PV_TRUST_NAME], id[65];
    uint8_t key[32];
    char model[300];
    int rc = pv_public_parse(public_key, name, key, err);
    if (!rc && !stream) {
        rc = api_model_path(h, NULL, model, sizeof model, err);
        stream = model;
    }
    if (!rc)
        rc = api_ledger(h, &ledger, err);
    if (!rc)
        rc = api_stream(h, stream, &s, err);
    if (!rc)
        rc = pv_authorize_body(&body, pv_stream_origin(s), role, key, ledger->log_key, err);
    if (!rc && reason) { /* "reason" sorts before "role" */
        json_t *o = psdk_json_parse(psdk_buf_str(&body), body.len, "body", err);
        json_object_set_new(o, "reason", json_string(reason));
        psdk_buf_clear(&body);
        rc = o ? psdk_jcs_write(o, &body, err) : err->code;
        json_decref(o);
    }
    const char *slash = strrchr(stream, '/');
    if (!rc)
        rc = api_record(h, stream, kind, slash ? slash + 1 : "store", NULL, psdk_buf_str(&body), id, err);
    psdk_buf_done(&body);
    return rc ? rc : api_give(json_pack("{s:s}", "id", id), ret_json, err);
}

int prov_key_authorize(prov_handle *handle, const char *stream, const char *public_key, char **ret_json, prov_error *err)
{
    API_ERR(err);
    return key_record(handle, stream, public_key, "key.authorize", "writer", NULL, ret_json, err);
}

int prov_key_revoke(prov_handle *handle, const char *stream, const char *public_key, const char *reason, char **ret_json,
                    prov_error *err)
{
    API_ERR(err);
    char name[PV_TRUST_NAME];
    uint8_t key[32];
    struct pv_ledger *ledger = NULL;
    int rc = pv_public_parse(public_key, name, key, err);
    if (!rc)
        rc = api_ledger(handle, &ledger, err);
    if (!rc && memcmp(key, ledger->writer_key->public_key, 32) == 0)
        rc = psdk_fail(err, PROV_E_INVALID,
                       "this host writes with that key: what it writes afterwards would not verify; revoke it from another host");
    if (rc)
        return rc;
    return key_record(handle, stream, public_key, "key.revoke", "revoke", reason ? reason : "", ret_json, err);
}
