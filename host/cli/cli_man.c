/* cli_man.c - man pages from the command table: prov __man DIR writes prov.1 and one page for each noun.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <string.h>

#include "cli.h"

/* Text in which nothing is a request or an escape of roff. */
static void put(FILE *out, const char *text)
{
    bool start = true;
    for (; *text; text++) {
        if (start && (*text == '.' || *text == '\''))
            fputs("\\&", out);
        start = *text == '\n';
        if (*text == '\\')
            fputs("\\e", out);
        else if (*text == '-')
            fputs("\\-", out);
        else if (*text == '\'')
            fputs("\\(aq", out);
        else if (*text == '`')
            fputs("\\(ga", out);
        else if (*text == '^')
            fputs("\\(ha", out);
        else if (*text == '~')
            fputs("\\(ti", out);
        else if (*text == '\n')
            fputs("\n.PP\n", out);
        else
            fputc(*text, out);
    }
}

/* A sentence from a line of the table. */
static void put_sentence(FILE *out, const char *text, const char *end)
{
    char first[2] = {*text, '\0'};
    if (*first >= 'a' && *first <= 'z')
        *first = (char)(*first - 32);
    put(out, first);
    put(out, text + 1);
    fprintf(out, "%s\n", end);
}

static void put_options(FILE *out, const struct cli_option *options)
{
    char text[96];
    for (; options && options->name; options++) {
        cli_option_text(options, text, sizeof text);
        fputs(".TP\n.B ", out);
        put(out, text);
        fputc('\n', out);
        put_sentence(out, options->help, ".");
    }
}

static void put_examples(FILE *out, const struct cli_example *examples)
{
    for (; examples && examples->line; examples++) {
        put_sentence(out, examples->what, ":");
        fputs(".PP\n.nf\n.RS\n", out);
        put(out, examples->line);
        fputs("\n.RE\n.fi\n.PP\n", out);
    }
}

static void put_head(FILE *out, const char *name, const char *summary)
{
    fputs(".\\\" Made by prov __man from the command table.\n.TH ", out);
    for (const char *at = name; *at; at++) {
        char c = *at >= 'a' && *at <= 'z' ? (char)(*at - 32) : *at;
        put(out, (char[]){c, '\0'});
    }
    fprintf(out, " 1 \"\" \"prov %s\" \"Provhost\"\n.SH NAME\n", prov_version());
    put(out, name);
    fputs(" \\- ", out);
    put(out, summary);
    fputc('\n', out);
}

static void put_command(FILE *out, const struct cli_command *c)
{
    fputs(".SS \"prov ", out);
    put(out, c->noun);
    if (c->verb) {
        fputc(' ', out);
        put(out, c->verb);
    }
    fputs("\"\n.B ", out);
    fprintf(out, "prov %s%s%s", c->noun, c->verb ? " " : "", c->verb ? c->verb : "");
    fputs(c->options ? " [options] " : " ", out);
    put(out, c->operands);
    fputs("\n.PP\n", out);
    put_sentence(out, c->summary, ".");
    if (c->about) {
        fputs(".PP\n", out);
        put(out, c->about);
        fputc('\n', out);
    }
    put_options(out, c->options);
    fputs(".PP\n", out);
    put_examples(out, c->examples);
}

static void page_of_noun(FILE *out, const char *noun, const char *summary)
{
    char name[64];
    snprintf(name, sizeof name, "prov-%s", noun);
    put_head(out, name, summary);
    fputs(".SH SYNOPSIS\n", out);
    for (const struct cli_command *row = NULL; (row = cli_command_next(noun, row));) {
        fprintf(out, ".B prov %s %s\n", row->noun, row->verb ? row->verb : "");
        fputs(row->options ? "[options] " : "", out);
        put(out, row->operands);
        fputs(row->options || *row->operands ? "\n.br\n" : ".br\n", out);
    }
    fputs(".SH COMMANDS\n", out);
    for (const struct cli_command *row = NULL; (row = cli_command_next(noun, row));)
        put_command(out, row);
    fputs(".SH SEE ALSO\n.BR prov (1)\n", out);
}

static void page_of_program(FILE *out)
{
    put_head(out, "prov", "tamper-evident provenance for machine learning");
    fputs(".SH SYNOPSIS\n.B prov\nNOUN VERB [options] [operands]\n.SH DESCRIPTION\n"
          "Records where a machine learning model came from in append\\-only signed streams, and proves and verifies "
          "it.\n"
          "Data goes to stdout, everything else to stderr.\n.SH EXAMPLES\n",
          out);
    put_examples(out, cli_examples);
    fputs(".SH COMMANDS\n", out);
    for (const struct cli_command *row = NULL; (row = cli_command_next(NULL, row));) {
        fprintf(out, ".TP\n.B prov %s %s\n", row->noun, row->verb ? row->verb : "");
        put_sentence(out, row->summary, ".");
        fprintf(out, "See\n.BR prov\\-%s (1).\n", row->noun);
    }
    fputs(".SH OPTIONS\nThese may stand anywhere on the line.\n", out);
    put_options(out, cli_globals);
    fputs(".SH \"EXIT STATUS\"\n", out);
    static const char *const codes[][2] = {{"0", "ok"},
                                           {"1", "failed"},
                                           {"2", "usage or malformed input"},
                                           {"3", "verification negative"},
                                           {"4", "not found"},
                                           {"5", "configuration or plugin"},
                                           {"6", "network or pending: try again"},
                                           {"7", "conflict"},
                                           {"8", "denied"},
                                           {"130, 143", "interrupted, terminated"},
                                           {"141", "who read stdout has gone"}};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        fprintf(out, ".TP\n.B %s\n%s.\n", codes[i][0], codes[i][1]);
    fputs(".SH ENVIRONMENT\n.TP\n.B NO_COLOR\nNo colours when it is not empty.\n.TP\n.B PROV_LOG\n"
          "error, warn, info or debug: what the library says on stderr.\n.TP\n.B PROV_PASSPHRASE\n"
          "Opens encrypted keys; passphrase of new and imported ones.\n.SH FILES\n.TP\n.I prov.yaml\n"
          "The configuration, found upward from the working directory; then the user\\(aqs and /etc/prov/prov.yaml.\n",
          out);
}

static int write_page(struct cli *cli, const char *name, const char *noun, const char *summary)
{
    char path[4096];
    if ((size_t)snprintf(path, sizeof path, "%s/%s.1", cli->operands[0], name) >= sizeof path)
        return cli_error(cli, PROV_E_LIMIT, "%.200s: the path is too long", cli->operands[0]);
    FILE *out = fopen(path, "we");
    if (!out)
        return cli_error(cli, PROV_E_IO, "%.300s: cannot be written: %s", path, strerror(errno));
    if (noun)
        page_of_noun(out, noun, summary);
    else
        page_of_program(out);
    bool bad = ferror(out) != 0;
    if (fclose(out) != 0 || bad)
        return cli_error(cli, PROV_E_IO, "%.300s: cannot be written: %s", path, strerror(errno));
    return CLI_OK;
}

int cli_run_man(struct cli *cli)
{
    int rc = write_page(cli, "prov", NULL, NULL);
    const char *last = "";
    for (const struct cli_command *row = NULL; !rc && (row = cli_command_next(NULL, row));) {
        char name[64];
        const struct cli_noun *noun = cli_noun_find(row->noun);
        if (strcmp(last, row->noun) == 0)
            continue;
        last = row->noun;
        snprintf(name, sizeof name, "prov-%s", row->noun);
        rc = write_page(cli, name, row->noun, noun ? noun->summary : row->summary);
    }
    return rc;
}
