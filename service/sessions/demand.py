"""Demands: what each gate of a session wants of the prefetch plan. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from service.ids import GateId
from service.play.event import ChainStatus
from service.play.forecast import GateForecast
from service.play.state import GateState
from service.prefetch.plan import GateDemand, SegmentPlan
from service.quality import Quality
from service.sessions.ladder import Rung
from service.sessions.live import LiveSession
from service.sessions.views import SessionStatus
from service.work.job import Waiter

AWAY_S = 300.0
"""After so long without an event nobody is behind an open gate any more."""

SAME_DEADLINE_S = 0.5
"""A deadline that moved by less is the same: the plan would not change by it."""

SAME_CHANCE = 0.01
"""The same for the chance that a gate is reached."""


@dataclass(frozen=True)
class DemandFacts:
    """What a demand needs besides its session: all of it measured.

    `is_done` and `left_s` say of a rung whether it exists, and how many seconds of work it needs. `delivery_s`
    says how long the first of some qualities takes to the session's client.
    """

    now_s: float
    is_done: Callable[[Rung], bool]
    left_s: Callable[[Rung], float]
    delivery_s: Callable[[LiveSession, Sequence[Quality]], float]


def wanted_gates(session: LiveSession, now_s: float) -> list[GateId]:
    """The gates that work may be done for: their chain is being played, or the player is at them.

    A gate of a chain that is only offered is not worked for, unless the player came near it. An open gate is, until
    the best of its qualities is shown, or the player is away.
    """
    if session.status is SessionStatus.CLOSED:
        return []
    return [gate for gate, at in session.state.gates.items() if _is_wanted(session, gate, at, now_s)]


def _is_wanted(session: LiveSession, gate: GateId, at: GateState, now_s: float) -> bool:
    known = session.world.gates[gate]
    if at.dead or (at.shown is not None and at.shown >= max(known.content.qualities)):
        return False
    if at.opened_s is not None:
        return now_s - max(at.opened_s, session.active_s) < AWAY_S
    status = session.state.chains[known.chain].status
    return status in (ChainStatus.ACCEPTED, ChainStatus.COMPLETED) or at.distance_m is not None


def gate_demand(session: LiveSession, forecast: GateForecast, rungs: Sequence[Rung], facts: DemandFacts) -> GateDemand:
    """What one wanted gate asks of the plan. `rungs` is its own ladder, lowest quality first."""
    gate = forecast.gate
    at = session.state.gates[gate]
    ladder = tuple(SegmentPlan(rung.segment, rung.quality, facts.is_done(rung), facts.left_s(rung)) for rung in rungs)
    missing = [rung.quality for rung in ladder if not rung.done]
    if at.opened_s is not None:
        deadline_s = at.opened_s
    else:
        deadline_s = facts.now_s + forecast.p50_s - facts.delivery_s(session, missing)
    return GateDemand(
        waiter=Waiter(session.session_id, gate),
        ladder=ladder,
        deadline_s=deadline_s,
        reach_chance=1.0 if at.opened else forecast.reach_chance,
        opened=at.opened,
        have=_have(session, at, gate),
    )


def _have(session: LiveSession, at: GateState, gate: GateId) -> Quality | None:
    """The best quality that need not be made for this gate.

    A member of the pool that stands in is as good as a draft, but no more: pools would never grow to what the designer
    wants if the first member served everybody. What is on screen counts in full: it is not exchanged for its like.
    """
    told = session.announced.get(gate, {}).values()
    best = max((content.content.quality for content in told if content.content.segment not in at.failed), default=None)
    stand_in = None if best is None else min(best, Quality.DRAFT)
    return max((quality for quality in (stand_in, at.shown) if quality is not None), default=None)


def kept_where_equal(old: Mapping[GateId, GateDemand], new: Sequence[GateDemand]) -> dict[GateId, GateDemand]:
    """`new` by gate, but the old object wherever it says the same: the plan looks only at other objects."""
    return {demand.waiter.gate: _kept(old.get(demand.waiter.gate), demand) for demand in new}


def _kept(old: GateDemand | None, new: GateDemand) -> GateDemand:
    if old is None or _work(old) != _work(new):
        return new
    moved = abs(old.deadline_s - new.deadline_s) >= SAME_DEADLINE_S
    likelier = abs(old.reach_chance - new.reach_chance) >= SAME_CHANCE
    return new if moved or likelier else old


def _work(demand: GateDemand) -> tuple[object, ...]:
    return (demand.opened, demand.have, tuple((rung.key, rung.done) for rung in demand.ladder))
