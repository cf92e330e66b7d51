/* psdk_plugin.c - what every plugin does with its calls and options.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "psdk_plugin.h"

#include <string.h>

#define LOCK_SLICE_NS 50000000u /* 50 ms: how often a waiter looks whether its caller gave up */

int psdk_call_check(const prov_call *call, prov_error *err)
{
    int rc = PROV_OK;
    if (call->cancel != NULL && __atomic_load_n(call->cancel, __ATOMIC_ACQUIRE) != 0)
        rc = psdk_fail(err, PROV_E_CANCELLED, "cancelled by the caller");
    else if (call->deadline_ns != 0 && psdk_monotonic_ns() >= call->deadline_ns)
        rc = psdk_fail(err, PROV_E_TIMEOUT, "not finished by its deadline");
    if (rc != PROV_OK)
        psdk_outcome(err, PROV_OUTCOME_NOT_APPLIED);
    return rc;
}

uint64_t psdk_call_left_ns(const prov_call *call)
{
    if (call->deadline_ns == 0)
        return UINT64_MAX;
    uint64_t now = psdk_monotonic_ns();
    return now >= call->deadline_ns ? 0 : call->deadline_ns - now;
}

int psdk_call_lock(const prov_call *call, struct psdk_lock *lock, const char *path, prov_error *err)
{
    for (;;) {
        int rc = psdk_call_check(call, err);
        if (rc != PROV_OK)
            return rc;
        uint64_t left_ns = psdk_call_left_ns(call);
        prov_error lock_err = {0};
        rc = psdk_lock_take(lock, path, false, left_ns < LOCK_SLICE_NS ? left_ns : LOCK_SLICE_NS, &lock_err);
        if (rc == PROV_OK)
            return rc;
        if (rc != PROV_E_TIMEOUT) {
            *err = lock_err;
            return rc;
        }
    }
}

const char *psdk_option_get(const prov_option_value *values, uint64_t n_values, const char *name)
{
    for (uint64_t i = 0; i < n_values; i++) {
        if (strcmp(values[i].name, name) == 0)
            return values[i].value;
    }
    return NULL;
}

bool psdk_option_bool(const prov_option_value *values, uint64_t n_values, const char *name, bool fallback)
{
    const char *value = psdk_option_get(values, n_values, name);
    return value == NULL ? fallback : strcmp(value, "true") == 0;
}

int psdk_not_applied(prov_error *err, int rc)
{
    if (rc == PROV_OK || err->outcome != PROV_OUTCOME_UNSET)
        return rc;
    bool permanent = rc == PROV_E_DENIED || rc == PROV_E_CONFIG || rc == PROV_E_INVALID || rc == PROV_E_LIMIT ||
                     rc == PROV_E_UNSUPPORTED;
    psdk_outcome(err, permanent ? PROV_OUTCOME_PERMANENT : PROV_OUTCOME_NOT_APPLIED);
    return rc;
}
