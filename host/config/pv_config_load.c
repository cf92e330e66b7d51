/* pv_config_load.c - finding the files and merging all sources, from the weakest to the strongest.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Default, system file, user file, project file, environment, flag. Beside each file, the files of networks.d add to
 * its networks. Options of one backend never mix files of different trust: see pv_config_part.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pv_config_impl.h"
#include "psdk_file.h"

#define SYSTEM_FILE "/etc/prov/prov.yaml"
#define FILE_NAME "prov.yaml"
#define MAX_NETWORK_FILES 256

struct load {
    const struct pv_config_source *source;
    const char *const *environ;
    struct pv_config *config;
    char *work_dir;  /* absolute */
    char *user_file; /* may be NULL */
    const char *system_file;
    prov_error *err;
};

static int no_memory(prov_error *err)
{
    return psdk_fail(err, PROV_E_NOMEM, "configuration: out of memory");
}

static struct pv_layer layer_of(const struct load *load, const char *name, const char *base, enum pv_rank rank)
{
    struct pv_layer layer = {
        .config = load->config, .name = name, .base = base, .rank = rank, .trusted = true, .environ = load->environ};
    return layer;
}

/* ---- defaults ---------------------------------------------------------------------------------------------------- */
static int put_default(const struct pv_layer *layer, const char *path, const char *text, bool item, prov_error *err)
{
    struct pv_value value = {.path = path, .text = text, .plain = true, .item = item};
    return pv_config_put(layer, NULL, &value, err);
}

static int schema_defaults(const struct pv_layer *layer, prov_error *err)
{
    int rc = PROV_OK;
    for (const struct pv_schema *row = pv_schema_table(); row->path && !rc; row++) {
        char words[128], *rest = NULL;
        if (!row->default_value)
            continue;
        if (row->type != PV_CFG_LIST) {
            rc = put_default(layer, row->path, row->default_value, false, err);
            continue;
        }
        snprintf(words, sizeof words, "%s", row->default_value);
        for (char *word = strtok_r(words, ",", &rest); word && !rc; word = strtok_r(NULL, ",", &rest))
            rc = put_default(layer, row->path, word, true, err);
    }
    return rc;
}

/* keys and state are the user's own folders: a planted folder in a cloned project is never taken for them. */
static int folder_defaults(struct load *load, const struct pv_layer *layer)
{
    const char *xdg = pv_env_get(load->environ, "XDG_STATE_HOME"), *home = pv_env_get(load->environ, "HOME");
    char *text = NULL;
    int rc = PROV_OK;

    if (load->config->user_dir) {
        if (asprintf(&text, "%s/keys", load->config->user_dir) < 0)
            return no_memory(load->err);
        rc = put_default(layer, "keys", text, false, load->err);
        free(text);
        text = NULL;
    }
    int n = xdg && *xdg == '/'     ? asprintf(&text, "%s/prov", xdg)
            : home && *home == '/' ? asprintf(&text, "%s/.local/state/prov", home)
                                   : 0;
    if (n < 0)
        return no_memory(load->err);
    if (!rc && n > 0)
        rc = put_default(layer, "state", text, false, load->err);
    if (n > 0)
        free(text);
    return rc;
}

static int load_defaults(struct load *load)
{
    struct pv_layer layer = layer_of(load, "default", load->config->dir, PV_RANK_DEFAULT);
    int rc = schema_defaults(&layer, load->err);
    if (!rc)
        rc = folder_defaults(load, &layer);
    if (!rc)
        rc = pv_config_defaults(&layer, NULL, load->err);
    return rc;
}

/* ---- files ------------------------------------------------------------------------------------------------------- */
/* Merges one text; layer->trusted is found out for project files. */
static int load_text(struct pv_layer *layer, const struct psdk_buf *text, const char *prefix, prov_error *err)
{
    struct pv_yaml *root = NULL;
    int rc = PROV_OK;
    if (layer->rank == PV_RANK_PROJECT && !layer->trusted)
        rc = pv_config_is_trusted(layer->config->user_dir, layer->name, text, &layer->trusted, err);
    if (!rc)
        rc = pv_yaml_parse(psdk_buf_str(text), text->len, layer->name, &root, err);
    if (!rc)
        rc = pv_config_walk(layer, root, prefix, err);
    pv_yaml_free(root);
    return rc;
}

static int is_yaml(const struct dirent *entry)
{
    size_t n = strlen(entry->d_name);
    return n > 5 && entry->d_name[0] != '.' && strcmp(entry->d_name + n - 5, ".yaml") == 0;
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* networks.d beside a file; own: the file is this user's or the system's, not a project's. */
static int load_networks(struct load *load, const char *dir, enum pv_rank rank, bool own)
{
    struct dirent **names = NULL;
    char *folder = NULL;
    int rc = PROV_OK;

    if (asprintf(&folder, "%s/networks.d", dir) < 0)
        return no_memory(load->err);
    int n = scandir(folder, &names, is_yaml, by_bytes);
    if (n < 0 && errno != ENOENT && errno != ENOTDIR) {
        psdk_fail_errno(load->err, errno, "%s", folder);
        if (load->err)
            load->err->code = PROV_E_CONFIG;
        rc = PROV_E_CONFIG;
    } else if (n > MAX_NETWORK_FILES) {
        rc = psdk_fail(load->err, PROV_E_CONFIG, "%s: more than %d files", folder, MAX_NETWORK_FILES);
    }
    for (int i = 0; i < n; i++) {
        struct psdk_buf text = {0};
        char *path = NULL;
        bool found = false;
        if (!rc && asprintf(&path, "%s/%s", folder, names[i]->d_name) < 0) {
            path = NULL;
            rc = no_memory(load->err);
        }
        if (!rc)
            rc = pv_config_read(path, own, &text, &found, load->err);
        if (!rc && found) {
            struct pv_layer layer = layer_of(load, path, dir, rank);
            layer.trusted = own;
            rc = load_text(&layer, &text, "networks", load->err);
        }
        psdk_buf_done(&text);
        free(path);
        free(names[i]);
    }
    free(names);
    free(folder);
    return rc;
}

/* The system's or the user's file, and its networks.d. */
static int load_own(struct load *load, const char *path, enum pv_rank rank)
{
    struct psdk_buf text = {0};
    char dir[4096];
    bool found = false;
    char *real = path ? realpath(path, NULL) : NULL;
    bool skip = !path || (real && load->config->file && strcmp(real, load->config->file) == 0);
    free(real);
    if (skip)
        return PROV_OK; /* none, or the project's file is this very file */
    int rc = psdk_dirname(path, dir, sizeof dir, load->err);
    if (!rc)
        rc = pv_config_read(path, true, &text, &found, load->err);
    if (!rc && found) {
        struct pv_layer layer = layer_of(load, path, dir, rank);
        rc = load_text(&layer, &text, "", load->err);
    }
    if (!rc && found)
        rc = load_networks(load, dir, rank, true);
    psdk_buf_done(&text);
    return rc;
}

/* Whether path is the user's or the system's own file. */
static bool is_own(const struct load *load, const char *path)
{
    const char *own[] = {load->user_file, load->system_file};
    for (size_t i = 0; i < 2; i++) {
        char *real = own[i] ? realpath(own[i], NULL) : NULL;
        bool same = real && strcmp(real, path) == 0;
        free(real);
        if (same)
            return true;
    }
    return false;
}

static int load_project(struct load *load)
{
    struct pv_config *config = load->config;
    struct psdk_buf text = {0};
    bool found = false;
    if (!config->file)
        return PROV_OK;
    bool own = is_own(load, config->file);
    int rc = pv_config_read(config->file, own, &text, &found, load->err);
    if (!rc && !found)
        rc = psdk_fail(load->err, PROV_E_CONFIG, "%s: no such file", config->file);
    if (!rc) {
        struct pv_layer layer = layer_of(load, config->file, config->dir, PV_RANK_PROJECT);
        layer.trusted = own;
        rc = load_text(&layer, &text, "", load->err);
        config->trusted = layer.trusted;
    }
    if (!rc)
        rc = load_networks(load, config->dir, PV_RANK_PROJECT, own);
    psdk_buf_done(&text);
    return rc;
}

/* ---- finding ----------------------------------------------------------------------------------------------------- */
/* prov.yaml in dir or a folder above it; *ret stays NULL when there is none. */
static int search_up(const char *dir, char **ret, prov_error *err)
{
    char at[4096], path[4096 + sizeof FILE_NAME + 1], up[4096];
    int n = snprintf(at, sizeof at, "%s", dir);
    if (n < 0 || (size_t)n >= sizeof at)
        return psdk_fail(err, PROV_E_CONFIG, "the path of the working directory is too long");
    for (;;) {
        snprintf(path, sizeof path, "%s%s%s", at, strcmp(at, "/") == 0 ? "" : "/", FILE_NAME);
        if (access(path, F_OK) == 0) {
            *ret = realpath(path, NULL);
            return *ret ? PROV_OK : psdk_fail(err, PROV_E_CONFIG, "%s: cannot be resolved", path);
        }
        if (strcmp(at, "/") == 0)
            return PROV_OK;
        int rc = psdk_dirname(at, up, sizeof up, err);
        if (rc)
            return rc;
        memcpy(at, up, sizeof at);
    }
}

static int find_project(struct load *load)
{
    const char *named = load->source->no_project ? NULL : pv_env_get(load->environ, "PROV_CONFIG");
    const char *given = load->source->file ? load->source->file : named;
    struct pv_config *config = load->config;
    char *path = NULL, dir[4096];
    int rc = PROV_OK;

    if (given) {
        int n = *given == '/' ? asprintf(&path, "%s", given) : asprintf(&path, "%s/%s", load->work_dir, given);
        if (n < 0)
            return no_memory(load->err);
        config->file = realpath(path, NULL);
        if (!config->file)
            rc = psdk_fail(load->err, PROV_E_CONFIG, "%s: %s (named by %s)", given, strerror(errno),
                           load->source->file ? "--config" : "PROV_CONFIG");
        free(path);
    } else if (!load->source->no_project) {
        rc = search_up(load->work_dir, &config->file, load->err);
    }
    if (rc)
        return rc;
    if (config->file)
        rc = psdk_dirname(config->file, dir, sizeof dir, load->err);
    if (!rc)
        config->dir = strdup(config->file ? dir : load->work_dir);
    return rc || config->dir ? rc : no_memory(load->err);
}

/* Working directory, the user's folder, the two files outside of the project. */
static int find_places(struct load *load)
{
    const struct pv_config_source *source = load->source;
    load->work_dir = realpath(source->work_dir ? source->work_dir : ".", NULL);
    if (!load->work_dir)
        return psdk_fail(load->err, PROV_E_CONFIG, "%s: %s", source->work_dir ? source->work_dir : "working directory",
                         strerror(errno));
    load->config->user_dir = source->user_dir ? strdup(source->user_dir) : pv_config_default_user_dir(source->environ);
    if (source->user_dir && !load->config->user_dir)
        return no_memory(load->err);
    if (load->config->user_dir && asprintf(&load->user_file, "%s/%s", load->config->user_dir, FILE_NAME) < 0) {
        load->user_file = NULL;
        return no_memory(load->err);
    }
    load->system_file = source->system_file ? source->system_file : SYSTEM_FILE;
    return find_project(load);
}

static int load_sources(struct load *load)
{
    struct pv_layer outside = layer_of(load, "environment", load->work_dir, PV_RANK_ENV);
    struct pv_layer flags = layer_of(load, "flag", load->work_dir, PV_RANK_FLAG);
    struct pv_layer older = layer_of(load, "environment", load->work_dir, PV_RANK_OLDER_ENV);
    int rc = load_defaults(load);
    if (!rc)
        rc = load_own(load, load->system_file, PV_RANK_SYSTEM);
    if (!rc)
        rc = load_own(load, load->user_file, PV_RANK_USER);
    if (!rc)
        rc = load_project(load);
    if (!rc)
        rc = pv_config_env(&outside, load->err);
    if (!rc)
        rc = pv_config_flags(&flags, load->source->flags, load->source->n_flags, load->err);
    if (!rc) /* last, since these names yield to what was chosen */
        rc = pv_config_older_env(&older, load->err);
    return rc ? rc : pv_config_finish(load->config, load->err);
}

int pv_config_load(const struct pv_config_source *source, struct pv_config **ret, prov_error *err)
{
    struct load load = {.source = source, .err = err};
    load.environ = source->environ ? source->environ : (const char *const *)environ;
    int rc;

    *ret = NULL;
    load.config = calloc(1, sizeof *load.config);
    if (!load.config)
        return no_memory(err);
    rc = find_places(&load);
    if (!rc)
        rc = load_sources(&load);
    if (!rc) {
        *ret = load.config;
        load.config = NULL;
    }
    pv_config_free(load.config);
    free(load.work_dir);
    free(load.user_file);
    return rc;
}

int pv_config_load_text(const char *text, size_t len, const char *name, bool trusted, const char *const *environment,
                        struct pv_config **ret, prov_error *err)
{
    static const char *const nothing[] = {NULL};
    static const struct pv_config_source source = {0};
    struct load load = {.source = &source, .environ = environment ? environment : nothing, .err = err};
    struct pv_yaml *root = NULL;
    int rc = PROV_E_NOMEM;

    *ret = NULL;
    load.config = calloc(1, sizeof *load.config);
    if (!load.config || !(load.config->dir = strdup("/"))) {
        rc = no_memory(err);
        goto out;
    }
    struct pv_layer layer = layer_of(&load, name, "/", PV_RANK_PROJECT);
    layer.trusted = load.config->trusted = trusted;
    rc = load_defaults(&load);
    if (!rc)
        rc = pv_yaml_parse(text, len, name, &root, err);
    if (!rc)
        rc = pv_config_walk(&layer, root, "", err);
    if (!rc)
        rc = pv_config_finish(load.config, err);
    if (!rc) {
        *ret = load.config;
        load.config = NULL;
    }
out:
    pv_yaml_free(root);
    pv_config_free(load.config);
    return rc;
}
