/* test_public.c - public keys as users write them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <unistd.h>

#include "crypto_vectors.h"
#include "key_samples.h"
#include "psdk_file.h"
#include "pv_key.h"

/* The key of the C2SP examples (Go's sumdb) and one of ours under a name. */
static const char sumdb[] = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";

static void verifier(const char *name, uint8_t type, const uint8_t *key, size_t len, char *ret, size_t cap)
{
    uint8_t body[1024], digest[32];
    char base64[128];
    size_t at = strlen(name);

    memcpy(body, name, at);
    body[at++] = '\n';
    body[at] = type;
    memcpy(body + at + 1, key, len);
    psdk_sha256(body, at + 1 + len, digest);
    psdk_base64(body + at, len + 1, base64);
    snprintf(ret, cap, "%s+%02x%02x%02x%02x+%s", name, digest[0], digest[1], digest[2], digest[3], base64);
}

static int parse(const char *text, char *ret_name, uint8_t ret[32], prov_error *err)
{
    memset(err, 0, sizeof *err);
    return pv_public_parse(text, ret_name, ret, err);
}

START_TEST(public_keys_of_every_form_are_read)
{
    char named[256], name[PV_TRUST_NAME];
    uint8_t want[32], got[32];
    prov_error err;

    vectors_hex(SAMPLE_PUBLIC, want, sizeof want);
    verifier("example.org/log\xc3\xa9", 1, want, 32, named, sizeof named);
    const char *const forms[] = {"ed25519:" SAMPLE_PUBLIC, " ed25519:" SAMPLE_PUBLIC "\n", SAMPLE_PUBLIC, sample_public,
                                 named};
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        ck_assert_msg(parse(forms[i], name, got, &err) == PROV_OK, "%s: %s", forms[i], err.message);
        ck_assert_mem_eq(got, want, 32);
        ck_assert_str_eq(name, i == 4 ? "example.org/log\xc3\xa9" : "");
    }
    ck_assert_msg(parse(sumdb, name, got, &err) == PROV_OK, "%s", err.message);
    ck_assert_str_eq(name, "sum.golang.org");
}
END_TEST

START_TEST(any_changed_character_of_a_verifier_key_is_refused)
{
    char text[256], name[PV_TRUST_NAME];
    uint8_t got[32];
    prov_error err;

    for (size_t i = 0; i < sizeof sumdb - 1; i++) {
        memcpy(text, sumdb, sizeof sumdb);
        text[i] = text[i] == '1' ? '2' : '1';
        ck_assert_msg(parse(text, name, got, &err) < 0, "%s", text);
    }
    for (size_t len = 0; len < sizeof sumdb - 1; len++) {
        memcpy(text, sumdb, len);
        text[len] = '\0';
        ck_assert_msg(parse(text, name, got, &err) < 0, "%s", text);
    }
}
END_TEST

START_TEST(what_is_no_public_key_gets_a_clear_error)
{
    char witness[256], short_key[256];
    uint8_t key[32] = {9};

    verifier("w", 4, key, 32, witness, sizeof witness);
    verifier("w", 1, key, 31, short_key, sizeof short_key);
    const struct {
        const char *text;
        int rc;
        const char *says;
    } table[] = {
        {"", PROV_E_INVALID, "not a public key"},
        {"\n", PROV_E_INVALID, "not a public key"},
        {"ed25519:", PROV_E_INVALID, "64 hex digits"},
        {"ed25519:12", PROV_E_INVALID, "64 hex digits"},
        {"ed25519:zz" SAMPLE_PUBLIC, PROV_E_INVALID, "64 hex digits"},
        {SAMPLE_PUBLIC "00", PROV_E_NOT_FOUND, "neither"},
        {"no/such/file", PROV_E_NOT_FOUND, "neither"},
        {sample_plain, PROV_E_INVALID, "private key"},
        {sample_pbkdf2, PROV_E_INVALID, "private key"},
        {PEM("PUBLIC"
             " KEY",
             "MCowBQYDK2VuAyEAsuWcqd89wlKbPFdqa/BWk2Gpho+5RCwMKKDha552I04=\n"),
         PROV_E_INVALID, "not an Ed25519"},
        {PEM("PUBLIC"
             " KEY",
             "MCow\n"),
         PROV_E_INVALID, "not an Ed25519"},
        {PEM("CERTIFICATE", "MCow\n"), PROV_E_INVALID, "no '-----BEGIN PUBLIC KEY-----'"},
        {"sum.golang.org+033de0af+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8", PROV_E_INVALID, "its hash is"},
        {"+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8", PROV_E_INVALID, "name"},
        {witness, PROV_E_INVALID, "type 4"},
        {short_key, PROV_E_INVALID, "33 bytes"},
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char name[PV_TRUST_NAME];
        uint8_t got[32];
        prov_error err;

        ck_assert_msg(parse(table[i].text, name, got, &err) == table[i].rc, "%zu: %s", i, err.message);
        ck_assert_msg(strstr(err.message, table[i].says) != NULL, "%zu: want '%s' in '%s'", i, table[i].says,
                      err.message);
        ck_assert_str_eq(name, "");
    }
}
END_TEST

START_TEST(a_name_that_fills_the_room_is_read_and_one_more_is_refused)
{
    char text[1200], long_name[PV_TRUST_NAME + 1], name[PV_TRUST_NAME];
    uint8_t key[32] = {9}, got[32];
    prov_error err;

    memset(long_name, 'n', sizeof long_name);
    long_name[PV_TRUST_NAME - 1] = '\0';
    verifier(long_name, 1, key, 32, text, sizeof text);
    ck_assert_msg(parse(text, name, got, &err) == PROV_OK, "%s", err.message);
    ck_assert_str_eq(name, long_name);
    long_name[PV_TRUST_NAME - 1] = 'n';
    long_name[PV_TRUST_NAME] = '\0';
    verifier(long_name, 1, key, 32, text, sizeof text);
    ck_assert_int_eq(parse(text, name, got, &err), PROV_E_INVALID);
}
END_TEST

START_TEST(a_file_may_hold_the_key)
{
    char folder[256] = "/tmp/prov-public-XXXXXX", path[300], name[PV_TRUST_NAME];
    const char *const contents[] = {sample_public, "ed25519:" SAMPLE_PUBLIC "\n", SAMPLE_PUBLIC "\n", sumdb};
    static char huge[70000];
    uint8_t want[32], got[32];
    prov_error err;

    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/log.pub", folder);
    vectors_hex(SAMPLE_PUBLIC, want, sizeof want);
    for (size_t i = 0; i < 4; i++) {
        ck_assert_int_eq(psdk_write_file(path, contents[i], strlen(contents[i]), 0644, false, &err), PROV_OK);
        ck_assert_msg(parse(path, name, got, &err) == PROV_OK, "%s", err.message);
        ck_assert(i == 3 || memcmp(got, want, 32) == 0);
        ck_assert_str_eq(name, i == 3 ? "sum.golang.org" : "");
    }
    ck_assert_int_eq(psdk_write_file(path, path, strlen(path), 0644, false, &err), PROV_OK);
    ck_assert_int_eq(parse(path, name, got, &err), PROV_E_INVALID); /* a path in a file is not followed */
    ck_assert_ptr_nonnull(strstr(err.message, "holds no public key"));
    memset(huge, 'a', sizeof huge);
    ck_assert_int_eq(psdk_write_file(path, huge, sizeof huge, 0644, false, &err), PROV_OK);
    ck_assert_int_eq(parse(path, name, got, &err), PROV_E_LIMIT);
    ck_assert_int_lt(parse(folder, name, got, &err), 0);
    psdk_remove_tree(folder, NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("public");
    TCase *tests = tcase_create("public");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, public_keys_of_every_form_are_read);
    tcase_add_test(tests, any_changed_character_of_a_verifier_key_is_refused);
    tcase_add_test(tests, what_is_no_public_key_gets_a_clear_error);
    tcase_add_test(tests, a_name_that_fills_the_room_is_read_and_one_more_is_refused);
    tcase_add_test(tests, a_file_may_hold_the_key);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
