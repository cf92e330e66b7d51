/* psdk_json_scan.c - one grammar for strict I-JSON and for its canonical form.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The functions that take `canonical` are inlined into two recognisers, where it is a constant. Nesting is a counter
 * and a bit set, never the call stack.
 */
#include "psdk_json_scan.h"

#include <string.h>

#include "psdk_json.h"

#define SCAN_INLINE static inline __attribute__((always_inline))

/* A member's name as it stands in the text, without the quotes. */
struct scan_key {
    const uint8_t *text;
    size_t len;
    bool plain; /* ASCII without escapes: its bytes sort like its characters */
};

struct scan {
    const uint8_t *at;
    const uint8_t *start;
    const uint8_t *end;
    unsigned depth;
    uint64_t objects;                      /* bit of a level: object, else array */
    struct scan_key last[PSDK_JSON_DEPTH]; /* canonical: the name before, for each open object */
    struct psdk_json_fault *fault;
};

_Static_assert(PSDK_JSON_DEPTH <= 64, "levels are bits of a 64-bit word");

enum step { STEP_FAULT, STEP_VALUE, STEP_OPENED, STEP_END };

__attribute__((cold, noinline)) static bool fault_at(struct scan *s, const uint8_t *at, const char *why)
{
    s->fault->why = why;
    s->fault->at = (size_t)(at - s->start);
    return false;
}

/* ---- characters ---- */

const uint8_t *psdk_json_skip_plain(const uint8_t *at, const uint8_t *end)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    /* The top bit of each byte that is of interest; what a borrow adds lies above the first one. */
    const uint64_t ones = 0x0101010101010101u;
    while (end - at >= 8) {
        uint64_t w;
        memcpy(&w, at, 8);
        uint64_t hit = (w | (w - ones * 0x20) | ((w ^ ones * '"') - ones) | ((w ^ ones * '\\') - ones)) & ones * 0x80;
        if (hit)
            return at + (__builtin_ctzll(hit) >> 3);
        at += 8;
    }
#endif
    while (at < end && *at >= 0x20 && *at < 0x80 && *at != '"' && *at != '\\')
        at++;
    return at;
}

static bool is_tail(uint8_t byte)
{
    return (byte & 0xC0) == 0x80;
}

size_t psdk_utf8_len(const uint8_t *at, const uint8_t *end)
{
    size_t room = (size_t)(end - at);
    uint8_t lead = at[0];
    if (lead < 0x80)
        return 1;
    if (lead < 0xC2 || lead > 0xF4 || room < 2 || !is_tail(at[1]))
        return 0;
    if (lead < 0xE0)
        return 2;
    if (room < 3 || !is_tail(at[2]))
        return 0;
    if (lead < 0xF0) {
        bool overlong = lead == 0xE0 && at[1] < 0xA0;
        bool surrogate = lead == 0xED && at[1] >= 0xA0;
        return overlong || surrogate ? 0 : 3;
    }
    if (room < 4 || !is_tail(at[3]))
        return 0;
    bool overlong = lead == 0xF0 && at[1] < 0x90;
    bool beyond = lead == 0xF4 && at[1] >= 0x90;
    return overlong || beyond ? 0 : 4;
}

/* The value of four hex digits, or -1. */
static int hex4(const uint8_t *at, const uint8_t *end)
{
    if (end - at < 4)
        return -1;
    int value = 0;
    for (int i = 0; i < 4; i++) {
        uint8_t c = at[i];
        uint8_t lower = c | 0x20;
        if (c >= '0' && c <= '9')
            value = value << 4 | (c - '0');
        else if (lower >= 'a' && lower <= 'f')
            value = value << 4 | (lower - 'a' + 10);
        else
            return -1;
    }
    return value;
}

/* \uXXXX, and its second half where it needs one; at is behind the u. */
static bool scan_unicode(struct scan *s, const uint8_t *escape)
{
    int unit = hex4(escape + 2, s->end);
    if (unit < 0)
        return fault_at(s, escape, "\\u needs four hex digits");
    if (unit == 0)
        return fault_at(s, escape, "\\u0000 is not allowed in a string");
    s->at = escape + 6;
    if (unit < 0xD800 || unit > 0xDFFF)
        return true;
    bool pair = unit < 0xDC00 && s->end - s->at >= 6 && s->at[0] == '\\' && s->at[1] == 'u';
    int low = pair ? hex4(s->at + 2, s->end) : -1;
    if (low < 0xDC00 || low > 0xDFFF)
        return fault_at(s, escape, "half of a surrogate pair stands alone");
    s->at += 6;
    return true;
}

/* A canonical \u escape is \u00 and two lower-case digits of a control character that has no short form. */
static bool scan_canonical_unicode(struct scan *s, const uint8_t *escape)
{
    int unit = hex4(escape + 2, s->end);
    if (unit < 0)
        return fault_at(s, escape, "\\u needs four hex digits");
    if (unit == 0)
        return fault_at(s, escape, "\\u0000 is not allowed in a string");
    bool has_short_form = unit == '\b' || unit == '\t' || unit == '\n' || unit == '\f' || unit == '\r';
    bool upper_case = escape[5] >= 'A' && escape[5] <= 'F';
    if (unit >= 0x20 || has_short_form || upper_case)
        return fault_at(s, escape, "not canonical: this escape has a shorter or plain form");
    s->at = escape + 6;
    return true;
}

/* s->at is the backslash. */
SCAN_INLINE bool scan_escape(struct scan *s, bool canonical)
{
    const uint8_t *escape = s->at;
    if (s->end - escape < 2)
        return fault_at(s, s->end, "the text ends inside a string");
    switch (escape[1]) {
    case '/':
        if (canonical)
            return fault_at(s, escape, "not canonical: this escape has a shorter or plain form");
        /* fall through */
    case '"':
    case '\\':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        s->at = escape + 2;
        return true;
    case 'u':
        return canonical ? scan_canonical_unicode(s, escape) : scan_unicode(s, escape);
    default:
        return fault_at(s, escape, "unknown escape; a backslash itself is written \\\\");
    }
}

/* s->at is behind the opening quote, afterwards behind the closing one. */
SCAN_INLINE bool scan_string(struct scan *s, bool canonical, bool *ret_plain)
{
    bool plain = true;
    for (;;) {
        s->at = psdk_json_skip_plain(s->at, s->end);
        if (s->at == s->end)
            return fault_at(s, s->end, "the text ends inside a string");
        uint8_t c = *s->at;
        if (c == '"')
            break;
        plain = false;
        if (c == '\\') {
            if (!scan_escape(s, canonical))
                return false;
            continue;
        }
        if (c < 0x20)
            return fault_at(s, s->at, c ? "a control character must be escaped" : "a NUL byte is not allowed");
        size_t len = psdk_utf8_len(s->at, s->end);
        if (len == 0)
            return fault_at(s, s->at, "not valid UTF-8");
        s->at += len;
    }
    s->at++;
    *ret_plain = plain;
    return true;
}

/* ---- numbers ---- */

static bool scan_any_number(struct scan *s, bool canonical)
{
    const uint8_t *number = s->at;
    struct psdk_decimal d;
    const char *why = psdk_decimal_scan(&s->at, s->end, &d);
    if (why)
        return fault_at(s, s->at, why);
    if (d.whole && psdk_decimal_too_big(&d))
        return fault_at(s, number, "an integer must be within +-9007199254740991 (2^53 - 1); write it as a string");
    if (d.n_digits > 0 && d.point > 309)
        return fault_at(s, number, "this number is too large for a double");
    if (!canonical)
        return true;
    char expected[PSDK_NUMBER_SIZE];
    size_t len = (size_t)(s->at - number);
    if (len < PSDK_NUMBER_SIZE && psdk_decimal_is_shortest(&d) && psdk_decimal_write(&d, expected) == len &&
        memcmp(expected, number, len) == 0)
        return true;
    return fault_at(s, number, "not canonical: this number has another shortest form");
}

SCAN_INLINE bool scan_number(struct scan *s, bool canonical)
{
    /* Up to 15 digits, not starting with 0, are fine in either way unless a fraction or exponent follows. */
    const uint8_t *p = s->at + (*s->at == '-');
    if (p < s->end && *p >= '1' && *p <= '9') {
        const uint8_t *limit = s->end - p > 15 ? p + 15 : s->end;
        while (p < limit && *p >= '0' && *p <= '9')
            p++;
        if (p == s->end || *p == ',' || *p == '}' || *p == ']') {
            s->at = p;
            return true;
        }
    }
    return scan_any_number(s, canonical);
}

/* ---- structure ---- */

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

SCAN_INLINE void skip_space(struct scan *s, bool canonical)
{
    if (!canonical)
        while (s->at < s->end && is_space(*s->at))
            s->at++;
}

/* The fault of a byte that does not belong where it stands. */
__attribute__((cold, noinline)) static bool unexpected(struct scan *s, bool canonical, const char *why)
{
    if (s->at == s->end)
        return fault_at(s, s->at, s->start == s->end ? "the text is empty" : "the text ends too early");
    if (*s->at == 0)
        return fault_at(s, s->at, "a NUL byte is not allowed");
    if (canonical && is_space(*s->at))
        return fault_at(s, s->at, "not canonical: no white space between the parts");
    return fault_at(s, s->at, why);
}

SCAN_INLINE bool scan_literal(struct scan *s, bool canonical, const char *word, size_t len)
{
    if ((size_t)(s->end - s->at) < len || memcmp(s->at, word, len) != 0)
        return unexpected(s, canonical, "a value is needed here (string, number, true, false, null, {, [)");
    s->at += len;
    return true;
}

/* A byte of a name as it is when unescaped. Canonical escapes stand for one byte each. */
static uint8_t key_byte(const uint8_t **at)
{
    const uint8_t *p = *at;
    *at += 1;
    if (*p != '\\')
        return *p;
    *at = p + 2;
    switch (p[1]) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case 'u':
        *at = p + 6;
        return (uint8_t)hex4(p + 2, p + 6);
    default:
        return p[1];
    }
}

/* Whether a sorts before b by UTF-16 code units. */
static bool key_before(const struct scan_key *a, const struct scan_key *b)
{
    if (a->plain && b->plain) {
        int order = memcmp(a->text, b->text, a->len < b->len ? a->len : b->len);
        return order < 0 || (order == 0 && a->len < b->len);
    }
    const uint8_t *p = a->text;
    const uint8_t *q = b->text;
    while (p < a->text + a->len && q < b->text + b->len) {
        uint8_t x = psdk_utf16_rank(key_byte(&p));
        uint8_t y = psdk_utf16_rank(key_byte(&q));
        if (x != y)
            return x < y;
    }
    return p == a->text + a->len && q < b->text + b->len;
}

/* A member's name and the colon. */
SCAN_INLINE bool scan_key(struct scan *s, bool canonical)
{
    skip_space(s, canonical);
    if (s->at == s->end || *s->at != '"')
        return unexpected(s, canonical, "a member's name in double quotes is needed here");
    struct scan_key key = {.text = ++s->at};
    if (!scan_string(s, canonical, &key.plain))
        return false;
    if (canonical) {
        struct scan_key *last = &s->last[s->depth - 1];
        key.len = (size_t)(s->at - 1 - key.text);
        if (last->text && !key_before(last, &key))
            return fault_at(s, key.text - 1, "not canonical: names must be unique and sorted by UTF-16 code units");
        *last = key;
    }
    skip_space(s, canonical);
    if (s->at == s->end || *s->at != ':')
        return unexpected(s, canonical, "':' is needed here");
    s->at++;
    return true;
}

/* s->at is the bracket. */
SCAN_INLINE enum step scan_open(struct scan *s, bool canonical)
{
    bool object = *s->at == '{';
    if (s->depth == PSDK_JSON_DEPTH) {
        fault_at(s, s->at, "nested too deeply (at most 64 levels)");
        return STEP_FAULT;
    }
    s->at++;
    skip_space(s, canonical);
    if (s->at < s->end && *s->at == (object ? '}' : ']')) {
        s->at++;
        return STEP_VALUE;
    }
    uint64_t bit = (uint64_t)1 << s->depth;
    s->objects = object ? s->objects | bit : s->objects & ~bit;
    s->last[s->depth].text = NULL;
    s->depth++;
    return STEP_OPENED;
}

SCAN_INLINE enum step scan_value(struct scan *s, bool canonical)
{
    bool plain;
    skip_space(s, canonical);
    switch (s->at < s->end ? *s->at : 0) {
    case '"':
        s->at++;
        return scan_string(s, canonical, &plain) ? STEP_VALUE : STEP_FAULT;
    case '{':
    case '[':
        return scan_open(s, canonical);
    case 't':
        return scan_literal(s, canonical, "true", 4) ? STEP_VALUE : STEP_FAULT;
    case 'f':
        return scan_literal(s, canonical, "false", 5) ? STEP_VALUE : STEP_FAULT;
    case '-':
    case '0':
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
    case '7':
    case '8':
    case '9':
        return scan_number(s, canonical) ? STEP_VALUE : STEP_FAULT;
    default:
        return scan_literal(s, canonical, "null", 4) ? STEP_VALUE : STEP_FAULT;
    }
}

SCAN_INLINE bool in_object(const struct scan *s)
{
    return s->objects >> (s->depth - 1) & 1;
}

/* Behind a value: closes what ends here. STEP_VALUE: a comma, so another one follows. */
SCAN_INLINE enum step scan_after(struct scan *s, bool canonical)
{
    while (s->depth > 0) {
        skip_space(s, canonical);
        bool object = in_object(s);
        uint8_t c = s->at < s->end ? *s->at : 0;
        if (c != ',' && c != (object ? '}' : ']')) {
            unexpected(s, canonical, object ? "',' or '}' is needed here" : "',' or ']' is needed here");
            return STEP_FAULT;
        }
        s->at++;
        if (c == ',')
            return STEP_VALUE;
        s->depth--;
    }
    skip_space(s, canonical);
    if (s->at == s->end)
        return STEP_END;
    unexpected(s, canonical, "nothing may follow the value");
    return STEP_FAULT;
}

SCAN_INLINE bool scan_document(struct scan *s, bool canonical)
{
    if (s->end - s->at >= 3 && memcmp(s->at, "\xEF\xBB\xBF", 3) == 0)
        return fault_at(s, s->at, "a byte-order mark is not allowed; save the text without it");
    for (;;) {
        enum step step = scan_value(s, canonical);
        if (step == STEP_VALUE)
            step = scan_after(s, canonical);
        if (step == STEP_FAULT)
            return false;
        if (step == STEP_END)
            return true;
        if (s->depth > 0 && in_object(s) && !scan_key(s, canonical))
            return false;
    }
}

static void scan_start(struct scan *s, const char *text, size_t len, struct psdk_json_fault *fault)
{
    s->start = (const uint8_t *)(len ? text : "");
    s->at = s->start;
    s->end = s->start + len;
    s->depth = 0;
    s->objects = 0;
    s->fault = fault;
}

bool psdk_json_scan(const char *text, size_t len, struct psdk_json_fault *ret)
{
    struct scan s;
    scan_start(&s, text, len, ret);
    return scan_document(&s, false);
}

bool psdk_jcs_scan(const char *text, size_t len, struct psdk_json_fault *ret)
{
    struct scan s;
    scan_start(&s, text, len, ret);
    return scan_document(&s, true);
}
