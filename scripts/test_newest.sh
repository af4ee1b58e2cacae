#!/bin/sh
# Run the tests on the newest DIALS, the one that Debian unstable packages.
#
#   sh scripts/test_newest.sh [PYTEST OPTION ...]
#   sh scripts/test_newest.sh -- COMMAND [ARGUMENT ...]    run something else there
#
# The first call unpacks a Debian unstable with DIALS below .newest/root: 4 GB, some
# minutes. Later calls use it again; remove .newest to get a newer one. The working
# copy is copied into the root and makes its own environment there; this machine is
# not changed, except that apt installs mmdebstrap where it is missing.
#
#   DIALS_TRUNCFIX_MIRROR      Debian mirror; else the one this machine's apt uses
#   DIALS_TRUNCFIX_TEST_DATA   folder with the real files; else ../shared/data
set -eu

cd "$(dirname "$0")/.."
here=$(pwd -P)
root=$here/.newest/root
# python3-gemmi is missing among the dependencies of Debian's python3-dials.
packages="ca-certificates dials python3-dials python3-gemmi python3-venv
    python3-setuptools python3-wheel python3-scipy python3-tifffile python3-pytest
    python3-hypothesis python3-jinja2 python3-plotly python3-pil xvfb"

say() {
    printf 'newest: %s\n' "$*"
}

die() {
    printf 'newest: %s\n' "$@" >&2
    exit 1
}

if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null 2>&1 ||
        die "this needs root, to unpack Debian unstable and to change into it."
    say "starting again as root"
    exec sudo --preserve-env=DIALS_TRUNCFIX_MIRROR,DIALS_TRUNCFIX_TEST_DATA \
        sh scripts/test_newest.sh "$@"
fi

. scripts/debian_root.sh

# The working copy, without what this machine made in it; the .venv in the root stays.
copy_working_copy() {
    copy=$root/srv/main
    mkdir -p "$copy"
    find "$copy" -mindepth 1 -maxdepth 1 ! -name .venv -exec rm -rf {} +
    tar --exclude=./.git --exclude=./.venv --exclude=./.newest --exclude=./demo \
        --exclude=./build --exclude='*.egg-info' --exclude=__pycache__ \
        --exclude='./.*_cache' -cf - . | tar -xf - -C "$copy"
}

if [ -d "$root" ]; then
    say "using .newest/root"
else
    say "unpacking Debian unstable with DIALS into .newest/root"
    # shellcheck disable=SC2086
    unpack "$root" unstable apt $packages
fi
copy_working_copy

data=${DIALS_TRUNCFIX_TEST_DATA:-$here/../shared/data}
# shellcheck disable=SC2016
in_root "$root" "$data" sh -c '
    cd /srv/main
    sh scripts/environment.sh
    if [ "${1:-}" = -- ]; then
        shift
        exec "$@"
    fi
    exec .venv/bin/python -m pytest "$@"' sh "$@"
