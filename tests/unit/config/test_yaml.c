/* test_yaml.c - bad files are refused at the right place, in words that help.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "config_test.h"

static int load_text(const char *text, size_t len, struct pv_config **ret, prov_error *err)
{
    static const char *const names[] = {"HOME=/home/u", "EMPTY=",   "NUMBER=7", "WORD=some",
                                        "TOKEN=tok-3n", "BAD=\xff", NULL};
    memset(err, 0, sizeof *err);
    return pv_config_load_text(text, len, "f.yaml", true, names, ret, err);
}

static const struct {
    const char *text, *message;
} bad_files[] = {
    /* keys */
    {"stroe: {path: x}\n", "f.yaml:1:1: unknown key 'stroe'; did you mean 'store'?"},
    {"record:\n  batch_sise: 3\n", "f.yaml:2:3: unknown key 'record.batch_sise'; did you mean 'record.batch_size'?"},
    {"batch_size: 3\n", "f.yaml:1:1: unknown key 'batch_size'; did you mean 'record.batch_size'?"},
    {"hooks: {a: b}\n", "f.yaml:1:1: unknown key 'hooks'"},
    {"anchor: {min_interval: 1m, when: [seel]}\n",
     "f.yaml:1:35: anchor.when: 'seel' is not one of version, proof, seal, manual; "
     "did you mean 'seal'?"},
    {"store: {path: a}\nchain: {}\nstore: {path: b}\n",
     "f.yaml:3:1: 'store' is given twice; the first is at line 1, column 1"},
    {"record: {batch_size: 3, batch_size: 4}\n",
     "f.yaml:1:25: 'batch_size' is given twice; the first is at line 1, column 10"},
    {"store:\n  ? [a]\n  : b\n", "f.yaml:2:5: a key must be a plain word"},
    {"store: {a.b: c}\n", "f.yaml:1:9: a key is 1 to 128"},
    {"store: {\"\\e[31m\": c}\n", "f.yaml:1:9: a key is 1 to 128"},
    {"store: {'': c}\n", "f.yaml:1:9: a key is 1 to 128"},
    {"networks:\n  env: {plugin: x}\n", "f.yaml:2:3: the network 'env' is the one that RPC_URL"},
    {"networks: {a/b: {plugin: x}}\n", "f.yaml:1:12: a network's name is"},
    /* what YAML has and a configuration has not */
    {"store: &a {path: x}\n", "f.yaml:1:8: an anchor (&name)"},
    {"a: &a [x,x]\nb: &b [*a,*a]\nc: [*b,*b]\n", "f.yaml:1:4: an anchor (&name)"},
    {"store: *a\n", "f.yaml:1:8: an alias (*name)"},
    {"*a : x\n", "f.yaml:1:1: an alias (*name)"},
    {"store: {<<: {path: x}}\n", "f.yaml:1:9: a merge key (<<)"},
    {"store: !x {path: y}\n", "f.yaml:1:8: a tag (!name)"},
    {"model_id: !!str 5\n", "f.yaml:1:11: a tag (!name)"},
    {"version: 1\n---\nversion: 1\n", "f.yaml:2:1: a second document begins here"},
    {"version: 1\n...\nversion: 1\n", "f.yaml:3:1: "},
    {"store:\n\tpath: x\n", "f.yaml:2:1: a tab in the indentation"},
    {"store:\n  plugin: x\n  \tpath: x\n", "f.yaml:3:3: a tab in the indentation"},
    {"store: {path: x\nchain: y\n", "f.yaml:2:6: "},
    {"store: \"x\n",
     "f.yaml:2:1: found unexpected end of stream (while scanning a quoted scalar that begins at line 1)"},
    {"- a\n- b\n", "f.yaml:1:1: want 'key: value' lines at the top"},
    {"just words\n", "f.yaml:1:1: want 'key: value' lines at the top"},
    {"store: {a: [[x]]}\n", "f.yaml:1:13: store.a: a list here holds plain values"},
    {"store: {a: [{b: c}]}\n", "f.yaml:1:13: store.a: a list here holds plain values"},
    {"model_id: \"a\\0b\"\n", "f.yaml:1:11: a NUL character"},
    {"model_id: a\x01\n", "f.yaml:1:12: a control character"},
    {"model_id: gr\xc3\xbc\xc3\n", "f.yaml:1:14: not UTF-8"},
    {"model_id: \xed\xa0\x80\n", "f.yaml:1:11: not UTF-8"},
    {"\xff\xfev\0e\0r\0", "f.yaml:1:1: not UTF-8"},
    /* types */
    {"record: {batch_size: ten}\n", "f.yaml:1:22: record.batch_size: want a whole number, got 'ten'"},
    {"record: {batch_size: '10'}\n",
     "f.yaml:1:22: record.batch_size: want a whole number, got '10' (a string, since it is quoted)"},
    {"record: {batch_size: 010}\n", "f.yaml:1:22: record.batch_size: '010' looks octal"},
    {"record: {batch_size: 0x10}\n", "f.yaml:1:22: record.batch_size: want a whole number"},
    {"record: {batch_size: 1_0}\n", "f.yaml:1:22: record.batch_size: want a whole number"},
    {"record: {batch_size: 1e1}\n", "f.yaml:1:22: record.batch_size: want a whole number"},
    {"record: {batch_size: 0}\n", "f.yaml:1:22: record.batch_size: want 1 to 65536, got 0"},
    {"record: {batch_size: 99999999999999999999}\n", "f.yaml:1:22: record.batch_size: want 1 to 65536"},
    {"record: {batch_size: [1]}\n", "f.yaml:1:22: record.batch_size: want a whole number, got a list"},
    {"record: {batch_size: }\n", "f.yaml:1:22: record.batch_size has no value"},
    {"record: {auto_verify: yes}\n",
     "f.yaml:1:23: record.auto_verify: want true or false, got 'yes'; only these two words"},
    {"record: {auto_verify: Off}\n",
     "f.yaml:1:23: record.auto_verify: want true or false, got 'Off'; only these two words"},
    {"record: {auto_verify: TRUE}\n",
     "f.yaml:1:23: record.auto_verify: want true or false, got 'TRUE'; only these two words"},
    {"record: {auto_verify: 'true'}\n", "f.yaml:1:23: record.auto_verify: want true or false, got 'true' (a string"},
    {"record: {auto_verify: 1}\n", "f.yaml:1:23: record.auto_verify: want true or false, got '1'"},
    {"record: {max_delay: 10}\n",
     "f.yaml:1:21: record.max_delay: want a duration such as 500ms, 10s or 1h30m, got '10'"},
    {"record: yes\n", "f.yaml:1:9: record: want a map, got a single value"},
    {"record: [a]\n", "f.yaml:1:9: record: want a map, got a list"},
    {"trust: {keys: abc}\n", "f.yaml:1:15: trust.keys: want a list of strings, got a single value"},
    {"trust: {contracts: {137: '0x1'}}\n",
     "f.yaml:1:26: trust.contracts.137: want a list of strings, got a single value"},
    {"plugins: {pins: {storage-x: abc}}\n", "f.yaml:1:29: plugins.pins.storage-x: want a SHA-256 digest"},
    {"plugins: {path: ['~/x']}\n", "f.yaml:1:18: '~' is not expanded in paths; write ${HOME}/"},
    {"store: {plugin: ../evil}\n", "f.yaml:1:17: store.plugin: '../evil' is not a backend's name"},
    {"model_id: ''\n", "f.yaml:1:11: model_id: want a string, got nothing"},
    {"version: 2\n", "f.yaml:1:10: version: this prov reads version 1 of the file, not 2"},
    /* together */
    {"networks: {dev: {rpc: [a]}}\n", "f.yaml:1:24: networks.dev has no 'plugin'"},
    {"chain: {network: dec}\nnetworks: {dev: {plugin: x}}\n",
     "f.yaml:1:18: chain.network: there is no network 'dec' under networks; did you mean 'dev'?"},
    {"trust: {witnesses: {quorum: 2, keys: [a]}}\n",
     "f.yaml:1:29: trust.witnesses.quorum is 2, but 1 witness keys are listed"},
    /* expansion */
    {"model_id: ${NOPE}\n", "f.yaml:1:11: the environment variable NOPE is not set"},
    {"model_id: ${NOPE\n", "f.yaml:1:11: '${' without '}'"},
    {"model_id: $HOME\n", "f.yaml:1:11: a lone '$'"},
    {"model_id: 5$\n", "f.yaml:1:11: a lone '$'"},
    {"model_id: ${}\n", "f.yaml:1:11: want ${NAME}"},
    {"model_id: ${1X}\n", "f.yaml:1:11: want ${NAME}"},
    {"model_id: ${A B}\n", "f.yaml:1:11: want ${NAME}"},
    {"model_id: ${NOPE:-${WORD}}\n", "f.yaml:1:11: the default of ${NOPE} cannot hold another '$'"},
    {"model_id: ${BAD}\n", "f.yaml:1:11: the environment variable BAD is not UTF-8"},
    {"record: {batch_size: \"${WORD}\"}\n", "f.yaml:1:22: record.batch_size: want a whole number, got 'some'"},
    {"record: {batch_size: \"${TOKEN}\"}\n", "f.yaml:1:22: record.batch_size: want a whole number, got '***'"},
    /* secrets */
    {"networks:\n  dev:\n    plugin: x\n    private_key: '0x12'\n",
     "f.yaml:4:18: networks.dev.private_key: a secret written into"},
    {"store: {secret_access_key: abc}\n", "f.yaml:1:28: store.secret_access_key: a secret written into"},
    {"store: {headers: {Authorization: Bearer x}}\n",
     "f.yaml:1:34: store.headers.Authorization: a secret written into"},
    {"store: {api-tokens: [a]}\n", "f.yaml:1:22: store.api-tokens: a secret written into"},
    {"store: {password: \"${NOPE:-abc}\"}\n", "f.yaml:1:19: store.password: a secret written into"},
    {"catalog: {url: 'postgres://u:pw@h/d'}\n", "f.yaml:1:16: catalog.url: a secret written into"},
    {"catalog: {url: '${NOPE:-postgres://u:pw@h/d}'}\n", "f.yaml:1:16: catalog.url: a secret written into"},
};

START_TEST(a_bad_file_is_refused_at_its_place)
{
    struct pv_config *config = NULL;
    prov_error err;
    const char *text = bad_files[_i].text, *message = bad_files[_i].message;
    size_t len = strstr(message, "1:1: not UTF-8") ? 8 : strlen(text);
    int rc = load_text(text, len, &config, &err);
    ck_assert_msg(rc == PROV_E_CONFIG, "'%s': want a refusal, got %d %s", text, rc, err.message);
    ck_assert_msg(strncmp(err.message, message, strlen(message)) == 0, "'%s':\n want '%s'\n got  '%s'", text, message,
                  err.message);
    ck_assert_ptr_null(strstr(err.message, "tok-3n"));
    ck_assert_ptr_null(config);
}
END_TEST

static const struct {
    const char *text, *path, *value;
} good_files[] = {
    {"", "record.batch_size", "10"},
    {"# only words\n", "record.batch_size", "10"},
    {"---\n", "version", "1"},
    {"\xef\xbb\xbfversion: 1\nmodel_id: m\n", "model_id", "m"},
    {"store:\nrecord:\n  # all commented out\n", "record.batch_size", "10"},
    {"record: {batch_size: 12}\n", "record.batch_size", "12"},
    {"record: {batch_size: \"${NUMBER}\"}\n", "record.batch_size", "7"},
    {"record: {batch_size: \"${EMPTY:-8}\"}\n", "record.batch_size", "8"},
    {"model_id: ${NOPE:-}x\n", "model_id", "x"},
    {"model_id: a$$b\n", "model_id", "a$b"},
    {"model_id: $${HOME}\n", "model_id", "${HOME}"},
    {"model_id: ${WORD}-${NUMBER}\n", "model_id", "some-7"},
    {"model_id: 0123\n", "model_id", "0123"},
    {"model_id: no\n", "model_id", "no"},
    {"keys: k\n", "keys", "/k"},
    {"keys: ./k\n", "keys", "/k"},
    {"state: ${HOME}/s\n", "state", "/home/u/s"},
    {"plugins: {path: [a, /b]}\n", "plugins.path.1", "/b"},
    {"chain: {fallback: off}\n", "chain.fallback", "off"},
    {"store: {plugin: other, deep: {er: {x: y}}}\n", "store.deep.er.x", "y"},
    {"store: {path: y, plugin: other}\n", "store.path", "y"},
    {"trust: {contracts: {137: ['0xA', '0xB']}}\n", "trust.contracts.137.1", "0xB"},
    {"catalog: {url: 'postgres://u:${WORD}@h/d'}\n", "catalog.url", "postgres://u:some@h/d"},
    {"networks: {dev: {plugin: x}}\nchain: {network: dev}\n", "networks.dev.plugin", "x"},
    {"version: 1\r\nmodel_id: m\r\n", "model_id", "m"},
};

START_TEST(a_good_file_gives_its_value)
{
    struct pv_config *config = NULL;
    prov_error err;
    int rc = load_text(good_files[_i].text, strlen(good_files[_i].text), &config, &err);
    ck_assert_msg(rc == PROV_OK, "'%s': %s", good_files[_i].text, err.message);
    const char *value = pv_config_str(config, good_files[_i].path);
    ck_assert_msg(value && strcmp(value, good_files[_i].value) == 0, "'%s': got '%s'", good_files[_i].text,
                  value ? value : "-");
    pv_config_free(config);
}
END_TEST

static void check_refused(const char *text, size_t len, const char *message)
{
    struct pv_config *config = NULL;
    prov_error err;
    ck_assert_int_eq(load_text(text, len, &config, &err), PROV_E_CONFIG);
    ck_assert_msg(strstr(err.message, message) != NULL, "%s", err.message);
}

START_TEST(sizes_are_bounded)
{
    struct psdk_buf text = {0};
    psdk_buf_adds(&text, "store: ");
    for (int i = 0; i < 40; i++)
        psdk_buf_adds(&text, "{a: ");
    check_refused(psdk_buf_str(&text), text.len, "nested too deep");

    psdk_buf_clear(&text);
    psdk_buf_adds(&text, "trust: {keys: [a");
    for (int i = 0; i < 2000; i++)
        psdk_buf_adds(&text, ",a");
    psdk_buf_adds(&text, "]}\n");
    check_refused(psdk_buf_str(&text), text.len, "too many members");

    psdk_buf_clear(&text);
    for (int k = 0; k < 4; k++) {
        psdk_buf_addf(&text, "%s: {keys: [a", k == 0 ? "a" : k == 1 ? "b" : k == 2 ? "c" : "d");
        for (int i = 0; i < 1500; i++)
            psdk_buf_adds(&text, ",a");
        psdk_buf_adds(&text, "]}\n");
    }
    check_refused(psdk_buf_str(&text), text.len, "too many values");

    psdk_buf_clear(&text);
    while (text.len <= PV_CONFIG_MAX_BYTES)
        psdk_buf_adds(&text, "# a comment that goes on and on\n");
    check_refused(psdk_buf_str(&text), text.len, "larger than 1 MiB");

    psdk_buf_clear(&text);
    for (size_t i = 0; i < 200000; i++)
        psdk_buf_addc(&text, '[');
    check_refused(psdk_buf_str(&text), text.len, "nested too deep");
    psdk_buf_done(&text);
}
END_TEST

START_TEST(keys_on_the_way_to_a_value_cannot_grow_without_bound)
{
    struct psdk_buf text = {0};
    psdk_buf_adds(&text, "store: ");
    for (int i = 0; i < 8; i++) {
        psdk_buf_adds(&text, "{");
        for (int k = 0; k < 100; k++)
            psdk_buf_addc(&text, 'k');
        psdk_buf_adds(&text, ": ");
    }
    psdk_buf_adds(&text, "x}}}}}}}}\n");
    check_refused(psdk_buf_str(&text), text.len, "too long together");
    psdk_buf_done(&text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config: files");
    TCase *tests = tcase_create("yaml");
    tcase_add_loop_test(tests, a_bad_file_is_refused_at_its_place, 0, (int)(sizeof bad_files / sizeof *bad_files));
    tcase_add_loop_test(tests, a_good_file_gives_its_value, 0, (int)(sizeof good_files / sizeof *good_files));
    tcase_add_test(tests, sizes_are_bounded);
    tcase_add_test(tests, keys_on_the_way_to_a_value_cannot_grow_without_bound);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
