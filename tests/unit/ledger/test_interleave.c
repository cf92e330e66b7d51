/* test_interleave.c - two writers with two keys and two journals seal one stream, in every order of their store operations.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Each writer is a thread that waits at each store operation for its turn. The test tries every sequence of turns, and at
 * each operation that changes the store also: the writer dies before or after it (in the middle of a put_many too), the
 * operation is not done and the answer is lost, or the answer is lost and it is done at any later time (at once, too). A
 * death at a read is the same as one before the next change, but at the very first, when nothing was noted yet. A run is a list of choices, replayed from the start;
 * a state (what each writer saw so far, what the store holds) that was reached before is not followed again. In each
 * new state a reader finds a stream that verifies, and at each end both writers come back, append and seal.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <time.h>
#include <unistd.h>

#include "psdk_file.h"
#include "pv_check.h"
#include "pv_stream.h"
#include "unit/ledger/fake_store.h"
#include "unit/ledger/saved_file.h"

#define STREAM "models/m"
#define ACTORS 2
#define STEPS_MAX 400
#define LATE_MAX 4
#define SEEN_SLOTS ((size_t)1 << 22)

/* The pauses between attempts would only cost time here. */
int nanosleep(const struct timespec *wanted, struct timespec *rest)
{
    (void)wanted;
    (void)rest;
    return 0;
}

enum verdict { DO, DIE_BEFORE, DIE_AFTER, DIE_HALF, LOST, LATE };
enum where { RUNNING, WAITING, DONE };

struct actor {
    char dir[64];
    struct psdk_ed25519 key;
    struct pv_ledger ledger;
    struct pv_stream *stream;
    pthread_t thread;
    enum where where;
    enum verdict verdict;
    bool changes, first; /* what it waits for */
    size_t items;
    bool dead;
    int rc;
    uint64_t history; /* hash of all that it did and saw */
    char message[256];
    struct saved_file file[3]; /* of the journal: sealed, segment, control */
};

static struct actor actor[ACTORS];
static struct psdk_ed25519 log_key;
static struct fake_store base; /* as each run finds it */
static struct fake_change late[LATE_MAX];
static size_t n_late;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turn = PTHREAD_COND_INITIALIZER;
static _Thread_local struct actor *me;

/* ---- states ----------------------------------------------------------------------------------------------------------- */

static uint64_t hash_store(void)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < fake.n; i++)
        if (fake.object[i].data)
            sum += hash_object(&fake.object[i]); /* in whatever order they came */
    return mix64(1, sum);
}

static uint64_t hash_state(unsigned budget)
{
    uint64_t h = mix64(mix64(14695981039346656037u, budget), hash_store());
    for (int i = 0; i < ACTORS; i++)
        h = mix64(mix64(h, actor[i].history), (uint64_t)actor[i].where * 2 + actor[i].dead);
    for (size_t i = 0; i < n_late; i++)
        for (size_t k = 0; k < late[i].n; k++)
            h = mix(h, late[i].items[k].key, strlen(late[i].items[k].key));
    return h;
}

/* Seen states. */
static uint64_t *seen;

static bool first_time(uint64_t state)
{
    state |= 1;
    for (size_t i = state % SEEN_SLOTS;; i = (i + 1) % SEEN_SLOTS) {
        if (seen[i] == state)
            return false;
        if (seen[i] == 0) {
            seen[i] = state;
            return true;
        }
    }
}

/* ---- the gate --------------------------------------------------------------------------------------------------------- */

static int gone(prov_error *err)
{
    psdk_fail(err, PROV_E_IO, "the writer is dead");
    return psdk_outcome(err, PROV_OUTCOME_PERMANENT);
}

static int lost(prov_error *err)
{
    psdk_fail(err, PROV_E_TIMEOUT, "the answer was lost");
    return psdk_outcome(err, PROV_OUTCOME_UNKNOWN);
}

static enum verdict wait_turn(enum fake_kind kind, const char *key, bool changes, size_t items)
{
    me->history = mix(mix64(me->history, kind), key, strlen(key));
    me->changes = changes;
    me->items = items;
    pthread_mutex_lock(&lock);
    me->where = WAITING;
    pthread_cond_broadcast(&turn);
    while (me->where == WAITING)
        pthread_cond_wait(&turn, &lock);
    pthread_mutex_unlock(&lock);
    me->history = mix64(me->history, me->verdict);
    me->first = false;
    return me->verdict;
}

/* What it writes to its journal from here on did not happen. */
static void die(void)
{
    me->dead = true;
    save(&me->file[0]);
}

static int gate_read(enum fake_kind kind, const char *key, prov_error *err)
{
    if (!me)
        return PROV_OK;
    if (me->dead)
        return gone(err);
    if (wait_turn(kind, key, false, 1) == DO)
        return PROV_OK;
    die();
    return gone(err);
}

static void gate_seen(const char *key, unsigned version)
{
    if (me && !me->dead)
        me->history = mix(mix64(me->history, version), key, strlen(key));
}

static int gate_change(struct fake_change *change, prov_object *ret, prov_error *err)
{
    int rc = PROV_OK;
    prov_error unseen = {0};
    enum verdict v = DO;
    if (me && me->dead) {
        fake_change_done(change);
        return gone(err);
    }
    if (me)
        v = wait_turn(change->kind, change->items[0].key, true, change->n);
    if (v == DO || v == DIE_AFTER)
        rc = fake_apply(change, SIZE_MAX, ret, err);
    else if (v == DIE_HALF)
        fake_apply(change, change->n / 2, NULL, &unseen);
    if (v == LATE) {
        late[n_late++] = *change;
        return lost(err);
    }
    fake_change_done(change);
    if (v == DIE_BEFORE || v == DIE_AFTER || v == DIE_HALF) {
        die();
        return gone(err);
    }
    if (v != DO)
        return lost(err);
    if (me)
        me->history = mix64(me->history, (uint64_t)(int64_t)rc);
    return rc;
}

/* ---- one run ---------------------------------------------------------------------------------------------------------- */

static void *write_and_seal(void *arg)
{
    prov_error err = {0};
    me = arg;
    me->rc = pv_stream_seal(me->stream, NULL, &err);
    snprintf(me->message, sizeof me->message, "%.255s", err.message);
    pthread_mutex_lock(&lock);
    me->where = DONE;
    pthread_cond_broadcast(&turn);
    pthread_mutex_unlock(&lock);
    return NULL;
}

static void settle(void)
{
    pthread_mutex_lock(&lock);
    for (int i = 0; i < ACTORS; i++)
        while (actor[i].where == RUNNING)
            pthread_cond_wait(&turn, &lock);
    pthread_mutex_unlock(&lock);
}

static void let_go(struct actor *a, enum verdict v)
{
    pthread_mutex_lock(&lock);
    a->verdict = v;
    a->where = RUNNING;
    pthread_cond_broadcast(&turn);
    while (a->where == RUNNING)
        pthread_cond_wait(&turn, &lock);
    pthread_mutex_unlock(&lock);
}

struct choice {
    int who;    /* an actor, or ACTORS + i: the late operation i */
    enum verdict verdict;
};

/* faulted: how many of the writers may meet faults. */
static size_t choices(unsigned budget, int faulted, struct choice ret[32])
{
    size_t n = 0;
    for (int i = 0; i < ACTORS; i++)
        if (actor[i].where == WAITING)
            ret[n++] = (struct choice){i, DO};
    for (size_t i = 0; i < n_late; i++)
        ret[n++] = (struct choice){ACTORS + (int)i, DO};
    for (int i = 0; i < faulted && budget; i++) {
        if (actor[i].where != WAITING)
            continue;
        if (actor[i].changes || actor[i].first)
            ret[n++] = (struct choice){i, DIE_BEFORE};
        if (!actor[i].changes)
            continue;
        ret[n++] = (struct choice){i, DIE_AFTER};
        if (actor[i].items > 1)
            ret[n++] = (struct choice){i, DIE_HALF};
        ret[n++] = (struct choice){i, LOST};
        if (n_late < LATE_MAX)
            ret[n++] = (struct choice){i, LATE};
    }
    return n;
}

static void take(const struct choice *c, unsigned *budget)
{
    if (c->who < ACTORS) {
        *budget -= c->verdict != DO;
        let_go(&actor[c->who], c->verdict);
        return;
    }
    size_t i = (size_t)(c->who - ACTORS);
    prov_error unseen = {0};
    fake_apply(&late[i], SIZE_MAX, NULL, &unseen);
    fake_change_done(&late[i]);
    late[i] = late[--n_late];
}

static uint64_t check_stream(const char *when)
{
    struct pv_reader r;
    prov_error err = {0};
    int rc = pv_reader_open(&r, NULL, STREAM, &err);
    if (rc == PROV_E_NOT_FOUND)
        return 0;
    ck_assert_msg(rc == PROV_OK, "%s: %s: %s", when, psdk_rc_name(rc), err.message);
    rc = pv_stream_check(&r, log_key.public_key, NULL, NULL, NULL, &err);
    ck_assert_msg(rc == PROV_OK, "%s: %s: %s", when, psdk_rc_name(rc), err.message);
    uint64_t size = r.head.tree.size;
    pv_reader_close(&r);
    return size;
}

static void append_one(struct pv_stream *s)
{
    prov_error err = {0};
    struct pv_draft d = {"test.note", "m", "tester", "{\"n\":1}", 7};
    ok(pv_stream_append(s, &d, 1, NULL, &err), &err);
}

/* Both come back as after a restart, append and seal; all that was ever appended is in the log, once. */
static void come_back(void)
{
    uint64_t total = 0;
    prov_error err = {0};
    for (int i = 0; i < ACTORS; i++) {
        struct pv_stream *s = NULL;
        struct pv_journal_state state;
        ok(pv_stream_open(&actor[i].ledger, STREAM, &s, &err), &err);
        append_one(s);
        ok(pv_stream_seal(s, NULL, &err), &err);
        ok(pv_stream_state(s, &state, &err), &err);
        ck_assert(!state.pending);
        total += state.next_wseq;
        pv_stream_close(s);
    }
    ck_assert_uint_eq(check_stream("after coming back"), total); /* the check saw each wseq of each writer once */
}

struct run {
    uint8_t choice[STEPS_MAX];
    size_t n; /* given; then 0 is chosen */
};

struct figures {
    size_t runs, ends, kinds_of_end, states, failed_seals;
};

static void begin_run(void)
{
    prov_error err = {0};
    fake_copy(&fake, &base);
    for (int i = 0; i < ACTORS; i++) {
        struct actor *a = &actor[i];
        a->where = RUNNING;
        a->dead = false;
        a->first = true;
        a->history = 7;
        ok(pv_stream_open(&a->ledger, STREAM, &a->stream, &err), &err);
        ck_assert_int_eq(pthread_create(&a->thread, NULL, write_and_seal, a), 0);
    }
    settle();
}

static void end_run(void)
{
    for (int i = 0; i < ACTORS; i++) {
        while (actor[i].where != DONE)
            let_go(&actor[i], DIE_BEFORE);
        pthread_join(actor[i].thread, NULL);
        pv_stream_close(actor[i].stream);
        actor[i].stream = NULL;
    }
    while (n_late)
        fake_change_done(&late[--n_late]);
}

/* Runs one sequence; alternatives at new states go onto the stack. Returns whether it came to its end. */
static bool follow(struct run *r, unsigned budget, int faulted, struct run **stack, size_t *n_stack, struct figures *f)
{
    struct choice options[32];
    bool faultless = true;
    unsigned all = budget;
    for (size_t step = 0;; step++) {
        ck_assert_uint_lt(step, STEPS_MAX);
        size_t n = choices(budget, faulted, options), pick = step < r->n ? r->choice[step] : 0;
        if (step >= r->n && n) {
            if (!first_time(hash_state(budget)))
                return false;
            f->states++;
            if (first_time(mix64(2, hash_store())))
                check_stream("in between");
            r->choice[step] = 0;
            for (size_t i = 1; i < n; i++) {
                *stack = realloc(*stack, (*n_stack + 1) * sizeof **stack);
                ck_assert_ptr_nonnull(*stack);
                struct run *other = &(*stack)[(*n_stack)++];
                memcpy(other->choice, r->choice, step);
                other->choice[step] = (uint8_t)i;
                other->n = step + 1;
            }
        }
        if (!n)
            break;
        ck_assert_uint_lt(pick, n);
        take(&options[pick], &budget);
    }
    faultless = budget == all;
    for (int i = 0; i < ACTORS; i++) {
        ck_assert_msg(!faultless || actor[i].rc == PROV_OK, "a seal without any fault failed: %s", actor[i].message);
        if (!actor[i].dead && actor[i].rc)
            f->failed_seals++;
    }
    return true;
}

static void restore_journals(bool only_mark)
{
    for (int i = 0; i < ACTORS; i++)
        for (int k = 0; k < (only_mark ? 1 : 3); k++)
            restore(&actor[i].file[k]);
}

/* What the next process will find: the store and how far each journal says that it is sealed. */
static uint64_t hash_end(void)
{
    uint64_t h = mix64(3, hash_store());
    for (int i = 0; i < ACTORS; i++)
        h = mix(h, actor[i].file[0].data, actor[i].file[0].len);
    return h;
}

/* Tries everything from `base` and the journals as they are. */
static struct figures explore(unsigned budget, int faulted)
{
    struct figures f = {0};
    struct run *stack = calloc(1, sizeof *stack);
    size_t n_stack = 1;
    uint8_t *fresh[ACTORS];
    size_t fresh_len[ACTORS];
    for (int i = 0; i < ACTORS; i++) {
        for (int k = 0; k < 3; k++)
            save(&actor[i].file[k]);
        fresh_len[i] = actor[i].file[0].len;
        fresh[i] = malloc(fresh_len[i] + 1);
        memcpy(fresh[i], actor[i].file[0].data, fresh_len[i]);
    }
    memset(seen, 0, SEEN_SLOTS * sizeof *seen);
    while (n_stack) {
        struct run r = stack[--n_stack];
        bool again = false;
        begin_run();
        bool end = follow(&r, budget, faulted, &stack, &n_stack, &f);
        end_run();
        f.runs++;
        if (end) {
            f.ends++;
            for (int i = 0; i < ACTORS; i++)
                if (!actor[i].dead)
                    save(&actor[i].file[0]);
            restore_journals(true); /* the dead as they were when they died */
            again = first_time(hash_end());
            if (again) {
                f.kinds_of_end++;
                check_stream("at the end");
                come_back();
            }
        }
        for (int i = 0; i < ACTORS; i++) {
            actor[i].file[0].len = fresh_len[i];
            actor[i].file[0].data = realloc(actor[i].file[0].data, fresh_len[i] + 1);
            memcpy(actor[i].file[0].data, fresh[i], fresh_len[i]);
        }
        restore_journals(!again);
    }
    for (int i = 0; i < ACTORS; i++)
        free(fresh[i]);
    free(stack);
    return f;
}

/* ---- set-up ----------------------------------------------------------------------------------------------------------- */

static void find_files(struct actor *a)
{
    static const char *const names[3] = {"sealed", "segment-000000000000", "control"};
    char key[PSDK_KEYID_HEX], hex[PSDK_SHA256_HEX];
    uint8_t store[32];
    psdk_sha256(a->ledger.store_origin, strlen(a->ledger.store_origin), store);
    psdk_hex(store, 32, hex);
    psdk_key_id(a->key.public_key, key);
    for (int k = 0; k < 3; k++)
        snprintf(a->file[k].path, sizeof a->file[k].path, "%.160s/journal/%.16s/" STREAM "/%.16s/%s", a->dir, hex,
                 key, names[k]);
}

/* A stream that has `before` records of each writer already; each appended one more that is to be sealed. */
static void set_up(int before)
{
    static const uint8_t seed[32] = {7};
    prov_error err = {0};
    bool shm = access("/dev/shm", W_OK) == 0;
    cpu_set_t one_cpu; /* only one thread ever runs; handing over is quickest on one processor */
    CPU_ZERO(&one_cpu);
    CPU_SET((size_t)sched_getcpu(), &one_cpu);
    sched_setaffinity(0, sizeof one_cpu, &one_cpu);
    seen = calloc(SEEN_SLOTS, sizeof *seen);
    ck_assert_ptr_nonnull(seen);
    ok(psdk_ed25519_from_seed(&log_key, seed, &err), &err);
    for (int i = 0; i < ACTORS; i++) {
        struct actor *a = &actor[i];
        uint8_t own[32] = {(uint8_t)(20 + i)};
        snprintf(a->dir, sizeof a->dir, "%s/prov-interleave-XXXXXX", shm ? "/dev/shm" : "/tmp");
        ck_assert_ptr_nonnull(mkdtemp(a->dir));
        ok(psdk_ed25519_from_seed(&a->key, own, &err), &err);
        a->ledger = (struct pv_ledger){.store_origin = "test.local/store", .state_dir = a->dir, .log_key = &log_key,
                                       .writer_key = &a->key};
        struct pv_stream *s = NULL;
        ok(pv_stream_open(&a->ledger, STREAM, &s, &err), &err);
        for (int n = 0; n < before; n++)
            append_one(s);
        if (before)
            ok(pv_stream_seal(s, NULL, &err), &err);
        append_one(s);
        pv_stream_close(s);
        find_files(a);
    }
    fake_copy(&base, &fake);
}

static void tear_down(void)
{
    prov_error err = {0};
    for (int i = 0; i < ACTORS; i++) {
        psdk_remove_tree(actor[i].dir, &err);
        psdk_ed25519_done(&actor[i].key);
        for (int k = 0; k < 3; k++)
            free(actor[i].file[k].data);
    }
    psdk_ed25519_done(&log_key);
    fake_clear(&fake);
    fake_clear(&base);
    free(seen);
    memset(actor, 0, sizeof actor);
}

static void report(const char *what, struct figures f)
{
    printf("%s: %zu schedules, %zu of them to one of %zu different ends, through %zu states; %zu seals handed an error up\n",
           what, f.runs, f.ends, f.kinds_of_end, f.states, f.failed_seals);
    fflush(stdout);
}

static const struct {
    const char *name;
    int before;
} starts[] = {{"empty stream", 0}, {"existing stream", 3}, {"at the edge of a tile", 125}};

START_TEST(every_interleaving_without_a_fault_keeps_the_stream)
{
    set_up(starts[_i].before);
    struct figures f = explore(0, ACTORS);
    report(starts[_i].name, f);
    ck_assert_uint_gt(f.ends, 10);
    tear_down();
}
END_TEST

START_TEST(every_interleaving_with_a_fault_of_one_writer_keeps_the_stream)
{
    set_up(starts[_i].before);
    struct figures f = explore(1, 1);
    report(starts[_i].name, f);
    ck_assert_uint_gt(f.ends, 100);
    tear_down();
}
END_TEST

START_TEST(every_interleaving_with_two_faults_keeps_the_stream)
{
    set_up(starts[_i].before);
    struct figures f = explore(2, ACTORS);
    report(starts[_i].name, f);
    ck_assert_uint_gt(f.ends, 1000);
    tear_down();
}
END_TEST

#ifndef __has_feature /* clang's way to ask */
#define __has_feature(x) 0
#endif
/* Sanitizers slow this down by a factor, and what they look for is found in the first part. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || __has_feature(address_sanitizer)
#define WITH_FAULTS 0
#else
#define WITH_FAULTS 2
#endif

int main(void)
{
    Suite *suite = suite_create("interleave");
    TCase *none = tcase_create("no fault"), *one = tcase_create("one fault"), *two;
    tcase_set_timeout(none, 100);
    tcase_add_loop_test(none, every_interleaving_without_a_fault_keeps_the_stream, 0, 3);
    suite_add_tcase(suite, none);
    tcase_set_timeout(one, 280);
    tcase_add_loop_test(one, every_interleaving_with_a_fault_of_one_writer_keeps_the_stream, 0, WITH_FAULTS);
    suite_add_tcase(suite, one);
    if (getenv("PROV_TEST_LONG")) { /* an hour; tools/faults --long sets it */
        two = tcase_create("two faults");
        tcase_set_timeout(two, 7200);
        tcase_add_loop_test(two, every_interleaving_with_two_faults_keeps_the_stream, 0, 3);
        suite_add_tcase(suite, two);
    }
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
