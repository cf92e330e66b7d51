/* psdk_sign.c - Ed25519 over OpenSSL's EVP.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * OpenSSL compares the recomputed R with the signature's bytes and refuses S >= L, so those two are canonical by its
 * own rules. It accepts public keys of small order, for which anybody can make "signatures" of any message, and
 * encodings of y beyond the field's prime: both are refused here before OpenSSL sees them.
 */
#include "psdk_sign.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <string.h>

#include "psdk_hash.h"

#define SIGNATURE_BYTES 64

/* The y coordinates (little-endian, sign bit cleared) of the eight points whose order divides 8. */
static const uint8_t small_order[][32] = {
    /* y = 0, order 4 */
    {0},
    /* y = 1, the neutral element */
    {1},
    /* y = -1, order 2 */
    {0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
     0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
    /* order 8, two values of y that are each other's negative */
    {0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
     0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05},
    {0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
     0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a},
};

void psdk_wipe(void *data, size_t len)
{
    if (data != NULL && len > 0)
        OPENSSL_cleanse(data, len);
}

/* The reason of OpenSSL's last error, and an empty error queue. */
static int fail_openssl(prov_error *err, const char *what)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    int rc = psdk_fail(err, PROV_E_INTERNAL, "Ed25519: %s: OpenSSL: %s", what, reason ? reason : "no reason given");

    ERR_clear_error();
    return rc;
}

/* y >= p = 2^255 - 19, in little-endian: bytes 1 to 30 all ff, byte 31 7f, byte 0 at least ed. */
static bool beyond_prime(const uint8_t y[32])
{
    if (y[31] != 0x7f || y[0] < 0xed)
        return false;
    for (int i = 1; i < 31; i++)
        if (y[i] != 0xff)
            return false;
    return true;
}

static bool point_refused(const uint8_t encoded[32])
{
    uint8_t y[32];

    memcpy(y, encoded, sizeof y);
    y[31] &= 0x7f;
    if (beyond_prime(y))
        return true;
    for (size_t i = 0; i < sizeof small_order / sizeof small_order[0]; i++)
        if (memcmp(y, small_order[i], sizeof y) == 0)
            return true;
    return false;
}

int psdk_ed25519_from_seed(struct psdk_ed25519 *key, const uint8_t seed[32], prov_error *err)
{
    size_t len = sizeof key->public_key;
    EVP_PKEY *pkey = NULL;
    int rc;

    memset(key, 0, sizeof *key);
    pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, 32);
    if (pkey == NULL)
        return fail_openssl(err, "loading a secret key");
    if (EVP_PKEY_get_raw_public_key(pkey, key->public_key, &len) != 1 || len != sizeof key->public_key) {
        rc = fail_openssl(err, "deriving the public key");
        goto out;
    }
    key->pkey = pkey;
    pkey = NULL;
    rc = PROV_OK;
out:
    EVP_PKEY_free(pkey);
    return rc;
}

int psdk_ed25519_new(struct psdk_ed25519 *key, prov_error *err)
{
    uint8_t seed[32];
    int rc;

    memset(key, 0, sizeof *key);
    rc = psdk_random(seed, sizeof seed, err);
    if (rc == PROV_OK)
        rc = psdk_ed25519_from_seed(key, seed, err);
    psdk_wipe(seed, sizeof seed);
    return rc;
}

int psdk_ed25519_seed(const struct psdk_ed25519 *key, uint8_t ret_seed[32], prov_error *err)
{
    size_t len = 32;

    if (key->pkey == NULL)
        return psdk_fail(err, PROV_E_INVALID, "Ed25519: this key has no secret half");
    if (EVP_PKEY_get_raw_private_key(key->pkey, ret_seed, &len) != 1 || len != 32) {
        psdk_wipe(ret_seed, 32);
        return fail_openssl(err, "reading the secret key");
    }
    return PROV_OK;
}

void psdk_ed25519_done(struct psdk_ed25519 *key)
{
    if (key == NULL)
        return;
    EVP_PKEY_free(key->pkey); /* OpenSSL wipes the secret half */
    psdk_wipe(key, sizeof *key);
}

int psdk_ed25519_sign(const struct psdk_ed25519 *key, const void *data, size_t len, uint8_t ret[64], prov_error *err)
{
    EVP_MD_CTX *ctx = NULL;
    size_t ret_len = SIGNATURE_BYTES;
    int rc = PROV_OK;

    if (key->pkey == NULL)
        return psdk_fail(err, PROV_E_INVALID, "Ed25519: this key has no secret half, it cannot sign");
    ctx = EVP_MD_CTX_new();
    if (ctx == NULL)
        return psdk_fail(err, PROV_E_NOMEM, "Ed25519: out of memory");
    if (EVP_DigestSignInit(ctx, NULL, NULL, NULL, key->pkey) != 1 ||
        EVP_DigestSign(ctx, ret, &ret_len, data != NULL ? data : (const void *)"", len) != 1 ||
        ret_len != SIGNATURE_BYTES)
        rc = fail_openssl(err, "signing");
    EVP_MD_CTX_free(ctx);
    return rc;
}

bool psdk_ed25519_verify(const uint8_t public_key[32], const void *data, size_t len, const uint8_t signature[64])
{
    EVP_MD_CTX *ctx = NULL;
    EVP_PKEY *pkey = NULL;
    bool ok = false;

    if (point_refused(public_key) || point_refused(signature))
        return false;
    ERR_set_mark();
    pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public_key, 32);
    ctx = EVP_MD_CTX_new();
    ok = pkey != NULL && ctx != NULL && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, pkey) == 1 &&
         EVP_DigestVerify(ctx, signature, SIGNATURE_BYTES, data != NULL ? data : (const void *)"", len) == 1;
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(pkey);
    ERR_pop_to_mark();
    return ok;
}

void psdk_key_id(const uint8_t public_key[32], char ret[PSDK_KEYID_HEX])
{
    uint8_t digest[32];

    psdk_sha256(public_key, 32, digest);
    psdk_hex(digest, (PSDK_KEYID_HEX - 1) / 2, ret);
}
