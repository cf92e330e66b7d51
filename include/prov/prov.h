/* prov/prov.h - libprov: tamper-evident provenance for machine learning.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Rules that hold for all of include/prov/
 *  - A function that can fail returns PROV_OK or a negative PROV_E_* code (prov_plugin.h) and fills a caller-owned
 *    prov_error; err may be NULL. "Tampered" is an answer, not an error: see prov_verdict.
 *  - Strings are UTF-8. A `char **ret_json` receives a JSON document (JCS) that the caller frees with prov_free.
 *  - Parameter structs start with struct_size = sizeof; leave what you do not use zero.
 *  - A handle may be used by many threads at once. The library never prints, never exits, installs no signal handlers.
 *  - After fork, a child may use handles opened before it (threads are made anew) or open its own.
 * Since 0.1 everywhere, unless said otherwise.
 */
#ifndef PROV_PROV_H
#define PROV_PROV_H

#include <stddef.h>
#include <stdint.h>

#include "../prov_plugin.h"

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define PROV_API __attribute__((visibility("default")))
#else
#define PROV_API
#endif

/* "0.1.0" [any] */
PROV_API const char *prov_version(void);
/* {"version", "abi", "libraries":{...}} */
PROV_API int prov_version_info(char **ret_json, prov_error *err);
/* Frees what a function of this library gave out. NULL is fine. */
PROV_API void prov_free(void *memory);
/* Name ("E_NOT_FOUND"), text and the CLI's exit code of a result code. Static strings. [any] */
PROV_API const char *prov_rc_name(int32_t code);
PROV_API const char *prov_rc_text(int32_t code);
PROV_API int prov_rc_exit(int32_t code);

/* Messages of the library and its plugins: level is PROV_LOG_*; call may come from any thread, one at a time. level_max:
 * the most talkative level wanted. NULL turns it off (the default). Process-wide. */
typedef void (*prov_log_fn)(void *ctx, int32_t level, const char *message);
PROV_API void prov_log_set(prov_log_fn call, void *ctx, int32_t level_max);

/* ---- the handle ----------------------------------------------------------------------------------------------------- */

typedef struct prov_handle prov_handle;

/* One setting that goes before environment and files: {"chain.network", "dev", "--network"}. */
typedef struct prov_setting {
    const char *path;
    const char *value;
    const char *from; /* how errors name it */
} prov_setting;

#define PROV_OPEN_NO_PROJECT 1u /* reads no prov.yaml of a project: the user's and the system's only */
typedef struct prov_open_params {
    uint32_t struct_size;
    uint32_t flags; /* PROV_OPEN_* */
    const char *config_file; /* relative to work_dir; NULL: search upward from work_dir for prov.yaml */
    const char *work_dir;    /* NULL: the process's */
    const char *store_url;   /* file:///dir or s3://bucket/prefix in place of the configured store; NULL: none */
    const prov_setting *settings;
    uint64_t n_settings;
    const char *const *trust; /* further trusted keys, each as in `trust.keys` */
    uint64_t n_trust;
} prov_open_params;

/* Reads the configuration; opens the store and keys on first use. params may be NULL. */
PROV_API int prov_open(const prov_open_params *params, prov_handle **ret, prov_error *err);
/* Seals nothing: call prov_flush before, if the records are to be sealed now. NULL is fine. */
PROV_API void prov_close(prov_handle *handle);
/* Makes calls that are under way in other threads end with PROV_E_CANCELLED; for signal handling. Async-signal-safe. */
PROV_API void prov_cancel(prov_handle *handle);

/* Seals every record of this host that waits in a journal, over all streams of the configured store.
 * {"streams":[{"stream","records","tree_size"}], "records":N}. ret_json may be NULL. */
PROV_API int prov_flush(prov_handle *handle, char **ret_json, prov_error *err);

/* ---- set-up --------------------------------------------------------------------------------------------------------- */

typedef struct prov_init_params {
    uint32_t struct_size;
    uint32_t flags;            /* PROV_INIT_* */
    const char *dir;           /* where prov.yaml goes; NULL: the working directory */
    const char *origin;        /* store origin; NULL: provhost.local/<uuid> */
    const char *model_id;      /* default model, or NULL */
} prov_init_params;
#define PROV_INIT_BLOCKCHAIN 1u
#define PROV_INIT_FINGERPRINT 2u
/* Writes a commented prov.yaml, a log key and a writer key, and the local store; trusts what it wrote. Never overwrites
 * (PROV_E_EXISTS). {"config","store","origin","log_key","keys_dir"} */
PROV_API int prov_init(const prov_init_params *params, char **ret_json, prov_error *err);
/* {"ok":bool, "checks":[{"name","status":"ok"|"warn"|"fail","detail","remedy"?}]} */
PROV_API int prov_doctor(prov_handle *handle, const char *network, char **ret_json, prov_error *err);

/* Checks the configuration and the plugins it names. {"file","trusted","ok":true,"warnings":[...]} */
PROV_API int prov_config_check(prov_handle *handle, char **ret_json, prov_error *err);
/* The merged configuration; with_origin: {path:{"value","origin"}}, else nested. Secrets read "***". */
PROV_API int prov_config_show(prov_handle *handle, int32_t with_origin, char **ret_json, prov_error *err);
/* Records that this user trusts a project file (and the networks.d files beside it). {"file","sha256"} */
PROV_API int prov_config_trust(const char *file, char **ret_json, prov_error *err);

/* [{"name","file","version","licence","providers":[...],"error"?}] */
PROV_API int prov_plugin_list(prov_handle *handle, char **ret_json, prov_error *err);
PROV_API int prov_plugin_info(prov_handle *handle, const char *name_or_path, char **ret_json, prov_error *err);
PROV_API int prov_plugin_check(prov_handle *handle, const char *name_or_path, char **ret_json, prov_error *err);
/* Body of the child process that describes a plugin before this one loads it: writes JSON to out_fd. */
PROV_API int prov_plugin_describe(const char *path, int32_t out_fd);

/* ---- keys ----------------------------------------------------------------------------------------------------------- */

/* name: log, writer, a validator's or a chain key's. algorithm: "ed25519" or "secp256k1". passphrase NULL: not encrypted.
 * {"name","algorithm","public","key_id"?,"address"?,"verifier_key"?,"file"} */
PROV_API int prov_key_new(prov_handle *handle, const char *name, const char *algorithm, const char *passphrase,
                          char **ret_json, prov_error *err);
/* Takes a key from a file (PEM, hex, keystore v3, OpenSSH). */
PROV_API int prov_key_import(prov_handle *handle, const char *name, const char *file, const char *passphrase,
                             char **ret_json, prov_error *err);
PROV_API int prov_key_show(prov_handle *handle, const char *name, char **ret_json, prov_error *err);
PROV_API int prov_key_list(prov_handle *handle, char **ret_json, prov_error *err);
/* Authorises another host's writer key ("ed25519:<hex>") in a stream ("models/iris"; NULL: the configured model's), or revokes it. {"id"} */
PROV_API int prov_key_authorize(prov_handle *handle, const char *stream, const char *public_key, char **ret_json,
                                prov_error *err);
PROV_API int prov_key_revoke(prov_handle *handle, const char *stream, const char *public_key, const char *reason,
                             char **ret_json, prov_error *err);

/* ---- hashes --------------------------------------------------------------------------------------------------------- */

/* SHA-256 of one file, or of several the SHA-256 of their `sha256sum` lines sorted by path bytes. ret_hex has 65 bytes. */
PROV_API int prov_hash_files(const char *const *paths, uint64_t n_paths, char ret_hex[65], prov_error *err);
/* {"tensors":[{"name","dtype","shape","bytes","sha256"}],"metadata":{...}} of a safetensors file. */
PROV_API int prov_safetensors_inspect(const char *path, int32_t with_digests, char **ret_json, prov_error *err);
typedef struct prov_tensor {
    uint32_t struct_size;
    uint32_t n_dims;
    const char *name;
    const char *dtype; /* "F32", ... */
    const uint64_t *shape;
    const void *data; /* little-endian, C order */
    uint64_t size_bytes;
} prov_tensor;
/* Writes a safetensors file durably, names sorted. metadata_json: an object of strings, or NULL. */
PROV_API int prov_safetensors_write(const char *path, const prov_tensor *const *tensors, uint64_t n_tensors,
                                    const char *metadata_json, prov_error *err);

#ifdef __cplusplus
}
#endif

#endif
