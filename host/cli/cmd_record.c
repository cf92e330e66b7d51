/* cmd_record.c - prov record checkpoint|validation, prov history.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>
#include <string.h>

#include "cli.h"

/* ---- record
 * ---------------------------------------------------------------------------------------------------------------- */

/* Prints the id, seals, and says how that went. The record is durable already: whatever the store does, this is 0. */
static int finish(struct cli *cli, const char *id)
{
    char model[160];
    snprintf(cli->kept, sizeof cli->kept, "the record %s is kept", id);
    if (!cli->json)
        fprintf(cli->out, "%s\n", id);
    fflush(cli->out);
    bool sealed = cli_seal(cli, NULL);
    return cli->json ? cli_emit_json(cli, json_pack("{s:s, s:s, s:b}", "id", id, "model_id",
                                                    cli_model_id(cli, model, sizeof model), "sealed", (int)sealed))
                     : CLI_OK;
}

/* What can be known without a record: the JSON is an object, the files can be read. hash: given or computed. */
static int dry_run(struct cli *cli, const char *what, const char *json_text, const char *hash)
{
    char model[160];
    json_error_t where = {0};
    json_t *object = json_text ? json_loads(json_text, JSON_REJECT_DUPLICATES, &where) : json_object();
    if (!object)
        return cli_usage(cli, "line %d, column %d: %s", where.line, where.column, where.text);
    bool fine = json_is_object(object);
    json_decref(object);
    if (!fine)
        return cli_usage(cli, "the JSON is not an object");
    int rc = cli_open(cli);
    if (rc)
        return rc;
    const char *id = cli_model_id(cli, model, sizeof model);
    cli_note(cli, "would record a %s of model %s with hash %s", what, id, hash);
    return cli->json ? cli_emit_json(cli, json_pack("{s:b, s:s, s:s, s:s}", "dry_run", 1, "kind", what, "model_id", id,
                                                    "model_hash", hash))
                     : CLI_OK;
}

static int check_hash(struct cli *cli, const char *name)
{
    const char *text = cli_get(cli, name);
    if (!text)
        return CLI_OK;
    const char *digits = strncmp(text, "0x", 2) == 0 || strncmp(text, "0X", 2) == 0 ? text + 2 : text;
    size_t hex = strspn(digits, "0123456789abcdefABCDEF"), len = strlen(digits);
    if (len == 0)
        return cli_usage(cli, "--%s is empty; a SHA-256 has 64 hex digits", name);
    if (hex != len)
        return cli_usage(cli, "--%s: '%.80s' is not hex at character %zu", name, text,
                         hex + (size_t)(digits - text) + 1);
    if (len != 64)
        return cli_usage(cli, "--%s: has %zu hex digits, a SHA-256 has 64", name, len);
    return CLI_OK;
}

static int check_model(struct cli *cli, bool files)
{
    int rc = check_hash(cli, "model-hash");
    if (rc)
        return rc;
    if (cli_get(cli, "model-hash") && files)
        return cli_usage(cli, "--model-hash and --file say the same thing; give one of them");
    if (!cli_get(cli, "model-hash") && !files)
        return cli_usage(cli, "which model file? give --file FILE or --model-hash HASH");
    return CLI_OK;
}

static int checkpoint_numbers(struct cli *cli, prov_checkpoint *checkpoint)
{
    int rc;
    if (!cli_get(cli, "epoch"))
        return cli_usage(cli, "--epoch N is missing");
    if ((rc = cli_get_int(cli, "epoch", 0, &checkpoint->epoch)) ||
        (rc = cli_get_int(cli, "step", 0, &checkpoint->step)))
        return rc;
    return check_hash(cli, "fingerprint-hash");
}

/* The hash that a dry run shows. */
static int hash_for(struct cli *cli, const char *given, const char *const *files, uint64_t n_files, char hash[65])
{
    prov_error err = {0};
    if (given) {
        snprintf(hash, 65, "%s", given + (given[0] == '0' && (given[1] == 'x' || given[1] == 'X') ? 2 : 0));
        return CLI_OK;
    }
    int rc = prov_hash_files(files, n_files, hash, &err);
    return rc ? cli_fail(cli, rc, &err) : CLI_OK;
}

int cli_run_record_checkpoint(struct cli *cli)
{
    size_t n_files = 0, n_datasets = 0;
    char *metrics = NULL, *extra = NULL, id[65] = "";
    const char **files = cli_all(cli, "file", &n_files), **datasets = cli_all(cli, "dataset", &n_datasets);
    prov_error err = {0};
    prov_checkpoint c = {.struct_size = sizeof c,
                         .model_id = cli_get(cli, "model-id"),
                         .model_hash = cli_get(cli, "model-hash"),
                         .files = files,
                         .n_files = n_files,
                         .step = -1,
                         .fingerprint_hash = cli_get(cli, "fingerprint-hash"),
                         .datasets = datasets,
                         .n_datasets = n_datasets,
                         .config_file = cli_get(cli, "train-config"),
                         .code_file = cli_get(cli, "code"),
                         .actor = cli_get(cli, "actor")};
    int rc = files && datasets ? check_model(cli, n_files > 0) : cli_no_memory(cli);
    if (rc || (rc = checkpoint_numbers(cli, &c)) || (rc = cli_get_text(cli, "metrics", &metrics)) ||
        (rc = cli_get_text(cli, "extra", &extra)))
        goto out;
    c.metrics_json = metrics;
    c.extra_json = extra;
    if (cli->dry_run) {
        if (!(rc = hash_for(cli, c.model_hash, files, n_files, id)))
            rc = dry_run(cli, "checkpoint", metrics, id);
        goto out;
    }
    if ((rc = cli_open(cli)))
        goto out;
    rc = prov_record_checkpoint(cli->handle, &c, id, &err);
    rc = rc ? cli_fail(cli, rc, &err) : finish(cli, id);
out:
    free(metrics);
    free(extra);
    free(files);
    free(datasets);
    return rc;
}

static int check_validation(struct cli *cli, prov_validation *v)
{
    int rc = check_model(cli, v->file != NULL);
    if (rc)
        return rc;
    if (!v->validator_id)
        return cli_usage(cli, "who validated? --validator NAME is missing");
    if (!cli_get(cli, "result"))
        return cli_usage(cli, "--result JSON is missing");
    if (v->challenge_file && v->challenge_hash)
        return cli_usage(cli, "--challenge and --challenge-hash say the same thing; give one of them");
    if ((rc = check_hash(cli, "challenge-hash")))
        return rc;
    return cli_get_real(cli, "confidence", 0, 1, &v->confidence_score);
}

int cli_run_record_validation(struct cli *cli)
{
    char *result = NULL, *extra = NULL, id[65] = "";
    prov_error err = {0};
    prov_validation v = {.struct_size = sizeof v,
                         .model_id = cli_get(cli, "model-id"),
                         .model_hash = cli_get(cli, "model-hash"),
                         .file = cli_get(cli, "file"),
                         .validator_id = cli_get(cli, "validator"),
                         .confidence_score = -1,
                         .challenge_file = cli_get(cli, "challenge"),
                         .challenge_hash = cli_get(cli, "challenge-hash"),
                         .checkpoint_id = cli_get(cli, "checkpoint"),
                         .validator_key = cli_get(cli, "validator-key"),
                         .actor = cli_get(cli, "actor")};
    int rc = check_validation(cli, &v);
    if (rc || (rc = cli_get_text(cli, "result", &result)) || (rc = cli_get_text(cli, "extra", &extra)))
        goto out;
    v.result_json = result;
    v.extra_json = extra;
    if (cli->dry_run) {
        if (!(rc = hash_for(cli, v.model_hash, &v.file, 1, id)))
            rc = dry_run(cli, "validation", result, id);
        goto out;
    }
    if ((rc = cli_open(cli)))
        goto out;
    rc = prov_record_validation(cli->handle, &v, id, &err);
    rc = rc ? cli_fail(cli, rc, &err) : finish(cli, id);
out:
    free(result);
    free(extra);
    return rc;
}

/* ---- history
 * ------------------------------------------------------------------------------------------------------------------ */

struct listing {
    struct cli *cli;
    struct cli_table table;
    uint64_t shown;
};

/* "accuracy=0.953 loss=0.31" */
static void short_metrics(const json_t *object, char *room, size_t cap)
{
    const char *name;
    json_t *value;
    size_t used = 0;
    room[0] = '\0';
    json_object_foreach((json_t *)(uintptr_t)object, name, value)
    {
        char scalar[64];
        const char *text = cli_scalar(value, scalar, sizeof scalar);
        int n = snprintf(room + used, cap - used, "%s%s=%.40s", used ? " " : "", name, text);
        if (n < 0 || (size_t)n >= cap - used)
            break;
        used += (size_t)n;
    }
}

/* What sets a record apart from others of its kind: its epoch, its validator, its subject. */
static void describe(const json_t *body, char *room, size_t cap)
{
    char scalar[128], step[32];
    room[0] = '\0';
    if (json_object_get(body, "epoch")) {
        const char *at = cli_member(body, "step", step, sizeof step);
        snprintf(room, cap, "epoch %s%s%s", cli_member(body, "epoch", scalar, sizeof scalar), *at ? " step " : "", at);
    } else if (json_object_get(body, "validator_id"))
        snprintf(room, cap, "%s", cli_member(body, "validator_id", scalar, sizeof scalar));
    else if (json_object_get(body, "role"))
        snprintf(room, cap, "%s", cli_member(body, "role", scalar, sizeof scalar));
}

/* "2026-11-20T12:00:00.123456Z" -> "2026-11-20 12:00:00" */
static void short_time(const char *timestamp, char room[20])
{
    snprintf(room, 20, "%.19s", timestamp);
    if (strlen(room) > 10)
        room[10] = ' ';
}

static int32_t each_record(void *ctx, const char *text, uint64_t len)
{
    struct listing *listing = ctx;
    struct cli *cli = listing->cli;
    char index[32], time[20], kind[64], what[160], id[128], metrics[512], hash[128], scalar[128];
    listing->shown++;
    if (cli->json) {
        fprintf(cli->out, "{\"schema\":\"prov.history/1\",%.*s\n", (int)len - 1, text + 1);
        return ferror(cli->out) ? PROV_E_IO : PROV_OK;
    }
    json_t *doc = json_loadb(text, (size_t)len, 0, NULL);
    const json_t *record = json_object_get(doc, "record"), *body = json_object_get(record, "body");
    const json_t *numbers = json_object_get(body, "metrics");
    if (!numbers)
        numbers = json_object_get(body, "validation_result");
    const char *number = cli_member(doc, "index", index, sizeof index);
    short_time(cli_member(record, "timestamp", scalar, sizeof scalar), time);
    snprintf(kind, sizeof kind, "%s", cli_member(record, "kind", scalar, sizeof scalar));
    describe(body, what, sizeof what);
    snprintf(id, sizeof id, "%.12s", cli_member(doc, "id", scalar, sizeof scalar));
    snprintf(hash, sizeof hash, "%.12s", cli_member(body, "model_hash", scalar, sizeof scalar));
    short_metrics(numbers, metrics, sizeof metrics);
    const char *const row[] = {*number ? number : "waits", time, kind, what, id, hash, metrics};
    bool fine = cli_table_row(&listing->table, row);
    json_decref(doc);
    return ferror(cli->out) ? PROV_E_IO : fine ? PROV_OK : PROV_E_NOMEM;
}

int cli_run_history(struct cli *cli)
{
    static const char *const titles[] = {">INDEX", "TIME (UTC)", "KIND", "WHAT", "ID", "MODEL", "METRICS", NULL};
    struct listing listing = {.cli = cli};
    prov_history_params params = {.struct_size = sizeof params,
                                  .kind = cli_get(cli, "kind"),
                                  .newest_first = cli_has(cli, "newest"),
                                  .with_pending = !cli_has(cli, "sealed")};
    prov_error err = {0};
    char room[160];
    int64_t from = 0, limit = 0;
    int rc = cli_get_stream(cli, room, sizeof room, &params.stream);
    if (rc || (rc = cli_get_int(cli, "from", 0, &from)) || (rc = cli_get_int(cli, "limit", 1, &limit)) ||
        (rc = cli_open(cli)))
        return rc;
    params.from = (uint64_t)from;
    params.limit = (uint64_t)limit;
    cli_table_init(&listing.table, cli, titles);
    rc = prov_history(cli->handle, &params, each_record, &listing, &err);
    if (rc && ferror(cli->out))
        rc = CLI_OK; /* closing the output says why */
    else if (rc)
        rc = cli_fail(cli, rc, &err);
    cli_table_done(&listing.table);
    if (!rc && !listing.shown)
        cli_note(cli, "no records");
    return rc;
}
