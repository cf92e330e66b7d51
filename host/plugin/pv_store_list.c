/* pv_store_list.c - listing a store, page by page. SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pv_store_int.h"

static struct pv_list_frame *new_page(const char *prefix, const char *after, uint32_t limit, prov_error *err)
{
    struct pv_list_frame *f = (struct pv_list_frame *)pv_frame_new(&pv_list_kind);
    if (f != NULL) {
        f->prefix = strdup(prefix);
        f->entries = malloc(limit * sizeof *f->entries);
    }
    if (f == NULL || f->prefix == NULL || f->entries == NULL) {
        psdk_fail(err, PROV_E_NOMEM, "list: no memory for a page");
        pv_frame_free(&f->head);
        return NULL;
    }
    snprintf(f->after, sizeof f->after, "%s", after);
    f->limit = limit;
    pv_frame_guard(&f->head, &f->more_front, "what lies in front of ret_more");
    pv_frame_guard(&f->head, &f->more_back, "ret_more");
    return f;
}

/* Fetches the page after `after`. The frame is the caller's. */
static int fetch_page(struct pv_store *store, const char *prefix, const char *after, uint32_t limit,
                      struct pv_list_frame **ret, prov_error *err)
{
    struct pv_retry retry = {0};
    uint64_t deadline = pv_call_deadline(store->instance, 0);
    int rc;
    *ret = NULL;
    do {
        memset(err, 0, sizeof *err);
        struct pv_list_frame *f = new_page(prefix, after, limit, err);
        if (f == NULL)
            return PROV_E_NOMEM;
        struct pv_frame *frame = &f->head;
        rc = pv_call(store->instance, &frame, deadline, err);
        if (frame != NULL && f->fault[0] != '\0')
            rc = pv_call_blame(store->instance, err, "%s", f->fault);
        if (frame != NULL && rc == PROV_OK && f->more != 0 && f->n_entries == 0)
            rc = pv_call_blame(store->instance, err, "list '%s' says that there is more after an empty page", prefix);
        if (rc == PROV_OK)
            *ret = f;
        else
            pv_frame_free(frame);
    } while (rc != PROV_OK && pv_retry_again(&retry, store->instance, deadline, rc, err));
    return rc;
}

int pv_store_list(struct pv_store *store, const char *prefix, int (*entry)(void *ctx, const prov_list_entry *entry),
                  void *ctx, prov_error *err)
{
    char after[PV_KEY_BYTES + 8] = "";
    prov_error own;
    if (err == NULL)
        err = &own;
    for (bool more = true; more;) {
        struct pv_list_frame *f = NULL;
        int rc = fetch_page(store, prefix, after, PV_STORE_PAGE, &f, err);
        if (rc != PROV_OK)
            return rc;
        more = f->more != 0;
        for (uint32_t i = 0; rc == PROV_OK && i < f->n_entries; i++) {
            const struct pv_listed *e = &f->entries[i];
            prov_list_entry one = {sizeof one, 0, (const char *)f->keys.data + e->key_at, e->size_bytes, e->mtime_ns};
            rc = entry(ctx, &one);
            if (i + 1 == f->n_entries)
                snprintf(after, sizeof after, "%s", one.key);
        }
        pv_frame_free(&f->head);
        if (rc < 0) {
            if (err->code != rc)
                psdk_fail(err, rc, "list '%s': stopped by its receiver", prefix);
            return rc;
        }
    }
    return PROV_OK;
}

int pv_store_probe(struct pv_store *store, prov_error *err)
{
    prov_error own;
    if (err == NULL)
        err = &own;
    if (!pv_instance_has(store->instance, PV_STORE_OP_PROBE)) {
        struct pv_list_frame *f = NULL;
        int rc = fetch_page(store, "", "", 1, &f, err);
        if (rc == PROV_OK)
            pv_frame_free(&f->head);
        return rc;
    }
    struct pv_object_frame *f = pv_object_frame_new(&pv_probe_kind, NULL, NULL, NULL, err);
    if (f == NULL)
        return err->code;
    struct pv_frame *frame = &f->head;
    int rc = pv_call(store->instance, &frame, pv_call_deadline(store->instance, 0), err);
    pv_frame_free(frame);
    return rc;
}
