/* pv_instance.c - opening and closing an instance; the host services that it is given. SPDX-License-Identifier:
 * Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "psdk_file.h"
#include "pv_instance_int.h"
#include "pv_log.h"
#include "pv_module.h"

/* ---- host services ----------------------------------------------------------------------------------------------- */
static void host_log(void *ctx, int32_t level, const char *message)
{
    const struct pv_instance *instance = ctx;
    if (message != NULL && level >= PROV_LOG_ERROR)
        pv_log(level > PROV_LOG_DEBUG ? PROV_LOG_DEBUG : level, "%s: %s", instance->provider->name, message);
}

static uint64_t host_monotonic(void *ctx)
{
    (void)ctx;
    return psdk_monotonic_ns();
}

static uint64_t host_wall(void *ctx)
{
    (void)ctx;
    return psdk_wall_ns();
}

static int32_t host_secret(void *ctx, const char *option, char *buf, uint64_t cap_bytes, prov_error *err)
{
    struct pv_instance *instance = ctx;
    const char *name = instance->provider->name;
    int rc = PROV_E_NOT_FOUND;
    if (option == NULL || buf == NULL)
        return psdk_fail(err, PROV_E_INVALID, "%s: secret: option and buf must not be NULL", name);
    pthread_mutex_lock(&instance->secret_lock);
    if (!instance->creating) {
        rc = psdk_fail(err, PROV_E_DENIED, "%s: secrets are given only while create runs", name);
        goto out;
    }
    for (size_t i = 0; i < instance->values.n_secrets; i++) {
        const prov_option_value *s = &instance->values.secrets[i];
        if (strcmp(s->name, option) != 0)
            continue;
        size_t len = strlen(s->value);
        rc = len < cap_bytes ? PROV_OK
                             : psdk_fail(err, PROV_E_LIMIT, "%s: secret '%s' needs %zu bytes", name, option, len + 1);
        if (rc == PROV_OK)
            memcpy(buf, s->value, len + 1);
        goto out;
    }
    psdk_fail(err, PROV_E_NOT_FOUND, "%s: secret '%s' is not configured", name, option);
out:
    pthread_mutex_unlock(&instance->secret_lock);
    return rc;
}

/* Makes the folder on first use. */
static const char *host_state_dir(void *ctx)
{
    struct pv_instance *instance = ctx;
    prov_error err = {0};
    pthread_mutex_lock(&instance->secret_lock);
    if (instance->state_path == NULL && instance->state_parent != NULL) {
        char *path = NULL;
        if (asprintf(&path, "%s/%s", instance->state_parent, instance->state_key) < 0)
            path = NULL;
        else if (psdk_mkdirs(path, 0700, &err) == PROV_OK)
            instance->state_path = path;
        if (instance->state_path == NULL)
            free(path);
        if (err.code != 0)
            pv_log(PROV_LOG_WARN, "%s: no state folder: %s", instance->provider->name, err.message);
    }
    const char *ret = instance->state_path;
    pthread_mutex_unlock(&instance->secret_lock);
    return ret;
}

static const void *host_service(void *ctx, const char *id)
{
    const struct pv_instance *instance = ctx;
    if (id == NULL || strcmp(id, PROV_SERVICE_STATE) != 0)
        return NULL;
    return host_state_dir(ctx) != NULL ? &instance->state_service : NULL;
}

static void init_host(struct pv_instance *i)
{
    i->host.struct_size = sizeof i->host;
    i->host.ctx = i;
    i->host.log = host_log;
    i->host.monotonic_ns = host_monotonic;
    i->host.wall_ns = host_wall;
    i->host.secret = host_secret;
    i->host.service = host_service;
    i->state_service.struct_size = sizeof i->state_service;
    i->state_service.dir = host_state_dir;
}

/* ---- create and destroy as calls --------------------------------------------------------------------------------- */
struct create_frame {
    struct pv_frame head;
    struct pv_guard front;
    void *self;
    struct pv_guard back;
};

static int32_t run_create(struct pv_frame *frame, const void *ops, void *self)
{
    struct create_frame *f = (struct create_frame *)frame;
    struct pv_instance *instance = frame->instance;
    (void)ops;
    (void)self;
    return instance->provider->create(&instance->host, instance->values.values, instance->values.n_values, &f->self,
                                      &frame->err);
}

static int32_t run_destroy(struct pv_frame *frame, const void *ops, void *self)
{
    (void)ops;
    frame->instance->provider->destroy(self);
    return PROV_OK;
}

/* A create that was given up and made an instance after all: nobody else knows of it. */
static void done_create(struct pv_frame *frame)
{
    struct create_frame *f = (struct create_frame *)frame;
    bool abandoned = atomic_load(&frame->state) == PV_FRAME_ABANDONED;
    if (abandoned && frame->result == PROV_OK && f->self != NULL && pv_frame_broken_guard(frame) == NULL)
        frame->instance->provider->destroy(f->self);
}

static const struct pv_frame_kind create_kind = {"create",   true,       false, sizeof(struct create_frame),
                                                 run_create, done_create};
static const struct pv_frame_kind destroy_kind = {"destroy", true, true, sizeof(struct pv_frame), run_destroy, NULL};

static void allow_secrets(struct pv_instance *instance, bool allowed)
{
    pthread_mutex_lock(&instance->secret_lock);
    instance->creating = allowed;
    pthread_mutex_unlock(&instance->secret_lock);
}

/* *ret_owned false: create has not returned, the instance is its thread's. */
static int create(struct pv_instance *instance, bool *ret_owned, prov_error *err)
{
    struct pv_frame *frame = pv_frame_new(&create_kind);
    *ret_owned = true;
    if (frame == NULL)
        return psdk_fail(err, PROV_E_NOMEM, "%s: no memory for a call", instance->provider->name);
    struct create_frame *f = (struct create_frame *)frame;
    pv_frame_guard(frame, &f->front, "what lies in front of ret_instance");
    pv_frame_guard(frame, &f->back, "ret_instance");
    allow_secrets(instance, true);
    int rc = pv_call(instance, &frame, pv_call_deadline(instance, 0), err);
    allow_secrets(instance, false);
    *ret_owned = frame != NULL;
    if (rc == PROV_OK) {
        instance->self = f->self;
        if (f->self == NULL)
            rc = pv_call_blame(instance, err, "create said OK and gave no instance");
    }
    pv_frame_free(frame);
    return rc;
}

/* ---- life -------------------------------------------------------------------------------------------------------- */
static void free_parts(struct pv_instance *instance)
{
    pv_options_done(&instance->values);
    pthread_mutex_destroy(&instance->secret_lock);
    free(instance->state_parent);
    free(instance->state_path);
    free(instance->state_key);
    free(instance);
}

static bool state_key_ok(const char *key)
{
    return key[0] != '\0' && key[0] != '.' &&
           strspn(key, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") == strlen(key);
}

static int prepare_state(struct pv_instance *i, const struct pv_plugins *plugins, const char *key, prov_error *err)
{
    const char *parent = pv_plugins_state_dir(plugins);
    if (parent == NULL || key == NULL)
        return PROV_OK;
    if (!state_key_ok(key))
        return psdk_fail(err, PROV_E_INVALID, "state key '%s': want [A-Za-z0-9._-]+, not starting with a dot", key);
    i->state_parent = strdup(parent);
    i->state_key = strdup(key);
    return i->state_parent != NULL && i->state_key != NULL ? PROV_OK : psdk_fail(err, PROV_E_NOMEM, "no memory");
}

int pv_instance_open(struct pv_plugins *plugins, const struct pv_plugin_spec *spec, struct pv_instance **ret,
                     prov_error *err)
{
    const struct pv_provider *provider = NULL;
    bool owned = true;
    *ret = NULL;
    int rc = pv_plugin_provider(plugins, spec, &provider, err);
    if (rc != PROV_OK)
        return rc;
    struct pv_instance *i = calloc(1, sizeof *i);
    if (i == NULL)
        return psdk_fail(err, PROV_E_NOMEM, "%s: no memory", spec->driver);
    i->provider = provider;
    i->limits = (struct pv_call_limits){spec->timeout_ns != 0 ? spec->timeout_ns : PV_CALL_TIMEOUT_NS, PV_CALL_GRACE_NS,
                                        PV_CALL_FAILURES, PV_CALL_COOLDOWN_NS, PV_CALL_THREADS};
    pthread_mutex_init(&i->secret_lock, NULL);
    init_host(i);
    rc = prepare_state(i, plugins, spec->state_key, err);
    if (rc == PROV_OK)
        rc = pv_options_parse(provider, spec, &i->values, err);
    if (rc != PROV_OK) {
        free_parts(i);
        return rc;
    }
    pv_pool_init(i);
    rc = create(i, &owned, err);
    if (owned) /* neither values nor secrets are needed after create */
        pv_options_done(&i->values);
    if (rc == PROV_OK) {
        *ret = i;
        return PROV_OK;
    }
    if (spec->where != NULL)
        psdk_wrap(err, "%s", spec->where);
    if (owned && pv_pool_done(i))
        free_parts(i);
    return rc;
}

void pv_instance_close(struct pv_instance *instance)
{
    if (instance == NULL)
        return;
    prov_error err = {0};
    pthread_mutex_lock(&instance->pool.lock);
    bool idle = instance->pool.running == 0 && !instance->pool.lost && !instance->pool.breaker.condemned;
    instance->pool.breaker.open = false; /* destroy always passes */
    pthread_mutex_unlock(&instance->pool.lock);
    struct pv_frame *frame = idle ? pv_frame_new(&destroy_kind) : NULL;
    bool destroyed = frame != NULL && pv_call(instance, &frame, pv_call_deadline(instance, 0), &err) == PROV_OK;
    pv_frame_free(frame);
    if (!destroyed) {
        /* It may still use its host services: it stays, among the live ones, with its threads. */
        pv_log(PROV_LOG_WARN, "%s: left behind without destroy: it cannot be called safely any more",
               instance->provider->name);
        return;
    }
    if (pv_pool_done(instance))
        free_parts(instance);
}

/* ---- facts ------------------------------------------------------------------------------------------------------- */
const char *pv_instance_name(const struct pv_instance *instance)
{
    return instance->provider->name;
}

uint64_t pv_instance_capabilities(const struct pv_instance *instance)
{
    return instance->provider->capabilities;
}

bool pv_instance_has(const struct pv_instance *instance, uint32_t index)
{
    return index < 64 && (instance->provider->present >> index & 1u) != 0;
}

bool pv_instance_refuses(const struct pv_instance *instance)
{
    struct pv_pool *pool = (struct pv_pool *)(uintptr_t)&instance->pool;
    pthread_mutex_lock(&pool->lock);
    bool refuses = pool->lost || pool->stuck >= pool->max || pv_breaker_is_open(&pool->breaker, psdk_monotonic_ns());
    pthread_mutex_unlock(&pool->lock);
    return refuses;
}

void pv_instance_cancel(struct pv_instance *instance, bool cancelled)
{
    atomic_store(&instance->cancelled, cancelled ? 1u : 0u);
}

void pv_instance_limit(struct pv_instance *instance, const struct pv_call_limits *limits)
{
    struct pv_pool *pool = &instance->pool;
    pthread_mutex_lock(&pool->lock);
    if (limits->timeout_ns != 0)
        instance->limits.timeout_ns = limits->timeout_ns;
    if (limits->grace_ns != 0)
        instance->limits.grace_ns = limits->grace_ns;
    if (limits->breaker_failures != 0)
        pool->breaker.limit = limits->breaker_failures;
    if (limits->cooldown_ns != 0)
        pool->breaker.cooldown_ns = limits->cooldown_ns;
    if (limits->max_threads != 0 && (instance->provider->capabilities & PROV_CAP_THREADSAFE) != 0)
        pool->max = limits->max_threads;
    pthread_mutex_unlock(&pool->lock);
}
