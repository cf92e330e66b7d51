/* pv_chain.c - calling a chain backend, with a local one that answers in its place. SPDX-License-Identifier: Apache-2.0
 */
#include "pv_chain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pv_chain_int.h"
#include "pv_log.h"

struct pv_chain {
    struct pv_instance *primary;
    struct pv_instance *fallback; /* NULL: none */
};

enum { OP_SUBMIT_MANY = 6 }; /* number in the role's table */

/* ---- life and facts ---------------------------------------------------------------------------------------------- */
static int open_one(struct pv_plugins *plugins, const struct pv_plugin_spec *spec, struct pv_instance **ret,
                    prov_error *err)
{
    struct pv_plugin_spec own = *spec;
    own.role = PROV_ROLE_CHAIN;
    return pv_instance_open(plugins, &own, ret, err);
}

int pv_chain_open(struct pv_plugins *plugins, const struct pv_plugin_spec *primary,
                  const struct pv_plugin_spec *fallback, struct pv_chain **ret, prov_error *err)
{
    struct pv_chain *chain = calloc(1, sizeof *chain);
    *ret = NULL;
    if (chain == NULL)
        return psdk_fail(err, PROV_E_NOMEM, "no memory");
    int rc = open_one(plugins, primary, &chain->primary, err);
    if (rc == PROV_OK && fallback != NULL) {
        rc = open_one(plugins, fallback, &chain->fallback, err);
        if (rc != PROV_OK) {
            psdk_wrap(err, "fallback");
        } else if ((pv_instance_capabilities(chain->fallback) & PROV_CAP_LOCAL_ONLY) == 0) {
            rc = psdk_fail(
                err, PROV_E_CONFIG, "%s%s'%s' cannot be a fallback: it does not answer locally; use one that does, or off",
                fallback->where != NULL ? fallback->where : "", fallback->where != NULL ? ": " : "", fallback->driver);
            psdk_outcome(err, PROV_OUTCOME_PERMANENT);
        }
    }
    if (rc == PROV_OK)
        *ret = chain;
    else
        pv_chain_close(chain);
    return rc;
}

void pv_chain_close(struct pv_chain *chain)
{
    if (chain == NULL)
        return;
    pv_instance_close(chain->fallback);
    pv_instance_close(chain->primary);
    free(chain);
}

const char *pv_chain_name(const struct pv_chain *chain)
{
    return pv_instance_name(chain->primary);
}

uint64_t pv_chain_capabilities(const struct pv_chain *chain)
{
    return pv_instance_capabilities(chain->primary);
}

bool pv_chain_open_breaker(const struct pv_chain *chain)
{
    return pv_instance_refuses(chain->primary);
}

const char *pv_chain_fallback_name(const struct pv_chain *chain)
{
    return chain->fallback != NULL ? pv_instance_name(chain->fallback) : NULL;
}

struct pv_instance *pv_chain_instance(struct pv_chain *chain)
{
    return chain->primary;
}

struct pv_instance *pv_chain_fallback_instance(struct pv_chain *chain)
{
    return chain->fallback;
}

bool pv_chain_deferrable(uint32_t kind)
{
    switch (kind) {
    case PROV_CHAIN_STORE_HASH:
    case PROV_CHAIN_ANCHOR:
    case PROV_CHAIN_SESSION_CREATE:
    case PROV_CHAIN_NODES_REGISTER:
    case PROV_CHAIN_CONTRIBUTIONS:
    case PROV_CHAIN_SESSION_COMPLETE:
    case PROV_CHAIN_SESSION_CANCEL:
        return true;
    default:
        return false;
    }
}

/* ---- one call ---------------------------------------------------------------------------------------------------- */
/* What a call needs besides its kind; unused members are NULL. */
struct asking {
    const struct pv_frame_kind *kind;
    const prov_chain_op *ops;
    size_t n_ops;
    const uint8_t *key;
    const char *ref;
};

/* Runs the call with retries. On PROV_OK the frame, with its outputs, is the caller's. */
static int ask(struct pv_instance *instance, const struct asking *a, struct pv_chain_frame **ret, prov_error *err)
{
    struct pv_retry retry = {0};
    uint64_t deadline = pv_call_deadline(instance, 0);
    int rc;
    *ret = NULL;
    if (a->ref != NULL && strlen(a->ref) >= PV_REF_BYTES)
        return psdk_fail(err, PROV_E_INVALID, "%s: the ref '%.40s...' is longer than %d bytes", a->kind->op, a->ref,
                         PV_REF_BYTES - 1);
    do {
        memset(err, 0, sizeof *err);
        struct pv_chain_frame *f = pv_chain_frame_new(a->kind, a->ops, a->n_ops, err);
        if (f == NULL)
            return psdk_outcome(err, err->code == PROV_E_NOMEM ? PROV_OUTCOME_NOT_APPLIED : PROV_OUTCOME_PERMANENT);
        if (a->key != NULL)
            memcpy(f->key, a->key, sizeof f->key);
        if (a->ref != NULL)
            snprintf(f->ref, sizeof f->ref, "%s", a->ref);
        struct pv_frame *frame = &f->head;
        rc = pv_call(instance, &frame, deadline, err);
        if (frame != NULL && f->fault[0] != '\0')
            rc = pv_call_blame(instance, err, "%s", f->fault);
        else if (frame != NULL && f->out.failed != 0)
            rc = psdk_fail(err, f->out.failed, "%s: %s: the answer is larger than this host takes",
                           pv_instance_name(instance), a->kind->op);
        if (rc == PROV_OK)
            *ret = f;
        else
            pv_frame_free(frame);
    } while (rc != PROV_OK && pv_retry_again(&retry, instance, deadline, rc, err));
    return rc;
}

static void give_tx(const prov_chain_tx *from, prov_chain_tx *ret)
{
    *ret = *from;
    ret->struct_size = sizeof *ret;
    ret->ref[sizeof ret->ref - 1] = '\0';
    ret->result[sizeof ret->result - 1] = '\0';
    ret->reason[sizeof ret->reason - 1] = '\0';
    if (ret->state < PROV_CHAIN_STATE_UNKNOWN || ret->state > PROV_CHAIN_STATE_LOCAL)
        ret->state = PROV_CHAIN_STATE_UNKNOWN;
}

static int ask_tx(struct pv_instance *instance, const struct asking *a, prov_chain_tx *ret_tx, prov_error *err)
{
    prov_error own;
    struct pv_chain_frame *f = NULL;
    int rc = ask(instance, a, &f, err != NULL ? err : &own);
    if (rc != PROV_OK)
        return rc;
    give_tx(&f->tx, ret_tx);
    pv_frame_free(&f->head);
    return PROV_OK;
}

/* ---- submit ------------------------------------------------------------------------------------------------------ */
int pv_chain_submit_primary(struct pv_chain *chain, const prov_chain_op *op, prov_chain_tx *ret_tx, prov_error *err)
{
    return ask_tx(chain->primary, &(struct asking){.kind = &pv_chain_submit_kind, .ops = op, .n_ops = 1}, ret_tx, err);
}

int pv_chain_submit(struct pv_chain *chain, const prov_chain_op *op, struct pv_chain_answer *ret, prov_error *err)
{
    prov_error own;
    if (err == NULL)
        err = &own;
    memset(ret, 0, sizeof *ret);
    ret->by = pv_instance_name(chain->primary);
    int rc = pv_chain_submit_primary(chain, op, &ret->tx, err);
    if (rc == PROV_OK || chain->fallback == NULL || !pv_chain_deferrable(op->kind) || rc == PROV_E_CANCELLED)
        return rc;
    if (err->outcome == PROV_OUTCOME_PERMANENT) {
        pv_log(PROV_LOG_ERROR, "%s (this will not go away by itself, so %s does not step in)", err->message,
               pv_instance_name(chain->fallback));
        return rc;
    }
    ret->primary = *err;
    rc = ask_tx(chain->fallback, &(struct asking){.kind = &pv_chain_submit_kind, .ops = op, .n_ops = 1}, &ret->tx, err);
    if (rc != PROV_OK) {
        psdk_wrap(err, "%.200s; and the fallback", ret->primary.message);
        err->outcome = ret->primary.outcome; /* what the primary did is what must be found out */
        return rc;
    }
    ret->by = pv_instance_name(chain->fallback);
    ret->local = true;
    memset(err, 0, sizeof *err);
    pv_log(PROV_LOG_WARN, "answered locally by %s, to be settled later: %s", ret->by, ret->primary.message);
    return PROV_OK;
}

int pv_chain_submit_many(struct pv_chain *chain, const prov_chain_op *ops, size_t n_ops, prov_chain_tx *ret_txs,
                         prov_error *err)
{
    prov_error own;
    struct pv_chain_frame *f = NULL;
    if (n_ops == 0)
        return PROV_OK;
    if (!pv_instance_has(chain->primary, OP_SUBMIT_MANY))
        return psdk_fail(err, PROV_E_UNSUPPORTED, "%s: submit_many is not supported by this backend",
                         pv_chain_name(chain));
    struct asking a = {.kind = &pv_chain_submit_many_kind, .ops = ops, .n_ops = n_ops};
    int rc = ask(chain->primary, &a, &f, err != NULL ? err : &own);
    if (rc != PROV_OK)
        return rc;
    for (size_t i = 0; i < n_ops; i++)
        give_tx(&f->txs[i], &ret_txs[i]);
    pv_frame_free(&f->head);
    return PROV_OK;
}

/* ---- reads ------------------------------------------------------------------------------------------------------- */
int pv_chain_lookup(struct pv_chain *chain, const uint8_t key[32], prov_chain_tx *ret_tx, prov_error *err)
{
    return ask_tx(chain->primary, &(struct asking){.kind = &pv_chain_lookup_kind, .key = key}, ret_tx, err);
}

int pv_chain_status(struct pv_chain *chain, const char *ref, prov_chain_tx *ret_tx, prov_error *err)
{
    struct pv_instance *who = chain->primary;
    bool primary_local = (pv_instance_capabilities(chain->primary) & PROV_CAP_LOCAL_ONLY) != 0;
    if (strncmp(ref, "local:", 6) == 0 && chain->fallback != NULL && !primary_local)
        who = chain->fallback;
    return ask_tx(who, &(struct asking){.kind = &pv_chain_status_kind, .ref = ref}, ret_tx, err);
}

static int query(struct pv_instance *instance, const prov_chain_op *op,
                 int (*row)(void *ctx, const prov_value *values, uint64_t n_values), void *ctx, prov_error *err)
{
    prov_error own;
    struct pv_chain_frame *f = NULL;
    if (err == NULL)
        err = &own;
    int rc = ask(instance, &(struct asking){.kind = &pv_chain_query_kind, .ops = op, .n_ops = 1}, &f, err);
    if (rc != PROV_OK)
        return rc;
    rc = pv_chain_rows_each(f, row, ctx);
    if (rc < 0 && err->code != rc)
        psdk_fail(err, rc, "query: stopped by its receiver");
    pv_frame_free(&f->head);
    return rc;
}

int pv_chain_query(struct pv_chain *chain, const prov_chain_op *op,
                   int (*row)(void *ctx, const prov_value *values, uint64_t n_values), void *ctx, prov_error *err)
{
    return query(chain->primary, op, row, ctx, err);
}

int pv_chain_query_fallback(struct pv_chain *chain, const prov_chain_op *op,
                            int (*row)(void *ctx, const prov_value *values, uint64_t n_values), void *ctx,
                            prov_error *err)
{
    if (chain->fallback == NULL)
        return psdk_fail(err, PROV_E_UNSUPPORTED, "%s has no fallback", pv_chain_name(chain));
    return query(chain->fallback, op, row, ctx, err);
}

int pv_chain_info(struct pv_chain *chain, prov_chain_info *ret_info, prov_error *err)
{
    prov_error own;
    struct pv_chain_frame *f = NULL;
    int rc = ask(chain->primary, &(struct asking){.kind = &pv_chain_info_kind}, &f, err != NULL ? err : &own);
    if (rc != PROV_OK)
        return rc;
    *ret_info = f->info;
    ret_info->struct_size = sizeof *ret_info;
    ret_info->network[sizeof ret_info->network - 1] = '\0';
    ret_info->client[sizeof ret_info->client - 1] = '\0';
    pv_frame_free(&f->head);
    return PROV_OK;
}

int pv_chain_estimate(struct pv_chain *chain, const prov_chain_op *op, uint8_t ret_wei[32], prov_error *err)
{
    prov_error own;
    struct pv_chain_frame *f = NULL;
    struct asking a = {.kind = &pv_chain_estimate_kind, .ops = op, .n_ops = 1};
    int rc = ask(chain->primary, &a, &f, err != NULL ? err : &own);
    if (rc != PROV_OK)
        return rc;
    memcpy(ret_wei, f->wei, sizeof f->wei);
    pv_frame_free(&f->head);
    return PROV_OK;
}

int pv_chain_evidence(struct pv_chain *chain, const char *ref, size_t max_bytes, struct psdk_buf *ret, prov_error *err)
{
    prov_error own;
    struct pv_chain_frame *f = NULL;
    if (err == NULL)
        err = &own;
    int rc = ask(chain->primary, &(struct asking){.kind = &pv_chain_evidence_kind, .ref = ref}, &f, err);
    if (rc != PROV_OK)
        return rc;
    if (f->out.len > max_bytes)
        rc = psdk_fail(err, PROV_E_LIMIT, "%s: evidence of '%s' is larger than %zu bytes", pv_chain_name(chain), ref,
                       max_bytes);
    else if ((rc = psdk_buf_add(ret, f->out.data, f->out.len)) != PROV_OK)
        psdk_fail(err, rc, "no room for the evidence of '%s'", ref);
    pv_frame_free(&f->head);
    return rc;
}
