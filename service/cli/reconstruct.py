"""`narthex reconstruct`: a scene from a clip, a video or a folder of pictures, alone, without a server."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from service.cli.app import WRONG_USE, exit_status
from service.cli.reconstruct_capture import (
    CaptureOptions,
    FootageArgument,
    FpsOption,
    MaxFramesOption,
    ScaleOption,
    SizeOption,
    read,
    report_of,
    still,
)
from service.cli.reconstruct_outputs import (
    CollisionOption,
    ExitOption,
    GrayboxFileOption,
    LevelsOption,
    Outputs,
    ProxyOption,
    SpawnOption,
    envelope_facts,
    psnr_db,
    tell_outputs,
    write_outputs,
)

if TYPE_CHECKING:
    import numpy as np

    from clips.clip import Clip
    from recon.scene import Scene4D

SHEET_FRAMES = 6
SIDEWAYS_M = 0.3
MAX_BUDGET_S = 86_400.0
MAX_THREADS = 16
_ENLARGED_UP_TO_PX = 240


class ReconQuality(StrEnum):
    """How much work goes into the scene."""

    DRAFT = "draft"
    FULL = "full"


def reconstruct(
    clip: FootageArgument,
    *,
    out: Annotated[Path, typer.Option(help="The scene, with its motion: a .4dgs file.")],
    ply: Annotated[Path | None, typer.Option(help="Also write one instant as a 3DGS .ply file.")] = None,
    ply_time_s: Annotated[float, typer.Option("--ply-time", help="Which instant, in scene seconds.")] = 0.0,
    quality: Annotated[ReconQuality, typer.Option(help="draft is coarser and quicker.")] = ReconQuality.FULL,
    sheet: Annotated[Path | None, typer.Option(help="Also write a picture: clip, scene, scene from the side.")] = None,
    levels: LevelsOption = False,
    collision: CollisionOption = None,
    graybox: GrayboxFileOption = None,
    proxy: ProxyOption = False,
    spawn: SpawnOption = None,
    exit_at: ExitOption = None,
    scale_m: ScaleOption = None,
    size_px: SizeOption = None,
    max_frames: MaxFramesOption = 120,
    fps: FpsOption = None,
    budget_s: Annotated[
        float | None,
        typer.Option("--budget-s", help="Seconds of refinement by gradient, 0 for none; default: by the clip's size."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Reconstruct the splat scene of an RGB-D clip, a video or a folder of pictures.

    A clip and a folder whose transforms.json names depth for every pixel become a 4D scene; of a video and of other
    pictures, cameras and depth are found and what stands still is reconstructed (docs/captures.md).

    Examples:

        narthex reconstruct out/moss/seed-0.clip.npz --out moss.4dgs

        narthex reconstruct out/moss/seed-0.clip.npz --out moss.4dgs --ply moss.ply --quality draft --sheet moss.png

        narthex reconstruct out/moss/seed-0.clip.npz --out moss.4dgs --budget-s 30

        narthex reconstruct out/moss/seed-0.clip.npz --out moss.4dgs --levels --collision moss.glb

        narthex reconstruct walk.mp4 --out walk.4dgs --scale-m 2.5 --sheet walk.png

        narthex reconstruct captures/kitchen --out kitchen.4dgs
    """
    console = Console(stderr=True, quiet=as_json)
    _refuse(ply_time_s, fps, budget_s, (out, ply, sheet, collision))
    with _told(clip):
        asked = (
            Outputs(levels, collision, graybox, proxy, spawn, exit_at),
            CaptureOptions(scale_m, size_px, max_frames, fps, budget_s),
        )
        report = _run(clip, quality, console, asked, out=out, ply=ply, ply_time_s=ply_time_s, sheet=sheet)
    if as_json:
        typer.echo(json.dumps(report))
    else:
        _tell(report)


def _refuse(ply_time_s: float, fps: float | None, budget_s: float | None, targets: tuple[Path | None, ...]) -> None:
    """Ends the command where options or files to write mean nothing, before any work."""
    if not math.isfinite(ply_time_s):
        _wrong_use(f"--ply-time: got {ply_time_s}, allowed scene seconds")
    if fps is not None and not 0.0 < fps <= 240.0:
        _wrong_use(f"--fps: got {fps}, allowed above 0 and at most 240")
    if budget_s is not None and not 0.0 <= budget_s <= MAX_BUDGET_S:
        _wrong_use(f"--budget-s: got {budget_s}, allowed 0 to {MAX_BUDGET_S:g} seconds")
    for target in targets:
        if target is not None and not target.parent.is_dir():
            _wrong_use(f"{target}: there is no folder {target.parent}; make it first")
        if target is not None and target.is_dir():
            _wrong_use(f"{target}: is a folder; name a file in it")


def _wrong_use(problem: str) -> NoReturn:
    typer.echo(f"narthex reconstruct: {problem}", err=True)
    raise typer.Exit(WRONG_USE)


@contextmanager
def _told(footage: Path) -> Iterator[None]:
    """Errors of the work within become one line, which names the footage, and the exit status that they mean."""
    from clips.errors import ClipError
    from recon.errors import ReconError
    from service.errors import InvalidInput

    try:
        yield
    except InvalidInput as error:
        _wrong_use(str(error))
    except (ClipError, ReconError) as error:
        _wrong_use(_with_file(error, footage))
    except OSError as error:
        typer.echo(f"narthex reconstruct: {error}; name files that can be written", err=True)
        raise typer.Exit(exit_status(error)) from error


def _run(
    path: Path,
    quality: ReconQuality,
    console: Console,
    asked: tuple[Outputs, CaptureOptions],
    *,
    out: Path,
    ply: Path | None,
    ply_time_s: float,
    sheet: Path | None,
) -> dict[str, Any]:
    from clips.picture import write_png
    from recon.export.fourdgs_file import write_4dgs
    from recon.export.ply import write_ply
    from recon.raster import render_scene

    outputs, options = asked
    mesh = outputs.load_graybox()
    begun = time.perf_counter()
    clip, scene, stages_s, about = _scene(path, quality, console, options)
    elapsed_s = time.perf_counter() - begun
    frames, _, _ = render_scene(scene, clip.cameras, clip.times)
    draft = quality is ReconQuality.DRAFT
    facts = {"caption": clip.caption, "quality": quality.value, **envelope_facts(scene, clip, draft=draft)}
    report: dict[str, Any] = {
        "clip": str(path),
        "quality": quality.value,
        "splats": len(scene),
        "moving_splats": int((~scene.is_static).sum()),
        "psnr_db": round(psnr_db(frames, clip.frames), 2),
        "elapsed_s": round(elapsed_s, 3),
        "stages_s": {name: round(seconds, 3) for name, seconds in stages_s.items()},
        "out": str(out),
        "bytes": write_4dgs(scene, out, facts),
        **write_outputs(outputs, mesh, scene, clip, out, facts),
        **about,
    }
    if ply is not None:
        report |= {"ply": str(ply), "ply_bytes": write_ply(scene, ply, ply_time_s)}
    if sheet is not None:
        write_png(_sheet(clip, scene, frames), sheet)
        report["sheet"] = str(sheet)
    return report


def _scene(
    path: Path, quality: ReconQuality, console: Console, options: CaptureOptions
) -> tuple[Clip, Scene4D, dict[str, float], dict[str, Any]]:
    """The footage as a clip, its scene, the seconds of each stage, and what else to report."""
    from clips.clip import load_clip
    from recon.capture.reading import Footage, kind_of

    if kind_of(path) is Footage.CLIP:
        clip = load_clip(path)
        return (clip, *_reconstruct(clip, quality, console, options.budget_s), {})
    draft = quality is ReconQuality.DRAFT
    capture, reading_s = read(path, options, console, draft=draft)
    if capture.is_dense:
        clip = capture.clip()
        scene, stages_s = _reconstruct(clip, quality, console, options.budget_s)
    else:
        clip, scene, stages_s = still(capture, options, console, draft=draft)
    return clip, scene, {**reading_s, **stages_s}, {"capture": report_of(capture)}


def _reconstruct(
    clip: Clip, quality: ReconQuality, console: Console, budget_s: float | None
) -> tuple[Scene4D, dict[str, float]]:
    """The scene, and the seconds that each stage took."""
    import os

    from recon.pipeline import Reconstruction
    from recon.settings import ReconSettings

    settings = ReconSettings.draft() if quality is ReconQuality.DRAFT else ReconSettings.full()
    settings = replace(settings, threads=min(MAX_THREADS, os.cpu_count() or 1))
    if budget_s is not None:
        settings = replace(
            settings, refine_s=budget_s, refine_rounds=ReconSettings.full().refine_rounds if budget_s else 0
        )
    job = Reconstruction(clip, settings)
    stages_s: dict[str, float] = {}
    columns = (TextColumn("{task.description:<8}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
    with Progress(*columns, TimeElapsedColumn(), console=console) as progress:
        task = progress.add_task(job.stage_name, total=job.stages_total)
        while not job.done:
            name, begun = job.stage_name, time.perf_counter()
            progress.update(task, description=name)
            job.advance()
            stages_s[name] = stages_s.get(name, 0.0) + time.perf_counter() - begun
            progress.advance(task)
    return job.finish(), stages_s


def _sheet(clip: Clip, scene: Scene4D, frames: np.ndarray) -> np.ndarray:
    """A contact sheet: the clip, the scene from the same cameras, and from cameras a little to the right."""
    import numpy as np

    from clips.cameras import Cameras
    from clips.picture import contact_sheet
    from recon.raster import render_scene

    chosen = np.unique(np.linspace(0, len(clip) - 1, min(SHEET_FRAMES, len(clip))).astype(int))
    viewmats = clip.cameras.viewmats.copy()
    viewmats[:, 0, 3] -= SIDEWAYS_M
    aside = Cameras(viewmats, clip.cameras.Ks, clip.cameras.width, clip.cameras.height)
    moved, _, _ = render_scene(scene, aside, clip.times)
    rows = [list(pictures[chosen]) for pictures in (clip.frames, frames, moved)]
    labels = ["clip", "scene, same cameras", f"scene, cameras {SIDEWAYS_M:g} m to the right"]
    return contact_sheet(rows, labels, scale=2 if clip.cameras.width <= _ENLARGED_UP_TO_PX else 1)


def _with_file(error: Exception, path: Path) -> str:
    text = str(error)
    return text if str(path) in text else f"{path}: {text}"


def _tell(report: dict[str, Any]) -> None:
    typer.echo(
        f"{report['splats']} splats ({report['moving_splats']} moving), {report['bytes']} bytes, "
        f"{report['elapsed_s']:.1f} s, PSNR on the clip {report['psnr_db']:.1f} dB"
    )
    for note in report.get("capture", {}).get("notes", []):
        typer.echo(f"  {note}")
    for name in ("out", "ply", "sheet"):
        if name in report:
            typer.echo(report[name])
    for line in tell_outputs(report):
        typer.echo(line)
