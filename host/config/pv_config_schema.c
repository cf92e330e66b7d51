/* pv_config_schema.c - every key that the host knows. docs/configuration.md describes the same table.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <string.h>

#include "pv_config_impl.h"

#define TRUST PV_CFG_TRUST
#define REQUIRED PV_CFG_REQUIRED

/* path, type, flags, min, max, choices, default, doc. A parent stands before its members. */
static const struct pv_schema table[] = {
    {"version", PV_CFG_INT, 0, 1, 1, NULL, "1", "version of the file's format"},
    {"store", PV_CFG_OPEN, 0, 0, 0, NULL, NULL,
     "where streams and versions are kept; further members are the backend's options"},
    {"store.plugin", PV_CFG_DRIVER, 0, 0, 0, NULL, NULL, "storage backend"},
    {"chain", PV_CFG_SECTION, 0, 0, 0, NULL, NULL, "which network is used"},
    {"chain.network", PV_CFG_STRING, 0, 0, 0, NULL, NULL, "a name under networks"},
    {"chain.fallback", PV_CFG_DRIVER, 0, 0, 0, NULL, NULL,
     "backend that answers deferrable operations while the network fails, or off"},
    {"networks", PV_CFG_NAMED, 0, 0, 0, NULL, NULL, "networks by name"},
    {"networks.*", PV_CFG_OPEN, 0, 0, 0, NULL, NULL, "one network; further members are the backend's options"},
    {"networks.*.plugin", PV_CFG_DRIVER, REQUIRED, 0, 0, NULL, NULL, "chain backend"},
    {"reward", PV_CFG_OPEN, 0, 0, 0, NULL, NULL, "reward computation; further members are the backend's options"},
    {"reward.plugin", PV_CFG_DRIVER, 0, 0, 0, NULL, NULL, "reward backend"},
    {"catalog", PV_CFG_OPEN, 0, 0, 0, NULL, NULL,
     "the index and operational state; further members are the backend's options"},
    {"catalog.plugin", PV_CFG_DRIVER, 0, 0, 0, NULL, NULL, "catalog backend"},
    {"record", PV_CFG_SECTION, 0, 0, 0, NULL, NULL, "what is recorded, and when it is sealed"},
    {"record.batch_size", PV_CFG_INT, 0, 1, 65536, NULL, "10", "records that close a batch"},
    {"record.max_delay", PV_CFG_DURATION, 0, 0, 0, NULL, "1s", "time after which a batch is closed"},
    {"record.fingerprint_checkpoints", PV_CFG_BOOL, 0, 0, 0, NULL, "true",
     "record a fingerprint of each training checkpoint"},
    {"record.record_challenges", PV_CFG_BOOL, 0, 0, 0, NULL, "true", "keep the challenges of validations"},
    {"record.auto_verify", PV_CFG_BOOL, 0, 0, 0, NULL, "true", "verify each proof as it is made"},
    {"record.context", PV_CFG_LIST, 0, 0, 0, "git libraries !command !host", "git,libraries",
     "facts about the run that are recorded"},
    {"anchor", PV_CFG_SECTION, 0, 0, 0, NULL, NULL, "when tree heads are anchored on the chain"},
    {"anchor.when", PV_CFG_LIST, 0, 0, 0, "version proof seal manual", "version,proof", "events that anchor"},
    {"anchor.min_interval", PV_CFG_DURATION, 0, 0, 0, NULL, "10m", "least time between two anchors of one event"},
    {"anchor.kinds", PV_CFG_LIST, 0, 0, 0, NULL, "*", "kinds of streams and records that are anchored"},
    {"trust", PV_CFG_SECTION, TRUST, 0, 0, NULL, NULL, "whose signatures count"},
    {"trust.keys", PV_CFG_LIST, TRUST, 0, 0, NULL, NULL, "log keys"},
    {"trust.writers", PV_CFG_LIST, TRUST, 0, 0, NULL, NULL, "writer keys"},
    {"trust.validators", PV_CFG_LIST, TRUST, 0, 0, NULL, NULL, "validator keys"},
    {"trust.witnesses", PV_CFG_SECTION, TRUST, 0, 0, NULL, NULL, "witnesses of tree heads"},
    {"trust.witnesses.quorum", PV_CFG_INT, TRUST, 0, 1000, NULL, "0", "witness signatures that a tree head needs"},
    {"trust.witnesses.keys", PV_CFG_LIST, TRUST, 0, 0, NULL, NULL, "witness keys"},
    {"trust.tsa", PV_CFG_LIST, TRUST, 0, 0, NULL, NULL, "time-stamp authorities"},
    {"trust.contracts", PV_CFG_LISTS, TRUST, 0, 0, NULL, NULL, "contract addresses, by chain id"},
    {"trust.senders", PV_CFG_LIST, TRUST, 0, 0, NULL, NULL, "addresses whose transactions count"},
    {"plugins", PV_CFG_SECTION, TRUST, 0, 0, NULL, NULL, "where backends are found"},
    {"plugins.path", PV_CFG_PATHS, TRUST, 0, 0, NULL, NULL, "folders that are searched before the installed one"},
    {"plugins.pins", PV_CFG_PINS, TRUST, 0, 0, NULL, NULL, "SHA-256 of a backend's file, by name"},
    {"origin", PV_CFG_STRING, 0, 0, 0, NULL, NULL, "name of the store, part of the origin of each stream"},
    {"actor", PV_CFG_STRING, 0, 0, 0, NULL, "local", "who acts, as records state it"},
    {"model_id", PV_CFG_STRING, 0, 0, 0, NULL, NULL, "model that commands are about when --model-id is not given"},
    {"default_model", PV_CFG_STRING, 0, 0, 0, NULL, "default_model", "model when model_id is not set either"},
    {"keys", PV_CFG_PATH, TRUST, 0, 0, NULL, NULL, "folder of key files"},
    {"state", PV_CFG_PATH, TRUST, 0, 0, NULL, NULL, "folder for journals and local state"},
    {0}};

const struct pv_schema *pv_schema_table(void)
{
    return table;
}

const char *pv_cfg_type_name(enum pv_cfg_type type)
{
    static const char *const names[] = {[PV_CFG_STRING] = "a string",
                                        [PV_CFG_INT] = "a whole number",
                                        [PV_CFG_BOOL] = "true or false",
                                        [PV_CFG_DURATION] = "a duration such as 500ms, 10s or 1h30m",
                                        [PV_CFG_PATH] = "a path",
                                        [PV_CFG_DRIVER] = "a backend's name",
                                        [PV_CFG_LIST] = "a list of strings",
                                        [PV_CFG_PATHS] = "a list of paths",
                                        [PV_CFG_PINS] = "a map of names to SHA-256 digests",
                                        [PV_CFG_LISTS] = "a map of names to lists",
                                        [PV_CFG_SECTION] = "a map",
                                        [PV_CFG_NAMED] = "a map",
                                        [PV_CFG_OPEN] = "a map"};
    return names[type];
}

/* Compares part by part; "*" in the pattern takes one part. *ret_len: how much of path was used. */
static bool matches(const char *pattern, const char *path, bool prefix, size_t *ret_len)
{
    const char *start = path;
    for (;;) {
        size_t a = strcspn(pattern, "."), b = strcspn(path, ".");
        bool star = a == 1 && *pattern == '*';
        if (b == 0 || (!star && (a != b || memcmp(pattern, path, a) != 0)))
            return false;
        pattern += a;
        path += b;
        if (!*pattern) {
            *ret_len = (size_t)(path - start);
            return prefix || !*path;
        }
        if (!*path)
            return false;
        pattern++;
        path++;
    }
}

const struct pv_schema *pv_schema_find(const char *path)
{
    size_t len;
    for (const struct pv_schema *row = table; row->path; row++)
        if (matches(row->path, path, false, &len))
            return row;
    return NULL;
}

const struct pv_schema *pv_schema_section(const char *path, size_t *ret_len)
{
    for (const struct pv_schema *row = table; row->path; row++)
        if (row->type == PV_CFG_OPEN && matches(row->path, path, true, ret_len))
            return row;
    return NULL;
}

/* The last part of a row's path when the row is a direct member of parent, else NULL. */
static const char *member_of(const struct pv_schema *row, const char *parent)
{
    const char *dot = strrchr(row->path, '.');
    size_t len = dot ? (size_t)(dot - row->path) : 0;
    if (len != strlen(parent) || memcmp(row->path, parent, len) != 0)
        return NULL;
    return dot ? dot + 1 : row->path;
}

void pv_schema_suggest(const char *parent, const char *key, char *ret, size_t cap)
{
    const char *names[sizeof table / sizeof *table + 1];
    size_t n = 0;
    ret[0] = '\0';
    for (const struct pv_schema *row = table; row->path; row++) {
        const char *name = member_of(row, parent);
        if (name && strcmp(name, "*") != 0)
            names[n++] = name;
    }
    names[n] = NULL;
    const char *near = psdk_suggest(key, names);
    if (near) {
        snprintf(ret, cap, "%s%s%s", parent, *parent ? "." : "", near);
        return;
    }
    /* A key of another section? */
    for (const struct pv_schema *row = table; row->path; row++) {
        const char *dot = strrchr(row->path, '.');
        if (strcmp(dot ? dot + 1 : row->path, key) == 0 && !strchr(row->path, '*')) {
            snprintf(ret, cap, "%s", row->path);
            return;
        }
    }
}
