/* pv_safetensors.h - reading and writing safetensors files: the list of tensors, their digests, deterministic files.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A file is an 8-byte little-endian length, a JSON header of that many bytes (padded with spaces), and the tensors'
 * data. The reader is strict: the header starts with '{', names are unique, every dtype is known, shape times dtype is
 * the length of the data, and the ranges, sorted by offset, cover everything after the header without gap or overlap,
 * to the last byte. It works on bytes as they come from anywhere: fetch the first 8, ask for the header's length, fetch
 * that, parse. Nothing of the data is read until a digest is asked for. Threads: [any] on different structs; a parsed
 * list may be read by many threads at once.
 */
#ifndef PV_SAFETENSORS_H
#define PV_SAFETENSORS_H

#include <stdbool.h>

#include "psdk_json.h"

#define PV_SAFETENSORS_PREFIX 8u                     /* bytes before the header */
#define PV_SAFETENSORS_HEADER_MAX ((uint64_t)100000000) /* the format's own ceiling for the header */

/* One tensor. Everything that it points to is owned by the list that it is in, or by the caller of the writer. */
struct pv_tensor {
    const char *name;
    const char *dtype;     /* "F32", "BF16", ...: see pv_tensor_dtype_bits */
    const uint64_t *shape; /* rank numbers; rank 0 is a scalar */
    uint32_t rank;
    uint64_t offset_bytes; /* of the first byte, counted from the start of the file */
    uint64_t size_bytes;
};

/* A parsed header. {0} is empty. */
struct pv_safetensors {
    struct pv_tensor *tensors; /* owned; in the order of their data */
    size_t n_tensors;
    uint64_t data_offset_bytes; /* where the data begin: 8 + length of the header */
    uint64_t file_bytes;
    const json_t *metadata; /* "__metadata__", an object of strings, borrowed from json; NULL: none */
    json_t *json;           /* owned */
};

/* Bits of one element of a dtype (4 for "F4", 64 for "C64"), 0 for an unknown one. *ret_name (may be NULL) is set to a
 * static string of that name. */
unsigned pv_tensor_dtype_bits(const char *dtype, const char **ret_name);
/* The bytes of a tensor of this dtype and shape. false: unknown dtype, overflow, or not a whole number of bytes. */
bool pv_tensor_bytes(const char *dtype, const uint64_t *shape, uint32_t rank, uint64_t *ret_bytes);

/* From the first 8 bytes and the file's size: the length of the header. max_header_bytes 0 = PV_SAFETENSORS_HEADER_MAX.
 * PROV_E_CORRUPT when the file is too short for it, PROV_E_LIMIT above the maximum. */
int pv_safetensors_header_bytes(const uint8_t prefix[8], uint64_t file_bytes, uint64_t max_header_bytes,
                                const char *what, uint64_t *ret_bytes, prov_error *err);
/* Parses the header (what follows the 8 bytes). what names the file in errors. PROV_E_CORRUPT says which tensor is
 * wrong and why. On failure ret is empty. */
int pv_safetensors_parse(const char *header, size_t len, uint64_t file_bytes, const char *what,
                         struct pv_safetensors *ret, prov_error *err);
/* All of that on a descriptor of a regular file (its position does not matter and does not move). */
int pv_safetensors_read(int fd, uint64_t max_header_bytes, const char *what, struct pv_safetensors *ret,
                        prov_error *err);
void pv_safetensors_done(struct pv_safetensors *list);
/* The tensor of that name (borrowed), or NULL. */
const struct pv_tensor *pv_safetensors_find(const struct pv_safetensors *list, const char *name);
/* SHA-256 of a tensor's data. PROV_E_CORRUPT when the file became shorter meanwhile. */
int pv_safetensors_hash(int fd, const struct pv_tensor *tensor, const char *what, uint8_t ret[32], prov_error *err);

/* What a file to write has. Same input, same bytes, on every machine and in every order of the tensors: data are
 * laid out by falling size of the element, then by name, so that each tensor is aligned; the header is canonical
 * JSON (RFC 8785, sorted by name), padded with spaces so that the data begin at a multiple of 8. */
struct pv_tensor_data {
    struct pv_tensor tensor; /* offset_bytes is not read; size_bytes must be what dtype and shape give */
    const void *data;        /* borrowed; NULL only for 0 bytes */
};
/* metadata: an object of strings (borrowed) or NULL. PROV_E_INVALID names the tensor that is wrong (unknown dtype,
 * size, a name twice, "__metadata__" as a name, more than 2^53 - 1 bytes in all); PROV_E_LIMIT when the header grows
 * over PV_SAFETENSORS_HEADER_MAX. On failure out is as it was. */
int pv_safetensors_write(struct psdk_buf *out, const struct pv_tensor_data *tensors, size_t n, const json_t *metadata,
                         prov_error *err);
/* The same into a file, replaced whole and durably (mode 0666 less the umask); it never needs memory for the data. */
int pv_safetensors_save(const char *path, const struct pv_tensor_data *tensors, size_t n, const json_t *metadata,
                        prov_error *err);

#endif
