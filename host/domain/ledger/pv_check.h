/* pv_check.h - checking records in log order: form, sequences, keys, signatures.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A checker is fed every entry of a stream in order and the batch signatures that stand beside it. It knows nothing of where
 * they come from: the full check of a stream and the check of a proof feed the same one. Memory grows with the number of
 * writers, not of records. Threads: one at a time.
 */
#ifndef PV_CHECK_H
#define PV_CHECK_H

#include "pv_reader.h"

struct pv_checker;

/* origin of the stream; log_key: the key that signs its tree heads (authorises the first writer). */
int pv_checker_new(const char *origin, const uint8_t log_key[32], struct pv_checker **ret, prov_error *err);
void pv_checker_free(struct pv_checker *c);
/* Checks the next entry; ret (may be NULL) gets the parsed record. PROV_E_CORRUPT says "leaf 17: ...". */
int pv_checker_entry(struct pv_checker *c, const uint8_t *entry, size_t len, struct pv_record *ret, prov_error *err);
/* Checks a signature of an entry that was fed among the last PV_TILE_WIDTH. */
int pv_checker_signature(struct pv_checker *c, const struct pv_batch_sig *sig, prov_error *err);
/* All lines of a signatures file. */
int pv_checker_signatures(struct pv_checker *c, const char *lines, size_t len, prov_error *err);
/* At the end: the root of all entries, and that every record is covered by a signature of its writer. */
int pv_checker_finish(struct pv_checker *c, uint8_t ret_root[32], prov_error *err);
uint64_t pv_checker_count(const struct pv_checker *c);
/* Calls each for every writer: text, records, public key. */
void pv_checker_writers(const struct pv_checker *c,
                        void (*each)(void *ctx, const char *writer, uint64_t records, const uint8_t key[32]), void *ctx);

/* The whole stream of a reader: entries, hash tiles against recomputation, records, signatures, root. Returns PROV_OK or
 * PROV_E_CORRUPT with the place; other codes mean that it could not be checked. ret_checker (may be NULL) is handed out for
 * its counts. */
int pv_stream_check(struct pv_reader *r, const uint8_t log_key[32],
                    void (*progress)(void *ctx, uint64_t done, uint64_t all), void *ctx, struct pv_checker **ret_checker,
                    prov_error *err);

#endif
