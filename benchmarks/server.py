"""The server beside bare grpcio that does the same with nothing behind it.

    python -m benchmarks.server [--json] [--check] [--quick]

Both servers run in processes of their own, this client in a third. Short rounds alternate between the two, and a
ratio is the median over the rounds, so that what else the machine does hits both alike. Processor time is that of the
server's process: it says what a call costs on a machine that is busy with other things.

- Events: 50 sessions, each with one unary call in flight that reports one event, acknowledged after commit; the peer
  parses the same request and answers. Batches of 16 events a call beside it.
- ReadAsset: one reader of a 64 MiB asset; the peer sends the same messages, which it holds in memory, serialized.
- Idle watchers: growth of the server's resident memory for 2,000 more WatchSession streams over 20 connections, on 50
  paused sessions; the peer's streams wait for nothing at all.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import psutil
import yaml
from narthex.v1 import (
    asset_service_pb2,
    asset_service_pb2_grpc,
    design_service_pb2,
    design_service_pb2_grpc,
    event_pb2,
    play_service_pb2,
    play_service_pb2_grpc,
    session_pb2,
)

from benchmarks.aims import check
from service.store.blobs import BlobStore

SESSIONS = 50
CONNECTIONS = 20
MIB = 1024 * 1024
ROOT = Path(__file__).parent.parent
WORLD_FILE = ROOT / "examples" / "worlds" / "first-door.yaml"
OPTIONS = [("grpc.max_receive_message_length", 8 * MIB), ("grpc.use_local_subchannel_pool", 1)]


@dataclass(frozen=True)
class Scale:
    """How much is measured. Seconds are of one round of one server."""

    rounds: int = 15
    event_s: float = 1.0
    batch_s: float = 0.7
    asset_mib: int = 64
    asset_reads: int = 3
    watchers: int = 2_000
    warm_watchers: int = 200


QUICK = Scale(rounds=4, event_s=0.5, batch_s=0.5, asset_mib=32, asset_reads=2, watchers=400, warm_watchers=100)


@dataclass
class Peer:
    """A running server: its process, its address, and the sessions that events are reported to."""

    process: subprocess.Popen[bytes]
    address: str
    sessions: list[str]
    sequences: dict[str, int]


class Rounds:
    """What two servers did in rounds that alternate: units (events, MiB), wall and processor seconds of each."""

    def __init__(self, bare: Peer, ours: Peer) -> None:
        self._peers = (bare, ours)
        self._done: dict[int, list[tuple[float, float, float]]] = {id(bare): [], id(ours): []}

    async def run(self, work: Callable[[Peer], Awaitable[float]]) -> None:
        """One round of each; `work` returns the units that were done."""
        for peer in self._peers:
            process, begin = psutil.Process(peer.process.pid), time.perf_counter()
            before = process.cpu_times()
            units = await work(peer)
            after = process.cpu_times()
            cpu_s = after.user + after.system - before.user - before.system
            self._done[id(peer)].append((units, time.perf_counter() - begin, cpu_s))

    def rate(self, peer: Peer) -> float:
        """Median units a second."""
        return statistics.median(units / wall_s for units, wall_s, _ in self._done[id(peer)])

    def cpu_s(self, peer: Peer) -> float:
        """Processor seconds of the server for a unit."""
        done = self._done[id(peer)]
        return sum(cpu_s for _, _, cpu_s in done) / sum(units for units, _, _ in done)

    def ratio(self) -> float:
        """Median over the rounds of our rate by that of the bare server."""
        bare, ours = (self._done[id(peer)] for peer in self._peers)
        return statistics.median((o[0] / o[1]) / (b[0] / b[1]) for o, b in zip(ours, bare, strict=True))


class Events:
    """Makes the events of a player who works on the first chain of the world, one after the other."""

    def __init__(self, world: str) -> None:
        facts = yaml.safe_load(Path(world).read_text("utf-8"))
        self._chain = _first(facts["chains"])
        self._task = _first(facts["chains"][self._chain]["tasks"])
        self._gate = _first(facts["gates"])

    def event(self, sequence: int) -> event_pb2.Event:
        """The session's event of this number."""
        made = event_pb2.Event(event_id=f"event-{sequence}", sequence=sequence)
        if sequence == 1:
            made.chain_accepted.chain = self._chain
        elif sequence == 2:
            made.task_started.chain, made.task_started.task = self._chain, self._task
        elif sequence % 2:
            made.gate_approached.gate = self._gate
            made.gate_approached.distance_m = 5.0 + sequence % 100
        else:
            part = made.task_progressed
            part.chain, part.task, part.fraction = self._chain, self._task, 1.0 - 1.0 / (1.0 + sequence / 1000.0)
        return made


async def measure(scale: Scale) -> dict[str, float]:
    """All figures of one run."""
    with tempfile.TemporaryDirectory(prefix="narthex-bench-") as name:
        folder = Path(name)
        data = os.urandom(scale.asset_mib * MIB)
        (folder / "asset").write_bytes(data)
        asset = BlobStore(folder / "data" / "blobs").put(folder / "asset")
        with _bare(folder) as bare, _narthex(folder) as ours:
            await _prepare(ours)
            bare.sessions, bare.sequences = list(ours.sessions), dict.fromkeys(ours.sessions, 0)
            figures = await _measure_events(bare, ours, scale)
            figures |= await _measure_assets(bare, ours, f"assets/{asset}", len(data), scale)
            figures |= await _measure_watchers(bare, ours, scale)
    return figures


async def _measure_events(bare: Peer, ours: Peer, scale: Scale) -> dict[str, float]:
    events = Events(str(WORLD_FILE))
    unary, batched = Rounds(bare, ours), Rounds(bare, ours)
    waits: list[float] = []
    for peer in (bare, ours):
        await _report(peer, events, 1, 0.5, [])
    for _ in range(scale.rounds):
        await unary.run(lambda peer: _report(peer, events, 1, scale.event_s, waits if peer is ours else []))
        await batched.run(lambda peer: _report(peer, events, 16, scale.batch_s, []))
    waits.sort()
    return {
        "event_unary_per_s": unary.rate(ours),
        "echo_unary_per_s": unary.rate(bare),
        "event_unary_ratio": unary.ratio(),
        "event_unary_cpu_us": 1e6 * unary.cpu_s(ours),
        "echo_unary_cpu_us": 1e6 * unary.cpu_s(bare),
        "event_unary_p50_ms": 1000 * waits[len(waits) // 2],
        "event_unary_p99_ms": 1000 * waits[int(len(waits) * 0.99)],
        "batch16_events_per_s": batched.rate(ours),
        "echo_batch16_events_per_s": batched.rate(bare),
        "batch16_ratio": batched.ratio(),
        "batch16_event_cpu_us": 1e6 * batched.cpu_s(ours),
    }


async def _report(peer: Peer, events: Events, batch: int, seconds: float, waits: list[float]) -> int:
    """How many events were reported over all sessions; the seconds that each call took go into `waits`."""
    async with grpc.aio.insecure_channel(peer.address, options=OPTIONS) as channel:
        stub = play_service_pb2_grpc.PlayServiceStub(channel)
        until = time.perf_counter() + seconds

        async def play(session: str) -> int:
            count = 0
            while (begin := time.perf_counter()) < until:
                first = peer.sequences[session] + 1
                request = play_service_pb2.ReportEventsRequest(
                    session=session, events=[events.event(first + index) for index in range(batch)]
                )
                response = await stub.ReportEvents(request)
                waits.append(time.perf_counter() - begin)
                if response.applied_sequence != first + batch - 1:
                    raise RuntimeError(f"{session}: {response.applied_sequence} applied, expected {first + batch - 1}")
                peer.sequences[session] = response.applied_sequence
                count += batch
            return count

        return sum(await asyncio.gather(*(play(session) for session in peer.sessions)))


async def _measure_assets(bare: Peer, ours: Peer, asset: str, size: int, scale: Scale) -> dict[str, float]:
    reads = Rounds(bare, ours)
    for peer in (bare, ours):
        await _read(peer, asset, size, 1)
    for _ in range(scale.rounds):
        await reads.run(lambda peer: _read(peer, asset, size, scale.asset_reads))
    return {
        "read_asset_mib_per_s": reads.rate(ours),
        "bare_stream_mib_per_s": reads.rate(bare),
        "read_asset_ratio": reads.ratio(),
        "read_asset_cpu_us_per_mib": 1e6 * reads.cpu_s(ours),
        "bare_stream_cpu_us_per_mib": 1e6 * reads.cpu_s(bare),
    }


async def _read(peer: Peer, asset: str, size: int, times: int) -> float:
    """MiB that one reader got."""
    async with grpc.aio.insecure_channel(peer.address, options=OPTIONS) as channel:
        stub = asset_service_pb2_grpc.AssetServiceStub(channel)
        for _ in range(times):
            got = 0
            async for message in stub.ReadAsset(asset_service_pb2.ReadAssetRequest(asset=asset)):
                got += len(message.data)
            if got != size:
                raise RuntimeError(f"{asset}: got {got} bytes, expected {size}")
    return times * size / MIB


async def _measure_watchers(bare: Peer, ours: Peer, scale: Scale) -> dict[str, float]:
    await _pause_new_sessions(ours)
    return {
        "idle_watcher_kib": await _watch(ours, scale),
        "bare_idle_stream_kib": await _watch(bare, scale),
        "watchers": float(scale.watchers),
    }


async def _watch(peer: Peer, scale: Scale) -> float:
    """KiB of the server's resident memory for each further idle watcher."""
    async with contextlib.AsyncExitStack() as stack:
        stubs = []
        for _ in range(CONNECTIONS):
            channel = await stack.enter_async_context(grpc.aio.insecure_channel(peer.address, options=OPTIONS))
            stubs.append(play_service_pb2_grpc.PlayServiceStub(channel))
        calls = await _open_watches(peer, stubs, scale.warm_watchers)
        before = await _settled_rss(peer.process.pid)
        calls += await _open_watches(peer, stubs, scale.watchers)
        after = await _settled_rss(peer.process.pid)
        for call in calls:
            call.cancel()
        return (after - before) / 1024 / scale.watchers


async def _open_watches(peer: Peer, stubs: list[Any], count: int) -> list[Any]:
    """`count` streams that the server has taken up; each has its session's last update already and waits for more."""
    calls = []
    for number in range(count):
        session = peer.sessions[number % len(peer.sessions)]
        request = play_service_pb2.WatchSessionRequest(session=session, cursor=peer.sequences[session])
        calls.append(stubs[number % len(stubs)].WatchSession(request))
    for call in calls:
        await call.initial_metadata()
    return calls


async def _pause_new_sessions(peer: Peer) -> None:
    """Replace the peer's sessions by paused ones, whose forecasts stand still; `sequences` holds their cursors."""
    peer.sessions, peer.sequences = [], {}
    async with grpc.aio.insecure_channel(peer.address) as channel:
        play = play_service_pb2_grpc.PlayServiceStub(channel)
        await _open_sessions(peer, play)
        paused = event_pb2.Event(event_id="pause", sequence=1, session_paused=event_pb2.SessionPaused())
        for session in peer.sessions:
            await play.ReportEvents(play_service_pb2.ReportEventsRequest(session=session, events=[paused]))
        await asyncio.sleep(2.0)
        for session in peer.sessions:
            found = await play.GetSession(play_service_pb2.GetSessionRequest(name=session))
            peer.sequences[session] = found.cursor


async def _settled_rss(pid: int) -> int:
    """Resident bytes of a process once they have stopped to grow."""
    process, last = psutil.Process(pid), -1
    for _ in range(40):
        await asyncio.sleep(0.5)
        now = process.memory_info().rss
        if abs(now - last) < MIB // 4:
            return int(now)
        last = now
    return int(last)


async def _prepare(peer: Peer) -> None:
    async with grpc.aio.insecure_channel(peer.address) as channel:
        design = design_service_pb2_grpc.DesignServiceStub(channel)
        play = play_service_pb2_grpc.PlayServiceStub(channel)
        source = WORLD_FILE.read_bytes()
        await design.PutWorld(design_service_pb2.PutWorldRequest(world_id=WORLD_FILE.stem, source=source))
        await _open_sessions(peer, play)


async def _open_sessions(peer: Peer, play: Any) -> None:
    wanted = session_pb2.Session(world=f"worlds/{WORLD_FILE.stem}")
    for _ in range(SESSIONS):
        made = await play.CreateSession(play_service_pb2.CreateSessionRequest(session=wanted))
        peer.sessions.append(made.name)
        peer.sequences[made.name] = 0


@contextlib.contextmanager
def _narthex(folder: Path) -> Iterator[Peer]:
    port_file = folder / "narthex-port"
    options = ["--data", str(folder / "data"), "--port", "0", "--port-file", str(port_file), "--workers", "0"]
    with _process(["-m", "service.cli.app", "serve", *options, "--log-level", "warning"], port_file) as peer:
        yield peer


@contextlib.contextmanager
def _bare(folder: Path) -> Iterator[Peer]:
    port_file = folder / "bare-port"
    with _process(["-m", "benchmarks.bare.grpc_server", str(port_file), str(folder / "asset")], port_file) as peer:
        yield peer


@contextlib.contextmanager
def _process(arguments: list[str], port_file: Path) -> Iterator[Peer]:
    path = os.pathsep.join(str(part) for part in (ROOT, ROOT / "protos"))
    process = subprocess.Popen(
        [sys.executable, *arguments], cwd=ROOT, env=os.environ | {"PYTHONPATH": path}, stdout=subprocess.DEVNULL
    )
    try:
        yield Peer(process, f"127.0.0.1:{_wait_for_port(process, port_file)}", [], {})
    finally:
        process.terminate()
        process.wait(30)


def _wait_for_port(process: subprocess.Popen[bytes], port_file: Path) -> int:
    until = time.monotonic() + 60.0
    while time.monotonic() < until and process.poll() is None:
        if port_file.exists():
            return int(port_file.read_text())
        time.sleep(0.05)
    raise RuntimeError(f"{process.args!r} did not start; exit status {process.poll()}")


def _first(parts: Any) -> str:
    return str(next(iter(parts)))


def main() -> int:
    """Print the figures; with --check, 1 where one misses its aim."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--check", action="store_true", help="exit 1 where a figure misses its aim")
    parser.add_argument("--quick", action="store_true", help="a tenth of the time, and less sure figures")
    arguments = parser.parse_args()
    figures = asyncio.run(measure(QUICK if arguments.quick else Scale()))
    if arguments.json:
        print(json.dumps({name: round(value, 4) for name, value in figures.items()}))
    else:
        for name, value in figures.items():
            print(f"{name:28} {value:12.2f}")
    return check("server", figures) if arguments.check else 0


if __name__ == "__main__":
    raise SystemExit(main())
