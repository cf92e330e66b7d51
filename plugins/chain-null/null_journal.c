/* null_journal.c - opening and reading the journal of chain-null, and its index in memory.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "null.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_FILE_LEN 65 /* 64 hex digits and a newline */

/* ---- the key -------------------------------------------------------------------------------------------------------- */

static int write_new_key(const char *path, prov_error *err)
{
    struct psdk_ed25519 key = {0};
    uint8_t seed[32] = {0};
    char text[KEY_FILE_LEN + 1];
    int rc = psdk_ed25519_new(&key, err);
    if (rc == PROV_OK)
        rc = psdk_ed25519_seed(&key, seed, err);
    if (rc == PROV_OK) {
        psdk_hex(seed, sizeof seed, text);
        text[64] = '\n';
        rc = psdk_write_file(path, text, KEY_FILE_LEN, 0600, true, err);
        if (rc == PROV_E_EXISTS) /* another process was faster: its key is as good */
            rc = PROV_OK;
    }
    psdk_wipe(seed, sizeof seed);
    psdk_wipe(text, sizeof text);
    psdk_ed25519_done(&key);
    return rc;
}

static int load_key(const char *path, struct psdk_ed25519 *ret, prov_error *err)
{
    uint8_t seed[32] = {0};
    char text[KEY_FILE_LEN + 1] = "";
    struct stat st;
    size_t got = 0;
    int fd = psdk_open(path, O_RDONLY | O_NOFOLLOW, 0, err);
    if (fd < 0)
        return fd;
    int rc = PROV_OK;
    if (fstat(fd, &st) != 0)
        rc = psdk_fail_errno(err, errno, "cannot look at '%s'", path);
    else if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0 || (st.st_uid != geteuid() && st.st_uid != 0))
        rc = psdk_fail(err, PROV_E_DENIED, "others can use the key '%s' (mode %04o): run chmod 600 '%s'", path,
                       (unsigned)st.st_mode & 07777, path);
    else
        rc = psdk_pread_all(fd, text, sizeof text, 0, &got, path, err);
    if (rc == PROV_OK && (got != KEY_FILE_LEN || text[64] != '\n' || !psdk_unhex(text, 64, seed, sizeof seed)))
        rc = psdk_fail(err, PROV_E_CORRUPT, "'%s' is not 64 hex digits and a newline", path);
    if (rc == PROV_OK)
        rc = psdk_ed25519_from_seed(ret, seed, err);
    psdk_wipe(seed, sizeof seed);
    psdk_wipe(text, sizeof text);
    psdk_close(&fd);
    return rc;
}

/* ---- open and close ------------------------------------------------------------------------------------------------- */

static int open_journal(struct pv_null *self, const char *folder, prov_error *err)
{
    self->fd = open(self->journal, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    self->writable = self->fd >= 0;
    if (self->fd < 0 && (errno == EROFS || errno == EACCES)) /* fine for reading */
        self->fd = open(self->journal, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (self->fd < 0)
        return psdk_fail_errno(err, errno, "cannot open '%s'", self->journal);
    return self->writable ? psdk_sync_dir(folder, err) : PROV_OK;
}

int pv_null_journal_open(struct pv_null *self, const char *folder, prov_error *err)
{
    char key[4200];
    size_t cap = strlen(folder) + 32;
    if (cap > 4096)
        return psdk_fail(err, PROV_E_LIMIT, "the path '%.100s...' is too long", folder);
    self->journal = malloc(cap);
    self->lock = malloc(cap);
    if (self->journal == NULL || self->lock == NULL)
        return psdk_fail(err, PROV_E_NOMEM, "no memory");
    snprintf(self->journal, cap, "%s/journal.jsonl", folder);
    snprintf(self->lock, cap, "%s/journal.lock", folder);
    snprintf(key, sizeof key, "%s/journal.key", folder);
    int rc = psdk_mkdirs(folder, 0700, err);
    if (rc == PROV_OK)
        rc = open_journal(self, folder, err);
    if (rc == PROV_OK && self->writable) {
        rc = load_key(key, &self->sign, err);
        if (rc == PROV_E_NOT_FOUND && (rc = write_new_key(key, err)) == PROV_OK)
            rc = load_key(key, &self->sign, err);
    }
    return rc;
}

void pv_null_journal_close(struct pv_null *self)
{
    psdk_close(&self->fd);
    psdk_ed25519_done(&self->sign);
    free(self->journal);
    free(self->lock);
    free(self->entries);
    free(self->table);
}

/* ---- the index ------------------------------------------------------------------------------------------------------- */

static size_t slot_of(const struct pv_null *self, const uint8_t key[32])
{
    uint64_t start;
    memcpy(&start, key, sizeof start);
    size_t at = (size_t)(start & (self->table_cap - 1));
    while (self->table[at] != 0 && memcmp(self->entries[self->table[at] - 1].key, key, 32) != 0)
        at = (at + 1) & (self->table_cap - 1);
    return at;
}

static int index_add(struct pv_null *self, const struct pv_null_entry *entry, prov_error *err)
{
    if (self->n == self->cap) {
        size_t cap = self->cap == 0 ? 256 : self->cap * 2;
        struct pv_null_entry *entries = realloc(self->entries, cap * sizeof *entries);
        if (entries == NULL)
            return psdk_fail(err, PROV_E_NOMEM, "no memory for the journal's index");
        self->entries = entries;
        uint32_t *table = calloc(cap * 2, sizeof *table);
        if (table == NULL)
            return psdk_fail(err, PROV_E_NOMEM, "no memory for the journal's index");
        free(self->table);
        self->cap = cap;
        self->table = table;
        self->table_cap = cap * 2;
        for (size_t i = 0; i < self->n; i++)
            self->table[slot_of(self, self->entries[i].key)] = (uint32_t)(i + 1);
    }
    self->entries[self->n++] = *entry;
    self->table[slot_of(self, entry->key)] = (uint32_t)self->n;
    return PROV_OK;
}

const struct pv_null_entry *pv_null_find(const struct pv_null *self, const uint8_t key[32])
{
    size_t at = self->n == 0 ? 0 : slot_of(self, key);
    return self->n == 0 || self->table[at] == 0 ? NULL : &self->entries[self->table[at] - 1];
}

uint64_t pv_null_seq(const struct pv_null *self, const struct pv_null_entry *entry)
{
    return (uint64_t)(entry - self->entries) + 1;
}

void pv_null_ref_format(uint64_t seq, const uint8_t hash[32], char ret[NULL_REF_SIZE])
{
    char hex[17];
    psdk_hex(hash, 8, hex);
    snprintf(ret, NULL_REF_SIZE, "local:%" PRIu64 "-%s", seq, hex);
}

const struct pv_null_entry *pv_null_find_ref(const struct pv_null *self, const char *ref)
{
    char *end, want[NULL_REF_SIZE];
    if (strncmp(ref, "local:", 6) != 0 || ref[6] < '1' || ref[6] > '9')
        return NULL;
    errno = 0;
    unsigned long long seq = strtoull(ref + 6, &end, 10);
    if (errno != 0 || seq > self->n)
        return NULL;
    const struct pv_null_entry *entry = &self->entries[seq - 1];
    pv_null_ref_format(seq, entry->hash, want);
    return *end == '\0' || strcmp(ref, want) == 0 ? entry : NULL;
}

void pv_null_describe(const struct pv_null *self, const struct pv_null_entry *entry, prov_chain_tx *ret_tx)
{
    uint32_t struct_size = ret_tx->struct_size;
    uint64_t seq = pv_null_seq(self, entry);
    *ret_tx = (prov_chain_tx){.struct_size = struct_size, .state = PROV_CHAIN_STATE_LOCAL,
                              .block_time_ns = (int64_t)entry->time_ns, .reason = "recorded locally, on no chain"};
    pv_null_ref_format(seq, entry->hash, ret_tx->ref);
    if (entry->kind == PROV_CHAIN_STORE_HASH)
        snprintf(ret_tx->result, sizeof ret_tx->result, "local:%" PRIu64, seq);
}

/* ---- reading lines --------------------------------------------------------------------------------------------------- */

/* A string member without escapes: its text, or NULL. */
static const char *string_member(const char *json, size_t len, const char *name, size_t *ret_len)
{
    size_t raw_len = 0;
    const char *raw = psdk_jcs_member(json, len, name, &raw_len);
    if (raw == NULL || raw_len < 2 || raw[0] != '"')
        return NULL;
    *ret_len = raw_len - 2;
    return raw + 1;
}

static bool hash_member(const char *json, size_t len, const char *name, uint8_t ret[32])
{
    size_t text_len = 0;
    const char *text = string_member(json, len, name, &text_len);
    return text != NULL && psdk_unhex(text, text_len, ret, 32);
}

static bool number_member(const char *json, size_t len, const char *name, uint64_t *ret)
{
    size_t raw_len = 0;
    const char *raw = psdk_jcs_member(json, len, name, &raw_len);
    *ret = 0;
    for (size_t i = 0; raw != NULL && i < raw_len && raw_len < 19; i++) {
        if (raw[i] < '0' || raw[i] > '9')
            return false;
        *ret = *ret * 10 + (uint64_t)(raw[i] - '0');
    }
    return raw != NULL && raw_len < 19;
}

/* Reads a line into entry; why it does not fit, or NULL. */
static const char *read_entry(const struct pv_null *self, const char *line, size_t len, struct pv_null_entry *ret)
{
    static const uint8_t zeros[32];
    size_t body_len = 0, args_len = 0, group_len = 0, text_len = 0;
    uint64_t seq, kind;
    uint8_t prev[32];
    char ref[NULL_REF_SIZE];
    prov_error ignored = {0};
    if (psdk_jcs_check(line, len, "line", &ignored) != PROV_OK)
        return "it is not canonical JSON";
    const char *body = psdk_jcs_member(line, len, "entry", &body_len);
    if (body == NULL || body[0] != '{')
        return "it has no entry";
    const char *args = psdk_jcs_member(body, body_len, "args", &args_len);
    const char *group = psdk_jcs_member(body, body_len, "group", &group_len);
    const char *time = string_member(body, body_len, "time", &text_len);
    if (args == NULL || group == NULL || time == NULL || !psdk_time_parse(time, text_len, &ret->time_ns) ||
        !number_member(body, body_len, "seq", &seq) || !number_member(body, body_len, "kind", &kind) ||
        kind > UINT32_MAX || !hash_member(body, body_len, "key", ret->key) ||
        !hash_member(body, body_len, "prev", prev))
        return "a member of its entry is missing or malformed";
    if (seq != self->n + 1)
        return "its sequence number does not follow";
    if (memcmp(prev, self->n > 0 ? self->entries[self->n - 1].hash : zeros, 32) != 0)
        return "its 'prev' is not the hash of the entry before: an entry was changed, removed or put in";
    ret->kind = (uint32_t)kind;
    psdk_sha256(body, body_len, ret->hash);
    pv_null_op_digest(ret->kind, group, group_len, args, args_len, ret->op);
    hash_member(body, body_len, "subject", ret->subject);
    pv_null_ref_format(seq, ret->hash, ref);
    const char *stored = string_member(line, len, "ref", &text_len);
    if (stored == NULL || text_len != strlen(ref) || memcmp(stored, ref, text_len) != 0)
        return "its ref does not fit its entry: it was changed";
    return NULL;
}

int pv_null_take_line(struct pv_null *self, const char *line, size_t len, uint64_t offset, prov_error *err)
{
    struct pv_null_entry entry = {.offset = offset, .len = (uint32_t)len};
    const char *why = len > NULL_LINE_MAX ? "it is too long" : read_entry(self, line, len, &entry);
    if (why != NULL) {
        psdk_fail(err, PROV_E_CORRUPT, "'%s' line %zu: %s", self->journal, self->n + 1, why);
        return psdk_outcome(err, PROV_OUTCOME_PERMANENT);
    }
    return index_add(self, &entry, err);
}

int pv_null_refresh(struct pv_null *self, bool cut, prov_error *err)
{
    struct stat st;
    struct psdk_buf text = {.max = NULL_JOURNAL_MAX};
    if (fstat(self->fd, &st) != 0)
        return psdk_fail_errno(err, errno, "cannot look at '%s'", self->journal);
    uint64_t size = (uint64_t)st.st_size;
    if (size == self->known_bytes)
        return PROV_OK;
    if (size < self->known_bytes) { /* another process took back lines that it could not make durable */
        self->n = 0;
        self->known_bytes = self->synced_bytes = 0;
        if (self->table != NULL)
            memset(self->table, 0, self->table_cap * sizeof *self->table);
    }
    size_t want = (size_t)(size - self->known_bytes), got = 0;
    int rc = psdk_buf_reserve(&text, want) == PROV_OK ? PROV_OK : psdk_buf_check(&text, err);
    if (rc == PROV_OK)
        rc = psdk_pread_all(self->fd, text.data, want, self->known_bytes, &got, self->journal, err);
    const char *at = (const char *)text.data, *end = rc == PROV_OK ? at + got : at;
    while (rc == PROV_OK && at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        if (newline == NULL || (newline + 1 == end && memchr(at, '\0', (size_t)(newline - at)) != NULL))
            break; /* torn, or still being written */
        rc = pv_null_take_line(self, at, (size_t)(newline - at), self->known_bytes, err);
        if (rc == PROV_OK)
            self->known_bytes += (uint64_t)(newline - at) + 1;
        at = newline + 1;
    }
    if (rc == PROV_OK && cut && at < end && ftruncate(self->fd, (off_t)self->known_bytes) != 0)
        rc = psdk_fail_errno(err, errno, "cannot cut the torn last line of '%s'", self->journal);
    psdk_buf_done(&text);
    return rc;
}

int pv_null_sync(struct pv_null *self, prov_error *err)
{
    if (self->synced_bytes >= self->known_bytes || !self->writable)
        return PROV_OK;
    int rc = psdk_fdatasync(self->fd, self->journal, err);
    if (rc == PROV_OK)
        self->synced_bytes = self->known_bytes;
    return rc;
}

int pv_null_read_line(const struct pv_null *self, const struct pv_null_entry *entry, struct psdk_buf *ret,
                      prov_error *err)
{
    size_t got = 0;
    if (psdk_buf_reserve(ret, entry->len) != PROV_OK)
        return psdk_buf_check(ret, err);
    int rc = psdk_pread_all(self->fd, ret->data + ret->len, entry->len, entry->offset, &got, self->journal, err);
    if (rc != PROV_OK)
        return rc;
    if (got != entry->len)
        return psdk_fail(err, PROV_E_CORRUPT, "'%s' was cut", self->journal);
    ret->len += got;
    ret->data[ret->len] = '\0';
    return PROV_OK;
}

json_t *pv_null_read_args(const struct pv_null *self, const struct pv_null_entry *entry, prov_error *err)
{
    struct psdk_buf line = {0};
    size_t body_len = 0, args_len = 0;
    json_t *args = NULL;
    if (pv_null_read_line(self, entry, &line, err) == PROV_OK) {
        const char *body = psdk_jcs_member((const char *)line.data, line.len, "entry", &body_len);
        const char *text = body != NULL ? psdk_jcs_member(body, body_len, "args", &args_len) : NULL;
        if (text != NULL)
            args = psdk_json_parse(text, args_len, self->journal, err);
        else
            psdk_fail(err, PROV_E_CORRUPT, "'%s' was changed while it was open", self->journal);
    }
    psdk_buf_done(&line);
    return args;
}
