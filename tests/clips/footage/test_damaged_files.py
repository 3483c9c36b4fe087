"""Whatever bytes a clip's files hold, reading gives footage or an error of ours: never anything else."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from clips.errors import ClipError
from clips.footage.clip_folder import ClipFolder, SkippedClip
from clips.footage.dataset_file import our_dataset
from clips.footage.footage import Footage
from clips.footage.frame_files import FramesAs
from clips.footage.plane_files import DepthAs
from tests.clips.footage.footage_samples import make_footage


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    made = ClipFolder.create(folder, our_dataset("test", 10, 6, 8.0, depth_units_per_m=1000.0))
    made.write("pictures", make_footage(), FramesAs.PNG, DepthAs.PNG)
    made.write("video", make_footage(), FramesAs.MP4, DepthAs.NPZ)
    return folder


@pytest.mark.parametrize("name", ["pictures", "video"])
def test_damage_of_any_file_is_an_error_of_ours(whole: Path, name: str) -> None:
    """Every file of a clip cut short, emptied, with bytes changed, and replaced by another file's bytes."""
    rng = np.random.default_rng(7)
    folder = ClipFolder.open(whole)
    files = sorted(path for path in (whole / name).rglob("*") if path.is_file())
    refused = 0
    for path in files:
        content = path.read_bytes()
        spoiled = np.frombuffer(content, dtype=np.uint8).copy()
        at = rng.integers(len(spoiled), size=max(1, len(spoiled) // 20))
        spoiled[at] ^= rng.integers(1, 256, size=len(at), dtype=np.uint8)
        other = files[int(rng.integers(len(files)))].read_bytes()
        for bad in (b"", content[: len(content) // 2], content[:-1], spoiled.tobytes(), other):
            path.write_bytes(bad)
            ((_, result),) = folder.read_all([name])
            assert isinstance(result, (Footage, SkippedClip)), path
            refused += isinstance(result, SkippedClip)
        path.write_bytes(content)
    assert refused > 2 * len(files), "most damage is noticed"
    assert isinstance(folder.read(name), Footage), "what was put back is whole"


@pytest.mark.parametrize(
    "value",
    [
        None,
        3,
        "x",
        [],
        {},
        {"camera_to_world": 10**400},
        {"camera_to_world": [[[10**400] * 4] * 4] * 4, "fov_x_deg": 9},
    ],
)
def test_any_json_as_cameras_is_an_error_of_ours(whole: Path, tmp_path: Path, value: object) -> None:
    made = ClipFolder.create(tmp_path, our_dataset("test", 10, 6, 8.0))
    made.write("one", make_footage())
    (tmp_path / "one" / "cameras.json").write_text(json.dumps(value))
    with pytest.raises(ClipError, match=r"clip one: cameras\.json: "):
        made.read("one")


def test_a_file_in_place_of_a_folder_is_an_error_of_ours(whole: Path, tmp_path: Path) -> None:
    made = ClipFolder.create(tmp_path, our_dataset("test", 10, 6, 8.0))
    made.write("one", make_footage())
    for name in ("caption.txt", "slots.json", "flow.npz"):
        (tmp_path / "one" / name).unlink(missing_ok=True)
        (tmp_path / "one" / name).mkdir()
        ((_, result),) = made.read_all()
        assert isinstance(result, SkippedClip), name
        (tmp_path / "one" / name).rmdir()
