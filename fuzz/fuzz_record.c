/* fuzz_record.c - records from any bytes.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A record has one spelling: its parts, put together again in the canonical order, must be the same bytes. What the
 * journal makes records with must be able to make it, and give it the same id.
 */
#include <stdlib.h>
#include <string.h>

#include "psdk_file.h"
#include "psdk_json.h"
#include "pv_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok)
        abort();
}

static void add_slice(struct psdk_buf *out, const char *before, const struct pv_slice *slice)
{
    psdk_buf_adds(out, before);
    psdk_buf_add(out, slice->data, slice->len);
}

static void assemble(struct psdk_buf *out, const struct pv_record *r)
{
    char time[PSDK_TIME_SIZE];
    add_slice(out, "{\"actor\":\"", &r->actor);
    add_slice(out, "\",\"body\":", &r->body);
    add_slice(out, ",\"kind\":\"", &r->kind);
    add_slice(out, "\",\"origin\":\"", &r->origin);
    psdk_buf_adds(out, r->has_prev ? "\",\"prev\":\"" : "\",\"prev\":null");
    if (r->has_prev) {
        psdk_buf_add_hex(out, r->prev, 32);
        psdk_buf_addc(out, '"');
    }
    add_slice(out, ",\"subject\":\"", &r->subject);
    psdk_time_format(r->timestamp_ns, time);
    psdk_buf_addf(out, "\",\"timestamp\":\"%s", time);
    add_slice(out, "\",\"writer\":\"", &r->writer);
    psdk_buf_addf(out, "\",\"wseq\":%llu}", (unsigned long long)r->wseq);
}

/* What was read can be written: with the texts of the record as a draft, the journal makes the same bytes. */
static void write_again(const struct pv_record *r)
{
    struct psdk_buf out = {0};
    struct pv_record_parts parts;
    char time[PSDK_TIME_SIZE], kind[PV_KIND_MAX + 1] = "", subject[PV_ID_MAX + 1] = "";
    char origin[PV_ORIGIN_MAX + 1] = "", writer[PV_WRITER_TEXT] = "";
    uint8_t id[32];
    prov_error err = {0};
    json_t *whole = psdk_json_parse(r->bytes, r->len, "record", &err);
    must(whole != NULL);
    memcpy(kind, r->kind.data, r->kind.len);
    memcpy(subject, r->subject.data, r->subject.len);
    memcpy(origin, r->origin.data, r->origin.len);
    memcpy(writer, r->writer.data, r->writer.len);
    struct pv_draft draft = {.kind = kind, .subject = subject, .body = r->body.data, .body_len = r->body.len,
                             .actor = json_string_value(json_object_get(whole, "actor"))};
    int rc = pv_record_prepare(&draft, origin, writer, &parts, &err);
    must(rc == PROV_OK || rc == PROV_E_LIMIT); /* the journal leaves room for the longest wseq */
    if (rc == PROV_OK) {
        psdk_time_format(r->timestamp_ns, time);
        must(pv_record_finish(&parts, r->has_prev ? r->prev : NULL, time, r->wseq, &out, id) == PROV_OK);
        must(out.len == r->len && memcmp(out.data, r->bytes, r->len) == 0 && memcmp(id, r->id, 32) == 0);
        must(out.len <= pv_record_parts_max(&parts));
        pv_record_parts_done(&parts);
    }
    psdk_buf_done(&out);
    json_decref(whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct psdk_buf again = {0};
    struct pv_record record;
    struct pv_authorize auth;
    prov_error err = {0}, auth_err = {0};
    int rc = pv_record_parse((const char *)data, size, "record", &record, &err);
    if (rc != PROV_OK) {
        must(rc == PROV_E_CORRUPT && err.code == rc && err.message[0] != '\0');
        return 0;
    }
    assemble(&again, &record);
    must(!again.failed && again.len == size && memcmp(again.data, data, size) == 0);
    must(psdk_jcs_check((const char *)data, size, "record", &err) == PROV_OK);
    must(psdk_jcs_check(record.body.data, record.body.len, "body", &err) == PROV_OK);
    write_again(&record);
    if (pv_authorize_parse(&record, &auth, &auth_err) == PROV_OK)
        pv_authorize_verify(&auth, "example.com/fuzz");
    psdk_buf_done(&again);
    return 0;
}
