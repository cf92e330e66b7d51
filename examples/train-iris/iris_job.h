/* iris_job.h - what the parts of the job share: training and recording (iris_demo.c), proving (iris_prove.c), files.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef IRIS_JOB_H
#define IRIS_JOB_H

#include <jansson.h>

#include "iris_demo.h"
#include "iris_train.h"

/* Fills err (which may be NULL) and gives code back. */
__attribute__((format(printf, 3, 4))) int iris_fail(prov_error *err, int code, const char *format, ...);
/* The same with errno's text behind it, and the code that fits errno. */
__attribute__((format(printf, 2, 3))) int iris_fail_errno(prov_error *err, const char *format, ...);

/* folder "/" name into ret. PROV_E_LIMIT: too long. */
int iris_path(char ret[IRIS_DEMO_PATH_BYTES], const char *folder, const char *name, prov_error *err);
/* The whole file, and a NUL behind it. *ret is for free(). */
int iris_read_file(const char *path, char **ret, size_t *ret_len, prov_error *err);
/* Writes a file that must not exist. */
int iris_write_new(const char *path, const char *data, size_t len, prov_error *err);

/* A number for JSON with six digits behind the point; NaN and the infinities as texts, as metrics have them. */
json_t *iris_number(double value);
/* Short JSON text of doc, which it takes over; for free(). NULL: out of memory, err is filled. */
char *iris_json(json_t *doc, prov_error *err);

/* training.json: what the model is and how it is trained. Says PROV_E_EXISTS when the folder has one. */
int iris_save_config(const char *path, int64_t epochs, uint64_t seed, prov_error *err);
/* All that is needed to go on from here or to use the model: weights, velocity, scaling of inputs, generator. */
int iris_save_checkpoint(const char *path, const struct iris_trainer *trainer, uint64_t seed, prov_error *err);

/* Verifies the stream, makes and verifies the proof, forges it and verifies that. */
int iris_prove(const struct iris_demo_params *params, struct iris_demo_report *report, prov_error *err);

#endif
