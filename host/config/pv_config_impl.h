/* pv_config_impl.h - what the files of this folder share: YAML nodes, the schema table, layers, entries.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A source (a file, the environment, a flag) is a layer. Its values are checked one by one and put into one flat list
 * of entries; a later layer replaces what an earlier one put. Tests and the fuzzer include this header; other floors do
 * not.
 */
#ifndef PV_CONFIG_IMPL_H
#define PV_CONFIG_IMPL_H

#include "pv_config.h"

#define PV_CONFIG_MAX_BYTES ((size_t)1 << 20)
#define PV_CONFIG_PATH_MAX 512 /* a dotted path with its NUL */
#define PV_YAML_DEPTH 16
#define PV_YAML_MEMBERS 2000 /* of one map or list */
#define PV_YAML_NODES 5000   /* of one file */

/* ---- YAML -------------------------------------------------------------------------------------------------------- */
enum pv_yaml_kind { PV_YAML_SCALAR, PV_YAML_LIST, PV_YAML_MAP };

struct pv_yaml {
    enum pv_yaml_kind kind;
    bool plain;                          /* a scalar without quotes */
    unsigned line, column;               /* from 1; columns count characters */
    unsigned key_line, key_column;       /* of the key, in a map */
    char *key;                           /* in a map; owned */
    char *text;                          /* of a scalar; owned */
    size_t n;                            /* number of children */
    struct pv_yaml *first, *last, *next; /* children in file order; owned */
};

/* Parses one document: UTF-8, no anchors, aliases, tags, merge keys, duplicate or odd keys. *ret = NULL for a file
 * without values. Errors are PROV_E_CONFIG "NAME:LINE:COLUMN: why". The caller frees *ret. */
int pv_yaml_parse(const char *text, size_t len, const char *name, struct pv_yaml **ret, prov_error *err);
void pv_yaml_free(struct pv_yaml *node);
/* The member of a map, or NULL. */
const struct pv_yaml *pv_yaml_get(const struct pv_yaml *map, const char *key);
/* A key or value without a word: `key:`, `~`, `null`. */
bool pv_yaml_is_null(const struct pv_yaml *node);
/* Length of the well-formed UTF-8 sequence (RFC 3629) at text, of which left > 0 bytes are there; 0: not one. */
size_t pv_utf8_length(const char *text, size_t left);

/* ---- schema ------------------------------------------------------------------------------------------------------ */
enum pv_cfg_type {
    PV_CFG_STRING,
    PV_CFG_INT,
    PV_CFG_BOOL,
    PV_CFG_DURATION,
    PV_CFG_PATH,    /* made absolute */
    PV_CFG_DRIVER,  /* name of a backend: [a-z][a-z0-9-]{0,62} */
    PV_CFG_LIST,    /* of strings */
    PV_CFG_PATHS,   /* list of paths */
    PV_CFG_PINS,    /* map of backend names to SHA-256 */
    PV_CFG_LISTS,   /* map of names to lists of strings */
    PV_CFG_SECTION, /* members are in the table */
    PV_CFG_NAMED,   /* members have names that the user chooses; each is what PATH.* says */
    PV_CFG_OPEN     /* a backend's section: `plugin` and whatever the backend understands */
};
#define PV_CFG_TRUST 1u    /* not from a project file that is not trusted */
#define PV_CFG_REQUIRED 2u /* its section must have it */

struct pv_schema {
    const char *path; /* "networks.*.plugin" */
    enum pv_cfg_type type;
    unsigned flags;
    int64_t min, max;          /* INT */
    const char *choices;       /* words with spaces between them; "!word" needs trust; NULL: any */
    const char *default_value; /* lists with commas; NULL: none, or see pv_config_defaults.c */
    const char *doc;
};
/* The table, ended by a NULL path. */
const struct pv_schema *pv_schema_table(void);
/* The row of a path ("networks.dev.plugin" finds "networks.*.plugin"), or NULL. */
const struct pv_schema *pv_schema_find(const char *path);
/* The OPEN section that path is or lies in; *ret_len = length of that section's own path. NULL: none. */
const struct pv_schema *pv_schema_section(const char *path, size_t *ret_len);
/* A near name for an unknown key below parent ("" = top): written into ret (cap bytes), "" when there is none. */
void pv_schema_suggest(const char *parent, const char *key, char *ret, size_t cap);
const char *pv_cfg_type_name(enum pv_cfg_type type);

/* ---- layers and entries ------------------------------------------------------------------------------------------ */
enum pv_rank {
    PV_RANK_DEFAULT,
    PV_RANK_SYSTEM,
    PV_RANK_USER,
    PV_RANK_PROJECT,
    PV_RANK_OLDER_ENV,
    PV_RANK_ENV,
    PV_RANK_FLAG
};

struct pv_layer {
    struct pv_config *config;
    const char *name; /* the file's path, "environment RPC_URL", "flag --network", "default" */
    const char *base; /* folder from which relative paths count */
    enum pv_rank rank;
    bool trusted;
    const char *const *environ; /* never NULL */
};

struct pv_entry {
    char *path;
    char *parts; /* path with a NUL for each dot: names of members are borrowed from it */
    char *value; /* NULL: an empty list */
    char *origin;
    char *base;
    enum pv_rank rank;
    bool trusted;
    bool list;  /* element of a list: the last part of path is its index */
    bool plain; /* not quoted: may be shown as a number or a truth value */
    bool secret;
};

struct pv_config {
    struct pv_entry *entries;
    size_t n, cap;
    char *file, *dir, *user_dir;
    char *parted; /* the last section whose values were dropped because a file of other trust has it too */
    bool trusted;
};

/* Fails with PROV_E_CONFIG "PLACE: text"; node NULL: the layer's name alone. */
int pv_config_fail(const struct pv_layer *layer, const struct pv_yaml *node, prov_error *err, const char *format, ...)
    PSDK_PRINTF(4, 5);
/* "PLACE", malloc'ed, or NULL when memory is out. */
char *pv_config_place(const struct pv_layer *layer, const struct pv_yaml *node);
/* PLACE: 'WHAT' is not allowed in a project file that you have not trusted; ... */
int pv_config_refuse(const struct pv_layer *layer, const struct pv_yaml *node, const char *what, prov_error *err);
/* Parent and name -> "parent.name" in ret (PV_CONFIG_PATH_MAX). */
int pv_config_join(const struct pv_layer *layer, const struct pv_yaml *node, const char *parent, const char *name,
                   char *ret, prov_error *err);

/* One value on its way in. */
struct pv_value {
    const char *path; /* of the scalar or of the list */
    const char *text; /* expanded */
    bool plain, secret, item;
};
/* Checks a value's type, makes a path absolute, and puts it. An item is appended to the list at path. */
int pv_config_put(const struct pv_layer *layer, const struct pv_yaml *node, const struct pv_value *value,
                  prov_error *err);
/* Puts an empty list. */
int pv_config_put_empty(const struct pv_layer *layer, const struct pv_yaml *node, const char *path, prov_error *err);
/* Removes path and everything below it. */
void pv_config_clear(struct pv_config *config, const char *path);
struct pv_entry *pv_config_find(const struct pv_config *config, const char *path);
/* A backend's section is about to be changed by layer: values from files of other trust go. */
int pv_config_part(const struct pv_layer *layer, const char *section, prov_error *err);
/* True when entry lies at or below prefix ("" = all). */
bool pv_config_below(const char *path, const char *prefix);

/* Checks text against a row of the schema. */
int pv_config_check(const struct pv_layer *layer, const struct pv_yaml *node, const struct pv_schema *schema,
                    const struct pv_value *value, prov_error *err);
/* Puts a parsed document below prefix ("" or "networks"). */
int pv_config_walk(const struct pv_layer *layer, const struct pv_yaml *root, const char *prefix, prov_error *err);
/* Values that only make sense together: required ones, names that must exist. */
int pv_config_finish(struct pv_config *config, prov_error *err);

/* ---- expansion, secrets ------------------------------------------------------------------------------------------ */
/* The value of a variable that is set and not empty, or NULL. */
const char *pv_env_get(const char *const *environment, const char *name);
/* Expands ${VAR}, ${VAR:-default} and $$ of a scalar. *ret_expanded: a variable was used; *ret_secret: its name is one
 * of a secret. The caller wipes out. */
int pv_config_expand(const struct pv_layer *layer, const struct pv_yaml *node, struct psdk_buf *out, bool *ret_expanded,
                     bool *ret_secret, prov_error *err);
/* Whether a key holds a secret itself ("private_key"), or names a file, key or command ("private_key_file"). */
bool pv_secret_name(const char *key);
bool pv_secret_reference(const char *key);
/* Whether text, as written in a file, has a literal password of a URL in it. */
bool pv_secret_in_url(const char *text);
/* text with passwords of URLs and of DSNs replaced by "***". */
int pv_secret_redact(const char *text, struct psdk_buf *out);

/* ---- sources ----------------------------------------------------------------------------------------------------- */
int pv_config_defaults(const struct pv_layer *layer, const char *section, prov_error *err);
int pv_config_older_env(const struct pv_layer *layer, prov_error *err);
int pv_config_env(const struct pv_layer *layer, prov_error *err);
int pv_config_flags(const struct pv_layer *layer, const struct pv_config_flag *flags, size_t n, prov_error *err);
/* Puts a store URL or folder ("s3://bucket/prefix", "file:///dir", "./dir"). */
int pv_config_store_url(const struct pv_layer *layer, const char *url, prov_error *err);
/* A switch of the environment: true/false, 1/0, yes/no, on/off in any case. */
int pv_env_switch(const char *name, const char *text, bool *ret, prov_error *err);

/* Reads a configuration file. *ret_found = false (and PROV_OK) when there is none. with_private: only this user or root
 * may be able to change it. */
int pv_config_read(const char *path, bool with_private, struct psdk_buf *out, bool *ret_found, prov_error *err);
/* Whether user_dir/trusted has this content under this absolute path. */
int pv_config_is_trusted(const char *user_dir, const char *path, const struct psdk_buf *content, bool *ret,
                         prov_error *err);
/* user_dir from the environment ($XDG_CONFIG_HOME/prov or ~/.config/prov), malloc'ed, or NULL. environment NULL: the
 * process's. */
char *pv_config_default_user_dir(const char *const *environment);

/* Loads one text as if it were a project file, with no other file and no environment names applied: for tests and
 * fuzzing. */
int pv_config_load_text(const char *text, size_t len, const char *name, bool trusted, const char *const *environment,
                        struct pv_config **ret, prov_error *err);

#endif
