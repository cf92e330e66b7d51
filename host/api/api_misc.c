/* api_misc.c - version, result codes, log sink, hashes, safetensors. SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "api.h"
#include "psdk_file.h"
#include "pv_log.h"
#include "pv_safetensors.h"

const char *prov_version(void)
{
    return PROV_VERSION;
}

int prov_version_info(char **ret_json, prov_error *err)
{
    API_ERR(err);
    return api_give(json_pack("{s:s,s:{s:i,s:i},s:{s:s,s:s}}", "version", PROV_VERSION, "abi", "major", (int)PROV_ABI_MAJOR,
                              "minor", (int)PROV_ABI_MINOR, "libraries", "openssl",
                              OpenSSL_version(OPENSSL_VERSION_STRING), "jansson", jansson_version_str()),
                    ret_json, err);
}

void prov_free(void *memory)
{
    free(memory);
}

const char *prov_rc_name(int32_t code)
{
    return psdk_rc_name(code);
}

const char *prov_rc_text(int32_t code)
{
    return psdk_rc_text(code);
}

int prov_rc_exit(int32_t code)
{
    return psdk_rc_exit(code);
}

/* The floors' sink may be called from several threads at once; the public one is promised one at a time. */
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static prov_log_fn log_call;
static void *log_ctx;

static void log_sink(void *ctx, int level, const char *message)
{
    (void)ctx;
    pthread_mutex_lock(&log_lock);
    if (log_call)
        log_call(log_ctx, level, message);
    pthread_mutex_unlock(&log_lock);
}

void prov_log_set(prov_log_fn call, void *ctx, int32_t level_max)
{
    pthread_mutex_lock(&log_lock);
    log_call = call;
    log_ctx = ctx;
    pthread_mutex_unlock(&log_lock);
    pv_log_set(call ? log_sink : NULL, NULL, level_max);
}

int prov_hash_files(const char *const *paths, uint64_t n_paths, char ret_hex[65], prov_error *err)
{
    API_ERR(err);
    return pv_hash_files(paths, (size_t)n_paths, ret_hex, err);
}

static json_t *tensor_json(int fd, const struct pv_tensor *t, const char *path, bool digest, prov_error *err)
{
    json_t *shape = json_array();
    for (uint32_t i = 0; i < t->rank; i++)
        json_array_append_new(shape, json_integer((json_int_t)t->shape[i]));
    json_t *one = json_pack("{s:s,s:s,s:o,s:I}", "name", t->name, "dtype", t->dtype, "shape", shape, "bytes",
                            (json_int_t)t->size_bytes);
    uint8_t hash[32];
    char hex[PSDK_SHA256_HEX];
    if (digest && pv_safetensors_hash(fd, t, path, hash, err) != PROV_OK) {
        json_decref(one);
        return NULL;
    }
    if (digest) {
        psdk_hex(hash, 32, hex);
        json_object_set_new(one, "sha256", json_string(hex));
    }
    return one;
}

int prov_safetensors_inspect(const char *path, int32_t with_digests, char **ret_json, prov_error *err)
{
    API_ERR(err);
    struct pv_safetensors list = {0};
    json_t *doc = NULL;
    int fd = psdk_open(path, O_RDONLY, 0, err);
    if (fd < 0)
        return fd;
    int rc = pv_safetensors_read(fd, 0, path, &list, err);
    if (!rc) {
        json_t *tensors = json_array();
        for (size_t i = 0; !rc && i < list.n_tensors; i++) {
            json_t *one = tensor_json(fd, &list.tensors[i], path, with_digests != 0, err);
            rc = one ? PROV_OK : err->code;
            json_array_append_new(tensors, one);
        }
        doc = json_pack("{s:o}", "tensors", tensors);
        if (list.metadata)
            json_object_set(doc, "metadata", (json_t *)(uintptr_t)list.metadata);
    }
    pv_safetensors_done(&list);
    psdk_close(&fd);
    if (rc) {
        json_decref(doc);
        return rc;
    }
    return api_give(doc, ret_json, err);
}

int prov_safetensors_write(const char *path, const prov_tensor *const *tensors, uint64_t n_tensors,
                           const char *metadata_json, prov_error *err)
{
    API_ERR(err);
    struct pv_tensor_data *data = calloc(n_tensors ? (size_t)n_tensors : 1, sizeof *data);
    json_t *metadata = NULL;
    int rc = data ? PROV_OK : psdk_fail(err, PROV_E_NOMEM, "out of memory");
    if (!rc && metadata_json && !(metadata = psdk_json_parse(metadata_json, strlen(metadata_json), "metadata", err)))
        rc = err->code;
    for (uint64_t i = 0; !rc && i < n_tensors; i++)
        data[i] = (struct pv_tensor_data){.tensor = {.name = tensors[i]->name, .dtype = tensors[i]->dtype,
                                                     .shape = tensors[i]->shape, .rank = tensors[i]->n_dims,
                                                     .size_bytes = tensors[i]->size_bytes},
                                          .data = tensors[i]->data};
    if (!rc)
        rc = pv_safetensors_save(path, data, (size_t)n_tensors, metadata, err);
    json_decref(metadata);
    free(data);
    return rc;
}
