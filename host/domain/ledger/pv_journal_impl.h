/* pv_journal_impl.h - what the journal's files share: the control page and the handle.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The control page is shared by all processes through mmap. Lock order: leader, then append. It is never the truth: every
 * member under `append` can be found again by scanning the current segment.
 */
#ifndef PV_JOURNAL_IMPL_H
#define PV_JOURNAL_IMPL_H

#include <pthread.h>
#include <stdatomic.h>

#include "psdk_file.h"
#include "pv_journal.h"
#include "pv_segment.h"

#define JOURNAL_MAGIC 0x324c4e524a565031ull /* "1PVJRNL2" */
#define JOURNAL_SEGMENT_BYTES ((uint64_t)16 << 20)
#define JOURNAL_ROOM_MIN ((uint64_t)64 << 10)
#define JOURNAL_ROOM_MAX ((uint64_t)1 << 20)
#define SEALED_SLOT 128u
#define JOURNAL_CUTS 16u /* cuts that a sleeping waiter can look back on */

struct journal_control {
    uint64_t magic; /* written last when the page is made */
    char boot_id[40];
    uint64_t device, inode; /* of this very file: a copy of it is no control page */
    pthread_mutex_t append;
    pthread_mutex_t leader;
    /* Under append. */
    uint64_t segment;
    uint64_t base_lsn; /* of the segment */
    uint64_t room_end; /* zero-filled up to here */
    struct pv_segment_end end;
    char writer[PV_WRITER_TEXT]; /* changes only while the page is made; read by all */
    bool lost_end;      /* its keeper died: to be found again by a scan */
    bool stray_tail;    /* a refused write may lie behind the end */
    uint32_t cuts_done; /* behind `cuts`: what was not durable is still to be cut from the file */
    /* Read by all, written by the leader (durable, cuts) or under append (end_lsn). */
    _Atomic uint64_t end_lsn;
    _Atomic uint64_t durable_lsn;
    _Atomic uint32_t cuts;     /* failed syncs so far; what was not durable at a cut is gone and its lsn used again */
    _Atomic uint64_t cut_lsn[JOURNAL_CUTS]; /* what was durable at cut number i, at i % JOURNAL_CUTS */
    _Atomic uint32_t wake;     /* futex: changes when durable_lsn or cuts did */
    _Atomic uint32_t waiters;
};

struct pv_journal {
    struct pv_journal_config config; /* strings owned */
    char key_id[PSDK_KEYID_HEX];
    struct journal_control *control;
    struct psdk_lock attached; /* shared while open: nobody remakes the control page */
    struct psdk_lock seal;
    pthread_mutex_t seal_mutex; /* threads of this process, before the file lock */
    /* Under control->append. */
    int fd; /* of segment fd_number; -1 none */
    uint64_t fd_number;
    int retired; /* a descriptor that the leader of this process was still syncing; -1 none */
    struct psdk_buf scratch;
    _Atomic int leading; /* the descriptor that the leader of this process is syncing; -1 none */
    uint64_t control_device, control_inode;
};

/* Takes the append mutex and repairs what a dead owner left; then this process's fd is that of the current segment. */
int journal_enter(struct pv_journal *j, prov_error *err);
void journal_leave(struct pv_journal *j);
/* After a failed sync: forgets all that is not durable, here, for all waiters and on disk. leader and append held. */
int journal_cut(struct pv_journal *j, prov_error *err);
/* Makes sure that nothing behind the end can be read as a record: clears len bytes there. append held. */
int journal_trim(struct pv_journal *j, size_t len, prov_error *err);
/* Tells the waiters that durable_lsn or cuts changed. */
void journal_publish(struct journal_control *c);
/* Brings the folder to a state that can be appended to, or makes the first segment. The page's mutexes are made and nobody
 * else is attached. */
int journal_recover(struct pv_journal *j, prov_error *err);
/* The first line of a small file, "" when there is no such file. */
int journal_read_line(const char *path, char *ret, size_t cap, prov_error *err);
/* DIR/name */
int journal_path(const struct pv_journal *j, const char *name, struct psdk_buf *ret, prov_error *err);
/* The mark as it was written last; *ret_turn 0: never. *ret_fresh: the file says that no mark was ever written (rather than
 * being lost or damaged). */
int journal_mark(const struct pv_journal *j, struct pv_journal_mark *ret, uint64_t *ret_turn, bool *ret_fresh,
                 prov_error *err);
/* Makes the next segment and moves there; a new writer instance when writer is not NULL. leader and append held. */
int journal_rotate(struct pv_journal *j, const char *writer, prov_error *err);
/* Writes drafts as frames at the end (leader not needed). append held. *ret_lsn is what must become durable. */
int journal_write(struct pv_journal *j, const struct pv_record_parts *parts, size_t n, uint8_t (*ret_ids)[32],
                  uint64_t *ret_lsn, prov_error *err);
/* Waits until lsn is durable, leading a sync if nobody else does. cuts as read while append was held. */
int journal_wait(struct pv_journal *j, uint64_t lsn, uint32_t cuts, prov_error *err);
/* The highest segment number in the folder, the lowest one, and how many there are. */
int journal_segments(const char *dir, uint64_t *ret_low, uint64_t *ret_high, uint64_t *ret_count, prov_error *err);
/* Locks a robust mutex; true in *ret_repair when its owner died (already marked consistent). */
int journal_lock(pthread_mutex_t *mutex, bool *ret_repair, prov_error *err);
/* The records that open an instance: key.authorize and writer.open with its predecessor (or NULL). append held. */
int journal_open_records(struct pv_journal *j, const char *predecessor, prov_error *err);

#endif
