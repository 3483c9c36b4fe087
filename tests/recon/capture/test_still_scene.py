"""From posed pictures and sparse points to a still scene: depth against truth, and a picture that was held out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from clips.cameras import Cameras
from clips.errors import InvalidClip
from recon.capture.capture import Capture, SparsePoints, no_points
from recon.capture.seeding import SPARSE_OPACITY, dense_splats, filled_in, guessed_splats, sparse_splats
from recon.capture.settings import CaptureSettings
from recon.capture.stereo import Dense, dense_depth, nearest
from recon.capture.still_scene import refinement_clip, seeds, still_scene
from recon.errors import InvalidScene, Unreconstructable
from recon.raster import render_scene
from tests.recon.capture.textured_place import pictures_of, walking

WIDTH, HEIGHT, COUNT = 96, 64, 7
SETTINGS = CaptureSettings(stereo_planes=48, stereo_sources=3, refine_steps=0)
HELD_OUT = 3


def quiet(stage: str, share: float) -> None:
    assert stage and 0.0 <= share <= 1.0


@pytest.fixture(scope="module")
def place() -> tuple[Capture, np.ndarray]:
    """A capture with true cameras and true sparse points, and its true depth."""
    cameras = walking(COUNT, WIDTH, HEIGHT, 80.0)
    frames, depth, _ = pictures_of(cameras)
    # The noise is far finer than a pixel here; a camera would blur it as this does.
    frames = np.stack([nearest(frame[None], cameras)[0] for frame in frames])
    rng = np.random.default_rng(0)
    positions, colors, seen = [], [], []
    for frame in range(COUNT):
        rows, columns = rng.integers(2, HEIGHT - 2, 60), rng.integers(2, WIDTH - 2, 60)
        known = np.isfinite(depth[frame, rows, columns])
        rows, columns = rows[known], columns[known]
        K, pose = cameras.Ks[frame], cameras.camera_to_world[frame]
        z = depth[frame, rows, columns]
        rays = np.stack([(columns + 0.5 - K[0, 2]) / K[0, 0], (rows + 0.5 - K[1, 2]) / K[1, 1], np.ones(len(z))], 1)
        world = (rays * z[:, None]) @ pose[:3, :3].T + pose[:3, 3]
        for other in range(COUNT):
            at = world @ cameras.viewmats[other, :3, :3].T + cameras.viewmats[other, :3, 3]
            pixel = at @ cameras.Ks[other].T / at[:, 2:]
            inside = (pixel[:, 0] > 0) & (pixel[:, 0] < WIDTH) & (pixel[:, 1] > 0) & (pixel[:, 1] < HEIGHT)
            seen += [(len(positions) + int(index), other) for index in np.flatnonzero(inside)]
        positions += list(world)
        colors += list(frames[frame, rows, columns])
    points = SparsePoints(np.array(positions), np.array(colors), np.array(seen, np.int32))
    names = tuple(f"frame {index}" for index in range(COUNT))
    return Capture(frames, cameras, np.arange(COUNT) / 10.0, names, points), depth


def test_depth_that_views_agree_on_is_right(place: tuple[Capture, np.ndarray]) -> None:
    capture, truth = place
    dense = dense_depth(capture, SETTINGS, quiet)
    known = (dense.depth > 0) & np.isfinite(truth)
    assert known.mean() > 0.6
    error = np.abs(dense.depth[known] / truth[known] - 1.0)
    assert np.median(error) < 0.01 and np.quantile(error, 0.9) < 0.04
    assert ((dense.depth > 0) <= (dense.guess > 0)).all()


def test_a_picture_that_was_held_out_is_drawn(place: tuple[Capture, np.ndarray]) -> None:
    capture, _ = place
    scene, _ = still_scene(capture.without(np.array([HELD_OUT])), SETTINGS, quiet)
    cameras = capture.cameras[HELD_OUT : HELD_OUT + 1]
    (picture,), _, (alpha,) = render_scene(scene, cameras, [0.0])
    truth = capture.frames[HELD_OUT].astype(float)
    error = np.square(picture.astype(float) - truth)[:, 8:-8].mean()
    null = np.square(truth - capture.frames[HELD_OUT - 1])[:, 8:-8].mean()
    assert error < 0.3 * null, "a neighbouring picture would be far worse"
    assert (alpha > 0.9).mean() > 0.9
    assert scene.is_static.all() and scene.duration_s == pytest.approx(0.6)


def test_refinement_brings_a_held_out_picture_nearer(place: tuple[Capture, np.ndarray]) -> None:
    capture, _ = place
    rest = capture.without(np.array([HELD_OUT]))
    truth = capture.frames[HELD_OUT].astype(float)
    errors = []
    for steps in (0, 60):
        scene, _ = still_scene(rest, replace(SETTINGS, refine_steps=steps), quiet)
        (picture,), _, _ = render_scene(scene, capture.cameras[HELD_OUT : HELD_OUT + 1], [0.0])
        errors.append(np.square(picture.astype(float) - truth)[:, 8:-8].mean())
    assert errors[1] < 0.95 * errors[0]


def test_what_moves_and_what_nobody_knows_pulls_at_nothing(place: tuple[Capture, np.ndarray]) -> None:
    capture, _ = place
    moving = np.zeros(capture.frames.shape[:3], np.bool_)
    moving[:, 20:40, 30:60] = True
    scene, dense = still_scene(replace(capture, moving=moving), SETTINGS, quiet)
    clip = refinement_clip(scene, capture, dense)
    np.testing.assert_array_equal(clip.frames, dense.frames)
    masked = refinement_clip(scene, replace(capture, moving=moving), dense)
    drawn, depth, alpha = render_scene(scene, dense.cameras, capture.times)
    np.testing.assert_array_equal(masked.frames[moving], drawn[moving])
    np.testing.assert_array_equal(masked.frames[~moving], dense.frames[~moving])
    unknown = (dense.depth == 0) & (alpha > 0.5)
    np.testing.assert_array_equal(masked.depth[unknown], depth[unknown])
    np.testing.assert_array_equal(masked.depth[dense.depth > 0], dense.depth[dense.depth > 0])


def test_measured_depth_is_taken_and_what_moves_is_left_out(place: tuple[Capture, np.ndarray]) -> None:
    capture, truth = place
    measured = np.where(np.isfinite(truth), truth, 0.0).astype(np.float32)
    moving = np.zeros(truth.shape, np.bool_)
    moving[:, 20:40, 30:60] = True
    dense = dense_depth(replace(capture, depth=measured, moving=moving, points=no_points()), SETTINGS, quiet)
    np.testing.assert_array_equal(dense.depth, np.where(moving, 0.0, measured))
    with pytest.raises(InvalidClip, match="depth must be finite and positive"):
        replace(capture, depth=np.zeros_like(measured)).clip()


def test_without_points_nobody_knows_how_far_away_things_are(place: tuple[Capture, np.ndarray]) -> None:
    with pytest.raises(Unreconstructable, match="frame 0 sees 0 sparse points, at least 8 are needed"):
        dense_depth(replace(place[0], points=no_points()), SETTINGS, quiet)


def test_no_depth_anywhere_is_an_error_or_leaves_the_sparse_points(place: tuple[Capture, np.ndarray]) -> None:
    capture = replace(place[0], depth=np.zeros(place[1].shape, np.float32))
    dense = dense_depth(capture, SETTINGS, quiet)
    assert len(seeds(capture, dense)) == len(capture.points)
    with pytest.raises(Unreconstructable, match="no surface was found in 7 frames"):
        still_scene(replace(capture, points=no_points()), SETTINGS, quiet)


def flat_wall(depth_m: float) -> Dense:
    """Two cameras before a wall: the first one's depth is known on its left half."""
    cameras = walking(2, WIDTH, HEIGHT, 80.0)
    cameras = Cameras(np.stack([np.eye(4)] * 2), cameras.Ks, WIDTH, HEIGHT)
    guess = np.full((2, HEIGHT, WIDTH), depth_m, np.float32)
    depth = guess.copy()
    depth[:, :, WIDTH // 2 :] = 0.0
    frames = np.random.default_rng(0).integers(0, 255, (2, HEIGHT, WIDTH, 3)).astype(np.uint8)
    return Dense(depth, guess, frames, cameras)


def test_guesses_fill_what_is_empty_and_nothing_else() -> None:
    dense = flat_wall(3.0)
    confirmed = dense_splats(dense)
    added = guessed_splats(dense, confirmed)
    edge = (-80.0 + 80.0) / 80.0 * 3.0
    assert confirmed.means[:, 0].max() < edge + 0.1
    assert len(added) > 0 and added.means[:, 0].min() > edge - 0.1
    np.testing.assert_allclose(added.means[:, 2], 3.0, atol=1e-4)
    assert len(guessed_splats(replace(dense, depth=dense.guess), dense_splats(replace(dense, depth=dense.guess)))) == 0


def test_unknown_depth_takes_the_nearest_known() -> None:
    depth = np.zeros((2, 3, 5), np.float32)
    depth[0, 1, 0], depth[0, 1, 4] = 2.0, 4.0
    got = filled_in(depth)
    np.testing.assert_array_equal(got[0, :, [0, 1, 3, 4]], np.array([[2.0] * 3, [2.0] * 3, [4.0] * 3, [4.0] * 3]))
    np.testing.assert_array_equal(got[1], np.ones((3, 5)))


@pytest.mark.parametrize("count", [0, 1, 3])
def test_too_few_points_have_no_neighbours(count: int) -> None:
    points = SparsePoints(np.zeros((count, 3)), np.zeros((count, 3), np.uint8), np.zeros((0, 2), np.int32))
    assert len(sparse_splats(points)) == 0


def test_a_sparse_points_size_is_its_neighbours_distance() -> None:
    grid = np.stack(np.meshgrid(*[np.arange(4.0)] * 3, indexing="ij"), axis=-1).reshape(-1, 3) * 0.2
    points = np.concatenate([grid, [[50.0, 0, 0]]])
    splats = sparse_splats(SparsePoints(points, np.full((65, 3), 51, np.uint8), np.zeros((0, 2), np.int32)))
    assert len(splats) == 65 and (splats.opacities == np.float32(SPARSE_OPACITY)).all()
    np.testing.assert_allclose(splats.colors, 0.2, atol=1e-6)
    np.testing.assert_allclose(np.sqrt(splats.covariances[:64, [0, 3, 5]]), 0.2, rtol=1e-5)
    assert np.sqrt(splats.covariances[64, 0]) == pytest.approx(0.6, rel=1e-5), "not 50 m"


def test_holding_frames_out_keeps_what_the_others_saw(place: tuple[Capture, np.ndarray]) -> None:
    capture = place[0]
    rest = capture.without(np.array([0, HELD_OUT]))
    assert rest.names == ("frame 1", "frame 2", "frame 4", "frame 5", "frame 6")
    np.testing.assert_array_equal(rest.cameras.viewmats[2], capture.cameras.viewmats[4])
    expected = capture.points.positions[capture.points.of_frame(4)]
    np.testing.assert_array_equal(rest.points.positions[rest.points.of_frame(2)], expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"times": np.zeros(COUNT)}, "increasing seconds"),
        ({"names": ("a",)}, "names must be 7, got 1"),
        ({"depth": np.full((COUNT, HEIGHT, WIDTH), np.nan, np.float32)}, "depth must be finite and not negative"),
        ({"moving": np.zeros((1, 2, 3), bool)}, "moving must be"),
        ({"frames": np.zeros((2, 3, 4, 3), np.uint8)}, "cameras must be"),
    ],
)
def test_arrays_that_disagree_are_refused(place: tuple[Capture, np.ndarray], change: dict, message: str) -> None:
    with pytest.raises(InvalidScene, match=message):
        replace(place[0], **change)


@pytest.mark.parametrize(
    ("positions", "seen", "message"),
    [
        (np.full((2, 3), np.nan), np.zeros((0, 2), np.int32), "positions must be finite"),
        (np.zeros((2, 3)), np.array([[2, 0]], np.int32), "beyond the 2 that are there"),
        (np.zeros((2, 3)), np.array([[0]], np.int32), "seen must be"),
    ],
)
def test_points_that_mean_nothing_are_refused(positions: np.ndarray, seen: np.ndarray, message: str) -> None:
    with pytest.raises(InvalidScene, match=message):
        SparsePoints(positions, np.zeros((2, 3), np.uint8), seen)


@pytest.mark.parametrize("change", [{"long_side_px": 1}, {"max_frames": 2}, {"scale_m": -1.0}, {"seed": -1}])
def test_settings_out_of_range_are_named(change: dict) -> None:
    with pytest.raises(InvalidScene, match=f"capture settings: {next(iter(change))} must be within"):
        CaptureSettings(**change)
