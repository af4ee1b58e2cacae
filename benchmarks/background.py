"""Background and its scatter in the annuli of a corrected sweep, against the truth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dxtbx.model.experiment_list import ExperimentList

from dials_truncfix.correction.regions.scattering import d_spacing
from dials_truncfix.sweep.options import CorrectionOptions
from dials_truncfix.sweep.source import SweepSource
from dials_truncfix.sweep.work import SweepWork

HEADER = [
    "annulus (Å)",
    "zeros (%)",
    "error of mean\ntruncated (ADU)",
    "error of mean\ncorrected (ADU)",
    "sd / true sd\ntruncated",
    "sd / true sd\ncorrected",
]


def background_rows(truncated: Path, corrected: Path, untruncated: Path) -> list[Any]:
    """Compare the pixels of three forms of one sweep, annulus by annulus.

    The darker 97 % of the true pixels of an annulus count, so that its spots do not hide
    the scatter of its background.

    Parameters
    ----------
    truncated, corrected, untruncated : pathlib.Path
        Experiments of the three forms.

    Returns
    -------
    list of list of str
        A row for each annulus, from the centre outwards.
    """
    imagesets = [
        ExperimentList.from_file(str(path))[0].imageset
        for path in (truncated, corrected, untruncated)
    ]
    work = SweepWork(imagesets[0], CorrectionOptions())
    sources = [SweepSource(imageset) for imageset in imagesets]
    d = d_spacing(work.annuli.edges, work.source.wavelength)
    pixels: list[list[list[npt.NDArray[np.int32]]]] = [
        [[] for _ in range(work.annuli.n_rings)] for _ in sources
    ]
    for index in range(len(work.source)):
        labels = work.image_regions(work.source.read(index)).labels
        for form, source in zip(pixels, sources):
            image = source.read(index).pixels
            for ring, values in enumerate(form):
                values.append(image[labels == ring])
    rows = []
    for ring in range(work.annuli.n_rings):
        before, after, true = (np.concatenate(form[ring]) for form in pixels)
        dark = true <= np.quantile(true, 0.97)
        before, after, true = before[dark], after[dark], true[dark]
        outer = "beam" if d[ring] > 100 else f"{d[ring]:.2f}"
        rows.append(
            [
                f"{outer}-{d[ring + 1]:.2f}",
                f"{100 * np.mean(before == 0):.1f}",
                f"{before.mean() - true.mean():+.3f}",
                f"{after.mean() - true.mean():+.3f}",
                f"{before.std() / true.std():.3f}",
                f"{after.std() / true.std():.3f}",
            ]
        )
    return rows
