"""Handlers that do real but light work, for worker processes of the tests: a chain of hashes, chunk by chunk.

Named on the worker's command line as `fake_handlers:make`; the result depends on the seed alone, so that a job
that went through any number of workers must give the same bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from model.errors import UnreadableCheckpoint
from service.ids import SceneId, SegmentId
from service.store.records import CLIP, FOURDGS, AssetRecord, SceneRecord, SegmentRecord
from service.work.claim import JobResult
from service.work.handlers import HandlerContext, StaleCheckpoint
from service.work.job import Job

HASHES_A_CHUNK = 4_000


def chain(seed: int, chunks: int) -> bytes:
    state = str(seed).encode()
    for _ in range(chunks * HASHES_A_CHUNK):
        state = hashlib.sha256(state).digest()
    return state


def clip_bytes(state: bytes) -> bytes:
    return state * 10_000


def splat_bytes(state: bytes) -> bytes:
    return state[::-1] * 3_000


class FakeRun:
    def __init__(self, context: HandlerContext, job: Job, checkpoint: bytes | None) -> None:
        self._context = context
        self._job = job
        self.chunks_total = int(job.request.payload["chunks"])
        self.chunks_done, self._state = 0, str(job.request.payload["seed"]).encode()
        if checkpoint is not None:
            self.chunks_done, self._state = checkpoint[0], checkpoint[1:]
            if self.chunks_done > self.chunks_total:
                raise StaleCheckpoint(f"{self.chunks_done} of {self.chunks_total} chunks")

    @property
    def stage(self) -> str:
        return f"hash-{self.chunks_done}"

    @property
    def done(self) -> bool:
        return self.chunks_done >= self.chunks_total

    def advance(self) -> None:
        if self._job.request.payload.get("error"):
            raise ValueError(self._job.request.payload["error"])
        for _ in range(HASHES_A_CHUNK):
            self._state = hashlib.sha256(self._state).digest()
        self.chunks_done += 1

    def state_bytes(self) -> bytes:
        return bytes([self.chunks_done]) + self._state

    def result(self) -> JobResult:
        clip = self._store(clip_bytes(self._state), CLIP)
        splats = self._store(splat_bytes(self._state), FOURDGS)
        segment_id, scene_id = SegmentId(self._job.request.target), SceneId(splats.asset)
        now_s = self._context.clock()
        quality, spec = self._job.request.quality, dict(self._job.request.payload)
        segment = SegmentRecord(segment_id, spec, quality, (clip,), scene_id, 1.0, now_s)
        return JobResult(segment, SceneRecord(scene_id, segment_id, (splats,), 5, 1.0, now_s), 0.0, 1.0)

    def _store(self, data: bytes, media_type: str) -> AssetRecord:
        return AssetRecord(self._context.blobs.put(data), len(data), media_type, 0.0, 1.0)


class FakeHandlers:
    def __init__(self, context: HandlerContext) -> None:
        self._context = context

    def warm_up(self, say: Callable[[str], None]) -> None:
        say("nothing to compile")

    def start(self, job: Job, checkpoint: bytes | None) -> FakeRun:
        return FakeRun(self._context, job, checkpoint)


def make(context: HandlerContext) -> FakeHandlers:
    return FakeHandlers(context)


def broken(context: HandlerContext) -> FakeHandlers:
    raise UnreadableCheckpoint(f"{context.weights_dir}/vae.safetensors: cannot be read")
