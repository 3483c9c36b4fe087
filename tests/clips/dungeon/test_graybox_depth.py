"""Depth of blockouts against the renderer's own depth and against closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from clips.camera_path import CameraPath, PathKind
from clips.dungeon.attributes import Motion, Prop, Shape
from clips.dungeon.graybox import graybox_depth, graybox_of
from clips.dungeon.render import render_room
from clips.dungeon.scene import sample_room
from clips.errors import InvalidCameras

PATHS = [CameraPath(start_z_m=-0.6), CameraPath(PathKind.ORBIT, start_z_m=0.5), CameraPath(PathKind.SHAKE)]


@pytest.mark.parametrize("shape", list(Shape))
@pytest.mark.parametrize("motion", [Motion.STILL, Motion.BOUNCE, Motion.ROLL, Motion.ORBIT])
def test_an_exact_blockout_has_the_depth_of_the_room_it_stands_for(shape: Shape, motion: Motion) -> None:
    room = sample_room(4, shape=shape, motion=motion, prop=Prop.CRATE, light="moonlight")
    for path in PATHS:
        sample = render_room(room, path, (5, 48, 32), 4.0)
        clip = sample.clip
        depth = graybox_depth(graybox_of(room, True, clip.times), clip.cameras, clip.times)
        np.testing.assert_allclose(depth, clip.depth, rtol=1e-5)


def test_a_room_alone_is_the_renderers_depth_where_nothing_stands_in_it() -> None:
    room = sample_room(4, prop=Prop.NONE, light="moonlight", motion="still")
    sample = render_room(room, PATHS[0], (3, 48, 32), 4.0)
    depth = graybox_depth(graybox_of(room, False), sample.clip.cameras, sample.clip.times)
    np.testing.assert_allclose(depth[~sample.object_mask], sample.clip.depth[~sample.object_mask], rtol=1e-5)
    assert (depth[sample.object_mask] > sample.clip.depth[sample.object_mask] - 1e-4).all()


def test_a_share_of_the_seeds_has_rough_proxies_of_about_the_size() -> None:
    room = sample_room(4, shape=Shape.CONE)
    exact = graybox_of(room, True).proxies[0]
    rough = [graybox_of(room, True, rough_seed=seed).proxies[0] for seed in range(100)]
    changed = [proxy for proxy in rough if proxy.half_m != exact.half_m]
    assert 15 < len(changed) < 45
    assert {str(proxy.kind) for proxy in changed} == {"box", "sphere", "cone"}
    for proxy in changed:
        assert np.allclose(np.array(proxy.half_m) / np.array(exact.half_m), proxy.half_m[0] / exact.half_m[0])
        assert 0.85 <= proxy.half_m[0] / exact.half_m[0] <= 1.15


def test_a_camera_outside_of_the_blockout_is_refused() -> None:
    room = sample_room(4)
    cameras = CameraPath(PathKind.ORBIT, start_z_m=-4.9, angle_deg=150).cameras(3, 24, 16)
    with pytest.raises(InvalidCameras, match="must stand in the room"):
        graybox_depth(graybox_of(room, False), cameras, np.zeros(3))
