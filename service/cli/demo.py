"""`narthex demo`: a real game plays through its gates, end to end."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from service.cli.settings_options import AsJson


def demo(
    *,
    out: Annotated[Path, typer.Option(help="Folder of everything that the demo leaves.")] = Path("out/demo"),
    speed: Annotated[float, typer.Option(help="Pace of the player; 1 is human.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Of the player's think times and of the game.")] = 1,
    live: Annotated[bool, typer.Option(help="Show the live view.")] = True,
    as_json: AsJson = False,
) -> None:
    """Doom (ViZDoom) plays through two doors; what lies behind them is generated while the player walks.

    Starts a server with one worker, a scripted player who walks a level in real game ticks, and follows both.
    Leaves videos, 4D scenes, pictures, the trace and a report in --out. Takes about two minutes.

    Examples:

        narthex demo

        narthex demo --out /tmp/demo --seed 7 --no-live

        narthex demo --speed 2 --json > report.json
    """
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    from rich.console import Console
    from rich.markup import escape

    from service.demo.report import say_session
    from service.demo.walk import DemoOptions, run_demo

    console = Console(stderr=as_json)
    options = DemoOptions(out=out, speed=speed, seed=seed, live=live and not as_json and console.is_terminal)
    report = run_demo(options, console)
    if as_json:
        typer.echo(json.dumps(report))
        return
    say_session(console, report)
    for name, met in report["arrangement"].items():
        if not met:
            console.print(f"[yellow]not as arranged:[/] {name.replace('_', ' ')}")
    seconds = report["seconds"]["total"]
    console.print(f"{seconds:.0f} s, {report['peak_memory_mb']} MB at most; see {escape(str(out / 'contact.png'))}")
