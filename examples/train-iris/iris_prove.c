/* iris_prove.c - the second half of the job: verify the stream, prove, and try to cheat.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iris_job.h"

static void phase(const struct iris_demo_params *p, const char *name)
{
    if (p->phase)
        p->phase(p->ctx, name);
}

static void copy_text(char *ret, size_t cap, const json_t *text)
{
    snprintf(ret, cap, "%s", json_is_string(text) ? json_string_value(text) : "");
}

/* ---- reports ----------------------------------------------------------------------------------------------------- */

/* Takes over json, the report of a verification, and picks the sentences that people want out of it. */
static void take_report(struct iris_demo_check *ret, int32_t verdict, char *json)
{
    json_t *doc = json ? json_loads(json, 0, NULL) : NULL, *check;
    size_t i;

    ret->verdict = verdict;
    ret->json = json;
    copy_text(ret->summary, sizeof ret->summary, json_object_get(doc, "summary"));
    json_array_foreach(json_object_get(doc, "checks"), i, check)
    {
        const char *where = json_string_value(json_object_get(check, "where"));
        const char *detail = json_string_value(json_object_get(check, "detail"));
        if (json_is_true(json_object_get(check, "ok")))
            continue;
        if (where)
            snprintf(ret->where, sizeof ret->where, "%s: %s", where, detail ? detail : "");
        else
            snprintf(ret->where, sizeof ret->where, "%s", detail ? detail : "");
        break;
    }
    json_decref(doc);
}

/* ---- the log ----------------------------------------------------------------------------------------------------- */

static int32_t take_checkpoint_id(void *ctx, const char *json, uint64_t len)
{
    struct iris_demo_report *r = ctx;
    json_t *doc = json_loadb(json, len, 0, NULL);

    copy_text(r->checkpoint_id, sizeof r->checkpoint_id, json_object_get(doc, "id"));
    json_decref(doc);
    return PROV_OK;
}

static int look_at_log(const struct iris_demo_params *p, struct iris_demo_report *r, prov_error *err)
{
    prov_history_params history = {.struct_size = sizeof history, .stream = r->stream, .kind = "training.checkpoint",
                                   .limit = 1, .newest_first = 1};
    char *json = NULL;
    int32_t verdict = -1;

    int rc = prov_log_verify(p->handle, r->stream, NULL, NULL, &verdict, &json, err);
    if (rc)
        return rc;
    take_report(&r->log, verdict, json);
    rc = prov_log_show(p->handle, r->stream, &json, err);
    if (rc)
        return rc;
    json_t *doc = json_loads(json, 0, NULL);
    prov_free(json);
    r->log_size = (uint64_t)json_integer_value(json_object_get(doc, "size"));
    copy_text(r->log_root, sizeof r->log_root, json_object_get(doc, "root"));
    const json_t *key = json_object_get(doc, "verifier_key");
    copy_text(r->log_key, sizeof r->log_key, key ? key : json_object_get(doc, "log_key"));
    json_decref(doc);
    return prov_history(p->handle, &history, take_checkpoint_id, r, err);
}

/* ---- the proof --------------------------------------------------------------------------------------------------- */

/* Verifies what is in a file, as anybody would who was given it. */
static int verify_file(const struct iris_demo_params *p, const char *path, struct iris_demo_check *ret, prov_error *err)
{
    char *data = NULL, *json = NULL;
    size_t len = 0;
    int32_t verdict = -1;

    int rc = iris_read_file(path, &data, &len, err);
    if (!rc)
        rc = prov_proof_verify(p->handle, data, len, NULL, 0, &verdict, &json, err);
    if (!rc)
        take_report(ret, verdict, json);
    free(data);
    return rc;
}

/* Changes one digit of a number so that it becomes larger where one digit can do that: 0.966667 to 0.996667. */
static char *choose_digit(char *number, char *ret_digit)
{
    size_t n = strspn(number, "0123456789.");

    for (size_t i = 0; i < n; i++) {
        if (i > 0 && number[i] >= '0' && number[i] < '9') {
            *ret_digit = '9';
            return &number[i];
        }
    }
    char *last = &number[n - 1];
    *ret_digit = *last == '0' ? '1' : (char)(*last - 1);
    return last;
}

/* The place in a proof where the last validation says its accuracy. Records stand in it as JSON texts, with escaped
 * quotes. */
static char *find_accuracy(char *proof)
{
    static const char name[] = "\\\"accuracy\\\":";
    char *last = NULL;

    for (char *at = strstr(proof, name); at; at = strstr(at + 1, name))
        last = at + sizeof name - 1;
    return last && *last >= '0' && *last <= '9' ? last : NULL;
}

/* Writes a copy of the proof in which the last validation is a little better. */
static int forge(struct iris_demo_report *r, prov_error *err)
{
    char *data = NULL, digit = 0;
    size_t len = 0;

    int rc = iris_read_file(r->proof_file, &data, &len, err);
    if (rc)
        return rc;
    char *number = find_accuracy(data);
    if (!number) {
        rc = iris_fail(err, PROV_E_INTERNAL, "'%s': no accuracy of a validation in it to change", r->proof_file);
        goto out;
    }
    int digits = (int)strspn(number, "0123456789.");
    char *at = choose_digit(number, &digit);
    snprintf(r->forged_before, sizeof r->forged_before, "\"accuracy\":%.*s", digits, number);
    *at = digit;
    snprintf(r->forged_after, sizeof r->forged_after, "\"accuracy\":%.*s", digits, number);
    r->forged_offset = (uint64_t)(at - data);
    rc = iris_write_new(r->forged_file, data, len, err);
out:
    free(data);
    return rc;
}

int iris_prove(const struct iris_demo_params *params, struct iris_demo_report *report, prov_error *err)
{
    char *proof = NULL;

    phase(params, "log");
    int rc = look_at_log(params, report, err);
    if (rc)
        return rc;
    phase(params, "proof");
    rc = prov_proof_create(params->handle, params->model_id, report->proof_file, 0, &proof, err);
    if (rc)
        return rc;
    report->proof_bytes = strlen(proof);
    prov_free(proof);
    phase(params, "verify");
    rc = verify_file(params, report->proof_file, &report->proof, err);
    if (rc)
        return rc;
    phase(params, "forge");
    rc = forge(report, err);
    if (!rc)
        rc = verify_file(params, report->forged_file, &report->forged, err);
    return rc;
}
