/* local_temp.c - temporary files of storage-local, and putting them in place.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Failure story: until the rename nothing has happened (outcome NOT_APPLIED or PERMANENT) and the temporary file is
 * removed; when the folder cannot be synced after it, the object may or may not be there after a crash (UNKNOWN); a
 * process that dies leaves its temporary file, which a later create sweeps.
 */
#include "local.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "psdk_hash.h"

#define SWEEP_FILE_AGE_S 3600
#define SWEEP_UPLOAD_AGE_S (7 * 86400)
#define RESERVE_FROM_BYTES ((uint64_t)1 << 20)

int pv_local_temp_open(const struct pv_local *self, uint64_t size_bytes, struct pv_local_temp *temp, prov_error *err)
{
    uint8_t random[16];
    if (self->tmp < 0)
        return psdk_fail(err, PROV_E_DENIED, "the store '%s' can only be read", self->path);
    if (size_bytes > INT64_MAX)
        return psdk_fail(err, PROV_E_LIMIT, "no file can have %llu bytes", (unsigned long long)size_bytes);
    int rc = psdk_random(random, sizeof random, err);
    if (rc != PROV_OK)
        return rc;
    psdk_hex(random, sizeof random, temp->name);
    temp->fd = openat(self->tmp, temp->name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, self->mode);
    if (temp->fd < 0) {
        rc = psdk_fail_errno(err, errno, "cannot create a temporary file in '%s/" LOCAL_TMP "'", self->path);
        temp->name[0] = '\0';
        return pv_local_own_fault(err, rc);
    }
    flock(temp->fd, LOCK_SH); /* says that its writer lives: the sweeper tries to lock it */
    if (size_bytes >= RESERVE_FROM_BYTES && fallocate(temp->fd, 0, 0, (off_t)size_bytes) != 0 && errno == ENOSPC)
        return psdk_fail_errno(err, ENOSPC, "cannot reserve %llu bytes in '%s'", (unsigned long long)size_bytes,
                               self->path);
    return PROV_OK;
}

int pv_local_temp_stamp(struct pv_local_temp *temp, prov_error *err)
{
    uint16_t random = 0;
    int rc = psdk_random(&random, sizeof random, err);
    if (rc != PROV_OK)
        return rc;
    /* The clock to the microsecond, chance below it: sequential changes differ by the clock, and by chance even when
     * the clock was set back to the very microsecond. */
    uint64_t ns = psdk_wall_ns();
    ns = ns - ns % 1000 + random % 1000u;
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT},
                                {.tv_sec = (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000)}};
    if (futimens(temp->fd, times) != 0 || fstat(temp->fd, &temp->st) != 0)
        return psdk_fail_errno(err, errno, "cannot set the time of a temporary file");
    if (temp->st.st_mtim.tv_sec != times[1].tv_sec || temp->st.st_mtim.tv_nsec != times[1].tv_nsec)
        return psdk_fail(err, PROV_E_UNSUPPORTED, "this file system does not keep times to the nanosecond, so changes "
                         "of an object could be missed: put the store on another one");
    return PROV_OK;
}

int pv_local_temp_sync(const struct pv_local *self, struct pv_local_temp *temp, prov_error *err)
{
    if (self->fsync && fsync(temp->fd) != 0)
        return psdk_fail_errno(err, errno, "cannot make a new object in '%s' durable (fsync)", self->path);
    return PROV_OK;
}

int pv_local_temp_finish(const struct pv_local *self, struct pv_local_temp *temp, prov_error *err)
{
    int rc = pv_local_temp_stamp(temp, err);
    return rc == PROV_OK ? pv_local_temp_sync(self, temp, err) : rc;
}

void pv_local_temp_done(const struct pv_local *self, struct pv_local_temp *temp)
{
    if (temp->name[0] != '\0')
        unlinkat(self->tmp, temp->name, 0);
    temp->name[0] = '\0';
    psdk_close(&temp->fd);
}

/* ---- preconditions -------------------------------------------------------------------------------------------------- */

/* What precond says to the object found (or not found) now. */
static int judge(const struct stat *st, bool there, const char *key, const prov_precond *precond, prov_error *err)
{
    prov_object now = {.struct_size = sizeof now};
    int32_t kind = precond == NULL ? PROV_PRECOND_NONE : precond->kind;
    if (kind == PROV_PRECOND_NONE)
        return PROV_OK;
    if (kind == PROV_PRECOND_ABSENT)
        return there ? psdk_fail(err, PROV_E_EXISTS, "the object '%s' is already there", key) : PROV_OK;
    if (kind != PROV_PRECOND_MATCH)
        return psdk_fail(err, PROV_E_INVALID, "%d is no kind of precondition", (int)kind);
    if (!there)
        return psdk_fail(err, PROV_E_NOT_FOUND, "there is no object '%s' to replace", key);
    pv_local_describe(st, &now);
    if (strncmp(now.etag, precond->etag, sizeof now.etag) != 0)
        return psdk_fail(err, PROV_E_CONFLICT, "the object '%s' was changed by somebody else", key);
    return PROV_OK;
}

/* Looks at name in folder and judges. */
static int check_precond(int folder, const char *name, const char *key, const prov_precond *precond, prov_error *err)
{
    struct stat st;
    bool there = fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
    if (!there && errno != ENOENT)
        return psdk_fail_errno(err, errno, "cannot look at '%s'", key);
    if (there && S_ISDIR(st.st_mode)) {
        there = false;
        if (unlinkat(folder, name, AT_REMOVEDIR) != 0 && errno != ENOENT) /* an empty one only hides that it is free */
            return psdk_fail(err, PROV_E_INVALID, "key '%s': there are objects below it, so it cannot be one", key);
    } else if (there) {
        int rc = pv_local_check_object(&st, key, err);
        if (rc != PROV_OK)
            return rc;
    }
    return judge(&st, there, key, precond, err);
}

int pv_local_precond_peek(const struct pv_local *self, const char *key, const prov_precond *precond, prov_error *err)
{
    struct stat st;
    if (precond == NULL || precond->kind == PROV_PRECOND_NONE)
        return PROV_OK;
    int fd = pv_local_open(self->root, key, O_PATH);
    bool there = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    if (!there && (fd >= 0 || (errno != ENOENT && errno != ENOTDIR))) {
        psdk_close(&fd); /* something odd: left to the real look */
        return PROV_OK;
    }
    psdk_close(&fd);
    return judge(&st, there, key, precond, err);
}

/* ---- in place ------------------------------------------------------------------------------------------------------- */

/* Under the lock: look, then rename. PROV_E_UNAVAILABLE when the folder was pruned meanwhile. */
static int rename_checked(const struct pv_local *self, int folder, const char *name, const char *key,
                          const prov_precond *precond, struct pv_local_temp *temp, prov_error *err)
{
    int rc = check_precond(folder, name, key, precond, err);
    if (rc != PROV_OK)
        return rc;
    int errnum = 0;
    if (precond != NULL && precond->kind == PROV_PRECOND_ABSENT)
        errnum = psdk_rename_new(self->tmp, temp->name, folder, name);
    else if (renameat(self->tmp, temp->name, folder, name) != 0)
        errnum = errno;
    if (errnum == EEXIST)
        return psdk_fail(err, PROV_E_EXISTS, "the object '%s' is already there", key);
    if (errnum == ENOENT)
        return psdk_fail(err, PROV_E_UNAVAILABLE, "the folder of '%s' is being removed; try again", key);
    if (errnum == EISDIR || errnum == ENOTEMPTY)
        return psdk_fail(err, PROV_E_INVALID, "key '%s': there are objects below it, so it cannot be one", key);
    if (errnum != 0)
        return psdk_fail_errno(err, errnum, "cannot put '%s' in its place in '%s'", key, self->path);
    temp->name[0] = '\0';
    return PROV_OK;
}

int pv_local_temp_place(const struct pv_local *self, const prov_call *call, const char *key, const prov_precond *precond,
                        struct pv_local_temp *temp, int *ret_folder, prov_error *err)
{
    const char *name;
    struct psdk_lock lock = PSDK_LOCK_INIT;
    int folder = -1;
    int rc = pv_local_lock(self, call, key, &lock, err);
    for (int tries = 0; rc == PROV_OK; tries++) {
        folder = pv_local_open_folder(self, key, true, &name, err);
        rc = folder < 0 ? folder : rename_checked(self, folder, name, key, precond, temp, err);
        if (rc != PROV_E_UNAVAILABLE || tries == 100)
            break;
        psdk_close(&folder); /* a del of a neighbour took the empty folder away between the two lines above */
        rc = PROV_OK;
    }
    psdk_lock_drop(&lock);
    if (rc != PROV_OK) {
        bool had_folder = folder >= 0;
        psdk_close(&folder);
        if (had_folder)
            pv_local_prune(self, key); /* the folders may be new, and nothing came into them */
        return rc;
    }
    *ret_folder = folder;
    return PROV_OK;
}

int pv_local_temp_commit(const struct pv_local *self, const prov_call *call, const char *key, const prov_precond *precond,
                         struct pv_local_temp *temp, prov_object *ret_object, prov_error *err)
{
    int folder = -1;
    int rc = pv_local_temp_place(self, call, key, precond, temp, &folder, err);
    if (rc != PROV_OK)
        return rc;
    rc = pv_local_sync(self, folder, err);
    psdk_close(&folder);
    if (rc != PROV_OK)
        return psdk_outcome(err, PROV_OUTCOME_UNKNOWN);
    pv_local_describe(&temp->st, ret_object);
    return PROV_OK;
}

/* ---- sweeping ------------------------------------------------------------------------------------------------------- */

static void sweep_file(const struct pv_local *self, const char *name)
{
    int fd = openat(self->tmp, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0) /* its writer is dead */
        unlinkat(self->tmp, name, 0);
    psdk_close(&fd);
}

static void sweep_upload(const struct pv_local *self, const char *name)
{
    char path[4096 + 64];
    prov_error ignored = {0};
    struct psdk_buf text = {.max = sizeof path};
    psdk_buf_addf(&text, "%s/" LOCAL_TMP "/%s", self->path, name);
    if (text.failed == 0)
        psdk_remove_tree(psdk_buf_str(&text), &ignored);
    psdk_buf_done(&text);
}

void pv_local_sweep(const struct pv_local *self)
{
    int fd = openat(self->tmp, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL) {
        psdk_close(&fd);
        return;
    }
    time_t now = (time_t)(psdk_wall_ns() / 1000000000);
    const struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        struct stat st;
        if (fstatat(self->tmp, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        if (S_ISREG(st.st_mode) && st.st_mtim.tv_sec < now - SWEEP_FILE_AGE_S)
            sweep_file(self, entry->d_name);
        else if (S_ISDIR(st.st_mode) && strncmp(entry->d_name, "upload-", 7) == 0 &&
                 st.st_mtim.tv_sec < now - SWEEP_UPLOAD_AGE_S)
            sweep_upload(self, entry->d_name);
    }
    closedir(dir);
}
