/* pv_normalise.c - checking a descriptor and copying it into this host's tables. SPDX-License-Identifier: Apache-2.0
 *
 * Everything here reads memory of the plugin, which may be wrong: counts and sizes have ceilings, pointers may be NULL.
 * A wild pointer kills the child process that describes a new file, not the host.
 */
#include <stdlib.h>
#include <string.h>

#include "pv_options.h"
#include "pv_provider.h"

#define MIN_SIZE(type, last) (offsetof(type, last) + sizeof(((type *)0)->last))

bool pv_driver_name_ok(const char *name)
{
    size_t n = 0;
    if (name == NULL || name[0] < 'a' || name[0] > 'z')
        return false;
    for (; name[n] != '\0'; n++) {
        char c = name[n];
        if (n >= 63 || !((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'))
            return false;
    }
    return true;
}

static int check_size(const char *what, uint32_t size, size_t least, prov_error *err)
{
    if (size < least)
        return psdk_fail(err, PROV_E_PLUGIN, "%s: struct_size is %u, want at least %zu (set it to sizeof the struct)",
                         what, size, least);
    if (size > PV_MAX_STRUCT_BYTES)
        return psdk_fail(err, PROV_E_PLUGIN, "%s: struct_size is %u, more than %u: it was not set", what, size,
                         PV_MAX_STRUCT_BYTES);
    return PROV_OK;
}

static int check_text(const char *what, const char *member, const char *text, prov_error *err)
{
    if (text == NULL)
        return psdk_fail(err, PROV_E_PLUGIN, "%s: %s is NULL", what, member);
    if (strnlen(text, PV_MAX_TEXT_BYTES + 1) > PV_MAX_TEXT_BYTES)
        return psdk_fail(err, PROV_E_PLUGIN, "%s: %s is longer than %u bytes", what, member, PV_MAX_TEXT_BYTES);
    for (const char *p = text; *p != '\0'; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            return psdk_fail(err, PROV_E_PLUGIN, "%s: %s holds a control character", what, member);
    }
    return PROV_OK;
}

/* ---- ops --------------------------------------------------------------------------------------------------------- */
/* Copies the table, checks the required ops and fills stubs in for the missing optional ones. */
static int copy_ops(struct pv_provider *p, const void *ops, prov_error *err)
{
    uint32_t size;
    if (ops == NULL)
        return psdk_fail(err, PROV_E_PLUGIN, "provider '%s': ops is NULL", p->name);
    memcpy(&size, ops, sizeof size);
    /* A table that ends early lacks ops: those are named below; only a size that covers no op at all is a fault of its
     * own. */
    int rc = check_size("the ops table", size, sizeof(uint32_t) * 2, err);
    if (rc != PROV_OK)
        return psdk_wrap(err, "provider '%s'", p->name);
    memset(&p->ops, 0, sizeof p->ops);
    memcpy(&p->ops, ops, size < p->role->size ? size : p->role->size);
    char *table = (char *)&p->ops;
    uint32_t host_size = (uint32_t)p->role->size;
    memcpy(table, &host_size, sizeof host_size);
    for (uint32_t i = 0; i < p->role->n_ops; i++) {
        const struct pv_role_op *op = &p->role->ops[i];
        void (*fn)(void) = NULL;
        if (op->offset + sizeof fn <= size)
            memcpy(&fn, table + op->offset, sizeof fn);
        if (fn != NULL) {
            p->present |= 1ull << i;
        } else if (op->required) {
            return psdk_fail(err, PROV_E_PLUGIN, "provider '%s': the required op '%s' of role %s is missing", p->name,
                             op->name, p->role->id);
        } else {
            memcpy(table + op->offset, &op->stub, sizeof op->stub);
        }
    }
    return PROV_OK;
}

/* ---- options ----------------------------------------------------------------------------------------------------- */
static int check_option(const struct pv_provider *p, uint32_t index, prov_error *err)
{
    const prov_option *o = p->options[index];
    int rc = check_size("option", o->struct_size, MIN_SIZE(prov_option, doc), err);
    if (rc == PROV_OK)
        rc = check_text("option", "name", o->name, err);
    if (rc != PROV_OK)
        return rc;
    if (o->name[0] == '\0' || strchr(o->name, '.') != NULL)
        return psdk_fail(err, PROV_E_PLUGIN, "option name '%s' is empty or holds a dot", o->name);
    if (pv_option_type_name(o->type) == NULL)
        return psdk_fail(err, PROV_E_PLUGIN, "option '%s' has the unknown type %d", o->name, o->type);
    if (o->default_value != NULL && (o->flags & PROV_OPT_SECRET) != 0)
        return psdk_fail(err, PROV_E_PLUGIN, "option '%s' is a secret and has a default", o->name);
    for (uint32_t i = 0; i < index; i++) {
        if (strcmp(p->options[i]->name, o->name) == 0)
            return psdk_fail(err, PROV_E_PLUGIN, "option '%s' is there twice", o->name);
    }
    if (o->doc != NULL)
        rc = check_text(o->name, "doc", o->doc, err);
    return rc;
}

static int check_options(struct pv_provider *p, prov_error *err)
{
    static const prov_option *const none[] = {NULL};
    if (p->options == NULL) {
        p->options = none;
        return PROV_OK;
    }
    while (p->options[p->n_options] != NULL) {
        if (p->n_options >= PV_MAX_OPTIONS)
            return psdk_fail(err, PROV_E_PLUGIN, "provider '%s': more than %u options: the NULL at the end is missing",
                             p->name, PV_MAX_OPTIONS);
        int rc = check_option(p, p->n_options, err);
        if (rc != PROV_OK)
            return psdk_wrap(err, "provider '%s'", p->name);
        p->n_options++;
    }
    return PROV_OK;
}

/* ---- providers --------------------------------------------------------------------------------------------------- */
static int read_provider(struct pv_module *module, const prov_provider *raw, prov_error *err)
{
    struct pv_provider *p = &module->providers[module->n_providers];
    int rc = check_size("provider", raw->struct_size, MIN_SIZE(prov_provider, destroy), err);
    if (rc == PROV_OK)
        rc = check_text("provider", "role", raw->role, err);
    if (rc != PROV_OK)
        return rc;
    if (!pv_driver_name_ok(raw->name))
        return psdk_fail(err, PROV_E_PLUGIN, "provider of role %s: its name is %s: want [a-z][a-z0-9-]{0,62}",
                         raw->role, raw->name == NULL ? "NULL" : "not a driver name");
    for (uint32_t i = 0; i < module->n_providers; i++) {
        if (strcmp(module->providers[i].role_id, raw->role) == 0 && strcmp(module->providers[i].name, raw->name) == 0)
            return psdk_fail(err, PROV_E_PLUGIN, "two providers of role %s are named '%s'", raw->role, raw->name);
    }
    p->role_id = raw->role;
    p->role = pv_role_find(raw->role);
    p->name = raw->name;
    p->doc = raw->doc != NULL ? raw->doc : "";
    p->file = module->file;
    p->capabilities = raw->capabilities;
    p->options = raw->options;
    p->create = raw->create;
    p->destroy = raw->destroy;
    module->n_providers++;
    rc = check_text(p->name, "doc", p->doc, err);
    if (rc != PROV_OK || p->role == NULL) {
        p->options = NULL;
        return rc != PROV_OK ? rc : check_options(p, err);
    }
    if (p->create == NULL || p->destroy == NULL)
        return psdk_fail(err, PROV_E_PLUGIN, "provider '%s': %s is NULL", p->name,
                         p->create == NULL ? "create" : "destroy");
    rc = copy_ops(p, raw->ops, err);
    return rc == PROV_OK ? check_options(p, err) : rc;
}

int pv_module_normalise(struct pv_module *module, const prov_plugin *raw, prov_error *err)
{
    int rc = check_size("prov_plugin_v1", raw->struct_size, MIN_SIZE(prov_plugin, providers), err);
    const struct {
        const char *name;
        const char *text;
    } texts[] = {{"name", rc == PROV_OK ? raw->name : ""},
                 {"version", rc == PROV_OK ? raw->version : ""},
                 {"licence", rc == PROV_OK ? raw->licence : ""},
                 {"url", rc == PROV_OK ? raw->url : ""}};
    for (size_t i = 0; rc == PROV_OK && i < sizeof texts / sizeof texts[0]; i++)
        rc = check_text("prov_plugin_v1", texts[i].name, texts[i].text, err);
    if (rc != PROV_OK)
        return rc;
    if (raw->providers == NULL || raw->providers[0] == NULL)
        return psdk_fail(err, PROV_E_PLUGIN, "prov_plugin_v1: it has no providers");
    uint32_t n = 0;
    while (raw->providers[n] != NULL) {
        if (++n > PV_MAX_PROVIDERS)
            return psdk_fail(err, PROV_E_PLUGIN,
                             "prov_plugin_v1: more than %u providers: the NULL at the end is missing",
                             PV_MAX_PROVIDERS);
    }
    module->providers = calloc(n, sizeof module->providers[0]);
    if (module->providers == NULL)
        return psdk_fail(err, PROV_E_NOMEM, "no memory for %u providers", n);
    module->raw = raw;
    for (uint32_t i = 0; rc == PROV_OK && i < n; i++)
        rc = read_provider(module, raw->providers[i], err);
    return rc;
}

const struct pv_provider *pv_module_find(const struct pv_module *module, const char *role, const char *name)
{
    for (uint32_t i = 0; i < module->n_providers; i++) {
        const struct pv_provider *p = &module->providers[i];
        if (strcmp(p->role_id, role) == 0 && strcmp(p->name, name) == 0)
            return p;
    }
    return NULL;
}
