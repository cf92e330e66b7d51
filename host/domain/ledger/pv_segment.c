/* pv_segment.c - segment files. SPDX-License-Identifier: Apache-2.0 */
#include "pv_segment.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "psdk_file.h"

#define SCAN_BYTES (256u << 10)
static const char MAGIC[8] = "PVSEG1\0";

static void put64(uint8_t *p, uint64_t v)
{
    for (int i = 0; i < 8; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

static uint64_t get64(const uint8_t *p)
{
    uint64_t v = 0;
    for (int i = 7; i >= 0; i--)
        v = v << 8 | p[i];
    return v;
}

static void put32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

static uint32_t get32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

void pv_segment_name(uint64_t number, char ret[32])
{
    snprintf(ret, 32, "segment-%012llu", (unsigned long long)number);
}

bool pv_segment_name_parse(const char *name, uint64_t *ret_number)
{
    char again[32];
    if (strncmp(name, "segment-", 8) != 0)
        return false;
    *ret_number = strtoull(name + 8, NULL, 10);
    pv_segment_name(*ret_number, again);
    return strcmp(name, again) == 0;
}

static void encode_header(const struct pv_segment_header *h, uint8_t out[PV_SEGMENT_HEADER])
{
    memset(out, 0, PV_SEGMENT_HEADER);
    memcpy(out, MAGIC, 8);
    put64(out + 8, h->number);
    put64(out + 16, h->first_wseq);
    put64(out + 24, h->base_lsn);
    put64(out + 32, h->last_ns);
    memcpy(out + 40, h->prev, 32);
    memcpy(out + 72, h->writer, PV_WRITER_TEXT);
    put32(out + 124, psdk_crc32c(0, out, 124));
}

static bool decode_header(const uint8_t in[PV_SEGMENT_HEADER], struct pv_segment_header *h)
{
    if (memcmp(in, MAGIC, 8) != 0 || get32(in + 124) != psdk_crc32c(0, in, 124))
        return false;
    h->number = get64(in + 8);
    h->first_wseq = get64(in + 16);
    h->base_lsn = get64(in + 24);
    h->last_ns = get64(in + 32);
    memcpy(h->prev, in + 40, 32);
    memcpy(h->writer, in + 72, PV_WRITER_TEXT);
    return h->writer[PV_WRITER_TEXT - 1] == '\0';
}

static int segment_path(const char *dir, uint64_t number, struct psdk_buf *path, prov_error *err)
{
    char name[32];
    pv_segment_name(number, name);
    psdk_buf_addf(path, "%s/%s", dir, name);
    return psdk_buf_check(path, err);
}

int pv_segment_create(const char *dir, const struct pv_segment_header *header, uint64_t room, int *ret_fd,
                      prov_error *err)
{
    struct psdk_buf path = {0}, first = {0};
    uint8_t head[PV_SEGMENT_HEADER];
    int fd = -1;
    encode_header(header, head);
    int rc = segment_path(dir, header->number, &path, err);
    if (rc)
        goto out;
    psdk_buf_add(&first, head, sizeof head);
    if (psdk_buf_reserve(&first, room) == PROV_OK) {
        memset(first.data + first.len, 0, room);
        first.len += room;
    }
    rc = psdk_buf_check(&first, err);
    if (rc)
        goto out;
    fd = psdk_open(psdk_buf_str(&path), O_RDWR | O_CREAT | O_TRUNC, 0600, err);
    if (fd < 0) {
        rc = fd;
        goto out;
    }
    rc = psdk_pwrite_all(fd, first.data, first.len, 0, psdk_buf_str(&path), err);
    if (!rc)
        rc = psdk_fdatasync(fd, psdk_buf_str(&path), err);
    if (!rc)
        rc = psdk_sync_dir(dir, err);
    if (!rc) {
        *ret_fd = fd;
        fd = -1;
    } else { /* nobody uses it yet; it must not come back after a power cut either */
        prov_error ignored = {0};
        unlink(psdk_buf_str(&path));
        psdk_sync_dir(dir, &ignored);
    }
out:
    psdk_close(&fd);
    psdk_buf_done(&path);
    psdk_buf_done(&first);
    return rc;
}

int pv_segment_read_header(int fd, const char *what, uint64_t number, struct pv_segment_header *ret, prov_error *err)
{
    uint8_t head[PV_SEGMENT_HEADER];
    size_t got = 0;
    int rc = psdk_pread_all(fd, head, sizeof head, 0, &got, what, err);
    if (!rc && (got != sizeof head || !decode_header(head, ret) || ret->number != number))
        rc = psdk_fail(err, PROV_E_CORRUPT, "%s: segment %llu is not a journal segment (its header is not whole)", what,
                       (unsigned long long)number);
    return rc;
}

int pv_segment_open(const char *dir, uint64_t number, struct pv_segment_header *ret, int *ret_fd, prov_error *err)
{
    struct psdk_buf path = {0};
    int fd = -1;
    int rc = segment_path(dir, number, &path, err);
    if (!rc && (fd = psdk_open(psdk_buf_str(&path), O_RDWR, 0, err)) < 0)
        rc = fd;
    if (!rc)
        rc = pv_segment_read_header(fd, dir, number, ret, err);
    if (!rc) {
        *ret_fd = fd;
        fd = -1;
    }
    psdk_close(&fd);
    psdk_buf_done(&path);
    return rc;
}

int pv_segment_is_blank(int fd, const char *what, uint64_t offset, bool *ret_blank, prov_error *err)
{
    uint8_t *data = malloc(SCAN_BYTES);
    size_t got = SCAN_BYTES;
    int rc = data ? PROV_OK : psdk_fail(err, PROV_E_NOMEM, "%s: out of memory", what);
    *ret_blank = true;
    while (!rc && *ret_blank && got == SCAN_BYTES) {
        rc = psdk_pread_all(fd, data, SCAN_BYTES, offset, &got, what, err);
        for (size_t i = 0; !rc && i < got && *ret_blank; i++)
            *ret_blank = data[i] == 0;
        offset += got;
    }
    free(data);
    return rc;
}

int pv_segment_rewrite(int fd, const char *what, uint64_t from, uint64_t to, prov_error *err)
{
    uint8_t *data = malloc(SCAN_BYTES);
    int rc = data ? PROV_OK : psdk_fail(err, PROV_E_NOMEM, "%s: out of memory", what);
    while (!rc && from < to) {
        size_t want = to - from < SCAN_BYTES ? (size_t)(to - from) : SCAN_BYTES, got = 0;
        rc = psdk_pread_all(fd, data, want, from, &got, what, err);
        if (!rc)
            rc = psdk_pwrite_all(fd, data, got, from, what, err);
        if (got == 0)
            break;
        from += got;
    }
    free(data);
    return rc;
}

void pv_segment_start(const struct pv_segment_header *header, struct pv_segment_end *ret)
{
    uint8_t head[PV_SEGMENT_HEADER];
    encode_header(header, head);
    ret->offset = PV_SEGMENT_HEADER;
    ret->next_wseq = header->first_wseq;
    ret->checksum = get32(head + 124);
    ret->last_ns = header->last_ns;
    memcpy(ret->prev, header->prev, 32);
}

static uint32_t frame_checksum(uint32_t before, const void *record, size_t len)
{
    uint8_t size[4];
    put32(size, (uint32_t)len);
    return psdk_crc32c(psdk_crc32c(before, size, 4), record, len);
}

int pv_frame_add(struct psdk_buf *buf, const void *record, size_t len, const uint8_t id[32], struct pv_segment_end *end)
{
    static const uint8_t zero[8];
    uint8_t head[PV_FRAME_HEADER];
    uint64_t size = pv_frame_size(len);
    uint32_t checksum = frame_checksum(end->checksum, record, len);
    put32(head, (uint32_t)len);
    put32(head + 4, checksum);
    psdk_buf_add(buf, head, sizeof head);
    psdk_buf_add(buf, record, len);
    psdk_buf_add(buf, zero, size - PV_FRAME_HEADER - len);
    if (buf->failed)
        return buf->failed;
    end->offset += size;
    end->next_wseq++;
    end->checksum = checksum;
    memcpy(end->prev, id, 32);
    return PROV_OK;
}

uint64_t pv_record_time(const uint8_t *record, size_t len)
{
    static const char key[] = ",\"timestamp\":\"";
    uint64_t ns = 0;
    const uint8_t *found = NULL;
    for (const uint8_t *p = record; (p = memmem(p, len - (size_t)(p - record), key, sizeof key - 1)) != NULL; p++)
        found = p;
    if (!found || (size_t)(record + len - found) < sizeof key - 1 + PSDK_TIME_SIZE - 1)
        return 0;
    return psdk_time_parse((const char *)found + sizeof key - 1, PSDK_TIME_SIZE - 1, &ns) ? ns : 0;
}

/* Takes one frame out of data; returns its size, 0 when more bytes are needed, or -1 when it ends the segment. */
static long frame_next(const uint8_t *data, size_t have, uint32_t before, size_t *ret_len)
{
    if (have < PV_FRAME_HEADER)
        return 0;
    uint32_t len = get32(data);
    if (len == 0 || len > PV_RECORD_MAX)
        return -1;
    uint64_t size = pv_frame_size(len);
    if (have < size)
        return 0;
    if (get32(data + 4) != frame_checksum(before, data + PV_FRAME_HEADER, len))
        return -1;
    *ret_len = len;
    return (long)size;
}

struct scan {
    const uint8_t *last; /* the last whole record, for its timestamp */
    size_t last_len;
    bool stop;
};

/* Frames of one chunk; *ret_used is how many bytes of it they take. */
static int scan_chunk(const uint8_t *data, size_t have, struct pv_segment_end *end, struct scan *s,
                      int (*each)(void *ctx, const uint8_t *record, size_t len, const uint8_t id[32]), void *ctx)
{
    size_t at = 0;
    for (;;) {
        size_t len = 0;
        long size = frame_next(data + at, have - at, end->checksum, &len);
        if (size <= 0) {
            s->stop = size < 0;
            break;
        }
        const uint8_t *record = data + at + PV_FRAME_HEADER;
        uint8_t id[32];
        psdk_leaf_hash(record, len, id);
        int rc = each ? each(ctx, record, len, id) : 0;
        if (rc) {
            s->stop = true;
            return rc < 0 ? rc : PROV_OK;
        }
        end->checksum = get32(data + at + 4);
        end->offset += (uint64_t)size;
        end->next_wseq++;
        memcpy(end->prev, id, 32);
        s->last = record;
        s->last_len = len;
        at += (size_t)size;
    }
    if (s->last)
        end->last_ns = pv_record_time(s->last, s->last_len);
    s->last = NULL;
    return PROV_OK;
}

int pv_segment_scan(int fd, const char *what, struct pv_segment_end *end, uint64_t limit,
                    int (*each)(void *ctx, const uint8_t *record, size_t len, const uint8_t id[32]), void *ctx,
                    prov_error *err)
{
    uint8_t *data = malloc(SCAN_BYTES);
    if (!data)
        return psdk_fail(err, PROV_E_NOMEM, "%s: out of memory", what);
    int rc = PROV_OK;
    struct scan s = {0};
    while (!rc && !s.stop && end->offset < limit) {
        size_t want = limit - end->offset < SCAN_BYTES ? (size_t)(limit - end->offset) : SCAN_BYTES;
        size_t got = 0;
        uint64_t before = end->offset;
        rc = psdk_pread_all(fd, data, want, before, &got, what, err);
        if (!rc)
            rc = scan_chunk(data, got, end, &s, each, ctx);
        if (end->offset == before) /* nothing whole in a full read: the end */
            break;
    }
    free(data);
    return rc;
}
