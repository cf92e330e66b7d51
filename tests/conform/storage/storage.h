/* storage.h - what the files of the storage suite share.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef STORAGE_H
#define STORAGE_H

#include <string.h>

#include "conform.h"

/* The instance of the running test (made by a fixture) and its ops. */
extern void *store;
extern const prov_storage_ops *ops;

/* True when the backend has an optional op. */
#define HAS_OP(op) (PROV_HAS(ops, prov_storage_ops, op) && ops->op != NULL)

/* A source over bytes in memory that gives at most step bytes at a time. announced bytes may differ from len. */
struct memory_source {
    const uint8_t *data;
    uint64_t len, at, step;
    int32_t fail_with; /* instead of the end */
};
prov_source memory_source(struct memory_source *state);

/* A sink into a growing buffer; stop_after > 0: answers PROV_E_CANCELLED once more than that came. */
struct memory_sink {
    uint8_t *data;
    uint64_t len, stop_after;
};
prov_sink memory_sink(struct memory_sink *state);

extern const prov_precond absent;
prov_precond match(const char *etag);

/* put of bytes; the code. */
int put_bytes(void *instance, const char *key, const void *data, uint64_t len, const prov_precond *precond,
              prov_object *ret_object, prov_error *err);
int put_text(const char *key, const char *text, const prov_precond *precond, prov_object *ret_object, prov_error *err);
/* Fails the test unless the object is there with exactly these bytes, for get and stat alike. */
void expect_bytes(const char *key, const void *data, uint64_t len);
void expect_text(const char *key, const char *text);
void expect_none(const char *key);
/* Fails the test unless the store holds exactly n objects with the prefix. */
void expect_count(const char *prefix, unsigned n);

void add_basic(Suite *suite);
void add_list(Suite *suite);
void add_race(Suite *suite);
void add_optional(Suite *suite);
void add_local(Suite *suite); /* only for the provider storage-local */
/* A case with the fixture. */
TCase *new_case(Suite *suite, const char *name);

#endif
