"""Steps between the transformer's products, each one autograd node with a hand-written backward.

Tokens are (B, t, s, D): t latent frames of s tokens; what modulates them has one row a frame, (B, t, 1, D). Sums and
norms are taken in the residual stream's type, float32; what goes into a product has the product's type.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

NORM_EPSILON = 1e-6


def modulated_norm(tokens: Tensor, shift: Tensor, scale: Tensor, kind: torch.dtype) -> Tensor:
    """Layer norm of tokens (B, t, s, D), times 1 + scale, plus shift (both (B, t, 1, D)), in type `kind`."""
    normed: Tensor = _ModulatedNorm.apply(tokens, shift, scale, kind)  # type: ignore[no-untyped-call]
    return normed


def gated_add(tokens: Tensor, gate: Tensor, added: Tensor) -> Tensor:
    """tokens + gate * added, in the type of `tokens`; gate is (B, t, 1, D)."""
    total: Tensor = _GatedAdd.apply(tokens, gate, added)  # type: ignore[no-untyped-call]
    return total


def squared_relu(hidden: Tensor) -> Tensor:
    """max(hidden, 0) squared (arXiv 2109.08668), in the type of `hidden`: as good as GELU here, a tenth of its time."""
    squared: Tensor = _SquaredRelu.apply(hidden)  # type: ignore[no-untyped-call]
    return squared


def turned_unit(vectors: Tensor, turns: Tensor | None, kind: torch.dtype) -> Tensor:
    """Vectors (B, N, H, d) of mean square 1, turned by complex `turns` (N, 1, d/2), as (B, H, N, d) in type `kind`."""
    unit: Tensor = _TurnedUnit.apply(vectors, turns, kind)  # type: ignore[no-untyped-call]
    return unit


class _ModulatedNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tokens: Tensor, shift: Tensor, scale: Tensor, kind: torch.dtype) -> Tensor:
        width = tokens.shape[-1:]
        normed, mean, spread = torch.native_layer_norm(tokens, width, None, None, NORM_EPSILON)
        factor = 1.0 + scale
        ctx.save_for_backward(tokens, normed, mean, spread, factor)
        return torch.addcmul(shift, normed, factor).to(kind)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        tokens, normed, mean, spread, factor = ctx.saved_tensors
        gradient = gradient.to(tokens.dtype)
        of_shift = gradient.sum(2, keepdim=True)
        of_scale = (gradient * normed).sum(2, keepdim=True)
        of_normed = gradient * factor
        width = list(tokens.shape[-1:])
        of_tokens = torch.ops.aten.native_layer_norm_backward(
            of_normed, tokens, width, mean, spread, None, None, [True, False, False]
        )[0]
        return of_tokens, of_shift, of_scale, None


class _GatedAdd(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tokens: Tensor, gate: Tensor, added: Tensor) -> Tensor:
        ctx.save_for_backward(gate, added)
        return torch.addcmul(tokens, gate, added.to(tokens.dtype))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # type: ignore[override]
        gate, added = ctx.saved_tensors
        of_gate = (gradient * added.to(gradient.dtype)).sum(2, keepdim=True)
        return gradient, of_gate, (gradient * gate).to(added.dtype)


class _SquaredRelu(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor) -> Tensor:
        positive = hidden.relu()
        ctx.save_for_backward(positive)
        return positive * positive

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        (positive,) = ctx.saved_tensors
        return (gradient * positive).mul_(2.0)


class _TurnedUnit(torch.autograd.Function):
    """The norm does not change by turning, so vectors are turned first and divided by their length after."""

    @staticmethod
    def forward(ctx: Any, vectors: Tensor, turns: Tensor | None, kind: torch.dtype) -> Tensor:
        plain = vectors.to(_at_least_float(vectors.dtype))
        length = (plain.square().mean(-1, keepdim=True) + NORM_EPSILON).rsqrt()
        unit = plain * length
        ctx.save_for_backward(unit, length, turns)
        ctx.kind = vectors.dtype
        return _turn(unit, turns).transpose(1, 2).to(kind).contiguous()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        unit, length, turns = ctx.saved_tensors
        back = _turn(gradient.transpose(1, 2).to(unit.dtype), None if turns is None else turns.conj())
        along = (back * unit).mean(-1, keepdim=True)
        return ((back - unit * along) * length).to(ctx.kind), None, None


def _turn(vectors: Tensor, turns: Tensor | None) -> Tensor:
    if turns is None:
        return vectors
    pairs = torch.view_as_complex(vectors.contiguous().unflatten(-1, (-1, 2)))
    return torch.view_as_real(pairs * turns).flatten(-2)


def _at_least_float(kind: torch.dtype) -> torch.dtype:
    return torch.promote_types(kind, torch.float32)
