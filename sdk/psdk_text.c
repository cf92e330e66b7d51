/* psdk_text.c - hex and base64.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "psdk_hash.h"

static const char hex_digits[] = "0123456789abcdef";
static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void psdk_hex(const void *data, size_t len, char *ret)
{
    const uint8_t *in = data;
    for (size_t i = 0; i < len; i++) {
        *ret++ = hex_digits[in[i] >> 4];
        *ret++ = hex_digits[in[i] & 15];
    }
    *ret = '\0';
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool psdk_unhex(const char *text, size_t text_len, void *ret, size_t len)
{
    if (text_len % 2 || text_len / 2 != len)
        return false;
    uint8_t *out = ret;
    for (size_t i = 0; i < len; i++) {
        int high = hex_value(text[2 * i]);
        int low = hex_value(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

bool psdk_parse_hash(const char *text, uint8_t ret[32])
{
    uint8_t hash[PSDK_SHA256_BYTES];
    if (text[0] == '0' && text[1] == 'x')
        text += 2;
    if (!psdk_unhex(text, strnlen(text, PSDK_SHA256_HEX), hash, sizeof hash))
        return false;
    memcpy(ret, hash, sizeof hash);
    return true;
}

size_t psdk_base64(const void *data, size_t len, char *ret)
{
    const uint8_t *in = data;
    char *out = ret;
    while (len >= 3) {
        uint32_t bits = (uint32_t)in[0] << 16 | (uint32_t)in[1] << 8 | in[2];
        out[0] = base64_digits[bits >> 18];
        out[1] = base64_digits[bits >> 12 & 63];
        out[2] = base64_digits[bits >> 6 & 63];
        out[3] = base64_digits[bits & 63];
        in += 3;
        out += 4;
        len -= 3;
    }
    if (len > 0) {
        uint32_t bits = (uint32_t)in[0] << 16 | (len == 2 ? (uint32_t)in[1] << 8 : 0);
        out[0] = base64_digits[bits >> 18];
        out[1] = base64_digits[bits >> 12 & 63];
        out[2] = len == 2 ? base64_digits[bits >> 6 & 63] : '=';
        out[3] = '=';
        out += 4;
    }
    *out = '\0';
    return (size_t)(out - ret);
}

static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+')
        return 62;
    return c == '/' ? 63 : -1;
}

/* Decodes one quad of n_digits digits (2 to 4) to n_digits - 1 bytes; false when it is not canonical. */
static bool unbase64_quad(const char *text, unsigned n_digits, uint8_t *ret)
{
    uint32_t bits = 0;
    for (unsigned i = 0; i < 4; i++) {
        int value = i < n_digits ? base64_value(text[i]) : 0;
        if (value < 0)
            return false;
        bits = bits << 6 | (uint32_t)value;
    }
    uint32_t unused = n_digits == 2 ? 0xFFFFu : n_digits == 3 ? 0xFFu : 0;
    if (bits & unused)
        return false;
    for (unsigned i = 0; i + 1 < n_digits; i++)
        ret[i] = (uint8_t)(bits >> (16 - 8 * i));
    return true;
}

long psdk_unbase64(const char *text, size_t text_len, void *ret, size_t cap)
{
    if (text_len % 4)
        return -1;
    if (text_len == 0)
        return 0;
    unsigned last_digits = text[text_len - 1] != '=' ? 4 : text[text_len - 2] != '=' ? 3 : 2;
    size_t len = text_len / 4 * 3 - (4 - last_digits);
    if (len > cap)
        return -1;
    uint8_t *out = ret;
    for (size_t at = 0; at < text_len; at += 4) {
        unsigned n_digits = at + 4 == text_len ? last_digits : 4;
        if (!unbase64_quad(text + at, n_digits, out))
            return -1;
        out += n_digits - 1;
    }
    return (long)len;
}
