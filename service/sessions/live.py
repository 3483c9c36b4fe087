"""LiveSession: what the server holds in memory of one session. It does no I/O and decides nothing."""

from __future__ import annotations

from dataclasses import dataclass

from service.errors import ServiceError
from service.ids import AssetId, GateId, SegmentId, SessionId
from service.play.event import Event
from service.play.forecast import GateForecast, forecast_gates
from service.play.session import SessionState, snapshot_chain
from service.play.state import GateState
from service.quality import Quality
from service.sessions.handover import Fade
from service.sessions.journal import Lineage
from service.sessions.ring import UpdateRing
from service.sessions.views import (
    ClientProfile,
    ContentAnnounced,
    ForecastView,
    GateView,
    SessionStatus,
    SessionView,
)
from service.store.records import ContentRef
from service.worlds.world import World

WINDOW = 256
"""How far ahead of the next expected event one may come and be held."""

RECENT_EVENTS = 1024
"""Event ids that are remembered to tell repeats; older ones are read from the table."""


@dataclass(frozen=True)
class SessionFacts:
    """What never changes of a session."""

    session_id: SessionId
    world: World
    profile: ClientProfile
    create_s: float


@dataclass(frozen=True, slots=True)
class ToldForecast:
    """What a session's watchers were last told of a gate, and when."""

    forecast: ForecastView
    time_s: float


class LiveSession:
    """One session in memory. Only the event loop touches it.

    Attributes:
        facts: what never changes.
        lineage: of its writes.
        state: all events up to `applied_sequence` and all announcements folded.
        status: ACTIVE, PAUSED or CLOSED.
        applied_sequence: may be ahead of the disk; `durable_sequence` is not.
        cursor: of the newest update that was made; `ring.newest` is durable.
        event_ids: of recent and held events, by sequence number; `sequences` is the inverse.
        rejected: why some of them were not applied.
        held: events that came early.
        announced: content by gate and segment, in the order in which it was announced.
        fades: the newest hand-over of each gate.
        told_s, told_forecasts: when content was announced by this process, and what was last said of each gate.
        pending: writes on their way to the disk.
        client_s: how long its client takes with content beyond the transfer; None before anything was measured.
        trace_id: of the newest event: what is done next is done because of it.
        stored_status, stored_active_s: what its row says.
        active_s, touched_s: when its newest event was applied, and when it was last asked for at all.
    """

    __slots__ = (
        "active_s",
        "announced",
        "applied_sequence",
        "client_s",
        "cursor",
        "durable_sequence",
        "event_ids",
        "facts",
        "fades",
        "held",
        "kept_cursor",
        "lineage",
        "pending",
        "rejected",
        "ring",
        "sequences",
        "snapshot_sequence",
        "state",
        "status",
        "stored_active_s",
        "stored_status",
        "told_forecasts",
        "told_s",
        "touched_s",
        "trace_id",
    )

    def __init__(self, facts: SessionFacts, state: SessionState, ring: UpdateRing) -> None:
        self.facts = facts
        self.lineage = Lineage()
        self.state = state
        self.status = SessionStatus.ACTIVE
        self.applied_sequence = self.durable_sequence = self.snapshot_sequence = 0
        self.ring = ring
        self.cursor = ring.newest
        self.kept_cursor = ring.first
        self.event_ids: dict[int, str] = {}
        self.sequences: dict[str, int] = {}
        self.rejected: dict[int, ServiceError] = {}
        self.held: dict[int, Event] = {}
        self.announced: dict[GateId, dict[SegmentId, ContentAnnounced]] = {}
        self.fades: dict[GateId, Fade] = {}
        self.told_s: dict[SegmentId, float] = {}
        self.told_forecasts: dict[GateId, ToldForecast] = {}
        self.pending = 0
        self.client_s: float | None = None
        self.trace_id = ""
        self.active_s = self.touched_s = facts.create_s
        self.stored_status, self.stored_active_s = self.status, facts.create_s

    @property
    def session_id(self) -> SessionId:
        """Its id."""
        return self.facts.session_id

    @property
    def world(self) -> World:
        """Its world, in the revision with which it was opened."""
        return self.facts.world

    def remember(self, sequence: int, event_id: str) -> None:
        """Note an event's id; forget durable ones that are no longer recent."""
        self.event_ids[sequence] = event_id
        self.sequences[event_id] = sequence
        if len(self.event_ids) > 2 * RECENT_EVENTS:
            oldest = self.durable_sequence - RECENT_EVENTS
            self.event_ids = {known: name for known, name in self.event_ids.items() if known > oldest}
            self.sequences = {name: known for known, name in self.event_ids.items()}
            self.rejected = {known: why for known, why in self.rejected.items() if known > oldest}

    def add_content(self, content: ContentAnnounced) -> None:
        """Note that content was announced."""
        self.announced.setdefault(content.gate, {})[content.content.segment] = content

    def content_of(self, gate: GateId, segment: SegmentId, quality: Quality) -> ContentRef:
        """The reference to what was announced; one without a scene where the client names something else."""
        known = self.announced.get(gate, {}).get(segment)
        if known is not None:
            return known.content
        return ContentRef(self.world.world_id, gate, segment, None, quality)

    def released_assets(self) -> frozenset[AssetId]:
        """All assets that were announced to this session."""
        contents = (content for of_gate in self.announced.values() for content in of_gate.values())
        return frozenset(record.asset for content in contents for record in (*content.video, *content.scene))

    def view(self, now_s: float) -> SessionView:
        """The session as it stands at `now_s`."""
        state, facts = self.state, self.facts
        forecasts = forecast_gates(facts.world, state, now_s)
        return SessionView(
            session_id=facts.session_id,
            world_id=facts.world.world_id,
            world_revision=facts.world.revision,
            profile=facts.profile,
            players=state.players,
            status=self.status,
            applied_sequence=self.durable_sequence,
            cursor=self.ring.newest,
            create_s=facts.create_s,
            chains=tuple(snapshot_chain(state, chain) for chain in state.chains),
            opened_gates=tuple(gate for gate, at in state.gates.items() if at.opened),
            gates=tuple(gate_view(at, forecasts[gate]) for gate, at in state.gates.items()),
        )


def gate_view(at: GateState, forecast: GateForecast) -> GateView:
    """A gate as the outside sees it."""
    return GateView(
        gate=forecast.gate,
        opened=at.opened,
        forecast=forecast_view(forecast),
        announced=at.announced_quality,
        ready=at.ready_quality,
        shown=at.shown,
    )


def forecast_view(forecast: GateForecast) -> ForecastView:
    """A forecast as the outside sees it."""
    return ForecastView(forecast.p50_s, forecast.p90_s, forecast.reach_chance)
