/* cli_help.c - help on a terminal: examples first. SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "cli.h"

#define WIDTH 96

void cli_usage_line(FILE *out, const struct cli_command *c)
{
    fprintf(out, "prov %s%s%s%s%s%s", c->noun, c->verb ? " " : "", c->verb ? c->verb : "",
            c->options ? " [options]" : "", *c->operands ? " " : "", c->operands);
}

void cli_option_text(const struct cli_option *option, char *room, size_t cap)
{
    char letter[8] = "";
    if (option->letter)
        snprintf(letter, sizeof letter, "-%c, ", option->letter);
    snprintf(room, cap, "%s--%s%s%s%s", letter, option->name, option->arg ? " " : "", option->arg ? option->arg : "",
             option->flags & CLI_REPEAT && option->arg ? " ..." : "");
}

/* Words of text in lines of WIDTH, each after indent spaces; "\n" begins a paragraph. column: where the line is now. */
static void put_wrapped(FILE *out, const char *text, size_t indent, size_t column)
{
    bool first = true;
    while (*text) {
        if (*text == '\n') {
            fprintf(out, "\n\n%*s", (int)indent, "");
            column = indent;
            first = true;
            text++;
            continue;
        }
        size_t len = strcspn(text, " \n");
        if (!first && column + 1 + len > WIDTH) {
            fprintf(out, "\n%*s", (int)indent, "");
            column = indent;
            first = true;
        }
        fprintf(out, "%s%.*s", first ? "" : " ", (int)len, text);
        column += len + !first;
        first = false;
        text += len;
        if (*text == ' ')
            text++;
    }
    fputc('\n', out);
}

static void put_title(FILE *out, bool color, const char *title)
{
    fprintf(out, "\n%s%s%s\n", cli_style(color, 'b'), title, cli_style(color, 0));
}

static void put_examples(FILE *out, bool color, const struct cli_example *examples)
{
    if (!examples || !examples->line)
        return;
    put_title(out, color, "Examples");
    for (; examples->line; examples++)
        fprintf(out, "  %s# %s%s\n  %s\n", cli_style(color, 'd'), examples->what, cli_style(color, 0), examples->line);
}

static void put_options(FILE *out, bool color, const char *title, const struct cli_option *options)
{
    char text[96];
    if (!options || !options->name)
        return;
    put_title(out, color, title);
    for (; options->name; options++) {
        cli_option_text(options, text, sizeof text);
        int pad = options->letter ? 2 : 6;
        size_t used = (size_t)fprintf(out, "%*s%s", pad, "", text);
        if (used > 30) {
            fputc('\n', out);
            used = 0;
        }
        fprintf(out, "%*s", (int)(32 - used), "");
        put_wrapped(out, options->help, 32, 32);
    }
}

static void put_row(FILE *out, const char *name, const char *verb, const char *summary)
{
    char text[64];
    snprintf(text, sizeof text, "%s%s%s", name, verb ? " " : "", verb ? verb : "");
    fprintf(out, "  %-20s  %s\n", text, summary);
}

static void help_program(FILE *out, bool color)
{
    fprintf(out, "prov %s: tamper-evident provenance for machine learning\n", prov_version());
    put_examples(out, color, cli_examples);
    put_title(out, color, "Commands");
    for (const struct cli_command *row = NULL; (row = cli_command_next(NULL, row));)
        put_row(out, row->noun, row->verb, row->summary);
    put_options(out, color, "Options, anywhere on the line", cli_globals);
    put_title(out, color, "Exit");
    fputs("  0 ok, 1 failed, 2 usage or malformed input, 3 verification negative, 4 not found, 5 configuration or\n"
          "  plugin, 6 network or pending, 7 conflict, 8 denied, 130 interrupted, 143 terminated,\n"
          "  141 who read stdout has gone\n\n"
          "'prov help NOUN VERB' tells more about a command.\n",
          out);
}

static void help_noun(FILE *out, bool color, const struct cli_noun *noun)
{
    fprintf(out, "prov %s: %s\n", noun->name, noun->summary);
    put_title(out, color, "Examples");
    for (const struct cli_command *row = NULL; (row = cli_command_next(noun->name, row));)
        if (row->examples)
            fprintf(out, "  %s# %s%s\n  %s\n", cli_style(color, 'd'), row->summary, cli_style(color, 0),
                    row->examples->line);
    put_title(out, color, "Commands");
    for (const struct cli_command *row = NULL; (row = cli_command_next(noun->name, row));)
        put_row(out, row->noun, row->verb, row->summary);
    fprintf(out, "\n'prov help %s VERB' tells more about a command.\n", noun->name);
}

int cli_help_json(struct cli *cli, const char *noun, const struct cli_command *command)
{
    char *page = NULL;
    size_t size = 0;
    FILE *memory = open_memstream(&page, &size);
    if (!memory)
        return cli_no_memory(cli);
    cli_help_print(memory, false, noun, command);
    fclose(memory);
    cli->command = cli_command_find("help", NULL); /* whose document this is */
    int rc = cli_emit_json(cli, json_pack("{s:s}", "help", page));
    free(page);
    return rc;
}

void cli_help_print(FILE *out, bool color, const char *noun_name, const struct cli_command *c)
{
    const struct cli_noun *noun = noun_name ? cli_noun_find(noun_name) : NULL;
    if (!c && noun) {
        help_noun(out, color, noun);
        return;
    }
    if (!c) {
        help_program(out, color);
        return;
    }
    fprintf(out, "prov %s%s%s: %s\n", c->noun, c->verb ? " " : "", c->verb ? c->verb : "", c->summary);
    put_examples(out, color, c->examples);
    put_title(out, color, "Usage");
    fputs("  ", out);
    cli_usage_line(out, c);
    fputc('\n', out);
    if (c->about) {
        fputs("\n  ", out);
        put_wrapped(out, c->about, 2, 2);
    }
    put_options(out, color, "Options", c->options);
    fputs("\nThe options of all commands, and the exit codes: 'prov help'.\n", out);
}
