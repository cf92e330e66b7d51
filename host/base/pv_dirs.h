/* pv_dirs.h - where the user's configuration, state and cache live.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The XDG base directories: $XDG_CONFIG_HOME/prov (~/.config/prov), $XDG_STATE_HOME/prov (~/.local/state/prov),
 * $XDG_CACHE_HOME/prov (~/.cache/prov). A variable that is unset, empty or not an absolute path is ignored, as the
 * standard asks. Nothing is created here. Threads: [any] as far as nobody calls setenv.
 */
#ifndef PV_DIRS_H
#define PV_DIRS_H

#include "psdk_err.h"

#define PV_DIR_CONFIG 0
#define PV_DIR_STATE 1
#define PV_DIR_CACHE 2

/* Writes the absolute path of folder `which` (PV_DIR_*) with "/" and leaf behind it (leaf NULL or "": none) into ret.
 * PROV_E_CONFIG: neither the variable nor a home directory is known. PROV_E_LIMIT: cap is too small. */
int pv_dirs_get(int which, const char *leaf, char *ret, size_t cap, prov_error *err);

#endif
