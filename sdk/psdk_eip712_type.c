/* psdk_eip712_type.c - the types of EIP-712 typed data: checked, looked up, hashed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "psdk_eip712_type.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MEMBERS_MAX 256

int psdk_eip712_fail(const struct psdk_eip712_job *job, const struct psdk_eip712_path *at, const char *why)
{
    const struct psdk_eip712_path *chain[PSDK_EIP712_DEPTH_MAX + 2];
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

/* A number without leading zeros, 1 to 999999999. 0: not that. */
static unsigned number_parse(const char *text)
{
    size_t len = strspn(text, "0123456789");

    return len == 0 || len > 9 || text[len] != '\0' || text[0] == '0' ? 0 : (unsigned)strtoul(text, NULL, 10);
}

struct psdk_eip712_atomic psdk_eip712_atomic_parse(const char *type)
{
    static const struct {
        const char *name;
        enum psdk_eip712_kind kind;
    } plain[] = {{"bool", PSDK_EIP712_BOOL},
                 {"address", PSDK_EIP712_ADDRESS},
                 {"string", PSDK_EIP712_STRING},
                 {"bytes", PSDK_EIP712_BYTES}};
    unsigned size;

    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++)
        if (strcmp(type, plain[i].name) == 0)
            return (struct psdk_eip712_atomic){plain[i].kind, 0};
    if (strncmp(type, "bytes", 5) == 0) {
        size = number_parse(type + 5);
        if (size >= 1 && size <= 32)
            return (struct psdk_eip712_atomic){PSDK_EIP712_FIXED, size};
    } else if (strncmp(type, "int", 3) == 0 || strncmp(type, "uint", 4) == 0) {
        size = number_parse(type + (type[0] == 'u' ? 4 : 3));
        if (size >= 8 && size <= 256 && size % 8 == 0)
            return (struct psdk_eip712_atomic){type[0] == 'u' ? PSDK_EIP712_UINT : PSDK_EIP712_INT, size};
    }
    return (struct psdk_eip712_atomic){PSDK_EIP712_NONE, 0};
}

static bool identifier_ok(const char *text)
{
    static const char first[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_$";
    size_t len = strlen(text);

    return len > 0 && len < PSDK_EIP712_TEXT_MAX / 2 && strchr(first, text[0]) != NULL &&
           strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_$0123456789") == len;
}

json_t *psdk_eip712_type_get(const struct psdk_eip712_job *job, const char *name)
{
    if (job->derived != NULL && strcmp(name, PSDK_EIP712_DOMAIN_TYPE) == 0)
        return job->derived;
    return json_object_get(job->types, name);
}

/* The name of a type that exists, in memory that lives as long as the job. */
static const char *type_name(const struct psdk_eip712_job *job, const char *name)
{
    return strcmp(name, PSDK_EIP712_DOMAIN_TYPE) == 0 ? PSDK_EIP712_DOMAIN_TYPE
                                                      : json_object_iter_key(json_object_iter_at(job->types, name));
}

const char *psdk_eip712_member_text(const json_t *definition, size_t index, const char *key)
{
    return json_string_value(json_object_get(json_array_get(definition, index), key));
}

bool psdk_eip712_array_split(const char *type, char ret_base[PSDK_EIP712_TEXT_MAX], unsigned *ret_count)
{
    const char *open = strrchr(type, '[');
    size_t len = strlen(type);
    char digits[16] = "";

    if (open == NULL || open == type || type[len - 1] != ']' || len >= PSDK_EIP712_TEXT_MAX)
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
static void type_base(const char *type, char ret[PSDK_EIP712_TEXT_MAX])
{
    unsigned count;

    snprintf(ret, PSDK_EIP712_TEXT_MAX, "%s", type);
    while (psdk_eip712_array_split(ret, ret, &count))
        ;
}

static int member_check(const struct psdk_eip712_job *job, const json_t *definition, size_t index,
                        const struct psdk_eip712_path *at)
{
    const json_t *member = json_array_get(definition, index);
    const char *name = psdk_eip712_member_text(definition, index, "name"),
               *type = psdk_eip712_member_text(definition, index, "type");
    char base[PSDK_EIP712_TEXT_MAX], why[PSDK_EIP712_TEXT_MAX + 64];

    if (name == NULL || type == NULL || json_object_size(member) != 2)
        return psdk_eip712_fail(job, at, "want {\"name\": ..., \"type\": ...}");
    if (!identifier_ok(name))
        return psdk_eip712_fail(job, at, "a member's name has letters, digits, _ and $ only, and no digit first");
    for (size_t i = 0; i < index; i++)
        if (strcmp(psdk_eip712_member_text(definition, i, "name"), name) == 0)
            return psdk_eip712_fail(job, at, "two members of one type have the same name");
    type_base(type, base);
    if (strlen(type) >= PSDK_EIP712_TEXT_MAX ||
        (psdk_eip712_atomic_parse(base).kind == PSDK_EIP712_NONE && psdk_eip712_type_get(job, base) == NULL)) {
        snprintf(why, sizeof why, "unknown type '%.100s'%s", type,
                 strcmp(base, "uint") == 0 || strcmp(base, "int") == 0 ? " (its size must be written: 256)" : "");
        return psdk_eip712_fail(job, at, why);
    }
    return PROV_OK;
}

int psdk_eip712_types_check(const struct psdk_eip712_job *job)
{
    const struct psdk_eip712_path top = {NULL, "types", 0};
    const char *name;
    json_t *definition;

    if (json_object_size(job->types) > PSDK_EIP712_TYPES_MAX)
        return psdk_eip712_fail(job, &top, "more than 64 types");
    json_object_foreach(job->types, name, definition) {
        const struct psdk_eip712_path at = {&top, name, 0};

        if (!identifier_ok(name) || psdk_eip712_atomic_parse(name).kind != PSDK_EIP712_NONE)
            return psdk_eip712_fail(job, &at, "not a name for a struct type");
        if (!json_is_array(definition) || json_array_size(definition) > MEMBERS_MAX)
            return psdk_eip712_fail(job, &at, "want an array of at most 256 members");
        for (size_t i = 0; i < json_array_size(definition); i++) {
            const struct psdk_eip712_path member = {&at, NULL, i};
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
static size_t type_closure(const struct psdk_eip712_job *job, const char *name,
                           const char *ret[PSDK_EIP712_TYPES_MAX + 1])
{
    size_t count = 0;

    ret[count++] = type_name(job, name);
    for (size_t at = 0; at < count; at++) {
        const json_t *definition = psdk_eip712_type_get(job, ret[at]);

        for (size_t i = 0; i < json_array_size(definition); i++) {
            char base[PSDK_EIP712_TEXT_MAX];
            size_t seen = 0;

            type_base(psdk_eip712_member_text(definition, i, "type"), base);
            if (psdk_eip712_atomic_parse(base).kind != PSDK_EIP712_NONE)
                continue;
            while (seen < count && strcmp(ret[seen], base) != 0)
                seen++;
            if (seen == count) /* there are at most PSDK_EIP712_TYPES_MAX + 1 types */
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

const uint8_t *psdk_eip712_type_hash(struct psdk_eip712_job *job, const char *name)
{
    const char *closure[PSDK_EIP712_TYPES_MAX + 1];
    struct psdk_keccak k;
    struct psdk_eip712_hash *entry;
    size_t count;

    for (size_t i = 0; i < job->cached; i++)
        if (strcmp(job->cache[i].name, name) == 0)
            return job->cache[i].hash;
    count = type_closure(job, name, closure);
    psdk_keccak_init(&k);
    for (size_t t = 0; t < count; t++) {
        const json_t *definition = psdk_eip712_type_get(job, closure[t]);

        hash_text(&k, closure[t]);
        hash_text(&k, "(");
        for (size_t i = 0; i < json_array_size(definition); i++) {
            hash_text(&k, i > 0 ? "," : "");
            hash_text(&k, psdk_eip712_member_text(definition, i, "type"));
            hash_text(&k, " ");
            hash_text(&k, psdk_eip712_member_text(definition, i, "name"));
        }
        hash_text(&k, ")");
    }
    entry = &job->cache[job->cached++]; /* every struct type at most once */
    entry->name = closure[0];
    psdk_keccak_final(&k, entry->hash);
    return entry->hash;
}
