/* pv_config_tree.c - the flat list of entries: putting, replacing, finding.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pv_config_impl.h"
#include "psdk_sign.h"

static int no_memory(prov_error *err)
{
    return psdk_fail(err, PROV_E_NOMEM, "configuration: out of memory");
}

int pv_config_fail(const struct pv_layer *layer, const struct pv_yaml *node, prov_error *err, const char *format, ...)
{
    char text[sizeof err->message];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    if (!node)
        return psdk_fail(err, PROV_E_CONFIG, "%s: %s", layer->name, text);
    return psdk_fail(err, PROV_E_CONFIG, "%s:%u:%u: %s", layer->name, node->line, node->column, text);
}

char *pv_config_place(const struct pv_layer *layer, const struct pv_yaml *node)
{
    char *place = NULL;
    int n = node ? asprintf(&place, "%s:%u:%u", layer->name, node->line, node->column)
                 : asprintf(&place, "%s", layer->name);
    return n < 0 ? NULL : place;
}

int pv_config_refuse(const struct pv_layer *layer, const struct pv_yaml *node, const char *what, prov_error *err)
{
    return pv_config_fail(layer, node, err,
                          "%s is not allowed in a project file that you have not trusted; read it, then run: "
                          "prov config trust %s",
                          what, layer->name);
}

int pv_config_join(const struct pv_layer *layer, const struct pv_yaml *node, const char *parent, const char *name,
                   char *ret, prov_error *err)
{
    int n = snprintf(ret, PV_CONFIG_PATH_MAX, "%s%s%s", parent, *parent ? "." : "", name);
    if (n < 0 || n >= PV_CONFIG_PATH_MAX)
        return pv_config_fail(layer, node, err, "the keys on the way here are too long together");
    return PROV_OK;
}

bool pv_config_below(const char *path, const char *prefix)
{
    size_t n = strlen(prefix);
    return n == 0 || (strncmp(path, prefix, n) == 0 && (path[n] == '\0' || path[n] == '.'));
}

static void entry_done(struct pv_entry *entry)
{
    if (entry->value)
        psdk_wipe(entry->value, strlen(entry->value));
    free(entry->path);
    free(entry->parts);
    free(entry->value);
    free(entry->origin);
    free(entry->base);
}

/* Removes the entries for which gone says so, keeping the order. */
static void remove_entries(struct pv_config *config, bool (*gone)(const struct pv_entry *entry, const void *with),
                           const void *with)
{
    size_t kept = 0;
    for (size_t i = 0; i < config->n; i++) {
        if (gone(&config->entries[i], with))
            entry_done(&config->entries[i]);
        else
            config->entries[kept++] = config->entries[i];
    }
    config->n = kept;
}

static bool is_below(const struct pv_entry *entry, const void *with)
{
    const char *prefix = with;
    return pv_config_below(entry->path, prefix);
}

void pv_config_clear(struct pv_config *config, const char *path)
{
    remove_entries(config, is_below, path);
}

/* A scalar where the new path wants a map or list. */
static bool is_above(const struct pv_entry *entry, const void *with)
{
    const char *path = with;
    return strcmp(entry->path, path) != 0 && pv_config_below(path, entry->path);
}

struct pv_entry *pv_config_find(const struct pv_config *config, const char *path)
{
    for (size_t i = 0; i < config->n; i++)
        if (strcmp(config->entries[i].path, path) == 0)
            return &config->entries[i];
    return NULL;
}

static int add_entry(const struct pv_layer *layer, const struct pv_yaml *node, const char *path,
                     const struct pv_value *value, prov_error *err)
{
    struct pv_config *config = layer->config;
    if (config->n == config->cap) {
        size_t cap = config->cap ? 2 * config->cap : 64;
        struct pv_entry *grown = realloc(config->entries, cap * sizeof *grown);
        if (!grown)
            return no_memory(err);
        config->entries = grown;
        config->cap = cap;
    }
    struct pv_entry entry = {.rank = layer->rank,
                             .trusted = layer->trusted,
                             .list = value->item,
                             .plain = value->plain,
                             .secret = value->secret};
    entry.path = strdup(path);
    entry.parts = strdup(path);
    for (char *c = entry.parts; c && (c = strchr(c, '.')); c++)
        *c = '\0';
    entry.value = value->text ? strdup(value->text) : NULL;
    entry.origin = pv_config_place(layer, node);
    entry.base = strdup(layer->base);
    if (!entry.path || !entry.parts || (value->text && !entry.value) || !entry.origin || !entry.base) {
        entry_done(&entry);
        return no_memory(err);
    }
    config->entries[config->n++] = entry;
    return PROV_OK;
}

/* Elements that a list has now; an item of a lower layer, or a scalar, does not count. */
static size_t list_size(const struct pv_layer *layer, const char *list)
{
    size_t n = 0, len = strlen(list);
    for (size_t i = 0; i < layer->config->n; i++) {
        const struct pv_entry *entry = &layer->config->entries[i];
        n += entry->list && entry->rank == layer->rank && pv_config_below(entry->path, list) &&
             !strchr(entry->path + len + (entry->path[len] != '\0'), '.');
    }
    return n;
}

/* Another backend in a section: what was there belonged to the old one. */
static void drop_options(struct pv_config *config, const char *path, const char *driver)
{
    size_t len;
    char section[PV_CONFIG_PATH_MAX];
    const char *last = strrchr(path, '.');
    const struct pv_entry *old = pv_config_find(config, path);
    if (!old || !old->value || !last || strcmp(last, ".plugin") != 0 || !pv_schema_section(path, &len) ||
        strcmp(old->value, driver) == 0 || len >= sizeof section)
        return;
    memcpy(section, path, len);
    section[len] = '\0';
    pv_config_clear(config, section);
}

/* A relative path counts from the layer's folder. */
static int absolute(const struct pv_layer *layer, const struct pv_yaml *node, const char *text, struct psdk_buf *out,
                    prov_error *err)
{
    if (*text == '\0')
        return pv_config_fail(layer, node, err, "want a path, got nothing");
    if (*text == '~')
        return pv_config_fail(layer, node, err, "'~' is not expanded in paths; write ${HOME}/...");
    if (*text != '/') {
        while (strncmp(text, "./", 2) == 0)
            text += 2;
        psdk_buf_addf(out, "%s%s", layer->base, strcmp(layer->base, "/") == 0 ? "" : "/");
        if (strcmp(text, ".") == 0)
            text = "";
    }
    psdk_buf_adds(out, text);
    return psdk_buf_check(out, err);
}

int pv_config_put(const struct pv_layer *layer, const struct pv_yaml *node, const struct pv_value *value,
                  prov_error *err)
{
    const struct pv_schema *schema = pv_schema_find(value->path);
    struct pv_value own = *value;
    struct psdk_buf path_text = {0};
    char path[PV_CONFIG_PATH_MAX], index[24];
    const char *key = strrchr(value->path, '.');
    size_t at = 0, section;

    own.secret |= key && pv_schema_section(value->path, &section) && pv_secret_name(key + 1);
    int rc = schema ? pv_config_check(layer, node, schema, value, err) : PROV_OK;
    if (!rc && schema && (schema->type == PV_CFG_PATH || schema->type == PV_CFG_PATHS)) {
        rc = absolute(layer, node, value->text, &path_text, err);
        own.text = psdk_buf_str(&path_text);
    }
    if (rc)
        goto out;
    if (!own.item)
        drop_options(layer->config, value->path, value->text);
    remove_entries(layer->config, is_above, value->path);
    if (own.item)
        at = list_size(layer, value->path);
    if (at == 0)
        pv_config_clear(layer->config, value->path);
    snprintf(index, sizeof index, "%zu", at);
    if (own.item)
        rc = pv_config_join(layer, node, value->path, index, path, err);
    else
        rc = pv_config_join(layer, node, "", value->path, path, err);
    if (!rc)
        rc = add_entry(layer, node, path, &own, err);
out:
    psdk_buf_done(&path_text);
    return rc;
}

int pv_config_put_empty(const struct pv_layer *layer, const struct pv_yaml *node, const char *path, prov_error *err)
{
    struct pv_value value = {.path = path};
    pv_config_clear(layer->config, path);
    remove_entries(layer->config, is_above, path);
    return add_entry(layer, node, path, &value, err);
}

struct parting {
    const char *section;
    bool trusted, seen;
};

static bool is_other_trust(const struct pv_entry *entry, const void *with)
{
    const struct parting *parting = with;
    return pv_config_below(entry->path, parting->section) && entry->rank != PV_RANK_DEFAULT &&
           entry->trusted != parting->trusted;
}

int pv_config_part(const struct pv_layer *layer, const char *section, prov_error *err)
{
    struct pv_config *config = layer->config;
    struct parting parting = {.section = section, .trusted = layer->trusted};
    char plugin[PV_CONFIG_PATH_MAX];

    for (size_t i = 0; i < config->n && !parting.seen; i++)
        parting.seen = is_other_trust(&config->entries[i], &parting);
    if (!parting.seen)
        return PROV_OK;
    remove_entries(config, is_other_trust, &parting);
    char *copy = strdup(section);
    if (!copy)
        return no_memory(err);
    free(config->parted);
    config->parted = copy;
    int rc = pv_config_join(layer, NULL, section, "plugin", plugin, err);
    if (rc || pv_config_find(config, plugin))
        return rc;
    struct pv_layer bottom = *layer;
    bottom.rank = PV_RANK_DEFAULT;
    bottom.name = "default";
    bottom.trusted = true;
    return pv_config_defaults(&bottom, section, err);
}

void pv_config_free(struct pv_config *config)
{
    if (!config)
        return;
    for (size_t i = 0; i < config->n; i++)
        entry_done(&config->entries[i]);
    free(config->entries);
    free(config->file);
    free(config->dir);
    free(config->user_dir);
    free(config->parted);
    free(config);
}
