/* psdk_plugin.h - what every plugin does with its calls and options.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Threads: [any]. Since 1.0.
 */
#ifndef PSDK_PLUGIN_H
#define PSDK_PLUGIN_H

#include <stdbool.h>

#include "psdk_file.h"

/* PROV_OK while the call may go on; PROV_E_CANCELLED or PROV_E_TIMEOUT (outcome NOT_APPLIED) once the caller gave up or
 * the deadline has passed. Ask between chunks of work, and before anything that changes state. */
int psdk_call_check(const prov_call *call, prov_error *err);
/* How long the call may still take: 0 when it is over, UINT64_MAX when it has no deadline. */
uint64_t psdk_call_left_ns(const prov_call *call);

/* Takes a lock file for as long as the call may last, looking now and then whether it was cancelled. */
int psdk_call_lock(const prov_call *call, struct psdk_lock *lock, const char *path, prov_error *err);

/* The value of an option as the host gave it, or NULL. Borrowed from values. */
const char *psdk_option_get(const prov_option_value *values, uint64_t n_values, const char *name);
/* As above, as a truth value; fallback when it is absent. */
bool psdk_option_bool(const prov_option_value *values, uint64_t n_values, const char *name, bool fallback);

/* Gives an error that has none yet the outcome that its code implies when nothing was changed: PERMANENT for what will
 * not go away by itself (DENIED, CONFIG, INVALID, LIMIT, UNSUPPORTED), else NOT_APPLIED. Returns rc. */
int psdk_not_applied(prov_error *err, int rc);

#endif
