"""Still pictures for people: depth as colours, contact sheets with labels, PNG files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFont

from clips.atomic_file import replacing
from clips.errors import InvalidClip

# Far to near: black over violet and orange to pale yellow; lightness rises evenly along it (made for this file).
_RAMP = np.array(
    [
        (6, 6, 16),
        (34, 20, 70),
        (78, 28, 112),
        (124, 40, 120),
        (170, 54, 110),
        (212, 76, 88),
        (240, 114, 66),
        (250, 164, 62),
        (252, 212, 104),
        (254, 250, 200),
    ],
    dtype=np.float64,
)
_BACKGROUND = (24, 24, 28)
_TEXT = (232, 232, 236)


def depth_to_color(
    depth: Float[np.ndarray, "*T H W"], near: float | None = None, far: float | None = None
) -> UInt8[np.ndarray, "*T H W 3"]:
    """Depth in metres as sRGB colours, nearer is brighter, even steps in log depth.

    `near` and `far` bound the scale in metres; what is None is taken from the depth itself (its extremes).

    Raises:
        InvalidClip: depth is empty or not finite and positive, or near and far are not 0 < near < far.
    """
    depth = np.asarray(depth, dtype=np.float64)
    bad = int(np.sum(~(np.isfinite(depth) & (depth > 0))))
    if bad or depth.size == 0:
        raise InvalidClip(
            f"depth must be finite, positive and not empty, got shape {depth.shape}, {bad} values are not"
        )
    low = float(depth.min()) if near is None else near
    high = max(float(depth.max()), low * 1.001) if far is None else far
    if not 0.0 < low < high < float("inf"):
        raise InvalidClip(f"near and far must be 0 < near < far, got {low} and {high}")
    share = np.clip(np.log(high / depth) / np.log(high / low), 0.0, 1.0) * (len(_RAMP) - 1)
    index = np.minimum(share.astype(np.int64), len(_RAMP) - 2)
    part = (share - index)[..., None]
    color: np.ndarray = _RAMP[index] * (1.0 - part) + _RAMP[index + 1] * part
    return np.round(color).astype(np.uint8)


def contact_sheet(
    rows: Sequence[Sequence[UInt8[np.ndarray, "H W 3"]]],
    labels: Sequence[str] = (),
    scale: int = 1,
    gap_px: int = 6,
    text_px: int = 15,
) -> UInt8[np.ndarray, "sheetH sheetW 3"]:
    """Rows of pictures on one sheet, each row under its label (uint8 RGB; sizes may differ).

    Args:
        rows: pictures, row by row; a row may be empty.
        labels: one for each row, or none at all; a label longer than the sheet is cut off.
        scale: whole factor by which every picture is enlarged (nearest).

    Raises:
        InvalidClip: no picture at all, a picture is not uint8 (H, W, 3), or labels and rows differ in number.
    """
    if labels and len(labels) != len(rows):
        raise InvalidClip(f"labels must be one a row, got {len(labels)} for {len(rows)} rows")
    if not any(len(row) for row in rows):
        raise InvalidClip("a contact sheet needs at least one picture, got none")
    for picture in (picture for row in rows for picture in row):
        if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8 or 0 in picture.shape:
            raise InvalidClip(f"pictures must be uint8 (H, W, 3), got {picture.dtype} {picture.shape}")
    label_px = text_px + 5 if labels else 0
    heights = [max((p.shape[0] for p in row), default=0) * scale for row in rows]
    width = max(sum(p.shape[1] * scale + gap_px for p in row) for row in rows) + gap_px
    height = sum(h + label_px + gap_px for h in heights) + gap_px
    sheet = Image.new("RGB", (width, height), _BACKGROUND)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(text_px)
    y = gap_px
    for index, row in enumerate(rows):
        if labels:
            draw.text((gap_px, y), labels[index], fill=_TEXT, font=font)
        x, y = gap_px, y + label_px
        for picture in row:
            tile = Image.fromarray(np.ascontiguousarray(picture))
            tile = tile.resize((tile.width * scale, tile.height * scale), Image.Resampling.NEAREST)
            sheet.paste(tile, (x, y))
            x += tile.width + gap_px
        y += heights[index] + gap_px
    return np.asarray(sheet)


def write_png(picture: UInt8[np.ndarray, "H W 3"], path: Path) -> None:
    """Write one picture as PNG; replaces `path` when whole.

    Raises:
        InvalidClip: not uint8 (H, W, 3).
        OSError: the file cannot be written.
    """
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8 or 0 in picture.shape:
        raise InvalidClip(f"a picture must be uint8 (H, W, 3), got {picture.dtype} {picture.shape}")
    with replacing(path) as partial:
        Image.fromarray(np.ascontiguousarray(picture)).save(partial, format="PNG", optimize=True)
