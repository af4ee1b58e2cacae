"""Symmetric 3 x 3 matrices, many at once, as their six upper elements.

Written out element by element: unlike a batched library call, what a row gives never
depends on the other rows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

ELEMENTS = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))
_SMALLEST_DIAGONAL = 1e-30
_SMALLEST_PIVOT = 1e-9


def multiply(matrix: Array, vector: Array) -> Array:
    """Return the products of (6, n) matrices with (3, n) vectors, (3, n)."""
    a11, a12, a13, a22, a23, a33 = matrix
    v1, v2, v3 = vector
    product = np.empty_like(vector)
    product[0] = a11 * v1 + a12 * v2 + a13 * v3
    product[1] = a12 * v1 + a22 * v2 + a23 * v3
    product[2] = a13 * v1 + a23 * v2 + a33 * v3
    return product


def dot(a: Array, b: Array) -> Array:
    """Return the scalar products of (3, n) vectors, (n,)."""
    return np.asarray(a[0] * b[0] + a[1] * b[1] + a[2] * b[2])


def outer(vector: Array) -> Array:
    """Return the products of (3, n) vectors with themselves, (6, n)."""
    return np.stack([vector[i] * vector[j] for i, j in ELEMENTS])


def is_positive(matrix: Array, scale: Array) -> NDArray[np.bool_]:
    """Tell whether matrices are safely positive definite.

    Parameters
    ----------
    matrix : NDArray[np.float64]
        (6, n) elements.
    scale : NDArray[np.float64]
        (6, n) positive definite matrices whose diagonal sets the scale.

    Returns
    -------
    NDArray[np.bool_]
        (n,)
    """
    a11, a12, a13, a22, a23, a33 = _scaled(matrix, scale)[0]
    first = a11 > _SMALLEST_PIVOT
    a11 = np.where(first, a11, 1.0)
    d2 = a22 - a12 * a12 / a11
    second = d2 > _SMALLEST_PIVOT
    d2 = np.where(second, d2, 1.0)
    l32 = a23 - a13 * a12 / a11
    d3 = a33 - a13 * a13 / a11 - l32 * l32 / d2
    return np.asarray(first & second & (d3 > _SMALLEST_PIVOT))


def bounded_newton_step(
    matrix: Array, gradient: Array, damping: Array, low: Array, high: Array
) -> tuple[Array, Array]:
    """Minimise quadratic models with the third element of the step bounded.

    The damping adds a multiple of the diagonal. Factors L D Lᵀ with the third
    variable last, so that clipping it leaves the other two a back substitution to
    the minimum along the bound.

    Parameters
    ----------
    matrix : NDArray[np.float64]
        (6, n) positive definite matrices.
    gradient : NDArray[np.float64]
        (3, n) gradients.
    damping : NDArray[np.float64]
        (n,) multiples of the diagonal, positive.
    low, high : NDArray[np.float64]
        (n,) bounds of the third element of the step.

    Returns
    -------
    tuple of NDArray[np.float64]
        (3, n) steps and (n,) decreases that the damped model predicts.
    """
    (a11, a12, a13, a22, a23, a33), scale = _scaled(matrix, matrix)
    a11, a22, a33 = (a * (1.0 + damping) for a in (a11, a22, a33))
    g1, g2, g3 = -gradient * scale
    l21 = a12 / a11
    l31 = a13 / a11
    d2 = a22 - l21 * a12
    l32 = (a23 - l31 * a12) / d2
    d3 = np.maximum(a33 - l31 * a13 - l32 * l32 * d2, 1e-3 * damping)
    y2 = g2 - l21 * g1
    y3 = g3 - l31 * g1 - l32 * y2
    x3 = np.minimum(np.maximum(y3 / d3, low / scale[2]), high / scale[2])
    x2 = y2 / d2 - l32 * x3
    x1 = g1 / a11 - l21 * x2 - l31 * x3
    decrease = 0.5 * (g1 * g1 / a11 + y2 * y2 / d2) + x3 * (y3 - 0.5 * d3 * x3)
    return np.stack((x1, x2, x3)) * scale, decrease


def _scaled(matrix: Array, reference: Array) -> tuple[Array, Array]:
    """Scale by the diagonal of the reference, which becomes 1; (6, n) and (3, n)."""
    diagonal = np.maximum(reference[[0, 3, 5]], _SMALLEST_DIAGONAL)
    scale = 1.0 / np.sqrt(diagonal)
    scaled = np.stack(
        [
            matrix[element] * scale[i] * scale[j]
            for element, (i, j) in enumerate(ELEMENTS)
        ]
    )
    return scaled, scale
