/* fault_driver.c - appends and seals while the shim lets system calls fail, and checks afterwards what is there.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 *   fault_driver run FOLDER PLUGINS SEEN SEGMENT_BYTES     prints, unbuffered and past the shim:
 *       ack N ID          record {"n":N} was acknowledged under ID
 *       refused N TEXT    its append returned an error
 *       failed WHAT TEXT  opening or sealing returned an error
 *       alive             after the faults ended, this same process appended and sealed once more
 *   fault_driver check FOLDER PLUGINS SEEN SEGMENT_BYTES   in a new process without faults: appends one more, seals, checks
 *       the whole stream and prints "entry N ID" for each record and "size N"; exit code 0, or 1 with the reason.
 */
#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "psdk_file.h"
#include "pv_check.h"
#include "pv_stream.h"

#define STREAM "models/m"

struct driver {
    struct pv_plugins *plugins;
    struct pv_store *store;
    struct psdk_ed25519 log_key, writer_key;
    struct pv_ledger ledger;
    struct pv_stream *stream;
};

static void say(const char *format, ...) PSDK_PRINTF(1, 2);

static void say(const char *format, ...)
{
    char line[700];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line, sizeof line - 1, format, args);
    va_end(args);
    size_t len = n < (int)sizeof line - 1 ? (size_t)n : sizeof line - 2;
    line[len++] = '\n';
    if (syscall(SYS_write, 1, line, len) != (long)len)
        _exit(9);
}

static int fail(const char *what, const prov_error *err)
{
    say("failed %s %s", what, err->message);
    return 1;
}

static void shim(const char *name)
{
    void (*call)(void);
    void *symbol = dlsym(RTLD_DEFAULT, name);
    memcpy(&call, &symbol, sizeof call);
    if (symbol)
        call();
}

static int start(struct driver *d, char **arg, prov_error *err)
{
    static const uint8_t log_seed[32] = {7}, writer_seed[32] = {9}; /* well-known test keys */
    static char store_dir[300], state_dir[300];
    const char *path[] = {arg[3], NULL};
    snprintf(store_dir, sizeof store_dir, "%s/store", arg[2]);
    snprintf(state_dir, sizeof state_dir, "%s/state", arg[2]);
    struct pv_plugins_config config = {.path = path, .seen_dir = arg[4], .state_dir = state_dir};
    struct pv_plugin_option options[] = {{"path", store_dir, "test"}};
    struct pv_plugin_spec spec = {.role = PROV_ROLE_STORAGE, .driver = "storage-local", .where = "test", .base_dir = "/",
                                  .state_key = "store", .options = options, .n_options = 1};
    int rc = pv_plugins_new(&config, &d->plugins, err);
    if (!rc)
        rc = pv_store_open(d->plugins, &spec, &d->store, err);
    if (!rc)
        rc = psdk_ed25519_from_seed(&d->log_key, log_seed, err);
    if (!rc)
        rc = psdk_ed25519_from_seed(&d->writer_key, writer_seed, err);
    d->ledger = (struct pv_ledger){.store = d->store, .store_origin = "test.local/store", .state_dir = state_dir,
                                   .log_key = &d->log_key, .writer_key = &d->writer_key,
                                   .segment_bytes = strtoull(arg[5], NULL, 10), .attempts = 6};
    return rc;
}

static void stop(struct driver *d)
{
    pv_stream_close(d->stream);
    pv_store_close(d->store);
    pv_plugins_free(d->plugins);
    psdk_ed25519_done(&d->log_key);
    psdk_ed25519_done(&d->writer_key);
}

/* One append of n records {"n":first}... Returns whether all were acknowledged. */
static bool append(struct driver *d, int first, int n)
{
    struct pv_draft drafts[4];
    char body[4][64], id[PSDK_SHA256_HEX];
    uint8_t ids[4][32] = {{0}};
    prov_error err = {0};
    for (int i = 0; i < n; i++) {
        snprintf(body[i], sizeof body[i], "{\"n\":%d}", first + i);
        drafts[i] = (struct pv_draft){"test.note", "m", "tester", body[i], strlen(body[i])};
    }
    int rc = pv_stream_append(d->stream, drafts, (size_t)n, ids, &err);
    for (int i = 0; i < n; i++) {
        psdk_hex(ids[i], 32, id);
        if (rc)
            say("refused %d %s", first + i, err.message);
        else
            say("ack %d %s", first + i, id);
    }
    return !rc;
}

static void seal(struct driver *d, const char *what)
{
    prov_error err = {0};
    if (pv_stream_seal(d->stream, NULL, &err))
        fail(what, &err);
}

static int run(struct driver *d, char **arg)
{
    prov_error err = {0};
    if (start(d, arg, &err))
        return fail("start", &err);
    shim("fault_arm");
    int rc = pv_stream_open(&d->ledger, STREAM, &d->stream, &err);
    if (rc) {
        shim("fault_disarm");
        fail("open", &err);
        memset(&err, 0, sizeof err);
        if (pv_stream_open(&d->ledger, STREAM, &d->stream, &err))
            return fail("open-again", &err);
    }
    append(d, 1, 1);
    append(d, 2, 1);
    append(d, 3, 2); /* together, or not at all */
    seal(d, "seal-1");
    append(d, 5, 1);
    append(d, 6, 1);
    seal(d, "seal-2");
    shim("fault_disarm");
    memset(&err, 0, sizeof err);
    if (!append(d, 7, 1) || pv_stream_seal(d->stream, NULL, &err))
        return fail("going on", &err);
    say("alive");
    return 0;
}

static int print_entries(struct pv_reader *r, prov_error *err)
{
    for (uint64_t b = 0; b * PV_TILE_WIDTH < r->head.tree.size; b++) {
        struct psdk_buf bundle = {0};
        const uint8_t *entry;
        size_t at = 0, len;
        int rc = pv_reader_bundle(r, b, &bundle, err);
        while (!rc && pv_bundle_next(bundle.data, bundle.len, &at, &entry, &len) > 0) {
            struct pv_record record;
            char id[PSDK_SHA256_HEX];
            int n = 0;
            rc = pv_record_parse((const char *)entry, len, "entry", &record, err);
            if (rc)
                break;
            psdk_hex(record.id, 32, id);
            char body[64];
            snprintf(body, sizeof body, "%.*s", (int)(record.body.len < 63 ? record.body.len : 63), record.body.data);
            if (sscanf(body, "{\"n\":%d}", &n) == 1)
                say("entry %d %s", n, id);
        }
        psdk_buf_done(&bundle);
        if (rc)
            return rc;
    }
    say("size %llu", (unsigned long long)r->head.tree.size);
    return PROV_OK;
}

static int check(struct driver *d, char **arg)
{
    prov_error err = {0};
    struct pv_reader reader;
    struct pv_journal_state state;
    if (start(d, arg, &err))
        return fail("start", &err);
    if (pv_stream_open(&d->ledger, STREAM, &d->stream, &err))
        return fail("open", &err);
    if (!append(d, 1000, 1))
        return 1;
    if (pv_stream_seal(d->stream, NULL, &err))
        return fail("seal", &err);
    if (pv_stream_state(d->stream, &state, &err) || state.pending)
        return fail("state: something is left unsealed", &err);
    if (pv_reader_open(&reader, d->store, STREAM, &err))
        return fail("read", &err);
    int rc = pv_stream_check(&reader, d->log_key.public_key, NULL, NULL, NULL, &err);
    if (!rc)
        rc = print_entries(&reader, &err);
    pv_reader_close(&reader);
    return rc ? fail("check", &err) : 0;
}

int main(int argc, char **argv)
{
    static struct driver d;
    if (argc != 6)
        return 2;
    int rc = strcmp(argv[1], "run") == 0 ? run(&d, argv) : check(&d, argv);
    stop(&d);
    return rc;
}
