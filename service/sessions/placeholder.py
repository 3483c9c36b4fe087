"""Placeholders: what lies behind a gate before anything was made for it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from service.ids import GateId, SceneId, SegmentId
from service.quality import Quality
from service.sessions.live import LiveSession
from service.sessions.own_placeholder import OwnPlaceholders
from service.sessions.views import ContentAnnounced
from service.store.blobs import BlobStore
from service.store.catalogue import Catalogue
from service.store.database import write
from service.store.records import FOURDGS, MP4, AssetRecord, ContentRef
from service.worlds.world import Content, World

MIST_FOLDER = Path(__file__).parent / "mist"
"""`mist.mp4`, `mist.4dgs` and `mist.json`: made by `python scripts/mist.py`."""


@dataclass(frozen=True)
class Mist:
    """The built-in room. `segment` is no spec's hash: nothing generated it."""

    segment: SegmentId
    video: AssetRecord
    scene: AssetRecord


class Placeholders:
    """The built-in mist room for every gate, and the clips that worlds bring with them.

    Its methods write or hash, and run off the event loop, but for `own` of a world that was `restore`d and `mist`.
    """

    def __init__(self, engine: Engine, blobs: BlobStore, catalogue: Catalogue, clips: OwnPlaceholders) -> None:
        self._engine = engine
        self._blobs = blobs
        self._catalogue = catalogue
        self._clips = clips
        self._mist: Mist | None = None

    def store_mist(self, folder: Path = MIST_FOLDER) -> Mist:
        """The mist room, its files stored as blobs that are never evicted. Idempotent."""
        facts = json.loads((folder / "mist.json").read_text(encoding="utf-8"))
        video = self._stored(folder / "mist.mp4", MP4, facts, splats=0)
        scene = self._stored(folder / "mist.4dgs", FOURDGS, facts, splats=int(facts["splats"]))
        with write(self._engine) as connection:
            self._catalogue.register_assets(connection, "placeholders/mist", (video, scene))
        segment = hashlib.sha256(f"placeholder {video.asset} {scene.asset}".encode()).hexdigest()
        self._mist = Mist(SegmentId(segment), video, scene)
        return self._mist

    def prepare(self, world: World) -> int:
        """How many clips of a world were stored and given to the worker to make scenes of."""
        return self._clips.prepare(world)

    def restore(self, world: World) -> World:
        """The world, its own clips hashed, so that `own` costs nothing; what was evicted of them is made again."""
        self._clips.restore(world)
        return world

    def own(self, content: Content) -> SegmentId | None:
        """The segment that a content's own clip is; None where it has none. It may not have its scene yet."""
        return self._clips.segment(content)

    def mist(self, session: LiveSession, gate: GateId) -> ContentAnnounced:
        """What to tell a session of the mist room. `store_mist` came before."""
        mist = self._mist or self.store_mist()
        scene_id = SceneId(mist.scene.asset)
        ref = ContentRef(session.world.world_id, gate, mist.segment, scene_id, Quality.PLACEHOLDER)
        return ContentAnnounced(gate, ref, (mist.video,), (mist.scene,), reused=False)

    def _stored(self, path: Path, media_type: str, facts: dict[str, Any], splats: int) -> AssetRecord:
        data = path.read_bytes()
        asset = self._blobs.put(data)
        return AssetRecord(asset, len(data), media_type, 0.0, float(facts["duration_s"]), 0, splats)
