"""A process that reports events to a Director and says of each, on stdout, that it was acknowledged.

Run by test_killed_while_reporting.py, which kills it: `python reporting_server.py FOLDER PLAYS FIRST_SEQUENCES`.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path

from service.ids import ChainId, GateId, SessionId, TaskId, WorldId
from service.play.event import ChainAccepted, Event, GateApproached, TaskProgressed
from service.sessions.director import Director, DirectorSettings
from service.sessions.views import ClientProfile
from service.specs import ModelInfo
from service.store.blobs import BlobStore
from service.store.catalogue import Catalogue
from service.store.database import create_tables, open_database
from service.work.table import JobTable

WORLD = b"""
world: one-door
chains: {red: {tasks: {fetch_key: {p50_s: 20, p90_s: 60}}}}
gates: {red_gate: {chain: red, content: {prompt: a brick room in daylight, seed: 1, variation: shared}}}
"""


def say(**fields: object) -> None:
    os.write(1, json.dumps(fields).encode() + b"\n")


def kind_of(sequence: int):
    if sequence == 1:
        return ChainAccepted(ChainId("red"))
    if sequence % 3:
        return TaskProgressed(ChainId("red"), TaskId("fetch_key"), fraction=(sequence % 100) / 100)
    return GateApproached(GateId("red_gate"), float(sequence))


async def play(director: Director, name: str, sequence: int) -> None:
    while True:
        event = Event(f"{name}-{sequence}", sequence, 1_000.0 + sequence, "ab" * 16, kind_of(sequence))
        result = await director.report(SessionId(name), [event])
        say(session=name, sequence=sequence, applied=result.applied_sequence)
        updates = await director.updates(SessionId(name), 0, 10_000, 0.0)
        say(session=name, cursor=updates[-1].cursor)
        sequence += 1


async def main(folder: Path, starts: dict[str, int]) -> None:
    engine = open_database(folder / "narthex.db")
    create_tables(engine)
    catalogue, jobs = Catalogue(engine, time.time), JobTable(engine, time.time)
    settings = DirectorSettings(turn_s=0.01)
    director = Director(engine, BlobStore(folder / "blobs"), catalogue, jobs, time.time, ModelInfo("test"), settings)
    await director.start()
    await director.put_world(WorldId("one-door"), WORLD, False)
    for name, sequence in starts.items():
        if sequence == 1:
            await director.create_session(WorldId("one-door"), ClientProfile(), (), SessionId(name), f"make {name}")
    say(ready=True)
    async with asyncio.TaskGroup() as group:
        group.create_task(director.run())
        for name, sequence in starts.items():
            group.create_task(play(director, name, sequence))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), json.loads(sys.argv[2])))
