/* bench.h - what all benchmarks share: samples, percentiles, aims, and the limits to compare with.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A benchmark prints one line for each aim:
 *   journal.record: 142 us (append+fdatasync 131 us): ratio 1.08 [aim at most 1.30] ok
 * The limit is measured in the same run, in turns with what is measured, so that a machine that is busy or throttled
 * slows both. Lines that begin with two blanks say what else was seen. A program ends with 0 when every aim was met,
 * 1 when one was missed, 2 when it could not run.
 */
#ifndef PROV_BENCH_H
#define PROV_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "psdk_err.h"

struct bench_options {
    bool full;        /* --full: the sizes of the aims that take minutes */
    uint64_t records; /* --records N; 0: the benchmark's own choice */
    const char *dir;  /* --dir D: where it writes; below the build folder unless given */
};
/* Reads the arguments; explains itself and ends the program on --help or a mistake. */
void bench_begin(int argc, char **argv, const char *what, struct bench_options *ret);
/* The exit code. */
int bench_end(void);

double bench_now(void);    /* seconds, monotonic */
double bench_cpu(void);    /* seconds of all cores that this process used */
double bench_thread(void); /* seconds of a core that this thread used */

struct bench_samples {
    double *value;
    size_t n, cap;
};
void bench_add(struct bench_samples *s, double value);
/* p from 0 to 100; 50 is the median. 0 when there are no samples. */
double bench_percentile(const struct bench_samples *s, double p);
double bench_median(const struct bench_samples *s);
void bench_samples_done(struct bench_samples *s);

struct bench_aim {
    const char *name;
    double value; /* measured */
    const char *unit;
    const char *limit_name; /* what it is compared with */
    double limit;
    bool at_least; /* or at most */
    double aim;    /* of value / limit */
};
void bench_report(const struct bench_aim *aim);
void bench_note(const char *format, ...) PSDK_PRINTF(1, 2);
/* Ends the program with a message unless rc is PROV_OK. */
void bench_need(int rc, const prov_error *err, const char *what);

/* Bytes a second that `openssl speed -evp sha256` reaches on blocks of so many bytes, with `jobs` processes. */
double bench_openssl(size_t block_bytes, unsigned jobs);

/* This process since it began: bytes given to write calls, calls of read and write. */
struct bench_io {
    uint64_t written_bytes;
    uint64_t read_calls, write_calls;
};
void bench_io(struct bench_io *ret);
/* The most memory that was resident since the last bench_memory_reset (or the start). */
uint64_t bench_memory_bytes(void);
void bench_memory_reset(void);

/* Runs body in a child process; ends the program when that fails. */
void bench_in_child(void (*body)(void *ctx), void *ctx);

#endif
