"""What is in a data set: a row for each clip, and counts over all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from clips.footage.agreement import Agreement, depth_agreement
from clips.footage.clip_folder import ClipFolder, SkippedClip
from clips.footage.conversion import turned_deg
from clips.footage.footage import Footage

UNKNOWN = "(not said)"
_STILL_M, _STILL_DEG = 0.02, 1.0


@dataclass(frozen=True)
class ClipRow:
    """One clip in numbers.

    Attributes:
        camera: kind of the camera's path where the clip's source says it, else still, moves, turns or both.
        travelled_m, turned_deg: of the camera, summed from frame to frame.
        depth_m: nearest, median and farthest depth.
        agreement: of cameras and depth; None where the clip's movement says nothing.
        moving, object: mean share of the picture that moves by itself, and that the free object covers; None: unknown.
        captions: by language.
        slots: word of each known slot.
        knows: which of room_depth, objects_depth, flow it has.
    """

    name: str
    frames: int
    width: int
    height: int
    fps: float
    camera: str
    travelled_m: float
    turned_deg: float
    depth_m: tuple[float, float, float]
    agreement: Agreement | None
    moving: float | None
    object: float | None
    captions: dict[str, tuple[str, ...]]
    slots: dict[str, str]
    knows: tuple[str, ...]

    @property
    def size(self) -> str:
        """Width and height, as text."""
        return f"{self.width}x{self.height}"


@dataclass(frozen=True)
class Summary:
    """All rows of a data set, and the clips that could not be used."""

    rows: tuple[ClipRow, ...]
    skipped: tuple[SkippedClip, ...]

    @property
    def doubts(self) -> tuple[str, ...]:
        """What is probably wrong with usable clips, one line each."""
        return tuple(doubt(row.name, row.agreement) for row in self.rows if row.agreement and row.agreement.is_doubtful)

    def count(self, what: str) -> Counter[str]:
        """How many clips have each value of an attribute of ClipRow, as text."""
        return Counter(str(getattr(row, what)) for row in self.rows)

    def slot_counts(self, slot: str) -> Counter[str]:
        """How many clips have each word of a slot; UNKNOWN where it is not known."""
        return Counter(row.slots.get(slot, UNKNOWN) for row in self.rows)


@dataclass
class SummaryMaker:
    """Adds clips one by one, so that no data set need fit into memory."""

    rows: list[ClipRow] = field(default_factory=list)
    skipped: list[SkippedClip] = field(default_factory=list)

    def add(self, name: str, result: Footage | SkippedClip) -> None:
        """Count one clip."""
        if isinstance(result, SkippedClip):
            self.skipped.append(result)
        else:
            self.rows.append(clip_row(name, result))

    def done(self) -> Summary:
        """What was added."""
        return Summary(tuple(self.rows), tuple(self.skipped))


def summarize(folder: ClipFolder, names: Iterable[str] | None = None) -> Summary:
    """Rows of every clip of a data set, or of those that are named."""
    maker = SummaryMaker()
    for name, result in folder.read_all(names):
        maker.add(name, result)
    return maker.done()


def clip_row(name: str, footage: Footage) -> ClipRow:
    """One clip in numbers."""
    clip = footage.clip
    steps_m = np.linalg.norm(np.diff(clip.cameras.positions, axis=0), axis=1)
    travelled, turned = float(steps_m.sum()), float(turned_deg(clip.cameras).sum())
    optional = ("room_depth", "objects_depth", "flow")
    low, middle, high = np.percentile(clip.depth, (0, 50, 100))
    return ClipRow(
        name=name,
        frames=len(clip),
        width=clip.cameras.width,
        height=clip.cameras.height,
        fps=clip.fps,
        camera=str(footage.source.get("camera_path") or _camera(travelled, turned)),
        travelled_m=travelled,
        turned_deg=turned,
        depth_m=(float(low), float(middle), float(high)),
        agreement=depth_agreement(clip),
        moving=None if clip.motion_mask is None else float(clip.motion_mask.mean()),
        object=None if footage.object_mask is None else float(footage.object_mask.mean()),
        captions=dict(footage.captions),
        slots=dict(footage.slots or {}),
        knows=tuple(what for what in optional if getattr(footage, what) is not None),
    )


def doubt(name: str, agreement: Agreement) -> str:
    """What to say of a clip whose cameras and depth disagree."""
    return (
        f"clip {name}: depth moved by its cameras is off by {100 * agreement.error:.0f} % "
        f"({100 * agreement.frozen:.0f} % had the camera stood still): look at the axes, units_per_m, depth.kind and "
        "the view angle"
    )


def _camera(travelled_m: float, turned: float) -> str:
    moves, turns = travelled_m > _STILL_M, turned > _STILL_DEG
    if moves and turns:
        return "moves and turns"
    return "moves" if moves else "turns" if turns else "still"
