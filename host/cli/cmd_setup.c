/* cmd_setup.c - prov init|doctor|version|help. SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "cli.h"

int cli_run_init(struct cli *cli)
{
    static const char *const names[] = {"config", "store", "origin", "keys_dir", "log_key"};
    char *text = NULL, room[512];
    prov_error err = {0};
    prov_init_params params = {.struct_size = sizeof params,
                               .flags = (cli_has(cli, "blockchain") ? PROV_INIT_BLOCKCHAIN : 0) |
                                        (cli_has(cli, "fingerprint") ? PROV_INIT_FINGERPRINT : 0),
                               .dir = cli_get(cli, "dir"),
                               .origin = cli_get(cli, "origin"),
                               .model_id = cli_get(cli, "model-id")};
    if (cli->dry_run) {
        cli_note(cli, "would write prov.yaml, keys and a store in %s", params.dir ? params.dir : "this folder");
        return cli->json
                   ? cli_emit_json(cli, json_pack("{s:b, s:s}", "dry_run", 1, "dir", params.dir ? params.dir : "."))
                   : CLI_OK;
    }
    int rc = prov_init(&params, &text, &err);
    if (rc)
        return cli_fail(cli, rc, &err);
    json_t *doc = NULL;
    if (cli->json)
        rc = cli_emit(cli, NULL, text);
    else if ((doc = cli_json(cli, text))) {
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            cli_fact(cli, names[i], cli_member(doc, names[i], room, sizeof room));
        cli_note(cli, "%s", "");
        cli_note(cli, "Next: prov record checkpoint --file FILE --epoch 1 --metrics '{\"loss\": 0.3}'");
    } else
        rc = CLI_FAILED;
    json_decref(doc);
    prov_free(text);
    return rc;
}

static void show_checks(struct cli *cli, const json_t *checks)
{
    char name[128], status[32], detail[512], remedy[512];
    json_t *check;
    size_t i;
    json_array_foreach(checks, i, check)
    {
        const char *how = cli_member(check, "status", status, sizeof status);
        cli_check(cli,
                  *how == 'o'   ? 'o'
                  : *how == 'w' ? 'w'
                                : 'f',
                  cli_member(check, "name", name, sizeof name), cli_member(check, "detail", detail, sizeof detail));
        const char *what = cli_member(check, "remedy", remedy, sizeof remedy);
        if (*what) {
            fprintf(cli->out, "          %-18s  to do: ", "");
            cli_put(cli->out, what);
            fputc('\n', cli->out);
        }
    }
}

/* The configured network, for --blockchain. */
static char *configured_network(struct cli *cli)
{
    char *text = NULL, room[128], *network = NULL;
    prov_error err = {0};
    if (prov_config_show(cli->handle, 0, &text, &err))
        return NULL;
    json_t *doc = json_loads(text, 0, NULL);
    const char *name = cli_member(json_object_get(doc, "chain"), "network", room, sizeof room);
    if (*name)
        network = strdup(name);
    json_decref(doc);
    prov_free(text);
    return network;
}

/* The library saw no project: the first check says that there is one, and why it is not used. */
static void say_skipped(const struct cli *cli, json_t *doc)
{
    json_t *check, *checks = json_object_get(doc, "checks");
    size_t i;
    json_array_foreach(checks, i, check)
    {
        if (strcmp(json_string_value(json_object_get(check, "name")), "configuration") != 0)
            continue;
        json_object_set_new(check, "status", json_string("fail"));
        json_object_set_new(check, "detail", json_string(cli->skipped));
        json_object_set_new(check, "remedy", json_string("what it says; the other checks are without this file"));
    }
    json_object_set_new(doc, "ok", json_false());
}

int cli_run_doctor(struct cli *cli)
{
    char *text = NULL;
    prov_error err = {0};
    int rc = cli_open_anyway(cli);
    if (rc)
        return rc;
    char *network = cli_has(cli, "blockchain") && !cli->network ? configured_network(cli) : NULL;
    if (cli_has(cli, "blockchain") && !cli->network && !network)
        return cli_error(
            cli, PROV_E_CONFIG,
            "--blockchain: no network is configured; set chain.network in prov.yaml, or give --network NAME");
    if (!cli->skipped)
        prov_flush(cli->handle, NULL, NULL); /* what still waits then, and why, is in the checks */
    rc = prov_doctor(cli->handle, cli->network ? cli->network : network, &text, &err);
    free(network);
    if (rc)
        return cli_fail(cli, rc, &err);
    json_t *doc = cli_json(cli, text);
    if (doc && cli->skipped)
        say_skipped(cli, doc);
    bool ok = json_is_true(json_object_get(doc, "ok"));
    if (cli->json)
        rc = doc ? cli_emit_json(cli, json_incref(doc)) : CLI_FAILED;
    else if (doc) {
        show_checks(cli, json_object_get(doc, "checks"));
        fputs(ok ? "OK\n" : "FAILED: see what to do above\n", cli->out);
    }
    json_decref(doc);
    prov_free(text);
    return rc ? rc : ok ? CLI_OK : CLI_FAILED;
}

int cli_run_version(struct cli *cli)
{
    char *text = NULL, room[128];
    prov_error err = {0};
    const char *name;
    json_t *version;
    if (!cli->json && !cli->verbose) {
        fprintf(cli->out, "prov %s\n", prov_version());
        return CLI_OK;
    }
    int rc = prov_version_info(&text, &err);
    if (rc)
        return cli_fail(cli, rc, &err);
    json_t *doc = NULL;
    if (cli->json)
        rc = cli_emit(cli, NULL, text);
    else if ((doc = cli_json(cli, text))) {
        cli_fact(cli, "prov", cli_member(doc, "version", room, sizeof room));
        const json_t *abi = json_object_get(doc, "abi");
        snprintf(room, sizeof room, "%lld.%lld", (long long)json_integer_value(json_object_get(abi, "major")),
                 (long long)json_integer_value(json_object_get(abi, "minor")));
        cli_fact(cli, "plugin ABI", room);
        json_object_foreach(json_object_get(doc, "libraries"), name, version)
            cli_fact(cli, name, cli_scalar(version, room, sizeof room));
    } else
        rc = CLI_FAILED;
    json_decref(doc);
    prov_free(text);
    return rc;
}

int cli_run_help(struct cli *cli)
{
    char *const *words = cli->operands;
    size_t n = cli->n_operands;
    const struct cli_command *command = NULL;
    if (n > 0) {
        command = cli_command_find(words[0], n > 1 ? words[1] : NULL);
        bool noun = cli_noun_find(words[0]) != NULL;
        if ((!command && (!noun || n > 1)) || (command && n > 1 && !command->verb)) {
            const char *names[64];
            size_t k = 0;
            for (const struct cli_command *row = NULL;
                 k < 63 && (row = cli_command_next(n > 1 ? words[0] : NULL, row));) {
                const char *name = n > 1 ? row->verb : row->noun;
                if (name)
                    names[k++] = name;
            }
            names[k] = NULL;
            const char *near = cli_suggest(words[n - 1], names);
            return cli_usage(cli, "there is no '%s%s%s'%s%s%s", words[0], n > 1 ? " " : "", n > 1 ? words[1] : "",
                             near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
        }
    }
    if (cli->json)
        return cli_help_json(cli, n ? words[0] : NULL, command);
    cli_help_print(cli->out, cli->color, n ? words[0] : NULL, command);
    return CLI_OK;
}
