/* pv_tile.c - names of tiles, and entry bundles.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "pv_tile.h"

#include <stdio.h>
#include <string.h>

#define GROUPS_MAX 7 /* groups of three digits in a 64-bit number */

/* ---- names ------------------------------------------------------------------------------------------------------- */

/* Writes "<folder>/<N>[.p/<W>]". */
static void write_name(const char *folder, uint64_t index, unsigned width, char ret[PV_TILE_NAME])
{
    unsigned group[GROUPS_MAX];
    int n = 0, at;

    do {
        group[n++] = (unsigned)(index % 1000);
        index /= 1000;
    } while (index > 0);
    at = snprintf(ret, PV_TILE_NAME, "%s", folder);
    while (n-- > 0)
        at += snprintf(ret + at, PV_TILE_NAME - (size_t)at, n > 0 ? "/x%03u" : "/%03u", group[n]);
    if (width < PV_TILE_WIDTH)
        snprintf(ret + at, PV_TILE_NAME - (size_t)at, ".p/%u", width);
}

void pv_tile_name(unsigned level, uint64_t index, unsigned width, char ret[PV_TILE_NAME])
{
    char folder[32];

    snprintf(folder, sizeof(folder), "tile/%u", level);
    write_name(folder, index, width, ret);
}

void pv_entries_name(uint64_t index, unsigned width, char ret[PV_TILE_NAME])
{
    write_name("tile/entries", index, width, ret);
}

void pv_signatures_name(uint64_t index, unsigned width, char ret[PV_TILE_NAME])
{
    write_name("signatures", index, width, ret);
}

/* Reads digits up to max_digits; returns how many there were. */
static size_t read_digits(const char *text, size_t max_digits, unsigned *ret)
{
    size_t n = 0;

    *ret = 0;
    while (n < max_digits && text[n] >= '0' && text[n] <= '9')
        *ret = *ret * 10 + (unsigned)(text[n++] - '0');
    return n;
}

/* Reads "<N>[.p/<W>]" up to the end of the text. */
static bool read_index(const char *text, uint64_t *ret_index, unsigned *ret_width)
{
    uint64_t index = 0;
    unsigned group;
    bool more;

    do {
        more = *text == 'x';
        text += more;
        if (read_digits(text, 3, &group) != 3 || index > (UINT64_MAX - group) / 1000)
            return false;
        index = index * 1000 + group;
        text += 3;
        if (more && *text++ != '/')
            return false;
    } while (more);
    *ret_index = index;
    *ret_width = PV_TILE_WIDTH;
    if (*text == '\0')
        return true;
    if (strncmp(text, ".p/", 3) != 0)
        return false;
    size_t n = read_digits(text + 3, 3, ret_width);
    return n > 0 && text[3 + n] == '\0' && *ret_width >= 1 && *ret_width < PV_TILE_WIDTH;
}

bool pv_tile_name_parse(const char *name, char *ret_kind, unsigned *ret_level, uint64_t *ret_index, unsigned *ret_width)
{
    static const char entries[] = "tile/entries/", signatures[] = "signatures/", hashes[] = "tile/";
    char kind, canonical[PV_TILE_NAME];
    unsigned level = 0, width = 0;
    uint64_t index = 0;

    if (strncmp(name, entries, sizeof(entries) - 1) == 0) {
        kind = 'e';
        name += sizeof(entries) - 1;
    } else if (strncmp(name, signatures, sizeof(signatures) - 1) == 0) {
        kind = 's';
        name += sizeof(signatures) - 1;
    } else if (strncmp(name, hashes, sizeof(hashes) - 1) == 0) {
        const char *digits = name + sizeof(hashes) - 1;
        size_t n = read_digits(digits, 2, &level);
        if (n == 0 || (n == 2 && digits[0] == '0') || level > 63 || digits[n] != '/')
            return false;
        kind = 'h';
        name = digits + n + 1;
    } else {
        return false;
    }
    /* Only one spelling of a number is a name: what is read must be what would be written. */
    if (!read_index(name, &index, &width))
        return false;
    write_name("", index, width, canonical);
    if (strcmp(canonical + 1, name) != 0)
        return false;
    *ret_kind = kind;
    *ret_level = level;
    *ret_index = index;
    *ret_width = width;
    return true;
}

unsigned pv_tile_width(unsigned level, uint64_t index, uint64_t size)
{
    uint64_t hashes = level < PV_TILE_LEVELS ? size >> (8 * level) : 0;

    if (index > UINT64_MAX / PV_TILE_WIDTH || index * PV_TILE_WIDTH >= hashes)
        return 0;
    uint64_t width = hashes - index * PV_TILE_WIDTH;
    return width < PV_TILE_WIDTH ? (unsigned)width : PV_TILE_WIDTH;
}

/* ---- entry bundles ----------------------------------------------------------------------------------------------- */

int pv_bundle_add(struct psdk_buf *out, const void *entry, size_t len)
{
    uint8_t prefix[2] = {(uint8_t)(len >> 8 & 0xff), (uint8_t)(len & 0xff)};

    if (len > PV_ENTRY_MAX)
        return PROV_E_LIMIT;
    int rc = psdk_buf_reserve(out, sizeof(prefix) + len);
    if (rc != PROV_OK)
        return rc;
    psdk_buf_add(out, prefix, sizeof(prefix));
    return psdk_buf_add(out, entry, len);
}

int pv_bundle_next(const void *bundle, size_t len, size_t *at, const uint8_t **ret_entry, size_t *ret_len)
{
    const uint8_t *bytes = bundle;

    if (*at >= len)
        return *at == len ? 0 : PROV_E_CORRUPT;
    if (len - *at < 2)
        return PROV_E_CORRUPT;
    size_t size = (size_t)bytes[*at] << 8 | bytes[*at + 1];
    if (len - *at - 2 < size)
        return PROV_E_CORRUPT;
    *ret_entry = bytes + *at + 2;
    *ret_len = size;
    *at += 2 + size;
    return 1;
}
