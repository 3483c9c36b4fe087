"""An import does not mix its clips with the captures that it reads."""

from pathlib import Path

import pytest

from clips.errors import InvalidClip
from clips.footage.fitting import Fit
from clips.footage.importing import captures_in, import_captures
from tests.clips.footage.footage_samples import make_footage, raw_clip, write_dataset

FIT = Fit(10, 6, 5, 8.0)


@pytest.fixture
def captures(tmp_path: Path) -> Path:
    folder = write_dataset(tmp_path / "raw" / "hall", cameras={"system": "narthex"}, fps=8)
    footage = make_footage(frames=6)
    cameras = {"camera_to_world": footage.clip.cameras.camera_to_world.tolist(), "fov_x_deg": 75}
    raw_clip(folder / "shot", footage, cameras)
    return folder


def _listing(folder: Path) -> list[str]:
    return sorted(str(path) for path in folder.rglob("*"))


@pytest.mark.parametrize(
    ("target", "how"),
    [
        ("raw/hall", "is"),
        ("raw/hall/new", "lies within"),
        ("raw/hall/shot/deep/new", "lies within"),
        ("raw/../raw/hall/new", "lies within"),
        ("link/new", "lies within"),
        ("raw", "lies around"),
    ],
)
def test_source_and_target_in_one_another_are_refused_with_both_names(
    captures: Path, tmp_path: Path, target: str, how: str
) -> None:
    (tmp_path / "link").symlink_to(captures)
    before = _listing(tmp_path)
    with pytest.raises(InvalidClip) as refused:
        import_captures(captures_in(captures, None), tmp_path / target, FIT)
    assert f"{tmp_path / target}: {how} the folder of the captures {captures};" in str(refused.value)
    assert _listing(tmp_path) == before, "nothing is written"


@pytest.mark.parametrize("target", ["raw/hall-new", "raw/new", "new"])
def test_folders_beside_one_another_are_taken(captures: Path, tmp_path: Path, target: str) -> None:
    done = import_captures(captures_in(captures, None), tmp_path / target, FIT)
    assert (done.written, done.skipped) == (("shot",), ())
