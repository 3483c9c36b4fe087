"""`narthex jobs`: what a server works on, has worked on, and what it cost. Talks gRPC only."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from narthex.v1 import operate_service_pb2 as pb2
from narthex.v1 import operate_service_pb2_grpc, quality_pb2, session_pb2
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from service.cli.called_server import TIMEOUT_S, Key, Server, called_server
from service.cli.settings_options import AsJson, ConfigFile

jobs_app = typer.Typer(no_args_is_help=True, add_completion=False)

PAGE_SIZE = 200
JobName = Annotated[str, typer.Argument(help="Job id, as `narthex jobs list` shows it.", metavar="JOB")]


class StateOption(StrEnum):
    """States by the names that people type."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"
    DEAD = "dead"


@jobs_app.callback()
def _group() -> None:
    """Jobs of a running server: list, show, cancel and retry them, and see what they cost.

    Examples:

        narthex jobs list --state running

        narthex jobs usage --server 127.0.0.1:50710 --json
    """


@jobs_app.command("list")
def list_jobs(
    state: Annotated[StateOption | None, typer.Option(help="Only jobs in this state.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many, newest first.", min=1, max=100_000)] = 50,
    server: Server = "",
    key: Key = "",
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """List jobs, newest first.

    Examples:

        narthex jobs list

        narthex jobs list --state dead --server 127.0.0.1:50710

        narthex jobs list --limit 1000 --json
    """
    with _operate(server, key, config) as stub:
        found = list(_all_jobs(stub, state, limit))
    if as_json:
        _print_json({"jobs": [_plain(job) for job in found]})
        return
    _print_jobs(found)


@jobs_app.command("show")
def show(job: JobName, server: Server = "", key: Key = "", config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Show everything that is known of a job.

    Examples:

        narthex jobs show 018f3a

        narthex jobs show 018f3a --json
    """
    with _operate(server, key, config) as stub:
        _print_job(stub.GetJob(pb2.GetJobRequest(name=_name(job)), timeout=TIMEOUT_S), as_json)


@jobs_app.command("cancel")
def cancel(
    job: JobName, server: Server = "", key: Key = "", config: ConfigFile = None, as_json: AsJson = False
) -> None:
    """Cancel a job: at once if it is queued, at its next chunk border if it runs.

    Example:

        narthex jobs cancel 018f3a
    """
    with _operate(server, key, config) as stub:
        _print_job(stub.CancelJob(pb2.CancelJobRequest(name=_name(job)), timeout=TIMEOUT_S), as_json)


@jobs_app.command("retry")
def retry(job: JobName, server: Server = "", key: Key = "", config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Put a dead job back into the queue.

    Example:

        narthex jobs retry 018f3a
    """
    with _operate(server, key, config) as stub:
        _print_job(stub.RetryJob(pb2.RetryJobRequest(name=_name(job)), timeout=TIMEOUT_S), as_json)


@jobs_app.command("usage")
def usage(
    session: Annotated[str, typer.Option(help="Only work that this session waited for.")] = "",
    server: Server = "",
    key: Key = "",
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Show what work was done and what became of it: reached, wasted, or neither yet.

    Examples:

        narthex jobs usage

        narthex jobs usage --session 5f2c --json
    """
    name = f"sessions/{session.removeprefix('sessions/')}" if session else ""
    with _operate(server, key, config) as stub:
        report = stub.GetUsage(pb2.GetUsageRequest(session=name), timeout=TIMEOUT_S)
    if as_json:
        _print_json(_plain(report))
        return
    table = Table("", "segments", "scene minutes", "device seconds", "MiB")
    for part in ("generated", "reached", "wasted", "pending"):
        one = getattr(report, part)
        figures = (f"{one.segments}", f"{one.minutes:.2f}", f"{one.device_s:.1f}", f"{one.bytes / 2**20:.1f}")
        table.add_row(part, *figures)
    Console().print(table)


@contextmanager
def _operate(server: str, key: str, config: Path | None) -> Iterator[Any]:
    """A stub whose failures are the service's own errors."""
    with called_server(server, key, config) as channel:
        yield operate_service_pb2_grpc.OperateServiceStub(channel)


def _all_jobs(stub: Any, state: StateOption | None, limit: int) -> Iterator[pb2.Job]:
    named = f"WORK_STATE_{state.name if state else 'UNSPECIFIED'}"
    number = session_pb2.WorkState.Value(named)
    token = ""
    while limit > 0:
        request = pb2.ListJobsRequest(page_size=min(limit, PAGE_SIZE), page_token=token, state=number)
        page = stub.ListJobs(request, timeout=TIMEOUT_S)
        yield from page.jobs[:limit]
        limit -= len(page.jobs)
        token = page.next_page_token
        if not token:
            return


def _print_jobs(found: Sequence[pb2.Job]) -> None:
    """A table that fits into 80 columns, and below it what went wrong last."""
    table = Table(box=SIMPLE, pad_edge=False, padding=(0, 1, 0, 0))
    for title in ("job", "work", "state", "done", "spent", "age"):
        table.add_column(title, no_wrap=True)
    for job in found:
        quality = quality_pb2.Quality.Name(job.quality).removeprefix("QUALITY_")
        state = session_pb2.WorkState.Name(job.state).removeprefix("WORK_STATE_")
        done = f"{job.chunks_done}/{job.chunks_total}" if job.chunks_total else ""
        spent, age = f"{job.spent_s:.1f} s", _age(time.time() - job.create_time.seconds)
        table.add_row(job.name.removeprefix("jobs/"), f"{job.kind} {quality}", state, done, spent, age)
    console = Console()
    console.print(table if found else "no jobs")
    for job in found:
        if job.last_error:
            attempts = f"{job.attempts} attempt{'s' if job.attempts != 1 else ''}"
            console.print(f"{job.name.removeprefix('jobs/')}: {attempts}: {job.last_error}", markup=False)


def _age(seconds: float) -> str:
    for unit_s, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= unit_s:
            return f"{seconds / unit_s:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def _print_job(job: pb2.Job, as_json: bool) -> None:
    fields = _plain(job)
    if as_json:
        _print_json(fields)
        return
    table = Table(show_header=False, box=None)
    for name, value in fields.items():
        table.add_row(name, ", ".join(map(str, value)) if isinstance(value, list) else str(value))
    Console().print(table)


def _name(job: str) -> str:
    return f"jobs/{job.removeprefix('jobs/')}"


def _plain(message: Message) -> dict[str, Any]:
    return MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)


def _print_json(value: dict[str, Any]) -> None:
    typer.echo(json.dumps(value))
