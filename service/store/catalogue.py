"""The catalogue: which segments and scenes exist, which blobs they are made of, and what must be kept."""

from __future__ import annotations

import json
import secrets
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, replace
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Double,
    Engine,
    Integer,
    RowMapping,
    String,
    Table,
    Text,
    func,
    select,
    update,
)
from sqlalchemy import delete as sql_delete

from service.clock import Clock
from service.errors import NotFound
from service.ids import AssetId, GateId, PinId, SceneId, SegmentId, WorldId
from service.quality import Quality
from service.store.database import insert_missing, metadata, read, write
from service.store.records import AssetRecord, ContentRef, SceneRecord, SegmentRecord

assets = Table(
    "assets",
    metadata,
    Column("asset", String(64), primary_key=True),
    Column("size_bytes", Integer, nullable=False),
    Column("media_type", String(64), nullable=False),
    Column("create_s", Double, nullable=False),
)
manifests = Table(
    "manifests",
    metadata,
    Column("owner", String(160), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("segment_id", String(64), nullable=False, index=True),
    Column("asset", String(64), nullable=False, index=True),
    Column("start_s", Double, nullable=False),
    Column("end_s", Double, nullable=False),
    Column("level", Integer, nullable=False),
    Column("splats", Integer, nullable=False),
)
segments = Table(
    "segments",
    metadata,
    Column("segment_id", String(64), primary_key=True),
    Column("quality", Integer, nullable=False),
    Column("scene_id", String(64)),
    Column("duration_s", Double, nullable=False),
    Column("create_s", Double, nullable=False),
    Column("use_s", Double, nullable=False, index=True),
    Column("device_s", Double, nullable=False),
    Column("blockout", String(64), nullable=False),
    Column("unknown_terms", Text, nullable=False),
    Column("spec", Text, nullable=False),
)
segment_notes = Table(
    "segment_notes",
    metadata,
    Column("segment_id", String(64), primary_key=True),
    Column("note", Text, nullable=False),
)
"""Few segments have a note, and databases of before there were notes get the table when they are opened."""

scenes = Table(
    "scenes",
    metadata,
    Column("scene_id", String(64), primary_key=True),
    Column("segment_id", String(64), nullable=False, index=True),
    Column("splats", Integer, nullable=False),
    Column("duration_s", Double, nullable=False),
    Column("create_s", Double, nullable=False),
)
pins = Table(
    "pins",
    metadata,
    Column("pin_id", String(32), primary_key=True),
    Column("request_id", String(200), unique=True),
    Column("segment_id", String(64), nullable=False, index=True),
    Column("content", Text, nullable=False),
    Column("expire_s", Double, nullable=False),
)


class Catalogue:
    """What content exists. Every method is one transaction, except those that take a connection."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def segment(self, segment_id: SegmentId) -> SegmentRecord | None:
        """The segment, or None."""
        with read(self._engine) as connection:
            rows = connection.execute(select(segments).where(segments.c.segment_id == segment_id)).mappings().all()
            return next(iter(_segment_records(connection, rows)), None)

    def scene(self, scene_id: SceneId) -> SceneRecord | None:
        """The scene, or None."""
        with read(self._engine) as connection:
            row = connection.execute(select(scenes).where(scenes.c.scene_id == scene_id)).mappings().first()
            if row is None:
                return None
            owner = f"scenes/{scene_id}"
            return SceneRecord(**{**row, "assets": _manifests(connection, [owner]).get(owner, ())})

    def asset(self, asset: AssetId) -> AssetRecord | None:
        """The asset as the first manifest that has it describes it, or None."""
        with read(self._engine) as connection:
            query = _entries().where(manifests.c.asset == asset).order_by(manifests.c.owner).limit(1)
            row = connection.execute(query).mappings().first()
            return None if row is None else _asset_record(row)

    def segments_of(self, asset: AssetId) -> list[SegmentId]:
        """The segments that an asset belongs to: by itself or through a scene of theirs."""
        with read(self._engine) as connection:
            query = select(manifests.c.segment_id).where(manifests.c.asset == asset, manifests.c.segment_id != "")
            return [SegmentId(row) for row in connection.execute(query.distinct()).scalars()]

    def ready_segments(self, segment_ids: Collection[SegmentId]) -> dict[SegmentId, SegmentRecord]:
        """Those of the segments that exist and have a scene."""
        wanted = sorted(set(segment_ids))
        found: dict[SegmentId, SegmentRecord] = {}
        with read(self._engine) as connection:
            for start in range(0, len(wanted), 500):
                query = select(segments).where(segments.c.segment_id.in_(wanted[start : start + 500]))
                rows = connection.execute(query.where(segments.c.scene_id.is_not(None))).mappings().all()
                found |= {record.segment_id: record for record in _segment_records(connection, rows)}
        return found

    def list_segments(self, page_size: int, after: SegmentId | None = None) -> list[SegmentRecord]:
        """At most `page_size` segments in order of their ids, after the id `after`."""
        with read(self._engine) as connection:
            query = select(segments).where(segments.c.segment_id > (after or "")).order_by(segments.c.segment_id)
            rows = connection.execute(query.limit(page_size)).mappings().all()
            return _segment_records(connection, rows)

    def used(self, segment_ids: Collection[SegmentId]) -> None:
        """Note that the segments are in use now: eviction takes the least recently used first."""
        with write(self._engine) as connection:
            query = update(segments).where(segments.c.segment_id.in_(sorted(set(segment_ids))))
            connection.execute(query.values(use_s=self._clock()))

    def register_segment(self, connection: Connection, record: SegmentRecord, scene: SceneRecord | None) -> None:
        """Add a segment and its scene, if it has one, in the caller's transaction. Idempotent.

        A segment that exists stays as it is, but a scene that comes later becomes its scene.
        """
        scene_id = scene.scene_id if scene else record.scene_id
        row = asdict(replace(record, scene_id=scene_id))
        row.pop("assets")
        note = row.pop("note")
        row |= {"quality": int(record.quality), "use_s": self._clock(), "spec": json.dumps(record.spec)}
        row["unknown_terms"] = json.dumps(record.unknown_terms)
        insert_missing(connection, segments, [row])
        insert_missing(connection, segment_notes, [{"segment_id": record.segment_id, "note": note}] if note else [])
        self.register_assets(connection, f"segments/{record.segment_id}", record.assets, record.segment_id)
        if scene is not None:
            self.register_scene(connection, scene)

    def register_scene(self, connection: Connection, scene: SceneRecord) -> None:
        """Add a scene in the caller's transaction and make it its segment's scene. Idempotent."""
        row = asdict(scene)
        row.pop("assets")
        insert_missing(connection, scenes, [row])
        self.register_assets(connection, f"scenes/{scene.scene_id}", scene.assets, scene.segment_id)
        chosen = update(segments).where(segments.c.segment_id == scene.segment_id)
        connection.execute(chosen.values(scene_id=scene.scene_id))

    def register_assets(
        self, connection: Connection, owner: str, records: Sequence[AssetRecord], segment_id: SegmentId | str = ""
    ) -> None:
        """Add assets in the caller's transaction. They are kept as long as `segment_id` is; without one, for good."""
        now_s = self._clock()
        rows = [
            {"asset": r.asset, "size_bytes": r.size_bytes, "media_type": r.media_type, "create_s": now_s}
            for r in records
        ]
        insert_missing(connection, assets, rows)
        entries = [
            {
                "owner": owner,
                "position": position,
                "segment_id": segment_id,
                "asset": r.asset,
                "start_s": r.start_s,
                "end_s": r.end_s,
                "level": r.level,
                "splats": r.splats,
            }
            for position, r in enumerate(records)
        ]
        insert_missing(connection, manifests, entries)

    def pin(self, content: ContentRef, expire_s: float, request_id: str = "") -> PinId:
        """The id of a promise to keep content until `expire_s`. Idempotent by `request_id`, where there is one.

        Raises:
            NotFound: no such segment any more, or no such scene of it.
        """
        pin_id = PinId(secrets.token_hex(16))
        with write(self._engine) as connection:
            query = select(segments.c.segment_id).where(segments.c.segment_id == content.segment)
            if connection.execute(query).first() is None:
                raise NotFound(f"no segment {content.segment}", reason="SEGMENT_NOT_FOUND")
            of_segment = (scenes.c.scene_id == content.scene, scenes.c.segment_id == content.segment)
            if content.scene and connection.execute(select(scenes.c.scene_id).where(*of_segment)).first() is None:
                message = f"segment {content.segment} has no scene {content.scene}"
                raise NotFound(message, reason="SCENE_NOT_FOUND")
            if request_id:
                earlier = select(pins.c.pin_id).where(pins.c.request_id == request_id)
                if (row := connection.execute(earlier).scalar()) is not None:
                    return PinId(row)
            values = {"pin_id": pin_id, "segment_id": content.segment, "expire_s": expire_s}
            values |= {"content": json.dumps(asdict(content)), "request_id": request_id or None}
            connection.execute(pins.insert().values(values))
        return pin_id

    def pinned(self, pin_id: PinId) -> tuple[ContentRef, float]:
        """What a pin keeps, and until when (epoch seconds). Raises NotFound."""
        with read(self._engine) as connection:
            row = connection.execute(select(pins).where(pins.c.pin_id == pin_id)).mappings().first()
        if row is None:
            raise NotFound(f"no pin {pin_id}", reason="PIN_NOT_FOUND")
        f = json.loads(row["content"])
        scene = None if f["scene"] is None else SceneId(f["scene"])
        ref = ContentRef(WorldId(f["world"]), GateId(f["gate"]), SegmentId(f["segment"]), scene, Quality(f["quality"]))
        return ref, float(row["expire_s"])

    def unpin(self, pin_id: PinId) -> None:
        """Take a promise back. Raises NotFound."""
        with write(self._engine) as connection:
            if connection.execute(sql_delete(pins).where(pins.c.pin_id == pin_id)).rowcount == 0:
                raise NotFound(f"no pin {pin_id}", reason="PIN_NOT_FOUND")

    def total_bytes(self) -> int:
        """Bytes of all registered assets."""
        with read(self._engine) as connection:
            return int(connection.execute(select(func.coalesce(func.sum(assets.c.size_bytes), 0))).scalar_one())


def _entries() -> Any:
    columns = (manifests, assets.c.size_bytes, assets.c.media_type)
    return select(*columns).join(assets, assets.c.asset == manifests.c.asset)


def _asset_record(row: RowMapping) -> AssetRecord:
    names = ("size_bytes", "media_type", "start_s", "end_s", "level", "splats")
    return AssetRecord(AssetId(row["asset"]), *(row[name] for name in names))


def _manifests(connection: Connection, owners: Sequence[str]) -> dict[str, tuple[AssetRecord, ...]]:
    query = _entries().where(manifests.c.owner.in_(owners)).order_by(manifests.c.owner, manifests.c.position)
    found: dict[str, list[AssetRecord]] = {}
    for row in connection.execute(query).mappings():
        found.setdefault(row["owner"], []).append(_asset_record(row))
    return {owner: tuple(records) for owner, records in found.items()}


def _segment_records(connection: Connection, rows: Iterable[RowMapping]) -> list[SegmentRecord]:
    rows = list(rows)
    ids = [row["segment_id"] for row in rows]
    entries = _manifests(connection, [f"segments/{segment_id}" for segment_id in ids])
    noted = connection.execute(select(segment_notes).where(segment_notes.c.segment_id.in_(ids))).mappings()
    notes = {row["segment_id"]: row["note"] for row in noted}
    return [
        SegmentRecord(
            segment_id=SegmentId(row["segment_id"]),
            spec=json.loads(row["spec"]),
            quality=Quality(row["quality"]),
            assets=entries.get(f"segments/{row['segment_id']}", ()),
            scene_id=None if row["scene_id"] is None else SceneId(row["scene_id"]),
            duration_s=row["duration_s"],
            create_s=row["create_s"],
            unknown_terms=tuple(json.loads(row["unknown_terms"])),
            device_s=row["device_s"],
            blockout=row["blockout"],
            note=notes.get(row["segment_id"], ""),
        )
        for row in rows
    ]
