"""`narthex serve` as a process: starts, answers, drains on SIGTERM, and has everything after kill -9."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from narthex.v1 import design_service_pb2, design_service_pb2_grpc, event_pb2, play_service_pb2_grpc, session_pb2
from narthex.v1 import play_service_pb2 as pb2
from typer.testing import CliRunner

from service.cli.world import world_app
from service.errors import Unavailable

WORLD = (
    b"world: halls\nchains: {a: {tasks: {t: {p50_s: 30, p90_s: 90}}}}\ngates: {g: {chain: a, content: {prompt: x}}}\n"
)
ROOT = Path(__file__).parents[2]


class Process:
    """A running `narthex serve` and a channel to it."""

    def __init__(self, folder: Path, *options: str) -> None:
        weights = folder / "weights"
        weights.mkdir(exist_ok=True)
        for name in ("vae", "dit"):
            (weights / f"{name}.safetensors").write_bytes(name.encode())
        environment = {key: value for key, value in os.environ.items() if not key.startswith("NARTHEX_")}
        environment |= {"NARTHEX_MODEL_WEIGHTS_DIR": str(weights), "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'protos'}"}
        command = [sys.executable, "-m", "service.cli.app", "serve", "--data", str(folder / "data"), "--port", "0"]
        command += ["--workers", "0", "--json", "--port-file", str(folder / "port"), *options]
        self.errors = (folder / "errors").open("ab+")
        self.popen = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=self.errors)
        assert self.popen.stdout is not None
        ready, _, _ = select.select([self.popen.stdout], [], [], 60.0)
        line = self.popen.stdout.readline() if ready else b""
        assert line, (folder / "errors").read_text()
        self.facts = json.loads(line)
        assert int((folder / "port").read_text()) == self.facts["port"]
        self.channel = grpc.insecure_channel(self.facts["address"], options=[("grpc.use_local_subchannel_pool", 1)])
        self.play = play_service_pb2_grpc.PlayServiceStub(self.channel)
        self.design = design_service_pb2_grpc.DesignServiceStub(self.channel)

    def end(self, number: signal.Signals) -> int:
        """Send a signal; the exit code."""
        self.popen.send_signal(number)
        code = self.popen.wait(30)
        self.channel.close()
        assert self.popen.stdout is not None
        self.popen.stdout.close()
        self.errors.close()
        return code


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Any]:
    started: list[Process] = []

    def start(*options: str) -> Process:
        started.append(Process(tmp_path, *options))
        return started[-1]

    yield start
    for process in started:
        if process.popen.poll() is None:
            process.end(signal.SIGKILL)


def open_session(process: Process) -> str:
    process.design.PutWorld(design_service_pb2.PutWorldRequest(world_id="halls", source=WORLD), timeout=20)
    wanted = pb2.CreateSessionRequest(session=session_pb2.Session(world="worlds/halls"))
    return process.play.CreateSession(wanted, timeout=20).name


def report(process: Process, session: str, number: int) -> int:
    kind = {"chain_accepted": {"chain": "a"}} if number % 2 else {"chain_abandoned": {"chain": "a"}}
    event = event_pb2.Event(event_id=f"e{number}", sequence=number, **kind)
    request = pb2.ReportEventsRequest(session=session, events=[event])
    return process.play.ReportEvents(request, timeout=20).applied_sequence


def test_sigterm_drains_and_a_new_server_goes_on(serve: Any, tmp_path: Path):
    first = serve()
    session = open_session(first)
    assert report(first, session, 1) == 1
    stream = first.play.WatchSession(pb2.WatchSessionRequest(session=session), timeout=60)
    last = next(stream).cursor
    first.popen.send_signal(signal.SIGTERM)
    with pytest.raises(grpc.RpcError) as caught:
        for update in stream:
            last = update.cursor
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert f"resume from cursor {last}" in caught.value.details()
    # Waited for first: a second signal would find the drained server without its handler.
    first.popen.wait(30)
    assert first.end(signal.SIGTERM) == 0
    second = serve()
    resumed = second.play.GetSession(pb2.GetSessionRequest(name=session), timeout=20)
    assert resumed.applied_sequence == 1
    assert report(second, session, 2) == 2
    news = second.play.WatchSession(pb2.WatchSessionRequest(session=session, cursor=last), timeout=20)
    assert next(news).cursor == last + 1
    news.cancel()
    assert second.end(signal.SIGINT) == 0
    lines = [json.loads(line) for line in (tmp_path / "errors").read_text().splitlines()]
    messages = [line["msg"] for line in lines]
    assert messages.count("serving") == messages.count("draining") == messages.count("stopped") == 2


def test_what_was_acknowledged_survives_kill_9(serve: Any):
    first = serve()
    session = open_session(first)
    acknowledged = 0
    for number in range(1, 30):
        acknowledged = report(first, session, number)
    assert first.end(signal.SIGKILL) == -signal.SIGKILL
    second = serve()
    found = second.play.GetSession(pb2.GetSessionRequest(name=session), timeout=20)
    assert found.applied_sequence == acknowledged == 29
    # A repeat after the crash is acknowledged again and applied once.
    assert report(second, session, 29) == 29
    assert second.end(signal.SIGTERM) == 0


@pytest.mark.parametrize("shared", ["port", "data"])
def test_a_second_server_on_the_port_or_the_folder_fails_in_one_line(serve: Any, tmp_path: Path, shared: str):
    first = serve()
    port = str(first.facts["port"]) if shared == "port" else "0"
    data = tmp_path / ("data" if shared == "data" else "other")
    environment = os.environ | {
        "NARTHEX_MODEL_WEIGHTS_DIR": str(tmp_path / "weights"),
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'protos'}",
    }
    done = subprocess.run(
        [sys.executable, "-m", "service.cli.app", "serve", "--data", str(data), "--workers", "0", "--port", port],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    said = f"cannot listen on 127.0.0.1:{port}" if shared == "port" else f"{data} is in use by another narthex serve"
    assert said in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_a_designer_puts_a_world_from_the_command_line(serve: Any, tmp_path: Path):
    server = serve()
    file = tmp_path / "halls.yaml"
    file.write_bytes(WORLD)
    done = CliRunner().invoke(world_app, ["put", str(file), "--server", server.facts["address"], "--json"])
    assert json.loads(done.stdout)["name"] == "worlds/halls"
    stored = server.design.GetWorld(design_service_pb2.GetWorldRequest(name="worlds/halls"))
    assert stored.revision == json.loads(done.stdout)["revision"]
    nobody = CliRunner().invoke(world_app, ["put", str(file), "--server", "127.0.0.1:1"])
    assert isinstance(nobody.exception, Unavailable)
    assert "start one with `narthex serve`" in str(nobody.exception)
