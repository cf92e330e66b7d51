/* test_options.c - options, secrets and the other host services. SPDX-License-Identifier: Apache-2.0 */
#include <sys/stat.h>

#include "plugin_bench.h"
#include "pv_log.h"
#include "pv_store.h"

static struct bench b;
static struct bench_spec s;

static void setup(void)
{
    bench_init(&b);
    bench_spec(&s, &b, "fx-store", "ok");
}

static void teardown(void)
{
    bench_done(&b);
}

static void add(const char *name, const char *value, const char *where)
{
    s.options[s.spec.n_options++] = (struct pv_plugin_option){name, value, where};
}

static int check(prov_error *err)
{
    memset(err, 0, sizeof *err);
    return pv_plugin_spec_check(b.plugins, &s.spec, err);
}

/* What create was given, one "name=value" a line. */
static char *given(const char *object)
{
    struct pv_store *store = NULL;
    struct psdk_buf buf = {0};
    prov_error err = {0};
    ck_assert_msg(pv_store_open(b.plugins, &s.spec, &store, &err) == PROV_OK, "%s", err.message);
    ck_assert_msg(pv_store_get(store, object, 8192, &buf, NULL, &err) == PROV_OK, "%s", err.message);
    pv_store_close(store);
    return psdk_buf_take(&buf);
}

START_TEST(values_reach_create_in_their_own_form)
{
    char want[400];
    add("wait", "1m30s", "c:1");
    add("part_size", "16MiB", "c:2");
    add("flag", "yes", "c:3");
    add("hosts", "b", "c:4");
    add("hosts", "a", "c:5");
    add("headers.Z-Last", "1", "c:6");
    char *all = given("options");
    ck_contains(all, "wait=90000000000\n");
    ck_contains(all, "part_size=16777216\n");
    ck_contains(all, "flag=true\n");
    ck_contains(all, "hosts=b\nhosts=a\n");
    ck_contains(all, "headers.Z-Last=1\n");
    ck_contains(all, "count=3\n");
    snprintf(want, sizeof want, "marker=%s\n", s.marker);
    ck_contains(all, want);
    free(all);
}
END_TEST

START_TEST(map_members_come_sorted_and_relative_paths_count_from_the_file)
{
    char want[400];
    s.options[1].value = "sub/m";
    add("headers.b", "2", "c:1");
    add("headers.a", "1", "c:2");
    add("count", "-0012", "c:3");
    add("plugin", "fx-store", "c:4");
    char *all = given("options");
    ck_contains(all, "headers.a=1\nheaders.b=2\n");
    ck_contains(all, "count=-12\n");
    snprintf(want, sizeof want, "marker=%s/sub/m\n", b.dir);
    ck_contains(all, want);
    ck_assert_ptr_null(strstr(all, "plugin="));
    free(all);
}
END_TEST

START_TEST(a_duration_keeps_its_default_in_nanoseconds)
{
    char *all = given("options");
    ck_contains(all, "wait=10000000000\n");
    ck_assert_ptr_null(strstr(all, "flag="));
    free(all);
}
END_TEST

static const struct {
    const char *name;
    const char *value;
    const char *says;
} wrong[] = {
    {"count", "12x", "option 'count': want a whole number, got '12x'"},
    {"count", "", "want a whole number"},
    {"count", "99999999999999999999", "want a whole number"},
    {"flag", "maybe", "want true or false, got 'maybe'"},
    {"wait", "10 parsecs", "want a duration"},
    {"part_size", "big", "want a size"},
    {"cuont", "3", "has no option 'cuont'; did you mean 'count'?"},
    {"zebra", "3", "has no option 'zebra'; `prov plugin info fx-store` lists them"},
    {"headers", "x", "option 'headers' is a map"},
    {"mode", "ok", "option 'mode' is given twice (first at prov.yaml:3:5)"},
};

START_TEST(a_wrong_option_is_named_with_its_place)
{
    prov_error err;
    add(wrong[_i].name, wrong[_i].value, "prov.yaml:9:7");
    ck_assert_int_eq(check(&err), PROV_E_CONFIG);
    ck_contains(err.message, wrong[_i].says);
    ck_contains(err.message, "prov.yaml:9:7: ");
    ck_assert_int_eq(err.outcome, PROV_OUTCOME_PERMANENT);
}
END_TEST

START_TEST(a_missing_required_option_is_named_with_its_meaning)
{
    prov_error err;
    s.spec.n_options = 0;
    ck_assert_int_eq(check(&err), PROV_E_CONFIG);
    ck_contains(err.message, "prov.yaml:2:1: fx-store needs option 'mode', a string: what is wrong with it");
}
END_TEST

START_TEST(a_secret_is_given_only_through_its_service_and_only_during_create)
{
    prov_error err = {0};
    struct pv_store *store = NULL;
    char want[400];
    add("token", "hunter2", "c:1");
    char *all = given("options");
    ck_assert_ptr_null(strstr(all, "hunter2"));
    free(all);
    all = given("facts");
    ck_contains(all, "secret=0:hunter2");
    ck_contains(all, "tight=-6");
    ck_contains(all, "other=0 clock=1");
    snprintf(want, sizeof want, "state=%s/store ", b.state);
    ck_contains(all, want);
    free(all);
    ck_assert_int_eq(pv_store_open(b.plugins, &s.spec, &store, &err), PROV_OK);
    ck_assert_int_eq(pv_store_probe(store, &err), PROV_E_DENIED);
    ck_contains(err.message, "only while create runs");
    pv_store_close(store);
}
END_TEST

START_TEST(an_unset_secret_and_a_missing_state_folder_are_said)
{
    s.spec.state_key = NULL;
    char *all = given("facts");
    ck_contains(all, "secret=-8:");
    ck_contains(all, "state=none");
    free(all);
}
END_TEST

START_TEST(a_state_folder_is_private_and_kept)
{
    struct stat st;
    char path[400];
    free(given("facts"));
    snprintf(path, sizeof path, "%s/store", b.state);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0700);
    struct pv_store *store = NULL;
    prov_error err = {0};
    s.spec.state_key = "../out";
    ck_assert_int_eq(pv_store_open(b.plugins, &s.spec, &store, &err), PROV_E_INVALID);
}
END_TEST

static char logged[4096];
static void keep_log(void *ctx, int level, const char *message)
{
    size_t len = strlen(logged);
    (void)ctx;
    snprintf(logged + len, sizeof logged - len, "%d %s|", level, message);
}

START_TEST(what_a_plugin_logs_carries_its_name)
{
    logged[0] = '\0';
    pv_log_set(keep_log, NULL, PROV_LOG_INFO);
    free(given("facts"));
    pv_log_set(NULL, NULL, 0);
    ck_contains(logged, "2 fx-store: created|");
}
END_TEST

START_TEST(a_create_that_fails_keeps_its_own_message_and_outcome)
{
    struct pv_store *store = NULL;
    prov_error err = {0};
    s.options[0].value = "create-fails";
    ck_assert_int_eq(pv_store_open(b.plugins, &s.spec, &store, &err), PROV_E_CONFIG);
    ck_assert_str_eq(err.message, "prov.yaml:2:1: fx-store: count must be even");
    ck_assert_int_eq(err.outcome, PROV_OUTCOME_PERMANENT);
    s.options[0].value = "no-instance";
    ck_assert_int_eq(pv_store_open(b.plugins, &s.spec, &store, &err), PROV_E_PLUGIN);
    ck_contains(err.message, "gave no instance");
    ck_assert_ptr_null(store);
}
END_TEST

START_TEST(a_create_that_sleeps_past_its_limit_is_given_up)
{
    struct pv_store *store = NULL;
    prov_error err = {0};
    s.options[0].value = "slow-create";
    s.spec.timeout_ns = 100 * BENCH_MS;
    bench_touch(s.marker);
    ck_assert_int_eq(pv_store_open(b.plugins, &s.spec, &store, &err), PROV_E_TIMEOUT);
    ck_contains(err.message, "create did not return by its deadline");
    ck_assert_ptr_null(store);
    ck_assert_int_eq(access(s.marker, F_OK), 0);
    usleep(1900000); /* the late return finds its frame and its host alive, and what it made is destroyed */
    ck_assert_int_ne(access(s.marker, F_OK), 0);
    s.options[0].value = "ok";
    ck_assert_int_eq(pv_store_open(b.plugins, &s.spec, &store, &err), PROV_OK);
    pv_store_close(store);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("options");
    TCase *tc = tcase_create("options");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, values_reach_create_in_their_own_form);
    tcase_add_test(tc, map_members_come_sorted_and_relative_paths_count_from_the_file);
    tcase_add_test(tc, a_duration_keeps_its_default_in_nanoseconds);
    tcase_add_loop_test(tc, a_wrong_option_is_named_with_its_place, 0, (int)(sizeof wrong / sizeof wrong[0]));
    tcase_add_test(tc, a_missing_required_option_is_named_with_its_meaning);
    tcase_add_test(tc, a_secret_is_given_only_through_its_service_and_only_during_create);
    tcase_add_test(tc, an_unset_secret_and_a_missing_state_folder_are_said);
    tcase_add_test(tc, a_state_folder_is_private_and_kept);
    tcase_add_test(tc, what_a_plugin_logs_carries_its_name);
    tcase_add_test(tc, a_create_that_fails_keeps_its_own_message_and_outcome);
    tcase_add_test(tc, a_create_that_sleeps_past_its_limit_is_given_up);
    suite_add_tcase(suite, tc);
    return bench_run(suite);
}
