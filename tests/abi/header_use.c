/* header_use.c - the whole of a smallest plugin, as C and as C++. SPDX-License-Identifier: Apache-2.0 */
#include "prov_plugin.h"

static int32_t compute(void *self, const prov_call *call, const prov_reward_input *input, const prov_reward_emit *emit,
                       prov_error *err)
{
    (void)self;
    (void)err;
    if (!PROV_HAS(call, prov_call, trace_id))
        return PROV_E_INVALID;
    uint8_t nothing[32] = {0};
    for (uint64_t i = 0; i < input->n_nodes; i++) {
        int32_t rc = emit->amount(emit->ctx, i, nothing);
        if (rc != PROV_OK)
            return rc;
    }
    return PROV_OK;
}

static int32_t create(const prov_host *host, const prov_option_value *values, uint64_t n_values, void **ret_instance,
                      prov_error *err)
{
    static char self;
    (void)host;
    (void)values;
    (void)n_values;
    (void)err;
    *ret_instance = &self;
    return PROV_OK;
}

static void destroy(void *instance)
{
    (void)instance;
}

static const prov_reward_ops ops = {sizeof ops, 0, compute, NULL};
static const prov_provider provider = {
    sizeof provider, 0,      PROV_ROLE_REWARD, "header-use", "gives nothing", PROV_CAP_THREADSAFE, NULL, &ops,
    create,          destroy};
static const prov_provider *const providers[] = {&provider, NULL};
const prov_plugin prov_plugin_v1 = {
    sizeof prov_plugin_v1, PROV_ABI_MINOR, "header-use", "1.0.0", "Apache-2.0", "", providers};
