/* pv_plugin.h - finding, checking and loading plugins.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A driver name is looked for as NAME.so in the search path. The file is opened once, checked (nobody else can write it
 * or a folder above it; optional sha256 pin), and what was checked is what is loaded. A file whose digest was not seen
 * before is first loaded and described in a child process. Plugins are never unloaded. Threads: [any].
 *
 * Nothing is loaded into a set-user-id program, nor while LD_PRELOAD, LD_LIBRARY_PATH or LD_AUDIT is set, unless the
 * environment says PROV_ALLOW_LD=1 (container images with CUDA set LD_LIBRARY_PATH; sanitizers and fault injection use
 * LD_PRELOAD).
 */
#ifndef PV_PLUGIN_H
#define PV_PLUGIN_H

#include <stdbool.h>

#include "psdk_buf.h"
#include "psdk_json.h"

struct pv_plugins;

struct pv_plugins_config {
    const char *const *path; /* folders, in order, NULL-terminated */
    /* Program that describes a file in a process of its own, run as `helper __describe /proc/self/fd/4`: it hands that
     * path and descriptor 3 to pv_plugin_describe_child and exits with 0 when it returned PROV_OK. NULL: a fork of this
     * process. */
    const char *helper;
    const char *seen_dir;  /* where digests of described files are kept; NULL: nowhere */
    const char *state_dir; /* parent of the prov.state/1 folders */
};
int pv_plugins_new(const struct pv_plugins_config *config, struct pv_plugins **ret, prov_error *err);
void pv_plugins_free(struct pv_plugins *plugins);

/* An option as configured: where says "prov.yaml:12:5" for errors. */
struct pv_plugin_option {
    const char *name;  /* "path", "headers.X" for maps; lists repeat the name */
    const char *value; /* as the user wrote it, environment expanded */
    const char *where;
};
struct pv_plugin_spec {
    const char *role;      /* PROV_ROLE_* */
    const char *driver;    /* YAML `plugin:` */
    const char *where;     /* of the section, for errors */
    const char *base_dir;  /* PROV_OPT_PATH values count from here */
    const char *state_key; /* names its prov.state/1 folder: [A-Za-z0-9._-]+ */
    const char *sha256;    /* pin, or NULL */
    uint64_t timeout_ns;   /* of one call; 0: the default (60 s) */
    const struct pv_plugin_option *options;
    size_t n_options;
};
/* Checks options against the provider's table: unknown names (with a suggestion), types, required ones. Loads the
 * plugin. */
int pv_plugin_spec_check(struct pv_plugins *plugins, const struct pv_plugin_spec *spec, prov_error *err);

/* `prov plugin list|info|check`. Each appends to or returns JSON that the CLI prints. */
/* [{name, file, version, licence, abi, providers:[{role, name, doc}], error?}] over the search path. */
json_t *pv_plugins_list(struct pv_plugins *plugins, prov_error *err);
/* The whole descriptor with option tables, from a child process; name or path of a .so. */
json_t *pv_plugin_info(struct pv_plugins *plugins, const char *name_or_path, prov_error *err);
/* {file, ok, checks:[{name, ok, detail}]}: exports, relocations, descriptor, permissions, load time. */
json_t *pv_plugin_check(struct pv_plugins *plugins, const char *name_or_path, prov_error *err);
/* Body of the child: loads the file at path and writes {"plugin": ...} or {"error": {code, message}} to out_fd. Returns
 * PROV_OK when the file is a usable plugin, else its code; the caller then exits. Used by the CLI's hidden command. */
int pv_plugin_describe_child(const char *path, int out_fd);

#endif
