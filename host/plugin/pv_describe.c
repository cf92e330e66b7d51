/* pv_describe.c - describing a plugin in a child process. SPDX-License-Identifier: Apache-2.0
 *
 * Loading a file runs its constructors, so a file that was never seen before is first loaded in a child, which writes
 * the descriptor as JSON to a pipe. Whatever happens there (a crash, exit, a hang, nonsense) is one error here.
 *
 * With a helper program the child is a fresh one: HELPER __describe /proc/self/fd/4, the JSON goes to descriptor 3.
 * Without one the child is a copy of this process; the file keeps its descriptor's number there, because the loader
 * remembers files by that name.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "psdk_file.h"
#include "pv_module.h"

#define LIMIT_NS 10000000000ull
#define MAX_JSON_BYTES ((size_t)4 << 20)
#define CHILD_OUT_FD 3
#define CHILD_FILE_FD 4
#define CHILD_FILE_NAME "/proc/self/fd/4"

/* ---- in the child ------------------------------------------------------------------------------------------------ */
static int write_json(int out_fd, json_t *root)
{
    char *text = root != NULL ? json_dumps(root, JSON_COMPACT) : NULL;
    int rc = text != NULL ? psdk_write_all(out_fd, text, strlen(text), "the description", NULL) : PROV_E_NOMEM;
    free(text);
    json_decref(root);
    return rc;
}

/* Loads the open file and writes {"plugin": ...} or {"error": ...}. */
static int describe_fd(int fd, int out_fd)
{
    struct pv_module module;
    prov_error err = {0};
    int rc = pv_module_load("(child)", &fd, &module, &err);
    json_t *root = rc == PROV_OK ? json_pack("{s:o}", "plugin", pv_describe_module(&module))
                                 : json_pack("{s:{s:i,s:s}}", "error", "code", rc, "message", err.message);
    if (rc == PROV_OK) { /* the code stays loaded; what describes it is not needed any more */
        free(module.providers);
        free(module.file);
    }
    return write_json(out_fd, root);
}

int pv_plugin_describe_child(const char *path, int out_fd)
{
    prov_error err = {0};
    int fd = psdk_open(path, O_RDONLY | O_CLOEXEC, 0, &err);
    if (fd < 0)
        return write_json(out_fd, json_pack("{s:{s:i,s:s}}", "error", "code", fd, "message", err.message));
    return describe_fd(fd, out_fd);
}

/* Only async-signal-safe calls: the parent may have threads. */
static void settle_child(void)
{
    static const int defaults[] = {SIGSEGV, SIGBUS, SIGILL,  SIGFPE,  SIGABRT, SIGTRAP, SIGSYS,
                                   SIGTERM, SIGINT, SIGPIPE, SIGALRM, SIGCHLD, SIGHUP,  SIGQUIT};
    struct rlimit none = {0, 0};
    sigset_t empty;
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (size_t i = 0; i < sizeof defaults / sizeof defaults[0]; i++)
        signal(defaults[i], SIG_DFL);
    sigemptyset(&empty);
    sigprocmask(SIG_SETMASK, &empty, NULL);
    setrlimit(RLIMIT_CORE, &none);
    int null = open("/dev/null", O_RDWR);
    for (int i = 0; null >= 0 && i < 3; i++)
        dup2(null, i);
}

/* Closes every descriptor from 3 up but a and b. */
static void close_others(unsigned a, unsigned b)
{
    unsigned low = a < b ? a : b;
    unsigned high = a < b ? b : a;
    if (low > 3)
        close_range(3, low - 1, 0);
    if (high > low + 1)
        close_range(low + 1, high - 1, 0);
    close_range(high + 1, ~0u, 0);
}

static void run_child(const char *helper, int fd, int out_fd)
{
    settle_child();
    if (helper == NULL) {
        close_others((unsigned)fd, (unsigned)out_fd);
        _exit(describe_fd(fd, out_fd) == PROV_OK ? 0 : 125);
    }
    int high_fd = fcntl(fd, F_DUPFD, 16);
    int high_out = fcntl(out_fd, F_DUPFD, 16);
    dup2(high_out, CHILD_OUT_FD);
    dup2(high_fd, CHILD_FILE_FD);
    close_others(CHILD_OUT_FD, CHILD_FILE_FD);
    char *const argv[] = {(char *)(uintptr_t)helper, (char *)(uintptr_t) "__describe",
                          (char *)(uintptr_t)CHILD_FILE_NAME, NULL};
    execv(helper, argv);
    _exit(127);
}

/* ---- in the parent ----------------------------------------------------------------------------------------------- */
struct child {
    pid_t pid;
    int pipe_fd;
    bool ended;
    bool unknown; /* somebody else reaped it */
    bool late;
    siginfo_t how;
    struct psdk_buf out;
};

static void read_some(struct child *c)
{
    char room[16384];
    ssize_t n;
    while ((n = read(c->pipe_fd, room, sizeof room)) > 0) {
        if (psdk_buf_add(&c->out, room, (size_t)n) != PROV_OK)
            return;
    }
    if (n == 0)
        psdk_close(&c->pipe_fd);
}

/* Reads until the child has ended or the time is up. Does not reap it yet: its group can be killed by its number. */
static void watch(struct child *c)
{
    uint64_t end_ns = psdk_monotonic_ns() + LIMIT_NS;
    while (!c->ended) {
        struct pollfd p = {.fd = c->pipe_fd, .events = POLLIN};
        int nap_ms = c->pipe_fd >= 0 ? 20 : 1;
        poll(&p, 1, nap_ms);
        if (c->pipe_fd >= 0)
            read_some(c);
        memset(&c->how, 0, sizeof c->how);
        int rc = waitid(P_PID, (id_t)c->pid, &c->how, WEXITED | WNOWAIT | WNOHANG);
        c->unknown = rc != 0 && errno == ECHILD;
        c->ended = c->unknown || (rc == 0 && c->how.si_pid == c->pid);
        if (!c->ended && psdk_monotonic_ns() >= end_ns) {
            c->late = true;
            break;
        }
    }
    if (c->pipe_fd >= 0)
        read_some(c);
}

static int start_child(const char *helper, int fd, struct child *c, prov_error *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return psdk_fail_errno(err, errno, "cannot make a pipe to describe it");
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    c->pid = fork();
    if (c->pid == 0)
        run_child(helper, fd, ends[1]);
    int saved = errno;
    close(ends[1]);
    c->pipe_fd = ends[0];
    if (c->pid > 0)
        return PROV_OK;
    psdk_close(&c->pipe_fd);
    return psdk_fail_errno(err, saved, "cannot start a process to describe it");
}

static void end_child(struct child *c)
{
    int status;
    if (!c->unknown) {
        kill(-c->pid, SIGKILL);
        kill(c->pid, SIGKILL);
        while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR)
            ;
    }
    psdk_close(&c->pipe_fd);
}

static int say_how_it_ended(const struct child *c, const char *helper, prov_error *err)
{
    if (c->late)
        return psdk_fail(err, PROV_E_PLUGIN,
                         "did not finish loading within %llu s (in a separate process); it was not loaded here",
                         LIMIT_NS / 1000000000ull);
    if (!c->unknown && c->how.si_code != CLD_EXITED) {
        const char *name = sigabbrev_np(c->how.si_status);
        return psdk_fail(err, PROV_E_PLUGIN,
                         "crashed with SIG%s while it was loaded (in a separate process); it was not loaded here",
                         name != NULL ? name : "?");
    }
    if (helper != NULL && !c->unknown && c->how.si_status == 127)
        return psdk_fail(err, PROV_E_PLUGIN, "cannot be described: the helper program %s cannot be run", helper);
    if (c->out.len > 0)
        return psdk_fail(err, PROV_E_PLUGIN, "the process that described it wrote nonsense; it was not loaded here");
    return psdk_fail(err, PROV_E_PLUGIN,
                     "called exit(%d) while it was loaded (in a separate process); it was not loaded here",
                     c->unknown ? 0 : c->how.si_status);
}

/* What the child wrote: the descriptor, or the error that it met. NULL and PROV_OK: nonsense. */
static int read_answer(const struct child *c, json_t **ret, prov_error *err)
{
    *ret = NULL;
    json_t *root = c->out.failed == 0 && c->out.len > 0
                       ? psdk_json_parse((const char *)c->out.data, c->out.len, "description", NULL)
                       : NULL;
    json_t *plugin = json_object_get(root, "plugin");
    const json_t *error = json_object_get(root, "error");
    const char *message = json_string_value(json_object_get(error, "message"));
    json_int_t code = json_integer_value(json_object_get(error, "code"));
    int rc = PROV_OK;
    if (message != NULL)
        rc = psdk_fail(err, code < 0 && code > -1000 ? (int)code : PROV_E_PLUGIN, "%s", message);
    else if (json_is_array(json_object_get(plugin, "providers")))
        *ret = json_incref(plugin);
    json_decref(root);
    return rc;
}

int pv_describe_file(const char *helper, const struct pv_candidate *candidate, json_t **ret_json, prov_error *err)
{
    struct child c = {.pipe_fd = -1, .out = {.max = MAX_JSON_BYTES}};
    json_t *json = NULL;
    int rc = start_child(helper, candidate->fd, &c, err);
    if (rc == PROV_OK) {
        watch(&c);
        end_child(&c);
        bool clean = !c.late && (c.unknown || (c.how.si_code == CLD_EXITED && c.how.si_status == 0));
        if (clean)
            rc = read_answer(&c, &json, err);
        if (rc == PROV_OK && json == NULL)
            rc = say_how_it_ended(&c, helper, err);
    }
    psdk_buf_done(&c.out);
    if (rc != PROV_OK)
        psdk_wrap(err, "plugin %s", candidate->file);
    else if (ret_json != NULL)
        *ret_json = json_incref(json);
    json_decref(json);
    return rc;
}
