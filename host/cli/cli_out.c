/* cli_out.c - data: stdout or the file of --output, JSON documents, pages of facts, checklists.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"

/* ---- the file
 * ------------------------------------------------------------------------------------------------------------- */

static int code_of(int errnum)
{
    return errnum == ENOSPC || errnum == EDQUOT                     ? PROV_E_NOSPACE
           : errnum == ENOENT || errnum == ENOTDIR                  ? PROV_E_NOT_FOUND
           : errnum == EACCES || errnum == EPERM || errnum == EROFS ? PROV_E_DENIED
                                                                    : PROV_E_IO;
}

static void forget_file(struct cli *cli)
{
    free(cli->out_temp);
    free(cli->out_path);
    cli->out_temp = cli->out_path = NULL;
}

/* Writes all, or remembers why not: a FILE forgets errno, and a failure in the middle of a page is noticed at its end.
 */
static ssize_t write_cookie(void *cookie, const char *data, size_t len)
{
    struct cli *cli = cookie;
    for (size_t done = 0; done < len;) {
        ssize_t n = cli->out_errnum ? -1 : write(cli->out_fd, data + done, len - done);
        if (n < 0 && !cli->out_errnum && errno == EINTR && !cli_signalled())
            continue;
        if (n < 0) {
            if (!cli->out_errnum)
                cli->out_errnum = errno;
            errno = cli->out_errnum;
            return 0;
        }
        done += (size_t)n;
    }
    return (ssize_t)len;
}

static int close_cookie(void *cookie)
{
    struct cli *cli = cookie;
    if (close(cli->out_fd) == 0 || cli->out_errnum)
        return 0;
    cli->out_errnum = errno;
    return -1;
}

/* fd is out's now, or closed. */
static int open_stream(struct cli *cli, int fd)
{
    cookie_io_functions_t calls = {.write = write_cookie, .close = close_cookie};
    cli->out_fd = fd;
    FILE *out = fopencookie(cli, "w", calls);
    if (!out) {
        close(fd);
        return cli_no_memory(cli);
    }
    if (isatty(fd))
        setvbuf(out, NULL, _IOLBF, 0);
    cli->out = out;
    return CLI_OK;
}

/* A regular file is written beside its place and moved there at the end; a device or a pipe is written at once. */
int cli_out_open(struct cli *cli, const char *path)
{
    struct stat info;
    if (!path || strcmp(path, "-") == 0)
        return open_stream(cli, STDOUT_FILENO);
    bool there = stat(path, &info) == 0;
    if (there && S_ISDIR(info.st_mode))
        return cli_error(cli, PROV_E_INVALID, "--output %s: is a folder", path);
    cli->out_path = there ? realpath(path, NULL) : strdup(path);
    if (!cli->out_path)
        return cli_no_memory(cli);
    bool direct = there && !S_ISREG(info.st_mode);
    if (!direct && asprintf(&cli->out_temp, "%s.prov-%ld~", cli->out_path, (long)getpid()) < 0) {
        cli->out_temp = NULL;
        forget_file(cli);
        return cli_no_memory(cli);
    }
    int fd = open(direct ? cli->out_path : cli->out_temp,
                  O_WRONLY | O_CLOEXEC | O_NOCTTY | (direct ? 0 : O_CREAT | O_EXCL), 0666);
    if (fd < 0) {
        int saved = errno;
        forget_file(cli);
        return cli_error(cli, code_of(saved), "--output %s: cannot be written: %s", path, strerror(saved));
    }
    int rc = open_stream(cli, fd);
    if (rc && cli->out_temp)
        unlink(cli->out_temp);
    if (rc)
        forget_file(cli);
    return rc;
}

static int write_failed(struct cli *cli, int errnum)
{
    if (errnum == EPIPE)
        return 128 + 13; /* the reader has gone, as in `prov history | head` */
    return cli_error(cli, code_of(errnum), "%s: cannot write: %s%s%s", cli->out_path ? cli->output : "stdout",
                     strerror(errnum), *cli->kept ? "; " : "", cli->kept);
}

int cli_out_close(struct cli *cli, bool keep)
{
    FILE *out = cli->out;
    int rc = CLI_OK;
    bool bad = fflush(out) != 0 || ferror(out);
    if (cli->out_temp && !bad && keep && fsync(cli->out_fd) != 0) {
        bad = true;
        cli->out_errnum = errno;
    }
    cli->out = NULL;
    bad |= fclose(out) != 0 || cli->out_errnum;
    if (!bad && keep && cli->out_temp && rename(cli->out_temp, cli->out_path) != 0) {
        bad = true;
        cli->out_errnum = errno;
    }
    if (cli->out_temp && (bad || !keep))
        unlink(cli->out_temp);
    if (bad)
        rc = write_failed(cli, cli->out_errnum ? cli->out_errnum : EIO);
    forget_file(cli);
    return rc;
}

/* ---- JSON
 * ------------------------------------------------------------------------------------------------------------------ */

static void put_schema(struct cli *cli)
{
    const struct cli_command *c = cli->command;
    if (c->flags & CLI_ALIAS)
        for (const struct cli_command *row = cli_commands; row->noun; row++)
            if (row->run == c->run && !(row->flags & CLI_ALIAS))
                c = row;
    fprintf(cli->out, "{\"schema\":\"prov.%s%s%s/1\"", c->noun, c->verb ? "." : "", c->verb ? c->verb : "");
}

int cli_emit(struct cli *cli, const char *member, const char *text)
{
    put_schema(cli);
    if (member)
        fprintf(cli->out, ",\"%s\":%s}\n", member, text);
    else if (strcmp(text, "{}") == 0)
        fputs("}\n", cli->out);
    else
        fprintf(cli->out, ",%s\n", text + 1);
    return CLI_OK;
}

int cli_emit_json(struct cli *cli, json_t *value)
{
    char *text = value ? json_dumps(value, JSON_COMPACT) : NULL;
    int rc = text ? cli_emit(cli, NULL, text) : cli_no_memory(cli);
    free(text);
    json_decref(value);
    return rc;
}

/* ---- pages
 * ------------------------------------------------------------------------------------------------------------------ */

void cli_fact(struct cli *cli, const char *name, const char *value)
{
    if (!value || !*value)
        return;
    fprintf(cli->out, "%s%-14s%s ", cli_style(cli->color, 'd'), name, cli_style(cli->color, 0));
    cli_put(cli->out, value);
    fputc('\n', cli->out);
}

void cli_check(struct cli *cli, char mark, const char *name, const char *detail)
{
    const char *word = mark == 'o' ? "ok" : mark == 'w' ? "warn" : "FAILED";
    fprintf(cli->out, "  %s%-7s%s ",
            cli_style(cli->color, mark == 'o'   ? 'g'
                                  : mark == 'w' ? 'y'
                                                : 'r'),
            word, cli_style(cli->color, 0));
    size_t cells = cli_put(cli->out, name);
    if (detail && *detail) {
        fprintf(cli->out, "%*s  ", cells < 18 ? (int)(18 - cells) : 0, "");
        cli_put(cli->out, detail);
    }
    fputc('\n', cli->out);
}

static void put_checks(struct cli *cli, const json_t *checks)
{
    size_t i;
    json_t *check;
    json_array_foreach(checks, i, check)
    {
        char name[64], detail[512], where[256];
        const char *place = cli_member(check, "where", where, sizeof where);
        bool ok = json_is_true(json_object_get(check, "ok"));
        cli_check(cli, ok ? 'o' : 'f', cli_member(check, "name", name, sizeof name),
                  cli_member(check, "detail", detail, sizeof detail));
        if (*place) {
            fprintf(cli->out, "          %-18s  at ", "");
            cli_put(cli->out, place);
            fputc('\n', cli->out);
        }
    }
}

int cli_verdict(struct cli *cli, int32_t verdict, const char *json_text)
{
    static const char unknown[] = "intact, signer unknown";
    char room[512];
    int rc =
        verdict == PROV_VERDICT_OK || (verdict == PROV_VERDICT_UNKNOWN && cli->allow_unknown) ? CLI_OK : CLI_NEGATIVE;
    if (cli->json) {
        int written = cli_emit(cli, NULL, json_text);
        return rc ? rc : written;
    }
    json_t *doc = cli_json(cli, json_text);
    if (!doc)
        return rc ? rc : CLI_FAILED;
    const char *summary = cli_member(doc, "summary", room, sizeof room);
    if (!cli->quiet)
        put_checks(cli, json_object_get(doc, "checks"));
    bool said = verdict == PROV_VERDICT_UNKNOWN && strncmp(summary, unknown, strlen(unknown)) == 0;
    const char *word = verdict == PROV_VERDICT_OK        ? "OK: "
                       : verdict == PROV_VERDICT_UNKNOWN ? "intact, signer unknown: "
                                                         : "TAMPERED: ";
    fputs(cli_style(cli->color, verdict == PROV_VERDICT_OK        ? 'g'
                                : verdict == PROV_VERDICT_UNKNOWN ? 'y'
                                                                  : 'r'),
          cli->out);
    fputs(said ? "" : word, cli->out);
    cli_put(cli->out, summary);
    fprintf(cli->out, "%s\n", cli_style(cli->color, 0));
    if (verdict == PROV_VERDICT_UNKNOWN)
        cli_note(cli, "Ask whoever made it, over a channel that you trust, for `prov key show log`, and give it to "
                      "--trust or trust.keys.");
    json_decref(doc);
    return rc;
}
