"""What the tasks on single images share: the open sweep, its regions, its options.

A task carries the sweep as pickled bytes. Each process unpacks them once, opens the
files itself and keeps what all images share.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from dials_truncfix.correction.annuli import Annuli, equal_area_annuli, without
from dials_truncfix.correction.mask import find_beam_stop
from dials_truncfix.correction.nodes import Nodes, radial_nodes
from dials_truncfix.correction.radial_grid import RadialGrid, radial_grid
from dials_truncfix.correction.regions import Regions, RegionTable, annular_regions
from dials_truncfix.correction.scattering import d_spacing
from dials_truncfix.sweep.options import CorrectionOptions
from dials_truncfix.sweep.source import Frame, SweepSource

Item = TypeVar("Item")

#: The verdict and the gain come from this many images.
SAMPLE_SIZE = 10


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
        return equal_area_annuli(
            self.radius,
            self.source.static_mask(),
            self.options.n_annuli,
            self.options.minimum_pixels,
        )

    @cached_property
    def nodes(self) -> Nodes:
        """Places at which the distributions of all images are tabulated."""
        return radial_nodes(self.grid)

    def image_annuli(self, frame: Frame) -> Regions:
        """Regions of the pixels of one image that can be fitted and corrected.

        They depend on this image only, so that any part of a sweep is corrected
        like the whole.
        """
        excluded = ~frame.valid
        if self.options.beam_stop:
            excluded |= find_beam_stop(frame.pixels, frame.valid, self.radius)
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
