"""Footage: a clip and what else a training wants to know of it, in Narthex's own convention."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Int64

from clips.cameras import Cameras
from clips.clip import Clip
from clips.dungeon.attributes import SLOTS
from clips.errors import InvalidClip

Masks = Bool[np.ndarray, "T H W"]
Depths = Float32[np.ndarray, "T H W"]


@dataclass(frozen=True, eq=False)
class Footage:
    """A clip with its captions and whatever else is known of it; None where nobody knows.

    Attributes:
        clip: frames, planar depth, cameras in the gate frame, times, motion mask.
        captions: captions by language ("en", "zh"), each at least one; `clip.caption` is the first of all.
        slots: canonical word of each text slot that is known, by slot name (`clips.dungeon.attributes.SLOTS`).
        object_mask: pixels of the free object whether or not it moves, (T, H, W).
        room_depth: planar depth of the blockout of the room alone, (T, H, W), metres.
        objects_depth: the same with the proxies of the objects in it.
        flow: pixels that each point moves to the right and down until the next frame, (T-1, H, W, 2), float32.
        source: where the clip came from, as JSON: a seed, a camera path's kind, a capture's name.

    Raises:
        InvalidClip: a shape disagrees with the clip, a depth is not positive, a slot or its word is unknown.
    """

    clip: Clip
    captions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    slots: Mapping[str, str] | None = None
    object_mask: Masks | None = None
    room_depth: Depths | None = None
    objects_depth: Depths | None = None
    flow: Float32[np.ndarray, "t H W 2"] | None = None
    source: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shape = self.clip.depth.shape
        for name, planes in (("room_depth", self.room_depth), ("objects_depth", self.objects_depth)):
            if planes is not None:
                check_depth(name, planes, shape)
        mask, flow = self.object_mask, self.flow
        if mask is not None and (mask.shape != shape or mask.dtype != np.bool_):
            raise InvalidClip(f"object_mask: got {mask.dtype} {mask.shape}, expected bool {shape}")
        expected = (shape[0] - 1, *shape[1:], 2)
        if flow is not None and (flow.shape != expected or flow.dtype != np.float32 or not np.isfinite(flow).all()):
            raise InvalidClip(f"flow: got {flow.dtype} {flow.shape}, expected finite float32 {expected}")
        if self.slots is not None:
            check_slots(self.slots)
        for language, texts in self.captions.items():
            if not texts or not all(text.strip() for text in texts):
                raise InvalidClip(f"captions: {language}: an empty caption; write what the clip shows or leave it out")

    def at(self, rows: Int64[np.ndarray, " t"]) -> Footage:
        """The footage of some of its frames, in ascending order; flow stays where no frame between them is left out."""

        def picked(planes: Any) -> Any:
            return None if planes is None else planes[rows]

        old = self.clip.cameras
        cameras = Cameras(old.viewmats[rows], old.Ks[rows], old.width, old.height)
        consecutive = bool((np.diff(rows) == 1).all())
        clip = replace(
            self.clip,
            frames=self.clip.frames[rows],
            depth=self.clip.depth[rows],
            cameras=cameras,
            times=self.clip.times[rows],
            motion_mask=picked(self.clip.motion_mask),
        )
        return replace(
            self,
            clip=clip,
            object_mask=picked(self.object_mask),
            room_depth=picked(self.room_depth),
            objects_depth=picked(self.objects_depth),
            flow=self.flow[rows[:-1]] if self.flow is not None and consecutive else None,
        )


def check_slots(slots: Mapping[str, str]) -> None:
    """Nothing, where every name and word is known.

    Raises:
        InvalidClip: names the slot, what it holds and what it may hold.
    """
    for name, word in slots.items():
        if name not in SLOTS:
            raise InvalidClip(f"slots: {name}: no such slot; known are {', '.join(SLOTS)}")
        words = [str(value) for value in SLOTS[name]]
        if word not in words:
            raise InvalidClip(
                f"slots: {name}: got {word!r}, expected one of {', '.join(words)} (leave out what is none)"
            )


def check_depth(name: str, depth: np.ndarray, shape: tuple[int, ...]) -> None:
    """Nothing, where metric depth is usable.

    Raises:
        InvalidClip: another shape or type, all zero, or pixels that are NaN, infinite, zero or negative; says how many
            in which frames, and what to do.
    """
    if depth.shape != shape or depth.dtype != np.float32:
        raise InvalidClip(f"{name}: got {depth.dtype} {depth.shape}, expected float32 {shape} to match the frames")
    if not depth.any():
        raise InvalidClip(f"{name}: all zero; was the depth buffer read before it was drawn?")
    remedies = {
        "NaN": (np.isnan(depth), "fill the holes before writing"),
        "infinite": (np.isinf(depth), "say in dataset.json how far the sky is: depth.far_m"),
        "negative": (depth < 0, "depth is the distance in front of the camera"),
        "zero": (depth == 0, "if 0 means nothing was hit, say depth.zero_is_far and depth.far_m in dataset.json"),
    }
    for what, (bad, remedy) in remedies.items():
        frames = np.flatnonzero(bad.any(axis=(1, 2)))
        if len(frames):
            raise InvalidClip(f"{name}: {int(bad.sum())} pixels are {what}, in frames {_few(frames)}; {remedy}")


def _few(numbers: np.ndarray) -> str:
    shown = ", ".join(str(number) for number in numbers[:6])
    return f"{shown} and {len(numbers) - 6} more" if len(numbers) > 6 else shown
