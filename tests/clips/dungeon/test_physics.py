"""The laws that simulated motion must keep, measured on its tracks and computed apart from MuJoCo."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from clips.dungeon import physics
from clips.dungeon.attributes import Motion, Shape
from clips.dungeon.physics import PHYSICAL, simulate
from clips.dungeon.scene import SHAPE_HALVES, RoomSpec, sample_room
from clips.errors import InvalidClip, InvalidRoom

G = 9.81
SHAPES = list(Shape)


def _room(motion: Motion, shape: Shape, seed: int = 1, **fixed) -> RoomSpec:
    return sample_room(seed, motion=motion, shape=shape, **fixed)


def _balance(shape: Shape) -> tuple[np.ndarray, np.ndarray]:
    """Centre of mass and principal moments of a solid of size 1 and mass 1, object frame: textbook formulas."""
    a, b, _ = SHAPE_HALVES[shape]
    if shape is Shape.ORB:
        return np.zeros(3), np.full(3, 0.4 * a**2)
    if shape is Shape.CUBE:
        return np.zeros(3), np.full(3, 2.0 / 3.0 * a**2)
    if shape is Shape.CRYSTAL:
        return np.zeros(3), np.array([(a**2 + b**2) / 10, a**2 / 5, (a**2 + b**2) / 10])
    across = 0.15 * a**2 + 0.0375 * (2 * b) ** 2
    return np.array([0.0, b / 2, 0.0]), np.array([across, 0.3 * a**2, across])


class Measured:
    """Heights, speeds, spin and energy per mass of a track, from differences between its steps."""

    def __init__(self, room: RoomSpec, seconds: float) -> None:
        track = simulate(room, seconds)
        size = room.object_size_m
        middle, moments = _balance(room.shape)
        self.step_s = track.step_s
        turns = physics.rotation_matrices(track.quats)
        self.mass_at = track.centers + turns @ (size * middle)
        self.velocity = np.diff(self.mass_at, axis=0) / track.step_s
        turned = turns[:-1].transpose(0, 2, 1) @ turns[1:]
        skew = 0.5 * (turned - turned.transpose(0, 2, 1)) / track.step_s
        self.spin = np.stack([skew[:, 2, 1], skew[:, 0, 2], skew[:, 1, 0]], axis=1)
        self.momentum = np.einsum("tij,tj->ti", turns[:-1], size**2 * moments * self.spin)
        height = -0.5 * (self.mass_at[1:, 1] + self.mass_at[:-1, 1])
        turning = 0.5 * size**2 * (moments * self.spin**2).sum(axis=1)
        self.energy = G * height + 0.5 * (self.velocity**2).sum(axis=1) + turning
        fall = np.diff(self.velocity, axis=0) / track.step_s
        self.flies = np.abs(fall - [0.0, G, 0.0]).max(axis=1) < 1e-3


@pytest.mark.parametrize("shape", SHAPES)
def test_a_bounce_flies_on_parabolas_with_the_earths_gravity_and_keeps_its_spin_in_flight(shape: Shape) -> None:
    measured = Measured(_room(Motion.BOUNCE, shape), 4.0)
    assert measured.flies.mean() > 0.9, "second differences are g downwards and nothing sideways"
    # Contacts are short: runs of at least 20 steps in flight keep energy and angular momentum.
    edges = np.flatnonzero(np.diff(np.concatenate([[0], measured.flies.astype(int), [0]])))
    runs = [(low, high) for low, high in edges.reshape(-1, 2) if high - low > 20]
    assert len(runs) >= 4
    for low, high in runs:
        assert np.ptp(measured.energy[low:high]) < 0.005 * measured.energy[0]
        swing = np.linalg.norm(measured.momentum[low:high] - measured.momentum[low], axis=1)
        assert swing.max() < 0.02 * np.linalg.norm(measured.momentum[low]) + 1e-4


def test_an_orb_bounces_at_least_four_times_in_four_seconds_and_loses_the_same_share_each_time() -> None:
    for seed in range(3):
        room = _room(Motion.BOUNCE, Shape.ORB, seed)
        up_m = -simulate(room, 4.0).centers[:, 1] - room.object_size_m
        low = np.flatnonzero((up_m[1:-1] < up_m[:-2]) & (up_m[1:-1] <= up_m[2:]) & (up_m[1:-1] < 0.02)) + 1
        assert len(low) >= 4
        apexes = np.array([up_m[a:b].max() for a, b in itertools.pairwise(low)])
        shares = apexes[1:] / apexes[:-1]
        np.testing.assert_allclose(np.sqrt(shares), 0.86, atol=0.04)
        assert apexes[-1] > 0.25, "the last bounce is still seen"


@pytest.mark.parametrize("motion", [Motion.BOUNCE, Motion.ROLL, Motion.TOPPLE])
@pytest.mark.parametrize("shape", SHAPES)
def test_energy_never_grows_from_one_moment_to_the_next_but_for_what_contacts_store(motion, shape) -> None:
    for seed in range(4):
        measured = Measured(_room(motion, shape, seed), 3.0)
        # Contacts are springs that hold energy for some milliseconds: compare the most of each 0.1 s.
        width = round(0.1 / measured.step_s)
        count = len(measured.energy) // width
        most = measured.energy[: count * width].reshape(count, width).max(axis=1)
        assert (np.diff(most) < 0.03 * most[0]).all()
        assert most.max() < 1.01 * most[0]
        assert most[-1] < most[0] - 0.05


def test_the_energy_check_sees_energy_that_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Measured(_room(Motion.SWING, Shape.ORB), 1.0)
    monkeypatch.setattr("clips.dungeon.physics.GRAVITY", 9.0)
    wrong = Measured(_room(Motion.SWING, Shape.ORB), 1.0)
    assert np.ptp(wrong.energy) > 10 * np.ptp(honest.energy)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_pendulum_keeps_its_period_and_energy(shape: Shape) -> None:
    room = _room(Motion.SWING, shape, 2)
    track = simulate(room, 12.0)
    middle, moments = _balance(shape)
    size = room.object_size_m
    hook_m = float(np.linalg.norm(track.centers[0] - track.cord_from))
    arm_m = hook_m + size * middle[1]
    slow_s = 2 * math.pi * math.sqrt((arm_m**2 + size**2 * moments[0]) / (G * arm_m))
    along = (track.centers - track.cord_from) / hook_m
    widest = float(np.arccos(along[:, 1].min()))
    assert math.radians(12.0) < widest < math.radians(36.0)
    expected_s = slow_s * (1 + widest**2 / 16 + 11 * widest**4 / 3072)
    across = along[:, [0, 2]] @ (along[np.argmin(along[:, 1])][[0, 2]])
    rising = np.flatnonzero((across[:-1] < 0) & (across[1:] >= 0))
    exact = rising + across[rising] / (across[rising] - across[rising + 1])
    np.testing.assert_allclose(np.diff(exact) * track.step_s, expected_s, rtol=0.003)
    measured = Measured(room, 12.0)
    assert np.ptp(measured.energy) < 0.01 * G * arm_m * (1 - math.cos(widest)) + 0.01


def test_a_rolling_orb_does_not_slip_and_slows_down_until_a_wall_turns_it_round() -> None:
    for seed in range(4):
        room = _room(Motion.ROLL, Shape.ORB, seed)
        measured = Measured(room, 4.0)
        first = slice(round(0.1 / measured.step_s), round(0.8 / measured.step_s))
        turns = physics.rotation_matrices(simulate(room, 4.0).quats)[:-1]
        spin = np.einsum("tij,tj->ti", turns, measured.spin)
        # The velocity of the lowest point, which touches the floor: v + omega x r, r straight down.
        touching = measured.velocity + np.cross(spin, [0.0, room.object_size_m, 0.0])
        speed = np.linalg.norm(measured.velocity, axis=1)
        assert np.linalg.norm(touching[first], axis=1).max() < 0.03 * speed[first].min()
        assert 0.7 < speed[first].mean() < 1.5
        assert speed[first][-1] < speed[first][0]
        x = measured.mass_at[:, 0]
        assert np.ptp(x) > 1.0 and speed[round(3.0 / measured.step_s)] > 0.1, "still rolls after three seconds"


@pytest.mark.parametrize("shape", [Shape.CUBE, Shape.CRYSTAL, Shape.CONE])
def test_what_topples_ends_at_rest_lower_than_it_began_and_lies_on_a_side(shape: Shape) -> None:
    for seed in range(4):
        room = _room(Motion.TOPPLE, shape, seed)
        measured = Measured(room, 7.0)
        heights = -measured.mass_at[:, 1]
        assert heights[-1] < 0.85 * heights[0]
        late = slice(-round(0.5 / measured.step_s), None)
        assert np.linalg.norm(measured.velocity[late], axis=1).max() < 0.06
        assert np.linalg.norm(measured.velocity, axis=1).max() > 0.5
        assert np.ptp(heights[late]) < 0.01


def test_cubes_crystals_and_cones_tumble_as_they_roll() -> None:
    for shape in (Shape.CUBE, Shape.CRYSTAL, Shape.CONE):
        measured = Measured(_room(Motion.ROLL, shape, 3), 2.0)
        turned_rad = np.linalg.norm(measured.spin, axis=1).sum() * measured.step_s
        assert turned_rad > math.pi / 2 and np.ptp(measured.mass_at[:, 0]) > 0.5


def test_the_start_depends_on_the_motion_seed_and_on_no_look() -> None:
    for motion in sorted(PHYSICAL):
        room = _room(motion, Shape.CUBE, motion_seed=5)
        same = _room(motion, Shape.CUBE, motion_seed=5, color="red", texture_seed=9, wall="brick")
        other = _room(motion, Shape.CUBE, motion_seed=6)
        assert simulate(room, 0.5).centers.tobytes() == simulate(same, 0.5).centers.tobytes()
        assert not np.allclose(simulate(room, 0.5).centers, simulate(other, 0.5).centers)


def test_a_longer_track_begins_with_the_shorter_one() -> None:
    for motion in sorted(PHYSICAL):
        room = _room(motion, Shape.CONE)
        short, long = simulate(room, 0.5), simulate(room, 1.5)
        assert long.centers[: len(short.centers)].tobytes() == short.centers.tobytes()
        assert long.quats[: len(short.quats)].tobytes() == short.quats.tobytes()


def test_between_two_steps_the_pose_lies_between_theirs() -> None:
    for motion in (Motion.ROLL, Motion.SWING):
        track = simulate(_room(motion, Shape.CUBE), 1.0)
        row = 200
        times = (row + np.linspace(0.0, 1.0, 5)) * track.step_s
        centers, rotations = track.at(times)
        np.testing.assert_allclose(centers[0], track.centers[row], atol=1e-12)
        np.testing.assert_allclose(centers[-1], track.centers[row + 1], atol=1e-12)
        steps = np.arccos((np.einsum("tij,tij->t", rotations[:-1], rotations[1:]) - 1) / 2)
        np.testing.assert_allclose(steps, steps[0], rtol=1e-3)
        assert (np.linalg.norm(np.diff(centers, axis=0), axis=1) > 0).all()


def test_a_simulation_that_breaks_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(model, data, initial_state, nstep):
        states = np.repeat(initial_state[:, None], nstep, axis=1)
        states[0, 40:, 3] = np.nan
        return states, None

    monkeypatch.setattr("clips.dungeon.physics.rollout.rollout", broken)
    with pytest.raises(InvalidRoom, match=r"simulated bounce of motion_seed \d+ broke at 0.041 s"):
        simulate(_room(Motion.BOUNCE, Shape.ORB), 1.0)


@pytest.mark.parametrize("seconds", [-0.1, float("nan"), float("inf"), 601.0])
def test_seconds_that_cannot_be_simulated_are_refused(seconds: float) -> None:
    with pytest.raises(InvalidClip, match=r"must be within \[0, 600.0\] s, got"):
        simulate(_room(Motion.ROLL, Shape.ORB), seconds)


def test_closed_forms_are_not_simulated() -> None:
    with pytest.raises(InvalidRoom, match="motion must be one of bounce, roll, swing, topple, got hover"):
        simulate(_room(Motion.HOVER, Shape.ORB), 1.0)
