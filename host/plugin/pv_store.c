/* pv_store.c - calling a storage backend. SPDX-License-Identifier: Apache-2.0 */
#include "pv_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "psdk_file.h"
#include "pv_store_int.h"

#define NS_PER_MIB 1000000000ull          /* a body may take this much longer than the timeout for each MiB */
#define UNKNOWN_SIZE_NS 86400000000000ull /* a body of unknown size: as long as it moves */

/* ---- life and facts ---------------------------------------------------------------------------------------------- */
int pv_store_open(struct pv_plugins *plugins, const struct pv_plugin_spec *spec, struct pv_store **ret, prov_error *err)
{
    struct pv_plugin_spec own = *spec;
    struct pv_store *store = calloc(1, sizeof *store);
    *ret = NULL;
    if (store == NULL)
        return psdk_fail(err, PROV_E_NOMEM, "no memory");
    own.role = PROV_ROLE_STORAGE;
    int rc = pv_instance_open(plugins, &own, &store->instance, err);
    if (rc == PROV_OK)
        *ret = store;
    else
        free(store);
    return rc;
}

void pv_store_close(struct pv_store *store)
{
    if (store == NULL)
        return;
    pv_instance_close(store->instance);
    free(store);
}

const char *pv_store_name(const struct pv_store *store)
{
    return pv_instance_name(store->instance);
}

uint64_t pv_store_capabilities(const struct pv_store *store)
{
    return pv_instance_capabilities(store->instance);
}

bool pv_store_open_breaker(const struct pv_store *store)
{
    return pv_instance_refuses(store->instance);
}

struct pv_instance *pv_store_instance(struct pv_store *store)
{
    return store->instance;
}

int pv_store_key_check(const char *key, prov_error *err)
{
    static const char legal[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:+-";
    if (key == NULL || key[0] == '\0')
        return psdk_fail(err, PROV_E_INVALID, "an object key is empty");
    if (strnlen(key, PV_KEY_BYTES + 1) > PV_KEY_BYTES)
        return psdk_fail(err, PROV_E_INVALID, "object key '%.40s...' is longer than %d bytes", key, PV_KEY_BYTES);
    for (const char *segment = key;;) {
        size_t len = strspn(segment, legal);
        bool dots = (len == 1 && segment[0] == '.') || (len == 2 && segment[0] == '.' && segment[1] == '.');
        if (len == 0 || dots || (segment[len] != '/' && segment[len] != '\0'))
            return psdk_fail(err, PROV_E_INVALID,
                             "object key '%s': want segments of [A-Za-z0-9._:+-] joined by '/', none of them "
                             "'.' or '..'",
                             key);
        if (segment[len] == '\0')
            return PROV_OK;
        segment += len + 1;
    }
}

static uint64_t body_time(uint64_t bytes)
{
    return bytes == UINT64_MAX ? UNKNOWN_SIZE_NS : (bytes >> 20) * NS_PER_MIB;
}

static void give_object(struct pv_object_frame *f, prov_object *ret)
{
    if (ret == NULL)
        return;
    *ret = f->object;
    ret->struct_size = sizeof *ret;
    ret->etag[sizeof ret->etag - 1] = '\0';
}

/* ---- get --------------------------------------------------------------------------------------------------------- */
/* What a get asks for and where it goes; exactly one of buf and sink is set. */
struct getting {
    const char *key;
    uint64_t offset_bytes;
    uint64_t length_bytes;
    struct psdk_buf *buf;
    size_t max_bytes;
    const prov_sink *sink;
};

static int begin_get(struct pv_store *store, const struct getting *g, uint64_t deadline_ns,
                     struct pv_object_frame **ret, prov_error *err)
{
    prov_error own = {0};
    if (err == NULL)
        err = &own;
    struct pv_object_frame *f = pv_object_frame_new(&pv_get_kind, g->key, NULL, NULL, err);
    *ret = NULL;
    if (f == NULL)
        return err->code < 0 ? err->code : PROV_E_INTERNAL;
    f->offset_bytes = g->offset_bytes;
    f->length_bytes = g->length_bytes;
    f->caller_buf = g->buf;
    f->max_bytes = g->max_bytes;
    f->caller_sink = g->sink;
    f->head.idle_ns = pv_call_timeout(store->instance);
    int rc = pv_call_begin(store->instance, &f->head, deadline_ns, err);
    if (rc == PROV_OK)
        *ret = f;
    else
        pv_frame_free(&f->head);
    return rc;
}

/* Checks what a get that said OK has sent against what it says that there is. */
static int check_got(struct pv_store *store, const struct pv_object_frame *f, prov_error *err)
{
    uint64_t size = f->object.size_bytes;
    uint64_t want = size > f->offset_bytes ? size - f->offset_bytes : 0;
    if (want > f->length_bytes)
        want = f->length_bytes;
    if (f->overrun)
        return pv_call_blame(store->instance, err, "get '%s' sent more than the %llu bytes asked for", f->key,
                             (unsigned long long)f->length_bytes);
    if (f->refused != 0)
        return psdk_fail(err, f->refused, "%s: get '%s': the receiver refused the data: %s", pv_store_name(store),
                         f->key, psdk_rc_text(f->refused));
    if (f->moved_bytes != want)
        return pv_call_blame(store->instance, err,
                             "get '%s' said OK and sent %llu bytes, want %llu (the object has %llu)", f->key,
                             (unsigned long long)f->moved_bytes, (unsigned long long)want, (unsigned long long)size);
    return PROV_OK;
}

/* *ret_moved: whether anything reached the receiver. Frees the frame. */
static int finish_get(struct pv_store *store, struct pv_object_frame *f, prov_object *ret_object, bool *ret_moved,
                      prov_error *err)
{
    struct pv_frame *frame = &f->head;
    size_t max_bytes = f->max_bytes;
    bool to_buf = f->caller_buf != NULL;
    char key[PV_KEY_BYTES + 8];
    memcpy(key, f->key, sizeof key);
    int rc = pv_call_finish(&frame, err);
    *ret_moved = true;
    if (frame == NULL)
        return rc;
    *ret_moved = f->moved_bytes > 0;
    if (f->overrun || rc == PROV_OK)
        rc = check_got(store, f, err);
    else if (f->refused != 0 && f->refused != rc)
        rc = err != NULL ? (err->code = f->refused) : f->refused;
    if (to_buf && f->refused == PROV_E_LIMIT)
        rc = psdk_fail(err, PROV_E_LIMIT, "%s: object '%s' is larger than %zu bytes", pv_store_name(store), key,
                       max_bytes);
    if (rc == PROV_OK)
        give_object(f, ret_object);
    pv_frame_free(frame);
    return rc;
}

static int get(struct pv_store *store, const struct getting *g, prov_object *ret_object, prov_error *err)
{
    prov_error own;
    struct pv_retry retry = {0};
    uint64_t bytes = g->buf != NULL && g->max_bytes < g->length_bytes ? g->max_bytes : g->length_bytes;
    uint64_t deadline = pv_call_deadline(store->instance, body_time(bytes));
    size_t start = g->buf != NULL ? g->buf->len : 0;
    bool moved = false;
    int rc;
    if (err == NULL)
        err = &own;
    do {
        struct pv_object_frame *f = NULL;
        memset(err, 0, sizeof *err);
        if (g->buf != NULL && g->buf->len > start)
            g->buf->len = start;
        rc = begin_get(store, g, deadline, &f, err);
        if (rc != PROV_OK)
            return rc;
        rc = finish_get(store, f, ret_object, &moved, err);
    } while (rc != PROV_OK && (g->buf != NULL || !moved) && pv_retry_again(&retry, store->instance, deadline, rc, err));
    if (rc != PROV_OK && g->buf != NULL && g->buf->len > start)
        g->buf->len = start;
    return rc;
}

int pv_store_get(struct pv_store *store, const char *key, size_t max_bytes, struct psdk_buf *ret,
                 prov_object *ret_object, prov_error *err)
{
    struct getting g = {.key = key, .length_bytes = UINT64_MAX, .buf = ret, .max_bytes = max_bytes};
    return get(store, &g, ret_object, err);
}

int pv_store_get_stream(struct pv_store *store, const char *key, uint64_t offset_bytes, uint64_t length_bytes,
                        const prov_sink *sink, prov_object *ret_object, prov_error *err)
{
    struct getting g = {key, offset_bytes, length_bytes, NULL, 0, sink};
    return get(store, &g, ret_object, err);
}

/* One batch of at most PV_STORE_WINDOW keys: all are started, then all are waited for. */
static void get_batch(struct pv_store *store, const struct getting *all, size_t n, int *codes, prov_error *errs)
{
    struct pv_object_frame *frames[PV_STORE_WINDOW] = {NULL};
    size_t starts[PV_STORE_WINDOW]; /* a buffer is its worker's own from begin to finish */
    uint64_t deadline = pv_call_deadline(store->instance, body_time(all[0].max_bytes));
    bool moved;
    for (size_t i = 0; i < n; i++) {
        starts[i] = all[i].buf->len;
        codes[i] = begin_get(store, &all[i], deadline, &frames[i], &errs[i]);
    }
    for (size_t i = 0; i < n; i++) {
        if (frames[i] == NULL) /* not begun: its code says why */
            continue;
        codes[i] = finish_get(store, frames[i], NULL, &moved, &errs[i]);
        if (codes[i] != PROV_OK && all[i].buf->len > starts[i])
            all[i].buf->len = starts[i];
    }
}

static bool may_retry(int code)
{
    return code == PROV_E_NETWORK || code == PROV_E_TIMEOUT || code == PROV_E_UNAVAILABLE;
}

int pv_store_get_many(struct pv_store *store, const char *const *keys, size_t n, size_t max_bytes,
                      struct psdk_buf *rets, int *codes, prov_error *err)
{
    int first = PROV_OK;
    for (size_t at = 0; at < n; at += PV_STORE_WINDOW) {
        struct getting all[PV_STORE_WINDOW] = {{0}};
        prov_error errs[PV_STORE_WINDOW];
        size_t batch = n - at < PV_STORE_WINDOW ? n - at : PV_STORE_WINDOW;
        memset(errs, 0, sizeof errs);
        for (size_t i = 0; i < batch; i++)
            all[i] = (struct getting){
                .key = keys[at + i], .length_bytes = UINT64_MAX, .buf = &rets[at + i], .max_bytes = max_bytes};
        get_batch(store, all, batch, codes + at, errs);
        for (size_t i = 0; i < batch; i++) {
            int *code = &codes[at + i];
            if (may_retry(*code) && !pv_instance_refuses(store->instance))
                *code = get(store, &all[i], NULL, &errs[i]);
            if (first == PROV_OK && *code != PROV_OK && *code != PROV_E_NOT_FOUND) {
                first = *code;
                if (err != NULL)
                    *err = errs[i];
            }
        }
    }
    return first;
}

/* ---- put --------------------------------------------------------------------------------------------------------- */
struct putting {
    const char *key;
    const void *data; /* or source */
    const prov_source *source;
    uint64_t size_bytes;
    const prov_precond *precond;
};

static int begin_put(struct pv_store *store, const struct putting *p, uint64_t deadline_ns,
                     struct pv_object_frame **ret, prov_error *err)
{
    prov_error own = {0};
    struct pv_object_frame *f = pv_object_frame_new(&pv_put_kind, p->key, NULL, p->precond, err != NULL ? err : &own);
    *ret = NULL;
    if (f == NULL)
        return err != NULL ? err->code : own.code;
    f->length_bytes = p->size_bytes;
    f->caller_data = p->data;
    f->caller_source = p->source;
    if (p->source != NULL && (!PROV_HAS(p->source, prov_source, rewind) || p->source->rewind == NULL))
        f->source.rewind = NULL;
    int rc = pv_call_begin(store->instance, &f->head, deadline_ns, err);
    if (rc == PROV_OK)
        *ret = f;
    else
        pv_frame_free(&f->head);
    return rc;
}

/* *ret_moved: whether anything was read from the source. Frees the frame. */
static int finish_put(struct pv_store *store, struct pv_object_frame *f, prov_object *ret_object, bool *ret_moved,
                      prov_error *err)
{
    struct pv_frame *frame = &f->head;
    int rc = pv_call_finish(&frame, err);
    *ret_moved = true;
    if (frame == NULL)
        return rc;
    *ret_moved = f->moved_bytes > 0;
    if (rc == PROV_OK && f->moved_bytes != f->length_bytes)
        rc = pv_call_blame(store->instance, err, "put '%s' said OK after it read %llu of %llu bytes", f->key,
                           (unsigned long long)f->moved_bytes, (unsigned long long)f->length_bytes);
    if (rc == PROV_OK)
        give_object(f, ret_object);
    pv_frame_free(frame);
    return rc;
}

static bool rewind_source(const struct putting *p, bool moved)
{
    if (p->source == NULL || !moved)
        return true;
    if (!PROV_HAS(p->source, prov_source, rewind) || p->source->rewind == NULL)
        return false;
    return p->source->rewind(p->source->ctx) == PROV_OK;
}

static int put(struct pv_store *store, const struct putting *p, prov_object *ret_object, prov_error *err)
{
    prov_error own;
    struct pv_retry retry = {0};
    uint64_t deadline = pv_call_deadline(store->instance, body_time(p->size_bytes));
    bool moved = false;
    int rc;
    if (err == NULL)
        err = &own;
    do {
        struct pv_object_frame *f = NULL;
        memset(err, 0, sizeof *err);
        rc = begin_put(store, p, deadline, &f, err);
        if (rc != PROV_OK)
            return rc;
        rc = finish_put(store, f, ret_object, &moved, err);
    } while (rc != PROV_OK && pv_retry_again(&retry, store->instance, deadline, rc, err) && rewind_source(p, moved));
    return rc;
}

int pv_store_put(struct pv_store *store, const char *key, const void *data, size_t len, const prov_precond *precond,
                 prov_object *ret_object, prov_error *err)
{
    struct putting p = {key, data, NULL, len, precond};
    return put(store, &p, ret_object, err);
}

int pv_store_put_stream(struct pv_store *store, const char *key, const prov_source *source, uint64_t size_bytes,
                        const prov_precond *precond, prov_object *ret_object, prov_error *err)
{
    struct putting p = {key, NULL, source, size_bytes, precond};
    return put(store, &p, ret_object, err);
}

/* For backends without put_many: windows of puts. After an error the rest of the window is still waited for. */
static int put_each(struct pv_store *store, const prov_put_item *items, uint64_t n_items, uint64_t deadline,
                    prov_error *err)
{
    int first = PROV_OK;
    for (uint64_t at = 0; first == PROV_OK && at < n_items; at += PV_STORE_WINDOW) {
        struct pv_object_frame *frames[PV_STORE_WINDOW] = {NULL};
        uint64_t batch = n_items - at < PV_STORE_WINDOW ? n_items - at : PV_STORE_WINDOW;
        bool moved;
        for (uint64_t i = 0; first == PROV_OK && i < batch; i++) {
            struct putting p = {items[at + i].key, items[at + i].data, NULL, items[at + i].size_bytes, NULL};
            first = begin_put(store, &p, deadline, &frames[i], err);
        }
        for (uint64_t i = 0; i < batch; i++) {
            prov_error one = {0};
            int rc = frames[i] != NULL ? finish_put(store, frames[i], NULL, &moved, &one) : PROV_OK;
            if (rc != PROV_OK && first == PROV_OK) {
                first = rc;
                if (err != NULL)
                    *err = one;
            }
        }
    }
    return first;
}

int pv_store_put_many(struct pv_store *store, const prov_put_item *items, uint64_t n_items, prov_error *err)
{
    prov_error own;
    struct pv_retry retry = {0};
    uint64_t bytes = 0;
    int rc;
    if (err == NULL)
        err = &own;
    if (n_items == 0)
        return PROV_OK;
    for (uint64_t i = 0; i < n_items; i++)
        bytes += items[i].size_bytes;
    uint64_t deadline = pv_call_deadline(store->instance, body_time(bytes));
    do {
        struct pv_items_frame *f = NULL;
        memset(err, 0, sizeof *err);
        if (!pv_instance_has(store->instance, PV_STORE_OP_PUT_MANY)) {
            rc = put_each(store, items, n_items, deadline, err);
            continue;
        }
        rc = pv_items_frame_new(items, n_items, &f, err);
        if (rc != PROV_OK)
            return rc;
        struct pv_frame *frame = &f->head;
        rc = pv_call(store->instance, &frame, deadline, err);
        pv_frame_free(frame);
    } while (rc != PROV_OK && pv_retry_again(&retry, store->instance, deadline, rc, err));
    return rc;
}

/* ---- the ops without a body -------------------------------------------------------------------------------------- */
struct plain {
    const struct pv_frame_kind *kind;
    const char *key;
    const char *to;
    const prov_precond *precond;
};

static int run_plain(struct pv_store *store, const struct plain *p, prov_object *ret_object, prov_error *err)
{
    prov_error own;
    struct pv_retry retry = {0};
    uint64_t deadline = pv_call_deadline(store->instance, 0);
    int rc;
    if (err == NULL)
        err = &own;
    do {
        memset(err, 0, sizeof *err);
        struct pv_object_frame *f = pv_object_frame_new(p->kind, p->key, p->to, p->precond, err);
        if (f == NULL)
            return err->code;
        struct pv_frame *frame = &f->head;
        rc = pv_call(store->instance, &frame, deadline, err);
        if (rc == PROV_OK)
            give_object(f, ret_object);
        pv_frame_free(frame);
    } while (rc != PROV_OK && pv_retry_again(&retry, store->instance, deadline, rc, err));
    return rc;
}

int pv_store_stat(struct pv_store *store, const char *key, prov_object *ret_object, prov_error *err)
{
    return run_plain(store, &(struct plain){&pv_stat_kind, key != NULL ? key : "", NULL, NULL}, ret_object, err);
}

int pv_store_del(struct pv_store *store, const char *key, prov_error *err)
{
    return run_plain(store, &(struct plain){&pv_del_kind, key != NULL ? key : "", NULL, NULL}, NULL, err);
}

int pv_store_copy(struct pv_store *store, const char *from, const char *to, const prov_precond *precond,
                  prov_object *ret_object, prov_error *err)
{
    return run_plain(store, &(struct plain){&pv_copy_kind, from != NULL ? from : "", to != NULL ? to : "", precond},
                     ret_object, err);
}
