/* Signed notes and verifier keys. SPDX-License-Identifier: Apache-2.0 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "psdk_hash.h"
#include "pv_note.h"

#define DASH "\xe2\x80\x94"
#define NAME "log.example/unit"

static struct psdk_ed25519 key, other;
static prov_error err;

static void setup(void)
{
    uint8_t seed[32];

    memset(seed, 7, sizeof(seed));
    ck_assert_int_eq(psdk_ed25519_from_seed(&key, seed, &err), PROV_OK);
    memset(seed, 8, sizeof(seed));
    ck_assert_int_eq(psdk_ed25519_from_seed(&other, seed, &err), PROV_OK);
    memset(&err, 0, sizeof(err));
}

static void teardown(void)
{
    psdk_ed25519_done(&key);
    psdk_ed25519_done(&other);
}

static void sign(struct psdk_buf *out, const char *text, const char *name, const struct psdk_ed25519 *by)
{
    ck_assert_msg(pv_note_sign(out, text, strlen(text), name, by, &err) == PROV_OK, "%s", err.message);
}

/* Adds the signature line `blob` under name to a note. */
static void add_line(struct psdk_buf *out, const char *name, const uint8_t *blob, size_t len)
{
    psdk_buf_addf(out, DASH " %s ", name);
    psdk_buf_add_base64(out, blob, len);
    ck_assert_int_eq(psdk_buf_addc(out, '\n'), PROV_OK);
}

START_TEST(a_signed_note_reads_back_and_verifies)
{
    static const char *const texts[] = {"one line\n", "\n", "with\n\nempty\n\n\nlines\n", "ends in empty lines\n\n\n",
                                        "caf\xc3\xa9 \xf0\x9f\x8c\xb2\n", DASH " looks like AAAAAAAA a signature\n"};

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct psdk_buf out = {0};
        struct pv_note note;
        bool bad = true;

        sign(&out, texts[i], NAME, &key);
        ck_assert_msg(pv_note_parse(psdk_buf_str(&out), out.len, "n", &note, &err) == PROV_OK, "%s", err.message);
        ck_assert_uint_eq(note.text_len, strlen(texts[i]));
        ck_assert_mem_eq(note.text, texts[i], note.text_len);
        ck_assert_ptr_eq(note.text, out.data);
        ck_assert_uint_eq(note.n_sigs, 1);
        ck_assert_str_eq(note.sigs[0].name, NAME);
        ck_assert_uint_eq(note.sigs[0].blob_len, 64);
        ck_assert(pv_note_signed_by(&note, NAME, key.public_key, &bad));
        ck_assert(!bad);
        ck_assert(!pv_note_signed_by(&note, NAME, other.public_key, &bad));
        ck_assert(!bad);
        ck_assert(!pv_note_signed_by(&note, "log.example/other", key.public_key, NULL));
        pv_note_done(&note);
        pv_note_done(&note);
        psdk_buf_done(&out);
    }
}
END_TEST

START_TEST(the_key_hash_is_of_name_newline_type_and_key)
{
    uint8_t data[sizeof(NAME) + 33], digest[32], hash[4];

    memcpy(data, NAME "\n\x01", sizeof(NAME) + 1);
    memcpy(data + sizeof(NAME) + 1, key.public_key, 32);
    psdk_sha256(data, sizeof(data), digest);
    pv_note_key_hash(NAME, key.public_key, hash);
    ck_assert_mem_eq(hash, digest, 4);
}
END_TEST

START_TEST(a_malformed_note_is_refused_with_its_line)
{
    static const struct {
        const char *text;
        size_t len; /* 0: strlen */
        const char *want;
    } rows[] = {
        {"", 0, "it is empty"},
        {"text", 0, "the last line is cut"},
        {"text\n", 0, "no empty line"},
        {"\n" DASH " a AAAAAAA=\n", 0, "no empty line"},
        {"text\n\n", 0, "no signature line"},
        {"text\n\n" DASH " a AAAAAAA=", 0, "the last line is cut"},
        {"text\n\nx\n", 0, "line 3: a signature line begins"},
        {"a\nb\nc\n\n" DASH " a AAAAAAA=\n- b AAAAAAA=\n", 0, "line 6: a signature line begins"},
        {"text\n\n" DASH "a AAAAAAA=\n", 0, "line 3: a signature line begins"},
        {"text\n\n" DASH "  AAAAAAA=\n", 0, "line 3: the key name"},
        {"text\n\n" DASH " a\n", 0, "line 3: no space"},
        {"text\n\n" DASH " a+b AAAAAAA=\n", 0, "line 3: the key name"},
        {"text\n\n" DASH " a\xc2\xa0" "b AAAAAAA=\n", 0, "line 3: the key name"},
        {"text\n\n" DASH " a\xe3\x80\x80" "b AAAAAAA=\n", 0, "line 3: the key name"},
        {"text\n\n" DASH " a b AAAAAAA=\n", 0, "line 3: the signature is not canonical base64"},
        {"text\n\n" DASH " a AAAAAAA= \n", 0, "line 3: the signature is not canonical base64"},
        {"text\n\n" DASH " a AAAAAAA\n", 0, "line 3: the signature is not canonical base64"},
        {"text\n\n" DASH " a AAAAAAB=\n", 0, "line 3: the signature is not canonical base64"},
        {"text\n\n" DASH " a AAAA_-A=\n", 0, "line 3: the signature is not canonical base64"},
        {"text\n\n" DASH " a AAAAAA==\n", 0, "line 3: the signature is too short"},
        {"text\n\n" DASH " a \n", 0, "line 3: the signature is too short"},
        {"text\r\n\n" DASH " a AAAAAAA=\n", 0, "line 1: a control character"},
        {"text\nta\tb\n\n" DASH " a AAAAAAA=\n", 0, "line 2: a control character"},
        {"te\0xt\n\n" DASH " a AAAAAAA=\n", 22, "line 1: a control character"},
        {"\xff\n\n" DASH " a AAAAAAA=\n", 0, "line 1: not valid UTF-8"},
        {"\n\xc0\xaf\n\n" DASH " a AAAAAAA=\n", 0, "line 2: not valid UTF-8"},
        {"\xed\xa0\x80\n\n" DASH " a AAAAAAA=\n", 0, "line 1: not valid UTF-8"},
        {"\xe0\x80\xaf\n\n" DASH " a AAAAAAA=\n", 0, "line 1: not valid UTF-8"},
        {"\xf0\x8f\xbf\xbf\n\n" DASH " a AAAAAAA=\n", 0, "line 1: not valid UTF-8"},
        {"\xf4\x90\x80\x80\n\n" DASH " a AAAAAAA=\n", 0, "line 1: not valid UTF-8"},
        {"text\n\n" DASH " a AAAAAAA=\n\xe2\x80", 0, "line 4: not valid UTF-8"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct pv_note note = {.n_sigs = 9};
        size_t len = rows[i].len > 0 ? rows[i].len : strlen(rows[i].text);
        memset(&err, 0, sizeof(err));
        ck_assert_msg(pv_note_parse(rows[i].text, len, "n.note", &note, &err) == PROV_E_CORRUPT, "row %zu", i);
        ck_assert_msg(strstr(err.message, rows[i].want) != NULL, "row %zu: %s", i, err.message);
        ck_assert_msg(strstr(err.message, "n.note: ") == err.message, "row %zu: %s", i, err.message);
        ck_assert_uint_eq(note.n_sigs, 0);
        ck_assert_ptr_null(note.sigs);
    }
}
END_TEST

START_TEST(no_byte_of_a_note_can_change_unseen)
{
    struct psdk_buf out = {0};

    sign(&out, "log.example\n12\nhash\n", NAME, &key);
    for (size_t i = 0; i < out.len; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            struct pv_note note;
            out.data[i] ^= (uint8_t)(1u << bit);
            if (pv_note_parse((char *)out.data, out.len, "n", &note, &err) == PROV_OK) {
                ck_assert_msg(!pv_note_signed_by(&note, NAME, key.public_key, NULL), "byte %zu bit %u", i, bit);
                pv_note_done(&note);
            }
            out.data[i] ^= (uint8_t)(1u << bit);
        }
    }
    psdk_buf_done(&out);
}
END_TEST

START_TEST(unknown_signatures_are_kept_and_ignored)
{
    struct psdk_buf out = {0};
    struct pv_note note;
    uint8_t blob[5000];
    bool bad = true;

    memset(blob, 3, sizeof(blob));
    sign(&out, "text\n", NAME, &key);
    add_line(&out, NAME, blob, 68); /* the same name, another key hash */
    pv_note_key_hash(NAME, key.public_key, blob);
    add_line(&out, "witness.example", blob, 68); /* the same key hash, another name */
    for (int i = 0; i < 14; i++) /* post-quantum signatures are large, and 16 must be accepted */
        add_line(&out, "pq.example", blob, sizeof(blob));
    ck_assert_int_eq(pv_note_parse(psdk_buf_str(&out), out.len, "n", &note, &err), PROV_OK);
    ck_assert_uint_eq(note.n_sigs, 17);
    ck_assert_uint_eq(note.sigs[16].blob_len, sizeof(blob) - 4);
    ck_assert_mem_eq(note.sigs[16].blob, blob + 4, sizeof(blob) - 4);
    ck_assert_str_eq(note.sigs[2].name, "witness.example");
    ck_assert(pv_note_signed_by(&note, NAME, key.public_key, &bad));
    ck_assert(!bad);
    pv_note_done(&note);
    psdk_buf_done(&out);
}
END_TEST

START_TEST(a_bad_signature_of_a_known_key_spoils_a_good_one)
{
    static const size_t lengths[] = {5, 67, 68, 69};

    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        struct psdk_buf out = {0};
        struct pv_note note;
        uint8_t blob[69] = {0};
        bool bad = false;

        sign(&out, "text\n", NAME, &key);
        pv_note_key_hash(NAME, key.public_key, blob);
        add_line(&out, NAME, blob, lengths[i]);
        ck_assert_int_eq(pv_note_parse(psdk_buf_str(&out), out.len, "n", &note, &err), PROV_OK);
        ck_assert(!pv_note_signed_by(&note, NAME, key.public_key, &bad));
        ck_assert(bad);
        pv_note_done(&note);
        psdk_buf_done(&out);
    }
}
END_TEST

START_TEST(limits_are_32_signatures_and_256_kib)
{
    struct psdk_buf out = {0};
    struct pv_note note;
    uint8_t blob[8] = {1};

    psdk_buf_adds(&out, "text\n\n");
    for (int i = 0; i < PV_NOTE_SIGS; i++)
        add_line(&out, "a", blob, sizeof(blob));
    ck_assert_int_eq(pv_note_parse(psdk_buf_str(&out), out.len, "n", &note, &err), PROV_OK);
    ck_assert_uint_eq(note.n_sigs, PV_NOTE_SIGS);
    pv_note_done(&note);
    add_line(&out, "a", blob, sizeof(blob));
    ck_assert_int_eq(pv_note_parse(psdk_buf_str(&out), out.len, "n", &note, &err), PROV_E_LIMIT);
    psdk_buf_clear(&out);
    static const char tail[] = "\n\n" DASH " a AAAAAAA=\n";
    while (out.len < PV_NOTE_MAX - (sizeof(tail) - 1))
        psdk_buf_addc(&out, 'x');
    psdk_buf_adds(&out, tail);
    ck_assert_uint_eq(out.len, PV_NOTE_MAX);
    ck_assert_int_eq(pv_note_parse(psdk_buf_str(&out), out.len, "n", &note, &err), PROV_OK);
    pv_note_done(&note);
    ck_assert_int_eq(pv_note_parse(psdk_buf_str(&out), out.len + 1, "n", &note, &err), PROV_E_LIMIT);
    psdk_buf_done(&out);
}
END_TEST

START_TEST(what_cannot_stand_in_a_note_is_not_signed)
{
    static const struct {
        const char *text, *name, *want;
    } rows[] = {
        {"", NAME, "newline"},          {"text", NAME, "newline"},     {"a\tb\n", NAME, "line 1"},
        {"a\n\xff\n", NAME, "line 2"}, {"text\n", "", "key name"},    {"text\n", "a b", "key name"},
        {"text\n", "a+b", "key name"},  {"text\n", "a\nb", "key name"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct psdk_buf out = {0};
        psdk_buf_adds(&out, "before");
        ck_assert_int_eq(pv_note_sign(&out, rows[i].text, strlen(rows[i].text), rows[i].name, &key, &err),
                         PROV_E_INVALID);
        ck_assert_msg(strstr(err.message, rows[i].want) != NULL, "row %zu: %s", i, err.message);
        ck_assert_uint_eq(out.len, 6);
        psdk_buf_done(&out);
    }
}
END_TEST

START_TEST(a_full_output_buffer_stays_as_it_was)
{
    struct psdk_buf out = {.max = 40};

    psdk_buf_adds(&out, "before");
    ck_assert_int_eq(pv_note_sign(&out, "text\n", 5, NAME, &key, &err), PROV_E_LIMIT);
    ck_assert_uint_eq(out.len, 6);
    psdk_buf_done(&out);
}
END_TEST

START_TEST(names_are_utf8_without_space_plus_or_control)
{
    char longest[PV_NAME_MAX + 1];
    static const struct {
        const char *name;
        bool ok;
    } rows[] = {
        {"a", true},
        {"log.example/models/m-1", true},
        {"m\xc3\xa9" "dia", true},
        {"\xf0\x9f\x8c\xb2", true},
        {"a\x7f", true},
        {"", false},
        {"a b", false},
        {"a+b", false},
        {"a\tb", false},
        {"a\n", false},
        {"\x01", false},
        {"a\xff", false},
        {"a\xc3", false},
        {"a\xc2\x85", false}, /* the Unicode spaces */
        {"a\xc2\xa0", false},
        {"\xe1\x9a\x80", false},
        {"a\xe2\x80\x83", false},
        {"a\xe2\x80\xa8", false},
        {"a\xe2\x80\xaf", false},
        {"a\xe2\x81\x9f", false},
        {"a\xe3\x80\x80", false},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        ck_assert_msg(pv_note_name_ok(rows[i].name) == rows[i].ok, "row %zu", i);
    memset(longest, 'n', sizeof(longest));
    longest[PV_NAME_MAX - 1] = '\0';
    ck_assert(pv_note_name_ok(longest));
    longest[PV_NAME_MAX - 1] = 'n';
    longest[PV_NAME_MAX] = '\0';
    ck_assert(!pv_note_name_ok(longest));
}
END_TEST

/* A cosignature line as a witness makes it. */
static void cosign(struct psdk_buf *out, const char *text, const char *name, uint64_t time_s, uint8_t spoil)
{
    struct psdk_buf message = {0};
    uint8_t blob[4 + 8 + 64], digest[32];

    psdk_buf_addf(&message, "%s\n\x04", name);
    psdk_buf_add(&message, other.public_key, 32);
    psdk_sha256(message.data, message.len, digest);
    memcpy(blob, digest, 4);
    for (size_t i = 0; i < 8; i++)
        blob[4 + i] = (uint8_t)(time_s >> (8 * (7 - i)) & 0xff);
    psdk_buf_clear(&message);
    psdk_buf_addf(&message, "cosignature/v1\ntime %llu\n%s", (unsigned long long)time_s, text);
    ck_assert_int_eq(psdk_ed25519_sign(&other, message.data, message.len, blob + 12, &err), PROV_OK);
    blob[20] ^= spoil;
    add_line(out, name, blob, sizeof(blob));
    psdk_buf_done(&message);
}

START_TEST(a_witness_cosignature_gives_its_time)
{
    static const char text[] = "log.example\n3\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";
    static const struct {
        uint64_t time_s[2];
        uint8_t spoil;
        bool good, bad;
        uint64_t want;
    } rows[] = {
        {{1700000000, 0}, 0, true, false, 1700000000},
        {{1700000000, 1700000005}, 0, true, false, 1700000005},
        {{1700000000, 0}, 1, false, true, 0},
        {{(uint64_t)1 << 63, 0}, 0, false, true, 0},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct psdk_buf out = {0};
        struct pv_note note;
        uint64_t time_s = 1;
        bool bad = !rows[i].bad;

        sign(&out, text, "log.example", &key);
        cosign(&out, text, "witness.example/w", rows[i].time_s[0], rows[i].spoil);
        if (rows[i].time_s[1] > 0)
            cosign(&out, text, "witness.example/w", rows[i].time_s[1], 0);
        ck_assert_int_eq(pv_note_parse(psdk_buf_str(&out), out.len, "n", &note, &err), PROV_OK);
        bool good = pv_note_cosigned_by(&note, "witness.example/w", other.public_key, &time_s, &bad);
        ck_assert_msg(good == rows[i].good && bad == rows[i].bad, "row %zu", i);
        ck_assert_uint_eq(time_s, rows[i].want);
        ck_assert(!pv_note_signed_by(&note, "witness.example/w", other.public_key, &bad));
        ck_assert(!bad);
        ck_assert(pv_note_signed_by(&note, "log.example", key.public_key, NULL));
        pv_note_done(&note);
        psdk_buf_done(&out);
    }
}
END_TEST

START_TEST(a_verifier_key_reads_back)
{
    struct psdk_buf out = {0};
    char name[PV_NAME_MAX];
    uint8_t public_key[32];

    ck_assert_int_eq(pv_vkey_format(&out, NAME, key.public_key), PROV_OK);
    ck_assert_msg(pv_vkey_parse(psdk_buf_str(&out), name, public_key, &err) == PROV_OK, "%s", err.message);
    ck_assert_str_eq(name, NAME);
    ck_assert_mem_eq(public_key, key.public_key, 32);
    ck_assert_int_eq(pv_vkey_format(&out, "a b", key.public_key), PROV_E_INVALID);
    psdk_buf_done(&out);
}
END_TEST

/* A line of these parts, the hash the right one unless given. */
static void vkey(struct psdk_buf *out, const char *name, const char *hash, uint8_t type, size_t key_len)
{
    uint8_t typed[40] = {type}, digest[32];
    struct psdk_buf data = {0};

    memcpy(typed + 1, key.public_key, 32);
    psdk_buf_addf(&data, "%s\n", name);
    psdk_buf_add(&data, typed, 1 + key_len);
    psdk_sha256(data.data, data.len, digest);
    psdk_buf_addf(out, "%s+", name);
    if (hash != NULL)
        psdk_buf_adds(out, hash);
    else
        psdk_buf_add_hex(out, digest, 4);
    psdk_buf_addc(out, '+');
    psdk_buf_add_base64(out, typed, 1 + key_len);
    psdk_buf_done(&data);
}

START_TEST(a_malformed_verifier_key_is_refused_with_the_reason)
{
    static const struct {
        const char *name, *hash;
        uint8_t type;
        size_t key_len;
        const char *end, *want;
    } rows[] = {
        {"", NULL, 1, 32, "", "the name"},
        {"a b", NULL, 1, 32, "", "the name"},
        {"a", "", 1, 32, "", "8 hex digits"},
        {"a", "0123456", 1, 32, "", "8 hex digits"},
        {"a", "012345678", 1, 32, "", "8 hex digits"},
        {"a", "0123456g", 1, 32, "", "8 hex digits"},
        {"a", "01234567", 1, 32, "", "was the line cut or edited?"},
        {"a", NULL, 1, 31, "", "31 bytes, want 32"},
        {"a", NULL, 1, 33, "", "33 bytes, want 32"},
        {"a", NULL, 2, 32, "", "signature type is 2"},
        {"a", NULL, 4, 32, "", "signature type is 4"},
        {"a", NULL, 1, 32, "\n", "base64"},
        {"a", NULL, 1, 32, "AAAA", "35 bytes, want 32"},
        {"a", NULL, 1, 32, "=", "base64"},
    };
    char name[PV_NAME_MAX] = "kept";
    uint8_t public_key[32] = {0};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct psdk_buf out = {0};
        vkey(&out, rows[i].name, rows[i].hash, rows[i].type, rows[i].key_len);
        psdk_buf_adds(&out, rows[i].end);
        ck_assert_msg(pv_vkey_parse(psdk_buf_str(&out), name, public_key, &err) == PROV_E_INVALID, "row %zu", i);
        ck_assert_msg(strstr(err.message, rows[i].want) != NULL, "row %zu: %s", i, err.message);
        ck_assert_str_eq(name, "kept");
        psdk_buf_done(&out);
    }
    ck_assert_int_eq(pv_vkey_parse("", name, public_key, &err), PROV_E_INVALID);
    ck_assert_int_eq(pv_vkey_parse("a+01234567", name, public_key, &err), PROV_E_INVALID);

    struct psdk_buf witness = {0};
    vkey(&witness, "w", NULL, PV_SIG_COSIGNATURE, 32);
    ck_assert_int_eq(pv_vkey_parse_type(psdk_buf_str(&witness), PV_SIG_COSIGNATURE, name, public_key, &err), PROV_OK);
    ck_assert_str_eq(name, "w");
    psdk_buf_done(&witness);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("note");
    TCase *tc = tcase_create("note");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_signed_note_reads_back_and_verifies);
    tcase_add_test(tc, the_key_hash_is_of_name_newline_type_and_key);
    tcase_add_test(tc, a_malformed_note_is_refused_with_its_line);
    tcase_add_test(tc, no_byte_of_a_note_can_change_unseen);
    tcase_add_test(tc, unknown_signatures_are_kept_and_ignored);
    tcase_add_test(tc, a_bad_signature_of_a_known_key_spoils_a_good_one);
    tcase_add_test(tc, limits_are_32_signatures_and_256_kib);
    tcase_add_test(tc, what_cannot_stand_in_a_note_is_not_signed);
    tcase_add_test(tc, a_full_output_buffer_stays_as_it_was);
    tcase_add_test(tc, names_are_utf8_without_space_plus_or_control);
    tcase_add_test(tc, a_witness_cosignature_gives_its_time);
    tcase_add_test(tc, a_verifier_key_reads_back);
    tcase_add_test(tc, a_malformed_verifier_key_is_refused_with_the_reason);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
