/* pv_stream.h - a stream that this host writes: journal, seals, materialised tiles.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Order of a seal: seal object (only if absent), head.json (compare-and-swap), tiles, `checkpoint`. Only the second decides.
 * Whoever dies after it leaves tiles to whoever comes next; nobody seals again before the last seal is materialised. After
 * an answer that was lost, what happened is read from the log: this writer's (wseq, id) is in it or not. Threads: [any].
 */
#ifndef PV_STREAM_H
#define PV_STREAM_H

#include "pv_journal.h"
#include "pv_reader.h"

/* What all streams of a store share; borrowed, must outlive the streams. */
struct pv_ledger {
    struct pv_store *store;
    const char *store_origin;
    const char *state_dir; /* parent of the journals */
    const struct psdk_ed25519 *log_key;
    const struct psdk_ed25519 *writer_key;
    uint64_t segment_bytes; /* of journals; 0: the default */
    unsigned attempts;      /* to win the head; 0: the default (20) */
};

struct pv_stream;

/* Opens the stream "models/iris" for writing; needs the journal alone, the store may be down. */
int pv_stream_open(const struct pv_ledger *ledger, const char *path, struct pv_stream **ret, prov_error *err);
void pv_stream_close(struct pv_stream *stream);
const char *pv_stream_origin(const struct pv_stream *stream);
const char *pv_stream_path(const struct pv_stream *stream);

/* Makes n records durable in the journal: all or none. ret_ids may be NULL. */
int pv_stream_append(struct pv_stream *stream, const struct pv_draft *drafts, size_t n, uint8_t (*ret_ids)[32],
                     prov_error *err);

struct pv_seal_report {
    uint64_t records;   /* sealed by this call */
    uint64_t seals;     /* head advances */
    uint64_t conflicts; /* lost races */
    uint64_t tree_size; /* of the head afterwards */
};
/* Seals all that was durable when it was called, in as many head advances as needed. Nothing is lost when it fails: the
 * records stay in the journal. ret may be NULL. */
int pv_stream_seal(struct pv_stream *stream, struct pv_seal_report *ret, prov_error *err);
int pv_stream_state(struct pv_stream *stream, struct pv_journal_state *ret, prov_error *err);

/* Adds what is durable here and not sealed, as an entry bundle (at most 64 MiB). */
int pv_stream_pending(struct pv_stream *stream, struct psdk_buf *ret, prov_error *err);
/* Whether this host has a journal for the stream. */
bool pv_ledger_has(const struct pv_ledger *ledger, const char *path);

/* Streams that have a journal here with records that are not sealed: calls each with the path and their origin. */
int pv_ledger_pending(const struct pv_ledger *ledger, void (*each)(void *ctx, const char *path, uint64_t pending_bytes),
                      void *ctx, prov_error *err);

#endif
