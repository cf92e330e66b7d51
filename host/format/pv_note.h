/* pv_note.h - C2SP signed notes, tree heads (tlog-checkpoint), proofs (tlog-proof) and verifier keys.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A note is UTF-8 text without control characters other than the newline; the last empty line parts the signed text
 * from the signature lines "— NAME BASE64(key hash || signature)". A verifier key in text, one line:
 * NAME+HHHHHHHH+BASE64(type || public key), where type is 1 for Ed25519 and HHHHHHHH is the key hash, the first 4 bytes
 * of SHA-256(NAME || "\n" || type || public key). Nothing that a note says may be used before a trusted key verified
 * it. Threads: [any].
 */
#ifndef PV_NOTE_H
#define PV_NOTE_H

#include "psdk_buf.h"
#include "psdk_sign.h"

#define PV_NAME_MAX 512      /* of a key name or origin, with its NUL */
#define PV_NOTE_MAX 262144   /* bytes of a note: 32 post-quantum signatures of 5 kB fit */
#define PV_NOTE_SIGS 32      /* signatures of a note */
#define PV_TREE_HEAD_MAX 4096 /* bytes of a tree head as pv_tree_head_sign writes it; witnesses may add to it */
#define PV_TLOG_PROOF_MAX (PV_NOTE_MAX + 65536) /* bytes of a tlog-proof */

#define PV_SIG_ED25519 0x01     /* signature type: Ed25519 over the note's text */
#define PV_SIG_COSIGNATURE 0x04 /* signature type: a witness's timestamped Ed25519 cosignature */

struct pv_note_sig {
    const char *name;    /* owned by the note */
    uint8_t key_hash[4];
    const uint8_t *blob; /* what follows the key hash; owned by the note */
    size_t blob_len;     /* at least 1 */
};
/* A parsed note: text points into the parsed bytes (including its last newline). */
struct pv_note {
    const char *text;
    size_t text_len;
    uint32_t n_sigs;
    struct pv_note_sig *sigs; /* owned */
};
/* Strict parse. PROV_E_CORRUPT with the line that is wrong; PROV_E_LIMIT over PV_NOTE_MAX or PV_NOTE_SIGS. On
 * failure ret is empty. Verifies nothing. */
int pv_note_parse(const char *data, size_t len, const char *what, struct pv_note *ret, prov_error *err);
/* Frees what the note owns and empties it. Safe on {0}. */
void pv_note_done(struct pv_note *note);
/* Appends text, a blank line and one Ed25519 signature line by key under name. text must end in a newline.
 * PROV_E_INVALID when the text or the name cannot stand in a note. On failure out is as it was. */
int pv_note_sign(struct psdk_buf *out, const char *text, size_t len, const char *name, const struct psdk_ed25519 *key,
                 prov_error *err);
/* True if the note has a signature by this key, and every signature that names this key verifies. *ret_bad (may be
 * NULL) is set either way: true if one names this key (name and key hash) and does not verify; refuse such a note. */
bool pv_note_signed_by(const struct pv_note *note, const char *name, const uint8_t public_key[32], bool *ret_bad);
/* The same for a witness's cosignature (tlog-cosignature, Ed25519) of a tree head; *ret_time_s (may be NULL) is the
 * newest time that a good one states, in seconds since 1970, and 0 when there is none. */
bool pv_note_cosigned_by(const struct pv_note *note, const char *name, const uint8_t public_key[32],
                         uint64_t *ret_time_s, bool *ret_bad);
/* The key hash of an Ed25519 key under name. */
void pv_note_key_hash(const char *name, const uint8_t public_key[32], uint8_t ret[4]);
/* Appends a verifier key of type Ed25519. PROV_E_INVALID unless pv_note_name_ok(name). */
int pv_vkey_format(struct psdk_buf *out, const char *name, const uint8_t public_key[32]);
/* PROV_E_INVALID says why; ret_name has PV_NAME_MAX bytes. pv_vkey_parse wants type Ed25519; _type wants PV_SIG_*. */
int pv_vkey_parse(const char *text, char *ret_name, uint8_t ret_public[32], prov_error *err);
int pv_vkey_parse_type(const char *text, uint8_t type, char *ret_name, uint8_t ret_public[32], prov_error *err);
/* A key name or origin: 1..PV_NAME_MAX-1 bytes of UTF-8, no Unicode white space, no control character, no '+'. */
bool pv_note_name_ok(const char *name);
/* True if the bytes may stand in a note: UTF-8, no control character but newlines. Otherwise *ret_line counts from 1
 * and *ret_why is a static text. */
bool pv_note_text_ok(const char *text, size_t len, size_t *ret_line, const char **ret_why);

/* What a tree head says. */
struct pv_tree_head {
    char origin[PV_NAME_MAX];
    uint64_t size;
    uint8_t root[32];
};
/* Appends the note text (three lines). PROV_E_INVALID when the origin is empty or cannot stand on a line of a note. */
int pv_tree_head_text(struct psdk_buf *out, const struct pv_tree_head *head);
/* Appends the whole signed tree head; the key's name is the origin. */
int pv_tree_head_sign(struct psdk_buf *out, const struct pv_tree_head *head, const struct psdk_ed25519 *key,
                      prov_error *err);
/* Reads the text of a note as a tree head; extension lines are allowed and ignored. PROV_E_CORRUPT with the line
 * that is wrong; PROV_E_LIMIT when the origin does not fit. Any origin that the specification allows is read, also
 * one that is not a key name. Verifies nothing. */
int pv_tree_head_parse(const struct pv_note *note, struct pv_tree_head *ret, prov_error *err);

/* C2SP tlog-proof: header line, optional extra, index, hashes, blank line, tree head. */
struct pv_tlog_proof {
    uint64_t index;
    uint32_t count;
    uint8_t hash[64][32];  /* from the leaf's sibling upwards */
    const char *extra;     /* base64 of opaque data that nobody signed, borrowed; NULL: none */
    size_t extra_len;
    const char *tree_head; /* the signed note as it is; parsed: points into the parsed text */
    size_t tree_head_len;
};
/* Appends the text. PROV_E_INVALID when it would not be a proof (more than 64 hashes, no tree head, extra not
 * base64). */
int pv_tlog_proof_write(struct psdk_buf *out, const struct pv_tlog_proof *proof);
/* Strict parse of everything above the tree head; that one goes to pv_note_parse. PROV_E_CORRUPT with the line that is
 * wrong, PROV_E_LIMIT over PV_TLOG_PROOF_MAX. Verifies nothing. */
int pv_tlog_proof_parse(const char *data, size_t len, const char *what, struct pv_tlog_proof *ret, prov_error *err);

#endif
