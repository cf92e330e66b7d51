/* bench_hash.c - hashing files. SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench_rig.h"
#include "psdk_file.h"
#include "pv_training.h"

#define FILE_BYTES ((uint64_t)512 << 20)
#define FULL_FILE_BYTES ((uint64_t)1 << 30)
#define BLOCK ((size_t)1 << 20)
#define ROUNDS 5

struct file {
    char path[600];
    uint64_t size;
};

/* Written, and so in the page cache. */
static void make_file(struct file *f, const char *dir, int number, uint64_t size) {
    uint64_t *block = malloc(BLOCK);
    prov_error err = {0};
    snprintf(f->path, sizeof f->path, "%s/file-%d", dir, number);
    f->size = size;
    int fd = psdk_open(f->path, O_WRONLY | O_CREAT | O_TRUNC, 0600, &err);
    bench_need(fd < 0 ? fd : PROV_OK, &err, "making a file");
    for (uint64_t at = 0; block && at < size; at += BLOCK) {
        for (size_t i = 0; i < BLOCK / 8; i++)
            block[i] = (at + i + (uint64_t)number) * 0x9e3779b97f4a7c15u;
        bench_need(psdk_write_all(fd, block, BLOCK, f->path, &err), &err, "making a file");
    }
    psdk_close(&fd);
    free(block);
}

static void *hash_one(void *arg) {
    const struct file *f = arg;
    const char *path = f->path;
    char hex[PSDK_SHA256_HEX];
    prov_error err = {0};
    bench_need(pv_hash_files(&path, 1, hex, &err), &err, "hashing");
    return NULL;
}

/* Bytes a second of processor time, as `openssl speed` counts for one process. */
static double hash_rate_cpu(struct file *file) {
    double start = bench_thread();
    hash_one(file);
    return (double)file->size / (bench_thread() - start);
}

/* Bytes a second by the clock over n files, a thread each, as `openssl speed -multi` counts. */
static double hash_rate(struct file *files, unsigned n) {
    pthread_t thread[2];
    double start = bench_now();
    for (unsigned i = 1; i < n; i++)
        if (pthread_create(&thread[i], NULL, hash_one, &files[i]) != 0)
            abort();
    hash_one(&files[0]);
    for (unsigned i = 1; i < n; i++)
        pthread_join(thread[i], NULL);
    return (double)(files[0].size * n) / (bench_now() - start);
}

int main(int argc, char **argv) {
    struct bench_options options;
    static struct file files[2];
    struct bench_samples one = {0}, one_wall = {0}, two = {0}, limit_one = {0}, limit_two = {0};
    char dir[512];
    bench_begin(argc, argv, "SHA-256 of files that are in the page cache, one and two at once.", &options);
    rig_scratch(options.dir, "hash", dir);
    for (int i = 0; i < 2; i++)
        make_file(&files[i], dir, i, options.full ? FULL_FILE_BYTES : FILE_BYTES);
    for (int round = 0; round < ROUNDS; round++) {
        bench_add(&limit_one, bench_openssl(BLOCK, 1) / 1e6);
        bench_add(&one, hash_rate_cpu(&files[0]) / 1e6);
        bench_add(&one_wall, hash_rate(files, 1) / 1e6);
        bench_add(&limit_two, bench_openssl(BLOCK, 2) / 1e6);
        bench_add(&two, hash_rate(files, 2) / 1e6);
    }
    rig_remove(dir);
    bench_report(&(struct bench_aim){"hash.one-file", bench_median(&one), "MB/s", "openssl speed",
                                     bench_median(&limit_one), true, 0.9});
    bench_report(&(struct bench_aim){"hash.two-files", bench_median(&two), "MB/s", "openssl speed -multi 2",
                                     bench_median(&limit_two), true, 0.9});
    bench_note("by the clock on the wall two files at once are %.2f times one file; medians of %d rounds",
               bench_median(&two) / bench_median(&one_wall), ROUNDS);
    bench_samples_done(&one);
    bench_samples_done(&one_wall);
    bench_samples_done(&two);
    bench_samples_done(&limit_one);
    bench_samples_done(&limit_two);
    return bench_end();
}
