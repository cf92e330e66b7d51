/* pv_plugin.c - finding plugins and keeping what was loaded. SPDX-License-Identifier: Apache-2.0 */
#include "pv_plugin.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "psdk_file.h"
#include "psdk_hash.h"
#include "pv_log.h"
#include "pv_module.h"
#include "pv_options.h"

struct pv_plugins {
    char **path; /* NULL-terminated */
    char *helper;
    char *seen_dir;
    char *state_dir;
};

/* Loaded files stay for the life of the process, whoever loaded them. */
static pthread_mutex_t modules_lock = PTHREAD_MUTEX_INITIALIZER;
static struct pv_module *modules;

/* ---- life -------------------------------------------------------------------------------------------------------- */
static bool copy_text(const char *text, char **ret)
{
    *ret = text != NULL ? strdup(text) : NULL;
    return text == NULL || *ret != NULL;
}

int pv_plugins_new(const struct pv_plugins_config *config, struct pv_plugins **ret, prov_error *err)
{
    struct pv_plugins *p = calloc(1, sizeof *p);
    size_t n = 0;
    while (config->path != NULL && config->path[n] != NULL)
        n++;
    bool ok = p != NULL && (p->path = calloc(n + 1, sizeof *p->path)) != NULL;
    for (size_t i = 0; ok && i < n; i++)
        ok = copy_text(config->path[i], &p->path[i]);
    ok = ok && copy_text(config->helper, &p->helper) && copy_text(config->seen_dir, &p->seen_dir) &&
         copy_text(config->state_dir, &p->state_dir);
    if (!ok) {
        pv_plugins_free(p);
        return psdk_fail(err, PROV_E_NOMEM, "no memory for the plugin search path");
    }
    *ret = p;
    return PROV_OK;
}

void pv_plugins_free(struct pv_plugins *plugins)
{
    if (plugins == NULL)
        return;
    for (size_t i = 0; plugins->path != NULL && plugins->path[i] != NULL; i++)
        free(plugins->path[i]);
    free(plugins->path);
    free(plugins->helper);
    free(plugins->seen_dir);
    free(plugins->state_dir);
    free(plugins);
}

const char *pv_plugins_helper(const struct pv_plugins *plugins)
{
    return plugins->helper;
}

const char *pv_plugins_state_dir(const struct pv_plugins *plugins)
{
    return plugins->state_dir;
}

const char *const *pv_plugins_path(const struct pv_plugins *plugins)
{
    return (const char *const *)plugins->path;
}

/* ---- search ------------------------------------------------------------------------------------------------------ */
/* The driver name of a file name "NAME.so" into ret. */
static bool driver_of_file(const char *file, char ret[64])
{
    size_t len = strlen(file);
    if (len < 4 || len > 66 || strcmp(file + len - 3, ".so") != 0)
        return false;
    memcpy(ret, file, len - 3);
    ret[len - 3] = '\0';
    return pv_driver_name_ok(ret);
}

/* Whether a near name is there, for the message of a misspelled one. */
static bool find_near(const struct pv_plugins *plugins, const char *name, char ret[64])
{
    for (size_t i = 0; plugins->path[i] != NULL; i++) {
        DIR *dir = opendir(plugins->path[i]);
        const struct dirent *e;
        bool found = false;
        while (!found && dir != NULL && (e = readdir(dir)) != NULL) {
            const char *const one[] = {ret, NULL};
            found = driver_of_file(e->d_name, ret) && psdk_suggest(name, one) != NULL;
        }
        if (dir != NULL)
            closedir(dir);
        if (found)
            return true;
    }
    return false;
}

static int not_found(const struct pv_plugins *plugins, const char *name, prov_error *err)
{
    struct psdk_buf folders = {.max = 1024};
    char near[64];
    for (size_t i = 0; plugins->path[i] != NULL; i++)
        psdk_buf_addf(&folders, "%s%s", i > 0 ? ", " : "", plugins->path[i]);
    const char *where = folders.len > 0 ? psdk_buf_str(&folders) : "an empty search path";
    if (find_near(plugins, name, near))
        psdk_fail(err, PROV_E_PLUGIN, "there is no plugin '%s'; did you mean '%s'? (looked for %s.so in %s)", name,
                  near, name, where);
    else
        psdk_fail(err, PROV_E_PLUGIN,
                  "there is no plugin '%s' (looked for %s.so in %s): install it, or add its folder to plugins.path",
                  name, name, where);
    psdk_buf_done(&folders);
    return psdk_outcome(err, PROV_OUTCOME_PERMANENT);
}

int pv_plugin_search(const struct pv_plugins *plugins, const char *name_or_path, char **ret, prov_error *err)
{
    *ret = NULL;
    if (strchr(name_or_path, '/') != NULL) {
        *ret = strdup(name_or_path);
        return *ret != NULL ? PROV_OK : psdk_fail(err, PROV_E_NOMEM, "no memory");
    }
    if (!pv_driver_name_ok(name_or_path)) {
        psdk_fail(err, PROV_E_CONFIG, "'%s' is not a plugin name: want [a-z][a-z0-9-]{0,62}", name_or_path);
        return psdk_outcome(err, PROV_OUTCOME_PERMANENT);
    }
    for (size_t i = 0; plugins->path[i] != NULL; i++) {
        char *file = NULL;
        if (asprintf(&file, "%s/%s.so", plugins->path[i], name_or_path) < 0)
            return psdk_fail(err, PROV_E_NOMEM, "no memory");
        /* What is there but cannot be used is an error of its own, never skipped. */
        if (faccessat(AT_FDCWD, file, F_OK, AT_EACCESS) == 0 || errno != ENOENT) {
            *ret = file;
            return PROV_OK;
        }
        free(file);
    }
    return not_found(plugins, name_or_path, err);
}

/* ---- what was seen ----------------------------------------------------------------------------------------------- */
static char *seen_file(const struct pv_plugins *plugins, const struct pv_candidate *c)
{
    char hex[PSDK_SHA256_HEX];
    char *file = NULL;
    psdk_hex(c->sha256, sizeof c->sha256, hex);
    return plugins->seen_dir != NULL && asprintf(&file, "%s/%s", plugins->seen_dir, hex) >= 0 ? file : NULL;
}

static bool was_seen(const struct pv_plugins *plugins, const struct pv_candidate *c)
{
    char *file = seen_file(plugins, c);
    bool seen = file != NULL && access(file, F_OK) == 0;
    free(file);
    return seen;
}

/* Not being able to note it costs the next process a description, nothing more. */
static void note_seen(const struct pv_plugins *plugins, const struct pv_candidate *c)
{
    prov_error err = {0};
    char *file = seen_file(plugins, c);
    if (file != NULL && psdk_mkdirs(plugins->seen_dir, 0700, &err) == PROV_OK) {
        int fd = psdk_open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600, &err);
        if (fd >= 0)
            psdk_close(&fd);
    }
    if (err.code != 0)
        pv_log(PROV_LOG_DEBUG, "plugin %s: cannot note that it was seen: %s", c->file, err.message);
    free(file);
}

/* ---- loading ----------------------------------------------------------------------------------------------------- */
static int check_pin(const struct pv_plugin_spec *spec, const struct pv_candidate *c, prov_error *err)
{
    uint8_t want[32];
    char hex[PSDK_SHA256_HEX];
    const char *pin = spec->sha256;
    if (pin == NULL)
        return PROV_OK;
    if (strncmp(pin, "sha256:", 7) == 0)
        pin += 7;
    if (!psdk_parse_hash(pin, want))
        return psdk_fail(err, PROV_E_CONFIG, "sha256 pin '%s': want 64 hex digits", spec->sha256);
    psdk_hex(c->sha256, sizeof c->sha256, hex);
    if (memcmp(want, c->sha256, sizeof want) != 0)
        return psdk_fail(err, PROV_E_DENIED,
                         "plugin %s: its SHA-256 is %s, the configuration pins %s: restore the pinned file, or "
                         "change the pin if you trust the new one",
                         c->file, hex, pin);
    return PROV_OK;
}

static const struct pv_module *find_loaded(const uint8_t sha256[32])
{
    const struct pv_module *m = modules;
    while (m != NULL && memcmp(m->sha256, sha256, 32) != 0)
        m = m->next;
    return m;
}

/* Under modules_lock. */
static int load_candidate(const struct pv_plugins *plugins, struct pv_candidate *c, const struct pv_module **ret,
                          prov_error *err)
{
    *ret = find_loaded(c->sha256);
    if (*ret != NULL)
        return PROV_OK;
    int rc = PROV_OK;
    if (!was_seen(plugins, c)) {
        rc = pv_describe_file(plugins->helper, c, NULL, err);
        if (rc != PROV_OK)
            return rc;
        note_seen(plugins, c);
    }
    struct pv_module *m = calloc(1, sizeof *m);
    rc = m != NULL ? pv_module_load(c->file, &c->fd, m, err) : psdk_fail(err, PROV_E_NOMEM, "no memory");
    if (rc != PROV_OK) {
        free(m);
        psdk_wrap(err, "plugin %s", c->file);
        return rc;
    }
    memcpy(m->sha256, c->sha256, sizeof m->sha256);
    m->next = modules;
    modules = m;
    *ret = m;
    pv_log(PROV_LOG_DEBUG, "plugin %s: loaded %s %s", m->file, m->raw->name, m->raw->version);
    return PROV_OK;
}

static int load_file(const struct pv_plugins *plugins, const struct pv_plugin_spec *spec, const char *path,
                     const struct pv_module **ret, prov_error *err)
{
    struct pv_candidate c = PV_CANDIDATE_INIT;
    int rc = pv_candidate_open(path, &c, err);
    if (rc == PROV_OK)
        rc = check_pin(spec, &c, err);
    if (rc == PROV_OK) {
        pthread_mutex_lock(&modules_lock);
        rc = load_candidate(plugins, &c, ret, err);
        pthread_mutex_unlock(&modules_lock);
    }
    pv_candidate_close(&c);
    return rc;
}

static int no_provider(const struct pv_module *m, const struct pv_plugin_spec *spec, prov_error *err)
{
    struct psdk_buf offers = {.max = 256};
    for (uint32_t i = 0; i < m->n_providers; i++)
        psdk_buf_addf(&offers, "%s%s (%s)", i > 0 ? ", " : "", m->providers[i].name, m->providers[i].role_id);
    psdk_fail(err, PROV_E_PLUGIN, "plugin %s has no provider '%s' for role %s; it offers %s", m->file, spec->driver,
              spec->role, psdk_buf_str(&offers));
    psdk_buf_done(&offers);
    return PROV_E_PLUGIN;
}

int pv_plugin_provider(struct pv_plugins *plugins, const struct pv_plugin_spec *spec, const struct pv_provider **ret,
                       prov_error *err)
{
    const struct pv_module *m = NULL;
    char *path = NULL;
    prov_error own = {0};
    if (err == NULL)
        err = &own;
    *ret = NULL;
    int rc = spec->driver != NULL && spec->role != NULL ? pv_loader_allowed(err)
                                                        : psdk_fail(err, PROV_E_CONFIG, "no plugin is named");
    if (rc == PROV_OK && !pv_driver_name_ok(spec->driver)) /* a path would load, and its driver never be found */
        rc = psdk_fail(err, PROV_E_CONFIG, "'%s' is not a plugin name: want [a-z][a-z0-9-]{0,62}", spec->driver);
    if (rc == PROV_OK)
        rc = pv_plugin_search(plugins, spec->driver, &path, err);
    if (rc == PROV_OK)
        rc = load_file(plugins, spec, path, &m, err);
    if (rc == PROV_OK && (*ret = pv_module_find(m, spec->role, spec->driver)) == NULL)
        rc = no_provider(m, spec, err);
    if (rc == PROV_OK && *ret != NULL && (*ret)->role == NULL)
        rc = psdk_fail(err, PROV_E_PLUGIN, "plugin %s: this host does not know the role %s of '%s'", m->file,
                       spec->role, spec->driver);
    if (rc != PROV_OK) {
        if (spec->where != NULL)
            psdk_wrap(err, "%s", spec->where);
        psdk_outcome(err, PROV_OUTCOME_PERMANENT);
    }
    free(path);
    return rc;
}

int pv_plugin_spec_check(struct pv_plugins *plugins, const struct pv_plugin_spec *spec, prov_error *err)
{
    const struct pv_provider *provider = NULL;
    struct pv_option_values values = {0};
    int rc = pv_plugin_provider(plugins, spec, &provider, err);
    if (rc == PROV_OK)
        rc = pv_options_parse(provider, spec, &values, err);
    pv_options_done(&values);
    return rc;
}
