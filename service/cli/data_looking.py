"""What `narthex data inspect` looks at: a data set, one clip of it, or a .npz clip; and its contact sheet."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from clips.clip import load_clip
from clips.dungeon.attributes import SLOTS
from clips.errors import UnreadableClip
from clips.footage.camera_file import CAMERAS_FILE
from clips.footage.clip_folder import ClipFolder
from clips.footage.dataset_file import DATASET_FILE
from clips.footage.footage import Footage
from clips.footage.sheet import clip_sheet
from clips.footage.summary import UNKNOWN, ClipRow, Summary, SummaryMaker, summarize
from clips.picture import write_png

HEADINGS = ("clip", "camera", "path", "turn", "depth", "off", "moves", "shows")


@dataclass(frozen=True, eq=False)
class Look:
    """A summary, and how to get the footage of its rows again for a sheet."""

    summary: Summary
    folder: ClipFolder | None
    single: Footage | None

    def footage(self, name: str) -> Footage:
        """The clip of a row."""
        if self.single is not None:
            return self.single
        if self.folder is None:
            raise UnreadableClip(f"{name}: nothing was read")
        return self.folder.read(name)


def looked_at(path: Path) -> Look:
    """What `path` holds.

    Raises:
        UnreadableClip: nothing that can be looked at.
    """
    if path.is_file():
        clip = load_clip(path)
        captions = {"en": (clip.caption,)} if clip.caption.strip() else {}
        footage, maker = Footage(clip, captions), SummaryMaker()
        maker.add(path.name, footage)
        return Look(maker.done(), None, footage)
    if (path / CAMERAS_FILE).exists() and not (path / DATASET_FILE).exists():
        resolved = path.resolve()
        folder = ClipFolder.open(resolved.parent)
        return Look(summarize(folder, [resolved.name]), folder, None)
    folder = ClipFolder.open(path)
    return Look(summarize(folder), folder, None)


def without_clips(place: Path, skipped: int) -> str:
    """Why there is nothing to be done with a data set none of whose clips can be used."""
    if skipped:
        return f"{place}: none of its clips can be used ({skipped} there); `narthex data inspect {place}` says why"
    return f"{place}: has no clips; each is a folder of its own in it, as docs/clip-folders.md shows"


def write_sheet(look: Look, path: Path, clips: int) -> None:
    """Write the sheets of evenly chosen clips, one under another, as PNG.

    Raises:
        UnreadableClip: no clip can be shown.
        OSError: the file cannot be written.
    """
    rows = look.summary.rows
    if not rows:
        raise UnreadableClip(f"{path}: no clip can be shown")
    chosen = np.unique(np.linspace(0, len(rows) - 1, min(clips, len(rows))).round().astype(int))
    sheets = [clip_sheet(rows[index].name, look.footage(rows[index].name)) for index in chosen]
    width, height = max(sheet.shape[1] for sheet in sheets), sum(sheet.shape[0] for sheet in sheets)
    page = Image.new("RGB", (width, height), tuple(int(value) for value in sheets[0][0, 0]))
    top = 0
    for sheet in sheets:
        page.paste(Image.fromarray(sheet), (0, top))
        top += sheet.shape[0]
    write_png(np.asarray(page), path)


def show(summary: Summary, rows: int) -> None:
    """Print a table of the first `rows` clips, shares over all of them, doubts and problems.

    Column `off` is how far cameras and depth disagree (`clips.footage.agreement`).
    """
    console = Console()
    cells = [_cells(row) for row in summary.rows[:rows]]
    table = Table(box=None, pad_edge=False)
    for column, heading in enumerate(HEADINGS[:-1]):
        table.add_column(heading, no_wrap=True, min_width=max([len(heading), *(len(line[column]) for line in cells)]))
    table.add_column(HEADINGS[-1], no_wrap=True, overflow="ellipsis")
    for line in cells:
        table.add_row(*map(escape, line))
    if summary.rows:
        console.print(table)
    if len(summary.rows) > rows:
        console.print(f"and {len(summary.rows) - rows} more; --all lists them")
    for name in ("frames", "size", "camera"):
        _counts(console, name, dict(summary.count(name)), len(summary.rows))
    for slot in SLOTS:
        counts = summary.slot_counts(slot)
        if set(counts) != {UNKNOWN}:
            _counts(console, slot, dict(counts.most_common()), len(summary.rows))
    for doubt in summary.doubts:
        Console(stderr=True).print(escape(f"doubtful: {doubt}"), style="yellow", soft_wrap=True)
    for skip in summary.skipped:
        Console(stderr=True).print(escape(skip.problem), style="red", soft_wrap=True)
    console.print(f"{len(summary.rows)} clips can be used, {len(summary.skipped)} cannot")


def _cells(row: ClipRow) -> list[str]:
    words = " ".join(row.slots.values()) or next((texts[0] for texts in row.captions.values()), "")
    moving = "" if row.moving is None else f"{100 * row.moving:.1f} %"
    near, _, far = row.depth_m
    depth, path, turn = f"{near:.1f}-{far:.1f} m", f"{row.travelled_m:.2f} m", f"{row.turned_deg:.0f} deg"
    off = "" if row.agreement is None else f"{100 * row.agreement.error:.1f} %"
    return [row.name, row.camera, path, turn, depth, off, moving, words]


def _counts(console: Console, name: str, counts: dict[str, int], total: int) -> None:
    if counts:
        shares = ", ".join(f"{word} {100 * count / total:.0f} %" for word, count in counts.items())
        console.print(f"{name:>8}  {escape(shares)}", soft_wrap=True, highlight=False)
