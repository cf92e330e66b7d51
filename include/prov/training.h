/* prov/training.h - training provenance: checkpoints, validations, the asynchronous recorder, history, log, proofs.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The rules are those of prov/prov.h. Since 0.1.
 */
#ifndef PROV_TRAINING_H
#define PROV_TRAINING_H

#include "prov.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- recording ------------------------------------------------------------------------------------------------------ */

typedef struct prov_checkpoint {
    uint32_t struct_size;
    uint32_t flags;            /* 0 */
    const char *model_id;      /* NULL: the configured one */
    const char *model_hash;    /* 64 hex digits, 0x or not; or NULL with files */
    const char *const *files;  /* hashed instead of model_hash */
    uint64_t n_files;
    int64_t epoch;             /* 0.. */
    int64_t step;              /* -1: none */
    const char *metrics_json;  /* object; NaN and infinities as the strings "NaN", "Infinity", "-Infinity"; NULL: {} */
    const char *fingerprint_hash; /* or NULL */
    const char *const *datasets;  /* dataset ids, or "id@record" */
    uint64_t n_datasets;
    const char *config_file;   /* its SHA-256 is recorded; or NULL */
    const char *code_file;     /* likewise */
    const char *actor;         /* NULL: the configured one */
    const char *extra_json;    /* further members of the body, an object; or NULL */
} prov_checkpoint;

typedef struct prov_validation {
    uint32_t struct_size;
    uint32_t flags;
    const char *model_id;
    const char *model_hash;    /* or NULL with file */
    const char *file;
    const char *validator_id;  /* required */
    const char *result_json;   /* object, required */
    double confidence_score;   /* 0..1; negative: none */
    const char *challenge_file; /* its SHA-256 is recorded; or NULL */
    const char *challenge_hash; /* or NULL */
    const char *checkpoint_id; /* id of the record that was validated, 12 digits or more; NULL: none */
    const char *validator_key; /* name of a key file or path: signs the body (Ed25519, or EIP-191 with secp256k1); or NULL */
    const char *actor;
    const char *extra_json;
} prov_validation;

/* Durable in the journal when they return; sealed soon after, at prov_flush, or with the batch. ret_id gets 64 hex digits
 * and a NUL. A store that fails never makes these fail. */
PROV_API int prov_record_checkpoint(prov_handle *handle, const prov_checkpoint *checkpoint, char ret_id[65],
                                    prov_error *err);
PROV_API int prov_record_validation(prov_handle *handle, const prov_validation *validation, char ret_id[65],
                                    prov_error *err);
/* Any record: stream "models/iris", kind "training.note", body a JSON object. */
PROV_API int prov_record_raw(prov_handle *handle, const char *stream, const char *kind, const char *subject,
                             const char *actor, const char *body_json, char ret_id[65], prov_error *err);
/* Several records of one stream, all or none: bodies n times. ret_ids: n times 65 bytes, or NULL. */
PROV_API int prov_record_many(prov_handle *handle, const char *stream, const char *kind, const char *subject,
                              const char *const *bodies_json, uint64_t n, char (*ret_ids)[65], prov_error *err);

/* ---- the asynchronous recorder ---------------------------------------------------------------------------------------- */

typedef struct prov_recorder prov_recorder;
typedef struct prov_recorder_params {
    uint32_t struct_size;
    uint32_t flags;
    uint64_t queue_bytes; /* bodies waiting at most; 0: 16 MiB */
    uint64_t block_ns;    /* how long a full queue may hold the caller up; 0: not at all, the record is refused */
    /* Called from a thread of the recorder's, one call at a time, for each record that could not be kept (and for seals that failed: then count is 0,
     * the records are safe in the journal). May be NULL. */
    void (*failed)(void *ctx, uint64_t count, const prov_error *why);
    void *ctx;
} prov_recorder_params;
/* Starts two threads: one makes records durable in groups, one seals them by batch_size and max_delay, so that a store that
 * hangs holds up neither the caller nor the journal. */
PROV_API int prov_recorder_open(prov_handle *handle, const prov_recorder_params *params, prov_recorder **ret,
                                prov_error *err);
/* Copies the arguments and returns; what is wrong with them is said at once. PROV_E_LIMIT: the queue is full. Files named
 * in them are read later, by the recorder's thread. */
PROV_API int prov_recorder_checkpoint(prov_recorder *recorder, const prov_checkpoint *checkpoint, prov_error *err);
PROV_API int prov_recorder_validation(prov_recorder *recorder, const prov_validation *validation, prov_error *err);
PROV_API int prov_recorder_raw(prov_recorder *recorder, const char *stream, const char *kind, const char *subject,
                               const char *body_json, prov_error *err);
/* Waits until all that was given before is durable, and with seal != 0 sealed. timeout_ns 0: without end. */
PROV_API int prov_recorder_flush(prov_recorder *recorder, int32_t seal, uint64_t timeout_ns, prov_error *err);
typedef struct prov_recorder_stats {
    uint32_t struct_size;
    uint32_t reserved;
    uint64_t accepted, durable, refused, failed, sealed, waiting;
} prov_recorder_stats;
PROV_API void prov_recorder_stats_get(prov_recorder *recorder, prov_recorder_stats *ret);
/* Flushes to the journal (and tries to seal once), ends the thread. NULL is fine. */
PROV_API int prov_recorder_close(prov_recorder *recorder, prov_error *err);

/* ---- reading -------------------------------------------------------------------------------------------------------- */

/* Receives JSON documents one by one; a negative result stops. */
typedef int32_t (*prov_each_fn)(void *ctx, const char *json, uint64_t len);

typedef struct prov_history_params {
    uint32_t struct_size;
    uint32_t flags;
    const char *stream;  /* "models/iris"; NULL: of the configured model */
    const char *kind;    /* exact, or a prefix ending in "."; NULL: all */
    uint64_t from;       /* first leaf index */
    uint64_t limit;      /* records at most; 0: all */
    int32_t newest_first;
    int32_t with_pending; /* also what waits in this host's journal */
} prov_history_params;
/* {"index" (null: pending),"id","record":{...}} for each. */
PROV_API int prov_history(prov_handle *handle, const prov_history_params *params, prov_each_fn each, void *ctx,
                          prov_error *err);
/* {"stream","origin","size","root","checkpoint","updated_at","writer","signed","trusted","key_id","verifier_key","pending"?} */
PROV_API int prov_log_show(prov_handle *handle, const char *stream, char **ret_json, prov_error *err);
/* Streams of the store: [{"stream","size"}] */
PROV_API int prov_log_list(prov_handle *handle, char **ret_json, prov_error *err);

/* How a verification ended. The details are in the JSON: {"verdict","summary","checks":[{"name","ok","detail","where"?}]} */
#define PROV_VERDICT_OK 0       /* intact, and signed by whom the user trusts */
#define PROV_VERDICT_UNKNOWN 1  /* intact, signer unknown */
#define PROV_VERDICT_TAMPERED 2 /* not intact */

/* Reads the whole stream: every entry, hash, record, sequence and signature. progress may be NULL. */
PROV_API int prov_log_verify(prov_handle *handle, const char *stream, void (*progress)(void *ctx, uint64_t done, uint64_t all),
                             void *ctx, int32_t *ret_verdict, char **ret_json, prov_error *err);
/* A c2sp.org/tlog-proof@v1 of one record, by id (12 or more digits) or decimal index ("#17"). ret_text: prov_free. */
PROV_API int prov_log_prove(prov_handle *handle, const char *stream, const char *id_or_index, char **ret_text,
                            prov_error *err);
/* {"old_size","old_root","size","root","proof":[hex...]}, checked. */
PROV_API int prov_log_consistency(prov_handle *handle, const char *stream, uint64_t old_size, char **ret_json,
                                  prov_error *err);

/* ---- proof of training ------------------------------------------------------------------------------------------------ */

/* Seals, then makes proof.json of a model. ret_json: its exact bytes, canonical, without a newline. With out (may be NULL) it
 * is also written there, durably, never over another file unless force. */
PROV_API int prov_proof_create(prov_handle *handle, const char *model_id, const char *out, int32_t force, char **ret_json,
                               prov_error *err);
/* Checks a proof offline. data need not end in NUL. handle gives the trust anchors; NULL: none but trust. What is wrong is
 * in ret_json with its place; PROV_OK also then. */
PROV_API int prov_proof_verify(prov_handle *handle, const char *data, uint64_t len, const char *const *trust,
                               uint64_t n_trust, int32_t *ret_verdict, char **ret_json, prov_error *err);
/* A page that a person can read; html != 0: self-contained HTML, else text. ret_text: prov_free. */
PROV_API int prov_proof_show(const char *data, uint64_t len, int32_t html, char **ret_text, prov_error *err);

#ifdef __cplusplus
}
#endif

#endif
