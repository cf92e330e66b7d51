/* pv_journal.h - the journal: where a record becomes durable, by one fdatasync shared by all who wait.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A journal belongs to one stream, one host and one writer key; its folder is shared by all processes and threads of the
 * host. It holds the records that were not sealed yet (and the rest of the segment they are in).
 *
 * What can fail, and what then holds. A record that pv_journal_append acknowledged is found by every later open, whatever
 * dies and when. One that it refused is not there. One whose process died inside the call may be there or not, whole. A
 * torn tail is recognised by a chained checksum and never read again. After a failed fdatasync everything that was not yet durable is
 * cut and its callers get the error (a second fdatasync proves nothing). Locks are robust mutexes in a shared control
 * file: the next process repairs what a dead owner left. After a reboot the control file is made anew from the segments.
 */
#ifndef PV_JOURNAL_H
#define PV_JOURNAL_H

#include "pv_record.h"

struct pv_journal;

struct pv_journal_config {
    const char *dir;     /* made when it is not there */
    const char *origin;  /* of the stream */
    const char *subject; /* of the records that open the journal */
    const struct psdk_ed25519 *writer_key; /* borrowed until close */
    const struct psdk_ed25519 *log_key;    /* authorises the writer; borrowed until close */
    uint64_t segment_bytes;                /* 0: 16 MiB */
};

/* Opens or makes a journal. A new one begins with two records of its own: key.authorize and writer.open. */
int pv_journal_open(const struct pv_journal_config *config, struct pv_journal **ret, prov_error *err);
void pv_journal_close(struct pv_journal *journal);

/* Appends n records and returns when they are durable: all of them, in order, or none. ret_ids (may be NULL) gets n ids.
 * [any] */
int pv_journal_append(struct pv_journal *journal, const struct pv_draft *drafts, size_t n, uint8_t (*ret_ids)[32],
                      prov_error *err);

/* A place in the journal: everything before it is sealed in a tree of this size and root. */
struct pv_journal_mark {
    uint64_t segment;
    uint64_t offset;
    uint64_t wseq;      /* of the next record there */
    uint64_t lsn;       /* bytes appended before it, over the whole life of the journal */
    uint64_t checksum;  /* that the frame there continues */
    uint64_t tree_size; /* the largest tree that this host has seen */
    uint8_t root[32];
};

struct pv_journal_state {
    char writer[PV_WRITER_TEXT]; /* of new records */
    uint64_t next_wseq;
    uint64_t durable_lsn;
    struct pv_journal_mark sealed;
    bool attempted; /* a mark was written: sealing was tried before */
    bool pending; /* something durable is not sealed */
};
/* [any] */
int pv_journal_state(struct pv_journal *journal, struct pv_journal_state *ret, prov_error *err);

/* One sealer at a time over all processes of the host. */
int pv_journal_seal_lock(struct pv_journal *journal, uint64_t timeout_ns, prov_error *err);
void pv_journal_seal_unlock(struct pv_journal *journal);

/* Durable records from a mark on, of one writer instance, at most max_records and max_bytes (but one if there is any). */
struct pv_journal_batch {
    uint64_t count;
    struct psdk_buf entries; /* C2SP entry bundle form: 2-byte big-endian length, bytes */
    struct psdk_buf leaves;  /* count leaf hashes of 32 bytes */
    char writer[PV_WRITER_TEXT];
    uint64_t first_wseq;
    struct pv_journal_mark end; /* tree_size and root are those of the start */
};
void pv_journal_batch_done(struct pv_journal_batch *batch);
int pv_journal_take(struct pv_journal *journal, const struct pv_journal_mark *from, uint64_t max_records,
                    size_t max_bytes, struct pv_journal_batch *ret, prov_error *err);
/* Notes that everything before the mark is sealed and deletes segments that are wholly before it. A hint: it may be lost
 * in a crash, and then names an earlier place. Seal lock held. */
int pv_journal_sealed(struct pv_journal *journal, const struct pv_journal_mark *mark, prov_error *err);
/* Moves a mark to the record `wseq` of `writer`: the log has everything before it, last_id at the last. PROV_E_CORRUPT when
 * the journal's record there is another one. Seal lock held. */
int pv_journal_skip(struct pv_journal *journal, struct pv_journal_mark *mark, const char *writer, uint64_t wseq,
                    const uint8_t last_id[32], prov_error *err);

#endif
