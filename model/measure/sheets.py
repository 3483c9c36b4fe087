"""Contact sheets: one scene, the real clip above every way of generating it, for people to look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from clips.picture import contact_sheet, depth_to_color, write_png
from model.measure.generation import MadeClip
from model.measure.scenes import Scene

SHOWN_FRAMES = 6
NEAR_M, FAR_M = 1.0, 8.0


def save_sheets(scenes: Sequence[Scene], ways: Mapping[str, Sequence[MadeClip]], folder: Path) -> list[Path]:
    """Write one PNG a scene and return their paths.

    A sheet has a row for the real clip and one for each way: six frames from first to last, then the depth of both.
    Scenes beyond the shortest way's clips have no sheet.
    """
    folder.mkdir(parents=True, exist_ok=True)
    count = min((len(clips) for clips in ways.values()), default=len(scenes))
    paths = []
    for index, scene in enumerate(scenes[:count]):
        words = " ".join(scene.words.values())
        rows = {f"real: {words}": MadeClip(scene.frames, scene.depth)}
        rows |= {name: clips[index] for name, clips in ways.items()}
        path = folder / f"scene-{index:02d}.png"
        write_png(contact_sheet([_row(clip) for clip in rows.values()], list(rows), gap_px=2, text_px=11), path)
        paths.append(path)
    return paths


def _row(clip: MadeClip) -> list[np.ndarray]:
    shown = np.linspace(0, len(clip.frames) - 1, SHOWN_FRAMES).round().astype(int)
    return [*clip.frames[shown], *depth_to_color(clip.depth[[0, -1]], NEAR_M, FAR_M)]
