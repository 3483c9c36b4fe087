"""What the model cannot make is refused at once, by a server whose weights say what they make."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from narthex.v1 import design_service_pb2 as pb2
from narthex.v1 import play_service_pb2, quality_pb2, session_pb2
from safetensors.numpy import save_file

from clips.camera_path import CameraPath
from model.revision import DIT_FILE, VAE_FILE, weights_revision
from model.spec import SegmentSpec
from service.api.convert.content import spec_message

WORLD = (
    "world: sized\nchains: {a: {tasks: {t: {p50_s: 1, p90_s: 2}}}}\ngates: {g: {chain: a, content: {prompt: x%s}}}\n"
)
HEADERS = {VAE_FILE: {"group_frames": 4, "patch_px": 8}, DIT_FILE: {"latent_size": [3, 4, 6]}}
"""Of weights that make 9 or 17 frames of 48x32."""


@pytest.fixture
def small_weights(tmp_path: Path) -> Path:
    folder = tmp_path / "small"
    folder.mkdir()
    for name, config in HEADERS.items():
        save_file({"w": np.zeros(1, np.float32)}, folder / name, {"narthex": json.dumps({"config": config})})
    return folder


@pytest.fixture
def small_server(make_wire: Any, tmp_path: Path, small_weights: Path) -> Any:
    return make_wire(tmp_path, **{"model.weights_dir": str(small_weights)})


def asked(frames: int, width: int, height: int, weights: Path) -> pb2.GenerateSegmentRequest:
    cameras = CameraPath().cameras(frames, width, height)
    spec = SegmentSpec("a red orb", 1, cameras, 8.0, 4, 2.0, weights_revision(weights))
    return pb2.GenerateSegmentRequest(spec=spec_message(spec.to_json()), quality=quality_pb2.QUALITY_DRAFT)


def put(client: Any, content: str) -> Any:
    return client.put_world(WORLD % content, "sized")


def test_segments_of_sizes_that_are_not_made_are_refused_by_field(
    small_server: Any, make_client: Any, refused: Any, small_weights: Path
):
    client = make_client(small_server)
    makes = "this server's model makes 9 or 17 frames of 48x32 pixels"
    for size, fields in {
        (16, 48, 32): {"spec.cameras.viewmats": f"got 16 frames (256 numbers), {makes}"},
        (9, 96, 32): {"spec.cameras.width_px": f"got 96, {makes}"},
        (33, 48, 64): {
            "spec.cameras.viewmats": f"got 33 frames (528 numbers), {makes}",
            "spec.cameras.height_px": f"got 64, {makes}",
        },
    }.items():
        with refused() as caught:
            client.design.GenerateSegment(asked(*size, small_weights))
        assert (caught.value.code, caught.value.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "SIZE_NOT_MADE")
        assert caught.value.fields == fields
        assert all(field in caught.value.message for field in fields)
    for frames in (9, 17):
        assert client.design.GenerateSegment(asked(frames, 48, 32, small_weights)).name


def test_worlds_are_held_against_the_servers_own_weights(small_server: Any, make_client: Any, refused: Any):
    client = make_client(small_server)
    for content, field, message in (
        (", size: [96, 64]", "size", "got [96, 64], allowed [48, 32]"),
        (", frames: 33", "frames", "got 33, allowed 9 or 17"),
    ):
        with refused() as caught:
            put(client, content)
        assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT
        assert message in caught.value.fields[f"gates.g.content.{field}"]
    assert put(client, ", size: [48, 32], frames: 9").done
    assert put(client, "").done
    stored = client.design.GetWorld(pb2.GetWorldRequest(name="worlds/sized"))
    content = stored.gates[0].content
    assert (content.width_px, content.height_px) == (48, 32)


def test_worlds_of_former_weights_stay_readable(make_wire: Any, make_client: Any, tmp_path: Path, small_weights: Path):
    """The files of the default fixture say nothing, so its server takes what the shipped weights make."""
    first = tmp_path / "first"
    first.mkdir()
    before = make_wire(first)
    client = make_client(before)
    put(client, ", size: [96, 64], frames: 33")
    request = play_service_pb2.CreateSessionRequest(session=session_pb2.Session(world="worlds/sized"))
    session = client.play.CreateSession(request).name
    before.stop()
    second = tmp_path / "second"
    second.mkdir()
    after = make_client(
        make_wire(second, **{"data.dir": str(before.config.data.dir), "model.weights_dir": str(small_weights)})
    )
    assert [world.name for world in after.design.ListWorlds(pb2.ListWorldsRequest()).worlds] == ["worlds/sized"]
    assert after.play.GetSession(play_service_pb2.GetSessionRequest(name=session)).name == session
