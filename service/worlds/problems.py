"""Problems of a world file, and the one error that tells of all of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from service.errors import FieldProblem, InvalidInput
from service.worlds.limits import MAX_PROBLEMS

Path = tuple[str | int, ...]


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong: its line (from 1), its path, what was got and what is allowed."""

    line: int
    path: Path
    text: str

    @property
    def field(self) -> str:
        """The path as people write it: `gates.red_gate.content.size[1]`."""
        return field_of(self.path)


def field_of(path: Path) -> str:
    """`("gates", "red", "size", 1)` as `gates.red.size[1]`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else (f".{part}" if text else part)
    return text


def got(value: object, limit: int = 60) -> str:
    """A value as YAML shows it, cut to `limit` characters."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return f"a mapping of {len(value)} fields"
    if isinstance(value, list):
        return f"a list of {len(value)} items"
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("infinity" if value > 0 else "-infinity")
    text = f"{value:g}" if isinstance(value, float) and value.is_integer() else repr(value)
    return text if len(text) <= limit else f"{text[:limit]}... ({len(str(value)):,} characters)"


def error_of(name: str, problems: Sequence[Problem]) -> InvalidInput:
    """The error that names every problem, in the order of the lines; at most 50, and how many more there are."""
    ordered = sorted(set(problems), key=lambda problem: (problem.line, problem.field, problem.text))
    shown = ordered[:MAX_PROBLEMS]
    lines = [
        ": ".join(part for part in (f"{name}:{problem.line}", problem.field, problem.text) if part) for problem in shown
    ]
    if len(ordered) > len(shown):
        lines.append(f"{name}: and {len(ordered) - len(shown)} more problems")
    fields = tuple(FieldProblem(problem.field, f"line {problem.line}: {problem.text}") for problem in shown)
    metadata = {"file": name, "problems": str(len(ordered))}
    return InvalidInput("\n".join(lines), reason="INVALID_WORLD", fields=fields, metadata=metadata)
