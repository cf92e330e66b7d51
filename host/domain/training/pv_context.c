/* pv_context.c - where a record was made: git commit and dirty digest, library versions, on request command and host.
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "psdk_file.h"
#include "pv_training.h"

#define GIT_NS ((uint64_t)5 * 1000000000u)
#define GIT_LINE 256u

/* Runs git with its output hashed and its first line kept. No hook, monitor, pager or external diff of the repository is run.
 * Returns the number of output bytes, or -1 when git is not there, fails or takes too long. */
static long run_git(const char *dir, const char *const *args, uint8_t digest[32], char line[GIT_LINE])
{
    const char *argv[24] = {"git", "-C", dir, "--no-optional-locks", "-c", "core.fsmonitor=false", "-c",
                            "core.hooksPath=/dev/null", "-c", "core.pager=cat"};
    size_t n = 10;
    int out[2] = {-1, -1}, status = -1;
    posix_spawn_file_actions_t actions;
    struct psdk_sha256 hash = {0};
    pid_t pid;
    long total = 0;
    for (; *args && n < 23; args++)
        argv[n++] = *args;
    if (pipe2(out, O_CLOEXEC) != 0)
        return -1;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    int e = posix_spawnp(&pid, "git", &actions, NULL, (char *const *)(uintptr_t)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    psdk_close(&out[1]);
    if (e) {
        psdk_close(&out[0]);
        return -1;
    }
    uint64_t until = psdk_monotonic_ns() + GIT_NS;
    psdk_sha256_init(&hash);
    for (;;) {
        char data[65536];
        uint64_t now = psdk_monotonic_ns();
        struct pollfd p = {out[0], POLLIN, 0};
        if (now >= until || poll(&p, 1, (int)((until - now) / 1000000u) + 1) < 0) {
            kill(pid, SIGKILL);
            total = -1;
            break;
        }
        ssize_t got = p.revents ? read(out[0], data, sizeof data) : -1;
        if (got == 0)
            break;
        if (got < 0)
            continue;
        if (total < GIT_LINE - 1) {
            size_t room = (size_t)(GIT_LINE - 1 - (size_t)total), take = (size_t)got < room ? (size_t)got : room;
            memcpy(line + total, data, take);
            line[(size_t)total + take] = '\0';
        }
        psdk_sha256_add(&hash, data, (size_t)got);
        total += got;
    }
    psdk_close(&out[0]);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (psdk_sha256_final(&hash, digest) != PROV_OK)
        total = -1;
    psdk_sha256_done(&hash);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? total : -1;
}

static json_t *gather_git(const char *dir)
{
    static const char *const head[] = {"rev-parse", "--verify", "HEAD", NULL};
    static const char *const diff[] = {"diff", "--no-ext-diff", "--no-textconv", "--binary", "HEAD", NULL};
    uint8_t digest[32];
    char line[GIT_LINE] = "", ignored[GIT_LINE] = "", hex[PSDK_SHA256_HEX];
    if (run_git(dir, head, digest, line) <= 0)
        return NULL;
    line[strcspn(line, "\n")] = '\0';
    json_t *git = json_pack("{s:s}", "commit", line);
    if (run_git(dir, diff, digest, ignored) > 0) { /* tracked files; what is untracked is not the commit's to say */
        psdk_hex(digest, 32, hex);
        json_object_set_new(git, "dirty", json_string(hex));
    }
    return git;
}

static json_t *gather_command(void)
{
    struct psdk_buf text = {0};
    prov_error ignored = {0};
    json_t *list = NULL;
    if (psdk_read_file("/proc/self/cmdline", 8192, &text, &ignored) == PROV_OK && text.len) {
        list = json_array();
        for (size_t at = 0; at < text.len; at += strlen((const char *)text.data + at) + 1)
            json_array_append_new(list, json_string((const char *)text.data + at));
    }
    psdk_buf_done(&text);
    return list;
}

static json_t *gather_host(void)
{
    char name[256] = "";
    return gethostname(name, sizeof name - 1) == 0 ? json_string(name) : NULL;
}

static bool wants(const char *const *parts, size_t n, const char *part)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(parts[i], part) == 0)
            return true;
    return false;
}

json_t *pv_context_gather(const char *dir, const char *const *parts, size_t n_parts, const char *version)
{
    json_t *context = json_object(), *git = wants(parts, n_parts, "git") ? gather_git(dir) : NULL;
    if (git)
        json_object_set_new(context, "git", git);
    if (wants(parts, n_parts, "libraries"))
        json_object_set_new(context, "libraries",
                            json_pack("{s:s,s:s}", "provhost", version, "openssl", OpenSSL_version(OPENSSL_VERSION_STRING)));
    json_t *command = wants(parts, n_parts, "command") ? gather_command() : NULL;
    if (command)
        json_object_set_new(context, "command", command);
    json_t *host = wants(parts, n_parts, "host") ? gather_host() : NULL;
    if (host)
        json_object_set_new(context, "host", host);
    if (json_object_size(context) == 0) {
        json_decref(context);
        context = NULL;
    }
    return context;
}
