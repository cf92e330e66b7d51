/* iris_demo.h - the whole job of this example, for a program of its own (main.c) and for `prov demo`.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * It trains a small classifier on Fisher's Iris measurements and records the training as it goes:
 *   1 the starting point (epoch 0) and each epoch become a safetensors file, and a training.checkpoint record given to
 *     the asynchronous recorder; every tenth epoch, the first and the last also a training.validation on rows held out;
 *   2 everything is sealed, the whole stream is verified, and a proof of training is made and verified;
 *   3 one digit of an accuracy in a copy of the proof is changed, and that copy is verified too. It must be refused.
 *
 * Nothing is printed. Only include/prov/ is used. Threads: calls with different folders may run at the same time, also
 * on one handle.
 */
#ifndef IRIS_DEMO_H
#define IRIS_DEMO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <prov/training.h>

#define IRIS_DEMO_SPECIES 3
#define IRIS_DEMO_PATH_BYTES 4096
#define IRIS_DEMO_TEXT_BYTES 512
#define IRIS_DEMO_VALIDATIONS_MAX 64

/* What a validation on the held-out rows found. */
struct iris_demo_score {
    double loss;       /* mean cross-entropy */
    double accuracy;   /* 0..1 */
    double confidence; /* mean probability given to the species that was chosen, 0..1 */
    double recall[IRIS_DEMO_SPECIES];
};

/* One epoch, just recorded. Strings are borrowed and valid during the callback. */
struct iris_demo_step {
    int64_t epoch;         /* 0: before training */
    int64_t epochs;        /* how many there will be */
    double loss;           /* over the training rows */
    double accuracy;       /* over the training rows, 0..1 */
    uint64_t record_ns;    /* how long the recorder held the training up */
    const char *file;      /* the checkpoint's path */
    const char *file_name; /* its last part: "epoch-0010.safetensors" */
    const char *model_hash; /* SHA-256 of the file, 64 hex digits: what the checkpoint's record says */
    const struct iris_demo_score *held_out; /* NULL when this epoch was not validated */
};

struct iris_demo_params {
    prov_handle *handle;  /* borrowed; must trust its own log key for the proof to verify, as after prov_init */
    const char *model_id; /* stream models/<model_id>; required */
    const char *folder;   /* where checkpoints, training.json, proof.json and forged-proof.json go; made when missing
                             (its parent must be there). One that an earlier run used is refused, PROV_E_EXISTS. */
    int64_t epochs;       /* 0..9999; IRIS_DEMO_EPOCHS is enough */
    uint64_t seed;        /* the same seed trains the same model, bit for bit */
    /* Called in the calling thread after each epoch; not 0: stop with PROV_E_CANCELLED, what was recorded stays. May be
     * NULL. */
    int (*step)(void *ctx, const struct iris_demo_step *step);
    /* Called before each of the slower parts after training: "seal", "log", "proof", "verify", "forge". May be NULL. */
    void (*phase)(void *ctx, const char *name);
    void *ctx;
};
#define IRIS_DEMO_EPOCHS 40
#define IRIS_DEMO_SEED 1936u

/* One verification. */
struct iris_demo_check {
    int32_t verdict;                    /* PROV_VERDICT_*; -1: not reached */
    char summary[IRIS_DEMO_TEXT_BYTES]; /* one sentence from the report, for people */
    char where[IRIS_DEMO_TEXT_BYTES];   /* the first place that is wrong, with what is wrong with it; "" when none is */
    char *json;                         /* the whole report, or NULL; freed by iris_demo_report_done */
};

/* All that a page needs. Plain values but for the check.json. Filled as far as the job came, also when it fails. */
struct iris_demo_report {
    char model_id[129];
    char stream[160];         /* "models/<model_id>" */
    char dataset_sha256[65];  /* of iris.csv */
    size_t n_train, n_test;   /* rows: 120 and 30 */
    size_t n_weights;         /* numbers that training sets: 131 */
    int64_t epochs;
    uint64_t seed;

    double first_loss, last_loss; /* over the training rows, before training and after */
    double train_accuracy;
    struct iris_demo_score held_out; /* of the last checkpoint */
    uint64_t training_ns;            /* all epochs, with writing the files and recording them */
    uint64_t record_median_ns, record_max_ns; /* how long one checkpoint's recording held the training up */

    uint64_t n_checkpoints, n_validations; /* recorded by this run */
    struct {
        int64_t epoch;
        struct iris_demo_score score;
    } validation[IRIS_DEMO_VALIDATIONS_MAX]; /* the first of them, n_shown */
    size_t n_shown;
    char model_hash[65];    /* of the last checkpoint's file */
    char checkpoint_id[65]; /* id of its record */

    uint64_t log_size;  /* records in the stream, with those of earlier runs and of keys */
    char log_root[65];  /* hex */
    char log_key[IRIS_DEMO_TEXT_BYTES]; /* the key that others need to check it: `--trust` takes it */

    char folder[IRIS_DEMO_PATH_BYTES];
    char last_file[IRIS_DEMO_PATH_BYTES];   /* the last checkpoint */
    char config_file[IRIS_DEMO_PATH_BYTES]; /* training.json: what the config digests in the records are of */
    char proof_file[IRIS_DEMO_PATH_BYTES];
    char forged_file[IRIS_DEMO_PATH_BYTES]; /* the proof with one byte changed; kept, so that people can try it */
    uint64_t proof_bytes;

    struct iris_demo_check log;    /* every entry, hash, sequence and signature of the stream: PROV_VERDICT_OK */
    struct iris_demo_check proof;  /* PROV_VERDICT_OK */
    struct iris_demo_check forged; /* PROV_VERDICT_TAMPERED */
    uint64_t forged_offset;        /* the byte that was changed, counted from 0 */
    char forged_before[64];        /* what stood there, for people: "\"accuracy\":0.966667" */
    char forged_after[64];         /* and what stands there now: "\"accuracy\":0.996667" */
};

/* Does it all. PROV_OK when every part could be done, whatever the verdicts are: ask iris_demo_passed. Other codes: a
 * record, file or check could not be made; err (may be NULL) says which. ret needs no set-up and is to be given to
 * iris_demo_report_done in either case. */
int iris_demo(const struct iris_demo_params *params, struct iris_demo_report *ret, prov_error *err);
/* The stream and the proof are intact and signed by a trusted key, and the forgery was refused. */
bool iris_demo_passed(const struct iris_demo_report *report);
void iris_demo_report_done(struct iris_demo_report *report);

#endif
