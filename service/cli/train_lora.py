"""`narthex train lora`: learn a style from 20 to 200 clips as an adapter on the shipped weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.training_run import AsJson, Minutes, Resume, Steps, Threads, progress_bar, training_plan

if TYPE_CHECKING:
    from model.train.lora import LoraData
    from model.train.style_clips import StyleClips

DEFAULT_MINUTES = 10.0


def train_lora_command(
    clips: Annotated[Path, typer.Option(help="Clip folder with the style's clips (docs/clip-folders.md).")],
    *,
    out: Annotated[Path, typer.Option(help="Folder for state, log, pictures and the adapter.")] = Path("runs/lora"),
    weights: Annotated[Path | None, typer.Option(help="Folder of the base's weights; default: the shipped.")] = None,
    minutes: Minutes = None,
    steps: Steps = None,
    rank: Annotated[int, typer.Option(help="Rank of the change of every layer.", min=1, max=256)] = 16,
    alpha: Annotated[float | None, typer.Option(help="Scale of the changes; default: twice the rank.")] = None,
    layer: Annotated[
        list[str] | None,
        typer.Option(
            help="Name pattern of layers to change, may be repeated; default: attention and MLP of every block, the "
            "slots' keys and values, and the layers at both ends (model.lora.TARGETS).",
            metavar="PATTERN",
        ),
    ] = None,
    prior_rows: Annotated[
        int, typer.Option(help="Rows of plain rooms in a batch of 8, which hold the geometry.", min=0, max=7)
    ] = 2,
    few: Annotated[bool, typer.Option("--few", help="Train on fewer than 20 clips too.")] = False,
    threads: Threads = 1,
    resume: Resume = False,
    as_json: AsJson = False,
) -> None:
    """Learn the style of 20 to 200 clips as an adapter on the base, which stays as it is.

    Writes an adapter named as the folder is (runs/ink/ink.safetensors). Without --minutes or --steps it trains for ten
    minutes. A clip that cannot be used is named and skipped.

    Examples:

        narthex train lora --clips my-clips --out runs/my-style

        narthex train lora --clips my-clips --out runs/my-style --minutes 20 --rank 8 --resume --json

        narthex train lora --clips my-clips --out runs/mine --layer "blocks.*" --layer final
    """
    from dataclasses import replace

    from model.lora import TARGETS, LoraConfig
    from model.train.lora import LoraPolicy, adapter_path, train_lora

    minutes = DEFAULT_MINUTES if minutes is None and steps is None else minutes
    plan = training_plan(out, minutes, steps, peak_rate=2e-3, decay_share=0.5, threads=threads)
    plan = replace(plan, average_decay=0.99, warmup_steps=20, save_every=50, look_every=200)
    config = LoraConfig(rank, 2.0 * rank if alpha is None else alpha, tuple(layer or TARGETS))
    data, style = _data(clips, out, weights, few=few, quiet=as_json)
    policy = LoraPolicy(style_rows=8 - prior_rows, prior_rows=prior_rows)
    with progress_bar("lora", quiet=as_json) as report:
        _, figures = train_lora(plan, data, config, policy, resume, lambda share, line: report(share, _figures(line)))
    _finish(adapter_path(out), figures, style, as_json=as_json)


def _data(folder: Path, out: Path, weights: Path | None, *, few: bool, quiet: bool) -> tuple[LoraData, StyleClips]:
    """The base, and latents of the style's clips and of plain rooms with the same words, kept in `out`."""
    from model.checkpoint import load_dit, load_vae
    from model.revision import DIT_FILE, VAE_FILE, default_weights, file_revision, weights_revision
    from model.train.latents import LatentCoder, LatentStore
    from model.train.lora import LoraData
    from model.train.style_clips import PriorClips, clip_size, read_style_clips

    base = default_weights() if weights is None else weights
    vae, dit = load_vae(base / VAE_FILE), load_dit(base / DIT_FILE)
    size = clip_size(vae, dit)
    style = read_style_clips(folder, size, few=few)
    if not quiet:
        _say_what_was_read(style)
    coder = LatentCoder(vae, file_revision(base / VAE_FILE), dit.config.slots)
    plain = PriorClips(tuple(dict(piece.slots or {}) for piece in style.pieces), size)
    stores = LatentStore(out / "latents-style", style, coder), LatentStore(out / "latents-prior", plain, coder)
    with progress_bar("latents", quiet=quiet) as report:
        for store in stores:
            store.fill(len(store), lambda done, total: report(done / total, f"{done} of {total} clips"))
    recipe = {
        "clips": style.clips,
        "pieces": len(style),
        "skipped": len(style.skipped),
        "uncaptioned": style.uncaptioned,
        "folder": folder.name,
        "source": style.key(),
    }
    return LoraData(dit, weights_revision(base), *stores, recipe), style


def _say_what_was_read(style: StyleClips) -> None:
    typer.echo(f"{style.clips} clips, {len(style.skipped)} skipped", err=True)
    for one in style.skipped:
        typer.echo(f"skipped: {one.problem}", err=True)
    if style.clips < 20:
        typer.echo("fewer than 20 clips: the adapter will know these by heart rather than their style", err=True)
    if style.uncaptioned:
        typer.echo(
            f"{style.uncaptioned} clips say none of the model's words (no slots, no caption): they train with nothing "
            "said; captions keep what the clips show apart from how they look",
            err=True,
        )


def _figures(line: dict[str, float]) -> str:
    shown = ("step", "style_loss", "prior_depth_loss", "map_loss", "val_loss")
    return "  ".join(f"{name} {line[name]:.4g}" for name in shown if name in line)


def _finish(path: Path, figures: dict[str, float], style: StyleClips, *, as_json: bool) -> None:
    from model.train.pictures import save_curve

    if (path.parent / "log.jsonl").exists():
        save_curve(path.parent / "log.jsonl", path.parent / "curve.png")
    if as_json:
        read = {
            "clips": style.clips,
            "uncaptioned": style.uncaptioned,
            "skipped": {one.name: one.problem for one in style.skipped},
        }
        rounded = {name: round(value, 5) for name, value in figures.items()}
        typer.echo(json.dumps({"adapter": str(path), **read, **rounded}, ensure_ascii=False))
        return
    for name, value in figures.items():
        typer.echo(f"{name:>20}  {value:.4f}")
    typer.echo(f"{'adapter':>20}  {path}")
