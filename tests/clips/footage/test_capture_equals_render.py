"""A dungeon room captured as Unreal would (larger, faster, centimetres, ray depth) imports as our own render of it."""

from __future__ import annotations

import numpy as np

from clips.dungeon.render import render_sample
from clips.footage.clip_folder import ClipFolder
from clips.footage.fitting import Fit
from clips.footage.footage import Footage
from clips.footage.importing import captures_in, import_captures
from tests.clips.footage.engine_captures import SYSTEMS, placed, written
from tests.clips.footage.footage_samples import raw_clip, write_dataset

SEED = 5


def test_an_imported_capture_is_what_our_renderer_makes(tmp_path: Path) -> None:
    fine = render_sample(SEED, frames=9, width=96, height=80, fps=16.0).clip
    ours = render_sample(SEED, frames=5, width=48, height=32, fps=8.0).clip
    K = fine.cameras.Ks[0]
    x = (np.arange(96) + 0.5 - K[0, 2]) / K[0, 0]
    y = (np.arange(80) + 0.5 - K[1, 2]) / K[1, 1]
    rays_cm = 100.0 * fine.depth * np.sqrt(1 + x[None, :] ** 2 + y[:, None] ** 2)
    vector, camera_order, world_order, units = SYSTEMS["unreal"]
    poses = placed() @ fine.cameras.camera_to_world
    cameras = {
        "camera_to_world": [written(pose, vector, camera_order, units) for pose in poses],
        "gate_to_world": written(placed(), vector, world_order, units),
        "fov_x_deg": float(np.degrees(2 * np.arctan(48 / K[0, 0]))),
    }
    depth = {"kind": "ray", "units_per_m": 100.0}
    source = write_dataset(tmp_path / "raw", width=96, height=80, fps=16.0, cameras={"system": "unreal"}, depth=depth)
    raw_clip(source / "room", Footage(fine), cameras, rays_cm.astype(np.float32))
    import_captures(captures_in(source, None), tmp_path / "set", Fit(48, 32, 5, 8.0))
    got = ClipFolder.open(tmp_path / "set").read("room").clip
    np.testing.assert_allclose(got.cameras.viewmats, ours.cameras.viewmats, atol=1e-9)
    np.testing.assert_allclose(got.cameras.Ks, ours.cameras.Ks, atol=1e-9)
    np.testing.assert_allclose(got.times, ours.times)
    apart = np.abs(got.depth - ours.depth) / ours.depth
    assert np.median(apart) < 1e-5 and (apart < 0.01).mean() > 0.9, "exact on surfaces; edges are the nearest pixel's"
    assert np.abs(got.frames.astype(int) - ours.frames).mean() < 6.0
