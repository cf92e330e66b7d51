/* fuzz_proof.c - proofs of training from any bytes.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Every input is checked twice: as it is, and, when it is a JSON object, signed anew with the key that made the corpus.
 * The second way lets a changed document through the signature, to what stands behind it: tree head, records,
 * statements.
 */
#include <stdlib.h>
#include <string.h>

#include "psdk_json.h"
#include "pv_proof.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok)
        abort();
}

/* The log key of the corpus: the seed is 32 bytes 'L'. It is kept for the life of the process. */
static const struct psdk_ed25519 *log_key(void)
{
    static struct psdk_ed25519 key;
    uint8_t seed[32];
    prov_error err = {0};
    if (key.pkey == NULL) {
        memset(seed, 'L', sizeof seed);
        must(psdk_ed25519_from_seed(&key, seed, &err) == PROV_OK);
    }
    return &key;
}

static int verify(const char *data, size_t size, const struct pv_trust *trust)
{
    json_t *report = NULL;
    prov_error err = {0};
    int verdict = -1;
    must(pv_proof_verify(data, size, trust, &verdict, &report, &err) == PROV_OK);
    must(verdict >= PV_VERDICT_OK && verdict <= PV_VERDICT_TAMPERED);
    must(json_is_array(json_object_get(report, "checks")) && json_is_string(json_object_get(report, "verdict")));
    must(json_is_string(json_object_get(report, "summary"))); /* a message cut inside a character would not be one */
    size_t i;
    json_t *check;
    json_array_foreach(json_object_get(report, "checks"), i, check)
        must(json_is_string(json_object_get(check, "name")) && json_is_string(json_object_get(check, "detail")));
    if (verdict != PV_VERDICT_TAMPERED)
        must(psdk_jcs_check(data, size, "proof", &err) == PROV_OK && json_is_string(json_object_get(report, "origin")));
    json_decref(report);
    return verdict;
}

static void show(const char *data, size_t size)
{
    for (int html = 0; html < 2; html++) {
        struct psdk_buf out = {0};
        prov_error err = {0};
        int rc = pv_proof_show(data, size, html != 0, &out, &err);
        must(rc == PROV_OK || err.message[0] != '\0');
        psdk_buf_done(&out);
    }
}

static void sign_and_verify(const char *data, size_t size, const struct pv_trust *trust)
{
    prov_error err = {0};
    struct psdk_buf again = {0};
    json_t *proof = psdk_json_parse(data, size, "proof", &err);
    if (json_is_object(proof)) {
        json_object_del(proof, "signature_hash");
        json_object_del(proof, "signatures");
        if (pv_proof_sign(proof, log_key(), &again, &err) == PROV_OK) {
            verify((const char *)again.data, again.len, trust);
            show((const char *)again.data, again.len);
        }
    }
    psdk_buf_done(&again);
    json_decref(proof);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    static const char *const validators[] = {"0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"};
    struct pv_trusted_key trusted = {.name = ""};
    struct pv_trust trust = {.key = &trusted, .n_keys = 1, .validator = validators, .n_validators = 1};
    memcpy(trusted.key, log_key()->public_key, 32);
    int with = verify(text, size, &trust), without = verify(text, size, NULL);
    must((with == PV_VERDICT_TAMPERED) == (without == PV_VERDICT_TAMPERED) && without != PV_VERDICT_OK);
    show(text, size);
    sign_and_verify(text, size, &trust);
    return 0;
}
