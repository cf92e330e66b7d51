/* fake_store.h - the ledger's store in memory, with a gate in front of each operation.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The executable that includes this defines pv_store_* itself, so that the linker leaves the real ones (and plugins) out.
 * Under one lock of the test; data is copied in and out. An etag is the number of the object's version: a key that was
 * deleted and made again goes on counting.
 */
#ifndef FAKE_STORE_H
#define FAKE_STORE_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pv_store.h"

#define FAKE_OBJECTS 256
#define FAKE_KEY 160

struct fake_object {
    char key[FAKE_KEY];
    uint8_t *data; /* NULL: not there */
    size_t len;
    unsigned version;
};
struct fake_store {
    struct fake_object object[FAKE_OBJECTS];
    size_t n;
};

enum fake_kind { FAKE_GET, FAKE_GET_MANY, FAKE_STAT, FAKE_LIST, FAKE_PUT, FAKE_PUT_MANY, FAKE_DEL };
struct fake_item {
    char key[FAKE_KEY];
    uint8_t *data;
    size_t len;
};
/* An operation that changes the store, with copies of all that it needs: it can be applied late. */
struct fake_change {
    enum fake_kind kind;
    struct fake_item *items;
    size_t n;
    bool conditional;
    prov_precond cond;
};

static struct fake_store fake;

static inline struct fake_object *fake_find(const char *key, bool make)
{
    for (size_t i = 0; i < fake.n; i++)
        if (strcmp(fake.object[i].key, key) == 0)
            return &fake.object[i];
    if (!make)
        return NULL;
    ck_assert_uint_lt(fake.n, FAKE_OBJECTS);
    struct fake_object *o = &fake.object[fake.n++];
    memset(o, 0, sizeof *o);
    snprintf(o->key, sizeof o->key, "%s", key);
    return o;
}

static inline void fake_copy(struct fake_store *to, const struct fake_store *from)
{
    for (size_t i = 0; i < to->n; i++)
        free(to->object[i].data);
    *to = *from;
    for (size_t i = 0; i < to->n; i++) {
        struct fake_object *o = &to->object[i];
        if (!o->data)
            continue;
        o->data = malloc(o->len ? o->len : 1);
        ck_assert_ptr_nonnull(o->data);
        memcpy(o->data, from->object[i].data, o->len);
    }
}

static inline void fake_clear(struct fake_store *s)
{
    struct fake_store empty = {.n = 0};
    fake_copy(s, &empty);
}

static inline void fake_describe(const struct fake_object *o, prov_object *ret)
{
    if (!ret)
        return;
    memset(ret, 0, sizeof *ret);
    ret->struct_size = sizeof *ret;
    ret->size_bytes = o->len;
    snprintf(ret->etag, sizeof ret->etag, "v%u", o->version);
}

static inline void fake_set(struct fake_object *o, const void *data, size_t len)
{
    free(o->data);
    o->data = malloc(len ? len : 1);
    ck_assert_ptr_nonnull(o->data);
    memcpy(o->data, data, len);
    o->len = len;
    o->version++;
}

/* Applies a change, of a put_many only the first `limit` items. */
static inline int fake_apply(const struct fake_change *c, size_t limit, prov_object *ret, prov_error *err)
{
    for (size_t i = 0; i < c->n && i < limit; i++) {
        struct fake_object *o = fake_find(c->items[i].key, c->kind != FAKE_DEL);
        bool there = o && o->data;
        char etag[32] = "";
        if (c->kind == FAKE_DEL || !o) {
            if (there) {
                free(o->data);
                o->data = NULL;
            }
            continue;
        }
        if (there)
            snprintf(etag, sizeof etag, "v%u", o->version);
        if (c->conditional && c->cond.kind == PROV_PRECOND_ABSENT && there)
            return psdk_fail(err, PROV_E_EXISTS, "%s: is there", o->key);
        if (c->conditional && c->cond.kind == PROV_PRECOND_MATCH && !there)
            return psdk_fail(err, PROV_E_NOT_FOUND, "%s: is not there", o->key);
        if (c->conditional && c->cond.kind == PROV_PRECOND_MATCH && strcmp(etag, c->cond.etag) != 0)
            return psdk_fail(err, PROV_E_CONFLICT, "%s: was changed", o->key);
        fake_set(o, c->items[i].data, c->items[i].len);
        fake_describe(o, ret);
    }
    return PROV_OK;
}

static inline void fake_change_done(struct fake_change *c)
{
    for (size_t i = 0; i < c->n; i++)
        free(c->items[i].data);
    free(c->items);
    memset(c, 0, sizeof *c);
}

static inline void fake_change_add(struct fake_change *c, const char *key, const void *data, size_t len)
{
    c->items = realloc(c->items, (c->n + 1) * sizeof *c->items);
    ck_assert_ptr_nonnull(c->items);
    struct fake_item *item = &c->items[c->n++];
    snprintf(item->key, sizeof item->key, "%s", key);
    item->len = len;
    item->data = malloc(len ? len : 1);
    ck_assert_ptr_nonnull(item->data);
    if (len)
        memcpy(item->data, data, len);
}

/* ---- hashes ------------------------------------------------------------------------------------------------------- */

static inline uint64_t mix(uint64_t h, const void *data, size_t len)
{
    const uint8_t *p = data;
    for (size_t i = 0; i < len; i++)
        h = (h ^ p[i]) * 1099511628211u;
    return h ^ (h >> 29);
}

static inline uint64_t mix64(uint64_t h, uint64_t v)
{
    return mix(h, &v, sizeof v);
}

/* Of an object, for comparing states; head.json has a nonce and a time in it that differ from run to run, the seal that it names says it all. */
static inline uint64_t hash_object(const struct fake_object *o)
{
    uint64_t h = mix(mix64(14695981039346656037u, o->version), o->key, strlen(o->key));
    size_t len = o->len;
    const uint8_t *data = o->data;
    if (strstr(o->key, "head.json")) {
        const uint8_t *seal = memmem(data, len, "seal/", 5);
        ck_assert_ptr_nonnull(seal);
        data = seal;
        len = strcspn((const char *)seal, "\"");
    }
    return mix(h, data, len);
}

/* ---- the gate: given by the test --------------------------------------------------------------------------------------- */

/* Waits for the turn. Returns PROV_OK: go on; else what the caller answers. */
static int gate_read(enum fake_kind kind, const char *key, prov_error *err);
/* The same for a change, which it applies (or not); owns it. */
static int gate_change(struct fake_change *change, prov_object *ret, prov_error *err);
/* What was read: key, version (0: not there). */
static void gate_seen(const char *key, unsigned version);

/* ---- pv_store_* --------------------------------------------------------------------------------------------------------- */

static inline int fake_get(const char *key, size_t max, struct psdk_buf *ret, prov_object *object, prov_error *err)
{
    struct fake_object *o = fake_find(key, false);
    gate_seen(key, o && o->data ? o->version : 0);
    if (!o || !o->data)
        return psdk_fail(err, PROV_E_NOT_FOUND, "%s: is not there", key);
    if (o->len > max)
        return psdk_fail(err, PROV_E_LIMIT, "%s: too large", key);
    psdk_buf_add(ret, o->data, o->len);
    fake_describe(o, object);
    return PROV_OK;
}

int pv_store_get(struct pv_store *store, const char *key, size_t max_bytes, struct psdk_buf *ret, prov_object *ret_object,
                 prov_error *err)
{
    (void)store;
    int rc = gate_read(FAKE_GET, key, err);
    return rc ? rc : fake_get(key, max_bytes, ret, ret_object, err);
}

int pv_store_get_many(struct pv_store *store, const char *const *keys, size_t n, size_t max_bytes, struct psdk_buf *rets,
                      int *codes, prov_error *err)
{
    (void)store;
    int rc = gate_read(FAKE_GET_MANY, n ? keys[0] : "", err);
    for (size_t i = 0; i < n && !rc; i++) {
        prov_error one = {0};
        codes[i] = fake_get(keys[i], max_bytes, &rets[i], NULL, &one);
        ck_assert(codes[i] == PROV_OK || codes[i] == PROV_E_NOT_FOUND);
    }
    return rc;
}

int pv_store_stat(struct pv_store *store, const char *key, prov_object *ret_object, prov_error *err)
{
    (void)store;
    int rc = gate_read(FAKE_STAT, key, err);
    struct fake_object *o = fake_find(key, false);
    if (rc)
        return rc;
    gate_seen(key, o && o->data ? o->version : 0);
    if (!o || !o->data)
        return psdk_fail(err, PROV_E_NOT_FOUND, "%s: is not there", key);
    fake_describe(o, ret_object);
    return PROV_OK;
}

int pv_store_list(struct pv_store *store, const char *prefix, int (*entry)(void *ctx, const prov_list_entry *entry),
                  void *ctx, prov_error *err)
{
    (void)store;
    int rc = gate_read(FAKE_LIST, prefix, err);
    for (size_t i = 0; i < fake.n && !rc; i++) {
        prov_list_entry e = {sizeof e, 0, fake.object[i].key, fake.object[i].len, 0};
        if (!fake.object[i].data || strncmp(e.key, prefix, strlen(prefix)) != 0)
            continue;
        gate_seen(e.key, fake.object[i].version);
        rc = entry(ctx, &e);
    }
    return rc;
}

int pv_store_put(struct pv_store *store, const char *key, const void *data, size_t len, const prov_precond *precond,
                 prov_object *ret_object, prov_error *err)
{
    (void)store;
    struct fake_change c = {.kind = FAKE_PUT, .conditional = precond != NULL};
    if (precond)
        c.cond = *precond;
    fake_change_add(&c, key, data, len);
    return gate_change(&c, ret_object, err);
}

int pv_store_put_many(struct pv_store *store, const prov_put_item *items, uint64_t n_items, prov_error *err)
{
    (void)store;
    struct fake_change c = {.kind = FAKE_PUT_MANY};
    for (uint64_t i = 0; i < n_items; i++)
        fake_change_add(&c, items[i].key, items[i].data, (size_t)items[i].size_bytes);
    return gate_change(&c, NULL, err);
}

int pv_store_del(struct pv_store *store, const char *key, prov_error *err)
{
    (void)store;
    struct fake_change c = {.kind = FAKE_DEL};
    fake_change_add(&c, key, NULL, 0);
    return gate_change(&c, NULL, err);
}

#endif
