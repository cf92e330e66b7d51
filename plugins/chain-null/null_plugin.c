/* null_plugin.c - the descriptor of chain-null and its ops.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "null.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int32_t submit(void *self, const prov_call *call, const prov_chain_op *op, prov_chain_tx *ret_tx, prov_error *err)
{
    return pv_null_append(self, call, op, 1, ret_tx, err);
}

static int32_t submit_many(void *self, const prov_call *call, const prov_chain_op *ops, uint64_t n_ops,
                           prov_chain_tx *ret_txs, prov_error *err)
{
    return pv_null_append(self, call, ops, n_ops, ret_txs, err);
}

/* By key, or (key NULL) by ref. What it answers is durable. */
static int32_t find(struct pv_null *self, const prov_call *call, const uint8_t *key, const char *ref,
                    prov_chain_tx *ret_tx, prov_error *err)
{
    int rc = psdk_call_check(call, err);
    if (rc != PROV_OK)
        return rc;
    pthread_mutex_lock(&self->mutex);
    rc = pv_null_refresh(self, false, err);
    if (rc == PROV_OK) {
        const struct pv_null_entry *entry = key != NULL ? pv_null_find(self, key) : pv_null_find_ref(self, ref);
        if (entry == NULL)
            rc = psdk_fail(err, PROV_E_NOT_FOUND, "%s is not in the local journal", key != NULL ? "the operation" : ref);
        else
            rc = pv_null_sync(self, err);
        if (rc == PROV_OK)
            pv_null_describe(self, entry, ret_tx);
    }
    pthread_mutex_unlock(&self->mutex);
    return psdk_not_applied(err, rc);
}

static int32_t lookup(void *self, const prov_call *call, const uint8_t key[32], prov_chain_tx *ret_tx, prov_error *err)
{
    return find(self, call, key, "", ret_tx, err);
}

static int32_t status(void *self, const prov_call *call, const char *ref, prov_chain_tx *ret_tx, prov_error *err)
{
    return find(self, call, NULL, ref, ret_tx, err);
}

static int32_t query(void *self, const prov_call *call, const prov_chain_op *op, const prov_row_emit *emit,
                     prov_error *err)
{
    int rc = psdk_call_check(call, err);
    return rc == PROV_OK ? pv_null_query(self, call, op, emit, err) : rc;
}

static int32_t info(void *self_, const prov_call *call, prov_chain_info *ret_info, prov_error *err)
{
    struct pv_null *self = self_;
    int rc = psdk_call_check(call, err);
    if (rc != PROV_OK)
        return rc;
    uint32_t struct_size = ret_info->struct_size;
    pthread_mutex_lock(&self->mutex);
    rc = pv_null_refresh(self, false, err);
    if (rc == PROV_OK)
        *ret_info = (prov_chain_info){.struct_size = struct_size, .chain_id = 0, .block = self->n, .network = "local",
                                      .client = "chain-null journal"};
    pthread_mutex_unlock(&self->mutex);
    return psdk_not_applied(err, rc);
}

/* It costs nothing. */
static int32_t estimate(void *self, const prov_call *call, const prov_chain_op *op, uint8_t ret_wei[32], prov_error *err)
{
    const char *name;
    (void)self;
    int rc = psdk_call_check(call, err);
    if (rc == PROV_OK)
        rc = pv_null_op_check(op, &name, err);
    if (rc == PROV_OK)
        memset(ret_wei, 0, 32);
    return rc;
}

/* Checks the signature of a line and builds the evidence around it. */
static int build_evidence(const struct psdk_buf *line, const char *ref, struct psdk_buf *ret, prov_error *err)
{
    size_t entry_len = 0, len = 0;
    uint8_t signer[32], signature[66] = {0};
    const char *entry = psdk_jcs_member((const char *)line->data, line->len, "entry", &entry_len);
    const char *signer_text = entry != NULL ? psdk_jcs_member(entry, entry_len, "signer", &len) : NULL;
    bool ok = signer_text != NULL && len == 66 && psdk_unhex(signer_text + 1, 64, signer, sizeof signer);
    const char *signature_text = psdk_jcs_member((const char *)line->data, line->len, "signature", &len);
    ok = ok && signature_text != NULL && len > 2 &&
         psdk_unbase64(signature_text + 1, len - 2, signature, sizeof signature) == 64;
    if (!ok || !psdk_ed25519_verify(signer, entry, entry_len, signature)) {
        psdk_fail(err, PROV_E_CORRUPT, "the signature of '%s' is wrong: its line was changed", ref);
        return psdk_outcome(err, PROV_OUTCOME_PERMANENT);
    }
    psdk_buf_adds(ret, "{\"algorithm\":\"ed25519\",\"line\":");
    psdk_buf_add(ret, line->data, line->len);
    psdk_buf_adds(ret, ",\"public_key\":\"");
    psdk_buf_add_hex(ret, signer, sizeof signer);
    psdk_buf_adds(ret, "\",\"signature\":\"");
    psdk_buf_add_hex(ret, signature, 64);
    psdk_buf_adds(ret, "\",\"type\":\"local-journal\"}");
    return psdk_buf_check(ret, err);
}

static int32_t evidence(void *self_, const prov_call *call, const char *ref, const prov_sink *sink, prov_error *err)
{
    struct pv_null *self = self_;
    struct psdk_buf line = {0}, text = {0};
    int rc = psdk_call_check(call, err);
    if (rc != PROV_OK)
        return rc;
    pthread_mutex_lock(&self->mutex);
    rc = pv_null_refresh(self, false, err);
    const struct pv_null_entry *entry = rc == PROV_OK ? pv_null_find_ref(self, ref) : NULL;
    if (entry != NULL)
        rc = pv_null_read_line(self, entry, &line, err);
    else if (rc == PROV_OK)
        rc = psdk_fail(err, PROV_E_NOT_FOUND, "%s is not in the local journal", ref);
    pthread_mutex_unlock(&self->mutex);
    if (rc == PROV_OK)
        rc = build_evidence(&line, ref, &text, err);
    if (rc == PROV_OK && (rc = sink->write(sink->ctx, text.data, text.len)) != PROV_OK)
        psdk_fail(err, rc, "the receiver of the evidence stopped");
    psdk_buf_done(&line);
    psdk_buf_done(&text);
    return psdk_not_applied(err, rc);
}

static void destroy(void *instance)
{
    struct pv_null *self = instance;
    pv_null_journal_close(self);
    pthread_mutex_destroy(&self->mutex);
    free(self);
}

/* The folder: the option, else the instance's own one. */
static const char *find_folder(const prov_host *host, const prov_option_value *values, uint64_t n_values)
{
    const char *path = psdk_option_get(values, n_values, "path");
    if (path != NULL)
        return path;
    const prov_service_state *state = host->service != NULL ? host->service(host->ctx, PROV_SERVICE_STATE) : NULL;
    return state != NULL ? state->dir(host->ctx) : NULL;
}

static int32_t create(const prov_host *host, const prov_option_value *values, uint64_t n_values, void **ret_instance,
                      prov_error *err)
{
    struct pv_null *self = calloc(1, sizeof *self);
    if (self == NULL)
        return psdk_fail(err, PROV_E_NOMEM, "no memory");
    self->fd = -1;
    pthread_mutex_init(&self->mutex, NULL);
    int rc = PROV_OK;
    const char *folder = find_folder(host, values, n_values);
    if (folder == NULL || folder[0] != '/')
        rc = psdk_fail(err, PROV_E_CONFIG, "path: want the absolute path of a folder for the journal");
    if (rc == PROV_OK && (rc = pv_null_journal_open(self, folder, err)) != PROV_OK && rc != PROV_E_NOMEM) {
        psdk_wrap(err, "path");
        rc = err->code = PROV_E_CONFIG;
    }
    if (rc == PROV_OK) {
        *ret_instance = self;
        return rc;
    }
    destroy(self);
    return psdk_not_applied(err, rc);
}

static const prov_option option_path = {
    .struct_size = sizeof(prov_option),
    .type = PROV_OPT_PATH,
    .name = "path",
    .doc = "Folder of the journal and its key; left out, a folder of this instance's own in the host's state",
};
static const prov_option *const options[] = {&option_path, NULL};

static const prov_chain_ops ops = {
    .struct_size = sizeof ops,
    .submit = submit,
    .lookup = lookup,
    .status = status,
    .query = query,
    .info = info,
    .estimate = estimate,
    .submit_many = submit_many,
    .evidence = evidence,
};

static const prov_provider provider = {
    .struct_size = sizeof provider,
    .role = PROV_ROLE_CHAIN,
    .name = "chain-null",
    .doc = "A local signed journal in place of a chain: records everything, settles nothing",
    .capabilities = PROV_CAP_THREADSAFE | PROV_CAP_PERSISTENT | PROV_CAP_LOCAL_ONLY | PROV_CAP_SHARED,
    .options = options,
    .ops = &ops,
    .create = create,
    .destroy = destroy,
};
static const prov_provider *const providers[] = {&provider, NULL};

const prov_plugin prov_plugin_v1 = {
    .struct_size = sizeof prov_plugin_v1,
    .abi_minor = PROV_ABI_MINOR,
    .name = "chain-null",
    .version = "0.1.0",
    .licence = "Apache-2.0",
    .url = "",
    .providers = providers,
};
