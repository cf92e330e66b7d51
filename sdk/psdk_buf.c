/* psdk_buf.c - a growing byte buffer with a ceiling.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "psdk_buf.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "psdk_hash.h"

#define FIRST_CAP 64
/* Up to this size a block is wiped when the buffer outgrows it (a secret could be in it); beyond, realloc may move it
 * without a copy. */
#define WIPE_CAP ((size_t)64 << 10)

static size_t ceiling(const struct psdk_buf *buf)
{
    return buf->max ? buf->max : PSDK_BUF_MAX;
}

void psdk_buf_done(struct psdk_buf *buf)
{
    free(buf->data);
    buf->data = NULL;
    buf->len = 0;
    buf->cap = 0;
    buf->failed = 0;
}

void psdk_buf_clear(struct psdk_buf *buf)
{
    buf->len = 0;
    buf->failed = 0;
    if (buf->data)
        buf->data[0] = '\0';
}

void psdk_buf_wipe(struct psdk_buf *buf)
{
    if (buf->data)
        OPENSSL_cleanse(buf->data, buf->cap);
    psdk_buf_done(buf);
}

static uint8_t *regrow(struct psdk_buf *buf, size_t cap)
{
    if (buf->cap > WIPE_CAP)
        return realloc(buf->data, cap);
    uint8_t *data = malloc(cap);
    if (!data)
        return NULL;
    if (buf->data) {
        memcpy(data, buf->data, buf->len);
        OPENSSL_cleanse(buf->data, buf->cap);
        free(buf->data);
    }
    return data;
}

int psdk_buf_reserve(struct psdk_buf *buf, size_t more_bytes)
{
    if (buf->failed)
        return buf->failed;
    size_t max = ceiling(buf);
    if (buf->len > max || more_bytes > max - buf->len || max == SIZE_MAX)
        return buf->failed = PROV_E_LIMIT;
    size_t need = buf->len + more_bytes + 1;
    if (need <= buf->cap)
        return PROV_OK;
    size_t cap = buf->cap < FIRST_CAP ? FIRST_CAP : buf->cap;
    while (cap < need)
        cap = cap > max / 2 ? max + 1 : cap * 2;
    uint8_t *data = regrow(buf, cap);
    if (!data)
        return buf->failed = PROV_E_NOMEM;
    data[buf->len] = '\0';
    buf->data = data;
    buf->cap = cap;
    return PROV_OK;
}

int psdk_buf_add(struct psdk_buf *buf, const void *data, size_t len)
{
    int rc = psdk_buf_reserve(buf, len);
    if (rc)
        return rc;
    if (len)
        memcpy(buf->data + buf->len, data, len);
    buf->len += len;
    buf->data[buf->len] = '\0';
    return PROV_OK;
}

int psdk_buf_adds(struct psdk_buf *buf, const char *text)
{
    return psdk_buf_add(buf, text, strlen(text));
}

int psdk_buf_addc(struct psdk_buf *buf, char c)
{
    return psdk_buf_add(buf, &c, 1);
}

int psdk_buf_addf(struct psdk_buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int rc = psdk_buf_addv(buf, format, args);
    va_end(args);
    return rc;
}

int psdk_buf_addv(struct psdk_buf *buf, const char *format, va_list args)
{
    if (buf->failed)
        return buf->failed;
    va_list again;
    va_copy(again, args);
    size_t room = buf->data ? buf->cap - buf->len : 0;
    int n = vsnprintf(buf->data ? (char *)buf->data + buf->len : NULL, room, format, args);
    int rc = PROV_OK;
    if (n < 0) {
        rc = buf->failed = PROV_E_NOMEM; /* the only failure of a well-formed format */
    } else if ((size_t)n >= room || buf->len + (size_t)n > ceiling(buf)) {
        rc = psdk_buf_reserve(buf, (size_t)n);
        if (rc == PROV_OK)
            vsnprintf((char *)buf->data + buf->len, (size_t)n + 1, format, again);
    }
    va_end(again);
    if (rc == PROV_OK)
        buf->len += (size_t)n;
    else if (buf->data)
        buf->data[buf->len] = '\0'; /* drops what the first try left behind */
    return rc;
}

int psdk_buf_add_hex(struct psdk_buf *buf, const void *data, size_t len)
{
    int rc = psdk_buf_reserve(buf, len > SIZE_MAX / 2 ? SIZE_MAX : 2 * len);
    if (rc)
        return rc;
    psdk_hex(data, len, (char *)buf->data + buf->len);
    buf->len += 2 * len;
    return PROV_OK;
}

int psdk_buf_add_base64(struct psdk_buf *buf, const void *data, size_t len)
{
    int rc = psdk_buf_reserve(buf, len > SIZE_MAX / 2 ? SIZE_MAX : len / 3 * 4 + (len % 3 ? 4 : 0));
    if (rc)
        return rc;
    buf->len += psdk_base64(data, len, (char *)buf->data + buf->len);
    return PROV_OK;
}

const char *psdk_buf_str(const struct psdk_buf *buf)
{
    return buf->data ? (const char *)buf->data : "";
}

char *psdk_buf_take(struct psdk_buf *buf)
{
    if (!buf->failed)
        psdk_buf_reserve(buf, 0); /* an empty buffer still yields a string */
    int failed = buf->failed;
    char *data = NULL;
    if (!failed) {
        data = (char *)buf->data;
        buf->data = NULL;
    }
    psdk_buf_done(buf);
    buf->failed = failed;
    return data;
}

int psdk_buf_check(const struct psdk_buf *buf, prov_error *err)
{
    if (buf->failed == PROV_OK)
        return PROV_OK;
    if (buf->failed == PROV_E_LIMIT)
        return psdk_fail(err, PROV_E_LIMIT, "the text would grow beyond its limit of %zu bytes", ceiling(buf));
    if (buf->failed == PROV_E_NOMEM)
        return psdk_fail(err, PROV_E_NOMEM, "out of memory while building a text of more than %zu bytes", buf->len);
    return psdk_fail(err, buf->failed, "building a text failed: %s", psdk_rc_text(buf->failed));
}
