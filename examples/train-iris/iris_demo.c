/* iris_demo.c - trains, and records the training as it goes.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The recorder is asynchronous: the training gives it a record and goes on, the recorder's own thread hashes the file
 * and makes the record durable. What cannot be kept is told to on_failed, in that thread; it is looked at after the
 * thread has ended, so no lock is needed.
 */
#include "iris_demo.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "iris_job.h"

#define EPOCHS_MAX 9999
#define FLUSH_NS (60u * UINT64_C(1000000000))
#define VALIDATE_EVERY 10
#define DATASET_ID "fisher-iris"
#define VALIDATOR_ID "held-out"

_Static_assert(IRIS_DEMO_SPECIES == IRIS_SPECIES, "iris_demo.h stands alone");

struct job {
    const struct iris_demo_params *params;
    struct iris_demo_report *report;
    struct iris_trainer trainer;
    prov_recorder *recorder;
    uint64_t *record_ns; /* how long each checkpoint's recording took */
    char *extra;         /* further members of each checkpoint's record */
    uint64_t n_failed;   /* these two: see above */
    prov_error first_failure;
};

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* count 0: a seal did not work. That is no loss, the records wait in the journal; iris_prove seals again. */
static void on_failed(void *ctx, uint64_t count, const prov_error *why)
{
    struct job *job = ctx;

    if (count > 0 && job->n_failed == 0)
        job->first_failure = *why;
    job->n_failed += count;
}

/* ---- one epoch --------------------------------------------------------------------------------------------------- */

static int record_checkpoint(struct job *job, const char *file, const struct iris_measurement *m, uint64_t *ret_ns,
                             prov_error *err)
{
    static const char *const datasets[] = {DATASET_ID};
    char *metrics = iris_json(
        json_pack("{s:o,s:o}", "accuracy", iris_number(m->accuracy), "loss", iris_number(m->loss)), err);
    if (!metrics)
        return PROV_E_NOMEM;
    prov_checkpoint checkpoint = {.struct_size = sizeof checkpoint,
                                  .model_id = job->params->model_id,
                                  .files = &file,
                                  .n_files = 1,
                                  .epoch = job->trainer.epoch,
                                  .step = job->trainer.step,
                                  .metrics_json = metrics,
                                  .datasets = datasets,
                                  .n_datasets = 1,
                                  .config_file = job->report->config_file,
                                  .extra_json = job->extra};
    uint64_t start = now_ns();
    int rc = prov_recorder_checkpoint(job->recorder, &checkpoint, err);
    *ret_ns = now_ns() - start;
    free(metrics);
    return rc;
}

/* The recorder gives no ids, so the validation names the model by its hash. */
static int record_validation(struct job *job, const char *model_hash, const struct iris_measurement *m, prov_error *err)
{
    json_t *recall = json_object();
    for (size_t s = 0; s < IRIS_SPECIES; s++)
        json_object_set_new(recall, iris_species_names[s], iris_number(m->recall[s]));
    char *result = iris_json(json_pack("{s:o,s:o,s:o,s:i}", "accuracy", iris_number(m->accuracy), "loss",
                                       iris_number(m->loss), "recall", recall, "rows", (int)m->rows),
                             err);
    if (!result)
        return PROV_E_NOMEM;
    prov_validation validation = {.struct_size = sizeof validation,
                                  .model_id = job->params->model_id,
                                  .model_hash = model_hash,
                                  .validator_id = VALIDATOR_ID,
                                  .result_json = result,
                                  .confidence_score = round(m->confidence * 1e6) / 1e6};
    int rc = prov_recorder_validation(job->recorder, &validation, err);
    free(result);
    return rc;
}

static struct iris_demo_score score_of(const struct iris_measurement *m)
{
    struct iris_demo_score score = {.loss = m->loss, .accuracy = m->accuracy, .confidence = m->confidence};

    for (size_t s = 0; s < IRIS_SPECIES; s++)
        score.recall[s] = m->recall[s];
    return score;
}

/* Notes what the page will say. */
static void note(struct job *job, const struct iris_demo_step *step)
{
    struct iris_demo_report *r = job->report;

    if (step->epoch == 0)
        r->first_loss = step->loss;
    r->last_loss = step->loss;
    r->train_accuracy = step->accuracy;
    job->record_ns[r->n_checkpoints++] = step->record_ns;
    snprintf(r->last_file, sizeof r->last_file, "%s", step->file);
    snprintf(r->model_hash, sizeof r->model_hash, "%s", step->model_hash);
    if (step->held_out) {
        r->held_out = *step->held_out;
        r->n_validations++;
        if (r->n_shown < IRIS_DEMO_VALIDATIONS_MAX) {
            r->validation[r->n_shown].epoch = step->epoch;
            r->validation[r->n_shown++].score = *step->held_out;
        }
    }
}

/* Saves, measures and records the model as it is after trainer.epoch epochs. */
static int keep(struct job *job, prov_error *err)
{
    const struct iris_demo_params *p = job->params;
    int64_t epoch = job->trainer.epoch;
    struct iris_measurement m, held_out;
    struct iris_demo_score score;
    char name[40], file[IRIS_DEMO_PATH_BYTES], hash[65];
    const char *const files[] = {file};

    snprintf(name, sizeof name, "epoch-%04" PRId64 ".safetensors", epoch);
    iris_trainer_measure(&job->trainer, false, &m);
    struct iris_demo_step step = {.epoch = epoch, .epochs = p->epochs, .loss = m.loss, .accuracy = m.accuracy,
                                  .file = file, .file_name = name, .model_hash = hash};
    int rc = iris_path(file, p->folder, name, err);
    if (!rc)
        rc = iris_save_checkpoint(file, &job->trainer, p->seed, err);
    if (!rc)
        rc = prov_hash_files(files, 1, hash, err);
    if (!rc)
        rc = record_checkpoint(job, file, &m, &step.record_ns, err);
    if (!rc && (epoch % VALIDATE_EVERY == 0 || epoch == p->epochs)) {
        iris_trainer_measure(&job->trainer, true, &held_out);
        score = score_of(&held_out);
        step.held_out = &score;
        rc = record_validation(job, hash, &held_out, err);
    }
    if (rc)
        return rc;
    note(job, &step);
    if (p->step && p->step(p->ctx, &step) != 0)
        return iris_fail(err, PROV_E_CANCELLED, "stopped after epoch %" PRId64 "; what was recorded stays", epoch);
    return PROV_OK;
}

/* ---- all of them ------------------------------------------------------------------------------------------------- */

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static int train(struct job *job, prov_error *err)
{
    struct iris_demo_report *r = job->report;
    uint64_t start = now_ns();

    iris_trainer_init(&job->trainer, job->params->seed);
    int rc = keep(job, err);
    while (!rc && job->trainer.epoch < job->params->epochs) {
        iris_trainer_epoch(&job->trainer);
        rc = keep(job, err);
    }
    r->training_ns = now_ns() - start;
    if (r->n_checkpoints > 0) {
        qsort(job->record_ns, r->n_checkpoints, sizeof *job->record_ns, by_size);
        r->record_median_ns = job->record_ns[r->n_checkpoints / 2];
        r->record_max_ns = job->record_ns[r->n_checkpoints - 1];
    }
    return rc;
}

/* Opens the recorder, trains, and ends the recorder in any case: what was given to it is in the journal then. */
static int train_and_record(struct job *job, prov_error *err)
{
    /* A training run that produces a checkpoint each millisecond may be held up a little rather than lose one. */
    prov_recorder_params params = {.struct_size = sizeof params, .block_ns = UINT64_C(1000000000), .failed = on_failed,
                                   .ctx = job};
    int rc = prov_recorder_open(job->params->handle, &params, &job->recorder, err);
    if (rc)
        return rc;
    rc = train(job, err);
    if (!rc && job->params->phase)
        job->params->phase(job->params->ctx, "seal");
    if (!rc)
        rc = prov_recorder_flush(job->recorder, 1, FLUSH_NS, err);
    int closed = prov_recorder_close(job->recorder, rc ? NULL : err);
    job->recorder = NULL;
    if (!rc)
        rc = closed;
    if (!rc && job->n_failed > 0)
        rc = iris_fail(err, job->first_failure.code ? job->first_failure.code : PROV_E_INTERNAL,
                       "%" PRIu64 " records could not be kept, the first because: %.300s", job->n_failed,
                       job->first_failure.message);
    return rc;
}

static int check_params(const struct iris_demo_params *p, prov_error *err)
{
    if (!p->handle || !p->model_id || !p->folder)
        return iris_fail(err, PROV_E_INVALID, "iris_demo: handle, model_id and folder are required");
    if (strlen(p->model_id) >= sizeof ((struct iris_demo_report *)NULL)->model_id)
        return iris_fail(err, PROV_E_INVALID, "iris_demo: the model id has more than 128 characters");
    if (p->epochs < 0 || p->epochs > EPOCHS_MAX)
        return iris_fail(err, PROV_E_INVALID, "iris_demo: %" PRId64 " epochs: want 0 to %d", p->epochs, EPOCHS_MAX);
    return PROV_OK;
}

/* Fills in what is known before the training, makes the folder, and claims it with its training.json. */
static int set_up(struct job *job, prov_error *err)
{
    const struct iris_demo_params *p = job->params;
    struct iris_demo_report *r = job->report;

    snprintf(r->model_id, sizeof r->model_id, "%s", p->model_id);
    snprintf(r->stream, sizeof r->stream, "models/%s", p->model_id);
    snprintf(r->dataset_sha256, sizeof r->dataset_sha256, "%s", iris_csv_sha256);
    r->n_train = IRIS_TRAIN;
    r->n_test = IRIS_TEST;
    r->n_weights = IRIS_WEIGHTS;
    r->epochs = p->epochs;
    r->seed = p->seed;
    if (snprintf(r->folder, sizeof r->folder, "%s", p->folder) >= (int)sizeof r->folder)
        return iris_fail(err, PROV_E_LIMIT, "'%.64s...': the path is too long", p->folder);
    int rc = iris_path(r->config_file, p->folder, "training.json", err);
    if (!rc)
        rc = iris_path(r->proof_file, p->folder, "proof.json", err);
    if (!rc)
        rc = iris_path(r->forged_file, p->folder, "forged-proof.json", err);
    if (rc)
        return rc;
    if (mkdir(p->folder, 0777) != 0 && errno != EEXIST)
        return iris_fail_errno(err, "cannot make the folder '%s'", p->folder);
    rc = iris_save_config(r->config_file, p->epochs, p->seed, err);
    if (rc == PROV_E_EXISTS)
        return iris_fail(err, rc, "'%s' is there: the folder holds an earlier run; choose another one", r->config_file);
    if (rc)
        return rc;
    job->record_ns = calloc((size_t)p->epochs + 1, sizeof *job->record_ns);
    job->extra = iris_json(json_pack("{s:s}", "dataset_sha256", iris_csv_sha256), err);
    return job->record_ns && job->extra ? PROV_OK : iris_fail(err, PROV_E_NOMEM, "iris_demo: out of memory");
}

int iris_demo(const struct iris_demo_params *params, struct iris_demo_report *ret, prov_error *err)
{
    memset(ret, 0, sizeof *ret);
    ret->log.verdict = ret->proof.verdict = ret->forged.verdict = -1;
    int rc = check_params(params, err);
    if (rc)
        return rc;
    struct job job = {.params = params, .report = ret};
    rc = set_up(&job, err);
    if (!rc)
        rc = train_and_record(&job, err);
    if (!rc)
        rc = iris_prove(params, ret, err);
    free(job.record_ns);
    free(job.extra);
    return rc;
}

bool iris_demo_passed(const struct iris_demo_report *report)
{
    return report->log.verdict == PROV_VERDICT_OK && report->proof.verdict == PROV_VERDICT_OK &&
           report->forged.verdict == PROV_VERDICT_TAMPERED;
}

void iris_demo_report_done(struct iris_demo_report *report)
{
    struct iris_demo_check *const checks[] = {&report->log, &report->proof, &report->forged};

    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
        prov_free(checks[i]->json);
        checks[i]->json = NULL;
    }
}
