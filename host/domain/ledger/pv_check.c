/* pv_check.c - checking records in log order. SPDX-License-Identifier: Apache-2.0 */
#include "pv_check.h"

#include <stdlib.h>
#include <string.h>

/* A writer instance. */
struct writer {
    char text[PV_WRITER_TEXT];
    uint8_t key[32];
    bool key_known;
    uint64_t next_wseq;
    uint8_t prev[32];
    uint64_t last_ns;
    uint64_t signed_wseq; /* records below are covered */
};

/* A key that was authorised in this stream. */
struct known_key {
    uint8_t key[32];
    char id[PSDK_KEYID_HEX];
    bool revoked;
};

/* One of the last entries, for the signatures that stand beside them. */
struct recent {
    uint8_t id[32];
    uint64_t wseq;
    uint32_t writer;
};

struct pv_checker {
    char origin[PV_NAME_MAX];
    uint8_t log_key[32];
    struct pv_range range;
    struct writer *writer;
    uint32_t n_writers, cap_writers;
    uint32_t last_writer; /* where the search starts */
    struct known_key *key;
    uint32_t n_keys, cap_keys;
    struct recent recent[PV_TILE_WIDTH];
};

int pv_checker_new(const char *origin, const uint8_t log_key[32], struct pv_checker **ret, prov_error *err)
{
    struct pv_checker *c = calloc(1, sizeof *c);
    if (!c || strlen(origin) >= sizeof c->origin) {
        free(c);
        return psdk_fail(err, PROV_E_NOMEM, "checking: out of memory");
    }
    memcpy(c->origin, origin, strlen(origin) + 1);
    memcpy(c->log_key, log_key, 32);
    *ret = c;
    return PROV_OK;
}

void pv_checker_free(struct pv_checker *c)
{
    if (!c)
        return;
    free(c->writer);
    free(c->key);
    free(c);
}

uint64_t pv_checker_count(const struct pv_checker *c)
{
    return c->range.size;
}

void pv_checker_writers(const struct pv_checker *c,
                        void (*each)(void *ctx, const char *writer, uint64_t records, const uint8_t key[32]), void *ctx)
{
    for (uint32_t i = 0; i < c->n_writers; i++)
        each(ctx, c->writer[i].text, c->writer[i].next_wseq, c->writer[i].key);
}

static void *grow(void *array, uint32_t n, uint32_t *cap, size_t each)
{
    if (n < *cap)
        return array;
    uint32_t more = *cap ? *cap * 2 : 8;
    void *bigger = realloc(array, more * each);
    if (bigger)
        *cap = more;
    return bigger;
}

static struct known_key *find_key(struct pv_checker *c, const char *id)
{
    for (uint32_t i = 0; i < c->n_keys; i++)
        if (memcmp(c->key[i].id, id, PSDK_KEYID_HEX - 1) == 0)
            return &c->key[i];
    return NULL;
}

static int find_writer(struct pv_checker *c, const struct pv_slice *text, uint32_t *ret, prov_error *err)
{
    for (uint32_t n = 0; n < c->n_writers; n++) {
        uint32_t i = (c->last_writer + n) % c->n_writers;
        if (memcmp(c->writer[i].text, text->data, PV_WRITER_TEXT - 1) == 0) {
            *ret = c->last_writer = i;
            return PROV_OK;
        }
    }
    struct writer *w = grow(c->writer, c->n_writers, &c->cap_writers, sizeof *w);
    if (!w)
        return psdk_fail(err, PROV_E_NOMEM, "checking: out of memory");
    c->writer = w;
    w = &c->writer[c->n_writers];
    memset(w, 0, sizeof *w);
    memcpy(w->text, text->data, PV_WRITER_TEXT - 1);
    *ret = c->last_writer = c->n_writers++;
    return PROV_OK;
}

static bool kind_is(const struct pv_record *r, const char *kind)
{
    return r->kind.len == strlen(kind) && memcmp(r->kind.data, kind, r->kind.len) == 0;
}

static unsigned long long leaf(const struct pv_checker *c)
{
    return (unsigned long long)c->range.size;
}

/* key.authorize and key.revoke: who may sign them, and what they change. */
static int apply_key_record(struct pv_checker *c, const struct pv_record *r, bool revoke, prov_error *err)
{
    struct pv_authorize auth;
    char id[PSDK_KEYID_HEX], by[PSDK_KEYID_HEX];
    int rc = pv_authorize_parse(r, &auth, err);
    if (rc)
        return psdk_wrap(err, "leaf %llu", leaf(c));
    if (strcmp(auth.role, revoke ? "revoke" : "writer") != 0)
        return psdk_fail(err, PROV_E_CORRUPT, "leaf %llu: key record of the unknown role '%s'", leaf(c), auth.role);
    psdk_key_id(auth.by, by);
    const struct known_key *signer = find_key(c, by);
    bool by_log = memcmp(auth.by, c->log_key, 32) == 0;
    if (revoke && !by_log)
        return psdk_fail(err, PROV_E_CORRUPT, "leaf %llu: only the log key revokes keys, not %s", leaf(c), by);
    if (!by_log && (!signer || signer->revoked))
        return psdk_fail(err, PROV_E_CORRUPT, "leaf %llu: the key %s was not authorised to change keys", leaf(c), by);
    if (!pv_authorize_verify(&auth, c->origin))
        return psdk_fail(err, PROV_E_CORRUPT, "leaf %llu: the signature of key %s does not verify", leaf(c), by);
    psdk_key_id(auth.key, id);
    struct known_key *key = find_key(c, id);
    if (!key) {
        key = grow(c->key, c->n_keys, &c->cap_keys, sizeof *key);
        if (!key)
            return psdk_fail(err, PROV_E_NOMEM, "checking: out of memory");
        c->key = key;
        key = &c->key[c->n_keys++];
        memset(key, 0, sizeof *key);
        memcpy(key->key, auth.key, 32);
        memcpy(key->id, id, sizeof id);
    }
    key->revoked = key->revoked || revoke; /* what was revoked stays revoked, whoever authorises it again */
    return PROV_OK;
}

static int check_key_of(struct pv_checker *c, struct writer *w, prov_error *err)
{
    struct known_key *key = find_key(c, w->text);
    if (!key)
        return psdk_fail(err, PROV_E_CORRUPT, "leaf %llu: its writer's key %.32s was not authorised before", leaf(c), w->text);
    if (key->revoked)
        return psdk_fail(err, PROV_E_CORRUPT, "leaf %llu: its writer's key %.32s was revoked before", leaf(c), w->text);
    memcpy(w->key, key->key, 32);
    w->key_known = true;
    return PROV_OK;
}

static int check_sequence(struct pv_checker *c, const struct pv_record *r, struct writer *w, prov_error *err)
{
    if (r->wseq != w->next_wseq)
        return psdk_fail(err, PROV_E_CORRUPT, "leaf %llu: record %llu of writer %.49s where %llu was due: %s", leaf(c),
                         (unsigned long long)r->wseq, w->text, (unsigned long long)w->next_wseq,
                         r->wseq < w->next_wseq ? "doubled or out of order" : "a record is missing before it");
    if (r->wseq && memcmp(r->prev, w->prev, 32) != 0)
        return psdk_fail(err, PROV_E_CORRUPT, "leaf %llu: does not follow record %llu of its writer", leaf(c),
                         (unsigned long long)(r->wseq - 1));
    if (r->timestamp_ns < w->last_ns)
        return psdk_fail(err, PROV_E_CORRUPT, "leaf %llu: its time is before that of its writer's last record", leaf(c));
    return PROV_OK;
}

int pv_checker_entry(struct pv_checker *c, const uint8_t *entry, size_t len, struct pv_record *ret, prov_error *err)
{
    struct pv_record record;
    uint32_t at = 0;
    int rc = pv_record_parse((const char *)entry, len, "record", &record, err);
    if (rc)
        return psdk_wrap(err, "leaf %llu", leaf(c));
    if (record.origin.len != strlen(c->origin) || memcmp(record.origin.data, c->origin, record.origin.len) != 0)
        return psdk_fail(err, PROV_E_CORRUPT, "leaf %llu: is of the stream %.*s", leaf(c), (int)record.origin.len,
                         record.origin.data);
    rc = find_writer(c, &record.writer, &at, err);
    if (!rc)
        rc = check_sequence(c, &record, &c->writer[at], err);
    if (!rc && kind_is(&record, "key.authorize")) /* it may be the one that authorises its own writer */
        rc = apply_key_record(c, &record, false, err);
    if (!rc)
        rc = check_key_of(c, &c->writer[at], err);
    if (!rc && kind_is(&record, "key.revoke")) /* which may be its writer's last act */
        rc = apply_key_record(c, &record, true, err);
    if (rc)
        return rc;
    struct writer *w = &c->writer[at];
    w->next_wseq++;
    w->last_ns = record.timestamp_ns;
    memcpy(w->prev, record.id, 32);
    struct recent *recent = &c->recent[c->range.size % PV_TILE_WIDTH];
    memcpy(recent->id, record.id, 32);
    recent->wseq = record.wseq;
    recent->writer = at;
    pv_range_append(&c->range, record.id, NULL, NULL);
    if (ret)
        *ret = record;
    return PROV_OK;
}

int pv_checker_signature(struct pv_checker *c, const struct pv_batch_sig *sig, prov_error *err)
{
    unsigned long long index = (unsigned long long)sig->index;
    if (sig->index >= c->range.size || c->range.size - sig->index > PV_TILE_WIDTH)
        return psdk_fail(err, PROV_E_CORRUPT, "signature of leaf %llu: stands in the wrong place", index);
    const struct recent *recent = &c->recent[sig->index % PV_TILE_WIDTH];
    struct writer *w = &c->writer[recent->writer];
    if (memcmp(recent->id, sig->id, 32) != 0 || recent->wseq != sig->wseq || strcmp(w->text, sig->writer) != 0)
        return psdk_fail(err, PROV_E_CORRUPT, "signature of leaf %llu: is of another record", index);
    if (!pv_batch_verify(sig, c->origin, w->key))
        return psdk_fail(err, PROV_E_CORRUPT, "signature of leaf %llu: does not verify", index);
    if (sig->wseq + 1 > w->signed_wseq)
        w->signed_wseq = sig->wseq + 1;
    return PROV_OK;
}

int pv_checker_signatures(struct pv_checker *c, const char *lines, size_t len, prov_error *err)
{
    int rc = PROV_OK;
    for (const char *at = lines, *end = lines + len; !rc && at < end;) {
        struct pv_batch_sig sig;
        const char *nl = memchr(at, '\n', (size_t)(end - at));
        if (!nl)
            return psdk_fail(err, PROV_E_CORRUPT, "signatures: the last line is cut");
        rc = pv_batch_parse(at, (size_t)(nl - at), "signatures", &sig, err);
        if (!rc)
            rc = pv_checker_signature(c, &sig, err);
        at = nl + 1;
    }
    return rc;
}

int pv_checker_finish(struct pv_checker *c, uint8_t ret_root[32], prov_error *err)
{
    pv_range_root(&c->range, ret_root);
    for (uint32_t i = 0; i < c->n_writers; i++) {
        const struct writer *w = &c->writer[i];
        if (w->signed_wseq != w->next_wseq)
            return psdk_fail(err, PROV_E_CORRUPT, "writer %s: its records %llu to %llu carry no signature", w->text,
                             (unsigned long long)w->signed_wseq, (unsigned long long)(w->next_wseq - 1));
    }
    return PROV_OK;
}

/* ---- a whole stream ------------------------------------------------------------------------------------------------- */

#define CHECK_AHEAD 16u

struct stream_check {
    struct pv_reader *r;
    struct pv_checker *c;
    struct pv_frontier *edge; /* recomputes the tiles */
    struct pv_files files;    /* tiles that the last bundle completed */
};

/* The hash tiles that are stored must be those that the entries give. */
static int compare_tiles(struct stream_check *x, prov_error *err)
{
    int rc = PROV_OK;
    for (size_t i = 0; i < x->files.n && !rc; i++) {
        struct psdk_buf stored = {0};
        unsigned level, width;
        uint64_t index;
        char kind;
        if (!pv_tile_name_parse(x->files.item[i].name, &kind, &level, &index, &width) || kind != 'h')
            continue;
        rc = pv_reader_tile(x->r, level, index, &stored, err);
        if (rc == PROV_E_NOT_FOUND)
            rc = psdk_fail(err, PROV_E_CORRUPT, "%s is missing", x->files.item[i].name);
        if (!rc && (stored.len != x->files.item[i].data.len ||
                    memcmp(stored.data, x->files.item[i].data.data, stored.len) != 0))
            rc = psdk_fail(err, PROV_E_CORRUPT, "%s does not hold the hashes of its entries", x->files.item[i].name);
        psdk_buf_done(&stored);
    }
    pv_files_done(&x->files);
    return rc;
}

static int check_bundle(struct stream_check *x, uint64_t index, const struct psdk_buf *bundle, prov_error *err)
{
    const uint8_t *entry;
    size_t at = 0, len;
    int more, rc = PROV_OK;
    uint64_t first = pv_checker_count(x->c);
    struct psdk_buf sigs = {0};
    while (!rc && (more = pv_bundle_next(bundle->data, bundle->len, &at, &entry, &len)) != 0) {
        struct pv_record record;
        rc = more < 0 ? psdk_fail(err, PROV_E_CORRUPT, "entry bundle %llu is cut", (unsigned long long)index)
                      : pv_checker_entry(x->c, entry, len, &record, err);
        if (!rc && pv_frontier_add(x->edge, entry, len, record.id, &x->files))
            rc = psdk_fail(err, PROV_E_NOMEM, "checking: out of memory");
    }
    unsigned width = pv_tile_width(0, index, x->r->head.tree.size);
    if (!rc && pv_checker_count(x->c) - first != width)
        rc = psdk_fail(err, PROV_E_CORRUPT, "entry bundle %llu holds %llu entries, want %u", (unsigned long long)index,
                       (unsigned long long)(pv_checker_count(x->c) - first), width);
    if (!rc)
        rc = pv_reader_signatures(x->r, index, &sigs, err);
    if (!rc)
        rc = pv_checker_signatures(x->c, psdk_buf_str(&sigs), sigs.len, err);
    psdk_buf_done(&sigs);
    return rc ? rc : compare_tiles(x, err);
}

static int check_bundles(struct stream_check *x, void (*progress)(void *ctx, uint64_t done, uint64_t all), void *ctx,
                         prov_error *err)
{
    uint64_t size = x->r->head.tree.size, bundles = (size + PV_TILE_WIDTH - 1) / PV_TILE_WIDTH;
    int rc = PROV_OK;
    for (uint64_t b = 0; b < bundles && !rc;) {
        struct psdk_buf data[CHECK_AHEAD];
        size_t n = bundles - b < CHECK_AHEAD ? (size_t)(bundles - b) : CHECK_AHEAD;
        memset(data, 0, sizeof data);
        rc = pv_reader_bundles(x->r, b, n, data, err);
        if (rc == PROV_E_NOT_FOUND) {
            err->code = rc = PROV_E_CORRUPT;
            psdk_wrap(err, "entries are missing");
        }
        for (size_t i = 0; i < n; i++) {
            if (!rc)
                rc = check_bundle(x, b + i, &data[i], err);
            psdk_buf_done(&data[i]);
        }
        b += n;
        if (progress && !rc)
            progress(ctx, pv_checker_count(x->c), size);
    }
    return rc;
}

/* `checkpoint` may be behind the head, by one seal; it must still be of this log and signed. */
static int check_published(struct pv_reader *r, const uint8_t log_key[32], prov_error *err)
{
    struct pv_note note = {0};
    struct pv_tree_head head;
    uint8_t root[32];
    bool bad = false;
    if (!r->published_note[0] || r->published == r->head.tree.size)
        return PROV_OK; /* equal to the head's note: the reader saw to that */
    int rc = pv_note_parse(r->published_note, strlen(r->published_note), "checkpoint", &note, err);
    if (!rc)
        rc = pv_tree_head_parse(&note, &head, err);
    if (!rc && !pv_note_signed_by(&note, r->head.tree.origin, log_key, &bad))
        rc = psdk_fail(err, PROV_E_CORRUPT, "checkpoint: is not signed by the log key");
    if (!rc)
        rc = pv_reader_root(r, head.size, root, err);
    if (!rc && (memcmp(root, head.root, 32) != 0 || strcmp(head.origin, r->head.tree.origin) != 0))
        rc = psdk_fail(err, PROV_E_CORRUPT, "checkpoint: is of another log");
    pv_note_done(&note);
    return rc;
}

static int check_seal_entries(const struct pv_seal *seal, prov_error *err)
{
    struct pv_range range = seal->old;
    const uint8_t *entry;
    size_t at = 0, len;
    uint8_t hash[32];
    while (pv_bundle_next(seal->entries, seal->entries_len, &at, &entry, &len) > 0) {
        psdk_leaf_hash(entry, len, hash);
        pv_range_append(&range, hash, NULL, NULL);
    }
    pv_range_root(&range, hash);
    return memcmp(hash, seal->root, 32) == 0 ? PROV_OK : psdk_fail(err, PROV_E_CORRUPT, "its entries do not lead to its root");
}

/* The head's seal object is read by nobody once its tiles are there; if it is there it must still say the same. */
static int check_seal(struct pv_reader *r, prov_error *err)
{
    struct psdk_buf data = {0}, again = {0}, lines = {0};
    struct pv_seal seal = {.n_sigs = 0};
    char key[PV_NAME_MAX + PV_SEAL_NAME];
    uint8_t root[32];
    snprintf(key, sizeof key, "%s%s", r->prefix, r->head.seal);
    int rc = pv_store_get(r->store, key, PSDK_BUF_MAX, &data, NULL, err);
    if (rc == PROV_E_NOT_FOUND)
        return PROV_OK;
    if (!rc)
        rc = pv_seal_parse(data.data, data.len, r->head.seal, &seal, err);
    if (!rc)
        rc = pv_reader_root(r, seal.old.size, root, err);
    if (!rc) {
        uint8_t old[32];
        pv_range_root(&seal.old, old);
        if (memcmp(old, root, 32) != 0 || strcmp(seal.origin, r->head.tree.origin) != 0 || seal.size != r->head.tree.size || memcmp(seal.root, r->head.tree.root, 32) != 0)
            rc = psdk_fail(err, PROV_E_CORRUPT, "%s: is not the seal of the tree head", r->head.seal);
    }
    for (uint32_t i = 0; !rc && i < seal.n_sigs; i++) {
        psdk_buf_clear(&again);
        psdk_buf_clear(&lines);
        pv_batch_write(&again, &seal.sigs[i]);
        rc = pv_reader_signatures(r, seal.sigs[i].index / PV_TILE_WIDTH, &lines, err);
        if (!rc && !strstr(psdk_buf_str(&lines), psdk_buf_str(&again)))
            rc = psdk_fail(err, PROV_E_CORRUPT, "%s: carries a signature that does not stand beside the entries", r->head.seal);
    }
    if (!rc)
        rc = check_seal_entries(&seal, err);
    pv_seal_done(&seal);
    psdk_buf_done(&data);
    psdk_buf_done(&again);
    psdk_buf_done(&lines);
    return rc ? psdk_wrap(err, "%s", key) : PROV_OK;
}

int pv_stream_check(struct pv_reader *r, const uint8_t log_key[32],
                    void (*progress)(void *ctx, uint64_t done, uint64_t all), void *ctx, struct pv_checker **ret_checker,
                    prov_error *err)
{
    struct stream_check x = {.r = r};
    uint8_t root[32];
    int rc = pv_checker_new(r->head.tree.origin, log_key, &x.c, err);
    x.edge = calloc(1, sizeof *x.edge);
    if (!rc && !x.edge)
        rc = psdk_fail(err, PROV_E_NOMEM, "checking: out of memory");
    if (!rc)
        rc = check_bundles(&x, progress, ctx, err);
    if (!rc)
        rc = pv_checker_finish(x.c, root, err);
    if (!rc && memcmp(root, r->head.tree.root, 32) != 0)
        rc = psdk_fail(err, PROV_E_CORRUPT, "the entries do not lead to the root of the tree head");
    if (!rc)
        rc = check_published(r, log_key, err);
    if (!rc)
        rc = check_seal(r, err);
    if (!rc && pv_frontier_finish(x.edge, &x.files))
        rc = psdk_fail(err, PROV_E_NOMEM, "checking: out of memory");
    if (!rc)
        rc = compare_tiles(&x, err);
    pv_files_done(&x.files);
    if (x.edge)
        pv_frontier_done(x.edge);
    free(x.edge);
    if (ret_checker && !rc)
        *ret_checker = x.c;
    else
        pv_checker_free(x.c);
    return rc;
}
