"""Every reader of files from outside, with small files of our own that it can read.

Whatever bytes a reader is given, it ends with a value, a ValueError or an OSError, and
takes no more memory than `MEMORY_FACTOR` times the file, and `MEMORY_FLOOR`.
"""

from __future__ import annotations

import gc
import json
import tracemalloc
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import seed_files

from crystfel_streams import GEOMETRY
from dials_truncfix.calibrate.magnifications.chain import chain_magnifications
from dials_truncfix.calibrate.magnifications.magnification_table import parse_table
from dials_truncfix.calibrate.magnifications.result_files import measurement_of
from dials_truncfix.io import (
    byte_offset,
    cbf,
    corrected_header,
    defects,
    emmenu_tiff,
    gain_reference,
    mdoc,
    nexus,
    nexus_data,
    serialem,
    sidecar,
    smv,
    tvips,
)
from dials_truncfix.io.crystfel_geometry import parse_panels
from dials_truncfix.io.frame_recipe import is_recipe, read_recipe
from dials_truncfix.io.mrc import MRCStack
from dials_truncfix.io.reflection_file import layout_version
from dials_truncfix.io.stream import StreamFile
from dials_truncfix.io.tiff_stack import TIFFStack
from dials_truncfix.report.sweep_results import read_record as read_reported
from dials_truncfix.simulate.truth import load_truth
from dials_truncfix.sweep.read_record import read_record
from dials_truncfix.sweep.recipe_checks import recipe_from_plain

MEMORY_FACTOR = 8
MEMORY_FLOOR = 1 << 20
#: What a byte of DEFLATE or LZW can stand for, and a copy of it.
COMPRESSED_FACTOR = 2 * 4096
#: Frames of a file that are read, of all that it claims to have.
N_FRAMES = 3


@dataclass(frozen=True)
class Reader:
    """A reader and files that it can read.

    Attributes
    ----------
    file_name : str
        What a file is called when it is read.
    seeds : callable
        Writes files into a folder, and nothing else.
    read : callable
        Reads a file of that name, as deeply as programs do.
    memory_factor : int
        Of the size of the file; compressed pixels may take as much as their
        compression can stand for.
    """

    file_name: str
    seeds: Callable[[Path], object]
    read: Callable[[Path], object]
    memory_factor: int = MEMORY_FACTOR


def _read_mrc(path: Path) -> None:
    stack = MRCStack.open(path)
    for index in range(min(N_FRAMES, stack.n_frames)):
        stack.read_frame(index)


def _read_tiff(path: Path) -> None:
    stack = TIFFStack.open(path)
    for index in range(min(N_FRAMES, stack.n_frames)):
        stack.read_frame(index)


def _read_serialem(path: Path) -> None:
    serialem.has_serialem_title(path)
    stack = serialem.open_frames(path)
    for index in range(min(N_FRAMES, stack.n_frames)):
        stack.read_frame(index)


def _read_mdoc(path: Path) -> None:
    content = mdoc.read_mdoc(path)
    content.frame_set("a.tif")
    for section in content.sections:
        section.number("TiltAngle")
        _ = section.frame_doses, section.timestamp
    try:
        mdoc.format_mdoc(content)
    except ValueError:
        pass


def _read_defects(path: Path) -> None:
    found = defects.read_defects(path)
    for shape in ((4, 6), (8, 12), (2, 3)):
        try:
            defects.bad_pixels(found, shape, 1)
        except ValueError:
            pass


def _read_frame_recipe(path: Path) -> None:
    is_recipe(str(path))
    _, recipe = read_recipe(str(path))
    recipe.groups(40)


def _read_smv(path: Path) -> None:
    header = smv.read_header(path)
    smv.read_pixels(path)
    if smv.is_truncfix(header):
        _use(corrected_header.parse_smv_header(header))


def _read_cbf(path: Path) -> None:
    header = cbf.read_header(path)
    try:
        _use(corrected_header.parse_cbf_lines(header.lines))
    except ValueError:
        pass
    cbf.read_pixels(path)


def _use(header: corrected_header.CorrectedHeader) -> None:
    corrected_header.beam_centre_mm(header)
    corrected_header.distance_mm(header)


def _read_emmenu(path: Path) -> None:
    emmenu_tiff.is_emmenu_tiff(path)
    emmenu_tiff.read_header(path)
    emmenu_tiff.read_pixels(path)


def _read_tvips(path: Path) -> None:
    series = tvips.TVIPSSeries.open(path)
    for index in range(min(N_FRAMES, series.n_frames)):
        _ = series.frame_header(index).time
        series.read_frame(index)


def _read_stream(path: Path) -> None:
    list(StreamFile(path).scan(2))
    list(StreamFile(path).crystals())


def _read_geometry(path: Path) -> None:
    for panel in parse_panels(path.read_bytes().decode("latin-1").splitlines()):
        panel.holds(10.0, 10.0)


def _read_nexus(path: Path) -> None:
    """Read a master file of which these bytes are some of the contents.

    Damage to the structure of an HDF5 file is a matter of HDF5, in which some of it
    leads to endless loops that nobody outside can end.
    """
    master = path.with_suffix(".h5")
    master.write_bytes(seed_files.master_file())
    with h5py.File(master, "r+") as file:
        group = file[nexus.GROUP]
        for part in path.read_bytes().split(seed_files.SEPARATOR):
            _replace(group, part)
    if nexus.is_ours(master):
        found = nexus.read_master(master)
        _use(found.header)
        try:
            nexus.read_numbered(master, found, 1)
        except ValueError:
            pass


def _replace(group: Any, part: bytes) -> None:
    """Put text, numbers, a group or nothing in the place of what a byte stands for."""
    names = sorted(group)
    if len(part) < 2:
        return
    name, kind, rest = names[part[0] % len(names)], chr(part[1]), part[2:]
    content: Any = rest.replace(b"\0", b"").decode("latin-1")
    if kind in "ifu":
        content = np.frombuffer(rest[: len(rest) // 8 * 8], f"<{kind}8")
    elif kind == "1":
        content = len(rest)
    elif kind == "a":
        group.attrs["convention"] = content
        return
    del group[name]
    if kind == "g":
        group.create_group(name)
    elif kind == "h":
        group.create_dataset(name, (10**12, len(rest)), "<i4", chunks=(8, 1))
    elif kind != "-":
        group[name] = content


def _read_nexus_data(path: Path) -> None:
    """Read an image whose compressed pixels are these bytes."""
    data = path.read_bytes()
    file_name = path.with_suffix(".h5")
    with h5py.File(file_name, "w") as file:
        images = file.create_dataset(
            nexus_data.DATASET, (1, 4, 6), "<i4", chunks=(1, 4, 6), compression="gzip"
        )
        images.id.write_direct_chunk((0, 0, 0), data)
    nexus_data.read_image(file_name, 0)


def _read_sidecar(path: Path) -> None:
    sidecar.is_sidecar(str(path))
    found = sidecar.read_sidecar(str(path))
    recipe_from_plain(found.content.get("recipe"), str(path))


def _read_magnifications(path: Path) -> None:
    rows = parse_table(path.read_text(encoding="utf-8", errors="replace"), str(path))
    if rows:
        chain_magnifications([row for row in rows if row.camera == rows[0].camera])


def _read_byte_offset(path: Path) -> None:
    data = path.read_bytes()
    for n_pixels in (24, len(data)):
        try:
            byte_offset.decompress(data, n_pixels)
        except ValueError:
            pass


READERS = {
    "byte_offset": Reader(
        "a",
        seed_files.write_byte_offset,
        _read_byte_offset,
    ),
    "calibration_result": Reader(
        "a.json",
        seed_files.texts(*seed_files.CALIBRATION_RESULTS),
        lambda path: measurement_of(path, "a", 5000.0, 2500.0),
    ),
    "cbf": Reader("a.cbf", seed_files.write_cbf, _read_cbf),
    "crystfel_geometry": Reader("a.geom", seed_files.texts(GEOMETRY), _read_geometry),
    "defects": Reader(
        "defects.txt", seed_files.texts(seed_files.DEFECTS), _read_defects
    ),
    "emmenu_tiff": Reader("a.tif", seed_files.write_emmenu, _read_emmenu),
    "frame_recipe": Reader(
        "a.frames",
        seed_files.texts(json.dumps(seed_files.FRAME_RECIPE)),
        _read_frame_recipe,
    ),
    "gain_reference": Reader(
        "a.dm4", seed_files.write_gain_reference, gain_reference.read_reference
    ),
    "magnifications": Reader(
        "magnifications.csv",
        seed_files.texts(seed_files.MAGNIFICATIONS),
        _read_magnifications,
    ),
    "mdoc": Reader("a.mdoc", seed_files.texts(seed_files.MDOC), _read_mdoc),
    "mrc": Reader("a.mrc", seed_files.write_mrc, _read_mrc),
    "nexus": Reader("contents", seed_files.write_nexus, _read_nexus),
    "nexus_data": Reader(
        "pixels", seed_files.write_nexus_data, _read_nexus_data, COMPRESSED_FACTOR
    ),
    "record": Reader(
        "dials.truncfix.json",
        lambda folder: seed_files.write_of_a_run(folder, "dials.truncfix.json"),
        lambda path: read_record(str(path)),
    ),
    "record_of_report": Reader(
        "truncfix.json",
        lambda folder: seed_files.write_of_a_run(folder, "dials.truncfix.json"),
        lambda path: read_reported(str(path)),
    ),
    "reflection_file": Reader(
        "a.refl",
        seed_files.texts("\x93\xbbdials::af::reflection_table\1\x83"),
        layout_version,
    ),
    "serialem": Reader(
        "a.mrc", seed_files.write_serialem, _read_serialem, COMPRESSED_FACTOR
    ),
    "sidecar": Reader(
        "a.tfx",
        lambda folder: seed_files.write_of_a_run(folder, "truncfix.tfx"),
        _read_sidecar,
    ),
    "smv": Reader("a.img", seed_files.write_smv, _read_smv),
    "stream": Reader(
        "a.stream",
        seed_files.texts(*seed_files.STREAMS),
        _read_stream,
    ),
    "tiff_stack": Reader("a.tif", seed_files.write_tiff, _read_tiff, COMPRESSED_FACTOR),
    "truth": Reader("truth.npz", seed_files.write_truth, load_truth, COMPRESSED_FACTOR),
    "tvips": Reader("a_000.tvips", seed_files.write_tvips, _read_tvips),
}


def seeds_of(name: str, folder: Path) -> list[bytes]:
    """Write the files that a reader can read, and return what is in them."""
    folder.mkdir(parents=True, exist_ok=True)
    READERS[name].seeds(folder)
    return [path.read_bytes() for path in sorted(folder.iterdir())]


def memory_of_reading(name: str, folder: Path, data: bytes) -> int:
    """Give a reader some bytes; return the most memory that it took, in bytes.

    Raises
    ------
    AssertionError
        If that is more than a file of this size may ask for.
    Exception
        Whatever the reader raises but ValueError and OSError.
    """
    reader = READERS[name]
    path = folder / reader.file_name
    path.write_bytes(data)
    if not tracemalloc.is_tracing():
        tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            reader.read(path)
        except (ValueError, OSError) as error:
            assert str(error), f"{name}: an error without a word"
    taken = tracemalloc.get_traced_memory()[1] - before
    allowed = reader.memory_factor * len(data) + MEMORY_FLOOR
    if taken > allowed:
        raise MemoryTaken(f"{name}: {taken} bytes of memory for {len(data)} bytes")
    return taken


class MemoryTaken(AssertionError):
    """A reader took more memory than the file may ask for."""


def warm_up(name: str, folder: Path) -> None:
    """Read good files once, so that lazy imports are over; one has to be readable."""
    path = folder / READERS[name].file_name
    refused = []
    seeds = seeds_of(name, folder / "seeds")
    for data in seeds:
        path.write_bytes(data)
        try:
            READERS[name].read(path)
        except (ValueError, OSError) as error:
            refused.append(error)
    # a master file may be refused for what was put into it
    assert not refused or (name == "nexus" and len(refused) < len(seeds)), refused
    gc.collect()
