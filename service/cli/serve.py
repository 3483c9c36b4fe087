"""`narthex serve`: the server and its worker processes."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Annotated

import typer

from service.cli.settings_options import AsJson, ConfigFile, Data, Host, Port, Workers, loaded


def serve(
    *,
    data: Data = None,
    host: Host = None,
    port: Port = None,
    port_file: Annotated[Path | None, typer.Option(help="Write the bound port here once calls are answered.")] = None,
    workers: Workers = None,
    config: ConfigFile = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error (log.level).")] = None,
    log_format: Annotated[str | None, typer.Option(help="json or text, on standard error (log.format).")] = None,
    as_json: AsJson = False,
) -> None:
    """Run the server and its worker processes until SIGTERM or ^C, then finish what is in flight.

    Without configured keys it listens on loopback only. Logs go to standard error.

    Examples:

        narthex serve --data out/x

        narthex serve --data out/x --port 0 --port-file out/x/port --workers 2

        NARTHEX_AUTH_SERVER_KEYS=$(openssl rand -hex 24) narthex serve --host 0.0.0.0
    """
    settings = loaded(
        config,
        data_dir=data,
        server_host=host,
        server_port=port,
        work_workers=workers,
        log_level=log_level,
        log_format=log_format,
    ).config
    from service.api import server
    from service.logs import set_up_logs

    set_up_logs(settings.log.level, settings.log.format)

    def ready(bound: int) -> None:
        if port_file is not None:
            write_port(port_file, bound)
        facts = {"address": f"{settings.server.host}:{bound}", "port": bound, "data": str(settings.data.dir)}
        line = json.dumps({"serving": True, **facts}) if as_json else f"serving on {facts['address']}; ^C stops"
        typer.echo(line)

    code = asyncio.run(server.serve(settings, ready))
    if code:
        raise typer.Exit(code)


def write_port(path: Path, port: int) -> None:
    """Write the port so that whoever polls for the file never reads half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    partial.write_text(f"{port}\n")
    partial.replace(path)
