/* pv_instance_int.h - the inside of an instance, for the files of this folder. SPDX-License-Identifier: Apache-2.0 */
#ifndef PV_INSTANCE_INT_H
#define PV_INSTANCE_INT_H

#include "pv_breaker.h"
#include "pv_instance.h"
#include "pv_options.h"
#include "pv_provider.h"

/* A thread that runs ops. Lives as long as its pool, or for ever when its op never returns. */
struct pv_worker {
    pthread_t thread;
    struct pv_instance *instance;
    struct pv_worker *next;      /* all workers of the pool */
    struct pv_worker *next_idle; /* idle ones, last used first */
    _Atomic uint32_t wake;       /* 1: frame is set, or quit */
    struct pv_frame *frame;
    bool quit;
    int cancel_fd; /* what call.cancel_fd is: an eventfd of this worker's own */
};

/* The threads of an instance. All members under lock but those said otherwise. */
struct pv_pool {
    pthread_mutex_t lock;
    pthread_cond_t turn; /* a running call has ended */
    struct pv_worker *workers;
    struct pv_worker *idle;
    uint32_t running; /* ops that have not returned, abandoned ones too */
    uint32_t stuck;   /* of those, abandoned ones */
    uint32_t max;     /* 1 unless PROV_CAP_THREADSAFE */
    uint32_t waiting; /* callers in line */
    uint64_t stuck_since_ns;
    struct pv_breaker breaker;
    bool lost; /* the process forked while an op was running: unusable here */
};

struct pv_instance {
    const struct pv_provider *provider;
    void *self; /* the plugin's */
    struct pv_call_limits limits;
    _Atomic uint32_t cancelled;
    struct pv_pool pool;
    /* Host services. */
    prov_host host;
    prov_service_state state_service;
    char *state_parent; /* NULL: no state folder can be had */
    char *state_path;   /* made on first use */
    char *state_key;
    pthread_mutex_t secret_lock;
    bool creating; /* secrets may be asked for; under secret_lock */
    struct pv_option_values values;
    /* All live instances of the process, for fork. */
    struct pv_instance *prev_live;
    struct pv_instance *next_live;
};

/* pv_frame.c: the name of a struct that was written past, or NULL. */
const char *pv_frame_broken_guard(const struct pv_frame *frame);

/* pv_pool.c */
int pv_pool_init(struct pv_instance *instance);
/* Ends the workers. false: some op has not returned, nothing may be freed. */
bool pv_pool_done(struct pv_instance *instance);
/* Takes a turn and a worker for frame and starts it. */
int pv_pool_start(struct pv_instance *instance, struct pv_frame *frame, prov_error *err);
/* Gives a running frame up: true when its worker owns it now, false when it has returned in the meantime. */
bool pv_pool_abandon(struct pv_instance *instance, struct pv_frame *frame);
/* Waits until the frame's state is no longer running, at most ns. */
void pv_pool_wait(struct pv_frame *frame, uint64_t ns);

#define PV_FRAME_RUNNING 0u
#define PV_FRAME_RETURNED 1u
#define PV_FRAME_ABANDONED 2u

#endif
