"""Mesh: triangles in the gate frame, as collision proxies and grayboxes are made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from recon.errors import InvalidScene


@dataclass(frozen=True, eq=False)
class Mesh:
    """Triangles in the gate frame (x right, y down, z into the room, metres).

    Attributes:
        vertices: (V, 3), float64.
        faces: vertex numbers, (F, 3); counter-clockwise seen from outside, so that normals point outwards.

    Raises:
        InvalidScene: a shape is wrong, a vertex is not finite, or a face names a vertex that does not exist.
    """

    vertices: Float[np.ndarray, "V 3"]
    faces: Int[np.ndarray, "F 3"]

    def __post_init__(self) -> None:
        vertices = np.ascontiguousarray(self.vertices, np.float64)
        faces = np.ascontiguousarray(self.faces, np.int64)
        if vertices.ndim != 2 or vertices.shape[1] != 3 or faces.ndim != 2 or faces.shape[1] != 3:
            raise InvalidScene(f"mesh: expected vertices (V, 3) and faces (F, 3), got {vertices.shape}, {faces.shape}")
        if not np.isfinite(vertices).all():
            raise InvalidScene("mesh: vertices must be finite")
        if len(faces) and (faces.min() < 0 or faces.max() >= len(vertices)):
            raise InvalidScene(f"mesh: faces must name vertices 0 to {len(vertices) - 1}")
        object.__setattr__(self, "vertices", vertices)
        object.__setattr__(self, "faces", faces)

    def __len__(self) -> int:
        return int(self.faces.shape[0])

    @property
    def corners(self) -> Float[np.ndarray, "F 3 3"]:
        """The three corners of every triangle, (F, 3, 3), metres."""
        return np.asarray(self.vertices[self.faces])

    @property
    def is_watertight(self) -> bool:
        """True where every edge joins exactly two triangles that run along it in opposite directions."""
        if len(self) == 0:
            return False
        edges = self.faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2)
        _, there = np.unique(edges, axis=0, return_counts=True)
        keys = edges[:, 0] * len(self.vertices) + edges[:, 1]
        back = edges[:, 1] * len(self.vertices) + edges[:, 0]
        return bool((there == 1).all() and np.isin(back, keys).all() and (edges[:, 0] != edges[:, 1]).all())

    @property
    def volume_m3(self) -> float:
        """Enclosed volume in cubic metres, positive where normals point outwards; means nothing for open meshes."""
        a, b, c = (self.corners[:, k] for k in range(3))
        return float((a * np.cross(b, c)).sum() / 6.0)


def joined(meshes: list[Mesh]) -> Mesh:
    """All triangles of `meshes` in order; an empty mesh where there are none."""
    if not meshes:
        return Mesh(np.zeros((0, 3)), np.zeros((0, 3), np.int64))
    starts = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes[:-1])])
    faces = [mesh.faces + start for mesh, start in zip(meshes, starts.tolist(), strict=True)]
    return Mesh(np.concatenate([mesh.vertices for mesh in meshes]), np.concatenate(faces))


def box(low: np.ndarray, high: np.ndarray) -> Mesh:
    """The box between two corners (3,), metres."""
    corners = np.array([[(k >> axis) & 1 for axis in range(3)] for k in range(8)], np.float64)
    vertices = np.asarray(low) + corners * (np.asarray(high, np.float64) - np.asarray(low))
    quads = [[0, 4, 6, 2], [1, 3, 7, 5], [0, 1, 5, 4], [2, 6, 7, 3], [0, 2, 3, 1], [4, 5, 7, 6]]
    faces = [[q[0], q[k], q[k + 1]] for q in quads for k in (1, 2)]
    return Mesh(vertices, np.array(faces))
