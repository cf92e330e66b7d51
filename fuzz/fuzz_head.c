/* fuzz_head.c - heads, seal objects, store.json and batch signatures from any bytes; the first byte chooses which.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Each has one spelling for one content: what is read and written again must be the same bytes.
 */
#include <stdlib.h>
#include <string.h>

#include "psdk_json.h"
#include "pv_head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok)
        abort();
}

static void must_refuse(int rc, const prov_error *err)
{
    must(rc == PROV_E_CORRUPT && err->code == rc && err->message[0] != '\0');
}

static void must_equal(struct psdk_buf *again, const void *data, size_t size)
{
    must(!again->failed && again->len == size && memcmp(again->data, data, size) == 0);
    psdk_buf_done(again);
}

static void try_head(const char *data, size_t size)
{
    struct pv_head head;
    struct psdk_buf again = {0};
    prov_error err = {0};
    char seal[PV_SEAL_NAME];
    uint64_t tree_size = 0;
    int rc = pv_head_parse(data, size, "head.json", &head, &err);
    if (rc != PROV_OK) {
        must_refuse(rc, &err);
        return;
    }
    must(psdk_jcs_check(data, size, "head.json", &err) == PROV_OK);
    pv_seal_name(head.tree.size, head.tree.root, seal);
    must(strcmp(seal, head.seal) == 0 && pv_seal_name_parse(head.seal, &tree_size) && tree_size == head.tree.size);
    pv_head_write(&again, &head);
    must_equal(&again, data, size);
}

static void try_seal(const uint8_t *data, size_t size)
{
    struct pv_seal seal;
    struct psdk_buf again = {0};
    prov_error err = {0};
    int rc = pv_seal_parse(data, size, "seal", &seal, &err);
    if (rc != PROV_OK) {
        must_refuse(rc, &err);
        must(seal.sigs == NULL && seal.n_sigs == 0);
        return;
    }
    must(seal.size >= seal.old.size && seal.entries_len <= size);
    pv_seal_write(&again, &seal);
    must_equal(&again, data, size);
    pv_seal_done(&seal);
}

static void try_store_info(const char *data, size_t size)
{
    struct pv_store_info info;
    struct psdk_buf again = {0};
    prov_error err = {0};
    int rc = pv_store_info_parse(data, size, "store.json", &info, &err);
    if (rc != PROV_OK) {
        must_refuse(rc, &err);
        return;
    }
    must(pv_origin_ok(info.origin) && psdk_jcs_check(data, size, "store.json", &err) == PROV_OK);
    pv_store_info_write(&again, &info);
    must_equal(&again, data, size);
}

static void try_batch(const char *data, size_t size)
{
    static const uint8_t some_key[32] = {1, 2, 3};
    struct pv_batch_sig sig;
    struct psdk_buf again = {0};
    prov_error err = {0};
    int rc = pv_batch_parse(data, size, "batch", &sig, &err);
    if (rc != PROV_OK) {
        must_refuse(rc, &err);
        return;
    }
    must(!pv_batch_verify(&sig, "example.com/fuzz", some_key));
    pv_batch_write(&again, &sig);
    must(again.len == size + 1 && again.data[size] == '\n');
    again.len--;
    must_equal(&again, data, size);
}

static void try_seal_name(const char *data, size_t size)
{
    char *name = strndup(data, size), again[PV_SEAL_NAME];
    uint64_t tree_size = 0;
    if (name != NULL && pv_seal_name_parse(name, &tree_size)) {
        must(strlen(name) < sizeof again);
        snprintf(again, sizeof again, "seal/%llu-", (unsigned long long)tree_size);
        must(strncmp(name, again, strlen(again)) == 0);
    }
    free(name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const char *text = (const char *)data + 1;
    switch (data[0]) {
    case 'h':
        try_head(text, size - 1);
        break;
    case 's':
        try_seal(data + 1, size - 1);
        break;
    case 'i':
        try_store_info(text, size - 1);
        break;
    case 'b':
        try_batch(text, size - 1);
        break;
    default:
        try_seal_name(text, size - 1);
        break;
    }
    return 0;
}
