/* Tree heads and proofs in text. SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "pv_note.h"

#define B43 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define ZERO B43 "=" /* 32 zero bytes */
#define TOP "c2sp.org/tlog-proof@v1\n"

static prov_error err;

START_TEST(a_tree_head_reads_back)
{
    static const uint64_t sizes[] = {0, 1, 9, 10, 255, 20852163, INT64_MAX, UINT64_MAX};
    struct psdk_ed25519 key = {.pkey = NULL};
    uint8_t seed[32] = {1};

    ck_assert_int_eq(psdk_ed25519_from_seed(&key, seed, &err), PROV_OK);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct pv_tree_head head = {.origin = "provhost.local/models/m", .size = sizes[i]}, again;
        struct psdk_buf out = {0}, text = {0};
        struct pv_note note;

        memset(head.root, (int)i + 200, 32);
        ck_assert_msg(pv_tree_head_sign(&out, &head, &key, &err) == PROV_OK, "%s", err.message);
        ck_assert_uint_le(out.len, PV_TREE_HEAD_MAX);
        ck_assert_int_eq(pv_note_parse(psdk_buf_str(&out), out.len, "n", &note, &err), PROV_OK);
        ck_assert(pv_note_signed_by(&note, head.origin, key.public_key, NULL));
        ck_assert_msg(pv_tree_head_parse(&note, &again, &err) == PROV_OK, "%s", err.message);
        ck_assert_str_eq(again.origin, head.origin);
        ck_assert_uint_eq(again.size, sizes[i]);
        ck_assert_mem_eq(again.root, head.root, 32);
        ck_assert_int_eq(pv_tree_head_text(&text, &again), PROV_OK);
        ck_assert_uint_eq(text.len, note.text_len);
        ck_assert_mem_eq(text.data, note.text, text.len);
        pv_note_done(&note);
        psdk_buf_done(&text);
        psdk_buf_done(&out);
    }
    psdk_ed25519_done(&key);
}
END_TEST

START_TEST(the_text_is_three_lines)
{
    struct pv_tree_head head = {.origin = "o", .size = 70000};
    struct psdk_buf out = {0};

    ck_assert_int_eq(pv_tree_head_text(&out, &head), PROV_OK);
    ck_assert_str_eq(psdk_buf_str(&out), "o\n70000\n" ZERO "\n");
    psdk_buf_done(&out);
}
END_TEST

START_TEST(a_malformed_tree_head_is_refused_with_its_line)
{
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"\n1\n" ZERO "\n", "line 1"},
        {"o\n", "line 2"},
        {"o\n\n" ZERO "\n", "line 2"},
        {"o\n01\n" ZERO "\n", "line 2"},
        {"o\n00\n" ZERO "\n", "line 2"},
        {"o\n+1\n" ZERO "\n", "line 2"},
        {"o\n-1\n" ZERO "\n", "line 2"},
        {"o\n 1\n" ZERO "\n", "line 2"},
        {"o\n1 \n" ZERO "\n", "line 2"},
        {"o\n0x1\n" ZERO "\n", "line 2"},
        {"o\n18446744073709551616\n" ZERO "\n", "line 2"},
        {"o\n99999999999999999999999\n" ZERO "\n", "line 2"},
        {"o\n1\n", "line 3"},
        {"o\n1\n\n", "line 3"},
        {"o\n1\n" B43 "\n", "line 3"},
        {"o\n1\n" ZERO "=\n", "line 3"},
        {"o\n1\n" B43 "A\n", "line 3"},
        {"o\n1\nAAAA" ZERO "\n", "line 3"},
        {"o\n1\n" ZERO " \n", "line 3"},
        {"o\n1\n" ZERO "\n\n", "line 4"},
        {"o\n1\n" ZERO "\next\n\nmore\n", "line 5"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct pv_note note = {.text = rows[i].text, .text_len = strlen(rows[i].text)};
        struct pv_tree_head head = {.size = 77};
        ck_assert_msg(pv_tree_head_parse(&note, &head, &err) == PROV_E_CORRUPT, "row %zu", i);
        ck_assert_msg(strstr(err.message, rows[i].want) != NULL, "row %zu: %s", i, err.message);
        ck_assert_uint_eq(head.size, 77);
    }
}
END_TEST

START_TEST(extension_lines_and_foreign_origins_are_read)
{
    static const char text[] = "An origin + with spaces\n18446744073709551615\n" ZERO "\nan extension\nanother\n";
    struct pv_note note = {.text = text, .text_len = sizeof(text) - 1};
    struct pv_tree_head head;

    ck_assert_msg(pv_tree_head_parse(&note, &head, &err) == PROV_OK, "%s", err.message);
    ck_assert_str_eq(head.origin, "An origin + with spaces");
    ck_assert_uint_eq(head.size, UINT64_MAX);
}
END_TEST

START_TEST(an_origin_that_is_no_line_is_not_written)
{
    static const char *const origins[] = {"", "a\nb", "a\tb", "\xff"};
    struct pv_tree_head head = {.size = 1};
    struct psdk_buf out = {0};

    for (size_t i = 0; i < sizeof(origins) / sizeof(origins[0]); i++) {
        strcpy(head.origin, origins[i]);
        ck_assert_int_eq(pv_tree_head_text(&out, &head), PROV_E_INVALID);
        ck_assert_uint_eq(out.len, 0);
    }
    memset(head.origin, 'o', sizeof(head.origin));
    ck_assert_int_eq(pv_tree_head_text(&out, &head), PROV_E_INVALID);

    struct psdk_buf text = {0};
    psdk_buf_add(&text, head.origin, PV_NAME_MAX);
    psdk_buf_adds(&text, "\n1\n" ZERO "\n");
    struct pv_note note = {.text = psdk_buf_str(&text), .text_len = text.len};
    ck_assert_int_eq(pv_tree_head_parse(&note, &head, &err), PROV_E_LIMIT);
    psdk_buf_done(&text);
}
END_TEST

START_TEST(a_proof_reads_back)
{
    static const uint32_t counts[] = {0, 1, 17, 64};
    static const char head[] = "o\n9\n" ZERO "\n\nsignatures here\n";

    for (size_t i = 0; i < 2 * sizeof(counts) / sizeof(counts[0]); i++) {
        struct pv_tlog_proof proof = {.index = i == 0 ? UINT64_MAX : i, .count = counts[i / 2], .tree_head = head,
                                      .tree_head_len = sizeof(head) - 1}, again;
        struct psdk_buf out = {0};

        if (i % 2 == 1) {
            proof.extra = "ZXh0cmE=";
            proof.extra_len = 8;
        }
        for (uint32_t k = 0; k < proof.count; k++)
            memset(proof.hash[k], (int)k + 1, 32);
        ck_assert_int_eq(pv_tlog_proof_write(&out, &proof), PROV_OK);
        ck_assert_msg(pv_tlog_proof_parse(psdk_buf_str(&out), out.len, "p", &again, &err) == PROV_OK, "%s",
                      err.message);
        ck_assert_uint_eq(again.index, proof.index);
        ck_assert_uint_eq(again.count, proof.count);
        ck_assert_mem_eq(again.hash, proof.hash, sizeof(proof.hash));
        ck_assert_uint_eq(again.extra_len, proof.extra_len);
        ck_assert((again.extra == NULL) == (proof.extra == NULL));
        ck_assert_uint_eq(again.tree_head_len, sizeof(head) - 1);
        ck_assert_mem_eq(again.tree_head, head, sizeof(head) - 1);
        psdk_buf_done(&out);
    }
}
END_TEST

START_TEST(a_proof_that_is_none_is_not_written)
{
    struct pv_tlog_proof good = {.count = 1, .tree_head = "o\n", .tree_head_len = 2}, bad[4];
    struct psdk_buf out = {0};

    for (size_t i = 0; i < 4; i++)
        bad[i] = good;
    bad[0].count = 65;
    bad[1].tree_head_len = 0;
    bad[2].extra = "AA";
    bad[2].extra_len = 2;
    bad[3].extra = "";
    for (size_t i = 0; i < 4; i++) {
        ck_assert_msg(pv_tlog_proof_write(&out, &bad[i]) == PROV_E_INVALID, "row %zu", i);
        ck_assert_uint_eq(out.len, 0);
    }
    psdk_buf_done(&out);
}
END_TEST

START_TEST(a_malformed_proof_is_refused_with_its_line)
{
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"", "line 1"},
        {"c2sp.org/tlog-proof@v1", "line 1"},
        {"c2sp.org/tlog-proof@v2\nindex 0\n\nh\n", "line 1"},
        {"c2sp.org/tlog-proof@v1 \nindex 0\n\nh\n", "line 1"},
        {"c2sp.org/tlog-proof@v1\r\nindex 0\n\nh\n", "line 1"},
        {TOP, "line 2"},
        {TOP "\n", "line 2"},
        {TOP "index\n\nh\n", "line 2"},
        {TOP "index \n\nh\n", "line 2"},
        {TOP "index 01\n\nh\n", "line 2"},
        {TOP "index -1\n\nh\n", "line 2"},
        {TOP "Index 1\n\nh\n", "line 2"},
        {TOP "index 18446744073709551616\n\nh\n", "line 2"},
        {TOP "extra \nindex 1\n\nh\n", "line 2: the extra data"},
        {TOP "extra AA\nindex 1\n\nh\n", "line 2: the extra data"},
        {TOP "extra AB==\nindex 1\n\nh\n", "line 2: the extra data"},
        {TOP "extra AAAA\n", "line 3"},
        {TOP "extra AAAA\nextra AAAA\nindex 1\n\nh\n", "line 3"},
        {TOP "index 1\nextra AAAA\n\nh\n", "line 3: want a hash"},
        {TOP "index 1\n" ZERO "\n" B43 "\n\nh\n", "line 4: want a hash"},
        {TOP "index 1\n" B43 "B\n\nh\n", "line 3: want a hash"},
        {TOP "index 1\n " ZERO "\n\nh\n", "line 3: want a hash"},
        {TOP "index 1\n" ZERO "\n", "line 4: it ends before"},
        {TOP "index 1\n" ZERO, "line 3: it ends before"},
        {TOP "index 1\n\n", "no tree head after line 3"},
    };
    struct pv_tlog_proof proof = {.index = 77};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ck_assert_msg(pv_tlog_proof_parse(rows[i].text, strlen(rows[i].text), "p", &proof, &err) == PROV_E_CORRUPT,
                      "row %zu", i);
        ck_assert_msg(strstr(err.message, rows[i].want) != NULL, "row %zu: %s", i, err.message);
        ck_assert_uint_eq(proof.index, 77);
    }

    struct psdk_buf out = {0};
    psdk_buf_adds(&out, TOP "index 0\n");
    for (int i = 0; i < 65; i++)
        psdk_buf_adds(&out, ZERO "\n");
    psdk_buf_adds(&out, "\nh\n");
    ck_assert_int_eq(pv_tlog_proof_parse(psdk_buf_str(&out), out.len, "p", &proof, &err), PROV_E_CORRUPT);
    ck_assert_msg(strstr(err.message, "line 67: more than 64") != NULL, "%s", err.message);
    ck_assert_int_eq(pv_tlog_proof_parse(psdk_buf_str(&out), PV_TLOG_PROOF_MAX + 1, "p", &proof, &err), PROV_E_LIMIT);
    psdk_buf_done(&out);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tree_head");
    TCase *tc = tcase_create("tree_head");

    tcase_add_test(tc, a_tree_head_reads_back);
    tcase_add_test(tc, the_text_is_three_lines);
    tcase_add_test(tc, a_malformed_tree_head_is_refused_with_its_line);
    tcase_add_test(tc, extension_lines_and_foreign_origins_are_read);
    tcase_add_test(tc, an_origin_that_is_no_line_is_not_written);
    tcase_add_test(tc, a_proof_reads_back);
    tcase_add_test(tc, a_proof_that_is_none_is_not_written);
    tcase_add_test(tc, a_malformed_proof_is_refused_with_its_line);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
