"""A Scene4D over time, rendered with the cameras of a clip."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, UInt8

from clips.cameras import Cameras
from recon.errors import InvalidScene
from recon.instant import scene_at
from recon.raster.rasterize import rasterization
from recon.scene import Scene4D

BLACK = (0.0, 0.0, 0.0)


def render_scene(
    scene: Scene4D,
    cameras: Cameras,
    times: np.ndarray | Sequence[float],
    background: tuple[float, float, float] = BLACK,
    threads: int = 1,
) -> tuple[UInt8[np.ndarray, "T H W 3"], Float32[np.ndarray, "T H W"], Float32[np.ndarray, "T H W"]]:
    """Frames (T, H, W, 3) uint8 sRGB, expected depth (T, H, W) metres and alpha (T, H, W) of a scene over time.

    Frame i is seen by camera i at `times[i]` scene seconds. Where nothing is drawn, depth and alpha are 0 and
    the frame shows `background` (sRGB-encoded, 0 to 1). `threads` image bands are drawn at the same time.

    Raises:
        InvalidScene: `times` and cameras disagree in number.
    """
    if len(times) != len(cameras):
        raise InvalidScene(f"render_scene needs one time per camera, got {len(times)} times, {len(cameras)} cameras")
    degree = math.isqrt(scene.shN.shape[1] + 1) - 1
    shape = (len(cameras), cameras.height, cameras.width)
    frames = np.zeros((*shape, 3), np.uint8)
    depth, alpha = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    for i, time_s in enumerate(times):
        instant = scene_at(scene, float(time_s))
        colors = instant.colors
        if degree:
            colors = np.concatenate([scene.sh0, scene.shN], axis=1)[instant.indices]
        picture, opacity, _ = rasterization(
            instant.means,
            instant.quats,
            instant.scales,
            instant.opacities,
            colors,
            cameras.viewmats[i : i + 1],
            cameras.Ks[i : i + 1],
            cameras.width,
            cameras.height,
            sh_degree=degree or None,
            backgrounds=np.array([background], np.float32),
            render_mode="RGB+ED",
            threads=threads,
        )
        frames[i] = np.rint(np.clip(picture[0, :, :, :3], 0.0, 1.0) * 255.0).astype(np.uint8)
        depth[i] = picture[0, :, :, 3]
        alpha[i] = opacity[0, :, :, 0]
    return frames, depth, alpha
