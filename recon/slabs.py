"""Slabs and hulls: the simple solids that a collision proxy is made of, watertight by construction (manifold3d)."""

from __future__ import annotations

import manifold3d
import numpy as np

from recon.mesh import Mesh
from recon.planes import Plane
from recon.surfels import Surfels

_CELL_M = 0.1
_CLOSED_M = 0.15
_SPACINGS = 1.2
_SPIKE_M = 0.08
_ROUGH_M = 0.08
_LEAST_HOLE_M2 = 0.25
_LEAST_ISLAND_M2 = 0.05


def slab(surfels: Surfels, plane: Plane, thickness_m: float) -> Mesh | None:
    """The part of `plane` that surfels on it cover, `thickness_m` thick and behind it; None where that is nothing.

    Gaps up to 0.3 m across, where surfels are sparse up to 2.4 of their spacings, and holes under 0.25 square metres
    are closed; openings as large as doors stay open.
    """
    axes = _axes(plane.normal)
    flat = surfels.positions @ axes[:2].T
    cells = np.unique(np.floor(flat / _CELL_M).astype(np.int64), axis=0)
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
    squares = ((cells[:, None, :] + corners) * _CELL_M).astype(np.float64)
    outline = manifold3d.CrossSection(list(squares), manifold3d.FillRule.NonZero)
    closed_m = max(_CLOSED_M, _SPACINGS * float(np.sqrt(np.quantile(surfels.areas, 0.9))))
    outline = outline.offset(closed_m, manifold3d.JoinType.Miter).offset(-closed_m, manifold3d.JoinType.Miter)
    outline = outline.offset(-_SPIKE_M, manifold3d.JoinType.Miter).offset(_SPIKE_M, manifold3d.JoinType.Miter)
    kept = [contour for contour in outline.simplify(_ROUGH_M).to_polygons() if _counts(contour)]
    if not kept:
        return None
    outline = manifold3d.CrossSection(kept, manifold3d.FillRule.Positive)
    solid = mesh_of(manifold3d.Manifold.extrude(outline, thickness_m))
    local = solid.vertices + np.array([0.0, 0.0, plane.offset_m - thickness_m])
    return Mesh(local @ axes, solid.faces)


def hull(points: np.ndarray) -> Mesh | None:
    """The convex hull of points (M, 3); None where they span no volume."""
    solid = manifold3d.Manifold.hull_points(np.asarray(points, np.float64))
    if solid.is_empty() or solid.volume() < 1e-6:
        return None
    return mesh_of(solid)


def simplified(mesh: Mesh, tolerance_m: float) -> Mesh:
    """`mesh`, watertight, with no surface moved by more than `tolerance_m`; itself where that cannot be."""
    solid = manifold3d.Manifold(manifold3d.Mesh64(mesh.vertices, mesh.faces.astype(np.uint64)))
    if solid.status() is not manifold3d.Error.NoError:
        return mesh
    lighter = mesh_of(solid.simplify(tolerance_m))
    return lighter if 0 < len(lighter) < len(mesh) else mesh


def mesh_of(solid: manifold3d.Manifold) -> Mesh:
    """The triangles of a Manifold."""
    made = solid.to_mesh64()
    return Mesh(np.array(made.vert_properties[:, :3]), np.array(made.tri_verts, np.int64))


def _counts(contour: np.ndarray) -> bool:
    x, y = contour[:, 0], contour[:, 1]
    area_m2 = float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum() / 2.0)
    return area_m2 > _LEAST_ISLAND_M2 or area_m2 < -_LEAST_HOLE_M2


def _axes(normal: np.ndarray) -> np.ndarray:
    """A right-handed frame as rows (3, 3), the last of which is `normal`; level things stay level in it."""
    least = np.eye(3)[np.abs(normal).argmin()]
    first = least - (least @ normal) * normal
    first /= np.linalg.norm(first)
    return np.stack([first, np.cross(normal, first), normal])
