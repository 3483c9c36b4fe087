"""Making room: catalogue rows of content that nobody needs, then the files that no row names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from sqlalchemy import Connection, Engine, delete, func, select, update

from service.clock import Clock
from service.ids import AssetId, SegmentId
from service.store.blobs import BlobStore
from service.store.catalogue import assets, manifests, pins, scenes, segment_notes, segments
from service.store.database import read, write

GRACE_S = 3_600.0
"""How long a file may lie unregistered: a worker puts blobs first and registers them when its job is done."""


def evict(engine: Engine, clock: Clock, max_bytes: int, keep: Collection[SegmentId] = ()) -> list[AssetId]:
    """The assets that were taken out of the catalogue so that at most `max_bytes` are registered.

    Least recently used segments go first, with their scenes; never pinned ones, nor those in `keep` (on
    screen somewhere). Their files are deleted by `delete_unregistered`. Where everything left is pinned or
    kept, more than `max_bytes` stay.
    """
    with write(engine) as connection:
        connection.execute(delete(pins).where(pins.c.expire_s <= clock()))
        safe = set(keep) | set(connection.execute(select(pins.c.segment_id)).scalars())
        sizes = {row.asset: row.size_bytes for row in connection.execute(select(assets.c.asset, assets.c.size_bytes))}
        uses: Counter[str] = Counter()
        owned: dict[str, list[str]] = {}
        for segment_id, asset in connection.execute(select(manifests.c.segment_id, manifests.c.asset)):
            uses[asset] += 1
            owned.setdefault(segment_id, []).append(asset)
        gone: list[AssetId] = []
        total = sum(sizes.values())
        for segment_id in connection.execute(select(segments.c.segment_id).order_by(segments.c.use_s)).scalars().all():
            if total <= max_bytes:
                break
            if segment_id in safe:
                continue
            _forget_segment(connection, segment_id)
            for asset in owned.get(segment_id, ()):
                uses[asset] -= 1
                if not uses[asset]:
                    total -= sizes[asset]
                    gone.append(AssetId(asset))
        for start in range(0, len(gone), 500):
            connection.execute(delete(assets).where(assets.c.asset.in_(gone[start : start + 500])))
    return gone


def delete_unregistered(engine: Engine, blobs: BlobStore, unused_s: float = GRACE_S) -> list[AssetId]:
    """The assets whose files were deleted: no row names them, and nobody has put them for `unused_s`."""
    blobs.delete_partials(unused_s)
    with read(engine) as connection:
        known = set(connection.execute(select(assets.c.asset)).scalars())
    suspects = [asset for asset in blobs.assets() if asset not in known]
    deleted = []
    for asset in suspects:
        # SQLite's write lock keeps everybody from registering the asset between look and deletion; elsewhere
        # the grace does: a file that somebody put within `unused_s` is spared.
        with write(engine) as connection:
            query = select(func.count()).select_from(assets).where(assets.c.asset == asset)
            if connection.execute(query).scalar_one() == 0 and blobs.delete(asset, unused_s=unused_s):
                deleted.append(asset)
    return deleted


def _forget_segment(connection: Connection, segment_id: str) -> None:
    its_scenes = select(scenes.c.scene_id).where(scenes.c.segment_id == segment_id)
    connection.execute(update(segments).where(segments.c.scene_id.in_(its_scenes)).values(scene_id=None))
    for table in (manifests, scenes, segment_notes, segments):
        connection.execute(delete(table).where(table.c.segment_id == segment_id))
