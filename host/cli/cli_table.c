/* cli_table.c - every command: what it is called, takes and does. Help and documents are printed from here.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <string.h>

#include "cli.h"

#define OPTIONS(...)                                                                                                   \
    (const struct cli_option[])                                                                                        \
    {                                                                                                                  \
        __VA_ARGS__,                                                                                                   \
        {                                                                                                              \
            0                                                                                                          \
        }                                                                                                              \
    }
#define EXAMPLES(...)                                                                                                  \
    (const struct cli_example[])                                                                                       \
    {                                                                                                                  \
        __VA_ARGS__,                                                                                                   \
        {                                                                                                              \
            0                                                                                                          \
        }                                                                                                              \
    }

#define MODEL_ID                                                                                                       \
    {                                                                                                                  \
        "model-id", 0, 0, "ID", "model it is about (default: model_id of the configuration)"                           \
    }
#define STREAM                                                                                                         \
    {                                                                                                                  \
        "stream", 0, 0, "STREAM", "another stream, as models/iris"                                                     \
    }
#define ACTOR                                                                                                          \
    {                                                                                                                  \
        "actor", 0, 0, "WHO", "who did it, as text (default: the user)"                                                \
    }
#define MODEL_HASH                                                                                                     \
    {                                                                                                                  \
        "model-hash", 0, 0, "HASH", "SHA-256 of the model: 64 hex digits, with or without 0x"                          \
    }
#define FORCE                                                                                                          \
    {                                                                                                                  \
        "force", 'f', 0, NULL, "write over a file that is there"                                                       \
    }
#define PASSPHRASE                                                                                                     \
    {                                                                                                                  \
        "passphrase-file", 0, 0, "FILE", "read the passphrase from the first line of FILE (- for stdin)"               \
    }

const struct cli_noun cli_nouns[] = {{"record", "write down what a training run did"},
                                     {"log", "look at and check the streams"},
                                     {"proof", "a file that shows others how a model came to be"},
                                     {"key", "keys that sign, and whom you let sign"},
                                     {"config", "the configuration in use"},
                                     {"plugin", "backends"},
                                     {0}};

const struct cli_option cli_globals[] = {
    {"json", 0, 0, NULL, "one JSON document on stdout (JSON lines for history), errors as JSON on stderr"},
    {"quiet", 'q', 0, NULL, "say errors only"},
    {"verbose", 'v', CLI_REPEAT, NULL, "say more; -vv says what is sent to whom, never secrets"},
    {"dry-run", 'n', 0, NULL, "check the input and say what would be done"},
    {"output", 'o', 0, "FILE", "write the data to FILE, whole or not at all"},
    {"no-color", 0, 0, NULL, "no colours (as NO_COLOR in the environment)"},
    {"config", 0, 0, "FILE", "this configuration file instead of the prov.yaml found upward"},
    {"store", 0, 0, "URL", "this store, as file:///dir, instead of the configured one"},
    {"network", 0, 0, "NAME", "this network instead of chain.network"},
    {"trust", 0, CLI_REPEAT, "KEY", "trust this log key too, as `prov key show log` prints it"},
    {"allow-unknown", 0, 0, NULL, "a verification ends with 0 when all is intact and only the signer is unknown"},
    {"help", 'h', 0, NULL, "show help"},
    {0}};

const struct cli_example cli_examples[] = {
    {"prov demo", "a whole training run, recorded, proven and verified, in a second"},
    {"prov init", "a configuration, keys and a store in this folder"},
    {"prov record checkpoint --file model.safetensors --epoch 1 --metrics '{\"loss\": 0.3}'", "record a checkpoint"},
    {"prov history", "see what was recorded"},
    {"prov proof create -o proof.json", "make a proof for others"},
    {"prov proof verify proof.json --trust KEY", "check a proof against a key that you trust"},
    {0}};

const struct cli_command cli_commands[] = {
    {"init", NULL, "", 0, 0, 0, "write a commented prov.yaml, keys and a local store",
     "Nothing that exists is ever written over. The file that is written is trusted at once, and so are its keys.",
     OPTIONS({"dir", 0, 0, "DIR", "where prov.yaml goes (default: here)"},
             {"model-id", 0, 0, "ID", "the model that commands are about by default"},
             {"origin", 0, 0, "NAME",
              "name of the store in signed tree heads, as example.org/models (default: a random one)"},
             {"blockchain", 0, 0, NULL, "with a section for a chain network"},
             {"fingerprint", 0, 0, NULL, "record a fingerprint of each checkpoint's tensors"}),
     EXAMPLES({"prov init", "in this folder"},
              {"prov init --dir /srv/ml --model-id iris", "elsewhere, with a default model"}),
     cli_run_init},
    {"demo", NULL, "", 0, 0, 0, "the main job end to end, with a small real training run",
     "Trains a classifier on Fisher's Iris measurements, records each checkpoint, seals, makes a proof, verifies "
     "it, and shows that a copy with one changed byte is refused. It uses a folder and keys of its own and nothing "
     "of your configuration.",
     OPTIONS({"dir", 0, 0, "DIR", "use this new or empty folder and keep it (default: a new temporary one)"},
             {"epochs", 0, 0, "N", "epochs to train (default: 40)"}),
     EXAMPLES({"prov demo", "in a new temporary folder"},
              {"prov demo --dir iris-demo", "keep the files at a place you choose"}),
     cli_run_demo},
    {"record", "checkpoint", "", 0, 0, 0, "record a training checkpoint and print the record's id",
     "The record is durable when the id is printed. The command ends by sealing it in the store; when the store "
     "fails, the record stays in the journal, a warning says so, and the next command or `prov doctor` seals it.\n"
     "Several files are hashed as the SHA-256 of their sha256sum lines, sorted by path.",
     OPTIONS(MODEL_ID, MODEL_HASH, {"file", 0, CLI_REPEAT, "FILE", "hash this file of the model instead"},
             {"epoch", 0, 0, "N", "epoch of the training run, from 0"}, {"step", 0, 0, "N", "step within the run"},
             {"metrics", 0, 0, "JSON", "an object such as '{\"loss\": 0.3}'; @FILE reads a file, - stdin"},
             {"dataset", 0, CLI_REPEAT, "ID", "a dataset it was trained on, ID or ID@RECORD"},
             {"fingerprint-hash", 0, 0, "HASH", "a fingerprint of the model, 64 hex digits"},
             {"code", 0, 0, "FILE", "record the SHA-256 of the training code"},
             {"train-config", 0, 0, "FILE", "record the SHA-256 of the training configuration"},
             {"extra", 0, 0, "JSON", "further members of the record's body, an object"}, ACTOR),
     EXAMPLES(
         {"prov record checkpoint --file epoch1.safetensors --epoch 1 --metrics '{\"loss\": 0.31}'", "hash a file"},
         {"prov record checkpoint --model-hash $H --epoch 2 --metrics @metrics.json", "a hash that you have"},
         {"id=$(prov record checkpoint --file m.bin --epoch 3 --metrics -) <metrics.json", "metrics from stdin"}),
     cli_run_record_checkpoint},
    {"record", "validation", "", 0, 0, 0, "record a validation and print the record's id",
     "With --validator-key the validator's own key signs the body, so others can tell who validated. Sealing is as "
     "with checkpoints.",
     OPTIONS(MODEL_ID, MODEL_HASH, {"file", 0, 0, "FILE", "hash this file of the model instead"},
             {"validator", 0, 0, "NAME", "who validated"},
             {"result", 0, 0, "JSON", "an object such as '{\"accuracy\": 0.94}'; @FILE reads a file, - stdin"},
             {"checkpoint", 0, 0, "ID", "id of the checkpoint record that was validated"},
             {"confidence", 0, 0, "X", "confidence, from 0 to 1"},
             {"challenge", 0, 0, "FILE", "what the model was asked: its SHA-256 is recorded"},
             {"challenge-hash", 0, 0, "HASH", "or its SHA-256"},
             {"validator-key", 0, 0, "KEY", "name or file of the key that signs for the validator"},
             {"extra", 0, 0, "JSON", "further members of the record's body, an object"}, ACTOR),
     EXAMPLES({"prov record validation --file m.bin --validator lab-2 --result '{\"accuracy\": 0.94}'", "unsigned"},
              {"prov record validation --file m.bin --validator lab-2 --result @r.json --validator-key lab-2",
               "signed by the lab"}),
     cli_run_record_validation},
    {"history", NULL, "", 0, 0, CLI_LINES, "records of a model, oldest first",
     "Records that wait for a seal are shown too, without an index.",
     OPTIONS(MODEL_ID, STREAM, {"kind", 0, 0, "KIND", "only this kind, or a family with a dot at its end: training."},
             {"from", 0, 0, "INDEX", "begin at this index"}, {"limit", 0, 0, "N", "at most so many records"},
             {"newest", 0, 0, NULL, "newest first"}, {"sealed", 0, 0, NULL, "leave out what is not sealed yet"}),
     EXAMPLES({"prov history", "everything about the configured model"},
              {"prov history --kind training.checkpoint --newest --limit 10", "the last ten checkpoints"},
              {"prov history --json | jq -r .record.body.metrics.loss", "for programs: a record on each line"}),
     cli_run_history},
    {"log", "show", "", 0, 0, 0, "size, root and signer of a stream", NULL, OPTIONS(MODEL_ID, STREAM),
     EXAMPLES({"prov log show", "the configured model's stream"},
              {"prov log show --stream models/iris", "another stream"}),
     cli_run_log_show},
    {"log", "list", "", 0, 0, 0, "streams of the store", NULL, NULL,
     EXAMPLES({"prov log list", "their names and sizes"}), cli_run_log_list},
    {"log", "verify", "", 0, 0, 0, "read a whole stream again and check everything in it",
     "Every entry, hash, record, sequence and signature. Exit 3 when it is not intact, or intact and signed by "
     "nobody you trust.",
     OPTIONS(MODEL_ID, STREAM),
     EXAMPLES({"prov log verify", "with the keys of the configuration"},
              {"prov log verify --store file:///mnt/copy --stream models/iris --trust KEY",
               "a copy, with a key that you trust"}),
     cli_run_log_verify},
    {"log", "prove", "[ID]", 0, 1, 0, "prove that a record is in a stream, or that a stream only grew",
     "ID is the record's id (12 digits or more of it), or #INDEX. What is printed is a tlog-proof that other tools "
     "read. With --since it is the proof that the first N records are still the same.",
     OPTIONS(MODEL_ID, STREAM, {"since", 0, 0, "N", "consistency with the stream when it had N records"}),
     EXAMPLES({"prov log prove 3f9a1c0d22e8 -o record.tlog-proof", "inclusion of one record"},
              {"prov log prove --since 100", "nothing among the first 100 has changed"}),
     cli_run_log_prove},
    {"proof", "create", "", 0, 0, CLI_OWN_OUTPUT, "make the proof of training of a model",
     "Seals first. Without -o the proof goes to stdout. A file that is there is not written over without --force.",
     OPTIONS(MODEL_ID, FORCE),
     EXAMPLES({"prov proof create -o proof.json", "to a file"},
              {"prov proof create --model-id iris >proof.json", "to stdout"}),
     cli_run_proof_create},
    {"proof", "verify", "[FILE]", 0, 1, 0, "check a proof of training, offline",
     "Exit 0: intact, and signed by a key that you trust (trust.keys of the configuration, or --trust). Exit 3: "
     "changed in any byte, or signed by an unknown key. Exit 4: there is no such file. FILE may be - for stdin.",
     OPTIONS({"proof", 0, 0, "FILE", "the proof to check, in place of the operand"}),
     EXAMPLES({"prov proof verify proof.json", "with the keys of the configuration"},
              {"prov proof verify proof.json --trust \"$(cat their-log.key)\"", "with a key that they gave you"},
              {"prov proof verify proof.json --allow-unknown", "only whether it is intact"}),
     cli_run_proof_verify},
    {"proof", "show", "FILE", 1, 1, 0, "show a proof as a page for people",
     "It shows what the file says and checks nothing: that is what `prov proof verify` does.",
     OPTIONS({"html", 0, 0, NULL, "one self-contained HTML page"}),
     EXAMPLES({"prov proof show proof.json", "in the terminal"},
              {"prov proof show proof.json --html -o proof.html", "as a web page"}),
     cli_run_proof_show},
    {"verify", NULL, "[FILE]", 0, 1, CLI_ALIAS, "the same as proof verify", NULL,
     OPTIONS({"proof", 0, 0, "FILE", "the proof to check"}),
     EXAMPLES({"prov verify --proof proof.json", "check a proof"}), cli_run_proof_verify},
    {"key", "new", "NAME", 1, 1, 0, "make a key",
     "Keys are files of mode 0600 in the configuration's key folder. Names log and writer are the store's own; any "
     "other name is a validator's. A secret is never taken from the command line: a passphrase comes from "
     "PROV_PASSPHRASE, a file or the terminal.",
     OPTIONS({"algorithm", 0, 0, "ed25519|secp256k1", "default: ed25519"},
             {"encrypt", 0, 0, NULL, "protect the file with a passphrase"}, PASSPHRASE),
     EXAMPLES({"prov key new lab-2", "an Ed25519 key for a validator"},
              {"prov key new payer --algorithm secp256k1 --encrypt", "an Ethereum key, encrypted"}),
     cli_run_key_new},
    {"key", "import", "NAME FILE", 2, 2, 0, "take a key from a file", "Reads PEM, hex, keystore v3 and OpenSSH files.",
     OPTIONS(PASSPHRASE), EXAMPLES({"prov key import log /media/usb/log.pem", "use an existing log key"}),
     cli_run_key_import},
    {"key", "show", "NAME", 1, 1, 0, "print a public key on one line",
     "For log this is what others put into their trust.keys, or give to --trust.",
     OPTIONS({"all", 'a', 0, NULL, "all that is known about it"}),
     EXAMPLES({"prov key show log", "what others need in order to verify"},
              {"prov key show writer --all", "with its file and id"}),
     cli_run_key_show},
    {"key", "list", "", 0, 0, 0, "keys that are here", NULL, NULL,
     EXAMPLES({"prov key list", "names, kinds and public parts"}), cli_run_key_list},
    {"key", "authorize", "KEY", 1, 1, 0, "let another host's writer key sign in a stream",
     "KEY is as `prov key show writer` prints it.", OPTIONS(MODEL_ID, STREAM),
     EXAMPLES({"prov key authorize ed25519:9c0f... --model-id iris", "let another host record"}),
     cli_run_key_authorize},
    {"key", "revoke", "KEY", 1, 1, 0, "end what a writer key may do in a stream",
     "Records before the revocation stay valid.",
     OPTIONS(MODEL_ID, STREAM, {"reason", 0, 0, "TEXT", "why, for those who read the stream later"}),
     EXAMPLES({"prov key revoke ed25519:9c0f... --model-id iris --reason 'laptop stolen'", "from now on"}),
     cli_run_key_revoke},
    {"config", "check", "", 0, 0, 0, "check the configuration and the plugins that it names", NULL, NULL,
     EXAMPLES({"prov config check", "the one that is in use here"},
              {"prov config check --config new.yaml", "a file before it is used"}),
     cli_run_config_check},
    {"config", "show", "", 0, 0, 0, "print the merged configuration, without secrets", NULL,
     OPTIONS({"origin", 0, 0, NULL, "with the file and line, variable or flag that set each value"}),
     EXAMPLES({"prov config show", "what is in use"}, {"prov config show --origin", "and where it comes from"}),
     cli_run_config_show},
    {"config", "trust", "[FILE]", 0, 1, 0, "let a project's file choose plugins, keys and trust",
     "A file that came with a project is not trusted until you say so: read it first. A change of the file ends the "
     "trust.",
     NULL,
     EXAMPLES({"prov config trust", "the prov.yaml found upward from here"},
              {"prov config trust ./prov.yaml", "this file"}),
     cli_run_config_trust},
    {"plugin", "list", "", 0, 0, 0, "backends that are found", NULL, NULL,
     EXAMPLES({"prov plugin list", "names, roles and files"}), cli_run_plugin_list},
    {"plugin", "info", "NAME", 1, 1, 0, "what a backend offers and which options it takes",
     "NAME may be the path of a file.", NULL,
     EXAMPLES({"prov plugin info ./build/my-backend.so", "its options for the configuration"}), cli_run_plugin_info},
    {"plugin", "check", "NAME", 1, 1, 0, "load a backend and check that it keeps to the interface",
     "NAME may be the path of a file. It is first described in a process of its own.", NULL,
     EXAMPLES({"prov plugin check ./build/my-backend.so", "while you write one"}), cli_run_plugin_check},
    {"doctor", NULL, "", 0, 0, 0, "check everything and say what to do",
     "Also seals records that still wait in a journal.",
     OPTIONS({"blockchain", 0, 0, NULL, "the chain network too (as --network with the configured one)"}),
     EXAMPLES({"prov doctor", "configuration, keys, store, journal"}, {"prov doctor --network dev", "and a network"}),
     cli_run_doctor},
    {"test", NULL, "", 0, 0, CLI_ALIAS, "the same as doctor", NULL,
     OPTIONS({"blockchain", 0, 0, NULL, "the chain network too"}), EXAMPLES({"prov test", "check everything"}),
     cli_run_doctor},
    {"version", NULL, "", 0, 0, 0, "print the version", "With -v also of the libraries in use.", NULL,
     EXAMPLES({"prov version", "on one line"}, {"prov version --json", "for programs"}), cli_run_version},
    {"help", NULL, "[NOUN [VERB]]", 0, 2, 0, "show help", NULL, NULL,
     EXAMPLES({"prov help", "all commands"}, {"prov help proof verify", "one command"}), cli_run_help},
    {"__describe", NULL, "FILE [FD]", 1, 2, CLI_HIDDEN, "describe a plugin to a file descriptor", NULL, NULL, NULL,
     cli_run_describe},
    {"__man", NULL, "DIR", 1, 1, CLI_HIDDEN, "write the man pages", NULL, NULL, NULL, cli_run_man},
    {"__complete", NULL, "bash|zsh|fish", 1, 1, CLI_HIDDEN, "print a completion script", NULL, NULL, NULL,
     cli_run_complete},
    {"__markdown", NULL, "", 0, 0, CLI_HIDDEN, "print docs/cli.md", NULL, NULL, NULL, cli_run_markdown},
    {0}};

const struct cli_command *cli_command_next(const char *noun, const struct cli_command *row)
{
    for (row = row ? row + 1 : cli_commands; row->noun; row++)
        if (!(row->flags & (CLI_HIDDEN | CLI_ALIAS)) && (!noun || strcmp(row->noun, noun) == 0))
            return row;
    return NULL;
}

const struct cli_command *cli_command_find(const char *noun, const char *verb)
{
    for (const struct cli_command *row = cli_commands; row->noun; row++)
        if (strcmp(row->noun, noun) == 0 && (!row->verb || (verb && strcmp(row->verb, verb) == 0)))
            return row;
    return NULL;
}

const struct cli_noun *cli_noun_find(const char *name)
{
    for (const struct cli_noun *row = cli_nouns; row->name; row++)
        if (strcmp(row->name, name) == 0)
            return row;
    return NULL;
}
