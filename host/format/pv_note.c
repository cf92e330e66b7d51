/* pv_note.c - signed notes and verifier keys.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "pv_note.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "psdk_hash.h"

#define SIG_PREFIX "\xe2\x80\x94 " /* em dash, space */
#define SIG_PREFIX_LEN 4u
#define COSIGNATURE_BYTES 72u /* 8 bytes of time, 64 of signature */

/* ---- characters -------------------------------------------------------------------------------------------------- */

/* Decodes one UTF-8 character (no surrogates, shortest form) and returns its bytes, or 0. */
static size_t utf8_next(const unsigned char *s, size_t len, uint32_t *ret)
{
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : s[0] < 0xf5 ? 4 : 0;

    if (n == 0 || n > len)
        return 0;
    uint32_t c = n == 1 ? s[0] : s[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (s[i] & 0x3fu);
    }
    if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        return 0;
    *ret = c;
    return n;
}

static bool is_space(uint32_t c)
{
    return (c >= 0x09 && c <= 0x0d) || c == 0x20 || c == 0x85 || c == 0xa0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

bool pv_note_text_ok(const char *text, size_t len, size_t *ret_line, const char **ret_why)
{
    const unsigned char *s = (const unsigned char *)text;
    size_t line = 1;

    for (size_t at = 0; at < len;) {
        uint32_t c = 0;
        size_t n = utf8_next(s + at, len - at, &c);
        if (n == 0 || (c < 0x20 && c != '\n')) {
            *ret_line = line;
            *ret_why = n == 0 ? "not valid UTF-8" : "a control character";
            return false;
        }
        line += c == '\n';
        at += n;
    }
    return true;
}

/* A key name of len bytes, of any length but 0. */
static bool name_chars_ok(const char *name, size_t len)
{
    const unsigned char *s = (const unsigned char *)name;

    for (size_t at = 0; at < len;) {
        uint32_t c = 0;
        size_t n = utf8_next(s + at, len - at, &c);
        if (n == 0 || c < 0x20 || c == '+' || is_space(c))
            return false;
        at += n;
    }
    return len > 0;
}

bool pv_note_name_ok(const char *name)
{
    size_t len = strnlen(name, PV_NAME_MAX);

    return len < PV_NAME_MAX && name_chars_ok(name, len);
}

/* ---- parsing ----------------------------------------------------------------------------------------------------- */

/* Cuts data into text and signature lines at the last empty line. */
static int split_note(const char *data, size_t len, const char *what, size_t *ret_text_len, prov_error *err)
{
    size_t bad_line = 0;
    const char *why = NULL;

    if (len > PV_NOTE_MAX)
        return psdk_fail(err, PROV_E_LIMIT, "%s: %zu bytes are too many for a signed note (at most %d)", what, len,
                         PV_NOTE_MAX);
    if (!pv_note_text_ok(data, len, &bad_line, &why))
        return psdk_fail(err, PROV_E_CORRUPT, "%s: line %zu: %s in a signed note", what, bad_line, why);
    if (len == 0 || data[len - 1] != '\n')
        return psdk_fail(err, PROV_E_CORRUPT, "%s: %s: a signed note must end in a newline", what,
                         len == 0 ? "it is empty" : "the last line is cut");
    for (size_t i = len - 1; i > 0; i--) {
        if (data[i] != '\n' || data[i - 1] != '\n')
            continue;
        *ret_text_len = i;
        if (i + 1 == len)
            return psdk_fail(err, PROV_E_CORRUPT, "%s: no signature line after the last empty line", what);
        return PROV_OK;
    }
    return psdk_fail(err, PROV_E_CORRUPT, "%s: no empty line between the text and the signatures", what);
}

/* Reads one signature line (without its newline); name and blob go to *mem, which moves on. */
static const char *parse_sig_line(const char *line, size_t len, struct pv_note_sig *sig, char **mem)
{
    if (len < SIG_PREFIX_LEN || memcmp(line, SIG_PREFIX, SIG_PREFIX_LEN) != 0)
        return "a signature line begins with an em dash and a space";
    line += SIG_PREFIX_LEN;
    len -= SIG_PREFIX_LEN;
    const char *space = memchr(line, ' ', len);
    if (space == NULL)
        return "no space between key name and signature";
    size_t name_len = (size_t)(space - line);
    if (!name_chars_ok(line, name_len))
        return "the key name is empty or has white space or '+'";
    sig->name = *mem;
    memcpy(*mem, line, name_len);
    (*mem)[name_len] = '\0';
    *mem += name_len + 1;

    size_t b64_len = len - name_len - 1;
    size_t cap = b64_len / 4 * 3;
    long n = psdk_unbase64(space + 1, b64_len, *mem, cap);
    if (n < 5)
        return n < 0 ? "the signature is not canonical base64" : "the signature is too short";
    memcpy(sig->key_hash, *mem, sizeof(sig->key_hash));
    sig->blob = (const uint8_t *)*mem + sizeof(sig->key_hash);
    sig->blob_len = (size_t)n - sizeof(sig->key_hash);
    *mem += n;
    return NULL;
}

static size_t count_lines(const char *data, size_t len)
{
    size_t n = 0;

    for (size_t i = 0; i < len; i++)
        n += data[i] == '\n';
    return n;
}

int pv_note_parse(const char *data, size_t len, const char *what, struct pv_note *ret, prov_error *err)
{
    size_t text_len = 0;

    *ret = (struct pv_note){0};
    int rc = split_note(data, len, what, &text_len, err);
    if (rc != PROV_OK)
        return rc;
    const char *at = data + text_len + 1;
    size_t left = len - text_len - 1;
    size_t n_sigs = count_lines(at, left);
    if (n_sigs > PV_NOTE_SIGS)
        return psdk_fail(err, PROV_E_LIMIT, "%s: %zu signatures are too many for a signed note (at most %d)", what,
                         n_sigs, PV_NOTE_SIGS);
    /* One block: the array, then names and decoded signatures, which are shorter than their lines. */
    struct pv_note note = {.text = data, .text_len = text_len, .n_sigs = (uint32_t)n_sigs};
    note.sigs = calloc(1, n_sigs * sizeof(*note.sigs) + left + 1);
    if (note.sigs == NULL)
        return psdk_fail(err, PROV_E_NOMEM, "%s: no memory for %zu signatures", what, n_sigs);
    char *mem = (char *)(note.sigs + n_sigs);
    for (size_t i = 0; i < n_sigs; i++) {
        size_t line_len = (size_t)((const char *)memchr(at, '\n', left) - at);
        const char *why = parse_sig_line(at, line_len, &note.sigs[i], &mem);
        if (why != NULL) {
            size_t line = count_lines(data, text_len + 1) + i + 1;
            pv_note_done(&note);
            return psdk_fail(err, PROV_E_CORRUPT, "%s: line %zu: %s", what, line, why);
        }
        at += line_len + 1;
        left -= line_len + 1;
    }
    *ret = note;
    return PROV_OK;
}

void pv_note_done(struct pv_note *note)
{
    free(note->sigs);
    *note = (struct pv_note){0};
}

/* ---- signing and verifying --------------------------------------------------------------------------------------- */

static void key_hash(const char *name, uint8_t type, const uint8_t public_key[32], uint8_t ret[4])
{
    uint8_t data[PV_NAME_MAX + 34], digest[32];
    size_t len = strnlen(name, PV_NAME_MAX);

    memcpy(data, name, len);
    data[len] = '\n';
    data[len + 1] = type;
    memcpy(data + len + 2, public_key, 32);
    psdk_sha256(data, len + 34, digest);
    memcpy(ret, digest, 4);
}

void pv_note_key_hash(const char *name, const uint8_t public_key[32], uint8_t ret[4])
{
    key_hash(name, PV_SIG_ED25519, public_key, ret);
}

int pv_note_sign(struct psdk_buf *out, const char *text, size_t len, const char *name, const struct psdk_ed25519 *key,
                 prov_error *err)
{
    uint8_t blob[4 + 64];
    size_t line = 0, before = out->len;
    const char *why = NULL;

    if (!pv_note_name_ok(name))
        return psdk_fail(err, PROV_E_INVALID, "sign a note: '%.64s' is not a key name: want 1 to %d bytes of UTF-8 "
                         "without white space or '+'", name, PV_NAME_MAX - 1);
    if (len == 0 || text[len - 1] != '\n')
        return psdk_fail(err, PROV_E_INVALID, "sign a note as %s: the text must end in a newline", name);
    if (len > PV_NOTE_MAX - PV_NAME_MAX - 128)
        return psdk_fail(err, PROV_E_LIMIT, "sign a note as %s: the text of %zu bytes is too long", name, len);
    if (!pv_note_text_ok(text, len, &line, &why))
        return psdk_fail(err, PROV_E_INVALID, "sign a note as %s: line %zu of the text: %s", name, line, why);
    pv_note_key_hash(name, key->public_key, blob);
    int rc = psdk_ed25519_sign(key, text, len, blob + 4, err);
    if (rc != PROV_OK)
        return psdk_wrap(err, "sign a note as %s", name);
    psdk_buf_add(out, text, len);
    psdk_buf_addf(out, "\n%s%s ", SIG_PREFIX, name);
    psdk_buf_add_base64(out, blob, sizeof(blob));
    rc = psdk_buf_addc(out, '\n');
    if (rc != PROV_OK) {
        out->len = before;
        return psdk_buf_check(out, err);
    }
    return PROV_OK;
}

static bool sig_names(const struct pv_note_sig *sig, const char *name, const uint8_t hash[4])
{
    return memcmp(sig->key_hash, hash, 4) == 0 && strcmp(sig->name, name) == 0;
}

bool pv_note_signed_by(const struct pv_note *note, const char *name, const uint8_t public_key[32], bool *ret_bad)
{
    uint8_t hash[4];
    bool good = false, bad = false;

    if (pv_note_name_ok(name)) {
        pv_note_key_hash(name, public_key, hash);
        for (uint32_t i = 0; i < note->n_sigs; i++) {
            const struct pv_note_sig *sig = &note->sigs[i];
            if (!sig_names(sig, name, hash))
                continue;
            bool ok = sig->blob_len == 64 && psdk_ed25519_verify(public_key, note->text, note->text_len, sig->blob);
            good = good || ok;
            bad = bad || !ok;
        }
    }
    if (ret_bad != NULL)
        *ret_bad = bad;
    return good && !bad;
}

/* Checks one cosignature: 8 bytes of big-endian time, then the signature over two lines and the note's text. */
static bool cosignature_ok(const struct pv_note *note, const struct pv_note_sig *sig, const uint8_t public_key[32],
                           uint64_t *ret_time_s)
{
    struct psdk_buf message = {0};
    uint64_t time_s = 0;

    if (sig->blob_len != COSIGNATURE_BYTES)
        return false;
    for (size_t i = 0; i < 8; i++)
        time_s = time_s << 8 | sig->blob[i];
    if (time_s > INT64_MAX)
        return false;
    psdk_buf_addf(&message, "cosignature/v1\ntime %" PRIu64 "\n", time_s);
    bool ok = psdk_buf_add(&message, note->text, note->text_len) == PROV_OK &&
              psdk_ed25519_verify(public_key, message.data, message.len, sig->blob + 8);
    psdk_buf_done(&message);
    *ret_time_s = time_s;
    return ok;
}

bool pv_note_cosigned_by(const struct pv_note *note, const char *name, const uint8_t public_key[32],
                         uint64_t *ret_time_s, bool *ret_bad)
{
    uint8_t hash[4];
    uint64_t newest = 0;
    bool good = false, bad = false;

    if (pv_note_name_ok(name)) {
        key_hash(name, PV_SIG_COSIGNATURE, public_key, hash);
        for (uint32_t i = 0; i < note->n_sigs; i++) {
            uint64_t time_s = 0;
            if (!sig_names(&note->sigs[i], name, hash))
                continue;
            bool ok = cosignature_ok(note, &note->sigs[i], public_key, &time_s);
            if (ok && time_s > newest)
                newest = time_s;
            good = good || ok;
            bad = bad || !ok;
        }
    }
    if (ret_time_s != NULL)
        *ret_time_s = newest;
    if (ret_bad != NULL)
        *ret_bad = bad;
    return good && !bad;
}

/* ---- verifier keys ----------------------------------------------------------------------------------------------- */

int pv_vkey_format(struct psdk_buf *out, const char *name, const uint8_t public_key[32])
{
    uint8_t typed[33] = {PV_SIG_ED25519}, hash[4];

    if (!pv_note_name_ok(name))
        return PROV_E_INVALID;
    memcpy(typed + 1, public_key, 32);
    pv_note_key_hash(name, public_key, hash);
    psdk_buf_addf(out, "%s+", name);
    psdk_buf_add_hex(out, hash, sizeof(hash));
    psdk_buf_addc(out, '+');
    return psdk_buf_add_base64(out, typed, sizeof(typed));
}

int pv_vkey_parse_type(const char *text, uint8_t type, char *ret_name, uint8_t ret_public[32], prov_error *err)
{
    const char *plus = strchr(text, '+');
    const char *plus2 = plus == NULL ? NULL : strchr(plus + 1, '+');
    uint8_t typed[36], hash[4], want[4];
    char name[PV_NAME_MAX], want_hex[9];

    if (plus2 == NULL)
        return psdk_fail(err, PROV_E_INVALID, "verifier key '%.64s': want NAME+HASH+KEY", text);
    size_t name_len = (size_t)(plus - text);
    if (name_len >= sizeof(name) || !name_chars_ok(text, name_len))
        return psdk_fail(err, PROV_E_INVALID, "verifier key '%.64s': the name must be 1 to %d bytes of UTF-8 without "
                         "white space", text, PV_NAME_MAX - 1);
    memcpy(name, text, name_len);
    name[name_len] = '\0';
    if (!psdk_unhex(plus + 1, (size_t)(plus2 - plus - 1), hash, sizeof(hash)))
        return psdk_fail(err, PROV_E_INVALID, "verifier key %.256s: the key hash must be 8 hex digits", name);
    long n = psdk_unbase64(plus2 + 1, strlen(plus2 + 1), typed, sizeof(typed));
    if (n < 1)
        return psdk_fail(err, PROV_E_INVALID, "verifier key %.256s: the key must be %d bytes in base64", name, 33);
    if (typed[0] != type)
        return psdk_fail(err, PROV_E_INVALID, "verifier key %.256s: its signature type is %d, want %d (%s)", name,
                         typed[0], type, type == PV_SIG_ED25519 ? "Ed25519" : "Ed25519 cosignature");
    if (n != 33)
        return psdk_fail(err, PROV_E_INVALID, "verifier key %.256s: the key has %ld bytes, want 32", name, n - 1);
    key_hash(name, type, typed + 1, want);
    if (memcmp(hash, want, sizeof(hash)) != 0) {
        psdk_hex(want, sizeof(want), want_hex);
        return psdk_fail(err, PROV_E_INVALID, "verifier key %.256s: the key hash is not that of this name and key "
                         "(it would be %s): was the line cut or edited?", name, want_hex);
    }
    memcpy(ret_name, name, name_len + 1);
    memcpy(ret_public, typed + 1, 32);
    return PROV_OK;
}

int pv_vkey_parse(const char *text, char *ret_name, uint8_t ret_public[32], prov_error *err)
{
    return pv_vkey_parse_type(text, PV_SIG_ED25519, ret_name, ret_public, err);
}
