/* psdk_eth.h - Keccak-256, secp256k1, addresses, EIP-191 and EIP-712.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Signatures are 65 bytes r || s || v with v 27 or 28 and always low s; a high s is refused on recovery. Secret keys
 * are raw 32 bytes that the caller wipes (psdk_wipe). Threads: [any]. Since 1.0.
 */
#ifndef PSDK_ETH_H
#define PSDK_ETH_H

#include <jansson.h>
#include <stdbool.h>

#include "psdk_buf.h"

void psdk_keccak256(const void *data, size_t len, uint8_t ret[32]);
/* Incremental form. */
struct psdk_keccak {
    uint64_t state[25];
    uint8_t block[136];
    size_t used;
};
void psdk_keccak_init(struct psdk_keccak *k);
void psdk_keccak_add(struct psdk_keccak *k, const void *data, size_t len);
void psdk_keccak_final(struct psdk_keccak *k, uint8_t ret[32]);

/* A valid secret key is 1..n-1. */
bool psdk_secp256k1_valid(const uint8_t secret[32]);
int psdk_secp256k1_new(uint8_t ret_secret[32], prov_error *err);
/* Uncompressed public key without the 04 prefix. */
int psdk_secp256k1_public(const uint8_t secret[32], uint8_t ret[64], prov_error *err);
int psdk_secp256k1_sign(const uint8_t secret[32], const uint8_t digest[32], uint8_t ret[65], prov_error *err);
/* v 0, 1, 27 or 28. PROV_E_INVALID for a high s, r or s out of range, no such point. */
int psdk_secp256k1_recover(const uint8_t digest[32], const uint8_t signature[65], uint8_t ret_public[64],
                           prov_error *err);

void psdk_eth_address(const uint8_t public_key[64], uint8_t ret[20]);
int psdk_eth_address_of(const uint8_t secret[32], uint8_t ret[20], prov_error *err);
/* EIP-55 text "0x" + 40 digits + NUL. */
void psdk_eth_address_format(const uint8_t address[20], char ret[43]);
/* "0x" + 40 hex digits: all lower, all upper, or a correct EIP-55 mix. false: not that. */
bool psdk_eth_address_parse(const char *text, uint8_t ret[20]);

/* EIP-191 personal message ("\x19Ethereum Signed Message:\n" + length + data). */
void psdk_eip191_digest(const void *data, size_t len, uint8_t ret[32]);
/* EIP-712 from the JSON form that wallets take: {types, primaryType, domain, message}. EIP712Domain may be left out of
 * types: it is then derived from the members that domain has. PROV_E_INVALID names the member that is wrong. */
int psdk_eip712_digest(const json_t *typed_data, uint8_t ret[32], prov_error *err);
/* Signature and recovery in one step: the address that signed, or PROV_E_INVALID. */
int psdk_eth_recover(const uint8_t digest[32], const uint8_t signature[65], uint8_t ret_address[20], prov_error *err);
/* 65 bytes from hex, with or without 0x, v 0/1/27/28 (normalised to 27/28). */
bool psdk_eth_signature_parse(const char *text, uint8_t ret[65]);

/* U256 as decimal text (at most 78 digits and a NUL) and back. false: not that (a value has one text: digits alone, no
 * leading zero), or past 2^256-1. */
void psdk_u256_format(const uint8_t value[32], char ret[79]);
bool psdk_u256_parse(const char *text, uint8_t ret[32]);

#endif
