"""What is written to a clip folder is read back exactly; writing is whole or not at all."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from clips.errors import InvalidClip, UnreadableClip
from clips.footage import clip_folder as module
from clips.footage.clip_folder import ClipFolder, SkippedClip
from clips.footage.dataset_file import our_dataset
from clips.footage.footage import Footage
from clips.footage.frame_files import FramesAs
from clips.footage.plane_files import DepthAs
from tests.clips.footage.footage_samples import make_footage

ROOT = Path(__file__).parents[3]


def _created(folder: Path, **fields: object) -> ClipFolder:
    return ClipFolder.create(folder, our_dataset("test", 10, 6, 8.0, **fields))


def _assert_same(got: Footage, wanted: Footage) -> None:
    for name in ("frames", "depth", "times", "motion_mask"):
        np.testing.assert_array_equal(getattr(got.clip, name), getattr(wanted.clip, name))
        assert getattr(got.clip, name).dtype == getattr(wanted.clip, name).dtype
    np.testing.assert_array_equal(got.clip.cameras.viewmats, wanted.clip.cameras.viewmats)
    np.testing.assert_array_equal(got.clip.cameras.Ks, wanted.clip.cameras.Ks)
    for name in ("object_mask", "room_depth", "objects_depth", "flow"):
        np.testing.assert_array_equal(getattr(got, name), getattr(wanted, name))
    assert (got.captions, got.slots, got.source) == (wanted.captions, wanted.slots, wanted.source)
    assert got.clip.caption == "a red orb"


@pytest.mark.parametrize("frames_as", list(FramesAs))
def test_a_round_trip_is_exact(tmp_path: Path, footage: Footage, frames_as: FramesAs) -> None:
    made = _created(tmp_path / "set")
    made.write("one", footage, frames_as)
    _assert_same(ClipFolder.open(tmp_path / "set").read("one"), footage)
    assert sorted(path.name for path in (tmp_path / "set").iterdir()) == ["dataset.json", "one"]


def test_what_is_not_known_stays_unknown(tmp_path: Path) -> None:
    empty = {"captions": {}, "slots": None, "object_mask": None, "room_depth": None, "objects_depth": None}
    footage = make_footage(frames=1, **empty, flow=None, source={})
    made = _created(tmp_path / "set")
    made.write("one", footage)
    got = made.read("one")
    assert (got.slots, got.object_mask, got.room_depth, got.objects_depth, got.flow) == (None,) * 5
    assert got.captions == {"en": ("a red orb",)}, "a clip's own caption is kept"


def test_depth_pictures_keep_their_scale(tmp_path: Path, footage: Footage) -> None:
    made = _created(tmp_path / "set", depth_units_per_m=5000.0)
    made.write("one", footage, depth_as=DepthAs.PNG)
    got = made.read("one")
    assert np.abs(got.clip.depth - footage.clip.depth).max() <= 0.5 / 5000 + 1e-6
    assert got.room_depth is not None and footage.room_depth is not None
    assert np.abs(got.room_depth - footage.room_depth).max() <= 0.5 / 5000 + 1e-6
    assert (tmp_path / "set" / "one" / "depth" / "000000.png").exists()


def test_depth_that_16_bits_cannot_hold_is_refused_with_what_would_fit(tmp_path: Path, footage: Footage) -> None:
    made = _created(tmp_path / "set", depth_units_per_m=10000.0)
    with pytest.raises(
        InvalidClip, match=r"depth: 0\.5\d* to 8\.9\d* m do not fit into 16 bits at 10000 .*at most 7283"
    ):
        made.write("one", footage, depth_as=DepthAs.PNG)
    assert made.names() == []


def test_nothing_is_overwritten(tmp_path: Path, footage: Footage) -> None:
    made = _created(tmp_path / "set")
    made.write("one", footage)
    with pytest.raises(FileExistsError, match="a clip of that name is there, and nothing is overwritten"):
        made.write("one", footage)
    with pytest.raises(InvalidClip, match=r"holds another data set: fps is 8\.0 there and 4\.0 here"):
        ClipFolder.create(tmp_path / "set", our_dataset("test", 10, 6, 4.0))


@pytest.mark.parametrize("name", ["", "../x", ".hidden", "a/b", "a" * 101, "x.partial"])
def test_names_that_are_no_folder_names_are_refused(tmp_path: Path, footage: Footage, name: str) -> None:
    with pytest.raises(InvalidClip, match="expected a name of letters"):
        _created(tmp_path / "set").write(name, footage)


def test_a_clip_of_another_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidClip, match="clip one: is 12x6, the data set's clips are 10x6"):
        _created(tmp_path / "set").write("one", make_footage(width=12))


def test_a_full_disk_leaves_whole_clips_and_says_so(tmp_path: Path, footage: Footage, monkeypatch) -> None:
    made = _created(tmp_path / "set")
    made.write("one", footage)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "write_mask", full)
    with pytest.raises(OSError, match="clip two: the disk is full; free some space and run the same command again"):
        made.write("two", footage)
    assert [path.name for path in sorted((tmp_path / "set").iterdir())] == ["dataset.json", "one"]


def test_a_killed_writer_leaves_whole_clips_only(tmp_path: Path) -> None:
    """A process that is killed between the files of its second clip."""
    code = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, ".")
from tests.clips.footage.footage_samples import make_footage
from clips.footage import clip_folder
from clips.footage.dataset_file import our_dataset
made = clip_folder.ClipFolder.create(Path(sys.argv[1]), our_dataset("test", 10, 6, 8.0))
made.write("one", make_footage())
clip_folder.write_cameras = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
made.write("two", make_footage())
"""
    folder = tmp_path / "set"
    done = subprocess.run([sys.executable, "-c", code, str(folder)], cwd=ROOT, check=False, capture_output=True)
    assert done.returncode == -9, done.stderr
    left = [path for path in folder.iterdir() if path.name.startswith(".two.")]
    assert len(left) == 1 and any(left[0].rglob("*.png"))
    assert ClipFolder.open(folder).names() == ["one"]
    again = _created(folder)
    assert not left[0].exists(), "going on removes what the kill left"
    again.write("two", make_footage())
    assert [name for name, result in again.read_all() if isinstance(result, Footage)] == ["one", "two"]


def test_one_bad_clip_is_named_and_the_rest_goes_on(tmp_path: Path, footage: Footage) -> None:
    made = _created(tmp_path / "set")
    for name in ("a", "b", "c"):
        made.write(name, footage)
    (tmp_path / "set" / "b" / "slots.json").write_text(json.dumps({"color": "crimson"}))
    results = dict(made.read_all())
    assert list(results) == ["a", "b", "c"]
    skipped = results["b"]
    assert isinstance(skipped, SkippedClip)
    assert "clip b: slots: color: got 'crimson', expected one of red, green" in skipped.problem
    assert isinstance(results["a"], Footage) and isinstance(results["c"], Footage)


def test_a_folder_without_clips_is_an_empty_data_set(tmp_path: Path) -> None:
    assert list(_created(tmp_path / "set").read_all()) == []


def test_only_our_own_convention_is_written(tmp_path: Path) -> None:
    info = our_dataset("test", 10, 6, 8.0)
    foreign = info.model_copy(update={"color": "linear"})
    with pytest.raises(InvalidClip, match="Narthex's own convention"):
        ClipFolder.create(tmp_path / "set", foreign)


def test_a_missing_folder_and_a_missing_clip_are_said(tmp_path: Path) -> None:
    with pytest.raises(UnreadableClip, match="no such folder"):
        ClipFolder.open(tmp_path / "none")
    with pytest.raises(UnreadableClip, match="clip none: no such clip in"):
        _created(tmp_path / "set").read("none")
