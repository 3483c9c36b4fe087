"""What the benchmark shows to people: a contact sheet, a plot of PSNR against seconds, tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from benchmarks.reconstruction.course import Row, Spread
from clips.picture import contact_sheet, write_png

SCENE_COLUMNS: dict[str, tuple[str, int]] = {
    "clip_db": ("clip dB", 1),
    "clip_motion_db": ("in mask", 1),
    "held_db": ("held dB", 1),
    "held_seen_db": ("seen", 1),
    "held_rest_db": ("rest", 1),
    "held_motion_db": ("in mask", 1),
    "between_db": ("between", 1),
    "held_ssim": ("SSIM", 3),
    "held_flip": ("FLIP", 3),
    "holes_percent": ("holes %", 2),
    "held_temporal": ("|dR-dG|", 2),
    "held_depth_abs_rel": ("depth", 4),
    "velocity_epe_m_s": ("EPE m/s", 2),
    "splats": ("splats", 0),
    "bytes_per_splat": ("B/splat", 1),
    "total_s": ("s", 1),
    "cpu_s": ("CPU s", 1),
    "peak_mb": ("MB", 0),
}
"""Figures of the table of scenes, and how many digits after the point they have there."""


def save_sheet(rows: list[Row], path: Path) -> None:
    """Write the contact sheet of all rows that have pictures; nothing when none has."""
    pictures, labels = [], []
    for row in rows:
        if row.tiles:
            pictures += [[tile for moment in row.tiles for tile in moment]]
            labels.append(
                f"{row.scene} ({row.quality}, {row.figures['splats']:.0f} splats; clip {row.figures['clip_db']:.1f}, "
                f"held out {row.figures['held_db']:.1f} dB): clip, scene, held-out truth, scene there, 4x their "
                "difference; at three times"
            )
    if pictures:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_png(contact_sheet(pictures, labels, scale=1), path)


def save_plot(rows: list[Row], found: dict[tuple[str, str], dict[str, Spread]], path: Path) -> None:
    """Write held-out PSNR against seconds: a dot a reconstruction, a line through the means of the qualities."""
    figure = Figure(figsize=(7.0, 4.5), layout="constrained")
    axes = figure.add_subplot()
    held = [row for row in rows if "held_db" in row.figures]
    for color, source in enumerate(dict.fromkeys(row.input for row in held)):
        here = [row for row in held if row.input == source]
        label = source.replace("noise", "depth noise % ") or "exact depth"
        dots = np.array([(row.figures["total_s"], row.figures["held_db"]) for row in here])
        axes.scatter(dots[:, 0], dots[:, 1], s=14, alpha=0.5, color=f"C{color}")
        means = np.array([(s["total_s"].mean, s["held_db"].mean) for (_, name), s in found.items() if name == source])
        axes.plot(means[:, 0], means[:, 1], "o-", color=f"C{color}", label=label)
    axes.set(xlabel="seconds (wall clock)", ylabel="held-out PSNR, dB", xscale="log")
    axes.grid(alpha=0.3)
    if held:
        axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def print_scenes(rows: list[Row], console: Console) -> None:
    """A table for each quality and input: a line a scene, means over seeds."""
    for quality, source in dict.fromkeys((row.quality, row.input) for row in rows):
        mine = [row for row in rows if (row.quality, row.input) == (quality, source)]
        columns = [name for name in SCENE_COLUMNS if any(name in row.figures for row in mine)]
        table = Table("scene", *(SCENE_COLUMNS[name][0] for name in columns), title=f"{quality} {source or 'exact'}")
        for scene in dict.fromkeys(row.scene for row in mine):
            here = [row.figures for row in mine if row.scene == scene]
            cells = [f"{_mean([f[name] for f in here]):.{SCENE_COLUMNS[name][1]}f}" for name in columns]
            table.add_row(scene, *cells)
        console.print(table)


def print_means(found: dict[tuple[str, str], dict[str, Spread]], console: Console) -> None:
    """One table: a line a figure, a column each quality and input, mean and deviation between seeds."""
    table = Table("in the mean", *(f"{quality} {source or 'exact'}" for quality, source in found))
    for name in dict.fromkeys(name for spreads in found.values() for name in spreads):
        cells = [_cell(spreads.get(name)) for spreads in found.values()]
        table.add_row(name, *cells)
    console.print(table)


def _mean(values: list[float]) -> float:
    finite = [value for value in values if np.isfinite(value)]
    return float(np.mean(finite)) if finite else float("nan")


def _cell(spread: Spread | None) -> str:
    return "-" if spread is None else f"{spread.mean:.4g} ± {spread.deviation:.2g}"
