/* iris_files.c - the files of a run: checkpoints in safetensors form, training.json, and plain reading and writing.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "iris_job.h"

__attribute__((format(printf, 3, 0))) static void fill(prov_error *err, int code, const char *format, va_list args)
{
    char text[sizeof err->message];

    vsnprintf(text, sizeof text, format, args); /* beside it: an argument may be err's own message */
    memset(err, 0, sizeof *err);
    err->code = code;
    memcpy(err->message, text, sizeof text);
}

int iris_fail(prov_error *err, int code, const char *format, ...)
{
    if (!err)
        return code;
    va_list args;
    va_start(args, format);
    fill(err, code, format, args);
    va_end(args);
    return code;
}

static int code_of(int number)
{
    switch (number) {
    case ENOENT:
    case ENOTDIR: return PROV_E_NOT_FOUND;
    case EEXIST: return PROV_E_EXISTS;
    case ENOSPC:
    case EDQUOT: return PROV_E_NOSPACE;
    case EACCES:
    case EPERM:
    case EROFS: return PROV_E_DENIED;
    case ENOMEM: return PROV_E_NOMEM;
    default: return PROV_E_IO;
    }
}

int iris_fail_errno(prov_error *err, const char *format, ...)
{
    int number = errno, code = code_of(number);

    if (!err)
        return code;
    va_list args;
    va_start(args, format);
    fill(err, code, format, args);
    va_end(args);
    err->native_code = number;
    size_t len = strlen(err->message);
    snprintf(err->message + len, sizeof err->message - len, ": %s", strerror(number));
    return code;
}

int iris_path(char ret[IRIS_DEMO_PATH_BYTES], const char *folder, const char *name, prov_error *err)
{
    int n = snprintf(ret, IRIS_DEMO_PATH_BYTES, "%s/%s", folder, name);

    if (n < 0 || n >= IRIS_DEMO_PATH_BYTES)
        return iris_fail(err, PROV_E_LIMIT, "'%.64s...': the path is too long", folder);
    return PROV_OK;
}

int iris_read_file(const char *path, char **ret, size_t *ret_len, prov_error *err)
{
    struct stat st;
    char *data = NULL;
    size_t len = 0;
    int rc = PROV_OK, fd = open(path, O_RDONLY | O_CLOEXEC);

    *ret = NULL;
    *ret_len = 0;
    if (fd < 0 || fstat(fd, &st) != 0) {
        rc = iris_fail_errno(err, "cannot open '%s'", path);
        goto out;
    }
    size_t size = (size_t)st.st_size;
    if (!(data = malloc(size + 1))) {
        rc = iris_fail(err, PROV_E_NOMEM, "'%s': no memory for %zu bytes", path, size);
        goto out;
    }
    while (len < size) {
        ssize_t n = read(fd, data + len, size - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            rc = n < 0 ? iris_fail_errno(err, "cannot read '%s'", path)
                       : iris_fail(err, PROV_E_IO, "'%s' became shorter while it was read", path);
            goto out;
        }
        len += (size_t)n;
    }
    data[len] = '\0';
    *ret = data;
    *ret_len = len;
    data = NULL;
out:
    free(data);
    if (fd >= 0)
        close(fd);
    return rc;
}

int iris_write_new(const char *path, const char *data, size_t len, prov_error *err)
{
    int rc = PROV_OK, fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);

    if (fd < 0)
        return iris_fail_errno(err, "cannot make '%s'", path);
    while (len > 0 && rc == PROV_OK) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno != EINTR)
            rc = iris_fail_errno(err, "cannot write '%s'", path);
        if (n > 0) {
            data += n;
            len -= (size_t)n;
        }
    }
    if (close(fd) != 0 && rc == PROV_OK)
        rc = iris_fail_errno(err, "cannot write '%s'", path);
    if (rc != PROV_OK)
        unlink(path);
    return rc;
}

/* ---- JSON -------------------------------------------------------------------------------------------------------- */

json_t *iris_number(double value)
{
    if (isnan(value))
        return json_string("NaN");
    if (isinf(value))
        return json_string(value > 0 ? "Infinity" : "-Infinity");
    return json_real(round(value * 1e6) / 1e6);
}

char *iris_json(json_t *doc, prov_error *err)
{
    char *text = doc ? json_dumps(doc, JSON_COMPACT) : NULL;

    json_decref(doc);
    if (!text)
        iris_fail(err, PROV_E_NOMEM, "out of memory for a JSON text");
    return text;
}

int iris_save_config(const char *path, int64_t epochs, uint64_t seed, prov_error *err)
{
    char seed_text[24];
    snprintf(seed_text, sizeof seed_text, "%" PRIu64, seed);
    json_t *doc = json_pack("{s:{s:[i,i,i],s:s,s:s}, s:{s:s,s:o,s:o,s:i}, s:I, s:s, s:{s:s,s:s,s:i,s:i}}",
                            "model", "layers", IRIS_FEATURES, IRIS_HIDDEN, IRIS_SPECIES, "hidden", "tanh", "output",
                            "softmax", "optimizer", "name", "momentum", "learning_rate",
                            iris_number((double)IRIS_LEARNING_RATE), "momentum", iris_number((double)IRIS_MOMENTUM),
                            "batch_size", IRIS_BATCH, "epochs", (json_int_t)epochs, "seed", seed_text, "dataset",
                            "name", "Fisher's Iris measurements", "sha256", iris_csv_sha256, "train_rows", IRIS_TRAIN,
                            "held_out_rows", IRIS_TEST);
    char *text = doc ? json_dumps(doc, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) : NULL;
    int rc = text ? iris_write_new(path, text, strlen(text), err)
                  : iris_fail(err, PROV_E_NOMEM, "out of memory for '%s'", path);

    json_decref(doc);
    free(text);
    return rc;
}

/* ---- checkpoints ------------------------------------------------------------------------------------------------- */

/* The four parts of a net, or of its velocity under "momentum.". */
static void list_net(const struct iris_net *net, const char *const names[4], const uint64_t (*shapes)[2],
                     prov_tensor ret[4])
{
    ret[0] = (prov_tensor){.name = names[0], .n_dims = 2, .shape = shapes[0], .data = net->w1};
    ret[0].size_bytes = sizeof net->w1;
    ret[1] = (prov_tensor){.name = names[1], .n_dims = 1, .shape = shapes[1], .data = net->b1};
    ret[1].size_bytes = sizeof net->b1;
    ret[2] = (prov_tensor){.name = names[2], .n_dims = 2, .shape = shapes[2], .data = net->w2};
    ret[2].size_bytes = sizeof net->w2;
    ret[3] = (prov_tensor){.name = names[3], .n_dims = 1, .shape = shapes[3], .data = net->b2};
    ret[3].size_bytes = sizeof net->b2;
}

int iris_save_checkpoint(const char *path, const struct iris_trainer *trainer, uint64_t seed, prov_error *err)
{
    static const char *const weights[4] = {"w1", "b1", "w2", "b2"};
    static const char *const momentum[4] = {"momentum.w1", "momentum.b1", "momentum.w2", "momentum.b2"};
    static const uint64_t shapes[4][2] = {
        {IRIS_HIDDEN, IRIS_FEATURES}, {IRIS_HIDDEN, 0}, {IRIS_SPECIES, IRIS_HIDDEN}, {IRIS_SPECIES, 0}};
    static const uint64_t features[1] = {IRIS_FEATURES};
    prov_tensor tensor[10];
    const prov_tensor *list[10];
    char number[4][24];

    list_net(&trainer->net, weights, shapes, tensor);
    list_net(&trainer->velocity, momentum, shapes, tensor + 4);
    tensor[8] = (prov_tensor){.name = "input.mean", .n_dims = 1, .shape = features, .data = trainer->mean,
                              .size_bytes = sizeof trainer->mean};
    tensor[9] = (prov_tensor){.name = "input.deviation", .n_dims = 1, .shape = features, .data = trainer->deviation,
                              .size_bytes = sizeof trainer->deviation};
    for (size_t i = 0; i < 10; i++) {
        tensor[i].struct_size = sizeof tensor[i];
        tensor[i].dtype = "F32";
        list[i] = &tensor[i];
    }
    snprintf(number[0], sizeof number[0], "%" PRId64, trainer->epoch);
    snprintf(number[1], sizeof number[1], "%" PRId64, trainer->step);
    snprintf(number[2], sizeof number[2], "%" PRIu64, seed);
    snprintf(number[3], sizeof number[3], "%016" PRIx64, trainer->random);
    char *metadata = iris_json(json_pack("{s:s,s:s,s:s,s:s}", "epoch", number[0], "step", number[1], "seed", number[2],
                                         "random_state", number[3]),
                               err);
    int rc = metadata ? prov_safetensors_write(path, list, 10, metadata, err) : PROV_E_NOMEM;
    free(metadata);
    return rc;
}
