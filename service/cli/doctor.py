"""`narthex doctor`: what is wrong with this machine, and what to do about it."""

from __future__ import annotations

import dataclasses
import json

import typer
from rich.console import Console
from rich.table import Table

from service.cli.settings_options import AsJson, ConfigFile, Data, Port, loaded
from service.doctor import examine


def doctor(config: ConfigFile = None, data: Data = None, port: Port = None, as_json: AsJson = False) -> None:
    """Check device, disk, port, clock, versions, weights and Numba's cache; exit 1 where something is wrong.

    Examples:

        narthex doctor

        narthex doctor --data out/x --port 50710 --json
    """
    findings = examine(loaded(config, data_dir=data, server_port=port).config)
    healthy = all(finding.ok for finding in findings)
    if as_json:
        typer.echo(json.dumps({"ok": healthy, "findings": [dataclasses.asdict(finding) for finding in findings]}))
    else:
        table = Table("check", "", "found", "what to do")
        for finding in findings:
            mark = "[green]ok[/green]" if finding.ok else "[red]wrong[/red]"
            table.add_row(finding.check, mark, finding.found, finding.remedy)
        Console().print(table)
    if not healthy:
        raise typer.Exit(1)
