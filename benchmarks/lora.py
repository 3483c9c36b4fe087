"""The worked example of an adapter: a palette and a texture that the base never saw, learned from 200 clips.

    python -m benchmarks.lora [--json] [--check] [--lora FILE] [--minutes 10] [--scenes 216] [--out DIR]
        [--clips 200] [--rank 16] [--layer PATTERN ...] [--steps N]

Without --lora the clips are rendered and restyled (`benchmarks.style.restyle`), and `narthex train lora` learns from
them on one thread; both go on where a run before stopped. Then one clip is generated for each of many held-out
scenes by the base and one, of the same seed, by the base with the adapter, under the default blockout. Style distance
(`benchmarks.style.distance`) is that to the real clips of the same scenes, restyled; its floor is that of the
restyled training clips, which show other rooms. The judge looks at the adapter's clips after the palette is taken
back (the bands stay, so its own loss on real clips treated alike is printed beside). A slot is held to its aim
where the judge gets at least 0.9 of those real clips right. A sheet lies in the folder of --out.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from benchmarks.aims import check
from benchmarks.style.distance import style_distance
from benchmarks.style.restyle import CLIPS, restyle, undo_palette, write_folder
from clips.footage.clip_folder import ClipFolder, SkippedClip
from model.checkpoint import load_dit, load_vae
from model.dit import Dit
from model.generate import SIGMA_SHIFT
from model.lora import Lora, wearing
from model.lora_file import load_lora
from model.measure.generation import Blockout, MadeClip, Sampling, generate
from model.measure.judge import JUDGE_FILE, Judge, load_judge
from model.measure.scenes import ClipSize, Scene, SceneKind, make_scenes
from model.measure.verdicts import Verdict, attribute_accuracy, judge_clips, mean_overlap, mean_room_error
from model.revision import (
    DEFAULT_CONTROL,
    DIT_FILE,
    DRAFT_STEPS,
    FULL_STEPS,
    GUIDANCE,
    GUIDANCE_INTERVAL,
    MAP_STEPS,
    VAE_FILE,
    default_weights,
    weights_revision,
)
from model.rgbd import pack_rgbd, unpack_rgbd
from model.train.pictures import save_sheet
from model.vae import Vae

OUT = Path("out/benchmarks/lora")
SCENES, DRAFT_SCENES, SHEET_SCENES, EXACT_SCENES = 216, 72, 8, 2
FIRST_SCENE, FIRST_SEED = 2000, 70_000
JUDGED_FROM = 0.9
Networks = tuple[Vae, Dit]
Figures = dict[str, float]


def sampling(steps: int) -> Sampling:
    """How `model.generate` samples with so many steps."""
    return Sampling(steps, GUIDANCE, SIGMA_SHIFT, GUIDANCE_INTERVAL, mapped=steps <= MAP_STEPS)


def training_command(arguments: argparse.Namespace) -> list[str]:
    """The `narthex train lora` that learns from the example's clips, with what the arguments say of the recipe."""
    command = [sys.executable, "-m", "service.cli.app", "train", "lora", "--clips", str(arguments.out / "clips")]
    command += ["--weights", str(arguments.weights), "--out", str(arguments.out / "violet-bands"), "--resume"]
    ends = ["--minutes", str(arguments.minutes)] if arguments.steps is None else ["--steps", str(arguments.steps)]
    rank = [] if arguments.rank is None else ["--rank", str(arguments.rank)]
    return [*command, *ends, *rank, *(word for pattern in arguments.layer for word in ("--layer", pattern))]


def trained_adapter(arguments: argparse.Namespace) -> Path:
    """The file of an adapter of the example's clips, both made in the folder of --out."""
    write_folder(arguments.out / "clips", arguments.clips)
    subprocess.run(training_command(arguments), check=True, stdout=sys.stderr)
    return Path(arguments.out / "violet-bands" / "violet-bands.safetensors")


def style_figures(name: str, clips: list[np.ndarray], reference: list[np.ndarray]) -> Figures:
    """Distances of `clips` from the reference, with `name` at their ends."""
    return {f"{part}_{name}": value for part, value in style_distance(clips, reference).items()}


def attribute_figures(verdicts: dict[str, list[Verdict]]) -> Figures:
    """Share right of every slot for the real clips, the restyled ones, base and adapter; points that it loses."""
    shares = {name: {s: a.share for s, a in attribute_accuracy(of).items()} for name, of in verdicts.items()}
    figures = {f"right_{name}_{slot}": share for name, of in shares.items() for slot, share in of.items()}
    lost = {slot: 100.0 * (shares["base"][slot] - shares["adapter"][slot]) for slot in shares["base"]}
    held = [slot for slot in lost if shares["restyled"][slot] >= JUDGED_FROM]
    figures |= {f"lost_points_{slot}": points for slot, points in lost.items()}
    figures["slots_held"] = float(len(held))
    if held:
        figures["lost_points_worst"] = max(lost[slot] for slot in held)
        figures["lost_points_mean"] = float(np.mean([lost[slot] for slot in held]))
    for name in ("base", "adapter"):
        figures[f"object_overlap_{name}"] = mean_overlap(verdicts[name])
        figures[f"room_depth_error_{name}"] = mean_room_error(verdicts[name])
    return figures


@torch.inference_mode()
def coded(vae: Vae, clips: list[MadeClip]) -> list[MadeClip]:
    """What the frozen VAE makes of clips: the nearest that any adapter of the transformer could come."""
    packed = (pack_rgbd(clip.frames, clip.depth)[None] for clip in clips)
    return [MadeClip(*unpack_rgbd(vae.decode(vae.encode(one))[0])) for one in packed]


def without_palette(clips: list[MadeClip]) -> list[MadeClip]:
    """The clips in the colours from which the palette made theirs."""
    return [replace(clip, frames=undo_palette(clip.frames)) for clip in clips]


def bytes_of(dit: Dit) -> list[bytes]:
    """Every weight of the network."""
    return [tensor.numpy(force=True).tobytes() for tensor in dit.state_dict().values()]


def measure(
    networks: Networks, judge: Judge, lora: Lora, revision: str, scenes: list[Scene], said: Callable[[str], None]
) -> tuple[Figures, dict[str, list[MadeClip]]]:
    """All figures that compare the base with and without the adapter, and the clips of the sheet."""
    dit, blockout = networks[1], Blockout(DEFAULT_CONTROL)
    before = bytes_of(dit)

    def made(count: int, steps: int) -> list[MadeClip]:
        return generate(networks, scenes[:count], blockout, sampling(steps), FIRST_SEED)

    said("base")
    clips = {"base": made(len(scenes), FULL_STEPS)}
    drafts = {"base": made(DRAFT_SCENES, DRAFT_STEPS)}
    said("adapter")
    with wearing(dit, {"style": (lora, 1.0)}, revision):
        clips["adapter"] = made(len(scenes), FULL_STEPS)
        drafts["adapter"] = made(DRAFT_SCENES, DRAFT_STEPS)
    again = made(EXACT_SCENES, FULL_STEPS)
    same = all(
        np.array_equal(a.frames, b.frames) and np.array_equal(a.depth, b.depth)
        for a, b in zip(again, clips["base"], strict=False)
    )
    figures = {"unload_exact": float(same and bytes_of(dit) == before)}
    clips["real"] = [MadeClip(scene.frames, scene.depth) for scene in scenes]
    clips["restyled"] = [MadeClip(restyle(scene.sample.clip, scene.box_depth).frames, scene.depth) for scene in scenes]
    said("style distance")
    reference = [clip.frames for clip in clips["restyled"]]
    for name, some in {**clips, "coded": coded(networks[0], clips["restyled"])}.items():
        if name != "restyled":
            figures |= style_figures(name, [clip.frames for clip in some], reference)
    for name, some in drafts.items():
        figures |= style_figures(f"draft_{name}", [clip.frames for clip in some], reference[:DRAFT_SCENES])
    for part in ("style", "palette", "texture"):
        figures[f"{part}_over_base"] = figures[f"{part}_adapter"] / figures[f"{part}_base"]
        figures[f"{part}_draft_over_base"] = figures[f"{part}_draft_adapter"] / figures[f"{part}_draft_base"]
    said("judge")
    judged = {name: without_palette(some) if name in ("adapter", "restyled") else some for name, some in clips.items()}
    figures |= attribute_figures({name: judge_clips(judge, scenes, some) for name, some in judged.items()})
    return figures, clips


def floor_figures(folder: Path, reference: list[np.ndarray]) -> Figures:
    """Style distance of the training clips themselves."""
    read = [footage for _, footage in ClipFolder.open(folder).read_all()]
    return style_figures(
        "floor", [footage.clip.frames for footage in read if not isinstance(footage, SkippedClip)], reference
    )


def parsed(words: list[str] | None = None) -> argparse.Namespace:
    """The arguments; `words` instead of the command line's where given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lora", type=Path, help="an adapter of the example's style; default: train one")
    parser.add_argument("--weights", type=Path, default=default_weights(), help="folder of the base's weights")
    parser.add_argument("--judge", type=Path, default=default_weights() / JUDGE_FILE, help="weights of the judge")
    parser.add_argument("--out", type=Path, default=OUT, help=f"clips, training and sheet (default {OUT})")
    parser.add_argument("--minutes", type=float, default=10.0, help="of training (default 10)")
    parser.add_argument("--steps", type=int, help="of training, instead of minutes")
    parser.add_argument("--clips", type=int, default=CLIPS, help=f"to train on (default {CLIPS}; 20 to 200)")
    parser.add_argument("--rank", type=int, help="of the adapter (default: that of narthex train lora)")
    parser.add_argument("--layer", action="append", default=[], help="pattern of layers to change, may be repeated")
    parser.add_argument("--scenes", type=int, default=SCENES, help=f"held-out scenes (default {SCENES})")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--check", action="store_true", help="exit 1 where a figure misses its aim")
    return parser.parse_args(words)


def main() -> int:
    """Print the figures; with --check, 1 where one misses its aim."""
    arguments = parsed()
    torch.set_num_threads(1)
    console = Console(stderr=True)
    path = arguments.lora or trained_adapter(arguments)
    lora = load_lora(path)
    networks = load_vae(arguments.weights / VAE_FILE), load_dit(arguments.weights / DIT_FILE)
    console.print(f"{arguments.scenes} scenes")
    scenes = list(make_scenes(SceneKind.HELD_OUT, FIRST_SCENE, arguments.scenes, ClipSize()))
    revision = weights_revision(arguments.weights)
    figures, clips = measure(networks, load_judge(arguments.judge), lora, revision, scenes, console.print)
    write_folder(arguments.out / "clips", arguments.clips)
    figures |= floor_figures(arguments.out / "clips", [clip.frames for clip in clips["restyled"]])
    figures |= {"adapter_kb": path.stat().st_size / 1e3, "trained_minutes": float(lora.recipe["trained_s"]) / 60.0}
    rows = [clips[name][k] for k in range(min(SHEET_SCENES, len(scenes))) for name in ("restyled", "base", "adapter")]
    save_sheet([(clip.frames, clip.depth) for clip in rows], arguments.out / "sheet.png")
    if arguments.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:36} {value:10.4f}")
    return check("lora", figures) if arguments.check else 0


if __name__ == "__main__":
    raise SystemExit(main())
