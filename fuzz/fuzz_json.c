/* fuzz_json.c - any bytes through the JSON reader, the canonical writer and the canonical checker.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Holds: what is read and written is canonical and reads and writes to the same bytes again; the one-pass checker
 * accepts exactly what equals its own rewriting; each refusal comes with a code and a message.
 */
#include <stdlib.h>
#include <string.h>

#include "psdk_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* Reads and rewrites; false when either is refused. */
static bool rewrite(const char *text, size_t len, struct psdk_buf *ret)
{
    prov_error err = {0};
    json_t *value = psdk_json_parse(text, len, "fuzz", &err);
    if (!value) {
        must(err.code == PROV_E_INVALID && strncmp(err.message, "fuzz:", 5) == 0);
        return false;
    }
    int rc = psdk_jcs_write(value, ret, &err);
    must(rc == PROV_OK || (rc == PROV_E_INVALID && err.message[0]));
    json_decref(value);
    return rc == PROV_OK;
}

/* Looks up a few names in text that is canonical: what is found lies inside of it. */
static void look_up(const char *text, size_t len)
{
    static const char *const names[] = {"", "a", "id", "type", "zz"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        size_t value_len = 0;
        const char *value = psdk_jcs_member(text, len, names[i], &value_len);
        if (!value)
            continue;
        must(value > text && value_len > 0 && value + value_len < text + len);
        must(psdk_jcs_check(value, value_len, "member", NULL) == PROV_OK);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    struct psdk_buf once = {0};
    struct psdk_buf twice = {0};
    bool checked = psdk_jcs_check(text, size, "fuzz", NULL) == PROV_OK;
    bool written = rewrite(text, size, &once);
    must(checked == (written && once.len == size && memcmp(once.data, text, size) == 0));
    if (written) {
        const char *canonical = psdk_buf_str(&once);
        must(psdk_jcs_check(canonical, once.len, "fuzz", NULL) == PROV_OK);
        must(rewrite(canonical, once.len, &twice));
        must(twice.len == once.len && memcmp(twice.data, once.data, once.len) == 0);
        look_up(canonical, once.len);
    }
    psdk_buf_done(&once);
    psdk_buf_done(&twice);
    return 0;
}
