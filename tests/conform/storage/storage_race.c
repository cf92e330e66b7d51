/* storage_race.c - many threads and processes at once.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A counter object is advanced by compare-and-swap: each success adds exactly one, so at the end its value is the number
 * of successes. A lost update would make it smaller. Tests are skipped where the capability bits do not promise this.
 */
#include "storage.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS 8
#define PROCESSES 4
#define STEPS 25

/* Reads the counter; -1 on failure. */
static long read_counter(void *instance, const char *key, prov_object *ret_object)
{
    prov_error err = {0};
    struct memory_sink state = {0};
    prov_sink sink = memory_sink(&state);
    long value = -1;
    if (ops->get(instance, &conform_call, key, 0, UINT64_MAX, &sink, ret_object, &err) == PROV_OK && state.data != NULL) {
        state.data[state.len] = '\0';
        value = strtol((const char *)state.data, NULL, 10);
    }
    free(state.data);
    return value;
}

/* Adds one, steps times. 0, or the code of a failure that is no lost race. */
static int advance(void *instance, const char *key, int steps)
{
    for (int done = 0; done < steps;) {
        char text[32];
        prov_error err = {0};
        prov_object object = {.struct_size = sizeof object};
        long value = read_counter(instance, key, &object);
        if (value < 0)
            return PROV_E_IO;
        int len = snprintf(text, sizeof text, "%ld", value + 1);
        prov_precond precond = match(object.etag);
        int rc = put_bytes(instance, key, text, (uint64_t)len, &precond, NULL, &err);
        if (rc == PROV_OK)
            done++;
        else if (rc != PROV_E_CONFLICT)
            return rc;
    }
    return 0;
}

struct worker {
    pthread_t thread;
    pthread_barrier_t *barrier;
    unsigned *winners;
    int rc;
};

static void *advance_thread(void *arg)
{
    struct worker *worker = arg;
    worker->rc = advance(store, "count/er", STEPS);
    return NULL;
}

static bool is_threadsafe(void)
{
    return (conform_provider()->capabilities & PROV_CAP_THREADSAFE) != 0;
}

START_TEST(no_update_of_8_threads_is_lost)
{
    struct worker workers[THREADS] = {0};
    prov_error err;
    prov_object object = {.struct_size = sizeof object};
    if (!is_threadsafe())
        return;
    EXPECT(PROV_OK, err, put_text("count/er", "0", NULL, NULL, &err));
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, advance_thread, &workers[i]), 0);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
        ck_assert_int_eq(workers[i].rc, 0);
    }
    ck_assert_int_eq(read_counter(store, "count/er", &object), THREADS * STEPS);
}
END_TEST

/* Rounds of one ABSENT put each on a new key, and of one MATCH put each on the same etag: who succeeds counts itself. */
static void *race_thread(void *arg)
{
    struct worker *worker = arg;
    for (int round = 0; round < STEPS; round++) {
        char key[32];
        prov_error err = {0};
        prov_object object = {.struct_size = sizeof object};
        snprintf(key, sizeof key, "race/%d", round);
        pthread_barrier_wait(worker->barrier);
        int rc = put_bytes(store, key, "x", 1, &absent, NULL, &err);
        if (rc == PROV_OK)
            __atomic_add_fetch(&worker->winners[round * 2], 1, __ATOMIC_SEQ_CST);
        else if (rc != PROV_E_EXISTS)
            worker->rc = rc;
        if (ops->stat(store, &conform_call, key, &object, &err) != PROV_OK)
            worker->rc = PROV_E_IO;
        pthread_barrier_wait(worker->barrier); /* all have the same etag */
        prov_precond precond = match(object.etag);
        err = (prov_error){0};
        rc = put_bytes(store, key, "y", 1, &precond, NULL, &err);
        if (rc == PROV_OK)
            __atomic_add_fetch(&worker->winners[round * 2 + 1], 1, __ATOMIC_SEQ_CST);
        else if (rc != PROV_E_CONFLICT)
            worker->rc = rc;
        pthread_barrier_wait(worker->barrier);
    }
    return NULL;
}

START_TEST(exactly_one_of_8_threads_wins_each_round)
{
    struct worker workers[THREADS] = {0};
    unsigned winners[STEPS * 2] = {0};
    pthread_barrier_t barrier;
    if (!is_threadsafe())
        return;
    pthread_barrier_init(&barrier, NULL, THREADS);
    for (int i = 0; i < THREADS; i++) {
        workers[i].barrier = &barrier;
        workers[i].winners = winners;
        ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, race_thread, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
        ck_assert_int_eq(workers[i].rc, 0);
    }
    for (int i = 0; i < STEPS * 2; i++)
        ck_assert_uint_eq(winners[i], 1);
    pthread_barrier_destroy(&barrier);
}
END_TEST

/* Forks, runs body in each child with an instance of its own, and waits for all to answer 0. */
static void run_processes(int (*body)(void *instance, unsigned *shared, int index), unsigned *shared)
{
    pid_t children[PROCESSES];
    for (int i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        ck_assert_int_ge(children[i], 0);
        if (children[i] == 0) {
            void *instance = conform_create();
            int rc = body(instance, shared, i);
            conform_destroy(instance);
            _exit(rc == 0 ? 0 : 1);
        }
    }
    for (int i = 0; i < PROCESSES; i++) {
        int status = -1;
        ck_assert_int_eq(waitpid(children[i], &status, 0), children[i]);
        ck_assert_int_eq(status, 0);
    }
}

static bool is_shared(void)
{
    return (conform_provider()->capabilities & PROV_CAP_SHARED) != 0;
}

static int advance_process(void *instance, unsigned *shared, int index)
{
    (void)shared;
    (void)index;
    return advance(instance, "count/er", STEPS);
}

START_TEST(no_update_of_4_processes_is_lost)
{
    prov_error err;
    prov_object object = {.struct_size = sizeof object};
    if (!is_shared())
        return;
    EXPECT(PROV_OK, err, put_text("count/er", "0", NULL, NULL, &err));
    run_processes(advance_process, NULL);
    ck_assert_int_eq(read_counter(store, "count/er", &object), PROCESSES * STEPS);
}
END_TEST

/* Rounds of ABSENT and MATCH as in race_thread. shared[0] and [1]: arrivals; then the winners. */
static void meet(unsigned *arrivals, unsigned target)
{
    __atomic_add_fetch(arrivals, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(arrivals, __ATOMIC_SEQ_CST) < target)
        usleep(50);
}

static int race_process(void *instance, unsigned *shared, int index)
{
    unsigned *winners = shared + 2;
    (void)index;
    for (unsigned round = 0; round < STEPS; round++) {
        char key[32];
        prov_error err = {0};
        prov_object object = {.struct_size = sizeof object};
        snprintf(key, sizeof key, "race/%u", round);
        meet(&shared[0], PROCESSES * (round * 2 + 1));
        int rc = put_bytes(instance, key, "x", 1, &absent, NULL, &err);
        if (rc != PROV_OK && rc != PROV_E_EXISTS)
            return rc;
        if (rc == PROV_OK)
            __atomic_add_fetch(&winners[round * 2], 1, __ATOMIC_SEQ_CST);
        if (ops->stat(instance, &conform_call, key, &object, &err) != PROV_OK)
            return PROV_E_IO;
        meet(&shared[0], PROCESSES * (round * 2 + 2));
        prov_precond precond = match(object.etag);
        err = (prov_error){0};
        rc = put_bytes(instance, key, "y", 1, &precond, NULL, &err);
        if (rc != PROV_OK && rc != PROV_E_CONFLICT)
            return rc;
        if (rc == PROV_OK)
            __atomic_add_fetch(&winners[round * 2 + 1], 1, __ATOMIC_SEQ_CST);
    }
    return 0;
}

START_TEST(exactly_one_of_4_processes_wins_each_round)
{
    if (!is_shared())
        return;
    size_t size = sizeof(unsigned) * (2 + STEPS * 2);
    unsigned *shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(shared, MAP_FAILED);
    run_processes(race_process, shared);
    for (int i = 0; i < STEPS * 2; i++)
        ck_assert_uint_eq(shared[2 + i], 1);
    munmap(shared, size);
}
END_TEST

/* Plain puts and deletes on the key of a CAS: a CAS that succeeded must have replaced the very state it saw. */
static int disturb_process(void *instance, unsigned *shared, int index)
{
    for (int i = 0; i < STEPS * 20; i++) {
        char key[32], text[32];
        prov_error err = {0};
        snprintf(key, sizeof key, "d/%d/x", i % 3);
        int len = snprintf(text, sizeof text, "%d-%d", index, i), rc = PROV_OK;
        (void)shared;
        int what = (i + index) % 3, lost = what == 0 ? PROV_E_NOT_FOUND : what == 1 ? PROV_E_EXISTS : PROV_OK;
        if (what == 0)
            rc = ops->del(instance, &conform_call, key, &err); /* takes folders away under the feet of the others */
        else
            rc = put_bytes(instance, key, text, (uint64_t)len, what == 1 ? &absent : NULL, NULL, &err);
        if (rc != PROV_OK && rc != lost)
            return rc;
    }
    return 0;
}

START_TEST(puts_and_deletes_of_4_processes_in_one_folder_do_not_disturb_each_other)
{
    if (is_shared())
        run_processes(disturb_process, NULL);
}
END_TEST

/* Readers during replacement. */
struct reader {
    pthread_t thread;
    uint32_t stop;
    int torn, reads;
};

static void *read_thread(void *arg)
{
    struct reader *reader = arg;
    while (!__atomic_load_n(&reader->stop, __ATOMIC_ACQUIRE)) {
        prov_error err = {0};
        struct memory_sink state = {0};
        prov_sink sink = memory_sink(&state);
        int rc = ops->get(store, &conform_call, "page", 0, UINT64_MAX, &sink, NULL, &err);
        bool whole = rc == PROV_OK && state.len > 0 && state.len % 100000 == 0;
        for (uint64_t i = 1; whole && i < state.len; i++)
            whole = state.data[i] == state.data[0];
        whole = whole && state.len == (uint64_t)(state.data[0] - 'a' + 1) * 100000;
        reader->torn += !whole;
        reader->reads++;
        free(state.data);
    }
    return NULL;
}

START_TEST(a_reader_never_sees_a_mixture_of_two_states)
{
    struct reader reader = {0};
    prov_error err;
    uint8_t *data = malloc(300000);
    if (!is_threadsafe()) {
        free(data);
        return;
    }
    memset(data, 'a', 300000);
    EXPECT(PROV_OK, err, put_bytes(store, "page", data, 100000, NULL, NULL, &err));
    ck_assert_int_eq(pthread_create(&reader.thread, NULL, read_thread, &reader), 0);
    for (unsigned i = 0; i < 60; i++) {
        memset(data, 'a' + (int)(i % 3), 300000);
        EXPECT(PROV_OK, err, put_bytes(store, "page", data, (i % 3 + 1) * 100000, NULL, NULL, &err));
    }
    __atomic_store_n(&reader.stop, 1, __ATOMIC_RELEASE);
    pthread_join(reader.thread, NULL);
    ck_assert_int_gt(reader.reads, 0);
    ck_assert_int_eq(reader.torn, 0);
    free(data);
}
END_TEST

void add_race(Suite *suite)
{
    TCase *test_case = new_case(suite, "race");
    tcase_add_test(test_case, no_update_of_8_threads_is_lost);
    tcase_add_test(test_case, exactly_one_of_8_threads_wins_each_round);
    tcase_add_test(test_case, no_update_of_4_processes_is_lost);
    tcase_add_test(test_case, exactly_one_of_4_processes_wins_each_round);
    tcase_add_test(test_case, puts_and_deletes_of_4_processes_in_one_folder_do_not_disturb_each_other);
    tcase_add_test(test_case, a_reader_never_sees_a_mixture_of_two_states);
}
