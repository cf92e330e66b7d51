/* psdk_buf.h - a growing byte buffer with a ceiling.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * {0} is an empty buffer with the default ceiling (PSDK_BUF_MAX). data is always followed by a NUL once anything was
 * added, so text can be read as a C string. Once an addition fails (ceiling, memory), `failed` holds the code and every
 * later addition fails with it: a builder may check once at its end. Threads: one at a time. Since 1.0.
 */
#ifndef PSDK_BUF_H
#define PSDK_BUF_H

#include <stdarg.h>

#include "psdk_err.h"

#define PSDK_BUF_MAX ((size_t)256 << 20)

struct psdk_buf {
    uint8_t *data; /* owned; NULL while empty */
    size_t len;
    size_t cap;
    size_t max;  /* ceiling in bytes; 0 = PSDK_BUF_MAX */
    int failed;  /* 0, or the first failure's code */
};

/* Frees the bytes and empties the buffer, `failed` too (the ceiling stays). */
void psdk_buf_done(struct psdk_buf *buf);
/* Empties it, `failed` too; keeps the memory. */
void psdk_buf_clear(struct psdk_buf *buf);
/* Wipes the bytes before freeing: for secrets. (Blocks up to 64 KiB that a buffer outgrows are wiped always.) */
void psdk_buf_wipe(struct psdk_buf *buf);
/* Makes room for more bytes. All of these return PROV_OK, PROV_E_NOMEM or PROV_E_LIMIT. */
int psdk_buf_reserve(struct psdk_buf *buf, size_t more_bytes);
int psdk_buf_add(struct psdk_buf *buf, const void *data, size_t len);
int psdk_buf_adds(struct psdk_buf *buf, const char *text);
int psdk_buf_addc(struct psdk_buf *buf, char c);
int psdk_buf_addf(struct psdk_buf *buf, const char *format, ...) PSDK_PRINTF(2, 3);
int psdk_buf_addv(struct psdk_buf *buf, const char *format, va_list args) PSDK_PRINTF(2, 0);
/* Adds lower-case hex, or standard base64 with padding. */
int psdk_buf_add_hex(struct psdk_buf *buf, const void *data, size_t len);
int psdk_buf_add_base64(struct psdk_buf *buf, const void *data, size_t len);
/* The bytes as a C string ("" while empty), borrowed. */
const char *psdk_buf_str(const struct psdk_buf *buf);
/* Hands the bytes (malloc'ed, NUL-terminated) to the caller; the buffer is empty afterwards. NULL when an addition had
 * failed or memory is out: `failed` is then still there for psdk_buf_check, and the bytes are freed. */
char *psdk_buf_take(struct psdk_buf *buf);
/* Turns `failed` into an error: PROV_OK or fills err. */
int psdk_buf_check(const struct psdk_buf *buf, prov_error *err);

#endif
