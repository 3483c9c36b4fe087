"""What a segment costs beside the network passes that it is made of."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from model.generate import Generator
from model.spec import SegmentSpec

Call = tuple[tuple[Any, ...], dict[str, Any]]
"""Arguments of one call of a network."""


def latency_figures(generator: Generator, spec: SegmentSpec, repeats: int = 9) -> dict[str, float]:
    """Milliseconds of one segment, from spec to Clip, and of its bare network passes; medians of runs by turns.

    Bare are the transformer's calls with the very inputs that the segment gave it, and one decode.

    Returns:
        latency_ms, bare_ms, latency_over_bare, forward_ms (one call), forwards (calls), decode_ms.
    """
    clip_made = _segment(generator, spec)
    with recorded(generator.dit) as calls:
        clip_made()
    config = generator.dit.config
    latents = torch.zeros(1, config.latent_channels, *config.latent_size, device=generator.device)
    whole, forwards, decodes = [], [], []
    for _ in range(repeats):
        whole.append(_seconds(clip_made))
        forwards.append(_seconds(lambda: _replay(generator.dit, calls)))
        decodes.append(_seconds(lambda: _decode(generator, latents)))
    whole_ms, forward_ms, decode_ms = (1e3 * float(np.median(found)) for found in (whole, forwards, decodes))
    return {
        "latency_ms": whole_ms,
        "bare_ms": forward_ms + decode_ms,
        "latency_over_bare": whole_ms / (forward_ms + decode_ms),
        "forward_ms": forward_ms / len(calls),
        "forwards": float(len(calls)),
        "decode_ms": decode_ms,
    }


@contextmanager
def recorded(network: nn.Module) -> Iterator[list[Call]]:
    """The calls of `network` while the context is open, with their arguments."""
    calls: list[Call] = []
    hook = network.register_forward_pre_hook(
        lambda _, args, kwargs: calls.append((args, dict(kwargs))), with_kwargs=True
    )
    try:
        yield calls
    finally:
        hook.remove()


def _segment(generator: Generator, spec: SegmentSpec) -> Callable[[], None]:
    def make() -> None:
        generation = generator.begin(spec)
        generation.advance(spec.steps)
        generation.finish()

    return make


@torch.inference_mode()
def _replay(network: nn.Module, calls: list[Call]) -> None:
    for args, kwargs in calls:
        network(*args, **kwargs)


@torch.inference_mode()
def _decode(generator: Generator, latents: Tensor) -> None:
    generator.vae.decode(latents)


def _seconds(work: Callable[[], None]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun
