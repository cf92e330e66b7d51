/* pv_stream_seal.c - sealing: one compare-and-swap makes a batch of records part of the log for good.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * How it fails. Before the swap: a seal object that nobody refers to, removed later. The swap's answer lost: the next
 * attempt reads the head, finds this writer's records in the log, and goes on behind them. After the swap: tiles are
 * missing; the next sealer makes them from the seal object first. The mark in the journal is written last and may be
 * lost: then the log is searched from the older mark on. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "psdk_file.h"
#include "psdk_json.h"
#include "pv_stream_impl.h"

#define SEAL_RECORDS 65536u
#define SEAL_BYTES ((size_t)4 << 20)
#define SEAL_LOCK_NS ((uint64_t)60 * 1000000000u)
#define DEFAULT_ATTEMPTS 20u
#define KEY_MAX (PV_NAME_MAX + PV_TILE_NAME)

static void key_of(const struct pv_stream *s, const char *name, char ret[KEY_MAX])
{
    snprintf(ret, KEY_MAX, "%s%s", s->prefix, name);
}

/* ---- seeing the head --------------------------------------------------------------------------------------------------- */

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
    int rc;
    if (r->published == r->head.tree.size) {
        rc = pv_frontier_load(&f, s->ledger->store, s->prefix, r->head.tree.size, r->head.tree.root, err);
    } else { /* from what the reader computed */
        struct psdk_buf data = {0};
        struct pv_seal seal = {0};
        uint8_t root[32];
        char key[KEY_MAX];
        key_of(s, r->head.seal, key);
        rc = pv_store_get(s->ledger->store, key, SEAL_BYTES * 4, &data, NULL, err);
        if (!rc)
            rc = pv_seal_parse(data.data, data.len, key, &seal, err);
        if (!rc) {
            pv_range_root(&seal.old, root);
            rc = pv_frontier_load(&f, s->ledger->store, s->prefix, seal.old.size, root, err);
        }
        if (!rc)
            rc = pv_frontier_apply(&f, &seal, &none, err);
        pv_seal_done(&seal);
        psdk_buf_done(&data);
        pv_files_done(&none);
    }
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

static int publish(struct pv_stream *s, const struct pv_files *files, prov_error *err);

/* Makes the tiles of a committed seal that its sealer did not live to make. */
static int heal(struct pv_stream *s, struct pv_reader *r, prov_error *err)
{
    return s->published == s->head.tree.size ? PROV_OK : publish(s, &r->overlay, err);
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
    char key[KEY_MAX];
    uint64_t size;
    if (!s->swept) {
        key_of(s, "seal/", key);
        pv_store_list(s->ledger->store, key, sweep_entry, &dead, &ignored);
        s->swept = true;
    } else if (s->orphan[0]) {
        pv_files_add(&dead, s->orphan);
    }
    for (size_t i = 0; i < dead.n; i++) {
        const char *name = dead.item[i].name;
        if (!pv_seal_name_parse(name, &size) || size > s->head.tree.size || strcmp(name, s->head.seal) == 0)
            continue;
        key_of(s, name, key);
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
    char key[KEY_MAX];
    key_of(s, "head.json", key);
    int rc = pv_store_stat(s->ledger->store, key, &now, &why);
    if (rc) {
        *err = why;
        return rc;
    }
    err->code = strcmp(now.etag, r->etag) == 0 ? PROV_E_CORRUPT : PROV_E_CONFLICT;
    return psdk_wrap(err, "a part of the stream is missing");
}

/* Brings the stream up to the head that is in the store now; the mark moves behind own records that are in the log. */
static int refresh(struct pv_stream *s, struct pv_journal_mark *mark, prov_error *err)
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

/* ---- publishing -------------------------------------------------------------------------------------------------------- */

/* Replaces `checkpoint` unless somebody published a larger one. */
static int put_checkpoint(struct pv_stream *s, prov_error *err)
{
    char key[KEY_MAX];
    key_of(s, "checkpoint", key);
    for (int tries = 0; tries < 8; tries++) {
        prov_precond cond = {.struct_size = sizeof cond,
                             .kind = s->published_etag[0] ? PROV_PRECOND_MATCH : PROV_PRECOND_ABSENT};
        prov_object object = {.struct_size = sizeof object};
        memcpy(cond.etag, s->published_etag, sizeof cond.etag);
        int rc = pv_store_put(s->ledger->store, key, s->head.tree_head_text, strlen(s->head.tree_head_text), &cond, &object,
                              err);
        if (rc == PROV_OK) {
            memcpy(s->published_etag, object.etag, sizeof s->published_etag);
            s->published = s->head.tree.size;
            return PROV_OK;
        }
        if (rc != PROV_E_CONFLICT && rc != PROV_E_EXISTS && rc != PROV_E_NOT_FOUND)
            return rc;
        struct psdk_buf data = {0};
        struct pv_note note = {0};
        struct pv_tree_head head = {.size = 0};
        rc = pv_store_get(s->ledger->store, key, PV_NOTE_MAX, &data, &object, err);
        if (rc == PROV_E_NOT_FOUND)
            object.etag[0] = '\0', rc = PROV_OK;
        else if (!rc && !(rc = pv_note_parse(psdk_buf_str(&data), data.len, key, &note, err)))
            rc = pv_tree_head_parse(&note, &head, err);
        pv_note_done(&note);
        psdk_buf_done(&data);
        if (rc)
            return rc;
        memcpy(s->published_etag, object.etag, sizeof s->published_etag);
        if (head.size >= s->head.tree.size) {
            s->published = s->head.tree.size;
            return PROV_OK;
        }
    }
    return psdk_fail(err, PROV_E_CONFLICT, "%s: replaced by others again and again", key);
}

static void drop_superseded(struct pv_stream *s, const struct pv_files *files)
{
    prov_error ignored = {0};
    char key[KEY_MAX];
    for (size_t i = 0; i < s->partials.n; i++) {
        if (pv_files_find(files, s->partials.item[i].name))
            continue;
        key_of(s, s->partials.item[i].name, key);
        pv_store_del(s->ledger->store, key, &ignored);
    }
    pv_files_done(&s->partials);
}

/* Stores the files of the current head, then its checkpoint; forgets partial files of the head before the last. */
static int publish(struct pv_stream *s, const struct pv_files *files, prov_error *err)
{
    prov_put_item *items = calloc(files->n ? files->n : 1, sizeof *items);
    char(*keys)[KEY_MAX] = calloc(files->n ? files->n : 1, sizeof *keys);
    int rc = items && keys ? PROV_OK : psdk_fail(err, PROV_E_NOMEM, "materialising tiles: out of memory");
    for (size_t i = 0; i < files->n && !rc; i++) {
        key_of(s, files->item[i].name, keys[i]);
        items[i] = (prov_put_item){sizeof(prov_put_item), 0, keys[i], files->item[i].data.data, files->item[i].data.len};
    }
    if (!rc && files->n)
        rc = pv_store_put_many(s->ledger->store, items, files->n, err);
    free(items);
    free(keys);
    return rc ? rc : put_checkpoint(s, err);
}

/* ---- one seal ---------------------------------------------------------------------------------------------------------- */

struct sealing {
    struct pv_journal_batch batch;
    struct pv_batch_sig sig;
    struct pv_files files; /* that materialise it */
    struct pv_head head;   /* that commits it */
    struct psdk_buf seal;  /* the object */
};

static void sealing_done(struct sealing *x)
{
    pv_journal_batch_done(&x->batch);
    pv_files_done(&x->files);
    psdk_buf_done(&x->seal);
}

static int new_nonce(char ret[PV_NONCE_TEXT], prov_error *err)
{
    uint8_t nonce[16];
    int rc = psdk_random(nonce, sizeof nonce, err);
    psdk_hex(nonce, sizeof nonce, ret);
    return rc;
}

/* Applies the batch to a copy of the edge and makes the objects. ret_next takes the place of s->frontier on success. */
static int build(struct pv_stream *s, struct sealing *x, struct pv_frontier *ret_next, prov_error *err)
{
    const uint8_t *last = x->batch.leaves.data + (x->batch.count - 1) * 32;
    struct pv_seal seal = {.old = s->frontier.range, .size = s->frontier.range.size + x->batch.count, .sigs = &x->sig,
                           .n_sigs = 1, .entries = x->batch.entries.data, .entries_len = x->batch.entries.len};
    struct psdk_buf note = {0};
    snprintf(seal.origin, sizeof seal.origin, "%s", s->origin);
    memset(&x->sig, 0, sizeof x->sig);
    x->sig.index = seal.size - 1;
    x->sig.wseq = x->batch.first_wseq + x->batch.count - 1;
    memcpy(x->sig.id, last, 32);
    memcpy(x->sig.writer, x->batch.writer, sizeof x->sig.writer);
    int rc = pv_batch_sign(&x->sig, s->origin, s->ledger->writer_key, err);
    for (uint32_t i = 0; i < x->batch.count && !rc; i++)
        pv_range_append(&ret_next->range, x->batch.leaves.data + (size_t)i * 32, NULL, NULL);
    if (rc)
        return rc;
    pv_range_root(&ret_next->range, seal.root);
    ret_next->range = s->frontier.range;
    rc = pv_frontier_apply(ret_next, &seal, &x->files, err);
    if (!rc && pv_frontier_finish(ret_next, &x->files))
        rc = psdk_fail(err, PROV_E_NOMEM, "sealing: out of memory");
    if (rc)
        return rc;
    if (s->has_head)
        x->head = s->head;
    x->head.tree.size = seal.size;
    memcpy(x->head.tree.root, seal.root, 32);
    snprintf(x->head.tree.origin, sizeof x->head.tree.origin, "%s", s->origin);
    snprintf(x->head.store, sizeof x->head.store, "%s", s->ledger->store_origin);
    memcpy(x->head.writer, x->batch.writer, sizeof x->head.writer);
    pv_seal_name(seal.size, seal.root, x->head.seal);
    psdk_time_format(psdk_wall_ns(), x->head.updated_at);
    rc = new_nonce(x->head.nonce, err);
    if (!rc)
        rc = pv_tree_head_sign(&note, &x->head.tree, s->ledger->log_key, err);
    if (!rc && note.len >= sizeof x->head.tree_head_text)
        rc = psdk_fail(err, PROV_E_LIMIT, "tree head: too long");
    if (!rc)
        memcpy(x->head.tree_head_text, psdk_buf_str(&note), note.len + 1);
    psdk_buf_done(&note);
    if (!rc) {
        pv_seal_write(&x->seal, &seal);
        rc = psdk_buf_check(&x->seal, err);
    }
    return rc;
}

/* Copies the edge (its tiles are plain, its two buffers are not). */
static int copy_frontier(struct pv_frontier *to, const struct pv_frontier *from, prov_error *err)
{
    memcpy(to, from, sizeof *to);
    memset(&to->entries, 0, sizeof to->entries);
    memset(&to->sigs, 0, sizeof to->sigs);
    psdk_buf_add(&to->entries, from->entries.data, from->entries.len);
    psdk_buf_add(&to->sigs, from->sigs.data, from->sigs.len);
    int rc = psdk_buf_check(&to->entries, err);
    return rc ? rc : psdk_buf_check(&to->sigs, err);
}

/* The seal object: its name tells its content, so one that is there is our own from an attempt that died, or an attack. */
static int put_seal(struct pv_stream *s, const struct sealing *x, prov_error *err)
{
    char key[KEY_MAX];
    prov_precond absent = {.struct_size = sizeof absent, .kind = PROV_PRECOND_ABSENT};
    struct psdk_buf there = {0};
    key_of(s, x->head.seal, key);
    int rc = pv_store_put(s->ledger->store, key, x->seal.data, x->seal.len, &absent, NULL, err);
    if (rc != PROV_E_EXISTS && !(rc && err->outcome == PROV_OUTCOME_UNKNOWN))
        return rc;
    rc = pv_store_get(s->ledger->store, key, x->seal.len + 1, &there, NULL, err);
    if (!rc && (there.len != x->seal.len || memcmp(there.data, x->seal.data, there.len) != 0))
        rc = psdk_fail(err, PROV_E_CORRUPT, "%s: is there with other content", key);
    psdk_buf_done(&there);
    return rc;
}

static int swap_head(struct pv_stream *s, const struct sealing *x, prov_object *ret_object, prov_error *err)
{
    struct psdk_buf json = {0};
    char key[KEY_MAX];
    prov_precond cond = {.struct_size = sizeof cond, .kind = s->has_head ? PROV_PRECOND_MATCH : PROV_PRECOND_ABSENT};
    memcpy(cond.etag, s->etag, sizeof cond.etag);
    key_of(s, "head.json", key);
    pv_head_write(&json, &x->head);
    int rc = psdk_buf_check(&json, err);
    if (!rc)
        rc = pv_store_put(s->ledger->store, key, json.data, json.len, &cond, ret_object, err);
    psdk_buf_done(&json);
    return rc;
}

/* After the swap: this is the head now. */
static void take_over(struct pv_stream *s, struct sealing *x, struct pv_frontier *next, const prov_object *object)
{
    pv_frontier_done(&s->frontier);
    s->frontier = *next;
    memset(next, 0, sizeof *next);
    s->head = x->head;
    s->has_head = true;
    memcpy(s->etag, object->etag, sizeof s->etag);
}

static void drop_seal(struct pv_stream *s, const char *name)
{
    prov_error ignored = {0};
    char key[KEY_MAX];
    key_of(s, name, key);
    if (name[0])
        pv_store_del(s->ledger->store, key, &ignored);
}

/* Seals one batch onto the head that was seen last. PROV_E_CONFLICT (or EXISTS, NOT_FOUND): somebody else was faster. */
static int seal_once(struct pv_stream *s, struct sealing *x, prov_error *err)
{
    struct pv_frontier *next = calloc(1, sizeof *next);
    prov_object object = {.struct_size = sizeof object};
    char before[PV_SEAL_NAME];
    uint64_t size_before = s->frontier.range.size;
    memcpy(before, s->has_head ? s->head.seal : "", s->has_head ? sizeof before : 1);
    int rc = next ? copy_frontier(next, &s->frontier, err) : psdk_fail(err, PROV_E_NOMEM, "sealing: out of memory");
    if (!rc)
        rc = build(s, x, next, err);
    if (!rc)
        rc = put_seal(s, x, err);
    if (!rc) {
        rc = swap_head(s, x, &object, err);
        if ((rc == PROV_E_CONFLICT || rc == PROV_E_EXISTS || rc == PROV_E_NOT_FOUND) && err->outcome != PROV_OUTCOME_UNKNOWN)
            memcpy(s->orphan, x->head.seal, sizeof s->orphan);
    }
    if (!rc) {
        struct pv_files older = s->partials;
        memset(&s->partials, 0, sizeof s->partials);
        take_over(s, x, next, &object);
        rc = publish(s, &x->files, err);
        s->partials = older;
        if (!rc) {
            drop_superseded(s, &x->files);
            pv_frontier_partials(size_before, &s->partials);
            drop_seal(s, before);
        }
    }
    if (next)
        pv_frontier_done(next);
    free(next);
    return rc;
}

static void pause_jittered(unsigned attempt)
{
    uint32_t random = 0;
    prov_error ignored = {0};
    psdk_random(&random, sizeof random, &ignored);
    uint64_t ceiling = (uint64_t)2000000u << (attempt < 8 ? attempt : 8);
    uint64_t ns = 500000u + random % ceiling;
    struct timespec t = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};
    nanosleep(&t, NULL);
}

static bool lost_race(int rc)
{
    return rc == PROV_E_CONFLICT || rc == PROV_E_EXISTS || rc == PROV_E_NOT_FOUND;
}

/* Seals the next batch after the mark, however many others write too. */
static int seal_batch(struct pv_stream *s, struct pv_journal_mark *mark, struct pv_seal_report *report, prov_error *err)
{
    unsigned attempts = s->ledger->attempts ? s->ledger->attempts : DEFAULT_ATTEMPTS;
    int rc = PROV_OK;
    for (unsigned attempt = 0; attempt < attempts; attempt++) {
        struct sealing x = {0};
        if (!s->loaded)
            rc = refresh(s, mark, err);
        if (!rc && !s->attempted) { /* from here on records may be in the log: note, durably, from which tree on to look */
            rc = pv_journal_sealed(s->journal, mark, err);
            s->attempted = !rc;
        }
        if (!rc)
            rc = pv_journal_take(s->journal, mark, SEAL_RECORDS, SEAL_BYTES, &x.batch, err);
        if (!rc && x.batch.count)
            rc = seal_once(s, &x, err);
        if (!rc) {
            struct pv_journal_mark end = x.batch.end;
            end.tree_size = s->has_head ? s->head.tree.size : 0;
            memcpy(end.root, s->head.tree.root, 32);
            *mark = end;
            report->records += x.batch.count;
            report->seals += x.batch.count > 0;
            rc = pv_journal_sealed(s->journal, mark, err);
            sealing_done(&x);
            return rc;
        }
        sealing_done(&x);
        s->loaded = false;
        if (!lost_race(rc) && err->outcome != PROV_OUTCOME_UNKNOWN)
            return rc;
        report->conflicts++;
        if (attempt + 1 < attempts) {
            pause_jittered(attempt);
            memset(err, 0, sizeof *err);
            rc = PROV_OK;
        }
    }
    return psdk_wrap(err, "gave up after %u attempts", attempts);
}

int pv_stream_seal(struct pv_stream *stream, struct pv_seal_report *ret, prov_error *err)
{
    struct pv_seal_report report = {0};
    struct pv_journal_state state;
    int rc = pv_journal_seal_lock(stream->journal, SEAL_LOCK_NS, err);
    if (rc)
        return psdk_wrap(err, "sealing %s", stream->origin);
    rc = pv_journal_state(stream->journal, &state, err);
    struct pv_journal_mark mark = state.sealed;
    stream->attempted = state.attempted;
    if (stream->loaded && (mark.tree_size != stream->frontier.range.size))
        stream->loaded = false; /* another process of this host sealed since */
    if (stream->loaded && stream->published != stream->head.tree.size)
        stream->loaded = false; /* the tiles of the last seal are still to be made */
    uint64_t target = state.durable_lsn;
    while (!rc && mark.lsn < target)
        rc = seal_batch(stream, &mark, &report, err);
    report.tree_size = mark.tree_size;
    pv_journal_seal_unlock(stream->journal);
    if (ret)
        *ret = report;
    return rc ? psdk_wrap(err, "sealing %s", stream->origin) : PROV_OK;
}
