"""`narthex play`: replay a recorded trace of a game against a running or an embedded server."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.settings_options import AsJson, loaded

if TYPE_CHECKING:
    import grpc
    from rich.console import Console


def play(
    trace: Annotated[Path, typer.Argument(help="A trace (docs/traces.md).", metavar="TRACE.jsonl")],
    *,
    server: Annotated[str | None, typer.Option(help="HOST:PORT of a running server; default: an embedded one.")] = None,
    key: Annotated[str, typer.Option(help="Server key; default: the first of auth.server_keys.")] = "",
    speed: Annotated[float, typer.Option(help="1 keeps the trace's own pace; 2 plays twice as fast.")] = 1.0,
    max_wait_s: Annotated[float, typer.Option(help="Wait so long after the last event for better content.")] = 30.0,
    out: Annotated[
        Path | None, typer.Option(help="Folder for report.json, timeline.png and what was generated.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Replay a trace: report its events at their times, download, show and hand over as a game's client does.

    Prints per gate the forecast at intervals, what was shown at the opening, the stall and the handovers; then
    the usage. Every line of the trace is checked before anything is played.

    Examples:

        narthex play examples/traces/red-keep.jsonl

        narthex play my-game.jsonl --server 127.0.0.1:50710 --speed 4

        narthex play examples/traces/drowned-abbey.jsonl --out out/abbey --json
    """
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    from rich.console import Console

    from service.demo.trace import read_trace

    console = Console(stderr=as_json, highlight=False)
    read = read_trace(trace)

    from service.demo.replay import Replay, ReplayOptions
    from service.demo.report import say_session

    options = ReplayOptions(speed=speed, max_wait_s=max_wait_s, out=out)
    with _channel(server, key, console) as channel:
        report = Replay(channel, read, options, lambda line: console.print(line, markup=False)).run()
    if as_json:
        typer.echo(json.dumps(report))
        return
    _say_forecasts(console, report)
    say_session(console, report)
    if report["content_events_skipped"]:
        console.print(f"{report['content_events_skipped']} content_* events of the recorded client were left out")
    for reason in report["refused_events"]:
        console.print(f"the server refused an event: {reason}", style="red", markup=False)


@contextmanager
def _channel(server: str | None, key: str, console: Console) -> Iterator[grpc.Channel]:
    """A channel to the server that was named, or to one that runs as long as this."""
    import grpc

    from service.cli.server_key import with_key
    from service.demo.embedded import EmbeddedServer
    from service.errors import InvalidInput

    if server is not None:
        if not server.rpartition(":")[2].isdecimal():
            raise InvalidInput(f"--server: got {server!r}, expected HOST:PORT")
        keys = (key,) if key else loaded(None).config.auth.server_keys
        with grpc.insecure_channel(server) as channel:
            _check_answers(channel, server)
            yield with_key(channel, keys)
        return
    with tempfile.TemporaryDirectory(prefix="narthex-play-") as folder:
        status = console.status("server starts")
        with status:
            embedded = EmbeddedServer(Path(folder), status.update)
            embedded.start()
        try:
            with grpc.insecure_channel(embedded.address) as channel:
                yield channel
        finally:
            embedded.stop()


def _check_answers(channel: grpc.Channel, server: str) -> None:
    import grpc

    from service.errors import Unavailable

    try:
        grpc.channel_ready_future(channel).result(timeout=10.0)
    except grpc.FutureTimeoutError as error:
        raise Unavailable(
            f"no server answers on {server}; start one with `narthex serve`, or leave out --server"
        ) from error


def _say_forecasts(console: Console, report: Mapping[str, Any]) -> None:
    from rich.table import Table

    for gate in report["gates"]:
        table = Table(title=f"{gate['title']}: forecast", title_justify="left", box=None, header_style="dim")
        for name in ("at", "p50", "p90", "opens at (p50)", "chance"):
            table.add_column(name, justify="right")
        for row in gate["forecast"]:
            at_s, p50_s = row["at_s"], row["p50_s"]
            chance = f"{row['chance']:.0%}"
            table.add_row(f"{at_s:.1f} s", f"{p50_s:.1f} s", f"{row['p90_s']:.1f} s", f"{at_s + p50_s:.1f} s", chance)
        if gate["forecast"]:
            console.print(table)
