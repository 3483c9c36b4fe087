"""Figures of the embedded model on held-out scenes, each beside the aim of issue 3.

    python -m benchmarks.model [--json] [--check] [--quick] [--clips 72] [--seeds 3] [--jobs 2] [--weights DIR]

Every seed has scenes of its own: three seeds of 72 clips are 216 scenes. A generated clip is told the slots and the
exact cameras of its scene and, by way, a blockout: `objects` (the true room's box and the proxies of its things),
`layout` (what the layout prior samples from the words) or `none`. Figures whose aim names no blockout are those of the
default (`model.revision.DEFAULT_CONTROL`); the table has them all. Full segments take FULL_STEPS, drafts DRAFT_STEPS.

What a clip shows is said by a judge (`model/measure/judge.py`, trained by `narthex train judge` on renders of every
pair of words), whose own figures on the real clips are in the column `real`, and on the same clips through the
autoencoder in `decoded`. Props count where the real clip shows them. The object's region is the judge's too; IoU and
single blobs are of objects that move. Ceiling and size have no aim: the judge itself is unsure of them. Without an aim
too: `far_depth`, the share of pixels whose depth lies beyond 12 m, which no room has, and `prop_last`, whether the
judge finds the prop in the last five frames alone, where the real clip shows it in them. Accuracies have Wilson's 95 %
interval. FLIP is flip-evaluator's (LDR, lower is better) on seven frames; MMD is of features of a fixed random network,
at least what sampling noise makes of real clips. Latency is of one thread. Contact sheets lie in
out/benchmarks/model.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import queue
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import flip_evaluator
import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from benchmarks.aims import check, read_aims
from clips.dungeon.caption import caption_info
from clips.dungeon.scene import sample_room
from clips.dungeon.vocabulary import Language
from model.generate import SIGMA_SHIFT, Generator
from model.measure.accuracy import Accuracy
from model.measure.course import FEW, MANY, Counts, Course, Part, Policy, Results, Stage
from model.measure.generation import Blockout, MadeClip, Sampling, generate
from model.measure.judge import JUDGE_FILE, load_judge
from model.measure.languages import same_slots
from model.measure.latency import latency_figures
from model.measure.scenes import ClipSize, Scene, SceneKind, make_scene
from model.measure.sheets import save_sheets
from model.measure.ways import Measuring
from model.revision import (
    DEFAULT_CONTROL,
    DRAFT_STEPS,
    FULL_STEPS,
    GUIDANCE,
    GUIDANCE_INTERVAL,
    MAP_STEPS,
    default_weights,
)
from model.spec import SegmentSpec
from model.spec_control import Control, ControlKind

OUT = Path("out/benchmarks/model")
QUICK = Counts(clips=4, seeds=1, coded=4, pairs=2, paths=2, mean_of=4, noised=4, sheets=1)
PROMPTS, QUICK_PROMPTS = 600, 60
PROMPT_SEED = 5_000_000
TIMED_CLIPS = 4
OVERHEAD_S = 0.16
"""Rendering, judging and comparing of one clip, besides its generation, on a busy core."""

TABLE_WIDTH = 140
WAY_COLUMNS = ("", "_objects", "_layout", "_none", "_real", "_decoded", "pairs_", "paths_")
WAY_ROWS = (
    *(f"{slot}_right" for slot in ("light", "wall", "floor", "color", "prop", "shape", "ceiling", "size")),
    *(
        "prop_last",
        "single_blob",
        "object_iou",
        "warp_error",
        "warp_over_frozen",
        "room_depth_error",
        "far_depth",
        "flip",
    ),
)


def flip(reference: np.ndarray, test: np.ndarray) -> float:
    """Mean FLIP error of two pictures (H, W, 3) float32 in [0, 1]."""
    return float(flip_evaluator.evaluate(reference, test, "LDR", applyMagma=False)[1])


def sampling(steps: int) -> Sampling:
    """How `model.generate` samples with so many steps."""
    return Sampling(steps, GUIDANCE, SIGMA_SHIFT, GUIDANCE_INTERVAL, mapped=steps <= MAP_STEPS)


@dataclass(frozen=True)
class Setup:
    """What is measured, and how much."""

    weights: Path
    judge: Path
    counts: Counts

    def course(self, on_clips: Callable[[int], None]) -> tuple[Generator, Course]:
        """The generator of these weights, and the course that it runs."""
        generator = Generator.load(self.weights)
        supported = generator.supported
        size = ClipSize(supported.frames, supported.width, supported.height)
        policy = Policy(DRAFT_STEPS, FULL_STEPS, Blockout(DEFAULT_CONTROL))
        measuring = Measuring((generator.vae, generator.dit), load_judge(self.judge), sampling, flip, on_clips)
        return generator, Course(measuring, policy, self.counts, size, show)


def run(setup: Setup, prompts: int, jobs: int, console: Console) -> Results:
    """Every figure; says first how long it will take."""
    generator, course = setup.course(lambda _: None)
    expected = course.generated_clips()
    minutes = expected_minutes(course, expected) / jobs
    console.print(f"about {minutes:.0f} minutes with {jobs} processes on this machine, as it is now")
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("clips", total=sum(clips for _, clips in expected))
        results = course.combine(run_stages(setup, course, jobs, lambda count: progress.advance(bar, count)))
    spec = latency_spec(generator, course.size)
    results.figures |= latency_figures(generator, spec)
    for steps in sorted({DRAFT_STEPS, FEW} - {FULL_STEPS}):
        few = latency_figures(generator, replace(spec, steps=steps))
        results.figures |= {f"{name}_{steps}_steps": few[name] for name in ("latency_ms", "latency_over_bare")}
    found = same_slots(prompt_pairs(prompts))
    results.add({"chinese_same_slots": found.share}, {"chinese_same_slots": found})
    return results


def run_stages(setup: Setup, course: Course, jobs: int, on_clips: Callable[[int], None]) -> list[Part]:
    """The parts of all stages in order, several processes at a time."""
    if jobs == 1:
        alone = replace(course, measuring=replace(course.measuring, on_clips=on_clips))
        return [alone.run(stage) for stage in course.stages()]
    with multiprocessing.Manager() as manager:
        counted = manager.Queue()
        with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
            pending = [pool.submit(run_stage, setup, stage, counted) for stage in course.stages()]
            while not all(future.done() for future in pending):
                with contextlib.suppress(queue.Empty):
                    on_clips(counted.get(timeout=0.5))
            return [future.result() for future in pending]


def run_stage(setup: Setup, stage: Stage, counted: queue.Queue[int]) -> Part:
    """One stage, in a process of its own."""
    torch.set_num_threads(1)
    return setup.course(counted.put)[1].run(stage)


def expected_minutes(course: Course, clips: list[tuple[int, int]]) -> float:
    """Minutes of one process for (steps, clips), from the time that a few clips take."""
    scenes, networks = course.scenes(SceneKind.HELD_OUT, 0, TIMED_CLIPS), course.measuring.networks
    took = {}
    for steps in (FEW, MANY):
        begun = time.perf_counter()
        generate(networks, scenes, Blockout.OBJECTS, sampling(steps), 0)
        took[steps] = (time.perf_counter() - begun) / TIMED_CLIPS
    a_step = (took[MANY] - took[FEW]) / (MANY - FEW)
    return sum(count * (took[FEW] + max(a_step, 0.0) * (steps - FEW) + OVERHEAD_S) for steps, count in clips) / 60.0


def latency_spec(generator: Generator, size: ClipSize) -> SegmentSpec:
    """A full segment as a world asks for it."""
    scene = make_scene(SceneKind.HELD_OUT, 0, size)
    control = Control(ControlKind(DEFAULT_CONTROL))
    caption = scene.sample.clip.caption
    return SegmentSpec(caption, 0, scene.cameras, size.fps, FULL_STEPS, GUIDANCE, generator.revision, control)


def prompt_pairs(count: int) -> list[tuple[str, str]]:
    """Captions of the same rooms in English and Chinese, with the same words said."""
    rooms = [sample_room(PROMPT_SEED + k, True) for k in range(count)]
    return [
        (caption_info(room, k, Language.ENGLISH).text, caption_info(room, k, Language.CHINESE).text)
        for k, room in enumerate(rooms)
    ]


def show(scenes: list[Scene], clips: dict[str, list[MadeClip]]) -> None:
    """Write the contact sheets."""
    save_sheets(scenes, clips, OUT)


def print_tables(results: Results, console: Console) -> None:
    """Every figure with an aim beside its aim; then every way beside the others; then the rest."""
    aims = Table("figure", "measured", "95 %", "aim", "ok", title="aims")
    for aim in read_aims("model"):
        name = aim.figure.partition(".")[2]
        value = results.figures.get(name)
        shown = "missing" if value is None else f"{value:.4g}"
        verdict = "[green]yes[/green]" if aim.met_by(value) else "[red]no[/red]"
        aims.add_row(name, shown, _interval(results.accuracies.get(name)), f"{aim.sign} {aim.bound:g}", verdict)
    console.print(aims)
    ways = Table("full segments", *(column.strip("_") or "default" for column in WAY_COLUMNS), title="by blockout")
    for row in WAY_ROWS:
        ways.add_row(row, *(_cell(results, row, column) for column in WAY_COLUMNS))
    console.print(ways)
    console.print(f"{results.figures['judged_clips']:.0f} clips of every blockout and number of steps, in all seeds")
    listed = {f"{c}{r}" if c.endswith("_") else f"{r}{c}" for c in WAY_COLUMNS for r in WAY_ROWS}
    rest = Table("figure", "measured", title="the rest")
    for name, value in results.figures.items():
        if name not in listed:
            rest.add_row(name, f"{value:.4g}")
    console.print(rest)


def _cell(results: Results, row: str, column: str) -> str:
    name = f"{column}{row}" if column.endswith("_") else f"{row}{column}"
    value = results.figures.get(name)
    interval = _interval(results.accuracies.get(name))
    # A share of a few pixels in a hundred thousand is not nothing.
    digits = ".1e" if row == "far_depth" and value else ".3f"
    return "-" if value is None else f"{value:{digits}} {interval}".rstrip()


def _interval(accuracy: Accuracy | None) -> str:
    if accuracy is None:
        return ""
    low, high = accuracy.interval
    return f"{low:.2f}-{high:.2f}"


def main() -> int:
    """Print the figures; with --check, 1 where one misses its aim."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=72, help="held-out scenes of each seed (default 72)")
    parser.add_argument("--seeds", type=int, default=3, help="seeds (default 3)")
    parser.add_argument("--weights", type=Path, default=default_weights(), help="folder of weights to measure")
    parser.add_argument("--judge", type=Path, default=default_weights() / JUDGE_FILE, help="weights of the judge")
    parser.add_argument("--jobs", type=int, default=2, help="processes, one thread each (default 2)")
    parser.add_argument("--quick", action="store_true", help="a few clips of everything: does it run?")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--check", action="store_true", help="exit 1 where a figure misses its aim")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    console = Console(stderr=True)
    counts = QUICK if arguments.quick else Counts(arguments.clips, arguments.seeds)
    prompts = QUICK_PROMPTS if arguments.quick else PROMPTS
    results = run(Setup(arguments.weights, arguments.judge, counts), prompts, arguments.jobs, console)
    if arguments.json:
        intervals = {name: found.interval for name, found in results.accuracies.items()}
        print(json.dumps({**results.figures, "intervals_95": intervals}))
    else:
        print_tables(results, Console(width=TABLE_WIDTH))
    return check("model", results.figures) if arguments.check else 0


if __name__ == "__main__":
    raise SystemExit(main())
