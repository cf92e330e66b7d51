/* cli_read.c - reading a file, or stdin, whole. SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"

static char *failed(prov_error *err, int code, const char *path, const char *why)
{
    err->code = code;
    snprintf(err->message, sizeof err->message, "%.300s: %s", path, why);
    return NULL;
}

static int code_of(int errnum)
{
    return errnum == ENOENT || errnum == ENOTDIR || errnum == ELOOP || errnum == ENAMETOOLONG ? PROV_E_NOT_FOUND
           : errnum == EACCES || errnum == EPERM                                              ? PROV_E_DENIED
           : errnum == EINTR                                                                  ? PROV_E_CANCELLED
                                                                                              : PROV_E_IO;
}

static char *read_fd(int fd, const char *path, size_t max_bytes, size_t *ret_len, prov_error *err)
{
    size_t cap = 65536, len = 0;
    char *data = malloc(cap);
    for (;;) {
        if (data && len + 1 == cap) {
            char *more = cap <= max_bytes ? realloc(data, cap * 2) : NULL;
            if (!more && cap > max_bytes) {
                free(data);
                char why[64];
                snprintf(why, sizeof why, "is larger than %zu MiB", max_bytes >> 20);
                return failed(err, PROV_E_LIMIT, path, why);
            }
            if (!more)
                free(data);
            data = more;
            cap *= 2;
        }
        if (!data)
            return failed(err, PROV_E_NOMEM, path, "out of memory");
        ssize_t n = read(fd, data + len, cap - len - 1);
        if (n < 0 && errno == EINTR && !cli_signalled())
            continue;
        if (n < 0) {
            int saved = errno;
            free(data);
            return failed(err, code_of(saved), path, strerror(saved));
        }
        if (n == 0)
            break;
        len += (size_t)n;
    }
    data[len] = '\0';
    *ret_len = len;
    return data;
}

char *cli_read(struct cli *cli, const char *path, size_t max_bytes, size_t *ret_len, prov_error *err)
{
    if (strcmp(path, "-") == 0) {
        if (cli->stdin_used)
            return failed(err, PROV_E_INVALID, "-", "stdin can be read once only");
        cli->stdin_used = true;
        return read_fd(STDIN_FILENO, "stdin", max_bytes, ret_len, err);
    }
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return failed(err, code_of(errno), path, strerror(errno));
    if (fstat(fd, &info) == 0 && S_ISDIR(info.st_mode)) {
        close(fd);
        return failed(err, PROV_E_INVALID, path, "is a folder, not a file");
    }
    char *data = read_fd(fd, path, max_bytes, ret_len, err);
    close(fd);
    return data;
}
