/* test_jcs.c - canonical JSON: writer, one-pass checker, members. SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "psdk_hash.h"
#include "psdk_json.h"

/* ---- helpers ---- */

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

/* What parse + write makes of text; false when it cannot be read or written. */
static bool rewrite(const char *text, size_t len, struct psdk_buf *ret) {
    prov_error err = {0};
    json_t *value = psdk_json_parse(text, len, "t", &err);
    if (!value)
        return false;
    int rc = psdk_jcs_write(value, ret, &err);
    json_decref(value);
    return rc == PROV_OK;
}

static bool is_canonical(const char *text, size_t len) {
    struct psdk_buf buf = {0};
    bool same = rewrite(text, len, &buf) && buf.len == len && memcmp(buf.data, text, len) == 0;
    psdk_buf_done(&buf);
    return same;
}

static bool checks(const char *text, size_t len) {
    prov_error err = {0};
    return psdk_jcs_check(text, len, "t", &err) == PROV_OK;
}

static bool read_vector(const char *folder, const char *name, struct psdk_buf *ret) {
    char path[4096];
    const char *root = getenv("PROV_SOURCE_DIR");
    snprintf(path, sizeof path, "%s/../shared/vectors/jcs/%s/%s", root ? root : ".", folder, name);
    FILE *file = fopen(path, "rb");
    if (!file)
        return false;
    char block[4096];
    size_t n;
    while ((n = fread(block, 1, sizeof block, file)) > 0)
        psdk_buf_add(ret, block, n);
    fclose(file);
    return true;
}

/* ---- vectors ---- */

START_TEST(the_published_vectors_come_out_byte_for_byte) {
    static const char *const names[] = {"arrays", "french", "structures", "unicode", "values", "weird"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct psdk_buf in = {0}, expected = {0}, hex = {0}, out = {0}, out_hex = {0};
        char file[64];
        snprintf(file, sizeof file, "%s.json", names[i]);
        if (!read_vector("input", file, &in)) {
            fprintf(stderr, "skipped: no ../shared/vectors/jcs\n");
            return;
        }
        ck_assert(read_vector("output", file, &expected));
        snprintf(file, sizeof file, "%s.txt", names[i]);
        ck_assert(read_vector("outhex", file, &hex));
        ck_assert_msg(rewrite((char *)in.data, in.len, &out), "%s", names[i]);
        ck_assert_uint_eq(out.len, expected.len);
        ck_assert_int_eq(memcmp(out.data, expected.data, out.len), 0);
        psdk_buf_add_hex(&out_hex, out.data, out.len);
        size_t digits = 0;
        for (size_t k = 0; k < hex.len; k++)
            if (hex.data[k] > ' ')
                hex.data[digits++] = hex.data[k];
        ck_assert_uint_eq(digits, out_hex.len);
        ck_assert_int_eq(memcmp(hex.data, out_hex.data, digits), 0);
        ck_assert(checks((char *)out.data, out.len));
        ck_assert(!checks((char *)in.data, in.len));
        psdk_buf_done(&in);
        psdk_buf_done(&expected);
        psdk_buf_done(&hex);
        psdk_buf_done(&out);
        psdk_buf_done(&out_hex);
    }
}
END_TEST

START_TEST(strings_are_escaped_as_little_as_possible) {
    static const struct {
        const char *text;
        const char *expected;
    } rows[] = {
        {"", "\"\""},
        {"plain", "\"plain\""},
        {"a\"b\\c/d", "\"a\\\"b\\\\c/d\""},
        {"\b\t\n\f\r", "\"\\b\\t\\n\\f\\r\""},
        {"\x01\x0b\x1f\x7f", "\"\\u0001\\u000b\\u001f\x7f\""},
        {"\xE2\x82\xAC \xF0\x9F\x98\x82 longer than eight", "\"\xE2\x82\xAC \xF0\x9F\x98\x82 longer than eight\""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct psdk_buf buf = {0};
        ck_assert_int_eq(psdk_jcs_string(&buf, rows[i].text, strlen(rows[i].text)), PROV_OK);
        ck_assert_str_eq(psdk_buf_str(&buf), rows[i].expected);
        ck_assert(checks(psdk_buf_str(&buf), buf.len));
        psdk_buf_done(&buf);
    }
    static const char *const invalid[] = {"\xff", "a\xC3", "\xC0\xAF", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xE2\x82"};
    for (size_t i = 0; i < sizeof invalid / sizeof invalid[0]; i++) {
        struct psdk_buf buf = {0};
        ck_assert_int_eq(psdk_jcs_string(&buf, invalid[i], strlen(invalid[i])), PROV_E_INVALID);
        psdk_buf_done(&buf);
    }
    struct psdk_buf buf = {0};
    ck_assert_int_eq(psdk_jcs_string(&buf, "a\0b", 3), PROV_E_INVALID);
    psdk_buf_done(&buf);
    ck_assert_int_eq(psdk_jcs_string(&buf, NULL, 0), PROV_OK);
    ck_assert_str_eq(psdk_buf_str(&buf), "\"\"");
    psdk_buf_done(&buf);
}
END_TEST

START_TEST(what_cannot_be_expressed_is_refused_and_leaves_the_buffer) {
    json_t *values[] = {json_integer(9007199254740992),  json_integer(-9007199254740992),
                        json_real(9007199254740992.0),   json_real(-1e20),
                        json_stringn_nocheck("\xff", 1), json_stringn("a\0b", 3)};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        struct psdk_buf buf = {0};
        prov_error err = {0};
        json_t *outer = json_pack("[s, o]", "before", values[i]);
        psdk_buf_adds(&buf, "kept");
        ck_assert_int_eq(psdk_jcs_write(outer, &buf, &err), PROV_E_INVALID);
        ck_assert_int_eq(err.code, PROV_E_INVALID);
        ck_assert_str_eq(psdk_buf_str(&buf), "kept");
        ck_assert_uint_eq(buf.len, 4);
        ck_assert_int_eq(buf.failed, 0);
        json_decref(outer);
        psdk_buf_done(&buf);
    }
    struct psdk_buf buf = {0};
    ck_assert_int_eq(psdk_jcs_write(NULL, &buf, NULL), PROV_E_INVALID);
    json_t *deep = json_array();
    for (int i = 1; i < PSDK_JSON_DEPTH; i++)
        deep = json_pack("[o]", deep);
    ck_assert_int_eq(psdk_jcs_write(deep, &buf, NULL), PROV_OK);
    ck_assert(checks(psdk_buf_str(&buf), buf.len));
    deep = json_pack("[o]", deep);
    ck_assert_int_eq(psdk_jcs_write(deep, &buf, NULL), PROV_E_INVALID);
    json_decref(deep);
    psdk_buf_done(&buf);
    struct psdk_buf small = {.max = 8};
    prov_error err = {0};
    json_t *text = json_string("more than eight");
    ck_assert_int_eq(psdk_jcs_write(text, &small, &err), PROV_E_LIMIT);
    ck_assert_int_eq(err.code, PROV_E_LIMIT);
    json_decref(text);
    psdk_buf_done(&small);
}
END_TEST

/* ---- checker ---- */

static const struct {
    const char *text;
    long fault; /* -1: canonical, else the byte */
} check_rows[] = {
    {"null", -1},
    {"true", -1},
    {"false", -1},
    {"\"\"", -1},
    {"{}", -1},
    {"[]", -1},
    {"0", -1},
    {"-1", -1},
    {"[1,2,[],{}]", -1},
    {"{\"a\":{\"b\":[1]},\"b\":2}", -1},
    {"1e+21", -1},
    {"1e-7", -1},
    {"0.000001", -1},
    {"1.5", -1},
    {"9007199254740991", -1},
    {"-9007199254740991", -1},
    {"5e-324", -1},
    {"1.7976931348623157e+308", -1},
    {"0.30000000000000004", -1},
    {"\"\\u001f\\b\\\"\\\\\"", -1},
    {"5.684341886080802e-14", -1},
    {"5.684341886080801e-14", -1},
    /* U+10000 sorts before U+E000 by UTF-16 */
    {"{\"\xF0\x90\x80\x80\":1,\"\xEE\x80\x80\":2}", -1},
    {"{\"\xEE\x80\x80\":1,\"\xF0\x90\x80\x80\":2}", 9},
    {"{\"\xED\x9F\xBF\":1,\"\xF0\x90\x80\x80\":2}", -1},
    /* \n (0A) sorts before " (22), before a backslash (5C), before a (61) */
    {"{\"\":0,\"\\n\":1,\"\\\"\":2,\"A\":3,\"\\\\\":4,\"a\":5}", -1},
    {"{\"\\\\\":1,\"A\":2}", 8},
    {"{\"\\u0001\":1,\"\\b\":2}", -1},
    {"{\"\\b\":1,\"\\u0001\":2}", 8},
    {"{\"a\":1,\"aa\":2}", -1},
    {"{\"aa\":1,\"a\":2}", 8},
    {"{\"\\n\":1,\"\\n\\n\":2}", -1},
    {"{\"\\n\":1,\"\\n\":2}", 8},
    {"", 0},
    {" 1", 0},
    {"1 ", 1},
    {"[1, 2]", 3},
    {"{\"a\": 1}", 5},
    {"{ }", 1},
    {"[\n]", 1},
    {"-0", 0},
    {"0.0", 0},
    {"1.0", 0},
    {"1e3", 0},
    {"1E+21", 0},
    {"1e21", 0},
    {"1e+021", 0},
    {"100e-2", 0},
    {"1.50", 0},
    {"0.0000001", 0},
    {"10e+21", 0},
    {"9007199254740992", 0},
    {"-9007199254740992", 0},
    {"100000000000000000000", 0},
    {"01", 0},
    {"-", 1},
    {"1.", 2},
    {".5", 0},
    {"+1", 0},
    {"1e", 2},
    {"1e+", 3},
    {"0.30000000000000005", 0},
    {"0.300000000000000040", 0},
    {"0.3000000000000000444", 0},
    {"333333333.33333329", 0},
    {"5.6843418860808015e-14", 0},
    {"1e+400", 0},
    {"1e-400", 0},
    {"1.7976931348623159e+308", 0},
    {"4e-324", 0},
    {"4.9e-324", 0},
    {"{\"b\":1,\"a\":2}", 7},
    {"{\"a\":1,\"a\":2}", 7},
    {"{\"a\":1,}", 7},
    {"{,}", 1},
    {"[1,]", 3},
    {"[,1]", 1},
    {"[1 2]", 2},
    {"{\"a\"}", 4},
    {"{\"a\":}", 5},
    {"{a:1}", 1},
    {"[1}", 2},
    {"{\"a\":1]", 6},
    {"[", 1},
    {"{", 1},
    {"{\"a\":1", 6},
    {"\"\\/\"", 1},
    {"\"\\u0041\"", 1},
    {"\"\\u000A\"", 1},
    {"\"\\u000a\"", 1},
    {"\"\\u001F\"", 1},
    {"\"\\u0000\"", 1},
    {"\"\\ud83d\\ude02\"", 1},
    {"\"\\u00e9\"", 1},
    {"\"\\u\"", 1},
    {"\"\\", 1 + 1},
    {"\"\\x\"", 1},
    {"\"abc", 4},
    {"\"a\tb\"", 2},
    {"\"\xff\"", 1},
    {"\"\xED\xA0\x80\"", 1},
    {"\"\xC0\xAF\"", 1},
    {"\"\xE0\x80\x80\"", 1},
    {"\"\xF0\x80\x80\x80\"", 1},
    {"\"\xF4\x90\x80\x80\"", 1},
    {"\"\xE2\x82\"", 1},
    {"\xEF\xBB\xBF"
     "1",
     0},
    {"nul", 0},
    {"nulll", 4},
    {"True", 0},
    {"1 2", 1},
    {"[]]", 2},
    {"NaN", 0},
    {"'a'", 0},
    {"//x", 0},
    {"1,", 1},
    {"]", 0},
};

START_TEST(the_checker_names_the_first_byte_that_is_wrong) {
    for (size_t i = 0; i < sizeof check_rows / sizeof check_rows[0]; i++) {
        const char *text = check_rows[i].text;
        size_t len = strlen(text);
        char *exact = malloc(len + 1); /* so that a sanitizer sees reads beyond */
        ck_assert_ptr_nonnull(exact);
        memcpy(exact, text, len);
        exact = realloc(exact, len ? len : 1);
        prov_error err = {0};
        int rc = psdk_jcs_check(exact, len, "rec", &err);
        if (check_rows[i].fault < 0) {
            ck_assert_msg(rc == PROV_OK, "%s: %s", text, err.message);
            ck_assert_msg(is_canonical(text, len), "%s", text);
        } else {
            char prefix[64];
            snprintf(prefix, sizeof prefix, "rec: byte %ld: ", check_rows[i].fault);
            ck_assert_msg(rc == PROV_E_INVALID && err.code == rc, "%s was accepted", text);
            ck_assert_msg(strncmp(err.message, prefix, strlen(prefix)) == 0, "%s: %s", text, err.message);
            ck_assert_msg(!is_canonical(text, len), "%s", text);
        }
        free(exact);
    }
}
END_TEST

START_TEST(depth_is_limited_without_recursion) {
    size_t huge = 1000000;
    char *text = malloc(huge);
    ck_assert_ptr_nonnull(text);
    memset(text, '[', huge);
    ck_assert(!checks(text, huge));
    memset(text + PSDK_JSON_DEPTH, ']', PSDK_JSON_DEPTH);
    ck_assert(checks(text, 2 * PSDK_JSON_DEPTH));
    memset(text + PSDK_JSON_DEPTH, '[', 1);
    memset(text + PSDK_JSON_DEPTH + 1, ']', PSDK_JSON_DEPTH + 1);
    ck_assert(!checks(text, 2 * PSDK_JSON_DEPTH + 2));
    free(text);
}
END_TEST

/* ---- random values ---- */

static json_t *random_string(void) {
    static const char *const pieces[] = {"a",
                                         "b",
                                         "aa",
                                         "\"",
                                         "\\",
                                         "/",
                                         "\n",
                                         "\x01",
                                         "\x1f",
                                         "\x7f",
                                         "\xC3\xA9",
                                         "\xE2\x82\xAC",
                                         "\xEE\x80\x80",
                                         "\xEF\xBF\xBD",
                                         "\xF0\x9F\x98\x82",
                                         "\xF0\x90\x80\x80",
                                         "\xED\x9F\xBF",
                                         "0123456789abcdef",
                                         " ",
                                         "{",
                                         "]",
                                         ",",
                                         ":"};
    char text[128] = "";
    for (size_t n = random_below(5); n > 0; n--)
        strcat(text, pieces[random_below(sizeof pieces / sizeof pieces[0])]);
    return json_string(text);
}

static json_t *random_number(void) {
    switch (random_below(5)) {
    case 0:
        return json_integer((json_int_t)random_below(200) - 100);
    case 1:
        return json_integer((json_int_t)(random64() >> 11) * (random64() & 1 ? 1 : -1));
    case 2:
        return json_real((double)(int64_t)random_below(100000) / 1000);
    case 3:
        return json_real(ldexp((double)random64(), -(int)random_below(1100)) / 1e22);
    default: {
        double value = double_of_bits(random64());
        bool fits = isfinite(value) && (fabs(value) < 9e15 || fabs(value) >= 1e21);
        return json_real(fits ? value : 0.1);
    }
    }
}

static json_t *random_value(unsigned depth) {
    size_t kind = random_below(depth > 4 ? 4 : 7);
    if (kind == 0)
        return random_below(3) == 0 ? json_null() : json_boolean(random64() & 1);
    if (kind < 3)
        return random_number();
    if (kind == 3)
        return random_string();
    size_t n = random_below(random_below(10) == 0 ? 40 : 6);
    json_t *value = kind == 4 ? json_array() : json_object();
    for (size_t i = 0; i < n; i++) {
        json_t *key = random_string();
        if (kind == 4)
            json_array_append_new(value, random_value(depth + 1));
        else
            json_object_set_new(value, json_string_value(key), random_value(depth + 1));
        json_decref(key);
    }
    return value;
}

static void mutate(struct psdk_buf *buf) {
    static const char alphabet[] =
        "{}[],:\"\\/ \n0123456789eE+-.abunrtf\x01\x7f\xC3\xA9\xE2\x82\xAC\xED\xA0\xF0\x9F\xEF";
    char c = alphabet[random_below(sizeof alphabet)]; /* the NUL too */
    size_t at = random_below(buf->len);
    switch (random_below(4)) {
    case 0:
        buf->data[at] = (uint8_t)c;
        break;
    case 1:
        memmove(buf->data + at, buf->data + at + 1, buf->len - at); /* with the NUL behind */
        buf->len--;
        break;
    case 2:
        psdk_buf_addc(buf, 0);
        memmove(buf->data + at + 1, buf->data + at, buf->len - 1 - at);
        buf->data[at] = (uint8_t)c;
        break;
    default: {
        size_t other = random_below(buf->len);
        uint8_t kept = buf->data[at];
        buf->data[at] = buf->data[other];
        buf->data[other] = kept;
    }
    }
}

START_TEST(the_checker_agrees_with_parse_and_rewrite) {
    size_t accepted = 0;
    for (int i = 0; i < 4000; i++) {
        struct psdk_buf buf = {0}, again = {0};
        prov_error err = {0};
        json_t *value = random_value(0);
        ck_assert_int_eq(psdk_jcs_write(value, &buf, &err), PROV_OK);
        ck_assert_msg(psdk_jcs_check(psdk_buf_str(&buf), buf.len, "t", &err) == PROV_OK, "%s\n%s", err.message,
                      psdk_buf_str(&buf));
        ck_assert(rewrite(psdk_buf_str(&buf), buf.len, &again));
        ck_assert_str_eq(psdk_buf_str(&again), psdk_buf_str(&buf));
        for (int k = 0; k < 12; k++) {
            psdk_buf_clear(&again);
            psdk_buf_add(&again, buf.data, buf.len);
            for (size_t n = 1 + random_below(2); n > 0 && again.len > 0; n--)
                mutate(&again);
            bool canonical = is_canonical(psdk_buf_str(&again), again.len);
            accepted += canonical;
            ck_assert_msg(checks(psdk_buf_str(&again), again.len) == canonical, "%s: %s",
                          canonical ? "refused" : "accepted", psdk_buf_str(&again));
        }
        json_decref(value);
        psdk_buf_done(&buf);
        psdk_buf_done(&again);
    }
    ck_assert_uint_gt(accepted, 1000); /* the mutations hit both sides */
}
END_TEST

/* ---- members ---- */

START_TEST(members_are_found_by_name_at_the_top_level_alone) {
    static const char text[] =
        "{\"\":0,\"\\n\":9,\"B\":7,\"a\":1,\"ab\":{\"z\":[\"}\",2,{}],\"zz\":\"\\\"},\"},\"b\":\"x,y\",\"c\":[1,[2],3],"
        "\"d\":null,\"\xC3\xA9\":5}";
    static const struct {
        const char *key;
        const char *value;
    } rows[] = {{"", "0"},        {"B", "7"},         {"a", "1"},    {"ab", "{\"z\":[\"}\",2,{}],\"zz\":\"\\\"},\"}"},
                {"b", "\"x,y\""}, {"c", "[1,[2],3]"}, {"d", "null"}, {"z", NULL},
                {"zz", NULL},     {"e", NULL},        {"A", NULL},   {"aa", NULL}};
    ck_assert(checks(text, sizeof text - 1));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t len = 0;
        const char *found = psdk_jcs_member(text, sizeof text - 1, rows[i].key, &len);
        if (!rows[i].value) {
            ck_assert_msg(!found, "%s", rows[i].key);
            continue;
        }
        ck_assert_msg(found, "%s", rows[i].key);
        ck_assert_uint_eq(len, strlen(rows[i].value));
        ck_assert_int_eq(memcmp(found, rows[i].value, len), 0);
    }
    size_t len;
    ck_assert_ptr_null(psdk_jcs_member("{}", 2, "a", &len));
    ck_assert_ptr_null(psdk_jcs_member("[]", 2, "a", &len));
    ck_assert_ptr_null(psdk_jcs_member("", 0, "a", &len));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("jcs");
    TCase *tc = tcase_create("jcs");
    tcase_set_timeout(tc, 100);
    tcase_add_test(tc, the_published_vectors_come_out_byte_for_byte);
    tcase_add_test(tc, strings_are_escaped_as_little_as_possible);
    tcase_add_test(tc, what_cannot_be_expressed_is_refused_and_leaves_the_buffer);
    tcase_add_test(tc, the_checker_names_the_first_byte_that_is_wrong);
    tcase_add_test(tc, depth_is_limited_without_recursion);
    tcase_add_test(tc, the_checker_agrees_with_parse_and_rewrite);
    tcase_add_test(tc, members_are_found_by_name_at_the_top_level_alone);
    suite_add_tcase(suite, tc);
    SRunner *sr = srunner_create(suite);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? 0 : 1;
}
