"""How a physical motion begins: place, turn and speed of the free object, drawn from RoomSpec.motion_seed.

Everything here is in MuJoCo's axes (x right, y into the room, z up), metres and radians.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from scipy.spatial.transform import Rotation

from clips.dungeon.attributes import Motion, Shape
from clips.dungeon.bodies import radius, reach
from clips.dungeon.scene import RoomSpec
from clips.dungeon.space import GRAVITY, ROAM_M, FreeSpace

TOUCH_M = 0.005
"""What has corners and starts on the floor starts this far above it, so that no contact begins compressed."""

_FASTEST_M_S = {Shape.ORB: 1.3, Shape.CUBE: 4.0, Shape.CRYSTAL: 4.2, Shape.CONE: 2.4}
"""Of a roll's push: what has edges loses speed at each of them, and would lie still at once if slow."""


@dataclass(frozen=True, eq=False)
class Push:
    """The first state of a simulation, in MuJoCo's axes.

    Attributes:
        position_m: of the object's centre, or of the hook where the cord hangs from, (3,).
        quat: w, x, y, z, object to room, unit, (4,).
        velocity_m_s: of the centre, (3,); zeros on a cord.
        spin: radians per second, (3,): about the room's axes, on a cord about the object's.
        cord_m: from the hook to the object's centre; None without a cord.
    """

    position_m: Float64[np.ndarray, "3"]
    quat: Float64[np.ndarray, "4"]
    velocity_m_s: Float64[np.ndarray, "3"]
    spin: Float64[np.ndarray, "3"]
    cord_m: float | None = None


def push(room: RoomSpec, space: FreeSpace) -> Push:
    """The start of the room's bounce, roll, topple or swing; the same motion_seed gives the same start."""
    rng = np.random.default_rng(room.motion_seed)
    if room.motion is Motion.BOUNCE:
        return _bounce(room, space, rng)
    if room.motion is Motion.ROLL:
        return _roll(room, space, rng)
    if room.motion is Motion.TOPPLE:
        return _topple(room, space, rng)
    return _swing(room, space, rng)


def _bounce(room: RoomSpec, space: FreeSpace, rng: np.random.Generator) -> Push:
    """Somewhere on a fall from just below the ceiling, on its way up or down, with a little sideways speed."""
    around_m = radius(room.shape) * room.object_size_m
    apex_m = rng.uniform(0.85, 1.0) * (space.height_m - 2 * around_m - 0.1)
    height_m = rng.uniform(0.5, 1.0) * apex_m
    up_m_s = _sign(rng) * math.sqrt(2 * GRAVITY * (apex_m - height_m))
    sideways = _along(_sign(rng), rng, 0.6) * rng.uniform(0.15, 0.45)
    position_m = np.array([*space.center_m, around_m + height_m])
    turn = Rotation.from_euler("z", room.object_yaw_rad)
    spin = rng.uniform(-1.5, 1.5, 3)
    return Push(position_m, _quat(turn), sideways + np.array([0.0, 0.0, up_m_s]), spin)


def _roll(room: RoomSpec, space: FreeSpace, rng: np.random.Generator) -> Push:
    """On the floor at one side, pushed towards the other, its spin that of rolling."""
    sign = _sign(rng)
    heading = _along(sign, rng, 0.3)
    across = np.array([-heading[1], heading[0], 0.0])
    lying = Rotation.from_euler("z", room.object_yaw_rad)
    if room.shape is not Shape.ORB:
        lying = _lying(room.shape, across, rng)
    center_m = _above_floor(room, lying)
    speed_m_s = rng.uniform(0.75, 1.0) * _FASTEST_M_S[room.shape]
    around_m = radius(room.shape) * room.object_size_m
    side = space.x_m[0] + around_m if sign > 0 else space.x_m[1] - around_m
    position_m = np.array([side, space.center_m[1], center_m])
    spin = across * speed_m_s / center_m
    return Push(position_m, _quat(lying), speed_m_s * heading, spin)


def _topple(room: RoomSpec, space: FreeSpace, rng: np.random.Generator) -> Push:
    """Balanced on a corner or its tip, and tilted past that balance; an orb is nudged."""
    heading = _along(_sign(rng), rng, math.pi)
    across = np.array([-heading[1], heading[0], 0.0])
    stands = _on(_TIPS[room.shape])
    tilt = Rotation.from_rotvec(across * math.radians(rng.uniform(3.0, 8.0)))
    turn = tilt * Rotation.from_euler("z", rng.uniform(0.0, 2 * math.pi)) * stands
    center_m = _above_floor(room, turn)
    position_m = np.array([*space.center_m, center_m])
    if room.shape is Shape.ORB:
        speed_m_s = rng.uniform(0.3, 0.6)
        return Push(position_m, _quat(turn), speed_m_s * heading, across * speed_m_s / center_m)
    return Push(position_m, _quat(turn), np.zeros(3), np.zeros(3))


def _swing(room: RoomSpec, space: FreeSpace, rng: np.random.Generator) -> Push:
    """A pendulum somewhere on its way, mostly across the view."""
    around_m = radius(room.shape) * room.object_size_m
    cord_m = room.height_m - max(1.2, around_m + 0.15)
    # The hook moves aside where a prop would leave too little way to swing.
    left, right = space.x_m[0] + around_m, space.x_m[1] - around_m
    way_m = min(ROAM_M, (right - left) / 2)
    x = min(max(space.center_m[0], left + way_m), right - way_m)
    widest = min(math.radians(35.0), math.asin(min(1.0, way_m / cord_m)))
    amplitude = rng.uniform(math.radians(20.0), widest) if widest > math.radians(20.0) else widest
    heading = _along(_sign(rng), rng, 0.3)
    across = np.array([-heading[1], heading[0], 0.0])
    phase = rng.uniform(0.0, 2 * math.pi)
    tilt = Rotation.from_rotvec(-across * amplitude * math.cos(phase))
    turn = tilt * Rotation.from_euler("z", room.object_yaw_rad)
    speed = across * amplitude * math.sqrt(GRAVITY / cord_m) * math.sin(phase)
    hook = np.array([x, space.center_m[1], room.height_m])
    return Push(hook, _quat(turn), np.zeros(3), turn.inv().apply(speed), cord_m)


_TIPS: dict[Shape, tuple[float, float, float]] = {
    Shape.ORB: (0.0, 0.0, -1.0),
    Shape.CUBE: (1.0, 1.0, -1.0),
    Shape.CRYSTAL: (0.0, 0.0, -1.0),
    Shape.CONE: (0.0, 0.0, 1.0),
}
"""The corner or tip that a shape is balanced on, as a direction of its own axes (z up)."""


def _sign(rng: np.random.Generator) -> float:
    return 1.0 if rng.random() < 0.5 else -1.0


def _along(sign: float, rng: np.random.Generator, spread: float) -> np.ndarray:
    """A level unit vector within `spread` radians of the x axis."""
    angle = rng.uniform(-spread, spread)
    return np.array([sign * math.cos(angle), math.sin(angle), 0.0])


def _quat(turn: Rotation) -> np.ndarray:
    return np.asarray(turn.as_quat(scalar_first=True), dtype=np.float64)


def _on(tip: tuple[float, float, float]) -> Rotation:
    """The turn that points a direction of the object straight down."""
    turn, _ = Rotation.align_vectors([[0.0, 0.0, -1.0]], [np.array(tip) / np.linalg.norm(tip)])
    return turn


def _lying(shape: Shape, across: np.ndarray, rng: np.random.Generator) -> Rotation:
    """The turn that lays the object's long axis along `across`; the cube's faces look where it rolls."""
    level = Rotation.align_vectors([across], [[0.0, 0.0, 1.0]])[0]
    if shape is Shape.CUBE:
        return Rotation.from_euler("z", math.atan2(across[1], across[0]))
    about = Rotation.from_rotvec(across * rng.uniform(0.0, 2 * math.pi))
    return about * level


def _above_floor(room: RoomSpec, turn: Rotation) -> float:
    """How high the centre is, metres, when the turned object just clears the floor."""
    if room.shape is Shape.ORB:
        return room.object_size_m
    x, y, z = turn.inv().apply([0.0, 0.0, -1.0])
    # The object frame has y down: MuJoCo's z is its -y, MuJoCo's y its z.
    return TOUCH_M + room.object_size_m * reach(room.shape, np.array([x, -z, y]))
