"""Changes: what one event changed in a session, for those who must act on it."""

from __future__ import annotations

from dataclasses import dataclass

from service.ids import ChainId, GateId, SegmentId
from service.quality import Quality


@dataclass(frozen=True)
class ChainChangedTo:
    """The chain or one of its tasks changed; read it with `snapshot_chain`."""

    chain: ChainId


@dataclass(frozen=True)
class GateOpenedNow:
    """The gate was closed and is open."""

    gate: GateId


@dataclass(frozen=True)
class GateClosedNow:
    """The gate was open and is closed, because a save was loaded."""

    gate: GateId


@dataclass(frozen=True)
class GateDied:
    """The gate's chain was abandoned while the gate was closed: work for it is of no use."""

    gate: GateId


@dataclass(frozen=True)
class GateRevived:
    """The gate had died, and can be reached again."""

    gate: GateId


@dataclass(frozen=True)
class ContentReadyNow:
    """The client says that content is on its GPU."""

    gate: GateId
    segment: SegmentId
    quality: Quality


@dataclass(frozen=True)
class ContentShownNow:
    """The client says that content is on screen."""

    gate: GateId
    segment: SegmentId
    quality: Quality
    stall_ms: float


@dataclass(frozen=True)
class ContentFailedNow:
    """The client could not use content."""

    gate: GateId
    segment: SegmentId
    quality: Quality
    reason: str


@dataclass(frozen=True)
class PausedNow:
    """Time stands still from now on."""


@dataclass(frozen=True)
class ResumedNow:
    """Time runs again."""


@dataclass(frozen=True)
class Restored:
    """A save was loaded: every chain and gate may have changed. Changes of single ones follow this one."""


@dataclass(frozen=True)
class PlayersChanged:
    """Other players are in the session than before."""


Change = (
    ChainChangedTo
    | GateOpenedNow
    | GateClosedNow
    | GateDied
    | GateRevived
    | ContentReadyNow
    | ContentShownNow
    | ContentFailedNow
    | PausedNow
    | ResumedNow
    | Restored
    | PlayersChanged
)
