"""Placeholders: what lies behind a gate before anything was made for it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from service.ids import AssetId, GateId, SceneId, SegmentId
from service.quality import Quality
from service.sessions.live import LiveSession
from service.sessions.views import ContentAnnounced
from service.store.blobs import BlobStore
from service.store.catalogue import Catalogue
from service.store.database import write
from service.store.records import FOURDGS, MP4, AssetRecord, ContentRef

MIST_FOLDER = Path(__file__).parent / "mist"
"""`mist.mp4`, `mist.4dgs` and `mist.json`: made by `python -m recon.mist --out DIR`."""


@dataclass(frozen=True)
class Placeholder:
    """Stored content that can be announced for any gate. `segment` is no spec's hash: nothing generated it."""

    segment: SegmentId
    scene_id: SceneId | None
    video: tuple[AssetRecord, ...]
    scene: tuple[AssetRecord, ...]

    def announcement(self, session: LiveSession, gate: GateId) -> ContentAnnounced:
        """What to tell a session of it."""
        ref = ContentRef(session.world.world_id, gate, self.segment, self.scene_id, Quality.PLACEHOLDER)
        return ContentAnnounced(gate, ref, self.video, self.scene, reused=False)


def store_mist(engine: Engine, blobs: BlobStore, catalogue: Catalogue, folder: Path = MIST_FOLDER) -> Placeholder:
    """The built-in mist room, its files stored as blobs that are never evicted. Idempotent."""
    facts = json.loads((folder / "mist.json").read_text(encoding="utf-8"))
    video = _stored(blobs, folder / "mist.mp4", MP4, facts, splats=0)
    scene = _stored(blobs, folder / "mist.4dgs", FOURDGS, facts, splats=int(facts["splats"]))
    with write(engine) as connection:
        catalogue.register_assets(connection, "placeholders/mist", (video, scene))
    segment = hashlib.sha256(f"placeholder {video.asset} {scene.asset}".encode()).hexdigest()
    return Placeholder(SegmentId(segment), SceneId(scene.asset), (video,), (scene,))


def _stored(blobs: BlobStore, path: Path, media_type: str, facts: dict[str, Any], splats: int) -> AssetRecord:
    data = path.read_bytes()
    asset: AssetId = blobs.put(data)
    return AssetRecord(asset, len(data), media_type, 0.0, float(facts["duration_s"]), 0, splats)
