/* pv_merkle.h - RFC 6962 trees: compact ranges, roots, inclusion and consistency proofs.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Hashes are 32 raw bytes. Proofs are at most PV_PROOF_MAX hashes, in RFC 6962 order (from the leaf upwards). Nodes are
 * named by (level, index): level 0 are leaves, node (l, i) covers leaves [i << l, (i + 1) << l). Threads: [any].
 */
#ifndef PV_MERKLE_H
#define PV_MERKLE_H

#include <stdbool.h>

#include "psdk_hash.h"

#define PV_PROOF_MAX 64

/* The roots of the perfect subtrees of a tree of `size` leaves, the largest first: one for each bit of size. */
struct pv_range {
    uint64_t size;
    uint32_t count;
    uint8_t hash[64][32];
};

/* Adds a leaf hash on the right. If made is not NULL, it is called for every node (level >= 1) that becomes complete,
 * bottom up, once each over the life of a tree. */
void pv_range_append(struct pv_range *range, const uint8_t leaf[32],
                     void (*made)(void *ctx, unsigned level, uint64_t index, const uint8_t hash[32]), void *ctx);
/* The root (empty tree: SHA-256 of ""). */
void pv_range_root(const struct pv_range *range, uint8_t ret[32]);

/* Gives the hash of a complete node. Returns PROV_OK or a negative code (then err is filled). */
struct pv_node_reader {
    void *ctx;
    int (*node)(void *ctx, unsigned level, uint64_t index, uint8_t ret[32], prov_error *err);
};
/* Lists the complete nodes that a proof (or the range) of a tree needs, without reading them, so that a reader can
 * fetch them together: calls want for each, in the order in which _prove and _read ask for them, no node twice.
 * Arguments that have no proof list nothing. */
void pv_inclusion_nodes(uint64_t index, uint64_t size, void (*want)(void *ctx, unsigned level, uint64_t index),
                        void *ctx);
void pv_consistency_nodes(uint64_t old_size, uint64_t size, void (*want)(void *ctx, unsigned level, uint64_t index),
                          void *ctx);
void pv_range_nodes(uint64_t size, void (*want)(void *ctx, unsigned level, uint64_t index), void *ctx);

/* ret has room for PV_PROOF_MAX hashes. PROV_E_INVALID when index >= size, old is 0 or old > size, size > 2^63; else
 * the reader's error. */
int pv_inclusion_prove(const struct pv_node_reader *reader, uint64_t index, uint64_t size, uint8_t ret[][32],
                       uint32_t *ret_count, prov_error *err);
int pv_consistency_prove(const struct pv_node_reader *reader, uint64_t old_size, uint64_t size, uint8_t ret[][32],
                         uint32_t *ret_count, prov_error *err);
/* Fills range with the compact range of a tree of size leaves; on failure it is the empty range. */
int pv_range_read(const struct pv_node_reader *reader, uint64_t size, struct pv_range *range, prov_error *err);

/* True only if the proof holds. A consistency proof from size 0 is refused. proof is count hashes of 32 bytes, one
 * after another (uint8_t [count][32], which C17 does not convert to a pointer to const arrays). */
bool pv_inclusion_verify(const uint8_t leaf[32], uint64_t index, uint64_t size, const void *proof,
                         uint32_t count, const uint8_t root[32]);
bool pv_consistency_verify(uint64_t old_size, const uint8_t old_root[32], uint64_t size, const uint8_t root[32],
                           const void *proof, uint32_t count);
/* The root that an inclusion proof leads to, or false when its length does not fit. */
bool pv_inclusion_root(const uint8_t leaf[32], uint64_t index, uint64_t size, const void *proof, uint32_t count,
                       uint8_t ret_root[32]);

#endif
