/* test_time.c - times, durations and sizes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <check.h>
#include <string.h>

#include "psdk_file.h"

#define S 1000000000ull

START_TEST(a_time_is_written_and_read_back)
{
    static const struct {
        uint64_t ns;
        const char *text;
    } cases[] = {{0, "1970-01-01T00:00:00.000000Z"},
                 {1000, "1970-01-01T00:00:00.000001Z"},
                 {951782400 * S, "2000-02-29T00:00:00.000000Z"},
                 {1714910400 * S + 123456000, "2024-05-05T12:00:00.123456Z"},
                 {4102444799 * S + 999999000, "2099-12-31T23:59:59.999999Z"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[PSDK_TIME_SIZE];
        uint64_t ns = 1;
        psdk_time_format(cases[i].ns, text);
        ck_assert_str_eq(text, cases[i].text);
        ck_assert(psdk_time_parse(text, strlen(text), &ns));
        ck_assert_uint_eq(ns, cases[i].ns);
    }
}
END_TEST

START_TEST(nanoseconds_below_the_microsecond_are_cut)
{
    char text[PSDK_TIME_SIZE];
    psdk_time_format(1999, text);
    ck_assert_str_eq(text, "1970-01-01T00:00:00.000001Z");
}
END_TEST

START_TEST(anything_but_the_exact_form_of_a_real_date_is_refused)
{
    static const char *const bad[] = {
        "", "2024-05-05T12:00:00Z", "2024-05-05T12:00:00.123Z", "2024-05-05T12:00:00.1234567Z",
        "2024-05-05 12:00:00.123456Z", "2024-05-05T12:00:00.123456z", "2024-05-05T12:00:00.123456+00:00",
        "2024-05-05t12:00:00.123456Z", "2024-13-05T12:00:00.123456Z", "2024-00-05T12:00:00.123456Z",
        "2024-05-00T12:00:00.123456Z", "2024-04-31T12:00:00.123456Z", "2023-02-29T12:00:00.123456Z",
        "2100-02-29T12:00:00.123456Z", "2024-05-05T24:00:00.123456Z", "2024-05-05T12:60:00.123456Z",
        "2024-05-05T12:00:60.123456Z", "1969-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z",
        "2024-05-05T12:00:00,123456Z", "+024-05-05T12:00:00.123456Z", "2024-05-05T12:00:00.12345 Z",
        " 2024-05-05T12:00:00.12345Z"};
    uint64_t ns;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(!psdk_time_parse(bad[i], strlen(bad[i]), &ns), "%s", bad[i]);
    ck_assert(!psdk_time_parse("2024-05-05T12:00:00.123456Z ", 28, &ns));
}
END_TEST

START_TEST(durations_are_read)
{
    static const struct {
        const char *text;
        uint64_t ns;
    } good[] = {{"0", 0}, {"10s", 10 * S}, {"500ms", 500000000}, {"1h30m", 5400 * S}, {"2d", 172800 * S}, {"0s", 0},
                {"1d2h3m4s5ms6us7ns", 93784 * S + 5006007}, {"90m", 5400 * S}, {"213503d", 213503ull * 86400 * S}};
    static const char *const bad[] = {"", "10", "s", "-1s", "+1s", "1.5s", "1 s", " 1s", "1s ", "30m1h", "1s1s", "1ms1m",
                                      "1w", "1S", "213504d", "99999999999999999999s", "18446744073709551616ns", "1h30",
                                      "1e3s", "0x1s"};
    uint64_t ns;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        ck_assert_msg(psdk_parse_duration(good[i].text, &ns), "%s", good[i].text);
        ck_assert_uint_eq(ns, good[i].ns);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(!psdk_parse_duration(bad[i], &ns), "%s", bad[i]);
}
END_TEST

START_TEST(sizes_are_read)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {{"0", 0}, {"512", 512}, {"512B", 512}, {"16MiB", 16777216}, {"10MB", 10000000}, {"1kB", 1000},
                {"1KB", 1000}, {"1KiB", 1024}, {"3GiB", 3221225472}, {"1TB", 1000000000000},
                {"18446744073709551615", UINT64_MAX}, {"16777215TiB", 16777215ull << 40}};
    static const char *const bad[] = {"", "MiB", "-1", "+1", "1.5MiB", "1 MiB", "1mib", "1M", "1MiBs", "16777216TiB",
                                      "18446744073709551616", " 1", "1 "};
    uint64_t bytes;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        ck_assert_msg(psdk_parse_size(good[i].text, &bytes), "%s", good[i].text);
        ck_assert_uint_eq(bytes, good[i].bytes);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(!psdk_parse_size(bad[i], &bytes), "%s", bad[i]);
}
END_TEST

START_TEST(the_clocks_run)
{
    uint64_t first = psdk_monotonic_ns();
    ck_assert_uint_gt(first, 0);
    ck_assert_uint_ge(psdk_monotonic_ns(), first);
    ck_assert_uint_gt(psdk_wall_ns(), 1700000000 * S);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("time");
    TCase *test_case = tcase_create("time");
    tcase_add_test(test_case, a_time_is_written_and_read_back);
    tcase_add_test(test_case, nanoseconds_below_the_microsecond_are_cut);
    tcase_add_test(test_case, anything_but_the_exact_form_of_a_real_date_is_refused);
    tcase_add_test(test_case, durations_are_read);
    tcase_add_test(test_case, sizes_are_read);
    tcase_add_test(test_case, the_clocks_run);
    suite_add_tcase(suite, test_case);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
