/* test_sources.c - which source wins, where a value came from, and how a configuration is shown.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config_test.h"

#define ck_value(config, path, want) ck_text(pv_config_str(config, path), want, path)
#define ck_origin(config, path, want) ck_text(pv_config_origin(config, path), want, path)

static void ck_text(const char *got, const char *want, const char *path)
{
    bool same = want ? got && strcmp(got, want) == 0 : !got;
    ck_assert_msg(same, "%s: want '%s', got '%s'", path, want ? want : "-", got ? got : "-");
}

/* "ROOT/REST:WHERE" in a static buffer. */
static const char *at(const char *dir, const char *rest)
{
    static char text[800];
    snprintf(text, sizeof text, "%s/%s", dir, rest);
    return text;
}

START_TEST(without_any_file_the_defaults_hold)
{
    struct pv_config *config = load();
    ck_value(config, "store.plugin", "storage-local");
    ck_value(config, "store.path", "prov-data");
    ck_value(config, "chain.network", "offline");
    ck_value(config, "networks.offline.plugin", "chain-null");
    ck_value(config, "chain.fallback", "chain-null");
    ck_value(config, "reward.plugin", "reward");
    ck_value(config, "catalog.plugin", "catalog-sqlite");
    ck_value(config, "default_model", "default_model");
    ck_value(config, "model_id", NULL);
    ck_value(config, "keys", at(user_dir, "keys"));
    ck_value(config, "state", at(home, ".local/state/prov"));
    ck_origin(config, "store.plugin", "default");
    ck_origin(config, "model_id", NULL);
    ck_assert_int_eq(pv_config_int(config, "record.batch_size", -1), 10);
    ck_assert_int_eq(pv_config_int(config, "record.nothing", -1), -1);
    ck_assert(pv_config_bool(config, "record.auto_verify", false));
    ck_assert(pv_config_duration_ns(config, "record.max_delay", 0) == 1000000000);
    ck_assert(pv_config_duration_ns(config, "anchor.min_interval", 0) == 600000000000);
    ck_assert_uint_eq(pv_config_count(config, "record.context"), 2);
    ck_text(pv_config_item(config, "record.context", 1), "libraries", "record.context.1");
    ck_text(pv_config_item(config, "record.context", 2), NULL, "record.context.2");
    ck_assert_uint_eq(pv_config_count(config, "trust.keys"), 0);
    ck_text(pv_config_file(config), NULL, "file");
    ck_text(pv_config_dir(config), project, "dir");
    ck_text(pv_config_user_dir(config), user_dir, "user_dir");
    ck_assert(!pv_config_trusted(config));
    pv_config_free(config);
}
END_TEST

/* Each source sets one key more than the next stronger one. */
START_TEST(a_stronger_source_wins_and_says_so)
{
    write_at(root, "etc/prov.yaml",
             "default_model: system\nmodel_id: system\nrecord: {batch_size: 1, max_delay: 1s}\n"
             "anchor: {min_interval: 1h}\n");
    write_at(user_dir, "prov.yaml", "model_id: user\nrecord: {batch_size: 2, max_delay: 2s}\n");
    write_project("model_id: project\nrecord:\n  batch_size: 3\n");
    set_env("PROV_MODEL_ID=environment", NULL, NULL);
    struct pv_config_flag flag = {"model_id", "flag", "--model-id"};
    struct pv_config *config = NULL;
    prov_error err;

    ck_assert_msg(load_with(&flag, 1, &config, &err) == PROV_OK, "%s", err.message);
    ck_value(config, "model_id", "flag");
    ck_origin(config, "model_id", "flag --model-id");
    ck_value(config, "record.batch_size", "3");
    ck_origin(config, "record.batch_size", at(project, "prov.yaml:3:15"));
    ck_value(config, "record.max_delay", "2s");
    ck_origin(config, "record.max_delay", at(user_dir, "prov.yaml:2:36"));
    ck_value(config, "anchor.min_interval", "1h");
    ck_origin(config, "anchor.min_interval", at(root, "etc/prov.yaml:4:24"));
    ck_value(config, "default_model", "system");
    pv_config_free(config);

    config = load();
    ck_value(config, "model_id", "environment");
    ck_origin(config, "model_id", "environment PROV_MODEL_ID");
    pv_config_free(config);

    set_env(NULL, NULL, NULL);
    config = load();
    ck_value(config, "model_id", "project");
    ck_origin(config, "model_id", at(project, "prov.yaml:1:11"));
    pv_config_free(config);
}
END_TEST

START_TEST(the_project_file_is_found_upward_or_named)
{
    write_project("model_id: upward\n");
    char below[400];
    prov_error err = {0};
    struct pv_config *config = NULL;
    snprintf(below, sizeof below, "%s/a/b", project);
    ck_assert_int_eq(psdk_mkdirs(below, 0700, &err), PROV_OK);
    struct pv_config_source source = {.work_dir = below, .system_file = system_file, .environ = environment};
    ck_assert_msg(pv_config_load(&source, &config, &err) == PROV_OK, "%s", err.message);
    ck_value(config, "model_id", "upward");
    ck_text(pv_config_file(config), at(project, "prov.yaml"), "file");
    ck_text(pv_config_dir(config), project, "dir");
    pv_config_free(config);

    write_at(root, "other/named.yaml", "model_id: named\n");
    source.file = "../../../other/named.yaml";
    ck_assert_msg(pv_config_load(&source, &config, &err) == PROV_OK, "%s", err.message);
    ck_value(config, "model_id", "named");
    pv_config_free(config);

    source.file = NULL;
    char named[400];
    snprintf(named, sizeof named, "PROV_CONFIG=%s/other/named.yaml", root);
    set_env(named, NULL, NULL);
    ck_assert_msg(pv_config_load(&source, &config, &err) == PROV_OK, "%s", err.message);
    ck_value(config, "model_id", "named");
    pv_config_free(config);

    source.file = "missing.yaml";
    ck_assert_int_eq(pv_config_load(&source, &config, &err), PROV_E_CONFIG);
    ck_assert_msg(strstr(err.message, "missing.yaml: No such file") != NULL, "%s", err.message);
    source.file = "/";
    ck_assert_int_eq(pv_config_load(&source, &config, &err), PROV_E_CONFIG);
    ck_assert_msg(strstr(err.message, "not a regular file") != NULL, "%s", err.message);
}
END_TEST

START_TEST(networks_d_adds_to_the_networks_in_order)
{
    const char *file =
        write_project("chain: {network: dev}\nnetworks:\n  dev: {plugin: one, rpc: [a, b], contracts: {Old: '1'}}\n");
    trust(file);
    trust(write_at(project, "networks.d/10-dev.yaml", "dev:\n  contracts: {New: '2', Old: '3'}\n  rpc: [c]\n"));
    trust(write_at(project, "networks.d/20-more.yaml", "more: {plugin: two}\n"));
    write_at(project, "networks.d/README.txt", "not: [yaml\n");
    write_at(project, "networks.d/.hidden.yaml", "not: [yaml\n");
    struct pv_config *config = load();
    ck_value(config, "networks.dev.contracts.Old", "3");
    ck_value(config, "networks.dev.contracts.New", "2");
    ck_assert_uint_eq(pv_config_count(config, "networks.dev.rpc"), 1);
    ck_value(config, "networks.dev.rpc.0", "c");
    ck_origin(config, "networks.dev.contracts.New", at(project, "networks.d/10-dev.yaml:2:20"));
    ck_value(config, "networks.more.plugin", "two");
    ck_text(pv_config_member(config, "networks", 0), "offline", "first network");
    ck_text(pv_config_member(config, "networks", 1), "dev", "second network");
    ck_text(pv_config_member(config, "networks", 2), "more", "third network");
    ck_text(pv_config_member(config, "networks", 3), NULL, "no fourth network");
    ck_text(pv_config_member(config, "networks.dev.contracts", 0), "New", "first contract");
    pv_config_free(config);

    write_at(project, "networks.d/30.yaml", "networks:\n  dev: {plugin: x}\n");
    load_fails("networks.d/30.yaml:1:1: a file of networks.d has the names themselves at the top");
}
END_TEST

START_TEST(another_backend_drops_the_options_of_the_one_before)
{
    write_at(user_dir, "prov.yaml", "store: {plugin: one, path: /a, colour: red}\ncatalog: {plugin: c, size: 1}\n");
    trust(write_project("store: {bucket: b, plugin: two}\ncatalog: {size: 2, plugin: c, more: 3}\n"));
    struct pv_config *config = load();
    ck_value(config, "store.plugin", "two");
    ck_value(config, "store.bucket", "b");
    ck_value(config, "store.path", NULL);
    ck_value(config, "store.colour", NULL);
    ck_value(config, "catalog.size", "2");
    ck_value(config, "catalog.more", "3");
    ck_text(pv_config_base(config, "store"), project, "base of store");
    pv_config_free(config);
}
END_TEST

START_TEST(a_list_is_replaced_whole_also_by_an_empty_one)
{
    write_at(user_dir, "prov.yaml", "trust: {keys: [a, b, c], writers: [w]}\nanchor: {kinds: [x]}\n");
    trust(write_project("trust: {keys: [d]}\nanchor: {kinds: []}\n"));
    struct pv_config *config = load();
    ck_assert_uint_eq(pv_config_count(config, "trust.keys"), 1);
    ck_value(config, "trust.keys.0", "d");
    ck_value(config, "trust.writers.0", "w");
    ck_assert_uint_eq(pv_config_count(config, "anchor.kinds"), 0);
    ck_origin(config, "anchor.kinds", at(project, "prov.yaml:2:17"));
    pv_config_free(config);

    struct pv_config_flag flags[] = {{"trust.keys", "e", "--trust"}, {"trust.keys", "f", "--trust"}};
    prov_error err;
    ck_assert_msg(load_with(flags, 2, &config, &err) == PROV_OK, "%s", err.message);
    ck_assert_uint_eq(pv_config_count(config, "trust.keys"), 2);
    ck_value(config, "trust.keys.1", "f");
    pv_config_free(config);
}
END_TEST

START_TEST(relative_paths_count_from_the_file_that_has_them)
{
    write_at(user_dir, "prov.yaml", "keys: my-keys\nplugins: {path: [./p, /abs]}\nstore: {path: data}\n");
    struct pv_config *config = load();
    ck_value(config, "keys", at(user_dir, "my-keys"));
    ck_value(config, "plugins.path.0", at(user_dir, "p"));
    ck_value(config, "plugins.path.1", "/abs");
    ck_text(pv_config_base(config, "store.path"), user_dir, "base of store.path");
    ck_text(pv_config_base(config, "catalog.path"), project, "base of an absent value");
    pv_config_free(config);
    set_env("PROV_KEYS=here", NULL, NULL);
    config = load();
    ck_value(config, "keys", at(project, "here"));
    pv_config_free(config);
}
END_TEST

static const struct {
    const char *url, *plugin, *path, *bucket, *prefix, *error;
} stores[] = {
    {"s3://buck/a/b", "storage-s3", NULL, "buck", "a/b", NULL},
    {"s3://buck", "storage-s3", NULL, "buck", NULL, NULL},
    {"s3://buck//a", "storage-s3", NULL, "buck", "a", NULL},
    {"file:///x%20y", "storage-local", "/x y", NULL, NULL, NULL},
    {"./rel", "storage-local", "./rel", NULL, NULL, NULL},
    {"/abs", "storage-local", "/abs", NULL, NULL, NULL},
    {"s3://", NULL, NULL, NULL, NULL, "flag --store: want s3://BUCKET/PREFIX"},
    {"s3://b?x=1", NULL, NULL, NULL, NULL, "flag --store: want s3://BUCKET/PREFIX"},
    {"ftp://x/y", NULL, NULL, NULL, NULL, "flag --store: want s3://BUCKET/PREFIX, file:///FOLDER or a folder"},
    {"file://host/y", NULL, NULL, NULL, NULL, "flag --store: want s3://"},
    {"file:///a%0", NULL, NULL, NULL, NULL, "bad %XX escape"},
    {"file:///a%00b", NULL, NULL, NULL, NULL, "bad %XX escape"},
    {"", NULL, NULL, NULL, NULL, "flag --store: want s3://"},
};

START_TEST(a_store_url_chooses_backend_and_options)
{
    write_project("store: {plugin: storage-s3, bucket: old, prefix: old, region: r}\n");
    struct pv_config_flag flag = {"store", stores[_i].url, "--store"};
    struct pv_config *config = NULL;
    prov_error err;
    int rc = load_with(&flag, 1, &config, &err);
    if (stores[_i].error) {
        ck_assert_int_eq(rc, PROV_E_CONFIG);
        ck_assert_msg(strstr(err.message, stores[_i].error) != NULL, "%s", err.message);
        return;
    }
    ck_assert_msg(rc == PROV_OK, "%s", err.message);
    ck_value(config, "store.plugin", stores[_i].plugin);
    ck_value(config, "store.path", stores[_i].path);
    ck_value(config, "store.bucket", stores[_i].bucket);
    ck_value(config, "store.prefix", stores[_i].prefix);
    ck_value(config, "store.region", stores[_i].bucket ? "r" : NULL);
    ck_origin(config, "store", "flag --store");
    pv_config_free(config);
}
END_TEST

START_TEST(wrong_flags_are_refused)
{
    const struct {
        struct pv_config_flag flag;
        const char *message;
    } rows[] = {
        {{"chain.netwrok", "x", "--network"}, "flag --network: unknown key 'chain.netwrok'"},
        {{"chain.network", "nope", "--network"}, "flag --network: chain.network: there is no network 'nope'"},
        {{"record.batch_size", "x", "--batch-size"}, "flag --batch-size: record.batch_size: want a whole number"},
        {{"networks.dev.private_key", "0x1", "--key"}, "flag --key: a secret is never given by a flag"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct pv_config *config = NULL;
        prov_error err;
        ck_assert_int_eq(load_with(&rows[i].flag, 1, &config, &err), PROV_E_CONFIG);
        ck_assert_msg(strstr(err.message, rows[i].message) != NULL, "%s", err.message);
        ck_assert_ptr_null(strstr(err.message, "0x1"));
    }
}
END_TEST

/* One line for each value: "name=value;". */
static void note(void *ctx, const char *name, const char *value, const char *where)
{
    ck_assert_ptr_nonnull(where);
    psdk_buf_addf(ctx, "%s=%s;", name, value);
}

START_TEST(a_section_is_listed_in_file_order)
{
    write_project(
        "networks:\n  dev:\n    rpc: [a, b]\n    plugin: x\n    contracts: {B: '2', A: '1'}\n    empty: []\n");
    struct pv_config *config = load();
    struct psdk_buf text = {0};
    pv_config_each(config, "networks.dev", note, &text);
    ck_assert_str_eq(psdk_buf_str(&text), "plugin=x;rpc=a;rpc=b;contracts.B=2;contracts.A=1;");
    psdk_buf_done(&text);
    pv_config_each(config, "nothing", note, &text);
    ck_assert_str_eq(psdk_buf_str(&text), "");
    pv_config_free(config);
}
END_TEST

START_TEST(shown_values_have_types_origins_and_no_secrets)
{
    trust(
        write_project("catalog: {plugin: c, url: 'postgres://u:${DB_PW}@h/d?password=${DB_PW}&x=1', dsn: 'host=h "
                      "password=${DB_PW} z=1'}\n"
                      "networks:\n  dev:\n    plugin: x\n    rpc: ['http://h/?apikey=${KEY_URL}', \"${SOME_TOKEN}\"]\n"
                      "    private_key: ${KEY}\n    chain_id: 31337\n    quoted: '31337'\n    fast: true\n    big: "
                      "123456789012345678901\n"));
    set_env("DB_PW=hush-1", "KEY=hush-2", "KEY_URL=hush-3");
    environment[5] = "SOME_TOKEN=hush-4";
    environment[6] = NULL;
    struct pv_config *config = load();
    prov_error err = {0};
    ck_value(config, "networks.dev.private_key", "hush-2");
    for (int flat = 0; flat < 2; flat++) {
        json_t *shown = pv_config_show(config, flat == 1, &err);
        ck_assert_msg(shown != NULL, "%s", err.message);
        char *text = json_dumps(shown, 0);
        ck_assert_msg(strstr(text, "hush") == NULL, "%s", text);
        ck_assert_ptr_nonnull(strstr(text, "postgres://u:***@h/d?password=***&x=1"));
        ck_assert_ptr_nonnull(strstr(text, "host=h password=*** z=1"));
        ck_assert_ptr_nonnull(strstr(text, "http://h/?apikey=***"));
        free(text);
        if (flat) {
            json_t *row = json_object_get(shown, "networks.dev.private_key");
            ck_text(json_string_value(json_object_get(row, "value")), "***", "private_key");
            ck_text(json_string_value(json_object_get(row, "origin")), at(project, "prov.yaml:6:18"), "origin");
        } else {
            json_t *dev = json_object_get(json_object_get(shown, "networks"), "dev");
            ck_assert_int_eq(json_integer_value(json_object_get(dev, "chain_id")), 31337);
            ck_assert(json_is_string(json_object_get(dev, "quoted")));
            ck_assert(json_is_true(json_object_get(dev, "fast")));
            ck_assert(json_is_string(json_object_get(dev, "big")));
            ck_assert_uint_eq(json_array_size(json_object_get(dev, "rpc")), 2);
            ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(shown, "record"), "batch_size")), 10);
            ck_assert_str_eq(json_object_iter_key(json_object_iter(shown)), "version");
        }
        json_decref(shown);
    }
    pv_config_free(config);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config: sources");
    TCase *tests = tcase_create("sources");
    tcase_add_checked_fixture(tests, make_home, drop_home);
    tcase_add_test(tests, without_any_file_the_defaults_hold);
    tcase_add_test(tests, a_stronger_source_wins_and_says_so);
    tcase_add_test(tests, the_project_file_is_found_upward_or_named);
    tcase_add_test(tests, networks_d_adds_to_the_networks_in_order);
    tcase_add_test(tests, another_backend_drops_the_options_of_the_one_before);
    tcase_add_test(tests, a_list_is_replaced_whole_also_by_an_empty_one);
    tcase_add_test(tests, relative_paths_count_from_the_file_that_has_them);
    tcase_add_loop_test(tests, a_store_url_chooses_backend_and_options, 0, (int)(sizeof stores / sizeof *stores));
    tcase_add_test(tests, wrong_flags_are_refused);
    tcase_add_test(tests, a_section_is_listed_in_file_order);
    tcase_add_test(tests, shown_values_have_types_origins_and_no_secrets);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
