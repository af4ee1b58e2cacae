"""What the user may choose, as plain values."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from dials_truncfix.correction.joint_camera.camera_model import SweepCamera
from dials_truncfix.io.sidecar import SUFFIX
from dials_truncfix.sweep.label_image import LabelImage

#: Edge of the smallest tile, pixels.
SMALLEST_TILE = 32


@dataclass(frozen=True)
class CorrectionOptions:
    """How the pixels are corrected.

    Attributes
    ----------
    n_annuli : int
        Number of annuli of equal area.
    minimum_pixels : int
        Regions with fewer pixels are merged.
    shape : {'annuli', 'sectors', 'tiles'}
        What the annuli are divided into.
    n_sectors : int
        Number of sectors.
    tile_size : int or None
        Edge of a tile, pixels; None takes a quarter of the longer edge of the image.
    labels : LabelImage or None
        Areas that are fitted apart.
    family : {'auto', 'lognormal', 'emg', 'camera', 'paper'}
        Distribution of the low counts.
    camera : SweepCamera or None
        Camera of the sweep, where one is known.
    histograms : {'image', 'block', 'sweep'}
        Which images' histograms are summed for the fits of one image.
    block_size : int
        Number of images in a block.
    rounding : {'round', 'floor'}
        How the camera made integers.
    assign : {'random', 'expected', 'local'}
        What a zero becomes.
    noise : {'independent', 'correlated'}
        Whether draws of neighbouring pixels are correlated like their noise.
    beam_stop : bool
        Whether to look for the shadow of the beam stop.
    seed : int
        Seed of the draws.

    Raises
    ------
    ValueError
        When a choice is unknown, two exclude each other, or a number of sectors or a
        size makes no sense.
    """

    n_annuli: int = 10
    minimum_pixels: int = 10_000
    shape: str = "annuli"
    n_sectors: int = 8
    tile_size: int | None = None
    labels: LabelImage | None = None
    family: str = "auto"
    camera: SweepCamera | None = None
    histograms: str = "image"
    block_size: int = 5
    rounding: str = "round"
    assign: str = "random"
    noise: str = "independent"
    beam_stop: bool = True
    seed: int = 0

    def __post_init__(self) -> None:  # noqa: D105
        if self.assign not in ("random", "expected", "local"):
            raise ValueError(f"assign={self.assign} is unknown")
        if self.noise not in ("independent", "correlated"):
            raise ValueError(f"noise={self.noise} is unknown")
        if (self.assign, self.noise) == ("expected", "correlated"):
            raise ValueError(
                "noise=correlated is about draws, and assign=expected makes none: give "
                "assign=random or assign=local"
            )
        if self.assign == "local" and self.family not in ("auto", "camera"):
            raise ValueError(
                f"assign=local needs the model of a camera, not fit.model={self.family}: "
                "give fit.model=camera or auto"
            )
        if self.camera is not None and self.camera.model.rounding != self.rounding:
            raise ValueError(
                f"the camera rounds otherwise than rounding={self.rounding} says"
            )
        if self.shape not in ("annuli", "sectors", "tiles"):
            raise ValueError(f"regions.shape={self.shape} is unknown")
        if not 2 <= self.n_sectors <= 360:
            raise ValueError(f"regions.sectors.count={self.n_sectors} is not 2 to 360")
        if self.tile_size is not None and self.tile_size < SMALLEST_TILE:
            raise ValueError(
                f"regions.tiles.size={self.tile_size} is below {SMALLEST_TILE}"
            )


@dataclass(frozen=True)
class OutputOptions:
    """What is written, and where.

    Attributes
    ----------
    directory : str
        Folder of the images.
    template : str
        File name with one run of ``#`` for the image number; the format's suffix is
        added when it is missing.
    image_format : {'cbf', 'smv', 'nexus', 'sidecar'}
        Format of the images.
    experiments, json, html : str or None
        Paths of the experiments, of the record and of the report; None leaves them
        out.
    offset : int or None
        Offset of SMV pixels, ADU; None finds it.
    gain, pedestal : float or None
        Values for the panel, ADU; None estimates them.
    compression : {'gzip', 'bitshuffle', 'uncompressed'}
        Of NeXus images.
    replicates : int
        Number of independent draws of the sweep.

    Raises
    ------
    ValueError
        When the template has not exactly one run of ``#`` or holds a folder, or when
        the gain is zero.
    """

    directory: str = "."
    template: str = "truncfix_#####"
    image_format: str = "cbf"
    experiments: str | None = "truncfix.expt"
    json: str | None = "dials.truncfix.json"
    html: str | None = "dials.truncfix.html"
    offset: int | None = None
    gain: float | None = None
    pedestal: float | None = None
    compression: str = "gzip"
    replicates: int = 1

    def __post_init__(self) -> None:  # noqa: D105
        if len(re.findall("#+", self.template)) != 1 or "/" in self.template:
            raise ValueError(
                f"output.template={self.template} must be a file name with one run of "
                "# for the image number, such as truncfix_#####; the folder is "
                "output.directory"
            )
        if self.gain is not None and self.gain <= 0:
            raise ValueError(f"gain={self.gain} must be above zero")

    @property
    def file_template(self) -> str:
        """Template with the suffix of the image format."""
        suffixes = {
            "cbf": (".cbf",),
            "smv": (".img", ".smv"),
            "nexus": (".h5", ".hdf5"),
            "sidecar": (SUFFIX,),
        }[self.image_format]
        if self.template.lower().endswith(suffixes):
            return self.template
        return self.template + suffixes[0]

    @property
    def images_template(self) -> str:
        """What experiments refer to: the template, or the one file that has all images.

        That is the master file of NeXus, or a sidecar.
        """
        if self.image_format == "nexus":
            return re.sub("#+", "master", self.file_template)
        if self.image_format == "sidecar":
            name = re.sub("[_.-]*#+", "", self.file_template)
            return name if name != SUFFIX else f"truncfix{SUFFIX}"
        return self.file_template

    @property
    def images_path(self) -> Path:
        """Absolute path of `images_template`."""
        return Path(self.directory).absolute() / self.images_template

    def file_name(self, number: int) -> str:
        """Return the name of the image of this number.

        A data file of NeXus has that of its first image.

        Raises
        ------
        ValueError
            When the number has more digits than the template has ``#``.
        """
        digits = len(re.findall("#+", self.template)[0])
        if len(str(number)) > digits:
            raise ValueError(
                f"image number {number} does not fit output.template={self.template}: "
                "give it more #"
            )
        return numbered(self.file_template, number)


def numbered(template: str, number: int) -> str:
    """Put a number in the place of the ``#`` of a template."""
    marks = max(re.findall("#+", template), key=len)
    head, _, tail = template.rpartition(marks)
    return f"{head}{number:0{len(marks)}d}{tail}"
