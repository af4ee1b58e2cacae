"""Quantile tables of what a camera recorded as zero."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dials_truncfix.correction.draws.quantiles import (
    QuantileTables,
    log_cells,
    tables_of_quantiles,
)
from dials_truncfix.correction.joint_camera.camera_model import CameraModel
from dials_truncfix.correction.joint_camera.camera_zeros import (
    recorded_moments,
    zero_law,
)

Array = NDArray[np.float64]

__all__ = ["camera_tables", "recorded_moments", "zero_law"]


def camera_tables(model: CameraModel, rate: Array, n: int = 4096) -> QuantileTables:
    """Tabulate the quantiles of the readings that were recorded as zero.

    Parameters
    ----------
    model : CameraModel
        The camera.
    rate : NDArray[np.float64]
        (n_rows,) rates, e⁻.
    n : int
        Cells of each table.

    Returns
    -------
    QuantileTables
        One row per rate, with the rate in the place of the radius. A row does not
        depend on the others.

    Raises
    ------
    ValueError
        For rates that are negative or no numbers, or n below 2.
    """
    if n < 2:
        raise ValueError(f"a quantile table needs at least 2 cells, not {n}")
    rate = np.atleast_1d(np.asarray(rate, dtype=np.float64))
    law = zero_law(model, rate)
    coarse, tail = (law.quantiles(log_u) for log_u in log_cells(n))
    return tables_of_quantiles(rate, coarse, tail, model.threshold)
