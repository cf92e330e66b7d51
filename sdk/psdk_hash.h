/* psdk_hash.h - SHA-256 over OpenSSL's EVP (fetched once a process, on first use), hex and base64.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Threads: functions [any]; one psdk_sha256 belongs to one thread at a time. Since 1.0.
 */
#ifndef PSDK_HASH_H
#define PSDK_HASH_H

#include <stdbool.h>

#include "psdk_err.h"

#define PSDK_SHA256_BYTES 32
#define PSDK_SHA256_HEX 65 /* 64 digits and the NUL */

/* A running digest. {0} is empty; ctx is an EVP_MD_CTX that is kept over many digests. */
struct psdk_sha256 {
    void *ctx;
    int failed; /* set when OpenSSL fails; _final then reports it */
};

/* Starts (or starts again). PROV_OK or PROV_E_INTERNAL / PROV_E_NOMEM. */
int psdk_sha256_init(struct psdk_sha256 *h);
void psdk_sha256_add(struct psdk_sha256 *h, const void *data, size_t len);
int psdk_sha256_final(struct psdk_sha256 *h, uint8_t ret[32]);
void psdk_sha256_done(struct psdk_sha256 *h);

/* One-shot digests on a context kept for each thread. They cannot fail but for a broken OpenSSL, which aborts the
 * operation by an all-zero digest and psdk_sha256_broken() = true. */
void psdk_sha256(const void *data, size_t len, uint8_t ret[32]);
/* RFC 6962: leaf = SHA-256(0x00 || data), node = SHA-256(0x01 || left || right). */
void psdk_leaf_hash(const void *data, size_t len, uint8_t ret[32]);
void psdk_node_hash(const uint8_t left[32], const uint8_t right[32], uint8_t ret[32]);
bool psdk_sha256_broken(void);

/* Lower-case hex with a NUL; ret has 2 * len + 1 bytes. */
void psdk_hex(const void *data, size_t len, char *ret);
/* Decodes exactly 2 * len digits of either case from text (text_len of them). false: not that. */
bool psdk_unhex(const char *text, size_t text_len, void *ret, size_t len);
/* A hash as users write it: 64 hex digits of either case, "0x" or not. false: not that. */
bool psdk_parse_hash(const char *text, uint8_t ret[32]);
/* Standard base64 with padding, NUL-terminated; ret has 4 * ((len + 2) / 3) + 1 bytes. Returns the length. */
size_t psdk_base64(const void *data, size_t len, char *ret);
/* Strict decode (canonical padding and trailing bits, no white space). Returns the length or -1. */
long psdk_unbase64(const char *text, size_t text_len, void *ret, size_t cap);
/* Compares without early exit. */
bool psdk_equal(const void *a, const void *b, size_t len);
/* Cryptographic random bytes; PROV_OK or PROV_E_INTERNAL. */
int psdk_random(void *ret, size_t len, prov_error *err);
/* CRC-32C (Castagnoli), seed 0 or an earlier result. Uses SSE4.2 where the machine has it. */
uint32_t psdk_crc32c(uint32_t seed, const void *data, size_t len);
/* The same result without special instructions: for other machines, and to test one against the other. */
uint32_t psdk_crc32c_portable(uint32_t seed, const void *data, size_t len);

#endif
