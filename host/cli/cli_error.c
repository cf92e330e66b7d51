/* cli_error.c - what is said on stderr: errors, warnings, notes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static const char *outcome_name(int32_t outcome)
{
    static const char *const names[] = {NULL, "not_applied", "retry_later", "permanent", "unknown"};
    return outcome > 0 && outcome <= PROV_OUTCOME_UNKNOWN ? names[outcome] : NULL;
}

static void print_line(json_t *line)
{
    char *text = line ? json_dumps(line, JSON_COMPACT) : NULL;
    if (text)
        fprintf(stderr, "%s\n", text);
    else
        fputs("{\"error\":{\"code\":\"E_NOMEM\",\"exit\":1,\"message\":\"out of memory\"}}\n", stderr);
    free(text);
    json_decref(line);
}

static void print_json(const prov_error *err, int exit_code, const char *hint)
{
    char *clean = cli_clean(err->message);
    json_t *error = json_pack("{s:s, s:i, s:s, s:s*, s:s*}", "code", prov_rc_name(err->code), "exit", exit_code,
                              "message", clean ? clean : "", "outcome", outcome_name(err->outcome), "hint", hint);
    if (error && err->retry_after_ms)
        json_object_set_new(error, "retry_after_ms", json_integer((json_int_t)err->retry_after_ms));
    print_line(error ? json_pack("{s:o}", "error", error) : NULL);
    free(clean);
}

static int say(struct cli *cli, const prov_error *err, const char *hint)
{
    int exit_code = prov_rc_exit(err->code);
    if (exit_code == 0)
        exit_code = CLI_FAILED;
    cli->failed = true;
    if (cli_signalled())
        return exit_code; /* whoever pressed the key knows */
    if (cli->out)
        fflush(cli->out);
    if (cli->json) {
        print_json(err, exit_code, hint);
        return exit_code;
    }
    fprintf(stderr, "prov: %serror:%s ", cli_style(cli->color_err, 'r'), cli_style(cli->color_err, 0));
    cli_put(stderr, err->message[0] ? err->message : prov_rc_text(err->code));
    fputc('\n', stderr);
    if (hint)
        fprintf(stderr, "%s\n", hint);
    return exit_code;
}

int cli_fail(struct cli *cli, int rc, const prov_error *err)
{
    prov_error shown = *err;
    if (shown.code == PROV_OK)
        shown.code = rc;
    return say(cli, &shown, NULL);
}

int cli_error(struct cli *cli, int code, const char *format, ...)
{
    prov_error err = {.code = code};
    va_list args;
    va_start(args, format);
    vsnprintf(err.message, sizeof err.message, format, args);
    va_end(args);
    return say(cli, &err, NULL);
}

int cli_usage(struct cli *cli, const char *format, ...)
{
    prov_error err = {.code = PROV_E_INVALID};
    char hint[128];
    va_list args;
    va_start(args, format);
    vsnprintf(err.message, sizeof err.message, format, args);
    va_end(args);
    const struct cli_command *c = cli->command;
    snprintf(hint, sizeof hint, "See 'prov help%s%s%s%s'.", c ? " " : "", c ? c->noun : "", c && c->verb ? " " : "",
             c && c->verb ? c->verb : "");
    return say(cli, &err, hint);
}

int cli_no_memory(struct cli *cli)
{
    return cli_error(cli, PROV_E_NOMEM, "out of memory");
}

void cli_warn(struct cli *cli, const char *format, ...)
{
    char message[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    if (cli->json) {
        char *clean = cli_clean(message);
        print_line(json_pack("{s:{s:s}}", "warning", "message", clean ? clean : ""));
        free(clean);
        return;
    }
    fprintf(stderr, "prov: %swarning:%s ", cli_style(cli->color_err, 'y'), cli_style(cli->color_err, 0));
    cli_put(stderr, message);
    fputc('\n', stderr);
}

void cli_note(struct cli *cli, const char *format, ...)
{
    char message[1024];
    va_list args;
    if (cli->quiet || cli->json)
        return;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    cli_put(stderr, message);
    fputc('\n', stderr);
}
