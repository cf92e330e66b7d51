/* bench_rig.h - a store on disk, keys and records of one size. SPDX-License-Identifier: Apache-2.0 */
#ifndef PROV_BENCH_RIG_H
#define PROV_BENCH_RIG_H

#include "bench.h"
#include "pv_stream.h"

#define RIG_RECORD_BYTES 300u
#define RIG_STREAM "models/m"
#define RIG_GROUP_MAX 4096u

struct rig {
    char dir[512];
    struct pv_plugins *plugins;
    struct pv_store *store; /* storage-local with its defaults: every object is fsynced */
    struct psdk_ed25519 log_key, writer_key;
    struct pv_ledger ledger;
};
/* Opens (or makes) dir/store and dir/state. Keys are always the same ones. */
void rig_open(struct rig *r, const char *dir);
void rig_close(struct rig *r);
/* The keys alone, for a journal without a store. */
void rig_keys(struct rig *r);
/* A scratch folder below dir that is not there yet; removed by rig_remove. */
void rig_scratch(const char *dir, const char *name, char ret[512]);
void rig_remove(const char *dir);

/* n drafts (at most RIG_GROUP_MAX) that become records of about RIG_RECORD_BYTES, their bodies numbered from first. */
struct rig_group {
    struct pv_draft draft[RIG_GROUP_MAX];
    char body[RIG_GROUP_MAX][RIG_RECORD_BYTES];
};
void rig_fill(struct rig_group *g, const char *origin, uint64_t first, size_t n);

#endif
