"""Systems named by three letters, and poses whose two sides are in different systems."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest

from clips.frame_axes import GLTF_RUB, PLY_RDF, UNITY_RUF, UNREAL_FRU, axes_named, poses_from


def test_named_systems_are_those_of_the_table() -> None:
    for known in (PLY_RDF, GLTF_RUB, UNITY_RUF, UNREAL_FRU):
        assert axes_named(known.name[:3], known.units_per_m).rows == known.rows


def test_all_48_systems_have_a_way_back() -> None:
    points = np.array([[1.0, 2.0, 3.0]])
    seen = set()
    for pairs in permutations(("RL", "UD", "FB")):
        for letters in product(*pairs):
            axes = axes_named("".join(letters), 100.0)
            np.testing.assert_allclose(axes.inverse.points(axes.points(points)), points)
            seen.add(axes.rows)
    assert len(seen) == 48


@pytest.mark.parametrize("letters", ["", "RU", "RUFF", "RUR", "RLF", "ruf", "XYZ"])
def test_letters_that_name_no_system_are_refused(letters: str) -> None:
    with pytest.raises(ValueError, match="axes must"):
        axes_named(letters)


def test_a_pose_with_sides_in_different_systems() -> None:
    """A camera in OpenGL axes at x 1, height 2, one metre behind the origin of a left-handed Unity world."""
    matrix = np.eye(4)
    matrix[:3, :3] = np.diag([1.0, 1.0, -1.0])
    matrix[:3, 3] = [1.0, 2.0, -1.0]
    pose = poses_from(matrix, UNITY_RUF, GLTF_RUB)
    np.testing.assert_allclose(pose[:3, :3], np.eye(3), atol=1e-12)
    np.testing.assert_allclose(pose[:3, 3], [1.0, -2.0, -1.0])
