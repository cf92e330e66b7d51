/* pv_module.h - opening, checking and loading one file; for the files of this folder. SPDX-License-Identifier:
 * Apache-2.0 */
#ifndef PV_MODULE_H
#define PV_MODULE_H

#include "pv_plugin.h"
#include "pv_provider.h"

/* A file that was opened and checked, not yet loaded. */
struct pv_candidate {
    char *file; /* real path, owned */
    int fd;     /* -1: none */
    uint64_t size_bytes;
    uint8_t sha256[32];
};
#define PV_CANDIDATE_INIT                                                                                              \
    {                                                                                                                  \
        NULL, -1, 0,                                                                                                   \
        {                                                                                                              \
            0                                                                                                          \
        }                                                                                                              \
    }

/* Opens path once and checks what was opened: a regular file that nobody else can write, nor any folder above it; a
 * whole ELF shared object. Errors carry the path in front. */
int pv_candidate_open(const char *path, struct pv_candidate *ret, prov_error *err);
void pv_candidate_close(struct pv_candidate *candidate);

/* PROV_E_DENIED when this process must not load code on a user's word: set-user-id and the like, LD_* set without
 * PROV_ALLOW_LD=1. */
int pv_loader_allowed(prov_error *err);

/* Loads the open file itself (not its name) and reads its descriptor. The calling process runs its constructors. On
 * success ret owns fd; on failure after the loader saw the file, fd stays open for ever, since the loader remembers its
 * name. Errors are without the file's name. */
int pv_module_load(const char *file, int *fd, struct pv_module *ret, prov_error *err);

/* Describes an open file in a child process. On success *ret_json (may be NULL) is the descriptor. helper NULL: plain
 * fork. */
int pv_describe_file(const char *helper, const struct pv_candidate *candidate, json_t **ret_json, prov_error *err);
/* The descriptor of a loaded module as JSON; NULL when memory is out. */
json_t *pv_describe_module(const struct pv_module *module);

/* pv_plugin.c: finds NAME.so, or takes a path (with a slash in it) as it is. ret: owned. */
int pv_plugin_search(const struct pv_plugins *plugins, const char *name_or_path, char **ret, prov_error *err);
/* The module that holds name's provider, loaded by now. */
int pv_plugin_provider(struct pv_plugins *plugins, const struct pv_plugin_spec *spec, const struct pv_provider **ret,
                       prov_error *err);
const char *pv_plugins_helper(const struct pv_plugins *plugins);
const char *pv_plugins_state_dir(const struct pv_plugins *plugins);
const char *const *pv_plugins_path(const struct pv_plugins *plugins);

#endif
