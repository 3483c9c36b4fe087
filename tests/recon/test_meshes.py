"""Isosurfaces, mesh depth and the mesh itself, against shapes that are known."""

import numpy as np
import pytest

from clips.cameras import Cameras, intrinsics, look_at
from recon.errors import InvalidScene
from recon.isosurface import isosurface
from recon.mesh import Mesh, box, joined
from recon.mesh_depth import mesh_depth
from recon.slabs import hull, simplified

WIDTH, HEIGHT = 40, 30


def camera(eye: list[float], target: list[float]) -> Cameras:
    return Cameras(look_at(np.array(eye), np.array(target))[None], intrinsics(WIDTH, HEIGHT, 80.0)[None], WIDTH, HEIGHT)


def grid(count: int, reach: float) -> np.ndarray:
    axis = np.linspace(-reach, reach, count)
    return np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1)


def test_the_surface_of_a_ball_is_closed_faces_out_and_holds_its_volume() -> None:
    points = grid(40, 1.3)
    mesh = isosurface(np.linalg.norm(points, axis=-1) - 1.0, np.full(3, -1.3), 2.6 / 39)
    assert mesh.is_watertight
    assert mesh.volume_m3 == pytest.approx(4 / 3 * np.pi, rel=0.01)
    np.testing.assert_allclose(np.linalg.norm(mesh.vertices, axis=1), 1.0, atol=0.01)


def test_the_surface_of_noise_is_closed_as_well() -> None:
    values = np.random.default_rng(0).normal(size=(18, 17, 16))
    values[[0, -1]] = values[:, [0, -1]] = values[:, :, [0, -1]] = 1.0
    mesh = isosurface(values, np.zeros(3), 1.0)
    assert mesh.is_watertight and mesh.volume_m3 > 0 and len(mesh) > 5_000


def test_an_open_surface_is_refused_and_no_surface_is_empty() -> None:
    assert len(isosurface(np.ones((4, 4, 4)), np.zeros(3), 1.0)) == 0
    values = np.ones((4, 4, 4))
    values[0, 1, 1] = -1.0
    with pytest.raises(InvalidScene, match="pad the grid"):
        isosurface(values, np.zeros(3), 1.0)


def test_a_simplified_ball_stays_watertight_and_near_the_ball() -> None:
    points = grid(40, 1.3)
    fine = isosurface(np.linalg.norm(points, axis=-1) - 1.0, np.full(3, -1.3), 2.6 / 39)
    light = simplified(fine, 0.02)
    assert len(light) < 0.2 * len(fine) and light.is_watertight
    assert np.abs(np.linalg.norm(light.vertices, axis=1) - 1.0).max() < 0.03


def test_a_hull_holds_its_points_and_flat_points_have_none() -> None:
    points = np.random.default_rng(0).uniform(-1, 1, (200, 3))
    mesh = hull(points)
    assert mesh is not None and mesh.is_watertight
    assert 5.0 < mesh.volume_m3 < 8.0
    assert hull(points * [1.0, 1.0, 0.0]) is None


def test_boxes_are_watertight_until_a_triangle_is_missing_or_turned() -> None:
    one = box(np.zeros(3), np.array([1.0, 2.0, 3.0]))
    assert one.is_watertight and one.volume_m3 == pytest.approx(6.0)
    two = joined([one, box(np.full(3, 5.0), np.full(3, 6.0))])
    assert two.is_watertight and two.volume_m3 == pytest.approx(7.0) and len(two) == 24
    assert not Mesh(one.vertices, one.faces[1:]).is_watertight
    turned = one.faces.copy()
    turned[0] = turned[0, ::-1]
    assert not Mesh(one.vertices, turned).is_watertight
    assert not joined([]).is_watertight


def test_meshes_that_mean_nothing_are_refused() -> None:
    corners = np.zeros((3, 3))
    with pytest.raises(InvalidScene, match="faces must name vertices 0 to 2"):
        Mesh(corners, np.array([[0, 1, 3]]))
    with pytest.raises(InvalidScene, match="finite"):
        Mesh(np.full((3, 3), np.nan), np.array([[0, 1, 2]]))
    with pytest.raises(InvalidScene, match="expected vertices"):
        Mesh(np.zeros((3, 2)), np.array([[0, 1, 2]]))


def test_depth_is_that_of_the_rays_through_pixel_middles() -> None:
    cameras = camera([0.3, -1.4, 0.2], [0.1, -1.1, 3.0])
    room = box(np.array([-2.0, -2.6, -1.0]), np.array([2.0, 0.0, 5.0]))
    depth = mesh_depth(room, cameras)[0]
    K, pose = cameras.Ks[0], cameras.camera_to_world[0]
    u, v = np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5)
    local = np.stack([(u - K[0, 2]) / K[0, 0], (v - K[1, 2]) / K[1, 1], np.ones_like(u)], axis=-1)
    rays, eye = local @ pose[:3, :3].T, pose[:3, 3]
    low, high = np.array([-2.0, -2.6, -1.0]), np.array([2.0, 0.0, 5.0])
    # From within a convex box the nearest wall ahead along each axis ends the ray.
    expected = np.where(rays > 0, (high - eye) / rays, (low - eye) / rays).min(axis=-1)
    np.testing.assert_allclose(depth, expected, rtol=1e-5)


def test_nearer_triangles_hide_farther_ones_and_misses_are_zero() -> None:
    near, far = box(np.array([-0.2, -0.2, 2.0]), np.array([0.2, 0.2, 2.1])), box(np.full(3, -1.0), np.full(3, 1.0))
    far = Mesh(far.vertices * [1, 1, 0.1] + [0, 0, 4.0], far.faces)
    depth = mesh_depth(joined([far, near]), camera([0.0, 0.0, 0.0], [0.0, 0.0, 1.0]))[0]
    assert depth[HEIGHT // 2, WIDTH // 2] == pytest.approx(2.0)
    assert depth[HEIGHT // 2, WIDTH // 2 + 5] == pytest.approx(3.9, abs=1e-5)
    assert depth[0, 0] == 0.0
