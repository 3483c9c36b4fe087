"""The demo's pictures: contact.png, door.mp4 and timeline.png, from what was fetched and what the client recorded."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from clips.picture import write_png
from clips.video import write_mp4
from examples.vizdoom.game_pace import PICTURES_PER_S
from examples.vizdoom.level import DOORWAYS, Doorway
from recon.scene import Scene4D
from service.demo.contact import GateSheet, contact_sheet
from service.demo.door import Showing, door_frames, showings
from service.demo.gallery import Exhibit
from service.demo.portal import GameFrame, frames_of
from service.demo.report import gate_report, gate_sentence
from service.demo.story import Story
from service.demo.timeline import write_timeline

FULLY_OPEN = 0.88
DOOR_GATE = "blue_gate"
TITLE = "Narthex: a game's own doors, and what was generated behind them"


@dataclass(frozen=True)
class Recording:
    """What the client wrote down: lines of screen.jsonl and of frames.jsonl, and the folder that they lie in."""

    folder: Path
    screen: Sequence[Mapping[str, Any]]
    frames: Sequence[Mapping[str, Any]]

    @staticmethod
    def read(folder: Path) -> Recording:
        """The recording in a folder."""
        return Recording(folder, _lines(folder / "screen.jsonl"), _lines(folder / "frames.jsonl"))

    def near(self, door: Doorway) -> list[GameFrame]:
        """The game's frames around one door, in order of time."""
        return frames_of(self.folder, self.frames, door)


@dataclass(frozen=True)
class Material:
    """All that the pictures are made of; `placeholder` is the scene that stood in, None where there was none."""

    story: Story
    recording: Recording
    exhibits: Sequence[Exhibit]
    placeholder: Scene4D | None

    def of(self, gate: str, quality: str) -> Exhibit | None:
        """The newest exhibit of a gate in a quality."""
        found = [item for item in self.exhibits if item.gate == gate and item.quality == quality]
        return found[-1] if found else None

    def scenes(self, gate: str) -> dict[str, Scene4D]:
        """Quality -> scene of a gate."""
        scenes = {item.quality: item.scene() for item in self.exhibits if item.gate == gate}
        return scenes | ({"PLACEHOLDER": self.placeholder} if self.placeholder is not None else {})


def write_contact(material: Material, path: Path, threads: int) -> None:
    """Writes contact.png: one section for every gate that opened."""
    sheets = [
        _sheet(material, gate, threads) for gate in DOORWAYS if any(item.gate == gate for item in material.exhibits)
    ]
    write_png(contact_sheet(TITLE, sheets, threads), path)


def write_door(material: Material, path: Path, threads: int, say: Callable[[str], None]) -> None:
    """Writes door.mp4: the door that opened too early, from the closed door to the room walked into."""
    door = DOORWAYS[DOOR_GATE]
    shown = showings(material.recording.screen, DOOR_GATE)
    frames = material.recording.near(door)
    scenes = material.scenes(DOOR_GATE)
    pictures = door_frames(
        frames, door, shown, scenes, PICTURES_PER_S, threads, lambda done, total: say(f"frame {done} of {total}")
    )
    say("encoding")
    write_mp4(pictures, path, PICTURES_PER_S)


def write_times(material: Material, path: Path) -> None:
    """Writes timeline.png."""
    write_timeline(material.story, path, "Forecast, work and ladder of every gate")


def _sheet(material: Material, gate: str, threads: int) -> GateSheet:
    door, story = DOORWAYS[gate], material.story.gates[gate]
    frames = material.recording.near(door)
    draft, full = material.of(gate, "DRAFT"), material.of(gate, "FULL")
    scenes = material.scenes(gate)
    closed = next((frame for frame in frames if frame.doors[gate] == 0), None)
    opened = next((frame for frame in frames if frame.doors[gate] > FULLY_OPEN * door.height), None)
    facts = [f"It {gate_sentence(gate_report(story))}"]
    if full is not None:
        facts.insert(0, f"“{full.prompt}”, seed {full.seed}")
    return GateSheet(
        title=story.title,
        facts=facts,
        door=closed.picture() if closed else None,
        opened=_opened(opened, door, scenes, threads) if opened else None,
        draft=draft.clip() if draft else None,
        full=full.clip() if full else None,
        scene=scenes.get("FULL"),
    )


def _opened(frame: GameFrame, door: Doorway, scenes: Mapping[str, Scene4D], threads: int) -> np.ndarray:
    """The game's frame with the FULL scene behind the open door."""
    best = next((quality for quality in ("FULL", "DRAFT", "PLACEHOLDER") if quality in scenes), None)
    shown = [Showing(best, frame.offset_s, frame.offset_s)] if best else []
    return np.asarray(door_frames([frame], door, shown, scenes, PICTURES_PER_S, threads)[0])


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
