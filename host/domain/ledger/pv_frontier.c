/* pv_frontier.c - the growing edge of a stream. SPDX-License-Identifier: Apache-2.0 */
#include "pv_frontier.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUNDLE_BYTES_MAX ((size_t)PV_TILE_WIDTH * (PV_ENTRY_MAX + 2u))

void pv_files_done(struct pv_files *files)
{
    for (size_t i = 0; i < files->n; i++)
        psdk_buf_done(&files->item[i].data);
    free(files->item);
    memset(files, 0, sizeof *files);
}

const struct pv_file *pv_files_find(const struct pv_files *files, const char *name)
{
    for (size_t i = 0; i < files->n; i++)
        if (strcmp(files->item[i].name, name) == 0)
            return &files->item[i];
    return NULL;
}

struct psdk_buf *pv_files_add(struct pv_files *files, const char *name)
{
    if (files->n == files->cap) {
        size_t cap = files->cap ? files->cap * 2 : 16;
        struct pv_file *more = realloc(files->item, cap * sizeof *more);
        if (!more)
            return NULL;
        files->item = more;
        files->cap = cap;
    }
    struct pv_file *file = &files->item[files->n++];
    memset(file, 0, sizeof *file);
    snprintf(file->name, sizeof file->name, "%s", name);
    return &file->data;
}

void pv_frontier_done(struct pv_frontier *f)
{
    psdk_buf_done(&f->entries);
    psdk_buf_done(&f->sigs);
    memset(f, 0, sizeof *f);
}

void pv_subtree_root(const uint8_t (*hash)[32], unsigned height, uint8_t ret[32])
{
    uint8_t work[PV_TILE_WIDTH / 2][32];
    if (height == 0) {
        memcpy(ret, hash[0], 32);
        return;
    }
    size_t n = (size_t)1 << (height - 1);
    for (size_t i = 0; i < n; i++)
        psdk_node_hash(hash[2 * i], hash[2 * i + 1], work[i]);
    for (; n > 1; n /= 2)
        for (size_t i = 0; i < n / 2; i++)
            psdk_node_hash(work[2 * i], work[2 * i + 1], work[i]);
    memcpy(ret, work[0], 32);
}

static int add_copy(struct pv_files *files, const char *name, const void *data, size_t len)
{
    struct psdk_buf *buf = pv_files_add(files, name);
    return buf ? psdk_buf_add(buf, data, len) : PROV_E_NOMEM;
}

/* Index of the open tile at a level in a tree of f's size; a full tile that was not given out yet is still open. */
static uint64_t open_index(const struct pv_frontier *f, unsigned level)
{
    uint64_t nodes = f->range.size >> (8 * level);
    uint64_t index = nodes / PV_TILE_WIDTH;
    return f->level[level].n == PV_TILE_WIDTH ? index - 1 : index;
}

static int give_tile(struct pv_frontier *f, unsigned level, struct pv_files *files)
{
    char name[PV_TILE_NAME];
    pv_tile_name(level, open_index(f, level), f->level[level].n, name);
    return add_copy(files, name, f->level[level].hash, (size_t)f->level[level].n * 32);
}

static int give_bundle(struct pv_frontier *f, struct pv_files *files)
{
    char name[PV_TILE_NAME];
    pv_entries_name(open_index(f, 0), f->level[0].n, name);
    int rc = add_copy(files, name, f->entries.data, f->entries.len);
    if (!rc && f->sigs.len) {
        pv_signatures_name(open_index(f, 0), f->level[0].n, name);
        rc = add_copy(files, name, f->sigs.data, f->sigs.len);
    }
    return rc;
}

/* A tile that is full is given out when the next hash comes (or at the end), so that signatures of its last entry are in. */
static int give_if_full(struct pv_frontier *f, unsigned level, struct pv_files *files)
{
    if (f->level[level].n < PV_TILE_WIDTH)
        return PROV_OK;
    int rc = give_tile(f, level, files);
    if (!rc && level == 0) {
        rc = give_bundle(f, files);
        psdk_buf_clear(&f->entries);
        psdk_buf_clear(&f->sigs);
    }
    f->level[level].n = 0;
    return rc;
}

static int give_all_full(struct pv_frontier *f, struct pv_files *files)
{
    int rc = PROV_OK;
    for (unsigned level = 0; level < PV_TILE_LEVELS && !rc; level++)
        rc = give_if_full(f, level, files);
    return rc;
}

int pv_frontier_add(struct pv_frontier *f, const uint8_t *entry, size_t len, const uint8_t leaf[32], struct pv_files *files)
{
    int rc = give_all_full(f, files);
    if (!rc)
        rc = pv_bundle_add(&f->entries, entry, len);
    if (rc)
        return rc;
    uint8_t up[32];
    memcpy(up, leaf, 32);
    for (unsigned level = 0; level < PV_TILE_LEVELS; level++) {
        struct pv_open_tile *tile = &f->level[level];
        memcpy(tile->hash[tile->n++], up, 32);
        if (tile->n < PV_TILE_WIDTH)
            break;
        pv_subtree_root((const uint8_t(*)[32])tile->hash, 8, up);
    }
    pv_range_append(&f->range, leaf, NULL, NULL);
    return PROV_OK;
}

int pv_frontier_sign(struct pv_frontier *f, const struct pv_batch_sig *sig)
{
    return pv_batch_write(&f->sigs, sig);
}

int pv_frontier_finish(struct pv_frontier *f, struct pv_files *files)
{
    int rc = give_all_full(f, files);
    for (unsigned level = 0; level < PV_TILE_LEVELS && !rc; level++)
        if (f->level[level].n)
            rc = give_tile(f, level, files);
    if (!rc && f->level[0].n)
        rc = give_bundle(f, files);
    return rc;
}

int pv_frontier_apply(struct pv_frontier *f, const struct pv_seal *seal, struct pv_files *files, prov_error *err)
{
    const uint8_t *entry;
    size_t at = 0, len;
    uint32_t sig = 0;
    uint8_t root[32];
    int rc, more;
    if (f->range.size != seal->old.size)
        return psdk_fail(err, PROV_E_CORRUPT, "the seal continues a tree of %llu entries, not of %llu",
                         (unsigned long long)seal->old.size, (unsigned long long)f->range.size);
    while ((more = pv_bundle_next(seal->entries, seal->entries_len, &at, &entry, &len)) > 0) {
        uint8_t leaf[32];
        psdk_leaf_hash(entry, len, leaf);
        rc = pv_frontier_add(f, entry, len, leaf, files);
        for (; !rc && sig < seal->n_sigs && seal->sigs[sig].index == f->range.size - 1; sig++)
            rc = pv_frontier_sign(f, &seal->sigs[sig]);
        if (rc)
            return psdk_fail(err, rc, "applying a seal: %s", psdk_rc_text(rc));
    }
    pv_range_root(&f->range, root);
    if (more < 0 || sig != seal->n_sigs || f->range.size != seal->size || memcmp(root, seal->root, 32) != 0)
        return psdk_fail(err, PROV_E_CORRUPT, "the seal's entries do not lead to its root");
    return PROV_OK;
}

/* ---- loading ---------------------------------------------------------------------------------------------------------- */

int pv_frontier_partials(uint64_t size, struct pv_files *ret)
{
    char name[PV_TILE_NAME];
    for (unsigned level = 0; level < PV_TILE_LEVELS; level++) {
        uint64_t nodes = size >> (8 * level);
        unsigned width = (unsigned)(nodes % PV_TILE_WIDTH);
        if (!width)
            continue;
        pv_tile_name(level, nodes / PV_TILE_WIDTH, width, name);
        if (!pv_files_add(ret, name))
            return PROV_E_NOMEM;
        if (level)
            continue;
        pv_entries_name(nodes / PV_TILE_WIDTH, width, name);
        if (!pv_files_add(ret, name))
            return PROV_E_NOMEM;
        pv_signatures_name(nodes / PV_TILE_WIDTH, width, name);
        if (!pv_files_add(ret, name))
            return PROV_E_NOMEM;
    }
    return PROV_OK;
}

static int put_partial(struct pv_frontier *f, const char *name, struct psdk_buf *data, int code, prov_error *err)
{
    char kind;
    unsigned level, width;
    uint64_t index;
    pv_tile_name_parse(name, &kind, &level, &index, &width);
    if (kind == 's') {
        f->sigs = *data;
        memset(data, 0, sizeof *data);
        return PROV_OK;
    }
    if (code) /* PROV_E_NOT_FOUND: damage, or superseded meanwhile; the caller knows which */
        return psdk_fail(err, code, "%s: %s", name, psdk_rc_text(code));
    if (kind == 'e') {
        f->entries = *data;
        memset(data, 0, sizeof *data);
        return PROV_OK;
    }
    if (data->len != (size_t)width * 32)
        return psdk_fail(err, PROV_E_CORRUPT, "%s: %zu bytes, want %u", name, data->len, width * 32);
    memcpy(f->level[level].hash, data->data, data->len);
    f->level[level].n = width;
    return PROV_OK;
}

/* The compact range follows from the open tiles. */
static void range_from_tiles(struct pv_frontier *f, uint64_t size)
{
    f->range.size = size;
    f->range.count = 0;
    for (int bit = 63; bit >= 0; bit--) {
        if (!(size >> bit & 1))
            continue;
        unsigned level = (unsigned)bit / 8, height = (unsigned)bit % 8;
        uint64_t first = (size >> bit) - 1; /* the node at level `bit` */
        size_t at = (size_t)((first << height) % PV_TILE_WIDTH);
        pv_subtree_root((const uint8_t(*)[32])&f->level[level].hash[at], height, f->range.hash[f->range.count++]);
    }
}

static int check_edge(const struct pv_frontier *f, const uint8_t root[32], prov_error *err)
{
    const uint8_t *entry;
    size_t at = 0, len;
    uint32_t n = 0;
    uint8_t hash[32];
    int more;
    while ((more = pv_bundle_next(f->entries.data, f->entries.len, &at, &entry, &len)) > 0) {
        psdk_leaf_hash(entry, len, hash);
        if (n >= f->level[0].n || memcmp(hash, f->level[0].hash[n], 32) != 0)
            return psdk_fail(err, PROV_E_CORRUPT, "the last entry bundle does not fit its hash tile");
        n++;
    }
    pv_range_root(&f->range, hash);
    if (more < 0 || n != f->level[0].n || memcmp(hash, root, 32) != 0)
        return psdk_fail(err, PROV_E_CORRUPT, "the last tiles do not lead to the root of the tree head");
    return PROV_OK;
}

int pv_frontier_load(struct pv_frontier *f, struct pv_store *store, const char *prefix, uint64_t size,
                     const uint8_t root[32], prov_error *err)
{
    struct pv_files names = {0};
    struct psdk_buf data[PV_TILE_LEVELS + 2] = {{0}};
    char keys[PV_TILE_LEVELS + 2][768];
    const char *key[PV_TILE_LEVELS + 2];
    int codes[PV_TILE_LEVELS + 2];
    memset(f, 0, sizeof *f);
    int rc = pv_frontier_partials(size, &names);
    for (size_t i = 0; i < names.n; i++) {
        snprintf(keys[i], sizeof keys[i], "%s%s", prefix, names.item[i].name);
        key[i] = keys[i];
    }
    if (!rc && names.n)
        rc = pv_store_get_many(store, key, names.n, BUNDLE_BYTES_MAX, data, codes, err);
    for (size_t i = 0; i < names.n && !rc; i++)
        rc = put_partial(f, names.item[i].name, &data[i], codes[i], err);
    if (!rc) {
        range_from_tiles(f, size);
        rc = check_edge(f, root, err);
    }
    for (size_t i = 0; i < names.n; i++)
        psdk_buf_done(&data[i]);
    pv_files_done(&names);
    if (rc) {
        pv_frontier_done(f);
        return psdk_wrap(err, "%s: loading the edge of the tree (%llu entries)", prefix, (unsigned long long)size);
    }
    return PROV_OK;
}
