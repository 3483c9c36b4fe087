"""Real, small networks through the worker's chunks: two windows, a layout, put down at every border."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from clips.camera_path import CameraPath
from clips.clip import load_clip
from clips.dungeon.attributes import SLOTS
from model.dit import Dit, DitConfig
from model.generate import Generator
from model.spec import SegmentSpec
from model.spec_control import Control, ControlKind
from model.vae import Vae, VaeConfig
from service.clock import system_clock
from service.quality import Quality
from service.store.blobs import BlobStore
from service.store.catalogue import Catalogue
from service.store.database import create_tables, open_database
from service.store.records import CLIP, GRAYBOX
from service.work.claim import ClaimedJob, JobResult
from service.work.content import ContentHandlers
from service.work.handlers import HandlerContext
from service.work.job import JobKind, JobRequest
from service.work.table import JobTable

STEPS = 5
SPEC = SegmentSpec(
    prompt="a red orb that bounces",
    seed=11,
    cameras=CameraPath().cameras(17, 48, 32),
    fps=8.0,
    steps=STEPS,
    guidance=2.0,
    model_revision="tiny",
    control=Control(ControlKind.LAYOUT),
)


@pytest.fixture(scope="module")
def generator() -> Generator:
    torch.manual_seed(3)
    vae = Vae(VaeConfig(4, width=8, encoder_blocks=1, decoder_blocks=1, patch_px=8, group_frames=4, detail_width=8))
    slots = tuple((name, tuple(map(str, words))) for name, words in SLOTS.items())
    dit = Dit(DitConfig(4, (3, 4, 6), width=32, depth=1, heads=2, patch=2, slots=slots))
    with torch.no_grad():
        for parameter in dit.parameters():
            parameter.add_(0.15 * torch.randn(parameter.shape))
    return Generator(vae.eval(), dit.eval(), "tiny")


@pytest.fixture
def context(tmp_path: Path) -> HandlerContext:
    engine = open_database(tmp_path / "test.db")
    create_tables(engine)
    return HandlerContext(BlobStore(tmp_path / "blobs"), Catalogue(engine, system_clock), system_clock, None, 1)


def claimed_job(context: HandlerContext, spec: SegmentSpec = SPEC) -> ClaimedJob:
    table = JobTable(context.catalogue._engine, system_clock)
    payload = {"spec": spec.to_json()}
    table.submit([JobRequest("r", JobKind.GENERATE, payload, Quality.FULL, spec.key(), 0, 1e9, "trace")])
    claimed = table.claim("w", 60.0)
    assert claimed is not None
    return claimed


def made(handlers: ContentHandlers, claimed: ClaimedJob, *, broken: bool) -> tuple[JobResult, list[str]]:
    run, stages = handlers.start(claimed.job, None), []
    while not run.done:
        stages.append(run.stage)
        assert run.chunks_done == len(stages) - 1
        run.advance()
        if broken:
            again = handlers.start(claimed.job, run.state_bytes())
            run = again if not run.done else run
    assert run.chunks_done == run.chunks_total == len(stages)
    return run.result(), stages


def test_a_steered_segment_of_two_windows_is_the_same_however_it_was_made(
    generator: Generator, context: HandlerContext
) -> None:
    handlers, claimed = ContentHandlers(context, generator), claimed_job(context)
    result, stages = made(handlers, claimed, broken=False)
    assert stages == ["denoise"] * STEPS + ["decode", "encode"], "2 windows of 5 steps, 2 steps a chunk"
    segment = result.segment
    assert segment is not None
    assert (segment.blockout, segment.note) == ("layout", "")
    paths = {asset.media_type: context.blobs.path(asset.asset) for asset in segment.assets}
    assert len(load_clip(paths[CLIP])) == 17
    stored = json.loads(paths[GRAYBOX].read_text())
    assert len(stored["proxies"][0]["times_s"]) == 17
    assert (stored["proxies"][0]["kind"], segment.duration_s) == ("sphere", 17 / 8)
    again, _ = made(handlers, claimed, broken=True)
    assert again.segment is not None
    assert [asset.asset for asset in again.segment.assets] == [asset.asset for asset in segment.assets]


def test_why_a_segment_has_no_layout_is_kept_with_it(generator: Generator, context: HandlerContext) -> None:
    cameras = CameraPath(start_z_m=5.0, distance_m=5.0).cameras(9, 48, 32)
    handlers, claimed = ContentHandlers(context, generator), claimed_job(context, replace(SPEC, cameras=cameras))
    result, _ = made(handlers, claimed, broken=True)
    assert result.segment is not None
    assert result.segment.blockout == "none"
    assert result.segment.note.startswith("no layout fits these cameras, so none is used: ")
