"""How far a scene is from a mesh: zero for its own wall, the shift for a shifted one, nothing where none is met."""

import numpy as np
import pytest

from clips.camera_path import CameraPath
from recon.disagreement import depth_disagreement
from recon.mesh import box
from recon.scene import Scene4D
from recon.splats import concatenate_splats, scene_of, static_splats

CAMERAS = CameraPath(start_z_m=0.0, distance_m=0.4, eye_height_m=1.5, fov_x_deg=40.0).cameras(4, 48, 32)


def wall(z: float) -> Scene4D:
    x, y = np.meshgrid(np.arange(-3.0, 3.0, 0.04), np.arange(-4.0, 1.0, 0.04))
    means = np.stack([x.ravel(), y.ravel(), np.full(x.size, z)], axis=1)
    covariances = np.tile([9e-4, 0, 0, 9e-4, 0, 1e-6], (len(means), 1))
    still = static_splats(means, covariances, np.full((len(means), 3), 0.5), 0.98)
    # Something that moves right before the camera, which no graybox has.
    moving = static_splats([[0.0, -1.5, 1.5]], [[0.1, 0, 0, 0.1, 0, 0.1]], [[1.0, 0.0, 0.0]], 0.98)
    moving.time_widths[:] = 5.0
    return scene_of(concatenate_splats([still, moving]), 1.0)


def block(z: float):
    return box(np.array([-4.0, -5.0, z]), np.array([4.0, 2.0, z + 1.0]))


@pytest.mark.parametrize("apart_m", [0.0, 0.3, -0.2])
def test_a_mesh_that_is_elsewhere_is_told_by_how_far(apart_m: float) -> None:
    found = depth_disagreement(wall(4.0), block(4.0 + apart_m), CAMERAS)
    assert found.median_m == pytest.approx(abs(apart_m), abs=0.02)
    assert found.p95_m == pytest.approx(abs(apart_m), abs=0.03)
    assert found.share > 0.99


def test_where_they_do_not_meet_nothing_is_claimed() -> None:
    behind = depth_disagreement(wall(4.0), block(-9.0), CAMERAS)
    assert behind.share == 0.0 and np.isnan(behind.median_m) and np.isnan(behind.p95_m)
