"""Pictures of footage for people: frames, depth, masks and flow of a clip, and one frame each of many clips."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float32, UInt8

from clips.cameras import Cameras
from clips.footage.footage import Footage
from clips.optical_flow import optical_flow
from clips.picture import contact_sheet, depth_to_color

SHEET_FRAMES = 6
_PERCENTILE = 99.0
_MASK_TINT = np.array([255, 70, 40], dtype=np.float64)


def flow_to_color(
    flow: Float[np.ndarray, "*T H W 2"], largest_px: float | None = None
) -> UInt8[np.ndarray, "*T H W 3"]:
    """Optical flow as colours: the hue is its direction, the saturation its length; no flow is white.

    Right is red, down yellow-green, left cyan, up violet. `largest_px` has full saturation; None: the 99th percentile.
    """
    lengths = np.linalg.norm(flow, axis=-1)
    top = float(np.percentile(lengths, _PERCENTILE)) if largest_px is None else largest_px
    saturation = np.clip(lengths / max(top, 1e-6), 0.0, 1.0)
    hue = np.mod(np.arctan2(flow[..., 1], flow[..., 0]) / (2 * np.pi), 1.0)
    # Hue to colour: each channel is a clipped triangle wave, a third of the circle apart.
    waves = np.abs(np.mod(hue[..., None] * 6.0 + np.array([0.0, 4.0, 2.0]), 6.0) - 3.0) - 1.0
    color = 1.0 - saturation[..., None] * (1.0 - np.clip(waves, 0.0, 1.0))
    return np.asarray(np.round(255.0 * color).astype(np.uint8))


def camera_flow(depth: Float32[np.ndarray, "T H W"], cameras: Cameras) -> Float32[np.ndarray, "t H W 2"]:
    """Flow that the cameras alone make of a world that stands still, pixels, (T-1, H, W, 2).

    No flow where a point lies behind the next camera.
    """
    frames = len(cameras)
    nothing, nowhere = np.zeros(depth.shape, dtype=np.bool_), np.zeros((frames, 3))
    flow = optical_flow(depth, cameras, nothing, nowhere, np.repeat(np.eye(3)[None], frames, axis=0))
    return np.asarray(np.nan_to_num(flow), dtype=np.float32)


def clip_sheet(name: str, footage: Footage, scale: int = 2) -> UInt8[np.ndarray, "H W 3"]:
    """One clip on a sheet: frames, depth, and what there is of blockout depths, masks and flow."""
    clip = footage.clip
    shown = _spread(len(clip))
    near, far = float(np.percentile(clip.depth, 0.5)), float(np.percentile(clip.depth, 99.5)) * 1.001
    rows = [list(clip.frames[shown]), list(depth_to_color(clip.depth[shown], near, far))]
    labels = [f"{name}: {_shown_caption(footage)}".rstrip(": "), f"depth, {near:.1f} to {far:.1f} m"]
    depths = {"room alone": footage.room_depth, "room with its objects": footage.objects_depth}
    for title, depth in depths.items():
        if depth is not None:
            rows.append(list(depth_to_color(depth[shown], near, far)))
            labels.append(f"depth of the blockout: {title}")
    masks = {"what moves by itself": clip.motion_mask, "the free object": footage.object_mask}
    for title, mask in masks.items():
        if mask is not None:
            rows.append([_tinted(clip.frames[frame], mask[frame]) for frame in shown])
            labels.append(title)
    if len(clip) > 1:
        flow = camera_flow(clip.depth, clip.cameras) if footage.flow is None else footage.flow
        origin = "that the cameras make" if footage.flow is None else "to the next frame"
        top = max(float(np.percentile(np.linalg.norm(flow, axis=-1), _PERCENTILE)), 1e-6)
        rows.append(list(flow_to_color(flow[np.minimum(shown, len(flow) - 1)], top)))
        labels.append(f"flow {origin}: hue is direction (right red), full colour is {top:.2g} px")
    return contact_sheet(rows, labels, scale=scale)


def overview_sheet(
    clips: list[tuple[str, Footage]], columns: int = 6, scale: int = 1, with_depth: bool = True
) -> UInt8[np.ndarray, "H W 3"]:
    """Middle frames of many clips, `columns` a row, with the depth below each row of frames."""
    rows: list[list[np.ndarray]] = []
    for start in range(0, len(clips), columns):
        part = [footage.clip for _, footage in clips[start : start + columns]]
        rows.append([clip.frames[len(clip) // 2] for clip in part])
        if with_depth:
            rows.append([depth_to_color(clip.depth[len(clip) // 2]) for clip in part])
    return contact_sheet(rows, scale=scale)


def _shown_caption(footage: Footage) -> str:
    """The first caption that the sheets' font can write, else a note; the font has no Chinese."""
    texts = [text for texts in footage.captions.values() for text in texts] or [footage.clip.caption]
    latin = [text for text in texts if text.isascii()]
    words = " ".join((footage.slots or {}).values())
    return latin[0] if latin else f"({', '.join(footage.captions)} caption) {words}"


def _spread(frames: int) -> np.ndarray:
    return np.unique(np.linspace(0, frames - 1, min(SHEET_FRAMES, frames)).round().astype(int))


def _tinted(frame: np.ndarray, mask: np.ndarray) -> np.ndarray:
    grey = frame.mean(axis=-1, keepdims=True) * np.ones(3)
    return np.asarray(np.round(np.where(mask[..., None], 0.35 * grey + 0.65 * _MASK_TINT, 0.6 * grey)).astype(np.uint8))
