/* psdk_crc.c - CRC-32C (Castagnoli): SSE4.2 where the machine has it, else eight bytes a step by tables.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <pthread.h>
#include <string.h>

#include "psdk_hash.h"

#define POLY_REFLECTED 0x82F63B78u

/* tables[k][b]: the effect of byte b followed by k zero bytes. */
static uint32_t tables[8][256];
static pthread_once_t tables_once = PTHREAD_ONCE_INIT;

static void fill_tables(void)
{
    for (uint32_t b = 0; b < 256; b++) {
        uint32_t crc = b;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? POLY_REFLECTED : 0);
        tables[0][b] = crc;
    }
    for (int k = 1; k < 8; k++)
        for (int b = 0; b < 256; b++)
            tables[k][b] = tables[k - 1][b] >> 8 ^ tables[0][tables[k - 1][b] & 255];
}

static uint32_t load_le32(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

uint32_t psdk_crc32c_portable(uint32_t seed, const void *data, size_t len)
{
    pthread_once(&tables_once, fill_tables);
    const uint8_t *at = data;
    uint32_t crc = ~seed;
    for (; len >= 8; len -= 8, at += 8) {
        uint32_t low = crc ^ load_le32(at);
        uint32_t high = load_le32(at + 4);
        crc = tables[7][low & 255] ^ tables[6][low >> 8 & 255] ^ tables[5][low >> 16 & 255] ^ tables[4][low >> 24] ^
              tables[3][high & 255] ^ tables[2][high >> 8 & 255] ^ tables[1][high >> 16 & 255] ^ tables[0][high >> 24];
    }
    while (len-- > 0)
        crc = crc >> 8 ^ tables[0][(crc ^ *at++) & 255];
    return ~crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t crc32c_sse42(uint32_t seed, const void *data, size_t len)
{
    const uint8_t *at = data;
    uint64_t crc = (uint32_t)~seed;
    for (; len >= 8; len -= 8, at += 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        crc = __builtin_ia32_crc32di(crc, word);
    }
    uint32_t crc32 = (uint32_t)crc;
    while (len-- > 0)
        crc32 = __builtin_ia32_crc32qi(crc32, *at++);
    return ~crc32;
}

uint32_t psdk_crc32c(uint32_t seed, const void *data, size_t len)
{
    if (__builtin_cpu_supports("sse4.2"))
        return crc32c_sse42(seed, data, len);
    return psdk_crc32c_portable(seed, data, len);
}
#else
uint32_t psdk_crc32c(uint32_t seed, const void *data, size_t len)
{
    return psdk_crc32c_portable(seed, data, len);
}
#endif
