"""`narthex config show`: every setting, its value and where that comes from."""

from __future__ import annotations

import dataclasses
import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from service.cli.settings_options import AsJson, ConfigFile, Data, Host, Port, Workers, loaded
from service.config import SettingRow, setting_rows

config_app = typer.Typer(no_args_is_help=True, add_completion=False)


@config_app.callback()
def _group() -> None:
    """Settings: defaults, then narthex.toml, then NARTHEX_* of the environment, then flags.

    Examples:

        narthex config show --origin

        narthex config show --config narthex.toml --json
    """


@config_app.command("show")
def show(
    *,
    data: Data = None,
    host: Host = None,
    port: Port = None,
    workers: Workers = None,
    config: ConfigFile = None,
    origin: Annotated[bool, typer.Option("--origin", help="Say where each value comes from.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show every setting as `narthex serve` with the same flags would have it. Secrets are shown as ***.

    Examples:

        narthex config show --origin

        NARTHEX_SERVER_PORT=0 narthex config show --workers 2 --origin --json
    """
    flags = {"data_dir": data, "server_host": host, "server_port": port, "work_workers": workers}
    rows = setting_rows(loaded(config, **flags))
    if as_json:
        typer.echo(json.dumps({row.name: _fields(row, origin) for row in rows}))
        return
    table = Table("setting", "value", *(["origin"] if origin else []), "what it is")
    for row in rows:
        value = ", ".join(row.value) if isinstance(row.value, list) else str(row.value)
        table.add_row(row.name, value, *([row.origin] if origin else []), row.about)
    Console().print(table)


def _fields(row: SettingRow, origin: bool) -> dict[str, object]:
    fields = dataclasses.asdict(row)
    del fields["name"]
    if not origin:
        del fields["origin"]
    return fields
