/* null_append.c - adding to the journal of chain-null.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Under the lock file: read what others added, answer known keys with what they have, build the lines of the new ones,
 * one write, one fdatasync. A write that fails is taken back (NOT_APPLIED); a sync that fails is too, but whether the disk
 * kept the lines is then UNKNOWN.
 */
#include "null.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The first hash argument: session or root. */
static const uint8_t *subject_of(const prov_chain_op *op)
{
    if (op->n_args == 0 || pv_null_arg(op, 0)->type != PROV_VALUE_HASH)
        return NULL;
    return pv_null_arg(op, 0)->data;
}

static void add_hex_member(struct psdk_buf *buf, const char *name, const void *data)
{
    psdk_buf_addf(buf, "\"%s\":\"", name);
    psdk_buf_add_hex(buf, data, 32);
    psdk_buf_adds(buf, "\",");
}

/* Appends the entry of op, members in canonical order. */
static int write_entry(const struct pv_null *self, const prov_chain_op *op, const char *name, struct psdk_buf *buf,
                       prov_error *err)
{
    static const uint8_t zeros[32];
    const struct pv_null_entry *last = self->n > 0 ? &self->entries[self->n - 1] : NULL;
    uint64_t seq = self->n + 1, now_ns = psdk_wall_ns();
    const char *group = op->group != NULL ? op->group : "";
    char time[PSDK_TIME_SIZE];
    psdk_time_format(last != NULL && last->time_ns > now_ns ? last->time_ns : now_ns, time);
    psdk_buf_adds(buf, "{\"args\":");
    pv_null_args_write(op, buf, err);
    psdk_buf_adds(buf, ",\"group\":");
    psdk_jcs_string(buf, group, strlen(group));
    psdk_buf_addc(buf, ',');
    add_hex_member(buf, "key", op->key);
    psdk_buf_addf(buf, "\"kind\":%u,\"name\":\"%s\",", op->kind, name);
    add_hex_member(buf, "prev", last != NULL ? last->hash : zeros);
    if (op->kind == PROV_CHAIN_STORE_HASH)
        psdk_buf_addf(buf, "\"result\":\"local:%" PRIu64 "\",", seq);
    else
        psdk_buf_adds(buf, "\"result\":\"\",");
    psdk_buf_addf(buf, "\"seq\":%" PRIu64 ",", seq);
    add_hex_member(buf, "signer", self->sign.public_key);
    if (subject_of(op) != NULL)
        add_hex_member(buf, "subject", subject_of(op));
    psdk_buf_addf(buf, "\"time\":\"%s\"}", time);
    return psdk_buf_check(buf, err);
}

/* Appends the line of op to text, and takes it into the index as if it stood in the file already. */
static int write_line(struct pv_null *self, const prov_chain_op *op, const char *name, uint64_t base,
                      struct psdk_buf *text, prov_error *err)
{
    struct psdk_buf entry = {.max = NULL_LINE_MAX};
    uint8_t hash[32], signature[64];
    char ref[NULL_REF_SIZE];
    size_t start = text->len;
    int rc = write_entry(self, op, name, &entry, err);
    if (rc == PROV_OK && (rc = psdk_jcs_check((const char *)entry.data, entry.len, "operation", err)) != PROV_OK)
        psdk_outcome(err, PROV_OUTCOME_PERMANENT); /* text that is not UTF-8 */
    if (rc == PROV_OK)
        rc = psdk_ed25519_sign(&self->sign, entry.data, entry.len, signature, err);
    if (rc == PROV_OK) {
        psdk_sha256(entry.data, entry.len, hash);
        pv_null_ref_format(self->n + 1, hash, ref);
        psdk_buf_adds(text, "{\"entry\":");
        psdk_buf_add(text, entry.data, entry.len);
        psdk_buf_addf(text, ",\"ref\":\"%s\",\"signature\":\"", ref);
        psdk_buf_add_base64(text, signature, sizeof signature);
        psdk_buf_adds(text, "\"}\n");
        rc = psdk_buf_check(text, err);
    }
    if (rc == PROV_OK)
        rc = pv_null_take_line(self, (const char *)text->data + start, text->len - start - 1, base + start, err);
    psdk_buf_done(&entry);
    return rc;
}

/* The index without what was built but is not in the file. */
static void forget(struct pv_null *self)
{
    self->n = 0;
    self->known_bytes = self->synced_bytes = 0;
    if (self->table != NULL)
        memset(self->table, 0, self->table_cap * sizeof *self->table);
}

static int build(struct pv_null *self, const prov_chain_op *ops, uint64_t n_ops, struct psdk_buf *text, prov_error *err)
{
    for (uint64_t i = 0; i < n_ops; i++) {
        const prov_chain_op *op = (const prov_chain_op *)(const void *)((const char *)ops + i * ops->struct_size);
        const struct pv_null_entry *known = pv_null_find(self, op->key);
        const char *name = NULL;
        int rc = pv_null_op_check(op, &name, err);
        if (rc == PROV_OK && known == NULL)
            rc = write_line(self, op, name, self->known_bytes, text, err);
        if (rc == PROV_OK && known != NULL) {
            struct psdk_buf args = {0}, group = {0};
            uint8_t digest[32];
            const char *group_text = op->group != NULL ? op->group : "";
            rc = pv_null_args_write(op, &args, err);
            psdk_jcs_string(&group, group_text, strlen(group_text));
            pv_null_op_digest(op->kind, psdk_buf_str(&group), group.len, psdk_buf_str(&args), args.len, digest);
            if (rc == PROV_OK && memcmp(digest, known->op, 32) != 0) {
                psdk_fail(err, PROV_E_CONFLICT, "the idempotency key stands for another operation (entry %" PRIu64
                          "): a key must never be used for two", pv_null_seq(self, known));
                rc = psdk_outcome(err, PROV_OUTCOME_PERMANENT);
            }
            psdk_buf_done(&args);
            psdk_buf_done(&group);
        }
        if (rc != PROV_OK)
            return rc;
    }
    return PROV_OK;
}

/* Writes the built lines and makes all durable, or takes them back. */
static int commit(struct pv_null *self, const struct psdk_buf *text, prov_error *err)
{
    uint64_t base = self->known_bytes;
    int rc = psdk_write_all(self->fd, text->data, text->len, self->journal, err);
    if (rc != PROV_OK) {
        bool taken_back = ftruncate(self->fd, (off_t)base) == 0;
        psdk_outcome(err, taken_back ? PROV_OUTCOME_NOT_APPLIED : PROV_OUTCOME_UNKNOWN);
        return rc;
    }
    self->known_bytes += text->len;
    rc = pv_null_sync(self, err);
    if (rc != PROV_OK) {
        if (ftruncate(self->fd, (off_t)base) != 0)
            self->writable = false; /* nobody may build on it */
        psdk_outcome(err, PROV_OUTCOME_UNKNOWN);
    }
    return rc;
}

static int append_locked(struct pv_null *self, const prov_chain_op *ops, uint64_t n_ops, prov_chain_tx *ret_txs,
                         prov_error *err)
{
    struct psdk_buf text = {.max = NULL_JOURNAL_MAX};
    int rc = pv_null_refresh(self, true, err);
    if (rc != PROV_OK)
        return rc;
    rc = build(self, ops, n_ops, &text, err);
    if (rc == PROV_OK)
        rc = commit(self, &text, err);
    psdk_buf_done(&text);
    if (rc != PROV_OK) {
        forget(self);
        return rc;
    }
    for (uint64_t i = 0; i < n_ops; i++) {
        const prov_chain_op *op = (const prov_chain_op *)(const void *)((const char *)ops + i * ops->struct_size);
        prov_chain_tx *tx = (prov_chain_tx *)(void *)((char *)ret_txs + i * ret_txs->struct_size);
        pv_null_describe(self, pv_null_find(self, op->key), tx);
    }
    return PROV_OK;
}

int pv_null_append(struct pv_null *self, const prov_call *call, const prov_chain_op *ops, uint64_t n_ops,
                   prov_chain_tx *ret_txs, prov_error *err)
{
    struct psdk_lock lock = PSDK_LOCK_INIT;
    if (n_ops == 0)
        return PROV_OK;
    if (!self->writable) {
        psdk_fail(err, PROV_E_DENIED, "the journal '%s' can only be read", self->journal);
        return psdk_outcome(err, PROV_OUTCOME_PERMANENT);
    }
    int rc = psdk_call_lock(call, &lock, self->lock, err);
    if (rc == PROV_OK) {
        pthread_mutex_lock(&self->mutex);
        rc = append_locked(self, ops, n_ops, ret_txs, err);
        pthread_mutex_unlock(&self->mutex);
    }
    psdk_lock_drop(&lock);
    return psdk_not_applied(err, rc);
}
