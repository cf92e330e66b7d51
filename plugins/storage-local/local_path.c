/* local_path.c - keys, folders and locks of storage-local.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A key is a relative path, so it must never lead out of the root: its spelling is checked, and the kernel is told to
 * refuse symbolic links and ".." on the way (openat2; a walk with O_NOFOLLOW where that is missing).
 */
#include "local.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOCK_FILES 64u

bool pv_local_is_segment(const char *name, size_t len)
{
    if (len == 0 || (len == 1 && name[0] == '.') || (len == 2 && name[0] == '.' && name[1] == '.'))
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = name[i];
        if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
              c == ':' || c == '+' || c == '-'))
            return false;
    }
    return true;
}

static bool is_segment_equal(const char *name, size_t len, const char *word)
{
    return strlen(word) == len && memcmp(name, word, len) == 0;
}

static int bad_key(const char *key, const char *why, prov_error *err)
{
    char shown[201];
    size_t len = 0;
    for (; len < sizeof shown - 1 && key[len] != '\0'; len++)
        shown[len] = key[len] >= ' ' && key[len] <= '~' ? key[len] : '?'; /* a message is one line of text */
    shown[len] = '\0';
    psdk_fail(err, PROV_E_INVALID, "key '%s': %s", shown, why);
    psdk_outcome(err, PROV_OUTCOME_PERMANENT);
    return PROV_E_INVALID;
}

int pv_local_key_check(const char *key, prov_error *err)
{
    size_t len = strlen(key);
    if (len == 0 || len > LOCAL_KEY_MAX)
        return bad_key(key, len == 0 ? "a key cannot be empty" : "a key has at most 512 bytes", err);
    for (const char *at = key;;) {
        size_t segment = strcspn(at, "/");
        if (!pv_local_is_segment(at, segment))
            return bad_key(key, "want segments of A-Z a-z 0-9 . _ : + - joined by '/', none of them '.' or '..'", err);
        if (segment > 255)
            return bad_key(key, "a file name has at most 255 bytes, so a segment of a key in this store has too", err);
        if (at == key && (is_segment_equal(at, segment, LOCAL_TMP) || is_segment_equal(at, segment, LOCAL_LOCK)))
            return bad_key(key, "this store keeps the names .tmp and .lock for itself", err);
        if (at[segment] == '\0')
            return PROV_OK;
        at += segment + 1;
    }
}

/* openat2 as a walk: each folder on the way with O_NOFOLLOW. path has no "..". */
static int open_walking(int base, const char *path, int flags)
{
    char segment[256];
    int dir = base;
    for (;;) {
        size_t len = strcspn(path, "/");
        bool last = path[len] == '\0';
        if (len >= sizeof segment) {
            errno = ENAMETOOLONG;
            len = 0;
        }
        memcpy(segment, path, len);
        segment[len] = '\0';
        int next = len == 0 ? -1
                            : openat(dir, segment, (last ? flags : O_PATH | O_DIRECTORY) | O_NOFOLLOW | O_CLOEXEC);
        if (dir != base) {
            int kept = errno;
            close(dir);
            errno = kept;
        }
        if (next < 0 || last)
            return next;
        dir = next;
        path += len + 1;
    }
}

int pv_local_open(int base, const char *path, int flags)
{
    static int no_openat2; /* set once the kernel or a sandbox said so */
    struct open_how how = {.flags = (unsigned)(flags | O_NOFOLLOW | O_CLOEXEC),
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
    for (int tries = 0; tries < 100 && !__atomic_load_n(&no_openat2, __ATOMIC_RELAXED); tries++) {
        long fd = syscall(SYS_openat2, base, path, &how, sizeof how);
        if (fd >= 0 || (errno != EAGAIN && errno != EINTR && errno != ENOSYS && errno != EPERM))
            return (int)fd;
        if (errno == ENOSYS || errno == EPERM)
            __atomic_store_n(&no_openat2, 1, __ATOMIC_RELAXED);
    }
    return open_walking(base, path, flags);
}

/* Opens (path_len bytes of) a folder path segment by segment, making what is missing. -1 with errno. */
static int make_folders(const struct pv_local *self, const char *path, size_t path_len)
{
    mode_t mode = self->mode | 0700 | ((self->mode & 0444) >> 2);
    char segment[256];
    int dir = self->root;
    for (size_t at = 0; at < path_len;) {
        size_t len = strcspn(path + at, "/");
        memcpy(segment, path + at, len);
        segment[len] = '\0';
        bool made = mkdirat(dir, segment, mode) == 0;
        int next = -1;
        if (made || errno == EEXIST)
            next = openat(dir, segment, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (next >= 0 && made && self->fsync && fsync(dir) != 0)
            psdk_close(&next);
        if (dir != self->root) {
            int kept = errno;
            close(dir);
            errno = kept;
        }
        if (next < 0)
            return -1;
        dir = next;
        at += len + 1;
    }
    return dir;
}

int pv_local_open_folder(const struct pv_local *self, const char *key, bool make, const char **ret_name, prov_error *err)
{
    char path[LOCAL_KEY_MAX + 1] = ".";
    const char *slash = strrchr(key, '/');
    size_t len = slash == NULL ? 0 : (size_t)(slash - key);
    *ret_name = slash == NULL ? key : slash + 1;
    if (len > 0) {
        memcpy(path, key, len);
        path[len] = '\0';
    }
    int fd = pv_local_open(self->root, path, O_RDONLY | O_DIRECTORY);
    /* Again while somebody prunes the very folder. */
    for (int tries = 0; fd < 0 && errno == ENOENT && make && tries < 100; tries++)
        fd = make_folders(self, path, len);
    if (fd >= 0)
        return fd;
    if (errno == ENOTDIR && make) {
        psdk_fail(err, PROV_E_INVALID, "key '%s': a part of it is an object already, so nothing can be below it", key);
        return psdk_outcome(err, PROV_OUTCOME_PERMANENT);
    }
    return pv_local_open_failed(self, key, errno, err);
}

int pv_local_open_failed(const struct pv_local *self, const char *key, int errnum, prov_error *err)
{
    struct stat root;
    if (errnum == ENOTDIR || errnum == ENOENT) {
        if (fstat(self->root, &root) != 0 || root.st_nlink == 0)
            return psdk_fail(err, PROV_E_UNAVAILABLE, "the store '%s' itself is gone: bring it back and start again",
                             self->path);
        return psdk_fail(err, PROV_E_NOT_FOUND, "there is no object '%s'", key);
    }
    if (errnum == ELOOP || errnum == EXDEV)
        return psdk_fail(err, PROV_E_DENIED, "key '%s' leads through a symbolic link, which this store never follows",
                         key);
    return psdk_fail_errno(err, errnum, "cannot open '%s' in '%s'", key, self->path);
}

int pv_local_own_fault(prov_error *err, int rc)
{
    if (rc == PROV_E_NOT_FOUND || rc == PROV_E_EXISTS)
        err->code = PROV_E_IO;
    return err->code;
}

void pv_local_prune(const struct pv_local *self, const char *key)
{
    char path[LOCAL_KEY_MAX + 1];
    prov_error ignored = {0};
    memcpy(path, key, strlen(key) + 1);
    for (char *slash = strrchr(path, '/'); slash != NULL; slash = strrchr(path, '/')) {
        const char *name;
        *slash = '\0';
        int folder = pv_local_open_folder(self, path, false, &name, &ignored);
        bool removed = folder >= 0 && unlinkat(folder, name, AT_REMOVEDIR) == 0; /* only when it is empty */
        psdk_close(&folder);
        if (!removed)
            return;
    }
}

int pv_local_lock(const struct pv_local *self, const prov_call *call, const char *key, struct psdk_lock *lock,
                  prov_error *err)
{
    char path[4096];
    if (self->tmp < 0)
        return psdk_fail(err, PROV_E_DENIED, "the store '%s' can only be read", self->path);
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (const char *at = key; *at != '\0'; at++)
        hash = (hash ^ (uint8_t)*at) * 16777619u;
    int n = snprintf(path, sizeof path, "%s/" LOCAL_LOCK "/%02x", self->path, (hash ^ hash >> 16) % LOCK_FILES);
    if (n < 0 || (size_t)n >= sizeof path)
        return psdk_fail(err, PROV_E_LIMIT, "the path of the store is too long");
    int rc = psdk_call_lock(call, lock, path, err);
    return rc == PROV_OK ? rc : pv_local_own_fault(err, rc);
}

int pv_local_sync(const struct pv_local *self, int folder, prov_error *err)
{
    if (self->fsync && fsync(folder) != 0)
        return psdk_fail_errno(err, errno, "cannot make a folder in '%s' durable (fsync)", self->path);
    return PROV_OK;
}

void pv_local_describe(const struct stat *st, prov_object *ret_object)
{
    if (ret_object == NULL)
        return;
    int64_t mtime_ns = (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
    ret_object->flags = 0;
    ret_object->size_bytes = (uint64_t)st->st_size;
    ret_object->mtime_ns = mtime_ns;
    memset(ret_object->sha256, 0, sizeof ret_object->sha256);
    snprintf(ret_object->etag, sizeof ret_object->etag, "%" PRIx64 "-%" PRIx64 "-%" PRIx64, (uint64_t)mtime_ns,
             (uint64_t)st->st_ino, (uint64_t)st->st_size);
}

int pv_local_check_object(const struct stat *st, const char *key, prov_error *err)
{
    if (S_ISREG(st->st_mode))
        return PROV_OK;
    if (S_ISDIR(st->st_mode))
        return psdk_fail(err, PROV_E_NOT_FOUND, "there is no object '%s'", key);
    return psdk_fail(err, PROV_E_DENIED, "'%s' is not a plain file: links and devices are no objects; remove it", key);
}
