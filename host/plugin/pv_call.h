/* pv_call.h - the call engine: every op of a plugin runs on a thread of the host, under a deadline.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A call is a frame: one heap block that holds everything that the op can touch (copies of keys, the error,
 * out-structs, the state of source and sink). The caller fills it, pv_call runs it on a worker of the instance, and the
 * caller reads the outputs back. An op that does not return by its deadline and the grace period is abandoned: from
 * then on the frame belongs to its thread, its callbacks answer PROV_E_CANCELLED and never touch the caller's memory
 * again, and the breaker opens. Should the op return after all, its thread frees the frame and goes back to work.
 *
 * Instances without PROV_CAP_THREADSAFE have one call at a time; further callers wait for their turn until their own
 * deadline. After fork the child has fresh workers; an instance that was in a call at that moment is refused there.
 *
 * Threads: everything here is [any]; one frame belongs to one caller at a time.
 */
#ifndef PV_CALL_H
#define PV_CALL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "psdk_err.h"

struct pv_instance;
struct pv_worker;
struct pv_frame;

/* ---- limits of an instance --------------------------------------------------------------------------------------- */
struct pv_call_limits {
    uint64_t timeout_ns;       /* of one op */
    uint64_t grace_ns;         /* how long an op may overrun its deadline before it is abandoned */
    uint32_t breaker_failures; /* consecutive ones of kind network, timeout or unavailable that open the breaker */
    uint64_t cooldown_ns;      /* how long it stays open at first; doubles with each failed trial, up to 32 times */
    uint32_t max_threads;      /* of a provider with PROV_CAP_THREADSAFE */
};
#define PV_CALL_TIMEOUT_NS 60000000000ull
#define PV_CALL_GRACE_NS 1000000000ull
#define PV_CALL_FAILURES 5u
#define PV_CALL_COOLDOWN_NS 10000000000ull
#define PV_CALL_THREADS 32u

/* ---- frames ------------------------------------------------------------------------------------------------------ */
/* Bytes of a known pattern around each struct that a plugin writes; a plugin that writes past one is found out. */
#define PV_GUARD_BYTES 64
struct pv_guard {
    uint8_t bytes[PV_GUARD_BYTES];
};
#define PV_FRAME_GUARDS 8

/* What a kind of frame does. */
struct pv_frame_kind {
    const char *op; /* its name, for messages: "put" */
    bool changes;   /* whether the op changes something: an outcome that is not said is UNKNOWN, else NOT_APPLIED */
    bool always;    /* runs even while calls are cancelled: destroy */
    size_t size;    /* of the whole frame, which starts with struct pv_frame */
    /* Runs the op on a worker: calls into the provider's table and returns its result. */
    int32_t (*run)(struct pv_frame *frame, const void *ops, void *self);
    /* Frees what the frame owns, not the frame; NULL: nothing. May run on a worker. */
    void (*done)(struct pv_frame *frame);
};

/* The head of every frame. Members marked (w) are the engine's own. */
struct pv_frame {
    const struct pv_frame_kind *kind;
    prov_call call;   /* what the op is given; set by pv_call_begin */
    uint64_t idle_ns; /* > 0: also give up when neither source nor sink moved for this long; set before pv_call_begin */
    struct pv_instance *instance; /* (w) */
    struct pv_worker *worker;     /* (w) */
    _Atomic uint32_t state;       /* (w) */
    uint32_t cancel;              /* (w) what call.cancel points to; atomic access only */
    int32_t result;               /* (w) */
    bool trial;                   /* (w) the one call of a half-open breaker */
    uint64_t begun_ns;            /* (w) */
    _Atomic uint64_t moved_ns;    /* (w) last time a callback ran */
    pthread_mutex_t gate;         /* (w) held while a callback touches the caller's memory */
    bool revoked;                 /* (w) under gate */
    struct {
        const struct pv_guard *guard;
        const char *name;
    } guards[PV_FRAME_GUARDS]; /* (w) */
    uint32_t n_guards;         /* (w) */
    struct pv_guard err_front;
    prov_error err; /* what the op is given */
    struct pv_guard err_back;
};

/* A zeroed frame of kind->size bytes with guards around err; NULL when memory is out. */
struct pv_frame *pv_frame_new(const struct pv_frame_kind *kind);
/* Frees a frame that is not running. Safe on NULL. */
void pv_frame_free(struct pv_frame *frame);
/* Fills a guard that lies in the frame and has it checked after the call. name is what lies in front of it. */
void pv_frame_guard(struct pv_frame *frame, struct pv_guard *guard, const char *name);
/* Callbacks that touch the caller's memory do so between enter and leave. false: revoked, answer PROV_E_CANCELLED. */
bool pv_frame_enter(struct pv_frame *frame);
void pv_frame_leave(struct pv_frame *frame);

/* ---- calls ------------------------------------------------------------------------------------------------------- */
/* The deadline of a call that starts now, with the instance's timeout and extra_ns more. */
uint64_t pv_call_deadline(const struct pv_instance *instance, uint64_t extra_ns);
/* The instance's timeout of one op. */
uint64_t pv_call_timeout(const struct pv_instance *instance);
/* Starts the op. deadline_ns on CLOCK_MONOTONIC. On an error the frame stays the caller's and nothing was run: breaker
 * open (PROV_E_UNAVAILABLE), no turn in time (PROV_E_TIMEOUT), cancelled, no thread (PROV_E_NOMEM); outcome
 * NOT_APPLIED. */
int pv_call_begin(struct pv_instance *instance, struct pv_frame *frame, uint64_t deadline_ns, prov_error *err);
/* Waits for a started op and returns its normalised result: codes are PROV_OK or known and negative, the message is a
 * string with the driver's name in front, the outcome is set. When the op was abandoned *frame becomes NULL (it is the
 * worker's now) and the result is PROV_E_TIMEOUT or PROV_E_CANCELLED. */
int pv_call_finish(struct pv_frame **frame, prov_error *err);
/* Both. *frame stays the caller's unless it becomes NULL. */
int pv_call(struct pv_instance *instance, struct pv_frame **frame, uint64_t deadline_ns, prov_error *err);
/* For checks that the caller makes on the outputs of an op that said PROV_OK: counts the lie as a failure of the
 * backend. */
int pv_call_blame(struct pv_instance *instance, prov_error *err, const char *format, ...) PSDK_PRINTF(3, 4);

/* Asks all running calls of the process to stop, and refuses new ones, until pv_call_cancel_reset. Async-signal-safe.
 */
void pv_call_cancel_all(void);
void pv_call_cancel_reset(void);
/* As a negative code: PROV_E_CANCELLED when calls are refused on this instance (NULL: in the process), else PROV_OK. */
int pv_call_cancelled(const struct pv_instance *instance);

/* ---- retries ----------------------------------------------------------------------------------------------------- */
/* State of a retry loop: {0}, then `while (pv_retry_again(...))`. */
struct pv_retry {
    uint32_t attempts; /* made so far */
};
/* After an attempt that failed with rc and err: decides whether the same op may be tried again and waits for it. Only
 * what certainly did not happen is retried (outcome RETRY_LATER; NOT_APPLIED with a network, timeout or unavailable
 * code), while time is left until deadline_ns and the breaker is closed. Jittered exponential backoff, or what the
 * backend asked for. */
bool pv_retry_again(struct pv_retry *retry, struct pv_instance *instance, uint64_t deadline_ns, int rc,
                    const prov_error *err);

#endif
