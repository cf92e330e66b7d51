/* pv_chain_frame.c - the frames of a chain's calls: copies in, rows out. SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pv_chain_int.h"

/* ---- deep copies of operations ----------------------------------------------------------------------------------- */
static bool has_data(int32_t type)
{
    return type == PROV_VALUE_TEXT || type == PROV_VALUE_BYTES || type == PROV_VALUE_U256 ||
           type == PROV_VALUE_ADDRESS || type == PROV_VALUE_HASH || type == PROV_VALUE_JSON;
}

/* The size that a type prescribes, or the value's own. */
static uint64_t data_bytes(const prov_value *v)
{
    if (!has_data(v->type) || v->data == NULL)
        return 0;
    return v->size_bytes;
}

static const char *value_fault(const prov_value *v)
{
    uint64_t want = v->type == PROV_VALUE_U256 || v->type == PROV_VALUE_HASH ? 32
                    : v->type == PROV_VALUE_ADDRESS                          ? 20
                                                                             : 0;
    if (!PROV_HAS(v, prov_value, size_bytes) || v->struct_size % _Alignof(prov_value) != 0 || v->struct_size > 4096)
        return "has a struct_size that cannot be";
    if (v->name == NULL)
        return "has no name";
    if (v->type < PROV_VALUE_NULL || v->type > PROV_VALUE_TIME)
        return "has an unknown type";
    if (want != 0 && (v->data == NULL || v->size_bytes != want))
        return "has the wrong size for its type";
    if (has_data(v->type) && v->data == NULL && v->size_bytes > 0)
        return "has no data";
    return NULL;
}

/* A block that is filled from its front; room was counted before. */
static const void *place(uint8_t **at, const void *data, size_t len)
{
    void *ret = *at;
    if (len > 0)
        memcpy(ret, data, len);
    (*at)[len] = '\0';
    *at += len + 1;
    return ret;
}

static int measure_ops(const prov_chain_op *ops, size_t n_ops, size_t *ret_bytes, size_t *ret_values, prov_error *err)
{
    *ret_bytes = 0;
    *ret_values = 0;
    for (size_t i = 0; i < n_ops; i++) {
        *ret_bytes += strlen(ops[i].group != NULL ? ops[i].group : "") + 1;
        *ret_values += (size_t)ops[i].n_args;
        for (uint64_t k = 0; k < ops[i].n_args; k++) {
            const prov_value *v = &ops[i].args[k];
            const char *fault = value_fault(v);
            if (fault != NULL)
                return psdk_fail(err, PROV_E_INVALID, "operation %u: argument %llu %s", ops[i].kind,
                                 (unsigned long long)k, fault);
            *ret_bytes += strlen(v->name) + 1 + (size_t)data_bytes(v) + 1;
        }
    }
    return PROV_OK;
}

static int copy_ops(struct pv_chain_frame *f, const prov_chain_op *ops, size_t n_ops, prov_error *err)
{
    size_t bytes;
    size_t n_values;
    if (n_ops > PV_CHAIN_MAX_OPS)
        return psdk_fail(err, PROV_E_LIMIT, "more than %u operations at once", PV_CHAIN_MAX_OPS);
    int rc = measure_ops(ops, n_ops, &bytes, &n_values, err);
    if (rc != PROV_OK)
        return rc;
    f->ops = malloc(n_ops * sizeof *f->ops + n_values * sizeof(prov_value) + bytes + 1);
    if (f->ops == NULL)
        return psdk_fail(err, PROV_E_NOMEM, "no memory for an operation of %zu bytes", bytes);
    prov_value *values = (prov_value *)(f->ops + n_ops);
    uint8_t *at = (uint8_t *)(values + n_values);
    for (size_t i = 0; i < n_ops; i++) {
        const char *group = ops[i].group != NULL ? ops[i].group : "";
        f->ops[i] = ops[i];
        f->ops[i].struct_size = sizeof f->ops[i];
        f->ops[i].group = place(&at, group, strlen(group));
        f->ops[i].args = values;
        for (uint64_t k = 0; k < ops[i].n_args; k++, values++) {
            *values = ops[i].args[k];
            values->struct_size = sizeof *values;
            values->name = place(&at, ops[i].args[k].name, strlen(ops[i].args[k].name));
            values->size_bytes = data_bytes(&ops[i].args[k]);
            values->data = place(&at, ops[i].args[k].data, (size_t)values->size_bytes);
        }
    }
    f->n_ops = n_ops;
    return PROV_OK;
}

/* ---- rows -------------------------------------------------------------------------------------------------------- */
/* A row is kept as: count, then for each value its fixed part, the length of the name, the name, the data. */
struct kept_value {
    int64_t i64;
    double f64;
    uint64_t size_bytes;
    int32_t type;
    uint32_t name_bytes; /* with its NUL */
};

#define MAX_ROW_VALUES 256u

static int row_fault(struct pv_chain_frame *f, uint64_t k, const char *fault)
{
    snprintf(f->fault, sizeof f->fault, "%s emitted a row whose value %llu %s", f->head.kind->op, (unsigned long long)k,
             fault);
    return PROV_E_PLUGIN;
}

static int keep_row(struct pv_chain_frame *f, const prov_value *values, uint64_t n_values)
{
    uint64_t count = n_values;
    if (n_values > MAX_ROW_VALUES || (values == NULL && n_values > 0))
        return row_fault(f, n_values, "count is wrong");
    psdk_buf_add(&f->out, &count, sizeof count);
    const char *at = (const char *)values;
    for (uint64_t k = 0; k < n_values; k++) {
        const prov_value *v = (const prov_value *)(const void *)at;
        const char *fault = value_fault(v);
        if (fault != NULL)
            return row_fault(f, k, fault);
        struct kept_value kept = {v->i64, v->f64, data_bytes(v), v->type, (uint32_t)strlen(v->name) + 1};
        psdk_buf_add(&f->out, &kept, sizeof kept);
        psdk_buf_add(&f->out, v->name, kept.name_bytes);
        if (kept.size_bytes > 0)
            psdk_buf_add(&f->out, v->data, (size_t)kept.size_bytes);
        psdk_buf_addc(&f->out, '\0');
        at += v->struct_size; /* a later minor's values are larger */
    }
    f->n_rows++;
    return f->out.failed;
}

static int32_t emit_row(void *ctx, const prov_value *values, uint64_t n_values)
{
    struct pv_chain_frame *f = ctx;
    if (!pv_frame_enter(&f->head))
        return PROV_E_CANCELLED;
    int rc = f->fault[0] != '\0' ? PROV_E_PLUGIN : keep_row(f, values, n_values);
    pv_frame_leave(&f->head);
    return rc;
}

int pv_chain_rows_each(const struct pv_chain_frame *frame,
                       int (*row)(void *ctx, const prov_value *values, uint64_t n_values), void *ctx)
{
    const uint8_t *at = frame->out.data;
    prov_value values[MAX_ROW_VALUES];
    for (size_t r = 0; r < frame->n_rows; r++) {
        uint64_t n;
        memcpy(&n, at, sizeof n);
        at += sizeof n;
        for (uint64_t k = 0; k < n; k++) {
            struct kept_value kept;
            memcpy(&kept, at, sizeof kept);
            at += sizeof kept;
            values[k] =
                (prov_value){sizeof values[k], kept.type, (const char *)at, kept.i64, kept.f64, NULL, kept.size_bytes};
            at += kept.name_bytes;
            values[k].data = at;
            at += kept.size_bytes + 1;
        }
        int rc = row(ctx, values, n);
        if (rc < 0)
            return rc;
    }
    return PROV_OK;
}

static int32_t sink_evidence(void *ctx, const void *data, uint64_t size_bytes)
{
    struct pv_chain_frame *f = ctx;
    if (!pv_frame_enter(&f->head))
        return PROV_E_CANCELLED;
    int rc = size_bytes > SIZE_MAX / 2 ? PROV_E_LIMIT : psdk_buf_add(&f->out, data, (size_t)size_bytes);
    pv_frame_leave(&f->head);
    return rc;
}

/* ---- the ops ----------------------------------------------------------------------------------------------------- */
#define FRAME(frame) ((struct pv_chain_frame *)(frame))
#define OPS(ops) ((const prov_chain_ops *)(ops))

static int32_t run_submit(struct pv_frame *frame, const void *ops, void *self)
{
    return OPS(ops)->submit(self, &frame->call, FRAME(frame)->ops, &FRAME(frame)->tx, &frame->err);
}

static int32_t run_submit_many(struct pv_frame *frame, const void *ops, void *self)
{
    struct pv_chain_frame *f = FRAME(frame);
    return OPS(ops)->submit_many(self, &frame->call, f->ops, f->n_ops, f->txs, &frame->err);
}

static int32_t run_lookup(struct pv_frame *frame, const void *ops, void *self)
{
    return OPS(ops)->lookup(self, &frame->call, FRAME(frame)->key, &FRAME(frame)->tx, &frame->err);
}

static int32_t run_status(struct pv_frame *frame, const void *ops, void *self)
{
    return OPS(ops)->status(self, &frame->call, FRAME(frame)->ref, &FRAME(frame)->tx, &frame->err);
}

static int32_t run_query(struct pv_frame *frame, const void *ops, void *self)
{
    struct pv_chain_frame *f = FRAME(frame);
    return OPS(ops)->query(self, &frame->call, f->ops, &f->emit, &frame->err);
}

static int32_t run_info(struct pv_frame *frame, const void *ops, void *self)
{
    return OPS(ops)->info(self, &frame->call, &FRAME(frame)->info, &frame->err);
}

static int32_t run_estimate(struct pv_frame *frame, const void *ops, void *self)
{
    return OPS(ops)->estimate(self, &frame->call, FRAME(frame)->ops, FRAME(frame)->wei, &frame->err);
}

static int32_t run_evidence(struct pv_frame *frame, const void *ops, void *self)
{
    struct pv_chain_frame *f = FRAME(frame);
    return OPS(ops)->evidence(self, &frame->call, f->ref, &f->sink, &frame->err);
}

static void done(struct pv_frame *frame)
{
    free(FRAME(frame)->ops);
    free(FRAME(frame)->txs);
    psdk_buf_done(&FRAME(frame)->out);
}

#define SIZE sizeof(struct pv_chain_frame)
const struct pv_frame_kind pv_chain_submit_kind = {"submit", true, false, SIZE, run_submit, done};
const struct pv_frame_kind pv_chain_submit_many_kind = {"submit_many", true, false, SIZE, run_submit_many, done};
const struct pv_frame_kind pv_chain_lookup_kind = {"lookup", false, false, SIZE, run_lookup, done};
const struct pv_frame_kind pv_chain_status_kind = {"status", false, false, SIZE, run_status, done};
const struct pv_frame_kind pv_chain_query_kind = {"query", false, false, SIZE, run_query, done};
const struct pv_frame_kind pv_chain_info_kind = {"info", false, false, SIZE, run_info, done};
const struct pv_frame_kind pv_chain_estimate_kind = {"estimate", false, false, SIZE, run_estimate, done};
const struct pv_frame_kind pv_chain_evidence_kind = {"evidence", false, false, SIZE, run_evidence, done};

/* Room for submit_many's results, with a guard behind the last one. */
static bool make_txs(struct pv_chain_frame *f)
{
    f->txs = calloc(1, f->n_ops * sizeof *f->txs + sizeof(struct pv_guard));
    if (f->txs == NULL)
        return false;
    for (size_t i = 0; i < f->n_ops; i++)
        f->txs[i].struct_size = sizeof f->txs[i];
    pv_frame_guard(&f->head, (struct pv_guard *)(f->txs + f->n_ops), "ret_txs");
    return true;
}

struct pv_chain_frame *pv_chain_frame_new(const struct pv_frame_kind *kind, const prov_chain_op *ops, size_t n_ops,
                                          prov_error *err)
{
    struct pv_chain_frame *f = (struct pv_chain_frame *)pv_frame_new(kind);
    if (f == NULL) {
        psdk_fail(err, PROV_E_NOMEM, "%s: no memory for a call", kind->op);
        return NULL;
    }
    if (ops != NULL && copy_ops(f, ops, n_ops, err) != PROV_OK) {
        pv_frame_free(&f->head);
        return NULL;
    }
    if (kind == &pv_chain_submit_many_kind && !make_txs(f)) {
        psdk_fail(err, PROV_E_NOMEM, "%s: no memory for %zu results", kind->op, n_ops);
        pv_frame_free(&f->head);
        return NULL;
    }
    f->tx.struct_size = sizeof f->tx;
    f->info.struct_size = sizeof f->info;
    f->out.max = PV_CHAIN_MAX_ROWS_BYTES;
    f->emit = (prov_row_emit){sizeof f->emit, 0, f, emit_row};
    f->sink = (prov_sink){sizeof f->sink, 0, f, sink_evidence};
    pv_frame_guard(&f->head, &f->tx_front, "what lies in front of ret_tx");
    pv_frame_guard(&f->head, &f->tx_back, "ret_tx");
    pv_frame_guard(&f->head, &f->info_back, "ret_info");
    pv_frame_guard(&f->head, &f->wei_back, "ret_wei");
    return f;
}
