from __future__ import annotations

import hashlib
import os
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from narthex.v1 import asset_service_pb2 as pb2
from narthex.v1 import content_pb2, quality_pb2

from clips.camera_path import CameraPath
from model.spec import SegmentSpec
from service.clock import system_clock
from service.quality import Quality
from service.store.database import write
from service.store.records import CLIP, FOURDGS, MP4, AssetRecord, SceneRecord, SegmentRecord

SIZE = 3 * 1024 * 1024 + 4_321


@pytest.fixture(scope="module")
def data() -> bytes:
    return os.urandom(SIZE)


@pytest.fixture(scope="module")
def asset(wire: Any, data: bytes) -> str:
    return f"assets/{wire.stores.blobs.put(data)}"


@pytest.fixture(scope="module")
def segment(wire: Any) -> SegmentRecord:
    """A segment with its scene in the catalogue."""
    spec = SegmentSpec("a red orb", 1, CameraPath().cameras(2, 96, 64), 8.0, 4, 2.0, "rev")
    blobs = wire.stores.blobs
    video, clip, scene = (blobs.put(os.urandom(1_000)) for _ in range(3))
    assets = (AssetRecord(video, 1_000, MP4, 0.0, 0.25), AssetRecord(clip, 1_000, CLIP, 0.0, 0.25))
    record = SegmentRecord(spec.key(), spec.to_json(), Quality.DRAFT, assets, scene, 0.25, system_clock())
    of_scene = (AssetRecord(scene, 1_000, FOURDGS, 0.0, 0.25, 0, 12),)
    with write(wire.stores.engine) as connection:
        wire.stores.catalogue.register_segment(
            connection, record, SceneRecord(scene, record.segment_id, of_scene, 12, 0.25, system_clock())
        )
    return record


def read(client: Any, asset: str, **fields: int) -> bytes:
    request = pb2.ReadAssetRequest(asset=asset, **fields)
    return b"".join(message.data for message in client.assets.ReadAsset(request))


@pytest.mark.parametrize(
    ("fields", "start", "end"),
    [
        ({}, 0, SIZE),
        ({"offset_bytes": 1}, 1, SIZE),
        ({"offset_bytes": SIZE - 1}, SIZE - 1, SIZE),
        ({"offset_bytes": SIZE}, SIZE, SIZE),
        ({"offset_bytes": 300_000, "limit_bytes": 5}, 300_000, 300_005),
        ({"offset_bytes": 10, "limit_bytes": 2**62}, 10, SIZE),
    ],
)
def test_bytes_from_any_offset(client: Any, asset: str, data: bytes, fields: dict[str, int], start: int, end: int):
    assert read(client, asset, **fields) == data[start:end]


def test_pieces_are_256_kib_and_say_where_they_begin(client: Any, asset: str):
    pieces = list(client.assets.ReadAsset(pb2.ReadAssetRequest(asset=asset, offset_bytes=100)))
    assert {len(piece.data) for piece in pieces[:-1]} == {256 * 1024}
    assert [piece.offset_bytes for piece in pieces] == [100 + 256 * 1024 * index for index in range(len(pieces))]
    assert {piece.total_bytes for piece in pieces} == {SIZE}


def test_a_cut_connection_in_mid_asset_is_resumed_by_offset(wire: Any, asset: str, client: Any):
    got = b""
    while len(got) < SIZE:
        # Every reader is cut off after two pieces, its connection with it.
        reader = type(client)(wire.address)
        for count, message in enumerate(
            reader.assets.ReadAsset(pb2.ReadAssetRequest(asset=asset, offset_bytes=len(got)))
        ):
            assert message.offset_bytes == len(got)
            got += message.data
            if count == 1:
                break
        reader.close()
    assert hashlib.sha256(got).hexdigest() == asset.partition("/")[2]


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"offset_bytes": SIZE + 1}, grpc.StatusCode.OUT_OF_RANGE, "offset_bytes"),
        ({"offset_bytes": 2**62}, grpc.StatusCode.OUT_OF_RANGE, "offset_bytes"),
        ({"offset_bytes": -1}, grpc.StatusCode.INVALID_ARGUMENT, "offset_bytes"),
        ({"limit_bytes": -1}, grpc.StatusCode.INVALID_ARGUMENT, "limit_bytes"),
    ],
)
def test_wrong_ranges_are_refused_by_field(
    client: Any, refused: Any, asset: str, fields: dict[str, int], code: grpc.StatusCode, field: str
):
    with refused() as caught:
        read(client, asset, **fields)
    assert caught.value.code is code
    assert caught.value.fields.keys() == {field}


@pytest.mark.parametrize(
    "name", ["", "assets/", "assets/xyz", "assets/" + "A" * 64, "../../etc/passwd", "assets/" + "0" * 63]
)
def test_names_that_are_no_assets_are_refused(client: Any, refused: Any, name: str):
    with refused() as caught:
        read(client, name)
    assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT
    assert caught.value.fields.keys() == {"asset"}


def test_an_unknown_asset_is_not_found(client: Any, refused: Any):
    with refused() as caught:
        read(client, "assets/" + "0" * 64)
    assert caught.value.code is grpc.StatusCode.NOT_FOUND
    assert caught.value.resource == "assets/" + "0" * 64


def test_stored_bytes_that_rotted_are_data_loss(wire: Any, client: Any, refused: Any):
    asset = wire.stores.blobs.put(b"fresh" * 100)
    path = wire.stores.blobs.path(asset)
    path.unlink()
    path.write_bytes(b"rotten" * 100)
    with refused() as caught:
        read(client, f"assets/{asset}")
    assert caught.value.code is grpc.StatusCode.DATA_LOSS


def test_segments_and_scenes_are_read_by_name(client: Any, segment: SegmentRecord):
    got = client.assets.GetSegment(pb2.GetSegmentRequest(name=f"segments/{segment.segment_id}"))
    assert got.spec.prompt == "a red orb"
    assert got.quality == quality_pb2.QUALITY_DRAFT
    assert [chunk.media_type for chunk in got.manifest.chunks] == [MP4, CLIP]
    scene = client.assets.GetScene4D(pb2.GetScene4DRequest(name=got.scene))
    assert scene.segment == got.name
    assert scene.splats == 12
    listed = client.assets.ListSegments(pb2.ListSegmentsRequest())
    assert got in list(listed.segments)


@pytest.mark.parametrize(
    ("method", "request_type", "name"),
    [("GetSegment", pb2.GetSegmentRequest, "segments/none"), ("GetScene4D", pb2.GetScene4DRequest, "scenes/none")],
)
def test_unknown_segments_and_scenes_are_not_found(
    client: Any, refused: Any, method: str, request_type: type, name: str
):
    with refused() as caught:
        getattr(client.assets, method)(request_type(name=name))
    assert (caught.value.code, caught.value.resource) == (grpc.StatusCode.NOT_FOUND, name)
    with refused() as caught:
        getattr(client.assets, method)(request_type(name="wrong"))
    assert caught.value.fields.keys() == {"name"}


def test_content_is_pinned_and_let_go(client: Any, refused: Any, segment: SegmentRecord):
    later = Timestamp(seconds=int(system_clock()) + 3_600)
    ref = content_pb2.ContentRef(
        world="worlds/halls",
        gate="red_gate",
        segment=f"segments/{segment.segment_id}",
        scene=f"scenes/{segment.scene_id}",
        quality=quality_pb2.QUALITY_DRAFT,
    )
    request = pb2.PinContentRequest(content=ref, expire_time=later, request_id="pin-1")
    pin = client.assets.PinContent(request)
    assert pin.content == ref
    assert pin.expire_time == later
    assert client.assets.PinContent(request).name == pin.name
    client.assets.UnpinContent(pb2.UnpinContentRequest(name=pin.name))
    with refused() as caught:
        client.assets.UnpinContent(pb2.UnpinContentRequest(name=pin.name))
    assert caught.value.code is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"expire_time": Timestamp(seconds=5)}, "expire_time"),
        ({"expire_time": Timestamp(seconds=253_402_300_000)}, "expire_time"),
        ({"content": content_pb2.ContentRef()}, "content.gate"),
        ({"request_id": "x" * 200}, "request_id"),
    ],
)
def test_wrong_pins_are_refused_by_field(
    client: Any, refused: Any, segment: SegmentRecord, change: dict[str, Any], field: str
):
    ref = content_pb2.ContentRef(world="worlds/w", gate="g", segment=f"segments/{segment.segment_id}", quality=2)
    good = {"content": ref, "expire_time": Timestamp(seconds=int(system_clock()) + 60)}
    with refused() as caught:
        client.assets.PinContent(pb2.PinContentRequest(**(good | change)))
    assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT
    assert caught.value.fields.keys() == {field}
