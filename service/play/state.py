"""SessionState and its parts: what is known of one session, as frozen values that share unchanged parts.

Two clocks: `time_s` is epoch seconds of the newest event; *play seconds* run from 0 at the session's start and
stand still while it is paused. All instants of tasks are play seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from service.ids import ChainId, GateId, PlayerId, SegmentId, TaskId
from service.play.event import ChainStatus, TaskStatus
from service.quality import Quality


@dataclass(frozen=True, slots=True)
class TaskState:
    """Where one task stands.

    Attributes:
        status: LOCKED until its requirement is met, then AVAILABLE, STARTED, COMPLETED.
        began_s: play seconds at which its clock began: when it was started, or, until then, when it became
            available in an accepted chain. None while it is locked or its chain is not being played.
        ended_s: play seconds at which it was completed; None before.
        fraction: share that is done by the newest report, 0 to 1.
        eta_s: the game's own estimate in its newest report; None where that report said something else.
        steps_max: most `remaining_steps` reported so far; 0 where none was.
        reported_s: play seconds of the newest report of progress; None before the first.
    """

    status: TaskStatus
    began_s: float | None = None
    ended_s: float | None = None
    fraction: float = 0.0
    eta_s: float | None = None
    steps_max: int = 0
    reported_s: float | None = None

    def elapsed_s(self, played_s: float) -> float:
        """Seconds of play from its start to its end, or to `played_s`; 0 before it was started."""
        if self.began_s is None or self.status in (TaskStatus.LOCKED, TaskStatus.AVAILABLE):
            return 0.0
        return max(0.0, (played_s if self.ended_s is None else self.ended_s) - self.began_s)


@dataclass(frozen=True, slots=True)
class ChainState:
    """Where one chain stands. `starts_reported`: the game says when tasks are started, so that a task which is
    only available is not yet being worked on.
    """

    status: ChainStatus
    tasks: Mapping[TaskId, TaskState]
    starts_reported: bool = False


@dataclass(frozen=True, slots=True)
class GateState:
    """Where one gate stands, and what the client has for it.

    Attributes:
        opened_s: epoch seconds at which it opened; None while it is closed.
        dead: its chain was abandoned while it was closed: nothing should be made for it.
        distance_m: how far the player was by the newest report; None before the first.
        announced, ready: the segment of each quality that the server announced and that the client says is on
            its GPU. A placeholder that is no segment has the id "".
        shown, shown_segment: what the client says is on screen; None before anything was.
        stall_ms: how long the player looked at nothing before the first content; None before there was any.
        failed: segments that the client could not use.
    """

    opened_s: float | None = None
    dead: bool = False
    distance_m: float | None = None
    announced: Mapping[Quality, SegmentId] = field(default_factory=dict)
    ready: Mapping[Quality, SegmentId] = field(default_factory=dict)
    shown: Quality | None = None
    shown_segment: SegmentId | None = None
    stall_ms: float | None = None
    failed: frozenset[SegmentId] = frozenset()

    @property
    def opened(self) -> bool:
        """Whether it is open."""
        return self.opened_s is not None

    @property
    def announced_quality(self) -> Quality | None:
        """The best quality that was announced."""
        return max(self.announced, default=None)

    @property
    def ready_quality(self) -> Quality | None:
        """The best quality that the client says is on its GPU."""
        return max(self.ready, default=None)


@dataclass(frozen=True, slots=True)
class SessionState:
    """All that is known of a session.

    Attributes:
        chains, gates: one entry for each of the world's, in its order.
        players: who is in the session.
        time_s: epoch seconds of the newest event; never goes back.
        played_s: play seconds at `time_s`.
        paused: time stands still.
    """

    chains: Mapping[ChainId, ChainState]
    gates: Mapping[GateId, GateState]
    players: tuple[PlayerId, ...]
    time_s: float
    played_s: float = 0.0
    paused: bool = False

    def played_at(self, now_s: float) -> float:
        """Play seconds at the epoch second `now_s`; those of the newest event if that is later."""
        return self.played_s if self.paused else self.played_s + max(0.0, now_s - self.time_s)
