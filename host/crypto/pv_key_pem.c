/* pv_key_pem.c - Ed25519 keys in PEM: PKCS#8 (RFC 5958, RFC 8410), plain and encrypted, and OpenSSH's private keys.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The DER of an Ed25519 key is one fixed shape of at most 83 bytes. It is read and written here, byte by byte, so that
 * no copy of the secret stays in a decoder's memory; OpenSSL is asked for the encryption around it.
 */
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pkcs12.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

#include "psdk_hash.h"
#include "pv_key_impl.h"

#define PLAIN "PRIVATE KEY"
#define ENCRYPTED "ENCRYPTED PRIVATE KEY"
#define OPENSSH "OPENSSH PRIVATE KEY"
#define PUBLIC "PUBLIC KEY"
#define LINE_DIGITS 64
/* scrypt for new files: what OpenSSL's own memory limit (32 MiB) lets `openssl pkey` read, five times its default work
 */
#define SCRYPT_N 16384
#define SCRYPT_R 8
#define SCRYPT_P 5

/* SEQUENCE { version 0, SEQUENCE { OID 1.3.101.112 }, OCTET STRING { OCTET STRING (32 bytes follow) } } */
static const uint8_t der_head[16] = {0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06,
                                     0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20};
/* SEQUENCE { SEQUENCE { OID 1.3.101.112 }, BIT STRING (32 bytes follow) } */
static const uint8_t der_public_head[12] = {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};

/* ---- PEM --------------------------------------------------------------------------------------------------------- */

/* Finds "-----WORD LABEL-----". */
static const char *find_line(const char *text, size_t len, const char *word, const char *label)
{
    char line[96];
    int line_len = snprintf(line, sizeof line, "-----%s %s-----", word, label);

    return memmem(text, len, line, (size_t)line_len);
}

bool pv_pem_find(const char *text, size_t len, const char *label)
{
    return find_line(text, len, "BEGIN", label) != NULL;
}

int pv_pem_decode(const char *text, size_t len, const char *label, struct psdk_buf *ret, prov_error *err)
{
    struct psdk_buf digits = {0};
    const char *begin = find_line(text, len, "BEGIN", label), *end;
    long found = -1;
    int rc;

    if (begin == NULL)
        return psdk_fail(err, PROV_E_INVALID, "PEM: no '-----BEGIN %s-----'", label);
    begin += strlen("-----BEGIN -----") + strlen(label);
    end = find_line(begin, (size_t)(text + len - begin), "END", label);
    if (end == NULL)
        return psdk_fail(err, PROV_E_INVALID, "PEM: cut off: no '-----END %s-----'", label);
    psdk_buf_reserve(&digits, (size_t)(end - begin));
    for (const char *c = begin; c < end; c++)
        if (*c != '\n' && *c != '\r' && *c != ' ' && *c != '\t')
            psdk_buf_addc(&digits, *c);
    psdk_buf_reserve(ret, digits.len);
    rc = digits.failed != 0 ? psdk_buf_check(&digits, err) : psdk_buf_check(ret, err);
    if (rc == PROV_OK) {
        found = psdk_unbase64(psdk_buf_str(&digits), digits.len, ret->data + ret->len, digits.len);
        if (found <= 0)
            rc = psdk_fail(err, PROV_E_INVALID, "PEM: '%s' has text that is not base64", label);
        else
            ret->len += (size_t)found;
    }
    psdk_buf_wipe(&digits);
    return rc;
}

static int pem_write(const char *label, const uint8_t *der, size_t len, struct psdk_buf *out)
{
    struct psdk_buf digits = {0};
    int rc;

    psdk_buf_reserve(&digits, 4 * ((len + 2) / 3));
    psdk_buf_add_base64(&digits, der, len);
    psdk_buf_reserve(out, 2 * (strlen(label) + 20) + digits.len + digits.len / LINE_DIGITS + 1);
    psdk_buf_addf(out, "-----BEGIN %s-----\n", label);
    for (size_t at = 0; at < digits.len; at += LINE_DIGITS) {
        psdk_buf_add(out, digits.data + at, digits.len - at < LINE_DIGITS ? digits.len - at : LINE_DIGITS);
        psdk_buf_addc(out, '\n');
    }
    rc = psdk_buf_addf(out, "-----END %s-----\n", label);
    rc = digits.failed != 0 ? digits.failed : rc;
    psdk_buf_wipe(&digits);
    return rc;
}

/* ---- PKCS#8 ------------------------------------------------------------------------------------------------------ */

/* Says what is in a PKCS#8 structure that is not an Ed25519 key of the usual shape. */
static int fail_der(const uint8_t *der, size_t len, prov_error *err)
{
    const unsigned char *at = der;
    PKCS8_PRIV_KEY_INFO *info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &at, (long)len);
    const ASN1_OBJECT *algorithm = NULL;
    int rc;

    if (info != NULL && PKCS8_pkey_get0(&algorithm, NULL, NULL, NULL, info) == 1 &&
        OBJ_obj2nid(algorithm) != NID_ED25519)
        rc = psdk_fail(err, PROV_E_INVALID,
                       "PEM: this is a key for %s, want one for Ed25519"
                       " (openssl genpkey -algorithm ed25519)",
                       OBJ_nid2sn(OBJ_obj2nid(algorithm)));
    else
        rc = psdk_fail(err, PROV_E_INVALID, "PEM: the private key is malformed or cut off");
    PKCS8_PRIV_KEY_INFO_free(info); /* wipes its copy of the secret */
    ERR_clear_error();
    return rc;
}

/* Version 1 may end in attributes [0], which are ignored; version 2 has the public key [1], which must be the right
 * one. */
static int parse_der(struct pv_key *key, const uint8_t *der, size_t len, prov_error *err)
{
    static const uint8_t public_head[3] = {0x81, 0x21, 0x00};
    size_t at = sizeof der_head + 32;
    const uint8_t *public_key = NULL;
    int rc;

    if (len < at || len > 127 || der[0] != der_head[0] || der[1] != len - 2 || memcmp(der + 2, der_head + 2, 2) != 0 ||
        der[4] > 1 || memcmp(der + 5, der_head + 5, sizeof der_head - 5) != 0)
        return fail_der(der, len, err);
    if (at + 2 <= len && der[at] == 0xa0) {
        if (der[at + 1] > len - at - 2)
            return fail_der(der, len, err);
        at += 2 + (size_t)der[at + 1];
    }
    if (at < len && der[4] == 1 && len - at == sizeof public_head + 32 && memcmp(der + at, public_head, 3) == 0) {
        public_key = der + at + sizeof public_head;
        at = len;
    }
    if (at != len)
        return fail_der(der, len, err);
    rc = pv_key_set_ed25519(key, der + sizeof der_head, err);
    if (rc == PROV_OK && public_key != NULL && memcmp(public_key, key->ed.public_key, 32) != 0) {
        psdk_ed25519_done(&key->ed);
        rc = psdk_fail(err, PROV_E_INVALID, "PEM: the file's public key does not belong to its private key");
    }
    return rc;
}

static int parse_encrypted(struct pv_key *key, const uint8_t *der, size_t len, const struct pv_passphrase *pass,
                           prov_error *err)
{
    char passphrase[PV_PASSPHRASE_MAX] = "";
    const unsigned char *at = der;
    X509_SIG *sealed = d2i_X509_SIG(NULL, &at, (long)len);
    const X509_ALGOR *algorithm = NULL;
    const ASN1_OCTET_STRING *cipher = NULL;
    unsigned char *plain = NULL;
    int plain_len = 0, rc;

    if (sealed == NULL || at != der + len) {
        rc = psdk_fail(err, PROV_E_INVALID, "PEM: the encrypted private key is malformed or cut off");
        goto out;
    }
    rc = pv_key_ask(key, pass, passphrase, err);
    if (rc != PROV_OK)
        goto out;
    X509_SIG_get0(sealed, &algorithm, &cipher);
    plain = PKCS12_pbe_crypt(algorithm, passphrase, (int)strlen(passphrase), ASN1_STRING_get0_data(cipher),
                             ASN1_STRING_length(cipher), &plain, &plain_len, 0);
    if (plain == NULL) {
        rc = psdk_fail(err, PROV_E_DENIED, "PEM: the passphrase is wrong (or the file is damaged, or encrypted in a way"
                                           " that this OpenSSL does not know)");
        goto out;
    }
    rc = parse_der(key, plain, (size_t)plain_len, err);
    /* the padding of a wrong passphrase is right once in 256 times; what comes out is then no DER */
    if (rc == PROV_E_INVALID && (plain_len < 1 || plain[0] != 0x30))
        rc = psdk_fail(err, PROV_E_DENIED, "PEM: the passphrase is wrong (or the file is damaged)");
out:
    OPENSSL_clear_free(plain, (size_t)plain_len);
    psdk_wipe(passphrase, sizeof passphrase);
    X509_SIG_free(sealed);
    ERR_clear_error();
    return rc;
}

int pv_key_parse_pem(struct pv_key *key, const char *text, size_t len, const struct pv_passphrase *pass,
                     prov_error *err)
{
    static const char *const labels[] = {PLAIN, ENCRYPTED, OPENSSH};
    struct psdk_buf der = {0};
    size_t which = 0;
    int rc;

    while (which < 3 && !pv_pem_find(text, len, labels[which]))
        which++;
    if (which == 3 && pv_pem_find(text, len, PUBLIC))
        return psdk_fail(err, PROV_E_INVALID, "PEM: this is a public key, want a private one");
    if (which == 3)
        return psdk_fail(err, PROV_E_INVALID,
                         "PEM: want 'PRIVATE KEY', 'ENCRYPTED PRIVATE KEY' or 'OPENSSH PRIVATE KEY'"
                         " (openssl pkcs8 -topk8 converts older forms)");
    rc = pv_pem_decode(text, len, labels[which], &der, err);
    if (rc == PROV_OK)
        rc = which == 0   ? parse_der(key, der.data, der.len, err)
             : which == 1 ? parse_encrypted(key, der.data, der.len, pass, err)
                          : pv_key_parse_openssh(key, der.data, der.len, err);
    psdk_buf_wipe(&der);
    return rc;
}

/* Appends the EncryptedPrivateKeyInfo (PBES2: scrypt, AES-256-CBC). */
static int write_encrypted(const struct pv_key *key, const char *passphrase, struct psdk_buf *out, prov_error *err)
{
    PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key->ed.pkey);
    X509_ALGOR *algorithm = PKCS5_pbe2_set_scrypt(EVP_aes_256_cbc(), NULL, 16, NULL, SCRYPT_N, SCRYPT_R, SCRYPT_P);
    X509_SIG *sealed = NULL;
    unsigned char *der = NULL;
    int der_len = -1, rc = PROV_OK;

    if (info != NULL && algorithm != NULL) {
        sealed = PKCS8_set0_pbe(passphrase, (int)strlen(passphrase), info, algorithm);
        if (sealed != NULL)
            algorithm = NULL; /* moved */
    }
    if (sealed != NULL)
        der_len = i2d_X509_SIG(sealed, &der);
    if (der_len <= 0)
        rc = psdk_fail(err, PROV_E_INTERNAL, "PEM: OpenSSL cannot encrypt the private key");
    else if (pem_write(ENCRYPTED, der, (size_t)der_len, out) != PROV_OK)
        rc = psdk_fail(err, PROV_E_NOMEM, "out of memory");
    OPENSSL_free(der);
    X509_SIG_free(sealed);
    X509_ALGOR_free(algorithm);
    PKCS8_PRIV_KEY_INFO_free(info);
    ERR_clear_error();
    return rc;
}

int pv_key_write_pem(const struct pv_key *key, const char *passphrase, struct psdk_buf *out, prov_error *err)
{
    uint8_t der[sizeof der_head + 32];
    int rc;

    if (key->ed.pkey == NULL)
        return psdk_fail(err, PROV_E_INVALID, "the key has no secret half");
    if (passphrase != NULL)
        return write_encrypted(key, passphrase, out, err);
    memcpy(der, der_head, sizeof der_head);
    rc = psdk_ed25519_seed(&key->ed, der + sizeof der_head, err);
    if (rc == PROV_OK && pem_write(PLAIN, der, sizeof der, out) != PROV_OK)
        rc = psdk_fail(err, PROV_E_NOMEM, "out of memory");
    psdk_wipe(der, sizeof der);
    return rc;
}

int pv_key_write_public_pem(const uint8_t public_key[32], struct psdk_buf *out)
{
    uint8_t der[sizeof der_public_head + 32];

    memcpy(der, der_public_head, sizeof der_public_head);
    memcpy(der + sizeof der_public_head, public_key, 32);
    return pem_write(PUBLIC, der, sizeof der, out);
}

/* ---- OpenSSH (PROTOCOL.key) -------------------------------------------------------------------------------------- */

struct cursor {
    const uint8_t *at;
    size_t left;
    bool failed;
};

static uint32_t take_u32(struct cursor *in)
{
    uint32_t value;

    if (in->failed || in->left < 4) {
        in->failed = true;
        return 0;
    }
    value = (uint32_t)in->at[0] << 24 | (uint32_t)in->at[1] << 16 | (uint32_t)in->at[2] << 8 | in->at[3];
    in->at += 4;
    in->left -= 4;
    return value;
}

static struct cursor take_string(struct cursor *in)
{
    struct cursor part = {in->at, take_u32(in), false};

    if (in->failed || part.left > in->left) {
        in->failed = true;
        return (struct cursor){in->at, 0, true};
    }
    part.at = in->at;
    in->at += part.left;
    in->left -= part.left;
    return part;
}

static bool equals(const struct cursor *part, const char *text)
{
    return !part->failed && part->left == strlen(text) && memcmp(part->at, text, part->left) == 0;
}

int pv_key_parse_openssh(struct pv_key *key, const uint8_t *data, size_t len, prov_error *err)
{
    static const char magic[] = "openssh-key-v1"; /* its NUL belongs to it */
    struct cursor in = {data, len, false}, cipher, secret, type, public_key, pair;
    uint32_t check;
    int rc;

    if (len < sizeof magic || memcmp(data, magic, sizeof magic) != 0)
        return psdk_fail(err, PROV_E_INVALID, "OpenSSH private key: not of version 1");
    in.at += sizeof magic;
    in.left -= sizeof magic;
    cipher = take_string(&in);
    take_string(&in); /* kdf */
    take_string(&in); /* its options */
    if (!in.failed && !equals(&cipher, "none"))
        return psdk_fail(err, PROV_E_INVALID, "OpenSSH private key: encrypted: decrypt a copy with"
                                              " ssh-keygen -p -N '' -f COPY and import that");
    if (!in.failed && take_u32(&in) != 1)
        return psdk_fail(err, PROV_E_INVALID, "OpenSSH private key: want exactly one key in the file");
    take_string(&in); /* the public key again */
    secret = take_string(&in);
    check = take_u32(&secret);
    if (take_u32(&secret) != check || in.failed || in.left != 0)
        return psdk_fail(err, PROV_E_INVALID, "OpenSSH private key: malformed or cut off");
    type = take_string(&secret);
    if (!type.failed && !equals(&type, "ssh-ed25519"))
        return psdk_fail(err, PROV_E_INVALID, "OpenSSH private key: not an Ed25519 key (ssh-keygen -t ed25519)");
    public_key = take_string(&secret);
    pair = take_string(&secret);
    take_string(&secret); /* comment; padding follows */
    if (secret.failed || public_key.left != 32 || pair.left != 64 || memcmp(pair.at + 32, public_key.at, 32) != 0)
        return psdk_fail(err, PROV_E_INVALID, "OpenSSH private key: malformed or cut off");
    rc = pv_key_set_ed25519(key, pair.at, err);
    if (rc == PROV_OK && memcmp(key->ed.public_key, public_key.at, 32) != 0) {
        psdk_ed25519_done(&key->ed);
        rc = psdk_fail(err, PROV_E_INVALID, "OpenSSH private key: its public key does not belong to its private key");
    }
    return rc;
}
