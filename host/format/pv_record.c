/* pv_record.c - writing and reading records. SPDX-License-Identifier: Apache-2.0 */
#include "pv_record.h"

#include <string.h>

#include "psdk_file.h"
#include "psdk_json.h"

#define PREV_HEX 64
#define TIME_LEN (PSDK_TIME_SIZE - 1)
#define WSEQ_DIGITS 16

bool pv_id_ok(const char *id)
{
    size_t n = strlen(id);
    if (n == 0 || n > PV_ID_MAX)
        return false;
    for (size_t i = 0; i < n; i++) {
        char c = id[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!word && (i == 0 || (c != '.' && c != '_' && c != '-')))
            return false;
    }
    return true;
}

int pv_id_check(const char *what, const char *id, prov_error *err)
{
    if (!id || !*id)
        return psdk_fail(err, PROV_E_INVALID, "%s: missing", what);
    if (pv_id_ok(id))
        return PROV_OK;
    return psdk_fail(err, PROV_E_INVALID,
                     "%s '%.140s': want 1 to %d letters, digits, '.', '_' or '-', starting with a letter or digit", what,
                     id, PV_ID_MAX);
}

bool pv_kind_ok(const char *kind)
{
    size_t n = strlen(kind);
    if (n == 0 || n > PV_KIND_MAX)
        return false;
    for (size_t i = 0; i < n; i++) {
        char c = kind[i];
        bool dot = c == '.';
        if (!(c >= 'a' && c <= 'z') && !dot && c != '_')
            return false;
        if (dot && (i == 0 || i == n - 1 || kind[i - 1] == '.'))
            return false;
    }
    return true;
}

bool pv_origin_ok(const char *origin)
{
    size_t n = strlen(origin);
    if (n == 0 || n > PV_ORIGIN_MAX)
        return false;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)origin[i];
        if (c <= 0x20 || c >= 0x7f || c == '+' || c == '"' || c == '\\')
            return false;
    }
    return true;
}

int pv_record_prepare(const struct pv_draft *draft, const char *origin, const char *writer, struct pv_record_parts *ret,
                      prov_error *err)
{
    memset(ret, 0, sizeof *ret);
    if (!draft->kind || !pv_kind_ok(draft->kind))
        return psdk_fail(err, PROV_E_INVALID, "record kind '%.80s': want lower-case words joined by dots",
                         draft->kind ? draft->kind : "");
    int rc = pv_id_check("subject", draft->subject, err);
    if (rc)
        return rc;
    if (draft->body_len < 2 || draft->body[0] != '{')
        return psdk_fail(err, PROV_E_INVALID, "record body: want a JSON object");
    struct psdk_buf *t = &ret->text;
    const char *actor = draft->actor ? draft->actor : "";
    psdk_buf_adds(t, "{\"actor\":");
    psdk_jcs_string(t, actor, strlen(actor));
    psdk_buf_adds(t, ",\"body\":");
    psdk_buf_add(t, draft->body, draft->body_len);
    psdk_buf_addf(t, ",\"kind\":\"%s\",\"origin\":\"%s\",\"prev\":", draft->kind, origin);
    ret->head_len = t->len;
    psdk_buf_addf(t, ",\"subject\":\"%s\",\"timestamp\":\"", draft->subject);
    ret->middle_len = t->len - ret->head_len;
    psdk_buf_addf(t, "\",\"writer\":\"%s\",\"wseq\":", writer);
    ret->tail_len = t->len - ret->head_len - ret->middle_len;
    rc = psdk_buf_check(t, err);
    if (!rc && pv_record_parts_max(ret) > PV_RECORD_MAX)
        rc = psdk_fail(err, PROV_E_LIMIT, "record: %zu bytes, at most %u: put large values into a file and record its hash",
                       pv_record_parts_max(ret), PV_RECORD_MAX);
    if (rc)
        pv_record_parts_done(ret);
    return rc;
}

size_t pv_record_parts_max(const struct pv_record_parts *parts)
{
    return parts->text.len + PREV_HEX + 2 + TIME_LEN + WSEQ_DIGITS + 1;
}

void pv_record_parts_done(struct pv_record_parts *parts)
{
    psdk_buf_done(&parts->text);
}

int pv_record_finish(const struct pv_record_parts *parts, const uint8_t *prev, const char *timestamp, uint64_t wseq,
                     struct psdk_buf *out, uint8_t ret_id[32])
{
    size_t start = out->len;
    const uint8_t *text = parts->text.data;
    char hex[PREV_HEX + 3] = "null";
    if (prev) {
        hex[0] = '"';
        psdk_hex(prev, 32, hex + 1);
        hex[PREV_HEX + 1] = '"';
        hex[PREV_HEX + 2] = '\0';
    }
    psdk_buf_add(out, text, parts->head_len);
    psdk_buf_adds(out, hex);
    psdk_buf_add(out, text + parts->head_len, parts->middle_len);
    psdk_buf_add(out, timestamp, TIME_LEN);
    psdk_buf_add(out, text + parts->head_len + parts->middle_len, parts->tail_len);
    char digits[24];
    size_t n = sizeof digits;
    do {
        digits[--n] = (char)('0' + wseq % 10);
        wseq /= 10;
    } while (wseq);
    psdk_buf_add(out, digits + n, sizeof digits - n);
    psdk_buf_addc(out, '}');
    if (out->failed)
        return out->failed;
    psdk_leaf_hash(out->data + start, out->len - start, ret_id);
    return PROV_OK;
}

/* ---- reading ------------------------------------------------------------------------------------------------------ */

struct cursor {
    const char *at, *end;
    const char *what;
    prov_error *err;
};

static int bad(struct cursor *c, const char *why)
{
    return psdk_fail(c->err, PROV_E_CORRUPT, "%s: not a record: %s", c->what, why);
}

static bool take(struct cursor *c, const char *text, size_t len)
{
    if ((size_t)(c->end - c->at) < len || memcmp(c->at, text, len) != 0)
        return false;
    c->at += len;
    return true;
}
#define TAKE(c, text) take(c, text, sizeof(text) - 1)

/* The rest of a string literal whose opening quote was taken; leaves the cursor behind the closing quote. */
static bool take_text(struct cursor *c, struct pv_slice *ret)
{
    const char *start = c->at;
    for (const char *p = start; p < c->end; p++) {
        if (*p == '\\') {
            p++;
        } else if (*p == '"') {
            ret->data = start;
            ret->len = (size_t)(p - start);
            c->at = p + 1;
            return true;
        }
    }
    return false;
}

/* A balanced object; strings are skipped. psdk_jcs_check has accepted the whole. */
static bool take_object(struct cursor *c, struct pv_slice *ret)
{
    const char *p = c->at;
    size_t depth = 0;
    if (p >= c->end || *p != '{')
        return false;
    for (; p < c->end; p++) {
        if (*p == '"') {
            const char *q = p + 1;
            while (q < c->end && *q != '"')
                q += *q == '\\' ? 2 : 1;
            p = q;
        } else if (*p == '{' || *p == '[') {
            depth++;
        } else if ((*p == '}' || *p == ']') && --depth == 0) {
            ret->data = c->at;
            ret->len = (size_t)(p + 1 - c->at);
            c->at = p + 1;
            return true;
        }
    }
    return false;
}

static bool slice_ok(const struct pv_slice *s, size_t max, bool (*ok)(const char *))
{
    char text[PV_ORIGIN_MAX + 1];
    if (s->len > max || s->len >= sizeof text)
        return false;
    memcpy(text, s->data, s->len);
    text[s->len] = '\0';
    return strlen(text) == s->len && ok(text);
}

static bool lower_hex(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f')))
            return false;
    return true;
}

static bool writer_ok(const struct pv_slice *w)
{
    return w->len == PV_WRITER_TEXT - 1 && w->data[32] == '/' && lower_hex(w->data, 32) && lower_hex(w->data + 33, 16);
}

static bool take_prev(struct cursor *c, struct pv_record *ret)
{
    if (TAKE(c, "null"))
        return true;
    struct pv_slice s;
    ret->has_prev = true;
    return TAKE(c, "\"") && take_text(c, &s) && s.len == PREV_HEX && lower_hex(s.data, s.len) &&
           psdk_unhex(s.data, s.len, ret->prev, 32);
}

static bool take_number(struct cursor *c, uint64_t *ret)
{
    const char *start = c->at;
    uint64_t v = 0;
    while (c->at < c->end && *c->at >= '0' && *c->at <= '9' && c->at - start < 17)
        v = v * 10 + (uint64_t)(*c->at++ - '0');
    *ret = v;
    return c->at > start && v <= (uint64_t)PSDK_JSON_INT_MAX && (c->at - start == 1 || *start != '0');
}

static int parse_members(struct cursor *c, struct pv_record *ret)
{
    struct pv_slice time;
    if (!TAKE(c, "{\"actor\":\"") || !take_text(c, &ret->actor))
        return bad(c, "want the member \"actor\", text, first");
    if (!TAKE(c, ",\"body\":") || !take_object(c, &ret->body))
        return bad(c, "want the member \"body\", an object, second");
    if (!TAKE(c, ",\"kind\":\"") || !take_text(c, &ret->kind) || !slice_ok(&ret->kind, PV_KIND_MAX, pv_kind_ok))
        return bad(c, "want the member \"kind\", lower-case words joined by dots, third");
    if (!TAKE(c, ",\"origin\":\"") || !take_text(c, &ret->origin) || !slice_ok(&ret->origin, PV_ORIGIN_MAX, pv_origin_ok))
        return bad(c, "want the member \"origin\", a stream's origin, fourth");
    if (!TAKE(c, ",\"prev\":") || !take_prev(c, ret))
        return bad(c, "want the member \"prev\", a record id or null, fifth");
    if (!TAKE(c, ",\"subject\":\"") || !take_text(c, &ret->subject) || !slice_ok(&ret->subject, PV_ID_MAX, pv_id_ok))
        return bad(c, "want the member \"subject\", an id, sixth");
    if (!TAKE(c, ",\"timestamp\":\"") || !take_text(c, &time) || !psdk_time_parse(time.data, time.len, &ret->timestamp_ns))
        return bad(c, "want the member \"timestamp\", RFC 3339 UTC with microseconds, seventh");
    if (!TAKE(c, ",\"writer\":\"") || !take_text(c, &ret->writer) || !writer_ok(&ret->writer))
        return bad(c, "want the member \"writer\", KEYID/INSTANCE, eighth");
    if (!TAKE(c, ",\"wseq\":") || !take_number(c, &ret->wseq) || !TAKE(c, "}") || c->at != c->end)
        return bad(c, "want the member \"wseq\", a whole number, ninth and last");
    if (ret->has_prev != (ret->wseq > 0))
        return bad(c, "\"prev\" must be null in a writer's first record (wseq 0), and only there");
    return PROV_OK;
}

int pv_record_parse(const char *bytes, size_t len, const char *what, struct pv_record *ret, prov_error *err)
{
    memset(ret, 0, sizeof *ret);
    ret->bytes = bytes;
    ret->len = len;
    if (len > PV_RECORD_MAX)
        return psdk_fail(err, PROV_E_CORRUPT, "%s: %zu bytes, a record has at most %u", what, len, PV_RECORD_MAX);
    int rc = psdk_jcs_check(bytes, len, what, err);
    if (rc) {
        if (err && err->code == PROV_E_INVALID)
            err->code = PROV_E_CORRUPT;
        return PROV_E_CORRUPT;
    }
    struct cursor c = {bytes, bytes + len, what, err};
    rc = parse_members(&c, ret);
    if (rc == PROV_OK)
        psdk_leaf_hash(bytes, len, ret->id);
    return rc;
}
