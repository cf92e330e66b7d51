/* psdk_time.c - clocks, RFC 3339 times, durations and sizes as users write them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "psdk_file.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define NS_PER_S 1000000000ull

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec now = {0};
    clock_gettime(clock, &now); /* cannot fail for the two clocks used here */
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t psdk_monotonic_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

uint64_t psdk_wall_ns(void)
{
    return clock_ns(CLOCK_REALTIME);
}

/* Writes value as exactly `digits` decimal digits. */
static void put_digits(char *at, int digits, unsigned value)
{
    for (int i = digits - 1; i >= 0; i--) {
        at[i] = (char)('0' + value % 10);
        value /= 10;
    }
}

void psdk_time_format(uint64_t wall_ns, char ret[PSDK_TIME_SIZE])
{
    time_t seconds = (time_t)(wall_ns / NS_PER_S); /* UINT64_MAX is in the year 2554: four digits are enough */
    struct tm tm = {0};
    gmtime_r(&seconds, &tm);
    memcpy(ret, "0000-00-00T00:00:00.000000Z", PSDK_TIME_SIZE);
    put_digits(ret, 4, (unsigned)tm.tm_year + 1900);
    put_digits(ret + 5, 2, (unsigned)tm.tm_mon + 1);
    put_digits(ret + 8, 2, (unsigned)tm.tm_mday);
    put_digits(ret + 11, 2, (unsigned)tm.tm_hour);
    put_digits(ret + 14, 2, (unsigned)tm.tm_min);
    put_digits(ret + 17, 2, (unsigned)tm.tm_sec);
    put_digits(ret + 20, 6, (unsigned)(wall_ns % NS_PER_S / 1000));
}

/* The digits at text[at .. at + digits), or -1. */
static int get_digits(const char *text, int at, int digits)
{
    int value = 0;
    for (int i = at; i < at + digits; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -1;
        value = value * 10 + (text[i] - '0');
    }
    return value;
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

bool psdk_time_parse(const char *text, size_t len, uint64_t *ret_wall_ns)
{
    if (len != PSDK_TIME_SIZE - 1 || text[4] != '-' || text[7] != '-' || text[10] != 'T' || text[13] != ':' ||
        text[16] != ':' || text[19] != '.' || text[26] != 'Z')
        return false;
    int year = get_digits(text, 0, 4), month = get_digits(text, 5, 2), day = get_digits(text, 8, 2);
    int hour = get_digits(text, 11, 2), minute = get_digits(text, 14, 2), second = get_digits(text, 17, 2);
    int micros = get_digits(text, 20, 6);
    if (year < 1970 || month < 1 || month > 12 || day < 1 || day > days_in_month(year, month))
        return false;
    if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59 || micros < 0)
        return false;
    struct tm tm = {.tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day,
                    .tm_hour = hour, .tm_min = minute, .tm_sec = second};
    uint64_t seconds = (uint64_t)timegm(&tm);
    uint64_t ns;
    if (__builtin_mul_overflow(seconds, NS_PER_S, &ns) || __builtin_add_overflow(ns, (uint64_t)micros * 1000, &ns))
        return false;
    *ret_wall_ns = ns;
    return true;
}

/* Reads decimal digits (at least one) at *at and moves past them. false: none there, or more than 64 bits. */
static bool read_number(const char **at, uint64_t *ret)
{
    uint64_t value = 0;
    if (**at < '0' || **at > '9')
        return false;
    for (; **at >= '0' && **at <= '9'; (*at)++) {
        if (__builtin_mul_overflow(value, 10u, &value) || __builtin_add_overflow(value, (uint64_t)(**at - '0'), &value))
            return false;
    }
    *ret = value;
    return true;
}

struct unit {
    const char *name;
    uint64_t factor;
};

bool psdk_parse_duration(const char *text, uint64_t *ret_ns)
{
    /* Largest first; "ms" stands before "m" so that the longer name is tried first. */
    static const struct unit units[] = {{"d", 86400 * NS_PER_S}, {"h", 3600 * NS_PER_S}, {"ms", 1000000},
                                        {"m", 60 * NS_PER_S},    {"s", NS_PER_S},        {"us", 1000},
                                        {"ns", 1}};
    if (strcmp(text, "0") == 0) {
        *ret_ns = 0;
        return true;
    }
    uint64_t total = 0, last_factor = UINT64_MAX;
    do {
        uint64_t number;
        const struct unit *unit = NULL;
        if (!read_number(&text, &number))
            return false;
        for (size_t i = 0; i < sizeof units / sizeof *units && unit == NULL; i++) {
            if (strncmp(text, units[i].name, strlen(units[i].name)) == 0)
                unit = &units[i];
        }
        if (unit == NULL || unit->factor >= last_factor) /* "30m1h" and "1s1s" are mistakes, not sums */
            return false;
        if (__builtin_mul_overflow(number, unit->factor, &number) || __builtin_add_overflow(total, number, &total))
            return false;
        last_factor = unit->factor;
        text += strlen(unit->name);
    } while (*text != '\0');
    *ret_ns = total;
    return true;
}

bool psdk_parse_size(const char *text, uint64_t *ret_bytes)
{
    static const struct unit units[] = {
        {"", 1},
        {"B", 1},
        {"kB", 1000},
        {"KB", 1000},
        {"MB", 1000000},
        {"GB", 1000000000},
        {"TB", 1000000000000},
        {"KiB", 1ull << 10},
        {"MiB", 1ull << 20},
        {"GiB", 1ull << 30},
        {"TiB", 1ull << 40},
    };
    uint64_t number;
    if (!read_number(&text, &number))
        return false;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (strcmp(text, units[i].name) == 0)
            return !__builtin_mul_overflow(number, units[i].factor, ret_bytes);
    }
    return false;
}
