"""Steps: a command of DIALS and what it has to leave behind; those on integrated tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from neighbour_checks import (
    Check,
    lines,
    merged,
    reflections,
    resolution_limit,
    says,
    unmerged,
    written,
)

#: Rows of text files: indices, and indices behind two numbers.
_HKL_ROW = r"^ *-?\d+ *-?\d+ *-?\d+"
_CIF_ROW = r"^ *\d+ +\d+ +-?\d+ +-?\d+ +-?\d+ "


@dataclass(frozen=True)
class Reason:
    """Why a command fails on stock data too.

    A failure passes for known only if the same command was tried on stock data, and failed
    there in this way.

    Attributes
    ----------
    message : str
        Regular expression that the message of the failure matches.
    text : str
        What in DIALS or its surroundings is the reason.
    complete : bool
        Whether what the command leaves behind is there all the same.
    """

    message: str
    text: str
    complete: bool = False


#: Reasons of failures, from the source of DIALS.
OLD_WX = Reason(
    "unexpected type 'float'",
    "dials/util/wx_viewer.py and dials/util/image_viewer/slip_viewer/pyslip.py hand "
    "wxPython floats (1000 / spintimer_maxfps, x + x_off) where it takes integers",
)
NO_PROFILES = Reason(
    "Empty reflection table",
    "make_cif_block in dials/util/export_mmcif.py takes what was summed and fitted by "
    "profiles; stills are only summed",
)
ONE_SCAN = Reason(
    "exit code 1: (Assertion)?Error:?$",
    "dials/util/export_sadabs.py asserts that there is one experiment, and that it has a "
    "scan",
)
NO_TEMPLATE = Reason(
    "no attribute 'get_template'",
    "dump in dials/util/mosflm.py asks for the template of the images; stills have none",
)
BACKGROUND = Reason(
    "Insufficient reflections",
    "filter_unsuitable_reflections in dials/algorithms/scaling/error_model/error_model.py "
    "takes groups whose I/σ² is 0.85 in the mean: counts of photons, and little background",
)
NO_SCAN = Reason(
    "no attribute 'get_oscillation'",
    "get_subset_for_symmetry in dials/command_line/symmetry.py asks every experiment for "
    "its scan; stills have none",
)
EXIT_CODE = Reason(
    r"exit code 1: \{'cc_half'",
    "run in dials/command_line/estimate_resolution.py returns its plots, which the "
    "command hands to sys.exit",
    complete=True,
)
XDS_DETECTORS = Reason(
    "detector .* unknown",
    "dxtbx/serialize/xds.py looks the detector up by its size in dxtbx/data/detectors.lib",
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
    reason : Reason, optional
        Why it may fail on stock data too.
    """

    command: str
    check: Check
    same: bool = False
    display: bool = False
    quick: bool = False
    once: bool = False
    reason: Reason | None = None

    @property
    def name(self) -> str:
        """What is tried: the program, and the format of an export."""
        words = self.command.split()
        formats = [word for word in words if word.startswith("format=")]
        return " ".join([words[0], *formats])


def integrated_steps(name: str, least: int, stills: bool = False) -> Iterator[Step]:
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
    hkl = "DIALS_*.HKL" if stills else "DIALS.HKL"
    yield from exports(
        files,
        ("mtz", f"mtz.hklout={name}.mtz", unmerged(f"{name}.mtz", least), None),
        (
            "mmcif",
            f"mmcif.hklout={name}.cif",
            cif,
            NO_PROFILES if stills else None,
        ),
        ("nxs", f"nxs.hklout={name}.nxs", written(f"{name}.nxs"), None),
        ("xds_ascii", "intensity=sum", lines(hkl, _HKL_ROW, least), None),
        (
            "sadabs",
            "intensity=sum",
            lines("integrated.sad", _HKL_ROW, least),
            ONE_SCAN if stills else None,
        ),
    )
    template = NO_TEMPLATE if stills else None
    yield from exports(
        f"{name}.expt", ("mosflm", "", written("mosflm*/*.in"), template)
    )
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
    files: str, *kinds: tuple[str, str, Check, Reason | None]
) -> Iterator[Step]:
    """Yield exports: format, options, check and reason of each."""
    for kind, options, check, reason in kinds:
        yield Step(
            f"dials.export {files} format={kind} {options}".strip(),
            check,
            quick=kind == "mtz",
            reason=reason,
        )


def scaled_steps(
    name: str,
    least: int,
    delta: str,
    merged_check: Check | None = None,
    stills: bool = False,
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
        resolution_limit,
        quick=True,
        reason=EXIT_CODE,
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
        reason=NO_PROFILES if stills else None,
    )
    yield Step(
        f"dials.compute_delta_cchalf {files} {delta} output.experiments=delta.expt"
        " output.reflections=delta.refl",
        written("delta_cchalf.dat"),
    )
    yield Step(f"dials.missing_reflections {files}", says(r"(Completeness.*)"))
