#!/bin/sh
# Make the working copy's environment, .venv: a Python which imports DIALS, this
# package (editable) and what its tests need, with every command in .venv/bin.
#
#   sh scripts/environment.sh [EXTRA ...]     extras of setup.cfg: lint, docs, ...
#
# DIALS comes from the first of
#   1. an active one: python3, python, dials.python or libtbx.python on the PATH,
#      or /usr/bin/python3, if it imports dials and dxtbx;
#   2. conda, mamba or micromamba, by environment.yml;
#   3. apt on Debian or Ubuntu, as root or through sudo.
# A second call finds everything in place and changes nothing.
set -eu

cd "$(dirname "$0")/.."
here=$(pwd -P)
venv=$here/.venv
python=$venv/bin/python
stamp=$venv/environment.stamp
debian_packages="dials python3-dials python3-venv python3-setuptools python3-wheel
    python3-scipy python3-tifffile python3-pytest python3-hypothesis python3-jinja2
    python3-plotly python3-pil"

say() {
    printf 'environment: %s\n' "$*"
}

die() {
    printf 'environment: %s\n' "$@" >&2
    exit 1
}

# Two make commands started together must not build the same folder.
if command -v flock >/dev/null 2>&1; then
    exec 9<scripts/environment.sh
    flock 9
fi

# What the environment is made from; when this changes, it is brought up to date.
fingerprint() {
    cat setup.cfg pyproject.toml scripts/environment.sh scripts/finish_environment.py \
        src/dials_truncfix/__init__.py | cksum
    "$python" -c '
import importlib.util, os, sys
print(sys.version, sys.base_prefix)
print(os.stat(importlib.util.find_spec("dials").origin).st_mtime_ns)'
}

imports_dials() {
    "$1" -c 'import sys, dials, dxtbx; sys.exit(sys.version_info < (3, 9))' \
        >/dev/null 2>&1
}

# Prints the command of the first Python that imports DIALS and is not .venv itself.
active_dials() {
    for name in python3 python dials.python libtbx.python /usr/bin/python3; do
        found=$(command -v "$name" 2>/dev/null) || continue
        case $found in
        "$venv"/*) continue ;;
        # Debian's dispatcher: the system's Python with folders added that it knows.
        /usr/bin/*.python | /bin/*.python) continue ;;
        esac
        prefix=$("$found" -c 'import os, sys; print(os.path.realpath(sys.prefix))' \
            2>/dev/null) || continue
        [ "$prefix" = "$venv" ] && continue
        if imports_dials "$found"; then
            printf '%s\n' "$found"
            return 0
        fi
    done
    return 1
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

can_be_root() {
    [ "$(id -u)" -eq 0 ] && return 0
    command -v sudo >/dev/null 2>&1 || return 1
    # A password can be asked for only where somebody can type it.
    [ -t 0 ] || sudo -n true 2>/dev/null
}

missing_debian_packages() {
    for package in $debian_packages; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
            printf '%s ' "$package"
    done
}

install_debian_packages() {
    missing=$(missing_debian_packages)
    [ -z "$missing" ] && return 0
    if ! can_be_root; then
        say "not root and no sudo, so these Debian packages stay out: $missing"
        return 1
    fi
    say "apt-get installs $missing"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq update || return 1
    # 500 packages wait a minute for the disk, file by file. A machine that somebody
    # is root on by default is a container or made for the purpose: no need to.
    hurry=
    [ "$(id -u)" -ne 0 ] || hurry="-o Dpkg::Options::=--force-unsafe-io"
    # shellcheck disable=SC2086
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 $hurry \
        install -y --no-install-recommends $missing >/dev/null
}

on_debian() {
    command -v apt-get >/dev/null 2>&1 && command -v dpkg-query >/dev/null 2>&1
}

conda_environment() {
    for conda in micromamba mamba conda; do
        command -v "$conda" >/dev/null 2>&1 || continue
        say "$conda makes .venv from environment.yml"
        case $conda in
        micromamba) set -- create -y -p "$venv" -f environment.yml ;;
        *) set -- env create -p "$venv" -f environment.yml ;;
        esac
        CONDA_ALWAYS_YES=true "$conda" "$@" && imports_dials "$python" && return 0
        say "$conda did not make an environment with DIALS"
        rm -rf "$venv"
    done
    return 1
}

venv_over() {
    say "a venv over $1"
    if ! "$1" -m venv --system-site-packages "$venv"; then
        rm -rf "$venv"
        die "no virtual environment could be made with $1." \
            "Debian and Ubuntu have the module apart: install python3-venv."
    fi
}

make_environment() {
    if base=$(active_dials); then
        say "DIALS found: $base"
        # The system's own Python takes the test packages from the system as well.
        case $base in
        /usr/bin/* | /bin/*)
            if on_debian; then
                install_debian_packages || say "going on without them"
            fi
            ;;
        esac
        venv_over "$base"
    elif conda_environment; then
        base=$python
    elif on_debian && install_debian_packages; then
        base=/usr/bin/python3
        imports_dials "$base" || die "DIALS is installed but $base cannot import it."
        venv_over "$base"
    else
        # shellcheck disable=SC2086,SC2116
        die "no DIALS here, and no way to get one. Do one of these, then try again:" \
            "  * activate an environment with DIALS (conda-forge, or the DIALS installer);" \
            "  * install conda, mamba or micromamba;" \
            "  * on Debian or Ubuntu, as root:" \
            "    apt-get install $(echo $debian_packages)"
    fi
}

# A .venv whose Python or DIALS was taken away cannot be mended.
if [ -e "$venv" ] && ! "$python" -c '
import sys, importlib.util
sys.exit(None in map(importlib.util.find_spec, ("dials", "dxtbx", "pip")))
' 2>/dev/null; then
    say ".venv has no working Python with DIALS and pip: making it again"
    rm -rf "$venv"
fi

if [ -f "$stamp" ] && [ "$(fingerprint)" = "$(cat "$stamp")" ]; then
    say ".venv is up to date"
else
    if [ -x "$python" ]; then
        say "bringing .venv up to date"
        base=$python
        home=$(sed -n 's/^home = //p' "$venv/pyvenv.cfg" 2>/dev/null) || home=
        [ -z "$home" ] || base=$home/python3
    else
        make_environment
    fi
    # Only the Python below knows its libtbx build, so it is asked once.
    [ -s "$venv/base.json" ] ||
        "$base" scripts/finish_environment.py describe >"$venv/base.json"
    "$python" scripts/finish_environment.py finish "$venv/base.json"
    fingerprint >"$stamp"
    say "ready: . .venv/bin/activate, or use the commands in .venv/bin"
fi

[ $# -eq 0 ] || "$python" scripts/finish_environment.py extras "$@"
