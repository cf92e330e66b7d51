/* pv_options.c - configured options, checked against a provider's table. SPDX-License-Identifier: Apache-2.0 */
#include "pv_options.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "psdk_file.h"
#include "psdk_sign.h"

static const struct {
    const char *name;
    const char *text;
} types[] = {
    [PROV_OPT_STRING] = {"string", "a string"},
    [PROV_OPT_INT] = {"int", "a whole number"},
    [PROV_OPT_BOOL] = {"bool", "true or false"},
    [PROV_OPT_DURATION] = {"duration", "a duration such as 500ms, 10s or 1h"},
    [PROV_OPT_SIZE] = {"size", "a size such as 512, 64KiB or 16MiB"},
    [PROV_OPT_PATH] = {"path", "a path"},
    [PROV_OPT_LIST] = {"list", "a list of strings"},
    [PROV_OPT_MAP] = {"map", "a map of strings"},
};

const char *pv_option_type_name(int32_t type)
{
    return type > 0 && (size_t)type < sizeof types / sizeof types[0] ? types[type].name : NULL;
}

const char *pv_option_type_text(int32_t type)
{
    return type > 0 && (size_t)type < sizeof types / sizeof types[0] ? types[type].text : NULL;
}

/* Members of a section that are the host's own, unless the provider declares them. */
static bool host_member(const char *name)
{
    static const char *const names[] = {"plugin", "sha256", "timeout", "isolate"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i], name) == 0)
            return true;
    }
    return false;
}

/* Frees a string that may be a secret. */
static void free_wiped(char *text)
{
    if (text != NULL)
        psdk_wipe(text, strlen(text));
    free(text);
}

static int config_error(prov_error *err)
{
    return psdk_outcome(err, PROV_OUTCOME_PERMANENT);
}

/* ---- one value --------------------------------------------------------------------------------------------------- */
static bool parse_int(const char *text, char *ret, size_t cap)
{
    char *end = NULL;
    const char *digits = text[0] == '-' || text[0] == '+' ? text + 1 : text;
    if (digits[0] < '0' || digits[0] > '9')
        return false;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    if (errno != 0 || *end != '\0')
        return false;
    snprintf(ret, cap, "%lld", v);
    return true;
}

static bool parse_bool(const char *text, char *ret, size_t cap)
{
    static const char *const yes[] = {"true", "yes", "on"};
    static const char *const no[] = {"false", "no", "off"};
    for (size_t i = 0; i < 3; i++) {
        bool is_yes = strcasecmp(text, yes[i]) == 0;
        if (is_yes || strcasecmp(text, no[i]) == 0) {
            snprintf(ret, cap, "%s", is_yes ? "true" : "false");
            return true;
        }
    }
    return false;
}

static char *absolute(const char *path, const char *base)
{
    char *ret = NULL;
    if (path[0] == '/' || base == NULL)
        return strdup(path);
    return asprintf(&ret, "%s/%s", base, path) < 0 ? NULL : ret;
}

/* The value in the form that create is given. NULL with *ret_bad: not of its type; NULL without: no memory. */
static char *convert(const prov_option *option, const char *text, const char *base_dir, bool *ret_bad)
{
    char number[32];
    uint64_t v = 0;
    *ret_bad = false;
    switch (option->type) {
    case PROV_OPT_INT:
        *ret_bad = !parse_int(text, number, sizeof number);
        break;
    case PROV_OPT_BOOL:
        *ret_bad = !parse_bool(text, number, sizeof number);
        break;
    case PROV_OPT_DURATION:
        *ret_bad = !psdk_parse_duration(text, &v);
        snprintf(number, sizeof number, "%" PRIu64, v);
        break;
    case PROV_OPT_SIZE:
        *ret_bad = !psdk_parse_size(text, &v);
        snprintf(number, sizeof number, "%" PRIu64, v);
        break;
    case PROV_OPT_PATH:
        *ret_bad = text[0] == '\0';
        return *ret_bad ? NULL : absolute(text, base_dir);
    default:
        return strdup(text);
    }
    return *ret_bad ? NULL : strdup(number);
}

/* ---- the lists --------------------------------------------------------------------------------------------------- */
static int add(prov_option_value **list, size_t *n, const char *name, char *value, prov_error *err)
{
    char *copy = value != NULL ? strdup(name) : NULL;
    prov_option_value *grown = copy != NULL ? realloc(*list, (*n + 1) * sizeof **list) : NULL;
    if (grown == NULL) {
        free(copy);
        free_wiped(value);
        return psdk_fail(err, PROV_E_NOMEM, "no memory for option '%s'", name);
    }
    grown[*n].name = copy;
    grown[*n].value = value;
    *list = grown;
    (*n)++;
    return PROV_OK;
}

static void free_list(prov_option_value *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free((void *)(uintptr_t)list[i].name);
        free_wiped((char *)(uintptr_t)list[i].value);
    }
    free(list);
}

void pv_options_done(struct pv_option_values *values)
{
    free_list(values->values, values->n_values);
    free_list(values->secrets, values->n_secrets);
    memset(values, 0, sizeof *values);
}

/* ---- names ------------------------------------------------------------------------------------------------------- */
/* Whether configured `name` is option `o`, or a key of it when it is a map. */
static bool names_option(const prov_option *o, const char *name)
{
    size_t len = strlen(o->name);
    if (strncmp(o->name, name, len) != 0)
        return false;
    return o->type == PROV_OPT_MAP ? name[len] == '.' && name[len + 1] != '\0' : name[len] == '\0';
}

static const prov_option *find_option(const struct pv_provider *p, const char *name)
{
    for (uint32_t i = 0; i < p->n_options; i++) {
        if (names_option(p->options[i], name))
            return p->options[i];
    }
    return NULL;
}

static int unknown_option(const struct pv_provider *p, const struct pv_plugin_option *given, prov_error *err)
{
    const char *names[PV_MAX_OPTIONS + 1];
    const char *where = given->where != NULL ? given->where : "configuration";
    for (uint32_t i = 0; i < p->n_options; i++) {
        const prov_option *o = p->options[i];
        names[i] = o->name;
        if (o->type == PROV_OPT_MAP && strcmp(o->name, given->name) == 0) {
            psdk_fail(err, PROV_E_CONFIG, "%s: %s: option '%s' is a map, give it members", where, p->name, o->name);
            return config_error(err);
        }
    }
    names[p->n_options] = NULL;
    const char *near = psdk_suggest(given->name, names);
    if (near != NULL)
        psdk_fail(err, PROV_E_CONFIG, "%s: %s has no option '%s'; did you mean '%s'?", where, p->name, given->name,
                  near);
    else
        psdk_fail(err, PROV_E_CONFIG, "%s: %s has no option '%s'; `prov plugin info %s` lists them", where, p->name,
                  given->name, p->name);
    return config_error(err);
}

static int check_names(const struct pv_provider *p, const struct pv_plugin_spec *spec, prov_error *err)
{
    for (size_t i = 0; i < spec->n_options; i++) {
        const struct pv_plugin_option *given = &spec->options[i];
        const prov_option *o = find_option(p, given->name);
        if (o == NULL) {
            if (host_member(given->name))
                continue;
            return unknown_option(p, given, err);
        }
        for (size_t k = 0; o->type != PROV_OPT_LIST && k < i; k++) {
            if (strcmp(spec->options[k].name, given->name) == 0) {
                psdk_fail(err, PROV_E_CONFIG, "%s: %s: option '%s' is given twice (first at %s)",
                          given->where != NULL ? given->where : "configuration", p->name, given->name,
                          spec->options[k].where != NULL ? spec->options[k].where : "another place");
                return config_error(err);
            }
        }
    }
    return PROV_OK;
}

/* ---- one option of the table ------------------------------------------------------------------------------------- */
struct filling {
    const struct pv_provider *provider;
    const struct pv_plugin_spec *spec;
    struct pv_option_values *out;
};

static int take_value(const struct filling *f, const prov_option *o, const char *name, const char *text,
                      const char *where, prov_error *err)
{
    bool bad = false;
    bool secret = (o->flags & PROV_OPT_SECRET) != 0;
    char *value = secret ? strdup(text) : convert(o, text, f->spec->base_dir, &bad);
    if (bad) {
        psdk_fail(err, PROV_E_CONFIG, "%s: %s: option '%s': want %s, got '%s'", where != NULL ? where : "configuration",
                  f->provider->name, name, pv_option_type_text(o->type), text);
        return config_error(err);
    }
    if (secret)
        return add(&f->out->secrets, &f->out->n_secrets, name, value, err);
    return add(&f->out->values, &f->out->n_values, name, value, err);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const prov_option_value *)a)->name, ((const prov_option_value *)b)->name);
}

static int fill_option(const struct filling *f, const prov_option *o, prov_error *err)
{
    size_t first = f->out->n_values;
    size_t given = 0;
    for (size_t i = 0; i < f->spec->n_options; i++) {
        const struct pv_plugin_option *g = &f->spec->options[i];
        if (!names_option(o, g->name))
            continue;
        given++;
        int rc = take_value(f, o, g->name, g->value != NULL ? g->value : "", g->where, err);
        if (rc != PROV_OK)
            return rc;
    }
    if (given > 0) {
        if (o->type == PROV_OPT_MAP)
            qsort(f->out->values + first, f->out->n_values - first, sizeof f->out->values[0], by_name);
        return PROV_OK;
    }
    if (o->default_value != NULL && o->type != PROV_OPT_MAP)
        return take_value(f, o, o->name, o->default_value, "its default", err);
    if ((o->flags & PROV_OPT_REQUIRED) == 0)
        return PROV_OK;
    psdk_fail(err, PROV_E_CONFIG, "%s: %s needs option '%s', %s%s%s",
              f->spec->where != NULL ? f->spec->where : "configuration", f->provider->name, o->name,
              pv_option_type_text(o->type), o->doc != NULL ? ": " : "", o->doc != NULL ? o->doc : "");
    return config_error(err);
}

int pv_options_parse(const struct pv_provider *provider, const struct pv_plugin_spec *spec,
                     struct pv_option_values *ret, prov_error *err)
{
    struct filling f = {provider, spec, ret};
    memset(ret, 0, sizeof *ret);
    int rc = check_names(provider, spec, err);
    for (uint32_t i = 0; rc == PROV_OK && i < provider->n_options; i++)
        rc = fill_option(&f, provider->options[i], err);
    if (rc != PROV_OK)
        pv_options_done(ret);
    return rc;
}
