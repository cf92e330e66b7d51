/* storage_basic.c - put, get, stat, del, copy, keys, preconditions, deadlines.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "storage.h"

#include <stdlib.h>

START_TEST(the_descriptor_is_complete)
{
    const prov_provider *provider = conform_provider();
    ck_assert_uint_ge(provider->struct_size, offsetof(prov_provider, destroy) + sizeof provider->destroy);
    ck_assert(provider->create != NULL && provider->destroy != NULL);
    ck_assert_uint_ge(ops->struct_size, offsetof(prov_storage_ops, copy) + sizeof ops->copy);
    ck_assert(ops->put && ops->get && ops->stat && ops->list && ops->del && ops->copy);
}
END_TEST

START_TEST(what_is_put_is_got_back_byte_for_byte)
{
    static const uint64_t sizes[] = {0, 1, 4095, 4096, 65536, 65537, 1048576, 1048577, 3500001};
    uint8_t *data = malloc(3500001);
    for (size_t i = 0; i < 3500001; i++)
        data[i] = (uint8_t)(i * 2654435761u >> 13);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        prov_error err;
        prov_object object = {.struct_size = sizeof object};
        EXPECT(PROV_OK, err, put_bytes(store, "some/object", data, sizes[i], NULL, &object, &err));
        ck_assert_uint_eq(object.size_bytes, sizes[i]);
        ck_assert_uint_eq(object.struct_size, sizeof object);
        expect_bytes("some/object", data, sizes[i]);
    }
    free(data);
}
END_TEST

START_TEST(a_source_may_give_its_bytes_in_small_pieces)
{
    prov_error err;
    struct memory_source state = {.data = (const uint8_t *)"one two three", .len = 13, .step = 1};
    prov_source source = memory_source(&state);
    EXPECT(PROV_OK, err, ops->put(store, &conform_call, "k", &source, 13, NULL, NULL, &err));
    expect_text("k", "one two three");
}
END_TEST

START_TEST(a_body_shorter_or_longer_than_announced_is_refused_and_leaves_the_old_object)
{
    static const struct {
        uint64_t len, announced;
    } cases[] = {{5, 6}, {0, 1}, {7, 6}, {1, 0}, {1048576, 1048577}, {1048577, 1048576}, {2000000, 10}};
    uint8_t *data = calloc(1, 2000000);
    prov_error err;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct memory_source state = {.data = data, .len = cases[i].len};
        prov_source source = memory_source(&state);
        EXPECT(PROV_E_INVALID, err,
               ops->put(store, &conform_call, "fresh", &source, cases[i].announced, NULL, NULL, &err));
        expect_none("fresh");
        EXPECT(PROV_OK, err, put_text("old", "old", NULL, NULL, &err));
        source.rewind(&state);
        EXPECT(PROV_E_INVALID, err, ops->put(store, &conform_call, "old", &source, cases[i].announced, NULL, NULL, &err));
        expect_text("old", "old");
        expect_count("", 1);
        EXPECT(PROV_OK, err, ops->del(store, &conform_call, "old", &err));
    }
    free(data);
}
END_TEST

START_TEST(a_source_that_fails_stops_the_put_with_its_code)
{
    prov_error err;
    struct memory_source state = {.data = (const uint8_t *)"abc", .len = 3, .fail_with = PROV_E_NETWORK};
    prov_source source = memory_source(&state);
    EXPECT(PROV_OK, err, put_text("k", "old", NULL, NULL, &err));
    EXPECT(PROV_E_NETWORK, err, ops->put(store, &conform_call, "k", &source, 6, NULL, NULL, &err));
    expect_text("k", "old");
    expect_count("", 1);
}
END_TEST

START_TEST(a_range_is_cut_at_the_end)
{
    static const struct {
        uint64_t offset, length;
        const char *want;
    } cases[] = {{0, 10, "0123456789"}, {0, UINT64_MAX, "0123456789"}, {3, 4, "3456"},   {9, 1, "9"},
                 {9, 100, "9"},         {10, 1, ""},                   {11, 5, ""},      {0, 0, ""},
                 {5, UINT64_MAX, "56789"}, {UINT64_MAX, UINT64_MAX, ""}, {4, UINT64_MAX - 1, "456789"}};
    prov_error err;
    EXPECT(PROV_OK, err, put_text("r", "0123456789", NULL, NULL, &err));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct memory_sink state = {0};
        prov_sink sink = memory_sink(&state);
        prov_object object = {.struct_size = sizeof object};
        EXPECT(PROV_OK, err,
               ops->get(store, &conform_call, "r", cases[i].offset, cases[i].length, &sink, &object, &err));
        ck_assert_uint_eq(state.len, strlen(cases[i].want));
        ck_assert(state.len == 0 || memcmp(state.data, cases[i].want, state.len) == 0);
        ck_assert_uint_eq(object.size_bytes, 10); /* of the object, not of the range */
        free(state.data);
    }
}
END_TEST

START_TEST(a_sink_that_stops_stops_the_get_with_its_code)
{
    prov_error err;
    uint8_t *data = calloc(1, 3000000);
    EXPECT(PROV_OK, err, put_bytes(store, "big", data, 3000000, NULL, NULL, &err));
    struct memory_sink state = {.stop_after = 10};
    prov_sink sink = memory_sink(&state);
    EXPECT(PROV_E_CANCELLED, err, ops->get(store, &conform_call, "big", 0, UINT64_MAX, &sink, NULL, &err));
    free(state.data);
    free(data);
}
END_TEST

START_TEST(keys_outside_the_contract_are_refused_by_every_op)
{
    char *long_key = calloc(1, 514);
    memset(long_key, 'a', 513);
    for (size_t i = 100; i < 513; i += 100)
        long_key[i] = '/';
    const char *keys[] = {"", "/", "/a", "a/", "a//b", ".", "..", "a/..", "../a", "a/../b", "a/./b", "./a", "a b", "a\\b",
                          "a\nb", "\xc3\xa4", "a%b", "a*b", "a?b", "~a", "a/../../etc/passwd", "a\x01", "@", long_key};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        prov_error err;
        prov_object object = {.struct_size = sizeof object};
        struct memory_sink state = {0};
        prov_sink sink = memory_sink(&state);
        EXPECT(PROV_E_INVALID, err, put_text(keys[i], "x", NULL, NULL, &err));
        ck_assert_int_eq(err.outcome, PROV_OUTCOME_PERMANENT);
        EXPECT(PROV_E_INVALID, err, ops->get(store, &conform_call, keys[i], 0, UINT64_MAX, &sink, NULL, &err));
        EXPECT(PROV_E_INVALID, err, ops->stat(store, &conform_call, keys[i], &object, &err));
        EXPECT(PROV_E_INVALID, err, ops->del(store, &conform_call, keys[i], &err));
        EXPECT(PROV_OK, err, put_text("good", "x", NULL, NULL, &err));
        EXPECT(PROV_E_INVALID, err, ops->copy(store, &conform_call, "good", keys[i], NULL, NULL, &err));
        EXPECT(PROV_E_INVALID, err, ops->copy(store, &conform_call, keys[i], "other", NULL, NULL, &err));
    }
    expect_count("", 1);
    free(long_key);
}
END_TEST

START_TEST(every_allowed_character_and_length_works_in_a_key)
{
    char *long_key = calloc(1, 513);
    memset(long_key, 'k', 512);
    long_key[200] = long_key[400] = '/';
    const char *keys[] = {"ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz/0123456789", "a._:+-", "-", "...", "..a",
                          ".hidden", "a/.b/..c/d", "x/y/z/x/y/z/x/y/z", "con", "12:00:00.123456Z-v1", long_key};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        prov_error err;
        EXPECT(PROV_OK, err, put_text(keys[i], keys[i], NULL, NULL, &err));
        expect_text(keys[i], keys[i]);
    }
    expect_count("", sizeof keys / sizeof *keys);
    free(long_key);
}
END_TEST

START_TEST(absent_creates_once_and_never_replaces)
{
    prov_error err;
    EXPECT(PROV_OK, err, put_text("a/b", "first", &absent, NULL, &err));
    EXPECT(PROV_E_EXISTS, err, put_text("a/b", "second", &absent, NULL, &err));
    ck_assert_int_eq(err.outcome, PROV_OUTCOME_NOT_APPLIED);
    expect_text("a/b", "first");
    EXPECT(PROV_OK, err, ops->del(store, &conform_call, "a/b", &err));
    EXPECT(PROV_OK, err, put_text("a/b", "third", &absent, NULL, &err));
    expect_text("a/b", "third");
}
END_TEST

START_TEST(match_replaces_only_the_state_that_was_seen)
{
    prov_error err;
    prov_object first = {.struct_size = sizeof first}, second = first;
    prov_precond precond = match((const char[128]){"none"});
    EXPECT(PROV_E_NOT_FOUND, err, put_text("h", "x", &precond, NULL, &err));
    expect_none("h");
    EXPECT(PROV_OK, err, put_text("h", "1", NULL, &first, &err));
    precond = match(first.etag);
    EXPECT(PROV_OK, err, put_text("h", "2", &precond, &second, &err));
    EXPECT(PROV_E_CONFLICT, err, put_text("h", "3", &precond, NULL, &err));
    ck_assert_int_eq(err.outcome, PROV_OUTCOME_NOT_APPLIED);
    expect_text("h", "2");
    precond = match(second.etag);
    EXPECT(PROV_OK, err, put_text("h", "4", &precond, NULL, &err));
    expect_text("h", "4");
}
END_TEST

START_TEST(the_etag_differs_after_each_replacement_even_by_the_same_bytes)
{
    enum { ROUNDS = 300 };
    static char seen[ROUNDS][128];
    prov_error err;
    for (int i = 0; i < ROUNDS; i++) {
        prov_object object = {.struct_size = sizeof object}, again = object;
        EXPECT(PROV_OK, err, put_text("e", "same", NULL, &object, &err));
        EXPECT(PROV_OK, err, ops->stat(store, &conform_call, "e", &again, &err));
        ck_assert_str_eq(object.etag, again.etag);
        for (int j = 0; j < i; j++)
            ck_assert_str_ne(object.etag, seen[j]);
        memcpy(seen[i], object.etag, 128);
    }
}
END_TEST

START_TEST(an_unknown_precondition_is_refused)
{
    prov_error err;
    prov_precond precond = {.struct_size = sizeof precond, .kind = 77};
    EXPECT(PROV_E_INVALID, err, put_text("p", "x", &precond, NULL, &err));
    expect_none("p");
}
END_TEST

START_TEST(del_deletes_and_says_when_there_was_nothing)
{
    prov_error err;
    EXPECT(PROV_E_NOT_FOUND, err, ops->del(store, &conform_call, "x/y", &err));
    EXPECT(PROV_OK, err, put_text("x/y", "1", NULL, NULL, &err));
    EXPECT(PROV_E_NOT_FOUND, err, ops->del(store, &conform_call, "x", &err));
    EXPECT(PROV_E_NOT_FOUND, err, ops->del(store, &conform_call, "x/y/z", &err));
    EXPECT(PROV_OK, err, ops->del(store, &conform_call, "x/y", &err));
    expect_none("x/y");
    expect_none("x");
    EXPECT(PROV_E_NOT_FOUND, err, ops->del(store, &conform_call, "x/y", &err));
    expect_count("", 0);
}
END_TEST

START_TEST(copy_copies_under_a_precondition)
{
    prov_error err;
    prov_object source = {.struct_size = sizeof source}, target = source, again = source;
    EXPECT(PROV_E_NOT_FOUND, err, ops->copy(store, &conform_call, "from", "to", NULL, NULL, &err));
    expect_none("to");
    EXPECT(PROV_OK, err, put_text("from", "body", NULL, &source, &err));
    EXPECT(PROV_OK, err, ops->copy(store, &conform_call, "from", "sub/to", &absent, &target, &err));
    expect_text("sub/to", "body");
    ck_assert_uint_eq(target.size_bytes, 4);
    EXPECT(PROV_E_EXISTS, err, ops->copy(store, &conform_call, "from", "sub/to", &absent, NULL, &err));
    EXPECT(PROV_OK, err, put_text("from", "other", NULL, NULL, &err));
    expect_text("sub/to", "body"); /* a copy is its own object */
    prov_precond precond = match(target.etag);
    EXPECT(PROV_OK, err, ops->copy(store, &conform_call, "from", "sub/to", &precond, &again, &err));
    ck_assert_str_ne(target.etag, again.etag);
    expect_text("sub/to", "other");
    EXPECT(PROV_E_CONFLICT, err, ops->copy(store, &conform_call, "from", "sub/to", &precond, NULL, &err));
    EXPECT(PROV_OK, err, ops->copy(store, &conform_call, "from", "sub/to", NULL, &target, &err));
    ck_assert_str_ne(target.etag, again.etag); /* replaced by the same bytes */
    for (int i = 0; i < 2; i++) {
        precond = match(target.etag);
        EXPECT(PROV_OK, err, ops->copy(store, &conform_call, "from", "sub/to", &precond, &again, &err));
        ck_assert_str_ne(target.etag, again.etag);
        target = again;
    }
    EXPECT(PROV_OK, err, ops->del(store, &conform_call, "from", &err));
    expect_text("sub/to", "other");
}
END_TEST

START_TEST(a_second_instance_sees_the_same_objects)
{
    prov_error err;
    if ((conform_provider()->capabilities & PROV_CAP_PERSISTENT) == 0)
        return;
    EXPECT(PROV_OK, err, put_text("kept", "body", NULL, NULL, &err));
    conform_destroy(store);
    store = conform_create();
    expect_text("kept", "body");
}
END_TEST

/* Calls that are over before they begin. */
static void expect_nothing_happens(const prov_call *call, int want)
{
    prov_error err;
    prov_object object = {.struct_size = sizeof object};
    struct memory_source source_state = {.data = (const uint8_t *)"new", .len = 3};
    struct memory_sink sink_state = {0};
    prov_source source = memory_source(&source_state);
    prov_sink sink = memory_sink(&sink_state);
    EXPECT(PROV_OK, err, put_text("k", "old", NULL, NULL, &err));
    EXPECT(want, err, ops->put(store, call, "k", &source, 3, NULL, NULL, &err));
    ck_assert_int_ne(err.outcome, PROV_OUTCOME_UNKNOWN);
    EXPECT(want, err, ops->get(store, call, "k", 0, UINT64_MAX, &sink, NULL, &err));
    EXPECT(want, err, ops->del(store, call, "k", &err));
    EXPECT(want, err, ops->copy(store, call, "k", "k2", NULL, NULL, &err));
    int rc = ops->stat(store, call, "k", &object, &err);
    ck_assert(rc == want || rc == PROV_OK); /* cheap ops may answer anyway */
    expect_text("k", "old");
    expect_none("k2");
    expect_count("", 1);
}

START_TEST(a_deadline_that_has_passed_is_honoured)
{
    prov_call call = conform_call;
    call.deadline_ns = conform_now_ns() - 1;
    expect_nothing_happens(&call, PROV_E_TIMEOUT);
}
END_TEST

START_TEST(a_cancelled_call_is_honoured)
{
    uint32_t cancel = 1;
    prov_call call = conform_call;
    call.cancel = &cancel;
    expect_nothing_happens(&call, PROV_E_CANCELLED);
}
END_TEST

/* A source that gives up its own call after some bytes. */
struct cancelling_source {
    uint32_t *cancel;
    uint64_t given;
};

static int32_t read_then_cancel(void *ctx, void *buf, uint64_t cap_bytes, uint64_t *ret_bytes)
{
    struct cancelling_source *state = ctx;
    memset(buf, 'x', cap_bytes);
    *ret_bytes = cap_bytes;
    state->given += cap_bytes;
    __atomic_store_n(state->cancel, 1, __ATOMIC_RELEASE);
    return state->given > (64u << 20) ? PROV_E_INTERNAL : PROV_OK;
}

START_TEST(a_put_cancelled_on_its_way_stops_soon_and_leaves_nothing)
{
    prov_error err;
    uint32_t cancel = 0;
    struct cancelling_source state = {.cancel = &cancel};
    prov_source source = {.struct_size = sizeof source, .ctx = &state, .read = read_then_cancel};
    prov_call call = conform_call;
    call.cancel = &cancel;
    EXPECT(PROV_E_CANCELLED, err, ops->put(store, &call, "k", &source, 1u << 30, NULL, NULL, &err));
    expect_none("k");
    expect_count("", 0);
}
END_TEST

void add_basic(Suite *suite)
{
    TCase *test_case = new_case(suite, "basic");
    tcase_add_test(test_case, the_descriptor_is_complete);
    tcase_add_test(test_case, what_is_put_is_got_back_byte_for_byte);
    tcase_add_test(test_case, a_source_may_give_its_bytes_in_small_pieces);
    tcase_add_test(test_case, a_body_shorter_or_longer_than_announced_is_refused_and_leaves_the_old_object);
    tcase_add_test(test_case, a_source_that_fails_stops_the_put_with_its_code);
    tcase_add_test(test_case, a_range_is_cut_at_the_end);
    tcase_add_test(test_case, a_sink_that_stops_stops_the_get_with_its_code);
    tcase_add_test(test_case, keys_outside_the_contract_are_refused_by_every_op);
    tcase_add_test(test_case, every_allowed_character_and_length_works_in_a_key);
    tcase_add_test(test_case, absent_creates_once_and_never_replaces);
    tcase_add_test(test_case, match_replaces_only_the_state_that_was_seen);
    tcase_add_test(test_case, the_etag_differs_after_each_replacement_even_by_the_same_bytes);
    tcase_add_test(test_case, an_unknown_precondition_is_refused);
    tcase_add_test(test_case, del_deletes_and_says_when_there_was_nothing);
    tcase_add_test(test_case, copy_copies_under_a_precondition);
    tcase_add_test(test_case, a_second_instance_sees_the_same_objects);
    tcase_add_test(test_case, a_deadline_that_has_passed_is_honoured);
    tcase_add_test(test_case, a_cancelled_call_is_honoured);
    tcase_add_test(test_case, a_put_cancelled_on_its_way_stops_soon_and_leaves_nothing);
}
