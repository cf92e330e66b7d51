/* psdk_decimal.c - numbers: JSON's grammar in, ECMAScript's Number::toString out (RFC 8785, 3.2.2.3).
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Decimals of at most 15 significant digits map to different doubles (outside of the subnormal range), so such a
 * decimal is always the shortest one of its double: most numbers are decided without floating point. 16 and 17 digits
 * go through printf and strtod, with digits and an exponent alone, so that the locale's decimal point does not matter.
 */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "psdk_json.h"
#include "psdk_json_scan.h"

/* Where counting stops; beyond what a text of PSDK_BUF_MAX bytes can reach with digits, and their sum fits an int. */
#define POINT_FAR (1 << 28)
#define EXPONENT_FAR 100000000
/* 10^SAFE_MIN to 10^SAFE_MAX is well inside of the normal doubles. */
#define SAFE_MIN (-300)
#define SAFE_MAX 300

static bool is_digit(const uint8_t *at, const uint8_t *end)
{
    return at < end && *at >= '0' && *at <= '9';
}

static void add_digit(struct psdk_decimal *d, uint8_t c, unsigned *zeros)
{
    if (c == '0') {
        if (d->n_digits > 0)
            ++*zeros;
        return;
    }
    /* Zeros count only once another digit follows them. */
    for (; *zeros > 0 && d->n_digits < PSDK_DECIMAL_DIGITS; --*zeros)
        d->digits[d->n_digits++] = '0';
    if (d->n_digits < PSDK_DECIMAL_DIGITS)
        d->digits[d->n_digits++] = (char)c;
    *zeros = 0;
}

/* [0-9]+ of an exponent, with its sign, saturated. */
static const char *scan_exponent(const uint8_t **at, const uint8_t *end, int *ret)
{
    const uint8_t *p = *at;
    bool negative = p < end && *p == '-';
    if (p < end && (*p == '-' || *p == '+'))
        p++;
    *at = p;
    if (!is_digit(p, end))
        return "a digit must follow the exponent's 'e'";
    int value = 0;
    for (; is_digit(p, end); p++)
        if (value < EXPONENT_FAR)
            value = value * 10 + (*p - '0');
    *ret = negative ? -value : value;
    *at = p;
    return NULL;
}

const char *psdk_decimal_scan(const uint8_t **at, const uint8_t *end, struct psdk_decimal *ret)
{
    const uint8_t *p = *at;
    unsigned zeros = 0;
    memset(ret, 0, sizeof *ret);
    ret->whole = true;
    if (p < end && *p == '-') {
        ret->negative = true;
        p++;
    }
    *at = p;
    if (!is_digit(p, end))
        return "a digit must follow the sign";
    if (*p == '0' && is_digit(p + 1, end))
        return "a number must not start with 0";
    for (; is_digit(p, end); p++) {
        add_digit(ret, *p, &zeros);
        if (ret->n_digits > 0 && ret->point < POINT_FAR)
            ret->point++;
    }
    if (p < end && *p == '.') {
        ret->whole = false;
        *at = ++p;
        if (!is_digit(p, end))
            return "a digit must follow the decimal point";
        for (; is_digit(p, end); p++) {
            add_digit(ret, *p, &zeros);
            if (ret->n_digits == 0 && ret->point > -POINT_FAR)
                ret->point--;
        }
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        int exponent = 0;
        ret->whole = false;
        *at = p + 1;
        const char *why = scan_exponent(at, end, &exponent);
        if (why)
            return why;
        ret->point += exponent;
        p = *at;
    }
    *at = p;
    return NULL;
}

bool psdk_decimal_too_big(const struct psdk_decimal *d)
{
    if (d->n_digits == 0 || d->point < 16)
        return false;
    if (d->point > 16)
        return true;
    uint64_t value = 0;
    for (unsigned i = 0; i < 16; i++)
        value = value * 10 + (i < d->n_digits ? (uint64_t)(d->digits[i] - '0') : 0);
    return value > (uint64_t)PSDK_JSON_INT_MAX;
}

static char *put_exponent(char *out, int exponent)
{
    *out++ = 'e';
    *out++ = exponent < 0 ? '-' : '+';
    unsigned value = (unsigned)abs(exponent);
    if (value >= 100)
        *out++ = (char)('0' + value / 100 % 10);
    if (value >= 10)
        *out++ = (char)('0' + value / 10 % 10);
    *out++ = (char)('0' + value % 10);
    return out;
}

static char *put_zeros(char *out, int count)
{
    memset(out, '0', (size_t)count);
    return out + count;
}

static char *put_digits(char *out, const char *digits, int count)
{
    memcpy(out, digits, (size_t)count);
    return out + count;
}

size_t psdk_decimal_write(const struct psdk_decimal *d, char ret[PSDK_NUMBER_SIZE])
{
    char *out = ret;
    int n = (int)d->n_digits;
    int point = d->point;
    if (n == 0) {
        memcpy(ret, "0", 2);
        return 1;
    }
    if (d->negative)
        *out++ = '-';
    if (n <= point && point <= 21) {
        out = put_zeros(put_digits(out, d->digits, n), point - n);
    } else if (0 < point && point <= 21) {
        out = put_digits(out, d->digits, point);
        *out++ = '.';
        out = put_digits(out, d->digits + point, n - point);
    } else if (-6 < point && point <= 0) {
        memcpy(out, "0.", 2);
        out = put_digits(put_zeros(out + 2, -point), d->digits, n);
    } else {
        *out++ = d->digits[0];
        if (n > 1) {
            *out++ = '.';
            out = put_digits(out, d->digits + 1, n - 1);
        }
        out = put_exponent(out, point - 1);
    }
    *out = '\0';
    return (size_t)(out - ret);
}

/* The double of digits x 10^exponent, whatever the locale. */
static double read_digits(const char *digits, unsigned n_digits, int exponent)
{
    char text[PSDK_DECIMAL_DIGITS + 16];
    memcpy(text, digits, n_digits);
    text[n_digits] = 'e';
    char *out = text + n_digits + 1;
    if (exponent < 0)
        *out++ = '-';
    unsigned value = (unsigned)abs(exponent);
    for (unsigned unit = 100000; unit > 0; unit /= 10)
        *out++ = (char)('0' + value / unit % 10);
    *out = '\0';
    return strtod(text, NULL);
}

/* value (positive) rounded to n_digits digits: as an integer in *ret_digits, times 10^result. */
static int round_to(double value, unsigned n_digits, uint64_t *ret_digits)
{
    char text[64];
    snprintf(text, sizeof text, "%.*e", (int)n_digits - 1, value);
    uint64_t digits = 0;
    const char *p = text;
    for (; *p != 'e'; p++)
        if (*p >= '0' && *p <= '9') /* skips the locale's decimal point */
            digits = digits * 10 + (uint64_t)(*p - '0');
    *ret_digits = digits;
    return (int)strtol(p + 1, NULL, 10) - (int)n_digits + 1;
}

static void set_decimal(struct psdk_decimal *ret, uint64_t digits, int exponent)
{
    char reversed[PSDK_DECIMAL_DIGITS] = "";
    unsigned n = 0;
    while (digits > 0 && digits % 10 == 0) {
        digits /= 10;
        exponent++;
    }
    for (; digits > 0; digits /= 10)
        reversed[n++] = (char)('0' + digits % 10);
    for (unsigned i = 0; i < n; i++)
        ret->digits[i] = reversed[n - 1 - i];
    ret->n_digits = n;
    ret->point = exponent + (int)n;
}

/* Tries digits x 10^exponent as a spelling of value. */
static bool spells(double value, uint64_t digits, int exponent, struct psdk_decimal *ret)
{
    set_decimal(ret, digits, exponent);
    return read_digits(ret->digits, ret->n_digits, ret->point - (int)ret->n_digits) == value;
}

/* With n_digits digits. At a power of two the doubles below lie twice as dense as those above: there the rounded digits
 * may miss value while the next ones above still hit it. */
static bool spells_rounded(double value, unsigned n_digits, struct psdk_decimal *ret)
{
    uint64_t digits;
    int binary;
    int exponent = round_to(value, n_digits, &digits);
    if (spells(value, digits, exponent, ret))
        return true;
    return frexp(value, &binary) == 0.5 && spells(value, digits + 1, exponent, ret);
}

void psdk_decimal_of_double(double value, struct psdk_decimal *ret)
{
    memset(ret, 0, sizeof *ret);
    if (value == 0)
        return;
    double magnitude = fabs(value);
    unsigned n_digits = magnitude < DBL_MIN ? 1 : DBL_DIG;
    /* From 15 digits on each step can be the first that fits; below, trailing zeros are dropped, but for subnormals,
     * whose 15 digits say more than they hold. */
    while (n_digits < DBL_DECIMAL_DIG && !spells_rounded(magnitude, n_digits, ret))
        n_digits++;
    if (n_digits == DBL_DECIMAL_DIG) {
        uint64_t digits;
        int exponent = round_to(magnitude, DBL_DECIMAL_DIG, &digits);
        set_decimal(ret, digits, exponent);
    }
    ret->negative = value < 0;
}

bool psdk_decimal_is_shortest(const struct psdk_decimal *d)
{
    if (d->n_digits > DBL_DECIMAL_DIG)
        return false;
    if (d->n_digits <= DBL_DIG && d->point > SAFE_MIN && d->point < SAFE_MAX)
        return true;
    if (d->point > DBL_MAX_10_EXP + 1 || d->point < DBL_MIN_10_EXP - DBL_DECIMAL_DIG)
        return false;
    struct psdk_decimal shortest;
    double value = read_digits(d->digits, d->n_digits, d->point - (int)d->n_digits);
    if (isinf(value))
        return false;
    psdk_decimal_of_double(value, &shortest);
    return shortest.n_digits == d->n_digits && shortest.point == d->point &&
           memcmp(shortest.digits, d->digits, d->n_digits) == 0;
}
