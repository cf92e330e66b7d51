/* null_query.c - reading the journal of chain-null as if it were a chain.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Answers follow the contracts: a hash id that is not there does not match, contributions add up, the quality is the
 * latest. What a journal cannot know (blocks, senders) is zero.
 */
#include "null.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t zeros[32];

#define VALUE(n, t) .struct_size = sizeof(prov_value), .name = (n), .type = (t)
#define VALUE_INT(n, v) {VALUE(n, PROV_VALUE_INT), .i64 = (int64_t)(v)}
#define VALUE_TIME(n, v) {VALUE(n, PROV_VALUE_TIME), .i64 = (int64_t)(v)}
#define VALUE_TEXT(n, v) {VALUE(n, PROV_VALUE_TEXT), .data = (v), .size_bytes = strlen(v)}
#define VALUE_HASH(n, v) {VALUE(n, PROV_VALUE_HASH), .data = (v), .size_bytes = 32}
#define VALUE_ADDRESS(n, v) {VALUE(n, PROV_VALUE_ADDRESS), .data = (v), .size_bytes = 20}

int pv_null_emit(const prov_row_emit *emit, const prov_value *values, uint64_t n, prov_error *err)
{
    int rc = emit->row(emit->ctx, values, n);
    return rc == PROV_OK ? rc : psdk_fail(err, rc, "the receiver of the rows stopped");
}

const char *pv_null_text(const json_t *args, size_t i)
{
    return json_string_value(json_array_get(json_array_get(args, i), 2));
}

const struct pv_null_entry *pv_null_find_kind(const struct pv_null *self, uint32_t kind, const uint8_t subject[32],
                                              bool newest)
{
    for (size_t i = 0; i < self->n; i++) {
        const struct pv_null_entry *entry = &self->entries[newest ? self->n - 1 - i : i];
        if (entry->kind == kind && memcmp(entry->subject, subject, 32) == 0)
            return entry;
    }
    return NULL;
}

/* The stored hash that the argument "id" names: U256 (its seq), or TEXT "local:..." */
static const struct pv_null_entry *find_id(const struct pv_null *self, const prov_chain_op *op, prov_error *err)
{
    char ref[NULL_REF_SIZE] = "";
    prov_error other = {0};
    const struct pv_null_entry *entry = NULL;
    const prov_value *text = pv_null_arg_get(op, "id", PROV_VALUE_TEXT, &other);
    const prov_value *number = text == NULL ? pv_null_arg_get(op, "id", PROV_VALUE_U256, err) : NULL;
    if (text != NULL && text->size_bytes < sizeof ref) {
        memcpy(ref, text->data, (size_t)text->size_bytes);
        entry = pv_null_find_ref(self, ref);
    } else if (number != NULL && memcmp(number->data, zeros, 24) == 0) {
        uint64_t seq = 0;
        for (int i = 24; i < 32; i++)
            seq = seq << 8 | ((const uint8_t *)number->data)[i];
        entry = seq >= 1 && seq <= self->n ? &self->entries[seq - 1] : NULL;
    }
    if (text == NULL && number == NULL)
        return NULL;
    if (entry != NULL && entry->kind == PROV_CHAIN_STORE_HASH)
        return entry;
    psdk_fail(err, PROV_E_NOT_FOUND, "Transaction ID does not exist in the local journal");
    return NULL;
}

static int query_get_hash(struct pv_null *self, const prov_chain_op *op, const prov_row_emit *emit, prov_error *err)
{
    const struct pv_null_entry *entry = find_id(self, op, err);
    json_t *args = entry != NULL ? pv_null_read_args(self, entry, err) : NULL;
    if (args == NULL)
        return err->code;
    const prov_value row[] = {VALUE_TEXT("hash", pv_null_text(args, 0)), VALUE_TEXT("metadata", pv_null_text(args, 1)),
                              VALUE_TIME("time", entry->time_ns), VALUE_INT("block", 0),
                              VALUE_ADDRESS("submitter", zeros)};
    int rc = pv_null_emit(emit, row, 5, err);
    json_decref(args);
    return rc;
}

static int query_verify_hash(struct pv_null *self, const prov_chain_op *op, const prov_row_emit *emit, prov_error *err)
{
    const prov_value *hash = pv_null_arg_get(op, "hash", PROV_VALUE_TEXT, err);
    const struct pv_null_entry *entry = hash != NULL ? find_id(self, op, err) : NULL;
    if (entry == NULL && err->code != PROV_E_NOT_FOUND)
        return err->code;
    int match = 0;
    if (entry != NULL) {
        json_t *args = pv_null_read_args(self, entry, err);
        if (args == NULL)
            return err->code;
        const char *stored = pv_null_text(args, 0);
        match = strlen(stored) == hash->size_bytes && memcmp(stored, hash->data, (size_t)hash->size_bytes) == 0;
        json_decref(args);
    }
    const prov_value row[] = {VALUE_INT("match", match)};
    return pv_null_emit(emit, row, 1, err);
}

static int query_anchor(struct pv_null *self, const prov_chain_op *op, const prov_row_emit *emit, prov_error *err)
{
    char ref[NULL_REF_SIZE];
    const prov_value *root = pv_null_arg_get(op, "root", PROV_VALUE_HASH, err);
    if (root == NULL)
        return err->code;
    const struct pv_null_entry *entry = pv_null_find_kind(self, PROV_CHAIN_ANCHOR, root->data, false);
    if (entry == NULL)
        return psdk_fail(err, PROV_E_NOT_FOUND, "no anchor of this root is in the local journal");
    pv_null_ref_format(pv_null_seq(self, entry), entry->hash, ref);
    const prov_value row[] = {VALUE_TIME("time", entry->time_ns), VALUE_INT("block", 0), VALUE_HASH("block_hash", zeros),
                              VALUE_ADDRESS("sender", zeros), VALUE_TEXT("ref", ref)};
    return pv_null_emit(emit, row, 5, err);
}

/* Counts the different addresses registered for a session. */
static int count_nodes(struct pv_null *self, const uint8_t session[32], uint64_t *ret, prov_error *err)
{
    json_t *seen = json_object();
    int rc = seen != NULL ? PROV_OK : psdk_fail(err, PROV_E_NOMEM, "no memory");
    for (size_t i = 0; i < self->n && rc == PROV_OK; i++) {
        const struct pv_null_entry *entry = &self->entries[i];
        if (entry->kind != PROV_CHAIN_NODES_REGISTER || memcmp(entry->subject, session, 32) != 0)
            continue;
        json_t *args = pv_null_read_args(self, entry, err);
        if (args == NULL)
            rc = err->code;
        for (size_t a = 2; args != NULL && a < json_array_size(args); a += 2)
            json_object_set_new(seen, pv_null_text(args, a), json_null());
        json_decref(args);
    }
    *ret = json_object_size(seen);
    json_decref(seen);
    return rc;
}

static int query_session(struct pv_null *self, const prov_chain_op *op, const prov_row_emit *emit, prov_error *err)
{
    uint8_t model[32];
    uint64_t nodes = 0;
    const prov_value *session = pv_null_arg_get(op, "session", PROV_VALUE_HASH, err);
    if (session == NULL)
        return err->code;
    const struct pv_null_entry *begin = pv_null_find_kind(self, PROV_CHAIN_SESSION_CREATE, session->data, false);
    const struct pv_null_entry *done = pv_null_find_kind(self, PROV_CHAIN_SESSION_COMPLETE, session->data, false);
    const struct pv_null_entry *cancel = pv_null_find_kind(self, PROV_CHAIN_SESSION_CANCEL, session->data, false);
    if (begin == NULL)
        return psdk_fail(err, PROV_E_NOT_FOUND, "Session does not exist in the local journal");
    json_t *args = pv_null_read_args(self, begin, err);
    if (args == NULL)
        return err->code;
    const char *model_text = pv_null_text(args, 1);
    bool ok = model_text != NULL && psdk_unhex(model_text, strlen(model_text), model, sizeof model);
    json_decref(args);
    int rc = ok ? count_nodes(self, session->data, &nodes, err)
                : psdk_fail(err, PROV_E_CORRUPT, "'%s': a session has no model", self->journal);
    if (rc != PROV_OK)
        return rc;
    /* The first of the two ends the session, as on a chain. */
    const struct pv_null_entry *end = done != NULL && (cancel == NULL || done < cancel) ? done : cancel;
    const prov_value row[] = {VALUE_INT("status", end == NULL ? 0 : end == done ? 1 : 2), VALUE_HASH("model", model),
                              VALUE_INT("nodes", nodes), VALUE_TIME("start", begin->time_ns),
                              VALUE_TIME("end", end != NULL ? end->time_ns : 0)};
    return pv_null_emit(emit, row, 5, err);
}

struct totals {
    bool found;
    uint64_t values[4]; /* compute, accepted, rounds, quality */
};

/* Adds what one entry says about an address. */
static int add_contributions(struct pv_null *self, const struct pv_null_entry *entry, const uint8_t address[20],
                             struct totals *totals, prov_error *err)
{
    json_t *args = pv_null_read_args(self, entry, err);
    if (args == NULL)
        return err->code;
    for (size_t a = 1; a + 4 < json_array_size(args); a += 5) {
        uint8_t of[20];
        const char *text = pv_null_text(args, a);
        if (text == NULL || !psdk_unhex(text + 2, strlen(text) - 2, of, sizeof of) || memcmp(of, address, 20) != 0)
            continue;
        totals->found = true;
        for (size_t v = 0; v < 4; v++) {
            uint64_t value = strtoull(pv_null_text(args, a + 1 + v), NULL, 10);
            totals->values[v] = v == 3 ? value : totals->values[v] + value;
        }
    }
    json_decref(args);
    return PROV_OK;
}

static int query_contribution(struct pv_null *self, const prov_chain_op *op, const prov_row_emit *emit, prov_error *err)
{
    struct totals totals = {0};
    const prov_value *session = pv_null_arg_get(op, "session", PROV_VALUE_HASH, err);
    const prov_value *address = session != NULL ? pv_null_arg_get(op, "address", PROV_VALUE_ADDRESS, err) : NULL;
    if (address == NULL)
        return err->code;
    for (size_t i = 0; i < self->n; i++) {
        const struct pv_null_entry *entry = &self->entries[i];
        if (entry->kind != PROV_CHAIN_CONTRIBUTIONS || memcmp(entry->subject, session->data, 32) != 0)
            continue;
        int rc = add_contributions(self, entry, address->data, &totals, err);
        if (rc != PROV_OK)
            return rc;
    }
    if (!totals.found)
        return psdk_fail(err, PROV_E_NOT_FOUND, "no contribution of this address is in the local journal");
    const prov_value row[] = {VALUE_INT("compute", totals.values[0]), VALUE_INT("accepted", totals.values[1]),
                              VALUE_INT("rounds", totals.values[2]), VALUE_INT("quality", totals.values[3])};
    return pv_null_emit(emit, row, 4, err);
}

/* Emits without the lock: a receiver may take its time. */
static int query_journal(struct pv_null *self, const prov_call *call, const prov_row_emit *emit, prov_error *err)
{
    int rc = PROV_OK;
    for (size_t i = 0; rc == PROV_OK; i++) {
        struct psdk_buf line = {0};
        char ref[NULL_REF_SIZE];
        pthread_mutex_lock(&self->mutex);
        bool there = i < self->n;
        if (there) {
            pv_null_ref_format(i + 1, self->entries[i].hash, ref);
            rc = pv_null_read_line(self, &self->entries[i], &line, err);
        }
        pthread_mutex_unlock(&self->mutex);
        if (!there)
            break;
        if (rc == PROV_OK)
            rc = psdk_call_check(call, err);
        if (rc == PROV_OK) {
            const prov_value row[] = {VALUE_INT("seq", i + 1), VALUE_TEXT("ref", ref),
                                      {VALUE("entry", PROV_VALUE_JSON), .data = line.data, .size_bytes = line.len}};
            rc = pv_null_emit(emit, row, 3, err);
        }
        psdk_buf_done(&line);
    }
    return rc;
}

static int query_locked(struct pv_null *self, const prov_chain_op *op, const prov_row_emit *emit, prov_error *err)
{
    int rc = pv_null_refresh(self, false, err);
    if (rc != PROV_OK)
        return rc;
    switch (op->kind) {
    case PROV_CHAIN_Q_GET_HASH:
        return query_get_hash(self, op, emit, err);
    case PROV_CHAIN_Q_VERIFY_HASH:
        return query_verify_hash(self, op, emit, err);
    case PROV_CHAIN_Q_ANCHOR:
        return query_anchor(self, op, emit, err);
    case PROV_CHAIN_Q_SESSION:
        return query_session(self, op, emit, err);
    case PROV_CHAIN_Q_CONTRIBUTION:
        return query_contribution(self, op, emit, err);
    case PROV_CHAIN_Q_POOL:
        return pv_null_query_pool(self, op, emit, err);
    case PROV_CHAIN_Q_PENDING:
        return pv_null_query_pending(self, op, emit, err);
    case PROV_CHAIN_Q_JOURNAL:
        return PROV_OK; /* only the refresh */
    default:
        return psdk_fail(err, PROV_E_UNSUPPORTED, "a local journal cannot answer queries of kind %u", op->kind);
    }
}

int pv_null_query(struct pv_null *self, const prov_call *call, const prov_chain_op *op, const prov_row_emit *emit,
                  prov_error *err)
{
    pthread_mutex_lock(&self->mutex);
    int rc = query_locked(self, op, emit, err);
    pthread_mutex_unlock(&self->mutex);
    if (rc == PROV_OK)
        memset(err, 0, sizeof *err); /* verify_hash may have looked in vain */
    if (rc == PROV_OK && op->kind == PROV_CHAIN_Q_JOURNAL)
        rc = query_journal(self, call, emit, err);
    return psdk_not_applied(err, rc);
}
