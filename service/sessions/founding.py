"""Founding: new sessions, each once for its request, with something to show at every gate from the start."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from service.clock import Clock
from service.errors import AlreadyExists, FieldProblem, InvalidInput
from service.ids import GateId, PlayerId, SegmentId, SessionId
from service.play.session import MAX_PLAYERS, new_session
from service.sessions.announcer import announcement, stand_in
from service.sessions.json_form import to_json
from service.sessions.ladder import Ladders, Rung
from service.sessions.live import LiveSession, SessionFacts
from service.sessions.placeholder import Placeholders
from service.sessions.ready import ReadyIndex
from service.sessions.ring import UpdateRing
from service.sessions.step import Step
from service.sessions.views import ClientProfile
from service.worlds.world import World

SESSION_ID = re.compile(r"[a-z0-9][a-z0-9-]{2,61}[a-z0-9]")
MAX_PLAYER_CHARACTERS = 128
POOL_SEGMENTS = 2048
"""Members of pools that are looked for when a session begins, over all of its gates."""


class Founder:
    """Makes new sessions. Event loop only."""

    def __init__(self, placeholders: Placeholders, ladders: Ladders, ready: ReadyIndex, clock: Clock) -> None:
        self._placeholders = placeholders
        self._ladders = ladders
        self._ready = ready
        self._clock = clock
        self._requests: dict[str, asyncio.Lock] = {}
        self._reserved: set[SessionId] = set()

    @asynccontextmanager
    async def one_at_a_time(self, request_id: str) -> AsyncIterator[None]:
        """Calls with one request id wait for each other, so that the second finds what the first made."""
        if not request_id:
            yield
            return
        lock = self._requests.setdefault(request_id, asyncio.Lock())
        try:
            async with lock:
                yield
        finally:
            if not lock.locked() and self._requests.get(request_id) is lock:
                del self._requests[request_id]

    @contextmanager
    def reserve(self, wanted: SessionId | None) -> Iterator[SessionId]:
        """The id of a new session: `wanted` or one that is drawn. Nobody else gets it meanwhile.

        Raises:
            InvalidInput: `wanted` is malformed.
            AlreadyExists: somebody else is just making a session of that id.
        """
        session_id = SessionId(secrets.token_hex(10)) if wanted is None else wanted
        if not SESSION_ID.fullmatch(session_id):
            allowed = "4 to 63 lower-case letters, digits and hyphens, no hyphen at the ends"
            raise invalid("session_id", session_id[:80], allowed)
        if session_id in self._reserved:
            raise taken(session_id)
        self._reserved.add(session_id)
        try:
            yield session_id
        finally:
            self._reserved.discard(session_id)

    def found(
        self,
        session_id: SessionId,
        world: World,
        profile: ClientProfile,
        players: tuple[PlayerId, ...],
        ring: UpdateRing,
    ) -> LiveSession:
        """A new session in memory, nothing of it durable. Raises InvalidInput for a malformed player id."""
        _check_players(players)
        now_s = self._clock()
        session = LiveSession(SessionFacts(session_id, world, profile, now_s), new_session(world, players, now_s), ring)
        session.trace_id = secrets.token_hex(16)  # until the first event brings its own
        return session

    async def look_up_content(self, session: LiveSession) -> None:
        """Ask the catalogue what there is already for a session's gates; `announce` uses the answers."""
        gates = session.world.gates
        wanted: set[SegmentId] = set()
        for gate in gates:
            wanted.update(rung.segment for rung in self._candidates(session, gate))
            await asyncio.sleep(0)  # a world of a thousand gates has many segments, and each takes some hashing
        wanted.update(own for gate in gates.values() if (own := self._placeholders.own(gate.content)) is not None)
        await self._ready.look_up(wanted, anew=True)

    def announce(self, step: Step) -> None:
        """Announce something for every gate: what exists of its pool, else a placeholder, the world's own first."""
        session = step.session
        for gate, known in session.world.gates.items():
            own = self._ladders.own(session, gate)
            content = stand_in(own, self._candidates(session, gate), self._ready)
            if content is None and (segment := self._placeholders.own(known.content)) is not None:
                content = self._ready.get(segment)
            if content is not None:
                step.announce(announcement(session, gate, content), session.trace_id)
            else:
                step.announce(self._placeholders.mist(session, gate), session.trace_id)

    def rows(self, session: LiveSession, request_id: str) -> dict[str, Any]:
        """The rows of a new session and its request, for `Keeper.commit`."""
        facts = session.facts
        row = {
            "session_id": facts.session_id,
            "world_id": facts.world.world_id,
            "world_revision": facts.world.revision,
            "profile": to_json(ClientProfile, facts.profile),
            "players": to_json(tuple[PlayerId, ...], session.state.players),
            "create_s": facts.create_s,
            "status": int(session.status),
            "active_s": facts.create_s,
        }
        request = {"request_id": request_id, "session_id": facts.session_id, "create_s": facts.create_s}
        return {"new_sessions": (row,), "requests": (request,) if request_id else ()}

    def _candidates(self, session: LiveSession, gate: GateId) -> tuple[Rung, ...]:
        seeds = max(1, POOL_SEGMENTS // (2 * len(session.world.gates)))
        return self._ladders.own(session, gate) + self._ladders.pool(session.world, gate, seeds)


def invalid(field: str, got: str, allowed: str) -> InvalidInput:
    """The error for one wrong field."""
    problem = FieldProblem(field, f"got {got!r}, allowed {allowed}")
    return InvalidInput(f"{field}: got {got!r}, allowed {allowed}", fields=(problem,))


def taken(session_id: SessionId) -> AlreadyExists:
    """The error for a session id that is somebody else's."""
    return AlreadyExists(f"there is a session {session_id!r} already", reason="SESSION_EXISTS")


def _check_players(players: tuple[PlayerId, ...]) -> None:
    if len(players) > MAX_PLAYERS:
        raise invalid("session.players", str(len(players)), f"at most {MAX_PLAYERS} players")
    for index, player in enumerate(players):
        if not 1 <= len(player) <= MAX_PLAYER_CHARACTERS or player in players[:index]:
            allowed = f"1 to {MAX_PLAYER_CHARACTERS} characters, each player once"
            raise invalid(f"session.players[{index}]", player[:80], allowed)
