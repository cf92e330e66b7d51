/* fuzz_config.c - any bytes as a project file: trusted when the first byte is even, untrusted when it is odd.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * What must hold: no crash, no leak; a refusal has a code and a text; what loads can be shown, and shows no secret.
 */
#include <stdlib.h>
#include <string.h>

#include "pv_config_impl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
    if (!good)
        abort();
}

static void each(void *ctx, const char *name, const char *value, const char *where)
{
    size_t *n = ctx;
    check(name && value && where);
    (*n)++;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"HOME=/home/u", "N=7", "API_TOKEN=hush-hush", NULL};
    struct pv_config *config = NULL;
    prov_error err = {0};
    size_t n = 0;

    if (size == 0 || memmem(data, size, "hush", 4)) /* the secret itself is not among the inputs */
        return 0;
    int rc = pv_config_load_text((const char *)data + 1, size - 1, "fuzz.yaml", data[0] % 2 == 0, names, &config, &err);
    if (rc) {
        check(rc == PROV_E_CONFIG && err.code == rc && err.message[0] && !config);
        check(!strstr(err.message, "hush-hush"));
        return 0;
    }
    for (int flat = 0; flat < 2; flat++) {
        json_t *shown = pv_config_show(config, flat == 1, &err);
        check(shown != NULL);
        char *text = json_dumps(shown, 0);
        check(text && !strstr(text, "hush-hush"));
        free(text);
        json_decref(shown);
    }
    pv_config_each(config, "", each, &n);
    pv_config_each(config, "networks", each, &n);
    check(pv_config_member(config, "", 0) != NULL && pv_config_member(config, "networks", 0) != NULL);
    check(pv_config_str(config, "store.plugin") != NULL);
    pv_config_free(config);
    return 0;
}
