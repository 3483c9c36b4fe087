"""The camera envelope: what lies within it has no holes, also for seeds that its search has not seen."""

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clips.cameras import Cameras
from clips.clip import Clip
from recon.envelope import ENVELOPE_KEY, Envelope, turned
from recon.envelope_search import EnvelopeSettings, Place, find_envelope
from recon.errors import InvalidScene, UnreadableScene
from recon.export.fourdgs_file import decode_4dgs, encode_4dgs, metadata_4dgs
from recon.pipeline import reconstruct
from recon.raster import render_scene
from recon.scene import Scene4D
from recon.settings import ReconSettings
from recon.splats import scene_of, static_splats

Room = Callable[..., Clip]
FRAMES = 5
SETTINGS = EnvelopeSettings(instants=3, checks=16)


@pytest.fixture(scope="module")
def full(room: Room) -> tuple[Clip, Scene4D, Envelope]:
    clip = room(frames=FRAMES)
    scene = reconstruct(clip, ReconSettings.full())
    return clip, scene, find_envelope(scene, clip.cameras, clip.times, SETTINGS)


def moved(cameras: Cameras, frame: int, offset_m: np.ndarray, yaw_deg: float, pitch_deg: float) -> Cameras:
    pose = cameras.camera_to_world[frame]
    rotation, position = turned(pose[:3, :3], yaw_deg, pitch_deg), pose[:3, 3] + offset_m
    viewmat = np.eye(4)
    viewmat[:3, :3], viewmat[:3, 3] = rotation.T, -rotation.T @ position
    return Cameras(viewmat[None], cameras.Ks[frame : frame + 1], cameras.width, cameras.height)


def test_views_at_random_within_it_have_no_holes(full: tuple) -> None:
    clip, scene, envelope = full
    assert envelope.held == 1.0 and len(envelope.times) == 3
    rng = np.random.default_rng(12345)
    shares = []
    for _ in range(60):
        frame = int(rng.integers(FRAMES))
        time_s = float(clip.times[frame])
        bounds = envelope.at(time_s)
        offset = rng.uniform(bounds.low_m, bounds.high_m)
        turn = rng.uniform(-bounds.yaw_deg, bounds.yaw_deg), rng.uniform(-bounds.pitch_deg, bounds.pitch_deg)
        _, _, alpha = render_scene(scene, moved(clip.cameras, frame, offset, *turn), [time_s])
        shares.append(float((alpha < 0.9).mean()))
    assert np.mean(np.array(shares) <= 0.01) >= 0.98
    assert max(shares) < 0.03


def test_it_leaves_room_to_move_and_ends_before_the_walls(full: tuple) -> None:
    clip, _, envelope = full
    size = envelope.high_m - envelope.low_m
    assert (size.max(axis=1) > 0.15).all() and envelope.yaw_deg.max() > 0.5
    positions = np.array([np.interp(envelope.times, clip.times, clip.cameras.positions[:, k]) for k in range(3)]).T
    assert (np.abs((positions + envelope.high_m)[:, 0]) < 2.0).all()
    assert ((positions + envelope.high_m)[:, 1] < 0.0).all(), "the camera stays above the floor"


def test_a_quick_search_finds_a_cube_that_holds_as_well(full: tuple) -> None:
    clip, scene, thorough = full
    settings = EnvelopeSettings(instants=2, largest_m=0.5, width_px=32, thorough=False, checks=6)
    quick = find_envelope(scene, clip.cameras, clip.times, settings)
    np.testing.assert_allclose(quick.low_m, -quick.high_m)
    assert quick.held == 1.0 and 0.02 < quick.high_m.max() <= 0.5
    assert np.prod(quick.high_m - quick.low_m, axis=1).max() < np.prod(thorough.high_m - thorough.low_m, axis=1).max()


def test_holes_of_turned_views_are_those_of_the_wide_picture(full: tuple) -> None:
    clip, scene, _ = full
    torn = replace(scene, **{name: getattr(scene, name)[::4] for name in (
        "means", "quats", "log_scales", "logit_opacities", "sh0", "shN", "velocities",
        "time_centers", "time_widths", "time_starts", "time_ends")})  # fmt: skip
    place = Place(torn, clip.cameras, clip.times, 2, EnvelopeSettings(nearest_m=0.0))
    for turn in ((0.0, 0.0), (10.0, 0.0), (-9.0, 6.0), (4.0, -7.0)):
        offset = np.array([0.1, -0.05, 0.2])
        _, _, alpha = render_scene(torn, moved(clip.cameras, 2, offset, *turn), [float(clip.times[2])])
        assert place.holes(offset, [turn]) == pytest.approx(float((alpha < 0.9).mean()), abs=0.03)


def test_where_the_path_has_holes_the_camera_stays_on_it(room: Room) -> None:
    clip = room(frames=2)
    lonely = scene_of(static_splats([[0.0, -1.3, 3.0]], [[1e-2, 0, 0, 1e-2, 0, 1e-2]], [[1.0, 0, 0]], 0.9), 1.0)
    envelope = find_envelope(lonely, clip.cameras, clip.times, EnvelopeSettings(instants=2, checks=4))
    assert (envelope.low_m == 0).all() and (envelope.high_m == 0).all() and (envelope.yaw_deg == 0).all()
    assert envelope.held == 0.0


def test_a_wall_before_the_lens_ends_it(full: tuple) -> None:
    clip, scene, _ = full
    place = Place(scene, clip.cameras, clip.times, 0, SETTINGS)
    assert place.holes(np.zeros(3), [(0.0, 0.0)]) <= 0.01
    to_the_back_wall = 5.0 - clip.cameras.positions[0, 2] - 0.05
    assert place.holes(np.array([0.0, 0.0, to_the_back_wall]), [(0.0, 0.0)]) > 0.5


def made(low: float = -0.2, high: float = 0.3) -> Envelope:
    boxes = np.array([[low, low, low], [2 * low, low, 0.0]]), np.array([[high, high, high], [high, 0.0, high]])
    return Envelope(np.array([0.0, 2.0]), *boxes, np.array([4.0, 8.0]), np.array([1.0, 3.0]))


coordinate = st.floats(-2.0, 2.0)


@given(st.tuples(coordinate, coordinate, coordinate), st.tuples(coordinate, coordinate, coordinate), st.floats(-1, 3))
def test_clamping_is_monotone_idempotent_and_leaves_the_inside_alone(one: tuple, other: tuple, time_s: float) -> None:
    envelope = made()
    low, high = np.minimum(one, other), np.maximum(one, other)
    clamped = envelope.clamp(low, time_s), envelope.clamp(high, time_s)
    assert (clamped[0] <= clamped[1]).all()
    assert np.linalg.norm(clamped[1] - clamped[0]) <= np.linalg.norm(high - low) + 1e-12
    bounds = envelope.at(time_s)
    for offset in clamped:
        assert ((bounds.low_m <= offset) & (offset <= bounds.high_m)).all()
        np.testing.assert_array_equal(envelope.clamp(offset, time_s), offset)


def test_bounds_between_instants_are_linear_and_held_beyond() -> None:
    envelope = made()
    np.testing.assert_allclose(envelope.at(1.0).low_m, [-0.3, -0.2, -0.1])
    np.testing.assert_allclose(envelope.at(-5.0).high_m, envelope.high_m[0])
    assert (envelope.at(9.0).yaw_deg, envelope.at(1.0).pitch_deg) == (8.0, 2.0)
    assert envelope.at(1.0).clamp_turn(-50.0, 1.5) == (-6.0, 1.5)


def test_a_turn_to_the_right_looks_right_and_a_pitch_up() -> None:
    right, up = turned(np.eye(3), 10.0, 0.0)[:, 2], turned(np.eye(3), 0.0, 10.0)[:, 2]
    assert right[0] > 0.1 and right[2] > 0.9 and up[1] < -0.1 and up[2] > 0.9


def test_it_travels_in_the_scenes_file(full: tuple) -> None:
    _, scene, envelope = full
    data = encode_4dgs(scene, {ENVELOPE_KEY: envelope.to_json()})
    assert len(decode_4dgs(data)) == len(scene)
    read = Envelope.from_json(metadata_4dgs(data)[ENVELOPE_KEY])
    np.testing.assert_allclose(read.low_m, envelope.low_m, atol=1e-4)
    assert (read.low_m >= envelope.low_m).all() and (read.high_m <= envelope.high_m).all()
    assert read.to_json() == envelope.to_json() and read.held == 1.0


def test_texts_and_values_that_mean_nothing_are_refused() -> None:
    good = json.loads(made().to_json())
    for bad in ("", "[]", "{}", json.dumps({**good, "version": 9}), json.dumps({**good, "low_m": [[1, 0, 0]]})):
        with pytest.raises(UnreadableScene, match="envelope"):
            Envelope.from_json(bad)
    with pytest.raises(InvalidScene, match="must hold the path"):
        made(low=0.1)
    with pytest.raises(InvalidScene, match="ascend"):
        replace(made(), times=np.array([1.0, 1.0]))
    with pytest.raises(InvalidScene, match="instants must be within"):
        EnvelopeSettings(instants=0)
    with pytest.raises(UnreadableScene, match="not a readable"):
        metadata_4dgs(b"nothing")
