/* test_buf.c - growing buffers, their ceiling and sticky failure. SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "psdk_buf.h"

START_TEST(an_empty_buffer_reads_as_an_empty_string) {
    struct psdk_buf buf = {0};
    ck_assert_str_eq(psdk_buf_str(&buf), "");
    ck_assert_int_eq(psdk_buf_check(&buf, NULL), PROV_OK);
    psdk_buf_clear(&buf);
    psdk_buf_wipe(&buf);
    psdk_buf_done(&buf);
    ck_assert_int_eq(psdk_buf_add(&buf, NULL, 0), PROV_OK);
    ck_assert_ptr_nonnull(buf.data);
    ck_assert_int_eq(buf.data[0], 0);
    psdk_buf_done(&buf);
    ck_assert_ptr_null(buf.data);
}
END_TEST

START_TEST(what_is_added_stays_in_order_over_many_growths) {
    struct psdk_buf buf = {0};
    for (int i = 0; i < 50000; i++) {
        ck_assert_int_eq(psdk_buf_addf(&buf, "%d,", i), PROV_OK);
        ck_assert_uint_lt(buf.len, buf.cap);
    }
    const char *at = psdk_buf_str(&buf);
    for (int i = 0; i < 50000; i++) {
        char *end;
        ck_assert_int_eq(strtol(at, &end, 10), i);
        at = end + 1;
    }
    ck_assert_uint_eq(strlen(psdk_buf_str(&buf)), buf.len);
    psdk_buf_done(&buf);
}
END_TEST

START_TEST(all_kinds_of_additions_append) {
    struct psdk_buf buf = {0};
    psdk_buf_add(&buf, "a\0b", 3);
    psdk_buf_adds(&buf, "cd");
    psdk_buf_addc(&buf, 'e');
    psdk_buf_addf(&buf, "%05d%s", 42, "");
    psdk_buf_add_hex(&buf, "\x00\xff\x1a", 3);
    psdk_buf_add_base64(&buf, "hello", 5);
    psdk_buf_add_hex(&buf, NULL, 0);
    psdk_buf_add_base64(&buf, NULL, 0);
    static const char expected[] = "a\0bcde0004200ff1aaGVsbG8=";
    ck_assert_uint_eq(buf.len, sizeof expected - 1);
    ck_assert_int_eq(memcmp(buf.data, expected, sizeof expected), 0);
    psdk_buf_done(&buf);
}
END_TEST

START_TEST(the_ceiling_is_exact_and_the_failure_sticks) {
    struct psdk_buf buf = {.max = 10};
    ck_assert_int_eq(psdk_buf_adds(&buf, "0123456789"), PROV_OK);
    ck_assert_int_eq(psdk_buf_add(&buf, "", 0), PROV_OK);
    ck_assert_int_eq(psdk_buf_addc(&buf, 'x'), PROV_E_LIMIT);
    ck_assert_str_eq(psdk_buf_str(&buf), "0123456789");
    ck_assert_int_eq(psdk_buf_adds(&buf, ""), PROV_E_LIMIT);
    ck_assert_int_eq(psdk_buf_addf(&buf, "%s", ""), PROV_E_LIMIT);
    prov_error err = {0};
    ck_assert_int_eq(psdk_buf_check(&buf, &err), PROV_E_LIMIT);
    ck_assert_ptr_nonnull(strstr(err.message, "10 bytes"));
    psdk_buf_clear(&buf);
    ck_assert_int_eq(buf.failed, 0);
    ck_assert_int_eq(psdk_buf_addf(&buf, "%s", "0123456789"), PROV_OK);
    ck_assert_int_eq(psdk_buf_addf(&buf, "%s", "x"), PROV_E_LIMIT);
    ck_assert_str_eq(psdk_buf_str(&buf), "0123456789");
    psdk_buf_done(&buf);
    ck_assert_uint_eq(buf.max, 10);
    ck_assert_int_eq(buf.failed, 0);
}
END_TEST

START_TEST(a_format_just_below_at_and_over_the_room_fits_or_grows) {
    for (size_t start = 0; start < 70; start++) {
        struct psdk_buf buf = {0};
        for (size_t i = 0; i < start; i++)
            psdk_buf_addc(&buf, 'a');
        ck_assert_int_eq(psdk_buf_addf(&buf, "%s-%d", "bcd", 7), PROV_OK);
        ck_assert_uint_eq(buf.len, start + 5);
        ck_assert_str_eq(psdk_buf_str(&buf) + start, "bcd-7");
        psdk_buf_done(&buf);
    }
}
END_TEST

START_TEST(impossible_sizes_are_limits_not_overflows) {
    static const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 1, SIZE_MAX / 2, PSDK_BUF_MAX + 1};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct psdk_buf buf = {0};
        ck_assert_int_eq(psdk_buf_addc(&buf, 'a'), PROV_OK);
        ck_assert_int_eq(psdk_buf_reserve(&buf, sizes[i]), PROV_E_LIMIT);
        psdk_buf_clear(&buf);
        ck_assert_int_eq(psdk_buf_add_hex(&buf, "x", sizes[i]), PROV_E_LIMIT);
        psdk_buf_clear(&buf);
        ck_assert_int_eq(psdk_buf_add_base64(&buf, "x", sizes[i]), PROV_E_LIMIT);
        psdk_buf_done(&buf);
    }
}
END_TEST

START_TEST(taking_moves_the_bytes_out) {
    struct psdk_buf buf = {0};
    char *empty = psdk_buf_take(&buf);
    ck_assert_str_eq(empty, "");
    free(empty);
    psdk_buf_adds(&buf, "payload");
    char *text = psdk_buf_take(&buf);
    ck_assert_str_eq(text, "payload");
    ck_assert_ptr_null(buf.data);
    ck_assert_uint_eq(buf.len, 0);
    ck_assert_int_eq(psdk_buf_adds(&buf, "next"), PROV_OK);
    ck_assert_str_eq(psdk_buf_str(&buf), "next");
    free(text);
    psdk_buf_done(&buf);
}
END_TEST

START_TEST(a_failed_buffer_never_hands_out_a_part) {
    struct psdk_buf buf = {.max = 4};
    psdk_buf_adds(&buf, "abc");
    psdk_buf_adds(&buf, "def");
    ck_assert_ptr_null(psdk_buf_take(&buf));
    ck_assert_ptr_null(buf.data);
    ck_assert_int_eq(psdk_buf_check(&buf, NULL), PROV_E_LIMIT);
    psdk_buf_done(&buf);
    ck_assert_int_eq(psdk_buf_check(&buf, NULL), PROV_OK);
}
END_TEST

START_TEST(reserved_room_is_used_without_moving) {
    struct psdk_buf buf = {0};
    ck_assert_int_eq(psdk_buf_reserve(&buf, 1000), PROV_OK);
    const uint8_t *before = buf.data;
    for (int i = 0; i < 1000; i++)
        psdk_buf_addc(&buf, 'x');
    ck_assert_ptr_eq(buf.data, before);
    psdk_buf_wipe(&buf);
    ck_assert_ptr_null(buf.data);
    ck_assert_uint_eq(buf.cap, 0);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("buf");
    TCase *tc = tcase_create("buf");
    tcase_add_test(tc, an_empty_buffer_reads_as_an_empty_string);
    tcase_add_test(tc, what_is_added_stays_in_order_over_many_growths);
    tcase_add_test(tc, all_kinds_of_additions_append);
    tcase_add_test(tc, the_ceiling_is_exact_and_the_failure_sticks);
    tcase_add_test(tc, a_format_just_below_at_and_over_the_room_fits_or_grows);
    tcase_add_test(tc, impossible_sizes_are_limits_not_overflows);
    tcase_add_test(tc, taking_moves_the_bytes_out);
    tcase_add_test(tc, a_failed_buffer_never_hands_out_a_part);
    tcase_add_test(tc, reserved_room_is_used_without_moving);
    suite_add_tcase(suite, tc);
    SRunner *sr = srunner_create(suite);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? 0 : 1;
}
