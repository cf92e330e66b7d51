/* test_eip712.c - typed data digests against public vectors, forms of numbers, and what is refused where.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "psdk_eth.h"

#include "crypto_vectors.h"
#include "psdk_json.h"

static json_t *parse(const char *text)
{
    prov_error err = {0};
    json_t *value = psdk_json_parse(text, strlen(text), "test", &err);

    ck_assert_msg(value != NULL, "%s in %s", err.message, text);
    return value;
}

static int digest_text(const char *text, uint8_t ret[32], prov_error *err)
{
    json_t *value = parse(text);
    int rc = psdk_eip712_digest(value, ret, err);

    json_decref(value);
    return rc;
}

/* {"types":{"T":[{"name":"v","type":TYPE}]},...,"message":{"v":VALUE}} */
static int digest_of(const char *type, const char *value, uint8_t ret[32], prov_error *err)
{
    char text[1024];

    snprintf(text, sizeof text,
             "{\"types\":{\"T\":[{\"name\":\"v\",\"type\":\"%s\"}]},\"primaryType\":\"T\",\"domain\":{\"name\":\"x\"},"
             "\"message\":{\"v\":%s}}", type, value);
    return digest_text(text, ret, err);
}

START_TEST(the_public_vectors_come_out)
{
    char path[4096];
    size_t i, signatures = 0;
    json_t *root, *one;

    if (!vectors_find("ethers/typed-data.json", path, sizeof path))
        return;
    root = vectors_load(path);
    ck_assert_uint_gt(json_array_size(root), 0);
    json_array_foreach(root, i, one) {
        const char *name = vectors_text(one, "name");
        json_t *domain = json_deep_copy(json_object_get(one, "domain")), *typed;
        json_t *chain = json_object_get(domain, "chainId");
        uint8_t digest[32], want[32], secret[32], signature[65], known[65];
        prov_error err = {0};

        if (chain != NULL) /* this file's reader gives reals */
            json_object_set_new(domain, "chainId", json_integer((json_int_t)json_number_value(chain)));
        typed = json_pack("{s:O, s:s, s:o, s:O}", "types", json_object_get(one, "types"), "primaryType",
                          vectors_text(one, "primaryType"), "domain", domain, "message", json_object_get(one, "data"));
        ck_assert_msg(psdk_eip712_digest(typed, digest, &err) == PROV_OK, "%s: %s", name, err.message);
        ck_assert(psdk_parse_hash(vectors_text(one, "digest"), want));
        ck_assert_msg(memcmp(digest, want, 32) == 0, "%s", name);
        if (json_object_get(one, "signature") != NULL) {
            ck_assert_uint_eq(vectors_hex(vectors_text(one, "privateKey"), secret, sizeof secret), 32);
            ck_assert(psdk_eth_signature_parse(vectors_text(one, "signature"), known));
            ck_assert_int_eq(psdk_secp256k1_sign(secret, digest, signature, &err), PROV_OK);
            ck_assert_mem_eq(signature, known, 65);
            signatures++;
        }
        json_decref(typed);
    }
    fprintf(stderr, "ethers/typed-data.json: %zu digests, %zu signatures\n", json_array_size(root), signatures);
    json_decref(root);
}
END_TEST

static const char mail[] =
    "{\"types\":{%s\"Person\":[{\"name\":\"name\",\"type\":\"string\"},{\"name\":\"wallet\",\"type\":\"address\"}],"
    "\"Mail\":[{\"name\":\"from\",\"type\":\"Person\"},{\"name\":\"to\",\"type\":\"Person\"},"
    "{\"name\":\"contents\",\"type\":\"string\"}]},\"primaryType\":\"Mail\",\"domain\":{\"name\":\"Ether Mail\","
    "\"version\":\"1\",\"chainId\":1,\"verifyingContract\":\"0xCcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC\"},"
    "\"message\":{\"from\":{\"name\":\"Cow\",\"wallet\":\"0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826\"},"
    "\"to\":{\"name\":\"Bob\",\"wallet\":\"0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB\"},"
    "\"contents\":\"Hello, Bob!\"}}";

START_TEST(the_example_of_the_standard_comes_out_with_its_domain_type_given_or_derived)
{
    static const char *const domain_types[] = {
        "", "\"EIP712Domain\":[{\"name\":\"name\",\"type\":\"string\"},{\"name\":\"version\",\"type\":\"string\"},"
            "{\"name\":\"chainId\",\"type\":\"uint256\"},{\"name\":\"verifyingContract\",\"type\":\"address\"}],"};
    uint8_t digest[32], want[32];
    char text[2048];

    ck_assert(psdk_parse_hash("0xbe609aee343fb3c4b28e1df9e632fca64fcfaede20f02e86244efddf30957bd2", want));
    for (size_t i = 0; i < 2; i++) {
        prov_error err = {0};

        snprintf(text, sizeof text, mail, domain_types[i]);
        ck_assert_msg(digest_text(text, digest, &err) == PROV_OK, "%s", err.message);
        ck_assert_mem_eq(digest, want, 32);
    }
}
END_TEST

START_TEST(one_number_in_every_form_has_one_digest)
{
    static const struct {
        const char *type, *forms[5];
    } table[] = {
        {"uint8", {"255", "\"255\"", "\"0xff\"", "\"0xFF\"", "\"0255\""}},
        {"uint256", {"0", "\"0\"", "\"0x0\"", "\"0x000\"", "\"-0\""}},
        {"uint64", {"4660", "\"4660\"", "\"0x1234\"", "\"0x01234\"", NULL}},
        {"int8", {"-128", "\"-128\"", "\"-0128\"", NULL, NULL}},
        {"int256", {"-1", "\"-1\"", NULL, NULL, NULL}},
        {"uint256",
         {"\"115792089237316195423570985008687907853269984665640564039457584007913129639935\"",
          "\"0xffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff\"", NULL, NULL, NULL}},
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        uint8_t first[32], digest[32];
        prov_error err = {0};

        ck_assert_msg(digest_of(table[i].type, table[i].forms[0], first, &err) == PROV_OK, "%s", err.message);
        for (size_t j = 1; j < 5 && table[i].forms[j] != NULL; j++) {
            ck_assert_msg(digest_of(table[i].type, table[i].forms[j], digest, &err) == PROV_OK, "%s", err.message);
            ck_assert_mem_eq(digest, first, 32);
        }
    }
}
END_TEST

/* A negative number has the word of its complement, so that bytes32 of the same word differs in the type alone. */
START_TEST(negative_numbers_are_twos_complement)
{
    static const struct {
        const char *value, *word;
    } table[] = {
        {"-1", "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"},
        {"-256", "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff00"},
        {"\"-57896044618658097711785492504343953926634992332820282019728792003956564819968\"",
         "8000000000000000000000000000000000000000000000000000000000000000"},
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        uint8_t got[32], want[32], part[64], whole[66] = {0x19, 0x01};
        prov_error err = {0};

        ck_assert_msg(digest_of("int256", table[i].value, got, &err) == PROV_OK, "%s", err.message);
        psdk_keccak256("EIP712Domain(string name)", 25, part);
        psdk_keccak256("x", 1, part + 32);
        psdk_keccak256(part, 64, whole + 2);
        psdk_keccak256("T(int256 v)", 11, part);
        vectors_hex(table[i].word, part + 32, 32);
        psdk_keccak256(part, 64, whole + 34);
        psdk_keccak256(whole, sizeof whole, want);
        ck_assert_mem_eq(got, want, 32);
    }
}
END_TEST

START_TEST(values_that_do_not_fit_their_type_are_refused)
{
    static const struct {
        const char *type, *value;
        bool ok;
    } table[] = {
        {"uint8", "255", true},
        {"uint8", "256", false},
        {"uint8", "-1", false},
        {"uint8", "1.5", false},
        {"uint8", "\"\"", false},
        {"uint8", "\"0x\"", false},
        {"uint8", "\"-0x1\"", false},
        {"uint8", "\"0xg\"", false},
        {"uint8", "\"0x0xf\"", false},
        {"uint8", "\" 1\"", false},
        {"uint8", "\"--1\"", false},
        {"uint8", "true", false},
        {"uint8", "null", false},
        {"uint8", "[1]", false},
        {"int8", "127", true},
        {"int8", "128", false},
        {"int8", "-128", true},
        {"int8", "-129", false},
        {"int16", "-32768", true},
        {"int16", "-32769", false},
        {"uint256", "\"115792089237316195423570985008687907853269984665640564039457584007913129639936\"", false},
        {"uint256", "\"0x10000000000000000000000000000000000000000000000000000000000000000\"", false},
        {"int256", "\"57896044618658097711785492504343953926634992332820282019728792003956564819967\"", true},
        {"int256", "\"57896044618658097711785492504343953926634992332820282019728792003956564819968\"", false},
        {"int256", "\"-57896044618658097711785492504343953926634992332820282019728792003956564819968\"", true},
        {"int256", "\"-57896044618658097711785492504343953926634992332820282019728792003956564819969\"", false},
        {"bool", "true", true},
        {"bool", "false", true},
        {"bool", "1", false},
        {"bool", "\"true\"", false},
        {"address", "\"0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826\"", true},
        {"address", "\"0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD82\"", false},
        {"address", "\"0xcD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826\"", false},
        {"address", "0", false},
        {"string", "\"\"", true},
        {"string", "1", false},
        {"bytes", "\"0x\"", true},
        {"bytes", "\"0x0102\"", true},
        {"bytes", "\"0x010\"", false},
        {"bytes", "\"0102\"", false},
        {"bytes", "\"\"", false},
        {"bytes", "\"0\"", false},
        {"bytes", "\"0xzz\"", false},
        {"bytes", "7", false},
        {"bytes2", "\"0x0102\"", true},
        {"bytes2", "\"0x01\"", false},
        {"bytes2", "\"0x010203\"", false},
        {"bytes2", "\"0x\"", false},
        {"uint8[]", "[]", true},
        {"uint8[]", "[1,2]", true},
        {"uint8[]", "1", false},
        {"uint8[2]", "[1,2]", true},
        {"uint8[2]", "[1]", false},
        {"uint8[2]", "[1,2,3]", false},
        {"uint8[2][]", "[[1,2],[3,4],[5,6]]", true},
        {"uint8[2][]", "[[1,2],[3]]", false},
        {"uint8[][2]", "[[1,2,3],[]]", true},
        {"uint8[][2]", "[[1]]", false},
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        uint8_t digest[32];
        prov_error err = {0};
        int rc = digest_of(table[i].type, table[i].value, digest, &err);

        ck_assert_msg(rc == (table[i].ok ? PROV_OK : PROV_E_INVALID), "%s %s: %s", table[i].type, table[i].value,
                      err.message);
        ck_assert_msg(table[i].ok || strstr(err.message, "message.v") != NULL, "%s", err.message);
    }
}
END_TEST

START_TEST(types_that_do_not_exist_are_refused)
{
    static const char *const types[] = {
        "uint", "int", "uint7", "uint0", "uint264", "uint08", "int12", "bytes0", "bytes33", "bytes01", "byte", "U", "",
        "uint8[", "uint8]", "uint8[0]", "uint8[01]", "uint8[-1]", "uint8[x]", "uint8[9999999999]", "[]", "[2]", "T ",
        "uint8[][", "uint8[]]", "bool8", "address payable", "string[2",
    };

    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        uint8_t digest[32];
        prov_error err = {0};

        ck_assert_msg(digest_of(types[i], "[]", digest, &err) == PROV_E_INVALID, "%s", types[i]);
        ck_assert_msg(strstr(err.message, "types.T[0]: unknown type") != NULL, "%s", err.message);
    }
}
END_TEST

#define HEAD "{\"types\":{\"A\":[{\"name\":\"b\",\"type\":\"B[]\"}],\"B\":[{\"name\":\"n\",\"type\":\"uint8\"}]},"

START_TEST(an_error_names_the_member_that_is_wrong)
{
    static const struct {
        const char *text, *where;
    } table[] = {
        {HEAD "\"primaryType\":\"A\",\"domain\":{},\"message\":{\"b\":[{\"n\":1},{\"n\":300}]}}", "message.b[1].n"},
        {HEAD "\"primaryType\":\"A\",\"domain\":{},\"message\":{\"b\":[{\"n\":1},{}]}}", "message.b[1].n: missing"},
        {HEAD "\"primaryType\":\"A\",\"domain\":{},\"message\":{\"b\":[null]}}", "message.b[0]"},
        {HEAD "\"primaryType\":\"A\",\"domain\":{},\"message\":{\"b\":[{\"n\":1,\"m\":2}]}}", "message.b[0].m"},
        {HEAD "\"primaryType\":\"A\",\"domain\":{},\"message\":{}}", "message.b: missing"},
        {HEAD "\"primaryType\":\"A\",\"domain\":{}}", "message: missing"},
        {HEAD "\"primaryType\":\"A\",\"message\":{\"b\":[]}}", "domain"},
        {HEAD "\"primaryType\":\"C\",\"domain\":{},\"message\":{}}", "primaryType"},
        {HEAD "\"domain\":{},\"message\":{}}", "primaryType"},
        {HEAD "\"primaryType\":\"A\",\"domain\":{\"chain\":1},\"message\":{\"b\":[]}}", "domain"},
        {HEAD "\"primaryType\":\"A\",\"domain\":{\"name\":1},\"message\":{\"b\":[]}}", "domain.name"},
        {HEAD "\"primaryType\":\"A\",\"domain\":{},\"message\":{\"b\":[]},\"more\":1}", "more"},
        {"{\"types\":{\"A\":1},\"primaryType\":\"A\",\"domain\":{},\"message\":{}}", "types.A"},
        {"{\"types\":{\"A\":[1]},\"primaryType\":\"A\",\"domain\":{},\"message\":{}}", "types.A[0]"},
        {"{\"types\":{\"A\":[{\"name\":\"a b\",\"type\":\"bool\"}]},"
         "\"primaryType\":\"A\",\"domain\":{},\"message\":{}}",
         "types.A[0]"},
        {"{\"types\":{\"A\":[{\"name\":\"a\",\"type\":\"bool\"},{\"name\":\"a\",\"type\":\"bool\"}]},"
         "\"primaryType\":\"A\",\"domain\":{},\"message\":{}}",
         "types.A[1]"},
        {"{\"types\":{\"uint8\":[]},\"primaryType\":\"uint8\",\"domain\":{},\"message\":{}}", "types.uint8"},
        {"{\"types\":{\"A(B b)\":[]},\"primaryType\":\"A(B b)\",\"domain\":{},\"message\":{}}", "types.A(B b)"},
        {"{\"primaryType\":\"A\",\"domain\":{},\"message\":{}}", "types"},
        {"[]", "want an object"},
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        uint8_t digest[32];
        prov_error err = {0};

        ck_assert_msg(digest_text(table[i].text, digest, &err) == PROV_E_INVALID, "%s", table[i].text);
        ck_assert_msg(strstr(err.message, table[i].where) != NULL, "want '%s' in '%s'", table[i].where, err.message);
    }
}
END_TEST

/* T {T[] kids} nested n deep. */
static int digest_nested(unsigned depth, prov_error *err)
{
    json_t *message = json_pack("{s:[]}", "v"), *typed;
    uint8_t digest[32];
    int rc;

    for (unsigned i = 1; i < depth; i++)
        message = json_pack("{s:[o]}", "v", message);
    typed = json_pack("{s:{s:[{s:s, s:s}]}, s:s, s:{}, s:o}", "types", "T", "name", "v", "type", "T[]", "primaryType",
                      "T", "domain", "message", message);
    rc = psdk_eip712_digest(typed, digest, err);
    json_decref(typed);
    return rc;
}

START_TEST(a_type_may_hold_itself_but_not_without_end)
{
    prov_error err = {0};
    uint8_t digest[32];

    ck_assert_msg(digest_nested(10, &err) == PROV_OK, "%s", err.message);
    ck_assert_int_eq(digest_nested(200, &err), PROV_E_INVALID);
    ck_assert_ptr_nonnull(strstr(err.message, "nested too deeply"));
    /* two types that need each other without an array can have no finite value */
    ck_assert_int_eq(
        digest_text("{\"types\":{\"A\":[{\"name\":\"b\",\"type\":\"B\"}],\"B\":[{\"name\":\"a\",\"type\":\"A\"}]},"
                    "\"primaryType\":\"A\",\"domain\":{},\"message\":{\"b\":{\"a\":{}}}}",
                    digest, &err),
        PROV_E_INVALID);
    ck_assert_ptr_nonnull(strstr(err.message, "message.b.a.b: missing"));
}
END_TEST

START_TEST(a_domain_alone_is_signed_without_a_message)
{
    uint8_t digest[32], with[32];
    prov_error err = {0};

    ck_assert_msg(digest_text("{\"types\":{},\"primaryType\":\"EIP712Domain\",\"domain\":{\"name\":\"x\"}}", digest,
                              &err) == PROV_OK, "%s", err.message);
    ck_assert_int_eq(digest_of("bool", "true", with, &err), PROV_OK);
    ck_assert_mem_ne(digest, with, 32);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("eip712");
    TCase *tests = tcase_create("eip712");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, the_public_vectors_come_out);
    tcase_add_test(tests, the_example_of_the_standard_comes_out_with_its_domain_type_given_or_derived);
    tcase_add_test(tests, one_number_in_every_form_has_one_digest);
    tcase_add_test(tests, negative_numbers_are_twos_complement);
    tcase_add_test(tests, values_that_do_not_fit_their_type_are_refused);
    tcase_add_test(tests, types_that_do_not_exist_are_refused);
    tcase_add_test(tests, an_error_names_the_member_that_is_wrong);
    tcase_add_test(tests, a_type_may_hold_itself_but_not_without_end);
    tcase_add_test(tests, a_domain_alone_is_signed_without_a_message);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
