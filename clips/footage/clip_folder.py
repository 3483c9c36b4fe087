"""A data set of clips as a folder (docs/clip-folders.md): dataset.json and a sub-folder for each clip.

Whatever axes, units and depth it was written in, reading gives Narthex's own convention. A clip is written beside and
renamed when it is whole and on disk, so that a killed process leaves whole clips only.
"""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from clips.atomic_file import replacing
from clips.clip import Clip
from clips.errors import ClipError, InvalidClip, UnreadableClip
from clips.footage.camera_file import read_cameras, write_cameras
from clips.footage.conversion import check_path, our_cameras, our_depth, srgb_encoded
from clips.footage.dataset_file import DATASET_FILE, DatasetFile, read_dataset_file
from clips.footage.footage import Footage, check_depth
from clips.footage.frame_files import FramesAs, read_frames, write_frames
from clips.footage.json_file import read_json
from clips.footage.plane_files import (
    DepthAs,
    read_depth,
    read_flow,
    read_mask,
    write_array,
    write_depth,
    write_mask,
)

CAPTION_FILE = "caption.txt"
CAPTIONS_FILE = "captions.json"
SLOTS_FILE = "slots.json"
SOURCE_FILE = "source.json"
MAX_CAPTION_BYTES = 1 << 20
PARTIAL_ENDING = ".partial"
_CLIP_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")


@dataclass(frozen=True)
class SkippedClip:
    """A clip that could not be used, and why (file, field, value, remedy)."""

    name: str
    problem: str


class ClipFolder:
    """A data set on disk: `names()`, `read(name)`, `read_all()`, and, once created, `write(name, footage)`."""

    def __init__(self, folder: Path, info: DatasetFile) -> None:
        self.folder, self.info = folder, info

    @staticmethod
    def open(folder: Path) -> ClipFolder:
        """The data set in `folder`.

        Raises:
            UnreadableClip: its dataset.json is missing or wrong.
        """
        if not folder.is_dir():
            raise UnreadableClip(f"{folder}: no such folder; name one with a {DATASET_FILE}")
        return ClipFolder(folder, read_dataset_file(folder))

    @staticmethod
    def create(folder: Path, info: DatasetFile) -> ClipFolder:
        """A data set to write to; an existing one of the same dataset.json goes on, and what a kill left is removed.

        One process at a time writes to a data set.

        Raises:
            InvalidClip: the folder holds another data set, or `info` is not in Narthex's own convention.
            OSError: it cannot be written.
        """
        if not info.is_ours or info.width is None:
            raise InvalidClip(f"{folder}: clips are written in Narthex's own convention and at one size, got {info}")
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / DATASET_FILE).exists():
            there = read_dataset_file(folder)
            differing = [name for name in DatasetFile.model_fields if getattr(there, name) != getattr(info, name)]
            if differing:
                field = differing[0]
                got, wanted = getattr(there, field), getattr(info, field)
                raise InvalidClip(
                    f"{folder}: holds another data set: {field} is {got!r} there and {wanted!r} here; "
                    f"name another folder"
                )
        else:
            with replacing(folder / DATASET_FILE) as partial:
                partial.write_text(info.text(), encoding="utf-8")
        made = ClipFolder(folder, info)
        made.sweep()
        return made

    def names(self) -> list[str]:
        """The clips' names, sorted: every sub-folder that is not hidden."""
        return sorted(path.name for path in self.folder.iterdir() if path.is_dir() and not path.name.startswith("."))

    def __contains__(self, name: str) -> bool:
        return (self.folder / name).is_dir()

    def sweep(self) -> int:
        """Remove what killed writers left; how many."""
        left = [path for path in self.folder.iterdir() if path.name.startswith(".") and path.suffix == PARTIAL_ENDING]
        for path in left:
            shutil.rmtree(path)
        return len(left)

    def read(self, name: str) -> Footage:
        """A clip in Narthex's own convention.

        Raises:
            UnreadableClip, InvalidClip, InvalidCameras: names clip, file, field, value and remedy.
        """
        folder = self.folder / name
        try:
            if not folder.is_dir():
                raise UnreadableClip(f"no such clip in {self.folder}")
            return _read(folder, self.info)
        except ClipError as error:
            raise type(error)(f"clip {name}: {error}") from error
        except OSError as error:
            raise UnreadableClip(f"clip {name}: cannot be read: {error}; check its files and rights") from error

    def read_all(self, names: Iterable[str] | None = None) -> Iterator[tuple[str, Footage | SkippedClip]]:
        """Every clip (or those of `names`) in order; one that cannot be used is a SkippedClip, and the rest goes on."""
        for name in self.names() if names is None else names:
            try:
                yield name, self.read(name)
            except ClipError as error:
                yield name, SkippedClip(name, str(error))

    def write(
        self, name: str, footage: Footage, frames_as: FramesAs = FramesAs.PNG, depth_as: DepthAs = DepthAs.NPZ
    ) -> None:
        """Write a clip; it is there wholly or not at all.

        Raises:
            FileExistsError: a clip of that name is there; nothing is overwritten.
            InvalidClip: the name, the picture size or a depth does not fit the data set.
            OSError: it cannot be written; says so plainly where the disk is full.
        """
        if not _CLIP_NAME.match(name) or name.endswith(PARTIAL_ENDING):
            raise InvalidClip(f"clip {name!r}: expected a name of letters, digits, '.', '_' and '-', at most 100")
        target = self.folder / name
        if target.exists():
            raise FileExistsError(errno.EEXIST, "a clip of that name is there, and nothing is overwritten", str(target))
        size = (footage.clip.cameras.width, footage.clip.cameras.height)
        if size != (self.info.width, self.info.height):
            wanted = f"{self.info.width}x{self.info.height}"
            raise InvalidClip(f"clip {name}: is {size[0]}x{size[1]}, the data set's clips are {wanted}")
        partial = self.folder / f".{name}.{secrets.token_hex(6)}{PARTIAL_ENDING}"
        try:
            partial.mkdir()
            _write(partial, footage, self.info, frames_as, depth_as)
            _to_disk(partial)
            partial.rename(target)
        except OSError as error:
            raise _said_plainly(error, name) from error
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def _read(folder: Path, info: DatasetFile) -> Footage:
    size = None if info.width is None or info.height is None else (info.width, info.height)
    frames = read_frames(folder, size)
    shape = frames.shape[:3]
    raw = read_cameras(folder, shape[0], (shape[2], shape[1]), info.cameras.pixel_center)
    times = np.arange(shape[0]) / info.fps if raw.times is None else raw.times
    cameras = our_cameras(raw, info.cameras, (shape[2], shape[1]))
    check_path(cameras, times, info.limits)
    depths = {name: _depth(folder, name, info, cameras, shape) for name in ("depth", "room_depth", "objects_depth")}
    captions = read_captions(folder)
    first = next((texts[0] for texts in captions.values()), "")
    if info.color == "linear":
        frames = srgb_encoded(frames)
    depth = depths.pop("depth")
    if depth is None:
        raise UnreadableClip("depth: is missing")
    clip = Clip(frames, depth, cameras, times, first, read_mask(folder, "motion_mask", shape))
    object_mask, flow = read_mask(folder, "object_mask", shape), read_flow(folder, shape)
    slots, source = _words(folder), _source(folder)
    return Footage(clip, captions, slots, object_mask, depths["room_depth"], depths["objects_depth"], flow, source)


def _depth(folder: Path, name: str, info: DatasetFile, cameras: Any, shape: tuple[int, ...]) -> np.ndarray | None:
    values = read_depth(folder, name, shape, required=name == "depth")
    if values is None:
        return None
    depth = our_depth(values, info.depth, cameras)
    check_depth(name, depth, shape)
    return depth


def read_captions(folder: Path) -> dict[str, tuple[str, ...]]:
    """Captions by language of a clip's folder: captions.json, or caption.txt in English; empty where there is none.

    Raises:
        UnreadableClip: both are there, or one is not what it should be.
    """
    plain, several = folder / CAPTION_FILE, folder / CAPTIONS_FILE
    if plain.exists() and several.exists():
        raise UnreadableClip(f"both {CAPTION_FILE} and {CAPTIONS_FILE} are there; remove one")
    if plain.exists():
        return {"en": (_caption_text(plain),)}
    if not several.exists():
        return {}
    value = read_json(several)
    if not isinstance(value, dict):
        raise UnreadableClip(f"{CAPTIONS_FILE}: expected an object of captions by language, got {str(value)[:60]!r}")
    captions = {}
    for language, texts in value.items():
        listed = [texts] if isinstance(texts, str) else texts
        if not isinstance(listed, list) or not all(isinstance(text, str) for text in listed):
            raise UnreadableClip(
                f"{CAPTIONS_FILE}: {language}: expected a text or a list of texts, got {str(texts)[:60]!r}"
            )
        captions[language] = tuple(listed)
    return captions


def _caption_text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_CAPTION_BYTES:
            raise UnreadableClip(f"{path.name}: more than {MAX_CAPTION_BYTES} bytes; a caption is a few sentences")
        text = path.read_text(encoding="utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableClip(f"{path.name}: not readable UTF-8 text ({error}); write it anew") from error
    if not text:
        raise UnreadableClip(f"{path.name}: is empty; write what the clip shows, or remove the file")
    return text


def _words(folder: Path) -> Mapping[str, str] | None:
    if not (folder / SLOTS_FILE).exists():
        return None
    value = read_json(folder / SLOTS_FILE)
    if not isinstance(value, dict):
        raise UnreadableClip(f"{SLOTS_FILE}: expected an object of words by slot, got {str(value)[:60]!r}")
    return {name: word for name, word in value.items() if word is not None}


def _source(folder: Path) -> Mapping[str, Any]:
    if not (folder / SOURCE_FILE).exists():
        return {}
    value = read_json(folder / SOURCE_FILE)
    if not isinstance(value, dict):
        raise UnreadableClip(f"{SOURCE_FILE}: expected an object, got {str(value)[:60]!r}")
    return value


def _write(folder: Path, footage: Footage, info: DatasetFile, frames_as: FramesAs, depth_as: DepthAs) -> None:
    clip = footage.clip
    write_frames(clip.frames, folder, info.fps, frames_as)
    write_cameras(folder, clip.cameras, clip.times)
    depths = {"depth": clip.depth, "room_depth": footage.room_depth, "objects_depth": footage.objects_depth}
    for name, depth in depths.items():
        if depth is not None:
            write_depth(folder, name, depth, info.depth.units_per_m, depth_as)
    for name, mask in (("motion_mask", clip.motion_mask), ("object_mask", footage.object_mask)):
        if mask is not None:
            write_mask(folder, name, mask)
    if footage.flow is not None:
        write_array(folder, "flow", footage.flow)
    captions = footage.captions or ({"en": (clip.caption,)} if clip.caption.strip() else {})
    texts = {CAPTIONS_FILE: captions, SLOTS_FILE: footage.slots, SOURCE_FILE: footage.source}
    for name, value in texts.items():
        if value:
            (folder / name).write_text(json.dumps(dict(value), ensure_ascii=False, indent=1), encoding="utf-8")


def _to_disk(folder: Path) -> None:
    """Wait until every file of a folder lies on disk, so that a whole folder is whole after a power cut too."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())


def _said_plainly(error: OSError, name: str) -> OSError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        text = f"clip {name}: the disk is full; free some space and run the same command again: whole clips are kept"
        return OSError(error.errno, text)
    if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
        return FileExistsError(errno.EEXIST, f"clip {name}: another process wrote it meanwhile; nothing is overwritten")
    return OSError(error.errno, f"clip {name}: cannot be written: {error.strerror or error}")
