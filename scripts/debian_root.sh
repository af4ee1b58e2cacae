# Debian roots of their own below .newest, for the scripts that source this file.
# shellcheck shell=sh

# The Debian mirror named by DIALS_TRUNCFIX_MIRROR; else the one this machine's apt uses.
mirror() {
    if [ -n "${DIALS_TRUNCFIX_MIRROR:-}" ]; then
        printf '%s\n' "$DIALS_TRUNCFIX_MIRROR"
        return
    fi
    # shellcheck disable=SC2016
    apt-get indextargets --format '$(ORIGIN) $(LABEL) $(REPO_URI)' \
        'Created-By: Packages' 2>/dev/null | sed -n 's/^Debian Debian //p' | head -n 1
}

# unpack ROOT SUITE VARIANT [PACKAGE ...]: make a root, as a whole or not at all.
unpack() {
    target=$1 suite=$2 variant=$3
    shift 3
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
    mkdir -p "$(dirname "$target")"
    # What an interrupted call left is not a root.
    rm -rf "$target.partial"
    # A frozen mirror's release file may be past its date; it stays signature-checked.
    mmdebstrap --quiet --mode=root --variant="$variant" \
        --aptopt='Acquire::Check-Valid-Until "false"' \
        --include="$(printf '%s ' "$@" | sed 's/ *$//; s/ /,/g')" \
        "$suite" "$target.partial" "$uri"
    mv "$target.partial" "$target"
}

# in_root ROOT DATA COMMAND [ARGUMENT ...]: run a command in a root with a clean
# environment, and DATA, where that is a folder, to be read in /srv/shared/data. A mount
# namespace of its own: the mounts end with the process.
in_root() {
    # shellcheck disable=SC2016
    unshare --mount --pid --fork --kill-child sh -c '
        set -eu
        root=$1 data=$2
        shift 2
        mount -t proc proc "$root/proc"
        mount --rbind /dev "$root/dev"
        mount -t tmpfs tmpfs "$root/tmp"
        if [ -d "$data" ]; then
            mkdir -p "$root/srv/shared/data"
            mount --bind -o ro "$data" "$root/srv/shared/data"
        fi
        exec chroot "$root" /usr/bin/env -i HOME=/root LANG=C.UTF-8 \
            PATH=/srv/main/.venv/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"' sh "$@"
}
