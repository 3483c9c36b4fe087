"""Saves: the state of a session's chains as snapshots, and the state that a loaded save gives."""

from __future__ import annotations

from collections.abc import Mapping

from service.ids import ChainId, GateId, TaskId
from service.play import chains, check
from service.play.event import ChainSnapshot, ChainStatus, StateRestored, TaskSnapshot, TaskStatus
from service.play.state import ChainState, SessionState, TaskState
from service.worlds.world import TaskChain, World


def snapshot_chain(state: SessionState, chain: ChainId) -> ChainSnapshot:
    """The chain as it is at the newest event; KeyError for an id that the world does not have."""
    found = state.chains[chain]
    tasks = (
        TaskSnapshot(task, at.status, at.fraction, at.elapsed_s(state.played_s)) for task, at in found.tasks.items()
    )
    return ChainSnapshot(chain, found.status, tuple(tasks))


def snapshot(state: SessionState) -> StateRestored:
    """The event that brings another session of the same world to where this one's chains and gates are."""
    opened = tuple(gate for gate, at in state.gates.items() if at.opened)
    return StateRestored(tuple(snapshot_chain(state, chain) for chain in state.chains), opened)


def restored_chains(world: World, kind: StateRestored, played_s: float) -> dict[ChainId, ChainState]:
    """All chains of the world as the save says; those that it does not name as in a new session.

    Raises:
        InvalidInput: an unknown or repeated id, or a number out of range.
    """
    found = {chain: chains.new_chain(known) for chain, known in world.chains.items()}
    seen: set[ChainId] = set()
    for index, saved in enumerate(kind.chains):
        field = f"state_restored.snapshot.chains[{index}]"
        chain = check.known_chain(world, saved.chain, f"{field}.chain")
        if saved.chain in seen:
            raise check.invalid(f"{field}.chain", saved.chain, "each chain once")
        seen.add(saved.chain)
        found[saved.chain] = _restored_chain(chain, saved, field, played_s)
    return found


def restored_gates(world: World, kind: StateRestored) -> frozenset[GateId]:
    """The gates that the save says are open.

    Raises:
        InvalidInput: an unknown id.
    """
    for index, gate in enumerate(kind.opened_gates):
        check.known_gate(world, gate, f"state_restored.snapshot.opened_gates[{index}]")
    return frozenset(kind.opened_gates)


def _restored_chain(chain: TaskChain, saved: ChainSnapshot, field: str, played_s: float) -> ChainState:
    saved_tasks = _checked_tasks(chain, saved, field)
    tasks = {task: _restored_task(saved_tasks.get(task), played_s) for task in chain.tasks}
    is_played = saved.status is ChainStatus.ACCEPTED
    chains.unlocked(chain, tasks, chain.tasks, played_s if is_played else None)
    starts = any(task.status is TaskStatus.STARTED for task in tasks.values())
    return ChainState(saved.status, tasks, starts_reported=starts)


def _restored_task(saved: TaskSnapshot | None, played_s: float) -> TaskState:
    # LOCKED and AVAILABLE follow from what is completed; `chains.unlocked` decides between them.
    if saved is None or saved.status not in (TaskStatus.STARTED, TaskStatus.COMPLETED):
        return TaskState(TaskStatus.LOCKED)
    began_s = played_s - saved.elapsed_s
    if saved.status is TaskStatus.COMPLETED:
        return TaskState(TaskStatus.COMPLETED, began_s, played_s, fraction=1.0)
    reported_s = played_s if saved.fraction > 0 else None
    return TaskState(TaskStatus.STARTED, began_s, None, saved.fraction, reported_s=reported_s)


def _checked_tasks(chain: TaskChain, saved: ChainSnapshot, field: str) -> Mapping[TaskId, TaskSnapshot]:
    found: dict[TaskId, TaskSnapshot] = {}
    for index, task in enumerate(saved.tasks):
        at = f"{field}.tasks[{index}]"
        check.known_task(chain, task.task, f"{at}.task")
        if task.task in found:
            raise check.invalid(f"{at}.task", task.task, "each task once")
        check.share(task.fraction, f"{at}.fraction")
        check.number_at_least_zero(task.elapsed_s, f"{at}.elapsed_s", "seconds")
        found[task.task] = task
    return found
