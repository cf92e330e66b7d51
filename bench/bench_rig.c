/* bench_rig.c - a store on disk, keys and records of one size. SPDX-License-Identifier: Apache-2.0 */
#include "bench_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "psdk_file.h"

void rig_keys(struct rig *r) {
    static const uint8_t log_seed[32] = {1}, writer_seed[32] = {2}; /* not secret: what they sign is thrown away */
    prov_error err = {0};
    bench_need(psdk_ed25519_from_seed(&r->log_key, log_seed, &err), &err, "log key");
    bench_need(psdk_ed25519_from_seed(&r->writer_key, writer_seed, &err), &err, "writer key");
}

void rig_open(struct rig *r, const char *dir) {
    prov_error err = {0};
    static char store_dir[600], state_dir[600];
    static const char *const path[] = {PROV_BENCH_PLUGINS, NULL};
    memset(r, 0, sizeof *r);
    snprintf(r->dir, sizeof r->dir, "%s", dir);
    snprintf(store_dir, sizeof store_dir, "%s/store", dir);
    snprintf(state_dir, sizeof state_dir, "%s/state", dir);
    bench_need(psdk_mkdirs(store_dir, 0700, &err), &err, store_dir);
    struct pv_plugins_config config = {.path = path, .state_dir = state_dir};
    bench_need(pv_plugins_new(&config, &r->plugins, &err), &err, "plugins");
    struct pv_plugin_option options[] = {{"path", store_dir, "bench"}};
    struct pv_plugin_spec spec = {.role = PROV_ROLE_STORAGE,
                                  .driver = "storage-local",
                                  .where = "bench",
                                  .base_dir = "/",
                                  .state_key = "store",
                                  .options = options,
                                  .n_options = 1};
    bench_need(pv_store_open(r->plugins, &spec, &r->store, &err), &err, "store");
    rig_keys(r);
    r->ledger = (struct pv_ledger){.store = r->store,
                                   .store_origin = "bench.local/s",
                                   .state_dir = state_dir,
                                   .log_key = &r->log_key,
                                   .writer_key = &r->writer_key};
}

void rig_close(struct rig *r) {
    pv_store_close(r->store);
    pv_plugins_free(r->plugins);
    psdk_ed25519_done(&r->log_key);
    psdk_ed25519_done(&r->writer_key);
}

void rig_scratch(const char *dir, const char *name, char ret[512]) {
    prov_error err = {0};
    bench_need(psdk_mkdirs(dir, 0700, &err), &err, dir);
    snprintf(ret, 512, "%s/%s-XXXXXX", dir, name);
    if (!mkdtemp(ret)) {
        perror(ret);
        exit(2);
    }
}

void rig_remove(const char *dir) {
    prov_error err = {0};
    bench_need(psdk_remove_tree(dir, &err), &err, dir);
}

/* What a body may have so that the record has RIG_RECORD_BYTES, in the middle of a stream. */
static size_t body_room(const char *origin) {
    static const char writer[] = "00000000000000000000000000000000/0000000000000000";
    static const uint8_t prev[32] = {0};
    struct pv_draft draft = {"training.step", "m", "b", "{}", 2};
    struct pv_record_parts parts;
    struct psdk_buf record = {0};
    uint8_t id[32];
    prov_error err = {0};
    bench_need(pv_record_prepare(&draft, origin, writer, &parts, &err), &err, "record");
    bench_need(pv_record_finish(&parts, prev, "2026-01-01T00:00:00.000000Z", 1000000, &record, id), NULL, "record");
    size_t room = record.len < RIG_RECORD_BYTES ? RIG_RECORD_BYTES - record.len + 2 : 2;
    pv_record_parts_done(&parts);
    psdk_buf_done(&record);
    return room;
}

void rig_fill(struct rig_group *g, const char *origin, uint64_t first, size_t n) {
    size_t room = body_room(origin);
    for (size_t i = 0; i < n; i++) {
        int len = snprintf(g->body[i], RIG_RECORD_BYTES, "{\"n\":%llu", (unsigned long long)(10000000 + first + i));
        if ((size_t)len + 8 < room)
            len +=
                snprintf(g->body[i] + len, RIG_RECORD_BYTES - (size_t)len, ",\"p\":\"%0*d\"", (int)room - len - 8, 0);
        len += snprintf(g->body[i] + len, RIG_RECORD_BYTES - (size_t)len, "}");
        g->draft[i] = (struct pv_draft){"training.step", "m", "b", g->body[i], (size_t)len};
    }
}
