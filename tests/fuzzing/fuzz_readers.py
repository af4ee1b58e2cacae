"""Feed every reader what atheris thinks up, guided by the code that it reaches.

    python tests/fuzzing/fuzz_readers.py --seconds 60 [--target NAME ...]

Each reader has a process of its own, which begins with small files of our own making.
A table is printed; the exit code is 1 if a reader did anything but return, raise a
ValueError or an OSError, or took too much memory. Inputs that did harm are kept.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
# Files larger than this teach nothing new, and slow everything down.
_LONGEST_INPUT = 1 << 16
_SECONDS_OF_AN_INPUT = 10
_MEGABYTES_OF_A_PROCESS = 2048
# Of the whole process, Python, numpy and DIALS included.
_STARTING_TIME = 240


def main() -> int:
    """Run all targets, or be one of them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=10, help="of each reader")
    parser.add_argument("--target", action="append", help="reader, or all of them")
    parser.add_argument("--kept", type=Path, default=Path("fuzz-failures"))
    parser.add_argument("--be", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.be:
        name, folder = options.be
        fuzz(name, Path(folder), options.seconds, options.kept)
    sys.path[:0] = [str(HERE), str(HERE.parent)]
    from hostile_files import READERS

    unknown = set(options.target or ()) - set(READERS)
    if unknown:
        parser.error(f"no reader {', '.join(unknown)}: one of {', '.join(READERS)}")
    print(
        f"{'reader':20s}{'inputs':>10s}{'crashes':>9s}{'peak MB':>9s}{'of it MB':>10s}"
    )
    total = crashes = 0
    for name in options.target or READERS:
        inputs, crashed, peak, taken = run(name, options.seconds, options.kept)
        print(f"{name:20s}{inputs:10d}{crashed:9d}{peak:9d}{taken:10.2f}", flush=True)
        total, crashes = total + inputs, crashes + crashed
    print(f"{'all':20s}{total:10d}{crashes:9d}")
    return 1 if crashes or not total else 0


def run(name: str, seconds: int, kept: Path) -> tuple[int, int, int, float]:
    """Fuzz one reader in a process of its own.

    Returns
    -------
    tuple
        Inputs tried, crashes, highest memory of the process and of a single input, MB.
    """
    command = [sys.executable, __file__, "--seconds", str(seconds), "--kept", str(kept)]
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        child = subprocess.run(
            [*command, "--be", name, folder],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds + _STARTING_TIME,
        )
    log = child.stderr + child.stdout

    def last(pattern: str) -> float:
        found = re.findall(pattern, log)
        return float(found[-1]) if found else 0.0

    inputs = int(last(r"stat::number_of_executed_units:\s+(\d+)"))
    inputs = inputs or int(last(r"(?m)^#(\d+)\s"))
    crashed = int(child.returncode != 0)
    if crashed:
        print(log[-6000:], file=sys.stderr)
    return (
        inputs,
        crashed,
        int(last(r"stat::peak_rss_mb:\s+(\d+)")),
        last(r"(?m)^highest: (\d+)$") / 1e6,
    )


def fuzz(name: str, folder: Path, seconds: int, kept: Path) -> None:
    """Become the fuzzer of one reader; does not return."""
    try:
        import atheris
    except ImportError:
        sys.exit("atheris is needed: sh scripts/environment.sh fuzz")

    sys.path[:0] = [str(HERE), str(HERE.parent)]
    with atheris.instrument_imports(include=["dials_truncfix"]):
        import hostile_files

    hostile_files.warm_up(name, folder)
    corpus = folder / "corpus"
    corpus.mkdir()
    for number, seed in enumerate(hostile_files.seeds_of(name, folder / "seeds")):
        (corpus / str(number)).write_bytes(seed)
    kept.mkdir(parents=True, exist_ok=True)
    highest = 0

    def one_input(data: bytes) -> None:
        nonlocal highest
        taken = hostile_files.memory_of_reading(name, folder, data)
        if taken > highest:
            highest = taken
            # the fuzzer ends the process without another word of ours
            os.write(2, f"highest: {highest}\n".encode())

    atheris.Setup(
        [
            sys.argv[0],
            str(corpus),
            f"-max_total_time={seconds}",
            f"-max_len={_LONGEST_INPUT}",
            f"-timeout={_SECONDS_OF_AN_INPUT}",
            f"-rss_limit_mb={_MEGABYTES_OF_A_PROCESS}",
            f"-artifact_prefix={kept}/{name}-",
            "-print_final_stats=1",
            "-seed=1",
        ],
        one_input,
    )
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
