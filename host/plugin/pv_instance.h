/* pv_instance.h - one opened instance of a provider: its options, its host services, its calls.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * What a role's wrapper (pv_store.c, pv_chain.c) stands on. Threads: open and close as for any resource; the rest
 * [any].
 */
#ifndef PV_INSTANCE_H
#define PV_INSTANCE_H

#include "pv_call.h"
#include "pv_plugin.h"

struct pv_instance;

/* Loads the driver, checks the options and creates the instance, on a host thread and under the timeout of spec. */
int pv_instance_open(struct pv_plugins *plugins, const struct pv_plugin_spec *spec, struct pv_instance **ret,
                     prov_error *err);
/* Ends it. No call may be running but abandoned ones; with such a one left the plugin's part is leaked, never destroyed
 * under its feet. Safe on NULL. */
void pv_instance_close(struct pv_instance *instance);

/* The driver's name, capability bits, doc; borrowed. */
const char *pv_instance_name(const struct pv_instance *instance);
uint64_t pv_instance_capabilities(const struct pv_instance *instance);
/* Whether the provider has op number `index` of its role's table (0 is the first): false for a stub. */
bool pv_instance_has(const struct pv_instance *instance, uint32_t index);
/* Whether a call would be refused now. */
bool pv_instance_refuses(const struct pv_instance *instance);
/* Asks the running calls of this instance to stop and refuses new ones until it is set back. */
void pv_instance_cancel(struct pv_instance *instance, bool cancelled);
/* Changes the limits; members that are 0 stay as they are. */
void pv_instance_limit(struct pv_instance *instance, const struct pv_call_limits *limits);

#endif
