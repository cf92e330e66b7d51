/* pv_key_file.c - key files: loading, saving, listing.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A file is opened once, checked on its descriptor, and read from it. Saving writes NAME.key first: it alone is the
 * key, NAME.pub can be made from it, so that a machine that dies in between loses nothing.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "psdk_file.h"
#include "pv_key_impl.h"

#define PATH_BYTES 4096

/* DIR/NAME + suffix. */
static int path_of(const char *dir, const char *name, const char *suffix, char ret[PATH_BYTES], prov_error *err)
{
    int len = snprintf(ret, PATH_BYTES, "%s/%s%s", dir, name, suffix);

    if (len < 0 || len >= PATH_BYTES)
        return psdk_fail(err, PROV_E_LIMIT, "the path of key '%s' is too long", name);
    return PROV_OK;
}

/* Adds the bytes of an open, private, regular file. */
static int read_secret(int fd, const char *path, struct psdk_buf *ret, prov_error *err)
{
    char *real = NULL;
    size_t len = 0;
    struct stat st;
    int rc;

    if (fstat(fd, &st) != 0)
        return psdk_fail_errno(err, errno, "cannot look at '%s'", path);
    if (!S_ISREG(st.st_mode))
        return psdk_fail(err, PROV_E_INVALID, "'%s' is not a regular file", path);
    if (st.st_size > (off_t)PV_KEY_FILE_MAX)
        return psdk_fail(err, PROV_E_LIMIT, "'%s' has %lld bytes: too many for a private key", path,
                         (long long)st.st_size);
    real = realpath(path, NULL);
    if (real == NULL)
        return psdk_fail_errno(err, errno, "cannot find the real path of '%s'", path);
    rc = psdk_check_private(fd, real, true, err);
    if (rc == PROV_OK && psdk_buf_reserve(ret, PV_KEY_FILE_MAX + 1) != PROV_OK)
        rc = psdk_buf_check(ret, err);
    if (rc == PROV_OK) /* one byte more than allowed shows a file that grew */
        rc = psdk_pread_all(fd, ret->data, PV_KEY_FILE_MAX + 1, 0, &len, path, err);
    ret->len = rc == PROV_OK ? len : 0;
    free(real);
    return rc;
}

int pv_key_load_file(struct pv_key *key, const char *path, const char *name, const struct pv_passphrase *pass,
                     prov_error *err)
{
    struct psdk_buf text = {0};
    int fd, rc;

    memset(key, 0, sizeof *key);
    fd = psdk_open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, err);
    if (fd < 0) {
        rc = fd;
        goto out;
    }
    rc = read_secret(fd, path, &text, err);
    if (rc == PROV_OK) {
        rc = pv_key_parse(key, (const char *)text.data, text.len, name, pass, err);
        if (rc != PROV_OK)
            psdk_wrap(err, "'%s'", path);
    }
out:
    psdk_close(&fd);
    psdk_buf_wipe(&text);
    if (rc != PROV_OK)
        psdk_wrap(err, "private key%s%s%s", name ? " '" : "", name ? name : "", name ? "'" : "");
    return rc;
}

int pv_key_load(struct pv_key *key, const char *dir, const char *name, const struct pv_passphrase *pass,
                prov_error *err)
{
    char path[PATH_BYTES];
    int rc;

    memset(key, 0, sizeof *key);
    if (!pv_key_name_ok(name))
        return psdk_fail(err, PROV_E_INVALID,
                         "'%.80s' cannot be a key's name: want 1 to 63 of a-z 0-9 . _ - and a letter or digit first",
                         name);
    rc = path_of(dir, name, ".key", path, err);
    return rc == PROV_OK ? pv_key_load_file(key, path, name, pass, err) : rc;
}

/* ---- saving ------------------------------------------------------------------------------------------------------ */

static int write_private(const struct pv_key *key, const char *passphrase, struct psdk_buf *out, prov_error *err)
{
    if (key->algorithm == PV_KEY_ED25519)
        return pv_key_write_pem(key, passphrase, out, err);
    if (passphrase != NULL)
        return pv_keystore_write(key, passphrase, out, err);
    psdk_buf_reserve(out, 65);
    psdk_buf_add_hex(out, key->secp_secret, sizeof key->secp_secret);
    psdk_buf_addc(out, '\n');
    return psdk_buf_check(out, err);
}

static int write_public(const struct pv_key *key, struct psdk_buf *out, prov_error *err)
{
    if (key->algorithm == PV_KEY_ED25519) {
        pv_key_write_public_pem(key->ed.public_key, out);
    } else {
        pv_key_public_text(key, out);
        psdk_buf_addc(out, '\n');
    }
    return psdk_buf_check(out, err);
}

static int check_free(const char *path, prov_error *err)
{
    struct stat st;

    if (lstat(path, &st) == 0)
        return psdk_fail(err, PROV_E_EXISTS, "'%s' is there already and keys are never overwritten: choose another name"
                                             " or move it away", path);
    return errno == ENOENT || errno == ENOTDIR ? PROV_OK : psdk_fail_errno(err, errno, "cannot look at '%s'", path);
}

/* Creates a file, or leaves none: also when the write failed so late that the file is there already. */
static int create(const char *path, const struct psdk_buf *content, mode_t mode, prov_error *err)
{
    prov_error why = {0};
    int rc = psdk_write_file(path, content->data, content->len, mode, true, &why);

    if (rc != PROV_OK && why.outcome == PROV_OUTCOME_UNKNOWN)
        unlink(path);
    if (rc != PROV_OK && err != NULL)
        *err = why;
    return rc;
}

/* Both files or none. */
static int save_pair(const char *dir, const char *name, const struct psdk_buf *secret,
                     const struct psdk_buf *public_text, prov_error *err)
{
    char key_path[PATH_BYTES], public_path[PATH_BYTES];
    int rc = path_of(dir, name, ".key", key_path, err);

    if (rc == PROV_OK)
        rc = path_of(dir, name, ".pub", public_path, err);
    if (rc == PROV_OK)
        rc = check_free(key_path, err);
    if (rc == PROV_OK)
        rc = check_free(public_path, err);
    if (rc == PROV_OK)
        rc = psdk_mkdirs(dir, 0700, err);
    if (rc == PROV_OK)
        rc = create(key_path, secret, 0600, err);
    if (rc != PROV_OK)
        return rc;
    rc = create(public_path, public_text, 0644, err);
    if (rc != PROV_OK) {
        unlink(key_path); /* written above, by this call alone */
        psdk_sync_dir(dir, NULL);
    }
    return rc;
}

int pv_key_save(const struct pv_key *key, const char *dir, const char *passphrase, prov_error *err)
{
    struct psdk_buf secret = {0}, public_text = {0};
    int rc;

    if (!pv_key_name_ok(key->name))
        return psdk_fail(err, PROV_E_INVALID, "a key needs a name to be saved under");
    if (key->algorithm != PV_KEY_ED25519 && key->algorithm != PV_KEY_SECP256K1)
        return psdk_fail(err, PROV_E_INVALID, "key '%s' is empty", key->name);
    if (passphrase != NULL && (passphrase[0] == '\0' || strlen(passphrase) >= PV_PASSPHRASE_MAX))
        return psdk_fail(err, PROV_E_INVALID, "key '%s': a passphrase has 1 to %d bytes", key->name,
                         PV_PASSPHRASE_MAX - 1);
    rc = write_private(key, passphrase, &secret, err);
    if (rc == PROV_OK)
        rc = write_public(key, &public_text, err);
    if (rc == PROV_OK)
        rc = save_pair(dir, key->name, &secret, &public_text, err);
    psdk_buf_wipe(&secret);
    psdk_buf_done(&public_text);
    if (rc != PROV_OK)
        psdk_wrap(err, "key '%s'", key->name);
    return rc;
}

/* ---- listing ----------------------------------------------------------------------------------------------------- */

static int compare_names(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* Appends the names in a folder as records of PV_KEY_NAME_MAX bytes. */
static int collect(DIR *folder, const char *dir, struct psdk_buf *records, prov_error *err)
{
    const struct dirent *entry;
    int rc = PROV_OK;

    while (rc == PROV_OK) {
        char name[PV_KEY_NAME_MAX] = "";
        size_t len;

        errno = 0;
        entry = readdir(folder);
        if (entry == NULL)
            return errno != 0 ? psdk_fail_errno(err, errno, "cannot read the folder '%s'", dir) : PROV_OK;
        len = strlen(entry->d_name);
        if (len < 5 || len - 4 >= sizeof name || strcmp(entry->d_name + len - 4, ".key") != 0)
            continue;
        memcpy(name, entry->d_name, len - 4);
        if (pv_key_name_ok(name))
            rc = psdk_buf_add(records, name, sizeof name);
    }
    return psdk_buf_check(records, err);
}

int pv_key_list(const char *dir, struct psdk_buf *ret_names, prov_error *err)
{
    struct psdk_buf records = {0};
    DIR *folder = opendir(dir);
    int rc = PROV_OK;

    if (folder == NULL && errno != ENOENT)
        return psdk_fail_errno(err, errno, "cannot open the folder '%s'", dir);
    if (folder != NULL) {
        rc = collect(folder, dir, &records, err);
        closedir(folder);
    }
    if (rc == PROV_OK) {
        if (records.len > 0)
            qsort(records.data, records.len / PV_KEY_NAME_MAX, PV_KEY_NAME_MAX, compare_names);
        for (size_t at = 0; at < records.len; at += PV_KEY_NAME_MAX)
            psdk_buf_add(ret_names, records.data + at, strlen((const char *)records.data + at) + 1);
        psdk_buf_addc(ret_names, '\0');
        rc = psdk_buf_check(ret_names, err);
    }
    psdk_buf_done(&records);
    return rc;
}
