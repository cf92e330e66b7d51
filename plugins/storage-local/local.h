/* local.h - the inside of storage-local: objects as plain files below one folder.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Layout:
 *   <root>/<key>            an object; standard tools read it
 *   <root>/.tmp/<random>    a body on its way (locked by its writer while it lives; swept when its writer is dead)
 *   <root>/.tmp/upload-<id> a multipart upload: the file "key" and one file for each part
 *   <root>/.lock/<nn>       lock files, never removed: a key hashes to one of them
 *
 * How an object changes: body into a temporary file, fsync, then under the lock of its key: look at the precondition,
 * rename; then fsync of the folder. Every change of a key takes its lock, so that nothing slips in between the look and
 * the rename, in any process. The lock is flock: it dies with its holder.
 *
 * etag: every body gets a fresh inode and, before it is renamed into place, a modification time of this nanosecond
 * clock with random last digits. <mtime>-<inode>-<size> is then never seen twice on a key, also when the kernel's own
 * time stamps stand still for a tick and the inode number is used again. create refuses file systems that cut times.
 *
 * Functions return PROV_OK or a PROV_E_* code with err filled. All are [any].
 */
#ifndef LOCAL_H
#define LOCAL_H

#include <sys/stat.h>

#include "psdk_file.h"
#include "psdk_plugin.h"

#define LOCAL_KEY_MAX 512
#define LOCAL_CHUNK_BYTES ((size_t)1 << 20)
#define LOCAL_TMP ".tmp"
#define LOCAL_LOCK ".lock"

struct pv_local {
    char *path;      /* of the root, for messages and locks */
    int root;        /* open folders */
    int tmp;         /* -1: the store can only be read */
    mode_t mode;     /* of objects; folders get x where there is r */
    bool fsync;
};

/* ---- local_path.c: keys, folders, locks ---- */

/* PROV_E_INVALID for a key that the contract does not allow, or that this layout keeps for itself. */
int pv_local_key_check(const char *key, prov_error *err);
/* True when name (len bytes) can be one segment of a key. */
bool pv_local_is_segment(const char *name, size_t len);
/* Opens a relative path below the folder base, never through a symbolic link. A descriptor, or -1 with errno. */
int pv_local_open(int base, const char *path, int flags);
/* Opens the folder of key, making it durably if need be. A descriptor or a negative code; *ret_name is the last segment
 * (borrowed from key). */
int pv_local_open_folder(const struct pv_local *self, const char *key, bool make, const char **ret_name, prov_error *err);
/* The error of a failed open of key: PROV_E_NOT_FOUND only when the store is there and the object certainly not. */
int pv_local_open_failed(const struct pv_local *self, const char *key, int errnum, prov_error *err);
/* A file of the store's own that is missing is a fault (PROV_E_IO), not an answer about an object. Returns the code. */
int pv_local_own_fault(prov_error *err, int rc);
/* Removes the folders of key that are empty now. */
void pv_local_prune(const struct pv_local *self, const char *key);
int pv_local_lock(const struct pv_local *self, const prov_call *call, const char *key, struct psdk_lock *lock,
                  prov_error *err);
/* fsync of an open folder, unless switched off. */
int pv_local_sync(const struct pv_local *self, int folder, prov_error *err);
/* Fills ret_object (may be NULL). */
void pv_local_describe(const struct stat *st, prov_object *ret_object);
/* What is open or looked at is an object: PROV_OK, PROV_E_NOT_FOUND for a folder, PROV_E_DENIED for anything else. */
int pv_local_check_object(const struct stat *st, const char *key, prov_error *err);

/* ---- local_temp.c: temporary files and putting them in place ---- */

struct pv_local_temp {
    char name[48]; /* below .tmp; "" once it is in place or removed */
    int fd;
    struct stat st; /* as finished */
};
#define PV_LOCAL_TEMP_INIT {.fd = -1}

/* Makes an empty one with room for size_bytes. */
int pv_local_temp_open(const struct pv_local *self, uint64_t size_bytes, struct pv_local_temp *temp, prov_error *err);
/* Sets its unique time, looks at it. durable: syncs it, unless switched off. */
int pv_local_temp_stamp(struct pv_local_temp *temp, prov_error *err);
int pv_local_temp_sync(const struct pv_local *self, struct pv_local_temp *temp, prov_error *err);
/* Both, then describes it. */
int pv_local_temp_finish(const struct pv_local *self, struct pv_local_temp *temp, prov_error *err);
/* Removes it when it was not put in place, closes it. */
void pv_local_temp_done(const struct pv_local *self, struct pv_local_temp *temp);
/* Renames it to key when precond allows (looked at under the lock). On success the folder is not synced yet: *ret_folder
 * receives its descriptor, for the caller to sync and close. */
int pv_local_temp_place(const struct pv_local *self, const prov_call *call, const char *key, const prov_precond *precond,
                        struct pv_local_temp *temp, int *ret_folder, prov_error *err);
/* Place, sync the folder, describe: the end of every put. */
int pv_local_temp_commit(const struct pv_local *self, const prov_call *call, const char *key, const prov_precond *precond,
                         struct pv_local_temp *temp, prov_object *ret_object, prov_error *err);
/* An early answer, without the lock, for a precondition that fails already: spares writing the body. */
int pv_local_precond_peek(const struct pv_local *self, const char *key, const prov_precond *precond, prov_error *err);
/* Removes what dead processes left, and uploads that nobody touched for a week. */
void pv_local_sweep(const struct pv_local *self);

/* ---- local_put.c ---- */

/* Reads exactly size_bytes of source and its end into the open file. */
int pv_local_write_source(const struct pv_local *self, const prov_call *call, const prov_source *source,
                          uint64_t size_bytes, int fd, prov_error *err);
/* Appends the first size_bytes of the open file in to the open file out (at its position). */
int pv_local_append_file(const struct pv_local *self, const prov_call *call, int in, uint64_t size_bytes, int out,
                         prov_error *err);

/* ---- the ops ---- */

int32_t pv_local_put(void *self, const prov_call *call, const char *key, const prov_source *source, uint64_t size_bytes,
                     const prov_precond *precond, prov_object *ret_object, prov_error *err);
int32_t pv_local_get(void *self, const prov_call *call, const char *key, uint64_t offset_bytes, uint64_t length_bytes,
                     const prov_sink *sink, prov_object *ret_object, prov_error *err);
int32_t pv_local_stat(void *self, const prov_call *call, const char *key, prov_object *ret_object, prov_error *err);
int32_t pv_local_list(void *self, const prov_call *call, const char *prefix, const char *after, uint32_t limit,
                      const prov_list_emit *emit, int32_t *ret_more, prov_error *err);
int32_t pv_local_del(void *self, const prov_call *call, const char *key, prov_error *err);
int32_t pv_local_copy(void *self, const prov_call *call, const char *from, const char *to, const prov_precond *precond,
                      prov_object *ret_object, prov_error *err);
int32_t pv_local_put_many(void *self, const prov_call *call, const prov_put_item *items, uint64_t n_items,
                          prov_error *err);
int32_t pv_local_put_fd(void *self, const prov_call *call, const char *key, int32_t fd, uint64_t size_bytes,
                        const prov_precond *precond, prov_object *ret_object, prov_error *err);
int32_t pv_local_multipart_begin(void *self, const prov_call *call, const char *key, char ret_upload[256],
                                 prov_error *err);
int32_t pv_local_multipart_put(void *self, const prov_call *call, const char *key, const char *upload, uint32_t number,
                               const prov_source *source, uint64_t size_bytes, prov_error *err);
int32_t pv_local_multipart_list(void *self, const prov_call *call, const char *key, const char *upload,
                                const prov_list_emit *emit, prov_error *err);
int32_t pv_local_multipart_commit(void *self, const prov_call *call, const char *key, const char *upload,
                                  uint32_t n_parts, const prov_precond *precond, prov_object *ret_object,
                                  prov_error *err);
int32_t pv_local_multipart_abort(void *self, const prov_call *call, const char *key, const char *upload,
                                 prov_error *err);
int32_t pv_local_probe(void *self, const prov_call *call, prov_error *err);

#endif
