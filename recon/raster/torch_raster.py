"""`rasterization` for torch tensors, differentiable in every value of the Gaussians, with gsplat's argument names.

Tensors on a CUDA device are drawn by gsplat, those on the CPU by the Numba kernels of this folder.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from recon.errors import InvalidScene
from recon.raster.bands import row_bands, run_all
from recon.raster.blend import blend_band, front_to_back
from recon.raster.blend_gradient import GRADIENTS, blend_band_gradient
from recon.raster.projection import EPS2D_PX2, FAR_PLANE_M, NEAR_PLANE_M, Ellipses, Motion, camera_numbers, project
from recon.raster.projection_gradient import GaussianGradients, project_gradient
from recon.raster.rasterize import RenderMode, check_shapes, features_of
from recon.scene import TEMPORAL_CUTOFF
from recon.spherical_harmonics import sh_basis_of

COLORS = 3


@dataclass(frozen=True, eq=False)
class TorchMotion:
    """`recon.raster.projection.Motion` with tensors; gradients reach velocities, centre times and widths."""

    velocities: Float[Tensor, "N 3"]
    time_centers: Float[Tensor, " N"]
    time_widths: Float[Tensor, " N"]
    time_starts: Float[Tensor, " N"]
    time_ends: Float[Tensor, " N"]
    time_s: float


@dataclass(frozen=True, eq=False)
class View:
    """One camera as the kernels take it, and how many threads draw."""

    viewmat: np.ndarray
    K: np.ndarray
    width: int
    height: int
    planes: tuple[float, float, float]
    threads: int

    @property
    def numbers(self) -> np.ndarray:
        """See `camera_numbers`."""
        return camera_numbers(self.viewmat, self.K, self.width, self.height, self.planes)


def rasterization(
    means: Float[Tensor, "N 3"],
    quats: Float[Tensor, "N 4"],
    scales: Float[Tensor, "N 3"],
    opacities: Float[Tensor, " N"],
    colors: Float[Tensor, "N D"] | Float[Tensor, "N K 3"],
    viewmats: Float[Tensor, "C 4 4"],
    Ks: Float[Tensor, "C 3 3"],
    width: int,
    height: int,
    near_plane: float = NEAR_PLANE_M,
    far_plane: float = FAR_PLANE_M,
    eps2d: float = EPS2D_PX2,
    sh_degree: int | None = None,
    backgrounds: Float[Tensor, "C D"] | None = None,
    render_mode: RenderMode = "RGB",
    threads: int = 1,
    motion: TorchMotion | None = None,
) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """Pictures (C, H, W, D), alphas (C, H, W, 1) and info of N Gaussians in C cameras (`recon.raster.rasterization`).

    Args:
        means, quats, scales, opacities, colors: differentiable; see `recon.raster.rasterization`.
        motion: how the Gaussians move and fade, and when the cameras look; differentiable too.
        threads: bands of a picture that are drawn at the same time, on the CPU.

    Raises:
        InvalidScene: an array has the wrong shape; the message names it.
    """
    check_shapes(means, quats, scales, opacities, colors, viewmats, Ks, sh_degree, render_mode)
    if means.is_cuda:
        options: dict[str, Any] = {"near_plane": near_plane, "far_plane": far_plane, "eps2d": eps2d}
        options |= {"sh_degree": sh_degree, "backgrounds": backgrounds, "render_mode": render_mode}
        gaussians = (means, quats, scales, opacities, colors)
        return _by_gsplat(gaussians, (viewmats, Ks), (width, height), motion, **options)
    drawn = []
    for camera in range(len(viewmats)):
        planes = (eps2d, near_plane, far_plane)
        view = View(viewmats[camera].numpy(), Ks[camera].numpy(), width, height, planes, threads)
        values = colors if sh_degree is None else seen_colors(colors, means, viewmats[camera], sh_degree, motion)
        image, alpha, ellipses = _draw(view, (means, quats, scales, opacities), values, motion)
        background = None if backgrounds is None else backgrounds[camera]
        drawn.append((composed(image, alpha, background, render_mode), alpha[..., None], ellipses))
    pictures, alphas, seen = zip(*drawn, strict=True)
    names = ("means2d", "conics", "depths", "radii")
    info: dict[str, Any] = {name: torch.from_numpy(np.stack([getattr(e, name) for e in seen])) for name in names}
    info |= {"width": width, "height": height, "n_cameras": len(viewmats)}
    return torch.stack(pictures), torch.stack(alphas), info


def seen_colors(
    coefficients: Float[Tensor, "N K 3"],
    means: Float[Tensor, "N 3"],
    viewmat: Float[Tensor, "4 4"],
    degree: int,
    motion: TorchMotion | None = None,
) -> Float[Tensor, "N 3"]:
    """Colours that the camera sees of SH coefficients: max(0, 0.5 + sum of basis times coefficient)."""
    position = -viewmat[:3, :3].T @ viewmat[:3, 3]
    directions = torch.nn.functional.normalize(moved_means(means, motion) - position.to(means.dtype), dim=-1)
    basis = torch.stack(list(sh_basis_of(degree, *directions.unbind(-1))), dim=-1)
    return (0.5 + torch.einsum("nk,nkc->nc", basis, coefficients[:, : basis.shape[1]])).clamp_min(0.0)


def moved_means(means: Float[Tensor, "N 3"], motion: TorchMotion | None) -> Float[Tensor, "N 3"]:
    """Positions at the motion's instant."""
    return means if motion is None else means + motion.velocities * (motion.time_s - motion.time_centers)[:, None]


def faded_opacities(opacities: Float[Tensor, " N"], motion: TorchMotion | None) -> Float[Tensor, " N"]:
    """Opacities at the motion's instant; 0 outside the window and below the cutoff."""
    if motion is None:
        return opacities
    factor = torch.exp(-0.5 * ((motion.time_s - motion.time_centers) / motion.time_widths).square())
    inside = (motion.time_starts <= motion.time_s) & (motion.time_s < motion.time_ends) & (factor >= TEMPORAL_CUTOFF)
    return opacities * torch.where(inside, factor, 0.0)


def composed(image: Tensor, alpha: Tensor, background: Tensor | None, mode: RenderMode) -> Float[Tensor, "H W D"]:
    """The picture of a render mode from colours with depth last (H, W, D + 1) and alpha (H, W)."""
    colors, depth = image[..., :-1], image[..., -1:]
    if background is not None:
        colors = colors + (1.0 - alpha)[..., None] * background
    if mode.endswith("ED"):
        depth = depth / alpha[..., None].clamp_min(1e-10)
    if mode == "RGB":
        return colors
    return torch.cat([colors, depth], dim=-1) if mode.startswith("RGB") else depth


def _draw(
    view: View, shapes: tuple[Tensor, Tensor, Tensor, Tensor], values: Float[Tensor, "N D"], motion: TorchMotion | None
) -> tuple[Tensor, Tensor, Ellipses]:
    """Colours with depth last (H, W, D + 1), alpha (H, W), ellipses; three channels are drawn at once."""
    empty = torch.zeros(0)
    moved = (empty.view(0, 3), empty, empty)
    window = (np.zeros(0, np.float32), np.zeros(0, np.float32), 0.0)
    if motion is not None:
        moved = (motion.velocities, motion.time_centers, motion.time_widths)
        window = (motion.time_starts.detach().numpy(), motion.time_ends.detach().numpy(), motion.time_s)
    parts = []
    alpha, depth, ellipses = torch.zeros(0), torch.zeros(0), None
    for first in range(0, max(values.shape[1], 1), COLORS):
        part = values[:, first : first + COLORS]
        filled = torch.nn.functional.pad(part, (0, COLORS - part.shape[1]))
        sheet: list[Ellipses] = []
        image, alpha = _Draw.apply(*shapes, filled, *moved, view, window, sheet)  # type: ignore[no-untyped-call]
        parts.append(image[..., : part.shape[1]])
        depth, ellipses = image[..., COLORS:], sheet[0]
    if ellipses is None:
        raise InvalidScene("colors must have at least one channel, got none")
    return torch.cat([*parts, depth], dim=-1), alpha, ellipses


def _later(kernel: Callable[..., object], *values: object) -> Callable[[], object]:
    return partial(kernel, *values)


class _Draw(torch.autograd.Function):
    """Three colours and depth (H, W, 4) and alpha (H, W) of Gaussians in one view."""

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> tuple[Tensor, Tensor]:
        *tensors, view, window, sheet = inputs
        arrays = [np.ascontiguousarray(tensor.detach().numpy(), np.float32) for tensor in tensors]
        means, quats, scales, opacities, values, velocities, centers, widths = arrays
        starts, ends, time_s = window
        motion = Motion(velocities, centers, widths, starts, ends, time_s)
        size = (view.width, view.height)
        ellipses = project(means, quats, scales, view.viewmat, view.K, *size, view.planes, opacities, motion)
        seen = front_to_back(ellipses)
        image = np.zeros((view.height, view.width, 4), np.float32)
        transmittance = np.ones((view.height, view.width), np.float32)
        bands = row_bands(seen.geometry, view.height, view.threads)
        known = (seen.geometry, features_of(seen, values, ellipses.depths))
        run_all([_later(blend_band, *known, *band, image, transmittance) for band in bands])
        left = np.abs(transmittance)
        ctx.state = (arrays, motion, view, ellipses.opacities, seen.order, known, bands, image, left)
        sheet.append(ellipses)
        return torch.from_numpy(image), torch.from_numpy(1.0 - left)

    @staticmethod
    def backward(ctx: Any, *outputs: Tensor) -> tuple[Tensor | None, ...]:
        arrays, motion, view, opacities_seen, order, known, bands, image, left = ctx.state
        of_image, of_alpha = (np.ascontiguousarray(part.numpy(), np.float32) for part in outputs)
        behind = np.einsum("hwc,hwc->hw", image, of_image, dtype=np.float64) - of_alpha * left
        transmittance = np.ones_like(left)
        parts = [np.zeros((len(order), GRADIENTS), np.float32) for _ in bands]
        shared = (of_image, behind, transmittance)
        run_all([_later(blend_band_gradient, *known, *b, *shared, part) for b, part in zip(bands, parts, strict=True)])
        count = len(opacities_seen)
        rows = np.zeros((count, GRADIENTS), np.float32)
        rows[order] = parts[0] if len(parts) == 1 else np.sum(parts, axis=0)
        means, quats, scales, opacities, *_ = arrays
        found = GaussianGradients.zeros(count, len(motion.velocities))
        moved = (*motion.arrays(), motion.time_s)
        given = (means, quats, scales, opacities, *moved, view.numbers, opacities_seen, rows)
        spans = pairwise(np.linspace(0, count, len(bands) + 1).astype(int).tolist())
        run_all([_later(project_gradient, *given, *span, *found.arrays()) for span in spans])
        made = [torch.from_numpy(array) for array in found.arrays()]
        return (*made[:4], torch.from_numpy(np.ascontiguousarray(rows[:, 6:9])), *made[4:], None, None, None)


def _by_gsplat(
    gaussians: tuple[Tensor, Tensor, Tensor, Tensor, Tensor],
    cameras: tuple[Tensor, Tensor],
    size: tuple[int, int],
    motion: TorchMotion | None,
    **options: Any,
) -> tuple[Tensor, Tensor, dict[str, Any]]:
    # Here and not above: importing gsplat looks for a compiler and CUDA.
    from gsplat import rasterization as of_gsplat  # noqa: PLC0415

    means, quats, scales, opacities, colors = gaussians
    placed = (moved_means(means, motion), quats, scales, faded_opacities(opacities, motion), colors)
    return of_gsplat(*placed, *cameras, *size, **options)  # type: ignore[no-any-return]
