"""A world's own mesh is announced with its content, instead of the reconstructed proxy, and can be read."""

import base64
import json
import struct

import pytest

from service.ids import AssetId, ChainId, GateId
from service.play.event import ChainAccepted
from service.quality import Quality
from service.sessions.colliders import with_collider
from service.sessions.views import ContentAnnounced
from service.store.records import COLLIDER, FOURDGS, AssetRecord
from service.worlds.yaml_file import parse_world

RED, GATE = ChainId("red"), GateId("red_gate")


def glb() -> bytes:
    """The smallest file that names a mesh and an exit."""
    document = {"asset": {"version": "2.0"}, "meshes": [{"primitives": []}], "nodes": [{"name": "exit"}]}
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    return struct.pack("<4sIII4s", b"glTF", 2, 20 + len(text), len(text), b"JSON") + text


WORLD = f"""
world: meshed
chains: {{red: {{tasks: {{fetch_key: {{p50_s: 20, p90_s: 60}}}}}}}}
gates:
  red_gate:
    chain: red
    content:
      prompt: a brick room in daylight
      variation: shared
      graybox: "base64:{base64.b64encode(glb()).decode()}"
"""


async def announced(stage, **profile):
    await stage.put_world(WORLD, "meshed")
    play = await stage.play("session-1", "meshed", **profile)
    await play.report(ChainAccepted(RED))
    await stage.turn()
    stage.work(Quality.DRAFT)
    await stage.turn()
    return play, (await play.told(ContentAnnounced))[-1]


async def test_the_mesh_comes_with_the_scene_and_may_be_read(stage):
    play, news = await announced(stage)
    mesh = news.scene[-1]
    assert (mesh.media_type, mesh.size_bytes, mesh.splats) == (COLLIDER, len(glb()), 0)
    assert stage.blobs.path(mesh.asset).read_bytes() == glb()
    assert await stage.director.is_released(play.session_id, mesh.asset)
    assert news.scene[0].media_type == FOURDGS


async def test_who_takes_no_meshes_gets_none(stage):
    _, news = await announced(stage, formats=(FOURDGS,))
    assert [record.media_type for record in news.scene] == [FOURDGS]


@pytest.mark.parametrize("formats", [(), (COLLIDER, FOURDGS)])
def test_it_replaces_the_reconstructed_proxy(formats):
    content = next(iter(parse_world(WORLD.encode()).gates.values())).content
    splats, proxy = (AssetRecord(AssetId(kind), 1, kind, 0.0, 1.0) for kind in (FOURDGS, COLLIDER))
    told = with_collider((splats, proxy), content, formats)
    assert [record.asset for record in told] == [FOURDGS, content.collider.sha256]
