"""Random scenes for tests of writers and readers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from recon.scene import Scene4D


@pytest.fixture(scope="session")
def make_scene() -> Callable[..., Scene4D]:
    """make_scene(count, degree=0) -> an asymmetric scene, half of it moving in windows."""

    def make(count: int, degree: int = 0) -> Scene4D:
        rng = np.random.default_rng(count + degree)
        quats = rng.normal(size=(count, 4))
        moving = np.arange(count) % 2 == 1
        starts = rng.integers(0, 4, count) * 0.25

        def floats(values: np.ndarray) -> np.ndarray:
            return np.asarray(values, np.float32)

        return Scene4D(
            means=floats(rng.normal(size=(count, 3)) + np.array([0.3, -0.5, 0.8])),
            quats=floats(quats / np.linalg.norm(quats, axis=1, keepdims=True)),
            log_scales=floats(rng.normal(size=(count, 3)) * 0.5 - 2.0),
            logit_opacities=floats(rng.normal(size=count) * 2.0),
            sh0=floats(rng.normal(size=(count, 1, 3)) * 0.8),
            shN=floats(rng.normal(size=(count, (degree + 1) ** 2 - 1, 3)) * 0.4),
            velocities=floats(rng.normal(size=(count, 3)) * moving[:, None]),
            time_centers=floats(np.where(moving, starts + 0.25, 0.0)),
            time_widths=floats(np.where(moving, 0.3, np.inf)),
            time_starts=floats(np.where(moving, starts, -np.inf)),
            time_ends=floats(np.where(moving, starts + 0.5, np.inf)),
            duration_s=2.0,
        )

    return make
