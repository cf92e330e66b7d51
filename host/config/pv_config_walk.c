/* pv_config_walk.c - a parsed document, key by key, into entries.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <string.h>

#include "pv_config_impl.h"
#include "psdk_hash.h"

/* A node that stands where child's key stands, for errors about the key. */
static struct pv_yaml key_of(const struct pv_yaml *child)
{
    struct pv_yaml at = {.line = child->key_line, .column = child->key_column};
    return at;
}

static int want(const struct pv_layer *layer, const struct pv_yaml *node, const char *path, enum pv_cfg_type type,
                prov_error *err)
{
    static const char *const kinds[] = {
        [PV_YAML_SCALAR] = "a single value", [PV_YAML_LIST] = "a list", [PV_YAML_MAP] = "a map"};
    if (pv_yaml_is_null(node))
        return pv_config_fail(layer, node, err, "%s has no value; give one, or remove the key", path);
    return pv_config_fail(layer, node, err, "%s: want %s, got %s", path, pv_cfg_type_name(type), kinds[node->kind]);
}

static bool has_literal(const char *text)
{
    return *text && (!strstr(text, "${") || strstr(text, ":-"));
}

/* key: the name that says whether the value is a secret. */
static int put_scalar(const struct pv_layer *layer, const struct pv_yaml *node, const char *path, const char *key,
                      bool item, prov_error *err)
{
    struct psdk_buf text = {0};
    bool expanded = false, secret = false;
    int rc;

    if (pv_yaml_is_null(node))
        return want(layer, node, path, PV_CFG_STRING, err);
    if ((pv_secret_name(key) && has_literal(node->text)) || pv_secret_in_url(node->text))
        return pv_config_fail(layer, node, err,
                              "%s: a secret written into a file; use ${VARIABLE}, a file of mode 0600 named by "
                              "a key that ends in _file, or a keystore",
                              path);
    rc = pv_config_expand(layer, node, &text, &expanded, &secret, err);
    if (!rc) {
        struct pv_value value = {.path = path,
                                 .text = psdk_buf_str(&text),
                                 .plain = node->plain || expanded,
                                 .secret = secret || pv_secret_name(key),
                                 .item = item};
        rc = pv_config_put(layer, node, &value, err);
    }
    psdk_buf_wipe(&text);
    return rc;
}

static int put_list(const struct pv_layer *layer, const struct pv_yaml *node, const char *path, const char *key,
                    prov_error *err)
{
    pv_config_clear(layer->config, path);
    if (node->n == 0)
        return pv_config_put_empty(layer, node, path, err);
    for (const struct pv_yaml *child = node->first; child; child = child->next) {
        if (child->kind != PV_YAML_SCALAR)
            return pv_config_fail(layer, child, err, "%s: a list here holds plain values, not lists or maps", path);
        int rc = put_scalar(layer, child, path, key, true, err);
        if (rc)
            return rc;
    }
    return PROV_OK;
}

/* A value in a backend's section: whatever its shape. */
static int walk_open(const struct pv_layer *layer, const struct pv_yaml *node, const char *path, const char *key,
                     prov_error *err)
{
    char below[PV_CONFIG_PATH_MAX], what[PV_CONFIG_PATH_MAX + 2];
    if (!layer->trusted && pv_secret_reference(key)) {
        struct pv_yaml at = key_of(node);
        snprintf(what, sizeof what, "'%s'", path);
        return pv_config_refuse(layer, &at, what, err);
    }
    if (node->kind == PV_YAML_SCALAR)
        return put_scalar(layer, node, path, key, false, err);
    if (node->kind == PV_YAML_LIST)
        return put_list(layer, node, path, key, err);
    for (const struct pv_yaml *child = node->first; child; child = child->next) {
        int rc = pv_config_join(layer, child, path, child->key, below, err);
        if (!rc)
            rc = walk_open(layer, child, below, child->key, err);
        if (rc)
            return rc;
    }
    return PROV_OK;
}

static int walk_pins(const struct pv_layer *layer, const struct pv_yaml *node, const char *path, prov_error *err)
{
    char below[PV_CONFIG_PATH_MAX];
    uint8_t digest[32];
    for (const struct pv_yaml *child = node->first; child; child = child->next) {
        int rc = pv_config_join(layer, child, path, child->key, below, err);
        if (!rc && (child->kind != PV_YAML_SCALAR || !psdk_parse_hash(child->text, digest)))
            rc = pv_config_fail(layer, child, err, "%s: want a SHA-256 digest, 64 hex digits", below);
        if (!rc)
            rc = put_scalar(layer, child, below, "", false, err);
        if (rc)
            return rc;
    }
    return PROV_OK;
}

static int walk_lists(const struct pv_layer *layer, const struct pv_yaml *node, const char *path, prov_error *err)
{
    char below[PV_CONFIG_PATH_MAX];
    for (const struct pv_yaml *child = node->first; child; child = child->next) {
        int rc = pv_config_join(layer, child, path, child->key, below, err);
        if (!rc && child->kind != PV_YAML_LIST)
            rc = want(layer, child, below, PV_CFG_LIST, err);
        if (!rc)
            rc = put_list(layer, child, below, "", err);
        if (rc)
            return rc;
    }
    return PROV_OK;
}

static int walk_section(const struct pv_layer *layer, const struct pv_yaml *map, const struct pv_schema *parent,
                        const char *prefix, prov_error *err);

/* The name of a network is part of paths and of folder names. */
static int check_name(const struct pv_layer *layer, const struct pv_yaml *child, prov_error *err)
{
    struct pv_yaml at = key_of(child);
    if (strcmp(child->key, "env") == 0)
        return pv_config_fail(layer, &at, err,
                              "the network 'env' is the one that RPC_URL in the environment defines; "
                              "give this one another name");
    if (strpbrk(child->key, ":/@+"))
        return pv_config_fail(layer, &at, err, "a network's name is letters, digits, '_' and '-'");
    return PROV_OK;
}

/* One key that the table knows. */
static int walk_known(const struct pv_layer *layer, const struct pv_yaml *node, const struct pv_schema *row,
                      const char *path, prov_error *err)
{
    bool container = row->type >= PV_CFG_PINS, list = row->type == PV_CFG_LIST || row->type == PV_CFG_PATHS;
    char what[PV_CONFIG_PATH_MAX + 2];

    if (!layer->trusted && (row->flags & PV_CFG_TRUST)) {
        struct pv_yaml at = key_of(node);
        snprintf(what, sizeof what, "'%s'", path);
        return pv_config_refuse(layer, &at, what, err);
    }
    if (container && pv_yaml_is_null(node))
        return PROV_OK; /* a section whose members are all commented out */
    if (node->kind != (container ? PV_YAML_MAP : list ? PV_YAML_LIST : PV_YAML_SCALAR))
        return want(layer, node, path, row->type, err);
    switch (row->type) {
    case PV_CFG_LIST:
    case PV_CFG_PATHS:
        return put_list(layer, node, path, "", err);
    case PV_CFG_PINS:
        return walk_pins(layer, node, path, err);
    case PV_CFG_LISTS:
        return walk_lists(layer, node, path, err);
    case PV_CFG_SECTION:
    case PV_CFG_NAMED:
    case PV_CFG_OPEN:
        return walk_section(layer, node, row, path, err);
    default:
        return put_scalar(layer, node, path, "", false, err);
    }
}

static int unknown(const struct pv_layer *layer, const struct pv_yaml *child, const char *prefix, const char *path,
                   prov_error *err)
{
    char near[PV_CONFIG_PATH_MAX];
    struct pv_yaml at = key_of(child);
    pv_schema_suggest(prefix, child->key, near, sizeof near);
    return pv_config_fail(layer, &at, err, "unknown key '%s'%s%s%s", path, *near ? "; did you mean '" : "", near,
                          *near ? "'?" : "");
}

static int walk_member(const struct pv_layer *layer, const struct pv_yaml *child, const struct pv_schema *parent,
                       const char *prefix, prov_error *err)
{
    char path[PV_CONFIG_PATH_MAX];
    int rc = pv_config_join(layer, child, prefix, child->key, path, err);
    if (!rc && parent && parent->type == PV_CFG_NAMED)
        rc = check_name(layer, child, err);
    if (rc)
        return rc;
    const struct pv_schema *row = pv_schema_find(path);
    if (row)
        return walk_known(layer, child, row, path, err);
    if (parent && parent->type == PV_CFG_OPEN)
        return walk_open(layer, child, path, child->key, err);
    return unknown(layer, child, prefix, path, err);
}

static int walk_section(const struct pv_layer *layer, const struct pv_yaml *map, const struct pv_schema *parent,
                        const char *prefix, prov_error *err)
{
    const struct pv_yaml *plugin = NULL;
    int rc = PROV_OK;

    if (parent && parent->type == PV_CFG_OPEN) {
        rc = pv_config_part(layer, prefix, err);
        plugin = pv_yaml_get(map, "plugin"); /* first: another backend drops the options of the one before */
        if (!rc && plugin)
            rc = walk_member(layer, plugin, parent, prefix, err);
    }
    for (const struct pv_yaml *child = map->first; child && !rc; child = child->next)
        if (child != plugin)
            rc = walk_member(layer, child, parent, prefix, err);
    return rc;
}

int pv_config_walk(const struct pv_layer *layer, const struct pv_yaml *root, const char *prefix, prov_error *err)
{
    if (!root)
        return PROV_OK;
    if (*prefix && pv_yaml_get(root, prefix)) {
        struct pv_yaml at = key_of(pv_yaml_get(root, prefix));
        return pv_config_fail(layer, &at, err, "a file of %s.d has the names themselves at the top, without '%s:'",
                              prefix, prefix);
    }
    return walk_section(layer, root, *prefix ? pv_schema_find(prefix) : NULL, prefix, err);
}
