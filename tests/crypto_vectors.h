/* crypto_vectors.h - public test vectors beside the source tree.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * They are not part of the repository: a test that finds none says so and passes, but an existing folder must hold
 * cases.
 */
#ifndef CRYPTO_VECTORS_H
#define CRYPTO_VECTORS_H

#include <check.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "psdk_hash.h"

/* The path of a vector file or folder; false (and a line on stderr) when the vectors are not there at all. */
static inline bool vectors_find(const char *name, char *ret, size_t cap)
{
    const char *source = getenv("PROV_SOURCE_DIR");
    struct stat st;

    snprintf(ret, cap, "%s/../shared/vectors", source != NULL ? source : ".");
    if (stat(ret, &st) != 0) {
        fprintf(stderr, "SKIP: no test vectors in %s (%s)\n", ret, name);
        return false;
    }
    snprintf(ret, cap, "%s/../shared/vectors/%s", source != NULL ? source : ".", name);
    ck_assert_msg(stat(ret, &st) == 0, "the vectors are there, but not %s", ret);
    return true;
}

/* A file of vectors; whole numbers past 63 bits come as reals. The caller drops the reference. */
static inline json_t *vectors_load(const char *path)
{
    json_error_t why;
    json_t *root = json_load_file(path, JSON_DECODE_INT_AS_REAL | JSON_REJECT_DUPLICATES, &why);

    ck_assert_msg(root != NULL, "%s:%d: %s", path, why.line, why.text);
    return root;
}

static inline const char *vectors_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    ck_assert_msg(text != NULL, "no text '%s'", key);
    return text;
}

/* Hex with or without 0x; the number of bytes. */
static inline size_t vectors_hex(const char *text, void *ret, size_t cap)
{
    size_t len;

    text += strncmp(text, "0x", 2) == 0 ? 2 : 0;
    len = strlen(text) / 2;
    ck_assert_uint_le(len, cap);
    ck_assert(psdk_unhex(text, 2 * len, ret, len));
    return len;
}

#endif
