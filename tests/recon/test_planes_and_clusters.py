"""Planes and things among surfels: floors below tables, tilted floors, walls, and pieces that are nearly convex."""

import numpy as np
import pytest

from recon.clusters import connected, convex_pieces, dent_m
from recon.planes import UP, Plane, find_floor, find_planes
from recon.surfels import Surfels


def patch(center: list[float], normal: list[float], width: float, depth: float, cell: float = 0.06) -> Surfels:
    """A flat rectangle of surfels that faces `normal`."""
    n = np.asarray(normal, float) / np.linalg.norm(normal)
    u = np.cross(n, [0.0, 0.0, 1.0] if abs(n[2]) < 0.9 else [1.0, 0.0, 0.0])
    u /= np.linalg.norm(u)
    a, b = np.meshgrid(np.arange(-width / 2, width / 2, cell), np.arange(-depth / 2, depth / 2, cell))
    positions = np.asarray(center) + a.reshape(-1, 1) * u + b.reshape(-1, 1) * np.cross(n, u)
    return Surfels(positions, np.tile(n, (len(positions), 1)), np.full(len(positions), cell**2))


def joined(*parts: Surfels) -> Surfels:
    return Surfels(*(np.concatenate([getattr(p, f) for p in parts]) for f in ("positions", "normals", "areas")))


def noisy(surfels: Surfels, sigma_m: float) -> Surfels:
    rng = np.random.default_rng(0)
    return Surfels(
        surfels.positions + rng.normal(0.0, sigma_m, surfels.positions.shape), surfels.normals, surfels.areas
    )


def test_the_floor_is_the_lowest_large_surface_not_the_table_nor_a_speck() -> None:
    floor, table = patch([0, 0, 3], [0, -1, 0], 4, 4), patch([0, -0.8, 3], [0, -1, 0], 2, 2)
    speck, ceiling = patch([0, 0.5, 3], [0, -1, 0], 0.3, 0.3), patch([0, -2.6, 3], [0, 1, 0], 4, 4)
    found = find_floor(noisy(joined(table, speck, ceiling, floor), 0.01))
    assert found is not None and found.normal @ UP > 0.999
    assert abs(found.dropped(np.array([[1.0, -2.0, 4.0]]))[0, 1]) < 0.01


def test_a_tilted_floor_is_found_tilted() -> None:
    tilt = np.array([0.03, -1.0, 0.05])
    found = find_floor(noisy(patch([0, 0, 3], tilt.tolist(), 3, 3), 0.005))
    assert found is not None
    assert found.normal @ tilt / np.linalg.norm(tilt) > 0.9999


def test_without_ground_there_is_no_floor() -> None:
    assert find_floor(patch([0, -1, 5], [0, 0, -1], 4, 3)) is None
    assert find_floor(patch([0, 0, 3], [0, -1, 0], 0.4, 0.4)) is None


def test_large_planes_are_found_largest_first_and_share_nothing() -> None:
    back, side = patch([0, -1, 5], [0, 0, -1], 4, 3), patch([2, -1, 3], [-1, 0, 0], 2, 2)
    small = patch([0, -1, 3], [1, 1, 0], 0.5, 0.5)
    planes = find_planes(noisy(joined(small, side, back), 0.01), 0.06, 1.0)
    assert len(planes) == 2
    sizes = [int(mask.sum()) for mask in planes]
    assert sizes[0] > sizes[1] > 0.95 * len(side) and sizes[0] > 0.95 * len(back)
    assert not (planes[0] & planes[1]).any()


def test_points_are_dropped_straight_down() -> None:
    plane = Plane(np.array([0.6, -0.8, 0.0]), 0.0)
    dropped = plane.dropped(np.array([[1.0, -5.0, 2.0]]))
    np.testing.assert_allclose(dropped[0, [0, 2]], [1.0, 2.0])
    assert plane.heights(dropped)[0] == pytest.approx(0.0, abs=1e-12)


def test_things_apart_are_two_and_the_larger_comes_first() -> None:
    small, large = patch([0, 0, 0], [0, 0, -1], 0.5, 0.5), patch([3, 0, 0], [0, 0, -1], 1, 1)
    things = connected(joined(small, large), 0.15)
    assert [len(thing) for thing in things] == [len(large), len(small)]
    assert connected(joined(small)[np.zeros(len(small), bool)], 0.15) == []


def test_an_inner_corner_is_cut_and_an_outer_one_is_not() -> None:
    inner = joined(patch([0.5, 0, 0], [0, 0, 1], 1, 1), patch([0, 0, 0.5], [1, 0, 0], 1, 1))
    outer = joined(patch([0.5, 0, 0], [0, 0, -1], 1, 1), patch([0, 0, 0.5], [-1, 0, 0], 1, 1))
    assert dent_m(inner) > 0.3 and dent_m(outer) == pytest.approx(0.0, abs=1e-6)
    assert len(convex_pieces(outer, 0.08, 3)) == 1
    pieces = convex_pieces(inner, 0.08, 3)
    assert sorted(np.concatenate(pieces).tolist()) == list(range(len(inner))) and len(pieces) > 1
    assert max(dent_m(inner[piece]) for piece in pieces) < 0.5 * dent_m(inner)
    assert len(convex_pieces(inner[np.arange(5)], 0.0, 3)) == 1
