/* pv_log.h - the process's log sink.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Library code never prints: it hands messages to one sink that the front door sets (none at first, so messages
 * vanish). Nothing is removed from a message, so a secret must never be put into one. Levels are PROV_LOG_* of
 * prov_plugin.h, ERROR (0) to DEBUG (3). Threads: [any].
 */
#ifndef PV_LOG_H
#define PV_LOG_H

#include <stdbool.h>

#include "psdk_err.h"

/* Receives one message: UTF-8, one line, no newline at its end, valid during the call. Called from any thread, several
 * at once; it must not call pv_log_set. */
typedef void (*pv_log_sink)(void *ctx, int level, const char *message);

/* Sets the sink and the least urgent level that it wants. sink NULL: none. ctx stays valid until the next pv_log_set
 * has returned, after which the old sink is no longer running. */
void pv_log_set(pv_log_sink sink, void *ctx, int max_level);
/* Whether a message of this level would be seen: for messages that are dear to make. */
bool pv_log_enabled(int level);
/* Formats (cut at 2000 bytes) and hands on; control characters become spaces. Never fails, keeps errno. */
void pv_log(int level, const char *format, ...) PSDK_PRINTF(2, 3);

#endif
