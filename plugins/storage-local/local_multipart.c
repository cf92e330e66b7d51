/* local_multipart.c - multipart uploads of storage-local.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * An upload is the folder .tmp/upload-<id> with the file "key" and one durable file for each part, named by its five
 * digits. It survives processes and machines; one that nobody touched for a week is swept.
 */
#include "local.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "psdk_hash.h"

#define PARTS_MAX 10000u
#define UPLOAD_ID_HEX 32

static void upload_name(const char *upload, char ret[64])
{
    snprintf(ret, 64, "upload-%.32s", upload);
}

static int no_upload(const char *upload, prov_error *err)
{
    return psdk_fail(err, PROV_E_NOT_FOUND, "there is no upload '%.64s': it was finished, aborted or swept", upload);
}

/* Opens the folder of an upload that belongs to key. A descriptor or a negative code. */
static int open_upload(const struct pv_local *self, const char *key, const char *upload, prov_error *err)
{
    char name[64], stored[LOCAL_KEY_MAX + 1] = "";
    size_t got = 0;
    int rc = pv_local_key_check(key, err);
    if (rc != PROV_OK)
        return rc;
    if (self->tmp < 0 || strlen(upload) != UPLOAD_ID_HEX || strspn(upload, "0123456789abcdef") != UPLOAD_ID_HEX)
        return no_upload(upload, err);
    upload_name(upload, name);
    int folder = openat(self->tmp, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder < 0)
        return errno == ENOENT ? no_upload(upload, err) : psdk_fail_errno(err, errno, "cannot open the upload '%s'", upload);
    int file = openat(folder, "key", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (file < 0)
        rc = errno == ENOENT ? no_upload(upload, err) : psdk_fail_errno(err, errno, "cannot open the upload '%s'", upload);
    else
        rc = psdk_pread_all(file, stored, sizeof stored - 1, 0, &got, "key of an upload", err);
    psdk_close(&file);
    if (rc == PROV_OK && strcmp(stored, key) != 0)
        rc = no_upload(upload, err);
    if (rc == PROV_OK)
        return folder;
    psdk_close(&folder);
    return rc;
}

static int write_key(const struct pv_local *self, int folder, const char *key, prov_error *err)
{
    int file = openat(folder, "key", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, self->mode);
    if (file < 0)
        return psdk_fail_errno(err, errno, "cannot write an upload in '%s'", self->path);
    int rc = psdk_write_all(file, key, strlen(key), self->path, err);
    if (rc == PROV_OK)
        rc = pv_local_sync(self, file, err);
    if (rc == PROV_OK)
        rc = pv_local_sync(self, folder, err);
    if (rc == PROV_OK)
        rc = pv_local_sync(self, self->tmp, err);
    psdk_close(&file);
    return rc;
}

/* Deletes the folder of an upload; what cannot be deleted is swept later. */
static void remove_upload(const struct pv_local *self, int folder, const char *upload)
{
    char name[64];
    unlinkat(folder, "key", 0); /* first: from here on it is no upload any more */
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.')
            unlinkat(folder, entry->d_name, 0);
    }
    if (dir != NULL)
        closedir(dir);
    else
        psdk_close(&fd);
    upload_name(upload, name);
    unlinkat(self->tmp, name, AT_REMOVEDIR);
}

int32_t pv_local_multipart_begin(void *self_, const prov_call *call, const char *key, char ret_upload[256],
                                 prov_error *err)
{
    const struct pv_local *self = self_;
    uint8_t random[UPLOAD_ID_HEX / 2];
    char id[UPLOAD_ID_HEX + 1], name[64];
    int folder = -1;
    int rc = pv_local_key_check(key, err);
    if (rc == PROV_OK)
        rc = psdk_call_check(call, err);
    if (rc == PROV_OK && self->tmp < 0)
        rc = psdk_fail(err, PROV_E_DENIED, "the store '%s' can only be read", self->path);
    if (rc == PROV_OK)
        rc = psdk_random(random, sizeof random, err);
    if (rc != PROV_OK)
        return psdk_not_applied(err, rc);
    psdk_hex(random, sizeof random, id);
    upload_name(id, name);
    if (mkdirat(self->tmp, name, self->mode | 0700 | ((self->mode & 0444) >> 2)) == 0)
        folder = openat(self->tmp, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder < 0)
        rc = pv_local_own_fault(err, psdk_fail_errno(err, errno, "cannot begin an upload in '%s'", self->path));
    else
        rc = write_key(self, folder, key, err);
    if (rc == PROV_OK)
        memcpy(ret_upload, id, sizeof id);
    else if (folder >= 0)
        remove_upload(self, folder, id);
    psdk_close(&folder);
    return psdk_not_applied(err, rc);
}

int32_t pv_local_multipart_put(void *self_, const prov_call *call, const char *key, const char *upload, uint32_t number,
                               const prov_source *source, uint64_t size_bytes, prov_error *err)
{
    const struct pv_local *self = self_;
    struct pv_local_temp temp = PV_LOCAL_TEMP_INIT;
    char part[16];
    int rc = psdk_call_check(call, err);
    if (rc != PROV_OK)
        return rc;
    if (number < 1 || number > PARTS_MAX)
        return psdk_not_applied(err, psdk_fail(err, PROV_E_INVALID, "part %u: the numbers are 1 to %u", number, PARTS_MAX));
    int folder = open_upload(self, key, upload, err);
    rc = folder < 0 ? folder : pv_local_temp_open(self, size_bytes, &temp, err);
    if (rc == PROV_OK)
        rc = pv_local_write_source(self, call, source, size_bytes, temp.fd, err);
    if (rc == PROV_OK)
        rc = pv_local_temp_finish(self, &temp, err);
    if (rc == PROV_OK) {
        snprintf(part, sizeof part, "%05u", number);
        if (renameat(self->tmp, temp.name, folder, part) != 0)
            rc = errno == ENOENT ? no_upload(upload, err)
                                 : psdk_fail_errno(err, errno, "cannot store part %u in '%s'", number, self->path);
        else
            temp.name[0] = '\0';
    }
    if (rc == PROV_OK && pv_local_sync(self, folder, err) != PROV_OK) {
        rc = err->code;
        psdk_outcome(err, PROV_OUTCOME_UNKNOWN);
    }
    psdk_close(&folder);
    pv_local_temp_done(self, &temp);
    return psdk_not_applied(err, rc);
}

int32_t pv_local_multipart_list(void *self, const prov_call *call, const char *key, const char *upload,
                                const prov_list_emit *emit, prov_error *err)
{
    int rc = psdk_call_check(call, err);
    if (rc != PROV_OK)
        return rc;
    int folder = open_upload(self, key, upload, err);
    if (folder < 0)
        return psdk_not_applied(err, folder);
    struct dirent **found = NULL;
    int n = scandirat(folder, ".", &found, NULL, alphasort); /* five digits each: this is the order of numbers */
    if (n < 0)
        rc = psdk_fail_errno(err, errno, "cannot list the parts of upload '%s'", upload);
    for (int i = 0; i < n; i++) {
        struct stat st;
        char number[16];
        const char *name = found[i]->d_name;
        if (rc == PROV_OK && strlen(name) == 5 && strspn(name, "0123456789") == 5 &&
            fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
            snprintf(number, sizeof number, "%lu", strtoul(name, NULL, 10));
            prov_list_entry entry = {.struct_size = sizeof entry, .key = number, .size_bytes = (uint64_t)st.st_size,
                                     .mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec};
            rc = emit->entry(emit->ctx, &entry);
            if (rc != PROV_OK)
                psdk_fail(err, rc, "the receiver of the listing stopped");
        }
        free(found[i]);
    }
    free(found);
    psdk_close(&folder);
    return psdk_not_applied(err, rc);
}

/* Appends one part to the open file. */
static int join_part(const struct pv_local *self, const prov_call *call, int folder, uint32_t number, int out,
                     prov_error *err)
{
    char part[16];
    struct stat st;
    int rc = PROV_OK;
    snprintf(part, sizeof part, "%05u", number);
    int in = openat(folder, part, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (in < 0 && errno == ENOENT)
        return psdk_fail(err, PROV_E_INVALID, "part %u was not stored", number);
    if (in < 0 || fstat(in, &st) != 0)
        rc = psdk_fail_errno(err, errno, "cannot open part %u in '%s'", number, self->path);
    else
        rc = pv_local_append_file(self, call, in, (uint64_t)st.st_size, out, err);
    psdk_close(&in);
    return rc;
}

int32_t pv_local_multipart_commit(void *self, const prov_call *call, const char *key, const char *upload,
                                  uint32_t n_parts, const prov_precond *precond, prov_object *ret_object,
                                  prov_error *err)
{
    struct pv_local_temp temp = PV_LOCAL_TEMP_INIT;
    int rc = psdk_call_check(call, err);
    if (rc != PROV_OK)
        return rc;
    if (n_parts < 1 || n_parts > PARTS_MAX)
        return psdk_not_applied(err, psdk_fail(err, PROV_E_INVALID, "an object has 1 to %u parts, not %u", PARTS_MAX,
                                               n_parts));
    int folder = open_upload(self, key, upload, err);
    rc = folder < 0 ? folder : pv_local_precond_peek(self, key, precond, err);
    if (rc == PROV_OK)
        rc = pv_local_temp_open(self, 0, &temp, err);
    for (uint32_t i = 1; i <= n_parts && rc == PROV_OK; i++)
        rc = join_part(self, call, folder, i, temp.fd, err);
    if (rc == PROV_OK)
        rc = pv_local_temp_finish(self, &temp, err);
    if (rc == PROV_OK)
        rc = pv_local_temp_commit(self, call, key, precond, &temp, ret_object, err);
    if (rc == PROV_OK)
        remove_upload(self, folder, upload);
    psdk_close(&folder);
    pv_local_temp_done(self, &temp);
    return psdk_not_applied(err, rc);
}

int32_t pv_local_multipart_abort(void *self, const prov_call *call, const char *key, const char *upload,
                                 prov_error *err)
{
    int rc = psdk_call_check(call, err);
    if (rc != PROV_OK)
        return rc;
    int folder = open_upload(self, key, upload, err);
    if (folder < 0)
        return psdk_not_applied(err, folder);
    remove_upload(self, folder, upload);
    psdk_close(&folder);
    return PROV_OK;
}
