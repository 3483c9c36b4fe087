from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from recon.errors import UnreadableScene
from recon.export.ply import encode_ply, read_ply, write_ply
from recon.instant import scene_at
from recon.scene import Scene4D

Maker = Callable[..., Scene4D]


@pytest.mark.parametrize("count", [1, 2, 300])
@pytest.mark.parametrize("degree", [0, 2])
def test_gsply_reads_the_instant_that_was_written(make_scene: Maker, tmp_path: Path, count: int, degree: int) -> None:
    scene, path = make_scene(count, degree), tmp_path / "scene.ply"
    assert write_ply(scene, path, 0.6) == path.stat().st_size
    back, instant = read_ply(path), scene_at(scene, 0.6)
    assert 0 < len(instant.indices) == len(back)
    np.testing.assert_array_equal(back.means, instant.means)
    np.testing.assert_array_equal(back.log_scales, scene.log_scales[instant.indices])
    np.testing.assert_array_equal(back.sh0, scene.sh0[instant.indices])
    np.testing.assert_array_equal(back.shN, scene.shN[instant.indices])
    np.testing.assert_allclose(back.quats, instant.quats, atol=1e-6)
    np.testing.assert_allclose(1 / (1 + np.exp(-back.logit_opacities)), instant.opacities, atol=1.1e-4)
    assert back.is_static.all()


def test_an_instant_without_splats_is_a_whole_file(make_scene: Maker, tmp_path: Path) -> None:
    data = encode_ply(make_scene(0))
    assert b"element vertex 0\n" in data and data.endswith(b"end_header\n")
    path = tmp_path / "empty.ply"
    path.write_bytes(data)
    assert len(read_ply(path)) == 0


def test_a_flat_scene_survives(make_scene: Maker, tmp_path: Path) -> None:
    flat = make_scene(20)
    flat.means[:, 2] = 1.0
    write_ply(flat, tmp_path / "flat.ply")
    np.testing.assert_array_equal(read_ply(tmp_path / "flat.ply").means, scene_at(flat, 0.0).means)


def test_other_programs_read_it(make_scene: Maker, tmp_path: Path) -> None:
    trimesh = pytest.importorskip("trimesh")
    from fourdgs.convert import read_ply as fourdgs_read_ply

    scene, path = make_scene(300), tmp_path / "scene.ply"
    write_ply(scene, path, 0.6)
    instant = scene_at(scene, 0.6)
    np.testing.assert_allclose(trimesh.load(path).vertices, instant.means, atol=1e-6)
    frame = fourdgs_read_ply(str(path)).fields
    np.testing.assert_allclose(np.stack([frame[f"rot_{i}"] for i in range(4)], 1), instant.quats, atol=1e-6)
    np.testing.assert_allclose(np.stack([frame[f"f_dc_{i}"] for i in range(3)], 1), scene.sh0[instant.indices, 0])


def test_moving_splats_are_where_they_are_then(make_scene: Maker) -> None:
    scene = make_scene(300)
    assert encode_ply(scene, 0.3) != encode_ply(scene, 0.35)
    assert encode_ply(scene, 0.3) == encode_ply(scene, 0.3)


def test_damaged_files_are_refused(make_scene: Maker, tmp_path: Path) -> None:
    data = encode_ply(make_scene(30))
    for number, bad in enumerate((b"", b"garbage", data[:40], data[: len(data) - 100], b"ply\nformat ascii 1.0\n")):
        path = tmp_path / f"bad{number}.ply"
        path.write_bytes(bad)
        with pytest.raises(UnreadableScene, match=f"bad{number}.ply"):
            read_ply(path)
    with pytest.raises(UnreadableScene, match="missing"):
        read_ply(tmp_path / "missing.ply")
