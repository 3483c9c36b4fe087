"""Axes: the one place where a scene changes its coordinate system.

The gate frame is right-handed with x right, y down, z into the room (RDF), which is also what 3DGS PLY files use.
`.4dgs` and glTF files use x right, y up, z towards the viewer (RUB): the same handedness, half a turn about x.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from recon.scene import Scene4D

_FLIP = np.array([1.0, -1.0, -1.0], np.float32)
# Under y -> -y, z -> -z every real SH basis function of 3DGS's order keeps or changes its sign.
_SH_SIGNS = np.array([-1, -1, 1, -1, 1, 1, -1, 1, -1, 1, -1, -1, 1, -1, 1], np.float32)


def half_turn_about_x(scene: Scene4D) -> Scene4D:
    """`scene` with y and z reversed: RDF becomes RUB, and RUB becomes RDF."""
    w, x, y, z = scene.quats.T
    return replace(
        scene,
        means=scene.means * _FLIP,
        velocities=scene.velocities * _FLIP,
        quats=np.stack([-x, w, -z, y], axis=1),
        shN=scene.shN * _SH_SIGNS[None, : scene.shN.shape[1], None],
    )
