/* pv_descriptor.c - a loaded descriptor as JSON. SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "pv_module.h"
#include "pv_options.h"

static const struct {
    uint64_t bit;
    const char *name;
} capability_names[] = {
    {PROV_CAP_THREADSAFE, "threadsafe"}, {PROV_CAP_PERSISTENT, "persistent"}, {PROV_CAP_EPHEMERAL, "ephemeral"},
    {PROV_CAP_LOCAL_ONLY, "local-only"}, {PROV_CAP_SHARED, "shared"},
};

/* A plugin's text may be anything but control characters. */
static json_t *text_json(const char *text)
{
    json_t *ret = json_string(text);
    return ret != NULL ? ret : json_string("(not UTF-8)");
}

static json_t *capabilities_json(uint64_t capabilities)
{
    json_t *ret = json_array();
    for (size_t i = 0; i < sizeof capability_names / sizeof capability_names[0]; i++) {
        if ((capabilities & capability_names[i].bit) != 0)
            json_array_append_new(ret, json_string(capability_names[i].name));
        capabilities &= ~capability_names[i].bit;
    }
    for (unsigned bit = 0; bit < 64; bit++) {
        char name[16];
        snprintf(name, sizeof name, "bit-%u", bit);
        if ((capabilities >> bit & 1u) != 0)
            json_array_append_new(ret, json_string(name));
    }
    return ret;
}

static json_t *option_json(const prov_option *o)
{
    json_t *ret = json_object();
    json_object_set_new(ret, "name", text_json(o->name));
    json_object_set_new(ret, "type", json_string(pv_option_type_name(o->type)));
    json_object_set_new(ret, "required", json_boolean((o->flags & PROV_OPT_REQUIRED) != 0));
    json_object_set_new(ret, "secret", json_boolean((o->flags & PROV_OPT_SECRET) != 0));
    if (o->default_value != NULL)
        json_object_set_new(ret, "default", text_json(o->default_value));
    json_object_set_new(ret, "doc", text_json(o->doc != NULL ? o->doc : ""));
    return ret;
}

static json_t *provider_json(const struct pv_provider *p)
{
    json_t *ret = json_object();
    json_t *ops = json_array();
    json_t *options = json_array();
    for (uint32_t i = 0; p->role != NULL && i < p->role->n_ops; i++) {
        if ((p->present >> i & 1u) != 0)
            json_array_append_new(ops, json_string(p->role->ops[i].name));
    }
    for (uint32_t i = 0; i < p->n_options; i++)
        json_array_append_new(options, option_json(p->options[i]));
    json_object_set_new(ret, "role", text_json(p->role_id));
    json_object_set_new(ret, "name", text_json(p->name));
    json_object_set_new(ret, "doc", text_json(p->doc));
    json_object_set_new(ret, "known", json_boolean(p->role != NULL));
    json_object_set_new(ret, "capabilities", capabilities_json(p->capabilities));
    json_object_set_new(ret, "ops", ops);
    json_object_set_new(ret, "options", options);
    return ret;
}

json_t *pv_describe_module(const struct pv_module *module)
{
    json_t *ret = json_object();
    json_t *providers = json_array();
    char abi[32];
    snprintf(abi, sizeof abi, "%u.%u", PROV_ABI_MAJOR, module->raw->abi_minor);
    for (uint32_t i = 0; i < module->n_providers; i++)
        json_array_append_new(providers, provider_json(&module->providers[i]));
    json_object_set_new(ret, "name", text_json(module->raw->name));
    json_object_set_new(ret, "version", text_json(module->raw->version));
    json_object_set_new(ret, "licence", text_json(module->raw->licence));
    json_object_set_new(ret, "url", text_json(module->raw->url));
    json_object_set_new(ret, "abi", json_string(abi));
    json_object_set_new(ret, "providers", providers);
    return ret;
}
