"""Which cases are run, in how many processes, and their figures put together."""

from __future__ import annotations

import math
import multiprocessing
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field

import numpy as np

from benchmarks.reconstruction.generated import generated_clips
from benchmarks.reconstruction.scenes import FRAMES, HEIGHT, WIDTH, EvalScene, aside_cameras, noisy, truth_of
from benchmarks.reconstruction.scores import Drawn, drawn, own_scores, scores
from benchmarks.reconstruction.stages import made
from clips.clip import Clip
from recon.settings import ReconSettings

QUALITIES: dict[str, Callable[[], ReconSettings]] = {"draft": ReconSettings.draft, "full": ReconSettings.full}
GENERATED = "generated"
SHEET_MOMENTS = (0.15, 0.5, 0.85)
WARM_FRAMES, WARM_SIZE = 4, (48, 27)


@dataclass(frozen=True)
class Plan:
    """What is run.

    Attributes:
        scenes: the fixed scenes.
        qualities: keys of QUALITIES.
        noises: relative depth noise, 0.01 is one percent.
        seeds: seeds 0 to this less one, of room and noise.
        frames, size: of the clips; size is (width, height).
        generated: clips of the embedded model for every seed.
    """

    scenes: tuple[EvalScene, ...]
    qualities: tuple[str, ...] = tuple(QUALITIES)
    noises: tuple[float, ...] = (0.0, 0.01, 0.03)
    seeds: int = 3
    frames: int = FRAMES
    size: tuple[int, int] = (WIDTH, HEIGHT)
    generated: int = 6

    @property
    def cases(self) -> int:
        """How many reconstructions that is."""
        return (len(self.scenes) * len(self.noises) + self.generated) * len(self.qualities) * self.seeds


@dataclass(frozen=True, eq=False)
class Row:
    """One reconstruction: which it was, its figures, and pictures for the contact sheet (else empty).

    Attributes:
        input: "" exact depth, "noise1" one percent of noise, "generated".
        tiles: per moment: clip, scene along it, truth aside, scene aside, both held against each other.
    """

    scene: str
    quality: str
    input: str
    seed: int
    figures: dict[str, float]
    tiles: list[list[np.ndarray]] = field(default_factory=list)

    @property
    def name(self) -> dict[str, str | int]:
        """Which reconstruction it was, in plain values."""
        return {"scene": self.scene, "quality": self.quality, "input": self.input, "seed": self.seed}


def input_name(noise: float) -> str:
    """The word for a relative depth noise in figures: "" for none, "noise1" for one percent."""
    return f"noise{100 * noise:g}" if noise else ""


def run(plan: Plan, jobs: int, on_rows: Callable[[list[Row]], None]) -> list[Row]:
    """All rows, in the order of scenes and seeds; `on_rows` hears of every part when it is done."""
    parts: list[tuple[EvalScene | None, int]] = [(scene, seed) for seed in range(plan.seeds) for scene in plan.scenes]
    parts += [(None, seed) for seed in range(plan.seeds)] if plan.generated else []
    if jobs == 1:
        found = {}
        for number, part in enumerate(parts):
            found[number] = run_part(plan, *part)
            on_rows(found[number])
    else:
        found = _in_processes(plan, parts, jobs, on_rows)
    return [row for number in range(len(parts)) for row in found[number]]


def _in_processes(
    plan: Plan, parts: list[tuple[EvalScene | None, int]], jobs: int, on_rows: Callable[[list[Row]], None]
) -> dict[int, list[Row]]:
    found = {}
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        numbers = {pool.submit(run_part, plan, *part): number for number, part in enumerate(parts)}
        for future in as_completed(numbers):
            found[numbers[future]] = future.result()
            on_rows(future.result())
    return found


def run_part(plan: Plan, scene: EvalScene | None, seed: int) -> list[Row]:
    """The rows of one scene and seed; of the generated clips where `scene` is None."""
    _warm(plan)
    return _generated_rows(plan, seed) if scene is None else _scene_rows(plan, scene, seed)


def _warm(plan: Plan) -> None:
    """Load what Numba compiled, so that the first reconstruction does not wait for it."""
    clip = truth_of(plan.scenes[0], 0, WARM_FRAMES, WARM_SIZE).clip
    for quality in plan.qualities:
        made(clip, QUALITIES[quality]())


def _scene_rows(plan: Plan, scene: EvalScene, seed: int) -> list[Row]:
    truth = truth_of(scene, seed, plan.frames, plan.size)
    rows = []
    for number, noise in enumerate(plan.noises):
        clip = noisy(truth.clip, noise, 100 * seed + number)
        for quality in plan.qualities:
            result = made(clip, QUALITIES[quality]())
            seen = drawn(result.scene, truth.clip.cameras, truth.clip.times)
            held = drawn(result.scene, truth.aside.clip.cameras, truth.clip.times)
            figures = {**scores(result.scene, truth, seen, held), **result.figures}
            shown = seed == 0 and noise == 0.0 and quality == plan.qualities[-1]
            tiles = _tiles(truth.clip, truth.aside.clip, seen, held) if shown else []
            rows.append(Row(scene.name, quality, input_name(noise), seed, figures, tiles))
    return rows


def _tiles(clip: Clip, aside: Clip, seen: Drawn, held: Drawn) -> list[list[np.ndarray]]:
    moments = [round(share * (len(clip) - 1)) for share in SHEET_MOMENTS]
    return [
        [clip.frames[i], seen.frames[i], aside.frames[i], held.frames[i], _off(held.frames[i], aside.frames[i])]
        for i in moments
    ]


def _off(frame: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Four times the difference of two pictures, on grey."""
    return np.asarray(np.clip(128.0 + 4.0 * (frame.astype(np.float64) - truth), 0, 255), np.uint8)


def _generated_rows(plan: Plan, seed: int) -> list[Row]:
    rows = []
    for number, clip in enumerate(generated_clips(plan.generated, seed)):
        for quality in plan.qualities:
            result = made(clip, QUALITIES[quality]())
            figures = {**own_scores(result.scene, clip, aside_cameras(clip.cameras, 1.0)), **result.figures}
            rows.append(Row(f"{GENERATED}-{number}", quality, GENERATED, seed, figures))
    return rows


@dataclass(frozen=True)
class Spread:
    """Mean of a figure over the seeds, and the standard deviation between them (0 for one seed)."""

    mean: float
    deviation: float


def combined(rows: Iterable[Row]) -> dict[tuple[str, str], dict[str, Spread]]:
    """Per (quality, input): every figure's mean over scenes, and then over seeds; NaN are left out."""
    rows = list(rows)
    groups = dict.fromkeys((row.quality, row.input) for row in rows)
    return {group: _spreads([row for row in rows if (row.quality, row.input) == group]) for group in groups}


def _spreads(rows: list[Row]) -> dict[str, Spread]:
    names = dict.fromkeys(name for row in rows for name in row.figures)
    spreads = {}
    for name in names:
        by_seed: dict[int, list[float]] = {}
        for row in rows:
            value = row.figures.get(name, math.nan)
            if math.isfinite(value):
                by_seed.setdefault(row.seed, []).append(value)
        means = [float(np.mean(values)) for values in by_seed.values()]
        deviation = float(np.std(means, ddof=1)) if len(means) > 1 else 0.0
        spreads[name] = Spread(float(np.mean(means)) if means else math.nan, deviation)
    if "merge_factor" in names:
        # Where the camera stands still every pixel is seen 48 times: the mean would be that of such scenes.
        spreads["least_merge_factor"] = Spread(min(row.figures["merge_factor"] for row in rows), 0.0)
    return spreads


def named_figures(found: dict[tuple[str, str], dict[str, Spread]]) -> dict[str, float]:
    """Every mean by one name, as aims.toml has it (`full_noise1_held_db`), and what follows from them."""
    figures = {
        "_".join(filter(None, (quality, source, name))): spread.mean
        for (quality, source), spreads in found.items()
        for name, spread in spreads.items()
    }
    if "full_held_db" in figures:
        figures["full_held_margin_db"] = held_margin_db(figures["full_held_db"], figures["full_splats"])
        if "full_noise1_held_db" in figures:
            figures["full_noise1_lost_db"] = figures["full_held_db"] - figures["full_noise1_held_db"]
    return figures


def held_margin_db(held_db: float, splats: float) -> float:
    """dB above the aim for so many splats: 31 dB up to 60,000, 32 dB up to 90,000; NaN beyond, where there is none."""
    if splats <= 60_000:
        return held_db - 31.0
    return held_db - 32.0 if splats <= 90_000 else math.nan
