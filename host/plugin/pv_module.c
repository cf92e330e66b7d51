/* pv_module.c - opening, checking and loading one file. SPDX-License-Identifier: Apache-2.0
 *
 * The file is opened once. What was checked and hashed is that open file, and the loader is given the descriptor
 * (/proc/self/fd/N), so that a name that is changed meanwhile cannot bring other code in. The loader remembers files by
 * the name it was given: a descriptor that it has seen is never closed, or its number could later stand for another
 * file.
 */
#include "pv_module.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include "psdk_file.h"
#include "psdk_hash.h"
#include "pv_elf.h"

/* ---- may we ------------------------------------------------------------------------------------------------------ */
int pv_loader_allowed(prov_error *err)
{
    static const char *const names[] = {"LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT"};
    if (getauxval(AT_SECURE) != 0)
        return psdk_fail(err, PROV_E_DENIED,
                         "plugins are not loaded into a program that runs with another user's rights "
                         "(set-user-id, set-group-id or capabilities): run it as an ordinary user");
    const char *allowed = getenv("PROV_ALLOW_LD");
    if (allowed != NULL && strcmp(allowed, "1") == 0)
        return PROV_OK;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *value = getenv(names[i]);
        if (value != NULL && value[0] != '\0')
            return psdk_fail(err, PROV_E_DENIED,
                             "plugins are not loaded while %s is set, since it can put other code into "
                             "them: unset it, or set PROV_ALLOW_LD=1 if you set it on purpose",
                             names[i]);
    }
    return PROV_OK;
}

/* ---- candidates -------------------------------------------------------------------------------------------------- */
void pv_candidate_close(struct pv_candidate *candidate)
{
    psdk_close(&candidate->fd);
    free(candidate->file);
    candidate->file = NULL;
}

static int hash_file(int fd, uint64_t size_bytes, uint8_t ret[32], prov_error *err)
{
    struct psdk_sha256 h = {0};
    size_t cap = 256u << 10;
    uint8_t *room = malloc(cap);
    int rc = room != NULL ? psdk_sha256_init(&h) : PROV_E_NOMEM;
    if (rc != PROV_OK)
        psdk_fail(err, rc, "cannot hash it");
    uint64_t at = 0;
    while (rc == PROV_OK && at < size_bytes) {
        size_t got = 0;
        rc = psdk_pread_all(fd, room, cap, at, &got, "plugin", err);
        if (rc == PROV_OK && got == 0)
            break;
        psdk_sha256_add(&h, room, got);
        at += got;
    }
    if (rc == PROV_OK && at != size_bytes)
        rc = psdk_fail(err, PROV_E_PLUGIN, "it changed while it was being read");
    if (rc == PROV_OK && psdk_sha256_final(&h, ret) != PROV_OK)
        rc = psdk_fail(err, PROV_E_INTERNAL, "cannot hash it: the SHA-256 of OpenSSL fails");
    psdk_sha256_done(&h);
    free(room);
    return rc;
}

static int open_regular(struct pv_candidate *c, prov_error *err)
{
    struct stat st;
    /* O_NONBLOCK: a FIFO must not hold us. */
    c->fd = psdk_open(c->file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0, err);
    if (c->fd < 0) {
        int rc = c->fd;
        c->fd = -1;
        return rc;
    }
    if (fstat(c->fd, &st) != 0)
        return psdk_fail_errno(err, errno, "cannot look at it");
    if (!S_ISREG(st.st_mode))
        return psdk_fail(err, PROV_E_PLUGIN, "not a file but %s",
                         S_ISDIR(st.st_mode)    ? "a folder"
                         : S_ISFIFO(st.st_mode) ? "a named pipe"
                                                : "a special file");
    c->size_bytes = (uint64_t)st.st_size;
    return PROV_OK;
}

int pv_candidate_open(const char *path, struct pv_candidate *ret, prov_error *err)
{
    struct pv_candidate c = PV_CANDIDATE_INIT;
    c.file = realpath(path, NULL);
    if (c.file == NULL)
        return psdk_fail_errno(err, errno, "plugin %s", path);
    int rc = open_regular(&c, err);
    if (rc == PROV_OK)
        rc = psdk_check_private(c.fd, c.file, false, err);
    if (rc == PROV_OK)
        rc = pv_elf_check(c.fd, c.size_bytes, err);
    if (rc == PROV_OK)
        rc = hash_file(c.fd, c.size_bytes, c.sha256, err);
    if (rc == PROV_OK)
        *ret = c;
    else
        psdk_wrap(err, "plugin %s", c.file);
    if (rc != PROV_OK)
        pv_candidate_close(&c);
    return rc;
}

/* ---- loading ----------------------------------------------------------------------------------------------------- */
/* dlerror's text without the descriptor's name in front. */
static int loader_error(const char *name, prov_error *err)
{
    const char *text = dlerror();
    if (text == NULL)
        text = "no reason given";
    size_t len = strlen(name);
    if (strncmp(text, name, len) == 0 && strncmp(text + len, ": ", 2) == 0)
        text += len + 2;
    return psdk_fail(err, PROV_E_PLUGIN, "cannot be loaded: %s", text);
}

/* Another major's symbol, for the message. */
static int no_symbol(void *handle, prov_error *err)
{
    for (unsigned major = 2; major < 10; major++) {
        char name[32];
        snprintf(name, sizeof name, "prov_plugin_v%u", major);
        if (dlsym(handle, name) != NULL)
            return psdk_fail(err, PROV_E_PLUGIN,
                             "it is made for plugin ABI %u; this host has ABI %u: use a newer host or an older "
                             "plugin",
                             major, PROV_ABI_MAJOR);
    }
    return psdk_fail(err, PROV_E_PLUGIN, "it exports no '%s': it is not a plugin, or was linked without exporting it",
                     PROV_PLUGIN_SYMBOL);
}

/* The descriptor of handle, if the file itself defines it. */
static const prov_plugin *find_symbol(void *handle, prov_error *err)
{
    struct link_map *own = NULL;
    struct link_map *owner = NULL;
    Dl_info info;
    void *symbol = dlsym(handle, PROV_PLUGIN_SYMBOL);
    if (symbol == NULL) {
        no_symbol(handle, err);
        return NULL;
    }
    if (dlinfo(handle, RTLD_DI_LINKMAP, &own) != 0 || dladdr1(symbol, &info, (void **)&owner, RTLD_DL_LINKMAP) == 0) {
        psdk_fail(err, PROV_E_PLUGIN, "the loader does not know where its '%s' comes from", PROV_PLUGIN_SYMBOL);
        return NULL;
    }
    if (own != owner) {
        psdk_fail(err, PROV_E_PLUGIN, "it exports no '%s' itself, only a library that it needs does: %s",
                  PROV_PLUGIN_SYMBOL, owner != NULL && owner->l_name != NULL ? owner->l_name : "?");
        return NULL;
    }
    return symbol;
}

int pv_module_load(const char *file, int *fd, struct pv_module *ret, prov_error *err)
{
    char name[64];
    struct stat before;
    struct stat after;
    snprintf(name, sizeof name, "/proc/self/fd/%d", *fd);
    memset(ret, 0, sizeof *ret);
    ret->fd = *fd;
    ret->file = strdup(file);
    if (ret->file == NULL)
        return psdk_fail(err, PROV_E_NOMEM, "no memory");
    if (fstat(*fd, &before) != 0)
        memset(&before, 0, sizeof before);
    *fd = -1; /* whatever comes, the loader has its name from here on */
    void *handle = dlopen(name, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    int rc = handle == NULL ? loader_error(name, err) : PROV_OK;
    if (rc == PROV_OK &&
        (fstat(ret->fd, &after) != 0 || before.st_size != after.st_size ||
         before.st_mtim.tv_sec != after.st_mtim.tv_sec || before.st_mtim.tv_nsec != after.st_mtim.tv_nsec))
        rc = psdk_fail(err, PROV_E_DENIED, "it changed while it was being loaded");
    const prov_plugin *raw = rc == PROV_OK ? find_symbol(handle, err) : NULL;
    if (raw != NULL)
        rc = pv_module_normalise(ret, raw, err);
    else if (rc == PROV_OK)
        rc = PROV_E_PLUGIN;
    if (rc == PROV_OK)
        return PROV_OK;
    free(ret->providers);
    free(ret->file);
    memset(ret, 0, sizeof *ret);
    ret->fd = -1;
    return rc;
}
