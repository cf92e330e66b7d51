#!/bin/sh
# With no folder under plugins/ and one example backend named in YAML, the main job works. SPDX-License-Identifier: Apache-2.0
#
#   no_plugins.sh SOURCE_FOLDER CMAKE C_COMPILER
#
# Copies the sources without plugins/, builds libprov, the command and examples/plugin-storage alone, and records, proves
# and verifies in a home of its own. The host must not need, nor name, any backend.
set -eu

source=$1 cmake=$2 compiler=$3
work=$(mktemp -d "${TMPDIR:-/tmp}/prov-no-plugins-XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

fail() {
    printf 'FAILED: %s\n' "$*"
    [ ! -s "$work/out" ] || sed 's/^/  out: /' "$work/out"
    [ ! -s "$work/err" ] || sed 's/^/  err: /' "$work/err"
    exit 1
}

# ---- the sources, without plugins/ ----------------------------------------------------------------------------------------
mkdir "$work/tree" "$work/home" "$work/project"
if git -C "$source" ls-files -z -co --exclude-standard >"$work/files" 2>"$work/err"; then
    # Files that git knows and somebody deleted are left out; xargs splits, so tar appends.
    (cd "$source" && xargs -0 sh -c 'for f; do [ ! -e "$f" ] || printf "%s\0" "$f"; done' sh <"$work/files") |
        tr '\0\n' '\n\0' | grep -v -e '^plugins/' -e '^build/' | tr '\0\n' '\n\0' >"$work/kept"
    tar -C "$source" -cf "$work/tree.tar" --null --no-recursion -T "$work/kept"
else # an unpacked release
    tar -C "$source" -cf "$work/tree.tar" --exclude=./plugins --exclude=./build --exclude=./.git .
fi
tar -C "$work/tree" -xf "$work/tree.tar"
[ ! -e "$work/tree/plugins" ] || fail "plugins/ was copied"
"$work/tree/tools/check/backends" "$work/tree" >"$work/out" 2>&1 || fail "a host source names a backend"

# ---- the build ------------------------------------------------------------------------------------------------------------
set -- -DPROV_TESTS=OFF -DCMAKE_BUILD_TYPE= "-DCMAKE_C_COMPILER=$compiler"
if command -v ninja >/dev/null 2>&1; then
    set -- -G Ninja "$@"
fi
if command -v ccache >/dev/null 2>&1; then
    export CCACHE_BASEDIR="$work" CCACHE_NOHASHDIR=1 # the folder has another name each time
    set -- "$@" -DCMAKE_C_COMPILER_LAUNCHER=ccache
fi
"$cmake" -S "$work/tree" -B "$work/build" "$@" >"$work/out" 2>&1 || fail "cmake does not configure without plugins/"
"$cmake" --build "$work/build" -j 2 --target prov-cli plugin-storage-example >"$work/out" 2>&1 || {
    tail -n 30 "$work/out" >"$work/err"
    : >"$work/out"
    fail "it does not build without plugins/"
}
backends=$(find "$work/build" -name '*.so' ! -name 'libprov*')
[ "$backends" = "$work/build/examples/plugins/storage-example.so" ] || fail "backends that were built: $backends"

# ---- the main job ---------------------------------------------------------------------------------------------------------
cd "$work/project"

# prov CODE ARGUMENT...: runs the command and wants this exit code; its output is in $work/out and $work/err.
prov() {
    want=$1 got=0
    shift
    env -i HOME="$work/home" XDG_CONFIG_HOME="$work/home/config" XDG_STATE_HOME="$work/home/state" \
        XDG_CACHE_HOME="$work/home/cache" TMPDIR="$work" PATH=/usr/bin:/bin LC_ALL=C \
        "$work/build/bin/prov" "$@" >"$work/out" 2>"$work/err" || got=$?
    [ "$got" -eq "$want" ] || fail "prov $*: exit $got, want $want"
}

# says TEXT: the last command's output has it. The text is no pattern.
says() {
    grep -qF -e "$1" "$work/out" || fail "want '$1' in the output"
}

cat >prov.yaml <<YAML
origin: example.org/no-plugins
model_id: iris
store: {plugin: storage-example, path: objects}
plugins: {path: [$work/build/examples/plugins]}
YAML
printf 'weights of epoch 1' >model.bin

prov 5 config check # a project file may not choose plugins before its user trusts it
prov 0 config trust
prov 0 config check
prov 0 key new log
prov 0 key new writer
prov 0 plugin list
says storage-example
[ "$(grep -c '^storage-\|^chain-\|^catalog-' "$work/out")" -eq 1 ] || fail "more than one backend is found"

prov 0 record checkpoint --file model.bin --epoch 1 --metrics '{"loss": 0.5}'
id=$(cat "$work/out")
[ ${#id} -eq 64 ] || fail "not the id of a record: $id"
prov 0 record validation --file model.bin --validator lab-2 --result '{"accuracy": 0.94}' --checkpoint "$id"
prov 0 history
says 'loss=0.5'
says 'accuracy=0.94'
says 'training.validation'
prov 0 key show log
key=$(cat "$work/out")
prov 0 log list
says models/iris
prov 0 log show
says example.org/no-plugins/models/iris
prov 0 log verify --trust "$key"
says 'OK: '
prov 3 log verify # nobody has said that this key is to be trusted
prov 0 log prove "$id"
says 'c2sp.org/tlog-proof@v1'
prov 0 proof create -o proof.json
prov 0 proof verify proof.json --trust "$key"
says 'OK: '
sed 's/0\.94/0.95/' proof.json >forged.json
cmp -s proof.json forged.json && fail "the forged proof is the proof"
prov 3 proof verify forged.json --trust "$key"
says 'TAMPERED: '

# The objects are where the example keeps them, and a changed one is seen.
[ -s objects/models,iris,head.json ] || fail "the objects are not in the example's store"
changed=0
for bundle in objects/models,iris,tile,entries,*; do
    [ -s "$bundle" ] || fail "no entry bundle is in the store"
    sed 's/accuracy/accuracz/' "$bundle" >changed
    cmp -s changed "$bundle" || changed=$((changed + 1))
    cp changed "$bundle"
done
[ "$changed" -gt 0 ] || fail "no bundle holds the validation"
prov 3 log verify --trust "$key"
echo "recorded, proven and verified with storage-example alone"
