/* test_env.c - environment names, those of earlier systems among them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config_test.h"

/* file and env in; path and its value and origin out; or a message. "-" = no value. */
static const struct {
    const char *file, *env[5], *path, *value, *origin;
} rows[] = {
    /* the implicit network */
    {"", {"RPC_URL=http://h"}, "chain.network", "env", "environment RPC_URL"},
    {"", {"RPC_URL=http://h"}, "networks.env.plugin", "chain-evm", "environment RPC_URL"},
    {"", {"RPC_URL=http://h"}, "networks.env.rpc.0", "http://h", "environment RPC_URL"},
    {"", {"RPC_URL=http://h", "PRIVATE_KEY=0xabc"}, "networks.env.private_key", "0xabc", "environment PRIVATE_KEY"},
    {"",
     {"RPC_URL=http://h", "CONTRACT_ADDRESS=0x1"},
     "networks.env.contracts.ProofOfTrainingContract",
     "0x1",
     "environment CONTRACT_ADDRESS"},
    {"",
     {"RPC_URL=http://h", "GAS_PRICE_GWEI=2.5"},
     "networks.env.gas_price_gwei",
     "2.5",
     "environment GAS_PRICE_GWEI"},
    {"",
     {"RPC_URL=http://h", "CONFIRMATION_BLOCKS=3"},
     "networks.env.confirmations",
     "3",
     "environment CONFIRMATION_BLOCKS"},
    {"", {"RPC_URL=http://h", "RETRY_ATTEMPTS=4"}, "networks.env.retry_attempts", "4", "environment RETRY_ATTEMPTS"},
    {"", {"RPC_URL=http://h", "RETRY_DELAY=1.5"}, "networks.env.retry_delay", "1500ms", "environment RETRY_DELAY"},
    {"", {"RPC_URL=http://h", "RETRY_DELAY=2s"}, "networks.env.retry_delay", "2s", "environment RETRY_DELAY"},
    {"", {"RPC_URL="}, "chain.network", "offline", "default"},
    {"", {"PRIVATE_KEY=0xabc"}, "networks.env.private_key", "-", NULL},
    {"chain: {network: dev}\nnetworks: {dev: {plugin: x}}\n", {"RPC_URL=http://h"}, "chain.network", "dev", NULL},
    {"chain: {network: dev}\nnetworks: {dev: {plugin: x}}\n",
     {"RPC_URL=http://h", "PROV_NETWORK=env"},
     "chain.network",
     "env",
     "environment PROV_NETWORK"},
    /* the switches */
    {"",
     {"RPC_URL=http://h", "BLOCKCHAIN_CLIENT_TYPE=local"},
     "chain.network",
     "offline",
     "environment BLOCKCHAIN_CLIENT_TYPE"},
    {"", {"RPC_URL=http://h", "BLOCKCHAIN_CLIENT_TYPE=Auto"}, "chain.network", "env", "environment RPC_URL"},
    {"", {"RPC_URL=http://h", "BLOCKCHAIN_CLIENT_TYPE=web3"}, "chain.network", "env", "environment RPC_URL"},
    {"", {"BLOCKCHAIN_CLIENT_TYPE=auto"}, "chain.network", "offline", "default"},
    {"", {"RPC_URL=http://h", "ENABLE_BLOCKCHAIN=False"}, "chain.network", "offline", "environment ENABLE_BLOCKCHAIN"},
    {"", {"RPC_URL=http://h", "ENABLE_BLOCKCHAIN=true"}, "chain.network", "env", "environment RPC_URL"},
    {"",
     {"RPC_URL=http://h", "FORCE_LOCAL_BLOCKCHAIN=1"},
     "chain.network",
     "offline",
     "environment FORCE_LOCAL_BLOCKCHAIN"},
    {"", {"RPC_URL=http://h", "FORCE_LOCAL_BLOCKCHAIN=0"}, "chain.network", "env", "environment RPC_URL"},
    {"chain: {network: dev}\nnetworks: {dev: {plugin: x}}\n",
     {"FORCE_LOCAL_BLOCKCHAIN=yes"},
     "chain.network",
     "offline",
     "environment FORCE_LOCAL_BLOCKCHAIN"},
    {"networks: {dev: {plugin: x}}\n",
     {"FORCE_LOCAL_BLOCKCHAIN=yes", "PROV_NETWORK=dev"},
     "chain.network",
     "dev",
     "environment PROV_NETWORK"},
    /* the catalog */
    {"", {"DATABASE_URL=postgres://h/d"}, "catalog.plugin", "catalog-postgres", "environment DATABASE_URL"},
    {"", {"DATABASE_URL=postgresql://h/d"}, "catalog.url", "postgresql://h/d", "environment DATABASE_URL"},
    {"", {"SUPABASE_DB_URL=postgres://s/d"}, "catalog.url", "postgres://s/d", "environment SUPABASE_DB_URL"},
    {"",
     {"SUPABASE_DB_URL=postgres://s/d", "DATABASE_URL=postgres://h/d"},
     "catalog.url",
     "postgres://h/d",
     "environment DATABASE_URL"},
    {"",
     {"SUPABASE_DB_URL=postgres://s/d", "DATABASE_URL=mysql://h/d"},
     "catalog.url",
     "postgres://s/d",
     "environment SUPABASE_DB_URL"},
    {"", {"DATABASE_URL=mysql://h/d"}, "catalog.plugin", "catalog-sqlite", "default"},
    {"catalog: {plugin: catalog-postgres, url: 'postgres://f/d'}\n",
     {"DATABASE_URL=postgres://h/d"},
     "catalog.url",
     "postgres://h/d",
     "environment DATABASE_URL"},
    {"catalog: {plugin: catalog-sqlite}\n", {"DATABASE_URL=postgres://h/d"}, "catalog.url", "-", NULL},
    /* the store */
    {"", {"S3_BUCKET=b"}, "store.bucket", "-", NULL},
    {"store: {plugin: storage-s3, bucket: f}\n", {"S3_BUCKET=b"}, "store.bucket", "b", "environment S3_BUCKET"},
    {"store: {plugin: storage-s3, bucket: f}\n", {"S3_REGION=r"}, "store.region", "r", "environment S3_REGION"},
    {"", {"S3_BUCKET=b", "S3_REGION=r", "PROV_STORE=s3://mine/p"}, "store.bucket", "mine", "environment PROV_STORE"},
    {"", {"S3_BUCKET=b", "S3_REGION=r", "PROV_STORE=s3://mine/p"}, "store.region", "r", "environment S3_REGION"},
    /* our own */
    {"", {"PROV_TRUST=a, b"}, "trust.keys.1", "b", "environment PROV_TRUST"},
    {"", {"PROV_STATE=/s"}, "state", "/s", "environment PROV_STATE"},
    {"", {"PROV_KEYS=/k"}, "keys", "/k", "environment PROV_KEYS"},
    {"", {"PROV_MODEL_ID=m"}, "model_id", "m", "environment PROV_MODEL_ID"},
    {"", {"XDG_STATE_HOME=/xdg"}, "state", "/xdg/prov", "default"},
    {"", {"XDG_STATE_HOME=relative"}, "keys", NULL, "default"},
};

static void use_env(const char *const *names)
{
    set_env(NULL, NULL, NULL);
    for (size_t i = 0; i < 5; i++)
        environment[2 + i] = names[i];
    environment[7] = NULL;
}

START_TEST(an_environment_name_gives_its_value)
{
    const char *path = rows[_i].path;
    write_project(rows[_i].file);
    use_env(rows[_i].env);
    struct pv_config *config = load();
    const char *value = pv_config_str(config, path), *origin = pv_config_origin(config, path);
    if (rows[_i].value)
        ck_assert_msg(strcmp(value ? value : "-", rows[_i].value) == 0, "row %d %s: '%s'", _i, path,
                      value ? value : "-");
    if (rows[_i].origin)
        ck_assert_msg(origin && strcmp(origin, rows[_i].origin) == 0, "row %d %s: from '%s'", _i, path,
                      origin ? origin : "-");
    prov_error err = {0};
    json_t *shown = pv_config_show(config, true, &err);
    char *text = json_dumps(shown, 0);
    ck_assert_ptr_null(strstr(text, "0xabc"));
    free(text);
    json_decref(shown);
    pv_config_free(config);
}
END_TEST

static const struct {
    const char *env[5], *message;
} bad_rows[] = {
    {{"RPC_URL=http://h", "CONFIRMATION_BLOCKS=-1"}, "environment CONFIRMATION_BLOCKS: want a whole number, got '-1'"},
    {{"RPC_URL=http://h", "RETRY_ATTEMPTS=many"}, "environment RETRY_ATTEMPTS: want a whole number, got 'many'"},
    {{"RPC_URL=http://h", "RETRY_DELAY=1.2.3"}, "environment RETRY_DELAY: want a number of seconds, got '1.2.3'"},
    {{"ENABLE_BLOCKCHAIN=maybe"}, "environment ENABLE_BLOCKCHAIN: want true or false, got 'maybe'"},
    {{"FORCE_LOCAL_BLOCKCHAIN=2"}, "environment FORCE_LOCAL_BLOCKCHAIN: want true or false, got '2'"},
    {{"BLOCKCHAIN_CLIENT_TYPE=web2"}, "environment BLOCKCHAIN_CLIENT_TYPE: want auto, web3 or local, got 'web2'"},
    {{"BLOCKCHAIN_CLIENT_TYPE=web3"}, "environment BLOCKCHAIN_CLIENT_TYPE: web3 needs RPC_URL or a chain.network"},
    {{"PROV_NETWORK=nope"}, "environment PROV_NETWORK: chain.network: there is no network 'nope'"},
    {{"PROV_STORE=x://y"}, "environment PROV_STORE: want s3://BUCKET/PREFIX"},
    {{"PROV_CONFIG=/nowhere.yaml"}, "/nowhere.yaml: No such file or directory (named by PROV_CONFIG)"},
};

START_TEST(a_wrong_environment_value_is_named)
{
    use_env(bad_rows[_i].env);
    load_fails(bad_rows[_i].message);
}
END_TEST

START_TEST(a_secret_of_the_environment_never_shows)
{
    const char *names[5] = {"RPC_URL=http://u:hush-1@h/", "PRIVATE_KEY=hush-2",
                            "DATABASE_URL=postgres://u:hush-3@h/d?sslmode=x"};
    use_env(names);
    struct pv_config *config = load();
    prov_error err = {0};
    for (int flat = 0; flat < 2; flat++) {
        json_t *shown = pv_config_show(config, flat == 1, &err);
        char *text = json_dumps(shown, 0);
        ck_assert_msg(strstr(text, "hush") == NULL, "%s", text);
        ck_assert_ptr_nonnull(strstr(text, "postgres://u:***@h/d?sslmode=x"));
        free(text);
        json_decref(shown);
    }
    ck_assert_str_eq(pv_config_str(config, "networks.env.private_key"), "hush-2");
    pv_config_free(config);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config: environment");
    TCase *tests = tcase_create("environment");
    tcase_add_checked_fixture(tests, make_home, drop_home);
    tcase_add_loop_test(tests, an_environment_name_gives_its_value, 0, (int)(sizeof rows / sizeof *rows));
    tcase_add_loop_test(tests, a_wrong_environment_value_is_named, 0, (int)(sizeof bad_rows / sizeof *bad_rows));
    tcase_add_test(tests, a_secret_of_the_environment_never_shows);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
