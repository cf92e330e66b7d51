/* psdk_json_scan.h - recognising JSON text without building values; shared by parser, JCS writer and JCS checker.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Internal to the SDK. Threads: [any].
 */
#ifndef PSDK_JSON_SCAN_H
#define PSDK_JSON_SCAN_H

#include <stdbool.h>

#include "psdk_buf.h"

/* Why a text was refused, and at which byte. why is a static string. */
struct psdk_json_fault {
    const char *why;
    size_t at;
};

/* One strict I-JSON value with white space around; everything that psdk_json_parse refuses but duplicate keys and
 * numbers within a hair of the largest double. */
bool psdk_json_scan(const char *text, size_t len, struct psdk_json_fault *ret);
/* One value in canonical form; complete (sorted keys leave no room for duplicates). */
bool psdk_jcs_scan(const char *text, size_t len, struct psdk_json_fault *ret);

/* The first byte of text that is a quote, a backslash, a control character or not ASCII; end if there is none. */
const uint8_t *psdk_json_skip_plain(const uint8_t *at, const uint8_t *end);
/* Length of the UTF-8 sequence at `at` (at < end): 1 to 4, or 0 when it is invalid or a surrogate. */
size_t psdk_utf8_len(const uint8_t *at, const uint8_t *end);
/* Where a UTF-8 byte sorts when text is ordered by UTF-16 code units: characters beyond U+FFFF (F0 to F4), being
 * surrogates there, come before U+E000 to U+FFFF (EE, EF). */
static inline uint8_t psdk_utf16_rank(uint8_t byte)
{
    return byte == 0xEE || byte == 0xEF ? (uint8_t)(byte + 0x10) : byte;
}

/* A decimal number as text gives it: 0.DIGITS x 10^point, without leading or trailing zeros; n_digits 0 is zero. */
#define PSDK_DECIMAL_DIGITS 20
struct psdk_decimal {
    char digits[PSDK_DECIMAL_DIGITS + 1]; /* the first ones, as characters; not terminated */
    unsigned n_digits;                    /* those in digits; PSDK_DECIMAL_DIGITS: there may have been more */
    bool negative;
    bool whole; /* written without fraction and exponent */
    int point;  /* saturates far outside of a double's range */
};

#define PSDK_NUMBER_SIZE 32 /* the longest form and a NUL */

/* Reads the number at *at (JSON's grammar) and moves *at behind it. NULL, or why it is none (*at is then the place). */
const char *psdk_decimal_scan(const uint8_t **at, const uint8_t *end, struct psdk_decimal *ret);
/* A whole number beyond +-(2^53 - 1). */
bool psdk_decimal_too_big(const struct psdk_decimal *d);
/* Writes a decimal the way ECMAScript does; returns the length. */
size_t psdk_decimal_write(const struct psdk_decimal *d, char ret[PSDK_NUMBER_SIZE]);
/* The shortest decimal that reads back as value (finite), the nearest one among these. */
void psdk_decimal_of_double(double value, struct psdk_decimal *ret);
/* Whether d is what psdk_decimal_of_double gives for its own value. */
bool psdk_decimal_is_shortest(const struct psdk_decimal *d);

#endif
