/* pv_journal.c - opening a journal: the shared control page, recovery, new writer instances.
 * SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "psdk_json.h"
#include "pv_journal_impl.h"

#define OPEN_WAIT_NS ((uint64_t)30 * 1000000000u)

int journal_segments(const char *dir, uint64_t *ret_low, uint64_t *ret_high, uint64_t *ret_count, prov_error *err)
{
    *ret_low = UINT64_MAX;
    *ret_high = 0;
    *ret_count = 0;
    DIR *d = opendir(dir);
    if (!d)
        return psdk_fail_errno(err, errno, "journal %s", dir);
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        uint64_t number;
        if (!pv_segment_name_parse(e->d_name, &number))
            continue;
        *ret_low = number < *ret_low ? number : *ret_low;
        *ret_high = number > *ret_high ? number : *ret_high;
        ++*ret_count;
    }
    closedir(d);
    return PROV_OK;
}

int journal_lock(pthread_mutex_t *mutex, bool *ret_repair, prov_error *err)
{
    int e = pthread_mutex_lock(mutex);
    *ret_repair = e == EOWNERDEAD;
    if (e == EOWNERDEAD)
        e = pthread_mutex_consistent(mutex);
    return e ? psdk_fail_errno(err, e, "journal: lock") : PROV_OK;
}

static int use_segment(struct pv_journal *j, uint64_t number, struct pv_segment_header *header, prov_error *err)
{
    int fd = -1;
    int rc = pv_segment_open(j->config.dir, number, header, &fd, err);
    if (rc)
        return rc;
    psdk_close(&j->fd);
    j->fd = fd;
    j->fd_number = number;
    return PROV_OK;
}

/* Cuts whatever lies behind the end, so that it can never be read as a record again. */
static int cut_tail(struct pv_journal *j, prov_error *err)
{
    struct journal_control *c = j->control;
    while (ftruncate(j->fd, (off_t)c->end.offset) != 0)
        if (errno != EINTR)
            return psdk_fail_errno(err, errno, "journal %s: cutting a torn tail", j->config.dir);
    c->room_end = c->end.offset;
    return PROV_OK;
}

int journal_rescan(struct pv_journal *j, uint64_t limit, prov_error *err)
{
    struct journal_control *c = j->control;
    uint64_t low, high, count;
    struct pv_segment_header header;
    int rc = journal_segments(j->config.dir, &low, &high, &count, err);
    if (rc)
        return rc;
    if (count == 0)
        return psdk_fail(err, PROV_E_CORRUPT, "journal %s: its segments are gone", j->config.dir);
    rc = use_segment(j, high, &header, err);
    if (rc == PROV_E_CORRUPT && high > low) { /* made, but its maker died before the header was durable */
        char name[32];
        struct psdk_buf path = {0};
        pv_segment_name(high, name);
        psdk_buf_addf(&path, "%s/%s", j->config.dir, name);
        unlink(psdk_buf_str(&path));
        psdk_buf_done(&path);
        rc = use_segment(j, high - 1, &header, err);
    }
    if (rc)
        return rc;
    pv_segment_start(&header, &c->end);
    rc = pv_segment_scan(j->fd, j->config.dir, &c->end, limit, NULL, NULL, err);
    if (rc)
        return rc;
    c->segment = header.number;
    c->base_lsn = header.base_lsn;
    memcpy(c->writer, header.writer, sizeof c->writer);
    atomic_store(&c->end_lsn, c->base_lsn + c->end.offset - PV_SEGMENT_HEADER);
    return cut_tail(j, err);
}

int journal_enter(struct pv_journal *j, prov_error *err)
{
    struct journal_control *c = j->control;
    bool repair;
    int rc = journal_lock(&c->append, &repair, err);
    if (rc)
        return rc;
    if (repair) {
        rc = journal_rescan(j, UINT64_MAX, err);
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

int journal_rotate(struct pv_journal *j, const char *writer, prov_error *err)
{
    struct journal_control *c = j->control;
    struct pv_segment_header next = {.number = c->segment + 1, .base_lsn = atomic_load(&c->end_lsn)};
    int fd = -1;
    int rc = psdk_fdatasync(j->fd, j->config.dir, err);
    if (rc)
        return rc;
    if (writer) {
        memcpy(next.writer, writer, sizeof next.writer);
    } else {
        next.first_wseq = c->end.next_wseq;
        next.last_ns = c->end.last_ns;
        memcpy(next.prev, c->end.prev, 32);
        memcpy(next.writer, c->writer, sizeof next.writer);
    }
    rc = pv_segment_create(j->config.dir, &next, JOURNAL_ROOM_MIN, &fd, err);
    if (rc)
        return rc;
    psdk_close(&j->fd);
    j->fd = fd;
    j->fd_number = next.number;
    pv_segment_start(&next, &c->end);
    memcpy(c->writer, next.writer, sizeof c->writer);
    c->base_lsn = next.base_lsn;
    c->room_end = PV_SEGMENT_HEADER + JOURNAL_ROOM_MIN;
    c->segment = next.number;
    atomic_store(&c->durable_lsn, next.base_lsn);
    return PROV_OK;
}

int journal_open_records(struct pv_journal *j, const char *predecessor, prov_error *err)
{
    struct psdk_buf authorize = {0}, open = {0};
    struct pv_record_parts parts[2] = {{{0}, 0, 0, 0}, {{0}, 0, 0, 0}};
    uint64_t lsn;
    int rc = pv_authorize_body(&authorize, j->config.origin, "writer", j->config.writer_key->public_key,
                               j->config.log_key, err);
    if (rc)
        goto out;
    if (predecessor)
        psdk_buf_addf(&open, "{\"predecessor\":\"%s\"}", predecessor);
    else
        psdk_buf_adds(&open, "{\"predecessor\":null}");
    struct pv_draft drafts[2] = {
        {"key.authorize", j->config.subject, "prov", psdk_buf_str(&authorize), authorize.len},
        {"writer.open", j->config.subject, "prov", psdk_buf_str(&open), open.len},
    };
    for (int i = 0; i < 2 && !rc; i++)
        rc = pv_record_prepare(&drafts[i], j->config.origin, j->control->writer, &parts[i], err);
    if (!rc)
        rc = journal_write(j, parts, 2, NULL, &lsn, err);
    if (!rc)
        rc = psdk_fdatasync(j->fd, j->config.dir, err);
    if (!rc)
        atomic_store(&j->control->durable_lsn, lsn);
out:
    for (int i = 0; i < 2; i++)
        pv_record_parts_done(&parts[i]);
    psdk_buf_done(&authorize);
    psdk_buf_done(&open);
    return rc;
}

/* ---- the control page --------------------------------------------------------------------------------------------- */

static void read_line(const char *path, char *ret, size_t cap)
{
    struct psdk_buf text = {0};
    prov_error ignored;
    ret[0] = '\0';
    if (psdk_read_file(path, 4096, &text, &ignored) == PROV_OK && text.len) {
        size_t n = strcspn((const char *)text.data, "\n");
        snprintf(ret, cap, "%.*s", (int)(n < cap - 1 ? n : cap - 1), (const char *)text.data);
    }
    psdk_buf_done(&text);
}

static int init_mutex(pthread_mutex_t *m, prov_error *err)
{
    pthread_mutexattr_t attr;
    int e = pthread_mutexattr_init(&attr);
    if (!e)
        e = pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    if (!e)
        e = pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
    if (!e)
        e = pthread_mutex_init(m, &attr);
    pthread_mutexattr_destroy(&attr);
    return e ? psdk_fail_errno(err, e, "journal: lock") : PROV_OK;
}

static int meta_path(const struct pv_journal *j, const char *name, struct psdk_buf *ret, prov_error *err)
{
    psdk_buf_clear(ret);
    psdk_buf_addf(ret, "%s/%s", j->config.dir, name);
    return psdk_buf_check(ret, err);
}

/* The machine that wrote here last; a copied folder gets a new writer instance, so that no wseq is used twice. */
static int same_machine(struct pv_journal *j, bool *ret_same, prov_error *err)
{
    struct psdk_buf path = {0};
    char here[64], there[64];
    read_line("/etc/machine-id", here, sizeof here);
    int rc = meta_path(j, "machine", &path, err);
    if (!rc) {
        read_line(psdk_buf_str(&path), there, sizeof there);
        *ret_same = strcmp(here, there) == 0;
        if (!*ret_same || !*here)
            rc = psdk_write_file(psdk_buf_str(&path), here, strlen(here), 0600, false, err);
    }
    psdk_buf_done(&path);
    return rc;
}

static int first_segment(struct pv_journal *j, prov_error *err)
{
    struct journal_control *c = j->control;
    struct pv_segment_header header = {0};
    int fd = -1;
    bool same;
    int rc = same_machine(j, &same, err);
    if (!rc)
        rc = new_writer_text(j, header.writer, err);
    if (!rc)
        rc = pv_segment_create(j->config.dir, &header, JOURNAL_ROOM_MIN, &fd, err);
    if (rc)
        return rc;
    psdk_close(&j->fd);
    j->fd = fd;
    j->fd_number = 0;
    pv_segment_start(&header, &c->end);
    c->segment = 0;
    c->base_lsn = 0;
    c->room_end = PV_SEGMENT_HEADER + JOURNAL_ROOM_MIN;
    memcpy(c->writer, header.writer, sizeof c->writer);
    return journal_open_records(j, NULL, err);
}

/* Brings an existing folder to a state that can be appended to. The page's mutexes are made, nobody else is attached. */
static int recover(struct pv_journal *j, prov_error *err)
{
    struct journal_control *c = j->control;
    bool same = true;
    int rc = journal_rescan(j, UINT64_MAX, err);
    if (rc == PROV_E_CORRUPT && j->fd < 0) { /* the very first segment was not made whole: nothing was acknowledged */
        uint64_t low, high, count;
        rc = journal_segments(j->config.dir, &low, &high, &count, err);
        return rc ? rc : count == 1 && low == 0 ? first_segment(j, err)
                                                : psdk_fail(err, PROV_E_CORRUPT, "journal %s: its last segment is damaged",
                                                            j->config.dir);
    }
    if (!rc)
        rc = psdk_fdatasync(j->fd, j->config.dir, err); /* what the scan found becomes durable before it counts as such */
    if (rc)
        return rc;
    atomic_store(&c->durable_lsn, atomic_load(&c->end_lsn));
    if (c->end.next_wseq < 2) /* its maker died between the segment and its first records */
        return journal_open_records(j, NULL, err);
    rc = same_machine(j, &same, err);
    if (!rc && !same) {
        char old[PV_WRITER_TEXT], text[PV_WRITER_TEXT];
        memcpy(old, c->writer, sizeof old);
        rc = new_writer_text(j, text, err);
        if (!rc)
            rc = journal_rotate(j, text, err);
        if (!rc)
            rc = journal_open_records(j, old, err);
    }
    return rc;
}

static int make_control(struct pv_journal *j, const char *boot_id, prov_error *err)
{
    struct journal_control *c = j->control;
    uint64_t low, high, count;
    memset(c, 0, sizeof *c);
    int rc = init_mutex(&c->append, err);
    if (!rc)
        rc = init_mutex(&c->leader, err);
    if (!rc)
        rc = journal_segments(j->config.dir, &low, &high, &count, err);
    if (!rc)
        rc = count ? recover(j, err) : first_segment(j, err);
    if (rc)
        return rc;
    memcpy(c->boot_id, boot_id, sizeof c->boot_id);
    atomic_thread_fence(memory_order_seq_cst);
    c->magic = JOURNAL_MAGIC;
    return PROV_OK;
}

static int map_control(struct pv_journal *j, prov_error *err)
{
    struct psdk_buf path = {0};
    int rc = meta_path(j, "control", &path, err);
    int fd = rc ? rc : psdk_open(psdk_buf_str(&path), O_RDWR | O_CREAT, 0600, err);
    if (fd < 0) {
        psdk_buf_done(&path);
        return fd;
    }
    /* posix_fallocate, not ftruncate: a full disk must be an error here and not a SIGBUS later. */
    int e = posix_fallocate(fd, 0, (off_t)sizeof(struct journal_control));
    if (e) {
        rc = psdk_fail_errno(err, e, "%s", psdk_buf_str(&path));
    } else {
        void *map = mmap(NULL, sizeof(struct journal_control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (map == MAP_FAILED)
            rc = psdk_fail_errno(err, errno, "%s", psdk_buf_str(&path));
        else
            j->control = map;
    }
    psdk_close(&fd);
    psdk_buf_done(&path);
    return rc;
}

static bool control_ready(const struct pv_journal *j, const char *boot_id)
{
    return j->control->magic == JOURNAL_MAGIC && strcmp(j->control->boot_id, boot_id) == 0;
}

static int attach(struct pv_journal *j, prov_error *err)
{
    struct psdk_buf lock = {0};
    struct psdk_lock alone = PSDK_LOCK_INIT;
    char boot_id[40];
    read_line("/proc/sys/kernel/random/boot_id", boot_id, sizeof boot_id);
    int rc = meta_path(j, "lock", &lock, err);
    for (int tries = 0; !rc && tries < 10; tries++) {
        rc = psdk_lock_take(&j->attached, psdk_buf_str(&lock), true, OPEN_WAIT_NS, err);
        if (!rc)
            rc = j->control ? PROV_OK : map_control(j, err);
        if (rc || control_ready(j, boot_id))
            break;
        psdk_lock_drop(&j->attached);
        rc = psdk_lock_take(&alone, psdk_buf_str(&lock), false, OPEN_WAIT_NS, err);
        if (!rc && !control_ready(j, boot_id))
            rc = make_control(j, boot_id, err);
        psdk_lock_drop(&alone);
    }
    psdk_buf_done(&lock);
    return rc;
}

/* origin and key of a folder never change. */
static int check_meta(struct pv_journal *j, prov_error *err)
{
    struct psdk_buf path = {0}, want = {0}, have = {0};
    psdk_buf_addf(&want, "{\"key\":\"%s\",\"origin\":\"%s\"}\n", j->key_id, j->config.origin);
    int rc = psdk_buf_check(&want, err);
    if (!rc)
        rc = meta_path(j, "meta.json", &path, err);
    if (!rc) {
        rc = psdk_read_file(psdk_buf_str(&path), 4096, &have, err);
        if (rc == PROV_E_NOT_FOUND) {
            rc = psdk_write_file(psdk_buf_str(&path), want.data, want.len, 0600, true, err);
            if (rc == PROV_E_EXISTS)
                rc = psdk_read_file(psdk_buf_str(&path), 4096, &have, err);
        }
        if (!rc && have.len && (have.len != want.len || memcmp(have.data, want.data, want.len) != 0))
            rc = psdk_fail(err, PROV_E_CONFIG, "journal %s: belongs to another stream or writer key: %.200s",
                           j->config.dir, psdk_buf_str(&have));
    }
    psdk_buf_done(&path);
    psdk_buf_done(&want);
    psdk_buf_done(&have);
    return rc;
}

int pv_journal_open(const struct pv_journal_config *config, struct pv_journal **ret, prov_error *err)
{
    struct pv_journal *j = calloc(1, sizeof *j);
    if (!j)
        return psdk_fail(err, PROV_E_NOMEM, "journal: out of memory");
    j->fd = -1;
    j->attached.fd = -1;
    j->seal.fd = -1;
    pthread_mutex_init(&j->seal_mutex, NULL);
    j->config = *config;
    j->config.dir = strdup(config->dir);
    j->config.origin = strdup(config->origin);
    j->config.subject = strdup(config->subject);
    if (!j->config.segment_bytes)
        j->config.segment_bytes = JOURNAL_SEGMENT_BYTES;
    psdk_key_id(config->writer_key->public_key, j->key_id);
    int rc = !j->config.dir || !j->config.origin || !j->config.subject
                 ? psdk_fail(err, PROV_E_NOMEM, "journal: out of memory")
                 : psdk_mkdirs(config->dir, 0700, err);
    if (!rc)
        rc = check_meta(j, err);
    if (!rc)
        rc = attach(j, err);
    if (rc) {
        pv_journal_close(j);
        return psdk_wrap(err, "journal of %s", config->origin);
    }
    *ret = j;
    return PROV_OK;
}

void pv_journal_close(struct pv_journal *journal)
{
    if (!journal)
        return;
    if (journal->control)
        munmap(journal->control, sizeof *journal->control);
    psdk_close(&journal->fd);
    psdk_lock_drop(&journal->attached);
    psdk_lock_drop(&journal->seal);
    pthread_mutex_destroy(&journal->seal_mutex);
    psdk_buf_done(&journal->scratch);
    free((char *)journal->config.dir);
    free((char *)journal->config.origin);
    free((char *)journal->config.subject);
    free(journal);
}
