"""World and its parts as frozen values. Reading YAML is `yaml_file.py`; nothing here knows of files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from clips.camera_path import CameraPath
from service.ids import ChainId, GateId, TaskId, WorldId
from service.quality import Quality


@dataclass(frozen=True)
class TaskDone:
    """Satisfied when the task is completed."""

    task: TaskId


@dataclass(frozen=True)
class All:
    """Satisfied when every part is; with no parts, always."""

    parts: tuple[Requirement, ...]


@dataclass(frozen=True)
class Any:
    """Satisfied when at least one part is."""

    parts: tuple[Requirement, ...]


Requirement = TaskDone | All | Any
NOTHING = All(())


@dataclass(frozen=True)
class Duration:
    """Seconds in which half (`p50_s`) and nine tenths (`p90_s`) of the players are done; p90_s > p50_s > 0."""

    p50_s: float
    p90_s: float


@dataclass(frozen=True)
class Task:
    """One task: what must be done before, how long it takes, and the chance that it is taken at a branch."""

    task: TaskId
    title: str
    requires: Requirement
    duration: Duration
    chance: float


@dataclass(frozen=True)
class TaskChain:
    """A directed acyclic graph of tasks, in topological order."""

    chain: ChainId
    title: str
    tasks: Mapping[TaskId, Task]
    abandon_chance: float


class VariationKind(StrEnum):
    """For whom a gate's content is made."""

    SHARED = "shared"
    POOL = "pool"
    SESSION = "session"
    PLAYER = "player"


@dataclass(frozen=True)
class Variation:
    """`pool_size` counts only for POOL."""

    kind: VariationKind
    pool_size: int = 8


@dataclass(frozen=True)
class Content:
    """What lies behind a gate. `placeholder` is None for the built-in mist room, else the bytes of a clip
    file (`.npz` of clips.clip.save_clip) that the designer named; `control` is "none" for now.
    """

    prompt: str
    seed: int
    variation: Variation
    frames: int
    fps: float
    camera_path: CameraPath
    width_px: int
    height_px: int
    control: str
    placeholder: bytes | None
    qualities: tuple[Quality, ...]

    @property
    def duration_s(self) -> float:
        """Length of the segment in scene seconds."""
        return self.frames / self.fps


@dataclass(frozen=True)
class Gate:
    """The obstacle that a chain opens, and the content behind it."""

    gate: GateId
    title: str
    chain: ChainId
    requires: Requirement
    content: Content


@dataclass(frozen=True)
class World:
    """Task chains, gates and the content behind them. `revision` is the SHA-256 (hex) of `source`."""

    world_id: WorldId
    title: str
    chains: Mapping[ChainId, TaskChain]
    gates: Mapping[GateId, Gate]
    source: bytes
    revision: str
