"""Files are replaced whole or not at all."""

from __future__ import annotations

import errno
import os
import threading

import pytest

from clips.atomic_file import replacing


def test_the_new_file_appears_only_at_the_end(tmp_path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with replacing(path) as partial:
        partial.write_text("new")
        assert path.read_text() == "old"
        assert partial.parent == tmp_path, "another file system could not be renamed from"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_keeps_the_old_file_and_removes_the_new_one(tmp_path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), replacing(path) as partial:
        partial.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_block_that_writes_nothing_is_an_error(tmp_path) -> None:
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "a.txt"):
        pass


def test_a_missing_folder_is_an_error(tmp_path) -> None:
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "no" / "a.txt") as partial:
        partial.write_text("x")


def test_writers_at_the_same_time_do_not_share_a_temporary_file(tmp_path) -> None:
    path = tmp_path / "a.txt"
    both_open = threading.Barrier(2, timeout=20)

    def write(text: str) -> None:
        with replacing(path) as partial:
            both_open.wait()
            partial.write_text(text * 1000)
            both_open.wait()

    threads = [threading.Thread(target=write, args=(text,)) for text in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_text() in ("a" * 1000, "b" * 1000)
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_said_of_the_file(tmp_path) -> None:
    path = tmp_path / "clip.npz"
    with pytest.raises(OSError, match=r"No space left on device: .*clip\.npz"), replacing(path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert list(tmp_path.iterdir()) == []
