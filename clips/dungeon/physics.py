"""Rigid-body tracks of the free object: MuJoCo's state at fixed steps, in the gate frame.

MuJoCo has z up; the gate frame (x right, y down, z into the room) is turned into it by `_TO_MUJOCO` and back in
`_gate`, nowhere else. Lengths inside a simulation are in units of the object's size, so that one compiled model
serves every size: gravity is divided by the size instead.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from functools import lru_cache

import mujoco
import numpy as np
from jaxtyping import Float64
from mujoco import rollout

from clips.dungeon.attributes import Motion, Shape
from clips.dungeon.bodies import vertices
from clips.dungeon.pushes import Push, push
from clips.dungeon.scene import SHAPE_HALVES, RoomSpec
from clips.dungeon.space import GRAVITY, FreeSpace, free_space
from clips.errors import InvalidClip, InvalidRoom

MAX_SECONDS = 600.0

PHYSICAL = frozenset({Motion.BOUNCE, Motion.ROLL, Motion.TOPPLE, Motion.SWING})
"""The motions that this module simulates."""

SWING_STEP_S = 0.0025


@dataclass(frozen=True)
class _Contact:
    """How a body touches: a damped spring (1/s2, 1/s; MuJoCo's negative solref), stepped finely enough for it.

    It sinks in by about speed / sqrt(stiffness) and gives back exp(-pi z) of the speed for a small damping of
    2 z sqrt(stiffness). Friction is sliding, spinning and rolling; None: none.
    """

    step_s: float
    stiffness: float
    damping: float
    wall_damping: float
    friction: tuple[float, float, float] | None
    floor_m: float = 0.0


# With friction, an elastic hit off the centre gains energy (Newton's restitution); without, it cannot. What bounces
# or tumbles turns round a little above the floor, because at speed it sinks in by up to 15 mm. Corners need stiffer
# contacts than orbs; the softer a contact, the more evenly it gives back the speed.
_CONTACTS = {
    Motion.BOUNCE: _Contact(0.001, 700_000.0, 86.0, 86.0, None, 0.006),
    Motion.ROLL: _Contact(0.0025, 100_000.0, 110.0, 25.0, (0.5, 0.005, 0.005), 0.004),
    Motion.TOPPLE: _Contact(0.0025, 100_000.0, 350.0, 32.0, (0.7, 0.01, 0.06), 0.002),
}
_ORB_CONTACTS = {
    Motion.BOUNCE: _Contact(0.001, 200_000.0, 46.0, 46.0, None, 0.005),
    Motion.ROLL: _Contact(0.0025, 100_000.0, 250.0, 25.0, (0.7, 0.01, 0.005)),
    Motion.TOPPLE: _Contact(0.0025, 100_000.0, 250.0, 32.0, (0.7, 0.01, 0.03)),
}

_TO_MUJOCO = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])


@dataclass(frozen=True, eq=False)
class Track:
    """Where the free object is at every step of its simulation, gate frame.

    Attributes:
        centers: (N, 3), metres; row k is at k * step_s scene seconds.
        quats: w, x, y, z, object to gate, unit, (N, 4).
        cord_from: where the cord hangs from, metres, (3,); None without one.
        step_s: seconds from one row to the next.
    """

    centers: Float64[np.ndarray, "N 3"]
    quats: Float64[np.ndarray, "N 4"]
    cord_from: Float64[np.ndarray, "3"] | None
    step_s: float

    def at(self, times: Float64[np.ndarray, " T"]) -> tuple[Float64[np.ndarray, "T 3"], Float64[np.ndarray, "T 3 3"]]:
        """Centres (T, 3) and rotations (T, 3, 3) at scene seconds, between steps on a line and by slerp."""
        place = np.asarray(times, dtype=np.float64) / self.step_s
        before = np.clip(np.floor(place).astype(np.int64), 0, len(self.centers) - 2)
        share = (place - before)[:, None]
        quats = _slerp(self.quats[before], self.quats[before + 1], share)
        if self.cord_from is None:
            centers = (1.0 - share) * self.centers[before] + share * self.centers[before + 1]
            return centers, rotation_matrices(quats)
        rotations = rotation_matrices(quats)
        # The cord is rigid: between steps too, the centre stays on its arc.
        arm = rotation_matrices(self.quats[:1])[0].T @ (self.centers[0] - self.cord_from)
        return self.cord_from + rotations @ arm, rotations


def simulate(room: RoomSpec, seconds: float) -> Track:
    """The track of the room's free object from scene second 0 until after `seconds`.

    The same room gives the same bytes; a longer track begins with the shorter one.

    Raises:
        InvalidClip: `seconds` is negative, not finite or more than MAX_SECONDS.
        InvalidRoom: the motion is no physical one, or the simulation does not stay finite.
    """
    if not 0.0 <= seconds <= MAX_SECONDS:
        raise InvalidClip(f"times of a physical motion must be within [0, {MAX_SECONDS}] s, got {seconds}")
    if room.motion not in PHYSICAL:
        raise InvalidRoom(f"room: motion must be one of {', '.join(sorted(PHYSICAL))}, got {room.motion}")
    space = free_space(room)
    start = push(room, space)
    model = _model(room, space, start)
    step_s = float(model.opt.timestep)
    steps = math.floor(seconds / step_s) + 1
    first = np.concatenate([[0.0], start.position_m / room.object_size_m, start.quat, _speeds(room, start)])
    if start.cord_m is not None:
        first = np.concatenate([[0.0], start.quat, start.spin])
    states, _ = rollout.rollout(model, mujoco.MjData(model), first[None], nstep=steps)
    states = np.concatenate([first[None], states[0]])
    if not np.isfinite(states).all():
        bad_s = step_s * int(np.flatnonzero(~np.isfinite(states).all(axis=1))[0])
        raise InvalidRoom(f"room: the simulated {room.motion} of motion_seed {room.motion_seed} broke at {bad_s:.3f} s")
    return _track(room, start, states, step_s)


def rotation_matrices(quats: Float64[np.ndarray, "N 4"]) -> Float64[np.ndarray, "N 3 3"]:
    """Rotation matrices (N, 3, 3) of unit quaternions w, x, y, z (N, 4)."""
    w, x, y, z = quats.T
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.ascontiguousarray(np.array(rows).transpose(2, 0, 1))


def _speeds(room: RoomSpec, start: Push) -> np.ndarray:
    # A free joint's spin is in the body's own axes.
    turn = rotation_matrices(start.quat[None])[0]
    return np.concatenate([start.velocity_m_s / room.object_size_m, turn.T @ start.spin])


def _gate(vectors: np.ndarray) -> np.ndarray:
    """Vectors (..., 3) of MuJoCo's axes in the gate frame."""
    return np.asarray(vectors @ _TO_MUJOCO)


def _track(room: RoomSpec, start: Push, states: np.ndarray, step_s: float) -> Track:
    pose = states[:, 1:5] if start.cord_m is not None else states[:, 4:8]
    quats = np.concatenate([pose[:, :1], _gate(pose[:, 1:])], axis=1)
    quats /= np.linalg.norm(quats, axis=1, keepdims=True)
    if start.cord_m is None:
        return Track(_gate(states[:, 1:4] * room.object_size_m), quats, None, step_s)
    hook = _gate(start.position_m)
    down = np.array([0.0, start.cord_m, 0.0])
    return Track(hook + rotation_matrices(quats) @ down, quats, hook, step_s)


def _slerp(first: np.ndarray, second: np.ndarray, share: np.ndarray) -> np.ndarray:
    cos = np.sum(first * second, axis=1, keepdims=True)
    second = np.where(cos < 0.0, -second, second)
    angle = np.arccos(np.minimum(np.abs(cos), 1.0))
    # Steps turn by milliradians: sin(a t) / sin(a) needs its limit at 0.
    scale = np.maximum(np.sin(angle), 1e-12)
    small = angle < 1e-9
    left = np.where(small, 1.0 - share, np.sin((1.0 - share) * angle) / scale)
    right = np.where(small, share, np.sin(share * angle) / scale)
    mixed = left * first + right * second
    return np.asarray(mixed / np.linalg.norm(mixed, axis=1, keepdims=True))


def _model(room: RoomSpec, space: FreeSpace, start: Push) -> mujoco.MjModel:
    """A model of this room: a compiled one with this room's gravity, walls and cord."""
    size = room.object_size_m
    # A copy of the compiled model is what may be changed.
    model = copy.copy(_compiled(room.shape, start.cord_m is not None))
    model.opt.gravity[2] = -GRAVITY / size
    if start.cord_m is not None:
        model.body_pos[1] = (start.position_m - np.array([0.0, 0.0, start.cord_m])) / size
        model.jnt_pos[0, 2] = start.cord_m / size
        return model
    contact = (_ORB_CONTACTS if room.shape is Shape.ORB else _CONTACTS)[room.motion]
    model.opt.timestep = contact.step_s
    x, y, z = ((low / size, high / size) for low, high in (space.x_m, space.z_m, (0.0, space.height_m)))
    model.geom_pos[1:6] = [(x[0], 0, 0), (x[1], 0, 0), (0, y[0], 0), (0, y[1], 0), (0, 0, z[1])]
    model.geom_pos[0, 2] = contact.floor_m / size
    model.geom_solref[1:6] = (-contact.stiffness, -contact.wall_damping)
    model.geom_solref[6] = (-contact.stiffness, -contact.damping)
    model.geom_condim[6] = 1 if contact.friction is None else 6
    model.geom_friction[6] = contact.friction or (0.0, 0.0, 0.0)
    return model


@lru_cache(maxsize=2 * len(Shape))
def _compiled(shape: Shape, hangs: bool) -> mujoco.MjModel:
    """The model of a shape of size 1: floor, four walls and a ceiling as planes, then the object; never changed."""
    x, y, z = SHAPE_HALVES[shape]
    mesh, body = "", f'type="box" size="{x} {z} {y}"'
    if shape is Shape.ORB:
        body = f'type="sphere" size="{x}"'
    elif shape is not Shape.CUBE:
        corners = " ".join(f"{value:.9f}" for value in (vertices(shape) @ _TO_MUJOCO.T).ravel())
        mesh, body = f'<mesh name="hull" inertia="exact" vertex="{corners}"/>', 'type="mesh" mesh="hull"'
    planes = ("1 0 0", "-1 0 0", "0 1 0", "0 -1 0", "0 0 -1")
    walls = "".join(f'<geom class="wall" type="plane" size="0 0 1" zaxis="{axis}"/>' for axis in planes)
    # What is compiled in the middle of its body stays there, a special case of MuJoCo's: neither joint nor floor is.
    joint = '<joint type="ball" pos="0 0 3"/>' if hangs else "<freejoint/>"
    contact = 'contype="0" conaffinity="0"' if hangs else 'priority="1"'
    return mujoco.MjModel.from_xml_string(f"""
<mujoco>
  <compiler angle="radian" boundmass="0" balanceinertia="false"/>
  <option timestep="{SWING_STEP_S}" cone="elliptic"><flag autoreset="disable"/></option>
  <default>
    <geom solimp="0.95 0.95 0.001 0.5 2"/>
    <default class="wall"><geom condim="1" priority="2"/></default>
  </default>
  <asset>{mesh}</asset>
  <worldbody>
    <geom type="plane" size="0 0 1" pos="0 0 -1"/>
    {walls}
    <body>{joint}<geom {body} mass="1" {contact}/></body>
  </worldbody>
</mujoco>""")
