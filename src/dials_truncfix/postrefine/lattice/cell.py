"""Cells of lattices as strains that their space group allows.

A cell is changed without turning the crystal, A = R_y R_x (1 + ε) A_ref with a symmetric
strain ε = Σ e_k E_k of the reciprocal lattice. With M_k the directions in which the symmetry
lets the reciprocal metric G* = AᵀA change,

    E_k = ½ A_ref⁻ᵀ M_k A_ref⁻¹,

and as (1 + ε)² has the symmetry that ε has, so has the cell, however large ε.

Symmetry through cctbx: Grosse-Kunstleve, R. W. & Adams, P. D. (2002). J. Appl. Cryst. 35,
477-480. https://doi.org/10.1107/S0021889802008580
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cctbx import crystal, sgtbx

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class CellFreedom:
    """How the cells of a crystal form may differ from their median.

    Attributes
    ----------
    metric_slopes : ndarray, shape (n_strains, 3, 3)
        Directions M_k in which the reciprocal metric can change, Å⁻². A strain of 1 changes
        the length of the median cell by itself along the direction where it changes most.
    median_metric : ndarray, shape (3, 3)
        Reciprocal metric G* of the median cell, Å⁻².
    operators : ndarray, shape (n_operators, 3, 3), int
        Rotations of the space group, as they act on Miller indices.
    """

    metric_slopes: FloatArray
    median_metric: FloatArray
    operators: npt.NDArray[np.int64]

    @property
    def n_strains(self) -> int:
        """Free parameters of the cell, 1 (cubic) to 6 (triclinic)."""
        return len(self.metric_slopes)

    def strains(self, setting: FloatArray) -> FloatArray:
        """Strains E_k of lattices.

        Parameters
        ----------
        setting : ndarray, shape (n_lattices, 3, 3)
            A, reciprocal axes as columns, in any frame, Å⁻¹.

        Returns
        -------
        ndarray, shape (n_lattices, n_strains, 3, 3)
            Symmetric tensors in the same frame.
        """
        inverse = np.linalg.inv(setting)[:, None]
        return np.asarray(
            0.5 * inverse.transpose(0, 1, 3, 2) @ self.metric_slopes @ inverse
        )

    def median(self, setting: FloatArray) -> FloatArray:
        """Strains that give lattices the median cell, shape (n_lattices, n_strains)."""
        stretch = _stretch(setting, self.median_metric) - np.eye(3)
        tensors = self.strains(setting)
        n, k = tensors.shape[:2]
        flat = tensors.reshape(n, k, 9)
        products = flat @ flat.transpose(0, 2, 1)
        right = flat @ stretch.reshape(n, 9, 1)
        return np.asarray(np.linalg.solve(products, right)[:, :, 0])

    def conforming(self, setting: FloatArray) -> FloatArray:
        """Strain lattices such that their cells have the symmetry of the space group.

        Parameters
        ----------
        setting : ndarray, shape (n_lattices, 3, 3)
            A, Å⁻¹.

        Returns
        -------
        ndarray, shape (n_lattices, 3, 3)
            The same where the cells had it.
        """
        metric = setting.transpose(0, 2, 1) @ setting
        mean = np.zeros_like(metric)
        for operator in self.operators:
            mean += operator.T @ metric @ operator
        mean /= len(self.operators)
        return np.asarray(_stretch(setting, mean) @ setting)


def cell_freedom(symmetry: crystal.symmetry) -> CellFreedom:
    """Find out how the cells of a crystal form may differ.

    Parameters
    ----------
    symmetry : cctbx.crystal.symmetry
        Median cell and space group.
    """
    group = symmetry.space_group()
    constraints = sgtbx.tensor_rank_2_constraints(
        space_group=group, reciprocal_space=True
    )
    n = constraints.n_independent_params()
    slopes = np.array(
        [_as_matrix(constraints.all_params(tuple(row))) for row in np.eye(n).tolist()]
    )
    setting = np.reshape(symmetry.unit_cell().fractionalization_matrix(), (3, 3)).T
    inverse = np.linalg.inv(setting)
    # orthogonal in the Cartesian frame, so that no direction is restrained twice
    flat = (0.5 * inverse.T @ slopes @ inverse).reshape(n, 9)
    tensors = np.linalg.qr(flat.T)[0].T.reshape(n, 3, 3)
    values = np.linalg.eigvalsh(tensors)
    largest = np.where(-values[:, 0] > values[:, 2], values[:, 0], values[:, 2])
    tensors /= largest[:, None, None]
    # inversion and centring leave a metric as it is
    operators = [
        np.reshape(operator.r().as_double(), (3, 3)).T
        for operator in group.build_derived_point_group().all_ops()
    ]
    return CellFreedom(
        metric_slopes=2.0 * setting.T @ tensors @ setting,
        median_metric=setting.T @ setting,
        operators=np.rint(operators).astype(np.int64),
    )


def _as_matrix(elements: tuple[float, ...]) -> FloatArray:
    """Symmetric tensor from the order 11, 22, 33, 12, 13, 23 of cctbx."""
    a, b, c, d, e, f = elements
    return np.array([[a, d, e], [d, b, f], [e, f, c]])


def _stretch(setting: FloatArray, metric: FloatArray) -> FloatArray:
    """Symmetric tensors T such that T A has the metric wanted, shape (n, 3, 3)."""
    inverse = np.linalg.inv(setting)
    squared = inverse.transpose(0, 2, 1) @ metric @ inverse
    values, vectors = np.linalg.eigh(squared)
    return np.asarray((vectors * np.sqrt(values)[:, None]) @ vectors.transpose(0, 2, 1))


def strained(
    setting: FloatArray, tensors: FloatArray, amounts: FloatArray
) -> FloatArray:
    """Strain lattices, (1 + Σ e_k E_k) A.

    Parameters
    ----------
    setting : ndarray, shape (n_lattices, 3, 3)
        A, Å⁻¹.
    tensors : ndarray, shape (n_lattices, n_strains, 3, 3)
        E_k in the same frame.
    amounts : ndarray, shape (n_lattices, n_strains)
        e_k.
    """
    strain = np.sum(amounts[:, :, None, None] * tensors, axis=1)
    return np.asarray(setting + strain @ setting)


def cells(
    freedom: CellFreedom,
    setting: FloatArray,
    amounts: FloatArray,
    covariance: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Cells of strained lattices, with standard uncertainties.

    Parameters
    ----------
    freedom : CellFreedom
        Of the crystal form.
    setting : ndarray, shape (n_lattices, 3, 3)
        A before straining, Å⁻¹.
    amounts : ndarray, shape (n_lattices, n_strains)
        e_k.
    covariance : ndarray, shape (n_lattices, n_strains, n_strains)
        Of these.

    Returns
    -------
    cells, uncertainties : ndarray, shape (n_lattices, 6)
        a, b, c (Å), α, β, γ (degrees). What the symmetry fixes has an uncertainty of 0.
    """
    tensors = freedom.strains(setting)
    direct = np.linalg.inv(strained(setting, tensors, amounts))
    metric = direct @ direct.transpose(0, 2, 1)
    # D = A⁻¹ has dD = -D dA D
    change = -(direct[:, None] @ tensors @ setting[:, None] @ metric[:, None])
    slopes = change + change.transpose(0, 1, 3, 2)
    lengths = np.sqrt(np.einsum("ljj->lj", metric))
    length_slopes = np.einsum("lkjj->lkj", slopes) / (2.0 * lengths[:, None])
    first, second = np.array([1, 2, 0]), np.array([2, 0, 1])
    size = lengths[:, first] * lengths[:, second]
    cosine = metric[:, first, second] / size
    relative = length_slopes / lengths[:, None]
    cosine_slopes = slopes[:, :, first, second] / size[:, None]
    cosine_slopes -= cosine[:, None] * (relative[:, :, first] + relative[:, :, second])
    angle_slopes = -cosine_slopes / np.sqrt(1.0 - cosine**2)[:, None]
    every = np.concatenate([length_slopes, np.degrees(angle_slopes)], axis=2)
    variance = np.sum(every * (covariance @ every), axis=1)
    values = np.concatenate([lengths, np.degrees(np.arccos(cosine))], axis=1)
    # rounding leaves angles that the symmetry fixes with slopes near 1e-14
    variance[variance < (1e-12 * values) ** 2] = 0.0
    return values, np.sqrt(variance)


def b_covariance(
    freedom: CellFreedom, b: FloatArray, covariance: FloatArray
) -> FloatArray:
    """Covariance of the elements of B, as dxtbx keeps the uncertainties of a cell.

    Parameters
    ----------
    freedom : CellFreedom
        Of the crystal form.
    b : ndarray, shape (3, 3)
        Lower triangular B of a lattice, Å⁻¹.
    covariance : ndarray, shape (n_strains, n_strains)
        Of its strains.

    Returns
    -------
    ndarray, shape (9, 9)
        Å⁻².
    """
    inverse = np.linalg.inv(b)
    # B changes by L B with L + Lᵀ = B⁻ᵀ dG* B⁻¹ and L triangular
    change = inverse.T @ freedom.metric_slopes @ inverse
    lower = np.tril(change, -1) + 0.5 * change * np.eye(3)
    slopes = (lower @ b).reshape(-1, 9)
    return np.asarray(slopes.T @ covariance @ slopes)
