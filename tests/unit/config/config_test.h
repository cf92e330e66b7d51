/* config_test.h - a throw-away home with a project in it, for the tests of this folder.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef CONFIG_TEST_H
#define CONFIG_TEST_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pv_config_impl.h"
#include "psdk_file.h"

static char root[256], home[320], project[320], user_dir[384], system_file[384];
static char env_home[400], env_xdg[400];
static const char *environment[32];

static inline void set_env(const char *a, const char *b, const char *c)
{
    const char *all[] = {env_home, env_xdg, a, b, c, NULL};
    memcpy(environment, all, sizeof all);
}

/* Every path of the process that a test could touch lies below a new folder. */
static inline void make_home(void)
{
    const char *tmp = getenv("TMPDIR");
    char at[200], *real;
    snprintf(at, sizeof at, "%s/prov-config-XXXXXX", tmp ? tmp : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(at));
    real = realpath(at, NULL);
    ck_assert_ptr_nonnull(real);
    snprintf(root, sizeof root, "%s", real);
    free(real);
    snprintf(home, sizeof home, "%s/home", root);
    snprintf(project, sizeof project, "%s/project", root);
    snprintf(user_dir, sizeof user_dir, "%s/.config/prov", home);
    snprintf(system_file, sizeof system_file, "%s/etc/prov.yaml", root);
    snprintf(env_home, sizeof env_home, "HOME=%s", home);
    snprintf(env_xdg, sizeof env_xdg, "XDG_CONFIG_HOME=%s/.config", home);
    prov_error err = {0};
    char etc[320];
    snprintf(etc, sizeof etc, "%s/etc", root);
    const char *folders[] = {user_dir, project, etc};
    for (size_t i = 0; i < 3; i++)
        ck_assert_msg(psdk_mkdirs(folders[i], 0700, &err) == PROV_OK, "%s", err.message);
    setenv("HOME", home, 1);
    setenv("XDG_CONFIG_HOME", env_xdg + strlen("XDG_CONFIG_HOME="), 1);
    unsetenv("XDG_STATE_HOME");
    set_env(NULL, NULL, NULL);
}

static inline void drop_home(void)
{
    prov_error err = {0};
    ck_assert_msg(psdk_remove_tree(root, &err) == PROV_OK, "%s", err.message);
}

/* Writes DIR/NAME and returns its path (static: the last four stay valid). */
static inline const char *write_at(const char *dir, const char *name, const char *text)
{
    static char paths[4][800];
    static unsigned turn;
    char folder[800];
    char *path = paths[turn++ % 4];
    prov_error err = {0};
    snprintf(path, 800, "%s/%s", dir, name);
    ck_assert_int_eq(psdk_dirname(path, folder, sizeof folder, &err), PROV_OK);
    ck_assert_int_eq(psdk_mkdirs(folder, 0700, &err), PROV_OK);
    ck_assert_msg(psdk_write_file(path, text, strlen(text), 0600, false, &err) == PROV_OK, "%s", err.message);
    return path;
}

static inline const char *write_project(const char *text)
{
    return write_at(project, "prov.yaml", text);
}

static inline void trust(const char *path)
{
    prov_error err = {0};
    ck_assert_msg(pv_config_trust(path, user_dir, &err) == PROV_OK, "%s", err.message);
}

static inline int load_with(const struct pv_config_flag *flags, size_t n_flags, struct pv_config **ret, prov_error *err)
{
    struct pv_config_source source = {
        .work_dir = project, .system_file = system_file, .flags = flags, .n_flags = n_flags, .environ = environment};
    memset(err, 0, sizeof *err);
    return pv_config_load(&source, ret, err);
}

static inline struct pv_config *load(void)
{
    struct pv_config *config = NULL;
    prov_error err;
    int rc = load_with(NULL, 0, &config, &err);
    ck_assert_msg(rc == PROV_OK, "%s", err.message);
    return config;
}

/* Loading must fail with a message that holds text. */
static inline void load_fails(const char *text)
{
    struct pv_config *config = NULL;
    prov_error err;
    int rc = load_with(NULL, 0, &config, &err);
    ck_assert_msg(rc == PROV_E_CONFIG, "want a failure with '%s', got %d '%s'", text, rc, err.message);
    ck_assert_msg(strstr(err.message, text) != NULL, "want '%s' in '%s'", text, err.message);
    ck_assert_ptr_null(config);
}

static inline int run_suite(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}

#endif
