/* psdk_secp256k1.c - keys, recoverable signatures and recovery over libsecp256k1.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * One context for the process lies in static memory (nothing is left behind when a plugin is unloaded). It is made
 * once, blinded with random bytes against side channels, and only read afterwards, which the library allows to many
 * threads. The library's own handlers for misuse end the process; ours do nothing, and the call then fails.
 */
#include <pthread.h>
#include <secp256k1.h>
#include <secp256k1_preallocated.h>
#include <secp256k1_recovery.h>
#include <string.h>

#include "psdk_eth.h"
#include "psdk_hash.h"
#include "psdk_sign.h"

#define CONTEXT_BYTES 1024

static pthread_once_t context_once = PTHREAD_ONCE_INIT;
static _Alignas(max_align_t) uint8_t context_memory[CONTEXT_BYTES];
static secp256k1_context *context; /* NULL when it could not be made */

static void ignore_misuse(const char *message, void *data)
{
    (void)message;
    (void)data;
}

static void context_make(void)
{
    secp256k1_context *made;
    uint8_t seed[32];

    if (secp256k1_context_preallocated_size(SECP256K1_CONTEXT_NONE) > sizeof context_memory)
        return;
    made = secp256k1_context_preallocated_create(context_memory, SECP256K1_CONTEXT_NONE);
    secp256k1_context_set_illegal_callback(made, ignore_misuse, NULL);
    secp256k1_context_set_error_callback(made, ignore_misuse, NULL);
    if (psdk_random(seed, sizeof seed, NULL) == PROV_OK && secp256k1_context_randomize(made, seed) == 1)
        context = made;
    psdk_wipe(seed, sizeof seed);
}

static const secp256k1_context *context_get(prov_error *err)
{
    pthread_once(&context_once, context_make);
    if (context == NULL)
        psdk_fail(err, PROV_E_INTERNAL,
                  "secp256k1: no context: libsecp256k1 or the random source of this system fails");
    return context;
}

bool psdk_secp256k1_valid(const uint8_t secret[32])
{
    const secp256k1_context *ctx = context_get(NULL);

    return ctx != NULL && secp256k1_ec_seckey_verify(ctx, secret) == 1;
}

int psdk_secp256k1_new(uint8_t ret_secret[32], prov_error *err)
{
    if (context_get(err) == NULL)
        return PROV_E_INTERNAL;
    do { /* a second round has a chance of 2^-128 */
        int rc = psdk_random(ret_secret, 32, err);

        if (rc != PROV_OK) {
            psdk_wipe(ret_secret, 32);
            return rc;
        }
    } while (!psdk_secp256k1_valid(ret_secret));
    return PROV_OK;
}

static int serialize(const secp256k1_context *ctx, const secp256k1_pubkey *point, uint8_t ret[64], prov_error *err)
{
    uint8_t text[65];
    size_t len = sizeof text;

    if (secp256k1_ec_pubkey_serialize(ctx, text, &len, point, SECP256K1_EC_UNCOMPRESSED) != 1 || len != sizeof text)
        return psdk_fail(err, PROV_E_INTERNAL, "secp256k1: the public key cannot be written");
    memcpy(ret, text + 1, 64);
    return PROV_OK;
}

int psdk_secp256k1_public(const uint8_t secret[32], uint8_t ret[64], prov_error *err)
{
    const secp256k1_context *ctx = context_get(err);
    secp256k1_pubkey point;

    if (ctx == NULL)
        return PROV_E_INTERNAL;
    if (secp256k1_ec_pubkey_create(ctx, &point, secret) != 1)
        return psdk_fail(err, PROV_E_INVALID, "secp256k1: a secret key must be a number from 1 to the order minus 1");
    return serialize(ctx, &point, ret, err);
}

int psdk_secp256k1_sign(const uint8_t secret[32], const uint8_t digest[32], uint8_t ret[65], prov_error *err)
{
    const secp256k1_context *ctx = context_get(err);
    secp256k1_ecdsa_recoverable_signature signature;
    int recid = -1;

    if (ctx == NULL)
        return PROV_E_INTERNAL;
    if (secp256k1_ecdsa_sign_recoverable(ctx, &signature, digest, secret, NULL, NULL) != 1)
        return psdk_fail(err, PROV_E_INVALID, "secp256k1: a secret key must be a number from 1 to the order minus 1");
    if (secp256k1_ecdsa_recoverable_signature_serialize_compact(ctx, ret, &recid, &signature) != 1)
        return psdk_fail(err, PROV_E_INTERNAL, "secp256k1: the signature cannot be written");
    if (recid != 0 && recid != 1) /* r past the order: a chance of 2^-127, which Ethereum's v cannot express */
        return psdk_fail(err, PROV_E_INTERNAL, "secp256k1: this digest cannot be signed with v 27 or 28");
    ret[64] = (uint8_t)(27 + recid);
    return PROV_OK;
}

/* s at most half of the group's order. */
static bool low_s(const uint8_t s[32])
{
    static const uint8_t half_order[32] = {0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                           0xff, 0xff, 0xff, 0xff, 0xff, 0x5d, 0x57, 0x6e, 0x73, 0x57, 0xa4,
                                           0x50, 0x1d, 0xdf, 0xe9, 0x2f, 0x46, 0x68, 0x1b, 0x20, 0xa0};

    return memcmp(s, half_order, sizeof half_order) <= 0;
}

int psdk_secp256k1_recover(const uint8_t digest[32], const uint8_t signature[65], uint8_t ret_public[64],
                           prov_error *err)
{
    const secp256k1_context *ctx = context_get(err);
    secp256k1_ecdsa_recoverable_signature parsed;
    secp256k1_pubkey point;
    int recid = signature[64] >= 27 ? signature[64] - 27 : signature[64];

    if (ctx == NULL)
        return PROV_E_INTERNAL;
    if (recid != 0 && recid != 1)
        return psdk_fail(err, PROV_E_INVALID, "secp256k1: v is %u, want 0, 1, 27 or 28", (unsigned)signature[64]);
    if (!low_s(signature + 32))
        return psdk_fail(err, PROV_E_INVALID, "secp256k1: s is in the upper half of the order (malleable signature)");
    if (secp256k1_ecdsa_recoverable_signature_parse_compact(ctx, &parsed, signature, recid) != 1)
        return psdk_fail(err, PROV_E_INVALID, "secp256k1: r or s is out of range");
    if (secp256k1_ecdsa_recover(ctx, &point, &parsed, digest) != 1)
        return psdk_fail(err, PROV_E_INVALID, "secp256k1: no public key belongs to this signature and digest");
    return serialize(ctx, &point, ret_public, err);
}
