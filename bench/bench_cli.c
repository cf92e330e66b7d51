/* bench_cli.c - how long the command takes to start. SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#define RUNS 50

/* Milliseconds from fork to the end of the program. */
static double run(const char *file, const char *argument) {
    char *argv[] = {(char *)file, (char *)argument, NULL};
    posix_spawn_file_actions_t actions;
    pid_t child;
    int status = 1;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    double start = bench_now();
    if (posix_spawn(&child, file, &actions, NULL, argv, environ) == 0)
        waitpid(child, &status, 0);
    double ms = (bench_now() - start) * 1e3;
    posix_spawn_file_actions_destroy(&actions);
    if (status != 0) {
        fprintf(stderr, "bench: %s %s failed\n", file, argument);
        exit(2);
    }
    return ms;
}

int main(int argc, char **argv) {
    struct bench_options options;
    struct bench_samples ours = {0}, least = {0};
    bench_begin(argc, argv, "`prov version`, from fork to exit.", &options);
    run(PROV_BENCH_CLI, "version");
    for (int i = 0; i < RUNS; i++) {
        bench_add(&least, run("/bin/true", "version"));
        bench_add(&ours, run(PROV_BENCH_CLI, "version"));
    }
    bench_report(&(struct bench_aim){"cli.version", bench_median(&ours), "ms", "wanted", 10, false, 1});
    bench_note("median of %d runs, p99 %.1f ms; /bin/true takes %.1f ms", RUNS, bench_percentile(&ours, 99),
               bench_median(&least));
    bench_samples_done(&ours);
    bench_samples_done(&least);
    return bench_end();
}
