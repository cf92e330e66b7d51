/* bench_proof.c - reading a large stream: proofs, re-deriving its tree, checking it whole. SPDX-License-Identifier:
 * Apache-2.0 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench_rig.h"
#include "psdk_file.h"
#include "pv_check.h"

#define SHORT_RECORDS 1000000u
#define FULL_RECORDS 10000000u
#define GROUP 4096u
#define SEAL 16384u
#define WARM_PROOFS 2000
#define COLD_PROOFS 40
#define LEAF_ROUNDS 5
#define AHEAD 16u

static uint64_t next_random(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

/* ---- the stream ------------------------------------------------------------------------------------------------ */

struct making {
    const char *dir;
    uint64_t records;
};

static void make_stream(void *ctx) {
    static struct rig_group group;
    const struct making *m = ctx;
    struct rig r;
    struct pv_stream *s = NULL;
    struct pv_seal_report report;
    prov_error err = {0};
    rig_open(&r, m->dir);
    bench_need(pv_stream_open(&r.ledger, RIG_STREAM, &s, &err), &err, "stream");
    bench_need(pv_stream_seal(s, &report, &err), &err, "seal");
    double start = bench_now();
    for (uint64_t size = report.tree_size; size < m->records; size = report.tree_size) {
        for (uint64_t n = 0; n < SEAL && size + n < m->records; n += GROUP) {
            size_t count = m->records - size - n < GROUP ? (size_t)(m->records - size - n) : GROUP;
            rig_fill(&group, pv_stream_origin(s), size + n, count);
            bench_need(pv_stream_append(s, group.draft, count, NULL, &err), &err, "append");
        }
        bench_need(pv_stream_seal(s, &report, &err), &err, "seal");
    }
    bench_note("made a stream of %llu records in %.1f s: %s", (unsigned long long)report.tree_size, bench_now() - start,
               m->dir);
    pv_stream_close(s);
    rig_close(&r);
}

/* The stream is kept for the next run; another process makes it, so that this one opens it afresh. */
static void need_stream(const struct bench_options *options, char ret_dir[512]) {
    struct making m = {ret_dir, options->records ? options->records : options->full ? FULL_RECORDS : SHORT_RECORDS};
    char head[600];
    snprintf(ret_dir, 512, "%.400s/stream-%llu", options->dir, (unsigned long long)m.records);
    snprintf(head, sizeof head, "%s/complete", ret_dir);
    if (access(head, F_OK) == 0)
        return;
    rig_remove(ret_dir); /* one that was not finished */
    bench_in_child(make_stream, &m);
    prov_error err = {0};
    bench_need(psdk_write_file(head, "", 0, 0600, false, &err), &err, head);
}

/* ---- proofs ---------------------------------------------------------------------------------------------------- */

static size_t prove(struct pv_reader *reader, uint64_t index) {
    struct pv_tlog_proof proof;
    struct psdk_buf text = {0};
    prov_error err = {0};
    bench_need(pv_reader_inclusion(reader, index, &proof, &err), &err, "proof");
    bench_need(pv_tlog_proof_write(&text, &proof), NULL, "proof");
    size_t len = text.len;
    psdk_buf_done(&text);
    return len;
}

/* Opens the stream and makes one proof: what a caller that has nothing open pays. Milliseconds. */
static double open_and_prove(const struct rig *r, uint64_t index, size_t *ret_len) {
    struct pv_reader reader;
    prov_error err = {0};
    double start = bench_now();
    bench_need(pv_reader_open(&reader, r->store, RIG_STREAM, &err), &err, "open");
    *ret_len = prove(&reader, index);
    double ms = (bench_now() - start) * 1e3;
    pv_reader_close(&reader);
    return ms;
}

struct dropping {
    const struct rig *rig;
    uint64_t size;
};

static void drop_node(void *ctx, unsigned level, uint64_t index) {
    const struct dropping *d = ctx;
    char name[PV_TILE_NAME], path[1200];
    uint64_t tile = (index << level % 8) / PV_TILE_WIDTH;
    pv_tile_name(level / 8, tile, pv_tile_width(level / 8, tile, d->size), name);
    snprintf(path, sizeof path, "%s/store/%s/%s", d->rig->dir, RIG_STREAM, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    close(fd);
}

static void proofs(const struct rig *r, uint64_t size) {
    struct bench_samples warm = {0}, open_warm = {0}, cold = {0};
    struct pv_reader reader;
    struct dropping d = {r, size};
    prov_error err = {0};
    uint64_t random = 42;
    size_t len = 0, longest = 0;
    bench_need(pv_reader_open(&reader, r->store, RIG_STREAM, &err), &err, "open");
    for (int i = 0; i < COLD_PROOFS; i++) {
        uint64_t index = next_random(&random) % size;
        drop_node(&d, 0, index);
        pv_inclusion_nodes(index, size, drop_node, &d);
        bench_add(&cold, open_and_prove(r, index, &len));
    }
    for (int i = 0; i < WARM_PROOFS; i++) {
        uint64_t index = next_random(&random) % size;
        open_and_prove(r, index, &len); /* warms it */
        bench_add(&open_warm, open_and_prove(r, index, &len));
        double start = bench_now();
        prove(&reader, index);
        bench_add(&warm, (bench_now() - start) * 1e3);
        longest = len > longest ? len : longest;
    }
    pv_reader_close(&reader);
    bench_report(&(struct bench_aim){"proof.inclusion-warm", bench_median(&open_warm), "ms", "wanted", 1, false, 1});
    bench_note("stream opened each time; p99 %.2f ms; on a reader that is open: p50 %.3f ms",
               bench_percentile(&open_warm, 99), bench_median(&warm));
    bench_note("tiles not in the page cache: p50 %.2f ms, p99 %.2f ms", bench_median(&cold),
               bench_percentile(&cold, 99));
    bench_report(&(struct bench_aim){"proof.tlog-proof-size", (double)longest, "bytes", "wanted", 1500, false, 1});
    bench_samples_done(&warm);
    bench_samples_done(&open_warm);
    bench_samples_done(&cold);
}

/* ---- the whole stream ------------------------------------------------------------------------------------------ */

static void add_bundle(struct pv_range *range, const struct psdk_buf *bundle) {
    const uint8_t *entry;
    size_t at = 0, len;
    while (pv_bundle_next(bundle->data, bundle->len, &at, &entry, &len) > 0) {
        uint8_t leaf[32];
        psdk_leaf_hash(entry, len, leaf);
        pv_range_append(range, leaf, NULL, NULL);
    }
}

/* The root from the entries alone. */
static void derive(struct pv_reader *reader, uint64_t size) {
    struct pv_range range = {.size = 0};
    uint64_t bundles = (size + PV_TILE_WIDTH - 1) / PV_TILE_WIDTH;
    uint8_t root[32];
    prov_error err = {0};
    for (uint64_t b = 0; b < bundles; b += AHEAD) {
        struct psdk_buf data[AHEAD];
        size_t n = bundles - b < AHEAD ? (size_t)(bundles - b) : AHEAD;
        memset(data, 0, sizeof data);
        bench_need(pv_reader_bundles(reader, b, n, data, &err), &err, "reading entries");
        for (size_t i = 0; i < n; i++) {
            add_bundle(&range, &data[i]);
            psdk_buf_done(&data[i]);
        }
    }
    pv_range_root(&range, root);
    if (memcmp(root, reader->head.tree.root, 32) != 0)
        bench_need(PROV_E_CORRUPT, NULL, "the derived root differs");
}

static void whole(const struct rig *r) {
    struct pv_reader reader;
    struct bench_samples derived = {0}, checked = {0}, derived_wall = {0}, checked_wall = {0};
    prov_error err = {0};
    bench_need(pv_reader_open(&reader, r->store, RIG_STREAM, &err), &err, "open");
    uint64_t size = reader.head.tree.size;
    for (int round = 0; round < (size > 5000000 ? 1 : 3); round++) {
        double wall = bench_now(), cpu = bench_cpu();
        derive(&reader, size);
        bench_add(&derived, (double)size / (bench_cpu() - cpu));
        bench_add(&derived_wall, (double)size / (bench_now() - wall));
        wall = bench_now();
        cpu = bench_cpu();
        bench_need(pv_stream_check(&reader, r->log_key.public_key, NULL, NULL, NULL, &err), &err, "check");
        bench_add(&checked, (double)size / (bench_cpu() - cpu));
        bench_add(&checked_wall, (double)size / (bench_now() - wall));
    }
    pv_reader_close(&reader);
    bench_report(
        &(struct bench_aim){"proof.derive-tree", bench_median(&derived), "records/s a core", "wanted", 1e6, true, 1});
    bench_report(
        &(struct bench_aim){"proof.full-check", bench_median(&checked), "records/s a core", "wanted", 1e5, true, 1});
    bench_note("by the clock on the wall: %.0f and %.0f records/s", bench_median(&derived_wall),
               bench_median(&checked_wall));
    bench_samples_done(&derived);
    bench_samples_done(&checked);
    bench_samples_done(&derived_wall);
    bench_samples_done(&checked_wall);
}

static double leaf_rate(void) {
    static uint8_t record[256][RIG_RECORD_BYTES];
    uint8_t leaf[32];
    uint64_t n = 0;
    double start = bench_thread(), took;
    do {
        for (int i = 0; i < 256; i++) {
            psdk_leaf_hash(record[i], RIG_RECORD_BYTES, leaf);
            memcpy(record[i], leaf, 32);
        }
        n += 256;
    } while ((took = bench_thread() - start) < 0.5);
    return (double)(n * RIG_RECORD_BYTES) / took;
}

static void leaves(void) {
    struct bench_samples ours = {0}, limit = {0};
    for (int round = 0; round < LEAF_ROUNDS; round++) {
        bench_add(&limit, bench_openssl(RIG_RECORD_BYTES, 1) / 1e6);
        bench_add(&ours, leaf_rate() / 1e6);
    }
    bench_report(&(struct bench_aim){"proof.leaf-hashing", bench_median(&ours), "MB/s", "openssl speed",
                                     bench_median(&limit), true, 0.8});
    bench_samples_done(&ours);
    bench_samples_done(&limit);
}

int main(int argc, char **argv) {
    struct bench_options options;
    struct rig r;
    struct pv_reader reader;
    prov_error err = {0};
    char dir[512];
    bench_begin(argc, argv, "Proofs and checks of a stream of a million records (--full: 10 million), reopened.",
                &options);
    need_stream(&options, dir);
    rig_open(&r, dir);
    bench_need(pv_reader_open(&reader, r.store, RIG_STREAM, &err), &err, "open");
    uint64_t size = reader.head.tree.size;
    pv_reader_close(&reader);
    bench_note("a stream of %llu records of %u bytes", (unsigned long long)size, RIG_RECORD_BYTES);
    proofs(&r, size);
    whole(&r);
    leaves();
    rig_close(&r);
    return bench_end();
}
