"""What the tasks on single images share: the open sweep, its regions, its options.

A task carries the sweep as pickled bytes. Each process unpacks them once, opens the
files itself and keeps what all images share.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from dials_truncfix.correction.anisotropy import AzimuthGrid, azimuth_grid
from dials_truncfix.correction.annuli import Annuli, equal_area_annuli, without
from dials_truncfix.correction.areas import Areas, areas_of_labels, one_area
from dials_truncfix.correction.cells import (
    Lattice,
    cells_of_areas,
    sectors,
    tiles,
    whole_image,
)
from dials_truncfix.correction.mask import find_beam_stop
from dials_truncfix.correction.nodes import Nodes, cell_nodes, radial_nodes
from dials_truncfix.correction.partition import Partition
from dials_truncfix.correction.radial_grid import RadialGrid, radial_grid
from dials_truncfix.correction.regions import Regions, RegionTable, annular_regions
from dials_truncfix.correction.scattering import d_spacing
from dials_truncfix.sweep.options import CorrectionOptions
from dials_truncfix.sweep.source import Frame, SweepSource

Item = TypeVar("Item")

#: The verdict and the gain come from this many images.
SAMPLE_SIZE = 10


@dataclass(frozen=True)
class CellNames:
    """What the cells of a sweep are.

    Attributes
    ----------
    labels : tuple of tuple of int
        Labels that each lies in.
    bounds : ndarray, shape (n_cells, 0), (n_cells, 2) or (n_cells, 4), float64
        See `correction.cells.Lattice`.
    """

    labels: tuple[tuple[int, ...], ...]
    bounds: npt.NDArray[np.float64]


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

    @cached_property
    def radius(self) -> npt.NDArray[np.float32]:
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
        labelled = self.options.labels is not None
        return equal_area_annuli(
            self.radius,
            self.areas.area >= 0 if labelled else self.source.static_mask(),
            self.options.n_annuli,
            self.options.minimum_pixels,
        )

    @cached_property
    def areas(self) -> Areas:
        """Areas with sharp borders, as the user's labels say.

        Raises
        ------
        ValueError
            When the mask leaves no pixel of a label.
        """
        labels, mask = self.options.labels, self.source.static_mask()
        if labels is None:
            return one_area(mask)
        try:
            return areas_of_labels(labels.pixels(), mask, self.options.minimum_pixels)
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
    def lattice(self) -> Lattice:
        """Sectors or tiles of the whole image."""
        shape, options = self.source.shape, self.options
        if options.shape == "sectors":
            return sectors(shape, self.beam_centre, options.n_sectors)
        if options.shape == "tiles":
            return tiles(shape, options.tile_size or max(-(-max(shape) // 4), 1))
        return whole_image(shape)

    @cached_property
    def _divided(self) -> tuple[Partition, Nodes, CellNames]:
        """What follows from the cells, without the cells of all pixels."""
        cells = cells_of_areas(self.lattice, self.areas.area)
        partition = Partition(
            self.annuli, cells, self.radius, self.options.minimum_pixels
        )
        names = CellNames(
            tuple(self.areas.labels[area] for area in cells.area),
            self.lattice.bounds[cells.part],
        )
        return partition, cell_nodes(self.grid, cells), names

    @cached_property
    def has_cells(self) -> bool:
        """Whether annuli are divided further."""
        return self.options.shape != "annuli" or len(self.areas.labels) > 1

    @property
    def nodes(self) -> Nodes:
        """Places at which the distributions of all images are tabulated."""
        return self._divided[1] if self.has_cells else self._radial_nodes

    @cached_property
    def _radial_nodes(self) -> Nodes:
        return radial_nodes(self.grid)

    @property
    def cell_names(self) -> CellNames | None:
        """What the cells are; None where annuli are not divided."""
        return self._divided[2] if self.has_cells else None

    @cached_property
    def azimuths(self) -> AzimuthGrid:
        """Grid of radius and azimuth on which the background's uniformity is tested."""
        return azimuth_grid(self.grid, self.annuli.edges, self.beam_centre)

    def image_regions(self, frame: Frame) -> Regions:
        """Regions of the pixels of one image that can be fitted and corrected.

        They depend on this image only, so that any part of a sweep is corrected
        like the whole.
        """
        excluded = ~frame.valid
        if self.options.beam_stop:
            excluded |= find_beam_stop(frame.pixels, frame.valid, self.radius)
        if self.has_cells:
            return self._divided[0].without(self.radius, excluded)
        return annular_regions(
            without(self.annuli, self.radius, excluded, self.options.minimum_pixels)
        )

    def d_limits(self, regions: RegionTable) -> npt.NDArray[np.float64]:
        """Resolution at the inner and outer limit of each region, Å."""
        return d_spacing(regions.limits, self.source.wavelength)


def pack(imageset: Any, options: CorrectionOptions) -> bytes:
    """Prepare a sweep for the tasks."""
    return pickle.dumps((imageset, options))


@lru_cache(maxsize=1)
def unpack(sweep: bytes) -> SweepWork:
    """Open a packed sweep; a process keeps the last one."""
    return SweepWork(*pickle.loads(sweep))


def blocks(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """Cut a sequence into consecutive blocks of at most `size`."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def sample(n_images: int) -> list[int]:
    """Positions of a few images spread over the sweep."""
    n = min(n_images, SAMPLE_SIZE)
    return sorted({round(i) for i in np.linspace(0, n_images - 1, n)})
