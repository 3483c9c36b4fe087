from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from clips.clip import Clip, load_clip
from clips.dungeon.blockout import Graybox
from clips.video import read_mp4
from model.errors import InvalidSpec, ModelError
from model.generate import Generator
from model.prompt import parse_prompt
from model.spec import SegmentSpec
from model.spec_control import Control, ControlKind
from model.steering import Steering, steering_of
from model.supported import SupportedSize
from recon.envelope import ENVELOPE_KEY, Envelope
from recon.export.fourdgs_file import decode_4dgs, metadata_4dgs, read_4dgs
from recon.export.glb import decode_glb
from recon.export.ply import read_ply
from service.clock import system_clock
from service.errors import InvalidInput, NotFound
from service.ids import AssetId
from service.quality import Quality
from service.store.blobs import BlobStore
from service.store.catalogue import Catalogue
from service.store.database import create_tables, open_database
from service.store.records import CLIP, COLLIDER, ENVELOPE, FOURDGS, GRAYBOX, MP4, PLY
from service.work.claim import ClaimedJob, JobResult
from service.work.content import ContentHandlers
from service.work.handlers import HandlerContext, JobRun, StaleCheckpoint
from service.work.job import JobKind, JobRequest
from service.work.table import JobTable
from service.work.warm_up import warm_up_clip

SIZE = SupportedSize(9, 48, 32)
STEPS = 5


class FakeGeneration:
    """Counts steps and gives a known clip; what the networks do is tested where they are."""

    def __init__(self, spec: SegmentSpec, steps_done: int) -> None:
        self.spec, self.steps_done, self.steps_total = spec, steps_done, spec.steps
        graybox = spec.control.graybox
        self.steering = Steering() if graybox is None else Steering(spec.control.kind, graybox)

    @property
    def done(self) -> bool:
        return self.steps_done >= self.steps_total

    def advance(self, steps: int) -> None:
        self.steps_done = min(self.steps_total, self.steps_done + steps)

    def finish(self) -> Clip:
        assert self.done
        clip = warm_up_clip(SIZE.frames, SIZE.width, SIZE.height)
        return Clip(clip.frames, clip.depth, self.spec.cameras, clip.times, self.spec.prompt)

    def state_bytes(self) -> bytes:
        return json.dumps({"steps_done": self.steps_done}).encode()


class FakeGenerator:
    revision = "fake"
    supported = SIZE

    def __init__(self) -> None:
        self.begun: list[SegmentSpec] = []

    def begin(self, spec: SegmentSpec) -> FakeGeneration:
        self.begun.append(spec)
        return FakeGeneration(spec, 0)

    def resume(self, spec: SegmentSpec, state: bytes) -> FakeGeneration:
        try:
            return FakeGeneration(spec, json.loads(state)["steps_done"])
        except ValueError as error:
            raise ModelError("damaged") from error


@pytest.fixture
def context(tmp_path: Path) -> HandlerContext:
    engine = open_database(tmp_path / "test.db")
    create_tables(engine)
    return HandlerContext(BlobStore(tmp_path / "blobs"), Catalogue(engine, system_clock), system_clock, None, 1)


@pytest.fixture
def table(context: HandlerContext) -> JobTable:
    return JobTable(context.catalogue._engine, system_clock)


@pytest.fixture
def handlers(context: HandlerContext) -> ContentHandlers:
    return ContentHandlers(context, cast(Generator, FakeGenerator()))


def spec() -> SegmentSpec:
    clip = warm_up_clip(SIZE.frames, SIZE.width, SIZE.height)
    return SegmentSpec("a blue room with a zorblatt", 3, clip.cameras, clip.fps, STEPS, 2.0, "fake")


def claim(table: JobTable, kind: JobKind, quality: Quality, target: str, **payload: Any) -> ClaimedJob:
    table.submit([JobRequest(f"{kind}/{quality}/{payload}"[:190], kind, payload, quality, target, 0, 1e9, "trace")])
    claimed = table.claim("w", 60.0)
    assert claimed is not None
    return claimed


def claim_spec(table: JobTable, kind: JobKind, quality: Quality = Quality.DRAFT) -> ClaimedJob:
    return claim(table, kind, quality, spec().key(), spec=spec().to_json())


def run_to_end(run: JobRun) -> tuple[JobResult, list[str]]:
    """The result, and the stages in their order; every chunk must count."""
    stages = []
    while not run.done:
        stages.append(run.stage)
        assert run.chunks_done == len(stages) - 1
        run.advance()
    assert run.chunks_done == run.chunks_total == len(stages)
    assert run.stage == "done"
    return run.result(), stages


def finish(run: JobRun) -> tuple[JobResult, int]:
    """The result, and how many chunks were left."""
    chunks = 0
    while not run.done:
        run.advance()
        chunks += 1
    return run.result(), chunks


def hashes(result: JobResult) -> dict[tuple[str, int], str]:
    return {(asset.media_type, asset.level): asset.asset for asset in result.assets}


def test_content_is_generated_reconstructed_and_stored(
    handlers: ContentHandlers, table: JobTable, context: HandlerContext
) -> None:
    claimed = claim_spec(table, JobKind.CONTENT)
    result, stages = run_to_end(handlers.start(claimed.job, None))
    assert stages[:5] == ["denoise", "denoise", "denoise", "decode", "check"]
    assert stages[-1] == "encode"
    assert {asset.media_type for asset in result.assets} == {MP4, CLIP, FOURDGS, PLY, ENVELOPE}
    paths = {a.media_type: context.blobs.path(a.asset) for a in result.assets if a.level == 0}
    assert [asset.size_bytes for asset in result.assets] == [context.blobs.size(a.asset) for a in result.assets]
    video, fps = read_mp4(paths[MP4])
    assert (video.shape, fps) == ((9, 128, 192, 3), 8.0)
    assert (load_clip(paths[CLIP]).frames == warm_up_clip(9, 48, 32).frames).all()
    segment, scene = result.segment, result.scene
    assert segment is not None
    assert scene is not None
    assert segment.segment_id == spec().key() == SegmentSpec.from_json(segment.spec).key()
    assert segment.unknown_terms == tuple(parse_prompt(spec().prompt).unknown_terms)
    assert "zorblatt" in segment.unknown_terms
    assert segment.blockout == "none"
    assert scene.scene_id == hashlib.sha256(paths[FOURDGS].read_bytes()).hexdigest() == segment.scene_id
    assert len(read_4dgs(paths[FOURDGS])) == scene.splats > 100
    assert scene.duration_s == segment.duration_s == pytest.approx(9 / 8)
    assert table.complete(claimed, result)
    assert list(context.catalogue.ready_segments([segment.segment_id])) == [segment.segment_id]


@pytest.mark.parametrize("quality", [Quality.DRAFT, Quality.FULL])
def test_a_scene_has_coarser_levels_first_an_envelope_and_when_full_a_collider(
    handlers: ContentHandlers, table: JobTable, context: HandlerContext, quality: Quality
) -> None:
    result, stages = run_to_end(handlers.start(claim_spec(table, JobKind.CONTENT, quality).job, None))
    assert stages[-3 - (quality is Quality.FULL) : -1][:2] == ["level 2", "level 1"]
    assert result.scene is not None
    manifest = result.scene.assets
    ladder = [(asset.level, asset.media_type) for asset in manifest if asset.splats]
    assert ladder == [(level, kind) for level in (2, 1, 0) for kind in (FOURDGS, PLY)]
    splats = {asset.level: asset.splats for asset in manifest if asset.media_type == FOURDGS}
    assert splats[2] < splats[1] < splats[0] == result.scene.splats
    envelope = {context.blobs.path(a.asset).read_text() for a in manifest if a.media_type == ENVELOPE}
    for asset in manifest:
        data = context.blobs.path(asset.asset).read_bytes()
        if asset.media_type == FOURDGS:
            assert len(decode_4dgs(data)) == asset.splats
            assert {metadata_4dgs(data)[ENVELOPE_KEY]} == envelope
            assert metadata_4dgs(data)["level"] == str(asset.level)
    assert Envelope.from_json(envelope.pop()).hole_share == 0.01
    colliders = [context.blobs.path(a.asset).read_bytes() for a in manifest if a.media_type == COLLIDER]
    assert len(colliders) == (1 if quality is Quality.FULL else 0)
    assert all(decode_glb(data).mesh.is_watertight for data in colliders)


def test_the_blockout_is_kept_with_the_segment_that_was_made_with_it(
    handlers: ContentHandlers, table: JobTable, context: HandlerContext
) -> None:
    graybox = Graybox(5.0, 3.0, 6.0)
    steered = replace(spec(), control=Control(ControlKind.BLOCKOUT, graybox=graybox))
    claimed = claim(table, JobKind.GENERATE, Quality.DRAFT, steered.key(), spec=steered.to_json())
    run = handlers.start(claimed.job, None)
    while run.stage != "encode":
        run.advance()
    # It is known again where the job goes on from a state without a generation.
    result, _ = finish(handlers.start(claimed.job, run.state_bytes()))
    segment = result.segment
    assert segment is not None
    assert segment.blockout == "blockout"
    (asset,) = [asset for asset in segment.assets if asset.media_type == GRAYBOX]
    written = json.loads(context.blobs.path(asset.asset).read_text())
    assert (written["version"], written["width_m"], written["proxies"]) == (1, 5.0, [])
    assert Graybox.from_json(written).to_json() == graybox.to_json()
    assert table.complete(claimed, result)
    stored = context.catalogue.segment(segment.segment_id)
    assert stored is not None
    assert (stored.blockout, GRAYBOX in {asset.media_type for asset in stored.assets}) == ("blockout", True)


def test_a_run_that_is_put_down_at_every_border_gives_the_same_bytes(
    handlers: ContentHandlers, table: JobTable
) -> None:
    job = claim_spec(table, JobKind.CONTENT).job
    whole, stages = run_to_end(handlers.start(job, None))
    run = handlers.start(job, None)
    for done in range(len(stages)):
        run = handlers.start(job, run.state_bytes())
        assert (run.chunks_done, run.stage) == (done, stages[done])
        run.advance()
    assert hashes(run.result()) == hashes(whole)


@pytest.mark.parametrize("cut", ["garbage", "cut", "version", "part"])
@pytest.mark.parametrize("chunks", [1, 6])
def test_damaged_checkpoints_are_called_stale(
    handlers: ContentHandlers, table: JobTable, cut: str, chunks: int
) -> None:
    job = claim_spec(table, JobKind.CONTENT).job
    run = handlers.start(job, None)
    for _ in range(chunks):
        run.advance()
    state = run.state_bytes()
    damaged = {
        "garbage": b"\x00\x01\x02",
        "cut": state[:-5],
        "version": state.replace(b'"version": 2', b'"version": 9', 1),
        "part": state.partition(b"\n")[0] + b"\n" + bytes(len(state.partition(b"\n")[2])),
    }
    with pytest.raises(StaleCheckpoint):
        handlers.start(job, damaged[cut])


def test_generate_reconstruct_and_export_do_one_step_each(
    handlers: ContentHandlers, table: JobTable, context: HandlerContext
) -> None:
    claimed = claim_spec(table, JobKind.GENERATE)
    generated, stages = run_to_end(handlers.start(claimed.job, None))
    assert stages == ["denoise", "denoise", "denoise", "decode", "encode"]
    assert (set(hashes(generated)), generated.scene) == ({(MP4, 0), (CLIP, 0)}, None)
    table.complete(claimed, generated)
    key = spec().key()

    claimed = claim(table, JobKind.RECONSTRUCT, Quality.DRAFT, key, segment=key)
    reconstructed, stages = run_to_end(handlers.start(claimed.job, None))
    assert stages[0] == "check"
    assert reconstructed.segment is None
    assert reconstructed.scene is not None
    table.complete(claimed, reconstructed)
    content, _ = run_to_end(handlers.start(claim_spec(table, JobKind.CONTENT).job, None))
    assert hashes(content) == hashes(generated) | hashes(reconstructed)
    scene_id = reconstructed.scene.scene_id
    found = context.catalogue.segment(generated.segment.segment_id) if generated.segment else None
    assert found is not None
    assert found.scene_id == scene_id

    claimed = claim(table, JobKind.EXPORT, Quality.FULL, key, scene=scene_id, media_type=PLY, time_s=0.5)
    exported, stages = run_to_end(handlers.start(claimed.job, None))
    assert stages == ["export"]
    table.complete(claimed, exported)
    assert len(read_ply(context.blobs.path(exported.exports[0].asset))) > 100
    made = table.job(claimed.job.job_id).result["assets"]
    assert [(asset["media_type"], asset["start_s"]) for asset in made] == [(PLY, 0.5)]
    assert context.catalogue.segments_of(AssetId(made[0]["asset"])) == [key]


def test_what_cannot_be_done_says_why(handlers: ContentHandlers, table: JobTable) -> None:
    with pytest.raises(NotFound, match="no segment nothing"):
        handlers.start(claim(table, JobKind.RECONSTRUCT, Quality.DRAFT, "x", segment="nothing").job, None)
    with pytest.raises(NotFound, match="no scene nothing"):
        handlers.start(claim(table, JobKind.EXPORT, Quality.FULL, "x", scene="nothing", media_type=PLY).job, None)
    with pytest.raises(InvalidInput, match="media_type"):
        handlers.start(claim(table, JobKind.EXPORT, Quality.FULL, "x", scene="y", media_type="tex").job, None)
    with pytest.raises(InvalidSpec):
        handlers.start(claim(table, JobKind.CONTENT, Quality.DRAFT, "x", spec={"prompt": "a"}).job, None)


def test_warm_up_names_its_stages_and_leaves_nothing_behind(handlers: ContentHandlers, context: HandlerContext) -> None:
    said: list[str] = []
    handlers.warm_up(said.append)
    assert said == ["generate", "reconstruct", "encode"]
    (rehearsed,) = cast(FakeGenerator, handlers.generator).begun
    assert steering_of(rehearsed, {}).kind is ControlKind.LAYOUT, "physics and ray casting are not rehearsed"
    assert list(context.blobs.assets()) == []
