/* analyzer.h - what static analysis cannot see from a declaration; included first by tools/check/clang_tidy.py.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The functions that fill an error always return a negative code. Without that knowledge the analyzer follows paths on
 * which a failed call looks like a success that set nothing.
 */
#ifndef PROV_ANALYZER_H
#define PROV_ANALYZER_H

#include "psdk_err.h"

static inline int analyzer_failed(int code)
{
    return code < 0 ? code : PROV_E_INTERNAL;
}

#define psdk_fail(err, code, ...) (psdk_fail((err), (code), __VA_ARGS__), analyzer_failed(code))
#define psdk_fail_errno(err, errnum, ...) (psdk_fail_errno((err), (errnum), __VA_ARGS__), PROV_E_IO)
#define psdk_wrap(err, ...) (psdk_wrap((err), __VA_ARGS__), PROV_E_IO)
#define psdk_outcome(err, outcome) (psdk_outcome((err), (outcome)), PROV_E_IO)

#endif
