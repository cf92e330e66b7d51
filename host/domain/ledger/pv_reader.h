/* pv_reader.h - reading one state of a stream: its head, entries, hashes and proofs.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A reader sees the tree of the head that it loaded. What a head committed but nobody materialised yet is taken from its
 * seal object. Nothing that is read is believed: proofs are checked against the root before they are given out. Threads:
 * one at a time.
 */
#ifndef PV_READER_H
#define PV_READER_H

#include "pv_frontier.h"

struct pv_reader {
    struct pv_store *store; /* borrowed */
    char prefix[PV_NAME_MAX];  /* "models/iris/" */
    struct pv_head head;
    char etag[128];         /* of head.json */
    uint64_t published;     /* size in `checkpoint`; less than the head's while the last seal is not materialised */
    char published_etag[128];
    char published_note[PV_TREE_HEAD_MAX]; /* `checkpoint` as it stands, "" none */
    struct pv_files overlay; /* files of the last seal, when it is not materialised */
    struct pv_reader_tile *cache;
};

/* "models/iris" with a checked id; path is "KIND/ID", or "" for a bucket that is one stream. */
int pv_stream_prefix(const char *path, char *ret, size_t cap, prov_error *err);

/* Loads the head. PROV_E_NOT_FOUND: the stream has none yet. The tree head's signature is the caller's to check (it knows
 * whom to trust). */
int pv_reader_open(struct pv_reader *r, struct pv_store *store, const char *path, prov_error *err);
void pv_reader_close(struct pv_reader *r);
/* The edge of a head whose last seal is not materialised, from its seal object; the files that materialise it go to files.
 * The caller ends both; f must be empty. */
int pv_reader_sealed_edge(struct pv_reader *r, struct pv_frontier *f, struct pv_files *files, prov_error *err);

/* Adds entry bundle `index` (PV_TILE_WIDTH entries but in the last) to ret. */
int pv_reader_bundle(struct pv_reader *r, uint64_t index, struct psdk_buf *ret, prov_error *err);
/* The same for n bundles from first on, fetched together. */
int pv_reader_bundles(struct pv_reader *r, uint64_t first, size_t n, struct psdk_buf *rets, prov_error *err);
/* The signatures beside it; none is not an error. */
int pv_reader_signatures(struct pv_reader *r, uint64_t index, struct psdk_buf *ret, prov_error *err);
/* Adds the bytes of one entry. */
int pv_reader_entry(struct pv_reader *r, uint64_t index, struct psdk_buf *ret, prov_error *err);
/* Adds a hash tile of a level (width hashes of 32 bytes). */
int pv_reader_tile(struct pv_reader *r, unsigned level, uint64_t index, struct psdk_buf *ret, prov_error *err);
/* Leaf hash at an index. */
int pv_reader_leaf(struct pv_reader *r, uint64_t index, uint8_t ret[32], prov_error *err);

/* Root of the first size entries. */
int pv_reader_root(struct pv_reader *r, uint64_t size, uint8_t ret[32], prov_error *err);

/* Proofs against the head's root (or a smaller tree of the same log), checked. */
int pv_reader_inclusion(struct pv_reader *r, uint64_t index, struct pv_tlog_proof *ret, prov_error *err);
int pv_reader_consistency(struct pv_reader *r, uint64_t old_size, const uint8_t old_root[32], uint8_t ret[][32],
                          uint32_t *ret_count, prov_error *err);

/* Finds a record by the first hex digits of its id (12 or more), newest first. PROV_E_NOT_FOUND, PROV_E_INVALID when several
 * fit. */
int pv_reader_find(struct pv_reader *r, const char *id_prefix, uint64_t *ret_index, prov_error *err);

#endif
