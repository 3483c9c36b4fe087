"""Whether the events of a trace name chains, tasks and gates that its world has."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from google.protobuf.message import Message
from narthex.v1 import event_pb2

from service.worlds.world import World


@dataclass(frozen=True)
class Names:
    """The ids of a world."""

    tasks: Mapping[str, frozenset[str]]
    gates: frozenset[str]

    @staticmethod
    def of(world: World) -> Names:
        """The ids of chains with their tasks, and of gates."""
        tasks = {str(name): frozenset(map(str, chain.tasks)) for name, chain in world.chains.items()}
        return Names(tasks, frozenset(map(str, world.gates)))


def unknown_names(happened: Message, names: Names) -> Iterator[tuple[str, str]]:
    """(field, what is wrong) for every id in an event that the world does not have."""
    kind = happened.DESCRIPTOR.name
    if isinstance(happened, event_pb2.StateRestored):
        for index, chain in enumerate(happened.snapshot.chains):
            path = f"{kind}.snapshot.chains[{index}]"
            yield from _unknown(f"{path}.chain", chain.chain, names.tasks)
            for place, task in enumerate(chain.tasks):
                known = names.tasks.get(chain.chain, frozenset())
                yield from _unknown(f"{path}.tasks[{place}].task", task.task, known)
        for index, gate in enumerate(happened.snapshot.opened_gates):
            yield from _unknown(f"{kind}.snapshot.opened_gates[{index}]", gate, names.gates)
        return
    fields = {field.name for field in happened.DESCRIPTOR.fields}
    if "chain" in fields:
        yield from _unknown(f"{kind}.chain", happened.chain, names.tasks)  # type: ignore[attr-defined]
    if "task" in fields:
        known = names.tasks.get(happened.chain, frozenset())  # type: ignore[attr-defined]
        yield from _unknown(f"{kind}.task", happened.task, known)  # type: ignore[attr-defined]
    if "gate" in fields:
        yield from _unknown(f"{kind}.gate", happened.gate, names.gates)  # type: ignore[attr-defined]


def _unknown(field: str, got: str, known: Collection[str]) -> Iterator[tuple[str, str]]:
    if got in known:
        return
    near = difflib.get_close_matches(got, list(known), n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"allowed {', '.join(sorted(known)[:12]) or 'none here'}"
    yield field, f"got {got[:60]!r}, which the world does not have; {hint}"
