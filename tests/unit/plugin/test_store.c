/* test_store.c - the storage wrapper: bodies, listings, retries, lies. SPDX-License-Identifier: Apache-2.0 */
#include "plugin_bench.h"
#include "pv_instance.h"
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

static void open_with(const char *driver, const char *mode)
{
    ck_assert_msg(pv_store_open(b.plugins, bench_spec(&s, &b, driver, mode), &store, &err) == PROV_OK, "%s",
                  err.message);
}

static void put_ok(const char *key, const char *text)
{
    ck_assert_msg(pv_store_put(store, key, text, strlen(text), NULL, NULL, &err) == PROV_OK, "%s", err.message);
}

static const char *const both[] = {"fx-store", "fx-store-mt"};

/* ---- whole objects ----------------------------------------------------------------------------------------------- */
START_TEST(what_was_put_is_got)
{
    struct psdk_buf buf = {0};
    prov_object put = {0};
    prov_object got = {0};
    open_with(both[_i], "ok");
    ck_assert_int_eq(pv_store_put(store, "a/b", "hello, world", 12, NULL, &put, &err), PROV_OK);
    psdk_buf_adds(&buf, "> ");
    ck_assert_int_eq(pv_store_get(store, "a/b", 12, &buf, &got, &err), PROV_OK);
    ck_assert_str_eq(psdk_buf_str(&buf), "> hello, world");
    ck_assert_uint_eq(got.size_bytes, 12);
    ck_assert_str_eq(got.etag, put.etag);
    ck_assert_uint_eq(got.struct_size, sizeof got);
    ck_assert_int_eq(pv_store_put(store, "empty", NULL, 0, NULL, NULL, &err), PROV_OK);
    ck_assert_int_eq(pv_store_get(store, "empty", 0, &buf, &got, &err), PROV_OK);
    ck_assert_uint_eq(got.size_bytes, 0);
    psdk_buf_done(&buf);
}
END_TEST

START_TEST(an_object_over_the_ceiling_leaves_the_buffer_as_it_was)
{
    struct psdk_buf buf = {0};
    open_with("fx-store", "ok");
    put_ok("k", "0123456789012345678901234567890123456789");
    psdk_buf_adds(&buf, "before");
    ck_assert_int_eq(pv_store_get(store, "k", 20, &buf, NULL, &err), PROV_E_LIMIT);
    ck_contains(err.message, "object 'k' is larger than 20 bytes");
    ck_assert_uint_eq(buf.len, 6);
    ck_assert_int_eq(pv_store_get(store, "nothing", 20, &buf, NULL, &err), PROV_E_NOT_FOUND);
    ck_assert_uint_eq(buf.len, 6);
    psdk_buf_done(&buf);
}
END_TEST

START_TEST(preconditions_reach_the_backend)
{
    prov_precond absent = {sizeof absent, PROV_PRECOND_ABSENT, ""};
    prov_precond match = {sizeof match, PROV_PRECOND_MATCH, ""};
    prov_object o = {0};
    open_with("fx-store", "ok");
    ck_assert_int_eq(pv_store_put(store, "k", "1", 1, &absent, &o, &err), PROV_OK);
    ck_assert_int_eq(pv_store_put(store, "k", "2", 1, &absent, NULL, &err), PROV_E_EXISTS);
    memcpy(match.etag, o.etag, sizeof match.etag);
    ck_assert_int_eq(pv_store_put(store, "k", "2", 1, &match, &o, &err), PROV_OK);
    ck_assert_int_eq(pv_store_put(store, "k", "3", 1, &match, &o, &err), PROV_E_CONFLICT);
    ck_assert_int_eq(pv_store_copy(store, "k", "l", &absent, &o, &err), PROV_OK);
    ck_assert_int_eq(pv_store_copy(store, "k", "l", &absent, &o, &err), PROV_E_EXISTS);
    ck_assert_int_eq(pv_store_del(store, "k", &err), PROV_OK);
    ck_assert_int_eq(pv_store_del(store, "k", &err), PROV_E_NOT_FOUND);
    ck_assert_int_eq(pv_store_stat(store, "k", &o, &err), PROV_E_NOT_FOUND);
}
END_TEST

START_TEST(bad_keys_never_reach_the_backend)
{
    static const char *const bad[] = {"", "/a", "a/", "a//b", ".", "a/..", "../a", "a b", "a\\b", "\xc3\xa9", "a\n"};
    static const char *const good[] = {"a", "a/b.c", "...", "a/.b", "x:y+z-1_2", "..a/b.."};
    char longest[600];
    open_with("fx-store", "ok");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ck_assert_int_eq(pv_store_key_check(bad[i], &err), PROV_E_INVALID);
        ck_assert_int_eq(pv_store_put(store, bad[i], "x", 1, NULL, NULL, &err), PROV_E_INVALID);
        ck_assert_int_eq(pv_store_stat(store, bad[i], NULL, NULL), PROV_E_INVALID);
    }
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        put_ok(good[i], "x");
    memset(longest, 'k', sizeof longest);
    longest[513] = '\0';
    ck_assert_int_eq(pv_store_key_check(longest, &err), PROV_E_INVALID);
    longest[512] = '\0';
    put_ok(longest, "x");
}
END_TEST

/* ---- streams ----------------------------------------------------------------------------------------------------- */
struct feed {
    const char *data;
    size_t len;
    size_t at;
    int rewinds;
};

static int32_t feed_read(void *ctx, void *buf, uint64_t cap_bytes, uint64_t *ret_bytes)
{
    struct feed *f = ctx;
    size_t n = f->len - f->at < cap_bytes ? f->len - f->at : (size_t)cap_bytes;
    n = n > 3 ? 3 : n;
    memcpy(buf, f->data + f->at, n);
    f->at += n;
    *ret_bytes = n;
    return PROV_OK;
}

static int32_t feed_rewind(void *ctx)
{
    struct feed *f = ctx;
    f->at = 0;
    f->rewinds++;
    return PROV_OK;
}

static int32_t collect(void *ctx, const void *data, uint64_t size_bytes)
{
    return psdk_buf_add(ctx, data, (size_t)size_bytes);
}

static int32_t refuse(void *ctx, const void *data, uint64_t size_bytes)
{
    (void)ctx, (void)data, (void)size_bytes;
    return PROV_E_NOSPACE;
}

START_TEST(streams_go_both_ways)
{
    struct feed feed = {"the quick brown fox", 19, 0, 0};
    prov_source source = {sizeof source, 0, &feed, feed_read, feed_rewind};
    struct psdk_buf buf = {0};
    prov_sink sink = {sizeof sink, 0, &buf, collect};
    prov_object o = {0};
    open_with("fx-store", "ok");
    ck_assert_msg(pv_store_put_stream(store, "fox", &source, 19, NULL, NULL, &err) == PROV_OK, "%s", err.message);
    ck_assert_int_eq(pv_store_get_stream(store, "fox", 4, 5, &sink, &o, &err), PROV_OK);
    ck_assert_str_eq(psdk_buf_str(&buf), "quick");
    ck_assert_uint_eq(o.size_bytes, 19);
    psdk_buf_clear(&buf);
    ck_assert_int_eq(pv_store_get_stream(store, "fox", 16, UINT64_MAX, &sink, &o, &err), PROV_OK);
    ck_assert_str_eq(psdk_buf_str(&buf), "fox");
    psdk_buf_clear(&buf);
    ck_assert_int_eq(pv_store_get_stream(store, "fox", 100, 5, &sink, &o, &err), PROV_OK);
    ck_assert_uint_eq(buf.len, 0);
    psdk_buf_done(&buf);
}
END_TEST

START_TEST(a_body_of_the_wrong_length_is_refused)
{
    struct feed feed = {"12345", 5, 0, 0};
    prov_source source = {sizeof source, 0, &feed, feed_read, NULL};
    open_with("fx-store", "ok");
    ck_assert_int_eq(pv_store_put_stream(store, "k", &source, 9, NULL, NULL, &err), PROV_E_INVALID);
    feed.at = 0;
    ck_assert_int_eq(pv_store_put_stream(store, "k", &source, 3, NULL, NULL, &err), PROV_E_INVALID);
    ck_assert_int_eq(pv_store_stat(store, "k", NULL, &err), PROV_E_NOT_FOUND);
}
END_TEST

START_TEST(a_sink_that_refuses_decides_the_result)
{
    prov_sink sink = {sizeof sink, 0, NULL, refuse};
    open_with("fx-store", _i == 0 ? "ok" : "deaf");
    ck_assert_int_eq(pv_store_get_stream(store, "options", 0, UINT64_MAX, &sink, NULL, &err), PROV_E_NOSPACE);
    ck_assert_int_eq(err.code, PROV_E_NOSPACE);
    ck_assert(!pv_store_open_breaker(store));
}
END_TEST

/* ---- many -------------------------------------------------------------------------------------------------------- */
START_TEST(many_objects_are_stored_and_read_together)
{
    enum { N = 50 };
    char keys[N][16];
    const char *names[N + 1];
    prov_put_item items[N];
    struct psdk_buf bufs[N + 1];
    int codes[N + 1];
    memset(bufs, 0, sizeof bufs);
    open_with(both[_i], "ok");
    for (int i = 0; i < N; i++) {
        snprintf(keys[i], sizeof keys[i], "m/%03d", i);
        names[i] = keys[i];
        items[i] = (prov_put_item){sizeof items[i], 0, keys[i], keys[i], (uint64_t)i % 6};
    }
    names[N] = "m/none";
    ck_assert_msg(pv_store_put_many(store, items, N, &err) == PROV_OK, "%s", err.message);
    ck_assert_msg(pv_store_get_many(store, names, N + 1, 100, bufs, codes, &err) == PROV_OK, "%s", err.message);
    for (int i = 0; i < N; i++) {
        ck_assert_int_eq(codes[i], PROV_OK);
        ck_assert_uint_eq(bufs[i].len, (size_t)i % 6);
        ck_assert_int_eq(memcmp(bufs[i].data != NULL ? bufs[i].data : (uint8_t *)keys[i], keys[i], bufs[i].len), 0);
        psdk_buf_clear(&bufs[i]);
    }
    ck_assert_int_eq(codes[N], PROV_E_NOT_FOUND);
    ck_assert_int_eq(pv_store_get_many(store, names, N + 1, 2, bufs, codes, &err), PROV_E_LIMIT);
    ck_assert_int_eq(codes[0], PROV_OK);
    ck_assert_int_eq(codes[3], PROV_E_LIMIT);
    for (int i = 0; i <= N; i++)
        psdk_buf_done(&bufs[i]);
    items[7].key = "../x";
    ck_assert_int_eq(pv_store_put_many(store, items, N, &err), PROV_E_INVALID);
    ck_assert_int_eq(pv_store_put_many(store, NULL, 0, &err), PROV_OK);
}
END_TEST

struct listing {
    int n;
    char last[64];
    int stop_at;
};

static int count_entry(void *ctx, const prov_list_entry *entry)
{
    struct listing *l = ctx;
    ck_assert_int_gt(strcmp(entry->key, l->last), 0);
    snprintf(l->last, sizeof l->last, "%s", entry->key);
    l->n++;
    /* The caller may use the store while it lists. */
    if (l->n == 1)
        ck_assert_int_eq(pv_store_stat(store, entry->key, NULL, NULL), PROV_OK);
    return l->n == l->stop_at ? PROV_E_CANCELLED : PROV_OK;
}

START_TEST(a_listing_goes_over_many_pages_in_order)
{
    enum { N = 2300 };
    char key[32];
    struct listing l = {0};
    open_with("fx-store-mt", "ok");
    for (int i = 0; i < N; i++) {
        snprintf(key, sizeof key, "p/%05d", (i * 7919) % N);
        put_ok(key, "x");
    }
    ck_assert_msg(pv_store_list(store, "p/", count_entry, &l, &err) == PROV_OK, "%s", err.message);
    ck_assert_int_eq(l.n, N);
    l = (struct listing){.stop_at = 5};
    ck_assert_int_eq(pv_store_list(store, "p/", count_entry, &l, &err), PROV_E_CANCELLED);
    ck_assert_int_eq(l.n, 5);
    l = (struct listing){0};
    ck_assert_int_eq(pv_store_list(store, "none/", count_entry, &l, &err), PROV_OK);
    ck_assert_int_eq(l.n, 0);
}
END_TEST

/* ---- lies -------------------------------------------------------------------------------------------------------- */
static const struct {
    const char *mode;
    const char *says;
} liars[] = {
    {"list-disorder", "list emitted a key out of order"},
    {"list-endless", "says that there is more after an empty page"},
    {"overrun-more", "list wrote past the end of ret_more"},
};

START_TEST(a_listing_that_lies_is_refused)
{
    struct listing l = {0};
    open_with("fx-store", liars[_i].mode);
    const char *prefix = strcmp(liars[_i].mode, "list-endless") == 0 ? "none/" : "";
    ck_assert_int_eq(pv_store_list(store, prefix, count_entry, &l, &err), PROV_E_PLUGIN);
    ck_contains(err.message, liars[_i].says);
    ck_assert_int_eq(l.n, 0);
}
END_TEST

START_TEST(a_listing_that_floods_is_cut)
{
    char key[16];
    struct listing l = {0};
    open_with("fx-store", "list-flood");
    for (int i = 0; i < 1100; i++) {
        snprintf(key, sizeof key, "f/%04d", i);
        put_ok(key, "x");
    }
    ck_assert_int_eq(pv_store_list(store, "f/", count_entry, &l, &err), PROV_E_PLUGIN);
    ck_contains(err.message, "more keys than the limit");
}
END_TEST

START_TEST(a_put_that_did_not_read_its_body_is_found_out)
{
    open_with("fx-store", "put-lie");
    ck_assert_int_eq(pv_store_put(store, "k", "12345", 5, NULL, NULL, &err), PROV_E_PLUGIN);
    ck_contains(err.message, "put 'k' said OK after it read 0 of 5 bytes");
    ck_assert_int_eq(err.outcome, PROV_OUTCOME_UNKNOWN);
}
END_TEST

START_TEST(a_get_that_sends_too_much_or_too_little_is_found_out)
{
    struct psdk_buf buf = {0};
    prov_sink sink = {sizeof sink, 0, &buf, collect};
    open_with("fx-store", "get-more");
    put_ok("k", "0123456789");
    ck_assert_int_eq(pv_store_get_stream(store, "k", 0, 8, &sink, NULL, &err), PROV_E_PLUGIN);
    ck_contains(err.message, "sent more than the 8 bytes asked for");
    ck_assert_uint_le(buf.len, 8);
    pv_store_close(store);
    open_with("fx-store", "get-less");
    put_ok("k", "0123456789");
    psdk_buf_clear(&buf);
    ck_assert_int_eq(pv_store_get(store, "k", 100, &buf, NULL, &err), PROV_E_PLUGIN);
    ck_contains(err.message, "sent 9 bytes, want 10");
    ck_assert_uint_eq(buf.len, 0);
    psdk_buf_done(&buf);
}
END_TEST

/* ---- retries ----------------------------------------------------------------------------------------------------- */
START_TEST(what_certainly_did_not_happen_is_tried_again)
{
    struct feed feed = {"abc", 3, 0, 0};
    prov_source source = {sizeof source, 0, &feed, feed_read, feed_rewind};
    open_with("fx-store", _i == 0 ? "network-2" : "busy-1");
    ck_assert_msg(pv_store_put_stream(store, "k", &source, 3, NULL, NULL, &err) == PROV_OK, "%s", err.message);
    ck_assert_int_eq(err.code, 0);
    pv_store_close(store);
    open_with("fx-store", _i == 0 ? "network-2" : "busy-1");
    ck_assert_msg(pv_store_stat(store, "options", NULL, &err) == PROV_OK, "%s", err.message);
    pv_store_close(store);
    open_with("fx-store-mt", _i == 0 ? "network-2" : "busy-1");
    prov_put_item item = {sizeof item, 0, "k", "v", 1};
    ck_assert_msg(pv_store_put_many(store, &item, 1, &err) == PROV_OK, "%s", err.message);
}
END_TEST

START_TEST(what_may_have_happened_is_handed_up_at_once)
{
    open_with("fx-store", "network-unset");
    uint64_t start = psdk_monotonic_ns();
    ck_assert_int_eq(pv_store_put(store, "k", "v", 1, NULL, NULL, &err), PROV_E_NETWORK);
    ck_assert_int_eq(err.outcome, PROV_OUTCOME_UNKNOWN);
    ck_assert_uint_lt(psdk_monotonic_ns() - start, 24 * BENCH_MS); /* no backoff, which is 25 ms at least */
}
END_TEST

START_TEST(retries_end_at_the_deadline)
{
    struct pv_call_limits limits = {.timeout_ns = 60 * BENCH_MS, .breaker_failures = 100};
    open_with("fx-store", "network");
    pv_instance_limit(pv_store_instance(store), &limits);
    uint64_t start = psdk_monotonic_ns();
    ck_assert_int_eq(pv_store_stat(store, "options", NULL, &err), PROV_E_NETWORK);
    ck_assert_uint_lt(psdk_monotonic_ns() - start, 300 * BENCH_MS);
}
END_TEST

START_TEST(destroy_is_called_at_close)
{
    open_with("fx-store", "tell-destroy");
    bench_touch(s.marker);
    pv_store_close(store);
    store = NULL;
    ck_assert_int_ne(access(s.marker, F_OK), 0);
}
END_TEST

START_TEST(facts_of_a_store)
{
    open_with("fx-store-mt", "ok");
    ck_assert_str_eq(pv_store_name(store), "fx-store-mt");
    ck_assert_uint_eq(pv_store_capabilities(store), PROV_CAP_EPHEMERAL | PROV_CAP_THREADSAFE);
    ck_assert(!pv_store_open_breaker(store));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store");
    TCase *tc = tcase_create("store");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 30);
    tcase_add_loop_test(tc, what_was_put_is_got, 0, 2);
    tcase_add_test(tc, an_object_over_the_ceiling_leaves_the_buffer_as_it_was);
    tcase_add_test(tc, preconditions_reach_the_backend);
    tcase_add_test(tc, bad_keys_never_reach_the_backend);
    tcase_add_test(tc, streams_go_both_ways);
    tcase_add_test(tc, a_body_of_the_wrong_length_is_refused);
    tcase_add_loop_test(tc, a_sink_that_refuses_decides_the_result, 0, 2);
    tcase_add_loop_test(tc, many_objects_are_stored_and_read_together, 0, 2);
    tcase_add_test(tc, a_listing_goes_over_many_pages_in_order);
    tcase_add_loop_test(tc, a_listing_that_lies_is_refused, 0, (int)(sizeof liars / sizeof liars[0]));
    tcase_add_test(tc, a_listing_that_floods_is_cut);
    tcase_add_test(tc, a_put_that_did_not_read_its_body_is_found_out);
    tcase_add_test(tc, a_get_that_sends_too_much_or_too_little_is_found_out);
    tcase_add_loop_test(tc, what_certainly_did_not_happen_is_tried_again, 0, 2);
    tcase_add_test(tc, what_may_have_happened_is_handed_up_at_once);
    tcase_add_test(tc, retries_end_at_the_deadline);
    tcase_add_test(tc, destroy_is_called_at_close);
    tcase_add_test(tc, facts_of_a_store);
    suite_add_tcase(suite, tc);
    return bench_run(suite);
}
