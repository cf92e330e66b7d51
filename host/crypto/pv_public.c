/* pv_public.c - public keys as users write them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <string.h>

#include "psdk_file.h"
#include "psdk_hash.h"
#include "pv_key_impl.h"

#define HASH_DIGITS 8
#define TYPE_ED25519 1

/* SEQUENCE { SEQUENCE { OID 1.3.101.112 }, BIT STRING (32 bytes follow) } */
static const uint8_t der_head[12] = {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};

/* The digits of NAME+HHHHHHHH+BASE64, or NULL when text does not have that shape. */
static const char *verifier_hash(const char *text, size_t len)
{
    const char *plus = memchr(text, '+', len);
    size_t left = plus != NULL ? len - (size_t)(plus - text) : 0;
    uint8_t hash[4];

    if (left < HASH_DIGITS + 2 || plus[1 + HASH_DIGITS] != '+' || !psdk_unhex(plus + 1, HASH_DIGITS, hash, sizeof hash))
        return NULL;
    return plus + 1;
}

/* Names have no white space, no control characters and no '+' (that one was split at). */
static bool name_ok(const char *name, size_t len)
{
    if (len == 0 || len >= PV_TRUST_NAME)
        return false;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)name[i] <= ' ' || name[i] == 0x7f)
            return false;
    return true;
}

static int parse_verifier(const char *text, size_t len, char *ret_name, uint8_t ret_public[32], prov_error *err)
{
    const char *digits = verifier_hash(text, len), *base64 = digits + HASH_DIGITS + 1;
    size_t name_len = (size_t)(digits - 1 - text), base64_len = len - (size_t)(base64 - text);
    uint8_t body[PV_TRUST_NAME + 34], hash[4], digest[32], *key = body + name_len + 1;

    if (!name_ok(text, name_len))
        return psdk_fail(err, PROV_E_INVALID,
                         "verifier key: its name must have 1 to %d characters, none of them a space",
                         PV_TRUST_NAME - 1);
    memcpy(body, text, name_len);
    body[name_len] = '\n';
    if (psdk_unbase64(base64, base64_len, key, 33) != 33)
        return psdk_fail(err, PROV_E_INVALID, "verifier key '%.*s': want 33 bytes in base64 at its end", (int)name_len,
                         text);
    if (key[0] != TYPE_ED25519)
        return psdk_fail(err, PROV_E_INVALID, "verifier key '%.*s': type %u, want 1 (an Ed25519 key that signs notes)",
                         (int)name_len, text, (unsigned)key[0]);
    psdk_unhex(digits, HASH_DIGITS, hash, sizeof hash);
    psdk_sha256(body, name_len + 1 + 33, digest);
    if (memcmp(hash, digest, sizeof hash) != 0)
        return psdk_fail(err, PROV_E_INVALID,
                         "verifier key '%.*s': its hash is %.8s, want %02x%02x%02x%02x: it was changed"
                         " or mistyped",
                         (int)name_len, text, digits, digest[0], digest[1], digest[2], digest[3]);
    memcpy(ret_name, text, name_len);
    ret_name[name_len] = '\0';
    memcpy(ret_public, key + 1, 32);
    return PROV_OK;
}

static int parse_pem(const char *text, size_t len, uint8_t ret_public[32], prov_error *err)
{
    struct psdk_buf der = {0};
    int rc;

    if (!pv_pem_find(text, len, "PUBLIC KEY") && memmem(text, len, "PRIVATE KEY-----", 16) != NULL)
        return psdk_fail(err, PROV_E_INVALID, "PEM: this is a private key, want the public one (the .pub file)");
    rc = pv_pem_decode(text, len, "PUBLIC KEY", &der, err);
    if (rc == PROV_OK && (der.len != sizeof der_head + 32 || memcmp(der.data, der_head, sizeof der_head) != 0))
        rc = psdk_fail(err, PROV_E_INVALID, "PEM: the public key is not an Ed25519 key");
    if (rc == PROV_OK)
        memcpy(ret_public, der.data + sizeof der_head, 32);
    psdk_buf_wipe(&der);
    return rc;
}

/* All forms but the path. PROV_E_NOT_FOUND (err untouched): none of them. */
static int parse_text(const char *text, size_t len, char *ret_name, uint8_t ret_public[32], prov_error *err)
{
    static const char prefix[] = "ed25519:";

    while (len > 0 && strchr(" \t\r\n", text[len - 1]) != NULL)
        len--;
    for (; len > 0 && strchr(" \t\r\n", *text) != NULL; len--)
        text++;
    if (len >= sizeof prefix - 1 && memcmp(text, prefix, sizeof prefix - 1) == 0) {
        if (!psdk_unhex(text + sizeof prefix - 1, len - (sizeof prefix - 1), ret_public, 32))
            return psdk_fail(err, PROV_E_INVALID, "public key: want 64 hex digits after 'ed25519:'");
        return PROV_OK;
    }
    if (len == 64 && psdk_unhex(text, len, ret_public, 32))
        return PROV_OK;
    if (memmem(text, len, "-----BEGIN ", 11) != NULL)
        return parse_pem(text, len, ret_public, err);
    if (verifier_hash(text, len) != NULL)
        return parse_verifier(text, len, ret_name, ret_public, err);
    return PROV_E_NOT_FOUND;
}

int pv_public_parse(const char *text, char *ret_name, uint8_t ret_public[32], prov_error *err)
{
    static const char forms[] = "want NAME+HASH+BASE64, ed25519:HEX, 64 hex digits, PEM, or a file with one of these";
    struct psdk_buf file = {0};
    int rc;

    ret_name[0] = '\0';
    rc = parse_text(text, strlen(text), ret_name, ret_public, err);
    if (rc != PROV_E_NOT_FOUND)
        return rc;
    if (text[0] == '\0' || strchr(text, '\n') != NULL)
        return psdk_fail(err, PROV_E_INVALID, "not a public key: %s", forms);
    rc = psdk_read_file(text, PV_KEY_FILE_MAX, &file, err);
    if (rc == PROV_E_NOT_FOUND) {
        rc = psdk_fail(err, rc, "'%.200s' is neither a public key nor a file: %s", text, forms);
    } else if (rc == PROV_OK) {
        rc = parse_text(psdk_buf_str(&file), file.len, ret_name, ret_public, err);
        if (rc == PROV_E_NOT_FOUND)
            rc = psdk_fail(err, PROV_E_INVALID, "'%.200s' holds no public key: %s", text, forms);
        else if (rc != PROV_OK)
            psdk_wrap(err, "'%.200s'", text);
    }
    psdk_buf_wipe(&file);
    return rc;
}
