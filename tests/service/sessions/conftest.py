"""A Director on a temporary database with a fake clock, and a worker that pretends."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from service.ids import AssetId, PlayerId, SceneId, SegmentId, SessionId, WorldId
from service.play.event import Event, EventKind
from service.quality import Quality
from service.sessions.director import Director, DirectorSettings
from service.sessions.views import ClientProfile, ReportResult, SessionView, Update
from service.specs import ModelInfo
from service.store.blobs import BlobStore
from service.store.catalogue import Catalogue
from service.store.database import create_tables, open_database
from service.store.records import FOURDGS, MP4, AssetRecord, SceneRecord, SegmentRecord
from service.work.claim import ClaimedJob, Directive, JobResult
from service.work.job import Job
from service.work.table import JobTable

WORLD = """
world: two-doors
defaults: {variation: shared}
chains:
  red:
    tasks:
      fetch_key: {p50_s: 20, p90_s: 60}
      walk_back: {requires: fetch_key, p50_s: 10, p90_s: 20}
  blue:
    tasks:
      dive: {p50_s: 30, p90_s: 90}
gates:
  red_gate: {chain: red, content: {prompt: a brick room in daylight, seed: 1}}
  blue_gate: {chain: blue, content: {prompt: a moss room in witchlight, seed: 2}}
"""
TRACE = "ab" * 16
START_S = 1_000_000.0


@dataclass
class FakeClock:
    now_s: float = START_S

    def __call__(self) -> float:
        return self.now_s


class Play:
    """One session as a game plays it: numbers its events and keeps time."""

    def __init__(self, stage: Stage, view: SessionView) -> None:
        self.stage = stage
        self.view = view
        self.session_id = view.session_id
        self.sequence = 0

    def event(self, kind: EventKind, sequence: int | None = None, event_id: str | None = None) -> Event:
        if sequence is None:
            self.sequence += 1
            sequence = self.sequence
        return Event(event_id or f"event-{sequence}", sequence, self.stage.clock(), TRACE, kind)

    async def report(self, *kinds: EventKind) -> ReportResult:
        return await self.stage.director.report(self.session_id, [self.event(kind) for kind in kinds])

    async def updates(self, cursor: int = 0) -> list[Update]:
        return await self.stage.director.updates(self.session_id, cursor, 10_000, 0.0)

    async def told(self, kind: type, cursor: int = 0) -> list[Any]:
        return [update.kind for update in await self.updates(cursor) if isinstance(update.kind, kind)]


@dataclass
class Stage:
    """Everything around a Director; `restart` is what a new process would see."""

    root: Path
    clock: FakeClock
    settings: DirectorSettings = field(default_factory=DirectorSettings)
    model: ModelInfo = field(default_factory=lambda: ModelInfo("test-weights"))

    def __post_init__(self) -> None:
        self.root.mkdir(exist_ok=True)
        self.engine: Engine = open_database(self.root / "narthex.db")
        event.listen(self.engine, "connect", lambda raw, _: raw.execute("PRAGMA synchronous=OFF"))
        create_tables(self.engine)
        self.blobs = BlobStore(self.root / "blobs")
        self.catalogue = Catalogue(self.engine, self.clock)
        self.jobs = JobTable(self.engine, self.clock)
        self.director = self.new_director()

    def new_director(self) -> Director:
        return Director(self.engine, self.blobs, self.catalogue, self.jobs, self.clock, self.model, self.settings)

    async def restart(self, **settings: Any) -> None:
        """Drop everything in memory, as a crash would, and start anew."""
        await self.director.drain()
        self.settings = replace(self.settings, **settings)
        self.director = self.new_director()
        await self.director.start()

    async def put_world(self, source: str = WORLD, world_id: str = "two-doors") -> None:
        await self.director.put_world(WorldId(world_id), source.encode(), False)

    async def play(self, session_id: str | None = None, world_id: str = "two-doors", **profile: Any) -> Play:
        wanted = None if session_id is None else SessionId(session_id)
        players = (PlayerId("player-1"),)
        view = await self.director.create_session(WorldId(world_id), ClientProfile(**profile), players, wanted)
        return Play(self, view)

    async def turn(self, after_s: float = 1.0) -> None:
        self.clock.now_s += after_s
        await self.director.turn()

    def live_jobs(self) -> list[Job]:
        return sorted(self.all_jobs(live=True), key=lambda job: (job.request.rank, job.request.deadline_s))

    def all_jobs(self, live: bool = False) -> Sequence[Job]:
        return [job for job in self.jobs.list(None, 1000) if not live or job.state <= 2]

    def work(self, quality: Quality | None = None) -> Job:
        """Claim the best job and complete it with made-up content."""
        claimed = self.claim()
        assert quality is None or claimed.job.request.quality is quality
        self.finish(claimed)
        return claimed.job

    def claim(self) -> ClaimedJob:
        claimed = self.jobs.claim("worker-1", 60.0)
        assert claimed is not None, "no job is queued"
        return claimed

    def beat(self, claimed: ClaimedJob, done: int, total: int, spent_s: float, stage: str = "denoise") -> Directive:
        return self.jobs.beat(claimed, stage, done, total, spent_s, 60.0)

    def finish(self, claimed: ClaimedJob, spent_s: float = 4.0) -> None:
        request = claimed.job.request
        result = made(self.blobs, SegmentId(request.target), request.quality, request.payload["spec"], self.clock())
        assert self.jobs.complete(claimed, replace(result, spent_s=spent_s))


def made(blobs: BlobStore, segment: SegmentId, quality: Quality, spec: dict[str, Any], now_s: float) -> JobResult:
    """A result as a worker makes it, of tiny files."""
    video = _asset(blobs, f"video {segment}", MP4, 0)
    coarse = _asset(blobs, f"coarse {segment}", FOURDGS, 1, splats=100)
    fine = _asset(blobs, f"fine {segment}", FOURDGS, 0, splats=1000)
    scene_id = SceneId(fine.asset)
    record = SegmentRecord(segment, spec, quality, (video,), scene_id, 2.0, now_s)
    scene = SceneRecord(scene_id, segment, (coarse, fine), 1000, 2.0, now_s)
    return JobResult(record, scene, 1.0, 2.0)


def _asset(blobs: BlobStore, text: str, media_type: str, level: int, splats: int = 0) -> AssetRecord:
    asset: AssetId = blobs.put(text.encode())
    return AssetRecord(asset, len(text), media_type, 0.0, 2.0, level, splats)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def stage(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Stage]:
    stage = Stage(tmp_path, clock)
    await stage.director.start()
    await stage.put_world()
    yield stage
    await stage.director.drain()


@pytest.fixture
def new_stage(tmp_path: Path) -> Callable[[str], Stage]:
    """Makes a stage of its own under a name; the test starts and drains its director."""
    return lambda name: Stage(tmp_path / name, FakeClock())
