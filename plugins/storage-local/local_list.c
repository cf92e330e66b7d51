/* local_list.c - list of storage-local.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A walk in the byte order of full keys: within a folder, a subfolder sorts as its name with '/' at the end, since all
 * keys below it go on like that ("a-b" < "a.b" < "a/b"). Folders that cannot hold a wanted key are not opened.
 */
#include "local.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct names {
    char **items; /* owned; a folder's name ends in '/' */
    size_t n, cap;
};

struct walk {
    const struct pv_local *self;
    const prov_call *call;
    const char *prefix;
    const char *after;
    uint32_t left; /* how many may still be emitted */
    const prov_list_emit *emit;
    bool more;
    char key[LOCAL_KEY_MAX + 258]; /* the folder in hand, and a name */
    prov_error *err;
};

static void names_done(struct names *names)
{
    for (size_t i = 0; i < names->n; i++)
        free(names->items[i]);
    free(names->items);
}

static int names_add(struct names *names, const char *name, bool is_folder, prov_error *err)
{
    if (names->n == names->cap) {
        size_t cap = names->cap == 0 ? 64 : names->cap * 2;
        char **items = realloc(names->items, cap * sizeof *items);
        if (items == NULL)
            return psdk_fail(err, PROV_E_NOMEM, "no memory for a listing");
        names->items = items;
        names->cap = cap;
    }
    size_t len = strlen(name);
    char *copy = malloc(len + 2);
    if (copy == NULL)
        return psdk_fail(err, PROV_E_NOMEM, "no memory for a listing");
    memcpy(copy, name, len);
    copy[len] = is_folder ? '/' : '\0';
    copy[len + 1] = '\0';
    names->items[names->n++] = copy;
    return PROV_OK;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Whether the key (or, for a folder with '/' at its end, any key below it) can be wanted. */
static bool is_wanted(const struct walk *walk, const char *key, bool is_folder)
{
    size_t len = strlen(key), prefix_len = strlen(walk->prefix);
    size_t common = is_folder && len < prefix_len ? len : prefix_len;
    if (strncmp(key, walk->prefix, common) != 0)
        return false;
    if (strcmp(key, walk->after) > 0)
        return true;
    return is_folder && strncmp(key, walk->after, len) == 0; /* after lies within the folder */
}

/* What an entry is: 'f' object, 'd' folder, 0 neither (or gone, or no segment of a key). */
static char kind_of(const struct walk *walk, int folder, const struct dirent *entry, bool at_root)
{
    struct stat st;
    const char *name = entry->d_name;
    if (!pv_local_is_segment(name, strlen(name)))
        return 0;
    if (at_root && (strcmp(name, LOCAL_TMP) == 0 || strcmp(name, LOCAL_LOCK) == 0))
        return 0;
    if (strlen(walk->key) + strlen(name) > LOCAL_KEY_MAX)
        return 0;
    if (entry->d_type == DT_REG || entry->d_type == DT_DIR)
        return entry->d_type == DT_REG ? 'f' : 'd';
    if (entry->d_type != DT_UNKNOWN || fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return 0;
    return S_ISREG(st.st_mode) ? 'f' : S_ISDIR(st.st_mode) ? 'd' : 0;
}

/* Collects the wanted names of a folder whose key (with '/') is in walk->key, sorted. */
static int read_names(struct walk *walk, int folder, struct names *names)
{
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL) {
        int rc = psdk_fail_errno(walk->err, errno, "cannot list the folder '%s' of '%s'", walk->key, walk->self->path);
        psdk_close(&fd);
        return rc;
    }
    size_t base = strlen(walk->key), seen = 0;
    int rc = PROV_OK;
    const struct dirent *entry;
    while (rc == PROV_OK && (errno = 0, entry = readdir(dir)) != NULL) {
        char kind = kind_of(walk, folder, entry, base == 0);
        if (kind != 0) {
            size_t len = strlen(entry->d_name);
            memcpy(walk->key + base, entry->d_name, len);
            memcpy(walk->key + base + len, kind == 'd' ? "/" : "", kind == 'd' ? 2 : 1);
            if (is_wanted(walk, walk->key, kind == 'd'))
                rc = names_add(names, entry->d_name, kind == 'd', walk->err);
            walk->key[base] = '\0';
        }
        if (rc == PROV_OK && ++seen % 1024 == 0)
            rc = psdk_call_check(walk->call, walk->err);
    }
    if (rc == PROV_OK && errno != 0)
        rc = psdk_fail_errno(walk->err, errno, "cannot list the folder '%s' of '%s'", walk->key, walk->self->path);
    closedir(dir);
    if (names->n > 1)
        qsort(names->items, names->n, sizeof *names->items, compare_names);
    return rc;
}

static int emit_object(struct walk *walk, int folder, const char *name)
{
    struct stat st;
    if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode))
        return PROV_OK; /* gone meanwhile */
    if (walk->left == 0) {
        walk->more = true;
        return PROV_OK;
    }
    walk->left--;
    prov_list_entry entry = {.struct_size = sizeof entry, .key = walk->key, .size_bytes = (uint64_t)st.st_size,
                             .mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec};
    int rc = walk->emit->entry(walk->emit->ctx, &entry);
    return rc == PROV_OK ? rc : psdk_fail(walk->err, rc, "the receiver of the listing stopped");
}

/* Depth is bounded by the length of a key: at most 256 folders. */
static int walk_folder(struct walk *walk, int folder)
{
    struct names names = {0};
    size_t base = strlen(walk->key);
    int rc = read_names(walk, folder, &names);
    for (size_t i = 0; i < names.n && rc == PROV_OK && !walk->more; i++) {
        size_t len = strlen(names.items[i]);
        rc = psdk_call_check(walk->call, walk->err);
        if (rc != PROV_OK)
            break;
        memcpy(walk->key + base, names.items[i], len + 1);
        if (names.items[i][len - 1] != '/') {
            rc = emit_object(walk, folder, names.items[i]);
        } else {
            names.items[i][len - 1] = '\0';
            int child = openat(folder, names.items[i], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            if (child >= 0)
                rc = walk_folder(walk, child);
            else if (errno != ENOENT && errno != ENOTDIR) /* gone meanwhile is no error */
                rc = psdk_fail_errno(walk->err, errno, "cannot open the folder '%s' of '%s'", walk->key,
                                     walk->self->path);
            psdk_close(&child);
        }
        walk->key[base] = '\0';
    }
    names_done(&names);
    return rc;
}

/* Opens the deepest folder that the prefix names, into walk->key. A descriptor; PROV_E_NOT_FOUND: nothing can match. */
static int open_start(struct walk *walk)
{
    const char *slash = strrchr(walk->prefix, '/');
    size_t len = slash == NULL ? 0 : (size_t)(slash - walk->prefix);
    if (slash == NULL) {
        struct stat st;
        int root = openat(walk->self->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (root >= 0 && fstat(root, &st) == 0 && st.st_nlink > 0)
            return root;
        psdk_close(&root);
        return psdk_fail(walk->err, PROV_E_UNAVAILABLE, "the store '%s' itself is gone: bring it back and start again",
                         walk->self->path);
    }
    if (len > LOCAL_KEY_MAX - 2)
        return PROV_E_NOT_FOUND;
    memcpy(walk->key, walk->prefix, len);
    walk->key[len] = '\0';
    prov_error ignored = {0};
    if (pv_local_key_check(walk->key, &ignored) != PROV_OK)
        return PROV_E_NOT_FOUND; /* no key begins like that */
    int fd = pv_local_open(walk->self->root, walk->key, O_RDONLY | O_DIRECTORY);
    if (fd < 0)
        return pv_local_open_failed(walk->self, walk->key, errno, walk->err);
    memcpy(walk->key + len, "/", 2);
    return fd;
}

int32_t pv_local_list(void *self, const prov_call *call, const char *prefix, const char *after, uint32_t limit,
                      const prov_list_emit *emit, int32_t *ret_more, prov_error *err)
{
    struct walk walk = {.self = self, .call = call, .prefix = prefix, .after = after, .left = limit, .emit = emit,
                        .err = err};
    *ret_more = 0;
    int rc = psdk_call_check(call, err);
    if (rc != PROV_OK)
        return rc;
    int fd = open_start(&walk);
    if (fd == PROV_E_NOT_FOUND) {
        memset(err, 0, sizeof *err);
        return PROV_OK;
    }
    if (fd < 0)
        return psdk_not_applied(err, fd);
    rc = walk_folder(&walk, fd);
    psdk_close(&fd);
    if (rc == PROV_OK)
        *ret_more = walk.more;
    return psdk_not_applied(err, rc);
}
