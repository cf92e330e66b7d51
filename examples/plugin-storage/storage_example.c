/* storage_example.c - a complete storage backend in one file, from prov_plugin.h alone.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Build it anywhere, with nothing but a compiler and the header:
 *     cc -std=c17 -shared -fPIC -fvisibility=hidden -I PATH/TO/include -o storage-example.so storage_example.c
 * Use it in the configuration:
 *     storage: {plugin: storage-example, path: ./objects}
 *
 * It keeps each object as a plain file. Read from the bottom up: the exported table, the provider, create, then the ops.
 * The rules behind each step are in prov_plugin.h; `prov plugin test` checks them all.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* flock, nftw */
#endif
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "prov_plugin.h"

#define PATH_CAP 4608 /* a root of at most 4000 bytes, '/', a key of at most 512 */

struct store {
    char root[4001];
};

/* ---- helpers: errors, deadlines, keys ------------------------------------------------------------------------------ */

/* Every failure says what went wrong and what it means for the request (outcome). */
__attribute__((format(printf, 4, 5)))
static int fail(prov_error *err, int code, int outcome, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    err->code = code;
    err->outcome = outcome;
    vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    return code;
}

static int fail_errno(prov_error *err, const char *what)
{
    int why = errno, code = why == ENOSPC ? PROV_E_NOSPACE : why == EACCES ? PROV_E_DENIED : PROV_E_IO;
    err->native_code = why;
    return fail(err, code, code == PROV_E_DENIED ? PROV_OUTCOME_PERMANENT : PROV_OUTCOME_NOT_APPLIED, "%s: %s", what,
                strerror(why));
}

/* Asked before and between pieces of work: may this call go on? */
static int check_call(const prov_call *call, prov_error *err)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (call->cancel != NULL && __atomic_load_n(call->cancel, __ATOMIC_ACQUIRE) != 0)
        return fail(err, PROV_E_CANCELLED, PROV_OUTCOME_NOT_APPLIED, "cancelled");
    if (call->deadline_ns != 0 && (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec >= call->deadline_ns)
        return fail(err, PROV_E_TIMEOUT, PROV_OUTCOME_NOT_APPLIED, "not finished by its deadline");
    return PROV_OK;
}

/* A key becomes part of a path, so anything that the contract does not allow must be refused here: "../../etc". */
static int make_path(const struct store *self, const char *key, char ret[PATH_CAP], prov_error *err)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:+-";
    size_t len = strlen(key);
    for (const char *at = key; len > 0 && len <= 512; at++) {
        size_t n = strcspn(at, "/");
        if (n == 0 || n > 255 || strspn(at, allowed) < n || strncmp(at, "..", n) == 0) /* "" "." ".." */
            break;
        at += n;
        if (*at == '\0') {
            snprintf(ret, PATH_CAP, "%s/o/%s", self->root, key); /* objects live below o/, our own files beside it */
            return PROV_OK;
        }
    }
    return fail(err, PROV_E_INVALID, PROV_OUTCOME_PERMANENT, "that is not a key"); /* it may hold anything: not shown */
}

static int not_found(prov_error *err, const char *key)
{
    return fail(err, PROV_E_NOT_FOUND, PROV_OUTCOME_NOT_APPLIED, "there is no object '%s'", key);
}

/* Describes an object. The etag must differ after every replacement; replace() keeps the times strictly growing. */
static void describe(const struct stat *st, prov_object *ret)
{
    if (ret == NULL)
        return;
    ret->flags = 0;
    ret->size_bytes = (uint64_t)st->st_size;
    ret->mtime_ns = (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
    snprintf(ret->etag, sizeof ret->etag, "%llx-%llx-%llx", (unsigned long long)ret->mtime_ns,
             (unsigned long long)st->st_ino, (unsigned long long)st->st_size);
}

/* ---- changing: temporary file first, then one rename under the lock ------------------------------------------------- */

/* One lock for the whole store: flock on a descriptor of this call's own works between threads and processes alike, and
 * the kernel drops it when the holder dies. Returns the descriptor to close, or a negative code. */
static int take_lock(const struct store *self, const prov_call *call, prov_error *err)
{
    char path[PATH_CAP];
    snprintf(path, sizeof path, "%s/lock", self->root);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600), rc = PROV_OK;
    if (fd < 0)
        return fail_errno(err, path);
    while ((rc = check_call(call, err)) == PROV_OK && flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR) {
            rc = fail_errno(err, path);
            break;
        }
        nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
    }
    if (rc == PROV_OK)
        return fd;
    close(fd);
    return rc;
}

/* A folder's entries are durable only when the folder itself was synced. */
static int sync_parent(const char *path)
{
    char folder[PATH_CAP];
    snprintf(folder, sizeof folder, "%s", path);
    *strrchr(folder, '/') = '\0';
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = fd < 0 ? -1 : fsync(fd);
    if (fd >= 0)
        close(fd);
    return rc;
}

static int make_parents(const struct store *self, char *path)
{
    for (char *at = path + strlen(self->root) + 3; (at = strchr(at, '/')) != NULL; at++) {
        *at = '\0';
        int rc = mkdir(path, 0755) == 0 ? sync_parent(path) : errno == EEXIST ? 0 : -1;
        *at = '/';
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* Under the lock: does the precondition hold? old is what is there now (there = 0: nothing). */
static int check_precond(const prov_precond *precond, int there, const struct stat *old, const char *key, prov_error *err)
{
    prov_object now = {.struct_size = sizeof now};
    if (precond == NULL || precond->kind == PROV_PRECOND_NONE)
        return PROV_OK;
    if (precond->kind == PROV_PRECOND_ABSENT)
        return there ? fail(err, PROV_E_EXISTS, PROV_OUTCOME_NOT_APPLIED, "'%s' exists already", key) : PROV_OK;
    if (precond->kind != PROV_PRECOND_MATCH)
        return fail(err, PROV_E_INVALID, PROV_OUTCOME_PERMANENT, "unknown kind of precondition");
    if (!there)
        return not_found(err, key);
    describe(old, &now);
    return strncmp(now.etag, precond->etag, sizeof now.etag) == 0
               ? PROV_OK
               : fail(err, PROV_E_CONFLICT, PROV_OUTCOME_NOT_APPLIED, "'%s' was changed by somebody else", key);
}

/* The lock is held and temp is written: check, give it a time of its own, make it durable, rename. */
static int replace(const struct store *self, int fd, const char *temp, const char *key, char *path,
                   const prov_precond *precond, prov_object *ret_object, prov_error *err)
{
    struct stat old, st;
    struct timespec times[2];
    int there = lstat(path, &old) == 0, rc = check_precond(precond, there, &old, key, err);
    if (rc != PROV_OK)
        return rc;
    clock_gettime(CLOCK_REALTIME, &times[1]); /* the kernel's own stamps stand still for milliseconds */
    if (there && (times[1].tv_sec < old.st_mtim.tv_sec ||
                  (times[1].tv_sec == old.st_mtim.tv_sec && times[1].tv_nsec <= old.st_mtim.tv_nsec)))
        times[1] = (struct timespec){.tv_sec = old.st_mtim.tv_sec + 1}; /* the clock went back: never the same etag */
    times[0] = times[1];
    if (make_parents(self, path) != 0 || futimens(fd, times) != 0 || fsync(fd) != 0 || fstat(fd, &st) != 0 ||
        rename(temp, path) != 0)
        return fail_errno(err, path);
    if (sync_parent(path) != 0) { /* it is there, but a power failure may undo it: the host has to look again */
        fail_errno(err, path);
        err->outcome = PROV_OUTCOME_UNKNOWN;
        return err->code;
    }
    describe(&st, ret_object);
    return PROV_OK;
}

/* Reads exactly size bytes and then the end of the body. */
static int write_body(const prov_call *call, const prov_source *source, uint64_t size, int fd, prov_error *err)
{
    char buf[65536];
    uint64_t got = 0, done = 0;
    for (;;) {
        int rc = check_call(call, err);
        if (rc != PROV_OK)
            return rc;
        rc = source->read(source->ctx, buf, sizeof buf, &got);
        if (rc != PROV_OK)
            return fail(err, rc, PROV_OUTCOME_NOT_APPLIED, "the body could not be read");
        if (got == 0 || got > size - done)
            break;
        for (uint64_t at = 0; at < got;) {
            ssize_t n = write(fd, buf + at, (size_t)(got - at));
            if (n < 0 && errno != EINTR)
                return fail_errno(err, "cannot write the object");
            at += n > 0 ? (uint64_t)n : 0;
        }
        done += got;
    }
    return got == 0 && done == size ? PROV_OK
                                    : fail(err, PROV_E_INVALID, PROV_OUTCOME_NOT_APPLIED,
                                           "the body is not the %llu bytes long that were announced",
                                           (unsigned long long)size);
}

static int32_t put(void *self_, const prov_call *call, const char *key, const prov_source *source, uint64_t size_bytes,
                   const prov_precond *precond, prov_object *ret_object, prov_error *err)
{
    const struct store *self = self_;
    char path[PATH_CAP], temp[PATH_CAP];
    int rc = make_path(self, key, path, err);
    if (rc != PROV_OK)
        return rc;
    snprintf(temp, sizeof temp, "%s/tmp-XXXXXX", self->root); /* on the same file system, or rename cannot work */
    int fd = mkostemp(temp, O_CLOEXEC);
    if (fd < 0)
        return fail_errno(err, temp);
    rc = write_body(call, source, size_bytes, fd, err);
    int lock = rc == PROV_OK ? take_lock(self, call, err) : -1;
    if (rc == PROV_OK)
        rc = lock < 0 ? lock : replace(self, fd, temp, key, path, precond, ret_object, err);
    if (rc != PROV_OK)
        unlink(temp); /* after a rename the name is gone already, and this does nothing */
    if (lock >= 0)
        close(lock);
    close(fd);
    return rc;
}

static int32_t del(void *self, const prov_call *call, const char *key, prov_error *err)
{
    char path[PATH_CAP];
    int rc = make_path(self, key, path, err), lock = rc == PROV_OK ? take_lock(self, call, err) : rc;
    if (lock < 0)
        return lock;
    if (unlink(path) != 0)
        rc = errno == ENOENT || errno == ENOTDIR || errno == EISDIR ? not_found(err, key) : fail_errno(err, path);
    else if (sync_parent(path) != 0) {
        rc = fail_errno(err, path);
        err->outcome = PROV_OUTCOME_UNKNOWN;
    }
    close(lock);
    return rc;
}

/* ---- reading: no lock is needed, since a rename never changes an open file ------------------------------------------ */

static int open_object(struct store *self, const char *key, struct stat *ret_st, prov_error *err)
{
    char path[PATH_CAP];
    int rc = make_path(self, key, path, err);
    if (rc != PROV_OK)
        return rc;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR ? not_found(err, key) : fail_errno(err, path);
    if (fstat(fd, ret_st) == 0 && S_ISREG(ret_st->st_mode))
        return fd;
    close(fd);
    return not_found(err, key);
}

static int32_t get(void *self, const prov_call *call, const char *key, uint64_t offset_bytes, uint64_t length_bytes,
                   const prov_sink *sink, prov_object *ret_object, prov_error *err)
{
    char buf[65536];
    struct stat st;
    int rc = check_call(call, err), fd = rc == PROV_OK ? open_object(self, key, &st, err) : rc;
    if (fd < 0)
        return fd;
    uint64_t size = (uint64_t)st.st_size, at = offset_bytes < size ? offset_bytes : size;
    uint64_t end = length_bytes < size - at ? at + length_bytes : size; /* a range past the end is cut */
    while (at < end && (rc = check_call(call, err)) == PROV_OK) {
        ssize_t n = pread(fd, buf, end - at < sizeof buf ? (size_t)(end - at) : sizeof buf, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        rc = n <= 0 ? fail_errno(err, "cannot read the object") : sink->write(sink->ctx, buf, (uint64_t)n);
        if (rc != PROV_OK && n > 0)
            fail(err, rc, PROV_OUTCOME_NOT_APPLIED, "the receiver stopped");
        if (rc != PROV_OK)
            break;
        at += (uint64_t)n;
    }
    if (rc == PROV_OK)
        describe(&st, ret_object);
    close(fd);
    return rc;
}

static int32_t stat_object(void *self, const prov_call *call, const char *key, prov_object *ret_object, prov_error *err)
{
    struct stat st;
    int rc = check_call(call, err), fd = rc == PROV_OK ? open_object(self, key, &st, err) : rc;
    if (fd < 0)
        return fd;
    describe(&st, ret_object);
    close(fd);
    return PROV_OK;
}

/* A copy is a put whose body comes from an open object. */
static int32_t read_fd(void *ctx, void *buf, uint64_t cap_bytes, uint64_t *ret_bytes)
{
    ssize_t n = read(*(int *)ctx, buf, (size_t)cap_bytes);
    *ret_bytes = n > 0 ? (uint64_t)n : 0;
    return n < 0 ? PROV_E_IO : PROV_OK;
}

static int32_t copy(void *self, const prov_call *call, const char *from, const char *to, const prov_precond *precond,
                    prov_object *ret_object, prov_error *err)
{
    struct stat st;
    int rc = check_call(call, err), fd = rc == PROV_OK ? open_object(self, from, &st, err) : rc;
    if (fd < 0)
        return fd;
    prov_source source = {.struct_size = sizeof source, .ctx = &fd, .read = read_fd};
    rc = put(self, call, to, &source, (uint64_t)st.st_size, precond, ret_object, err);
    close(fd);
    return rc;
}

/* ---- listing: collect all, sort, emit a page. Simple, and fine for some ten thousand objects ------------------------ */

static _Thread_local struct names {
    char **keys;
    size_t n, root_len;
} found; /* nftw has no context argument */

static int visit(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)ftw;
    char **keys = type == FTW_F ? realloc(found.keys, (found.n + 1) * sizeof *keys) : NULL;
    if (type != FTW_F)
        return 0;
    if (keys == NULL)
        return -1;
    found.keys = keys;
    found.keys[found.n] = strdup(path + found.root_len);
    return found.keys[found.n] == NULL ? -1 : (found.n++, 0);
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b); /* byte order of whole keys, as the contract says */
}

static int32_t list(void *self_, const prov_call *call, const char *prefix, const char *after, uint32_t limit,
                    const prov_list_emit *emit, int32_t *ret_more, prov_error *err)
{
    struct store *self = self_;
    char path[PATH_CAP];
    prov_error ignored = {0};
    int rc = check_call(call, err);
    if (rc != PROV_OK)
        return rc;
    snprintf(path, sizeof path, "%s/o", self->root);
    found = (struct names){.root_len = strlen(path) + 1};
    if (nftw(path, visit, 16, FTW_PHYS) != 0)
        rc = fail_errno(err, path);
    if (found.n > 1)
        qsort(found.keys, found.n, sizeof *found.keys, compare);
    *ret_more = 0;
    for (size_t i = 0; i < found.n && rc == PROV_OK; i++) {
        struct stat st;
        const char *key = found.keys[i];
        if (strncmp(key, prefix, strlen(prefix)) != 0 || strcmp(key, after) <= 0 ||
            make_path(self, key, path, &ignored) != PROV_OK || lstat(path, &st) != 0)
            continue; /* not wanted, no key at all, or deleted a moment ago */
        if (limit-- == 0) {
            *ret_more = 1;
            break;
        }
        prov_list_entry entry = {.struct_size = sizeof entry, .key = key, .size_bytes = (uint64_t)st.st_size,
                                 .mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec};
        rc = emit->entry(emit->ctx, &entry);
        if (rc != PROV_OK)
            fail(err, rc, PROV_OUTCOME_NOT_APPLIED, "the receiver stopped");
    }
    for (size_t i = 0; i < found.n; i++)
        free(found.keys[i]);
    free(found.keys);
    return rc;
}

/* ---- the instance ---------------------------------------------------------------------------------------------------- */

static int32_t create(const prov_host *host, const prov_option_value *values, uint64_t n_values, void **ret_instance,
                      prov_error *err)
{
    char path[PATH_CAP];
    struct store *self = calloc(1, sizeof *self);
    (void)host;
    if (self == NULL)
        return fail(err, PROV_E_NOMEM, PROV_OUTCOME_NOT_APPLIED, "no memory");
    for (uint64_t i = 0; i < n_values; i++) {
        if (strcmp(values[i].name, "path") == 0 && strlen(values[i].value) < sizeof self->root)
            snprintf(self->root, sizeof self->root, "%s", values[i].value);
    }
    snprintf(path, sizeof path, "%s/o", self->root);
    if (self->root[0] == '/' && (mkdir(self->root, 0755) == 0 || errno == EEXIST) &&
        (mkdir(path, 0755) == 0 || errno == EEXIST) && sync_parent(path) == 0 && sync_parent(self->root) == 0) {
        *ret_instance = self;
        return PROV_OK;
    }
    free(self);
    return fail(err, PROV_E_CONFIG, PROV_OUTCOME_PERMANENT, "path: want the absolute path of a folder that can be made");
}

static void destroy(void *instance)
{
    free(instance);
}

/* ---- the tables: what the host reads before it calls anything ------------------------------------------------------- */

static const prov_option option_path = {.struct_size = sizeof(prov_option), .type = PROV_OPT_PATH,
                                        .flags = PROV_OPT_REQUIRED, .name = "path", .doc = "Folder of the objects"};
static const prov_option *const options[] = {&option_path, NULL};

/* The required ops only: the host does without the others. */
static const prov_storage_ops ops = {.struct_size = sizeof ops, .put = put, .get = get, .stat = stat_object,
                                     .list = list, .del = del, .copy = copy};

static const prov_provider provider = {.struct_size = sizeof provider, .role = PROV_ROLE_STORAGE,
                                       .name = "storage-example", .doc = "Example: files in a folder",
                                       .capabilities = PROV_CAP_THREADSAFE | PROV_CAP_PERSISTENT | PROV_CAP_SHARED,
                                       .options = options, .ops = &ops, .create = create, .destroy = destroy};
static const prov_provider *const providers[] = {&provider, NULL};

PROV_PLUGIN_VISIBLE const prov_plugin prov_plugin_v1 = {.struct_size = sizeof prov_plugin_v1,
                                                        .abi_minor = PROV_ABI_MINOR,
                                                        .name = "storage-example", .version = "1.0.0",
                                                        .licence = "Apache-2.0", .url = "", .providers = providers};
