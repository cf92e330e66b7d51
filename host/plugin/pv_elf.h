/* pv_elf.h - reading a shared object's file without loading it. SPDX-License-Identifier: Apache-2.0 */
#ifndef PV_ELF_H
#define PV_ELF_H

#include <stdbool.h>

#include "psdk_buf.h"

/* Checks that the open file of size_bytes is a whole 64-bit ELF shared object for this machine: PROV_E_PLUGIN says what
 * it is instead ("not an ELF file", "cut short: ..."). */
int pv_elf_check(int fd, uint64_t size_bytes, prov_error *err);

#define PV_ELF_NAMES 32
struct pv_elf_info {
    char exports[PV_ELF_NAMES][64]; /* defined dynamic symbols, names cut */
    uint32_t n_exports;             /* may be more than PV_ELF_NAMES */
    char needed[PV_ELF_NAMES][64];  /* libraries */
    uint32_t n_needed;
    char runpath[256];
    bool text_relocations;
    bool executable_stack;
    bool has_dynamic; /* false: the tables could not be found, the above is empty */
};
/* Reads the dynamic tables through the section headers. */
int pv_elf_read(int fd, uint64_t size_bytes, struct pv_elf_info *ret, prov_error *err);

#endif
