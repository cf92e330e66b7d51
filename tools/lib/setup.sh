# Shared by the scripts in tools/: packages, configure, build. POSIX sh. SPDX-License-Identifier: Apache-2.0
#
# The caller sets prov_root (absolute path of the source tree) before it reads this file. Exit codes follow the prov
# command: 1 failed, 2 usage, 5 something of the set-up is missing.

# shellcheck disable=SC2154 # prov_root is the caller's
prov_logs=$prov_root/build/logs

prov_say() {
    printf '%s\n' "$*"
}

prov_die() {
    code=$1
    shift
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit "$code"
}

# prov_table GROUP: the rows "probe|package|purpose" of one group, without padding.
prov_table() {
    sed -n -e '/^#/d' -e 's/[[:space:]]*|[[:space:]]*/|/g' -e "s/^$1|//p" "$prov_root/tools/lib/packages.txt"
}

prov_have() {
    command -v "$1" >/dev/null 2>&1
}

# The major version of the distribution's default clang: from the installed package, else from apt's lists.
prov_clang_version() {
    found=$(dpkg-query -W -f='${Depends}' clang 2>/dev/null | sed -n 's/.*clang-\([0-9][0-9]*\).*/\1/p')
    if [ -z "$found" ]; then
        found=$(apt-cache depends clang 2>/dev/null | sed -n 's/.*Depends: clang-\([0-9][0-9]*\)$/\1/p' | head -n 1)
    fi
    printf '%s\n' "${found:-14}"
}

# Of "A/B", the first that is installed, else the first that apt knows, else A.
prov_choose() {
    choices=$(printf '%s\n' "$1" | tr '/' ' ')
    for choice in $choices; do
        if [ "$(dpkg-query -W -f='${db:Status-Status}' "$choice" 2>/dev/null)" = installed ]; then
            printf '%s\n' "$choice"
            return
        fi
    done
    for choice in $choices; do
        if [ -n "$(apt-cache search --names-only "^$choice\$" 2>/dev/null)" ]; then
            printf '%s\n' "$choice"
            return
        fi
    done
    printf '%s\n' "${1%%/*}"
}

# The Debian packages of the groups given that are not installed, one on a line.
prov_missing_packages() {
    wanted=
    for group in "$@"; do
        for package in $(prov_table "$group" | cut -d'|' -f2); do
            case $package in
            *CLANG*) package=$(printf '%s\n' "$package" | sed "s/CLANG/$(prov_clang_version)/g") ;;
            esac
            case $package in
            */*) package=$(prov_choose "$package") ;;
            esac
            wanted="$wanted $package"
        done
    done
    # shellcheck disable=SC2086 # one word for each package is meant
    installed=$(dpkg-query -W -f='${Package} ${db:Status-Status}\n' $wanted 2>/dev/null | sed -n 's/ installed$//p')
    for package in $wanted; do
        printf '%s\n' "$installed" | grep -qxF -e "$package" || printf '%s\n' "$package"
    done
}

# Whether the thing that a probe names is there.
prov_probe() {
    case $1 in
    cmd:*) prov_have "${1#cmd:}" ;;
    pc:*) prov_have pkg-config && pkg-config --exists "${1#pc:}" ;;
    hdr:*) printf '#include <%s>\n' "${1#hdr:}" | cc -fsyntax-only -x c - 2>/dev/null ;;
    file:*) [ -e "${1#file:}" ] ;;
    *) return 1 ;;
    esac
}

# On a system without dpkg and apt: says what is missing and for what, and stops; returns when nothing is.
prov_require_by_probe() {
    mkdir -p "$prov_logs"
    lacking=$prov_logs/missing.txt
    : >"$lacking"
    for group in "$@"; do
        prov_table "$group" | while IFS='|' read -r probe package purpose; do
            prov_probe "$probe" && continue
            name=$(printf '%s\n' "$package" | sed 's/CLANG/N/g; s|/| or |')
            printf '  %-28s %s (Debian: %s)\n' "${probe#*:}" "$purpose" "$name" >>"$lacking"
        done
    done
    [ -s "$lacking" ] || return 0
    {
        printf '%s: this system has no apt, so nothing was installed. Missing:\n' "${0##*/}"
        sort -u "$lacking"
        printf 'Install these with the system'\''s package manager, then run %s again.\n' "$0"
    } >&2
    exit 5
}

# Runs a command as root.
prov_as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

prov_apt() {
    prov_as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@" \
        >>"$prov_logs/apt.log" 2>&1
}

# prov_install GROUP...: installs what is missing of these groups; instant when nothing is.
prov_install() {
    if ! prov_have dpkg-query || ! prov_have apt-get; then
        prov_require_by_probe "$@"
        return
    fi
    missing=$(prov_missing_packages "$@")
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" != 0 ] && ! prov_have sudo; then
        # shellcheck disable=SC2086 # joins the lines
        prov_die 5 "these packages are missing and neither root nor sudo is at hand; as root, run:
  apt-get install --no-install-recommends $(printf "%s " $missing)"
    fi
    mkdir -p "$prov_logs"
    prov_say "Installing $(printf '%s\n' "$missing" | wc -l | tr -d ' ') packages (log: build/logs/apt.log)"
    prov_apt update || prov_say "apt-get update failed (no network?); trying with the lists that are there"
    # A fresh package list may answer differently for alternatives.
    missing=$(prov_missing_packages "$@")
    # shellcheck disable=SC2086 # one word for each package is meant
    if ! prov_apt install -y --no-install-recommends $missing; then
        tail -n 15 "$prov_logs/apt.log" >&2
        prov_die 5 "apt-get could not install everything. Missing:
$(prov_missing_packages "$@" | sed 's/^/  /')
On Ubuntu, some of them are in the 'universe' component."
    fi
}

# prov_configure PRESET [CMAKE ARGUMENT...]: configures build/PRESET unless it is configured for this very tree with these
# very arguments (Ninja configures again by itself when a CMake file changes). Run from the source tree.
prov_configure() {
    preset=$1
    shift
    folder=$prov_root/build/$preset
    stamp=$folder/configured-with
    wanted="$prov_root $*"
    if [ -f "$folder/build.ninja" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
        return 0
    fi
    # A tree that was moved, or configured with another compiler, starts again.
    rm -rf "$folder/CMakeCache.txt" "$folder"/CMakeFiles/[0-9]* "$stamp"
    mkdir -p "$prov_logs"
    if ! (cd "$prov_root" && cmake --preset "$preset" "$@") >"$prov_logs/$preset.configure.log" 2>&1; then
        tail -n 25 "$prov_logs/$preset.configure.log" >&2
        return 1
    fi
    printf '%s\n' "$wanted" >"$stamp"
}

# prov_build PRESET: builds all of it, quietly; on failure shows what failed.
prov_build() {
    mkdir -p "$prov_logs"
    if ! (cd "$prov_root" && cmake --build --preset "$1") >"$prov_logs/$1.build.log" 2>&1; then
        sed -n '/^FAILED:/,$p' "$prov_logs/$1.build.log" | head -n 40 >&2
        return 1
    fi
}
