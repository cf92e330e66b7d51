/* test_keccak.c - Keccak-256 against public vectors and against itself in pieces.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "psdk_eth.h"

#include "crypto_vectors.h"

static void assert_digest(const void *data, size_t len, const char *want_hex)
{
    uint8_t digest[32], want[32];

    ck_assert(psdk_parse_hash(want_hex, want));
    psdk_keccak256(data, len, digest);
    ck_assert_mem_eq(digest, want, 32);
}

START_TEST(known_digests_come_out)
{
    assert_digest(NULL, 0, "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470");
    assert_digest("abc", 3, "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45");
    assert_digest("transfer(address,uint256)", 25, "a9059cbb2ab09eb219583f4a59a5d0623ade346d962bcd4e46b11da047c9049b");
}
END_TEST

START_TEST(pieces_of_any_size_give_the_digest_of_the_whole)
{
    uint8_t data[500], whole[32], parts[32];

    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 7 + 3);
    for (size_t len = 0; len <= sizeof data; len += len < 300 ? 1 : 37) {
        psdk_keccak256(data, len, whole);
        for (size_t piece = 1; piece < 290; piece += piece < 4 ? 1 : 19) {
            struct psdk_keccak k;

            psdk_keccak_init(&k);
            for (size_t at = 0; at < len; at += piece)
                psdk_keccak_add(&k, data + at, len - at < piece ? len - at : piece);
            psdk_keccak_add(&k, NULL, 0);
            psdk_keccak_final(&k, parts);
            ck_assert_mem_eq(parts, whole, 32);
        }
    }
}
END_TEST

START_TEST(the_public_vectors_come_out)
{
    char path[4096];
    json_t *root, *one;
    size_t i;

    if (!vectors_find("ethers/hashes.json", path, sizeof path))
        return;
    root = vectors_load(path);
    ck_assert_uint_gt(json_array_size(root), 0);
    json_array_foreach(root, i, one) {
        const char *text = vectors_text(one, "data");
        uint8_t *data = malloc(strlen(text) + 1);
        size_t len = vectors_hex(text, data, strlen(text));

        assert_digest(data, len, vectors_text(one, "keccak256"));
        free(data);
    }
    fprintf(stderr, "ethers/hashes.json: %zu digests\n", json_array_size(root));
    json_decref(root);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("keccak");
    TCase *tests = tcase_create("keccak");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, known_digests_come_out);
    tcase_add_test(tests, pieces_of_any_size_give_the_digest_of_the_whole);
    tcase_add_test(tests, the_public_vectors_come_out);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
