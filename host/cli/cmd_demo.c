/* cmd_demo.c - prov demo: the program of examples/train-iris in a folder, and with a configuration and keys, of its
 * own.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "iris_demo.h"

#define MODEL "iris"

struct demo {
    struct cli *cli;
    char *dir;    /* absolute */
    char *config; /* dir/prov.yaml */
    char *folder; /* dir/run: what the training writes */
    char log_key[512];
    struct iris_demo_report report;
};

/* ---- a place of its own
 * ------------------------------------------------------------------------------------------------ */

/* Nothing of the user's configuration has a say: their folders of the environment point into the demo's, and names that
 * set values are gone. One thread runs here. */
static bool own_environment(const struct demo *demo)
{
    static const char *const folders[][2] = {{"XDG_CONFIG_HOME", "config"},
                                             {"XDG_STATE_HOME", "state"},
                                             {"XDG_DATA_HOME", "data"},
                                             {"XDG_CACHE_HOME", "cache"}};
    static const char *const names[] = {"PROV_STORE",
                                        "PROV_NETWORK",
                                        "PROV_MODEL_ID",
                                        "PROV_STATE",
                                        "PROV_KEYS",
                                        "PROV_TRUST",
                                        "RPC_URL",
                                        "PRIVATE_KEY",
                                        "DATABASE_URL",
                                        "S3_BUCKET",
                                        "SUPABASE_DB_URL",
                                        "CONTRACT_ADDRESS",
                                        "S3_REGION",
                                        "GAS_PRICE_GWEI",
                                        "RETRY_DELAY",
                                        "RETRY_ATTEMPTS",
                                        "CONFIRMATION_BLOCKS",
                                        "ENABLE_BLOCKCHAIN",
                                        "BLOCKCHAIN_CLIENT_TYPE",
                                        "FORCE_LOCAL_BLOCKCHAIN"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unsetenv(names[i]);
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        char *path = NULL;
        if (asprintf(&path, "%s/private/%s", demo->dir, folders[i][1]) < 0)
            return false;
        int rc = setenv(folders[i][0], path, 1);
        free(path);
        if (rc)
            return false;
    }
    return true;
}

/* Whether something is there that is no empty folder. */
static bool is_used(const char *path)
{
    struct stat info;
    DIR *folder = opendir(path);
    if (!folder)
        return stat(path, &info) == 0 && !S_ISDIR(info.st_mode);
    size_t n = 0;
    while (n <= 2 && readdir(folder))
        n++; /* "." and ".." are two */
    closedir(folder);
    return n > 2;
}

static int make_dir(struct demo *demo)
{
    const char *given = cli_get(demo->cli, "dir"), *tmp = getenv("TMPDIR");
    char *path = NULL;
    if (given && !*given)
        return cli_usage(demo->cli, "--dir is empty");
    if (given) {
        if (is_used(given))
            return cli_error(demo->cli, PROV_E_EXISTS,
                             "--dir %s: is not an empty folder; the demo wants one that is new or empty", given);
        if (mkdir(given, 0777) != 0 && errno != EEXIST)
            return cli_error(demo->cli,
                             errno == ENOENT                     ? PROV_E_NOT_FOUND
                             : errno == EACCES || errno == EROFS ? PROV_E_DENIED
                                                                 : PROV_E_IO,
                             "--dir %s: cannot be made: %s", given, strerror(errno));
        path = strdup(given);
    } else if (asprintf(&path, "%s/prov-demo-XXXXXX", tmp && *tmp ? tmp : "/tmp") < 0 || !mkdtemp(path)) {
        int saved = errno;
        free(path);
        return cli_error(demo->cli, PROV_E_IO, "cannot make a temporary folder in %s: %s", tmp && *tmp ? tmp : "/tmp",
                         strerror(saved));
    }
    demo->dir = path ? realpath(path, NULL) : NULL;
    free(path);
    if (!demo->dir || asprintf(&demo->config, "%s/prov.yaml", demo->dir) < 0)
        return cli_no_memory(demo->cli);
    if (asprintf(&demo->folder, "%s/run", demo->dir) < 0 || !own_environment(demo))
        return cli_no_memory(demo->cli);
    return CLI_OK;
}

/* Text in single quotes for a shell. */
static void put_quoted(FILE *out, const char *text)
{
    fputc('\'', out);
    for (; *text; text++)
        fputs(*text == '\'' ? "'\\''" : (char[]){*text, '\0'}, out);
    fputs("'\n", out);
}

static void put_env(FILE *out)
{
    static const char *const names[] = {"XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"};
    char *program = realpath("/proc/self/exe", NULL);
    fputs("# What prov demo used. In a shell: . ./env\n", out);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        fprintf(out, "export %s=", names[i]);
        put_quoted(out, getenv(names[i]));
    }
    if (program) {
        *strrchr(program, '/') = '\0';
        fputs("PATH=$PATH:", out);
        put_quoted(out, program);
    }
    free(program);
}

/* dir/env: read by a shell, it makes the demo's configuration, keys and program those that `prov` finds. */
static int write_env(const struct demo *demo)
{
    char *path = NULL;
    FILE *out = asprintf(&path, "%s/env", demo->dir) >= 0 ? fopen(path, "wxe") : NULL;
    int saved = errno;
    bool bad = !out;
    if (out) {
        put_env(out);
        bad = ferror(out) != 0;
        bad = fclose(out) != 0 || bad;
        saved = errno;
    }
    free(path);
    return bad ? cli_error(demo->cli, PROV_E_IO, "%s/env: cannot be written: %s", demo->dir, strerror(saved)) : CLI_OK;
}

static int set_up(struct demo *demo)
{
    prov_init_params init = {.struct_size = sizeof init, .model_id = MODEL};
    prov_open_params params = {.struct_size = sizeof params};
    prov_error err = {0};
    int rc = make_dir(demo);
    if (rc)
        return rc;
    init.dir = demo->dir;
    params.config_file = demo->config;
    params.work_dir = demo->dir;
    char *text = NULL, room[512];
    rc = prov_init(&init, &text, &err);
    if (rc)
        return cli_fail(demo->cli, rc, &err);
    json_t *doc = cli_json(demo->cli, text);
    snprintf(demo->log_key, sizeof demo->log_key, "%s", cli_member(doc, "log_key", room, sizeof room));
    json_decref(doc);
    prov_free(text);
    rc = write_env(demo);
    return rc ? rc : cli_open_with(demo->cli, &params);
}

/* ---- the page
 * ---------------------------------------------------------------------------------------------------------- */

static void step(const struct demo *demo, int number, char color, const char *name)
{
    const struct cli *cli = demo->cli;
    fprintf(cli->out, "\n%s%2d. %-10s%s ", cli_style(cli->color, color), number, name, cli_style(cli->color, 0));
}

/* Further lines of a step stand under its first. */
#define UNDER "               "

static int on_step(void *ctx, const struct iris_demo_step *s)
{
    const struct demo *demo = ctx;
    FILE *out = demo->cli->out;
    if (cli_signalled())
        return 1;
    if (demo->cli->json || (s->epochs > 12 && !s->held_out))
        return 0;
    fprintf(out, UNDER "%5lld  %7.4f  %7.1f %%  ", (long long)s->epoch, s->loss, s->accuracy * 100);
    if (s->held_out)
        fprintf(out, "%7.1f %%", s->held_out->accuracy * 100);
    else
        fprintf(out, "%9s", "");
    fprintf(out, "  %s  %.12s\n", s->file_name, s->model_hash);
    fflush(out);
    return 0;
}

static void page_begins(const struct demo *demo)
{
    FILE *out = demo->cli->out;
    fprintf(out, "%sA training run that can show where its model came from%s\n", cli_style(demo->cli->color, 'b'),
            cli_style(demo->cli->color, 0));
    step(demo, 1, 'b', "Set up");
    fprintf(out, "a configuration, keys and a local store in\n" UNDER);
    cli_put(out, demo->dir);
    step(demo, 2, 'b', "Train");
    fputs("a classifier of iris flowers, on Fisher's measurements.\n" UNDER
          "Each epoch is a file, and a record that names the file's SHA-256.\n\n",
          out);
    fprintf(out, UNDER "%s%5s  %7s  %9s  %9s  %s%s\n", cli_style(demo->cli->color, 'd'), "epoch", "loss", "accuracy",
            "held out", "file and its SHA-256", cli_style(demo->cli->color, 0));
    fflush(out);
}

static void page_records(const struct demo *demo)
{
    const struct iris_demo_report *r = &demo->report;
    FILE *out = demo->cli->out;
    step(demo, 3, 'b', "Record");
    fprintf(out,
            "%llu checkpoints and %llu validations, in the background:\n" UNDER
            "recording held the training up for %.0f microseconds each time.\n",
            (unsigned long long)r->n_checkpoints, (unsigned long long)r->n_validations,
            (double)r->record_median_ns / 1000);
    step(demo, 4, 'b', "Seal");
    fprintf(out, "%llu records are now leaves of one Merkle tree, its root signed:\n" UNDER "%s\n",
            (unsigned long long)r->log_size, r->log_root);
    step(demo, 5, 'b', "Prove");
    fprintf(out,
            "proof.json holds every record's exact bytes, the tree's signed head\n" UNDER
            "and the path to it: %.0f kB.\n",
            (double)r->proof_bytes / 1000);
}

static void page_verdicts(const struct demo *demo)
{
    const struct iris_demo_report *r = &demo->report;
    FILE *out = demo->cli->out;
    bool good = r->log.verdict == PROV_VERDICT_OK && r->proof.verdict == PROV_VERDICT_OK;
    bool refused = r->forged.verdict == PROV_VERDICT_TAMPERED;
    step(demo, 6, good ? 'g' : 'r', good ? "Verified" : "NOT VALID");
    cli_put(out, good ? r->proof.summary : r->log.verdict != PROV_VERDICT_OK ? r->log.summary : r->proof.summary);
    fputc('\n', out);
    step(demo, 7, 'b', "Forge");
    fprintf(out, "one digit in a copy of the proof, at byte %llu: from %s\n" UNDER "to %s, which looks better.\n",
            (unsigned long long)r->forged_offset, r->forged_before, r->forged_after);
    step(demo, 8, refused ? 'r' : 'b', refused ? "Refused" : "ACCEPTED");
    cli_put(out, *r->forged.where ? r->forged.where : r->forged.summary);
    fputc('\n', out);
}

static void page_ends(const struct demo *demo)
{
    FILE *out = demo->cli->out;
    fprintf(out, "\n%sFiles%s, in ", cli_style(demo->cli->color, 'b'), cli_style(demo->cli->color, 0));
    cli_put(out, demo->dir);
    fputs("\n"
          "  run/epoch-*.safetensors  the checkpoints\n"
          "  run/proof.json           the proof; run/forged-proof.json is the forgery\n"
          "  prov-data/               the store: plain files, RFC 6962 tiles and signed notes\n"
          "  prov.yaml                the configuration, with comments\n",
          out);
    fprintf(out, "\n%sTry next%s\n  cd ", cli_style(demo->cli->color, 'b'), cli_style(demo->cli->color, 0));
    cli_put(out, demo->dir);
    fputs("\n"
          "  . ./env                  use the demo's configuration and keys in this shell\n"
          "  prov history             what was recorded\n"
          "  prov proof show run/proof.json\n"
          "  prov proof verify run/forged-proof.json\n"
          "\n"
          "Others verify the proof with the key that you give them:\n"
          "  prov proof verify proof.json --trust ",
          out);
    cli_put(out, demo->log_key);
    fputs("\n\nFor training of your own: 'prov init' in a folder of your own, and 'prov help'.\n", out);
}

static int give_json(const struct demo *demo)
{
    const struct iris_demo_report *r = &demo->report;
    json_t *doc = json_pack("{s:s, s:s, s:s, s:I, s:f, s:f, s:I, s:I, s:s, s:I, s:s, s:s}", "dir", demo->dir, "config",
                            demo->config, "stream", r->stream, "epochs", (json_int_t)r->epochs, "loss", r->last_loss,
                            "accuracy", r->train_accuracy, "checkpoints", (json_int_t)r->n_checkpoints, "validations",
                            (json_int_t)r->n_validations, "model_hash", r->model_hash, "tree_size",
                            (json_int_t)r->log_size, "root", r->log_root, "log_key", demo->log_key);
    json_t *proof = json_pack("{s:s, s:I, s:b, s:s}", "file", r->proof_file, "bytes", (json_int_t)r->proof_bytes,
                              "verified", (int)(r->proof.verdict == PROV_VERDICT_OK), "summary", r->proof.summary);
    json_t *forged = json_pack("{s:s, s:I, s:b, s:s}", "file", r->forged_file, "offset", (json_int_t)r->forged_offset,
                               "refused", (int)(r->forged.verdict == PROV_VERDICT_TAMPERED), "where", r->forged.where);
    if (!doc || !proof || !forged) {
        json_decref(doc);
        json_decref(proof);
        json_decref(forged);
        return cli_no_memory(demo->cli);
    }
    json_object_set_new(doc, "proof", proof);
    json_object_set_new(doc, "forged", forged);
    json_object_set_new(doc, "passed", json_boolean(iris_demo_passed(r)));
    return cli_emit_json(demo->cli, doc);
}

/* ---- the command
 * ------------------------------------------------------------------------------------------------------- */

static int run_demo(struct demo *demo, int64_t epochs)
{
    struct cli *cli = demo->cli;
    prov_error err = {0};
    struct iris_demo_params params = {.handle = cli->handle,
                                      .model_id = MODEL,
                                      .folder = demo->folder,
                                      .epochs = epochs,
                                      .seed = IRIS_DEMO_SEED,
                                      .step = on_step,
                                      .ctx = demo};
    if (!cli->json)
        page_begins(demo);
    int rc = iris_demo(&params, &demo->report, &err);
    if (rc)
        return cli_fail(cli, rc, &err);
    bool passed = iris_demo_passed(&demo->report);
    if (cli->json) {
        rc = give_json(demo);
    } else {
        page_records(demo);
        page_verdicts(demo);
        page_ends(demo);
    }
    return passed ? rc : CLI_NEGATIVE;
}

int cli_run_demo(struct cli *cli)
{
    struct demo demo = {.cli = cli};
    int64_t epochs = IRIS_DEMO_EPOCHS;
    int rc = cli_get_int(cli, "epochs", 1, &epochs);
    if (rc)
        return rc;
    if (epochs > 9999)
        return cli_usage(cli, "--epochs: %lld is too large, 9999 at most", (long long)epochs);
    if (cli->config || cli->store || cli->network)
        return cli_usage(
            cli, "the demo uses a configuration of its own; --config, --store and --network mean nothing to it");
    if (cli->dry_run) {
        cli_note(cli, "would train %lld epochs and record them in a new folder", (long long)epochs);
        return cli->json ? cli_emit_json(cli, json_pack("{s:b, s:I}", "dry_run", 1, "epochs", (json_int_t)epochs))
                         : CLI_OK;
    }
    rc = set_up(&demo);
    if (!rc) {
        rc = run_demo(&demo, epochs);
        iris_demo_report_done(&demo.report);
    }
    free(demo.dir);
    free(demo.config);
    free(demo.folder);
    return rc;
}
