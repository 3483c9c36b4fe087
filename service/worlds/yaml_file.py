"""World files: YAML to World, or one error that names all that is wrong."""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from pydantic import ValidationError

from model.revision import DEFAULT_CONTROL
from model.spec_control import NO_CONTROL, Control, ControlKind
from service.ids import ChainId, GateId, TaskId, WorldId
from service.quality import Quality
from service.worlds import limits, problems
from service.worlds.document import (
    AllOf,
    AnyOf,
    CameraPart,
    ChainPart,
    ContentPart,
    DefaultsPart,
    GatePart,
    Requires,
    WorldDocument,
)
from service.worlds.form import document_of
from service.worlds.graybox import BadGraybox, check_fits, collider_of_part, control_of
from service.worlds.placeholder import MIST, BadPlaceholder, placeholder_bytes
from service.worlds.problems import Problem, got
from service.worlds.references import in_order, reference_problems
from service.worlds.sizes import OF_THE_SHIPPED, SizeRule
from service.worlds.world import (
    NOTHING,
    All,
    Collider,
    Content,
    Duration,
    Gate,
    Requirement,
    Task,
    TaskChain,
    TaskDone,
    Variation,
    VariationKind,
    World,
    tasks_named,
)
from service.worlds.world import (
    Any as AnyPart,
)
from service.worlds.yaml_text import YamlText, read_yaml

BUILT_IN = DefaultsPart(
    size=[limits.SHIPPED.width, limits.SHIPPED.height],
    fps=8.0,
    frames=limits.SHIPPED.frames,
    qualities=["draft", "full"],
    placeholder=MIST,
    variation="pool(8)",
    camera=CameraPart.model_validate({}),
    control="auto",
)
"""What counts where neither a gate nor the world's `defaults` say anything; other weights have their own size."""
_Model = TypeVar("_Model", bound=DefaultsPart)


def parse_world(
    source: bytes,
    name: str = "world.yaml",
    base_dir: Path | None = None,
    world_id: WorldId | None = None,
    sizes: SizeRule = OF_THE_SHIPPED,
) -> World:
    """The world that the YAML `source` describes.

    `name` is the file's, for messages. `base_dir` is where placeholder clips lie; without it only those that are
    written into the file can be read. `world_id`: the id that it must have, or gets where the source has none.
    `sizes`: which are taken; those of the shipped weights unless said.

    Raises:
        InvalidInput: with reason INVALID_WORLD; the message has a line for every problem, `fields` their paths.
    """
    text = read_yaml(source)
    found = list(text.problems)
    if text.value is None or not text.is_whole:
        raise problems.error_of(name, found)
    if not isinstance(text.value, dict):
        found.append(Problem(1, (), f"got {got(text.value)}, allowed a mapping with world, chains and gates"))
        raise problems.error_of(name, found)
    document, wrong = document_of(text)
    said = {problem.path for problem in found}
    found += [problem for problem in wrong if problem.path not in said]
    found += [*reference_problems(text), *_world_id_problems(text, world_id)]
    contents = _contents(text, base_dir, sizes, found)
    if found or document is None:
        raise problems.error_of(name, found)
    return _world(document, source, world_id, contents)


def load_world(path: Path, sizes: SizeRule = OF_THE_SHIPPED) -> World:
    """The world in a file; `sizes` as in `parse_world`.

    Raises:
        InvalidInput: see `parse_world`.
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        source = file.read(limits.MAX_SOURCE_BYTES + 1)
    return parse_world(source, str(path), path.parent, sizes=sizes)


def _world_id_problems(text: YamlText, world_id: WorldId | None) -> list[Problem]:
    written = text.value.get("world")
    if written is None and world_id is None:
        return [Problem(1, ("world",), "got nothing, allowed an id of lower-case letters, digits and hyphens")]
    if isinstance(written, str) and world_id is not None and written != world_id:
        return [Problem(text.line(("world",)), ("world",), f"got {got(written)}, allowed {world_id!r}, as it is put")]
    return []


def _contents(text: YamlText, base_dir: Path | None, sizes: SizeRule, found: list[Problem]) -> dict[GateId, Content]:
    """The content of every gate; adds what is wrong with what defaults and gate say together.

    Fields with problems of their own are left out, so that those of the others are found in the same check.
    """
    wrong = {problem.path for problem in found}
    defaults = _model(DefaultsPart, text.value.get("defaults"), ("defaults",), wrong) or DefaultsPart()
    gates = text.value.get("gates")
    contents: dict[GateId, Content] = {}
    for gate, part in gates.items() if isinstance(gates, dict) else ():
        path: problems.Path = ("gates", gate, "content")
        content = _model(ContentPart, part.get("content") if isinstance(part, dict) else None, path, wrong)
        if content is not None:
            merged = _Merged(content, defaults, sizes, text, path)
            contents[GateId(gate)] = merged.content(base_dir)
            found += merged.problems
    return contents


def _model(model: type[_Model], written: Any, path: problems.Path, wrong: set[problems.Path]) -> _Model | None:
    """The part without its wrong fields; None where even that is none."""
    if not isinstance(written, dict):
        return None
    inside = {at[: len(path) + 1] for at in wrong if at[: len(path)] == path and len(at) > len(path)}
    right = {field: value for field, value in written.items() if (*path, field) not in inside}
    if model is ContentPart:
        right.setdefault("prompt", "?")
    try:
        return model.model_validate(right)
    except ValidationError:
        return None


class _Merged:
    """A gate's content over the world's defaults over the built-in ones."""

    def __init__(
        self, content: ContentPart, defaults: DefaultsPart, sizes: SizeRule, text: YamlText, path: problems.Path
    ) -> None:
        made = sizes.made
        own = BUILT_IN.model_copy(update={"size": [made.width, made.height], "frames": made.frames})
        self._content, self._parts = content, (content, defaults, own)
        self._sizes, self._text, self._path = sizes, text, path
        self.problems: list[Problem] = []

    def content(self, base_dir: Path | None) -> Content:
        """The content; what it is where `problems` were found does not count."""
        fps = float(self._value("fps"))
        width_px, height_px = self._size()
        frames = self._frames(fps)
        return Content(
            prompt=self._content.prompt,
            seed=self._content.seed,
            variation=_variation(self._value("variation")),
            frames=frames,
            fps=fps,
            camera_path=self._value("camera").camera_path(),
            width_px=width_px,
            height_px=height_px,
            control=self._control((frames, width_px, height_px), fps, base_dir),
            placeholder=self._placeholder(base_dir),
            qualities=tuple(sorted(Quality[quality.upper()] for quality in self._value("qualities"))),
            collider=self._collider(base_dir),
        )

    def _size(self) -> tuple[int, int]:
        """Width and height; the model's own where what is written is wrong, so that nothing huge is made of it."""
        width_px, height_px = self._value("size")
        right = self._sizes.has_size(width_px, height_px)
        self._check(right, "size", [width_px, height_px], self._sizes.size_text)
        return (width_px, height_px) if right else (self._sizes.made.width, self._sizes.made.height)

    def _frames(self, fps: float) -> int:
        """The number of frames; the model's own where what is written is wrong."""
        duration_s, sizes = self._content.duration_s, self._sizes
        if duration_s is None:
            frames = int(self._value("frames"))
            self._check(sizes.has_frames(frames), "frames", frames, sizes.frames_text)
            return frames if sizes.has_frames(frames) else sizes.made.frames
        frames = round(duration_s * fps)
        lengths = " or ".join(f"{count / fps:g}" for count in sizes.made.frame_counts)
        right = sizes.has_frames(frames) and abs(frames / fps - duration_s) < 0.51 / fps
        self._check(right, "duration_s", duration_s, f"{lengths} at {fps:g} fps ({sizes.frames_text} frames)")
        return frames if right else sizes.made.frames

    def _placeholder(self, base_dir: Path | None) -> bytes | None:
        written = self._value("placeholder")
        try:
            return placeholder_bytes(written, base_dir)
        except BadPlaceholder as error:
            path = self._where("placeholder")
            text = f"got {got(written)}, {error}: allowed mist or a clip file of narthex (.npz)"
            self.problems.append(Problem(self._text.line(path), path, text))
            return None

    def _control(self, size: tuple[int, int, int], fps: float, base_dir: Path | None) -> Control:
        part = self._content.graybox
        if part is None or not part.steers:
            written = self._value("control")
            return Control(ControlKind(DEFAULT_CONTROL if written == "auto" else written))
        asked = self._content.control or "auto"
        self._check(asked == "auto", "control", asked, "auto beside a graybox, or no graybox")
        try:
            control = control_of(part, base_dir)
            check_fits(control, self._value("camera").camera_path().cameras(*size), fps)
        except BadGraybox as error:
            self._tell(error)
            return NO_CONTROL
        return control

    def _collider(self, base_dir: Path | None) -> Collider | None:
        try:
            return None if self._content.graybox is None else collider_of_part(self._content.graybox, base_dir)
        except BadGraybox as error:
            self._tell(error)
            return None

    def _tell(self, error: BadGraybox) -> None:
        path = (*self._path, "graybox", *error.path)
        self.problems.append(Problem(self._text.line(path), path, str(error)))

    def _check(self, right: bool, field: str, value: object, allowed: str) -> None:
        if not right:
            path = self._where(field)
            shown = value if isinstance(value, list) else got(value)
            self.problems.append(Problem(self._text.line(path), path, f"got {shown}, allowed {allowed}"))

    def _value(self, field: str) -> Any:
        for part in self._parts:
            value = getattr(part, field)
            if value is not None:
                return value
        raise AttributeError(field)

    def _where(self, field: str) -> problems.Path:
        return ("defaults", field) if getattr(self._content, field) is None else (*self._path, field)


def _world(document: WorldDocument, source: bytes, world_id: WorldId | None, contents: dict[GateId, Content]) -> World:
    found = WorldId(document.world or world_id or "")
    chains = {ChainId(chain): _chain(chain, part) for chain, part in document.chains.items()}
    gates = {
        GateId(gate): _gate(gate, part, chains[ChainId(part.chain)], contents[GateId(gate)])
        for gate, part in document.gates.items()
    }
    return World(
        world_id=found,
        title=document.title or _title(found),
        chains=MappingProxyType(chains),
        gates=MappingProxyType(gates),
        source=source,
        revision=hashlib.sha256(source).hexdigest(),
    )


def _chain(chain: str, part: ChainPart) -> TaskChain:
    requirements = {task: _requirement(at.requires) for task, at in part.tasks.items()}
    tasks: dict[TaskId, Task] = {}
    for name in in_order({task: tasks_named(requirement) for task, requirement in requirements.items()}):
        at = part.tasks[name]
        duration = Duration(float(at.p50_s), float(at.p90_s))
        tasks[TaskId(name)] = Task(
            TaskId(name), at.title or _title(name), requirements[name], duration, float(at.chance)
        )
    return TaskChain(ChainId(chain), part.title or _title(chain), MappingProxyType(tasks), float(part.abandon_chance))


def _gate(gate: str, part: GatePart, chain: TaskChain, content: Content) -> Gate:
    if part.requires is None:
        requires: Requirement = All(tuple(TaskDone(task) for task in chain.end_tasks))
    else:
        requires = _requirement(part.requires)
    return Gate(GateId(gate), part.title or _title(gate), chain.chain, requires, content)


def _requirement(written: Requires | None) -> Requirement:
    if written is None:
        return NOTHING
    if isinstance(written, AllOf):
        return All(tuple(_requirement(part) for part in written.all))
    if isinstance(written, AnyOf):
        return AnyPart(tuple(_requirement(part) for part in written.any))
    return TaskDone(TaskId(written))


def _variation(written: str) -> Variation:
    kind, _, size = written.partition("(")
    return Variation(VariationKind(kind), int(size[:-1])) if size else Variation(VariationKind(kind))


def _title(name: str) -> str:
    words = name.replace("_", " ").replace("-", " ").strip()
    return words[:1].upper() + words[1:]
