/* local_plugin.c - the descriptor of storage-local, its options, create and destroy.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "local.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int parse_mode(const char *text, mode_t *ret, prov_error *err)
{
    char *end = NULL;
    unsigned long mode = strtoul(text, &end, 8);
    if (text[0] < '0' || text[0] > '7' || *end != '\0' || (mode & ~0666ul) != 0 || (mode & 0600) != 0600)
        return psdk_fail(err, PROV_E_CONFIG, "mode: want octal digits such as 0644 or 0600 (read and write for the "
                         "owner, nothing to execute), got '%.32s'", text);
    *ret = (mode_t)mode;
    return PROV_OK;
}

/* Opens a folder of the store's own, making it. -1 with errno. */
static int own_folder(const struct pv_local *self, const char *name)
{
    mode_t mode = self->mode | 0700 | ((self->mode & 0444) >> 2);
    bool made = mkdirat(self->root, name, mode) == 0;
    if (!made && errno != EEXIST)
        return -1;
    if (made && self->fsync && fsync(self->root) != 0)
        return -1;
    return openat(self->root, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* Opens the root and its own folders. A store that cannot be written is fine for reading: self->tmp stays -1. */
static int open_store(struct pv_local *self, prov_error *err)
{
    mode_t mode = self->mode | 0700 | ((self->mode & 0444) >> 2);
    int rc = psdk_mkdirs(self->path, mode, err);
    if (rc != PROV_OK)
        return rc;
    self->root = psdk_open(self->path, O_RDONLY | O_DIRECTORY, 0, err);
    if (self->root < 0)
        return self->root;
    int lock = own_folder(self, LOCAL_LOCK);
    if (lock >= 0)
        self->tmp = own_folder(self, LOCAL_TMP);
    bool read_only = lock < 0 || self->tmp < 0 || faccessat(self->tmp, ".", W_OK | X_OK, AT_EACCESS) != 0;
    int why = errno;
    psdk_close(&lock);
    if (!read_only)
        return PROV_OK;
    psdk_close(&self->tmp);
    if (why == EROFS || why == EACCES || why == EPERM)
        return PROV_OK;
    return psdk_fail_errno(err, why, "cannot prepare the store '%s'", self->path);
}

/* Writes, times and removes a temporary file. */
static int try_out(const struct pv_local *self, prov_error *err)
{
    struct pv_local_temp temp = PV_LOCAL_TEMP_INIT;
    int rc = pv_local_temp_open(self, 0, &temp, err);
    if (rc == PROV_OK)
        rc = psdk_write_all(temp.fd, "probe\n", 6, self->path, err);
    if (rc == PROV_OK)
        rc = pv_local_temp_stamp(&temp, err);
    pv_local_temp_done(self, &temp);
    return rc;
}

static void destroy(void *instance)
{
    struct pv_local *self = instance;
    psdk_close(&self->tmp);
    psdk_close(&self->root);
    free(self->path);
    free(self);
}

static int32_t create(const prov_host *host, const prov_option_value *values, uint64_t n_values, void **ret_instance,
                      prov_error *err)
{
    const char *path = psdk_option_get(values, n_values, "path");
    const char *mode = psdk_option_get(values, n_values, "mode");
    int rc = PROV_OK;
    (void)host;
    struct pv_local *self = calloc(1, sizeof *self);
    if (self == NULL)
        return psdk_fail(err, PROV_E_NOMEM, "no memory");
    self->root = self->tmp = -1;
    self->fsync = psdk_option_bool(values, n_values, "fsync", true);
    if (path == NULL || path[0] != '/')
        rc = psdk_fail(err, PROV_E_CONFIG, "path: want the absolute path of a folder");
    else if (strlen(path) > 3500)
        rc = psdk_fail(err, PROV_E_CONFIG, "path: it is too long");
    if (rc == PROV_OK)
        rc = parse_mode(mode != NULL ? mode : "0644", &self->mode, err);
    if (rc == PROV_OK && (self->path = strdup(path)) == NULL)
        rc = psdk_fail(err, PROV_E_NOMEM, "no memory");
    if (rc == PROV_OK)
        rc = open_store(self, err);
    if (rc == PROV_OK && self->tmp >= 0) {
        pv_local_sweep(self);
        rc = try_out(self, err);
        if (rc == PROV_E_NOSPACE) /* a full store can still be read */
            rc = PROV_OK;
    }
    if (rc == PROV_OK) {
        *ret_instance = self;
        return rc;
    }
    destroy(self);
    if (rc != PROV_E_NOMEM) {
        err->code = PROV_E_CONFIG;
        psdk_outcome(err, PROV_OUTCOME_PERMANENT);
    }
    return err->code;
}

int32_t pv_local_probe(void *self_, const prov_call *call, prov_error *err)
{
    const struct pv_local *self = self_;
    struct stat st;
    int rc = psdk_call_check(call, err);
    if (rc == PROV_OK && (fstat(self->root, &st) != 0 || st.st_nlink == 0))
        rc = psdk_fail(err, PROV_E_UNAVAILABLE, "the folder '%s' was removed", self->path);
    if (rc == PROV_OK)
        rc = try_out(self, err);
    return psdk_not_applied(err, rc);
}

static const prov_option option_path = {
    .struct_size = sizeof(prov_option),
    .type = PROV_OPT_PATH,
    .flags = PROV_OPT_REQUIRED,
    .name = "path",
    .doc = "Folder of the store; it is made when missing. Objects are plain files in it.",
};
static const prov_option option_fsync = {
    .struct_size = sizeof(prov_option),
    .type = PROV_OPT_BOOL,
    .name = "fsync",
    .default_value = "true",
    .doc = "false: faster, but a power failure may lose or truncate objects that were reported as stored",
};
static const prov_option option_mode = {
    .struct_size = sizeof(prov_option),
    .type = PROV_OPT_STRING,
    .name = "mode",
    .default_value = "0644",
    .doc = "Permissions of new objects, octal, cut by the umask; folders get x where there is r",
};
static const prov_option *const options[] = {&option_path, &option_fsync, &option_mode, NULL};

static const prov_storage_ops ops = {
    .struct_size = sizeof ops,
    .put = pv_local_put,
    .get = pv_local_get,
    .stat = pv_local_stat,
    .list = pv_local_list,
    .del = pv_local_del,
    .copy = pv_local_copy,
    .put_many = pv_local_put_many,
    .put_fd = pv_local_put_fd,
    .multipart_begin = pv_local_multipart_begin,
    .multipart_put = pv_local_multipart_put,
    .multipart_list = pv_local_multipart_list,
    .multipart_commit = pv_local_multipart_commit,
    .multipart_abort = pv_local_multipart_abort,
    .probe = pv_local_probe,
};

static const prov_provider provider = {
    .struct_size = sizeof provider,
    .role = PROV_ROLE_STORAGE,
    .name = "storage-local",
    .doc = "Objects as plain files below a local folder, with compare-and-swap across processes",
    .capabilities = PROV_CAP_THREADSAFE | PROV_CAP_PERSISTENT | PROV_CAP_SHARED,
    .options = options,
    .ops = &ops,
    .create = create,
    .destroy = destroy,
};
static const prov_provider *const providers[] = {&provider, NULL};

const prov_plugin prov_plugin_v1 = {
    .struct_size = sizeof prov_plugin_v1,
    .abi_minor = PROV_ABI_MINOR,
    .name = "storage-local",
    .version = "0.1.0",
    .licence = "Apache-2.0",
    .url = "",
    .providers = providers,
};
