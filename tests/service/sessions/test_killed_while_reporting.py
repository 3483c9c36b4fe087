"""kill -9 at random moments: what was acknowledged is there, and cursors that were seen are never given twice."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from service.ids import SessionId
from service.play.session import new_session
from service.sessions import tables
from service.sessions.archive import Archive
from service.sessions.world_table import WorldTable
from service.store.database import open_database, read

ROOT = Path(__file__).resolve().parents[3]
PLAYS = [f"play-{index}" for index in range(4)]


def lines(process: subprocess.Popen[bytes]) -> Iterator[dict[str, object]]:
    assert process.stdout is not None
    for line in process.stdout:
        if line.endswith(b"\n"):
            yield json.loads(line)


def run_and_kill(folder: Path, starts: dict[str, int], acknowledgements: int) -> list[dict[str, object]]:
    """What a server said before it was killed, after some number of acknowledgements."""
    command = [sys.executable, str(Path(__file__).with_name("reporting_server.py")), str(folder), json.dumps(starts)]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'protos'}"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, cwd=ROOT)
    said = []
    try:
        for line in lines(process):
            said.append(line)
            if sum("sequence" in item for item in said) >= acknowledgements:
                break
        process.kill()
        said.extend(lines(process))
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    return said


@pytest.mark.slow
def test_every_acknowledged_event_survives(tmp_path):
    draw = random.Random(7)
    starts = dict.fromkeys(PLAYS, 1)
    cursors = dict.fromkeys(PLAYS, 0)
    for _ in range(3):
        said = run_and_kill(tmp_path, starts, draw.randrange(30, 90))
        acknowledged = {name: starts[name] - 1 for name in PLAYS}
        for item in said:
            name = item.get("session")
            if "sequence" in item:
                assert item["sequence"] == item["applied"] == acknowledged[name] + 1
                acknowledged[name] = item["sequence"]
            elif "cursor" in item:
                assert item["cursor"] >= cursors[name]
                cursors[name] = item["cursor"]
        starts = check(tmp_path, acknowledged, cursors)


def check(folder: Path, acknowledged: dict[str, int], cursors: dict[str, int]) -> dict[str, int]:
    """The numbers after which to go on; events beyond the acknowledged ones may be there, without gaps."""
    engine = open_database(folder / "narthex.db")
    archive = Archive(engine, WorldTable(engine, time.time).revision, 512)
    starts = {}
    for name, sequence in acknowledged.items():
        session = archive.load(SessionId(name))
        assert session.applied_sequence >= sequence
        assert session.ring.newest >= cursors[name]
        with read(engine) as connection:
            events = select(func.count()).where(tables.events.c.session_id == name)
            updates = select(func.max(tables.updates.c.cursor)).where(tables.updates.c.session_id == name)
            assert connection.execute(events).scalar() == session.applied_sequence
            assert connection.execute(updates).scalar() == session.ring.newest
        if session.applied_sequence:
            assert session.state != new_session(session.world, (), session.facts.create_s)
        starts[name] = session.applied_sequence + 1
    engine.dispose()
    return starts
