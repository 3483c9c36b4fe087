"""Pictures that a training leaves behind: sheets of clips and the loss curve."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from clips.atomic_file import replacing
from clips.picture import contact_sheet, depth_to_color, write_png

Rgbd = tuple[np.ndarray, np.ndarray]
"""Frames (T, H, W, 3) uint8 and depth (T, H, W) metres of one clip."""

SHEET_FRAMES = 6
NEAR_M, FAR_M = 1.0, 8.0


def save_sheet(clips: list[Rgbd], path: Path) -> None:
    """Write a PNG with one row a clip: six frames evenly from first to last, then the depth of first and last."""
    rows = []
    for frames, depth in clips:
        shown = np.linspace(0, len(frames) - 1, SHEET_FRAMES).round().astype(int)
        rows.append([*frames[shown], *depth_to_color(depth[[0, -1]], NEAR_M, FAR_M)])
    write_png(contact_sheet(rows, gap_px=2), path)


def save_curve(log: Path, path: Path) -> None:
    """Draw the training loss of a `log.jsonl` over its steps, and every validation figure (`val_*`) that it has."""
    lines = [json.loads(line) for line in log.read_text().splitlines() if line]
    figure = Figure(figsize=(7, 4))
    axes = figure.add_subplot()
    axes.plot([line["step"] for line in lines], [line["loss"] for line in lines], linewidth=0.6, label="loss")
    for name in sorted({name for line in lines for name in line if name.startswith("val_")}):
        points = [(line["step"], line[name]) for line in lines if name in line]
        target = axes.twinx() if name.endswith("psnr_db") else axes
        target.plot(*zip(*points, strict=True), "o-", markersize=3, label=name)
        target.legend(loc="upper right")
    axes.set_xlabel("step")
    axes.set_yscale("log")
    axes.grid(alpha=0.3)
    with replacing(path) as partial:
        figure.savefig(partial, dpi=110, format="png")
