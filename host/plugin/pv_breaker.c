/* pv_breaker.c - a circuit breaker. SPDX-License-Identifier: Apache-2.0 */
#include "pv_breaker.h"

#include <stdio.h>

#define MAX_DOUBLINGS 5u
#define NS_PER_S 1000000000ull
#define NS_PER_MS 1000000ull

static void open_for(struct pv_breaker *breaker, uint64_t now_ns)
{
    uint32_t doublings = breaker->rounds < MAX_DOUBLINGS ? breaker->rounds : MAX_DOUBLINGS;
    breaker->open = true;
    breaker->until_ns = now_ns + (breaker->cooldown_ns << doublings);
    breaker->rounds++;
}

static int refuse(const struct pv_breaker *breaker, uint64_t now_ns, prov_error *err)
{
    if (breaker->condemned) {
        psdk_fail(err, PROV_E_PLUGIN, "not used any more in this process: %s", breaker->last);
        return psdk_outcome(err, PROV_OUTCOME_NOT_APPLIED);
    }
    uint64_t left_ns = breaker->until_ns > now_ns ? breaker->until_ns - now_ns : 0;
    const char *plural = breaker->failures == 1 ? "" : "s";
    if (left_ns == 0)
        psdk_fail(err, PROV_E_UNAVAILABLE,
                  "unavailable: breaker open after %u failure%s (last: %s), a trial is under way", breaker->failures,
                  plural, breaker->last);
    else
        psdk_fail(err, PROV_E_UNAVAILABLE,
                  "unavailable: breaker open after %u failure%s (last: %s), next try in %llu s", breaker->failures,
                  plural, breaker->last, (unsigned long long)((left_ns + NS_PER_S - 1) / NS_PER_S));
    if (err != NULL)
        err->retry_after_ms = (uint32_t)(left_ns / NS_PER_MS < UINT32_MAX ? left_ns / NS_PER_MS + 1 : UINT32_MAX);
    return psdk_outcome(err, PROV_OUTCOME_NOT_APPLIED);
}

int pv_breaker_enter(struct pv_breaker *breaker, uint64_t now_ns, bool *ret_trial, prov_error *err)
{
    *ret_trial = false;
    if (!breaker->open)
        return PROV_OK;
    if (breaker->condemned || breaker->trial || now_ns < breaker->until_ns)
        return refuse(breaker, now_ns, err);
    breaker->trial = true;
    *ret_trial = true;
    return PROV_OK;
}

void pv_breaker_leave(struct pv_breaker *breaker, uint64_t now_ns, bool trial, int code, const char *message)
{
    if (trial)
        breaker->trial = false;
    if (breaker->condemned || code == PROV_E_CANCELLED)
        return;
    bool failed =
        code == PROV_E_NETWORK || code == PROV_E_TIMEOUT || code == PROV_E_UNAVAILABLE || code == PROV_E_PLUGIN;
    if (!failed) {
        /* Calls that began before the breaker opened do not close it; a trial does. */
        if (!breaker->open || trial) {
            breaker->failures = 0;
            breaker->rounds = 0;
            breaker->open = false;
        }
        return;
    }
    breaker->failures++;
    snprintf(breaker->last, sizeof breaker->last, "%s", message);
    if (trial || (!breaker->open && breaker->failures >= breaker->limit))
        open_for(breaker, now_ns);
}

void pv_breaker_trip(struct pv_breaker *breaker, uint64_t now_ns, bool forever, const char *message)
{
    breaker->failures++;
    snprintf(breaker->last, sizeof breaker->last, "%s", message);
    breaker->condemned = breaker->condemned || forever;
    open_for(breaker, now_ns);
}

bool pv_breaker_is_open(const struct pv_breaker *breaker, uint64_t now_ns)
{
    return breaker->open && (breaker->condemned || now_ns < breaker->until_ns);
}
