/* psdk_jcs.c - writing canonical JSON (RFC 8785).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "psdk_json.h"
#include "psdk_json_scan.h"

#define FEW_MEMBERS 16

struct member {
    const char *name;
    size_t len;
    const json_t *value;
};

static int write_value(const json_t *value, unsigned depth, struct psdk_buf *buf, prov_error *err);

static void add_escape(struct psdk_buf *buf, uint8_t c)
{
    static const char short_form[0x20] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    char text[6] = {'\\', (char)c};
    if (c == '"' || c == '\\') {
        psdk_buf_add(buf, text, 2);
    } else if (short_form[c]) {
        text[1] = short_form[c];
        psdk_buf_add(buf, text, 2);
    } else {
        memcpy(text, "\\u00", 4);
        text[4] = (char)('0' + (c >> 4));
        text[5] = "0123456789abcdef"[c & 15];
        psdk_buf_add(buf, text, 6);
    }
}

int psdk_jcs_string(struct psdk_buf *buf, const char *text, size_t len)
{
    if (buf->failed)
        return buf->failed;
    const uint8_t *at = (const uint8_t *)(len ? text : "");
    const uint8_t *end = at + len;
    const uint8_t *run = at; /* what is still to be copied */
    psdk_buf_addc(buf, '"');
    while ((at = psdk_json_skip_plain(at, end)) < end) {
        if (*at >= 0x80) {
            size_t n = psdk_utf8_len(at, end);
            if (n == 0)
                return buf->failed = PROV_E_INVALID;
            at += n;
            continue;
        }
        if (*at == 0)
            return buf->failed = PROV_E_INVALID;
        psdk_buf_add(buf, run, (size_t)(at - run));
        add_escape(buf, *at);
        run = ++at;
    }
    if (end > run)
        psdk_buf_add(buf, run, (size_t)(end - run));
    return psdk_buf_addc(buf, '"');
}

static int add_integer(struct psdk_buf *buf, int64_t value)
{
    char text[24];
    size_t at = sizeof text;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        text[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (value < 0)
        text[--at] = '-';
    return psdk_buf_add(buf, text + at, sizeof text - at);
}

int psdk_jcs_number(struct psdk_buf *buf, double value)
{
    if (buf->failed)
        return buf->failed;
    if (!isfinite(value))
        return buf->failed = PROV_E_INVALID;
    if (fabs(value) <= (double)PSDK_JSON_INT_MAX && value == trunc(value))
        return add_integer(buf, (int64_t)value);
    struct psdk_decimal d;
    char text[PSDK_NUMBER_SIZE];
    psdk_decimal_of_double(value, &d);
    return psdk_buf_add(buf, text, psdk_decimal_write(&d, text));
}

static int write_real(double value, struct psdk_buf *buf, prov_error *err)
{
    if (!isfinite(value))
        return psdk_fail(err, PROV_E_INVALID, "canonical JSON cannot express NaN or infinity");
    /* Up to 1e21 the canonical form has neither fraction nor exponent: it reads as an integer. */
    if (fabs(value) > (double)PSDK_JSON_INT_MAX && fabs(value) < 1e21)
        return psdk_fail(err, PROV_E_INVALID,
                         "the canonical form of %.17g is an integer beyond +-9007199254740991; write it as a string",
                         value);
    return psdk_jcs_number(buf, value);
}

static int write_integer(json_int_t value, struct psdk_buf *buf, prov_error *err)
{
    if (value > PSDK_JSON_INT_MAX || value < -PSDK_JSON_INT_MAX)
        return psdk_fail(err, PROV_E_INVALID,
                         "the integer %lld is beyond +-9007199254740991; write it as a string", (long long)value);
    return add_integer(buf, value);
}

static int write_string(const char *text, size_t len, struct psdk_buf *buf, prov_error *err)
{
    int rc = psdk_jcs_string(buf, text, len);
    if (rc == PROV_E_INVALID)
        return psdk_fail(err, rc, "a string is not valid UTF-8 or has a NUL in it");
    return rc;
}

/* Orders members by the UTF-16 code units of their names. */
static int compare_members(const void *a, const void *b)
{
    const struct member *x = a;
    const struct member *y = b;
    size_t common = x->len < y->len ? x->len : y->len;
    for (size_t i = 0; i < common; i++) {
        if (x->name[i] != y->name[i])
            return psdk_utf16_rank((uint8_t)x->name[i]) < psdk_utf16_rank((uint8_t)y->name[i]) ? -1 : 1;
    }
    return x->len < y->len ? -1 : x->len > y->len;
}

static int write_members(const struct member *members, size_t n, unsigned depth, struct psdk_buf *buf, prov_error *err)
{
    for (size_t i = 0; i < n; i++) {
        psdk_buf_addc(buf, i == 0 ? '{' : ',');
        int rc = write_string(members[i].name, members[i].len, buf, err);
        if (rc)
            return rc;
        psdk_buf_addc(buf, ':');
        rc = write_value(members[i].value, depth, buf, err);
        if (rc)
            return rc;
    }
    return n == 0 ? psdk_buf_adds(buf, "{}") : psdk_buf_addc(buf, '}');
}

static int write_object(const json_t *object, unsigned depth, struct psdk_buf *buf, prov_error *err)
{
    struct member few[FEW_MEMBERS];
    struct member *members = few;
    size_t n = json_object_size(object);
    if (n > FEW_MEMBERS) {
        members = calloc(n, sizeof *members);
        if (!members)
            return buf->failed = PROV_E_NOMEM;
    }
    size_t i = 0;
    /* Iterating does not change the object; jansson's interface has no const form. */
    json_t *walked = (json_t *)(uintptr_t)object;
    for (void *it = json_object_iter(walked); it && i < n; it = json_object_iter_next(walked, it))
        members[i++] = (struct member){.name = json_object_iter_key(it),
                                       .len = json_object_iter_key_len(it),
                                       .value = json_object_iter_value(it)};
    qsort(members, i, sizeof *members, compare_members);
    int rc = write_members(members, i, depth, buf, err);
    if (members != few)
        free(members);
    return rc;
}

static int write_array(const json_t *array, unsigned depth, struct psdk_buf *buf, prov_error *err)
{
    size_t n = json_array_size(array);
    psdk_buf_addc(buf, '[');
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            psdk_buf_addc(buf, ',');
        int rc = write_value(json_array_get(array, i), depth, buf, err);
        if (rc)
            return rc;
    }
    return psdk_buf_addc(buf, ']');
}

static int write_value(const json_t *value, unsigned depth, struct psdk_buf *buf, prov_error *err)
{
    if (!value)
        return psdk_fail(err, PROV_E_INVALID, "canonical JSON: there is no value to write");
    if ((json_is_object(value) || json_is_array(value)) && depth == PSDK_JSON_DEPTH)
        return psdk_fail(err, PROV_E_INVALID, "canonical JSON: nested too deeply (at most %d levels)", PSDK_JSON_DEPTH);
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return write_object(value, depth + 1, buf, err);
    case JSON_ARRAY:
        return write_array(value, depth + 1, buf, err);
    case JSON_STRING:
        return write_string(json_string_value(value), json_string_length(value), buf, err);
    case JSON_INTEGER:
        return write_integer(json_integer_value(value), buf, err);
    case JSON_REAL:
        return write_real(json_real_value(value), buf, err);
    case JSON_TRUE:
        return psdk_buf_add(buf, "true", 4);
    case JSON_FALSE:
        return psdk_buf_add(buf, "false", 5);
    default:
        return psdk_buf_add(buf, "null", 4);
    }
}

int psdk_jcs_write(const json_t *value, struct psdk_buf *buf, prov_error *err)
{
    if (buf->failed)
        return psdk_buf_check(buf, err);
    size_t before = buf->len;
    int rc = write_value(value, 0, buf, err);
    if (rc == PROV_E_INVALID) {
        /* What was written so far goes; the buffer stays usable. */
        buf->failed = PROV_OK;
        buf->len = before;
        if (buf->data)
            buf->data[before] = '\0';
        return rc;
    }
    return psdk_buf_check(buf, err);
}
