"""A world's own placeholder clips: stored when the world is put, made into scenes by the worker like any clip."""

from __future__ import annotations

import hashlib
import tempfile
from collections import OrderedDict
from pathlib import Path

from sqlalchemy import Engine

from clips.clip import Clip, load_clip
from model.spec import MAX_PROMPT_CHARACTERS, SegmentSpec
from service.clock import Clock
from service.ids import SegmentId
from service.quality import Quality
from service.store.blobs import BlobStore
from service.store.catalogue import Catalogue
from service.store.database import write
from service.store.records import CLIP, MP4, AssetRecord, SegmentRecord
from service.work.job import JobKind, JobRequest
from service.work.table import JobTable
from service.worlds.world import Content, World

PREVIEW_SCALE = 4
REVISION = "placeholder"
"""In place of a model's revision: nothing generated these clips."""

READY_WITHIN_S = 30.0
"""Placeholders are wanted before the first player comes; until then the mist room stands in."""

IDS_KEPT = 1024


class OwnPlaceholders:
    """Placeholder clips as segments of quality PLACEHOLDER. Everything here reads or writes: off the event loop."""

    def __init__(self, engine: Engine, blobs: BlobStore, catalogue: Catalogue, jobs: JobTable, clock: Clock) -> None:
        self._engine = engine
        self._blobs = blobs
        self._catalogue = catalogue
        self._jobs = jobs
        self._clock = clock
        self._ids: OrderedDict[int, tuple[bytes, SegmentId]] = OrderedDict()

    def segment(self, content: Content) -> SegmentId | None:
        """The segment that a content's own clip is: the hash of its file. None where it has none."""
        data = content.placeholder
        if data is None:
            return None
        known = self._ids.get(id(data))
        if known is None or known[0] is not data:
            known = (data, SegmentId(hashlib.sha256(b"placeholder clip\0" + data).hexdigest()))
            self._ids[id(data)] = known
            while len(self._ids) > IDS_KEPT:
                self._ids.popitem(last=False)
        return known[1]

    def prepare(self, world: World) -> int:
        """How many clips of a world were stored and given to the worker; those that have their scene are left."""
        clips = {self.segment(gate.content): gate.content.placeholder for gate in world.gates.values()}
        wanted = {segment: data for segment, data in clips.items() if segment is not None and data is not None}
        ready = self._catalogue.ready_segments(wanted)
        missing = [segment for segment in wanted if segment not in ready]
        for segment in missing:
            record = self._stored(segment, wanted[segment])
            with write(self._engine) as connection:
                self._catalogue.register_segment(connection, record, None)
        if missing:
            self._jobs.submit([self._request(segment, world) for segment in missing])
        return len(missing)

    def restore(self, world: World) -> int:
        """`prepare`, where eviction took a clip of the world since it was put; else 0."""
        wanted = {self.segment(gate.content) for gate in world.gates.values()} - {None}
        evicted = any(segment is not None and self._catalogue.segment(segment) is None for segment in wanted)
        return self.prepare(world) if evicted else 0

    def _stored(self, segment: SegmentId, data: bytes) -> SegmentRecord:
        with tempfile.TemporaryDirectory(prefix="narthex-") as folder:
            path = Path(folder) / "placeholder.npz"
            path.write_bytes(data)
            clip = load_clip(path)
            video = _video(clip, Path(folder))
        assets = (self._asset(video, MP4, clip), self._asset(data, CLIP, clip))
        spec = SegmentSpec(_prompt(clip), 0, clip.cameras, clip.fps, 1, 0.0, REVISION)
        now_s = self._clock()
        return SegmentRecord(segment, spec.to_json(), Quality.PLACEHOLDER, assets, None, clip.duration_s, now_s)

    def _asset(self, data: bytes, media_type: str, clip: Clip) -> AssetRecord:
        return AssetRecord(self._blobs.put(data), len(data), media_type, 0.0, clip.duration_s)

    def _request(self, segment: SegmentId, world: World) -> JobRequest:
        return JobRequest(
            request_id=f"placeholder/{segment}",
            kind=JobKind.RECONSTRUCT,
            payload={"segment": segment, "quality": int(Quality.DRAFT), "world": world.world_id},
            quality=Quality.DRAFT,
            target=segment,
            rank=0.0,
            deadline_s=self._clock() + READY_WITHIN_S,
            trace_id=segment[:32],
        )


def _video(clip: Clip, folder: Path) -> bytes:
    from clips.video import write_mp4  # noqa: PLC0415  PyAV is large, and few worlds bring their own clips

    path = folder / "placeholder.mp4"
    write_mp4(clip.frames, path, clip.fps, scale=PREVIEW_SCALE)
    return path.read_bytes()


def _prompt(clip: Clip) -> str:
    return clip.caption.strip()[:MAX_PROMPT_CHARACTERS] or "a placeholder"
