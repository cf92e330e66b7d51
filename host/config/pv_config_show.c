/* pv_config_show.c - the merged configuration as JSON, without its secrets.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>
#include <string.h>

#include "pv_config_impl.h"

static json_t *no_memory(prov_error *err)
{
    psdk_fail(err, PROV_E_NOMEM, "configuration: out of memory");
    return NULL;
}

/* A whole number in its only decimal spelling that JSON carries exactly. */
static bool is_number(const char *text, json_int_t *ret)
{
    const char *digits = text + (*text == '-');
    size_t n = strspn(digits, "0123456789");
    if (n == 0 || n > 15 || digits[n] || (digits[0] == '0' && (n > 1 || digits != text)))
        return false;
    *ret = strtoll(text, NULL, 10);
    return true;
}

static json_t *value_of(const struct pv_entry *entry)
{
    const struct pv_schema *schema = pv_schema_find(entry->path);
    bool typed = entry->plain && (!schema || schema->type == PV_CFG_INT || schema->type == PV_CFG_BOOL);
    json_int_t number;

    if (!entry->value)
        return json_array();
    if (entry->secret)
        return json_string("***");
    if (typed && is_number(entry->value, &number))
        return json_integer(number);
    if (typed && (strcmp(entry->value, "true") == 0 || strcmp(entry->value, "false") == 0))
        return json_boolean(strcmp(entry->value, "true") == 0);
    struct psdk_buf text = {0};
    json_t *value = pv_secret_redact(entry->value, &text) == PROV_OK ? json_string(psdk_buf_str(&text)) : NULL;
    psdk_buf_done(&text);
    return value;
}

/* Takes value. */
static bool put_flat(json_t *root, const struct pv_entry *entry, json_t *value)
{
    json_t *row = value ? json_pack("{s:o, s:s}", "value", value, "origin", entry->origin) : NULL;
    return row && json_object_set_new(root, entry->path, row) == 0;
}

/* Takes value; makes the objects and the list on the way. */
static bool put_nested(json_t *root, const struct pv_entry *entry, json_t *value)
{
    size_t len = strlen(entry->path);
    const char *part = entry->parts, *end = entry->parts + len;
    json_t *at = root;
    if (!value)
        return false;
    for (;;) {
        const char *next = part + strlen(part) + 1;
        bool last = next > end;
        if (last && entry->list)
            return json_is_array(at) ? json_array_append_new(at, value) == 0 : (json_decref(value), false);
        if (last)
            return json_object_set_new(at, part, value) == 0;
        bool list_next = entry->list && next + strlen(next) >= end;
        json_t *child = json_object_get(at, part);
        if (!child) {
            child = list_next ? json_array() : json_object();
            if (!child || json_object_set_new(at, part, child) != 0) {
                json_decref(value);
                return false;
            }
        }
        at = child;
        part = next;
    }
}

/* Row of the schema that orders the output: of the section's first part. */
static size_t rank_of(const char *path)
{
    size_t n = strcspn(path, "."), i = 0;
    for (const struct pv_schema *row = pv_schema_table(); row->path; row++, i++)
        if (strlen(row->path) == n && memcmp(row->path, path, n) == 0)
            break;
    return i;
}

json_t *pv_config_show(const struct pv_config *config, bool with_origin, prov_error *err)
{
    json_t *root = json_object();
    size_t n_rows = 0;
    if (!root)
        return no_memory(err);
    while (pv_schema_table()[n_rows].path)
        n_rows++;
    for (size_t rank = 0; rank <= n_rows; rank++)
        for (size_t i = 0; i < config->n; i++) {
            const struct pv_entry *entry = &config->entries[i];
            if (rank_of(entry->path) != rank)
                continue;
            json_t *value = value_of(entry);
            if (!(with_origin ? put_flat(root, entry, value) : put_nested(root, entry, value))) {
                json_decref(root);
                return no_memory(err);
            }
        }
    return root;
}
