/* psdk_dir.c - folders: durable creation, deletion of trees, and the check that nobody else can write.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "psdk_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int psdk_dirname(const char *path, char *ret, size_t cap, prov_error *err)
{
    const char *slash = strrchr(path, '/');
    size_t len = slash == NULL ? 0 : (size_t)(slash - path);
    while (len > 0 && path[len - 1] == '/')
        len--;
    const char *from = path;
    if (slash == NULL)
        from = ".";
    if (len == 0)
        len = 1; /* "." or the root */
    if (len >= cap)
        return psdk_fail(err, PROV_E_LIMIT, "the path '%s' is too long", path);
    memcpy(ret, from, len);
    ret[len] = '\0';
    return PROV_OK;
}

int psdk_sync_dir(const char *path, prov_error *err)
{
    int fd = psdk_open(path, O_RDONLY | O_DIRECTORY, 0, err);
    if (fd < 0)
        return fd;
    int rc = PROV_OK;
    if (fsync(fd) != 0)
        rc = psdk_fail_errno(err, errno, "cannot make the folder '%s' durable (fsync)", path);
    psdk_close(&fd);
    return rc;
}

/* Makes one folder whose parent exists; its entry is durable afterwards. */
static int make_one(const char *path, mode_t mode, prov_error *err)
{
    char parent[4096];
    struct stat st;
    if (mkdir(path, mode) != 0 && errno != EEXIST)
        return psdk_fail_errno(err, errno, "cannot create the folder '%s'", path);
    if (stat(path, &st) != 0)
        return psdk_fail_errno(err, errno, "cannot look at '%s'", path);
    if (!S_ISDIR(st.st_mode))
        return psdk_fail(err, PROV_E_EXISTS, "cannot create the folder '%s': a file of that name is there", path);
    /* Also when somebody else has just made it: they may not have synced it yet. */
    int rc = psdk_dirname(path, parent, sizeof parent, err);
    return rc == PROV_OK ? psdk_sync_dir(parent, err) : rc;
}

int psdk_mkdirs(const char *path, mode_t mode, prov_error *err)
{
    char part[4096];
    struct stat st;
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/')
        len--;
    if (len == 0 || len >= sizeof part)
        return psdk_fail(err, len == 0 ? PROV_E_INVALID : PROV_E_LIMIT, "cannot create the folder '%s': %s", path,
                         len == 0 ? "it has no name" : "the path is too long");
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return PROV_OK;
    memcpy(part, path, len);
    part[len] = '\0';
    for (size_t i = 1; i <= len; i++) { /* every prefix that ends before a '/', from the top */
        if (i < len && (part[i] != '/' || part[i - 1] == '/'))
            continue;
        part[i] = '\0';
        bool last = i == len;
        if (last || stat(part, &st) != 0) {
            int rc = make_one(part, mode, err);
            if (rc != PROV_OK)
                return rc;
        }
        if (!last)
            part[i] = '/';
    }
    return PROV_OK;
}

/* Deletes what is in an open folder (and takes fd). */
static int remove_content(int fd, const char *path, prov_error *err)
{
    DIR *dir = fdopendir(fd);
    if (dir == NULL) {
        int rc = psdk_fail_errno(err, errno, "cannot read the folder '%s'", path);
        psdk_close(&fd);
        return rc;
    }
    int rc = PROV_OK;
    const struct dirent *entry;
    while (rc == PROV_OK && (errno = 0, entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (unlinkat(fd, entry->d_name, 0) == 0 || errno == ENOENT)
            continue;
        if (errno != EISDIR && errno != EPERM && errno != EACCES) {
            rc = psdk_fail_errno(err, errno, "cannot delete '%s' in '%s'", entry->d_name, path);
            break;
        }
        int unlink_errno = errno;
        int child = openat(fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (child < 0)
            rc = psdk_fail_errno(err, errno == ENOTDIR || errno == ELOOP ? unlink_errno : errno,
                                 "cannot delete '%s' in '%s'", entry->d_name, path);
        else
            rc = remove_content(child, entry->d_name, err);
        if (rc == PROV_OK && unlinkat(fd, entry->d_name, AT_REMOVEDIR) != 0 && errno != ENOENT)
            rc = psdk_fail_errno(err, errno, "cannot delete the folder '%s' in '%s'", entry->d_name, path);
    }
    if (rc == PROV_OK && errno != 0)
        rc = psdk_fail_errno(err, errno, "cannot read the folder '%s'", path);
    closedir(dir);
    return rc;
}

int psdk_remove_tree(const char *path, prov_error *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return PROV_OK;
    if (fd < 0)
        return psdk_fail_errno(err, errno, "cannot delete the folder '%s'", path);
    int rc = remove_content(fd, path, err);
    if (rc == PROV_OK && rmdir(path) != 0 && errno != ENOENT)
        rc = psdk_fail_errno(err, errno, "cannot delete the folder '%s'", path);
    return rc;
}

/* ---- who can write ------------------------------------------------------------------------------------------------- */

static bool is_ours(const struct stat *st)
{
    return st->st_uid == 0 || st->st_uid == geteuid();
}

/* is_above: a folder above the thing that is checked. */
static int check_one(const struct stat *st, const char *path, bool is_above, prov_error *err)
{
    const char *what = S_ISDIR(st->st_mode) ? "folder" : "file";
    if (!is_ours(st))
        return psdk_fail(err, PROV_E_DENIED, "the %s '%s' belongs to user %u: it must belong to you or to root (chown)",
                         what, path, (unsigned)st->st_uid);
    /* In a sticky folder of root (/tmp) others can add names but not replace ours; what is in it was checked before. */
    bool sticky = is_above && (st->st_mode & S_ISVTX) != 0 && st->st_uid == 0;
    if ((st->st_mode & (S_IWGRP | S_IWOTH)) != 0 && !sticky)
        return psdk_fail(err, PROV_E_DENIED, "others can write the %s '%s' (mode %04o): run chmod go-w '%s'", what, path,
                         (unsigned)st->st_mode & 07777, path);
    return PROV_OK;
}

int psdk_check_private(int fd, const char *real_path, bool also_secret, prov_error *err)
{
    char folder[4096], next[4096];
    struct stat st, named;
    if (fstat(fd, &st) != 0)
        return psdk_fail_errno(err, errno, "cannot look at '%s'", real_path);
    if (real_path[0] != '/')
        return psdk_fail(err, PROV_E_INVALID, "'%s' is not an absolute path", real_path);
    if (lstat(real_path, &named) != 0)
        return psdk_fail_errno(err, errno, "cannot look at '%s'", real_path);
    if (named.st_dev != st.st_dev || named.st_ino != st.st_ino)
        return psdk_fail(err, PROV_E_DENIED, "'%s' was replaced while it was being checked, or is a link: try again",
                         real_path);
    int rc = check_one(&st, real_path, false, err);
    if (rc == PROV_OK && also_secret && (st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        rc = psdk_fail(err, PROV_E_DENIED, "others can read the secret file '%s' (mode %04o): run chmod 600 '%s'",
                       real_path, (unsigned)st.st_mode & 07777, real_path);
    if (rc == PROV_OK)
        rc = psdk_dirname(real_path, folder, sizeof folder, err);
    while (rc == PROV_OK) {
        if (lstat(folder, &st) != 0)
            return psdk_fail_errno(err, errno, "cannot look at '%s'", folder);
        if (!S_ISDIR(st.st_mode))
            return psdk_fail(err, PROV_E_DENIED, "'%s' is not a folder but a link: give the real path", folder);
        rc = check_one(&st, folder, true, err);
        if (rc != PROV_OK || strcmp(folder, "/") == 0)
            break;
        rc = psdk_dirname(folder, next, sizeof next, err);
        if (rc == PROV_OK)
            memcpy(folder, next, strlen(next) + 1);
    }
    return rc;
}
