from __future__ import annotations

import sys
from pathlib import Path

import psutil
import pytest

from service.demo.processes import Child, MemoryWatch
from service.demo.walk import MARKER, DemoOptions, _check_vizdoom, _client_failed, _prepare, arrangement
from service.errors import InvalidInput, NotFound

PRINTER = "import sys; print('one'); print('two', file=sys.stderr); sys.exit(3)"
PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
import time; time.sleep(600)
"""


def test_what_a_child_said_and_how_it_ended_is_known() -> None:
    heard: list[str] = []
    with Child("client", [sys.executable, "-c", PRINTER], heard.append) as child:
        assert child.wait(30.0)
        assert child.returncode == 3 and heard == ["one"]
        assert sorted(child.last_lines().splitlines()) == ["one", "two"]
        assert "status 3" in str(_client_failed(child)) and "two" in str(_client_failed(child))


def test_a_child_and_what_it_started_are_gone_afterwards() -> None:
    heard: list[str] = []
    with Child("server", [sys.executable, "-c", PARENT], heard.append) as child:
        while not heard:
            assert not child.wait(0.05)
        assert psutil.pid_exists(int(heard[0]))
    grandchild = int(heard[0])
    assert child.returncode is not None
    assert not psutil.pid_exists(grandchild) or psutil.Process(grandchild).status() == psutil.STATUS_ZOMBIE


def test_a_failure_inside_ends_the_child_too() -> None:
    with (
        pytest.raises(KeyboardInterrupt),
        Child("server", [sys.executable, "-c", "import time; time.sleep(600)"]) as child,
    ):
        raise KeyboardInterrupt
    assert child.returncode is not None


def test_the_memory_of_the_whole_family_is_watched() -> None:
    watch = MemoryWatch()
    hungry = "x = bytearray(120_000_000); print('fed', flush=True); import time; time.sleep(600)"
    heard: list[str] = []
    with Child("hungry", [sys.executable, "-c", hungry], heard.append) as child:
        while not heard or watch.peak_bytes < psutil.Process().memory_info().rss + 120_000_000:
            assert not child.wait(0.05)
    assert watch.close() > 120_000_000


def test_the_demo_replaces_only_its_own_files(tmp_path: Path) -> None:
    out = tmp_path / "out"
    world = _prepare(out)
    assert world.world.world_id == "red-keep" and (out / "world.yaml").read_bytes() == world.source
    (out / "data").mkdir()
    (out / "door.mp4").write_bytes(b"old")
    (out / "mine.txt").write_text("keep")
    _prepare(out)
    assert sorted(path.name for path in out.iterdir()) == sorted([MARKER, "mine.txt", "world.yaml"])


def test_the_demo_leaves_foreign_folders_alone(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with pytest.raises(InvalidInput, match="not an earlier demo; name another folder with --out"):
        _prepare(tmp_path)
    assert (tmp_path / "data").exists()
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(InvalidInput):
        _prepare(file)


@pytest.mark.parametrize("options", [{"speed": 0.0}, {"speed": float("nan")}, {"speed": 99.0}, {"seed": -1}])
def test_options_that_mean_nothing_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(InvalidInput, match="allowed 0"):
        DemoOptions(Path("out"), **options)  # type: ignore[arg-type]


def test_a_missing_game_is_said_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.demo.walk.importlib.util.find_spec", lambda _: None)
    with pytest.raises(NotFound, match=r"pip install 'narthex\[demo\]'"):
        _check_vizdoom()


def test_the_arrangement_is_judged_from_the_story() -> None:
    from narthex.v1 import world_pb2

    from service.demo.story import ScreenPoint, Story, WorkPoint

    gates = [world_pb2.Gate(gate=f"{name}_gate") for name in ("red", "yellow", "blue")]
    story = Story(world_pb2.World(gates=gates), 0.0)
    assert not any(arrangement(story).values())
    story.gates["red_gate"].screen.append(ScreenPoint(1.0, "shown", "FULL", 0.0))
    for quality in ("PLACEHOLDER", "DRAFT", "FULL"):
        story.gates["blue_gate"].screen.append(ScreenPoint(2.0, "shown", quality, 0.0))
    story.gates["yellow_gate"].work.append(WorkPoint(1.5, "DRAFT", "CANCELLED", "colors", 9, 12, 0.0, 2.0))
    assert all(arrangement(story).values())
