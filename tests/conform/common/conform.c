/* conform.c - loading a plugin for a conformance suite.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "conform.h"

#include <dlfcn.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MAX_OPTIONS 32

static const prov_provider *provider;
static char *given[MAX_OPTIONS]; /* NAME=VALUE */
static int n_given;
static char dir[256];

const prov_call conform_call = {.struct_size = sizeof conform_call, .cancel_fd = -1, .trace_id = ""};

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t conform_now_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

/* ---- a host in a few lines ------------------------------------------------------------------------------------------- */

static void host_log(void *ctx, int32_t level, const char *message)
{
    (void)ctx;
    (void)level;
    (void)message;
}

static uint64_t host_monotonic_ns(void *ctx)
{
    (void)ctx;
    return clock_ns(CLOCK_MONOTONIC);
}

static uint64_t host_wall_ns(void *ctx)
{
    (void)ctx;
    return clock_ns(CLOCK_REALTIME);
}

/* Secrets come from the environment: CONFORM_SECRET_<option>. */
static int32_t host_secret(void *ctx, const char *option, char *buf, uint64_t cap_bytes, prov_error *err)
{
    char name[128];
    (void)ctx;
    snprintf(name, sizeof name, "CONFORM_SECRET_%s", option);
    const char *value = getenv(name);
    int code = value == NULL ? PROV_E_NOT_FOUND : strlen(value) >= cap_bytes ? PROV_E_LIMIT : PROV_OK;
    if (code == PROV_OK)
        memcpy(buf, value, strlen(value) + 1);
    else
        err->code = code;
    return code;
}

static const char *state_dir(void *ctx)
{
    static char path[300];
    (void)ctx;
    snprintf(path, sizeof path, "%s/state", dir);
    return mkdir(path, 0700) == 0 || access(path, W_OK) == 0 ? path : NULL;
}

static const void *host_service(void *ctx, const char *id)
{
    static const prov_service_state state = {.struct_size = sizeof state, .dir = state_dir};
    (void)ctx;
    return strcmp(id, PROV_SERVICE_STATE) == 0 ? &state : NULL;
}

static const prov_host host = {.struct_size = sizeof host,
                               .log = host_log,
                               .monotonic_ns = host_monotonic_ns,
                               .wall_ns = host_wall_ns,
                               .secret = host_secret,
                               .service = host_service};

/* ---- loading ---------------------------------------------------------------------------------------------------------- */

bool conform_load(int argc, char **argv, const char *role)
{
    const char *file = argc > 1 ? argv[1] : getenv("CONFORM_PLUGIN");
    if (file == NULL) {
        fprintf(stderr, "usage: %s PLUGIN.so [OPTION=VALUE ...]\n", argv[0]);
        return false;
    }
    for (int i = 2; i < argc && n_given < MAX_OPTIONS; i++)
        given[n_given++] = argv[i];
    void *handle = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    const prov_plugin *plugin = handle != NULL ? dlsym(handle, PROV_PLUGIN_SYMBOL) : NULL;
    if (plugin == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        return false;
    }
    for (const prov_provider *const *at = plugin->providers; *at != NULL && provider == NULL; at++) {
        if (strcmp((*at)->role, role) == 0)
            provider = *at;
    }
    if (provider == NULL)
        fprintf(stderr, "%s has no provider of role %s\n", file, role);
    return provider != NULL;
}

const prov_provider *conform_provider(void)
{
    return provider;
}

void conform_dir_make(void)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(dir, sizeof dir, "%s/prov-conform-XXXXXX", tmp != NULL ? tmp : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(dir));
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void conform_dir_remove(void)
{
    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *conform_dir(void)
{
    return dir;
}

/* Copies value with {dir} replaced. */
static void expand(const char *value, char *ret, size_t cap)
{
    const char *mark = strstr(value, "{dir}");
    if (mark == NULL)
        snprintf(ret, cap, "%s", value);
    else
        snprintf(ret, cap, "%.*s%s%s", (int)(mark - value), value, dir, mark + 5);
}

void *conform_create(void)
{
    static char names[MAX_OPTIONS][64], values[MAX_OPTIONS][512];
    prov_option_value all[MAX_OPTIONS * 2];
    uint64_t n = 0;
    for (int i = 0; i < n_given; i++) {
        size_t len = strcspn(given[i], "=");
        snprintf(names[i], sizeof names[i], "%.*s", (int)len, given[i]);
        expand(given[i][len] == '=' ? given[i] + len + 1 : "", values[i], sizeof values[i]);
        all[n++] = (prov_option_value){names[i], values[i]};
    }
    for (const prov_option *const *at = provider->options; at != NULL && *at != NULL && n < MAX_OPTIONS * 2; at++) {
        bool is_given = false;
        for (int i = 0; i < n_given; i++)
            is_given = is_given || strcmp(names[i], (*at)->name) == 0;
        if (!is_given && (*at)->default_value != NULL)
            all[n++] = (prov_option_value){(*at)->name, (*at)->default_value};
    }
    void *instance = NULL;
    prov_error err = {0};
    int rc = provider->create(&host, all, n, &instance, &err);
    ck_assert_msg(rc == PROV_OK, "create: %d: %s", rc, err.message);
    return instance;
}

void conform_destroy(void *instance)
{
    provider->destroy(instance);
}

void conform_expect(int rc, int want, const prov_error *err, const char *what)
{
    ck_assert_msg(rc == want, "%s: want %d, got %d: %s", what, want, rc, err->message);
    if (rc == PROV_OK) {
        ck_assert_msg(err->code == 0 && err->message[0] == '\0', "%s: succeeded, but touched err: %s", what, err->message);
        return;
    }
    ck_assert_msg(err->code == rc, "%s: returned %d, but err says %d", what, rc, err->code);
    ck_assert_msg(err->message[0] != '\0' && strchr(err->message, '\n') == NULL, "%s: no proper message", what);
    ck_assert_msg(err->outcome >= PROV_OUTCOME_UNSET && err->outcome <= PROV_OUTCOME_UNKNOWN, "%s: outcome %d", what,
                  err->outcome);
}
