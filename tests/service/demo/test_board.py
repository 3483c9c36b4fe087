from __future__ import annotations

import io
import threading
from types import SimpleNamespace
from typing import Any

from narthex.v1 import event_pb2, operate_service_pb2, session_pb2, world_pb2
from rich.console import Console

from service.demo.board import board
from service.demo.follower import Follower
from service.demo.story import ForecastPoint, ScreenPoint, Story, WorkPoint


def follower(story: Story, jobs: list[operate_service_pb2.Job]) -> Follower:
    made = Follower.__new__(Follower)
    made.story, made.jobs, made._lock = story, jobs, threading.RLock()
    made.session = session_pb2.Session(gates=[session_pb2.GateState(gate="gate", ready=2)])
    return made


def drawn(follower: Any) -> str:
    console = Console(record=True, width=130, file=io.StringIO())
    console.print(board(follower, "Narthex demo", "^C stops"))
    return console.export_text()


def told() -> Story:
    tasks = [world_pb2.Task(task="find", title="Find the [key]"), world_pb2.Task(task="carry")]
    chain = world_pb2.TaskChain(chain="c", title="Open it", tasks=tasks)
    story = Story(world_pb2.World(chains=[chain], gates=[world_pb2.Gate(gate="gate", title="The door", chain="c")]), 0)
    done = event_pb2.TaskSnapshot(task="find", status=event_pb2.TASK_STATUS_COMPLETED)
    started = event_pb2.TaskSnapshot(task="carry", status=event_pb2.TASK_STATUS_STARTED, fraction=0.4)
    story.chains["c"] = event_pb2.ChainSnapshot(
        chain="c", status=event_pb2.CHAIN_STATUS_ACCEPTED, tasks=[done, started]
    )
    return story


def test_the_board_shows_chain_forecast_ladder_and_work(monkeypatch: Any) -> None:
    monkeypatch.setattr("service.demo.board.time", SimpleNamespace(time=lambda: 12.0))
    story = told()
    gate = story.gates["gate"]
    gate.forecasts.append(ForecastPoint(10.0, 20.0, 42.0, 0.85))
    gate.screen.append(ScreenPoint(1.0, "ready", "PLACEHOLDER", 0.0))
    gate.work.append(WorkPoint(11.0, "FULL", "RUNNING", "denoise", 5, 22, 6.4, 2.0))
    job = operate_service_pb2.Job(quality=3, stage="denoise", chunks_done=5, chunks_total=22, spent_s=2.0)
    job.waiters.append("sessions/s/gates/gate")
    text = drawn(follower(story, [job]))
    assert "Open it  accepted" in text and "✓ Find the [key]" in text and "▶ carry 40%" in text
    assert "18 s" in text and "40 s" in text and "85%" in text, "the forecast is counted down by its age"
    assert "■ ready" in text and "▸ 5/22 6 s" in text and "closed" in text
    assert "The door full" in text and "denoise" in text and "5/22" in text


def test_the_board_says_when_nothing_is_at_work_and_a_chance_is_gone() -> None:
    story = told()
    gate = story.gates["gate"]
    gate.forecasts.append(ForecastPoint(0.0, 20.0, 42.0, 0.0))
    gate.work.append(WorkPoint(1.0, "FULL", "CANCELLED", "", 0, 0, 0.0, 0.0))
    gate.screen += [ScreenPoint(2.0, "opened", "", 0.0), ScreenPoint(2.0, "shown", "DRAFT", 0.0)]
    text = drawn(follower(story, []))
    assert "worker idle" in text and "cancelled" in text and "■ shown" in text and "open" in text
