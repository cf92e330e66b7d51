/* pv_roles.c - the ops of each role and the stubs of the optional ones. SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "pv_provider.h"

static int32_t unsupported(prov_error *err, const char *op)
{
    psdk_fail(err, PROV_E_UNSUPPORTED, "%s is not supported by this backend", op);
    return psdk_outcome(err, PROV_OUTCOME_PERMANENT);
}

#define UNUSED_3(a, b, c) ((void)(a), (void)(b), (void)(c))

/* ---- storage ----------------------------------------------------------------------------------------------------- */
static int32_t stub_put_many(void *self, const prov_call *call, const prov_put_item *items, uint64_t n, prov_error *err)
{
    UNUSED_3(self, call, items);
    (void)n;
    return unsupported(err, "put_many");
}

static int32_t stub_put_fd(void *self, const prov_call *call, const char *key, int32_t fd, uint64_t size_bytes,
                           const prov_precond *precond, prov_object *ret_object, prov_error *err)
{
    UNUSED_3(self, call, key);
    UNUSED_3(precond, ret_object, size_bytes);
    (void)fd;
    return unsupported(err, "put_fd");
}

static int32_t stub_multipart_begin(void *self, const prov_call *call, const char *key, char ret_upload[256],
                                    prov_error *err)
{
    UNUSED_3(self, call, key);
    (void)ret_upload;
    return unsupported(err, "multipart_begin");
}

static int32_t stub_multipart_put(void *self, const prov_call *call, const char *key, const char *upload,
                                  uint32_t number, const prov_source *source, uint64_t size_bytes, prov_error *err)
{
    UNUSED_3(self, call, key);
    UNUSED_3(upload, source, size_bytes);
    (void)number;
    return unsupported(err, "multipart_put");
}

static int32_t stub_multipart_list(void *self, const prov_call *call, const char *key, const char *upload,
                                   const prov_list_emit *emit, prov_error *err)
{
    UNUSED_3(self, call, key);
    UNUSED_3(upload, emit, 0);
    return unsupported(err, "multipart_list");
}

static int32_t stub_multipart_commit(void *self, const prov_call *call, const char *key, const char *upload,
                                     uint32_t n_parts, const prov_precond *precond, prov_object *ret_object,
                                     prov_error *err)
{
    UNUSED_3(self, call, key);
    UNUSED_3(upload, precond, ret_object);
    (void)n_parts;
    return unsupported(err, "multipart_commit");
}

static int32_t stub_multipart_abort(void *self, const prov_call *call, const char *key, const char *upload,
                                    prov_error *err)
{
    UNUSED_3(self, call, key);
    (void)upload;
    return unsupported(err, "multipart_abort");
}

static int32_t stub_presign(void *self, const prov_call *call, const char *key, uint64_t valid_ns, char *ret_url,
                            uint64_t cap_bytes, prov_error *err)
{
    UNUSED_3(self, call, key);
    UNUSED_3(valid_ns, ret_url, cap_bytes);
    return unsupported(err, "presign");
}

static int32_t stub_probe(void *self, const prov_call *call, prov_error *err)
{
    (void)self;
    (void)call;
    return unsupported(err, "probe");
}

/* ---- chain ------------------------------------------------------------------------------------------------------- */
static int32_t stub_estimate(void *self, const prov_call *call, const prov_chain_op *op, uint8_t ret_wei[32],
                             prov_error *err)
{
    UNUSED_3(self, call, op);
    (void)ret_wei;
    return unsupported(err, "estimate");
}

static int32_t stub_submit_many(void *self, const prov_call *call, const prov_chain_op *ops, uint64_t n_ops,
                                prov_chain_tx *ret_txs, prov_error *err)
{
    UNUSED_3(self, call, ops);
    (void)n_ops;
    (void)ret_txs;
    return unsupported(err, "submit_many");
}

static int32_t stub_evidence(void *self, const prov_call *call, const char *ref, const prov_sink *sink, prov_error *err)
{
    UNUSED_3(self, call, ref);
    (void)sink;
    return unsupported(err, "evidence");
}

/* ---- reward, catalog --------------------------------------------------------------------------------------------- */
static int32_t stub_describe(void *self, const prov_call *call, const char *strategy, const prov_sink *sink,
                             prov_error *err)
{
    UNUSED_3(self, call, strategy);
    (void)sink;
    return unsupported(err, "describe");
}

static int32_t stub_append_many(void *self, const prov_call *call, const prov_mutation *const *rows, uint64_t n,
                                prov_error *err)
{
    UNUSED_3(self, call, rows);
    (void)n;
    return unsupported(err, "append_many");
}

static int32_t stub_query_count(void *self, const prov_call *call, const prov_query *query, uint64_t *ret_count,
                                prov_error *err)
{
    UNUSED_3(self, call, query);
    (void)ret_count;
    return unsupported(err, "query_count");
}

/* ---- tables ------------------------------------------------------------------------------------------------------ */
#define NEEDED(type, op)                                                                                               \
    {                                                                                                                  \
#op, offsetof(type, op), true, NULL                                                                            \
    }
#define OPTIONAL(type, op)                                                                                             \
    {                                                                                                                  \
#op, offsetof(type, op), false, (void (*)(void))stub_##op                                                      \
    }
#define ROLE(id, type, ops)                                                                                            \
    {                                                                                                                  \
        id, sizeof(type), ops, sizeof ops / sizeof ops[0]                                                              \
    }

static const struct pv_role_op storage_ops[] = {
    NEEDED(prov_storage_ops, put),
    NEEDED(prov_storage_ops, get),
    NEEDED(prov_storage_ops, stat),
    NEEDED(prov_storage_ops, list),
    NEEDED(prov_storage_ops, del),
    NEEDED(prov_storage_ops, copy),
    OPTIONAL(prov_storage_ops, put_many),
    OPTIONAL(prov_storage_ops, put_fd),
    OPTIONAL(prov_storage_ops, multipart_begin),
    OPTIONAL(prov_storage_ops, multipart_put),
    OPTIONAL(prov_storage_ops, multipart_list),
    OPTIONAL(prov_storage_ops, multipart_commit),
    OPTIONAL(prov_storage_ops, multipart_abort),
    OPTIONAL(prov_storage_ops, presign),
    OPTIONAL(prov_storage_ops, probe),
};
static const struct pv_role_op chain_ops[] = {
    NEEDED(prov_chain_ops, submit),        NEEDED(prov_chain_ops, lookup),     NEEDED(prov_chain_ops, status),
    NEEDED(prov_chain_ops, query),         NEEDED(prov_chain_ops, info),       OPTIONAL(prov_chain_ops, estimate),
    OPTIONAL(prov_chain_ops, submit_many), OPTIONAL(prov_chain_ops, evidence),
};
static const struct pv_role_op reward_ops[] = {
    NEEDED(prov_reward_ops, compute),
    OPTIONAL(prov_reward_ops, describe),
};
static const struct pv_role_op catalog_ops[] = {
    NEEDED(prov_catalog_ops, declare), NEEDED(prov_catalog_ops, apply),         NEEDED(prov_catalog_ops, get),
    NEEDED(prov_catalog_ops, query),   NEEDED(prov_catalog_ops, count),         NEEDED(prov_catalog_ops, lease),
    NEEDED(prov_catalog_ops, release), OPTIONAL(prov_catalog_ops, append_many), OPTIONAL(prov_catalog_ops, query_count),
};
static const struct pv_role roles[] = {
    ROLE(PROV_ROLE_STORAGE, prov_storage_ops, storage_ops),
    ROLE(PROV_ROLE_CHAIN, prov_chain_ops, chain_ops),
    ROLE(PROV_ROLE_REWARD, prov_reward_ops, reward_ops),
    ROLE(PROV_ROLE_CATALOG, prov_catalog_ops, catalog_ops),
};

const struct pv_role *pv_role_find(const char *id)
{
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
        if (strcmp(roles[i].id, id) == 0)
            return &roles[i];
    }
    return NULL;
}
