/* chain_ops.c - submit, lookup, status, submit_many, evidence; many at once.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "chain.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void store_hash(struct op *op, uint8_t key, const char *hash)
{
    op_init(op, PROV_CHAIN_STORE_HASH, key);
    op_text(op, "hash", hash);
    op_text(op, "metadata", "{\"m\":1}");
}

static prov_chain_tx new_tx(void)
{
    return (prov_chain_tx){.struct_size = sizeof(prov_chain_tx)};
}

START_TEST(what_was_submitted_is_found_by_key_and_by_ref)
{
    struct op op;
    prov_error err;
    prov_chain_tx tx = new_tx(), by_key = tx, by_ref = tx;
    store_hash(&op, 1, "abc");
    EXPECT(PROV_E_NOT_FOUND, err, ops->lookup(chain, &conform_call, op.op.key, &tx, &err));
    EXPECT(PROV_OK, err, submit(&op, &tx, &err));
    ck_assert_int_eq(tx.state, PROV_CHAIN_STATE_LOCAL);
    ck_assert_int_eq(strncmp(tx.ref, "local:", 6), 0);
    ck_assert_int_eq(strncmp(tx.result, "local:", 6), 0);
    ck_assert_str_ne(tx.reason, "");
    ck_assert_int_gt(tx.block_time_ns, 0);
    ck_assert_uint_eq(tx.struct_size, sizeof tx);
    EXPECT(PROV_OK, err, ops->lookup(chain, &conform_call, op.op.key, &by_key, &err));
    EXPECT(PROV_OK, err, ops->status(chain, &conform_call, tx.ref, &by_ref, &err));
    ck_assert_str_eq(by_key.ref, tx.ref);
    ck_assert_str_eq(by_ref.ref, tx.ref);
    ck_assert_str_eq(by_ref.result, tx.result);
    EXPECT(PROV_OK, err, ops->status(chain, &conform_call, tx.result, &by_ref, &err));
    ck_assert_str_eq(by_ref.ref, tx.ref);
}
END_TEST

START_TEST(a_ref_that_is_not_there_is_not_found)
{
    static const char *const refs[] = {"", "local:", "local:0", "local:2", "local:1-", "local:1-0000000000000000", "local:-1",
                                       "local:1x", "0x00", "local:99999999999999999999999", "local:01"};
    struct op op;
    prov_error err;
    prov_chain_tx tx = new_tx();
    store_hash(&op, 1, "abc");
    EXPECT(PROV_OK, err, submit(&op, &tx, &err));
    for (size_t i = 0; i < sizeof refs / sizeof *refs; i++)
        EXPECT(PROV_E_NOT_FOUND, err, ops->status(chain, &conform_call, refs[i], &tx, &err));
}
END_TEST

START_TEST(the_same_key_is_the_same_operation_also_after_a_restart)
{
    struct op op, other;
    prov_error err;
    prov_chain_info info = {.struct_size = sizeof info};
    prov_chain_tx first = new_tx(), again = first;
    store_hash(&op, 7, "abc");
    EXPECT(PROV_OK, err, submit(&op, &first, &err));
    EXPECT(PROV_OK, err, submit(&op, &again, &err));
    ck_assert_str_eq(first.ref, again.ref);
    conform_destroy(chain);
    chain = conform_create();
    EXPECT(PROV_OK, err, submit(&op, &again, &err));
    ck_assert_str_eq(first.ref, again.ref);
    store_hash(&other, 7, "abd");
    EXPECT(PROV_E_CONFLICT, err, submit(&other, &again, &err));
    ck_assert_int_eq(err.outcome, PROV_OUTCOME_PERMANENT);
    store_hash(&other, 7, "abc");
    other.op.group = "g";
    EXPECT(PROV_E_CONFLICT, err, submit(&other, &again, &err));
    EXPECT(PROV_OK, err, ops->info(chain, &conform_call, &info, &err));
    ck_assert_uint_eq(info.block, 1);
    ck_assert_uint_eq(info.chain_id, 0);
    ck_assert_str_eq(info.network, "local");
}
END_TEST

START_TEST(store_hash_has_the_limits_of_the_contract)
{
    static const struct {
        size_t hash, metadata;
        int want;
    } cases[] = {{1, 0, PROV_OK},        {128, 2048, PROV_OK},       {0, 0, PROV_E_INVALID},
                 {129, 0, PROV_E_INVALID}, {1, 2049, PROV_E_INVALID}};
    static char text[4096];
    memset(text, 'x', sizeof text);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct op op;
        prov_error err;
        prov_chain_tx tx = new_tx();
        op_init(&op, PROV_CHAIN_STORE_HASH, (uint8_t)(i + 1));
        op_data(&op, "hash", PROV_VALUE_TEXT, text, cases[i].hash);
        op_data(&op, "metadata", PROV_VALUE_TEXT, text, cases[i].metadata);
        EXPECT(cases[i].want, err, submit(&op, &tx, &err));
        if (cases[i].want != PROV_OK)
            ck_assert_int_eq(err.outcome, PROV_OUTCOME_PERMANENT);
    }
}
END_TEST

START_TEST(wrong_arguments_are_refused_and_leave_nothing)
{
    struct op op;
    prov_error err;
    prov_chain_tx tx = new_tx();
    prov_chain_info info = {.struct_size = sizeof info};
    op_init(&op, 999, 1);
    EXPECT(PROV_E_UNSUPPORTED, err, submit(&op, &tx, &err));
    op_init(&op, PROV_CHAIN_ANCHOR, 1); /* none */
    EXPECT(PROV_E_INVALID, err, submit(&op, &tx, &err));
    op_data(&op, "root", PROV_VALUE_TEXT, "x", 1); /* another type */
    EXPECT(PROV_E_INVALID, err, submit(&op, &tx, &err));
    op_init(&op, PROV_CHAIN_ANCHOR, 1);
    op_data(&op, "toor", PROV_VALUE_HASH, bytes_of(1), 32); /* another name */
    EXPECT(PROV_E_INVALID, err, submit(&op, &tx, &err));
    op_init(&op, PROV_CHAIN_NODES_REGISTER, 1); /* half a row */
    op_data(&op, "session", PROV_VALUE_HASH, bytes_of(1), 32);
    op_data(&op, "node", PROV_VALUE_HASH, bytes_of(2), 32);
    EXPECT(PROV_E_INVALID, err, submit(&op, &tx, &err));
    store_hash(&op, 1, "\xff\xfe"); /* no UTF-8 */
    EXPECT(PROV_E_INVALID, err, submit(&op, &tx, &err));
    EXPECT(PROV_OK, err, ops->info(chain, &conform_call, &info, &err));
    ck_assert_uint_eq(info.block, 0);
    store_hash(&op, 1, "good"); /* the key is still free */
    EXPECT(PROV_OK, err, submit(&op, &tx, &err));
}
END_TEST

START_TEST(submit_many_takes_all_or_none)
{
    struct op ops_in[3];
    prov_chain_op list[3];
    prov_chain_tx txs[3] = {new_tx(), new_tx(), new_tx()};
    prov_error err;
    prov_chain_info info = {.struct_size = sizeof info};
    if (!PROV_HAS(ops, prov_chain_ops, submit_many) || ops->submit_many == NULL)
        return;
    for (int i = 0; i < 3; i++) {
        store_hash(&ops_in[i], (uint8_t)(i + 1), "abc");
        list[i] = ops_in[i].op;
    }
    list[2].kind = 999;
    EXPECT(PROV_E_UNSUPPORTED, err, ops->submit_many(chain, &conform_call, list, 3, txs, &err));
    EXPECT(PROV_OK, err, ops->info(chain, &conform_call, &info, &err));
    ck_assert_uint_eq(info.block, 0);
    list[2] = list[0]; /* twice the same operation is one */
    EXPECT(PROV_OK, err, ops->submit_many(chain, &conform_call, list, 3, txs, &err));
    ck_assert_str_eq(txs[0].ref, txs[2].ref);
    ck_assert_str_ne(txs[0].ref, txs[1].ref);
    EXPECT(PROV_OK, err, ops->info(chain, &conform_call, &info, &err));
    ck_assert_uint_eq(info.block, 2);
}
END_TEST

START_TEST(a_call_that_is_over_submits_nothing)
{
    struct op op;
    prov_error err;
    prov_chain_tx tx = new_tx();
    uint32_t cancel = 1;
    prov_call late = conform_call, cancelled = conform_call;
    late.deadline_ns = conform_now_ns() - 1;
    cancelled.cancel = &cancel;
    store_hash(&op, 1, "abc");
    EXPECT(PROV_E_TIMEOUT, err, ops->submit(chain, &late, &op.op, &tx, &err));
    EXPECT(PROV_E_CANCELLED, err, ops->submit(chain, &cancelled, &op.op, &tx, &err));
    ck_assert_int_ne(err.outcome, PROV_OUTCOME_UNKNOWN);
    EXPECT(PROV_E_NOT_FOUND, err, ops->lookup(chain, &conform_call, op.op.key, &tx, &err));
}
END_TEST

static char evidence_text[8192];

static int32_t take_evidence(void *ctx, const void *data, uint64_t size_bytes)
{
    (void)ctx;
    snprintf(evidence_text, sizeof evidence_text, "%.*s", (int)size_bytes, (const char *)data);
    return PROV_OK;
}

START_TEST(evidence_names_the_entry_its_key_and_its_signature)
{
    struct op op;
    prov_error err;
    prov_chain_tx tx = new_tx();
    prov_sink sink = {.struct_size = sizeof sink, .write = take_evidence};
    if (!PROV_HAS(ops, prov_chain_ops, evidence) || ops->evidence == NULL)
        return;
    store_hash(&op, 1, "the-hash");
    EXPECT(PROV_OK, err, submit(&op, &tx, &err));
    EXPECT(PROV_OK, err, ops->evidence(chain, &conform_call, tx.ref, &sink, &err));
    ck_assert_ptr_nonnull(strstr(evidence_text, "the-hash"));
    ck_assert_ptr_nonnull(strstr(evidence_text, tx.ref));
    ck_assert_ptr_nonnull(strstr(evidence_text, "\"public_key\""));
    ck_assert_ptr_nonnull(strstr(evidence_text, "\"signature\""));
    EXPECT(PROV_E_NOT_FOUND, err, ops->evidence(chain, &conform_call, "local:9", &sink, &err));
}
END_TEST

/* ---- many at once ------------------------------------------------------------------------------------------------------ */

enum { EACH = 20, THREADS = 8, PROCESSES = 4 };

/* Submits the same EACH operations as everybody else. */
static int submit_all(void *instance)
{
    for (int i = 0; i < EACH; i++) {
        struct op op;
        prov_error err = {0};
        prov_chain_tx tx = new_tx();
        store_hash(&op, (uint8_t)(i + 1), "abc");
        int rc = ops->submit(instance, &conform_call, &op.op, &tx, &err);
        if (rc != PROV_OK)
            return rc;
    }
    return 0;
}

static void *submit_thread(void *arg)
{
    *(int *)arg = submit_all(chain);
    return NULL;
}

static void expect_entries(unsigned n)
{
    struct op op;
    struct rows rows;
    prov_error err;
    op_init(&op, PROV_CHAIN_Q_JOURNAL, 0);
    EXPECT(PROV_OK, err, query(&op, &rows, &err));
    ck_assert_uint_eq(rows.n, n);
}

START_TEST(the_same_operations_from_8_threads_and_4_processes_are_recorded_once)
{
    pthread_t threads[THREADS];
    int results[THREADS];
    pid_t children[PROCESSES];
    for (int i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            void *instance = conform_create();
            int rc = submit_all(instance);
            conform_destroy(instance);
            _exit(rc == 0 ? 0 : 1);
        }
    }
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, submit_thread, &results[i]), 0);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        ck_assert_int_eq(results[i], 0);
    }
    for (int i = 0; i < PROCESSES; i++) {
        int status = -1;
        waitpid(children[i], &status, 0);
        ck_assert_int_eq(status, 0);
    }
    expect_entries(EACH);
    conform_destroy(chain);
    chain = conform_create();
    expect_entries(EACH);
}
END_TEST

void add_ops(Suite *suite)
{
    TCase *test_case = new_case(suite, "ops");
    tcase_add_test(test_case, what_was_submitted_is_found_by_key_and_by_ref);
    tcase_add_test(test_case, a_ref_that_is_not_there_is_not_found);
    tcase_add_test(test_case, the_same_key_is_the_same_operation_also_after_a_restart);
    tcase_add_test(test_case, store_hash_has_the_limits_of_the_contract);
    tcase_add_test(test_case, wrong_arguments_are_refused_and_leave_nothing);
    tcase_add_test(test_case, submit_many_takes_all_or_none);
    tcase_add_test(test_case, a_call_that_is_over_submits_nothing);
    tcase_add_test(test_case, evidence_names_the_entry_its_key_and_its_signature);
    tcase_add_test(test_case, the_same_operations_from_8_threads_and_4_processes_are_recorded_once);
}
