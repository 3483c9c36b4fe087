"""The steps of a transformer block as training takes them in bfloat16: each one autograd node, compiled by Numba.

`model/dit_block.py` has the same steps in plain PyTorch; test_rough_products_agree_with_exact_ones holds them together.
Tokens are float32 (B, t, s, D), what modulates them is float32 (B, t, 1, D), what goes into products is bfloat16.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from model import bfloat_kernels as kernels

Grads = tuple[Tensor | None, ...]


def modulated_norm(tokens: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """Layer norm of tokens, times 1 + scale, plus shift, in bfloat16."""
    normed: Tensor = _ModulatedNorm.apply(tokens, shift, scale)  # type: ignore[no-untyped-call]
    return normed


def gated_add(tokens: Tensor, gate: Tensor, added: Tensor) -> Tensor:
    """tokens + gate * added, in float32; `added` is bfloat16."""
    total: Tensor = _GatedAdd.apply(tokens, gate, added)  # type: ignore[no-untyped-call]
    return total


def squared_relu(hidden: Tensor) -> Tensor:
    """max(hidden, 0) squared, in bfloat16."""
    squared: Tensor = _SquaredRelu.apply(hidden)  # type: ignore[no-untyped-call]
    return squared


def linear(inputs: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """inputs @ weight.T + bias in bfloat16; weight and bias are float32."""
    product: Tensor = _Linear.apply(inputs, weight, bias)  # type: ignore[no-untyped-call]
    return product


def attend(asked: Tensor, slots: tuple[Tensor, Tensor], scale: Tensor, turns: Tensor) -> Tensor:
    """Answers of video tokens and of slot tokens, (B, N, 2, H, d); arguments as in `model.dit_block.Steps.attend`."""
    mixed: Tensor = _Attend.apply(asked, *slots, scale, turns)  # type: ignore[no-untyped-call]
    return mixed


class _ModulatedNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tokens: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
        shape = tokens.shape
        rows, scale = tokens.reshape(-1, *shape[2:]), scale.reshape(-1, shape[-1])
        out = torch.empty(rows.shape, dtype=torch.bfloat16)
        mean, spread = torch.empty(rows.shape[:2]), torch.empty(rows.shape[:2])
        kernels.norm_forward(*map(_array, (rows, shift.reshape(scale.shape), scale, out, mean, spread)))
        ctx.save_for_backward(rows, scale, mean, spread)
        return out.view(shape)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Grads:
        rows, scale, mean, spread = ctx.saved_tensors
        of_rows, of_shift, of_scale = torch.empty_like(rows), torch.empty_like(scale), torch.empty_like(scale)
        given = gradient.reshape(rows.shape)
        kernels.norm_backward(*map(_array, (given, rows, scale, mean, spread, of_rows, of_shift, of_scale)))
        of_frame = (*gradient.shape[:2], 1, gradient.shape[3])
        return of_rows.view(gradient.shape), of_shift.view(of_frame), of_scale.view(of_frame)


class _GatedAdd(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tokens: Tensor, gate: Tensor, added: Tensor) -> Tensor:
        rows, gate = tokens.reshape(-1, *tokens.shape[2:]), gate.reshape(-1, tokens.shape[-1])
        added = added.reshape(rows.shape)
        out = torch.empty_like(rows)
        kernels.gate_forward(*map(_array, (rows, gate, added, out)))
        ctx.save_for_backward(gate, added)
        return out.view(tokens.shape)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Grads:
        gate, added = ctx.saved_tensors
        of_added, of_gate = torch.empty_like(added), torch.empty_like(gate)
        kernels.gate_backward(*map(_array, (gradient.reshape(added.shape), gate, added, of_added, of_gate)))
        of_frame = (*gradient.shape[:2], 1, gradient.shape[3])
        return gradient, of_gate.view(of_frame), of_added.view(gradient.shape)


class _SquaredRelu(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor) -> Tensor:
        out = torch.empty_like(hidden)
        kernels.squared_relu_forward(_array(hidden.view(-1)), _array(out.view(-1)))
        ctx.save_for_backward(hidden)
        return out

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        hidden: Tensor = ctx.saved_tensors[0]
        out = torch.empty_like(hidden)
        kernels.squared_relu_backward(*(_array(part.reshape(-1)) for part in (gradient, hidden, out)))
        return out


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        rows, factors = inputs.reshape(-1, inputs.shape[-1]), weight.bfloat16()
        ctx.save_for_backward(rows, factors)
        return torch.addmm(bias.bfloat16(), rows, factors.t()).view(*inputs.shape[:-1], len(weight))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Grads:
        rows, factors = ctx.saved_tensors
        flat = gradient.reshape(-1, gradient.shape[-1])
        of_inputs = (flat @ factors).view(*gradient.shape[:-1], -1) if ctx.needs_input_grad[0] else None
        # Layers beside an adapter in training are frozen: their gradients would be a fifth of its time.
        of_weight = (flat.t() @ rows).float() if ctx.needs_input_grad[1] else None
        return of_inputs, of_weight, flat.sum(0).float() if ctx.needs_input_grad[2] else None


class _Attend(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, asked: Tensor, slot_key: Tensor, slot_value: Tensor, scale: Tensor, turns: Tensor) -> Tensor:
        batch, count, _, heads, size = asked.shape
        query, key, value, slot_query = torch.empty((4, batch, heads, count, size), dtype=torch.bfloat16).unbind()
        lengths = torch.empty((batch, count, 3, heads))
        kernels.heads_forward(*map(_array, (asked, turns, query, key, value, slot_query, lengths)))
        scores, weights, answers = _answers(query, key, value, scale[0])
        slot_scores, slot_weights, slot_answers = _answers(slot_query, slot_key, slot_value, scale[1])
        ctx.save_for_backward(asked, query, key, value, slot_query, lengths, scores, weights, turns)
        ctx.slots = slot_key, slot_value, slot_scores, slot_weights, scale
        return torch.stack([answers.transpose(1, 2), slot_answers.transpose(1, 2)], dim=2)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Grads:
        asked, query, key, value, slot_query, lengths, scores, weights, turns = ctx.saved_tensors
        slot_key, slot_value, slot_scores, slot_weights, scale = ctx.slots
        of_answers, of_slot_answers = (part.transpose(1, 2).contiguous() for part in gradient.unbind(2))
        of_query, of_key, of_value, of_scale = _back(of_answers, query, key, value, scores, weights, scale[0])
        of_slots = _back(of_slot_answers, slot_query, slot_key, slot_value, slot_scores, slot_weights, scale[1])
        of_asked = torch.empty_like(asked)
        given = (of_query, of_key, of_value, of_slots[0], asked, turns, lengths, of_asked)
        kernels.heads_backward(*map(_array, given))
        return of_asked, of_slots[1], of_slots[2], torch.stack([of_scale, of_slots[3]]), None


def _answers(query: Tensor, key: Tensor, value: Tensor, scale: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    scores = query @ key.transpose(-1, -2)
    weights = torch.empty_like(scores)
    kernels.softmax_forward(_array(scores), _array(scale * query.shape[-1] ** -0.5), _array(weights))
    return scores, weights, weights @ value


def _back(
    gradient: Tensor, query: Tensor, key: Tensor, value: Tensor, scores: Tensor, weights: Tensor, scale: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients of query, key, value and scale."""
    root = query.shape[-1] ** -0.5
    of_weights, of_scores, of_scale = (
        gradient @ value.transpose(-1, -2),
        torch.empty_like(scores),
        torch.empty_like(scale),
    )
    kernels.softmax_backward(*map(_array, (of_weights, weights, scores, scale * root, of_scores, of_scale)))
    of_value = weights.transpose(-1, -2) @ gradient
    return of_scores @ key, of_scores.transpose(-1, -2) @ query, of_value, of_scale * root


def _array(tensor: Tensor) -> np.ndarray:
    """The tensor's memory as a contiguous array; bfloat16 as its bits."""
    held = tensor.detach().contiguous()
    return held.view(torch.uint16).numpy() if held.dtype == torch.bfloat16 else held.numpy()
