import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import fourdgs
import numpy as np
import pytest
from fourdgs.validate import validate
from scipy.spatial import cKDTree

from clips.cameras import Cameras, intrinsics, look_at
from recon.errors import InvalidScene, UnreadableScene
from recon.export.color import COLOR_SPACE
from recon.export.fourdgs_file import decode_4dgs, encode_4dgs, read_4dgs, write_4dgs
from recon.raster import render_scene
from recon.scene import Scene4D

Maker = Callable[..., Scene4D]


def in_the_order_of(scene: Scene4D, other: Scene4D) -> Scene4D:
    """`scene` with its splats in the order of those of `other` that lie nearest: the writer reorders."""
    _, order = cKDTree(scene.means).query(other.means)
    assert len(np.unique(order)) == len(scene)
    arrays = {f.name: getattr(scene, f.name)[order] for f in fields(Scene4D) if f.name != "duration_s"}
    return Scene4D(**arrays, duration_s=scene.duration_s)


def assert_alike(got: Scene4D, expected: Scene4D) -> None:
    """Equal within the bounds that the container declares by default."""
    got = in_the_order_of(got, expected)
    bound_m = 0.05 * float(np.median(np.exp(expected.log_scales))) * 1.01
    np.testing.assert_allclose(got.means, expected.means, atol=bound_m)
    np.testing.assert_allclose(got.velocities, expected.velocities, atol=16 * bound_m)
    np.testing.assert_allclose(got.log_scales, expected.log_scales, atol=0.021)
    alpha, expected_alpha = (1 / (1 + np.exp(-s.logit_opacities)) for s in (got, expected))
    np.testing.assert_allclose(alpha, expected_alpha, atol=1.01 / 255)
    np.testing.assert_allclose(got.sh0, np.clip(expected.sh0, -0.5 / 0.2820948, 0.5 / 0.2820948), atol=0.0145)
    np.testing.assert_allclose(got.shN, expected.shN, atol=8 / 255 * 0.51)
    dots = np.abs((got.quats * expected.quats).sum(axis=1))
    assert (dots > 1 - 1e-4).all()
    np.testing.assert_allclose(got.time_centers, expected.time_centers, atol=0.01)
    np.testing.assert_array_equal(np.isinf(got.time_widths), np.isinf(expected.time_widths))
    moving = ~expected.is_static
    np.testing.assert_allclose(got.time_widths[moving], expected.time_widths[moving], rtol=0.021)
    np.testing.assert_array_equal(got.time_starts, expected.time_starts)
    np.testing.assert_array_equal(got.time_ends, expected.time_ends)
    assert got.duration_s == expected.duration_s


@pytest.mark.parametrize("count", [0, 1, 2, 300])
@pytest.mark.parametrize("degree", [0, 1, 3])
def test_what_is_written_is_read_back(make_scene: Maker, count: int, degree: int) -> None:
    scene = make_scene(count, degree)
    back = decode_4dgs(encode_4dgs(scene))
    assert len(back) == count
    if count:
        assert_alike(back, scene)


def test_a_flat_scene_survives(make_scene: Maker) -> None:
    flat = make_scene(50)
    flat.means[:, 1] = 0.0
    flat.log_scales[:, 1] = np.log(1e-5)
    assert_alike(decode_4dgs(encode_4dgs(flat)), flat)


def test_a_picture_of_the_scene_read_back_is_the_same_picture(make_scene: Maker) -> None:
    scene = make_scene(300)
    cameras = Cameras(look_at(np.array([0.0, -1.2, -4.0]), np.zeros(3))[None], intrinsics(64, 48, 60.0)[None], 64, 48)
    before, _, alpha = render_scene(scene, cameras, [0.7])
    after, _, _ = render_scene(decode_4dgs(encode_4dgs(scene)), cameras, [0.7])
    assert alpha.mean() > 0.1
    assert np.abs(before.astype(int) - after).mean() < 1.0


@pytest.mark.parametrize("count", [0, 1, 300])
def test_the_formats_own_validator_accepts_it(make_scene: Maker, count: int) -> None:
    report = validate(encode_4dgs(make_scene(count), {"caption": "a room"}))
    # An empty file has no chunks, so no index of them; the validator warns of that.
    assert report.ok and len(report.findings) == (0 if count else 1)


def test_the_formats_own_command_accepts_it_and_exports_gltf(make_scene: Maker, tmp_path: Path) -> None:
    path, glb = tmp_path / "scene.4dgs", tmp_path / "scene.glb"
    written = write_4dgs(make_scene(40), path)
    assert path.stat().st_size == written
    command = [sys.executable, "-m", "fourdgs.cli"]
    assert subprocess.run([*command, "validate", str(path)], check=False).returncode == 0
    done = subprocess.run([*command, "to-gltf", str(path), "-o", str(glb), "--time", "0.7"], check=False)
    assert done.returncode == 0 and glb.read_bytes()[:4] == b"glTF"


def test_another_reader_sees_the_scene_with_y_up(make_scene: Maker) -> None:
    scene = make_scene(1)
    scene.means[:] = [[0.3, -1.5, 4.0]]
    scene.velocities[:] = [[0.1, -0.2, 0.4]]
    read = fourdgs.read(encode_4dgs(scene, {"caption": "a room"}))
    np.testing.assert_allclose(read.gaussians.positions, [[0.3, 1.5, -4.0]], atol=0.01)
    np.testing.assert_allclose(read.gaussians.motions, [[0.1, 0.2, -0.4]], atol=0.2)
    attributes = read.header.attributes
    assert attributes["coordinate_system"] == "y-up-right-handed"
    assert attributes["color_space"] == COLOR_SPACE
    assert attributes["caption"] == "a room"
    assert read.header.temporal_model == "gaussian-birth"


def test_another_reader_agrees_on_what_is_visible_when(make_scene: Maker) -> None:
    from recon.instant import scene_at

    scene = make_scene(300)
    data = encode_4dgs(scene)
    theirs, ours = fourdgs.read(data).gaussians, decode_4dgs(data)
    for time_s in (0.0, 0.5, 0.75, 1.9):
        state, instant = theirs.state_at(time_s), scene_at(ours, time_s)
        np.testing.assert_array_equal(state["indices"], instant.indices)
        np.testing.assert_allclose(state["centers"] * [1, -1, -1], instant.means, atol=1e-4)
        np.testing.assert_allclose(state["opacity"], instant.opacities, atol=2e-3)


def test_damaged_data_is_refused_and_never_crashes(make_scene: Maker, tmp_path: Path) -> None:
    data = encode_4dgs(make_scene(60, degree=1))
    for bad in (b"", b"ply\n", b"\0" * 100, data[:10], data[: len(data) // 2], data[:-1]):
        with pytest.raises(UnreadableScene):
            decode_4dgs(bad)
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(200):
        spoiled = bytearray(data)
        spoiled[rng.integers(len(data))] ^= 1 << rng.integers(8)
        try:
            decode_4dgs(bytes(spoiled))
        except UnreadableScene:
            refused += 1
    assert refused > 100
    path = tmp_path / "cut.4dgs"
    path.write_bytes(data[:50])
    with pytest.raises(UnreadableScene, match=r"cut\.4dgs"):
        read_4dgs(path)
    with pytest.raises(UnreadableScene, match=r"missing.4dgs: .*No such file"):
        read_4dgs(tmp_path / "missing.4dgs")


def test_a_failed_write_leaves_the_old_file(make_scene: Maker, tmp_path: Path) -> None:
    path = tmp_path / "scene.4dgs"
    write_4dgs(make_scene(3), path)
    before = path.read_bytes()
    broken = make_scene(3)
    broken = replace(broken, shN=np.zeros((3, 2, 3), np.float32))
    with pytest.raises(InvalidScene, match="shN"):
        write_4dgs(broken, path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["scene.4dgs"]
