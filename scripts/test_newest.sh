#!/bin/sh
# Run the tests on the newest DIALS, the one that Debian unstable packages.
#
#   sh scripts/test_newest.sh [PYTEST OPTION ...]
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
    python3-hypothesis python3-jinja2 python3-plotly python3-pil"

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

mirror() {
    if [ -n "${DIALS_TRUNCFIX_MIRROR:-}" ]; then
        printf '%s\n' "$DIALS_TRUNCFIX_MIRROR"
        return
    fi
    # shellcheck disable=SC2016
    apt-get indextargets --format '$(ORIGIN) $(LABEL) $(REPO_URI)' \
        'Created-By: Packages' 2>/dev/null | sed -n 's/^Debian Debian //p' | head -n 1
}

unpack() {
    if ! command -v mmdebstrap >/dev/null 2>&1; then
        command -v apt-get >/dev/null 2>&1 ||
            die "install mmdebstrap; this machine has no apt-get to do so."
        say "apt-get installs mmdebstrap"
        export DEBIAN_FRONTEND=noninteractive
        apt-get -qq update
        apt-get -qq install -y --no-install-recommends mmdebstrap >/dev/null
    fi
    uri=$(mirror)
    [ -n "$uri" ] || die "no Debian mirror among this machine's apt sources." \
        "Name one in DIALS_TRUNCFIX_MIRROR."
    say "unpacking Debian unstable with DIALS into .newest/root"
    mkdir -p .newest
    # What an interrupted call left is not a root.
    rm -rf .newest/partial
    # A frozen mirror's release file may be past its date; it stays signature-checked.
    # shellcheck disable=SC2086
    mmdebstrap --quiet --mode=root --variant=apt \
        --aptopt='Acquire::Check-Valid-Until "false"' \
        --include="$(printf '%s,' $packages | sed 's/,$//')" \
        unstable .newest/partial "$uri"
    mv .newest/partial "$root"
}

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
    unpack
fi
copy_working_copy

data=${DIALS_TRUNCFIX_TEST_DATA:-$here/../shared/data}
mkdir -p "$root/srv/shared/data"
export root data

# A mount namespace of its own: the mounts end with the process.
# shellcheck disable=SC2016
exec unshare --mount --pid --fork --kill-child sh -c '
    set -eu
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    mount -t tmpfs tmpfs "$root/tmp"
    [ ! -d "$data" ] || mount --bind -o ro "$data" "$root/srv/shared/data"
    exec chroot "$root" /usr/bin/env -i HOME=/root LANG=C.UTF-8 \
        PATH=/srv/main/.venv/bin:/usr/sbin:/usr/bin:/sbin:/bin sh -c "
            cd /srv/main
            sh scripts/environment.sh
            exec .venv/bin/python -m pytest \"\$@\"" sh "$@"
' sh "$@"
