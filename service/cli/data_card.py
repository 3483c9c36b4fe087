"""The dataset cards that `narthex data card` writes, of a folder and of the renderer's seeds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from clips.atomic_file import replacing
from clips.dungeon.graybox import ROUGH_SHARE
from clips.dungeon.scene import HELD_OUT_PAIRS
from clips.errors import InvalidClip, UnreadableClip
from clips.footage.card import CardFacts, card_text, counts_of_seeds, counts_of_summary
from clips.footage.clip_folder import ClipFolder
from clips.footage.dungeon_footage import DungeonRecipe, dungeon_footage
from clips.footage.footage import Footage
from clips.footage.sheet import overview_sheet
from clips.footage.summary import summarize
from service.cli.data_looking import without_clips

PICTURE_COLUMNS, PICTURE_ROWS, PICTURE_SCALE = 8, 3, 2
_ENDINGS = {".webp": "WEBP", ".png": "PNG"}


def folder_card(folder: Path, out: Path, picture: Path | None, command: str) -> dict[str, Any]:
    """Write the card of a clip folder; returns what was written and counted.

    Raises:
        ClipError: no data set, none with a clip that can be used, or the picture's name ends otherwise than .webp or
            .png.
        OSError: a file cannot be written.
    """
    clips = ClipFolder.open(folder)
    summary, info = summarize(clips), clips.info
    if not summary.rows:
        raise UnreadableClip(without_clips(folder, len(summary.skipped)))
    chosen = np.linspace(0, len(summary.rows) - 1, min(PICTURE_COLUMNS * PICTURE_ROWS, len(summary.rows)))
    names = [summary.rows[int(index)].name for index in chosen.round()]
    shown = _picture(out, picture, [(name, clips.read(name)) for name in names] if picture is not None else [])
    lengths = sorted({row.frames for row in summary.rows})
    frames = str(lengths[0]) if len(lengths) == 1 else f"{lengths[0]} to {lengths[-1]}"
    size = "several sizes" if info.width is None else f"{info.width}x{info.height}"
    facts = CardFacts(
        name=info.name,
        about=info.about,
        licence=info.licence,
        size=_size(frames, size, info.fps),
        recipe={name: str(value) for name, value in info.source.items()},
        domain=_domain(info.source),
        command=command,
        picture=shown,
        skipped=len(summary.skipped),
    )
    return _write(out, picture, card_text(facts, counts_of_summary(summary)), len(summary.rows), len(summary.skipped))


def seeds_card(
    recipe: DungeonRecipe,
    seeds: tuple[int, int],
    out: Path,
    picture: Path | None,
    command: str,
    advance: Callable[[int], None],
) -> dict[str, Any]:
    """Write the card of what the renderer makes of `seeds` (first, count); returns what was written and counted.

    Raises:
        ClipError: a seed is out of range, or the picture's name ends otherwise than .webp or .png.
        OSError: a file cannot be written.
    """
    first, count = seeds
    drawn = counts_of_seeds(recipe, range(first, first + count), advance)
    chosen = range(first, first + min(PICTURE_COLUMNS * PICTURE_ROWS, count)) if picture is not None else range(0)
    shown = _picture(out, picture, [(str(seed), dungeon_footage(recipe, seed)) for seed in chosen])
    facts = seeds_facts(recipe, seeds, command, shown)
    return _write(out, picture, card_text(facts, drawn), count, 0)


def seeds_facts(
    recipe: DungeonRecipe, seeds: tuple[int, int], command: str, picture: tuple[str, str] | None
) -> CardFacts:
    """What the card of the renderer's clips of `seeds` (first, count) says besides its counts."""
    return CardFacts(
        name="Dungeon rooms behind a gate" + (" (held out)" if recipe.is_held_out else ""),
        about="Rooms of a dungeon as a camera sees them that goes through a gate: drawn from a seed and rendered by "
        "`clips/dungeon` with exact depth, cameras, masks and optical flow. Nothing is downloaded; a seed is a clip. "
        "The free object bounces, rolls, topples or swings by rigid-body physics; it slides, orbits or hovers by "
        "formula.",
        licence="Apache-2.0, as the code that makes it",
        size=_size(recipe.frames, f"{recipe.width}x{recipe.height}", recipe.fps),
        recipe=_seed_recipe(recipe, seeds),
        domain=_domain(recipe.source()),
        command=command,
        picture=picture,
    )


def _size(frames: int | str, size: str, fps: float) -> str:
    return f"{frames} frames of {size} at {fps:g} frames per second, RGB and depth"


def _seed_recipe(recipe: DungeonRecipe, seeds: tuple[int, int]) -> dict[str, str]:
    """What decides the clips of these seeds, and how training uses them: read off the code that does it."""
    from model.train.clip_source import PATH_FRAMES
    from model.train.dit import WITH_OBJECTS, WITH_ROOM

    first, count = seeds
    ends = ", ".join(str(frames) for frames in PATH_FRAMES[:-1])
    return {
        "renderer": "clips.dungeon",
        "seeds": f"{first} to {first + count - 1}",
        "seed domain": "held-out" if recipe.is_held_out else "train",
        "end of the camera's path in training": f"after {ends} or {PATH_FRAMES[-1]} frames; then the camera stands",
        "blockout depth in training": f"{100 * WITH_OBJECTS:.0f} % of the windows with the objects' proxies, "
        f"{100 * WITH_ROOM:.0f} % of the room alone, {100 * (1 - WITH_OBJECTS - WITH_ROOM):.0f} % none",
        "rough blockouts in training": f"{100 * ROUGH_SHARE:.0f} % of the clips: the free object as a box or a "
        "ball, or of another size",
    }


def _domain(source: dict[str, Any]) -> tuple[str, ...]:
    if source.get("renderer") != "clips.dungeon":
        return ("This data set says of no clip that it is held out. Of the pairs that Narthex holds out it has:",)
    return (
        "A seed is hashed together with its domain (train or held-out), so that no held-out seed can draw a training "
        "room; benchmarks measure on held-out seeds alone. Held-out camera paths (`--held-out-paths`) stand higher or "
        "lower and see wider or narrower than any training path.",
        f"No room of the training domain has one of these {len(HELD_OUT_PAIRS)} pairs of attributes; `--pairs` renders "
        "rooms that do.",
    )


def _picture(out: Path, picture: Path | None, clips: list[tuple[str, Footage]]) -> tuple[str, str] | None:
    if picture is None or not clips:
        return None
    if picture.suffix not in _ENDINGS:
        raise InvalidClip(f"--picture: got {picture.name!r}, expected a name that ends in .webp or .png")
    sheet = Image.fromarray(overview_sheet(clips, PICTURE_COLUMNS, PICTURE_SCALE))
    with replacing(picture) as partial:
        sheet.save(partial, format=_ENDINGS[picture.suffix], quality=88, method=6)
    here = out.resolve().parent
    target = picture.resolve()
    name = target.relative_to(here).as_posix() if target.is_relative_to(here) else str(picture)
    return name, f"The middle frames of {len(clips)} clips, and their depth (near is bright)."


def _write(out: Path, picture: Path | None, text: str, clips: int, skipped: int) -> dict[str, Any]:
    with replacing(out) as partial:
        partial.write_text(text, encoding="utf-8")
    report: dict[str, Any] = {"out": str(out), "clips": clips, "skipped_clips": skipped}
    return report if picture is None else {**report, "picture": str(picture)}
