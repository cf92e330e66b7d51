/* psdk_keccak.c - Keccak-256 over nettle's permutation.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Ethereum's hash is Keccak as submitted to the SHA-3 contest: the padding starts with 0x01 where FIPS 202 has 0x06, so
 * that neither OpenSSL's nor nettle's SHA3-256 gives it. The permutation is the same.
 */
#include <nettle/sha3.h>
#include <string.h>

#include "psdk_eth.h"

#define RATE_BYTES 136
#define RATE_WORDS (RATE_BYTES / 8)

_Static_assert(sizeof(struct sha3_state) == sizeof(((struct psdk_keccak *)0)->state), "nettle's state is 25 words");
_Static_assert(sizeof(((struct psdk_keccak *)0)->block) == RATE_BYTES, "one block is one rate");

static uint64_t load_le(const uint8_t *p)
{
    uint64_t word;

    memcpy(&word, p, sizeof word);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

static void absorb(uint64_t state[25], const uint8_t *block)
{
    for (size_t i = 0; i < RATE_WORDS; i++)
        state[i] ^= load_le(block + 8 * i);
    sha3_permute((struct sha3_state *)(void *)state);
}

void psdk_keccak_init(struct psdk_keccak *k)
{
    memset(k->state, 0, sizeof k->state);
    k->used = 0;
}

void psdk_keccak_add(struct psdk_keccak *k, const void *data, size_t len)
{
    const uint8_t *p = data;

    if (k->used > 0) {
        size_t take = RATE_BYTES - k->used < len ? RATE_BYTES - k->used : len;

        if (take > 0)
            memcpy(k->block + k->used, p, take);
        k->used += take;
        p = take > 0 ? p + take : p;
        len -= take;
        if (k->used < RATE_BYTES)
            return;
        absorb(k->state, k->block);
        k->used = 0;
    }
    for (; len >= RATE_BYTES; p += RATE_BYTES, len -= RATE_BYTES)
        absorb(k->state, p);
    if (len > 0)
        memcpy(k->block, p, len);
    k->used = len;
}

void psdk_keccak_final(struct psdk_keccak *k, uint8_t ret[32])
{
    memset(k->block + k->used, 0, RATE_BYTES - k->used);
    k->block[k->used] ^= 0x01;
    k->block[RATE_BYTES - 1] ^= 0x80;
    absorb(k->state, k->block);
    for (size_t i = 0; i < 4; i++) {
        uint64_t word = load_le((const uint8_t *)&k->state[i]);

        memcpy(ret + 8 * i, &word, sizeof word);
    }
    k->used = 0;
}

void psdk_keccak256(const void *data, size_t len, uint8_t ret[32])
{
    struct psdk_keccak k;

    psdk_keccak_init(&k);
    psdk_keccak_add(&k, data, len);
    psdk_keccak_final(&k, ret);
}
