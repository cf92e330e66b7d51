/* psdk_eip712.c - the digest of EIP-712 typed data in its JSON form.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * All type definitions are checked first (names, member names, types that exist), so that the walk over the data can
 * rely on them. What is not signed must not look signed: a member that its type does not have is refused. Struct types
 * may refer to themselves (through arrays); the depth of the data bounds the walk.
 */
#include <stdio.h>
#include <string.h>

#include "psdk_eip712_type.h"
#include "psdk_hash.h"

static int fail_want(const struct psdk_eip712_job *job, const struct psdk_eip712_path *at, const char *type,
                     const char *want)
{
    char why[PSDK_EIP712_TEXT_MAX + 160];

    snprintf(why, sizeof why, "want %s (%s)", want, type);
    return psdk_eip712_fail(job, at, why);
}

/* ---- values ------------------------------------------------------------------------------------------------------ */

/* Decimal with or without sign, or 0x hex, into sign and magnitude. */
static bool integer_parse(const char *text, bool *ret_negative, uint8_t ret[32])
{
    size_t len;

    *ret_negative = text[0] == '-';
    if (!*ret_negative && strncmp(text, "0x", 2) == 0) {
        text += 2;
        if (text[0] == '\0')
            return false;
        text += strspn(text, "0");
        len = strnlen(text, 65);
        if (len > 64)
            return false;
        memset(ret, 0, 32);
        if (len % 2 != 0) {
            char head[3] = {'0', *text++, '\0'};

            len--;
            if (!psdk_unhex(head, 2, ret + 31 - len / 2, 1))
                return false;
        }
        return psdk_unhex(text, len, ret + 32 - len / 2, len / 2);
    }
    text += *ret_negative ? 1 : 0;
    while (text[0] == '0' && text[1] != '\0')
        text++;
    return psdk_u256_parse(text, ret);
}

static unsigned bit_length(const uint8_t value[32])
{
    for (unsigned i = 0; i < 32; i++)
        if (value[i] != 0)
            return 8 * (31 - i) + 32 - (unsigned)__builtin_clz(value[i]);
    return 0;
}

static void negate(uint8_t value[32])
{
    unsigned carry = 1;

    for (size_t i = 32; i-- > 0;) {
        carry += (uint8_t)~value[i];
        value[i] = (uint8_t)carry;
        carry >>= 8;
    }
}

/* A magnitude of at most `bits` bits; a negative one of a signed type may also be 2^(bits - 1) itself. */
static bool integer_fits(struct psdk_eip712_atomic atomic, bool negative, const uint8_t value[32])
{
    uint8_t less[32];

    if (atomic.kind == PSDK_EIP712_UINT)
        return bit_length(value) <= (negative ? 0 : atomic.size);
    if (!negative || bit_length(value) < atomic.size)
        return bit_length(value) < atomic.size;
    memcpy(less, value, sizeof less); /* value - 1, as the complement of the negated value */
    negate(less);
    for (size_t i = 0; i < sizeof less; i++)
        less[i] = (uint8_t)~less[i];
    return bit_length(less) < atomic.size;
}

static int encode_integer(struct psdk_eip712_job *job, const char *type, const json_t *value,
                          const struct psdk_eip712_path *at, uint8_t ret[32])
{
    struct psdk_eip712_atomic atomic = psdk_eip712_atomic_parse(type);
    char number[24];
    const char *text = json_string_value(value);
    bool negative;

    if (json_is_integer(value)) {
        snprintf(number, sizeof number, "%lld", (long long)json_integer_value(value));
        text = number;
    }
    if (text == NULL || (text != number && strlen(text) != json_string_length(value)) ||
        !integer_parse(text, &negative, ret))
        return fail_want(job, at, type, "an integer, a decimal string or 0x hex");
    if (!integer_fits(atomic, negative, ret))
        return fail_want(job, at, type, "a number that fits");
    if (negative)
        negate(ret);
    return PROV_OK;
}

/* bytes and bytesN. */
static int encode_bytes(struct psdk_eip712_job *job, const char *type, const json_t *value,
                        const struct psdk_eip712_path *at, uint8_t ret[32])
{
    struct psdk_eip712_atomic atomic = psdk_eip712_atomic_parse(type);
    size_t digits = json_is_string(value) ? json_string_length(value) - 2 : 0;
    const char *text = json_string_value(value);
    struct psdk_buf bytes = {0};
    int rc = PROV_OK;

    if (text == NULL || strncmp(text, "0x", 2) != 0 || digits % 2 != 0)
        return fail_want(job, at, type, "0x and an even number of hex digits");
    if (atomic.kind == PSDK_EIP712_FIXED) {
        memset(ret, 0, 32);
        if (digits != 2 * (size_t)atomic.size || !psdk_unhex(text + 2, digits, ret, atomic.size))
            return fail_want(job, at, type, "0x and hex digits of exactly this size");
        return PROV_OK;
    }
    if (psdk_buf_reserve(&bytes, digits / 2 + 1) != PROV_OK)
        rc = psdk_buf_check(&bytes, job->err);
    else if (!psdk_unhex(text + 2, digits, bytes.data, digits / 2))
        rc = fail_want(job, at, type, "0x and an even number of hex digits");
    else
        psdk_keccak256(bytes.data, digits / 2, ret);
    psdk_buf_done(&bytes);
    return rc;
}

static int encode_atomic(struct psdk_eip712_job *job, const char *type, const json_t *value,
                         const struct psdk_eip712_path *at, uint8_t ret[32])
{
    memset(ret, 0, 32);
    switch (psdk_eip712_atomic_parse(type).kind) {
    case PSDK_EIP712_BOOL:
        if (!json_is_boolean(value))
            return fail_want(job, at, type, "true or false");
        ret[31] = json_is_true(value) ? 1 : 0;
        return PROV_OK;
    case PSDK_EIP712_ADDRESS:
        if (!json_is_string(value) || json_string_length(value) != 42 ||
            !psdk_eth_address_parse(json_string_value(value), ret + 12))
            return fail_want(job, at, type, "0x and 40 hex digits, their case as in EIP-55 if it is mixed");
        return PROV_OK;
    case PSDK_EIP712_STRING:
        if (!json_is_string(value))
            return fail_want(job, at, type, "a string");
        psdk_keccak256(json_string_value(value), json_string_length(value), ret);
        return PROV_OK;
    case PSDK_EIP712_BYTES:
    case PSDK_EIP712_FIXED:
        return encode_bytes(job, type, value, at, ret);
    case PSDK_EIP712_INT:
    case PSDK_EIP712_UINT:
        return encode_integer(job, type, value, at, ret);
    case PSDK_EIP712_NONE:
        break;
    }
    return psdk_eip712_fail(job, at, "unknown type");
}

static int hash_struct(struct psdk_eip712_job *job, const char *name, const json_t *value,
                       const struct psdk_eip712_path *at, unsigned depth, uint8_t ret[32]);

static int encode_value(struct psdk_eip712_job *job, const char *type, const json_t *value,
                        const struct psdk_eip712_path *at, unsigned depth, uint8_t ret[32])
{
    char base[PSDK_EIP712_TEXT_MAX];
    struct psdk_keccak k;
    unsigned count;

    if (depth >= PSDK_EIP712_DEPTH_MAX)
        return psdk_eip712_fail(job, at, "nested too deeply (more than 64 levels)");
    if (!psdk_eip712_array_split(type, base, &count))
        return psdk_eip712_type_get(job, type) != NULL ? hash_struct(job, type, value, at, depth + 1, ret)
                                                       : encode_atomic(job, type, value, at, ret);
    if (!json_is_array(value) || (count != 0 && json_array_size(value) != count))
        return fail_want(job, at, type, count != 0 ? "an array of exactly this length" : "an array");
    psdk_keccak_init(&k);
    for (size_t i = 0; i < json_array_size(value); i++) {
        const struct psdk_eip712_path item = {at, NULL, i};
        uint8_t word[32];
        int rc = encode_value(job, base, json_array_get(value, i), &item, depth + 1, word);

        if (rc != PROV_OK)
            return rc;
        psdk_keccak_add(&k, word, sizeof word);
    }
    psdk_keccak_final(&k, ret);
    return PROV_OK;
}

/* Names a member of value that definition does not have. */
static int fail_extra(const struct psdk_eip712_job *job, const json_t *definition, const json_t *value,
                      const struct psdk_eip712_path *at)
{
    const char *key;
    json_t *member;

    json_object_foreach((json_t *)value, key, member) {
        const struct psdk_eip712_path extra = {at, key, 0};
        size_t i = 0;

        while (i < json_array_size(definition) && strcmp(psdk_eip712_member_text(definition, i, "name"), key) != 0)
            i++;
        if (i == json_array_size(definition))
            return psdk_eip712_fail(job, &extra, "the type does not have this member: it would not be signed");
    }
    return psdk_eip712_fail(job, at, "too many members");
}

static int hash_struct(struct psdk_eip712_job *job, const char *name, const json_t *value,
                       const struct psdk_eip712_path *at, unsigned depth, uint8_t ret[32])
{
    const json_t *definition = psdk_eip712_type_get(job, name);
    size_t count = json_array_size(definition);
    struct psdk_keccak k;

    if (!json_is_object(value))
        return fail_want(job, at, name, "an object");
    psdk_keccak_init(&k);
    psdk_keccak_add(&k, psdk_eip712_type_hash(job, name), 32);
    for (size_t i = 0; i < count; i++) {
        const struct psdk_eip712_path member = {at, psdk_eip712_member_text(definition, i, "name"), 0};
        const json_t *found = json_object_get(value, member.name);
        uint8_t word[32];
        int rc = found == NULL
                     ? psdk_eip712_fail(job, &member, "missing")
                     : encode_value(job, psdk_eip712_member_text(definition, i, "type"), found, &member, depth, word);

        if (rc != PROV_OK)
            return rc;
        psdk_keccak_add(&k, word, sizeof word);
    }
    if (json_object_size(value) != count)
        return fail_extra(job, definition, value, at);
    psdk_keccak_final(&k, ret);
    return PROV_OK;
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

/* EIP712Domain from the members that domain has, in the order of the standard. */
static int domain_derive(struct psdk_eip712_job *job, const json_t *domain)
{
    static const char *const names[] = {"name", "version", "chainId", "verifyingContract", "salt", NULL};
    static const char *const types[] = {"string", "string", "uint256", "address", "bytes32"};
    int rc = psdk_json_only(domain, "typed data: domain", names, job->err);

    if (rc != PROV_OK)
        return rc;
    job->derived = json_array();
    for (size_t i = 0; names[i] != NULL && job->derived != NULL; i++)
        if (json_object_get(domain, names[i]) != NULL &&
            json_array_append_new(job->derived, json_pack("{s:s, s:s}", "name", names[i], "type", types[i])) != 0)
            return psdk_fail(job->err, PROV_E_NOMEM, "typed data: out of memory");
    return job->derived != NULL ? PROV_OK : psdk_fail(job->err, PROV_E_NOMEM, "typed data: out of memory");
}

static int digest_parts(struct psdk_eip712_job *job, const json_t *typed_data, const char *primary,
                        const json_t *domain, uint8_t ret[32])
{
    static const struct psdk_eip712_path domain_path = {NULL, "domain", 0}, message_path = {NULL, "message", 0};
    static const struct psdk_eip712_path primary_path = {NULL, "primaryType", 0};
    const json_t *message = json_object_get(typed_data, "message");
    struct psdk_keccak k;
    uint8_t word[32];
    int rc = psdk_eip712_types_check(job);

    if (rc != PROV_OK)
        return rc;
    if (psdk_eip712_type_get(job, primary) == NULL)
        return psdk_eip712_fail(job, &primary_path, "types does not define it");
    rc = hash_struct(job, PSDK_EIP712_DOMAIN_TYPE, domain, &domain_path, 0, word);
    if (rc != PROV_OK)
        return rc;
    psdk_keccak_init(&k);
    psdk_keccak_add(&k, "\x19\x01", 2);
    psdk_keccak_add(&k, word, sizeof word);
    if (strcmp(primary, PSDK_EIP712_DOMAIN_TYPE) != 0) { /* the domain alone has no message part */
        rc = message == NULL ? psdk_eip712_fail(job, &message_path, "missing")
                             : hash_struct(job, primary, message, &message_path, 0, word);
        if (rc != PROV_OK)
            return rc;
        psdk_keccak_add(&k, word, sizeof word);
    }
    psdk_keccak_final(&k, ret);
    return PROV_OK;
}

int psdk_eip712_digest(const json_t *typed_data, uint8_t ret[32], prov_error *err)
{
    static const char *const members[] = {"types", "primaryType", "domain", "message", NULL};
    struct psdk_eip712_job job = {.err = err};
    const json_t *types = NULL, *domain = NULL;
    const char *primary = NULL;
    int rc;

    if (!json_is_object(typed_data))
        return psdk_fail(err, PROV_E_INVALID, "typed data: want an object {types, primaryType, domain, message}");
    rc = psdk_json_only(typed_data, "typed data", members, err);
    if (rc == PROV_OK)
        rc = psdk_json_get_obj(typed_data, "typed data", "types", &types, err);
    if (rc == PROV_OK)
        rc = psdk_json_get_str(typed_data, "typed data", "primaryType", &primary, err);
    if (rc == PROV_OK)
        rc = psdk_json_get_obj(typed_data, "typed data", "domain", &domain, err);
    if (rc == PROV_OK) {
        job.types = (json_t *)types;
        if (json_object_get(types, PSDK_EIP712_DOMAIN_TYPE) == NULL)
            rc = domain_derive(&job, domain);
    }
    if (rc == PROV_OK)
        rc = digest_parts(&job, typed_data, primary, domain, ret);
    json_decref(job.derived);
    return rc;
}
