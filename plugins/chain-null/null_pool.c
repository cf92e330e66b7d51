/* null_pool.c - what the journal says about reward pools.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Nothing is settled here: this shows what was recorded when chain-null is the chosen network. Amounts are 256-bit, by
 * OpenSSL's big numbers. The journal has no senders, so a stored claim cannot be counted against an address.
 */
#include "null.h"

#include <openssl/bn.h>
#include <stdlib.h>
#include <string.h>

#include "psdk_eth.h"

/* Sets ret from the decimal text of argument i. */
static bool amount_of(const json_t *args, size_t i, BIGNUM *ret)
{
    const char *text = pv_null_text(args, i);
    BIGNUM *at = ret;
    return text != NULL && text[0] >= '0' && text[0] <= '9' && BN_dec2bn(&at, text) > 0;
}

static int bad_entry(const struct pv_null *self, prov_error *err)
{
    return psdk_fail(err, PROV_E_CORRUPT, "'%s': an operation on a pool is malformed", self->journal);
}

struct pool {
    BIGNUM *total, *remaining;
    int64_t strategy;
    bool finalized;
    uint8_t root[32];
};

static int read_total(struct pv_null *self, const struct pv_null_entry *created, struct pool *pool, prov_error *err)
{
    json_t *args = pv_null_read_args(self, created, err);
    if (args == NULL)
        return err->code;
    bool ok = amount_of(args, 1, pool->total) && pv_null_text(args, 2) != NULL && BN_copy(pool->remaining, pool->total);
    pool->strategy = ok ? strtoll(pv_null_text(args, 2), NULL, 10) : 0;
    json_decref(args);
    return ok ? PROV_OK : bad_entry(self, err);
}

/* Applies one later entry about the pool's session. */
static int apply_entry(struct pv_null *self, const struct pv_null_entry *entry, struct pool *pool, prov_error *err)
{
    if (entry->kind == PROV_CHAIN_RECOVER)
        BN_zero(pool->remaining);
    if (entry->kind == PROV_CHAIN_POOL_CALCULATE)
        pool->finalized = true;
    if (entry->kind != PROV_CHAIN_POOL_ROOT && entry->kind != PROV_CHAIN_CLAIM)
        return PROV_OK;
    json_t *args = pv_null_read_args(self, entry, err);
    if (args == NULL)
        return err->code;
    bool ok = true;
    if (entry->kind == PROV_CHAIN_POOL_ROOT) {
        const char *root = pv_null_text(args, 1);
        ok = root != NULL && psdk_unhex(root, strlen(root), pool->root, 32);
        pool->finalized = true;
    } else {
        BIGNUM *amount = BN_new();
        ok = amount != NULL && amount_of(args, 2, amount);
        if (ok && BN_cmp(amount, pool->remaining) <= 0)
            BN_sub(pool->remaining, pool->remaining, amount);
        else if (ok)
            BN_zero(pool->remaining);
        BN_free(amount);
    }
    json_decref(args);
    return ok ? PROV_OK : bad_entry(self, err);
}

static int read_pool(struct pv_null *self, const uint8_t session[32], struct pool *pool, prov_error *err)
{
    const struct pv_null_entry *created = pv_null_find_kind(self, PROV_CHAIN_POOL_CREATE, session, false);
    if (created == NULL)
        return psdk_fail(err, PROV_E_NOT_FOUND, "Pool does not exist in the local journal");
    if (pool->total == NULL || pool->remaining == NULL)
        return psdk_fail(err, PROV_E_NOMEM, "no memory");
    int rc = read_total(self, created, pool, err);
    for (const struct pv_null_entry *entry = created + 1; rc == PROV_OK && entry < self->entries + self->n; entry++) {
        if (memcmp(entry->subject, session, 32) == 0)
            rc = apply_entry(self, entry, pool, err);
    }
    return rc;
}

int pv_null_query_pool(struct pv_null *self, const prov_chain_op *op, const prov_row_emit *emit, prov_error *err)
{
    uint8_t total[32], remaining[32];
    const prov_value *session = pv_null_arg_get(op, "session", PROV_VALUE_HASH, err);
    if (session == NULL)
        return err->code;
    struct pool pool = {.total = BN_new(), .remaining = BN_new()};
    int rc = read_pool(self, session->data, &pool, err);
    if (rc == PROV_OK && (BN_bn2binpad(pool.total, total, 32) < 0 || BN_bn2binpad(pool.remaining, remaining, 32) < 0))
        rc = bad_entry(self, err);
    if (rc == PROV_OK) {
        const prov_value row[] = {
            {.struct_size = sizeof(prov_value), .type = PROV_VALUE_U256, .name = "total", .data = total, .size_bytes = 32},
            {.struct_size = sizeof(prov_value), .type = PROV_VALUE_U256, .name = "remaining", .data = remaining,
             .size_bytes = 32},
            {.struct_size = sizeof(prov_value), .type = PROV_VALUE_INT, .name = "strategy", .i64 = pool.strategy},
            {.struct_size = sizeof(prov_value), .type = PROV_VALUE_INT, .name = "finalized", .i64 = pool.finalized},
            {.struct_size = sizeof(prov_value), .type = PROV_VALUE_HASH, .name = "root", .data = pool.root,
             .size_bytes = 32},
        };
        rc = pv_null_emit(emit, row, 5, err);
    }
    BN_free(pool.total);
    BN_free(pool.remaining);
    return rc;
}

/* amount = total * score(address) / sum(scores), floored. */
static int share_of(const struct pv_null *self, const json_t *args, const uint8_t address[20], BIGNUM *amount,
                    prov_error *err)
{
    BN_CTX *ctx = BN_CTX_new();
    BIGNUM *sum = BN_new(), *score = BN_new(), *mine = BN_new();
    bool found = false, ok = ctx != NULL && sum != NULL && score != NULL && mine != NULL;
    for (size_t a = 2; ok && a + 1 < json_array_size(args); a += 2) {
        uint8_t of[20];
        const char *text = pv_null_text(args, a);
        ok = text != NULL && psdk_unhex(text + 2, strlen(text) - 2, of, sizeof of) && amount_of(args, a + 1, score) &&
             BN_add(sum, sum, score) == 1;
        if (ok && memcmp(of, address, 20) == 0) {
            found = true;
            ok = BN_copy(mine, score) != NULL;
        }
    }
    if (ok && found && !BN_is_zero(sum))
        ok = BN_mul(amount, amount, mine, ctx) == 1 && BN_div(amount, NULL, amount, sum, ctx) == 1;
    int rc = !ok ? bad_entry(self, err)
                 : found && !BN_is_zero(sum) ? PROV_OK
                                             : psdk_fail(err, PROV_E_NOT_FOUND, "no reward of this address is in the local "
                                                         "journal");
    BN_free(sum);
    BN_free(score);
    BN_free(mine);
    BN_CTX_free(ctx);
    return rc;
}

int pv_null_query_pending(struct pv_null *self, const prov_chain_op *op, const prov_row_emit *emit, prov_error *err)
{
    uint8_t amount[32];
    const prov_value *session = pv_null_arg_get(op, "session", PROV_VALUE_HASH, err);
    const prov_value *address = session != NULL ? pv_null_arg_get(op, "address", PROV_VALUE_ADDRESS, err) : NULL;
    if (address == NULL)
        return err->code;
    const struct pv_null_entry *calculated = pv_null_find_kind(self, PROV_CHAIN_POOL_CALCULATE, session->data, true);
    if (calculated == NULL)
        return psdk_fail(err, PROV_E_NOT_FOUND, "no rewards of this session were calculated in the local journal");
    struct pool pool = {.total = BN_new(), .remaining = BN_new()};
    json_t *args = NULL;
    int rc = read_pool(self, session->data, &pool, err);
    if (rc == PROV_OK && (args = pv_null_read_args(self, calculated, err)) == NULL)
        rc = err->code;
    if (rc == PROV_OK && (pv_null_text(args, 1) == NULL || strcmp(pv_null_text(args, 1), "0") != 0))
        rc = psdk_fail(err, PROV_E_UNSUPPORTED, "a local journal divides proportionally only (strategy 0): read the reward "
                       "sheet for the other strategies");
    if (rc == PROV_OK)
        rc = share_of(self, args, address->data, pool.total, err);
    if (rc == PROV_OK && BN_bn2binpad(pool.total, amount, 32) < 0)
        rc = bad_entry(self, err);
    if (rc == PROV_OK) {
        const prov_value row[] = {
            {.struct_size = sizeof(prov_value), .type = PROV_VALUE_U256, .name = "amount", .data = amount, .size_bytes = 32},
            {.struct_size = sizeof(prov_value), .type = PROV_VALUE_INT, .name = "claimed", .i64 = 0},
        };
        rc = pv_null_emit(emit, row, 2, err);
    }
    json_decref(args);
    BN_free(pool.total);
    BN_free(pool.remaining);
    return rc;
}
