"""Story: all that is known of one session so far, gate by gate, as its updates tell it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from narthex.v1 import content_pb2, event_pb2, quality_pb2, session_pb2, world_pb2

QUALITIES = ("PLACEHOLDER", "DRAFT", "FULL")


@dataclass(frozen=True)
class ForecastPoint:
    """What was forecast of a gate at `offset_s`: seconds from then, and the chance that it is reached."""

    offset_s: float
    p50_s: float
    p90_s: float
    chance: float


@dataclass(frozen=True)
class Announcement:
    """Content that can be downloaded since `offset_s`."""

    offset_s: float
    quality: str
    content: content_pb2.ContentRef
    video: content_pb2.Manifest
    scene: content_pb2.Manifest
    reused: bool


@dataclass(frozen=True)
class WorkPoint:
    """Where the work for a gate stood at `offset_s`."""

    offset_s: float
    quality: str
    state: str
    stage: str
    chunks_done: int
    chunks_total: int
    left_s: float
    spent_s: float


@dataclass(frozen=True)
class HandoverPoint:
    """A cross-fade that the server ordered at `offset_s`."""

    offset_s: float
    origin: str
    target: str
    start_s: float
    duration_s: float


@dataclass(frozen=True)
class ScreenPoint:
    """What the client says of its screen: `what` is ready, opened, fade or shown; quality is empty for opened."""

    offset_s: float
    what: str
    quality: str
    stall_ms: float


@dataclass
class GateStory:
    """Everything that happened around one gate, each list in order of time."""

    gate: str
    title: str
    chain: str
    forecasts: list[ForecastPoint] = field(default_factory=list)
    announced: list[Announcement] = field(default_factory=list)
    work: list[WorkPoint] = field(default_factory=list)
    handovers: list[HandoverPoint] = field(default_factory=list)
    screen: list[ScreenPoint] = field(default_factory=list)

    @property
    def opened_s(self) -> float | None:
        """When the gate opened; None while it is closed."""
        return next((point.offset_s for point in self.screen if point.what == "opened"), None)

    @property
    def shown_first(self) -> ScreenPoint | None:
        """What was shown first behind the open gate, with its stall."""
        return next((point for point in self.screen if point.what == "shown"), None)

    def has(self, what: str, quality: str) -> bool:
        """Whether this quality was announced, is ready or was shown; what is one of those three words."""
        if what == "announced":
            return any(item.quality == quality for item in self.announced)
        return any(point.what == what and point.quality == quality for point in self.screen)

    def spent_s(self) -> float:
        """Seconds of work that were spent on this gate, all qualities together."""
        newest = {point.quality: point.spent_s for point in self.work}
        return sum(newest.values())


class Story:
    """A session as it is told by updates and by the client's lines. Times are seconds since it was created.

    Args:
        world: gives titles of chains, tasks and gates.
        start_s: epoch seconds that count as 0.

    Attributes:
        gates, chains: what is known of them, by id.
        chain_times: (chain, status) -> when the chain was first seen in that status.
        rejected: reasons of events that could not be applied.
        last_s: when the last thing happened.
    """

    def __init__(self, world: world_pb2.World, start_s: float) -> None:
        self.world = world
        self.start_s = start_s
        self.gates = {gate.gate: GateStory(gate.gate, gate.title or gate.gate, gate.chain) for gate in world.gates}
        self.chains: dict[str, event_pb2.ChainSnapshot] = {}
        self.chain_times: dict[tuple[str, int], float] = {}
        self.rejected: list[str] = []
        self.closed = False
        self.last_s = 0.0

    def take(self, update: session_pb2.SessionUpdate) -> None:
        """Adds one update of the session."""
        at = epoch_s(update.update_time) - self.start_s
        self.last_s = max(self.last_s, at)
        kind = update.WhichOneof("kind")
        if kind == "chain_changed":
            chain = update.chain_changed.chain
            self.chains[chain.chain] = chain
            self.chain_times.setdefault((chain.chain, chain.status), at)
        elif kind == "event_rejected":
            self.rejected.append(update.event_rejected.reason)
        elif kind == "session_closed":
            self.closed = True
        elif kind == "session_replaced":
            self.take_session(update.session_replaced)
        elif kind is not None:
            self._take_of_gate(at, kind, getattr(update, kind))

    def take_session(self, session: session_pb2.Session) -> None:
        """Adds the state of the session as GetSession tells it."""
        for chain in session.snapshot.chains:
            self.chains[chain.chain] = chain

    def take_line(self, line: Mapping[str, Any]) -> None:
        """Adds one line of the client's screen.jsonl."""
        gate = self.gates.get(str(line.get("gate", "")))
        if gate is not None and line["what"] in ("ready", "opened", "fade", "shown"):
            at = float(line["time_s"]) - self.start_s
            stall_ms = float(line.get("stall_ms", 0.0))
            gate.screen.append(ScreenPoint(at, str(line["what"]), str(line.get("quality", "")), stall_ms))
            self.last_s = max(self.last_s, at)

    def _take_of_gate(self, at: float, kind: str, change: Any) -> None:
        gate = self.gates.get(change.gate)
        if gate is None:
            return
        if kind == "forecast_changed":
            gate.forecasts.append(ForecastPoint(at, change.p50_s, change.p90_s, change.reach_chance))
        elif kind == "content_announced":
            quality = quality_name(change.content.quality)
            gate.announced.append(Announcement(at, quality, change.content, change.video, change.scene, change.reused))
        elif kind == "work_changed":
            state = session_pb2.WorkState.Name(change.state).removeprefix("WORK_STATE_")
            chunks = change.chunks_done, change.chunks_total
            quality = quality_name(change.quality)
            gate.work.append(WorkPoint(at, quality, state, change.stage, *chunks, change.left_s, change.spent_s))
        elif kind == "handover":
            origin, target = quality_name(getattr(change, "from").quality), quality_name(change.to.quality)
            gate.handovers.append(HandoverPoint(at, origin, target, change.start_s, change.duration_s))


def quality_name(quality: int) -> str:
    """PLACEHOLDER, DRAFT or FULL; UNSPECIFIED for 0."""
    return quality_pb2.Quality.Name(quality_pb2.Quality.ValueType(quality)).removeprefix("QUALITY_")


def epoch_s(stamp: Timestamp) -> float:
    """Seconds since the epoch."""
    return float(stamp.seconds) + stamp.nanos / 1e9
