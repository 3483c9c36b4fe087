"""Disagreement: how far what a scene shows lies from a mesh that it should look like, such as a level's graybox."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clips.cameras import Cameras
from recon.mesh import Mesh
from recon.mesh_depth import mesh_depth
from recon.raster import render_scene
from recon.scene import Scene4D, static_part

_VIEWS = 9
_OPAQUE = 0.9


@dataclass(frozen=True)
class Disagreement:
    """Distances along the cameras' z axis between what stands still in a scene and a mesh.

    Attributes:
        median_m, p95_m: of the pixels where both show something, metres; nan where there are none.
        share: of all pixels, how many those are.
    """

    median_m: float
    p95_m: float
    share: float


def depth_disagreement(scene: Scene4D, mesh: Mesh, cameras: Cameras) -> Disagreement:
    """How far the depth of the static splats is from that of `mesh`, in at most nine of the pictures of `cameras`.

    What moves is left out: a graybox stands still. Where a surface runs away from the camera a picture's depth is that
    of the nearer splats of a pixel, up to a pixel's size along the surface too near.
    """
    chosen = np.unique(np.linspace(0, len(cameras) - 1, min(len(cameras), _VIEWS)).astype(int))
    views = Cameras(cameras.viewmats[chosen], cameras.Ks[chosen], cameras.width, cameras.height)
    _, depth, alpha = render_scene(static_part(scene), views, np.zeros(len(views)))
    expected = mesh_depth(mesh, views)
    both = (alpha >= _OPAQUE) & (expected > 0.0)
    if not both.any():
        return Disagreement(float("nan"), float("nan"), 0.0)
    apart = np.abs(depth - expected)[both]
    return Disagreement(float(np.median(apart)), float(np.quantile(apart, 0.95)), float(both.mean()))
