/* test_log.c - the log sink and the user's folders. SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pv_dirs.h"
#include "pv_log.h"

static char last[4096];
static int last_level;
static int n_messages;

static void keep(void *ctx, int level, const char *message)
{
    ck_assert_ptr_eq(ctx, &last_level);
    strncpy(last, message, sizeof last - 1);
    last_level = level;
    n_messages++;
}

START_TEST(messages_vanish_without_a_sink)
{
    pv_log(PROV_LOG_ERROR, "nobody hears this %d", 1);
    ck_assert(!pv_log_enabled(PROV_LOG_ERROR));
}
END_TEST

START_TEST(only_wanted_levels_reach_the_sink)
{
    n_messages = 0;
    pv_log_set(keep, &last_level, PROV_LOG_WARN);
    errno = 5;
    pv_log(PROV_LOG_WARN, "a\nb\tc %s", "\x1b[31mred");
    ck_assert_int_eq(errno, 5);
    ck_assert_str_eq(last, "a b c  [31mred");
    ck_assert_int_eq(last_level, PROV_LOG_WARN);
    pv_log(PROV_LOG_INFO, "not wanted");
    ck_assert_int_eq(n_messages, 1);
    char *big = malloc(5000);
    memset(big, 'x', 4999);
    big[4999] = '\0';
    pv_log(PROV_LOG_ERROR, "%s", big);
    ck_assert_uint_eq(strlen(last), 2000);
    free(big);
    pv_log_set(NULL, NULL, 0);
    pv_log(PROV_LOG_ERROR, "gone");
    ck_assert_int_eq(n_messages, 2);
}
END_TEST

START_TEST(folders_follow_the_environment)
{
    char path[64];
    prov_error err = {0};
    setenv("HOME", "/home/ada", 1);
    unsetenv("XDG_CONFIG_HOME");
    setenv("XDG_STATE_HOME", "/var/state", 1);
    setenv("XDG_CACHE_HOME", "relative/is/ignored", 1);
    ck_assert_int_eq(pv_dirs_get(PV_DIR_CONFIG, NULL, path, sizeof path, &err), PROV_OK);
    ck_assert_str_eq(path, "/home/ada/.config/prov");
    ck_assert_int_eq(pv_dirs_get(PV_DIR_STATE, "seen", path, sizeof path, &err), PROV_OK);
    ck_assert_str_eq(path, "/var/state/prov/seen");
    ck_assert_int_eq(pv_dirs_get(PV_DIR_CACHE, "", path, sizeof path, &err), PROV_OK);
    ck_assert_str_eq(path, "/home/ada/.cache/prov");
    ck_assert_int_eq(pv_dirs_get(PV_DIR_CACHE, "x", path, 10, &err), PROV_E_LIMIT);
    ck_assert_int_eq(pv_dirs_get(9, "x", path, sizeof path, &err), PROV_E_INVALID);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base");
    TCase *tc = tcase_create("base");
    tcase_add_test(tc, messages_vanish_without_a_sink);
    tcase_add_test(tc, only_wanted_levels_reach_the_sink);
    tcase_add_test(tc, folders_follow_the_environment);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
