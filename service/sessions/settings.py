"""Policy of the Director."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DirectorSettings:
    """How much the Director holds, and how often it acts.

    Attributes:
        max_pending_writes: calls that may wait for the disk before further ones get TooMuch.
        ring_updates: newest updates of a session that a watcher can resume from.
        turn_s: seconds between two looks at the job table.
        plan_interval_s: planning after events happens at most this often.
        idle_unload_s: a session without calls or watchers for so long leaves memory (never the database).
        max_sessions_loaded: sessions in memory; more get TooMuch.

    Raises:
        ValueError: a value is not positive.
    """

    max_pending_writes: int = 8192
    ring_updates: int = 512
    turn_s: float = 0.05
    plan_interval_s: float = 0.1
    idle_unload_s: float = 900.0
    max_sessions_loaded: int = 20_000

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0:
                raise ValueError(f"{name} must be positive, got {value}")
