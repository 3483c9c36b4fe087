"""`narthex train judge`: train the network that says what a generated clip shows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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

HELD_OUT_SEED = 3_900_000_000


def train_judge_command(
    out: Out,
    *,
    minutes: Minutes = None,
    steps: Steps = None,
    threads: Threads = 1,
    resume: Resume = False,
    clips: Annotated[int, typer.Option(help="Clips to learn from; rendered first, then kept in --out.", min=1)] = 3500,
    held_out: Annotated[int, typer.Option(help="Other clips to validate on.", min=1)] = 200,
    vae: Annotated[Path | None, typer.Option(help="VAE that codes a third of them; default: the shipped one.")] = None,
    as_json: AsJson = False,
) -> None:
    """Train the judge of benchmarks.model on renders of rooms with every pair of words; write OUT/judge.safetensors.

    Examples:

        narthex train judge --out runs/judge-1 --minutes 12

        narthex train judge --out runs/judge-1 --minutes 12 --resume --json
    """
    from model.checkpoint import load_vae
    from model.revision import VAE_FILE, default_weights, file_revision
    from model.train.judge import judge_config, train_judge
    from model.train.judge_clips import JudgeRecipe, kept_examples

    plan = training_plan(out, minutes, steps, peak_rate=1.5e-3, decay_share=0.6, threads=threads)
    vae_path = vae if vae is not None else default_weights() / VAE_FILE
    recipe = JudgeRecipe(clips, vae_revision=file_revision(vae_path))
    plain = JudgeRecipe(held_out, first_seed=HELD_OUT_SEED, coded_share=0.0)
    with progress_bar("clips", quiet=as_json) as report:
        network = load_vae(vae_path)
        train = kept_examples(out, recipe, network, lambda done, total: report(done / total, f"{done} clips"))
        validation = kept_examples(out / "held-out", plain, None, lambda done, total: report(done / total, "held out"))
    with progress_bar("judge", quiet=as_json) as report:
        figures = train_judge(
            plan, (train, validation), recipe, resume, judge_config(), lambda share, line: report(share, _figures(line))
        )
    finish_training(out, figures, as_json)


def _figures(line: dict[str, float]) -> str:
    shown = ("step", "words", "masks", "val_shape", "val_prop", "val_mask_iou")
    return "  ".join(f"{name} {line[name]:.4g}" for name in shown if name in line)
