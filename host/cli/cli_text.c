/* cli_text.c - text for terminals: nothing that a record holds can move the cursor; colours; JSON values in short.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>
#include <string.h>

#include "cli.h"

const char *cli_style(bool color, char style)
{
    if (!color)
        return "";
    switch (style) {
    case 'b':
        return "\033[1m";
    case 'd':
        return "\033[2m";
    case 'r':
        return "\033[31m";
    case 'g':
        return "\033[32m";
    case 'y':
        return "\033[33m";
    default:
        return "\033[0m";
    }
}

/* Length of the well-formed UTF-8 sequence at text, 0 when it is none. */
static size_t unicode(const unsigned char *text)
{
    unsigned c = text[0];
    size_t n = c < 0x80 ? 1 : c >= 0xc2 && c < 0xe0 ? 2 : c >= 0xe0 && c < 0xf0 ? 3 : c >= 0xf0 && c < 0xf5 ? 4 : 0;
    for (size_t i = 1; i < n; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (c == 0xe0 && text[1] < 0xa0) || (c == 0xf0 && text[1] < 0x90);
    bool surrogate = c == 0xed && text[1] >= 0xa0, beyond = c == 0xf4 && text[1] >= 0x90;
    return overlong || surrogate || beyond ? 0 : n;
}

/* The same for what a terminal may have. */
static size_t sequence(const unsigned char *text)
{
    unsigned c = text[0];
    size_t n = unicode(text);
    if (n == 0 || (n == 1 && (c < 0x20 || c == 0x7f)))
        return 0;
    bool c1 = c == 0xc2 && text[1] < 0xa0;
    /* Marks that reverse or hide text: U+200E..200F, U+202A..202E, U+2066..2069 */
    bool marks = c == 0xe2 &&
                 ((text[1] == 0x80 && (text[2] == 0x8e || text[2] == 0x8f || (text[2] >= 0xaa && text[2] <= 0xae))) ||
                  (text[1] == 0x81 && text[2] >= 0xa6 && text[2] <= 0xa9));
    return c1 || marks ? 0 : n;
}

bool cli_is_utf8(const char *text)
{
    for (const unsigned char *at = (const unsigned char *)text; *at;) {
        size_t n = at[0] < 0x80 ? 1 : unicode(at);
        if (!n)
            return false;
        at += n;
    }
    return true;
}

size_t cli_put(FILE *out, const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    size_t cells = 0;
    while (*at) {
        size_t n = sequence(at);
        if (n)
            fwrite(at, 1, n, out);
        else
            fputc('?', out);
        at += n ? n : 1;
        cells++;
    }
    return cells;
}

char *cli_clean(const char *text)
{
    size_t len = strlen(text), used = 0;
    char *clean = malloc(len + 1);
    for (const char *at = text; clean && *at;) {
        size_t n = *at == '\n' || *at == '\t' ? 1 : sequence((const unsigned char *)at);
        if (n)
            memcpy(clean + used, at, n);
        else
            clean[used] = '?';
        used += n ? n : 1;
        at += n ? n : 1;
    }
    if (clean)
        clean[used] = '\0';
    return clean;
}

json_t *cli_json(struct cli *cli, const char *text)
{
    json_error_t error;
    json_t *value = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    if (!value)
        cli_error(cli, PROV_E_INTERNAL, "an answer of the library cannot be read: %s", error.text);
    return value;
}

const char *cli_scalar(const json_t *value, char *room, size_t cap)
{
    room[0] = '\0';
    if (json_is_string(value))
        return json_string_value(value);
    if (json_is_integer(value))
        snprintf(room, cap, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_real(value))
        snprintf(room, cap, "%.4g", json_real_value(value));
    else if (json_is_boolean(value))
        snprintf(room, cap, "%s", json_is_true(value) ? "yes" : "no");
    else if (json_is_object(value) || json_is_array(value)) {
        char *text = json_dumps(value, JSON_COMPACT);
        snprintf(room, cap, "%s", text ? text : "");
        free(text);
    }
    return room;
}

const char *cli_member(const json_t *object, const char *name, char *room, size_t cap)
{
    return cli_scalar(json_object_get(object, name), room, cap);
}
