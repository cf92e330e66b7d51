/* pv_chain_int.h - the frames of a chain's calls, for the files of this folder. SPDX-License-Identifier: Apache-2.0 */
#ifndef PV_CHAIN_INT_H
#define PV_CHAIN_INT_H

#include "pv_chain.h"
#include "pv_instance.h"

#define PV_CHAIN_MAX_ROWS_BYTES ((size_t)64 << 20)
#define PV_CHAIN_MAX_OPS 4096u
#define PV_REF_BYTES 160

/* submit, lookup, status, info, estimate, query, evidence. All copies; nothing points into the caller's memory. */
struct pv_chain_frame {
    struct pv_frame head;
    prov_chain_op *ops; /* deep copies, one block with all that they point to */
    size_t n_ops;
    uint8_t key[32];
    char ref[PV_REF_BYTES];
    prov_row_emit emit;
    prov_sink sink;
    struct psdk_buf out; /* rows or evidence */
    size_t n_rows;
    char fault[160];    /* what was wrong with a row, or "" */
    prov_chain_tx *txs; /* submit_many: n_ops of them, then a guard, one block */
    struct pv_guard tx_front;
    prov_chain_tx tx;
    struct pv_guard tx_back;
    prov_chain_info info;
    struct pv_guard info_back;
    uint8_t wei[32];
    struct pv_guard wei_back;
};
extern const struct pv_frame_kind pv_chain_submit_kind, pv_chain_submit_many_kind, pv_chain_lookup_kind,
    pv_chain_status_kind, pv_chain_query_kind, pv_chain_info_kind, pv_chain_estimate_kind, pv_chain_evidence_kind;

/* ops NULL: none. */
struct pv_chain_frame *pv_chain_frame_new(const struct pv_frame_kind *kind, const prov_chain_op *ops, size_t n_ops,
                                          prov_error *err);
/* Calls row for each row gathered in frame. */
int pv_chain_rows_each(const struct pv_chain_frame *frame,
                       int (*row)(void *ctx, const prov_value *values, uint64_t n_values), void *ctx);

#endif
