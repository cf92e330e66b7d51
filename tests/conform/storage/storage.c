/* storage.c - conformance suite of prov.storage/1: helpers and main.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * storage PLUGIN.so [OPTION=VALUE ...]: runs on any backend, straight through the ABI. Optional ops are skipped where
 * the table has none. Each test has a fresh {dir}.
 */
#include "storage.h"

#include <stdlib.h>

void *store;
const prov_storage_ops *ops;
const prov_precond absent = {.struct_size = sizeof absent, .kind = PROV_PRECOND_ABSENT};

prov_precond match(const char *etag)
{
    prov_precond precond = {.struct_size = sizeof precond, .kind = PROV_PRECOND_MATCH};
    memcpy(precond.etag, etag, sizeof precond.etag);
    return precond;
}

static int32_t read_memory(void *ctx, void *buf, uint64_t cap_bytes, uint64_t *ret_bytes)
{
    struct memory_source *state = ctx;
    uint64_t n = state->len - state->at;
    n = n < cap_bytes ? n : cap_bytes;
    n = state->step > 0 && n > state->step ? state->step : n;
    *ret_bytes = n;
    if (n == 0)
        return state->fail_with;
    memcpy(buf, state->data + state->at, n);
    state->at += n;
    return PROV_OK;
}

static int32_t rewind_memory(void *ctx)
{
    ((struct memory_source *)ctx)->at = 0;
    return PROV_OK;
}

prov_source memory_source(struct memory_source *state)
{
    return (prov_source){.struct_size = sizeof(prov_source), .ctx = state, .read = read_memory, .rewind = rewind_memory};
}

static int32_t write_memory(void *ctx, const void *data, uint64_t size_bytes)
{
    struct memory_sink *state = ctx;
    if (state->stop_after > 0 && state->len + size_bytes > state->stop_after)
        return PROV_E_CANCELLED;
    state->data = realloc(state->data, state->len + size_bytes + 1);
    if (size_bytes > 0)
        memcpy(state->data + state->len, data, size_bytes);
    state->len += size_bytes;
    return PROV_OK;
}

prov_sink memory_sink(struct memory_sink *state)
{
    return (prov_sink){.struct_size = sizeof(prov_sink), .ctx = state, .write = write_memory};
}

int put_bytes(void *instance, const char *key, const void *data, uint64_t len, const prov_precond *precond,
              prov_object *ret_object, prov_error *err)
{
    struct memory_source state = {.data = data, .len = len};
    prov_source source = memory_source(&state);
    return ops->put(instance, &conform_call, key, &source, len, precond, ret_object, err);
}

int put_text(const char *key, const char *text, const prov_precond *precond, prov_object *ret_object, prov_error *err)
{
    return put_bytes(store, key, text, strlen(text), precond, ret_object, err);
}

void expect_bytes(const char *key, const void *data, uint64_t len)
{
    prov_error err;
    prov_object from_get = {.struct_size = sizeof from_get}, from_stat = {.struct_size = sizeof from_stat};
    struct memory_sink state = {0};
    prov_sink sink = memory_sink(&state);
    EXPECT(PROV_OK, err, ops->get(store, &conform_call, key, 0, UINT64_MAX, &sink, &from_get, &err));
    ck_assert_msg(state.len == len && (len == 0 || memcmp(state.data, data, len) == 0), "%s: other bytes", key);
    EXPECT(PROV_OK, err, ops->stat(store, &conform_call, key, &from_stat, &err));
    ck_assert_uint_eq(from_get.size_bytes, len);
    ck_assert_uint_eq(from_stat.size_bytes, len);
    ck_assert_str_eq(from_get.etag, from_stat.etag);
    ck_assert_str_ne(from_get.etag, "");
    free(state.data);
}

void expect_text(const char *key, const char *text)
{
    expect_bytes(key, text, strlen(text));
}

void expect_none(const char *key)
{
    prov_error err;
    prov_object object = {.struct_size = sizeof object};
    struct memory_sink state = {0};
    prov_sink sink = memory_sink(&state);
    EXPECT(PROV_E_NOT_FOUND, err, ops->stat(store, &conform_call, key, &object, &err));
    EXPECT(PROV_E_NOT_FOUND, err, ops->get(store, &conform_call, key, 0, UINT64_MAX, &sink, NULL, &err));
    ck_assert_uint_eq(state.len, 0);
}

static int32_t count_entry(void *ctx, const prov_list_entry *entry)
{
    (void)entry;
    ++*(unsigned *)ctx;
    return PROV_OK;
}

void expect_count(const char *prefix, unsigned n)
{
    unsigned seen = 0;
    int32_t more = -1;
    prov_error err;
    prov_list_emit emit = {.struct_size = sizeof emit, .ctx = &seen, .entry = count_entry};
    EXPECT(PROV_OK, err, ops->list(store, &conform_call, prefix, "", 1000, &emit, &more, &err));
    ck_assert_uint_eq(seen, n);
    ck_assert_int_eq(more, 0);
}

static void set_up(void)
{
    conform_dir_make();
    ops = conform_provider()->ops;
    store = conform_create();
}

static void tear_down(void)
{
    conform_destroy(store);
    conform_dir_remove();
}

TCase *new_case(Suite *suite, const char *name)
{
    TCase *test_case = tcase_create(name);
    tcase_add_checked_fixture(test_case, set_up, tear_down);
    tcase_set_timeout(test_case, 120);
    suite_add_tcase(suite, test_case);
    return test_case;
}

int main(int argc, char **argv)
{
    if (!conform_load(argc, argv, PROV_ROLE_STORAGE))
        return 1;
    Suite *suite = suite_create("storage");
    add_basic(suite);
    add_list(suite);
    add_race(suite);
    add_optional(suite);
    if (strcmp(conform_provider()->name, "storage-local") == 0)
        add_local(suite);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
