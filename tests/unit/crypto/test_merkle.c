/* test_merkle.c - trees and proofs against RFC 6962's own recursive definitions and public vectors.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "pv_merkle.h"

#include <dirent.h>

#include "crypto_vectors.h"

#define LEAVES 130

typedef uint8_t hash_t[32];

static hash_t leaf[LEAVES];
static uint32_t made_count;
static hash_t node[9][LEAVES]; /* complete nodes, as pv_range_append reported them */
static bool have[9][LEAVES];

/* ---- the definitions, word for word ------------------------------------------------------------------------------ */

static uint32_t split(uint32_t n)
{
    uint32_t k = 1;

    while (2 * k < n)
        k *= 2;
    return k;
}

static void ref_root(uint32_t begin, uint32_t end, hash_t ret)
{
    hash_t left, right;
    uint32_t k;

    if (end == begin) {
        psdk_sha256("", 0, ret);
    } else if (end - begin == 1) {
        memcpy(ret, leaf[begin], 32);
    } else {
        k = split(end - begin);
        ref_root(begin, begin + k, left);
        ref_root(begin + k, end, right);
        psdk_node_hash(left, right, ret);
    }
}

static uint32_t ref_path(uint32_t m, uint32_t begin, uint32_t end, hash_t *ret)
{
    uint32_t k, count;

    if (end - begin == 1)
        return 0;
    k = split(end - begin);
    if (m < k) {
        count = ref_path(m, begin, begin + k, ret);
        ref_root(begin + k, end, ret[count]);
    } else {
        count = ref_path(m - k, begin + k, end, ret);
        ref_root(begin, begin + k, ret[count]);
    }
    return count + 1;
}

static uint32_t ref_subproof(uint32_t m, uint32_t begin, uint32_t end, bool whole, hash_t *ret)
{
    uint32_t k, count;

    if (m == end - begin) {
        if (whole)
            return 0;
        ref_root(begin, end, ret[0]);
        return 1;
    }
    k = split(end - begin);
    if (m <= k) {
        count = ref_subproof(m, begin, begin + k, whole, ret);
        ref_root(begin + k, end, ret[count]);
    } else {
        count = ref_subproof(m - k, begin + k, end, false, ret);
        ref_root(begin, begin + k, ret[count]);
    }
    return count + 1;
}

/* ---- a reader over the nodes that appending made, which keeps what it was asked
 * -------------------------------------- */

struct seen {
    uint64_t size;
    uint32_t count;
    unsigned level[256];
    uint64_t index[256];
    uint32_t fail_at; /* 0: never */
};

static void note(void *ctx, unsigned level, uint64_t index)
{
    struct seen *seen = ctx;

    ck_assert_uint_lt(seen->count, 256);
    seen->level[seen->count] = level;
    seen->index[seen->count++] = index;
}

static int read_node(void *ctx, unsigned level, uint64_t index, uint8_t ret[32], prov_error *err)
{
    struct seen *seen = ctx;

    ck_assert_uint_lt(level, 9);
    ck_assert_msg(((index + 1) << level) <= seen->size, "node %u/%u is not complete", level, (unsigned)index);
    ck_assert(level == 0 || have[level][index]);
    note(ctx, level, index);
    if (seen->fail_at != 0 && seen->count == seen->fail_at)
        return psdk_fail(err, PROV_E_IO, "disk on fire");
    memcpy(ret, level == 0 ? leaf[index] : node[level][index], 32);
    return PROV_OK;
}

static void made(void *ctx, unsigned level, uint64_t index, const uint8_t hash[32])
{
    ck_assert_ptr_eq(ctx, &made_count);
    ck_assert_uint_ge(level, 1);
    ck_assert(!have[level][index]);
    have[level][index] = true;
    memcpy(node[level][index], hash, 32);
    made_count++;
}

static void setup(void)
{
    struct pv_range range = {0};

    memset(have, 0, sizeof have);
    made_count = 0;
    for (uint32_t i = 0; i < LEAVES; i++) {
        psdk_leaf_hash(&i, sizeof i, leaf[i]);
        pv_range_append(&range, leaf[i], made, &made_count);
    }
}

static void assert_same_nodes(const struct seen *a, const struct seen *b)
{
    ck_assert_uint_eq(a->count, b->count);
    ck_assert_mem_eq(a->level, b->level, a->count * sizeof a->level[0]);
    ck_assert_mem_eq(a->index, b->index, a->count * sizeof a->index[0]);
    for (uint32_t i = 0; i < a->count; i++)
        for (uint32_t j = 0; j < i; j++)
            ck_assert(a->level[i] != a->level[j] || a->index[i] != a->index[j]);
}

/* ---- ranges ------------------------------------------------------------------------------------------------------ */

START_TEST(the_empty_tree_is_the_hash_of_nothing)
{
    struct pv_range range = {0};
    hash_t root, want;

    ck_assert(psdk_parse_hash("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", want));
    pv_range_root(&range, root);
    ck_assert_mem_eq(root, want, 32);
}
END_TEST

START_TEST(appending_gives_the_root_of_the_definition_at_every_size)
{
    struct pv_range range = {0};
    hash_t root, want;

    for (uint32_t size = 1; size <= LEAVES; size++) {
        pv_range_append(&range, leaf[size - 1], NULL, NULL);
        ck_assert_uint_eq(range.size, size);
        ck_assert_uint_eq(range.count, (unsigned)__builtin_popcount(size));
        pv_range_root(&range, root);
        ref_root(0, size, want);
        ck_assert_mem_eq(root, want, 32);
    }
}
END_TEST

START_TEST(every_complete_node_is_reported_once_with_its_hash)
{
    uint32_t want_count = 0;
    hash_t want;

    for (unsigned level = 1; level < 9; level++)
        for (uint32_t i = 0; (i + 1) << level <= LEAVES; i++, want_count++) {
            ck_assert(have[level][i]);
            ref_root(i << level, (i + 1) << level, want);
            ck_assert_mem_eq(node[level][i], want, 32);
        }
    ck_assert_uint_eq(made_count, want_count);
}
END_TEST

START_TEST(a_range_read_back_is_the_range_that_was_built)
{
    struct pv_range built = {0}, got;

    for (uint32_t size = 0; size <= LEAVES; size++) {
        struct seen seen = {.size = size}, listed = {.size = size};
        const struct pv_node_reader reader = {&seen, read_node};
        prov_error err = {0};

        if (size > 0)
            pv_range_append(&built, leaf[size - 1], NULL, NULL);
        ck_assert_int_eq(pv_range_read(&reader, size, &got, &err), PROV_OK);
        ck_assert_uint_eq(got.size, size);
        ck_assert_uint_eq(got.count, built.count);
        ck_assert_mem_eq(got.hash, built.hash, 32 * built.count);
        pv_range_nodes(size, note, &listed);
        assert_same_nodes(&listed, &seen);
    }
}
END_TEST

/* ---- proofs ------------------------------------------------------------------------------------------------------ */

START_TEST(inclusion_proofs_are_those_of_the_definition_at_every_size_and_index)
{
    hash_t proof[PV_PROOF_MAX], want[PV_PROOF_MAX], root, other;

    for (uint32_t size = 1; size <= LEAVES; size++) {
        ref_root(0, size, root);
        for (uint32_t index = 0; index < size; index++) {
            struct seen seen = {.size = size}, listed = {.size = size};
            const struct pv_node_reader reader = {&seen, read_node};
            prov_error err = {0};
            uint32_t count, want_count = ref_path(index, 0, size, want);

            ck_assert_int_eq(pv_inclusion_prove(&reader, index, size, proof, &count, &err), PROV_OK);
            ck_assert_uint_eq(count, want_count);
            ck_assert_mem_eq(proof, want, 32 * count);
            ck_assert(pv_inclusion_verify(leaf[index], index, size, proof, count, root));
            ck_assert(pv_inclusion_root(leaf[index], index, size, proof, count, other));
            ck_assert_mem_eq(other, root, 32);
            pv_inclusion_nodes(index, size, note, &listed);
            assert_same_nodes(&listed, &seen);
        }
    }
}
END_TEST

START_TEST(consistency_proofs_are_those_of_the_definition_at_every_pair_of_sizes)
{
    hash_t proof[PV_PROOF_MAX], want[PV_PROOF_MAX], root, old_root;

    for (uint32_t size = 1; size <= LEAVES; size++) {
        ref_root(0, size, root);
        for (uint32_t old = 1; old <= size; old++) {
            struct seen seen = {.size = size}, listed = {.size = size};
            const struct pv_node_reader reader = {&seen, read_node};
            prov_error err = {0};
            uint32_t count, want_count = ref_subproof(old, 0, size, true, want);

            ref_root(0, old, old_root);
            ck_assert_int_eq(pv_consistency_prove(&reader, old, size, proof, &count, &err), PROV_OK);
            ck_assert_uint_eq(count, want_count);
            ck_assert_mem_eq(proof, want, 32 * count);
            ck_assert(pv_consistency_verify(old, old_root, size, root, proof, count));
            pv_consistency_nodes(old, size, note, &listed);
            assert_same_nodes(&listed, &seen);
        }
    }
}
END_TEST

/* Another index or size may have the same shape of path: then only the hashes part them, and they do. */
START_TEST(a_changed_inclusion_proof_never_holds)
{
    hash_t proof[PV_PROOF_MAX + 1], root, other = {1};

    for (uint32_t size = 1; size <= 70; size++) {
        ref_root(0, size, root);
        for (uint32_t index = 0; index < size; index++) {
            uint32_t count = ref_path(index, 0, size, proof);

            for (uint32_t bit = 0; bit < 256 * count; bit += 37) {
                proof[bit / 256][bit % 256 / 8] ^= (uint8_t)(1u << bit % 8);
                ck_assert(!pv_inclusion_verify(leaf[index], index, size, proof, count, root));
                proof[bit / 256][bit % 256 / 8] ^= (uint8_t)(1u << bit % 8);
            }
            memset(proof[count], 7, 32);
            ck_assert(!pv_inclusion_verify(leaf[index], index, size, proof, count + 1, root));
            ck_assert(count == 0 || !pv_inclusion_verify(leaf[index], index, size, proof, count - 1, root));
            ck_assert(count == 0 || !pv_inclusion_verify(leaf[index], index, size, &proof[1], count - 1, root));
            ck_assert(!pv_inclusion_verify(leaf[index], index, size, proof, count, other));
            ck_assert(!pv_inclusion_verify(other, index, size, proof, count, root));
            for (uint32_t wrong = 0; wrong < size + 2; wrong++)
                ck_assert(wrong == index || !pv_inclusion_verify(leaf[index], wrong, size, proof, count, root));
        }
    }
}
END_TEST

START_TEST(a_changed_consistency_proof_never_holds)
{
    hash_t proof[PV_PROOF_MAX + 1], root, old_root;

    for (uint32_t size = 1; size <= 70; size++) {
        ref_root(0, size, root);
        for (uint32_t old = 1; old <= size; old++) {
            uint32_t count = ref_subproof(old, 0, size, true, proof);

            ref_root(0, old, old_root);
            for (uint32_t bit = 0; bit < 256 * count; bit += 37) {
                proof[bit / 256][bit % 256 / 8] ^= (uint8_t)(1u << bit % 8);
                ck_assert(!pv_consistency_verify(old, old_root, size, root, proof, count));
                proof[bit / 256][bit % 256 / 8] ^= (uint8_t)(1u << bit % 8);
            }
            for (uint32_t bit = 0; bit < 256; bit += 5) {
                old_root[bit / 8] ^= (uint8_t)(1u << bit % 8);
                ck_assert(!pv_consistency_verify(old, old_root, size, root, proof, count));
                old_root[bit / 8] ^= (uint8_t)(1u << bit % 8);
            }
            memset(proof[count], 7, 32);
            ck_assert(!pv_consistency_verify(old, old_root, size, root, proof, count + 1));
            ck_assert(count == 0 || !pv_consistency_verify(old, old_root, size, root, proof, count - 1));
            ck_assert(count == 0 || !pv_consistency_verify(old, old_root, size, root, &proof[1], count - 1));
            ck_assert(old == size || !pv_consistency_verify(old, root, size, old_root, proof, count));
            ck_assert(!pv_consistency_verify(0, old_root, size, root, proof, count));
            ck_assert(!pv_consistency_verify(size + 1, old_root, size, root, proof, count));
        }
    }
}
END_TEST

START_TEST(what_has_no_proof_is_refused)
{
    struct seen seen = {.size = LEAVES};
    const struct pv_node_reader reader = {&seen, read_node};
    const uint64_t huge = (UINT64_C(1) << 63) + 1;
    hash_t proof[PV_PROOF_MAX], root = {0};
    uint32_t count;
    prov_error err = {0};

    ck_assert_int_eq(pv_inclusion_prove(&reader, 5, 5, proof, &count, &err), PROV_E_INVALID);
    ck_assert_int_eq(pv_inclusion_prove(&reader, 0, 0, proof, &count, &err), PROV_E_INVALID);
    ck_assert_int_eq(pv_inclusion_prove(&reader, 0, huge, proof, &count, &err), PROV_E_INVALID);
    ck_assert_int_eq(pv_consistency_prove(&reader, 6, 5, proof, &count, &err), PROV_E_INVALID);
    ck_assert_int_eq(pv_consistency_prove(&reader, 0, 5, proof, &count, &err), PROV_E_INVALID);
    ck_assert_int_eq(pv_consistency_prove(&reader, 1, huge, proof, &count, &err), PROV_E_INVALID);
    pv_inclusion_nodes(5, 5, note, &seen);
    pv_inclusion_nodes(0, huge, note, &seen);
    pv_consistency_nodes(0, 5, note, &seen);
    pv_consistency_nodes(6, 5, note, &seen);
    ck_assert_uint_eq(seen.count, 0);
    ck_assert(!pv_inclusion_verify(leaf[0], 0, 0, proof, 0, root));
    ck_assert(!pv_consistency_verify(0, root, 0, root, proof, 0));
}
END_TEST

static int any_node(void *ctx, unsigned level, uint64_t index, uint8_t ret[32], prov_error *err)
{
    (void)ctx;
    (void)err;
    memset(ret, (int)(level + 1), 32);
    memcpy(ret, &index, sizeof index);
    return PROV_OK;
}

/* The deepest shapes that are allowed fit into PV_PROOF_MAX hashes and verify. */
START_TEST(the_largest_tree_has_proofs_that_fit)
{
    static const uint64_t max = UINT64_C(1) << 63;
    static const uint64_t size[] = {UINT64_C(1) << 63, (UINT64_C(1) << 63) - 1, (UINT64_C(1) << 62) + 1};
    const struct pv_node_reader reader = {NULL, any_node};
    hash_t proof[PV_PROOF_MAX], root;
    uint32_t count, longest = 0;
    prov_error err = {0};

    for (size_t s = 0; s < 3; s++)
        for (uint64_t old = 1; old <= size[s] && old != 0; old = old * 2 + (old < max / 4 ? 1 : 0)) {
            ck_assert_int_eq(pv_consistency_prove(&reader, old, size[s], proof, &count, &err), PROV_OK);
            longest = count > longest ? count : longest;
            ck_assert_int_eq(pv_inclusion_prove(&reader, old - 1, size[s], proof, &count, &err), PROV_OK);
            longest = count > longest ? count : longest;
            ck_assert(pv_inclusion_root(leaf[0], old - 1, size[s], proof, count, root));
        }
    ck_assert_uint_le(longest, PV_PROOF_MAX);
    ck_assert_uint_ge(longest, 63);
}
END_TEST

START_TEST(a_reader_that_fails_is_heard)
{
    struct seen seen = {.size = 100, .fail_at = 3};
    const struct pv_node_reader reader = {&seen, read_node};
    hash_t proof[PV_PROOF_MAX];
    struct pv_range range;
    uint32_t count = 9;
    prov_error err = {0};

    ck_assert_int_eq(pv_inclusion_prove(&reader, 37, 100, proof, &count, &err), PROV_E_IO);
    ck_assert_uint_eq(count, 0);
    ck_assert_msg(strstr(err.message, "tree node ") != NULL && strstr(err.message, "disk on fire") != NULL, "%s",
                  err.message);
    seen.count = 0;
    ck_assert_int_eq(pv_consistency_prove(&reader, 37, 100, proof, &count, &err), PROV_E_IO);
    seen.count = 0;
    ck_assert_int_eq(pv_range_read(&reader, 100, &range, &err), PROV_E_IO);
    ck_assert_uint_eq(range.size, 0);
    ck_assert_uint_eq(range.count, 0);
}
END_TEST

/* ---- public vectors ---------------------------------------------------------------------------------------------- */

static uint64_t number(const json_t *object, const char *key)
{
    double value = json_number_value(json_object_get(object, key));

    ck_assert(json_is_number(json_object_get(object, key)));
    return value >= 18446744073709551615.0 ? UINT64_MAX : (uint64_t)value;
}

/* Some consistency files have roots of another length where only their being equal matters: those are hashed to 32
 * bytes. Elsewhere such a hash is refused by its form (false). */
static bool base64_hash(const json_t *value, hash_t ret)
{
    const char *text = json_string_value(value);
    uint8_t bytes[256];
    long len;

    ck_assert_ptr_nonnull(text);
    len = psdk_unbase64(text, strlen(text), bytes, sizeof bytes);
    ck_assert_int_ge(len, 0);
    if (len == 32)
        memcpy(ret, bytes, 32);
    else
        psdk_sha256(bytes, (size_t)len, ret);
    return len == 32;
}

static bool vector_holds(const json_t *root, bool inclusion)
{
    const json_t *list = json_object_get(root, "proof");
    hash_t first, second, proof[PV_PROOF_MAX];
    uint32_t count = 0;
    bool formed = base64_hash(json_object_get(root, inclusion ? "leafHash" : "root1"), first);

    formed = base64_hash(json_object_get(root, inclusion ? "root" : "root2"), second) && formed;
    if (inclusion && !formed)
        return false;
    ck_assert_uint_le(json_array_size(list), PV_PROOF_MAX);
    for (; count < json_array_size(list); count++)
        if (!base64_hash(json_array_get(list, count), proof[count]))
            return false;
    if (inclusion)
        return pv_inclusion_verify(first, number(root, "leafIdx"), number(root, "treeSize"), proof, count, second);
    return pv_consistency_verify(number(root, "size1"), first, number(root, "size2"), second, proof, count);
}

struct tally {
    unsigned held;
    unsigned refused;
};

static void run_vectors(const char *folder, bool inclusion, struct tally *tally)
{
    struct dirent *entry;
    DIR *dir = opendir(folder);

    ck_assert_ptr_nonnull(dir);
    while ((entry = readdir(dir)) != NULL) {
        char path[4096];
        size_t len = strlen(entry->d_name);

        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (len > 5 && strcmp(entry->d_name + len - 5, ".json") == 0) {
            json_t *root = vectors_load(path);
            bool want = json_is_false(json_object_get(root, "wantErr"));

            ck_assert(json_is_boolean(json_object_get(root, "wantErr")));
            ck_assert_msg(vector_holds(root, inclusion) == want, "%s: want %s", path, want ? "holds" : "refused");
            *(want ? &tally->held : &tally->refused) += 1;
            json_decref(root);
        } else if (entry->d_name[0] != '.') {
            run_vectors(path, inclusion, tally);
        }
    }
    closedir(dir);
}

START_TEST(the_public_vectors_hold_and_fail_as_they_say)
{
    struct tally inclusion = {0}, consistency = {0};
    char path[4096];

    if (!vectors_find("rfc6962/inclusion", path, sizeof path))
        return;
    run_vectors(path, true, &inclusion);
    ck_assert(vectors_find("rfc6962/consistency", path, sizeof path));
    run_vectors(path, false, &consistency);
    ck_assert_uint_gt(inclusion.held, 0);
    ck_assert_uint_gt(inclusion.refused, 0);
    ck_assert_uint_gt(consistency.held, 0);
    ck_assert_uint_gt(consistency.refused, 0);
    fprintf(stderr, "rfc6962: inclusion %u hold, %u refused; consistency %u hold, %u refused\n", inclusion.held,
            inclusion.refused, consistency.held, consistency.refused);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("merkle");
    TCase *tests = tcase_create("merkle");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(tests, setup, NULL);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, the_empty_tree_is_the_hash_of_nothing);
    tcase_add_test(tests, appending_gives_the_root_of_the_definition_at_every_size);
    tcase_add_test(tests, every_complete_node_is_reported_once_with_its_hash);
    tcase_add_test(tests, a_range_read_back_is_the_range_that_was_built);
    tcase_add_test(tests, inclusion_proofs_are_those_of_the_definition_at_every_size_and_index);
    tcase_add_test(tests, consistency_proofs_are_those_of_the_definition_at_every_pair_of_sizes);
    tcase_add_test(tests, a_changed_inclusion_proof_never_holds);
    tcase_add_test(tests, a_changed_consistency_proof_never_holds);
    tcase_add_test(tests, what_has_no_proof_is_refused);
    tcase_add_test(tests, the_largest_tree_has_proofs_that_fit);
    tcase_add_test(tests, a_reader_that_fails_is_heard);
    tcase_add_test(tests, the_public_vectors_hold_and_fail_as_they_say);
    suite_add_tcase(suite, tests);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
