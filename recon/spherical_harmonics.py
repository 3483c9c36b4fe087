"""Real spherical harmonics in 3DGS's order and signs (Sloan 2013, as gsplat evaluates them)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Float

Values = Any
"""A numpy array or a torch tensor."""

SH_C0 = 0.28209479177387814
MAX_DEGREE = 3


def sh_basis(degree: int, directions: Float[np.ndarray, "N 3"]) -> Float[np.ndarray, "N K"]:
    """Basis values (N, (degree+1)^2) for unit directions (N, 3), for degrees 0 to 3."""
    columns = sh_basis_of(degree, directions[:, 0], directions[:, 1], directions[:, 2])
    return np.asarray(np.stack(list(columns), axis=1))


def sh_basis_of(degree: int, x: Values, y: Values, z: Values) -> Iterator[Values]:
    """Basis values, one array or tensor after the other, of the coordinates of unit directions."""
    yield SH_C0 + 0.0 * x
    if degree >= 1:
        yield from (-0.48860251190292 * y, 0.48860251190292 * z, -0.48860251190292 * x)
    if degree >= 2:
        yield 1.092548430592079 * x * y
        yield -1.092548430592079 * y * z
        yield 0.9461746957575601 * z * z - 0.3153915652525201
        yield -1.092548430592079 * x * z
        yield 0.5462742152960395 * (x * x - y * y)
    if degree >= 3:
        yield -0.5900435899266435 * y * (3 * x * x - y * y)
        yield 2.890611442640554 * x * y * z
        yield -0.4570457994644657 * y * (5 * z * z - 1)
        yield 0.3731763325901154 * z * (5 * z * z - 3)
        yield -0.4570457994644657 * x * (5 * z * z - 1)
        yield 1.445305721320277 * z * (x * x - y * y)
        yield -0.5900435899266435 * x * (x * x - 3 * y * y)


def sh_colors(
    degree: int, coefficients: Float[np.ndarray, "N K 3"], directions: Float[np.ndarray, "N 3"]
) -> Float[np.ndarray, "N 3"]:
    """Colours (N, 3) seen from `directions` (camera to splat, any length): max(0, 0.5 + sum of basis times SH)."""
    unit = directions / np.maximum(np.linalg.norm(directions, axis=1, keepdims=True), 1e-12)
    basis = sh_basis(degree, unit)
    colors = 0.5 + np.einsum("nk,nkc->nc", basis, coefficients[:, : basis.shape[1]])
    return np.asarray(np.maximum(colors, 0.0))
