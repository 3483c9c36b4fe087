"""Rasterizing Gaussians on the CPU with the meaning and argument names of `gsplat.rasterization` (forward only)."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

import numpy as np

from recon.errors import InvalidScene
from recon.raster.bands import row_bands, run_all
from recon.raster.blend import Sorted, blend_band, front_to_back
from recon.raster.projection import EPS2D_PX2, FAR_PLANE_M, NEAR_PLANE_M, Ellipses, project
from recon.spherical_harmonics import MAX_DEGREE, sh_colors

RenderMode = Literal["RGB", "D", "ED", "RGB+D", "RGB+ED"]
MODES: tuple[RenderMode, ...] = ("RGB", "D", "ED", "RGB+D", "RGB+ED")
_CHANNELS_AT_ONCE = 3


def rasterization(
    means: np.ndarray,
    quats: np.ndarray,
    scales: np.ndarray,
    opacities: np.ndarray,
    colors: np.ndarray,
    viewmats: np.ndarray,
    Ks: np.ndarray,
    width: int,
    height: int,
    near_plane: float = NEAR_PLANE_M,
    far_plane: float = FAR_PLANE_M,
    eps2d: float = EPS2D_PX2,
    sh_degree: int | None = None,
    backgrounds: np.ndarray | None = None,
    render_mode: RenderMode = "RGB",
    threads: int = 1,
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Pictures (C, H, W, D), alphas (C, H, W, 1), float32, and info of N Gaussians in C cameras.

    Args:
        means, quats, scales, opacities: (N, 3) metres, (N, 4) w,x,y,z, (N, 3) linear metres, (N,) in [0, 1].
        colors: (N, D) values, or SH coefficients (N, K, 3) when `sh_degree` is given.
        viewmats, Ks: world-to-camera (C, 4, 4) and intrinsics in pixels (C, 3, 3).
        width, height: picture size in pixels.
        near_plane, far_plane: metres; Gaussians outside are not drawn.
        eps2d: added to the 2D covariances, px^2.
        sh_degree: 0 to 3, or None when `colors` are final.
        backgrounds: (C, D) colours behind everything; black when None. Depth has none.
        render_mode: D is the accumulated depth sum(w z), ED the expected depth sum(w z) / sum(w); with RGB+
            the depth is the last channel.
        threads: image bands drawn at the same time.

    Raises:
        InvalidScene: an array has the wrong shape; the message names it.
    """
    check_shapes(means, quats, scales, opacities, colors, viewmats, Ks, sh_degree, render_mode)
    pictures, alphas, seen = [], [], []
    for camera in range(len(viewmats)):
        ellipses = project(
            means, quats, scales, viewmats[camera], Ks[camera], width, height, (eps2d, near_plane, far_plane), opacities
        )
        values = _camera_colors(colors, means, viewmats[camera], sh_degree)
        picture, depth, alpha = _draw(ellipses, values, width, height, threads)
        if backgrounds is not None:
            picture = picture + (1.0 - alpha)[..., None] * np.asarray(backgrounds[camera], np.float32)
        pictures.append(_compose(picture, depth, alpha, render_mode))
        alphas.append(alpha[..., None])
        seen.append(ellipses)
    info = {
        "means2d": np.stack([e.means2d for e in seen]),
        "conics": np.stack([e.conics for e in seen]),
        "depths": np.stack([e.depths for e in seen]),
        "radii": np.stack([e.radii for e in seen]),
        "width": width,
        "height": height,
        "n_cameras": len(viewmats),
    }
    return np.stack(pictures), np.stack(alphas), info


def _camera_colors(colors: np.ndarray, means: np.ndarray, viewmat: np.ndarray, sh_degree: int | None) -> np.ndarray:
    if sh_degree is None:
        return np.asarray(colors, np.float32)
    position = -np.asarray(viewmat[:3, :3]).T @ viewmat[:3, 3]
    return sh_colors(sh_degree, np.asarray(colors, np.float64), means - position).astype(np.float32)


def _draw(
    ellipses: Ellipses, values: np.ndarray, width: int, height: int, threads: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Colours (H, W, D), accumulated depth (H, W) and alpha (H, W); three colour channels are drawn at once."""
    seen = front_to_back(ellipses)
    bands = row_bands(seen.geometry, height, threads)
    channels = values.shape[1]
    picture = np.zeros((height, width, channels), np.float32)
    depth = np.zeros((height, width), np.float32)
    transmittance = np.ones((height, width), np.float32)
    for first in range(0, max(channels, 1), _CHANNELS_AT_ONCE):
        part = values[:, first : first + _CHANNELS_AT_ONCE]
        image = np.zeros((height, width, 4), np.float32)
        transmittance = np.ones((height, width), np.float32)
        known = (seen.geometry, features_of(seen, part, ellipses.depths))
        run_all([partial(blend_band, *known, *band, image, transmittance) for band in bands])
        picture[:, :, first : first + part.shape[1]] = image[:, :, : part.shape[1]]
        depth = image[:, :, 3]
    return picture, depth, 1.0 - np.abs(transmittance)


def features_of(seen: Sorted, values: np.ndarray, depths: np.ndarray) -> np.ndarray:
    """What is blended, (M, 4): up to three values of each Gaussian and its depth, in the order of `seen`."""
    features = np.zeros((len(seen.order), 4), np.float32)
    features[:, : values.shape[1]] = values[seen.order]
    features[:, 3] = depths[seen.order]
    return features


def _compose(picture: np.ndarray, depth: np.ndarray, alpha: np.ndarray, mode: RenderMode) -> np.ndarray:
    if mode == "RGB":
        return picture
    if mode.endswith("ED"):
        depth = depth / np.maximum(alpha, 1e-10)
    if mode.startswith("RGB"):
        return np.concatenate([picture, depth[..., None]], axis=-1)
    return depth[..., None]


def check_shapes(
    means: Any,
    quats: Any,
    scales: Any,
    opacities: Any,
    colors: Any,
    viewmats: Any,
    Ks: Any,
    sh_degree: int | None,
    mode: str,
) -> None:
    """Raises InvalidScene, naming it, where an argument (arrays or tensors) has another shape than it must."""
    count = len(means)
    shapes = {"means": (count, 3), "quats": (count, 4), "scales": (count, 3), "opacities": (count,)}
    arrays = {"means": means, "quats": quats, "scales": scales, "opacities": opacities}
    for name, expected in shapes.items():
        if tuple(arrays[name].shape) != expected:
            raise InvalidScene(f"{name} must have shape {expected}, got {tuple(arrays[name].shape)}")
    if sh_degree is None:
        good = colors.ndim == 2 and len(colors) == count
    else:
        if not 0 <= sh_degree <= MAX_DEGREE:
            raise InvalidScene(f"sh_degree must be within 0 to {MAX_DEGREE}, got {sh_degree}")
        good = colors.ndim == 3 and tuple(colors.shape[::2]) == (count, 3) and colors.shape[1] >= (sh_degree + 1) ** 2
    if not good:
        expected_colors = f"(N, D), or (N, K, 3) with sh_degree; N is {count}"
        raise InvalidScene(f"colors must be {expected_colors}, got {tuple(colors.shape)}")
    if viewmats.ndim != 3 or tuple(viewmats.shape[1:]) != (4, 4) or tuple(Ks.shape) != (len(viewmats), 3, 3):
        got = f"{tuple(viewmats.shape)} and {tuple(Ks.shape)}"
        raise InvalidScene(f"viewmats and Ks must be (C, 4, 4) and (C, 3, 3), got {got}")
    if mode not in MODES:
        raise InvalidScene(f"render_mode must be one of {', '.join(MODES)}, got {mode!r}")
