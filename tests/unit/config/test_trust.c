/* test_trust.c - what a project file may do before its user has trusted it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config_test.h"

#include "psdk_hash.h"

static const struct {
    const char *text, *message; /* message: after "FILE:" */
} refused[] = {
    {"plugins:\n  path: [./evil]\n",
     "1:1: 'plugins' is not allowed in a project file that you have not trusted; read it, then run: "
     "prov config trust "},
    {"plugins: {pins: {x: y}}\n", "1:1: 'plugins' is not allowed"},
    {"trust: {keys: [a]}\n", "1:1: 'trust' is not allowed"},
    {"version: 1\nkeys: ./k\n", "2:1: 'keys' is not allowed"},
    {"state: ./s\n", "1:1: 'state' is not allowed"},
    {"networks:\n  dev: {plugin: x, private_key_file: /home/u/key}\n",
     "2:20: 'networks.dev.private_key_file' is not allowed"},
    {"networks: {dev: {plugin: x, keystore: k}}\n", "1:29: 'networks.dev.keystore' is not allowed"},
    {"store: {plugin: x, credentials_file: k}\n", "1:20: 'store.credentials_file' is not allowed"},
    {"store: {plugin: x, tls: {ca-file: k}}\n", "1:26: 'store.tls.ca-file' is not allowed"},
    {"store: {plugin: x, exec: [sh]}\n", "1:20: 'store.exec' is not allowed"},
    {"reward: {hooks: {a: sh}}\n", "1:10: 'reward.hooks' is not allowed"},
    {"catalog: {password_command: sh}\n", "1:11: 'catalog.password_command' is not allowed"},
    {"record: {context: [git, command]}\n", "1:25: 'command' in record.context is not allowed"},
    {"record: {context: [host]}\n", "1:20: 'host' in record.context is not allowed"},
    {"model_id: ${AWS_SECRET_ACCESS_KEY}\n",
     "1:11: expanding ${AWS_SECRET_ACCESS_KEY} is not allowed in a project file"},
    {"store: {endpoint: 'http://evil/${PATH:-x}'}\n", "1:19: expanding ${PATH} is not allowed"},
    {"store: {endpoint: '${XDGX}'}\n", "1:19: expanding ${XDGX} is not allowed"},
};

START_TEST(an_untrusted_file_is_refused_at_the_key)
{
    char want[1200];
    const char *file = write_project(refused[_i].text);
    set_env("AWS_SECRET_ACCESS_KEY=hush", NULL, NULL);
    snprintf(want, sizeof want, "%s:%s", file, refused[_i].message);
    load_fails(want);
    prov_error err = {0};
    struct pv_config *config = NULL;
    struct pv_config_source source = {
        .file = file, .work_dir = root, .system_file = system_file, .environ = environment};
    ck_assert_msg(pv_config_load(&source, &config, &err) == PROV_E_CONFIG, "--config counts the same");
    ck_assert_msg(strstr(err.message, want) != NULL, "%s", err.message);
    ck_assert_ptr_null(strstr(err.message, "hush"));
}
END_TEST

START_TEST(an_untrusted_file_may_do_ordinary_things)
{
    write_project("version: 1\nmodel_id: ${PROV_MODEL_ID:-m}\nstore: {path: '${HOME}/d'}\nchain: {network: dev}\n"
                  "networks: {dev: {plugin: x, rpc: ['http://127.0.0.1:1']}}\nrecord: {context: [git]}\nanchor: {when: "
                  "[manual]}\n");
    struct pv_config *config = load();
    ck_assert_str_eq(pv_config_str(config, "model_id"), "m");
    ck_assert(!pv_config_trusted(config));
    pv_config_free(config);
}
END_TEST

START_TEST(trust_lasts_until_the_file_changes)
{
    const char *text = "plugins: {path: [p]}\nmodel_id: ${WHATEVER}\ntrust: {keys: [a]}\n";
    const char *file = write_project(text);
    set_env("WHATEVER=w", NULL, NULL);
    load_fails("'plugins' is not allowed");
    trust(file);
    struct pv_config *config = load();
    ck_assert_str_eq(pv_config_str(config, "model_id"), "w");
    ck_assert(pv_config_trusted(config));
    pv_config_free(config);

    write_project("plugins: {path: [q]}\nmodel_id: ${WHATEVER}\n");
    load_fails("'plugins' is not allowed");
    write_project(text);
    pv_config_free(load());

    /* The same bytes at another place, of a name as long, are another file. */
    struct pv_config_source source = {.file = write_at(root, "projecT/prov.yaml", text),
                                      .work_dir = root,
                                      .system_file = system_file,
                                      .environ = environment};
    prov_error err = {0};
    ck_assert_int_eq(pv_config_load(&source, &config, &err), PROV_E_CONFIG);
}
END_TEST

START_TEST(the_list_of_trusted_files_has_one_line_for_each)
{
    struct psdk_buf list = {0};
    struct stat st;
    prov_error err = {0};
    char hex[PSDK_SHA256_HEX], path[600], want[1200];
    uint8_t digest[32];
    const char *file = write_project("version: 1\n");
    trust(write_at(project, "other.yaml", "version: 1\n"));
    trust(file);
    write_project("model_id: m\n");
    trust(file);
    trust(file);
    snprintf(path, sizeof path, "%s/trusted", user_dir);
    ck_assert_int_eq(psdk_read_file(path, 10000, &list, &err), PROV_OK);
    psdk_sha256("version: 1\n", 11, digest);
    psdk_hex(digest, 32, hex);
    int n = snprintf(want, sizeof want, "%s  %s/other.yaml\n", hex, project);
    psdk_sha256("model_id: m\n", 12, digest);
    psdk_hex(digest, 32, hex);
    snprintf(want + n, sizeof want - (size_t)n, "%s  %s/prov.yaml\n", hex, project);
    ck_assert_str_eq(psdk_buf_str(&list), want);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_int_eq(st.st_mode & 07777, 0600);
    psdk_buf_done(&list);
    ck_assert_int_eq(pv_config_trust("/nowhere/prov.yaml", user_dir, &err), PROV_E_NOT_FOUND);
}
END_TEST

START_TEST(trust_makes_the_folder_and_finds_it_itself)
{
    prov_error err = {0};
    const char *file = write_project("keys: k\n");
    ck_assert_int_eq(psdk_remove_tree(user_dir, &err), PROV_OK);
    ck_assert_msg(pv_config_trust(file, NULL, &err) == PROV_OK, "%s", err.message);
    pv_config_free(load());
}
END_TEST

START_TEST(files_that_others_can_write_are_refused)
{
    char path[600];
    const char *own = write_at(user_dir, "prov.yaml", "model_id: m\n");
    pv_config_free(load());
    ck_assert_int_eq(chmod(own, 0666), 0);
    load_fails("prov.yaml");
    ck_assert_int_eq(chmod(own, 0600), 0);
    pv_config_free(load());
    const char *system = write_at(root, "etc/prov.yaml", "model_id: s\n");
    ck_assert_int_eq(chmod(system, 0622), 0);
    load_fails("etc/prov.yaml");
    ck_assert_int_eq(chmod(system, 0644), 0);
    pv_config_free(load());
    const char *network = write_at(user_dir, "networks.d/x.yaml", "x: {plugin: y}\n");
    ck_assert_int_eq(chmod(network, 0666), 0);
    load_fails("networks.d/x.yaml");
    ck_assert_int_eq(chmod(network, 0600), 0);
    trust(write_project("keys: k\n"));
    snprintf(path, sizeof path, "%s/trusted", user_dir);
    ck_assert_int_eq(chmod(path, 0602), 0);
    load_fails("list of trusted files: ");
}
END_TEST

START_TEST(networks_d_needs_trust_file_by_file)
{
    trust(write_project("networks: {dev: {plugin: x}}\n"));
    const char *file = write_at(project, "networks.d/dev.yaml", "prod: {plugin: x, private_key_file: k}\n");
    load_fails(
        "networks.d/dev.yaml:1:19: 'networks.prod.private_key_file' is not allowed in a project file that you have not "
        "trusted; read it, then run: prov config trust ");
    trust(file);
    struct pv_config *config = load();
    ck_assert_str_eq(pv_config_str(config, "networks.prod.private_key_file"), "k");
    pv_config_free(config);
}
END_TEST

START_TEST(trust_holds_for_a_file_reached_through_a_link)
{
    char link[400];
    const char *file = write_at(root, "shared/net.yaml", "prod: {plugin: x, private_key_file: k}\n");
    write_project("version: 1\n");
    write_at(project, "networks.d/a.yaml", "a: {plugin: x}\n");
    snprintf(link, sizeof link, "%s/networks.d/b.yaml", project);
    ck_assert_int_eq(symlink(file, link), 0);
    load_fails("'networks.prod.private_key_file' is not allowed");
    trust(link);
    pv_config_free(load());
}
END_TEST

/* The user's credentials must not be sent where a cloned project says. */
START_TEST(a_section_never_mixes_files_of_different_trust)
{
    write_at(user_dir, "prov.yaml",
             "store: {plugin: s, password: '${PW}', endpoint: 'https://mine'}\n"
             "networks: {main: {plugin: c, private_key_file: /k, rpc: [https://mine]}}\n");
    set_env("PW=pw", NULL, NULL);
    write_project("store: {plugin: s, endpoint: 'http://evil'}\n");
    struct pv_config *config = load();
    ck_assert_str_eq(pv_config_str(config, "store.endpoint"), "http://evil");
    ck_assert_ptr_null(pv_config_str(config, "store.password"));
    ck_assert_str_eq(pv_config_str(config, "networks.main.private_key_file"), "/k");
    pv_config_free(config);

    write_project("store: {endpoint: 'http://evil'}\n");
    config = load();
    ck_assert_ptr_null(pv_config_str(config, "store.password"));
    ck_assert_str_eq(pv_config_str(config, "store.plugin"), "storage-local");
    pv_config_free(config);

    write_project("networks: {main: {rpc: [http://evil]}}\n");
    load_fails("networks.main has no 'plugin'; name its backend (what your own files say");

    write_project("networks: {main: {plugin: c, rpc: [http://evil]}}\n");
    config = load();
    ck_assert_ptr_null(pv_config_str(config, "networks.main.private_key_file"));
    pv_config_free(config);

    /* And the other way round: a trusted file beside an untrusted one. */
    trust(write_at(project, "networks.d/a.yaml", "main: {plugin: c, private_key_file: /k2}\n"));
    config = load();
    ck_assert_str_eq(pv_config_str(config, "networks.main.private_key_file"), "/k2");
    ck_assert_uint_eq(pv_config_count(config, "networks.main.rpc"), 0);
    pv_config_free(config);

    /* Once trusted, the sources merge as usual. */
    trust(write_project("store: {endpoint: 'http://good'}\n"));
    config = load();
    ck_assert_str_eq(pv_config_str(config, "store.endpoint"), "http://good");
    ck_assert_str_eq(pv_config_str(config, "store.password"), "pw");
    pv_config_free(config);
}
END_TEST

START_TEST(the_users_own_file_is_trusted_also_as_the_project_file)
{
    const char *own = write_at(user_dir, "prov.yaml", "keys: k\ntrust: {keys: [a]}\n");
    struct pv_config_source source = {.work_dir = user_dir, .system_file = system_file, .environ = environment};
    struct pv_config *config = NULL;
    prov_error err = {0};
    ck_assert_msg(pv_config_load(&source, &config, &err) == PROV_OK, "%s", err.message);
    ck_assert_str_eq(pv_config_file(config), own);
    ck_assert(pv_config_trusted(config));
    ck_assert_uint_eq(pv_config_count(config, "trust.keys"), 1);
    pv_config_free(config);
}
END_TEST

START_TEST(the_database_of_the_environment_does_not_meet_options_of_an_untrusted_file)
{
    write_project("catalog: {plugin: catalog-postgres, proxy: evil}\n");
    set_env("DATABASE_URL=postgres://u:pw@mine/d", NULL, NULL);
    struct pv_config *config = load();
    ck_assert_str_eq(pv_config_str(config, "catalog.url"), "postgres://u:pw@mine/d");
    ck_assert_ptr_null(pv_config_str(config, "catalog.proxy"));
    pv_config_free(config);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config: trust");
    TCase *tests = tcase_create("trust");
    tcase_add_checked_fixture(tests, make_home, drop_home);
    tcase_add_loop_test(tests, an_untrusted_file_is_refused_at_the_key, 0, (int)(sizeof refused / sizeof *refused));
    tcase_add_test(tests, an_untrusted_file_may_do_ordinary_things);
    tcase_add_test(tests, trust_lasts_until_the_file_changes);
    tcase_add_test(tests, the_list_of_trusted_files_has_one_line_for_each);
    tcase_add_test(tests, trust_makes_the_folder_and_finds_it_itself);
    tcase_add_test(tests, files_that_others_can_write_are_refused);
    tcase_add_test(tests, networks_d_needs_trust_file_by_file);
    tcase_add_test(tests, trust_holds_for_a_file_reached_through_a_link);
    tcase_add_test(tests, a_section_never_mixes_files_of_different_trust);
    tcase_add_test(tests, the_users_own_file_is_trusted_also_as_the_project_file);
    tcase_add_test(tests, the_database_of_the_environment_does_not_meet_options_of_an_untrusted_file);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
