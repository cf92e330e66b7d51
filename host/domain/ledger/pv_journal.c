/* pv_journal.c - opening a journal: the shared control page, new segments and the records that open an instance.
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pv_journal_impl.h"

#define OPEN_WAIT_NS ((uint64_t)30 * 1000000000u)

int journal_rotate(struct pv_journal *j, const char *writer, prov_error *err)
{
    struct journal_control *c = j->control;
    struct pv_segment_header next = {.number = c->segment + 1, .base_lsn = atomic_load(&c->end_lsn)};
    int fd = -1;
    int rc = psdk_fdatasync(j->fd, j->config.dir, err);
    if (rc) { /* the error is told once: all who wait must learn of it now */
        prov_error then = {0};
        return journal_cut(j, &then) ? psdk_wrap(err, "%s; then", then.message) : rc;
    }
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
    if (writer)
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

int journal_read_line(const char *path, char *ret, size_t cap, prov_error *err)
{
    struct psdk_buf text = {0};
    ret[0] = '\0';
    int rc = psdk_read_file(path, 4096, &text, err);
    if (!rc && text.len) {
        size_t n = strcspn((const char *)text.data, "\n");
        snprintf(ret, cap, "%.*s", (int)(n < cap - 1 ? n : cap - 1), (const char *)text.data);
    }
    psdk_buf_done(&text);
    return rc == PROV_E_NOT_FOUND || rc == PROV_E_DENIED ? PROV_OK : rc; /* a sandbox may hide it: then for all alike */
}

int journal_path(const struct pv_journal *j, const char *name, struct psdk_buf *ret, prov_error *err)
{
    psdk_buf_clear(ret);
    psdk_buf_addf(ret, "%s/%s", j->config.dir, name);
    return psdk_buf_check(ret, err);
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

static int make_control(struct pv_journal *j, const char *boot_id, prov_error *err)
{
    struct journal_control *c = j->control;
    memset(c, 0, sizeof *c);
    int rc = init_mutex(&c->append, err);
    if (!rc)
        rc = init_mutex(&c->leader, err);
    if (!rc)
        rc = journal_recover(j, err);
    if (rc)
        return rc;
    memcpy(c->boot_id, boot_id, sizeof c->boot_id);
    c->device = j->control_device;
    c->inode = j->control_inode;
    atomic_thread_fence(memory_order_seq_cst);
    c->magic = JOURNAL_MAGIC;
    return PROV_OK;
}

static int map_control(struct pv_journal *j, prov_error *err)
{
    struct psdk_buf path = {0};
    int rc = journal_path(j, "control", &path, err);
    int fd = rc ? rc : psdk_open(psdk_buf_str(&path), O_RDWR | O_CREAT, 0600, err);
    if (fd < 0) {
        psdk_buf_done(&path);
        return fd;
    }
    /* posix_fallocate, not ftruncate: a full disk must be an error here and not a SIGBUS later. */
    struct stat st;
    int e;
    while ((e = posix_fallocate(fd, 0, (off_t)sizeof(struct journal_control))) == EINTR)
        ;
    if (!e && fstat(fd, &st) != 0)
        e = errno;
    if (e) {
        rc = psdk_fail_errno(err, e, "%s", psdk_buf_str(&path));
    } else {
        j->control_device = (uint64_t)st.st_dev;
        j->control_inode = (uint64_t)st.st_ino;
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
    const struct journal_control *c = j->control;
    return c->magic == JOURNAL_MAGIC && strncmp(c->boot_id, boot_id, sizeof c->boot_id) == 0 &&
           c->device == j->control_device && c->inode == j->control_inode;
}

static int attach(struct pv_journal *j, prov_error *err)
{
    struct psdk_buf lock = {0};
    struct psdk_lock alone = PSDK_LOCK_INIT;
    char boot_id[40];
    int rc = journal_read_line("/proc/sys/kernel/random/boot_id", boot_id, sizeof boot_id, err);
    if (!rc)
        rc = journal_path(j, "lock", &lock, err);
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
    if (!rc && j->attached.fd < 0)
        rc = psdk_fail(err, PROV_E_UNAVAILABLE, "journal %s: its control file changes again and again", j->config.dir);
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
        rc = journal_path(j, "meta.json", &path, err);
    if (!rc) {
        rc = psdk_read_file(psdk_buf_str(&path), 4096, &have, err);
        if (rc == PROV_E_NOT_FOUND) {
            rc = psdk_write_file(psdk_buf_str(&path), want.data, want.len, 0600, true, err);
            if (!rc || rc == PROV_E_EXISTS)
                rc = psdk_read_file(psdk_buf_str(&path), 4096, &have, err);
        }
        if (!rc && (have.len != want.len || memcmp(have.data, want.data, want.len) != 0))
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
    j->retired = -1;
    j->leading = -1;
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
    psdk_close(&journal->retired);
    psdk_lock_drop(&journal->attached);
    psdk_lock_drop(&journal->seal);
    pthread_mutex_destroy(&journal->seal_mutex);
    psdk_buf_done(&journal->scratch);
    free((char *)journal->config.dir);
    free((char *)journal->config.origin);
    free((char *)journal->config.subject);
    free(journal);
}
