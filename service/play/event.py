"""Domain events. `service/api/convert.py` is the only place that makes them from wire messages."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from service.ids import ChainId, GateId, PlayerId, SegmentId, TaskId
from service.quality import Quality


class ChainStatus(IntEnum):
    """Where a chain stands. Numbers are the wire's."""

    OFFERED = 1
    ACCEPTED = 2
    COMPLETED = 3
    ABANDONED = 4


class TaskStatus(IntEnum):
    """Where a task stands. Numbers are the wire's."""

    LOCKED = 1
    AVAILABLE = 2
    STARTED = 3
    COMPLETED = 4


@dataclass(frozen=True)
class ChainAccepted:
    """The player took on a chain."""

    chain: ChainId


@dataclass(frozen=True)
class TaskStarted:
    """The player began a task."""

    chain: ChainId
    task: TaskId


@dataclass(frozen=True)
class TaskProgressed:
    """Exactly one of `fraction` (0..1), `remaining_steps` (>= 0) and `eta_s` (>= 0) is set."""

    chain: ChainId
    task: TaskId
    fraction: float | None = None
    remaining_steps: int | None = None
    eta_s: float | None = None


@dataclass(frozen=True)
class TaskCompleted:
    """A task is done."""

    chain: ChainId
    task: TaskId


@dataclass(frozen=True)
class ChainAbandoned:
    """The player gave the chain up."""

    chain: ChainId


@dataclass(frozen=True)
class GateApproached:
    """The player is `distance_m` >= 0 from a gate."""

    gate: GateId
    distance_m: float


@dataclass(frozen=True)
class GateOpened:
    """A gate opened, by its chain or by a way that nobody foresaw."""

    gate: GateId


@dataclass(frozen=True)
class ContentReady:
    """Content is downloaded and on the client's GPU."""

    gate: GateId
    segment: SegmentId
    quality: Quality


@dataclass(frozen=True)
class ContentShown:
    """Content is on screen; the player looked at nothing for `stall_ms` before."""

    gate: GateId
    segment: SegmentId
    quality: Quality
    stall_ms: float


@dataclass(frozen=True)
class ContentFailed:
    """The client could not use content."""

    gate: GateId
    segment: SegmentId
    quality: Quality
    reason: str


@dataclass(frozen=True)
class SessionPaused:
    """Time stands still for the player."""


@dataclass(frozen=True)
class SessionResumed:
    """Time runs again."""


@dataclass(frozen=True)
class TaskSnapshot:
    """State of one task in a save."""

    task: TaskId
    status: TaskStatus
    fraction: float
    elapsed_s: float


@dataclass(frozen=True)
class ChainSnapshot:
    """State of one chain in a save."""

    chain: ChainId
    status: ChainStatus
    tasks: tuple[TaskSnapshot, ...]


@dataclass(frozen=True)
class StateRestored:
    """A save was loaded; chains that are not named are as in a new session."""

    chains: tuple[ChainSnapshot, ...]
    opened_gates: tuple[GateId, ...]


@dataclass(frozen=True)
class PartyChanged:
    """All players who are in the session now."""

    players: tuple[PlayerId, ...]


EventKind = (
    ChainAccepted
    | TaskStarted
    | TaskProgressed
    | TaskCompleted
    | ChainAbandoned
    | GateApproached
    | GateOpened
    | ContentReady
    | ContentShown
    | ContentFailed
    | SessionPaused
    | SessionResumed
    | StateRestored
    | PartyChanged
)


@dataclass(frozen=True)
class Event:
    """One thing that happened. `time_s` is seconds since the epoch by the game's clock, else the server's."""

    event_id: str
    sequence: int
    time_s: float
    trace_id: str
    kind: EventKind
