/* test_training.c - recording, history, log, recorder, failures. SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "api/rig.h"

static int32_t count_one(void *ctx, const char *json, uint64_t len)
{
    (void)json;
    (void)len;
    ++*(uint64_t *)ctx;
    return 0;
}

static uint64_t count(struct rig *r, const char *kind, int pending)
{
    prov_error err = {0};
    uint64_t n = 0;
    prov_history_params p = {.struct_size = sizeof p, .kind = kind, .with_pending = pending};
    int rc = prov_history(r->h, &p, count_one, &n, &err);
    ck_assert_msg(rc == PROV_OK || rc == PROV_E_NOT_FOUND, "%s", err.message);
    return n;
}

static int log_verdict(struct rig *r, char **ret_report)
{
    prov_error err = {0};
    int32_t verdict = -1;
    char *report = NULL;
    int rc = prov_log_verify(r->h, NULL, NULL, NULL, &verdict, &report, &err);
    ck_assert_msg(rc == PROV_OK, "%s: %s", prov_rc_name(rc), err.message);
    if (ret_report)
        *ret_report = report;
    else
        prov_free(report);
    return verdict;
}

START_TEST(records_are_pending_until_a_flush_and_sealed_after_it)
{
    struct rig r;
    prov_error err = {0};
    char id[65];
    rig_init(&r);
    for (int i = 0; i < 3; i++)
        rig_checkpoint(&r, i, "{\"loss\":1}", id);
    ck_assert_uint_eq(count(&r, "training.checkpoint", 0), 0);
    ck_assert_uint_eq(count(&r, "training.checkpoint", 1), 3);
    must(prov_flush(r.h, NULL, &err), &err);
    ck_assert_uint_eq(count(&r, "training.checkpoint", 0), 3);
    ck_assert_uint_eq(count(&r, "training.", 0), 3);
    ck_assert_uint_eq(count(&r, NULL, 1), 5);
    ck_assert_int_eq(log_verdict(&r, NULL), PROV_VERDICT_OK);
    char *proof = NULL;
    must(prov_log_prove(r.h, NULL, id, &proof, &err), &err);
    ck_assert_int_eq(strncmp(proof, "c2sp.org/tlog-proof@v1\n", 23), 0);
    prov_free(proof);
    id[12] = '\0';
    must(prov_log_prove(r.h, NULL, id, &proof, &err), &err);
    prov_free(proof);
    must(prov_log_prove(r.h, NULL, "#4", &proof, &err), &err);
    prov_free(proof);
    ck_assert_int_eq(prov_log_prove(r.h, NULL, "#5", &proof, &err), PROV_E_NOT_FOUND);
    ck_assert_int_eq(prov_log_prove(r.h, NULL, "#x", &proof, &err), PROV_E_INVALID);
    ck_assert_int_eq(prov_log_prove(r.h, NULL, "abc", &proof, &err), PROV_E_INVALID);
    ck_assert_int_eq(prov_log_prove(r.h, NULL, H64, &proof, &err), PROV_E_NOT_FOUND);
    rig_done(&r);
}
END_TEST

START_TEST(ten_records_close_a_batch_by_themselves)
{
    struct rig r;
    char id[65];
    rig_init(&r);
    for (int i = 0; i < 10; i++)
        rig_checkpoint(&r, i, NULL, id);
    ck_assert_uint_eq(count(&r, "training.checkpoint", 0), 10);
    rig_done(&r);
}
END_TEST

START_TEST(bad_input_is_refused_with_its_name)
{
    static const struct {
        const char *model, *hash, *metrics, *extra, *word;
        int64_t epoch;
        int code;
    } bad[] = {
        {"../../etc", H64, "{}", NULL, "model", 0, PROV_E_INVALID},
        {"", H64, "{}", NULL, "model", 0, PROV_E_INVALID},
        {"m", "", "{}", NULL, "model_hash", 0, PROV_E_INVALID},
        {"m", "abc", "{}", NULL, "model_hash", 0, PROV_E_INVALID},
        {"m", "zz11111111111111111111111111111111111111111111111111111111111111", "{}", NULL, "model_hash", 0, PROV_E_INVALID},
        {"m", NULL, "{}", NULL, "model_hash", 0, PROV_E_INVALID},
        {"m", H64, "[1]", NULL, "metrics", 0, PROV_E_INVALID},
        {"m", H64, "{\"a\":NaN}", NULL, "metrics:1:", 0, PROV_E_INVALID},
        {"m", H64, "{\"a\":1,\"a\":2}", NULL, "metrics:1:", 0, PROV_E_INVALID},
        {"m", H64, "{\"a\":", NULL, "metrics:1:", 0, PROV_E_INVALID},
        {"m", H64, "{\"a\":9007199254740993}", NULL, "metrics:1:", 0, PROV_E_INVALID},
        {"m", H64, "{}", NULL, "epoch", -1, PROV_E_INVALID},
        {"m", H64, "{}", "{\"epoch\":9}", "extra.epoch", 0, PROV_E_INVALID},
    };
    struct rig r;
    rig_init(&r);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        prov_error err = {0};
        char id[65] = "";
        prov_checkpoint c = {.struct_size = sizeof c, .model_id = bad[i].model, .model_hash = bad[i].hash, .epoch = bad[i].epoch,
                             .step = -1, .metrics_json = bad[i].metrics, .extra_json = bad[i].extra};
        ck_assert_msg(prov_record_checkpoint(r.h, &c, id, &err) == bad[i].code, "case %zu: %s", i, err.message);
        ck_assert_msg(strstr(err.message, bad[i].word) != NULL, "case %zu: '%s' in: %s", i, bad[i].word, err.message);
        ck_assert_str_eq(id, "");
    }
    char *large = malloc(70000);
    memset(large, 'a', 70000);
    memcpy(large, "{\"a\":\"", 6);
    memcpy(large + 69990, "\"}", 3);
    prov_error err = {0};
    prov_checkpoint c = {.struct_size = sizeof c, .model_hash = H64, .step = -1, .metrics_json = large};
    ck_assert_int_eq(prov_record_checkpoint(r.h, &c, NULL, &err), PROV_E_LIMIT);
    free(large);
    const char *none[] = {"/nowhere/at/all"};
    prov_checkpoint f = {.struct_size = sizeof f, .files = none, .n_files = 1, .step = -1};
    ck_assert_int_eq(prov_record_checkpoint(r.h, &f, NULL, &err), PROV_E_NOT_FOUND);
    ck_assert_uint_eq(count(&r, "training.", 1), 0);
    rig_done(&r);
}
END_TEST

START_TEST(a_failing_store_never_stops_the_caller)
{
    struct rig r;
    prov_error err = {0};
    char id[65], data[160], away[160], *doctor = NULL;
    rig_init(&r);
    rig_checkpoint(&r, 0, "{}", id);
    must(prov_flush(r.h, NULL, &err), &err);
    snprintf(data, sizeof data, "%s/prov-data", r.project);
    snprintf(away, sizeof away, "%s/away", r.project);
    ck_assert_int_eq(rename(data, away), 0);
    int fd = creat(data, 0600); /* a file where the store's folder was */
    ck_assert_int_ge(fd, 0);
    close(fd);
    for (int i = 1; i < 25; i++)
        rig_checkpoint(&r, i, "{}", id); /* must() inside: each succeeds */
    ck_assert_int_ne(prov_flush(r.h, NULL, &err), PROV_OK);
    must(prov_doctor(r.h, NULL, &doctor, &err), &err);
    ck_assert_ptr_nonnull(strstr(doctor, "wait to be sealed"));
    prov_free(doctor);
    ck_assert_int_eq(unlink(data), 0);
    ck_assert_int_eq(rename(away, data), 0);
    prov_close(r.h);
    rig_open(&r);
    must(prov_flush(r.h, NULL, &err), &err);
    ck_assert_uint_eq(count(&r, "training.checkpoint", 0), 25);
    ck_assert_int_eq(log_verdict(&r, NULL), PROV_VERDICT_OK);
    rig_done(&r);
}
END_TEST

/* head.json is a pointer: who swung it and when is not signed, nor does anything rest on it. */
static bool is_pointer(const char *path, long at)
{
    static const char *const members[] = {"\"nonce\":\"", "\"updated_at\":\"", "\"writer\":\""};
    char text[8192] = "";
    FILE *f = strstr(path, "/head.json") ? fopen(path, "rb") : NULL;
    if (!f)
        return false;
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    for (int i = 0; n && i < 3; i++) {
        const char *value = strstr(text, members[i]) + strlen(members[i]);
        if (at >= value - text && at < strchr(value, '"') - text)
            return true;
    }
    return false;
}

/* Every file below a folder, its bytes changed one by one. */
static void flip_all(struct rig *r, const char *dir, int *tried)
{
    DIR *d = opendir(dir);
    ck_assert_ptr_nonnull(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        char path[512];
        struct stat st;
        if (e->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%.250s/%.250s", dir, e->d_name);
        ck_assert_int_eq(stat(path, &st), 0);
        if (S_ISDIR(st.st_mode)) {
            flip_all(r, path, tried);
            continue;
        }
        for (long at = 0; at < st.st_size; at++) {
            if (is_pointer(path, at))
                continue;
            FILE *f = fopen(path, "r+b");
            ck_assert_ptr_nonnull(f);
            fseek(f, at, SEEK_SET);
            int c = fgetc(f);
            for (int undo = 0; undo < 2; undo++) {
                fseek(f, at, SEEK_SET);
                fputc(undo ? c : c ^ 1, f);
                fflush(f);
                int verdict = log_verdict(r, NULL);
                ck_assert_msg(verdict == (undo ? PROV_VERDICT_OK : PROV_VERDICT_TAMPERED), "%s byte %ld: verdict %d", path, at,
                              verdict);
            }
            fclose(f);
            ++*tried;
        }
    }
    closedir(d);
}

START_TEST(every_changed_byte_of_the_stored_stream_is_found)
{
    struct rig r;
    prov_error err = {0};
    char id[65], dir[160];
    int tried = 0;
    rig_init(&r);
    rig_checkpoint(&r, 0, "{}", id);
    must(prov_flush(r.h, NULL, &err), &err);
    snprintf(dir, sizeof dir, "%s/prov-data/models/iris", r.project);
    flip_all(&r, dir, &tried);
    ck_assert_int_gt(tried, 1500);
    rig_done(&r);
}
END_TEST

struct failed {
    uint64_t records, seals;
};

static void note_failed(void *ctx, uint64_t n, const prov_error *why)
{
    struct failed *f = ctx;
    (void)why;
    if (n)
        f->records += n;
    else
        f->seals++;
}

START_TEST(the_recorder_keeps_everything_it_accepted)
{
    struct rig r;
    prov_error err = {0};
    struct failed failed = {0, 0};
    prov_recorder *rec = NULL;
    rig_init(&r);
    prov_recorder_params p = {.struct_size = sizeof p, .failed = note_failed, .ctx = &failed};
    must(prov_recorder_open(r.h, &p, &rec, &err), &err);
    for (int i = 0; i < 2000; i++) {
        prov_checkpoint c = {.struct_size = sizeof c, .model_hash = H64, .epoch = i, .step = i, .metrics_json = "{\"loss\":0.25}"};
        must(prov_recorder_checkpoint(rec, &c, &err), &err);
    }
    prov_checkpoint bad = {.struct_size = sizeof bad, .model_hash = "x", .step = -1};
    ck_assert_int_eq(prov_recorder_checkpoint(rec, &bad, &err), PROV_E_INVALID);
    must(prov_recorder_flush(rec, 1, 0, &err), &err);
    prov_recorder_stats s = {.struct_size = sizeof s};
    prov_recorder_stats_get(rec, &s);
    ck_assert_uint_eq(s.accepted, 2000);
    ck_assert_uint_eq(s.durable, 2000);
    ck_assert_uint_eq(failed.records, 0);
    must(prov_recorder_close(rec, &err), &err);
    ck_assert_uint_eq(count(&r, "training.checkpoint", 0), 2000);
    ck_assert_int_eq(log_verdict(&r, NULL), PROV_VERDICT_OK);
    rig_done(&r);
}
END_TEST

START_TEST(a_full_queue_refuses_at_once_and_says_so)
{
    struct rig r;
    prov_error err = {0};
    prov_recorder *rec = NULL;
    rig_init(&r);
    prov_recorder_params p = {.struct_size = sizeof p, .queue_bytes = 2000};
    must(prov_recorder_open(r.h, &p, &rec, &err), &err);
    int refused = 0;
    for (int i = 0; i < 500; i++) {
        int rc = prov_recorder_raw(rec, "models/iris", "test.note", "iris", "{\"a\":1}", &err);
        ck_assert(rc == PROV_OK || rc == PROV_E_LIMIT);
        refused += rc != PROV_OK;
    }
    ck_assert_int_gt(refused, 0);
    must(prov_recorder_close(rec, &err), &err);
    ck_assert_uint_eq(count(&r, "test.note", 1), (uint64_t)(500 - refused));
    rig_done(&r);
}
END_TEST

static void *record_many(void *arg)
{
    struct rig *r = arg;
    prov_error err = {0};
    for (int i = 0; i < 40; i++) {
        char id[65];
        prov_checkpoint c = {.struct_size = sizeof c, .model_hash = H64, .epoch = i, .step = -1};
        if (prov_record_checkpoint(r->h, &c, id, &err))
            return (void *)1;
    }
    return NULL;
}

START_TEST(threads_and_forked_processes_share_a_handle)
{
    struct rig r;
    prov_error err = {0};
    pthread_t t[4];
    rig_init(&r);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&t[i], NULL, record_many, &r), 0);
    for (int i = 0; i < 4; i++) {
        void *bad = NULL;
        pthread_join(t[i], &bad);
        ck_assert_ptr_null(bad);
    }
    pid_t pid = fork();
    if (pid == 0)
        _exit(record_many(&r) ? 1 : 0);
    int status = -1;
    waitpid(pid, &status, 0);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    must(prov_flush(r.h, NULL, &err), &err);
    ck_assert_uint_eq(count(&r, "training.checkpoint", 0), 200);
    ck_assert_int_eq(log_verdict(&r, NULL), PROV_VERDICT_OK);
    rig_done(&r);
}
END_TEST

START_TEST(init_never_overwrites_and_says_what_it_made)
{
    struct rig r;
    prov_error err = {0};
    char *doc = NULL;
    rig_init(&r);
    prov_init_params p = {.struct_size = sizeof p, .dir = r.project};
    ck_assert_int_eq(prov_init(&p, &doc, &err), PROV_E_EXISTS);
    ck_assert_ptr_null(doc);
    must(prov_config_check(r.h, &doc, &err), &err);
    ck_assert_ptr_nonnull(strstr(doc, "\"trusted\":true"));
    prov_free(doc);
    must(prov_key_list(r.h, &doc, &err), &err);
    ck_assert_ptr_nonnull(strstr(doc, "\"name\":\"log\""));
    prov_free(doc);
    rig_done(&r);
}
END_TEST

START_TEST(a_host_cannot_revoke_the_key_it_writes_with)
{
    struct rig r;
    prov_error err = {0};
    char id[65], *key = NULL;
    rig_init(&r);
    rig_checkpoint(&r, 0, "{}", id);
    must(prov_key_show(r.h, "writer", &key, &err), &err);
    json_t *k = json_loads(key, 0, NULL);
    const char *text = json_string_value(json_object_get(k, "public"));
    ck_assert_int_eq(prov_key_revoke(r.h, "models/iris", text, "test", NULL, &err), PROV_E_INVALID);
    must(prov_key_revoke(r.h, "models/iris", "ed25519:" H64, "lost", NULL, &err), &err);
    must(prov_flush(r.h, NULL, &err), &err);
    ck_assert_int_eq(log_verdict(&r, NULL), PROV_VERDICT_OK);
    json_decref(k);
    prov_free(key);
    rig_done(&r);
}
END_TEST

/* Runs "$0" with $1 and $2 in a shell. */
static void run(const char *script, const char *a, const char *b)
{
    char command[900];
    snprintf(command, sizeof command, "set -- %s %s; %s", a, b, script);
    ck_assert_int_eq(system(command), 0);
}

START_TEST(a_cloned_project_gets_nothing_signed)
{
    struct rig r;
    prov_error err = {0};
    prov_handle *h = NULL;
    char id[65], evil[128], config[160];
    rig_init(&r);
    rig_checkpoint(&r, 0, "{}", id);
    must(prov_flush(r.h, NULL, &err), &err);
    snprintf(evil, sizeof evil, "%s/evil", r.home);
    snprintf(config, sizeof config, "%s/prov.yaml", evil);
    run("cp -r $1 $2", r.project, evil);
    run("(echo version: 1; grep ^origin $1/prov.yaml) > $2", r.project, config);
    prov_open_params p = {.struct_size = sizeof p, .config_file = config};
    must(prov_open(&p, &h, &err), &err);
    prov_checkpoint c = {.struct_size = sizeof c, .model_hash = H64, .model_id = "iris", .step = -1};
    ck_assert_int_eq(prov_record_checkpoint(h, &c, id, &err), PROV_E_DENIED);
    ck_assert_ptr_nonnull(strstr(err.message, "not trusted"));
    ck_assert_int_eq(prov_proof_create(h, "iris", NULL, 0, NULL, &err), PROV_E_DENIED);
    prov_close(h);
    run("rm $1", config, "");
    prov_open_params none = {.struct_size = sizeof none, .work_dir = evil};
    must(prov_open(&none, &h, &err), &err); /* the folder's store.json alone says whose it is */
    ck_assert_int_eq(prov_record_checkpoint(h, &c, id, &err), PROV_E_DENIED);
    prov_close(h);
    rig_done(&r);
}
END_TEST

START_TEST(a_store_that_was_set_back_is_seen)
{
    struct rig r;
    prov_error err = {0};
    int32_t verdict = -1;
    char id[65], data[160], backup[160], *report = NULL;
    rig_init(&r);
    snprintf(data, sizeof data, "%s/prov-data", r.project);
    snprintf(backup, sizeof backup, "%s/backup", r.project);
    rig_checkpoint(&r, 0, "{}", id);
    must(prov_flush(r.h, NULL, &err), &err);
    run("cp -r $1 $2", data, backup);
    rig_checkpoint(&r, 1, "{}", id);
    must(prov_flush(r.h, NULL, &err), &err);
    run("rm -r $1", data, "");
    run("mv $1 $2", backup, data);
    prov_close(r.h);
    rig_open(&r);
    must(prov_log_verify(r.h, NULL, NULL, NULL, &verdict, &report, &err), &err);
    ck_assert_int_eq(verdict, PROV_VERDICT_TAMPERED);
    ck_assert_ptr_nonnull(strstr(report, "rolled back"));
    prov_free(report);
    ck_assert_int_eq(prov_proof_create(r.h, NULL, NULL, 0, NULL, &err), PROV_E_CORRUPT);
    must(prov_doctor(r.h, NULL, &report, &err), &err);
    ck_assert_ptr_nonnull(strstr(report, "\"ok\":false"));
    prov_free(report);
    rig_done(&r);
}
END_TEST

START_TEST(kinds_of_our_own_cannot_be_recorded_raw)
{
    static const char *const kinds[] = {"key.authorize", "key.revoke", "writer.open", "training.checkpoint", "training.validation"};
    struct rig r;
    prov_error err = {0};
    rig_init(&r);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        ck_assert_int_eq(prov_record_raw(r.h, "models/iris", kinds[i], "iris", NULL, "{}", NULL, &err), PROV_E_INVALID);
    must(prov_record_raw(r.h, "models/iris", "training.note", "iris", NULL, "{}", NULL, &err), &err);
    rig_done(&r);
}
END_TEST

TEST_MAIN("training", records_are_pending_until_a_flush_and_sealed_after_it, ten_records_close_a_batch_by_themselves,
          bad_input_is_refused_with_its_name, a_failing_store_never_stops_the_caller,
          every_changed_byte_of_the_stored_stream_is_found, the_recorder_keeps_everything_it_accepted,
          a_full_queue_refuses_at_once_and_says_so, threads_and_forked_processes_share_a_handle,
          init_never_overwrites_and_says_what_it_made, a_cloned_project_gets_nothing_signed,
          a_store_that_was_set_back_is_seen, kinds_of_our_own_cannot_be_recorded_raw, a_host_cannot_revoke_the_key_it_writes_with)
