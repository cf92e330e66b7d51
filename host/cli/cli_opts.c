/* cli_opts.c - the command line: global options anywhere, then noun, verb, and the command's own options.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * getopt_long runs up to three times: until the noun, until the verb, and over the rest with the command's options too.
 */
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

#define MAX_OPTIONS 48
#define MAX_JSON_BYTES ((size_t)16 << 20)

/* ---- suggestions
 * ------------------------------------------------------------------------------------------------------ */

/* Edits (insert, delete, replace, swap neighbours) between two words of at most 31 bytes. */
static size_t distance(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b), row[3][32];
    if (n > 31 || m > 31)
        return 99;
    for (size_t j = 0; j <= m; j++)
        row[0][j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t *now = row[i % 3], *up = row[(i + 2) % 3], *upup = row[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t best = up[j - 1] + (a[i - 1] != b[j - 1]);
            if (up[j] + 1 < best)
                best = up[j] + 1;
            if (now[j - 1] + 1 < best)
                best = now[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && upup[j - 2] + 1 < best)
                best = upup[j - 2] + 1;
            now[j] = best;
        }
    }
    return row[n % 3][m];
}

const char *cli_suggest(const char *word, const char *const *names)
{
    const char *best = NULL;
    size_t len = strlen(word), least = len < 8 ? 2 : 3; /* one edit, two in a long word */
    for (; *names; names++) {
        size_t d = distance(word, *names);
        size_t all = strlen(*names);
        bool longer = len > all && len - all <= 2 && strncmp(word, *names, all) == 0;
        if (len >= 3 && (strncmp(*names, word, len) == 0 || longer) && d > 1)
            d = 1;
        if (d < least && d < strlen(*names)) {
            least = d;
            best = *names;
        }
    }
    return best;
}

static int unknown_noun(struct cli *cli, const char *word)
{
    const char *names[64];
    size_t n = 0;
    for (const struct cli_command *row = cli_commands; row->noun && n < 63; row++)
        if (!(row->flags & CLI_HIDDEN) && (n == 0 || strcmp(names[n - 1], row->noun) != 0))
            names[n++] = row->noun;
    names[n] = NULL;
    const char *near = cli_suggest(word, names);
    if (near)
        return cli_usage(cli, "unknown command '%s'; did you mean 'prov %s'?", word, near);
    /* A verb without its noun? Not when several have it, nor "import", which elsewhere brings records in. */
    const struct cli_command *found = NULL;
    size_t n_found = 0;
    for (const struct cli_command *row = cli_commands; row->noun; row++)
        if (row->verb && strcmp(row->verb, word) == 0 && n_found++ == 0)
            found = row;
    if (n_found == 1 && strcmp(word, "import") != 0)
        return cli_usage(cli, "unknown command '%s'; did you mean 'prov %s %s'?", word, found->noun, word);
    return cli_usage(cli, "unknown command '%s'", word);
}

static int unknown_verb(struct cli *cli, const char *noun, const char *word)
{
    const char *names[32];
    size_t n = 0;
    for (const struct cli_command *row = NULL; n < 31 && (row = cli_command_next(noun, row));)
        names[n++] = row->verb;
    names[n] = NULL;
    const char *near = cli_suggest(word, names);
    if (near)
        return cli_usage(cli, "'prov %s' has no '%s'; did you mean 'prov %s %s'?", noun, word, noun, near);
    return cli_usage(cli, "'prov %s' has no '%s'", noun, word);
}

/* ---- getopt
 * ------------------------------------------------------------------------------------------------------------ */

static int needs_verb(struct cli *cli, const char *noun)
{
    char verbs[256] = "";
    size_t used = 0;
    for (const struct cli_command *row = NULL; (row = cli_command_next(noun, row)) && used < sizeof verbs - 32;)
        used += (size_t)snprintf(verbs + used, sizeof verbs - used, "%s%.20s", used ? ", " : "", row->verb);
    return cli_usage(cli, "'prov %s' needs a verb: %s", noun, verbs);
}

struct spec {
    const struct cli_option *options[MAX_OPTIONS];
    struct option longs[MAX_OPTIONS + 1];
    char shorts[2 * MAX_OPTIONS + 3];
    int n;
};

static void spec_add(struct spec *spec, const struct cli_option *options)
{
    size_t len = strlen(spec->shorts);
    for (; options && options->name && spec->n < MAX_OPTIONS; options++, spec->n++) {
        spec->options[spec->n] = options;
        spec->longs[spec->n] =
            (struct option){options->name, options->arg ? required_argument : no_argument, NULL, 256 + spec->n};
        if (options->letter) {
            spec->shorts[len++] = options->letter;
            if (options->arg)
                spec->shorts[len++] = ':';
        }
    }
    spec->shorts[len] = '\0';
}

static const struct cli_option *spec_find(const struct spec *spec, int found)
{
    if (found >= 256)
        return spec->options[found - 256];
    for (int i = 0; i < spec->n; i++)
        if (spec->options[i]->letter && spec->options[i]->letter == found)
            return spec->options[i];
    return NULL;
}

static int unknown_option(struct cli *cli, const struct spec *spec, const char *word, int letter)
{
    const char *names[MAX_OPTIONS + 1];
    char name[64];
    if (strncmp(word, "--", 2) != 0)
        return cli_usage(cli, "unknown option '-%c'", letter ? letter : '?');
    size_t len = strcspn(word + 2, "="), prefixed = 0;
    snprintf(name, sizeof name, "%.*s", (int)(len < 63 ? len : 63), word + 2);
    for (int i = 0; i < spec->n; i++) {
        names[i] = spec->options[i]->name;
        prefixed += strncmp(names[i], name, len) == 0;
        if (strcmp(names[i], name) == 0)
            return cli_usage(cli, "--%s takes no value", name);
    }
    names[spec->n] = NULL;
    if (prefixed > 1)
        return cli_usage(cli, "--%s could be several options; write it out", name);
    const char *near = cli_suggest(name, names);
    if (near)
        return cli_usage(cli, "unknown option '--%s'; did you mean '--%s'?", name, near);
    return cli_usage(cli, "unknown option '--%s'", name);
}

static int take_global(struct cli *cli, const struct cli_option *option, const char *value)
{
    const char **text = strcmp(option->name, "output") == 0    ? &cli->output
                        : strcmp(option->name, "config") == 0  ? &cli->config
                        : strcmp(option->name, "store") == 0   ? &cli->store
                        : strcmp(option->name, "network") == 0 ? &cli->network
                                                               : NULL;
    bool *flag = strcmp(option->name, "json") == 0            ? &cli->json
                 : strcmp(option->name, "quiet") == 0         ? &cli->quiet
                 : strcmp(option->name, "dry-run") == 0       ? &cli->dry_run
                 : strcmp(option->name, "no-color") == 0      ? &cli->no_color
                 : strcmp(option->name, "allow-unknown") == 0 ? &cli->allow_unknown
                                                              : &cli->help;
    if (text) {
        if (*text && strcmp(*text, value) != 0)
            return cli_usage(cli, "--%s is given twice", option->name);
        if (!*value)
            return cli_usage(cli, "--%s is empty", option->name);
        *text = value;
    } else if (strcmp(option->name, "trust") == 0) {
        cli->trust[cli->n_trust++] = value;
    } else if (strcmp(option->name, "verbose") == 0) {
        cli->verbose++;
    } else {
        *flag = true;
    }
    return CLI_OK;
}

/* Names of files are bytes; everything else is text. */
static bool names_file(const char *arg)
{
    return arg && (strstr(arg, "FILE") || strstr(arg, "DIR"));
}

static int take(struct cli *cli, const struct cli_option *option, const char *value)
{
    if (value && !names_file(option->arg) && !cli_is_utf8(value))
        return cli_usage(cli, "--%s: the value is not UTF-8", option->name);
    for (const struct cli_option *o = cli_globals; o->name; o++)
        if (o == option)
            return take_global(cli, option, value);
    if (!(option->flags & CLI_REPEAT) && option->arg && cli_get(cli, option->name))
        return cli_usage(cli, "--%s is given twice", option->name);
    cli->values[cli->n_values++] = (struct cli_value){option, value};
    return CLI_OK;
}

/* One run of getopt; *ret_at: index of the first word that is no option. stop: at the first such word. */
static int run_getopt(struct cli *cli, const struct cli_option *own, int argc, char **argv, bool stop, int *ret_at)
{
    struct spec spec = {.n = 0};
    snprintf(spec.shorts, sizeof spec.shorts, "%s", stop ? "+:" : ":");
    spec_add(&spec, cli_globals);
    spec_add(&spec, own);
    optind = 0;
    opterr = 0;
    for (int found; (found = getopt_long(argc, argv, spec.shorts, spec.longs, NULL)) != -1;) {
        const struct cli_option *option = spec_find(&spec, found == ':' ? optopt : found);
        int rc;
        if (found == ':')
            rc = cli_usage(cli, "--%s needs a value: %s", option ? option->name : "?", option ? option->arg : "");
        else if (found == '?')
            rc = unknown_option(cli, &spec, argv[optind - 1], optopt);
        else
            rc = take(cli, option, optarg);
        if (rc)
            return rc;
    }
    *ret_at = optind;
    return CLI_OK;
}

/* "--version" is a habit of many hands; it is a command here. */
static bool is_version(int argc, char **argv)
{
    return argc == 2 && (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0);
}

static int check_operands(struct cli *cli)
{
    const struct cli_command *c = cli->command;
    if (cli->n_operands < (size_t)c->min_operands)
        return cli_usage(cli, "%s is missing",
                         cli->n_operands == 0 || !strchr(c->operands, ' ') ? c->operands
                                                                           : strchr(c->operands, ' ') + 1);
    if (c->max_operands >= 0 && cli->n_operands > (size_t)c->max_operands)
        return cli_usage(cli, "'%s' is one word too many", cli->operands[c->max_operands]);
    for (size_t i = 0; i < cli->n_operands && !names_file(c->operands); i++)
        if (!cli_is_utf8(cli->operands[i]))
            return cli_usage(cli, "'%s' is not UTF-8", cli->operands[i]);
    return CLI_OK;
}

/* So that an error in the words before --json is JSON as well. */
static void look_ahead(struct cli *cli, int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        cli->json |= strcmp(argv[i], "--json") == 0;
        cli->no_color |= strcmp(argv[i], "--no-color") == 0;
    }
}

int cli_parse(struct cli *cli, int argc, char **argv)
{
    int at = 0, rc;
    cli->trust = calloc((size_t)argc + 1, sizeof *cli->trust);
    cli->values = calloc((size_t)argc + 1, sizeof *cli->values);
    if (!cli->trust || !cli->values)
        return cli_no_memory(cli);
    look_ahead(cli, argc, argv);
    if (is_version(argc, argv)) {
        cli->command = cli_command_find("version", NULL);
        return CLI_OK;
    }
    if ((rc = run_getopt(cli, NULL, argc, argv, true, &at)))
        return rc;
    argc -= at;
    argv += at;
    if (argc == 0)
        return cli->help ? CLI_OK : cli_usage(cli, "which command? 'prov demo' shows what this is about");
    const char *noun = argv[0], *verb = NULL;
    if (!cli_is_utf8(noun))
        return cli_usage(cli, "the command '%s' is not UTF-8", noun);
    if (cli_noun_find(noun)) {
        if ((rc = run_getopt(cli, NULL, argc, argv, true, &at)))
            return rc;
        if (at >= argc) {
            if (!cli->help)
                return needs_verb(cli, noun);
            cli->operands = argv; /* help of the noun */
            cli->n_operands = 1;
            return CLI_OK;
        }
        argc -= at;
        argv += at;
        verb = argv[0];
    }
    cli->command = cli_command_find(noun, verb);
    if (!cli->command)
        return verb ? unknown_verb(cli, noun, verb) : unknown_noun(cli, noun);
    if ((rc = run_getopt(cli, cli->command->options, argc, argv, false, &at)))
        return rc;
    cli->operands = argv + at;
    cli->n_operands = (size_t)(argc - at);
    return cli->help ? CLI_OK : check_operands(cli);
}

void cli_parse_done(struct cli *cli)
{
    free(cli->trust);
    free(cli->values);
}

/* ---- values
 * ------------------------------------------------------------------------------------------------------------- */

const char *cli_get(const struct cli *cli, const char *name)
{
    const char *found = NULL;
    for (size_t i = 0; i < cli->n_values; i++)
        if (strcmp(cli->values[i].option->name, name) == 0)
            found = cli->values[i].value;
    return found;
}

bool cli_has(const struct cli *cli, const char *name)
{
    for (size_t i = 0; i < cli->n_values; i++)
        if (strcmp(cli->values[i].option->name, name) == 0)
            return true;
    return false;
}

const char **cli_all(const struct cli *cli, const char *name, size_t *ret_n)
{
    const char **all = calloc(cli->n_values + 1, sizeof *all);
    *ret_n = 0;
    for (size_t i = 0; all && i < cli->n_values; i++)
        if (strcmp(cli->values[i].option->name, name) == 0)
            all[(*ret_n)++] = cli->values[i].value;
    return all;
}

int cli_get_int(struct cli *cli, const char *name, int64_t minimum, int64_t *ret)
{
    const char *text = cli_get(cli, name);
    char *end;
    if (!text)
        return CLI_OK;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (!*text || *end || strspn(text, "-0123456789") != strlen(text))
        return cli_usage(cli, "--%s: '%s' is not a whole number", name, text);
    if (errno == ERANGE || number > 9007199254740991ll)
        return cli_usage(cli, "--%s: %s is too large", name, text);
    if (number < minimum)
        return cli_usage(cli, "--%s: %s is too small, %lld at least", name, text, (long long)minimum);
    *ret = number;
    return CLI_OK;
}

int cli_get_real(struct cli *cli, const char *name, double low, double high, double *ret)
{
    const char *text = cli_get(cli, name);
    char *end;
    if (!text)
        return CLI_OK;
    double number = strtod(text, &end);
    if (!*text || *end || strspn(text, "-+.eE0123456789") != strlen(text) || !isfinite(number))
        return cli_usage(cli, "--%s: '%s' is not a number", name, text);
    if (number < low || number > high)
        return cli_usage(cli, "--%s: %s is not between %g and %g", name, text, low, high);
    *ret = number;
    return CLI_OK;
}

int cli_get_text(struct cli *cli, const char *name, char **ret)
{
    const char *text = cli_get(cli, name);
    prov_error err = {0};
    size_t len = 0;
    *ret = NULL;
    if (!text)
        return CLI_OK;
    bool from_file = text[0] == '@' || strcmp(text, "-") == 0;
    *ret = from_file ? cli_read(cli, text + (text[0] == '@'), MAX_JSON_BYTES, &len, &err) : strdup(text);
    if (!*ret)
        return err.code ? cli_error(cli, err.code, "--%s: %s", name, err.message) : cli_no_memory(cli);
    if (from_file && strlen(*ret) != len)
        return cli_usage(cli, "--%s: %s: byte %zu is NUL, which JSON never contains", name, text, strlen(*ret) + 1);
    return CLI_OK;
}

int cli_get_stream(struct cli *cli, char *room, size_t cap, const char **ret)
{
    const char *stream = cli_get(cli, "stream"), *model = cli_get(cli, "model-id");
    *ret = stream;
    if (stream && model)
        return cli_usage(cli, "--stream and --model-id name the same thing; give one of them");
    if (stream && !*stream)
        return cli_usage(cli, "--stream is empty");
    if (!model)
        return CLI_OK;
    if (!*model)
        return cli_usage(cli, "--model-id is empty");
    if ((size_t)snprintf(room, cap, "models/%s", model) >= cap)
        return cli_usage(cli, "--model-id is longer than 128 characters");
    *ret = room;
    return CLI_OK;
}
