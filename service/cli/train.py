"""`narthex train vae|dit`: train the embedded model from clips that are rendered as they are needed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from model.train.data import ClipStore, LatentSet
    from model.train.loop import TrainingPlan
    from model.vae import Vae

train_app = typer.Typer(no_args_is_help=True, add_completion=False)

Out = Annotated[Path, typer.Option(help="Folder for state, log, pictures and weights, e.g. runs/vae-1.")]
Minutes = Annotated[float | None, typer.Option(help="Minutes of training in all; or give --steps.")]
Steps = Annotated[int | None, typer.Option(help="Steps of training in all; or give --minutes.")]
Threads = Annotated[int, typer.Option(help="CPU threads.", min=1)]
Resume = Annotated[bool, typer.Option("--resume", help="Go on from the state in --out, if there is one.")]
Clips = Annotated[int, typer.Option(help="Training clips; each is rendered once and kept.", min=1)]
ClipsDir = Annotated[Path, typer.Option(help="Where rendered clips are kept.")]
HeldOut = Annotated[int, typer.Option(help="Held-out clips to validate on.", min=1)]
UseClips = Annotated[int, typer.Option(help="Train on the first so many of them.", min=1)]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object with the final figures.")]

Report = Callable[[float, str], None]


@train_app.callback()
def _group() -> None:
    """Train the embedded model. A killed training goes on with --resume.

    Examples:

        narthex train vae --out runs/vae-1 --minutes 60

        narthex train dit --vae runs/vae-1/vae.safetensors --out runs/dit-1 --minutes 60 --resume
    """


@train_app.command("vae")
def train_vae_command(
    out: Out,
    *,
    minutes: Minutes = None,
    steps: Steps = None,
    threads: Threads = 1,
    resume: Resume = False,
    clips: Clips = 5000,
    clips_dir: ClipsDir = Path("runs/clips"),
    held_out: HeldOut = 64,
    use_clips: UseClips = 1500,
    as_json: AsJson = False,
) -> None:
    """Train the RGB-D VAE from a PCA start and write OUT/vae.safetensors.

    Examples:

        narthex train vae --out runs/vae-1 --minutes 12

        narthex train vae --out runs/vae-1 --minutes 12 --resume --json
    """
    from model.train.vae import VAE_CONFIG, train_vae

    plan = _plan(out, minutes, steps, peak_rate=1.5e-3, decay_share=0.7, threads=threads)
    stores = _stores(clips_dir, clips, held_out)
    with _bar("vae", quiet=as_json) as report:
        used = min(use_clips, clips)
        figures = train_vae(plan, stores, resume, used, VAE_CONFIG, lambda share, line: report(share, _figures(line)))
    _finish(out, figures, as_json)


@train_app.command("dit")
def train_dit_command(
    out: Out,
    *,
    minutes: Minutes = None,
    steps: Steps = None,
    threads: Threads = 1,
    resume: Resume = False,
    clips: Clips = 5000,
    clips_dir: ClipsDir = Path("runs/clips"),
    held_out: HeldOut = 64,
    use_clips: UseClips = 5000,
    vae: Annotated[Path | None, typer.Option(help="VAE weights; default: those that Narthex ships.")] = None,
    as_json: AsJson = False,
) -> None:
    """Train the diffusion transformer on latents of the VAE and write OUT/dit.safetensors.

    Examples:

        narthex train dit --out runs/dit-1 --minutes 60 --vae runs/vae-1/vae.safetensors

        narthex train dit --out runs/dit-1 --minutes 60 --resume --json
    """
    from model.checkpoint import load_vae
    from model.revision import VAE_FILE, default_weights, file_revision
    from model.train.dit import DitData, dit_config, train_dit

    vae_path = vae if vae is not None else default_weights() / VAE_FILE
    network, revision = load_vae(vae_path), file_revision(vae_path)
    plan = _plan(out, minutes, steps, peak_rate=1e-3, decay_share=0.35, threads=threads)
    stores = _stores(clips_dir, clips, held_out)
    with _bar("latents", quiet=as_json) as report:
        used = min(use_clips, clips)
        training = _latents(out / "latents-train.pt", stores[0], used, (network, revision), report)
        validation = _latents(out / "latents-held-out.pt", stores[1], held_out, (network, revision), report)
    recipe: dict[str, str | int] = {
        "renderer": "clips.dungeon",
        "clips": used,
        "mirrored": "each clip also mirrored",
        "vae_revision": revision,
    }
    time, rows, columns = training.latents.shape[2:]
    config = dit_config(network.config.latent_channels, (time, rows, columns))
    data = DitData(training, validation, network, recipe)
    with _bar("dit", quiet=as_json) as report:
        figures = train_dit(plan, data, resume, config, lambda share, line: report(share, _figures(line)))
    _finish(out, figures, as_json)


def _plan(
    out: Path, minutes: float | None, steps: int | None, *, peak_rate: float, decay_share: float, threads: int
) -> TrainingPlan:
    import torch

    from model.train.loop import TrainingPlan

    if (minutes is None) == (steps is None):
        raise typer.BadParameter("give --minutes or --steps, one of them")
    torch.set_num_threads(threads)
    return TrainingPlan(out, steps=steps, minutes=minutes, peak_rate=peak_rate, decay_share=decay_share)


def _stores(folder: Path, clips: int, held_out: int) -> tuple[ClipStore, ClipStore]:
    from model.train.data import ClipRecipe, ClipStore

    train = ClipStore(folder / f"train-{clips}", ClipRecipe(clips=clips))
    return train, ClipStore(folder / f"held-out-{held_out}", ClipRecipe(clips=held_out, held_out=True))


def _latents(path: Path, store: ClipStore, count: int, vae: tuple[Vae, str], report: Report) -> LatentSet:
    """Latents of the first `count` clips, mirrored ones too unless held out; kept at `path` for a resumed run."""
    from model.train.data import encode_store
    from model.train.dit import load_latents, save_latents

    network, revision = vae
    mirror = not store.recipe.held_out
    key = f"vae {revision}, {count} clips of {store.recipe}, mirrored {mirror}"
    path.parent.mkdir(parents=True, exist_ok=True)
    held = load_latents(path, key)
    if held is not None:
        return held
    made = encode_store(store, network, count, mirror, lambda done, total: report(done / total, f"{done} clips"))
    save_latents(path, made, key)
    return made


@contextmanager
def _bar(name: str, *, quiet: bool) -> Iterator[Report]:
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, TextColumn("{task.fields[note]}"), console=Console(stderr=True, quiet=quiet)) as progress:
        task = progress.add_task(name, total=1.0, note="")
        yield lambda share, note: progress.update(task, completed=share, note=note)


def _figures(line: dict[str, float]) -> str:
    shown = ("step", "loss", "psnr_db", "val_psnr_db", "val_loss")
    return "  ".join(f"{name} {line[name]:.4g}" for name in shown if name in line)


def _finish(out: Path, figures: dict[str, float], as_json: bool) -> None:
    from model.train.pictures import save_curve

    if (out / "log.jsonl").exists():
        save_curve(out / "log.jsonl", out / "curve.png")
    if as_json:
        typer.echo(json.dumps({"out": str(out), **{name: round(value, 5) for name, value in figures.items()}}))
        return
    for name, value in figures.items():
        typer.echo(f"{name:>20}  {value:.4f}")
