/* pv_elf.c - reading a shared object's file without loading it. SPDX-License-Identifier: Apache-2.0 */
#include "pv_elf.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "psdk_file.h"

#define MAX_TABLE_BYTES ((uint64_t)64 << 20)

#if defined(__x86_64__)
#define OWN_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define OWN_MACHINE EM_AARCH64
#elif defined(__riscv)
#define OWN_MACHINE EM_RISCV
#elif defined(__powerpc64__)
#define OWN_MACHINE EM_PPC64
#elif defined(__s390x__)
#define OWN_MACHINE EM_S390
#else
#define OWN_MACHINE EM_NONE /* not known here: left to the loader */
#endif

static int read_at(int fd, void *ret, size_t len, uint64_t offset, prov_error *err)
{
    size_t got = 0;
    int rc = psdk_pread_all(fd, ret, len, offset, &got, "plugin", err);
    if (rc == PROV_OK && got < len)
        rc = psdk_fail(err, PROV_E_PLUGIN, "the file is cut short: it ends inside a table at offset %llu",
                       (unsigned long long)offset);
    return rc;
}

static int check_header(int fd, uint64_t size_bytes, Elf64_Ehdr *h, prov_error *err)
{
    if (size_bytes == 0)
        return psdk_fail(err, PROV_E_PLUGIN, "the file is empty");
    unsigned char magic[SELFMAG] = {0};
    size_t got = 0;
    int rc = psdk_pread_all(fd, magic, sizeof magic, 0, &got, "plugin", err);
    if (rc != PROV_OK)
        return rc;
    if (got < sizeof magic || memcmp(magic, ELFMAG, SELFMAG) != 0)
        return psdk_fail(err, PROV_E_PLUGIN, "not a shared object (not an ELF file)");
    if (size_bytes < sizeof *h)
        return psdk_fail(err, PROV_E_PLUGIN, "the file is cut short: its ELF header is not whole");
    rc = read_at(fd, h, sizeof *h, 0, err);
    if (rc != PROV_OK)
        return rc;
    if (h->e_ident[EI_CLASS] != ELFCLASS64 || (OWN_MACHINE != EM_NONE && h->e_machine != OWN_MACHINE))
        return psdk_fail(err, PROV_E_PLUGIN,
                         "built for another machine (ELF class %u, machine %u): rebuild it for this one",
                         h->e_ident[EI_CLASS], h->e_machine);
    if (h->e_type != ET_DYN)
        return psdk_fail(err, PROV_E_PLUGIN, "not a shared object (ELF type %u): link it with -shared", h->e_type);
    if (h->e_phentsize != sizeof(Elf64_Phdr) || h->e_phnum == 0)
        return psdk_fail(err, PROV_E_PLUGIN, "not a shared object (it has no program headers)");
    return PROV_OK;
}

int pv_elf_check(int fd, uint64_t size_bytes, prov_error *err)
{
    Elf64_Ehdr h;
    int rc = check_header(fd, size_bytes, &h, err);
    for (uint16_t i = 0; rc == PROV_OK && i < h.e_phnum; i++) {
        Elf64_Phdr p;
        uint64_t at = h.e_phoff + (uint64_t)i * sizeof p;
        if (h.e_phoff > size_bytes || at + sizeof p > size_bytes)
            return psdk_fail(err, PROV_E_PLUGIN, "the file is cut short: its program headers are not whole");
        rc = read_at(fd, &p, sizeof p, at, err);
        if (rc == PROV_OK && p.p_type == PT_LOAD && (p.p_offset > size_bytes || p.p_filesz > size_bytes - p.p_offset))
            rc = psdk_fail(err, PROV_E_PLUGIN,
                           "the file is cut short: it has %llu bytes, its segments need %llu: copy it again",
                           (unsigned long long)size_bytes, (unsigned long long)(p.p_offset + p.p_filesz));
    }
    return rc;
}

/* ---- tables ------------------------------------------------------------------------------------------------------ */
struct tables {
    int fd;
    uint64_t size_bytes;
    Elf64_Shdr *sections;
    size_t n_sections;
};

/* Reads a whole section; NULL when it is not whole or memory is out. Ends in a NUL byte. */
static char *read_section(const struct tables *t, const Elf64_Shdr *s, prov_error *err)
{
    if (s->sh_type == SHT_NOBITS || s->sh_offset > t->size_bytes || s->sh_size > t->size_bytes - s->sh_offset ||
        s->sh_size > MAX_TABLE_BYTES) {
        psdk_fail(err, PROV_E_PLUGIN, "a section lies outside of the file");
        return NULL;
    }
    char *data = malloc((size_t)s->sh_size + 1);
    if (data == NULL) {
        psdk_fail(err, PROV_E_NOMEM, "no memory for a section of %llu bytes", (unsigned long long)s->sh_size);
        return NULL;
    }
    if (read_at(t->fd, data, (size_t)s->sh_size, s->sh_offset, err) != PROV_OK) {
        free(data);
        return NULL;
    }
    data[s->sh_size] = '\0';
    return data;
}

static const char *string_at(const char *strings, uint64_t size, uint64_t at)
{
    return at < size ? strings + at : "";
}

static void read_symbols(const char *data, uint64_t size, const char *strings, uint64_t n_strings,
                         struct pv_elf_info *ret)
{
    Elf64_Sym s;
    for (uint64_t at = 0; at + sizeof s <= size; at += sizeof s) {
        memcpy(&s, data + at, sizeof s);
        unsigned bind = ELF64_ST_BIND(s.st_info);
        unsigned visible = ELF64_ST_VISIBILITY(s.st_other);
        if (s.st_shndx == SHN_UNDEF || s.st_shndx == SHN_ABS ||
            (bind != STB_GLOBAL && bind != STB_WEAK && bind != STB_GNU_UNIQUE) || visible == STV_HIDDEN ||
            visible == STV_INTERNAL)
            continue;
        if (ret->n_exports < PV_ELF_NAMES)
            snprintf(ret->exports[ret->n_exports], sizeof ret->exports[0], "%s",
                     string_at(strings, n_strings, s.st_name));
        ret->n_exports++;
    }
}

static void read_dynamic(const char *data, uint64_t size, const char *strings, uint64_t n_strings,
                         struct pv_elf_info *ret)
{
    Elf64_Dyn d;
    for (uint64_t at = 0; at + sizeof d <= size; at += sizeof d) {
        memcpy(&d, data + at, sizeof d);
        const char *text = string_at(strings, n_strings, d.d_un.d_val);
        if (d.d_tag == DT_NULL)
            break;
        if (d.d_tag == DT_NEEDED && ret->n_needed < PV_ELF_NAMES)
            snprintf(ret->needed[ret->n_needed++], sizeof ret->needed[0], "%s", text);
        if (d.d_tag == DT_RUNPATH || d.d_tag == DT_RPATH)
            snprintf(ret->runpath, sizeof ret->runpath, "%s", text);
        if (d.d_tag == DT_TEXTREL || (d.d_tag == DT_FLAGS && (d.d_un.d_val & DF_TEXTREL) != 0))
            ret->text_relocations = true;
    }
}

static int read_table(const struct tables *t, const Elf64_Shdr *s, struct pv_elf_info *ret, prov_error *err)
{
    if (s->sh_link >= t->n_sections)
        return psdk_fail(err, PROV_E_PLUGIN, "a dynamic table has no strings");
    const Elf64_Shdr *names = &t->sections[s->sh_link];
    char *strings = read_section(t, names, err);
    char *data = strings != NULL ? read_section(t, s, err) : NULL;
    if (data != NULL && s->sh_type == SHT_DYNSYM)
        read_symbols(data, s->sh_size, strings, names->sh_size, ret);
    else if (data != NULL)
        read_dynamic(data, s->sh_size, strings, names->sh_size, ret);
    ret->has_dynamic = ret->has_dynamic || data != NULL;
    int rc = data != NULL ? PROV_OK : PROV_E_PLUGIN;
    free(strings);
    free(data);
    return rc;
}

static int read_stack_flags(int fd, const Elf64_Ehdr *h, struct pv_elf_info *ret, prov_error *err)
{
    int rc = PROV_OK;
    for (uint16_t i = 0; rc == PROV_OK && i < h->e_phnum; i++) {
        Elf64_Phdr p;
        rc = read_at(fd, &p, sizeof p, h->e_phoff + (uint64_t)i * sizeof p, err);
        if (rc == PROV_OK && p.p_type == PT_GNU_STACK)
            ret->executable_stack = (p.p_flags & PF_X) != 0;
    }
    return rc;
}

int pv_elf_read(int fd, uint64_t size_bytes, struct pv_elf_info *ret, prov_error *err)
{
    Elf64_Ehdr h;
    struct tables t = {.fd = fd, .size_bytes = size_bytes};
    memset(ret, 0, sizeof *ret);
    int rc = check_header(fd, size_bytes, &h, err);
    if (rc == PROV_OK)
        rc = read_stack_flags(fd, &h, ret, err);
    if (rc != PROV_OK)
        return rc;
    uint64_t bytes = (uint64_t)h.e_shnum * sizeof(Elf64_Shdr);
    if (h.e_shnum == 0 || h.e_shentsize != sizeof(Elf64_Shdr) || h.e_shoff > size_bytes ||
        bytes > size_bytes - h.e_shoff)
        return PROV_OK; /* no section headers: legal, and nothing to read here */
    t.n_sections = h.e_shnum;
    t.sections = malloc((size_t)bytes);
    if (t.sections == NULL)
        return psdk_fail(err, PROV_E_NOMEM, "no memory for %u section headers", h.e_shnum);
    rc = read_at(fd, t.sections, (size_t)bytes, h.e_shoff, err);
    for (size_t i = 0; rc == PROV_OK && i < t.n_sections; i++) {
        if (t.sections[i].sh_type == SHT_DYNSYM || t.sections[i].sh_type == SHT_DYNAMIC)
            rc = read_table(&t, &t.sections[i], ret, err);
    }
    free(t.sections);
    return rc;
}
