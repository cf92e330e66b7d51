/* test_json.c - strict reading, members, suggestions. SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "psdk_json.h"

#define TEXT(literal) literal, sizeof literal - 1

static const struct {
    const char *text;
    size_t len;
    const char *expected; /* where, and a part of why */
} refused_rows[] = {
    {TEXT(""), "in:1:1: the text is empty"},
    {TEXT(" \n "), "in:2:2: the text ends too early"},
    {TEXT("\xEF\xBB\xBF{}"), "in:1:1: a byte-order mark"},
    {TEXT("{}\0"), "in:1:3: a NUL"},
    {TEXT("\0"), "in:1:1: a NUL"},
    {TEXT("[1,\0 2]"), "in:1:4: a NUL"},
    {TEXT("{\"a\":\"x\0y\"}"), "in:1:8: a NUL"},
    {TEXT("{\n  \"a\": \"x\\u0000\"\n}"), "in:2:10: \\u0000"},
    {TEXT("{\"\\u0000\":1}"), "in:1:3: \\u0000"},
    {TEXT("{\n \"a\": 1,\n \"b\": 2,\n \"a\": 3}"), "in:4:2: the name \"a\" occurs twice"},
    {TEXT("{\"a\\\"\\\\\":1, \"a\\\"\\\\\" : 3}"), "in:1:13: the name \"a\\\"\\\\\" occurs twice"},
    {TEXT("{\"a\":1,\"\\u0061\":2}"), "in:1:8: the name \"\\u0061\" occurs twice"},
    {TEXT("{\"a\":[{\"k\":1,\"k\":1}]}"), "in:1:14: the name \"k\" occurs twice"},
    {TEXT("[1,2,]"), "in:1:6: a value is needed"},
    {TEXT("{\"a\":1,}"), "in:1:8: a member's name"},
    {TEXT("{'a':1}"), "in:1:2: a member's name"},
    {TEXT("[1\n 2]"), "in:2:2: ',' or ']'"},
    {TEXT("{\"a\" 1}"), "in:1:6: ':'"},
    {TEXT("{\"a\":1 \"b\":2}"), "in:1:8: ',' or '}'"},
    {TEXT("[1}"), "in:1:3: ',' or ']'"},
    {TEXT("[1"), "in:1:3: the text ends too early"},
    {TEXT("\"abc"), "in:1:5: the text ends inside a string"},
    {TEXT("\"abc\\"), "in:1:6: the text ends inside a string"},
    {TEXT("{} x"), "in:1:4: nothing may follow"},
    {TEXT("1 2"), "in:1:3: nothing may follow"},
    {TEXT("[9007199254740992]"), "in:1:2: an integer must be within"},
    {TEXT("[\n\n  -9007199254740992]"), "in:3:3: an integer must be within"},
    {TEXT("9223372036854775808"), "in:1:1: an integer must be within"},
    {TEXT("[\"9007199254740993\", 123456789012345678901234567890]"), "in:1:22: an integer must be within"},
    {TEXT("[1e309]"), "in:1:2: this number is too large"},
    {TEXT("[-1e999999999999]"), "in:1:2: this number is too large"},
    {TEXT("[1.7976931348623159e308]"), "this number is too large"},
    {TEXT("01"), "in:1:1: a number must not start with 0"},
    {TEXT("-01"), "in:1:2: a number must not start with 0"},
    {TEXT("1."), "in:1:3: a digit must follow the decimal point"},
    {TEXT("[1.e3]"), "in:1:4: a digit must follow the decimal point"},
    {TEXT("1e+"), "in:1:4: a digit must follow the exponent"},
    {TEXT("-"), "in:1:2: a digit must follow the sign"},
    {TEXT("+1"), "in:1:1: a value is needed"},
    {TEXT(".5"), "in:1:1: a value is needed"},
    {TEXT("NaN"), "in:1:1: a value is needed"},
    {TEXT("[tru]"), "in:1:2: a value is needed"},
    {TEXT("nullx"), "in:1:5: nothing may follow"},
    {TEXT("/* c */ 1"), "in:1:1: a value is needed"},
    {TEXT("\"\xE2\x82\xAC\xC3\xA9 \xFF\""), "in:1:5: not valid UTF-8"},
    {TEXT("\"\xC0\x80\""), "in:1:2: not valid UTF-8"},
    {TEXT("\"\xED\xA0\x80\""), "in:1:2: not valid UTF-8"},
    {TEXT("\"\xF4\x90\x80\x80\""), "in:1:2: not valid UTF-8"},
    {TEXT("\"\xE2\x82\""), "in:1:2: not valid UTF-8"},
    {TEXT("\"ab\\ud800\""), "in:1:4: half of a surrogate pair"},
    {TEXT("\"\\udc00\\ud800\""), "in:1:2: half of a surrogate pair"},
    {TEXT("\"\\ud800\\u0041\""), "in:1:2: half of a surrogate pair"},
    {TEXT("\"\\ud800x\""), "in:1:2: half of a surrogate pair"},
    {TEXT("\"\\u12g4\""), "in:1:2: \\u needs four hex digits"},
    {TEXT("\"\\u12"), "in:1:2: \\u needs four hex digits"},
    {TEXT("\"C:\\temp\\x\""), "in:1:9: unknown escape"},
    {TEXT("\"a\tb\""), "in:1:3: a control character"},
    {TEXT("\"a\nb\""), "in:1:3: a control character"},
};

START_TEST(what_is_not_strict_json_is_refused_with_its_place) {
    for (size_t i = 0; i < sizeof refused_rows / sizeof refused_rows[0]; i++) {
        prov_error err = {0};
        char *exact = malloc(refused_rows[i].len + 1);
        ck_assert_ptr_nonnull(exact);
        memcpy(exact, refused_rows[i].text, refused_rows[i].len);
        exact = realloc(exact, refused_rows[i].len ? refused_rows[i].len : 1);
        json_t *value = psdk_json_parse(exact, refused_rows[i].len, "in", &err);
        free(exact);
        ck_assert_msg(!value, "row %zu was accepted: %s", i, refused_rows[i].text);
        ck_assert_int_eq(err.code, PROV_E_INVALID);
        ck_assert_msg(strstr(err.message, refused_rows[i].expected), "row %zu: %s", i, err.message);
        ck_assert_int_eq(strncmp(err.message, "in:", 3), 0);
    }
}
END_TEST

START_TEST(what_is_strict_json_is_accepted) {
    static const char *const texts[] = {
        "null",
        "true",
        " [ ] ",
        "\t{\r\n}\n",
        "0",
        "-0",
        "-0.0",
        "1E5",
        "1e-400",
        "9007199254740991",
        "-9007199254740991",
        "1e20",
        "9007199254740993.0",
        "1.7976931348623157e308",
        "0.000000000000000000000000000000000000000000001e350",
        "\"\\u00e9\\ud83d\\ude02\\/\\b\\f\\n\\r\\t\\\"\\\\\"",
        "\"\x7f\xEF\xBF\xBF\xF4\x8F\xBF\xBF\"",
        "{\"\":1,\"a\":{\"a\":{}}}",
        "[1,2.5,\"x\",null,true,false,[],{}]",
        "123400000000000000000000000000000000000000000000000000000000000000000000000000000000000000000.0e17"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        prov_error err = {0};
        json_t *value = psdk_json_parse(texts[i], strlen(texts[i]), "in", &err);
        ck_assert_msg(value, "%s: %s", texts[i], err.message);
        ck_assert_uint_eq(value->refcount == (size_t)-1 ? 1 : value->refcount, 1);
        json_decref(value);
    }
}
END_TEST

START_TEST(values_are_what_the_text_says) {
    static const char text[] = "{\"i\":-42,\"r\":0.5,\"s\":\"\\u20ac\\n\",\"a\":[true,null]}";
    prov_error err = {0};
    json_t *value = psdk_json_parse(text, sizeof text - 1, "in", &err);
    ck_assert_ptr_nonnull(value);
    ck_assert_int_eq(json_integer_value(json_object_get(value, "i")), -42);
    ck_assert(json_real_value(json_object_get(value, "r")) == 0.5);
    ck_assert_str_eq(json_string_value(json_object_get(value, "s")), "\xE2\x82\xAC\n");
    ck_assert(json_is_true(json_array_get(json_object_get(value, "a"), 0)));
    ck_assert(json_is_null(json_array_get(json_object_get(value, "a"), 1)));
    json_decref(value);
}
END_TEST

START_TEST(depth_is_limited_before_anything_recurses) {
    size_t huge = 4000000;
    char *text = malloc(huge);
    ck_assert_ptr_nonnull(text);
    prov_error err = {0};
    for (size_t i = 0; i < huge; i++)
        text[i] = '[';
    ck_assert_ptr_null(psdk_json_parse(text, huge, "in", &err));
    ck_assert_msg(strstr(err.message, "in:1:65: nested too deeply"), "%s", err.message);
    for (size_t i = 0; i + 5 <= huge; i += 5)
        memcpy(text + i, "{\"a\":", 5);
    ck_assert_ptr_null(psdk_json_parse(text, huge, "in", &err));
    ck_assert_msg(strstr(err.message, "in:1:321: nested too deeply"), "%s", err.message);
    memset(text, '[', PSDK_JSON_DEPTH);
    memset(text + PSDK_JSON_DEPTH, ']', PSDK_JSON_DEPTH);
    json_t *value = psdk_json_parse(text, 2 * PSDK_JSON_DEPTH, "in", &err);
    ck_assert_ptr_nonnull(value);
    json_decref(value);
    ck_assert_ptr_null(psdk_json_parse(text, PSDK_BUF_MAX + 1, "in", &err));
    ck_assert_int_eq(err.code, PROV_E_LIMIT);
    free(text);
}
END_TEST

static json_t *object;

static void make_object(void) {
    static const char text[] = "{\"s\":\"text\",\"i\":7,\"r\":1.5,\"n\":null,\"o\":{},\"a\":[],\"b\":true,"
                               "\"h\":\"0xba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"}";
    object = psdk_json_parse(text, sizeof text - 1, "in", NULL);
}

static void drop_object(void) {
    json_decref(object);
}

START_TEST(strings_are_read) {
    const char *text = "before";
    prov_error err = {0};
    ck_assert_int_eq(psdk_json_get_str(object, "rec", "s", &text, &err), PROV_OK);
    ck_assert_str_eq(text, "text");
    text = "before";
    ck_assert_int_eq(psdk_json_get_str(object, "rec", "i", &text, &err), PROV_E_INVALID);
    ck_assert_str_eq(err.message, "rec.i: want a string, got a whole number");
    ck_assert_int_eq(psdk_json_get_str(object, "rec", "n", &text, &err), PROV_E_INVALID);
    ck_assert_str_eq(err.message, "rec.n: want a string, got null");
    ck_assert_int_eq(psdk_json_get_str(object, "", "x", &text, &err), PROV_E_INVALID);
    ck_assert_str_eq(err.message, "x: missing; want a string");
    ck_assert_int_eq(psdk_json_opt_str(object, "rec", "x", &text, &err), PROV_OK);
    ck_assert_int_eq(psdk_json_opt_str(object, "rec", "n", &text, &err), PROV_OK);
    ck_assert_str_eq(text, "before");
    ck_assert_int_eq(psdk_json_opt_str(object, "rec", "b", &text, &err), PROV_E_INVALID);
    ck_assert_str_eq(err.message, "rec.b: want a string, got true");
    ck_assert_int_eq(psdk_json_opt_str(object, "rec", "s", &text, &err), PROV_OK);
    ck_assert_str_eq(text, "text");
    ck_assert_int_eq(psdk_json_opt_str(json_object_get(object, "a"), "rec", "s", &text, &err), PROV_E_INVALID);
    ck_assert_int_eq(psdk_json_opt_str(NULL, "", "s", &text, &err), PROV_E_INVALID);
}
END_TEST

START_TEST(integers_are_read_within_their_range) {
    int64_t number = -1;
    prov_error err = {0};
    ck_assert_int_eq(psdk_json_get_int(object, "rec", "i", 7, 7, &number, &err), PROV_OK);
    ck_assert_int_eq(number, 7);
    number = -1;
    ck_assert_int_eq(psdk_json_get_int(object, "rec", "i", 8, 9, &number, &err), PROV_E_INVALID);
    ck_assert_str_eq(err.message, "rec.i: must be from 8 to 9, got 7");
    ck_assert_int_eq(psdk_json_get_int(object, "rec", "i", 0, 6, &number, &err), PROV_E_INVALID);
    ck_assert_int_eq(psdk_json_get_int(object, "rec", "r", 0, 6, &number, &err), PROV_E_INVALID);
    ck_assert_str_eq(err.message, "rec.r: want a whole number, got a number with a fraction");
    ck_assert_int_eq(psdk_json_get_int(object, "rec", "x", 0, 6, &number, &err), PROV_E_INVALID);
    ck_assert_int_eq(psdk_json_opt_int(object, "rec", "x", 0, 6, &number, &err), PROV_OK);
    ck_assert_int_eq(psdk_json_opt_int(object, "rec", "n", 0, 6, &number, &err), PROV_OK);
    ck_assert_int_eq(number, -1);
    ck_assert_int_eq(psdk_json_opt_int(object, "rec", "i", 0, 6, &number, &err), PROV_E_INVALID);
    ck_assert_int_eq(psdk_json_opt_int(object, "rec", "i", INT64_MIN, INT64_MAX, &number, &err), PROV_OK);
    ck_assert_int_eq(number, 7);
}
END_TEST

START_TEST(hashes_objects_and_arrays_are_read) {
    uint8_t hash[32] = {0};
    const json_t *inner = NULL;
    prov_error err = {0};
    ck_assert_int_eq(psdk_json_get_hash(object, "rec", "h", hash, &err), PROV_OK);
    ck_assert_int_eq(hash[0], 0xba);
    ck_assert_int_eq(hash[31], 0xad);
    ck_assert_int_eq(psdk_json_get_hash(object, "rec", "s", hash, &err), PROV_E_INVALID);
    ck_assert_str_eq(err.message, "rec.s: want a hash of 64 hex digits, got another string of 4 bytes");
    ck_assert_int_eq(psdk_json_get_hash(object, "rec", "i", hash, &err), PROV_E_INVALID);
    ck_assert_int_eq(psdk_json_get_obj(object, "rec", "o", &inner, &err), PROV_OK);
    ck_assert(json_is_object(inner));
    ck_assert_int_eq(psdk_json_get_arr(object, "rec", "a", &inner, &err), PROV_OK);
    ck_assert(json_is_array(inner));
    ck_assert_int_eq(psdk_json_get_obj(object, "rec", "a", &inner, &err), PROV_E_INVALID);
    ck_assert_str_eq(err.message, "rec.a: want an object, got an array");
    ck_assert_int_eq(psdk_json_get_arr(object, "rec", "o", &inner, &err), PROV_E_INVALID);
    ck_assert_str_eq(err.message, "rec.o: want an array, got an object");
    ck_assert_int_eq(psdk_json_get_arr(object, "rec", "x", &inner, &err), PROV_E_INVALID);
    ck_assert_str_eq(err.message, "rec.x: missing; want an array");
}
END_TEST

START_TEST(unknown_members_are_refused_with_a_suggestion) {
    static const char *const all[] = {"s", "i", "r", "n", "o", "a", "b", "h", NULL};
    static const char *const names[] = {"timeout", "threads", NULL};
    static const char *const none[] = {NULL};
    prov_error err = {0};
    ck_assert_int_eq(psdk_json_only(object, "rec", all, &err), PROV_OK);
    json_t *typo = json_pack("{s:i, s:i}", "threads", 1, "tiemout", 2);
    ck_assert_int_eq(psdk_json_only(typo, "cfg", names, &err), PROV_E_INVALID);
    ck_assert_str_eq(err.message, "cfg.tiemout: unknown member; did you mean \"timeout\"?");
    json_decref(typo);
    json_t *far = json_pack("{s:i}", "colour", 2);
    ck_assert_int_eq(psdk_json_only(far, "", names, &err), PROV_E_INVALID);
    ck_assert_str_eq(err.message, "colour: unknown member; known ones are timeout, threads");
    ck_assert_int_eq(psdk_json_only(far, "cfg", none, &err), PROV_E_INVALID);
    ck_assert_str_eq(err.message, "cfg.colour: unknown member; known ones are none");
    json_decref(far);
    ck_assert_int_eq(psdk_json_only(NULL, "cfg", names, &err), PROV_E_INVALID);
}
END_TEST

START_TEST(suggestions_are_near_or_absent) {
    static const char *const names[] = {"storage", "chain", "reward", "id", "host", NULL};
    static const struct {
        const char *word;
        const char *expected;
    } rows[] = {{"storage", "storage"}, {"storge", "storage"},
                {"sotrage", "storage"}, {"storagees", "storage"},
                {"chian", "chain"},     {"chains", "chain"},
                {"cain", "chain"},      {"rewrad", "reward"},
                {"ix", NULL},           {"", NULL},
                {"strg", NULL},         {"xyzzyx", NULL},
                {"hain", "chain"},      {"haiin", "chain"},
                {"ha", NULL},           {"hsot", "host"},
                {"hxxt", NULL}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *found = psdk_suggest(rows[i].word, names);
        if (rows[i].expected)
            ck_assert_msg(found && strcmp(found, rows[i].expected) == 0, "%s: %s", rows[i].word,
                          found ? found : "none");
        else
            ck_assert_msg(!found, "%s: %s", rows[i].word, found);
    }
    char word[300];
    memset(word, 'a', sizeof word - 1);
    word[sizeof word - 1] = '\0';
    const char *const huge[] = {word, NULL};
    ck_assert_ptr_null(psdk_suggest(word, huge));
    ck_assert_ptr_null(psdk_suggest("abc", huge));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("json");
    TCase *tc = tcase_create("json");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, make_object, drop_object);
    tcase_add_test(tc, what_is_not_strict_json_is_refused_with_its_place);
    tcase_add_test(tc, what_is_strict_json_is_accepted);
    tcase_add_test(tc, values_are_what_the_text_says);
    tcase_add_test(tc, depth_is_limited_before_anything_recurses);
    tcase_add_test(tc, strings_are_read);
    tcase_add_test(tc, integers_are_read_within_their_range);
    tcase_add_test(tc, hashes_objects_and_arrays_are_read);
    tcase_add_test(tc, unknown_members_are_refused_with_a_suggestion);
    tcase_add_test(tc, suggestions_are_near_or_absent);
    suite_add_tcase(suite, tc);
    SRunner *sr = srunner_create(suite);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? 0 : 1;
}
