/* pv_proof_verify.c - checking a proof of training offline. SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "psdk_file.h"
#include "psdk_json_scan.h"
#include "pv_proof.h"

/* ---- reports ---------------------------------------------------------------------------------------------------------- */

json_t *pv_report_new(void)
{
    return json_pack("{s:[]}", "checks");
}

/* A message quotes the document, perhaps cut inside a character: what is no UTF-8 becomes '?', so that it is not lost. */
static json_t *message_json(const char *text)
{
    json_t *whole = json_string(text);
    char *copy = whole ? NULL : strdup(text);
    if (!copy)
        return whole;
    const uint8_t *end = (const uint8_t *)copy + strlen(copy);
    for (char *at = copy; *at;) {
        size_t n = psdk_utf8_len((const uint8_t *)at, end);
        if (n == 0)
            *at = '?';
        at += n ? n : 1;
    }
    whole = json_string(copy);
    free(copy);
    return whole;
}

void pv_report_add(json_t *report, const char *name, bool ok, const char *detail)
{
    json_array_append_new(json_object_get(report, "checks"),
                          json_pack("{s:s,s:b,s:o}", "name", name, "ok", ok, "detail", message_json(detail)));
}

int pv_report_end(json_t *report, int verdict, const char *summary)
{
    static const char *const names[] = {"ok", "unknown_signer", "tampered"};
    json_object_set_new(report, "verdict", json_string(names[verdict]));
    json_object_set_new(report, "summary", message_json(summary));
    return verdict;
}

bool pv_trust_has(const struct pv_trust *trust, const char *origin, const uint8_t key[32])
{
    for (size_t i = 0; trust && i < trust->n_keys; i++) {
        const char *name = trust->key[i].name;
        size_t n = strlen(name);
        if (memcmp(trust->key[i].key, key, 32) == 0 &&
            (n == 0 || (strncmp(origin, name, n) == 0 && (origin[n] == '\0' || origin[n] == '/'))))
            return true;
    }
    return false;
}

/* Whether an origin ends in /models/ and this model. */
static bool is_stream_of(const char *origin, const char *model_id)
{
    size_t n = strlen(origin), m = strlen(model_id);
    return n >= m + 8 && strcmp(origin + n - m, model_id) == 0 && memcmp(origin + n - m - 8, "/models/", 8) == 0;
}

/* ---- one proof ---------------------------------------------------------------------------------------------------------- */

struct verify {
    json_t *proof;
    json_t *report;
    const struct pv_trust *trust;
    const char *model_id, *origin, *timestamp, *tree_head_text;
    struct pv_tree_head tree;
    uint8_t log_key[32];
    struct pv_slice *entries;
    struct pv_batch_sig *sigs;
    size_t n_sigs;
    prov_error err; /* why it is not intact */
};

static const char *const MEMBERS[] = {"batch_signatures", "blockchain_transactions", "final_model_hash", "merkle_root",
                                      "model_id", "other_records", "proof_timestamp", "signature_hash", "signatures",
                                      "training_chain", "tree_head", "validation_chain", "verification_metadata", NULL};

static int read_members(struct verify *v)
{
    prov_error *err = &v->err;
    const json_t *meta = NULL;
    struct pv_note note = {0};
    int rc = psdk_json_only(v->proof, "proof", MEMBERS, err);
    if (!rc)
        rc = psdk_json_get_str(v->proof, "proof", "model_id", &v->model_id, err);
    if (!rc)
        rc = psdk_json_get_str(v->proof, "proof", "proof_timestamp", &v->timestamp, err);
    uint64_t ns;
    if (!rc && !psdk_time_parse(v->timestamp, strlen(v->timestamp), &ns))
        rc = psdk_fail(err, PROV_E_CORRUPT, "proof.proof_timestamp: not RFC 3339 UTC with microseconds");
    if (!rc)
        rc = psdk_json_get_str(v->proof, "proof", "tree_head", &v->tree_head_text, err);
    if (!rc)
        rc = psdk_json_get_obj(v->proof, "proof", "verification_metadata", &meta, err);
    if (!rc)
        rc = psdk_json_get_str(meta, "proof.verification_metadata", "origin", &v->origin, err);
    if (!rc)
        rc = pv_note_parse(v->tree_head_text, strlen(v->tree_head_text), "proof.tree_head", &note, err);
    if (!rc)
        rc = pv_tree_head_parse(&note, &v->tree, err);
    if (!rc && strcmp(v->tree.origin, v->origin) != 0)
        rc = psdk_fail(err, PROV_E_CORRUPT, "proof.tree_head: is of %s, the proof of %s", v->tree.origin, v->origin);
    if (!rc && !is_stream_of(v->origin, v->model_id))
        rc = psdk_fail(err, PROV_E_CORRUPT, "proof.model_id: %.140s is not the model of the stream %.200s", v->model_id,
                       v->origin);
    pv_note_done(&note);
    return rc;
}

/* "ed25519:" and 64 lower-case digits: one spelling, so that no byte can be changed unseen. */
static bool parse_key(const char *text, uint8_t ret[32])
{
    char again[8 + PSDK_SHA256_HEX] = "ed25519:";
    if (strlen(text) != 72 || !psdk_unhex(text + 8, 64, ret, 32))
        return false;
    psdk_hex(ret, 32, again + 8);
    return strcmp(text, again) == 0;
}

/* Every signature must verify; an unknown algorithm is refused; the first Ed25519 one is the log key's. */
static int check_signatures(struct verify *v)
{
    static const char *const names[] = {"algorithm", "key", "signature", NULL};
    prov_error *err = &v->err;
    const json_t *list = NULL;
    const char *hash = NULL;
    struct psdk_buf text = {0};
    int rc = psdk_json_get_str(v->proof, "proof", "signature_hash", &hash, err);
    if (!rc)
        rc = psdk_json_get_arr(v->proof, "proof", "signatures", &list, err);
    if (!rc && json_array_size(list) != 1)
        rc = psdk_fail(err, PROV_E_CORRUPT, "proof.signatures: want the log key's signature and no other, found %zu",
                       json_array_size(list));
    if (!rc) {
        pv_proof_text(&text, v->origin, hash);
        rc = psdk_buf_check(&text, err);
    }
    for (size_t i = 0; !rc && i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        const char *algorithm = NULL, *key = NULL, *signature = NULL;
        char path[48];
        uint8_t public_key[32], sig[64];
        snprintf(path, sizeof path, "proof.signatures[%zu]", i);
        rc = psdk_json_only(one, path, names, err);
        if (!rc)
            rc = psdk_json_get_str(one, path, "algorithm", &algorithm, err);
        if (!rc)
            rc = psdk_json_get_str(one, path, "key", &key, err);
        if (!rc)
            rc = psdk_json_get_str(one, path, "signature", &signature, err);
        if (!rc && strcmp(algorithm, "ed25519") != 0)
            rc = psdk_fail(err, PROV_E_CORRUPT, "%s.algorithm: unknown algorithm '%.40s'", path, algorithm);
        if (!rc && (!parse_key(key, public_key) || psdk_unbase64(signature, strlen(signature), sig, sizeof sig) != 64 ||
                    !psdk_ed25519_verify(public_key, text.data, text.len, sig)))
            rc = psdk_fail(err, PROV_E_CORRUPT, "%s: does not verify", path);
        if (!rc && i == 0)
            memcpy(v->log_key, public_key, 32);
    }
    psdk_buf_done(&text);
    return rc;
}

/* The records whose bytes no longer have the id that stands beside them: where a document was changed, most often. */
static bool find_changed_record(const struct verify *v, char *ret, size_t cap)
{
    static const char *const lists[][2] = {{"training_chain", "checkpoint_id"}, {"validation_chain", "validation_id"},
                                           {"other_records", "id"}};
    for (size_t l = 0; l < sizeof lists / sizeof *lists; l++) {
        size_t i;
        json_t *one;
        json_array_foreach(json_object_get(v->proof, lists[l][0]), i, one)
        {
            const json_t *record = json_object_get(one, "record");
            const char *id = json_string_value(json_object_get(one, lists[l][1]));
            uint8_t leaf[32];
            char hex[PSDK_SHA256_HEX];
            if (!json_is_string(record) || !id)
                continue;
            psdk_leaf_hash(json_string_value(record), json_string_length(record), leaf);
            psdk_hex(leaf, 32, hex);
            if (strcmp(hex, id) == 0)
                continue;
            snprintf(ret, cap, "proof.%s[%zu].record: its bytes do not have the id %.12s that stands beside them", lists[l][0], i,
                     id);
            return true;
        }
    }
    return false;
}

static int check_hash(struct verify *v)
{
    struct psdk_buf body = {0};
    uint8_t digest[32];
    char hash[PSDK_SHA256_HEX], place[256];
    json_t *rest = json_copy(v->proof);
    json_object_del(rest, "signature_hash");
    json_object_del(rest, "signatures");
    int rc = psdk_jcs_write(rest, &body, &v->err);
    if (!rc) {
        psdk_sha256(body.data, body.len, digest);
        psdk_hex(digest, 32, hash);
        const char *said = json_string_value(json_object_get(v->proof, "signature_hash"));
        if (!said || strcmp(said, hash) != 0)
            rc = find_changed_record(v, place, sizeof place)
                     ? psdk_fail(&v->err, PROV_E_CORRUPT, "%s", place)
                     : psdk_fail(&v->err, PROV_E_CORRUPT, "proof.signature_hash: the document does not have this hash");
    }
    json_decref(rest);
    psdk_buf_done(&body);
    return rc;
}

static int take_entries(struct verify *v, const char *list_name)
{
    prov_error *err = &v->err;
    const json_t *list = NULL;
    int rc = psdk_json_get_arr(v->proof, "proof", list_name, &list, err);
    for (size_t i = 0; !rc && i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        const json_t *record = json_object_get(one, "record");
        char path[64];
        int64_t index = 0;
        snprintf(path, sizeof path, "proof.%s[%zu]", list_name, i);
        rc = psdk_json_get_int(one, path, "index", 0, PSDK_JSON_INT_MAX, &index, err);
        if (!rc && (uint64_t)index >= v->tree.size)
            rc = psdk_fail(err, PROV_E_CORRUPT, "%s.index: past the end of the tree", path);
        if (!rc && !json_is_string(record))
            rc = psdk_fail(err, PROV_E_CORRUPT, "%s.record: missing", path);
        if (!rc && v->entries[index].data)
            rc = psdk_fail(err, PROV_E_CORRUPT, "%s.index: leaf %lld is in the proof twice", path, (long long)index);
        if (!rc)
            v->entries[index] = (struct pv_slice){json_string_value(record), json_string_length(record)};
    }
    return rc;
}

static int take_all_entries(struct verify *v)
{
    const size_t most = json_array_size(json_object_get(v->proof, "training_chain")) +
                        json_array_size(json_object_get(v->proof, "validation_chain")) +
                        json_array_size(json_object_get(v->proof, "other_records"));
    if (v->tree.size != most)
        return psdk_fail(&v->err, PROV_E_CORRUPT, "the tree head counts %llu records, the proof carries %zu",
                         (unsigned long long)v->tree.size, most);
    v->entries = calloc(most ? most : 1, sizeof *v->entries);
    if (!v->entries)
        return psdk_fail(&v->err, PROV_E_NOMEM, "proof: out of memory");
    int rc = take_entries(v, "training_chain");
    if (!rc)
        rc = take_entries(v, "validation_chain");
    if (!rc)
        rc = take_entries(v, "other_records");
    for (uint64_t i = 0; !rc && i < v->tree.size; i++)
        if (!v->entries[i].data)
            rc = psdk_fail(&v->err, PROV_E_CORRUPT, "leaf %llu is missing", (unsigned long long)i);
    return rc;
}

static int take_batch_signatures(struct verify *v)
{
    const json_t *list = NULL;
    int rc = psdk_json_get_arr(v->proof, "proof", "batch_signatures", &list, &v->err);
    size_t n = json_array_size(list);
    v->sigs = calloc(n ? n : 1, sizeof *v->sigs);
    if (!rc && !v->sigs)
        rc = psdk_fail(&v->err, PROV_E_NOMEM, "proof: out of memory");
    for (; !rc && v->n_sigs < n; v->n_sigs++) {
        struct psdk_buf line = {0};
        char path[64];
        snprintf(path, sizeof path, "proof.batch_signatures[%zu]", v->n_sigs);
        rc = psdk_jcs_write(json_array_get(list, v->n_sigs), &line, &v->err);
        if (!rc)
            rc = pv_batch_parse(psdk_buf_str(&line), line.len, path, &v->sigs[v->n_sigs], &v->err);
        psdk_buf_done(&line);
    }
    return rc;
}

/* Records, sequences, keys, batch signatures, root. */
static int check_log(struct verify *v)
{
    struct pv_checker *c = NULL;
    uint8_t root[32];
    size_t sig = 0;
    int rc = pv_checker_new(v->origin, v->log_key, &c, &v->err);
    for (uint64_t i = 0; !rc && i < v->tree.size; i++) {
        rc = pv_checker_entry(c, (const uint8_t *)v->entries[i].data, v->entries[i].len, NULL, &v->err);
        for (; !rc && sig < v->n_sigs && v->sigs[sig].index == i; sig++)
            rc = pv_checker_signature(c, &v->sigs[sig], &v->err);
    }
    if (!rc && sig != v->n_sigs)
        rc = psdk_fail(&v->err, PROV_E_CORRUPT, "proof.batch_signatures[%zu]: out of order", sig);
    if (!rc)
        rc = pv_checker_finish(c, root, &v->err);
    if (!rc && memcmp(root, v->tree.root, 32) != 0)
        rc = psdk_fail(&v->err, PROV_E_CORRUPT, "the records do not lead to the root of the tree head");
    pv_checker_free(c);
    return rc;
}

static int check_tree_head(struct verify *v)
{
    struct pv_note note = {0};
    bool bad = false;
    int rc = pv_note_parse(v->tree_head_text, strlen(v->tree_head_text), "proof.tree_head", &note, &v->err);
    if (!rc && !pv_note_signed_by(&note, v->origin, v->log_key, &bad))
        rc = psdk_fail(&v->err, PROV_E_CORRUPT, "proof.tree_head: %s by the key that signed the proof",
                       bad ? "wrongly signed" : "not signed");
    pv_note_done(&note);
    return rc;
}

/* The path of the first place where two documents differ. */
static bool first_difference(const json_t *want, const json_t *have, char *path, size_t cap)
{
    const char *key;
    json_t *value;
    size_t n = strlen(path);
    if (json_equal((json_t *)(uintptr_t)want, (json_t *)(uintptr_t)have))
        return false;
    if (json_is_object(want) && json_is_object(have)) {
        json_object_foreach((json_t *)(uintptr_t)want, key, value)
        {
            snprintf(path + n, cap - n, ".%s", key);
            if (first_difference(value, json_object_get(have, key), path, cap))
                return true;
            path[n] = '\0';
        }
    } else if (json_is_array(want) && json_is_array(have)) {
        for (size_t i = 0; i < json_array_size(want); i++) {
            snprintf(path + n, cap - n, "[%zu]", i);
            if (first_difference(json_array_get(want, i), json_array_get(have, i), path, cap))
                return true;
            path[n] = '\0';
        }
    }
    return true;
}

static int check_derived(struct verify *v)
{
    const json_t *transactions = json_object_get(v->proof, "blockchain_transactions");
    const json_t *meta = json_object_get(v->proof, "verification_metadata");
    struct pv_proof_source source = {.model_id = v->model_id, .origin = v->origin, .tree_head = v->tree_head_text,
                                     .tree = &v->tree, .timestamp = v->timestamp, .transactions = transactions,
                                     .blockchain_enabled = json_is_true(json_object_get(meta, "blockchain_enabled")),
                                     .entries = v->entries, .sigs = v->sigs, .n_sigs = v->n_sigs};
    if (!json_is_array(transactions) || json_array_size(transactions) || source.blockchain_enabled)
        return psdk_fail(&v->err, PROV_E_CORRUPT, "proof.blockchain_transactions: nothing in the records bears a transaction out");
    json_t *want = pv_proof_derive(&source, &v->err);
    if (!want)
        return v->err.code;
    json_t *have = json_copy(v->proof);
    json_object_del(have, "signature_hash");
    json_object_del(have, "signatures");
    char path[256] = "proof";
    int rc = PROV_OK;
    if (first_difference(want, have, path, sizeof path))
        rc = psdk_fail(&v->err, PROV_E_CORRUPT, "%s: is not what the records say", path);
    json_decref(want);
    json_decref(have);
    return rc;
}

static int check_models(struct verify *v, char *detail, size_t cap)
{
    const json_t *list = json_object_get(v->proof, "validation_chain");
    size_t signed_count = 0, known = 0, i;
    json_t *one, *seen = NULL;
    for (uint64_t e = 0; e < v->tree.size; e++) {
        struct pv_record r;
        int rc = pv_record_parse(v->entries[e].data, v->entries[e].len, "record", &r, &v->err);
        if (!rc && r.kind.len > 9 && memcmp(r.kind.data, "training.", 9) == 0 &&
            (r.subject.len != strlen(v->model_id) || memcmp(r.subject.data, v->model_id, r.subject.len) != 0))
            rc = psdk_fail(&v->err, PROV_E_CORRUPT, "leaf %llu: is of the model %.*s", (unsigned long long)e,
                           (int)r.subject.len, r.subject.data);
        if (rc)
            return rc;
    }
    seen = json_object();
    json_array_foreach((json_t *)(uintptr_t)list, i, one)
    {
        const char *text = json_string_value(json_object_get(one, "record"));
        json_t *record = psdk_json_parse(text, strlen(text), "record", &v->err);
        char key[PV_TRUST_NAME] = "";
        bool is_signed = false;
        int rc = pv_validation_check(json_object_get(record, "body"), &is_signed, key, &v->err);
        const char *signature = json_string_value(json_object_get(json_object_get(record, "body"), "validator_signature"));
        bool again = is_signed && signature && json_object_get(seen, signature); /* the same statement, recorded twice */
        if (is_signed && signature)
            json_object_set_new(seen, signature, json_true());
        json_decref(record);
        if (rc) {
            json_decref(seen);
            return psdk_wrap(&v->err, "proof.validation_chain[%zu]", i);
        }
        is_signed = is_signed && !again;
        signed_count += is_signed;
        for (size_t t = 0; is_signed && v->trust && t < v->trust->n_validators; t++)
            known += strcmp(v->trust->validator[t], key) == 0;
    }
    json_decref(seen);
    snprintf(detail, cap, "%zu validations, %zu signed by their validator, %zu of these by a validator you trust",
             json_array_size(list), signed_count, known);
    return PROV_OK;
}

static int step(struct verify *v, const char *name, int rc, const char *good)
{
    if (rc) {
        pv_report_add(v->report, name, false, v->err.message);
        return rc;
    }
    pv_report_add(v->report, name, true, good);
    return PROV_OK;
}

static int run(struct verify *v, const char *data, size_t len)
{
    char detail[256];
    int rc = step(v, "form", psdk_jcs_check(data, len, "proof", &v->err), "canonical JSON (RFC 8785)");
    if (!rc && !(v->proof = psdk_json_parse(data, len, "proof", &v->err)))
        rc = step(v, "form", PROV_E_CORRUPT, "");
    if (!rc && !json_is_object(v->proof))
        rc = step(v, "form", psdk_fail(&v->err, PROV_E_CORRUPT, "proof: want a JSON object"), "");
    if (!rc)
        rc = step(v, "members", read_members(v), "all members of a proof of training, no others");
    if (!rc)
        rc = step(v, "document hash", check_hash(v), "signature_hash is the SHA-256 of the document");
    if (!rc)
        rc = step(v, "signatures", check_signatures(v), "every signature on the document verifies");
    if (!rc)
        rc = step(v, "tree head", check_tree_head(v), "signed by the log key");
    if (!rc) {
        rc = take_all_entries(v);
        snprintf(detail, sizeof detail, "all %llu records of the stream, each once", (unsigned long long)v->tree.size);
        rc = step(v, "records", rc, detail);
    }
    if (!rc)
        rc = step(v, "batch signatures", take_batch_signatures(v), "well-formed");
    if (!rc) {
        snprintf(detail, sizeof detail, "sequences, keys and %zu batch signatures hold; the records lead to the Merkle root",
                 v->n_sigs);
        rc = step(v, "log", check_log(v), detail);
    }
    if (!rc)
        rc = step(v, "statements", check_derived(v), "every other member follows from the records");
    if (!rc) {
        rc = check_models(v, detail, sizeof detail);
        rc = step(v, "validators", rc, detail);
    }
    return rc;
}

int pv_proof_verify(const char *data, size_t len, const struct pv_trust *trust, int *ret_verdict, json_t **ret_report,
                    prov_error *err)
{
    struct verify v = {.report = pv_report_new(), .trust = trust};
    char summary[700], key_id[PSDK_KEYID_HEX];
    if (!v.report)
        return psdk_fail(err, PROV_E_NOMEM, "proof: out of memory");
    int rc = run(&v, data, len);
    if (rc == PROV_E_NOMEM) {
        json_decref(v.report);
        if (err)
            *err = v.err;
    } else if (rc) {
        snprintf(summary, sizeof summary, "not intact: %s", v.err.message);
        *ret_verdict = pv_report_end(v.report, PV_VERDICT_TAMPERED, summary);
        *ret_report = v.report;
        rc = PROV_OK;
    } else {
        psdk_key_id(v.log_key, key_id);
        bool known = pv_trust_has(trust, v.origin, v.log_key);
        pv_report_add(v.report, "trust", known, known ? "the log key is one that you trust" : "the log key is not among those that you trust");
        if (known)
            snprintf(summary, sizeof summary, "intact, signed by a key that you trust (%s)", key_id);
        else
            snprintf(summary, sizeof summary, "intact, signer unknown: %s", key_id);
        *ret_verdict = pv_report_end(v.report, known ? PV_VERDICT_OK : PV_VERDICT_UNKNOWN, summary);
        json_object_set_new(v.report, "model_id", json_string(v.model_id));
        json_object_set_new(v.report, "origin", json_string(v.origin));
        json_object_set_new(v.report, "key_id", json_string(key_id));
        json_object_set(v.report, "merkle_root", json_object_get(v.proof, "merkle_root"));
        json_object_set(v.report, "final_model_hash", json_object_get(v.proof, "final_model_hash"));
        *ret_report = v.report;
    }
    json_decref(v.proof);
    free(v.entries);
    free(v.sigs);
    return rc;
}
