"""The prefetch plan: what to work on for all sessions, in order. Pure.

The policy is *draft first, earliest deadline*: every DRAFT that somebody may reach comes before any FULL; among equals
the earlier deadline comes first, and the deadline of an open gate, the instant of its opening, is in the past.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from service.quality import Quality
from service.work.job import Waiter


@dataclass(frozen=True, slots=True)
class SegmentPlan:
    """One rung of a gate's ladder.

    Attributes:
        key: address of the segment (`SegmentSpec.key()`).
        quality: DRAFT or FULL.
        done: the catalogue holds it: never work on it again.
        left_s: device seconds of work that are left, by the measured pace; only said of the planned job.
    """

    key: str
    quality: Quality
    done: bool = False
    left_s: float = 0.0


@dataclass(frozen=True, slots=True)
class GateDemand:
    """What one gate of one session wants. Leave a gate out when its session is closed or the gate is dead.

    Attributes:
        waiter: the session and gate.
        ladder: the rungs that the world's `qualities` and the client's profile ask for, in any order.
        deadline_s: epoch seconds by which content must leave the server: forecast opening (p50) less transfer,
            decode and upload; for an open gate the instant at which it opened.
        reach_chance: chance that the gate is reached, 0 to 1; 1 for an open gate.
        opened: the gate is open.
        have: best quality that the client can show or will be able to without more work, whatever made it
            (ready, shown, or a reused member of the pool); None for nothing. Rungs up to it are not wanted.

    Raises:
        ValueError: `deadline_s` or `reach_chance` is not a number that means something.
    """

    waiter: Waiter
    ladder: tuple[SegmentPlan, ...]
    deadline_s: float
    reach_chance: float = 1.0
    opened: bool = False
    have: Quality | None = None

    def __post_init__(self) -> None:
        if math.isnan(self.deadline_s):
            raise ValueError(f"{self.waiter}: deadline_s must be epoch seconds, got NaN")
        if not 0.0 <= self.reach_chance <= 1.0:
            raise ValueError(f"{self.waiter}: reach_chance must be within [0, 1], got {self.reach_chance}")


@dataclass(frozen=True)
class PlanLimits:
    """`max_jobs`: how many jobs may be queued or running at once (1 or more). `min_reach_chance`: no work for closed
    gates that are less likely to be reached (0 to 1).
    """

    max_jobs: int = 1_000
    min_reach_chance: float = 0.02

    def __post_init__(self) -> None:
        if self.max_jobs < 1:
            raise ValueError(f"max_jobs must be 1 or more, got {self.max_jobs}")
        if not 0.0 <= self.min_reach_chance <= 1.0:
            raise ValueError(f"min_reach_chance must be within [0, 1], got {self.min_reach_chance}")


@dataclass(frozen=True)
class PlanContext:
    """All that a plan depends on.

    Attributes:
        demands: every gate that is open for work. Pass the same GateDemand object where nothing changed: only
            demands that are other objects than last time are looked at.
        live: keys of the segments whose jobs are queued or running.
        limits: caps; must stay the same while an index is used.
    """

    demands: Mapping[Waiter, GateDemand]
    live: frozenset[str] = frozenset()
    limits: PlanLimits = field(default_factory=PlanLimits)


@dataclass(frozen=True, slots=True)
class PlannedJob:
    """One segment to make. `rank` counts from 0; `waiters` are sorted; `deadline_s` is their earliest."""

    key: str
    quality: Quality
    rank: int
    deadline_s: float
    left_s: float
    waiters: tuple[Waiter, ...]


@dataclass(frozen=True)
class PrefetchPlan:
    """What to work on, best first, and the keys of live jobs to cancel: nobody wants them, or the cap leaves them
    out (their checkpoints are kept, they may be planned again).
    """

    jobs: tuple[PlannedJob, ...]
    cancel: tuple[str, ...]


_Order = tuple[int, float, str]
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class _Want:
    """What one demand says of one key; `wanted` is False where it only tells that the key is done."""

    rung: SegmentPlan
    deadline_s: float
    wanted: bool


@dataclass(frozen=True)
class PlanIndex:
    """What `plan` remembers to be incremental; start with `PlanIndex()`.

    `wants`: what the demands say of every key. `jobs`: what is planned for the keys to work on, without ranks.
    `order`: those keys, best first.
    """

    limits: PlanLimits | None = None
    demands: Mapping[Waiter, GateDemand] = field(default_factory=dict)
    wants: Mapping[str, Mapping[Waiter, _Want]] = field(default_factory=dict)
    jobs: Mapping[str, PlannedJob] = field(default_factory=dict)
    order: tuple[_Order, ...] = ()


def plan(context: PlanContext, index: PlanIndex) -> tuple[PrefetchPlan, PlanIndex]:
    """The plan for `context`, and the index for the next call. Equal to the plan from `PlanIndex()`, only faster."""
    if index.limits != context.limits:
        index = PlanIndex(limits=context.limits)
    index = _updated(context, index)
    best = index.order[: context.limits.max_jobs]
    jobs = tuple(_ranked(index.jobs[key], rank) for rank, (_, _, key) in enumerate(best))
    cancel = context.live.difference(job.key for job in jobs)
    # What is done has finished between two looks at the table: there is nothing to cancel.
    unfinished = (key for key in cancel if not _is_done(index.wants.get(key, {})))
    return PrefetchPlan(jobs, tuple(sorted(unfinished))), index


def _updated(context: PlanContext, index: PlanIndex) -> PlanIndex:
    """The index for the context's demands; only those that are other objects than before are looked at."""
    old, new = index.demands, context.demands
    changed = [waiter for waiter, demand in new.items() if old.get(waiter) is not demand]
    known = len(new) - sum(waiter not in old for waiter in changed)
    gone = [waiter for waiter in old if waiter not in new] if known < len(old) else []
    if not gone and not changed:
        return index
    touched: dict[str, dict[Waiter, _Want]] = {}
    for waiter in (*gone, *(waiter for waiter in changed if waiter in old)):
        for key in {rung.key for rung in old[waiter].ladder}:
            touched.setdefault(key, dict(index.wants.get(key, {}))).pop(waiter)
    for waiter in changed:
        for key, want in _wants_of(new[waiter], context.limits).items():
            touched.setdefault(key, dict(index.wants.get(key, {})))[waiter] = want
    jobs = {key: _job(key, said) for key, said in touched.items()}
    return PlanIndex(
        limits=context.limits,
        demands=dict(new),
        wants=_merged(index.wants, {key: said or None for key, said in touched.items()}),
        jobs=_merged(index.jobs, jobs),
        order=_reordered(index, jobs),
    )


def _merged(before: Mapping[str, _Value], changes: Mapping[str, _Value | None]) -> dict[str, _Value]:
    """`before` with the changes; None removes."""
    after = dict(before)
    for key, value in changes.items():
        if value is None:
            after.pop(key, None)
        else:
            after[key] = value
    return after


def _wants_of(demand: GateDemand, limits: PlanLimits) -> dict[str, _Want]:
    """What the demand says of the keys of its ladder."""
    likely = demand.opened or demand.reach_chance >= limits.min_reach_chance
    has = max((rung.quality for rung in demand.ladder if rung.done), default=Quality.PLACEHOLDER)
    has = max(has, demand.have or Quality.PLACEHOLDER)
    wants: dict[str, _Want] = {}
    for rung in sorted(demand.ladder, key=lambda rung: (not rung.done, rung.quality)):
        # Two rungs with one key are one piece of work, and count as the lower one.
        wants.setdefault(rung.key, _Want(rung, demand.deadline_s, likely and rung.quality > has and not rung.done))
    return wants


def _reordered(index: PlanIndex, jobs: Mapping[str, PlannedJob | None]) -> tuple[_Order, ...]:
    """The index's order with the touched keys at their new places."""
    moves = [(_place(index.jobs.get(key)), _place(job)) for key, job in jobs.items()]
    moves = [(old, new) for old, new in moves if old != new]
    if len(moves) * 8 > len(index.order):
        left = set(index.order).difference(old for old, _ in moves if old)
        return tuple(sorted([*left, *(new for _, new in moves if new)]))
    places = list(index.order)
    for old, new in moves:
        if old:
            del places[bisect_left(places, old)]
        if new:
            insort(places, new)
    return tuple(places)


def _place(job: PlannedJob | None) -> _Order | None:
    """Where the job stands in the order."""
    return None if job is None else (job.quality, job.deadline_s, job.key)


def _is_done(said: Mapping[Waiter, _Want]) -> bool:
    return any(want.rung.done for want in said.values())


def _job(key: str, said: Mapping[Waiter, _Want]) -> PlannedJob | None:
    """What is to be made for the key, with rank 0; None where there is nothing to do."""
    wants = {waiter: want for waiter, want in said.items() if want.wanted}
    if not wants or _is_done(said):
        return None
    return PlannedJob(
        key=key,
        quality=min(want.rung.quality for want in wants.values()),
        rank=0,
        deadline_s=min(want.deadline_s for want in wants.values()),
        left_s=min(want.rung.left_s for want in wants.values()),
        waiters=tuple(sorted(wants)),
    )


def _ranked(job: PlannedJob, rank: int) -> PlannedJob:
    return PlannedJob(job.key, job.quality, rank, job.deadline_s, job.left_s, job.waiters)
