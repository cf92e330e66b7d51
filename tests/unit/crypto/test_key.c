/* test_key.c - key texts of every form, key files, what is refused.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "pv_key.h"

#include <fcntl.h>
#include <unistd.h>

#include "crypto_vectors.h"
#include "key_samples.h"
#include "psdk_eth.h"
#include "psdk_file.h"

static char folder[4096]; /* one for each test */

static void setup(void)
{
    const char *base = getenv("TMPDIR");

    snprintf(folder, sizeof folder, "%s/prov-key-XXXXXX", base != NULL ? base : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void teardown(void)
{
    psdk_remove_tree(folder, NULL);
}

static const char *in_folder(const char *name)
{
    static char path[2][5000];
    static int turn;

    turn = !turn;
    snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
    return path[turn];
}

static void put(const char *name, const char *text, mode_t mode)
{
    prov_error err = {0};

    ck_assert_msg(psdk_write_file(in_folder(name), text, strlen(text), mode, false, &err) == PROV_OK, "%s",
                  err.message);
}

static int ask(void *ctx, const char *key_name, char *ret, size_t cap, prov_error *err)
{
    (void)key_name;
    if (ctx == NULL)
        return psdk_fail(err, PROV_E_DENIED, "nobody to ask");
    snprintf(ret, cap, "%s", (const char *)ctx);
    return PROV_OK;
}

static const struct pv_passphrase secret = {"secret", ask}, wrong = {"wrong", ask}, nobody = {NULL, ask};

static int parse(struct pv_key *key, const char *text, const struct pv_passphrase *pass, prov_error *err)
{
    memset(err, 0, sizeof *err);
    return pv_key_parse(key, text, strlen(text), "k", pass, err);
}

static void assert_empty(const struct pv_key *key)
{
    const uint8_t *bytes = (const uint8_t *)key;

    for (size_t i = 0; i < sizeof *key; i++)
        ck_assert_msg(bytes[i] == 0, "byte %zu of the key is left", i);
}

static void assert_public(const struct pv_key *key, const char *want)
{
    struct psdk_buf text = {0};

    ck_assert_int_eq(pv_key_public_text(key, &text), PROV_OK);
    ck_assert_str_eq(psdk_buf_str(&text), want);
    psdk_buf_done(&text);
}

/* ---- texts ------------------------------------------------------------------------------------------------------- */

START_TEST(private_keys_of_every_form_are_read)
{
    static const struct {
        const char *text, *public_text;
    } table[] = {
        {sample_plain, "ed25519:" SAMPLE_PUBLIC},
        {sample_pbkdf2, "ed25519:" SAMPLE_PUBLIC},
        {sample_scrypt, "ed25519:" SAMPLE_PUBLIC},
        {sample_ssh, "ed25519:" SAMPLE_SSH_PUBLIC},
        {"c85ef7d79691fe79573b1a7064c19c1a9819ebdbd1faaab1a8ec92344438aaf4\n",
         "0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826"},
        {" 0xC85EF7D79691FE79573B1A7064C19C1A9819EBDBD1FAAAB1A8EC92344438AAF4\r\n",
         "0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826"},
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct pv_key key = PV_KEY_INIT;
        prov_error err;

        ck_assert_msg(parse(&key, table[i].text, &secret, &err) == PROV_OK, "%zu: %s", i, err.message);
        ck_assert_str_eq(key.name, "k");
        assert_public(&key, table[i].public_text);
        pv_key_done(&key);
        assert_empty(&key);
    }
}
END_TEST

/* RFC 8410, 10.3: version 2 with attributes and the public key. */
START_TEST(a_key_with_its_public_half_inside_is_read_and_the_half_is_checked)
{
    char text[] = PEM("PRIVATE" " KEY", "MHICAQEwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n"
                                        "oB8wHQYKKoZIhvcNAQkJFDEPDA1DdXJkbGUgQ2hhaXJzgSEAGb9ECWmEzf6FQbrB\n"
                                        "Z9w7lshQhqowtrbLDFw4rXAxZuE=\n");
    struct pv_key key = PV_KEY_INIT;
    prov_error err;

    ck_assert_msg(parse(&key, text, NULL, &err) == PROV_OK, "%s", err.message);
    assert_public(&key, "ed25519:19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1");
    pv_key_done(&key);
    memcpy(strstr(text, "ZuE="), "ZuA=", 4);
    ck_assert_int_eq(parse(&key, text, NULL, &err), PROV_E_INVALID);
    ck_assert_msg(strstr(err.message, "does not belong") != NULL, "%s", err.message);
    assert_empty(&key);
}
END_TEST

START_TEST(what_is_no_private_key_gets_a_clear_error)
{
    static const struct {
        const char *text;
        int rc;
        const char *says;
    } table[] = {
        {"", PROV_E_INVALID, "empty"},
        {" \n\t", PROV_E_INVALID, "empty"},
        {"hello", PROV_E_INVALID, "not a private key"},
        {"0x", PROV_E_INVALID, "not a private key"},
        {"c85ef7d79691fe79573b1a7064c19c1a9819ebdbd1faaab1a8ec92344438aa", PROV_E_INVALID, "not a private key"},
        {"c85ef7d79691fe79573b1a7064c19c1a9819ebdbd1faaab1a8ec92344438aaf4aa", PROV_E_INVALID, "not a private key"},
        {"0000000000000000000000000000000000000000000000000000000000000000", PROV_E_INVALID, "order minus 1"},
        {"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", PROV_E_INVALID, "order minus 1"},
        {sample_ec, PROV_E_INVALID, "id-ecPublicKey"},
        {sample_public, PROV_E_INVALID, "public key"},
        {sample_ssh_encrypted, PROV_E_INVALID, "ssh-keygen -p"},
        {PEM("EC PRIVATE"
             " KEY",
             "MHQ=\n"),
         PROV_E_INVALID, "topk8"},
        {PEM("PRIVATE"
             " KEY",
             ""),
         PROV_E_INVALID, "not base64"},
        {PEM("PRIVATE"
             " KEY",
             "MC4C*QAw\n"),
         PROV_E_INVALID, "not base64"},
        {PEM("PRIVATE"
             " KEY",
             "MC4CAQAwBQYDK2VwBCIEIMs6fCdwILV9z4MCuY6j4pV4QZVn\n"),
         PROV_E_INVALID, "malformed or cut off"},
        {PEM("PRIVATE"
             " KEY",
             "AAAA\n"),
         PROV_E_INVALID, "malformed or cut off"},
        {PEM("ENCRYPTED PRIVATE"
             " KEY",
             "MIGbMFcG\n"),
         PROV_E_INVALID, "malformed or cut off"},
        {PEM("OPENSSH PRIVATE"
             " KEY",
             "AAAA\n"),
         PROV_E_INVALID, "version 1"},
        {"-----BEGIN PRIVATE"
         " KEY-----\nMC4CAQAwBQYDK2Vw\n",
         PROV_E_INVALID, "cut off"},
        {"{", PROV_E_INVALID, "keystore"},
        {"{}", PROV_E_INVALID, "version"},
        {"{\"version\":4}", PROV_E_INVALID, "version"},
        {"{\"version\":3}", PROV_E_INVALID, "crypto"},
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct pv_key key = PV_KEY_INIT;
        prov_error err;

        ck_assert_msg(parse(&key, table[i].text, &secret, &err) == table[i].rc, "%zu: %s", i, err.message);
        ck_assert_msg(strstr(err.message, table[i].says) != NULL, "%zu: want '%s' in '%s'", i, table[i].says,
                      err.message);
        assert_empty(&key);
    }
}
END_TEST

START_TEST(every_truncation_of_a_key_text_is_refused)
{
    static const char *const samples[] = {sample_plain, sample_pbkdf2, sample_ssh};

    for (size_t s = 0; s < 3; s++)
        for (size_t len = 0; len + 1 < strlen(samples[s]); len += s == 1 ? 7 : 1) {
            struct pv_key key = PV_KEY_INIT;
            prov_error err = {0};

            ck_assert_msg(pv_key_parse(&key, samples[s], len, "k", &secret, &err) < 0, "%zu bytes of sample %zu", len,
                          s);
            ck_assert_str_ne(err.message, "");
            assert_empty(&key);
        }
}
END_TEST

/* Cuts inside the binary form, where the PEM around it stays whole. */
START_TEST(every_other_length_of_the_bytes_inside_is_refused)
{
    static const char *const samples[] = {sample_plain, sample_ssh};
    static const char *const labels[] = {"PRIVATE" " KEY", "OPENSSH PRIVATE" " KEY"};

    for (size_t s = 0; s < 2; s++) {
        char digits[1024] = "", text[2048], base64[1024];
        uint8_t der[1024];
        long len;

        for (const char *c = strchr(samples[s], '\n'); *c != '-'; c++)
            if (*c != '\n')
                strncat(digits, c, 1);
        len = psdk_unbase64(digits, strlen(digits), der, sizeof der);
        ck_assert_int_gt(len, 40);
        for (long cut = 1; cut <= len + 1; cut++) {
            struct pv_key key = PV_KEY_INIT;
            prov_error err;

            if (cut == len)
                continue;
            der[len] = 0; /* one byte too many is wrong as well */
            psdk_base64(der, (size_t)cut, base64);
            snprintf(text, sizeof text, "-----BEGIN %s-----\n%s\n-----END %s-----\n", labels[s], base64, labels[s]);
            ck_assert_msg(parse(&key, text, NULL, &err) == PROV_E_INVALID, "sample %zu cut to %ld", s, cut);
            assert_empty(&key);
        }
    }
}
END_TEST

START_TEST(a_text_with_nul_bytes_or_of_a_huge_size_is_refused)
{
    static char huge[70000];
    struct pv_key key = PV_KEY_INIT;
    prov_error err = {0};

    memset(huge, 'a', sizeof huge);
    ck_assert_int_eq(pv_key_parse(&key, huge, sizeof huge, "k", NULL, &err), PROV_E_LIMIT);
    ck_assert_int_eq(pv_key_parse(&key, "0\0001", 3, "k", NULL, &err), PROV_E_INVALID);
    ck_assert_ptr_nonnull(strstr(err.message, "NUL"));
    memset(huge, '{', 60000);
    ck_assert_int_lt(pv_key_parse(&key, huge, 60000, "k", NULL, &err), 0);
}
END_TEST

START_TEST(an_encrypted_key_needs_the_right_passphrase)
{
    static const char *const samples[] = {sample_pbkdf2, sample_scrypt};
    struct pv_key key = PV_KEY_INIT;
    prov_error err;

    for (size_t i = 0; i < 2; i++) {
        ck_assert_int_eq(parse(&key, samples[i], &wrong, &err), PROV_E_DENIED);
        ck_assert_msg(strstr(err.message, "passphrase is wrong") != NULL, "%s", err.message);
        ck_assert_int_eq(parse(&key, samples[i], &nobody, &err), PROV_E_DENIED);
        ck_assert_int_eq(parse(&key, samples[i], NULL, &err), PROV_E_DENIED);
        ck_assert_msg(strstr(err.message, "no passphrase was given") != NULL, "%s", err.message);
        assert_empty(&key);
    }
}
END_TEST

/* ---- files ------------------------------------------------------------------------------------------------------- */

START_TEST(a_saved_key_is_the_key_that_is_loaded)
{
    static const struct {
        int algorithm;
        const char *passphrase;
    } table[] = {
        {PV_KEY_ED25519, NULL}, {PV_KEY_ED25519, "secret"}, {PV_KEY_SECP256K1, NULL}, {PV_KEY_SECP256K1, "secret"}};

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct pv_key made = PV_KEY_INIT, got = PV_KEY_INIT;
        struct psdk_buf public_text = {0};
        char name[8];
        struct stat st;
        prov_error err = {0};

        snprintf(name, sizeof name, "k%zu", i);
        ck_assert_int_eq(pv_key_new(&made, name, table[i].algorithm, &err), PROV_OK);
        ck_assert_msg(pv_key_save(&made, in_folder("sub/keys"), table[i].passphrase, &err) == PROV_OK, "%s",
                      err.message);
        ck_assert_msg(pv_key_load(&got, in_folder("sub/keys"), name, &secret, &err) == PROV_OK, "%s", err.message);
        ck_assert_int_eq(got.algorithm, table[i].algorithm);
        ck_assert_str_eq(got.name, name);
        ck_assert_int_eq(pv_key_public_text(&made, &public_text), PROV_OK);
        assert_public(&got, psdk_buf_str(&public_text));
        ck_assert_mem_eq(got.secp_secret, made.secp_secret, 32);
        pv_key_done(&got);
        if (table[i].passphrase != NULL) {
            ck_assert_int_eq(pv_key_load(&got, in_folder("sub/keys"), name, &wrong, &err), PROV_E_DENIED);
            assert_empty(&got);
        }
        ck_assert_int_eq(pv_key_save(&made, in_folder("sub/keys"), NULL, &err), PROV_E_EXISTS);
        snprintf(name, sizeof name, "k%zu.key", i);
        ck_assert_int_eq(stat(in_folder("sub/keys"), &st), 0);
        ck_assert_int_eq(chdir(in_folder("sub/keys")), 0);
        ck_assert_int_eq(stat(name, &st), 0);
        ck_assert_uint_eq(st.st_mode & 0777, 0600);
        memcpy(strchr(name, '.'), ".pub", 5);
        ck_assert_int_eq(stat(name, &st), 0);
        ck_assert_uint_eq(st.st_mode & 0777, 0644);
        ck_assert_int_eq(chdir("/"), 0);
        psdk_buf_done(&public_text);
        pv_key_done(&made);
    }
}
END_TEST

START_TEST(the_openssl_program_reads_what_is_saved)
{
    struct pv_key key = PV_KEY_INIT;
    char command[8192];
    prov_error err = {0};

    if (system("openssl version >/dev/null 2>&1") != 0) {
        fprintf(stderr, "SKIP: no openssl program\n");
        return;
    }
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(pv_key_new(&key, i == 0 ? "a" : "b", PV_KEY_ED25519, &err), PROV_OK);
        ck_assert_int_eq(pv_key_save(&key, folder, i == 0 ? NULL : "secret", &err), PROV_OK);
        snprintf(
            command, sizeof command,
            "cd '%s' && openssl pkey -in %s.key -passin pass:secret -pubout -out got.pub 2>/dev/null "
                 "&& cmp got.pub %s.pub",
            folder, key.name, key.name);
        ck_assert_int_eq(system(command), 0);
        pv_key_done(&key);
    }
}
END_TEST

START_TEST(saving_never_overwrites_and_leaves_no_half)
{
    struct pv_key key = PV_KEY_INIT;
    struct psdk_buf text = {0};
    prov_error err = {0};

    ck_assert_int_eq(pv_key_new(&key, "log", PV_KEY_ED25519, &err), PROV_OK);
    put("log.pub", "mine", 0644);
    ck_assert_int_eq(pv_key_save(&key, folder, NULL, &err), PROV_E_EXISTS);
    ck_assert_int_ne(access(in_folder("log.key"), F_OK), 0);
    ck_assert_int_eq(psdk_read_file(in_folder("log.pub"), 100, &text, &err), PROV_OK);
    ck_assert_str_eq(psdk_buf_str(&text), "mine");
    ck_assert_int_eq(unlink(in_folder("log.pub")), 0);
    ck_assert_int_eq(symlink("/nowhere", in_folder("log.key")), 0);
    ck_assert_int_eq(pv_key_save(&key, folder, NULL, &err), PROV_E_EXISTS);
    ck_assert_int_ne(access(in_folder("log.pub"), F_OK), 0);
    ck_assert_int_eq(unlink(in_folder("log.key")), 0);
    ck_assert_int_eq(pv_key_save(&key, folder, "", &err), PROV_E_INVALID);
    put("file", "", 0644);
    ck_assert_int_lt(pv_key_save(&key, in_folder("file/keys"), NULL, &err), 0);
    key.name[0] = '\0';
    ck_assert_int_eq(pv_key_save(&key, folder, NULL, &err), PROV_E_INVALID);
    psdk_buf_done(&text);
    pv_key_done(&key);
}
END_TEST

START_TEST(a_file_that_others_can_read_or_write_is_refused_with_the_remedy)
{
    static const mode_t modes[] = {0644, 0640, 0604, 0620, 0666};
    struct pv_key key = PV_KEY_INIT;
    prov_error err;

    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        put("log.key", sample_plain, 0600);
        ck_assert_int_eq(chmod(in_folder("log.key"), modes[i]), 0);
        memset(&err, 0, sizeof err);
        ck_assert_int_eq(pv_key_load(&key, folder, "log", NULL, &err), PROV_E_DENIED);
        ck_assert_msg(strstr(err.message, "chmod") != NULL && strstr(err.message, "'log'") != NULL, "%s", err.message);
        assert_empty(&key);
    }
    ck_assert_int_eq(chmod(in_folder("log.key"), 0400), 0);
    ck_assert_msg(pv_key_load(&key, folder, "log", NULL, &err) == PROV_OK, "%s", err.message);
    pv_key_done(&key);
    ck_assert_int_eq(chmod(folder, 0777), 0);
    ck_assert_int_eq(pv_key_load(&key, folder, "log", NULL, &err), PROV_E_DENIED);
}
END_TEST

START_TEST(files_that_are_no_key_files_are_refused)
{
    static char huge[70000];
    struct pv_key key = PV_KEY_INIT;
    prov_error err = {0};

    ck_assert_int_eq(pv_key_load(&key, folder, "log", NULL, &err), PROV_E_NOT_FOUND);
    ck_assert_msg(strstr(err.message, "'log'") != NULL, "%s", err.message);
    ck_assert_int_eq(pv_key_load(&key, folder, "../log", NULL, &err), PROV_E_INVALID);
    memset(huge, 'a', sizeof huge - 1);
    put("huge.key", huge, 0600);
    ck_assert_int_eq(pv_key_load(&key, folder, "huge", NULL, &err), PROV_E_LIMIT);
    ck_assert_int_eq(mkfifo(in_folder("pipe.key"), 0600), 0);
    ck_assert_int_eq(pv_key_load(&key, folder, "pipe", NULL, &err), PROV_E_INVALID);
    ck_assert_int_eq(mkdir(in_folder("dir.key"), 0700), 0);
    ck_assert_int_eq(pv_key_load(&key, folder, "dir", NULL, &err), PROV_E_INVALID);
    put("empty.key", "", 0600);
    ck_assert_int_eq(pv_key_load(&key, folder, "empty", NULL, &err), PROV_E_INVALID);
    put("other.txt", sample_plain, 0600);
    ck_assert_int_eq(symlink("other.txt", in_folder("link.key")), 0);
    ck_assert_msg(pv_key_load(&key, folder, "link", NULL, &err) == PROV_OK, "%s", err.message);
    pv_key_done(&key);
    ck_assert_int_eq(pv_key_load_file(&key, in_folder("other.txt"), NULL, NULL, &err), PROV_OK);
    ck_assert_str_eq(key.name, "");
    pv_key_done(&key);
}
END_TEST

START_TEST(keys_are_listed_sorted_and_a_missing_folder_has_none)
{
    static const char want[] = "a\0b.1\0log\0"; /* and the empty name */
    struct psdk_buf names = {0};
    prov_error err = {0};

    put("log.key", "", 0600);
    put("log.pub", "", 0600);
    put("b.1.key", "", 0600);
    put("a.key", "", 0600);
    put(".key", "", 0600);
    put("UPPER.key", "", 0600);
    put("a.key.bak", "", 0600);
    ck_assert_int_eq(pv_key_list(folder, &names, &err), PROV_OK);
    ck_assert_uint_eq(names.len, sizeof want);
    ck_assert_mem_eq(names.data, want, sizeof want);
    psdk_buf_clear(&names);
    ck_assert_int_eq(pv_key_list(in_folder("none"), &names, &err), PROV_OK);
    ck_assert_uint_eq(names.len, 1);
    ck_assert_int_lt(pv_key_list(in_folder("a.key"), &names, &err), 0);
    psdk_buf_done(&names);
}
END_TEST

START_TEST(key_names_are_short_plain_words)
{
    static const struct {
        const char *name;
        bool ok;
    } table[] = {
        {"a", true},
        {"log", true},
        {"0", true},
        {"a.b-c_d9", true},
        {"", false},
        {".a", false},
        {"-a", false},
        {"A", false},
        {"a b", false},
        {"a/b", false},
        {"..", false},
        {"\xc3\xa9", false},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", true},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false},
    };
    struct pv_key key = PV_KEY_INIT;
    prov_error err = {0};

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        ck_assert_msg(pv_key_name_ok(table[i].name) == table[i].ok, "'%s'", table[i].name);
    ck_assert_int_eq(pv_key_new(&key, "No Good", PV_KEY_ED25519, &err), PROV_E_INVALID);
    ck_assert_int_eq(pv_key_new(&key, "good", 7, &err), PROV_E_INVALID);
    assert_empty(&key);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("key");
    TCase *tests = tcase_create("key");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 100);
    tcase_add_test(tests, private_keys_of_every_form_are_read);
    tcase_add_test(tests, a_key_with_its_public_half_inside_is_read_and_the_half_is_checked);
    tcase_add_test(tests, what_is_no_private_key_gets_a_clear_error);
    tcase_add_test(tests, every_truncation_of_a_key_text_is_refused);
    tcase_add_test(tests, every_other_length_of_the_bytes_inside_is_refused);
    tcase_add_test(tests, a_text_with_nul_bytes_or_of_a_huge_size_is_refused);
    tcase_add_test(tests, an_encrypted_key_needs_the_right_passphrase);
    tcase_add_test(tests, a_saved_key_is_the_key_that_is_loaded);
    tcase_add_test(tests, the_openssl_program_reads_what_is_saved);
    tcase_add_test(tests, saving_never_overwrites_and_leaves_no_half);
    tcase_add_test(tests, a_file_that_others_can_read_or_write_is_refused_with_the_remedy);
    tcase_add_test(tests, files_that_are_no_key_files_are_refused);
    tcase_add_test(tests, keys_are_listed_sorted_and_a_missing_folder_has_none);
    tcase_add_test(tests, key_names_are_short_plain_words);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
