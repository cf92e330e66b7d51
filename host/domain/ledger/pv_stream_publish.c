/* pv_stream_publish.c - materialising a committed head: tiles first, then `checkpoint`. SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pv_stream_impl.h"

void stream_key(const struct pv_stream *s, const char *name, char ret[STREAM_KEY_MAX])
{
    snprintf(ret, STREAM_KEY_MAX, "%s%s", s->prefix, name);
}

/* Replaces `checkpoint` unless somebody published a larger one. */
static int put_checkpoint(struct pv_stream *s, prov_error *err)
{
    char key[STREAM_KEY_MAX];
    stream_key(s, "checkpoint", key);
    for (int tries = 0; tries < 8; tries++) {
        prov_precond cond = {.struct_size = sizeof cond,
                             .kind = s->published_etag[0] ? PROV_PRECOND_MATCH : PROV_PRECOND_ABSENT};
        prov_object object = {.struct_size = sizeof object};
        memcpy(cond.etag, s->published_etag, sizeof cond.etag);
        int rc = pv_store_put(s->ledger->store, key, s->head.tree_head_text, strlen(s->head.tree_head_text), &cond, &object,
                              err);
        if (rc == PROV_OK) {
            memcpy(s->published_etag, object.etag, sizeof s->published_etag);
            s->published = s->head.tree.size;
            return PROV_OK;
        }
        if (rc != PROV_E_CONFLICT && rc != PROV_E_EXISTS && rc != PROV_E_NOT_FOUND)
            return rc;
        struct psdk_buf data = {0};
        struct pv_note note = {0};
        struct pv_tree_head head = {.size = 0};
        rc = pv_store_get(s->ledger->store, key, PV_NOTE_MAX, &data, &object, err);
        if (rc == PROV_E_NOT_FOUND)
            object.etag[0] = '\0', rc = PROV_OK;
        else if (!rc && !(rc = pv_note_parse(psdk_buf_str(&data), data.len, key, &note, err)))
            rc = pv_tree_head_parse(&note, &head, err);
        pv_note_done(&note);
        psdk_buf_done(&data);
        if (rc)
            return rc;
        memcpy(s->published_etag, object.etag, sizeof s->published_etag);
        if (head.size >= s->head.tree.size) {
            s->published = s->head.tree.size;
            return PROV_OK;
        }
    }
    return psdk_fail(err, PROV_E_CONFLICT, "%s: replaced by others again and again", key);
}

void stream_drop_superseded(struct pv_stream *s, const struct pv_files *files)
{
    prov_error ignored = {0};
    char key[STREAM_KEY_MAX];
    for (size_t i = 0; i < s->partials.n; i++) {
        if (pv_files_find(files, s->partials.item[i].name))
            continue;
        stream_key(s, s->partials.item[i].name, key);
        pv_store_del(s->ledger->store, key, &ignored);
    }
    pv_files_done(&s->partials);
}

/* Stores the files of the current head, then its checkpoint; forgets partial files of the head before the last. */
int stream_publish(struct pv_stream *s, const struct pv_files *files, prov_error *err)
{
    prov_put_item *items = calloc(files->n ? files->n : 1, sizeof *items);
    char(*keys)[STREAM_KEY_MAX] = calloc(files->n ? files->n : 1, sizeof *keys);
    int rc = items && keys ? PROV_OK : psdk_fail(err, PROV_E_NOMEM, "materialising tiles: out of memory");
    for (size_t i = 0; i < files->n && !rc; i++) {
        stream_key(s, files->item[i].name, keys[i]);
        items[i] = (prov_put_item){sizeof(prov_put_item), 0, keys[i], files->item[i].data.data, files->item[i].data.len};
    }
    if (!rc && files->n)
        rc = pv_store_put_many(s->ledger->store, items, files->n, err);
    free(items);
    free(keys);
    return rc ? rc : put_checkpoint(s, err);
}
