/* pv_options.h - configured options, checked against a provider's table. SPDX-License-Identifier: Apache-2.0 */
#ifndef PV_OPTIONS_H
#define PV_OPTIONS_H

#include "pv_plugin.h"
#include "pv_provider.h"

/* What create is given, and the secrets that it may ask for. Owned strings; {0} is empty. */
struct pv_option_values {
    prov_option_value *values;
    size_t n_values;
    prov_option_value *secrets;
    size_t n_secrets;
};

/* Parses each option by its type (durations to nanoseconds, sizes to bytes, paths made absolute), fills defaults in,
 * and refuses unknown names, wrong values, missing required ones and repeated ones: PROV_E_CONFIG, outcome PERMANENT,
 * "prov.yaml:12:5: ...". */
int pv_options_parse(const struct pv_provider *provider, const struct pv_plugin_spec *spec,
                     struct pv_option_values *ret, prov_error *err);
/* Wipes the secrets and frees everything. */
void pv_options_done(struct pv_option_values *values);
/* "a string", "a duration such as 10s", ... of a PROV_OPT_* type, or NULL when there is no such type. */
const char *pv_option_type_text(int32_t type);
/* "string", "duration", ... for JSON; NULL when there is no such type. */
const char *pv_option_type_name(int32_t type);

#endif
