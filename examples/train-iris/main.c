/* main.c - train-iris: a training run with provenance, on a page.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Exit codes are those of prov: 0 done; 3 a check did not come out as it must; 2 usage; 1, 4 to 8 something failed.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "iris_demo.h"

#define MODEL_ID "iris"
#define RUNS_MAX 9999
#define EPOCHS_MAX 9999

static const char usage[] = "usage: train-iris [--epochs N] [--seed N] [DIR]\n"
                            "\n"
                            "Trains a small classifier on Fisher's Iris measurements, records the training in DIR\n"
                            "(./iris-run; made, with a prov.yaml in it, when it is not there), proves it, verifies\n"
                            "the proof, and shows that a forged one is refused. Each run gets a folder of its own:\n"
                            "DIR/run-1, DIR/run-2, ...\n";

static const char *const species[IRIS_DEMO_SPECIES] = {"setosa", "versicolor", "virginica"};

static int report_error(const char *what, const prov_error *err, int rc)
{
    fprintf(stderr, "train-iris: %s: %s\n", what, err->message[0] ? err->message : prov_rc_text(rc));
    return prov_rc_exit(rc);
}

/* ---- pages ------------------------------------------------------------------------------------------------------- */

static int on_step(void *ctx, const struct iris_demo_step *step)
{
    (void)ctx;
    if (!step->held_out)
        return 0;
    printf("  epoch %3" PRId64 "   loss %.4f   accuracy %5.1f%%   on held-out rows %5.1f%%   %.12s...\n", step->epoch,
           step->loss, step->accuracy * 100, step->held_out->accuracy * 100, step->model_hash);
    return 0;
}

static const char *verdict_text(const struct iris_demo_check *check)
{
    switch (check->verdict) {
    case PROV_VERDICT_OK: return "OK";
    case PROV_VERDICT_UNKNOWN: return "signer unknown";
    case PROV_VERDICT_TAMPERED: return "REFUSED";
    default: return "not reached";
    }
}

static void print_training(const struct iris_demo_report *r)
{
    printf("\nThe model\n");
    printf("  %zu weights, trained for %" PRId64 " epochs in %.2f s; loss %.4f, was %.4f\n", r->n_weights, r->epochs,
           (double)r->training_ns / 1e9, r->last_loss, r->first_loss);
    printf("  it recognises %.1f%% of the %zu rows held out:", r->held_out.accuracy * 100, r->n_test);
    for (size_t s = 0; s < IRIS_DEMO_SPECIES; s++)
        printf(" %s %.0f%%%s", species[s], r->held_out.recall[s] * 100, s + 1 < IRIS_DEMO_SPECIES ? "," : "\n");
    printf("  checkpoint  %s\n", r->last_file);
    printf("  SHA-256     %s\n", r->model_hash);
}

static void print_records(const struct iris_demo_report *r)
{
    printf("\nThe records\n");
    printf("  %" PRIu64 " checkpoints and %" PRIu64 " validations; recording one held the training up for %.1f us "
           "(median), %.1f us at most\n",
           r->n_checkpoints, r->n_validations, (double)r->record_median_ns / 1e3, (double)r->record_max_ns / 1e3);
    printf("  stream      %s, %" PRIu64 " records\n", r->stream, r->log_size);
    printf("  root        %s\n", r->log_root);
    printf("  last id     %s\n", r->checkpoint_id);
    printf("  log key     %s\n", r->log_key);
    printf("  verified    %s: %s\n", verdict_text(&r->log), r->log.summary);
}

static void print_proof(const struct iris_demo_report *r)
{
    printf("\nThe proof of training\n");
    printf("  %s (%" PRIu64 " bytes)\n", r->proof_file, r->proof_bytes);
    printf("  verified    %s: %s\n", verdict_text(&r->proof), r->proof.summary);
    printf("\nThe same proof with one byte changed\n");
    printf("  %s\n", r->forged_file);
    printf("  byte %" PRIu64 ":  %s is now %s\n", r->forged_offset, r->forged_before, r->forged_after);
    printf("  verified    %s: %s\n", verdict_text(&r->forged),
           r->forged.where[0] ? r->forged.where : r->forged.summary);
}

static void print_end(const struct iris_demo_report *r)
{
    if (iris_demo_passed(r)) {
        printf("\nThe proof holds, the forgery was refused. Try it yourself:\n");
        printf("  prov proof verify '%s' --trust '%s'\n", r->proof_file, r->log_key);
        printf("  prov proof verify '%s' --trust '%s'\n", r->forged_file, r->log_key);
    } else {
        printf("\nNOT as it must be: the log and the proof have to be OK and the forgery has to be REFUSED.\n");
    }
}

/* ---- set-up ------------------------------------------------------------------------------------------------------ */

/* Opens DIR, with prov_init before when it has no prov.yaml. */
static int open_folder(const char *dir, prov_handle **ret, prov_error *err)
{
    char config[IRIS_DEMO_PATH_BYTES];
    struct stat st;

    if (snprintf(config, sizeof config, "%s/prov.yaml", dir) >= (int)sizeof config) {
        snprintf(err->message, sizeof err->message, "the path is too long");
        return err->code = PROV_E_LIMIT;
    }
    if (stat(config, &st) != 0) {
        if (mkdir(dir, 0777) != 0 && errno != EEXIST) {
            snprintf(err->message, sizeof err->message, "cannot make the folder: %s", strerror(errno));
            return err->code = errno == EACCES ? PROV_E_DENIED : PROV_E_IO;
        }
        prov_init_params init = {.struct_size = sizeof init, .dir = dir, .model_id = MODEL_ID};
        int rc = prov_init(&init, NULL, err);
        if (rc)
            return rc;
    }
    prov_open_params open = {.struct_size = sizeof open, .config_file = config};
    return prov_open(&open, ret, err);
}

/* A new folder DIR/run-N; mkdir alone decides whose it is. */
static int new_run(const char *dir, char ret[IRIS_DEMO_PATH_BYTES], prov_error *err)
{
    for (int n = 1; n <= RUNS_MAX; n++) {
        if (snprintf(ret, IRIS_DEMO_PATH_BYTES, "%s/run-%d", dir, n) >= IRIS_DEMO_PATH_BYTES)
            break;
        if (mkdir(ret, 0777) == 0)
            return PROV_OK;
        if (errno != EEXIST) {
            snprintf(err->message, sizeof err->message, "cannot make a folder for this run: %s", strerror(errno));
            return err->code = PROV_E_IO;
        }
    }
    snprintf(err->message, sizeof err->message, "no name is left for the folder of this run");
    return err->code = PROV_E_LIMIT;
}

static int run(const char *dir, int64_t epochs, uint64_t seed)
{
    struct iris_demo_report report;
    char folder[IRIS_DEMO_PATH_BYTES];
    prov_handle *handle = NULL;
    prov_error err = {0};

    int rc = open_folder(dir, &handle, &err);
    if (!rc)
        rc = new_run(dir, folder, &err);
    if (rc) {
        prov_close(handle);
        return report_error(dir, &err, rc);
    }
    printf("Training on Fisher's Iris measurements, recorded in %s\n", dir);
    struct iris_demo_params params = {.handle = handle, .model_id = MODEL_ID, .folder = folder, .epochs = epochs,
                                      .seed = seed, .step = on_step};
    rc = iris_demo(&params, &report, &err);
    if (rc) {
        rc = report_error(folder, &err, rc);
    } else {
        print_training(&report);
        print_records(&report);
        print_proof(&report);
        print_end(&report);
        rc = iris_demo_passed(&report) ? 0 : 3;
    }
    iris_demo_report_done(&report);
    prov_close(handle);
    return rc;
}

/* A decimal number from 0 to most, and nothing behind it. */
static bool read_number(const char *text, uint64_t most, uint64_t *ret)
{
    char *end = NULL;

    errno = 0;
    if (text[0] < '0' || text[0] > '9')
        return false;
    *ret = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0' && *ret <= most;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"epochs", required_argument, NULL, 'e'},
                                            {"seed", required_argument, NULL, 's'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    uint64_t epochs = IRIS_DEMO_EPOCHS, seed = IRIS_DEMO_SEED;
    bool good = true;
    int option;

    while (good && (option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (option == 'h')
            return fputs(usage, stdout) < 0 || fflush(stdout) != 0;
        if (option == 'e')
            good = read_number(optarg, EPOCHS_MAX, &epochs);
        else if (option == 's')
            good = read_number(optarg, UINT64_MAX, &seed);
        else
            good = false;
    }
    if (!good || argc - optind > 1) {
        fputs(usage, stderr);
        return 2;
    }
    int rc = run(optind < argc ? argv[optind] : "iris-run", (int64_t)epochs, seed);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "train-iris: cannot write to standard output\n");
        rc = rc ? rc : 1;
    }
    return rc;
}
