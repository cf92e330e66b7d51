/* pv_journal_append.c - appending, and the group commit. SPDX-License-Identifier: Apache-2.0
 *
 * Who appended and finds the leader lock free becomes the leader: it lets others join while the end still grows, syncs
 * once, publishes how far the journal is durable and wakes all. The others sleep on a futex, with a timeout so that a
 * leader that died is noticed (its lock is robust, the next one takes over). */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "pv_journal_impl.h"

#define JOIN_TURNS 4
#define WAIT_NS 20000000L

static void futex_wait(_Atomic uint32_t *word, uint32_t seen)
{
    struct timespec limit = {0, WAIT_NS};
    syscall(SYS_futex, (uint32_t *)word, FUTEX_WAIT, seen, &limit, NULL, 0);
}

void journal_publish(struct journal_control *c)
{
    atomic_fetch_add(&c->wake, 1);
    if (atomic_load(&c->waiters))
        syscall(SYS_futex, (uint32_t *)&c->wake, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* Zero-fills more room in front of the write that needs it, so that the sync has no block to allocate next time. */
static int make_room(struct pv_journal *j, uint64_t need, prov_error *err)
{
    struct journal_control *c = j->control;
    if (need <= c->room_end)
        return PROV_OK;
    uint64_t more = c->room_end < JOURNAL_ROOM_MIN ? JOURNAL_ROOM_MIN : c->room_end;
    more = more > JOURNAL_ROOM_MAX ? JOURNAL_ROOM_MAX : more;
    uint64_t end = need + more;
    void *zero = calloc(1, (size_t)(end - c->room_end));
    if (!zero)
        return psdk_fail(err, PROV_E_NOMEM, "journal: out of memory");
    int rc = psdk_pwrite_all(j->fd, zero, (size_t)(end - c->room_end), c->room_end, j->config.dir, err);
    free(zero);
    if (!rc)
        c->room_end = end;
    return rc;
}

int journal_write(struct pv_journal *j, const struct pv_record_parts *parts, size_t n, uint8_t (*ret_ids)[32],
                  uint64_t *ret_lsn, prov_error *err)
{
    struct journal_control *c = j->control;
    struct pv_segment_end end = c->end;
    struct psdk_buf record = {0};
    char timestamp[PSDK_TIME_SIZE];
    uint64_t now = psdk_wall_ns() / 1000u * 1000u;
    end.last_ns = now > end.last_ns ? now : end.last_ns; /* a clock that went back does not take the writer back */
    psdk_time_format(end.last_ns, timestamp);
    psdk_buf_clear(&j->scratch);
    int rc = PROV_OK;
    for (size_t i = 0; i < n && !rc; i++) {
        uint8_t id[32];
        psdk_buf_clear(&record);
        rc = pv_record_finish(&parts[i], end.next_wseq ? end.prev : NULL, timestamp, end.next_wseq, &record, id);
        if (!rc)
            rc = pv_frame_add(&j->scratch, record.data, record.len, id, &end);
        if (ret_ids)
            memcpy(ret_ids[i], id, 32);
    }
    psdk_buf_done(&record);
    if (rc)
        return psdk_fail(err, rc, "journal: %s", psdk_rc_text(rc));
    rc = make_room(j, end.offset, err);
    if (rc)
        return rc;
    rc = psdk_pwrite_all(j->fd, j->scratch.data, j->scratch.len, c->end.offset, j->config.dir, err);
    if (rc) { /* a part of it may be there, whole frames among it: they must never be found */
        prov_error then = {0};
        journal_trim(j, j->scratch.len, &then);
        return rc;
    }
    c->end = end;
    *ret_lsn = c->base_lsn + end.offset - PV_SEGMENT_HEADER;
    atomic_store(&c->end_lsn, *ret_lsn);
    return PROV_OK;
}

/* After a failed sync. leader held. */
static int cut_back(struct pv_journal *j, prov_error *why)
{
    struct journal_control *c = j->control;
    prov_error err = {0};
    bool died;
    int rc = journal_lock(&c->append, &died, &err);
    if (!rc) {
        rc = journal_cut(j, &err);
        journal_leave(j);
    }
    return rc ? psdk_wrap(why, "%s; then", err.message) : why->code;
}

static int lead(struct pv_journal *j, prov_error *err)
{
    struct journal_control *c = j->control;
    uint64_t seen = atomic_load(&c->end_lsn);
    for (int turn = 0; turn < JOIN_TURNS; turn++) {
        sched_yield();
        uint64_t now = atomic_load(&c->end_lsn);
        if (now == seen)
            break;
        seen = now;
    }
    int rc = journal_enter(j, err);
    if (rc)
        return cut_back(j, err); /* what was written cannot become durable by this one: for all the same answer */
    uint64_t target = atomic_load(&c->end_lsn);
    int fd = j->fd;
    atomic_store(&j->leading, fd); /* whoever moves to another segment leaves it open */
    journal_leave(j);
    rc = psdk_fdatasync(fd, j->config.dir, err);
    atomic_store(&j->leading, -1);
    if (rc)
        return cut_back(j, err);
    atomic_store(&c->durable_lsn, target);
    journal_publish(c);
    return PROV_OK;
}

/* Something was cut since this one appended: was it durable before? */
static int after_cut(struct pv_journal *j, uint64_t lsn, uint32_t now, uint32_t cuts, prov_error *err)
{
    if (now - cuts < JOURNAL_CUTS && lsn <= atomic_load(&j->control->cut_lsn[cuts % JOURNAL_CUTS]))
        return PROV_OK;
    return psdk_fail(err, PROV_E_IO, "journal %s: the disk refused a sync; the record was not kept", j->config.dir);
}

int journal_wait(struct pv_journal *j, uint64_t lsn, uint32_t cuts, prov_error *err)
{
    struct journal_control *c = j->control;
    for (;;) {
        uint32_t seen = atomic_load(&c->wake);
        uint64_t durable = atomic_load(&c->durable_lsn); /* before cuts: a cut lets numbers be used again */
        uint32_t now = atomic_load(&c->cuts);
        if (now != cuts)
            return after_cut(j, lsn, now, cuts, err);
        if (durable >= lsn)
            return PROV_OK;
        int e = pthread_mutex_trylock(&c->leader);
        if (e == EOWNERDEAD)
            e = pthread_mutex_consistent(&c->leader);
        if (e == 0) {
            int rc = PROV_OK;
            if (atomic_load(&c->durable_lsn) < lsn && atomic_load(&c->cuts) == cuts)
                rc = lead(j, err);
            pthread_mutex_unlock(&c->leader);
            if (rc)
                return rc;
        } else if (e == EBUSY) {
            atomic_fetch_add(&c->waiters, 1);
            futex_wait(&c->wake, seen);
            atomic_fetch_sub(&c->waiters, 1);
        } else {
            return psdk_fail_errno(err, e, "journal: lock");
        }
    }
}

/* Moves to a new segment when this one is full. Returns with append held, whatever happens to the segment. */
static int rotate_if_full(struct pv_journal *j, prov_error *err)
{
    struct journal_control *c = j->control;
    bool repair;
    if (c->end.offset < j->config.segment_bytes)
        return PROV_OK;
    journal_leave(j);
    int rc = journal_lock(&c->leader, &repair, err);
    if (rc)
        return rc;
    rc = journal_enter(j, err);
    if (!rc) {
        if (c->end.offset >= j->config.segment_bytes)
            rc = journal_rotate(j, NULL, err);
        if (rc)
            journal_leave(j);
        else
            journal_publish(c);
    }
    pthread_mutex_unlock(&c->leader);
    return rc;
}

static int append_prepared(struct pv_journal *j, const struct pv_record_parts *parts, size_t n, uint8_t (*ret_ids)[32],
                           prov_error *err)
{
    uint64_t lsn = 0;
    int rc = journal_enter(j, err);
    if (!rc)
        rc = rotate_if_full(j, err);
    if (rc)
        return rc;
    uint32_t cuts = atomic_load(&j->control->cuts);
    rc = journal_write(j, parts, n, ret_ids, &lsn, err);
    journal_leave(j);
    return rc ? rc : journal_wait(j, lsn, cuts, err);
}

int pv_journal_append(struct pv_journal *journal, const struct pv_draft *drafts, size_t n, uint8_t (*ret_ids)[32],
                      prov_error *err)
{
    if (n == 0)
        return PROV_OK;
    struct pv_record_parts few[8];
    struct pv_record_parts *parts = n <= 8 ? few : calloc(n, sizeof *parts);
    if (!parts)
        return psdk_fail(err, PROV_E_NOMEM, "journal: out of memory");
    size_t made = 0;
    int rc = PROV_OK;
    /* The instance part of the writer is set under the lock on a machine change only, never while a journal is open. */
    for (; made < n && !rc; made++)
        rc = pv_record_prepare(&drafts[made], journal->config.origin, journal->control->writer, &parts[made], err);
    if (rc)
        made--;
    else
        rc = append_prepared(journal, parts, n, ret_ids, err);
    for (size_t i = 0; i < made; i++)
        pv_record_parts_done(&parts[i]);
    if (parts != few)
        free(parts);
    return rc;
}
