/* api_handle.c - opening a handle, and what it opens on first use. SPDX-License-Identifier: Apache-2.0 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api.h"
#include "psdk_file.h"
#include "pv_call.h"
#include "pv_dirs.h"

#define STORE_INFO "store.json"

int api_give(json_t *doc, char **ret_json, prov_error *err)
{
    struct psdk_buf out = {0};
    if (!doc)
        return err->code ? err->code : psdk_fail(err, PROV_E_NOMEM, "out of memory");
    int rc = ret_json ? psdk_jcs_write(doc, &out, err) : PROV_OK;
    if (!rc && ret_json)
        *ret_json = psdk_buf_take(&out);
    psdk_buf_done(&out);
    json_decref(doc);
    return rc;
}

/* ---- trust ------------------------------------------------------------------------------------------------------------ */

static int trust_key(prov_handle *h, const char *text, const char *where, prov_error *err)
{
    struct pv_trusted_key *more = realloc(h->trust.key, (h->trust.n_keys + 1) * sizeof *more);
    if (!more)
        return psdk_fail(err, PROV_E_NOMEM, "trust: out of memory");
    h->trust.key = more;
    memset(&more[h->trust.n_keys], 0, sizeof *more);
    int rc = pv_public_parse(text, more[h->trust.n_keys].name, more[h->trust.n_keys].key, err);
    if (rc == PROV_E_NOT_FOUND) /* neither a key nor a file */
        err->code = rc = PROV_E_INVALID;
    if (rc && strcmp(where, "--trust") != 0)
        err->code = rc = PROV_E_CONFIG;
    if (rc)
        return psdk_wrap(err, "%s", where);
    h->trust.n_keys++;
    return PROV_OK;
}

static int load_trust(prov_handle *h, const prov_open_params *p, prov_error *err)
{
    int rc = PROV_OK;
    for (size_t i = 0; !rc && i < pv_config_count(h->config, "trust.keys"); i++) {
        const char *where = pv_config_origin(h->config, "trust.keys");
        rc = trust_key(h, pv_config_item(h->config, "trust.keys", i), where ? where : "trust.keys", err);
    }
    for (uint64_t i = 0; !rc && p && i < p->n_trust; i++)
        rc = trust_key(h, p->trust[i], "--trust", err);
    size_t n = pv_config_count(h->config, "trust.validators");
    const char **list = calloc(n ? n : 1, sizeof *list);
    if (!rc && !list)
        rc = psdk_fail(err, PROV_E_NOMEM, "trust: out of memory");
    for (size_t i = 0; list && i < n; i++)
        list[i] = pv_config_item(h->config, "trust.validators", i);
    h->trust.validator = list;
    h->trust.n_validators = list ? n : 0;
    return rc;
}

/* ---- open, close ------------------------------------------------------------------------------------------------------ */

static int load_config(prov_handle *h, const prov_open_params *p, prov_error *err)
{
    size_t n = p ? (size_t)p->n_settings : 0;
    struct pv_config_flag *flags = calloc(n + 1, sizeof *flags);
    if (!flags)
        return psdk_fail(err, PROV_E_NOMEM, "out of memory");
    for (size_t i = 0; i < n; i++)
        flags[i] = (struct pv_config_flag){p->settings[i].path, p->settings[i].value, p->settings[i].from};
    if (p && p->store_url)
        flags[n++] = (struct pv_config_flag){"store", p->store_url, "--store"};
    struct pv_config_source source = {.file = p ? p->config_file : NULL,
                                      .no_project = p && p->flags & PROV_OPEN_NO_PROJECT, .work_dir = p ? p->work_dir : NULL,
                                      .flags = flags, .n_flags = n};
    int rc = pv_config_load(&source, &h->config, err);
    free(flags);
    return rc;
}

int prov_open(const prov_open_params *params, prov_handle **ret, prov_error *err)
{
    API_ERR(err);
    prov_handle *h = calloc(1, sizeof *h);
    if (!h)
        return psdk_fail(err, PROV_E_NOMEM, "out of memory");
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&h->lock, &attr);
    pthread_mutexattr_destroy(&attr);
    int rc = load_config(h, params, err);
    if (!rc)
        rc = load_trust(h, params, err);
    const char *state = rc ? NULL : pv_config_str(h->config, "state");
    if (!rc && state)
        snprintf(h->state_dir, sizeof h->state_dir, "%s", state);
    else if (!rc)
        rc = pv_dirs_get(PV_DIR_STATE, NULL, h->state_dir, sizeof h->state_dir, err);
    if (rc) {
        prov_close(h);
        return rc;
    }
    *ret = h;
    return PROV_OK;
}

void prov_close(prov_handle *handle)
{
    if (!handle)
        return;
    while (handle->streams) {
        struct api_stream *s = handle->streams;
        handle->streams = s->next;
        pv_stream_close(s->stream);
        free(s);
    }
    pv_store_close(handle->store);
    pv_plugins_free(handle->plugins);
    pv_key_done(&handle->log_key);
    pv_key_done(&handle->writer_key);
    json_decref(handle->context);
    free(handle->trust.key);
    free((void *)(uintptr_t)handle->trust.validator);
    pv_config_free(handle->config);
    pthread_mutex_destroy(&handle->lock);
    free(handle);
}

void prov_cancel(prov_handle *handle)
{
    (void)handle; /* one process-wide flag: a signal handler has nothing better */
    pv_call_cancel_all();
}

/* ---- plugins ---------------------------------------------------------------------------------------------------------- */

/* <folder of libprov.so>/prov/plugins */
static bool own_plugin_dir(char *ret, size_t cap)
{
    Dl_info info;
    if (!dladdr((const void *)(uintptr_t)own_plugin_dir, &info) || !info.dli_fname)
        return false;
    char *real = realpath(info.dli_fname, NULL);
    char *slash = real ? strrchr(real, '/') : NULL;
    if (slash)
        *slash = '\0';
    bool ok = slash && snprintf(ret, cap, "%s/prov/plugins", real) < (int)cap;
    free(real);
    return ok;
}

static int open_plugins(prov_handle *h, prov_error *err)
{
    char own[1024] = "", seen[1024] = "";
    prov_error ignored = {0};
    size_t n = pv_config_count(h->config, "plugins.path"), at = 0;
    const char **path = calloc(n + 2, sizeof *path);
    if (!path)
        return psdk_fail(err, PROV_E_NOMEM, "out of memory");
    for (size_t i = 0; i < n; i++)
        path[at++] = pv_config_item(h->config, "plugins.path", i);
    if (own_plugin_dir(own, sizeof own))
        path[at++] = own;
    if (pv_dirs_get(PV_DIR_CACHE, "plugins-seen", seen, sizeof seen, &ignored) != PROV_OK)
        seen[0] = '\0';
    struct pv_plugins_config config = {.path = path, .seen_dir = seen[0] ? seen : NULL, .state_dir = h->state_dir};
    int rc = pv_plugins_new(&config, &h->plugins, err);
    free(path);
    return rc;
}

int api_plugins(prov_handle *h, struct pv_plugins **ret, prov_error *err)
{
    pthread_mutex_lock(&h->lock);
    int rc = h->plugins ? PROV_OK : open_plugins(h, err);
    *ret = h->plugins;
    pthread_mutex_unlock(&h->lock);
    return rc;
}

static void add_option(void *ctx, const char *name, const char *value, const char *where)
{
    struct api_spec *s = ctx;
    if (strcmp(name, "plugin") == 0)
        return;
    if (strcmp(name, "timeout") == 0) {
        psdk_parse_duration(value, &s->spec.timeout_ns);
        return;
    }
    if (s->n == s->cap) {
        size_t cap = s->cap ? s->cap * 2 : 16;
        struct pv_plugin_option *more = realloc(s->options, cap * sizeof *more);
        if (!more) {
            s->failed = PROV_E_NOMEM;
            return;
        }
        s->options = more;
        s->cap = cap;
    }
    /* The name is valid during the call only. */
    s->options[s->n] = (struct pv_plugin_option){strdup(name), value, where};
    if (s->options[s->n].name)
        s->n++;
    else
        s->failed = PROV_E_NOMEM;
}

int api_spec_init(prov_handle *h, struct api_spec *s, const char *section, const char *role, prov_error *err)
{
    char path[256];
    memset(s, 0, sizeof *s);
    snprintf(path, sizeof path, "%.200s.plugin", section);
    const char *driver = pv_config_str(h->config, path);
    if (!driver)
        return psdk_fail(err, PROV_E_CONFIG, "%s: no plugin is configured", section);
    s->spec.role = role;
    s->spec.driver = driver;
    s->spec.where = pv_config_origin(h->config, path);
    s->spec.base_dir = pv_config_base(h->config, section);
    snprintf(s->state_key, sizeof s->state_key, "%.60s-%.90s", section, driver);
    for (char *c = s->state_key; *c; c++)
        if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') || *c == '.' || *c == '_' || *c == '-'))
            *c = '_';
    s->spec.state_key = s->state_key;
    snprintf(path, sizeof path, "plugins.pins.%.200s", driver);
    s->spec.sha256 = pv_config_str(h->config, path);
    pv_config_each(h->config, section, add_option, s);
    s->spec.options = s->options;
    s->spec.n_options = s->n;
    return s->failed ? psdk_fail(err, s->failed, "%s: out of memory", section) : PROV_OK;
}

void api_spec_done(struct api_spec *s)
{
    for (size_t i = 0; i < s->n; i++)
        free((void *)(uintptr_t)s->options[i].name);
    free(s->options);
    memset(s, 0, sizeof *s);
}

/* ---- store and keys --------------------------------------------------------------------------------------------------- */

static int open_store(prov_handle *h, prov_error *err)
{
    struct api_spec s = {0};
    struct pv_plugins *plugins = NULL;
    int rc = api_plugins(h, &plugins, err);
    if (!rc)
        rc = api_spec_init(h, &s, "store", PROV_ROLE_STORAGE, err);
    if (!rc)
        rc = pv_store_open(plugins, &s.spec, &h->store, err);
    api_spec_done(&s);
    return rc ? psdk_wrap(err, "store") : PROV_OK;
}

int api_store(prov_handle *h, struct pv_store **ret, prov_error *err)
{
    pthread_mutex_lock(&h->lock);
    int rc = h->store ? PROV_OK : open_store(h, err);
    *ret = h->store;
    pthread_mutex_unlock(&h->lock);
    return rc;
}

static int read_store_info(prov_handle *h, struct pv_store_info *ret, prov_error *err)
{
    struct pv_store *store = NULL;
    struct psdk_buf data = {0};
    int rc = api_store(h, &store, err);
    if (!rc)
        rc = pv_store_get(store, STORE_INFO, 65536, &data, NULL, err);
    if (!rc)
        rc = pv_store_info_parse(psdk_buf_str(&data), data.len, STORE_INFO, ret, err);
    psdk_buf_done(&data);
    return rc;
}

int api_origin(prov_handle *h, prov_error *err)
{
    struct pv_store_info info;
    if (h->origin[0])
        return PROV_OK;
    const char *configured = pv_config_str(h->config, "origin");
    if (configured) {
        if (!pv_origin_ok(configured))
            return psdk_fail(err, PROV_E_CONFIG, "%s: origin '%.200s': want printable ASCII without spaces, '+', '\"' and '\\'",
                             pv_config_origin(h->config, "origin"), configured);
        snprintf(h->origin, sizeof h->origin, "%s", configured);
        return PROV_OK;
    }
    int rc = read_store_info(h, &info, err);
    if (rc == PROV_E_NOT_FOUND)
        return psdk_fail(err, PROV_E_NOT_FOUND, "the store is empty and no origin is configured: run `prov init` first");
    if (!rc)
        snprintf(h->origin, sizeof h->origin, "%s", info.origin);
    return rc;
}

int api_keys_dir(prov_handle *h, prov_error *err)
{
    const char *keys = pv_config_str(h->config, "keys"), *from = pv_config_origin(h->config, "keys");
    uint8_t digest[32];
    char hex[PSDK_SHA256_HEX];
    if (h->keys_dir[0])
        return PROV_OK;
    if (keys && from && strcmp(from, "default") != 0) {
        snprintf(h->keys_dir, sizeof h->keys_dir, "%s", keys);
        return PROV_OK;
    }
    int rc = api_origin(h, err);
    if (rc)
        return rc;
    psdk_sha256(h->origin, strlen(h->origin), digest);
    psdk_hex(digest, 32, hex);
    if (!keys)
        return psdk_fail(err, PROV_E_CONFIG, "no home directory is known: set HOME, XDG_CONFIG_HOME or the setting `keys`");
    snprintf(h->keys_dir, sizeof h->keys_dir, "%.900s/%.16s", keys, hex); /* a folder for each store */
    return PROV_OK;
}

static int load_one_key(prov_handle *h, struct pv_key *key, const char *name, prov_error *err)
{
    int rc = pv_key_load(key, h->keys_dir, name, &api_passphrase, err);
    if (rc == PROV_E_NOT_FOUND)
        return psdk_fail(err, PROV_E_NOT_FOUND, "%s/%s.key: this host has no %s key for the store %s; run `prov init`, or copy the key of the host that has it",
                         h->keys_dir, name, name, h->origin);
    if (!rc && key->algorithm != PV_KEY_ED25519)
        rc = psdk_fail(err, PROV_E_CONFIG, "%s/%s.key: want an Ed25519 key", h->keys_dir, name);
    return rc;
}

/* Keys are chosen by the store's name, so that name must come from somebody whom the user trusts: a cloned project, or a
 * folder that calls itself like the user's store, must not get anything signed. */
static int check_may_sign(prov_handle *h, prov_error *err)
{
    const char *file = pv_config_file(h->config);
    if (file && !pv_config_trusted(h->config))
        return psdk_fail(err, PROV_E_DENIED, "%s: is a project file that you have not trusted, so nothing is signed for it; read it, then: prov config trust %s",
                         file, file);
    if (!pv_config_str(h->config, "origin"))
        return psdk_fail(err, PROV_E_DENIED, "no configuration says which store this is (`origin`), and what a store calls itself is not enough to sign for it: run `prov init`, or set `origin` to %s in %s/prov.yaml",
                         h->origin, pv_config_user_dir(h->config) ? pv_config_user_dir(h->config) : "your");
    return PROV_OK;
}

static int load_ledger(prov_handle *h, prov_error *err)
{
    int rc = api_origin(h, err);
    if (!rc)
        rc = check_may_sign(h, err);
    if (!rc)
        rc = api_keys_dir(h, err);
    if (!rc)
        rc = load_one_key(h, &h->log_key, "log", err);
    if (!rc)
        rc = load_one_key(h, &h->writer_key, "writer", err);
    if (rc)
        return rc;
    h->ledger = (struct pv_ledger){.store_origin = h->origin, .state_dir = h->state_dir, .log_key = &h->log_key.ed,
                                   .writer_key = &h->writer_key.ed};
    h->keys_loaded = true;
    return PROV_OK;
}

int api_ledger(prov_handle *h, struct pv_ledger **ret, prov_error *err)
{
    pthread_mutex_lock(&h->lock);
    int rc = h->keys_loaded ? PROV_OK : load_ledger(h, err);
    *ret = &h->ledger;
    pthread_mutex_unlock(&h->lock);
    return rc;
}

/* ---- streams ------------------------------------------------------------------------------------------------------------ */

static int find_stream(prov_handle *h, const char *path, struct pv_stream **ret, prov_error *err)
{
    struct pv_ledger *ledger = NULL;
    for (struct api_stream *s = h->streams; s; s = s->next)
        if (strcmp(pv_stream_path(s->stream), path) == 0) {
            *ret = s->stream;
            return PROV_OK;
        }
    int rc = api_ledger(h, &ledger, err);
    struct api_stream *s = rc ? NULL : calloc(1, sizeof *s);
    if (!rc && !s)
        rc = psdk_fail(err, PROV_E_NOMEM, "out of memory");
    if (!rc)
        rc = pv_stream_open(ledger, path, &s->stream, err);
    if (rc) {
        free(s);
        return rc;
    }
    s->next = h->streams;
    h->streams = s;
    *ret = s->stream;
    return PROV_OK;
}

int api_stream(prov_handle *h, const char *path, struct pv_stream **ret, prov_error *err)
{
    pthread_mutex_lock(&h->lock);
    int rc = find_stream(h, path, ret, err);
    pthread_mutex_unlock(&h->lock);
    return rc;
}

const char *api_model_id(prov_handle *h, const char *given)
{
    const char *id = given ? given : pv_config_str(h->config, "model_id");
    return id ? id : pv_config_str(h->config, "default_model");
}

int api_model_path(prov_handle *h, const char *model_id, char *ret, size_t cap, prov_error *err)
{
    const char *id = api_model_id(h, model_id);
    int rc = pv_id_check("model id", id ? id : "", err);
    if (!rc)
        snprintf(ret, cap, "models/%s", id);
    return rc;
}

const char *api_actor(prov_handle *h, const char *given)
{
    const char *actor = given ? given : pv_config_str(h->config, "actor");
    return actor ? actor : "local";
}

/* What this host has seen of a stream, before the store is read: the store can then only be ahead of it. */
static bool seen_before(prov_handle *h, const char *path, struct pv_journal_mark *ret)
{
    struct pv_ledger *ledger = NULL;
    struct pv_stream *s = NULL;
    struct pv_journal_state state;
    prov_error ignored = {0};
    if (api_ledger(h, &ledger, &ignored) != PROV_OK || !pv_ledger_has(ledger, path) ||
        api_stream(h, path, &s, &ignored) != PROV_OK || pv_stream_state(s, &state, &ignored) != PROV_OK)
        return false;
    *ret = state.sealed;
    return state.sealed.tree_size > 0;
}

int api_reader(prov_handle *h, const char *path, struct pv_reader *ret, prov_error *err)
{
    struct pv_store *store = NULL;
    struct pv_journal_mark mark;
    uint8_t proof[PV_PROOF_MAX][32];
    uint32_t n;
    bool seen = seen_before(h, path, &mark);
    int rc = api_store(h, &store, err);
    if (!rc)
        rc = pv_reader_open(ret, store, path, err);
    if (rc == PROV_E_NOT_FOUND && seen)
        return psdk_fail(err, PROV_E_CORRUPT, "%s: the stream had %llu entries and is gone from the store", path,
                         (unsigned long long)mark.tree_size);
    if (rc == PROV_E_NOT_FOUND)
        return psdk_fail(err, rc, "%s: the store has no such stream (`prov log list` shows those it has)", path);
    if (!rc && seen) {
        rc = pv_reader_consistency(ret, mark.tree_size, mark.root, proof, &n, err);
        if (rc)
            pv_reader_close(ret);
    }
    return rc;
}

/* The store's own key, those that the user trusts, and at last the one that store.json names. */
int api_signer(prov_handle *h, const struct pv_reader *r, uint8_t ret_key[32], prov_error *err)
{
    struct pv_note note = {0};
    struct pv_store_info info;
    struct pv_ledger *ledger = NULL;
    prov_error ignored = {0};
    bool bad = false, found = false;
    const char *origin = r->head.tree.origin;
    int rc = pv_note_parse(r->head.tree_head_text, strlen(r->head.tree_head_text), "tree head", &note, err);
    if (rc)
        return rc;
    for (size_t i = 0; !found && i < h->trust.n_keys; i++) {
        found = pv_note_signed_by(&note, origin, h->trust.key[i].key, &bad);
        memcpy(ret_key, h->trust.key[i].key, 32);
    }
    if (!found && api_ledger(h, &ledger, &ignored) == PROV_OK) {
        found = pv_note_signed_by(&note, origin, ledger->log_key->public_key, &bad);
        memcpy(ret_key, ledger->log_key->public_key, 32);
    }
    if (!found && read_store_info(h, &info, &ignored) == PROV_OK) {
        found = pv_note_signed_by(&note, origin, info.log_key, &bad);
        memcpy(ret_key, info.log_key, 32);
    }
    pv_note_done(&note);
    if (found)
        return PROV_OK;
    return psdk_fail(err, PROV_E_CORRUPT, "%s: the tree head is not signed by any key that is known here%s", origin,
                     bad ? " (one signature is wrong)" : "");
}

int api_check_store(prov_handle *h, const struct pv_reader *r, const uint8_t key[32], prov_error *err)
{
    struct pv_store_info info;
    int rc = read_store_info(h, &info, err);
    if (rc == PROV_E_NOT_FOUND)
        return PROV_OK;
    if (!rc && (strcmp(info.origin, r->head.store) != 0 || memcmp(info.log_key, key, 32) != 0))
        rc = psdk_fail(err, PROV_E_CORRUPT, STORE_INFO ": names another store or log key than the stream");
    return rc;
}
