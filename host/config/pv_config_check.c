/* pv_config_check.c - values against the schema, and values against each other.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "pv_config_impl.h"
#include "psdk_file.h"

/* A value for an error text: never a secret. */
static const char *shown(const struct pv_value *value)
{
    return value->secret ? "***" : value->text;
}

static int wrong_type(const struct pv_layer *layer, const struct pv_yaml *node, const struct pv_schema *schema,
                      const struct pv_value *value, prov_error *err)
{
    const char *quoted = value->plain ? "" : " (a string, since it is quoted)";
    return pv_config_fail(layer, node, err, "%s: want %s, got '%.60s'%s", value->path, pv_cfg_type_name(schema->type),
                          shown(value), quoted);
}

static int check_int(const struct pv_layer *layer, const struct pv_yaml *node, const struct pv_schema *schema,
                     const struct pv_value *value, prov_error *err)
{
    const char *digits = value->text + (value->text[0] == '-');
    size_t n = strspn(digits, "0123456789");
    if (!value->plain || n == 0 || digits[n])
        return wrong_type(layer, node, schema, value, err);
    if (digits[0] == '0' && n > 1)
        return pv_config_fail(layer, node, err, "%s: '%.60s' looks octal; write the number without the leading zero",
                              value->path, shown(value));
    errno = 0;
    long long number = strtoll(value->text, NULL, 10);
    if (errno == 0 && number >= schema->min && number <= schema->max)
        return PROV_OK;
    if (strcmp(schema->path, "version") == 0)
        return pv_config_fail(layer, node, err, "version: this prov reads version 1 of the file, not %.20s",
                              shown(value));
    return pv_config_fail(layer, node, err, "%s: want %lld to %lld, got %.60s", value->path, (long long)schema->min,
                          (long long)schema->max, shown(value));
}

static int check_bool(const struct pv_layer *layer, const struct pv_yaml *node, const struct pv_schema *schema,
                      const struct pv_value *value, prov_error *err)
{
    static const char *const others[] = {"yes", "no", "on", "off", "y", "n", "true", "false"};
    if (value->plain && (strcmp(value->text, "true") == 0 || strcmp(value->text, "false") == 0))
        return PROV_OK;
    for (size_t i = 0; value->plain && i < sizeof others / sizeof *others; i++)
        if (strcasecmp(value->text, others[i]) == 0)
            return pv_config_fail(layer, node, err,
                                  "%s: want true or false, got '%s'; only these two words, in small letters, "
                                  "are truth values here",
                                  value->path, value->text);
    return wrong_type(layer, node, schema, value, err);
}

static bool driver_ok(const char *name)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");
    return n > 0 && n <= 63 && !name[n] && name[0] >= 'a' && name[0] <= 'z';
}

static int check_choice(const struct pv_layer *layer, const struct pv_yaml *node, const struct pv_schema *schema,
                        const struct pv_value *value, prov_error *err)
{
    char words[128], text[192] = "", what[96];
    const char *names[17];
    size_t n = 0;
    char *rest = NULL;

    snprintf(words, sizeof words, "%s", schema->choices);
    for (char *word = strtok_r(words, " ", &rest); word && n < 16; word = strtok_r(NULL, " ", &rest)) {
        bool needs_trust = *word == '!';
        word += needs_trust;
        names[n++] = word;
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "%s%s", n > 1 ? ", " : "", word);
        if (strcmp(word, value->text) != 0)
            continue;
        snprintf(what, sizeof what, "'%s' in %s", word, value->path);
        return needs_trust && !layer->trusted ? pv_config_refuse(layer, node, what, err) : PROV_OK;
    }
    names[n] = NULL;
    const char *near = psdk_suggest(value->text, names);
    return pv_config_fail(layer, node, err, "%s: '%.60s' is not one of %s%s%s%s", value->path, shown(value), text,
                          near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

int pv_config_check(const struct pv_layer *layer, const struct pv_yaml *node, const struct pv_schema *schema,
                    const struct pv_value *value, prov_error *err)
{
    uint64_t duration;
    bool list = schema->type == PV_CFG_LIST || schema->type == PV_CFG_PATHS;
    if (schema->type >= PV_CFG_PINS || list != value->item)
        return wrong_type(layer, node, schema, value, err);
    switch (schema->type) {
    case PV_CFG_INT:
        return check_int(layer, node, schema, value, err);
    case PV_CFG_BOOL:
        return check_bool(layer, node, schema, value, err);
    case PV_CFG_DURATION:
        return psdk_parse_duration(value->text, &duration) ? PROV_OK : wrong_type(layer, node, schema, value, err);
    case PV_CFG_DRIVER:
        if (!driver_ok(value->text))
            return pv_config_fail(layer, node, err,
                                  "%s: '%.60s' is not a backend's name; want small letters, digits and '-'",
                                  value->path, shown(value));
        break;
    default:
        if (*value->text == '\0')
            return pv_config_fail(layer, node, err, "%s: want %s, got nothing", value->path,
                                  pv_cfg_type_name(schema->type));
        break;
    }
    return schema->choices ? check_choice(layer, node, schema, value, err) : PROV_OK;
}

/* ---- values together --------------------------------------------------------------------------------------------- */
/* Every network has a backend. entry is a value of one. */
static int check_network(struct pv_config *config, const struct pv_entry *entry, prov_error *err)
{
    char section[PV_CONFIG_PATH_MAX], plugin[PV_CONFIG_PATH_MAX + 8];
    size_t len;

    if (!pv_schema_section(entry->path, &len) || len >= sizeof section)
        return PROV_OK;
    snprintf(section, sizeof section, "%.*s", (int)len, entry->path);
    snprintf(plugin, sizeof plugin, "%s.plugin", section);
    if (pv_config_find(config, plugin))
        return PROV_OK;
    bool parted = config->parted && strcmp(config->parted, section) == 0;
    return psdk_fail(err, PROV_E_CONFIG, "%s: %s has no 'plugin'; name its backend%s", entry->origin, section,
                     parted ? " (what your own files say about it is not mixed with a file that you have not trusted)"
                            : "");
}

/* The network that is chosen is one of those defined. */
static int check_chosen(struct pv_config *config, prov_error *err)
{
    enum { MOST = 64 };
    const char *names[MOST + 1];
    size_t n = 0;
    const struct pv_entry *chosen = pv_config_find(config, "chain.network");
    const char *name;

    for (size_t i = 0; chosen && i < config->n; i++)
        if (strncmp(config->entries[i].path, "networks.", 9) == 0 &&
            strcmp(config->entries[i].parts + 9, chosen->value) == 0)
            return PROV_OK;
    if (!chosen)
        return PROV_OK;
    while (n < MOST && (name = pv_config_member(config, "networks", n)) != NULL)
        names[n++] = name;
    names[n] = NULL;
    const char *near = psdk_suggest(chosen->value, names);
    return psdk_fail(err, PROV_E_CONFIG, "%s: chain.network: there is no network '%.60s' under networks%s%s%s",
                     chosen->origin, chosen->secret ? "***" : chosen->value, near ? "; did you mean '" : "",
                     near ? near : "", near ? "'?" : "");
}

int pv_config_finish(struct pv_config *config, prov_error *err)
{
    int rc = PROV_OK;
    for (size_t i = 0; !rc && i < config->n; i++)
        if (strncmp(config->entries[i].path, "networks.", 9) == 0)
            rc = check_network(config, &config->entries[i], err);
    if (!rc)
        rc = check_chosen(config, err);
    if (rc)
        return rc;
    int64_t quorum = pv_config_int(config, "trust.witnesses.quorum", 0);
    size_t keys = pv_config_count(config, "trust.witnesses.keys");
    if (quorum > 0 && (uint64_t)quorum > keys)
        return psdk_fail(err, PROV_E_CONFIG, "%s: trust.witnesses.quorum is %lld, but %zu witness keys are listed",
                         pv_config_origin(config, "trust.witnesses.quorum"), (long long)quorum, keys);
    return PROV_OK;
}
