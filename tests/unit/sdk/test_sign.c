/* test_sign.c - Ed25519 against RFC 8032 and against what must not verify.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "psdk_sign.h"

#include <openssl/evp.h>

#include "crypto_vectors.h"

/* RFC 8032, 7.1: TEST 1, 2, 3. */
static const struct {
    const char *seed, *public_key, *message, *signature;
} rfc[] = {
    {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24"
     "655141438e7a100b"},
    {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aee"
     "b00d291612bb0c00"},
    {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
     "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28d"
     "c027beceea1ec40a"},
};
#define RFC_COUNT ((int)(sizeof rfc / sizeof rfc[0]))

struct signed_case {
    struct psdk_ed25519 key;
    uint8_t message[8];
    size_t len;
    uint8_t signature[64];
};

static void load(int i, struct signed_case *ret)
{
    uint8_t seed[32];
    prov_error err = {0};

    vectors_hex(rfc[i].seed, seed, sizeof seed);
    ret->len = vectors_hex(rfc[i].message, ret->message, sizeof ret->message);
    vectors_hex(rfc[i].signature, ret->signature, sizeof ret->signature);
    ck_assert_int_eq(psdk_ed25519_from_seed(&ret->key, seed, &err), PROV_OK);
}

START_TEST(the_rfc_vectors_sign_and_verify)
{
    uint8_t want[32], signature[64], seed[32], got_seed[32];
    struct signed_case c;
    prov_error err = {0};

    load(_i, &c);
    vectors_hex(rfc[_i].public_key, want, sizeof want);
    ck_assert_mem_eq(c.key.public_key, want, 32);
    ck_assert_int_eq(psdk_ed25519_sign(&c.key, c.message, c.len, signature, &err), PROV_OK);
    ck_assert_mem_eq(signature, c.signature, 64);
    ck_assert(psdk_ed25519_verify(want, c.message, c.len, signature));
    ck_assert_int_eq(psdk_ed25519_seed(&c.key, got_seed, &err), PROV_OK);
    vectors_hex(rfc[_i].seed, seed, sizeof seed);
    ck_assert_mem_eq(got_seed, seed, 32);
    psdk_ed25519_done(&c.key);
}
END_TEST

START_TEST(any_changed_bit_of_signature_key_or_message_fails)
{
    uint8_t public_key[32];
    struct signed_case c;

    load(_i, &c);
    memcpy(public_key, c.key.public_key, 32);
    for (unsigned bit = 0; bit < 512; bit++) {
        c.signature[bit / 8] ^= (uint8_t)(1u << bit % 8);
        ck_assert_msg(!psdk_ed25519_verify(public_key, c.message, c.len, c.signature), "signature bit %u", bit);
        c.signature[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (unsigned bit = 0; bit < 256; bit++) {
        public_key[bit / 8] ^= (uint8_t)(1u << bit % 8);
        ck_assert_msg(!psdk_ed25519_verify(public_key, c.message, c.len, c.signature), "key bit %u", bit);
        public_key[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (unsigned bit = 0; bit < 8 * c.len; bit++) {
        c.message[bit / 8] ^= (uint8_t)(1u << bit % 8);
        ck_assert_msg(!psdk_ed25519_verify(public_key, c.message, c.len, c.signature), "message bit %u", bit);
        c.message[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    ck_assert(!psdk_ed25519_verify(public_key, c.message, c.len + 1, c.signature));
    ck_assert(psdk_ed25519_verify(public_key, c.message, c.len, c.signature));
    psdk_ed25519_done(&c.key);
}
END_TEST

START_TEST(an_s_beyond_the_order_is_refused)
{
    static const char order_le[] = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";
    struct signed_case c;
    uint8_t order[32];
    unsigned carry = 0;

    load(_i, &c);
    vectors_hex(order_le, order, sizeof order);
    for (size_t i = 0; i < 32; i++) {
        carry += c.signature[32 + i] + (unsigned)order[i];
        c.signature[32 + i] = (uint8_t)carry;
        carry >>= 8;
    }
    ck_assert_uint_eq(carry, 0);
    ck_assert(!psdk_ed25519_verify(c.key.public_key, c.message, c.len, c.signature));
    psdk_ed25519_done(&c.key);
}
END_TEST

static bool openssl_accepts(const uint8_t public_key[32], const char *message, const uint8_t signature[64])
{
    EVP_PKEY *pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public_key, 32);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, pkey) == 1 &&
              EVP_DigestVerify(ctx, signature, 64, (const uint8_t *)message, strlen(message)) == 1;

    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(pkey);
    return ok;
}

/* With the neutral element as key, R = B and S = 1 are a "signature" of everything. */
START_TEST(a_key_that_signs_everything_is_refused)
{
    static const char *const keys[] = {
        "0100000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000080",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    };
    uint8_t key[32], signature[64];
    bool accepted = false;

    vectors_hex("5866666666666666666666666666666666666666666666666666666666666666"
                "0100000000000000000000000000000000000000000000000000000000000000", signature, sizeof signature);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        vectors_hex(keys[i], key, sizeof key);
        accepted = accepted || openssl_accepts(key, "anything", signature);
        ck_assert(!psdk_ed25519_verify(key, "anything", 8, signature));
    }
    ck_assert_msg(accepted, "no key of this test would have been accepted without the check");
}
END_TEST

/* All points of small order, their twins with the other sign, and encodings past the prime: as key and as R. */
START_TEST(small_order_and_malformed_points_are_refused)
{
    static const char *const points[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0200000000000000000000000000000000000000000000000000000000000000", /* not on the curve */
    };
    struct signed_case c;

    load(1, &c);
    for (size_t i = 0; i < sizeof points / sizeof points[0]; i++)
        for (unsigned sign = 0; sign < 2; sign++) {
            uint8_t point[32], signature[64] = {0};

            vectors_hex(points[i], point, sizeof point);
            point[31] = (uint8_t)(point[31] | sign << 7);
            memcpy(signature, point, 32);
            ck_assert(!psdk_ed25519_verify(point, c.message, c.len, signature));
            ck_assert(!psdk_ed25519_verify(point, c.message, c.len, c.signature));
            ck_assert(!psdk_ed25519_verify(c.key.public_key, c.message, c.len, signature));
        }
    psdk_ed25519_done(&c.key);
}
END_TEST

START_TEST(new_keys_differ_and_work)
{
    struct psdk_ed25519 a = {0}, b = {0};
    uint8_t signature[64];
    prov_error err = {0};

    ck_assert_int_eq(psdk_ed25519_new(&a, &err), PROV_OK);
    ck_assert_int_eq(psdk_ed25519_new(&b, &err), PROV_OK);
    ck_assert_mem_ne(a.public_key, b.public_key, 32);
    ck_assert_int_eq(psdk_ed25519_sign(&a, NULL, 0, signature, &err), PROV_OK);
    ck_assert(psdk_ed25519_verify(a.public_key, NULL, 0, signature));
    ck_assert(!psdk_ed25519_verify(b.public_key, NULL, 0, signature));
    psdk_ed25519_done(&a);
    psdk_ed25519_done(&b);
    psdk_ed25519_done(&b);
}
END_TEST

START_TEST(a_public_key_alone_cannot_sign)
{
    struct psdk_ed25519 key = {0};
    uint8_t out[64];
    prov_error err = {0};

    ck_assert_int_eq(psdk_ed25519_sign(&key, "x", 1, out, &err), PROV_E_INVALID);
    ck_assert_int_eq(psdk_ed25519_seed(&key, out, &err), PROV_E_INVALID);
}
END_TEST

START_TEST(the_key_id_is_the_start_of_the_hash_of_the_public_key)
{
    uint8_t public_key[32], digest[32];
    char id[PSDK_KEYID_HEX], hex[PSDK_SHA256_HEX];

    vectors_hex(rfc[0].public_key, public_key, sizeof public_key);
    psdk_key_id(public_key, id);
    psdk_sha256(public_key, 32, digest);
    psdk_hex(digest, 32, hex);
    ck_assert_uint_eq(strlen(id), 32);
    ck_assert(strncmp(id, hex, 32) == 0);
}
END_TEST

START_TEST(wiping_leaves_zeroes)
{
    uint8_t secret[40], zero[40] = {0};

    memset(secret, 0xa5, sizeof secret);
    psdk_wipe(secret, sizeof secret);
    ck_assert_mem_eq(secret, zero, sizeof secret);
    psdk_wipe(NULL, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sign");
    TCase *tests = tcase_create("ed25519");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, the_rfc_vectors_sign_and_verify, 0, RFC_COUNT);
    tcase_add_loop_test(tests, any_changed_bit_of_signature_key_or_message_fails, 0, RFC_COUNT);
    tcase_add_loop_test(tests, an_s_beyond_the_order_is_refused, 0, RFC_COUNT);
    tcase_add_test(tests, a_key_that_signs_everything_is_refused);
    tcase_add_test(tests, small_order_and_malformed_points_are_refused);
    tcase_add_test(tests, new_keys_differ_and_work);
    tcase_add_test(tests, a_public_key_alone_cannot_sign);
    tcase_add_test(tests, the_key_id_is_the_start_of_the_hash_of_the_public_key);
    tcase_add_test(tests, wiping_leaves_zeroes);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
