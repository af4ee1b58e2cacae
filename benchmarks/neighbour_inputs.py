"""What commands of DIALS are tried on: our output, and stock data beside it.

Stock data are images that dials.convert_to_cbf or dxtbx wrote, which DIALS reads by a class of
its own, and what the stock commands made of them.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from arms import import_advice
from stock_dials import run

from dxtbx.format.FormatCBFMini import FormatCBFMini
from dxtbx.imageset import ImageSetFactory
from dxtbx.model import Experiment
from dxtbx.model.experiment_list import ExperimentList

#: Numbers of images, pixels on each side, and crystals of what is simulated.
N_IMAGES, SIZE, N_STILLS, BATCH = 40, 640, 60, 20
#: Resolution of the stills, Å, and gain of the simulated camera, ADU.
D_MIN, GAIN = 3.3, 9
#: What keeps the camera from truncating.
PEDESTAL = "pedestal=100"
#: Stills have a cubic crystal, for many equivalents of each reflection.
STILLS_GROUP = "P 43 3 2"
CUBIC = ("crystal.unit_cell=78,78,78,90,90,90", f"crystal.space_group={STILLS_GROUP}")

#: Output format and what dials.import is given to read it again.
SWEEPS = {
    "cbf": "corrected/truncfix_*.cbf",
    "smv": "corrected/truncfix_*.img",
    "nexus": "corrected/truncfix_master.h5",
    "sidecar": "corrected/truncfix.tfx",
}
TABLES = ("postrefined", "numbered parts")
STOCK_SWEEP, STOCK_STILLS = "stock sweep", "stock stills"
INPUTS = (*SWEEPS, *TABLES, STOCK_SWEEP, STOCK_STILLS)


def fresh_copy(kind: str, folder: Path, again: bool) -> Path:
    """Copy an input for commands to work on, so that no output of an earlier run is there.

    Parameters
    ----------
    kind : str
        One of `INPUTS`.
    folder : pathlib.Path
        Folder of all inputs, those that are there are used again.
    again : bool
        Whether to keep a copy that is there.

    Returns
    -------
    pathlib.Path
        Folder of the copy.
    """
    work = folder / "tried" / kind.replace(" ", "_")
    if not (again and work.exists()):
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(make_input(kind, folder), work)
    return work


def make_input(kind: str, folder: Path) -> Path:
    """Make an input, unless it is there.

    Parameters
    ----------
    kind : str
        One of `INPUTS`.
    folder : pathlib.Path
        Folder of all inputs.

    Returns
    -------
    pathlib.Path
        Its folder.
    """
    work = folder / kind.replace(" ", "_")
    if work.exists():
        return work
    if kind in SWEEPS:
        _correct(_sweep(folder), work, kind)
    elif kind == STOCK_SWEEP:
        _stock_sweep(work)
    elif kind == STOCK_STILLS:
        _stock_scaled(_stills(folder), work)
    else:
        _postrefine(_stills(folder), work, kind)
    return work


def _simulate(folder: Path, *options: str) -> list[str]:
    """Simulate images of the size used here; returns how to import them."""
    size = f"geometry.image_size={SIZE},{SIZE}"
    command = ["dials.truncfix_simulate", size, "output.directory=simulated", *options]
    text, _ = run(command, folder)
    return import_advice(text)


def _sweep(folder: Path) -> Path:
    """Simulate and import a truncated sweep; returns the experiments."""
    sweep = folder / "sweep"
    if not sweep.exists():
        sweep.mkdir(parents=True)
        advice = _simulate(sweep, f"scan.n_images={N_IMAGES}")
        run(["dials.import", *advice], sweep)
    return sweep / "imported.expt"


def _correct(experiments: Path, work: Path, kind: str) -> None:
    """Correct a sweep to one output format."""
    work.mkdir()
    command = ["dials.truncfix", str(experiments), f"output.format={kind}"]
    run([*command, "output.directory=corrected", "output.html=None"], work)


def _stock_sweep(work: Path) -> None:
    """Have DIALS write a sweep that needs no correction, and import it."""
    work.mkdir(parents=True)
    advice = _simulate(work, f"scan.n_images={N_IMAGES}", f"camera.{PEDESTAL}")
    run(["dials.import", *advice, "output.experiments=recorded.expt"], work)
    command = ["dials.convert_to_cbf", "recorded.expt"]
    run([*command, "output.template=stock_%04d.cbf"], work)
    images = sorted(path.name for path in work.glob("stock_*.cbf"))
    # headers as DIALS writes them have neither
    panel = [f"geometry.detector.panel.{x}" for x in (f"gain={GAIN}", PEDESTAL)]
    run(["dials.import", *images, *panel, "output.experiments=stock.expt"], work)


def _stills(folder: Path) -> Path:
    """Integrate stills by dials.stills_process; returns the folder."""
    stills = folder / "stills"
    if stills.exists():
        return stills
    stills.mkdir(parents=True)
    _simulate(
        stills,
        "source=stills",
        "stills.output=images",
        f"stills.n_lattices={N_STILLS}",
        "stills.mosaicity=0.02",
        f"d_min={D_MIN}",
        *CUBIC,
        f"camera.{PEDESTAL}",
    )
    known = ExperimentList.from_file(str(stills / "simulated" / "known.expt"))
    _as_stock_images(known, stills).as_file(str(stills / "known.expt"))
    run(
        [
            "dials.stills_process",
            "input.glob=still_*.cbf",
            "known_orientations=known.expt",
            "require_known_orientation=True",
            "refinement.parameterisation.crystal.fix=cell",
            f"prediction.d_min={D_MIN}",
            f"spotfinder.threshold.dispersion.gain={GAIN}",
            f"integration.summation.detector_gain={GAIN}",
        ],
        stills,
    )
    return stills


def _as_stock_images(known: ExperimentList, folder: Path) -> ExperimentList:
    """Write stills as dxtbx does; dials.convert_to_cbf takes sweeps only."""
    result = ExperimentList()
    for number, still in enumerate(known):
        path = str(folder / f"still_{number:03d}.cbf")
        pixels = still.imageset.get_raw_data(0)[0]
        FormatCBFMini.as_file(still.detector, still.beam, None, None, pixels, path)
        result.append(
            Experiment(
                beam=still.beam,
                detector=still.detector,
                crystal=still.crystal,
                imageset=ImageSetFactory.make_imageset([path], check_format=False),
                identifier=still.identifier,
            )
        )
    return result


def _integrated(stills: Path) -> list[str]:
    return sorted(str(path) for path in stills.glob("idx-*_integrated.*"))


def _in_parts(stills: Path, parts: Path) -> list[str]:
    """Split the stills: lattices of one input file stay together in the output."""
    parts.mkdir()
    names = ["output.experiments_prefix=part", "output.reflections_prefix=part"]
    chunk = f"output.chunk_size={BATCH}"
    run(["dials.split_experiments", *_integrated(stills), *names, chunk], parts)
    return sorted(str(path) for path in parts.glob("part_*"))


def _stock_scaled(stills: Path, work: Path) -> None:
    """Scale the stills by DIALS itself."""
    work.mkdir()
    names = ["output.experiments=stock.expt", "output.reflections=stock.refl"]
    run(["dials.scale", *_integrated(stills), *names], work)


def _postrefine(stills: Path, work: Path, kind: str) -> None:
    """Put the stills on one scale."""
    work.mkdir()
    parts = kind == "numbered parts"
    files = _in_parts(stills, work / "given") if parts else _integrated(stills)
    options = ["output.html=None"]
    if parts:
        options.append(f"output.lattices_per_file={BATCH}")
    run(["dials.truncfix_postrefine", *files, *options], work)
