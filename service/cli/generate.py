"""`narthex generate`: clips of a prompt, alone, without a server."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress

from clips.camera_path import CameraPath, PathKind

if TYPE_CHECKING:
    from clips.clip import Clip
    from model.generate import Generator
    from model.spec import SegmentSpec

SHEET_FRAMES = 6
SHEET_NEAR_M, SHEET_FAR_M = 1.0, 8.0
VIDEO_SCALE = 4
FPS = 8.0
MAX_SEEDS = 1_000


def generate(
    *,
    prompt: Annotated[str, typer.Option(help="What lies behind the gate, in English.")],
    out: Annotated[Path, typer.Option(help="Folder for the clips; made if it is missing.")],
    seeds: Annotated[int, typer.Option(help="How many clips, from --first-seed on.", min=1, max=MAX_SEEDS)] = 1,
    first_seed: Annotated[int, typer.Option(help="Seed of the first clip.", min=0)] = 0,
    sheet: Annotated[bool, typer.Option("--sheet", help="Also write sheet.png: frames, depth.")] = False,
    steps: Annotated[int | None, typer.Option(help="Denoising steps; default: those of a full segment.", min=1)] = None,
    guidance: Annotated[float | None, typer.Option(help="Guidance scale; 1 is none.", min=0.0, max=20.0)] = None,
    camera: Annotated[PathKind, typer.Option(help="How the camera moves.")] = PathKind.WALK_IN,
    weights: Annotated[Path | None, typer.Option(help="Folder of weights; default: those that Narthex ships.")] = None,
    threads: Annotated[int, typer.Option(help="CPU threads.", min=1)] = 2,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Generate RGB-D clips of a prompt: OUT/seed-K.clip.npz and OUT/seed-K.mp4 for every seed.

    Examples:

        narthex generate --prompt "a mossy room in moonlight with a red orb" --out out/moss

        narthex generate --prompt "brick walls, sand floor, blue cube" --seeds 4 --sheet --camera orbit --out out/brick
    """
    import torch

    from clips.errors import ClipError
    from model.errors import ModelError
    from model.generate import Generator

    torch.set_num_threads(threads)
    console = Console(stderr=True, quiet=as_json)
    try:
        out.mkdir(parents=True, exist_ok=True)
        generator = Generator.load(weights)
        specs = [
            _spec(generator, prompt, first_seed + k, camera=camera, steps=steps, guidance=guidance)
            for k in range(seeds)
        ]
        report = _make_all(generator, specs, out, console, with_sheet=sheet)
    except (ModelError, ClipError, OSError) as error:
        typer.echo(f"narthex generate: {error}", err=True)
        raise typer.Exit(1) from error
    _tell(report, console, as_json=as_json)


def _spec(
    generator: Generator, prompt: str, seed: int, *, camera: PathKind, steps: int | None, guidance: float | None
) -> SegmentSpec:
    from model.revision import FULL_STEPS, GUIDANCE
    from model.spec import SegmentSpec

    size = generator.supported
    return SegmentSpec(
        prompt=prompt,
        seed=seed,
        cameras=CameraPath(kind=camera).cameras(size.frames, size.width, size.height),
        fps=FPS,
        steps=FULL_STEPS if steps is None else steps,
        guidance=GUIDANCE if guidance is None else guidance,
        model_revision=generator.revision,
    )


def _make_all(
    generator: Generator, specs: list[SegmentSpec], out: Path, console: Console, *, with_sheet: bool
) -> dict[str, Any]:
    from clips.clip import save_clip
    from clips.video import write_mp4
    from model.prompt import parse_prompt

    made: list[tuple[SegmentSpec, Clip]] = []
    files, begun = [], time.perf_counter()
    with Progress(console=console) as progress:
        task = progress.add_task("generating", total=sum(spec.steps for spec in specs))
        for spec in specs:
            generation = generator.begin(spec)
            while not generation.done:
                generation.advance(1)
                progress.advance(task)
            clip = generation.finish()
            clip_path, video_path = out / f"seed-{spec.seed}.clip.npz", out / f"seed-{spec.seed}.mp4"
            save_clip(clip, clip_path)
            write_mp4(clip.frames, video_path, FPS, VIDEO_SCALE)
            files += [str(clip_path), str(video_path)]
            made.append((spec, clip))
    if with_sheet:
        files.append(str(_write_sheet(made, out / "sheet.png")))
    understood = parse_prompt(specs[0].prompt)
    return {
        "prompt": specs[0].prompt,
        "slots": understood.values,
        "unknown_terms": understood.unknown_terms,
        "model_revision": generator.revision,
        "steps": specs[0].steps,
        "guidance": specs[0].guidance,
        "seeds": [spec.seed for spec in specs],
        "files": files,
        "elapsed_s": round(time.perf_counter() - begun, 3),
    }


def _write_sheet(made: list[tuple[SegmentSpec, Clip]], path: Path) -> Path:
    import numpy as np

    from clips.picture import contact_sheet, depth_to_color, write_png

    rows, labels = [], []
    for spec, clip in made:
        shown = np.linspace(0, len(clip) - 1, SHEET_FRAMES).round().astype(int)
        rows += [list(clip.frames[shown]), list(depth_to_color(clip.depth[shown], SHEET_NEAR_M, SHEET_FAR_M))]
        labels += [f"seed {spec.seed}: {spec.prompt}", f"depth, {SHEET_NEAR_M:g} to {SHEET_FAR_M:g} m"]
    write_png(contact_sheet(rows, labels, scale=2), path)
    return path


def _tell(report: dict[str, Any], console: Console, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(report))
        return
    for name, value in report["slots"].items():
        console.print(f"  {name:<8} {value if value is not None else '(not said)'}")
    if report["unknown_terms"]:
        console.print(f"not understood: {', '.join(report['unknown_terms'])}", style="yellow")
    for file in report["files"]:
        typer.echo(file)
