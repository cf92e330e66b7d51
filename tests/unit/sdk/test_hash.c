/* test_hash.c - digests, hex, base64, CRC. SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "psdk_hash.h"

#if defined(__SANITIZE_THREAD__)
#define UNDER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNDER_TSAN 1
#endif
#endif
#ifndef UNDER_TSAN
#define UNDER_TSAN 0
#endif

static const struct {
    const char *text;
    const char *hex;
} sha_rows[] = {
    /* FIPS 180-4 examples */
    {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
     "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"},
};

static void assert_hex(const uint8_t hash[32], const char *expected) {
    char hex[PSDK_SHA256_HEX];
    psdk_hex(hash, 32, hex);
    ck_assert_str_eq(hex, expected);
}

START_TEST(sha256_gives_the_standards_examples) {
    struct psdk_sha256 h = {0};
    for (size_t i = 0; i < sizeof sha_rows / sizeof sha_rows[0]; i++) {
        uint8_t hash[32];
        const char *text = sha_rows[i].text;
        psdk_sha256(text, strlen(text), hash);
        assert_hex(hash, sha_rows[i].hex);
        /* byte by byte, on one context for all */
        ck_assert_int_eq(psdk_sha256_init(&h), PROV_OK);
        for (size_t k = 0; k < strlen(text); k++)
            psdk_sha256_add(&h, text + k, 1);
        ck_assert_int_eq(psdk_sha256_final(&h, hash), PROV_OK);
        assert_hex(hash, sha_rows[i].hex);
    }
    char block[1000];
    uint8_t hash[32];
    memset(block, 'a', sizeof block);
    ck_assert_int_eq(psdk_sha256_init(&h), PROV_OK);
    for (int i = 0; i < 1000; i++)
        psdk_sha256_add(&h, block, sizeof block);
    ck_assert_int_eq(psdk_sha256_final(&h, hash), PROV_OK);
    assert_hex(hash, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    psdk_sha256_done(&h);
    psdk_sha256_done(&h);
    ck_assert(!psdk_sha256_broken());
}
END_TEST

START_TEST(a_digest_that_was_not_started_fails) {
    struct psdk_sha256 h = {0};
    uint8_t hash[32];
    memset(hash, 1, sizeof hash);
    psdk_sha256_add(&h, "x", 1);
    ck_assert_int_eq(psdk_sha256_final(&h, hash), PROV_E_INTERNAL);
    for (int i = 0; i < 32; i++)
        ck_assert_int_eq(hash[i], 0);
    ck_assert_int_eq(psdk_sha256_init(&h), PROV_OK);
    psdk_sha256_add(&h, NULL, 0);
    ck_assert_int_eq(psdk_sha256_final(&h, hash), PROV_OK);
    assert_hex(hash, sha_rows[0].hex);
    psdk_sha256_done(&h);
}
END_TEST

START_TEST(leaf_and_node_hashes_are_those_of_rfc_6962) {
    uint8_t leaf[32], node[32], direct[32], empty[32];
    psdk_leaf_hash(NULL, 0, empty);
    assert_hex(empty, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
    psdk_leaf_hash("\x00", 1, leaf);
    assert_hex(leaf, "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7");
    psdk_node_hash(empty, leaf, node);
    assert_hex(node, "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125");
    /* On both sides of the size up to which the data is copied. */
    static const size_t sizes[] = {1, 55, 56, 64, 300, 1023, 1024, 1025, 5000};
    uint8_t data[5001];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 7);
    data[0] = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        psdk_leaf_hash(data + 1, sizes[i], leaf);
        psdk_sha256(data, sizes[i] + 1, direct);
        ck_assert_int_eq(memcmp(leaf, direct, 32), 0);
    }
}
END_TEST

static void *hash_many(void *arg) {
    uintptr_t failed = 0;
    for (int i = 0; i < 2000; i++) {
        uint8_t hash[32], expected[32];
        size_t row = (size_t)i % (sizeof sha_rows / sizeof sha_rows[0]);
        psdk_sha256(sha_rows[row].text, strlen(sha_rows[row].text), hash);
        failed += !psdk_unhex(sha_rows[row].hex, 64, expected, 32) || memcmp(hash, expected, 32) != 0;
    }
    (void)arg;
    return (void *)failed;
}

START_TEST(threads_hash_at_once) {
    pthread_t threads[8];
    for (int i = 0; i < 8; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, hash_many, NULL), 0);
    for (int i = 0; i < 8; i++) {
        void *failed = &threads;
        ck_assert_int_eq(pthread_join(threads[i], &failed), 0);
        ck_assert_ptr_null(failed);
    }
}
END_TEST

static pthread_key_t late_key;

static void hash_late(void *arg) {
    *(bool *)arg = hash_many(NULL) == NULL;
}

static void *hash_and_leave_a_destructor(void *arg) {
    hash_many(NULL);
    pthread_setspecific(late_key, arg);
    return NULL;
}

START_TEST(a_destructor_at_the_end_of_a_thread_may_still_hash) {
    bool good = false;
    pthread_t thread;
    ck_assert_ptr_null(hash_many(NULL)); /* makes the digest's own key first, so that its destructor runs first */
    ck_assert_int_eq(pthread_key_create(&late_key, hash_late), 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, hash_and_leave_a_destructor, &good), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert(good);
    pthread_key_delete(late_key);
}
END_TEST

START_TEST(a_child_goes_on_hashing_after_fork) {
    pthread_t thread;
    if (UNDER_TSAN) {
        fprintf(stderr, "skipped: the thread sanitizer cannot follow a fork of several threads\n");
        return;
    }
    ck_assert_ptr_null(hash_many(NULL));
    ck_assert_int_eq(pthread_create(&thread, NULL, hash_many, NULL), 0);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        void *failed = hash_many(NULL);
        pthread_t inner;
        if (!failed && (pthread_create(&inner, NULL, hash_many, NULL) != 0 || pthread_join(inner, &failed) != 0))
            _exit(2);
        _exit(failed ? 1 : 0);
    }
    int status = -1;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    void *failed = &thread;
    pthread_join(thread, &failed);
    ck_assert_ptr_null(failed);
}
END_TEST

START_TEST(hex_round_trips_and_refuses_what_is_not_hex) {
    uint8_t all[256], back[256];
    char hex[513];
    for (int i = 0; i < 256; i++)
        all[i] = (uint8_t)i;
    psdk_hex(all, 256, hex);
    ck_assert_uint_eq(strlen(hex), 512);
    ck_assert_int_eq(strncmp(hex, "000102", 6), 0);
    ck_assert_str_eq(hex + 506, "fdfeff");
    ck_assert(psdk_unhex(hex, 512, back, 256));
    ck_assert_int_eq(memcmp(all, back, 256), 0);
    ck_assert(psdk_unhex("aAfF", 4, back, 2));
    ck_assert_int_eq(memcmp(back, "\xaa\xff", 2), 0);
    ck_assert(psdk_unhex("", 0, back, 0));
    ck_assert(!psdk_unhex("abc", 3, back, 1));
    ck_assert(!psdk_unhex("ab", 2, back, 2));
    ck_assert(!psdk_unhex("abcd", 4, back, 1));
    for (int c = 0; c < 256; c++) {
        char text[2] = {'0', (char)c};
        bool digit = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
        ck_assert_int_eq(psdk_unhex(text, 2, back, 1), digit);
    }
}
END_TEST

START_TEST(a_hash_is_read_as_users_write_it) {
    const char *hex = sha_rows[1].hex;
    char text[128];
    uint8_t hash[32];
    ck_assert(psdk_parse_hash(hex, hash));
    assert_hex(hash, hex);
    memset(hash, 0, sizeof hash);
    strcpy(text, "0x");
    strcat(text, hex);
    text[10] = 'F'; /* upper case is fine as well */
    ck_assert(psdk_parse_hash(text, hash));
    ck_assert(!psdk_parse_hash("", hash));
    ck_assert(!psdk_parse_hash("0x", hash));
    ck_assert(!psdk_parse_hash("0", hash));
    text[65] = '\0';
    ck_assert(!psdk_parse_hash(text, hash));
    strcpy(text, hex);
    strcat(text, "0");
    ck_assert(!psdk_parse_hash(text, hash));
    strcpy(text, hex);
    text[63] = ' ';
    ck_assert(!psdk_parse_hash(text, hash));
}
END_TEST

static const struct {
    const char *text;
    const char *base64;
} base64_rows[] = {{"", ""},
                   {"f", "Zg=="},
                   {"fo", "Zm8="},
                   {"foo", "Zm9v"},
                   {"foob", "Zm9vYg=="},
                   {"fooba", "Zm9vYmE="},
                   {"foobar", "Zm9vYmFy"},
                   {"\xfb\xff\xbf", "+/+/"}};

START_TEST(base64_gives_the_rfc_4648_vectors_and_round_trips) {
    char text[512];
    uint8_t back[512];
    for (size_t i = 0; i < sizeof base64_rows / sizeof base64_rows[0]; i++) {
        size_t len = strlen(base64_rows[i].text);
        ck_assert_uint_eq(psdk_base64(base64_rows[i].text, len, text), strlen(base64_rows[i].base64));
        ck_assert_str_eq(text, base64_rows[i].base64);
        ck_assert_int_eq(psdk_unbase64(text, strlen(text), back, len), (long)len);
        ck_assert_int_eq(memcmp(back, base64_rows[i].text, len), 0);
    }
    uint8_t data[256];
    for (int i = 0; i < 256; i++)
        data[i] = (uint8_t)(i * 167);
    for (size_t len = 0; len <= 256; len++) {
        size_t n = psdk_base64(data, len, text);
        ck_assert_uint_eq(n, 4 * ((len + 2) / 3));
        ck_assert_int_eq(psdk_unbase64(text, n, back, len), (long)len);
        ck_assert_int_eq(memcmp(back, data, len), 0);
        if (len > 0)
            ck_assert_int_eq(psdk_unbase64(text, n, back, len - 1), -1);
    }
}
END_TEST

START_TEST(base64_decoding_is_strict) {
    static const char *const wrong[] = {
        "Z",     "Zg",   "Zg=",  "Zm8",  "Zh==", "Zm9=", "Z===", "====",  "Zg==Zg==", "Zm8=Zm9v",  "Zm9v\n",
        "Zm 9v", "Zm9-", "Zm9_", "=m9v", "Z=9v", "Zm=v", "Zg=A", "Zm9vZ", "Zm9v====", "\xC3\xA9vv"};
    uint8_t back[32];
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        ck_assert_msg(psdk_unbase64(wrong[i], strlen(wrong[i]), back, sizeof back) == -1, "%s", wrong[i]);
    ck_assert_int_eq(psdk_unbase64("Zm\0v", 4, back, sizeof back), -1);
}
END_TEST

START_TEST(equality_looks_at_every_byte) {
    uint8_t a[40] = {0}, b[40] = {0};
    ck_assert(psdk_equal(a, b, sizeof a));
    ck_assert(psdk_equal(NULL, NULL, 0));
    for (size_t i = 0; i < sizeof a; i++) {
        b[i] = 0x80;
        ck_assert(!psdk_equal(a, b, sizeof a));
        b[i] = 0;
    }
}
END_TEST

START_TEST(random_bytes_differ) {
    static uint8_t a[100000];
    uint8_t b[32];
    ck_assert_int_eq(psdk_random(a, sizeof a, NULL), PROV_OK);
    ck_assert_int_eq(psdk_random(b, sizeof b, NULL), PROV_OK);
    ck_assert_int_ne(memcmp(a, b, sizeof b), 0);
    ck_assert_int_ne(memcmp(a + sizeof a - 32, b, sizeof b), 0);
    ck_assert_int_eq(psdk_random(b, 0, NULL), PROV_OK);
    uint8_t zeros[64] = {0};
    ck_assert_int_ne(memcmp(a + sizeof a - sizeof zeros, zeros, sizeof zeros), 0);
}
END_TEST

START_TEST(crc32c_is_castagnolis_with_and_without_sse) {
    uint8_t data[300];
    /* RFC 3720, B.4 */
    memset(data, 0, 32);
    ck_assert_uint_eq(psdk_crc32c(0, data, 32), 0x8A9136AAu);
    memset(data, 0xFF, 32);
    ck_assert_uint_eq(psdk_crc32c(0, data, 32), 0x62A8AB43u);
    for (int i = 0; i < 32; i++)
        data[i] = (uint8_t)i;
    ck_assert_uint_eq(psdk_crc32c(0, data, 32), 0x46DD794Eu);
    ck_assert_uint_eq(psdk_crc32c(0, "123456789", 9), 0xE3069283u);
    ck_assert_uint_eq(psdk_crc32c(0, NULL, 0), 0);
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 131 + 7);
    for (size_t len = 0; len <= sizeof data; len++) {
        uint32_t whole = psdk_crc32c_portable(0, data, len);
        ck_assert_uint_eq(psdk_crc32c(0, data, len), whole);
        size_t cut = len / 3;
        ck_assert_uint_eq(psdk_crc32c(psdk_crc32c(0, data, cut), data + cut, len - cut), whole);
        ck_assert_uint_eq(psdk_crc32c_portable(psdk_crc32c(0, data, cut), data + cut, len - cut), whole);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("hash");
    TCase *tc = tcase_create("hash");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, sha256_gives_the_standards_examples);
    tcase_add_test(tc, a_digest_that_was_not_started_fails);
    tcase_add_test(tc, leaf_and_node_hashes_are_those_of_rfc_6962);
    tcase_add_test(tc, threads_hash_at_once);
    tcase_add_test(tc, a_destructor_at_the_end_of_a_thread_may_still_hash);
    tcase_add_test(tc, a_child_goes_on_hashing_after_fork);
    tcase_add_test(tc, hex_round_trips_and_refuses_what_is_not_hex);
    tcase_add_test(tc, a_hash_is_read_as_users_write_it);
    tcase_add_test(tc, base64_gives_the_rfc_4648_vectors_and_round_trips);
    tcase_add_test(tc, base64_decoding_is_strict);
    tcase_add_test(tc, equality_looks_at_every_byte);
    tcase_add_test(tc, random_bytes_differ);
    tcase_add_test(tc, crc32c_is_castagnolis_with_and_without_sse);
    suite_add_tcase(suite, tc);
    SRunner *sr = srunner_create(suite);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? 0 : 1;
}
