"""What the parts of a world file must agree on: names, cycles, reachable gates.

Works on plain values, also where other parts of the file are wrong, so that one check tells of everything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from service.worlds.nearest import did_you_mean
from service.worlds.problems import Path, Problem, got
from service.worlds.yaml_text import YamlText


def reference_problems(text: YamlText) -> list[Problem]:
    """Unknown names, cycles and gates that can never be reached."""
    chains = _mapping(_mapping(text.value).get("chains"))
    tasks = {chain: _mapping(_mapping(part).get("tasks")) for chain, part in chains.items()}
    problems: list[Problem] = []
    for chain, parts in tasks.items():
        path: Path = ("chains", chain, "tasks")
        for task, part in parts.items():
            requires = _mapping(part).get("requires")
            problems += _unknown(text, requires, (*path, task, "requires"), chain, tasks)
        problems += [_cycle_problem(text, path, cycle) for cycle in cycles(_requirements(parts))]
    for gate, part in _mapping(_mapping(text.value).get("gates")).items():
        problems += _gate_problems(text, gate, _mapping(part), tasks)
    return problems


def cycles(requirements: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """The cycles that a depth-first walk meets, each as the names along it, without repeating the first."""
    found: list[list[str]] = []
    done: set[str] = set()
    for start in requirements:
        way: list[str] = []
        rest: list[Iterator[str]] = []
        if start not in done:
            way.append(start)
            rest.append(iter(requirements[start]))
        while way:
            following = next(rest[-1], None)
            if following is None:
                done.add(way.pop())
                rest.pop()
            elif following in way:
                found.append(way[way.index(following) :])
            elif following in requirements and following not in done:
                way.append(following)
                rest.append(iter(requirements[following]))
    return found


def in_order(requirements: Mapping[str, Sequence[str]]) -> list[str]:
    """The names so that each comes after those it requires, else in their own order. There must be no cycle."""
    ordered: dict[str, None] = {}
    for start in requirements:
        waiting = [start]
        while waiting:
            before = [name for name in requirements[waiting[-1]] if name not in ordered]
            if before:
                waiting.extend(reversed(before))
            else:
                ordered.setdefault(waiting.pop())
    return list(ordered)


def names_in(requires: Any, path: Path) -> Iterator[tuple[str, Path]]:
    """Every task that a written requirement names, with its path; what is no requirement is passed over."""
    if isinstance(requires, str):
        yield requires, path
        return
    for kind in ("all", "any"):
        parts = _mapping(requires).get(kind)
        for index, part in enumerate(parts if isinstance(parts, list) else ()):
            yield from names_in(part, (*path, kind, index))


def _requirements(parts: Mapping[str, Any]) -> dict[str, list[str]]:
    return {task: [name for name, _ in names_in(_mapping(part).get("requires"), ())] for task, part in parts.items()}


def _gate_problems(text: YamlText, gate: str, part: Mapping[str, Any], tasks: Mapping[str, Any]) -> list[Problem]:
    path: Path = ("gates", gate)
    chain = part.get("chain")
    if not isinstance(chain, str):
        return []
    if chain not in tasks:
        return [_nothing_called(text, (*path, "chain"), chain, "a chain of this world", tasks)]
    return _unknown(text, part.get("requires"), (*path, "requires"), chain, tasks)


def _unknown(text: YamlText, requires: Any, path: Path, chain: str, tasks: Mapping[str, Any]) -> list[Problem]:
    problems = []
    for name, at in names_in(requires, path):
        if name in tasks[chain]:
            continue
        elsewhere = [other for other, parts in tasks.items() if name in parts]
        if elsewhere:
            said = f"got {got(name)}, a task of chain {elsewhere[0]!r}: allowed a task of chain {chain!r}"
            problems.append(Problem(text.line(at), at, f"{said}, or it can never be reached"))
        else:
            problems.append(_nothing_called(text, at, name, f"a task of chain {chain!r}", tasks[chain]))
    return problems


def _nothing_called(text: YamlText, path: Path, name: str, allowed: str, names: Mapping[str, Any]) -> Problem:
    return Problem(text.line(path), path, f"got {got(name)}, allowed {allowed}{did_you_mean(name, names)}")


def _cycle_problem(text: YamlText, path: Path, cycle: Sequence[str]) -> Problem:
    # Written from the first line on, so that one cycle reads the same however it was met.
    first = min(range(len(cycle)), key=lambda index: text.line((*path, cycle[index])))
    turned = [*cycle[first:], *cycle[:first], cycle[first]]
    at = (*path, turned[0], "requires")
    return Problem(text.line(at), at, f"got the cycle {' -> '.join(turned)}, allowed requirements that end somewhere")


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
