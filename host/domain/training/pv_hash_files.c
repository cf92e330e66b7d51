/* pv_hash_files.c - the digest of one or several files. SPDX-License-Identifier: Apache-2.0
 *
 * Of one file its SHA-256; of several the SHA-256 of their `sha256sum` lines ("<hex>  <path>\n"), paths sorted by bytes:
 * `sha256sum A B | LC_ALL=C sort -k2 | sha256sum` gives the same. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "psdk_file.h"
#include "pv_call.h"
#include "pv_training.h"

#define CHUNK ((size_t)256 << 10) /* stays in the second-level cache between the read and the hash */

static int hash_one(const char *path, char ret[PSDK_SHA256_HEX], prov_error *err)
{
    struct psdk_sha256 h = {0};
    struct stat st;
    uint8_t digest[32];
    uint8_t *chunk = malloc(CHUNK);
    int fd = -1;
    int rc = chunk ? psdk_sha256_init(&h) : PROV_E_NOMEM;
    if (rc)
        psdk_fail(err, rc, "%s: %s", path, psdk_rc_text(rc));
    if (!rc) {
        fd = psdk_open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, err); /* a pipe must not hold us up */
        rc = fd < 0 ? fd : PROV_OK;
    }
    if (!rc && (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)))
        rc = psdk_fail(err, PROV_E_INVALID, "%s: not a regular file", path);
    if (!rc)
        posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    for (uint64_t at = 0; !rc;) {
        size_t got = 0;
        rc = psdk_pread_all(fd, chunk, CHUNK, at, &got, path, err);
        psdk_sha256_add(&h, chunk, got);
        at += got;
        if (!rc && pv_call_cancelled(NULL))
            rc = psdk_fail(err, PROV_E_CANCELLED, "%s: hashing was cancelled", path);
        if (got < CHUNK)
            break;
    }
    if (!rc && psdk_sha256_final(&h, digest))
        rc = psdk_fail(err, PROV_E_INTERNAL, "%s: SHA-256 failed", path);
    if (!rc)
        psdk_hex(digest, 32, ret);
    psdk_sha256_done(&h);
    psdk_close(&fd);
    free(chunk);
    return rc;
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int pv_hash_files(const char *const *paths, size_t n, char ret[PSDK_SHA256_HEX], prov_error *err)
{
    if (n == 0)
        return psdk_fail(err, PROV_E_INVALID, "no file given to hash");
    if (n == 1)
        return hash_one(paths[0], ret, err);
    const char **sorted = calloc(n, sizeof *sorted);
    struct psdk_buf lines = {0};
    int rc = sorted ? PROV_OK : psdk_fail(err, PROV_E_NOMEM, "hashing: out of memory");
    if (!rc) {
        memcpy(sorted, paths, n * sizeof *sorted);
        qsort(sorted, n, sizeof *sorted, by_bytes);
    }
    for (size_t i = 0; i < n && !rc; i++) {
        char hex[PSDK_SHA256_HEX];
        if (i && strcmp(sorted[i], sorted[i - 1]) == 0)
            rc = psdk_fail(err, PROV_E_INVALID, "%s: given twice", sorted[i]);
        else if (strchr(sorted[i], '\n'))
            rc = psdk_fail(err, PROV_E_INVALID, "a file name with a line break cannot be hashed");
        if (!rc)
            rc = hash_one(sorted[i], hex, err);
        if (!rc)
            psdk_buf_addf(&lines, "%s  %s\n", hex, sorted[i]);
    }
    if (!rc)
        rc = psdk_buf_check(&lines, err);
    if (!rc) {
        uint8_t digest[32];
        psdk_sha256(lines.data, lines.len, digest);
        psdk_hex(digest, 32, ret);
    }
    psdk_buf_done(&lines);
    free(sorted);
    return rc;
}
