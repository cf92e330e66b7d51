/* cli.h - the command line program: one command table, its options, its output.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A command is a row of the table in cli_table.c. Help, man pages, completions and docs/cli.md are printed from the
 * same rows. Functions that return an exit code return 0 or what cli.md names: 1 failed, 2 usage, 3 verification
 * negative, 4 not found, 5 configuration or plugin, 6 network or pending, 7 conflict, 8 denied. Data goes to cli->out,
 * everything else to stderr.
 */
#ifndef PROV_CLI_H
#define PROV_CLI_H

#include <stdbool.h>
#include <stdio.h>

#include <jansson.h>

#include "prov/prov.h"
#include "prov/training.h"

#define CLI_PRINTF(fmt_at, args_at) __attribute__((format(printf, fmt_at, args_at)))

enum { CLI_OK, CLI_FAILED, CLI_USAGE, CLI_NEGATIVE, CLI_NOT_FOUND, CLI_CONFIG };

struct cli;

/* ---- the table (cli_table.c, cli_table_more.c) ----------------------------------------------------------------------
 */

#define CLI_REPEAT 1u /* may be given several times */

/* Ends with a row whose name is NULL. */
struct cli_option {
    const char *name; /* long, without dashes */
    char letter;      /* short, or 0 */
    unsigned flags;
    const char *arg;  /* what follows it: FILE, DIR, "one|of|these", ...; NULL: nothing */
    const char *help; /* one line, no full stop */
};
struct cli_example {
    const char *line;
    const char *what;
};
#define CLI_HIDDEN 1u     /* not in help and documents */
#define CLI_ALIAS 2u      /* another name of a command: in its own help, not in lists */
#define CLI_OWN_OUTPUT 4u /* writes the file of --output itself */
#define CLI_LINES 8u      /* --json gives JSON lines */
struct cli_command {
    const char *noun;
    const char *verb;     /* NULL: the noun is the whole command */
    const char *operands; /* "FILE...", or "" */
    int min_operands;
    int max_operands; /* -1: any number */
    unsigned flags;
    const char *summary;                /* one line, no full stop */
    const char *about;                  /* paragraphs separated by "\n", or NULL */
    const struct cli_option *options;   /* may be NULL */
    const struct cli_example *examples; /* ends with a NULL line */
    int (*run)(struct cli *cli);
};
struct cli_noun {
    const char *name;
    const char *summary;
};
extern const struct cli_command cli_commands[]; /* ends with a row whose noun is NULL */
extern const struct cli_noun cli_nouns[];       /* nouns with verbs, in the order of the help; ends likewise */
extern const struct cli_option cli_globals[];
extern const struct cli_example cli_examples[]; /* of the program as a whole */

/* The rows after row that are of the same noun and have a place in lists, first with row NULL; NULL at the end. */
const struct cli_command *cli_command_next(const char *noun, const struct cli_command *row);
const struct cli_command *cli_command_find(const char *noun, const char *verb);
const struct cli_noun *cli_noun_find(const char *name);

/* ---- one run of the program -----------------------------------------------------------------------------------------
 */

struct cli_value {
    const struct cli_option *option;
    const char *value;
};
struct cli {
    const struct cli_command *command;
    bool json, quiet, dry_run, no_color, allow_unknown, help, version;
    int verbose;
    const char *output, *config, *store, *network;
    const char **trust;
    size_t n_trust;
    struct cli_value *values; /* the command's own options in order */
    size_t n_values;
    char **operands;
    size_t n_operands;
    bool stdin_used;
    bool failed; /* an error was printed: what was written to --output is thrown away */
    FILE *out;                 /* stdout itself only until cli_out_open */
    int out_fd, out_errnum;    /* of out; errno of the first write that failed, else 0 */
    char *out_path, *out_temp; /* of --output; NULL: stdout */
    char kept[128];            /* what stays done when the output fails: "the record ID is kept" */
    char *skipped;             /* why the project's configuration is not used; NULL: it is */
    bool color;                /* of out */
    bool color_err;
    prov_handle *handle;
};

/* Fills cli from the command line. CLI_OK, or the exit code after it said what is wrong. cli_opts.c */
int cli_parse(struct cli *cli, int argc, char **argv);
void cli_parse_done(struct cli *cli);
/* The last value of an option of the command, or NULL; whether a flag was given. */
const char *cli_get(const struct cli *cli, const char *name);
bool cli_has(const struct cli *cli, const char *name);
/* All values of an option that may be repeated, in order; the caller frees the array alone. NULL when there is none. */
const char **cli_all(const struct cli *cli, const char *name, size_t *ret_n);
/* A whole number from minimum up; an absent option leaves *ret as it is. */
int cli_get_int(struct cli *cli, const char *name, int64_t minimum, int64_t *ret);
/* A decimal number between low and high; likewise. */
int cli_get_real(struct cli *cli, const char *name, double low, double high, double *ret);
/* The value of an option that takes JSON: inline, @FILE or - for stdin. *ret is NULL when it is absent; the caller
 * frees. */
int cli_get_text(struct cli *cli, const char *name, char **ret);
/* The stream of --stream, or of --model-id, into room; *ret NULL: of the configured model. */
int cli_get_stream(struct cli *cli, char *room, size_t cap, const char **ret);
/* A name of the list that word was probably meant to be, or NULL. */
const char *cli_suggest(const char *word, const char *const *names);

/* Opens the configuration with the global options; cli->handle is closed by main. main.c */
int cli_open(struct cli *cli);
int cli_open_with(struct cli *cli, const prov_open_params *params);
/* For commands that neither record nor use keys: a project's file that cannot be used (nobody trusts it, say) is left
 * out with a warning, and cli->skipped says why. */
int cli_open_anyway(struct cli *cli);
/* prov.yaml in the working directory or above it, on the heap; NULL: none. cmd_config.c */
char *cli_project_file(void);
/* The model of --model-id, else of the configuration, which is open, into room. */
const char *cli_model_id(struct cli *cli, char *room, size_t cap);
/* 0, or the number of the signal that asked to end. */
int cli_signalled(void);
/* Seals what waits. A failure is a warning: the records are safe. Returns whether all is sealed. ret_json may be NULL.
 */
bool cli_seal(struct cli *cli, char **ret_json);

/* ---- output (cli_out.c, cli_error.c, cli_read.c)
 * ---------------------------------------------------------------------- */

/* path NULL or "-": stdout. */
int cli_out_open(struct cli *cli, const char *path);
/* Flushes and closes; a full disk is a failure. keep: else the file of --output is removed. */
int cli_out_close(struct cli *cli, bool keep);

/* Says the error on stderr (as JSON with --json) and returns its exit code. */
int cli_fail(struct cli *cli, int rc, const prov_error *err);
/* The same for an error that was found here; code is PROV_E_*. */
int cli_error(struct cli *cli, int code, const char *format, ...) CLI_PRINTF(3, 4);
/* A usage error, with a pointer to the help of the command. */
int cli_usage(struct cli *cli, const char *format, ...) CLI_PRINTF(2, 3);
void cli_warn(struct cli *cli, const char *format, ...) CLI_PRINTF(2, 3);
/* Something to know, on stderr; not with -q or --json. */
void cli_note(struct cli *cli, const char *format, ...) CLI_PRINTF(2, 3);
int cli_no_memory(struct cli *cli);

/* Writes text with control characters and broken UTF-8 made harmless; cells: code points written. */
size_t cli_put(FILE *out, const char *text);
/* Whether text is UTF-8, control characters included. */
bool cli_is_utf8(const char *text);
/* text as valid UTF-8 on the heap; NULL: out of memory. */
char *cli_clean(const char *text);
/* "\033[1m" and the like, or "" when colours are off. style: 'b'old, 'd'im, 'r'ed, 'g'reen, 'y'ellow, 0 end. */
const char *cli_style(bool color, char style);

/* With --json: one document of the command, {"schema":"prov.NOUN.VERB/1",...members of text} or, with member, that
 * member holds text. text is a JSON document, used as it is. */
int cli_emit(struct cli *cli, const char *member, const char *text);
/* The same for a value that was built here; takes value. */
int cli_emit_json(struct cli *cli, json_t *value);
/* Reads JSON of the library; NULL after it said so. */
json_t *cli_json(struct cli *cli, const char *text);
/* A member as text for people: strings as they are, numbers short, true "yes", null and absent "". Uses room when
 * needed. */
const char *cli_member(const json_t *object, const char *name, char *room, size_t cap);
const char *cli_scalar(const json_t *value, char *room, size_t cap);

/* "name       value" in a page of facts; an empty value is left out. */
void cli_fact(struct cli *cli, const char *name, const char *value);
/* Lines of a checklist: mark 'o'k, 'w'arning, 'f'ailed. */
void cli_check(struct cli *cli, char mark, const char *name, const char *detail);
/* All of a verification, its final line, and its exit code. */
int cli_verdict(struct cli *cli, int32_t verdict, const char *json_text);

#define CLI_COLUMNS 8
/* Rows in columns as wide as what is in them. Widths are settled by the first rows, so a long stream starts early. */
struct cli_table {
    struct cli *cli;
    const char *const *titles; /* a leading '>' puts a column to the right; ends with NULL */
    size_t n_columns;
    size_t width[CLI_COLUMNS];
    char **cells; /* of rows that wait */
    size_t n_rows;
    bool settled;
};
void cli_table_init(struct cli_table *table, struct cli *cli, const char *const *titles);
/* Copies n_columns texts; NULL is "". False: out of memory. */
bool cli_table_row(struct cli_table *table, const char *const *texts);
void cli_table_done(struct cli_table *table);

/* Done of all, with rate and time left, on a terminal only; the step's ctx is the struct. cli_progress.c */
struct cli_progress {
    struct cli *cli;
    const char *what; /* "records" */
    uint64_t start_ns, last_ns;
    bool shown;
};
void cli_progress_init(struct cli_progress *progress, struct cli *cli, const char *what);
void cli_progress_step(void *ctx, uint64_t done, uint64_t all);
void cli_progress_done(struct cli_progress *progress);

/* Reads a file, or stdin for "-", whole; the caller frees. *ret_rc is the PROV_E_* of a failure, which was not yet
 * said. */
char *cli_read(struct cli *cli, const char *path, size_t max_bytes, size_t *ret_len, prov_error *err);

/* ---- help and documents (cli_help.c, cli_man.c, cli_complete.c, cli_markdown.c)
 * ---------------------------------------- */

/* Help of the program, of a noun or of a command, whatever is not NULL. */
void cli_help_print(FILE *out, bool color, const char *noun, const struct cli_command *command);
/* The same as a JSON document of `prov help`. */
int cli_help_json(struct cli *cli, const char *noun, const struct cli_command *command);
/* One line that shows how a command is called: "prov log prove [options] ID". */
void cli_usage_line(FILE *out, const struct cli_command *command);
/* "-o, --output FILE" into room. */
void cli_option_text(const struct cli_option *option, char *room, size_t cap);

/* ---- commands
 * ---------------------------------------------------------------------------------------------------------- */

int cli_run_init(struct cli *cli);
int cli_run_demo(struct cli *cli);
int cli_run_doctor(struct cli *cli);
int cli_run_version(struct cli *cli);
int cli_run_help(struct cli *cli);
int cli_run_record_checkpoint(struct cli *cli);
int cli_run_record_validation(struct cli *cli);
int cli_run_history(struct cli *cli);
int cli_run_log_show(struct cli *cli);
int cli_run_log_list(struct cli *cli);
int cli_run_log_verify(struct cli *cli);
int cli_run_log_prove(struct cli *cli);
int cli_run_proof_create(struct cli *cli);
int cli_run_proof_verify(struct cli *cli);
int cli_run_proof_show(struct cli *cli);
int cli_run_key_new(struct cli *cli);
int cli_run_key_import(struct cli *cli);
int cli_run_key_show(struct cli *cli);
int cli_run_key_list(struct cli *cli);
int cli_run_key_authorize(struct cli *cli);
int cli_run_key_revoke(struct cli *cli);
int cli_run_config_check(struct cli *cli);
int cli_run_config_show(struct cli *cli);
int cli_run_config_trust(struct cli *cli);
int cli_run_plugin_list(struct cli *cli);
int cli_run_plugin_info(struct cli *cli);
int cli_run_plugin_check(struct cli *cli);
int cli_run_describe(struct cli *cli);
int cli_run_man(struct cli *cli);
int cli_run_complete(struct cli *cli);
int cli_run_markdown(struct cli *cli);

#endif
