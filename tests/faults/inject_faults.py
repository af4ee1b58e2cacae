"""Kill and disturb runs of dials.truncfix, and see that nothing comes of it.

    python tests/faults/inject_faults.py [--kills 50] [--seed 1]

Runs on small simulated sweeps are killed at moments that the seed decides, in all
phases, one sweep or two, each format of images; disks are filled, input is changed, the
output folder is made read-only, clocks jump, and a second run is started in the folder of
the first. Each is followed by a run with resume=True, whose output has to be that of an
undisturbed run, byte for byte. A table is printed; the exit code is 1 if anything was not
as it should be. Full disks and read-only folders are mounted in a mount namespace of its
own; where that is not allowed they are skipped, and the table says so.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]


def main() -> int:
    """Do everything, in a mount namespace if that is allowed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=50, help="number of kills")
    parser.add_argument("--seed", type=int, default=1, help="of what happens when")
    parser.add_argument("--mounts", choices=("yes", "no"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.mounts is None:
        return subprocess.run([*_with_mounts(), *sys.argv[1:]]).returncode
    from fault_trials import Trials

    import conftest  # noqa: F401  finds the build of libtbx

    trials = Trials(random.Random(options.seed))
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="faults-") as name:
        trials.begin(Path(name).resolve())
        trials.kills(options.kills)
        trials.changed_input(10)
        trials.two_runs(5)
        trials.clocks(5)
        if options.mounts == "yes":
            trials.full_disks(10)
            trials.read_only(4)
        else:
            for fault in ("disk full", "read-only folder"):
                print(f"{fault:24s}skipped: mounts are not allowed here (unshare -m)")
    print(f"{time.monotonic() - start:.0f} s")
    return 1 if trials.n_bad else 0


def _with_mounts() -> list[str]:
    """Command by which this program may mount, or is told that it may not."""
    for unshare in (["unshare", "-m"], ["unshare", "-r", "-m"]):
        with tempfile.TemporaryDirectory() as folder:
            mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder]
            try:
                done = subprocess.run([*unshare, *mount], capture_output=True)
            except FileNotFoundError:
                break
        if done.returncode == 0:
            return [*unshare, sys.executable, __file__, "--mounts", "yes"]
    return [sys.executable, __file__, "--mounts", "no"]


if __name__ == "__main__":
    sys.exit(main())
