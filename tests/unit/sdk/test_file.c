/* test_file.c - whole files, folders, locks, the private check.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "psdk_file.h"

static char dir[256];
static prov_error err;

static const char *in_dir(const char *name)
{
    static char paths[8][512];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", dir, name);
    return path;
}

static void set_up(void)
{
    char made[200];
    const char *tmp = getenv("TMPDIR");
    snprintf(made, sizeof made, "%s/prov-test-XXXXXX", tmp != NULL ? tmp : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(made));
    char *real = realpath(made, NULL);
    ck_assert_ptr_nonnull(real);
    snprintf(dir, sizeof dir, "%s", real);
    free(real);
    umask(022);
    err = (prov_error){0};
}

static void tear_down(void)
{
    ck_assert_int_eq(psdk_remove_tree(dir, &err), PROV_OK);
    ck_assert_int_ne(access(dir, F_OK), 0);
}

static unsigned count_names(const char *path)
{
    unsigned n = 0;
    DIR *open_dir = opendir(path);
    ck_assert_ptr_nonnull(open_dir);
    while (readdir(open_dir) != NULL)
        n++;
    closedir(open_dir);
    return n - 2;
}

static void expect_file(const char *path, const char *want)
{
    struct psdk_buf buf = {0};
    ck_assert_int_eq(psdk_read_file(path, 1 << 20, &buf, &err), PROV_OK);
    ck_assert_str_eq(psdk_buf_str(&buf), want);
    psdk_buf_done(&buf);
}

START_TEST(a_file_is_replaced_whole_and_leaves_no_temporary)
{
    const char *path = in_dir("f");
    struct stat st;
    ck_assert_int_eq(psdk_write_file(path, "one", 3, 0600, false, &err), PROV_OK);
    expect_file(path, "one");
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_int_eq(st.st_mode & 0777, 0600);
    ck_assert_int_eq(psdk_write_file(path, "two two", 7, 0644, false, &err), PROV_OK);
    expect_file(path, "two two");
    ck_assert_int_eq(psdk_write_file(path, "", 0, 0644, false, &err), PROV_OK);
    expect_file(path, "");
    ck_assert_uint_eq(count_names(dir), 1);
}
END_TEST

START_TEST(an_exclusive_file_is_created_once)
{
    const char *path = in_dir("f");
    ck_assert_int_eq(psdk_write_file(path, "one", 3, 0600, true, &err), PROV_OK);
    ck_assert_int_eq(psdk_write_file(path, "two", 3, 0600, true, &err), PROV_E_EXISTS);
    ck_assert_ptr_nonnull(strstr(err.message, path));
    expect_file(path, "one");
    ck_assert_uint_eq(count_names(dir), 1);
}
END_TEST

START_TEST(a_write_that_fails_keeps_the_old_file_and_leaves_nothing)
{
    const char *path = in_dir("f");
    static char big[100000];
    struct rlimit limit = {.rlim_cur = 50000, .rlim_max = RLIM_INFINITY};
    ck_assert_int_eq(psdk_write_file(path, "old", 3, 0600, false, &err), PROV_OK);
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    int rc = psdk_write_file(path, big, sizeof big, 0600, false, &err);
    limit.rlim_cur = RLIM_INFINITY;
    setrlimit(RLIMIT_FSIZE, &limit);
    ck_assert_int_eq(rc, PROV_E_IO);
    expect_file(path, "old");
    ck_assert_uint_eq(count_names(dir), 1);
    ck_assert_int_eq(psdk_write_file(in_dir("no/f"), "x", 1, 0600, false, &err), PROV_E_NOT_FOUND);
    ck_assert_int_eq(mkdir(in_dir("d"), 0755), 0);
    ck_assert_int_ne(psdk_write_file(in_dir("d"), "x", 1, 0600, false, &err), PROV_OK); /* a folder is in its place */
    ck_assert_int_eq(psdk_write_file(in_dir("d/"), "x", 1, 0600, false, &err), PROV_E_INVALID);
    ck_assert_uint_eq(count_names(dir), 2);
}
END_TEST

START_TEST(a_full_disk_is_said_as_no_space)
{
    int fd = psdk_open("/dev/full", O_WRONLY, 0, &err);
    if (fd < 0)
        return;
    ck_assert_int_eq(psdk_write_all(fd, "x", 1, "/dev/full", &err), PROV_E_NOSPACE);
    psdk_close(&fd);
    ck_assert_int_eq(fd, -1);
    psdk_close(&fd);
}
END_TEST

START_TEST(reading_stops_at_the_ceiling_and_keeps_what_was_there)
{
    struct psdk_buf buf = {0};
    const char *path = in_dir("f");
    ck_assert_int_eq(psdk_write_file(path, "0123456789", 10, 0600, false, &err), PROV_OK);
    psdk_buf_adds(&buf, "before ");
    ck_assert_int_eq(psdk_read_file(path, 9, &buf, &err), PROV_E_LIMIT);
    ck_assert_str_eq(psdk_buf_str(&buf), "before ");
    ck_assert_int_eq(psdk_read_file(path, 10, &buf, &err), PROV_OK);
    ck_assert_str_eq(psdk_buf_str(&buf), "before 0123456789");
    ck_assert_int_eq(psdk_read_file(in_dir("none"), 10, &buf, &err), PROV_E_NOT_FOUND);
    ck_assert_int_eq(psdk_read_file(dir, 10, &buf, &err), PROV_E_INVALID);
    ck_assert_int_eq(mkfifo(in_dir("pipe"), 0600), 0);
    ck_assert_int_eq(psdk_read_file(in_dir("pipe"), 10, &buf, &err), PROV_E_INVALID); /* and does not hang */
    psdk_buf_clear(&buf);
    ck_assert_int_eq(psdk_read_file("/proc/self/status", 1 << 20, &buf, &err), PROV_OK); /* says it has 0 bytes */
    ck_assert_uint_gt(buf.len, 100);
    psdk_buf_done(&buf);
}
END_TEST

START_TEST(positions_are_read_and_written_completely)
{
    char text[32];
    size_t got = 0;
    int fd = psdk_open(in_dir("f"), O_RDWR | O_CREAT, 0600, &err);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(psdk_pwrite_all(fd, "world", 5, 6, "f", &err), PROV_OK);
    ck_assert_int_eq(psdk_pwrite_all(fd, "hello ", 6, 0, "f", &err), PROV_OK);
    ck_assert_int_eq(psdk_fdatasync(fd, "f", &err), PROV_OK);
    ck_assert_int_eq(psdk_pread_all(fd, text, sizeof text, 2, &got, "f", &err), PROV_OK);
    ck_assert_uint_eq(got, 9);
    ck_assert_int_eq(memcmp(text, "llo world", 9), 0);
    psdk_close(&fd);
    ck_assert_int_eq(psdk_open(in_dir("none"), O_RDONLY, 0, &err), PROV_E_NOT_FOUND);
}
END_TEST

START_TEST(folders_are_made_with_their_parents)
{
    struct stat st;
    ck_assert_int_eq(psdk_mkdirs(in_dir("a//b/c/"), 0750, &err), PROV_OK);
    ck_assert_int_eq(stat(in_dir("a/b/c"), &st), 0);
    ck_assert_int_eq(st.st_mode & 0777, 0750);
    ck_assert_int_eq(psdk_mkdirs(in_dir("a/b/c"), 0750, &err), PROV_OK);
    ck_assert_int_eq(psdk_mkdirs("/", 0750, &err), PROV_OK);
    ck_assert_int_eq(psdk_write_file(in_dir("a/f"), "x", 1, 0600, false, &err), PROV_OK);
    ck_assert_int_eq(psdk_mkdirs(in_dir("a/f"), 0750, &err), PROV_E_EXISTS);
    ck_assert_int_ne(psdk_mkdirs(in_dir("a/f/g"), 0750, &err), PROV_OK);
    ck_assert_int_eq(psdk_mkdirs("", 0750, &err), PROV_E_INVALID);
    ck_assert_int_eq(chdir(dir), 0);
    ck_assert_int_eq(psdk_mkdirs("relative/x", 0750, &err), PROV_OK);
    ck_assert_int_eq(access(in_dir("relative/x"), F_OK), 0);
    ck_assert_int_eq(psdk_sync_dir(in_dir("relative"), &err), PROV_OK);
    ck_assert_int_eq(psdk_sync_dir(in_dir("none"), &err), PROV_E_NOT_FOUND);
}
END_TEST

START_TEST(the_folder_of_a_path_is_found)
{
    static const struct {
        const char *path, *want;
    } cases[] = {{"a", "."}, {"a/b", "a"}, {"/a", "/"}, {"/a/b", "/a"}, {"/", "/"}, {"a/", "a"}, {"/a//b", "/a"}, {"", "."}};
    char ret[8];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_assert_int_eq(psdk_dirname(cases[i].path, ret, sizeof ret, &err), PROV_OK);
        ck_assert_str_eq(ret, cases[i].want);
    }
    ck_assert_int_eq(psdk_dirname("1234567/x", ret, sizeof ret, &err), PROV_OK);
    ck_assert_int_eq(psdk_dirname("12345678/x", ret, sizeof ret, &err), PROV_E_LIMIT);
}
END_TEST

START_TEST(a_tree_is_removed_without_following_links)
{
    ck_assert_int_eq(psdk_mkdirs(in_dir("keep"), 0755, &err), PROV_OK);
    ck_assert_int_eq(psdk_write_file(in_dir("keep/f"), "x", 1, 0600, false, &err), PROV_OK);
    ck_assert_int_eq(psdk_mkdirs(in_dir("t/a/b/c"), 0755, &err), PROV_OK);
    ck_assert_int_eq(psdk_write_file(in_dir("t/a/f"), "x", 1, 0600, false, &err), PROV_OK);
    ck_assert_int_eq(symlink(in_dir("keep"), in_dir("t/a/link")), 0);
    ck_assert_int_eq(symlink(in_dir("keep"), in_dir("link")), 0);
    ck_assert_int_ne(psdk_remove_tree(in_dir("link"), &err), PROV_OK);
    ck_assert_int_eq(psdk_remove_tree(in_dir("t"), &err), PROV_OK);
    ck_assert_int_ne(access(in_dir("t"), F_OK), 0);
    expect_file(in_dir("keep/f"), "x");
    ck_assert_int_eq(psdk_remove_tree(in_dir("t"), &err), PROV_OK); /* not there: fine */
}
END_TEST

START_TEST(a_lock_is_held_by_one_at_a_time)
{
    struct psdk_lock one = PSDK_LOCK_INIT, two = PSDK_LOCK_INIT;
    const char *path = in_dir("lock");
    ck_assert_int_eq(psdk_lock_take(&one, path, false, 0, &err), PROV_OK);
    ck_assert_int_eq(psdk_lock_take(&two, path, false, 0, &err), PROV_E_TIMEOUT);
    uint64_t start = psdk_monotonic_ns();
    ck_assert_int_eq(psdk_lock_take(&two, path, true, 30000000, &err), PROV_E_TIMEOUT);
    ck_assert_uint_ge(psdk_monotonic_ns() - start, 30000000);
    ck_assert_int_eq(two.fd, -1);
    psdk_lock_drop(&one);
    psdk_lock_drop(&one);
    ck_assert_int_eq(psdk_lock_take(&one, path, true, 0, &err), PROV_OK);
    ck_assert_int_eq(psdk_lock_take(&two, path, true, 0, &err), PROV_OK); /* two readers */
    psdk_lock_drop(&one);
    psdk_lock_drop(&two);
}
END_TEST

START_TEST(a_lock_goes_with_its_process)
{
    struct psdk_lock lock = PSDK_LOCK_INIT;
    int ready[2];
    char c;
    ck_assert_int_eq(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        psdk_lock_take(&lock, in_dir("lock"), false, 0, &err);
        if (write(ready[1], "x", 1) == 1)
            pause();
        _exit(1);
    }
    ck_assert_int_eq(read(ready[0], &c, 1), 1);
    ck_assert_int_eq(psdk_lock_take(&lock, in_dir("lock"), false, 0, &err), PROV_E_TIMEOUT);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    ck_assert_int_eq(psdk_lock_take(&lock, in_dir("lock"), false, 1000000000, &err), PROV_OK);
    psdk_lock_drop(&lock);
    close(ready[0]);
    close(ready[1]);
}
END_TEST

static long guarded;

static void *count_under_lock(void *arg)
{
    for (int i = 0; i < 200; i++) {
        prov_error mine = {0};
        struct psdk_lock lock = PSDK_LOCK_INIT;
        if (psdk_lock_take(&lock, arg, false, UINT64_MAX, &mine) != PROV_OK)
            return NULL;
        long seen = __atomic_load_n(&guarded, __ATOMIC_RELAXED);
        sched_yield();
        __atomic_store_n(&guarded, seen + 1, __ATOMIC_RELAXED);
        psdk_lock_drop(&lock);
    }
    return NULL;
}

START_TEST(a_lock_holds_between_threads)
{
    pthread_t threads[4];
    char path[512];
    snprintf(path, sizeof path, "%s/lock", dir);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, count_under_lock, path), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    ck_assert_int_eq(guarded, 800);
}
END_TEST

static int check_private(const char *name, bool also_secret)
{
    const char *path = in_dir(name);
    char *real = realpath(path, NULL);
    ck_assert_ptr_nonnull(real);
    int fd = open(path, O_RDONLY);
    ck_assert_int_ge(fd, 0);
    int rc = psdk_check_private(fd, real, also_secret, &err);
    close(fd);
    free(real);
    return rc;
}

START_TEST(what_others_can_write_is_not_private)
{
    ck_assert_int_eq(psdk_mkdirs(in_dir("p/q"), 0755, &err), PROV_OK);
    ck_assert_int_eq(psdk_write_file(in_dir("p/q/f"), "x", 1, 0644, false, &err), PROV_OK);
    ck_assert_msg(check_private("p/q/f", false) == PROV_OK, "%s", err.message);
    ck_assert_int_eq(check_private("p/q/f", true), PROV_E_DENIED); /* others can read it */
    ck_assert_int_eq(chmod(in_dir("p/q/f"), 0600), 0);
    ck_assert_int_eq(check_private("p/q/f", true), PROV_OK);
    static const struct {
        const char *name;
        mode_t bad, good;
    } cases[] = {{"p/q/f", 0620, 0600}, {"p/q/f", 0602, 0600}, {"p/q", 0775, 0755}, {"p", 0757, 0755}, {"p", 01777, 0755}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool sticky_of_root = (cases[i].bad & 01000) != 0 && geteuid() == 0; /* as /tmp: fine for a folder above */
        ck_assert_int_eq(chmod(in_dir(cases[i].name), cases[i].bad), 0);
        ck_assert_int_eq(check_private("p/q/f", false), sticky_of_root ? PROV_OK : PROV_E_DENIED);
        if (!sticky_of_root)
            ck_assert_ptr_nonnull(strstr(err.message, in_dir(cases[i].name)));
        ck_assert_int_eq(chmod(in_dir(cases[i].name), cases[i].good), 0);
    }
    ck_assert_int_eq(check_private("p/q/f", false), PROV_OK);
}
END_TEST

START_TEST(a_path_that_names_another_file_is_not_private)
{
    ck_assert_int_eq(psdk_write_file(in_dir("f"), "x", 1, 0600, false, &err), PROV_OK);
    ck_assert_int_eq(psdk_write_file(in_dir("g"), "x", 1, 0600, false, &err), PROV_OK);
    ck_assert_int_eq(symlink(in_dir("f"), in_dir("l")), 0);
    int fd = open(in_dir("f"), O_RDONLY);
    ck_assert_int_eq(psdk_check_private(fd, in_dir("f"), true, &err), PROV_OK);
    ck_assert_int_eq(psdk_check_private(fd, in_dir("g"), true, &err), PROV_E_DENIED);
    ck_assert_int_eq(psdk_check_private(fd, in_dir("l"), true, &err), PROV_E_DENIED);
    ck_assert_int_eq(psdk_check_private(fd, "f", true, &err), PROV_E_INVALID);
    if (geteuid() == 0) { /* the file of another user */
        ck_assert_int_eq(chown(in_dir("f"), 12345, 12345), 0);
        ck_assert_int_eq(psdk_check_private(fd, in_dir("f"), false, &err), PROV_E_DENIED);
    }
    close(fd);
}
END_TEST

START_TEST(a_rename_that_must_not_replace_does_not)
{
    ck_assert_int_eq(psdk_write_file(in_dir("f"), "f", 1, 0600, false, &err), PROV_OK);
    ck_assert_int_eq(psdk_write_file(in_dir("g"), "g", 1, 0600, false, &err), PROV_OK);
    ck_assert_int_eq(psdk_rename_new(AT_FDCWD, in_dir("f"), AT_FDCWD, in_dir("g")), EEXIST);
    expect_file(in_dir("g"), "g");
    ck_assert_int_eq(psdk_rename_new(AT_FDCWD, in_dir("f"), AT_FDCWD, in_dir("h")), 0);
    expect_file(in_dir("h"), "f");
    ck_assert_int_ne(access(in_dir("f"), F_OK), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("file");
    TCase *test_case = tcase_create("file");
    tcase_add_checked_fixture(test_case, set_up, tear_down);
    tcase_add_test(test_case, a_file_is_replaced_whole_and_leaves_no_temporary);
    tcase_add_test(test_case, an_exclusive_file_is_created_once);
    tcase_add_test(test_case, a_write_that_fails_keeps_the_old_file_and_leaves_nothing);
    tcase_add_test(test_case, a_full_disk_is_said_as_no_space);
    tcase_add_test(test_case, reading_stops_at_the_ceiling_and_keeps_what_was_there);
    tcase_add_test(test_case, positions_are_read_and_written_completely);
    tcase_add_test(test_case, folders_are_made_with_their_parents);
    tcase_add_test(test_case, the_folder_of_a_path_is_found);
    tcase_add_test(test_case, a_tree_is_removed_without_following_links);
    tcase_add_test(test_case, a_lock_is_held_by_one_at_a_time);
    tcase_add_test(test_case, a_lock_goes_with_its_process);
    tcase_add_test(test_case, a_lock_holds_between_threads);
    tcase_add_test(test_case, what_others_can_write_is_not_private);
    tcase_add_test(test_case, a_path_that_names_another_file_is_not_private);
    tcase_add_test(test_case, a_rename_that_must_not_replace_does_not);
    suite_add_tcase(suite, test_case);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
