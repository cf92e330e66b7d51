/* pv_record.h - records: one canonical JSON object each, written once, never re-serialised.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Members, all present, in this (canonical) order:
 *   actor      who acted, text
 *   body       object; its members depend on kind
 *   kind       e.g. "training.checkpoint"
 *   origin     of the stream
 *   prev       id of this writer's previous record in the stream, null in its first
 *   subject    the model, dataset or session
 *   timestamp  RFC 3339 UTC, microseconds; never decreasing for a writer
 *   writer     KEYID/INSTANCE: 32 hex digits of the writer key's id, 16 of the journal
 *   wseq       0, 1, 2, ... of this writer in this stream
 * The id of a record is its RFC 6962 leaf hash. Threads: [any].
 */
#ifndef PV_RECORD_H
#define PV_RECORD_H

#include <stdbool.h>

#include "psdk_buf.h"
#include "psdk_hash.h"
#include "psdk_sign.h"

#define PV_RECORD_MAX 65535u
#define PV_WRITER_TEXT 50 /* 32 + "/" + 16 + NUL */
#define PV_ID_MAX 128     /* longest model, dataset or session id */
#define PV_KIND_MAX 64
#define PV_ORIGIN_MAX 400

/* A piece of a record, borrowed from its bytes. */
struct pv_slice {
    const char *data;
    size_t len;
};

/* A checked record. All slices point into bytes; text slices are without quotes, still JSON-escaped. */
struct pv_record {
    const char *bytes;
    size_t len;
    uint8_t id[32];
    struct pv_slice actor, body, kind, origin, subject, writer;
    bool has_prev;
    uint8_t prev[32];
    uint64_t timestamp_ns;
    uint64_t wseq;
};

/* What a caller gives; the journal adds origin, prev, timestamp, writer and wseq. Borrowed for the call. */
struct pv_draft {
    const char *kind;
    const char *subject;
    const char *actor;
    const char *body; /* canonical JSON object (psdk_jcs_check holds) */
    size_t body_len;
};

/* The two constant parts of a record around prev, timestamp and wseq; made before the journal's lock is taken. */
struct pv_record_parts {
    struct psdk_buf text; /* head, then middle, then tail, back to back */
    size_t head_len, middle_len, tail_len;
};
/* Checks the draft (kind, subject, body, size) and prepares its text. PROV_E_INVALID, PROV_E_LIMIT. */
int pv_record_prepare(const struct pv_draft *draft, const char *origin, const char *writer, struct pv_record_parts *ret,
                      prov_error *err);
/* Appends the record and gives its id. prev NULL in the first. */
int pv_record_finish(const struct pv_record_parts *parts, const uint8_t *prev, const char *timestamp, uint64_t wseq,
                     struct psdk_buf *out, uint8_t ret_id[32]);
/* The most bytes that a record made of these parts can have. */
size_t pv_record_parts_max(const struct pv_record_parts *parts);
void pv_record_parts_done(struct pv_record_parts *parts);

/* Strict: canonical JSON, exactly the members above, each of its form. PROV_E_CORRUPT says what is wrong where; what names
 * the record in errors ("leaf 17"). bytes must outlive ret. */
int pv_record_parse(const char *bytes, size_t len, const char *what, struct pv_record *ret, prov_error *err);

/* Names. An id is [A-Za-z0-9][A-Za-z0-9._-]{0,127}; a kind is lower-case words joined by dots. */
bool pv_id_ok(const char *id);
bool pv_kind_ok(const char *kind);
bool pv_origin_ok(const char *origin);
int pv_id_check(const char *what, const char *id, prov_error *err);

/* The signature of a batch: the writer's over its last record. */
struct pv_batch_sig {
    uint64_t index; /* leaf */
    uint64_t wseq;
    uint8_t id[32];
    char writer[PV_WRITER_TEXT];
    uint8_t signature[64];
};
/* Appends the text that is signed: "provhost-batch-v1\n" origin "\n" writer "\n" wseq "\n" id "\n". */
int pv_batch_text(struct psdk_buf *out, const char *origin, const struct pv_batch_sig *sig);
int pv_batch_sign(struct pv_batch_sig *sig, const char *origin, const struct psdk_ed25519 *key, prov_error *err);
bool pv_batch_verify(const struct pv_batch_sig *sig, const char *origin, const uint8_t public_key[32]);
/* One line of canonical JSON and a newline; and back (line without newline). PROV_E_CORRUPT. */
int pv_batch_write(struct psdk_buf *out, const struct pv_batch_sig *sig);
int pv_batch_parse(const char *line, size_t len, const char *what, struct pv_batch_sig *ret, prov_error *err);

/* key.authorize: the text that the authorising key signs, and the body of the record. */
int pv_authorize_text(struct psdk_buf *out, const char *origin, const char *role, const uint8_t key[32]);
/* Appends the canonical body {"by","key","role","signature"}; by signs. */
int pv_authorize_body(struct psdk_buf *out, const char *origin, const char *role, const uint8_t key[32],
                      const struct psdk_ed25519 *by, prov_error *err);
struct pv_authorize {
    uint8_t key[32];
    uint8_t by[32];
    uint8_t signature[64];
    char role[32];
};
int pv_authorize_parse(const struct pv_record *record, struct pv_authorize *ret, prov_error *err);
/* Whether `by` signed it. */
bool pv_authorize_verify(const struct pv_authorize *auth, const char *origin);
/* key.revoke: {"by","key","reason","role":"revoke","signature"}; the signed text has the role "revoke". */

#endif
