"""Every mistake in a clip folder is named: clip, file, field, value and remedy."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clips.errors import ClipError, InvalidCameras, InvalidClip, UnreadableClip
from clips.footage.clip_folder import ClipFolder
from clips.footage.footage import Footage
from tests.clips.footage.footage_samples import HEIGHT, WIDTH, make_footage, raw_clip, write_dataset

SHAPE = (4, HEIGHT, WIDTH)


def _cameras(edit: Callable[[dict], None]) -> Callable[[Path], None]:
    def apply(clip: Path) -> None:
        value = json.loads((clip / "cameras.json").read_text())
        edit(value)
        (clip / "cameras.json").write_text(json.dumps(value))

    return apply


def _depth(**at: float) -> Callable[[Path], None]:
    def apply(clip: Path) -> None:
        depth = np.load(clip / "depth.npy")
        depth[2, 1, 3:5] = at["value"]
        np.save(clip / "depth.npy", depth)

    return apply


def _put(name: str, content: bytes | str) -> Callable[[Path], None]:
    def apply(clip: Path) -> None:
        path = clip / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    return apply


def _remove(name: str) -> Callable[[Path], None]:
    return lambda clip: (clip / name).unlink()


def _empty(clip: Path) -> None:
    for path in (clip / "frames").iterdir():
        path.unlink()


def _resize(name: str) -> Callable[[Path], None]:
    return lambda clip: Image.new("RGB", (12, 6)).save(clip / "frames" / name)


def _resize_all(clip: Path) -> None:
    for path in (clip / "frames").iterdir():
        Image.new("RGB", (12, 6)).save(path)


def _depth_pictures(mode: str) -> Callable[[Path], None]:
    def apply(clip: Path) -> None:
        (clip / "depth.npy").unlink()
        (clip / "depth").mkdir()
        for index in range(4):
            Image.new(mode, (WIDTH, HEIGHT), 7).save(clip / "depth" / f"{index}.png")

    return apply


def _mirror(value: dict) -> None:
    for matrix in value["camera_to_world"]:
        for row in matrix[:3]:
            row[0] = -row[0]


def _scale(value: dict) -> None:
    for row in value["camera_to_world"][1][:3]:
        row[0] *= 1.5


def _move(frame: int, by: float) -> Callable[[dict], None]:
    def edit(value: dict) -> None:
        for matrix in value["camera_to_world"][frame:]:
            matrix[0][3] += by

    return edit


def _turn(value: dict) -> None:
    for matrix in value["camera_to_world"][2:]:
        for row in matrix[:3]:
            row[0], row[2] = -row[0], -row[2]


def _transpose(value: dict) -> None:
    value["camera_to_world"] = np.swapaxes(value["camera_to_world"], 1, 2).tolist()


def _set(**fields: object) -> Callable[[dict], None]:
    return lambda value: value.update(fields)


def _nan(value: dict) -> None:
    value["camera_to_world"][3][0][0] = float("nan")


def _drop_last(value: dict) -> None:
    value["camera_to_world"].pop()


def _two_ways_to_see(value: dict) -> None:
    value["fov_x_deg"] = 70.0


BAD = [
    (_depth(value=np.nan), InvalidClip, r"depth: 2 pixels are NaN, in frames 2; fill the holes"),
    (_depth(value=np.inf), InvalidClip, r"depth: 2 pixels are infinite, in frames 2; .* depth\.far_m"),
    (_depth(value=0.0), InvalidClip, r"depth: 2 pixels are zero, in frames 2; .*zero_is_far"),
    (_depth(value=-1.0), InvalidClip, r"depth: 2 pixels are negative"),
    (lambda c: np.save(c / "depth.npy", np.zeros(SHAPE, np.float32)), InvalidClip, "depth: all zero; was the depth"),
    (
        lambda c: np.save(c / "depth.npy", np.ones((4, 5, 5))),
        InvalidClip,
        r"depth\.npy: has shape \(4, 5, 5\), .*6, 10",
    ),
    (
        lambda c: np.save(c / "depth.npy", np.ones(SHAPE, bool)),
        InvalidClip,
        r"depth\.npy: holds bool, expected",
    ),
    (_put("depth.npy", b"\x93NUMPY junk"), UnreadableClip, r"depth\.npy: not readable"),
    (_put("depth.npz", b"junk"), UnreadableClip, r"depth\.npz and depth\.npy are there; remove all but one"),
    (_remove("depth.npy"), UnreadableClip, r"depth: no depth\.npz, depth\.npy or depth/ is there"),
    (_depth_pictures("L"), UnreadableClip, r"depth/0\.png: has mode L, expected 16-bit grey"),
    (_empty, UnreadableClip, r"frames/: no frames in it"),
    (_remove("frames/shot_2.png"), UnreadableClip, r"frames/: frame 2 is missing between 1 and 4"),
    (_put("frames/last.png", b""), UnreadableClip, r"frames/last\.png: its name ends in no number"),
    (_put("frames/other_2.png", b""), UnreadableClip, r"frames/shot_2\.png: is frame 2, as is other_2\.png"),
    (_put("frames/shot_3.png", b"\x89PNG\r\n\x1a\n"), UnreadableClip, r"frames/shot_3\.png: not a readable picture"),
    (_put("rgb.mp4", b"x"), UnreadableClip, r"both frames/ and rgb\.mp4 are there"),
    (_resize("shot_2.png"), InvalidClip, r"frames/: mixed sizes: shot_1\.png is 10x6, shot_2\.png 12x6"),
    (_resize_all, InvalidClip, r"frames/shot_1\.png: is 12x6, dataset\.json says 10x6; .*narthex data import"),
    (_remove("cameras.json"), UnreadableClip, r"cameras\.json: no such file"),
    (_put("cameras.json", "{"), UnreadableClip, r"cameras\.json: not readable JSON"),
    (_put("cameras.json", b"\xff\xfe\xff"), UnreadableClip, r"cameras\.json: not readable JSON"),
    (_put("cameras.json", "[" * 100_000), UnreadableClip, r"cameras\.json: not readable JSON"),
    (_cameras(_nan), InvalidCameras, r"camera_to_world: frame 3 holds NaN or infinity"),
    (_cameras(_drop_last), InvalidCameras, r"camera_to_world: 3 matrices for 4 frames"),
    (_cameras(_scale), InvalidCameras, r"pose of frames \[1\] is no rotation \(scale 1\.145, off by 1\.2"),
    (_cameras(_mirror), InvalidCameras, r"is a mirror in the named axes; correct cameras\.world_axes"),
    (_cameras(_transpose), InvalidCameras, r"expected 0 0 0 1; the matrices are transposed"),
    (
        _cameras(_move(2, 3.0)),
        InvalidCameras,
        r"jumps \d\.\d\d m and \d degrees between frames 1 and 2 \(.*cut",
    ),
    (_cameras(_turn), InvalidCameras, r"jumps 0\.\d\d m and 1[78]\d degrees between frames 1 and 2"),
    (_cameras(_move(0, 900.0)), InvalidCameras, r"camera \d stands 900\.\d m from the gate, .*gate_to_world"),
    (_cameras(_set(K=[[0, 0, 5], [0, 9, 3], [0, 0, 1]])), InvalidCameras, r"K: frame 0 holds .* fx and fy above 0"),
    (_cameras(_two_ways_to_see), UnreadableClip, r"give K, fov_x_deg or fov_y_deg, one of them; got K, fov_x_deg"),
    (_cameras(_set(world_to_camera=[])), UnreadableClip, r"give camera_to_world or world_to_camera, one of them"),
    (_cameras(_set(fov=60)), UnreadableClip, r"fov: no such field; remove it or correct its name"),
    (_cameras(_set(K=None, fov_x_deg=[70, 70])), InvalidCameras, r"fov_x_deg: 2 given for 4 frames"),
    (_cameras(_set(K=None, fov_x_deg=200)), UnreadableClip, r"fov_x_deg.*got 200: input should be less than 175"),
    (_cameras(_set(times_s=[0, 1, 1, 2])), InvalidCameras, r"times_s: expected 4 finite seconds that increase"),
    (_put("caption.txt", b"\xff\xff"), UnreadableClip, r"caption\.txt: not readable UTF-8"),
    (_put("caption.txt", "  \n"), UnreadableClip, r"caption\.txt: is empty; write what the clip shows"),
    (_put("captions.json", "{}"), UnreadableClip, r"both caption\.txt and captions\.json are there"),
    (_put("slots.json", "[]"), UnreadableClip, r"slots\.json: expected an object of words by slot"),
    (_put("slots.json", '{"colour": "red"}'), InvalidClip, r"slots: colour: no such slot; known are light, wall"),
    (_put("slots.json", '{"color": 3}'), InvalidClip, r"slots: color: got 3, expected one of red"),
    (_put("source.json", "1"), UnreadableClip, r"source\.json: expected an object"),
    (_put("object_mask/0.png", b"x"), UnreadableClip, r"object_mask/0\.png: not a readable picture"),
    (lambda c: np.savez(c / "motion_mask.npz", np.ones((1, 2))), InvalidClip, r"motion_mask\.npz: has shape \(1, 2\)"),
    (
        lambda c: np.savez(c / "flow.npz", a=1, b=2),
        UnreadableClip,
        r"flow\.npz: holds \['a', 'b'\], expected one",
    ),
    (lambda c: np.save(c / "room_depth.npy", np.full(SHAPE, np.nan)), InvalidClip, "room_depth: 240 pixels are NaN"),
]


@pytest.mark.parametrize(("spoil", "kind", "message"), BAD)
def test_a_bad_clip_says_what_is_wrong(raw: Path, spoil, kind: type[ClipError], message: str) -> None:
    assert ClipFolder.open(raw).read("one").clip.depth.shape == SHAPE, "it is right before"
    spoil(raw / "one")
    with pytest.raises(kind, match=message) as caught:
        ClipFolder.open(raw).read("one")
    assert str(caught.value).startswith("clip one: ")


BAD_DATASETS = [
    ({"fps": 0}, r"dataset\.json: fps: got 0: input should be greater than 0"),
    ({"fps": float("nan")}, r"fps: got nan"),
    ({"widht": 3}, r"widht: no such field"),
    ({"version": 2}, r"version: got 2, this Narthex reads 1"),
    ({"format": "coco"}, r"format: got 'coco'"),
    ({"depth": {"kind": "planar"}}, r"depth\.units_per_m: is missing; add it"),
    ({"depth": {"kind": "z", "units_per_m": 1}}, r"depth\.kind: got 'z': input should be 'planar' or 'ray'"),
    ({"depth": {"kind": "ray", "units_per_m": 1, "zero_is_far": True}}, r"zero_is_far needs depth\.far_m"),
    ({"cameras": {"system": "godot"}}, r"cameras\.system: got 'godot': expected one of narthex, unity"),
    ({"cameras": {"world_axes": "RUD"}}, r"cameras\.world_axes: got 'RUD': axes must have one letter of each pair"),
    ({"cameras": {"world_axes": "xyz"}}, r"cameras\.world_axes: got 'xyz': axes must be three letters"),
    ({"cameras": {"pixel_center": 1}}, r"cameras\.pixel_center: got 1"),
    ({"width": None}, r"width and height must both be pixels or both be null"),
]


@pytest.mark.parametrize(("changes", "message"), BAD_DATASETS)
def test_a_bad_dataset_file_says_what_is_wrong(tmp_path: Path, changes: dict, message: str) -> None:
    with pytest.raises(UnreadableClip, match=message):
        ClipFolder.open(write_dataset(tmp_path / "set", **changes))


def test_a_folder_without_a_dataset_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(UnreadableClip, match=r"dataset\.json: no such file; write it \(docs/clip-folders\.md\)"):
        ClipFolder.open(tmp_path)


def test_the_sky_is_as_far_as_the_data_set_says(raw: Path) -> None:
    _depth(value=np.inf)(raw / "one")
    depth = np.load(raw / "one" / "depth.npy")
    depth[0, 0, 0] = 0.0
    np.save(raw / "one" / "depth.npy", depth)
    write_dataset(raw, depth={"kind": "planar", "units_per_m": 1.0, "far_m": 40.0, "zero_is_far": True})
    got = ClipFolder.open(raw).read("one").clip.depth
    assert (got[2, 1, 3:5] == 40.0).all() and got[0, 0, 0] == 40.0 and got.max() == 40.0


def test_16_bit_pictures_and_video_are_read(tmp_path: Path) -> None:
    """Depth as PNG in millimetres, numbered from 1 without leading zeros, more than nine of them."""
    footage = make_footage(frames=12)
    folder = write_dataset(tmp_path / "raw", depth={"kind": "planar", "units_per_m": 1000.0})
    cameras = {"world_to_camera": footage.clip.cameras.viewmats.tolist(), "fov_x_deg": 75.0}
    clip = raw_clip(folder / "one", footage, cameras)
    (clip / "depth.npy").unlink()
    (clip / "depth").mkdir()
    for index, plane in enumerate(footage.clip.depth):
        Image.fromarray(np.round(plane * 1000).astype(np.uint16)).save(clip / "depth" / f"d{index + 1}.png")
    got = ClipFolder.open(folder).read("one")
    assert np.abs(got.clip.depth - footage.clip.depth).max() <= 0.0005 + 1e-6
    np.testing.assert_array_equal(got.clip.frames, footage.clip.frames)
    np.testing.assert_allclose(got.clip.cameras.Ks, footage.clip.cameras.Ks, atol=1e-12)


def test_linear_colour_is_encoded(tmp_path: Path, footage: Footage, raw: Path) -> None:
    write_dataset(raw, color="linear")
    got = ClipFolder.open(raw).read("one").clip.frames.astype(int)
    linear = footage.clip.frames / 255.0
    wanted = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055) * 255
    assert np.abs(got - wanted).max() <= 0.5 + 1e-9
