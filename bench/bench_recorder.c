/* bench_recorder.c - recording from a training thread through libprov. SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench_rig.h"
#include "prov/training.h"

#define CALLS 4000
#define STEP_S 0.0002 /* a training step between two records */
#define LIVE_RECORDS 100000u
#define LIVE_ROUNDS 3
#define NS_PER_S 1000000000u

static const char hash[] = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

/* Nothing of the user's is touched: configuration, keys, state and store are below dir. */
static prov_handle *open_store(const char *dir) {
    prov_error err = {0};
    prov_handle *h = NULL;
    char path[600];
    static const char *const variables[] = {"XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"};
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, variables[i]);
        setenv(variables[i], path, 1);
    }
    prov_init_params init = {.struct_size = sizeof init, .dir = dir, .model_id = "m"};
    bench_need(prov_init(&init, NULL, &err), &err, "prov_init");
    prov_open_params params = {.struct_size = sizeof params, .work_dir = dir};
    bench_need(prov_open(&params, &h, &err), &err, "prov_open");
    return h;
}

static void train(double seconds) {
    for (double end = bench_now() + seconds; bench_now() < end;)
        ;
}

static void record_calls(prov_handle *h, struct bench_samples *us) {
    prov_error err = {0};
    prov_recorder *r = NULL;
    bench_need(prov_recorder_open(h, NULL, &r, &err), &err, "recorder");
    for (int i = 0; i < CALLS; i++) {
        char metrics[160];
        snprintf(metrics, sizeof metrics, "{\"accuracy\":0.%d,\"grad_norm\":1.25,\"loss\":%d.5,\"lr\":0.001}", i % 1000,
                 i);
        prov_checkpoint c = {
            .struct_size = sizeof c, .model_hash = hash, .epoch = i, .step = i, .metrics_json = metrics};
        double start = bench_now();
        int rc = prov_recorder_checkpoint(r, &c, &err);
        bench_add(us, (bench_now() - start) * 1e6);
        bench_need(rc, &err, "recording");
        train(STEP_S);
    }
    bench_need(prov_recorder_flush(r, 1, 60ull * NS_PER_S, &err), &err, "flush");
    bench_need(prov_recorder_close(r, &err), &err, "close");
}

/* Writes to the same disk, synced every 8 MiB, until it is ended. */
static pid_t start_bulk_writer(const char *dir) {
    char path[600];
    snprintf(path, sizeof path, "%s/bulk", dir);
    pid_t child = fork();
    if (child != 0)
        return child;
    static char block[1 << 20];
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    for (uint64_t n = 0; fd >= 0; n++) {
        if (pwrite(fd, block, sizeof block, (off_t)(n % 512 * sizeof block)) < 0 || (n % 8 == 7 && fdatasync(fd) != 0))
            break;
    }
    _exit(1);
}

static void calls(prov_handle *h, const char *dir) {
    struct bench_samples quiet = {0}, noisy = {0};
    record_calls(h, &quiet);
    pid_t writer = start_bulk_writer(dir);
    record_calls(h, &noisy);
    kill(writer, SIGKILL);
    waitpid(writer, NULL, 0);
    bench_report(&(struct bench_aim){"recorder.call-median", bench_median(&quiet), "us", "wanted", 20, false, 1});
    bench_report(
        &(struct bench_aim){"recorder.call-p99", bench_percentile(&quiet, 99), "us", "wanted", 1000, false, 1});
    bench_note("beside a bulk writer on the same disk: median %.1f us, p99 %.1f us, longest %.0f us (without: %.0f us)",
               bench_median(&noisy), bench_percentile(&noisy, 99), bench_percentile(&noisy, 100),
               bench_percentile(&quiet, 100));
    bench_samples_done(&quiet);
    bench_samples_done(&noisy);
}

/* As fast as the recorder takes them, until all are sealed. */
static double live(prov_handle *h, const char *stream) {
    prov_error err = {0};
    prov_recorder *r = NULL;
    prov_recorder_params params = {.struct_size = sizeof params, .block_ns = 30ull * NS_PER_S};
    bench_need(prov_recorder_open(h, &params, &r, &err), &err, "recorder");
    double start = bench_now();
    for (unsigned i = 0; i < LIVE_RECORDS; i++) {
        char body[64];
        snprintf(body, sizeof body, "{\"n\":%u}", i);
        bench_need(prov_recorder_raw(r, stream, "training.step", "m", body, &err), &err, "recording");
    }
    bench_need(prov_recorder_flush(r, 1, 60ull * NS_PER_S, &err), &err, "flush");
    double took = bench_now() - start;
    bench_need(prov_recorder_close(r, &err), &err, "close");
    return LIVE_RECORDS / took;
}

int main(int argc, char **argv) {
    struct bench_options options;
    struct bench_samples rates = {0};
    char dir[512], stream[32];
    bench_begin(argc, argv, "The recorder of libprov, called from a training thread.", &options);
    rig_scratch(options.dir, "recorder", dir);
    prov_handle *h = open_store(dir);
    calls(h, dir);
    for (int round = 0; round < LIVE_ROUNDS; round++) {
        snprintf(stream, sizeof stream, "models/live-%d", round);
        bench_add(&rates, live(h, stream));
    }
    bench_report(&(struct bench_aim){"recorder.live", bench_median(&rates), "records/s", "wanted", 50000, true, 1});
    bench_note("%d runs of %u records, sealed: %.0f to %.0f a second", LIVE_ROUNDS, LIVE_RECORDS,
               bench_percentile(&rates, 0), bench_percentile(&rates, 100));
    bench_samples_done(&rates);
    prov_close(h);
    rig_remove(dir);
    return bench_end();
}
