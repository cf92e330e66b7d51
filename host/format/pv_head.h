/* pv_head.h - head.json, store.json and seal objects: encode and decode side by side.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * head.json is canonical JSON, replaced only by compare-and-swap:
 *   content_hash, counter, semver, version_id  of the newest model version; null until there is one
 *   nonce       32 hex digits, new for each replacement
 *   seal        name of the seal object that this head committed
 *   store       origin of the store
 *   tree_head   the complete signed tree head (a C2SP note)
 *   updated_at  RFC 3339
 *   writer      who replaced it
 * A seal object is immutable: one line of canonical JSON {"edge":[hashes of the old tree's compact range],"entries":count,
 * "old_size":N,"origin":...,"root":hash,"signatures":count,"size":N}, then so many lines of batch signatures, then the new
 * entries as a C2SP entry bundle. Threads: [any].
 */
#ifndef PV_HEAD_H
#define PV_HEAD_H

#include "pv_merkle.h"
#include "pv_note.h"
#include "pv_record.h"

#define PV_NONCE_TEXT 33
#define PV_SEAL_NAME 64
#define PV_SEMVER_TEXT 64
#define PV_VERSION_TEXT 96

struct pv_head {
    char store[PV_NAME_MAX];
    char nonce[PV_NONCE_TEXT];
    char seal[PV_SEAL_NAME];
    char writer[PV_WRITER_TEXT];
    char updated_at[32];
    bool has_version;
    uint64_t counter;
    uint8_t content_hash[32];
    char version_id[PV_VERSION_TEXT];
    char semver[PV_SEMVER_TEXT];
    char tree_head_text[PV_TREE_HEAD_MAX]; /* the note */
    struct pv_tree_head tree;              /* what it says; set by parse */
};
int pv_head_write(struct psdk_buf *out, const struct pv_head *head);
/* Strict; the tree head is parsed, its signature is not checked here. PROV_E_CORRUPT. */
int pv_head_parse(const char *data, size_t len, const char *what, struct pv_head *ret, prov_error *err);

/* "seal/<size>-<first 16 hex digits of the root>" */
void pv_seal_name(uint64_t size, const uint8_t root[32], char ret[PV_SEAL_NAME]);
bool pv_seal_name_parse(const char *name, uint64_t *ret_size);

struct pv_seal {
    char origin[PV_NAME_MAX];
    struct pv_range old; /* compact range of the tree before */
    uint64_t size;
    uint8_t root[32];
    const struct pv_batch_sig *sigs; /* for write: borrowed; after parse: owned, see done */
    uint32_t n_sigs;
    const uint8_t *entries; /* bundle bytes: borrowed */
    size_t entries_len;
};
int pv_seal_write(struct psdk_buf *out, const struct pv_seal *seal);
/* Checks form and counts, not hashes. entries points into data. PROV_E_CORRUPT. */
int pv_seal_parse(const uint8_t *data, size_t len, const char *what, struct pv_seal *ret, prov_error *err);
void pv_seal_done(struct pv_seal *seal);

/* store.json at the root of a store: {"created":time,"format":1,"log_key":"ed25519:...","origin":...} */
struct pv_store_info {
    char origin[PV_NAME_MAX];
    uint8_t log_key[32];
    char created[32];
};
int pv_store_info_write(struct psdk_buf *out, const struct pv_store_info *info);
int pv_store_info_parse(const char *data, size_t len, const char *what, struct pv_store_info *ret, prov_error *err);

#endif
