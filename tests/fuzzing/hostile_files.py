"""Every reader of files from outside, with small files of our own that it can read.

Whatever bytes a reader is given, it ends with a value, a ValueError or an OSError, and
takes no more memory than `MEMORY_FACTOR` times the file, and `MEMORY_FLOOR`.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import tempfile
import tracemalloc
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from crystfel_streams import GEOMETRY, chunk, head
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
from dials_truncfix.io.mrc import MRCStack, write_stack
from dials_truncfix.io.reflection_file import layout_version
from dials_truncfix.io.serialem_title import FrameTitle
from dials_truncfix.io.stream import StreamFile
from dials_truncfix.io.tiff_stack import TIFFStack
from dials_truncfix.report.records import read_record_of
from dials_truncfix.sweep.read_record import read_record
from dials_truncfix.sweep.recipe_checks import recipe_from_plain
from dm4_file import write_dm4
from recordings import record, true_frames
from truncfix_runs import SMALL

MEMORY_FACTOR = 8
MEMORY_FLOOR = 1 << 20
#: What a byte of DEFLATE or LZW can stand for, and a copy of it.
COMPRESSED_FACTOR = 2 * 4096
#: Frames of a file that are read, of all that it claims to have.
N_FRAMES = 3

_MODELS = {
    "detector": {
        "panels": [
            {
                "fast_axis": [1.0, 0.0, 0.0],
                "slow_axis": [0.0, -1.0, 0.0],
                "origin": [-1.0, 1.0, -500.0],
                "image_size": [6, 4],
                "pixel_size": [0.1, 0.1],
                "gain": 1.0,
                "pedestal": 0.0,
                "trusted_range": [-1.0, 65535.0],
            }
        ]
    },
    "beam": {"direction": [0.0, 0.0, 1.0], "wavelength": 0.025},
    "goniometer": None,
    "scan": None,
}
_HEADER = corrected_header.CorrectedHeader(_MODELS, 32, 7, "1.0")
_PIXELS = np.arange(24, dtype=np.int32).reshape(4, 6)
_BYTES = (_PIXELS % 16).astype(np.uint8)
_DEFECTS = """\
# defects
CameraSizeX 6
CameraSizeY 4
RotationAndFlip 0
UsableArea 0 0 3 5
PartialBadColumn 2 1 0 3
BadPixels 1 1 2 2
BadColumns 3
"""
_MDOC = """\
T = SerialEM: Camera K3
Voltage = 300
[FrameSet = 0]
TiltAngle = 1.5
SubFramePath = D:\\frames\\a.tif
FrameDosesAndNumber = 1.2 40
DateTime = 08-Oct-21  07:39:08
"""
_CRYSTAL = """\
--- Begin crystal
Cell parameters 7.91000 7.91000 3.81000 nm, 90 90 90 deg
astar = +0.1264000 +0.0000000 +0.0000000 nm^-1
bstar = +0.0000000 +0.1264000 +0.0000000 nm^-1
cstar = +0.0000000 +0.0000000 +0.2624000 nm^-1
lattice_type = tetragonal
centering = P
unique_axis = c
profile_radius = 0.01000 nm^-1
Reflections measured after indexing
   h    k    l          I   sigma(I)       peak background  fs/px  ss/px panel
   1    2    3      10.00     1.0000      99.00       3.25  100.0  200.0 left
End of reflections
--- End crystal
"""


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


def _texts(*texts: str) -> Callable[[Path], object]:
    def write(folder: Path) -> None:
        for number, text in enumerate(texts):
            (folder / f"seed{number}").write_bytes(text.encode("latin-1"))

    return write


def _write_mrc(folder: Path) -> None:
    for dtype in ("i1", "i2", "f4", "u2", "f2"):
        write_stack(folder / dtype, [_BYTES.astype(dtype)] * 2, labels=["a label"])
    write_stack(folder / "packed", [_BYTES], packing="mode101", byte_order=">")


def _read_mrc(path: Path) -> None:
    stack = MRCStack.open(path)
    for index in range(min(N_FRAMES, stack.n_frames)):
        stack.read_frame(index)


def _write_tiff(folder: Path) -> None:
    # wide enough for compression to be worth something
    image = np.tile(_BYTES, (4, 8))
    for compression in ("none", "zip", "lzw"):
        path = folder / f"{compression}.tif"
        serialem.write_frames(
            path, [image] * 2, FrameTitle(), compression=compression, pixel_spacing=1.2
        )


def _read_tiff(path: Path) -> None:
    stack = TIFFStack.open(path)
    for index in range(min(N_FRAMES, stack.n_frames)):
        stack.read_frame(index)


def _write_serialem(folder: Path) -> None:
    title = FrameTitle(
        rotation_flip=0,
        needed_rotation_flip=3,
        gain_reference="CountRef.dm4",
        defects="defects.txt",
    )
    for name in ("a.mrc", "a.tif"):
        serialem.write_frames(
            folder / name, [_BYTES], title, packing="squeezed", compression="none"
        )


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


def _write_smv(folder: Path) -> None:
    # without the vectors of every digit that the programs write
    smv.write(folder / "a", _PIXELS, corrected_header.format_smv_header(_HEADER))
    smv.write(folder / "b", _PIXELS.astype(np.uint16), {"BIN": "1x1"})


def _read_smv(path: Path) -> None:
    header = smv.read_header(path)
    smv.read_pixels(path)
    if smv.is_truncfix(header):
        _use(corrected_header.parse_smv_header(header))


def _write_cbf(folder: Path) -> None:
    cbf.write(folder / "a", _PIXELS, corrected_header.format_cbf_lines(_HEADER))
    cbf.write(folder / "b", _PIXELS * 100_000, ["Detector: none"])


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


def _write_emmenu(folder: Path) -> None:
    """Images with the least of EM-MENU's private tag, in its second version."""
    import tifffile

    for order in "<>":
        first = np.zeros(
            (), np.dtype(tifffile.TIFF.TVIPS_HEADER_V1).newbyteorder(order)
        )
        tag = np.zeros((), np.dtype(tifffile.TIFF.TVIPS_HEADER_V2).newbyteorder(order))
        first["Version"], tag["Magic"], tag["TemMode"] = 2, 0xAAAAAAAA, 3
        content = first.tobytes() + tag.tobytes()
        tifffile.imwrite(
            folder / f"{'little' if order == '<' else 'big'}.tif",
            _PIXELS.astype(np.uint16),
            byteorder=order,
            photometric="minisblack",
            metadata=None,
            extratags=[(37706, 1, len(content), content, True)],
        )


def _read_emmenu(path: Path) -> None:
    emmenu_tiff.is_emmenu_tiff(path)
    emmenu_tiff.read_header(path)
    emmenu_tiff.read_pixels(path)


def _write_tvips(folder: Path) -> None:
    frames = np.stack([_PIXELS, _PIXELS]).astype(np.uint16)
    tvips.write_series(
        folder / "a_000.tvips",
        frames,
        pixel_size_nm=62400,
        binning=(4, 4),
        alpha_deg=[0.0, 0.5],
        exposure_s=1.0,
        start_time=1.5e9,
    )


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


def _write_gain_reference(folder: Path) -> None:
    write_dm4(folder / "a.dm4", _PIXELS.astype(np.float32))


def _write_nexus(folder: Path) -> None:
    """One file that is master and data file at once."""
    master = nexus.Master(_HEADER, (nexus.DataFile("a.h5", (1, 2)),))
    nexus.write_master(
        folder / "a_master.h5", master, rotation_axis=None, electrons=True
    )


def _read_nexus(path: Path) -> None:
    if nexus.is_ours(path):
        _use(nexus.read_master(path).header)


def _write_nexus_data(folder: Path) -> None:
    for compression in ("gzip", "uncompressed"):
        with nexus_data.open_data_file(
            folder / f"{compression}.h5", (2, 4, 6), compression
        ) as write:
            write(_PIXELS)
            write(_PIXELS)


def _read_nexus_data(path: Path) -> None:
    for position in range(2):
        nexus_data.read_image(path, position)


@cache
def _files_of_a_run() -> dict[str, bytes]:
    """Correct a small recording; return its record and its sidecar."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        movie = record(folder, true_frames(1, 128)).path
        command = [sys.executable, "-c"]
        command += ["from dials_truncfix.command_line.truncfix import run; run()"]
        command += [str(movie), *SMALL, "output.format=sidecar"]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        return {
            kind: (folder / kind).read_bytes()
            for kind in ("dials.truncfix.json", "truncfix.tfx")
        }


def _write_of_a_run(folder: Path, kind: str) -> None:
    (folder / kind).write_bytes(_files_of_a_run()[kind])


def _read_sidecar(path: Path) -> None:
    sidecar.is_sidecar(str(path))
    found = sidecar.read_sidecar(str(path))
    recipe_from_plain(found.content.get("recipe"), str(path))


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
        lambda folder: (folder / "a").write_bytes(
            byte_offset.compress(_PIXELS * 3000) + byte_offset.compress(_PIXELS << 24)
        ),
        _read_byte_offset,
    ),
    "cbf": Reader("a.cbf", _write_cbf, _read_cbf),
    "crystfel_geometry": Reader("a.geom", _texts(GEOMETRY), _read_geometry),
    "defects": Reader("defects.txt", _texts(_DEFECTS), _read_defects),
    "emmenu_tiff": Reader("a.tif", _write_emmenu, _read_emmenu),
    "frame_recipe": Reader(
        "a.frames",
        _texts(
            json.dumps(
                {
                    "serialem_frames": 1,
                    "stack": "a.frames",
                    "frames_per_image": 10,
                    "oscillation": [-30.0, 0.5],
                    "gain_reference": "a.frames",
                    "defects": False,
                }
            )
        ),
        _read_frame_recipe,
    ),
    "gain_reference": Reader(
        "a.dm4", _write_gain_reference, gain_reference.read_reference
    ),
    "mdoc": Reader("a.mdoc", _texts(_MDOC), _read_mdoc),
    "mrc": Reader("a.mrc", _write_mrc, _read_mrc),
    "nexus": Reader("a_master.h5", _write_nexus, _read_nexus),
    "nexus_data": Reader(
        "a.h5", _write_nexus_data, _read_nexus_data, COMPRESSED_FACTOR
    ),
    "record": Reader(
        "dials.truncfix.json",
        lambda folder: _write_of_a_run(folder, "dials.truncfix.json"),
        lambda path: read_record(str(path)),
    ),
    "record_of_report": Reader(
        "truncfix.json",
        _texts('{"program":"dials.truncfix","schema":2,"verdict":{"images":[1]}}'),
        lambda path: read_record_of("dials.truncfix", 2, str(path)),
    ),
    "reflection_file": Reader(
        "a.refl",
        _texts("\x93\xbbdials::af::reflection_table\1\x83"),
        layout_version,
    ),
    "serialem": Reader("a.mrc", _write_serialem, _read_serialem, COMPRESSED_FACTOR),
    "sidecar": Reader(
        "a.tfx", lambda folder: _write_of_a_run(folder, "truncfix.tfx"), _read_sidecar
    ),
    "smv": Reader("a.img", _write_smv, _read_smv),
    "stream": Reader(
        "a.stream",
        _texts(
            head() + chunk(_CRYSTAL),
            head("2.2") + chunk(_CRYSTAL.replace(" left", "")),
        ),
        _read_stream,
    ),
    "tiff_stack": Reader("a.tif", _write_tiff, _read_tiff, COMPRESSED_FACTOR),
    "tvips": Reader("a_000.tvips", _write_tvips, _read_tvips),
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
    """Read a good file once, so that lazy imports are over; it has to be readable."""
    for data in seeds_of(name, folder / "seeds"):
        path = folder / READERS[name].file_name
        path.write_bytes(data)
        READERS[name].read(path)
    gc.collect()
