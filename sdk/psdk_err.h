/* psdk_err.h - filling prov_error; names, texts and exit codes of the result codes.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Every function that can fail returns PROV_OK or a negative PROV_E_* code and fills a caller-owned prov_error.
 * A layer adds its context in front with psdk_wrap: "anchor 'run-7': chain-evm: timed out after 10 s".
 * Threads: [any]. Since 1.0.
 */
#ifndef PSDK_ERR_H
#define PSDK_ERR_H

#include "prov_plugin.h"

#if defined(__GNUC__)
#define PSDK_PRINTF(fmt_at, args_at) __attribute__((format(printf, fmt_at, args_at)))
#else
#define PSDK_PRINTF(fmt_at, args_at)
#endif

/* Fills err with code and a message (cut to fit on a UTF-8 boundary) and returns code. err may be NULL. */
int psdk_fail(prov_error *err, int code, const char *format, ...) PSDK_PRINTF(3, 4);

/* As psdk_fail, with ": <text of errnum>" at the end; the code follows from errnum (ENOENT NOT_FOUND, EEXIST EXISTS,
 * ENOSPC and EDQUOT NOSPACE, EACCES, EPERM and EROFS DENIED, ENOMEM NOMEM, ETIMEDOUT TIMEOUT, others IO) and
 * native_code = errnum. */
int psdk_fail_errno(prov_error *err, int errnum, const char *format, ...) PSDK_PRINTF(3, 4);

/* Puts "context: " in front of the message that is there; returns err->code. The end is cut, never the context. */
int psdk_wrap(prov_error *err, const char *format, ...) PSDK_PRINTF(2, 3);

/* Sets the outcome of an error that is there; returns err->code. */
int psdk_outcome(prov_error *err, int outcome);

/* "E_IO", "input/output error", the CLI's exit code, the HTTP status, the Python exception of a code. Static. */
const char *psdk_rc_name(int code);
const char *psdk_rc_text(int code);
int psdk_rc_exit(int code);
int psdk_rc_http(int code);
const char *psdk_rc_python(int code);

#endif
