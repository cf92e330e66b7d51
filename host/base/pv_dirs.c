/* pv_dirs.c - the XDG base directories. SPDX-License-Identifier: Apache-2.0 */
#include "pv_dirs.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const struct {
    const char *variable;
    const char *below_home;
} places[] = {
    [PV_DIR_CONFIG] = {"XDG_CONFIG_HOME", ".config"},
    [PV_DIR_STATE] = {"XDG_STATE_HOME", ".local/state"},
    [PV_DIR_CACHE] = {"XDG_CACHE_HOME", ".cache"},
};

/* $HOME, else the password file's, into ret. */
static int find_home(char *ret, size_t cap, prov_error *err)
{
    const char *home = getenv("HOME");
    struct passwd entry;
    struct passwd *found = NULL;
    char room[4096];
    if (home == NULL || home[0] != '/') {
        home = NULL;
        if (getpwuid_r(geteuid(), &entry, room, sizeof room, &found) == 0 && found != NULL)
            home = found->pw_dir;
    }
    if (home == NULL || home[0] != '/')
        return psdk_fail(err, PROV_E_CONFIG, "no home directory is known: set HOME to an absolute path");
    int n = snprintf(ret, cap, "%s", home);
    if (n < 0 || (size_t)n >= cap)
        return psdk_fail(err, PROV_E_LIMIT, "the home directory's path is longer than %zu bytes", cap - 1);
    return PROV_OK;
}

int pv_dirs_get(int which, const char *leaf, char *ret, size_t cap, prov_error *err)
{
    if (which < 0 || (size_t)which >= sizeof places / sizeof places[0])
        return psdk_fail(err, PROV_E_INVALID, "no such directory: %d", which);
    const char *slash = leaf != NULL && leaf[0] != '\0' ? "/" : "";
    const char *tail = leaf != NULL ? leaf : "";
    const char *base = getenv(places[which].variable);
    int n;
    if (base != NULL && base[0] == '/') {
        n = snprintf(ret, cap, "%s/prov%s%s", base, slash, tail);
    } else {
        char home[4096];
        int rc = find_home(home, sizeof home, err);
        if (rc != PROV_OK)
            return rc;
        n = snprintf(ret, cap, "%s/%s/prov%s%s", home, places[which].below_home, slash, tail);
    }
    if (n < 0 || (size_t)n >= cap)
        return psdk_fail(err, PROV_E_LIMIT, "the path of the user's %s directory is longer than %zu bytes",
                         places[which].variable, cap - 1);
    return PROV_OK;
}
