/* pv_safetensors_write.c - the writer: one input, one file, byte for byte.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "psdk_file.h"
#include "psdk_hash.h"
#include "pv_safetensors.h"

#define METADATA_KEY "__metadata__"
#define PATH_BYTES 4096

/* The order of the data: large elements first, so that all are aligned; then by name. */
static int by_layout(const void *a, const void *b)
{
    const struct pv_tensor *x = &(*(const struct pv_tensor_data *const *)a)->tensor;
    const struct pv_tensor *y = &(*(const struct pv_tensor_data *const *)b)->tensor;
    unsigned x_bits = pv_tensor_dtype_bits(x->dtype, NULL), y_bits = pv_tensor_dtype_bits(y->dtype, NULL);

    if (x_bits != y_bits)
        return x_bits > y_bits ? -1 : 1;
    return strcmp(x->name, y->name);
}

static int check_tensor(const struct pv_tensor_data *in, const json_t *root, prov_error *err)
{
    const struct pv_tensor *tensor = &in->tensor;
    uint64_t want = 0;

    if (strcmp(tensor->name, METADATA_KEY) == 0)
        return psdk_fail(err, PROV_E_INVALID, "safetensors: a tensor cannot be named " METADATA_KEY);
    if (json_object_get(root, tensor->name) != NULL)
        return psdk_fail(err, PROV_E_INVALID, "safetensors: two tensors are named '%.96s'", tensor->name);
    if (pv_tensor_dtype_bits(tensor->dtype, NULL) == 0)
        return psdk_fail(err, PROV_E_INVALID, "safetensors: tensor '%.96s': unknown dtype '%.32s'", tensor->name,
                         tensor->dtype);
    if (!pv_tensor_bytes(tensor->dtype, tensor->shape, tensor->rank, &want) || want != tensor->size_bytes)
        return psdk_fail(err, PROV_E_INVALID, "safetensors: tensor '%.96s': %" PRIu64 " bytes are not what dtype and "
                         "shape give", tensor->name, tensor->size_bytes);
    if (in->data == NULL && want > 0)
        return psdk_fail(err, PROV_E_INVALID, "safetensors: tensor '%.96s' has no data", tensor->name);
    return PROV_OK;
}

/* Adds one tensor at offset `at` to the header. */
static int add_tensor(json_t *root, const struct pv_tensor *tensor, uint64_t at, prov_error *err)
{
    json_t *shape = json_array();

    for (uint32_t i = 0; i < tensor->rank; i++) {
        if (tensor->shape[i] > PSDK_JSON_INT_MAX) {
            json_decref(shape);
            return psdk_fail(err, PROV_E_INVALID, "safetensors: tensor '%.96s': its shape is too large", tensor->name);
        }
        json_array_append_new(shape, json_integer((json_int_t)tensor->shape[i]));
    }
    json_t *value = json_pack("{s:s, s:o, s:[I, I]}", "dtype", tensor->dtype, "shape", shape, "data_offsets",
                              (json_int_t)at, (json_int_t)(at + tensor->size_bytes));
    if (value == NULL || json_array_size(shape) != tensor->rank) {
        json_decref(value);
        return psdk_fail(err, PROV_E_NOMEM, "safetensors: no memory for a header");
    }
    if (json_object_set_new(root, tensor->name, value) != 0)
        return psdk_fail(err, PROV_E_INVALID, "safetensors: the name of a tensor is not UTF-8, or no memory for it");
    return PROV_OK;
}

static int check_metadata(const json_t *metadata, prov_error *err)
{
    const char *key;
    json_t *value;

    if (!json_is_object(metadata))
        return psdk_fail(err, PROV_E_INVALID, "safetensors: the metadata must be an object of texts");
    json_object_foreach((json_t *)(uintptr_t)metadata, key, value) {
        if (!json_is_string(value))
            return psdk_fail(err, PROV_E_INVALID, "safetensors: metadata '%.96s' is not a text", key);
    }
    return PROV_OK;
}

static int fill_root(json_t *root, const struct pv_tensor_data *const *order, size_t n, const json_t *metadata,
                     prov_error *err)
{
    uint64_t at = 0;
    int rc = metadata == NULL ? PROV_OK : check_metadata(metadata, err);

    for (size_t i = 0; i < n && rc == PROV_OK; i++) {
        const struct pv_tensor *tensor = &order[i]->tensor;
        rc = check_tensor(order[i], root, err);
        if (rc == PROV_OK && tensor->size_bytes > PSDK_JSON_INT_MAX - at)
            rc = psdk_fail(err, PROV_E_INVALID, "safetensors: tensor '%.96s': more than 2^53 - 1 bytes in all",
                           tensor->name);
        if (rc == PROV_OK)
            rc = add_tensor(root, tensor, at, err);
        at += tensor->size_bytes;
    }
    if (rc == PROV_OK && metadata != NULL &&
        json_object_set(root, METADATA_KEY, (json_t *)(uintptr_t)metadata) != 0)
        rc = psdk_fail(err, PROV_E_NOMEM, "safetensors: no memory for a header");
    return rc;
}

/* Makes the 8 bytes and the header, and the order of the data (free() it). */
static int prepare(const struct pv_tensor_data *tensors, size_t n, const json_t *metadata, struct psdk_buf *ret_head,
                   const struct pv_tensor_data ***ret_order, prov_error *err)
{
    uint8_t prefix[PV_SAFETENSORS_PREFIX] = {0};
    json_t *root = json_object();
    const struct pv_tensor_data **order = calloc(n + 1, sizeof(const struct pv_tensor_data *));
    int rc = PROV_OK;

    if (root == NULL || order == NULL) {
        rc = psdk_fail(err, PROV_E_NOMEM, "safetensors: no memory for %zu tensors", n);
        goto out;
    }
    for (size_t i = 0; i < n; i++)
        order[i] = &tensors[i];
    qsort(order, n, sizeof(*order), by_layout);
    rc = fill_root(root, order, n, metadata, err);
    if (rc != PROV_OK)
        goto out;
    psdk_buf_add(ret_head, prefix, sizeof(prefix));
    rc = psdk_jcs_write(root, ret_head, err);
    if (rc != PROV_OK)
        goto out;
    while (ret_head->len % 8 != 0 && rc == PROV_OK)
        rc = psdk_buf_addc(ret_head, ' ');
    rc = psdk_buf_check(ret_head, err);
    if (rc != PROV_OK)
        goto out;
    uint64_t bytes = ret_head->len - PV_SAFETENSORS_PREFIX;
    if (bytes > PV_SAFETENSORS_HEADER_MAX) {
        rc = psdk_fail(err, PROV_E_LIMIT, "safetensors: %zu tensors need a header of %" PRIu64 " bytes, more than %"
                       PRIu64, n, bytes, PV_SAFETENSORS_HEADER_MAX);
        goto out;
    }
    for (size_t i = 0; i < sizeof(prefix); i++)
        ret_head->data[i] = (uint8_t)(bytes >> (8 * i) & 0xff);
    *ret_order = order;
    order = NULL;
out:
    free(order);
    json_decref(root);
    return rc;
}

int pv_safetensors_write(struct psdk_buf *out, const struct pv_tensor_data *tensors, size_t n, const json_t *metadata,
                         prov_error *err)
{
    const struct pv_tensor_data **order = NULL;
    struct psdk_buf head = {0};
    size_t before = out->len;

    int rc = prepare(tensors, n, metadata, &head, &order, err);
    if (rc != PROV_OK)
        goto out;
    psdk_buf_add(out, head.data, head.len);
    for (size_t i = 0; i < n; i++) {
        if (order[i]->tensor.size_bytes > 0)
            psdk_buf_add(out, order[i]->data, order[i]->tensor.size_bytes);
    }
    rc = psdk_buf_check(out, err);
    if (rc != PROV_OK)
        out->len = before;
out:
    psdk_buf_done(&head);
    free(order);
    return rc;
}

static int write_parts(int fd, const char *path, const struct psdk_buf *head, const struct pv_tensor_data *const *order,
                       size_t n, prov_error *err)
{
    int rc = psdk_write_all(fd, head->data, head->len, path, err);

    for (size_t i = 0; i < n && rc == PROV_OK; i++) {
        if (order[i]->tensor.size_bytes > 0)
            rc = psdk_write_all(fd, order[i]->data, order[i]->tensor.size_bytes, path, err);
    }
    return rc != PROV_OK ? rc : psdk_fdatasync(fd, path, err);
}

/* A new name in the folder of path, and that folder. */
static int temp_name(const char *path, char folder[PATH_BYTES], char temp[PATH_BYTES], prov_error *err)
{
    uint8_t random[12];
    char hex[25];

    int rc = psdk_dirname(path, folder, PATH_BYTES, err);
    if (rc == PROV_OK)
        rc = psdk_random(random, sizeof(random), err);
    if (rc != PROV_OK)
        return rc;
    psdk_hex(random, sizeof(random), hex);
    int n = snprintf(temp, PATH_BYTES, "%s/.prov-tmp-%s", folder, hex);
    if (n < 0 || n >= PATH_BYTES)
        return psdk_fail(err, PROV_E_LIMIT, "'%.64s...': the path is too long", path);
    return PROV_OK;
}

int pv_safetensors_save(const char *path, const struct pv_tensor_data *tensors, size_t n, const json_t *metadata,
                        prov_error *err)
{
    char folder[PATH_BYTES], temp[PATH_BYTES];
    const struct pv_tensor_data **order = NULL;
    struct psdk_buf head = {0};
    int fd = -1;

    int rc = prepare(tensors, n, metadata, &head, &order, err);
    if (rc == PROV_OK)
        rc = temp_name(path, folder, temp, err);
    if (rc != PROV_OK)
        goto out;
    fd = psdk_open(temp, O_WRONLY | O_CREAT | O_EXCL, 0666, err);
    if (fd < 0) {
        rc = fd;
        goto out;
    }
    rc = write_parts(fd, path, &head, order, n, err);
    if (rc == PROV_OK && rename(temp, path) != 0)
        rc = psdk_fail_errno(err, errno, "cannot rename '%s' to '%s'", temp, path);
    if (rc != PROV_OK)
        unlink(temp);
    else
        rc = psdk_sync_dir(folder, err);
out:
    if (fd >= 0)
        psdk_close(&fd);
    psdk_buf_done(&head);
    free(order);
    return rc == PROV_OK ? rc : psdk_wrap(err, "cannot write '%s'", path);
}
