/* pv_keystore.c - secp256k1 keys in Web3 Secret Storage, version 3 (what geth and wallets write).
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * derived = scrypt or PBKDF2 of the passphrase; the secret is AES-128-CTR under derived[0..16); the MAC is Keccak-256
 * of derived[16..32) and the ciphertext. A file may ask for any amount of work and memory: both are bounded here, well
 * above what known programs write. scrypt is libsodium's, since OpenSSL refuses a parameter set of the official
 * vectors.
 */
#include <openssl/err.h>
#include <openssl/evp.h>
#include <sodium.h>
#include <string.h>

#include "psdk_eth.h"
#include "psdk_hash.h"
#include "psdk_json.h"
#include "pv_key_impl.h"

#define DERIVED_BYTES 32
#define SALT_MAX 256
#define SCRYPT_MEMORY_MAX (INT64_C(1) << 29) /* bytes: 128 * n * r; the usual file needs half of it */
#define SCRYPT_WORK_MAX (INT64_C(1) << 25)   /* n * r * p; the usual file has 2^21 */
#define PBKDF2_ROUNDS_MAX 20000000           /* the usual file has 262144 */
#define WRITE_N 262144
#define WRITE_R 8
#define WRITE_P 1
#define WHAT "keystore"

struct sealed {
    char kdf[8]; /* "scrypt" or "pbkdf2" */
    int64_t n, r, p, rounds;
    uint8_t salt[SALT_MAX];
    size_t salt_len;
    uint8_t iv[16];
    uint8_t ciphertext[32];
    uint8_t mac[32];
    uint8_t address[20];
    bool has_address;
};

/* ---- the arithmetic ---------------------------------------------------------------------------------------------- */

static int derive(const struct sealed *sealed, const char *passphrase, uint8_t ret[DERIVED_BYTES], prov_error *err)
{
    size_t len = strlen(passphrase);

    if (strcmp(sealed->kdf, "scrypt") == 0) {
        if (crypto_pwhash_scryptsalsa208sha256_ll((const uint8_t *)passphrase, len, sealed->salt, sealed->salt_len,
                                                  (uint64_t)sealed->n, (uint32_t)sealed->r, (uint32_t)sealed->p, ret,
                                                  DERIVED_BYTES) != 0)
            return psdk_fail(err, PROV_E_NOMEM, WHAT ": scrypt needs %lld MiB of memory",
                             (long long)(128 * sealed->n * sealed->r >> 20));
        return PROV_OK;
    }
    if (PKCS5_PBKDF2_HMAC(passphrase, (int)len, sealed->salt, (int)sealed->salt_len, (int)sealed->rounds, EVP_sha256(),
                          DERIVED_BYTES, ret) != 1) {
        ERR_clear_error();
        return psdk_fail(err, PROV_E_INTERNAL, WHAT ": OpenSSL's PBKDF2 failed");
    }
    return PROV_OK;
}

static void mac_of(const uint8_t derived[DERIVED_BYTES], const uint8_t ciphertext[32], uint8_t ret[32])
{
    struct psdk_keccak k;

    psdk_keccak_init(&k);
    psdk_keccak_add(&k, derived + 16, 16);
    psdk_keccak_add(&k, ciphertext, 32);
    psdk_keccak_final(&k, ret);
    psdk_wipe(&k, sizeof k);
}

/* AES-128-CTR; the same both ways. */
static int cipher(const uint8_t key[16], const uint8_t iv[16], const uint8_t in[32], uint8_t ret[32], prov_error *err)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int len = 0;
    bool ok = ctx != NULL && EVP_EncryptInit_ex(ctx, EVP_aes_128_ctr(), NULL, key, iv) == 1 &&
              EVP_EncryptUpdate(ctx, ret, &len, in, 32) == 1 && len == 32;

    EVP_CIPHER_CTX_free(ctx);
    if (ok)
        return PROV_OK;
    ERR_clear_error();
    return psdk_fail(err, PROV_E_INTERNAL, WHAT ": OpenSSL's AES-128-CTR failed");
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

/* A member in hex (0x allowed) of min to max bytes. */
static int get_hex(const json_t *object, const char *path, const char *key, size_t min, struct psdk_buf *ret,
                   prov_error *err)
{
    const char *text = NULL;
    size_t len;
    int rc = psdk_json_get_str(object, path, key, &text, err);

    if (rc != PROV_OK)
        return rc;
    if (strncmp(text, "0x", 2) == 0)
        text += 2;
    len = strlen(text);
    psdk_buf_clear(ret);
    if (len % 2 != 0 || len / 2 < min || len / 2 > ret->max)
        return psdk_fail(err, PROV_E_INVALID, "%s.%s: want %zu to %zu bytes in hex", path, key, min, ret->max);
    if (psdk_buf_reserve(ret, len / 2) != PROV_OK)
        return psdk_buf_check(ret, err);
    if (!psdk_unhex(text, len, ret->data, len / 2))
        return psdk_fail(err, PROV_E_INVALID, "%s.%s: want hex digits", path, key);
    ret->len = len / 2;
    return PROV_OK;
}

static int get_bytes(const json_t *object, const char *path, const char *key, uint8_t *ret, size_t len, prov_error *err)
{
    struct psdk_buf bytes = {.max = len};
    int rc = get_hex(object, path, key, len, &bytes, err);

    if (rc == PROV_OK)
        memcpy(ret, bytes.data, len);
    psdk_buf_done(&bytes);
    return rc;
}

/* Wants a member to be one text; case does not matter. */
static int get_word(const json_t *object, const char *path, const char *key, const char *word, prov_error *err)
{
    const char *text = NULL;
    int rc = psdk_json_get_str(object, path, key, &text, err);

    if (rc == PROV_OK && strcasecmp(text, word) != 0)
        rc = psdk_fail(err, PROV_E_INVALID, "%s.%s: '%.40s' is not supported, want '%s'", path, key, text, word);
    return rc;
}

static int read_scrypt(const json_t *params, const char *path, struct sealed *ret, prov_error *err)
{
    int rc = psdk_json_get_int(params, path, "n", 2, INT64_C(1) << 24, &ret->n, err);

    if (rc == PROV_OK)
        rc = psdk_json_get_int(params, path, "r", 1, 1024, &ret->r, err);
    if (rc == PROV_OK)
        rc = psdk_json_get_int(params, path, "p", 1, 1024, &ret->p, err);
    if (rc != PROV_OK)
        return rc;
    if ((ret->n & (ret->n - 1)) != 0)
        return psdk_fail(err, PROV_E_INVALID, "%s.n: want a power of two", path);
    if (128 * ret->n * ret->r > SCRYPT_MEMORY_MAX || ret->n * ret->r * ret->p > SCRYPT_WORK_MAX)
        return psdk_fail(err, PROV_E_LIMIT, "%s: n, r and p ask for too much memory or work (at most 512 MiB)", path);
    return PROV_OK;
}

static int read_kdf(const json_t *crypto, struct sealed *ret, prov_error *err)
{
    static const char path[] = WHAT ": crypto.kdfparams";
    struct psdk_buf salt = {.max = SALT_MAX};
    const json_t *params = NULL;
    const char *kdf = NULL;
    int64_t dklen = 0;
    int rc = psdk_json_get_str(crypto, WHAT ": crypto", "kdf", &kdf, err);

    if (rc == PROV_OK && strcmp(kdf, "scrypt") != 0 && strcmp(kdf, "pbkdf2") != 0)
        rc = psdk_fail(err, PROV_E_INVALID, WHAT ": crypto.kdf: '%.40s' is not supported, want scrypt or pbkdf2", kdf);
    if (rc == PROV_OK)
        rc = psdk_json_get_obj(crypto, WHAT ": crypto", "kdfparams", &params, err);
    if (rc == PROV_OK)
        rc = psdk_json_get_int(params, path, "dklen", DERIVED_BYTES, DERIVED_BYTES, &dklen, err);
    if (rc == PROV_OK)
        rc = get_hex(params, path, "salt", 0, &salt, err);
    if (rc == PROV_OK) {
        memcpy(ret->kdf, kdf, strlen(kdf) + 1);
        ret->salt_len = salt.len;
        if (salt.len > 0)
            memcpy(ret->salt, salt.data, salt.len);
        if (strcmp(kdf, "scrypt") == 0) {
            rc = read_scrypt(params, path, ret, err);
        } else {
            rc = psdk_json_get_int(params, path, "c", 1, PBKDF2_ROUNDS_MAX, &ret->rounds, err);
            if (rc == PROV_OK)
                rc = get_word(params, path, "prf", "hmac-sha256", err);
        }
    }
    psdk_buf_done(&salt);
    return rc;
}

static int read_json(const json_t *root, struct sealed *ret, prov_error *err)
{
    const json_t *crypto = NULL, *params = NULL, *address = json_object_get(root, "address");
    int64_t version = 0;
    int rc = psdk_json_get_int(root, WHAT, "version", 3, 3, &version, err);

    if (rc == PROV_OK) /* some programs write a capital C */
        rc = psdk_json_get_obj(root, WHAT, json_object_get(root, "Crypto") != NULL ? "Crypto" : "crypto", &crypto, err);
    if (rc == PROV_OK)
        rc = get_word(crypto, WHAT ": crypto", "cipher", "aes-128-ctr", err);
    if (rc == PROV_OK)
        rc = psdk_json_get_obj(crypto, WHAT ": crypto", "cipherparams", &params, err);
    if (rc == PROV_OK)
        rc = get_bytes(params, WHAT ": crypto.cipherparams", "iv", ret->iv, sizeof ret->iv, err);
    if (rc == PROV_OK)
        rc = get_bytes(crypto, WHAT ": crypto", "ciphertext", ret->ciphertext, sizeof ret->ciphertext, err);
    if (rc == PROV_OK)
        rc = get_bytes(crypto, WHAT ": crypto", "mac", ret->mac, sizeof ret->mac, err);
    if (rc == PROV_OK)
        rc = read_kdf(crypto, ret, err);
    if (rc == PROV_OK && json_is_string(address) && json_string_length(address) > 0) {
        rc = get_bytes(root, WHAT, "address", ret->address, sizeof ret->address, err);
        ret->has_address = true;
    }
    return rc;
}

static int unseal(struct pv_key *key, const struct sealed *sealed, const char *passphrase, prov_error *err)
{
    uint8_t derived[DERIVED_BYTES] = {0}, secret[32] = {0}, mac[32];
    int rc = derive(sealed, passphrase, derived, err);

    if (rc == PROV_OK) {
        mac_of(derived, sealed->ciphertext, mac);
        if (!psdk_equal(mac, sealed->mac, sizeof mac))
            rc = psdk_fail(err, PROV_E_DENIED, WHAT ": the passphrase is wrong (or the file is damaged)");
    }
    if (rc == PROV_OK)
        rc = cipher(derived, sealed->iv, sealed->ciphertext, secret, err);
    if (rc == PROV_OK)
        rc = pv_key_set_secp256k1(key, secret, err);
    if (rc == PROV_OK && sealed->has_address && memcmp(sealed->address, key->address, 20) != 0)
        rc = psdk_fail(err, PROV_E_INVALID, WHAT ": address: it does not belong to the key in the file");
    psdk_wipe(derived, sizeof derived);
    psdk_wipe(secret, sizeof secret);
    if (rc != PROV_OK)
        psdk_wipe(key->secp_secret, sizeof key->secp_secret);
    return rc;
}

int pv_keystore_parse(struct pv_key *key, const char *text, size_t len, const struct pv_passphrase *pass,
                      prov_error *err)
{
    char passphrase[PV_PASSPHRASE_MAX] = "";
    struct sealed sealed = {.n = 0};
    json_t *root = psdk_json_parse(text, len, WHAT, err);
    int rc = PROV_E_INVALID;

    if (root == NULL)
        return err != NULL && err->code != PROV_OK ? err->code : PROV_E_INVALID;
    rc = read_json(root, &sealed, err);
    if (rc == PROV_OK)
        rc = pv_key_ask(key, pass, passphrase, err);
    if (rc == PROV_OK)
        rc = unseal(key, &sealed, passphrase, err);
    psdk_wipe(passphrase, sizeof passphrase);
    json_decref(root);
    return rc;
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

static int write_json(const struct pv_key *key, const struct sealed *sealed, const uint8_t id[16], struct psdk_buf *out)
{
    psdk_buf_adds(out, "{\"address\":\"");
    psdk_buf_add_hex(out, key->address, sizeof key->address);
    psdk_buf_adds(out, "\",\"crypto\":{\"cipher\":\"aes-128-ctr\",\"cipherparams\":{\"iv\":\"");
    psdk_buf_add_hex(out, sealed->iv, sizeof sealed->iv);
    psdk_buf_adds(out, "\"},\"ciphertext\":\"");
    psdk_buf_add_hex(out, sealed->ciphertext, sizeof sealed->ciphertext);
    psdk_buf_addf(out, "\",\"kdf\":\"scrypt\",\"kdfparams\":{\"dklen\":%d,\"n\":%d,\"p\":%d,\"r\":%d,\"salt\":\"",
                  DERIVED_BYTES, WRITE_N, WRITE_P, WRITE_R);
    psdk_buf_add_hex(out, sealed->salt, sealed->salt_len);
    psdk_buf_adds(out, "\"},\"mac\":\"");
    psdk_buf_add_hex(out, sealed->mac, sizeof sealed->mac);
    psdk_buf_adds(out, "\"},\"id\":\"");
    for (size_t i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            psdk_buf_addc(out, '-');
        psdk_buf_add_hex(out, id + i, 1);
    }
    return psdk_buf_adds(out, "\",\"version\":3}\n");
}

int pv_keystore_write(const struct pv_key *key, const char *passphrase, struct psdk_buf *out, prov_error *err)
{
    struct sealed sealed = {.kdf = "scrypt", .n = WRITE_N, .r = WRITE_R, .p = WRITE_P, .salt_len = 32};
    uint8_t derived[DERIVED_BYTES] = {0}, id[16];
    int rc = psdk_random(sealed.salt, sealed.salt_len, err);

    if (rc == PROV_OK)
        rc = psdk_random(sealed.iv, sizeof sealed.iv, err);
    if (rc == PROV_OK)
        rc = psdk_random(id, sizeof id, err);
    if (rc == PROV_OK)
        rc = derive(&sealed, passphrase, derived, err);
    if (rc == PROV_OK)
        rc = cipher(derived, sealed.iv, key->secp_secret, sealed.ciphertext, err);
    if (rc == PROV_OK) {
        mac_of(derived, sealed.ciphertext, sealed.mac);
        id[6] = (uint8_t)((id[6] & 0x0f) | 0x40); /* UUID version 4 */
        id[8] = (uint8_t)((id[8] & 0x3f) | 0x80);
        if (write_json(key, &sealed, id, out) != PROV_OK)
            rc = psdk_buf_check(out, err);
    }
    psdk_wipe(derived, sizeof derived);
    return rc;
}
