/* journal_rig.h - a journal in a temporary folder, and what its tests look at. SPDX-License-Identifier: Apache-2.0 */
#ifndef JOURNAL_RIG_H
#define JOURNAL_RIG_H

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "psdk_file.h"
#include "pv_journal.h"
#include "pv_segment.h"
#include "pv_tile.h"

#define SEGMENT_0 "segment-000000000000"

struct jrig {
    char dir[128];
    char where[160];
    struct psdk_ed25519 log_key, writer_key;
    struct pv_journal_config config;
    struct pv_journal *j;
};

static inline void jrig_ok(int rc, const prov_error *err)
{
    ck_assert_msg(rc == PROV_OK, "%s: %s", psdk_rc_name(rc), err->message);
}

static inline void jrig_init(struct jrig *r, uint64_t segment_bytes)
{
    prov_error err = {0};
    memset(r, 0, sizeof *r);
    const char *tmp = getenv("TMPDIR");
    snprintf(r->dir, sizeof r->dir, "%.90s/prov-journal-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : tmp ? tmp : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(r->dir));
    snprintf(r->where, sizeof r->where, "%s/j", r->dir);
    jrig_ok(psdk_ed25519_new(&r->log_key, &err), &err);
    jrig_ok(psdk_ed25519_new(&r->writer_key, &err), &err);
    r->config = (struct pv_journal_config){.dir = r->where, .origin = "test.local/store/models/m", .subject = "m",
                                           .writer_key = &r->writer_key, .log_key = &r->log_key,
                                           .segment_bytes = segment_bytes};
}

static inline void jrig_open(struct jrig *r)
{
    prov_error err = {0};
    jrig_ok(pv_journal_open(&r->config, &r->j, &err), &err);
}

static inline void jrig_close(struct jrig *r)
{
    pv_journal_close(r->j);
    r->j = NULL;
}

static inline void jrig_done(struct jrig *r)
{
    prov_error err = {0};
    jrig_close(r);
    psdk_ed25519_done(&r->log_key);
    psdk_ed25519_done(&r->writer_key);
    psdk_remove_tree(r->dir, &err);
}

static inline int jrig_append(struct pv_journal *j, int n, uint8_t id[32], prov_error *err)
{
    char body[32];
    snprintf(body, sizeof body, "{\"n\":%d}", n);
    struct pv_draft d = {"test.note", "m", "tester", body, strlen(body)};
    return pv_journal_append(j, &d, 1, (uint8_t(*)[32])id, err);
}

static inline void jrig_path(const struct jrig *r, const char *name, char ret[256])
{
    snprintf(ret, 256, "%s/%s", r->where, name);
}

static inline void jrig_write(const struct jrig *r, const char *name, const void *data, size_t len)
{
    char path[256];
    jrig_path(r, name, path);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, data, len), (ssize_t)len);
    close(fd);
}

static inline void jrig_read(const struct jrig *r, const char *name, struct psdk_buf *ret)
{
    char path[256];
    prov_error err = {0};
    jrig_path(r, name, path);
    jrig_ok(psdk_read_file(path, (size_t)1 << 26, ret, &err), &err);
}

static inline void jrig_remove(const struct jrig *r, const char *name)
{
    char path[256];
    jrig_path(r, name, path);
    ck_assert_int_eq(unlink(path), 0);
}

/* All that is durable behind the mark, checked: each writer's sequence, chain and times. */
struct jseen {
    uint64_t count;
    uint32_t writers;
    int n[4096]; /* of {"n":...}, -1 for others */
    uint8_t id[4096][32];
    char writer[PV_WRITER_TEXT]; /* the last one */
    char predecessor[PV_WRITER_TEXT];
};

static inline void jrig_look_at(struct jseen *s, const uint8_t *entry, size_t len, struct pv_record *last)
{
    struct pv_record r;
    prov_error err = {0};
    char body[128];
    jrig_ok(pv_record_parse((const char *)entry, len, "record", &r, &err), &err);
    ck_assert_uint_lt(s->count, sizeof s->n / sizeof *s->n);
    bool same = s->count && memcmp(s->writer, r.writer.data, r.writer.len) == 0;
    if (same) {
        ck_assert_uint_eq(r.wseq, last->wseq + 1);
        ck_assert(r.has_prev && memcmp(r.prev, last->id, 32) == 0);
        ck_assert_uint_ge(r.timestamp_ns, last->timestamp_ns);
    } else {
        s->writers++;
        memcpy(s->writer, r.writer.data, r.writer.len);
    }
    snprintf(body, sizeof body, "%.*s", (int)(r.body.len < 127 ? r.body.len : 127), r.body.data);
    if (sscanf(body, "{\"n\":%d}", &s->n[s->count]) != 1)
        s->n[s->count] = -1;
    sscanf(body, "{\"predecessor\":\"%49[^\"]\"}", s->predecessor);
    memcpy(s->id[s->count++], r.id, 32);
    *last = r;
}

static inline void jrig_see(struct jrig *r, struct jseen *s)
{
    struct pv_journal_state state;
    struct pv_record last = {0};
    prov_error err = {0};
    memset(s, 0, sizeof *s);
    jrig_ok(pv_journal_state(r->j, &state, &err), &err);
    struct pv_journal_mark at = state.sealed;
    while (at.lsn < state.durable_lsn) {
        struct pv_journal_batch batch;
        const uint8_t *entry;
        size_t pos = 0, len;
        jrig_ok(pv_journal_take(r->j, &at, 7, (size_t)1 << 20, &batch, &err), &err);
        ck_assert_uint_gt(batch.count, 0);
        while (pv_bundle_next(batch.entries.data, batch.entries.len, &pos, &entry, &len) > 0)
            jrig_look_at(s, entry, len, &last);
        at = batch.end;
        pv_journal_batch_done(&batch);
    }
}

/* How often record n is there. */
static inline int jrig_times(const struct jseen *s, int n)
{
    int times = 0;
    for (uint64_t i = 0; i < s->count; i++)
        times += s->n[i] == n;
    return times;
}

#endif
