"""A linear layer that trains in bfloat16 where the processor multiplies it faster, and keeps float32 weights.

On CPUs with avx512_bf16 a product in bfloat16 takes a quarter of the time of one in float32
(`python -m benchmarks.training`). Activations, sums, norms, and everything outside training stay in float32.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


@lru_cache(maxsize=1)
def trains_in_bfloat16() -> bool:
    """True where the processor has bfloat16 products."""
    try:
        return "avx512_bf16" in Path("/proc/cpuinfo").read_text()
    except OSError:
        return False


class Linear(nn.Linear):
    """`nn.Linear` in every respect, but in training the products are taken in bfloat16 where that is faster."""

    def forward(self, inputs: Tensor) -> Tensor:
        """The layer's output in float32, of shape (..., out_features)."""
        if self.training and torch.is_grad_enabled() and inputs.device.type == "cpu" and trains_in_bfloat16():
            product: Tensor = _BfloatProduct.apply(inputs, self.weight, self.bias)  # type: ignore[no-untyped-call]
            return product
        return functional.linear(inputs, self.weight, self.bias)


class _BfloatProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        rows, factors = inputs.reshape(-1, inputs.shape[-1]).bfloat16(), weight.bfloat16()
        ctx.save_for_backward(rows, factors)
        ctx.has_bias = bias is not None
        product = functional.linear(rows, factors).float()
        if bias is not None:
            product += bias
        return product.view(*inputs.shape[:-1], len(weight))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        rows, factors = ctx.saved_tensors
        flat = gradient.reshape(-1, gradient.shape[-1])
        rough = flat.bfloat16()
        of_inputs = (rough @ factors).float().view(*gradient.shape[:-1], -1) if ctx.needs_input_grad[0] else None
        of_bias = flat.sum(0) if ctx.has_bias else None
        return of_inputs, (rough.t() @ rows).float(), of_bias
