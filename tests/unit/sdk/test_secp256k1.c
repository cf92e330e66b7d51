/* test_secp256k1.c - keys, addresses, signatures, recovery, 256-bit decimals.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <pthread.h>

#include "psdk_eth.h"

#include "crypto_vectors.h"

static const char order_hex[] = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";

/* minuend - subtrahend, big-endian. */
static void subtract(const uint8_t a[32], const uint8_t b[32], uint8_t ret[32])
{
    int borrow = 0;

    for (int i = 31; i >= 0; i--) {
        int digit = a[i] - b[i] - borrow;

        borrow = digit < 0;
        ret[i] = (uint8_t)(digit & 0xff);
    }
}

/* The same signature with s mirrored: valid mathematics, malleable form. */
static void mirror(uint8_t signature[65])
{
    uint8_t order[32], s[32];

    vectors_hex(order_hex, order, sizeof order);
    subtract(order, signature + 32, s);
    memcpy(signature + 32, s, 32);
    signature[64] ^= 27 ^ 28;
}

START_TEST(secret_keys_are_from_1_to_the_order_minus_1)
{
    uint8_t key[32] = {0}, public_key[64], signature[65], one[32] = {[31] = 1};
    prov_error err = {0};

    ck_assert(!psdk_secp256k1_valid(key));
    ck_assert_int_eq(psdk_secp256k1_public(key, public_key, &err), PROV_E_INVALID);
    ck_assert_int_eq(psdk_secp256k1_sign(key, one, signature, &err), PROV_E_INVALID);
    key[31] = 1;
    ck_assert(psdk_secp256k1_valid(key));
    vectors_hex(order_hex, key, sizeof key);
    ck_assert(!psdk_secp256k1_valid(key));
    subtract(key, one, key);
    ck_assert(psdk_secp256k1_valid(key));
    memset(key, 0xff, sizeof key);
    ck_assert(!psdk_secp256k1_valid(key));
    ck_assert_int_eq(psdk_eth_address_of(key, public_key, &err), PROV_E_INVALID);
}
END_TEST

START_TEST(signatures_have_low_s_and_recover)
{
    uint8_t secret[32], public_key[64], got[64], digest[32], signature[65];
    prov_error err = {0};

    for (int i = 0; i < 50; i++) {
        ck_assert_int_eq(psdk_secp256k1_new(secret, &err), PROV_OK);
        ck_assert_int_eq(psdk_secp256k1_public(secret, public_key, &err), PROV_OK);
        psdk_keccak256(&i, sizeof i, digest);
        ck_assert_int_eq(psdk_secp256k1_sign(secret, digest, signature, &err), PROV_OK);
        ck_assert(signature[64] == 27 || signature[64] == 28);
        ck_assert_uint_lt(signature[32], 0x80);
        ck_assert_int_eq(psdk_secp256k1_recover(digest, signature, got, &err), PROV_OK);
        ck_assert_mem_eq(got, public_key, 64);
        signature[64] = (uint8_t)(signature[64] - 27);
        ck_assert_int_eq(psdk_secp256k1_recover(digest, signature, got, &err), PROV_OK);
        ck_assert_mem_eq(got, public_key, 64);
        signature[64] ^= 1;
        ck_assert(psdk_secp256k1_recover(digest, signature, got, &err) != PROV_OK || memcmp(got, public_key, 64) != 0);
        signature[64] = (uint8_t)((signature[64] ^ 1) + 27);
        digest[0] ^= 1;
        ck_assert(psdk_secp256k1_recover(digest, signature, got, &err) != PROV_OK || memcmp(got, public_key, 64) != 0);
        digest[0] ^= 1;
        mirror(signature);
        ck_assert_int_eq(psdk_secp256k1_recover(digest, signature, got, &err), PROV_E_INVALID);
        ck_assert_ptr_nonnull(strstr(err.message, "upper half"));
    }
}
END_TEST

START_TEST(malformed_signatures_are_refused)
{
    static const struct {
        const char *r, *s;
        uint8_t v;
    } bad[] = {
        {"0000000000000000000000000000000000000000000000000000000000000000",
         "0000000000000000000000000000000000000000000000000000000000000001", 27},
        {"0000000000000000000000000000000000000000000000000000000000000001",
         "0000000000000000000000000000000000000000000000000000000000000000", 27},
        {"fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141",
         "0000000000000000000000000000000000000000000000000000000000000001", 27},
        {"0000000000000000000000000000000000000000000000000000000000000001",
         "7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a1", 27}, /* half of the order, plus 1 */
        {"0000000000000000000000000000000000000000000000000000000000000005",
         "0000000000000000000000000000000000000000000000000000000000000001", 27}, /* no point has x = 5 */
        {"0000000000000000000000000000000000000000000000000000000000000001",
         "0000000000000000000000000000000000000000000000000000000000000001", 2},
        {"0000000000000000000000000000000000000000000000000000000000000001",
         "0000000000000000000000000000000000000000000000000000000000000001", 26},
        {"0000000000000000000000000000000000000000000000000000000000000001",
         "0000000000000000000000000000000000000000000000000000000000000001", 29},
        {"0000000000000000000000000000000000000000000000000000000000000001",
         "0000000000000000000000000000000000000000000000000000000000000001", 255},
    };
    uint8_t signature[65], digest[32] = {1}, got[64];

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        prov_error err = {0};

        vectors_hex(bad[i].r, signature, 32);
        vectors_hex(bad[i].s, signature + 32, 32);
        signature[64] = bad[i].v;
        ck_assert_msg(psdk_secp256k1_recover(digest, signature, got, &err) == PROV_E_INVALID, "case %zu", i);
        ck_assert_msg(strstr(err.message, bad[i].v == 27 ? "secp256k1: " : "secp256k1: v is ") != NULL, "%s",
                      err.message);
    }
    vectors_hex("0000000000000000000000000000000000000000000000000000000000000001", signature, 32);
    vectors_hex("7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0", signature + 32, 32);
    signature[64] = 27;
    ck_assert_int_eq(psdk_secp256k1_recover(digest, signature, got, NULL), PROV_OK); /* the largest low s */
}
END_TEST

START_TEST(accounts_of_the_public_vectors_have_their_addresses)
{
    char path[4096], text[43];
    uint8_t secret[32], address[20], parsed[20];
    prov_error err = {0};
    json_t *root, *one;
    size_t i;

    if (!vectors_find("ethers/accounts.json", path, sizeof path))
        return;
    root = vectors_load(path);
    ck_assert_uint_gt(json_array_size(root), 0);
    json_array_foreach(root, i, one) {
        const char *want = vectors_text(one, "address");

        if (json_is_string(json_object_get(one, "privateKey"))) {
            vectors_hex(vectors_text(one, "privateKey"), secret, sizeof secret);
            ck_assert_int_eq(psdk_eth_address_of(secret, address, &err), PROV_OK);
        } else {
            ck_assert(psdk_eth_address_parse(want, address));
        }
        psdk_eth_address_format(address, text);
        ck_assert_str_eq(text, want);
        ck_assert(psdk_eth_address_parse(want, parsed));
        ck_assert_mem_eq(parsed, address, 20);
    }
    fprintf(stderr, "ethers/accounts.json: %zu accounts\n", json_array_size(root));
    json_decref(root);
}
END_TEST

/* keccak256(rlp([sender, nonce])) for nonces below 2^16. */
static void created_address(const uint8_t sender[20], unsigned nonce, uint8_t ret[20])
{
    uint8_t rlp[32] = {0, 0x94}, digest[32];
    size_t len = 22;

    memcpy(rlp + 2, sender, 20);
    if (nonce == 0) {
        rlp[len++] = 0x80;
    } else if (nonce < 0x80) {
        rlp[len++] = (uint8_t)nonce;
    } else if (nonce < 0x100) {
        rlp[len++] = 0x81;
        rlp[len++] = (uint8_t)nonce;
    } else {
        ck_assert_uint_lt(nonce, 0x10000);
        rlp[len++] = 0x82;
        rlp[len++] = (uint8_t)(nonce >> 8);
        rlp[len++] = (uint8_t)nonce;
    }
    rlp[0] = (uint8_t)(0xc0 + len - 1);
    psdk_keccak256(rlp, len, digest);
    memcpy(ret, digest + 12, 20);
}

START_TEST(contract_addresses_of_the_public_vectors_come_out)
{
    char path[4096], text[43];
    json_t *root, *one, *made;
    size_t i, j, count = 0;

    if (!vectors_find("ethers/create.json", path, sizeof path))
        return;
    root = vectors_load(path);
    json_array_foreach(root, i, one) {
        uint8_t sender[20], address[20];

        ck_assert(psdk_eth_address_parse(vectors_text(one, "sender"), sender));
        json_array_foreach(json_object_get(one, "creates"), j, made) {
            double nonce = json_number_value(json_object_get(made, "nonce"));

            created_address(sender, (unsigned)nonce, address);
            psdk_eth_address_format(address, text);
            ck_assert_str_eq(text, vectors_text(made, "address"));
            count++;
        }
    }
    ck_assert_uint_gt(count, 0);
    fprintf(stderr, "ethers/create.json: %zu contract addresses\n", count);
    json_decref(root);
}
END_TEST

/* The file's signatures are over a digest that it does not name, and one has a high s: only the keys are used. */
START_TEST(keys_of_ethereum_tests_have_their_addresses)
{
    uint8_t secret[32], want[20], address[20], digest[32];
    prov_error err = {0};
    char path[4096];
    json_t *root, *one;
    size_t i;

    if (!vectors_find("ethereum-tests/keyaddrtest.json", path, sizeof path))
        return;
    root = vectors_load(path);
    ck_assert_uint_gt(json_array_size(root), 0);
    json_array_foreach(root, i, one) {
        vectors_hex(vectors_text(one, "key"), secret, sizeof secret);
        vectors_hex(vectors_text(one, "addr"), want, sizeof want);
        ck_assert_int_eq(psdk_eth_address_of(secret, address, &err), PROV_OK);
        ck_assert_mem_eq(address, want, 20);
        psdk_keccak256(vectors_text(one, "seed"), strlen(vectors_text(one, "seed")), digest);
        ck_assert_mem_eq(digest, secret, 32);
    }
    fprintf(stderr, "ethereum-tests/keyaddrtest.json: %zu keys\n", json_array_size(root));
    json_decref(root);
}
END_TEST

START_TEST(addresses_are_read_in_one_case_or_with_a_right_checksum)
{
    static const struct {
        const char *text;
        bool ok;
    } table[] = {
        {"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", true},
        {"0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed", true},
        {"0x5AAEB6053F3E94C9B9A09F33669435E7EF1BEAED", true},
        {"0x0000000000000000000000000000000000000001", true},
        {"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD", false},
        {"0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaeD", false},
        {"5aaeb6053f3e94c9b9a09f33669435e7ef1beaed", false},
        {"0X5aaeb6053f3e94c9b9a09f33669435e7ef1beaed", false},
        {"0x5aaeb6053f3e94c9b9a09f33669435e7ef1beae", false},
        {"0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed0", false},
        {"0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaeg", false},
        {"0x", false},
        {"", false},
    };
    uint8_t address[20];

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        ck_assert_msg(psdk_eth_address_parse(table[i].text, address) == table[i].ok, "%s", table[i].text);
}
END_TEST

START_TEST(a_personal_message_has_the_digest_and_signature_that_wallets_give)
{
    uint8_t digest[32], want[32], secret[32], signature[65], known[65], address[20], signer[20];
    prov_error err = {0};

    psdk_eip191_digest("Some data", 9, digest);
    ck_assert(psdk_parse_hash("0x1da44b586eb0729ff70a73c326926f6ed5a25f5b056e7f47fbc6e58d86871655", want));
    ck_assert_mem_eq(digest, want, 32);
    vectors_hex("4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318", secret, sizeof secret);
    ck_assert_int_eq(psdk_secp256k1_sign(secret, digest, signature, &err), PROV_OK);
    ck_assert(psdk_eth_signature_parse("0xb91467e570a6466aa9e9876cbcd013baba02900b8979d43fe208a4a4f339f5fd"
                                       "6007e74cd82e037b800186422fc2da167c747ef045e5d18a5f5d4300f8e1a0291c", known));
    ck_assert_mem_eq(signature, known, 65);
    ck_assert_int_eq(psdk_eth_recover(digest, known, address, &err), PROV_OK);
    ck_assert(psdk_eth_address_parse("0x2c7536E3605D9C16a7a3D7b1898e529396a65c23", signer));
    ck_assert_mem_eq(address, signer, 20);
}
END_TEST

START_TEST(signature_text_is_130_digits_and_v_is_normalised)
{
    char text[140];
    uint8_t signature[65];
    static const struct {
        const char *v;
        uint8_t want; /* 0: refused */
    } table[] = {{"00", 27}, {"01", 28}, {"1b", 27}, {"1C", 28}, {"02", 0},
                 {"1a", 0},  {"1d", 0},  {"ff", 0},  {"1", 0},   {"1b0", 0}};

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        for (int prefix = 0; prefix < 2; prefix++) {
            snprintf(text, sizeof text, "%s%064d%064d%s", prefix ? "0x" : "", 1, 2, table[i].v);
            ck_assert_msg(psdk_eth_signature_parse(text, signature) == (table[i].want != 0), "%s", text);
            ck_assert(table[i].want == 0 || signature[64] == table[i].want);
        }
    ck_assert(!psdk_eth_signature_parse("", signature));
}
END_TEST

START_TEST(decimals_of_256_bits_go_both_ways)
{
    static const struct {
        const char *hex, *decimal;
    } table[] = {
        {"0000000000000000000000000000000000000000000000000000000000000000", "0"},
        {"0000000000000000000000000000000000000000000000000000000000000009", "9"},
        {"000000000000000000000000000000000000000000000000000000003b9aca00", "1000000000"},
        {"0000000000000000000000000000000000000000000000000de0b6b3a7640000", "1000000000000000000"},
        {"000000000000000000000000000000000000000000000000ffffffffffffffff", "18446744073709551615"},
        {"0000000000000000000000000000000100000000000000000000000000000000", "340282366920938463463374607431768211456"},
        {"8000000000000000000000000000000000000000000000000000000000000000",
         "57896044618658097711785492504343953926634992332820282019728792003956564819968"},
        {"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
         "115792089237316195423570985008687907853269984665640564039457584007913129639935"},
    };
    static const char *const bad[] = {
        "", "-1", "+1", " 1", "1 ", "01", "00", "1.0", "1e3", "0x10", "a",
        "115792089237316195423570985008687907853269984665640564039457584007913129639936",
        "999999999999999999999999999999999999999999999999999999999999999999999999999999",
        "1157920892373161954235709850086879078532699846656405640394575840079131296399350",
    };
    uint8_t value[32], got[32];
    char text[79];

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        vectors_hex(table[i].hex, value, sizeof value);
        psdk_u256_format(value, text);
        ck_assert_str_eq(text, table[i].decimal);
        ck_assert(psdk_u256_parse(table[i].decimal, got));
        ck_assert_mem_eq(got, value, 32);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(!psdk_u256_parse(bad[i], got), "'%s'", bad[i]);
    for (int i = 0; i < 1000; i++) {
        psdk_keccak256(&i, sizeof i, value);
        memset(value, 0, (size_t)i % 32);
        psdk_u256_format(value, text);
        ck_assert(psdk_u256_parse(text, got));
        ck_assert_mem_eq(got, value, 32);
    }
}
END_TEST

static void *sign_in_thread(void *arg)
{
    uint8_t secret[32] = {[31] = 7}, digest[32] = {1};
    prov_error err = {0};

    return psdk_secp256k1_sign(secret, digest, arg, &err) == PROV_OK ? arg : NULL;
}

START_TEST(the_first_use_may_come_from_many_threads_at_once)
{
    uint8_t signature[8][65];
    pthread_t thread[8];

    for (int i = 0; i < 8; i++)
        ck_assert_int_eq(pthread_create(&thread[i], NULL, sign_in_thread, signature[i]), 0);
    for (int i = 0; i < 8; i++) {
        void *done = NULL;

        pthread_join(thread[i], &done);
        ck_assert_ptr_nonnull(done);
        ck_assert_mem_eq(signature[i], signature[0], 65);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("secp256k1");
    TCase *tests = tcase_create("secp256k1");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, the_first_use_may_come_from_many_threads_at_once);
    tcase_add_test(tests, secret_keys_are_from_1_to_the_order_minus_1);
    tcase_add_test(tests, signatures_have_low_s_and_recover);
    tcase_add_test(tests, malformed_signatures_are_refused);
    tcase_add_test(tests, accounts_of_the_public_vectors_have_their_addresses);
    tcase_add_test(tests, contract_addresses_of_the_public_vectors_come_out);
    tcase_add_test(tests, keys_of_ethereum_tests_have_their_addresses);
    tcase_add_test(tests, addresses_are_read_in_one_case_or_with_a_right_checksum);
    tcase_add_test(tests, a_personal_message_has_the_digest_and_signature_that_wallets_give);
    tcase_add_test(tests, signature_text_is_130_digits_and_v_is_normalised);
    tcase_add_test(tests, decimals_of_256_bits_go_both_ways);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
