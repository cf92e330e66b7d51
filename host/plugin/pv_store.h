/* pv_store.h - calling a storage backend: deadlines, breaker, whole-object helpers.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A store is one instance of a role prov.storage/1 provider, normalised. Every call runs under a deadline on a thread
 * of the host, so that a backend that hangs costs the caller its deadline and nothing more. Threads: [any].
 */
#ifndef PV_STORE_H
#define PV_STORE_H

#include "pv_plugin.h"

struct pv_store;

/* Opens provider `name` with checked options. state_key names its prov.state/1 folder. */
int pv_store_open(struct pv_plugins *plugins, const struct pv_plugin_spec *spec, struct pv_store **ret,
                  prov_error *err);
void pv_store_close(struct pv_store *store);
/* The provider's name and capability bits; whether its breaker is open now. */
const char *pv_store_name(const struct pv_store *store);
uint64_t pv_store_capabilities(const struct pv_store *store);
bool pv_store_open_breaker(const struct pv_store *store);
/* What it stands on, borrowed: for limits, cancelling, other ops (pv_instance.h). */
struct pv_instance;
struct pv_instance *pv_store_instance(struct pv_store *store);

/* Reads a whole object of at most max bytes, adding to ret. ret_object may be NULL. */
int pv_store_get(struct pv_store *store, const char *key, size_t max_bytes, struct psdk_buf *ret,
                 prov_object *ret_object, prov_error *err);
/* Reads several objects at once (issued together); rets[i].len is its size, codes[i] its result. Returns PROV_OK or the
 * first result that is neither PROV_OK nor PROV_E_NOT_FOUND. */
int pv_store_get_many(struct pv_store *store, const char *const *keys, size_t n, size_t max_bytes,
                      struct psdk_buf *rets, int *codes, prov_error *err);
/* Streams a range; the sink runs on another thread while the caller waits. */
int pv_store_get_stream(struct pv_store *store, const char *key, uint64_t offset_bytes, uint64_t length_bytes,
                        const prov_sink *sink, prov_object *ret_object, prov_error *err);
/* Stores bytes. precond NULL: create or replace. Small retries (NOT_APPLIED, RETRY_LATER) are made inside; UNKNOWN is
 * handed up. */
int pv_store_put(struct pv_store *store, const char *key, const void *data, size_t len, const prov_precond *precond,
                 prov_object *ret_object, prov_error *err);
int pv_store_put_stream(struct pv_store *store, const char *key, const prov_source *source, uint64_t size_bytes,
                        const prov_precond *precond, prov_object *ret_object, prov_error *err);
int pv_store_put_many(struct pv_store *store, const prov_put_item *items, uint64_t n_items, prov_error *err);
int pv_store_stat(struct pv_store *store, const char *key, prov_object *ret_object, prov_error *err);
/* All keys under prefix in byte order, page by page; entry returns negative to stop. */
int pv_store_list(struct pv_store *store, const char *prefix, int (*entry)(void *ctx, const prov_list_entry *entry),
                  void *ctx, prov_error *err);
int pv_store_del(struct pv_store *store, const char *key, prov_error *err);
int pv_store_copy(struct pv_store *store, const char *from, const char *to, const prov_precond *precond,
                  prov_object *ret_object, prov_error *err);
int pv_store_probe(struct pv_store *store, prov_error *err);
/* PROV_E_INVALID unless key is a legal object key (prov_plugin.h). */
int pv_store_key_check(const char *key, prov_error *err);

#endif
