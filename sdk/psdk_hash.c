/* psdk_hash.c - SHA-256 over EVP, with what OpenSSL does slowly (fetching, allocating) done once.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The digest is fetched once a process, a context for one-shots is made once a thread. After a fork the child goes on
 * with both: they hold no locks, no file descriptors and no state between two digests.
 */
#include "psdk_hash.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/random.h>

#define SMALL_BYTES 1024 /* up to here a copy is cheaper than a second EVP_DigestUpdate */

static pthread_once_t fetch_once = PTHREAD_ONCE_INIT;
static EVP_MD *fetched_md;
static pthread_key_t ctx_key;
static bool have_ctx_key;
static _Thread_local EVP_MD_CTX *thread_ctx;
static atomic_bool broken;

static void free_thread_ctx(void *ctx)
{
    thread_ctx = NULL; /* a later destructor of this thread may hash again */
    EVP_MD_CTX_free(ctx);
}

static void fetch_sha256(void)
{
    fetched_md = EVP_MD_fetch(NULL, "SHA2-256", NULL);
    have_ctx_key = pthread_key_create(&ctx_key, free_thread_ctx) == 0;
}

/* When a plugin that carries this code is unloaded, threads that live on must not call into it at their end. */
__attribute__((destructor)) static void forget_ctx_key(void)
{
    if (have_ctx_key)
        pthread_key_delete(ctx_key);
    have_ctx_key = false;
}

/* A context that is ready for re-initialisation, or NULL. */
static EVP_MD_CTX *new_ctx(void)
{
    pthread_once(&fetch_once, fetch_sha256);
    if (!fetched_md)
        return NULL;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    if (ctx && !EVP_DigestInit_ex2(ctx, fetched_md, NULL)) {
        EVP_MD_CTX_free(ctx);
        ctx = NULL;
    }
    return ctx;
}

static EVP_MD_CTX *ctx_of_thread(void)
{
    if (thread_ctx)
        return thread_ctx;
    EVP_MD_CTX *ctx = new_ctx();
    if (ctx && (!have_ctx_key || pthread_setspecific(ctx_key, ctx) != 0)) {
        EVP_MD_CTX_free(ctx);
        ctx = NULL;
    }
    thread_ctx = ctx;
    return ctx;
}

int psdk_sha256_init(struct psdk_sha256 *h)
{
    h->failed = 0;
    if (!h->ctx) {
        h->ctx = new_ctx();
        if (h->ctx)
            return PROV_OK;
        h->failed = 1;
        return fetched_md ? PROV_E_NOMEM : PROV_E_INTERNAL;
    }
    if (EVP_DigestInit_ex2(h->ctx, NULL, NULL))
        return PROV_OK;
    h->failed = 1;
    return PROV_E_INTERNAL;
}

void psdk_sha256_add(struct psdk_sha256 *h, const void *data, size_t len)
{
    if (!h->ctx)
        h->failed = 1;
    if (h->failed || len == 0)
        return;
    if (!EVP_DigestUpdate(h->ctx, data, len))
        h->failed = 1;
}

int psdk_sha256_final(struct psdk_sha256 *h, uint8_t ret[32])
{
    if (h->ctx && !h->failed && EVP_DigestFinal_ex(h->ctx, ret, NULL))
        return PROV_OK;
    h->failed = 1;
    memset(ret, 0, PSDK_SHA256_BYTES);
    return PROV_E_INTERNAL;
}

void psdk_sha256_done(struct psdk_sha256 *h)
{
    EVP_MD_CTX_free(h->ctx);
    h->ctx = NULL;
    h->failed = 0;
}

/* head (may be empty) and data in one digest. */
static void digest_two(const void *head, size_t head_len, const void *data, size_t len, uint8_t ret[32])
{
    EVP_MD_CTX *ctx = ctx_of_thread();
    if (ctx && EVP_DigestInit_ex2(ctx, NULL, NULL) && (!head_len || EVP_DigestUpdate(ctx, head, head_len)) &&
        (!len || EVP_DigestUpdate(ctx, data, len)) && EVP_DigestFinal_ex(ctx, ret, NULL))
        return;
    atomic_store(&broken, true);
    memset(ret, 0, PSDK_SHA256_BYTES);
}

void psdk_sha256(const void *data, size_t len, uint8_t ret[32])
{
    digest_two(NULL, 0, data, len, ret);
}

void psdk_leaf_hash(const void *data, size_t len, uint8_t ret[32])
{
    uint8_t space[1 + SMALL_BYTES];
    space[0] = 0x00;
    if (len > SMALL_BYTES) {
        digest_two(space, 1, data, len, ret);
        return;
    }
    if (len)
        memcpy(space + 1, data, len);
    digest_two(NULL, 0, space, 1 + len, ret);
}

void psdk_node_hash(const uint8_t left[32], const uint8_t right[32], uint8_t ret[32])
{
    uint8_t space[65];
    space[0] = 0x01;
    memcpy(space + 1, left, 32);
    memcpy(space + 33, right, 32);
    digest_two(NULL, 0, space, sizeof space, ret);
}

bool psdk_sha256_broken(void)
{
    return atomic_load(&broken);
}

bool psdk_equal(const void *a, const void *b, size_t len)
{
    return len == 0 || CRYPTO_memcmp(a, b, len) == 0;
}

int psdk_random(void *ret, size_t len, prov_error *err)
{
    uint8_t *at = ret;
    while (len > 0) {
        ssize_t n = getrandom(at, len, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            psdk_fail_errno(err, n < 0 ? errno : EIO, "random bytes: the system's random source failed");
            if (err)
                err->code = PROV_E_INTERNAL;
            return PROV_E_INTERNAL;
        }
        at += n;
        len -= (size_t)n;
    }
    return PROV_OK;
}
