/* null.h - the inside of chain-null: a local, signed, hash-linked journal in place of a chain.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Files in its folder:
 *   journal.jsonl  one canonical JSON object (RFC 8785) on each line, appended and synced before an operation is answered:
 *                  {"entry":{...},"ref":"local:<seq>-<16 hex>","signature":"<base64>"}
 *   journal.key    seed of the Ed25519 key (64 hex digits, mode 0600), made on first use
 *   journal.lock   held by whoever appends
 *
 * entry = {args, group, key, kind, name, prev, result, seq, signer, subject?, time}. Its hash is SHA-256 over its bytes as
 * they stand in the line; prev is the hash of the entry before (64 zeros for the first), signature is Ed25519 by signer
 * over the same bytes, ref begins with the hash. args is a list of [name, type, text]. seq counts from 1.
 *
 * Crash story: one write adds one or more whole lines, fdatasync follows. Bytes after the last newline, or a last line
 * with unwritten (zero) bytes in it, are a torn tail that nobody was told about: the next writer cuts it. Anything else
 * that does not fit is PROV_E_CORRUPT and names the line.
 *
 * Functions return PROV_OK or a PROV_E_* code with err filled. All are [any] unless they say "locked".
 */
#ifndef NULL_H
#define NULL_H

#include <pthread.h>

#include "psdk_file.h"
#include "psdk_hash.h"
#include "psdk_json.h"
#include "psdk_plugin.h"
#include "psdk_sign.h"

#define NULL_REF_SIZE 48
#define NULL_JOURNAL_MAX ((size_t)4 << 30)
#define NULL_LINE_MAX ((size_t)16 << 20)

struct pv_null_entry {
    uint64_t offset; /* of the line */
    uint32_t len;    /* of the line, without the newline */
    uint32_t kind;
    uint64_t time_ns;
    uint8_t key[32];
    uint8_t op[32];      /* digest of kind, group and args: what the key stands for */
    uint8_t hash[32];    /* of the entry */
    uint8_t subject[32]; /* session or root; zero: none */
};

struct pv_null {
    char *journal, *lock; /* paths */
    int fd;
    bool writable;
    struct psdk_ed25519 sign;
    pthread_mutex_t mutex; /* guards what follows */
    struct pv_null_entry *entries;
    size_t n, cap;
    uint32_t *table; /* open addressing from key to index + 1 */
    size_t table_cap;
    uint64_t known_bytes;  /* of the journal, read into entries */
    uint64_t synced_bytes; /* known to be durable */
};

/* ---- null_ops.c: kinds and arguments ---- */

/* Checks a writing operation against its kind. PROV_E_UNSUPPORTED for an unknown kind. ret_name: borrowed. */
int pv_null_op_check(const prov_chain_op *op, const char **ret_name, prov_error *err);
/* The element i of args, which may come from a caller with larger structs. */
const prov_value *pv_null_arg(const prov_chain_op *op, uint64_t i);
/* The argument of that name and type, or NULL with err filled. */
const prov_value *pv_null_arg_get(const prov_chain_op *op, const char *name, int32_t type, prov_error *err);
/* Appends the JSON list of all arguments, or the group as a JSON string. */
int pv_null_args_write(const prov_chain_op *op, struct psdk_buf *buf, prov_error *err);
/* Digest of kind, group (JSON string) and args (JSON list). */
void pv_null_op_digest(uint32_t kind, const char *group, size_t group_len, const char *args, size_t args_len,
                       uint8_t ret[32]);

/* ---- null_journal.c: reading ---- */

/* Opens (makes) the files in folder. */
int pv_null_journal_open(struct pv_null *self, const char *folder, prov_error *err);
void pv_null_journal_close(struct pv_null *self);
/* Locked: reads what was appended since. cut: the caller may append, so a torn tail is cut off. */
int pv_null_refresh(struct pv_null *self, bool cut, prov_error *err);
/* Locked: everything known is durable afterwards. */
int pv_null_sync(struct pv_null *self, prov_error *err);
/* Locked: the entry of a key, or NULL. */
const struct pv_null_entry *pv_null_find(const struct pv_null *self, const uint8_t key[32]);
uint64_t pv_null_seq(const struct pv_null *self, const struct pv_null_entry *entry);
/* Locked: takes one whole line (borrowed) that starts at offset into the index. */
int pv_null_take_line(struct pv_null *self, const char *line, size_t len, uint64_t offset, prov_error *err);
/* Locked: reads the line of an entry, adding to ret. */
int pv_null_read_line(const struct pv_null *self, const struct pv_null_entry *entry, struct psdk_buf *ret,
                      prov_error *err);
/* Locked: its args as a JSON array, owned by the caller. NULL on failure. */
json_t *pv_null_read_args(const struct pv_null *self, const struct pv_null_entry *entry, prov_error *err);
/* Locked: finds "local:SEQ" or "local:SEQ-HASH". NULL: none. */
const struct pv_null_entry *pv_null_find_ref(const struct pv_null *self, const char *ref);
void pv_null_ref_format(uint64_t seq, const uint8_t hash[32], char ret[NULL_REF_SIZE]);
void pv_null_describe(const struct pv_null *self, const struct pv_null_entry *entry, prov_chain_tx *ret_tx);

/* ---- null_append.c: writing ---- */

int pv_null_append(struct pv_null *self, const prov_call *call, const prov_chain_op *ops, uint64_t n_ops,
                   prov_chain_tx *ret_txs, prov_error *err);

/* ---- null_query.c, null_pool.c ---- */

int pv_null_query(struct pv_null *self, const prov_call *call, const prov_chain_op *op, const prov_row_emit *emit,
                  prov_error *err);
/* Locked: the queries about pools. */
int pv_null_query_pool(struct pv_null *self, const prov_chain_op *op, const prov_row_emit *emit, prov_error *err);
int pv_null_query_pending(struct pv_null *self, const prov_chain_op *op, const prov_row_emit *emit, prov_error *err);
/* Locked: the newest (or oldest) entry of a kind about a subject, or NULL. */
const struct pv_null_entry *pv_null_find_kind(const struct pv_null *self, uint32_t kind, const uint8_t subject[32],
                                              bool newest);
/* Text of argument i (its third member), or NULL. Borrowed from args. */
const char *pv_null_text(const json_t *args, size_t i);
int pv_null_emit(const prov_row_emit *emit, const prov_value *values, uint64_t n, prov_error *err);

#endif
