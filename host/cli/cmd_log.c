/* cmd_log.c - prov log show|list|verify|prove. SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "cli.h"

int cli_run_log_show(struct cli *cli)
{
    static const char *const names[] = {"stream", "origin", "size",         "root",    "updated_at",
                                        "writer", "signed", "verifier_key", "trusted", "pending"};
    char room[160], scalar[512], *text = NULL;
    const char *stream;
    prov_error err = {0};
    int rc = cli_get_stream(cli, room, sizeof room, &stream);
    if (rc || (rc = cli_open(cli)))
        return rc;
    rc = prov_log_show(cli->handle, stream, &text, &err);
    if (rc)
        return cli_fail(cli, rc, &err);
    json_t *doc = NULL;
    if (cli->json) {
        rc = cli_emit(cli, NULL, text);
    } else if ((doc = cli_json(cli, text))) {
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            cli_fact(cli, names[i], cli_member(doc, names[i], scalar, sizeof scalar));
    } else {
        rc = CLI_FAILED;
    }
    json_decref(doc);
    prov_free(text);
    return rc;
}

int cli_run_log_list(struct cli *cli)
{
    static const char *const titles[] = {"STREAM", ">RECORDS", NULL};
    char *text = NULL;
    prov_error err = {0};
    struct cli_table table;
    int rc = cli_open(cli);
    if (rc)
        return rc;
    rc = prov_log_list(cli->handle, &text, &err);
    if (rc)
        return cli_fail(cli, rc, &err);
    if (cli->json) {
        rc = cli_emit(cli, "streams", text);
        prov_free(text);
        return rc;
    }
    json_t *list = cli_json(cli, text), *stream;
    size_t i;
    cli_table_init(&table, cli, titles);
    json_array_foreach(list, i, stream)
    {
        char name[256], size[32];
        const char *const row[] = {
            cli_member(stream, "stream", name, sizeof name),
            *cli_member(stream, "error", size, sizeof size) ? "?" : cli_member(stream, "size", size, sizeof size)};
        if (!cli_table_row(&table, row))
            rc = cli_no_memory(cli);
    }
    cli_table_done(&table);
    if (list && json_array_size(list) == 0)
        cli_note(cli, "no streams: nothing has been recorded in this store");
    if (!list)
        rc = CLI_FAILED;
    json_decref(list);
    prov_free(text);
    return rc;
}

int cli_run_log_verify(struct cli *cli)
{
    char room[160], *text = NULL;
    const char *stream;
    int32_t verdict = PROV_VERDICT_TAMPERED;
    prov_error err = {0};
    struct cli_progress progress;
    int rc = cli_get_stream(cli, room, sizeof room, &stream);
    if (rc || (rc = cli_open(cli)))
        return rc;
    cli_progress_init(&progress, cli, "records");
    rc = prov_log_verify(cli->handle, stream, cli_progress_step, &progress, &verdict, &text, &err);
    cli_progress_done(&progress);
    if (rc)
        return cli_fail(cli, rc, &err);
    rc = cli_verdict(cli, verdict, text);
    prov_free(text);
    return rc;
}

static int prove_growth(struct cli *cli, const char *stream)
{
    static const char *const names[] = {"old_size", "old_root", "size", "root"};
    int64_t since = 0;
    char *text = NULL, scalar[128];
    prov_error err = {0};
    size_t i;
    json_t *hash;
    int rc = cli_get_int(cli, "since", 0, &since);
    if (rc || (rc = cli_open(cli)))
        return rc;
    rc = prov_log_consistency(cli->handle, stream, (uint64_t)since, &text, &err);
    if (rc)
        return cli_fail(cli, rc, &err);
    if (cli->json) {
        rc = cli_emit(cli, NULL, text);
        prov_free(text);
        return rc;
    }
    json_t *doc = cli_json(cli, text);
    for (size_t k = 0; doc && k < sizeof names / sizeof *names; k++)
        cli_fact(cli, names[k], cli_member(doc, names[k], scalar, sizeof scalar));
    json_array_foreach(json_object_get(doc, "proof"), i, hash)
        cli_fact(cli, i ? " " : "proof", cli_scalar(hash, scalar, sizeof scalar));
    rc = doc ? CLI_OK : CLI_FAILED;
    json_decref(doc);
    prov_free(text);
    return rc;
}

int cli_run_log_prove(struct cli *cli)
{
    char room[160], *text = NULL;
    const char *stream;
    prov_error err = {0};
    int rc = cli_get_stream(cli, room, sizeof room, &stream);
    if (rc)
        return rc;
    if (cli_get(cli, "since") && cli->n_operands)
        return cli_usage(cli, "give the ID of a record or --since N, not both");
    if (cli_get(cli, "since"))
        return prove_growth(cli, stream);
    if (!cli->n_operands)
        return cli_usage(cli, "which record? give its ID (see 'prov history'), or --since N");
    if ((rc = cli_open(cli)))
        return rc;
    rc = prov_log_prove(cli->handle, stream, cli->operands[0], &text, &err);
    if (rc)
        return cli_fail(cli, rc, &err);
    if (cli->json)
        rc = cli_emit_json(cli, json_pack("{s:s}", "proof", text));
    else
        fputs(text, cli->out);
    prov_free(text);
    return rc;
}
