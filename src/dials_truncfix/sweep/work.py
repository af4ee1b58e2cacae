"""What the tasks on single images share: the open sweep, its regions, its options.

A task carries the sweep as pickled bytes. Each process unpacks them once, opens the
files itself and keeps what all images share.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from dials_truncfix.correction.regions.anisotropy import AzimuthGrid, azimuth_grid
from dials_truncfix.correction.regions.annuli import Annuli, equal_area_annuli, without
from dials_truncfix.correction.regions.areas import Areas, areas_of_labels, one_area
from dials_truncfix.correction.regions.beam_stop import indices_of_tiles, shadowed_tiles
from dials_truncfix.correction.regions.nodes import Nodes, radial_nodes
from dials_truncfix.correction.regions.radial_grid import RadialGrid, radial_grid
from dials_truncfix.correction.regions.regions import (
    Regions,
    RegionTable,
    annular_regions,
)
from dials_truncfix.correction.regions.scattering import TwoThetaMap, d_spacing
from dials_truncfix.sweep.division import Division, divide
from dials_truncfix.sweep.options import CorrectionOptions
from dials_truncfix.sweep.source import Frame, SweepSource

BoolArray = npt.NDArray[np.bool_]
Item = TypeVar("Item")

#: The verdict and the gain come from this many images.
SAMPLE_SIZE = 10


@dataclass(frozen=True)
class _Last:
    """The regions of an image, which the next one often has too."""

    valid: BoolArray
    shadow: BoolArray | None
    regions: Regions

    def fits(self, valid: BoolArray, shadow: BoolArray | None) -> bool:
        """Whether the regions depend on nothing else."""
        if valid is not self.valid and not np.array_equal(valid, self.valid):
            return False
        if shadow is None or self.shadow is None:
            return shadow is self.shadow
        return np.array_equal(shadow, self.shadow)


class SweepWork:
    """An open sweep and what follows from its geometry and masks.

    Parameters
    ----------
    imageset : dxtbx.imageset.ImageSet
        The sweep.
    options : CorrectionOptions
        How it is corrected.
    """

    def __init__(self, imageset: Any, options: CorrectionOptions) -> None:
        self.source = SweepSource(imageset)
        self.options = options
        self.samples = frozenset(sample(len(self.source)))
        if options.labels is not None:
            options.labels.require_shape(self.source.shape)
        self._last: _Last | None = None

    @cached_property
    def radius(self) -> TwoThetaMap:
        """Radial coordinate of every pixel: 2θ, rad, shape (slow, fast)."""
        return self.source.two_theta()

    @cached_property
    def grid(self) -> RadialGrid:
        """Radii at which the distributions of all images are interpolated."""
        edges = self.annuli.edges
        return radial_grid(self.radius, float(edges[0]), float(edges[-1]))

    @cached_property
    def annuli(self) -> Annuli:
        """Annuli of the pixels that no mask excludes in any image."""
        return equal_area_annuli(
            self.radius,
            self.source.static_mask() if self.areas is None else self.areas.area >= 0,
            self.options.n_annuli,
            self.options.minimum_pixels,
        )

    @cached_property
    def areas(self) -> Areas | None:
        """Areas with sharp borders; None without labels.

        Raises
        ------
        ValueError
            When the mask leaves no pixel of a label.
        """
        labels = self.options.labels
        if labels is None:
            return None
        mask, minimum = self.source.static_mask(), self.options.minimum_pixels
        try:
            return areas_of_labels(labels.pixels(), mask, minimum)
        except ValueError as error:
            raise ValueError(
                f"{labels.path} does not fit the images: {error}"
            ) from None

    @cached_property
    def beam_centre(self) -> tuple[float, float]:
        """Where the direct beam meets the detector (slow, fast), pixels."""
        panel, beam = self.source.panel, self.source.beam
        fast, slow = panel.get_beam_centre_px(beam.get_s0())
        return float(slow), float(fast)

    @cached_property
    def division(self) -> Division | None:
        """What annuli are divided into; None where they are not."""
        alike = self.areas is None or len(self.areas.labels) == 1
        if self.options.shape == "annuli" and alike:
            return None
        return divide(
            self.options,
            self.areas or one_area(self.source.static_mask()),
            self.annuli,
            self.grid,
            self.radius,
            self.beam_centre,
        )

    @cached_property
    def nodes(self) -> Nodes:
        """Places at which the distributions of all images are tabulated."""
        return self.division.nodes if self.division else radial_nodes(self.grid)

    @cached_property
    def azimuths(self) -> AzimuthGrid:
        """Grid of radius and azimuth on which the background's uniformity is tested."""
        return azimuth_grid(self.grid, self.annuli.edges, self.beam_centre)

    @property
    def only_zeros_matter(self) -> bool:
        """Whether nothing is asked of an image but its histograms and its zeros.

        It may then be read as a narrow one.
        """
        return self.options.assign != "local" and self.options.noise == "independent"

    def image_regions(self, frame: Frame, shadow: BoolArray | None = None) -> Regions:
        """Regions of the pixels of one image that can be fitted and corrected.

        They depend on this image only, so that any part of a sweep is corrected
        like the whole.

        Parameters
        ----------
        frame : Frame
            The image.
        shadow : ndarray, shape (n_slow, n_fast), bool, optional
            Tiles that the beam stop shadows, where they are known already.
        """
        if self.options.beam_stop and shadow is None:
            shadow = shadowed_tiles(frame.pixels, frame.valid, self.radius)
        if self._last is None or not self._last.fits(frame.valid, shadow):
            self._last = _Last(
                frame.valid, shadow, self._regions_without(frame.valid, shadow)
            )
        return self._last.regions

    def _regions_without(self, valid: BoolArray, shadow: BoolArray | None) -> Regions:
        # what the static mask excludes is in no annulus
        static = self.source.static_mask()
        excluded = np.empty(0, np.intp) if valid is static else np.flatnonzero(~valid)
        if shadow is not None and shadow.any():
            # runs of rows, which a stable sort merges
            in_shadow = np.sort(indices_of_tiles(shadow, valid.shape), kind="stable")
            excluded = np.union1d(excluded, in_shadow) if excluded.size else in_shadow
        if self.division:
            regions = self.division.partition.without(self.radius, excluded)
        else:
            minimum = self.options.minimum_pixels
            annuli = without(self.annuli, self.radius, excluded, minimum)
            regions = annular_regions(annuli)
        return replace(regions, shadow=shadow)

    def d_limits(self, regions: RegionTable) -> npt.NDArray[np.float64]:
        """Resolution at the inner and outer limit of each region, Å."""
        return d_spacing(regions.limits, self.source.wavelength)


def pack(imageset: Any, options: CorrectionOptions) -> bytes:
    """Prepare a sweep for the tasks."""
    return pickle.dumps((imageset, options))


#: The last sweep that this process has opened.
_opened: dict[bytes, SweepWork] = {}


def keep_open(sweep: bytes, work: SweepWork) -> None:
    """Let tasks in this process use a sweep that is open, and not open it once more."""
    _opened.clear()
    _opened[sweep] = work


def unpack(sweep: bytes) -> SweepWork:
    """Open a packed sweep; a process keeps the last one."""
    if sweep not in _opened:
        keep_open(sweep, SweepWork(*pickle.loads(sweep)))
    return _opened[sweep]


def blocks(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """Cut a sequence into consecutive blocks of at most `size`."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def sample(n_images: int) -> list[int]:
    """Positions of a few images spread over the sweep."""
    n = min(n_images, SAMPLE_SIZE)
    return sorted({round(i) for i in np.linspace(0, n_images - 1, n)})
