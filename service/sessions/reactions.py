"""Reactions: what follows at once from the changes of one event, in the same transaction as the event."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from service.ids import GateId, SegmentId
from service.play.change import (
    ChainChangedTo,
    Change,
    ContentFailedNow,
    ContentReadyNow,
    ContentShownNow,
    GateClosedNow,
    GateDied,
    GateOpenedNow,
    GateRevived,
    PausedNow,
    ResumedNow,
)
from service.play.session import snapshot_chain
from service.quality import Quality
from service.sessions.handover import Fade, next_handover
from service.sessions.step import Step
from service.sessions.views import ChainChanged, Curve, HandoverStarted, SessionStatus
from service.work.usage import mark_pending, mark_reached, mark_wasted

_OF_PICTURE = (GateOpenedNow, GateClosedNow, ContentReadyNow, ContentShownNow, ContentFailedNow)


def react(step: Step, changes: Sequence[Change], trace_id: str) -> None:
    """Add to `step` what `changes` lead to: updates, hand-overs, what became of content."""
    session = step.session
    for change in changes:
        if isinstance(change, ChainChangedTo):
            step.tell(ChainChanged(snapshot_chain(session.state, change.chain)), trace_id)
        elif isinstance(change, ContentReadyNow):
            step.arrived(change.gate, change.segment)
        elif isinstance(change, ContentShownNow):
            if change.quality > Quality.PLACEHOLDER:
                step.also(partial(mark_reached, segment_id=change.segment, session=session.session_id))
        elif isinstance(change, GateDied | GateRevived):
            mark_unseen(step, change.gate, wasted=isinstance(change, GateDied))
        elif isinstance(change, PausedNow | ResumedNow):
            session.status = SessionStatus.PAUSED if session.state.paused else SessionStatus.ACTIVE
        elif isinstance(change, GateClosedNow):
            session.fades.pop(change.gate, None)
    for gate in dict.fromkeys(change.gate for change in changes if isinstance(change, _OF_PICTURE)):
        hand_over(step, gate, trace_id)


def mark_unseen(step: Step, gate: GateId, *, wasted: bool) -> None:
    """Note that what was made for a gate will not be seen, or that it may be after all."""
    session = step.session
    mark = mark_wasted if wasted else mark_pending
    for segment in made_for(step, gate):
        step.also(partial(mark, segment_id=segment, session=session.session_id))


def made_for(step: Step, gate: GateId) -> tuple[SegmentId, ...]:
    """The segments that were made for this session's gate: announced, no placeholders, not there before."""
    contents = step.session.announced.get(gate, {}).values()
    return tuple(c.content.segment for c in contents if c.content.quality > Quality.PLACEHOLDER and not c.reused)


def hand_over(step: Step, gate: GateId, trace_id: str) -> None:
    """Tell of a hand-over where what the gate shows is not the best that is ready."""
    session = step.session
    plan = next_handover(session.state.gates[gate], session.fades.get(gate), step.now_s)
    if plan is None:
        return
    quality, segment = plan.target
    session.fades[gate] = Fade(quality, segment, step.now_s + plan.start_s + plan.duration_s)
    handover = HandoverStarted(
        gate=gate,
        origin=session.content_of(gate, plan.origin[1], plan.origin[0]),
        target=session.content_of(gate, segment, quality),
        start_s=plan.start_s,
        duration_s=plan.duration_s,
        curve=Curve.SMOOTHSTEP,
    )
    step.tell(handover, trace_id)
