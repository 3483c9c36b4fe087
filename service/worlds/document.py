"""The form of world files: pydantic models, from which the JSON Schema for editors is made as well.

A model checks what can be said of one part alone; what several parts must agree on is checked by `references.py`
and `yaml_file.py`.
"""

from __future__ import annotations

import unicodedata
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)

from clips.camera_path import CameraPath, PathKind
from clips.errors import InvalidCameras
from model.errors import InvalidSpec
from model.spec import MAX_PROMPT_CHARACTERS, SEED_LIMIT, check_prompt
from service.worlds import limits
from service.worlds.graybox import GrayboxPart, named_mesh
from service.worlds.part import Part


def _printable(value: str) -> str:
    """The text itself. An escape such as "\\0" can bring in what a file may not hold: databases refuse it."""
    wrong = next((character for character in value if unicodedata.category(character) == "Cc"), None)
    if wrong is not None and wrong not in "\t\n\r":
        raise ValueError(f"allowed text without the control character 0x{ord(wrong):02x}")
    return value


Id = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
WorldName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$")]
Title = Annotated[
    str, StringConstraints(min_length=1, max_length=limits.MAX_TITLE_CHARACTERS), AfterValidator(_printable)
]
Chance = Annotated[float, Field(gt=0.0, le=1.0)]
Seconds = Annotated[float, Field(ge=limits.MIN_SECONDS, le=limits.MAX_SECONDS)]
Size = Annotated[list[int], Field(min_length=2, max_length=2, description="Width and height in pixels.")]
Frames = Annotated[
    int, Field(description=f"Frames of the segment: {', '.join(map(str, limits.SHIPPED.frame_counts))}.")
]
Fps = Annotated[float, Field(ge=limits.MIN_FPS, le=limits.MAX_FPS, description="Frames a second of scene time.")]
Qualities = Annotated[
    list[Literal["draft", "full"]], Field(min_length=1, description="What is made, besides placeholders.")
]
VariationText = Annotated[
    str,
    StringConstraints(pattern=r"^(shared|session|player|pool|pool\([1-9][0-9]{0,3}\))$"),
    Field(description=f"For whom content is made: shared, pool(n) with n up to {limits.MAX_POOL}, session, player."),
]
MeshName = Annotated[str, StringConstraints(pattern=r"^(.+\.glb|base64:.+)$")]
PlaceholderText = Annotated[
    str,
    StringConstraints(pattern=r"^(mist|.+\.npz|base64:.+)$"),
    Field(description="mist, a clip file (.npz) beside the world, or `base64:` and such a file's bytes."),
]
_Value = TypeVar("_Value")


def _kind_of(value: Any) -> str | None:
    if isinstance(value, str):
        return "task"
    if isinstance(value, dict) and len(value) == 1:
        return next((kind for kind in ("all", "any") if kind in value), None)
    if isinstance(value, AllOf | AnyOf):
        return "all" if isinstance(value, AllOf) else "any"
    return None


class AllOf(Part):
    """Every one of these."""

    all: list[Requires]


class AnyOf(Part):
    """At least one of these."""

    any: Annotated[list[Requires], Field(min_length=1)]


Requires = Annotated[
    Annotated[Id, Tag("task")] | Annotated[AllOf, Tag("all")] | Annotated[AnyOf, Tag("any")],
    Discriminator(_kind_of),
]


class TaskPart(Part):
    """One task of a chain."""

    title: Title | None = Field(default=None, description="For people; default: the id.")
    requires: Requires | None = Field(
        None, description="What must be done first: a task, {all: [...]} or {any: [...]}."
    )
    p50_s: Seconds = Field(description="Seconds in which half of the players are done.")
    p90_s: Seconds = Field(description="Seconds in which nine tenths of the players are done; more than p50_s.")
    chance: Chance = Field(1.0, description="Chance that a player takes this task where others lead on as well.")

    @field_validator("p90_s")
    @classmethod
    def _longer(cls, value: float, info: ValidationInfo) -> float:
        p50_s = info.data.get("p50_s")
        if p50_s is not None and value <= p50_s:
            raise ValueError(f"allowed more than p50_s, which is {p50_s:g}")
        return value


class ChainPart(Part):
    """A chain of tasks that opens gates."""

    title: Title | None = Field(default=None, description="For people; default: the id.")
    abandon_chance: float = Field(0.0, ge=0.0, le=1.0, description="Chance that a player who accepts it gives it up.")
    tasks: dict[Id, TaskPart] = Field(min_length=1, max_length=limits.MAX_TASKS)


class CameraPart(Part):
    """The camera's way during the segment, in the gate frame; limits are those of clips.camera_path."""

    path: Literal["walk_in", "pan", "orbit", "still", "shake"] = Field(
        "walk_in", description="How the camera moves; shake walks in as if it were held in the hand."
    )
    start_z_m: float = Field(CameraPath.start_z_m, description="Where it starts: 0 is the threshold, metres.")
    distance_m: float = Field(CameraPath.distance_m, description="How far walk_in and shake go, metres.")
    angle_deg: float = Field(CameraPath.angle_deg, description="How far pan turns or orbit circles, degrees.")
    eye_height_m: float = Field(CameraPath.eye_height_m, description="Height of the eye above the floor, metres.")
    fov_x_deg: float = Field(CameraPath.fov_x_deg, description="Horizontal field of view, degrees.")
    shake_seed: int = Field(CameraPath.shake_seed, description="Which way shake trembles.")

    @field_validator("start_z_m", "distance_m", "angle_deg", "eye_height_m", "fov_x_deg", "shake_seed")
    @classmethod
    def _possible(cls, value: float, info: ValidationInfo) -> float:
        alone: dict[str, Any] = {str(info.field_name): value}
        try:
            CameraPath(**alone)
        except InvalidCameras as error:
            raise ValueError(f"allowed {str(error).partition('must be ')[2].partition(', got')[0]}") from error
        return value

    def camera_path(self) -> CameraPath:
        """The path as clips has it."""
        numbers = self.model_dump(exclude={"path"})
        return CameraPath(kind=PathKind(self.path), **numbers)


class DefaultsPart(Part):
    """What counts for every gate that does not say otherwise."""

    size: Size | None = None
    fps: Fps | None = None
    frames: Frames | None = None
    qualities: Qualities | None = None
    placeholder: PlaceholderText | None = None
    variation: VariationText | None = None
    camera: CameraPart | None = None
    control: Literal["auto", "none", "layout"] | None = Field(
        default=None,
        description="What steers the picture besides the prompt: none: nothing; layout: a blockout that is sampled "
        "from the prompt; auto: the gate's graybox where it has one, else what was measured to be better.",
    )

    @field_validator("qualities")
    @classmethod
    def _each_once(cls, value: list[str] | None) -> list[str] | None:
        if value is not None and len(set(value)) < len(value):
            raise ValueError("allowed each quality once")
        return value

    @field_validator("variation")
    @classmethod
    def _pool_in_reach(cls, value: str | None) -> str | None:
        size = value[5:-1] if value and value.startswith("pool(") else "1"
        if int(size) > limits.MAX_POOL:
            raise ValueError(f"allowed pool(1) to pool({limits.MAX_POOL})")
        return value


class ContentPart(DefaultsPart):
    """What lies behind a gate."""

    prompt: str = Field(min_length=1, max_length=MAX_PROMPT_CHARACTERS, description="What is seen, in words.")
    seed: int = Field(0, ge=0, lt=SEED_LIMIT, description="Decides the content together with the prompt.")
    duration_s: float | None = Field(default=None, gt=0.0, description="Instead of frames: length in scene seconds.")
    graybox: Annotated[
        GrayboxPart | None, BeforeValidator(named_mesh, json_schema_input_type=GrayboxPart | MeshName | None)
    ] = Field(default=None, description="Where things are; the model makes their look. A name: its mesh_file alone.")

    @field_validator("prompt")
    @classmethod
    def _says_something(cls, value: str) -> str:
        try:
            check_prompt(value)
        except InvalidSpec as error:
            raise ValueError(f"allowed a prompt that says something, not all spaces; {error}") from None
        return _printable(value)

    @model_validator(mode="after")
    def _one_length(self) -> ContentPart:
        if self.frames is not None and self.duration_s is not None:
            raise ValueError("allowed frames or duration_s, not both")
        return self


class GatePart(Part):
    """The obstacle that a chain opens, and the content behind it."""

    title: Title | None = Field(default=None, description="For people; default: the id.")
    chain: Id = Field(description="The chain that opens it.")
    requires: Requires | None = Field(
        None, description="Tasks of that chain; default: all that no other task requires."
    )
    content: ContentPart


class WorldDocument(Part):
    """A Narthex world: task chains, gates and the content behind them."""

    world: WorldName | None = Field(default=None, description="The world's id: lower-case letters, digits and hyphens.")
    title: Title | None = Field(default=None, description="For people; default: the id.")
    defaults: DefaultsPart = Field(default_factory=DefaultsPart)
    chains: dict[Id, ChainPart] = Field(min_length=1, max_length=limits.MAX_CHAINS)
    gates: dict[Id, GatePart] = Field(min_length=1, max_length=limits.MAX_GATES)


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of world files, for editors."""
    schema = WorldDocument.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "Narthex world"}
