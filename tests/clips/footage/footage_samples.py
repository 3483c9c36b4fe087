"""A small clip with all that footage can have, and a folder with it as an engine of one's own might write it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

from clips.camera_path import CameraPath, PathKind
from clips.clip import Clip
from clips.footage.footage import Footage

WIDTH, HEIGHT, FRAMES = 10, 6, 4
DATASET = {
    "format": "narthex-clips",
    "version": 1,
    "name": "test",
    "width": WIDTH,
    "height": HEIGHT,
    "fps": 8.0,
    "cameras": {"system": "narthex"},
    "depth": {"kind": "planar", "units_per_m": 1.0},
}


def make_footage(frames: int = FRAMES, width: int = WIDTH, height: int = HEIGHT, **fields: object) -> Footage:
    rng = np.random.default_rng(3)
    shape = (frames, height, width)
    cameras = CameraPath(kind=PathKind.SHAKE, distance_m=0.4).cameras(frames, width, height)
    clip = Clip(
        rng.integers(0, 256, (*shape, 3), dtype=np.uint8),
        rng.uniform(0.5, 9.0, shape).astype(np.float32),
        cameras,
        np.arange(frames) / 8.0 + 0.25,
        "a red orb",
        rng.random(shape) < 0.3,
    )
    everything = {
        "captions": {"en": ("a red orb", "an orb that is red"), "zh": ("红色的球",)},
        "slots": {"color": "red", "shape": "orb"},
        "object_mask": rng.random(shape) < 0.4,
        "room_depth": rng.uniform(1.0, 9.0, shape).astype(np.float32),
        "objects_depth": rng.uniform(1.0, 9.0, shape).astype(np.float32),
        "flow": rng.normal(size=(frames - 1, height, width, 2)).astype(np.float32),
        "source": {"seed": 5, "camera_path": "shake"},
    }
    return Footage(clip, **{**everything, **fields})


def raw_clip(folder: Path, footage: Footage, cameras: dict, depth: np.ndarray | None = None) -> Path:
    """A clip as an engine writes it: pictures, a depth array, cameras.json as given, caption.txt."""
    (folder / "frames").mkdir(parents=True)
    for index, frame in enumerate(footage.clip.frames):
        Image.fromarray(frame).save(folder / "frames" / f"shot_{index + 1}.png")
    np.save(folder / "depth.npy", footage.clip.depth if depth is None else depth)
    (folder / "cameras.json").write_text(json.dumps(cameras))
    (folder / "caption.txt").write_text("a red orb", encoding="utf-8")
    return folder


def write_dataset(folder: Path, **changes: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dataset.json").write_text(json.dumps({**DATASET, **changes}))
    return folder
