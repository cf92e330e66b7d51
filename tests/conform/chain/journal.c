/* journal.c - what is particular to chain-null: its files, torn tails, entries that were tampered with.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "chain.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *at(const char *name)
{
    static char paths[4][600];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/journal/%s", conform_dir(), name);
    return path;
}

static char text[65536];
static size_t text_len;

static void load(void)
{
    FILE *file = fopen(at("journal.jsonl"), "r");
    ck_assert_ptr_nonnull(file);
    text_len = fread(text, 1, sizeof text - 1, file);
    text[text_len] = '\0';
    fclose(file);
}

static void save(const void *data, size_t len)
{
    FILE *file = fopen(at("journal.jsonl"), "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(data, 1, len, file), len);
    fclose(file);
}

static int anchor(uint8_t key, prov_error *err)
{
    struct op op;
    prov_chain_tx tx = {.struct_size = sizeof tx};
    op_init(&op, PROV_CHAIN_ANCHOR, key);
    op_data(&op, "root", PROV_VALUE_HASH, bytes_of(key), 32);
    *err = (prov_error){0};
    return submit(&op, &tx, err);
}

static void fill(uint8_t n)
{
    prov_error err;
    for (uint8_t i = 1; i <= n; i++)
        EXPECT(PROV_OK, err, anchor(i, &err));
    load();
}

static void reopen(void)
{
    conform_destroy(chain);
    chain = conform_create();
}

static int count(prov_error *err)
{
    struct op op;
    struct rows rows;
    op_init(&op, PROV_CHAIN_Q_JOURNAL, 0);
    *err = (prov_error){0};
    int rc = query(&op, &rows, err);
    return rc == PROV_OK ? (int)rows.n : rc;
}

START_TEST(the_key_is_secret_and_kept)
{
    struct stat st;
    char first[80] = "", second[80] = "";
    FILE *file = fopen(at("journal.key"), "r");
    ck_assert_ptr_nonnull(file);
    ck_assert_ptr_nonnull(fgets(first, sizeof first, file));
    fclose(file);
    ck_assert_int_eq(stat(at("journal.key"), &st), 0);
    ck_assert_int_eq(st.st_mode & 07777, 0600);
    reopen();
    file = fopen(at("journal.key"), "r");
    ck_assert_ptr_nonnull(fgets(second, sizeof second, file));
    fclose(file);
    ck_assert_str_eq(first, second);
    fill(1);
    first[strcspn(first, "\n")] = '\0';
    ck_assert_ptr_null(strstr(text, first));
    ck_assert_int_eq(chmod(at("journal.key"), 0640), 0);
    void *instance = NULL;
    prov_error err = {0};
    const prov_host host = {.struct_size = sizeof host};
    const prov_option_value values[] = {{"path", at("")}};
    ck_assert_int_eq(conform_provider()->create(&host, values, 1, &instance, &err), PROV_E_CONFIG);
    ck_assert_int_eq(err.outcome, PROV_OUTCOME_PERMANENT);
}
END_TEST

/* The member of that name (a string) of json. */
static void member(const char *json, const char *name, char *ret, size_t cap)
{
    char mark[64];
    snprintf(mark, sizeof mark, "\"%s\":\"", name);
    const char *from = strstr(json, mark);
    ck_assert_ptr_nonnull(from);
    from += strlen(mark);
    snprintf(ret, cap, "%.*s", (int)strcspn(from, "\""), from);
}

static void unhex(const char *hex, uint8_t *ret, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        char digits[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
        ret[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
}

/* With OpenSSL alone, as an outsider would. */
START_TEST(each_line_links_to_the_one_before_and_its_signature_verifies)
{
    char previous[65] = "0000000000000000000000000000000000000000000000000000000000000000";
    fill(4);
    for (char *line = text, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        char prev[128], signer[128], base64[128], ref[128], hash_hex[65];
        uint8_t hash[32], public_key[32], signature[66];
        *end = '\0';
        ck_assert_int_eq(strncmp(line, "{\"entry\":", 9), 0);
        const char *entry = line + 9, *after = strstr(line, ",\"ref\":");
        ck_assert_ptr_nonnull(after);
        size_t entry_len = (size_t)(after - entry);
        member(line, "prev", prev, sizeof prev);
        member(line, "signer", signer, sizeof signer);
        member(line, "signature", base64, sizeof base64);
        member(line, "ref", ref, sizeof ref);
        ck_assert_str_eq(prev, previous);
        ck_assert_int_eq(EVP_Digest(entry, entry_len, hash, NULL, EVP_sha256(), NULL), 1);
        for (int i = 0; i < 32; i++)
            snprintf(hash_hex + 2 * i, 3, "%02x", hash[i]);
        memcpy(previous, hash_hex, sizeof previous);
        ck_assert_int_eq(strncmp(strchr(ref, '-') + 1, hash_hex, 16), 0);
        unhex(signer, public_key, sizeof public_key);
        ck_assert_int_eq(EVP_DecodeBlock(signature, (const uint8_t *)base64, (int)strlen(base64)), 66);
        EVP_PKEY *key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public_key, 32);
        EVP_MD_CTX *ctx = EVP_MD_CTX_new();
        ck_assert_int_eq(EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key), 1);
        ck_assert_int_eq(EVP_DigestVerify(ctx, signature, 64, (const uint8_t *)entry, entry_len), 1);
        EVP_MD_CTX_free(ctx);
        EVP_PKEY_free(key);
    }
    ck_assert_str_ne(previous, "0000000000000000000000000000000000000000000000000000000000000000");
}
END_TEST

START_TEST(a_torn_tail_is_cut)
{
    prov_error err;
    fill(3);
    size_t line = (size_t)(strchr(text, '\n') - text) + 1;
    for (size_t torn = 1; torn < line; torn += torn == line - 2 ? 1 : 37) { /* a part of one more line */
        char longer[65536];
        memcpy(longer, text, text_len);
        memcpy(longer + text_len, text, torn);
        save(longer, text_len + torn);
        reopen();
        ck_assert_int_eq(count(&err), 3);
        EXPECT(PROV_OK, err, anchor(9, &err));
        ck_assert_int_eq(count(&err), 4);
        reopen();
        ck_assert_int_eq(count(&err), 4);
        save(text, text_len);
    }
    char zeros[65536] = {0}; /* a line whose blocks were never written, with its end */
    memcpy(zeros, text, text_len);
    zeros[text_len + 300] = '\n';
    save(zeros, text_len + 301);
    reopen();
    ck_assert_int_eq(count(&err), 3);
    EXPECT(PROV_OK, err, anchor(9, &err));
    reopen();
    ck_assert_int_eq(count(&err), 4);
}
END_TEST

START_TEST(an_entry_that_was_changed_removed_or_moved_is_found)
{
    prov_error err;
    fill(3);
    char *second = strchr(text, '\n') + 1, *third = strchr(second, '\n') + 1;
    size_t len = text_len;
    static char changed[65536];
    for (size_t i = 0; i + 1 < (size_t)(third - text); i += 11) { /* any byte of the first two lines */
        memcpy(changed, text, len);
        if (strncmp(changed + i, "\n", 1) == 0)
            continue;
        const char *signature = strstr(i < (size_t)(second - text) ? changed : changed + (second - text), "\"signature\"");
        if (changed + i >= signature) /* the signature is checked when evidence is asked for, below */
            continue;
        changed[i] = changed[i] == 'a' ? 'b' : 'a';
        save(changed, len);
        reopen();
        ck_assert_msg(count(&err) == PROV_E_CORRUPT, "byte %zu", i);
        ck_assert_int_eq(err.outcome, PROV_OUTCOME_PERMANENT);
        ck_assert_int_eq(anchor(9, &err), PROV_E_CORRUPT);
    }
    size_t first_len = (size_t)(second - text), second_len = (size_t)(third - second);
    save(second, len - first_len); /* without the first */
    reopen();
    ck_assert_int_eq(count(&err), PROV_E_CORRUPT);
    memcpy(changed, second, second_len); /* the first two exchanged */
    memcpy(changed + second_len, text, first_len);
    memcpy(changed + second_len + first_len, third, len - first_len - second_len);
    save(changed, len);
    reopen();
    ck_assert_int_eq(count(&err), PROV_E_CORRUPT);
    save(text, len);
    reopen();
    ck_assert_int_eq(count(&err), 3);
}
END_TEST

START_TEST(an_entry_of_another_journal_does_not_fit)
{
    prov_error err;
    static char mixed[65536];
    fill(2);
    size_t first_len = (size_t)(strchr(text, '\n') - text) + 1;
    memcpy(mixed, text, first_len);
    ck_assert_int_eq(unlink(at("journal.jsonl")), 0);
    reopen();
    EXPECT(PROV_OK, err, anchor(7, &err));
    EXPECT(PROV_OK, err, anchor(8, &err));
    load();
    const char *second = strchr(text, '\n') + 1; /* of the same key, with the right number, signature and ref */
    memcpy(mixed + first_len, second, strlen(second));
    save(mixed, first_len + strlen(second));
    reopen();
    ck_assert_int_eq(count(&err), PROV_E_CORRUPT);
}
END_TEST

static int32_t drop(void *ctx, const void *data, uint64_t size_bytes)
{
    (void)ctx;
    (void)data;
    (void)size_bytes;
    return PROV_OK;
}

START_TEST(a_wrong_signature_is_no_evidence)
{
    prov_error err;
    prov_sink sink = {.struct_size = sizeof sink, .write = drop};
    fill(1);
    char *signature = strstr(text, "\"signature\":\"") + 13;
    signature[20] = signature[20] == 'A' ? 'B' : 'A';
    save(text, text_len);
    reopen();
    EXPECT(PROV_E_CORRUPT, err, ops->evidence(chain, &conform_call, "local:1", &sink, &err));
}
END_TEST

START_TEST(a_journal_that_another_process_shortened_is_read_again)
{
    prov_error err;
    fill(3);
    size_t len = (size_t)(strchr(strchr(text, '\n') + 1, '\n') - text) + 1;
    ck_assert_int_eq(truncate(at("journal.jsonl"), (off_t)len), 0); /* as after a sync that failed */
    ck_assert_int_eq(count(&err), 2);
    EXPECT(PROV_OK, err, anchor(3, &err));
    ck_assert_int_eq(count(&err), 3);
}
END_TEST

void add_journal(Suite *suite)
{
    TCase *test_case = new_case(suite, "journal");
    tcase_add_test(test_case, the_key_is_secret_and_kept);
    tcase_add_test(test_case, each_line_links_to_the_one_before_and_its_signature_verifies);
    tcase_add_test(test_case, a_torn_tail_is_cut);
    tcase_add_test(test_case, an_entry_that_was_changed_removed_or_moved_is_found);
    tcase_add_test(test_case, an_entry_of_another_journal_does_not_fit);
    tcase_add_test(test_case, a_wrong_signature_is_no_evidence);
    tcase_add_test(test_case, a_journal_that_another_process_shortened_is_read_again);
}
