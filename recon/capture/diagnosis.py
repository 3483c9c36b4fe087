"""Diagnosis: why frames could not be registered, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from PIL import Image

from recon.capture.features import Shared
from recon.capture.pictures import Pictures

MIN_FEATURES = 50
MIN_MATCHES = 15
_BLURRED = 0.5
_FLAT = 0.35
_FLAT_LEVELS = 6.0
_CONTRAST_PX = 32
_FOCAL_FACTORS = (0.35, 3.0, 40)
_MOST = 0.9
_MOVED_MOST = 40
_PARALLAX_SHARE = 0.004
_STILL_SHARE = 0.0016
_FEW_NAMES = 8


class Reason(StrEnum):
    """Why a frame has no pose."""

    BLURRED = "blurred"
    TEXTURELESS = "too little texture"
    UNMATCHED = "too few matches to other frames"
    STILL = "the camera stands still"
    TURNING = "the camera only turns"
    APART = "not connected to the rest"


REMEDIES: dict[Reason, str] = {
    Reason.BLURRED: "hold the camera steadier, move more slowly, or give more light",
    Reason.TEXTURELESS: "keep something with texture in view; plain walls do not show where one stands",
    Reason.UNMATCHED: "move more slowly, or take more pictures: neighbours should share two thirds of what they show",
    Reason.STILL: "walk while filming: depth shows only in how things shift against each other",
    Reason.TURNING: "walk sideways or around things while filming; turning on the spot shows no depth",
    Reason.APART: "film on in one go, with overlap between the parts, or cut the recording there and reconstruct each",
}


@dataclass(frozen=True)
class LeftOut:
    """One frame without a pose: its index, its name, why, and the number that shows it."""

    frame: int
    name: str
    reason: Reason
    detail: str


def movement_of(shared: Shared, size: tuple[int, int], focal_px: float) -> Reason | None:
    """STILL or TURNING where no pair of frames shows parallax; None where some do, or nothing matches.

    For each pair, the turn that best carries the matches of one frame onto the other's is found (Kabsch 1976), for
    many focal lengths around `focal_px`; what is left in pixels is parallax. `size` is (width, height).
    """
    features, center, long_side = shared.features(), np.array(size) / 2, max(size)
    matched = []
    for a, b, found in shared.verified():
        if len(found) >= MIN_MATCHES:
            matched.append((features[a][found[:, 0]] - center, features[b][found[:, 1]] - center))
    if not matched:
        return None
    shifts = [float(np.median(np.linalg.norm(one - other, axis=1))) for one, other in matched]
    if np.quantile(shifts, _MOST) < _STILL_SHARE * long_side:
        return Reason.STILL
    # Those that moved most say most, about the focal length too.
    chosen = [matched[index] for index in np.argsort(shifts)[::-1][:_MOVED_MOST]]
    focals = focal_px * np.geomspace(*_FOCAL_FACTORS)
    left = [[_unturned_px(one, other, float(focal)) for focal in focals] for one, other in chosen]
    most = np.quantile(np.array(left), _MOST, axis=0).min()
    return Reason.TURNING if most < _PARALLAX_SHARE * long_side else None


def left_out(pictures: Pictures, shared: Shared, missing: Sequence[int]) -> list[LeftOut]:
    """Why each frame of `missing` has no pose."""
    counts = np.array([len(features) for features in shared.features()])
    matched = np.zeros(len(pictures), int)
    for a, b, found in shared.verified():
        matched[a], matched[b] = max(matched[a], len(found)), max(matched[b], len(found))
    contrasts = np.array([_contrast(frame) for frame in pictures.frames])
    usual = float(np.median(contrasts))
    rows = []
    for frame in missing:
        reason, detail = Reason.APART, f"{matched[frame]} matches to its best neighbour"
        if counts[frame] < MIN_FEATURES:
            reason = Reason.TEXTURELESS if contrasts[frame] < max(_FLAT * usual, _FLAT_LEVELS) else Reason.BLURRED
            detail = f"{counts[frame]} features, {MIN_FEATURES} are needed"
        elif matched[frame] < MIN_MATCHES:
            reason, detail = Reason.UNMATCHED, f"{matched[frame]} matches, {MIN_MATCHES} are needed"
            if pictures.sharpness[frame] < _BLURRED * float(np.median(pictures.sharpness)):
                reason = Reason.BLURRED
        rows.append(LeftOut(frame, pictures.names[frame], reason, detail))
    return rows


def told(rows: Sequence[LeftOut]) -> list[str]:
    """One line for each reason: which frames, the first one's number, and what to do."""
    lines = []
    for reason in Reason:
        same = [row for row in rows if row.reason is reason]
        if same:
            names = ", ".join(row.name for row in same[:_FEW_NAMES])
            more = f" and {len(same) - _FEW_NAMES} more" if len(same) > _FEW_NAMES else ""
            lines.append(f"{reason.value} ({names}{more}; {same[0].detail}): {REMEDIES[reason]}")
    return lines


def _contrast(frame: np.ndarray) -> float:
    """Standard deviation of a frame's grey levels at 32 pixels: blur leaves it, a plain wall has none."""
    grey = Image.fromarray(frame).convert("L")
    grey.thumbnail((_CONTRAST_PX, _CONTRAST_PX), Image.Resampling.BOX)
    return float(np.asarray(grey, np.float32).std())


def _unturned_px(one: np.ndarray, other: np.ndarray, focal_px: float) -> float:
    """Median distance in pixels that a turn of the camera leaves between matches (M, 2) around the centre."""
    a, b = (np.column_stack([xy / focal_px, np.ones(len(xy))]) for xy in (one, other))
    a, b = (rays / np.linalg.norm(rays, axis=1, keepdims=True) for rays in (a, b))
    left, _, right = np.linalg.svd(b.T @ a)
    turn = left @ np.diag([1.0, 1.0, np.sign(np.linalg.det(left @ right))]) @ right
    moved = a @ turn.T
    ahead = moved[:, 2] > 1e-6
    if not ahead.any():
        return float("inf")
    return float(np.median(np.linalg.norm(moved[ahead, :2] / moved[ahead, 2:] * focal_px - other[ahead], axis=1)))
