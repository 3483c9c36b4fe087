"""The main job, from the first process to the last picture: `run_demo`."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import grpc
from rich.console import Console, RenderableType
from rich.live import Live

from service.demo.board import board
from service.demo.embedded import QUIET, EmbeddedServer
from service.demo.follower import Follower, closing_follower
from service.demo.gallery import Exhibit, generated, placeholder_scene, write_files
from service.demo.pictures import DOOR_GATE, Material, Recording, write_contact, write_door, write_times
from service.demo.processes import Child, MemoryWatch, python
from service.demo.report import session_report
from service.demo.story import Story
from service.demo.world_file import WorldFile, put_world, read_world_file
from service.errors import InvalidInput, NotFound, Unavailable

MARKER = ".narthex-demo"
OWN_FOLDERS = ("data", "frames", "segments", "scenes")
OWN_FILES = ("events.jsonl", "screen.jsonl", "frames.jsonl", "world.yaml", "report.json")
PICTURES = ("contact.png", "door.mp4", "timeline.png")
LONGEST_WALK_S = 900.0
REFRESH_S = 0.15
SESSION_S = 30.0


@dataclass(frozen=True)
class DemoOptions:
    """How the demo is run.

    Attributes:
        out: folder of everything that it leaves.
        speed: of the player; 1 is human pace.
        seed: of the think times and of the game.
        live: whether to show the live view.

    Raises:
        InvalidInput: speed or seed mean nothing.
    """

    out: Path
    speed: float = 1.0
    seed: int = 1
    live: bool = True

    def __post_init__(self) -> None:
        if not 0.1 <= self.speed <= 20.0:
            raise InvalidInput(f"speed: got {self.speed}, allowed 0.1 to 20; 1 is human pace")
        if not 0 <= self.seed < 2**31:
            raise InvalidInput(f"seed: got {self.seed}, allowed 0 to 2147483647")


def run_demo(options: DemoOptions, console: Console) -> dict[str, Any]:
    """The report, after everything was written into `options.out`.

    Raises:
        NotFound: ViZDoom is not installed.
        InvalidInput: the folder holds something that is not an earlier demo.
        Unavailable: the server or the game failed; says what they said last.
    """
    start_s = time.monotonic()
    seconds: dict[str, float] = {}
    _check_vizdoom()
    world = _prepare(options.out)
    memory = MemoryWatch()
    try:
        with _server(options.out / "data", console, seconds) as server:
            story, usage, material = _play(server, world, options, console, seconds)
        report = session_report(story, usage)
        with _timed(seconds, "pictures"), console.status("pictures") as status:
            _draw(material, options.out, status.update)
    finally:
        peak_bytes = memory.close()
    seconds["total"] = round(time.monotonic() - start_s, 2)
    report |= {
        "seed": options.seed,
        "speed": options.speed,
        "arrangement": arrangement(story),
        "seconds": seconds,
        "peak_memory_mb": round(peak_bytes / 1e6),
        "cpus": os.cpu_count(),
        "files": _files(options.out),
    }
    (options.out / "report.json").write_text(json.dumps(report, indent=1) + "\n")
    return report


def arrangement(story: Story) -> dict[str, bool]:
    """Whether the playthrough met what it is arranged for (README: the first door)."""
    red, blue, yellow = story.gates["red_gate"], story.gates["blue_gate"], story.gates["yellow_gate"]
    shown = [point.quality for point in blue.screen if point.what == "shown"]
    states = {point.quality: point for point in yellow.work}
    return {
        "red_gate_opened_after_full_was_ready": red.shown_first is not None and red.shown_first.quality == "FULL",
        "blue_gate_opened_before_draft_was_ready": shown[:1] == ["PLACEHOLDER"],
        "placeholder_draft_full_on_screen": shown == ["PLACEHOLDER", "DRAFT", "FULL"],
        "side_branch_cancelled_in_work": any(
            point.state == "CANCELLED" and point.spent_s > 0 for point in states.values()
        ),
    }


@contextmanager
def _server(data_dir: Path, console: Console, seconds: dict[str, float]) -> Iterator[EmbeddedServer]:
    """A running server whose worker is ready, shown while it starts."""
    status = console.status("server starts")
    server = EmbeddedServer(data_dir, status.update)
    with _timed(seconds, "server_and_worker_ready"), status:
        server.start()
    try:
        yield server
    finally:
        server.stop()


def _play(
    server: EmbeddedServer, world: WorldFile, options: DemoOptions, console: Console, seconds: dict[str, float]
) -> tuple[Story, Any, Material]:
    """The story, the usage, and what the pictures are made of, fetched over the API."""
    with grpc.insecure_channel(server.address) as channel:
        put_world(channel, world)
        with _timed(seconds, "walk"):
            follower = _walk(server, channel, options, console)
        story = follower.story
        with _timed(seconds, "fetch"), console.status("fetching"):
            exhibits = _fetch(channel, story, options.out)
            placeholder = placeholder_scene(channel, story.gates[DOOR_GATE])
    return story, follower.usage, Material(story, Recording.read(options.out), exhibits, placeholder)


def _walk(server: EmbeddedServer, channel: grpc.Channel, options: DemoOptions, console: Console) -> Follower:
    """Follows the playing client to its end; the follower, closed, with the whole story."""
    session = f"demo-seed-{options.seed}"
    arguments = ["--server", server.address, "--session", session, "--out", str(options.out)]
    arguments += ["--speed", str(options.speed), "--seed", str(options.seed)]
    lines: list[dict[str, Any]] = []

    def hear(line: str) -> None:
        if line.startswith("{"):
            lines.append(json.loads(line))

    command = python("examples.vizdoom.client", *arguments)
    with Child("client", command, hear, QUIET) as client:
        _wait_for_session(client, lines)
        with closing_follower(channel, f"sessions/{session}") as follower:
            _follow(server, client, follower, lines, options, console)
            follower.close()
        if client.returncode != 0:
            raise _client_failed(client)
    return follower


def _follow(
    server: EmbeddedServer,
    client: Child,
    follower: Follower,
    lines: list[dict[str, Any]],
    options: DemoOptions,
    console: Console,
) -> None:
    """Shows what happens until the client ends. Raises Unavailable where the server ends first, or nothing ends."""
    taken = 0
    until_s = time.monotonic() + LONGEST_WALK_S
    with _view(console, options, follower) as refresh:
        while not client.wait(REFRESH_S):
            taken = _take(follower, lines, taken, console if not options.live else None)
            refresh()
            server.check()
            if time.monotonic() > until_s:
                raise Unavailable(f"the game did not end within {LONGEST_WALK_S:.0f} s")
        _take(follower, lines, taken, console if not options.live else None)
        refresh()


def _wait_for_session(client: Child, lines: list[dict[str, Any]]) -> None:
    until_s = time.monotonic() + SESSION_S
    while not any(line["what"] == "session" for line in list(lines)):
        if client.wait(0.05):
            raise _client_failed(client)
        if time.monotonic() > until_s:
            raise Unavailable(f"the game did not open a session within {SESSION_S:.0f} s")


def _client_failed(client: Child) -> Unavailable:
    said = client.last_lines() or "nothing"
    return Unavailable(f"the game client ended with status {client.returncode}; it said last:\n{said}")


def _take(follower: Follower, lines: list[dict[str, Any]], taken: int, console: Console | None) -> int:
    for line in lines[taken:]:
        follower.take_line(line)
        if console is not None and line["what"] in ("opened", "fade", "shown", "ready"):
            quality = line.get("quality", "").lower()
            console.print(f"{line['offset_s']:6.1f} s  {line['gate']:<12} {line['what']} {quality}", highlight=False)
        taken += 1
    return taken


@contextmanager
def _view(console: Console, options: DemoOptions, follower: Follower) -> Iterator[Callable[[], None]]:
    """Yields what redraws the live view; nothing where none is wanted."""
    if not options.live:
        yield lambda: None
        return

    def draw() -> RenderableType:
        foot = f"ViZDoom plays at speed {options.speed:g}; everything lands in {options.out}; ^C stops"
        return board(follower, "Narthex demo", foot)

    with Live(draw(), console=console, refresh_per_second=8) as live:
        yield lambda: live.update(draw())


def _fetch(channel: grpc.Channel, story: Story, out: Path) -> list[Exhibit]:
    exhibits = list(generated(channel, list(story.gates.values())))
    for exhibit in exhibits:
        write_files(exhibit, out)
    return exhibits


def _draw(material: Material, out: Path, say: Callable[[str], None]) -> None:
    threads = os.cpu_count() or 1
    say("timeline.png")
    write_times(material, out / "timeline.png")
    say("contact.png")
    write_contact(material, out / "contact.png", threads)
    write_door(material, out / "door.mp4", threads, lambda words: say(f"door.mp4: {words}"))


def _check_vizdoom() -> None:
    if importlib.util.find_spec("vizdoom") is None:
        raise NotFound("the demo plays ViZDoom, which is not installed: `pip install 'narthex[demo]'` adds it")


def _prepare(out: Path) -> WorldFile:
    """The demo's world, after `out` was made and an earlier demo's files were taken away."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())) and not (out / MARKER).exists():
        raise InvalidInput(f"{out} holds something that is not an earlier demo; name another folder with --out")
    out.mkdir(parents=True, exist_ok=True)
    (out / MARKER).write_text("written by `narthex demo`, which replaces its own files here\n")
    for name in OWN_FOLDERS:
        shutil.rmtree(out / name, ignore_errors=True)
    for name in (*OWN_FILES, *PICTURES):
        (out / name).unlink(missing_ok=True)
    with resources.as_file(resources.files("examples.vizdoom") / "world.yaml") as path:
        world = read_world_file(path)
        (out / "world.yaml").write_bytes(path.read_bytes())
    return world


def _files(out: Path) -> dict[str, int]:
    """Path -> bytes of everything that people look at."""
    named = [out / name for name in (*PICTURES, "events.jsonl", "world.yaml")]
    named += sorted([*out.glob("segments/*"), *out.glob("scenes/*")])
    return {str(path.relative_to(out)): path.stat().st_size for path in named if path.exists()}


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    start_s = time.monotonic()
    yield
    seconds[name] = round(time.monotonic() - start_s, 2)
