/* psdk_eip712.c - the digest of EIP-712 typed data in its JSON form.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * All type definitions are checked first (names, member names, types that exist), so that the walk over the data can
 * rely on them. What is not signed must not look signed: a member that its type does not have is refused. Struct types
 * may refer to themselves (through arrays); the depth of the data bounds the walk.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "psdk_eth.h"
#include "psdk_hash.h"
#include "psdk_json.h"

#define TYPES_MAX 64
#define MEMBERS_MAX 256
#define TYPE_TEXT_MAX 192 /* "Name[2][]" and its NUL */
#define DEPTH_MAX PSDK_JSON_DEPTH
#define DOMAIN_TYPE "EIP712Domain"

enum kind { KIND_NONE, KIND_BOOL, KIND_ADDRESS, KIND_STRING, KIND_BYTES, KIND_FIXED, KIND_INT, KIND_UINT };

struct atomic {
    enum kind kind;
    unsigned size; /* FIXED: bytes; INT, UINT: bits */
};

/* Where a value stands: a chain on the stack that is only written out in errors. */
struct path {
    const struct path *up;
    const char *name; /* NULL: an array's index */
    size_t index;
};

struct type_hash {
    const char *name;
    uint8_t hash[32];
};

struct job {
    json_t *types;
    json_t *derived; /* EIP712Domain, when types has none; owned */
    struct type_hash cache[TYPES_MAX + 1];
    size_t cached;
    prov_error *err;
};

static int fail_at(const struct job *job, const struct path *at, const char *why)
{
    const struct path *chain[DEPTH_MAX + 2];
    struct psdk_buf text = {0};
    size_t count = 0;
    int rc;

    for (; at != NULL && count < sizeof chain / sizeof chain[0]; at = at->up)
        chain[count++] = at;
    while (count-- > 0) {
        if (chain[count]->name == NULL)
            psdk_buf_addf(&text, "[%zu]", chain[count]->index);
        else
            psdk_buf_addf(&text, "%s%s", text.len > 0 ? "." : "", chain[count]->name);
    }
    rc = psdk_fail(job->err, PROV_E_INVALID, "typed data: %s: %s", psdk_buf_str(&text), why);
    psdk_buf_done(&text);
    return rc;
}

static int fail_want(const struct job *job, const struct path *at, const char *type, const char *want)
{
    char why[TYPE_TEXT_MAX + 160];

    snprintf(why, sizeof why, "want %s (%s)", want, type);
    return fail_at(job, at, why);
}

/* ---- types ------------------------------------------------------------------------------------------------------- */

/* A number without leading zeros, 1 to 999999999. 0: not that. */
static unsigned number_parse(const char *text)
{
    size_t len = strspn(text, "0123456789");

    return len == 0 || len > 9 || text[len] != '\0' || text[0] == '0' ? 0 : (unsigned)strtoul(text, NULL, 10);
}

static struct atomic atomic_parse(const char *type)
{
    static const struct {
        const char *name;
        enum kind kind;
    } plain[] = {{"bool", KIND_BOOL}, {"address", KIND_ADDRESS}, {"string", KIND_STRING}, {"bytes", KIND_BYTES}};
    unsigned size;

    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++)
        if (strcmp(type, plain[i].name) == 0)
            return (struct atomic){plain[i].kind, 0};
    if (strncmp(type, "bytes", 5) == 0) {
        size = number_parse(type + 5);
        if (size >= 1 && size <= 32)
            return (struct atomic){KIND_FIXED, size};
    } else if (strncmp(type, "int", 3) == 0 || strncmp(type, "uint", 4) == 0) {
        size = number_parse(type + (type[0] == 'u' ? 4 : 3));
        if (size >= 8 && size <= 256 && size % 8 == 0)
            return (struct atomic){type[0] == 'u' ? KIND_UINT : KIND_INT, size};
    }
    return (struct atomic){KIND_NONE, 0};
}

static bool identifier_ok(const char *text)
{
    static const char first[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_$";
    size_t len = strlen(text);

    return len > 0 && len < TYPE_TEXT_MAX / 2 && strchr(first, text[0]) != NULL &&
           strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_$0123456789") == len;
}

/* The definition of a struct type, or NULL. */
static json_t *type_get(const struct job *job, const char *name)
{
    if (job->derived != NULL && strcmp(name, DOMAIN_TYPE) == 0)
        return job->derived;
    return json_object_get(job->types, name);
}

/* The name of a type that exists, in memory that lives as long as the job. */
static const char *type_name(const struct job *job, const char *name)
{
    return strcmp(name, DOMAIN_TYPE) == 0 ? DOMAIN_TYPE
                                          : json_object_iter_key(json_object_iter_at(job->types, name));
}

static const char *member_text(const json_t *definition, size_t index, const char *key)
{
    return json_string_value(json_object_get(json_array_get(definition, index), key));
}

/* Takes the last dimension off an array type. *ret_count: its fixed length, or 0 for []. False: no array (or, before the
 * definitions are checked, malformed). */
static bool array_split(const char *type, char ret_base[TYPE_TEXT_MAX], unsigned *ret_count)
{
    const char *open = strrchr(type, '[');
    size_t len = strlen(type);
    char digits[16] = "";

    if (open == NULL || open == type || type[len - 1] != ']' || len >= TYPE_TEXT_MAX)
        return false;
    *ret_count = 0;
    if (open + 2 != type + len) {
        size_t digits_len = (size_t)(type + len - 1 - (open + 1));

        if (digits_len >= sizeof digits)
            return false;
        memcpy(digits, open + 1, digits_len);
        *ret_count = number_parse(digits);
        if (*ret_count == 0)
            return false;
    }
    memmove(ret_base, type, (size_t)(open - type));
    ret_base[open - type] = '\0';
    return true;
}

/* The type without its dimensions. */
static void type_base(const char *type, char ret[TYPE_TEXT_MAX])
{
    unsigned count;

    snprintf(ret, TYPE_TEXT_MAX, "%s", type);
    while (array_split(ret, ret, &count))
        ;
}

static int member_check(const struct job *job, const json_t *definition, size_t index, const struct path *at)
{
    const json_t *member = json_array_get(definition, index);
    const char *name = member_text(definition, index, "name"), *type = member_text(definition, index, "type");
    char base[TYPE_TEXT_MAX], why[TYPE_TEXT_MAX + 64];

    if (name == NULL || type == NULL || json_object_size(member) != 2)
        return fail_at(job, at, "want {\"name\": ..., \"type\": ...}");
    if (!identifier_ok(name))
        return fail_at(job, at, "a member's name has letters, digits, _ and $ only, and no digit first");
    for (size_t i = 0; i < index; i++)
        if (strcmp(member_text(definition, i, "name"), name) == 0)
            return fail_at(job, at, "two members of one type have the same name");
    type_base(type, base);
    if (strlen(type) >= TYPE_TEXT_MAX || (atomic_parse(base).kind == KIND_NONE && type_get(job, base) == NULL)) {
        snprintf(why, sizeof why, "unknown type '%.100s'%s", type,
                 strcmp(base, "uint") == 0 || strcmp(base, "int") == 0 ? " (its size must be written: 256)" : "");
        return fail_at(job, at, why);
    }
    return PROV_OK;
}

static int types_check(const struct job *job)
{
    const struct path top = {NULL, "types", 0};
    const char *name;
    json_t *definition;

    if (json_object_size(job->types) > TYPES_MAX)
        return fail_at(job, &top, "more than 64 types");
    json_object_foreach(job->types, name, definition) {
        const struct path at = {&top, name, 0};

        if (!identifier_ok(name) || atomic_parse(name).kind != KIND_NONE)
            return fail_at(job, &at, "not a name for a struct type");
        if (!json_is_array(definition) || json_array_size(definition) > MEMBERS_MAX)
            return fail_at(job, &at, "want an array of at most 256 members");
        for (size_t i = 0; i < json_array_size(definition); i++) {
            const struct path member = {&at, NULL, i};
            int rc = member_check(job, definition, i, &member);

            if (rc != PROV_OK)
                return rc;
        }
    }
    return PROV_OK;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The struct types that name needs, itself first, then the others sorted. */
static size_t type_closure(const struct job *job, const char *name, const char *ret[TYPES_MAX + 1])
{
    size_t count = 0;

    ret[count++] = type_name(job, name);
    for (size_t at = 0; at < count; at++) {
        const json_t *definition = type_get(job, ret[at]);

        for (size_t i = 0; i < json_array_size(definition); i++) {
            char base[TYPE_TEXT_MAX];
            size_t seen = 0;

            type_base(member_text(definition, i, "type"), base);
            if (atomic_parse(base).kind != KIND_NONE)
                continue;
            while (seen < count && strcmp(ret[seen], base) != 0)
                seen++;
            if (seen == count) /* there are at most TYPES_MAX + 1 types */
                ret[count++] = type_name(job, base);
        }
    }
    qsort(ret + 1, count - 1, sizeof ret[0], compare_names);
    return count;
}

static void hash_text(struct psdk_keccak *k, const char *text)
{
    psdk_keccak_add(k, text, strlen(text));
}

/* keccak256 of encodeType: "Mail(Person from,string text)Person(address wallet)". */
static const uint8_t *type_hash(struct job *job, const char *name)
{
    const char *closure[TYPES_MAX + 1];
    struct psdk_keccak k;
    struct type_hash *entry;
    size_t count;

    for (size_t i = 0; i < job->cached; i++)
        if (strcmp(job->cache[i].name, name) == 0)
            return job->cache[i].hash;
    count = type_closure(job, name, closure);
    psdk_keccak_init(&k);
    for (size_t t = 0; t < count; t++) {
        const json_t *definition = type_get(job, closure[t]);

        hash_text(&k, closure[t]);
        hash_text(&k, "(");
        for (size_t i = 0; i < json_array_size(definition); i++) {
            hash_text(&k, i > 0 ? "," : "");
            hash_text(&k, member_text(definition, i, "type"));
            hash_text(&k, " ");
            hash_text(&k, member_text(definition, i, "name"));
        }
        hash_text(&k, ")");
    }
    entry = &job->cache[job->cached++]; /* every struct type at most once */
    entry->name = closure[0];
    psdk_keccak_final(&k, entry->hash);
    return entry->hash;
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
static bool integer_fits(struct atomic atomic, bool negative, const uint8_t value[32])
{
    uint8_t less[32];

    if (atomic.kind == KIND_UINT)
        return bit_length(value) <= (negative ? 0 : atomic.size);
    if (!negative || bit_length(value) < atomic.size)
        return bit_length(value) < atomic.size;
    memcpy(less, value, sizeof less); /* value - 1, as the complement of the negated value */
    negate(less);
    for (size_t i = 0; i < sizeof less; i++)
        less[i] = (uint8_t)~less[i];
    return bit_length(less) < atomic.size;
}

static int encode_integer(struct job *job, const char *type, const json_t *value, const struct path *at, uint8_t ret[32])
{
    struct atomic atomic = atomic_parse(type);
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
static int encode_bytes(struct job *job, const char *type, const json_t *value, const struct path *at, uint8_t ret[32])
{
    struct atomic atomic = atomic_parse(type);
    size_t digits = json_is_string(value) ? json_string_length(value) - 2 : 0;
    const char *text = json_string_value(value);
    struct psdk_buf bytes = {0};
    int rc = PROV_OK;

    if (text == NULL || strncmp(text, "0x", 2) != 0 || digits % 2 != 0)
        return fail_want(job, at, type, "0x and an even number of hex digits");
    if (atomic.kind == KIND_FIXED) {
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

static int encode_atomic(struct job *job, const char *type, const json_t *value, const struct path *at, uint8_t ret[32])
{
    memset(ret, 0, 32);
    switch (atomic_parse(type).kind) {
    case KIND_BOOL:
        if (!json_is_boolean(value))
            return fail_want(job, at, type, "true or false");
        ret[31] = json_is_true(value) ? 1 : 0;
        return PROV_OK;
    case KIND_ADDRESS:
        if (!json_is_string(value) || json_string_length(value) != 42 ||
            !psdk_eth_address_parse(json_string_value(value), ret + 12))
            return fail_want(job, at, type, "0x and 40 hex digits, their case as in EIP-55 if it is mixed");
        return PROV_OK;
    case KIND_STRING:
        if (!json_is_string(value))
            return fail_want(job, at, type, "a string");
        psdk_keccak256(json_string_value(value), json_string_length(value), ret);
        return PROV_OK;
    case KIND_BYTES:
    case KIND_FIXED:
        return encode_bytes(job, type, value, at, ret);
    case KIND_INT:
    case KIND_UINT:
        return encode_integer(job, type, value, at, ret);
    case KIND_NONE:
        break;
    }
    return fail_at(job, at, "unknown type");
}

static int hash_struct(struct job *job, const char *name, const json_t *value, const struct path *at, unsigned depth,
                       uint8_t ret[32]);

static int encode_value(struct job *job, const char *type, const json_t *value, const struct path *at, unsigned depth,
                        uint8_t ret[32])
{
    char base[TYPE_TEXT_MAX];
    struct psdk_keccak k;
    unsigned count;

    if (depth >= DEPTH_MAX)
        return fail_at(job, at, "nested too deeply (more than 64 levels)");
    if (!array_split(type, base, &count))
        return type_get(job, type) != NULL ? hash_struct(job, type, value, at, depth + 1, ret)
                                           : encode_atomic(job, type, value, at, ret);
    if (!json_is_array(value) || (count != 0 && json_array_size(value) != count))
        return fail_want(job, at, type, count != 0 ? "an array of exactly this length" : "an array");
    psdk_keccak_init(&k);
    for (size_t i = 0; i < json_array_size(value); i++) {
        const struct path item = {at, NULL, i};
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
static int fail_extra(const struct job *job, const json_t *definition, const json_t *value, const struct path *at)
{
    const char *key;
    json_t *member;

    json_object_foreach((json_t *)value, key, member) {
        const struct path extra = {at, key, 0};
        size_t i = 0;

        while (i < json_array_size(definition) && strcmp(member_text(definition, i, "name"), key) != 0)
            i++;
        if (i == json_array_size(definition))
            return fail_at(job, &extra, "the type does not have this member: it would not be signed");
    }
    return fail_at(job, at, "too many members");
}

static int hash_struct(struct job *job, const char *name, const json_t *value, const struct path *at, unsigned depth,
                       uint8_t ret[32])
{
    const json_t *definition = type_get(job, name);
    size_t count = json_array_size(definition);
    struct psdk_keccak k;

    if (!json_is_object(value))
        return fail_want(job, at, name, "an object");
    psdk_keccak_init(&k);
    psdk_keccak_add(&k, type_hash(job, name), 32);
    for (size_t i = 0; i < count; i++) {
        const struct path member = {at, member_text(definition, i, "name"), 0};
        const json_t *found = json_object_get(value, member.name);
        uint8_t word[32];
        int rc = found == NULL ? fail_at(job, &member, "missing")
                               : encode_value(job, member_text(definition, i, "type"), found, &member, depth, word);

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
static int domain_derive(struct job *job, const json_t *domain)
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

static int digest_parts(struct job *job, const json_t *typed_data, const char *primary, const json_t *domain,
                        uint8_t ret[32])
{
    static const struct path domain_path = {NULL, "domain", 0}, message_path = {NULL, "message", 0};
    static const struct path primary_path = {NULL, "primaryType", 0};
    const json_t *message = json_object_get(typed_data, "message");
    struct psdk_keccak k;
    uint8_t word[32];
    int rc = types_check(job);

    if (rc != PROV_OK)
        return rc;
    if (type_get(job, primary) == NULL)
        return fail_at(job, &primary_path, "types does not define it");
    rc = hash_struct(job, DOMAIN_TYPE, domain, &domain_path, 0, word);
    if (rc != PROV_OK)
        return rc;
    psdk_keccak_init(&k);
    psdk_keccak_add(&k, "\x19\x01", 2);
    psdk_keccak_add(&k, word, sizeof word);
    if (strcmp(primary, DOMAIN_TYPE) != 0) { /* the domain alone has no message part */
        rc = message == NULL ? fail_at(job, &message_path, "missing")
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
    struct job job = {.err = err};
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
        if (json_object_get(types, DOMAIN_TYPE) == NULL)
            rc = domain_derive(&job, domain);
    }
    if (rc == PROV_OK)
        rc = digest_parts(&job, typed_data, primary, domain, ret);
    json_decref(job.derived);
    return rc;
}
