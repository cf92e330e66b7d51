/* fault_shim.c - LD_PRELOAD library that lets one chosen system call of a program fail, or kills the program there.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Counting starts when the program calls fault_arm() (found with dlsym) and stops at fault_disarm(). Environment:
 *   FAULT_AT=N       the call that is hit, from 1; 0 only counts
 *   FAULT_COUNT=N    how many calls in a row are hit, from N on (default 1; 0: all that follow)
 *   FAULT_KIND=...   an errno by name (EIO ENOSPC EINTR EACCES EMFILE): the call fails, nothing was done
 *                    SHORT: reads and writes move half of what they were asked for
 *                    KILL_BEFORE, KILL_AFTER: SIGKILL in front of or behind the call
 *   FAULT_LOG=FILE   "number name" of each counted call
 * Calls on descriptors 0 to 2 are not counted. close releases its descriptor also when it fails, as Linux does.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum action { PASS, FAIL, SHORT, DIE_AFTER };

static atomic_bool armed;
static atomic_long calls;
static long first, count;
static char kind[16];
static int fail_errno, log_fd = -1;

void fault_arm(void);
void fault_disarm(void);

static void die(void)
{
    syscall(SYS_kill, getpid(), SIGKILL);
    for (;;)
        pause();
}

static int errno_of(const char *name)
{
    static const struct {
        const char *name;
        int value;
    } known[] = {{"EIO", EIO}, {"ENOSPC", ENOSPC}, {"EINTR", EINTR}, {"EACCES", EACCES}, {"EMFILE", EMFILE}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].name, name) == 0)
            return known[i].value;
    return 0;
}

static const char *env(const char *name)
{
    const char *value = getenv(name);
    return value ? value : "";
}

__attribute__((visibility("default"))) void fault_arm(void)
{
    first = strtol(env("FAULT_AT"), NULL, 10);
    count = *env("FAULT_COUNT") ? strtol(env("FAULT_COUNT"), NULL, 10) : 1;
    snprintf(kind, sizeof kind, "%s", env("FAULT_KIND"));
    fail_errno = errno_of(kind);
    if (*env("FAULT_LOG"))
        log_fd = (int)syscall(SYS_openat, AT_FDCWD, env("FAULT_LOG"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    atomic_store(&calls, 0);
    atomic_store(&armed, true);
}

__attribute__((visibility("default"))) void fault_disarm(void)
{
    atomic_store(&armed, false);
}

/* Counts a call and says what becomes of it. */
static enum action next(const char *name)
{
    if (!atomic_load(&armed))
        return PASS;
    long n = atomic_fetch_add(&calls, 1) + 1;
    if (log_fd >= 0) {
        char line[64];
        int len = snprintf(line, sizeof line, "%ld %s\n", n, name);
        syscall(SYS_write, log_fd, line, (size_t)len);
    }
    if (first <= 0 || n < first || (count > 0 && n >= first + count))
        return PASS;
    if (strcmp(kind, "KILL_BEFORE") == 0)
        die();
    if (strcmp(kind, "KILL_AFTER") == 0)
        return DIE_AFTER;
    if (strcmp(kind, "SHORT") == 0)
        return SHORT;
    errno = fail_errno;
    return fail_errno ? FAIL : PASS;
}

static void *real(void **slot, const char *name)
{
    if (!*slot)
        *slot = dlsym(RTLD_NEXT, name);
    if (!*slot)
        abort();
    return *slot;
}

static void after(enum action a)
{
    if (a == DIE_AFTER)
        die();
}

/* A wrapper: the type of the result, the name, the value of failure, the parameters, the arguments. */
#define WRAP(type, name, failure, params, args)                                          \
    __attribute__((visibility("default"))) type name params                              \
    {                                                                                    \
        static void *slot;                                                               \
        union {                                                                          \
            void *from;                                                                  \
            type(*to) params;                                                            \
        } call = {real(&slot, #name)};                                                   \
        enum action what = next(#name);                                                  \
        if (what == FAIL)                                                                \
            return failure;                                                              \
        type result = call.to args;                                                      \
        after(what);                                                                     \
        return result;                                                                   \
    }

/* The same for what moves len bytes to or from fd. */
#define WRAP_IO(name, params, args)                                                      \
    __attribute__((visibility("default"))) ssize_t name params                           \
    {                                                                                    \
        static void *slot;                                                               \
        union {                                                                          \
            void *from;                                                                  \
            ssize_t(*to) params;                                                         \
        } call = {real(&slot, #name)};                                                   \
        enum action what = fd <= 2 ? PASS : next(#name);                                 \
        if (what == FAIL)                                                                \
            return -1;                                                                   \
        if (what == SHORT && len > 1)                                                    \
            len /= 2;                                                                    \
        ssize_t result = call.to args;                                                   \
        after(what);                                                                     \
        return result;                                                                   \
    }

WRAP_IO(read, (int fd, void *data, size_t len), (fd, data, len))
WRAP_IO(write, (int fd, const void *data, size_t len), (fd, data, len))
WRAP_IO(pread, (int fd, void *data, size_t len, off_t at), (fd, data, len, at))
WRAP_IO(pread64, (int fd, void *data, size_t len, off_t at), (fd, data, len, at))
WRAP_IO(pwrite, (int fd, const void *data, size_t len, off_t at), (fd, data, len, at))
WRAP_IO(pwrite64, (int fd, const void *data, size_t len, off_t at), (fd, data, len, at))

#define fd 3 /* copy_file_range and getrandom have no descriptor of that name: always counted */
WRAP_IO(copy_file_range, (int in, off_t *in_at, int out, off_t *out_at, size_t len, unsigned flags),
        (in, in_at, out, out_at, len, flags))
WRAP_IO(getrandom, (void *data, size_t len, unsigned flags), (data, len, flags))
#undef fd

/* open and its like take a mode only sometimes; passing it always is harmless. */
#define WRAP_OPEN(name, params, args, last)                                              \
    __attribute__((visibility("default"))) int name params                               \
    {                                                                                    \
        static void *slot;                                                               \
        union {                                                                          \
            void *from;                                                                  \
            int(*to) params;                                                             \
        } call = {real(&slot, #name)};                                                   \
        va_list list;                                                                    \
        va_start(list, last);                                                            \
        mode_t mode = (flags & (O_CREAT | __O_TMPFILE)) ? va_arg(list, mode_t) : 0;      \
        va_end(list);                                                                    \
        enum action what = next((flags & O_CREAT) ? #name "+" : #name);                  \
        if (what == FAIL)                                                                \
            return -1;                                                                   \
        int result = call.to args;                                                       \
        after(what);                                                                     \
        return result;                                                                   \
    }

WRAP_OPEN(open, (const char *path, int flags, ...), (path, flags, mode), flags)
WRAP_OPEN(open64, (const char *path, int flags, ...), (path, flags, mode), flags)
WRAP_OPEN(openat, (int dir, const char *path, int flags, ...), (dir, path, flags, mode), flags)
WRAP_OPEN(openat64, (int dir, const char *path, int flags, ...), (dir, path, flags, mode), flags)

WRAP(int, fsync, -1, (int fd), (fd))
WRAP(int, fdatasync, -1, (int fd), (fd))
WRAP(int, sync_file_range, -1, (int fd, off_t at, off_t len, unsigned flags), (fd, at, len, flags))
WRAP(int, rename, -1, (const char *from, const char *to), (from, to))
WRAP(int, renameat, -1, (int a, const char *from, int b, const char *to), (a, from, b, to))
WRAP(int, renameat2, -1, (int a, const char *from, int b, const char *to, unsigned flags), (a, from, b, to, flags))
WRAP(int, link, -1, (const char *from, const char *to), (from, to))
WRAP(int, linkat, -1, (int a, const char *from, int b, const char *to, int flags), (a, from, b, to, flags))
WRAP(int, unlink, -1, (const char *path), (path))
WRAP(int, unlinkat, -1, (int dir, const char *path, int flags), (dir, path, flags))
WRAP(int, rmdir, -1, (const char *path), (path))
WRAP(int, ftruncate, -1, (int fd, off_t len), (fd, len))
WRAP(int, ftruncate64, -1, (int fd, off_t len), (fd, len))
WRAP(int, fallocate, -1, (int fd, int mode, off_t at, off_t len), (fd, mode, at, len))
WRAP(int, fallocate64, -1, (int fd, int mode, off_t at, off_t len), (fd, mode, at, len))
WRAP(int, posix_fallocate, errno, (int fd, off_t at, off_t len), (fd, at, len))
WRAP(int, posix_fallocate64, errno, (int fd, off_t at, off_t len), (fd, at, len))
WRAP(int, mkdir, -1, (const char *path, mode_t mode), (path, mode))
WRAP(int, mkdirat, -1, (int dir, const char *path, mode_t mode), (dir, path, mode))
WRAP(int, futimens, -1, (int fd, const struct timespec times[2]), (fd, times))
WRAP(int, fstat, -1, (int fd, struct stat *st), (fd, st))
WRAP(int, stat, -1, (const char *restrict path, struct stat *restrict st), (path, st))
WRAP(int, lstat, -1, (const char *restrict path, struct stat *restrict st), (path, st))
WRAP(int, fstatat, -1, (int dir, const char *restrict path, struct stat *restrict st, int flags), (dir, path, st, flags))
WRAP(int, flock, -1, (int fd, int how), (fd, how))
WRAP(DIR *, opendir, NULL, (const char *path), (path))
WRAP(DIR *, fdopendir, NULL, (int fd), (fd))
WRAP(struct dirent *, readdir, NULL, (DIR *dir), (dir))

__attribute__((visibility("default"))) int close(int fd)
{
    enum action what = fd <= 2 ? PASS : next("close");
    int saved = errno, result = (int)syscall(SYS_close, fd);
    after(what);
    if (what != FAIL)
        return result;
    errno = saved;
    return -1;
}

/* Memory of the allocator does not come through here; only mapped files count. */
__attribute__((visibility("default"))) void *mmap(void *at, size_t len, int prot, int flags, int fd, off_t offset)
{
    static void *slot;
    union {
        void *from;
        void *(*to)(void *, size_t, int, int, int, off_t);
    } call = {real(&slot, "mmap")};
    enum action what = fd < 0 ? PASS : next("mmap");
    if (what == FAIL)
        return MAP_FAILED;
    void *result = call.to(at, len, prot, flags, fd, offset);
    after(what);
    return result;
}
