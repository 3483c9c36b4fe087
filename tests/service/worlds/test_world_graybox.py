"""Grayboxes of world files: blockouts and depth clips as controls, and every mistake told of."""

import re
from pathlib import Path

import numpy as np
import pytest

from clips.camera_path import PathKind
from clips.dungeon.blockout import Graybox
from model.revision import DEFAULT_CONTROL
from model.spec_control import ControlKind
from service.errors import InvalidInput
from service.worlds.depth_file import BadDepthFile, depth_from_bytes, inlined_depth, read_depth_file
from service.worlds.document import json_schema
from service.worlds.graybox import LARGEST_TURN_DEG
from service.worlds.pack import packed
from service.worlds.yaml_file import load_world, parse_world

ROOM = "width_m: 5, height_m: 3.2, depth_m: 6"
BOX = "kind: box, half_m: [0.3, 0.4, 0.5], position_m: [-1.0, -0.4, 2]"


def world_of(content, defaults="{}"):
    return f"""\
world: w
defaults: {defaults}
chains: {{c: {{tasks: {{t: {{p50_s: 1, p90_s: 2}}}}}}}}
gates:
  g: {{chain: c, content: {{prompt: a red orb, {content}}}}}
"""


def control_of(content, defaults="{}", base_dir=None):
    return parse_world(world_of(content, defaults).encode(), base_dir=base_dir).gates["g"].content.control


def problem(content, defaults="{}", base_dir=None):
    with pytest.raises(InvalidInput) as error:
        parse_world(world_of(content, defaults).encode(), base_dir=base_dir)
    (found,) = error.value.fields
    return found.field, found.message


def write_depth(path, frames=17, dtype=np.float32):
    depth = np.random.default_rng(0).uniform(1, 9, (frames, 64, 96))
    np.save(path, (depth * 1000).astype(dtype) if dtype is np.uint16 else depth.astype(dtype))
    return depth


def test_a_blockout_is_what_was_written():
    control = control_of(f"graybox: {{{ROOM}, objects: [{{{BOX}, yaw_deg: 90}}]}}")
    assert control.kind is ControlKind.BLOCKOUT
    assert (control.graybox.width_m, control.graybox.height_m, control.graybox.depth_m) == (5, 3.2, 6)
    (proxy,) = control.graybox.proxies
    assert (proxy.kind, proxy.half_m) == ("box", (0.3, 0.4, 0.5))
    assert np.allclose(proxy.centers, [[-1, -0.4, 2]])
    # A quarter turn takes the object's own x to the gate's z, as the dungeon's rooms turn (object_yaw_rad).
    assert np.allclose(proxy.rotations[0] @ [1, 0, 0], [0, 0, 1], atol=1e-12)
    assert Graybox.from_json(control.graybox.to_json()).to_json() == control.graybox.to_json()


def test_a_path_is_followed_with_all_its_turns():
    path = "[{time_s: 0, position_m: [0, -1, 2]}, {time_s: 2, position_m: [1, -1, 4], yaw_deg: 720}]"
    control = control_of(f"graybox: {{{ROOM}, objects: [{{kind: sphere, half_m: [1, 1, 1], path: {path}}}]}}")
    (proxy,) = control.graybox.proxies
    assert len(proxy.times) == 1 + 720 / LARGEST_TURN_DEG
    states = proxy.at(np.array([0.0, 0.125, 1.0, 9.0]))
    assert np.allclose(states[:, :3], [[0, -1, 2], [0.0625, -1, 2.125], [0.5, -1, 3], [1, -1, 4]])
    eighth = states[1, 3:].reshape(3, 3) @ [1, 0, 0]
    assert np.allclose(eighth, [np.sqrt(0.5), 0, np.sqrt(0.5)])


@pytest.mark.parametrize(
    ("content", "defaults", "kind"),
    [
        ("seed: 1", "{}", DEFAULT_CONTROL),
        ("control: auto", "{control: none}", DEFAULT_CONTROL),
        ("seed: 1", "{control: none}", "none"),
        ("seed: 1", "{control: layout}", "layout"),
        ("control: none", "{control: layout}", "none"),
        (f"graybox: {{{ROOM}}}", "{control: none}", "blockout"),
        (f"graybox: {{{ROOM}}}, control: auto", "{}", "blockout"),
    ],
)
def test_the_gates_word_counts_over_the_worlds(content, defaults, kind):
    assert control_of(content, defaults).kind == kind


def test_a_depth_clip_is_read_from_beside_the_world_and_packed_into_it(tmp_path):
    depth = write_depth(tmp_path / "depth.npy")
    write_depth(tmp_path / "mm.npy", dtype=np.uint16)
    source = world_of('seed: 3, graybox: {depth_file: "depth.npy"}').encode() + b"# kept\n"
    (tmp_path / "w.yaml").write_bytes(source)
    control = load_world(tmp_path / "w.yaml").gates["g"].content.control
    assert control.kind is ControlKind.DEPTH
    assert np.abs(control.depth - depth).max() < 6e-4
    assert np.abs(control_of("graybox: {depth_file: mm.npy}", base_dir=tmp_path).depth - depth).max() < 2e-3
    whole = packed(source, "w.yaml", tmp_path)
    assert whole.endswith(b"# kept\n")
    assert parse_world(whole).gates["g"].content.control == control
    assert packed(whole, "w.yaml", tmp_path) == whole


BAD = [
    ("objects: []", "", "allowed width_m, height_m and depth_m"),
    ("width_m: 5, depth_m: 6", "", "allowed width_m, height_m and depth_m"),
    ("width_m: 1, height_m: 3, depth_m: 6", ".width_m", "got 1, allowed at least 2"),
    ("width_m: .nan, height_m: 3, depth_m: 6", ".width_m", "got NaN, allowed a finite number"),
    ("width_m: 5, height_m: 3, depth_m: 61", ".depth_m", "at most 60"),
    (f"{ROOM}, depth: 6", ".depth", "allowed in gates.g.content.graybox: width_m"),
    (f"{ROOM}, depth_file: a.npy", "", "allowed depth_file alone"),
    ("depth_file: a.png", ".depth_file", "FILE.npy, FILE.npz or base64:..."),
    ("depth_file: a.npy", ".depth_file", "narthex world pack"),
    ("depth_file: 'base64:%'", ".depth_file", "not base64"),
    ("depth_file: 'base64:aGFsbG8='", ".depth_file", "not a .npy or .npz"),
    (f"{ROOM}, objects: [{{{BOX}, path: []}}]", ".objects[0].path", "at least 1 item"),
    (f"{ROOM}, objects: [{{kind: box, half_m: [1, 1, 1]}}]", ".objects[0]", "position_m or path, one of them"),
    (f"{ROOM}, objects: [{{{BOX.replace('box', 'teapot')}}}]", ".objects[0].kind", "allowed 'box', 'sphere'"),
    (f"{ROOM}, objects: [{{{BOX.replace('0.3, ', '')}}}]", ".objects[0].half_m", "at least 3 items"),
    (f"{ROOM}, objects: [{{{BOX.replace('0.3', '0')}}}]", ".objects[0].half_m[0]", "at least 0.01"),
    (f"{ROOM}, objects: [{{{BOX.replace('-0.4', '0.4')}}}]", "", "y points down"),
    (f"{ROOM}, objects: [{{{BOX.replace('-1.0', '-2.6')}}}]", "", "objects[0] is outside the room"),
    (f"{ROOM}, objects: [{{{BOX.replace('half_m', 'halfm')}}}]", ".objects[0]", "did you mean 'half_m'?"),
    (
        f"{ROOM}, objects: [{{kind: cone, half_m: [1, 1, 1], yaw_deg: 3, path: "
        "[{time_s: 0, position_m: [0, -1, 2]}]}]",
        ".objects[0]",
        "a path has its own in every key",
    ),
    (
        f"{ROOM}, objects: [{{kind: cone, half_m: [1, 1, 1], path: "
        "[{time_s: 1, position_m: [0, -1, 2]}, {time_s: 1, position_m: [0, -1, 2]}]}]",
        ".objects[0].path",
        "times that ascend",
    ),
    (f"{ROOM}, objects: [{', '.join([f'{{{BOX}}}'] * 65)}]", ".objects", "at most 64 items"),
]


@pytest.mark.parametrize(("graybox", "where", "words"), BAD, ids=[words[:30] for _, _, words in BAD])
def test_every_mistake_is_told_of_with_its_field(graybox, where, words):
    with pytest.raises(InvalidInput) as error:
        parse_world(world_of(f"graybox: {{{graybox}}}").encode())
    found = {problem.field: problem.message for problem in error.value.fields}
    matching = [field for field, message in found.items() if words in message]
    assert any(field.startswith(f"gates.g.content.graybox{where}") for field in matching), found
    assert all(re.match(r"line 5: got ", message) for message in found.values()), found


def test_a_graybox_and_another_control_contradict_each_other():
    field, message = problem(f"graybox: {{{ROOM}}}, control: none")
    assert field == "gates.g.content.control"
    assert "got 'none', allowed auto beside a graybox" in message


def test_a_camera_that_leaves_the_room_is_refused_with_frame_and_place():
    field, message = problem(f"graybox: {{{ROOM.replace('depth_m: 6', 'depth_m: 2')}}}, camera: {{distance_m: 4.0}}")
    assert field == "gates.g.content.graybox"
    assert "5 x 3.2 x 2 m that does not fit the camera's path" in message
    assert re.search(r"frames \[7, 8.* the first is at \[0\.0, -1\.5, 2\.05\] m", message)
    field, _ = problem(f"graybox: {{{ROOM}}}", "{camera: {start_z_m: -5.0, distance_m: -4.0}}")
    assert field == "gates.g.content.graybox"
    in_the_way = BOX.replace("[-1.0, -0.4, 2]", "[0, -1.5, 1.2]")
    field, message = problem(f"graybox: {{{ROOM}, objects: [{{{in_the_way}}}]}}")
    assert re.search(r"keep 0\.15 m away from the solids of the graybox; frames \[4, 5", message)


def test_depth_of_another_size_or_with_holes_is_refused(tmp_path):
    write_depth(tmp_path / "short.npy", frames=9)
    field, message = problem("graybox: {depth_file: short.npy}", base_dir=tmp_path)
    assert field == "gates.g.content.graybox.depth_file"
    assert "(17, 64, 96), got (9, 64, 96)" in message
    depth = write_depth(tmp_path / "holes.npy").astype(np.float32)
    depth[2, 3, 4] = np.inf
    np.save(tmp_path / "holes.npy", depth)
    assert "frames [2] are not" in problem("graybox: {depth_file: holes.npy}", base_dir=tmp_path)[1]
    assert "outside the folder" in problem("graybox: {depth_file: ../holes.npy}", base_dir=tmp_path)[1]
    assert "No such file" in problem("graybox: {depth_file: none.npy}", base_dir=tmp_path)[1]
    write_depth(tmp_path / "long.npy", frames=33)
    assert control_of("frames: 33, graybox: {depth_file: long.npy}", base_dir=tmp_path).depth.shape == (33, 64, 96)


def test_damaged_and_foreign_depth_files_are_refused(tmp_path, monkeypatch):
    write_depth(tmp_path / "d.npy", frames=2)
    data = (tmp_path / "d.npy").read_bytes()
    for damaged in (b"", b"PK", data[:40], data[:-1], b"\x93NUMPY\x01\x00\x04\x00junk", b"PK\x03\x04" + data[:90]):
        with pytest.raises(BadDepthFile, match=r"not a \.npy or \.npz"):
            depth_from_bytes(damaged)
    for array in (np.zeros((2, 3)), np.zeros((1, 2, 3), np.int64), np.array([[["x"]]]), np.zeros((0, 2, 3))):
        np.save(tmp_path / "odd.npy", array)
        with pytest.raises(BadDepthFile, match="floats in metres or uint16"):
            read_depth_file(tmp_path / "odd.npy")
    np.savez(tmp_path / "two.npz", a=np.zeros((1, 2, 3)), b=np.zeros((1, 2, 3)))
    with pytest.raises(BadDepthFile, match="2 arrays"):
        read_depth_file(tmp_path / "two.npz")
    huge = data.replace(b"(2, 64, 96)", b"(2000000000, 640000, 96)")
    with pytest.raises(BadDepthFile, match=r"not a \.npy or \.npz"):
        depth_from_bytes(huge)
    monkeypatch.setattr("service.worlds.depth_file.MAX_DEPTH_FILE_BYTES", 1000)
    with pytest.raises(BadDepthFile, match="more than 1,000"):
        read_depth_file(tmp_path / "d.npy")


def test_a_depth_clip_written_into_a_world_is_small():
    rows = np.linspace(1, 9, 64)[None, :, None] + np.zeros((17, 1, 96))
    assert len(inlined_depth(rows.astype(np.float32))) < 60_000


def test_cameras_of_worlds_may_shake():
    content = parse_world(world_of("camera: {path: shake, shake_seed: 5}").encode()).gates["g"].content
    assert (content.camera_path.kind, content.camera_path.shake_seed) == (PathKind.SHAKE, 5)


def test_editors_are_told_of_grayboxes():
    definitions = json_schema()["$defs"]
    assert {"GrayboxPart", "ObjectPart", "KeyPart"} <= set(definitions)
    assert definitions["GrayboxPart"]["additionalProperties"] is False
    text = (Path(__file__).parents[3] / "docs" / "world.schema.json").read_text(encoding="utf-8")
    assert '"depth_file"' in text
