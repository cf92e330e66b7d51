/* bench_calls.h - counts the system calls of all threads of this process, exactly, through ptrace.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Only the stretch between begin and end is slowed down.
 */
#ifndef PROV_BENCH_CALLS_H
#define PROV_BENCH_CALLS_H

#include <stdbool.h>
#include <stdint.h>

/* Call it before any thread is started: what returns is a child of the process that counts. false: ptrace is forbidden
 * here, nothing will be counted. */
bool bench_calls_init(void);
void bench_calls_begin(void);
/* All system calls since begin (without those of these functions). ret_most (may be NULL) gets the most frequent ones
 * as text, "pwrite64 310, fsync 120, ...". */
uint64_t bench_calls_end(char ret_most[160]);

#endif
