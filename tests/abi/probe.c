/* probe.c - reaches every type of the plugin ABI, for abidiff. SPDX-License-Identifier: Apache-2.0 */
#include PROBE_HEADER

void probe_core(const prov_plugin *a, const prov_host *b, const prov_service_state *c, const prov_call *d,
                prov_error *e);
void probe_storage(const prov_storage_ops *a, const prov_object *b, const prov_precond *c);
void probe_chain(const prov_chain_ops *a, const prov_chain_tx *b, const prov_chain_info *c);
void probe_others(const prov_reward_ops *a, const prov_catalog_ops *b);

void probe_core(const prov_plugin *a, const prov_host *b, const prov_service_state *c, const prov_call *d,
                prov_error *e)
{
    (void)a, (void)b, (void)c, (void)d, (void)e;
}

void probe_storage(const prov_storage_ops *a, const prov_object *b, const prov_precond *c)
{
    (void)a, (void)b, (void)c;
}

void probe_chain(const prov_chain_ops *a, const prov_chain_tx *b, const prov_chain_info *c)
{
    (void)a, (void)b, (void)c;
}

void probe_others(const prov_reward_ops *a, const prov_catalog_ops *b)
{
    (void)a, (void)b;
}
