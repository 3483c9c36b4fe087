import numpy as np
import pytest

from clips.camera_path import CameraPath, PathKind
from recon.export.fourdgs_file import encode_4dgs
from recon.mist import mist_clip, mist_scene


def test_the_mist_room_is_small_and_the_same_every_time() -> None:
    first, again = encode_4dgs(mist_scene()), encode_4dgs(mist_scene())
    assert first == again != encode_4dgs(mist_scene(seed=1))
    assert len(first) < 200_000
    assert mist_scene(3.5).duration_s == 3.5


@pytest.mark.parametrize("kind", [PathKind.WALK_IN, PathKind.PAN, PathKind.ORBIT])
def test_its_clip_is_dim_bluish_without_holes_and_moves(kind: PathKind) -> None:
    clip = mist_clip(CameraPath(kind=kind).cameras(5, 48, 32), fps=4.0)
    assert len(clip) == 5 and clip.fps == pytest.approx(4.0)
    red, green, blue = clip.frames.reshape(-1, 3).mean(axis=0)
    assert red < green < blue < 130
    assert clip.frames.max(axis=-1).min() > 5
    assert clip.depth.min() > 0.2 and clip.depth.max() < 9.0
    still = mist_clip(CameraPath(kind=PathKind.STILL).cameras(9, 48, 32), fps=4.0)
    assert np.abs(still.frames[0].astype(int) - still.frames[8]).max() >= 3
