"""The worlds that were put: every revision is kept for the sessions that were opened with it."""

from __future__ import annotations

import threading
from collections import OrderedDict

from sqlalchemy import Engine, delete, select, update

from model.supported import SupportedSize
from service.clock import Clock
from service.errors import NotFound
from service.ids import WorldId
from service.sessions import tables
from service.sessions.views import StoredWorld
from service.store.database import insert_missing, read, write
from service.worlds.limits import SHIPPED
from service.worlds.sizes import SizeRule
from service.worlds.world import World
from service.worlds.yaml_file import parse_world

PARSED_WORLDS = 64
"""Parsed worlds that are kept in memory."""


class WorldTable:
    """Worlds in the database. Every method is one transaction; all may be called from any thread."""

    def __init__(self, engine: Engine, clock: Clock, made: SupportedSize | None = None) -> None:
        """`made`: what the server's model makes; None where nobody knows, and then what the shipped weights make."""
        self._engine = engine
        self._clock = clock
        self._made = made or SHIPPED
        self._parsed: OrderedDict[tuple[WorldId, str], World] = OrderedDict()
        self._lock = threading.Lock()

    def check(self, world_id: WorldId, source: bytes) -> World:
        """The world that `source` describes, under `world_id`; nothing is stored.

        Raises:
            InvalidInput: the source is no world (fields are paths within it), it names another id, or a gate asks
                for a size or length that the model does not make.
        """
        return self._parse(world_id, source, others_too=False)

    def put(self, world: World) -> StoredWorld:
        """The world, stored as the newest revision of its id. Idempotent."""
        now_s = self._clock()
        row = {"world_id": world.world_id, "revision": world.revision}
        with write(self._engine) as connection:
            insert_missing(connection, tables.world_sources, [{**row, "source": world.source}])
            insert_missing(connection, tables.worlds, [{**row, "update_s": now_s}])
            newest = update(tables.worlds).where(tables.worlds.c.world_id == world.world_id)
            connection.execute(newest.values(revision=world.revision, update_s=now_s))
        self._remember(world)
        return StoredWorld(world, now_s)

    def world(self, world_id: WorldId) -> StoredWorld:
        """The newest revision of a world. Raises NotFound."""
        with read(self._engine) as connection:
            query = select(tables.worlds).where(tables.worlds.c.world_id == world_id)
            row = connection.execute(query).mappings().first()
        if row is None:
            raise NotFound(f"no world {world_id!r}", reason="WORLD_NOT_FOUND")
        return StoredWorld(self.revision(world_id, row["revision"]), row["update_s"])

    def revision(self, world_id: WorldId, revision: str) -> World:
        """A world as it was in one revision, also after it was deleted. Raises NotFound."""
        with self._lock:
            if (known := self._parsed.get((world_id, revision))) is not None:
                self._parsed.move_to_end((world_id, revision))
                return known
        columns = tables.world_sources.c
        query = select(columns.source).where(columns.world_id == world_id, columns.revision == revision)
        with read(self._engine) as connection:
            source = connection.execute(query).scalar()
        if source is None:
            raise NotFound(f"no revision {revision} of the world {world_id!r}", reason="WORLD_NOT_FOUND")
        # It was accepted once; weights of another size since then must not keep a server from its sessions.
        world = self._parse(world_id, source, others_too=True)
        self._remember(world)
        return world

    def page(self, page_size: int, after: WorldId | None) -> list[StoredWorld]:
        """At most `page_size` worlds by id, those after `after`."""
        query = select(tables.worlds).where(tables.worlds.c.world_id > (after or ""))
        with read(self._engine) as connection:
            rows = connection.execute(query.order_by(tables.worlds.c.world_id).limit(page_size)).mappings().all()
        return [StoredWorld(self.revision(row["world_id"], row["revision"]), row["update_s"]) for row in rows]

    def delete(self, world_id: WorldId) -> None:
        """Forget a world; its sources stay for the sessions that play it. Raises NotFound."""
        with write(self._engine) as connection:
            if connection.execute(delete(tables.worlds).where(tables.worlds.c.world_id == world_id)).rowcount == 0:
                raise NotFound(f"no world {world_id!r}", reason="WORLD_NOT_FOUND")

    def _parse(self, world_id: WorldId, source: bytes, *, others_too: bool) -> World:
        sizes = SizeRule(self._made, others_too)
        return parse_world(source, f"{world_id}.yaml", world_id=world_id, sizes=sizes)

    def _remember(self, world: World) -> None:
        with self._lock:
            self._parsed[(world.world_id, world.revision)] = world
            while len(self._parsed) > PARSED_WORLDS:
                self._parsed.popitem(last=False)
