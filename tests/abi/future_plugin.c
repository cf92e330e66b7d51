/* future_plugin.c - what a plugin of a later minor looks like to today's host. SPDX-License-Identifier: Apache-2.0
 *
 * Every struct is larger than today's, there are unknown capability and option bits, an unknown role, a higher minor.
 */
#include <string.h>

#include "prov_plugin.h"

struct future_object {
    prov_object now;
    uint8_t blake3[32];
};

static int32_t put(void *self, const prov_call *call, const char *key, const prov_source *source, uint64_t size_bytes,
                   const prov_precond *precond, prov_object *ret_object, prov_error *err)
{
    char room[256];
    uint64_t n = 1;
    int32_t rc = PROV_OK;
    (void)self, (void)call, (void)key, (void)precond, (void)err;
    while (rc == PROV_OK && n > 0)
        rc = source->read(source->ctx, room, sizeof room, &n);
    /* The caller's struct is today's: what it does not cover must be left alone. */
    if (ret_object->struct_size >= sizeof(struct future_object))
        memset(((struct future_object *)ret_object)->blake3, 1, 32);
    ret_object->size_bytes = size_bytes;
    memcpy(ret_object->etag, "future", 7);
    return rc;
}

static int32_t get(void *self, const prov_call *call, const char *key, uint64_t offset_bytes, uint64_t length_bytes,
                   const prov_sink *sink, prov_object *ret_object, prov_error *err)
{
    (void)self, (void)call, (void)key, (void)offset_bytes, (void)length_bytes, (void)err;
    ret_object->size_bytes = 6;
    return sink->write(sink->ctx, "future", 6);
}

static int32_t stat_op(void *self, const prov_call *call, const char *key, prov_object *ret_object, prov_error *err)
{
    (void)self, (void)call, (void)key, (void)ret_object;
    err->code = PROV_E_NOT_FOUND;
    return PROV_E_NOT_FOUND;
}

static int32_t list(void *self, const prov_call *call, const char *prefix, const char *after, uint32_t limit,
                    const prov_list_emit *emit, int32_t *ret_more, prov_error *err)
{
    struct {
        prov_list_entry now;
        uint64_t generation;
        const char *owner;
    } entry = {{sizeof entry, 0, "a/future", 6, 0}, 77, "nobody"};
    (void)self, (void)call, (void)prefix, (void)limit, (void)err;
    *ret_more = 0;
    return strcmp(after, "a/future") < 0 ? emit->entry(emit->ctx, &entry.now) : PROV_OK;
}

static int32_t del(void *self, const prov_call *call, const char *key, prov_error *err)
{
    (void)self, (void)call, (void)key, (void)err;
    return PROV_OK;
}

static int32_t copy(void *self, const prov_call *call, const char *from, const char *to, const prov_precond *precond,
                    prov_object *ret_object, prov_error *err)
{
    (void)self, (void)call, (void)from, (void)to, (void)precond, (void)ret_object, (void)err;
    return PROV_OK;
}

static int32_t create(const prov_host *host, const prov_option_value *values, uint64_t n_values, void **ret_instance,
                      prov_error *err)
{
    static char self;
    (void)host, (void)values, (void)n_values, (void)err;
    *ret_instance = &self;
    return PROV_OK;
}

static void destroy(void *instance)
{
    (void)instance;
}

static void teleport(void)
{
}

static const struct {
    prov_storage_ops now;
    void (*later[40])(void);
} ops = {{.struct_size = sizeof ops, .put = put, .get = get, .stat = stat_op, .list = list, .del = del, .copy = copy},
         {teleport}};

static const struct {
    prov_option now;
    uint64_t later[3];
} option = {{sizeof option, PROV_OPT_INT, 1u << 20, 0, "depth", "3", "how deep"}, {9, 9, 9}};
static const prov_option *const options[] = {&option.now, NULL};

static const struct {
    prov_provider now;
    uint64_t later[8];
} storage = {{.struct_size = sizeof storage,
              .role = PROV_ROLE_STORAGE,
              .name = "future-plugin",
              .doc = "from later",
              .capabilities = PROV_CAP_THREADSAFE | 1ull << 30 | 1ull << 63,
              .options = options,
              .ops = &ops,
              .create = create,
              .destroy = destroy},
             {1, 2, 3}},
  telepathy = {
      {.struct_size = sizeof telepathy, .role = "prov.telepathy/3", .name = "future-plugin", .doc = "of no use yet"},
      {0}};
static const prov_provider *const providers[] = {&telepathy.now, &storage.now, NULL};

extern const prov_plugin prov_plugin_v1 __attribute__((alias("future_descriptor"), visibility("default")));
extern const struct future_plugin {
    prov_plugin now;
    uint64_t later[16];
} future_descriptor;
const struct future_plugin future_descriptor = {
    {sizeof future_descriptor, PROV_ABI_MINOR + 7, "future", "9.0.0", "Apache-2.0", "", providers}, {1, 2, 3}};
