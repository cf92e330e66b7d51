/* psdk_json.h - strict I-JSON in, RFC 8785 (JCS) out.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Reading rejects, with line and column: anything but one JSON value, duplicate keys, invalid UTF-8, lone surrogates,
 * a NUL (raw or \u0000), integers beyond +-(2^53 - 1), numbers that overflow a double, depth over PSDK_JSON_DEPTH, a
 * byte-order mark. Values are jansson's; a result is owned by the caller (json_decref). Threads: [any]. Since 1.0.
 */
#ifndef PSDK_JSON_H
#define PSDK_JSON_H

#include <jansson.h>
#include <stdbool.h>

#include "psdk_buf.h"

#define PSDK_JSON_DEPTH 64
#define PSDK_JSON_INT_MAX 9007199254740991LL

/* Parses text. what names the input in errors ("metrics", "proof.json"): "WHAT:LINE:COLUMN: why", both from 1, columns
 * in characters. NULL: failed, with PROV_E_INVALID, PROV_E_NOMEM or (over PSDK_BUF_MAX bytes) PROV_E_LIMIT in err. */
json_t *psdk_json_parse(const char *text, size_t len, const char *what, prov_error *err);

/* Appends the canonical form of value to buf. PROV_E_INVALID for what JCS or psdk_json_parse cannot express (NaN, NUL,
 * depth over PSDK_JSON_DEPTH, numbers whose canonical form is an integer beyond 2^53 - 1): buf then is as it was. */
int psdk_jcs_write(const json_t *value, struct psdk_buf *buf, prov_error *err);
/* Appends one canonical string literal (with quotes), or one canonical number (any finite one). What is not valid
 * (UTF-8, NUL, NaN) is PROV_E_INVALID and sets buf->failed. */
int psdk_jcs_string(struct psdk_buf *buf, const char *text, size_t len);
int psdk_jcs_number(struct psdk_buf *buf, double value);
/* Checks in one pass, without building values, that text is strict I-JSON in canonical form: same acceptance as
 * psdk_json_parse followed by a comparison with psdk_jcs_write. PROV_OK or PROV_E_INVALID with the byte offset. Several
 * times faster than parsing. */
int psdk_jcs_check(const char *text, size_t len, const char *what, prov_error *err);
/* Finds a top-level member of a canonical object that psdk_jcs_check has accepted. Returns the raw bytes of its value
 * (borrowed, not NUL-terminated) or NULL; key is plain ASCII without escapes. */
const char *psdk_jcs_member(const char *text, size_t len, const char *key, size_t *ret_len);

/* Reading members, each with an error that names path: "PATH.KEY: want a string, got a number". _get needs the member,
 * _opt leaves *ret alone when it is absent (or null). Strings are borrowed from the object. */
int psdk_json_get_str(const json_t *object, const char *path, const char *key, const char **ret, prov_error *err);
int psdk_json_opt_str(const json_t *object, const char *path, const char *key, const char **ret, prov_error *err);
int psdk_json_get_int(const json_t *object, const char *path, const char *key, int64_t min, int64_t max, int64_t *ret,
                      prov_error *err);
int psdk_json_opt_int(const json_t *object, const char *path, const char *key, int64_t min, int64_t max, int64_t *ret,
                      prov_error *err);
int psdk_json_get_hash(const json_t *object, const char *path, const char *key, uint8_t ret[32], prov_error *err);
int psdk_json_get_obj(const json_t *object, const char *path, const char *key, const json_t **ret, prov_error *err);
int psdk_json_get_arr(const json_t *object, const char *path, const char *key, const json_t **ret, prov_error *err);
/* Refuses members that are not in names (NULL-terminated), with a suggestion for a near name. */
int psdk_json_only(const json_t *object, const char *path, const char *const *names, prov_error *err);
/* The nearest of names to a misspelled word (edit distance at most 2, and less than half its length), or NULL. */
const char *psdk_suggest(const char *word, const char *const *names);

#endif
