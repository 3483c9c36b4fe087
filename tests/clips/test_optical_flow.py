"""Optical flow: hand-computed cases, and real rendered frames warped by it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from clips.cameras import Cameras, intrinsics
from clips.dungeon.render import render_sample
from clips.errors import InvalidClip
from clips.optical_flow import optical_flow

WIDTH, HEIGHT = 12, 8


def _cameras(*offsets: tuple[float, float, float]) -> Cameras:
    viewmats = np.stack([np.eye(4) for _ in offsets])
    viewmats[:, :3, 3] = -np.array(offsets)
    K = intrinsics(WIDTH, HEIGHT, 90.0)
    return Cameras(viewmats, np.repeat(K[None], len(offsets), axis=0), WIDTH, HEIGHT)


def _flat(count: int, metres: float) -> np.ndarray:
    return np.full((count, HEIGHT, WIDTH), metres, dtype=np.float32)


def _still(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return np.zeros((count, HEIGHT, WIDTH), dtype=bool), np.zeros((count, 3)), np.repeat(np.eye(3)[None], count, axis=0)


def test_nothing_moves_when_neither_camera_nor_object_does() -> None:
    mask, centers, rotations = _still(3)
    mask[:, 2:5, 3:7] = True
    flow = optical_flow(_flat(3, 2.0), _cameras(*[(0.1, -1.0, 0.2)] * 3), mask, centers + 1.0, rotations)
    assert flow.shape == (2, HEIGHT, WIDTH, 2) and flow.dtype == np.float32
    np.testing.assert_allclose(flow, 0.0, atol=1e-5)


def test_a_step_to_the_right_moves_still_points_left_by_focal_length_times_step_over_depth() -> None:
    # 90 degrees over 12 pixels: the focal length is 6 pixels; 0.5 m at 3 m is one pixel.
    flow = optical_flow(_flat(2, 3.0), _cameras((0, 0, 0), (0.5, 0, 0)), *_still(2))
    np.testing.assert_allclose(flow[0, ..., 0], -1.0, atol=1e-5)
    np.testing.assert_allclose(flow[0, ..., 1], 0.0, atol=1e-5)


def test_a_step_ahead_spreads_points_from_the_middle() -> None:
    flow = optical_flow(_flat(2, 3.0), _cameras((0, 0, 0), (0, 0, 1.0)), *_still(2))
    # 3 m becomes 2 m: offsets from the middle grow by half.
    x = np.arange(WIDTH) + 0.5 - WIDTH / 2
    np.testing.assert_allclose(flow[0, 3, :, 0], 0.5 * x, atol=1e-5)
    y = np.arange(HEIGHT) + 0.5 - HEIGHT / 2
    np.testing.assert_allclose(flow[0, :, 5, 1], 0.5 * y, atol=1e-5)


def test_points_behind_the_next_camera_are_nan_and_no_others() -> None:
    depth = _flat(2, 3.0)
    depth[0, :, :4] = 1.0
    flow = optical_flow(depth, _cameras((0, 0, 0), (0, 0, 1.5)), *_still(2))
    assert np.isnan(flow[0, :, :4]).all()
    assert np.isfinite(flow[0, :, 4:]).all()


def test_object_pixels_follow_the_object_and_the_others_stay() -> None:
    mask, centers, rotations = _still(2)
    mask[0, 3, 4:8] = True
    centers[0], centers[1] = (0.0, 0.0, 3.0), (1.0, -0.5, 3.0)
    flow = optical_flow(_flat(2, 3.0), _cameras((0, 0, 0), (0, 0, 0)), mask, centers, rotations)
    np.testing.assert_allclose(flow[0, 3, 4:8], [[2.0, -1.0]] * 4, atol=1e-5)
    np.testing.assert_allclose(flow[0][~mask[0]], 0.0, atol=1e-5)


def test_an_object_that_turns_about_the_view_axis_turns_its_pixels() -> None:
    mask, centers, rotations = _still(2)
    mask[:] = True
    centers[:] = (0.0, 0.0, 3.0)
    rotations[1] = [[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    flow = optical_flow(_flat(2, 3.0), _cameras((0, 0, 0), (0, 0, 0)), mask, centers, rotations)
    # A quarter turn from x towards y (down): (x, y) goes to (-y, x) around the middle.
    x, y = np.meshgrid(np.arange(WIDTH) + 0.5 - WIDTH / 2, np.arange(HEIGHT) + 0.5 - HEIGHT / 2)
    np.testing.assert_allclose(flow[0], np.stack([-y - x, x - y], axis=-1), atol=1e-5)


def test_flow_of_cameras_and_object_together_agrees_with_projecting_each_point_on_its_own() -> None:
    rng = np.random.default_rng(3)
    sample = render_sample(21, frames=3, width=WIDTH * 4, height=HEIGHT * 4)
    depth, cameras, mask, poses = sample.clip.depth, sample.clip.cameras, sample.object_mask, sample.poses
    flow = optical_flow(depth, cameras, mask, poses.centers, poses.rotations)
    for _ in range(60):
        k, row, column = rng.integers((2, HEIGHT * 4, WIDTH * 4))
        ray = np.linalg.solve(cameras.Ks[k], [column + 0.5, row + 0.5, 1.0])
        point = cameras.camera_to_world[k] @ np.append(depth[k, row, column] * ray, 1.0)
        if mask[k, row, column]:
            local = poses.rotations[k].T @ (point[:3] - poses.centers[k])
            point[:3] = poses.rotations[k + 1] @ local + poses.centers[k + 1]
        seen = cameras.Ks[k + 1] @ (cameras.viewmats[k + 1] @ point)[:3]
        expected = seen[:2] / seen[2] - (column + 0.5, row + 0.5)
        np.testing.assert_allclose(flow[k, row, column], expected, atol=1e-3)


@pytest.mark.parametrize("motion", ["slide", "roll", "bounce", "swing"])
def test_warping_the_next_rendered_frame_by_the_flow_gives_this_frame(motion: str) -> None:
    sample = _rendered(motion)
    clip, mask = sample.clip, sample.object_mask
    flow = optical_flow(clip.depth, clip.cameras, mask, sample.poses.centers, sample.poses.rotations)
    errors = {"flow": [], "frozen": [], "object flow": [], "object frozen": []}
    for k in range(len(clip) - 1):
        visible = _visible(clip.depth, flow, k)
        now, later = clip.frames[k].astype(float), clip.frames[k + 1].astype(float)
        warped = np.stack([_sample(later[..., c], flow[k]) for c in range(3)], axis=-1)
        for name, picture in (("flow", warped), ("frozen", later)):
            gap = np.abs(picture - now).mean(axis=-1)
            errors[name].append(gap[visible].mean())
            errors[f"object {name}"].append(gap[visible & mask[k]].mean())
    assert np.mean(errors["flow"]) < 0.2 * np.mean(errors["frozen"])
    assert np.mean(errors["object flow"]) < 0.3 * np.mean(errors["object frozen"])


def _rendered(motion: str):
    from clips.camera_path import CameraPath, PathKind
    from clips.dungeon.render import render_room
    from clips.dungeon.scene import sample_room

    room = sample_room(11, motion=motion, shape="cube", light="daylight", wall="brick", floor="tiles", prop="none")
    path = CameraPath(kind=PathKind.PAN, start_z_m=0.3, angle_deg=30.0)
    return render_room(room, path, (6, 96, 64), 8.0)


def _sample(picture: np.ndarray, flow: np.ndarray) -> np.ndarray:
    rows, columns = np.mgrid[: picture.shape[0], : picture.shape[1]]
    places = np.nan_to_num([rows + flow[..., 1], columns + flow[..., 0]])
    return map_coordinates(picture, places, order=1, mode="nearest")


def _visible(depth: np.ndarray, flow: np.ndarray, k: int) -> np.ndarray:
    """Pixels of frame k that are inside frame k + 1, with much the same depth there: not newly hidden."""
    height, width = depth.shape[1:]
    rows, columns = np.mgrid[:height, :width]
    row, column = rows + flow[k, ..., 1], columns + flow[k, ..., 0]
    inside = (row > 0) & (row < height - 1) & (column > 0) & (column < width - 1)
    return inside & (np.abs(_sample(depth[k + 1], flow[k]) - depth[k]) < 0.2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"depth": _flat(3, 1.0)}, r"depth must be \(2, 8, 12\)"),
        ({"centers": np.zeros((3, 3))}, r"centers must be \(2, 3\)"),
        ({"rotations": np.zeros((2, 3))}, r"rotations must be \(2, 3, 3\)"),
        ({"object_mask": np.zeros((2, 8, 11), dtype=bool)}, "object_mask must be"),
        ({"depth": _flat(2, 0.0)}, "depth must be finite and positive"),
        ({"centers": np.full((2, 3), np.nan)}, "must be finite"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(change, message: str) -> None:
    mask, centers, rotations = _still(2)
    good = {"depth": _flat(2, 1.0), "object_mask": mask, "centers": centers, "rotations": rotations}
    with pytest.raises(InvalidClip, match=message):
        optical_flow(cameras=_cameras((0, 0, 0), (0, 0, 0)), **{**good, **change})


def test_one_frame_has_no_flow() -> None:
    assert optical_flow(_flat(1, 1.0), _cameras((0, 0, 0)), *_still(1)).shape == (0, HEIGHT, WIDTH, 2)
