/* pv_proof.h - proof of training: one canonical JSON document that carries a whole stream and can be checked offline.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Members (docs/formats.md has the same list): batch_signatures, blockchain_transactions, final_model_hash, merkle_root,
 * model_id, other_records, proof_timestamp, signature_hash, signatures, training_chain, tree_head, validation_chain,
 * verification_metadata. Every entry of the stream is in it, as its exact bytes, once: checkpoints in training_chain,
 * validations in validation_chain, the rest in other_records. So the root can be recomputed, and nothing can be left out.
 *
 * Checking takes the records, the signatures, the tree head, the time and the transactions out of the document, derives
 * everything else anew, and compares. Threads: [any].
 */
#ifndef PV_PROOF_H
#define PV_PROOF_H

#include "pv_check.h"
#include "pv_training.h"

#define PV_PROOF_BYTES_MAX ((size_t)512 << 20)

/* What a proof is derived from. */
struct pv_proof_source {
    const char *model_id;
    const char *origin;
    const char *tree_head; /* the note */
    const struct pv_tree_head *tree;
    const char *timestamp;
    const json_t *transactions; /* array; borrowed */
    bool blockchain_enabled;
    const struct pv_slice *entries; /* tree->size of them */
    const struct pv_batch_sig *sigs;
    size_t n_sigs;
};
/* Everything but signature_hash and signatures. NULL on failure. PROV_E_NOT_FOUND: no checkpoint in the stream. */
json_t *pv_proof_derive(const struct pv_proof_source *source, prov_error *err);

/* Adds signature_hash and the log key's signature to a derived document, and writes it. */
int pv_proof_sign(json_t *proof, const struct psdk_ed25519 *log_key, struct psdk_buf *ret, prov_error *err);
/* The text that is signed: "provhost-proof-v1\n" origin "\n" signature_hash "\n". */
int pv_proof_text(struct psdk_buf *out, const char *origin, const char *signature_hash);

/* Makes the proof of what a reader sees. */
int pv_proof_make(struct pv_reader *r, const char *model_id, const json_t *transactions, bool blockchain_enabled,
                  const struct psdk_ed25519 *log_key, struct psdk_buf *ret, prov_error *err);

/* Whom the user trusts. Keys are raw Ed25519 public keys; names ("" any) restrict them to an origin or what lies below. */
struct pv_trust {
    struct pv_trusted_key {
        uint8_t key[32];
        char name[PV_TRUST_NAME];
    } *key;
    size_t n_keys;
    const char *const *validator; /* "ed25519:<hex>" or addresses */
    size_t n_validators;
};
bool pv_trust_has(const struct pv_trust *trust, const char *origin, const uint8_t key[32]);

#define PV_VERDICT_OK 0
#define PV_VERDICT_UNKNOWN 1
#define PV_VERDICT_TAMPERED 2
/* Checks a proof offline. Returns PROV_OK with a verdict and a report {"verdict","summary","checks":[...], "model_id"?, ...}
 * (owned by the caller), or a code when it could not be checked at all. */
int pv_proof_verify(const char *data, size_t len, const struct pv_trust *trust, int *ret_verdict, json_t **ret_report,
                    prov_error *err);

/* Builds reports: {"checks":[{"name","ok","detail","where"?}]}. */
json_t *pv_report_new(void);
void pv_report_add(json_t *report, const char *name, bool ok, const char *detail);
/* Sets verdict and summary; returns the verdict. */
int pv_report_end(json_t *report, int verdict, const char *summary);

/* Text or self-contained HTML for people. */
int pv_proof_show(const char *data, size_t len, bool html, struct psdk_buf *ret, prov_error *err);

#endif
