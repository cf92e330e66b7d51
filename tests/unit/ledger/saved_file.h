/* saved_file.h - a file whose content a test puts back. SPDX-License-Identifier: Apache-2.0 */
#ifndef SAVED_FILE_H
#define SAVED_FILE_H

#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "psdk_file.h"

struct saved_file {
    char path[256];
    uint8_t *data;
    size_t len;
};

static inline void ok(int rc, const prov_error *err)
{
    ck_assert_msg(rc == PROV_OK, "%s: %s", psdk_rc_name(rc), err->message);
}

static inline void save(struct saved_file *f)
{
    struct psdk_buf data = {0};
    prov_error err = {0};
    ok(psdk_read_file(f->path, (size_t)1 << 24, &data, &err), &err);
    free(f->data);
    f->data = data.data;
    f->len = data.len;
}

/* In its place: a journal knows its folder and its control file by their inodes. */
static inline void restore(const struct saved_file *f)
{
    int fd = open(f->path, O_RDWR | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, (off_t)f->len), 0);
    ck_assert_int_eq(pwrite(fd, f->data, f->len, 0), (ssize_t)f->len);
    close(fd);
}

#endif
