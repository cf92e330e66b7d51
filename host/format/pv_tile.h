/* pv_tile.h - names and contents of C2SP tlog-tiles: hash tiles and entry bundles.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Names are relative to the stream's folder: "tile/<L>/<N>[.p/<W>]", "tile/entries/<N>[.p/<W>]", and beside the entries
 * our "signatures/<N>[.p/<W>]". N is in groups of three digits, x001/x234/067. A tile has 1..256 hashes; W is left out
 * at 256. Threads: [any].
 */
#ifndef PV_TILE_H
#define PV_TILE_H

#include <stdbool.h>

#include "psdk_buf.h"

#define PV_TILE_WIDTH 256u
#define PV_TILE_NAME 128     /* bytes for a name */
#define PV_ENTRY_MAX 65535u
#define PV_TILE_LEVELS 8u    /* tile levels of a 64-bit tree */

/* level 0..63 hash tiles; width 1..256. */
void pv_tile_name(unsigned level, uint64_t index, unsigned width, char ret[PV_TILE_NAME]);
void pv_entries_name(uint64_t index, unsigned width, char ret[PV_TILE_NAME]);
void pv_signatures_name(uint64_t index, unsigned width, char ret[PV_TILE_NAME]);
/* Reads any of the three names back; ret_kind 'h', 'e' or 's', ret_level 0 for 'e' and 's'. false: not such a name,
 * or not in the one form that the functions above write (then no output is set). */
bool pv_tile_name_parse(const char *name, char *ret_kind, unsigned *ret_level, uint64_t *ret_index,
                        unsigned *ret_width);
/* Width of tile `index` at `level` in a tree of size leaves: 0 (not there) to 256. */
unsigned pv_tile_width(unsigned level, uint64_t index, uint64_t size);

/* Appends one entry (2-byte big-endian length, bytes). PROV_E_LIMIT over PV_ENTRY_MAX. */
int pv_bundle_add(struct psdk_buf *out, const void *entry, size_t len);
/* Steps through a bundle: *at starts at 0. Returns 1 with the entry (borrowed), 0 at the end, PROV_E_CORRUPT when
 * cut. */
int pv_bundle_next(const void *bundle, size_t len, size_t *at, const uint8_t **ret_entry, size_t *ret_len);

#endif
