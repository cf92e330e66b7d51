/* test_keystore.c - keystore v3 against public vectors, damage and limits.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "crypto_vectors.h"
#include "psdk_eth.h"
#include "pv_key.h"

#define CHEAP_CIPHERTEXT "573ee559ed031b69bf8d0738c68283ea6698cd7da5945e9e6dcd5ec84faf148f"
#define CHEAP_MAC "8cc1fcf0a2545180f8ad166b9954151bc6b2d2b2348f86dbf1f38c309427e1df"

static int ask(void *ctx, const char *key_name, char *ret, size_t cap, prov_error *err)
{
    (void)key_name;
    (void)err;
    snprintf(ret, cap, "%s", (const char *)ctx);
    return PROV_OK;
}

static int parse(const json_t *keystore, const char *passphrase, struct pv_key *key, prov_error *err)
{
    char *text = json_dumps(keystore, JSON_REAL_PRECISION(15)), copy[256];
    struct pv_passphrase pass = {copy, ask};
    int rc;

    snprintf(copy, sizeof copy, "%s", passphrase);
    ck_assert_ptr_nonnull(text);
    memset(err, 0, sizeof *err);
    rc = pv_key_parse(key, text, strlen(text), "k", &pass, err);
    free(text);
    return rc;
}

/* vectors_load gives reals; keystores have integers. */
static json_t *load(const char *path)
{
    json_error_t why;
    json_t *root = json_load_file(path, 0, &why);

    ck_assert_msg(root != NULL, "%s:%d: %s", path, why.line, why.text);
    return root;
}

START_TEST(the_public_vectors_open_and_a_wrong_passphrase_does_not)
{
    char path[4096];
    const char *name;
    json_t *root, *one;

    if (!vectors_find("ethereum-tests/basic_tests.json", path, sizeof path))
        return;
    root = load(path);
    ck_assert_uint_gt(json_object_size(root), 0);
    json_object_foreach(root, name, one) {
        struct pv_key key = PV_KEY_INIT;
        uint8_t want[32];
        prov_error err;
        int rc = parse(json_object_get(one, "json"), vectors_text(one, "password"), &key, &err);

        ck_assert_msg(rc == PROV_OK, "%s: %s", name, err.message);
        vectors_hex(vectors_text(one, "priv"), want, sizeof want);
        ck_assert_int_eq(key.algorithm, PV_KEY_SECP256K1);
        ck_assert_mem_eq(key.secp_secret, want, 32);
        pv_key_done(&key);
        ck_assert_int_eq(parse(json_object_get(one, "json"), "no", &key, &err), PROV_E_DENIED);
        ck_assert_ptr_nonnull(strstr(err.message, "passphrase is wrong"));
        ck_assert_int_eq(key.algorithm, 0);
    }
    fprintf(stderr, "ethereum-tests/basic_tests.json: %zu keystores\n", json_object_size(root));
    json_decref(root);
}
END_TEST

/* A keystore of the key 0x07 under "p", cheap to open: PBKDF2 of 2 rounds. */
static json_t *cheap(void)
{
    static const char text[] =
        "{\"version\":3,\"address\":\"%s\",\"crypto\":{\"cipher\":\"aes-128-ctr\",\"cipherparams\":{\"iv\":"
        "\"6087dab2f9fdbbfaddc31a909735c1e6\"},\"ciphertext\":\"%s\",\"kdf\":\"pbkdf2\",\"kdfparams\":{\"c\":2,"
        "\"dklen\":32,\"prf\":\"hmac-sha256\",\"salt\":\"ae3cd4e7013836a3df6bd7241b12db06\"},\"mac\":\"%s\"}}";
    char full[1024];
    json_error_t why;
    json_t *root;

    /* made with openssl kdf (PBKDF2) and openssl enc -aes-128-ctr; the MAC with Keccak-256 */
    snprintf(full, sizeof full, text, "d41c057fd1c78805aac12b0a94a405c0461a6fbb", CHEAP_CIPHERTEXT, CHEAP_MAC);
    root = json_loads(full, 0, &why);
    ck_assert_ptr_nonnull(root);
    return root;
}

START_TEST(a_cheap_keystore_opens)
{
    struct pv_key key = PV_KEY_INIT;
    uint8_t want[32] = {[31] = 7};
    json_t *root = cheap();
    prov_error err;

    ck_assert_msg(parse(root, "p", &key, &err) == PROV_OK, "%s", err.message);
    ck_assert_mem_eq(key.secp_secret, want, 32);
    pv_key_done(&key);
    /* capital C, capital algorithm, 0x in front, no address */
    json_object_set(root, "Crypto", json_object_get(root, "crypto"));
    json_object_del(root, "crypto");
    json_object_del(root, "address");
    json_object_set_new(json_object_get(root, "Crypto"), "cipher", json_string("AES-128-CTR"));
    json_object_set_new(json_object_get(root, "Crypto"), "mac", json_string("0x" CHEAP_MAC));
    ck_assert_msg(parse(root, "p", &key, &err) == PROV_OK, "%s", err.message);
    pv_key_done(&key);
    json_decref(root);
}
END_TEST

START_TEST(damaged_or_unreasonable_keystores_are_refused)
{
    static const struct {
        const char *section, *member, *value; /* value in JSON; NULL: left out */
        int rc;
        const char *says;
    } table[] = {
        {"", "version", "1", PROV_E_INVALID, "version"},
        {"", "version", NULL, PROV_E_INVALID, "version"},
        {"", "crypto", NULL, PROV_E_INVALID, "crypto"},
        {"", "crypto", "[]", PROV_E_INVALID, "crypto"},
        {"", "address", "\"d41c057fd1c78805aac12b0a94a405c0461a6fbe\"", PROV_E_INVALID, "address"},
        {"", "address", "\"d41c\"", PROV_E_INVALID, "address"},
        {"crypto", "cipher", "\"aes-256-cbc\"", PROV_E_INVALID, "aes-256-cbc"},
        {"crypto", "ciphertext", "\"00\"", PROV_E_INVALID, "ciphertext"},
        {"crypto", "ciphertext", "\"zz\"", PROV_E_INVALID, "ciphertext"},
        {"crypto", "ciphertext", NULL, PROV_E_INVALID, "ciphertext"},
        {"crypto", "mac", "\"0000000000000000000000000000000000000000000000000000000000000000\"", PROV_E_DENIED,
         "passphrase"},
        {"crypto", "mac", "\"00\"", PROV_E_INVALID, "mac"},
        {"crypto", "kdf", "\"argon2\"", PROV_E_INVALID, "argon2"},
        {"crypto", "kdf", "\"scrypt\"", PROV_E_INVALID, "kdfparams"},
        {"crypto", "cipherparams", "{\"iv\":\"00\"}", PROV_E_INVALID, "iv"},
        {"crypto", "kdfparams", "{}", PROV_E_INVALID, "kdfparams"},
        {"kdfparams", "c", "0", PROV_E_INVALID, "kdfparams.c"},
        {"kdfparams", "c", "3", PROV_E_DENIED, "passphrase"},
        {"kdfparams", "c", "2000000000", PROV_E_INVALID, "kdfparams.c"},
        {"kdfparams", "dklen", "16", PROV_E_INVALID, "dklen"},
        {"kdfparams", "prf", "\"hmac-sha1\"", PROV_E_INVALID, "prf"},
        {"kdfparams", "salt", "\"0\"", PROV_E_INVALID, "salt"},
        {"scrypt", "n", "3", PROV_E_INVALID, "power of two"},
        {"scrypt", "n", "0", PROV_E_INVALID, "kdfparams.n"},
        {"scrypt", "n", "16777216", PROV_E_LIMIT, "too much memory"},
        {"scrypt", "r", "1024", PROV_E_LIMIT, "too much memory"},
        {"scrypt", "p", "1025", PROV_E_INVALID, "kdfparams.p"},
        {"scrypt", "r", "0", PROV_E_INVALID, "kdfparams.r"},
        {"scrypt", "p", "\"1\"", PROV_E_INVALID, "kdfparams.p"},
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        json_t *root = cheap(), *crypto = json_object_get(root, "crypto"), *target = root;
        struct pv_key key = PV_KEY_INIT;
        prov_error err;

        if (strcmp(table[i].section, "scrypt") == 0) {
            json_object_set_new(crypto, "kdf", json_string("scrypt"));
            json_object_set_new(
                crypto, "kdfparams",
                json_pack("{s:i, s:i, s:i, s:i, s:s}", "dklen", 32, "n", 8192, "r", 8, "p", 1, "salt", "00"));
            target = json_object_get(crypto, "kdfparams");
        } else if (strcmp(table[i].section, "kdfparams") == 0) {
            target = json_object_get(crypto, "kdfparams");
        } else if (strcmp(table[i].section, "crypto") == 0) {
            target = crypto;
        }
        if (table[i].value == NULL)
            json_object_del(target, table[i].member);
        else
            json_object_set_new(target, table[i].member, json_loads(table[i].value, JSON_DECODE_ANY, NULL));
        ck_assert_msg(parse(root, "p", &key, &err) == table[i].rc, "%s.%s: %s", table[i].section, table[i].member,
                      err.message);
        ck_assert_msg(strstr(err.message, table[i].says) != NULL, "want '%s' in '%s'", table[i].says, err.message);
        ck_assert_int_eq(key.algorithm, 0);
        json_decref(root);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("keystore");
    TCase *tests = tcase_create("keystore");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tests, 100);
    tcase_add_test(tests, the_public_vectors_open_and_a_wrong_passphrase_does_not);
    tcase_add_test(tests, a_cheap_keystore_opens);
    tcase_add_test(tests, damaged_or_unreasonable_keystores_are_refused);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
