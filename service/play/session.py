"""The state machine of a session: `apply` folds one event into a SessionState. Pure; knows no clock and no I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from service.ids import ChainId, GateId, PlayerId, SegmentId
from service.play import chains, check
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
    PlayersChanged,
    Restored,
    ResumedNow,
)
from service.play.event import (
    ChainAbandoned,
    ChainAccepted,
    ChainStatus,
    ContentFailed,
    ContentReady,
    ContentShown,
    Event,
    GateApproached,
    GateOpened,
    PartyChanged,
    SessionPaused,
    SessionResumed,
    StateRestored,
    TaskCompleted,
    TaskProgressed,
    TaskStarted,
)
from service.play.saves import restored_chains, restored_gates, snapshot, snapshot_chain
from service.play.state import ChainState, GateState, SessionState
from service.quality import Quality
from service.worlds.world import World

__all__ = ["SessionState", "apply", "new_session", "snapshot", "snapshot_chain", "with_announced"]

Outcome = tuple[SessionState, tuple[Change, ...]]
MAX_PLAYERS = 256
_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


def new_session(world: World, players: Sequence[PlayerId], now_s: float) -> SessionState:
    """A session in which nothing has happened: every chain OFFERED, every gate closed. `now_s` is epoch seconds."""
    return SessionState(
        chains={chain: chains.new_chain(known) for chain, known in world.chains.items()},
        gates=dict.fromkeys(world.gates, GateState()),
        players=tuple(players),
        time_s=now_s,
    )


def apply(world: World, state: SessionState, event: Event) -> Outcome:
    """The state after `event`, and what changed by it. `state` is left as it is and shares unchanged parts.

    An event whose time is before that of the newest one counts as of that newest time. An event that says what is
    known already (a chain accepted twice, an open gate opened) changes nothing but the time.

    Raises:
        InvalidInput: an unknown id or a number out of range; `fields` are relative to the event,
            such as `gate_opened.gate`.
        NotApplicable: the chain is COMPLETED or ABANDONED, or the task is completed already.
    """
    check.number_at_least_zero(event.time_s, "event_time", "seconds since the epoch")
    kind = event.kind
    return _APPLIERS[type(kind)](world, _advanced(state, event.time_s), kind)


def with_announced(state: SessionState, gate: GateId, quality: Quality, segment: SegmentId) -> SessionState:
    """The state after the server announced `segment` at `gate`; "" for a placeholder that is no segment."""
    at = state.gates[gate]
    return _with_gate(state, gate, replace(at, announced=_with(at.announced, quality, segment)))


def _advanced(state: SessionState, time_s: float) -> SessionState:
    if time_s <= state.time_s:
        return state
    played_s = state.played_at(time_s)
    return SessionState(state.chains, state.gates, state.players, time_s, played_s, state.paused)


def _chain_accepted(world: World, state: SessionState, kind: ChainAccepted) -> Outcome:
    chain = check.known_chain(world, kind.chain, "chain_accepted.chain")
    after = chains.accepted(chain, state.chains[kind.chain], state.played_s)
    return _with_chain(world, state, kind.chain, after)


def _chain_abandoned(world: World, state: SessionState, kind: ChainAbandoned) -> Outcome:
    chain = check.known_chain(world, kind.chain, "chain_abandoned.chain")
    return _with_chain(world, state, kind.chain, chains.abandoned(chain, state.chains[kind.chain]))


def _task_started(world: World, state: SessionState, kind: TaskStarted) -> Outcome:
    chain = check.known_chain(world, kind.chain, "task_started.chain")
    check.known_task(chain, kind.task, "task_started.task")
    after = chains.started(chain, state.chains[kind.chain], kind, state.played_s)
    return _with_chain(world, state, kind.chain, after)


def _task_progressed(world: World, state: SessionState, kind: TaskProgressed) -> Outcome:
    chain = check.known_chain(world, kind.chain, "task_progressed.chain")
    check.known_task(chain, kind.task, "task_progressed.task")
    after = chains.progressed(chain, state.chains[kind.chain], kind, state.played_s)
    return _with_chain(world, state, kind.chain, after)


def _task_completed(world: World, state: SessionState, kind: TaskCompleted) -> Outcome:
    chain = check.known_chain(world, kind.chain, "task_completed.chain")
    check.known_task(chain, kind.task, "task_completed.task")
    gates = world.gates_of[kind.chain]
    after = chains.completed(chain, gates, state.chains[kind.chain], kind, state.played_s)
    return _with_chain(world, state, kind.chain, after)


def _gate_approached(world: World, state: SessionState, kind: GateApproached) -> Outcome:
    check.known_gate(world, kind.gate, "gate_approached.gate")
    check.number_at_least_zero(kind.distance_m, "gate_approached.distance_m", "metres")
    at = state.gates[kind.gate]
    return _with_gate(state, kind.gate, replace(at, distance_m=float(kind.distance_m))), ()


def _gate_opened(world: World, state: SessionState, kind: GateOpened) -> Outcome:
    check.known_gate(world, kind.gate, "gate_opened.gate")
    at = state.gates[kind.gate]
    if at.opened:
        return state, ()
    after = replace(at, opened_s=state.time_s, dead=False)
    revived: tuple[Change, ...] = (GateRevived(kind.gate),) if at.dead else ()
    return _with_gate(state, kind.gate, after), (*revived, GateOpenedNow(kind.gate))


def _content_ready(world: World, state: SessionState, kind: ContentReady) -> Outcome:
    _check_content(world, kind, "content_ready")
    at = state.gates[kind.gate]
    failed = at.failed - {kind.segment}
    after = replace(at, ready=_with(at.ready, kind.quality, kind.segment), failed=failed)
    return _with_gate(state, kind.gate, after), (ContentReadyNow(kind.gate, kind.segment, kind.quality),)


def _content_shown(world: World, state: SessionState, kind: ContentShown) -> Outcome:
    _check_content(world, kind, "content_shown")
    check.number_at_least_zero(kind.stall_ms, "content_shown.stall_ms", "milliseconds")
    at = state.gates[kind.gate]
    after = replace(
        at,
        ready=_with(at.ready, kind.quality, kind.segment),
        shown=kind.quality,
        shown_segment=kind.segment,
        stall_ms=float(kind.stall_ms) if at.stall_ms is None else at.stall_ms,
    )
    change = ContentShownNow(kind.gate, kind.segment, kind.quality, float(kind.stall_ms))
    return _with_gate(state, kind.gate, after), (change,)


def _content_failed(world: World, state: SessionState, kind: ContentFailed) -> Outcome:
    _check_content(world, kind, "content_failed")
    check.short_text(kind.reason, "content_failed.reason", check.MAX_TEXT_CHARACTERS)
    at = state.gates[kind.gate]
    ready = {quality: segment for quality, segment in at.ready.items() if segment != kind.segment}
    after = replace(at, ready=ready, failed=at.failed | {kind.segment})
    change = ContentFailedNow(kind.gate, kind.segment, kind.quality, kind.reason)
    return _with_gate(state, kind.gate, after), (change,)


def _session_paused(_world: World, state: SessionState, _kind: SessionPaused) -> Outcome:
    return (state, ()) if state.paused else (replace(state, paused=True), (PausedNow(),))


def _session_resumed(_world: World, state: SessionState, _kind: SessionResumed) -> Outcome:
    return (replace(state, paused=False), (ResumedNow(),)) if state.paused else (state, ())


def _party_changed(_world: World, state: SessionState, kind: PartyChanged) -> Outcome:
    players = tuple(kind.players)
    if len(players) > MAX_PLAYERS:
        raise check.invalid("party_changed.players", len(players), f"at most {MAX_PLAYERS} players")
    for index, player in enumerate(players):
        field = f"party_changed.players[{index}]"
        check.short_text(player, field)
        if not player or player in players[:index]:
            raise check.invalid(field, player, "an id that is not empty, each player once")
    if players == state.players:
        return state, ()
    return replace(state, players=players), (PlayersChanged(),)


def _state_restored(world: World, state: SessionState, kind: StateRestored) -> Outcome:
    restored = restored_chains(world, kind, state.played_s)
    opened = restored_gates(world, kind)
    gates: dict[GateId, GateState] = {}
    changes: list[Change] = [Restored()]
    for gate, at in state.gates.items():
        is_dead = restored[world.gates[gate].chain].status is ChainStatus.ABANDONED and gate not in opened
        gates[gate] = _restored_gate(at, is_open=gate in opened, is_dead=is_dead, time_s=state.time_s)
        changes.extend(_gate_changes(gate, at, gates[gate]))
    changed = (ChainChangedTo(chain) for chain, after in restored.items() if after != state.chains[chain])
    return replace(state, chains=restored, gates=gates), (*changes, *changed)


def _restored_gate(at: GateState, *, is_open: bool, is_dead: bool, time_s: float) -> GateState:
    # What the client has on its GPU stays there; nothing of a closed gate is on screen.
    if is_open:
        return replace(at, opened_s=time_s if at.opened_s is None else at.opened_s, dead=False)
    return replace(at, opened_s=None, dead=is_dead, distance_m=None, shown=None, shown_segment=None, stall_ms=None)


def _gate_changes(gate: GateId, before: GateState, after: GateState) -> list[Change]:
    changes: list[Change] = []
    if before.dead != after.dead:
        changes.append(GateDied(gate) if after.dead else GateRevived(gate))
    if before.opened != after.opened:
        changes.append(GateOpenedNow(gate) if after.opened else GateClosedNow(gate))
    return changes


def _with_chain(world: World, state: SessionState, chain: ChainId, after: ChainState) -> Outcome:
    """The state with one chain changed; its closed gates die and revive with it."""
    before = state.chains[chain]
    if after is before:
        return state, ()
    state = SessionState(
        _with(state.chains, chain, after), state.gates, state.players, state.time_s, state.played_s, state.paused
    )
    if after.status is before.status:
        return state, (ChainChangedTo(chain),)
    changes: list[Change] = [ChainChangedTo(chain)]
    is_dead = after.status is ChainStatus.ABANDONED
    for gate in world.gates_of[chain]:
        at = state.gates[gate.gate]
        if at.dead != is_dead and not at.opened:
            state = _with_gate(state, gate.gate, replace(at, dead=is_dead))
            changes.append(GateDied(gate.gate) if is_dead else GateRevived(gate.gate))
    return state, tuple(changes)


def _with_gate(state: SessionState, gate: GateId, after: GateState) -> SessionState:
    gates = _with(state.gates, gate, after)
    return SessionState(state.chains, gates, state.players, state.time_s, state.played_s, state.paused)


def _with(mapping: Mapping[_Key, _Value], key: _Key, value: _Value) -> dict[_Key, _Value]:
    copy = dict(mapping)
    copy[key] = value
    return copy


def _check_content(world: World, kind: ContentReady | ContentShown | ContentFailed, name: str) -> None:
    check.known_gate(world, kind.gate, f"{name}.gate")
    check.short_text(kind.segment, f"{name}.segment")
    if not kind.segment and kind.quality is not Quality.PLACEHOLDER:
        raise check.invalid(f"{name}.segment", kind.segment, "segments/{segment}; empty only for a placeholder")


_APPLIERS: Mapping[type, Callable[[World, SessionState, Any], Outcome]] = {
    ChainAccepted: _chain_accepted,
    TaskStarted: _task_started,
    TaskProgressed: _task_progressed,
    TaskCompleted: _task_completed,
    ChainAbandoned: _chain_abandoned,
    GateApproached: _gate_approached,
    GateOpened: _gate_opened,
    ContentReady: _content_ready,
    ContentShown: _content_shown,
    ContentFailed: _content_failed,
    SessionPaused: _session_paused,
    SessionResumed: _session_resumed,
    StateRestored: _state_restored,
    PartyChanged: _party_changed,
}
