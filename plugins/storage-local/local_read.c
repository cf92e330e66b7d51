/* local_read.c - get, stat and del of storage-local.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "local.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* Opens an object and looks at it. A descriptor or a negative code. */
static int open_object(const struct pv_local *self, const char *key, int flags, struct stat *ret_st, prov_error *err)
{
    int rc = pv_local_key_check(key, err);
    if (rc != PROV_OK)
        return rc;
    int fd = pv_local_open(self->root, key, flags);
    if (fd < 0)
        return pv_local_open_failed(self, key, errno, err);
    rc = fstat(fd, ret_st) != 0 ? psdk_fail_errno(err, errno, "cannot look at '%s'", key)
                                : pv_local_check_object(ret_st, key, err);
    if (rc == PROV_OK)
        return fd;
    psdk_close(&fd);
    return rc;
}

/* Streams [offset, end) of an open object. */
static int send_range(const prov_call *call, int fd, uint64_t offset, uint64_t end, const prov_sink *sink,
                      prov_error *err)
{
    size_t cap = end - offset < LOCAL_CHUNK_BYTES ? (size_t)(end - offset) : LOCAL_CHUNK_BYTES;
    uint8_t *buf = malloc(cap > 0 ? cap : 1);
    if (buf == NULL)
        return psdk_fail(err, PROV_E_NOMEM, "no memory for a buffer of %zu bytes", cap);
    int rc = PROV_OK;
    while (offset < end) {
        size_t want = end - offset < cap ? (size_t)(end - offset) : cap, got = 0;
        rc = psdk_call_check(call, err);
        if (rc == PROV_OK)
            rc = psdk_pread_all(fd, buf, want, offset, &got, "object", err);
        if (rc != PROV_OK)
            break;
        if (got < want) {
            rc = psdk_fail(err, PROV_E_CORRUPT, "it was cut while it was read: something writes objects in place");
            break;
        }
        rc = sink->write(sink->ctx, buf, got);
        if (rc != PROV_OK) {
            rc = psdk_fail(err, rc, "the receiver of the body stopped");
            break;
        }
        offset += got;
    }
    free(buf);
    return rc;
}

int32_t pv_local_get(void *self, const prov_call *call, const char *key, uint64_t offset_bytes, uint64_t length_bytes,
                     const prov_sink *sink, prov_object *ret_object, prov_error *err)
{
    struct stat st = {0};
    int rc = psdk_call_check(call, err);
    if (rc != PROV_OK)
        return rc;
    int fd = open_object(self, key, O_RDONLY | O_NONBLOCK | O_NOCTTY, &st, err);
    if (fd < 0)
        return psdk_not_applied(err, fd);
    uint64_t size = (uint64_t)st.st_size;
    uint64_t from = offset_bytes < size ? offset_bytes : size;
    uint64_t end = length_bytes < size - from ? from + length_bytes : size;
    if (end - from > LOCAL_CHUNK_BYTES)
        posix_fadvise(fd, (off_t)from, (off_t)(end - from), POSIX_FADV_SEQUENTIAL);
    rc = send_range(call, fd, from, end, sink, err);
    if (rc == PROV_OK)
        pv_local_describe(&st, ret_object);
    psdk_close(&fd);
    return psdk_not_applied(err, rc);
}

int32_t pv_local_stat(void *self, const prov_call *call, const char *key, prov_object *ret_object, prov_error *err)
{
    struct stat st = {0};
    int rc = psdk_call_check(call, err);
    if (rc != PROV_OK)
        return rc;
    int fd = open_object(self, key, O_PATH, &st, err);
    if (fd < 0)
        return psdk_not_applied(err, fd);
    pv_local_describe(&st, ret_object);
    psdk_close(&fd);
    return PROV_OK;
}

/* Under the lock of key. */
static int unlink_object(const struct pv_local *self, int folder, const char *name, const char *key, prov_error *err)
{
    struct stat st = {0};
    if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? pv_local_open_failed(self, key, ENOENT, err)
                               : psdk_fail_errno(err, errno, "cannot look at '%s'", key);
    int rc = pv_local_check_object(&st, key, err);
    if (rc != PROV_OK)
        return rc;
    if (unlinkat(folder, name, 0) != 0)
        return psdk_fail_errno(err, errno, "cannot delete '%s' in '%s'", key, self->path);
    rc = pv_local_sync(self, folder, err);
    return rc == PROV_OK ? rc : psdk_outcome(err, PROV_OUTCOME_UNKNOWN);
}

int32_t pv_local_del(void *self, const prov_call *call, const char *key, prov_error *err)
{
    struct psdk_lock lock = PSDK_LOCK_INIT;
    const char *name;
    int folder = -1;
    int rc = pv_local_key_check(key, err);
    if (rc == PROV_OK)
        rc = pv_local_lock(self, call, key, &lock, err);
    if (rc == PROV_OK) {
        folder = pv_local_open_folder(self, key, false, &name, err);
        rc = folder < 0 ? folder : unlink_object(self, folder, name, key, err);
    }
    psdk_lock_drop(&lock);
    psdk_close(&folder);
    if (rc == PROV_OK)
        pv_local_prune(self, key);
    return psdk_not_applied(err, rc);
}
