"""Captures whose truth is known: rendered rooms as video, registered without cameras, reconstructed, held out.

For each room a camera walks sideways through it, and its pictures are registered and reconstructed as footage from
anywhere would be. Every eighth registered picture is held out of the scene (not of the registration) and drawn.

    frames        registered of all
    position_cm   root mean square error of the cameras after the best similarity (path: about 2.5 m)
    turn_deg      the largest error of a camera's rotation after it
    focal_percent error of the focal length
    known_percent pixels with confirmed depth
    depth_percent median error of confirmed depth, after the cameras' similarity
    clip_db, held_out_db
    cpu_s         of registration, stereo, seeds, colours and refinement together
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.aims import check
from clips.cameras import Cameras, intrinsics, look_at
from clips.clip import Clip
from clips.dungeon.render import render_clip
from clips.dungeon.scene import sample_room
from clips.picture import contact_sheet, write_png
from clips.video import write_mp4
from recon.capture.reading import read_capture
from recon.capture.settings import CaptureSettings
from recon.capture.stereo import nearest
from recon.capture.still_scene import still_scene
from recon.raster import render_scene

FPS = 10.0
ROOMS = (
    (0, "still"),
    (2, "still"),
    (3, "still"),
    (2, "bounce"),
)
"""Seeds of rooms with texture on their walls, and how their object moves."""


def walk(count: int, width: int, height: int) -> Cameras:
    """Cameras that pass sideways through a room, a little up and down, looking at its far end."""
    viewmats = []
    for along in np.linspace(0.0, 1.0, count):
        eye = np.array([-1.2 + 2.4 * along, -1.5 + 0.25 * np.sin(2 * np.pi * along), 0.6 + 0.5 * np.sin(np.pi * along)])
        viewmats.append(look_at(eye, np.array([0.3 * np.sin(2 * along), -1.2, 4.0])))
    return Cameras(np.stack(viewmats), np.repeat(intrinsics(width, height, 70.0)[None], count, axis=0), width, height)


def aligned(found: np.ndarray, truth: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Scale s, turn R and shift t with s R found + t nearest to truth, (N, 3) each (Umeyama 1991)."""
    a, b = found.mean(axis=0), truth.mean(axis=0)
    left, values, right = np.linalg.svd((truth - b).T @ (found - a))
    flip = np.diag([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    turn = left @ flip @ right
    scale = float(np.trace(np.diag(values) @ flip) / np.square(found - a).sum())
    return scale, turn, b - scale * turn @ a


def measure(clip: Clip, sheet: list[list[np.ndarray]]) -> dict[str, float]:
    """The figures of one clip's colours, given as a video."""
    settings = CaptureSettings(long_side_px=max(clip.cameras.width, clip.cameras.height))
    begun = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        video = Path(folder) / "walk.mp4"
        write_mp4(clip.frames, video, FPS)
        capture = read_capture(video, settings, lambda stage, share: None)
    rows = np.array([int(name.split()[1]) for name in capture.names])
    held_out = np.arange(len(capture))[4::8]
    rest = capture.without(held_out)
    scene, dense = still_scene(rest, settings, lambda stage, share: None)
    cpu_s = time.process_time() - begun
    truth = clip.cameras
    scale, turn, shift = aligned(capture.cameras.positions, truth.positions[rows])
    off = np.linalg.norm(scale * capture.cameras.positions @ turn.T + shift - truth.positions[rows], axis=1)
    turned = capture.cameras.viewmats[:, :3, :3] @ turn.T @ truth.viewmats[rows, :3, :3].transpose(0, 2, 1)
    kept = np.delete(rows, held_out)
    expected, known = nearest(clip.depth[kept], dense.cameras), dense.depth > 0
    seen = [
        render_scene(scene, capture.cameras[i : i + 1], capture.times[i : i + 1])[0][0] for i in range(len(capture))
    ]
    decibels = np.array([_psnr_db(picture, frame) for picture, frame in zip(seen, capture.frames, strict=True)])
    sheet.append([x for i in held_out[:3] for x in (capture.frames[i], seen[i])])
    return {
        "frames": len(capture),
        "of_frames": len(clip),
        "position_cm": float(100 * np.sqrt(np.square(off).mean())),
        "turn_deg": float(np.degrees(np.arccos(np.clip((np.trace(turned, axis1=1, axis2=2) - 1) / 2, -1, 1))).max()),
        "focal_percent": float(100 * (capture.cameras.Ks[0, 0, 0] / truth.Ks[0, 0, 0] - 1)),
        "points": len(capture.points),
        "known_percent": float(100 * known.mean()),
        "depth_percent": float(100 * np.median(np.abs(dense.depth[known] * scale / expected[known] - 1))),
        "splats": len(scene),
        "clip_db": float(np.delete(decibels, held_out).mean()),
        "held_out_db": float(decibels[held_out].mean()),
        "cpu_s": cpu_s,
    }


def _psnr_db(picture: np.ndarray, truth: np.ndarray) -> float:
    error = float(np.mean(np.square(picture.astype(np.float64) - truth)))
    return float(10.0 * np.log10(255.0**2 / max(error, 1e-9)))


def main() -> int:
    """Print one line a room."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rooms", type=int, default=len(ROOMS), help="how many of the rooms (default all)")
    parser.add_argument("--frames", type=int, default=32, help="of the video (default 32)")
    parser.add_argument("--width", type=int, default=480, help="of the video; 16:9 (default 480)")
    parser.add_argument("--sheet", type=Path, help="write held-out pictures and what was drawn to this PNG file")
    parser.add_argument("--json", action="store_true", help="print one JSON object a room")
    parser.add_argument("--check", action="store_true", help="hold the worst room's figures against their aims")
    arguments = parser.parse_args()
    sheet: list[list[np.ndarray]] = []
    labels: list[str] = []
    rows: list[dict[str, float]] = []
    for seed, motion in ROOMS[: arguments.rooms]:
        cameras = walk(arguments.frames, arguments.width, arguments.width * 9 // 32 * 2)
        clip = render_clip(sample_room(seed, motion=motion), cameras, np.arange(arguments.frames) / FPS)
        figures = measure(clip, sheet)
        rows.append(figures)
        labels.append(f"{clip.caption}: held out, drawn")
        if arguments.json:
            print(json.dumps({"seed": seed, "motion": motion, **figures}), flush=True)
        else:
            print(f"{seed} {motion}: " + ", ".join(f"{k} {v:.4g}" for k, v in figures.items()), flush=True)
    if arguments.sheet:
        write_png(contact_sheet(sheet, labels, scale=1), arguments.sheet)
    worst = {
        "least_held_out_db": min(row["held_out_db"] for row in rows),
        "most_cpu_s": max(row["cpu_s"] for row in rows),
    }
    return check("captures", worst) if arguments.check else 0


if __name__ == "__main__":
    raise SystemExit(main())
