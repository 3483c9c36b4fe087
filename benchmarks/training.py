"""Training speed of both networks beside the bare matrix products that a step is made of.

    python -m benchmarks.training [--batch 8] [--json]

One thread makes whole training steps (forward, backward, AdamW) on random tensors, once with products in bfloat16 and
once in float32. The physical limit in the same run: the products of all linear layers of that step (one forward, two
backward) with nothing else around them. There is no aim; the figures choose what `model.linear` does.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from unittest.mock import patch

import torch
from rich.console import Console
from rich.table import Table
from torch import nn
from torch.nn import functional

import model.dit
import model.linear
from model.checkpoint import load_dit
from model.control import CONTROL_CHANNELS, CONTROL_OBJECTS
from model.dit import Condition, Dit
from model.rays import RAY_CHANNELS
from model.revision import DIT_FILE, default_weights
from model.train.vae import CROP_FRAMES, VAE_CONFIG
from model.vae import Vae

Shape = tuple[int, int, int]


def measure(batch: int, steps: int) -> dict[str, float]:
    """Clips a second by network and kind of product, with the bound of the bare products."""
    figures: dict[str, float] = {}
    for name, make in (("dit", _dit_step), ("vae", _vae_step)):
        for kind, wanted in ((torch.bfloat16, True), (torch.float32, False)):
            with (
                patch.object(model.linear, "trains_in_bfloat16", lambda wanted=wanted: wanted),
                patch.object(model.dit, "trains_in_bfloat16", lambda wanted=wanted: wanted),
            ):
                torch.manual_seed(0)
                step, shapes = make(batch)
                word = str(kind).removeprefix("torch.")
                step_s = _seconds(step, steps)
                bare_s = _seconds(lambda shapes=shapes, kind=kind: _bare(shapes, kind), steps)  # type: ignore[misc]
                figures[f"{name}_{word}_clips_per_s"] = batch / step_s
                figures[f"{name}_{word}_bare_clips_per_s"] = batch / bare_s
                operations = sum(6.0 * rows * inner * outer for rows, inner, outer in shapes)
                figures[f"{name}_{word}_bare_gflop_per_s"] = operations / bare_s / 1e9
    return figures


def _dit_step(batch: int) -> tuple[Callable[[], None], list[Shape]]:
    config = load_dit(default_weights() / DIT_FILE).config
    dit, size = Dit(config).train(), config.latent_size
    latents, rays = torch.randn(batch, config.latent_channels, *size), torch.randn(batch, RAY_CHANNELS, *size)
    slots = torch.ones(batch, len(config.slots), dtype=torch.int64)
    plain = Condition.plain(slots, rays)
    control, kinds = torch.randn(batch, CONTROL_CHANNELS, *size), torch.full((batch,), CONTROL_OBJECTS)
    condition = Condition(slots, rays, control, kinds, plain.starts)
    sigmas = torch.rand(batch)
    return _step_of(dit, lambda: (dit(latents, sigmas, condition) - latents).square().mean())


def _vae_step(batch: int) -> tuple[Callable[[], None], list[Shape]]:
    vae = Vae(VAE_CONFIG).train()
    clips = torch.randn(batch, 4, CROP_FRAMES, 64, 96)
    return _step_of(vae, lambda: (vae.decode_raw(vae.encode_raw(clips)) - clips).square().mean())


def _step_of(network: nn.Module, loss: Callable[[], torch.Tensor]) -> tuple[Callable[[], None], list[Shape]]:
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4, fused=True)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss().backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    shapes: list[Shape] = []

    def note(layer: nn.Module, inputs: tuple[torch.Tensor, ...], _output: torch.Tensor) -> None:
        if isinstance(layer, nn.Linear):
            shapes.append((inputs[0].numel() // layer.in_features, layer.in_features, layer.out_features))

    hooks = [layer.register_forward_hook(note) for layer in network.modules()]
    step()
    for hook in hooks:
        hook.remove()
    return step, shapes


def _bare(shapes: list[Shape], kind: torch.dtype) -> None:
    for rows, inner, outer in shapes:
        inputs, weight = _tensor(rows, inner, kind), _tensor(outer, inner, kind)
        output = functional.linear(inputs, weight)
        torch.mm(output, weight)
        torch.mm(output.t(), inputs)


_TENSORS: dict[tuple[int, int, torch.dtype], torch.Tensor] = {}


def _tensor(rows: int, columns: int, kind: torch.dtype) -> torch.Tensor:
    key = (rows, columns, kind)
    if key not in _TENSORS:
        _TENSORS[key] = torch.randn(rows, columns).to(kind)
    return _TENSORS[key]


def _seconds(work: Callable[[], None], repeats: int) -> float:
    """The median of `repeats` calls, after one to warm up."""
    work()
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return sorted(taken)[len(taken) // 2]


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=8, help="clips in a step (default 8)")
    parser.add_argument("--steps", type=int, default=9, help="steps to time, the median counts (default 9)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--check", action="store_true", help="accepted as in the other benchmarks; there is no aim")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    figures = measure(arguments.batch, arguments.steps)
    if arguments.json:
        print(json.dumps(figures))
        return 0
    table = Table("network", "products", "clips/s", "bare products, clips/s", "share", "bare GFLOP/s")
    for name in ("dit", "vae"):
        for word in ("bfloat16", "float32"):
            made, bare, rate = (
                figures[f"{name}_{word}_{figure}"] for figure in ("clips_per_s", "bare_clips_per_s", "bare_gflop_per_s")
            )
            table.add_row(name, word, f"{made:.1f}", f"{bare:.1f}", f"{made / bare:.2f}", f"{rate:.0f}")
    Console().print(table)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
