/* psdk_err.c - filling prov_error; what the result codes mean.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "psdk_err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "psdk_json_scan.h"

#define MESSAGE_MAX (sizeof(((prov_error *)0)->message) - 1)

/* The longest prefix of text that has at most max bytes and does not split a UTF-8 sequence. */
static size_t utf8_prefix(const char *text, size_t len, size_t max)
{
    if (len <= max)
        return len;
    size_t cut = max;
    while (cut > 0 && max - cut < 3 && ((unsigned char)text[cut] & 0xC0) == 0x80)
        cut--;
    return ((unsigned char)text[cut] & 0xC0) == 0x80 ? max : cut;
}

static size_t format_cut(char *ret, size_t max, const char *format, va_list args) PSDK_PRINTF(3, 0);

/* Formats into ret (MESSAGE_MAX + 2 bytes, so that one byte beyond the cut can be seen); returns the length, <= max. */
static size_t format_cut(char *ret, size_t max, const char *format, va_list args)
{
    int n = vsnprintf(ret, MESSAGE_MAX + 2, format, args);
    size_t len = n < 0 ? 0 : (size_t)n;
    if (len > MESSAGE_MAX + 1)
        len = MESSAGE_MAX + 1;
    len = utf8_prefix(ret, len, max);
    ret[len] = '\0';
    return len;
}

/* A message is UTF-8 and one line, also when a cut ("%.40s") or a hostile input put something else into it. */
static void make_clean(char *text, size_t len)
{
    uint8_t *at = (uint8_t *)text, *end = at + len;
    while (at < end) {
        size_t n = psdk_utf8_len(at, end);
        if (n == 0 || *at < 0x20 || *at == 0x7f) {
            *at++ = '?';
        } else {
            at += n;
        }
    }
}

static void fill(prov_error *err, int code, const char *message, size_t len)
{
    err->code = code;
    err->outcome = PROV_OUTCOME_UNSET;
    err->retry_after_ms = 0;
    err->reserved = 0;
    err->native_code = 0;
    memcpy(err->message, message, len);
    err->message[len] = '\0';
    make_clean(err->message, len);
}

int psdk_fail(prov_error *err, int code, const char *format, ...)
{
    if (!err)
        return code;
    /* The arguments may point into err->message, so it is built beside it. */
    char text[MESSAGE_MAX + 2];
    va_list args;
    va_start(args, format);
    size_t len = format_cut(text, MESSAGE_MAX, format, args);
    va_end(args);
    fill(err, code, text, len);
    return code;
}

static int code_of_errno(int errnum)
{
    switch (errnum) {
    case ENOENT:
        return PROV_E_NOT_FOUND;
    case EEXIST:
        return PROV_E_EXISTS;
    case ENOSPC:
    case EDQUOT:
        return PROV_E_NOSPACE;
    case EACCES:
    case EPERM:
    case EROFS:
        return PROV_E_DENIED;
    case ENOMEM:
        return PROV_E_NOMEM;
    case ETIMEDOUT:
        return PROV_E_TIMEOUT;
    default:
        return PROV_E_IO;
    }
}

int psdk_fail_errno(prov_error *err, int errnum, const char *format, ...)
{
    int code = code_of_errno(errnum);
    if (!err)
        return code;
    char space[128];
    const char *why = strerror_r(errnum, space, sizeof space);
    size_t why_len = strnlen(why, sizeof space);

    /* The reason is short and is what helps: a long path in front is cut instead. */
    char text[MESSAGE_MAX + 2];
    va_list args;
    va_start(args, format);
    size_t len = format_cut(text, MESSAGE_MAX - why_len - 2, format, args);
    va_end(args);
    memcpy(text + len, ": ", 2);
    memcpy(text + len + 2, why, why_len);
    fill(err, code, text, len + 2 + why_len);
    err->native_code = errnum;
    return code;
}

int psdk_wrap(prov_error *err, const char *format, ...)
{
    if (!err)
        return PROV_E_INTERNAL;
    char text[MESSAGE_MAX + 2];
    va_list args;
    va_start(args, format);
    size_t len = format_cut(text, MESSAGE_MAX, format, args);
    va_end(args);
    if (len + 2 < MESSAGE_MAX) {
        memcpy(text + len, ": ", 2);
        len += 2;
        size_t old = strnlen(err->message, sizeof err->message);
        size_t keep = utf8_prefix(err->message, old, MESSAGE_MAX - len);
        memcpy(text + len, err->message, keep);
        len += keep;
    }
    memcpy(err->message, text, len);
    err->message[len] = '\0';
    make_clean(err->message, len);
    return err->code;
}

int psdk_outcome(prov_error *err, int outcome)
{
    if (!err)
        return PROV_E_INTERNAL;
    err->outcome = outcome;
    return err->code;
}

struct rc_row {
    const char *name;
    const char *text;
    int cli;
    int http;
    const char *python;
};

/* Indexed by -code; codes run from 0 to -19 without a gap. */
static const struct rc_row rc_rows[] = {
#define RC_ROW(name_, value_, text_, cli_, http_, py_) [-(value_)] = {#name_, text_, cli_, http_, py_},
    PROV_RC_TABLE(RC_ROW)
#undef RC_ROW
};

static const struct rc_row *rc_row(int code)
{
    static const struct rc_row unknown = {"E_UNKNOWN", "unknown result code", 1, 500, "ProvError"};
    if (code > 0 || code <= -(int)(sizeof rc_rows / sizeof rc_rows[0]) || !rc_rows[-code].name)
        return &unknown;
    return &rc_rows[-code];
}

const char *psdk_rc_name(int code)
{
    return rc_row(code)->name;
}

const char *psdk_rc_text(int code)
{
    return rc_row(code)->text;
}

int psdk_rc_exit(int code)
{
    return rc_row(code)->cli;
}

int psdk_rc_http(int code)
{
    return rc_row(code)->http;
}

const char *psdk_rc_python(int code)
{
    return rc_row(code)->python;
}
