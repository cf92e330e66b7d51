/* pv_segment.h - segment files of the journal: a header, then frames with chained checksums, in zero-filled space.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Header, 128 bytes, little-endian: magic "PVSEG1\0\0", u64 number, u64 first_wseq, u64 base_lsn, u64 last_ns,
 * prev[32], writer[49] and NUL, zeros, u32 CRC-32C of all before it.
 * Frame, at 8-byte alignment: u32 length (not 0), u32 CRC-32C of (checksum of the frame before, length, bytes), bytes, zeros
 * up to the alignment. The first frame continues the header's checksum. The first frame that does not fit ends the segment.
 */
#ifndef PV_SEGMENT_H
#define PV_SEGMENT_H

#include "pv_record.h"

#define PV_SEGMENT_HEADER 128u
#define PV_FRAME_HEADER 8u

struct pv_segment_header {
    uint64_t number;
    uint64_t first_wseq;
    uint64_t base_lsn;
    uint64_t last_ns; /* timestamp of the writer's record before the first */
    uint8_t prev[32]; /* id of the writer's record before the first; zero when first_wseq is 0 */
    char writer[PV_WRITER_TEXT];
};

/* What is known at the end of a scan. */
struct pv_segment_end {
    uint64_t offset;   /* where the next frame goes */
    uint64_t next_wseq;
    uint32_t checksum; /* that the next frame continues */
    uint64_t last_ns;
    uint8_t prev[32];
};

static inline uint64_t pv_frame_size(size_t record_len)
{
    return (PV_FRAME_HEADER + (uint64_t)record_len + 7u) & ~(uint64_t)7u;
}

void pv_segment_name(uint64_t number, char ret[32]);
/* false: not a segment's name. */
bool pv_segment_name_parse(const char *name, uint64_t *ret_number);
/* Makes a segment durably (file and folder) with zero-filled room; replaces what a dead process left there. */
int pv_segment_create(const char *dir, const struct pv_segment_header *header, uint64_t room, int *ret_fd,
                      prov_error *err);
/* Opens one for reading and writing and checks its header. PROV_E_CORRUPT when the header is not whole. */
int pv_segment_open(const char *dir, uint64_t number, struct pv_segment_header *ret, int *ret_fd, prov_error *err);
/* The same on an open descriptor; what names it in errors. */
int pv_segment_read_header(int fd, const char *what, uint64_t number, struct pv_segment_header *ret, prov_error *err);
/* Whether all bytes from offset to the end of the file are zero. */
int pv_segment_is_blank(int fd, const char *what, uint64_t offset, bool *ret_blank, prov_error *err);
/* Writes the bytes of [from, to) again in their place, so that the next sync covers them. */
int pv_segment_rewrite(int fd, const char *what, uint64_t from, uint64_t to, prov_error *err);
/* The end of the header, as a starting point. */
void pv_segment_start(const struct pv_segment_header *header, struct pv_segment_end *ret);
/* Appends a frame to buf and moves end behind it (all but last_ns). */
int pv_frame_add(struct psdk_buf *buf, const void *record, size_t len, const uint8_t id[32], struct pv_segment_end *end);
/* Reads frames from end on, in large reads, until `limit` (an offset; UINT64_MAX: until the first that does not fit) and
 * moves end along. each (may be NULL) gets every record; a non-zero result stops before that record: positive = PROV_OK. */
int pv_segment_scan(int fd, const char *what, struct pv_segment_end *end, uint64_t limit,
                    int (*each)(void *ctx, const uint8_t *record, size_t len, const uint8_t id[32]), void *ctx,
                    prov_error *err);
/* The timestamp of a record's bytes, without checking the rest; 0 when it has none. */
uint64_t pv_record_time(const uint8_t *record, size_t len);

#endif
