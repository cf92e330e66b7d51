/* api_setup.c - prov init and prov doctor. SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api.h"
#include "psdk_file.h"
#include "pv_dirs.h"
#include "pv_note.h"

/* ---- init ------------------------------------------------------------------------------------------------------------- */

static int new_origin(char ret[PV_ORIGIN_MAX + 1], prov_error *err)
{
    uint8_t u[16];
    char hex[33];
    int rc = psdk_random(u, sizeof u, err);
    u[6] = (uint8_t)((u[6] & 0x0fu) | 0x40u); /* version 4 */
    u[8] = (uint8_t)((u[8] & 0x3fu) | 0x80u);
    psdk_hex(u, sizeof u, hex);
    snprintf(ret, PV_ORIGIN_MAX + 1, "provhost.local/%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
    return rc;
}

/* The file for people: what can be set stands there, with the defaults as comments. */
static int write_config(const prov_init_params *p, const char *file, const char *origin, const char *vkey, prov_error *err)
{
    struct psdk_buf t = {0};
    bool chain = p && p->flags & PROV_INIT_BLOCKCHAIN;
    bool fingerprint = !p || p->flags & PROV_INIT_FINGERPRINT;
    psdk_buf_addf(&t,
                  "# Provhost configuration. `prov config check` checks it, `prov config show --origin` explains every value.\n"
                  "version: 1\n"
                  "\n"
                  "# The name of this store; every stream's origin begins with it. It cannot change once something is recorded.\n"
                  "origin: %s\n"
                  "\n"
                  "# Where records, tiles and versions are kept: a folder here, or another storage plugin.\n"
                  "store:\n"
                  "  plugin: %s\n"
                  "  path: ./prov-data\n"
                  "\n",
                  origin, pv_config_default("store.plugin"));
    if (p && p->model_id)
        psdk_buf_addf(&t, "# The model that commands are about when --model-id is not given.\nmodel_id: %s\n\n", p->model_id);
    else
        psdk_buf_adds(&t, "# The model that commands are about when --model-id is not given.\n# model_id: my-model\n\n");
    psdk_buf_addf(&t,
                  "# Which network anchors go to: one word, a name under `networks`. `offline` is a signed local journal.\n"
                  "chain:\n"
                  "  network: %s\n"
                  "\n"
                  "record:\n"
                  "  batch_size: 10      # records that close a batch\n"
                  "  max_delay: 1s       # or this much time\n"
                  "  fingerprint_checkpoints: %s   # by recorders that can run the model\n"
                  "  # context: [git, libraries]   # add command and host if they may be known\n",
                  chain ? "dev" : "offline", fingerprint ? "true" : "false");
    psdk_buf_addf(&t,
                  "\n"
                  "# Whose signatures count when something is verified: this store's log key; add those of other stores here.\n"
                  "trust:\n"
                  "  keys:\n"
                  "    - \"%s\"\n",
                  vkey);
    if (chain)
        psdk_buf_addf(&t,
                      "\nnetworks:\n"
                      "  dev:                # a local node; PRIVATE_KEY is read from the environment\n"
                      "    plugin: %s\n"
                      "    rpc: [\"http://127.0.0.1:8545\"]\n"
                      "    chain_id: 31337\n"
                      "    confirmations: 1\n",
                      pv_config_default("networks.*.plugin"));
    int rc = psdk_buf_check(&t, err);
    if (!rc)
        rc = psdk_write_file(file, t.data, t.len, 0644, true, err);
    if (rc == PROV_E_EXISTS)
        psdk_fail(err, rc, "%s: is there already; prov init never overwrites", file);
    psdk_buf_done(&t);
    return rc;
}

static int ensure_key(prov_handle *h, struct pv_key *key, const char *name, prov_error *err)
{
    int rc = pv_key_load(key, h->keys_dir, name, &api_passphrase, err);
    if (rc != PROV_E_NOT_FOUND)
        return rc;
    rc = pv_key_new(key, name, PV_KEY_ED25519, err);
    return rc ? rc : pv_key_save(key, h->keys_dir, NULL, err);
}

/* The keys of the new store, made or found. */
static int make_keys(const char *dir, const char *origin, struct psdk_buf *ret_vkey, prov_error *err)
{
    prov_setting setting = {"origin", origin, "--origin"};
    prov_open_params open = {.struct_size = sizeof open, .flags = PROV_OPEN_NO_PROJECT, .work_dir = dir,
                             .settings = &setting, .n_settings = 1};
    prov_handle *h = NULL;
    int rc = prov_open(&open, &h, err);
    if (!rc)
        rc = api_origin(h, err);
    if (!rc)
        rc = api_keys_dir(h, err);
    if (!rc)
        rc = psdk_mkdirs(h->keys_dir, 0700, err);
    if (!rc)
        rc = ensure_key(h, &h->log_key, "log", err);
    if (!rc)
        rc = ensure_key(h, &h->writer_key, "writer", err);
    if (!rc) {
        pv_vkey_format(ret_vkey, origin, h->log_key.ed.public_key);
        rc = psdk_buf_check(ret_vkey, err);
    }
    prov_close(h);
    return rc;
}

/* Opens what was written as a user would, and claims the store. */
static int try_out(const char *file, const char *vkey, json_t **ret, prov_error *err)
{
    prov_open_params open = {.struct_size = sizeof open, .config_file = file};
    struct pv_ledger *ledger = NULL;
    prov_handle *h = NULL;
    int rc = prov_open(&open, &h, err);
    if (!rc)
        rc = api_ledger(h, &ledger, err);
    if (!rc)
        rc = api_claim_store(h, err);
    if (!rc)
        *ret = json_pack("{s:s,s:s,s:s,s:s,s:s}", "config", file, "origin", h->origin, "keys_dir", h->keys_dir, "log_key",
                         vkey, "store", pv_config_str(h->config, "store.plugin"));
    prov_close(h);
    return rc;
}

static int check_init(const prov_init_params *p, char origin[PV_ORIGIN_MAX + 1], prov_error *err)
{
    int rc = p && p->model_id ? pv_id_check("model id", p->model_id, err) : PROV_OK;
    if (rc || !p || !p->origin)
        return rc ? rc : new_origin(origin, err);
    if (!pv_origin_ok(p->origin))
        return psdk_fail(err, PROV_E_INVALID, "origin '%.200s': want printable ASCII without spaces, '+', '\"' and '\\'",
                         p->origin);
    snprintf(origin, PV_ORIGIN_MAX + 1, "%s", p->origin);
    return PROV_OK;
}

int prov_init(const prov_init_params *params, char **ret_json, prov_error *err)
{
    API_ERR(err);
    char origin[PV_ORIGIN_MAX + 1], dir[PATH_MAX], file[PATH_MAX + 16];
    const char *want = params && params->dir ? params->dir : ".";
    struct psdk_buf vkey = {0};
    json_t *doc = NULL;
    int rc = check_init(params, origin, err);
    if (!rc)
        rc = psdk_mkdirs(want, 0755, err);
    if (!rc && !realpath(want, dir))
        rc = psdk_fail_errno(err, errno, "%s", want);
    snprintf(file, sizeof file, "%s/prov.yaml", rc ? "" : dir);
    if (!rc && access(file, F_OK) == 0)
        rc = psdk_fail(err, PROV_E_EXISTS, "%s: is there already; prov init never overwrites", file);
    if (!rc)
        rc = make_keys(dir, origin, &vkey, err);
    if (!rc)
        rc = write_config(params, file, origin, psdk_buf_str(&vkey), err);
    if (!rc)
        rc = pv_config_trust(file, NULL, err);
    if (!rc)
        rc = try_out(file, psdk_buf_str(&vkey), &doc, err);
    psdk_buf_done(&vkey);
    return rc ? rc : api_give(doc, ret_json, err);
}

/* ---- doctor ------------------------------------------------------------------------------------------------------------ */

struct doctor {
    prov_handle *h;
    json_t *checks;
    bool ok;
    uint64_t pending;
    char first[300];
};

static void note(struct doctor *d, const char *name, const char *status, const char *detail, const char *remedy)
{
    json_t *one = json_pack("{s:s,s:s,s:s}", "name", name, "status", status, "detail", detail);
    if (remedy)
        json_object_set_new(one, "remedy", json_string(remedy));
    json_array_append_new(d->checks, one);
    if (strcmp(status, "fail") == 0)
        d->ok = false;
}

static void count_pending(void *ctx, const char *path, uint64_t bytes)
{
    struct doctor *d = ctx;
    if (!d->pending)
        snprintf(d->first, sizeof d->first, "%s", path);
    d->pending += bytes;
}

static void check_journal(struct doctor *d)
{
    struct pv_ledger *ledger = NULL;
    prov_error err = {0};
    char detail[400];
    if (api_ledger(d->h, &ledger, &err) != PROV_OK) {
        note(d, "keys", "fail", err.message,
             err.code != PROV_E_NOT_FOUND       ? "what the message says"
             : pv_config_file(d->h->config) ? "copy log.key and make a writer key (prov key new writer); see docs/hosts.md"
                                            : "prov init");
        return;
    }
    note(d, "keys", "ok", d->h->keys_dir, NULL);
    if (pv_ledger_pending(ledger, count_pending, d, &err) != PROV_OK) {
        note(d, "journal", "fail", err.message, NULL);
    } else if (d->pending) {
        snprintf(detail, sizeof detail, "%llu bytes of records wait to be sealed (first: %s)", (unsigned long long)d->pending,
                 d->first);
        note(d, "journal", "warn", detail, "they are safe; the next recording command seals them once the store works");
    } else {
        note(d, "journal", "ok", "nothing waits", NULL);
    }
}

static void check_store(struct doctor *d)
{
    struct pv_store *store = NULL;
    prov_error err = {0};
    int rc = api_store(d->h, &store, &err);
    if (!rc)
        rc = pv_store_probe(store, &err);
    if (rc == PROV_E_UNSUPPORTED) {
        prov_object object = {.struct_size = sizeof object};
        rc = pv_store_stat(store, "store.json", &object, &err);
        rc = rc == PROV_E_NOT_FOUND ? PROV_OK : rc;
    }
    if (rc)
        note(d, "store", "fail", err.message, "records are kept in the journal until the store works again");
    else
        note(d, "store", "ok", pv_store_name(store), NULL);
}

/* The head of every stream: readable, signed, and not behind what this host has seen. */
static void check_streams(struct doctor *d)
{
    char *text = NULL, detail[600] = "";
    prov_error err = {0};
    size_t bad = 0, i;
    json_t *one;
    if (prov_log_list(d->h, &text, &err) != PROV_OK)
        return; /* the store's own check has said why */
    json_t *list = psdk_json_parse(text, strlen(text), "streams", &err);
    prov_free(text);
    json_array_foreach(list, i, one)
    {
        struct pv_reader r;
        uint8_t key[32];
        const char *path = json_string_value(json_object_get(one, "stream"));
        int rc = api_reader(d->h, path, &r, &err);
        if (!rc) {
            rc = api_signer(d->h, &r, key, &err);
            pv_reader_close(&r);
        }
        if (rc && !bad++)
            snprintf(detail, sizeof detail, "%.150s: %.440s", path, err.message);
    }
    if (bad)
        note(d, "streams", "fail", detail, "prov log verify tells what is wrong; bring the store back from where it is whole");
    else
        note(d, "streams", "ok", "every head is signed and as far as this host has seen", NULL);
    json_decref(list);
}

static void check_chain(struct doctor *d, const char *network)
{
    struct api_spec s = {0};
    struct pv_plugins *plugins = NULL;
    prov_error err = {0};
    char section[256];
    const char *name = network ? network : pv_config_str(d->h->config, "chain.network");
    snprintf(section, sizeof section, "networks.%.200s", name ? name : "");
    int rc = api_plugins(d->h, &plugins, &err);
    if (!rc)
        rc = api_spec_init(d->h, &s, section, PROV_ROLE_CHAIN, &err);
    if (!rc)
        rc = pv_plugin_spec_check(plugins, &s.spec, &err);
    if (rc)
        note(d, "chain", "fail", err.message, "prov config check");
    else
        note(d, "chain", "ok", name, NULL);
    api_spec_done(&s);
}

int prov_doctor(prov_handle *handle, const char *network, char **ret_json, prov_error *err)
{
    API_ERR(err);
    struct doctor d = {.h = handle, .checks = json_array(), .ok = true};
    const char *file = pv_config_file(handle->config);
    prov_error bad = {0};
    if (!file)
        note(&d, "configuration", "warn", "no prov.yaml found; defaults are used", "prov init");
    else
        note(&d, "configuration", pv_config_trusted(handle->config) ? "ok" : "warn", file,
             pv_config_trusted(handle->config) ? NULL : "read it, then: prov config trust FILE");
    check_journal(&d);
    if (api_origin(handle, &bad) != PROV_OK)
        note(&d, "origin", "fail", bad.message, "prov init");
    else
        note(&d, "origin", "ok", handle->origin, NULL);
    check_store(&d);
    check_streams(&d);
    check_chain(&d, network);
    if (handle->trust.n_keys == 0)
        note(&d, "trust", "warn", "no log key is trusted: verifications end with 'signer unknown'",
             "add the other side's `prov key show log` line to trust.keys");
    else
        note(&d, "trust", "ok", "log keys are trusted", NULL);
    return api_give(json_pack("{s:b,s:o}", "ok", d.ok, "checks", d.checks), ret_json, err);
}
