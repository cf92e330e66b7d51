/* test_docs.c - the reference describes every key, and backends are named in one file only.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <ftw.h>

#include "config_test.h"

static const char *source_dir(void)
{
    const char *dir = getenv("PROV_SOURCE_DIR");
    ck_assert_msg(dir != NULL, "PROV_SOURCE_DIR is not set; run this through ctest");
    return dir;
}

static void read_source(const char *path, struct psdk_buf *ret)
{
    prov_error err = {0};
    ck_assert_msg(psdk_read_file(path, 4 << 20, ret, &err) == PROV_OK, "%s", err.message);
}

/* The row of a key in the reference's tables: from "| `path` |" to the end of its line. */
static void find_row(const char *docs, const char *path, char *ret, size_t cap)
{
    char cell[128];
    snprintf(cell, sizeof cell, "| `%s` |", path);
    const char *at = strstr(docs, cell);
    ck_assert_msg(at != NULL, "docs/configuration.md has no row '%s'", cell);
    snprintf(ret, cap, "%.*s", (int)strcspn(at, "\n"), at);
}

START_TEST(every_key_is_in_the_reference)
{
    char path[512], row[600], want[160];
    struct psdk_buf docs = {0};
    snprintf(path, sizeof path, "%s/docs/configuration.md", source_dir());
    read_source(path, &docs);
    for (const struct pv_schema *key = pv_schema_table(); key->path; key++) {
        find_row(psdk_buf_str(&docs), key->path, row, sizeof row);
        bool says_trusted = strstr(row, "| trusted |") != NULL;
        ck_assert_msg(says_trusted == ((key->flags & PV_CFG_TRUST) != 0), "trust of %s: %s", key->path, row);
        if (!key->default_value)
            continue;
        if (key->type == PV_CFG_LIST)
            snprintf(want, sizeof want, "| `[");
        else
            snprintf(want, sizeof want, "| `%s` |", key->default_value);
        ck_assert_msg(strstr(row, want) != NULL, "default of %s: want '%s' in '%s'", key->path, want, row);
    }
    psdk_buf_done(&docs);
}
END_TEST

START_TEST(every_key_has_one_row_of_text)
{
    for (const struct pv_schema *key = pv_schema_table(); key->path; key++) {
        ck_assert_msg(key->doc && *key->doc && strlen(key->doc) < 100, "%s", key->path);
        ck_assert_ptr_eq(pv_schema_find(key->path), key);
    }
}
END_TEST

START_TEST(the_example_in_the_reference_loads)
{
    char path[512];
    static const char *const names[] = {"HOME=/home/u", "DATABASE_URL=postgres://u:p@h/d", "POLYGON_KEY=k", NULL};
    struct psdk_buf docs = {0};
    struct pv_config *config = NULL;
    prov_error err = {0};
    snprintf(path, sizeof path, "%s/docs/configuration.md", source_dir());
    read_source(path, &docs);
    const char *at = psdk_buf_str(&docs);
    int n = 0;
    while ((at = strstr(at, "```yaml\n")) != NULL) {
        const char *end;
        at += strlen("```yaml\n");
        end = strstr(at, "```");
        ck_assert_ptr_nonnull(end);
        int rc = pv_config_load_text(at, (size_t)(end - at), "example", true, names, &config, &err);
        ck_assert_msg(rc == PROV_OK, "%s", err.message);
        pv_config_free(config);
        at = end + 3;
        n++;
    }
    ck_assert_int_ge(n, 1);
    psdk_buf_done(&docs);
}
END_TEST

static int look(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    static const char *const backends[] = {"\"storage-local", "\"storage-s3",     "\"chain-null",
                                           "\"chain-evm",     "\"catalog-sqlite", "\"catalog-postgres"};
    struct psdk_buf text = {0};
    size_t n = strlen(path);
    (void)st;
    (void)ftw;
    if (type != FTW_F || n < 3 || path[n - 2] != '.' || (path[n - 1] != 'c' && path[n - 1] != 'h') ||
        strstr(path, "/host/config/pv_config_defaults.c"))
        return 0;
    read_source(path, &text);
    for (size_t i = 0; i < sizeof backends / sizeof *backends; i++)
        ck_assert_msg(strstr(psdk_buf_str(&text), backends[i]) == NULL,
                      "%s names the backend %s\": the host names backends in host/config/pv_config_defaults.c only",
                      path, backends[i]);
    psdk_buf_done(&text);
    return 0;
}

START_TEST(backends_are_named_in_one_file_of_the_host)
{
    char path[512];
    snprintf(path, sizeof path, "%s/host", source_dir());
    ck_assert_int_eq(nftw(path, look, 16, FTW_PHYS), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config: reference");
    TCase *tests = tcase_create("docs");
    tcase_add_test(tests, every_key_is_in_the_reference);
    tcase_add_test(tests, every_key_has_one_row_of_text);
    tcase_add_test(tests, the_example_in_the_reference_loads);
    tcase_add_test(tests, backends_are_named_in_one_file_of_the_host);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
