/* storage_optional.c - put_many, put_fd, multipart uploads, probe: where the backend has them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "storage.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

START_TEST(probe_answers)
{
    prov_error err;
    if (!HAS_OP(probe))
        return;
    EXPECT(PROV_OK, err, ops->probe(store, &conform_call, &err));
    expect_count("", 0);
}
END_TEST

/* ---- put_many --------------------------------------------------------------------------------------------------------- */

START_TEST(put_many_stores_all_of_many_items)
{
    enum { N = 300 };
    static char keys[N][32], bodies[N][32];
    static prov_put_item items[N];
    prov_error err;
    if (!HAS_OP(put_many))
        return;
    EXPECT(PROV_OK, err, put_text("many/0/7", "old", NULL, NULL, &err));
    for (int i = 0; i < N; i++) {
        snprintf(keys[i], sizeof keys[i], "many/%d/%d", i % 7, i);
        snprintf(bodies[i], sizeof bodies[i], "body of %d", i);
        items[i] = (prov_put_item){.struct_size = sizeof items[i], .key = keys[i], .data = bodies[i],
                                   .size_bytes = i == 5 ? 0 : strlen(bodies[i])};
    }
    EXPECT(PROV_OK, err, ops->put_many(store, &conform_call, items, N, &err));
    for (int i = 0; i < N; i++)
        expect_text(keys[i], i == 5 ? "" : bodies[i]);
    expect_count("many/", N);
    EXPECT(PROV_OK, err, ops->put_many(store, &conform_call, items, 0, &err));
    EXPECT(PROV_OK, err, ops->put_many(store, &conform_call, NULL, 0, &err));
}
END_TEST

START_TEST(put_many_steps_by_the_size_that_the_caller_compiled)
{
    struct wide_item {
        prov_put_item item;
        uint64_t of_a_later_version[3];
    } items[2] = {{.item = {.struct_size = sizeof items[0], .key = "w/1", .data = "one", .size_bytes = 3}},
                  {.item = {.struct_size = sizeof items[0], .key = "w/2", .data = "two", .size_bytes = 3}}};
    prov_error err;
    if (!HAS_OP(put_many))
        return;
    EXPECT(PROV_OK, err, ops->put_many(store, &conform_call, &items[0].item, 2, &err));
    expect_text("w/1", "one");
    expect_text("w/2", "two");
}
END_TEST

START_TEST(put_many_with_a_bad_key_stores_nothing)
{
    prov_put_item items[] = {{.struct_size = sizeof items[0], .key = "good", .data = "x", .size_bytes = 1},
                             {.struct_size = sizeof items[0], .key = "../bad", .data = "x", .size_bytes = 1}};
    prov_error err;
    if (!HAS_OP(put_many))
        return;
    EXPECT(PROV_E_INVALID, err, ops->put_many(store, &conform_call, items, 2, &err));
    expect_count("", 0);
}
END_TEST

/* ---- put_fd ----------------------------------------------------------------------------------------------------------- */

START_TEST(put_fd_stores_the_first_bytes_of_an_open_file)
{
    static const char text[] = "0123456789";
    char path[512];
    prov_error err;
    prov_object object = {.struct_size = sizeof object};
    if (!HAS_OP(put_fd))
        return;
    snprintf(path, sizeof path, "%s/source-XXXXXX", conform_dir());
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, 10), 10); /* the position is at its end: it must not matter */
    EXPECT(PROV_OK, err, ops->put_fd(store, &conform_call, "f", fd, 10, NULL, &object, &err));
    expect_text("f", text);
    EXPECT(PROV_OK, err, ops->put_fd(store, &conform_call, "f", fd, 4, NULL, NULL, &err));
    expect_text("f", "0123");
    EXPECT(PROV_E_INVALID, err, ops->put_fd(store, &conform_call, "f", fd, 11, NULL, NULL, &err));
    EXPECT(PROV_E_EXISTS, err, ops->put_fd(store, &conform_call, "f", fd, 10, &absent, NULL, &err));
    prov_precond precond = match(object.etag);
    EXPECT(PROV_E_CONFLICT, err, ops->put_fd(store, &conform_call, "f", fd, 10, &precond, NULL, &err));
    EXPECT(PROV_E_INVALID, err, ops->put_fd(store, &conform_call, "a//b", fd, 10, NULL, NULL, &err));
    expect_text("f", "0123");
    expect_count("", 1);
    ck_assert_int_eq(write(fd, "x", 1), 1); /* still open */
    close(fd);
}
END_TEST

/* ---- multipart -------------------------------------------------------------------------------------------------------- */

static int put_part(const char *key, const char *upload, uint32_t number, const char *text, uint64_t announced,
                    prov_error *err)
{
    struct memory_source state = {.data = (const uint8_t *)text, .len = strlen(text)};
    prov_source source = memory_source(&state);
    return ops->multipart_put(store, &conform_call, key, upload, number, &source, announced, err);
}

struct parts {
    char text[256];
};

static int32_t see_part(void *ctx, const prov_list_entry *entry)
{
    struct parts *parts = ctx;
    size_t len = strlen(parts->text);
    snprintf(parts->text + len, sizeof parts->text - len, "%s:%llu ", entry->key, (unsigned long long)entry->size_bytes);
    return PROV_OK;
}

START_TEST(a_multipart_upload_survives_its_instance_and_joins_its_parts)
{
    char upload[256] = "";
    prov_error err;
    struct parts parts = {0};
    prov_object object = {.struct_size = sizeof object};
    prov_list_emit emit = {.struct_size = sizeof emit, .ctx = &parts, .entry = see_part};
    if (!HAS_OP(multipart_begin))
        return;
    ck_assert(ops->multipart_put && ops->multipart_list && ops->multipart_commit && ops->multipart_abort);
    EXPECT(PROV_OK, err, ops->multipart_begin(store, &conform_call, "big/one", upload, &err));
    EXPECT(PROV_OK, err, put_part("big/one", upload, 2, "second", 6, &err));
    EXPECT(PROV_OK, err, put_part("big/one", upload, 1, "wrong", 5, &err));
    conform_destroy(store);
    store = conform_create();
    EXPECT(PROV_OK, err, put_part("big/one", upload, 1, "first-", 6, &err));
    EXPECT(PROV_E_INVALID, err, put_part("big/one", upload, 3, "short", 6, &err));
    EXPECT(PROV_OK, err, put_part("big/one", upload, 10, "ten", 3, &err));
    EXPECT(PROV_OK, err, ops->multipart_list(store, &conform_call, "big/one", upload, &emit, &err));
    ck_assert_str_eq(parts.text, "1:6 2:6 10:3 ");
    expect_none("big/one");
    expect_count("", 0);
    EXPECT(PROV_E_INVALID, err, ops->multipart_commit(store, &conform_call, "big/one", upload, 3, NULL, NULL, &err));
    EXPECT(PROV_OK, err, ops->multipart_commit(store, &conform_call, "big/one", upload, 2, &absent, &object, &err));
    ck_assert_uint_eq(object.size_bytes, 12);
    expect_text("big/one", "first-second");
    EXPECT(PROV_E_NOT_FOUND, err, put_part("big/one", upload, 1, "late", 4, &err));
    EXPECT(PROV_E_NOT_FOUND, err, ops->multipart_commit(store, &conform_call, "big/one", upload, 2, NULL, NULL, &err));
}
END_TEST

START_TEST(a_multipart_commit_honours_its_precondition_and_can_be_tried_again)
{
    char upload[256] = "";
    prov_error err;
    if (!HAS_OP(multipart_begin))
        return;
    EXPECT(PROV_OK, err, put_text("m", "old", NULL, NULL, &err));
    EXPECT(PROV_OK, err, ops->multipart_begin(store, &conform_call, "m", upload, &err));
    EXPECT(PROV_OK, err, put_part("m", upload, 1, "new", 3, &err));
    EXPECT(PROV_E_EXISTS, err, ops->multipart_commit(store, &conform_call, "m", upload, 1, &absent, NULL, &err));
    expect_text("m", "old");
    EXPECT(PROV_OK, err, ops->multipart_commit(store, &conform_call, "m", upload, 1, NULL, NULL, &err));
    expect_text("m", "new");
}
END_TEST

START_TEST(an_upload_belongs_to_its_key_and_ends_with_abort)
{
    static const char *const bad[] = {"", "..", "../o", "x", "00000000000000000000000000000000", "/etc"};
    char upload[256] = "";
    prov_error err;
    if (!HAS_OP(multipart_begin))
        return;
    EXPECT(PROV_E_INVALID, err, ops->multipart_begin(store, &conform_call, "a//b", upload, &err));
    EXPECT(PROV_OK, err, ops->multipart_begin(store, &conform_call, "k", upload, &err));
    EXPECT(PROV_E_NOT_FOUND, err, put_part("other", upload, 1, "x", 1, &err));
    EXPECT(PROV_E_INVALID, err, put_part("k", upload, 0, "x", 1, &err));
    EXPECT(PROV_E_INVALID, err, put_part("k", upload, 10001, "x", 1, &err));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        EXPECT(PROV_E_NOT_FOUND, err, put_part("k", bad[i], 1, "x", 1, &err));
    EXPECT(PROV_OK, err, ops->multipart_abort(store, &conform_call, "k", upload, &err));
    EXPECT(PROV_E_NOT_FOUND, err, ops->multipart_abort(store, &conform_call, "k", upload, &err));
    EXPECT(PROV_E_NOT_FOUND, err, put_part("k", upload, 1, "x", 1, &err));
    expect_count("", 0);
}
END_TEST

void add_optional(Suite *suite)
{
    TCase *test_case = new_case(suite, "optional");
    tcase_add_test(test_case, probe_answers);
    tcase_add_test(test_case, put_many_stores_all_of_many_items);
    tcase_add_test(test_case, put_many_steps_by_the_size_that_the_caller_compiled);
    tcase_add_test(test_case, put_many_with_a_bad_key_stores_nothing);
    tcase_add_test(test_case, put_fd_stores_the_first_bytes_of_an_open_file);
    tcase_add_test(test_case, a_multipart_upload_survives_its_instance_and_joins_its_parts);
    tcase_add_test(test_case, a_multipart_commit_honours_its_precondition_and_can_be_tried_again);
    tcase_add_test(test_case, an_upload_belongs_to_its_key_and_ends_with_abort);
}
