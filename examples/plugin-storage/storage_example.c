/* storage_example.c - a complete storage backend from prov_plugin.h alone. SPDX-License-Identifier: Apache-2.0
 *
 * Build it anywhere:  cc -std=c17 -shared -fPIC -fvisibility=hidden -I INCLUDE -o storage-example.so storage_example.c
 * Use it (prov.yaml): store: {plugin: storage-example, path: ./objects}
 * Each object is one file of one folder. Read from the bottom up: the exported table, the provider, create, the ops. */
#define _GNU_SOURCE 1 /* fts, flock, mkostemp, syncfs */
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "prov_plugin.h"

#define PATH_CAP 4600 /* a folder of at most 4000 bytes, a key of at most 512 */
#define PIECE 240     /* a file name has at most 255 bytes */
#define TRY(step) do { int try_rc = (step); if (try_rc < 0) return try_rc; } while (0)
#define AUTO_CLOSE __attribute__((cleanup(close_fd))) /* closes a descriptor where its variable ends */
static void close_fd(const int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

/* Fills in an error: the code, what it means for the request (the host acts on that), a text. */
static int fail(prov_error *err, int code, const char *what)
{
#define TEXT_OF(name, value, text, cli, http, py) code == (value) ? (text) :
    const char *why = PROV_RC_TABLE(TEXT_OF) "failed";
    bool permanent = code == PROV_E_INVALID || code == PROV_E_CONFIG || code == PROV_E_DENIED; /* no use in a retry */
    err->code = code;
    err->outcome = permanent ? PROV_OUTCOME_PERMANENT : PROV_OUTCOME_NOT_APPLIED;
    snprintf(err->message, sizeof err->message, "%s: %s", what, why);
    return code;
}

static int fail_errno(prov_error *err, const char *what)
{
    int number = errno;
    int known = number == ENOENT ? PROV_E_NOT_FOUND : number == ENOSPC ? PROV_E_NOSPACE : PROV_E_IO;
    fail(err, number == EACCES ? PROV_E_DENIED : known, what);
    err->native_code = number;
    snprintf(err->message, sizeof err->message, "%s: %s", what, strerror(number));
    return err->code;
}

static int64_t to_ns(struct timespec t)
{
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Asked between pieces of work: may this call go on? */
static int check_call(const prov_call *call, prov_error *err)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (call->cancel != NULL && __atomic_load_n(call->cancel, __ATOMIC_ACQUIRE) != 0)
        return fail(err, PROV_E_CANCELLED, "storage-example");
    bool late = call->deadline_ns != 0 && (uint64_t)to_ns(now) >= call->deadline_ns;
    return late ? fail(err, PROV_E_TIMEOUT, "storage-example") : PROV_OK;
}

/* The file of a key: ',' (in no key) is for '/', and a name over PIECE bytes goes on in a folder "ITS-FIRST-BYTES~".
 * A key comes from outside: what the contract does not allow ("../../etc") ends here, and is not shown. */
static int make_path(const char *root, const char *key, char ret[PATH_CAP], prov_error *err)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:+-";
    size_t len = strlen(key), n = 0, at = (size_t)snprintf(ret, PATH_CAP, "%s/", root);
    for (const char *part = key; part <= key + len; part += n + 1) {
        n = strcspn(part, "/");
        if (len > 512 || n == 0 || strspn(part, allowed) < n || strncmp(part, "..", n) == 0) /* that is "." and ".." */
            return fail(err, PROV_E_INVALID, "the key");
    }
    for (size_t i = 0; i < len; i++) {
        if (i > 0 && i % PIECE == 0)
            at += (size_t)snprintf(ret + at, PATH_CAP - at, "~/");
        ret[at++] = key[i] == '/' ? ',' : key[i];
    }
    ret[at] = '\0';
    return PROV_OK;
}

/* The etag has to differ after each replacement: prepare makes the time grow. */
static void describe(const struct stat *st, prov_object *ret)
{
    ret->size_bytes = (uint64_t)st->st_size;
    ret->mtime_ns = to_ns(st->st_mtim);
    snprintf(ret->etag, sizeof ret->etag, "%jx-%jx-%jx", (uintmax_t)ret->mtime_ns, (uintmax_t)st->st_ino,
             (uintmax_t)st->st_size);
}

/* Under the lock: does the precondition hold? Then gives the new file a time later than the old one's, durably. */
static int prepare(const char *path, int fd, const prov_precond *precond, prov_error *err)
{
    struct stat st;
    struct timespec now; /* the kernel's own stamps stand still for milliseconds */
    prov_object old = {.mtime_ns = INT64_MIN};
    int kind = precond == NULL ? PROV_PRECOND_NONE : precond->kind;
    bool there = stat(path, &st) == 0;
    if (!there && errno != ENOENT)
        return fail_errno(err, path);
    if (there)
        describe(&st, &old);
    bool same = there && kind == PROV_PRECOND_MATCH && strncmp(old.etag, precond->etag, sizeof old.etag) == 0;
    if (kind < PROV_PRECOND_NONE || kind > PROV_PRECOND_MATCH)
        return fail(err, PROV_E_INVALID, "kind of precondition");
    if (kind == PROV_PRECOND_ABSENT && there)
        return fail(err, PROV_E_EXISTS, path);
    if (kind == PROV_PRECOND_MATCH && !same)
        return fail(err, there ? PROV_E_CONFLICT : PROV_E_NOT_FOUND, path);
    clock_gettime(CLOCK_REALTIME, &now);
    if (to_ns(now) <= old.mtime_ns) /* the clock went back */
        now = (struct timespec){.tv_sec = st.st_mtim.tv_sec + 1};
    return futimens(fd, (struct timespec[]){now, now}) == 0 && fsync(fd) == 0 ? PROV_OK : fail_errno(err, path);
}

/* Every change of the folder: renames temp (open as fd) to path, or deletes path (temp NULL), durably. One lock, on the
 * folder itself, works between threads and processes; it is held for a rename, and gone when its holder dies. */
static int commit(const char *root, char *path, const char *temp, int fd, const prov_precond *precond, prov_error *err)
{
    AUTO_CLOSE int lock = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    char *at = path + strlen(root);
    bool in_pieces = strchr(at, '~') != NULL;
    if (lock < 0 || flock(lock, LOCK_EX) != 0)
        return fail_errno(err, root);
    if (temp != NULL)
        TRY(prepare(path, fd, precond, err));
    while (temp != NULL && (at = strchr(at, '~')) != NULL) { /* folders of a long name; rename tells if one fails */
        *++at = '\0';
        mkdir(path, 0755);
        *at = '/';
    }
    if ((temp != NULL ? rename(temp, path) : unlink(path)) != 0)
        return fail_errno(err, path);
    if ((in_pieces ? syncfs(lock) : fsync(lock)) == 0)
        return PROV_OK;
    fail_errno(err, path);
    err->outcome = PROV_OUTCOME_UNKNOWN; /* it is done, but a power failure may undo it: the host has to look */
    return err->code;
}

static int write_body(const prov_call *call, const prov_source *source, uint64_t size_bytes, int fd, prov_error *err)
{
    char buf[65536];
    for (uint64_t got = 1, done = 0; got > 0; done += got) {
        TRY(check_call(call, err));
        int rc = source->read(source->ctx, buf, sizeof buf, &got);
        if (rc != PROV_OK)
            return fail(err, rc, "the body");
        if (got > size_bytes - done || (got == 0 && done < size_bytes))
            return fail(err, PROV_E_INVALID, "the body's length");
        errno = ENOSPC; /* it stays when only a part fitted */
        if (write(fd, buf, (size_t)got) != (ssize_t)got)
            return fail_errno(err, "the body");
    }
    return PROV_OK;
}

/* Writes a temporary file, whole, and then renames it: nobody ever sees half an object. */
static int32_t put(void *root, const prov_call *call, const char *key, const prov_source *source, uint64_t size_bytes,
                   const prov_precond *precond, prov_object *ret_object, prov_error *err)
{
    char path[PATH_CAP], temp[PATH_CAP];
    struct stat st;
    TRY(make_path(root, key, path, err));
    snprintf(temp, sizeof temp, "%s/~XXXXXX", (char *)root); /* on the same file system; no key has such a file */
    AUTO_CLOSE int fd = mkostemp(temp, O_CLOEXEC);
    int rc = fd < 0 ? fail_errno(err, temp) : write_body(call, source, size_bytes, fd, err);
    if (rc == PROV_OK)
        rc = commit(root, path, temp, fd, precond, err);
    if (rc != PROV_OK)
        unlink(temp);
    else if (ret_object != NULL && fstat(fd, &st) == 0) /* of this very file, even if it is replaced by now */
        describe(&st, ret_object);
    return rc;
}

static int32_t del(void *root, const prov_call *call, const char *key, prov_error *err)
{
    char path[PATH_CAP];
    TRY(make_path(root, key, path, err));
    TRY(check_call(call, err));
    return commit(root, path, NULL, -1, NULL, err);
}

/* Reading needs no lock: a file never changes once it has its name. */
static int open_object(const char *root, const prov_call *call, const char *key, int *ret_fd, struct stat *ret_st,
                       prov_error *err)
{
    char path[PATH_CAP];
    TRY(make_path(root, key, path, err));
    TRY(check_call(call, err));
    *ret_fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    return *ret_fd >= 0 && fstat(*ret_fd, ret_st) == 0 ? PROV_OK : fail_errno(err, path);
}

static int32_t get(void *root, const prov_call *call, const char *key, uint64_t offset_bytes, uint64_t length_bytes,
                   const prov_sink *sink, prov_object *ret_object, prov_error *err)
{
    char buf[65536];
    struct stat st = {0};
    AUTO_CLOSE int fd = -1;
    TRY(open_object(root, call, key, &fd, &st, err));
    uint64_t size = (uint64_t)st.st_size, at = offset_bytes < size ? offset_bytes : size;
    uint64_t end = length_bytes < size - at ? at + length_bytes : size; /* a range past the end is cut */
    while (at < end) {
        TRY(check_call(call, err));
        ssize_t n = pread(fd, buf, end - at < sizeof buf ? (size_t)(end - at) : sizeof buf, (off_t)at);
        int rc = n > 0 ? sink->write(sink->ctx, buf, (uint64_t)n) : PROV_E_IO;
        if (rc != PROV_OK)
            return fail(err, rc, key);
        at += (uint64_t)n;
    }
    if (ret_object != NULL)
        describe(&st, ret_object);
    return PROV_OK;
}

static int32_t stat_object(void *root, const prov_call *call, const char *key, prov_object *ret_object, prov_error *err)
{
    return get(root, call, key, 0, 0, NULL, ret_object, err);
}

static int32_t read_fd(void *fd, void *buf, uint64_t cap_bytes, uint64_t *ret_bytes)
{
    ssize_t n = read(*(int *)fd, buf, (size_t)cap_bytes);
    *ret_bytes = n > 0 ? (uint64_t)n : 0;
    return n < 0 ? PROV_E_IO : PROV_OK;
}

/* A copy is a put whose body comes from an open object. */
static int32_t copy(void *root, const prov_call *call, const char *from, const char *to, const prov_precond *precond,
                    prov_object *ret_object, prov_error *err)
{
    struct stat st = {0};
    AUTO_CLOSE int fd = -1;
    TRY(open_object(root, call, from, &fd, &st, err));
    prov_source source = {.struct_size = sizeof source, .ctx = &fd, .read = read_fd};
    return put(root, call, to, &source, (uint64_t)st.st_size, precond, ret_object, err);
}

/* Sorts names as their keys; the "~" folder of a name follows it, so a walk gives the whole keys in order. */
static int by_key(const FTSENT **a, const FTSENT **b)
{
    const char *x = (*a)->fts_name, *y = (*b)->fts_name;
    for (; *x == *y && *x != '\0'; x++)
        y++;
    return (*x == ',' ? '/' : *x) - (*y == ',' ? '/' : *y);
}

/* The key of a file that the walk found. A temporary file is no object, nor a stranger's: no key has that path. */
static bool is_object(const char *root, const FTSENT *file, char key[PATH_CAP])
{
    char path[PATH_CAP];
    size_t n = 0;
    if (file->fts_info != FTS_F || file->fts_pathlen >= PATH_CAP)
        return false;
    for (const char *c = file->fts_path + strlen(root) + 1; *c != '\0'; c++) {
        if (c[0] == '~' && c[1] == '/') /* the end of a PIECE */
            c++;
        else
            key[n++] = *c == ',' ? '/' : *c;
    }
    key[n] = '\0';
    return make_path(root, key, path, &(prov_error){0}) == PROV_OK && strcmp(path, file->fts_path) == 0;
}

static int32_t list(void *root, const prov_call *call, const char *prefix, const char *after, uint32_t limit,
                    const prov_list_emit *emit, int32_t *ret_more, prov_error *err)
{
    FTS *walk = fts_open((char *[]){root, NULL}, FTS_PHYSICAL | FTS_NOCHDIR, by_key);
    FTSENT *file;
    int rc = walk != NULL ? PROV_OK : fail_errno(err, root);
    *ret_more = 0;
    while (rc == PROV_OK && *ret_more == 0 && (errno = 0, file = fts_read(walk)) != NULL) {
        char key[PATH_CAP] = "";
        if ((rc = check_call(call, err)) != PROV_OK || !is_object(root, file, key) || strcmp(key, after) <= 0 ||
            strncmp(key, prefix, strlen(prefix)) != 0)
            continue;
        const struct stat *st = file->fts_statp;
        prov_list_entry entry = {.struct_size = sizeof entry, .key = key, .size_bytes = (uint64_t)st->st_size,
                                 .mtime_ns = to_ns(st->st_mtim)};
        if (limit-- == 0)
            *ret_more = 1;
        else if ((rc = emit->entry(emit->ctx, &entry)) != PROV_OK)
            fail(err, rc, "the receiver");
    }
    if (rc == PROV_OK && *ret_more == 0 && errno != 0)
        rc = fail_errno(err, root);
    if (walk != NULL)
        fts_close(walk);
    return rc;
}

/* ---- the instance (just the folder's path) and the tables: the host reads them before it calls anything ---- */

static int32_t create(const prov_host *host, const prov_option_value *values, uint64_t n_values, void **ret_instance,
                      prov_error *err)
{
    const char *path = n_values == 1 ? values[0].value : ""; /* the host checked them by the table below */
    (void)host;
    if (path[0] != '/' || strlen(path) > 4000 || (mkdir(path, 0755) != 0 && errno != EEXIST))
        return fail(err, PROV_E_CONFIG, "path, a folder that can be made");
    char *root = strdup(path);
    for (size_t n = strlen(path); root != NULL && n > 1 && root[n - 1] == '/'; n--)
        root[n - 1] = '\0'; /* as a walk spells it */
    *ret_instance = root;
    return root != NULL ? PROV_OK : fail(err, PROV_E_NOMEM, "storage-example");
}

static const prov_option option_path = {.struct_size = sizeof option_path, .type = PROV_OPT_PATH, .name = "path",
                                        .flags = PROV_OPT_REQUIRED, .doc = "Folder of the objects"};
static const prov_option *const options[] = {&option_path, NULL};
static const prov_storage_ops ops = {.struct_size = sizeof ops, .put = put, .get = get, .stat = stat_object,
                                     .list = list, .del = del, .copy = copy}; /* the required ones */
static const prov_provider provider = {.struct_size = sizeof provider, .role = PROV_ROLE_STORAGE,
                                       .name = "storage-example", .doc = "Example: files in a folder",
                                       .capabilities = PROV_CAP_THREADSAFE | PROV_CAP_PERSISTENT | PROV_CAP_SHARED,
                                       .options = options, .ops = &ops, .create = create, .destroy = free};
static const prov_provider *const providers[] = {&provider, NULL};
const prov_plugin prov_plugin_v1 = {.struct_size = sizeof prov_plugin_v1, .abi_minor = PROV_ABI_MINOR,
                                    .name = "storage-example", .version = "1.0.0", .licence = "Apache-2.0", .url = "",
                                    .providers = providers};
