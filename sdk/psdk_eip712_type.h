/* psdk_eip712_type.h - the types of EIP-712 typed data: checked, looked up, hashed. Internal to psdk_eip712.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PSDK_EIP712_TYPE_H
#define PSDK_EIP712_TYPE_H

#include "psdk_eth.h"
#include "psdk_json.h"

#define PSDK_EIP712_TYPES_MAX 64
#define PSDK_EIP712_TEXT_MAX 192 /* "Name[2][]" and its NUL */
#define PSDK_EIP712_DEPTH_MAX PSDK_JSON_DEPTH
#define PSDK_EIP712_DOMAIN_TYPE "EIP712Domain"

enum psdk_eip712_kind {
    PSDK_EIP712_NONE,
    PSDK_EIP712_BOOL,
    PSDK_EIP712_ADDRESS,
    PSDK_EIP712_STRING,
    PSDK_EIP712_BYTES,
    PSDK_EIP712_FIXED,
    PSDK_EIP712_INT,
    PSDK_EIP712_UINT
};

struct psdk_eip712_atomic {
    enum psdk_eip712_kind kind;
    unsigned size; /* FIXED: bytes; INT, UINT: bits */
};

/* Where a value stands: a chain on the stack that is only written out in errors. */
struct psdk_eip712_path {
    const struct psdk_eip712_path *up;
    const char *name; /* NULL: an array's index */
    size_t index;
};

struct psdk_eip712_hash {
    const char *name; /* of a type; a key in types, or a literal */
    uint8_t hash[32];
};

struct psdk_eip712_job {
    json_t *types;   /* borrowed */
    json_t *derived; /* EIP712Domain, when types has none; owned */
    struct psdk_eip712_hash cache[PSDK_EIP712_TYPES_MAX + 1];
    size_t cached;
    prov_error *err;
};

/* "typed data: PATH: WHY"; PROV_E_INVALID. */
int psdk_eip712_fail(const struct psdk_eip712_job *job, const struct psdk_eip712_path *at, const char *why);
struct psdk_eip712_atomic psdk_eip712_atomic_parse(const char *type);
/* Checks all definitions; what follows relies on it. */
int psdk_eip712_types_check(const struct psdk_eip712_job *job);
/* The definition of a struct type, or NULL. Borrowed. */
json_t *psdk_eip712_type_get(const struct psdk_eip712_job *job, const char *name);
/* "name" or "type" of a member of a definition. Borrowed. */
const char *psdk_eip712_member_text(const json_t *definition, size_t index, const char *key);
/* Takes the last dimension off an array type. *ret_count: its fixed length, or 0 for []. False: no array (or, before
 * the definitions are checked, malformed). ret_base may be type itself. */
bool psdk_eip712_array_split(const char *type, char ret_base[PSDK_EIP712_TEXT_MAX], unsigned *ret_count);
/* keccak256 of encodeType: "Mail(Person from,string text)Person(address wallet)". Borrowed from the job. */
const uint8_t *psdk_eip712_type_hash(struct psdk_eip712_job *job, const char *name);

#endif
