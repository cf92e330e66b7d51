/* api_config.c - configuration and plugins, as commands show them. SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "api.h"
#include "psdk_file.h"

static int check_section(prov_handle *h, const char *section, const char *role, json_t *warnings, prov_error *err)
{
    struct api_spec s = {0};
    struct pv_plugins *plugins = NULL;
    int rc = api_plugins(h, &plugins, err);
    if (!rc)
        rc = api_spec_init(h, &s, section, role, err);
    if (!rc)
        rc = pv_plugin_spec_check(plugins, &s.spec, err);
    /* A backend that nobody asked for and that is not installed is worth a word, not a failure. */
    const char *origin = s.spec.where;
    if (rc == PROV_E_NOT_FOUND || (rc && origin && strcmp(origin, "default") == 0)) {
        if (!origin || strcmp(origin, "default") != 0) {
            api_spec_done(&s);
            return rc;
        }
        json_array_append_new(warnings, json_sprintf("%s: %s", section, err->message));
        memset(err, 0, sizeof *err);
        rc = PROV_OK;
    }
    api_spec_done(&s);
    return rc;
}

int prov_config_check(prov_handle *handle, char **ret_json, prov_error *err)
{
    API_ERR(err);
    json_t *warnings = json_array();
    const char *file = pv_config_file(handle->config), *origin = pv_config_str(handle->config, "origin");
    const char *model = pv_config_str(handle->config, "model_id");
    int rc = PROV_OK;
    if (origin && !pv_origin_ok(origin))
        rc = psdk_fail(err, PROV_E_CONFIG, "%s: origin: want printable ASCII without spaces, '+', '\"' and '\\'",
                       pv_config_origin(handle->config, "origin"));
    if (!rc && model && pv_id_check("model_id", model, err)) {
        psdk_wrap(err, "%s", pv_config_origin(handle->config, "model_id"));
        err->code = rc = PROV_E_CONFIG;
    }
    if (!rc)
        rc = check_section(handle, "store", PROV_ROLE_STORAGE, warnings, err);
    const char *name;
    for (size_t i = 0; !rc && (name = pv_config_member(handle->config, "networks", i)) != NULL; i++) {
        char section[256];
        snprintf(section, sizeof section, "networks.%.200s", name);
        rc = check_section(handle, section, PROV_ROLE_CHAIN, warnings, err);
    }
    const char *network = pv_config_str(handle->config, "chain.network");
    if (!rc && network) {
        char path[300];
        snprintf(path, sizeof path, "networks.%.200s.plugin", network);
        if (!pv_config_str(handle->config, path))
            rc = psdk_fail(err, PROV_E_CONFIG, "%s: chain.network: there is no network '%s' under networks",
                           pv_config_origin(handle->config, "chain.network"), network);
    }
    if (rc) {
        json_decref(warnings);
        return rc;
    }
    return api_give(json_pack("{s:s?,s:b,s:b,s:o}", "file", file, "trusted", pv_config_trusted(handle->config), "ok", 1,
                              "warnings", warnings),
                    ret_json, err);
}

int prov_config_show(prov_handle *handle, int32_t with_origin, char **ret_json, prov_error *err)
{
    API_ERR(err);
    return api_give(pv_config_show(handle->config, with_origin != 0, err), ret_json, err);
}

int prov_config_trust(const char *file, char **ret_json, prov_error *err)
{
    API_ERR(err);
    char hex[PSDK_SHA256_HEX];
    int rc = pv_hash_files(&file, 1, hex, err);
    if (!rc)
        rc = pv_config_trust(file, NULL, err);
    return rc ? rc : api_give(json_pack("{s:s,s:s}", "file", file, "sha256", hex), ret_json, err);
}

int prov_plugin_list(prov_handle *handle, char **ret_json, prov_error *err)
{
    API_ERR(err);
    struct pv_plugins *plugins = NULL;
    int rc = api_plugins(handle, &plugins, err);
    return rc ? rc : api_give(pv_plugins_list(plugins, err), ret_json, err);
}

int prov_plugin_info(prov_handle *handle, const char *name_or_path, char **ret_json, prov_error *err)
{
    API_ERR(err);
    struct pv_plugins *plugins = NULL;
    int rc = api_plugins(handle, &plugins, err);
    return rc ? rc : api_give(pv_plugin_info(plugins, name_or_path, err), ret_json, err);
}

int prov_plugin_check(prov_handle *handle, const char *name_or_path, char **ret_json, prov_error *err)
{
    API_ERR(err);
    struct pv_plugins *plugins = NULL;
    int rc = api_plugins(handle, &plugins, err);
    return rc ? rc : api_give(pv_plugin_check(plugins, name_or_path, err), ret_json, err);
}

int prov_plugin_describe(const char *path, int32_t out_fd)
{
    return pv_plugin_describe_child(path, out_fd);
}
