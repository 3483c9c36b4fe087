"""`narthex train vae|latents|dit`: train the embedded model from rendered rooms or from footage of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.train_footage import (
    ClipChoice,
    FootageDir,
    FootageFrames,
    HeldOut,
    HeldOutFootage,
    TrainingFootage,
    claim,
    footage_folder,
    read_footage,
)
from service.cli.train_judge import train_judge_command
from service.cli.train_lora import train_lora_command
from service.cli.training_run import (
    AsJson,
    Minutes,
    Out,
    Resume,
    Steps,
    Threads,
    finish_training,
    progress_bar,
    training_plan,
)

if TYPE_CHECKING:
    from model.train.data import ClipStore
    from model.train.latents import LatentStore
    from model.train.loop import OnProgress

train_app = typer.Typer(no_args_is_help=True, add_completion=False)
train_app.command("judge")(train_judge_command)
train_app.command("lora")(train_lora_command)

VAE_ROOMS = 6000
DIT_ROOMS = 24_000
DIT_PATCH = 2
"""Latent cells a side of the transformer's patch (`model.train.dit.dit_config`)."""

Clips = Annotated[
    int | None, typer.Option(help=f"Rooms to train on; each is rendered once and kept. [default: {VAE_ROOMS}]", min=1)
]
ClipsDir = Annotated[Path, typer.Option(help="Where clips are kept as the training reads them.")]
VaeFile = Annotated[Path | None, typer.Option(help="VAE weights; default: those that Narthex ships.")]
Latents = Annotated[Path, typer.Option(help="Where latents of clips are kept, in a folder for each VAE.")]
LatentClips = Annotated[
    int | None,
    typer.Option(help=f"Rooms to train on; each is rendered and encoded once. [default: {DIT_ROOMS}]", min=1),
]


@train_app.callback()
def _group() -> None:
    """Train the embedded model. A killed training goes on with --resume.

    Examples:

        narthex train vae --out runs/vae-1 --minutes 60

        narthex train dit --vae runs/vae-1/vae.safetensors --out runs/dit-1 --minutes 60 --resume

        narthex train vae --footage clips/mine --out runs/mine --minutes 60
    """


@train_app.command("vae")
def train_vae_command(
    out: Out,
    *,
    minutes: Minutes = None,
    steps: Steps = None,
    threads: Threads = 1,
    resume: Resume = False,
    footage: FootageDir = None,
    held_out_footage: HeldOutFootage = None,
    frames: FootageFrames = None,
    clips: Clips = None,
    clips_dir: ClipsDir = Path("runs/clips"),
    held_out: HeldOut = None,
    decoder_of: Annotated[
        Path | None, typer.Option(help="VAE weights whose decoder alone is trained on; their latents stay.")
    ] = None,
    start_from: Annotated[
        Path | None,
        typer.Option(
            help="VAE weights to grow by the channels that they lack; their latents stay, the decoder is trained."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Train the RGB-D VAE from a PCA start and write OUT/vae.safetensors.

    Examples:

        narthex train vae --out runs/vae-1 --minutes 12

        narthex train vae --out runs/vae-1 --minutes 12 --resume --json

        narthex train vae --out runs/decoder-1 --minutes 30 --decoder-of runs/vae-1/vae.safetensors

        narthex train vae --footage clips/mine --out runs/mine --minutes 60
    """
    from model.train.vae import CROP_FRAMES, VAE_CONFIG, train_vae

    choice = ClipChoice(clips, held_out, footage, held_out_footage, frames)
    plan = training_plan(out, minutes, steps, peak_rate=1.5e-3, decay_share=0.7, threads=threads)
    read = read_footage(choice, DIT_PATCH * VAE_CONFIG.patch_px, VAE_CONFIG.group_frames, CROP_FRAMES)
    _begin(out, read, quiet=as_json)
    stores = _stores(clips_dir, choice, read)
    with progress_bar("vae", quiet=as_json) as report:
        shown: OnProgress = lambda share, line: report(share, _figures(line))  # noqa: E731
        figures = train_vae(plan, stores, resume, stores[0].recipe.clips, VAE_CONFIG, shown, decoder_of, start_from)
    finish_training(out, figures, as_json, {} if read is None else read.report())


@train_app.command("latents")
def train_latents_command(
    *,
    vae: VaeFile = None,
    latents: Latents = Path("runs/latents"),
    footage: FootageDir = None,
    held_out_footage: HeldOutFootage = None,
    frames: FootageFrames = None,
    clips: LatentClips = None,
    held_out: HeldOut = None,
    fill: Annotated[
        int | None, typer.Option(help="Make the first so many training clips; default: all.", min=1)
    ] = None,
    threads: Threads = 1,
) -> None:
    """Render or read clips and encode them ahead of a training that goes on at the same time.

    The training makes a clip that it finds missing itself; give both the same --vae, --latents and choice of clips. A
    killed filling goes on where it stopped.

    Examples:

        narthex train latents --vae runs/vae-1/vae.safetensors

        narthex train latents --vae runs/vae-1/vae.safetensors --fill 3000
    """
    import torch

    torch.set_num_threads(threads)
    choice = ClipChoice(clips, held_out, footage, held_out_footage, frames)
    (train, validation), read = _latent_stores(vae, latents, choice)
    if read is not None:
        read.say()
    with progress_bar("latents", quiet=False) as report:
        for store, count in ((validation, len(validation)), (train, min(fill or len(train), len(train)))):
            store.fill(count, lambda done, total: report(done / total, f"{done} of {total} clips"))


@train_app.command("dit")
def train_dit_command(
    out: Out,
    *,
    minutes: Minutes = None,
    steps: Steps = None,
    threads: Threads = 1,
    resume: Resume = False,
    vae: VaeFile = None,
    latents: Latents = Path("runs/latents"),
    footage: FootageDir = None,
    held_out_footage: HeldOutFootage = None,
    frames: FootageFrames = None,
    clips: LatentClips = None,
    held_out: HeldOut = None,
    pool_start: Annotated[int, typer.Option(help="Clips that the first step draws from.", min=1)] = 600,
    pool_rate: Annotated[float, typer.Option(help="Clips by which every step widens that.", min=0.0)] = 0.8,
    few_step_share: Annotated[
        float, typer.Option(help="Last share of the training that also teaches the few-step map.", min=0.0, max=1.0)
    ] = 0.3,
    average_decay: Annotated[float, typer.Option(help="Of the averaged weights that are kept.", min=0.0)] = 0.999,
    start_from: Annotated[
        Path | None, typer.Option(help="Weights to begin with instead of random ones; of as many channels or fewer.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Train the diffusion transformer on latents of the VAE and write OUT/dit.safetensors.

    Clips are rendered or read, and encoded, when they are first drawn; `narthex train latents` does it ahead on
    another core.

    Examples:

        narthex train dit --out runs/dit-1 --minutes 60 --vae runs/vae-1/vae.safetensors

        narthex train dit --out runs/dit-1 --minutes 60 --vae runs/vae-1/vae.safetensors --resume --json

        narthex train dit --footage clips/mine --out runs/mine --minutes 60 --vae runs/mine/vae.safetensors
    """
    from dataclasses import replace

    from model.train.dit import DitData, DitPolicy, dit_config, train_dit

    plan = training_plan(out, minutes, steps, peak_rate=1e-3, decay_share=0.35, threads=threads)
    plan = replace(plan, average_decay=average_decay)
    choice = ClipChoice(clips, held_out, footage, held_out_footage, frames)
    (train, validation), read = _latent_stores(vae, latents, choice)
    _begin(out, read, quiet=as_json)
    with progress_bar("held-out latents", quiet=as_json) as report:
        validation.fill(len(validation), lambda done, total: report(done / total, f"{done} clips"))
    policy = DitPolicy(pool_start, pool_rate, few_step_share)
    recipe: dict[str, str | int] = {"clips": len(train), "source": train.source.key()}
    recipe["vae_revision"] = train.coder.revision
    data = DitData(train, validation, recipe)
    with progress_bar("dit", quiet=as_json) as report:
        shown: OnProgress = lambda share, line: report(share, _figures(line))  # noqa: E731
        figures = train_dit(plan, data, policy, dit_config(train), resume, start_from, shown)
    finish_training(out, figures, as_json, {} if read is None else read.report())


def _begin(out: Path, read: TrainingFootage | None, *, quiet: bool) -> None:
    """Say what was read, and hold the training's folder to it."""
    if read is not None and not quiet:
        read.say()
    claim(out, read)


def _stores(folder: Path, choice: ClipChoice, read: TrainingFootage | None) -> tuple[ClipStore, ClipStore]:
    from model.train.data import ClipRecipe, ClipStore
    from model.train.footage_clips import FootageStore

    if read is not None:
        parts = read.train, read.held_out
        first, second = (FootageStore(footage_folder(folder, part), part) for part in parts)
        return first, second
    clips, held_out = choice.clips or VAE_ROOMS, choice.held_out_rooms
    train = ClipStore(folder / f"train-{clips}", ClipRecipe(clips=clips))
    return train, ClipStore(folder / f"held-out-{held_out}", ClipRecipe(clips=held_out, held_out=True))


def _latent_stores(
    vae_path: Path | None, folder: Path, choice: ClipChoice
) -> tuple[tuple[LatentStore, LatentStore], TrainingFootage | None]:
    """Stores of training and held-out clips under `folder`, in a folder of the encoder's revision; the footage read."""
    from model.checkpoint import load_vae
    from model.revision import VAE_FILE, default_weights
    from model.train.clip_source import DungeonClips
    from model.train.data import slot_table
    from model.train.dit import WINDOW
    from model.train.latents import LatentCoder, LatentStore

    path = vae_path if vae_path is not None else default_weights() / VAE_FILE
    network = load_vae(path)
    coder = LatentCoder(network, network.encoder_revision, slot_table())
    root, config = folder / coder.revision, network.config
    window_frames = 1 + (WINDOW - 1) * config.group_frames
    read = read_footage(choice, DIT_PATCH * config.patch_px, config.group_frames, window_frames)
    if read is not None:
        first, second = (LatentStore(footage_folder(root, part), part, coder) for part in (read.train, read.held_out))
        return (first, second), read
    clips, held_out = choice.clips or DIT_ROOMS, choice.held_out_rooms
    train = LatentStore(root / f"train-{clips}", DungeonClips(clips), coder)
    held = LatentStore(root / f"held-out-{held_out}", DungeonClips(held_out, held_out=True), coder)
    return (train, held), None


def _figures(line: dict[str, float]) -> str:
    shown = ("step", "loss", "map_loss", "psnr_db", "val_psnr_db", "val_loss")
    return "  ".join(f"{name} {line[name]:.4g}" for name in shown if name in line)
