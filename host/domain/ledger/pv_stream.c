/* pv_stream.c - opening streams, appending, what is pending. SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "psdk_file.h"
#include "pv_stream_impl.h"

#define PENDING_BYTES ((size_t)64 << 20)

/* <state>/journal/<first 16 digits of SHA-256(store origin)>/<kind>/<id>/<first 16 digits of the writer key's id> */
static int journal_dir(const struct pv_ledger *ledger, const char *path, struct psdk_buf *ret, prov_error *err)
{
    uint8_t store[32];
    char hex[PSDK_SHA256_HEX], key[PSDK_KEYID_HEX];
    psdk_sha256(ledger->store_origin, strlen(ledger->store_origin), store);
    psdk_hex(store, 32, hex);
    psdk_key_id(ledger->writer_key->public_key, key);
    psdk_buf_addf(ret, "%s/journal/%.16s/%s/%.16s", ledger->state_dir, hex, *path ? path : "bucket/root", key);
    return psdk_buf_check(ret, err);
}

static bool is_dir(const char *path)
{
    DIR *d = opendir(path);
    if (d)
        closedir(d);
    return d != NULL;
}

int pv_stream_open(const struct pv_ledger *ledger, const char *path, struct pv_stream **ret, prov_error *err)
{
    struct psdk_buf dir = {0};
    struct pv_stream *s = calloc(1, sizeof *s);
    if (!s)
        return psdk_fail(err, PROV_E_NOMEM, "stream: out of memory");
    s->ledger = ledger;
    int rc = pv_stream_prefix(path, s->prefix, sizeof s->prefix, err);
    if (!rc && snprintf(s->origin, sizeof s->origin, *path ? "%s/%s" : "%s", ledger->store_origin, path) > PV_ORIGIN_MAX)
        rc = psdk_fail(err, PROV_E_LIMIT, "stream %s: its origin is too long", path);
    if (!rc && !pv_origin_ok(s->origin))
        rc = psdk_fail(err, PROV_E_INVALID, "stream origin '%.200s': want printable ASCII without '+', '\"' and '\\'", s->origin);
    if (!rc)
        rc = journal_dir(ledger, path, &dir, err);
    snprintf(s->path, sizeof s->path, "%s", path);
    const char *slash = strrchr(path, '/');
    struct pv_journal_config config = {
        .dir = psdk_buf_str(&dir),
        .origin = s->origin,
        .subject = slash ? slash + 1 : "store",
        .writer_key = ledger->writer_key,
        .log_key = ledger->log_key,
        .segment_bytes = ledger->segment_bytes,
    };
    if (!rc)
        rc = pv_journal_open(&config, &s->journal, err);
    psdk_buf_done(&dir);
    if (rc) {
        pv_stream_close(s);
        return rc;
    }
    *ret = s;
    return PROV_OK;
}

void pv_stream_close(struct pv_stream *stream)
{
    if (!stream)
        return;
    pv_journal_close(stream->journal);
    pv_frontier_done(&stream->frontier);
    pv_files_done(&stream->partials);
    free(stream);
}

const char *pv_stream_origin(const struct pv_stream *stream)
{
    return stream->origin;
}

const char *pv_stream_path(const struct pv_stream *stream)
{
    return stream->path;
}

int pv_stream_append(struct pv_stream *stream, const struct pv_draft *drafts, size_t n, uint8_t (*ret_ids)[32],
                     prov_error *err)
{
    return pv_journal_append(stream->journal, drafts, n, ret_ids, err);
}

int pv_stream_state(struct pv_stream *stream, struct pv_journal_state *ret, prov_error *err)
{
    return pv_journal_state(stream->journal, ret, err);
}

int pv_stream_pending(struct pv_stream *stream, struct psdk_buf *ret, prov_error *err)
{
    struct pv_journal_state state;
    int rc = pv_journal_state(stream->journal, &state, err);
    struct pv_journal_mark at = state.sealed;
    while (!rc && at.lsn < state.durable_lsn && ret->len < PENDING_BYTES) {
        struct pv_journal_batch some;
        rc = pv_journal_take(stream->journal, &at, UINT64_MAX, (size_t)1 << 20, &some, err);
        if (rc)
            break;
        psdk_buf_add(ret, some.entries.data, some.entries.len);
        at = some.end;
        bool none = some.count == 0;
        pv_journal_batch_done(&some);
        if (none)
            break;
    }
    return rc ? rc : psdk_buf_check(ret, err);
}

bool pv_ledger_has(const struct pv_ledger *ledger, const char *path)
{
    struct psdk_buf dir = {0};
    prov_error ignored = {0};
    bool has = journal_dir(ledger, path, &dir, &ignored) == PROV_OK && is_dir(psdk_buf_str(&dir));
    psdk_buf_done(&dir);
    return has;
}

/* ---- what is pending over all streams -------------------------------------------------------------------------------- */

struct pending {
    const struct pv_ledger *ledger;
    void (*each)(void *ctx, const char *path, uint64_t pending_bytes);
    void *ctx;
};

static void pending_of(const struct pending *p, const char *path)
{
    struct pv_stream *s = NULL;
    struct pv_journal_state state;
    prov_error ignored = {0};
    if (pv_stream_open(p->ledger, path, &s, &ignored) == PROV_OK &&
        pv_stream_state(s, &state, &ignored) == PROV_OK && state.pending)
        p->each(p->ctx, path, state.durable_lsn - state.sealed.lsn);
    pv_stream_close(s);
}

int pv_ledger_pending(const struct pv_ledger *ledger, void (*each)(void *ctx, const char *path, uint64_t pending_bytes),
                      void *ctx, prov_error *err)
{
    struct psdk_buf base = {0};
    struct pending p = {ledger, each, ctx};
    char key[PSDK_KEYID_HEX];
    psdk_key_id(ledger->writer_key->public_key, key);
    int rc = journal_dir(ledger, "x", &base, err);
    if (rc)
        return rc;
    base.len -= strlen("x/") + 16; /* the folder above all kinds */
    base.data[base.len] = '\0';
    DIR *kinds = opendir(psdk_buf_str(&base));
    for (struct dirent *k; kinds && (k = readdir(kinds)) != NULL;) {
        struct psdk_buf kind = {0};
        psdk_buf_addf(&kind, "%s%s", psdk_buf_str(&base), k->d_name);
        DIR *ids = k->d_name[0] == '.' ? NULL : opendir(psdk_buf_str(&kind));
        for (struct dirent *i; ids && (i = readdir(ids)) != NULL;) {
            struct psdk_buf mine = {0};
            char path[300];
            psdk_buf_addf(&mine, "%s/%s/%.16s", psdk_buf_str(&kind), i->d_name, key);
            snprintf(path, sizeof path, "%.100s/%.190s", k->d_name, i->d_name);
            if (pv_id_ok(i->d_name) && is_dir(psdk_buf_str(&mine)))
                pending_of(&p, strcmp(path, "bucket/root") == 0 ? "" : path);
            psdk_buf_done(&mine);
        }
        if (ids)
            closedir(ids);
        psdk_buf_done(&kind);
    }
    if (kinds)
        closedir(kinds);
    psdk_buf_done(&base);
    return PROV_OK;
}
