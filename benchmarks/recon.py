"""How good and how quick reconstruction is, against exact ground truth.

    python -m benchmarks.recon [--json] [--check] [--scenes N] [--sheet FILE.png]

Held-out dungeon rooms (17 frames, 96x64, exact depth and cameras) are reconstructed as DRAFT and FULL, and as FULL
with 1 % depth noise. PSNR is printed on the clip itself, from a camera path moved 0.3 m to the right that no frame saw,
and at instants halfway between frames; each over the whole picture and inside the motion mask (what truly moves there).
A strip at the picture's border that no frame saw is part of the moved view. `holes_percent` is the share of the moved
view that splats cover by less than 0.9. `null_db` is what each frame's mean colour would score on the clip. Seconds are
of one process, warm; they depend on the machine and on what else it does.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.aims import check
from clips.cameras import Cameras
from clips.clip import Clip
from clips.dungeon.render import DungeonSample, render_clip, render_sample
from clips.picture import contact_sheet, write_png
from recon.export.fourdgs_file import encode_4dgs
from recon.pipeline import Reconstruction, reconstruct
from recon.raster import render_scene
from recon.scene import Scene4D
from recon.settings import ReconSettings

SIDEWAYS_M = 0.3
NOISE = 0.01
SHEET_FRAMES = (0, 8, 16)


@dataclass(frozen=True, eq=False)
class Truth:
    """One room: the clip that is given, and what it is judged by."""

    sample: DungeonSample
    aside: Clip
    between: Clip


def truth_of(seed: int) -> Truth:
    """The held-out room of `seed`, also from the side and halfway between its frames."""
    sample = render_sample(seed, held_out=True)
    cameras, times = sample.clip.cameras, sample.clip.times
    viewmats = cameras.viewmats.copy()
    viewmats[:, 0, 3] -= SIDEWAYS_M
    moved = Cameras(viewmats, cameras.Ks, cameras.width, cameras.height)
    middles = (times[:-1] + times[1:]) / 2
    return Truth(sample, render_clip(sample.room, moved, times), render_clip(sample.room, cameras[:-1], middles))


def psnr_db(frames: np.ndarray, truth: np.ndarray, mask: np.ndarray | None = None) -> float:
    """PSNR of uint8 pictures in dB, inside `mask` where one is given; NaN when it is empty."""
    error = np.square(frames.astype(np.float64) - truth)
    chosen = error if mask is None else error[mask]
    return float(10.0 * np.log10(255.0**2 / max(float(chosen.mean()), 1e-9))) if chosen.size else float("nan")


def scores(scene: Scene4D, truth: Truth) -> dict[str, float]:
    """What one scene scores."""
    clip, aside, between = truth.sample.clip, truth.aside, truth.between
    seen, _, _ = render_scene(scene, clip.cameras, clip.times)
    moved, _, alpha = render_scene(scene, aside.cameras, aside.times)
    halfway, _, _ = render_scene(scene, between.cameras, between.times)
    null = np.broadcast_to(clip.frames.mean(axis=(1, 2), keepdims=True), clip.frames.shape)
    return {
        "clip_db": psnr_db(seen, clip.frames),
        "clip_motion_db": psnr_db(seen, clip.frames, clip.motion_mask),
        "moved_db": psnr_db(moved, aside.frames),
        "moved_motion_db": psnr_db(moved, aside.frames, aside.motion_mask),
        "between_db": psnr_db(halfway, between.frames),
        "between_motion_db": psnr_db(halfway, between.frames, between.motion_mask),
        "null_db": psnr_db(null, clip.frames),
        "holes_percent": 100.0 * float((alpha < 0.9).mean()),
        "splats": float(len(scene)),
        "bytes": float(len(encode_4dgs(scene))),
    }


def measure(truths: list[Truth], settings: ReconSettings, noise: float) -> dict[str, float]:
    """Means over the rooms, seconds by stage among them; motion figures over the rooms where something moves."""
    rows = []
    for number, truth in enumerate(truths):
        clip = truth.sample.clip
        if noise:
            factor = np.exp(np.random.default_rng(number).normal(size=clip.depth.shape) * noise)
            clip = replace(clip, depth=(clip.depth * factor).astype(np.float32))
        job = Reconstruction(clip, settings)
        seconds: dict[str, float] = {}
        while not job.done:
            name, begun = f"{job.stage_name}_s", time.perf_counter()
            job.advance()
            seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - begun
        rows.append({**scores(job.finish(), truth), "total_s": sum(seconds.values()), **seconds})
    return {name: round(float(np.nanmean([row[name] for row in rows])), 3) for name in rows[0]}


def write_sheet(truths: list[Truth], path: Path) -> None:
    """A contact sheet: each room's clip, its FULL scene, and the scene and the truth from the moved cameras."""
    rows, labels = [], []
    for truth in truths:
        clip = truth.sample.clip
        scene = reconstruct(clip, ReconSettings.full())
        seen, _, _ = render_scene(scene, clip.cameras, clip.times)
        moved, _, _ = render_scene(scene, truth.aside.cameras, clip.times)
        rows.append([p[i] for i in SHEET_FRAMES for p in (clip.frames, seen, moved, truth.aside.frames)])
        labels.append(f"{clip.caption}: clip, scene, scene moved, truth moved, at three times")
    write_png(contact_sheet(rows, labels, scale=2), path)


def main() -> int:
    """Print the figures; with --check, 1 where one misses its aim."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=8, help="how many held-out rooms (default 8)")
    parser.add_argument("--sheet", type=Path, help="also write a contact sheet to this PNG file")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--check", action="store_true", help="exit 1 where a figure misses its aim")
    arguments = parser.parse_args()
    truths = [truth_of(seed) for seed in range(arguments.scenes)]
    reconstruct(truths[0].sample.clip, ReconSettings.draft())
    columns = {
        "draft": measure(truths, ReconSettings.draft(), 0.0),
        "full": measure(truths, ReconSettings.full(), 0.0),
        "full_noisy": measure(truths, ReconSettings.full(), NOISE),
    }
    if arguments.sheet:
        write_sheet(truths, arguments.sheet)
    figures = {f"{column}_{name}": value for column, row in columns.items() for name, value in row.items()}
    if arguments.json:
        print(json.dumps(figures))
    else:
        print(f"{'':18}" + "".join(f"{column:>14}" for column in columns))
        for name in columns["full"]:
            print(f"{name:18}" + "".join(f"{row[name]:14.2f}" for row in columns.values()))
    return _check(figures) if arguments.check else 0


def _check(figures: dict[str, float]) -> int:
    """The outcome of `benchmarks.aims.check`; 0 with a note while no issue has set an aim for reconstruction."""
    try:
        return check("recon", figures)
    except ValueError as error:
        print(f"no aims are set for reconstruction yet ({error})", file=sys.stderr)
        return 0


if __name__ == "__main__":
    raise SystemExit(main())
