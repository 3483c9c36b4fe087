import numpy as np
import pytest

from recon.errors import InvalidScene
from recon.instant import scene_at, temporal_factor
from recon.raster import render_scene
from recon.scene import Scene4D
from tests.recon.conftest import cameras_along


def one_splat(**changes: object) -> Scene4D:
    values: dict[str, object] = {
        "means": np.array([[0.1, -1.0, 3.0]], np.float32),
        "quats": np.array([[1, 0, 0, 0]], np.float32),
        "log_scales": np.full((1, 3), -2.0, np.float32),
        "logit_opacities": np.array([2.0], np.float32),
        "sh0": np.array([[[1.0, 0.0, -1.0]]], np.float32),
        "shN": np.zeros((1, 0, 3), np.float32),
        "velocities": np.array([[0.5, 0.0, -1.0]], np.float32),
        "time_centers": np.array([1.0], np.float32),
        "time_widths": np.array([0.4], np.float32),
        "time_starts": np.array([0.5], np.float32),
        "time_ends": np.array([2.0], np.float32),
        "duration_s": 2.0,
    }
    return Scene4D(**{**values, **changes})  # type: ignore[arg-type]


def test_position_and_opacity_follow_the_formula() -> None:
    instant = scene_at(one_splat(), 1.2)
    np.testing.assert_allclose(instant.means, [[0.2, -1.0, 2.8]], atol=1e-6)
    np.testing.assert_allclose(instant.opacities, np.exp(-0.5 * 0.25) / (1 + np.exp(-2.0)), rtol=1e-6)
    np.testing.assert_allclose(instant.scales, np.exp(-2.0), rtol=1e-6)
    np.testing.assert_allclose(instant.colors, [[0.5 + 0.28209479, 0.5, 0.5 - 0.28209479]], rtol=1e-6)


@pytest.mark.parametrize(("time_s", "visible"), [(0.49, False), (0.5, True), (1.99, False), (1.97, True), (2.0, False)])
def test_it_is_invisible_outside_its_window_and_where_it_has_faded(time_s: float, visible: bool) -> None:
    # exp(-0.5 (0.979 / 0.4)^2) = 0.05: it has faded out at 1.979 s.
    assert len(scene_at(one_splat(), time_s).indices) == int(visible)


def test_the_window_is_half_open() -> None:
    wide = one_splat(time_widths=np.array([9.0], np.float32))
    assert temporal_factor(wide, 1.999)[0] > 0.9
    assert temporal_factor(wide, 2.0)[0] == 0.0


def test_static_splats_are_always_there() -> None:
    infinite = np.array([np.inf], np.float32)
    still = one_splat(
        time_widths=infinite, time_starts=-infinite, time_ends=infinite, velocities=np.zeros((1, 3), np.float32)
    )
    assert still.is_static.all()
    for time_s in (-100.0, 0.0, 1e6):
        np.testing.assert_array_equal(scene_at(still, time_s).means, still.means)


def test_render_scene_shows_it_only_while_it_lives() -> None:
    cameras = cameras_along(2)
    frames, depth, alpha = render_scene(one_splat(), cameras, [0.2, 1.0], background=(0.0, 0.0, 1.0))
    assert (frames[0] == [0, 0, 255]).all() and (alpha[0] == 0).all() and (depth[0] == 0).all()
    assert alpha[1].max() > 0.8
    seen = np.unravel_index(alpha[1].argmax(), alpha[1].shape)
    assert depth[1][seen] == pytest.approx(2.75, abs=0.2)
    with pytest.raises(InvalidScene, match="one time per camera"):
        render_scene(one_splat(), cameras, [0.0])


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"means": np.full((1, 3), np.nan, np.float32)}, "means must be finite"),
        ({"quats": np.zeros((1, 3), np.float32)}, "quats must be float32"),
        ({"time_widths": np.array([0.0], np.float32)}, "time_widths must be positive"),
        ({"time_ends": np.array([0.0], np.float32)}, "time_ends not before"),
        ({"shN": np.zeros((2, 0, 3), np.float32)}, "shN must be"),
        ({"duration_s": -1.0}, "duration_s"),
    ],
)
def test_scenes_that_mean_nothing_are_refused(changes: dict[str, object], says: str) -> None:
    with pytest.raises(InvalidScene, match=says):
        one_splat(**changes)
