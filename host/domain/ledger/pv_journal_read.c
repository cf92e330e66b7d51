/* pv_journal_read.c - the sealer's side: durable records in order, and how far they are sealed.
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pv_journal_impl.h"
#include "pv_tile.h"

/* ---- the sealed mark: two slots written in turn, the newest whole one counts ----------------------------------------- */

static const char SLOT_MAGIC[8] = "PVSEAL1\0";

static void slot_put(uint8_t *p, uint64_t v)
{
    memcpy(p, &v, 8); /* a file of this machine alone: native order */
}

static void encode_slot(const struct pv_journal_mark *m, uint64_t turn, uint8_t out[SEALED_SLOT])
{
    memset(out, 0, SEALED_SLOT);
    memcpy(out, SLOT_MAGIC, 8);
    const uint64_t v[7] = {turn, m->segment, m->offset, m->wseq, m->lsn, m->tree_size, m->checksum};
    for (int i = 0; i < 7; i++)
        slot_put(out + 8 + 8 * i, v[i]);
    memcpy(out + 64, m->root, 32);
    uint32_t crc = psdk_crc32c(0, out, SEALED_SLOT - 4);
    memcpy(out + SEALED_SLOT - 4, &crc, 4);
}

static bool decode_slot(const uint8_t in[SEALED_SLOT], uint64_t *ret_turn, struct pv_journal_mark *m)
{
    uint32_t crc;
    uint64_t v[7];
    memcpy(&crc, in + SEALED_SLOT - 4, 4);
    if (memcmp(in, SLOT_MAGIC, 8) != 0 || crc != psdk_crc32c(0, in, SEALED_SLOT - 4))
        return false;
    memcpy(v, in + 8, sizeof v);
    *ret_turn = v[0];
    m->segment = v[1];
    m->offset = v[2];
    m->wseq = v[3];
    m->lsn = v[4];
    m->tree_size = v[5];
    m->checksum = v[6];
    memcpy(m->root, in + 64, 32);
    return true;
}

static int open_sealed(const struct pv_journal *j, bool make, prov_error *err)
{
    struct psdk_buf path = {0};
    int rc = journal_path(j, "sealed", &path, err);
    int fd = rc ? rc : psdk_open(psdk_buf_str(&path), O_RDWR | (make ? O_CREAT : 0), 0600, err);
    psdk_buf_done(&path);
    return fd;
}

static int read_slots(int fd, uint64_t *ret_turn, struct pv_journal_mark *ret, bool *ret_fresh, prov_error *err)
{
    uint8_t slots[2][SEALED_SLOT];
    size_t got = 0;
    memset(ret, 0, sizeof *ret);
    memset(slots, 0, sizeof slots);
    *ret_turn = 0;
    int rc = psdk_pread_all(fd, slots, sizeof slots, 0, &got, "journal: sealed", err);
    for (int i = 0; i < 2 && !rc; i++) {
        struct pv_journal_mark m;
        uint64_t turn;
        if (decode_slot(slots[i], &turn, &m) && turn >= *ret_turn) {
            *ret_turn = turn;
            *ret = m;
        }
    }
    *ret_fresh = got == 0;
    return rc;
}

int journal_mark(const struct pv_journal *j, struct pv_journal_mark *ret, uint64_t *ret_turn, bool *ret_fresh,
                 prov_error *err)
{
    memset(ret, 0, sizeof *ret);
    *ret_turn = 0;
    *ret_fresh = false;
    int fd = open_sealed(j, false, err);
    if (fd == PROV_E_NOT_FOUND)
        return PROV_OK;
    if (fd < 0)
        return fd;
    int rc = read_slots(fd, ret_turn, ret, ret_fresh, err);
    psdk_close(&fd);
    return rc;
}

/* Puts a mark at the first record of a segment; ret_writer (PV_WRITER_TEXT bytes) may be NULL. */
static int start_of(const struct pv_journal *j, uint64_t segment, struct pv_journal_mark *m, char *ret_writer,
                    prov_error *err)
{
    struct pv_segment_header header;
    struct pv_segment_end at;
    int fd = -1;
    int rc = pv_segment_open(j->config.dir, segment, &header, &fd, err);
    psdk_close(&fd);
    if (rc)
        return rc;
    pv_segment_start(&header, &at);
    m->segment = segment;
    m->offset = at.offset;
    m->wseq = at.next_wseq;
    m->lsn = header.base_lsn;
    m->checksum = at.checksum;
    if (ret_writer)
        memcpy(ret_writer, header.writer, sizeof header.writer);
    return PROV_OK;
}

/* A mark may name a segment that is gone (the mark is a hint that can be lost): then the first one that is there. */
static int settle_mark(const struct pv_journal *j, struct pv_journal_mark *m, prov_error *err)
{
    uint64_t low, high, count;
    int rc = journal_segments(j->config.dir, &low, &high, &count, err);
    if (rc)
        return rc;
    if (count == 0)
        return psdk_fail(err, PROV_E_CORRUPT, "journal %s: its segments are gone", j->config.dir);
    if (m->segment >= low && m->segment <= high && m->offset >= PV_SEGMENT_HEADER)
        return PROV_OK;
    return start_of(j, low, m, NULL, err);
}

int pv_journal_state(struct pv_journal *journal, struct pv_journal_state *ret, prov_error *err)
{
    uint64_t turn;
    bool fresh;
    memset(ret, 0, sizeof *ret);
    int rc = journal_mark(journal, &ret->sealed, &turn, &fresh, err);
    if (!rc)
        rc = settle_mark(journal, &ret->sealed, err);
    if (!rc)
        rc = journal_enter(journal, err);
    if (rc)
        return rc;
    memcpy(ret->writer, journal->control->writer, sizeof ret->writer);
    ret->next_wseq = journal->control->end.next_wseq;
    ret->durable_lsn = atomic_load(&journal->control->durable_lsn);
    journal_leave(journal);
    ret->attempted = turn > 0 || !fresh; /* a mark that was lost may have been one */
    ret->pending = ret->durable_lsn > ret->sealed.lsn;
    return PROV_OK;
}

int pv_journal_seal_lock(struct pv_journal *journal, uint64_t timeout_ns, prov_error *err)
{
    struct psdk_buf path = {0};
    uint64_t start = psdk_wall_ns();
    struct timespec until = {.tv_sec = (time_t)((start + timeout_ns) / 1000000000u),
                             .tv_nsec = (long)((start + timeout_ns) % 1000000000u)};
    int e = pthread_mutex_timedlock(&journal->seal_mutex, &until);
    if (e)
        return psdk_fail(err, PROV_E_TIMEOUT, "another thread is still sealing this stream");
    psdk_buf_addf(&path, "%s/seal.lock", journal->config.dir);
    int rc = psdk_buf_check(&path, err);
    if (!rc)
        rc = psdk_lock_take(&journal->seal, psdk_buf_str(&path), false, timeout_ns, err);
    psdk_buf_done(&path);
    if (rc)
        pthread_mutex_unlock(&journal->seal_mutex);
    return rc;
}

void pv_journal_seal_unlock(struct pv_journal *journal)
{
    psdk_lock_drop(&journal->seal);
    pthread_mutex_unlock(&journal->seal_mutex);
}

/* ---- taking records --------------------------------------------------------------------------------------------------- */

void pv_journal_batch_done(struct pv_journal_batch *batch)
{
    psdk_buf_done(&batch->entries);
    psdk_buf_done(&batch->leaves);
    batch->count = 0;
}

struct taking {
    struct pv_journal_batch *batch;
    uint64_t max_records;
    size_t max_bytes;
    bool full;
};

static int take_record(void *ctx, const uint8_t *record, size_t len, const uint8_t id[32])
{
    struct taking *t = ctx;
    struct pv_journal_batch *b = t->batch;
    if (b->count && (b->count >= t->max_records || b->entries.len + len + 2 > t->max_bytes)) {
        t->full = true;
        return 1;
    }
    pv_bundle_add(&b->entries, record, len);
    psdk_buf_add(&b->leaves, id, 32);
    b->count++;
    return 0;
}

/* Records of one segment. *ret_next: it is exhausted and another follows. */
static int take_segment(struct pv_journal *j, struct taking *t, uint64_t durable_lsn, bool *ret_next, prov_error *err)
{
    struct pv_journal_batch *b = t->batch;
    struct pv_segment_header header;
    struct pv_segment_end at;
    int fd = -1;
    *ret_next = false;
    int rc = pv_segment_open(j->config.dir, b->end.segment, &header, &fd, err);
    if (rc)
        return rc;
    if (b->count && strcmp(header.writer, b->writer) != 0) {
        psdk_close(&fd);
        return PROV_OK; /* another instance: a batch of its own */
    }
    memcpy(b->writer, header.writer, sizeof b->writer);
    pv_segment_start(&header, &at);
    at.offset = b->end.offset;
    at.next_wseq = b->end.wseq;
    at.checksum = (uint32_t)b->end.checksum;
    if (!b->count)
        b->first_wseq = at.next_wseq;
    /* What the next segment starts at is where this one ends. */
    uint64_t limit = durable_lsn - header.base_lsn + PV_SEGMENT_HEADER;
    rc = pv_segment_scan(fd, j->config.dir, &at, limit, take_record, t, err);
    psdk_close(&fd);
    if (rc)
        return rc;
    b->end.checksum = at.checksum;
    b->end.offset = at.offset;
    b->end.wseq = at.next_wseq;
    b->end.lsn = header.base_lsn + at.offset - PV_SEGMENT_HEADER;
    *ret_next = !t->full && b->end.lsn < durable_lsn;
    return PROV_OK;
}

int pv_journal_take(struct pv_journal *journal, const struct pv_journal_mark *from, uint64_t max_records,
                    size_t max_bytes, struct pv_journal_batch *ret, prov_error *err)
{
    struct taking t = {ret, max_records, max_bytes, false};
    uint64_t durable = atomic_load(&journal->control->durable_lsn);
    memset(ret, 0, sizeof *ret);
    ret->end = *from;
    int rc = PROV_OK;
    bool next = from->lsn < durable;
    while (!rc && next) {
        uint64_t segment = ret->end.segment;
        rc = take_segment(journal, &t, durable, &next, err);
        if (!rc && next) {
            char writer[PV_WRITER_TEXT] = "";
            uint64_t lsn = ret->end.lsn;
            rc = start_of(journal, segment + 1, &ret->end, writer, err);
            if (rc == PROV_E_NOT_FOUND)
                rc = psdk_fail(err, PROV_E_CORRUPT, "journal %s: segment %llu is damaged at byte %llu: durable records are "
                               "missing", journal->config.dir, (unsigned long long)segment,
                               (unsigned long long)ret->end.offset);
            if (!rc && ret->end.lsn != lsn)
                rc = psdk_fail(err, PROV_E_CORRUPT, "journal %s: segment %llu is damaged: %llu bytes of it are missing",
                               journal->config.dir, (unsigned long long)segment,
                               (unsigned long long)(ret->end.lsn - lsn));
            if (ret->count && strcmp(writer, ret->writer) != 0)
                next = false;
        }
    }
    if (!rc)
        rc = psdk_buf_check(&ret->entries, err);
    if (!rc)
        rc = psdk_buf_check(&ret->leaves, err);
    if (rc)
        pv_journal_batch_done(ret);
    return rc;
}

int pv_journal_skip(struct pv_journal *journal, struct pv_journal_mark *mark, const char *writer, uint64_t wseq,
                    const uint8_t last_id[32], prov_error *err)
{
    bool reached = false;
    for (;;) {
        struct pv_journal_batch some;
        uint64_t most = wseq > mark->wseq ? wseq - mark->wseq : 1;
        int rc = pv_journal_take(journal, mark, most, (size_t)1 << 20, &some, err);
        bool done = rc || some.count == 0 || strcmp(some.writer, writer) != 0 || some.first_wseq >= wseq;
        if (!done)
            *mark = some.end;
        if (!done && some.first_wseq + some.count == wseq)
            reached = memcmp(some.leaves.data + (some.count - 1) * 32, last_id, 32) == 0;
        pv_journal_batch_done(&some);
        if (done && !rc && !reached) /* the writer went on from here in another life */
            rc = psdk_fail(err, PROV_E_CORRUPT,
                           "journal %s: the log has another record %llu of the writer %s: this is an old copy of the journal, "
                           "its records cannot be sealed", journal->config.dir, (unsigned long long)(wseq - 1), writer);
        if (done)
            return rc;
    }
}

int pv_journal_sealed(struct pv_journal *journal, const struct pv_journal_mark *mark, prov_error *err)
{
    struct pv_journal_mark old;
    uint64_t turn, low, high, count;
    uint8_t slot[SEALED_SLOT];
    bool fresh;
    int fd = open_sealed(journal, true, err);
    if (fd < 0)
        return fd;
    int rc = read_slots(fd, &turn, &old, &fresh, err);
    if (!rc) {
        encode_slot(mark, turn + 1, slot);
        rc = psdk_pwrite_all(fd, slot, sizeof slot, (turn + 1) % 2 * SEALED_SLOT, "journal: sealed", err);
    }
    if (!rc && turn == 0) { /* the first one is no hint: it says that sealing was tried */
        rc = psdk_fdatasync(fd, "journal: sealed", err);
        if (!rc)
            rc = psdk_sync_dir(journal->config.dir, err);
    }
    psdk_close(&fd);
    if (rc || old.segment == mark->segment)
        return rc;
    rc = journal_segments(journal->config.dir, &low, &high, &count, err);
    for (uint64_t s = low; !rc && s < mark->segment && s < high; s++) {
        struct psdk_buf path = {0};
        char name[32];
        pv_segment_name(s, name);
        psdk_buf_addf(&path, "%s/%s", journal->config.dir, name);
        unlink(psdk_buf_str(&path)); /* one that stays is harmless */
        psdk_buf_done(&path);
    }
    return rc;
}
