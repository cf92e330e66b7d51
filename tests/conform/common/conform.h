/* conform.h - loading a plugin for a conformance suite, as a host does but without one.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef CONFORM_H
#define CONFORM_H

#include <check.h>
#include <stdbool.h>
#include <stdint.h>

#include "prov_plugin.h"

/* Loads the plugin of argv[1] and remembers the options of argv[2..]. false: says why, the suite cannot run. */
bool conform_load(int argc, char **argv, const char *role);
/* The provider under test. */
const prov_provider *conform_provider(void);

/* A fresh folder for a test, and its end. */
void conform_dir_make(void);
void conform_dir_remove(void);
const char *conform_dir(void);

/* A new instance on the folder of this test; several of them share its data. Fails the test when it cannot be had. */
void *conform_create(void);
void conform_destroy(void *instance);

/* A call without a deadline, never cancelled. */
extern const prov_call conform_call;
uint64_t conform_now_ns(void);

/* Fails the test unless rc is the wanted code; on an error also that err says the same, has a message without a newline
 * and an outcome of the ABI. */
void conform_expect(int rc, int want, const prov_error *err, const char *what);

#define EXPECT(want, err, expression)                                                                                  \
    do {                                                                                                               \
        (err) = (prov_error){0};                                                                                       \
        int expect_rc = (expression);                                                                                  \
        conform_expect(expect_rc, (want), &(err), #expression);                                                        \
    } while (0)

#endif
