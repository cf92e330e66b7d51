/* pv_tree_head.c - tree heads (C2SP tlog-checkpoint) and inclusion proofs in text (C2SP tlog-proof).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "psdk_hash.h"
#include "pv_note.h"

#define PROOF_HEADER "c2sp.org/tlog-proof@v1"
#define HASH_BASE64 44u

/* Steps through lines: each ends in a newline. number counts from 1. */
struct lines {
    const char *at;
    size_t left;
    size_t number;
};

/* Sets the next line (without its newline). false at the end, or when the last line has no newline. */
static bool next_line(struct lines *in, const char **ret, size_t *ret_len)
{
    const char *end = in->left == 0 ? NULL : memchr(in->at, '\n', in->left);

    *ret = in->at;
    *ret_len = 0;
    in->number++;
    if (end == NULL)
        return false;
    *ret_len = (size_t)(end - in->at);
    in->left -= *ret_len + 1;
    in->at = end + 1;
    return true;
}

/* ASCII decimal without leading zeros that fits 64 bits. */
static bool parse_decimal(const char *text, size_t len, uint64_t *ret)
{
    uint64_t value = 0;

    if (len == 0 || (len > 1 && text[0] == '0'))
        return false;
    for (size_t i = 0; i < len; i++) {
        uint64_t digit = (uint64_t)((unsigned char)text[i]) - '0';
        if (digit > 9 || value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *ret = value;
    return true;
}

static bool parse_hash_line(const char *text, size_t len, uint8_t ret[32])
{
    return len == HASH_BASE64 && psdk_unbase64(text, len, ret, 32) == 32;
}

/* ---- tree heads -------------------------------------------------------------------------------------------------- */

int pv_tree_head_text(struct psdk_buf *out, const struct pv_tree_head *head)
{
    size_t len = strnlen(head->origin, PV_NAME_MAX), line = 0;
    const char *why = NULL;

    if (len == 0 || len == PV_NAME_MAX || memchr(head->origin, '\n', len) != NULL ||
        !pv_note_text_ok(head->origin, len, &line, &why))
        return PROV_E_INVALID;
    psdk_buf_addf(out, "%s\n%" PRIu64 "\n", head->origin, head->size);
    psdk_buf_add_base64(out, head->root, 32);
    return psdk_buf_addc(out, '\n');
}

int pv_tree_head_sign(struct psdk_buf *out, const struct pv_tree_head *head, const struct psdk_ed25519 *key,
                      prov_error *err)
{
    struct psdk_buf text = {0};

    int rc = pv_tree_head_text(&text, head);
    if (rc == PROV_E_INVALID)
        psdk_fail(err, rc, "sign a tree head: the origin is empty, too long or not one line of UTF-8");
    else if (rc != PROV_OK)
        psdk_fail(err, rc, "sign a tree head: no memory");
    else
        rc = pv_note_sign(out, psdk_buf_str(&text), text.len, head->origin, key, err);
    psdk_buf_done(&text);
    return rc;
}

int pv_tree_head_parse(const struct pv_note *note, struct pv_tree_head *ret, prov_error *err)
{
    struct lines in = {note->text, note->text_len, 0};
    struct pv_tree_head head = {.size = 0};
    const char *line;
    size_t len;

    if (!next_line(&in, &line, &len) || len == 0)
        return psdk_fail(err, PROV_E_CORRUPT, "tree head: line 1: the origin is empty");
    if (len >= sizeof(head.origin))
        return psdk_fail(err, PROV_E_LIMIT, "tree head: line 1: the origin has %zu bytes, more than %d", len,
                         PV_NAME_MAX - 1);
    memcpy(head.origin, line, len);
    if (!next_line(&in, &line, &len) || !parse_decimal(line, len, &head.size))
        return psdk_fail(err, PROV_E_CORRUPT, "tree head: line 2: want the tree size, a decimal number below 2^64 "
                         "without leading zeros");
    if (!next_line(&in, &line, &len) || !parse_hash_line(line, len, head.root))
        return psdk_fail(err, PROV_E_CORRUPT, "tree head: line 3: want the root hash, 32 bytes in base64");
    while (in.left > 0) {
        if (!next_line(&in, &line, &len) || len == 0)
            return psdk_fail(err, PROV_E_CORRUPT, "tree head: line %zu: an extension line is empty", in.number);
    }
    *ret = head;
    return PROV_OK;
}

/* ---- proofs ------------------------------------------------------------------------------------------------------ */

/* Non-empty canonical base64. *ret_ok false: not that. */
static int check_base64(const char *text, size_t len, bool *ret_ok)
{
    size_t cap = len / 4 * 3;

    *ret_ok = false;
    if (len == 0 || len % 4 != 0)
        return PROV_OK;
    uint8_t *bytes = malloc(cap);
    if (bytes == NULL)
        return PROV_E_NOMEM;
    *ret_ok = psdk_unbase64(text, len, bytes, cap) > 0;
    free(bytes);
    return PROV_OK;
}

int pv_tlog_proof_write(struct psdk_buf *out, const struct pv_tlog_proof *proof)
{
    bool extra_ok = true;
    int rc = PROV_OK;

    if (proof->extra != NULL)
        rc = check_base64(proof->extra, proof->extra_len, &extra_ok);
    if (rc != PROV_OK)
        return rc;
    if (!extra_ok || proof->count > 64 || proof->tree_head == NULL || proof->tree_head_len == 0)
        return PROV_E_INVALID;
    psdk_buf_adds(out, PROOF_HEADER "\n");
    if (proof->extra != NULL) {
        psdk_buf_adds(out, "extra ");
        psdk_buf_add(out, proof->extra, proof->extra_len);
        psdk_buf_addc(out, '\n');
    }
    psdk_buf_addf(out, "index %" PRIu64 "\n", proof->index);
    for (uint32_t i = 0; i < proof->count; i++) {
        psdk_buf_add_base64(out, proof->hash[i], 32);
        psdk_buf_addc(out, '\n');
    }
    psdk_buf_addc(out, '\n');
    return psdk_buf_add(out, proof->tree_head, proof->tree_head_len);
}

static bool starts(const char *line, size_t len, const char *word, const char **ret_rest, size_t *ret_rest_len)
{
    size_t n = strlen(word);

    if (len < n || memcmp(line, word, n) != 0)
        return false;
    *ret_rest = line + n;
    *ret_rest_len = len - n;
    return true;
}

/* Reads the lines before the hashes: header, optional extra, index. */
static int parse_proof_top(struct lines *in, const char *what, struct pv_tlog_proof *proof, prov_error *err)
{
    const char *line, *rest;
    size_t len, rest_len;
    bool ok = false;

    if (!next_line(in, &line, &len) || !starts(line, len, PROOF_HEADER, &rest, &rest_len) || rest_len != 0)
        return psdk_fail(err, PROV_E_CORRUPT, "%s: line 1: want '%s'", what, PROOF_HEADER);
    bool more = next_line(in, &line, &len);
    if (more && starts(line, len, "extra ", &rest, &rest_len)) {
        int rc = check_base64(rest, rest_len, &ok);
        if (rc != PROV_OK)
            return psdk_fail(err, rc, "%s: no memory", what);
        if (!ok)
            return psdk_fail(err, PROV_E_CORRUPT, "%s: line %zu: the extra data is not canonical base64", what,
                             in->number);
        proof->extra = rest;
        proof->extra_len = rest_len;
        more = next_line(in, &line, &len);
    }
    if (!more || !starts(line, len, "index ", &rest, &rest_len) || !parse_decimal(rest, rest_len, &proof->index))
        return psdk_fail(err, PROV_E_CORRUPT, "%s: line %zu: want 'index N', a decimal number below 2^64 without "
                         "leading zeros", what, in->number);
    return PROV_OK;
}

int pv_tlog_proof_parse(const char *data, size_t len, const char *what, struct pv_tlog_proof *ret, prov_error *err)
{
    struct lines in = {data, len, 0};
    struct pv_tlog_proof proof = {.index = 0};
    const char *line;
    size_t line_len;

    if (len > PV_TLOG_PROOF_MAX)
        return psdk_fail(err, PROV_E_LIMIT, "%s: %zu bytes are too many for a proof (at most %d)", what, len,
                         PV_TLOG_PROOF_MAX);
    int rc = parse_proof_top(&in, what, &proof, err);
    if (rc != PROV_OK)
        return rc;
    for (;;) {
        if (!next_line(&in, &line, &line_len))
            return psdk_fail(err, PROV_E_CORRUPT, "%s: line %zu: it ends before the tree head", what, in.number);
        if (line_len == 0)
            break;
        if (proof.count == 64)
            return psdk_fail(err, PROV_E_CORRUPT, "%s: line %zu: more than 64 hashes", what, in.number);
        if (!parse_hash_line(line, line_len, proof.hash[proof.count]))
            return psdk_fail(err, PROV_E_CORRUPT, "%s: line %zu: want a hash, 32 bytes in base64", what, in.number);
        proof.count++;
    }
    if (in.left == 0)
        return psdk_fail(err, PROV_E_CORRUPT, "%s: no tree head after line %zu", what, in.number);
    proof.tree_head = in.at;
    proof.tree_head_len = in.left;
    *ret = proof;
    return PROV_OK;
}
