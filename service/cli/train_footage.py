"""What `narthex train vae|latents|dit` train on: rendered rooms, or the clips of a folder (docs/clip-folders.md)."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from clips.footage.clip_folder import SkippedClip
    from model.train.footage_clips import FolderClips

RECORD_FILE = "footage.json"
HELD_OUT_ROOMS = 64
FOOTAGE_FRAMES = 17

FootageDir = Annotated[
    Path | None, typer.Option("--footage", help="Clip folder to train on instead of rendered rooms.", metavar="DIR")
]
HeldOutFootage = Annotated[
    Path | None,
    typer.Option(help="Clip folder to validate on; default: a tenth of the clips of --footage.", metavar="DIR"),
]
FootageFrames = Annotated[
    int | None,
    typer.Option("--frames", help=f"With --footage: first frames of a clip to take. [default: {FOOTAGE_FRAMES}]"),
]
HeldOut = Annotated[
    int | None,
    typer.Option(
        help=f"Held-out clips to validate on. [default: {HELD_OUT_ROOMS}; with --footage a tenth of its clips]", min=1
    ),
]


@dataclass(frozen=True)
class ClipChoice:
    """Which clips a command's options ask for; None where an option was not given.

    Raises:
        typer.BadParameter: options of rendered rooms and of footage are mixed.
    """

    clips: int | None
    held_out: int | None
    footage: Path | None
    held_out_footage: Path | None
    frames: int | None

    def __post_init__(self) -> None:
        if self.footage is None and self.held_out_footage is not None:
            raise typer.BadParameter("--held-out-footage goes with --footage")
        if self.footage is None and self.frames is not None:
            raise typer.BadParameter("--frames goes with --footage; rendered rooms have the length that is trained")
        if self.footage is not None and self.clips is not None:
            raise typer.BadParameter("--clips counts rendered rooms; with --footage every usable clip is taken")
        if self.held_out_footage is not None and self.held_out is not None:
            raise typer.BadParameter("give --held-out or --held-out-footage, one of them")

    @property
    def held_out_rooms(self) -> int:
        """Rendered rooms to validate on."""
        return HELD_OUT_ROOMS if self.held_out is None else self.held_out


@dataclass(frozen=True, eq=False)
class TrainingFootage:
    """The usable clips of a folder in two parts, and those that cannot be used.

    Attributes:
        held_out_skipped: those of the folder to validate on, where that is one of its own.
    """

    train: FolderClips
    held_out: FolderClips
    held_out_skipped: tuple[SkippedClip, ...]

    def report(self) -> dict[str, Any]:
        """Clips used and skipped, as --json prints them."""
        report: dict[str, Any] = {
            "clips": len(self.train),
            "held_out_clips": len(self.held_out),
            "skipped": {one.name: one.problem for one in self.train.skipped},
        }
        if self.held_out_skipped:
            report["held_out_skipped"] = {one.name: one.problem for one in self.held_out_skipped}
        return report

    def say(self) -> None:
        """The same as lines on stderr, every skipped clip by name."""
        skipped = (*self.train.skipped, *self.held_out_skipped)
        counts = f"{len(self.train)} clips to train on, {len(self.held_out)} held out, {len(skipped)} skipped"
        typer.echo(f"{self.train.folder.folder}: {counts}", err=True)
        for one in skipped:
            typer.echo(f"skipped: {one.problem}", err=True)

    def record(self) -> dict[str, Any]:
        """What a training's folder remembers of them."""
        parts = {"train": self.train, "held_out": self.held_out}
        named = {name: {"key": part.key(), "clips": list(part.names)} for name, part in parts.items()}
        return {**named, "skipped": {one.name: one.problem for one in (*self.train.skipped, *self.held_out_skipped)}}


def read_footage(choice: ClipChoice, side_px: int, group_frames: int, fewest_frames: int) -> TrainingFootage | None:
    """The footage that a command asks for, None where it asks for rendered rooms.

    Args:
        side_px, group_frames, fewest_frames: what the networks take (`model.train.footage_clips.check_grid`).

    Raises:
        UnreadableClip: a folder is no clip folder.
        ModelError: no clip can be used, too few to hold any out, of a size that does not fit, or the folder to validate
            on has clips of another size or is the one that is trained on.
    """
    from model.errors import ModelError
    from model.train.footage_clips import FolderClips, check_grid, split_held_out

    if choice.footage is None:
        return None
    frames = FOOTAGE_FRAMES if choice.frames is None else choice.frames
    source = FolderClips(choice.footage, frames)
    check_grid(source, side_px, group_frames, fewest_frames)
    other = choice.held_out_footage
    if other is None:
        return TrainingFootage(*split_held_out(source, choice.held_out), ())
    if other.resolve() == choice.footage.resolve():
        raise ModelError(f"{other}: --held-out-footage names the clips that are trained on; leave it out to split them")
    held_out = FolderClips(other, frames)
    if held_out.size != source.size:
        (_, height, width), (_, wanted_height, wanted_width) = held_out.size, source.size
        raise ModelError(
            f"{other}: its clips are {width}x{height}, those of {choice.footage} {wanted_width}x{wanted_height}"
        )
    return TrainingFootage(source, held_out, held_out.skipped)


def footage_folder(parent: Path, source: FolderClips) -> Path:
    """Where arrays made of these clips are kept: a folder of their own for every content."""
    return parent / f"footage-{hashlib.sha256(source.key().encode()).hexdigest()[:12]}"


def claim(out: Path, footage: TrainingFootage | None) -> None:
    """Write down in a training's folder what it is trained on, or refuse where it was begun on other clips.

    Raises:
        ModelError: a training was begun there on rendered rooms, or on other footage, or on footage and now rooms.
    """
    from model.checkpoint import write_atomically
    from model.errors import ModelError
    from model.train.loop import STATE_FILE

    path, begun = out / RECORD_FILE, (out / STATE_FILE).exists()
    there = json.loads(path.read_text("utf-8")) if path.exists() else None
    wanted = None if footage is None else footage.record()
    if begun and _keys(there) != _keys(wanted):
        raise ModelError(
            f"{out}: was begun on {_described(there)}, wanted {_described(wanted)}; name another --out, or give it the "
            f"clips that it was begun on"
        )
    if wanted is not None:
        out.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(wanted, indent=1, ensure_ascii=False).encode())


def _keys(record: dict[str, Any] | None) -> list[str]:
    return [] if record is None else [record["train"]["key"], record["held_out"]["key"]]


def _described(record: dict[str, Any] | None) -> str:
    return "rendered rooms" if record is None else f"footage ({record['train']['key']})"
