/* pv_merkle.c - RFC 6962 trees: compact ranges, proofs, verification.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Every hash of a proof is the root of a run of leaves [begin, end) that starts where a perfect subtree of its size
 * would start. A proof is therefore planned first, as a list of such runs (the descent of RFC 6962 2.1.1 and 2.1.2 from
 * the root, turned around at the end); a run splits into complete nodes by the bits of its length, so that one plan
 * serves both for listing the nodes and for reading and folding them.
 */
#include "pv_merkle.h"

#include <inttypes.h>
#include <string.h>

/* The plan of a tree of 2^63 leaves has at most 64 runs; larger trees are refused. */
#define SIZE_MAX_LEAVES (UINT64_C(1) << 63)

struct run {
    uint64_t begin;
    uint64_t end;
};

struct plan {
    struct run run[PV_PROOF_MAX];
    uint32_t count;
};

/* ---- compact ranges ---------------------------------------------------------------------------------------------- */

static void node_into(uint8_t into[32], const uint8_t left[32], const uint8_t right[32])
{
    uint8_t hash[32];

    psdk_node_hash(left, right, hash);
    memcpy(into, hash, sizeof hash);
}

void pv_range_append(struct pv_range *range, const uint8_t leaf[32],
                     void (*made)(void *ctx, unsigned level, uint64_t index, const uint8_t hash[32]), void *ctx)
{
    uint64_t index = range->size;
    unsigned level = 0;

    if (range->size == UINT64_MAX)
        return; /* no such tree exists; keeps count within the array */
    memcpy(range->hash[range->count++], leaf, 32);
    range->size++;
    while ((index & 1) != 0) {
        uint8_t *left = range->hash[range->count - 2];

        node_into(left, left, range->hash[range->count - 1]);
        range->count--;
        index >>= 1;
        level++;
        if (made != NULL)
            made(ctx, level, index, left);
    }
}

void pv_range_root(const struct pv_range *range, uint8_t ret[32])
{
    uint8_t root[32];

    if (range->count == 0) {
        psdk_sha256("", 0, ret);
        return;
    }
    memcpy(root, range->hash[range->count - 1], sizeof root);
    for (uint32_t i = range->count - 1; i > 0; i--)
        node_into(root, range->hash[i - 1], root);
    memcpy(ret, root, sizeof root);
}

/* ---- planning ---------------------------------------------------------------------------------------------------- */

static unsigned top_bit(uint64_t n)
{
    return 63u - (unsigned)__builtin_clzll(n);
}

/* Where RFC 6962 splits n > 1 leaves: the largest power of two below n. */
static uint64_t split_of(uint64_t n)
{
    return UINT64_C(1) << top_bit(n - 1);
}

static void plan_add(struct plan *plan, uint64_t begin, uint64_t end)
{
    plan->run[plan->count++] = (struct run){begin, end};
}

/* The descent goes from the root down, a proof from the leaf up. */
static void plan_turn(struct plan *plan)
{
    for (uint32_t i = 0, j = plan->count; i + 1 < j; i++) {
        struct run swap = plan->run[i];

        plan->run[i] = plan->run[--j];
        plan->run[j] = swap;
    }
}

static void plan_inclusion(struct plan *plan, uint64_t index, uint64_t size)
{
    uint64_t begin = 0, end = size;

    plan->count = 0;
    while (end - begin > 1) {
        uint64_t middle = begin + split_of(end - begin);

        if (index < middle) {
            plan_add(plan, middle, end);
            end = middle;
        } else {
            plan_add(plan, begin, middle);
            begin = middle;
        }
    }
    plan_turn(plan);
}

/* 0 < old_size <= size. The subtree that ends at old_size is left out only when it is the whole old tree. */
static void plan_consistency(struct plan *plan, uint64_t old_size, uint64_t size)
{
    uint64_t begin = 0, end = size;

    plan->count = 0;
    while (end != old_size) {
        uint64_t middle = begin + split_of(end - begin);

        if (old_size <= middle) {
            plan_add(plan, middle, end);
            end = middle;
        } else {
            plan_add(plan, begin, middle);
            begin = middle;
        }
    }
    if (begin != 0)
        plan_add(plan, begin, end);
    plan_turn(plan);
}

/* Takes the largest complete node off the front of a run that is not empty. */
static void run_next(struct run *run, unsigned *ret_level, uint64_t *ret_index)
{
    unsigned level = top_bit(run->end - run->begin);

    *ret_level = level;
    *ret_index = run->begin >> level;
    run->begin += UINT64_C(1) << level;
}

static void run_want(struct run run, void (*want)(void *ctx, unsigned level, uint64_t index), void *ctx)
{
    while (run.begin < run.end) {
        unsigned level;
        uint64_t index;

        run_next(&run, &level, &index);
        want(ctx, level, index);
    }
}

static void plan_want(const struct plan *plan, void (*want)(void *ctx, unsigned level, uint64_t index), void *ctx)
{
    for (uint32_t i = 0; i < plan->count; i++)
        run_want(plan->run[i], want, ctx);
}

void pv_inclusion_nodes(uint64_t index, uint64_t size, void (*want)(void *ctx, unsigned level, uint64_t index),
                        void *ctx)
{
    struct plan plan;

    if (index >= size || size > SIZE_MAX_LEAVES)
        return;
    plan_inclusion(&plan, index, size);
    plan_want(&plan, want, ctx);
}

void pv_consistency_nodes(uint64_t old_size, uint64_t size, void (*want)(void *ctx, unsigned level, uint64_t index),
                          void *ctx)
{
    struct plan plan;

    if (old_size == 0 || old_size > size || size > SIZE_MAX_LEAVES)
        return;
    plan_consistency(&plan, old_size, size);
    plan_want(&plan, want, ctx);
}

void pv_range_nodes(uint64_t size, void (*want)(void *ctx, unsigned level, uint64_t index), void *ctx)
{
    run_want((struct run){0, size}, want, ctx);
}

/* ---- reading and proving ----------------------------------------------------------------------------------------- */

/* Reads the complete nodes of a run into range (whose size becomes the run's length). */
static int run_read(const struct pv_node_reader *reader, struct run run, struct pv_range *range, prov_error *err)
{
    range->size = run.end - run.begin;
    range->count = 0;
    while (run.begin < run.end) {
        unsigned level;
        uint64_t index;
        int rc;

        run_next(&run, &level, &index);
        rc = reader->node(reader->ctx, level, index, range->hash[range->count], err);
        if (rc != PROV_OK) {
            psdk_wrap(err, "tree node %u/%" PRIu64, level, index);
            return rc;
        }
        range->count++;
    }
    return PROV_OK;
}

static int plan_read(const struct pv_node_reader *reader, const struct plan *plan, uint8_t ret[][32],
                     uint32_t *ret_count, prov_error *err)
{
    struct pv_range range;

    for (uint32_t i = 0; i < plan->count; i++) {
        int rc = run_read(reader, plan->run[i], &range, err);

        if (rc != PROV_OK)
            return rc;
        pv_range_root(&range, ret[i]);
    }
    *ret_count = plan->count;
    return PROV_OK;
}

static int fail_size(uint64_t size, prov_error *err)
{
    return psdk_fail(err, PROV_E_INVALID, "a tree of %" PRIu64 " leaves is larger than any that can be (2^63)", size);
}

int pv_inclusion_prove(const struct pv_node_reader *reader, uint64_t index, uint64_t size, uint8_t ret[][32],
                       uint32_t *ret_count, prov_error *err)
{
    struct plan plan;

    *ret_count = 0;
    if (index >= size)
        return psdk_fail(err, PROV_E_INVALID, "leaf %" PRIu64 " is not in a tree of %" PRIu64 " leaves", index, size);
    if (size > SIZE_MAX_LEAVES)
        return fail_size(size, err);
    plan_inclusion(&plan, index, size);
    return plan_read(reader, &plan, ret, ret_count, err);
}

int pv_consistency_prove(const struct pv_node_reader *reader, uint64_t old_size, uint64_t size, uint8_t ret[][32],
                         uint32_t *ret_count, prov_error *err)
{
    struct plan plan;

    *ret_count = 0;
    if (old_size == 0)
        return psdk_fail(err, PROV_E_INVALID, "a consistency proof from the empty tree says nothing");
    if (old_size > size)
        return psdk_fail(err, PROV_E_INVALID, "a tree of %" PRIu64 " leaves has no earlier state of %" PRIu64 " leaves",
                         size, old_size);
    if (size > SIZE_MAX_LEAVES)
        return fail_size(size, err);
    plan_consistency(&plan, old_size, size);
    return plan_read(reader, &plan, ret, ret_count, err);
}

int pv_range_read(const struct pv_node_reader *reader, uint64_t size, struct pv_range *range, prov_error *err)
{
    int rc = run_read(reader, (struct run){0, size}, range, err);

    if (rc != PROV_OK)
        *range = (struct pv_range){.size = 0};
    return rc;
}

/* ---- verifying (RFC 9162 2.1.3.2 and 2.1.4.2) -------------------------------------------------------------------- */

/* The place of a node on the way up: its index and that of the last node of its level. */
struct place {
    uint64_t node;
    uint64_t last;
};

static void place_up(struct place *at)
{
    at->node >>= 1;
    at->last >>= 1;
}

/* True when the next hash stands on the left. Moves past the levels where the node has no sibling, then one up. */
static bool place_step(struct place *at)
{
    bool left = (at->node & 1) != 0 || at->node == at->last;

    if (left)
        while ((at->node & 1) == 0 && at->node != 0)
            place_up(at);
    place_up(at);
    return left;
}

bool pv_inclusion_root(const uint8_t leaf[32], uint64_t index, uint64_t size, const void *proof,
                       uint32_t count, uint8_t ret_root[32])
{
    const uint8_t *hash = proof;
    struct place at = {index, size - 1};
    uint8_t root[32];

    if (index >= size)
        return false;
    memcpy(root, leaf, sizeof root);
    for (uint32_t i = 0; i < count; i++) {
        if (at.last == 0)
            return false;
        if (place_step(&at))
            node_into(root, hash + 32 * (size_t)i, root);
        else
            node_into(root, root, hash + 32 * (size_t)i);
    }
    if (at.last != 0)
        return false;
    memcpy(ret_root, root, sizeof root);
    return !psdk_sha256_broken();
}

bool pv_inclusion_verify(const uint8_t leaf[32], uint64_t index, uint64_t size, const void *proof,
                         uint32_t count, const uint8_t root[32])
{
    uint8_t found[32];

    return pv_inclusion_root(leaf, index, size, proof, count, found) && memcmp(found, root, sizeof found) == 0;
}

bool pv_consistency_verify(uint64_t old_size, const uint8_t old_root[32], uint64_t size, const uint8_t root[32],
                           const void *proof, uint32_t count)
{
    const uint8_t *hash = proof;
    struct place at = {old_size - 1, size - 1};
    uint8_t old_found[32], found[32];
    uint32_t used = 0;

    if (old_size == 0 || old_size > size)
        return false;
    if (old_size == size)
        return count == 0 && memcmp(old_root, root, 32) == 0;
    if (count == 0)
        return false;
    /* An old tree of 2^k leaves is itself a node of the new one: the proof then starts above its root. */
    if ((old_size & (old_size - 1)) != 0)
        used = 1;
    memcpy(found, used == 0 ? old_root : hash, sizeof found);
    memcpy(old_found, found, sizeof found);
    while ((at.node & 1) != 0)
        place_up(&at);
    for (; used < count; used++) {
        const uint8_t *next = hash + 32 * (size_t)used;

        if (at.last == 0)
            return false;
        if (place_step(&at)) {
            node_into(old_found, next, old_found);
            node_into(found, next, found);
        } else {
            node_into(found, found, next);
        }
    }
    return at.last == 0 && memcmp(old_found, old_root, 32) == 0 && memcmp(found, root, 32) == 0 &&
           !psdk_sha256_broken();
}
