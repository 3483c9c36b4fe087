"""Reachability: whether an agent that walks can get from one place to another over a mesh.

As Recast does (Mononen 2009): the mesh becomes voxels; an agent can be where there is ground and nothing from a step's
height up to its own; places are neighbours where the ground rises or falls by at most a step; and from every border the
agent keeps as far away as it is wide.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra

from recon.errors import InvalidScene
from recon.mesh import Mesh

CELLS_M = (0.05, 0.1)
MAX_CELLS = 40_000_000
NEAR_M = 0.4
_WALKABLE = 0.7
_PADDING_CELLS = 3
_UPWARD = np.array([1.0, -1.0, 1.0])
_STEPS = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1))


@dataclass(frozen=True)
class Agent:
    """Who walks: `radius_m` around, `height_m` tall, over steps of up to `step_m`.

    Raises:
        InvalidScene: a size is not positive, or the step is as high as the agent.
    """

    radius_m: float = 0.3
    height_m: float = 1.8
    step_m: float = 0.3

    def __post_init__(self) -> None:
        if not (0 < self.radius_m < 10 and 0 < self.step_m < self.height_m < 100):
            raise InvalidScene(f"agent: expected positive sizes and a step lower than its height, got {self}")


@dataclass(frozen=True)
class Way:
    """Whether a place is reached, how long the way is (metres; inf where there is none), and why not, in words."""

    reachable: bool
    length_m: float
    reason: str


def find_way(mesh: Mesh, start: np.ndarray, goal: np.ndarray, agent: Agent | None = None) -> Way:
    """The shortest way over `mesh` from `start` to `goal`, points (3,) at the feet in the gate frame.

    Both count as reached within 0.4 m along the floor and a step's height. Cells are 0.05 m, in large meshes 0.1 m; a
    passage must be wider than the agent by up to two of them.

    Raises:
        InvalidScene: the mesh is so large that its grid would have more than 40 million cells.
    """
    return Ground(mesh, agent or Agent()).way(np.asarray(start, np.float64), np.asarray(goal, np.float64))


class Ground:
    """Where an agent can stand on a mesh, as cells of a grid whose second axis is up."""

    def __init__(self, mesh: Mesh, agent: Agent) -> None:
        self._agent = agent
        low, size = _extent(mesh)
        self._cell_m = next((cell_m for cell_m in CELLS_M if _cells(size, agent, cell_m).prod() <= MAX_CELLS), 0.0)
        if not self._cell_m:
            raise InvalidScene(f"reachability: {size.round(1).tolist()} m is too large for cells of {CELLS_M[-1]} m")
        self._origin = low - _PADDING_CELLS * self._cell_m
        shape = tuple(_cells(size, agent, self._cell_m).astype(int).tolist())
        points, level = _samples(mesh, self._cell_m)
        self._places = np.argwhere(self._clear(points, level, shape))
        self._shape = np.array(shape)
        self._links = self._neighbours()
        for _ in range(int(np.ceil(agent.radius_m / self._cell_m - 0.5))):
            inner = (self._links >= 0).all(axis=1)
            if inner.all():
                break
            self._places = self._places[inner]
            self._links = self._neighbours()

    def stands_at(self, position: np.ndarray) -> bool:
        """True where the agent can stand at `position` (3,), gate frame, within 0.1 m and a step's height."""
        return len(self._near(position, 0.1)) > 0

    def way(self, start: np.ndarray, goal: np.ndarray) -> Way:
        """The shortest way from `start` to `goal`, (3,) each; see `find_way`."""
        near_start, near_goal = self._near(start, NEAR_M), self._near(goal, NEAR_M)
        for name, near in (("start", near_start), ("goal", near_goal)):
            if not len(near):
                return Way(False, float("inf"), f"nobody can stand at the {name}")
        ahead = np.stack([np.abs(step) for step in _STEPS]).sum(axis=1)
        rows, columns = np.nonzero(self._links >= 0)
        ends = self._links[rows, columns]
        rises = self._places[rows, 1] - self._places[ends, 1]
        lengths = self._cell_m * np.sqrt(ahead[columns] + rises.astype(float) ** 2)
        graph = coo_array((lengths, (rows, ends)), shape=(len(self._places), len(self._places))).tocsr()
        length_m = float(np.min(dijkstra(graph, indices=near_start[0])[near_goal]))
        if not np.isfinite(length_m):
            return Way(False, float("inf"), "no way leads there")
        return Way(True, length_m, "")

    def _clear(self, points: np.ndarray, level: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """True at the cells with ground in them and air above: nothing from over a step's height to the full height."""
        solid, floor = np.zeros(shape, bool), np.zeros(shape, bool)
        cells = np.floor((points - self._origin) / self._cell_m).astype(int)
        solid[tuple(cells.T)] = True
        floor[tuple(cells[level].T)] = True
        step = round(self._agent.step_m / self._cell_m)
        head = int(np.ceil(self._agent.height_m / self._cell_m))
        filled, grounds = np.cumsum(solid, axis=1), np.cumsum(floor, axis=1)
        reach = shape[1] - head
        # Within a step's height the highest ground is what one stands on: the upper side of a slab, not its lower one.
        topmost = grounds[:, step : step + reach] == grounds[:, :reach]
        air = filled[:, head:] == filled[:, step : step + reach]
        stands = np.zeros(shape, bool)
        stands[:, :reach] = floor[:, :reach] & topmost & air
        return stands

    def _near(self, position: np.ndarray, within_m: float) -> np.ndarray:
        """Numbers of the places close to a position, the nearest first."""
        up = np.array([position[0], -position[1], position[2]])
        apart = self._origin + (self._places + 0.5) * self._cell_m - up
        aside = np.hypot(apart[:, 0], apart[:, 2])
        near = np.flatnonzero((aside <= within_m) & (np.abs(apart[:, 1]) <= self._agent.step_m + self._cell_m))
        return np.asarray(near[np.argsort(aside[near], kind="stable")])

    def _neighbours(self) -> np.ndarray:
        """The place that a step in each of eight directions leads to, the most level one, (P, 8); -1 for none."""
        numbers = np.full(self._shape, -1, np.int32)
        numbers[tuple(self._places.T)] = np.arange(len(self._places))
        step = round(self._agent.step_m / self._cell_m)
        links = np.full((len(self._places), len(_STEPS)), -1, np.int32)
        for column, (x, z) in enumerate(_STEPS):
            for y in sorted(range(-step, step + 1), key=abs):
                there = self._places + np.array([x, y, z])
                open_still = (links[:, column] < 0) & np.all((there >= 0) & (there < self._shape), axis=1)
                links[open_still, column] = numbers[tuple(there[open_still].T)]
        return links


def _extent(mesh: Mesh) -> tuple[np.ndarray, np.ndarray]:
    """The mesh's low corner with up positive, and its size, (3,) each."""
    if not len(mesh.vertices):
        return np.zeros(3), np.zeros(3)
    points = mesh.vertices * _UPWARD
    return points.min(axis=0), np.ptp(points, axis=0)


def _cells(size: np.ndarray, agent: Agent, cell_m: float) -> np.ndarray:
    """Cells along each axis, (3,), with room above for the agent's head."""
    padding = np.array([2.0, 2.0 + agent.height_m / cell_m / _PADDING_CELLS, 2.0]) * _PADDING_CELLS
    return np.asarray(np.ceil(size / cell_m + padding))


def _samples(mesh: Mesh, cell_m: float) -> tuple[Float[np.ndarray, "M 3"], np.ndarray]:
    """Points on the triangles no farther apart than 0.7 of a cell, up positive, and whether one can walk on them."""
    corners = mesh.corners * _UPWARD
    a, b, c = (corners[:, k] for k in range(3))
    normals = np.cross(b - a, c - a)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    longest = np.max([np.linalg.norm(p - q, axis=1) for p, q in ((a, b), (b, c), (c, a))], axis=0)
    cuts = np.maximum(np.ceil(longest / (0.7 * cell_m)).astype(int), 1) if len(mesh) else np.zeros(0, int)
    points, level = [np.zeros((0, 3))], [np.zeros(0, bool)]
    for count in np.unique(cuts).tolist():
        chosen = np.flatnonzero(cuts == count)
        first, second = np.array([(i, j) for i in range(count + 1) for j in range(count + 1 - i)]).T / count
        made = (
            a[chosen, None] * (1.0 - first - second)[None, :, None]
            + b[chosen, None] * first[None, :, None]
            + c[chosen, None] * second[None, :, None]
        )
        points.append(made.reshape(-1, 3))
        # Meshes of engines may be wound either way: a level triangle counts whichever side is its outer one.
        level.append(np.repeat(np.abs(normals[chosen, 1]) > _WALKABLE, len(first)))
    return np.concatenate(points), np.concatenate(level)
