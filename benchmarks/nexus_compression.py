"""CPU time and size of one corrected image of 2048 × 2048 pixels, by format.

Corrects a simulated sweep, and writes and reads its images through the functions that
the program uses; besides, NeXus with other settings of gzip than it uses. Of the
repeats the least counts, as other work on the machine only adds.

Usage: python benchmarks/nexus_compression.py [--images N] [--repeats N]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from arms import simulate
from stock_dials import run

from dials.util import tabulate
from dxtbx.model.experiment_list import ExperimentList

from dials_truncfix import compat
from dials_truncfix.io import cbf, nexus_data
from dials_truncfix.io.hdf5 import write_hdf5

#: Name, level and whether bytes are shuffled.
OTHER_GZIP = (("gzip, shuffled", 1, True), ("gzip, level 4", 4, False))


def corrected_images(folder: Path, n_images: int) -> list[np.ndarray]:
    """Simulate and correct a sweep; its pixels."""
    options = ["camera.binning=2", f"scan.n_images={n_images}"]
    _, advice = simulate(folder, options)
    run(["dials.import", *advice], folder)
    run(["dials.truncfix", "imported.expt", "output.directory=corrected"], folder)
    imageset = ExperimentList.from_file(str(folder / "truncfix.expt"))[0].imageset
    return [imageset.get_raw_data(i)[0].as_numpy_array() for i in range(len(imageset))]


def least(work: Callable[[np.ndarray], object], images: Sequence[np.ndarray]) -> str:
    """CPU time of the fastest call, ms."""
    times = []
    for image in images:
        start = time.process_time()
        work(image)
        times.append(time.process_time() - start)
    return f"{1e3 * min(times):.0f}"


def nexus_row(path: Path, images: Sequence[np.ndarray], compression: str) -> list[str]:
    """Time one compression of the program."""

    def write(image: np.ndarray) -> None:
        with nexus_data.open_data_file(path, (1, *image.shape), compression) as store:
            store(image)

    return [f"NeXus, {compression}", least(write, images), *_read(path, images)]


def other_row(
    path: Path, images: Sequence[np.ndarray], name: str, level: int, shuffle: bool
) -> list[str]:
    """Time gzip with settings that the program does not use."""

    def write(image: np.ndarray) -> None:
        with write_hdf5(path) as file:
            file.create_dataset(
                nexus_data.DATASET,
                data=image[None],
                chunks=(1, *image.shape),
                compression="gzip",
                compression_opts=level,
                shuffle=shuffle,
            )

    return [f"NeXus, {name}", least(write, images), *_read(path, images)]


def _read(path: Path, images: Sequence[np.ndarray]) -> list[str]:
    def read(_: np.ndarray) -> object:
        return compat.to_flex(nexus_data.read_image(path, 0))

    return [least(read, images), f"{path.stat().st_size / 1e6:.2f}"]


def cbf_row(path: Path, images: Sequence[np.ndarray]) -> list[str]:
    """Time CBF as the program writes and its format class reads it."""

    def read(image: np.ndarray) -> object:
        return compat.uncompress_byte_offset(cbf.read_compressed(path)[1], image.shape)

    written = least(lambda image: cbf.write(path, image, ["Copy"]), images)
    return ["CBF", written, least(read, images), f"{path.stat().st_size / 1e6:.2f}"]


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        images = corrected_images(folder, options.images) * options.repeats
        rows = [cbf_row(folder / "a.cbf", images)]
        for compression in nexus_data.COMPRESSIONS:
            try:
                rows.append(nexus_row(folder / "a.h5", images, compression))
            except ValueError as error:
                print(error)
        for name, level, shuffle in OTHER_GZIP:
            rows.append(other_row(folder / "b.h5", images, name, level, shuffle))
    print(tabulate(rows, ["", "write (ms)", "read (ms)", "MB"], disable_numparse=True))


if __name__ == "__main__":
    main()
