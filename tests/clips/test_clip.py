"""Clips and their files: equality after a round trip, and a message for every kind of damage."""

from __future__ import annotations

import dataclasses
import json
import zipfile

import numpy as np
import pytest

from clips import clip as clip_module
from clips.camera_path import CameraPath
from clips.clip import CLIP_VERSION, Clip, load_clip, save_clip
from clips.errors import ClipError, InvalidCameras, InvalidClip, UnreadableClip


def _clip(frames: int = 3, mask: bool = True) -> Clip:
    rng = np.random.default_rng(1)
    shape = (frames, 6, 8)
    return Clip(
        frames=rng.integers(0, 256, (*shape, 3), dtype=np.uint8),
        depth=rng.uniform(0.5, 9.0, shape).astype(np.float32),
        cameras=CameraPath().cameras(frames, 8, 6),
        times=np.arange(frames) / 8.0,
        caption="ein Raum mit Fackeln, 火",
        motion_mask=rng.random(shape) < 0.2 if mask else None,
    )


@pytest.mark.parametrize(("frames", "mask"), [(3, True), (1, False), (1, True)])
def test_a_saved_clip_loads_as_it_was(tmp_path, frames: int, mask: bool) -> None:
    clip = _clip(frames, mask)
    save_clip(clip, tmp_path / "a.npz")
    again = load_clip(tmp_path / "a.npz")
    for name in ("frames", "depth", "times"):
        np.testing.assert_array_equal(getattr(again, name), getattr(clip, name))
        assert getattr(again, name).dtype == getattr(clip, name).dtype
    assert again.cameras.digest() == clip.cameras.digest()
    assert again.caption == clip.caption
    assert (again.motion_mask is None) is (clip.motion_mask is None)
    if mask:
        np.testing.assert_array_equal(again.motion_mask, clip.motion_mask)
    assert list(tmp_path.iterdir()) == [tmp_path / "a.npz"], "no temporary file is left"


def test_duration_and_rate_count_the_last_frame() -> None:
    assert _clip(3).duration_s == pytest.approx(3 / 8) and _clip(3).fps == pytest.approx(8.0)
    assert _clip(1).duration_s == 0.0 and _clip(1).fps == 1.0


def _bad(clip: Clip, **fields) -> None:
    dataclasses.replace(clip, **fields)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("frames", lambda c: c.frames.astype(np.float32), r"frames must be uint8 \(T, H, W, 3\), got float32"),
        ("frames", lambda c: c.frames[..., 0], "frames must be uint8"),
        ("frames", lambda c: c.frames[:0], "at least one frame, got 0"),
        ("depth", lambda c: c.depth[:, :5], r"depth must be float32 \(3, 6, 8\), got float32 \(3, 5, 8\)"),
        ("depth", lambda c: c.depth.astype(np.float64), "got float64"),
        ("depth", lambda c: np.where(np.arange(3)[:, None, None] == 1, np.nan, c.depth), r"frames \[1\] are not"),
        ("depth", lambda c: np.where(np.arange(3)[:, None, None] == 2, 0, c.depth), r"frames \[2\] are not"),
        ("depth", lambda c: np.full_like(c.depth, np.inf), r"frames \[0, 1, 2\] are not"),
        ("cameras", lambda c: c.cameras[:2], r"cameras must be \(T, H, W\) = \(3, 6, 8\), got \(2, 6, 8\)"),
        ("cameras", lambda c: c.cameras.resized(9, 6), r"got \(3, 6, 9\)"),
        ("times", lambda c: c.times[:2], "times must be 3 finite seconds"),
        ("times", lambda c: c.times * np.nan, "times must be 3 finite seconds"),
        ("times", lambda c: np.array(["a", "b", "c"]), "times must be 3 finite seconds, got <U1"),
        ("times", lambda c: c.times[::-1].copy(), "times must increase"),
        ("times", lambda c: np.zeros(3), "times must increase"),
        ("motion_mask", lambda c: c.motion_mask[:1], "motion_mask must be bool"),
        ("motion_mask", lambda c: c.motion_mask.astype(np.uint8), "got uint8"),
    ],
)
def test_arrays_that_are_no_clip_are_refused(field: str, value, message: str) -> None:
    clip = _clip()
    bad = value(clip)
    if field == "depth" and bad.dtype == np.float64 and "float64" not in message:
        bad = bad.astype(np.float32)
    with pytest.raises(InvalidClip, match=message):
        _bad(clip, **{field: bad})


def _arrays(**changed):
    clip = _clip()
    header = {"version": CLIP_VERSION, "caption": "x", "width": 8, "height": 6}
    arrays = {
        "header": np.frombuffer(json.dumps(header).encode(), dtype=np.uint8),
        "frames": clip.frames,
        "depth": clip.depth,
        "viewmats": clip.cameras.viewmats,
        "Ks": clip.cameras.Ks,
        "times": clip.times,
    }
    arrays.update(changed)
    return {name: array for name, array in arrays.items() if array is not None}


def _header(text: bytes):
    return np.frombuffer(text, dtype=np.uint8)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"header": None}, "header"),
        ({"header": _header(b"[1, 2]")}, "not a readable clip"),
        ({"header": _header(b"\xff\xfe{")}, "not a readable clip"),
        ({"header": _header(b'{"version": 99}')}, "clip version 99, expected 1"),
        ({"header": _header(b'{"version": 1, "caption": "", "width": null, "height": 6}')}, "not a readable clip"),
        ({"header": _header(b'{"version": 1, "caption": "", "width": 1e999, "height": 6}')}, "not a readable clip"),
        ({"depth": None}, "depth"),
        ({"viewmats": np.array([["a"]])}, "not a readable clip"),
    ],
)
def test_foreign_archives_are_unreadable(tmp_path, changed, message: str) -> None:
    path = tmp_path / "bad.npz"
    np.savez(path, **_arrays(**changed))
    with pytest.raises(UnreadableClip, match=message):
        load_clip(path)


def test_a_whole_file_with_arrays_that_disagree_is_an_invalid_clip(tmp_path) -> None:
    path = tmp_path / "bad.npz"
    np.savez(path, **_arrays(depth=np.ones((3, 6, 7), dtype=np.float32)))
    with pytest.raises(InvalidClip, match=r"bad\.npz: depth must be float32"):
        load_clip(path)


def test_cameras_that_are_none_are_said_of_their_file(tmp_path) -> None:
    path = tmp_path / "bad.npz"
    np.savez(path, **_arrays(viewmats=np.full((3, 4, 4), np.nan)))
    with pytest.raises(InvalidCameras, match=r"bad\.npz: viewmats must be finite; frames \[0, 1, 2\]"):
        load_clip(path)


def test_pickled_objects_are_never_loaded(tmp_path) -> None:
    path = tmp_path / "pickle.npz"
    np.savez(path, **_arrays(times=np.array([{"a": 1}] * 3, dtype=object)))
    with pytest.raises(UnreadableClip, match="allow_pickle"):
        load_clip(path)


@pytest.mark.parametrize("content", [b"", b"hello", b"\x93NUMPY", b"PK\x03\x04", bytes(range(256)) * 20])
def test_other_files_are_unreadable(tmp_path, content: bytes) -> None:
    path = tmp_path / "other.npz"
    path.write_bytes(content)
    with pytest.raises(UnreadableClip, match=r"other\.npz: not a readable clip"):
        load_clip(path)


def test_missing_files_and_folders_are_unreadable(tmp_path) -> None:
    for path in (tmp_path / "none.npz", tmp_path):
        with pytest.raises(UnreadableClip, match="not a readable clip"):
            load_clip(path)


def test_a_clip_cut_short_or_flipped_anywhere_is_refused_or_the_same(tmp_path) -> None:
    path = tmp_path / "clip.npz"
    save_clip(_clip(), path)
    whole = path.read_bytes()
    for cut in range(0, len(whole) - 1, 97):
        path.write_bytes(whole[:cut])
        with pytest.raises(UnreadableClip):
            load_clip(path)
    rng = np.random.default_rng(3)
    refused = 0
    for place in rng.integers(0, len(whole), 200):
        flipped = bytearray(whole)
        flipped[place] ^= 0x55
        path.write_bytes(flipped)
        try:
            again = load_clip(path)
        except ClipError:
            refused += 1
        else:  # a byte that carries nothing: a date, a flag
            np.testing.assert_array_equal(again.frames, _clip().frames)
            np.testing.assert_array_equal(again.depth, _clip().depth)
    assert refused > 150


def test_an_archive_that_unpacks_to_too_much_is_refused_before_it_is_unpacked(tmp_path, monkeypatch) -> None:
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("frames.npy", bytes(3_000_000))
    assert path.stat().st_size < 10_000
    monkeypatch.setattr(clip_module, "MAX_CLIP_BYTES", 1_000_000)
    with pytest.raises(UnreadableClip, match="unpacks to 3000000 bytes, at most 1000000"):
        load_clip(path)


def test_an_array_header_that_claims_more_than_the_file_holds_is_refused(tmp_path) -> None:
    path = tmp_path / "liar.npz"
    save_clip(_clip(), path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    shape = b"(3, 6, 8, 3), "
    assert shape in members["frames.npy"]
    members["frames.npy"] = members["frames.npy"].replace(shape, b"(9999999999,),")
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    with pytest.raises(UnreadableClip):
        load_clip(path)


def test_a_save_that_fails_leaves_the_old_file(tmp_path, monkeypatch) -> None:
    path = tmp_path / "clip.npz"
    save_clip(_clip(), path)
    before = path.read_bytes()

    def full_disk(file, **arrays):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full_disk)
    with pytest.raises(OSError, match="No space"):
        save_clip(_clip(1), path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_no_error_of_this_package_is_worth_a_retry() -> None:
    def below(kind):
        return {kind}.union(*(below(child) for child in kind.__subclasses__()))

    assert len(below(ClipError)) >= 5
    assert not any(kind.retryable for kind in below(ClipError))
