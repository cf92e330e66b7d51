/* prov_plugin.h - the Provhost plugin ABI, version 1.0 (not yet frozen; see docs/plugin-authors.md)
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The only header that a backend needs. It is clean in C11, C17 and C++11 to C++20.
 *
 * A backend is a shared object that exports exactly one symbol, the constant `prov_plugin_v1`. The host reads that
 * table before it calls any code of the plugin. A plugin offers providers; a provider fills one role (storage, chain,
 * reward, catalog) under the name that users write in YAML after `plugin:`.
 *
 * RULES THAT HOLD EVERYWHERE
 *  - Growth: every struct that crosses starts with `struct_size` = sizeof of it where it was compiled. Read a member of
 *    a struct made by the other side only when struct_size covers it (PROV_HAS). Members are only ever appended.
 *  - Results: a function returns PROV_OK (0) or a negative PROV_E_* code, and then fills *err. An op that succeeds
 *    leaves *err alone. err is never NULL, always zeroed by the caller, and holds no pointers.
 *  - Memory: nothing is freed across the boundary. The callee writes into structs that the caller sized, or calls the
 *    caller's source, sink or emit. Every pointer given to a callee is valid only until that call returns; a callback's
 *    arguments are valid only during the callback. Strings are UTF-8 and end in NUL.
 *  - Calls block. Honour call->deadline_ns and the cancel flag: return PROV_E_TIMEOUT or PROV_E_CANCELLED in time. An op
 *    that does not return by its deadline is abandoned: its frame is leaked, its breaker opens, its sinks answer
 *    PROV_E_CANCELLED from then on.
 *  - Threads: [loader] before any instance exists, one thread. [instance] any thread, one call at a time on an instance.
 *    [any] any thread, concurrently. A provider with PROV_CAP_THREADSAFE promises [any] for all of its ops.
 *  - Units: _ns nanoseconds, _ms milliseconds, _bytes bytes, _wei 32-byte big-endian unsigned integers.
 *  - A plugin never calls exit, abort, setlocale, setenv, chdir, fork without exec, never installs signal handlers,
 *    never writes to stdout or stderr, and leaves no thread behind after destroy.
 */
#ifndef PROV_PLUGIN_H
#define PROV_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PROV_ABI_MAJOR 1u
#define PROV_ABI_MINOR 0u

/* True when the struct at p, made by the other side, is large enough to hold member m. */
#define PROV_HAS(p, type, m) ((p)->struct_size >= offsetof(type, m) + sizeof(((const type *)0)->m))

/* ---- result codes ------------------------------------------------------------------------------------------------
 * X(NAME, value, text, CLI exit, HTTP status, Python exception). Values never change meaning within ABI 1. */
#define PROV_RC_TABLE(X)                                                                  \
    X(OK, 0, "ok", 0, 200, "")                                                            \
    X(E_INTERNAL, -1, "internal error", 1, 500, "ProvError")                              \
    X(E_IO, -2, "input/output error", 1, 500, "ProvIOError")                              \
    X(E_NOMEM, -3, "out of memory", 1, 500, "MemoryError")                                \
    X(E_NOSPACE, -4, "no space left", 1, 507, "ProvIOError")                              \
    X(E_INVALID, -5, "invalid argument or input", 2, 400, "ValueError")                   \
    X(E_LIMIT, -6, "over a limit", 2, 413, "ValueError")                                  \
    X(E_CORRUPT, -7, "present but not valid", 3, 422, "VerificationError")                \
    X(E_NOT_FOUND, -8, "not found", 4, 404, "NotFoundError")                              \
    X(E_CONFIG, -9, "configuration error", 5, 500, "ConfigError")                         \
    X(E_PLUGIN, -10, "plugin error", 5, 500, "PluginError")                               \
    X(E_UNSUPPORTED, -11, "not supported by this backend", 5, 501, "UnsupportedError")    \
    X(E_NETWORK, -12, "network error", 6, 502, "NetworkError")                            \
    X(E_TIMEOUT, -13, "timed out", 6, 504, "TimeoutError")                                \
    X(E_UNAVAILABLE, -14, "unavailable, try again later", 6, 503, "UnavailableError")     \
    X(E_PENDING, -15, "pending", 6, 202, "PendingError")                                  \
    X(E_CONFLICT, -16, "changed by somebody else", 7, 409, "ConflictError")               \
    X(E_EXISTS, -17, "already exists", 7, 409, "ExistsError")                             \
    X(E_DENIED, -18, "denied", 8, 403, "PermissionError")                                 \
    X(E_CANCELLED, -19, "cancelled", 130, 499, "CancelledError")

enum {
#define PROV_RC_ENUM(name, value, text, cli, http, py) PROV_##name = (value),
    PROV_RC_TABLE(PROV_RC_ENUM)
#undef PROV_RC_ENUM
    PROV_RC_SENTINEL = -1000
};

/* What an error says about the request; it drives retry and fallback. Zero is read as UNKNOWN for ops that change
 * something and as NOT_APPLIED for ops that only read. */
#define PROV_OUTCOME_UNSET 0       /* not said */
#define PROV_OUTCOME_NOT_APPLIED 1 /* nothing happened: safe to try again or to fall back */
#define PROV_OUTCOME_RETRY_LATER 2 /* nothing happened, the service is busy: wait retry_after_ms */
#define PROV_OUTCOME_PERMANENT 3   /* configuration, credentials, refused input: never falls back in silence */
#define PROV_OUTCOME_UNKNOWN 4     /* may have happened: looked up by key, never blindly repeated */

/* An error. 512 bytes, frozen for ABI 1 (it has no struct_size). Owned by the caller. */
typedef struct prov_error {
    int32_t code;            /* PROV_E_* */
    int32_t outcome;         /* PROV_OUTCOME_* */
    uint32_t retry_after_ms; /* with RETRY_LATER; 0 = the host chooses */
    uint32_t reserved;
    int64_t native_code; /* errno, HTTP status, JSON-RPC code; 0 none */
    char message[488];   /* what, where, why; no newline at the end; never a secret */
} prov_error;

/* ---- what every call carries -------------------------------------------------------------------------------------- */
typedef struct prov_call {
    uint32_t struct_size;
    uint32_t flags;         /* 0 */
    uint64_t deadline_ns;   /* on CLOCK_MONOTONIC; 0 = none */
    const uint32_t *cancel; /* becomes non-zero when the caller gives up; read it atomically; may be NULL */
    int32_t cancel_fd;      /* readable when the caller gives up, for poll(); -1 = none */
    uint32_t reserved;
    const char *trace_id; /* W3C trace id, 32 hex digits, or "" */
} prov_call;

/* A body that the caller gives, read in order. [the calling thread only] */
typedef struct prov_source {
    uint32_t struct_size;
    uint32_t reserved;
    void *ctx;
    /* Reads at most cap_bytes (> 0) into buf; *ret_bytes = 0 means the end. */
    int32_t (*read)(void *ctx, void *buf, uint64_t cap_bytes, uint64_t *ret_bytes);
    /* Starts again from the first byte, for a retry; NULL when the body can be read only once. */
    int32_t (*rewind)(void *ctx);
} prov_source;

/* Where the callee puts a body. A negative result means: stop and return that code. [the calling thread only] */
typedef struct prov_sink {
    uint32_t struct_size;
    uint32_t reserved;
    void *ctx;
    int32_t (*write)(void *ctx, const void *data, uint64_t size_bytes);
} prov_sink;

/* ---- host services ------------------------------------------------------------------------------------------------ */
#define PROV_LOG_ERROR 0
#define PROV_LOG_WARN 1
#define PROV_LOG_INFO 2
#define PROV_LOG_DEBUG 3

/* Given to create; stays valid until destroy returns. */
typedef struct prov_host {
    uint32_t struct_size;
    uint32_t reserved;
    void *ctx;
    void (*log)(void *ctx, int32_t level, const char *message); /* [any] never a secret in it */
    uint64_t (*monotonic_ns)(void *ctx);                        /* [any] CLOCK_MONOTONIC */
    uint64_t (*wall_ns)(void *ctx);                             /* [any] since 1970, UTC */
    /* Copies the value of a secret option into buf, NUL-terminated. Only while create runs; wipe buf after use.
     * PROV_E_NOT_FOUND: not configured. PROV_E_LIMIT: cap_bytes is too small. [instance] */
    int32_t (*secret)(void *ctx, const char *option, char *buf, uint64_t cap_bytes, prov_error *err);
    /* A named service table, or NULL when this host has none. [instance] */
    const void *(*service)(void *ctx, const char *id);
} prov_host;

/* Service "prov.state/1": a folder (mode 0700) of this instance's own, kept across runs; NULL when it cannot be had. */
#define PROV_SERVICE_STATE "prov.state/1"
typedef struct prov_service_state {
    uint32_t struct_size;
    uint32_t reserved;
    const char *(*dir)(void *host_ctx); /* absolute path, valid until destroy returns [instance] */
} prov_service_state;

/* ---- options ------------------------------------------------------------------------------------------------------ */
#define PROV_OPT_STRING 1
#define PROV_OPT_INT 2      /* given as decimal digits, signed 64-bit */
#define PROV_OPT_BOOL 3     /* given as "true" or "false" */
#define PROV_OPT_DURATION 4 /* users write 10s, 500ms, 1h; given as decimal nanoseconds */
#define PROV_OPT_SIZE 5     /* users write 16MiB; given as decimal bytes */
#define PROV_OPT_PATH 6     /* given absolute; relative ones count from the configuration file */
#define PROV_OPT_LIST 7     /* list of strings; given as several values of one name, in order */
#define PROV_OPT_MAP 8      /* string to string; given as NAME.KEY, sorted by KEY */

#define PROV_OPT_REQUIRED 1u /* the host refuses a configuration without it */
#define PROV_OPT_SECRET 2u   /* never in the option values: ask host->secret */

typedef struct prov_option {
    uint32_t struct_size;
    int32_t type;   /* PROV_OPT_* */
    uint32_t flags; /* PROV_OPT_REQUIRED, PROV_OPT_SECRET */
    uint32_t reserved;
    const char *name;          /* as in YAML */
    const char *default_value; /* in the user's spelling, or NULL */
    const char *doc;           /* one line for help */
} prov_option;

typedef struct prov_option_value {
    const char *name;
    const char *value;
} prov_option_value;

/* ---- descriptor --------------------------------------------------------------------------------------------------- */
#define PROV_ROLE_STORAGE "prov.storage/1"
#define PROV_ROLE_CHAIN "prov.chain/1"
#define PROV_ROLE_REWARD "prov.reward/1"
#define PROV_ROLE_CATALOG "prov.catalog/1"

#define PROV_CAP_THREADSAFE (1ull << 0)  /* all ops are [any] */
#define PROV_CAP_PERSISTENT (1ull << 1)  /* what an op answered survives the loss of this process and machine */
#define PROV_CAP_EPHEMERAL (1ull << 2)   /* for tests: what is stored may vanish */
#define PROV_CAP_LOCAL_ONLY (1ull << 3)  /* chain: answers locally, settles nothing; fit to be a fallback */
#define PROV_CAP_SHARED (1ull << 4)      /* several hosts may use the same data at once */
/* Bits from 32 up belong to the role; unknown bits are ignored. */

typedef struct prov_provider {
    uint32_t struct_size;
    uint32_t reserved;
    const char *role; /* PROV_ROLE_*; a provider of an unknown role is listed and not used */
    const char *name; /* the YAML name: [a-z][a-z0-9-]{0,62} */
    const char *doc;  /* one line */
    uint64_t capabilities;
    const prov_option *const *options; /* NULL-terminated, or NULL */
    const void *ops;                   /* the role's table: prov_storage_ops, ... */
    /* Makes an instance. values: every option that has a value, defaults filled in, n_values of them. [loader] or
     * [instance]: calls of create may come from any thread, for different instances at once. No network traffic is
     * needed here; a wrong option is PROV_E_CONFIG with outcome PERMANENT. */
    int32_t (*create)(const prov_host *host, const prov_option_value *values, uint64_t n_values, void **ret_instance,
                      prov_error *err);
    /* Ends it: all threads and files of the instance are gone when it returns. Called once, with no op running. */
    void (*destroy)(void *instance);
} prov_provider;

typedef struct prov_plugin {
    uint32_t struct_size;
    uint32_t abi_minor;  /* PROV_ABI_MINOR where it was compiled; a higher one than the host's is fine */
    const char *name;    /* of the file's product, for people */
    const char *version; /* semantic version of the plugin itself */
    const char *licence; /* SPDX expression */
    const char *url;     /* where to report a fault, or "" */
    const prov_provider *const *providers; /* NULL-terminated, at least one */
} prov_plugin;

/* The one exported symbol. A plugin includes this header and writes, in one of its files:
 *     const prov_plugin prov_plugin_v1 = {...};
 * The declaration here makes that definition visible and gives it C linkage, in C++ too. */
#define PROV_PLUGIN_SYMBOL "prov_plugin_v1"
#if defined(__GNUC__)
__attribute__((visibility("default")))
#endif
extern const prov_plugin prov_plugin_v1;

/* ==== role prov.storage/1 ===========================================================================================
 * Keys are relative paths: segments [A-Za-z0-9._:+-]+ joined by "/", no segment "." or "..", at most 512 bytes. An object
 * is either whole or absent at every instant. put, copy and del that return PROV_OK are durable. */
#define PROV_PRECOND_NONE 0   /* create or replace */
#define PROV_PRECOND_ABSENT 1 /* only if there is none; else PROV_E_EXISTS */
#define PROV_PRECOND_MATCH 2  /* only if its etag equals; else PROV_E_CONFLICT (PROV_E_NOT_FOUND when there is none) */

typedef struct prov_precond {
    uint32_t struct_size;
    int32_t kind;    /* PROV_PRECOND_* */
    char etag[128];  /* with MATCH: as stat, get or put gave it */
} prov_precond;

#define PROV_OBJECT_HAS_SHA256 1u /* sha256 is set */
typedef struct prov_object {
    uint32_t struct_size;
    uint32_t flags;
    uint64_t size_bytes;
    int64_t mtime_ns; /* since 1970, of the last change; 0 unknown */
    char etag[128];   /* opaque; differs whenever the content was replaced, even by the same bytes or not */
    uint8_t sha256[32];
} prov_object;

typedef struct prov_list_entry {
    uint32_t struct_size;
    uint32_t reserved;
    const char *key;
    uint64_t size_bytes;
    int64_t mtime_ns;
} prov_list_entry;

/* Receives a listing. A negative result means: stop and return that code. */
typedef struct prov_list_emit {
    uint32_t struct_size;
    uint32_t reserved;
    void *ctx;
    int32_t (*entry)(void *ctx, const prov_list_entry *entry);
} prov_list_emit;

/* One object of a put_many: small, in memory, no precondition. */
typedef struct prov_put_item {
    uint32_t struct_size;
    uint32_t reserved;
    const char *key;
    const void *data;
    uint64_t size_bytes;
} prov_put_item;

/* Ops in the order of the table; those marked * must be there, the others may be NULL. */
typedef struct prov_storage_ops {
    uint32_t struct_size;
    uint32_t reserved;
    /* * Stores size_bytes bytes of source under key. ret_object may be NULL. A body that ends early or late is
     *   PROV_E_INVALID and leaves the old object. With outcome UNKNOWN the object may have been replaced. */
    int32_t (*put)(void *self, const prov_call *call, const char *key, const prov_source *source, uint64_t size_bytes,
                   const prov_precond *precond, prov_object *ret_object, prov_error *err);
    /* * Streams length_bytes bytes from offset_bytes (UINT64_MAX: to the end; a range past the end is cut) into sink, from
     *   one state of the object; ret_object (may be NULL) describes it. PROV_E_NOT_FOUND when there is none. */
    int32_t (*get)(void *self, const prov_call *call, const char *key, uint64_t offset_bytes, uint64_t length_bytes,
                   const prov_sink *sink, prov_object *ret_object, prov_error *err);
    /* * Describes an object. PROV_E_NOT_FOUND only when it is certain that there is none. */
    int32_t (*stat)(void *self, const prov_call *call, const char *key, prov_object *ret_object, prov_error *err);
    /* * Emits the keys that start with prefix (any string, "" for all) and are greater than after ("" = from the first), in
     *   byte order, at most limit; *ret_more = 1 when there are further ones. */
    int32_t (*list)(void *self, const prov_call *call, const char *prefix, const char *after, uint32_t limit,
                    const prov_list_emit *emit, int32_t *ret_more, prov_error *err);
    /* * Deletes an object; one that is not there is PROV_E_NOT_FOUND. */
    int32_t (*del)(void *self, const prov_call *call, const char *key, prov_error *err);
    /* * Copies an object within the store, without moving its bytes through the host where the backend can. */
    int32_t (*copy)(void *self, const prov_call *call, const char *from, const char *to, const prov_precond *precond,
                    prov_object *ret_object, prov_error *err);
    /*   Stores all items, creating or replacing: when it returns PROV_OK all are durable; on an error each of them is
     *   either old or new. Without it the host calls put for each. */
    int32_t (*put_many)(void *self, const prov_call *call, const prov_put_item *items, uint64_t n_items, prov_error *err);
    /*   Stores the bytes of an open file (from its offset 0, size_bytes of them). The plugin does not close fd. */
    int32_t (*put_fd)(void *self, const prov_call *call, const char *key, int32_t fd, uint64_t size_bytes,
                      const prov_precond *precond, prov_object *ret_object, prov_error *err);
    /*   Begins a multipart upload that survives this process; ret_upload receives its id. */
    int32_t (*multipart_begin)(void *self, const prov_call *call, const char *key, char ret_upload[256], prov_error *err);
    /*   Stores part number (1 to 10000); the same number again replaces it. */
    int32_t (*multipart_put)(void *self, const prov_call *call, const char *key, const char *upload, uint32_t number,
                             const prov_source *source, uint64_t size_bytes, prov_error *err);
    /*   Emits the parts that are there: key is the decimal number. */
    int32_t (*multipart_list)(void *self, const prov_call *call, const char *key, const char *upload,
                              const prov_list_emit *emit, prov_error *err);
    /*   Joins parts 1 to n_parts into the object. */
    int32_t (*multipart_commit)(void *self, const prov_call *call, const char *key, const char *upload, uint32_t n_parts,
                                const prov_precond *precond, prov_object *ret_object, prov_error *err);
    /*   Forgets an upload and its parts. */
    int32_t (*multipart_abort)(void *self, const prov_call *call, const char *key, const char *upload, prov_error *err);
    /*   Writes a URL into ret_url (cap_bytes) that lets anyone read the object until it expires. */
    int32_t (*presign)(void *self, const prov_call *call, const char *key, uint64_t valid_ns, char *ret_url,
                       uint64_t cap_bytes, prov_error *err);
    /*   Checks that the backend can be reached and holds its preconditions; costs at most a few requests. */
    int32_t (*probe)(void *self, const prov_call *call, prov_error *err);
} prov_storage_ops;

/* ==== typed values, shared by chain and catalog ===================================================================== */
#define PROV_VALUE_NULL 0
#define PROV_VALUE_INT 1     /* i64 */
#define PROV_VALUE_REAL 2    /* f64 (never for money) */
#define PROV_VALUE_TEXT 3    /* data, size_bytes: UTF-8, no NUL */
#define PROV_VALUE_BYTES 4   /* data, size_bytes */
#define PROV_VALUE_U256 5    /* data: 32 bytes big-endian */
#define PROV_VALUE_ADDRESS 6 /* data: 20 bytes */
#define PROV_VALUE_HASH 7    /* data: 32 bytes */
#define PROV_VALUE_JSON 8    /* data, size_bytes: one JSON document */
#define PROV_VALUE_TIME 9    /* i64: nanoseconds since 1970 */

typedef struct prov_value {
    uint32_t struct_size;
    int32_t type;     /* PROV_VALUE_* */
    const char *name; /* argument or column */
    int64_t i64;
    double f64;
    const void *data;
    uint64_t size_bytes;
} prov_value;

/* Receives rows of values. A negative result means: stop and return that code. */
typedef struct prov_row_emit {
    uint32_t struct_size;
    uint32_t reserved;
    void *ctx;
    int32_t (*row)(void *ctx, const prov_value *values, uint64_t n_values);
} prov_row_emit;

/* ==== role prov.chain/1 =============================================================================================
 * An operation is a kind with named arguments and an idempotency key that the host makes. A plugin refuses a kind that it
 * does not know with PROV_E_UNSUPPORTED. Arguments in the order given here; `[]` means repeated, once for each row. */
#define PROV_CHAIN_STORE_HASH 1         /* hash TEXT, metadata TEXT -> id U256 */
#define PROV_CHAIN_ANCHOR 2             /* root HASH */
#define PROV_CHAIN_SESSION_CREATE 10    /* session HASH, model HASH */
#define PROV_CHAIN_NODES_REGISTER 11    /* session HASH, (node HASH, address ADDRESS)[] */
#define PROV_CHAIN_CONTRIBUTIONS 12     /* session HASH, (address ADDRESS, compute INT, accepted INT, rounds INT, quality INT)[] */
#define PROV_CHAIN_SESSION_COMPLETE 13  /* session HASH */
#define PROV_CHAIN_SESSION_CANCEL 14    /* session HASH */
#define PROV_CHAIN_POOL_CREATE 20       /* session HASH, total U256, strategy INT, token ADDRESS (zero: native) */
#define PROV_CHAIN_POOL_CALCULATE 21    /* session HASH, strategy INT, (address ADDRESS, score U256)[] */
#define PROV_CHAIN_POOL_ROOT 22         /* session HASH, root HASH, total U256 */
#define PROV_CHAIN_CLAIM 23             /* session HASH, index U256, amount U256, (proof HASH)[] */
#define PROV_CHAIN_CLAIM_STORED 24      /* (session HASH)[] */
#define PROV_CHAIN_RECOVER 25           /* session HASH: what nobody claimed in time */
#define PROV_CHAIN_DEPLOY 30            /* contract TEXT, code BYTES, constructor BYTES -> address ADDRESS */
#define PROV_CHAIN_CALL 31              /* to ADDRESS, data BYTES, value U256: any other transaction */
/* Reading kinds, for query. */
#define PROV_CHAIN_Q_GET_HASH 100       /* id U256 -> hash TEXT, metadata TEXT, time TIME, block INT, submitter ADDRESS */
#define PROV_CHAIN_Q_VERIFY_HASH 101    /* id U256, hash TEXT -> match INT */
#define PROV_CHAIN_Q_ANCHOR 102         /* root HASH -> time TIME, block INT, block_hash HASH, sender ADDRESS, ref TEXT */
#define PROV_CHAIN_Q_SESSION 103        /* session HASH -> status INT, model HASH, nodes INT, start TIME, end TIME */
#define PROV_CHAIN_Q_CONTRIBUTION 104   /* session HASH, address ADDRESS -> compute INT, accepted INT, rounds INT, quality INT */
#define PROV_CHAIN_Q_POOL 105           /* session HASH -> total U256, remaining U256, strategy INT, finalized INT, root HASH */
#define PROV_CHAIN_Q_PENDING 106        /* session HASH, address ADDRESS -> amount U256, claimed INT */
#define PROV_CHAIN_Q_BALANCE 107        /* address ADDRESS -> amount U256 */
#define PROV_CHAIN_Q_CALL 108           /* to ADDRESS, data BYTES -> data BYTES */
#define PROV_CHAIN_Q_CODE 109           /* address ADDRESS -> code BYTES */
#define PROV_CHAIN_Q_JOURNAL 110        /* (none) -> seq INT, ref TEXT, entry JSON: what a local chain holds, in order */

typedef struct prov_chain_op {
    uint32_t struct_size;
    uint32_t kind;      /* PROV_CHAIN_* */
    uint8_t key[32];    /* idempotency key; the same key again is the same operation */
    const char *group;  /* ops of one group are applied in the order of submit; "" = its own */
    const prov_value *args;
    uint64_t n_args;
} prov_chain_op;

#define PROV_CHAIN_STATE_UNKNOWN 0
#define PROV_CHAIN_STATE_PENDING 1   /* durable here, not yet broadcast */
#define PROV_CHAIN_STATE_SUBMITTED 2 /* broadcast */
#define PROV_CHAIN_STATE_MINED 3     /* in a block; confirmations counts */
#define PROV_CHAIN_STATE_CONFIRMED 4 /* final by this network's rule */
#define PROV_CHAIN_STATE_DROPPED 5   /* will not be mined; may be submitted again */
#define PROV_CHAIN_STATE_FAILED 6    /* mined and reverted, or refused for good */
#define PROV_CHAIN_STATE_LOCAL 7     /* answered locally, not on any chain */

typedef struct prov_chain_tx {
    uint32_t struct_size;
    int32_t state;      /* PROV_CHAIN_STATE_* */
    char ref[160];      /* what names it from now on: "0x.." transaction hash, "local:.." of a local chain */
    char result[160];   /* what the operation returned (id, address), text; "" none yet */
    uint64_t block;
    uint8_t block_hash[32];
    int64_t block_time_ns; /* 0 unknown */
    uint64_t confirmations;
    uint64_t gas_used;
    uint8_t fee_wei[32];
    char reason[256]; /* why failed, dropped or local */
} prov_chain_tx;

typedef struct prov_chain_info {
    uint32_t struct_size;
    uint32_t reserved;
    uint64_t chain_id; /* 0: none (a local journal) */
    uint64_t block;
    char network[64];      /* for people */
    uint8_t sender[20];    /* zero: none configured */
    uint8_t balance_wei[32];
    uint8_t base_fee_wei[32];
    char client[128]; /* node software, "" unknown */
} prov_chain_info;

typedef struct prov_chain_ops {
    uint32_t struct_size;
    uint32_t reserved;
    /* * Applies op at most once for its key, now or later. PROV_OK: the plugin has it durably, ret_tx says how far it is.
     *   Errors carry an outcome; after UNKNOWN the host asks lookup. */
    int32_t (*submit)(void *self, const prov_call *call, const prov_chain_op *op, prov_chain_tx *ret_tx, prov_error *err);
    /* * Finds what became of a key. PROV_E_NOT_FOUND: this plugin never took it, so that it is safe to submit. */
    int32_t (*lookup)(void *self, const prov_call *call, const uint8_t key[32], prov_chain_tx *ret_tx, prov_error *err);
    /* * Follows a ref (also one that another host made). */
    int32_t (*status)(void *self, const prov_call *call, const char *ref, prov_chain_tx *ret_tx, prov_error *err);
    /* * Reads: op->kind is one of PROV_CHAIN_Q_*, key is unused. Emits the rows. */
    int32_t (*query)(void *self, const prov_call *call, const prov_chain_op *op, const prov_row_emit *emit, prov_error *err);
    /* * Describes the network and the sender. */
    int32_t (*info)(void *self, const prov_call *call, prov_chain_info *ret_info, prov_error *err);
    /*   What submit would cost now, at most, fees and value, without sending. */
    int32_t (*estimate)(void *self, const prov_call *call, const prov_chain_op *op, uint8_t ret_wei[32], prov_error *err);
    /*   Submits many in order, in as few transactions as it can; ret_txs has n_ops elements, each with its own state. */
    int32_t (*submit_many)(void *self, const prov_call *call, const prov_chain_op *ops, uint64_t n_ops,
                           prov_chain_tx *ret_txs, prov_error *err);
    /*   Evidence for offline checks (signed transaction, receipt, block header) as JSON into sink. */
    int32_t (*evidence)(void *self, const prov_call *call, const char *ref, const prov_sink *sink, prov_error *err);
} prov_chain_ops;

/* ==== role prov.reward/1 ============================================================================================
 * Pure: the same input gives the same output on every machine, in any order of the nodes. No files, clocks, network. */
typedef struct prov_reward_node {
    uint32_t struct_size;
    uint32_t reserved;
    uint8_t address[20];
    uint8_t reserved2[4];
    uint64_t quality;       /* 0..10000 */
    uint64_t reliability;   /* 0..10000 */
    uint8_t score[32];      /* final score, u256 */
    uint64_t compute_seconds;
    const char *node_id;
} prov_reward_node;

typedef struct prov_reward_input {
    uint32_t struct_size;
    uint32_t reserved;
    const char *session;
    const char *strategy; /* name within the provider, or "" for its default */
    uint8_t pool_wei[32];
    const prov_reward_node *nodes; /* element i is at (char *)nodes + i * node_stride_bytes */
    uint64_t n_nodes;
    uint64_t node_stride_bytes;
} prov_reward_input;

typedef struct prov_reward_emit {
    uint32_t struct_size;
    uint32_t reserved;
    void *ctx;
    /* Once for each node, by its index in the input. The sum over all nodes is at most the pool; the host checks. */
    int32_t (*amount)(void *ctx, uint64_t node, const uint8_t amount_wei[32]);
} prov_reward_emit;

typedef struct prov_reward_ops {
    uint32_t struct_size;
    uint32_t reserved;
    /* * Divides the pool. [any] */
    int32_t (*compute)(void *self, const prov_call *call, const prov_reward_input *input, const prov_reward_emit *emit,
                       prov_error *err);
    /*   Describes strategy and effective parameters as JSON, for the sheet. [any] */
    int32_t (*describe)(void *self, const prov_call *call, const char *strategy, const prov_sink *sink, prov_error *err);
} prov_reward_ops;

/* ==== role prov.catalog/1 ===========================================================================================
 * Collections of rows with typed columns that the host declares. A row has a key (TEXT, unique in its collection), a
 * revision (1, 2, ... counted by the backend) and the declared columns. No SQL crosses. */
#define PROV_COLUMN_INDEXED 1u  /* range and order queries on it are fast */
#define PROV_COLUMN_UNIQUE 2u   /* no two rows share a non-NULL value */
#define PROV_COLUMN_FULLTEXT 4u /* words of it are found by a MATCH filter */
#define PROV_COLUMN_REQUIRED 8u

typedef struct prov_column {
    uint32_t struct_size;
    int32_t type; /* PROV_VALUE_* except NULL */
    const char *name; /* [a-z][a-z0-9_]{0,47} */
    uint32_t flags;
    uint32_t reserved;
} prov_column;

#define PROV_COLLECTION_APPEND_ONLY 1u /* rows are never updated nor deleted, by anyone: the audit trail */
typedef struct prov_collection {
    uint32_t struct_size;
    uint32_t flags;
    const char *name; /* [a-z][a-z0-9_]{0,47} */
    uint32_t version; /* a higher one adds columns and indexes, never removes */
    uint32_t reserved;
    const prov_column *const *columns; /* NULL-terminated */
} prov_collection;

#define PROV_MUTATION_PUT 1    /* create or replace the row */
#define PROV_MUTATION_PATCH 2  /* set the given columns only */
#define PROV_MUTATION_DELETE 3
#define PROV_MUTATION_APPEND 4 /* to an append-only collection; key may be "" (the backend counts) */

#define PROV_ROWCOND_NONE 0
#define PROV_ROWCOND_ABSENT 1   /* no such row (an expired one counts as absent) */
#define PROV_ROWCOND_REVISION 2 /* its revision equals */
#define PROV_ROWCOND_PRESENT 3

typedef struct prov_mutation {
    uint32_t struct_size;
    int32_t kind; /* PROV_MUTATION_* */
    const char *collection;
    const char *key;
    int32_t condition; /* PROV_ROWCOND_* */
    uint32_t reserved;
    uint64_t revision;
    int64_t expires_ns; /* the row vanishes at this time (since 1970); 0 never */
    const prov_value *values;
    uint64_t n_values;
} prov_mutation;

#define PROV_FILTER_EQ 1
#define PROV_FILTER_NE 2
#define PROV_FILTER_LT 3
#define PROV_FILTER_LE 4
#define PROV_FILTER_GT 5
#define PROV_FILTER_GE 6
#define PROV_FILTER_PREFIX 7 /* TEXT */
#define PROV_FILTER_IN 8     /* value is a JSON array */
#define PROV_FILTER_MATCH 9  /* all words of value, in the full-text columns; name is "" */
#define PROV_FILTER_ISNULL 10

typedef struct prov_filter {
    uint32_t struct_size;
    int32_t op;       /* PROV_FILTER_* */
    prov_value value; /* value.name is the column; "key" and "revision" are columns too */
} prov_filter;

typedef struct prov_query {
    uint32_t struct_size;
    uint32_t limit; /* rows at most, 1..10000 */
    const char *collection;
    const prov_filter *filters; /* AND-ed; element i is at (char *)filters + i * filter_stride_bytes */
    uint64_t n_filters;
    uint64_t filter_stride_bytes;
    const char *order; /* column, "-column" for descending; "" by key; ties by key */
    const char *cursor; /* as an earlier call gave it, or "" */
} prov_query;

typedef struct prov_catalog_ops {
    uint32_t struct_size;
    uint32_t reserved;
    /* * Makes the collections exist, or brings them to their version. Idempotent, safe from several processes at once,
     *   one transaction. [instance] */
    int32_t (*declare)(void *self, const prov_call *call, const prov_collection *const *collections, uint64_t n,
                       prov_error *err);
    /* * Applies all mutations or none, durably. A condition that fails is PROV_E_CONFLICT, native_code = its index.
     *   ret_revisions (may be NULL) has n elements. */
    int32_t (*apply)(void *self, const prov_call *call, const prov_mutation *const *mutations, uint64_t n,
                     uint64_t *ret_revisions, prov_error *err);
    /* * Emits one row: key TEXT, revision INT, then its columns. PROV_E_NOT_FOUND. */
    int32_t (*get)(void *self, const prov_call *call, const char *collection, const char *key, const prov_row_emit *emit,
                   prov_error *err);
    /* * Emits rows as get does; ret_cursor receives "" at the end, else what continues. */
    int32_t (*query)(void *self, const prov_call *call, const prov_query *query, const prov_row_emit *emit,
                     char ret_cursor[512], prov_error *err);
    /* * Adds delta to a counter within a time window, atomically: a window that is over starts again from 0.
     *   ret_total is the sum after it, ret_reset_ns when the window ends (since 1970). */
    int32_t (*count)(void *self, const prov_call *call, const char *counter, int64_t delta, uint64_t window_ns,
                     int64_t *ret_total, int64_t *ret_reset_ns, prov_error *err);
    /* * Takes or renews a lease for holder. ret_fence grows with each new holder. Held by another: PROV_E_CONFLICT. */
    int32_t (*lease)(void *self, const prov_call *call, const char *name, const char *holder, uint64_t valid_ns,
                     uint64_t *ret_fence, prov_error *err);
    /* * Gives a lease up. Not the holder: PROV_E_CONFLICT. */
    int32_t (*release)(void *self, const prov_call *call, const char *name, const char *holder, prov_error *err);
    /*   Many rows of one collection at once, all or none, faster than apply; no conditions. */
    int32_t (*append_many)(void *self, const prov_call *call, const prov_mutation *const *rows, uint64_t n, prov_error *err);
    /*   Counts what a query would emit. */
    int32_t (*query_count)(void *self, const prov_call *call, const prov_query *query, uint64_t *ret_count, prov_error *err);
} prov_catalog_ops;

#ifdef __cplusplus
}
#endif
#endif
