"""A block of the diffusion transformer, and the steps it takes between its products.

Sources: DiT (arXiv 2212.09748) for adaLN-zero, RoFormer (arXiv 2104.09864) for `turned`, QK-norm as in arXiv
2302.05442. `model/bfloat_block.py` has the same steps as training takes them.
"""

from __future__ import annotations

import importlib
from functools import lru_cache
from typing import Any, Protocol

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

NORM_EPSILON = 1e-6


class TypedLinear(nn.Linear):
    """`nn.Linear` with float32 weights that computes in the type of its input."""

    def forward(self, inputs: Tensor) -> Tensor:
        """The layer's output in the type of `inputs`."""
        if inputs.dtype == self.weight.dtype:
            return functional.linear(inputs, self.weight, self.bias)
        product: Tensor = bfloat_block().linear(inputs, self.weight, self.bias)
        return product


class Block(nn.Module):
    """Self- and cross-attention side by side, then an MLP; each modulated per frame, the identity before training.

    Everything is as exact as the weights where the condition has their type. Where it is bfloat16 (in training), the
    same steps are taken by `model/bfloat_block.py`.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = TypedLinear(width, 4 * width)
        self.query_scale = nn.Parameter(torch.ones(2, heads))
        self.attention_out = TypedLinear(2 * width, width)
        self.expand = TypedLinear(width, 4 * width)
        self.contract = TypedLinear(4 * width, width)
        self.modulation = TypedLinear(width, 6 * width)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(
        self,
        tokens: Float[Tensor, "B t s D"],
        condition: Float[Tensor, "B t D"],
        slots: tuple[Float[Tensor, "B H S d"], Float[Tensor, "B H S d"]],
        turns: Float[Tensor, "2 N r"],
    ) -> Float[Tensor, "B t s D"]:
        """Tokens of the same shape.

        Args:
            tokens: of t latent frames.
            condition: of each latent frame; its type is that of all products.
            slots: keys and values of the slot tokens.
            turns: cosine and sine of the rotary angles, r = d / 2.
        """
        batch, time, space, width = tokens.shape
        steps = PLAIN if condition.dtype == tokens.dtype else bfloat_block()
        modulation = self.modulation(condition).to(tokens.dtype).unsqueeze(2)
        shift_a, scale_a, gate_a, shift_m, scale_m, gate_m = modulation.chunk(6, dim=-1)
        asked = self.qkv(steps.modulated_norm(tokens, shift_a, scale_a))
        asked = asked.view(batch, time * space, 4, self.heads, width // self.heads)
        answers = steps.attend(asked, slots, self.query_scale, turns)
        tokens = steps.gated_add(tokens, gate_a, self.attention_out(answers.reshape(batch, time, space, 2 * width)))
        hidden = steps.squared_relu(self.expand(steps.modulated_norm(tokens, shift_m, scale_m)))
        return steps.gated_add(tokens, gate_m, self.contract(hidden))


class Steps(Protocol):
    """What a block does between its products; tokens (B, t, s, D), modulation (B, t, 1, D)."""

    def modulated_norm(self, tokens: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
        """Layer norm of tokens, times 1 + scale, plus shift."""
        ...

    def attend(self, asked: Tensor, slots: tuple[Tensor, Tensor], scale: Tensor, turns: Tensor) -> Tensor:
        """Answers (B, N, 2, H, d) of video tokens and of slot tokens.

        Args:
            asked: queries, keys, values and queries to the slots, (B, N, 4, H, d).
            slots: keys and values of the slot tokens, (B, H, S, d).
            scale: temperature of each head towards video and towards slots, (2, H).
            turns: cosine and sine of the rotary angles, (2, N, d / 2).
        """
        ...

    def gated_add(self, tokens: Tensor, gate: Tensor, added: Tensor) -> Tensor:
        """tokens + gate * added."""
        ...

    def squared_relu(self, hidden: Tensor) -> Tensor:
        """max(hidden, 0) squared (arXiv 2109.08668): as good as GELU here and far cheaper."""
        ...


class _PlainSteps:
    def modulated_norm(self, tokens: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
        normed = functional.layer_norm(tokens, tokens.shape[-1:], eps=NORM_EPSILON)
        return normed * (1.0 + scale) + shift

    def attend(self, asked: Tensor, slots: tuple[Tensor, Tensor], scale: Tensor, turns: Tensor) -> Tensor:
        query, key, value, slot_query = (part.transpose(1, 2) for part in asked.unbind(2))
        video = _answers(turned(unit(query), turns), turned(unit(key), turns), value, scale[0])
        slot = _answers(unit(slot_query), *slots, scale[1])
        return torch.stack([video.transpose(1, 2), slot.transpose(1, 2)], dim=2)

    def gated_add(self, tokens: Tensor, gate: Tensor, added: Tensor) -> Tensor:
        return tokens + gate * added

    def squared_relu(self, hidden: Tensor) -> Tensor:
        return hidden.relu().square()


PLAIN = _PlainSteps()


@lru_cache(maxsize=1)
def bfloat_block() -> Any:
    """`model.bfloat_block`, a `Steps` with `linear` besides; loaded when training asks, for it needs Numba."""
    return importlib.import_module("model.bfloat_block")


def unit(vectors: Float[Tensor, "*rest d"]) -> Float[Tensor, "*rest d"]:
    """Vectors of mean square 1."""
    return functional.rms_norm(vectors, vectors.shape[-1:], eps=NORM_EPSILON)


def turned(vectors: Float[Tensor, "B H N d"], turns: Float[Tensor, "2 N r"]) -> Float[Tensor, "B H N d"]:
    """Vectors whose pairs of numbers are turned by the angles with these cosines and sines."""
    cosine, sine = turns
    left, right = vectors.chunk(2, dim=-1)
    return torch.cat([left * cosine - right * sine, right * cosine + left * sine], dim=-1)


def _answers(query: Tensor, key: Tensor, value: Tensor, scale: Tensor) -> Float[Tensor, "B H N d"]:
    logits = (query @ key.transpose(-1, -2)) * (scale * query.shape[-1] ** -0.5).view(-1, 1, 1)
    answers: Tensor = logits.softmax(-1) @ value
    return answers
