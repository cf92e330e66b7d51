/* safetensors: reader, digests, writer. SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "psdk_file.h"
#include "psdk_hash.h"
#include "pv_safetensors.h"

static prov_error err;
static char folder[256];

static void setup(void)
{
    const char *base = getenv("TMPDIR");

    snprintf(folder, sizeof(folder), "%s/prov-st-XXXXXX", base != NULL ? base : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    memset(&err, 0, sizeof(err));
}

static void teardown(void)
{
    psdk_remove_tree(folder, &err);
}

/* The parse of a header in text for a file that has data_bytes after it. */
static int parse(const char *header, uint64_t data_bytes, struct pv_safetensors *ret)
{
    memset(&err, 0, sizeof(err));
    return pv_safetensors_parse(header, strlen(header), PV_SAFETENSORS_PREFIX + strlen(header) + data_bytes, "f", ret,
                                &err);
}

#define T(dtype, shape, offsets) "{\"dtype\":\"" dtype "\",\"shape\":[" shape "],\"data_offsets\":[" offsets "]}"

START_TEST(tensors_are_listed_in_the_order_of_their_data)
{
    static const char header[] = "{\"b\":" T("F32", "2,3", "4,28") ",\"__metadata__\":{\"format\":\"pt\"},"
                                 "\"a\":" T("BF16", "2", "0,4") ",\"empty\":" T("I64", "0,7", "28,28") ","
                                 "\"scalar\":" T("U8", "", "28,29") "}   ";
    struct pv_safetensors list;

    ck_assert_msg(parse(header, 29, &list) == PROV_OK, "%s", err.message);
    uint64_t data = PV_SAFETENSORS_PREFIX + sizeof(header) - 1;
    ck_assert_uint_eq(list.n_tensors, 4);
    ck_assert_uint_eq(list.data_offset_bytes, data);
    ck_assert_uint_eq(list.file_bytes, data + 29);
    ck_assert_str_eq(json_string_value(json_object_get(list.metadata, "format")), "pt");
    ck_assert_str_eq(list.tensors[0].name, "a");
    ck_assert_uint_eq(list.tensors[0].offset_bytes, data);
    ck_assert_str_eq(list.tensors[1].name, "b");
    ck_assert_str_eq(list.tensors[1].dtype, "F32");
    ck_assert_uint_eq(list.tensors[1].rank, 2);
    ck_assert_uint_eq(list.tensors[1].shape[0], 2);
    ck_assert_uint_eq(list.tensors[1].shape[1], 3);
    ck_assert_uint_eq(list.tensors[1].offset_bytes, data + 4);
    ck_assert_uint_eq(list.tensors[1].size_bytes, 24);
    ck_assert_str_eq(list.tensors[2].name, "empty");
    ck_assert_uint_eq(list.tensors[2].size_bytes, 0);
    ck_assert_uint_eq(list.tensors[2].shape[1], 7);
    ck_assert_uint_eq(list.tensors[3].rank, 0);
    ck_assert_ptr_eq(pv_safetensors_find(&list, "scalar"), &list.tensors[3]);
    ck_assert_ptr_null(pv_safetensors_find(&list, "__metadata__"));
    pv_safetensors_done(&list);
    pv_safetensors_done(&list);

    ck_assert_int_eq(parse("{}", 0, &list), PROV_OK);
    ck_assert_uint_eq(list.n_tensors, 0);
    ck_assert_ptr_null(list.metadata);
    pv_safetensors_done(&list);
}
END_TEST

START_TEST(a_malformed_header_is_refused_with_the_tensor)
{
    static const struct {
        const char *header;
        uint64_t data_bytes;
        const char *want;
    } rows[] = {
        {"", 0, "not a JSON object"},
        {"  ", 0, "not a JSON object"},
        {"[]", 0, "not a JSON object"},
        {" {}", 0, "not a JSON object"},
        {"{}\n", 0, "not a JSON object"},
        {"{}x", 0, "not a JSON object"},
        {"{}}", 0, "f:1:"},
        {"{\"a\":" T("U8", "1", "0,1") ",\"a\":" T("U8", "1", "1,2") "}", 2, "occurs twice"},
        {"{\"a\":" T("U8", "1", "0,1") ",\"\\u0061\":" T("U8", "1", "1,2") "}", 2, "occurs twice"},
        {"{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "occurs twice"},
        {"{\"\xff\":" T("U8", "1", "0,1") "}", 1, "f:1:"},
        {"{\"a\":1}", 0, "tensor 'a': want an object"},
        {"{\"a\":{}}", 0, "tensor 'a': want an object"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1],\"x\":1}}", 1, "want an object"},
        {"{\"a\":{\"dtype\":8,\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "want an object"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":1,\"data_offsets\":[0,1]}}", 1, "want an object"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":0}}", 1, "want an object"},
        {"{\"a\":" T("u8", "1", "0,1") "}", 1, "dtype is unknown"},
        {"{\"a\":" T("F128", "1", "0,16") "}", 16, "dtype is unknown"},
        {"{\"a\":" T("U8", "-1", "0,1") "}", 1, "its shape has"},
        {"{\"a\":" T("U8", "1.0", "0,1") "}", 1, "its shape has"},
        {"{\"a\":" T("U8", "\"1\"", "0,1") "}", 1, "its shape has"},
        {"{\"a\":" T("U8", "[1]", "0,1") "}", 1, "its shape has"},
        {"{\"a\":" T("U8", "1", "0") "}", 1, "data_offsets"},
        {"{\"a\":" T("U8", "1", "0,1,2") "}", 1, "data_offsets"},
        {"{\"a\":" T("U8", "1", "-1,0") "}", 1, "data_offsets"},
        {"{\"a\":" T("U8", "1", "0,1.0") "}", 1, "data_offsets"},
        {"{\"a\":" T("U8", "1", "1,0") "}", 1, "end before they begin"},
        {"{\"a\":" T("U8", "2", "0,2") "}", 1, "past the end of the file"},
        {"{\"a\":" T("U8", "2", "0,1") "}", 1, "not as long as"},
        {"{\"a\":" T("F32", "1", "0,1") "}", 1, "not as long as"},
        {"{\"a\":" T("F4", "3", "0,1") "}", 1, "no whole number of bytes"},
        {"{\"a\":" T("F6_E2M3", "3", "0,2") "}", 2, "no whole number of bytes"},
        {"{\"a\":" T("F64", "4294967296,4294967296", "0,0") "}", 0, "too large"},
        {"{\"a\":" T("U8", "2305843009213693,8192", "0,0") "}", 0, "too large"},
        {"{\"a\":" T("U8", "1", "1,2") "}", 2, "tensor 'a': its data begin at 1, but those before end at 0 (a gap)"},
        {"{\"a\":" T("U8", "2", "0,2") ",\"b\":" T("U8", "2", "1,3") "}", 3, "tensor 'b': its data begin at 1"},
        {"{\"a\":" T("U8", "2", "0,2") ",\"b\":" T("U8", "2", "0,2") "}", 2, "an overlap"},
        {"{\"a\":" T("U8", "2", "0,2") ",\"b\":" T("U8", "1", "3,4") "}", 4, "a gap"},
        {"{\"a\":" T("U8", "2", "0,2") ",\"e\":" T("U8", "0", "1,1") "}", 2, "an overlap"},
        {"{\"a\":" T("U8", "2", "0,2") "}", 3, "the file has 3 after the header"},
        {"{}", 1, "the file has 1 after the header"},
        {"{\"__metadata__\":1}", 0, "not an object"},
        {"{\"__metadata__\":{\"a\":1}}", 0, "'a' is not a text"},
        {"{\"x\\n\\u001b[1m\":1}", 0, "tensor 'x??[1m'"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct pv_safetensors list = {.n_tensors = 5};
        int rc = parse(rows[i].header, rows[i].data_bytes, &list);
        ck_assert_msg(rc == PROV_E_CORRUPT, "row %zu: %d %s", i, rc, err.message);
        ck_assert_msg(strstr(err.message, rows[i].want) != NULL, "row %zu: %s", i, err.message);
        ck_assert_msg(strncmp(err.message, "f:", 2) == 0, "row %zu: %s", i, err.message);
        ck_assert(list.json == NULL && list.tensors == NULL && list.n_tensors == 0);
    }
}
END_TEST

START_TEST(a_long_name_is_cut_at_a_character)
{
    char header[2000] = "{\"";
    struct pv_safetensors list;

    for (int i = 0; i < 200; i++)
        strcat(header, "\xc3\xa9");
    strcat(header, "\":1}");
    ck_assert_int_eq(parse(header, 0, &list), PROV_E_CORRUPT);
    json_t *valid = json_string(err.message); /* jansson refuses what is not UTF-8 */
    ck_assert_ptr_nonnull(valid);
    json_decref(valid);
}
END_TEST

START_TEST(the_length_of_the_header_is_checked_first)
{
    static const struct {
        uint8_t prefix[8];
        uint64_t file_bytes, max;
        int want;
    } rows[] = {
        {{2}, 10, 0, PROV_OK},
        {{2}, 9, 0, PROV_E_CORRUPT},
        {{0}, 8, 0, PROV_E_CORRUPT},
        {{1}, 9, 0, PROV_E_CORRUPT},
        {{2}, 7, 0, PROV_E_CORRUPT},
        {{2}, 0, 0, PROV_E_CORRUPT},
        {{0, 1}, 8 + 256, 0, PROV_OK},
        {{0, 1}, 8 + 255, 0, PROV_E_CORRUPT},
        {{0, 1}, 8 + 256, 255, PROV_E_LIMIT},
        {{0, 1}, 8 + 256, 256, PROV_OK},
        {{0x00, 0xe1, 0xf5, 0x05}, UINT64_MAX, 0, PROV_OK},
        {{0x01, 0xe1, 0xf5, 0x05}, UINT64_MAX, 0, PROV_E_LIMIT},
        {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, UINT64_MAX, UINT64_MAX, PROV_E_CORRUPT},
        {{0xf8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 100, UINT64_MAX, PROV_E_CORRUPT},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t bytes = 0;
        int rc = pv_safetensors_header_bytes(rows[i].prefix, rows[i].file_bytes, rows[i].max, "f", &bytes, &err);
        ck_assert_msg(rc == rows[i].want, "row %zu: %d", i, rc);
    }
}
END_TEST

START_TEST(sizes_follow_dtype_and_shape)
{
    static const struct {
        const char *dtype;
        uint64_t shape[3];
        uint32_t rank;
        bool ok;
        uint64_t want;
    } rows[] = {
        {"BOOL", {5}, 1, true, 5},         {"U8", {0}, 0, true, 1},           {"F4", {2, 3}, 2, true, 3},
        {"F4", {3}, 1, false, 0},          {"F6_E3M2", {4}, 1, true, 3},      {"F8_E4M3", {9}, 1, true, 9},
        {"BF16", {3, 5}, 2, true, 30},     {"F32", {1, 2, 3}, 3, true, 24},   {"C64", {2}, 1, true, 16},
        {"I64", {2, 0, 9}, 3, true, 0},    {"U8", {UINT64_MAX}, 1, false, 0}, {"F64", {UINT64_MAX, 0}, 2, true, 0},
        {"U8", {UINT64_MAX / 8}, 1, true, UINT64_MAX / 8},                    {"", {1}, 1, false, 0},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t bytes = 0;
        bool ok = pv_tensor_bytes(rows[i].dtype, rows[i].shape, rows[i].rank, &bytes);
        ck_assert_msg(ok == rows[i].ok && (!ok || bytes == rows[i].want), "row %zu: %llu", i,
                      (unsigned long long)bytes);
    }
    const char *name = NULL;
    ck_assert_uint_eq(pv_tensor_dtype_bits("F16", &name), 16);
    ck_assert_str_eq(name, "F16");
}
END_TEST

/* Three tensors whose order in the file is neither that of the list nor that of the names. */
static const uint64_t shape_a[] = {3}, shape_b[] = {2, 2}, shape_c[] = {1};
static const struct pv_tensor_data some[] = {
    {{.name = "a.bytes", .dtype = "U8", .shape = shape_a, .rank = 1, .size_bytes = 3}, "xyz"},
    {{.name = "c", .dtype = "F64", .shape = shape_c, .rank = 1, .size_bytes = 8}, "eight by"},
    {{.name = "b", .dtype = "F16", .shape = shape_b, .rank = 2, .size_bytes = 8}, "four hal"},
};

START_TEST(a_file_has_one_form_whatever_the_order_given)
{
    static const char header[] = "{\"__metadata__\":{\"format\":\"pt\"},"
                                 "\"a.bytes\":{\"data_offsets\":[16,19],\"dtype\":\"U8\",\"shape\":[3]},"
                                 "\"b\":{\"data_offsets\":[8,16],\"dtype\":\"F16\",\"shape\":[2,2]},"
                                 "\"c\":{\"data_offsets\":[0,8],\"dtype\":\"F64\",\"shape\":[1]}}";
    struct pv_tensor_data turned[] = {some[2], some[0], some[1]};
    json_t *metadata = json_pack("{s:s}", "format", "pt");
    struct psdk_buf one = {0}, two = {0}, want = {0};

    ck_assert_int_eq(pv_safetensors_write(&one, some, 3, metadata, &err), PROV_OK);
    ck_assert_int_eq(pv_safetensors_write(&two, turned, 3, metadata, &err), PROV_OK);
    ck_assert_uint_eq(one.len, two.len);
    ck_assert_mem_eq(one.data, two.data, one.len);
    size_t padded = (sizeof(header) - 1 + 7) / 8 * 8;
    psdk_buf_addc(&want, (char)(padded & 0xff));
    psdk_buf_addc(&want, (char)(padded >> 8));
    psdk_buf_add(&want, "\0\0\0\0\0\0", 6);
    psdk_buf_adds(&want, header);
    while (want.len < 8 + padded)
        psdk_buf_addc(&want, ' ');
    psdk_buf_adds(&want, "eight byfour halxyz");
    ck_assert_uint_eq(one.len, want.len);
    ck_assert_mem_eq(one.data, want.data, want.len);
    json_decref(metadata);
    psdk_buf_done(&one);
    psdk_buf_done(&two);
    psdk_buf_done(&want);
}
END_TEST

START_TEST(what_is_saved_reads_back_with_its_digests)
{
    struct pv_safetensors list;
    struct psdk_buf out = {0}, file = {0};
    char path[512];

    snprintf(path, sizeof(path), "%s/m.safetensors", folder);
    ck_assert_msg(pv_safetensors_save(path, some, 2, NULL, &err) == PROV_OK, "%s", err.message);
    ck_assert_msg(pv_safetensors_save(path, some, 3, NULL, &err) == PROV_OK, "%s", err.message);
    ck_assert_int_eq(pv_safetensors_write(&out, some, 3, NULL, &err), PROV_OK);
    ck_assert_int_eq(psdk_read_file(path, 4096, &file, &err), PROV_OK);
    ck_assert_uint_eq(file.len, out.len);
    ck_assert_mem_eq(file.data, out.data, out.len);

    int fd = psdk_open(path, O_RDWR, 0, &err);
    ck_assert_int_ge(fd, 0);
    ck_assert_msg(pv_safetensors_read(fd, 0, "m", &list, &err) == PROV_OK, "%s", err.message);
    ck_assert_uint_eq(list.n_tensors, 3);
    ck_assert_uint_eq(list.data_offset_bytes % 8, 0);
    for (size_t i = 0; i < 3; i++) {
        const struct pv_tensor *tensor = pv_safetensors_find(&list, some[i].tensor.name);
        uint8_t want[32], got[32];
        ck_assert_ptr_nonnull(tensor);
        psdk_sha256(some[i].data, some[i].tensor.size_bytes, want);
        ck_assert_int_eq(pv_safetensors_hash(fd, tensor, "m", got, &err), PROV_OK);
        ck_assert_mem_eq(got, want, 32);
        ck_assert_uint_eq((tensor->offset_bytes * 8) % pv_tensor_dtype_bits(tensor->dtype, NULL), 0);
    }
    ck_assert_int_eq(ftruncate(fd, (off_t)list.file_bytes - 1), 0);
    uint8_t digest[32];
    ck_assert_int_eq(pv_safetensors_hash(fd, pv_safetensors_find(&list, "a.bytes"), "m", digest, &err), PROV_E_CORRUPT);
    pv_safetensors_done(&list);
    ck_assert_int_eq(pv_safetensors_read(fd, 0, "m", &list, &err), PROV_E_CORRUPT);
    ck_assert_int_eq(pv_safetensors_read(fd, 16, "m", &list, &err), PROV_E_LIMIT);
    psdk_close(&fd);
    psdk_buf_done(&file);
    psdk_buf_done(&out);
}
END_TEST

START_TEST(a_large_tensor_is_hashed_in_pieces)
{
    uint64_t n = ((uint64_t)5 << 20) + 13;
    uint8_t *data = malloc(n), want[32], got[32];
    struct pv_tensor_data one = {{.name = "big", .dtype = "U8", .shape = &n, .rank = 1, .size_bytes = n}, data};
    struct pv_safetensors list;
    char path[512];

    for (uint64_t i = 0; i < n; i++)
        data[i] = (uint8_t)(i * 2654435761u >> 13);
    psdk_sha256(data, n, want);
    snprintf(path, sizeof(path), "%s/big", folder);
    ck_assert_int_eq(pv_safetensors_save(path, &one, 1, NULL, &err), PROV_OK);
    int fd = psdk_open(path, O_RDONLY, 0, &err);
    ck_assert_int_eq(pv_safetensors_read(fd, 0, "big", &list, &err), PROV_OK);
    ck_assert_int_eq(pv_safetensors_hash(fd, &list.tensors[0], "big", got, &err), PROV_OK);
    ck_assert_mem_eq(got, want, 32);
    pv_safetensors_done(&list);
    psdk_close(&fd);
    free(data);
}
END_TEST

START_TEST(what_is_no_file_is_not_written)
{
    static const uint64_t two[] = {2}, huge[] = {(uint64_t)1 << 53, 0};
    static const struct {
        struct pv_tensor_data tensor;
        const char *want;
    } rows[] = {
        {{{.name = "__metadata__", .dtype = "U8", .shape = two, .rank = 1, .size_bytes = 2}, "ab"}, "cannot be named"},
        {{{.name = "c", .dtype = "U8", .shape = two, .rank = 1, .size_bytes = 2}, "ab"}, "two tensors are named 'c'"},
        {{{.name = "d", .dtype = "X", .shape = two, .rank = 1, .size_bytes = 2}, "ab"}, "unknown dtype 'X'"},
        {{{.name = "d", .dtype = "U8", .shape = two, .rank = 1, .size_bytes = 3}, "abc"}, "3 bytes are not"},
        {{{.name = "d", .dtype = "U8", .shape = two, .rank = 1, .size_bytes = 2}, NULL}, "has no data"},
        {{{.name = "d", .dtype = "U8", .shape = huge, .rank = 2, .size_bytes = 0}, NULL}, "its shape is too large"},
        {{{.name = "\xff", .dtype = "U8", .shape = two, .rank = 1, .size_bytes = 2}, "ab"}, "not UTF-8"},
    };
    struct psdk_buf out = {0};
    char path[512];

    snprintf(path, sizeof(path), "%s/none", folder);
    psdk_buf_adds(&out, "before");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct pv_tensor_data list[] = {some[0], some[1], some[2], rows[i].tensor};
        ck_assert_msg(pv_safetensors_write(&out, list, 4, NULL, &err) == PROV_E_INVALID, "row %zu", i);
        ck_assert_msg(strstr(err.message, rows[i].want) != NULL, "row %zu: %s", i, err.message);
        ck_assert_uint_eq(out.len, 6);
        ck_assert_int_eq(pv_safetensors_save(path, list, 4, NULL, &err), PROV_E_INVALID);
        ck_assert_int_ne(access(path, F_OK), 0);
    }
    json_t *metadata = json_pack("{s:i}", "n", 1);
    ck_assert_int_eq(pv_safetensors_write(&out, some, 3, metadata, &err), PROV_E_INVALID);
    json_decref(metadata);
    snprintf(path, sizeof(path), "%s/no/folder", folder);
    ck_assert_int_eq(pv_safetensors_save(path, some, 3, NULL, &err), PROV_E_NOT_FOUND);
    snprintf(path, sizeof(path), "%s/folder", folder);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    ck_assert_int_lt(pv_safetensors_save(path, some, 3, NULL, &err), 0); /* a folder is in the way */
    ck_assert_int_eq(rmdir(path), 0);
    out.max = out.len + 200;
    ck_assert_int_eq(pv_safetensors_write(&out, some, 3, NULL, &err), PROV_E_LIMIT);
    ck_assert_uint_eq(out.len, 6);
    psdk_buf_done(&out);
    ck_assert_int_eq(rmdir(folder), 0); /* no temporary file is left */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("safetensors");
    TCase *tc = tcase_create("safetensors");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, tensors_are_listed_in_the_order_of_their_data);
    tcase_add_test(tc, a_malformed_header_is_refused_with_the_tensor);
    tcase_add_test(tc, a_long_name_is_cut_at_a_character);
    tcase_add_test(tc, the_length_of_the_header_is_checked_first);
    tcase_add_test(tc, sizes_follow_dtype_and_shape);
    tcase_add_test(tc, a_file_has_one_form_whatever_the_order_given);
    tcase_add_test(tc, what_is_saved_reads_back_with_its_digests);
    tcase_add_test(tc, a_large_tensor_is_hashed_in_pieces);
    tcase_add_test(tc, what_is_no_file_is_not_written);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
