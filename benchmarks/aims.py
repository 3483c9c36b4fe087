"""Holds the figures of a benchmark against the aims of the issues, which `aims.toml` has word for word."""

from __future__ import annotations

import operator
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

AIMS_FILE = Path(__file__).parent / "aims.toml"
_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}


@dataclass(frozen=True)
class Aim:
    """What a figure shall be: `sign` is one of >=, <=, >, <; `text` are the words of issue `issue`."""

    figure: str
    sign: str
    bound: float
    issue: int
    text: str

    def __post_init__(self) -> None:
        if self.sign not in _OPERATORS:
            raise ValueError(f"{self.figure}: got the sign {self.sign!r}, expected one of {', '.join(_OPERATORS)}")

    def met_by(self, figure: float | None) -> bool:
        """Whether the figure is there and is what it shall be; never for NaN."""
        return figure is not None and _OPERATORS[self.sign](figure, self.bound)


def read_aims(name: str, path: Path = AIMS_FILE) -> list[Aim]:
    """The aims of one benchmark, in the order of the file.

    Raises:
        ValueError: the file has none of that name, or one that cannot be read.
    """
    tables = tomllib.loads(path.read_text("utf-8")).get(name, {})
    if not tables:
        raise ValueError(f"{path}: has no aim [{name}.FIGURE]")
    return [_aim(f"{name}.{figure}", table) for figure, table in tables.items()]


def check(name: str, figures: Mapping[str, float], path: Path = AIMS_FILE) -> int:
    """0 where every aim of benchmark `name` is met; 1 on a miss or a missing figure. Prints a table to stderr."""
    table = Table("figure", "measured", "aim", "ok", "issue")
    missed = 0
    for aim in read_aims(name, path):
        figure = figures.get(aim.figure.partition(".")[2])
        met = aim.met_by(figure)
        missed += not met
        measured = "missing" if figure is None else f"{figure:.4g}"
        verdict = "[green]yes[/green]" if met else "[red]no[/red]"
        table.add_row(aim.figure, measured, f"{aim.sign} {aim.bound:g}", verdict, str(aim.issue))
    Console(stderr=True).print(table)
    return 1 if missed else 0


def _aim(figure: str, table: Mapping[str, object]) -> Aim:
    sign, _, bound = str(table["aim"]).partition(" ")
    return Aim(figure, sign, float(bound), int(str(table["issue"])), str(table["text"]))
