/* local_put.c - put, put_fd and put_many of storage-local.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * put_many works in two phases, a batch at a time: write all bodies and let the disk begin, sync them all, rename them
 * all, then sync each folder once.
 */
#include "local.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WRITEBACK_BYTES ((uint64_t)8 << 20) /* the disk begins on each 8 MiB while the next ones are read */
#define COPY_STEP_BYTES ((uint64_t)16 << 20)
#define BATCH 128 /* open files of a put_many */

/* ---- bodies --------------------------------------------------------------------------------------------------------- */

static int body_error(prov_error *err, const char *why, uint64_t size_bytes)
{
    psdk_fail(err, PROV_E_INVALID, "the body is %s than the %llu bytes that were announced", why,
              (unsigned long long)size_bytes);
    return psdk_outcome(err, PROV_OUTCOME_NOT_APPLIED);
}

static int read_source(const prov_source *source, void *buf, uint64_t cap, uint64_t *ret, prov_error *err)
{
    *ret = 0;
    int rc = source->read(source->ctx, buf, cap, ret);
    if (rc != PROV_OK)
        return psdk_fail(err, rc, "the body could not be read to its end");
    if (*ret > cap)
        return psdk_fail(err, PROV_E_INTERNAL, "the source gave more bytes than it was asked for");
    return PROV_OK;
}

int pv_local_write_source(const struct pv_local *self, const prov_call *call, const prov_source *source,
                          uint64_t size_bytes, int fd, prov_error *err)
{
    uint64_t done = 0, begun = 0, got;
    size_t cap = size_bytes < LOCAL_CHUNK_BYTES ? (size_t)size_bytes + 1 : LOCAL_CHUNK_BYTES;
    uint8_t *buf = malloc(cap);
    if (buf == NULL)
        return psdk_fail(err, PROV_E_NOMEM, "no memory for a buffer of %zu bytes", cap);
    int rc;
    while ((rc = psdk_call_check(call, err)) == PROV_OK && (rc = read_source(source, buf, cap, &got, err)) == PROV_OK) {
        if (got == 0 || got > size_bytes - done)
            break;
        rc = psdk_write_all(fd, buf, (size_t)got, self->path, err);
        if (rc != PROV_OK)
            break;
        done += got;
        if (self->fsync && done - begun >= WRITEBACK_BYTES) {
            sync_file_range(fd, (off_t)begun, (off_t)(done - begun), SYNC_FILE_RANGE_WRITE); /* only a hint */
            begun = done;
        }
    }
    if (rc == PROV_OK && got > size_bytes - done)
        rc = body_error(err, "longer", size_bytes);
    else if (rc == PROV_OK && done < size_bytes)
        rc = body_error(err, "shorter", size_bytes);
    free(buf);
    return rc;
}

/* One step by copying through memory. *ret_bytes 0: the end of in. */
static int copy_step(int in, uint64_t offset, uint64_t max, int out, uint64_t *ret_bytes, prov_error *err)
{
    size_t cap = max < LOCAL_CHUNK_BYTES ? (size_t)max : LOCAL_CHUNK_BYTES, got = 0;
    uint8_t *buf = malloc(cap);
    if (buf == NULL)
        return psdk_fail(err, PROV_E_NOMEM, "no memory for a buffer of %zu bytes", cap);
    int rc = psdk_pread_all(in, buf, cap, offset, &got, "file to store", err);
    if (rc == PROV_OK)
        rc = psdk_write_all(out, buf, got, "the store", err);
    free(buf);
    *ret_bytes = got;
    return rc;
}

int pv_local_append_file(const struct pv_local *self, const prov_call *call, int in, uint64_t size_bytes, int out,
                         prov_error *err)
{
    bool in_kernel = true;
    off_t begun = lseek(out, 0, SEEK_CUR);
    for (uint64_t done = 0, n = 0; done < size_bytes; done += n) {
        int rc = psdk_call_check(call, err);
        if (rc != PROV_OK)
            return rc;
        uint64_t want = size_bytes - done < COPY_STEP_BYTES ? size_bytes - done : COPY_STEP_BYTES;
        off_t from = (off_t)done;
        ssize_t copied = in_kernel ? copy_file_range(in, &from, out, NULL, (size_t)want, 0) : 0;
        if (copied < 0 && errno == ENOSPC)
            return psdk_fail_errno(err, ENOSPC, "cannot write to '%s'", self->path);
        in_kernel = copied > 0; /* across file systems, from a pipe, at the end: the plain way finds out which */
        n = in_kernel ? (uint64_t)copied : 0;
        if (!in_kernel)
            rc = copy_step(in, done, want, out, &n, err);
        if (rc != PROV_OK)
            return rc;
        if (n == 0)
            return body_error(err, "shorter", size_bytes);
        if (self->fsync)
            sync_file_range(out, begun + (off_t)done, (off_t)n, SYNC_FILE_RANGE_WRITE);
    }
    return PROV_OK;
}

/* ---- put, put_fd ---------------------------------------------------------------------------------------------------- */

/* The body comes from source, or (source NULL) from fd. */
static int put_body(const struct pv_local *self, const prov_call *call, const prov_source *source, int fd,
                    uint64_t size_bytes, struct pv_local_temp *temp, prov_error *err)
{
    int rc = pv_local_temp_open(self, size_bytes, temp, err);
    if (rc == PROV_OK)
        rc = source != NULL ? pv_local_write_source(self, call, source, size_bytes, temp->fd, err)
                            : pv_local_append_file(self, call, fd, size_bytes, temp->fd, err);
    return rc == PROV_OK ? pv_local_temp_finish(self, temp, err) : rc;
}

int32_t pv_local_put(void *self, const prov_call *call, const char *key, const prov_source *source, uint64_t size_bytes,
                     const prov_precond *precond, prov_object *ret_object, prov_error *err)
{
    struct pv_local_temp temp = PV_LOCAL_TEMP_INIT;
    int rc = pv_local_key_check(key, err);
    if (rc == PROV_OK)
        rc = psdk_call_check(call, err);
    if (rc == PROV_OK)
        rc = pv_local_precond_peek(self, key, precond, err);
    if (rc == PROV_OK)
        rc = put_body(self, call, source, -1, size_bytes, &temp, err);
    if (rc == PROV_OK)
        rc = pv_local_temp_commit(self, call, key, precond, &temp, ret_object, err);
    pv_local_temp_done(self, &temp);
    return psdk_not_applied(err, rc);
}

int32_t pv_local_put_fd(void *self, const prov_call *call, const char *key, int32_t fd, uint64_t size_bytes,
                        const prov_precond *precond, prov_object *ret_object, prov_error *err)
{
    struct pv_local_temp temp = PV_LOCAL_TEMP_INIT;
    int rc = pv_local_key_check(key, err);
    if (rc == PROV_OK)
        rc = psdk_call_check(call, err);
    if (rc == PROV_OK)
        rc = pv_local_precond_peek(self, key, precond, err);
    if (rc == PROV_OK)
        rc = put_body(self, call, NULL, fd, size_bytes, &temp, err);
    if (rc == PROV_OK)
        rc = pv_local_temp_commit(self, call, key, precond, &temp, ret_object, err);
    pv_local_temp_done(self, &temp);
    return psdk_not_applied(err, rc);
}

/* ---- put_many ------------------------------------------------------------------------------------------------------- */

/* Items may come from a caller with larger structs. */
static const prov_put_item *item_at(const prov_put_item *items, uint64_t i)
{
    return (const prov_put_item *)(const void *)((const char *)items + i * items->struct_size);
}

static int write_items(const struct pv_local *self, const prov_call *call, const prov_put_item *items, size_t n,
                       struct pv_local_temp *temps, prov_error *err)
{
    int rc = PROV_OK;
    for (size_t i = 0; i < n && rc == PROV_OK; i++) {
        const prov_put_item *item = item_at(items, i);
        rc = psdk_call_check(call, err);
        if (rc == PROV_OK)
            rc = pv_local_temp_open(self, item->size_bytes, &temps[i], err);
        if (rc == PROV_OK)
            rc = psdk_write_all(temps[i].fd, item->data, (size_t)item->size_bytes, self->path, err);
        if (rc == PROV_OK)
            rc = pv_local_temp_stamp(&temps[i], err);
        if (rc == PROV_OK && self->fsync)
            sync_file_range(temps[i].fd, 0, 0, SYNC_FILE_RANGE_WRITE);
    }
    for (size_t i = 0; i < n && rc == PROV_OK; i++) {
        rc = psdk_call_check(call, err);
        if (rc == PROV_OK)
            rc = pv_local_temp_sync(self, &temps[i], err);
    }
    return rc;
}

static bool is_same_folder(int a, int b)
{
    struct stat one, other;
    return fstat(a, &one) == 0 && fstat(b, &other) == 0 && one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

/* Renames a batch and syncs each folder once. folders has room for n descriptors. Once the first item is in its place
 * an error has the outcome UNKNOWN. */
static int place_items(const struct pv_local *self, const prov_call *call, const prov_put_item *items, size_t n,
                       struct pv_local_temp *temps, int *folders, prov_error *err)
{
    size_t n_folders = 0, placed = 0;
    int rc = PROV_OK;
    for (; placed < n && rc == PROV_OK; placed++) {
        int folder = -1;
        rc = pv_local_temp_place(self, call, item_at(items, placed)->key, NULL, &temps[placed], &folder, err);
        if (rc != PROV_OK)
            break;
        bool known = false;
        for (size_t i = n_folders; i > 0 && !known; i--) /* the newest first: neighbours come in a row */
            known = is_same_folder(folders[i - 1], folder);
        if (known)
            psdk_close(&folder);
        else
            folders[n_folders++] = folder;
    }
    for (size_t i = 0; i < n_folders; i++) {
        prov_error sync_err = {0};
        int sync_rc = pv_local_sync(self, folders[i], &sync_err);
        if (sync_rc != PROV_OK && rc == PROV_OK) {
            *err = sync_err;
            rc = sync_rc;
        }
        psdk_close(&folders[i]);
    }
    if (rc != PROV_OK && placed > 0)
        psdk_outcome(err, PROV_OUTCOME_UNKNOWN);
    return rc;
}

int32_t pv_local_put_many(void *self, const prov_call *call, const prov_put_item *items, uint64_t n_items,
                          prov_error *err)
{
    struct pv_local_temp temps[BATCH];
    int folders[BATCH];
    int rc = psdk_call_check(call, err);
    for (uint64_t i = 0; i < n_items && rc == PROV_OK; i++)
        rc = pv_local_key_check(item_at(items, i)->key, err);
    for (uint64_t first = 0; first < n_items && rc == PROV_OK; first += BATCH) {
        size_t n = n_items - first < BATCH ? (size_t)(n_items - first) : BATCH;
        const prov_put_item *batch = item_at(items, first);
        for (size_t i = 0; i < n; i++)
            temps[i] = (struct pv_local_temp)PV_LOCAL_TEMP_INIT;
        rc = write_items(self, call, batch, n, temps, err);
        if (rc == PROV_OK)
            rc = place_items(self, call, batch, n, temps, folders, err);
        for (size_t i = 0; i < n; i++)
            pv_local_temp_done(self, &temps[i]);
        if (rc != PROV_OK && first > 0)
            psdk_outcome(err, PROV_OUTCOME_UNKNOWN);
    }
    return psdk_not_applied(err, rc);
}
