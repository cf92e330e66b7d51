/* test_chain.c - the chain wrapper: failover, rows, outcomes. SPDX-License-Identifier: Apache-2.0 */
#include "plugin_bench.h"
#include "pv_chain.h"
#include "pv_instance.h"
#include "pv_log.h"

static struct bench b;
static struct bench_spec s;
static struct bench_spec local;
static struct pv_chain *chain;
static prov_error err;
static struct pv_chain_answer answer;
static char logged[4096];

static void keep_log(void *ctx, int level, const char *message)
{
    size_t len = strlen(logged);
    (void)ctx;
    snprintf(logged + len, sizeof logged - len, "%d %s|", level, message);
}

static void setup(void)
{
    bench_init(&b);
    memset(&err, 0, sizeof err);
    logged[0] = '\0';
    pv_log_set(keep_log, NULL, PROV_LOG_INFO);
}

static void teardown(void)
{
    pv_chain_close(chain);
    chain = NULL;
    pv_log_set(NULL, NULL, 0);
    bench_done(&b);
}

static void open_with(const char *mode, bool with_fallback)
{
    bench_spec(&s, &b, "fx-chain", mode);
    bench_spec(&local, &b, "fx-chain-local", "ok");
    ck_assert_msg(pv_chain_open(b.plugins, &s.spec, with_fallback ? &local.spec : NULL, &chain, &err) == PROV_OK, "%s",
                  err.message);
}

static prov_chain_op op_of(uint32_t kind)
{
    static const prov_value args[] = {{sizeof args[0], PROV_VALUE_TEXT, "hash", 0, 0, "abc", 3}};
    prov_chain_op op = {sizeof op, kind, {0xab, 0xcd}, "", args, 1};
    return op;
}

START_TEST(a_primary_that_works_answers)
{
    prov_chain_op op = op_of(PROV_CHAIN_ANCHOR);
    prov_chain_tx tx;
    open_with("ok", true);
    ck_assert_int_eq(pv_chain_submit(chain, &op, &answer, &err), PROV_OK);
    ck_assert(!answer.local);
    ck_assert_str_eq(answer.by, "fx-chain");
    ck_assert_str_eq(answer.tx.ref, "0xabcd-1");
    ck_assert_str_eq(answer.tx.result, "hash/abc");
    ck_assert_int_eq(pv_chain_lookup(chain, op.key, &tx, &err), PROV_OK);
    op.key[0] = 0;
    ck_assert_int_eq(pv_chain_lookup(chain, op.key, &tx, &err), PROV_E_NOT_FOUND);
    ck_assert_int_eq(err.outcome, PROV_OUTCOME_NOT_APPLIED);
}
END_TEST

static const struct {
    const char *mode;
    uint32_t kind;
    bool local;  /* the fallback answers */
    int code;    /* else this */
    int outcome; /* of the primary */
} cases[] = {
    {"network", PROV_CHAIN_STORE_HASH, true, 0, PROV_OUTCOME_NOT_APPLIED},
    {"network", PROV_CHAIN_ANCHOR, true, 0, PROV_OUTCOME_NOT_APPLIED},
    {"network", PROV_CHAIN_SESSION_CREATE, true, 0, PROV_OUTCOME_NOT_APPLIED},
    {"network", PROV_CHAIN_NODES_REGISTER, true, 0, PROV_OUTCOME_NOT_APPLIED},
    {"network", PROV_CHAIN_CONTRIBUTIONS, true, 0, PROV_OUTCOME_NOT_APPLIED},
    {"network", PROV_CHAIN_SESSION_COMPLETE, true, 0, PROV_OUTCOME_NOT_APPLIED},
    {"network", PROV_CHAIN_SESSION_CANCEL, true, 0, PROV_OUTCOME_NOT_APPLIED},
    {"unknown", PROV_CHAIN_ANCHOR, true, 0, PROV_OUTCOME_UNKNOWN},
    {"unset", PROV_CHAIN_ANCHOR, true, 0, PROV_OUTCOME_UNKNOWN},
    {"crash-message", PROV_CHAIN_ANCHOR, true, 0, PROV_OUTCOME_UNKNOWN},
    {"permanent", PROV_CHAIN_ANCHOR, false, PROV_E_DENIED, PROV_OUTCOME_PERMANENT},
    {"network", PROV_CHAIN_POOL_CREATE, false, PROV_E_NETWORK, PROV_OUTCOME_NOT_APPLIED},
    {"network", PROV_CHAIN_POOL_CALCULATE, false, PROV_E_NETWORK, PROV_OUTCOME_NOT_APPLIED},
    {"network", PROV_CHAIN_POOL_ROOT, false, PROV_E_NETWORK, PROV_OUTCOME_NOT_APPLIED},
    {"network", PROV_CHAIN_CLAIM, false, PROV_E_NETWORK, PROV_OUTCOME_NOT_APPLIED},
    {"network", PROV_CHAIN_CLAIM_STORED, false, PROV_E_NETWORK, PROV_OUTCOME_NOT_APPLIED},
    {"network", PROV_CHAIN_RECOVER, false, PROV_E_NETWORK, PROV_OUTCOME_NOT_APPLIED},
    {"network", PROV_CHAIN_DEPLOY, false, PROV_E_NETWORK, PROV_OUTCOME_NOT_APPLIED},
    {"unknown", PROV_CHAIN_CALL, false, PROV_E_TIMEOUT, PROV_OUTCOME_UNKNOWN},
};

START_TEST(the_fallback_answers_what_can_be_settled_later)
{
    prov_chain_op op = op_of(cases[_i].kind);
    open_with(cases[_i].mode, true);
    int rc = pv_chain_submit(chain, &op, &answer, &err);
    ck_assert_int_eq(answer.local, cases[_i].local);
    if (cases[_i].local) {
        ck_assert_msg(rc == PROV_OK, "%s", err.message);
        ck_assert_str_eq(answer.by, "fx-chain-local");
        ck_assert_int_eq(answer.tx.state, PROV_CHAIN_STATE_LOCAL);
        ck_assert_int_eq(strncmp(answer.tx.ref, "local:", 6), 0);
        ck_assert_int_eq(answer.primary.outcome, cases[_i].outcome);
        ck_contains(logged, "1 answered locally by fx-chain-local, to be settled later: fx-chain: ");
    } else {
        ck_assert_int_eq(rc, cases[_i].code);
        ck_assert_int_eq(err.outcome, cases[_i].outcome);
        if (cases[_i].outcome == PROV_OUTCOME_PERMANENT)
            ck_contains(logged, "0 fx-chain: the key has no funds (this will not go away by itself");
    }
}
END_TEST

START_TEST(without_a_fallback_the_error_is_handed_up)
{
    prov_chain_op op = op_of(PROV_CHAIN_ANCHOR);
    open_with("unknown", false);
    ck_assert_int_eq(pv_chain_submit(chain, &op, &answer, &err), PROV_E_TIMEOUT);
    ck_assert_int_eq(err.outcome, PROV_OUTCOME_UNKNOWN);
    ck_assert_ptr_null(pv_chain_fallback_name(chain));
}
END_TEST

START_TEST(an_open_breaker_makes_the_fallback_answer_at_once)
{
    prov_chain_op op = op_of(PROV_CHAIN_ANCHOR);
    open_with("unset", true);
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(pv_chain_submit(chain, &op, &answer, &err), PROV_OK);
    ck_assert(pv_chain_open_breaker(chain));
    ck_assert_int_eq(pv_chain_submit(chain, &op, &answer, &err), PROV_OK);
    ck_assert(answer.local);
    ck_assert_int_eq(answer.primary.outcome, PROV_OUTCOME_NOT_APPLIED); /* it was not sent */
    ck_contains(answer.primary.message, "breaker open after 5 failures");
}
END_TEST

START_TEST(what_cannot_answer_locally_is_no_fallback)
{
    struct pv_chain *none = NULL;
    bench_spec(&s, &b, "fx-chain-local", "ok");
    bench_spec(&local, &b, "fx-chain", "ok");
    ck_assert_int_eq(pv_chain_open(b.plugins, &s.spec, &local.spec, &none, &err), PROV_E_CONFIG);
    ck_contains(err.message, "'fx-chain' cannot be a fallback");
    ck_assert_ptr_null(none);
}
END_TEST

START_TEST(a_struct_that_is_written_past_is_found)
{
    prov_chain_op ops[2] = {op_of(PROV_CHAIN_ANCHOR), op_of(PROV_CHAIN_ANCHOR)};
    prov_chain_tx txs[2];
    open_with("overrun", false);
    if (_i == 0)
        ck_assert_int_eq(pv_chain_submit(chain, ops, &answer, &err), PROV_E_PLUGIN);
    else
        ck_assert_int_eq(pv_chain_submit_many(chain, ops, 2, txs, &err), PROV_E_PLUGIN);
    ck_contains(err.message, _i == 0 ? "wrote past the end of ret_tx" : "wrote past the end of ret_txs");
    ck_assert_int_eq(err.outcome, PROV_OUTCOME_UNKNOWN);
}
END_TEST

struct rows {
    int n;
    int stop_at;
};

static int one_row(void *ctx, const prov_value *v, uint64_t n)
{
    struct rows *r = ctx;
    ck_assert_uint_eq(n, 3);
    ck_assert_int_eq(v[0].i64, r->n);
    ck_assert_int_eq(((const uint8_t *)v[1].data)[31], 42);
    ck_assert_str_eq(v[2].name, "note");
    ck_assert_str_eq((const char *)v[2].data, "hello"); /* kept with a NUL behind it */
    return ++r->n == r->stop_at ? PROV_E_LIMIT : PROV_OK;
}

START_TEST(rows_come_in_order_and_bad_ones_are_refused)
{
    struct rows r = {0, 0};
    prov_chain_op op = op_of(PROV_CHAIN_Q_JOURNAL);
    open_with("ok", true);
    ck_assert_int_eq(pv_chain_query(chain, &op, one_row, &r, &err), PROV_OK);
    ck_assert_int_eq(r.n, 3);
    r = (struct rows){0, 2};
    ck_assert_int_eq(pv_chain_query(chain, &op, one_row, &r, &err), PROV_E_LIMIT);
    r = (struct rows){0, 0};
    ck_assert_int_eq(pv_chain_query_fallback(chain, &op, one_row, &r, &err), PROV_OK);
    pv_chain_close(chain);
    open_with("bad-row", true);
    r = (struct rows){0, 0};
    ck_assert_int_eq(pv_chain_query(chain, &op, one_row, &r, &err), PROV_E_PLUGIN);
    ck_contains(err.message, "value 1 has the wrong size for its type");
    ck_assert_int_eq(r.n, 0);
}
END_TEST

START_TEST(reads_are_never_answered_by_the_fallback)
{
    prov_chain_info info;
    struct rows r = {0, 0};
    prov_chain_op op = op_of(PROV_CHAIN_Q_GET_HASH);
    struct pv_call_limits quick = {.timeout_ns = 20 * BENCH_MS};
    open_with("network", true);
    pv_instance_limit(pv_chain_instance(chain), &quick);
    ck_assert_int_eq(pv_chain_info(chain, &info, &err), PROV_E_NETWORK);
    ck_assert_int_eq(pv_chain_query(chain, &op, one_row, &r, &err), PROV_E_NETWORK);
    ck_assert_int_eq(r.n, 0);
}
END_TEST

START_TEST(answers_are_made_safe_to_read)
{
    prov_chain_op op = op_of(PROV_CHAIN_ANCHOR);
    prov_chain_info info;
    prov_chain_tx tx;
    struct psdk_buf buf = {0};
    uint8_t wei[32];
    open_with("no-nul", true);
    ck_assert_int_eq(pv_chain_submit(chain, &op, &answer, &err), PROV_OK);
    ck_assert_uint_eq(strlen(answer.tx.reason), sizeof answer.tx.reason - 1);
    ck_assert_int_eq(pv_chain_info(chain, &info, &err), PROV_OK);
    ck_assert_uint_eq(strlen(info.client), sizeof info.client - 1);
    ck_assert_uint_eq(info.chain_id, 31337);
    ck_assert_int_eq(pv_chain_status(chain, "local:1", &tx, &err), PROV_OK);
    ck_assert_str_eq(tx.reason, "fx-chain-local");
    ck_assert_int_eq(pv_chain_status(chain, "0x1", &tx, &err), PROV_OK);
    ck_assert_str_eq(tx.reason, "fx-chain");
    ck_assert_int_eq(pv_chain_evidence(chain, "0x1", 100, &buf, &err), PROV_OK);
    ck_assert_str_eq(psdk_buf_str(&buf), "{\"tx\":1}");
    ck_assert_int_eq(pv_chain_evidence(chain, "0x1", 7, &buf, &err), PROV_E_LIMIT);
    ck_assert_int_eq(pv_chain_estimate(chain, &op, wei, &err), PROV_E_UNSUPPORTED);
    psdk_buf_done(&buf);
    pv_chain_close(chain);
    open_with("odd-state", true);
    ck_assert_int_eq(pv_chain_status(chain, "0x1", &tx, &err), PROV_OK);
    ck_assert_int_eq(tx.state, PROV_CHAIN_STATE_UNKNOWN);
}
END_TEST

START_TEST(a_malformed_argument_never_reaches_the_backend)
{
    prov_value bad = {sizeof bad, PROV_VALUE_HASH, "root", 0, 0, "short", 5};
    prov_chain_op op = {sizeof op, PROV_CHAIN_ANCHOR, {1}, "", &bad, 1};
    open_with("ok", true);
    ck_assert_int_eq(pv_chain_submit(chain, &op, &answer, &err), PROV_E_INVALID);
    ck_assert_int_eq(err.outcome, PROV_OUTCOME_PERMANENT);
    bad.name = NULL;
    ck_assert_int_eq(pv_chain_submit(chain, &op, &answer, &err), PROV_E_INVALID);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("chain");
    TCase *tc = tcase_create("chain");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, a_primary_that_works_answers);
    tcase_add_loop_test(tc, the_fallback_answers_what_can_be_settled_later, 0, (int)(sizeof cases / sizeof cases[0]));
    tcase_add_test(tc, without_a_fallback_the_error_is_handed_up);
    tcase_add_test(tc, an_open_breaker_makes_the_fallback_answer_at_once);
    tcase_add_test(tc, what_cannot_answer_locally_is_no_fallback);
    tcase_add_loop_test(tc, a_struct_that_is_written_past_is_found, 0, 2);
    tcase_add_test(tc, rows_come_in_order_and_bad_ones_are_refused);
    tcase_add_test(tc, reads_are_never_answered_by_the_fallback);
    tcase_add_test(tc, answers_are_made_safe_to_read);
    tcase_add_test(tc, a_malformed_argument_never_reaches_the_backend);
    suite_add_tcase(suite, tc);
    return bench_run(suite);
}
