/* pv_log.c - the process's log sink. SPDX-License-Identifier: Apache-2.0 */
#include "pv_log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

#define MESSAGE_BYTES 2001

static pthread_rwlock_t sink_lock = PTHREAD_RWLOCK_INITIALIZER;
static pv_log_sink sink_fn;
static void *sink_ctx;
static atomic_int sink_level = -1; /* -1: no sink */

void pv_log_set(pv_log_sink sink, void *ctx, int max_level)
{
    pthread_rwlock_wrlock(&sink_lock);
    sink_fn = sink;
    sink_ctx = ctx;
    atomic_store(&sink_level, sink != NULL ? max_level : -1);
    pthread_rwlock_unlock(&sink_lock);
}

bool pv_log_enabled(int level)
{
    return level <= atomic_load_explicit(&sink_level, memory_order_relaxed);
}

void pv_log(int level, const char *format, ...)
{
    if (!pv_log_enabled(level))
        return;
    int saved = errno;
    char message[MESSAGE_BYTES];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(message, sizeof message, format, args);
    va_end(args);
    if (n >= 0) {
        for (char *p = message; *p != '\0'; p++) {
            if ((unsigned char)*p < 0x20 || *p == 0x7f)
                *p = ' ';
        }
        pthread_rwlock_rdlock(&sink_lock);
        if (sink_fn != NULL)
            sink_fn(sink_ctx, level, message);
        pthread_rwlock_unlock(&sink_lock);
    }
    errno = saved;
}
