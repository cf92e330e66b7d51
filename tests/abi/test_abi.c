/* test_abi.c - plugins of the frozen and of a later minor on today's host. SPDX-License-Identifier: Apache-2.0 */
#include "plugin_bench.h"
#include "pv_store.h"

static struct bench b;
static struct bench_spec s;
static struct pv_store *store;
static prov_error err;

static void setup(void)
{
    bench_init(&b);
    memset(&err, 0, sizeof err);
}

static void teardown(void)
{
    pv_store_close(store);
    store = NULL;
    bench_done(&b);
}

static int keep_key(void *ctx, const prov_list_entry *entry)
{
    snprintf(ctx, 64, "%s", entry->key);
    return PROV_OK;
}

START_TEST(a_plugin_of_a_later_minor_works)
{
    prov_object o = {0};
    struct psdk_buf buf = {0};
    char key[64] = "";
    ck_assert_msg(pv_store_open(b.plugins, bench_spec(&s, &b, "future-plugin", NULL), &store, &err) == PROV_OK, "%s",
                  err.message);
    ck_assert_msg(pv_store_put(store, "k", "v", 1, NULL, &o, &err) == PROV_OK, "%s", err.message);
    ck_assert_str_eq(o.etag, "future");
    ck_assert_int_eq(pv_store_get(store, "k", 10, &buf, &o, &err), PROV_OK);
    ck_assert_str_eq(psdk_buf_str(&buf), "future");
    ck_assert_int_eq(pv_store_list(store, "", keep_key, key, &err), PROV_OK);
    ck_assert_str_eq(key, "a/future");
    ck_assert_int_eq(pv_store_probe(store, &err), PROV_OK);
    ck_assert(pv_store_capabilities(store) >> 63);
    psdk_buf_done(&buf);
}
END_TEST

START_TEST(what_a_later_minor_adds_is_listed)
{
    json_t *info = pv_plugin_info(b.plugins, "future-plugin", &err);
    ck_assert_msg(info != NULL, "%s", err.message);
    ck_assert_str_eq(json_string_value(json_object_get(info, "abi")), "1.7");
    const json_t *p = json_array_get(json_object_get(info, "providers"), 0);
    ck_assert_str_eq(json_string_value(json_object_get(p, "role")), "prov.telepathy/3");
    ck_assert(json_is_false(json_object_get(p, "known")));
    p = json_array_get(json_object_get(info, "providers"), 1);
    ck_assert_str_eq(json_string_value(json_array_get(json_object_get(p, "capabilities"), 1)), "bit-30");
    ck_assert_str_eq(json_string_value(json_array_get(json_object_get(p, "capabilities"), 2)), "bit-63");
    json_decref(info);
}
END_TEST

START_TEST(a_plugin_built_from_the_frozen_header_works)
{
    struct psdk_buf buf = {0};
    ck_assert_msg(pv_store_open(b.plugins, bench_spec(&s, &b, "frozen-1-0", "ok"), &store, &err) == PROV_OK, "%s",
                  err.message);
    ck_assert_int_eq(pv_store_put(store, "k", "value", 5, NULL, NULL, &err), PROV_OK);
    ck_assert_int_eq(pv_store_get(store, "k", 10, &buf, NULL, &err), PROV_OK);
    ck_assert_str_eq(psdk_buf_str(&buf), "value");
    psdk_buf_done(&buf);
}
END_TEST

START_TEST(what_the_frozen_minor_does_not_have_is_a_stub)
{
    prov_put_item item = {sizeof item, 0, "k", "v", 1};
    ck_assert_int_eq(pv_store_open(b.plugins, bench_spec(&s, &b, "frozen-1-0", "ok"), &store, &err), PROV_OK);
    ck_assert_int_eq(pv_store_put_many(store, &item, 1, &err), PROV_OK); /* by put */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("abi");
    TCase *tc = tcase_create("abi");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_plugin_of_a_later_minor_works);
    tcase_add_test(tc, what_a_later_minor_adds_is_listed);
    tcase_add_test(tc, a_plugin_built_from_the_frozen_header_works);
    tcase_add_test(tc, what_the_frozen_minor_does_not_have_is_a_stub);
    suite_add_tcase(suite, tc);
    return bench_run(suite);
}
