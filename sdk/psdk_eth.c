/* psdk_eth.c - addresses (EIP-55), personal messages (EIP-191), signature text, 256-bit decimals.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "psdk_eth.h"

#include <stdio.h>
#include <string.h>

#include "psdk_hash.h"

#define ADDRESS_DIGITS 40
#define U256_DIGITS 78
#define LIMBS 8
#define CHUNK 1000000000u /* nine decimal digits */
#define CHUNK_DIGITS 9

void psdk_eth_address(const uint8_t public_key[64], uint8_t ret[20])
{
    uint8_t digest[32];

    psdk_keccak256(public_key, 64, digest);
    memcpy(ret, digest + 12, 20);
}

int psdk_eth_address_of(const uint8_t secret[32], uint8_t ret[20], prov_error *err)
{
    uint8_t public_key[64];
    int rc = psdk_secp256k1_public(secret, public_key, err);

    if (rc == PROV_OK)
        psdk_eth_address(public_key, ret);
    return rc;
}

void psdk_eth_address_format(const uint8_t address[20], char ret[43])
{
    uint8_t digest[32];

    memcpy(ret, "0x", 2);
    psdk_hex(address, 20, ret + 2);
    psdk_keccak256(ret + 2, ADDRESS_DIGITS, digest);
    for (size_t i = 0; i < ADDRESS_DIGITS; i++) {
        unsigned nibble = (i & 1) != 0 ? digest[i / 2] & 15u : digest[i / 2] >> 4;

        if (ret[2 + i] >= 'a' && nibble >= 8)
            ret[2 + i] = (char)(ret[2 + i] - 'a' + 'A');
    }
}

bool psdk_eth_address_parse(const char *text, uint8_t ret[20])
{
    bool lower = false, upper = false;
    uint8_t address[20];
    char want[43];

    if (strncmp(text, "0x", 2) != 0 || strnlen(text, 43) != 2 + ADDRESS_DIGITS ||
        !psdk_unhex(text + 2, ADDRESS_DIGITS, address, sizeof address))
        return false;
    for (const char *c = text + 2; *c != '\0'; c++) {
        lower = lower || (*c >= 'a' && *c <= 'f');
        upper = upper || (*c >= 'A' && *c <= 'F');
    }
    if (lower && upper) {
        psdk_eth_address_format(address, want);
        if (strcmp(text, want) != 0)
            return false;
    }
    memcpy(ret, address, sizeof address);
    return true;
}

void psdk_eip191_digest(const void *data, size_t len, uint8_t ret[32])
{
    struct psdk_keccak k;
    char length[24];
    int digits = snprintf(length, sizeof length, "%zu", len);

    psdk_keccak_init(&k);
    psdk_keccak_add(&k, "\x19" "Ethereum Signed Message:\n", 26);
    psdk_keccak_add(&k, length, (size_t)digits);
    psdk_keccak_add(&k, data, len);
    psdk_keccak_final(&k, ret);
}

int psdk_eth_recover(const uint8_t digest[32], const uint8_t signature[65], uint8_t ret_address[20], prov_error *err)
{
    uint8_t public_key[64];
    int rc = psdk_secp256k1_recover(digest, signature, public_key, err);

    if (rc == PROV_OK)
        psdk_eth_address(public_key, ret_address);
    return rc;
}

bool psdk_eth_signature_parse(const char *text, uint8_t ret[65])
{
    uint8_t signature[65];

    if (strncmp(text, "0x", 2) == 0)
        text += 2;
    if (strnlen(text, 131) != 130 || !psdk_unhex(text, 130, signature, sizeof signature))
        return false;
    if (signature[64] <= 1)
        signature[64] = (uint8_t)(signature[64] + 27);
    if (signature[64] != 27 && signature[64] != 28)
        return false;
    memcpy(ret, signature, sizeof signature);
    return true;
}

/* ---- 256-bit decimals: eight 32-bit limbs, the most significant first -------------------------------------------- */

static void limbs_load(const uint8_t value[32], uint32_t limb[LIMBS])
{
    for (size_t i = 0; i < LIMBS; i++)
        limb[i] = (uint32_t)value[4 * i] << 24 | (uint32_t)value[4 * i + 1] << 16 | (uint32_t)value[4 * i + 2] << 8 |
                  value[4 * i + 3];
}

/* Divides in place; returns the remainder. */
static uint32_t limbs_divide(uint32_t limb[LIMBS], uint32_t divisor)
{
    uint64_t rest = 0;

    for (size_t i = 0; i < LIMBS; i++) {
        uint64_t part = rest << 32 | limb[i];

        limb[i] = (uint32_t)(part / divisor);
        rest = part % divisor;
    }
    return (uint32_t)rest;
}

/* limb = limb * factor + more; false when that does not fit. */
static bool limbs_grow(uint32_t limb[LIMBS], uint32_t factor, uint32_t more)
{
    uint64_t carry = more;

    for (size_t i = LIMBS; i-- > 0;) {
        carry += (uint64_t)limb[i] * factor;
        limb[i] = (uint32_t)carry;
        carry >>= 32;
    }
    return carry == 0;
}

void psdk_u256_format(const uint8_t value[32], char ret[79])
{
    char digits[9 * CHUNK_DIGITS]; /* from the end; 2^256 has 78 digits, nine chunks */
    uint32_t limb[LIMBS];
    size_t at = sizeof digits, first = 0;

    limbs_load(value, limb);
    while (at > 0) {
        uint32_t rest = limbs_divide(limb, CHUNK);

        for (int i = 0; i < CHUNK_DIGITS; i++, rest /= 10)
            digits[--at] = (char)('0' + rest % 10);
    }
    while (first < sizeof digits - 1 && digits[first] == '0')
        first++;
    memcpy(ret, digits + first, sizeof digits - first);
    ret[sizeof digits - first] = '\0';
}

bool psdk_u256_parse(const char *text, uint8_t ret[32])
{
    uint32_t limb[LIMBS] = {0};
    size_t len = strnlen(text, U256_DIGITS + 1);

    if (len == 0 || len > U256_DIGITS || (len > 1 && text[0] == '0'))
        return false;
    for (size_t i = 0; i < len; i++)
        if (text[i] < '0' || text[i] > '9' || !limbs_grow(limb, 10, (uint32_t)(text[i] - '0')))
            return false;
    for (size_t i = 0; i < LIMBS; i++)
        for (size_t j = 0; j < 4; j++)
            ret[4 * i + j] = (uint8_t)(limb[i] >> (24 - 8 * j));
    return true;
}
