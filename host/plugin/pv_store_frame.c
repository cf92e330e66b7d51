/* pv_store_frame.c - the frames of a store's calls: what runs on the worker. SPDX-License-Identifier: Apache-2.0
 *
 * Nothing here may touch the caller's memory but between pv_frame_enter and pv_frame_leave.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pv_store_int.h"

/* ---- source and sink --------------------------------------------------------------------------------------------- */
static int source_from_caller(struct pv_object_frame *f, void *buf, uint64_t cap_bytes, uint64_t *ret_bytes)
{
    if (f->caller_source != NULL) {
        int rc = f->caller_source->read(f->caller_source->ctx, buf, cap_bytes, ret_bytes);
        return rc == PROV_OK && *ret_bytes > cap_bytes ? PROV_E_INTERNAL : rc;
    }
    uint64_t left = f->length_bytes - f->moved_bytes;
    *ret_bytes = left < cap_bytes ? left : cap_bytes;
    if (*ret_bytes > 0)
        memcpy(buf, f->caller_data + f->moved_bytes, (size_t)*ret_bytes);
    return PROV_OK;
}

static int32_t source_read(void *ctx, void *buf, uint64_t cap_bytes, uint64_t *ret_bytes)
{
    struct pv_object_frame *f = ctx;
    if (buf == NULL || ret_bytes == NULL || cap_bytes == 0)
        return PROV_E_INVALID;
    *ret_bytes = 0;
    if (!pv_frame_enter(&f->head))
        return PROV_E_CANCELLED;
    int rc = source_from_caller(f, buf, cap_bytes, ret_bytes);
    if (rc == PROV_OK)
        f->moved_bytes += *ret_bytes;
    else
        f->refused = rc < 0 ? rc : PROV_E_INTERNAL;
    pv_frame_leave(&f->head);
    return rc <= 0 ? rc : PROV_E_INTERNAL;
}

static int32_t source_rewind(void *ctx)
{
    struct pv_object_frame *f = ctx;
    if (!pv_frame_enter(&f->head))
        return PROV_E_CANCELLED;
    int rc = f->caller_source != NULL ? f->caller_source->rewind(f->caller_source->ctx) : PROV_OK;
    if (rc == PROV_OK)
        f->moved_bytes = 0;
    else
        f->refused = rc < 0 ? rc : PROV_E_INTERNAL;
    pv_frame_leave(&f->head);
    return rc <= 0 ? rc : PROV_E_INTERNAL;
}

static int sink_to_caller(struct pv_object_frame *f, const void *data, uint64_t size_bytes)
{
    if (size_bytes > f->length_bytes - f->moved_bytes) {
        f->overrun = true;
        return PROV_E_PLUGIN;
    }
    if (f->caller_sink != NULL)
        return f->caller_sink->write(f->caller_sink->ctx, data, size_bytes);
    if (size_bytes > f->max_bytes - f->moved_bytes)
        return PROV_E_LIMIT;
    return psdk_buf_add(f->caller_buf, data, (size_t)size_bytes);
}

static int32_t sink_write(void *ctx, const void *data, uint64_t size_bytes)
{
    struct pv_object_frame *f = ctx;
    if (size_bytes == 0)
        return PROV_OK;
    if (data == NULL)
        return PROV_E_INVALID;
    if (!pv_frame_enter(&f->head))
        return PROV_E_CANCELLED;
    /* Once it was refused, it stays refused: a plugin that goes on cannot leave a hole. */
    int rc = f->refused != 0 ? f->refused : sink_to_caller(f, data, size_bytes);
    if (rc == PROV_OK)
        f->moved_bytes += size_bytes;
    else
        f->refused = rc < 0 ? rc : PROV_E_INTERNAL;
    pv_frame_leave(&f->head);
    return rc <= 0 ? rc : PROV_E_INTERNAL;
}

/* ---- ops on one object ------------------------------------------------------------------------------------------- */
static int32_t run_put(struct pv_frame *frame, const void *ops, void *self)
{
    struct pv_object_frame *f = (struct pv_object_frame *)frame;
    return ((const prov_storage_ops *)ops)
        ->put(self, &frame->call, f->key, &f->source, f->length_bytes, &f->precond, &f->object, &frame->err);
}

static int32_t run_get(struct pv_frame *frame, const void *ops, void *self)
{
    struct pv_object_frame *f = (struct pv_object_frame *)frame;
    return ((const prov_storage_ops *)ops)
        ->get(self, &frame->call, f->key, f->offset_bytes, f->length_bytes, &f->sink, &f->object, &frame->err);
}

static int32_t run_stat(struct pv_frame *frame, const void *ops, void *self)
{
    struct pv_object_frame *f = (struct pv_object_frame *)frame;
    return ((const prov_storage_ops *)ops)->stat(self, &frame->call, f->key, &f->object, &frame->err);
}

static int32_t run_del(struct pv_frame *frame, const void *ops, void *self)
{
    struct pv_object_frame *f = (struct pv_object_frame *)frame;
    return ((const prov_storage_ops *)ops)->del(self, &frame->call, f->key, &frame->err);
}

static int32_t run_copy(struct pv_frame *frame, const void *ops, void *self)
{
    struct pv_object_frame *f = (struct pv_object_frame *)frame;
    return ((const prov_storage_ops *)ops)
        ->copy(self, &frame->call, f->key, f->to, &f->precond, &f->object, &frame->err);
}

static int32_t run_probe(struct pv_frame *frame, const void *ops, void *self)
{
    return ((const prov_storage_ops *)ops)->probe(self, &frame->call, &frame->err);
}

#define OBJECT_FRAME sizeof(struct pv_object_frame)
const struct pv_frame_kind pv_put_kind = {"put", true, false, OBJECT_FRAME, run_put, NULL};
const struct pv_frame_kind pv_get_kind = {"get", false, false, OBJECT_FRAME, run_get, NULL};
const struct pv_frame_kind pv_stat_kind = {"stat", false, false, OBJECT_FRAME, run_stat, NULL};
const struct pv_frame_kind pv_del_kind = {"del", true, false, OBJECT_FRAME, run_del, NULL};
const struct pv_frame_kind pv_copy_kind = {"copy", true, false, OBJECT_FRAME, run_copy, NULL};
const struct pv_frame_kind pv_probe_kind = {"probe", false, false, OBJECT_FRAME, run_probe, NULL};

struct pv_object_frame *pv_object_frame_new(const struct pv_frame_kind *kind, const char *key, const char *to,
                                            const prov_precond *precond, prov_error *err)
{
    if ((key != NULL && pv_store_key_check(key, err) != PROV_OK) ||
        (to != NULL && pv_store_key_check(to, err) != PROV_OK))
        return NULL;
    struct pv_object_frame *f = (struct pv_object_frame *)pv_frame_new(kind);
    if (f == NULL) {
        psdk_fail(err, PROV_E_NOMEM, "%s: no memory for a call", kind->op);
        return NULL;
    }
    snprintf(f->key, sizeof f->key, "%s", key != NULL ? key : "");
    snprintf(f->to, sizeof f->to, "%s", to != NULL ? to : "");
    if (precond != NULL)
        f->precond = *precond;
    f->precond.struct_size = sizeof f->precond;
    f->precond.etag[sizeof f->precond.etag - 1] = '\0';
    f->source = (prov_source){sizeof f->source, 0, f, source_read, source_rewind};
    f->sink = (prov_sink){sizeof f->sink, 0, f, sink_write};
    f->object.struct_size = sizeof f->object;
    pv_frame_guard(&f->head, &f->object_front, "what lies in front of ret_object");
    pv_frame_guard(&f->head, &f->object_back, "ret_object");
    return f;
}

/* ---- list -------------------------------------------------------------------------------------------------------- */
static int list_fault(struct pv_list_frame *f, const char *what, const char *key)
{
    if (f->fault[0] == '\0')
        snprintf(f->fault, sizeof f->fault, "list %s: '%.100s'", what, key);
    return PROV_E_PLUGIN;
}

static int check_listed(struct pv_list_frame *f, const char *key)
{
    const char *before = f->n_entries > 0 ? (const char *)f->keys.data + f->entries[f->n_entries - 1].key_at : f->after;
    if (pv_store_key_check(key, NULL) != PROV_OK)
        return list_fault(f, "emitted an illegal key", key);
    if (strncmp(key, f->prefix, strlen(f->prefix)) != 0)
        return list_fault(f, "emitted a key that does not start with the prefix", key);
    if (strcmp(key, before) <= 0)
        return list_fault(f, "emitted a key out of order", key);
    if (f->n_entries >= f->limit)
        return list_fault(f, "emitted more keys than the limit", key);
    return PROV_OK;
}

static int32_t list_entry(void *ctx, const prov_list_entry *entry)
{
    struct pv_list_frame *f = ctx;
    if (entry == NULL || !PROV_HAS(entry, prov_list_entry, key) || entry->key == NULL)
        return list_fault(f, "emitted an entry without a key", "");
    if (!pv_frame_enter(&f->head))
        return PROV_E_CANCELLED;
    int rc = check_listed(f, entry->key);
    if (rc == PROV_OK) {
        struct pv_listed *e = &f->entries[f->n_entries];
        e->key_at = f->keys.len;
        e->size_bytes = PROV_HAS(entry, prov_list_entry, size_bytes) ? entry->size_bytes : 0;
        e->mtime_ns = PROV_HAS(entry, prov_list_entry, mtime_ns) ? entry->mtime_ns : 0;
        rc = psdk_buf_add(&f->keys, entry->key, strlen(entry->key) + 1);
        if (rc == PROV_OK)
            f->n_entries++;
    }
    pv_frame_leave(&f->head);
    return rc;
}

static int32_t run_list(struct pv_frame *frame, const void *ops, void *self)
{
    struct pv_list_frame *f = (struct pv_list_frame *)frame;
    int32_t *more = (int32_t *)(void *)&f->more;
    f->emit = (prov_list_emit){sizeof f->emit, 0, f, list_entry};
    return ((const prov_storage_ops *)ops)
        ->list(self, &frame->call, f->prefix, f->after, f->limit, &f->emit, more, &frame->err);
}

static void done_list(struct pv_frame *frame)
{
    struct pv_list_frame *f = (struct pv_list_frame *)frame;
    free(f->prefix);
    free(f->entries);
    psdk_buf_done(&f->keys);
}

const struct pv_frame_kind pv_list_kind = {"list", false, false, sizeof(struct pv_list_frame), run_list, done_list};

/* ---- put_many ---------------------------------------------------------------------------------------------------- */
static int32_t run_items(struct pv_frame *frame, const void *ops, void *self)
{
    struct pv_items_frame *f = (struct pv_items_frame *)frame;
    return ((const prov_storage_ops *)ops)->put_many(self, &frame->call, f->items, f->n_items, &frame->err);
}

static void done_items(struct pv_frame *frame)
{
    free(((struct pv_items_frame *)frame)->items);
}

const struct pv_frame_kind pv_items_kind = {"put_many", true,      false, sizeof(struct pv_items_frame),
                                            run_items,  done_items};

int pv_items_frame_new(const prov_put_item *items, uint64_t n_items, struct pv_items_frame **ret, prov_error *err)
{
    uint64_t bytes = n_items * sizeof *items;
    for (uint64_t i = 0; i < n_items; i++) {
        int rc = pv_store_key_check(items[i].key, err);
        if (rc != PROV_OK)
            return rc;
        bytes += strlen(items[i].key) + 1 + items[i].size_bytes;
    }
    struct pv_items_frame *f = (struct pv_items_frame *)pv_frame_new(&pv_items_kind);
    if (f == NULL || (f->items = malloc(bytes)) == NULL) {
        pv_frame_free(&f->head);
        return psdk_fail(err, PROV_E_NOMEM, "put_many: no memory for %llu bytes", (unsigned long long)bytes);
    }
    uint8_t *at = (uint8_t *)(f->items + n_items);
    for (uint64_t i = 0; i < n_items; i++) {
        size_t key_bytes = strlen(items[i].key) + 1;
        f->items[i] = (prov_put_item){sizeof f->items[i], 0, NULL, NULL, items[i].size_bytes};
        f->items[i].data = at;
        if (items[i].size_bytes > 0)
            memcpy(at, items[i].data, (size_t)items[i].size_bytes);
        at += items[i].size_bytes;
        memcpy(at, items[i].key, key_bytes);
        f->items[i].key = (const char *)at;
        at += key_bytes;
    }
    f->n_items = n_items;
    *ret = f;
    return PROV_OK;
}
