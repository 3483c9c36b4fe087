"""From the gate frame to the coordinate systems of files and engines, and back: the only place that converts.

The gate frame is RDF: x right, y down, z forward into the room, metres. Three letters name a system by where its
x, y and z point: R right, L left, U up, D down, F forward, B back.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

Row = tuple[int, int, int]


@dataclass(frozen=True)
class FrameAxes:
    """A coordinate system, as the signed axes and the unit that lead to it from the gate frame.

    Attributes:
        name: three letters, and the unit where it is not metres.
        rows: signed permutation; row i says which gate axis becomes axis i. Its determinant is -1 where the other
            system is left-handed (Unity, Unreal); conversions of rotations heed that.
        units_per_m: how many of its units make a metre.

    Raises:
        ValueError: the rows are no signed permutation, or the unit is not positive.
    """

    name: str
    rows: tuple[Row, Row, Row]
    units_per_m: float = 1.0

    def __post_init__(self) -> None:
        ones = np.abs(self.matrix)
        if not (np.isin(ones, (0, 1)).all() and (ones.sum(axis=0) == 1).all() and (ones.sum(axis=1) == 1).all()):
            raise ValueError(f"axes {self.name}: rows must be a signed permutation, got {self.rows}")
        if not 0.0 < self.units_per_m < float("inf"):
            raise ValueError(f"axes {self.name}: units_per_m must be positive and finite, got {self.units_per_m}")

    @property
    def matrix(self) -> Float[np.ndarray, "3 3"]:
        """The signed permutation as a matrix, without the unit."""
        return np.array(self.rows, dtype=np.float64)

    @property
    def handedness(self) -> int:
        """1 where the system is right-handed like the gate frame, -1 where it is left-handed."""
        return round(float(np.linalg.det(self.matrix)))

    @property
    def inverse(self) -> FrameAxes:
        """The way back to the gate frame."""
        x, y, z = zip(*self.rows, strict=True)
        return FrameAxes(f"{self.name} to gate", (x, y, z), 1.0 / self.units_per_m)

    def directions(self, vectors: Float[np.ndarray, "*N 3"]) -> Float[np.ndarray, "*N 3"]:
        """Unit-free vectors (normals, view directions) in this system; keeps the dtype."""
        return self._turned(vectors, 1.0)

    def points(self, positions: Float[np.ndarray, "*N 3"]) -> Float[np.ndarray, "*N 3"]:
        """Positions given in gate-frame metres, in this system and its unit; keeps the dtype."""
        return self._turned(positions, self.units_per_m)

    def velocities(self, velocities: Float[np.ndarray, "*N 3"]) -> Float[np.ndarray, "*N 3"]:
        """Velocities given in metres per second, in this system and its units per second; keeps the dtype."""
        return self._turned(velocities, self.units_per_m)

    def quats(self, quats: Float[np.ndarray, "*N 4"]) -> Float[np.ndarray, "*N 4"]:
        """Rotations w, x, y, z in this system: R becomes M R M^T, whose axis is det(M) M times the old axis.

        A splat's scales must go through `log_scales` with it, since its own axes are renamed too.
        """
        axis = self.handedness * self._turned(quats[..., 1:], 1.0)
        return np.concatenate([quats[..., :1], axis], axis=-1, dtype=quats.dtype)

    def log_scales(self, log_scales: Float[np.ndarray, "*N 3"]) -> Float[np.ndarray, "*N 3"]:
        """Natural logs of a splat's standard deviations, in the order and unit that fit `quats` and `points`."""
        order = np.abs(self.matrix).argmax(axis=1)
        return np.asarray(log_scales[..., order] + np.log(self.units_per_m), dtype=log_scales.dtype)

    def poses(self, poses: Float[np.ndarray, "*N 4 4"]) -> Float[np.ndarray, "*N 4 4"]:
        """Rigid transforms (object- or camera-to-world) with both their sides in this system."""
        converted = np.array(poses)
        converted[..., :3, :3] = self.matrix @ poses[..., :3, :3] @ self.matrix.T
        converted[..., :3, 3] = self.points(poses[..., :3, 3])
        return converted

    def _turned(self, vectors: np.ndarray, units_per_m: float) -> np.ndarray:
        return np.asarray((vectors @ self.matrix.T) * units_per_m, dtype=vectors.dtype)


PLY_RDF = FrameAxes("RDF", ((1, 0, 0), (0, 1, 0), (0, 0, 1)))
"""3DGS PLY files: the gate frame itself."""

GLTF_RUB = FrameAxes("RUB", ((1, 0, 0), (0, -1, 0), (0, 0, -1)))
"""glTF, SPZ and OpenUSD with y up."""

UNITY_RUF = FrameAxes("RUF", ((1, 0, 0), (0, -1, 0), (0, 0, 1)))
"""Unity: left-handed, y up, metres."""

UNREAL_FRU = FrameAxes("FRU cm", ((0, 0, 1), (1, 0, 0), (0, -1, 0)), units_per_m=100.0)
"""Unreal: left-handed, z up, centimetres."""

_DIRECTIONS: dict[str, Row] = {
    "R": (1, 0, 0),
    "L": (-1, 0, 0),
    "D": (0, 1, 0),
    "U": (0, -1, 0),
    "F": (0, 0, 1),
    "B": (0, 0, -1),
}


def axes_named(letters: str, units_per_m: float = 1.0) -> FrameAxes:
    """The system whose x, y and z point where three letters of R L U D F B say, such as RUB.

    Raises:
        ValueError: not three letters, one of each pair R/L, U/D, F/B; or the unit is not positive and finite.
    """
    if len(letters) != 3 or any(letter not in _DIRECTIONS for letter in letters):
        raise ValueError(f"axes must be three letters of R L U D F B, such as RUB, got {letters!r}")
    x, y, z = (_DIRECTIONS[letter] for letter in letters)
    if np.abs(np.array([x, y, z])).sum(axis=0).max() > 1:
        raise ValueError(f"axes must have one letter of each pair R/L, U/D and F/B, got {letters!r}")
    return FrameAxes(letters, (x, y, z), units_per_m)


def poses_from(poses: Float[np.ndarray, "*N 4 4"], world: FrameAxes, local: FrameAxes) -> Float[np.ndarray, "*N 4 4"]:
    """Local-to-world transforms of a file, with the world side and the local side each in axes of its own, both in RDF.

    Returns transforms from RDF local axes to an RDF world in metres. Where `world` and `local` are of different
    handedness the file's rotations are mirrors (determinant -1) and the returned ones are proper.
    """
    converted = np.array(poses, dtype=np.float64)
    converted[..., :3, :3] = world.matrix.T @ converted[..., :3, :3] @ local.matrix
    converted[..., :3, 3] = world.inverse.points(converted[..., :3, 3])
    return converted
