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
#include "pv_stream_impl.h"

#define SEAL_RECORDS 65536u
#define SEAL_BYTES ((size_t)4 << 20)
#define SEAL_LOCK_NS ((uint64_t)60 * 1000000000u)
#define DEFAULT_ATTEMPTS 20u

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
    char key[STREAM_KEY_MAX];
    prov_precond absent = {.struct_size = sizeof absent, .kind = PROV_PRECOND_ABSENT};
    struct psdk_buf there = {0};
    stream_key(s, x->head.seal, key);
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
    char key[STREAM_KEY_MAX];
    prov_precond cond = {.struct_size = sizeof cond, .kind = s->has_head ? PROV_PRECOND_MATCH : PROV_PRECOND_ABSENT};
    memcpy(cond.etag, s->etag, sizeof cond.etag);
    stream_key(s, "head.json", key);
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
    char key[STREAM_KEY_MAX];
    stream_key(s, name, key);
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
        rc = stream_publish(s, &x->files, err);
        s->partials = older;
        if (!rc) {
            stream_drop_superseded(s, &x->files);
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
            rc = stream_refresh(s, mark, err);
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
