/* note_tool.c - a thin command around pv_note.h and pv_tile.h, so that another implementation can check them.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 *   note_tool vkey SEED NAME                      the verifier key
 *   note_tool sign SEED NAME TEXT                 TEXT (a file) as a signed note
 *   note_tool verify VKEY NOTE...                 for each note one line: good, bad, unsigned, refused CODE WHY
 *   note_tool stream SEED ORIGIN ENTRIES FOLDER   the stream of the entries (one bundle) into FOLDER
 *   note_tool prove SEED ORIGIN ENTRIES INDEX     a tlog-proof
 *   note_tool check VKEY ENTRY PROOF...           for each proof one line: good, or why not
 *   note_tool authorize SEED ORIGIN ROLE KEY      the body of a key record, signed by SEED; KEY is 64 hex digits
 *   note_tool batch SEED ORIGIN WRITER WSEQ INDEX ID   the line of a batch signature
 *   note_tool name FOLDER INDEX WIDTH             the name of a tile; FOLDER is tile/L, tile/entries or signatures
 *
 * SEED is 64 hex digits. Everything else is done by the test in Python.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "psdk_file.h"
#include "psdk_hash.h"
#include "pv_merkle.h"
#include "pv_note.h"
#include "pv_record.h"
#include "pv_tile.h"

#define FILE_MAX ((size_t)64 << 20)

/* All nodes of a tree, level by level. */
struct tree {
    struct psdk_buf bundle;
    struct pv_range range;
    uint8_t (*level[64])[32];
};

static prov_error err;

static void need(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "note_tool: %s: %s\n", what, err.message);
    exit(2);
}

static void read_file(const char *path, struct psdk_buf *ret)
{
    need(psdk_read_file(path, FILE_MAX, ret, &err) == PROV_OK, path);
}

static void load_key(const char *seed_hex, struct psdk_ed25519 *ret)
{
    uint8_t seed[32];

    need(psdk_unhex(seed_hex, strlen(seed_hex), seed, sizeof(seed)), "the seed is not 64 hex digits");
    need(psdk_ed25519_from_seed(ret, seed, &err) == PROV_OK, "key");
}

static void keep_node(void *ctx, unsigned level, uint64_t index, const uint8_t hash[32])
{
    struct tree *tree = ctx;

    memcpy(tree->level[level][index], hash, 32);
}

static int read_node(void *ctx, unsigned level, uint64_t index, uint8_t ret[32], prov_error *why)
{
    const struct tree *tree = ctx;

    if (level > 63 || index >= tree->range.size >> level)
        return psdk_fail(why, PROV_E_NOT_FOUND, "no node %u/%llu", level, (unsigned long long)index);
    memcpy(ret, tree->level[level][index], 32);
    return PROV_OK;
}

static void load_tree(const char *path, struct tree *tree)
{
    const uint8_t *entry;
    size_t at = 0, len;
    uint64_t n = 0;
    int rc;

    read_file(path, &tree->bundle);
    while ((rc = pv_bundle_next(tree->bundle.data, tree->bundle.len, &at, &entry, &len)) == 1)
        n++;
    need(rc == 0, "the entries are cut");
    for (unsigned level = 0; level < 64; level++) {
        tree->level[level] = calloc((n >> level) + 1, 32);
        need(tree->level[level] != NULL, "memory");
    }
    at = 0;
    for (uint64_t i = 0; i < n; i++) {
        pv_bundle_next(tree->bundle.data, tree->bundle.len, &at, &entry, &len);
        psdk_leaf_hash(entry, len, tree->level[0][i]);
        pv_range_append(&tree->range, tree->level[0][i], keep_node, tree);
    }
}

static void free_tree(struct tree *tree)
{
    for (unsigned level = 0; level < 64; level++)
        free(tree->level[level]);
    psdk_buf_done(&tree->bundle);
}

static void signed_head(const char *seed, const char *origin, const struct tree *tree, struct psdk_buf *out)
{
    struct pv_tree_head head = {.size = tree->range.size};
    struct psdk_ed25519 key = {.pkey = NULL};

    load_key(seed, &key);
    need(snprintf(head.origin, sizeof(head.origin), "%s", origin) < (int)sizeof(head.origin), "origin");
    pv_range_root(&tree->range, head.root);
    need(pv_tree_head_sign(out, &head, &key, &err) == PROV_OK, "sign");
    psdk_ed25519_done(&key);
}

static void put(const char *folder, const char *name, const void *data, size_t len)
{
    char path[4096], dir[4096];

    need(snprintf(path, sizeof(path), "%s/%s", folder, name) < (int)sizeof(path), "path");
    need(psdk_dirname(path, dir, sizeof(dir), &err) == PROV_OK && psdk_mkdirs(dir, 0755, &err) == PROV_OK, path);
    FILE *out = fopen(path, "wb");
    need(out != NULL && fwrite(data, 1, len, out) == len && fclose(out) == 0, path);
}

static void put_entries(const struct tree *tree, const char *folder)
{
    const uint8_t *entry;
    size_t at = 0, len;
    char name[PV_TILE_NAME];
    unsigned width;

    for (uint64_t i = 0; (width = pv_tile_width(0, i, tree->range.size)) > 0; i++) {
        struct psdk_buf out = {0};
        for (unsigned k = 0; k < width; k++) {
            need(pv_bundle_next(tree->bundle.data, tree->bundle.len, &at, &entry, &len) == 1, "entries");
            need(pv_bundle_add(&out, entry, len) == PROV_OK, "entries");
        }
        pv_entries_name(i, width, name);
        put(folder, name, out.data, out.len);
        psdk_buf_done(&out);
    }
}

static int run_stream(const char *seed, const char *origin, const char *entries, const char *folder)
{
    struct tree tree = {.range = {.size = 0}};
    struct psdk_buf head = {0};
    char name[PV_TILE_NAME];
    unsigned width;

    load_tree(entries, &tree);
    put_entries(&tree, folder);
    for (unsigned level = 0; level < PV_TILE_LEVELS; level++) {
        for (uint64_t i = 0; (width = pv_tile_width(level, i, tree.range.size)) > 0; i++) {
            pv_tile_name(level, i, width, name);
            put(folder, name, tree.level[8 * level][i * PV_TILE_WIDTH], (size_t)width * 32);
        }
    }
    signed_head(seed, origin, &tree, &head);
    put(folder, "checkpoint", head.data, head.len);
    psdk_buf_done(&head);
    free_tree(&tree);
    return 0;
}

static int run_prove(const char *seed, const char *origin, const char *entries, const char *index)
{
    struct tree tree = {.range = {.size = 0}};
    struct pv_tlog_proof proof = {.index = strtoull(index, NULL, 10)};
    struct psdk_buf head = {0}, out = {0};

    load_tree(entries, &tree);
    const struct pv_node_reader reader = {&tree, read_node};
    need(pv_inclusion_prove(&reader, proof.index, tree.range.size, proof.hash, &proof.count, &err) == PROV_OK, "prove");
    signed_head(seed, origin, &tree, &head);
    proof.tree_head = psdk_buf_str(&head);
    proof.tree_head_len = head.len;
    need(pv_tlog_proof_write(&out, &proof) == PROV_OK, "write");
    fwrite(out.data, 1, out.len, stdout);
    psdk_buf_done(&out);
    psdk_buf_done(&head);
    free_tree(&tree);
    return 0;
}

static int run_sign(const char *seed, const char *name, const char *path)
{
    struct psdk_ed25519 key = {.pkey = NULL};
    struct psdk_buf text = {0}, out = {0};

    load_key(seed, &key);
    read_file(path, &text);
    need(pv_note_sign(&out, psdk_buf_str(&text), text.len, name, &key, &err) == PROV_OK, "sign");
    fwrite(out.data, 1, out.len, stdout);
    psdk_buf_done(&text);
    psdk_buf_done(&out);
    psdk_ed25519_done(&key);
    return 0;
}

static int run_vkey(const char *seed, const char *name)
{
    struct psdk_ed25519 key = {.pkey = NULL};
    struct psdk_buf out = {0};

    load_key(seed, &key);
    need(pv_vkey_format(&out, name, key.public_key) == PROV_OK, "name");
    puts(psdk_buf_str(&out));
    psdk_buf_done(&out);
    psdk_ed25519_done(&key);
    return 0;
}

static int run_verify(const char *vkey, char **paths)
{
    char name[PV_NAME_MAX];
    uint8_t public_key[32];

    need(pv_vkey_parse(vkey, name, public_key, &err) == PROV_OK, "verifier key");
    for (; *paths != NULL; paths++) {
        struct psdk_buf data = {0};
        struct pv_note note;
        bool bad = false;

        read_file(*paths, &data);
        int rc = pv_note_parse(psdk_buf_str(&data), data.len, "note", &note, &err);
        if (rc != PROV_OK) {
            printf("refused %s %s\n", psdk_rc_name(rc), err.message);
        } else {
            bool good = pv_note_signed_by(&note, name, public_key, &bad);
            puts(bad ? "bad" : good ? "good" : "unsigned");
            pv_note_done(&note);
        }
        psdk_buf_done(&data);
    }
    return 0;
}

static const char *check_proof(const char *name, const uint8_t public_key[32], const struct psdk_buf *text,
                               const struct psdk_buf *entry)
{
    struct pv_tlog_proof proof;
    struct pv_tree_head head;
    struct pv_note note;
    uint8_t leaf[32];
    bool bad = false;

    if (pv_tlog_proof_parse(psdk_buf_str(text), text->len, "proof", &proof, &err) != PROV_OK ||
        pv_note_parse(proof.tree_head, proof.tree_head_len, "tree head", &note, &err) != PROV_OK)
        return err.message;
    bool good = pv_note_signed_by(&note, name, public_key, &bad) && !bad;
    int rc = pv_tree_head_parse(&note, &head, &err);
    pv_note_done(&note);
    if (!good)
        return bad ? "the tree head has a bad signature" : "the tree head is not signed by this key";
    if (rc != PROV_OK)
        return err.message;
    if (strcmp(head.origin, name) != 0)
        return "the tree head is of another log";
    psdk_leaf_hash(psdk_buf_str(entry), entry->len, leaf);
    if (!pv_inclusion_verify(leaf, proof.index, head.size, (const uint8_t (*)[32])proof.hash, proof.count, head.root))
        return "the proof does not lead to the root";
    return "good";
}

static int run_check(const char *vkey, const char *entry_path, char **proof_paths)
{
    struct psdk_buf entry = {0};
    char name[PV_NAME_MAX];
    uint8_t public_key[32];

    need(pv_vkey_parse(vkey, name, public_key, &err) == PROV_OK, "verifier key");
    read_file(entry_path, &entry);
    for (; *proof_paths != NULL; proof_paths++) {
        struct psdk_buf text = {0};
        read_file(*proof_paths, &text);
        puts(check_proof(name, public_key, &text, &entry));
        psdk_buf_done(&text);
    }
    psdk_buf_done(&entry);
    return 0;
}

static int run_authorize(const char *seed, const char *origin, const char *role, const char *key_hex)
{
    struct psdk_ed25519 by = {.pkey = NULL};
    struct psdk_buf out = {0};
    uint8_t public_key[32];

    load_key(seed, &by);
    need(psdk_unhex(key_hex, strlen(key_hex), public_key, sizeof(public_key)), "KEY");
    need(pv_authorize_body(&out, origin, role, public_key, &by, &err) == PROV_OK, "authorize");
    puts(psdk_buf_str(&out));
    psdk_buf_done(&out);
    psdk_ed25519_done(&by);
    return 0;
}

/* arguments: SEED ORIGIN WRITER WSEQ INDEX ID */
static int run_batch(char **arguments)
{
    struct pv_batch_sig sig = {.wseq = strtoull(arguments[3], NULL, 10), .index = strtoull(arguments[4], NULL, 10)};
    struct psdk_ed25519 key = {.pkey = NULL};
    struct psdk_buf out = {0};

    load_key(arguments[0], &key);
    need(strlen(arguments[2]) == PV_WRITER_TEXT - 1, "WRITER");
    memcpy(sig.writer, arguments[2], PV_WRITER_TEXT);
    need(psdk_unhex(arguments[5], strlen(arguments[5]), sig.id, sizeof(sig.id)), "ID");
    need(pv_batch_sign(&sig, arguments[1], &key, &err) == PROV_OK && pv_batch_write(&out, &sig) == PROV_OK, "batch");
    fwrite(out.data, 1, out.len, stdout);
    psdk_buf_done(&out);
    psdk_ed25519_done(&key);
    return 0;
}

static int run_name(const char *folder, const char *index_text, const char *width_text)
{
    uint64_t index = strtoull(index_text, NULL, 10), index_again;
    unsigned width = (unsigned)strtoul(width_text, NULL, 10), level_again, width_again;
    char name[PV_TILE_NAME], kind;

    if (strcmp(folder, "signatures") == 0)
        pv_signatures_name(index, width, name);
    else if (strcmp(folder, "tile/entries") == 0)
        pv_entries_name(index, width, name);
    else
        pv_tile_name((unsigned)strtoul(folder + strlen("tile/"), NULL, 10), index, width, name);
    need(pv_tile_name_parse(name, &kind, &level_again, &index_again, &width_again) && index_again == index &&
         width_again == width, "the name does not read back");
    puts(name);
    return 0;
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";

    if (strcmp(what, "vkey") == 0 && argc == 4)
        return run_vkey(argv[2], argv[3]);
    if (strcmp(what, "sign") == 0 && argc == 5)
        return run_sign(argv[2], argv[3], argv[4]);
    if (strcmp(what, "verify") == 0 && argc >= 4)
        return run_verify(argv[2], argv + 3);
    if (strcmp(what, "stream") == 0 && argc == 6)
        return run_stream(argv[2], argv[3], argv[4], argv[5]);
    if (strcmp(what, "prove") == 0 && argc == 6)
        return run_prove(argv[2], argv[3], argv[4], argv[5]);
    if (strcmp(what, "check") == 0 && argc >= 5)
        return run_check(argv[2], argv[3], argv + 4);
    if (strcmp(what, "authorize") == 0 && argc == 6)
        return run_authorize(argv[2], argv[3], argv[4], argv[5]);
    if (strcmp(what, "batch") == 0 && argc == 8)
        return run_batch(argv + 2);
    if (strcmp(what, "name") == 0 && argc == 5)
        return run_name(argv[2], argv[3], argv[4]);
    fprintf(stderr, "note_tool: see the top of note_tool.c\n");
    return 2;
}
