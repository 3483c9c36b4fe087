"""docs/clip-folders.md says what the code reads."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from clips.footage.camera_file import CamerasFile
from clips.footage.dataset_file import SYSTEMS, CameraConvention, DatasetFile, DepthConvention, Limits, Origin

TEXT = (Path(__file__).parents[3] / "docs" / "clip-folders.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)


def test_the_examples_are_valid() -> None:
    dataset = DatasetFile.model_validate(json.loads(BLOCKS[0]))
    assert dataset.cameras.world_axes == "RUF" and dataset.depth.far_m == 200
    cameras = CamerasFile.model_validate(json.loads(BLOCKS[1].replace(", ...", "")))
    assert cameras.fov_y_deg == 60


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_table_of_systems_is_the_codes(system: str) -> None:
    (row,) = [line for line in TEXT.splitlines() if line.startswith("|") and f"`{system}`" in line.split("|")[1]]
    world, camera, units, origin = (cell.strip(" `") for cell in row.split("|")[2:6])
    said = {"world_axes": world, "camera_axes": camera, "units_per_m": float(units), "origin": origin}
    assert said == SYSTEMS[system]


def test_every_field_is_spoken_of() -> None:
    fields = [name for model in (CameraConvention, DepthConvention, Limits, CamerasFile) for name in model.model_fields]
    fields += [
        name for name in DatasetFile.model_fields if name not in ("format", "version", "name", "about", "licence")
    ]
    assert [name for name in fields if name not in TEXT] == []
    assert [str(origin) for origin in Origin if f"- `{origin}`" not in TEXT] == []
    limits = Limits()
    for name in Limits.model_fields:
        assert f"`{name}` ({getattr(limits, name):g})" in TEXT
