"""Axes: a whole scene in the coordinate system of a file; `clips.frame_axes` says which systems there are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from clips.frame_axes import GLTF_RUB
from recon.scene import Scene4D

# Under y -> -y, z -> -z every real SH basis function of 3DGS's order keeps or changes its sign.
_SH_SIGNS = np.array([-1, -1, 1, -1, 1, 1, -1, 1, -1, 1, -1, -1, 1, -1, 1], np.float32)


def gate_to_rub(scene: Scene4D) -> Scene4D:
    """`scene` with x right, y up, z towards the viewer (glTF, `.4dgs`): half a turn about x, its own inverse."""
    return replace(
        scene,
        means=GLTF_RUB.points(scene.means),
        quats=GLTF_RUB.quats(scene.quats),
        log_scales=GLTF_RUB.log_scales(scene.log_scales),
        velocities=GLTF_RUB.velocities(scene.velocities),
        shN=scene.shN * _SH_SIGNS[None, : scene.shN.shape[1], None],
    )
