/* psdk_json.c - reading strict I-JSON into jansson values.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * psdk_json_scan decides first whether the text is acceptable and where it is not; jansson then builds the values and
 * finds what is left: duplicate names, and numbers that overflow by a hair.
 */
#include "psdk_json.h"

#include <string.h>

#include "psdk_json_scan.h"

#define QUOTE_MAX 64 /* a name is repeated in an error up to this length */

/* Line and column, from 1, of the byte at `at`; columns count characters. */
static void locate(const char *text, size_t at, size_t *ret_line, size_t *ret_column)
{
    size_t line = 1;
    size_t column = 1;
    for (size_t i = 0; i < at; i++) {
        if (text[i] == '\n') {
            line++;
            column = 1;
        } else if (((uint8_t)text[i] & 0xC0) != 0x80) {
            column++;
        }
    }
    *ret_line = line;
    *ret_column = column;
}

static json_t *refuse(const char *text, const char *what, const struct psdk_json_fault *fault, prov_error *err)
{
    size_t line;
    size_t column;
    locate(text, fault->at, &line, &column);
    psdk_fail(err, PROV_E_INVALID, "%s:%zu:%zu: %s", what, line, column, fault->why);
    return NULL;
}

/* The opening quote of the string that ends in front of `behind`. */
static size_t string_start(const char *text, size_t behind)
{
    size_t at = behind > 0 ? behind - 1 : 0;
    while (at > 0) {
        at--;
        size_t slashes = 0;
        while (slashes < at && text[at - 1 - slashes] == '\\')
            slashes++;
        if (text[at] == '"' && slashes % 2 == 0)
            break;
    }
    return at;
}

static json_t *refuse_duplicate(const char *text, size_t behind, const char *what, prov_error *err)
{
    size_t line;
    size_t column;
    size_t at = string_start(text, behind);
    size_t len = behind - at;
    locate(text, at, &line, &column);
    if (len <= QUOTE_MAX)
        psdk_fail(err, PROV_E_INVALID, "%s:%zu:%zu: the name %.*s occurs twice in this object", what, line, column,
                  (int)len, text + at);
    else
        psdk_fail(err, PROV_E_INVALID, "%s:%zu:%zu: this name occurs twice in this object", what, line, column);
    return NULL;
}

json_t *psdk_json_parse(const char *text, size_t len, const char *what, prov_error *err)
{
    struct psdk_json_fault fault;
    json_error_t error;
    if (len > PSDK_BUF_MAX) {
        psdk_fail(err, PROV_E_LIMIT, "%s: %zu bytes of JSON are more than the limit of %zu", what, len, PSDK_BUF_MAX);
        return NULL;
    }
    if (!psdk_json_scan(text, len, &fault))
        return refuse(text, what, &fault, err);
    json_t *value = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_ANY, &error);
    if (value)
        return value;
    size_t at = error.position < 0 || (size_t)error.position > len ? len : (size_t)error.position;
    switch (json_error_code(&error)) {
    case json_error_duplicate_key:
        return refuse_duplicate(text, at, what, err);
    case json_error_out_of_memory:
        psdk_fail(err, PROV_E_NOMEM, "%s: out of memory while reading %zu bytes of JSON", what, len);
        return NULL;
    case json_error_numeric_overflow:
        fault = (struct psdk_json_fault){"this number is too large for a double", at};
        return refuse(text, what, &fault, err);
    default:
        fault = (struct psdk_json_fault){error.text, at};
        return refuse(text, what, &fault, err);
    }
}
