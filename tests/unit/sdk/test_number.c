/* test_number.c - numbers in canonical JSON. SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "psdk_json.h"

static uint64_t random_state = 0x9E3779B97F4A7C15u;

static uint64_t random64(void) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state * 0x2545F4914F6CDD1Du;
}

static size_t random_below(size_t n) {
    return (size_t)(random64() % n);
}

static double double_of_bits(uint64_t bits) {
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static bool checks(const char *text, size_t len) {
    prov_error err = {0};
    return psdk_jcs_check(text, len, "t", &err) == PROV_OK;
}

static const struct {
    uint64_t bits;
    const char *text;
} number_rows[] = {
    /* RFC 8785, appendix B */
    {0x0000000000000000, "0"},
    {0x8000000000000000, "0"},
    {0x0000000000000001, "5e-324"},
    {0x8000000000000001, "-5e-324"},
    {0x7fefffffffffffff, "1.7976931348623157e+308"},
    {0xffefffffffffffff, "-1.7976931348623157e+308"},
    {0x4340000000000000, "9007199254740992"},
    {0xc340000000000000, "-9007199254740992"},
    {0x4430000000000000, "295147905179352830000"},
    {0x44b52d02c7e14af5, "9.999999999999997e+22"},
    {0x44b52d02c7e14af6, "1e+23"},
    {0x44b52d02c7e14af7, "1.0000000000000001e+23"},
    {0x444b1ae4d6e2ef4e, "999999999999999700000"},
    {0x444b1ae4d6e2ef4f, "999999999999999900000"},
    {0x444b1ae4d6e2ef50, "1e+21"},
    {0x3eb0c6f7a0b5ed8c, "9.999999999999997e-7"},
    {0x3eb0c6f7a0b5ed8d, "0.000001"},
    {0x41b3de4355555553, "333333333.3333332"},
    {0x41b3de4355555554, "333333333.33333325"},
    {0x41b3de4355555555, "333333333.3333333"},
    {0x41b3de4355555556, "333333333.3333334"},
    {0x41b3de4355555557, "333333333.33333343"},
    {0xbecbf647612f3696, "-0.0000033333333333333333"},
    {0x43143ff3c1cb0959, "1424953923781206.2"},
    /* powers of two, where the shortest digits are not the rounded ones, and the ends of the normal range */
    {0x3d30000000000000, "5.684341886080802e-14"},
    {0x0010000000000000, "2.2250738585072014e-308"},
    {0x000fffffffffffff, "2.225073858507201e-308"},
    {0x4350000000000000, "18014398509481984"},
    {0x3ff0000000000001, "1.0000000000000002"},
    {0x3fb999999999999a, "0.1"},
    {0x3fd3333333333334, "0.30000000000000004"},
    {0x3e7ad7f29abcaf48, "1e-7"},
    {0x433fffffffffffff, "9007199254740991"},
    {0x405edd2f1a9fbe77, "123.456"},
};

START_TEST(numbers_are_written_like_ecmascript_does) {
    for (size_t i = 0; i < sizeof number_rows / sizeof number_rows[0]; i++) {
        struct psdk_buf buf = {0};
        ck_assert_int_eq(psdk_jcs_number(&buf, double_of_bits(number_rows[i].bits)), PROV_OK);
        ck_assert_str_eq(psdk_buf_str(&buf), number_rows[i].text);
        psdk_buf_done(&buf);
    }
    struct psdk_buf buf = {0};
    ck_assert_int_eq(psdk_jcs_number(&buf, (double)NAN), PROV_E_INVALID);
    ck_assert_int_eq(psdk_buf_check(&buf, NULL), PROV_E_INVALID);
    psdk_buf_clear(&buf);
    ck_assert_int_eq(psdk_jcs_number(&buf, -(double)INFINITY), PROV_E_INVALID);
    psdk_buf_done(&buf);
}
END_TEST

/* The digits of a number's text without sign, point, exponent and outer zeros. */
static size_t significant_digits(const char *text) {
    size_t n = 0;
    size_t zeros = 0;
    for (; *text && *text != 'e'; text++) {
        if (*text == '0' && n > 0)
            zeros++;
        if (*text > '0' && *text <= '9') {
            n += zeros + 1;
            zeros = 0;
        }
    }
    return n;
}

static void check_shortest(double value) {
    struct psdk_buf buf = {0};
    ck_assert_int_eq(psdk_jcs_number(&buf, value), PROV_OK);
    const char *text = psdk_buf_str(&buf);
    ck_assert_msg(strtod(text, NULL) == value, "%s is not %a", text, value);
    size_t n = significant_digits(text);
    char shorter[64];
    for (int precision = 1; precision < (int)n; precision++) {
        snprintf(shorter, sizeof shorter, "%.*e", precision - 1, value);
        ck_assert_msg(strtod(shorter, NULL) != value, "%s could be %s", text, shorter);
    }
    bool small_integer = fabs(value) > 9007199254740991.0 && fabs(value) < 1e21;
    ck_assert_msg(checks(text, buf.len) == !small_integer, "check of %s", text);
    psdk_buf_done(&buf);
}

START_TEST(numbers_read_back_and_have_no_shorter_form) {
    for (int e = -1074; e <= 1023; e++) {
        double power = ldexp(1, e);
        check_shortest(power);
        check_shortest(nextafter(power, 0));
        check_shortest(-nextafter(power, (double)INFINITY));
    }
    for (int i = 0; i < 20000; i++) {
        double value = double_of_bits(random64());
        if (isfinite(value))
            check_shortest(value);
        check_shortest((double)(int64_t)random64() / 1e6 / (double)(1 + random_below(1000000)));
    }
}
END_TEST

START_TEST(the_locale_does_not_change_numbers) {
    /* Any locale with a decimal comma will do; without one there is nothing to see here. */
    static const char *const locales[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "de_DE", "C"};
    for (size_t i = 0; i < sizeof locales / sizeof locales[0] && !setlocale(LC_ALL, locales[i]); i++)
        continue;
    for (size_t i = 0; i < sizeof number_rows / sizeof number_rows[0]; i++) {
        struct psdk_buf buf = {0};
        psdk_jcs_number(&buf, double_of_bits(number_rows[i].bits));
        ck_assert_str_eq(psdk_buf_str(&buf), number_rows[i].text);
        psdk_buf_done(&buf);
    }
    ck_assert(checks("[0.30000000000000004,1.5]", 25));
    setlocale(LC_ALL, "C");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("number");
    TCase *tc = tcase_create("number");
    tcase_set_timeout(tc, 100);
    tcase_add_test(tc, numbers_are_written_like_ecmascript_does);
    tcase_add_test(tc, numbers_read_back_and_have_no_shorter_form);
    tcase_add_test(tc, the_locale_does_not_change_numbers);
    suite_add_tcase(suite, tc);
    SRunner *sr = srunner_create(suite);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? 0 : 1;
}
