/* main.c - prov: one run of a command, from the command line to the exit code.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "cli.h"

/* ---- signals
 * ------------------------------------------------------------------------------------------------------------ */

static volatile sig_atomic_t signalled;
static _Atomic(prov_handle *) running; /* what a signal cancels */

/* The first signal asks the work to end; the second, or one while nothing can be cancelled, ends the process. */
static void on_signal(int number)
{
    prov_handle *handle = atomic_load(&running);
    if (signalled || !handle)
        _exit(128 + number);
    signalled = number;
    prov_cancel(handle);
}

int cli_signalled(void)
{
    return signalled;
}

static void catch_signals(void)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN}, old;
    struct sigaction end = {.sa_handler = on_signal}; /* no SA_RESTART: a read of stdin ends */
    static const int numbers[] = {SIGINT, SIGTERM};
    sigaction(SIGPIPE, &ignore, NULL); /* writes say EPIPE, also on a plugin's sockets */
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (sigaction(numbers[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
            sigaction(numbers[i], &end, NULL);
}

/* A descriptor 0, 1 or 2 that is closed would go to the next file that is opened. Opened the wrong way round, so that
 * using them still fails. */
static void fill_descriptors(void)
{
    for (int fd = 0; fd <= 2; fd++)
        while (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
            if (open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY) < 0)
                break;
}

/* ---- the library's log
 * -------------------------------------------------------------------------------------------------- */

static void on_log(void *ctx, int32_t level, const char *message)
{
    const struct cli *cli = ctx;
    static const char *const names[] = {"error", "warning", "info", "debug"};
    const char *name = names[level < 0 || level > 3 ? 3 : level];
    if (cli->json) {
        char *clean = cli_clean(message);
        json_t *line = json_pack("{s:{s:s, s:s}}", "log", "level", name, "message", clean ? clean : "");
        char *text = line ? json_dumps(line, JSON_COMPACT) : NULL;
        if (text)
            fprintf(stderr, "%s\n", text);
        free(text);
        json_decref(line);
        free(clean);
        return;
    }
    flockfile(stderr);
    fprintf(stderr, "prov: %s%s:%s ", cli_style(cli->color_err, level <= PROV_LOG_WARN ? 'y' : 'd'), name,
            cli_style(cli->color_err, 0));
    cli_put(stderr, message);
    fputc('\n', stderr);
    funlockfile(stderr);
}

static void set_log(struct cli *cli)
{
    static const char *const names[] = {"error", "warn", "info", "debug", NULL};
    const char *wish = getenv("PROV_LOG");
    int32_t level = cli->verbose > 1 ? PROV_LOG_DEBUG : cli->verbose == 1 ? PROV_LOG_INFO : PROV_LOG_WARN;
    bool chosen = cli->verbose > 0;
    if (cli->quiet)
        level = PROV_LOG_ERROR;
    else
        for (int i = 0; wish && names[i]; i++)
            if (strcasecmp(wish, names[i]) == 0 && (i > level || !chosen)) {
                level = i;
                chosen = true;
            }
    /* With --json a program reads stderr for the error: nothing else there unless it was asked for. */
    if (!cli->json || chosen)
        prov_log_set(on_log, cli, level);
}

/* ---- opening and sealing
 * -------------------------------------------------------------------------------------------------- */

int cli_open_with(struct cli *cli, const prov_open_params *params)
{
    prov_error err = {0};
    int rc = prov_open(params, &cli->handle, &err);
    if (rc)
        return cli_fail(cli, rc, &err);
    atomic_store(&running, cli->handle);
    return CLI_OK;
}

static int open_here(struct cli *cli, uint32_t flags, prov_error *err)
{
    prov_setting settings[] = {{"chain.network", cli->network, "--network"}};
    prov_open_params params = {.struct_size = sizeof params,
                               .flags = flags,
                               .config_file = cli->config,
                               .store_url = cli->store,
                               .settings = settings,
                               .n_settings = cli->network ? 1 : 0,
                               .trust = cli->trust,
                               .n_trust = cli->n_trust};
    int rc = prov_open(&params, &cli->handle, err);
    if (!rc)
        atomic_store(&running, cli->handle);
    return rc;
}

int cli_open(struct cli *cli)
{
    prov_error err = {0};
    int rc = open_here(cli, 0, &err);
    return rc ? cli_fail(cli, rc, &err) : CLI_OK;
}

/* A file that somebody named is meant; one that was found came with a clone, perhaps. */
static bool project_was_found(const struct cli *cli)
{
    const char *named = getenv("PROV_CONFIG");
    if (cli->config || (named && *named))
        return false;
    char *file = cli_project_file();
    free(file);
    return file != NULL;
}

int cli_open_anyway(struct cli *cli)
{
    prov_error err = {0}, again = {0};
    int rc = open_here(cli, 0, &err);
    if (rc != PROV_E_CONFIG || !project_was_found(cli) || open_here(cli, PROV_OPEN_NO_PROJECT, &again) != PROV_OK)
        return rc ? cli_fail(cli, rc, &err) : CLI_OK;
    if (!(cli->skipped = strdup(err.message)))
        return cli_no_memory(cli);
    cli_warn(cli, "%s; going on without the project's configuration", err.message);
    return CLI_OK;
}

const char *cli_model_id(struct cli *cli, char *room, size_t cap)
{
    static const char *const paths[] = {"model_id", "default_model"};
    const char *given = cli_get(cli, "model-id");
    char *text = NULL, scalar[64];
    prov_error err = {0};
    room[0] = '\0';
    if (given)
        return given;
    if (prov_config_show(cli->handle, 0, &text, &err))
        return room;
    json_t *doc = json_loads(text, 0, NULL);
    for (size_t i = 0; i < 2 && !room[0]; i++)
        snprintf(room, cap, "%s", cli_member(doc, paths[i], scalar, sizeof scalar));
    json_decref(doc);
    prov_free(text);
    return room;
}

bool cli_seal(struct cli *cli, char **ret_json)
{
    prov_error err = {0};
    if (prov_flush(cli->handle, ret_json, &err) == PROV_OK)
        return true;
    cli_warn(cli,
             "not sealed yet: %s. The records are safe in this machine's journal; the next command that records, or "
             "`prov doctor`, seals them",
             err.message);
    return false;
}

/* ---- main
 * ------------------------------------------------------------------------------------------------------------------ */

static bool wants_color(const struct cli *cli, int fd)
{
    const char *none = getenv("NO_COLOR"), *term = getenv("TERM");
    return !cli->no_color && !(none && *none) && !(term && strcmp(term, "dumb") == 0) && isatty(fd);
}

static int show_help(struct cli *cli)
{
    const char *noun = cli->command ? cli->command->noun : cli->n_operands ? cli->operands[0] : NULL;
    if (cli->json)
        return cli_help_json(cli, noun, cli->command);
    cli_help_print(cli->out, cli->color, noun, cli->command);
    return CLI_OK;
}

static int run(struct cli *cli)
{
    bool own = cli->command && (cli->command->flags & CLI_OWN_OUTPUT) && !cli->help;
    int rc = cli_out_open(cli, own ? NULL : cli->output);
    if (rc)
        return rc;
    cli->color = !cli->out_path && wants_color(cli, STDOUT_FILENO);
    rc = cli->help || !cli->command ? show_help(cli) : cli->command->run(cli);
    int closed = cli_out_close(cli, !cli->failed && !signalled);
    return rc ? rc : closed;
}

int main(int argc, char **argv)
{
    struct cli cli = {.out = stdout};
    fill_descriptors();
    catch_signals();
    cli.color_err = wants_color(&cli, STDERR_FILENO);
    int rc = cli_parse(&cli, argc, argv);
    cli.color_err = wants_color(&cli, STDERR_FILENO);
    if (!rc) {
        set_log(&cli);
        rc = run(&cli);
    }
    atomic_store(&running, NULL);
    prov_close(cli.handle);
    prov_log_set(NULL, NULL, 0);
    free(cli.skipped);
    cli_parse_done(&cli);
    return signalled ? 128 + signalled : rc;
}
