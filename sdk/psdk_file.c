/* psdk_file.c - whole-or-absent files, complete reads and writes, locks.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * How a file is replaced: temporary file in the same folder (unpredictable name, O_EXCL), write, fsync, rename, fsync of
 * the folder. A crash before the rename leaves the old file and a temporary one; a crash after it leaves the new file or
 * the old one, never a mixture. Folders are in psdk_dir.c.
 */
#include "psdk_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "psdk_hash.h"

int psdk_open(const char *path, int flags, mode_t mode, prov_error *err)
{
    int fd;
    do {
        fd = open(path, flags | O_CLOEXEC, mode);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return psdk_fail_errno(err, errno, "cannot open '%s'", path);
    return fd;
}

void psdk_close(int *fd)
{
    if (*fd >= 0)
        close(*fd); /* never repeated on EINTR: Linux has released the number already */
    *fd = -1;
}

int psdk_write_all(int fd, const void *data, size_t len, const char *what, prov_error *err)
{
    const uint8_t *at = data;
    while (len > 0) {
        ssize_t n = write(fd, at, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return psdk_fail_errno(err, n < 0 ? errno : EIO, "cannot write '%s'", what);
        at += n;
        len -= (size_t)n;
    }
    return PROV_OK;
}

int psdk_pwrite_all(int fd, const void *data, size_t len, uint64_t offset, const char *what, prov_error *err)
{
    const uint8_t *at = data;
    while (len > 0) {
        ssize_t n = pwrite(fd, at, len, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return psdk_fail_errno(err, n < 0 ? errno : EIO, "cannot write '%s' at byte %llu", what,
                                   (unsigned long long)offset);
        at += n;
        len -= (size_t)n;
        offset += (uint64_t)n;
    }
    return PROV_OK;
}

int psdk_pread_all(int fd, void *data, size_t len, uint64_t offset, size_t *ret_len, const char *what, prov_error *err)
{
    uint8_t *at = data;
    size_t done = 0;
    while (done < len) {
        ssize_t n = pread(fd, at + done, len - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return psdk_fail_errno(err, errno, "cannot read '%s' at byte %llu", what,
                                   (unsigned long long)(offset + done));
        if (n == 0)
            break;
        done += (size_t)n;
    }
    *ret_len = done;
    return PROV_OK;
}

int psdk_fdatasync(int fd, const char *what, prov_error *err)
{
    int rc;
    do {
        rc = fdatasync(fd);
    } while (rc != 0 && errno == EINTR);
    if (rc != 0)
        return psdk_fail_errno(err, errno, "cannot make '%s' durable (fdatasync)", what);
    return PROV_OK;
}

int psdk_read_file(const char *path, size_t max, struct psdk_buf *ret, prov_error *err)
{
    struct stat st;
    size_t total = 0, got;
    /* O_NONBLOCK: a named pipe must be refused below, not waited for. */
    int fd = psdk_open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, err);
    if (fd < 0)
        return fd;
    int rc = PROV_OK;
    if (fstat(fd, &st) != 0)
        rc = psdk_fail_errno(err, errno, "cannot look at '%s'", path);
    else if (!S_ISREG(st.st_mode))
        rc = psdk_fail(err, PROV_E_INVALID, "'%s' is not a regular file", path);
    size_t step = rc == PROV_OK && st.st_size > 0 && (uint64_t)st.st_size < max ? (size_t)st.st_size + 1 : 4096;
    while (rc == PROV_OK) { /* to the end, not to st_size: files of /proc say 0, and a file may grow */
        if (psdk_buf_reserve(ret, step) != PROV_OK) {
            psdk_buf_check(ret, err);
            rc = psdk_wrap(err, "cannot read '%s'", path);
            break;
        }
        rc = psdk_pread_all(fd, ret->data + ret->len, step, total, &got, path, err);
        if (rc != PROV_OK)
            break;
        ret->len += got;
        total += got;
        ret->data[ret->len] = '\0';
        if (total > max)
            rc = psdk_fail(err, PROV_E_LIMIT, "'%s' is larger than %zu bytes", path, max);
        else if (got < step)
            break;
        step = 65536;
    }
    if (rc != PROV_OK && ret->data != NULL) { /* what was there before stays, a part of the file does not */
        ret->len -= total;
        ret->data[ret->len] = '\0';
    }
    psdk_close(&fd);
    return rc;
}

int psdk_rename_new(int from_dir, const char *from, int to_dir, const char *to)
{
    if (renameat2(from_dir, from, to_dir, to, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return errno;
    /* A file system without RENAME_NOREPLACE: a link never replaces either. */
    if (linkat(from_dir, from, to_dir, to, 0) != 0)
        return errno;
    unlinkat(from_dir, from, 0);
    return 0;
}

/* Writes and syncs a new file in a folder. On failure nothing is left. */
static int write_temp(int dir, const char *name, const void *data, size_t len, mode_t mode, prov_error *err)
{
    int fd;
    do {
        fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return psdk_fail_errno(err, errno, "cannot create a temporary file");
    int rc = psdk_write_all(fd, data, len, "temporary file", err);
    if (rc == PROV_OK && fsync(fd) != 0)
        rc = psdk_fail_errno(err, errno, "cannot make it durable (fsync)");
    psdk_close(&fd);
    if (rc != PROV_OK)
        unlinkat(dir, name, 0);
    return rc;
}

/* Puts a written temporary file in its place. On failure it is removed. */
static int place_temp(int dir, const char *temp, const char *path, bool exclusive, prov_error *err)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    int rc = PROV_OK, errnum = 0;
    if (exclusive)
        errnum = psdk_rename_new(dir, temp, dir, name);
    else if (renameat(dir, temp, dir, name) != 0)
        errnum = errno;
    if (errnum != 0) {
        unlinkat(dir, temp, 0);
        rc = errnum == EEXIST ? psdk_fail(err, PROV_E_EXISTS, "it is already there")
                              : psdk_fail_errno(err, errnum, "cannot put it in its place");
        return rc;
    }
    if (fsync(dir) != 0) {
        rc = psdk_fail_errno(err, errno, "it is in its place, but the folder could not be made durable");
        psdk_outcome(err, PROV_OUTCOME_UNKNOWN);
    }
    return rc;
}

int psdk_write_file(const char *path, const void *data, size_t len, mode_t mode, bool exclusive, prov_error *err)
{
    char folder[4096], temp[64] = ".prov-tmp-";
    uint8_t random[16];
    int rc = psdk_dirname(path, folder, sizeof folder, err);
    if (rc != PROV_OK)
        return rc;
    if (path[0] == '\0' || path[strlen(path) - 1] == '/')
        return psdk_fail(err, PROV_E_INVALID, "cannot write '%s': it names no file", path);
    rc = psdk_random(random, sizeof random, err);
    if (rc != PROV_OK)
        return rc;
    psdk_hex(random, sizeof random, temp + strlen(temp));
    int dir = psdk_open(folder, O_RDONLY | O_DIRECTORY, 0, err);
    rc = dir < 0 ? dir : write_temp(dir, temp, data, len, mode, err);
    if (rc == PROV_OK)
        rc = place_temp(dir, temp, path, exclusive, err);
    psdk_close(&dir);
    return rc == PROV_OK ? rc : psdk_wrap(err, "cannot write '%s'", path);
}

/* ---- locks -------------------------------------------------------------------------------------------------------- */

#define LOCK_FIRST_WAIT_NS 50000u   /* 50 us */
#define LOCK_LAST_WAIT_NS 5000000u  /* 5 ms */

static int open_lock(const char *path, bool shared, prov_error *err)
{
    int fd = psdk_open(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600, err);
    if (fd == PROV_E_DENIED && shared) /* a reader of somebody else's files */
        fd = psdk_open(path, O_RDONLY | O_NOFOLLOW, 0, err);
    return fd;
}

/* True when path still names the open file: a lock on a file that was deleted or replaced guards nothing. */
static bool is_current(int fd, const char *path)
{
    struct stat opened, named;
    return fstat(fd, &opened) == 0 && lstat(path, &named) == 0 && opened.st_dev == named.st_dev &&
           opened.st_ino == named.st_ino;
}

/* Tries until the deadline (0: once, UINT64_MAX: for ever). PROV_OK, or PROV_E_TIMEOUT without text in err. */
static int flock_until(int fd, int kind, uint64_t deadline_ns, const char *path, prov_error *err)
{
    uint64_t wait_ns = LOCK_FIRST_WAIT_NS;
    while (flock(fd, kind | LOCK_NB) != 0) {
        if (errno == EINTR)
            continue;
        if (errno != EWOULDBLOCK)
            return psdk_fail_errno(err, errno, "cannot lock '%s'", path);
        uint64_t now = deadline_ns == 0 ? 0 : psdk_monotonic_ns();
        if (now >= deadline_ns)
            return psdk_fail(err, PROV_E_TIMEOUT, "'%s' is locked by somebody else; wait for them or try again", path);
        if (wait_ns > deadline_ns - now)
            wait_ns = deadline_ns - now;
        struct timespec wait = {.tv_nsec = (long)wait_ns};
        nanosleep(&wait, NULL);
        wait_ns = wait_ns * 2 < LOCK_LAST_WAIT_NS ? wait_ns * 2 : LOCK_LAST_WAIT_NS;
    }
    return PROV_OK;
}

int psdk_lock_take(struct psdk_lock *lock, const char *path, bool shared, uint64_t timeout_ns, prov_error *err)
{
    uint64_t deadline_ns = timeout_ns;
    if (timeout_ns != 0 && __builtin_add_overflow(psdk_monotonic_ns(), timeout_ns, &deadline_ns))
        deadline_ns = UINT64_MAX;
    for (;;) {
        int fd = open_lock(path, shared, err);
        if (fd < 0)
            return fd;
        int rc = flock_until(fd, shared ? LOCK_SH : LOCK_EX, deadline_ns, path, err);
        if (rc != PROV_OK) {
            psdk_close(&fd);
            return rc;
        }
        if (is_current(fd, path)) {
            lock->fd = fd;
            return PROV_OK;
        }
        psdk_close(&fd); /* the file was replaced while we waited: lock the new one */
    }
}

void psdk_lock_drop(struct psdk_lock *lock)
{
    if (lock->fd >= 0)
        flock(lock->fd, LOCK_UN); /* said aloud, as a forked child may still hold the descriptor */
    psdk_close(&lock->fd);
}
