"""World and its parts as frozen values. Reading YAML is `yaml_file.py`; nothing here knows of files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from clips.camera_path import CameraPath
from model.spec_control import Control
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


def is_met(requirement: Requirement, is_done: Callable[[TaskId], bool]) -> bool:
    """Whether `requirement` is satisfied when `is_done` says which tasks are completed."""
    if isinstance(requirement, TaskDone):
        return is_done(requirement.task)
    if isinstance(requirement, All):
        return all(is_met(part, is_done) for part in requirement.parts)
    return any(is_met(part, is_done) for part in requirement.parts)


def tasks_named(requirement: Requirement) -> tuple[TaskId, ...]:
    """The tasks that `requirement` names, in order, each once."""
    if isinstance(requirement, TaskDone):
        return (requirement.task,)
    return tuple(dict.fromkeys(task for part in requirement.parts for task in tasks_named(part)))


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

    @cached_property
    def followers(self) -> Mapping[TaskId, tuple[TaskId, ...]]:
        """For every task, the tasks whose requirement names it."""
        followers: dict[TaskId, list[TaskId]] = {task: [] for task in self.tasks}
        for task in self.tasks.values():
            for before in tasks_named(task.requires):
                followers[before].append(task.task)
        return {task: tuple(after) for task, after in followers.items()}

    @cached_property
    def end_tasks(self) -> tuple[TaskId, ...]:
        """The tasks that no other task requires."""
        return tuple(task for task, after in self.followers.items() if not after)

    @cached_property
    def branches(self) -> tuple[tuple[TaskId, ...], ...]:
        """The groups of tasks among which a player may choose: equal requirements, and some chance below 1."""
        groups: dict[Requirement, list[TaskId]] = {}
        for task in self.tasks.values():
            groups.setdefault(task.requires, []).append(task.task)
        return tuple(tuple(group) for group in groups.values() if any(self.tasks[task].chance < 1 for task in group))


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


Position = tuple[float, float, float]
"""Metres in the gate frame: x right, y down, z into the room."""


@dataclass(frozen=True)
class Collider:
    """The mesh that engines collide with: a GLB file, and where a way over it begins and ends, where that is said."""

    glb: bytes
    spawn_m: Position | None = None
    exit_m: Position | None = None

    @cached_property
    def sha256(self) -> str:
        """The file's SHA-256 (hex): the asset's name."""
        return hashlib.sha256(self.glb).hexdigest()


@dataclass(frozen=True)
class Content:
    """What lies behind a gate. `placeholder` is None for the built-in mist room, else the bytes of a clip
    file (`.npz` of clips.clip.save_clip) that the designer named. `control` steers the picture: a blockout or a
    depth clip where the gate has a graybox. `collider` is what engines collide with where the world brings a mesh.
    """

    prompt: str
    seed: int
    variation: Variation
    frames: int
    fps: float
    camera_path: CameraPath
    width_px: int
    height_px: int
    control: Control
    placeholder: bytes | None
    qualities: tuple[Quality, ...]
    collider: Collider | None = None

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

    @cached_property
    def gates_of(self) -> Mapping[ChainId, tuple[Gate, ...]]:
        """The gates that each chain opens."""
        return {chain: tuple(gate for gate in self.gates.values() if gate.chain == chain) for chain in self.chains}
