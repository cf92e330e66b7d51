/* pv_check.c - `prov plugin list|info|check`. SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "psdk_file.h"
#include "psdk_hash.h"
#include "pv_elf.h"
#include "pv_module.h"

/* ---- one file ---------------------------------------------------------------------------------------------------- */
static void put_identity(json_t *ret, const struct pv_candidate *c)
{
    char hex[PSDK_SHA256_HEX];
    psdk_hex(c->sha256, sizeof c->sha256, hex);
    json_object_set_new(ret, "file", json_string(c->file));
    json_object_set_new(ret, "sha256", json_string(hex));
}

static json_t *info_of_file(const struct pv_plugins *plugins, const char *path, prov_error *err)
{
    struct pv_candidate c = PV_CANDIDATE_INIT;
    json_t *ret = NULL;
    int rc = pv_loader_allowed(err);
    if (rc == PROV_OK)
        rc = pv_candidate_open(path, &c, err);
    if (rc == PROV_OK)
        rc = pv_describe_file(pv_plugins_helper(plugins), &c, &ret, err);
    if (rc == PROV_OK)
        put_identity(ret, &c);
    pv_candidate_close(&c);
    return ret;
}

json_t *pv_plugin_info(struct pv_plugins *plugins, const char *name_or_path, prov_error *err)
{
    prov_error own = {0};
    char *path = NULL;
    json_t *ret = NULL;
    if (err == NULL)
        err = &own;
    if (pv_plugin_search(plugins, name_or_path, &path, err) == PROV_OK)
        ret = info_of_file(plugins, path, err);
    free(path);
    return ret;
}

/* ---- list -------------------------------------------------------------------------------------------------------- */
/* The parts of an info that a list shows. */
static json_t *list_entry(json_t *info)
{
    static const char *const members[] = {"name", "file", "version", "licence", "abi"};
    static const char *const of_provider[] = {"role", "name", "doc", "known"};
    json_t *ret = json_object();
    json_t *providers = json_array();
    size_t i;
    json_t *p;
    for (i = 0; i < sizeof members / sizeof members[0]; i++)
        json_object_set(ret, members[i], json_object_get(info, members[i]));
    json_array_foreach(json_object_get(info, "providers"), i, p)
    {
        json_t *one = json_object();
        for (size_t k = 0; k < sizeof of_provider / sizeof of_provider[0]; k++)
            json_object_set(one, of_provider[k], json_object_get(p, of_provider[k]));
        json_array_append_new(providers, one);
    }
    json_object_set_new(ret, "providers", providers);
    json_decref(info);
    return ret;
}

static json_t *list_file(const struct pv_plugins *plugins, const char *path)
{
    prov_error err = {0};
    json_t *info = info_of_file(plugins, path, &err);
    if (info != NULL)
        return list_entry(info);
    return json_pack("{s:s,s:[],s:s}", "file", path, "providers", "error", err.message);
}

static int is_plugin_file(const struct dirent *e)
{
    size_t len = strlen(e->d_name);
    return len > 3 && e->d_name[0] != '.' && strcmp(e->d_name + len - 3, ".so") == 0;
}

static void list_folder(const struct pv_plugins *plugins, const char *folder, json_t *ret)
{
    struct dirent **names = NULL;
    int n = scandir(folder, &names, is_plugin_file, alphasort);
    for (int i = 0; i < n; i++) {
        char *path = NULL;
        if (asprintf(&path, "%s/%s", folder, names[i]->d_name) >= 0) {
            json_array_append_new(ret, list_file(plugins, path));
            free(path);
        }
        free(names[i]);
    }
    free(names);
}

json_t *pv_plugins_list(struct pv_plugins *plugins, prov_error *err)
{
    json_t *ret = json_array();
    if (ret == NULL) {
        psdk_fail(err, PROV_E_NOMEM, "no memory for the list of plugins");
        return NULL;
    }
    const char *const *path = pv_plugins_path(plugins);
    for (size_t i = 0; path[i] != NULL; i++)
        list_folder(plugins, path[i], ret);
    return ret;
}

/* ---- check ------------------------------------------------------------------------------------------------------- */
struct checking {
    json_t *checks;
    bool ok;
};

static void note(struct checking *c, const char *name, bool ok, const char *detail)
{
    json_array_append_new(c->checks, json_pack("{s:s,s:b,s:s}", "name", name, "ok", (int)ok, "detail", detail));
    c->ok = c->ok && ok;
}

static void check_exports(struct checking *c, const struct pv_elf_info *elf)
{
    struct psdk_buf extra = {.max = 300};
    bool found = false;
    for (uint32_t i = 0; i < elf->n_exports && i < PV_ELF_NAMES; i++) {
        bool entry = strncmp(elf->exports[i], "prov_plugin_v", 13) == 0;
        found = found || strcmp(elf->exports[i], PROV_PLUGIN_SYMBOL) == 0;
        if (!entry)
            psdk_buf_addf(&extra, "%s%s", extra.len > 0 ? ", " : "", elf->exports[i]);
    }
    if (!elf->has_dynamic)
        note(c, "exports", true, "not known: the file has no section headers");
    else if (!found)
        note(c, "exports", false,
             "prov_plugin_v1 is not exported: include prov_plugin.h where you define it, outside any namespace, not "
             "static");
    else if (extra.len > 0)
        note(c, "exports", false, psdk_buf_str(&extra));
    else
        note(c, "exports", true, "prov_plugin_v1 alone");
    psdk_buf_done(&extra);
}

static void check_relocations(struct checking *c, const struct pv_elf_info *elf)
{
    if (elf->text_relocations)
        note(c, "relocations", false, "it has text relocations: compile it with -fPIC");
    else if (elf->executable_stack)
        note(c, "relocations", false, "it asks for an executable stack: link it with -z noexecstack");
    else
        note(c, "relocations", true, "none in its text");
}

static void check_libraries(struct checking *c, const struct pv_elf_info *elf)
{
    struct psdk_buf names = {.max = 600};
    for (uint32_t i = 0; i < elf->n_needed; i++)
        psdk_buf_addf(&names, "%s%s", i > 0 ? ", " : "", elf->needed[i]);
    if (strstr(elf->runpath, "$ORIGIN") != NULL)
        psdk_buf_adds(&names,
                      " (its run path names $ORIGIN, which has no effect here: plugins are loaded by descriptor)");
    note(c, "libraries", true, names.len > 0 ? psdk_buf_str(&names) : "none");
    psdk_buf_done(&names);
}

static void check_elf(struct checking *c, const struct pv_candidate *file)
{
    struct pv_elf_info elf;
    prov_error err = {0};
    if (pv_elf_read(file->fd, file->size_bytes, &elf, &err) != PROV_OK) {
        note(c, "tables", false, err.message);
        return;
    }
    check_exports(c, &elf);
    check_relocations(c, &elf);
    check_libraries(c, &elf);
}

#define SLOW_NS 200000000ull

static void check_descriptor(struct checking *c, const struct pv_plugins *plugins, const struct pv_candidate *file)
{
    prov_error err = {0};
    json_t *info = NULL;
    char text[200];
    uint64_t start = psdk_monotonic_ns();
    int rc = pv_describe_file(pv_plugins_helper(plugins), file, &info, &err);
    uint64_t took = psdk_monotonic_ns() - start;
    if (rc != PROV_OK) {
        note(c, "descriptor", false, err.message);
        return;
    }
    snprintf(text, sizeof text, "%zu provider(s), ABI %s", json_array_size(json_object_get(info, "providers")),
             json_string_value(json_object_get(info, "abi")));
    note(c, "descriptor", true, text);
    snprintf(text, sizeof text, "%llu.%03llu ms, in a process of its own", (unsigned long long)(took / 1000000u),
             (unsigned long long)(took / 1000u % 1000u));
    note(c, "load time", took < SLOW_NS, text);
    json_decref(info);
}

json_t *pv_plugin_check(struct pv_plugins *plugins, const char *name_or_path, prov_error *err)
{
    prov_error own = {0};
    struct pv_candidate file = PV_CANDIDATE_INIT;
    char *path = NULL;
    if (err == NULL)
        err = &own;
    int rc = pv_loader_allowed(err);
    if (rc == PROV_OK)
        rc = pv_plugin_search(plugins, name_or_path, &path, err);
    if (rc != PROV_OK)
        return NULL;
    struct checking c = {json_array(), true};
    json_t *ret = json_object();
    prov_error found = {0};
    if (pv_candidate_open(path, &file, &found) == PROV_OK) {
        note(&c, "permissions", true, "only its owner can write it or a folder above it");
        check_elf(&c, &file);
        check_descriptor(&c, plugins, &file);
        put_identity(ret, &file);
    } else {
        note(&c, found.code == PROV_E_DENIED ? "permissions" : "file", false, found.message);
        json_object_set_new(ret, "file", json_string(path));
    }
    json_object_set_new(ret, "ok", json_boolean(c.ok));
    json_object_set_new(ret, "checks", c.checks);
    pv_candidate_close(&file);
    free(path);
    return ret;
}
