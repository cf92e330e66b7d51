/* pv_config_yaml.c - YAML text to a small tree that knows its lines and columns.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * libyaml's events are taken one by one, so that a hostile file is stopped at the first event that is not plain data:
 * aliases (the "billion laughs"), tags, depth and number of nodes are all bounded before anything is built.
 */
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "pv_config_impl.h"
#include "psdk_sign.h"

struct reader {
    yaml_parser_t yaml;
    const char *name;
    const char *text;
    size_t len;
    size_t n_nodes;
    prov_error *err;
};

static int fail_at(struct reader *r, yaml_mark_t mark, const char *why)
{
    return psdk_fail(r->err, PROV_E_CONFIG, "%s:%zu:%zu: %s", r->name, mark.line + 1, mark.column + 1, why);
}

static int no_memory(prov_error *err)
{
    return psdk_fail(err, PROV_E_NOMEM, "configuration: out of memory");
}

void pv_yaml_free(struct pv_yaml *node)
{
    while (node) {
        struct pv_yaml *next = node->next;
        pv_yaml_free(node->first);
        if (node->text)
            psdk_wipe(node->text, strlen(node->text));
        free(node->text);
        free(node->key);
        free(node);
        node = next;
    }
}

const struct pv_yaml *pv_yaml_get(const struct pv_yaml *map, const char *key)
{
    if (!map || map->kind != PV_YAML_MAP)
        return NULL;
    for (const struct pv_yaml *child = map->first; child; child = child->next)
        if (strcmp(child->key, key) == 0)
            return child;
    return NULL;
}

bool pv_yaml_is_null(const struct pv_yaml *node)
{
    if (node->kind != PV_YAML_SCALAR || !node->plain)
        return false;
    static const char *const words[] = {"", "~", "null", "Null", "NULL"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(node->text, words[i]) == 0)
            return true;
    return false;
}

size_t pv_utf8_length(const char *text, size_t left)
{
    const unsigned char *s = (const unsigned char *)text;
    if (s[0] < 0x80)
        return 1;
    size_t n = s[0] >= 0xc2 && s[0] < 0xe0 ? 2 : s[0] >= 0xe0 && s[0] < 0xf0 ? 3 : s[0] >= 0xf0 && s[0] < 0xf5 ? 4 : 0;
    if (n == 0 || n > left)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    bool bad = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) ||
               (s[0] == 0xf4 && s[1] > 0x8f);
    return bad ? 0 : n;
}

static int check_text(struct reader *r)
{
    yaml_mark_t mark = {0, 0, 0};
    if (r->len > PV_CONFIG_MAX_BYTES)
        return psdk_fail(r->err, PROV_E_CONFIG, "%s: larger than 1 MiB; a configuration is never that large", r->name);
    for (size_t i = 0; i < r->len;) {
        const unsigned char *s = (const unsigned char *)r->text + i;
        size_t n = pv_utf8_length(r->text + i, r->len - i);
        if (n == 0)
            return fail_at(r, mark, "not UTF-8; save the file as UTF-8");
        if ((s[0] < 0x20 && s[0] != '\t' && s[0] != '\n' && s[0] != '\r') || s[0] == 0x7f)
            return fail_at(r, mark, "a control character; remove it");
        mark.column = s[0] == '\n' ? 0 : mark.column + 1;
        mark.line += s[0] == '\n';
        i += n;
    }
    return PROV_OK;
}

/* True when the first character of line (from 0) that is not a space is a tab, at column. */
static bool tab_at(const struct reader *r, size_t line, size_t *ret_column)
{
    const char *at = r->text, *end = r->text + r->len;
    for (; line > 0 && at < end; line--) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        at = newline ? newline + 1 : end;
    }
    const char *start = at;
    while (at < end && *at == ' ')
        at++;
    *ret_column = (size_t)(at - start);
    return at < end && *at == '\t';
}

/* Turns libyaml's failure into ours. */
static int parser_failed(struct reader *r)
{
    yaml_parser_t *p = &r->yaml;
    if (p->error == YAML_MEMORY_ERROR)
        return no_memory(r->err);
    yaml_mark_t mark = p->problem_mark;
    size_t column;
    if (p->error == YAML_SCANNER_ERROR && tab_at(r, mark.line, &column)) {
        mark.column = column;
        return fail_at(r, mark, "a tab in the indentation; YAML wants spaces");
    }
    const char *problem = p->problem ? p->problem : "not YAML";
    if (p->error == YAML_READER_ERROR)
        return psdk_fail(r->err, PROV_E_CONFIG, "%s: byte %zu: %s", r->name, p->problem_offset, problem);
    if (p->context && (p->context_mark.line != mark.line || p->context_mark.column != mark.column))
        return psdk_fail(r->err, PROV_E_CONFIG, "%s:%zu:%zu: %s (%s that begins at line %zu)", r->name, mark.line + 1,
                         mark.column + 1, problem, p->context, p->context_mark.line + 1);
    return fail_at(r, mark, problem);
}

static int next_event(struct reader *r, yaml_event_t *event)
{
    return yaml_parser_parse(&r->yaml, event) ? PROV_OK : parser_failed(r);
}

static int refuse_properties(struct reader *r, const yaml_event_t *event, const yaml_char_t *anchor,
                             const yaml_char_t *tag)
{
    if (anchor)
        return fail_at(r, event->start_mark, "an anchor (&name); write the value out where it is needed");
    if (tag)
        return fail_at(r, event->start_mark, "a tag (!name); values here have no tags, remove it");
    return PROV_OK;
}

static int copy_scalar(struct reader *r, const yaml_event_t *event, char **ret)
{
    int rc = refuse_properties(r, event, event->data.scalar.anchor, event->data.scalar.tag);
    if (rc)
        return rc;
    const char *value = (const char *)event->data.scalar.value;
    if (memchr(value, 0, event->data.scalar.length))
        return fail_at(r, event->start_mark, "a NUL character in a value");
    *ret = strdup(value);
    return *ret ? PROV_OK : no_memory(r->err);
}

static int new_node(struct reader *r, enum pv_yaml_kind kind, const yaml_event_t *event, struct pv_yaml **ret)
{
    if (++r->n_nodes > PV_YAML_NODES)
        return fail_at(r, event->start_mark, "too many values; one file holds at most 5000");
    struct pv_yaml *node = calloc(1, sizeof *node);
    if (!node)
        return no_memory(r->err);
    node->kind = kind;
    node->line = (unsigned)event->start_mark.line + 1;
    node->column = (unsigned)event->start_mark.column + 1;
    *ret = node;
    return PROV_OK;
}

static int parse_node(struct reader *r, yaml_event_t *event, int depth, struct pv_yaml **ret);

/* Letters, digits and _ - + : / @; no dot, since dots separate the parts of a path. */
static bool key_ok(const char *key)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-+:/@";
    size_t n = strspn(key, allowed);
    return n > 0 && n <= 128 && key[n] == '\0';
}

static int check_key(struct reader *r, const struct pv_yaml *map, const yaml_event_t *event, const char *key)
{
    if (strcmp(key, "<<") == 0)
        return fail_at(r, event->start_mark, "a merge key (<<); write the values out");
    if (!key_ok(key))
        return fail_at(r, event->start_mark, "a key is 1 to 128 letters, digits, '_', '-', '+', ':', '/' or '@'");
    const struct pv_yaml *twin = pv_yaml_get(map, key);
    if (twin)
        return psdk_fail(r->err, PROV_E_CONFIG, "%s:%zu:%zu: '%s' is given twice; the first is at line %u, column %u",
                         r->name, event->start_mark.line + 1, event->start_mark.column + 1, key, twin->key_line,
                         twin->key_column);
    return PROV_OK;
}

static void add_child(struct pv_yaml *parent, struct pv_yaml *child)
{
    if (parent->last)
        parent->last->next = child;
    else
        parent->first = child;
    parent->last = child;
    parent->n++;
}

/* Reads the key in *event and the value after it. */
static int parse_member(struct reader *r, yaml_event_t *event, int depth, struct pv_yaml *map)
{
    char *key = NULL;
    struct pv_yaml *child = NULL;
    yaml_mark_t mark = event->start_mark;
    int rc;

    if (event->type == YAML_ALIAS_EVENT)
        return fail_at(r, mark, "an alias (*name); write the value out");
    if (event->type != YAML_SCALAR_EVENT)
        return fail_at(r, mark, "a key must be a plain word");
    rc = copy_scalar(r, event, &key);
    if (!rc)
        rc = check_key(r, map, event, key);
    yaml_event_delete(event);
    if (!rc)
        rc = next_event(r, event);
    if (!rc)
        rc = parse_node(r, event, depth, &child);
    if (rc) {
        free(key);
        return rc;
    }
    child->key = key;
    child->key_line = (unsigned)mark.line + 1;
    child->key_column = (unsigned)mark.column + 1;
    add_child(map, child);
    return PROV_OK;
}

static int parse_children(struct reader *r, yaml_event_t *event, int depth, struct pv_yaml *node)
{
    yaml_event_type_t end = node->kind == PV_YAML_MAP ? YAML_MAPPING_END_EVENT : YAML_SEQUENCE_END_EVENT;
    for (;;) {
        struct pv_yaml *child = NULL;
        yaml_event_delete(event);
        int rc = next_event(r, event);
        if (rc)
            return rc;
        if (event->type == end)
            return PROV_OK;
        if (node->n >= PV_YAML_MEMBERS)
            return fail_at(r, event->start_mark, "too many members; one map or list holds at most 2000");
        rc = node->kind == PV_YAML_MAP ? parse_member(r, event, depth, node) : parse_node(r, event, depth, &child);
        if (rc)
            return rc;
        if (child)
            add_child(node, child);
    }
}

/* Builds the node that begins with *event; *event is then the last one of the node. */
static int parse_node(struct reader *r, yaml_event_t *event, int depth, struct pv_yaml **ret)
{
    struct pv_yaml *node = NULL;
    int rc;

    if (depth > PV_YAML_DEPTH)
        return fail_at(r, event->start_mark, "nested too deep; at most 16 levels");
    switch (event->type) {
    case YAML_ALIAS_EVENT:
        return fail_at(r, event->start_mark, "an alias (*name); write the value out");
    case YAML_SCALAR_EVENT:
        rc = new_node(r, PV_YAML_SCALAR, event, &node);
        if (!rc)
            rc = copy_scalar(r, event, &node->text);
        if (!rc)
            node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
        break;
    case YAML_SEQUENCE_START_EVENT:
        rc = refuse_properties(r, event, event->data.sequence_start.anchor, event->data.sequence_start.tag);
        if (!rc)
            rc = new_node(r, PV_YAML_LIST, event, &node);
        if (!rc)
            rc = parse_children(r, event, depth + 1, node);
        break;
    case YAML_MAPPING_START_EVENT:
        rc = refuse_properties(r, event, event->data.mapping_start.anchor, event->data.mapping_start.tag);
        if (!rc)
            rc = new_node(r, PV_YAML_MAP, event, &node);
        if (!rc)
            rc = parse_children(r, event, depth + 1, node);
        break;
    default:
        return fail_at(r, event->start_mark, "not YAML");
    }
    if (rc) {
        pv_yaml_free(node);
        return rc;
    }
    *ret = node;
    return PROV_OK;
}

/* Stream start, at most one document, stream end. */
static int parse_stream(struct reader *r, struct pv_yaml **ret)
{
    yaml_event_t event;
    bool seen = false;
    int rc = PROV_OK;
    for (bool done = false; !done && !rc;) {
        rc = next_event(r, &event);
        if (rc)
            break;
        switch (event.type) {
        case YAML_STREAM_START_EVENT:
        case YAML_DOCUMENT_END_EVENT:
            break;
        case YAML_DOCUMENT_START_EVENT:
            if (seen)
                rc = fail_at(r, event.start_mark, "a second document begins here; one file holds one");
            seen = true;
            break;
        case YAML_STREAM_END_EVENT:
            done = true;
            break;
        default:
            rc = parse_node(r, &event, 1, ret);
            break;
        }
        yaml_event_delete(&event);
    }
    return rc;
}

int pv_yaml_parse(const char *text, size_t len, const char *name, struct pv_yaml **ret, prov_error *err)
{
    struct reader r = {.name = name, .text = text, .len = len, .err = err};
    struct pv_yaml *root = NULL;
    int rc;

    *ret = NULL;
    if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) { /* a byte-order mark says nothing in UTF-8 */
        r.text += 3;
        r.len -= 3;
    }
    rc = check_text(&r);
    if (rc)
        return rc;
    if (!yaml_parser_initialize(&r.yaml))
        return no_memory(err);
    yaml_parser_set_encoding(&r.yaml, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.yaml, (const unsigned char *)r.text, r.len);
    rc = parse_stream(&r, &root);
    yaml_parser_delete(&r.yaml);
    if (!rc && root && root->kind != PV_YAML_MAP && !pv_yaml_is_null(root))
        rc = psdk_fail(err, PROV_E_CONFIG, "%s:%u:%u: want 'key: value' lines at the top", name, root->line,
                       root->column);
    if (!rc && root && root->kind == PV_YAML_MAP) {
        *ret = root;
        root = NULL;
    }
    pv_yaml_free(root);
    return rc;
}
