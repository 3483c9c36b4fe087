"""What is measured of one generated clip against its scene, and the figures of many."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float32
from scipy import ndimage

from model.measure.accuracy import Accuracy
from model.measure.depth_warp import WarpError, warp_error
from model.measure.generation import MadeClip
from model.measure.judge import Judge
from model.measure.object_region import intersection_over_union, is_single_blob
from model.measure.room_depth import abs_rel, room_pixels
from model.measure.scenes import LAST_FRAMES, Scene

FAR_M = 12.0
"""No camera of a scene sees farther: the largest room that is drawn has a diagonal of 10.5 m."""

EDGE_PX = 2
"""The object's region is widened by so many pixels before what is left counts as static."""


@dataclass(frozen=True)
class Verdict:
    """What one clip shows.

    Attributes:
        right: for every judged slot whether the clip shows the told value; no entry where the real clip cannot
            show it (a prop out of sight).
        overlap: IoU of the object's region with the told one; NaN where the object is never to be seen.
        single_blob: the object is one thing.
        object_moves: whether it was told to move.
        warp: errors of depth carried from frame 0 to the last; None for a camera that stands still.
        room_error: mean relative depth error against the true room's box on the pixels that show it.
        far_share: share of all pixels whose depth lies beyond FAR_M; NaN where nobody looked.
        prop_last: whether the judge finds the told prop in the last LAST_FRAMES frames alone; None where the real clip
            does not show it there.
    """

    right: Mapping[str, bool]
    overlap: float
    single_blob: bool
    object_moves: bool
    warp: WarpError | None
    room_error: float
    far_share: float = math.nan
    prop_last: bool | None = None


def judge_clips(
    judge: Judge, scenes: Sequence[Scene], clips: Sequence[MadeClip], on_clips: Callable[[int], None] | None = None
) -> list[Verdict]:
    """The verdict on every clip; `clips[k]` was generated for `scenes[k]`."""
    words = judge.words([clip.frames for clip in clips])
    last = judge.words([clip.frames[-LAST_FRAMES:] for clip in clips])
    verdicts = []
    for scene, clip, shown, shown_last in zip(scenes, clips, words, last, strict=True):
        verdict = _verdict(scene, clip, shown, judge.object_masks(clip.frames))
        prop_last = shown_last["prop"] == scene.words["prop"] if scene.prop_seen_last else None
        verdicts.append(replace(verdict, prop_last=prop_last))
        if on_clips is not None:
            on_clips(1)
    return verdicts


def attribute_accuracy(verdicts: Iterable[Verdict]) -> dict[str, Accuracy]:
    """How often each slot is right."""
    found: dict[str, Accuracy] = {}
    for verdict in verdicts:
        for slot, right in verdict.right.items():
            found[slot] = found.get(slot, Accuracy(0, 0)) + Accuracy(int(right), 1)
    return found


def blob_accuracy(verdicts: Iterable[Verdict]) -> Accuracy:
    """How often a moving object is one thing."""
    return Accuracy.of(verdict.single_blob for verdict in verdicts if verdict.object_moves)


def mean_overlap(verdicts: Iterable[Verdict]) -> float:
    """Mean IoU of moving objects with the told one."""
    return _mean(verdict.overlap for verdict in verdicts if verdict.object_moves and not math.isnan(verdict.overlap))


def mean_warp(verdicts: Iterable[Verdict]) -> WarpError:
    """Means over the clips with moving cameras; NaN where there are none."""
    warps = [verdict.warp for verdict in verdicts if verdict.warp is not None]
    return WarpError(_mean(warp.error for warp in warps), _mean(warp.frozen for warp in warps))


def mean_room_error(verdicts: Iterable[Verdict]) -> float:
    """Mean depth error against the box of the room."""
    return _mean(verdict.room_error for verdict in verdicts if not math.isnan(verdict.room_error))


def last_prop_accuracy(verdicts: Iterable[Verdict]) -> Accuracy:
    """How often the told prop is in the last frames, of the clips whose real one shows it there."""
    return Accuracy.of(verdict.prop_last for verdict in verdicts if verdict.prop_last is not None)


def mean_far_share(verdicts: Iterable[Verdict]) -> float:
    """Mean share of pixels that lie beyond every room; NaN where there are none."""
    return _mean(verdict.far_share for verdict in verdicts if not math.isnan(verdict.far_share))


def far_share(depth: Float32[np.ndarray, "T H W"]) -> float:
    """Share of all pixels whose depth lies beyond FAR_M."""
    return float((depth > FAR_M).mean())


def _verdict(scene: Scene, clip: MadeClip, shown: Mapping[str, str], region: Bool[np.ndarray, "T H W"]) -> Verdict:
    told = scene.words
    right = {slot: shown[slot] == told[slot] for slot in shown if slot != "prop" or scene.prop_seen}
    near_object = _widened(region | scene.object_mask)
    room = room_pixels(scene.depth, scene.box_depth) & ~near_object
    warp = warp_error(clip.depth, scene.cameras, ~_widened(region)) if scene.camera_moves else None
    return Verdict(
        right=right,
        overlap=intersection_over_union(region, scene.object_mask),
        single_blob=is_single_blob(region),
        object_moves=scene.object_moves,
        warp=warp,
        room_error=abs_rel(clip.depth, scene.box_depth, room),
        far_share=far_share(clip.depth),
    )


def _widened(region: Bool[np.ndarray, "T H W"]) -> Bool[np.ndarray, "T H W"]:
    square = np.ones((1, 2 * EDGE_PX + 1, 2 * EDGE_PX + 1), dtype=bool)
    wide: np.ndarray = ndimage.binary_dilation(region, structure=square)
    return wide


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return float(np.mean(listed)) if listed else math.nan
