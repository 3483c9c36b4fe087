"""What steers a generation, windows, the flow map, and where pixels come from."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from clips.camera_path import CameraPath, PathKind
from clips.clip import Clip
from clips.dungeon.blockout import Graybox, Proxy, ProxyKind
from clips.dungeon.graybox import graybox_depth
from model.control import CONTROL_NONE, CONTROL_OBJECTS, CONTROL_ROOM
from model.errors import InvalidSpec, ModelError
from model.generate import Generator
from model.revision import MAP_STEPS
from model.spec import SegmentSpec
from model.spec_control import Control, ControlKind, FirstFrame

LAYOUT = Control(ControlKind.LAYOUT)
TIMES = np.arange(9) / 8.0


def made(generator: Generator, spec: SegmentSpec) -> Clip:
    generation = generator.begin(spec)
    generation.advance(1000)
    return generation.finish()


def blockout(*, with_object: bool = True) -> Graybox:
    ball = Proxy(ProxyKind.SPHERE, (0.4, 0.4, 0.4), np.zeros(1), np.array([[0.0, -1.0, 3.2]]), np.eye(3)[None])
    return Graybox(5.0, 3.0, 6.0, (ball,) if with_object else ())


def same(first: Clip, second: Clip) -> bool:
    return np.array_equal(first.frames, second.frames) and np.array_equal(first.depth, second.depth)


def test_control_changes_the_clip_and_its_kind_is_recorded(generator: Generator, spec: SegmentSpec) -> None:
    depth = graybox_depth(blockout(), spec.cameras, TIMES)
    controls = {
        ControlKind.NONE: Control(),
        ControlKind.LAYOUT: LAYOUT,
        ControlKind.BLOCKOUT: Control(ControlKind.BLOCKOUT, graybox=blockout()),
        ControlKind.DEPTH: Control(ControlKind.DEPTH, depth=depth + 0.5),
    }
    clips = {kind: made(generator, replace(spec, control=control)) for kind, control in controls.items()}
    for kind, control in controls.items():
        steering = generator.begin(replace(spec, control=control)).steering
        assert steering.kind is kind
        assert ("graybox" in steering.to_json()) == (kind in (ControlKind.LAYOUT, ControlKind.BLOCKOUT))
        assert steering.note == ""
        assert not any(same(clips[kind], clips[other]) for other in clips if other is not kind)


def test_a_blockout_equals_the_depth_that_an_engine_renders_of_it(generator: Generator, spec: SegmentSpec) -> None:
    depth = graybox_depth(blockout(), spec.cameras, TIMES)
    by_blockout = made(generator, replace(spec, control=Control(ControlKind.BLOCKOUT, graybox=blockout())))
    by_depth = made(generator, replace(spec, control=Control(ControlKind.DEPTH, depth=depth)))
    # An engine's depth is kept in millimetres, so the pictures are equal but for rounding.
    assert np.abs(by_blockout.frames.astype(int) - by_depth.frames.astype(int)).max() <= 2


def test_the_network_is_told_whether_objects_are_in_the_control(generator: Generator, spec: SegmentSpec) -> None:
    kinds = {
        CONTROL_NONE: Control(),
        CONTROL_ROOM: Control(ControlKind.BLOCKOUT, graybox=blockout(with_object=False)),
        CONTROL_OBJECTS: Control(ControlKind.BLOCKOUT, graybox=blockout()),
    }
    for kind, control in kinds.items():
        assert generator.begin(replace(spec, control=control)).steering.network_kind == kind


def test_a_camera_outside_the_given_blockout_or_in_its_solids_is_refused(
    generator: Generator, spec: SegmentSpec
) -> None:
    tight = Control(ControlKind.BLOCKOUT, graybox=replace(blockout(with_object=False), depth_m=1.0))
    with pytest.raises(InvalidSpec, match=r"cameras do not fit the blockout.*frames"):
        generator.begin(replace(spec, control=tight))
    ball = replace(blockout().proxies[0], centers=np.array([[0.0, -1.5, 1.0]]))
    with pytest.raises(InvalidSpec, match="away from the solids"):
        generator.begin(replace(spec, control=Control(ControlKind.BLOCKOUT, graybox=Graybox(5.0, 3.0, 6.0, (ball,)))))


def test_where_no_layout_fits_the_segment_is_made_without_and_says_so(generator: Generator, spec: SegmentSpec) -> None:
    above = CameraPath(eye_height_m=3.0, start_z_m=-4.0).cameras(9, 48, 32)
    through_the_wall = replace(spec, cameras=above[:], control=LAYOUT)
    high = CameraPath(start_z_m=5.0, distance_m=5.0).cameras(9, 48, 32)
    behind_the_room = replace(spec, cameras=high, control=LAYOUT)
    assert generator.begin(through_the_wall).steering.kind is ControlKind.LAYOUT
    generation = generator.begin(behind_the_room)
    assert generation.steering.kind is ControlKind.NONE
    assert "no room of the layout prior holds these cameras" in generation.steering.to_json()["note"]
    assert same(made(generator, behind_the_room), made(generator, replace(behind_the_room, control=Control())))


@pytest.mark.parametrize("steps", [1, 2, 4, 6])
@pytest.mark.parametrize("frames", [9, 17])
def test_a_run_that_is_put_down_anywhere_equals_an_unbroken_one(
    generator: Generator, spec: SegmentSpec, frames: int, steps: int
) -> None:
    spec = replace(spec, cameras=CameraPath().cameras(frames, 48, 32), steps=steps, control=LAYOUT)
    whole = made(generator, spec)
    total = steps * (2 if frames == 17 else 1)
    assert len(whole) == frames
    for stop in range(total + 1):
        broken = generator.begin(spec)
        assert broken.steps_total == total
        broken.advance(stop)
        again = generator.resume(spec, broken.state_bytes())
        assert (again.steps_done, again.done) == (stop, stop == total)
        again.preview()
        again.advance(total - stop)
        assert same(again.finish(), whole)


def test_the_second_window_leaves_the_first_alone_and_goes_on_from_it(generator: Generator, spec: SegmentSpec) -> None:
    long = replace(spec, cameras=CameraPath(kind=PathKind.STILL).cameras(17, 48, 32))
    short = replace(spec, cameras=long.cameras[:9])
    first, both = made(generator, short), made(generator, long)
    assert np.array_equal(both.frames[:9], first.frames)
    assert np.array_equal(both.depth[:9], first.depth)
    generation = generator.begin(long)
    generation.advance(spec.steps)
    assert np.array_equal(generation.preview()[:9], first.frames), "a preview changes what is made"
    # With another beginning the same noise goes on to something else: the second window sees the first.
    generation._latents = generation._latents.clone()
    generation._latents[:, :, 2] += 1.0
    generation.advance(spec.steps)
    assert not np.array_equal(generation.finish().frames[9:], both.frames[9:])


def test_windows_have_noise_of_their_own(generator: Generator, spec: SegmentSpec) -> None:
    latents = generator.begin(replace(spec, cameras=CameraPath().cameras(17, 48, 32)))._latents
    assert latents.shape[2] == 5
    assert not torch.equal(latents[:, :, 1:3], latents[:, :, 3:5])
    assert torch.equal(latents[:, :, :3], generator.begin(spec)._latents)


def test_the_largest_seed_is_a_seed_like_any_other(generator: Generator, spec: SegmentSpec) -> None:
    long = replace(spec, cameras=CameraPath(kind=PathKind.STILL).cameras(17, 48, 32), control=LAYOUT, steps=1)
    clips = [made(generator, replace(long, seed=seed)) for seed in (0, 2**63 - 1)]
    assert not same(*clips)


class Counted:
    """Counts the rows that go through the transformer, and what it is asked."""

    def __init__(self, generator: Generator) -> None:
        self.rows: list[int] = []
        self.maps: list[bool] = []
        self._forward = generator.dit.forward

    def __call__(self, latents, sigmas, condition, sigma_next=None):  # type: ignore[no-untyped-def]
        self.rows.append(len(latents))
        self.maps.append(sigma_next is not None)
        return self._forward(latents, sigmas, condition, sigma_next)


@pytest.mark.parametrize(
    ("steps", "guidance", "rows"), [(1, 3.0, 1), (2, 3.0, 2), (4, 3.0, 2), (4, 1.0, 1), (5, 3.0, 2)]
)
def test_few_steps_are_jumps_of_the_flow_map(
    generator: Generator, spec: SegmentSpec, steps: int, guidance: float, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = Counted(generator)
    monkeypatch.setattr(generator.dit, "forward", counted)
    made(generator, replace(spec, steps=steps, guidance=guidance))
    assert counted.rows == [rows] * steps
    assert counted.maps == [steps <= MAP_STEPS] * steps


def test_guidance_has_a_part_in_all_but_a_single_step(generator: Generator, spec: SegmentSpec) -> None:
    for steps, has_part in ((1, False), (2, True), (4, True), (5, True)):
        few = replace(spec, steps=steps)
        assert same(made(generator, few), made(generator, replace(few, guidance=7.0))) != has_part


def test_a_given_first_frame_is_what_the_clip_begins_with(generator: Generator, spec: SegmentSpec) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8)
    first = FirstFrame(frame, np.full((32, 48), 3.0, np.float32))
    given = replace(spec, first_frame=first)
    whole = made(generator, given)
    assert not same(whole, made(generator, spec))
    assert np.array_equal(whole.frames[0], made(generator, replace(given, seed=99)).frames[0]), "frame 0 was remade"
    encoded = generator._encoded(first)
    assert torch.equal(generator.begin(given)._latents[:, :, :1], encoded)
    broken = generator.begin(given)
    broken.advance(2)
    again = generator.resume(given, broken.state_bytes())
    assert torch.equal(again._latents[:, :, :1], encoded)
    again.advance(100)
    assert same(again.finish(), whole)


def test_a_state_of_another_length_is_refused(generator: Generator, spec: SegmentSpec) -> None:
    long = replace(spec, cameras=CameraPath().cameras(17, 48, 32))
    state = generator.begin(long).state_bytes().replace(long.key().encode(), spec.key().encode())
    with pytest.raises(ModelError, match="do not fit"):
        generator.resume(spec, state)


def test_layouts_say_what_they_drew_to_the_network(generator: Generator, spec: SegmentSpec) -> None:
    generation = generator.begin(replace(spec, prompt="a room", control=LAYOUT))
    slots = dict(zip((name for name, _ in generator.dit.config.slots), generation._whole.slots[0], strict=True))
    assert slots["color"] == 0
    table = dict(generator.dit.config.slots)
    for name in ("shape", "motion", "prop", "size"):
        assert table[name][slots[name] - 1] == generation.steering.words[name]


NO_RENDERER = """
import sys
sys.path[:0] = [{root!r}, {tests!r}]
import conftest
from dataclasses import replace
from clips.camera_path import CameraPath
from model.dit import Dit
from model.generate import Generator
from model.spec import SegmentSpec
from model.spec_control import Control
from model.vae import Vae
print([name for name in ("numba", "mujoco", "clips.dungeon.graybox") if name in sys.modules])
generator = Generator(Vae(conftest.SMALL_VAE), Dit(conftest.SMALL_DIT), "r")
spec = SegmentSpec("a red orb", 1, CameraPath().cameras(9, 48, 32), 8.0, 1, 1.0, "r", Control("layout"))
generation = generator.begin(spec)
generation.advance(1)
generation.finish()
bad = [f"clips.dungeon.{{name}}" for name in ("kernel", "shade", "render")] + ["model.train"]
loaded = [name for name in bad if name in sys.modules]
print(generation.steering.kind, len(generation.steering.depth), "numba" in sys.modules, loaded)
"""


def test_generating_path_imports_no_renderer() -> None:
    root = Path(__file__).resolve().parents[2]
    code = NO_RENDERER.format(root=str(root), tests=str(Path(__file__).parent))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=root)
    without_layout, with_layout = done.stdout.splitlines() or ["", done.stderr]
    assert without_layout == "[]", "physics or Numba are loaded before any layout is asked for"
    assert with_layout == "layout 9 True []"
