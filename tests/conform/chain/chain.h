/* chain.h - what the files of the chain suite share.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef CHAIN_H
#define CHAIN_H

#include <string.h>

#include "conform.h"

/* The instance of the running test (made by a fixture) and its ops. */
extern void *chain;
extern const prov_chain_ops *ops;

/* An operation built argument by argument; everything borrowed must outlive it. */
struct op {
    prov_chain_op op;
    prov_value args[64];
};

/* An empty operation with the idempotency key made of one byte. */
void op_init(struct op *op, uint32_t kind, uint8_t key);
void op_text(struct op *op, const char *name, const char *text);
void op_int(struct op *op, const char *name, int64_t value);
void op_data(struct op *op, const char *name, int32_t type, const void *data, uint64_t len);

/* 32 bytes (or a part of them) of one value; a number as U256. */
const uint8_t *bytes_of(uint8_t value);
const uint8_t *u256_of(uint8_t value);

int submit(const struct op *op, prov_chain_tx *ret_tx, prov_error *err);

/* The last row that a query gave, as text "name=value ...", and how many rows. */
struct rows {
    char last[8192];
    unsigned n;
};
int query(const struct op *op, struct rows *ret, prov_error *err);

void add_ops(Suite *suite);
void add_queries(Suite *suite);
void add_journal(Suite *suite); /* only for the provider chain-null */
TCase *new_case(Suite *suite, const char *name);

#endif
