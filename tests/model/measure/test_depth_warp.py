import numpy as np
import pytest

from clips.camera_path import CameraPath, PathKind
from clips.cameras import Cameras
from model.measure.depth_warp import warp_error

WALL_Z_M = 4.0


def _walk(kind: PathKind = PathKind.WALK_IN) -> Cameras:
    return CameraPath(kind, start_z_m=0.0, distance_m=1.0, angle_deg=20.0).cameras(5, 96, 64)


def _room_depth(cameras: Cameras) -> np.ndarray:
    """Exact depth of a wall at z = 4 m, a floor at y = 0 and a ceiling at y = -3 m."""
    rows, columns = np.indices((cameras.height, cameras.width)) + 0.5
    pixel = np.stack([columns, rows, np.ones_like(rows)], axis=-1)
    frames = []
    for pose, K in zip(cameras.camera_to_world, cameras.Ks, strict=True):
        ray = pixel @ np.linalg.inv(K).T @ pose[:3, :3].T
        with np.errstate(divide="ignore"):
            hits = [(WALL_Z_M - pose[2, 3]) / ray[..., 2], -pose[1, 3] / ray[..., 1], (-3 - pose[1, 3]) / ray[..., 1]]
        frames.append(np.min([np.where(hit > 0, hit, np.inf) for hit in hits], axis=0))
    return np.stack(frames).astype(np.float32)


@pytest.mark.parametrize("kind", [PathKind.WALK_IN, PathKind.PAN, PathKind.ORBIT, PathKind.SHAKE])
def test_exact_depth_warps_onto_itself_and_a_frozen_clip_does_not(kind: PathKind) -> None:
    cameras = _walk(kind)
    depth = _room_depth(cameras)
    found = warp_error(depth, cameras, np.ones(depth.shape, dtype=bool))
    assert found is not None
    assert found.error < 0.003
    assert found.frozen > 5 * found.error


def test_a_last_frame_that_is_ten_percent_too_far_has_that_error() -> None:
    cameras = _walk()
    depth = _room_depth(cameras)
    depth[-1] *= 1.1
    found = warp_error(depth, cameras, np.ones(depth.shape, dtype=bool))
    assert found is not None
    assert found.error == pytest.approx(0.1 / 1.1, abs=0.003)


def test_a_clip_frozen_at_frame_0_has_the_error_of_its_null() -> None:
    cameras = _walk()
    depth = np.repeat(_room_depth(cameras)[:1], 5, axis=0)
    found = warp_error(depth, cameras, np.ones(depth.shape, dtype=bool))
    assert found is not None
    assert found.error == found.frozen > 0.1


def test_what_moves_is_left_out_at_both_ends() -> None:
    cameras = _walk()
    depth = _room_depth(cameras)
    clean = warp_error(depth, cameras, np.ones(depth.shape, dtype=bool))
    static = np.ones(depth.shape, dtype=bool)
    static[0, :, :60] = static[-1, :, 36:] = False
    depth[0, :, :60], depth[-1, :, 36:] = 1.0, 30.0
    assert clean is not None
    # Points of the right of frame 0 land in the masked right of the last one: too few are left.
    assert warp_error(depth, cameras, static) is None
    static[-1], static[0, :, 48:] = True, True
    static[-1, :, 48:] = False
    static[0, :, :48] = True
    depth = _room_depth(cameras)
    depth[-1, :, 48:] = 30.0
    found = warp_error(depth, cameras, static)
    assert found is not None
    assert found.error < 0.003


def test_a_point_behind_another_is_not_compared() -> None:
    cameras = _walk(PathKind.ORBIT)
    depth = _room_depth(cameras)
    # A near post that the orbit moves across the wall: what it hides in the last frame must not count as wrong.
    for index, pose in enumerate(cameras.viewmats):
        at = pose[:3, :3] @ np.array([0.0, -1.5, 2.0]) + pose[:3, 3]
        column = round(float(cameras.Ks[index, 0, 0] * at[0] / at[2] + cameras.Ks[index, 0, 2]))
        depth[index, :, column - 6 : column + 6] = at[2]
    found = warp_error(depth, cameras, np.ones(depth.shape, dtype=bool))
    assert found is not None
    assert found.error < 0.01
