/* plugin_bench.h - a search path, a scratch folder and fixtures for the tests of host/plugin. SPDX-License-Identifier:
 * Apache-2.0 */
#ifndef TESTS_PLUGIN_BENCH_H
#define TESTS_PLUGIN_BENCH_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "psdk_file.h"
#include "pv_plugin.h"

#define BENCH_MS 1000000ull

struct bench {
    char dir[256];      /* scratch, 0700 */
    char fixtures[512]; /* where the built fixtures are */
    char seen[300];
    char state[300];
    struct pv_plugins *plugins;
};

/* A fresh scratch folder, and plugins that are found in the fixtures and in it. */
static inline void bench_init(struct bench *b)
{
    const char *build = getenv("PROV_BUILD_DIR");
    const char *tmp = getenv("TMPDIR");
    prov_error err = {0};
    ck_assert_msg(build != NULL, "PROV_BUILD_DIR is not set: run this through ctest");
    snprintf(b->dir, sizeof b->dir, "%s/prov-plugin-XXXXXX", tmp != NULL ? tmp : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(b->dir));
    snprintf(b->fixtures, sizeof b->fixtures, "%s/tests/plugins", build);
    snprintf(b->seen, sizeof b->seen, "%s/seen", b->dir);
    snprintf(b->state, sizeof b->state, "%s/state", b->dir);
    const char *path[] = {b->dir, b->fixtures, NULL};
    struct pv_plugins_config config = {path, NULL, b->seen, b->state};
    ck_assert_int_eq(pv_plugins_new(&config, &b->plugins, &err), PROV_OK);
}

static inline void bench_done(struct bench *b)
{
    pv_plugins_free(b->plugins);
    psdk_remove_tree(b->dir, NULL);
}

/* A spec of a storage fixture with up to three options. */
struct bench_spec {
    struct pv_plugin_spec spec;
    struct pv_plugin_option options[8];
    char marker[320];
};

static inline struct pv_plugin_spec *bench_spec(struct bench_spec *s, const struct bench *b, const char *driver,
                                                const char *mode)
{
    memset(s, 0, sizeof *s);
    snprintf(s->marker, sizeof s->marker, "%s/marker", b->dir);
    s->options[0] = (struct pv_plugin_option){"mode", mode, "prov.yaml:3:5"};
    s->options[1] = (struct pv_plugin_option){"marker", s->marker, "prov.yaml:4:5"};
    s->spec.role = PROV_ROLE_STORAGE;
    s->spec.driver = driver;
    s->spec.where = "prov.yaml:2:1";
    s->spec.base_dir = b->dir;
    s->spec.state_key = "store";
    s->spec.options = s->options;
    s->spec.n_options = mode != NULL ? 2 : 0;
    return &s->spec;
}

static inline void bench_touch(const char *path)
{
    prov_error err = {0};
    ck_assert_int_eq(psdk_write_file(path, "", 0, 0600, false, &err), PROV_OK);
}

/* Copies a fixture (or its first `most` bytes) into the scratch folder as NAME.so. */
static inline void bench_copy(const struct bench *b, const char *from, const char *name, size_t most, mode_t mode)
{
    char path[800];
    struct psdk_buf buf = {0};
    prov_error err = {0};
    snprintf(path, sizeof path, "%s/%s.so", b->fixtures, from);
    ck_assert_msg(psdk_read_file(path, 64u << 20, &buf, &err) == PROV_OK, "%s", err.message);
    snprintf(path, sizeof path, "%s/%s.so", b->dir, name);
    ck_assert_msg(psdk_write_file(path, buf.data, buf.len < most ? buf.len : most, mode, false, &err) == PROV_OK, "%s",
                  err.message);
    psdk_buf_done(&buf);
}

#define ck_contains(text, part) ck_assert_msg(strstr((text), (part)) != NULL, "want '%s' in '%s'", (part), (text))

static inline int bench_run(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}

#endif
