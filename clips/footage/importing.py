"""Importing captures: whatever axes, units, size and rate they have, they become clips that a training takes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from clips.errors import ClipError, InvalidClip, UnreadableClip
from clips.footage.agreement import depth_agreement
from clips.footage.clip_folder import ClipFolder, SkippedClip
from clips.footage.dataset_file import DATASET_FILE, DatasetFile, our_dataset
from clips.footage.fitting import Fit, fitted
from clips.footage.footage import Footage
from clips.footage.frame_files import FramesAs
from clips.footage.plane_files import DepthAs
from clips.footage.summary import doubt
from clips.footage.transforms_json import TransformsRule, read_transforms, transforms_folders

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True)
class Imported:
    """What an import did.

    Attributes:
        written: names of the clips that were written.
        kept: how many were there already.
        skipped: captures that could not be used, and why.
        doubts: what is probably wrong with clips that were written: their cameras and depth disagree.
        unused_frames: frames at the ends of captures that no clip covers.
    """

    written: tuple[str, ...]
    kept: int
    skipped: tuple[SkippedClip, ...]
    doubts: tuple[str, ...]
    unused_frames: int


@dataclass(frozen=True)
class CaptureSource:
    """Captures to import: a clip folder of any convention, or folders with transforms.json.

    Attributes:
        name, about, licence: for the data set that they become.
        folder: where they lie.
        names: of the captures, sorted.
        read: the footage of one, or why it cannot be used.
    """

    folder: Path
    name: str
    about: str
    licence: str
    names: tuple[str, ...]
    read: Callable[[str], Footage | SkippedClip]


def captures_in(folder: Path, rule: TransformsRule | None) -> CaptureSource:
    """What `folder` holds; `rule` says of transforms.json what the file does not, None where nobody said it.

    Raises:
        UnreadableClip: neither dataset.json nor transforms.json is there, or dataset.json is wrong.
        InvalidClip: `rule` is missing for transforms.json, or given for a dataset.json, which says it itself.
    """
    if (folder / DATASET_FILE).exists():
        if rule is not None:
            raise InvalidClip(f"{folder}: its {DATASET_FILE} says system, fps and depth kind; correct them there")
        clips = ClipFolder.open(folder)
        info = clips.info
        names = tuple(clips.names())
        return CaptureSource(folder, info.name, info.about, info.licence, names, lambda name: _clip(clips, name))
    folders = {path.name: path for path in transforms_folders(folder)} if folder.is_dir() else {}
    if not folders:
        raise UnreadableClip(
            f"{folder}: neither {DATASET_FILE} nor transforms.json is there; write a {DATASET_FILE} as "
            f"docs/clip-folders.md shows"
        )
    if rule is None:
        raise InvalidClip(f"{folder}: transforms.json does not say how fast it was captured; give --source-fps")
    known = rule
    return CaptureSource(
        folder, folder.name, "", "", tuple(folders), lambda name: read_transforms(folders[name], known)
    )


def import_captures(
    source: CaptureSource,
    target: Path,
    fit: Fit,
    *,
    depth_units_per_m: float = 1.0,
    frames_as: FramesAs = FramesAs.PNG,
    depth_as: DepthAs = DepthAs.NPZ,
    on_progress: Callable[[int, int], None] | None = None,
) -> Imported:
    """Write every usable capture as clips of `fit` into `target`; run again, it goes on where it stopped.

    A capture longer than a clip becomes NAME-00, NAME-01, ...

    Raises:
        InvalidClip: `target` holds another data set, or one of `target` and the captures' folder lies in the other.
        OSError: it cannot be written, the disk being full for one.
    """
    _check_apart(source.folder, target)
    folder = ClipFolder.create(target, _info(source, fit, depth_units_per_m))
    written: list[str] = []
    skipped: list[SkippedClip] = []
    doubts: list[str] = []
    kept = unused = 0
    for index, name in enumerate(source.names):
        result = source.read(name)
        try:
            if isinstance(result, SkippedClip):
                skipped.append(result)
                continue
            clips, left = _fitted(name, result, fit)
            unused += left
            for clip_name, footage in _named(name, clips):
                if _is_there(folder, clip_name, name):
                    kept += 1
                    continue
                folder.write(clip_name, footage, frames_as, depth_as)
                written.append(clip_name)
                agreement = depth_agreement(footage.clip)
                if agreement is not None and agreement.is_doubtful:
                    doubts.append(doubt(clip_name, agreement))
        except ClipError as error:
            skipped.append(SkippedClip(name, str(error)))
        finally:
            if on_progress is not None:
                on_progress(index + 1, len(source.names))
    return Imported(tuple(written), kept, tuple(skipped), tuple(doubts), unused)


def _check_apart(source: Path, target: Path) -> None:
    """Raises InvalidClip where the next import, or a reader of the new data set, would take one for a clip."""
    here, there = source.resolve(), target.resolve()
    if here != there and here not in there.parents and there not in here.parents:
        return
    how = "is" if here == there else "lies within" if here in there.parents else "lies around"
    raise InvalidClip(f"{target}: {how} the folder of the captures {source}; import into a folder apart from it")


def _info(source: CaptureSource, fit: Fit, depth_units_per_m: float) -> DatasetFile:
    return our_dataset(
        source.name,
        fit.width,
        fit.height,
        fit.fps,
        depth_units_per_m=depth_units_per_m,
        about=source.about,
        licence=source.licence,
        source={"imported": True, "frames": fit.frames},
    )


def _clip(clips: ClipFolder, name: str) -> Footage | SkippedClip:
    ((_, result),) = clips.read_all([name])
    return result


def _fitted(name: str, footage: Footage, fit: Fit) -> tuple[list[Footage], int]:
    try:
        return fitted(footage, fit)
    except ClipError as error:
        raise type(error)(f"clip {name}: {error}") from error


def _named(name: str, clips: list[Footage]) -> Iterator[tuple[str, Footage]]:
    plain = _NOT_IN_NAMES.sub("-", name).strip("-.")[:90] or "clip"
    for part, footage in enumerate(clips):
        clip_name = plain if len(clips) == 1 else f"{plain}-{part:02d}"
        yield clip_name, replace(footage, source={**footage.source, "capture": name, "part": part})


def _is_there(folder: ClipFolder, clip_name: str, capture: str) -> bool:
    if clip_name not in folder:
        return False
    there = folder.read(clip_name).source.get("capture")
    if there != capture:
        raise InvalidClip(f"clip {clip_name}: capture {there!r} has that name already; rename {capture!r}")
    return True
