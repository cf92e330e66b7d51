/* rig.h - a private home, a project made by prov_init, a handle. SPDX-License-Identifier: Apache-2.0 */
#ifndef API_RIG_H
#define API_RIG_H

#include <check.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "prov/training.h"

#define H64 "1111111111111111111111111111111111111111111111111111111111111111"

struct rig {
    char home[64], project[96], config[128];
    prov_handle *h;
};

static inline void must(int rc, const prov_error *err)
{
    ck_assert_msg(rc == PROV_OK, "%s: %s", prov_rc_name(rc), err->message);
}

static inline void rig_open(struct rig *r)
{
    prov_error err = {0};
    /* A shared disk may stall for longer than the default deadline; a test must not fail for it. */
    static const prov_setting patience = {"store.timeout", "240s", "test"};
    prov_open_params p = {.struct_size = sizeof p, .config_file = r->config, .settings = &patience, .n_settings = 1};
    must(prov_open(&p, &r->h, &err), &err);
}

static inline void rig_home(struct rig *r)
{
    char path[128];
    snprintf(r->home, sizeof r->home, "/tmp/prov-api-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(r->home));
    setenv("HOME", r->home, 1);
    static const char *const names[][2] = {{"XDG_CONFIG_HOME", "config"}, {"XDG_STATE_HOME", "state"}, {"XDG_CACHE_HOME", "cache"}};
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", r->home, names[i][1]);
        setenv(names[i][0], path, 1);
    }
}

static inline void rig_init(struct rig *r)
{
    prov_error err = {0};
    memset(r, 0, sizeof *r);
    rig_home(r);
    snprintf(r->project, sizeof r->project, "%s/project", r->home);
    snprintf(r->config, sizeof r->config, "%s/prov.yaml", r->project);
    prov_init_params p = {.struct_size = sizeof p, .dir = r->project, .model_id = "iris"};
    must(prov_init(&p, NULL, &err), &err);
    rig_open(r);
}

static inline void rig_done(struct rig *r)
{
    char command[128];
    prov_close(r->h);
    snprintf(command, sizeof command, "rm -rf %s", r->home);
    ck_assert_int_eq(system(command), 0);
}

static inline void rig_checkpoint(struct rig *r, int epoch, const char *metrics, char id[65])
{
    prov_error err = {0};
    char hash[65];
    snprintf(hash, sizeof hash, "%064x", epoch + 1);
    prov_checkpoint c = {.struct_size = sizeof c, .model_hash = hash, .epoch = epoch, .step = -1, .metrics_json = metrics};
    must(prov_record_checkpoint(r->h, &c, id, &err), &err);
}

static inline void rig_validation(struct rig *r, int epoch, const char *key, char id[65])
{
    prov_error err = {0};
    char hash[65];
    snprintf(hash, sizeof hash, "%064x", epoch + 1);
    prov_validation v = {.struct_size = sizeof v, .model_hash = hash, .validator_id = "held-out", .result_json = "{\"accuracy\":0.93}",
                         .confidence_score = 0.5, .validator_key = key};
    must(prov_record_validation(r->h, &v, id, &err), &err);
}

static inline char *rig_proof(struct rig *r)
{
    prov_error err = {0};
    char *proof = NULL;
    must(prov_proof_create(r->h, NULL, NULL, 0, &proof, &err), &err);
    return proof;
}

static inline int rig_verdict(struct rig *r, const char *proof, size_t len, char **ret_report)
{
    prov_error err = {0};
    int32_t verdict = -1;
    char *report = NULL;
    must(prov_proof_verify(r ? r->h : NULL, proof, len, NULL, 0, &verdict, &report, &err), &err);
    if (ret_report)
        *ret_report = report;
    else
        prov_free(report);
    return verdict;
}

#define TEST_MAIN(name, ...)                                                                  \
    int main(void)                                                                            \
    {                                                                                         \
        const TTest *const tests[] = {__VA_ARGS__};                                           \
        Suite *suite = suite_create(name);                                                    \
        TCase *t = tcase_create("all");                                                       \
        tcase_set_timeout(t, 240);                                                            \
        for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)                             \
            tcase_add_test(t, tests[i]);                                                      \
        suite_add_tcase(suite, t);                                                            \
        SRunner *runner = srunner_create(suite);                                              \
        srunner_run_all(runner, CK_ENV);                                                      \
        int failed = srunner_ntests_failed(runner);                                           \
        srunner_free(runner);                                                                 \
        return failed ? 1 : 0;                                                                \
    }

#endif
