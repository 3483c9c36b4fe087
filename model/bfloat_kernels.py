"""Numba: what lies between the bfloat16 products of a transformer block, forward and backward, one pass each.

Arrays of bfloat16 come as their bits (uint16): NumPy has no such type. Sums are taken in float32. Rows are handled one
by one, so what a row needs stays in the processor's first cache. `bfloat_block.py` has the plain meaning of each.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

EPSILON = np.float32(1e-6)
ONE, TWO, HALF = np.float32(1.0), np.float32(2.0), np.float32(0.5)
SIXTH, TWENTY_FOURTH = np.float32(1.0 / 6.0), np.float32(1.0 / 24.0)
LOWEST, PARTS = np.float32(-60.0), np.float32(1.0 / 64.0)
FAST: dict[str, Any] = {"cache": True, "fastmath": {"reassoc", "contract", "nsz", "arcp"}, "error_model": "numpy"}


def _bits_to_float(_context, bits):  # type: ignore[no-untyped-def]
    def build(_context, builder, _signature, arguments):  # type: ignore[no-untyped-def]
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.uint32), build


def _float_to_bits(_context, value):  # type: ignore[no-untyped-def]
    def build(_context, builder, _signature, arguments):  # type: ignore[no-untyped-def]
        return builder.bitcast(arguments[0], ir.IntType(32))

    return types.uint32(types.float32), build


_as_float: Any = intrinsic(_bits_to_float)
_as_bits: Any = intrinsic(_float_to_bits)


@njit(inline="always", **FAST)
def _wide(bits):  # type: ignore[no-untyped-def]
    """The float32 of a bfloat16's bits."""
    return _as_float(np.uint32(np.uint32(bits) << np.uint32(16)))


@njit(inline="always", **FAST)
def _rounded(value):  # type: ignore[no-untyped-def]
    """The bits of the bfloat16 nearest to a float32, ties to even."""
    bits = _as_bits(np.float32(value))
    odd = np.uint32((bits >> np.uint32(16)) & np.uint32(1))
    return np.uint16(np.uint32(bits + np.uint32(0x7FFF) + odd) >> np.uint32(16))


@njit(inline="always", **FAST)
def _exp(x):  # type: ignore[no-untyped-def]
    """e to the x for x <= 0, to bfloat16's precision: a short series of x / 64, squared six times."""
    t = max(x, LOWEST) * PARTS
    y = ONE + t * (ONE + t * (HALF + t * (SIXTH + t * TWENTY_FOURTH)))
    y = y * y
    y = y * y
    y = y * y
    y = y * y
    y = y * y
    return y * y


@njit(**FAST)
def norm_forward(tokens, shift, scale, out, mean, spread):  # type: ignore[no-untyped-def]
    """out: layer norm of tokens (F, s, D), times 1 + scale, plus shift, (F, D) each; mean and 1 / deviation (F, s)."""
    frames, space, width = tokens.shape
    share = ONE / np.float32(width)
    for f in range(frames):
        for s in range(space):
            total = np.float32(0.0)
            for i in range(width):
                total += tokens[f, s, i]
            middle = total * share
            squares = np.float32(0.0)
            for i in range(width):
                off = tokens[f, s, i] - middle
                squares += off * off
            factor = ONE / np.sqrt(squares * share + EPSILON)
            mean[f, s], spread[f, s] = middle, factor
            for i in range(width):
                normed = (tokens[f, s, i] - middle) * factor
                out[f, s, i] = _rounded(normed * (ONE + scale[f, i]) + shift[f, i])


@njit(**FAST)
def norm_backward(gradient, tokens, scale, mean, spread, of_tokens, of_shift, of_scale):  # type: ignore[no-untyped-def]
    """of_tokens, of_shift, of_scale from the gradient of `norm_forward`'s out."""
    frames, space, width = tokens.shape
    share = ONE / np.float32(width)
    row = np.empty(width, np.float32)
    for f in range(frames):
        of_shift[f, :] = np.float32(0.0)
        of_scale[f, :] = np.float32(0.0)
        for s in range(space):
            middle, factor = mean[f, s], spread[f, s]
            total, along = np.float32(0.0), np.float32(0.0)
            for i in range(width):
                g = _wide(gradient[f, s, i])
                normed = (tokens[f, s, i] - middle) * factor
                of_shift[f, i] += g
                of_scale[f, i] += g * normed
                g = g * (ONE + scale[f, i])
                row[i] = g
                total += g
                along += g * normed
            total, along = total * share, along * share
            for i in range(width):
                normed = (tokens[f, s, i] - middle) * factor
                of_tokens[f, s, i] = factor * (row[i] - total - normed * along)


@njit(**FAST)
def gate_forward(tokens, gate, added, out):  # type: ignore[no-untyped-def]
    """out: tokens (F, s, D) + gate (F, D) * added."""
    frames, space, width = tokens.shape
    for f in range(frames):
        for s in range(space):
            for i in range(width):
                out[f, s, i] = tokens[f, s, i] + gate[f, i] * _wide(added[f, s, i])


@njit(**FAST)
def gate_backward(gradient, gate, added, of_added, of_gate):  # type: ignore[no-untyped-def]
    """of_added and of_gate from the gradient of `gate_forward`'s out."""
    frames, space, width = gradient.shape
    for f in range(frames):
        of_gate[f, :] = np.float32(0.0)
        for s in range(space):
            for i in range(width):
                g = gradient[f, s, i]
                of_gate[f, i] += g * _wide(added[f, s, i])
                of_added[f, s, i] = _rounded(g * gate[f, i])


@njit(**FAST)
def squared_relu_forward(hidden, out):  # type: ignore[no-untyped-def]
    """out: max(hidden, 0) squared, flat."""
    for i in range(hidden.size):
        x = max(_wide(hidden[i]), np.float32(0.0))
        out[i] = _rounded(x * x)


@njit(**FAST)
def squared_relu_backward(gradient, hidden, of_hidden):  # type: ignore[no-untyped-def]
    """of_hidden from the gradient of `squared_relu_forward`'s out."""
    for i in range(hidden.size):
        x = max(_wide(hidden[i]), np.float32(0.0))
        of_hidden[i] = _rounded(TWO * x * _wide(gradient[i]))


@njit(**FAST)
def heads_forward(asked, turns, query, key, value, slot_query, lengths):  # type: ignore[no-untyped-def]
    """Of asked (B, N, 4, H, d): unit queries and keys, turned; values; unit slot queries; each (B, H, N, d)."""
    cosine, sine = turns[0], turns[1]
    batch, count, _, heads, size = asked.shape
    half, share = size // 2, ONE / np.float32(size)
    for b in range(batch):
        for n in range(count):
            for h in range(heads):
                for part in range(2):
                    out = query if part == 0 else key
                    squares = np.float32(0.0)
                    for i in range(size):
                        x = _wide(asked[b, n, part, h, i])
                        squares += x * x
                    length = ONE / np.sqrt(squares * share + EPSILON)
                    lengths[b, n, part, h] = length
                    for i in range(half):
                        left = _wide(asked[b, n, part, h, i]) * length
                        right = _wide(asked[b, n, part, h, half + i]) * length
                        out[b, h, n, i] = _rounded(left * cosine[n, i] - right * sine[n, i])
                        out[b, h, n, half + i] = _rounded(right * cosine[n, i] + left * sine[n, i])
                squares = np.float32(0.0)
                for i in range(size):
                    x = _wide(asked[b, n, 3, h, i])
                    squares += x * x
                    value[b, h, n, i] = asked[b, n, 2, h, i]
                length = ONE / np.sqrt(squares * share + EPSILON)
                lengths[b, n, 2, h] = length
                for i in range(size):
                    slot_query[b, h, n, i] = _rounded(_wide(asked[b, n, 3, h, i]) * length)


@njit(**FAST)
def heads_backward(of_query, of_key, of_value, of_slot_query, asked, turns, lengths, of_asked):  # type: ignore[no-untyped-def]
    """of_asked from the gradients of `heads_forward`'s four parts."""
    cosine, sine = turns[0], turns[1]
    batch, count, _, heads, size = asked.shape
    half, share = size // 2, ONE / np.float32(size)
    row = np.empty(size, np.float32)
    for b in range(batch):
        for n in range(count):
            for h in range(heads):
                for part in range(2):
                    given = of_query if part == 0 else of_key
                    length = lengths[b, n, part, h]
                    along = np.float32(0.0)
                    for i in range(half):
                        left, right = _wide(given[b, h, n, i]), _wide(given[b, h, n, half + i])
                        row[i] = left * cosine[n, i] + right * sine[n, i]
                        row[half + i] = right * cosine[n, i] - left * sine[n, i]
                    for i in range(size):
                        along += row[i] * _wide(asked[b, n, part, h, i])
                    along = along * share * length * length
                    for i in range(size):
                        off = row[i] - along * _wide(asked[b, n, part, h, i])
                        of_asked[b, n, part, h, i] = _rounded(off * length)
                length = lengths[b, n, 2, h]
                along = np.float32(0.0)
                for i in range(size):
                    of_asked[b, n, 2, h, i] = of_value[b, h, n, i]
                    along += _wide(of_slot_query[b, h, n, i]) * _wide(asked[b, n, 3, h, i])
                along = along * share * length * length
                for i in range(size):
                    off = _wide(of_slot_query[b, h, n, i]) - along * _wide(asked[b, n, 3, h, i])
                    of_asked[b, n, 3, h, i] = _rounded(off * length)


@njit(cache=True, fastmath=True, error_model="numpy")
def softmax_forward(scores, scale, weights):  # type: ignore[no-untyped-def]
    """Weights (B, H, N, K) of scores times each head's scale."""
    batch, heads, count, keys = scores.shape
    row = np.empty(keys, np.float32)
    for b in range(batch):
        for h in range(heads):
            factor = scale[h]
            for n in range(count):
                largest = _wide(scores[b, h, n, 0]) * factor
                for k in range(keys):
                    row[k] = _wide(scores[b, h, n, k]) * factor
                    largest = max(largest, row[k])
                total = np.float32(0.0)
                for k in range(keys):
                    row[k] = _exp(row[k] - largest)
                    total += row[k]
                total = ONE / total
                for k in range(keys):
                    weights[b, h, n, k] = _rounded(row[k] * total)


@njit(**FAST)
def softmax_backward(gradient, weights, scores, scale, of_scores, of_scale):  # type: ignore[no-untyped-def]
    """of_scores and of_scale from the gradient of `softmax_forward`'s weights."""
    batch, heads, count, keys = scores.shape
    for h in range(heads):
        of_scale[h] = np.float32(0.0)
    for b in range(batch):
        for h in range(heads):
            factor, summed = scale[h], np.float32(0.0)
            for n in range(count):
                along = np.float32(0.0)
                for k in range(keys):
                    along += _wide(weights[b, h, n, k]) * _wide(gradient[b, h, n, k])
                for k in range(keys):
                    of_logit = _wide(weights[b, h, n, k]) * (_wide(gradient[b, h, n, k]) - along)
                    summed += of_logit * _wide(scores[b, h, n, k])
                    of_scores[b, h, n, k] = _rounded(of_logit * factor)
            of_scale[h] += summed
