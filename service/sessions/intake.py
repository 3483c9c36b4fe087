"""Intake: the order of events. Repeats are told from conflicts, early events are held, gaps are filled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from service.errors import Conflict, FieldProblem, InvalidInput, NotApplicable, OutOfWindow, ServiceError
from service.play.event import Event
from service.play.session import apply
from service.sessions.live import WINDOW, LiveSession
from service.sessions.reactions import react
from service.sessions.rejection import for_call
from service.sessions.step import Step
from service.sessions.views import EventRejected


@dataclass(frozen=True)
class OldEvent:
    """What the table says of an event that is no longer in memory."""

    event_id: str
    rejection: ServiceError | None


@dataclass(frozen=True)
class Intake:
    """What became of a call's events; `error` is what the call fails with once the step is durable."""

    duplicates: int
    held: int
    error: ServiceError | None


def unremembered(session: LiveSession, events: Sequence[Event]) -> list[int]:
    """Sequence numbers of those events that are too old to be told from memory."""
    known, applied = session.event_ids, session.applied_sequence
    return [event.sequence for event in events if 1 <= event.sequence <= applied and event.sequence not in known]


def take(step: Step, events: Sequence[Event], old: Mapping[int, OldEvent]) -> Intake:
    """Put a call's events into `step.session` in their order, as far as they can be.

    `old` are the events that `unremembered` named. Stops at the first event that fails the call.
    """
    session = step.session
    duplicates, early, failure = 0, [], None
    for index, event in enumerate(events):
        try:
            if _is_repeat(session, event, old):
                duplicates += 1
            elif _is_early(step, event):
                early.append(event.sequence)
            else:
                _apply_next(step, event)
        except ServiceError as error:
            failure = for_call(error, index, session.applied_sequence)
            break
    return Intake(duplicates, sum(sequence in session.held for sequence in early), failure)


def _apply_next(step: Step, event: Event) -> None:
    step.add_event(event)
    error = _apply(step, event)
    _apply_held(step)
    if error is not None:
        raise error


def _is_repeat(session: LiveSession, event: Event, old: Mapping[int, OldEvent]) -> bool:
    if event.sequence < 1:
        problem = FieldProblem("sequence", f"got {event.sequence}, allowed 1 or more")
        raise InvalidInput(f"an event's sequence number starts at 1, got {event.sequence}", fields=(problem,))
    known, rejection = session.event_ids.get(event.sequence), session.rejected.get(event.sequence)
    if known is None and event.sequence in old:
        known, rejection = old[event.sequence].event_id, old[event.sequence].rejection
    if known is None:
        _refuse_used_id(session, event)
        return False
    if known != event.event_id:
        raise Conflict(
            f"sequence number {event.sequence} is taken by the event {known!r}, got {event.event_id!r}",
            metadata={"sequence": str(event.sequence)},
            fields=(FieldProblem("event_id", f"got {event.event_id!r}, stored is {known!r}"),),
        )
    if rejection is not None:
        raise rejection
    return True


def _refuse_used_id(session: LiveSession, event: Event) -> None:
    used = session.sequences.get(event.event_id, event.sequence)
    if used != event.sequence:
        raise Conflict(
            f"event id {event.event_id!r} is that of sequence number {used}, got it with {event.sequence}",
            reason="EVENT_ID_USED",
            metadata={"sequence": str(used)},
            fields=(FieldProblem("event_id", f"got {event.event_id!r} again, expected one that is new"),),
        )


def _is_early(step: Step, event: Event) -> bool:
    session = step.session
    expected = session.applied_sequence + 1
    if event.sequence == expected:
        return False
    if event.sequence > expected + WINDOW:
        raise OutOfWindow(
            f"event {event.sequence} is {event.sequence - expected} ahead of {expected}, which is expected next; "
            f"at most {WINDOW} are held",
            metadata={"expected_sequence": str(expected)},
            fields=(FieldProblem("sequence", f"got {event.sequence}, allowed {expected} .. {expected + WINDOW}"),),
        )
    step.add_event(event)
    session.held[event.sequence] = event
    return True


def _apply(step: Step, event: Event) -> ServiceError | None:
    session = step.session
    try:
        state, changes = apply(session.world, session.state, event)
    except (InvalidInput, NotApplicable) as error:
        step.reject(event, error)
        return error
    step.apply(event, state)
    react(step, changes, event.trace_id)
    return None


def _apply_held(step: Step) -> None:
    session = step.session
    while (event := session.held.pop(session.applied_sequence + 1, None)) is not None:
        error = _apply(step, event)
        if error is not None:
            step.tell(EventRejected(event.event_id, event.sequence, error.message), event.trace_id)
