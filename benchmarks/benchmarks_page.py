"""Write docs/benchmarks.rst from docs/measured/benchmarks.json.

Usage: python benchmarks/benchmarks_page.py
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from statistics import median
from typing import Any

from rst_pages import DOCS, MEASURED, page_title, section, table

RECORD = MEASURED / "benchmarks.json"
PAGE = DOCS / "benchmarks.rst"
OURS = "ours, all"
FIND_SPOTS = "dials.find_spots, corrected CBF"


def image_size(options: list[str]) -> int:
    """Pixels on each side of the images of a sweep."""
    given = options.index("--binning") + 1 if "--binning" in options else None
    return 4096 // (2 if given is None else int(options[given]))


def images(figures: dict[str, Any], options: list[str]) -> str:
    """CPU time of an image, and memory."""
    size = image_size(options)
    costs = figures["costs"]
    unit = next(c for c in costs if c["name"] == FIND_SPOTS)
    rows = [
        [
            cost["name"],
            f"{1e3 * cost['per_image']:.0f}",
            f"{cost['per_image'] / unit['per_image']:.2f}",
            f"{cost['whole'] / unit['whole']:.2f}",
        ]
        for cost in costs
    ]
    n_images = costs[0]["n_images"]
    head = ["", "ms/image", "ratio", f"ratio, {n_images} images"]
    steps = figures["steps"]
    total = sum(steps.values())
    shares = [
        [step, f"{1e3 * s:.1f}", f"{100 * s / total:.0f}"] for step, s in steps.items()
    ]
    memory = [
        [
            f"{m['size']} × {m['size']}",
            str(m["n_images"]),
            str(m["nproc"]),
            f"{m['peak']:.0f}",
            "" if m["worker"] is None else f"{m['worker']:.0f}",
        ]
        for m in [*figures["memory"], *figures["memory_of_two"]]
    ]
    return section(
        "Correction of an image",
        f"CPU time of an image of {size} × {size} pixels is the slope between a short "
        "and a long sweep; ratios are to spot finding in the corrected images. The last column "
        "is of whole commands, start-up included.",
        table(head, rows),
        "Where it goes, within one process:",
        table(["Step", "ms/image", "%"], shares),
        f"An image takes {1e3 * figures['sidecar_read_overhead']:.0f} ms more to read from "
        "a sidecar than from its source. Largest resident memory of the command and of a "
        "process that it starts:",
        table(["Pixels", "Images", "Processes", "command (MB)", "worker (MB)"], memory),
    )


def processes(figures: dict[str, Any], options: list[str]) -> str:
    """One process against two, of a sweep."""
    size = image_size(options)
    costs = figures["costs"]
    one = {c["command"]: c for c in costs if c["processes"] == 1}
    rows = [
        [
            cost["command"],
            str(cost["processes"]),
            f"{cost['wall']:.1f}",
            f"{cost['cpu']:.1f}",
            f"{cost['largest']:.0f}",
            f"{cost['together']:.0f}",
            f"{one[cost['command']]['wall'] / cost['wall']:.2f}",
            f"{cost['processes'] * one[cost['command']]['cpu'] / cost['cpu']:.2f}",
        ]
        for cost in sorted(costs, key=lambda c: (c["command"], c["processes"]))
    ]
    return section(
        "One process against two",
        f"The same sweep of {figures['images']} images of {size} × {size} pixels. Memory is that of the largest "
        "process and of all together; *faster* is by the wall time, *by CPU* what an idle "
        "machine would give at best.",
        table([*_COSTS, "faster", "by CPU"], rows),
    )


_COSTS = ["", "Processes", "wall (s)", "CPU (s)", "largest (MB)", "all (MB)"]


def lattices(figures: dict[str, Any], options: list[str]) -> str:
    """CPU time of a lattice, beside other programs."""
    times = figures["seconds"]
    names = list(dict.fromkeys(name for each in times.values() for name in each))
    rows = []
    for name in names:
        present = [each for each in times.values() if name in each]
        ratios = [each[name] / each[OURS] for each in present]
        rows.append(
            [
                name,
                f"{1e3 * median(each[name] for each in present):.2f}",
                f"{min(ratios):.0f}",
                f"{median(ratios):.0f}",
                f"{max(ratios):.0f}",
            ]
        )
    return section(
        "Postrefinement of a lattice",
        f"CPU time of a lattice in {len(times)} simulated situations "
        "(``python benchmarks/postrefinement.py`` says what comes back), and the least, "
        "median and largest ratio to ours. The classes of cctbx.xfel and PRIME get the same "
        f"observations, orientations and reference, for {figures['peers']} lattices each.",
        table(["", "ms", "least", "median", "most"], rows),
    )


def many(figures: dict[str, Any], options: list[str]) -> str:
    """Many lattices by the command."""
    rows = [
        [
            str(cost["lattices"]),
            str(cost["processes"]),
            f"{cost['wall']:.1f}",
            f"{cost['cpu']:.1f}",
            f"{cost['largest']:.0f}",
            f"{cost['together']:.0f}",
            f"{1e3 * cost['cpu'] / cost['lattices']:.1f}",
        ]
        for cost in figures["costs"]
    ]
    most = max(cost["lattices"] for cost in figures["costs"])
    one, two = (
        next(
            cost
            for cost in figures["costs"]
            if cost["lattices"] == most and cost["processes"] == nproc
        )
        for nproc in (1, 2)
    )
    same = "are" if figures["equal"] else "are not"
    text = (
        f"Two processes are {one['wall'] / two['wall']:.2f} times as fast as one (by CPU "
        f"time {2 * one['cpu'] / two['cpu']:.2f}); their results {same} the same to "
        "the last bit."
    )
    if figures["simulated"] is not None:
        cost = figures["simulated"]
        text += (
            f" ``dials.truncfix_simulate`` made the {most} lattices in "
            f"{cost['cpu']:.0f} s of CPU time and {cost['largest']:.0f} MB."
        )
    return section(
        "Many lattices",
        "``dials.truncfix_postrefine`` on lattices of about 200 reflections, with all that "
        "it writes.",
        table(["Lattices", *_COSTS[1:], "CPU (ms/lattice)"], rows),
        text,
    )


def frames(figures: list[dict[str, Any]], options: list[str]) -> str:
    """Frames of a K3."""
    unit = figures[0]["seconds"]
    rows = [
        [
            each["kind"],
            f"{each['seconds']:.3f}",
            f"{each['seconds'] / unit:.1f}",
            f"{each['frames']:.1f}",
        ]
        for each in figures
    ]
    return section(
        "Reading a frame of a K3",
        "11520 × 8184 pixels; memory in frames of a byte a pixel.",
        table(["", "s", "ratio", "memory (frames)"], rows),
    )


def page(record: dict[str, Any]) -> str:
    """Whole page, of what ``make bench`` measured."""
    made, versions, done = record["machine"], record["versions"], record["benchmarks"]
    loads = [
        each[key] for each in done.values() for key in ("load_before", "load_after")
    ]
    minutes = sum(each["seconds"] for each in done.values()) / 60

    def parts() -> Iterator[str]:
        yield page_title("Benchmarks")
        yield (
            ".. Written by benchmarks/benchmarks_page.py from measured/benchmarks.json:\n"
            "   change these, not this page."
        )
        yield (
            f"``make bench`` printed these figures on {record['date']}, in {minutes:.0f} "
            f"minutes, on {made['processors']} processors ({made['processor']}) with "
            f"{made['memory_gb']:.0f} GB of memory and {made['system']}; {versions['dials']}, "
            f"dxtbx {versions['dxtbx']}, numpy {versions['numpy']}, Python "
            f"{versions['python']}. The load of the machine, this program's own included, was "
            f"{min(loads)} to {max(loads)}. Times of another machine differ; ratios "
            "differ less. ``python benchmarks/benchmark.py --page`` writes the page anew."
        )
        for name, write in SECTIONS.items():
            yield write(done[name]["figures"], done[name]["options"])

    return "\n\n".join(parts()) + "\n"


SECTIONS = {
    "speed": images,
    "processes": processes,
    "postrefinement": lattices,
    "postrefinement_scale": many,
    "frame_reading": frames,
}


def write_page() -> None:
    """Write the page."""
    PAGE.write_text(page(json.loads(RECORD.read_text())))


if __name__ == "__main__":
    write_page()
