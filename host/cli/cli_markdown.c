/* cli_markdown.c - docs/cli.md, from the command table: prov __markdown. SPDX-License-Identifier: Apache-2.0 */
#include "cli.h"

static void put_options(FILE *out, const struct cli_option *options)
{
    char text[96];
    fputs("| option | |\n| --- | --- |\n", out);
    for (; options->name; options++) {
        cli_option_text(options, text, sizeof text);
        fputs("| `", out);
        for (const char *at = text; *at; at++)
            fputs(*at == '|' ? "\\|" : (char[]){*at, '\0'}, out);
        fprintf(out, "` | %s |\n", options->help);
    }
    fputc('\n', out);
}

static void put_examples(FILE *out, const struct cli_example *examples)
{
    fputs("```sh\n", out);
    for (; examples && examples->line; examples++)
        fprintf(out, "# %s\n%s\n", examples->what, examples->line);
    fputs("```\n\n", out);
}

static void put_command(FILE *out, const struct cli_command *c)
{
    fprintf(out, "## prov %s%s%s\n\n%c%s.\n\n```\n", c->noun, c->verb ? " " : "", c->verb ? c->verb : "",
            c->summary[0] >= 'a' && c->summary[0] <= 'z' ? c->summary[0] - 32 : c->summary[0], c->summary + 1);
    cli_usage_line(out, c);
    fputs("\n```\n\n", out);
    if (c->about) {
        for (const char *at = c->about; *at; at++)
            fputs(*at == '\n' ? "\n\n" : (char[]){*at, '\0'}, out);
        fputs("\n\n", out);
    }
    put_examples(out, c->examples);
    if (c->options)
        put_options(out, c->options);
}

int cli_run_markdown(struct cli *cli)
{
    FILE *out = cli->out;
    fputs("# The command line\n\n"
          "<!-- Made by `prov __markdown` from the command table in host/cli/cli_table.c; a test compares them. -->\n\n"
          "`prov NOUN VERB [options] [operands]`. Data goes to stdout, everything else to stderr.\n\n",
          out);
    put_examples(out, cli_examples);
    fputs("## Options of all commands\n\nThey may stand anywhere on the line.\n\n", out);
    put_options(out, cli_globals);
    fputs("With `--json` stdout holds one JSON document whose member `schema` names its kind and version, as\n"
          "`prov.log.show/1` (`prov history`: one document on each line), and an error is one JSON line on stderr:\n"
          "`{\"error\":{\"code\",\"exit\",\"message\",\"hint\"?}}`. A warning there is `{\"warning\":{\"message\"}}`. "
          "Members are only added.\n\n"
          "| environment | |\n| --- | --- |\n"
          "| `NO_COLOR` | no colours when it is not empty |\n"
          "| `PROV_LOG` | `error`, `warn`, `info` or `debug`: what the library says on stderr |\n"
          "| `PROV_PASSPHRASE` | opens encrypted keys; passphrase of `prov key new --encrypt` and `prov key "
          "import` |\n\n"
          "## Exit codes\n\n"
          "| code | |\n| --- | --- |\n| 0 | ok |\n| 1 | failed |\n| 2 | usage or malformed input |\n"
          "| 3 | verification negative: what is present is not valid, or its signer is unknown |\n| 4 | not found |\n"
          "| 5 | configuration or plugin |\n| 6 | network or pending: try again |\n| 7 | conflict: it exists, or "
          "somebody else changed it |\n"
          "| 8 | denied |\n| 130, 143 | interrupted, terminated |\n"
          "| 141 | who read stdout has gone, as in `prov history \\| head`; nothing is said |\n\n"
          "A record whose store fails is still recorded: exit 0 and a warning. When stdout cannot be written the\n"
          "record is kept too: exit 1, and the error names it. No failure ends with 0.\n\n"
          "A project's prov.yaml that cannot be used, as one that you do not trust yet, ends a command with 5.\n"
          "`proof verify`, `plugin`, `config show` and `doctor` warn, go on without it; `proof show` reads none.\n\n",
          out);
    for (const struct cli_command *row = NULL; (row = cli_command_next(NULL, row));)
        put_command(out, row);
    fputs("## Other names\n\n", out);
    for (const struct cli_command *row = cli_commands; row->noun; row++)
        if (row->flags & CLI_ALIAS)
            fprintf(out, "- `prov %s`: %s\n", row->noun, row->summary);
    return CLI_OK;
}
