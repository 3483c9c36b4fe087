"""Rendering a clip folder for `narthex data render`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from clips.footage.clip_folder import ClipFolder
from clips.footage.dataset_file import our_dataset
from clips.footage.dungeon_footage import DungeonRecipe, dungeon_footage
from clips.footage.frame_files import FramesAs
from clips.footage.plane_files import DepthAs


def rendered(
    recipe: DungeonRecipe,
    out: Path,
    seeds: tuple[int, int],
    units_per_m: float,
    written_as: tuple[FramesAs, DepthAs],
    advance: Callable[[int], None],
) -> dict[str, Any]:
    """Render the clips of `seeds` (first, count) that `out` does not have yet; returns the counts.

    Raises:
        ClipError: `out` holds another data set.
        OSError: it cannot be written.
    """
    info = our_dataset(
        "dungeon rooms",
        recipe.width,
        recipe.height,
        recipe.fps,
        depth_units_per_m=units_per_m,
        about="Rooms behind a gate, rendered by clips.dungeon with exact depth, cameras and masks.",
        licence="Apache-2.0",
        source=recipe.source(),
    )
    folder, written = ClipFolder.create(out, info), 0
    first, count = seeds
    for done, seed in enumerate(range(first, first + count)):
        name = f"seed-{seed:06d}"
        if name not in folder:
            footage = dungeon_footage(recipe, seed)
            folder.write(name, footage, written_as[0], written_as[1])
            written += 1
        advance(done + 1)
    return {"out": str(out), "clips": count, "written": written, "kept": count - written}
