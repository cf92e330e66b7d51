/* test_journal_shared.c - a journal that many use at once, and disks that fail under it.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The system calls that matter are defined here, in front of those of the C library: they count, wait, fail or kill.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "unit/ledger/journal_rig.h"

/* Shared with the children of a test. */
static struct {
    _Atomic long syncs;
    _Atomic long sync_ns;     /* how long each takes */
    _Atomic long fail_syncs;  /* the next ones fail */
    _Atomic long fail_writes; /* the next ones write a part and fail */
    _Atomic long clock_ns;    /* added to the wall clock */
} *hook;
static _Thread_local int die_in_sync, die_in_write; /* count down */

static void die_at(int *countdown)
{
    if (*countdown && --*countdown == 0)
        kill(getpid(), SIGKILL);
}

int fdatasync(int fd)
{
    die_at(&die_in_sync);
    if (hook && hook->sync_ns) {
        struct timespec t = {.tv_nsec = hook->sync_ns};
        clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
    }
    if (hook)
        atomic_fetch_add(&hook->syncs, 1);
    if (hook && hook->fail_syncs > 0) {
        atomic_fetch_sub(&hook->fail_syncs, 1);
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, fd);
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t at)
{
    die_at(&die_in_write);
    if (hook && hook->fail_writes > 0) {
        if (atomic_fetch_sub(&hook->fail_writes, 1) % 2 == 0 && len > 16)
            return (ssize_t)syscall(SYS_pwrite64, fd, data, len - 8, at); /* all but its end */
        errno = ENOSPC;
        return -1;
    }
    ssize_t n = (ssize_t)syscall(SYS_pwrite64, fd, data, len, at);
    die_at(&die_in_write);
    return n;
}

int clock_gettime(clockid_t clock, struct timespec *ret)
{
    int rc = (int)syscall(SYS_clock_gettime, clock, ret);
    if (clock == CLOCK_REALTIME && hook)
        ret->tv_sec += hook->clock_ns / 1000000000;
    return rc;
}

static void setup(void)
{
    hook = mmap(NULL, sizeof *hook, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(hook, MAP_FAILED);
}

/* ---- many at once ----------------------------------------------------------------------------------------------------- */

struct worker {
    struct pv_journal *j;
    int first, n;
    bool acked[200];
};

static void *work(void *arg)
{
    struct worker *w = arg;
    prov_error err = {0};
    for (int i = 0; i < w->n; i++)
        w->acked[i] = jrig_append(w->j, w->first + i, NULL, &err) == PROV_OK;
    return NULL;
}

#define THREADS 8

static void run_threads(struct jrig *r, struct worker w[THREADS], int n)
{
    pthread_t t[THREADS];
    for (int i = 0; i < THREADS; i++) {
        w[i] = (struct worker){.j = r->j, .first = i * 200, .n = n};
        ck_assert_int_eq(pthread_create(&t[i], NULL, work, &w[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
}

START_TEST(threads_share_their_syncs)
{
    struct jrig r;
    struct jseen seen;
    struct worker w[THREADS];
    jrig_init(&r, 20000);
    jrig_open(&r);
    hook->sync_ns = 1000000;
    hook->syncs = 0;
    run_threads(&r, w, 50);
    ck_assert_int_lt(hook->syncs, THREADS * 50 / 2);
    printf("%d records of %d threads: %ld syncs\n", THREADS * 50, THREADS, (long)hook->syncs);
    jrig_see(&r, &seen);
    ck_assert_uint_eq(seen.count, THREADS * 50 + 2);
    for (int i = 0; i < THREADS; i++)
        for (int k = 0; k < 50; k++)
            ck_assert(w[i].acked[k] && jrig_times(&seen, i * 200 + k) == 1);
    jrig_done(&r);
}
END_TEST

/* Appends records first... in a child process until n are there, and tells each acknowledged one. */
static pid_t child(struct jrig *r, int first, int n, int tell, void (*prepare)(void))
{
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid)
        return pid;
    struct pv_journal *j = NULL;
    prov_error err = {0};
    if (pv_journal_open(&r->config, &j, &err))
        _exit(1);
    if (prepare)
        prepare();
    for (int i = first; i < first + n; i++) {
        if (jrig_append(j, i, NULL, &err) || write(tell, &i, sizeof i) != sizeof i)
            _exit(2);
    }
    _exit(0);
}

START_TEST(processes_share_their_syncs)
{
    struct jrig r;
    struct jseen seen;
    pid_t pid[4];
    int tell[2], n = 0, status;
    jrig_init(&r, 20000);
    jrig_open(&r);
    ck_assert_int_eq(pipe(tell), 0);
    hook->sync_ns = 1000000;
    hook->syncs = 0;
    for (int i = 0; i < 4; i++)
        pid[i] = child(&r, i * 200, 50, tell[1], NULL);
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(waitpid(pid[i], &status, 0), pid[i]);
        ck_assert_int_eq(status, 0);
    }
    close(tell[1]);
    jrig_see(&r, &seen);
    for (int got; read(tell[0], &got, sizeof got) == sizeof got; n++)
        ck_assert_int_eq(jrig_times(&seen, got), 1);
    close(tell[0]);
    ck_assert_int_eq(n, 200);
    ck_assert_uint_eq(seen.count, 202);
    ck_assert_int_lt(hook->syncs, 200 * 3 / 4);
    printf("200 records of 4 processes: %ld syncs\n", (long)hook->syncs);
    jrig_done(&r);
}
END_TEST

static void in_sync(void)
{
    die_in_sync = 5;
}

static void in_write(void)
{
    die_in_write = 9;
}

static void behind_write(void)
{
    die_in_write = 10;
}

START_TEST(a_process_killed_under_the_locks_stops_nobody)
{
    static void (*const prepare[])(void) = {in_sync, in_write, behind_write};
    struct jrig r;
    struct jseen seen;
    prov_error err = {0};
    int tell[2], own = 5000, status;
    jrig_init(&r, 3000);
    jrig_open(&r);
    ck_assert_int_eq(pipe2(tell, O_NONBLOCK), 0);
    for (int i = 0; i < 30; i++) {
        pid_t pid = child(&r, i * 100, 90, tell[1], prepare[i % 3]);
        while (waitpid(pid, &status, WNOHANG) == 0)
            if (own < 6500) /* as many as can be looked at */
                jrig_ok(jrig_append(r.j, own++, NULL, &err), &err);
        ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        jrig_ok(jrig_append(r.j, own++, NULL, &err), &err);
    }
    jrig_see(&r, &seen);
    for (int i = 5000; i < own; i++)
        ck_assert_int_eq(jrig_times(&seen, i), 1);
    for (int got; read(tell[0], &got, sizeof got) == sizeof got;)
        ck_assert_int_eq(jrig_times(&seen, got), 1);
    ck_assert_uint_eq(seen.writers, 1);
    jrig_done(&r);
}
END_TEST

/* ---- disks that fail -------------------------------------------------------------------------------------------------- */

START_TEST(a_failed_sync_refuses_those_who_wait_and_keeps_the_others)
{
    struct jrig r;
    struct jseen seen;
    struct worker w[THREADS];
    int refused = 0;
    jrig_init(&r, 2000); /* so that the sync of a rotation fails now and then, too */
    for (int round = 0; round < 40; round++) {
        jrig_open(&r);
        hook->sync_ns = 100000;
        hook->fail_syncs = 1 + round % 3;
        run_threads(&r, w, 8);
        hook->fail_syncs = 0;
        if (round % 2) {
            jrig_close(&r);
            jrig_remove(&r, "control");
            jrig_open(&r);
        }
        jrig_see(&r, &seen);
        for (int i = 0; i < THREADS; i++)
            for (int k = 0; k < 8; k++) {
                ck_assert_int_eq(jrig_times(&seen, i * 200 + k), w[i].acked[k]);
                refused += !w[i].acked[k];
            }
        jrig_done(&r);
        jrig_init(&r, 2000);
    }
    ck_assert_int_gt(refused, 0);
    jrig_done(&r);
}
END_TEST

START_TEST(a_write_that_fails_half_way_leaves_nothing)
{
    struct jrig r;
    struct jseen seen;
    prov_error err = {0};
    jrig_init(&r, 0);
    jrig_open(&r);
    for (int i = 0; i < 12; i++) {
        char body[4][32];
        struct pv_draft d[4];
        for (int k = 0; k < 4; k++) {
            snprintf(body[k], sizeof body[k], "{\"n\":%d}", i * 10 + k);
            d[k] = (struct pv_draft){"test.note", "m", "tester", body[k], strlen(body[k])};
        }
        hook->fail_writes = 2; /* the frames but for their end, then an error */
        ck_assert_int_eq(pv_journal_append(r.j, d, 4, NULL, &err), PROV_E_NOSPACE);
        hook->fail_writes = 0;
        if (i % 3 == 1)
            jrig_ok(jrig_append(r.j, 1000 + i, NULL, &err), &err);
        if (i % 3 == 2) {
            jrig_close(&r);
            jrig_remove(&r, "control");
            jrig_open(&r);
        }
    }
    jrig_see(&r, &seen);
    ck_assert_uint_eq(seen.count, 2 + 4);
    ck_assert_uint_eq(seen.writers, 1);
    jrig_done(&r);
}
END_TEST

START_TEST(a_failed_write_whose_cleaning_fails_too_is_cleaned_before_the_next_one)
{
    struct jrig r;
    struct jseen seen;
    prov_error err = {0};
    jrig_init(&r, 0);
    jrig_open(&r);
    hook->fail_writes = 40; /* whatever is tried */
    ck_assert_int_lt(jrig_append(r.j, 1, NULL, &err), 0);
    hook->fail_writes = 0;
    jrig_ok(jrig_append(r.j, 2, NULL, &err), &err);
    jrig_see(&r, &seen);
    ck_assert_uint_eq(seen.count, 3);
    ck_assert_int_eq(jrig_times(&seen, 2), 1);
    jrig_done(&r);
}
END_TEST

START_TEST(a_clock_that_goes_back_does_not_take_the_records_back)
{
    struct jrig r;
    struct jseen seen;
    prov_error err = {0};
    jrig_init(&r, 1500);
    jrig_open(&r);
    for (int i = 0; i < 40; i++) {
        hook->clock_ns = i % 2 ? -3600000000000 * i : 0;
        jrig_ok(jrig_append(r.j, i, NULL, &err), &err);
        if (i % 5 == 4) {
            jrig_close(&r);
            if (i % 2)
                jrig_remove(&r, "control");
            jrig_open(&r);
        }
    }
    jrig_see(&r, &seen); /* which compares the times */
    ck_assert_uint_eq(seen.count, 42);
    ck_assert_uint_eq(seen.writers, 1);
    jrig_done(&r);
}
END_TEST

START_TEST(a_folder_that_cannot_be_written_is_refused_with_its_name)
{
    struct jrig r;
    prov_error err = {0};
    int status;
    jrig_init(&r, 0);
    jrig_open(&r);
    jrig_close(&r);
    ck_assert_int_eq(chmod(r.dir, 0555), 0);
    ck_assert_int_eq(chmod(r.where, 0555), 0);
    pid_t pid = fork();
    if (pid == 0) {
        if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0)
            _exit(3);
        int rc = pv_journal_open(&r.config, &r.j, &err);
        _exit(rc == PROV_E_DENIED && strstr(err.message, r.where) ? 0 : 1);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    chmod(r.dir, 0700);
    chmod(r.where, 0700);
    jrig_done(&r);
}
END_TEST

/* Fills the journal until it is refused; then what was acknowledged is there, and more once there is room again. */
static void fill_up(struct jrig *r, int expected, void (*make_room)(const struct jrig *r))
{
    struct jseen seen;
    prov_error err = {0};
    int n = 0, rc = 0;
    jrig_open(r);
    while (n < 4000 && (rc = jrig_append(r->j, n, NULL, &err)) == PROV_OK)
        n++;
    ck_assert_int_eq(rc, expected);
    ck_assert_int_gt(n, 50);
    for (int i = 0; i < 5; i++)
        ck_assert_int_lt(jrig_append(r->j, 9000, NULL, &err), 0);
    jrig_see(r, &seen);
    ck_assert_uint_eq(seen.count, (uint64_t)n + 2);
    make_room(r);
    memset(&err, 0, sizeof err);
    jrig_ok(jrig_append(r->j, 9001, NULL, &err), &err);
    jrig_close(r);
    jrig_remove(r, "control");
    jrig_open(r);
    jrig_see(r, &seen);
    ck_assert_uint_eq(seen.count, (uint64_t)n + 3);
    ck_assert_int_eq(jrig_times(&seen, 9000), 0);
    ck_assert_int_eq(jrig_times(&seen, 9001), 1);
    ck_assert_uint_eq(seen.writers, 1);
}

static void raise_limit(const struct jrig *r)
{
    struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
    (void)r;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

START_TEST(a_file_size_limit_is_an_error_and_loses_nothing)
{
    struct jrig r;
    struct rlimit limit = {300000, RLIM_INFINITY};
    jrig_init(&r, 0);
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    fill_up(&r, PROV_E_IO, raise_limit);
    jrig_done(&r);
}
END_TEST

static void grow(const struct jrig *r)
{
    ck_assert_int_eq(mount("none", r->dir, "tmpfs", MS_REMOUNT, "size=8m"), 0);
}

START_TEST(a_full_disk_is_an_error_and_loses_nothing)
{
    struct jrig r;
    jrig_init(&r, 100000);
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", r.dir, "tmpfs", 0, "size=1m") != 0) {
        printf("no file system can be mounted here: the full disk is not tried\n");
        jrig_done(&r);
        return;
    }
    fill_up(&r, PROV_E_NOSPACE, grow);
    jrig_close(&r);
    umount2(r.dir, MNT_DETACH);
    jrig_done(&r);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("journal, shared");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 110);
    tcase_add_checked_fixture(t, setup, NULL);
    tcase_add_test(t, threads_share_their_syncs);
    tcase_add_test(t, processes_share_their_syncs);
    tcase_add_test(t, a_process_killed_under_the_locks_stops_nobody);
    tcase_add_test(t, a_failed_sync_refuses_those_who_wait_and_keeps_the_others);
    tcase_add_test(t, a_write_that_fails_half_way_leaves_nothing);
    tcase_add_test(t, a_failed_write_whose_cleaning_fails_too_is_cleaned_before_the_next_one);
    tcase_add_test(t, a_clock_that_goes_back_does_not_take_the_records_back);
    tcase_add_test(t, a_folder_that_cannot_be_written_is_refused_with_its_name);
    tcase_add_test(t, a_file_size_limit_is_an_error_and_loses_nothing);
    tcase_add_test(t, a_full_disk_is_an_error_and_loses_nothing);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
