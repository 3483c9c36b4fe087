"""What every training command has: options, a plan, a progress bar, and the figures at the end."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from model.train.loop import TrainingPlan

Out = Annotated[Path, typer.Option(help="Folder for state, log, pictures and weights, e.g. runs/vae-1.")]
Minutes = Annotated[float | None, typer.Option(help="Minutes of training in all; or give --steps.")]
Steps = Annotated[int | None, typer.Option(help="Steps of training in all; or give --minutes.")]
Threads = Annotated[int, typer.Option(help="CPU threads.", min=1, max=1024)]
Resume = Annotated[bool, typer.Option("--resume", help="Go on from the state in --out, if there is one.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object with the final figures.")]

Report = Callable[[float, str], None]
"""Called with the share that is done and a note to show."""


def training_plan(
    out: Path, minutes: float | None, steps: int | None, *, peak_rate: float, decay_share: float, threads: int
) -> TrainingPlan:
    """The plan of these options, and torch set to so many threads.

    Raises:
        typer.BadParameter: neither or both of minutes and steps.
    """
    import torch

    from model.train.loop import TrainingPlan

    if (minutes is None) == (steps is None):
        raise typer.BadParameter("give --minutes or --steps, one of them")
    torch.set_num_threads(threads)
    return TrainingPlan(out, steps=steps, minutes=minutes, peak_rate=peak_rate, decay_share=decay_share)


@contextmanager
def progress_bar(name: str, *, quiet: bool) -> Iterator[Report]:
    """A bar on stderr that lasts as long as the context; none where quiet."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, TextColumn("{task.fields[note]}"), console=Console(stderr=True, quiet=quiet)) as progress:
        task = progress.add_task(name, total=1.0, note="")
        yield lambda share, note: progress.update(task, completed=share, note=note)


def finish_training(
    out: Path, figures: dict[str, float], as_json: bool, facts: Mapping[str, Any] = MappingProxyType({})
) -> None:
    """Draw the loss curve beside the log and print the figures, as one JSON object (with `facts`) where asked."""
    from model.train.pictures import save_curve

    if (out / "log.jsonl").exists():
        save_curve(out / "log.jsonl", out / "curve.png")
    if as_json:
        rounded = {name: round(value, 5) for name, value in figures.items()}
        typer.echo(json.dumps({"out": str(out), **facts, **rounded}, ensure_ascii=False))
        return
    for name, value in figures.items():
        typer.echo(f"{name:>20}  {value:.4f}")
