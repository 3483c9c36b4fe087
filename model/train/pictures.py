"""Pictures that a training leaves behind: sheets of clips and the loss curve."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from PIL import Image

from model.checkpoint import write_atomically

Rgbd = tuple[np.ndarray, np.ndarray]
"""Frames (T, H, W, 3) uint8 and depth (T, H, W) metres of one clip."""

SHEET_FRAMES = 6
NEAR_M, FAR_M = 1.0, 8.0


def save_sheet(clips: list[Rgbd], path: Path, scale: int = 1) -> None:
    """Write a PNG with one row a clip: six frames evenly from first to last, then the depth of first and last."""
    rows = []
    for frames, depth in clips:
        shown = np.linspace(0, len(frames) - 1, SHEET_FRAMES).round().astype(int)
        near = np.clip((1.0 / depth[[0, -1]] - 1.0 / FAR_M) / (1.0 / NEAR_M - 1.0 / FAR_M), 0.0, 1.0)
        colored = (colormaps["turbo"](near)[..., :3] * 255).astype(np.uint8)
        rows.append(np.concatenate([*frames[shown], *colored], axis=1))
    sheet = np.concatenate(rows, axis=0)
    picture = Image.fromarray(sheet).resize((sheet.shape[1] * scale, sheet.shape[0] * scale), Image.Resampling.NEAREST)
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    write_atomically(path, buffer.getvalue())


def save_curve(log: Path, path: Path) -> None:
    """Draw training and validation loss of a training's `log.jsonl` over its steps."""
    lines = [json.loads(line) for line in log.read_text().splitlines() if line]
    figure = Figure(figsize=(7, 4))
    axes = figure.add_subplot()
    axes.plot([line["step"] for line in lines], [line["loss"] for line in lines], linewidth=0.6, label="loss")
    for name in ("val_loss", "val_psnr_db"):
        points = [(line["step"], line[name]) for line in lines if name in line]
        if points:
            target = axes if name == "val_loss" else axes.twinx()
            target.plot(*zip(*points, strict=True), "o-", color="tab:orange", markersize=3, label=name)
            target.legend(loc="upper right")
    axes.set_xlabel("step")
    axes.set_yscale("log")
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=110)
