"""Checks of what events say. Every failure names the field as the client wrote it, what was got and what is allowed."""

from __future__ import annotations

import math

from service.errors import FieldProblem, InvalidInput, NotApplicable
from service.ids import ChainId, GateId, TaskId
from service.play.event import ChainStatus
from service.worlds.nearest import did_you_mean
from service.worlds.world import Gate, TaskChain, World

MAX_ID_CHARACTERS = 256
MAX_TEXT_CHARACTERS = 4_000


def invalid(field: str, got: object, allowed: str) -> InvalidInput:
    """The error for one wrong field."""
    message = f"got {_shortened(repr(got))}, allowed {allowed}"
    return InvalidInput(f"{field}: {message}", fields=(FieldProblem(field, message),))


def known_chain(world: World, chain: ChainId, field: str) -> TaskChain:
    """The chain of that id.

    Raises:
        InvalidInput: the world has none; the message names the nearest id.
    """
    found = world.chains.get(chain)
    if found is None:
        raise invalid(field, chain, f"a chain of world {world.world_id!r}{did_you_mean(chain, world.chains)}")
    return found


def known_task(chain: TaskChain, task: TaskId, field: str) -> None:
    """Raises InvalidInput unless the chain has the task."""
    if task not in chain.tasks:
        raise invalid(field, task, f"a task of chain {chain.chain!r}{did_you_mean(task, chain.tasks)}")


def known_gate(world: World, gate: GateId, field: str) -> Gate:
    """The gate of that id.

    Raises:
        InvalidInput: the world has none; the message names the nearest id.
    """
    found = world.gates.get(gate)
    if found is None:
        raise invalid(field, gate, f"a gate of world {world.world_id!r}{did_you_mean(gate, world.gates)}")
    return found


def number_at_least_zero(value: float, field: str, unit: str) -> None:
    """Raises InvalidInput unless `value` is finite and not negative."""
    if not (math.isfinite(value) and value >= 0):
        raise invalid(field, value, f"a finite number of {unit}, 0 or more")


def share(value: float, field: str) -> None:
    """Raises InvalidInput unless 0 <= value <= 1."""
    if not 0.0 <= value <= 1.0:
        raise invalid(field, value, "0 to 1")


def short_text(value: str, field: str, limit: int = MAX_ID_CHARACTERS) -> None:
    """Raises InvalidInput where a text is longer than `limit` characters."""
    if len(value) > limit:
        raise invalid(field, value, f"at most {limit} characters, here are {len(value)}")


def not_applicable(chain: ChainId, status: ChainStatus, what: str) -> NotApplicable:
    """The error for an event that the chain's status does not allow."""
    hint = "; accept it again first" if status is ChainStatus.ABANDONED else ""
    return NotApplicable(
        f"chain {chain!r} is {status.name}: {what}{hint}",
        reason=f"CHAIN_{status.name}",
        metadata={"chain": chain, "status": status.name},
    )


def _shortened(text: str, limit: int = 80) -> str:
    return text if len(text) <= limit else f"{text[:limit]}..."
