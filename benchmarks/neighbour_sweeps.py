"""Commands of DIALS that are tried on corrected sweeps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from neighbour_checks import (
    experiments,
    integrated,
    json_with,
    pixels_as_before,
    readable,
    reflections,
    says,
    written,
)
from neighbour_inputs import N_IMAGES
from neighbour_steps import (
    OLD_WX,
    XDS_DETECTORS,
    Step,
    exports,
    integrated_steps,
    scaled_steps,
)


def sweep_steps(images: str, corrected: str = "truncfix.expt") -> Iterator[Step]:
    """Yield steps on a sweep, in an order in which each finds its input.

    Parameters
    ----------
    images : str
        Files with the images.
    corrected : str
        File with the experiments.
    """
    yield Step(
        f"dials.import {images} output.experiments=again.expt",
        pixels_as_before(corrected, "again.expt"),
        quick=True,
    )
    yield Step(
        f"dials.show {corrected}",
        says(r"pedestal: *(\S+)", "pedestal"),
        quick=True,
    )
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
    # variance over the mean of pixels as they are stored: another number on an offset
    yield Step(
        "dials.estimate_gain few.expt",
        says(r"Estimated gain: *(\S+)", "gain"),
        True,
        once=True,
    )
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
    # takes nothing but CBF
    yield Step("dials.merge_cbf few.expt", written("sum_*.cbf", 5), once=True)
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
        says(r"(?s)\| +1 \| +(\d+) \|.*\| +40 \|", "spots on image 1:"),
        once=True,
    )
    yield Step(
        f"dials.search_beam_position {corrected} strong.refl",
        readable("optimised.expt", N_IMAGES),
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
        reason=OLD_WX,
        once=True,
    )
    yield Step(
        "dials.image_viewer indexed.expt indexed.refl",
        written("viewer.png"),
        display=True,
        reason=OLD_WX,
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
    yield from integrated_steps("integrated", 4000)
    yield from exports(
        "integrated.expt integrated.refl",
        ("json", "", json_with("rlp.json", "rlp"), None),
        ("xds", "", written("xds/*", 2), XDS_DETECTORS),
    )
    # PETS takes one orientation and cell for all images
    yield Step(
        "dials.refine indexed.expt indexed.refl detector.fix=distance"
        " scan_varying=False output.experiments=static.expt"
        " output.reflections=static.refl",
        experiments("static.expt", 1),
    )
    yield Step(
        "dials.integrate static.expt static.refl nproc=1"
        " output.experiments=even.expt output.reflections=even.refl",
        integrated("even.refl", 4000),
    )
    yield from exports("even.expt even.refl", ("pets", "", written("dials_dyn*"), None))
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
        says(r"Recommended space group: *(.+)", "space group"),
        True,
        quick=True,
    )
    yield Step(
        "dials.scale integrated.expt integrated.refl",
        reflections("scaled.refl", 4000),
        quick=True,
    )
    yield from scaled_steps("scaled", 4000, "mode=image_group")
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
        "dials.split_experiments combined.expt combined.refl"
        " output.experiments_prefix=half output.reflections_prefix=half",
        written("half_*.refl", 2),
    )
    yield Step(
        "dials.cosym a.expt a.refl second.expt second.refl output.experiments=cosym.expt"
        " output.reflections=cosym.refl",
        experiments("cosym.expt", 2),
    )
