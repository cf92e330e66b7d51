/* pv_stream_impl.h - what the stream's files share. SPDX-License-Identifier: Apache-2.0 */
#ifndef PV_STREAM_IMPL_H
#define PV_STREAM_IMPL_H

#include "pv_stream.h"

struct pv_stream {
    const struct pv_ledger *ledger;
    char path[300];
    char prefix[PV_NAME_MAX];
    char origin[PV_NAME_MAX];
    struct pv_journal *journal;
    /* Under the journal's seal lock. What is known of the head that was seen last. */
    bool loaded;
    bool has_head;
    struct pv_head head;
    char etag[128];
    uint64_t published; /* size of `checkpoint`, 0 none */
    char published_etag[128];
    struct pv_frontier frontier; /* at head.tree.size */
    bool attempted;              /* a seal was tried: own records may be in the log */
    bool swept;                  /* orphans of dead processes were looked for */
    char orphan[PV_SEAL_NAME];   /* of a race that this process lost */
    struct pv_files partials;    /* names of partial files that the next seal supersedes */
};

#define STREAM_KEY_MAX (PV_NAME_MAX + PV_TILE_NAME)

/* The object key of a name in the stream's folder. */
void stream_key(const struct pv_stream *s, const char *name, char ret[STREAM_KEY_MAX]);
/* Brings s up to the head in the store (making its tiles if nobody did); the mark moves behind own records in the log. */
int stream_refresh(struct pv_stream *s, struct pv_journal_mark *mark, prov_error *err);
/* Stores the files of s's head, then its checkpoint. */
int stream_publish(struct pv_stream *s, const struct pv_files *files, prov_error *err);
/* Deletes partial files of earlier heads that are not among files. */
void stream_drop_superseded(struct pv_stream *s, const struct pv_files *files);

#endif
