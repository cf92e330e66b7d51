/* test_err.c - error messages: cut, wrapped, coded. SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "psdk_err.h"

#define MESSAGE_MAX (sizeof(((prov_error *)0)->message) - 1)

START_TEST(a_failure_fills_code_and_message_and_resets_the_rest) {
    prov_error err;
    memset(&err, 0x55, sizeof err);
    ck_assert_int_eq(psdk_fail(&err, PROV_E_CONFIG, "anchor '%s': no plugin %d", "run-7", 3), PROV_E_CONFIG);
    ck_assert_int_eq(err.code, PROV_E_CONFIG);
    ck_assert_int_eq(err.outcome, PROV_OUTCOME_UNSET);
    ck_assert_uint_eq(err.retry_after_ms, 0);
    ck_assert_int_eq(err.native_code, 0);
    ck_assert_str_eq(err.message, "anchor 'run-7': no plugin 3");
}
END_TEST

START_TEST(no_error_to_fill_is_fine) {
    ck_assert_int_eq(psdk_fail(NULL, PROV_E_IO, "x"), PROV_E_IO);
    ck_assert_int_eq(psdk_fail_errno(NULL, ENOENT, "x"), PROV_E_NOT_FOUND);
    ck_assert_int_lt(psdk_wrap(NULL, "x"), 0);
    ck_assert_int_lt(psdk_outcome(NULL, PROV_OUTCOME_PERMANENT), 0);
}
END_TEST

START_TEST(a_message_may_be_built_from_the_message_before) {
    prov_error err = {0};
    psdk_fail(&err, PROV_E_IO, "first");
    psdk_fail(&err, PROV_E_NETWORK, "second after %s", err.message);
    ck_assert_str_eq(err.message, "second after first");
}
END_TEST

START_TEST(a_long_message_is_cut_on_a_character_boundary) {
    /* A character of 2, 3 or 4 bytes over every position around the cut. */
    static const char *const characters[] = {"\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x82"};
    for (size_t c = 0; c < 3; c++) {
        size_t size = strlen(characters[c]);
        for (size_t front = MESSAGE_MAX - 8; front <= MESSAGE_MAX + 1; front++) {
            char text[600];
            memset(text, 'a', front);
            strcpy(text + front, characters[c]);
            strcat(text, "zzzzzzzzzzzz");
            prov_error err;
            memset(&err, 0x55, sizeof err);
            psdk_fail(&err, PROV_E_IO, "%s", text);
            size_t len = strlen(err.message);
            size_t expected = front < MESSAGE_MAX && front + size > MESSAGE_MAX ? front : MESSAGE_MAX;
            ck_assert_uint_eq(len, expected);
            ck_assert_int_eq(memcmp(err.message, text, len), 0);
        }
    }
}
END_TEST

START_TEST(a_message_is_one_line_of_utf8_whatever_is_put_into_it) {
    prov_error err = {0};
    psdk_fail(&err, PROV_E_INVALID, "'%.3s' %s", "\xc3\xa9\xc3\xa9", "a\nb\x1b[31m\xff");
    ck_assert_str_eq(err.message, "'\xc3\xa9?' a?b?[31m?");
    psdk_wrap(&err, "%.1s", "\xe2\x82\xac");
    ck_assert_str_eq(err.message, "?: '\xc3\xa9?' a?b?[31m?");
}
END_TEST

START_TEST(an_errno_becomes_code_text_and_native_code) {
    static const struct {
        int errnum;
        int code;
    } rows[] = {{ENOENT, PROV_E_NOT_FOUND}, {EEXIST, PROV_E_EXISTS}, {ENOSPC, PROV_E_NOSPACE},
                {EDQUOT, PROV_E_NOSPACE},   {EACCES, PROV_E_DENIED}, {EPERM, PROV_E_DENIED},
                {EROFS, PROV_E_DENIED},     {ENOMEM, PROV_E_NOMEM},  {ETIMEDOUT, PROV_E_TIMEOUT},
                {EIO, PROV_E_IO},           {EISDIR, PROV_E_IO}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        prov_error err = {0};
        char expected[200];
        snprintf(expected, sizeof expected, "open /x: %s", strerror(rows[i].errnum));
        ck_assert_int_eq(psdk_fail_errno(&err, rows[i].errnum, "open %s", "/x"), rows[i].code);
        ck_assert_int_eq(err.code, rows[i].code);
        ck_assert_int_eq(err.native_code, rows[i].errnum);
        ck_assert_str_eq(err.message, expected);
    }
}
END_TEST

START_TEST(a_long_path_does_not_push_the_reason_out) {
    char path[700];
    memset(path, 'p', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    prov_error err = {0};
    psdk_fail_errno(&err, ENOENT, "open %s", path);
    ck_assert_uint_eq(strlen(err.message), MESSAGE_MAX);
    ck_assert_ptr_nonnull(strstr(err.message, strerror(ENOENT)));
    ck_assert_int_eq(psdk_fail_errno(&err, 987654, "odd"), PROV_E_IO);
    ck_assert_ptr_nonnull(strstr(err.message, "987654"));
}
END_TEST

START_TEST(a_layer_puts_its_context_in_front) {
    prov_error err = {0};
    psdk_fail(&err, PROV_E_TIMEOUT, "timed out after 10 s");
    psdk_outcome(&err, PROV_OUTCOME_UNKNOWN);
    err.native_code = 42;
    psdk_wrap(&err, "chain-evm");
    ck_assert_int_eq(psdk_wrap(&err, "anchor '%s'", "run-7"), PROV_E_TIMEOUT);
    ck_assert_str_eq(err.message, "anchor 'run-7': chain-evm: timed out after 10 s");
    ck_assert_int_eq(err.outcome, PROV_OUTCOME_UNKNOWN);
    ck_assert_int_eq(err.native_code, 42);
}
END_TEST

START_TEST(wrapping_cuts_the_end_and_never_the_context) {
    char reason[MESSAGE_MAX + 1];
    memset(reason, 'r', MESSAGE_MAX);
    reason[MESSAGE_MAX] = '\0';
    for (size_t context_len = 1; context_len <= MESSAGE_MAX + 20; context_len++) {
        char context[600];
        memset(context, 'c', context_len);
        context[context_len] = '\0';
        prov_error err = {0};
        psdk_fail(&err, PROV_E_IO, "%s", reason);
        psdk_wrap(&err, "%s", context);
        size_t len = strlen(err.message);
        size_t kept = context_len < MESSAGE_MAX ? context_len : MESSAGE_MAX;
        ck_assert_uint_le(len, MESSAGE_MAX);
        ck_assert_int_eq(memcmp(err.message, context, kept), 0);
        if (context_len + 2 < MESSAGE_MAX) {
            ck_assert_uint_eq(len, MESSAGE_MAX);
            ck_assert_int_eq(memcmp(err.message + context_len, ": r", 3), 0);
        }
    }
}
END_TEST

START_TEST(every_code_has_its_row) {
#define EXPECT_ROW(name, value, text, cli, http, py)                                                                   \
    ck_assert_str_eq(psdk_rc_name(PROV_##name), #name);                                                                \
    ck_assert_str_eq(psdk_rc_text(PROV_##name), text);                                                                 \
    ck_assert_int_eq(psdk_rc_exit(PROV_##name), cli);                                                                  \
    ck_assert_int_eq(psdk_rc_http(PROV_##name), http);                                                                 \
    ck_assert_str_eq(psdk_rc_python(PROV_##name), py);
    PROV_RC_TABLE(EXPECT_ROW)
    ck_assert_str_eq(psdk_rc_name(-13), "E_TIMEOUT");
    ck_assert_int_eq(psdk_rc_exit(PROV_E_CANCELLED), 130);
}
END_TEST

START_TEST(codes_that_do_not_exist_are_survived) {
    static const int codes[] = {1, 100, -20, -1000, -2147483647 - 1, 2147483647};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        ck_assert_str_eq(psdk_rc_name(codes[i]), "E_UNKNOWN");
        ck_assert_int_eq(psdk_rc_exit(codes[i]), 1);
        ck_assert_int_eq(psdk_rc_http(codes[i]), 500);
        ck_assert_str_eq(psdk_rc_python(codes[i]), "ProvError");
        ck_assert_uint_gt(strlen(psdk_rc_text(codes[i])), 0);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("err");
    TCase *tc = tcase_create("err");
    tcase_add_test(tc, a_failure_fills_code_and_message_and_resets_the_rest);
    tcase_add_test(tc, no_error_to_fill_is_fine);
    tcase_add_test(tc, a_message_may_be_built_from_the_message_before);
    tcase_add_test(tc, a_long_message_is_cut_on_a_character_boundary);
    tcase_add_test(tc, an_errno_becomes_code_text_and_native_code);
    tcase_add_test(tc, a_message_is_one_line_of_utf8_whatever_is_put_into_it);
    tcase_add_test(tc, a_long_path_does_not_push_the_reason_out);
    tcase_add_test(tc, a_layer_puts_its_context_in_front);
    tcase_add_test(tc, wrapping_cuts_the_end_and_never_the_context);
    tcase_add_test(tc, every_code_has_its_row);
    tcase_add_test(tc, codes_that_do_not_exist_are_survived);
    suite_add_tcase(suite, tc);
    SRunner *sr = srunner_create(suite);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? 0 : 1;
}
