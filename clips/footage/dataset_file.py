"""dataset.json: what holds for every clip of a data set, above all in whose axes and units its numbers are."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from clips.errors import ClipError, UnreadableClip
from clips.footage.json_file import parsed, read_json
from clips.frame_axes import FrameAxes, axes_named

DATASET_FILE = "dataset.json"
FORMAT = "narthex-clips"
FORMAT_VERSION = 1
MAX_SIZE_PX = 8192


class Origin(StrEnum):
    """Where the gate frame of a clip is."""

    GATE = "gate"
    """The matrices are relative to the gate, or cameras.json says where the gate stands."""
    FIRST_CAMERA = "first_camera"
    """Under the first camera, turned about the vertical so that this camera looks along +z."""
    FIRST_CAMERA_AXES = "first_camera_axes"
    """As first_camera, with that camera's own axes: for worlds whose vertical nobody knows."""


SYSTEMS: dict[str, dict[str, Any]] = {
    "narthex": {"world_axes": "RDF", "camera_axes": "RDF", "units_per_m": 1.0, "origin": "gate"},
    "unity": {"world_axes": "RUF", "camera_axes": "RUF", "units_per_m": 1.0, "origin": "first_camera"},
    "unity-camera-matrix": {"world_axes": "RUF", "camera_axes": "RUB", "units_per_m": 1.0, "origin": "first_camera"},
    "unreal": {"world_axes": "FRU", "camera_axes": "FRU", "units_per_m": 100.0, "origin": "first_camera"},
    "opengl": {"world_axes": "RUB", "camera_axes": "RUB", "units_per_m": 1.0, "origin": "first_camera"},
    "blender": {"world_axes": "RFU", "camera_axes": "RUB", "units_per_m": 1.0, "origin": "first_camera"},
    "nerfstudio": {"world_axes": "RFU", "camera_axes": "RUB", "units_per_m": 1.0, "origin": "first_camera"},
    "colmap": {"world_axes": "RDF", "camera_axes": "RDF", "units_per_m": 1.0, "origin": "first_camera_axes"},
}
"""What `cameras.system` stands for. Letters say where x, y and z point: Right Left Up Down Forward Back."""


def _axes(value: str) -> str:
    axes_named(value)
    return value


def _system(value: str) -> str:
    if value not in SYSTEMS:
        raise ValueError(f"expected one of {', '.join(SYSTEMS)}")
    return value


def _pixel_center(value: float) -> float:
    if value not in (0.0, 0.5):
        raise ValueError("expected 0.5 (the first pixel's centre lies at 0.5) or 0.0 (it lies at 0)")
    return value


Axes = Annotated[str, AfterValidator(_axes)]
Positive = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class CameraConvention(_Strict):
    """In which axes and units cameras.json is; `system` fills in what is not said (SYSTEMS)."""

    system: Annotated[str, AfterValidator(_system)] = "narthex"
    world_axes: Axes
    camera_axes: Axes
    units_per_m: Positive
    origin: Origin
    eye_height_m: Annotated[float, Field(gt=0.0, le=10.0)] = 1.5
    pixel_center: Annotated[float, AfterValidator(_pixel_center)] = 0.5

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, value: Any) -> Any:
        if isinstance(value, dict) and isinstance(value.get("system", "narthex"), str):
            return {**SYSTEMS.get(value.get("system", "narthex"), SYSTEMS["narthex"]), **value}
        return value

    @property
    def is_gate_frame(self) -> bool:
        """Whether the numbers are in the gate frame as they stand."""
        return all(getattr(self, name) == value for name, value in SYSTEMS["narthex"].items())

    @property
    def world(self) -> FrameAxes:
        """The world's axes and unit."""
        return axes_named(self.world_axes, self.units_per_m)

    @property
    def camera(self) -> FrameAxes:
        """The camera's own axes."""
        return axes_named(self.camera_axes)


class DepthConvention(_Strict):
    """What a number in a depth file means.

    `kind` planar is the distance along the camera's forward axis, ray the one to the camera's centre. A value divided
    by `units_per_m` is metres (1000 for millimetres, 100 for centimetres). With `far_m`, what is infinite or beyond
    becomes far_m metres (sky); with `zero_is_far`, 0 does too.
    """

    kind: Literal["planar", "ray"]
    units_per_m: Positive
    far_m: Positive | None = None
    zero_is_far: bool = False

    @model_validator(mode="after")
    def _far_is_known(self) -> DepthConvention:
        if self.zero_is_far and self.far_m is None:
            raise ValueError("depth.zero_is_far needs depth.far_m, the metres that 0 stands for")
        return self


class Limits(_Strict):
    """Beyond what a camera's movement is taken for a mistake."""

    max_speed_m_s: Positive = 12.0
    max_turn_deg_s: Positive = 360.0
    max_distance_m: Positive = 50.0


class DatasetFile(_Strict):
    """dataset.json. Width and height may be null only where clips differ in size (`narthex data import` fits them)."""

    format: Literal["narthex-clips"] = "narthex-clips"
    version: Literal[1] = 1
    name: Annotated[str, Field(min_length=1, max_length=200)]
    about: str = ""
    licence: str = ""
    width: Annotated[int, Field(ge=1, le=MAX_SIZE_PX)] | None
    height: Annotated[int, Field(ge=1, le=MAX_SIZE_PX)] | None
    fps: Annotated[float, Field(gt=0.0, le=240.0)]
    color: Literal["srgb", "linear"] = "srgb"
    cameras: CameraConvention
    depth: DepthConvention
    limits: Limits = Limits()
    source: dict[str, Any] = {}

    @model_validator(mode="after")
    def _both_or_none(self) -> DatasetFile:
        if (self.width is None) != (self.height is None):
            raise ValueError("width and height must both be pixels or both be null")
        return self

    @property
    def is_ours(self) -> bool:
        """Whether its numbers are in Narthex's own convention: the gate frame, metres, planar depth, sRGB."""
        plain = self.cameras.is_gate_frame and self.cameras.pixel_center == 0.5
        return plain and self.depth.kind == "planar" and self.color == "srgb"

    def text(self) -> str:
        """What is written to dataset.json."""
        return json.dumps(self.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n"


def our_dataset(
    name: str,
    width: int,
    height: int,
    fps: float,
    *,
    depth_units_per_m: float = 1.0,
    about: str = "",
    licence: str = "",
    source: dict[str, Any] | None = None,
) -> DatasetFile:
    """dataset.json of clips in Narthex's own convention."""
    return DatasetFile(
        name=name,
        about=about,
        licence=licence,
        width=width,
        height=height,
        fps=fps,
        cameras=CameraConvention.model_validate({"system": "narthex"}),
        depth=DepthConvention(kind="planar", units_per_m=depth_units_per_m),
        source=source or {},
    )


def read_dataset_file(folder: Path) -> DatasetFile:
    """The data set that a folder holds.

    Raises:
        UnreadableClip: there is no dataset.json, it is of another format or version, or a field is wrong.
    """
    try:
        value = read_json(folder / DATASET_FILE)
        if isinstance(value, dict) and value.get("format", FORMAT) == FORMAT:
            version = value.get("version", FORMAT_VERSION)
            if version != FORMAT_VERSION:
                raise UnreadableClip(f"{DATASET_FILE}: version: got {version!r}, this Narthex reads {FORMAT_VERSION}")
        return parsed(DatasetFile, value, DATASET_FILE)
    except ClipError as error:
        raise UnreadableClip(f"{folder}: {error}") from error
