"""Transitions of one chain: each takes a ChainState and gives the next.

A task event on a chain that is only OFFERED accepts it: games forget to say so. A task may be started or completed
while it is still LOCKED: the game is right about what happened. Only COMPLETED and ABANDONED chains refuse events.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from service.errors import NotApplicable
from service.ids import TaskId
from service.play import check
from service.play.event import ChainStatus, TaskCompleted, TaskProgressed, TaskStarted, TaskStatus
from service.play.state import ChainState, TaskState
from service.worlds.world import Gate, TaskChain, is_met


def new_chain(chain: TaskChain) -> ChainState:
    """The chain as it is offered: what requires nothing is AVAILABLE, all else LOCKED."""
    tasks = {task: TaskState(TaskStatus.LOCKED) for task in chain.tasks}
    return ChainState(ChainStatus.OFFERED, unlocked(chain, tasks, chain.tasks, None))


def unlocked(
    chain: TaskChain, tasks: dict[TaskId, TaskState], candidates: Iterable[TaskId], played_s: float | None
) -> dict[TaskId, TaskState]:
    """`tasks`, changed in place: those LOCKED `candidates` whose requirement is met become AVAILABLE.

    Their clocks begin at `played_s`; None: they do not run yet.
    """
    for task in candidates:
        if tasks[task].status is TaskStatus.LOCKED and is_met(chain.tasks[task].requires, lambda t: is_done(tasks, t)):
            tasks[task] = TaskState(TaskStatus.AVAILABLE, began_s=played_s)
    return tasks


def is_done(tasks: Mapping[TaskId, TaskState], task: TaskId) -> bool:
    """Whether the task is COMPLETED."""
    return tasks[task].status is TaskStatus.COMPLETED


def accepted(chain: TaskChain, state: ChainState, played_s: float) -> ChainState:
    """The chain taken on. What was completed before it was abandoned stays completed; what was begun begins anew.

    Raises:
        NotApplicable: it is COMPLETED.
    """
    if state.status is ChainStatus.ACCEPTED:
        return state
    if state.status is ChainStatus.COMPLETED:
        raise check.not_applicable(chain.chain, state.status, "it cannot be accepted")
    locked = TaskState(TaskStatus.LOCKED)
    tasks = {task: at if at.status is TaskStatus.COMPLETED else locked for task, at in state.tasks.items()}
    return ChainState(ChainStatus.ACCEPTED, unlocked(chain, tasks, chain.tasks, played_s), state.starts_reported)


def abandoned(chain: TaskChain, state: ChainState) -> ChainState:
    """The chain given up.

    Raises:
        NotApplicable: it is COMPLETED or ABANDONED.
    """
    if state.status in (ChainStatus.COMPLETED, ChainStatus.ABANDONED):
        raise check.not_applicable(chain.chain, state.status, "it cannot be abandoned")
    return replace(state, status=ChainStatus.ABANDONED)


def started(chain: TaskChain, state: ChainState, kind: TaskStarted, played_s: float) -> ChainState:
    """The task begun. Where it was begun before, its clock runs on.

    Raises:
        NotApplicable: the chain is finished, or the task completed.
    """
    state, task = _open_task(chain, state, kind.task, "no task of it can be started", played_s)
    if task.status is TaskStatus.STARTED:
        return state
    return _with_task(state, kind.task, TaskState(TaskStatus.STARTED, began_s=played_s), starts_reported=True)


def progressed(chain: TaskChain, state: ChainState, kind: TaskProgressed, played_s: float) -> ChainState:
    """The task nearer to its end; begun, if it was not.

    Raises:
        InvalidInput: none or several measures are set, or one is out of range.
        NotApplicable: the chain is finished, or the task completed.
    """
    _check_progress(kind)
    state, task = _open_task(chain, state, kind.task, "no task of it can progress", played_s)
    began_s = played_s if task.began_s is None else task.began_s
    fraction, steps_max = task.fraction, task.steps_max
    if kind.fraction is not None:
        fraction = float(kind.fraction)
    elif kind.remaining_steps is not None:
        steps_max = max(steps_max, kind.remaining_steps)
        fraction = 1.0 - kind.remaining_steps / steps_max if steps_max else 1.0
    eta_s = None if kind.eta_s is None else float(kind.eta_s)
    after = TaskState(TaskStatus.STARTED, began_s, None, fraction, eta_s, steps_max, played_s)
    return _with_task(state, kind.task, after, starts_reported=state.starts_reported)


def completed(
    chain: TaskChain, gates: tuple[Gate, ...], state: ChainState, kind: TaskCompleted, played_s: float
) -> ChainState:
    """The task done, what it unlocks AVAILABLE, and the chain COMPLETED where nothing is left that leads on.

    Raises:
        NotApplicable: the chain is finished, or the task completed already.
    """
    state, task = _open_task(chain, state, kind.task, "no task of it can be completed", played_s)
    began_s = played_s if task.began_s is None else task.began_s
    tasks = dict(state.tasks)
    tasks[kind.task] = TaskState(TaskStatus.COMPLETED, began_s, played_s, fraction=1.0)
    unlocked(chain, tasks, chain.followers[kind.task], played_s)
    done = is_finished(chain, gates, tasks)
    return ChainState(ChainStatus.COMPLETED if done else ChainStatus.ACCEPTED, tasks, state.starts_reported)


def is_finished(chain: TaskChain, gates: tuple[Gate, ...], tasks: Mapping[TaskId, TaskState]) -> bool:
    """Whether all requirements of the chain's gates are met, or all its end tasks are done."""
    if gates and all(is_met(gate.requires, lambda t: is_done(tasks, t)) for gate in gates):
        return True
    return all(is_done(tasks, task) for task in chain.end_tasks)


def _open_task(
    chain: TaskChain, state: ChainState, task: TaskId, what: str, played_s: float
) -> tuple[ChainState, TaskState]:
    if state.status is ChainStatus.OFFERED:
        state = accepted(chain, state, played_s)
    if state.status is not ChainStatus.ACCEPTED:
        raise check.not_applicable(chain.chain, state.status, what)
    before = state.tasks[task]
    if before.status is TaskStatus.COMPLETED:
        raise NotApplicable(
            f"task {task!r} of chain {chain.chain!r} is COMPLETED already",
            reason="TASK_COMPLETED",
            metadata={"chain": chain.chain, "task": task, "status": "COMPLETED"},
        )
    return state, before


def _with_task(state: ChainState, task: TaskId, after: TaskState, *, starts_reported: bool) -> ChainState:
    tasks = dict(state.tasks)
    tasks[task] = after
    return ChainState(state.status, tasks, starts_reported)


def _check_progress(kind: TaskProgressed) -> None:
    measures = {"fraction": kind.fraction, "remaining_steps": kind.remaining_steps, "eta_s": kind.eta_s}
    given = {name: value for name, value in measures.items() if value is not None}
    if len(given) != 1:
        raise check.invalid(
            "task_progressed.progress", sorted(given), "exactly one of fraction, remaining_steps, eta_s"
        )
    if kind.fraction is not None:
        check.share(kind.fraction, "task_progressed.fraction")
    elif kind.remaining_steps is not None:
        check.number_at_least_zero(kind.remaining_steps, "task_progressed.remaining_steps", "steps")
    elif kind.eta_s is not None:
        check.number_at_least_zero(kind.eta_s, "task_progressed.eta_s", "seconds")
