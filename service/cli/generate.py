"""`narthex generate`: clips of a prompt, alone, without a server."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

from clips.atomic_file import remove_left
from clips.camera_path import CameraPath, PathKind
from service.cli.app import exit_status
from service.cli.generate_options import (
    ControlChoice,
    ControlOption,
    DepthOption,
    FirstFrameOption,
    GrayboxOption,
    LoraOption,
    control_of_options,
    first_frame_of,
    put_on_loras,
)

if TYPE_CHECKING:
    from clips.clip import Clip
    from model.generate import Generation, Generator
    from model.spec import SegmentSpec
    from model.spec_control import Control, FirstFrame

SHEET_FRAMES = 6
SHEET_NEAR_M, SHEET_FAR_M = 1.0, 8.0
VIDEO_SCALE = 4
FPS = 8.0
MAX_SEEDS = 1_000
MOST_THREADS = 2
"""Of the default: products as small as this model's gain little from more, and other programs want cores too."""
_CONTROL_WORDS = {
    "none": "the prompt alone",
    "layout": "a layout sampled from the prompt",
    "blockout": "the given blockout",
    "depth": "the given depth clip",
}


def generate(
    *,
    prompt: Annotated[str, typer.Option(help="What lies behind the gate, in English or Chinese.")],
    out: Annotated[Path, typer.Option(help="Folder for the clips; made if it is missing.")],
    seeds: Annotated[int, typer.Option(help="How many clips, from --first-seed on.", min=1, max=MAX_SEEDS)] = 1,
    first_seed: Annotated[int, typer.Option(help="Seed of the first clip.", min=0)] = 0,
    sheet: Annotated[bool, typer.Option("--sheet", help="Also write sheet.png: frames, depth, control depth.")] = False,
    steps: Annotated[int | None, typer.Option(help="Denoising steps; default: those of a full segment.", min=1)] = None,
    guidance: Annotated[float | None, typer.Option(help="Guidance scale; 1 is none.", min=0.0, max=20.0)] = None,
    frames: Annotated[int | None, typer.Option(help="Frames: 17 or 33; default: 17.", min=1, max=1000)] = None,
    camera: Annotated[PathKind, typer.Option(help="How the camera moves.")] = PathKind.WALK_IN,
    control: ControlOption = ControlChoice.AUTO,
    graybox: GrayboxOption = None,
    control_depth: DepthOption = None,
    first_frame: FirstFrameOption = None,
    lora: LoraOption = None,
    weights: Annotated[Path | None, typer.Option(help="Folder of weights; default: those that Narthex ships.")] = None,
    threads: Annotated[
        int | None, typer.Option(help="CPU threads; default: the cores at hand, at most 2.", min=1, max=1024)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Generate RGB-D clips of a prompt: OUT/seed-K.clip.npz, seed-K.mp4 and seed-K.json for every seed.

    seed-K.json says how the prompt was understood and what the clip was made with; the blockout in it can be given to
    --graybox again.

    Examples:

        narthex generate --prompt "a mossy room in moonlight with a red orb" --out out/moss

        narthex generate --prompt "brick walls, sand floor, blue cube" --seeds 4 --sheet --camera orbit --out out/brick

        narthex generate --prompt "a red crystal" --graybox room.yaml --frames 33 --out out/crystal
    """
    import torch

    from model.generate import Generator

    # Torch begins with the cores that this process may use, or OMP_NUM_THREADS. On one core a second thread only waits.
    torch.set_num_threads(threads or min(MOST_THREADS, torch.get_num_threads()))
    console = Console(stderr=True, quiet=as_json)
    with _one_line_errors():
        out.mkdir(parents=True, exist_ok=True)
        remove_left(out)
        generator = Generator.load(weights)
        put_on_loras(generator, lora or [])
        order = _Order(prompt, camera, frames, steps, guidance)
        steered = control_of_options(control, graybox, control_depth)
        given = first_frame_of(first_frame)
        specs = [order.spec(generator, first_seed + k, steered, given) for k in range(seeds)]
        report = _make_all(generator, specs, out, console, with_sheet=sheet)
    _tell(report, console, as_json=as_json)


@contextmanager
def _one_line_errors() -> Iterator[None]:
    """What a person can mend is said in one line, with the exit status that `service.cli.app` gives it."""
    from clips.errors import ClipError
    from model.errors import ModelError
    from service.errors import ServiceError

    try:
        yield
    except (ModelError, ClipError, ServiceError, OSError) as error:
        typer.echo(f"narthex generate: {error}", err=True)
        raise typer.Exit(exit_status(error)) from error


@dataclass(frozen=True)
class _Order:
    """What the options say of every clip; None is the model's own."""

    prompt: str
    camera: PathKind
    frames: int | None
    steps: int | None
    guidance: float | None

    def spec(self, generator: Generator, seed: int, control: Control, first_frame: FirstFrame | None) -> SegmentSpec:
        from model.revision import FULL_STEPS, GUIDANCE
        from model.spec import SegmentSpec

        size = generator.supported
        frames = size.frames if self.frames is None else self.frames
        return SegmentSpec(
            prompt=self.prompt,
            seed=seed,
            cameras=CameraPath(kind=self.camera).cameras(frames, size.width, size.height),
            fps=FPS,
            steps=FULL_STEPS if self.steps is None else self.steps,
            guidance=GUIDANCE if self.guidance is None else self.guidance,
            model_revision=generator.revision,
            control=control,
            first_frame=first_frame,
        )


@dataclass(frozen=True, eq=False)
class _Made:
    """One clip, the generation that it is of, and its files."""

    generation: Generation
    clip: Clip
    files: list[str]
    loras: dict[str, float]

    @property
    def title(self) -> str:
        return f"seed {self.generation.spec.seed}: {self.generation.spec.prompt}"

    def facts(self) -> dict[str, Any]:
        """What the clip was made with and how its prompt was understood: seed-K.json."""
        generation, spec = self.generation, self.generation.spec
        return {
            "segment": spec.key(),
            "prompt": spec.prompt,
            "seed": spec.seed,
            "slots": generation.prompt.values,
            "confidences": generation.prompt.confidences,
            "unknown_terms": generation.prompt.told_terms(),
            "model_revision": spec.model_revision,
            "loras": self.loras,
            "steps": spec.steps,
            "sampler": "flow map" if generation.uses_flow_map else f"guided by {spec.guidance:g}",
            "frames": len(self.clip),
            "fps": spec.fps,
            "control": generation.steering.to_json(),
            "first_frame": None if spec.first_frame is None else spec.first_frame.digest,
        }


def _make_all(
    generator: Generator, specs: list[SegmentSpec], out: Path, console: Console, *, with_sheet: bool
) -> dict[str, Any]:
    begun = time.perf_counter()
    with Progress(console=console) as progress:
        task = progress.add_task("generating", total=sum(spec.steps * generator.windows_of(spec) for spec in specs))
        made = [_make(generator, spec, out, lambda: progress.advance(task)) for spec in specs]
    files = [file for one in made for file in one.files]
    if with_sheet:
        files.append(str(_write_sheet(made, out / "sheet.png")))
    facts = made[0].facts()
    shared = ("prompt", "slots", "unknown_terms", "model_revision", "loras", "steps", "sampler", "frames")
    return {
        **{name: facts[name] for name in shared},
        "guidance": specs[0].guidance,
        "seeds": [spec.seed for spec in specs],
        "controls": [str(one.generation.steering.kind) for one in made],
        "notes": sorted({one.generation.steering.note for one in made} - {""}),
        "files": files,
        "elapsed_s": round(time.perf_counter() - begun, 3),
    }


def _make(generator: Generator, spec: SegmentSpec, out: Path, on_step: Callable[[], None]) -> _Made:
    from clips.atomic_file import replacing
    from clips.clip import save_clip
    from clips.video import write_mp4

    generation = generator.begin(spec)
    while not generation.done:
        generation.advance(1)
        on_step()
    clip = generation.finish()
    paths = [out / f"seed-{spec.seed}{suffix}" for suffix in (".clip.npz", ".mp4", ".json")]
    made = _Made(generation, clip, [str(path) for path in paths], generator.loras.weights)
    save_clip(clip, paths[0])
    write_mp4(clip.frames, paths[1], FPS, VIDEO_SCALE)
    with replacing(paths[2]) as partial:
        partial.write_text(json.dumps(made.facts(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return made


def _write_sheet(made: list[_Made], path: Path) -> Path:
    """Of every clip a row of frames, one of depth, and one of the control depth where it had one."""
    import numpy as np

    from clips.picture import contact_sheet, depth_to_color, write_png

    rows, labels = [], []
    for one in made:
        shown = np.linspace(0, len(one.clip) - 1, SHEET_FRAMES).round().astype(int)
        steering = one.generation.steering
        rows += [list(one.clip.frames[shown]), list(depth_to_color(one.clip.depth[shown], SHEET_NEAR_M, SHEET_FAR_M))]
        labels += [one.title, f"depth, {SHEET_NEAR_M:g} to {SHEET_FAR_M:g} m"]
        if steering.depth is not None:
            rows.append(list(depth_to_color(steering.depth[shown], SHEET_NEAR_M, SHEET_FAR_M)))
            labels.append(f"control: {_CONTROL_WORDS[steering.kind]}")
    write_png(contact_sheet(rows, labels, scale=2), path)
    return path


def _tell(report: dict[str, Any], console: Console, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(report))
        return
    for name, value in report["slots"].items():
        console.print(f"  {name:<8} {value if value is not None else '(not said)'}")
    if report["unknown_terms"]:
        terms = escape(", ".join(report["unknown_terms"]))
        console.print(f"not understood: {terms} (narthex prompt explain says more)", style="yellow", soft_wrap=True)
    kinds = [_CONTROL_WORDS[kind] for kind in dict.fromkeys(report["controls"])]
    console.print(
        f"steered by {'; some by '.join(kinds)}; {report['steps']} steps, {report['sampler']}", soft_wrap=True
    )
    for note in report["notes"]:
        console.print(escape(note), style="yellow", soft_wrap=True)
    for name, weight in report["loras"].items():
        console.print(f"wears {escape(name)} with weight {weight:g}")
    for file in report["files"]:
        typer.echo(file)
