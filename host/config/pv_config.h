/* pv_config.h - the configuration: files, environment and flags merged into one checked tree.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Values are addressed by dotted paths ("store.path", "networks.dev.rpc.0", "trust.keys.0"). Precedence: flag,
 * environment, project file (prov.yaml, found upward from the working directory, or --config), user file, system file,
 * default. Every value knows where it came from. Sections that belong to a plugin (store, catalog, reward, networks.*)
 * keep whatever members they have; the plugin's own option table checks them later; `plugin` itself is the host's and
 * no option. The files of networks.d/ beside each file add to its networks. A project file that the user has not
 * trusted may not do everything (docs/configuration.md), and a plugin's section never mixes files of different trust.
 * Strings are borrowed until pv_config_free. Threads: a loaded configuration is read-only, [any].
 */
#ifndef PV_CONFIG_H
#define PV_CONFIG_H

#include <stdbool.h>

#include "psdk_buf.h"
#include "psdk_json.h"

struct pv_config;

struct pv_config_flag {
    /* "chain.network"; "store": value is a store URL or folder; the path of a list again: one more element */
    const char *path;
    const char *value; /* relative paths count from the working directory */
    const char *flag;  /* "--network", for origin and errors */
};
struct pv_config_source {
    const char *file;        /* --config, or NULL: search */
    bool no_project;         /* without file: look for none */
    const char *work_dir;    /* where the search starts; NULL: the process's */
    const char *user_dir;    /* NULL: $XDG_CONFIG_HOME/prov or ~/.config/prov */
    const char *system_file; /* NULL: /etc/prov/prov.yaml */
    const struct pv_config_flag *flags;
    size_t n_flags;
    const char *const *environ; /* NULL: the process's */
};
/* PROV_E_CONFIG with "file:line:column: what; did you mean ...". A missing file is fine unless it is named. */
int pv_config_load(const struct pv_config_source *source, struct pv_config **ret, prov_error *err);
void pv_config_free(struct pv_config *config);

/* NULL when it has no value. */
const char *pv_config_str(const struct pv_config *config, const char *path);
/* Typed values; they were checked at load, so these only need a fallback for absent ones. */
int64_t pv_config_int(const struct pv_config *config, const char *path, int64_t fallback);
bool pv_config_bool(const struct pv_config *config, const char *path, bool fallback);
uint64_t pv_config_duration_ns(const struct pv_config *config, const char *path, uint64_t fallback);
/* Number of elements of a list (0 when absent), element i. */
size_t pv_config_count(const struct pv_config *config, const char *path);
const char *pv_config_item(const struct pv_config *config, const char *path, size_t index);
/* Where a value came from: "flag --network", "environment RPC_URL", "/x/prov.yaml:12:5", "default"; NULL: no value. */
const char *pv_config_origin(const struct pv_config *config, const char *path);
/* The folder from which relative paths in a value, or in a section, count: that of the file which gave it (for a
 * section: which chose its backend), the working directory for the environment and flags, else pv_config_dir. */
const char *pv_config_base(const struct pv_config *config, const char *path);
/* The backend or value that is used when nobody says so ("store.plugin"); for "networks.*.plugin" the backend that talks to
 * a node. A static string, or NULL. */
const char *pv_config_default(const char *path);
/* Calls each for every scalar below prefix ("store"), name relative to it, lists as repeated names, in file order. */
void pv_config_each(const struct pv_config *config, const char *prefix,
                    void (*each)(void *ctx, const char *name, const char *value, const char *where), void *ctx);
/* Names of the members of a map, in file order; NULL past the end. */
const char *pv_config_member(const struct pv_config *config, const char *prefix, size_t index);

/* The project file in use (absolute) or NULL, its folder (else the working directory), the user's configuration folder
 * (NULL when no home is known). */
const char *pv_config_file(const struct pv_config *config);
const char *pv_config_dir(const struct pv_config *config);
const char *pv_config_user_dir(const struct pv_config *config);
/* Whether the project file is trusted (its digest is recorded in the user's configuration, or it is the user's own
 * file). */
bool pv_config_trusted(const struct pv_config *config);
/* Records the digest of a project file as trusted (user_dir/trusted, 0600), durably. `prov config trust`, `prov init`,
 * and whoever writes a file of networks.d. PROV_E_NOT_FOUND, PROV_E_CONFIG, PROV_E_IO, ... */
int pv_config_trust(const char *file, const char *user_dir, prov_error *err);
/* The whole merged configuration as JSON: {path: {value, origin}} in order, or as one nested document. Secrets are
 * "***". */
json_t *pv_config_show(const struct pv_config *config, bool with_origin, prov_error *err);

#endif
