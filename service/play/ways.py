"""Ways: how long it takes from now until a requirement of a chain is met, sampled over durations and branches."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from service.ids import TaskId
from service.play import durations
from service.play.durations import SAMPLES, Samples
from service.play.event import ChainStatus, TaskStatus
from service.play.state import ChainState, TaskState
from service.worlds.world import All, Requirement, TaskChain, TaskDone, is_met, tasks_named

CHANGED_MIND = 0.1
"""What is left of a branch's chance when another branch, instead of which it would be taken, has been begun."""
DRIFT = 0.02
"""Chance that a player leaves a task for good without the game saying so."""
ENOUGH = 16
"""Fewer samples than this that reach their end say too little about when."""


@dataclass(frozen=True, eq=False)
class ChainWays:
    """For each task of a chain the sampled seconds from now to its end, (256,): infinite where it is not taken.

    `if_taken` are the same when every branch is taken.
    """

    chain: TaskChain
    state: ChainState
    played_s: float
    times_s: Mapping[TaskId, Samples]
    if_taken_s: Mapping[TaskId, Samples]


@dataclass(frozen=True, eq=False)
class Way:
    """The way to one requirement.

    Attributes:
        samples_s: sorted seconds from now until it is met, given that it is, at least one.
        chance: that the player's choices lead to it.
        kept_chance: that the player does not give up before.
        is_done: it is met now.
    """

    samples_s: Float64[np.ndarray, " N"]
    chance: float
    kept_chance: float
    is_done: bool


def chain_ways(chain: TaskChain, state: ChainState, played_s: float) -> ChainWays:
    """The times of all tasks of a chain at `played_s` play seconds."""
    own = {task: _own_samples(chain, state, task, played_s) for task in chain.tasks}
    if_taken = _times(chain, state, own, {})
    taken = _taken(chain, state)
    times = _times(chain, state, own, taken) if taken else if_taken
    return ChainWays(chain, state, played_s, times, if_taken)


def way_to(ways: ChainWays, requirement: Requirement) -> Way:
    """The way to `requirement`, whose tasks are the chain's."""
    done = is_met(requirement, lambda task: ways.state.tasks[task].status is TaskStatus.COMPLETED)
    if done:
        return Way(np.zeros(1), 1.0, 1.0, is_done=True)
    times = _time_of(requirement, ways.times_s)
    reached = np.isfinite(times)
    count = int(reached.sum())
    samples = times[reached] if count >= ENOUGH else _time_of(requirement, ways.if_taken_s)
    samples = samples[np.isfinite(samples)]
    chance = max(count, 0.5) / SAMPLES
    return Way(np.sort(samples), chance, _kept_chance(ways, requirement), is_done=False)


def _own_samples(chain: TaskChain, state: ChainState, task: TaskId, played_s: float) -> Samples:
    """Seconds that the task itself takes, from now if its clock runs, else from its beginning."""
    at, known = state.tasks[task], chain.tasks[task]
    if at.status is TaskStatus.COMPLETED:
        return np.zeros(SAMPLES)
    if _is_running(state, at):
        left = durations.remaining(known.duration, at, played_s)
        return left.samples_s(durations.ranks_of(chain.chain, task))
    return durations.fresh_samples_s(chain.chain, task, known.duration.p50_s, known.duration.p90_s)


def _is_running(state: ChainState, at: TaskState) -> bool:
    """Whether the player is at work on the task. Where the game does not say, on every one that is available."""
    if state.status is not ChainStatus.ACCEPTED or at.began_s is None:
        return False
    return at.status is TaskStatus.STARTED or (at.status is TaskStatus.AVAILABLE and not state.starts_reported)


def _times(
    chain: TaskChain, state: ChainState, own: Mapping[TaskId, Samples], taken: Mapping[TaskId, np.ndarray]
) -> dict[TaskId, Samples]:
    """Seconds from now to each task's end, in topological order; infinite in samples in which it is not taken."""
    times: dict[TaskId, Samples] = {}
    for task, known in chain.tasks.items():
        if state.tasks[task].status in (TaskStatus.COMPLETED, TaskStatus.STARTED):
            times[task] = own[task]
            continue
        time = _time_of(known.requires, times) + own[task]
        times[task] = np.where(taken[task], time, np.inf) if task in taken else time
    return times


def _time_of(requirement: Requirement, times: Mapping[TaskId, Samples]) -> Samples:
    """When the requirement is met: All with its last part, Any with its first."""
    if isinstance(requirement, TaskDone):
        return times[requirement.task]
    parts = [_time_of(part, times) for part in requirement.parts]
    if isinstance(requirement, All):
        return np.maximum.reduce(parts) if parts else np.zeros(SAMPLES)
    return np.minimum.reduce(parts) if parts else np.full(SAMPLES, np.inf)


def _taken(chain: TaskChain, state: ChainState) -> dict[TaskId, np.ndarray]:
    """For each task of a branch that has not begun, the samples (256,) in which it is taken.

    Systematic sampling: each task is taken in its chance of the samples, and as many tasks at once as the chances
    add up to (0.7 and 0.3: always exactly one).
    """
    taken: dict[TaskId, np.ndarray] = {}
    for group in chain.branches:
        begun = [task for task in group if state.tasks[task].status in (TaskStatus.STARTED, TaskStatus.COMPLETED)]
        is_choice = sum(chain.tasks[task].chance for task in group) <= 1.0 + 1e-9
        factor = CHANGED_MIND if begun and is_choice else 1.0
        ranks = durations.ranks_of("branch", chain.chain, *group)
        upto = 0.0
        for task in group:
            if task not in begun:
                before, upto = upto, upto + chain.tasks[task].chance * factor
                taken[task] = np.ceil(upto - ranks - 1e-12) > np.ceil(before - ranks - 1e-12)
    return taken


def _kept_chance(ways: ChainWays, requirement: Requirement) -> float:
    """Chance that the player goes on to the end.

    The chain's chance of being abandoned, over the share of the way that is left (by p50); times the chance that
    a player is still at it who takes as long as this one has (1 for one who has just begun): a task far beyond its
    p90 was probably left. Of several tasks at once, the one that looks most alive counts.
    """
    all_s, left_s = 0.0, 0.0
    still = [0.0]
    for task in _before(ways.chain, requirement):
        p50_s, at = ways.chain.tasks[task].duration.p50_s, ways.state.tasks[task]
        all_s += p50_s
        if at.status is TaskStatus.COMPLETED:
            continue
        left_s += p50_s * (1.0 - at.fraction)
        if _is_running(ways.state, at):
            patience = durations.remaining(ways.chain.tasks[task].duration, at, ways.played_s).patience
            still.append(patience / (patience * (1 - DRIFT) + DRIFT))
    at_it = max(still) if len(still) > 1 else 1.0
    kept = math.pow(1.0 - ways.chain.abandon_chance, left_s / all_s if all_s else 0.0)
    return float(kept * at_it)


def _before(chain: TaskChain, requirement: Requirement) -> list[TaskId]:
    """All tasks that lead to the requirement, each once."""
    found = dict.fromkeys(tasks_named(requirement))
    waiting = list(found)
    while waiting:
        for task in tasks_named(chain.tasks[waiting.pop()].requires):
            if task not in found:
                found[task] = None
                waiting.append(task)
    return list(found)
