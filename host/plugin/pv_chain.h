/* pv_chain.h - calling a chain backend, with a local one that answers in its place.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A chain is one instance of a role prov.chain/1 provider and, optionally, a second one with PROV_CAP_LOCAL_ONLY as its
 * fallback. What can be settled later (deferrable kinds) is answered by the fallback at once when the primary fails
 * with anything but PROV_OUTCOME_PERMANENT, and the answer says so and why; keeping the intent and sending it again is
 * the outbox's part, not this file's. Kinds that move value, and all reads, are never answered by the fallback.
 * Threads: [any].
 */
#ifndef PV_CHAIN_H
#define PV_CHAIN_H

#include "pv_plugin.h"

struct pv_chain;
struct pv_instance;

/* Opens the primary and, when fallback is not NULL, the fallback (which must have PROV_CAP_LOCAL_ONLY, else
 * PROV_E_CONFIG). The role members of the specs are ignored. */
int pv_chain_open(struct pv_plugins *plugins, const struct pv_plugin_spec *primary,
                  const struct pv_plugin_spec *fallback, struct pv_chain **ret, prov_error *err);
void pv_chain_close(struct pv_chain *chain);

/* Of the primary: driver name, capability bits, whether a call would be refused now. */
const char *pv_chain_name(const struct pv_chain *chain);
uint64_t pv_chain_capabilities(const struct pv_chain *chain);
bool pv_chain_open_breaker(const struct pv_chain *chain);
/* The fallback's driver name, or NULL. */
const char *pv_chain_fallback_name(const struct pv_chain *chain);
/* The instances, borrowed: for limits and cancelling (pv_instance.h). */
struct pv_instance *pv_chain_instance(struct pv_chain *chain);
struct pv_instance *pv_chain_fallback_instance(struct pv_chain *chain);

/* Whether a kind may be answered locally and settled later: STORE_HASH, ANCHOR, SESSION_*, NODES_REGISTER,
 * CONTRIBUTIONS. */
bool pv_chain_deferrable(uint32_t kind);

struct pv_chain_answer {
    prov_chain_tx tx;   /* strings end in NUL */
    const char *by;     /* driver that answered; valid until close */
    bool local;         /* the fallback answered: nothing is settled yet */
    prov_error primary; /* with local: why the primary did not; its outcome says whether it must be looked up first */
};

/* Submits op; op->key names it. PROV_OK: ret says who took it and how far it is. On an error with outcome UNKNOWN it
 * may have happened: pv_chain_lookup before anything else. It is never sent twice here but after NOT_APPLIED or
 * RETRY_LATER. */
int pv_chain_submit(struct pv_chain *chain, const prov_chain_op *op, struct pv_chain_answer *ret, prov_error *err);
/* The same on the primary alone, for the outbox that re-sends. */
int pv_chain_submit_primary(struct pv_chain *chain, const prov_chain_op *op, prov_chain_tx *ret_tx, prov_error *err);
/* Submits many in order on the primary alone; ret_txs has n_ops elements. PROV_E_UNSUPPORTED: submit them one by one.
 */
int pv_chain_submit_many(struct pv_chain *chain, const prov_chain_op *ops, size_t n_ops, prov_chain_tx *ret_txs,
                         prov_error *err);
/* What became of a key on the primary. PROV_E_NOT_FOUND: it never took it. */
int pv_chain_lookup(struct pv_chain *chain, const uint8_t key[32], prov_chain_tx *ret_tx, prov_error *err);
/* Follows a ref. "local:" refs are asked of the fallback when there is one and the primary is not local itself. */
int pv_chain_status(struct pv_chain *chain, const char *ref, prov_chain_tx *ret_tx, prov_error *err);
/* Reads; rows come in order, on the calling thread after the op has returned. A negative result of row stops and is
 * returned. */
int pv_chain_query(struct pv_chain *chain, const prov_chain_op *op,
                   int (*row)(void *ctx, const prov_value *values, uint64_t n_values), void *ctx, prov_error *err);
/* The same, of the fallback: what it holds locally. PROV_E_UNSUPPORTED when there is none. */
int pv_chain_query_fallback(struct pv_chain *chain, const prov_chain_op *op,
                            int (*row)(void *ctx, const prov_value *values, uint64_t n_values), void *ctx,
                            prov_error *err);
int pv_chain_info(struct pv_chain *chain, prov_chain_info *ret_info, prov_error *err);
int pv_chain_estimate(struct pv_chain *chain, const prov_chain_op *op, uint8_t ret_wei[32], prov_error *err);
/* Evidence of a ref as JSON, at most max_bytes, added to ret. */
int pv_chain_evidence(struct pv_chain *chain, const char *ref, size_t max_bytes, struct psdk_buf *ret, prov_error *err);

#endif
