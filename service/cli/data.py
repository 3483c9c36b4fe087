"""`narthex data`: clips to train on; render, import, look at and describe them."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from service.cli.app import exit_status

if TYPE_CHECKING:
    from clips.footage.transforms_json import TransformsRule

data_app = typer.Typer(no_args_is_help=True, add_completion=False)
SHOWN_ROWS = 30
MAX_CLIPS = 1_000_000
MAX_FIRST_SEED = 2**62


class FramesAsOption(StrEnum):
    """How frames are written, both without loss."""

    PNG = "png"
    MP4 = "mp4"


class DepthAsOption(StrEnum):
    """How depth is written: float32 without loss, or 16-bit pictures."""

    NPZ = "npz"
    PNG = "png"


class DepthKind(StrEnum):
    """What a depth is the distance to."""

    PLANAR = "planar"
    RAY = "ray"


Out = Annotated[Path, typer.Option(help="Folder of the data set; made if missing, gone on with if it is there.")]
Size = Annotated[str, typer.Option(help="WIDTHxHEIGHT of the clips, pixels.")]
Frames = Annotated[int, typer.Option(help="Frames of a clip.", min=1, max=1000)]
Fps = Annotated[float, typer.Option(help="Frames per second.", min=0.5, max=240.0)]
Clips = Annotated[int, typer.Option(help="How many clips, from --first-seed on.", min=1, max=MAX_CLIPS)]
FirstSeed = Annotated[int, typer.Option(help="Seed of the first clip.", min=0, max=MAX_FIRST_SEED)]
HeldOut = Annotated[bool, typer.Option("--held-out", help="Rooms of the held-out domain, which no training sees.")]
Pairs = Annotated[bool, typer.Option("--pairs", help="Rooms with a pair of attributes that no training room has.")]
HeldOutPaths = Annotated[bool, typer.Option("--held-out-paths", help="Cameras unlike any of training's.")]
FramesAs = Annotated[FramesAsOption, typer.Option("--frames-as", help="Frames as pictures or one lossless video.")]
DepthAs = Annotated[DepthAsOption, typer.Option("--depth-as", help="Depth as float32 (npz) or 16-bit pictures (png).")]
DepthUnits = Annotated[
    float | None, typer.Option("--depth-units-per-m", help="Steps a metre in depth files; default 1, for png 4000.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
PNG_UNITS_PER_M = 4000.0


@data_app.callback()
def _group() -> None:
    """Clips to train on, as folders that any engine can write (docs/clip-folders.md)."""


@data_app.command("render")
def render(
    out: Out,
    *,
    clips: Clips = 100,
    first_seed: FirstSeed = 0,
    held_out: HeldOut = False,
    pairs: Pairs = False,
    held_out_paths: HeldOutPaths = False,
    frames: Frames = 17,
    size: Size = "96x64",
    fps: Fps = 8.0,
    blockout: Annotated[bool, typer.Option(help="Also the depth of each room's blockout.")] = True,
    flow: Annotated[bool, typer.Option("--flow", help="Also the exact optical flow.")] = False,
    frames_as: FramesAs = FramesAsOption.PNG,
    depth_as: DepthAs = DepthAsOption.NPZ,
    depth_units_per_m: DepthUnits = None,
    as_json: AsJson = False,
) -> None:
    """Render dungeon clips from seeds into a clip folder. Stopped or killed, the same command goes on.

    Examples:

        narthex data render --out clips/train --clips 200

        narthex data render --out clips/pairs --clips 60 --pairs --held-out-paths --flow --json
    """
    from clips.footage.dungeon_footage import DungeonRecipe
    from clips.footage.frame_files import FramesAs as FrameFiles
    from clips.footage.plane_files import DepthAs as DepthFiles
    from service.cli.data_making import rendered

    with _errors("render"):
        width, height = _size(size)
        recipe = DungeonRecipe(
            frames, width, height, fps, held_out, pairs, held_out_paths, with_blockout=blockout, with_flow=flow
        )
        units = _units(depth_as, depth_units_per_m)
        files = (FrameFiles(frames_as.value), DepthFiles(depth_as.value))
        with _bar("rendering", clips, quiet=as_json) as advance:
            report = rendered(recipe, out, (first_seed, clips), units, files, advance)
    _tell(report, f"{report['written']} clips written to {out}, {report['kept']} were there", as_json=as_json)


@data_app.command("import")
def import_(
    source: Annotated[Path, typer.Argument(help="A capture: dataset.json or transforms.json in it.", metavar="SRC")],
    target: Annotated[Path, typer.Argument(help="Folder of the new data set.", metavar="DEST")],
    *,
    size: Size = "96x64",
    frames: Frames = 17,
    fps: Fps = 8.0,
    source_fps: Annotated[
        float | None, typer.Option(help="transforms.json: frames per second of the capture.", min=0.5, max=1000.0)
    ] = None,
    system: Annotated[str, typer.Option(help="transforms.json: whose axes; see docs/clip-folders.md.")] = "nerfstudio",
    depth_kind: Annotated[DepthKind, typer.Option(help="transforms.json: what depth measures.")] = DepthKind.PLANAR,
    frames_as: FramesAs = FramesAsOption.PNG,
    depth_as: DepthAs = DepthAsOption.NPZ,
    depth_units_per_m: DepthUnits = None,
    as_json: AsJson = False,
) -> None:
    """Import captures of an engine of your own: axes, depth, size, length and frame rate become those of training.

    What cannot be used is named, skipped and counted; the rest goes on. A long capture becomes several clips.

    Examples:

        narthex data import captures/abbey clips/abbey

        narthex data import scans/hall clips/hall --source-fps 30 --size 96x64 --frames 33 --fps 8
    """
    from clips.footage.fitting import Fit
    from clips.footage.frame_files import FramesAs as FrameFiles
    from clips.footage.importing import captures_in, import_captures
    from clips.footage.plane_files import DepthAs as DepthFiles
    from service.cli.data_looking import without_clips

    with _errors("import"):
        width, height = _size(size)
        captures = captures_in(source, _rule(source_fps, system, depth_kind))
        with _bar("importing", len(captures.names), quiet=as_json) as advance:
            done = import_captures(
                captures,
                target,
                Fit(width, height, frames, fps),
                depth_units_per_m=_units(depth_as, depth_units_per_m),
                frames_as=FrameFiles(frames_as.value),
                depth_as=DepthFiles(depth_as.value),
                on_progress=lambda count, _: advance(count),
            )
    report = {"out": str(target), **asdict(done), "written": len(done.written), "clips": list(done.written)}
    line = f"{len(done.written)} clips written to {target}, {done.kept} were there, {len(done.skipped)} skipped"
    _tell(report, f"{line}, {done.unused_frames} frames at the ends of captures unused", as_json=as_json)
    if not done.written and not done.kept:
        typer.echo(f"narthex data import: {without_clips(source, len(done.skipped))}", err=True)
        raise typer.Exit(1)


@data_app.command("inspect")
def inspect(
    path: Annotated[Path, typer.Argument(help="A data set, one clip of it, or a .npz clip.", metavar="PATH")],
    *,
    sheet: Annotated[Path | None, typer.Option(help="Also write a PNG: frames, depth, masks, flow.")] = None,
    sheet_clips: Annotated[int, typer.Option(help="Clips of a data set that the sheet shows.", min=1, max=100)] = 4,
    all_rows: Annotated[bool, typer.Option("--all", help="List every clip.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what is in a data set or a clip, and name every clip that cannot be used; exit 1 for one such, or no clips.

    Examples:

        narthex data inspect clips/train --sheet train.png

        narthex data inspect clips/train/seed-000007 --sheet seven.png

        narthex data inspect clips/train --json
    """
    from service.cli.data_looking import looked_at, show, without_clips, write_sheet

    with _errors("inspect"):
        look = looked_at(path)
        empty = not look.summary.rows
        sheet = None if empty else sheet
        if sheet is not None:
            write_sheet(look, sheet, sheet_clips)
    if as_json:
        rows = [asdict(row) for row in look.summary.rows]
        report = {"path": str(path), "clips": rows, "doubts": list(look.summary.doubts)}
        skipped = [asdict(skip) for skip in look.summary.skipped]
        typer.echo(json.dumps({**report, "skipped": skipped, **({"sheet": str(sheet)} if sheet else {})}))
    else:
        show(look.summary, len(look.summary.rows) if all_rows else SHOWN_ROWS)
        if sheet is not None:
            typer.echo(str(sheet))
    if empty and not look.summary.skipped:
        typer.echo(f"narthex data inspect: {without_clips(path, 0)}", err=True)
    if empty or look.summary.skipped:
        raise typer.Exit(1)


@data_app.command("card")
def card(
    context: typer.Context,
    folder: Annotated[
        Path | None, typer.Argument(help="A data set; without one, the clips of --clips seeds.", metavar="[DIR]")
    ] = None,
    *,
    out: Annotated[Path, typer.Option(help="The Markdown file to write.")] = Path("dataset-card.md"),
    picture: Annotated[Path | None, typer.Option(help="Also write a contact sheet, .webp or .png.")] = None,
    clips: Clips = 5000,
    first_seed: FirstSeed = 0,
    held_out: HeldOut = False,
    frames: Frames = 17,
    size: Size = "96x64",
    fps: Fps = 8.0,
    as_json: AsJson = False,
) -> None:
    """Write a dataset card: shares of every attribute, caption, camera path and motion, and what is held out.

    Examples:

        narthex data card clips/abbey --out clips/abbey/card.md --picture clips/abbey/card.webp

        narthex data card --clips 5000 --out docs/dataset-card.md --picture docs/dataset.webp
    """
    from clips.footage.dungeon_footage import DungeonRecipe
    from service.cli.data_card import folder_card, seeds_card

    command = _typed(context)
    with _errors("card"):
        if folder is not None:
            report = folder_card(folder, out, picture, command)
        else:
            width, height = _size(size)
            recipe = DungeonRecipe(frames, width, height, fps, held_out)
            with _bar("counting", clips, quiet=as_json) as advance:
                report = seeds_card(recipe, (first_seed, clips), out, picture, command, advance)
    _tell(report, f"wrote {out}: {report['clips']} clips", as_json=as_json)


def _rule(source_fps: float | None, system: str, depth_kind: DepthKind) -> TransformsRule | None:
    from clips.footage.dataset_file import CameraConvention
    from clips.footage.json_file import parsed
    from clips.footage.transforms_json import TransformsRule

    if source_fps is None:
        return None
    convention = parsed(CameraConvention, {"system": system}, "--system")
    return TransformsRule(source_fps, convention, depth_kind.value)


def _size(text: str) -> tuple[int, int]:
    from clips.errors import InvalidClip

    parts = text.lower().split("x")
    if len(parts) != 2 or not all(part.isascii() and part.isdigit() and 0 < int(part) <= 8192 for part in parts):
        raise InvalidClip(f"--size: got {text[:40]!r}, expected WIDTHxHEIGHT in pixels such as 96x64")
    return int(parts[0]), int(parts[1])


def _units(depth_as: DepthAsOption, given: float | None) -> float:
    from clips.errors import InvalidClip

    if given is None:
        return PNG_UNITS_PER_M if depth_as is DepthAsOption.PNG else 1.0
    if not 0.0 < given < 1e9:
        raise InvalidClip(f"--depth-units-per-m: got {given}, expected steps a metre above 0, such as 1000")
    return given


def _tell(report: dict[str, Any], line: str, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(report))
        return
    for line_of_doubt in report.get("doubts", ()):
        typer.echo(f"doubtful: {line_of_doubt}", err=True)
    for skip in report.get("skipped", ()):
        typer.echo(f"skipped: {skip['problem']}", err=True)
    typer.echo(line)


@contextmanager
def _bar(name: str, total: int, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True, quiet=quiet)) as progress:
        task = progress.add_task(name, total=total)
        yield lambda done: progress.update(task, completed=done)


@contextmanager
def _errors(command: str) -> Iterator[None]:
    """Errors that a user can do something about become one line, with the exit status of `service.cli.app`."""
    from clips.errors import ClipError

    try:
        yield
    except ClipError as error:
        _fail(command, str(error), error)
    except OSError as error:
        text = (
            str(error) if error.errno is None else f"{error.strerror}{f': {error.filename}' if error.filename else ''}"
        )
        _fail(command, text, error)


def _fail(command: str, text: str, error: Exception) -> NoReturn:
    typer.echo(f"narthex data {command}: {text}", err=True)
    raise typer.Exit(exit_status(error)) from error


def _typed(context: typer.Context) -> str:
    """The command with every option that is not its default, as one would type it."""
    words = []
    for parameter in context.command.params:
        value = context.params.get(parameter.name or "")
        if value is None or value == parameter.get_default(context):
            continue
        option = parameter.opts[0] if parameter.param_type_name == "option" else None
        words += [*([option] if option else []), *([] if value is True else [str(value)])]
    return shlex.join(["narthex", "data", "card", *words])
