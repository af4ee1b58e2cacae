#!/bin/sh
# Follow README.rst to the letter on a bare Debian, in roots of their own.
#
#   sh scripts/test_readme.sh
#
# Takes the commands from README.rst, and the package from the last commit of the working
# copy. One root gets the commands of "Try it" and "Use it", the other those of an
# installation for one user. This machine is not changed, except that apt installs
# mmdebstrap where it is missing. Without root, or without git, nothing is done.
#
#   PYTEST_ARGS                options for pytest, where not all tests are to run
#   DIALS_TRUNCFIX_MIRROR      Debian mirror; else the one this machine's apt uses
#   DIALS_TRUNCFIX_TEST_DATA   folder with the real files; else ../shared/data
set -eu

cd "$(dirname "$0")/.."
here=$(pwd -P)
bare=$here/.newest/bare
suite=bookworm

say() {
    printf 'readme: %s\n' "$*"
}

die() {
    printf 'readme: %s\n' "$@" >&2
    exit 1
}

if [ "$(id -u)" -ne 0 ]; then
    say "skipped: a Debian root cannot be unpacked without being root"
    exit 0
fi
if ! git rev-parse --verify -q HEAD >/dev/null 2>&1; then
    say "skipped: this is not a clone, from which a fresh one could be made"
    exit 0
fi

. scripts/debian_root.sh
data=${DIALS_TRUNCFIX_TEST_DATA:-$here/../shared/data}
started=$(date +%s)

if [ ! -d "$bare" ]; then
    say "unpacking a bare Debian $suite into .newest/bare"
    unpack "$bare" "$suite" minbase ca-certificates
fi
work=$here/.newest/readme.$$
trap 'rm -rf "$work"' EXIT

# fresh_root: a bare root with a clone of the last commit; questions of apt get a yes.
fresh_root() {
    rm -rf "$work"
    mkdir "$work"
    cp -a "$bare/." "$work"
    printf 'APT::Get::Assume-Yes "true";\n' >"$work/etc/apt/apt.conf.d/90yes"
    git clone -q "$here" "$work/root/dials_truncfix"
    rm -rf "$work/root/dials_truncfix/.git"
}

# follow NAME FOLDER: run the commands of standard input there, showing each.
follow() {
    {
        printf 'set -eu\nexport DEBIAN_FRONTEND=noninteractive\n'
        printf 'export PATH=/root/dials_truncfix/.venv/bin:/root/.local/bin:$PATH\n'
        printf 'export PYTEST_ARGS="%s"\n' "${PYTEST_ARGS:-}"
        printf 'cd %s\nset -x\n' "$2"
        cat
    } >"$work/root/commands.sh"
    # apt asks on the terminal only, and pip not at all
    in_root "$work" "$data" sh /root/commands.sh </dev/null ||
        die "$1: the last command shown above failed"
    say "$1: done after $(($(date +%s) - started)) s"
}

# present FILE ...: files that the commands have to leave behind.
present() {
    for file; do
        [ -s "$work/root/$file" ] || die "$file is missing, or empty"
    done
}

blocks() {
    python3 scripts/readme_commands.py README.rst blocks
}

fresh_root
blocks | grep -v '^dials\.' | follow "Try it" /root/dials_truncfix
present dials_truncfix/demo/report.html dials_truncfix/demo/dials.truncfix.html
grep -q 'slope' "$work/root/dials_truncfix/demo/report.html" ||
    die "demo/report.html has no table of slopes"

# the recording that README.rst speaks of
mkdir "$work/root/work"
printf '%s\n' 'dials.truncfix_simulate output.prefix=movie output.directory=.' |
    follow "a recording to work on" /root/work
blocks | grep '^dials\.' | follow "Use it" /root/work
present work/imported.expt work/truncfix.expt work/dials.truncfix.html \
    work/corrected/truncfix_00001.cbf work/strong.refl work/integrated.refl

fresh_root
python3 scripts/readme_commands.py README.rst "Debian and Ubuntu, for one user" |
    follow "installation for one user" /root/dials_truncfix
mkdir "$work/root/work"
# the packaged programs of DIALS have to see the formats
cat <<'END' | follow "installed commands" /root/work
dials.truncfix_simulate scan.n_images=12 output.prefix=movie output.directory=.
/usr/bin/dials.import movie_000.tvips geometry.detector.distance=2200
dials.truncfix imported.expt mode=check
END
present work/imported.expt
say "all commands of README.rst work; $(($(date +%s) - started)) s"
