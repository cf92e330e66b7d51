/* pv_config_trust.c - reading configuration files, and which of them the user has trusted.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * user_dir/trusted has one line for each file, "SHA-256 in hex, two spaces, absolute path", as sha256sum writes them. A
 * file counts as trusted only while its content is the recorded one: after a change it is read again by its user, or it
 * may do no more than any cloned repository's.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pv_config_impl.h"
#include "psdk_file.h"
#include "psdk_hash.h"
#include "pv_dirs.h"

#define TRUST_MAX_BYTES ((size_t)4 << 20)
#define TRUST_WAIT_NS (10ull * 1000 * 1000 * 1000)

static int read_open(int fd, const char *path, bool with_private, struct psdk_buf *out, prov_error *err)
{
    struct stat st;
    size_t got = 0;
    int rc = PROV_OK;

    if (fstat(fd, &st) != 0)
        return psdk_fail_errno(err, errno, "%s", path);
    if (!S_ISREG(st.st_mode))
        return psdk_fail(err, PROV_E_CONFIG, "%s: not a regular file", path);
    if (with_private) {
        char *real = realpath(path, NULL);
        rc = real ? psdk_check_private(fd, real, false, err) : psdk_fail_errno(err, errno, "%s", path);
        free(real);
    }
    if (rc)
        return rc;
    if ((uint64_t)st.st_size > PV_CONFIG_MAX_BYTES)
        return psdk_fail(err, PROV_E_CONFIG, "%s: larger than 1 MiB; a configuration is never that large", path);
    rc = psdk_buf_reserve(out, (size_t)st.st_size + 1);
    if (rc)
        return psdk_fail(err, rc, "%s: out of memory", path);
    rc = psdk_pread_all(fd, out->data + out->len, (size_t)st.st_size, 0, &got, path, err);
    out->len += got;
    out->data[out->len] = '\0';
    return rc;
}

/* Failures become configuration errors (exit code 5), whatever the system said. */
int pv_config_read(const char *path, bool with_private, struct psdk_buf *out, bool *ret_found, prov_error *err)
{
    *ret_found = false;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return PROV_OK;
    if (fd < 0) {
        psdk_fail_errno(err, errno, "%s", path);
        if (err)
            err->code = PROV_E_CONFIG;
        return PROV_E_CONFIG;
    }
    int rc = read_open(fd, path, with_private, out, err);
    psdk_close(&fd);
    if (rc && rc != PROV_E_NOMEM) {
        if (err)
            err->code = PROV_E_CONFIG;
        return PROV_E_CONFIG;
    }
    *ret_found = rc == PROV_OK;
    return rc;
}

char *pv_config_default_user_dir(const char *const *environment)
{
    char dir[4096], *copy = NULL;
    if (!environment)
        return pv_dirs_get(PV_DIR_CONFIG, NULL, dir, sizeof dir, NULL) == PROV_OK ? strdup(dir) : NULL;
    const char *xdg = pv_env_get(environment, "XDG_CONFIG_HOME"), *home = pv_env_get(environment, "HOME");
    int n = -1;
    if (xdg && *xdg == '/')
        n = asprintf(&copy, "%s/prov", xdg);
    else if (home && *home == '/')
        n = asprintf(&copy, "%s/.config/prov", home);
    return n < 0 ? NULL : copy;
}

/* Reads user_dir/trusted; none is an empty one. */
static int read_trusted(const char *path, struct psdk_buf *out, prov_error *err)
{
    bool found;
    int rc = pv_config_read(path, true, out, &found, err);
    return rc ? psdk_wrap(err, "list of trusted files") : PROV_OK;
}

static void digest_hex(const struct psdk_buf *content, char ret[PSDK_SHA256_HEX])
{
    uint8_t digest[32];
    psdk_sha256(psdk_buf_str(content), content->len, digest);
    psdk_hex(digest, sizeof digest, ret);
}

int pv_config_is_trusted(const char *user_dir, const char *path, const struct psdk_buf *content, bool *ret,
                         prov_error *err)
{
    struct psdk_buf list = {0};
    char hex[PSDK_SHA256_HEX], *file = NULL, *real = NULL;
    int rc;

    *ret = false;
    if (!user_dir)
        return PROV_OK;
    if (asprintf(&file, "%s/trusted", user_dir) < 0)
        return psdk_fail(err, PROV_E_NOMEM, "configuration: out of memory");
    rc = read_trusted(file, &list, err);
    digest_hex(content, hex);
    real = realpath(path, NULL); /* as pv_config_trust writes it */
    size_t path_len = real ? strlen(real) : 0;
    for (const char *line = real ? psdk_buf_str(&list) : ""; !rc && *line && !psdk_sha256_broken();) {
        size_t n = strcspn(line, "\n");
        if (n == 66 + path_len && memcmp(line, hex, 64) == 0 && memcmp(line + 64, "  ", 2) == 0 &&
            memcmp(line + 66, real, path_len) == 0)
            *ret = true;
        line += n + (line[n] == '\n');
    }
    psdk_buf_done(&list);
    free(real);
    free(file);
    return rc;
}

/* The list without the lines of path, and with a new one. */
static int replace_line(const char *list, const char *path, const char *hex, struct psdk_buf *out, prov_error *err)
{
    size_t path_len = strlen(path);
    while (*list) {
        size_t n = strcspn(list, "\n");
        bool same = n == 66 + path_len && memcmp(list + 66, path, path_len) == 0;
        if (n > 0 && !same) {
            psdk_buf_add(out, list, n);
            psdk_buf_addc(out, '\n');
        }
        list += n + (list[n] == '\n');
    }
    psdk_buf_addf(out, "%s  %s\n", hex, path);
    return psdk_buf_check(out, err);
}

static int record(const char *dir, const char *path, const char *hex, prov_error *err)
{
    struct psdk_lock lock = PSDK_LOCK_INIT;
    struct psdk_buf old = {0}, text = {.max = TRUST_MAX_BYTES};
    char *file = NULL, *lock_file = NULL;
    int rc;

    if (asprintf(&file, "%s/trusted", dir) < 0 || asprintf(&lock_file, "%s/trusted.lock", dir) < 0) {
        rc = psdk_fail(err, PROV_E_NOMEM, "configuration: out of memory");
        goto out;
    }
    rc = psdk_mkdirs(dir, 0700, err);
    if (!rc)
        rc = psdk_lock_take(&lock, lock_file, false, TRUST_WAIT_NS, err);
    if (!rc)
        rc = read_trusted(file, &old, err);
    if (!rc)
        rc = replace_line(psdk_buf_str(&old), path, hex, &text, err);
    if (!rc)
        rc = psdk_write_file(file, text.data, text.len, 0600, false, err);
out:
    psdk_lock_drop(&lock);
    psdk_buf_done(&old);
    psdk_buf_done(&text);
    free(file);
    free(lock_file);
    return rc;
}

int pv_config_trust(const char *file, const char *user_dir, prov_error *err)
{
    struct psdk_buf content = {0};
    char hex[PSDK_SHA256_HEX];
    char *real = realpath(file, NULL), *dir = user_dir ? strdup(user_dir) : pv_config_default_user_dir(NULL);
    bool found = false;
    int rc;

    if (!real)
        rc = psdk_fail_errno(err, errno, "%s", file);
    else if (!dir)
        rc = psdk_fail(err, PROV_E_CONFIG, "there is no folder for your configuration; set HOME or XDG_CONFIG_HOME");
    else if (strchr(real, '\n'))
        rc = psdk_fail(err, PROV_E_INVALID, "a path with a line break cannot be trusted");
    else
        rc = pv_config_read(real, false, &content, &found, err);
    if (!rc && !found)
        rc = psdk_fail(err, PROV_E_NOT_FOUND, "%s: no such file", file);
    if (!rc) {
        digest_hex(&content, hex);
        rc = psdk_sha256_broken() ? psdk_fail(err, PROV_E_INTERNAL, "SHA-256 does not work here")
                                  : record(dir, real, hex, err);
    }
    psdk_buf_done(&content);
    free(real);
    free(dir);
    return rc;
}
