/* pv_call.c - the call engine: begin, wait, normalise the answer. SPDX-License-Identifier: Apache-2.0 */
#include "pv_call.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "psdk_file.h"
#include "pv_instance_int.h"
#include "pv_log.h"

#define NS_PER_S 1000000000ull
#define NS_PER_MS 1000000ull
#define SLICE_NS 50000000ull /* how often a waiting caller looks at the cancel flags */
#define RETRY_MAX 5u
#define RETRY_BASE_NS 50000000ull

static _Atomic uint32_t all_cancelled;

/* ---- cancelling -------------------------------------------------------------------------------------------------- */
void pv_call_cancel_all(void)
{
    atomic_store(&all_cancelled, 1);
}

void pv_call_cancel_reset(void)
{
    atomic_store(&all_cancelled, 0);
}

int pv_call_cancelled(const struct pv_instance *instance)
{
    bool cancelled = atomic_load_explicit(&all_cancelled, memory_order_relaxed) != 0 ||
                     (instance != NULL && atomic_load_explicit(&instance->cancelled, memory_order_relaxed) != 0);
    return cancelled ? PROV_E_CANCELLED : PROV_OK;
}

/* Tells the op to stop: its flag and its descriptor. */
static void tell_to_stop(struct pv_frame *frame)
{
    struct pv_pool *pool = &frame->instance->pool;
    pthread_mutex_lock(&pool->lock);
    if (atomic_load_explicit(&frame->state, memory_order_relaxed) == PV_FRAME_RUNNING) {
        uint64_t one = 1;
        __atomic_store_n(&frame->cancel, 1u, __ATOMIC_SEQ_CST);
        ssize_t n = write(frame->worker->cancel_fd, &one, sizeof one);
        (void)n; /* full: readable already */
    }
    pthread_mutex_unlock(&pool->lock);
}

/* ---- begin ------------------------------------------------------------------------------------------------------- */
uint64_t pv_call_deadline(const struct pv_instance *instance, uint64_t extra_ns)
{
    return psdk_monotonic_ns() + instance->limits.timeout_ns + extra_ns;
}

uint64_t pv_call_timeout(const struct pv_instance *instance)
{
    return instance->limits.timeout_ns;
}

int pv_call_begin(struct pv_instance *instance, struct pv_frame *frame, uint64_t deadline_ns, prov_error *err)
{
    frame->instance = instance;
    frame->begun_ns = psdk_monotonic_ns();
    frame->call.struct_size = sizeof frame->call;
    frame->call.deadline_ns = deadline_ns;
    frame->call.cancel = &frame->cancel;
    frame->call.cancel_fd = -1;
    frame->call.trace_id = "";
    atomic_store_explicit(&frame->moved_ns, frame->begun_ns, memory_order_relaxed);
    if (!frame->kind->always && pv_call_cancelled(instance) != PROV_OK) {
        psdk_fail(err, PROV_E_CANCELLED, "%s: %s: cancelled", instance->provider->name, frame->kind->op);
        return psdk_outcome(err, PROV_OUTCOME_NOT_APPLIED);
    }
    pthread_mutex_lock(&instance->pool.lock);
    int rc = pv_breaker_enter(&instance->pool.breaker, frame->begun_ns, &frame->trial, err);
    pthread_mutex_unlock(&instance->pool.lock);
    if (rc != PROV_OK)
        return psdk_wrap(err, "%s", instance->provider->name);
    rc = pv_pool_start(instance, frame, err);
    if (rc != PROV_OK && frame->trial) {
        pthread_mutex_lock(&instance->pool.lock);
        instance->pool.breaker.trial = false;
        pthread_mutex_unlock(&instance->pool.lock);
    }
    return rc;
}

/* ---- normalising the answer -------------------------------------------------------------------------------------- */
static bool known_code(int32_t code)
{
    switch (code) {
#define KNOWN(name, value, text, cli, http, py) case (value):
        PROV_RC_TABLE(KNOWN)
#undef KNOWN
        return true;
    default:
        return false;
    }
}

/* Makes a plugin's message a clean one-line string. */
static void clean_message(char *message, size_t cap)
{
    message[cap - 1] = '\0';
    size_t len = strlen(message);
    while (len > 0 && (message[len - 1] == '\n' || message[len - 1] == ' '))
        message[--len] = '\0';
    for (char *p = message; *p != '\0'; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = ' ';
    }
}

static void default_outcome(const struct pv_frame_kind *kind, prov_error *err)
{
    bool unset = err->outcome <= PROV_OUTCOME_UNSET || err->outcome > PROV_OUTCOME_UNKNOWN;
    if (!kind->changes && (unset || err->outcome == PROV_OUTCOME_UNKNOWN))
        err->outcome = PROV_OUTCOME_NOT_APPLIED;
    else if (unset)
        err->outcome = PROV_OUTCOME_UNKNOWN;
}

/* Reads what the op left in a returned frame into err, with the driver's name in front. */
static int read_error(const struct pv_frame *frame, prov_error *err)
{
    const char *name = frame->instance->provider->name;
    int32_t result = frame->result;
    if (result > 0) {
        psdk_fail(err, PROV_E_PLUGIN, "%s: %s returned %d: a plugin returns 0 or a negative code", name,
                  frame->kind->op, (int)result);
        err->outcome = frame->kind->changes ? PROV_OUTCOME_UNKNOWN : PROV_OUTCOME_NOT_APPLIED;
        return PROV_E_PLUGIN;
    }
    *err = frame->err;
    clean_message(err->message, sizeof err->message);
    if (err->message[0] == '\0')
        snprintf(err->message, sizeof err->message, "%s: %s", frame->kind->op, psdk_rc_text(result));
    if (!known_code(result)) {
        err->code = PROV_E_INTERNAL;
        psdk_wrap(err, "%s returned the unknown code %d", frame->kind->op, (int)result);
    } else {
        err->code = result;
    }
    err->reserved = 0;
    default_outcome(frame->kind, err);
    size_t name_len = strlen(name);
    if (strncmp(err->message, name, name_len) != 0 || err->message[name_len] != ':')
        psdk_wrap(err, "%s", name);
    return err->code;
}

static void tell_breaker(struct pv_instance *instance, bool trial, int code, const char *message)
{
    pthread_mutex_lock(&instance->pool.lock);
    pv_breaker_leave(&instance->pool.breaker, psdk_monotonic_ns(), trial, code, message);
    pthread_mutex_unlock(&instance->pool.lock);
}

static void trip_breaker(struct pv_instance *instance, bool trial, bool forever, const char *message)
{
    pthread_mutex_lock(&instance->pool.lock);
    if (trial)
        instance->pool.breaker.trial = false;
    pv_breaker_trip(&instance->pool.breaker, psdk_monotonic_ns(), forever, message);
    pthread_mutex_unlock(&instance->pool.lock);
}

/* A plugin that writes past what it was given may have hurt anything: it is never called again. */
static int condemn(struct pv_frame *frame, const char *where, prov_error *err)
{
    psdk_fail(err, PROV_E_PLUGIN,
              "%s: %s wrote past the end of %s: the plugin is faulty and not used any more; report it "
              "to its author",
              frame->instance->provider->name, frame->kind->op, where);
    err->outcome = frame->kind->changes ? PROV_OUTCOME_UNKNOWN : PROV_OUTCOME_NOT_APPLIED;
    pv_log(PROV_LOG_ERROR, "%s", err->message);
    trip_breaker(frame->instance, frame->trial, true, err->message);
    return PROV_E_PLUGIN;
}

/* ---- wait -------------------------------------------------------------------------------------------------------- */
struct patience {
    bool told;           /* the op was asked to stop */
    bool by_caller;      /* because of a cancel, not of the deadline */
    uint64_t give_up_ns; /* 0: not yet known */
};

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Looks at the clock and the cancel flags. Returns how long to sleep, 0: give up. */
static uint64_t look(struct pv_frame *frame, struct patience *p)
{
    const struct pv_instance *instance = frame->instance;
    uint64_t now = psdk_monotonic_ns();
    uint64_t stop = frame->call.deadline_ns;
    if (frame->idle_ns > 0) {
        uint64_t moved = atomic_load_explicit(&frame->moved_ns, memory_order_relaxed);
        stop = earlier(stop, moved + frame->idle_ns);
    }
    bool cancelled = !frame->kind->always && pv_call_cancelled(instance) != PROV_OK;
    if (!p->told && (cancelled || now >= stop)) {
        p->told = true;
        p->by_caller = cancelled;
        p->give_up_ns = now + instance->limits.grace_ns;
        tell_to_stop(frame);
    }
    if (!p->told)
        return earlier(stop - now, SLICE_NS);
    return now >= p->give_up_ns ? 0 : p->give_up_ns - now;
}

static int give_up(struct pv_frame *frame, const struct patience *p, prov_error *err)
{
    const char *name = frame->instance->provider->name;
    uint64_t spent_ms = (psdk_monotonic_ns() - frame->begun_ns) / NS_PER_MS;
    int code = p->by_caller ? PROV_E_CANCELLED : PROV_E_TIMEOUT;
    psdk_fail(err, code, "%s: %s did not return %s (%llu.%03llu s): the call was abandoned", name, frame->kind->op,
              p->by_caller ? "when it was cancelled" : "by its deadline", (unsigned long long)(spent_ms / 1000),
              (unsigned long long)(spent_ms % 1000));
    err->outcome = frame->kind->changes ? PROV_OUTCOME_UNKNOWN : PROV_OUTCOME_NOT_APPLIED;
    pv_log(PROV_LOG_WARN, "%s", err->message);
    return code;
}

int pv_call_finish(struct pv_frame **frame_at, prov_error *err)
{
    struct pv_frame *frame = *frame_at;
    struct pv_instance *instance = frame->instance;
    struct patience patience = {0};
    prov_error own;
    if (err == NULL)
        err = &own;
    while (atomic_load_explicit(&frame->state, memory_order_acquire) == PV_FRAME_RUNNING) {
        uint64_t ns = look(frame, &patience);
        if (ns > 0) {
            pv_pool_wait(frame, ns);
            continue;
        }
        bool trial = frame->trial;
        int code = give_up(frame, &patience, err);
        if (pv_pool_abandon(instance, frame)) {
            *frame_at = NULL;
            trip_breaker(instance, trial, false, err->message);
            return code;
        }
    }
    const char *broken = pv_frame_broken_guard(frame);
    if (broken != NULL)
        return condemn(frame, broken, err);
    if (frame->result == PROV_OK) {
        tell_breaker(instance, frame->trial, PROV_OK, "");
        return PROV_OK;
    }
    int code = read_error(frame, err);
    if (code == PROV_E_CANCELLED && patience.told && !patience.by_caller)
        code = err->code = PROV_E_TIMEOUT; /* it was the deadline that asked it to stop */
    tell_breaker(instance, frame->trial, code, err->message);
    return code;
}

int pv_call(struct pv_instance *instance, struct pv_frame **frame, uint64_t deadline_ns, prov_error *err)
{
    int rc = pv_call_begin(instance, *frame, deadline_ns, err);
    return rc == PROV_OK ? pv_call_finish(frame, err) : rc;
}

int pv_call_blame(struct pv_instance *instance, prov_error *err, const char *format, ...)
{
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    prov_error own;
    if (err == NULL)
        err = &own;
    psdk_fail(err, PROV_E_PLUGIN, "%s: %s: the plugin is faulty, report it to its author", instance->provider->name,
              text);
    err->outcome = PROV_OUTCOME_UNKNOWN;
    tell_breaker(instance, false, PROV_E_PLUGIN, err->message);
    return PROV_E_PLUGIN;
}

/* ---- retries ----------------------------------------------------------------------------------------------------- */
static bool worth_retrying(int rc, const prov_error *err)
{
    if (rc == PROV_E_CANCELLED)
        return false;
    if (err->outcome == PROV_OUTCOME_RETRY_LATER)
        return true;
    return err->outcome == PROV_OUTCOME_NOT_APPLIED &&
           (rc == PROV_E_NETWORK || rc == PROV_E_TIMEOUT || rc == PROV_E_UNAVAILABLE);
}

/* Between half and all of ns: a cheap mix of the clock is random enough to spread callers. */
static uint64_t jitter(uint64_t ns)
{
    uint64_t x = psdk_monotonic_ns() * 0x9e3779b97f4a7c15ull;
    x ^= x >> 29;
    return ns / 2 + x % (ns / 2 + 1);
}

bool pv_retry_again(struct pv_retry *retry, struct pv_instance *instance, uint64_t deadline_ns, int rc,
                    const prov_error *err)
{
    retry->attempts++;
    if (retry->attempts >= RETRY_MAX || !worth_retrying(rc, err) || pv_instance_refuses(instance))
        return false;
    uint64_t delay =
        err->retry_after_ms > 0 ? err->retry_after_ms * NS_PER_MS : jitter(RETRY_BASE_NS << (retry->attempts - 1));
    uint64_t now = psdk_monotonic_ns();
    if (now + delay >= deadline_ns)
        return false;
    pv_log(PROV_LOG_DEBUG, "%s: trying again in %llu ms (%u): %s", instance->provider->name,
           (unsigned long long)(delay / NS_PER_MS), retry->attempts, err->message);
    for (uint64_t until = now + delay; now < until; now = psdk_monotonic_ns()) {
        if (pv_call_cancelled(instance) != PROV_OK)
            return false;
        uint64_t nap = earlier(until - now, SLICE_NS);
        struct timespec t = {.tv_sec = (time_t)(nap / NS_PER_S), .tv_nsec = (long)(nap % NS_PER_S)};
        nanosleep(&t, NULL);
    }
    return true;
}
