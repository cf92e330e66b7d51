/* pv_key.c - keys in memory: making, reading from text, public halves.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "pv_key.h"

#include <string.h>

#include "psdk_eth.h"
#include "psdk_hash.h"
#include "pv_key_impl.h"

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

bool pv_key_name_ok(const char *name)
{
    static const char first[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    size_t len = strnlen(name, PV_KEY_NAME_MAX);

    return len > 0 && len < PV_KEY_NAME_MAX && strchr(first, name[0]) != NULL &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789._-") == len;
}

static int set_name(struct pv_key *key, const char *name, prov_error *err)
{
    memset(key, 0, sizeof *key);
    if (name == NULL)
        return PROV_OK;
    if (!pv_key_name_ok(name))
        return psdk_fail(err, PROV_E_INVALID,
                         "'%.80s' cannot be a key's name: want 1 to 63 of a-z 0-9 . _ - and a letter or digit first",
                         name);
    memcpy(key->name, name, strlen(name) + 1);
    return PROV_OK;
}

int pv_key_set_ed25519(struct pv_key *key, const uint8_t seed[32], prov_error *err)
{
    struct psdk_ed25519 pair = {.pkey = NULL};
    int rc = psdk_ed25519_from_seed(&pair, seed, err);

    if (rc != PROV_OK)
        return rc;
    key->ed = pair; /* moved */
    key->algorithm = PV_KEY_ED25519;
    return PROV_OK;
}

int pv_key_set_secp256k1(struct pv_key *key, const uint8_t secret[32], prov_error *err)
{
    uint8_t public_key[64];
    int rc = psdk_secp256k1_public(secret, public_key, err);

    if (rc != PROV_OK)
        return rc;
    memcpy(key->secp_secret, secret, 32);
    memcpy(key->secp_public, public_key, 64);
    psdk_eth_address(public_key, key->address);
    key->algorithm = PV_KEY_SECP256K1;
    return PROV_OK;
}

int pv_key_new(struct pv_key *key, const char *name, int algorithm, prov_error *err)
{
    uint8_t secret[32] = {0};
    int rc = set_name(key, name, err);

    if (rc != PROV_OK)
        return rc;
    if (algorithm == PV_KEY_ED25519) {
        rc = psdk_random(secret, sizeof secret, err);
        if (rc == PROV_OK)
            rc = pv_key_set_ed25519(key, secret, err);
    } else if (algorithm == PV_KEY_SECP256K1) {
        rc = psdk_secp256k1_new(secret, err);
        if (rc == PROV_OK)
            rc = pv_key_set_secp256k1(key, secret, err);
    } else {
        rc = psdk_fail(err, PROV_E_INVALID, "unknown key algorithm %d", algorithm);
    }
    psdk_wipe(secret, sizeof secret);
    if (rc != PROV_OK)
        pv_key_done(key);
    return rc;
}

void pv_key_done(struct pv_key *key)
{
    if (key == NULL)
        return;
    psdk_ed25519_done(&key->ed);
    psdk_wipe(key, sizeof *key);
}

int pv_key_ask(const struct pv_key *key, const struct pv_passphrase *pass, char *ret, prov_error *err)
{
    int rc;

    if (pass == NULL || pass->ask == NULL)
        return psdk_fail(err, PROV_E_DENIED, "the key is encrypted and no passphrase was given");
    memset(ret, 0, PV_PASSPHRASE_MAX);
    rc = pass->ask(pass->ctx, key->name, ret, PV_PASSPHRASE_MAX, err);
    if (rc == PROV_OK && memchr(ret, '\0', PV_PASSPHRASE_MAX) == NULL)
        rc = psdk_fail(err, PROV_E_LIMIT, "the passphrase is longer than %d bytes", PV_PASSPHRASE_MAX - 1);
    if (rc != PROV_OK)
        psdk_wipe(ret, PV_PASSPHRASE_MAX);
    return rc;
}

/* One line of 64 hex digits, with or without 0x. */
static int parse_hex(struct pv_key *key, const char *text, size_t len, prov_error *err)
{
    uint8_t secret[32];
    int rc;

    if (len >= 2 && text[0] == '0' && text[1] == 'x') {
        text += 2;
        len -= 2;
    }
    if (!psdk_unhex(text, len, secret, sizeof secret)) {
        psdk_wipe(secret, sizeof secret);
        return psdk_fail(err, PROV_E_INVALID,
                         "not a private key: want PKCS#8 PEM, 64 hex digits, a keystore v3 or an OpenSSH private key");
    }
    rc = pv_key_set_secp256k1(key, secret, err);
    psdk_wipe(secret, sizeof secret);
    return rc;
}

/* By the first characters; text is trimmed. */
static int parse_trimmed(struct pv_key *key, const char *text, size_t len, const struct pv_passphrase *pass,
                         prov_error *err)
{
    if (len == 0)
        return psdk_fail(err, PROV_E_INVALID, "the private key is empty");
    if (memchr(text, '\0', len) != NULL)
        return psdk_fail(err, PROV_E_INVALID, "not a private key in text: it has NUL bytes (DER? convert it with"
                                              " openssl pkey -inform DER)");
    if (text[0] == '{')
        return pv_keystore_parse(key, text, len, pass, err);
    if (memmem(text, len, "-----BEGIN ", 11) != NULL)
        return pv_key_parse_pem(key, text, len, pass, err);
    return parse_hex(key, text, len, err);
}

int pv_key_parse(struct pv_key *key, const char *text, size_t len, const char *name, const struct pv_passphrase *pass,
                 prov_error *err)
{
    int rc = set_name(key, name, err);

    if (rc == PROV_OK && len > PV_KEY_FILE_MAX)
        rc = psdk_fail(err, PROV_E_LIMIT, "%zu bytes are too many for a private key (at most %zu)", len,
                       PV_KEY_FILE_MAX);
    if (rc == PROV_OK) {
        while (len > 0 && is_space(text[len - 1]))
            len--;
        for (; len > 0 && is_space(*text); len--)
            text++;
        rc = parse_trimmed(key, text, len, pass, err);
    }
    if (rc != PROV_OK)
        pv_key_done(key);
    return rc;
}

int pv_key_public_text(const struct pv_key *key, struct psdk_buf *out)
{
    char address[43];

    if (key->algorithm == PV_KEY_SECP256K1) {
        psdk_eth_address_format(key->address, address);
        return psdk_buf_adds(out, address);
    }
    if (key->algorithm != PV_KEY_ED25519)
        return PROV_E_INVALID;
    psdk_buf_adds(out, "ed25519:");
    return psdk_buf_add_hex(out, key->ed.public_key, sizeof key->ed.public_key);
}
