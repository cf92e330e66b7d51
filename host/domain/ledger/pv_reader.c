/* pv_reader.c - reading one state of a stream. SPDX-License-Identifier: Apache-2.0 */
#include "pv_reader.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CACHE_TILES 64u
#define HEAD_MAX (64u << 10)
#define SEAL_MAX ((size_t)32 << 20)
#define BUNDLE_MAX ((size_t)PV_TILE_WIDTH * (PV_ENTRY_MAX + 2u))
#define KEY_MAX (PV_NAME_MAX + PV_TILE_NAME)
#define FETCH_MAX 64u
#define OPEN_TRIES 8

struct pv_reader_tile {
    bool used;
    unsigned level;
    uint64_t index;
    struct psdk_buf data;
};

int pv_stream_prefix(const char *path, char *ret, size_t cap, prov_error *err)
{
    const char *slash = strchr(path, '/');
    if (!*path) {
        ret[0] = '\0';
        return PROV_OK;
    }
    if (!slash || slash == path)
        return psdk_fail(err, PROV_E_INVALID, "stream '%.140s': want KIND/ID", path);
    int rc = pv_id_check("stream", slash + 1, err);
    if (!rc && snprintf(ret, cap, "%s/", path) >= (int)cap)
        rc = psdk_fail(err, PROV_E_LIMIT, "stream '%.140s': too long", path);
    return rc;
}

static void make_key(const struct pv_reader *r, const char *name, char ret[KEY_MAX])
{
    snprintf(ret, KEY_MAX, "%s%s", r->prefix, name);
}

/* ---- opening -------------------------------------------------------------------------------------------------------- */

static int parse_checkpoint(struct pv_reader *r, const struct psdk_buf *data, prov_error *err)
{
    struct pv_note note = {0};
    struct pv_tree_head head;
    int rc = pv_note_parse(psdk_buf_str(data), data->len, "checkpoint", &note, err);
    if (!rc)
        rc = pv_tree_head_parse(&note, &head, err);
    if (!rc && data->len >= sizeof r->published_note)
        rc = psdk_fail(err, PROV_E_CORRUPT, "checkpoint: %zu bytes", data->len);
    if (!rc) {
        r->published = head.size;
        memcpy(r->published_note, psdk_buf_str(data), data->len + 1);
    }
    pv_note_done(&note);
    return rc;
}

/* The last seal is committed but not materialised: compute its files in memory. */
int pv_reader_sealed_edge(struct pv_reader *r, struct pv_frontier *f, struct pv_files *files, prov_error *err)
{
    struct psdk_buf data = {0};
    struct pv_seal seal = {0};
    char key[KEY_MAX];
    uint8_t root[32];
    make_key(r, r->head.seal, key);
    int rc = pv_store_get(r->store, key, SEAL_MAX, &data, NULL, err);
    if (!rc)
        rc = pv_seal_parse(data.data, data.len, r->head.seal, &seal, err);
    if (!rc && (seal.size != r->head.tree.size || memcmp(seal.root, r->head.tree.root, 32) != 0 ||
                strcmp(seal.origin, r->head.tree.origin) != 0))
        rc = psdk_fail(err, PROV_E_CORRUPT, "%s: does not belong to the head", key);
    if (!rc) {
        pv_range_root(&seal.old, root);
        rc = pv_frontier_load(f, r->store, r->prefix, seal.old.size, root, err);
    }
    if (!rc)
        rc = pv_frontier_apply(f, &seal, files, err);
    if (!rc && pv_frontier_finish(f, files))
        rc = psdk_fail(err, PROV_E_NOMEM, "%s: out of memory", key);
    if (rc)
        pv_frontier_done(f);
    pv_seal_done(&seal);
    psdk_buf_done(&data);
    return rc;
}

static int load_overlay(struct pv_reader *r, prov_error *err)
{
    struct pv_frontier f = PV_FRONTIER_EMPTY;
    int rc = pv_reader_sealed_edge(r, &f, &r->overlay, err);
    pv_frontier_done(&f);
    return rc;
}

/* A stream that was copied to another place is not the stream of that place. */
static int check_place(const struct pv_reader *r, prov_error *err)
{
    char want[PV_NAME_MAX * 2 + 2];
    snprintf(want, sizeof want, "%s/%s", r->head.store, r->prefix);
    want[strlen(want) - 1] = '\0'; /* the prefix ends in a slash; without a prefix the one in between goes */
    if (strcmp(want, r->head.tree.origin) == 0)
        return PROV_OK;
    return psdk_fail(err, PROV_E_CORRUPT, "%shead.json: holds the stream %.200s; at this place %.200s belongs", r->prefix,
                     r->head.tree.origin, want);
}

static int load_head(struct pv_reader *r, prov_error *err)
{
    char keys[2][KEY_MAX];
    const char *key[2] = {keys[0], keys[1]};
    struct psdk_buf data[2] = {{0}, {0}};
    prov_object object[2] = {{.struct_size = sizeof(prov_object)}, {.struct_size = sizeof(prov_object)}};
    make_key(r, "head.json", keys[0]);
    make_key(r, "checkpoint", keys[1]);
    /* checkpoint first: it can then only be behind the head, never ahead of it */
    int rc = pv_store_get(r->store, key[1], PV_NOTE_MAX, &data[1], &object[1], err);
    if (rc == PROV_E_NOT_FOUND)
        rc = PROV_OK;
    else if (!rc)
        rc = parse_checkpoint(r, &data[1], err);
    if (!rc)
        rc = pv_store_get(r->store, key[0], HEAD_MAX, &data[0], &object[0], err);
    if (!rc)
        rc = pv_head_parse(psdk_buf_str(&data[0]), data[0].len, keys[0], &r->head, err);
    if (!rc)
        rc = check_place(r, err);
    if (!rc) {
        memcpy(r->etag, object[0].etag, sizeof r->etag);
        memcpy(r->published_etag, object[1].etag, sizeof r->published_etag);
        if (r->published == r->head.tree.size && strcmp(psdk_buf_str(&data[1]), r->head.tree_head_text) != 0)
            rc = psdk_fail(err, PROV_E_CORRUPT, "%s: is not the tree head of head.json", keys[1]);
        else if (r->published > r->head.tree.size)
            rc = psdk_fail(err, PROV_E_CORRUPT,
                           "%s: %llu entries, but the published checkpoint has %llu: the stream was rolled back", keys[0],
                           (unsigned long long)r->head.tree.size, (unsigned long long)r->published);
    }
    for (int i = 0; i < 2; i++)
        psdk_buf_done(&data[i]);
    return rc;
}

int pv_reader_open(struct pv_reader *r, struct pv_store *store, const char *path, prov_error *err)
{
    char seen[sizeof r->etag] = "";
    int rc = PROV_OK;
    for (int tries = 0; tries < OPEN_TRIES; tries++) {
        memset(r, 0, sizeof *r);
        r->store = store;
        rc = pv_stream_prefix(path, r->prefix, sizeof r->prefix, err);
        if (!rc)
            rc = load_head(r, err);
        if (!rc && r->published < r->head.tree.size)
            rc = load_overlay(r, err);
        if (!rc && !(r->cache = calloc(CACHE_TILES, sizeof *r->cache)))
            rc = psdk_fail(err, PROV_E_NOMEM, "reading a stream: out of memory");
        if (!rc)
            return PROV_OK;
        pv_reader_close(r);
        if (rc != PROV_E_NOT_FOUND || !r->etag[0])
            return rc;
        if (strcmp(seen, r->etag) == 0) { /* under a head that stands still nothing goes away */
            err->code = PROV_E_CORRUPT;
            return psdk_wrap(err, "a part of the stream is missing");
        }
        memcpy(seen, r->etag, sizeof seen); /* it went on while it was read */
    }
    err->code = PROV_E_CONFLICT;
    return psdk_wrap(err, "the stream is being written faster than it can be read");
}

void pv_reader_close(struct pv_reader *r)
{
    for (size_t i = 0; r->cache && i < CACHE_TILES; i++)
        psdk_buf_done(&r->cache[i].data);
    free(r->cache);
    r->cache = NULL;
    pv_files_done(&r->overlay);
}

/* ---- fetching ------------------------------------------------------------------------------------------------------- */

/* Gets n named files; missing[i] says that it is not there (allowed only when given). */
static int fetch(struct pv_reader *r, char (*names)[PV_TILE_NAME], size_t n, struct psdk_buf *rets, bool *missing,
                 prov_error *err)
{
    char keys[FETCH_MAX][KEY_MAX];
    const char *key[FETCH_MAX];
    size_t at[FETCH_MAX], want = 0;
    int codes[FETCH_MAX], rc = PROV_OK;
    struct psdk_buf got[FETCH_MAX];
    for (size_t i = 0; i < n; i++) {
        const struct pv_file *file = pv_files_find(&r->overlay, names[i]);
        if (missing)
            missing[i] = false;
        if (file) {
            psdk_buf_add(&rets[i], file->data.data, file->data.len);
            continue;
        }
        make_key(r, names[i], keys[want]);
        key[want] = keys[want];
        memset(&got[want], 0, sizeof got[want]);
        at[want++] = i;
    }
    if (want)
        rc = pv_store_get_many(r->store, key, want, BUNDLE_MAX, got, codes, err);
    for (size_t i = 0; i < want; i++) {
        if (!rc && codes[i] == PROV_E_NOT_FOUND && missing)
            missing[at[i]] = true;
        else if (!rc && codes[i])
            rc = psdk_fail(err, codes[i], "%s: %s", key[i], psdk_rc_text(codes[i]));
        else if (!rc)
            psdk_buf_add(&rets[at[i]], got[i].data, got[i].len);
        psdk_buf_done(&got[i]);
    }
    for (size_t i = 0; i < n && !rc; i++)
        rc = psdk_buf_check(&rets[i], err);
    return rc;
}

int pv_reader_bundles(struct pv_reader *r, uint64_t first, size_t n, struct psdk_buf *rets, prov_error *err)
{
    char names[FETCH_MAX][PV_TILE_NAME];
    if (n > FETCH_MAX)
        return psdk_fail(err, PROV_E_LIMIT, "at most %u bundles at once", FETCH_MAX);
    for (size_t i = 0; i < n; i++) {
        unsigned width = pv_tile_width(0, first + i, r->head.tree.size);
        if (!width)
            return psdk_fail(err, PROV_E_INVALID, "entry bundle %llu is past the end", (unsigned long long)(first + i));
        pv_entries_name(first + i, width, names[i]);
    }
    return fetch(r, names, n, rets, NULL, err);
}

int pv_reader_bundle(struct pv_reader *r, uint64_t index, struct psdk_buf *ret, prov_error *err)
{
    return pv_reader_bundles(r, index, 1, ret, err);
}

int pv_reader_signatures(struct pv_reader *r, uint64_t index, struct psdk_buf *ret, prov_error *err)
{
    char name[1][PV_TILE_NAME];
    bool missing;
    pv_signatures_name(index, pv_tile_width(0, index, r->head.tree.size), name[0]);
    return fetch(r, name, 1, ret, &missing, err);
}

int pv_reader_entry(struct pv_reader *r, uint64_t index, struct psdk_buf *ret, prov_error *err)
{
    struct psdk_buf bundle = {0};
    const uint8_t *entry = NULL;
    size_t at = 0, len = 0;
    int more = 1;
    if (index >= r->head.tree.size)
        return psdk_fail(err, PROV_E_NOT_FOUND, "entry %llu: the stream has %llu", (unsigned long long)index,
                         (unsigned long long)r->head.tree.size);
    int rc = pv_reader_bundle(r, index / PV_TILE_WIDTH, &bundle, err);
    for (uint64_t i = 0; !rc && i <= index % PV_TILE_WIDTH && more > 0; i++)
        more = pv_bundle_next(bundle.data, bundle.len, &at, &entry, &len);
    if (!rc && more <= 0)
        rc = psdk_fail(err, PROV_E_CORRUPT, "entry bundle %llu is cut", (unsigned long long)(index / PV_TILE_WIDTH));
    if (!rc) {
        psdk_buf_add(ret, entry, len);
        rc = psdk_buf_check(ret, err);
    }
    psdk_buf_done(&bundle);
    return rc;
}

/* ---- tiles ---------------------------------------------------------------------------------------------------------- */

static struct pv_reader_tile *slot_of(struct pv_reader *r, unsigned level, uint64_t index)
{
    return &r->cache[(index * 31 + level * 7) % CACHE_TILES];
}

static bool cached(struct pv_reader *r, unsigned level, uint64_t index)
{
    struct pv_reader_tile *t = slot_of(r, level, index);
    return t->used && t->level == level && t->index == index;
}

static int cache_tiles(struct pv_reader *r, const unsigned *level, const uint64_t *index, size_t n, prov_error *err)
{
    char names[FETCH_MAX][PV_TILE_NAME];
    struct psdk_buf data[FETCH_MAX];
    memset(data, 0, sizeof data);
    for (size_t i = 0; i < n; i++)
        pv_tile_name(level[i], index[i], pv_tile_width(level[i], index[i], r->head.tree.size), names[i]);
    int rc = fetch(r, names, n, data, NULL, err);
    for (size_t i = 0; i < n; i++) {
        if (!rc && data[i].len != (size_t)pv_tile_width(level[i], index[i], r->head.tree.size) * 32)
            rc = psdk_fail(err, PROV_E_CORRUPT, "%s%s: wrong size", r->prefix, names[i]);
        if (!rc) {
            struct pv_reader_tile *t = slot_of(r, level[i], index[i]);
            psdk_buf_done(&t->data);
            *t = (struct pv_reader_tile){true, level[i], index[i], data[i]};
        } else {
            psdk_buf_done(&data[i]);
        }
    }
    return rc;
}

static int need_tile(struct pv_reader *r, unsigned level, uint64_t index, const struct psdk_buf **ret, prov_error *err)
{
    if (pv_tile_width(level, index, r->head.tree.size) == 0)
        return psdk_fail(err, PROV_E_INVALID, "hash tile %u/%llu is past the end", level, (unsigned long long)index);
    int rc = cached(r, level, index) ? PROV_OK : cache_tiles(r, &level, &index, 1, err);
    *ret = &slot_of(r, level, index)->data;
    return rc;
}

int pv_reader_tile(struct pv_reader *r, unsigned level, uint64_t index, struct psdk_buf *ret, prov_error *err)
{
    const struct psdk_buf *tile = NULL;
    int rc = need_tile(r, level, index, &tile, err);
    if (!rc) {
        psdk_buf_add(ret, tile->data, tile->len);
        rc = psdk_buf_check(ret, err);
    }
    return rc;
}

static void tile_of_node(unsigned level, uint64_t index, unsigned *ret_level, uint64_t *ret_index, size_t *ret_at,
                         unsigned *ret_height)
{
    *ret_level = level / 8;
    *ret_height = level % 8;
    uint64_t first = index << *ret_height;
    *ret_index = first / PV_TILE_WIDTH;
    *ret_at = (size_t)(first % PV_TILE_WIDTH);
}

static int read_node(void *ctx, unsigned level, uint64_t index, uint8_t ret[32], prov_error *err)
{
    struct pv_reader *r = ctx;
    const struct psdk_buf *tile = NULL;
    unsigned tile_level, height;
    uint64_t tile_index;
    size_t at;
    tile_of_node(level, index, &tile_level, &tile_index, &at, &height);
    int rc = need_tile(r, tile_level, tile_index, &tile, err);
    if (rc)
        return rc;
    if ((at + ((size_t)1 << height)) * 32 > tile->len)
        return psdk_fail(err, PROV_E_INTERNAL, "node %u/%llu is not complete", level, (unsigned long long)index);
    pv_subtree_root((const uint8_t(*)[32])(tile->data + at * 32), height, ret);
    return PROV_OK;
}

int pv_reader_leaf(struct pv_reader *r, uint64_t index, uint8_t ret[32], prov_error *err)
{
    return read_node(r, 0, index, ret, err);
}

struct wanted {
    struct pv_reader *r;
    unsigned level[FETCH_MAX];
    uint64_t index[FETCH_MAX];
    size_t n;
};

static void want_node(void *ctx, unsigned level, uint64_t index)
{
    struct wanted *w = ctx;
    unsigned tile_level, height;
    uint64_t tile_index;
    size_t at;
    tile_of_node(level, index, &tile_level, &tile_index, &at, &height);
    for (size_t i = 0; i < w->n; i++)
        if (w->level[i] == tile_level && w->index[i] == tile_index)
            return;
    if (w->n == FETCH_MAX || cached(w->r, tile_level, tile_index))
        return;
    w->level[w->n] = tile_level;
    w->index[w->n++] = tile_index;
}

int pv_reader_inclusion(struct pv_reader *r, uint64_t index, struct pv_tlog_proof *ret, prov_error *err)
{
    struct wanted w = {.r = r};
    struct pv_node_reader reader = {r, read_node};
    uint8_t leaf[32];
    if (index >= r->head.tree.size)
        return psdk_fail(err, PROV_E_NOT_FOUND, "entry %llu: the stream has %llu", (unsigned long long)index,
                         (unsigned long long)r->head.tree.size);
    memset(ret, 0, sizeof *ret);
    ret->index = index;
    pv_inclusion_nodes(index, r->head.tree.size, want_node, &w);
    want_node(&w, 0, index);
    int rc = w.n ? cache_tiles(r, w.level, w.index, w.n, err) : PROV_OK;
    if (!rc)
        rc = pv_inclusion_prove(&reader, index, r->head.tree.size, ret->hash, &ret->count, err);
    if (!rc)
        rc = pv_reader_leaf(r, index, leaf, err);
    if (!rc && !pv_inclusion_verify(leaf, index, r->head.tree.size, (const uint8_t(*)[32])ret->hash, ret->count,
                                    r->head.tree.root))
        rc = psdk_fail(err, PROV_E_CORRUPT, "%s: the hash tiles do not lead to the root of the tree head", r->prefix);
    ret->tree_head = r->head.tree_head_text;
    ret->tree_head_len = strlen(r->head.tree_head_text);
    return rc;
}

int pv_reader_root(struct pv_reader *r, uint64_t size, uint8_t ret[32], prov_error *err)
{
    struct pv_node_reader reader = {r, read_node};
    struct pv_range range = {0};
    int rc = pv_range_read(&reader, size, &range, err);
    if (!rc)
        pv_range_root(&range, ret);
    return rc;
}

int pv_reader_consistency(struct pv_reader *r, uint64_t old_size, const uint8_t old_root[32], uint8_t ret[][32],
                          uint32_t *ret_count, prov_error *err)
{
    struct pv_node_reader reader = {r, read_node};
    *ret_count = 0;
    if (old_size > r->head.tree.size)
        return psdk_fail(err, PROV_E_CORRUPT, "%s: the stream has %llu entries, it had %llu: it was rolled back", r->prefix,
                         (unsigned long long)r->head.tree.size, (unsigned long long)old_size);
    if (old_size == 0)
        return PROV_OK;
    int rc = pv_consistency_prove(&reader, old_size, r->head.tree.size, ret, ret_count, err);
    if (!rc && !pv_consistency_verify(old_size, old_root, r->head.tree.size, r->head.tree.root,
                                      (const uint8_t(*)[32])ret, *ret_count))
        rc = psdk_fail(err, PROV_E_CORRUPT, "%s: the first %llu entries are not those that were there before: a fork",
                       r->prefix, (unsigned long long)old_size);
    return rc;
}

int pv_reader_find(struct pv_reader *r, const char *id_prefix, uint64_t *ret_index, prov_error *err)
{
    char want[PSDK_SHA256_HEX] = "", have[PSDK_SHA256_HEX];
    size_t n = strlen(id_prefix);
    uint64_t found = UINT64_MAX;
    for (size_t i = 0; i < n && i < 64; i++)
        want[i] = (char)tolower((unsigned char)id_prefix[i]);
    if (n < 12 || n > 64 || strspn(want, "0123456789abcdef") != n)
        return psdk_fail(err, PROV_E_INVALID, "record id '%.80s': want 12 to 64 hex digits", id_prefix);
    uint64_t tiles = (r->head.tree.size + PV_TILE_WIDTH - 1) / PV_TILE_WIDTH;
    for (uint64_t t = tiles; t-- > 0;) {
        struct psdk_buf tile = {0};
        int rc = pv_reader_tile(r, 0, t, &tile, err);
        for (size_t i = 0; !rc && i < tile.len / 32; i++) {
            psdk_hex(tile.data + i * 32, 32, have);
            if (memcmp(have, want, n) != 0)
                continue;
            if (found != UINT64_MAX)
                rc = psdk_fail(err, PROV_E_INVALID, "record id '%s': several records begin so; give more digits", id_prefix);
            found = t * PV_TILE_WIDTH + i;
        }
        psdk_buf_done(&tile);
        if (rc)
            return rc;
        if (n == 64 && found != UINT64_MAX)
            break;
    }
    if (found == UINT64_MAX)
        return psdk_fail(err, PROV_E_NOT_FOUND, "record '%s': not in this stream", id_prefix);
    *ret_index = found;
    return PROV_OK;
}
