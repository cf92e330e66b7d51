/* storage_list.c - the order, the prefixes and the pages of a listing.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "storage.h"

#include <stdio.h>
#include <stdlib.h>

/* In byte order of full keys; '+' '-' '.' sort before '/', digits and ':' after it. */
static const char *const sorted[] = {"A",     "a+b",   "a-b",     "a.b",   "a/a",     "a/b/c", "a/b/d",
                                     "a/b0",  "a/c-d", "a/c.d",   "a/c/d", "a/c0",  "a0",      "a:b",   "aa/b",
                                     "b/c/d/e", "b/c:d", "b/cd", "c",     "z"};
#define N_SORTED (sizeof sorted / sizeof *sorted) /* 20: no multiple of 7, see fill */

struct seen {
    char keys[64][600];
    unsigned n, stop_at;
};

static int32_t see(void *ctx, const prov_list_entry *entry)
{
    struct seen *seen = ctx;
    ck_assert_uint_lt(seen->n, 64);
    ck_assert_uint_eq(entry->size_bytes, strlen(entry->key));
    snprintf(seen->keys[seen->n++], sizeof seen->keys[0], "%s", entry->key);
    return seen->stop_at > 0 && seen->n == seen->stop_at ? PROV_E_LIMIT : PROV_OK;
}

static struct seen list(const char *prefix, const char *after, uint32_t limit, int32_t *ret_more)
{
    struct seen seen = {0};
    prov_error err;
    prov_list_emit emit = {.struct_size = sizeof emit, .ctx = &seen, .entry = see};
    *ret_more = -1;
    EXPECT(PROV_OK, err, ops->list(store, &conform_call, prefix, after, limit, &emit, ret_more, &err));
    return seen;
}

static void fill(void)
{
    prov_error err;
    for (size_t i = 0; i < N_SORTED; i++) { /* put in another order than they are listed */
        const char *key = sorted[(i * 7 + 3) % N_SORTED];
        EXPECT(PROV_OK, err, put_text(key, key, NULL, NULL, &err));
    }
}

START_TEST(an_empty_store_lists_nothing)
{
    int32_t more;
    ck_assert_uint_eq(list("", "", 10, &more).n, 0);
    ck_assert_int_eq(more, 0);
    ck_assert_uint_eq(list("a/b/c", "a", 10, &more).n, 0);
    ck_assert_int_eq(more, 0);
}
END_TEST

START_TEST(keys_come_in_the_byte_order_of_whole_keys)
{
    int32_t more;
    fill();
    struct seen seen = list("", "", 64, &more);
    ck_assert_uint_eq(seen.n, N_SORTED);
    for (size_t i = 0; i < N_SORTED; i++)
        ck_assert_str_eq(seen.keys[i], sorted[i]);
    ck_assert_int_eq(more, 0);
}
END_TEST

/* Every pair of prefix and after, against the definition. */
START_TEST(every_prefix_and_every_start_give_what_the_definition_says)
{
    static const char *const prefixes[] = {"",  "a",   "a/",  "a/b", "a/b/", "a/b/c", "a/b/c/", "a-",  "b/c", "b/c/d/",
                                           "zz", "a/c", "a//", "/",   "..",   "a/../", "a b",    "\x01", "b/c:", "~"};
    static const char *const afters[] = {"", "A", "a", "a/", "a/b", "a/b/c", "a/b/cc", "a/b/d", "a/c.d", "a/zzz", "a0", "b",
                                         "b/c/d/e", "b/c0", "zzz", "/", "a/../x"};
    fill();
    for (size_t p = 0; p < sizeof prefixes / sizeof *prefixes; p++) {
        for (size_t a = 0; a < sizeof afters / sizeof *afters; a++) {
            int32_t more;
            unsigned n = 0;
            struct seen seen = list(prefixes[p], afters[a], 64, &more);
            for (size_t i = 0; i < N_SORTED; i++) {
                if (strncmp(sorted[i], prefixes[p], strlen(prefixes[p])) != 0 || strcmp(sorted[i], afters[a]) <= 0)
                    continue;
                ck_assert_msg(n < seen.n && strcmp(seen.keys[n], sorted[i]) == 0, "prefix '%s' after '%s': want '%s' as %u",
                              prefixes[p], afters[a], sorted[i], n);
                n++;
            }
            ck_assert_msg(seen.n == n, "prefix '%s' after '%s': %u too many", prefixes[p], afters[a], seen.n - n);
            ck_assert_int_eq(more, 0);
        }
    }
}
END_TEST

START_TEST(pages_of_every_size_join_to_the_whole)
{
    static const char *const prefixes[] = {"", "a", "a/", "a/b"};
    fill();
    for (size_t p = 0; p < 4; p++) {
        int32_t more;
        struct seen whole = list(prefixes[p], "", 64, &more);
        for (uint32_t limit = 1; limit <= whole.n + 1; limit++) {
            char after[600] = "";
            unsigned n = 0;
            do {
                struct seen page = list(prefixes[p], after, limit, &more);
                ck_assert_uint_le(page.n, limit);
                ck_assert_msg(more == 0 || page.n == limit, "a page that is not full says that there is more");
                for (unsigned i = 0; i < page.n; i++)
                    ck_assert_str_eq(page.keys[i], whole.keys[n++]);
                if (page.n > 0)
                    memcpy(after, page.keys[page.n - 1], sizeof after);
                ck_assert_int_eq(more, n < whole.n);
            } while (more != 0);
            ck_assert_uint_eq(n, whole.n);
        }
    }
}
END_TEST

START_TEST(a_receiver_that_stops_stops_the_listing_with_its_code)
{
    prov_error err;
    int32_t more;
    struct seen seen = {.stop_at = 3};
    prov_list_emit emit = {.struct_size = sizeof emit, .ctx = &seen, .entry = see};
    fill();
    EXPECT(PROV_E_LIMIT, err, ops->list(store, &conform_call, "", "", 64, &emit, &more, &err));
    ck_assert_uint_eq(seen.n, 3);
}
END_TEST

START_TEST(what_was_deleted_is_not_listed_and_its_key_can_be_used_again)
{
    prov_error err;
    int32_t more;
    fill();
    for (size_t i = 0; i < N_SORTED; i += 2)
        EXPECT(PROV_OK, err, ops->del(store, &conform_call, sorted[i], &err));
    struct seen seen = list("", "", 64, &more);
    ck_assert_uint_eq(seen.n, N_SORTED / 2);
    for (size_t i = 1; i < N_SORTED; i += 2)
        ck_assert_str_eq(seen.keys[i / 2], sorted[i]);
    fill();
    ck_assert_uint_eq(list("", "", 64, &more).n, N_SORTED);
}
END_TEST

START_TEST(a_cancelled_listing_stops)
{
    prov_error err;
    int32_t more;
    uint32_t cancel = 1;
    prov_call call = conform_call;
    struct seen seen = {0};
    prov_list_emit emit = {.struct_size = sizeof emit, .ctx = &seen, .entry = see};
    call.cancel = &cancel;
    fill();
    EXPECT(PROV_E_CANCELLED, err, ops->list(store, &call, "", "", 64, &emit, &more, &err));
}
END_TEST

void add_list(Suite *suite)
{
    TCase *test_case = new_case(suite, "list");
    tcase_add_test(test_case, an_empty_store_lists_nothing);
    tcase_add_test(test_case, keys_come_in_the_byte_order_of_whole_keys);
    tcase_add_test(test_case, every_prefix_and_every_start_give_what_the_definition_says);
    tcase_add_test(test_case, pages_of_every_size_join_to_the_whole);
    tcase_add_test(test_case, a_receiver_that_stops_stops_the_listing_with_its_code);
    tcase_add_test(test_case, what_was_deleted_is_not_listed_and_its_key_can_be_used_again);
    tcase_add_test(test_case, a_cancelled_listing_stops);
}
