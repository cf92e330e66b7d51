/* pv_config_get.c - reading a loaded configuration.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pv_config_impl.h"
#include "psdk_file.h"

const char *pv_config_str(const struct pv_config *config, const char *path)
{
    const struct pv_entry *entry = pv_config_find(config, path);
    return entry ? entry->value : NULL;
}

int64_t pv_config_int(const struct pv_config *config, const char *path, int64_t fallback)
{
    const char *text = pv_config_str(config, path);
    return text ? (int64_t)strtoll(text, NULL, 10) : fallback;
}

bool pv_config_bool(const struct pv_config *config, const char *path, bool fallback)
{
    const char *text = pv_config_str(config, path);
    return text ? strcmp(text, "true") == 0 : fallback;
}

uint64_t pv_config_duration_ns(const struct pv_config *config, const char *path, uint64_t fallback)
{
    const char *text = pv_config_str(config, path);
    uint64_t ns;
    return text && psdk_parse_duration(text, &ns) ? ns : fallback;
}

/* The i-th element of the list at path. */
static const struct pv_entry *list_item(const struct pv_config *config, const char *path, size_t index)
{
    char name[PV_CONFIG_PATH_MAX + 24];
    int n = snprintf(name, sizeof name, "%s.%zu", path, index);
    if (n < 0 || (size_t)n >= sizeof name)
        return NULL;
    const struct pv_entry *entry = pv_config_find(config, name);
    return entry && entry->list ? entry : NULL;
}

size_t pv_config_count(const struct pv_config *config, const char *path)
{
    size_t n = 0, len = strlen(path);
    for (size_t i = 0; i < config->n; i++) {
        const struct pv_entry *entry = &config->entries[i];
        n += entry->list && strncmp(entry->path, path, len) == 0 && entry->path[len] == '.' &&
             !strchr(entry->path + len + 1, '.');
    }
    return n;
}

const char *pv_config_item(const struct pv_config *config, const char *path, size_t index)
{
    const struct pv_entry *entry = list_item(config, path, index);
    return entry ? entry->value : NULL;
}

/* The entry at path, else the first one below it. A section's `plugin` stands for the section. */
static const struct pv_entry *first_at(const struct pv_config *config, const char *path)
{
    char plugin[PV_CONFIG_PATH_MAX + 8];
    const struct pv_entry *entry = pv_config_find(config, path);
    if (entry)
        return entry;
    snprintf(plugin, sizeof plugin, "%.*s.plugin", PV_CONFIG_PATH_MAX - 1, path);
    entry = pv_config_find(config, plugin);
    for (size_t i = 0; i < config->n && !entry; i++)
        if (pv_config_below(config->entries[i].path, path))
            entry = &config->entries[i];
    return entry;
}

const char *pv_config_origin(const struct pv_config *config, const char *path)
{
    const struct pv_entry *entry = first_at(config, path);
    return entry ? entry->origin : NULL;
}

const char *pv_config_base(const struct pv_config *config, const char *path)
{
    const struct pv_entry *entry = first_at(config, path);
    return entry ? entry->base : config->dir;
}

void pv_config_each(const struct pv_config *config, const char *prefix,
                    void (*each)(void *ctx, const char *name, const char *value, const char *where), void *ctx)
{
    size_t len = strlen(prefix);
    char name[PV_CONFIG_PATH_MAX];
    for (size_t i = 0; i < config->n; i++) {
        const struct pv_entry *entry = &config->entries[i];
        if (!entry->value || !pv_config_below(entry->path, prefix) || entry->path[len] == '\0')
            continue;
        snprintf(name, sizeof name, "%s", entry->path + len + (len > 0));
        char *dot = entry->list ? strrchr(name, '.') : NULL;
        if (dot)
            *dot = '\0';
        else if (entry->list)
            name[0] = '\0';
        each(ctx, name, entry->value, entry->origin);
    }
}

/* Whether an entry before i has the same next part of its path below prefix. */
static bool seen_before(const struct pv_config *config, size_t i, const char *prefix, size_t len)
{
    const char *path = config->entries[i].path;
    size_t part = len + strcspn(path + len, ".");
    for (size_t k = 0; k < i; k++) {
        const char *other = config->entries[k].path;
        if (pv_config_below(other, prefix) && strncmp(other, path, part) == 0 &&
            (other[part] == '\0' || other[part] == '.'))
            return true;
    }
    return false;
}

const char *pv_config_member(const struct pv_config *config, const char *prefix, size_t index)
{
    size_t len = strlen(prefix) + (*prefix != '\0');
    for (size_t i = 0; i < config->n; i++) {
        const char *path = config->entries[i].path;
        if (!pv_config_below(path, prefix) || strlen(path) <= len || seen_before(config, i, prefix, len))
            continue;
        if (index-- == 0)
            return config->entries[i].parts + len;
    }
    return NULL;
}

const char *pv_config_file(const struct pv_config *config)
{
    return config->file;
}

const char *pv_config_dir(const struct pv_config *config)
{
    return config->dir;
}

const char *pv_config_user_dir(const struct pv_config *config)
{
    return config->user_dir;
}

bool pv_config_trusted(const struct pv_config *config)
{
    return config->trusted;
}
