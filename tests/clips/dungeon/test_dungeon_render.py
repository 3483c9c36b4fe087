"""The Numba ray caster against a plain one, and what its clips promise."""

from __future__ import annotations

import numpy as np
import pytest

from clips.camera_path import CameraPath, PathKind
from clips.cameras import Cameras, intrinsics, look_at
from clips.dungeon.attributes import SLOTS, Light, Motion, Prop, Shape
from clips.dungeon.caption import caption
from clips.dungeon.cells import ANTECHAMBER, DOOR_HALF_WIDTH_M, WALL_THICKNESS_M
from clips.dungeon.motion import object_poses
from clips.dungeon.packing import pack
from clips.dungeon.render import render_clip, render_sample
from clips.dungeon.scene import sample_room
from clips.errors import InvalidCameras, InvalidClip
from tests.clips.dungeon.reference import reference_frame

# Every light, prop, shape and motion, from inside, from the threshold and from far outside.
CASES = [
    (Light.TORCHLIGHT, Prop.BARREL, Shape.ORB, Motion.BOUNCE, CameraPath(start_z_m=0.4)),
    (Light.MOONLIGHT, Prop.CRATE, Shape.CUBE, Motion.HOVER, CameraPath(PathKind.ORBIT, start_z_m=0.5, angle_deg=35)),
    (Light.DAYLIGHT, Prop.PILLAR, Shape.CRYSTAL, Motion.SLIDE, CameraPath(PathKind.PAN, angle_deg=-80)),
    (Light.EMBER, Prop.ALTAR, Shape.CONE, Motion.ORBIT, CameraPath(start_z_m=-1.6)),
    (
        Light.WITCHLIGHT,
        Prop.OBELISK,
        Shape.CUBE,
        Motion.STILL,
        CameraPath(PathKind.PAN, start_z_m=-0.15, angle_deg=180),
    ),
    (Light.TORCHLIGHT, Prop.NONE, Shape.CONE, Motion.TOPPLE, CameraPath(PathKind.STILL, start_z_m=-4.0)),
    (Light.DAYLIGHT, Prop.CRATE, Shape.CUBE, Motion.SWING, CameraPath(PathKind.SHAKE, start_z_m=0.2)),
    (Light.EMBER, Prop.NONE, Shape.CRYSTAL, Motion.ROLL, CameraPath(start_z_m=-0.4)),
]


@pytest.mark.parametrize(("light", "prop", "shape", "motion", "path"), CASES)
def test_the_fast_caster_agrees_with_the_plain_one(light, prop, shape, motion, path) -> None:
    # Calm materials: at joints of masonry a mip level and the mean of four rays differ by design.
    calm = {"wall": "marble", "floor": "planks", "ceiling": "plaster"}
    room = sample_room(5, light=light, prop=prop, shape=shape, motion=motion, **calm)
    cameras = path.cameras(3, 48, 34)
    times = np.array([0.0, 0.4, 0.8])
    clip = render_clip(room, cameras, times)
    rgb, depth, code = reference_frame(room, cameras, 2, 0.8)
    same = np.abs(clip.depth[2] / depth - 1) < 1e-5
    assert same.mean() > 0.997  # grazing rays may fall between the plain caster's samples
    error = np.abs(clip.frames[2].astype(float) - rgb)
    assert error.mean() < 1.0, error.mean()
    assert np.percentile(error, 99) < 9.0
    seen = code == 18
    assert (clip.motion_mask[2] | (motion is Motion.STILL))[seen & same].all()


def test_every_value_of_every_slot_changes_the_picture() -> None:
    cameras = CameraPath(start_z_m=0.4).cameras(2, 48, 32)
    times = np.array([0.0, 0.9])
    for name, words in SLOTS.items():
        pictures = {word: render_clip(sample_room(3, **{name: word}), cameras, times).frames for word in words}
        assert len({picture.tobytes() for picture in pictures.values()}) == len(words), name


def test_one_seed_gives_the_same_bytes_and_others_do_not() -> None:
    first, again, other = render_sample(7), render_sample(7), render_sample(8)
    assert first.clip.frames.tobytes() == again.clip.frames.tobytes()
    assert first.clip.depth.tobytes() == again.clip.depth.tobytes()
    assert first.clip.cameras.digest() == again.clip.cameras.digest()
    assert first.room == again.room
    assert first.clip.frames.tobytes() != other.clip.frames.tobytes()
    assert first.clip.frames.tobytes() != render_sample(7, held_out=True).clip.frames.tobytes()


def test_samples_are_whole_clips_with_their_caption() -> None:
    for seed in range(12):
        sample = render_sample(seed, frames=5, width=48, height=32, fps=4.0)
        assert sample.clip.frames.shape == (5, 32, 48, 3)
        assert sample.clip.fps == pytest.approx(4.0)
        assert sample.clip.caption == caption(sample.room)
        assert sample.clip.depth.min() > 0.05 and sample.clip.depth.max() < 14.0
        assert sample.clip.frames.std() > 8.0, "a flat picture teaches nothing"


def test_depth_of_the_first_frame_lands_on_the_depth_of_the_last() -> None:
    for seed in range(10):
        sample = render_sample(seed, frames=9)
        errors = _reprojection_errors(sample.clip)
        assert len(errors) > 500
        assert np.median(errors) < 0.01, sample.path


def _reprojection_errors(clip):
    """Relative depth errors of frame 0's static pixels in the last frame, where they still lie in the picture."""
    rows, columns = np.nonzero(~clip.motion_mask[0])
    K = clip.cameras.Ks[0]
    z = clip.depth[0][rows, columns].astype(np.float64)
    pixels = np.stack([columns + 0.5, rows + 0.5, np.ones(len(rows))])
    points = clip.cameras.camera_to_world[0] @ np.vstack([np.linalg.inv(K) @ pixels * z, np.ones((1, len(rows)))])
    x, y, depth = (clip.cameras.viewmats[-1] @ points)[:3]
    keep = depth > 0.1
    u = np.floor(K[0, 0] * x[keep] / depth[keep] + K[0, 2]).astype(int)
    v = np.floor(K[1, 1] * y[keep] / depth[keep] + K[1, 2]).astype(int)
    inside = (u >= 0) & (u < clip.cameras.width) & (v >= 0) & (v < clip.cameras.height)
    u, v, depth = u[inside], v[inside], depth[keep][inside]
    static = ~clip.motion_mask[-1][v, u]
    return np.abs(clip.depth[-1][v, u] / depth - 1)[static]


def test_the_motion_mask_is_where_depth_changes_under_a_still_camera() -> None:
    room = sample_room(2, motion=Motion.SLIDE, motion_phase_rad=0.0)
    cameras = CameraPath(PathKind.STILL, start_z_m=0.3).cameras(2, 96, 64)
    clip = render_clip(room, cameras, np.array([0.0, room.motion_period_s / 4]))
    changed = np.abs(clip.depth[1] - clip.depth[0]) > 0.02
    touched = clip.motion_mask[0] | clip.motion_mask[1]
    assert changed.sum() > 100
    assert (touched[changed]).all()
    assert changed[clip.motion_mask[0] ^ clip.motion_mask[1]].mean() > 0.85  # the rest are silhouette pixels


def test_a_still_object_has_an_empty_motion_mask() -> None:
    clip = render_clip(sample_room(2, motion="still"), CameraPath().cameras(2, 48, 32), np.array([0.0, 0.5]))
    assert not clip.motion_mask.any()


def test_the_object_is_seen_where_its_centre_projects() -> None:
    room = sample_room(9, motion="orbit", shape="orb")
    times = np.linspace(0.0, 2.0, 9)
    cameras = CameraPath(PathKind.STILL, start_z_m=0.2).cameras(9, 96, 64)
    clip = render_clip(room, cameras, times)
    for frame, center in enumerate(object_poses(room, times).centers):
        x, y, z = cameras.viewmats[frame, :3, :3] @ center + cameras.viewmats[frame, :3, 3]
        column, row = cameras.Ks[frame, 0, 0] * x / z + 48, cameras.Ks[frame, 1, 1] * y / z + 32
        assert clip.motion_mask[frame, int(row), int(column)]
        rows, columns = np.nonzero(clip.motion_mask[frame])
        # A sphere's outline is an ellipse whose middle lies a little outwards of its centre.
        assert columns.mean() + 0.5 == pytest.approx(column, abs=1.0)
        assert rows.mean() + 0.5 == pytest.approx(row, abs=1.0)
        nearest_m = z - room.object_size_m
        assert clip.depth[frame][clip.motion_mask[frame]].min() == pytest.approx(nearest_m, rel=0.03)


def test_walls_are_where_the_room_says() -> None:
    room = sample_room(1, prop="none")
    eye = np.array([0.0, -1.5, 0.5])
    targets = {"right": [1.0, -1.5, 0.5], "left": [-1.0, -1.5, 0.5], "back": [0.0, -1.5, -3.0]}
    viewmats = np.stack([look_at(eye, np.array(target)) for target in targets.values()])
    K = intrinsics(5, 5, 40.0)
    clip = render_clip(room, Cameras(viewmats, np.stack([K] * 3), 5, 5), np.array([0.0, 1.0, 2.0]))
    middle = clip.depth[:, 2, 2]
    assert middle[0] == pytest.approx(room.width_m / 2, rel=1e-6)
    assert middle[1] == pytest.approx(room.width_m / 2, rel=1e-6)
    assert middle[2] == pytest.approx(0.5 - ANTECHAMBER[4], rel=1e-6)  # out through the gate to the far wall


def test_from_outside_one_sees_the_front_wall_beside_the_gate() -> None:
    room = sample_room(1, prop="none")
    cameras = CameraPath(PathKind.STILL, start_z_m=-3.0).cameras(1, 97, 64)
    clip = render_clip(room, cameras, np.array([0.0]))
    row = 20
    columns = np.arange(97) + 0.5
    to_wall_m = 3.0 - WALL_THICKNESS_M
    # The path looks 0.15 downwards over 1.0 ahead; depth along the camera's axis of a point on the wall's plane.
    x_at_wall = (columns - 48.5) / cameras.Ks[0, 0, 0]
    rotation = cameras.viewmats[0, :3, :3]
    ray_z = np.stack([x_at_wall, np.full(97, (row + 0.5 - 32) / cameras.Ks[0, 1, 1]), np.ones(97)]).T @ rotation[:, 2]
    expected = to_wall_m / ray_z
    beside = np.abs(x_at_wall * expected) > DOOR_HALF_WIDTH_M + 0.05
    on_side_wall = np.abs(x_at_wall * expected) > ANTECHAMBER[1]
    assert clip.depth[0, row][beside & ~on_side_wall] == pytest.approx(expected[beside & ~on_side_wall], rel=1e-5)
    assert clip.depth[0, row, 48] > 3.0  # through the gate, into the room


def test_cameras_outside_of_everything_are_refused_with_their_frames() -> None:
    room = sample_room(1)
    walk = CameraPath(start_z_m=4.0, distance_m=5.0).cameras(3, 16, 12)
    with pytest.raises(InvalidCameras, match=r"frames \[1, 2\] do not, the first is at \[0.0, -1.5, 6.5\]"):
        render_clip(room, walk, np.arange(3.0))
    inside_a_wall = Cameras(look_at(np.array([1.5, -1.0, -0.1]), np.array([1.5, -1.0, 3.0]))[None], walk.Ks[:1], 16, 12)
    with pytest.raises(InvalidCameras, match="doorway"):
        render_clip(room, inside_a_wall, np.array([0.0]))


@pytest.mark.parametrize("start_z_m", [0.0, -WALL_THICKNESS_M])
def test_a_camera_on_the_border_of_two_cells_belongs_to_the_doorway(start_z_m: float) -> None:
    cameras = CameraPath(PathKind.STILL, start_z_m=start_z_m).cameras(1, 16, 12)
    clip = render_clip(sample_room(1), cameras, np.array([0.0]))
    assert clip.depth.min() > 0.5


def test_times_must_match_the_cameras() -> None:
    with pytest.raises(InvalidClip, match="times must be 2 seconds"):
        render_clip(sample_room(1), CameraPath().cameras(2, 16, 12), np.array([0.0, 1.0, 2.0]))


def test_light_never_hides_the_colour_of_the_object() -> None:
    cameras = CameraPath(PathKind.STILL, start_z_m=0.4).cameras(1, 64, 44)
    for color, channel in (("red", 0), ("green", 1), ("blue", 2)):
        for light in Light:
            room = sample_room(4, light=light, color=color, shape="orb", motion="hover")
            clip = render_clip(room, cameras, np.array([0.0]))
            mean = clip.frames[0][clip.motion_mask[0]].mean(axis=0)
            assert mean.argmax() == channel and mean[channel] > 1.5 * np.delete(mean, channel).max()


def test_packed_rooms_keep_props_and_motion_inside() -> None:
    for seed in range(80):
        room = sample_room(seed)
        packed = pack(room)
        low, high = packed.cells[2, 0::2], packed.cells[2, 1::2]
        reach = np.linalg.norm(packed.prims[1:, [4, 6]], axis=1)[:, None] * 0.75
        centers = packed.prims[1:, [1, 3]]
        assert (centers - reach > low[[0, 2]] - 0.2).all() and (centers + reach < high[[0, 2]] + 0.2).all()
        path = object_poses(room, np.linspace(0.0, 4.0, 33)).centers
        least = 0.4 * packed.prims[0, 4:7].min()  # whichever way it lies, its centre is further in than this
        assert (path - least > low).all() and (path + least < high).all()
