/* local_copy.c - copy of storage-local.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Cheapest first: a reflink shares the blocks of a new inode (btrfs, XFS); else, when the target must be absent, a hard
 * link shares the inode, which is right because objects are replaced by rename and never written in place; else the
 * kernel copies the bytes. A hard link has the etag of its source, so it is never made over an existing object: a copy
 * that replaces always gives a new etag.
 */
#include "local.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* A new inode with the content of source: shared blocks or copied bytes. */
static int fill_copy(const struct pv_local *self, const prov_call *call, int source, const struct stat *st, bool reflink,
                     struct pv_local_temp *temp, prov_error *err)
{
    int rc = pv_local_temp_open(self, reflink ? 0 : (uint64_t)st->st_size, temp, err);
    if (rc != PROV_OK)
        return rc;
    if (reflink && ioctl(temp->fd, FICLONE, source) != 0) {
        pv_local_temp_done(self, temp);
        return PROV_E_UNSUPPORTED;
    }
    if (!reflink)
        rc = pv_local_append_file(self, call, source, (uint64_t)st->st_size, temp->fd, err);
    return rc == PROV_OK ? pv_local_temp_finish(self, temp, err) : rc;
}

/* The inode of source once more, as a temporary name. PROV_E_UNSUPPORTED when it cannot be had so. */
static int link_copy(const struct pv_local *self, const char *key, const struct stat *st, struct pv_local_temp *temp,
                     prov_error *err)
{
    const char *name;
    int rc = pv_local_temp_open(self, 0, temp, err); /* for a name of its own */
    if (rc != PROV_OK)
        return rc;
    unlinkat(self->tmp, temp->name, 0);
    psdk_close(&temp->fd);
    int folder = pv_local_open_folder(self, key, false, &name, err);
    rc = folder >= 0 && linkat(folder, name, self->tmp, temp->name, 0) == 0 ? PROV_OK : PROV_E_UNSUPPORTED;
    psdk_close(&folder);
    if (rc == PROV_OK)
        temp->fd = openat(self->tmp, temp->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    /* It must be what was opened first: source may have been replaced. */
    if (rc == PROV_OK && (temp->fd < 0 || fstat(temp->fd, &temp->st) != 0 || temp->st.st_ino != st->st_ino ||
                          temp->st.st_dev != st->st_dev))
        rc = PROV_E_UNSUPPORTED;
    if (rc == PROV_OK)
        rc = pv_local_temp_sync(self, temp, err);
    if (rc == PROV_E_UNSUPPORTED)
        pv_local_temp_done(self, temp);
    return rc;
}

int32_t pv_local_copy(void *self, const prov_call *call, const char *from, const char *to, const prov_precond *precond,
                      prov_object *ret_object, prov_error *err)
{
    struct pv_local_temp temp = PV_LOCAL_TEMP_INIT;
    struct stat st = {0};
    int source = -1;
    int rc = pv_local_key_check(from, err);
    if (rc == PROV_OK)
        rc = pv_local_key_check(to, err);
    if (rc == PROV_OK)
        rc = psdk_call_check(call, err);
    if (rc != PROV_OK)
        return psdk_not_applied(err, rc);
    source = pv_local_open(((struct pv_local *)self)->root, from, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (source < 0)
        rc = pv_local_open_failed(self, from, errno, err);
    else
        rc = fstat(source, &st) != 0 ? psdk_fail_errno(err, errno, "cannot look at '%s'", from)
                                     : pv_local_check_object(&st, from, err);
    if (rc == PROV_OK)
        rc = pv_local_precond_peek(self, to, precond, err);
    if (rc == PROV_OK) {
        rc = fill_copy(self, call, source, &st, true, &temp, err);
        if (rc == PROV_E_UNSUPPORTED && precond != NULL && precond->kind == PROV_PRECOND_ABSENT)
            rc = link_copy(self, from, &st, &temp, err);
        if (rc == PROV_E_UNSUPPORTED) {
            memset(err, 0, sizeof *err);
            rc = fill_copy(self, call, source, &st, false, &temp, err);
        }
    }
    if (rc == PROV_OK)
        rc = pv_local_temp_commit(self, call, to, precond, &temp, ret_object, err);
    psdk_close(&source);
    pv_local_temp_done(self, &temp);
    return psdk_not_applied(err, rc);
}
