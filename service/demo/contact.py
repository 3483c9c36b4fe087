"""contact.png: per gate the game's own picture at the door, what was generated behind it, and the scene made of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from clips.cameras import Cameras
from clips.clip import Clip
from clips.picture import depth_to_color
from recon.raster import render_scene
from recon.scene import Scene4D

MARGIN, GAP, LABEL_WIDTH = 28, 8, 150
TILE = (176, 117)
TILES = 6
DOOR_SIZE = (619, 348)
PAPER, INK, FAINT = (20, 21, 26), (236, 236, 240), (150, 152, 162)
MOVED_RIGHT_M, MOVED_UP_M, MOVED_TURN_DEG = 0.45, 0.2, 7.0


@dataclass(frozen=True)
class GateSheet:
    """What the sheet shows of one gate.

    Attributes:
        title: of the gate.
        facts: lines of text beside the pictures at the door.
        door, opened: the game's own picture at the closed door; with the scene behind the open one (H, W, 3).
        draft, full: the clips; None where it was not made.
        scene: reconstructed from `full`.
    """

    title: str
    facts: Sequence[str]
    door: np.ndarray | None
    opened: np.ndarray | None
    draft: Clip | None
    full: Clip | None
    scene: Scene4D | None


def contact_sheet(title: str, gates: Sequence[GateSheet], threads: int) -> np.ndarray:
    """The whole sheet, (H, W, 3) uint8."""
    width = 2 * MARGIN + LABEL_WIDTH + TILES * (TILE[0] + GAP)
    parts = [_header(title, width)]
    for gate in gates:
        parts.append(_gate_head(gate, width))
        parts += [_strip(label, tiles, width) for label, tiles in _rows(gate, threads)]
    parts.append(Image.new("RGB", (width, MARGIN), PAPER))
    sheet = Image.new("RGB", (width, sum(part.height for part in parts)), PAPER)
    top = 0
    for part in parts:
        sheet.paste(part, (0, top))
        top += part.height
    return np.asarray(sheet)


def moved(cameras: Cameras) -> Cameras:
    """The same cameras stepped to the right and up, and turned back towards the middle: views nobody generated."""
    turn = np.radians(MOVED_TURN_DEG)
    yaw = np.array([[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]])
    viewmats = cameras.viewmats.copy()
    viewmats[:, :3, 3] -= np.array([MOVED_RIGHT_M, -MOVED_UP_M, 0.0])
    viewmats[:, :3, :] = yaw @ viewmats[:, :3, :]
    return Cameras(viewmats, cameras.Ks, cameras.width, cameras.height)


def _rows(gate: GateSheet, threads: int) -> list[tuple[tuple[str, str], list[np.ndarray]]]:
    """Label (what, how) and pictures of each row."""
    rows: list[tuple[tuple[str, str], list[np.ndarray]]] = []
    if gate.draft is not None:
        rows.append((("DRAFT", "generated frames"), list(gate.draft.frames[_spread(len(gate.draft))])))
    if gate.full is not None:
        chosen = _spread(len(gate.full))
        rows.append((("FULL", "generated frames"), list(gate.full.frames[chosen])))
        depth = depth_to_color(gate.full.depth[chosen])
        rows.append((("FULL", "generated depth,\nnear is bright"), list(depth)))
        if gate.scene is not None:
            cameras = gate.full.cameras
            seen = Cameras(cameras.viewmats[chosen], cameras.Ks[chosen], cameras.width, cameras.height)
            seen, times = seen.resized(*TILE), gate.full.times[chosen]
            same, _, _ = render_scene(gate.scene, seen, times, threads=threads)
            aside, _, _ = render_scene(gate.scene, moved(seen), times, threads=threads)
            rows.append((("4D scene", "from the same cameras"), list(same)))
            rows.append((("4D scene", "from cameras moved\n0.45 m to the right"), list(aside)))
    return rows


def _spread(count: int) -> np.ndarray:
    return np.unique(np.linspace(0, count - 1, TILES).round().astype(int))


def _header(title: str, width: int) -> Image.Image:
    part = Image.new("RGB", (width, 76), PAPER)
    ImageDraw.Draw(part).text((MARGIN, 26), title, fill=INK, font=_font(28))
    return part


def _gate_head(gate: GateSheet, width: int) -> Image.Image:
    shown = [picture for picture in (gate.door, gate.opened) if picture is not None]
    part = Image.new("RGB", (width, 56 + (DOOR_SIZE[1] + 3 * GAP if shown else 8) + 24 * len(gate.facts)), PAPER)
    draw = ImageDraw.Draw(part)
    draw.line([(MARGIN, 8), (width - MARGIN, 8)], fill=(60, 62, 72))
    draw.text((MARGIN, 22), gate.title, fill=INK, font=_font(22))
    top = 56
    for line in gate.facts:
        draw.text((MARGIN, top), line, fill=FAINT, font=_font(15))
        top += 24
    for index, picture in enumerate(shown):
        image = Image.fromarray(picture).resize(DOOR_SIZE, Image.Resampling.LANCZOS)
        part.paste(image, (MARGIN + index * (DOOR_SIZE[0] + GAP), top + GAP))
    return part


def _strip(label: tuple[str, str], tiles: Sequence[np.ndarray], width: int) -> Image.Image:
    part = Image.new("RGB", (width, TILE[1] + GAP), PAPER)
    draw = ImageDraw.Draw(part)
    draw.text((MARGIN, 8), label[0], fill=INK, font=_font(16))
    draw.multiline_text((MARGIN, 32), label[1], fill=FAINT, font=_font(13), spacing=5)
    for index, tile in enumerate(tiles):
        image = Image.fromarray(np.ascontiguousarray(tile)).resize(TILE, Image.Resampling.BICUBIC)
        part.paste(image, (MARGIN + LABEL_WIDTH + index * (TILE[0] + GAP), 0))
    return part


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
