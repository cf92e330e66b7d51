/* pv_stream_refresh.c - bringing a writer's view up to the head that is in the store now. SPDX-License-Identifier: Apache-2.0
 *
 * Here it is decided what became of a seal whose answer was lost: own records that are in the log are sealed. Here too a
 * rollback, a fork and the revocation of the own key are seen before anything is written. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pv_stream_impl.h"

static int check_signed(const struct pv_stream *s, const struct pv_head *head, prov_error *err)
{
    struct pv_note note = {0};
    bool bad = false;
    int rc = pv_note_parse(head->tree_head_text, strlen(head->tree_head_text), "head.json", &note, err);
    if (!rc && (strcmp(head->tree.origin, s->origin) != 0))
        rc = psdk_fail(err, PROV_E_CORRUPT, "%shead.json: is of the stream %s, not of %s", s->prefix, head->tree.origin,
                       s->origin);
    if (!rc && !pv_note_signed_by(&note, s->origin, s->ledger->log_key->public_key, &bad))
        rc = psdk_fail(err, PROV_E_CORRUPT, "%shead.json: the tree head is %s by this store's log key", s->prefix,
                       bad ? "wrongly signed" : "not signed");
    pv_note_done(&note);
    return rc;
}

/* What of one writer is in the log. */
struct own {
    char writer[PV_WRITER_TEXT];
    uint64_t next; /* wseq behind its last one there */
    uint8_t last_id[32];
    const uint8_t *key; /* that this host writes with */
    bool revoked;       /* somebody recorded so */
};

static bool revokes(const struct pv_record *record, const uint8_t key[32])
{
    static const char kind[] = "key.revoke";
    struct pv_authorize auth;
    prov_error ignored = {0};
    return record->kind.len == sizeof kind - 1 && memcmp(record->kind.data, kind, sizeof kind - 1) == 0 &&
           pv_authorize_parse(record, &auth, &ignored) == PROV_OK && memcmp(auth.key, key, 32) == 0;
}

static int look_in_bundle(struct pv_reader *r, uint64_t b, uint64_t from, struct own *own, prov_error *err)
{
    struct psdk_buf bundle = {0};
    const uint8_t *entry;
    size_t at = 0, len;
    uint64_t index = b * PV_TILE_WIDTH;
    int rc = pv_reader_bundle(r, b, &bundle, err);
    for (; !rc && pv_bundle_next(bundle.data, bundle.len, &at, &entry, &len) > 0; index++) {
        struct pv_record record;
        prov_error ignored = {0};
        if (index < from || pv_record_parse((const char *)entry, len, "entry", &record, &ignored) != PROV_OK)
            continue;
        own->revoked = own->revoked || revokes(&record, own->key);
        if (record.writer.len == PV_WRITER_TEXT - 1 && memcmp(record.writer.data, own->writer, record.writer.len) == 0 &&
            record.wseq >= own->next) {
            own->next = record.wseq + 1;
            memcpy(own->last_id, record.id, 32);
        }
    }
    psdk_buf_done(&bundle);
    return rc;
}

/* Looks for the writer of the next record among entries that are new to this host, and moves the mark behind what is there. */
static int find_one(struct pv_stream *s, struct pv_reader *r, struct pv_journal_mark *mark, struct own *own, bool *ret_moved,
                    prov_error *err)
{
    struct pv_journal_batch mine;
    *ret_moved = false;
    int rc = pv_journal_take(s->journal, mark, 1, PV_RECORD_MAX + 2, &mine, err);
    if (rc)
        return rc;
    uint64_t first = mine.first_wseq, size = r->head.tree.size;
    bool done = mine.count == 0 || strcmp(own->writer, mine.writer) == 0; /* nothing, or looked for already */
    own->next = first;
    memcpy(own->writer, mine.writer, sizeof own->writer);
    pv_journal_batch_done(&mine);
    if (done)
        return PROV_OK;
    for (uint64_t b = mark->tree_size / PV_TILE_WIDTH; !rc && b * PV_TILE_WIDTH < size; b++)
        rc = look_in_bundle(r, b, mark->tree_size, own, err);
    *ret_moved = !rc && own->next > first;
    if (*ret_moved)
        rc = pv_journal_skip(s->journal, mark, own->writer, own->next, own->last_id, err);
    return rc;
}

/* The journal may hold records of several writer instances in a row. */
static int find_own(struct pv_stream *s, struct pv_reader *r, struct pv_journal_mark *mark, prov_error *err)
{
    struct own own = {.key = s->ledger->writer_key->public_key};
    bool moved = true;
    int rc = PROV_OK;
    while (!rc && moved)
        rc = find_one(s, r, mark, &own, &moved, err);
    if (!rc && own.revoked) /* a record behind the revocation would spoil the stream for everyone */
        rc = psdk_fail(err, PROV_E_DENIED,
                       "%s: this host's writer key was revoked; nothing more is sealed with it (its records stay in the journal)",
                       s->origin);
    return rc;
}

/* Takes a reader's state over: head, edge, how far it is published. */
static int adopt(struct pv_stream *s, struct pv_reader *r, prov_error *err)
{
    struct pv_frontier f = PV_FRONTIER_EMPTY;
    struct pv_files none = {0};
    int rc = r->published == r->head.tree.size
                 ? pv_frontier_load(&f, s->ledger->store, s->prefix, r->head.tree.size, r->head.tree.root, err)
                 : pv_reader_sealed_edge(r, &f, &none, err);
    pv_files_done(&none);
    if (rc)
        return rc;
    pv_frontier_done(&s->frontier);
    s->frontier = f;
    s->head = r->head;
    s->has_head = true;
    memcpy(s->etag, r->etag, sizeof s->etag);
    s->published = r->published;
    memcpy(s->published_etag, r->published_etag, sizeof s->published_etag);
    s->loaded = true;
    return PROV_OK;
}

/* Makes the tiles of a committed seal that its sealer did not live to make. */
static int heal(struct pv_stream *s, struct pv_reader *r, prov_error *err)
{
    return s->published == s->head.tree.size ? PROV_OK : stream_publish(s, &r->overlay, err);
}

static int sweep_entry(void *ctx, const prov_list_entry *entry)
{
    struct pv_files *dead = ctx;
    const char *name = strstr(entry->key, "seal/");
    return !name || strlen(name) >= PV_TILE_NAME || pv_files_add(dead, name) ? PROV_OK : PROV_E_NOMEM;
}

/* Removes seal objects that no head can ever commit: not larger than the head's tree and not the head's own. A failure here
 * costs room, nothing else. */
static void sweep(struct pv_stream *s)
{
    struct pv_files dead = {0};
    prov_error ignored = {0};
    char key[STREAM_KEY_MAX];
    uint64_t size;
    if (!s->swept) {
        stream_key(s, "seal/", key);
        pv_store_list(s->ledger->store, key, sweep_entry, &dead, &ignored);
        s->swept = true;
    } else if (s->orphan[0]) {
        pv_files_add(&dead, s->orphan);
    }
    for (size_t i = 0; i < dead.n; i++) {
        const char *name = dead.item[i].name;
        if (!pv_seal_name_parse(name, &size) || size > s->head.tree.size || strcmp(name, s->head.seal) == 0)
            continue;
        stream_key(s, name, key);
        pv_store_del(s->ledger->store, key, &ignored);
    }
    s->orphan[0] = '\0';
    pv_files_done(&dead);
}

/* A file of the head that was read is missing: it was superseded since, or the stream is damaged. */
static int missing(struct pv_stream *s, const struct pv_reader *r, prov_error *err)
{
    prov_object now = {.struct_size = sizeof now};
    prov_error why = {0};
    char key[STREAM_KEY_MAX];
    stream_key(s, "head.json", key);
    int rc = pv_store_stat(s->ledger->store, key, &now, &why);
    if (rc) {
        *err = why;
        return rc;
    }
    err->code = strcmp(now.etag, r->etag) == 0 ? PROV_E_CORRUPT : PROV_E_CONFLICT;
    return psdk_wrap(err, "a part of the stream is missing");
}

/* Brings the stream up to the head that is in the store now; the mark moves behind own records that are in the log. */
int stream_refresh(struct pv_stream *s, struct pv_journal_mark *mark, prov_error *err)
{
    struct pv_reader r;
    uint8_t proof[PV_PROOF_MAX][32];
    uint32_t n;
    int rc = pv_reader_open(&r, s->ledger->store, s->path, err);
    if (rc == PROV_E_NOT_FOUND) {
        if (mark->tree_size)
            return psdk_fail(err, PROV_E_CORRUPT,
                             "%s: the stream had %llu entries and its head.json is gone; nothing was sealed anew", s->origin,
                             (unsigned long long)mark->tree_size);
        pv_frontier_done(&s->frontier);
        s->has_head = false;
        s->published = 0;
        s->loaded = true;
        return PROV_OK;
    }
    if (rc)
        return rc;
    rc = check_signed(s, &r.head, err);
    if (!rc)
        rc = pv_reader_consistency(&r, mark->tree_size, mark->root, proof, &n, err);
    if (!rc && s->attempted)
        rc = find_own(s, &r, mark, err);
    if (!rc)
        rc = adopt(s, &r, err);
    if (!rc)
        rc = heal(s, &r, err);
    if (!rc) {
        mark->tree_size = r.head.tree.size;
        memcpy(mark->root, r.head.tree.root, 32);
        sweep(s);
    }
    if (rc == PROV_E_NOT_FOUND)
        rc = missing(s, &r, err);
    pv_reader_close(&r);
    return rc;
}
