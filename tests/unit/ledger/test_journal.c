/* test_journal.c - what a journal finds when it is opened: torn tails, damage, copies. SPDX-License-Identifier: Apache-2.0 */
#include "unit/ledger/journal_rig.h"

#define RECORDS 4

/* A journal of RECORDS records, closed; its one segment in *ret, where each frame ends in ends (the two opening ones first). */
static void fill(struct jrig *r, struct psdk_buf *ret, uint64_t ends[RECORDS + 2])
{
    prov_error err = {0};
    uint64_t at = PV_SEGMENT_HEADER;
    jrig_open(r);
    for (int i = 0; i < RECORDS; i++)
        jrig_ok(jrig_append(r->j, i, NULL, &err), &err);
    jrig_close(r);
    jrig_read(r, SEGMENT_0, ret);
    for (int i = 0; i < RECORDS + 2; i++) {
        uint32_t len = (uint32_t)ret->data[at] | (uint32_t)ret->data[at + 1] << 8;
        at += pv_frame_size(len);
        ends[i] = at;
    }
}

static void remove_segments(const struct jrig *r)
{
    for (int i = 1; i < 4; i++) {
        char path[256], name[32];
        pv_segment_name((uint64_t)i, name);
        jrig_path(r, name, path);
        unlink(path);
    }
}

/* Opens what lies there, appends record 99, and finds the first `whole` frames and that one. */
static void expect(struct jrig *r, int whole)
{
    struct jseen seen;
    prov_error err = {0};
    jrig_open(r);
    jrig_ok(jrig_append(r->j, 99, NULL, &err), &err);
    for (int again = 0; again < 2; again++) {
        jrig_see(r, &seen);
        for (int i = 0; i < RECORDS; i++)
            ck_assert_int_eq(jrig_times(&seen, i), i + 2 < whole ? 1 : 0);
        ck_assert_int_eq(jrig_times(&seen, 99), 1);
        jrig_close(r);
        jrig_remove(r, "control"); /* and once more as after a reboot */
        jrig_open(r);
    }
    jrig_close(r);
}

static int whole_before(const uint64_t *ends, uint64_t offset)
{
    int n = 0;
    while (n < RECORDS + 2 && ends[n] <= offset)
        n++;
    return n;
}

START_TEST(a_tail_torn_at_any_byte_is_never_read_and_all_before_it_stays)
{
    struct jrig r;
    struct psdk_buf segment = {0};
    uint64_t ends[RECORDS + 2];
    jrig_init(&r, 0);
    fill(&r, &segment, ends);
    for (uint64_t at = 0; at <= ends[RECORDS + 1]; at++) {
        remove_segments(&r);
        jrig_write(&r, SEGMENT_0, segment.data, (size_t)at);
        jrig_remove(&r, "control");
        expect(&r, whole_before(ends, at));
    }
    psdk_buf_done(&segment);
    jrig_done(&r);
}
END_TEST

START_TEST(a_flipped_bit_ends_the_journal_before_its_record)
{
    struct jrig r;
    struct psdk_buf segment = {0};
    uint64_t ends[RECORDS + 2];
    jrig_init(&r, 0);
    fill(&r, &segment, ends);
    for (uint64_t at = PV_SEGMENT_HEADER; at < ends[RECORDS + 1]; at++) {
        int frame = whole_before(ends, at);
        uint64_t start = frame ? ends[frame - 1] : PV_SEGMENT_HEADER;
        uint32_t len = (uint32_t)segment.data[start] | (uint32_t)segment.data[start + 1] << 8;
        if (at >= start + PV_FRAME_HEADER + len) /* padding */
            continue;
        remove_segments(&r);
        segment.data[at] ^= (uint8_t)(1u << (at % 8));
        jrig_write(&r, SEGMENT_0, segment.data, segment.len);
        segment.data[at] ^= (uint8_t)(1u << (at % 8));
        jrig_remove(&r, "control");
        expect(&r, frame);
    }
    psdk_buf_done(&segment);
    jrig_done(&r);
}
END_TEST

START_TEST(a_damaged_header_with_records_behind_it_is_left_alone)
{
    struct jrig r;
    struct psdk_buf segment = {0}, after = {0};
    uint64_t ends[RECORDS + 2];
    prov_error err = {0};
    jrig_init(&r, 0);
    fill(&r, &segment, ends);
    segment.data[50] ^= 1;
    jrig_write(&r, SEGMENT_0, segment.data, segment.len);
    jrig_remove(&r, "control");
    ck_assert_int_eq(pv_journal_open(&r.config, &r.j, &err), PROV_E_CORRUPT);
    ck_assert_ptr_nonnull(strstr(err.message, "damaged"));
    jrig_read(&r, SEGMENT_0, &after);
    ck_assert_uint_eq(after.len, segment.len);
    ck_assert_mem_eq(after.data, segment.data, segment.len);
    segment.data[50] ^= 1; /* restored, all is there again */
    jrig_write(&r, SEGMENT_0, segment.data, segment.len);
    expect(&r, RECORDS + 2);
    psdk_buf_done(&segment);
    psdk_buf_done(&after);
    jrig_done(&r);
}
END_TEST

static int count_frame(void *ctx, const uint8_t *record, size_t len, const uint8_t id[32])
{
    (void)record;
    (void)len;
    (void)id;
    ++*(int *)ctx;
    return 0;
}

START_TEST(frames_behind_a_frame_that_was_replaced_do_not_count)
{
    struct jrig r;
    struct pv_segment_header header = {.number = 3, .first_wseq = 5};
    struct pv_segment_end end, third = {0};
    struct psdk_buf frames = {0}, other = {0};
    uint8_t id[32] = {1};
    prov_error err = {0};
    int fd = -1, count = 0;
    jrig_init(&r, 0);
    jrig_ok(pv_segment_create(r.dir, &header, 4096, &fd, &err), &err);
    pv_segment_start(&header, &end);
    for (int i = 0; i < 5; i++) {
        if (i == 2)
            third = end;
        jrig_ok(pv_frame_add(&frames, "record number ?", 15, id, &end), &err);
    }
    jrig_ok(psdk_pwrite_all(fd, frames.data, frames.len, PV_SEGMENT_HEADER, "test", &err), &err);
    pv_segment_start(&header, &end);
    jrig_ok(pv_segment_scan(fd, "test", &end, UINT64_MAX, count_frame, &count, &err), &err);
    ck_assert_int_eq(count, 5);
    uint64_t at = third.offset;
    jrig_ok(pv_frame_add(&other, "another of same", 15, id, &third), &err);
    jrig_ok(psdk_pwrite_all(fd, other.data, other.len, at, "test", &err), &err);
    pv_segment_start(&header, &end);
    count = 0;
    jrig_ok(pv_segment_scan(fd, "test", &end, UINT64_MAX, count_frame, &count, &err), &err);
    ck_assert_int_eq(count, 3);
    ck_assert_uint_eq(end.offset, third.offset);
    psdk_close(&fd);
    psdk_buf_done(&frames);
    psdk_buf_done(&other);
    jrig_done(&r);
}
END_TEST

START_TEST(segments_follow_one_another_and_go_when_they_are_sealed)
{
    struct jrig r;
    struct jseen seen;
    struct pv_journal_state state;
    struct pv_journal_batch batch;
    prov_error err = {0};
    char path[256];
    jrig_init(&r, 600);
    jrig_open(&r);
    for (int i = 0; i < 100; i++) {
        jrig_ok(jrig_append(r.j, i, NULL, &err), &err);
        if (i % 9 == 0) {
            jrig_close(&r);
            if (i % 2)
                jrig_remove(&r, "control");
            jrig_open(&r);
        }
    }
    jrig_see(&r, &seen);
    ck_assert_uint_eq(seen.count, 102);
    ck_assert_uint_eq(seen.writers, 1);
    jrig_ok(pv_journal_state(r.j, &state, &err), &err);
    ck_assert(!state.attempted && state.pending);
    jrig_ok(pv_journal_take(r.j, &state.sealed, 60, (size_t)1 << 20, &batch, &err), &err);
    ck_assert_uint_eq(batch.count, 60);
    jrig_ok(pv_journal_sealed(r.j, &batch.end, &err), &err);
    pv_journal_batch_done(&batch);
    jrig_path(&r, SEGMENT_0, path);
    ck_assert_int_ne(access(path, F_OK), 0);
    jrig_see(&r, &seen);
    ck_assert_uint_eq(seen.count, 42);
    ck_assert_int_eq(seen.n[0], 58);
    jrig_done(&r);
}
END_TEST

static void zeros(struct psdk_buf *b)
{
    memset(b->data, 0, b->len);
}

static void garbage(struct psdk_buf *b)
{
    for (size_t i = 0; i < b->len; i++)
        b->data[i] = (uint8_t)(i * 151 + 7);
}

static void shorter(struct psdk_buf *b)
{
    b->len = 20;
}

static void nothing(struct psdk_buf *b)
{
    (void)b;
}

START_TEST(a_control_file_that_is_lost_or_damaged_is_made_anew)
{
    static void (*const damage[])(struct psdk_buf *) = {zeros, garbage, shorter, nothing, NULL};
    struct jrig r;
    struct jseen seen;
    prov_error err = {0};
    jrig_init(&r, 900);
    for (size_t i = 0; i < sizeof damage / sizeof *damage; i++) {
        struct psdk_buf control = {0};
        jrig_open(&r);
        jrig_ok(jrig_append(r.j, (int)i, NULL, &err), &err);
        jrig_close(&r);
        jrig_read(&r, "control", &control);
        jrig_remove(&r, "control");
        if (damage[i]) { /* "nothing" is a copy: the same bytes, another file */
            damage[i](&control);
            jrig_write(&r, "control", control.data, control.len);
        }
        psdk_buf_done(&control);
    }
    jrig_open(&r);
    jrig_see(&r, &seen);
    ck_assert_uint_eq(seen.count, 7);
    ck_assert_uint_eq(seen.writers, 1);
    jrig_done(&r);
}
END_TEST

/* Copies the folder as `cp -r` does. */
static void copy_folder(const struct jrig *r, const char *to)
{
    char command[600];
    snprintf(command, sizeof command, "cp -r '%s' '%s'", r->where, to);
    ck_assert_int_eq(system(command), 0);
}

START_TEST(a_copied_journal_goes_on_as_a_new_writer_instance)
{
    struct jrig r;
    struct jseen first, second;
    prov_error err = {0};
    char copy[200];
    jrig_init(&r, 0);
    jrig_open(&r);
    jrig_ok(jrig_append(r.j, 1, NULL, &err), &err);
    snprintf(copy, sizeof copy, "%s/copy", r.dir);
    copy_folder(&r, copy); /* while it is open */
    jrig_ok(jrig_append(r.j, 2, NULL, &err), &err);
    jrig_see(&r, &first);
    ck_assert_uint_eq(first.writers, 1);
    jrig_close(&r);
    r.config.dir = copy;
    jrig_open(&r);
    jrig_ok(jrig_append(r.j, 3, NULL, &err), &err);
    jrig_see(&r, &second);
    ck_assert_uint_eq(second.writers, 2);
    ck_assert_str_eq(second.predecessor, first.writer);
    ck_assert_str_ne(second.writer, first.writer);
    ck_assert_uint_eq(second.count, 3 + 2 + 1);
    jrig_close(&r);
    jrig_open(&r); /* only once */
    jrig_see(&r, &second);
    ck_assert_uint_eq(second.writers, 2);
    jrig_done(&r);
}
END_TEST

START_TEST(another_machine_is_another_writer_instance)
{
    struct jrig r;
    struct jseen seen;
    prov_error err = {0};
    jrig_init(&r, 0);
    jrig_open(&r);
    jrig_ok(jrig_append(r.j, 1, NULL, &err), &err);
    jrig_close(&r);
    jrig_write(&r, "machine", "0123456789abcdef 1", 18);
    jrig_remove(&r, "control");
    jrig_open(&r);
    jrig_ok(jrig_append(r.j, 2, NULL, &err), &err);
    jrig_see(&r, &seen);
    ck_assert_uint_eq(seen.writers, 2);
    ck_assert_uint_eq(seen.count, 6);
    jrig_done(&r);
}
END_TEST

static void seal_all(struct jrig *r)
{
    struct pv_journal_state state;
    struct pv_journal_batch batch;
    prov_error err = {0};
    jrig_ok(pv_journal_state(r->j, &state, &err), &err);
    jrig_ok(pv_journal_take(r->j, &state.sealed, UINT64_MAX, (size_t)1 << 20, &batch, &err), &err);
    jrig_ok(pv_journal_sealed(r->j, &batch.end, &err), &err);
    pv_journal_batch_done(&batch);
}

START_TEST(a_segment_that_lost_sealed_records_is_not_written_on)
{
    struct jrig r;
    struct jseen seen;
    struct psdk_buf segment = {0};
    uint64_t ends[RECORDS + 2];
    prov_error err = {0};
    jrig_init(&r, 0);
    for (int cut = 0; cut < 3; cut++) {
        fill(&r, &segment, ends);
        jrig_open(&r);
        seal_all(&r);
        jrig_close(&r);
        /* back to a whole frame; to before the header's end; no segment at all */
        if (cut < 2)
            jrig_write(&r, SEGMENT_0, segment.data, cut ? 60 : (size_t)ends[3]);
        else
            jrig_remove(&r, SEGMENT_0);
        jrig_remove(&r, "control");
        jrig_open(&r);
        jrig_ok(jrig_append(r.j, 50, NULL, &err), &err);
        jrig_see(&r, &seen);
        ck_assert_uint_eq(seen.count, 3); /* of a new instance; what was sealed is not looked for here */
        ck_assert_int_eq(jrig_times(&seen, 50), 1);
        seal_all(&r);
        jrig_see(&r, &seen);
        ck_assert_uint_eq(seen.count, 0);
        psdk_buf_done(&segment);
        jrig_done(&r);
        jrig_init(&r, 0);
    }
    jrig_done(&r);
}
END_TEST

START_TEST(a_mark_that_is_lost_or_damaged_says_that_sealing_was_tried)
{
    struct jrig r;
    struct pv_journal_state state;
    prov_error err = {0};
    uint8_t bad[256] = {1};
    jrig_init(&r, 0);
    jrig_open(&r);
    jrig_ok(pv_journal_state(r.j, &state, &err), &err);
    ck_assert(!state.attempted);
    jrig_write(&r, "sealed", bad, sizeof bad);
    jrig_ok(pv_journal_state(r.j, &state, &err), &err);
    ck_assert(state.attempted);
    jrig_remove(&r, "sealed");
    jrig_ok(pv_journal_state(r.j, &state, &err), &err);
    ck_assert(state.attempted && state.pending);
    jrig_done(&r);
}
END_TEST

START_TEST(a_journal_of_another_stream_or_key_is_refused)
{
    struct jrig r;
    struct psdk_ed25519 key;
    prov_error err = {0};
    jrig_init(&r, 0);
    jrig_open(&r);
    jrig_close(&r);
    r.config.origin = "test.local/store/models/other";
    ck_assert_int_eq(pv_journal_open(&r.config, &r.j, &err), PROV_E_CONFIG);
    r.config.origin = "test.local/store/models/m";
    jrig_ok(psdk_ed25519_new(&key, &err), &err);
    r.config.writer_key = &key;
    ck_assert_int_eq(pv_journal_open(&r.config, &r.j, &err), PROV_E_CONFIG);
    ck_assert_ptr_nonnull(strstr(err.message, "another stream"));
    r.config.writer_key = &r.writer_key;
    jrig_write(&r, "meta.json", "", 0);
    ck_assert_int_eq(pv_journal_open(&r.config, &r.j, &err), PROV_E_CONFIG);
    psdk_ed25519_done(&key);
    jrig_done(&r);
}
END_TEST

START_TEST(a_record_that_is_too_large_is_refused_and_leaves_nothing)
{
    static const size_t sizes[] = {65535, 65536, 10u << 20};
    struct jrig r;
    struct jseen seen;
    prov_error err = {0};
    jrig_init(&r, 0);
    jrig_open(&r);
    char *body = malloc((10u << 20) + 1);
    ck_assert_ptr_nonnull(body);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        memset(body, 'x', sizes[i]);
        memcpy(body, "{\"n\":\"", 6);
        memcpy(body + sizes[i] - 2, "\"}", 2);
        struct pv_draft d[2] = {{"test.note", "m", "tester", "{}", 2}, {"test.note", "m", "tester", body, sizes[i]}};
        ck_assert_int_eq(pv_journal_append(r.j, d, 2, NULL, &err), PROV_E_LIMIT);
    }
    free(body);
    jrig_ok(jrig_append(r.j, 1, NULL, &err), &err);
    jrig_see(&r, &seen);
    ck_assert_uint_eq(seen.count, 3);
    jrig_done(&r);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("journal");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 110);
    tcase_add_test(t, a_tail_torn_at_any_byte_is_never_read_and_all_before_it_stays);
    tcase_add_test(t, a_flipped_bit_ends_the_journal_before_its_record);
    tcase_add_test(t, a_damaged_header_with_records_behind_it_is_left_alone);
    tcase_add_test(t, frames_behind_a_frame_that_was_replaced_do_not_count);
    tcase_add_test(t, segments_follow_one_another_and_go_when_they_are_sealed);
    tcase_add_test(t, a_control_file_that_is_lost_or_damaged_is_made_anew);
    tcase_add_test(t, a_copied_journal_goes_on_as_a_new_writer_instance);
    tcase_add_test(t, another_machine_is_another_writer_instance);
    tcase_add_test(t, a_segment_that_lost_sealed_records_is_not_written_on);
    tcase_add_test(t, a_mark_that_is_lost_or_damaged_says_that_sealing_was_tried);
    tcase_add_test(t, a_journal_of_another_stream_or_key_is_refused);
    tcase_add_test(t, a_record_that_is_too_large_is_refused_and_leaves_nothing);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
