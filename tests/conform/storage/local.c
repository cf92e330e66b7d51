/* local.c - what is particular to storage-local: its files, its leftovers, links, stores that cannot be written.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "storage.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char *at(const char *name)
{
    static char paths[4][600];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/store/%s", conform_dir(), name);
    return path;
}

static unsigned count_names(const char *name)
{
    unsigned n = 0;
    DIR *dir = opendir(at(name));
    ck_assert_ptr_nonnull(dir);
    while (readdir(dir) != NULL)
        n++;
    closedir(dir);
    return n - 2;
}

static void write_plain(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

START_TEST(an_object_is_a_plain_file_of_its_key)
{
    prov_error err;
    char text[16] = "";
    EXPECT(PROV_OK, err, put_text("models/a/head.json", "{}", NULL, NULL, &err));
    FILE *file = fopen(at("models/a/head.json"), "r");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fread(text, 1, sizeof text, file), 2);
    fclose(file);
    ck_assert_str_eq(text, "{}");
}
END_TEST

START_TEST(no_temporary_file_is_left_by_anything)
{
    static uint8_t big[3000000];
    prov_error err;
    prov_object object = {.struct_size = sizeof object};
    struct memory_source state = {.data = big, .len = sizeof big};
    prov_source source = memory_source(&state);
    prov_precond precond = match((const char[128]){"x"});
    prov_put_item items[] = {{.struct_size = sizeof items[0], .key = "ok", .data = "x", .size_bytes = 1},
                             {.struct_size = sizeof items[0], .key = "ok/below", .data = "x", .size_bytes = 1}};
    EXPECT(PROV_OK, err, put_text("k", "old", NULL, &object, &err));
    EXPECT(PROV_E_INVALID, err, ops->put(store, &conform_call, "n", &source, sizeof big - 1, NULL, NULL, &err));
    EXPECT(PROV_E_EXISTS, err, put_text("k", "x", &absent, NULL, &err));
    EXPECT(PROV_E_CONFLICT, err, put_text("k", "x", &precond, NULL, &err));
    EXPECT(PROV_E_INVALID, err, put_text("k/below", "x", NULL, NULL, &err));
    EXPECT(PROV_OK, err, ops->copy(store, &conform_call, "k", "c", &absent, NULL, &err));
    EXPECT(PROV_E_EXISTS, err, ops->copy(store, &conform_call, "k", "c", &absent, NULL, &err));
    EXPECT(PROV_OK, err, ops->copy(store, &conform_call, "c", "c", NULL, NULL, &err));
    EXPECT(PROV_E_INVALID, err, ops->put_many(store, &conform_call, items, 2, &err));
    ck_assert_int_eq(err.outcome, PROV_OUTCOME_UNKNOWN);
    EXPECT(PROV_OK, err, ops->probe(store, &conform_call, &err));
    ck_assert_uint_eq(count_names(".tmp"), 0);
    expect_text("k", "old");
}
END_TEST

START_TEST(an_object_and_a_folder_cannot_share_a_name_and_empty_folders_go)
{
    prov_error err;
    EXPECT(PROV_OK, err, put_text("a/b/c", "x", NULL, NULL, &err));
    EXPECT(PROV_E_INVALID, err, put_text("a/b", "x", NULL, NULL, &err));
    ck_assert_int_eq(err.outcome, PROV_OUTCOME_PERMANENT);
    EXPECT(PROV_E_INVALID, err, put_text("a/b", "x", &absent, NULL, &err));
    EXPECT(PROV_E_INVALID, err, put_text("a/b/c/d", "x", NULL, NULL, &err));
    EXPECT(PROV_OK, err, ops->del(store, &conform_call, "a/b/c", &err));
    ck_assert_int_ne(access(at("a"), F_OK), 0);
    EXPECT(PROV_OK, err, put_text("a", "x", &absent, NULL, &err));
    EXPECT(PROV_OK, err, ops->del(store, &conform_call, "a", &err));
    ck_assert_int_eq(mkdir(at("a"), 0755), 0); /* an empty folder is nothing */
    EXPECT(PROV_OK, err, put_text("a", "x", &absent, NULL, &err));
}
END_TEST

START_TEST(the_names_of_the_store_itself_are_refused_and_not_listed)
{
    prov_error err;
    EXPECT(PROV_E_INVALID, err, put_text(".tmp/x", "x", NULL, NULL, &err));
    EXPECT(PROV_E_INVALID, err, put_text(".lock", "x", NULL, NULL, &err));
    EXPECT(PROV_OK, err, put_text("a/.tmp/x", "x", NULL, NULL, &err));
    EXPECT(PROV_OK, err, put_text(".tmpx", "x", NULL, NULL, &err));
    write_plain(at("not a key"), "x"); /* files of other origin are no objects */
    expect_count("", 2);
    expect_count(".", 1);
    expect_count(".tmp/", 0);
}
END_TEST

START_TEST(symbolic_links_are_never_followed)
{
    prov_error err;
    prov_object object = {.struct_size = sizeof object};
    struct memory_sink state = {0};
    prov_sink sink = memory_sink(&state);
    char outside[600];
    snprintf(outside, sizeof outside, "%s/outside", conform_dir());
    ck_assert_int_eq(mkdir(outside, 0755), 0);
    ck_assert_int_eq(symlink(outside, at("folder")), 0);
    ck_assert_int_eq(symlink("/etc/passwd", at("file")), 0);
    EXPECT(PROV_E_DENIED, err, ops->get(store, &conform_call, "file", 0, UINT64_MAX, &sink, NULL, &err));
    ck_assert_int_eq(err.outcome, PROV_OUTCOME_PERMANENT);
    int rc = ops->stat(store, &conform_call, "file", &object, &err);
    ck_assert_int_eq(rc, PROV_E_DENIED);
    ck_assert_int_ne(put_text("folder/x", "x", NULL, NULL, &err), PROV_OK);
    snprintf(outside, sizeof outside, "%s/outside/x", conform_dir());
    ck_assert_int_ne(access(outside, F_OK), 0);
    write_plain(outside, "secret");
    EXPECT(PROV_E_DENIED, err, ops->get(store, &conform_call, "folder/x", 0, UINT64_MAX, &sink, NULL, &err));
    EXPECT(PROV_E_DENIED, err, put_text("file", "x", NULL, NULL, &err));
    EXPECT(PROV_E_DENIED, err, ops->copy(store, &conform_call, "file", "c", NULL, NULL, &err));
    expect_count("", 0);
    ck_assert_uint_eq(state.len, 0);
}
END_TEST

/* Sets the age of a file. */
static void age(const char *path, time_t seconds)
{
    struct timespec times[2];
    clock_gettime(CLOCK_REALTIME, &times[0]);
    times[0].tv_sec -= seconds;
    times[1] = times[0];
    ck_assert_int_eq(utimensat(AT_FDCWD, path, times, 0), 0);
}

START_TEST(leftovers_of_the_dead_are_swept_and_those_of_the_living_are_not)
{
    char upload[256] = "", name[300];
    prov_error err;
    write_plain(at(".tmp/young"), "x");
    write_plain(at(".tmp/dead"), "x");
    write_plain(at(".tmp/alive"), "x");
    age(at(".tmp/young"), 3000);
    age(at(".tmp/dead"), 4000);
    age(at(".tmp/alive"), 4000);
    int alive = open(at(".tmp/alive"), O_RDWR);
    ck_assert_int_eq(flock(alive, LOCK_SH), 0);
    EXPECT(PROV_OK, err, ops->multipart_begin(store, &conform_call, "m", upload, &err));
    snprintf(name, sizeof name, ".tmp/upload-%s", upload);
    age(at(name), 6 * 86400);
    conform_destroy(conform_create());
    ck_assert_int_eq(access(at(".tmp/young"), F_OK), 0);
    ck_assert_int_ne(access(at(".tmp/dead"), F_OK), 0);
    ck_assert_int_eq(access(at(".tmp/alive"), F_OK), 0);
    ck_assert_int_eq(access(at(name), F_OK), 0);
    age(at(name), 8 * 86400);
    conform_destroy(conform_create());
    ck_assert_int_ne(access(at(name), F_OK), 0);
    close(alive);
}
END_TEST

START_TEST(a_lock_that_somebody_keeps_makes_a_put_time_out_before_anything_happened)
{
    prov_error err;
    char name[64];
    int locks[64];
    EXPECT(PROV_OK, err, put_text("k", "old", NULL, NULL, &err));
    for (int i = 0; i < 64; i++) {
        snprintf(name, sizeof name, ".lock/%02x", (unsigned)i);
        locks[i] = open(at(name), O_RDWR | O_CREAT, 0600);
        ck_assert_int_eq(flock(locks[i], LOCK_EX), 0);
    }
    struct memory_source state = {.data = (const uint8_t *)"new", .len = 3};
    prov_source source = memory_source(&state);
    prov_call call = conform_call;
    call.deadline_ns = conform_now_ns() + 100000000;
    EXPECT(PROV_E_TIMEOUT, err, ops->put(store, &call, "k", &source, 3, NULL, NULL, &err));
    ck_assert_int_eq(err.outcome, PROV_OUTCOME_NOT_APPLIED);
    call.deadline_ns = conform_now_ns() + 100000000;
    EXPECT(PROV_E_TIMEOUT, err, ops->del(store, &call, "k", &err));
    expect_text("k", "old"); /* reading takes no lock */
    ck_assert_uint_eq(count_names(".tmp"), 0);
    for (int i = 0; i < 64; i++)
        close(locks[i]);
    EXPECT(PROV_OK, err, put_text("k", "new", NULL, NULL, &err));
}
END_TEST

START_TEST(a_store_that_was_removed_is_unavailable_and_not_empty)
{
    prov_error err;
    int32_t more;
    prov_object object = {.struct_size = sizeof object};
    prov_list_emit emit = {.struct_size = sizeof emit};
    char command[700];
    snprintf(command, sizeof command, "rm -rf %s/store", conform_dir());
    ck_assert_int_eq(system(command), 0);
    EXPECT(PROV_E_UNAVAILABLE, err, ops->stat(store, &conform_call, "k", &object, &err));
    EXPECT(PROV_E_UNAVAILABLE, err, ops->list(store, &conform_call, "", "", 10, &emit, &more, &err));
    EXPECT(PROV_E_UNAVAILABLE, err, ops->list(store, &conform_call, "a/", "", 10, &emit, &more, &err));
    EXPECT(PROV_E_UNAVAILABLE, err, ops->probe(store, &conform_call, &err));
    int rc = put_text("k", "x", NULL, NULL, &err);
    ck_assert_msg(rc == PROV_E_IO && err.outcome == PROV_OUTCOME_NOT_APPLIED, "%d: %s", rc, err.message);
}
END_TEST

START_TEST(a_store_that_cannot_be_written_can_be_read)
{
    static const char *const folders[] = {"", ".tmp", ".lock"};
    prov_error err;
    bool is_root = geteuid() == 0;
    EXPECT(PROV_OK, err, put_text("k", "kept", NULL, NULL, &err));
    ck_assert_int_eq(chmod(conform_dir(), 0755), 0);
    for (size_t i = 0; i < 3; i++)
        ck_assert_int_eq(chmod(at(folders[i]), 0555), 0);
    conform_destroy(store);
    if (is_root) /* whom no mode stops */
        ck_assert_int_eq(seteuid(65534), 0);
    store = conform_create();
    expect_text("k", "kept");
    EXPECT(PROV_E_DENIED, err, put_text("k", "x", NULL, NULL, &err));
    ck_assert_int_eq(err.outcome, PROV_OUTCOME_PERMANENT);
    EXPECT(PROV_E_DENIED, err, ops->del(store, &conform_call, "k", &err));
    expect_text("k", "kept");
    if (is_root)
        ck_assert_int_eq(seteuid(0), 0);
    for (size_t i = 0; i < 3; i++)
        ck_assert_int_eq(chmod(at(folders[i]), 0755), 0);
}
END_TEST

static int create_with(const char *path, const char *mode, prov_error *err)
{
    void *instance = NULL;
    const prov_host host = {.struct_size = sizeof host};
    const prov_option_value values[] = {{"path", path}, {"fsync", "false"}, {"mode", mode}};
    *err = (prov_error){0};
    int rc = conform_provider()->create(&host, values, 3, &instance, err);
    if (rc == PROV_OK)
        conform_provider()->destroy(instance);
    return rc;
}

START_TEST(wrong_options_are_configuration_errors)
{
    static const char *const modes[] = {"", "rw", "0777", "0044", "99", "0644x", "-1", "01644"};
    prov_error err;
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        ck_assert_int_eq(create_with(at("x"), modes[i], &err), PROV_E_CONFIG);
    ck_assert_int_eq(create_with("relative", "0644", &err), PROV_E_CONFIG);
    write_plain(at("file"), "x");
    ck_assert_int_eq(create_with(at("file"), "0644", &err), PROV_E_CONFIG);
    ck_assert_int_eq(err.outcome, PROV_OUTCOME_PERMANENT);
    ck_assert_int_eq(create_with(at("x"), "0600", &err), PROV_OK);
}
END_TEST

void add_local(Suite *suite)
{
    TCase *test_case = new_case(suite, "local");
    tcase_add_test(test_case, an_object_is_a_plain_file_of_its_key);
    tcase_add_test(test_case, no_temporary_file_is_left_by_anything);
    tcase_add_test(test_case, an_object_and_a_folder_cannot_share_a_name_and_empty_folders_go);
    tcase_add_test(test_case, the_names_of_the_store_itself_are_refused_and_not_listed);
    tcase_add_test(test_case, symbolic_links_are_never_followed);
    tcase_add_test(test_case, leftovers_of_the_dead_are_swept_and_those_of_the_living_are_not);
    tcase_add_test(test_case, a_lock_that_somebody_keeps_makes_a_put_time_out_before_anything_happened);
    tcase_add_test(test_case, a_store_that_was_removed_is_unavailable_and_not_empty);
    tcase_add_test(test_case, a_store_that_cannot_be_written_can_be_read);
    tcase_add_test(test_case, wrong_options_are_configuration_errors);
}
