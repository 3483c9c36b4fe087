"""The options that more than one command has, and how they become a config."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from service.config import Loaded, load_config

ConfigFile = Annotated[
    Path | None, typer.Option("--config", help="Settings file; default: narthex.toml here, if there is one.")
]
Data = Annotated[Path | None, typer.Option("--data", help="Folder of the database, blobs and logs (data.dir).")]
Host = Annotated[str | None, typer.Option(help="Address to listen on (server.host).")]
Port = Annotated[int | None, typer.Option(help="TCP port; 0 takes a free one (server.port).")]
Workers = Annotated[int | None, typer.Option(help="Worker processes; 0: none (work.workers).")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def loaded(config: Path | None, **flags: Any) -> Loaded:
    """Settings of file, environment and flags; a flag `server_port` is the setting `server.port`."""
    named = {name.replace("_", ".", 1): value for name, value in flags.items()}
    return load_config(config, os.environ, named)
