"""The search for an envelope: views off the path are drawn small and their holes counted.

One picture with a wide border serves every turn at a place: a turned camera sees the same rays, so its holes are read
from the wide picture by a homography.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from clips.cameras import Cameras
from recon.envelope import Envelope, turned
from recon.errors import InvalidScene
from recon.instant import Instant, scene_at
from recon.raster import rasterization
from recon.raster.projection import EPS2D_PX2
from recon.scene import Scene4D

_STEPS = 4
_HALVINGS = 2
_TURN_TRIALS = (1.0, 0.75, 0.5, 0.3, 0.15, 0.0)
_BOX_TRIALS = (1.0, 0.85, 0.7, 0.55, 0.4, 0.25, 0.1, 0.0)
_TURNS_KEPT = 0.5
_STRICTER = 0.6
_SHRUNK = 0.7
_CHECK_ROUNDS = 8
_SIDES = [(axis, sign) for axis in range(3) for sign in (-1.0, 1.0)]
_TURNS = [(yaw, pitch) for yaw in (-1.0, 0.0, 1.0) for pitch in (-1.0, 0.0, 1.0)]


@dataclass(frozen=True)
class EnvelopeSettings:
    """How an envelope is looked for.

    Attributes:
        instants: at how many instants, evenly spaced, the first and the last frame among them.
        largest_m, largest_yaw_deg, largest_pitch_deg: it is not looked for farther than that.
        hole_alpha, hole_share: what counts as a hole, and which share of them is too much.
        nearest_m: pixels that show something nearer than this count as holes: the camera is in a wall.
        width_px: of the pictures in which holes are counted.
        thorough: look along each direction for itself; else the box is a cube around the path, found in a third of the
            time.
        checks: views at random, between the instants too, that must hold in the end.
        seed: of those views.

    Raises:
        InvalidScene: a field is out of range; the message names it.
    """

    instants: int = 5
    largest_m: float = 0.8
    largest_yaw_deg: float = 12.0
    largest_pitch_deg: float = 8.0
    hole_alpha: float = 0.9
    hole_share: float = 0.01
    nearest_m: float = 0.12
    width_px: int = 48
    thorough: bool = True
    checks: int = 24
    seed: int = 0

    def __post_init__(self) -> None:
        limits = {
            "instants": (1, 1_000),
            "largest_m": (0.0, 10.0),
            "largest_yaw_deg": (0.0, 30.0),
            "largest_pitch_deg": (0.0, 30.0),
            "hole_alpha": (0.0, 1.0),
            "hole_share": (0.0, 1.0),
            "nearest_m": (0.0, 10.0),
            "width_px": (8, 4_096),
            "checks": (0, 100_000),
        }
        for field, (low, high) in limits.items():
            got = getattr(self, field)
            if not low <= got <= high:
                raise InvalidScene(f"envelope settings: {field} must be within [{low}, {high}], got {got}")

    @classmethod
    def draft(cls) -> EnvelopeSettings:
        """A quick search for drafts, which have pin-holes of 0.85 opacity all over: those count as no holes."""
        return cls(instants=2, largest_m=0.5, hole_alpha=0.7, width_px=32, thorough=False, checks=6)

    @classmethod
    def full(cls) -> EnvelopeSettings:
        """The widest envelope that the search finds."""
        return cls()


def find_envelope(
    scene: Scene4D, cameras: Cameras, times: np.ndarray, settings: EnvelopeSettings | None = None
) -> Envelope:
    """The envelope of `scene` around the path of `cameras` at `times` scene seconds.

    Along each of the six directions offsets grow until a view with any of nine turns has too many holes; the box of
    them shrinks until its corners hold; then views at random shrink it where they do not. Where the path itself has too
    many holes the box is empty: the camera stays on the path.
    """
    settings = settings or EnvelopeSettings()
    frames = instants_of(len(cameras), settings)
    boxes = [box_at(scene, cameras, times, frame, settings) for frame in frames]
    return checked(envelope_of(times, frames, boxes, settings), scene, cameras, times, settings)


def instants_of(count: int, settings: EnvelopeSettings) -> list[int]:
    """The frames, of `count`, at which boxes are looked for."""
    return sorted({int(frame) for frame in np.linspace(0, count - 1, min(settings.instants, count))})


def box_at(scene: Scene4D, cameras: Cameras, times: np.ndarray, frame: int, settings: EnvelopeSettings) -> list[float]:
    """What one frame's place allows, 7 numbers: lowest and highest offsets (m), the share of the largest turns."""
    low, high, turns = _box(Place(scene, cameras, times, frame, settings))
    return [*low.tolist(), *high.tolist(), float(turns)]


def envelope_of(times: np.ndarray, frames: list[int], boxes: list[list[float]], settings: EnvelopeSettings) -> Envelope:
    """The envelope of boxes that `box_at` gave for `frames`; it is not checked yet."""
    rows = np.asarray(boxes, np.float64).reshape(len(frames), 7)
    return Envelope(
        np.asarray(times, np.float64)[frames],
        rows[:, :3],
        rows[:, 3:6],
        rows[:, 6] * settings.largest_yaw_deg,
        rows[:, 6] * settings.largest_pitch_deg,
        settings.hole_alpha,
        settings.hole_share,
    )


class Place:
    """The neighbourhood of one frame's camera, at that frame's time."""

    def __init__(
        self, scene: Scene4D, cameras: Cameras, times: np.ndarray, frame: int, settings: EnvelopeSettings
    ) -> None:
        self.time_s = float(times[frame])
        self.settings = settings
        self._instant: Instant = scene_at(scene, self.time_s)
        self._viewmat = cameras.viewmats[frame]
        # The blur that the rasterizer adds must stay that of a full-sized picture: it would close small holes.
        scale = min(1.0, settings.width_px / cameras.width)
        self._eps2d = EPS2D_PX2 * scale**2
        small = cameras.resized(max(8, round(cameras.width * scale)), max(6, round(cameras.height * scale)))
        self._K, self._size = small.Ks[frame], (small.width, small.height)
        self._border = self._wide_border()

    def holes(self, offset_m: np.ndarray, turns_deg: list[tuple[float, float]]) -> float:
        """The largest share of holes in a view from `offset_m` (3,) with each of the turns (yaw, pitch)."""
        wide = self._wide_holes(offset_m)
        shares = []
        for yaw, pitch in turns_deg:
            u, v = self._pixels(yaw, pitch)
            inside = (u >= 0) & (v >= 0) & (u < wide.shape[1]) & (v < wide.shape[0])
            seen = wide[np.clip(v, 0, wide.shape[0] - 1), np.clip(u, 0, wide.shape[1] - 1)]
            shares.append(float((seen | ~inside).mean()))
        return max(shares)

    def _wide_holes(self, offset_m: np.ndarray) -> np.ndarray:
        """Where the wide picture from `offset_m` has holes, (H, W) bool."""
        viewmat, K = self._viewmat.copy(), self._K.copy()
        viewmat[:3, 3] -= viewmat[:3, :3] @ offset_m
        K[0, 2] += self._border[0]
        K[1, 2] += self._border[1]
        width, height = self._size[0] + 2 * self._border[0], self._size[1] + 2 * self._border[1]
        now = self._instant
        picture, alpha, _ = rasterization(
            now.means,
            now.quats,
            now.scales,
            now.opacities,
            np.zeros((len(now.means), 1), np.float32),
            viewmat[None],
            K[None],
            width,
            height,
            eps2d=self._eps2d,
            render_mode="ED",
        )
        opaque = alpha[0, :, :, 0] >= self.settings.hole_alpha
        return np.asarray(~opaque | (picture[0, :, :, 0] < self.settings.nearest_m))

    def _wide_border(self) -> tuple[int, int]:
        """Pixels that the wide picture has more on each side, so that no allowed turn looks out of it."""
        border = [0, 0]
        for yaw, pitch in _TURNS:
            turn = yaw * self.settings.largest_yaw_deg, pitch * self.settings.largest_pitch_deg
            for axis, pixels in enumerate(self._positions(*turn)):
                most = max(-float(pixels.min()), float(pixels.max()) - self._size[axis])
                border[axis] = max(border[axis], int(np.ceil(min(most, 2.0 * self._size[axis]))))
        return border[0], border[1]

    def _pixels(self, yaw_deg: float, pitch_deg: float) -> tuple[np.ndarray, np.ndarray]:
        u, v = self._positions(yaw_deg, pitch_deg)
        return np.floor(u + self._border[0]).astype(int), np.floor(v + self._border[1]).astype(int)

    def _positions(self, yaw_deg: float, pitch_deg: float) -> tuple[np.ndarray, np.ndarray]:
        """Where the straight camera sees what the turned camera's pixels see, in its pixels, each (H, W)."""
        width, height = self._size
        u, v = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
        K, rotation = self._K, self._viewmat[:3, :3].T
        rays = np.stack([(u - K[0, 2]) / K[0, 0], (v - K[1, 2]) / K[1, 1], np.ones_like(u)], axis=-1)
        seen = rays @ (rotation.T @ turned(rotation, yaw_deg, pitch_deg)).T
        z = np.maximum(seen[..., 2], 1e-3)
        return K[0, 0] * seen[..., 0] / z + K[0, 2], K[1, 1] * seen[..., 1] / z + K[1, 2]


def _box(place: Place) -> tuple[np.ndarray, np.ndarray, float]:
    """Lowest and highest offsets (3,) at a place, and which share of the largest turns goes with them."""
    settings = place.settings
    limit = _STRICTER * settings.hole_share

    def good(offset_m: np.ndarray, share: float) -> bool:
        yaw, pitch = share * settings.largest_yaw_deg, share * settings.largest_pitch_deg
        turns = [(a * yaw, b * pitch) for a, b in _TURNS] if share else [(0.0, 0.0)]
        return place.holes(offset_m, turns) <= limit

    def along(direction: np.ndarray, distance_m: float) -> bool:
        return good(distance_m * direction, turns)

    zero = np.zeros(3)
    turns = _TURNS_KEPT * next((share for share in _TURN_TRIALS if good(zero, share)), 0.0)
    reach = np.zeros((3, 2))
    if settings.largest_m > 0 and good(zero, turns):
        reach[:] = settings.largest_m
        for axis, sign in _SIDES if settings.thorough else ():
            reach[axis, int(sign > 0)] = _reach(partial(along, sign * np.eye(3)[axis]), settings.largest_m)
    low, high = -reach[:, 0], reach[:, 1]
    corners = np.array([[(k >> axis) & 1 for axis in range(3)] for k in range(8)], bool)
    for share in _BOX_TRIALS:
        if all(good(share * np.where(corner, high, low), turns) for corner in corners):
            return share * low, share * high, turns
    return zero, zero, turns


def _reach(good: Callable[[float], bool], largest_m: float) -> float:
    """How far one can go, metres: in steps up to the first failure, then halving the last step."""
    reached, step = 0.0, largest_m / _STEPS
    while reached + step <= largest_m + 1e-9 and good(reached + step):
        reached += step
    if reached + step > largest_m + 1e-9:
        return reached
    for _ in range(_HALVINGS):
        step /= 2.0
        if good(reached + step):
            reached += step
    return reached


def checked(
    found: Envelope, scene: Scene4D, cameras: Cameras, times: np.ndarray, settings: EnvelopeSettings
) -> Envelope:
    """`found`, shrunk around the instants beside which a view at random has too many holes; `held` is set."""
    rng = np.random.default_rng(settings.seed)
    views = [(int(rng.integers(len(cameras))), rng.uniform(-1.0, 1.0, 5)) for _ in range(settings.checks)]
    for round_number in range(_CHECK_ROUNDS + 1):
        failed = [frame for frame, wish in views if not view_holds(found, scene, cameras, times, frame, wish, settings)]
        found = replace(found, held=1.0 - len(failed) / max(len(views), 1))
        if not failed or round_number == _CHECK_ROUNDS:
            return found
        shrink = np.ones(len(found.times))
        for frame in failed:
            after = int(np.searchsorted(found.times, float(times[frame])))
            shrink[[max(after - 1, 0), min(after, len(shrink) - 1)]] = _SHRUNK
        found = replace(
            found,
            low_m=found.low_m * shrink[:, None],
            high_m=found.high_m * shrink[:, None],
            yaw_deg=found.yaw_deg * shrink,
            pitch_deg=found.pitch_deg * shrink,
        )
    return found


def view_holds(
    envelope: Envelope,
    scene: Scene4D,
    cameras: Cameras,
    times: np.ndarray,
    frame: int,
    wish: np.ndarray,
    settings: EnvelopeSettings,
) -> bool:
    """True where a view within `envelope` has few enough holes.

    `wish` (5,) within [-1, 1] says where between the limits: offsets along x, y and z, yaw, pitch.
    """
    bounds = envelope.at(float(times[frame]))
    offset = np.where(wish[:3] < 0.0, -wish[:3] * bounds.low_m, wish[:3] * bounds.high_m)
    turn = (float(wish[3] * bounds.yaw_deg), float(wish[4] * bounds.pitch_deg))
    return Place(scene, cameras, times, frame, settings).holes(offset, [turn]) <= settings.hole_share
