from collections.abc import Callable

import numpy as np

from clips.cameras import Cameras, intrinsics, look_at
from recon.export.axes import gate_to_rub
from recon.raster import render_scene
from recon.scene import Scene4D

HALF_TURN = np.diag([1.0, -1.0, -1.0, 1.0])


def test_twice_is_the_same_scene(make_scene: Callable[..., Scene4D]) -> None:
    scene = make_scene(40, 3)
    twice = gate_to_rub(gate_to_rub(scene))
    for name in ("means", "quats", "log_scales", "velocities", "shN"):
        np.testing.assert_allclose(getattr(twice, name), getattr(scene, name), atol=1e-6)


def test_a_turned_camera_sees_the_same_picture_of_the_turned_scene(make_scene: Callable[..., Scene4D]) -> None:
    scene = make_scene(200, 3)
    viewmat = look_at(np.array([0.5, -1.3, -4.0]), np.array([0.2, 0.1, 0.0]))
    K = intrinsics(48, 36, 60.0)[None]
    seen, depth, alpha = render_scene(scene, Cameras(viewmat[None], K, 48, 36), [0.7])
    turned, turned_depth, _ = render_scene(gate_to_rub(scene), Cameras((viewmat @ HALF_TURN)[None], K, 48, 36), [0.7])
    assert alpha.mean() > 0.1 and seen.std() > 5
    assert np.abs(seen.astype(int) - turned).max() <= 1
    np.testing.assert_allclose(depth, turned_depth, atol=1e-3)
