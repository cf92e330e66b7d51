/* cmd_proof.c - prov proof create|verify|show. SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "cli.h"

#define MAX_PROOF_BYTES ((size_t)1 << 30)

/* For --json and for people: what the proof says of itself. */
static json_t *facts_of(const char *proof)
{
    json_t *doc = json_loads(proof, 0, NULL), *facts = json_object();
    static const char *const names[] = {"model_id", "final_model_hash", "merkle_root"};
    static const char *const more[] = {"total_checkpoints", "total_validations", "merkle_tree_size"};
    for (size_t i = 0; i < 3; i++)
        json_object_set(facts, names[i], json_object_get(doc, names[i]));
    for (size_t i = 0; i < 3; i++)
        json_object_set(facts, more[i], json_object_get(json_object_get(doc, "verification_metadata"), more[i]));
    json_decref(doc);
    return facts;
}

static int created(struct cli *cli, const char *out, const char *proof)
{
    char scalar[3][128];
    json_t *facts = facts_of(proof);
    if (cli->json) {
        json_object_set_new(facts, "file", json_string(out));
        json_object_set_new(facts, "bytes", json_integer((json_int_t)strlen(proof)));
        return cli_emit_json(cli, facts);
    }
    cli_note(cli, "%s: proof of training of %s, %s checkpoints and %s validations, %zu bytes", out,
             cli_member(facts, "model_id", scalar[0], sizeof scalar[0]),
             cli_member(facts, "total_checkpoints", scalar[1], sizeof scalar[1]),
             cli_member(facts, "total_validations", scalar[2], sizeof scalar[2]), strlen(proof));
    json_decref(facts);
    return CLI_OK;
}

int cli_run_proof_create(struct cli *cli)
{
    const char *model = cli_get(cli, "model-id");
    const char *out = cli->output && strcmp(cli->output, "-") != 0 ? cli->output : NULL;
    char *text = NULL;
    prov_error err = {0};
    int rc = cli_open(cli);
    if (rc)
        return rc;
    if (cli->dry_run) {
        cli_note(cli, "would seal what waits and make the proof%s%s", out ? " in " : "", out ? out : "");
        return cli->json ? cli_emit_json(cli, json_pack("{s:b, s:s*}", "dry_run", 1, "file", out)) : CLI_OK;
    }
    rc = prov_proof_create(cli->handle, model, out, cli_has(cli, "force"), &text, &err);
    if (rc)
        return cli_fail(cli, rc, &err);
    if (out)
        rc = created(cli, out, text);
    else if (cli->json)
        rc = cli_emit(cli, "proof", text);
    else
        fputs(text, cli->out);
    prov_free(text);
    return rc;
}

static int read_proof(struct cli *cli, const char *path, char **ret, size_t *ret_len)
{
    prov_error err = {0};
    *ret = cli_read(cli, path, MAX_PROOF_BYTES, ret_len, &err);
    if (*ret)
        return CLI_OK;
    /* In a verification what cannot be read is 4, and nothing else. */
    if (err.code != PROV_E_NOMEM && err.code != PROV_E_CANCELLED)
        err.code = PROV_E_NOT_FOUND;
    return cli_fail(cli, err.code, &err);
}

int cli_run_proof_verify(struct cli *cli)
{
    const char *file = cli->n_operands ? cli->operands[0] : cli_get(cli, "proof");
    char *data = NULL, *text = NULL;
    size_t len = 0;
    int32_t verdict = PROV_VERDICT_TAMPERED;
    prov_error err = {0};
    int rc;
    if (cli->n_operands && cli_get(cli, "proof"))
        return cli_usage(cli, "the proof is named twice");
    if (!file)
        return cli_usage(cli, "which proof? give its FILE");
    if ((rc = cli_open_anyway(cli)) || (rc = read_proof(cli, file, &data, &len)))
        return rc;
    rc = prov_proof_verify(cli->handle, data, len, NULL, 0, &verdict, &text, &err);
    if (!rc) {
        rc = cli_verdict(cli, verdict, text);
    } else {
        if (rc == PROV_E_LIMIT) /* present and not valid, for whatever reason */
            err.code = PROV_E_CORRUPT;
        rc = cli_fail(cli, rc, &err);
    }
    prov_free(text);
    free(data);
    return rc;
}

int cli_run_proof_show(struct cli *cli)
{
    char *data = NULL, *text = NULL;
    size_t len = 0;
    prov_error err = {0};
    int rc = read_proof(cli, cli->operands[0], &data, &len);
    if (rc)
        return rc;
    rc = prov_proof_show(data, len, cli_has(cli, "html"), &text, &err);
    if (rc)
        rc = cli_fail(cli, rc, &err);
    else if (cli->json)
        rc =
            cli_emit_json(cli, json_pack("{s:s, s:s}", "format", cli_has(cli, "html") ? "html" : "text", "page", text));
    else
        fputs(text, cli->out);
    prov_free(text);
    free(data);
    return rc;
}
