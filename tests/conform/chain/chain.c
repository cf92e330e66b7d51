/* chain.c - conformance suite of prov.chain/1 for backends that answer locally (PROV_CAP_LOCAL_ONLY): helpers and main.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * chain PLUGIN.so [OPTION=VALUE ...]: straight through the ABI. Each test has a fresh {dir}.
 */
#include "chain.h"

#include <inttypes.h>
#include <stdio.h>

void *chain;
const prov_chain_ops *ops;

void op_init(struct op *op, uint32_t kind, uint8_t key)
{
    memset(op, 0, sizeof *op);
    op->op = (prov_chain_op){.struct_size = sizeof op->op, .kind = kind, .group = "", .args = op->args};
    memset(op->op.key, key, sizeof op->op.key);
}

static prov_value *next_arg(struct op *op, const char *name, int32_t type)
{
    prov_value *arg = &op->args[op->op.n_args++];
    *arg = (prov_value){.struct_size = sizeof *arg, .name = name, .type = type};
    return arg;
}

void op_text(struct op *op, const char *name, const char *text)
{
    op_data(op, name, PROV_VALUE_TEXT, text, strlen(text));
}

void op_int(struct op *op, const char *name, int64_t value)
{
    next_arg(op, name, PROV_VALUE_INT)->i64 = value;
}

void op_data(struct op *op, const char *name, int32_t type, const void *data, uint64_t len)
{
    prov_value *arg = next_arg(op, name, type);
    arg->data = data;
    arg->size_bytes = len;
}

const uint8_t *bytes_of(uint8_t value)
{
    static uint8_t bytes[256][32];
    memset(bytes[value], value, 32);
    return bytes[value];
}

const uint8_t *u256_of(uint8_t value)
{
    static uint8_t numbers[256][32];
    numbers[value][31] = value;
    return numbers[value];
}

int submit(const struct op *op, prov_chain_tx *ret_tx, prov_error *err)
{
    return ops->submit(chain, &conform_call, &op->op, ret_tx, err);
}

/* 32-byte numbers are shown as their last 8 bytes in decimal, hashes and addresses as their first byte in hex. */
static int32_t see_row(void *ctx, const prov_value *values, uint64_t n_values)
{
    struct rows *rows = ctx;
    size_t at = 0;
    rows->n++;
    for (uint64_t i = 0; i < n_values; i++) {
        const prov_value *v = (const prov_value *)(const void *)((const char *)values + i * values->struct_size);
        const uint8_t *data = v->data;
        char text[8000] = "";
        uint64_t number = 0;
        for (int b = 24; v->type == PROV_VALUE_U256 && b < 32; b++)
            number = number << 8 | data[b];
        if (v->type == PROV_VALUE_INT)
            snprintf(text, sizeof text, "%" PRId64, v->i64);
        else if (v->type == PROV_VALUE_TIME)
            snprintf(text, sizeof text, "%s", v->i64 > 0 ? "set" : "0");
        else if (v->type == PROV_VALUE_U256)
            snprintf(text, sizeof text, "%" PRIu64, number);
        else if (v->type == PROV_VALUE_HASH || v->type == PROV_VALUE_ADDRESS)
            snprintf(text, sizeof text, "%02x", data[0]);
        else
            snprintf(text, sizeof text, "%.*s", (int)v->size_bytes, (const char *)v->data);
        at += (size_t)snprintf(rows->last + at, sizeof rows->last - at, "%s%s=%s", i > 0 ? " " : "", v->name, text);
        ck_assert_uint_lt(at, sizeof rows->last);
    }
    return PROV_OK;
}

int query(const struct op *op, struct rows *ret, prov_error *err)
{
    prov_row_emit emit = {.struct_size = sizeof emit, .ctx = ret, .row = see_row};
    *ret = (struct rows){0};
    return ops->query(chain, &conform_call, &op->op, &emit, err);
}

static void set_up(void)
{
    conform_dir_make();
    ops = conform_provider()->ops;
    chain = conform_create();
}

static void tear_down(void)
{
    conform_destroy(chain);
    conform_dir_remove();
}

TCase *new_case(Suite *suite, const char *name)
{
    TCase *test_case = tcase_create(name);
    tcase_add_checked_fixture(test_case, set_up, tear_down);
    tcase_set_timeout(test_case, 120);
    suite_add_tcase(suite, test_case);
    return test_case;
}

int main(int argc, char **argv)
{
    if (!conform_load(argc, argv, PROV_ROLE_CHAIN))
        return 1;
    if ((conform_provider()->capabilities & PROV_CAP_LOCAL_ONLY) == 0) {
        fprintf(stderr, "this suite is for chains that answer locally; a chain on a network needs one of its own\n");
        return 77;
    }
    Suite *suite = suite_create("chain");
    add_ops(suite);
    add_queries(suite);
    if (strcmp(conform_provider()->name, "chain-null") == 0)
        add_journal(suite);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
