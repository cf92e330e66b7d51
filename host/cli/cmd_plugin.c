/* cmd_plugin.c - prov plugin list|info|check. SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "cli.h"

/* "NAME (prov.storage/1), ..." or the error. */
static void offers(const json_t *plugin, char *room, size_t cap)
{
    char name[128], role[128];
    size_t used = 0, i;
    json_t *provider;
    room[0] = '\0';
    json_array_foreach(json_object_get(plugin, "providers"), i, provider)
    {
        const char *role_text = cli_member(provider, "role", role, sizeof role);
        int n = snprintf(room + used, cap - used, "%s%s%s%s%s", used ? ", " : "",
                         json_is_string(provider) ? json_string_value(provider)
                                                  : cli_member(provider, "name", name, sizeof name),
                         *role_text ? " (" : "", role_text, *role_text ? ")" : "");
        if (n < 0 || (size_t)n >= cap - used)
            break;
        used += (size_t)n;
    }
    if (!used)
        snprintf(room, cap, "%s", cli_member(plugin, "error", name, sizeof name));
}

int cli_run_plugin_list(struct cli *cli)
{
    static const char *const titles[] = {"NAME", "VERSION", "OFFERS", "FILE", NULL};
    char *text = NULL, name[256], version[64], line[512], file[512];
    prov_error err = {0};
    struct cli_table table;
    json_t *plugin;
    size_t i;
    int rc = cli_open_anyway(cli);
    if (rc)
        return rc;
    rc = prov_plugin_list(cli->handle, &text, &err);
    if (rc)
        return cli_fail(cli, rc, &err);
    if (cli->json) {
        rc = cli_emit(cli, "plugins", text);
        prov_free(text);
        return rc;
    }
    json_t *list = cli_json(cli, text);
    cli_table_init(&table, cli, titles);
    json_array_foreach(list, i, plugin)
    {
        offers(plugin, line, sizeof line);
        const char *const row[] = {cli_member(plugin, "name", name, sizeof name),
                                   cli_member(plugin, "version", version, sizeof version), line,
                                   cli_member(plugin, "file", file, sizeof file)};
        if (!cli_table_row(&table, row))
            rc = cli_no_memory(cli);
    }
    cli_table_done(&table);
    if (list && json_array_size(list) == 0)
        cli_note(cli, "no plugins found; 'prov config show' prints plugins.path");
    if (!list)
        rc = CLI_FAILED;
    json_decref(list);
    prov_free(text);
    return rc;
}

static void show_options(struct cli *cli, const json_t *options)
{
    static const char *const titles[] = {"OPTION", "TYPE", "DEFAULT", "WHAT IT IS", NULL};
    struct cli_table table;
    char name[128], type[64], value[128], doc[256];
    json_t *option;
    size_t i;
    cli_table_init(&table, cli, titles);
    json_array_foreach(options, i, option)
    {
        const json_t *preset = json_object_get(option, "default");
        if (!preset)
            preset = json_object_get(option, "default_value");
        bool required = json_is_true(json_object_get(option, "required"));
        const char *const row[] = {cli_member(option, "name", name, sizeof name),
                                   cli_member(option, "type", type, sizeof type),
                                   required ? "(required)" : cli_scalar(preset, value, sizeof value),
                                   cli_member(option, "doc", doc, sizeof doc)};
        if (!cli_table_row(&table, row))
            break;
    }
    cli_table_done(&table);
}

static void show_plugin(struct cli *cli, const json_t *plugin)
{
    static const char *const names[] = {"name", "file", "version", "licence", "url", "abi", "sha256", "error"};
    char room[512], role[128], line[512];
    json_t *provider;
    size_t i;
    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
        cli_fact(cli, names[k], cli_member(plugin, names[k], room, sizeof room));
    json_array_foreach(json_object_get(plugin, "providers"), i, provider)
    {
        snprintf(line, sizeof line, "%s, role %s", cli_member(provider, "name", room, sizeof room),
                 cli_member(provider, "role", role, sizeof role));
        fputc('\n', cli->out);
        cli_fact(cli, "offers", line);
        cli_fact(cli, "", cli_member(provider, "doc", room, sizeof room));
        if (json_array_size(json_object_get(provider, "options")) > 0)
            show_options(cli, json_object_get(provider, "options"));
    }
}

int cli_run_plugin_info(struct cli *cli)
{
    char *text = NULL;
    prov_error err = {0};
    int rc = cli_open_anyway(cli);
    if (rc)
        return rc;
    rc = prov_plugin_info(cli->handle, cli->operands[0], &text, &err);
    if (rc)
        return cli_fail(cli, rc, &err);
    json_t *doc = NULL;
    if (cli->json)
        rc = cli_emit(cli, NULL, text);
    else if ((doc = cli_json(cli, text)))
        show_plugin(cli, doc);
    else
        rc = CLI_FAILED;
    json_decref(doc);
    prov_free(text);
    return rc;
}

int cli_run_plugin_check(struct cli *cli)
{
    char *text = NULL, name[128], detail[512];
    prov_error err = {0};
    json_t *check;
    size_t i;
    int rc = cli_open_anyway(cli);
    if (rc)
        return rc;
    rc = prov_plugin_check(cli->handle, cli->operands[0], &text, &err);
    if (rc)
        return cli_fail(cli, rc, &err);
    json_t *doc = cli_json(cli, text);
    const json_t *ok = json_object_get(doc, "ok");
    bool all = !ok || json_is_true(ok);
    if (cli->json)
        rc = cli_emit(cli, NULL, text);
    else if (doc) {
        json_array_foreach(json_object_get(doc, "checks"), i, check)
        {
            bool fine = json_is_true(json_object_get(check, "ok")) ||
                        strcmp(cli_member(check, "status", name, sizeof name), "ok") == 0;
            bool warn = strcmp(cli_member(check, "status", name, sizeof name), "warn") == 0;
            cli_check(cli,
                      fine   ? 'o'
                      : warn ? 'w'
                             : 'f',
                      cli_member(check, "name", name, sizeof name), cli_member(check, "detail", detail, sizeof detail));
        }
        fputs(all ? "OK: " : "FAILED: ", cli->out);
        cli_put(cli->out, cli->operands[0]);
        fputs(all ? " keeps to the interface\n" : " does not keep to the interface\n", cli->out);
    }
    rc = !doc ? CLI_FAILED : rc ? rc : all ? CLI_OK : CLI_CONFIG;
    json_decref(doc);
    prov_free(text);
    return rc;
}

/* The child process of the loader runs this before any file of configuration is read: prov __describe FILE [FD = 3]. */
int cli_run_describe(struct cli *cli)
{
    long fd = 3;
    char *end = NULL;
    if (cli->n_operands > 1)
        fd = strtol(cli->operands[1], &end, 10);
    if ((end && *end) || fd < 0 || fd > 65535)
        return cli_usage(cli, "'%s' is no file descriptor", cli->operands[1]);
    int rc = prov_plugin_describe(cli->operands[0], (int32_t)fd);
    return rc ? prov_rc_exit(rc) : CLI_OK;
}
