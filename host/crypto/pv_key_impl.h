/* pv_key_impl.h - what the parts of pv_key share. Not for other folders.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Texts are not NUL-terminated here. Every function leaves the key alone on failure and wipes what it had decoded.
 */
#ifndef PV_KEY_IMPL_H
#define PV_KEY_IMPL_H

#include "pv_key.h"

#define PV_KEY_FILE_MAX ((size_t)64 << 10) /* no key file of any form comes near */
#define PV_PASSPHRASE_MAX 1024             /* bytes, with the NUL */

/* Fills key (its name stays) from a secret. */
int pv_key_set_ed25519(struct pv_key *key, const uint8_t seed[32], prov_error *err);
int pv_key_set_secp256k1(struct pv_key *key, const uint8_t secret[32], prov_error *err);

/* Asks for the passphrase of key into ret (PV_PASSPHRASE_MAX bytes, wiped on failure). PROV_E_DENIED without one. */
int pv_key_ask(const struct pv_key *key, const struct pv_passphrase *pass, char *ret, prov_error *err);

/* PEM: PKCS#8, plain or encrypted (PROV_E_DENIED: wrong passphrase), and OpenSSH's own form. */
int pv_key_parse_pem(struct pv_key *key, const char *text, size_t len, const struct pv_passphrase *pass,
                     prov_error *err);
int pv_key_parse_openssh(struct pv_key *key, const uint8_t *data, size_t len, prov_error *err);
/* Appends a private key in PEM; passphrase NULL: not encrypted. out must be wiped. */
int pv_key_write_pem(const struct pv_key *key, const char *passphrase, struct psdk_buf *out, prov_error *err);
/* Appends the public half in PEM. */
int pv_key_write_public_pem(const uint8_t public_key[32], struct psdk_buf *out);

/* The bytes between "-----BEGIN <label>-----" and its END line. True: found and well-formed; ret must be wiped. */
bool pv_pem_find(const char *text, size_t len, const char *label);
int pv_pem_decode(const char *text, size_t len, const char *label, struct psdk_buf *ret, prov_error *err);

/* Keystore v3 (Web3 Secret Storage), secp256k1. */
int pv_keystore_parse(struct pv_key *key, const char *text, size_t len, const struct pv_passphrase *pass,
                      prov_error *err);
int pv_keystore_write(const struct pv_key *key, const char *passphrase, struct psdk_buf *out, prov_error *err);

#endif
