/* pv_safetensors.c - the reader: header, checks, digests.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A header comes from a stranger: each number in it is checked before it is used, and the ranges are checked against
 * one another, so that what is listed is the file, the whole file and nothing else.
 */
#include "pv_safetensors.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "psdk_file.h"
#include "psdk_hash.h"

#define METADATA_KEY "__metadata__"
#define SHOWN_NAME 96
#define HASH_CHUNK_BYTES ((size_t)1 << 20)

static const struct {
    const char *name;
    unsigned bits;
} dtypes[] = {
    {"BOOL", 8},     {"U8", 8},      {"I8", 8},          {"U16", 16},        {"I16", 16},     {"U32", 32},
    {"I32", 32},     {"U64", 64},    {"I64", 64},        {"F16", 16},        {"BF16", 16},    {"F32", 32},
    {"F64", 64},     {"C64", 64},    {"F8_E4M3", 8},     {"F8_E5M2", 8},     {"F8_E8M0", 8},  {"F8_E4M3FNUZ", 8},
    {"F8_E5M2FNUZ", 8}, {"F6_E2M3", 6}, {"F6_E3M2", 6},  {"F4", 4},
};

unsigned pv_tensor_dtype_bits(const char *dtype, const char **ret_name)
{
    for (size_t i = 0; i < sizeof(dtypes) / sizeof(dtypes[0]); i++) {
        if (strcmp(dtypes[i].name, dtype) != 0)
            continue;
        if (ret_name != NULL)
            *ret_name = dtypes[i].name;
        return dtypes[i].bits;
    }
    return 0;
}

bool pv_tensor_bytes(const char *dtype, const uint64_t *shape, uint32_t rank, uint64_t *ret_bytes)
{
    uint64_t bits = pv_tensor_dtype_bits(dtype, NULL);

    if (bits == 0)
        return false;
    for (uint32_t i = 0; i < rank; i++) {
        if (shape[i] == 0) { /* nothing of anything, however large the other sides are */
            *ret_bytes = 0;
            return true;
        }
    }
    for (uint32_t i = 0; i < rank; i++) {
        if (bits > UINT64_MAX / shape[i])
            return false;
        bits *= shape[i];
    }
    *ret_bytes = bits / 8;
    return bits % 8 == 0;
}

/* A tensor's name for a message: cut at a character, without control characters. */
static const char *shown(const char *name, char ret[SHOWN_NAME])
{
    size_t n = strnlen(name, SHOWN_NAME - 1);

    while (n > 0 && name[n] != '\0' && ((unsigned char)name[n] & 0xc0) == 0x80)
        n--;
    for (size_t i = 0; i < n; i++)
        ret[i] = (unsigned char)name[i] < 0x20 || name[i] == 0x7f ? '?' : name[i];
    ret[n] = '\0';
    return ret;
}

/* ---- header ------------------------------------------------------------------------------------------------------ */

int pv_safetensors_header_bytes(const uint8_t prefix[8], uint64_t file_bytes, uint64_t max_header_bytes,
                                const char *what, uint64_t *ret_bytes, prov_error *err)
{
    uint64_t bytes = 0, max = max_header_bytes == 0 ? PV_SAFETENSORS_HEADER_MAX : max_header_bytes;

    for (size_t i = PV_SAFETENSORS_PREFIX; i-- > 0;)
        bytes = bytes << 8 | prefix[i];
    if (file_bytes < PV_SAFETENSORS_PREFIX)
        return psdk_fail(err, PROV_E_CORRUPT, "%s: %" PRIu64 " bytes are too few for a safetensors file", what,
                         file_bytes);
    if (bytes > max)
        return psdk_fail(err, PROV_E_LIMIT, "%s: the safetensors header would have %" PRIu64 " bytes, more than %"
                         PRIu64 ": not such a file?", what, bytes, max);
    if (bytes < 2 || bytes > file_bytes - PV_SAFETENSORS_PREFIX)
        return psdk_fail(err, PROV_E_CORRUPT, "%s: a safetensors header of %" PRIu64 " bytes does not fit a file of %"
                         PRIu64 ": cut or not such a file", what, bytes, file_bytes);
    *ret_bytes = bytes;
    return PROV_OK;
}

static bool read_number(const json_t *value, uint64_t *ret)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return false;
    *ret = (uint64_t)json_integer_value(value);
    return true;
}

/* Fills one tensor from its JSON; the shape goes to *mem, which moves on. Returns why not, or NULL. */
static const char *read_tensor(const json_t *value, uint64_t data_bytes, struct pv_tensor *tensor, uint64_t **mem)
{
    const json_t *dtype = json_object_get(value, "dtype"), *shape = json_object_get(value, "shape");
    const json_t *offsets = json_object_get(value, "data_offsets");
    uint64_t begin, end, want;

    if (!json_is_string(dtype) || !json_is_array(shape) || !json_is_array(offsets) || json_object_size(value) != 3)
        return "want an object of dtype (text), shape (list), data_offsets (list) and nothing else";
    if (pv_tensor_dtype_bits(json_string_value(dtype), &tensor->dtype) == 0)
        return "its dtype is unknown";
    tensor->shape = *mem;
    tensor->rank = (uint32_t)json_array_size(shape);
    for (size_t i = 0; i < tensor->rank; i++) {
        if (!read_number(json_array_get(shape, i), (*mem)++))
            return "its shape has something else than a whole number";
    }
    if (json_array_size(offsets) != 2 || !read_number(json_array_get(offsets, 0), &begin) ||
        !read_number(json_array_get(offsets, 1), &end))
        return "its data_offsets are not two whole numbers";
    if (begin > end || end > data_bytes)
        return begin > end ? "its data end before they begin" : "its data go past the end of the file";
    if (!pv_tensor_bytes(tensor->dtype, tensor->shape, tensor->rank, &want))
        return "its shape is too large, or no whole number of bytes";
    if (want != end - begin)
        return "its data are not as long as dtype and shape say";
    tensor->offset_bytes = begin;
    tensor->size_bytes = end - begin;
    return NULL;
}

static int by_offset(const void *a, const void *b)
{
    const struct pv_tensor *x = a, *y = b;

    if (x->offset_bytes != y->offset_bytes)
        return x->offset_bytes < y->offset_bytes ? -1 : 1;
    if (x->size_bytes != y->size_bytes)
        return x->size_bytes < y->size_bytes ? -1 : 1;
    return strcmp(x->name, y->name);
}

/* Sorts by offset, checks that the data are covered once, and counts offsets from the start of the file. */
static int check_ranges(struct pv_safetensors *list, const char *what, prov_error *err)
{
    uint64_t at = 0, data_bytes = list->file_bytes - list->data_offset_bytes;
    char name[SHOWN_NAME];

    if (list->n_tensors > 1)
        qsort(list->tensors, list->n_tensors, sizeof(*list->tensors), by_offset);
    for (size_t i = 0; i < list->n_tensors; i++) {
        struct pv_tensor *tensor = &list->tensors[i];
        if (tensor->offset_bytes != at)
            return psdk_fail(err, PROV_E_CORRUPT, "%s: tensor '%s': its data begin at %" PRIu64
                             ", but those before end at %" PRIu64 " (%s)", what, shown(tensor->name, name),
                             tensor->offset_bytes, at,
                             tensor->offset_bytes < at ? "an overlap" : "a gap");
        at += tensor->size_bytes;
        tensor->offset_bytes += list->data_offset_bytes;
    }
    if (at != data_bytes)
        return psdk_fail(err, PROV_E_CORRUPT, "%s: the tensors have %" PRIu64 " bytes of data, the file has %" PRIu64
                         " after the header", what, at, data_bytes);
    return PROV_OK;
}

static int check_metadata(const json_t *metadata, const char *what, prov_error *err)
{
    const char *key;
    json_t *value;
    char name[SHOWN_NAME];

    if (!json_is_object(metadata))
        return psdk_fail(err, PROV_E_CORRUPT, "%s: " METADATA_KEY " is not an object", what);
    json_object_foreach((json_t *)(uintptr_t)metadata, key, value) {
        if (!json_is_string(value))
            return psdk_fail(err, PROV_E_CORRUPT, "%s: " METADATA_KEY ": '%s' is not a text", what, shown(key, name));
    }
    return PROV_OK;
}

/* Room for all tensors and, behind them, all numbers of their shapes. */
static int make_room(struct pv_safetensors *list, const char *what, prov_error *err)
{
    size_t n = 0, numbers = 0;
    const char *key;
    json_t *value;

    json_object_foreach(list->json, key, value) {
        numbers += json_array_size(json_object_get(value, "shape"));
        n++;
    }
    list->tensors = calloc(1, n * sizeof(*list->tensors) + numbers * sizeof(uint64_t) + 1);
    if (list->tensors == NULL)
        return psdk_fail(err, PROV_E_NOMEM, "%s: no memory for %zu tensors", what, n);
    return PROV_OK;
}

static int read_tensors(struct pv_safetensors *list, const char *what, prov_error *err)
{
    char name[SHOWN_NAME];
    const char *key;
    json_t *value;

    int rc = make_room(list, what, err);
    if (rc != PROV_OK)
        return rc;
    size_t n = json_object_size(list->json) - (json_object_get(list->json, METADATA_KEY) != NULL);
    uint64_t *mem = (uint64_t *)(void *)(list->tensors + n);
    json_object_foreach(list->json, key, value) {
        if (strcmp(key, METADATA_KEY) == 0) {
            rc = check_metadata(value, what, err);
            if (rc != PROV_OK)
                return rc;
            list->metadata = value;
            continue;
        }
        struct pv_tensor *tensor = &list->tensors[list->n_tensors++];
        tensor->name = key;
        const char *why = read_tensor(value, list->file_bytes - list->data_offset_bytes, tensor, &mem);
        if (why != NULL)
            return psdk_fail(err, PROV_E_CORRUPT, "%s: tensor '%s': %s", what, shown(key, name), why);
    }
    return check_ranges(list, what, err);
}

/* The JSON of a header: from '{' to '}', then nothing but spaces. */
static int parse_json(const char *header, size_t len, const char *what, json_t **ret, prov_error *err)
{
    prov_error why = {0};

    while (len > 0 && header[len - 1] == ' ')
        len--;
    if (len < 2 || header[0] != '{' || header[len - 1] != '}')
        return psdk_fail(err, PROV_E_CORRUPT, "%s: the safetensors header is not a JSON object padded with spaces",
                         what);
    *ret = psdk_json_parse(header, len, what, &why);
    if (*ret == NULL)
        return psdk_fail(err, why.code == PROV_E_INVALID ? PROV_E_CORRUPT : why.code, "%s", why.message);
    return PROV_OK;
}

int pv_safetensors_parse(const char *header, size_t len, uint64_t file_bytes, const char *what,
                         struct pv_safetensors *ret, prov_error *err)
{
    struct pv_safetensors list = {.data_offset_bytes = PV_SAFETENSORS_PREFIX + len, .file_bytes = file_bytes};

    *ret = (struct pv_safetensors){0};
    if (list.data_offset_bytes > file_bytes)
        return psdk_fail(err, PROV_E_CORRUPT, "%s: the file ends inside its safetensors header", what);
    int rc = parse_json(header, len, what, &list.json, err);
    if (rc == PROV_OK)
        rc = read_tensors(&list, what, err);
    if (rc != PROV_OK) {
        pv_safetensors_done(&list);
        return rc;
    }
    *ret = list;
    return PROV_OK;
}

void pv_safetensors_done(struct pv_safetensors *list)
{
    free(list->tensors);
    json_decref(list->json);
    *list = (struct pv_safetensors){0};
}

const struct pv_tensor *pv_safetensors_find(const struct pv_safetensors *list, const char *name)
{
    for (size_t i = 0; i < list->n_tensors; i++) {
        if (strcmp(list->tensors[i].name, name) == 0)
            return &list->tensors[i];
    }
    return NULL;
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

int pv_safetensors_read(int fd, uint64_t max_header_bytes, const char *what, struct pv_safetensors *ret,
                        prov_error *err)
{
    uint8_t prefix[PV_SAFETENSORS_PREFIX] = {0};
    char *header = NULL;
    uint64_t bytes = 0;
    size_t got = 0;
    struct stat st;

    *ret = (struct pv_safetensors){0};
    if (fstat(fd, &st) != 0)
        return psdk_fail_errno(err, errno, "cannot look at '%s'", what);
    if (!S_ISREG(st.st_mode))
        return psdk_fail(err, PROV_E_INVALID, "%s: not a regular file", what);
    int rc = psdk_pread_all(fd, prefix, sizeof(prefix), 0, &got, what, err);
    if (rc == PROV_OK)
        rc = pv_safetensors_header_bytes(prefix, (uint64_t)st.st_size, max_header_bytes, what, &bytes, err);
    if (rc != PROV_OK)
        return rc;
    header = malloc(bytes);
    if (header == NULL)
        return psdk_fail(err, PROV_E_NOMEM, "%s: no memory for a header of %" PRIu64 " bytes", what, bytes);
    rc = psdk_pread_all(fd, header, bytes, PV_SAFETENSORS_PREFIX, &got, what, err);
    if (rc == PROV_OK && got < bytes)
        rc = psdk_fail(err, PROV_E_CORRUPT, "%s: it became shorter while it was read", what);
    if (rc == PROV_OK)
        rc = pv_safetensors_parse(header, bytes, (uint64_t)st.st_size, what, ret, err);
    free(header);
    return rc;
}

int pv_safetensors_hash(int fd, const struct pv_tensor *tensor, const char *what, uint8_t ret[32], prov_error *err)
{
    uint64_t at = tensor->offset_bytes, left = tensor->size_bytes;
    struct psdk_sha256 hash = {0};
    char name[SHOWN_NAME];

    uint8_t *chunk = malloc(HASH_CHUNK_BYTES);
    int rc = chunk == NULL ? PROV_E_NOMEM : psdk_sha256_init(&hash);
    if (rc != PROV_OK)
        rc = psdk_fail(err, rc, "%s: cannot begin a digest", what);
    while (rc == PROV_OK && left > 0) {
        size_t want = left < HASH_CHUNK_BYTES ? (size_t)left : HASH_CHUNK_BYTES, got = 0;
        rc = psdk_pread_all(fd, chunk, want, at, &got, what, err);
        if (rc == PROV_OK && got < want)
            rc = psdk_fail(err, PROV_E_CORRUPT, "%s: tensor '%s': the file ends inside its data", what,
                           shown(tensor->name, name));
        psdk_sha256_add(&hash, chunk, got);
        at += got;
        left -= got;
    }
    if (rc == PROV_OK && (rc = psdk_sha256_final(&hash, ret)) != PROV_OK)
        rc = psdk_fail(err, rc, "%s: tensor '%s': no digest", what, shown(tensor->name, name));
    psdk_sha256_done(&hash);
    free(chunk);
    return rc;
}
