/* pv_frontier.h - the growing edge of a stream: its compact range, one open tile for each level, the open entry bundle.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Memory is constant: about 70 kB and one bundle, whatever the size of the tree. Appending entries gives the files that
 * materialise them. Used by the sealer to write them and by readers to see what is sealed but not materialised yet.
 */
#ifndef PV_FRONTIER_H
#define PV_FRONTIER_H

#include "pv_head.h"
#include "pv_store.h"
#include "pv_tile.h"

/* A list of named byte strings. */
struct pv_file {
    char name[PV_TILE_NAME];
    struct psdk_buf data;
};
struct pv_files {
    struct pv_file *item; /* owned */
    size_t n, cap;
};
void pv_files_done(struct pv_files *files);
/* NULL when there is none of that name. */
const struct pv_file *pv_files_find(const struct pv_files *files, const char *name);
struct psdk_buf *pv_files_add(struct pv_files *files, const char *name);

struct pv_open_tile {
    uint32_t n;
    uint8_t hash[PV_TILE_WIDTH][32];
};
struct pv_frontier {
    struct pv_range range;
    struct pv_open_tile level[PV_TILE_LEVELS];
    struct psdk_buf entries; /* of the open bundle */
    struct psdk_buf sigs;    /* of the open bundle */
};
#define PV_FRONTIER_EMPTY {0}
void pv_frontier_done(struct pv_frontier *f);

/* Appends an entry; complete tiles and bundles go to files. */
int pv_frontier_add(struct pv_frontier *f, const uint8_t *entry, size_t len, const uint8_t leaf[32], struct pv_files *files);
/* Adds a signature whose index is the last entry. */
int pv_frontier_sign(struct pv_frontier *f, const struct pv_batch_sig *sig);
/* Adds the partial tiles and bundles of the edge to files. */
int pv_frontier_finish(struct pv_frontier *f, struct pv_files *files);
/* Appends all of a seal. PROV_E_CORRUPT when it does not continue f or does not lead to its root. */
int pv_frontier_apply(struct pv_frontier *f, const struct pv_seal *seal, struct pv_files *files, prov_error *err);
/* Loads the edge of a materialised tree and checks it against root. prefix is "models/iris/". PROV_E_NOT_FOUND when files are
 * missing: they go two seals later, or the stream is damaged. */
int pv_frontier_load(struct pv_frontier *f, struct pv_store *store, const char *prefix, uint64_t size,
                     const uint8_t root[32], prov_error *err);
/* Names of the partial files of a tree of this size; sigs included whether they exist or not. */
int pv_frontier_partials(uint64_t size, struct pv_files *ret);
/* Root of the perfect tree over 2^height hashes. */
void pv_subtree_root(const uint8_t (*hash)[32], unsigned height, uint8_t ret[32]);

#endif
