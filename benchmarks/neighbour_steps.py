"""Steps: a command of DIALS and what it has to leave behind; those on integrated tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from neighbour_checks import (
    Check,
    lines,
    merged,
    reflections,
    says,
    unmerged,
    written,
)

#: Numbers of images, pixels on each side, and crystals of what is simulated.
N_IMAGES, SIZE, N_STILLS, BATCH = 40, 640, 60, 20
#: Output format and what dials.import is given to read it again.
SWEEPS = {
    "cbf": "corrected/truncfix_*.cbf",
    "smv": "corrected/truncfix_*.img",
    "nexus": "corrected/truncfix_master.h5",
    "sidecar": "corrected/truncfix.tfx",
}
TABLES = ("postrefined", "numbered parts")

#: Rows of text files: indices, and indices behind two numbers.
_HKL_ROW = r"^ *-?\d+ *-?\d+ *-?\d+"
_CIF_ROW = r"^ *\d+ +\d+ +-?\d+ +-?\d+ +-?\d+ "
#: Failures that have nothing to do with what the commands are given.
OLD_WX = (
    "unexpected type 'float'",
    "this release hands the packaged wxPython a float where it wants an integer",
)
_MMCIF_FLAGS = (
    "Empty reflection table",
    "only reflections that were fitted by profiles too are exported; stills have none",
)
NO_GEMMI = ("No module named 'gemmi'", "a package that Debian does not install")
XDS_DETECTORS = (
    "detector SENSOR_.* unknown",
    "dxtbx writes XDS.INP for detectors on its list, whoever wrote the images",
)


@dataclass(frozen=True)
class Step:
    """A command, and what it has to leave behind.

    Attributes
    ----------
    command : str
        As typed.
    check : Check
        Of its output.
    same : bool
        Whether every input has to give the same.
    display : bool
        Whether it opens a window.
    quick : bool
        Whether the short run has it.
    once : bool
        Whether one input of its kind is enough.
    excuse : tuple of str, optional
        Where the fault is not in its input: a regular expression that the message of
        the failure matches, and what is known of it.
    """

    command: str
    check: Check
    same: bool = False
    display: bool = False
    quick: bool = False
    once: bool = False
    excuse: tuple[str, str] | None = None

    @property
    def name(self) -> str:
        """What is tried: the program, and the format of an export."""
        words = self.command.split()
        formats = [word for word in words if word.startswith("format=")]
        return " ".join([words[0], *formats])


def integrated_steps(name: str, least: int) -> Iterator[Step]:
    """Yield steps on integrated reflections, perhaps scaled ones."""
    files = f"{name}.expt {name}.refl"
    yield Step(
        f"dials.show {files}",
        says(r"Reflection list contains (\d+) reflections", "reflections:"),
        True,
        quick=True,
    )
    yield Step(f"dials.report {files}", written("dials.report.html"), quick=True)
    cif = lines(f"{name}.cif", _CIF_ROW, least)
    yield from exports(
        files,
        ("mtz", f"mtz.hklout={name}.mtz", unmerged(f"{name}.mtz", least), None),
        ("mmcif", f"mmcif.hklout={name}.cif", cif, _MMCIF_FLAGS),
        ("nxs", f"nxs.hklout={name}.nxs", written(f"{name}.nxs"), None),
        ("xds_ascii", "intensity=sum", lines("DIALS.HKL", _HKL_ROW, least), None),
        ("sadabs", "intensity=sum", lines("integrated.sad", _HKL_ROW, least), None),
    )
    yield from exports(f"{name}.expt", ("mosflm", "", written("mosflm/*"), None))
    yield Step(
        f"dials.filter_reflections {files}"
        " flag_expression=integrated_sum output.reflections=filtered.refl",
        reflections("filtered.refl", least),
    )
    yield Step(
        f"dials.sort_reflections {name}.refl key=miller_index",
        reflections("sorted.refl", least),
    )


def exports(
    files: str, *kinds: tuple[str, str, Check, tuple[str, str] | None]
) -> Iterator[Step]:
    """Yield exports: format, options, check and excuse of each."""
    for kind, options, check, excuse in kinds:
        yield Step(
            f"dials.export {files} format={kind} {options}".strip(),
            check,
            quick=kind == "mtz",
            excuse=excuse,
        )


def scaled_steps(
    name: str, least: int, delta: str, merged_check: Check | None = None
) -> Iterator[Step]:
    """Yield steps on scaled reflections."""
    files = f"{name}.expt {name}.refl"
    yield Step(
        f"dials.merge {files} output.mtz=by_dials.mtz",
        merged_check or merged("by_dials.mtz", least // 10),
        quick=True,
    )
    yield Step(
        f"dials.estimate_resolution {files}",
        says(r"Resolution cc_half:? *(\S+)", "by CC½, Å:"),
        quick=True,
        excuse=(
            r"exit code 1: \{'cc_half'",
            "its figures, which this release takes for an exit code",
        ),
    )
    yield Step(
        f"dials.export {files} format=mtz mtz.hklout=scaled.mtz intensity=scale",
        unmerged("scaled.mtz", least),
        quick=True,
    )
    yield Step(
        f"dials.export {files} format=shelx", lines("dials.hkl", r"^[ \d-]{12}", least)
    )
    yield Step(
        f"dials.export {files} format=mmcif mmcif.hklout=scaled.cif intensity=scale",
        lines("scaled.cif", _CIF_ROW, least),
    )
    yield Step(
        f"dials.compute_delta_cchalf {files} {delta} output.experiments=delta.expt"
        " output.reflections=delta.refl",
        written("delta_cchalf.dat"),
    )
    yield Step(f"dials.missing_reflections {files}", says(r"(Completeness.*)"))
