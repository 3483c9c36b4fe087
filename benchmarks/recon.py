"""How good and how quick reconstruction is, against exact ground truth that it cannot see.

    python -m benchmarks.recon [--scenes NAME ...] [--noise 0 1 3] [--seeds 3] [--quality draft|full] [--generated 6]
                               [--no-long] [--quick] [--jobs 1] [--json] [--check] [--out DIR]

Ten fixed scenes of the procedural dungeon (`benchmarks/reconstruction/scenes.py`: cameras that stand, pan, walk and
shake; one and two movers that bounce, circle, slide and swing; patterned and flat faces; 160x90, 48 frames, 24 a
second) are reconstructed as DRAFT and FULL, with exact depth and with depth noise of 1 % and 3 %; every seed is another
room and another noise. They are judged on the clip and along a moving camera path 0.4 m to the side that no frame saw,
and halfway between frames there; over the whole picture and inside the mask of what truly moves. The figures:

`held_seen_db` leaves out surfaces that no frame of the clip shows (`unseen_percent` of pixels), `held_rest_db` what
moves as well and 4 px around it; `held_error_` says where how much of the held-out squared error is. `_ssim` is that
of Wang et al. 2004, `_flip` flip-evaluator's on every fourth frame. `_temporal` is |dR - dG|, how far the change from
one frame to the next is off, in levels of 255. `holes_percent` are held-out pixels that splats cover by less than 0.9.
Depth errors are relative, over what is no hole. `velocity_epe_m_s` is the error of the velocity that splats paint on
held-out pixels of moving things; a still scene would have `true_speed_m_s`. `merge_factor` is still pixels of the clip
for each static splat, `least_` in the scene where it is least. Clips that the embedded model generates are judged
against themselves, their mask is the told object's.

Seconds are wall clock of one process, `cpu_s` processor time of all threads: on a busy machine only the latter means
anything. Memory is the most that the process held, `added_mb` what came on top of what it held before.
`--no-long` leaves out sixty seconds of video. In DIR lie sheet.png, seconds.png and rows.jsonl, a line a
reconstruction, written as they come.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from benchmarks.aims import check
from benchmarks.reconstruction.course import QUALITIES, Plan, Row, combined, named_figures, run
from benchmarks.reconstruction.long_video import long_figures
from benchmarks.reconstruction.scenes import SCENES, chosen
from benchmarks.reconstruction.sheet import print_means, print_scenes, save_plot, save_sheet

OUT = Path("out/benchmarks/recon")
QUICK_SCENES = ("still-bounce", "walk-two-flat")
QUICK_FRAMES, QUICK_SIZE = 8, (64, 36)
TABLE_WIDTH = 190


def main() -> int:
    """Print the figures; with --check, 1 where one misses its aim."""
    arguments = _parser().parse_args()
    try:
        plan = plan_of(arguments)
    except ValueError as error:
        _parser().error(str(error))
    rows = _run(plan, arguments.jobs, arguments.out / "rows.jsonl")
    found = combined(rows)
    figures = named_figures(found)
    if arguments.long and not arguments.quick:
        figures |= long_figures(QUALITIES[plan.qualities[-1]]())
    save_sheet(rows, arguments.out / "sheet.png")
    save_plot(rows, found, arguments.out / "seconds.png")
    if arguments.json:
        print(json.dumps(figures))
    else:
        console = Console(width=TABLE_WIDTH)
        print_scenes(rows, console)
        print_means(found, console)
        for name in ("full_held_margin_db", "full_noise1_lost_db", *(n for n in figures if n.startswith("long_"))):
            if name in figures:
                console.print(f"{name}: {figures[name]:.4g}")
    return check("recon", figures) if arguments.check else 0


def plan_of(arguments: argparse.Namespace) -> Plan:
    """What the arguments ask for.

    Raises:
        ValueError: an argument means nothing; the message names it.
    """
    for name, least in (("seeds", 1), ("jobs", 1), ("generated", 0)):
        if getattr(arguments, name) < least:
            raise ValueError(f"--{name} must be at least {least}, got {getattr(arguments, name)}")
    bad = [noise for noise in arguments.noise if not 0.0 <= noise <= 50.0]
    if bad:
        raise ValueError(f"--noise must be within 0 and 50 percent, got {bad[0]:g}")
    qualities = (arguments.quality,) if arguments.quality else tuple(QUALITIES)
    noises = tuple(dict.fromkeys(noise / 100.0 for noise in arguments.noise))
    scenes = tuple(chosen(arguments.scenes))
    plan = Plan(scenes, qualities, noises, arguments.seeds, generated=arguments.generated)
    if not arguments.quick:
        return plan
    few = scenes if arguments.scenes else tuple(chosen(list(QUICK_SCENES)))
    return replace(plan, scenes=few, seeds=1, frames=QUICK_FRAMES, size=QUICK_SIZE, generated=min(plan.generated, 1))


def _run(plan: Plan, jobs: int, listed: Path) -> list[Row]:
    """All rows; those of each part are added to the file `listed`, so that a run cut short has not lost them."""
    listed.parent.mkdir(parents=True, exist_ok=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with listed.open("w", encoding="utf-8") as file, Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task("reconstructions", total=plan.cases)

        def on_rows(rows: list[Row]) -> None:
            for row in rows:
                file.write(json.dumps({**row.name, **row.figures}) + "\n")
            file.flush()
            progress.advance(bar, len(rows))

        return run(plan, jobs, on_rows)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = ", ".join(scene.name for scene in SCENES)
    parser.add_argument("--scenes", nargs="+", metavar="NAME", help=f"some of {names} (default all)")
    parser.add_argument("--noise", nargs="*", type=float, default=[0.0, 1.0, 3.0], help="percent (default 0 1 3)")
    parser.add_argument("--seeds", type=int, default=3, help="rooms and noises of every scene (default 3)")
    parser.add_argument("--quality", choices=tuple(QUALITIES), help="one quality (default both)")
    parser.add_argument("--generated", type=int, default=6, help="generated clips of every seed (default 6)")
    parser.add_argument("--long", action=argparse.BooleanOptionalAction, default=True, help="sixty seconds of video")
    parser.add_argument("--quick", action="store_true", help="two small, short scenes, one seed: does it run?")
    parser.add_argument("--jobs", type=int, default=1, help="processes; seconds hold with 1 only (default 1)")
    parser.add_argument("--out", type=Path, default=OUT, help=f"folder for pictures and rows (default {OUT})")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--check", action="store_true", help="exit 1 where a figure misses its aim")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
