"""The part of `narthex reconstruct` for videos and folders of pictures: a capture, and its still scene."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from clips.clip import Clip
    from recon.capture.capture import Capture
    from recon.capture.settings import CaptureSettings
    from recon.scene import Scene4D

FootageArgument = Annotated[
    Path,
    typer.Argument(
        help="A clip (.npz), as narthex generate writes it; a video (.mp4, .mov, ...); or a folder of pictures, with a "
        "transforms.json or without.",
        metavar="FOOTAGE",
    ),
]
ScaleOption = Annotated[
    float | None, typer.Option("--scale-m", help="Videos and pictures: metres from the first camera to the last.")
]
SizeOption = Annotated[
    int | None, typer.Option("--size", help="Videos and pictures: longer side, pixels (640; draft 320).")
]
MaxFramesOption = Annotated[int, typer.Option("--max-frames", help="Videos and pictures: at most so many frames.")]
FpsOption = Annotated[float | None, typer.Option("--fps", help="Pictures: frames per second, if they are a sequence.")]
DRAFT_LONG_SIDE_PX, FULL_LONG_SIDE_PX = 320, 640
DRAFT_REFINE_STEPS, FULL_REFINE_STEPS = 40, 400


@dataclass(frozen=True)
class CaptureOptions:
    """What the command line says of captures, and of the refinement of clips; None where it says nothing."""

    scale_m: float | None = None
    size_px: int | None = None
    max_frames: int = 120
    fps: float | None = None
    budget_s: float | None = None
    seed: int = 0


def settings_of(options: CaptureOptions, draft: bool) -> CaptureSettings:
    """The settings that the options ask for.

    Raises:
        InvalidScene: one is out of range; names it.
    """
    import os

    from recon.capture.settings import CaptureSettings

    return CaptureSettings(
        long_side_px=options.size_px or (DRAFT_LONG_SIDE_PX if draft else FULL_LONG_SIDE_PX),
        max_frames=options.max_frames,
        scale_m=options.scale_m,
        refine_steps=DRAFT_REFINE_STEPS if draft else FULL_REFINE_STEPS,
        seed=options.seed,
        threads=min(64, os.cpu_count() or 1),
    )


def read(path: Path, options: CaptureOptions, console: Console, *, draft: bool) -> tuple[Capture, dict[str, float]]:
    """The capture at `path`, and the seconds of each stage."""
    from recon.capture.reading import read_capture

    with _progress(console) as (tell, stages_s):
        capture = read_capture(path, settings_of(options, draft), tell, options.fps)
    return capture, stages_s


def still(
    capture: Capture, options: CaptureOptions, console: Console, *, draft: bool
) -> tuple[Clip, Scene4D, dict[str, float]]:
    """The capture as a clip (depth filled in where unknown), its still scene, and the seconds of each stage."""
    from recon.capture.seeding import filled_in
    from recon.capture.stereo import nearest
    from recon.capture.still_scene import still_scene

    with _progress(console) as (tell, stages_s):
        scene, dense = still_scene(capture, settings_of(options, draft), tell)
    depth = nearest(filled_in(dense.depth), capture.cameras)
    return capture.clip(depth), scene, stages_s


def report_of(capture: Capture) -> dict[str, Any]:
    """What --json says of a capture."""
    return {
        "frames": len(capture),
        "width": capture.cameras.width,
        "height": capture.cameras.height,
        "sparse_points": len(capture.points),
        "has_depth": capture.depth is not None,
        "moving_share": 0.0 if capture.moving is None else round(float(capture.moving.mean()), 4),
        "is_metric": capture.is_metric,
        "notes": list(capture.notes),
    }


@contextmanager
def _progress(console: Console) -> Iterator[tuple[Callable[[str, float], None], dict[str, float]]]:
    """A function to tell progress with, and the seconds of each stage, whole when the context ends."""
    import time

    stages_s: dict[str, float] = {}
    current, begun = "", 0.0
    columns = (TextColumn("{task.description:<9}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    with Progress(*columns, TimeElapsedColumn(), console=console) as progress:
        task = progress.add_task("reading", total=1.0)

        def finish() -> None:
            if current:
                stages_s[current] = stages_s.get(current, 0.0) + time.perf_counter() - begun

        def tell(stage: str, share: float) -> None:
            nonlocal current, begun
            if stage != current:
                finish()
                current, begun = stage, time.perf_counter()
            progress.update(task, description=stage, completed=share)

        yield tell, stages_s
        finish()
        progress.update(task, completed=1.0)
