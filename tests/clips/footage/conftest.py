"""A small clip with all that footage can have, and a folder with it as an engine of one's own might write it."""

from __future__ import annotations

from pathlib import Path

import pytest

from clips.footage.footage import Footage
from tests.clips.footage.footage_samples import make_footage, raw_clip, write_dataset


@pytest.fixture
def footage() -> Footage:
    return make_footage()


@pytest.fixture
def raw(tmp_path: Path, footage: Footage) -> Path:
    """A data set in Narthex's own convention, written by hand, with one clip called `one`."""
    folder = write_dataset(tmp_path / "raw")
    clip = footage.clip
    cameras = {"camera_to_world": clip.cameras.camera_to_world.tolist(), "K": clip.cameras.Ks[0].tolist()}
    raw_clip(folder / "one", footage, cameras)
    return folder
