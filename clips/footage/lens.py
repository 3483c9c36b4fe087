"""Lenses that bend straight lines, and pictures as a pinhole camera would have taken them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32, Float64, UInt8
from scipy.ndimage import map_coordinates

from clips.errors import InvalidCameras

MAX_COEFFICIENT = 100.0
_BORDER_POINTS = 33
_ZOOM_LOW, _ZOOM_HIGH = 0.25, 4.0
_ZOOM_STEPS = 30
_RADIUS_STEPS = 64
_FISHEYE_LIMIT = 1.5


@dataclass(frozen=True)
class Lens:
    """A camera's intrinsics with OpenCV's distortion.

    Attributes:
        width, height: of its pictures, pixels.
        fl_x, fl_y, cx, cy: pinhole part, pixels; the first pixel's centre lies at 0.5.
        k1, k2, k3, k4: radial, factors of r^2, r^4, r^6 and r^8 (of the angle from the axis where is_fisheye).
        p1, p2: tangential; 0 where is_fisheye.
        is_fisheye: OpenCV's fisheye model (equidistant with a polynomial) instead of the plain one.

    Raises:
        InvalidCameras: a number is not finite or out of range; the message names the field.
    """

    width: int
    height: int
    fl_x: float
    fl_y: float
    cx: float
    cy: float
    k1: float = 0.0
    k2: float = 0.0
    k3: float = 0.0
    k4: float = 0.0
    p1: float = 0.0
    p2: float = 0.0
    is_fisheye: bool = False

    def __post_init__(self) -> None:
        for name in ("width", "height", "fl_x", "fl_y"):
            got = getattr(self, name)
            if not (math.isfinite(got) and got > 0):
                raise InvalidCameras(f"{name}: got {got}, expected pixels above 0")
        for name in ("cx", "cy", "k1", "k2", "k3", "k4", "p1", "p2"):
            got = getattr(self, name)
            limit = 1e6 if name in ("cx", "cy") else MAX_COEFFICIENT
            if not abs(got) <= limit:
                raise InvalidCameras(f"{name}: got {got}, expected a number within +-{limit:g}")

    @property
    def is_straight(self) -> bool:
        """Whether it is a pinhole camera as it stands."""
        return not self.is_fisheye and not any((self.k1, self.k2, self.k3, self.k4, self.p1, self.p2))

    @property
    def matrix(self) -> Float64[np.ndarray, "3 3"]:
        """The pinhole part as a matrix, pixels."""
        return np.array([[self.fl_x, 0.0, self.cx], [0.0, self.fl_y, self.cy], [0.0, 0.0, 1.0]])

    def resized(self, width: int, height: int) -> Lens:
        """The same lens for pictures of another size."""
        x, y = width / self.width, height / self.height
        return replace(
            self, width=width, height=height, fl_x=self.fl_x * x, cx=self.cx * x, fl_y=self.fl_y * y, cy=self.cy * y
        )

    def pixels_of(self, rays: Float64[np.ndarray, "*N 2"]) -> Float64[np.ndarray, "*N 2"]:
        """Where the lens shows directions (x/z, y/z), pixels (OpenCV's camera models, docs `calib3d`)."""
        x, y = rays[..., 0], rays[..., 1]
        square = x * x + y * y
        if self.is_fisheye:
            radius = np.sqrt(square)
            factor = np.where(radius > 1e-9, self._bent(np.arctan(radius)) / np.maximum(radius, 1e-9), 1.0)
            bent_x, bent_y = x * factor, y * factor
        else:
            factor = self._bent(np.sqrt(square)) / np.maximum(np.sqrt(square), 1e-12)
            factor = np.where(square > 1e-18, factor, 1.0)
            bent_x = x * factor + 2 * self.p1 * x * y + self.p2 * (square + 2 * x * x)
            bent_y = y * factor + self.p1 * (square + 2 * y * y) + 2 * self.p2 * x * y
        return np.stack([self.fl_x * bent_x + self.cx, self.fl_y * bent_y + self.cy], axis=-1)

    def _bent(self, radius: np.ndarray) -> np.ndarray:
        """Radius in the picture of a radius (or angle from the axis), both for a focal length of 1."""
        square = radius * radius
        polynomial = self.k1 + square * (self.k2 + square * (self.k3 + square * self.k4))
        return np.asarray(radius * (1.0 + square * polynomial))

    def _is_one_to_one_to(self, radius: float) -> bool:
        """Whether the radial polynomial grows all the way to a ray's `radius`; where it folds it means nothing."""
        reach = math.atan(radius) if self.is_fisheye else radius
        if self.is_fisheye and reach > _FISHEYE_LIMIT:
            return False
        return bool((np.diff(self._bent(np.linspace(0.0, reach, _RADIUS_STEPS))) > 0).all())


@dataclass(frozen=True, eq=False)
class Straightening:
    """How a lens' pictures become those of a pinhole camera of the same size.

    Attributes:
        K: of the pinhole camera, pixels.
        places: where in the bent picture each straight pixel is, rows and columns, (2, H, W), pixel indices; None
            where there is nothing to do.
    """

    K: Float64[np.ndarray, "3 3"]
    places: Float32[np.ndarray, "2 H W"] | None

    def picture(self, picture: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "H W 3"]:
        """The straight picture; colours are interpolated by cubic splines."""
        if self.places is None:
            return picture
        channels = [map_coordinates(picture[..., c].astype(np.float32), self.places, order=3, mode="nearest")
                    for c in range(picture.shape[-1])]  # fmt: skip
        return np.asarray(np.rint(np.clip(np.stack(channels, axis=-1), 0, 255)), dtype=np.uint8)

    def plane(self, plane: np.ndarray) -> np.ndarray:
        """A straight plane of depth or of a mask, (H, W): the nearest pixel's value, since none may be invented."""
        if self.places is None:
            return plane
        rows, columns = np.rint(self.places).astype(np.int64)
        return np.asarray(plane[np.clip(rows, 0, plane.shape[0] - 1), np.clip(columns, 0, plane.shape[1] - 1)])


def straightening(lens: Lens) -> Straightening:
    """How pictures of `lens` are straightened: the widest view without an empty pixel, the same principal point.

    Raises:
        InvalidCameras: the distortion folds the picture or leaves less than a quarter of it.
    """
    if lens.is_straight:
        return Straightening(lens.matrix, None)
    zoom = _zoom(lens)
    K = lens.matrix
    K[0, 0] *= zoom
    K[1, 1] *= zoom
    u, v = np.meshgrid(np.arange(lens.width) + 0.5, np.arange(lens.height) + 0.5)
    rays = np.stack([(u - K[0, 2]) / K[0, 0], (v - K[1, 2]) / K[1, 1]], axis=-1)
    pixels = lens.pixels_of(rays) - 0.5
    return Straightening(K, np.ascontiguousarray(np.moveaxis(pixels[..., ::-1], -1, 0), dtype=np.float32))


def _zoom(lens: Lens) -> float:
    """The smallest factor on the focal lengths at which the whole straight picture lies in the bent one."""
    low, high = _ZOOM_LOW, _ZOOM_HIGH
    if not _fits(lens, high):
        bent = {name: getattr(lens, name) for name in ("k1", "k2", "k3", "k4", "p1", "p2") if getattr(lens, name)}
        raise InvalidCameras(
            f"distortion {bent} folds the picture of {lens.width}x{lens.height} with fl_x {lens.fl_x:.1f}; check its "
            f"signs, its order, and whether the camera_model is OPENCV or OPENCV_FISHEYE"
        )
    for _ in range(_ZOOM_STEPS):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if _fits(lens, middle) else (middle, high)
    return high


def _fits(lens: Lens, zoom: float) -> bool:
    along = np.linspace(0.0, 1.0, _BORDER_POINTS)
    zero, one = np.zeros_like(along), np.ones_like(along)
    u = np.concatenate([along, along, zero, one]) * lens.width
    v = np.concatenate([zero, one, along, along]) * lens.height
    rays = np.stack([(u - lens.cx) / (lens.fl_x * zoom), (v - lens.cy) / (lens.fl_y * zoom)], axis=-1)
    if not lens._is_one_to_one_to(float(np.linalg.norm(rays, axis=-1).max())):
        return False
    pixels = lens.pixels_of(rays)
    slack = 1e-6
    inside = (pixels >= -slack).all() and (pixels[:, 0] <= lens.width + slack).all()
    return bool(inside and (pixels[:, 1] <= lens.height + slack).all())
