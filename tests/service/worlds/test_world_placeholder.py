"""Placeholder clips: beside the world, written into it, and everything that is none."""

import io
import json
import zipfile

import numpy as np
import pytest

from clips.camera_path import CameraPath
from clips.clip import Clip, load_clip, save_clip
from service.errors import InvalidInput
from service.worlds import placeholder
from service.worlds.pack import packed
from service.worlds.yaml_file import load_world, parse_world

WORLD = """\
world: w
defaults: {{placeholder: {default}}}
chains: {{c: {{tasks: {{t: {{p50_s: 1, p90_s: 2}}}}}}}}
gates:
  g: {{chain: c, content: {{prompt: x, placeholder: "{own}"}}}}   # the door's own
  h: {{chain: c, content: {{prompt: placeholder}}}}
"""


def write_clip(path, shade=100):
    cameras = CameraPath().cameras(2, 6, 4)
    frames = np.full((2, 4, 6, 3), shade, np.uint8)
    save_clip(Clip(frames, np.ones((2, 4, 6), np.float32), cameras, np.array([0.0, 0.125])), path)
    return path.read_bytes()


def write_world(folder, own="own.npz", default="mist"):
    file = folder / "w.yaml"
    file.write_text(WORLD.format(own=own, default=default), encoding="utf-8")
    return file


def problem(file):
    with pytest.raises(InvalidInput) as error:
        load_world(file)
    (found,) = error.value.fields
    return found


def test_a_clip_beside_the_world_is_its_placeholder(tmp_path):
    data = write_clip(tmp_path / "own.npz")
    world = load_world(write_world(tmp_path))
    assert world.gates["g"].content.placeholder == data
    assert world.gates["h"].content.placeholder is None


def test_packing_writes_clips_into_the_world_and_changes_nothing_else(tmp_path):
    (tmp_path / "in").mkdir()
    own, other = write_clip(tmp_path / "own.npz", 1), write_clip(tmp_path / "in" / "other.npz", 2)
    file = write_world(tmp_path, default="in/other.npz")
    source = packed(file.read_bytes(), "w.yaml", tmp_path)
    world = parse_world(source)
    assert world.gates["g"].content.placeholder == own
    assert world.gates["h"].content.placeholder == other
    assert "# the door's own" in source.decode()
    (tmp_path / "back.npz").write_bytes(world.gates["g"].content.placeholder)
    assert load_clip(tmp_path / "back.npz").frames.max() == 1
    assert packed(source, "w.yaml", tmp_path) == source


def test_a_packed_world_must_stay_small_enough(tmp_path, monkeypatch):
    write_clip(tmp_path / "own.npz")
    monkeypatch.setattr("service.worlds.pack.MAX_SOURCE_BYTES", 1000)
    with pytest.raises(InvalidInput, match="bytes when packed, allowed 1,000"):
        packed(write_world(tmp_path).read_bytes(), "w.yaml", tmp_path)


def test_without_a_folder_files_cannot_be_read_and_the_remedy_is_said():
    with pytest.raises(InvalidInput, match="narthex world pack"):
        parse_world(WORLD.format(own="own.npz", default="mist").encode())


def test_what_is_no_clip_is_refused_with_line_and_reason(tmp_path):
    file = write_world(tmp_path)
    assert "cannot be read (No such file" in problem(file).message
    (tmp_path / "own.npz").write_bytes(b"not a zip")
    assert "not a clip file" in problem(file).message
    data = write_clip(tmp_path / "own.npz")
    (tmp_path / "own.npz").write_bytes(data[: len(data) // 2])
    assert "not a clip file" in problem(file).message
    np.savez(tmp_path / "own.npz", x=np.zeros(3))
    found = problem(file)
    assert found.field == "gates.g.content.placeholder"
    assert found.message.startswith("line 5: got 'own.npz', which is not a clip")
    assert str(tmp_path) not in found.message


def test_a_placeholder_may_not_lie_outside_the_folder_of_the_world(tmp_path):
    (tmp_path / "in").mkdir()
    write_clip(tmp_path / "own.npz")
    assert "outside the folder" in problem(write_world(tmp_path / "in", own="../own.npz")).message
    assert "outside the folder" in problem(write_world(tmp_path / "in", own=str(tmp_path / "own.npz"))).message


def test_a_clip_that_unpacks_to_too_much_is_never_unpacked(tmp_path):
    header = json.dumps({"version": 1}).encode()
    with zipfile.ZipFile(tmp_path / "own.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("header.npy", header)
        with archive.open("frames.npy", "w", force_zip64=True) as member:
            for _ in range(65):
                member.write(bytes(1 << 20))
    assert "unpacks to 68,1" in problem(write_world(tmp_path)).message


def test_a_file_that_is_too_big_is_not_read(tmp_path):
    with (tmp_path / "own.npz").open("wb") as sparse:
        sparse.truncate(placeholder.MAX_PLACEHOLDER_BYTES + 1)
    assert "a file of 67,108,865 bytes" in problem(write_world(tmp_path)).message


def test_inlined_bytes_come_back():
    buffer = io.BytesIO()
    buffer.write(b"\x00\xff")
    assert placeholder.placeholder_bytes("mist", None) is None
    assert placeholder.inlined(buffer.getvalue()) == "base64:AP8="
