/* cmd_config.c - prov config check|show|trust. SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

int cli_run_config_check(struct cli *cli)
{
    char *text = NULL, room[512];
    prov_error err = {0};
    json_t *warning;
    size_t i;
    int rc = cli_open(cli);
    if (rc)
        return rc;
    rc = prov_config_check(cli->handle, &text, &err);
    if (rc)
        return cli_fail(cli, rc, &err);
    if (cli->json) {
        rc = cli_emit(cli, NULL, text);
        prov_free(text);
        return rc;
    }
    json_t *doc = cli_json(cli, text);
    const char *file = cli_member(doc, "file", room, sizeof room);
    cli_check(cli, 'o', "configuration", *file ? file : "no file: the defaults are in use; 'prov init' writes one");
    json_array_foreach(json_object_get(doc, "warnings"), i, warning)
        cli_check(cli, 'w', "warning", cli_scalar(warning, room, sizeof room));
    rc = doc && json_is_true(json_object_get(doc, "ok")) ? CLI_OK : CLI_CONFIG;
    json_decref(doc);
    prov_free(text);
    return rc;
}

/* Nested values as YAML shows them. */
static void show_nested(struct cli *cli, const json_t *value, int depth)
{
    const char *name;
    json_t *member;
    char room[1024];
    size_t i;
    json_object_foreach((json_t *)(uintptr_t)value, name, member)
    {
        fprintf(cli->out, "%*s", depth * 2, "");
        cli_put(cli->out, name);
        fputc(':', cli->out);
        bool nested =
            (json_is_object(member) && json_object_size(member)) || (json_is_array(member) && json_array_size(member));
        if (!nested) {
            fputc(' ', cli->out);
            cli_put(cli->out, json_is_boolean(member) ? (json_is_true(member) ? "true" : "false")
                                                      : cli_scalar(member, room, sizeof room));
        }
        fputc('\n', cli->out);
        if (nested)
            show_nested(cli, member, depth + 1);
    }
    json_array_foreach(value, i, member)
    {
        fprintf(cli->out, "%*s- ", depth * 2, "");
        cli_put(cli->out, cli_scalar(member, room, sizeof room));
        fputc('\n', cli->out);
    }
}

static int show_origins(struct cli *cli, const json_t *doc)
{
    static const char *const titles[] = {"SETTING", "VALUE", "FROM", NULL};
    struct cli_table table;
    const char *path;
    json_t *entry;
    bool fine = true;
    cli_table_init(&table, cli, titles);
    json_object_foreach((json_t *)(uintptr_t)doc, path, entry)
    {
        char value[512], origin[512];
        const json_t *held = json_object_get(entry, "value");
        const char *const row[] = {path,
                                   json_is_boolean(held) ? (json_is_true(held) ? "true" : "false")
                                                         : cli_scalar(held, value, sizeof value),
                                   cli_member(entry, "origin", origin, sizeof origin)};
        fine = fine && cli_table_row(&table, row);
    }
    cli_table_done(&table);
    return fine ? CLI_OK : cli_no_memory(cli);
}

int cli_run_config_show(struct cli *cli)
{
    char *text = NULL;
    bool origins = cli_has(cli, "origin");
    prov_error err = {0};
    int rc = cli_open_anyway(cli);
    if (rc)
        return rc;
    rc = prov_config_show(cli->handle, origins, &text, &err);
    if (rc)
        return cli_fail(cli, rc, &err);
    if (cli->json) {
        rc = cli_emit(cli, "config", text);
        prov_free(text);
        return rc;
    }
    json_t *doc = cli_json(cli, text);
    if (!doc)
        rc = CLI_FAILED;
    else if (origins)
        rc = show_origins(cli, doc);
    else
        show_nested(cli, doc, 0);
    json_decref(doc);
    prov_free(text);
    return rc;
}

char *cli_project_file(void)
{
    char *dir = getcwd(NULL, 0), *file = NULL;
    while (dir) {
        if (asprintf(&file, "%s/prov.yaml", strcmp(dir, "/") == 0 ? "" : dir) < 0)
            file = NULL;
        if (!file || access(file, F_OK) == 0)
            break;
        free(file);
        file = NULL;
        char *slash = strrchr(dir, '/');
        if (!slash || strcmp(dir, "/") == 0)
            break;
        slash[slash == dir] = '\0';
    }
    free(dir);
    return file;
}

int cli_run_config_trust(struct cli *cli)
{
    char *text = NULL, room[512];
    prov_error err = {0};
    const char *given = cli->n_operands ? cli->operands[0] : cli->config;
    char *file = given ? strdup(given) : cli_project_file();
    if (!file)
        return cli_error(cli, PROV_E_NOT_FOUND,
                         "there is no prov.yaml here or in a folder above; name the file, or run 'prov init'");
    if (cli->dry_run) {
        int fine = access(file, R_OK);
        cli_note(cli, "would trust %s", file);
        int rc = fine        ? cli_error(cli, PROV_E_NOT_FOUND, "%s: cannot be read", file)
                 : cli->json ? cli_emit_json(cli, json_pack("{s:b, s:s}", "dry_run", 1, "file", file))
                             : CLI_OK;
        free(file);
        return rc;
    }
    int rc = prov_config_trust(file, &text, &err);
    free(file);
    if (rc)
        return cli_fail(cli, rc, &err);
    json_t *doc = NULL;
    if (cli->json)
        rc = cli_emit(cli, NULL, text);
    else if ((doc = cli_json(cli, text))) {
        cli_fact(cli, "trusted", cli_member(doc, "file", room, sizeof room));
        cli_fact(cli, "sha256", cli_member(doc, "sha256", room, sizeof room));
    } else
        rc = CLI_FAILED;
    json_decref(doc);
    prov_free(text);
    return rc;
}
