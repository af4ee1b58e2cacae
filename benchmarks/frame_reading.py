"""CPU time and memory of reading a K3 super-resolution frame of 11520 × 8184 pixels.

A frame of 0.3 electrons a pixel, stored in every way that SerialEM has; what counts as
one is reading the same pixels as plain bytes by numpy. Other programs read what they
can. Of the repeats the least counts, as other work on the machine only adds.

Usage: python benchmarks/frame_reading.py [--repeats N] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import tracemalloc
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from dials.util import tabulate

from dials_truncfix.io.serialem import FrameTitle, open_frames, write_frames

COLUMNS, ROWS = 11520, 8184
N_FRAMES = 3
KINDS = {
    "MRC, bytes": ("a.mrc", {}),
    "MRC, mode 101": ("packed.mrc", {"packing": "mode101"}),
    "MRC, squeezed": ("squeezed.mrc", {"packing": "squeezed"}),
    "TIFF, LZW": ("lzw.tif", {"compression": "lzw"}),
    "TIFF, LZW, squeezed": (
        "lzw_squeezed.tif",
        {"compression": "lzw", "packing": "squeezed"},
    ),
}


def least(work: Callable[[], object], repeats: int) -> tuple[float, float]:
    """CPU time of the fastest call, s, and its largest memory, frames of a byte."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return min(times), peak / (COLUMNS * ROWS)


def peers(folder: Path) -> dict[str, Callable[[], object]]:
    """Other programs, with what they read rightly."""
    found: dict[str, Callable[[], object]] = {}
    try:
        import mrcfile

        def by_mrcfile() -> object:
            with mrcfile.mmap(folder / "a.mrc") as file:
                return np.array(file.data[N_FRAMES - 1])

        found["mrcfile, bytes (signed)"] = by_mrcfile
    except ImportError:
        pass
    try:
        from PIL import Image, TiffImagePlugin

        def by_pillow() -> object:
            # of images of more than 89 million pixels
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with open(folder / "lzw.tif", "rb") as stream:
                image = TiffImagePlugin.TiffImageFile(stream)
                image.seek(N_FRAMES - 1)
                return np.array(image)

        found["Pillow, TIFF, LZW"] = by_pillow
    except ImportError:
        pass
    return found


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args()
    repeats = args.repeats
    generator = np.random.default_rng(1)
    frame = np.minimum(generator.poisson(0.3, (ROWS, COLUMNS)), 15).astype(np.uint8)
    results: dict[str, tuple[float, float]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        frame.tofile(folder / "plain")
        results["numpy.fromfile, bytes"] = least(
            lambda: np.fromfile(folder / "plain", np.uint8).reshape(ROWS, COLUMNS),
            repeats,
        )
        for kind, (name, options) in KINDS.items():
            write_frames(folder / name, [frame] * N_FRAMES, FrameTitle(), **options)
            stack = open_frames(folder / name)
            if not np.array_equal(stack.read_frame(N_FRAMES - 1), frame):
                raise SystemExit(f"{kind}: the frame comes back differently")
            results[kind] = least(lambda s=stack: s.read_frame(N_FRAMES - 1), repeats)
        for kind, work in peers(folder).items():
            results[kind] = least(work, repeats)
    unit = next(iter(results.values()))[0]
    rows = [
        [kind, f"{seconds:.3f}", f"{seconds / unit:.1f}", f"{frames:.1f}"]
        for kind, (seconds, frames) in results.items()
    ]
    print(tabulate(rows, ["", "s", "ratio", "memory (frames)"], disable_numparse=True))
    if args.json:
        figures = [
            {"kind": kind, "seconds": seconds, "frames": frames}
            for kind, (seconds, frames) in results.items()
        ]
        args.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
