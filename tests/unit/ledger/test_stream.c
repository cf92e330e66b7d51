/* test_stream.c - append, seal, read, prove. SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit/ledger/rig.h"

START_TEST(records_are_sealed_and_the_stream_verifies)
{
    struct rig r;
    struct pv_seal_report report;
    prov_error err = {0};
    rig_init(&r);
    struct pv_stream *s = rig_stream(&r, "models/m");
    static const int steps[] = {1, 2, 250, 1, 1, 1, 300, 7, 0, 513};
    int total = 0;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        rig_ok(rig_append(s, total, steps[i], &err), &err);
        total += steps[i];
        rig_ok(pv_stream_seal(s, &report, &err), &err);
        ck_assert_uint_eq(report.tree_size, (uint64_t)total + 2);
        ck_assert_uint_eq(rig_check(&r, "models/m"), (uint64_t)total + 2);
    }
    struct pv_journal_state state;
    rig_ok(pv_stream_state(s, &state, &err), &err);
    ck_assert(!state.pending);
    pv_stream_close(s);
    rig_done(&r);
}
END_TEST

START_TEST(every_entry_has_an_inclusion_proof_and_old_trees_are_consistent)
{
    struct rig r;
    prov_error err = {0};
    rig_init(&r);
    struct pv_stream *s = rig_stream(&r, "models/m");
    uint8_t roots[12][32];
    uint64_t sizes[12];
    for (int i = 0; i < 12; i++) {
        struct pv_reader reader;
        rig_ok(rig_append(s, i, 60, &err), &err);
        rig_ok(pv_stream_seal(s, NULL, &err), &err);
        rig_ok(pv_reader_open(&reader, r.store, "models/m", &err), &err);
        sizes[i] = reader.head.tree.size;
        memcpy(roots[i], reader.head.tree.root, 32);
        pv_reader_close(&reader);
    }
    struct pv_reader reader;
    rig_ok(pv_reader_open(&reader, r.store, "models/m", &err), &err);
    for (uint64_t i = 0; i < reader.head.tree.size; i++) {
        struct pv_tlog_proof proof;
        rig_ok(pv_reader_inclusion(&reader, i, &proof, &err), &err);
    }
    for (int i = 0; i < 12; i++) {
        uint8_t proof[PV_PROOF_MAX][32];
        uint32_t n;
        rig_ok(pv_reader_consistency(&reader, sizes[i], roots[i], proof, &n, &err), &err);
        roots[i][5] ^= 1;
        ck_assert_int_eq(pv_reader_consistency(&reader, sizes[i], roots[i], proof, &n, &err), PROV_E_CORRUPT);
    }
    struct pv_tlog_proof proof;
    ck_assert_int_eq(pv_reader_inclusion(&reader, reader.head.tree.size, &proof, &err), PROV_E_NOT_FOUND);
    pv_reader_close(&reader);
    pv_stream_close(s);
    rig_done(&r);
}
END_TEST

START_TEST(another_handle_and_a_reopened_journal_go_on_where_the_first_stopped)
{
    struct rig r;
    prov_error err = {0};
    rig_init(&r);
    for (int i = 0; i < 6; i++) {
        struct pv_stream *a = rig_stream(&r, "models/m"), *b = rig_stream(&r, "models/m");
        rig_ok(rig_append(a, i, 3, &err), &err);
        rig_ok(rig_append(b, i, 2, &err), &err);
        if (i % 2)
            rig_ok(pv_stream_seal(i % 4 == 1 ? a : b, NULL, &err), &err);
        rig_ok(rig_append(a, i, 1, &err), &err);
        pv_stream_close(a);
        pv_stream_close(b);
    }
    struct pv_stream *s = rig_stream(&r, "models/m");
    rig_ok(pv_stream_seal(s, NULL, &err), &err);
    ck_assert_uint_eq(rig_check(&r, "models/m"), 6 * 6 + 2);
    pv_stream_close(s);
    rig_done(&r);
}
END_TEST

static int random_n(unsigned *seed, int below)
{
    return (int)((unsigned)rand_r(seed) % (unsigned)below);
}

START_TEST(two_hosts_with_two_keys_write_one_stream)
{
    struct rig a, b;
    prov_error err = {0};
    uint8_t seed[32] = {7};
    unsigned rnd = 42;
    rig_init(&a);
    rig_init_at(&b, a.store_dir, seed);
    struct pv_stream *s[2] = {rig_stream(&a, "models/m"), rig_stream(&b, "models/m")};
    uint64_t total = 4;
    for (int i = 0; i < 60; i++) {
        int who = random_n(&rnd, 2), n = random_n(&rnd, 40);
        rig_ok(rig_append(s[who], i, n, &err), &err);
        total += (uint64_t)n;
        if (random_n(&rnd, 3))
            rig_ok(pv_stream_seal(s[who], NULL, &err), &err);
    }
    for (int i = 0; i < 2; i++) {
        rig_ok(pv_stream_seal(s[i], NULL, &err), &err);
        pv_stream_close(s[i]);
    }
    ck_assert_uint_eq(rig_check(&a, "models/m"), total);
    rig_done(&b);
    rig_done(&a);
}
END_TEST

struct racer {
    struct pv_stream *s;
    int n, failed;
};

static void *race(void *arg)
{
    struct racer *x = arg;
    prov_error err = {0};
    for (int i = 0; i < x->n; i++) {
        if (rig_append(x->s, i, 1, &err) || (i % 16 == 0 && pv_stream_seal(x->s, NULL, &err))) {
            fprintf(stderr, "%s\n", err.message);
            x->failed++;
        }
    }
    return NULL;
}

START_TEST(threads_of_two_hosts_race_and_nothing_is_lost)
{
    struct rig a, b;
    prov_error err = {0};
    uint8_t seed[32] = {7};
    rig_init(&a);
    rig_init_at(&b, a.store_dir, seed);
    a.ledger.attempts = b.ledger.attempts = 200;
    struct pv_stream *s[2] = {rig_stream(&a, "models/m"), rig_stream(&b, "models/m")};
    pthread_t t[6];
    struct racer x[6];
    for (int i = 0; i < 6; i++) {
        x[i] = (struct racer){s[i % 2], 100, 0};
        ck_assert_int_eq(pthread_create(&t[i], NULL, race, &x[i]), 0);
    }
    for (int i = 0; i < 6; i++) {
        pthread_join(t[i], NULL);
        ck_assert_int_eq(x[i].failed, 0);
    }
    for (int i = 0; i < 2; i++) {
        rig_ok(pv_stream_seal(s[i], NULL, &err), &err);
        pv_stream_close(s[i]);
    }
    ck_assert_uint_eq(rig_check(&a, "models/m"), 604);
    rig_done(&b);
    rig_done(&a);
}
END_TEST

START_TEST(processes_share_a_journal_and_survive_a_kill)
{
    struct rig r;
    prov_error err = {0};
    rig_init(&r);
    struct pv_stream *first = rig_stream(&r, "models/m");
    pv_stream_close(first);
    int acked[2];
    ck_assert_int_eq(pipe(acked), 0);
    pid_t pid[4];
    for (int p = 0; p < 4; p++) {
        pid[p] = fork();
        ck_assert_int_ge(pid[p], 0);
        if (pid[p] == 0) {
            struct pv_stream *s = NULL;
            if (pv_stream_open(&r.ledger, "models/m", &s, &err))
                _exit(1);
            for (int i = 0;; i++) {
                if (rig_append(s, i, 1, &err))
                    _exit(2);
                if (write(acked[1], "x", 1) != 1)
                    _exit(3);
            }
        }
    }
    uint64_t count = 0;
    char c[256];
    for (int p = 0; p < 4; p++) {
        usleep(60000);
        kill(pid[p], SIGKILL);
        waitpid(pid[p], NULL, 0);
    }
    close(acked[1]);
    for (ssize_t n; (n = read(acked[0], c, sizeof c)) > 0;)
        count += (uint64_t)n;
    close(acked[0]);
    struct pv_stream *s = rig_stream(&r, "models/m");
    rig_ok(rig_append(s, 0, 1, &err), &err);
    rig_ok(pv_stream_seal(s, NULL, &err), &err);
    pv_stream_close(s);
    uint64_t size = rig_check(&r, "models/m");
    ck_assert_uint_gt(count, 0);
    ck_assert_uint_ge(size, count + 3); /* all that was acknowledged, and what was written but not yet answered */
    ck_assert_uint_le(size, count + 3 + 4);
    rig_done(&r);
}
END_TEST

/* Host a records that b's key is revoked. */
static void revoke_key_of(struct rig *a, struct pv_stream *s, const struct rig *b)
{
    prov_error err = {0};
    struct psdk_buf body = {0};
    rig_ok(pv_authorize_body(&body, pv_stream_origin(s), "revoke", b->writer_key.public_key, &a->log_key, &err), &err);
    struct pv_draft d = {"key.revoke", "m", "tester", psdk_buf_str(&body), body.len};
    rig_ok(pv_stream_append(s, &d, 1, NULL, &err), &err);
    rig_ok(pv_stream_seal(s, NULL, &err), &err);
    psdk_buf_done(&body);
}

START_TEST(a_revoked_key_fails_for_leaves_after_its_revocation)
{
    struct rig a, b;
    prov_error err = {0};
    uint8_t seed[32] = {7};
    rig_init(&a);
    rig_init_at(&b, a.store_dir, seed);
    struct pv_stream *s[2] = {rig_stream(&a, "models/m"), rig_stream(&b, "models/m")};
    for (int i = 0; i < 2; i++) {
        rig_ok(rig_append(s[i], i, 3, &err), &err);
        rig_ok(pv_stream_seal(s[i], NULL, &err), &err);
    }
    revoke_key_of(&a, s[0], &b);
    ck_assert_uint_eq(rig_check(&a, "models/m"), 11);
    rig_ok(rig_append(s[1], 3, 1, &err), &err);
    ck_assert_int_eq(pv_stream_seal(s[1], NULL, &err), PROV_E_DENIED); /* a host that knows keeps from sealing */
    ck_assert_ptr_nonnull(strstr(err.message, "revoked"));
    ck_assert_uint_eq(rig_check(&a, "models/m"), 11);
    for (int i = 0; i < 2; i++)
        pv_stream_close(s[i]);
    rig_done(&b);
    rig_done(&a);
}
END_TEST

/* What a revoked host's program could write that does not keep from it: the checker refuses the leaf. */
START_TEST(a_leaf_behind_its_keys_revocation_is_refused)
{
    struct rig a, b;
    prov_error err = {0};
    struct pv_checker *c = NULL;
    struct psdk_buf pending = {0};
    const uint8_t *entry;
    size_t at = 0, len;
    int n = 0, rc = PROV_OK;
    rig_init(&a);
    rig_init_at(&b, NULL, (const uint8_t[32]){7});
    struct pv_stream *s[2] = {rig_stream(&b, "models/m"), rig_stream(&a, "models/m")};
    rig_ok(rig_append(s[0], 0, 1, &err), &err);
    rig_ok(pv_checker_new(pv_stream_origin(s[0]), a.log_key.public_key, &c, &err), &err);
    rig_ok(pv_stream_pending(s[0], &pending, &err), &err);
    for (; pv_bundle_next(pending.data, pending.len, &at, &entry, &len) > 0; n++)
        rig_ok(pv_checker_entry(c, entry, len, NULL, &err), &err);
    ck_assert_int_eq(n, 3);
    struct psdk_buf body = {0}, theirs = {0};
    rig_ok(pv_authorize_body(&body, pv_stream_origin(s[0]), "revoke", b.writer_key.public_key, &a.log_key, &err), &err);
    struct pv_draft d = {"key.revoke", "m", "tester", psdk_buf_str(&body), body.len};
    rig_ok(pv_stream_append(s[1], &d, 1, NULL, &err), &err);
    rig_ok(pv_stream_pending(s[1], &theirs, &err), &err);
    for (size_t t = 0; pv_bundle_next(theirs.data, theirs.len, &t, &entry, &len) > 0;)
        rig_ok(pv_checker_entry(c, entry, len, NULL, &err), &err);
    rig_ok(rig_append(s[0], 1, 1, &err), &err);
    psdk_buf_clear(&pending);
    rig_ok(pv_stream_pending(s[0], &pending, &err), &err);
    at = 0;
    for (int i = 0; pv_bundle_next(pending.data, pending.len, &at, &entry, &len) > 0; i++)
        if (i == n)
            rc = pv_checker_entry(c, entry, len, NULL, &err);
    ck_assert_int_eq(rc, PROV_E_CORRUPT);
    ck_assert_msg(strstr(err.message, "leaf 6") && strstr(err.message, "revoked"), "%s", err.message);
    psdk_buf_done(&body);
    psdk_buf_done(&theirs);
    psdk_buf_done(&pending);
    pv_checker_free(c);
    pv_stream_close(s[0]);
    pv_stream_close(s[1]);
    rig_done(&b);
    rig_done(&a);
}
END_TEST

START_TEST(a_copied_stream_is_not_the_stream_of_its_new_place)
{
    struct rig r;
    prov_error err = {0};
    struct pv_reader reader;
    char command[300];
    rig_init(&r);
    struct pv_stream *s = rig_stream(&r, "models/m");
    rig_ok(rig_append(s, 0, 3, &err), &err);
    rig_ok(pv_stream_seal(s, NULL, &err), &err);
    snprintf(command, sizeof command, "cp -r %s/models/m %s/models/n", r.store_dir, r.store_dir);
    ck_assert_int_eq(system(command), 0);
    ck_assert_int_eq(pv_reader_open(&reader, r.store, "models/n", &err), PROV_E_CORRUPT);
    ck_assert_ptr_nonnull(strstr(err.message, "models/n belongs"));
    pv_stream_close(s);
    rig_done(&r);
}
END_TEST

START_TEST(a_store_that_vanished_is_not_begun_anew)
{
    struct rig r;
    prov_error err = {0};
    char head[160];
    rig_init(&r);
    struct pv_stream *s = rig_stream(&r, "models/m");
    rig_ok(rig_append(s, 0, 3, &err), &err);
    rig_ok(pv_stream_seal(s, NULL, &err), &err);
    snprintf(head, sizeof head, "%s/models/m/head.json", r.store_dir);
    ck_assert_int_eq(unlink(head), 0);
    pv_stream_close(s);
    s = rig_stream(&r, "models/m");
    rig_ok(rig_append(s, 3, 1, &err), &err);
    ck_assert_int_eq(pv_stream_seal(s, NULL, &err), PROV_E_CORRUPT);
    ck_assert_ptr_nonnull(strstr(err.message, "gone"));
    pv_stream_close(s);
    rig_done(&r);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("stream");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, records_are_sealed_and_the_stream_verifies);
    tcase_add_test(t, every_entry_has_an_inclusion_proof_and_old_trees_are_consistent);
    tcase_add_test(t, another_handle_and_a_reopened_journal_go_on_where_the_first_stopped);
    tcase_add_test(t, two_hosts_with_two_keys_write_one_stream);
    tcase_add_test(t, threads_of_two_hosts_race_and_nothing_is_lost);
    tcase_add_test(t, processes_share_a_journal_and_survive_a_kill);
    tcase_add_test(t, a_revoked_key_fails_for_leaves_after_its_revocation);
    tcase_add_test(t, a_leaf_behind_its_keys_revocation_is_refused);
    tcase_add_test(t, a_copied_stream_is_not_the_stream_of_its_new_place);
    tcase_add_test(t, a_store_that_vanished_is_not_begun_anew);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
