/* psdk_jcs_check.c - canonical text: checking it, and finding a member in it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "psdk_json.h"
#include "psdk_json_scan.h"

int psdk_jcs_check(const char *text, size_t len, const char *what, prov_error *err)
{
    struct psdk_json_fault fault;
    if (psdk_jcs_scan(text, len, &fault))
        return PROV_OK;
    return psdk_fail(err, PROV_E_INVALID, "%s: byte %zu: %s", what, fault.at, fault.why);
}

/* Behind the string whose opening quote is at `at`; end when it does not end. */
static const uint8_t *skip_string(const uint8_t *at, const uint8_t *end)
{
    for (at++; (at = psdk_json_skip_plain(at, end)) < end; at++) {
        if (*at == '"')
            return at + 1;
        if (*at == '\\' && at + 1 < end)
            at++;
    }
    return end;
}

/* Behind the value at `at`. */
static const uint8_t *skip_value(const uint8_t *at, const uint8_t *end)
{
    size_t depth = 0;
    while (at < end) {
        switch (*at) {
        case '"':
            at = skip_string(at, end);
            break;
        case '{':
        case '[':
            depth++;
            at++;
            break;
        case '}':
        case ']':
            if (depth == 0)
                return at;
            depth--;
            at++;
            break;
        case ',':
            if (depth == 0)
                return at;
            at++;
            break;
        default:
            at++;
        }
    }
    return end;
}

const char *psdk_jcs_member(const char *text, size_t len, const char *key, size_t *ret_len)
{
    const uint8_t *at = (const uint8_t *)text;
    const uint8_t *end = at + len;
    size_t key_len = strlen(key);
    if (len == 0 || *at != '{')
        return NULL;
    while (++at < end && *at == '"') {
        const uint8_t *name = at + 1;
        const uint8_t *value = skip_string(at, end);
        if (value >= end || *value != ':')
            return NULL;
        size_t name_len = (size_t)(value - 1 - name);
        /* Names are sorted: behind a larger first letter it cannot come. (An escape does not show its letter.) */
        if (name_len > 0 && *name != '\\' && *name > (uint8_t)key[0])
            return NULL;
        value++;
        at = skip_value(value, end);
        if (name_len == key_len && memcmp(name, key, key_len) == 0) {
            *ret_len = (size_t)(at - value);
            return (const char *)value;
        }
        if (at >= end || *at != ',')
            return NULL;
    }
    return NULL;
}
