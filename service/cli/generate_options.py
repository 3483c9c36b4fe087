"""What steers `narthex generate` besides the prompt: files and words of its options, read and checked."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from model.errors import InvalidSpec
from model.revision import DEFAULT_CONTROL
from model.spec_control import Control, ControlKind, FirstFrame
from service.errors import InvalidInput

if TYPE_CHECKING:
    from model.generate import Generator


class ControlChoice(StrEnum):
    """Values of --control."""

    AUTO = "auto"
    NONE = "none"
    LAYOUT = "layout"


ControlOption = Annotated[
    ControlChoice, typer.Option(help="Steered by the prompt alone, or by a layout sampled from it.")
]
GrayboxOption = Annotated[
    Path | None, typer.Option(help="Steered by this blockout: YAML or JSON as `graybox:` of a world.")
]
DepthOption = Annotated[
    Path | None,
    typer.Option(
        help="Steered by this depth: .npy (frames, height, width), floats in metres or uint16 in millimetres."
    ),
]
FirstFrameOption = Annotated[
    Path | None, typer.Option(help="A clip (.npz) of the same camera whose first frame this one begins with.")
]
LoraOption = Annotated[
    list[str] | None,
    typer.Option(help="An adapter to wear, and its weight; may be repeated.", metavar="FILE[:WEIGHT]"),
]


def control_of_options(choice: ControlChoice, graybox: Path | None, depth: Path | None) -> Control:
    """The control that the options ask for.

    Raises:
        InvalidInput: they contradict each other, or a file says no control; the message names what is wrong.
        OSError: the blockout's file cannot be read.
    """
    from service.worlds.depth_file import BadDepthFile, read_depth_file
    from service.worlds.graybox_file import load_graybox

    if graybox is None and depth is None:
        return Control(ControlKind(DEFAULT_CONTROL if choice is ControlChoice.AUTO else choice))
    if choice is not ControlChoice.AUTO or (graybox is not None and depth is not None):
        raise InvalidInput("--graybox, --control-depth and --control none or layout: give one of them")
    if graybox is not None:
        return load_graybox(graybox)
    try:
        return Control(ControlKind.DEPTH, depth=read_depth_file(depth)) if depth is not None else Control()
    except (BadDepthFile, InvalidSpec) as error:
        raise InvalidInput(f"--control-depth: got {depth}, {error}") from error


def first_frame_of(clip: Path | None) -> FirstFrame | None:
    """The first frame of a clip file. Raises ClipError."""
    from clips.clip import load_clip

    if clip is None:
        return None
    loaded = load_clip(clip)
    return FirstFrame(loaded.frames[0], loaded.depth[0])


def put_on_loras(generator: Generator, written: list[str]) -> None:
    """Let the generator wear the adapters `FILE[:WEIGHT]`, each under its file's name.

    Raises:
        InvalidInput: two files have one name.
        ModelError: a file is no adapter, or none for these weights, or a weight is out of range.
    """
    from model.lora_file import load_lora

    for one in written:
        file, weight = _file_and_weight(one)
        if file.stem in generator.loras.weights:
            raise InvalidInput(f"--lora: two files are named {file.stem!r}; give each once, with one weight")
        generator.loras.put_on(file.stem, load_lora(file), weight)


def _file_and_weight(written: str) -> tuple[Path, float]:
    file, colon, weight = written.rpartition(":")
    try:
        return (Path(file), float(weight)) if colon and file else (Path(written), 1.0)
    except ValueError:
        return Path(written), 1.0
