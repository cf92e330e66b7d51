/* bench_journal.c - the journal: one durable record, and many writers at once. SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench_rig.h"
#include "psdk_file.h"

#define ROUNDS 24
#define TURN 25 /* records of one kind before the other kind has its turn */
#define WRITERS 32
#define RATE_ROUNDS 9
#define RATE_SECONDS 0.5
#define START_SECONDS 0.15 /* for all writers to be there */

static struct pv_journal *open_journal(const struct rig *r, const char *dir) {
    struct pv_journal *j = NULL;
    prov_error err = {0};
    struct pv_journal_config config = {.dir = dir,
                                       .origin = "bench.local/s/models/m",
                                       .subject = "m",
                                       .writer_key = &r->writer_key,
                                       .log_key = &r->log_key};
    bench_need(pv_journal_open(&config, &j, &err), &err, "journal");
    return j;
}

static void append_one(struct pv_journal *j, const struct rig_group *g) {
    prov_error err = {0};
    bench_need(pv_journal_append(j, g->draft, 1, NULL, &err), &err, "append");
}

static void append_raw(int fd) {
    static const char record[RIG_RECORD_BYTES];
    if (write(fd, record, sizeof record) != (ssize_t)sizeof record || fdatasync(fd) != 0) {
        perror("append+fdatasync");
        exit(2);
    }
}

static void one_record(const struct rig *r, const struct rig_group *g, const char *dir) {
    struct bench_samples ours = {0}, raw = {0}, ratio = {0};
    char path[600];
    snprintf(path, sizeof path, "%s/journal-one", dir);
    struct pv_journal *j = open_journal(r, path);
    snprintf(path, sizeof path, "%s/raw", dir);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    append_one(j, g);
    append_raw(fd);
    for (int round = 0; round < ROUNDS; round++) {
        struct bench_samples a = {0}, b = {0};
        for (int i = 0; i < 2 * TURN; i++) {
            double start = bench_now();
            if (i < TURN)
                append_raw(fd);
            else
                append_one(j, g);
            double us = (bench_now() - start) * 1e6;
            bench_add(i < TURN ? &a : &b, us);
            bench_add(i < TURN ? &raw : &ours, us);
        }
        bench_add(&ratio, bench_median(&b) / bench_median(&a));
        bench_samples_done(&a);
        bench_samples_done(&b);
    }
    bench_report(&(struct bench_aim){"journal.record", bench_median(&ours), "us", "append+fdatasync",
                                     bench_median(&raw), false, 1.3});
    bench_note("p99 %.0f us (append+fdatasync %.0f us); ratio of the medians of %d rounds: %.2f to %.2f",
               bench_percentile(&ours, 99), bench_percentile(&raw, 99), ROUNDS, bench_percentile(&ratio, 25),
               bench_percentile(&ratio, 75));
    close(fd);
    pv_journal_close(j);
    bench_samples_done(&ours);
    bench_samples_done(&raw);
    bench_samples_done(&ratio);
}

/* ---- many writers ---------------------------------------------------------------------------------------------- */

struct crowd {
    const struct rig *rig;
    const struct rig_group *group;
    struct pv_journal *journal; /* of the threads; a process opens its own */
    const char *dir;
    double begin, end; /* of the stretch that counts */
    uint64_t *done;    /* one count for each writer, in memory that processes share */
};

struct writer {
    const struct crowd *crowd;
    unsigned number;
};

static void *write_until(void *arg) {
    const struct writer *w = arg;
    uint64_t n = 0;
    while (bench_now() < w->crowd->begin)
        usleep(500);
    for (; bench_now() < w->crowd->end; n++)
        append_one(w->crowd->journal, w->crowd->group);
    w->crowd->done[w->number] = n;
    return NULL;
}

static void run_threads(struct crowd *c, unsigned n) {
    pthread_t thread[WRITERS];
    struct writer writer[WRITERS];
    for (unsigned i = 0; i < n; i++) {
        writer[i] = (struct writer){c, i};
        if (pthread_create(&thread[i], NULL, write_until, &writer[i]) != 0)
            abort();
    }
    for (unsigned i = 0; i < n; i++)
        pthread_join(thread[i], NULL);
}

static void run_processes(struct crowd *c, unsigned n) {
    int status, failed = 0;
    fflush(NULL);
    for (unsigned i = 0; i < n; i++) {
        if (fork() == 0) {
            c->journal = open_journal(c->rig, c->dir);
            write_until(&(struct writer){c, i});
            _exit(0);
        }
    }
    while (wait(&status) > 0)
        failed |= status;
    if (failed) {
        fprintf(stderr, "bench: a writer process failed\n");
        exit(2);
    }
}

/* Records a second of n writers. */
static double rate(struct crowd *c, unsigned n, bool processes) {
    memset(c->done, 0, WRITERS * sizeof *c->done);
    c->begin = bench_now() + START_SECONDS;
    c->end = c->begin + RATE_SECONDS;
    if (processes)
        run_processes(c, n);
    else
        run_threads(c, n);
    uint64_t all = 0;
    for (unsigned i = 0; i < n; i++)
        all += c->done[i];
    return (double)all / RATE_SECONDS;
}

static void many_writers(const struct rig *r, const struct rig_group *g, const char *dir) {
    static const struct {
        unsigned n;
        bool processes;
    } kind[3] = {{1, false}, {WRITERS, false}, {WRITERS, true}};
    struct bench_samples rates[3] = {{0}}, ratio[3] = {{0}};
    char path[600];
    snprintf(path, sizeof path, "%s/journal-many", dir);
    struct crowd c = {.rig = r, .group = g, .dir = path};
    c.done = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (c.done == MAP_FAILED)
        abort();
    c.journal = open_journal(r, path);
    struct pv_journal *of_threads = c.journal;
    for (int round = 0; round < RATE_ROUNDS; round++)
        for (int k = 0; k < 3; k++) {
            c.journal = of_threads;
            bench_add(&rates[k], rate(&c, kind[k].n, kind[k].processes));
            bench_add(&ratio[k], rates[k].value[round] / rates[0].value[round]);
        }
    bench_report(&(struct bench_aim){"journal.32-threads", bench_median(&rates[1]), "records/s", "one writer",
                                     bench_median(&rates[0]), true, 8});
    bench_report(&(struct bench_aim){"journal.32-processes", bench_median(&rates[2]), "records/s", "one writer",
                                     bench_median(&rates[0]), true, 8});
    bench_note("ratios of %d rounds: threads %.1f to %.1f, processes %.1f to %.1f", RATE_ROUNDS,
               bench_percentile(&ratio[1], 25), bench_percentile(&ratio[1], 75), bench_percentile(&ratio[2], 25),
               bench_percentile(&ratio[2], 75));
    pv_journal_close(of_threads);
    munmap(c.done, 4096);
    for (int k = 0; k < 3; k++) {
        bench_samples_done(&rates[k]);
        bench_samples_done(&ratio[k]);
    }
}

int main(int argc, char **argv) {
    static struct rig r;
    static struct rig_group g;
    struct bench_options options;
    char dir[512];
    bench_begin(argc, argv, "Durable records: one writer, and 32 at once.", &options);
    rig_scratch(options.dir, "journal", dir);
    rig_keys(&r);
    rig_fill(&g, "bench.local/s/models/m", 0, 1);
    one_record(&r, &g, dir);
    many_writers(&r, &g, dir);
    rig_remove(dir);
    return bench_end();
}
