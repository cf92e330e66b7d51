/* pv_note.h - C2SP signed notes, tree heads (tlog-checkpoint) and verifier keys.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A verifier key in text, one line: NAME+HHHHHHHH+BASE64(0x01 || public key), where HHHHHHHH is the key hash, the first 4
 * bytes of SHA-256(NAME || "\n" || 0x01 || public key). Threads: [any].
 */
#ifndef PV_NOTE_H
#define PV_NOTE_H

#include "psdk_buf.h"
#include "psdk_sign.h"

#define PV_NAME_MAX 512     /* of a key name or origin, with its NUL */
#define PV_NOTE_MAX 65536   /* bytes of a note */
#define PV_NOTE_SIGS 32     /* signatures of a note */
#define PV_TREE_HEAD_MAX 4096

struct pv_note_sig {
    char name[PV_NAME_MAX];
    uint8_t key_hash[4];
    uint8_t blob[512]; /* what follows the key hash */
    size_t blob_len;
};
/* A parsed note: text points into the parsed bytes (including its last newline). */
struct pv_note {
    const char *text;
    size_t text_len;
    uint32_t n_sigs;
    struct pv_note_sig *sigs; /* owned */
};
/* Strict parse. PROV_E_CORRUPT with the line that is wrong. */
int pv_note_parse(const char *data, size_t len, const char *what, struct pv_note *ret, prov_error *err);
void pv_note_done(struct pv_note *note);
/* Appends text, a blank line and one Ed25519 signature line by key under name. text must end in a newline. */
int pv_note_sign(struct psdk_buf *out, const char *text, size_t len, const char *name, const struct psdk_ed25519 *key,
                 prov_error *err);
/* True if the note has a signature by this key, and it verifies. Sets *ret_bad if one names this key and does not. */
bool pv_note_signed_by(const struct pv_note *note, const char *name, const uint8_t public_key[32], bool *ret_bad);
void pv_note_key_hash(const char *name, const uint8_t public_key[32], uint8_t ret[4]);
int pv_vkey_format(struct psdk_buf *out, const char *name, const uint8_t public_key[32]);
/* PROV_E_INVALID says why; ret_name has PV_NAME_MAX bytes. */
int pv_vkey_parse(const char *text, char *ret_name, uint8_t ret_public[32], prov_error *err);
/* A key name or origin: 1..PV_NAME_MAX-1 bytes of UTF-8, no white space, no '+'. */
bool pv_note_name_ok(const char *name);

/* What a tree head says. */
struct pv_tree_head {
    char origin[PV_NAME_MAX];
    uint64_t size;
    uint8_t root[32];
};
/* Appends the note text (three lines). */
int pv_tree_head_text(struct psdk_buf *out, const struct pv_tree_head *head);
/* Appends the whole signed tree head. */
int pv_tree_head_sign(struct psdk_buf *out, const struct pv_tree_head *head, const struct psdk_ed25519 *key,
                      prov_error *err);
/* Reads the text of a note as a tree head; extension lines are allowed and ignored. */
int pv_tree_head_parse(const struct pv_note *note, struct pv_tree_head *ret, prov_error *err);

/* C2SP tlog-proof: header line, optional extra, index, hashes, blank line, tree head. */
struct pv_tlog_proof {
    uint64_t index;
    uint32_t count;
    uint8_t hash[64][32];
    const char *tree_head; /* points into the parsed text */
    size_t tree_head_len;
};
int pv_tlog_proof_write(struct psdk_buf *out, const struct pv_tlog_proof *proof);
int pv_tlog_proof_parse(const char *data, size_t len, const char *what, struct pv_tlog_proof *ret, prov_error *err);

#endif
