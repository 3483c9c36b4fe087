"""Low-rank layers in training: they add their product to a layer's output and leave the network itself as it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from model.lora import Lora, LoraConfig, target_layers

DOT = "/"
"""What stands for a dot in the names of sub-modules, which may have none."""


class LowRank(nn.Module):
    """scale * up @ down beside one linear layer; zero before training, because `up` starts at zero."""

    def __init__(self, layer: nn.Linear, config: LoraConfig) -> None:
        super().__init__()
        self.scale = config.scale
        self.down = nn.Parameter(torch.randn(config.rank, layer.in_features) * layer.in_features**-0.5)
        self.up = nn.Parameter(torch.zeros(layer.out_features, config.rank))

    def forward(self, inputs: Float[Tensor, "*B in"]) -> Float[Tensor, "*B out"]:
        """What is added to the layer's output, in the type of `inputs`."""
        kind = inputs.dtype
        return functional.linear(functional.linear(inputs, self.down.to(kind)), (self.scale * self.up).to(kind))


class LowRankLayers(nn.Module):
    """The trainable part of an adapter: one `LowRank` for each target layer of a network.

    Raises:
        ModelError: a pattern of `config.targets` chooses no linear layer.
    """

    def __init__(self, network: nn.Module, config: LoraConfig) -> None:
        super().__init__()
        self.config = config
        layers = target_layers(network, config.targets)
        self.parts = nn.ModuleDict({name.replace(".", DOT): LowRank(layer, config) for name, layer in layers.items()})

    @contextmanager
    def beside(self, network: nn.Module) -> Iterator[None]:
        """Inside, these layers add to the outputs of `network`'s; after it, however it ends, nothing does."""
        modules = dict(network.named_modules())
        handles = []
        try:
            for name, part in self.parts.items():
                handles.append(modules[name.replace(DOT, ".")].register_forward_hook(_adding(part)))
            yield
        finally:
            for handle in handles:
                handle.remove()

    @torch.no_grad()
    def start_from(self, lora: Lora) -> None:
        """Take the factors of an adapter of the same layers and rank."""
        for name, part in self.parts.items():
            if isinstance(part, LowRank):
                down, up = lora.factors[name.replace(DOT, ".")]
                part.down.copy_(down)
                part.up.copy_(up)

    def as_lora(self, base_revision: str, recipe: Mapping[str, Any]) -> Lora:
        """The adapter as it is now."""
        factors = {}
        for name, part in self.parts.items():
            if isinstance(part, LowRank):
                down, up = part.down.detach().clone(), part.up.detach().clone()
                factors[name.replace(DOT, ".")] = down, up
        return Lora(self.config, base_revision, factors, recipe)


def _adding(part: nn.Module) -> Any:
    """A forward hook that adds `part`'s output to the layer's."""

    def add(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        added: Tensor = output + part(inputs[0])
        return added

    return add
