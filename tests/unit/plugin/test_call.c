/* test_call.c - deadlines, abandoned calls, the breaker, cancelling, fork. SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "plugin_bench.h"
#include "pv_breaker.h"
#include "pv_instance.h"
#include "pv_store.h"

#ifdef __SANITIZE_THREAD__
/* The thread sanitizer refuses threads in a forked child unless it is told otherwise. */
__attribute__((visibility("default"))) const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "die_after_fork=0";
}
#endif

static struct bench b;
static struct bench_spec s;
static struct pv_store *store;

static void setup(void)
{
    bench_init(&b);
}

static void teardown(void)
{
    pv_call_cancel_reset();
    pv_store_close(store);
    store = NULL;
    bench_done(&b);
}

static void open_with(const char *driver, const char *mode, const struct pv_call_limits *limits)
{
    prov_error err = {0};
    ck_assert_msg(pv_store_open(b.plugins, bench_spec(&s, &b, driver, mode), &store, &err) == PROV_OK, "%s",
                  err.message);
    if (limits != NULL)
        pv_instance_limit(pv_store_instance(store), limits);
}

static const struct pv_call_limits quick = {
    .timeout_ns = 150 * BENCH_MS, .grace_ns = 100 * BENCH_MS, .cooldown_ns = 200 * BENCH_MS};
static const char *const both[] = {"fx-store", "fx-store-mt"};

/* ---- answers that are not as they should be ---------------------------------------------------------------------- */
static const struct {
    const char *mode;
    int code;
    int outcome;
    const char *says;
} odd[] = {
    {"positive", PROV_E_PLUGIN, PROV_OUTCOME_NOT_APPLIED,
     "fx-store: stat returned 7: a plugin returns 0 or a negative code"},
    {"unknown-code", PROV_E_INTERNAL, PROV_OUTCOME_NOT_APPLIED,
     "fx-store: stat returned the unknown code -555: what is this"},
    {"no-message", PROV_E_DENIED, PROV_OUTCOME_NOT_APPLIED, "fx-store: stat: denied"},
    {"bad-outcome", PROV_E_IO, PROV_OUTCOME_NOT_APPLIED, "fx-store: disk on fire"},
    {"no-nul", PROV_E_IO, PROV_OUTCOME_NOT_APPLIED, "fx-store: xxxxxxxx"},
    {"overrun-object", PROV_E_PLUGIN, PROV_OUTCOME_NOT_APPLIED, "fx-store: stat wrote past the end of ret_object"},
    {"overrun-err", PROV_E_PLUGIN, PROV_OUTCOME_NOT_APPLIED, "fx-store: stat wrote past the end of err"},
};

START_TEST(an_odd_answer_becomes_a_clean_error)
{
    prov_error err = {0};
    open_with("fx-store", odd[_i].mode, NULL);
    ck_assert_int_eq(pv_store_stat(store, "options", NULL, &err), odd[_i].code);
    ck_assert_int_eq(err.code, odd[_i].code);
    ck_assert_int_eq(err.outcome, odd[_i].outcome);
    ck_assert_msg(strncmp(err.message, odd[_i].says, strlen(odd[_i].says)) == 0, "want '%s', got '%s'", odd[_i].says,
                  err.message);
    ck_assert_uint_lt(strlen(err.message), sizeof err.message);
}
END_TEST

START_TEST(an_outcome_that_is_not_said_depends_on_the_op)
{
    prov_error err = {0};
    open_with("fx-store", "network-unset", NULL);
    ck_assert_int_eq(pv_store_del(store, "options", &err), PROV_E_NETWORK);
    ck_assert_int_eq(err.outcome, PROV_OUTCOME_UNKNOWN);
    struct pv_call_limits one = {.timeout_ns = 20 * BENCH_MS};
    pv_instance_limit(pv_store_instance(store), &one);
    ck_assert_int_eq(pv_store_stat(store, "options", NULL, &err), PROV_E_NETWORK);
    ck_assert_int_eq(err.outcome, PROV_OUTCOME_NOT_APPLIED);
}
END_TEST

START_TEST(a_plugin_that_writes_past_a_struct_is_never_called_again)
{
    prov_error err = {0};
    open_with("fx-store", "overrun-object", &quick);
    ck_assert_int_eq(pv_store_put(store, "a", "x", 1, NULL, NULL, &err), PROV_E_PLUGIN);
    ck_assert_int_eq(err.outcome, PROV_OUTCOME_UNKNOWN);
    ck_assert(pv_store_open_breaker(store));
    usleep(450000);
    ck_assert_int_eq(pv_store_stat(store, "options", NULL, &err), PROV_E_PLUGIN);
    ck_contains(err.message, "not used any more in this process");
}
END_TEST

/* ---- deadlines --------------------------------------------------------------------------------------------------- */
START_TEST(an_op_that_ignores_its_deadline_is_abandoned)
{
    prov_error err = {0};
    prov_object object;
    open_with(both[_i], "hang", &quick);
    bench_touch(s.marker);
    uint64_t start = psdk_monotonic_ns();
    ck_assert_int_eq(pv_store_stat(store, "options", &object, &err), PROV_E_TIMEOUT);
    uint64_t took = psdk_monotonic_ns() - start;
    ck_assert_uint_ge(took, 250 * BENCH_MS);
    ck_assert_uint_lt(took, 1500 * BENCH_MS);
    ck_contains(err.message, "stat did not return by its deadline");
    ck_assert(pv_store_open_breaker(store));
    ck_assert_int_eq(pv_store_stat(store, "options", &object, &err), PROV_E_UNAVAILABLE);
    ck_assert_int_eq(err.outcome, PROV_OUTCOME_NOT_APPLIED);
    ck_contains(err.message, "unavailable: ");
    /* It comes back: after the cool-down the instance works again. */
    unlink(s.marker);
    usleep(700000);
    ck_assert_msg(pv_store_stat(store, "options", &object, &err) == PROV_OK, "%s", err.message);
    ck_assert(!pv_store_open_breaker(store));
}
END_TEST

START_TEST(an_instance_with_a_hanging_op_closes_without_waiting)
{
    prov_error err = {0};
    open_with(both[_i], "hang", &quick);
    bench_touch(s.marker);
    ck_assert_int_eq(pv_store_stat(store, "options", NULL, &err), PROV_E_TIMEOUT);
    uint64_t start = psdk_monotonic_ns();
    pv_store_close(store);
    store = NULL;
    ck_assert_uint_lt(psdk_monotonic_ns() - start, 500 * BENCH_MS);
    unlink(s.marker); /* it returns into what was left behind */
    usleep(50000);
}
END_TEST

START_TEST(a_threadsafe_instance_tries_again_beside_a_hanging_op)
{
    prov_error err = {0};
    open_with("fx-store-mt", "hang", &quick);
    bench_touch(s.marker);
    ck_assert_int_eq(pv_store_stat(store, "options", NULL, &err), PROV_E_TIMEOUT);
    usleep(250000);
    uint64_t start = psdk_monotonic_ns();
    ck_assert_int_eq(pv_store_stat(store, "options", NULL, &err), PROV_E_TIMEOUT); /* the trial hangs too */
    ck_assert_uint_ge(psdk_monotonic_ns() - start, 250 * BENCH_MS);
    ck_assert_int_eq(pv_store_stat(store, "options", NULL, &err), PROV_E_UNAVAILABLE);
    ck_contains(err.message, "breaker open after 2 failures (last: ");
    ck_contains(err.message, "next try in ");
    ck_assert_uint_gt(err.retry_after_ms, 0);
    unlink(s.marker);
    usleep(50000);
}
END_TEST

START_TEST(a_sink_is_revoked_with_its_call)
{
    prov_error err = {0};
    struct psdk_buf buf = {0};
    open_with("fx-store", "sink-later", &quick);
    bench_touch(s.marker);
    ck_assert_int_eq(pv_store_get(store, "options", 4096, &buf, NULL, &err), PROV_E_TIMEOUT);
    unlink(s.marker);
    usleep(100000);
    ck_assert_uint_eq(buf.len, 0);
    psdk_buf_done(&buf);
}
END_TEST

START_TEST(a_source_is_revoked_with_its_call)
{
    prov_error err = {0};
    char *data = malloc(64);
    memset(data, 'x', 64);
    open_with("fx-store", "source-later", &quick);
    bench_touch(s.marker);
    ck_assert_int_eq(pv_store_put(store, "k", data, 64, NULL, NULL, &err), PROV_E_TIMEOUT);
    ck_assert_int_eq(err.outcome, PROV_OUTCOME_UNKNOWN);
    free(data); /* a late read would be seen by the sanitizers */
    unlink(s.marker);
    usleep(100000);
}
END_TEST

START_TEST(an_op_that_looks_at_cancel_stops_at_its_deadline)
{
    prov_error err = {0};
    open_with("fx-store", "polite", &quick);
    ck_assert_int_eq(pv_store_stat(store, "options", NULL, &err), PROV_E_TIMEOUT);
    ck_contains(err.message, "stopped as asked");
    ck_assert(!pv_store_open_breaker(store));
}
END_TEST

/* ---- cancelling -------------------------------------------------------------------------------------------------- */
static void *cancel_soon(void *how)
{
    usleep(100000);
    if (how != NULL)
        pv_instance_cancel(how, true);
    else
        pv_call_cancel_all();
    return NULL;
}

START_TEST(a_cancel_stops_the_running_call_and_refuses_new_ones)
{
    prov_error err = {0};
    pthread_t thread;
    open_with("fx-store", "polite", NULL);
    uint64_t start = psdk_monotonic_ns();
    pthread_create(&thread, NULL, cancel_soon, _i == 0 ? NULL : pv_store_instance(store));
    ck_assert_int_eq(pv_store_stat(store, "options", NULL, &err), PROV_E_CANCELLED);
    pthread_join(thread, NULL);
    ck_assert_uint_lt(psdk_monotonic_ns() - start, 2000 * BENCH_MS);
    ck_assert_int_eq(pv_store_stat(store, "options", NULL, &err), PROV_E_CANCELLED);
    ck_assert_int_eq(err.outcome, PROV_OUTCOME_NOT_APPLIED);
    ck_assert(!pv_store_open_breaker(store));
    pv_call_cancel_reset();
    pv_instance_cancel(pv_store_instance(store), false);
}
END_TEST

START_TEST(an_op_that_ignores_cancel_is_abandoned)
{
    prov_error err = {0};
    pthread_t thread;
    struct pv_call_limits limits = {.grace_ns = 100 * BENCH_MS};
    open_with("fx-store", "hang", &limits);
    bench_touch(s.marker);
    pthread_create(&thread, NULL, cancel_soon, NULL);
    ck_assert_int_eq(pv_store_stat(store, "options", NULL, &err), PROV_E_CANCELLED);
    ck_contains(err.message, "when it was cancelled");
    pthread_join(thread, NULL);
    unlink(s.marker);
    usleep(50000);
}
END_TEST

/* ---- turns ------------------------------------------------------------------------------------------------------- */
static void *one_stat(void *arg)
{
    int *rc = arg;
    *rc = pv_store_stat(store, "options", NULL, NULL);
    return NULL;
}

static uint64_t eight_at_once(void)
{
    pthread_t threads[8];
    int codes[8];
    uint64_t start = psdk_monotonic_ns();
    for (int i = 0; i < 8; i++)
        pthread_create(&threads[i], NULL, one_stat, &codes[i]);
    for (int i = 0; i < 8; i++) {
        pthread_join(threads[i], NULL);
        ck_assert_int_eq(codes[i], PROV_OK);
    }
    return psdk_monotonic_ns() - start;
}

START_TEST(an_instance_that_is_not_threadsafe_has_one_call_at_a_time)
{
    open_with("fx-store", "slow", NULL);
    ck_assert_uint_ge(eight_at_once(), 8 * 30 * BENCH_MS);
}
END_TEST

START_TEST(a_threadsafe_instance_has_many)
{
    open_with("fx-store-mt", "slow", NULL);
    ck_assert_uint_lt(eight_at_once(), 200 * BENCH_MS);
}
END_TEST

START_TEST(who_gets_no_turn_in_time_is_told_so)
{
    pthread_t thread;
    int code = 0;
    prov_error err = {0};
    struct pv_call_limits limits = {.timeout_ns = 200 * BENCH_MS, .grace_ns = 400 * BENCH_MS};
    open_with("fx-store", "hang", &limits);
    bench_touch(s.marker);
    pthread_create(&thread, NULL, one_stat, &code);
    usleep(50000);
    ck_assert_int_eq(pv_store_del(store, "options", &err), PROV_E_TIMEOUT);
    ck_contains(err.message, "no turn before the deadline");
    ck_assert_int_eq(err.outcome, PROV_OUTCOME_NOT_APPLIED);
    unlink(s.marker);
    pthread_join(thread, NULL);
    ck_assert_int_eq(code, PROV_OK); /* it came back within its grace */
}
END_TEST

/* ---- breaker ----------------------------------------------------------------------------------------------------- */
START_TEST(five_failures_open_the_breaker_and_a_good_trial_closes_it)
{
    struct pv_breaker breaker = {.limit = 5, .cooldown_ns = 10};
    bool trial = false;
    prov_error err = {0};
    for (int i = 0; i < 4; i++)
        pv_breaker_leave(&breaker, 100, false, PROV_E_NETWORK, "refused");
    pv_breaker_leave(&breaker, 100, false, PROV_E_NOT_FOUND, "");
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(pv_breaker_enter(&breaker, 100, &trial, &err), PROV_OK);
        pv_breaker_leave(&breaker, 100, trial, PROV_E_TIMEOUT, "late");
    }
    ck_assert_int_eq(pv_breaker_enter(&breaker, 105, &trial, &err), PROV_E_UNAVAILABLE);
    ck_contains(err.message, "breaker open after 5 failures (last: late), next try in 1 s");
    ck_assert_int_eq(pv_breaker_enter(&breaker, 110, &trial, &err), PROV_OK);
    ck_assert(trial);
    bool second = false;
    ck_assert_int_eq(pv_breaker_enter(&breaker, 110, &second, &err), PROV_E_UNAVAILABLE);
    ck_contains(err.message, "a trial is under way");
    pv_breaker_leave(&breaker, 110, true, PROV_E_NETWORK, "refused");
    ck_assert(pv_breaker_is_open(&breaker, 129)); /* twice as long */
    ck_assert(!pv_breaker_is_open(&breaker, 130));
    ck_assert_int_eq(pv_breaker_enter(&breaker, 130, &trial, &err), PROV_OK);
    pv_breaker_leave(&breaker, 130, trial, PROV_OK, "");
    ck_assert_int_eq(pv_breaker_enter(&breaker, 130, &trial, &err), PROV_OK);
    ck_assert(!trial);
}
END_TEST

START_TEST(a_cancelled_call_says_nothing_about_the_backend)
{
    struct pv_breaker breaker = {.limit = 2, .cooldown_ns = 10};
    pv_breaker_leave(&breaker, 1, false, PROV_E_NETWORK, "x");
    pv_breaker_leave(&breaker, 1, false, PROV_E_CANCELLED, "x");
    ck_assert(!pv_breaker_is_open(&breaker, 1));
    pv_breaker_leave(&breaker, 1, false, PROV_E_NETWORK, "x");
    ck_assert(pv_breaker_is_open(&breaker, 1));
}
END_TEST

START_TEST(a_backend_that_fails_in_the_network_is_left_alone_for_a_while)
{
    prov_error err = {0};
    open_with("fx-store", "network", &quick);
    int opened = 0;
    for (int i = 0; i < 8 && !opened; i++) {
        ck_assert_int_lt(pv_store_stat(store, "options", NULL, &err), 0);
        opened = pv_store_open_breaker(store);
    }
    ck_assert(opened);
    ck_assert_int_eq(pv_store_stat(store, "options", NULL, &err), PROV_E_UNAVAILABLE);
    ck_contains(err.message,
                "fx-store: unavailable: breaker open after 5 failures (last: fx-store: connection refused)");
}
END_TEST

/* ---- fork -------------------------------------------------------------------------------------------------------- */
static int in_child(int (*body)(void))
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        alarm(10);
        _exit(body());
    }
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int call_in_child(void)
{
    return pv_store_stat(store, "options", NULL, NULL) == PROV_OK &&
           pv_store_put(store, "k", "v", 1, NULL, NULL, NULL) == PROV_OK;
}

START_TEST(a_forked_child_gets_workers_of_its_own)
{
    open_with(both[_i], "ok", NULL);
    ck_assert_int_eq(pv_store_stat(store, "options", NULL, NULL), PROV_OK);
    ck_assert_int_eq(in_child(call_in_child), 1);
    ck_assert_int_eq(pv_store_stat(store, "options", NULL, NULL), PROV_OK);
}
END_TEST

static int refused_in_child(void)
{
    prov_error err = {0};
    int rc = pv_store_stat(store, "options", NULL, &err);
    return rc == PROV_E_UNAVAILABLE && strstr(err.message, "when the process forked") != NULL;
}

START_TEST(an_instance_that_was_in_a_call_is_refused_in_the_child)
{
    pthread_t thread;
    int code = 0;
    open_with("fx-store-mt", "hang", NULL);
    bench_touch(s.marker);
    pthread_create(&thread, NULL, one_stat, &code);
    usleep(50000);
    ck_assert_int_eq(in_child(refused_in_child), 1);
    unlink(s.marker);
    pthread_join(thread, NULL);
    ck_assert_int_eq(code, PROV_OK);
}
END_TEST

/* ---- cost -------------------------------------------------------------------------------------------------------- */
START_TEST(a_round_trip_to_a_worker_is_cheap)
{
    prov_object object;
    open_with("fx-store", "ok", NULL);
    uint64_t best = UINT64_MAX;
    for (int round = 0; round < 10; round++) {
        uint64_t start = psdk_monotonic_ns();
        for (int i = 0; i < 500; i++)
            pv_store_stat(store, "options", &object, NULL);
        uint64_t each = (psdk_monotonic_ns() - start) / 500;
        best = each < best ? each : best;
    }
    printf("# round trip: %.1f us\n", (double)best / 1000);
    ck_assert_uint_lt(best, 1 * BENCH_MS); /* a busy machine may be slow; a sleep of a slice (50 ms) would show */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("call");
    TCase *tc = tcase_create("call");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 30);
    tcase_add_loop_test(tc, an_odd_answer_becomes_a_clean_error, 0, (int)(sizeof odd / sizeof odd[0]));
    tcase_add_test(tc, an_outcome_that_is_not_said_depends_on_the_op);
    tcase_add_test(tc, a_plugin_that_writes_past_a_struct_is_never_called_again);
    tcase_add_loop_test(tc, an_op_that_ignores_its_deadline_is_abandoned, 0, 2);
    tcase_add_loop_test(tc, an_instance_with_a_hanging_op_closes_without_waiting, 0, 2);
    tcase_add_test(tc, a_threadsafe_instance_tries_again_beside_a_hanging_op);
    tcase_add_test(tc, a_sink_is_revoked_with_its_call);
    tcase_add_test(tc, a_source_is_revoked_with_its_call);
    tcase_add_test(tc, an_op_that_looks_at_cancel_stops_at_its_deadline);
    tcase_add_loop_test(tc, a_cancel_stops_the_running_call_and_refuses_new_ones, 0, 2);
    tcase_add_test(tc, an_op_that_ignores_cancel_is_abandoned);
    tcase_add_test(tc, an_instance_that_is_not_threadsafe_has_one_call_at_a_time);
    tcase_add_test(tc, a_threadsafe_instance_has_many);
    tcase_add_test(tc, who_gets_no_turn_in_time_is_told_so);
    tcase_add_test(tc, five_failures_open_the_breaker_and_a_good_trial_closes_it);
    tcase_add_test(tc, a_cancelled_call_says_nothing_about_the_backend);
    tcase_add_test(tc, a_backend_that_fails_in_the_network_is_left_alone_for_a_while);
    tcase_add_loop_test(tc, a_forked_child_gets_workers_of_its_own, 0, 2);
    tcase_add_test(tc, an_instance_that_was_in_a_call_is_refused_in_the_child);
    tcase_add_test(tc, a_round_trip_to_a_worker_is_cheap);
    suite_add_tcase(suite, tc);
    return bench_run(suite);
}
