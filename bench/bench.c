/* bench.c - what all benchmarks share. SPDX-License-Identifier: Apache-2.0 */
#include "bench.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static bool missed;

static void usage(const char *program, const char *what, int code) {
    fprintf(code ? stderr : stdout,
            "%s\n\nusage: %s [--full] [--records N] [--dir DIR]\n"
            "  --full       the sizes of the aims, minutes instead of seconds\n"
            "  --records N  so many records\n"
            "  --dir DIR    writes there (default " PROV_BENCH_DIR ")\n",
            what, program);
    exit(code);
}

void bench_begin(int argc, char **argv, const char *what, struct bench_options *ret) {
    memset(ret, 0, sizeof *ret);
    ret->dir = PROV_BENCH_DIR;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            usage(argv[0], what, 0);
        else if (strcmp(argv[i], "--full") == 0)
            ret->full = true;
        else if (strcmp(argv[i], "--records") == 0 && i + 1 < argc)
            ret->records = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--dir") == 0 && i + 1 < argc)
            ret->dir = argv[++i];
        else
            usage(argv[0], what, 2);
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    mkdir(ret->dir, 0700);
}

int bench_end(void) {
    return missed ? 1 : 0;
}

static double clock_s(clockid_t clock) {
    struct timespec t = {0};
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

double bench_now(void) {
    return clock_s(CLOCK_MONOTONIC);
}

double bench_cpu(void) {
    return clock_s(CLOCK_PROCESS_CPUTIME_ID);
}

double bench_thread(void) {
    return clock_s(CLOCK_THREAD_CPUTIME_ID);
}

void bench_add(struct bench_samples *s, double value) {
    if (s->n == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 256;
        s->value = realloc(s->value, s->cap * sizeof *s->value);
        if (!s->value)
            abort();
    }
    s->value[s->n++] = value;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double bench_percentile(const struct bench_samples *s, double p) {
    if (s->n == 0)
        return 0;
    double *sorted = malloc(s->n * sizeof *sorted);
    if (!sorted)
        abort();
    memcpy(sorted, s->value, s->n * sizeof *sorted);
    qsort(sorted, s->n, sizeof *sorted, by_value);
    double at = p / 100 * (double)(s->n - 1);
    size_t low = (size_t)at, high = low + 1 < s->n ? low + 1 : low;
    double value = sorted[low] + (sorted[high] - sorted[low]) * (at - (double)low);
    free(sorted);
    return value;
}

double bench_median(const struct bench_samples *s) {
    return bench_percentile(s, 50);
}

void bench_samples_done(struct bench_samples *s) {
    free(s->value);
    memset(s, 0, sizeof *s);
}

/* Four digits at most that count, without an exponent. */
static const char *number(double v, char ret[32]) {
    snprintf(ret, 32, "%.*f", v < 10 ? 2 : v < 100 ? 1 : 0, v);
    return ret;
}

void bench_report(const struct bench_aim *a) {
    char value[32], limit[32];
    double ratio = a->limit > 0 ? a->value / a->limit : 0;
    bool ok = a->at_least ? ratio >= a->aim : ratio <= a->aim;
    missed = missed || !ok;
    printf("%s: %s %s (%s %s %s): ratio %.2f [aim at %s %.2f] %s\n", a->name, number(a->value, value), a->unit,
           a->limit_name, number(a->limit, limit), a->unit, ratio, a->at_least ? "least" : "most", a->aim,
           ok ? "ok" : "MISSED");
}

void bench_note(const char *format, ...) {
    va_list args;
    va_start(args, format);
    printf("  ");
    vprintf(format, args);
    printf("\n");
    va_end(args);
}

void bench_need(int rc, const prov_error *err, const char *what) {
    if (rc == PROV_OK)
        return;
    fprintf(stderr, "bench: %s: %s: %s\n", what, psdk_rc_name(rc), err ? err->message : psdk_rc_text(rc));
    exit(2);
}

/* Starts `openssl speed`; *ret_out is what it prints. */
static pid_t start_openssl(size_t block_bytes, unsigned jobs, int *ret_out) {
    char bytes[24], number_of_jobs[16];
    const char *argv[] = {
        "openssl",      "speed", "-evp", "sha256", "-bytes", bytes, "-seconds", "1", jobs > 1 ? "-multi" : NULL,
        number_of_jobs, NULL};
    posix_spawn_file_actions_t actions;
    pid_t child = -1;
    int out[2];
    snprintf(bytes, sizeof bytes, "%zu", block_bytes);
    snprintf(number_of_jobs, sizeof number_of_jobs, "%u", jobs);
    if (pipe2(out, O_CLOEXEC) != 0)
        return -1;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    if (posix_spawnp(&child, "openssl", &actions, NULL, (char *const *)argv, environ) != 0)
        child = -1;
    posix_spawn_file_actions_destroy(&actions);
    close(out[1]);
    *ret_out = out[0];
    return child;
}

double bench_openssl(size_t block_bytes, unsigned jobs) {
    char line[256];
    double kilobytes = 0;
    int status = 1, fd = -1;
    pid_t child = start_openssl(block_bytes, jobs, &fd);
    FILE *out = fd >= 0 ? fdopen(fd, "r") : NULL;
    while (out && fgets(line, sizeof line, out))
        if (strncmp(line, "sha256 ", 7) == 0 || strncmp(line, "evp ", 4) == 0)
            kilobytes = strtod(strchr(line, ' '), NULL);
    if (out)
        fclose(out);
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0 || kilobytes <= 0) {
        fprintf(stderr, "bench: cannot run `openssl speed -evp sha256 -bytes %zu`, or not read what it says\n",
                block_bytes);
        exit(2);
    }
    return kilobytes * 1000;
}

static uint64_t field_of(const char *path, const char *name) {
    char line[256];
    uint64_t value = 0;
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ':')
            value = strtoull(line + strlen(name) + 1, NULL, 10);
    if (f)
        fclose(f);
    return value;
}

void bench_io(struct bench_io *ret) {
    static const char path[] = "/proc/self/io";
    ret->written_bytes = field_of(path, "wchar");
    ret->read_calls = field_of(path, "syscr");
    ret->write_calls = field_of(path, "syscw");
}

uint64_t bench_memory_bytes(void) {
    return field_of("/proc/self/status", "VmHWM") * 1024;
}

void bench_memory_reset(void) {
    FILE *f = fopen("/proc/self/clear_refs", "we");
    if (!f)
        return;
    fputs("5", f);
    fclose(f);
}

void bench_in_child(void (*body)(void *ctx), void *ctx) {
    int status = 0;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        body(ctx);
        exit(0);
    }
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
        fprintf(stderr, "bench: a child process failed\n");
        exit(2);
    }
}
