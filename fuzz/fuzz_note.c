/* fuzz_note.c - notes, tree heads, proofs and verifier keys from any bytes.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * All four have one spelling for one content: what is read and written again must be the same bytes.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "pv_note.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t some_key[32] = {1, 2, 3};

static void must(bool ok)
{
    if (!ok)
        abort();
}

static void try_tree_head(const struct pv_note *note)
{
    struct pv_tree_head head;
    struct psdk_buf text = {0};
    prov_error err = {0};

    if (pv_tree_head_parse(note, &head, &err) == PROV_OK) {
        must(pv_tree_head_text(&text, &head) == PROV_OK);
        must(text.len <= note->text_len && memcmp(text.data, note->text, text.len) == 0);
    } else {
        must(err.code == PROV_E_CORRUPT || err.code == PROV_E_LIMIT);
    }
    psdk_buf_done(&text);
}

static void try_note(const char *data, size_t size)
{
    struct psdk_buf again = {0}, blob = {0};
    struct pv_note note;
    prov_error err = {0};
    bool bad;

    if (pv_note_parse(data, size, "note", &note, &err) != PROV_OK) {
        must(err.code == PROV_E_CORRUPT || err.code == PROV_E_LIMIT);
        must(note.sigs == NULL && err.message[0] != '\0');
        return;
    }
    psdk_buf_add(&again, note.text, note.text_len);
    psdk_buf_addc(&again, '\n');
    for (uint32_t i = 0; i < note.n_sigs; i++) {
        const struct pv_note_sig *sig = &note.sigs[i];
        psdk_buf_clear(&blob);
        psdk_buf_add(&blob, sig->key_hash, 4);
        psdk_buf_add(&blob, sig->blob, sig->blob_len);
        psdk_buf_addf(&again, "\xe2\x80\x94 %s ", sig->name);
        psdk_buf_add_base64(&again, blob.data, blob.len);
        psdk_buf_addc(&again, '\n');
        pv_note_signed_by(&note, sig->name, some_key, &bad);
        pv_note_cosigned_by(&note, sig->name, some_key, NULL, &bad);
    }
    must(!again.failed && again.len == size && memcmp(again.data, data, size) == 0);
    try_tree_head(&note);
    pv_note_done(&note);
    psdk_buf_done(&again);
    psdk_buf_done(&blob);
}

static void try_proof(const char *data, size_t size)
{
    struct pv_tlog_proof proof;
    struct psdk_buf again = {0};
    prov_error err = {0};

    if (pv_tlog_proof_parse(data, size, "proof", &proof, &err) == PROV_OK) {
        must(pv_tlog_proof_write(&again, &proof) == PROV_OK);
        must(again.len == size && memcmp(again.data, data, size) == 0);
        try_note(proof.tree_head, proof.tree_head_len);
    } else {
        must(err.code == PROV_E_CORRUPT || err.code == PROV_E_LIMIT);
    }
    psdk_buf_done(&again);
}

static void try_vkey(const char *data, size_t size)
{
    char *text = strndup(data, size), name[PV_NAME_MAX];
    struct psdk_buf again = {0};
    uint8_t public_key[32];
    prov_error err = {0};

    if (text != NULL && pv_vkey_parse(text, name, public_key, &err) == PROV_OK) {
        must(pv_vkey_format(&again, name, public_key) == PROV_OK);
        must(strcasecmp(psdk_buf_str(&again), text) == 0); /* the hash may be in capitals */
    }
    psdk_buf_done(&again);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    try_note((const char *)data, size);
    try_proof((const char *)data, size);
    try_vkey((const char *)data, size);
    return 0;
}
