"""Placeholders: the built-in room, and the clips that worlds bring."""

from __future__ import annotations

import numpy as np

from clips.camera_path import CameraPath
from clips.clip import Clip, save_clip
from clips.video import read_mp4
from recon.export.fourdgs_file import read_4dgs
from service.quality import Quality
from service.sessions.placeholder import MIST_FOLDER
from service.sessions.views import ContentAnnounced
from service.store.eviction import delete_unregistered, evict
from service.store.records import CLIP, FOURDGS, MP4, AssetRecord, SceneRecord
from service.work.claim import JobResult
from service.work.job import JobKind
from service.worlds.placeholder import inlined


def test_the_mist_files_are_small_and_others_can_read_them():
    assert sum(path.stat().st_size for path in MIST_FOLDER.iterdir()) < 300_000
    frames, fps = read_mp4(MIST_FOLDER / "mist.mp4")
    scene = read_4dgs(MIST_FOLDER / "mist.4dgs")
    assert len(frames) / fps == 2.0
    assert frames.std() > 5.0, "a picture, not one colour"
    assert len(scene) == 2816


async def test_the_mist_room_is_never_evicted(stage):
    assert evict(stage.engine, stage.clock, 0) == []
    delete_unregistered(stage.engine, stage.blobs, unused_s=0.0)
    play = await stage.play()
    for news in await play.told(ContentAnnounced):
        assert {record.media_type for record in (*news.video, *news.scene)} == {MP4, FOURDGS}
        for record in (*news.video, *news.scene):
            assert stage.blobs.path(record.asset).stat().st_size == record.size_bytes


def clip_file(folder, caption: str) -> bytes:
    cameras = CameraPath().cameras(5, 16, 8)
    frames = np.random.default_rng(3).integers(0, 255, (5, 8, 16, 3), dtype=np.uint8)
    clip = Clip(frames, np.full((5, 8, 16), 2.0, np.float32), cameras, np.arange(5) / 8.0, caption)
    save_clip(clip, folder / "clip.npz")
    return (folder / "clip.npz").read_bytes()


def world_with(data: bytes) -> str:
    return f"""
world: own-room
chains: {{red: {{tasks: {{fetch_key: {{p50_s: 20, p90_s: 60}}}}}}}}
gates:
  red_gate: {{chain: red, content: {{prompt: a room, seed: 1, placeholder: "{inlined(data)}"}}}}
  blue_gate: {{chain: red, content: {{prompt: a room, seed: 2}}}}
"""


async def test_a_worlds_own_clip_is_made_into_a_scene_and_shown_instead_of_mist(stage, tmp_path):
    data = clip_file(tmp_path, "an anteroom")
    await stage.put_world(world_with(data), "own-room")
    early = await stage.play(world_id="own-room")
    claimed = stage.claim()
    request = claimed.job.request
    assert (request.kind, request.payload["segment"]) == (JobKind.RECONSTRUCT, request.target)
    record = stage.catalogue.segment(request.target)
    assert [asset.media_type for asset in record.assets] == [MP4, CLIP]
    assert stage.blobs.path(record.assets[1].asset).read_bytes() == data
    assert record.spec["prompt"] == "an anteroom"

    asset = record.assets[1]
    scene = SceneRecord(asset.asset, record.segment_id, (asset,), 10, record.duration_s, stage.clock())
    assert stage.jobs.complete(claimed, JobResult(None, scene, 1.0, 0.0))
    late = await stage.play(world_id="own-room")
    by_gate = {news.gate: news.content for news in await late.told(ContentAnnounced)}
    assert by_gate["red_gate"].segment == request.target
    assert by_gate["red_gate"].scene == scene.scene_id
    mist = by_gate["blue_gate"]
    assert {content.quality for content in by_gate.values()} == {Quality.PLACEHOLDER}
    assert {news.content.segment for news in await early.told(ContentAnnounced)} == {mist.segment}

    await stage.put_world(world_with(data), "own-room")
    await stage.play(world_id="own-room")
    assert stage.live_jobs() == [], "a clip that has its scene is left as it is"


async def test_a_worlds_own_clip_that_was_evicted_is_made_again_for_the_next_session(stage, tmp_path):
    data = clip_file(tmp_path, "an anteroom")
    await stage.put_world(world_with(data), "own-room")
    claimed = stage.claim()
    target = claimed.job.request.target
    record = stage.catalogue.segment(target)
    scene_asset = AssetRecord(stage.blobs.put(b"splats"), 6, FOURDGS, 0.0, record.duration_s)
    scene = SceneRecord(scene_asset.asset, record.segment_id, (scene_asset,), 10, record.duration_s, stage.clock())
    assert stage.jobs.complete(claimed, JobResult(None, scene, 1.0, 0.0))
    assert len(evict(stage.engine, stage.clock, 0)) == 3
    delete_unregistered(stage.engine, stage.blobs, unused_s=0.0)
    await stage.play(world_id="own-room")
    assert [job.request.target for job in stage.live_jobs()] == [target]
    assert stage.blobs.path(stage.catalogue.segment(target).assets[1].asset).read_bytes() == data
