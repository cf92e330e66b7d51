/* api.h - what the files of libprov share: the handle behind prov_handle.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Configuration is read by prov_open; everything else is opened on first use under the handle's lock, so that a command
 * which needs no store does not pay for one. Threads: [any].
 */
#ifndef PROV_API_H
#define PROV_API_H

#include <pthread.h>
#include <stdatomic.h>

#include "prov/training.h"
#include "pv_config.h"
#include "pv_key.h"
#include "pv_plugin.h"
#include "pv_proof.h"
#include "pv_stream.h"

#ifndef PROV_VERSION
#define PROV_VERSION "0.0.0"
#endif

struct api_stream {
    struct pv_stream *stream;
    struct api_stream *next;
};

struct prov_handle {
    pthread_mutex_t lock;
    struct pv_config *config;
    struct pv_plugins *plugins;
    struct pv_store *store;
    struct pv_trust trust;
    char **trust_extra; /* of prov_open, owned, NULL-terminated */
    char origin[PV_NAME_MAX]; /* of the store; "" until known */
    char keys_dir[1024], state_dir[1024];
    struct pv_key log_key, writer_key;
    bool keys_loaded;
    bool store_checked; /* store.json is there and is ours */
    struct pv_ledger ledger;
    struct api_stream *streams;
    json_t *context; /* gathered once */
    bool context_done;
    _Atomic uint64_t unsealed; /* records since the last seal, for batch_size */
};

/* Gives back JSON in canonical form; takes over doc (NULL: err is filled already). */
int api_give(json_t *doc, char **ret_json, prov_error *err);
/* A scratch error for callers that gave NULL. Use: API_ERR(err); */
#define API_ERR(err)                   \
    prov_error api_scratch_err = {0};  \
    if (!(err))                        \
        (err) = &api_scratch_err;      \
    else                               \
        memset((err), 0, sizeof *(err))

/* Each opens what it names, once. */
int api_plugins(prov_handle *h, struct pv_plugins **ret, prov_error *err);
int api_store(prov_handle *h, struct pv_store **ret, prov_error *err);
/* The store's origin: from the configuration, or from store.json. PROV_E_CONFIG says to run prov init. */
int api_origin(prov_handle *h, prov_error *err);
/* Keys of this host for the store; PROV_E_NOT_FOUND says to run prov init. */
int api_ledger(prov_handle *h, struct pv_ledger **ret, prov_error *err);
/* A stream for writing, kept open until prov_close. */
int api_stream(prov_handle *h, const char *path, struct pv_stream **ret, prov_error *err);
/* The ledger with its store open and known to be ours. */
int api_ready(prov_handle *h, struct pv_ledger **ret, prov_error *err);
/* Seals all that waits in a stream; the store may fail, then the records stay in the journal. */
int api_seal(prov_handle *h, struct pv_stream *stream, struct pv_seal_report *ret, prov_error *err);
/* The first use of a store writes store.json; later ones check that it is ours. */
int api_claim_store(prov_handle *h, prov_error *err);
/* "models/<id>" of a model id, or of the configured model when NULL. */
int api_model_path(prov_handle *h, const char *model_id, char *ret, size_t cap, prov_error *err);
const char *api_model_id(prov_handle *h, const char *given);
const char *api_actor(prov_handle *h, const char *given);
/* Builds the plugin spec of a configuration section; options are collected into a caller-freed array. */
struct api_spec {
    struct pv_plugin_spec spec;
    struct pv_plugin_option *options;
    size_t n, cap;
    int failed;
    char state_key[160];
};
int api_spec_init(prov_handle *h, struct api_spec *s, const char *section, const char *role, prov_error *err);
void api_spec_done(struct api_spec *s);

/* A reader over a stream whose signature was looked at: *ret_signed by whom. */
int api_reader(prov_handle *h, const char *path, struct pv_reader *ret, prov_error *err);
/* The key that signed the reader's tree head: the store's log key when it did. PROV_E_CORRUPT when none of the store's keys did. */
int api_signer(prov_handle *h, const struct pv_reader *r, uint8_t ret_key[32], prov_error *err);

/* store.json, where it is there, must name the store and key of the stream. PROV_E_CORRUPT. */
int api_check_store(prov_handle *h, const struct pv_reader *r, const uint8_t key[32], prov_error *err);

/* Body and stream of a checkpoint or validation: checks all, hashes files. */
struct api_draft {
    char stream[300];
    char subject[PV_ID_MAX + 1];
    char kind[PV_KIND_MAX + 1];
    char *actor;
    struct psdk_buf body;
};
int api_draft_checkpoint(prov_handle *h, const prov_checkpoint *c, struct api_draft *ret, prov_error *err);
int api_draft_validation(prov_handle *h, const prov_validation *v, struct api_draft *ret, prov_error *err);
int api_draft_raw(prov_handle *h, const char *stream, const char *kind, const char *subject, const char *actor,
                  const char *body_json, struct api_draft *ret, prov_error *err);
void api_draft_done(struct api_draft *d);
/* Refuses kinds that have functions of their own: key.*, writer.*, checkpoints, validations. */
int api_check_raw_kind(const char *kind, prov_error *err);
/* Records any kind, ours too. */
int api_record(prov_handle *h, const char *stream, const char *kind, const char *subject, const char *actor,
               const char *body_json, char ret_id[65], prov_error *err);

/* The passphrase of encrypted keys: PROV_PASSPHRASE of the environment. */
extern const struct pv_passphrase api_passphrase;
/* Keys: the folder of the store's keys, made when it is not there. */
int api_keys_dir(prov_handle *h, prov_error *err);
json_t *api_key_json(const struct pv_key *key, const char *origin, const char *dir, prov_error *err);

#endif
