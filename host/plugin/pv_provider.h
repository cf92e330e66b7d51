/* pv_provider.h - loaded files and normalised providers.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * What a plugin offers is checked once, when it is loaded, and copied into tables of this host's own size: a missing
 * required op is an error with its name, a missing optional one becomes a stub that answers PROV_E_UNSUPPORTED. Loaded
 * files stay for the life of the process. Threads: [any]; what is returned never changes.
 */
#ifndef PV_PROVIDER_H
#define PV_PROVIDER_H

#include <stdbool.h>
#include <stdalign.h>

#include "psdk_err.h"

/* Ceilings of what a descriptor may hold: anything above them is taken for a missing terminator or a bad size. */
#define PV_MAX_STRUCT_BYTES 65536u
#define PV_MAX_PROVIDERS 64u
#define PV_MAX_OPTIONS 256u
#define PV_MAX_TEXT_BYTES 1024u

struct pv_role_op {
    const char *name;
    size_t offset; /* in the ops table */
    bool required;
    void (*stub)(void); /* of the op's own type; NULL for required ones */
};
struct pv_role {
    const char *id;
    size_t size; /* of the table that this host knows */
    const struct pv_role_op *ops;
    uint32_t n_ops;
};
/* pv_roles.c. NULL: unknown. */
const struct pv_role *pv_role_find(const char *id);

union pv_ops {
    prov_storage_ops storage;
    prov_chain_ops chain;
    prov_reward_ops reward;
    prov_catalog_ops catalog;
};

struct pv_provider {
    const struct pv_role *role; /* NULL: a role that this host does not know; listed, unused */
    const char *role_id;
    const char *name;
    const char *doc;
    const char *file; /* of its plugin */
    uint64_t capabilities;
    uint64_t present;                  /* bit i: op i of the role's list is the plugin's own */
    const prov_option *const *options; /* never NULL */
    uint32_t n_options;
    int32_t (*create)(const prov_host *host, const prov_option_value *values, uint64_t n_values, void **ret_instance,
                      prov_error *err);
    void (*destroy)(void *instance);
    union pv_ops ops;
};

struct pv_module {
    char *file;         /* real path */
    uint8_t sha256[32]; /* of the file */
    int fd;             /* kept open: the loader knows the file by this descriptor's name */
    const prov_plugin *raw;
    struct pv_provider *providers;
    uint32_t n_providers;
    struct pv_module *next;
};

/* pv_normalise.c: checks raw and fills module->providers. Errors name the plugin's fault, without the file. */
int pv_module_normalise(struct pv_module *module, const prov_plugin *raw, prov_error *err);
/* The module's provider of a role under a driver name, or NULL. */
const struct pv_provider *pv_module_find(const struct pv_module *module, const char *role, const char *name);
/* Whether name is a driver name: [a-z][a-z0-9-]{0,62} */
bool pv_driver_name_ok(const char *name);

#endif
