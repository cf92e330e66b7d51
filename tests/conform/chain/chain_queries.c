/* chain_queries.c - what a local chain answers about what it recorded.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "chain.h"

#include <stdio.h>

static void submit_ok(struct op *op)
{
    prov_error err;
    prov_chain_tx tx = {.struct_size = sizeof tx};
    EXPECT(PROV_OK, err, submit(op, &tx, &err));
    ck_assert_int_eq(tx.state, PROV_CHAIN_STATE_LOCAL);
}

static void expect_row(struct op *op, const char *want)
{
    struct rows rows;
    prov_error err;
    if (want == NULL) {
        EXPECT(PROV_E_NOT_FOUND, err, query(op, &rows, &err));
        ck_assert_uint_eq(rows.n, 0);
        return;
    }
    EXPECT(PROV_OK, err, query(op, &rows, &err));
    ck_assert_uint_eq(rows.n, 1);
    ck_assert_str_eq(rows.last, want);
}

/* A query about a session, or a session and an address. */
static void session_query(struct op *op, uint32_t kind, uint8_t session, int address)
{
    op_init(op, kind, 0);
    op_data(op, "session", PROV_VALUE_HASH, bytes_of(session), 32);
    if (address >= 0)
        op_data(op, "address", PROV_VALUE_ADDRESS, bytes_of((uint8_t)address), 20);
}

START_TEST(a_stored_hash_is_read_and_verified_by_its_id)
{
    struct op op;
    op_init(&op, PROV_CHAIN_STORE_HASH, 1);
    op_text(&op, "hash", "h\xc3\xa4sh \"1\"");
    op_text(&op, "metadata", "{\"a\": 1}\n");
    submit_ok(&op);
    static const struct {
        uint8_t number; /* 0: the text */
        const char *text;
        const char *hash;
        const char *want;
    } cases[] = {{1, NULL, NULL, "hash=h\xc3\xa4sh \"1\" metadata={\"a\": 1}\n time=set block=0 submitter=00"},
                 {0, "local:1", NULL, "hash=h\xc3\xa4sh \"1\" metadata={\"a\": 1}\n time=set block=0 submitter=00"},
                 {2, NULL, NULL, NULL},
                 {0, "local:2", NULL, NULL},
                 {1, NULL, "h\xc3\xa4sh \"1\"", "match=1"},
                 {0, "local:1", "h\xc3\xa4sh \"1\"", "match=1"},
                 {1, NULL, "other", "match=0"},
                 {9, NULL, "other", "match=0"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        op_init(&op, cases[i].hash != NULL ? PROV_CHAIN_Q_VERIFY_HASH : PROV_CHAIN_Q_GET_HASH, 0);
        if (cases[i].text != NULL)
            op_text(&op, "id", cases[i].text);
        else
            op_data(&op, "id", PROV_VALUE_U256, u256_of(cases[i].number), 32);
        if (cases[i].hash != NULL)
            op_text(&op, "hash", cases[i].hash);
        expect_row(&op, cases[i].want);
    }
}
END_TEST

START_TEST(an_anchor_is_found_by_its_root)
{
    struct op op;
    struct rows rows;
    prov_error err;
    op_init(&op, PROV_CHAIN_ANCHOR, 1);
    op_data(&op, "root", PROV_VALUE_HASH, bytes_of(5), 32);
    submit_ok(&op);
    op_init(&op, PROV_CHAIN_Q_ANCHOR, 0);
    op_data(&op, "root", PROV_VALUE_HASH, bytes_of(5), 32);
    EXPECT(PROV_OK, err, query(&op, &rows, &err));
    ck_assert_ptr_nonnull(strstr(rows.last, "time=set block=0 block_hash=00 sender=00 ref=local:1-"));
    op.args[0].data = bytes_of(6);
    expect_row(&op, NULL);
}
END_TEST

START_TEST(a_session_goes_from_active_to_completed_or_cancelled)
{
    struct op op;
    for (uint8_t i = 0; i < 2; i++) {
        uint8_t session = (uint8_t)(40 + i), key = (uint8_t)(10 * i);
        session_query(&op, PROV_CHAIN_Q_SESSION, session, -1);
        expect_row(&op, NULL);
        op_init(&op, PROV_CHAIN_SESSION_CREATE, (uint8_t)(key + 1));
        op_data(&op, "session", PROV_VALUE_HASH, bytes_of(session), 32);
        op_data(&op, "model", PROV_VALUE_HASH, bytes_of(3), 32);
        submit_ok(&op);
        for (uint8_t round = 0; round < 2; round++) { /* address 2 twice */
            op_init(&op, PROV_CHAIN_NODES_REGISTER, (uint8_t)(key + 2 + round));
            op_data(&op, "session", PROV_VALUE_HASH, bytes_of(session), 32);
            for (uint8_t node = 1; node <= 2; node++) {
                op_data(&op, "node", PROV_VALUE_HASH, bytes_of((uint8_t)(node + round)), 32);
                op_data(&op, "address", PROV_VALUE_ADDRESS, bytes_of((uint8_t)(node + round)), 20);
            }
            submit_ok(&op);
        }
        session_query(&op, PROV_CHAIN_Q_SESSION, session, -1);
        expect_row(&op, "status=0 model=03 nodes=3 start=set end=0");
        session_query(&op, i == 0 ? PROV_CHAIN_SESSION_COMPLETE : PROV_CHAIN_SESSION_CANCEL, session, -1);
        memset(op.op.key, key + 4, 32);
        submit_ok(&op);
        session_query(&op, PROV_CHAIN_Q_SESSION, session, -1);
        expect_row(&op, i == 0 ? "status=1 model=03 nodes=3 start=set end=set"
                               : "status=2 model=03 nodes=3 start=set end=set");
    }
}
END_TEST

START_TEST(contributions_add_up_and_the_quality_is_the_latest)
{
    struct op op;
    for (uint8_t round = 1; round <= 2; round++) {
        op_init(&op, PROV_CHAIN_CONTRIBUTIONS, round);
        op_data(&op, "session", PROV_VALUE_HASH, bytes_of(1), 32);
        for (uint8_t node = 7; node <= 8; node++) {
            op_data(&op, "address", PROV_VALUE_ADDRESS, bytes_of(node), 20);
            op_int(&op, "compute", 100 * round);
            op_int(&op, "accepted", 10);
            op_int(&op, "rounds", node);
            op_int(&op, "quality", 1000 * round);
        }
        submit_ok(&op);
    }
    session_query(&op, PROV_CHAIN_Q_CONTRIBUTION, 1, 8);
    expect_row(&op, "compute=300 accepted=20 rounds=16 quality=2000");
    session_query(&op, PROV_CHAIN_Q_CONTRIBUTION, 1, 9);
    expect_row(&op, NULL);
    session_query(&op, PROV_CHAIN_Q_CONTRIBUTION, 2, 8);
    expect_row(&op, NULL);
}
END_TEST

START_TEST(a_pool_shows_what_was_recorded_about_it)
{
    struct op op;
    session_query(&op, PROV_CHAIN_Q_POOL, 1, -1);
    expect_row(&op, NULL);
    op_init(&op, PROV_CHAIN_POOL_CREATE, 1);
    op_data(&op, "session", PROV_VALUE_HASH, bytes_of(1), 32);
    op_data(&op, "total", PROV_VALUE_U256, u256_of(100), 32);
    op_int(&op, "strategy", 0);
    op_data(&op, "token", PROV_VALUE_ADDRESS, bytes_of(0), 20);
    submit_ok(&op);
    session_query(&op, PROV_CHAIN_Q_PENDING, 1, 1);
    expect_row(&op, NULL);
    op_init(&op, PROV_CHAIN_POOL_CALCULATE, 2);
    op_data(&op, "session", PROV_VALUE_HASH, bytes_of(1), 32);
    op_int(&op, "strategy", 0);
    op_data(&op, "address", PROV_VALUE_ADDRESS, bytes_of(1), 20);
    op_data(&op, "score", PROV_VALUE_U256, u256_of(2), 32);
    op_data(&op, "address", PROV_VALUE_ADDRESS, bytes_of(2), 20);
    op_data(&op, "score", PROV_VALUE_U256, u256_of(1), 32);
    submit_ok(&op);
    session_query(&op, PROV_CHAIN_Q_PENDING, 1, 1);
    expect_row(&op, "amount=66 claimed=0");
    session_query(&op, PROV_CHAIN_Q_PENDING, 1, 3);
    expect_row(&op, NULL);
    op_init(&op, PROV_CHAIN_POOL_ROOT, 3);
    op_data(&op, "session", PROV_VALUE_HASH, bytes_of(1), 32);
    op_data(&op, "root", PROV_VALUE_HASH, bytes_of(9), 32);
    op_data(&op, "total", PROV_VALUE_U256, u256_of(100), 32);
    submit_ok(&op);
    op_init(&op, PROV_CHAIN_CLAIM, 4);
    op_data(&op, "session", PROV_VALUE_HASH, bytes_of(1), 32);
    op_data(&op, "index", PROV_VALUE_U256, u256_of(0), 32);
    op_data(&op, "amount", PROV_VALUE_U256, u256_of(30), 32);
    op_data(&op, "proof", PROV_VALUE_HASH, bytes_of(1), 32);
    submit_ok(&op);
    session_query(&op, PROV_CHAIN_Q_POOL, 1, -1);
    expect_row(&op, "total=100 remaining=70 strategy=0 finalized=1 root=09");
    session_query(&op, PROV_CHAIN_RECOVER, 1, -1);
    op.op.key[0] = 5;
    submit_ok(&op);
    session_query(&op, PROV_CHAIN_Q_POOL, 1, -1);
    expect_row(&op, "total=100 remaining=0 strategy=0 finalized=1 root=09");
}
END_TEST

START_TEST(the_journal_gives_every_entry_in_order)
{
    struct op op;
    struct rows rows;
    prov_error err;
    op_init(&op, PROV_CHAIN_Q_JOURNAL, 0);
    EXPECT(PROV_OK, err, query(&op, &rows, &err));
    ck_assert_uint_eq(rows.n, 0);
    for (uint8_t i = 1; i <= 3; i++) {
        op_init(&op, PROV_CHAIN_CALL, i);
        op_data(&op, "to", PROV_VALUE_ADDRESS, bytes_of(i), 20);
        op_data(&op, "data", PROV_VALUE_BYTES, bytes_of(i), i);
        op_data(&op, "value", PROV_VALUE_U256, u256_of(i), 32);
        submit_ok(&op);
    }
    op_init(&op, PROV_CHAIN_Q_JOURNAL, 0);
    EXPECT(PROV_OK, err, query(&op, &rows, &err));
    ck_assert_uint_eq(rows.n, 3);
    ck_assert_int_eq(strncmp(rows.last, "seq=3 ref=local:3-", 18), 0);
    ck_assert_ptr_nonnull(strstr(rows.last, "[\"data\",\"bytes\",\"AwMD\"]"));
}
END_TEST

START_TEST(what_a_local_chain_cannot_know_is_unsupported)
{
    struct op op;
    struct rows rows;
    prov_error err;
    op_init(&op, PROV_CHAIN_Q_BALANCE, 0);
    op_data(&op, "address", PROV_VALUE_ADDRESS, bytes_of(1), 20);
    EXPECT(PROV_E_UNSUPPORTED, err, query(&op, &rows, &err));
    op_init(&op, PROV_CHAIN_Q_SESSION, 0);
    EXPECT(PROV_E_INVALID, err, query(&op, &rows, &err));
}
END_TEST

void add_queries(Suite *suite)
{
    TCase *test_case = new_case(suite, "queries");
    tcase_add_test(test_case, a_stored_hash_is_read_and_verified_by_its_id);
    tcase_add_test(test_case, an_anchor_is_found_by_its_root);
    tcase_add_test(test_case, a_session_goes_from_active_to_completed_or_cancelled);
    tcase_add_test(test_case, contributions_add_up_and_the_quality_is_the_latest);
    tcase_add_test(test_case, a_pool_shows_what_was_recorded_about_it);
    tcase_add_test(test_case, the_journal_gives_every_entry_in_order);
    tcase_add_test(test_case, what_a_local_chain_cannot_know_is_unsupported);
}
