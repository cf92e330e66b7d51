/* rig.h - what the ledger's tests share: a store in a temporary folder, keys, a stream. SPDX-License-Identifier: Apache-2.0 */
#ifndef LEDGER_RIG_H
#define LEDGER_RIG_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "psdk_file.h"
#include "pv_check.h"
#include "pv_stream.h"

struct rig {
    char dir[64];
    char store_dir[96], state_dir[96], plugin_dir[512];
    struct pv_plugins *plugins;
    struct pv_store *store;
    struct psdk_ed25519 log_key, writer_key;
    struct pv_ledger ledger;
};

static inline void rig_ok(int rc, const prov_error *err)
{
    ck_assert_msg(rc == PROV_OK, "%s: %s", psdk_rc_name(rc), err->message);
}

/* A second host is a second rig over the same store with another state folder and writer key. */
static inline void rig_init_at(struct rig *r, const char *store_dir, const uint8_t log_seed[32])
{
    prov_error err = {0};
    const char *build = getenv("PROV_BUILD_DIR");
    memset(r, 0, sizeof *r);
    snprintf(r->dir, sizeof r->dir, "/tmp/prov-ledger-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(r->dir));
    snprintf(r->store_dir, sizeof r->store_dir, "%s%s", store_dir ? store_dir : r->dir, store_dir ? "" : "/store");
    snprintf(r->state_dir, sizeof r->state_dir, "%s/state", r->dir);
    snprintf(r->plugin_dir, sizeof r->plugin_dir, "%s/lib/prov/plugins", build ? build : ".");
    const char *path[] = {r->plugin_dir, NULL};
    struct pv_plugins_config config = {.path = path, .state_dir = r->state_dir};
    rig_ok(pv_plugins_new(&config, &r->plugins, &err), &err);
    struct pv_plugin_option options[] = {{"path", r->store_dir, "test"}, {"fsync", "false", "test"}};
    struct pv_plugin_spec spec = {.role = PROV_ROLE_STORAGE, .driver = "storage-local", .where = "test", .base_dir = "/",
                                  .state_key = "store", .timeout_ns = (uint64_t)240 * 1000000000u,
                                  .options = options, .n_options = 2};
    rig_ok(pv_store_open(r->plugins, &spec, &r->store, &err), &err);
    rig_ok(psdk_ed25519_from_seed(&r->log_key, log_seed, &err), &err);
    rig_ok(psdk_ed25519_new(&r->writer_key, &err), &err);
    r->ledger = (struct pv_ledger){.store = r->store, .store_origin = "test.local/store", .state_dir = r->state_dir,
                                   .log_key = &r->log_key, .writer_key = &r->writer_key};
}

static inline void rig_init(struct rig *r)
{
    static const uint8_t seed[32] = {7}; /* a well-known test key */
    rig_init_at(r, NULL, seed);
}

static inline void rig_done(struct rig *r)
{
    prov_error err = {0};
    pv_store_close(r->store);
    pv_plugins_free(r->plugins);
    psdk_ed25519_done(&r->log_key);
    psdk_ed25519_done(&r->writer_key);
    psdk_remove_tree(r->dir, &err);
}

static inline struct pv_stream *rig_stream(struct rig *r, const char *path)
{
    struct pv_stream *s = NULL;
    prov_error err = {0};
    rig_ok(pv_stream_open(&r->ledger, path, &s, &err), &err);
    return s;
}

/* Appends n records {"n":first..}; returns the result. */
static inline int rig_append(struct pv_stream *s, int first, int n, prov_error *err)
{
    for (int i = 0; i < n; i++) {
        char body[64];
        snprintf(body, sizeof body, "{\"n\":%d}", first + i);
        struct pv_draft d = {"test.note", "m", "tester", body, strlen(body)};
        int rc = pv_stream_append(s, &d, 1, NULL, err);
        if (rc)
            return rc;
    }
    return PROV_OK;
}

/* Reads and checks the whole stream; returns its size, or fails the test. */
static inline uint64_t rig_check(struct rig *r, const char *path)
{
    struct pv_reader reader;
    prov_error err = {0};
    rig_ok(pv_reader_open(&reader, r->store, path, &err), &err);
    rig_ok(pv_stream_check(&reader, r->log_key.public_key, NULL, NULL, NULL, &err), &err);
    uint64_t size = reader.head.tree.size;
    pv_reader_close(&reader);
    return size;
}

#endif
