/* pv_journal_recover.c - finding the end of a journal again: after a death, a failed sync, a reboot.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Three faults of a running journal are noted in the control page before anything is done about them, so that the next one
 * in goes on when this one dies or fails too: lost_end, stray_tail, and cuts ahead of cuts_done. journal_enter gives the
 * journal out only when none is left. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pv_journal_impl.h"

int journal_segments(const char *dir, uint64_t *ret_low, uint64_t *ret_high, uint64_t *ret_count, prov_error *err)
{
    *ret_low = UINT64_MAX;
    *ret_high = 0;
    *ret_count = 0;
    DIR *d = opendir(dir);
    if (!d)
        return psdk_fail_errno(err, errno, "journal %s", dir);
    int e;
    for (;;) {
        uint64_t number;
        errno = 0; /* a listing that breaks off must not look like an empty folder */
        const struct dirent *entry = readdir(d);
        e = errno;
        if (!entry)
            break;
        if (!pv_segment_name_parse(entry->d_name, &number))
            continue;
        *ret_low = number < *ret_low ? number : *ret_low;
        *ret_high = number > *ret_high ? number : *ret_high;
        ++*ret_count;
    }
    closedir(d);
    return e ? psdk_fail_errno(err, e, "journal %s: listing it", dir) : PROV_OK;
}

int journal_lock(pthread_mutex_t *mutex, bool *ret_repair, prov_error *err)
{
    int e = pthread_mutex_lock(mutex);
    *ret_repair = e == EOWNERDEAD;
    if (e == EOWNERDEAD)
        e = pthread_mutex_consistent(mutex);
    return e ? psdk_fail_errno(err, e, "journal: lock") : PROV_OK;
}

/* The leader of this process may be in a sync on the descriptor: then it is closed later. */
static void drop_fd(struct pv_journal *j)
{
    if (j->fd >= 0 && atomic_load(&j->leading) == j->fd) {
        j->retired = j->fd;
        j->fd = -1;
    }
    psdk_close(&j->fd);
}

static int use_segment(struct pv_journal *j, uint64_t number, struct pv_segment_header *header, prov_error *err)
{
    int fd = -1;
    if (j->fd >= 0 && j->fd_number == number)
        return pv_segment_read_header(j->fd, j->config.dir, number, header, err);
    int rc = pv_segment_open(j->config.dir, number, header, &fd, err);
    if (rc)
        return rc;
    drop_fd(j);
    j->fd = fd;
    j->fd_number = number;
    return PROV_OK;
}

int journal_trim(struct pv_journal *j, size_t len, prov_error *err)
{
    struct journal_control *c = j->control;
    void *zero = calloc(1, len);
    int rc = zero ? psdk_pwrite_all(j->fd, zero, len, c->end.offset, j->config.dir, err)
                  : psdk_fail(err, PROV_E_NOMEM, "journal: out of memory");
    free(zero);
    if (rc && ftruncate(j->fd, (off_t)c->end.offset) == 0) {
        c->room_end = c->end.offset;
        rc = PROV_OK;
    }
    c->stray_tail = rc != PROV_OK;
    return rc;
}

/* Removes whatever lies behind the end. */
static int cut_tail(struct pv_journal *j, prov_error *err)
{
    struct journal_control *c = j->control;
    c->room_end = c->end.offset;
    if (ftruncate(j->fd, (off_t)c->end.offset) == 0)
        c->stray_tail = false;
    else if (journal_trim(j, PV_FRAME_HEADER, err))
        return psdk_wrap(err, "journal %s: cutting a torn tail", j->config.dir);
    return PROV_OK;
}

/* A segment without a whole header. *ret_unmade: its maker died before it was durable, so it holds nothing. */
static int look_at_unmade(const struct pv_journal *j, uint64_t number, bool *ret_unmade, struct psdk_buf *path,
                          prov_error *err)
{
    char name[32];
    pv_segment_name(number, name);
    int rc = journal_path(j, name, path, err);
    int fd = rc ? rc : psdk_open(psdk_buf_str(path), O_RDONLY, 0, err);
    if (fd < 0)
        return fd;
    rc = pv_segment_is_blank(fd, psdk_buf_str(path), PV_SEGMENT_HEADER, ret_unmade, err);
    psdk_close(&fd);
    return rc;
}

/* Opens the newest segment; removes one that was never made whole. PROV_E_NOT_FOUND: there is none. */
static int use_newest(struct pv_journal *j, struct pv_segment_header *header, prov_error *err)
{
    for (;;) {
        uint64_t low, high, count;
        bool unmade = false;
        struct psdk_buf path = {0};
        int rc = journal_segments(j->config.dir, &low, &high, &count, err);
        if (rc)
            return rc;
        if (count == 0)
            return psdk_fail(err, PROV_E_NOT_FOUND, "journal %s: has no segments", j->config.dir);
        rc = use_segment(j, high, header, err);
        if (rc != PROV_E_CORRUPT)
            return rc;
        rc = look_at_unmade(j, high, &unmade, &path, err);
        if (!rc && !unmade)
            rc = psdk_fail(err, PROV_E_CORRUPT,
                           "%s: its header is damaged and there are records behind it: restore the file, or move it away (the "
                           "records in it are lost then)", psdk_buf_str(&path));
        if (!rc && unlink(psdk_buf_str(&path)) != 0)
            rc = psdk_fail_errno(err, errno, "%s: removing an unfinished segment", psdk_buf_str(&path));
        psdk_buf_done(&path);
        if (rc)
            return rc;
    }
}

/* Finds the end of the newest segment, not looking past limit_lsn. ret_torn NULL: cuts what lies behind; otherwise that
 * stays if it is more than empty room, and is told. */
static int rescan(struct pv_journal *j, uint64_t limit_lsn, bool *ret_torn, prov_error *err)
{
    struct journal_control *c = j->control;
    struct pv_segment_header header;
    bool blank = true;
    int rc = use_newest(j, &header, err);
    if (rc)
        return rc;
    uint64_t limit = UINT64_MAX;
    if (limit_lsn != UINT64_MAX)
        limit = PV_SEGMENT_HEADER + (limit_lsn > header.base_lsn ? limit_lsn - header.base_lsn : 0);
    pv_segment_start(&header, &c->end);
    rc = pv_segment_scan(j->fd, j->config.dir, &c->end, limit, NULL, NULL, err);
    if (!rc && ret_torn)
        rc = pv_segment_is_blank(j->fd, j->config.dir, c->end.offset, &blank, err);
    if (rc)
        return rc;
    c->segment = header.number;
    c->base_lsn = header.base_lsn;
    if (memcmp(c->writer, header.writer, sizeof c->writer) != 0) /* only on opening: others read it without the lock */
        memcpy(c->writer, header.writer, sizeof c->writer);
    atomic_store(&c->end_lsn, c->base_lsn + c->end.offset - PV_SEGMENT_HEADER);
    if (atomic_load(&c->durable_lsn) < c->base_lsn) /* a segment is begun when all before it is durable */
        atomic_store(&c->durable_lsn, c->base_lsn);
    if (ret_torn && (*ret_torn = !blank)) {
        c->room_end = c->end.offset;
        return PROV_OK;
    }
    return cut_tail(j, err);
}

static int repair(struct pv_journal *j, prov_error *err)
{
    struct journal_control *c = j->control;
    uint32_t cuts = atomic_load(&c->cuts);
    uint64_t limit = UINT64_MAX;
    if (c->stray_tail)
        limit = atomic_load(&c->end_lsn);
    if (cuts != c->cuts_done)
        limit = atomic_load(&c->durable_lsn);
    c->lost_end = true; /* until the scan is through */
    int rc = rescan(j, limit, NULL, err);
    if (rc)
        return rc;
    if (cuts != c->cuts_done) { /* as far as this disk still takes it */
        prov_error ignored = {0};
        psdk_fdatasync(j->fd, j->config.dir, &ignored);
    }
    c->cuts_done = cuts;
    c->lost_end = false;
    return PROV_OK;
}

int journal_cut(struct pv_journal *j, prov_error *err)
{
    struct journal_control *c = j->control;
    uint32_t cut = atomic_load(&c->cuts);
    atomic_store(&c->cut_lsn[cut % JOURNAL_CUTS], atomic_load(&c->durable_lsn));
    atomic_store(&c->cuts, cut + 1);
    int rc = repair(j, err);
    journal_publish(c);
    return rc;
}

int journal_enter(struct pv_journal *j, prov_error *err)
{
    struct journal_control *c = j->control;
    bool died;
    int rc = journal_lock(&c->append, &died, err);
    if (rc)
        return rc;
    if (j->retired >= 0 && atomic_load(&j->leading) != j->retired)
        psdk_close(&j->retired);
    if (died)
        c->lost_end = true;
    if (c->lost_end || c->stray_tail || atomic_load(&c->cuts) != c->cuts_done) {
        rc = repair(j, err);
    } else if (j->fd < 0 || j->fd_number != c->segment) {
        struct pv_segment_header header;
        rc = use_segment(j, c->segment, &header, err);
    }
    if (rc)
        journal_leave(j);
    return rc;
}

void journal_leave(struct pv_journal *j)
{
    pthread_mutex_unlock(&j->control->append);
}

/* ---- opening -------------------------------------------------------------------------------------------------------- */

static int new_writer_text(const struct pv_journal *j, char ret[PV_WRITER_TEXT], prov_error *err)
{
    uint8_t instance[8];
    int rc = psdk_random(instance, sizeof instance, err);
    if (rc)
        return rc;
    memcpy(ret, j->key_id, 32);
    ret[32] = '/';
    psdk_hex(instance, sizeof instance, ret + 33);
    return PROV_OK;
}

/* The file `machine` names the machine and the folder's inode. A copied or restored folder differs in one of them and gets a
 * new writer instance, so that no wseq is used twice. */
static int machine_text(const struct pv_journal *j, char ret[128], prov_error *err)
{
    char id[64];
    struct stat st;
    int rc = journal_read_line("/etc/machine-id", id, sizeof id, err);
    if (!rc && stat(j->config.dir, &st) != 0)
        rc = psdk_fail_errno(err, errno, "journal %s", j->config.dir);
    if (!rc)
        snprintf(ret, 128, "%s %llu", id, (unsigned long long)st.st_ino);
    return rc;
}

static int same_machine(const struct pv_journal *j, bool *ret_same, prov_error *err)
{
    struct psdk_buf path = {0};
    char here[128], there[128];
    int rc = machine_text(j, here, err);
    if (!rc)
        rc = journal_path(j, "machine", &path, err);
    if (!rc)
        rc = journal_read_line(psdk_buf_str(&path), there, sizeof there, err);
    if (!rc)
        *ret_same = strcmp(here, there) == 0;
    psdk_buf_done(&path);
    return rc;
}

static int note_machine(const struct pv_journal *j, prov_error *err)
{
    struct psdk_buf path = {0};
    char here[128];
    int rc = machine_text(j, here, err);
    if (!rc)
        rc = journal_path(j, "machine", &path, err);
    if (!rc)
        rc = psdk_write_file(psdk_buf_str(&path), here, strlen(here), 0600, false, err);
    psdk_buf_done(&path);
    return rc;
}

/* An empty `sealed` says that no mark was ever written; made before the first segment, which syncs the folder. */
static int make_sealed(const struct pv_journal *j, prov_error *err)
{
    struct psdk_buf path = {0};
    int rc = journal_path(j, "sealed", &path, err);
    int fd = rc ? rc : psdk_open(psdk_buf_str(&path), O_RDWR | O_CREAT, 0600, err);
    psdk_buf_done(&path);
    rc = fd < 0 ? fd : PROV_OK;
    psdk_close(&fd);
    return rc;
}

static int first_segment(struct pv_journal *j, const struct pv_journal_mark *mark, bool marked, prov_error *err)
{
    struct journal_control *c = j->control;
    struct pv_segment_header header = {0};
    int fd = -1;
    int rc = note_machine(j, err);
    if (marked) { /* there were others, and they are gone: behind them */
        header.number = mark->segment + 1;
        header.base_lsn = mark->lsn;
    }
    if (!rc && !marked)
        rc = make_sealed(j, err);
    if (!rc)
        rc = new_writer_text(j, header.writer, err);
    if (!rc)
        rc = pv_segment_create(j->config.dir, &header, JOURNAL_ROOM_MIN, &fd, err);
    if (rc)
        return rc;
    psdk_close(&j->fd);
    j->fd = fd;
    j->fd_number = header.number;
    pv_segment_start(&header, &c->end);
    c->segment = header.number;
    c->base_lsn = header.base_lsn;
    c->room_end = PV_SEGMENT_HEADER + JOURNAL_ROOM_MIN;
    memcpy(c->writer, header.writer, sizeof c->writer);
    atomic_store(&c->end_lsn, c->base_lsn);
    atomic_store(&c->durable_lsn, c->base_lsn);
    return journal_open_records(j, NULL, err);
}

static int new_instance(struct pv_journal *j, const struct pv_journal_mark *mark, prov_error *err)
{
    struct journal_control *c = j->control;
    char old[PV_WRITER_TEXT], text[PV_WRITER_TEXT];
    memcpy(old, c->writer, sizeof old);
    if (atomic_load(&c->end_lsn) < mark->lsn) /* an lsn that was sealed is never used again */
        atomic_store(&c->end_lsn, mark->lsn);
    int rc = new_writer_text(j, text, err);
    if (!rc)
        rc = journal_rotate(j, text, err);
    return rc ? rc : journal_open_records(j, old, err);
}

/* The writer instance of the segment before the current one, "" when there is none or it is the same. */
static void find_predecessor(const struct pv_journal *j, char ret[PV_WRITER_TEXT])
{
    struct pv_segment_header before;
    prov_error ignored = {0};
    int fd = -1;
    ret[0] = '\0';
    if (j->control->segment == 0 || pv_segment_open(j->config.dir, j->control->segment - 1, &before, &fd, &ignored))
        return;
    psdk_close(&fd);
    if (strcmp(before.writer, j->control->writer) != 0)
        memcpy(ret, before.writer, sizeof before.writer);
}

/* What the scan found may be in memory only, left over from a sync that failed: it is written again, so that the sync that
 * follows proves something. What was sealed was durable before. */
static int settle(struct pv_journal *j, const struct pv_journal_mark *mark, prov_error *err)
{
    struct journal_control *c = j->control;
    bool within = mark->segment == c->segment && mark->offset <= c->end.offset && mark->offset >= PV_SEGMENT_HEADER;
    int rc = pv_segment_rewrite(j->fd, j->config.dir, within ? mark->offset : 0, c->end.offset, err);
    if (!rc)
        rc = psdk_fdatasync(j->fd, j->config.dir, err);
    if (!rc)
        rc = psdk_sync_dir(j->config.dir, err);
    if (!rc)
        atomic_store(&c->durable_lsn, atomic_load(&c->end_lsn));
    return rc;
}

int journal_recover(struct pv_journal *j, prov_error *err)
{
    struct journal_control *c = j->control;
    struct pv_journal_mark mark;
    uint64_t turn;
    bool fresh, torn = false, same = true;
    char predecessor[PV_WRITER_TEXT];
    int rc = journal_mark(j, &mark, &turn, &fresh, err);
    if (rc)
        return rc;
    rc = rescan(j, UINT64_MAX, &torn, err);
    if (rc == PROV_E_NOT_FOUND) { /* new, or what was begun held nothing */
        memset(err, 0, sizeof *err);
        return first_segment(j, &mark, turn > 0, err);
    }
    if (!rc)
        rc = settle(j, &mark, err);
    if (rc)
        return rc;
    /* Sealed records that are missing here, or a tail that does not verify: what was lost may be known elsewhere. */
    if (torn || mark.lsn > atomic_load(&c->end_lsn))
        return new_instance(j, &mark, err);
    if (c->end.next_wseq < 2) { /* its maker died between the segment and its first records */
        find_predecessor(j, predecessor);
        rc = journal_open_records(j, predecessor[0] ? predecessor : NULL, err);
        return rc ? rc : note_machine(j, err);
    }
    rc = same_machine(j, &same, err);
    if (!rc && !same) { /* the note comes last: a death in between only makes one more instance */
        rc = new_instance(j, &mark, err);
        if (!rc)
            rc = note_machine(j, err);
    }
    return rc;
}
