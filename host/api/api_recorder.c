/* api_recorder.c - recording without holding up the caller: a bounded queue and two threads.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * The caller's side copies its arguments into one block and returns; nothing of it touches a disk. One thread turns what
 * waits into records and makes them durable, stream by stream, with one sync each. The other seals when a batch is full or
 * old: a store that hangs or fails holds up neither the caller nor the journal. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "api.h"
#include "psdk_file.h"
#include "pv_log.h"

#define QUEUE_BYTES ((uint64_t)16 << 20)
#define GROUP_MAX 512u
#define NS_PER_S 1000000000u

enum job_kind { JOB_CHECKPOINT, JOB_VALIDATION, JOB_RAW };

/* One call, copied: its strings stand behind it in the same block. */
struct job {
    struct job *next;
    size_t bytes;
    enum job_kind kind;
    union {
        prov_checkpoint checkpoint;
        prov_validation validation;
        struct {
            const char *stream, *kind, *subject, *body;
        } raw;
    } u;
};

struct prov_recorder {
    prov_handle *h;
    prov_recorder_params params;
    pid_t pid;
    pthread_t appender, sealer;
    pthread_mutex_t tell; /* the callback comes from one thread at a time */
    pthread_mutex_t lock;
    pthread_cond_t work, space, idle, seal;
    struct job *first, **last;
    uint64_t queued_bytes, block_ns;
    uint64_t accepted, durable, refused, failed, sealed; /* records */
    uint64_t seal_wanted, seal_done; /* flushes that asked for a seal */
    prov_error seal_error;
    uint64_t oldest_ns; /* when the first record that is not sealed became durable; 0: none */
    bool ending, appended_all;
};

/* ---- copying the arguments ---------------------------------------------------------------------------------------------- */

struct copier {
    char *at; /* NULL: only measure */
    size_t need;
};

static const char *copy_text(struct copier *c, const char *text)
{
    if (!text)
        return NULL;
    size_t n = strlen(text) + 1;
    char *to = c->at;
    c->need += n;
    if (!to)
        return text;
    memcpy(to, text, n);
    c->at += n;
    return to;
}

static const char *const *copy_list(struct copier *c, const char *const *list, uint64_t n)
{
    if (!list || !n)
        return NULL;
    size_t pad = c->at ? (size_t)(-(uintptr_t)c->at & 7u) : 7;
    c->need += pad + n * sizeof *list;
    if (!c->at) {
        for (uint64_t i = 0; i < n; i++)
            copy_text(c, list[i]);
        return list;
    }
    const char **to = (const char **)(void *)(c->at + pad);
    c->at += pad + n * sizeof *list;
    for (uint64_t i = 0; i < n; i++)
        to[i] = copy_text(c, list[i]);
    return to;
}

static void copy_job(struct copier *c, struct job *j)
{
    if (j->kind == JOB_CHECKPOINT) {
        prov_checkpoint *p = &j->u.checkpoint;
        p->model_id = copy_text(c, p->model_id);
        p->model_hash = copy_text(c, p->model_hash);
        p->files = copy_list(c, p->files, p->n_files);
        p->metrics_json = copy_text(c, p->metrics_json);
        p->fingerprint_hash = copy_text(c, p->fingerprint_hash);
        p->datasets = copy_list(c, p->datasets, p->n_datasets);
        p->config_file = copy_text(c, p->config_file);
        p->code_file = copy_text(c, p->code_file);
        p->actor = copy_text(c, p->actor);
        p->extra_json = copy_text(c, p->extra_json);
    } else if (j->kind == JOB_VALIDATION) {
        prov_validation *p = &j->u.validation;
        p->model_id = copy_text(c, p->model_id);
        p->model_hash = copy_text(c, p->model_hash);
        p->file = copy_text(c, p->file);
        p->validator_id = copy_text(c, p->validator_id);
        p->result_json = copy_text(c, p->result_json);
        p->challenge_file = copy_text(c, p->challenge_file);
        p->challenge_hash = copy_text(c, p->challenge_hash);
        p->checkpoint_id = copy_text(c, p->checkpoint_id);
        p->validator_key = copy_text(c, p->validator_key);
        p->actor = copy_text(c, p->actor);
        p->extra_json = copy_text(c, p->extra_json);
    } else {
        j->u.raw.stream = copy_text(c, j->u.raw.stream);
        j->u.raw.kind = copy_text(c, j->u.raw.kind);
        j->u.raw.subject = copy_text(c, j->u.raw.subject);
        j->u.raw.body = copy_text(c, j->u.raw.body);
    }
}

static struct job *clone_job(const struct job *from)
{
    struct copier c = {0};
    struct job probe = *from;
    copy_job(&c, &probe);
    struct job *to = malloc(sizeof *to + c.need);
    if (!to)
        return NULL;
    *to = *from;
    to->next = NULL;
    to->bytes = sizeof *to + c.need;
    c.at = (char *)(to + 1);
    copy_job(&c, to);
    return to;
}

/* ---- the thread ----------------------------------------------------------------------------------------------------------- */

static void tell_failed(struct prov_recorder *r, uint64_t count, const prov_error *why)
{
    pthread_mutex_lock(&r->tell);
    pv_log(count ? PROV_LOG_ERROR : PROV_LOG_WARN, "recorder: %s", why->message);
    if (r->params.failed)
        r->params.failed(r->params.ctx, count, why);
    pthread_mutex_unlock(&r->tell);
}

static int draft_of(struct prov_recorder *r, const struct job *j, struct api_draft *ret, prov_error *err)
{
    if (j->kind == JOB_CHECKPOINT)
        return api_draft_checkpoint(r->h, &j->u.checkpoint, ret, err);
    if (j->kind == JOB_VALIDATION)
        return api_draft_validation(r->h, &j->u.validation, ret, err);
    return api_draft_raw(r->h, j->u.raw.stream, j->u.raw.kind, j->u.raw.subject, NULL, j->u.raw.body, ret, err);
}

/* Appends drafts [from, to), all of one stream. */
static void append_group(struct prov_recorder *r, const struct api_draft *d, size_t n)
{
    struct pv_draft drafts[GROUP_MAX];
    struct pv_stream *s = NULL;
    prov_error err = {0};
    for (size_t i = 0; i < n; i++)
        drafts[i] = (struct pv_draft){d[i].kind, d[i].subject, d[i].actor, psdk_buf_str(&d[i].body), d[i].body.len};
    int rc = api_stream(r->h, d[0].stream, &s, &err);
    if (!rc)
        rc = pv_stream_append(s, drafts, n, NULL, &err);
    pthread_mutex_lock(&r->lock);
    if (rc)
        r->failed += n;
    else
        r->durable += n;
    pthread_mutex_unlock(&r->lock);
    if (rc)
        tell_failed(r, n, &err);
}

static void append_jobs(struct prov_recorder *r, struct job *jobs)
{
    struct api_draft *d = calloc(GROUP_MAX, sizeof *d);
    while (jobs) {
        size_t n = 0;
        for (; jobs && d && n < GROUP_MAX;) {
            struct job *j = jobs;
            prov_error err = {0};
            int rc = draft_of(r, j, &d[n], &err);
            jobs = j->next;
            free(j);
            if (rc) {
                pthread_mutex_lock(&r->lock);
                r->failed++;
                pthread_mutex_unlock(&r->lock);
                tell_failed(r, 1, &err);
                continue;
            }
            n++;
            if (n > 1 && strcmp(d[n - 1].stream, d[0].stream) != 0) { /* a change of stream ends the group */
                struct api_draft other = d[--n];
                append_group(r, d, n);
                for (size_t i = 0; i < n; i++)
                    api_draft_done(&d[i]);
                d[0] = other;
                n = 1;
            }
        }
        if (n)
            append_group(r, d, n);
        for (size_t i = 0; i < n; i++)
            api_draft_done(&d[i]);
        if (!d) { /* out of memory: say so for each */
            prov_error err = {0};
            psdk_fail(&err, PROV_E_NOMEM, "out of memory");
            struct job *j = jobs;
            jobs = j->next;
            free(j);
            pthread_mutex_lock(&r->lock);
            r->failed++;
            pthread_mutex_unlock(&r->lock);
            tell_failed(r, 1, &err);
        }
    }
    free(d);
}

static void *run_appender(void *arg)
{
    struct prov_recorder *r = arg;
    pthread_mutex_lock(&r->lock);
    while (r->first || !r->ending) {
        if (!r->first) {
            pthread_cond_wait(&r->work, &r->lock);
            continue;
        }
        struct job *jobs = r->first;
        r->first = NULL;
        r->last = &r->first;
        r->queued_bytes = 0;
        pthread_cond_broadcast(&r->space);
        pthread_mutex_unlock(&r->lock);
        append_jobs(r, jobs);
        pthread_mutex_lock(&r->lock);
        if (!r->oldest_ns && r->durable > r->sealed)
            r->oldest_ns = psdk_monotonic_ns();
        pthread_cond_broadcast(&r->idle);
        pthread_cond_signal(&r->seal);
    }
    r->appended_all = true;
    pthread_cond_signal(&r->seal);
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

static void wait_seal(struct prov_recorder *r, uint64_t until_ns)
{
    struct timespec until = {(time_t)(until_ns / NS_PER_S), (long)(until_ns % NS_PER_S)};
    pthread_cond_timedwait(&r->seal, &r->lock, &until);
}

/* One attempt; lock held, but not meanwhile. */
static bool seal_now(struct prov_recorder *r)
{
    uint64_t target = r->durable, wanted = r->seal_wanted;
    prov_error err = {0};
    pthread_mutex_unlock(&r->lock);
    int rc = prov_flush(r->h, NULL, &err);
    if (rc)
        tell_failed(r, 0, &err);
    pthread_mutex_lock(&r->lock);
    if (!rc && target > r->sealed)
        r->sealed = target;
    r->oldest_ns = r->durable > r->sealed ? psdk_monotonic_ns() : 0;
    r->seal_error = err;
    r->seal_done = wanted;
    pthread_cond_broadcast(&r->idle);
    return rc == PROV_OK;
}

static void *run_sealer(void *arg)
{
    struct prov_recorder *r = arg;
    uint64_t batch = (uint64_t)pv_config_int(r->h->config, "record.batch_size", 10);
    uint64_t delay = pv_config_duration_ns(r->h->config, "record.max_delay", NS_PER_S);
    uint64_t not_before = 0; /* a store that fails is not hammered */
    pthread_mutex_lock(&r->lock);
    for (;;) {
        uint64_t now = psdk_monotonic_ns(), waiting = r->durable - r->sealed;
        bool full = waiting >= batch || (waiting && now - r->oldest_ns >= delay);
        bool asked = r->seal_wanted != r->seal_done;
        if (asked || (r->appended_all && waiting) || (full && now >= not_before)) {
            bool last = r->appended_all;
            if (!seal_now(r)) {
                not_before = psdk_monotonic_ns() + NS_PER_S;
                if (last)
                    break; /* the records are safe in the journal */
            }
            continue;
        }
        if (r->appended_all)
            break;
        wait_seal(r, full ? not_before : now + delay);
    }
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

/* ---- the caller's side ------------------------------------------------------------------------------------------------------ */

static void init_cond(pthread_cond_t *c)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(c, &attr);
    pthread_condattr_destroy(&attr);
}

static void end_thread(struct prov_recorder *r)
{
    pthread_mutex_lock(&r->lock);
    r->ending = true;
    pthread_cond_signal(&r->work);
    pthread_mutex_unlock(&r->lock);
}

static void recorder_free(struct prov_recorder *r)
{
    for (struct job *j = r->first; j;) {
        struct job *next = j->next;
        free(j);
        j = next;
    }
    pthread_cond_destroy(&r->work);
    pthread_cond_destroy(&r->space);
    pthread_cond_destroy(&r->idle);
    pthread_cond_destroy(&r->seal);
    pthread_mutex_destroy(&r->tell);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

int prov_recorder_open(prov_handle *handle, const prov_recorder_params *params, prov_recorder **ret, prov_error *err)
{
    API_ERR(err);
    struct pv_ledger *ledger = NULL;
    int rc = api_ledger(handle, &ledger, err); /* no keys: said now, not in the middle of a training run */
    struct prov_recorder *r = rc ? NULL : calloc(1, sizeof *r);
    if (rc)
        return rc;
    if (!r)
        return psdk_fail(err, PROV_E_NOMEM, "out of memory");
    r->h = handle;
    if (params)
        memcpy(&r->params, params, params->struct_size < sizeof r->params ? params->struct_size : sizeof r->params);
    if (!r->params.queue_bytes)
        r->params.queue_bytes = QUEUE_BYTES;
    r->pid = getpid();
    r->last = &r->first;
    pthread_mutex_init(&r->lock, NULL);
    pthread_mutex_init(&r->tell, NULL);
    init_cond(&r->work);
    init_cond(&r->space);
    init_cond(&r->idle);
    init_cond(&r->seal);
    int e = pthread_create(&r->appender, NULL, run_appender, r);
    if (!e && (e = pthread_create(&r->sealer, NULL, run_sealer, r)) != 0) {
        end_thread(r);
        pthread_join(r->appender, NULL);
    }
    if (e) {
        recorder_free(r);
        return psdk_fail_errno(err, e, "recorder: starting its threads");
    }
    *ret = r;
    return PROV_OK;
}

static int push(struct prov_recorder *r, const struct job *from, prov_error *err)
{
    if (r->pid != getpid())
        return psdk_fail(err, PROV_E_INVALID, "recorder: belongs to the process that opened it; open one after the fork");
    struct job *j = clone_job(from);
    if (!j)
        return psdk_fail(err, PROV_E_NOMEM, "recorder: out of memory");
    pthread_mutex_lock(&r->lock);
    if (r->params.block_ns && r->queued_bytes + j->bytes > r->params.queue_bytes) {
        uint64_t t = psdk_monotonic_ns() + r->params.block_ns;
        struct timespec until = {(time_t)(t / NS_PER_S), (long)(t % NS_PER_S)};
        while (r->queued_bytes + j->bytes > r->params.queue_bytes &&
               pthread_cond_timedwait(&r->space, &r->lock, &until) != ETIMEDOUT)
            ;
    }
    bool refused = r->ending || (r->queued_bytes && r->queued_bytes + j->bytes > r->params.queue_bytes);
    if (refused) {
        r->refused++;
    } else {
        bool wake = !r->first;
        *r->last = j;
        r->last = &j->next;
        r->queued_bytes += j->bytes;
        r->accepted++;
        if (wake)
            pthread_cond_signal(&r->work);
    }
    pthread_mutex_unlock(&r->lock);
    if (!refused)
        return PROV_OK;
    free(j);
    return psdk_fail(err, PROV_E_LIMIT, "recorder: the queue is full (%llu bytes); the disk does not keep up",
                     (unsigned long long)r->params.queue_bytes);
}

static int check_json(const char *text, const char *what, prov_error *err)
{
    json_t *value = text ? psdk_json_parse(text, strlen(text), what, err) : NULL;
    int rc = !text ? PROV_OK : !value ? err->code : json_is_object(value) ? PROV_OK
                                                                   : psdk_fail(err, PROV_E_INVALID, "%s: want a JSON object", what);
    json_decref(value);
    return rc;
}

static int check_hash(const char *text, const char *what, prov_error *err)
{
    uint8_t hash[32];
    return !text || psdk_parse_hash(text, hash)
               ? PROV_OK
               : psdk_fail(err, PROV_E_INVALID, "%s '%.100s': want 64 hex digits", what, text);
}

int prov_recorder_checkpoint(prov_recorder *recorder, const prov_checkpoint *checkpoint, prov_error *err)
{
    API_ERR(err);
    struct job j = {.kind = JOB_CHECKPOINT};
    const char *id = api_model_id(recorder->h, checkpoint->model_id);
    j.u.checkpoint = *checkpoint;
    int rc = pv_id_check("model_id", id ? id : "", err);
    if (!rc && checkpoint->epoch < 0)
        rc = psdk_fail(err, PROV_E_INVALID, "epoch %lld: want 0 or more", (long long)checkpoint->epoch);
    if (!rc && !checkpoint->model_hash == !checkpoint->n_files)
        rc = psdk_fail(err, PROV_E_INVALID, "model_hash: give either a hash or files");
    if (!rc)
        rc = check_hash(checkpoint->model_hash, "model_hash", err);
    if (!rc)
        rc = check_json(checkpoint->metrics_json, "metrics", err);
    return rc ? rc : push(recorder, &j, err);
}

int prov_recorder_validation(prov_recorder *recorder, const prov_validation *validation, prov_error *err)
{
    API_ERR(err);
    struct job j = {.kind = JOB_VALIDATION};
    const char *id = api_model_id(recorder->h, validation->model_id);
    j.u.validation = *validation;
    int rc = pv_id_check("model_id", id ? id : "", err);
    if (!rc && (!validation->validator_id || !*validation->validator_id))
        rc = psdk_fail(err, PROV_E_INVALID, "validator_id: missing");
    if (!rc && !validation->model_hash == !validation->file)
        rc = psdk_fail(err, PROV_E_INVALID, "model_hash: give either a hash or a file");
    if (!rc)
        rc = check_hash(validation->model_hash, "model_hash", err);
    if (!rc && !validation->result_json)
        rc = psdk_fail(err, PROV_E_INVALID, "validation_result: missing");
    if (!rc)
        rc = check_json(validation->result_json, "validation_result", err);
    return rc ? rc : push(recorder, &j, err);
}

int prov_recorder_raw(prov_recorder *recorder, const char *stream, const char *kind, const char *subject,
                      const char *body_json, prov_error *err)
{
    API_ERR(err);
    struct job j = {.kind = JOB_RAW, .u.raw = {stream, kind, subject, body_json}};
    char prefix[PV_NAME_MAX];
    int rc = stream && kind && subject && body_json ? PROV_OK : psdk_fail(err, PROV_E_INVALID, "stream, kind, subject and body are needed");
    if (!rc)
        rc = api_check_raw_kind(kind, err);
    if (!rc)
        rc = pv_stream_prefix(stream, prefix, sizeof prefix, err);
    if (!rc)
        rc = pv_id_check("subject", subject, err);
    if (!rc && !pv_kind_ok(kind))
        rc = psdk_fail(err, PROV_E_INVALID, "kind '%.80s': want lower-case words joined by dots", kind);
    if (!rc)
        rc = check_json(body_json, "body", err);
    return rc ? rc : push(recorder, &j, err);
}

int prov_recorder_flush(prov_recorder *recorder, int32_t seal, uint64_t timeout_ns, prov_error *err)
{
    API_ERR(err);
    struct prov_recorder *r = recorder;
    uint64_t t = psdk_monotonic_ns() + timeout_ns;
    struct timespec until = {(time_t)(t / NS_PER_S), (long)(t % NS_PER_S)};
    int rc = PROV_OK, e = 0;
    pthread_mutex_lock(&r->lock);
    uint64_t target = r->accepted, failed = r->failed;
    pthread_cond_signal(&r->work);
    while (r->durable + r->failed < target && e != ETIMEDOUT)
        e = timeout_ns ? pthread_cond_timedwait(&r->idle, &r->lock, &until) : pthread_cond_wait(&r->idle, &r->lock);
    if (seal && e != ETIMEDOUT) {
        uint64_t mine = ++r->seal_wanted;
        pthread_cond_signal(&r->seal);
        while (r->seal_done < mine && e != ETIMEDOUT)
            e = timeout_ns ? pthread_cond_timedwait(&r->idle, &r->lock, &until) : pthread_cond_wait(&r->idle, &r->lock);
        if (e != ETIMEDOUT && r->seal_error.code) {
            *err = r->seal_error;
            rc = err->code;
        }
    }
    if (e == ETIMEDOUT)
        rc = psdk_fail(err, PROV_E_TIMEOUT, "recorder: not all records were %s in time", seal ? "sealed" : "durable");
    else if (!rc && r->failed > failed)
        rc = psdk_fail(err, PROV_E_IO, "recorder: %llu records could not be kept", (unsigned long long)(r->failed - failed));
    pthread_mutex_unlock(&r->lock);
    return rc;
}

void prov_recorder_stats_get(prov_recorder *recorder, prov_recorder_stats *ret)
{
    struct prov_recorder *r = recorder;
    pthread_mutex_lock(&r->lock);
    prov_recorder_stats all = {.struct_size = ret->struct_size, .accepted = r->accepted, .durable = r->durable,
                               .refused = r->refused, .failed = r->failed, .sealed = r->sealed,
                               .waiting = r->accepted - r->durable - r->failed};
    pthread_mutex_unlock(&r->lock);
    memcpy(ret, &all, ret->struct_size < sizeof all ? ret->struct_size : sizeof all);
}

int prov_recorder_close(prov_recorder *recorder, prov_error *err)
{
    API_ERR(err);
    struct prov_recorder *r = recorder;
    int rc = PROV_OK;
    if (!r)
        return PROV_OK;
    if (r->pid != getpid()) /* a forked child: the threads are the parent's */
        return PROV_OK;
    end_thread(r);
    pthread_join(r->appender, NULL);
    pthread_join(r->sealer, NULL);
    if (r->failed)
        rc = psdk_fail(err, PROV_E_IO, "recorder: %llu records could not be kept", (unsigned long long)r->failed);
    recorder_free(r);
    return rc;
}
