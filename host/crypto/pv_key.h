/* pv_key.h - key files and key policy.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A key lives in one text file, mode 0600, in the keys folder, NAME.key, with its public half in NAME.pub (0644).
 * Formats: Ed25519 keys are PKCS#8 PEM (`openssl pkey` reads them), encrypted ones too (opt-in, PBES2 with scrypt or
 * PBKDF2), and their .pub is PEM (`openssl pkey -pubin`); secp256k1 keys are one line of 64 hex digits, or keystore v3
 * JSON when encrypted, and their .pub is the EIP-55 address. Secrets are wiped, never printed. A function that fills a
 * pv_key takes an empty one and leaves it empty on failure; pv_key_done wipes it. Threads: [any] on different structs.
 */
#ifndef PV_KEY_H
#define PV_KEY_H

#include "psdk_buf.h"
#include "psdk_sign.h"

#define PV_KEY_ED25519 1
#define PV_KEY_SECP256K1 2
#define PV_KEY_NAME_MAX 64

struct pv_key {
    int algorithm;              /* PV_KEY_* */
    char name[PV_KEY_NAME_MAX]; /* file name without .key: [a-z0-9][a-z0-9._-]{0,62} */
    struct psdk_ed25519 ed;     /* ED25519 */
    uint8_t secp_secret[32];    /* SECP256K1 */
    uint8_t secp_public[64];
    uint8_t address[20];
};
#define PV_KEY_INIT {0}

/* How to get a passphrase when a file is encrypted: writes it NUL-terminated; PROV_E_DENIED without one. */
struct pv_passphrase {
    void *ctx;
    int (*ask)(void *ctx, const char *key_name, char *ret, size_t cap, prov_error *err);
};

/* name may be NULL (here, in _load_file and _parse) for a key that is not to be saved. */
int pv_key_new(struct pv_key *key, const char *name, int algorithm, prov_error *err);
/* Loads DIR/NAME.key. PROV_E_NOT_FOUND, PROV_E_DENIED (others can read it: the message says chmod 600 ...),
 * PROV_E_INVALID. */
int pv_key_load(struct pv_key *key, const char *dir, const char *name, const struct pv_passphrase *pass,
                prov_error *err);
/* Loads from any file, or from text (PEM, hex with or without 0x, keystore v3, OpenSSH private key that is not
 * encrypted). PROV_E_DENIED also means a wrong or missing passphrase; PROV_E_LIMIT a file over 64 KiB, or one that asks
 * for more than 512 MiB or minutes of key derivation. */
int pv_key_load_file(struct pv_key *key, const char *path, const char *name, const struct pv_passphrase *pass,
                     prov_error *err);
int pv_key_parse(struct pv_key *key, const char *text, size_t len, const char *name, const struct pv_passphrase *pass,
                 prov_error *err);
/* Writes NAME.key and NAME.pub durably, both or none (if the machine dies in between: NAME.key alone); never overwrites
 * (PROV_E_EXISTS). Makes dir (0700) if needed. passphrase NULL: not encrypted. */
int pv_key_save(const struct pv_key *key, const char *dir, const char *passphrase, prov_error *err);
void pv_key_done(struct pv_key *key);
/* The public half in one line: "ed25519:<64 hex>" or the EIP-55 address. */
int pv_key_public_text(const struct pv_key *key, struct psdk_buf *out);
/* Appends the names of the keys in a folder, sorted, NUL-separated, ended by an empty name. A missing folder has none.
 */
int pv_key_list(const char *dir, struct psdk_buf *ret_names, prov_error *err);
bool pv_key_name_ok(const char *name);

/* A public key as users write it in `trust:` or --trust: a C2SP verifier key (NAME+HASH+BASE64), "ed25519:<hex>", 64
 * hex digits, PEM text, or a path to a file with one of these. ret_name (PV_TRUST_NAME bytes) is "" when the form has
 * none. PROV_E_INVALID says what is wrong; PROV_E_NOT_FOUND: neither a key nor a file. The point itself is judged at
 * verification. */
#define PV_TRUST_NAME 512
int pv_public_parse(const char *text, char *ret_name, uint8_t ret_public[32], prov_error *err);

#endif
