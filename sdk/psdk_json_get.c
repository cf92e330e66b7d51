/* psdk_json_get.c - reading members, with errors that say which one is wrong and what it should be.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "psdk_hash.h"
#include "psdk_json.h"

#define SUGGEST_MAX 64 /* longer words are nobody's typing error */

static const char *type_name(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
        return "a whole number";
    case JSON_REAL:
        return "a number with a fraction";
    case JSON_TRUE:
        return "true";
    case JSON_FALSE:
        return "false";
    default:
        return "null";
    }
}

/* Between path and key in messages; nothing when there is no path. */
static const char *dot(const char *path)
{
    return path[0] ? "." : "";
}

/* Finds a member. want says what a needed one should be; NULL: it is optional, and *ret = NULL when absent or null. */
static int find(const json_t *object, const char *path, const char *key, const char *want, const json_t **ret,
                prov_error *err)
{
    *ret = NULL;
    if (!json_is_object(object))
        return psdk_fail(err, PROV_E_INVALID, "%s: want an object with the member \"%s\", got %s",
                         path[0] ? path : "value", key, object ? type_name(object) : "nothing");
    const json_t *value = json_object_get(object, key);
    if (!want && (!value || json_is_null(value)))
        return PROV_OK;
    if (!value)
        return psdk_fail(err, PROV_E_INVALID, "%s%s%s: missing; want %s", path, dot(path), key, want);
    *ret = value;
    return PROV_OK;
}

static int wrong_type(const char *path, const char *key, const char *want, const json_t *got, prov_error *err)
{
    return psdk_fail(err, PROV_E_INVALID, "%s%s%s: want %s, got %s", path, dot(path), key, want, type_name(got));
}

static int read_str(const json_t *object, const char *path, const char *key, bool optional, const char **ret,
                    prov_error *err)
{
    const json_t *value;
    int rc = find(object, path, key, optional ? NULL : "a string", &value, err);
    if (rc || !value)
        return rc;
    if (!json_is_string(value))
        return wrong_type(path, key, "a string", value, err);
    *ret = json_string_value(value);
    return PROV_OK;
}

int psdk_json_get_str(const json_t *object, const char *path, const char *key, const char **ret, prov_error *err)
{
    return read_str(object, path, key, false, ret, err);
}

int psdk_json_opt_str(const json_t *object, const char *path, const char *key, const char **ret, prov_error *err)
{
    return read_str(object, path, key, true, ret, err);
}

/* Checks and hands out an integer that find has found. */
static int take_int(const json_t *value, const char *path, const char *key, const int64_t range[2], int64_t *ret,
                    prov_error *err)
{
    if (!json_is_integer(value))
        return wrong_type(path, key, "a whole number", value, err);
    int64_t number = json_integer_value(value);
    if (number < range[0] || number > range[1])
        return psdk_fail(err, PROV_E_INVALID, "%s%s%s: must be from %lld to %lld, got %lld", path, dot(path), key,
                         (long long)range[0], (long long)range[1], (long long)number);
    *ret = number;
    return PROV_OK;
}

int psdk_json_get_int(const json_t *object, const char *path, const char *key, int64_t min, int64_t max, int64_t *ret,
                      prov_error *err)
{
    const json_t *value;
    int rc = find(object, path, key, "a whole number", &value, err);
    return rc ? rc : take_int(value, path, key, (int64_t[]){min, max}, ret, err);
}

int psdk_json_opt_int(const json_t *object, const char *path, const char *key, int64_t min, int64_t max, int64_t *ret,
                      prov_error *err)
{
    const json_t *value;
    int rc = find(object, path, key, NULL, &value, err);
    return rc || !value ? rc : take_int(value, path, key, (int64_t[]){min, max}, ret, err);
}

int psdk_json_get_hash(const json_t *object, const char *path, const char *key, uint8_t ret[32], prov_error *err)
{
    const json_t *value;
    int rc = find(object, path, key, "a hash of 64 hex digits", &value, err);
    if (rc)
        return rc;
    if (!json_is_string(value))
        return wrong_type(path, key, "a hash of 64 hex digits", value, err);
    const char *text = json_string_value(value);
    if (strlen(text) != json_string_length(value) || !psdk_parse_hash(text, ret))
        return psdk_fail(err, PROV_E_INVALID, "%s%s%s: want a hash of 64 hex digits, got another string of %zu bytes",
                         path, dot(path), key, json_string_length(value));
    return PROV_OK;
}

int psdk_json_get_obj(const json_t *object, const char *path, const char *key, const json_t **ret, prov_error *err)
{
    const json_t *value;
    int rc = find(object, path, key, "an object", &value, err);
    if (rc)
        return rc;
    if (!json_is_object(value))
        return wrong_type(path, key, "an object", value, err);
    *ret = value;
    return PROV_OK;
}

int psdk_json_get_arr(const json_t *object, const char *path, const char *key, const json_t **ret, prov_error *err)
{
    const json_t *value;
    int rc = find(object, path, key, "an array", &value, err);
    if (rc)
        return rc;
    if (!json_is_array(value))
        return wrong_type(path, key, "an array", value, err);
    *ret = value;
    return PROV_OK;
}

static bool is_one_of(const char *word, const char *const *names)
{
    for (; *names; names++)
        if (strcmp(word, *names) == 0)
            return true;
    return false;
}

static int refuse_member(const char *path, const char *key, const char *const *names, prov_error *err)
{
    const char *near = psdk_suggest(key, names);
    if (near)
        return psdk_fail(err, PROV_E_INVALID, "%s%s%s: unknown member; did you mean \"%s\"?", path, dot(path), key,
                         near);
    struct psdk_buf known = {.max = sizeof err->message};
    for (; *names; names++)
        psdk_buf_addf(&known, "%s%s", known.len ? ", " : "", *names);
    psdk_fail(err, PROV_E_INVALID, "%s%s%s: unknown member; known ones are %s", path, dot(path), key,
              known.len ? psdk_buf_str(&known) : "none");
    psdk_buf_done(&known);
    return PROV_E_INVALID;
}

int psdk_json_only(const json_t *object, const char *path, const char *const *names, prov_error *err)
{
    if (!json_is_object(object))
        return psdk_fail(err, PROV_E_INVALID, "%s: want an object, got %s", path[0] ? path : "value",
                         object ? type_name(object) : "nothing");
    /* Iterating does not change the object; jansson's interface has no const form. */
    json_t *walked = (json_t *)(uintptr_t)object;
    for (void *it = json_object_iter(walked); it; it = json_object_iter_next(walked, it))
        if (!is_one_of(json_object_iter_key(it), names))
            return refuse_member(path, json_object_iter_key(it), names, err);
    return PROV_OK;
}

/* Insertions, deletions, replacements and swaps of neighbours between a and b (both at most SUGGEST_MAX bytes). */
static size_t edit_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    size_t rows[3][SUGGEST_MAX + 1];
    for (size_t j = 0; j <= b_len; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i - 1) % 3];
        const size_t *above2 = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t best = above[j - 1] + (a[i - 1] != b[j - 1]);
            if (above[j] + 1 < best)
                best = above[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped && above2[j - 2] + 1 < best)
                best = above2[j - 2] + 1;
            row[j] = best;
        }
    }
    return rows[a_len % 3][b_len];
}

const char *psdk_suggest(const char *word, const char *const *names)
{
    const char *nearest = NULL;
    size_t best = 3;
    size_t len = strnlen(word, SUGGEST_MAX + 1);
    if (len > SUGGEST_MAX)
        return NULL;
    for (; *names; names++) {
        size_t name_len = strnlen(*names, SUGGEST_MAX + 1);
        if (name_len > SUGGEST_MAX)
            continue;
        size_t distance = edit_distance(word, len, *names, name_len);
        if (distance < best && 2 * distance < len) {
            best = distance;
            nearest = *names;
        }
    }
    return nearest;
}
