/* bench_stream.c - sealing a live stream: rate, cost of a record whatever the size of the tree, memory.
 * SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench_calls.h"
#include "bench_rig.h"

#define LIVE_GROUP 512  /* records that the recorder makes durable together when that many wait */
#define BATCH_SIZE 10   /* the default: so many waiting records start a seal */
#define MAX_DELAY_S 1.0 /* the default */
#define LIVE_RECORDS 200000u
#define LIVE_ROUNDS 3

#define GROW_SEAL 16384u /* records of a seal between windows */

/* A stretch of records over which the cost of one is counted. */
struct window {
    const char *name;
    unsigned records, seal, group; /* in all, sealed together, made durable together */
};
static const struct window busy = {"seals of 1024", 16384, 1024, 64};
static const struct window slow = {"seals of 10", 2560, 10, 10}; /* ends at the same place of a tile as it begins */

static struct rig_group group; /* of the one producer */

static uint64_t tree_size(struct pv_stream *s) {
    struct pv_seal_report report;
    prov_error err = {0};
    bench_need(pv_stream_seal(s, &report, &err), &err, "seal");
    return report.tree_size;
}

static void append(struct pv_stream *s, uint64_t first, size_t n) {
    prov_error err = {0};
    rig_fill(&group, pv_stream_origin(s), first, n);
    bench_need(pv_stream_append(s, group.draft, n, NULL, &err), &err, "append");
}

/* ---- live ------------------------------------------------------------------------------------------------------ */

struct live {
    struct pv_stream *stream;
    uint64_t records;
    _Atomic uint64_t appended;
};

static void *produce(void *arg) {
    struct live *l = arg;
    for (uint64_t n = 0; n < l->records; n += LIVE_GROUP) {
        append(l->stream, n, LIVE_GROUP);
        atomic_fetch_add(&l->appended, LIVE_GROUP);
    }
    return NULL;
}

static void nap(double seconds) {
    struct timespec t = {0, (long)(seconds * 1e9)};
    nanosleep(&t, NULL);
}

/* Seals whenever batch_size records wait, or the oldest waits for max_delay. Returns the number of seals. */
static uint64_t seal_while_produced(struct live *l) {
    uint64_t sealed = 0, seals = 0;
    double last = bench_now();
    while (sealed < l->records) {
        uint64_t waiting = atomic_load(&l->appended) - sealed;
        if (waiting < BATCH_SIZE && !(waiting && bench_now() - last >= MAX_DELAY_S)) {
            nap(0.0005);
            continue;
        }
        struct pv_seal_report report;
        prov_error err = {0};
        bench_need(pv_stream_seal(l->stream, &report, &err), &err, "seal");
        sealed += report.records;
        seals += report.seals;
        last = bench_now();
    }
    return seals;
}

static double live_rate(struct pv_stream *s, uint64_t records, uint64_t *ret_seals) {
    struct live l = {.stream = s, .records = records / LIVE_GROUP * LIVE_GROUP};
    pthread_t producer;
    double start = bench_now();
    if (pthread_create(&producer, NULL, produce, &l) != 0)
        abort();
    *ret_seals = seal_while_produced(&l);
    pthread_join(producer, NULL);
    return (double)l.records / (bench_now() - start);
}

/* One stream for all rounds: many files deleted between them would slow down the next (see README.md). */
static void live(struct pv_stream *s, uint64_t records) {
    struct bench_samples rates = {0}, cpu = {0};
    uint64_t seals = 0;
    for (int round = 0; round < LIVE_ROUNDS; round++) {
        double start = bench_cpu();
        bench_add(&rates, live_rate(s, records, &seals));
        bench_add(&cpu, (bench_cpu() - start) * 1e6 / (double)records);
    }
    bench_report(&(struct bench_aim){"stream.live", bench_median(&rates), "records/s", "wanted", 50000, true, 1});
    bench_note("%d runs of %llu records: %.0f to %.0f a second; the last one took %llu seals, %.0f records each",
               LIVE_ROUNDS, (unsigned long long)records, bench_percentile(&rates, 0), bench_percentile(&rates, 100),
               (unsigned long long)seals, (double)records / (double)seals);
    bench_note("a record takes %.1f us of a core (making it up included)", bench_median(&cpu));
    bench_samples_done(&rates);
    bench_samples_done(&cpu);
}

/* ---- the cost of a record -------------------------------------------------------------------------------------- */

struct cost {
    uint64_t size;
    double calls, written; /* of one record */
    char most[160];
};

static void grow(struct pv_stream *s, uint64_t *size, uint64_t to) {
    for (uint64_t waiting = 0; *size < to; waiting = 0) {
        while (waiting < GROW_SEAL && *size + waiting < to) {
            size_t n = to - *size - waiting < 1024 ? (size_t)(to - *size - waiting) : 1024;
            append(s, *size + waiting, n);
            waiting += n;
        }
        *size = tree_size(s);
    }
}

/* The same records, groups and seals at every size, so that nothing but the size of the tree can differ. */
static void count(struct pv_stream *s, const struct window *w, uint64_t *size, bool countable, struct cost *ret) {
    struct bench_io before, after;
    ret->size = *size;
    bench_io(&before);
    if (countable)
        bench_calls_begin();
    for (unsigned n = 0; n < w->records; n += w->seal) {
        for (unsigned i = 0; i < w->seal; i += w->group)
            append(s, n + i, w->group);
        *size = tree_size(s);
    }
    uint64_t calls = countable ? bench_calls_end(ret->most) : 0;
    bench_io(&after);
    if (!countable)
        calls = after.read_calls - before.read_calls + after.write_calls - before.write_calls;
    ret->calls = (double)calls / w->records;
    ret->written = (double)(after.written_bytes - before.written_bytes) / w->records;
    bench_note("at %llu records, %s: %.3f %s and %.0f bytes written for each record", (unsigned long long)ret->size,
               w->name, ret->calls, countable ? "system calls" : "reads and writes", ret->written);
}

static void costs(const struct bench_options *options, struct pv_stream *s, bool countable) {
    static const uint64_t sizes[] = {1000, 100000, 1000000, 10000000};
    static struct cost cost[4], small[4];
    size_t n = options->full ? 4 : 3;
    uint64_t size = tree_size(s);
    bench_memory_reset();
    double start = bench_now();
    for (size_t i = 0; i < n; i++) {
        grow(s, &size, sizes[i]);
        count(s, &busy, &size, countable, &cost[i]);
        count(s, &slow, &size, countable, &small[i]);
    }
    double took = bench_now() - start;
    const struct cost *first = &cost[0], *last = &cost[n - 1];
    bench_report(&(struct bench_aim){"stream.system-calls", last->calls, "a record", "at 1000 records", first->calls,
                                     false, 1.1});
    bench_report(&(struct bench_aim){"stream.bytes-written", last->written, "a record", "at 1000 records",
                                     first->written, false, 1.1});
    bench_report(
        &(struct bench_aim){"stream.memory", (double)bench_memory_bytes() / (1 << 20), "MiB", "wanted", 64, false, 1});
    if (countable)
        bench_note("of %u records at the end: %s", busy.records, last->most);
    bench_note("%s: %.2f times the system calls and %.2f times the bytes of 1000 records", slow.name,
               small[n - 1].calls / small[0].calls, small[n - 1].written / small[0].written);
    bench_note("%llu records appended and sealed in %.1f s", (unsigned long long)size, took);
}

static struct pv_stream *open_stream(struct rig *r, const char *path) {
    struct pv_stream *s = NULL;
    prov_error err = {0};
    bench_need(pv_stream_open(&r->ledger, path, &s, &err), &err, "stream");
    tree_size(s); /* the records that open a journal */
    return s;
}

int main(int argc, char **argv) {
    struct bench_options options;
    struct rig r;
    char dir[512];
    bench_begin(argc, argv, "Sealing a live stream: rate; cost of a record at 1,000 to 10 million records; memory.",
                &options);
    bool countable = bench_calls_init();
    if (!countable)
        bench_note("ptrace is forbidden here: only reads and writes are counted");
    rig_scratch(options.dir, "stream", dir);
    rig_open(&r, dir);
    struct pv_stream *s = open_stream(&r, "models/live");
    live(s, options.records ? options.records : LIVE_RECORDS);
    pv_stream_close(s);
    s = open_stream(&r, RIG_STREAM);
    costs(&options, s, countable);
    pv_stream_close(s);
    rig_close(&r);
    rig_remove(dir);
    return bench_end();
}
