/* pv_training.h - bodies of training records.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * training.checkpoint: code_digest?, config_digest?, context?, datasets? [{id, record?}], epoch, fingerprint_hash?, metrics,
 *   model_hash, model_id, step?
 * training.validation: challenge_hash?, checkpoint_id?, confidence_score?, model_hash, model_id, validation_result,
 *   validator_id, validator_key?, validator_signature? (over the canonical body without it)
 * Further members that a caller gives are kept. Threads: [any].
 */
#ifndef PV_TRAINING_H
#define PV_TRAINING_H

#include "psdk_json.h"
#include "pv_key.h"
#include "pv_record.h"

#define PV_KIND_CHECKPOINT "training.checkpoint"
#define PV_KIND_VALIDATION "training.validation"

/* Parsed values; strings and objects borrowed. */
struct pv_checkpoint_fields {
    const char *model_id;
    const char *model_hash;       /* any accepted spelling */
    int64_t epoch;
    int64_t step;                 /* -1: none */
    const char *metrics_json;     /* NULL: {} */
    const char *fingerprint_hash;
    const char *config_digest, *code_digest;
    const char *const *datasets;
    size_t n_datasets;
    const json_t *context;        /* or NULL */
    const char *extra_json;
};
/* Appends the canonical body. PROV_E_INVALID names the member. */
int pv_checkpoint_body(struct psdk_buf *out, const struct pv_checkpoint_fields *in, prov_error *err);

struct pv_validation_fields {
    const char *model_id;
    const char *model_hash;
    const char *validator_id;
    const char *result_json;
    double confidence_score; /* negative: none */
    const char *challenge_hash;
    const char *checkpoint_id;
    const struct pv_key *key; /* signs; or NULL */
    const char *extra_json;
};
int pv_validation_body(struct psdk_buf *out, const struct pv_validation_fields *in, prov_error *err);
/* Checks the validator's signature of a body, if it has one. *ret_signed says whether; ret_key (PV_TRUST_NAME bytes) gets
 * "ed25519:<hex>" or an address. PROV_E_CORRUPT when it does not verify. */
int pv_validation_check(const json_t *body, bool *ret_signed, char *ret_key, prov_error *err);

/* SHA-256 of one file, or of several that of their `sha256sum` lines sorted by path bytes. ret 65 bytes. */
int pv_hash_files(const char *const *paths, size_t n, char ret[PSDK_SHA256_HEX], prov_error *err);

/* What a record says of where it was made: {"git":{"commit","dirty"?},"libraries":{...},"command"?,"host"?}; parts that do
 * not apply are left out; NULL when nothing does. parts: names out of git, libraries, command, host. [any] */
json_t *pv_context_gather(const char *dir, const char *const *parts, size_t n_parts, const char *version);

#endif
