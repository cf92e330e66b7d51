/* fuzz_safetensors.c - safetensors files from any bytes.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * What is read is written again: the new file has the same tensors with the same data, and its form does not change
 * when it is read and written once more.
 */
#include <stdlib.h>
#include <string.h>

#include "pv_safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok)
        abort();
}

static bool parse(const uint8_t *data, size_t size, struct pv_safetensors *ret)
{
    prov_error err = {0};
    uint64_t bytes = 0;

    int rc = size < PV_SAFETENSORS_PREFIX
                 ? PROV_E_CORRUPT
                 : pv_safetensors_header_bytes(data, size, 0, "file", &bytes, &err);
    if (rc == PROV_OK)
        rc = pv_safetensors_parse((const char *)data + PV_SAFETENSORS_PREFIX, bytes, size, "file", ret, &err);
    must(rc == PROV_OK || rc == PROV_E_CORRUPT || rc == PROV_E_LIMIT);
    return rc == PROV_OK;
}

/* Writes what a list says about the file in data. */
static void rewrite(const struct pv_safetensors *list, const uint8_t *data, struct psdk_buf *out)
{
    struct pv_tensor_data *tensors = calloc(list->n_tensors + 1, sizeof(*tensors));
    uint64_t at = list->data_offset_bytes;
    prov_error err = {0};

    must(tensors != NULL);
    for (size_t i = 0; i < list->n_tensors; i++) {
        must(list->tensors[i].offset_bytes == at);
        tensors[i] = (struct pv_tensor_data){list->tensors[i], data + at};
        at += list->tensors[i].size_bytes;
    }
    must(at == list->file_bytes);
    must(pv_safetensors_write(out, tensors, list->n_tensors, list->metadata, &err) == PROV_OK);
    free(tensors);
}

static void same_tensors(const struct pv_safetensors *a, const uint8_t *a_data, const struct pv_safetensors *b,
                         const uint8_t *b_data)
{
    must(a->n_tensors == b->n_tensors && (a->metadata == NULL) == (b->metadata == NULL));
    must(a->metadata == NULL || json_equal(a->metadata, b->metadata));
    for (size_t i = 0; i < a->n_tensors; i++) {
        const struct pv_tensor *x = &a->tensors[i], *y = pv_safetensors_find(b, x->name);
        must(y != NULL && strcmp(x->dtype, y->dtype) == 0 && x->rank == y->rank && x->size_bytes == y->size_bytes);
        must(x->rank == 0 || memcmp(x->shape, y->shape, x->rank * sizeof(*x->shape)) == 0);
        must(memcmp(a_data + x->offset_bytes, b_data + y->offset_bytes, x->size_bytes) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pv_safetensors list, again;
    struct psdk_buf once = {0}, twice = {0};

    if (!parse(data, size, &list))
        return 0;
    rewrite(&list, data, &once);
    must(parse(once.data, once.len, &again));
    same_tensors(&list, data, &again, once.data);
    rewrite(&again, once.data, &twice);
    must(once.len == twice.len && memcmp(once.data, twice.data, once.len) == 0);
    pv_safetensors_done(&list);
    pv_safetensors_done(&again);
    psdk_buf_done(&once);
    psdk_buf_done(&twice);
    return 0;
}
