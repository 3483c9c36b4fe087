"""Figures of the embedded model on held-out clips.

    python -m benchmarks.model [--json] [--check] [--clips N] [--weights DIR]

For every held-out clip one clip is generated with the held-out clip's slots and exact cameras and nothing else of
it, and compared with it by FLIP (flip-evaluator, LDR, lower is better) on seven of its 17 frames. Beside it, on the
same frames: the mean clip (per-pixel mean over training clips, the best guess that knows no prompt and no camera),
the VAE's reconstruction of the held-out clip itself (the least that generation could reach), and other rooms: the
generated clip of the next held-out clip (what generation costs when it shows the wrong room). Depth is compared by
mean relative error. Velocity loss is that of the shipped and of an untrained transformer on the same noise.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import flip_evaluator
import numpy as np
import torch

from benchmarks.aims import check
from model.checkpoint import load_dit, load_vae
from model.dit import Dit
from model.evaluate import Sampling, generate_like, mean_clip, reconstruction_figures, velocity_loss
from model.generate import SIGMA_SHIFT
from model.guidance import guided_velocity
from model.revision import DIT_FILE, DRAFT_STEPS, FULL_STEPS, GUIDANCE, VAE_FILE, default_weights
from model.rgbd import unpack_rgbd
from model.sampler import sample_euler, seeded_noise, sigma_grid
from model.train.data import ClipRecipe, ClipStore, LatentSet, encode_store
from model.vae import Vae

MEAN_OF = 200
COMPARED_FRAMES = [0, 3, 6, 8, 11, 14, 16]


def flip(reference: np.ndarray, test: np.ndarray) -> float:
    """Mean FLIP error over the compared frames of two clips (T, H, W, 3) uint8."""
    errors = [
        flip_evaluator.evaluate(
            reference[k].astype(np.float32) / 255.0, test[k].astype(np.float32) / 255.0, "LDR", applyMagma=False
        )[1]
        for k in COMPARED_FRAMES
    ]
    return float(np.mean(errors))


def depth_error(reference: np.ndarray, test: np.ndarray) -> float:
    """Mean relative error of depth over all frames."""
    true = reference.astype(np.float32)
    return float((np.abs(test - true) / true).mean())


def velocity_figures(dit: Dit, latents: LatentSet) -> dict[str, float]:
    """Velocity loss of the trained network and of one with fresh weights."""
    torch.manual_seed(0)
    fresh = Dit(dit.config).eval()
    ours, theirs = (velocity_loss(net, latents.latents, latents.rays, latents.slots) for net in (dit, fresh))
    return {
        "velocity_loss": ours,
        "velocity_loss_untrained": theirs,
        "velocity_loss_over_untrained": ours / theirs,
    }


def likeness_figures(networks: tuple[Vae, Dit], held_out: ClipStore, train: ClipStore, clips: int) -> dict[str, float]:
    """FLIP and depth error of generated clips, and of what to compare them with."""
    made = {
        "generated": generate_like(networks, held_out, clips, Sampling(FULL_STEPS, GUIDANCE, SIGMA_SHIFT)),
        "draft": generate_like(networks, held_out, clips, Sampling(DRAFT_STEPS, GUIDANCE, SIGMA_SHIFT)),
        "unguided": generate_like(networks, held_out, clips, Sampling(FULL_STEPS, 1.0, SIGMA_SHIFT)),
        "mean_clip": [mean_clip(train, train.recipe.clips)] * clips,
    }
    made["other_room"] = made["generated"][1:] + made["generated"][:1]
    with torch.inference_mode():
        coded = (networks[0].decode(networks[0].encode(held_out.rgbd(k)[None]))[0] for k in range(clips))
        made["reconstruction"] = [unpack_rgbd(rgbd) for rgbd in coded]
    figures = {}
    for name, pairs in made.items():
        flips = [flip(held_out.frames[k], frames) for k, (frames, _) in enumerate(pairs)]
        figures[f"flip_{name}"] = float(np.mean(flips))
        figures[f"depth_abs_rel_{name}"] = float(
            np.mean([depth_error(held_out.depth[k], depth) for k, (_, depth) in enumerate(pairs)])
        )
        if name == "generated":
            ours = np.array(flips)
    mean_flips = np.array([flip(held_out.frames[k], made["mean_clip"][k][0]) for k in range(clips)])
    figures["flip_over_mean_clip"] = figures["flip_generated"] / figures["flip_mean_clip"]
    figures["flip_under_mean_clip_share"] = float((ours < mean_flips).mean())
    return figures


def latency_figures(networks: tuple[Vae, Dit]) -> dict[str, float]:
    """Milliseconds of one draft, one full segment and one decode on this machine, one thread."""
    vae, dit = networks
    noise = seeded_noise([0], (dit.config.latent_channels, *dit.config.latent_size))
    rays = torch.zeros(1, 12, *dit.config.latent_size)
    flow = guided_velocity(dit, torch.ones(1, len(dit.config.slots), dtype=torch.int64), rays, GUIDANCE)
    figures = {}
    with torch.inference_mode():
        for name, steps in (("draft", DRAFT_STEPS), ("full", FULL_STEPS)):
            sample_euler(flow, noise, sigma_grid(1, SIGMA_SHIFT))
            begun = time.perf_counter()
            sample_euler(flow, noise, sigma_grid(steps, SIGMA_SHIFT))
            figures[f"{name}_ms"] = 1e3 * (time.perf_counter() - begun)
        vae.decode(noise)
        begun = time.perf_counter()
        vae.decode(noise)
        figures["decode_ms"] = 1e3 * (time.perf_counter() - begun)
    return figures


def measure(weights: Path, clips: int, folder: Path) -> dict[str, float]:
    """All figures of the weights in a folder; clips are rendered into `folder`."""
    networks = load_vae(weights / VAE_FILE), load_dit(weights / DIT_FILE)
    held_out = ClipStore(folder / "held-out", ClipRecipe(clips=clips, held_out=True))
    train = ClipStore(folder / "train", ClipRecipe(clips=MEAN_OF))
    figures = {f"vae_{name}": value for name, value in reconstruction_figures(networks[0], held_out, clips).items()}
    figures |= velocity_figures(networks[1], encode_store(held_out, networks[0], clips, with_mirrored=False))
    figures |= likeness_figures(networks, held_out, train, clips)
    return {"held_out_clips": float(clips), **figures, **latency_figures(networks)}


def main() -> int:
    """Print the figures; with --check, 1 where one misses its aim."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=64, help="held-out clips (default 64)")
    parser.add_argument("--weights", type=Path, default=default_weights(), help="folder of weights to measure")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--check", action="store_true", help="exit 1 where a figure misses its aim")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(arguments.weights, arguments.clips, Path(folder))
    if arguments.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:36} {value:10.4f}")
    return check("model", figures) if arguments.check else 0


if __name__ == "__main__":
    raise SystemExit(main())
