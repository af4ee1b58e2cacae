"""What a command costs: time, CPU time and memory of all its processes."""

from __future__ import annotations

import resource
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

BIN = Path(sys.executable).parent
MB = 1024.0


@dataclass(frozen=True)
class Cost:
    """What a run took: memory in MB, times in s."""

    wall: float
    cpu: float
    largest: float
    together: float


def run(command: list[str], folder: Path) -> Cost:
    """Run a command, and watch the memory of it and its children."""
    peaks = {"largest": 0.0, "together": 0.0}
    program = [str(BIN / command[0]), *command[1:]]
    begin = time.monotonic()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with open(folder / "printed.log", "w") as printed:
        process = subprocess.Popen(
            program, cwd=folder, stdout=printed, stderr=subprocess.STDOUT
        )
        watch = threading.Thread(target=follow, args=(process, peaks))
        watch.start()
        code = process.wait()
        watch.join()
    if code:
        raise SystemExit((folder / "printed.log").read_text()[-2000:])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(time.monotonic() - begin, cpu, peaks["largest"], peaks["together"])


def follow(process: subprocess.Popen[bytes], peaks: dict[str, float]) -> None:
    """Add up resident memory; the kernel's own peak of the parent misses its children."""
    while process.poll() is None:
        sizes = [resident(pid) for pid in family(process.pid)]
        peaks["largest"] = max(peaks["largest"], *sizes, 0.0)
        peaks["together"] = max(peaks["together"], sum(sizes))
        time.sleep(0.2)


def family(pid: int) -> list[int]:
    result = [pid]
    for parent in result:
        # children belong to the thread that started them
        for path in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                result += map(int, path.read_text().split())
            except OSError:
                continue
    return result


def resident(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    sizes = [line.split()[1] for line in lines if line.startswith("VmRSS")]
    return int(sizes[0]) / MB if sizes else 0.0
