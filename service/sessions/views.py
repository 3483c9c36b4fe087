"""What the sessions say to the outside: frozen values that `service/api` turns into wire messages."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum

from service.ids import GateId, PlayerId, SessionId, WorldId
from service.play.event import ChainSnapshot
from service.quality import Quality
from service.store.records import AssetRecord, ContentRef
from service.work.job import JobState
from service.worlds.world import World


class SessionStatus(IntEnum):
    """Whether a session still plays. Numbers are the wire's."""

    ACTIVE = 1
    PAUSED = 2
    CLOSED = 3


class Curve(StrEnum):
    """Weight of the new picture over a fade's time u in 0..1: u, or 3u^2 - 2u^3."""

    LINEAR = "linear"
    SMOOTHSTEP = "smoothstep"


@dataclass(frozen=True)
class ClientProfile:
    """What a client can take. Empty formats: all; 0: no limit, or unknown for `bandwidth_bps`."""

    formats: tuple[str, ...] = ()
    max_splats: int = 0
    max_bytes: int = 0
    bandwidth_bps: int = 0


@dataclass(frozen=True)
class ForecastView:
    """When a gate is expected to open, in seconds from the moment of the view or update that holds this."""

    p50_s: float
    p90_s: float
    reach_chance: float


@dataclass(frozen=True)
class GateView:
    """A gate in a session. A quality is None where nothing was announced, is ready, or is shown."""

    gate: GateId
    opened: bool
    forecast: ForecastView
    announced: Quality | None
    ready: Quality | None
    shown: Quality | None


@dataclass(frozen=True)
class SessionView:
    """A session as it stands."""

    session_id: SessionId
    world_id: WorldId
    world_revision: str
    profile: ClientProfile
    players: tuple[PlayerId, ...]
    status: SessionStatus
    applied_sequence: int
    cursor: int
    create_s: float
    chains: tuple[ChainSnapshot, ...]
    opened_gates: tuple[GateId, ...]
    gates: tuple[GateView, ...]


@dataclass(frozen=True)
class StoredWorld:
    """A world, and when its source was last put."""

    world: World
    update_s: float


@dataclass(frozen=True)
class ReportResult:
    """What became of a call's events: all up to `applied_sequence` are applied and durable."""

    applied_sequence: int
    duplicates: int
    held: int


@dataclass(frozen=True)
class ChainChanged:
    """A chain or one of its tasks changed."""

    chain: ChainSnapshot


@dataclass(frozen=True)
class ForecastChanged:
    """A gate is expected at another time, or with another chance."""

    gate: GateId
    forecast: ForecastView


@dataclass(frozen=True)
class ContentAnnounced:
    """Content for a gate can be downloaded. Manifests list coarse levels first and are complete."""

    gate: GateId
    content: ContentRef
    video: tuple[AssetRecord, ...]
    scene: tuple[AssetRecord, ...]
    reused: bool


@dataclass(frozen=True)
class HandoverStarted:
    """Cross-fade from what is shown to something better that the client said is ready."""

    gate: GateId
    origin: ContentRef
    target: ContentRef
    start_s: float
    duration_s: float
    curve: Curve


@dataclass(frozen=True)
class WorkChanged:
    """What is being worked on for a gate. `left_s` is 0 where nothing was measured yet."""

    gate: GateId
    quality: Quality
    state: JobState
    stage: str
    chunks_done: int
    chunks_total: int
    left_s: float
    spent_s: float


@dataclass(frozen=True)
class EventRejected:
    """An event that was held until its predecessors came could not be applied."""

    event_id: str
    sequence: int
    reason: str


@dataclass(frozen=True)
class SessionClosed:
    """No more updates will come."""


@dataclass(frozen=True)
class SessionReplaced:
    """The state at the update's cursor, for a watcher whose own cursor is not kept any more. Never stored."""

    session: SessionView


UpdateKind = (
    ChainChanged
    | ForecastChanged
    | ContentAnnounced
    | HandoverStarted
    | WorkChanged
    | EventRejected
    | SessionClosed
    | SessionReplaced
)


@dataclass(frozen=True)
class Update:
    """One change that a client should know of. Cursors of a session grow by one from 1."""

    cursor: int
    time_s: float
    trace_id: str
    kind: UpdateKind
