/* pv_config_env.c - PROV_* names of the environment, and flags.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "pv_config_impl.h"

int pv_env_switch(const char *name, const char *text, bool *ret, prov_error *err)
{
    static const char *const words[] = {"false", "true", "0", "1", "no", "yes", "off", "on"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcasecmp(text, words[i]) == 0) {
            *ret = i % 2 == 1;
            return PROV_OK;
        }
    return psdk_fail(err, PROV_E_CONFIG, "environment %s: want true or false, got '%.40s'", name, text);
}

/* Puts the words of text (white space or commas between them) as the list at path. */
static int put_words(const struct pv_layer *layer, const char *path, const char *text, prov_error *err)
{
    char *copy = strdup(text), *rest = NULL;
    int rc = PROV_OK;
    if (!copy)
        return psdk_fail(err, PROV_E_NOMEM, "configuration: out of memory");
    for (char *word = strtok_r(copy, ", \t\n", &rest); word && !rc; word = strtok_r(NULL, ", \t\n", &rest)) {
        struct pv_value value = {.path = path, .text = word, .plain = true, .item = true};
        rc = pv_config_put(layer, NULL, &value, err);
    }
    free(copy);
    return rc;
}

/* A value from outside of files: a scalar, an element of a list, a list in one word, or a store URL. */
static int put_outside(const struct pv_layer *layer, const char *path, const char *text, bool words, prov_error *err)
{
    const struct pv_schema *schema = pv_schema_find(path);
    if (strcmp(path, "store") == 0)
        return pv_config_store_url(layer, text, err);
    if (words)
        return put_words(layer, path, text, err);
    bool item = schema && (schema->type == PV_CFG_LIST || schema->type == PV_CFG_PATHS);
    struct pv_value value = {.path = path, .text = text, .plain = true, .item = item};
    return pv_config_put(layer, NULL, &value, err);
}

int pv_config_env(const struct pv_layer *layer, prov_error *err)
{
    static const struct {
        const char *name, *path;
        bool words;
    } names[] = {
        {"PROV_STORE", "store", false},       {"PROV_NETWORK", "chain.network", false},
        {"PROV_MODEL_ID", "model_id", false}, {"PROV_STATE", "state", false},
        {"PROV_KEYS", "keys", false},         {"PROV_TRUST", "trust.keys", true},
    };
    int rc = PROV_OK;
    for (size_t i = 0; !rc && i < sizeof names / sizeof *names; i++) {
        const char *text = pv_env_get(layer->environ, names[i].name);
        if (!text)
            continue;
        char origin[64];
        struct pv_layer own = *layer;
        snprintf(origin, sizeof origin, "environment %s", names[i].name);
        own.name = origin;
        rc = put_outside(&own, names[i].path, text, names[i].words, err);
    }
    return rc;
}

int pv_config_flags(const struct pv_layer *layer, const struct pv_config_flag *flags, size_t n, prov_error *err)
{
    int rc = PROV_OK;
    for (size_t i = 0; !rc && i < n; i++) {
        char origin[96];
        size_t len;
        const char *key = strrchr(flags[i].path, '.');
        struct pv_layer own = *layer;
        snprintf(origin, sizeof origin, "flag %s", flags[i].flag);
        own.name = origin;
        if (pv_secret_name(key ? key + 1 : flags[i].path))
            return pv_config_fail(&own, NULL, err,
                                  "a secret is never given by a flag, where other users can see it; use the "
                                  "environment, a file of mode 0600 or a keystore");
        if (!pv_schema_find(flags[i].path) && !pv_schema_section(flags[i].path, &len))
            return pv_config_fail(&own, NULL, err, "unknown key '%s'", flags[i].path);
        rc = put_outside(&own, flags[i].path, flags[i].value, false, err);
    }
    return rc;
}
