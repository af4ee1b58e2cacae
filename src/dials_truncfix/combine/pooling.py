"""Pool estimates made from independently completed data.

Each replicate gives an estimate Q and its variance U. Their mean is the pooled estimate.
W, the mean of U, and B, the variance of Q between the replicates, give its variance.

Rubin's rule is W + (1 + 1/m) B: what was lost is unknown, so the error of the pooled
estimate exceeds that of complete data. It holds when the draws share the analyst's
ignorance of the quantity that is estimated. Draws from the histogram of a whole annulus
do not: their law is known far better than the intensity of any reflection is. A completed
image then is as good as an untruncated one, Q of a single replicate has the variance W,
and the mean over m of them loses part of the scatter of the draws: W - (1 - 1/m) B. Rubin
(1996) and Meng (1994) discuss the case, in which his rule is on the safe side.

References
----------
Rubin, D. B. (1987). Multiple Imputation for Nonresponse in Surveys, ch. 3. Wiley.
doi:10.1002/9780470316696
Meng, X.-L. (1994). Statist. Sci. 9, 538-558. doi:10.1214/ss/1177010269
Rubin, D. B. (1996). J. Am. Stat. Assoc. 91, 473-489. doi:10.2307/2291635
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

RULES = ("reduced", "rubin")


@dataclass(frozen=True)
class Pooled:
    """Pooled estimates, one for each reflection; NaN where there is none.

    Attributes
    ----------
    n : ndarray of int, shape (n,)
        Replicates that give an estimate.
    value : ndarray, shape (n,)
        Mean over the replicates.
    within : ndarray, shape (n,)
        Mean of their variances, W.
    between : ndarray, shape (n,)
        Variance of their values, B.
    variance : ndarray, shape (n,)
        Variance of the mean.
    degrees_of_freedom : ndarray, shape (n,)
        With which the variance is known; infinite where the replicates agree.
    """

    n: IntArray
    value: FloatArray
    within: FloatArray
    between: FloatArray
    variance: FloatArray
    degrees_of_freedom: FloatArray

    @property
    def pooled(self) -> npt.NDArray[np.bool_]:
        """Where there is an estimate, shape (n,)."""
        return np.isfinite(self.variance)

    def select(self, chosen: npt.NDArray[np.bool_]) -> Pooled:
        """Rows for which `chosen` is true."""
        return Pooled(*(getattr(self, f.name)[chosen] for f in fields(self)))


def pool(
    values: npt.ArrayLike,
    variances: npt.ArrayLike,
    rule: str = "reduced",
    min_replicates: int = 2,
) -> Pooled:
    """Pool the estimates of several replicates.

    Parameters
    ----------
    values, variances : array_like, shape (n, n_replicates)
        Estimates and their variances; NaN where a replicate has none.
    rule : {'reduced', 'rubin'}
        'reduced' for draws whose law is known, W - (1 - 1/m) B; 'rubin' for draws
        that depend on the quantity estimated, W + (1 + 1/m) B.
    min_replicates : int
        Estimates of fewer replicates are not pooled; at least 2.

    Returns
    -------
    Pooled

    Raises
    ------
    ValueError
        If the shapes differ, there are fewer than two replicates or `rule` is unknown.

    Notes
    -----
    Where the replicates scatter by more than W, the 'reduced' variance is that of the
    mean of m independent estimates, B/m. The degrees of freedom follow Rubin (1987),
    eq. 3.1.6: those of B, m - 1, times the square of the pooled variance over the part
    of it that B makes.
    """
    value, variance = np.asarray(values, float), np.asarray(variances, float)
    if rule not in RULES:
        raise ValueError(f"rule must be one of {', '.join(RULES)}, not {rule!r}")
    if value.shape != variance.shape or value.ndim != 2:
        raise ValueError(f"values {value.shape} and variances {variance.shape} differ")
    if value.shape[1] < 2 or min_replicates < 2:
        raise ValueError("the scatter of the draws takes two replicates at least")
    there = np.isfinite(value) & np.isfinite(variance)
    n = there.sum(axis=1)
    m = np.where(n >= min_replicates, n, np.nan)
    mean = np.where(there, value, 0.0).sum(axis=1) / m
    within = np.where(there, variance, 0.0).sum(axis=1) / m
    deviation = np.where(there, value - mean[:, None], 0.0)
    between = (deviation**2).sum(axis=1) / (m - 1)
    if rule == "rubin":
        part = (1 + 1 / m) * between
        total = within + part
    else:
        # whatever W says, a replicate scatters by B at least
        total = np.maximum(within, between) - (1 - 1 / m) * between
        part = np.where(between > within, 1 / m, 1 - 1 / m) * between
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = np.where(part > 0, (m - 1) * (total / part) ** 2, np.inf)
    freedom[np.isnan(m)] = np.nan
    return Pooled(n, mean, within, between, total, freedom)


def missing_information(within: float, between: float, n_replicates: int) -> float:
    """Estimate which fraction of the information on the mean was lost.

    Parameters
    ----------
    within, between : float
        W and B, summed or averaged over reflections alike.
    n_replicates : int
        Number of replicates, m.

    Returns
    -------
    float
        (1 + 1/m) B / (W + (1 + 1/m) B), Rubin (1987), eq. 3.1.9 without the term in the
        degrees of freedom, which are many for the sums over a shell.
    """
    part = (1 + 1 / n_replicates) * between
    return float(part / (within + part)) if within + part > 0 else 0.0
