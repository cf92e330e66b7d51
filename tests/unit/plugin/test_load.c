/* test_load.c - finding, checking and loading files. SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

#include "plugin_bench.h"
#include "psdk_hash.h"
#include "pv_log.h"

static struct bench b;

static void setup(void)
{
    bench_init(&b);
}

static void teardown(void)
{
    bench_done(&b);
}

static int try_load(const char *driver, prov_error *err)
{
    struct bench_spec s;
    memset(err, 0, sizeof *err);
    return pv_plugin_spec_check(b.plugins, bench_spec(&s, &b, driver, "ok"), err);
}

static void the_host_lives(void)
{
    prov_error err;
    ck_assert_msg(try_load("fx-store", &err) == PROV_OK, "%s", err.message);
}

/* Each bad plugin gives one clear error, that names the configuration's place and the file, and the host goes on. */
static const struct {
    const char *driver;
    int code;
    const char *says;
} bad[] = {
    {"fx-no-symbol", PROV_E_PLUGIN, "exports no 'prov_plugin_v1': it is not a plugin"},
    {"fx-dependent", PROV_E_PLUGIN, "exports no 'prov_plugin_v1' itself, only a library that it needs does"},
    {"fx-major-two", PROV_E_PLUGIN, "made for plugin ABI 2; this host has ABI 1"},
    {"fx-size-zero", PROV_E_PLUGIN, "prov_plugin_v1: struct_size is 0"},
    {"fx-size-huge", PROV_E_PLUGIN, "struct_size is 4294967280"},
    {"fx-null-op", PROV_E_PLUGIN, "the required op 'stat' of role prov.storage/1 is missing"},
    {"fx-ops-short", PROV_E_PLUGIN, "the required op 'del' of role prov.storage/1 is missing"},
    {"fx-ops-zero", PROV_E_PLUGIN, "the ops table: struct_size is 0"},
    {"fx-null-ops", PROV_E_PLUGIN, "ops is NULL"},
    {"fx-null-create", PROV_E_PLUGIN, "create is NULL"},
    {"fx-null-text", PROV_E_PLUGIN, "version is NULL"},
    {"fx-empty", PROV_E_PLUGIN, "it has no providers"},
    {"fx-duplicate", PROV_E_PLUGIN, "two providers of role prov.storage/1 are named 'fx-duplicate'"},
    {"fx-bad-name", PROV_E_PLUGIN, "not a driver name"},
    {"fx-bad-option", PROV_E_PLUGIN, "option 'strange' has the unknown type 77"},
    {"fx-crash", PROV_E_PLUGIN, "crashed with SIGSEGV while it was loaded"},
    {"fx-corrupt", PROV_E_PLUGIN, "while it was loaded"},
    {"fx-exit", PROV_E_PLUGIN, "called exit(3) while it was loaded"},
    {"fx-noise", PROV_E_PLUGIN, "wrote nonsense"},
    {"fx-other-role", PROV_E_PLUGIN,
     "has no provider 'fx-other-role' for role prov.storage/1; it offers fx-other-role (prov.telepathy/3)"},
};

START_TEST(a_bad_plugin_gives_one_clear_error)
{
    prov_error err;
    char file[600];
    ck_assert_int_eq(try_load(bad[_i].driver, &err), bad[_i].code);
    ck_contains(err.message, bad[_i].says);
    ck_contains(err.message, "prov.yaml:2:1: plugin ");
    snprintf(file, sizeof file, "%s.so", bad[_i].driver);
    ck_contains(err.message, file);
    ck_assert_int_eq(err.outcome, PROV_OUTCOME_PERMANENT);
    the_host_lives();
}
END_TEST

START_TEST(a_constructor_that_hangs_is_killed_after_its_time)
{
    prov_error err;
    ck_assert_int_eq(try_load("fx-hang", &err), PROV_E_PLUGIN);
    ck_contains(err.message, "did not finish loading within 10 s");
    the_host_lives();
}
END_TEST

/* ---- files that are wrong ---------------------------------------------------------------------------------------- */
static void make_file(const char *name, const char *text)
{
    char path[400];
    prov_error err = {0};
    snprintf(path, sizeof path, "%s/%s.so", b.dir, name);
    ck_assert_int_eq(psdk_write_file(path, text, strlen(text), 0644, false, &err), PROV_OK);
}

START_TEST(what_is_not_a_shared_object_is_refused)
{
    prov_error err;
    char path[400];
    make_file("text", "#!/bin/sh\necho no\n");
    ck_assert_int_eq(try_load("text", &err), PROV_E_PLUGIN);
    ck_contains(err.message, "not an ELF file");
    make_file("empty", "");
    ck_assert_int_eq(try_load("empty", &err), PROV_E_PLUGIN);
    ck_contains(err.message, "the file is empty");
    make_file("short", "\177ELF");
    ck_assert_int_eq(try_load("short", &err), PROV_E_PLUGIN);
    ck_contains(err.message, "cut short");
    bench_copy(&b, "fx-store", "cut", 3000, 0755);
    ck_assert_int_eq(try_load("cut", &err), PROV_E_PLUGIN);
    ck_contains(err.message, "cut short");
    snprintf(path, sizeof path, "%s/folder.so", b.dir);
    ck_assert_int_eq(mkdir(path, 0755), 0);
    ck_assert_int_eq(try_load("folder", &err), PROV_E_PLUGIN);
    ck_contains(err.message, "not a file but a folder");
    snprintf(path, sizeof path, "%s/pipe.so", b.dir);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert_int_eq(try_load("pipe", &err), PROV_E_PLUGIN);
    ck_contains(err.message, "a named pipe");
    the_host_lives();
}
END_TEST

START_TEST(every_cut_of_a_plugin_is_refused_before_it_is_loaded)
{
    prov_error err;
    struct stat st;
    char path[700];
    snprintf(path, sizeof path, "%s/fx-null-op.so", b.fixtures);
    ck_assert_int_eq(stat(path, &st), 0);
    for (size_t i = 1; i < 8; i++) {
        bench_copy(&b, "fx-null-op", "cut", (size_t)st.st_size * i / 16, 0755);
        ck_assert_int_eq(try_load("cut", &err), PROV_E_PLUGIN);
        ck_contains(err.message, "cut.so: ");
    }
    the_host_lives();
}
END_TEST

START_TEST(a_file_or_folder_that_others_can_write_is_refused)
{
    prov_error err;
    char path[400];
    bench_copy(&b, "fx-store", "fx-store", SIZE_MAX, 0755);
    snprintf(path, sizeof path, "%s/fx-store.so", b.dir);
    ck_assert_int_eq(chmod(path, 0757), 0);
    ck_assert_int_eq(try_load("fx-store", &err), PROV_E_DENIED);
    ck_contains(err.message, "fx-store.so");
    ck_contains(err.message, "chmod");
    ck_assert_int_eq(chmod(path, 0775), 0);
    ck_assert_int_eq(try_load("fx-store", &err), PROV_E_DENIED);
    ck_assert_int_eq(chmod(path, 0755), 0);
    ck_assert_int_eq(chmod(b.dir, 0777), 0);
    ck_assert_int_eq(try_load("fx-store", &err), PROV_E_DENIED);
    ck_contains(err.message, b.dir);
    ck_assert_int_eq(chmod(b.dir, 0700), 0);
    ck_assert_msg(try_load("fx-store", &err) == PROV_OK, "%s", err.message);
}
END_TEST

START_TEST(a_link_is_followed_and_its_real_folder_is_checked)
{
    prov_error err;
    char from[700];
    char to[400];
    snprintf(from, sizeof from, "%s/fx-store-mt.so", b.fixtures);
    snprintf(to, sizeof to, "%s/fx-store-mt.so", b.dir);
    ck_assert_int_eq(symlink(from, to), 0);
    ck_assert_msg(try_load("fx-store-mt", &err) == PROV_OK, "%s", err.message);
    ck_assert_int_eq(chmod(b.dir, 0700), 0);
}
END_TEST

/* ---- pins, names, environment ------------------------------------------------------------------------------------ */
START_TEST(a_pin_must_match_the_file)
{
    prov_error err = {0};
    struct bench_spec s;
    struct psdk_buf file = {0};
    uint8_t sum[32];
    char hex[PSDK_SHA256_HEX];
    char pin[80];
    char path[700];
    snprintf(path, sizeof path, "%s/fx-store.so", b.fixtures);
    ck_assert_int_eq(psdk_read_file(path, 64u << 20, &file, &err), PROV_OK);
    psdk_sha256(file.data, file.len, sum);
    psdk_hex(sum, sizeof sum, hex);
    psdk_buf_done(&file);
    bench_spec(&s, &b, "fx-store", "ok");
    snprintf(pin, sizeof pin, "sha256:%s", hex);
    s.spec.sha256 = pin;
    ck_assert_int_eq(pv_plugin_spec_check(b.plugins, &s.spec, &err), PROV_OK);
    s.spec.sha256 = hex;
    ck_assert_int_eq(pv_plugin_spec_check(b.plugins, &s.spec, &err), PROV_OK);
    pin[10] = pin[10] == '0' ? '1' : '0';
    s.spec.sha256 = pin;
    ck_assert_int_eq(pv_plugin_spec_check(b.plugins, &s.spec, &err), PROV_E_DENIED);
    ck_contains(err.message, hex);
    s.spec.sha256 = "sha256:12";
    ck_assert_int_eq(pv_plugin_spec_check(b.plugins, &s.spec, &err), PROV_E_CONFIG);
}
END_TEST

START_TEST(a_name_that_is_not_there_gets_a_suggestion)
{
    prov_error err;
    ck_assert_int_eq(try_load("fx-stroe", &err), PROV_E_PLUGIN);
    ck_contains(err.message, "did you mean 'fx-store'?");
    ck_contains(err.message, b.fixtures);
    ck_assert_int_eq(try_load("no-such-thing", &err), PROV_E_PLUGIN);
    ck_contains(err.message, "plugins.path");
    ck_assert_int_eq(try_load("../fx-store", &err), PROV_E_CONFIG);
    ck_assert_int_eq(try_load("Fx", &err), PROV_E_CONFIG);
    ck_contains(err.message, "[a-z][a-z0-9-]");
}
END_TEST

START_TEST(nothing_is_loaded_while_the_loader_is_told_to_load_other_code)
{
    static const char *const names[] = {"LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT"};
    prov_error err;
    unsetenv("PROV_ALLOW_LD");
    for (size_t i = 0; i < 3; i++) {
        setenv(names[i], "/nowhere", 1);
        ck_assert_int_eq(try_load("fx-store", &err), PROV_E_DENIED);
        ck_contains(err.message, names[i]);
        setenv("PROV_ALLOW_LD", "0", 1);
        ck_assert_int_eq(try_load("fx-store", &err), PROV_E_DENIED);
        setenv("PROV_ALLOW_LD", "1", 1);
        ck_assert_int_eq(try_load("fx-store", &err), PROV_OK);
        unsetenv("PROV_ALLOW_LD");
        unsetenv(names[i]);
    }
}
END_TEST

START_TEST(the_first_folder_of_the_path_wins_even_when_its_file_is_bad)
{
    prov_error err;
    make_file("fx-store", "not it");
    ck_assert_int_eq(try_load("fx-store", &err), PROV_E_PLUGIN);
    ck_contains(err.message, b.dir);
}
END_TEST

/* ---- being seen, being loaded ------------------------------------------------------------------------------------ */
static size_t count_seen(void)
{
    char command[400];
    size_t n = 0;
    snprintf(command, sizeof command, "ls %s 2>/dev/null | wc -l", b.seen);
    FILE *f = popen(command, "r");
    ck_assert_int_eq(fscanf(f, "%zu", &n), 1);
    pclose(f);
    return n;
}

START_TEST(a_file_is_described_once_and_bad_ones_are_never_noted_as_seen)
{
    prov_error err;
    ck_assert_int_eq(try_load("fx-crash", &err), PROV_E_PLUGIN);
    ck_assert_uint_eq(count_seen(), 0);
    ck_assert_int_eq(try_load("fx-store", &err), PROV_OK);
    ck_assert_uint_eq(count_seen(), 1);
    ck_assert_int_eq(try_load("fx-store", &err), PROV_OK);
    ck_assert_uint_eq(count_seen(), 1);
    ck_assert_int_eq(try_load("fx-store-mt", &err), PROV_OK);
    ck_assert_uint_eq(count_seen(), 2);
}
END_TEST

START_TEST(files_with_the_same_name_and_other_content_are_different_plugins)
{
    prov_error err;
    bench_copy(&b, "fx-store", "fx-store-mt", SIZE_MAX, 0755);
    ck_assert_int_eq(try_load("fx-store-mt", &err), PROV_E_PLUGIN);
    ck_contains(err.message, "it offers fx-store (prov.storage/1)");
    bench_copy(&b, "fx-store-mt", "fx-store-mt", SIZE_MAX, 0755);
    ck_assert_msg(try_load("fx-store-mt", &err) == PROV_OK, "%s", err.message);
}
END_TEST

START_TEST(a_helper_program_that_cannot_run_is_named)
{
    const char *path[] = {b.fixtures, NULL};
    struct pv_plugins_config config = {path, "/nonexistent/helper", NULL, NULL};
    struct pv_plugins *plugins = NULL;
    struct bench_spec s;
    prov_error err = {0};
    ck_assert_int_eq(pv_plugins_new(&config, &plugins, &err), PROV_OK);
    ck_assert_int_eq(pv_plugin_spec_check(plugins, bench_spec(&s, &b, "fx-null-create", "ok"), &err), PROV_E_PLUGIN);
    ck_contains(err.message, "/nonexistent/helper");
    pv_plugins_free(plugins);
}
END_TEST

/* ---- list, info, check ------------------------------------------------------------------------------------------- */
START_TEST(info_tells_the_whole_descriptor)
{
    prov_error err = {0};
    json_t *info = pv_plugin_info(b.plugins, "fx-store", &err);
    ck_assert_msg(info != NULL, "%s", err.message);
    ck_assert_str_eq(json_string_value(json_object_get(info, "version")), "1.2.3");
    ck_assert_str_eq(json_string_value(json_object_get(info, "abi")), "1.0");
    ck_assert_uint_eq(strlen(json_string_value(json_object_get(info, "sha256"))), 64);
    const json_t *p = json_array_get(json_object_get(info, "providers"), 0);
    ck_assert_str_eq(json_string_value(json_object_get(p, "name")), "fx-store");
    ck_assert_uint_eq(json_array_size(json_object_get(p, "options")), 9);
    ck_assert_uint_eq(json_array_size(json_object_get(p, "ops")), 7);
    const json_t *token = json_array_get(json_object_get(p, "options"), 8);
    ck_assert_str_eq(json_string_value(json_object_get(token, "name")), "token");
    ck_assert(json_is_true(json_object_get(token, "secret")));
    json_decref(info);
    ck_assert_ptr_null(pv_plugin_info(b.plugins, "fx-crash", &err));
    ck_contains(err.message, "SIGSEGV");
}
END_TEST

START_TEST(list_shows_good_and_bad_files)
{
    prov_error err = {0};
    size_t good = 0;
    size_t wrong = 0;
    size_t i;
    json_t *p;
    const char *path[] = {b.dir, NULL};
    struct pv_plugins_config config = {path, NULL, NULL, NULL};
    struct pv_plugins *plugins = NULL;
    bench_copy(&b, "fx-store", "fx-store", SIZE_MAX, 0755);
    bench_copy(&b, "fx-crash", "fx-crash", SIZE_MAX, 0755);
    bench_copy(&b, "fx-other-role", "fx-other-role", SIZE_MAX, 0755);
    make_file("text", "no");
    ck_assert_int_eq(pv_plugins_new(&config, &plugins, &err), PROV_OK);
    json_t *list = pv_plugins_list(plugins, &err);
    ck_assert_uint_eq(json_array_size(list), 4);
    json_array_foreach(list, i, p)
    {
        if (json_object_get(p, "error") != NULL)
            wrong++;
        else
            good++;
    }
    ck_assert_uint_eq(wrong, 2);
    ck_assert_uint_eq(good, 2);
    json_decref(list);
    pv_plugins_free(plugins);
}
END_TEST

static bool check_of(const json_t *report, const char *name, const char *detail)
{
    size_t i;
    json_t *c;
    json_array_foreach(json_object_get(report, "checks"), i, c)
    {
        if (strcmp(json_string_value(json_object_get(c, "name")), name) == 0) {
            ck_contains(json_string_value(json_object_get(c, "detail")), detail);
            return json_is_true(json_object_get(c, "ok"));
        }
    }
    ck_abort_msg("no check '%s'", name);
    return false;
}

START_TEST(check_reports_each_finding)
{
    prov_error err = {0};
    json_t *report = pv_plugin_check(b.plugins, "fx-store", &err);
    ck_assert(check_of(report, "permissions", "owner"));
    ck_assert(check_of(report, "exports", "prov_plugin_v1 alone"));
    ck_assert(check_of(report, "relocations", "none"));
    ck_assert(check_of(report, "descriptor", "1 provider(s), ABI 1.0"));
    json_decref(report);
    report = pv_plugin_check(b.plugins, "fx-no-symbol", &err);
    ck_assert(json_is_false(json_object_get(report, "ok")));
    ck_assert(!check_of(report, "exports", "is not exported"));
    json_decref(report);
    report = pv_plugin_check(b.plugins, "fx-dependent", &err);
    ck_assert(!check_of(report, "exports", "is not exported"));
    ck_assert(check_of(report, "libraries", "libfx-has-symbol.so"));
    json_decref(report);
    report = pv_plugin_check(b.plugins, "fx-null-create", &err);
    ck_assert(!check_of(report, "descriptor", "create is NULL"));
    json_decref(report);
    make_file("text", "no");
    report = pv_plugin_check(b.plugins, "text", &err);
    ck_assert(!check_of(report, "file", "not an ELF"));
    json_decref(report);
    ck_assert_ptr_null(pv_plugin_check(b.plugins, "nowhere", &err));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("load");
    TCase *tc = tcase_create("load");
    unsetenv("LD_PRELOAD");
    unsetenv("LD_LIBRARY_PATH");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, a_bad_plugin_gives_one_clear_error, 0, (int)(sizeof bad / sizeof bad[0]));
    tcase_add_test(tc, a_constructor_that_hangs_is_killed_after_its_time);
    tcase_add_test(tc, what_is_not_a_shared_object_is_refused);
    tcase_add_test(tc, every_cut_of_a_plugin_is_refused_before_it_is_loaded);
    tcase_add_test(tc, a_file_or_folder_that_others_can_write_is_refused);
    tcase_add_test(tc, a_link_is_followed_and_its_real_folder_is_checked);
    tcase_add_test(tc, a_pin_must_match_the_file);
    tcase_add_test(tc, a_name_that_is_not_there_gets_a_suggestion);
    tcase_add_test(tc, nothing_is_loaded_while_the_loader_is_told_to_load_other_code);
    tcase_add_test(tc, the_first_folder_of_the_path_wins_even_when_its_file_is_bad);
    tcase_add_test(tc, a_file_is_described_once_and_bad_ones_are_never_noted_as_seen);
    tcase_add_test(tc, files_with_the_same_name_and_other_content_are_different_plugins);
    tcase_add_test(tc, a_helper_program_that_cannot_run_is_named);
    tcase_add_test(tc, info_tells_the_whole_descriptor);
    tcase_add_test(tc, list_shows_good_and_bad_files);
    tcase_add_test(tc, check_reports_each_finding);
    suite_add_tcase(suite, tc);
    return bench_run(suite);
}
