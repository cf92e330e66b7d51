/* cli_complete.c - completion scripts from the command table: prov __complete bash|zsh|fish.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "cli.h"

/* ---- pieces
 * ---------------------------------------------------------------------------------------------------------------- */

static void put_nouns(FILE *out)
{
    const char *last = "";
    for (const struct cli_command *row = NULL; (row = cli_command_next(NULL, row));) {
        if (strcmp(last, row->noun) != 0)
            fprintf(out, "%s%s", *last ? " " : "", row->noun);
        last = row->noun;
    }
}

static void put_verbs(FILE *out, const char *noun)
{
    const char *space = "";
    for (const struct cli_command *row = NULL; (row = cli_command_next(noun, row)); space = " ")
        if (row->verb)
            fprintf(out, "%s%s", space, row->verb);
}

static void put_options(FILE *out, const struct cli_option *options, const char *space)
{
    for (; options && options->name; options++, space = " ")
        fprintf(out, "%s--%s", space, options->name);
}

/* What follows an option or stands as operand: 'f'iles, 'd'irectories, 'c'hoices, 0 nothing that is known. */
static char kind_of(const char *arg)
{
    if (!arg)
        return 0;
    if (strchr(arg, '|'))
        return 'c';
    if (strstr(arg, "FILE"))
        return 'f';
    return strstr(arg, "DIR") ? 'd' : 0;
}

/* "a|b" -> "a b" */
static void put_choices(FILE *out, const char *arg)
{
    for (; *arg; arg++)
        fputc(*arg == '|' ? ' ' : *arg, out);
}

/* Text for a shell's single quotes. */
static void put_quoted(FILE *out, const char *text)
{
    fputc('\'', out);
    for (; *text; text++)
        fputs(*text == '\'' ? "'\\''" : (char[]){*text, '\0'}, out);
    fputc('\'', out);
}

/* ---- bash
 * --------------------------------------------------------------------------------------------------------------------
 */

/* case branches that answer the value of an option */
static void bash_values(FILE *out, const struct cli_option *options, const char *where)
{
    for (; options && options->name; options++) {
        if (!options->arg)
            continue;
        fprintf(out, "    %s:--%s)", where, options->name);
        switch (kind_of(options->arg)) {
        case 'f':
            fputs(" COMPREPLY=($(compgen -f -- \"$cur\")); compopt -o filenames 2>/dev/null; return ;;\n", out);
            break;
        case 'd':
            fputs(" COMPREPLY=($(compgen -d -- \"$cur\")); compopt -o filenames 2>/dev/null; return ;;\n", out);
            break;
        case 'c':
            fputs(" COMPREPLY=($(compgen -W '", out);
            put_choices(out, options->arg);
            fputs("' -- \"$cur\")); return ;;\n", out);
            break;
        default:
            fputs(" return ;;\n", out);
        }
    }
}

static void put_key(FILE *out, const struct cli_command *row)
{
    fprintf(out, "%s%s%s", row->noun, row->verb ? "." : "", row->verb ? row->verb : "");
}

/* Every option that takes a value, so that its value is not seen as a noun or a verb. */
static void bash_with_value(FILE *out)
{
    fputs("--output|-o", out);
    for (const struct cli_option *o = cli_globals; o->name; o++)
        if (o->arg && strcmp(o->name, "output") != 0)
            fprintf(out, "|--%s", o->name);
}

static void bash(FILE *out)
{
    char where[64];
    fputs("# bash completion for prov; made by prov __complete bash\n_prov()\n{\n"
          "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} noun= verb= i\n"
          "    COMPREPLY=()\n"
          "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
          "        case ${COMP_WORDS[i]} in\n        ",
          out);
    bash_with_value(out);
    fputs(") ((i++)) ;;\n        -*) ;;\n"
          "        *) if [ -z \"$noun\" ]; then noun=${COMP_WORDS[i]}; elif [ -z \"$verb\" ]; then "
          "verb=${COMP_WORDS[i]}; fi ;;\n"
          "        esac\n    done\n    case $noun in\n    ",
          out);
    for (const struct cli_noun *noun = cli_nouns; noun->name; noun++)
        fprintf(out, "%s%s", noun == cli_nouns ? "" : "|", noun->name);
    fputs(") ;;\n    *) verb= ;;\n    esac\n    [ \"$prev\" = -o ] && prev=--output\n    case "
          "$noun${verb:+.$verb}:$prev in\n",
          out);
    bash_values(out, cli_globals, "*");
    for (const struct cli_command *row = NULL; (row = cli_command_next(NULL, row));) {
        snprintf(where, sizeof where, "%s%s%s", row->noun, row->verb ? "." : "", row->verb ? row->verb : "");
        bash_values(out, row->options, where);
    }
    fputs("    esac\n    case $noun${verb:+.$verb} in\n    '') COMPREPLY=($(compgen -W '", out);
    put_nouns(out);
    put_options(out, cli_globals, " ");
    fputs("' -- \"$cur\")) ;;\n", out);
    for (const struct cli_noun *noun = cli_nouns; noun->name; noun++) {
        fprintf(out, "    %s) COMPREPLY=($(compgen -W '", noun->name);
        put_verbs(out, noun->name);
        put_options(out, cli_globals, " ");
        fputs("' -- \"$cur\")) ;;\n", out);
    }
    for (const struct cli_command *row = NULL; (row = cli_command_next(NULL, row));) {
        fputs("    ", out);
        put_key(out, row);
        fputs(") COMPREPLY=($(compgen -W '", out);
        if (strcmp(row->noun, "help") == 0) {
            put_nouns(out);
            fputc(' ', out);
        }
        put_options(out, row->options, "");
        put_options(out, cli_globals, " ");
        fputs("' -- \"$cur\"))", out);
        if (kind_of(row->operands) == 'f')
            fputs("\n        [[ $cur == -* ]] || { COMPREPLY+=($(compgen -f -- \"$cur\")); compopt -o filenames "
                  "2>/dev/null; }",
                  out);
        fputs(" ;;\n", out);
    }
    fputs("    esac\n}\ncomplete -F _prov prov\n", out);
}

/* ---- zsh
 * ---------------------------------------------------------------------------------------------------------------------
 */

/* Text in a _arguments or _describe specification: its own quoting within single quotes. */
static void zsh_text(FILE *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '\'')
            fputs("'\\''", out);
        else if (strchr("[]:\\", *text))
            fprintf(out, "\\%c", *text);
        else
            fputc(*text, out);
    }
}

static void zsh_option(FILE *out, const struct cli_option *o)
{
    const char *many = o->flags & CLI_REPEAT ? "*" : "";
    char forms[2][64];
    int n = 0;
    snprintf(forms[n++], 64, "--%s", o->name);
    if (o->letter)
        snprintf(forms[n++], 64, "-%c", o->letter);
    for (int i = 0; i < n; i++) {
        fprintf(out, " \\\n        '%s%s[", many, forms[i]);
        zsh_text(out, o->help);
        fputc(']', out);
        if (o->arg) {
            fputc(':', out);
            zsh_text(out, o->arg);
            char kind = kind_of(o->arg);
            fputs(kind == 'f' ? ":_files" : kind == 'd' ? ":_files -/" : kind == 'c' ? ":(" : ":", out);
            if (kind == 'c') {
                put_choices(out, o->arg);
                fputc(')', out);
            }
        }
        fputc('\'', out);
    }
}

static void zsh(FILE *out)
{
    const char *last = "";
    fputs("#compdef prov\n# made by prov __complete zsh\n_prov() {\n"
          "    local curcontext=$curcontext state line noun verb\n    typeset -A opt_args\n    local -a globals "
          "words_here\n"
          "    globals=(",
          out);
    for (const struct cli_option *o = cli_globals; o->name; o++)
        zsh_option(out, o);
    fputs(")\n    _arguments -C $globals '1:command:->noun' '*::word:->rest' && return\n    case $state in\n    noun)\n"
          "        words_here=(",
          out);
    for (const struct cli_command *row = NULL; (row = cli_command_next(NULL, row));) {
        if (strcmp(last, row->noun) != 0) {
            const struct cli_noun *noun = cli_noun_find(row->noun);
            fprintf(out, " '%s:", row->noun);
            zsh_text(out, noun ? noun->summary : row->summary);
            fputc('\'', out);
        }
        last = row->noun;
    }
    fputs(")\n        _describe command words_here ;;\n    rest)\n        noun=$words[1]\n        case $noun in\n",
          out);
    for (const struct cli_noun *noun = cli_nouns; noun->name; noun++) {
        fprintf(out, "        %s)\n            if (( CURRENT == 2 )); then\n                words_here=(", noun->name);
        for (const struct cli_command *row = NULL; (row = cli_command_next(noun->name, row));) {
            fprintf(out, " '%s:", row->verb);
            zsh_text(out, row->summary);
            fputc('\'', out);
        }
        fputs(")\n                _describe verb words_here\n                return\n            fi\n"
              "            verb=.$words[2]; shift words; (( CURRENT-- )) ;;\n",
              out);
    }
    fputs("        esac\n        case $noun$verb in\n", out);
    for (const struct cli_command *row = NULL; (row = cli_command_next(NULL, row));) {
        fputs("        ", out);
        put_key(out, row);
        fputs(") _arguments $globals", out);
        for (const struct cli_option *o = row->options; o && o->name; o++)
            zsh_option(out, o);
        fputs(kind_of(row->operands) == 'f' ? " \\\n        '*:file:_files' ;;\n" : " '*:word:' ;;\n", out);
    }
    fputs("        esac ;;\n    esac\n}\n_prov \"$@\"\n", out);
}

/* ---- fish
 * --------------------------------------------------------------------------------------------------------------------
 */

static void fish_option(FILE *out, const struct cli_option *o, const char *when)
{
    fprintf(out, "complete -c prov %s%s%s-l %s", *when ? "-n '" : "", when, *when ? "' " : "", o->name);
    if (o->letter)
        fprintf(out, " -s %c", o->letter);
    char kind = kind_of(o->arg);
    if (kind == 'f' || kind == 'd')
        fputs(" -r -F", out);
    else if (kind == 'c') {
        fputs(" -x -a '", out);
        put_choices(out, o->arg);
        fputc('\'', out);
    } else if (o->arg)
        fputs(" -x", out);
    fputs(" -d ", out);
    put_quoted(out, o->help);
    fputc('\n', out);
}

static void fish(FILE *out)
{
    char when[192];
    const char *last = "";
    fputs("# fish completion for prov; made by prov __complete fish\ncomplete -c prov -f\n", out);
    for (const struct cli_option *o = cli_globals; o->name; o++)
        fish_option(out, o, "");
    for (const struct cli_command *row = NULL; (row = cli_command_next(NULL, row));) {
        const struct cli_noun *noun = cli_noun_find(row->noun);
        if (strcmp(last, row->noun) != 0) {
            fprintf(out, "complete -c prov -n __fish_use_subcommand -a %s -d ", row->noun);
            put_quoted(out, noun ? noun->summary : row->summary);
            fputc('\n', out);
        }
        last = row->noun;
        if (row->verb) {
            fprintf(out, "complete -c prov -n '__fish_seen_subcommand_from %s; and not __fish_seen_subcommand_from ",
                    row->noun);
            put_verbs(out, row->noun);
            fprintf(out, "' -a %s -d ", row->verb);
            put_quoted(out, row->summary);
            fputc('\n', out);
        }
        snprintf(when, sizeof when, "__fish_seen_subcommand_from %s%s%s", row->noun,
                 row->verb ? "; and __fish_seen_subcommand_from " : "", row->verb ? row->verb : "");
        for (const struct cli_option *o = row->options; o && o->name; o++)
            fish_option(out, o, when);
        if (kind_of(row->operands) == 'f')
            fprintf(out, "complete -c prov -n '%s' -F\n", when);
    }
}

int cli_run_complete(struct cli *cli)
{
    static const struct {
        const char *name;
        void (*print)(FILE *out);
    } shells[] = {{"bash", bash}, {"zsh", zsh}, {"fish", fish}};
    for (size_t i = 0; i < sizeof shells / sizeof *shells; i++)
        if (strcmp(cli->operands[0], shells[i].name) == 0) {
            shells[i].print(cli->out);
            return CLI_OK;
        }
    return cli_usage(cli, "'%s' is neither bash, zsh nor fish", cli->operands[0]);
}
