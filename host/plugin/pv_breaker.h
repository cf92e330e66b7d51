/* pv_breaker.h - a circuit breaker: a backend that keeps failing is not asked for a while.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Closed: calls pass. After `limit` consecutive failures (or at once, pv_breaker_trip) it opens: calls are refused
 * without being sent. After the cool-down one call may try; its success closes the breaker, its failure opens it again
 * for twice as long. Condemned: it never closes. Threads: none of its own; the owner's lock.
 */
#ifndef PV_BREAKER_H
#define PV_BREAKER_H

#include <stdbool.h>

#include "psdk_err.h"

struct pv_breaker {
    uint32_t limit; /* set by the owner, as cooldown_ns */
    uint64_t cooldown_ns;
    uint32_t failures; /* consecutive */
    uint32_t rounds;   /* times it opened since it was last closed */
    bool open;
    bool trial; /* a trial is under way */
    bool condemned;
    uint64_t until_ns; /* when the next trial may start */
    char last[200];    /* the last failure's message */
};

/* Whether a call may pass now. *ret_trial: it is the trial. Else PROV_E_UNAVAILABLE with when to come back. */
int pv_breaker_enter(struct pv_breaker *breaker, uint64_t now_ns, bool *ret_trial, prov_error *err);
/* The result of a call that passed. Codes NETWORK, TIMEOUT, UNAVAILABLE and PLUGIN are failures; CANCELLED says
 * nothing. */
void pv_breaker_leave(struct pv_breaker *breaker, uint64_t now_ns, bool trial, int code, const char *message);
/* Opens at once. forever: condemned. */
void pv_breaker_trip(struct pv_breaker *breaker, uint64_t now_ns, bool forever, const char *message);
bool pv_breaker_is_open(const struct pv_breaker *breaker, uint64_t now_ns);

#endif
