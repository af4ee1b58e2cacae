"""Small files of every kind that is read from outside, made by our own writers."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np

from crystfel_streams import chunk, head
from dials_truncfix.calibrate.magnifications.magnification_table import (
    Magnification,
    format_table,
)
from dials_truncfix.calibrate.pairs import magnification_words
from dials_truncfix.calibrate.pixel_size import pixel_size_words
from dials_truncfix.io import (
    byte_offset,
    cbf,
    corrected_header,
    nexus,
    serialem,
    smv,
    tvips,
)
from dials_truncfix.io.mrc import write_stack
from dials_truncfix.io.serialem_title import FrameTitle
from dials_truncfix.simulate.prediction import SweepReflections
from dials_truncfix.simulate.truth import Truth, save_truth
from dm4_file import write_dm4
from recordings import record, true_frames
from truncfix_runs import SMALL

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
#: Between the parts of the contents of a master file.
SEPARATOR = b"\xff\xfe"
_BYTES = (_PIXELS % 16).astype(np.uint8)
FRAME_RECIPE = {
    "serialem_frames": 1,
    "stack": "a.frames",
    "frames_per_image": 10,
    "oscillation": [-30.0, 0.5],
    "gain_reference": "a.frames",
    "defects": False,
}
DEFECTS = """\
# defects
CameraSizeX 6
CameraSizeY 4
RotationAndFlip 0
UsableArea 0 0 3 5
PartialBadColumn 2 1 0 3
BadPixels 1 1 2 2
BadColumns 3
"""
MAGNIFICATIONS = format_table(
    [
        Magnification("a", 2500.0, 1.8, 0.01, 12.0, 0.1),
        Magnification("a", 5000.0, reference=2500.0, ratio=2.0, turn_deg=90.0),
    ]
)
CALIBRATION_RESULTS = (
    json.dumps(
        {
            "schema": pixel_size_words.SCHEMA,
            "axes_px": [[25.0, 1.0], [-1.0, 25.0]],
            "covariance_of_axes_px2": np.eye(4).tolist(),
            "pixel_size_nm": 1.8,
            "pixel_size_error_nm": 0.01,
            "rotation_deg": 2.3,
        }
    ),
    json.dumps(
        {
            "schema": magnification_words.SCHEMA,
            "magnification": 2.0,
            "magnification_error": 0.001,
            "rotation_deg": 90.0,
            "rotation_error_deg": 0.01,
        }
    ),
)
MDOC = """\
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
STREAMS = (
    head() + chunk(_CRYSTAL),
    head("2.2") + chunk(_CRYSTAL.replace(" left", "")),
)


def texts(*texts: str) -> Callable[[Path], object]:
    def write(folder: Path) -> None:
        for number, text in enumerate(texts):
            (folder / f"seed{number}").write_bytes(text.encode("latin-1"))

    return write


def write_mrc(folder: Path) -> None:
    for dtype in ("i1", "i2", "f4", "u2", "f2"):
        write_stack(folder / dtype, [_BYTES.astype(dtype)] * 2, labels=["a label"])
    write_stack(folder / "packed", [_BYTES], packing="mode101", byte_order=">")


def write_tiff(folder: Path) -> None:
    # wide enough for compression to be worth something
    image = np.tile(_BYTES, (4, 8))
    for compression in ("none", "zip", "lzw"):
        path = folder / f"{compression}.tif"
        serialem.write_frames(
            path, [image] * 2, FrameTitle(), compression=compression, pixel_spacing=1.2
        )


def write_serialem(folder: Path) -> None:
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


def write_smv(folder: Path) -> None:
    # without the vectors of every digit that the programs write
    smv.write(folder / "a", _PIXELS, corrected_header.format_smv_header(_HEADER))
    smv.write(folder / "b", _PIXELS.astype(np.uint16), {"BIN": "1x1"})


def write_cbf(folder: Path) -> None:
    cbf.write(folder / "a", _PIXELS, corrected_header.format_cbf_lines(_HEADER))
    cbf.write(folder / "b", _PIXELS * 100_000, ["Detector: none"])


def write_emmenu(folder: Path) -> None:
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


def write_tvips(folder: Path) -> None:
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


def write_gain_reference(folder: Path) -> None:
    write_dm4(folder / "a.dm4", _PIXELS.astype(np.float32))


@cache
def master_file() -> bytes:
    """Bytes of a master file with two images."""
    master = nexus.Master(_HEADER, (nexus.DataFile("a.h5", (1, 2)),))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a_master.h5")
        nexus.write_master(path, master, rotation_axis=None, electrons=True)
        return path.read_bytes()


def write_nexus(folder: Path) -> None:
    """What may stand in the group of a master file, and under which of its names."""
    models = json.dumps(_MODELS).encode()
    numbers = np.array([1, 2], "<i8").tobytes()
    for index in range(10):
        name = bytes([index])
        (folder / f"text{index}").write_bytes(name + b"s" + models)
        (folder / f"numbers{index}").write_bytes(name + b"i" + numbers)
    (folder / "none").write_bytes(b"")
    (folder / "both").write_bytes(b"\0a" + SEPARATOR + b"\1-" + SEPARATOR + b"\2h")


def write_nexus_data(folder: Path) -> None:
    (folder / "image").write_bytes(zlib.compress(_PIXELS.astype("<i4").tobytes()))


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


def write_of_a_run(folder: Path, kind: str) -> None:
    (folder / kind).write_bytes(_files_of_a_run()[kind])


def write_byte_offset(folder: Path) -> None:
    (folder / "a").write_bytes(
        byte_offset.compress(_PIXELS * 3000) + byte_offset.compress(_PIXELS << 24)
    )


def write_truth(folder: Path) -> None:
    arrays = {
        field.name: np.zeros((2, 3) if field.name == "miller_index" else 2)
        for field in dataclasses.fields(SweepReflections)
    }
    truth = Truth(
        SweepReflections(**arrays), np.zeros(2, bool), np.eye(3), 6, 7.5, 9.0, 5.0, {}
    )
    save_truth(folder / "truth.npz", truth)
