/* fuzz_tile.c - names of tiles and entry bundles from any bytes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>
#include <string.h>

#include "pv_tile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok)
        abort();
}

static void try_name(const uint8_t *data, size_t size)
{
    char *name = strndup((const char *)data, size), again[PV_TILE_NAME], kind;
    unsigned level, width;
    uint64_t index;

    if (name != NULL && pv_tile_name_parse(name, &kind, &level, &index, &width)) {
        must(width >= 1 && width <= PV_TILE_WIDTH && level <= 63);
        if (kind == 'h')
            pv_tile_name(level, index, width, again);
        else if (kind == 'e')
            pv_entries_name(index, width, again);
        else
            pv_signatures_name(index, width, again);
        must(strcmp(name, again) == 0);
    }
    free(name);
}

static void try_bundle(const uint8_t *data, size_t size)
{
    struct psdk_buf again = {0};
    const uint8_t *entry;
    size_t at = 0, len;
    int rc;

    while ((rc = pv_bundle_next(data, size, &at, &entry, &len)) == 1) {
        must(entry >= data && len <= PV_ENTRY_MAX && entry + len == data + at);
        must(pv_bundle_add(&again, entry, len) == PROV_OK);
    }
    must(rc == 0 || rc == PROV_E_CORRUPT);
    must(again.len == at && (at == 0 || memcmp(again.data, data, at) == 0));
    must((rc == 0) == (at == size));
    psdk_buf_done(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    try_name(data, size);
    try_bundle(data, size);
    return 0;
}
