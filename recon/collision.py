"""Collision proxy: what stands still in a scene as a few watertight solids that a physics engine can take.

Large planes become slabs behind their surfaces, the floor one slab under everything, small things convex hulls, and
what is neither a thick shell. What nobody has seen is free, but for the ground under the floor.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clips.cameras import Cameras
from recon.clusters import connected, convex_pieces
from recon.errors import InvalidScene
from recon.mesh import Mesh, box, joined
from recon.planes import UP, Plane, find_floor, find_planes, fitted
from recon.scene import Scene4D
from recon.slabs import hull, simplified, slab
from recon.solid import solid_mesh
from recon.surfels import Surfels, surfels_of

MIN_TRIANGLES = 12
_SURFEL_M = 0.06
_GATE_HALF_WIDTH_M, _BEFORE_GATE_M, _AROUND_CAMERAS_M = 1.0, 0.5, 0.5
_LEVEL = 0.8
_PLANE_M = (0.06, 0.2)
_OUTLIERS = 0.005
_INNER = 0.4
_CONNECTED_M = 0.15
_LEAST_THING_M2 = 0.04
_DENT_M = 0.08
_CUTS = 3
_SKIN_M = 0.04
_ON_FLOOR_M = 0.35
_DIRECTIONS = 48
_SHELL_TOLERANCE = 0.35
_COARSER = 1.4
_SHELL_TRIES = 8


@dataclass(frozen=True)
class CollisionSettings:
    """How a proxy is made.

    Attributes:
        max_triangles: of all parts together.
        thickness_m: of slabs, behind the surface; fast things pass through thin walls.
        plane_m: how far from a plane its surface may be; None: at least 0.06, more where the floor is rough, as it is
            in generated clips.
        least_plane_m2: the smallest flat surface that becomes a slab.
        largest_convex_m: things of at most this extent become convex parts.
        cell_m: of the shell around what is neither flat nor small; it grows where the triangles do not suffice.

    Raises:
        InvalidScene: a field is out of range; the message names it.
    """

    max_triangles: int = 2_000
    thickness_m: float = 0.2
    plane_m: float | None = None
    least_plane_m2: float = 1.5
    largest_convex_m: float = 3.5
    cell_m: float = 0.1

    def __post_init__(self) -> None:
        limits = {
            "max_triangles": (MIN_TRIANGLES, 10_000_000),
            "thickness_m": (0.01, 5.0),
            "plane_m": (0.005, 1.0),
            "least_plane_m2": (0.01, 1e4),
            "largest_convex_m": (0.0, 1e3),
            "cell_m": (0.01, 2.0),
        }
        for field, (low, high) in limits.items():
            got = getattr(self, field)
            if got is None:
                continue
            if not low <= got <= high:
                raise InvalidScene(f"collision settings: {field} must be within [{low}, {high}], got {got}")


@dataclass(frozen=True, eq=False)
class CollisionPart:
    """One watertight solid: its name ("floor", "wall_0", "thing_3", "shell_0"), its mesh, and whether it is convex."""

    name: str
    mesh: Mesh
    convex: bool


@dataclass(frozen=True, eq=False)
class CollisionProxy:
    """The solids of a scene, in the gate frame, and its floor; `floor` is None where none was found."""

    parts: tuple[CollisionPart, ...]
    floor: Plane | None

    @property
    def mesh(self) -> Mesh:
        """All parts as one mesh."""
        return joined([part.mesh for part in self.parts])

    @property
    def triangles(self) -> int:
        """How many triangles all parts have."""
        return sum(len(part.mesh) for part in self.parts)


def collision_proxy(scene: Scene4D, cameras: Cameras, settings: CollisionSettings | None = None) -> CollisionProxy:
    """The proxy of the static splats of `scene`; `cameras` are those of its clip and say which side was seen.

    Within the budget the floor comes first, then planes by area, then things by area; shells are made coarser until
    they fit. What still does not fit is left out: a proxy never has more than `max_triangles`.
    """
    settings = settings or CollisionSettings()
    surfels = surfels_of(scene, cameras, _SURFEL_M)
    floor = find_floor(surfels) if len(surfels) else None
    parts: list[CollisionPart] = []
    rest, plane_m = surfels, settings.plane_m or _roughness_m(surfels, floor)
    if floor is not None:
        parts.append(CollisionPart("floor", _ground(floor, surfels, cameras, settings), convex=True))
        rest = surfels[floor.heights(surfels.positions) > plane_m]
    planes = find_planes(rest, plane_m, settings.least_plane_m2)
    flat_parts = [_flat_part(rest[mask], k, plane_m, settings.thickness_m) for k, mask in enumerate(planes)]
    parts += [part for part in flat_parts if part is not None]
    flat = np.any(planes, axis=0) if planes else np.zeros(len(rest), bool)
    things, left = _things(rest[~flat], floor, settings)
    parts = _affordable([*parts, *things], settings.max_triangles)
    shell = _shell(left, settings, settings.max_triangles - sum(len(part.mesh) for part in parts))
    return CollisionProxy((*parts, *shell), floor)


def _roughness_m(surfels: Surfels, floor: Plane | None) -> float:
    """Three standard deviations of the floor's surface about its plane, metres, within 0.06 and 0.2."""
    if floor is None:
        return _PLANE_M[0]
    heights = np.abs(floor.heights(surfels.positions[surfels.normals @ UP > _LEVEL]))
    near = heights[heights < 2.0 * _PLANE_M[1]]
    return float(np.clip(3.0 * 1.4826 * np.median(near), *_PLANE_M)) if len(near) else _PLANE_M[0]


def _ground(floor: Plane, surfels: Surfels, cameras: Cameras, settings: CollisionSettings) -> Mesh:
    """A slab under all that was seen, under the cameras' path and through the gate's opening."""
    eyes = cameras.positions
    gate = np.array([[-_GATE_HALF_WIDTH_M, 0, -_BEFORE_GATE_M], [_GATE_HALF_WIDTH_M, 0, 0]])
    seen = np.quantile(surfels.positions, [_OUTLIERS, 1.0 - _OUTLIERS], axis=0)
    around = [seen, gate, eyes - _AROUND_CAMERAS_M, eyes + _AROUND_CAMERAS_M]
    low, high = np.concatenate(around).min(axis=0), np.concatenate(around).max(axis=0)
    ground = box(np.array([low[0], 0.0, low[2]]), np.array([high[0], 1.0, high[2]]))
    top = floor.dropped(ground.vertices)
    below = np.array([0.0, settings.thickness_m, 0.0])
    return Mesh(np.where(ground.vertices[:, 1:2] > 0.5, top + below, top), ground.faces)


def _flat_part(surfels: Surfels, number: int, plane_m: float, thickness_m: float) -> CollisionPart | None:
    plane = _plane_of(surfels, plane_m)
    mesh = slab(surfels, plane, thickness_m)
    upward = float(plane.normal @ UP)
    kind = "ledge" if upward > _LEVEL else "ceiling" if upward < -_LEVEL else "wall"
    return None if mesh is None else CollisionPart(f"{kind}_{number}", mesh, convex=False)


def _plane_of(surfels: Surfels, plane_m: float) -> Plane:
    """The plane of surfels that lie within `plane_m` of it.

    Those in the corners of a room are off the wall, all to one side: the median says where it is, and those near that
    how it is tilted.
    """
    weights = surfels.areas / surfels.areas.sum()
    normal = weights @ surfels.normals
    normal /= np.linalg.norm(normal)
    offsets = surfels.positions @ normal
    order = np.argsort(offsets)
    middle = float(offsets[order][np.searchsorted(np.cumsum(weights[order]), 0.5)])
    near = np.abs(offsets - middle) < _INNER * plane_m
    return fitted(surfels[near], Plane(normal, middle))


def _things(surfels: Surfels, floor: Plane | None, settings: CollisionSettings) -> tuple[list[CollisionPart], Surfels]:
    """Convex parts of small things, and the surfels of large ones."""
    parts: list[CollisionPart] = []
    left = np.zeros(len(surfels), bool)
    for members in connected(surfels, _CONNECTED_M):
        thing = surfels[members]
        if thing.areas.sum() < _LEAST_THING_M2:
            continue
        if np.ptp(thing.positions, axis=0).max() > settings.largest_convex_m:
            left[members] = True
            continue
        for piece in convex_pieces(thing, _DENT_M, _CUTS):
            mesh = hull(_rounded_off(_filled(thing[piece], floor)))
            if mesh is not None:
                parts.append(CollisionPart(f"thing_{len(parts)}", mesh, convex=True))
    return parts, surfels[left]


def _filled(thing: Surfels, floor: Plane | None) -> np.ndarray:
    """Points (M, 3) of a thing: its surface, a skin behind it, and its shadow on the floor where it stands on that."""
    points = np.concatenate([thing.positions, thing.positions - _SKIN_M * thing.normals])
    if floor is None or floor.heights(points).min() > _ON_FLOOR_M:
        return points
    return np.concatenate([points, floor.dropped(points)])


def _rounded_off(points: np.ndarray) -> np.ndarray:
    """The points (at most 48) that lie farthest out in directions spread evenly over the sphere."""
    number = np.arange(_DIRECTIONS) + 0.5
    height, turn = 1.0 - 2.0 * number / _DIRECTIONS, number * np.pi * (3.0 - np.sqrt(5.0))
    ring = np.sqrt(1.0 - height**2)
    directions = np.stack([ring * np.cos(turn), height, ring * np.sin(turn)], axis=1)
    axes = np.concatenate([np.eye(3), -np.eye(3)])
    return np.asarray(points[np.unique((points @ np.concatenate([directions, axes]).T).argmax(axis=0))])


def _affordable(parts: list[CollisionPart], budget: int) -> list[CollisionPart]:
    kept, used = [], 0
    for part in parts:
        if used + len(part.mesh) <= budget:
            kept.append(part)
            used += len(part.mesh)
    return kept


def _shell(surfels: Surfels, settings: CollisionSettings, budget: int) -> list[CollisionPart]:
    """One shell around `surfels` of at most `budget` triangles; none where there are no surfels or no triangles."""
    cell_m = settings.cell_m
    for _ in range(_SHELL_TRIES if len(surfels) and budget >= MIN_TRIANGLES else 0):
        mesh = simplified(solid_mesh(surfels, cell_m), _SHELL_TOLERANCE * cell_m)
        if 0 < len(mesh) <= budget:
            return [CollisionPart("shell_0", mesh, convex=False)]
        cell_m *= _COARSER
    return []
