"""What is made of a finished scene: levels of detail, the camera's envelope, the collision proxy.

    python -m benchmarks.scene_files [--rooms 4] [--frames 24] [--quality draft|full] [--json] [--check]

Held-out rooms of the procedural dungeon (160x90) are reconstructed. Levels are judged on the clip and from cameras
0.25 m beside it. The envelope is tried with 40 views a room at random offsets and turns within it, of a seed that its
search does not use, at full size: `envelope_holds_percent` of them have at most 1 % holes. The proxy is met by the rays
of the clip's cameras: their errors are metres along the camera's axis, against true depth, where nothing moves;
`floor_m` is how far its floor is from the room's at the worst corner; `reach_percent` are rooms in which an agent
(radius 0.3 m, height 1.8 m, step 0.3 m) walks 2 m into the room from the gate. Seconds are processor time.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.aims import check
from benchmarks.reconstruction.pictures import psnr_db
from clips.cameras import Cameras
from clips.clip import Clip
from clips.dungeon.render import render_clip, render_sample
from clips.dungeon.scene import RoomSpec
from recon.collision import collision_proxy
from recon.envelope import Envelope, turned
from recon.envelope_search import EnvelopeSettings, find_envelope
from recon.export.fourdgs_file import encode_4dgs
from recon.levels import levels_of
from recon.mesh_depth import mesh_depth
from recon.pipeline import reconstruct
from recon.raster import render_scene
from recon.reachability import find_way
from recon.scene import Scene4D
from recon.settings import ReconSettings

ROOM_SEEDS = (3, 7, 11, 20, 31, 32, 33, 34)
SIZE, FPS = (160, 90), 12.0
ASIDE_M = 0.25
VIEWS, VIEWS_SEED = 40, 99
_EVERY = 4

Figures = dict[str, float]


def main() -> int:
    """Print the figures; with --check, 1 where one misses its aim."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rooms", type=int, default=4, choices=range(1, len(ROOM_SEEDS) + 1), metavar="1..8")
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--quality", choices=("draft", "full"), default="full")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    draft = arguments.quality == "draft"
    rooms = []
    for seed in ROOM_SEEDS[: arguments.rooms]:
        rooms.append(measured(Room.of(seed, arguments.frames, draft)))
        if not arguments.json:
            Console(stderr=True).print(f"room {seed}: {_rounded(rooms[-1])}")
    figures = {name: float(np.mean([room[name] for room in rooms])) for name in rooms[0]}
    if arguments.json:
        print(json.dumps(figures))
    else:
        _print(figures, len(rooms))
    return check("scene_files", figures) if arguments.check else 0


@dataclass(frozen=True, eq=False)
class Room:
    """One room, its clip, the scene made of it, and whether that is a draft."""

    spec: RoomSpec
    clip: Clip
    scene: Scene4D
    draft: bool

    @staticmethod
    def of(seed: int, frames: int, draft: bool) -> Room:
        """The reconstruction of a held-out seed."""
        sample = render_sample(seed, held_out=True, frames=frames, width=SIZE[0], height=SIZE[1], fps=FPS)
        settings = ReconSettings.draft() if draft else ReconSettings.full()
        return Room(sample.room, sample.clip, reconstruct(sample.clip, settings), draft)


def measured(room: Room) -> Figures:
    """Everything that is measured of one room."""
    return {**level_figures(room), **envelope_figures(room), **collision_figures(room)}


def level_figures(room: Room) -> Figures:
    """Splats, bytes, PSNR on the clip and aside, and holes, of every level."""
    clip = room.clip
    chosen = slice(0, len(clip), _EVERY)
    viewmats = clip.cameras.viewmats.copy()
    viewmats[:, 0, 3] -= ASIDE_M
    aside = Cameras(viewmats, clip.cameras.Ks, *SIZE)[chosen]
    times = clip.times[chosen]
    truth = render_clip(room.spec, aside, times)
    begun = time.process_time()
    levels = levels_of(room.scene, None if room.draft else clip)
    figures: Figures = {"levels_s": time.process_time() - begun}
    for level in levels:
        frames, _, alpha = render_scene(level.scene, clip.cameras[chosen], times)
        beside, _, _ = render_scene(level.scene, aside, times)
        figures |= {
            f"level{level.level}_splats": float(len(level.scene)),
            f"level{level.level}_bytes": float(len(encode_4dgs(level.scene))),
            f"level{level.level}_clip_db": psnr_db(frames, clip.frames[chosen]),
            f"level{level.level}_aside_db": psnr_db(beside, truth.frames),
            f"level{level.level}_holes_percent": 100.0 * float((alpha < 0.9).mean()),
        }
    return figures


def envelope_figures(room: Room) -> Figures:
    """How large the envelope is, and how often views within it have no more holes than they may."""
    settings = EnvelopeSettings.draft() if room.draft else EnvelopeSettings.full()
    begun = time.process_time()
    envelope = find_envelope(room.scene, room.clip.cameras, room.clip.times, settings)
    seconds = time.process_time() - begun
    rng = np.random.default_rng(VIEWS_SEED)
    shares = np.array([_holes(room, envelope, rng) for _ in range(VIEWS)])
    size = envelope.high_m - envelope.low_m
    return {
        "envelope_s": seconds,
        "envelope_holds_percent": 100.0 * float((shares <= envelope.hole_share).mean()),
        "envelope_worst_holes_percent": 100.0 * float(shares.max()),
        "envelope_across_m": float(size[:, 0].mean()),
        "envelope_up_m": float(size[:, 1].mean()),
        "envelope_along_m": float(size[:, 2].mean()),
        "envelope_yaw_deg": float(envelope.yaw_deg.mean()),
    }


def _holes(room: Room, envelope: Envelope, rng: np.random.Generator) -> float:
    """The share of holes in one view at random within the envelope, at the clip's full size."""
    cameras = room.clip.cameras
    frame = int(rng.integers(len(cameras)))
    time_s = float(room.clip.times[frame])
    bounds = envelope.at(time_s)
    yaw = rng.uniform(-bounds.yaw_deg, bounds.yaw_deg)
    pitch = rng.uniform(-bounds.pitch_deg, bounds.pitch_deg)
    pose = cameras.camera_to_world[frame]
    rotation = turned(pose[:3, :3], yaw, pitch)
    viewmat = np.eye(4)
    viewmat[:3, :3] = rotation.T
    viewmat[:3, 3] = -rotation.T @ (pose[:3, 3] + rng.uniform(bounds.low_m, bounds.high_m))
    _, _, alpha = render_scene(room.scene, Cameras(viewmat[None], cameras.Ks[frame : frame + 1], *SIZE), [time_s])
    return float((alpha < envelope.hole_alpha).mean())


def collision_figures(room: Room) -> Figures:
    """Size, closedness and truth of the collision proxy."""
    begun = time.process_time()
    proxy = collision_proxy(room.scene, room.clip.cameras)
    seconds = time.process_time() - begun
    chosen = slice(0, len(room.clip), _EVERY)
    depth = mesh_depth(proxy.mesh, room.clip.cameras[chosen])
    still = np.ones(depth.shape, bool) if room.clip.motion_mask is None else ~room.clip.motion_mask[chosen]
    hit = (depth > 0.0) & still
    apart = np.abs(depth - room.clip.depth[chosen])[hit]
    half = room.spec.width_m / 2.0
    corners = np.array([[x, 0.0, z] for x in (-half, half) for z in (0.0, room.spec.depth_m)])
    floor_m = float("inf") if proxy.floor is None else float(np.abs(proxy.floor.dropped(corners)[:, 1]).max())
    return {
        "collision_s": seconds,
        "triangles": float(proxy.triangles),
        "watertight_percent": 100.0 * float(np.mean([part.mesh.is_watertight for part in proxy.parts])),
        "floor_m": floor_m,
        "rays_hit_percent": 100.0 * float(hit.sum() / still.sum()),
        "rays_median_m": float(np.median(apart)),
        "rays_p95_m": float(np.quantile(apart, 0.95)),
        "reach_percent": 100.0 * find_way(proxy.mesh, np.zeros(3), np.array([0.0, 0.0, 2.0])).reachable,
    }


def _rounded(figures: Figures) -> dict[str, float]:
    return {name: float(f"{value:.4g}") for name, value in figures.items()}


def _print(figures: Figures, rooms: int) -> None:
    table = Table("figure", f"mean of {rooms} rooms")
    for name, value in figures.items():
        table.add_row(name, f"{value:,.4g}")
    Console().print(table)


if __name__ == "__main__":
    raise SystemExit(main())
