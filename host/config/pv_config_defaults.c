/* pv_config_defaults.c - the one place in the host's sources where backends are named.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Three tables: which backend fills a role when nobody says so, which backend an older environment name belongs to, and
 * which backend a store URL means. A check in the test suite refuses a backend's name in any other source of the host.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "pv_config_impl.h"

#define ENV_NETWORK "env"
#define OFFLINE_NETWORK "offline"
#define STORE_LOCAL "storage-local"
#define STORE_S3 "storage-s3"
#define CATALOG_SERVER "catalog-postgres"
#define CHAIN_NODE "chain-evm"

static const struct {
    const char *section, *path, *value;
} defaults[] = {
    {"store", "store.plugin", STORE_LOCAL},
    {"store", "store.path", "prov-data"},
    {"chain", "chain.network", OFFLINE_NETWORK},
    {"chain", "chain.fallback", "chain-null"},
    {"networks." OFFLINE_NETWORK, "networks." OFFLINE_NETWORK ".plugin", "chain-null"},
    {"reward", "reward.plugin", "reward"},
    {"catalog", "catalog.plugin", "catalog-sqlite"},
};

int pv_config_defaults(const struct pv_layer *layer, const char *section, prov_error *err)
{
    for (size_t i = 0; i < sizeof defaults / sizeof *defaults; i++) {
        if (section && strcmp(section, defaults[i].section) != 0)
            continue;
        struct pv_value value = {.path = defaults[i].path, .text = defaults[i].value, .plain = true};
        int rc = pv_config_put(layer, NULL, &value, err);
        if (rc)
            return rc;
    }
    return PROV_OK;
}

const char *pv_config_default(const char *path)
{
    if (strcmp(path, "networks.*.plugin") == 0)
        return CHAIN_NODE;
    for (size_t i = 0; i < sizeof defaults / sizeof *defaults; i++)
        if (strcmp(path, defaults[i].path) == 0)
            return defaults[i].value;
    return NULL;
}

/* ---- environment names of earlier systems ------------------------------------------------------------------------ */
enum convert { TEXT, ITEM, COUNT, SECONDS };

/* Names that fill the section of the implicit network `env`, which RPC_URL brings about. */
static const struct older_name {
    const char *name, *path;
    enum convert convert;
} network_names[] = {
    {"RPC_URL", "networks." ENV_NETWORK ".rpc", ITEM},
    {"PRIVATE_KEY", "networks." ENV_NETWORK ".private_key", TEXT},
    {"CONTRACT_ADDRESS", "networks." ENV_NETWORK ".contracts.ProofOfTrainingContract", TEXT},
    {"GAS_PRICE_GWEI", "networks." ENV_NETWORK ".gas_price_gwei", TEXT},
    {"CONFIRMATION_BLOCKS", "networks." ENV_NETWORK ".confirmations", COUNT},
    {"RETRY_ATTEMPTS", "networks." ENV_NETWORK ".retry_attempts", COUNT},
    {"RETRY_DELAY", "networks." ENV_NETWORK ".retry_delay", SECONDS},
};

static bool all_digits(const char *text)
{
    size_t n = strspn(text, "0123456789");
    return n > 0 && n <= 18 && !text[n];
}

/* Puts one value whose origin is "environment NAME". */
static int put_env(const struct pv_layer *layer, const char *name, const char *path, const char *text,
                   enum convert convert, prov_error *err)
{
    char origin[128], with_unit[64];
    struct pv_layer own = *layer;

    snprintf(origin, sizeof origin, "environment %s", name);
    own.name = origin;
    if (convert == COUNT && !all_digits(text))
        return pv_config_fail(&own, NULL, err, "want a whole number, got '%.40s'", text);
    if (convert == SECONDS && strlen(text) < 32 && strspn(text, "0123456789.") == strlen(text)) {
        char *end;
        double seconds = strtod(text, &end);
        if (*end || !(seconds >= 0 && seconds < 1e9))
            return pv_config_fail(&own, NULL, err, "want a number of seconds, got '%.40s'", text);
        snprintf(with_unit, sizeof with_unit, "%lldms", (long long)(seconds * 1000 + 0.5));
        text = with_unit;
    }
    struct pv_value value = {.path = path, .text = text, .plain = true, .item = convert == ITEM};
    return pv_config_put(&own, NULL, &value, err);
}

static enum pv_rank rank_of(const struct pv_config *config, const char *path)
{
    const struct pv_entry *entry = pv_config_find(config, path);
    return entry ? entry->rank : PV_RANK_DEFAULT;
}

/* RPC_URL and its companions make networks.env. */
static int older_network(const struct pv_layer *layer, prov_error *err)
{
    const char *rpc = pv_env_get(layer->environ, "RPC_URL");
    if (!rpc)
        return PROV_OK;
    pv_config_clear(layer->config, "networks." ENV_NETWORK);
    int rc = put_env(layer, "RPC_URL", "networks." ENV_NETWORK ".plugin", CHAIN_NODE, TEXT, err);
    for (size_t i = 0; !rc && i < sizeof network_names / sizeof *network_names; i++) {
        const struct older_name *old = &network_names[i];
        const char *text = pv_env_get(layer->environ, old->name);
        if (text)
            rc = put_env(layer, old->name, old->path, text, old->convert, err);
    }
    if (!rc && rank_of(layer->config, "chain.network") == PV_RANK_DEFAULT)
        rc = put_env(layer, "RPC_URL", "chain.network", ENV_NETWORK, TEXT, err);
    return rc;
}

/* The three switches that choose between the chain and none. They yield to --network and PROV_NETWORK. */
static int older_switches(const struct pv_layer *layer, prov_error *err)
{
    const char *name = "FORCE_LOCAL_BLOCKCHAIN";
    const char *text = pv_env_get(layer->environ, name);
    bool local = false, enabled = true;
    int rc = text ? pv_env_switch(name, text, &local, err) : PROV_OK;

    if (!rc && !local && (text = pv_env_get(layer->environ, "ENABLE_BLOCKCHAIN"))) {
        name = "ENABLE_BLOCKCHAIN";
        rc = pv_env_switch(name, text, &enabled, err);
        local = !enabled;
    }
    if (!rc && !local && (text = pv_env_get(layer->environ, "BLOCKCHAIN_CLIENT_TYPE"))) {
        name = "BLOCKCHAIN_CLIENT_TYPE";
        local = strcasecmp(text, "local") == 0;
        if (!local && strcasecmp(text, "auto") != 0 && strcasecmp(text, "web3") != 0)
            return psdk_fail(err, PROV_E_CONFIG, "environment %s: want auto, web3 or local, got '%.40s'", name, text);
        if (strcasecmp(text, "web3") == 0 && rank_of(layer->config, "chain.network") == PV_RANK_DEFAULT)
            return psdk_fail(err, PROV_E_CONFIG,
                             "environment %s: web3 needs RPC_URL or a chain.network; set one of them", name);
    }
    if (rc || !local || rank_of(layer->config, "chain.network") > PV_RANK_OLDER_ENV)
        return rc;
    return put_env(layer, name, "chain.network", OFFLINE_NETWORK, TEXT, err);
}

/* DATABASE_URL or SUPABASE_DB_URL is the catalog's when that is a server already or was not chosen at all. */
static int older_catalog(const struct pv_layer *layer, prov_error *err)
{
    static const char *const names[] = {"DATABASE_URL", "SUPABASE_DB_URL"};
    const struct pv_entry *plugin = pv_config_find(layer->config, "catalog.plugin");
    if (plugin && plugin->rank != PV_RANK_DEFAULT && strcmp(plugin->value, CATALOG_SERVER) != 0)
        return PROV_OK;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *url = pv_env_get(layer->environ, names[i]);
        if (!url || (strncasecmp(url, "postgres://", 11) != 0 && strncasecmp(url, "postgresql://", 13) != 0))
            continue;
        if (rank_of(layer->config, "catalog.url") > PV_RANK_OLDER_ENV)
            return PROV_OK;
        int rc = pv_config_part(layer, "catalog", err);
        plugin = pv_config_find(layer->config, "catalog.plugin");
        if (!rc && (!plugin || strcmp(plugin->value, CATALOG_SERVER) != 0))
            rc = put_env(layer, names[i], "catalog.plugin", CATALOG_SERVER, TEXT, err);
        if (!rc)
            rc = put_env(layer, names[i], "catalog.url", url, TEXT, err);
        return rc;
    }
    return PROV_OK;
}

/* S3_BUCKET and S3_REGION count when a store of that kind was chosen. */
static int older_store(const struct pv_layer *layer, prov_error *err)
{
    static const struct older_name names[] = {{"S3_BUCKET", "store.bucket", TEXT}, {"S3_REGION", "store.region", TEXT}};
    const struct pv_entry *plugin = pv_config_find(layer->config, "store.plugin");
    int rc = PROV_OK;
    if (!plugin || strcmp(plugin->value, STORE_S3) != 0)
        return PROV_OK;
    for (size_t i = 0; !rc && i < sizeof names / sizeof *names; i++) {
        const char *text = pv_env_get(layer->environ, names[i].name);
        if (text && rank_of(layer->config, names[i].path) < PV_RANK_OLDER_ENV)
            rc = put_env(layer, names[i].name, names[i].path, text, TEXT, err);
    }
    return rc;
}

int pv_config_older_env(const struct pv_layer *layer, prov_error *err)
{
    int rc = older_network(layer, err);
    if (!rc)
        rc = older_switches(layer, err);
    if (!rc)
        rc = older_catalog(layer, err);
    if (!rc)
        rc = older_store(layer, err);
    return rc;
}

/* ---- store URLs -------------------------------------------------------------------------------------------------- */
static int put_text(const struct pv_layer *layer, const char *path, const char *text, prov_error *err)
{
    struct pv_value value = {.path = path, .text = text, .plain = true};
    return pv_config_put(layer, NULL, &value, err);
}

/* Decodes %XX in place; false for a bad escape or a NUL. */
static bool percent_decode(char *text)
{
    char *out = text;
    for (const char *in = text; *in; in++) {
        if (*in != '%') {
            *out++ = *in;
            continue;
        }
        if (!isxdigit((unsigned char)in[1]) || !isxdigit((unsigned char)in[2]))
            return false;
        char hex[3] = {in[1], in[2], '\0'};
        *out = (char)strtol(hex, NULL, 16);
        if (*out++ == '\0')
            return false;
        in += 2;
    }
    *out = '\0';
    return true;
}

static int s3_url(const struct pv_layer *layer, const char *rest, prov_error *err)
{
    char bucket[256];
    size_t n = strcspn(rest, "/");
    if (n < 3 || n >= sizeof bucket || strpbrk(rest, "?#"))
        return pv_config_fail(layer, NULL, err, "want s3://BUCKET/PREFIX, got 's3://%.80s'", rest);
    memcpy(bucket, rest, n);
    bucket[n] = '\0';
    rest += n + strspn(rest + n, "/");
    int rc = put_text(layer, "store.plugin", STORE_S3, err);
    if (!rc)
        rc = put_text(layer, "store.bucket", bucket, err);
    pv_config_clear(layer->config, "store.prefix");
    if (!rc && *rest)
        rc = put_text(layer, "store.prefix", rest, err);
    return rc;
}

int pv_config_store_url(const struct pv_layer *layer, const char *url, prov_error *err)
{
    if (strncmp(url, "s3://", 5) == 0)
        return s3_url(layer, url + 5, err);
    bool file = strncmp(url, "file://", 7) == 0;
    if (!*url || (!file && strstr(url, "://")) || (file && url[7] != '/'))
        return pv_config_fail(layer, NULL, err, "want s3://BUCKET/PREFIX, file:///FOLDER or a folder, got '%.80s'",
                              url);
    char *path = strdup(file ? url + 7 : url);
    if (!path)
        return psdk_fail(err, PROV_E_NOMEM, "configuration: out of memory");
    int rc = PROV_OK;
    if (file && !percent_decode(path))
        rc = pv_config_fail(layer, NULL, err, "'%.80s' has a bad %%XX escape", url);
    if (!rc)
        rc = put_text(layer, "store.plugin", STORE_LOCAL, err);
    if (!rc)
        rc = put_text(layer, "store.path", path, err);
    free(path);
    return rc;
}
