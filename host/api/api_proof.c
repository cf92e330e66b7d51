/* api_proof.c - proofs of training. SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "api.h"
#include "psdk_file.h"
#include "pv_log.h"

/* Verifies what was just made, unless the configuration says not to. */
static int auto_verify(prov_handle *h, const struct psdk_buf *proof, prov_error *err)
{
    json_t *report = NULL;
    int verdict = PV_VERDICT_TAMPERED;
    if (!pv_config_bool(h->config, "record.auto_verify", true))
        return PROV_OK;
    int rc = pv_proof_verify(psdk_buf_str(proof), proof->len, &h->trust, &verdict, &report, err);
    if (!rc && verdict == PV_VERDICT_TAMPERED)
        rc = psdk_fail(err, PROV_E_CORRUPT, "the proof does not verify: %s",
                       json_string_value(json_object_get(report, "summary")));
    json_decref(report);
    return rc;
}

/* A file is replaced as a whole; a device or a pipe is written to; a link is followed, never replaced. */
static int write_out(const char *out, const struct psdk_buf *proof, bool force, prov_error *err)
{
    struct stat st;
    char *real = NULL;
    int fd, rc;
    if (stat(out, &st) == 0 && !S_ISREG(st.st_mode)) {
        fd = psdk_open(out, O_WRONLY | O_NOCTTY, 0, err);
        rc = fd < 0 ? fd : psdk_write_all(fd, proof->data, proof->len, out, err);
        psdk_close(&fd);
        return rc;
    }
    if (force)
        real = realpath(out, NULL);
    rc = psdk_write_file(real ? real : out, proof->data, proof->len, 0644, !force, err);
    free(real);
    return rc;
}

int prov_proof_create(prov_handle *handle, const char *model_id, const char *out, int32_t force, char **ret_json,
                      prov_error *err)
{
    API_ERR(err);
    struct pv_ledger *ledger = NULL;
    struct pv_stream *s = NULL;
    struct pv_journal_state state;
    struct pv_reader r;
    struct psdk_buf proof = {0};
    char path[300], prefix[PV_NAME_MAX];
    const char *id = api_model_id(handle, model_id);
    json_t *transactions = json_array();
    int rc = api_model_path(handle, model_id, path, sizeof path, err);
    if (!rc)
        rc = pv_stream_prefix(path, prefix, sizeof prefix, err);
    if (!rc)
        rc = api_ready(handle, &ledger, err);
    if (!rc && pv_ledger_has(ledger, path)) { /* a model without a journal here is not given one */
        rc = api_stream(handle, path, &s, err);
        if (!rc)
            rc = pv_stream_state(s, &state, err);
        if (!rc && state.pending)
            rc = api_seal(handle, s, NULL, err);
    }
    if (!rc)
        rc = api_reader(handle, path, &r, err);
    if (!rc) {
        rc = pv_proof_make(&r, id, transactions, false, ledger->log_key, &proof, err);
        pv_reader_close(&r);
    }
    if (!rc)
        rc = auto_verify(handle, &proof, err);
    if (!rc && out)
        rc = write_out(out, &proof, force != 0, err);
    if (rc == PROV_E_EXISTS)
        psdk_fail(err, rc, "%s: is there already; give another name or --force", out);
    json_decref(transactions);
    if (!rc && ret_json)
        *ret_json = psdk_buf_take(&proof);
    psdk_buf_done(&proof);
    return rc ? psdk_wrap(err, "proof of %s", id ? id : "?") : PROV_OK;
}

int prov_proof_verify(prov_handle *handle, const char *data, uint64_t len, const char *const *trust, uint64_t n_trust,
                      int32_t *ret_verdict, char **ret_json, prov_error *err)
{
    API_ERR(err);
    struct pv_trust all = {0};
    size_t n = (handle ? handle->trust.n_keys : 0) + (size_t)n_trust;
    json_t *report = NULL;
    int verdict = PV_VERDICT_TAMPERED;
    all.key = calloc(n ? n : 1, sizeof *all.key);
    int rc = all.key ? PROV_OK : psdk_fail(err, PROV_E_NOMEM, "out of memory");
    if (!rc && handle) {
        all.n_keys = handle->trust.n_keys;
        if (all.n_keys)
            memcpy(all.key, handle->trust.key, all.n_keys * sizeof *all.key);
        all.validator = handle->trust.validator;
        all.n_validators = handle->trust.n_validators;
    }
    for (uint64_t i = 0; !rc && i < n_trust; i++, all.n_keys++)
        rc = pv_public_parse(trust[i], all.key[all.n_keys].name, all.key[all.n_keys].key, err);
    if (!rc)
        rc = pv_proof_verify(data, (size_t)len, &all, &verdict, &report, err);
    free(all.key);
    *ret_verdict = verdict;
    return rc ? rc : api_give(report, ret_json, err);
}

int prov_proof_show(const char *data, uint64_t len, int32_t html, char **ret_text, prov_error *err)
{
    API_ERR(err);
    struct psdk_buf out = {0};
    int rc = pv_proof_show(data, (size_t)len, html != 0, &out, err);
    if (!rc)
        *ret_text = psdk_buf_take(&out);
    psdk_buf_done(&out);
    return rc;
}
