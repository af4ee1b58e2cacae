"""Which commands of DIALS are tried on corrected sweeps and on postrefined tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from neighbour_checks import (
    Check,
    experiments,
    integrated,
    json_with,
    lines,
    merged,
    merged_as,
    pixels_as_before,
    readable,
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
_OLD_WX = (
    "unexpected type 'float'",
    "the packaged wxPython takes no fractions of pixels from this release",
)
_MMCIF_FLAGS = (
    "Empty reflection table",
    "only reflections that were fitted by profiles too are exported; stills have none",
)
_NO_GEMMI = ("No module named 'gemmi'", "a package that Debian does not install")
_XDS_DETECTORS = (
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


def sweep_steps(images: str) -> Iterator[Step]:
    """Yield steps on a corrected sweep, in an order in which each finds its input.

    Parameters
    ----------
    images : str
        Files with the images.
    """
    corrected = "truncfix.expt"
    yield Step(
        f"dials.import {images} output.experiments=again.expt",
        pixels_as_before(corrected, "again.expt"),
        quick=True,
    )
    yield Step(f"dials.show {corrected}", says(r"pedestal: *(\S+)"), True, quick=True)
    yield Step(
        f"dials.slice_sequence {corrected} image_range=1,10"
        " output.experiments_filename=few.expt",
        readable("few.expt", 10),
        True,
        quick=True,
    )
    yield Step(
        f"dials.image_viewer {corrected}", written("viewer.png"), True, display=True
    )
    yield Step(
        "dials.background few.expt output.plot=background.png",
        written("background.png"),
    )
    yield Step(
        "dials.background few.expt corrected=True output.plot=electrons.png",
        written("electrons.png"),
        once=True,
    )
    yield Step(
        "dials.generate_mask few.expt untrusted.circle=320,320,40 d_min=2.5"
        " output.mask=pixels.mask output.experiments=masked.expt",
        written("pixels.mask"),
    )
    yield Step(
        "dials.apply_mask few.expt input.mask=pixels.mask"
        " output.experiments=with_mask.expt",
        readable("with_mask.expt", 10),
        True,
    )
    yield Step("dials.estimate_gain few.expt", says(r"Estimated gain: *(\S+)"), True)
    yield Step(
        "dials.export_bitmaps few.expt output.directory=bitmaps",
        written("bitmaps/*.png", 10),
    )
    yield Step(
        "dials.find_bad_pixels few.expt image_range=1,10 output.mask=bad.mask",
        written("bad.mask"),
        once=True,
    )
    yield Step(
        "dials.rs_mapper few.expt grid_size=64 map_file=reciprocal.ccp4",
        written("reciprocal.ccp4"),
    )
    yield Step("dials.merge_cbf few.expt", written("sum_*.cbf", 5))
    yield Step(
        "dials.convert_to_cbf few.expt output.template=converted_%04d.cbf",
        written("converted_*.cbf", 10),
        quick=True,
    )
    yield Step(
        "dials.import converted_*.cbf output.experiments=converted.expt",
        pixels_as_before("few.expt", "converted.expt"),
        quick=True,
    )
    yield Step(
        f"dials.find_spots {corrected} nproc=1",
        reflections("strong.refl", 1500, "intensity.sum.value"),
        True,
        quick=True,
    )
    yield Step(
        f"dials.find_hot_pixels {corrected} strong.refl output.mask=hot.mask",
        written("hot.mask"),
        once=True,
    )
    yield Step(
        f"dials.spot_counts_per_image {corrected} strong.refl",
        says(r"(?s)\| +1 \| +(\d+) \|.*\| +40 \|"),
        once=True,
    )
    yield Step(
        f"dials.search_beam_position {corrected} strong.refl",
        readable("optimised.expt", N_IMAGES),
        once=True,
    )
    yield Step(
        f"dials.find_rotation_axis {corrected} strong.refl",
        written("optimised.expt"),
        once=True,
    )
    yield Step(
        f"dials.index {corrected} strong.refl space_group=P43212"
        " unit_cell=67.3,67.3,101,90,90,90 detector.fix=distance",
        reflections("indexed.refl", 1500),
        True,
        quick=True,
    )
    yield Step(
        "dials.reciprocal_lattice_viewer indexed.expt indexed.refl",
        written("viewer.png"),
        display=True,
        excuse=_OLD_WX,
        once=True,
    )
    yield Step(
        "dials.image_viewer indexed.expt indexed.refl",
        written("viewer.png"),
        display=True,
        excuse=_OLD_WX,
        once=True,
    )
    yield Step(
        "dials.refine_bravais_settings indexed.expt indexed.refl detector.fix=distance",
        written("bravais_setting_*.expt", 5),
        once=True,
    )
    yield Step(
        "dials.reindex indexed.expt indexed.refl change_of_basis_op=a,b,c",
        reflections("reindexed.refl", 1500),
        once=True,
    )
    yield Step(
        "dials.refine indexed.expt indexed.refl detector.fix=distance",
        reflections("refined.refl", 1500),
        True,
        quick=True,
    )
    yield Step(
        "dials.create_profile_model refined.expt refined.refl",
        experiments("models_with_profiles.expt", 1, N_IMAGES),
        once=True,
    )
    yield Step(
        "dials.predict refined.expt d_min=2",
        reflections("predicted.refl", 1500),
        once=True,
    )
    yield Step(
        "dials.integrate refined.expt refined.refl nproc=1",
        integrated("integrated.refl", 4000),
        True,
        quick=True,
    )
    yield Step(
        "dials.model_background integrated.expt",
        written("background.pickle"),
        once=True,
    )
    for step in _later_steps():
        yield replace(step, once=True)


def _later_steps() -> Iterator[Step]:
    """Yield steps on an integrated sweep."""
    yield Step(
        "dials.sequence_to_stills refined.expt refined.refl",
        experiments("stills.expt", N_IMAGES),
        True,
    )
    yield from _table_steps("integrated", 4000)
    yield from _exports(
        "integrated.expt integrated.refl",
        ("json", "", json_with("rlp.json", "rlp"), None),
        ("xds", "", written("xds/*", 2), _XDS_DETECTORS),
        ("pets", "", written("dials_dyn*"), _NO_GEMMI),
    )
    yield Step(
        "dials.plot_reflections integrated.expt integrated.refl",
        written("centroids.png"),
    )
    yield Step(
        "dials.detect_blanks integrated.expt integrated.refl",
        json_with("blanks.json", "strong", "integrated"),
    )
    yield Step(
        "dials.two_theta_refine integrated.expt integrated.refl",
        experiments("refined_cell.expt", 1),
    )
    yield Step(
        "dials.symmetry integrated.expt integrated.refl",
        says(r"Recommended space group: *(.+)"),
        True,
        quick=True,
    )
    yield Step(
        "dials.scale integrated.expt integrated.refl",
        reflections("scaled.refl", 4000),
        quick=True,
    )
    yield from _scaled_steps("scaled", 4000, "mode=image_group")
    yield Step(
        "dials.damage_analysis scaled.expt scaled.refl",
        written("dials.damage_analysis.html"),
    )
    # the two halves of the sweep are two data sets
    for half, images in (("a", "1,20"), ("b", "21,40")):
        yield Step(
            f"dials.slice_sequence integrated.expt integrated.refl image_range={images}"
            f" output.experiments_filename={half}.expt"
            f" output.reflections_filename={half}.refl",
            reflections(f"{half}.refl", 1500),
            True,
        )
    # which need names of their own
    yield Step(
        "dials.assign_experiment_identifiers b.expt b.refl identifiers=second"
        " output.experiments=second.expt output.reflections=second.refl",
        reflections("second.refl", 1500),
        True,
    )
    yield Step(
        "dials.combine_experiments a.expt a.refl second.expt second.refl"
        " reference_from_experiment.detector=0",
        experiments("combined.expt", 2),
        True,
    )
    yield Step(
        "dials.split_experiments combined.expt combined.refl output.prefix=half",
        written("half_*.refl", 2),
    )
    yield Step(
        "dials.cosym a.expt a.refl second.expt second.refl output.experiments=cosym.expt"
        " output.reflections=cosym.refl",
        experiments("cosym.expt", 2),
    )


def _table_steps(name: str, least: int) -> Iterator[Step]:
    """Yield steps on integrated reflections, perhaps scaled ones."""
    files = f"{name}.expt {name}.refl"
    yield Step(
        f"dials.show {files}",
        says(r"Reflection list contains (\d+) reflections"),
        True,
        quick=True,
    )
    yield Step(f"dials.report {files}", written("dials.report.html"), quick=True)
    cif = lines(f"{name}.cif", _CIF_ROW, least)
    yield from _exports(
        files,
        ("mtz", f"mtz.hklout={name}.mtz", unmerged(f"{name}.mtz", least), None),
        ("mmcif", f"mmcif.hklout={name}.cif", cif, _MMCIF_FLAGS),
        ("nxs", f"nxs.hklout={name}.nxs", written(f"{name}.nxs"), None),
        ("xds_ascii", "intensity=sum", lines("DIALS.HKL", _HKL_ROW, least), None),
        ("sadabs", "intensity=sum", lines("integrated.sad", _HKL_ROW, least), None),
    )
    yield from _exports(f"{name}.expt", ("mosflm", "", written("mosflm/*"), None))
    yield Step(
        f"dials.filter_reflections {files}"
        " flag_expression=integrated_sum output.reflections=filtered.refl",
        reflections("filtered.refl", least),
    )
    yield Step(
        f"dials.sort_reflections {name}.refl key=miller_index",
        reflections("sorted.refl", least),
    )


def _exports(
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


def _scaled_steps(
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
        says(r"Resolution cc_half:? *(\S+)"),
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


def table_steps(kind: str) -> Iterator[Step]:
    """Yield steps on postrefined tables, in one pair of files or in parts."""
    if kind == "numbered parts":
        parts = range(N_STILLS // BATCH)
        names = [f"postrefined_{number:03d}" for number in parts]
        for part in names:
            yield Step(
                f"dials.merge {part}.expt {part}.refl output.mtz={part}.mtz",
                merged(f"{part}.mtz", 1000),
                quick=part == names[0],
            )
        given = " ".join(f"{part}.expt {part}.refl" for part in names)
        yield Step(
            f"dials.combine_experiments {given}"
            " output.experiments_filename=postrefined.expt"
            " output.reflections_filename=postrefined.refl",
            reflections("postrefined.refl", 10000),
            quick=True,
        )
    for step in (
        *_table_steps("postrefined", 10000),
        *_scaled_steps(
            "postrefined",
            10000,
            "mode=dataset",
            merged_as("by_dials.mtz", "merged.mtz"),
        ),
        *_stills_steps(),
    ):
        yield replace(step, same=False, once=not step.quick)


def _stills_steps() -> Iterator[Step]:
    """Yield steps on many crystals."""
    files = "postrefined.expt postrefined.refl"
    yield Step(f"dials.refine_error_model {files}", written("error_model.html"))
    yield Step(
        f"dials.split_experiments {files} output.prefix=one",
        written("one_*.refl", N_STILLS // 2),
    )
    yield Step(
        f"dials.reindex {files} change_of_basis_op=b,a,-c",
        reflections("reindexed.refl", 10000),
    )
    yield Step(f"dials.cluster_unit_cell {files}", says(r"(\d+) +\S+.*P 43 21 2"))
    yield Step("dials.unit_cell_histogram postrefined.expt", written("*.png"))
    yield Step(
        f"dials.scale {files} output.experiments=rescaled.expt"
        " output.reflections=rescaled.refl",
        reflections("rescaled.refl", 10000),
    )
    yield Step(
        f"dials.cosym {files} output.experiments=cosym.expt"
        " output.reflections=cosym.refl",
        written("cosym.refl"),
    )
    yield Step(
        f"dials.symmetry {files} output.experiments=symmetrized.expt",
        says(r"Recommended space group: *(.+)"),
    )
    yield Step(
        f"dials.reciprocal_lattice_viewer {files}",
        written("viewer.png"),
        display=True,
        excuse=_OLD_WX,
    )
