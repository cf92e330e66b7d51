/* pv_config_expand.c - ${VAR} in values, and what counts as a secret.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "pv_config_impl.h"

/* As pv_env_get, but an empty value counts. */
static const char *raw_env(const char *const *environment, const char *name)
{
    size_t n = strlen(name);
    for (; *environment; environment++)
        if (strncmp(*environment, name, n) == 0 && (*environment)[n] == '=')
            return *environment + n + 1;
    return NULL;
}

const char *pv_env_get(const char *const *environment, const char *name)
{
    const char *value = raw_env(environment, name);
    return value && *value ? value : NULL;
}

/* Names that say nothing about the user beyond what every program is told. */
static bool harmless_name(const char *name)
{
    static const char *const names[] = {"HOME", "USER", "PWD", "TMPDIR", "PROV_MODEL_ID"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return strncmp(name, "XDG_", 4) == 0;
}

static bool utf8_ok(const char *text)
{
    size_t left = strlen(text), n;
    for (; left > 0; text += n, left -= n)
        if ((n = pv_utf8_length(text, left)) == 0)
            return false;
    return true;
}

/* Expands the part of at that begins with "${"; *ret_next is behind its "}". */
static int expand_one(const struct pv_layer *layer, const struct pv_yaml *node, const char *at, struct psdk_buf *out,
                      const char **ret_next, prov_error *err)
{
    char name[128], what[160];
    const char *start = at + 2, *end = strchr(start, '}');
    size_t n = 0;

    while (n < sizeof name - 1 && (isalnum((unsigned char)start[n]) || start[n] == '_')) {
        name[n] = start[n];
        n++;
    }
    name[n] = '\0';
    if (!end)
        return pv_config_fail(layer, node, err, "'${' without '}'; a dollar sign itself is written '$$'");
    bool with_default = start[n] == ':' && start[n + 1] == '-';
    const char *fallback = start + n + (with_default ? 2 : 0);
    if (n == 0 || isdigit((unsigned char)name[0]) || (!with_default && start + n != end))
        return pv_config_fail(layer, node, err, "want ${NAME} or ${NAME:-default}, got '%.*s'",
                              (int)(end - at < 60 ? end - at + 1 : 60), at);
    if (with_default && memchr(fallback, '$', (size_t)(end - fallback)))
        return pv_config_fail(layer, node, err, "the default of ${%s} cannot hold another '$'", name);
    if (!layer->trusted && !harmless_name(name)) {
        snprintf(what, sizeof what, "expanding ${%s}", name);
        return pv_config_refuse(layer, node, what, err);
    }
    *ret_next = end + 1;
    const char *value = raw_env(layer->environ, name);
    if (value && !utf8_ok(value))
        return pv_config_fail(layer, node, err, "the environment variable %s is not UTF-8", name);
    if (with_default && (!value || !*value))
        psdk_buf_add(out, fallback, (size_t)(end - fallback));
    else if (value)
        psdk_buf_adds(out, value);
    else
        return pv_config_fail(layer, node, err,
                              "the environment variable %s is not set; set it, or write ${%s:-default}", name, name);
    return PROV_OK;
}

/* Whether the name in "${NAME..." is a secret's. */
static bool secret_variable(const char *at)
{
    char name[128];
    size_t n = 0;
    for (at += 2; n < sizeof name - 1 && (isalnum((unsigned char)*at) || *at == '_'); at++)
        name[n++] = *at;
    name[n] = '\0';
    return pv_secret_name(name);
}

int pv_config_expand(const struct pv_layer *layer, const struct pv_yaml *node, struct psdk_buf *out, bool *ret_expanded,
                     bool *ret_secret, prov_error *err)
{
    *ret_expanded = *ret_secret = false;
    out->max = PV_CONFIG_MAX_BYTES;
    for (const char *at = node->text; *at;) {
        size_t n = strcspn(at, "$");
        psdk_buf_add(out, at, n);
        at += n;
        if (*at == '\0')
            break;
        if (at[1] == '$') {
            psdk_buf_addc(out, '$');
            at += 2;
        } else if (at[1] == '{') {
            *ret_expanded = true;
            *ret_secret |= secret_variable(at);
            int rc = expand_one(layer, node, at, out, &at, err);
            if (rc)
                return rc;
        } else {
            return pv_config_fail(layer, node, err, "a lone '$'; write ${NAME} for a variable, '$$' for a dollar sign");
        }
    }
    psdk_buf_add(out, "", 0);
    return psdk_buf_check(out, err);
}

/* ---- secrets ----------------------------------------------------------------------------------------------------- */
/* Compares the end of key with word, "-" like "_", in any case: "My-Private-Key" ends as "private_key". */
static bool ends_as(const char *key, const char *word)
{
    size_t n = strlen(key), m = strlen(word);
    if (n > 0 && m > 0 && tolower((unsigned char)key[n - 1]) == 's' && word[m - 1] != 's')
        n--; /* plural */
    if (n < m)
        return false;
    for (size_t i = 0; i < m; i++) {
        int c = tolower((unsigned char)key[n - m + i]);
        if ((c == '-' ? '_' : c) != word[i])
            return false;
    }
    return n == m || key[n - m - 1] == '_' || key[n - m - 1] == '-';
}

static bool ends_as_any(const char *key, const char *const *words)
{
    for (; *words; words++)
        if (ends_as(key, *words))
            return true;
    return false;
}

bool pv_secret_name(const char *key)
{
    static const char *const words[] = {"private_key", "secret",        "password",   "passwd",   "passphrase",
                                        "token",       "secret_key",    "access_key", "api_key",  "apikey",
                                        "pepper",      "authorization", "cookie",     "mnemonic", NULL};
    return ends_as_any(key, words);
}

bool pv_secret_reference(const char *key)
{
    static const char *const words[] = {"file", "fd",    "keystore", "key_path",    "key_dir", "exec",
                                        "hook", "hooks", "command",  "credentials", "sslkey",  NULL};
    return ends_as_any(key, words);
}

/* The password of the first URL in text that has one: its start and length; NULL: none. *ret_next: where to go on. */
static const char *find_password(const char *text, size_t *ret_len, const char **ret_next)
{
    for (const char *url = strstr(text, "://"); url; url = strstr(url + 3, "://")) {
        const char *user = url + 3;
        size_t n = strcspn(user, "/?# \t\n");
        const char *at = memrchr(user, '@', n);
        const char *colon = at ? memchr(user, ':', (size_t)(at - user)) : NULL;
        if (!colon)
            continue;
        *ret_len = (size_t)(at - colon - 1);
        *ret_next = at;
        return colon + 1;
    }
    return NULL;
}

bool pv_secret_in_url(const char *text)
{
    size_t len;
    const char *password;
    while ((password = find_password(text, &len, &text)) != NULL) {
        bool variable =
            len > 3 && memcmp(password, "${", 2) == 0 && password[len - 1] == '}' && !memmem(password, len, ":-", 2);
        if (len > 0 && !variable)
            return true;
    }
    return false;
}

/* A member of a query or DSN at text ("password=x"): length up to and with "=", or 0. */
static size_t secret_member(const char *text)
{
    char name[64];
    size_t n = 0;
    while (n < sizeof name - 1 && (isalnum((unsigned char)text[n]) || text[n] == '_' || text[n] == '-')) {
        name[n] = text[n];
        n++;
    }
    name[n] = '\0';
    if (n == 0 || text[n] != '=' ||
        !(pv_secret_name(name) || strcasecmp(name, "key") == 0 || strcasecmp(name, "sig") == 0))
        return 0;
    return n + 1;
}

int pv_secret_redact(const char *text, struct psdk_buf *out)
{
    size_t len = 0, member;
    const char *next = NULL, *password = find_password(text, &len, &next);
    bool word_start = true;

    while (*text) {
        if (text == password) {
            psdk_buf_adds(out, "***");
            text = next;
            password = find_password(text, &len, &next);
            word_start = false;
        } else if (word_start && (member = secret_member(text)) > 0) {
            psdk_buf_add(out, text, member);
            psdk_buf_adds(out, "***");
            text += member;
            text += *text == '\'' ? 1 + strcspn(text + 1, "'") : strcspn(text, "& \t\n");
            if (password && text > password)
                password = find_password(text, &len, &next);
        } else {
            word_start = strchr("?& \t\n;'", *text) != NULL;
            psdk_buf_addc(out, *text++);
        }
    }
    psdk_buf_add(out, "", 0);
    return out->failed;
}
