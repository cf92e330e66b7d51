/* pv_pool.c - the threads of an instance. SPDX-License-Identifier: Apache-2.0
 *
 * One lock guards the pool and the state of every frame that runs on it, so that giving a frame up and its return
 * exclude each other. Sleeping and waking is by futex on a word of the worker (a job has come) and of the frame (it has
 * returned): one system call each way.
 *
 * fork: the handlers hold all pools' locks while the process is copied. In the child no worker exists: every pool
 * starts empty, and an instance that had an op running at that moment is marked lost, since its state may be half
 * changed.
 */
#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "psdk_file.h"
#include "pv_instance_int.h"

#define NS_PER_S 1000000000ull
#define SLICE_NS 50000000ull /* how often a waiting caller looks at the cancel flags */

static pthread_mutex_t live_lock = PTHREAD_MUTEX_INITIALIZER;
static struct pv_instance *live;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

/* ---- futex ------------------------------------------------------------------------------------------------------- */
static void futex_wait(_Atomic uint32_t *word, uint32_t expected, const struct timespec *timeout)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, timeout, NULL, 0);
}

/* The word may be gone by now: waking an address that nobody waits on is harmless. */
static void futex_wake(_Atomic uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

void pv_pool_wait(struct pv_frame *frame, uint64_t ns)
{
    struct timespec timeout = {.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};
    if (atomic_load_explicit(&frame->state, memory_order_acquire) == PV_FRAME_RUNNING)
        futex_wait(&frame->state, PV_FRAME_RUNNING, &timeout);
}

/* ---- fork -------------------------------------------------------------------------------------------------------- */
static void before_fork(void)
{
    pthread_mutex_lock(&live_lock);
    for (struct pv_instance *i = live; i != NULL; i = i->next_live)
        pthread_mutex_lock(&i->pool.lock);
}

static void after_fork_in_parent(void)
{
    for (struct pv_instance *i = live; i != NULL; i = i->next_live)
        pthread_mutex_unlock(&i->pool.lock);
    pthread_mutex_unlock(&live_lock);
}

static void init_locks(struct pv_pool *pool)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->turn, &attr);
    pthread_condattr_destroy(&attr);
}

static void forget_workers(struct pv_pool *pool)
{
    while (pool->workers != NULL) {
        struct pv_worker *w = pool->workers;
        pool->workers = w->next;
        psdk_close(&w->cancel_fd);
        free(w);
    }
    pool->idle = NULL;
}

static void after_fork_in_child(void)
{
    for (struct pv_instance *i = live; i != NULL; i = i->next_live) {
        struct pv_pool *pool = &i->pool;
        init_locks(pool);
        pthread_mutex_init(&i->secret_lock, NULL);
        pool->lost = pool->lost || pool->running > 0;
        pool->running = 0;
        pool->stuck = 0;
        pool->waiting = 0;
        pool->breaker.trial = false;
        if (!pool->lost) /* else a frame of the parent's may name its worker */
            forget_workers(pool);
        pool->workers = NULL;
        pool->idle = NULL;
    }
    pthread_mutex_init(&live_lock, NULL);
}

static void watch_fork(void)
{
    pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

/* ---- workers ----------------------------------------------------------------------------------------------------- */
/* The op has returned: hands the frame back, or frees it when nobody waits any more. */
static void finish_frame(struct pv_worker *w, struct pv_frame *frame)
{
    struct pv_pool *pool = &w->instance->pool;
    pthread_mutex_lock(&pool->lock);
    bool abandoned = atomic_load_explicit(&frame->state, memory_order_relaxed) == PV_FRAME_ABANDONED;
    if (__atomic_load_n(&frame->cancel, __ATOMIC_RELAXED) != 0) {
        uint64_t drained;
        while (read(w->cancel_fd, &drained, sizeof drained) < 0 && errno == EINTR)
            ;
    }
    pool->running--;
    if (abandoned)
        pool->stuck--;
    w->frame = NULL;
    w->next_idle = pool->idle;
    pool->idle = w;
    if (pool->waiting > 0)
        pthread_cond_signal(&pool->turn);
    if (!abandoned)
        atomic_store_explicit(&frame->state, PV_FRAME_RETURNED, memory_order_release);
    pthread_mutex_unlock(&pool->lock);
    if (abandoned)
        pv_frame_free(frame);
    else
        futex_wake(&frame->state);
}

static void *worker_main(void *arg)
{
    struct pv_worker *w = arg;
    for (;;) {
        while (atomic_load_explicit(&w->wake, memory_order_acquire) == 0)
            futex_wait(&w->wake, 0, NULL);
        atomic_store_explicit(&w->wake, 0, memory_order_relaxed);
        if (w->quit)
            return NULL;
        struct pv_frame *frame = w->frame;
        frame->result = frame->kind->run(frame, &w->instance->provider->ops, w->instance->self);
        finish_frame(w, frame);
    }
}

/* A new thread with all signals blocked, so that they go to the program's own threads. Under the pool's lock. */
static struct pv_worker *spawn_worker(struct pv_instance *instance, prov_error *err)
{
    struct pv_worker *w = calloc(1, sizeof *w);
    if (w == NULL) {
        psdk_fail(err, PROV_E_NOMEM, "%s: no memory for a thread", instance->provider->name);
        return NULL;
    }
    w->instance = instance;
    w->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    sigset_t all;
    sigset_t old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int rc = w->cancel_fd < 0 ? errno : pthread_create(&w->thread, NULL, worker_main, w);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc != 0) {
        psdk_fail_errno(err, rc, "%s: cannot start a thread (%u are running)", instance->provider->name,
                        instance->pool.running);
        psdk_close(&w->cancel_fd);
        free(w);
        return NULL;
    }
    char name[16];
    snprintf(name, sizeof name, "prov:%.10s", instance->provider->name);
    pthread_setname_np(w->thread, name);
    w->next = instance->pool.workers;
    instance->pool.workers = w;
    return w;
}

/* ---- starting and giving up -------------------------------------------------------------------------------------- */
static int refuse_stuck(const struct pv_instance *instance, prov_error *err)
{
    uint64_t since_s = (psdk_monotonic_ns() - instance->pool.stuck_since_ns) / NS_PER_S;
    return psdk_fail(
        err, PROV_E_UNAVAILABLE,
        "%s: unavailable: an op that ignored its deadline %llu s ago still holds it; restart this program if it "
        "does not come back",
        instance->provider->name, (unsigned long long)since_s);
}

/* Waits until one more op may run. Under the lock. */
static int wait_turn(struct pv_instance *instance, const struct pv_frame *frame, prov_error *err)
{
    struct pv_pool *pool = &instance->pool;
    while (pool->running >= pool->max) {
        if (pool->stuck >= pool->max)
            return refuse_stuck(instance, err);
        uint64_t now = psdk_monotonic_ns();
        if (pv_call_cancelled(instance) != PROV_OK)
            return psdk_fail(err, PROV_E_CANCELLED, "%s: %s: cancelled", instance->provider->name, frame->kind->op);
        if (now >= frame->call.deadline_ns)
            return psdk_fail(err, PROV_E_TIMEOUT, "%s: %s: no turn before the deadline: %u other calls are running",
                             instance->provider->name, frame->kind->op, pool->running);
        uint64_t until = frame->call.deadline_ns - now > SLICE_NS ? now + SLICE_NS : frame->call.deadline_ns;
        struct timespec at = {.tv_sec = (time_t)(until / NS_PER_S), .tv_nsec = (long)(until % NS_PER_S)};
        pool->waiting++;
        pthread_cond_timedwait(&pool->turn, &pool->lock, &at);
        pool->waiting--;
    }
    return PROV_OK;
}

int pv_pool_start(struct pv_instance *instance, struct pv_frame *frame, prov_error *err)
{
    struct pv_pool *pool = &instance->pool;
    struct pv_worker *w = NULL;
    pthread_mutex_lock(&pool->lock);
    int rc = PROV_OK;
    if (pool->lost)
        rc = psdk_fail(err, PROV_E_UNAVAILABLE,
                       "%s: unusable in this process: it was in the middle of a call when the process forked; open it "
                       "again, or open it after fork",
                       instance->provider->name);
    if (rc == PROV_OK)
        rc = wait_turn(instance, frame, err);
    if (rc == PROV_OK) {
        w = pool->idle;
        if (w != NULL)
            pool->idle = w->next_idle;
        else if ((w = spawn_worker(instance, err)) == NULL)
            rc = PROV_E_NOMEM;
    }
    if (w != NULL) {
        pool->running++;
        frame->worker = w;
        frame->call.cancel_fd = w->cancel_fd;
        w->frame = frame;
        atomic_store_explicit(&w->wake, 1, memory_order_release);
    }
    pthread_mutex_unlock(&pool->lock);
    if (w != NULL)
        futex_wake(&w->wake);
    else
        psdk_outcome(err, PROV_OUTCOME_NOT_APPLIED);
    return rc;
}

bool pv_pool_abandon(struct pv_instance *instance, struct pv_frame *frame)
{
    struct pv_pool *pool = &instance->pool;
    /* First the callbacks: from here on none of them touches the caller's memory. */
    pthread_mutex_lock(&frame->gate);
    frame->revoked = true;
    pthread_mutex_unlock(&frame->gate);
    pthread_mutex_lock(&pool->lock);
    bool running = atomic_load_explicit(&frame->state, memory_order_acquire) == PV_FRAME_RUNNING;
    if (running) {
        atomic_store_explicit(&frame->state, PV_FRAME_ABANDONED, memory_order_relaxed);
        pool->stuck++;
        pool->stuck_since_ns = psdk_monotonic_ns();
    }
    pthread_mutex_unlock(&pool->lock);
    return running;
}

/* ---- life -------------------------------------------------------------------------------------------------------- */
int pv_pool_init(struct pv_instance *instance)
{
    struct pv_pool *pool = &instance->pool;
    init_locks(pool);
    pool->max = (instance->provider->capabilities & PROV_CAP_THREADSAFE) != 0 ? instance->limits.max_threads : 1;
    pool->breaker.limit = instance->limits.breaker_failures;
    pool->breaker.cooldown_ns = instance->limits.cooldown_ns;
    pthread_once(&fork_once, watch_fork);
    pthread_mutex_lock(&live_lock);
    instance->next_live = live;
    if (live != NULL)
        live->prev_live = instance;
    live = instance;
    pthread_mutex_unlock(&live_lock);
    return PROV_OK;
}

bool pv_pool_done(struct pv_instance *instance)
{
    struct pv_pool *pool = &instance->pool;
    pthread_mutex_lock(&pool->lock);
    bool busy = pool->running > 0;
    for (struct pv_worker *w = pool->workers; !busy && w != NULL; w = w->next) {
        w->quit = true;
        atomic_store_explicit(&w->wake, 1, memory_order_release);
        futex_wake(&w->wake);
    }
    pthread_mutex_unlock(&pool->lock);
    if (busy)
        return false;
    for (struct pv_worker *w = pool->workers; w != NULL; w = w->next)
        pthread_join(w->thread, NULL);
    forget_workers(pool);
    pthread_mutex_lock(&live_lock);
    if (instance->prev_live != NULL)
        instance->prev_live->next_live = instance->next_live;
    else
        live = instance->next_live;
    if (instance->next_live != NULL)
        instance->next_live->prev_live = instance->prev_live;
    pthread_mutex_unlock(&live_lock);
    pthread_cond_destroy(&pool->turn);
    pthread_mutex_destroy(&pool->lock);
    return true;
}
