"""The collision proxy of rooms whose walls are known exactly."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from clips.camera_path import CameraPath
from clips.clip import Clip
from clips.dungeon.render import render_room
from clips.dungeon.scene import RoomSpec, sample_room
from recon.collision import CollisionProxy, CollisionSettings, collision_proxy
from recon.errors import InvalidScene
from recon.mesh_depth import mesh_depth
from recon.pipeline import reconstruct
from recon.reachability import Agent, Ground
from recon.scene import Scene4D
from recon.settings import ReconSettings
from recon.splats import scene_of, static_splats

Room = Callable[..., Clip]


@pytest.fixture(scope="module")
def dungeon() -> tuple[RoomSpec, Clip, Scene4D, CollisionProxy]:
    """A held-out room with an altar, its draft scene, and the proxy."""
    spec = sample_room(20, True, prop="altar", prop_place="left")
    clip = render_room(spec, CameraPath(start_z_m=0.4, distance_m=1.0), (7, 96, 64), 8.0).clip
    scene = reconstruct(clip, ReconSettings.draft())
    return spec, clip, scene, collision_proxy(scene, clip.cameras)


def test_every_part_is_watertight_the_right_way_out_and_within_the_budget(dungeon: tuple) -> None:
    _, _, _, proxy = dungeon
    assert proxy.triangles <= CollisionSettings().max_triangles
    assert len({part.name for part in proxy.parts}) == len(proxy.parts) >= 5
    for part in proxy.parts:
        assert part.mesh.is_watertight, part.name
        assert part.mesh.volume_m3 > 0, part.name
    assert proxy.mesh.is_watertight


def test_parts_that_say_so_are_convex(dungeon: tuple) -> None:
    convex = [part.mesh for part in dungeon[3].parts if part.convex]
    assert len(convex) >= 2
    for mesh in convex:
        a, b, c = (mesh.corners[:, k] for k in range(3))
        normals = np.cross(b - a, c - a)
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        before = mesh.vertices @ normals.T - (normals * a).sum(axis=1)
        assert before.max() < 1e-3


def test_the_floor_is_the_true_floor(dungeon: tuple) -> None:
    spec, _, _, proxy = dungeon
    corners = np.array([[x, 0.0, z] for x in (-spec.width_m / 2, spec.width_m / 2) for z in (0.0, spec.depth_m)])
    assert np.abs(proxy.floor.dropped(corners)[:, 1]).max() < 0.02
    (floor,) = [part.mesh for part in proxy.parts if part.name == "floor"]
    assert abs(floor.vertices[:, 1].min()) < 0.02 and floor.vertices[:, 1].max() > 0.15


def test_rays_from_the_clips_cameras_stop_where_the_room_does(dungeon: tuple) -> None:
    _, clip, _, proxy = dungeon
    depth = mesh_depth(proxy.mesh, clip.cameras)
    still = ~clip.motion_mask
    hit = (depth > 0) & still
    assert hit.sum() > 0.98 * still.sum()
    apart = np.abs(depth - clip.depth)[hit]
    assert np.median(apart) < 0.01 and np.quantile(apart, 0.9) < 0.08


def test_one_can_walk_in_through_the_gate_up_to_the_walls_and_not_through_the_altar(dungeon: tuple) -> None:
    spec, _, _, proxy = dungeon
    ground = Ground(proxy.mesh, Agent())
    for x in (-0.4, 0.0, 0.4):
        for z in (0.0, 0.5, 1.0, 2.0):
            assert ground.stands_at(np.array([x, 0.0, z])), (x, z)
    assert not ground.stands_at(np.array([0.0, 0.0, spec.depth_m - 0.1]))
    assert not ground.stands_at(np.array([spec.width_m / 2 - 0.1, 0.0, 3.0]))
    thing = next(part.mesh for part in proxy.parts if part.name.startswith("thing"))
    middle = thing.vertices.mean(axis=0)
    assert not ground.way(np.zeros(3), np.array([middle[0], 0.0, middle[2]])).reachable


def test_a_smaller_budget_is_kept(dungeon: tuple) -> None:
    _, clip, scene, _ = dungeon
    for budget in (12, 300, 900):
        proxy = collision_proxy(scene, clip.cameras, CollisionSettings(max_triangles=budget))
        assert 12 <= proxy.triangles <= budget and proxy.parts[0].name == "floor"


def test_noisy_depth_still_gives_a_floor_and_walls(room: Room) -> None:
    clip = room(ball=False)
    noise = np.random.default_rng(3).normal(size=clip.depth.shape) * 0.01
    noisy = replace(clip, depth=(clip.depth * np.exp(noise)).astype(np.float32))
    proxy = collision_proxy(reconstruct(noisy, ReconSettings.draft()), clip.cameras, CollisionSettings(plane_m=0.1))
    assert proxy.mesh.is_watertight
    assert proxy.floor is not None and abs(proxy.floor.dropped(np.array([[0.0, 0.0, 2.5]]))[0, 1]) < 0.02
    depth = mesh_depth(proxy.mesh, clip.cameras)
    assert (depth > 0).mean() > 0.9
    assert np.median(np.abs(depth - clip.depth)[depth > 0]) < 0.06


def test_what_is_neither_flat_nor_small_gets_a_shell() -> None:
    rng = np.random.default_rng(0)
    away = rng.normal(size=(6000, 3))
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    # The inside of a ball of 2.5 m: a cave.
    covariances = 0.05**2 * (np.eye(3)[None] - 0.98 * away[:, :, None] * away[:, None, :])
    flat = covariances[:, [0, 0, 0, 1, 1, 2], [0, 1, 2, 1, 2, 2]]
    middle = np.array([0.0, -1.0, 2.5])
    scene = scene_of(static_splats(middle + 2.5 * away, flat, np.full((6000, 3), 0.5), 0.98), 1.0)
    cameras = CameraPath(start_z_m=2.5, distance_m=0.1, eye_height_m=1.0).cameras(2, 48, 32)
    proxy = collision_proxy(scene, cameras, CollisionSettings(least_plane_m2=6.0))
    assert any(part.name == "shell_0" for part in proxy.parts)
    assert proxy.mesh.is_watertight and proxy.triangles <= 2_000
    depth = mesh_depth(joined_without_floor(proxy), cameras)
    # The ball's wall along the axis of the first camera.
    assert depth[0, 16, 24] == pytest.approx(2.5, abs=0.15)


def joined_without_floor(proxy: CollisionProxy):
    return CollisionProxy(tuple(part for part in proxy.parts if part.name != "floor"), None).mesh


def test_nothing_gives_nothing_and_bad_settings_are_named(room: Room) -> None:
    empty = scene_of(static_splats(np.zeros((0, 3)), np.zeros((0, 6)), np.zeros((0, 3)), 0.9), 1.0)
    proxy = collision_proxy(empty, room(frames=1).cameras)
    assert proxy.parts == () and proxy.floor is None and len(proxy.mesh) == 0
    with pytest.raises(InvalidScene, match="max_triangles must be within"):
        CollisionSettings(max_triangles=4)
    with pytest.raises(InvalidScene, match="plane_m"):
        CollisionSettings(plane_m=float("nan"))
