/* Names of tiles, entry bundles. SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "pv_tile.h"

static const struct {
    const char *name;
    char kind;
    unsigned level;
    uint64_t index;
    unsigned width;
} names[] = {
    {"tile/0/000", 'h', 0, 0, 256},
    {"tile/0/000.p/1", 'h', 0, 0, 1},
    {"tile/0/999.p/255", 'h', 0, 999, 255},
    {"tile/0/x001/000", 'h', 0, 1000, 256},
    {"tile/0/x001/x234/067.p/12", 'h', 0, 1234067, 12},
    {"tile/7/x001/x234/067", 'h', 7, 1234067, 256},
    {"tile/63/x010/000", 'h', 63, 10000, 256},
    {"tile/entries/000", 'e', 0, 0, 256},
    {"tile/entries/x001/x234/067.p/12", 'e', 0, 1234067, 12},
    {"signatures/273.p/112", 's', 0, 273, 112},
    {"signatures/x123/456", 's', 0, 123456, 256},
    {"tile/0/x018/x446/x744/x073/x709/x551/615", 'h', 0, UINT64_MAX, 256},
};

START_TEST(names_are_written_and_read_back)
{
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char made[PV_TILE_NAME], kind = 0;
        unsigned level = 99, width = 0;
        uint64_t index = 99;

        if (names[i].kind == 'h')
            pv_tile_name(names[i].level, names[i].index, names[i].width, made);
        else if (names[i].kind == 'e')
            pv_entries_name(names[i].index, names[i].width, made);
        else
            pv_signatures_name(names[i].index, names[i].width, made);
        ck_assert_str_eq(made, names[i].name);
        ck_assert_msg(pv_tile_name_parse(names[i].name, &kind, &level, &index, &width), "%s", names[i].name);
        ck_assert_int_eq(kind, names[i].kind);
        ck_assert_uint_eq(level, names[i].level);
        ck_assert_uint_eq(index, names[i].index);
        ck_assert_uint_eq(width, names[i].width);
    }
}
END_TEST

START_TEST(other_names_are_refused)
{
    static const char *const bad[] = {
        "", "tile", "tile/", "tile/0", "tile/0/", "tile//000", "tile/0/0", "tile/0/00", "tile/0/0000", "tile/00/000",
        "tile/01/000", "tile/64/000", "tile/-1/000", "tile/0/x000/000", "tile/0/x000/x001/000", "tile/0/001/000",
        "tile/0/x001", "tile/0/x001/", "tile/0/x001/x002", "tile/0/X001/000", "tile/0/x01/000", "tile/0/x0001/000",
        "tile/0/000/", "tile/0/000.p", "tile/0/000.p/", "tile/0/000.p/0", "tile/0/000.p/00", "tile/0/000.p/01",
        "tile/0/000.p/256", "tile/0/000.p/999", "tile/0/000.p/1000", "tile/0/000.p/+1", "tile/0/000.p/1 ",
        "tile/0/000.p/1/", "tile/0/000.q/1", "tile/0/ 00", "tile/0/+00", "/tile/0/000", "tile/x/000", "tile/entries",
        "tile/entries/", "tile/entries/0", "Tile/0/000", "signatures", "signatures/", "signatures/0/000",
        "tile/signatures/000", "entries/000", "tile/0/x018/x446/x744/x073/x709/x551/616",
        "tile/0/x018/x446/x744/x073/x709/x552/000", "tile/0/x001/x000/x000/x000/x000/x000/x000/000",
        "tile/0/x999/x999/x999/x999/x999/x999/999", "tile/0/000.p/1.p/1", "tile/0/000.p/1x",
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char kind = '?';
        unsigned level = 99, width = 99;
        uint64_t index = 99;
        ck_assert_msg(!pv_tile_name_parse(bad[i], &kind, &level, &index, &width), "'%s' is read", bad[i]);
        ck_assert(kind == '?' && level == 99 && index == 99 && width == 99);
    }
}
END_TEST

START_TEST(widths_follow_the_size_of_the_tree)
{
    static const struct {
        unsigned level;
        uint64_t index, size;
        unsigned want;
    } rows[] = {
        {0, 0, 0, 0},          {0, 0, 1, 1},           {0, 0, 255, 255},       {0, 0, 256, 256},
        {0, 1, 256, 0},        {1, 0, 255, 0},         {1, 0, 256, 1},         {1, 0, 257, 1},
        {0, 0, 70000, 256},    {0, 272, 70000, 256},   {0, 273, 70000, 112},   {0, 274, 70000, 0},
        {1, 0, 70000, 256},    {1, 1, 70000, 17},      {1, 2, 70000, 0},       {2, 0, 70000, 1},
        {2, 1, 70000, 0},      {3, 0, 70000, 0},       {7, 0, UINT64_MAX, 255}, {7, 1, UINT64_MAX, 0},
        {8, 0, UINT64_MAX, 0}, {63, 0, UINT64_MAX, 0}, {0, UINT64_MAX, UINT64_MAX, 0},
        {0, (UINT64_MAX >> 8), UINT64_MAX, 255},       {0, (UINT64_MAX >> 8) + 1, UINT64_MAX, 0},
        {0, (uint64_t)1 << 56, 5, 0},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        ck_assert_msg(pv_tile_width(rows[i].level, rows[i].index, rows[i].size) == rows[i].want, "row %zu", i);
}
END_TEST

START_TEST(the_tiles_of_a_tree_hold_each_hash_once)
{
    for (uint64_t size = 0; size < 200000; size = size * 3 / 2 + 1) {
        uint64_t leaves = size;
        for (unsigned level = 0; level < PV_TILE_LEVELS; level++, leaves /= 256) {
            uint64_t sum = 0, index = 0;
            for (unsigned width; (width = pv_tile_width(level, index, size)) > 0; index++)
                sum += width;
            ck_assert_uint_eq(sum, leaves);
        }
    }
}
END_TEST

START_TEST(a_bundle_reads_back)
{
    static const size_t lengths[] = {0, 1, 255, 256, 257, PV_ENTRY_MAX, 0};
    static uint8_t bytes[PV_ENTRY_MAX + 1];
    struct psdk_buf out = {0};
    const uint8_t *entry;
    size_t at = 0, len;

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * 31);
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
        ck_assert_int_eq(pv_bundle_add(&out, bytes, lengths[i]), PROV_OK);
    ck_assert_int_eq(out.data[2], 0); /* big-endian 1 after the empty entry */
    ck_assert_int_eq(out.data[3], 1);
    size_t before = out.len;
    ck_assert_int_eq(pv_bundle_add(&out, bytes, PV_ENTRY_MAX + 1), PROV_E_LIMIT);
    ck_assert_uint_eq(out.len, before);
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        ck_assert_int_eq(pv_bundle_next(out.data, out.len, &at, &entry, &len), 1);
        ck_assert_uint_eq(len, lengths[i]);
        ck_assert(memcmp(entry, bytes, len) == 0);
    }
    ck_assert_int_eq(pv_bundle_next(out.data, out.len, &at, &entry, &len), 0);
    ck_assert_int_eq(pv_bundle_next(out.data, out.len, &at, &entry, &len), 0);
    psdk_buf_done(&out);
}
END_TEST

START_TEST(a_cut_bundle_is_refused_at_every_length)
{
    struct psdk_buf out = {0};
    size_t ends[3] = {0};

    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(pv_bundle_add(&out, "some entry", 10 - i), PROV_OK);
        ends[i] = out.len;
    }
    for (size_t cut = 0; cut <= out.len; cut++) {
        uint8_t *copy = malloc(cut + 1); /* of the exact size, so that a sanitizer sees a step too far */
        const uint8_t *entry;
        size_t at = 0, len;
        int rc;

        memcpy(copy, out.data, cut);
        uint8_t *tight = realloc(copy, cut > 0 ? cut : 1);
        while ((rc = pv_bundle_next(tight, cut, &at, &entry, &len)) == 1)
            ck_assert_msg(entry >= tight && entry + len <= tight + cut, "cut at %zu: an entry past the end", cut);
        bool whole = cut == 0 || cut == ends[0] || cut == ends[1] || cut == ends[2];
        ck_assert_msg(rc == (whole ? 0 : PROV_E_CORRUPT), "cut at %zu: %d", cut, rc);
        free(tight);
    }
    size_t past = 5, len;
    const uint8_t *entry;
    ck_assert_int_eq(pv_bundle_next("ab", 2, &past, &entry, &len), PROV_E_CORRUPT);
    psdk_buf_done(&out);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tile");
    TCase *tc = tcase_create("tile");

    tcase_add_test(tc, names_are_written_and_read_back);
    tcase_add_test(tc, other_names_are_refused);
    tcase_add_test(tc, widths_follow_the_size_of_the_tree);
    tcase_add_test(tc, the_tiles_of_a_tree_hold_each_hash_once);
    tcase_add_test(tc, a_bundle_reads_back);
    tcase_add_test(tc, a_cut_bundle_is_refused_at_every_length);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
