/* cli_progress.c - progress of long work, on a terminal only. SPDX-License-Identifier: Apache-2.0 */
#include <time.h>
#include <unistd.h>

#include "cli.h"

#define SECOND_NS 1000000000ull
#define FIRST_NS (SECOND_NS / 2) /* shorter work shows nothing */
#define EACH_NS (SECOND_NS / 10)

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec;
}

void cli_progress_init(struct cli_progress *progress, struct cli *cli, const char *what)
{
    *progress = (struct cli_progress){.cli = cli, .what = what, .start_ns = now_ns()};
    if (cli->quiet || cli->json || !isatty(STDERR_FILENO))
        progress->cli = NULL;
}

void cli_progress_step(void *ctx, uint64_t done, uint64_t all)
{
    struct cli_progress *p = ctx;
    uint64_t now = p->cli ? now_ns() : 0;
    if (!p->cli || now - p->start_ns < FIRST_NS || now - p->last_ns < EACH_NS)
        return;
    p->last_ns = now;
    p->shown = true;
    double seconds = (double)(now - p->start_ns) / (double)SECOND_NS, rate = (double)done / seconds;
    fprintf(stderr, "\r%llu of %llu %s, %.0f/s", (unsigned long long)done, (unsigned long long)all, p->what, rate);
    if (rate > 0 && all > done)
        fprintf(stderr, ", %.0f s left", (double)(all - done) / rate);
    fputs("\033[K", stderr);
    fflush(stderr);
}

void cli_progress_done(struct cli_progress *p)
{
    if (p->shown)
        fputs("\r\033[K", stderr);
    p->shown = false;
}
