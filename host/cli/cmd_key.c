/* cmd_key.c - prov key new|import|show|list|authorize|revoke. SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "cli.h"

#define MAX_PASSPHRASE ((size_t)1 << 20) /* of the file */

static void wipe(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}

/* One line from the terminal, without showing it. NULL: there is none, or nothing was typed. */
static char *ask_once(const char *prompt)
{
    struct termios shown, hidden;
    char *line = NULL;
    size_t cap = 0;
    FILE *terminal = fopen("/dev/tty", "r+e");
    if (!terminal)
        return NULL;
    int fd = fileno(terminal);
    bool changed = tcgetattr(fd, &shown) == 0;
    if (changed) {
        hidden = shown;
        hidden.c_lflag &= ~(tcflag_t)ECHO;
        changed = tcsetattr(fd, TCSAFLUSH, &hidden) == 0;
    }
    fprintf(terminal, "%s: ", prompt);
    fflush(terminal);
    ssize_t n = getline(&line, &cap, terminal);
    if (changed)
        tcsetattr(fd, TCSAFLUSH, &shown);
    fputc('\n', terminal);
    fclose(terminal);
    if (n > 0 && line[n - 1] == '\n')
        line[--n] = '\0';
    if (n <= 0) {
        wipe(line);
        return NULL;
    }
    return line;
}

/* From --passphrase-file, PROV_PASSPHRASE or the terminal. wanted: without one this is an error; twice: typed again. */
static int get_passphrase(struct cli *cli, bool wanted, bool twice, char **ret)
{
    const char *file = cli_get(cli, "passphrase-file"), *set = getenv("PROV_PASSPHRASE");
    prov_error err = {0};
    size_t len = 0;
    *ret = NULL;
    if (file) {
        *ret = cli_read(cli, file, MAX_PASSPHRASE, &len, &err);
        if (!*ret)
            return cli_error(cli, err.code, "--passphrase-file: %s", err.message);
        (*ret)[strcspn(*ret, "\r\n")] = '\0';
    } else if (set && *set) {
        if (!(*ret = strdup(set)))
            return cli_no_memory(cli);
    } else if (wanted && isatty(STDIN_FILENO)) {
        *ret = ask_once("Passphrase");
        char *again = *ret && twice ? ask_once("The same again") : NULL;
        bool same = !*ret || !twice || (again && strcmp(*ret, again) == 0);
        wipe(again);
        if (!same) {
            wipe(*ret);
            *ret = NULL;
            return cli_usage(cli, "the two passphrases are not the same");
        }
    }
    if (*ret && !**ret) {
        wipe(*ret);
        *ret = NULL;
        return cli_usage(cli, "the passphrase is empty");
    }
    return *ret || !wanted
               ? CLI_OK
               : cli_usage(cli, "a passphrase is needed: set PROV_PASSPHRASE or give --passphrase-file FILE");
}

/* The one line that others need: a log key's verifier key goes into their trust.keys, a writer's public key into
 * `prov key authorize`, a validator's into trust.validators. */
static const char *public_line(const json_t *key, char *room, size_t cap)
{
    static const char *const names[] = {"verifier_key", "public", "address", "error"};
    const char *line = "";
    bool log = strcmp(cli_member(key, "name", room, cap), "log") == 0;
    for (size_t i = log ? 0 : 1; i < sizeof names / sizeof *names && !*line; i++)
        line = cli_member(key, names[i], room, cap);
    return line;
}

static void all_facts(struct cli *cli, const json_t *key)
{
    static const char *const names[] = {"name", "algorithm", "public", "key_id", "address", "verifier_key", "file"};
    char room[512];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        cli_fact(cli, names[i], cli_member(key, names[i], room, sizeof room));
}

/* Takes text, an answer about one key. */
static int print_key(struct cli *cli, char *text, bool all)
{
    char room[512];
    int rc = CLI_OK;
    json_t *key = NULL;
    if (cli->json) {
        rc = cli_emit(cli, NULL, text);
    } else if (!(key = cli_json(cli, text))) {
        rc = CLI_FAILED;
    } else if (all) {
        all_facts(cli, key);
    } else {
        cli_put(cli->out, public_line(key, room, sizeof room));
        fputc('\n', cli->out);
    }
    json_decref(key);
    prov_free(text);
    return rc;
}

/* Prints what would be done, for --dry-run. */
static int would(struct cli *cli, const char *what, const char *name)
{
    cli_note(cli, "would %s %s", what, name);
    return cli->json ? cli_emit_json(cli, json_pack("{s:b, s:s}", "dry_run", 1, "name", name)) : CLI_OK;
}

int cli_run_key_new(struct cli *cli)
{
    const char *algorithm = cli_get(cli, "algorithm");
    bool encrypt = cli_has(cli, "encrypt") || cli_get(cli, "passphrase-file");
    char *passphrase = NULL, *text = NULL;
    prov_error err = {0};
    if (!algorithm)
        algorithm = "ed25519";
    if (strcmp(algorithm, "ed25519") != 0 && strcmp(algorithm, "secp256k1") != 0)
        return cli_usage(cli, "--algorithm: '%s' is neither ed25519 nor secp256k1", algorithm);
    int rc = cli_open(cli);
    if (rc)
        return rc;
    if (cli->dry_run)
        return would(cli, "make the key", cli->operands[0]);
    if (encrypt && (rc = get_passphrase(cli, true, true, &passphrase)))
        return rc;
    rc = prov_key_new(cli->handle, cli->operands[0], algorithm, passphrase, &text, &err);
    wipe(passphrase);
    return rc ? cli_fail(cli, rc, &err) : print_key(cli, text, true);
}

int cli_run_key_import(struct cli *cli)
{
    char *passphrase = NULL, *text = NULL;
    prov_error err = {0};
    int rc = cli_open(cli);
    if (rc)
        return rc;
    if (cli->dry_run)
        return would(cli, "import the key", cli->operands[0]);
    if ((rc = get_passphrase(cli, false, false, &passphrase)))
        return rc;
    rc = prov_key_import(cli->handle, cli->operands[0], cli->operands[1], passphrase, &text, &err);
    wipe(passphrase);
    return rc ? cli_fail(cli, rc, &err) : print_key(cli, text, true);
}

int cli_run_key_show(struct cli *cli)
{
    char *text = NULL;
    prov_error err = {0};
    int rc = cli_open(cli);
    if (rc)
        return rc;
    rc = prov_key_show(cli->handle, cli->operands[0], &text, &err);
    return rc ? cli_fail(cli, rc, &err) : print_key(cli, text, cli_has(cli, "all"));
}

int cli_run_key_list(struct cli *cli)
{
    static const char *const titles[] = {"NAME", "ALGORITHM", "PUBLIC", NULL};
    char *text = NULL, room[3][512];
    prov_error err = {0};
    struct cli_table table;
    json_t *key;
    size_t i;
    int rc = cli_open(cli);
    if (rc)
        return rc;
    rc = prov_key_list(cli->handle, &text, &err);
    if (rc)
        return cli_fail(cli, rc, &err);
    if (cli->json) {
        rc = cli_emit(cli, "keys", text);
        prov_free(text);
        return rc;
    }
    json_t *list = cli_json(cli, text);
    cli_table_init(&table, cli, titles);
    json_array_foreach(list, i, key)
    {
        const char *const row[] = {cli_member(key, "name", room[0], sizeof room[0]),
                                   cli_member(key, "algorithm", room[1], sizeof room[1]),
                                   public_line(key, room[2], sizeof room[2])};
        if (!cli_table_row(&table, row))
            rc = cli_no_memory(cli);
    }
    cli_table_done(&table);
    if (!list)
        rc = CLI_FAILED;
    json_decref(list);
    prov_free(text);
    return rc;
}

/* Authorise (reason NULL) or revoke: a record, so it is sealed as every record is. */
static int change_writer(struct cli *cli, bool revoke)
{
    char room[160], model[160], *text = NULL;
    const char *stream, *reason = cli_get(cli, "reason");
    prov_error err = {0};
    int rc = cli_get_stream(cli, room, sizeof room, &stream);
    if (rc || (rc = cli_open(cli)))
        return rc;
    if (cli->dry_run)
        return would(cli, revoke ? "revoke" : "authorize", cli->operands[0]);
    if (!stream) {
        snprintf(room, sizeof room, "models/%.150s", cli_model_id(cli, model, sizeof model));
        stream = room;
    }
    rc = revoke ? prov_key_revoke(cli->handle, stream, cli->operands[0], reason, &text, &err)
                : prov_key_authorize(cli->handle, stream, cli->operands[0], &text, &err);
    if (rc)
        return cli_fail(cli, rc, &err);
    json_t *doc = json_loads(text, 0, NULL);
    snprintf(cli->kept, sizeof cli->kept, "the record %.64s is kept", cli_member(doc, "id", room, sizeof room));
    if (!cli->json) {
        fprintf(cli->out, "%s\n", cli_member(doc, "id", room, sizeof room));
        fflush(cli->out);
    }
    bool sealed = cli_seal(cli, NULL);
    if (cli->json) {
        json_object_set_new(doc, "sealed", json_boolean(sealed));
        rc = cli_emit_json(cli, json_incref(doc));
    }
    json_decref(doc);
    prov_free(text);
    return rc;
}

int cli_run_key_authorize(struct cli *cli)
{
    return change_writer(cli, false);
}

int cli_run_key_revoke(struct cli *cli)
{
    return change_writer(cli, true);
}
