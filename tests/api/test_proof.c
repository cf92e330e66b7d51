/* test_proof.c - proofs of training: made, verified, forged. SPDX-License-Identifier: Apache-2.0 */
#include "api/rig.h"

static void fill(struct rig *r)
{
    prov_error err = {0};
    char id[65];
    rig_init(r);
    must(prov_key_new(r->h, "judge", "ed25519", NULL, NULL, &err), &err);
    must(prov_key_new(r->h, "wallet", "secp256k1", NULL, NULL, &err), &err);
    rig_checkpoint(r, 0, "{\"loss\":1.5,\"note\":\"a\\u00e9\"}", id);
    rig_validation(r, 0, "judge", id);
    rig_checkpoint(r, 1, "{\"loss\":\"NaN\"}", id);
    rig_validation(r, 1, "wallet", id);
    rig_validation(r, 1, NULL, id);
}

START_TEST(a_proof_has_every_field_and_verifies)
{
    struct rig r;
    fill(&r);
    char *proof = rig_proof(&r), *report = NULL;
    ck_assert_int_eq(rig_verdict(&r, proof, strlen(proof), &report), PROV_VERDICT_OK);
    json_t *p = json_loads(proof, 0, NULL);
    static const char *const names[] = {"model_id", "final_model_hash", "training_chain", "validation_chain", "merkle_root",
                                        "blockchain_transactions", "proof_timestamp", "verification_metadata",
                                        "signature_hash", "signatures", "tree_head"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        ck_assert_msg(json_object_get(p, names[i]) != NULL, "%s is missing", names[i]);
    const json_t *meta = json_object_get(p, "verification_metadata");
    ck_assert_int_eq(json_integer_value(json_object_get(meta, "merkle_tree_size")), 7);
    ck_assert_int_eq(json_integer_value(json_object_get(meta, "total_checkpoints")), 2);
    ck_assert_int_eq(json_integer_value(json_object_get(meta, "total_validations")), 3);
    ck_assert_int_eq(json_integer_value(json_object_get(meta, "training_epochs")), 2);
    ck_assert_str_eq(json_string_value(json_object_get(json_object_get(meta, "final_metrics"), "loss")), "NaN");
    const json_t *chain = json_object_get(p, "training_chain"), *validations = json_object_get(p, "validation_chain");
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(chain, 1), "validation_hash")),
                     json_string_value(json_object_get(json_array_get(validations, 2), "validation_id")));
    ck_assert_ptr_nonnull(strstr(report, "3 validations, 2 signed by their validator"));
    json_decref(p);
    prov_free(report);
    prov_free(proof);
    rig_done(&r);
}
END_TEST

START_TEST(every_changed_byte_is_refused)
{
    struct rig r;
    fill(&r);
    char *proof = rig_proof(&r);
    size_t n = strlen(proof);
    for (size_t i = 0; i < n; i++) {
        static const unsigned char flips[] = {0x01, 0x20, 0x80};
        for (size_t f = 0; f < sizeof flips; f++) {
            proof[i] = (char)((unsigned char)proof[i] ^ flips[f]);
            int verdict = rig_verdict(&r, proof, n, NULL);
            ck_assert_msg(verdict == PROV_VERDICT_TAMPERED, "byte %zu of %zu changed by %02x: verdict %d", i, n, flips[f], verdict);
            proof[i] = (char)((unsigned char)proof[i] ^ flips[f]);
        }
    }
    for (size_t cut = 0; cut < n; cut += 97)
        ck_assert_int_eq(rig_verdict(&r, proof, cut, NULL), PROV_VERDICT_TAMPERED);
    ck_assert_int_eq(rig_verdict(&r, proof, n, NULL), PROV_VERDICT_OK);
    prov_free(proof);
    rig_done(&r);
}
END_TEST

START_TEST(without_a_trust_anchor_the_signer_is_unknown)
{
    struct rig r;
    prov_error err = {0};
    fill(&r);
    char *proof = rig_proof(&r), *report = NULL, *key = NULL;
    ck_assert_int_eq(rig_verdict(NULL, proof, strlen(proof), &report), PROV_VERDICT_UNKNOWN);
    ck_assert_ptr_nonnull(strstr(report, "intact, signer unknown"));
    prov_free(report);
    must(prov_key_show(r.h, "log", &key, &err), &err);
    json_t *k = json_loads(key, 0, NULL);
    const char *trust[] = {json_string_value(json_object_get(k, "verifier_key"))};
    int32_t verdict = -1;
    must(prov_proof_verify(NULL, proof, strlen(proof), trust, 1, &verdict, &report, &err), &err);
    ck_assert_int_eq(verdict, PROV_VERDICT_OK);
    prov_free(report);
    json_decref(k);
    prov_free(key);
    prov_free(proof);
    rig_done(&r);
}
END_TEST

START_TEST(a_proof_regenerated_with_another_key_is_refused)
{
    struct rig a, b;
    fill(&a);
    char home[64];
    snprintf(home, sizeof home, "%s", a.home);
    char *mine = rig_proof(&a);
    fill(&b); /* the forger: same model, same records, keys of its own */
    char *forged = rig_proof(&b);
    ck_assert_int_eq(rig_verdict(&a, mine, strlen(mine), NULL), PROV_VERDICT_OK);
    ck_assert_int_eq(rig_verdict(&a, forged, strlen(forged), NULL), PROV_VERDICT_UNKNOWN);
    ck_assert_int_eq(rig_verdict(&b, mine, strlen(mine), NULL), PROV_VERDICT_UNKNOWN);
    prov_free(mine);
    prov_free(forged);
    rig_done(&b);
    rig_done(&a);
}
END_TEST

/* Changes one list of the proof and writes it back, as somebody without the key could. */
static int verdict_after(struct rig *r, const char *proof, int what, const char *list_name)
{
    json_t *p = json_loads(proof, 0, NULL), *list = json_object_get(p, list_name);
    if (what == 0)
        json_array_remove(list, 0);
    else if (what == 1)
        json_array_append(list, json_array_get(list, 0));
    else {
        json_t *first = json_incref(json_array_get(list, 0));
        json_array_remove(list, 0);
        json_array_append_new(list, first);
    }
    char *text = json_dumps(p, JSON_COMPACT | JSON_SORT_KEYS);
    int verdict = rig_verdict(r, text, strlen(text), NULL);
    free(text);
    json_decref(p);
    return verdict;
}

START_TEST(dropped_doubled_and_reordered_records_are_refused)
{
    struct rig r;
    fill(&r);
    char *proof = rig_proof(&r);
    static const char *const lists[] = {"training_chain", "validation_chain", "other_records"};
    for (size_t l = 0; l < 3; l++)
        for (int what = 0; what < 3; what++)
            ck_assert_int_eq(verdict_after(&r, proof, what, lists[l]), PROV_VERDICT_TAMPERED);
    ck_assert_int_eq(verdict_after(&r, proof, 0, "batch_signatures"), PROV_VERDICT_TAMPERED);
    prov_free(proof);
    rig_done(&r);
}
END_TEST

START_TEST(a_page_shows_what_the_file_says_and_cannot_be_steered_by_it)
{
    struct rig r;
    prov_error err = {0};
    char id[65];
    rig_init(&r);
    rig_checkpoint(&r, 0, "{\"x\":\"<script>alert(1)</script>\"}", id);
    char *proof = rig_proof(&r), *page = NULL;
    must(prov_proof_show(proof, strlen(proof), 1, &page, &err), &err);
    ck_assert_ptr_nonnull(strstr(page, "&lt;script&gt;"));
    ck_assert_ptr_null(strstr(page, "<script"));
    prov_free(page);
    must(prov_proof_show(proof, strlen(proof), 0, &page, &err), &err);
    ck_assert_ptr_nonnull(strstr(page, "epoch 0"));
    prov_free(page);
    ck_assert_int_eq(prov_proof_show("{}", 2, 0, &page, &err), PROV_E_CORRUPT);
    prov_free(proof);
    rig_done(&r);
}
END_TEST

START_TEST(a_model_without_checkpoints_has_no_proof)
{
    struct rig r;
    prov_error err = {0};
    char *proof = NULL;
    rig_init(&r);
    ck_assert_int_eq(prov_proof_create(r.h, "nothing", NULL, 0, &proof, &err), PROV_E_NOT_FOUND);
    ck_assert_int_eq(prov_proof_create(r.h, "../x", NULL, 0, &proof, &err), PROV_E_INVALID);
    ck_assert_ptr_null(proof);
    rig_done(&r);
}
END_TEST

TEST_MAIN("proof", a_proof_has_every_field_and_verifies, every_changed_byte_is_refused,
          without_a_trust_anchor_the_signer_is_unknown, a_proof_regenerated_with_another_key_is_refused,
          dropped_doubled_and_reordered_records_are_refused,
          a_page_shows_what_the_file_says_and_cannot_be_steered_by_it, a_model_without_checkpoints_has_no_proof)
