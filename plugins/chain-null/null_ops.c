/* null_ops.c - the kinds of chain operations: what arguments they take, and how these are written down.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "null.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "psdk_eth.h"

struct arg_spec {
    const char *name;
    int32_t type;
};

struct kind_spec {
    uint32_t kind;
    const char *name;
    struct arg_spec fixed[4];    /* come first, once */
    struct arg_spec repeated[5]; /* then these together, any number of times */
};

#define T PROV_VALUE_TEXT
#define I PROV_VALUE_INT
#define B PROV_VALUE_BYTES
#define U PROV_VALUE_U256
#define A PROV_VALUE_ADDRESS
#define H PROV_VALUE_HASH

static const struct kind_spec kinds[] = {
    {PROV_CHAIN_STORE_HASH, "store_hash", {{"hash", T}, {"metadata", T}}, {{0}}},
    {PROV_CHAIN_ANCHOR, "anchor", {{"root", H}}, {{0}}},
    {PROV_CHAIN_SESSION_CREATE, "session_create", {{"session", H}, {"model", H}}, {{0}}},
    {PROV_CHAIN_NODES_REGISTER, "nodes_register", {{"session", H}}, {{"node", H}, {"address", A}}},
    {PROV_CHAIN_CONTRIBUTIONS,
     "contributions",
     {{"session", H}},
     {{"address", A}, {"compute", I}, {"accepted", I}, {"rounds", I}, {"quality", I}}},
    {PROV_CHAIN_SESSION_COMPLETE, "session_complete", {{"session", H}}, {{0}}},
    {PROV_CHAIN_SESSION_CANCEL, "session_cancel", {{"session", H}}, {{0}}},
    {PROV_CHAIN_POOL_CREATE, "pool_create", {{"session", H}, {"total", U}, {"strategy", I}, {"token", A}}, {{0}}},
    {PROV_CHAIN_POOL_CALCULATE, "pool_calculate", {{"session", H}, {"strategy", I}}, {{"address", A}, {"score", U}}},
    {PROV_CHAIN_POOL_ROOT, "pool_root", {{"session", H}, {"root", H}, {"total", U}}, {{0}}},
    {PROV_CHAIN_CLAIM, "claim", {{"session", H}, {"index", U}, {"amount", U}}, {{"proof", H}}},
    {PROV_CHAIN_CLAIM_STORED, "claim_stored", {{0}}, {{"session", H}}},
    {PROV_CHAIN_RECOVER, "recover", {{"session", H}}, {{0}}},
    {PROV_CHAIN_DEPLOY, "deploy", {{"contract", T}, {"code", B}, {"constructor", B}}, {{0}}},
    {PROV_CHAIN_CALL, "call", {{"to", A}, {"data", B}, {"value", U}}, {{0}}},
};

#undef T
#undef I
#undef B
#undef U
#undef A
#undef H

static const char *const type_names[] = {"null", "int", "real", "text", "bytes", "u256", "address", "hash", "json", "time"};

const prov_value *pv_null_arg(const prov_chain_op *op, uint64_t i)
{
    return (const prov_value *)(const void *)((const char *)op->args + i * op->args->struct_size);
}

static int refuse(prov_error *err, int code, const char *name, const char *why)
{
    psdk_fail(err, code, "%s: %s", name, why);
    return psdk_outcome(err, PROV_OUTCOME_PERMANENT);
}

static size_t count_specs(const struct arg_spec *specs, size_t cap)
{
    size_t n = 0;
    while (n < cap && specs[n].name != NULL)
        n++;
    return n;
}

static int check_arg(const struct kind_spec *kind, const prov_value *arg, const struct arg_spec *want, prov_error *err)
{
    if (arg->name == NULL || strcmp(arg->name, want->name) != 0 || arg->type != want->type) {
        psdk_fail(err, PROV_E_INVALID, "%s: want argument '%s' of type %s, got '%.64s' of type %d", kind->name, want->name,
                  type_names[want->type], arg->name != NULL ? arg->name : "", (int)arg->type);
        return psdk_outcome(err, PROV_OUTCOME_PERMANENT);
    }
    bool needs_data = arg->type == PROV_VALUE_U256 || arg->type == PROV_VALUE_ADDRESS || arg->type == PROV_VALUE_HASH ||
                      (arg->type != PROV_VALUE_INT && arg->size_bytes > 0);
    if (needs_data && arg->data == NULL)
        return refuse(err, PROV_E_INVALID, want->name, "the argument has no data");
    if (arg->type == PROV_VALUE_INT && arg->i64 < 0)
        return refuse(err, PROV_E_INVALID, want->name, "cannot be negative");
    return PROV_OK;
}

/* As the contract says it. */
static int check_store_hash(const prov_chain_op *op, prov_error *err)
{
    uint64_t hash_len = pv_null_arg(op, 0)->size_bytes, metadata_len = pv_null_arg(op, 1)->size_bytes;
    if (hash_len == 0)
        return refuse(err, PROV_E_INVALID, "store_hash", "Hash cannot be empty");
    if (hash_len > 128)
        return refuse(err, PROV_E_INVALID, "store_hash", "Hash too long (at most 128 bytes)");
    if (metadata_len > 2048)
        return refuse(err, PROV_E_INVALID, "store_hash", "Metadata too long (at most 2048 bytes)");
    return PROV_OK;
}

int pv_null_op_check(const prov_chain_op *op, const char **ret_name, prov_error *err)
{
    const struct kind_spec *kind = NULL;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds && kind == NULL; i++)
        kind = kinds[i].kind == op->kind ? &kinds[i] : NULL;
    if (kind == NULL) {
        psdk_fail(err, PROV_E_UNSUPPORTED, "chain-null knows no operation of kind %u", op->kind);
        return psdk_outcome(err, PROV_OUTCOME_PERMANENT);
    }
    size_t n_fixed = count_specs(kind->fixed, 4), n_repeated = count_specs(kind->repeated, 5);
    const uint64_t n_args = op->n_args;
    if (n_args < n_fixed || (n_repeated == 0 && n_args > n_fixed) ||
        (n_repeated > 0 && (n_args - n_fixed) % n_repeated != 0))
        return refuse(err, PROV_E_INVALID, kind->name, "wrong number of arguments");
    if (n_repeated > 0 && kind->kind != PROV_CHAIN_CLAIM && n_args == n_fixed) /* one leaf needs no proof */
        return refuse(err, PROV_E_INVALID, kind->name, "Empty arrays");
    for (uint64_t i = 0; i < n_args; i++) {
        bool fixed = n_repeated == 0 || i < n_fixed;
        const struct arg_spec *want = fixed ? &kind->fixed[i] : &kind->repeated[(i - n_fixed) % n_repeated];
        int rc = check_arg(kind, pv_null_arg(op, i), want, err);
        if (rc != PROV_OK)
            return rc;
    }
    *ret_name = kind->name;
    return op->kind == PROV_CHAIN_STORE_HASH ? check_store_hash(op, err) : PROV_OK;
}

const prov_value *pv_null_arg_get(const prov_chain_op *op, const char *name, int32_t type, prov_error *err)
{
    for (uint64_t i = 0; i < op->n_args; i++) {
        const prov_value *arg = pv_null_arg(op, i);
        if (arg->name != NULL && strcmp(arg->name, name) == 0 && arg->type == type &&
            (type == PROV_VALUE_INT || arg->data != NULL))
            return arg;
    }
    psdk_fail(err, PROV_E_INVALID, "the query needs the argument '%s' of type %s", name, type_names[type]);
    psdk_outcome(err, PROV_OUTCOME_PERMANENT);
    return NULL;
}

/* The third member of an argument: its value as text. */
static void write_value(const prov_value *arg, struct psdk_buf *buf)
{
    char text[79];
    switch (arg->type) {
    case PROV_VALUE_TEXT:
        psdk_jcs_string(buf, arg->data != NULL ? arg->data : "", (size_t)arg->size_bytes);
        return;
    case PROV_VALUE_INT:
        psdk_buf_addf(buf, "\"%" PRId64 "\"", arg->i64);
        return;
    case PROV_VALUE_U256:
        psdk_u256_format(arg->data, text);
        psdk_buf_addf(buf, "\"%s\"", text);
        return;
    case PROV_VALUE_ADDRESS:
        psdk_eth_address_format(arg->data, text);
        psdk_buf_addf(buf, "\"%s\"", text);
        return;
    case PROV_VALUE_HASH:
        psdk_buf_addc(buf, '"');
        psdk_buf_add_hex(buf, arg->data, 32);
        psdk_buf_addc(buf, '"');
        return;
    default: /* BYTES: check_arg lets nothing else through */
        psdk_buf_addc(buf, '"');
        psdk_buf_add_base64(buf, arg->data, (size_t)arg->size_bytes);
        psdk_buf_addc(buf, '"');
    }
}

int pv_null_args_write(const prov_chain_op *op, struct psdk_buf *buf, prov_error *err)
{
    psdk_buf_addc(buf, '[');
    for (uint64_t i = 0; i < op->n_args; i++) {
        const prov_value *arg = pv_null_arg(op, i);
        psdk_buf_addf(buf, "%s[\"%s\",\"%s\",", i > 0 ? "," : "", arg->name, type_names[arg->type]);
        write_value(arg, buf);
        psdk_buf_addc(buf, ']');
    }
    psdk_buf_addc(buf, ']');
    return psdk_buf_check(buf, err);
}

void pv_null_op_digest(uint32_t kind, const char *group, size_t group_len, const char *args, size_t args_len,
                       uint8_t ret[32])
{
    char head[64];
    struct psdk_sha256 h = {0};
    int n = snprintf(head, sizeof head, "%u %zu ", kind, group_len);
    psdk_sha256_init(&h);
    psdk_sha256_add(&h, head, (size_t)n);
    psdk_sha256_add(&h, group, group_len);
    psdk_sha256_add(&h, args, args_len);
    psdk_sha256_final(&h, ret);
    psdk_sha256_done(&h);
}
