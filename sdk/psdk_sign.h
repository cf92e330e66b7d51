/* psdk_sign.h - Ed25519 keys and signatures over OpenSSL.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A secret key is wiped by _done; it is never printed nor logged. Threads: [any] on different keys; a key that is
 * ready may be used by many threads at once. Since 1.0.
 */
#ifndef PSDK_SIGN_H
#define PSDK_SIGN_H

#include <stdbool.h>

#include "psdk_err.h"

#define PSDK_KEYID_HEX 33 /* 32 digits and the NUL */

/* An Ed25519 key pair. {0} is empty. */
struct psdk_ed25519 {
    uint8_t public_key[32];
    void *pkey; /* EVP_PKEY with the secret half; NULL: public only */
};

/* A new key from the system's random source. */
int psdk_ed25519_new(struct psdk_ed25519 *key, prov_error *err);
/* From the 32-byte seed (RFC 8032); ret_seed of _seed must be wiped by the caller. */
int psdk_ed25519_from_seed(struct psdk_ed25519 *key, const uint8_t seed[32], prov_error *err);
int psdk_ed25519_seed(const struct psdk_ed25519 *key, uint8_t ret_seed[32], prov_error *err);
void psdk_ed25519_done(struct psdk_ed25519 *key);
int psdk_ed25519_sign(const struct psdk_ed25519 *key, const void *data, size_t len, uint8_t ret[64], prov_error *err);
/* False for a wrong signature, a malformed key, a non-canonical S, small-order points. */
bool psdk_ed25519_verify(const uint8_t public_key[32], const void *data, size_t len, const uint8_t signature[64]);
/* The key id used in records: the first 32 hex digits of SHA-256(public key). */
void psdk_key_id(const uint8_t public_key[32], char ret[PSDK_KEYID_HEX]);

/* Overwrites secrets in a way that the compiler keeps. */
void psdk_wipe(void *data, size_t len);

#endif
