/* pv_store_int.h - the frames of a store's calls, for the files of this folder. SPDX-License-Identifier: Apache-2.0 */
#ifndef PV_STORE_INT_H
#define PV_STORE_INT_H

#include "pv_instance.h"
#include "pv_store.h"

#define PV_KEY_BYTES 512
#define PV_STORE_WINDOW 16u /* calls in flight of one get_many or put_many */
#define PV_STORE_PAGE 1000u

struct pv_store {
    struct pv_instance *instance;
};

/* Numbers of ops in the role's table. */
enum { PV_STORE_OP_PUT_MANY = 6, PV_STORE_OP_PROBE = 14 };

/* put, get, stat, del, copy, probe. Members named caller_* point into the caller's memory: only under pv_frame_enter.
 */
struct pv_object_frame {
    struct pv_frame head;
    char key[PV_KEY_BYTES + 8];
    char to[PV_KEY_BYTES + 8];
    uint64_t offset_bytes;
    uint64_t length_bytes; /* of a get; the size of a put */
    prov_precond precond;
    prov_source source; /* what the op is given */
    prov_sink sink;
    const uint8_t *caller_data;
    const prov_source *caller_source;
    const prov_sink *caller_sink;
    struct psdk_buf *caller_buf;
    size_t max_bytes; /* of caller_buf */
    uint64_t moved_bytes;
    int refused;  /* what a callback refused with, or 0 */
    bool overrun; /* it sent more than was asked for */
    struct pv_guard object_front;
    prov_object object;
    struct pv_guard object_back;
};
extern const struct pv_frame_kind pv_put_kind, pv_get_kind, pv_stat_kind, pv_del_kind, pv_copy_kind, pv_probe_kind;
/* NULL and PROV_E_NOMEM or PROV_E_INVALID (bad key). to, precond: NULL when there is none. */
struct pv_object_frame *pv_object_frame_new(const struct pv_frame_kind *kind, const char *key, const char *to,
                                            const prov_precond *precond, prov_error *err);

/* One page of a listing, gathered in the frame. */
struct pv_listed {
    size_t key_at; /* in keys */
    uint64_t size_bytes;
    int64_t mtime_ns;
};
struct pv_list_frame {
    struct pv_frame head;
    char *prefix;
    char after[PV_KEY_BYTES + 8];
    prov_list_emit emit;
    struct psdk_buf keys;
    struct pv_listed *entries; /* PV_STORE_PAGE of them */
    uint32_t n_entries;
    uint32_t limit;
    char fault[200]; /* what was wrong with an entry, or "" */
    struct pv_guard more_front;
    int64_t more; /* room for the int32_t that the op writes, on the guard's alignment */
    struct pv_guard more_back;
};
extern const struct pv_frame_kind pv_list_kind;

struct pv_items_frame {
    struct pv_frame head;
    prov_put_item *items; /* deep copies, one block with their keys and data */
    uint64_t n_items;
};
extern const struct pv_frame_kind pv_items_kind;
int pv_items_frame_new(const prov_put_item *items, uint64_t n_items, struct pv_items_frame **ret, prov_error *err);

#endif
