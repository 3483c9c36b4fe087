"""Arrays of training clips: whole files or none, and disks that are full."""

import os
import resource
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

from model.errors import ModelError, NoRoom
from model.train import array_file
from model.train.array_file import LEFT_S, SPARE_BYTES, ArrayForm, kept_arrays, require_room
from model.train.data import ClipRecipe, ClipStore

FORMS = {"frames": ArrayForm((3, 4, 5), "u1"), "done": ArrayForm((3,), "?")}
Usage = namedtuple("Usage", "total used free")


def test_arrays_are_made_of_zeros_and_kept(tmp_path: Path) -> None:
    arrays = kept_arrays(tmp_path, FORMS)
    assert {name: (array.shape, array.dtype) for name, array in arrays.items()} == {
        "frames": ((3, 4, 5), np.dtype("u1")),
        "done": ((3,), np.dtype("?")),
    }
    assert not arrays["frames"].any()
    arrays["frames"][1] = 7
    again = kept_arrays(tmp_path, FORMS)
    assert again["frames"][1].min() == 7
    again["frames"][2] = 9
    assert arrays["frames"][2].min() == 9, "both map one file"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["done.npy", "frames.npy"]


def test_a_process_killed_while_it_makes_an_array_leaves_none(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom model.train import array_file\n"
        "array_file.os.link = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "array_file.kept_arrays(Path(sys.argv[1]), {'frames': array_file.ArrayForm((3, 4), 'f4')})\n"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert killed.returncode == -9
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".frames.npy.") and left.name.endswith(".tmp")
    os.utime(left, (left.stat().st_mtime - LEFT_S - 60,) * 2)
    assert kept_arrays(tmp_path, {"frames": ArrayForm((3, 4), "f4")})["frames"].shape == (3, 4)
    assert [path.name for path in tmp_path.iterdir()] == ["frames.npy"]


def test_what_another_process_made_meanwhile_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    form, link = ArrayForm((2,), "i8"), os.link

    def late(source: Path, target: Path) -> None:
        np.save(target, np.array([5, 6]))
        link(source, target)

    monkeypatch.setattr(array_file.os, "link", late)
    assert kept_arrays(tmp_path, {"slots": form})["slots"].tolist() == [5, 6]
    assert [path.name for path in tmp_path.iterdir()] == ["slots.npy"]


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"no array at all", None])
def test_a_file_cut_short_is_named(content: bytes | None, tmp_path: Path) -> None:
    np.save(tmp_path / "frames.npy", np.zeros((3, 4, 5), np.uint8))
    whole = (tmp_path / "frames.npy").read_bytes()
    (tmp_path / "frames.npy").write_bytes(whole[:-20] if content is None else content)
    with pytest.raises(ModelError, match=r"frames\.npy: cut short or no array .*; remove"):
        kept_arrays(tmp_path, FORMS)


def test_an_array_of_another_form_is_named(tmp_path: Path) -> None:
    np.save(tmp_path / "frames.npy", np.zeros((3, 4, 6), np.float32))
    with pytest.raises(ModelError, match=r"holds float32 \(3, 4, 6\), expected uint8 \(3, 4, 5\)"):
        kept_arrays(tmp_path, FORMS)


def test_a_disk_without_the_room_is_said_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    big = {"frames": ArrayForm((100, 2**20), "u1")}
    monkeypatch.setattr(array_file.shutil, "disk_usage", lambda _: Usage(2**40, 0, 100 * 2**20))
    with pytest.raises(NoRoom, match=r"a store of 100 clips needs 132 MiB .* 100 MiB are free; make room"):
        kept_arrays(tmp_path, big)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(array_file.shutil, "disk_usage", lambda _: Usage(2**40, 0, 140 * 2**20))
    kept_arrays(tmp_path, big)["frames"][:60] = 1
    os.sync()
    # What is written already needs no more room.
    monkeypatch.setattr(array_file.shutil, "disk_usage", lambda _: Usage(2**40, 0, 80 * 2**20))
    assert kept_arrays(tmp_path, big)["frames"][59].all()


def test_a_disk_that_fills_meanwhile_stops_the_store_before_it_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ClipStore(tmp_path, ClipRecipe(clips=2, frames=9, width=48, height=32))
    monkeypatch.setattr(array_file.shutil, "disk_usage", lambda _: Usage(2**40, 0, SPARE_BYTES))
    with pytest.raises(NoRoom, match="another clip needs 32 MiB on its disk, and 32 MiB are free"):
        store.rgbd(0)
    assert not store.done.any()
    monkeypatch.undo()
    assert store.rgbd(0).shape == (4, 9, 32, 48)
    require_room(tmp_path, 0, "nothing")


def test_a_file_that_may_not_grow_is_named(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom model.train.array_file import ArrayForm, kept_arrays\n"
        "try:\n    kept_arrays(Path(sys.argv[1]), {'frames': ArrayForm((3, 2**20), 'u1')})\n"
        "except OSError as error:\n    print(error)\n"
    )

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, 2**16))

    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], check=True, capture_output=True, text=True, preexec_fn=limit
    )
    assert "File too large" in done.stdout and "frames.npy" in done.stdout
    assert list(tmp_path.iterdir()) == []
