/* pv_proof_show.c - a proof as a page for people, text or HTML. SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "pv_proof.h"

static void html_text(struct psdk_buf *out, const char *text)
{
    for (; text && *text; text++) {
        if (*text == '<')
            psdk_buf_adds(out, "&lt;");
        else if (*text == '>')
            psdk_buf_adds(out, "&gt;");
        else if (*text == '&')
            psdk_buf_adds(out, "&amp;");
        else if (*text == '"')
            psdk_buf_adds(out, "&quot;");
        else
            psdk_buf_addc(out, *text);
    }
}

/* A terminal must not be steered by what a record says. */
static void plain_text(struct psdk_buf *out, const char *text)
{
    for (; text && *text; text++)
        psdk_buf_addc(out, (unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text);
}

static void put_text(struct psdk_buf *out, bool html, const char *text)
{
    if (html)
        html_text(out, text);
    else
        plain_text(out, text);
}

static const char *str(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static void compact(struct psdk_buf *out, bool html, const json_t *value)
{
    struct psdk_buf text = {0};
    prov_error ignored = {0};
    if (value && psdk_jcs_write(value, &text, &ignored) == PROV_OK)
        put_text(out, html, psdk_buf_str(&text));
    psdk_buf_done(&text);
}

static void row(struct psdk_buf *out, bool html, const char *name, const char *value)
{
    if (html) {
        psdk_buf_addf(out, "<tr><th scope=\"row\">%s</th><td>", name);
        html_text(out, value);
        psdk_buf_adds(out, "</td></tr>\n");
    } else {
        psdk_buf_addf(out, "  %-18s ", name);
        plain_text(out, value);
        psdk_buf_addc(out, '\n');
    }
}

static void number_row(struct psdk_buf *out, bool html, const char *name, const json_t *value)
{
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)json_integer_value(value));
    row(out, html, name, text);
}

/* One line of a chain: index, what, short ids, metrics or result. */
static void chain_line(struct psdk_buf *out, bool html, const json_t *element, bool checkpoint)
{
    prov_error ignored = {0};
    const char *text = str(element, "record");
    json_t *record = psdk_json_parse(text, strlen(text), "record", &ignored);
    const json_t *body = json_object_get(record, "body");
    const char *id = str(element, checkpoint ? "checkpoint_id" : "validation_id");
    psdk_buf_addf(out, html ? "<tr><td>%lld</td><td>" : "  %5lld  ",
                  (long long)json_integer_value(json_object_get(element, "index")));
    put_text(out, html, str(record, "timestamp"));
    psdk_buf_adds(out, html ? "</td><td>" : "  ");
    if (checkpoint)
        psdk_buf_addf(out, "epoch %lld", (long long)json_integer_value(json_object_get(body, "epoch")));
    else
        put_text(out, html, str(body, "validator_id"));
    psdk_buf_addf(out, html ? "</td><td><code>%.12s</code></td><td><code>%.12s</code></td><td>" : "  %.12s  model %.12s  ", id,
                  str(body, "model_hash"));
    compact(out, html, json_object_get(body, checkpoint ? "metrics" : "validation_result"));
    psdk_buf_adds(out, html ? "</td></tr>\n" : "\n");
    json_decref(record);
}

static void chain(struct psdk_buf *out, bool html, const json_t *list, const char *title, bool checkpoint)
{
    size_t i;
    json_t *one;
    if (html)
        psdk_buf_addf(out,
                      "<h2>%s</h2>\n<table><thead><tr><th>leaf</th><th>time</th><th>%s</th><th>record</th><th>model</th>"
                      "<th>%s</th></tr></thead><tbody>\n",
                      title, checkpoint ? "epoch" : "validator", checkpoint ? "metrics" : "result");
    else
        psdk_buf_addf(out, "\n%s\n", title);
    json_array_foreach((json_t *)(uintptr_t)list, i, one)
        chain_line(out, html, one, checkpoint);
    if (html)
        psdk_buf_adds(out, "</tbody></table>\n");
}

static void facts(struct psdk_buf *out, bool html, const json_t *p)
{
    const json_t *meta = json_object_get(p, "verification_metadata");
    if (html)
        psdk_buf_adds(out, "<table><tbody>\n");
    row(out, html, "model", str(p, "model_id"));
    row(out, html, "final model hash", str(p, "final_model_hash"));
    row(out, html, "stream", str(meta, "origin"));
    number_row(out, html, "records", json_object_get(meta, "merkle_tree_size"));
    number_row(out, html, "checkpoints", json_object_get(meta, "total_checkpoints"));
    number_row(out, html, "validations", json_object_get(meta, "total_validations"));
    number_row(out, html, "epochs", json_object_get(meta, "training_epochs"));
    row(out, html, "Merkle root", str(p, "merkle_root"));
    row(out, html, "made", str(p, "proof_timestamp"));
    row(out, html, "signed by", str(json_array_get(json_object_get(p, "signatures"), 0), "key"));
    if (html)
        psdk_buf_adds(out, "</tbody></table>\n");
}

static const char HTML_HEAD[] =
    "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">"
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
    "<title>Proof of training</title><style>:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;"
    "max-width:70rem;margin:2rem auto;padding:0 1rem}table{border-collapse:collapse;width:100%}th,td{text-align:left;"
    "padding:.3rem .6rem;border-bottom:1px solid #8886;overflow-wrap:anywhere;vertical-align:top}</style></head><body>\n"
    "<h1>Proof of training</h1>\n<p>This page shows what the file says. Whether it is true, "
    "<code>prov proof verify</code> tells.</p>\n";

int pv_proof_show(const char *data, size_t len, bool html, struct psdk_buf *ret, prov_error *err)
{
    json_t *p = psdk_json_parse(data, len, "proof", err);
    if (!p && err->code != PROV_E_NOMEM)
        err->code = PROV_E_CORRUPT;
    if (!p)
        return err->code;
    if (!json_is_array(json_object_get(p, "training_chain")) || !json_is_object(json_object_get(p, "verification_metadata"))) {
        json_decref(p);
        return psdk_fail(err, PROV_E_CORRUPT, "not a proof of training: training_chain or verification_metadata is missing");
    }
    psdk_buf_adds(ret, html ? HTML_HEAD : "Proof of training (what the file says; `prov proof verify` tells whether it is true)\n\n");
    facts(ret, html, p);
    chain(ret, html, json_object_get(p, "training_chain"), "Training checkpoints", true);
    chain(ret, html, json_object_get(p, "validation_chain"), "Validations", false);
    if (html)
        psdk_buf_adds(ret, "</body></html>\n");
    json_decref(p);
    return psdk_buf_check(ret, err);
}
