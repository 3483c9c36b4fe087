"""The diffusion transformer: adaLN-zero blocks over video tokens and slot tokens, with 3D rotary positions.

Sources: DiT (arXiv 2212.09748) for adaLN-zero, SiT (arXiv 2401.08740) for what it predicts, RoFormer
(arXiv 2104.09864) for rotary positions, QK-norm as in arXiv 2302.05442.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from model.errors import InvalidSpec
from model.rays import RAY_CHANNELS

UNKNOWN = 0
SlotTable = tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True)
class DitConfig:
    """Architecture of the transformer.

    Attributes:
        latent_channels: C of the latents (B, C, t, h, w).
        latent_size: (t, h, w), the one size that it was trained for.
        width, depth, heads: of the transformer; width / heads is at least 16 and a multiple of 4.
        patch: latent cells along each side of a token (1 in time).
        slots: ((slot name, (value, ...)), ...); value k is fed as k + 1, UNKNOWN = 0 is "not said".

    Raises:
        InvalidSpec: the numbers do not fit together.
    """

    latent_channels: int
    latent_size: tuple[int, int, int]
    width: int
    depth: int
    heads: int
    patch: int
    slots: SlotTable

    def __post_init__(self) -> None:
        head = self.width // max(self.heads, 1)
        if self.width % max(self.heads, 1) or head < 16 or head % 4:
            raise InvalidSpec(f"dit: width / heads must be a multiple of 4 from 16 on, got {self.width}/{self.heads}")
        if self.latent_size[1] % self.patch or self.latent_size[2] % self.patch:
            raise InvalidSpec(f"dit: latent size {self.latent_size} is not a multiple of patch {self.patch}")
        if not self.slots:
            raise InvalidSpec("dit: at least one slot is needed, got none")

    @property
    def token_grid(self) -> tuple[int, int, int]:
        """Tokens along time, height and width."""
        return self.latent_size[0], self.latent_size[1] // self.patch, self.latent_size[2] // self.patch


class Block(nn.Module):
    """Attention and MLP, each scaled, shifted and gated by the condition; the identity before training."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.query_norm = nn.RMSNorm(width // heads, eps=1e-6)
        self.key_norm = nn.RMSNorm(width // heads, eps=1e-6)
        self.attention_out = nn.Linear(width, width)
        self.expand = nn.Linear(width, 4 * width)
        self.contract = nn.Linear(4 * width, width)
        self.modulation = nn.Linear(width, 6 * width)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(
        self,
        tokens: Float[Tensor, "B N D"],
        condition: Float[Tensor, "B D"],
        turns: tuple[Float[Tensor, "N d"], Float[Tensor, "N d"]],
    ) -> Float[Tensor, "B N D"]:
        """Tokens of the same shape; `turns` are cosine and sine of the rotary angles."""
        shift_a, scale_a, gate_a, shift_m, scale_m, gate_m = self.modulation(condition)[:, None].chunk(6, dim=-1)
        tokens = tokens + gate_a * self._attend(_normed(tokens) * (1 + scale_a) + shift_a, turns)
        hidden = functional.gelu(self.expand(_normed(tokens) * (1 + scale_m) + shift_m), approximate="tanh")
        added: Tensor = gate_m * self.contract(hidden)
        return tokens + added

    def _attend(self, tokens: Tensor, turns: tuple[Tensor, Tensor]) -> Tensor:
        batch, count, width = tokens.shape
        qkv = self.qkv(tokens).view(batch, count, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        query, key, value = qkv.unbind(0)
        query, key = _rotate(self.query_norm(query), turns), _rotate(self.key_norm(key), turns)
        mixed = functional.scaled_dot_product_attention(query, key, value)
        return self.attention_out(mixed.transpose(1, 2).reshape(batch, count, width))  # type: ignore[no-any-return]


class Dit(nn.Module):
    """Velocity of noisy latents under slots and cameras (see `model/interpolant.py` for its meaning)."""

    turn_cos: Tensor
    turn_sin: Tensor

    def __init__(self, config: DitConfig) -> None:
        super().__init__()
        self.config = config
        width, area = config.width, config.patch**2
        self.embed_latents = nn.Linear(config.latent_channels * area, width)
        self.embed_rays = nn.Linear(RAY_CHANNELS * area, width)
        self.embed_slots = nn.ModuleList(nn.Embedding(len(values) + 1, width) for _, values in config.slots)
        self.embed_slot_condition = nn.Linear(width, width)
        self.embed_sigma = nn.Sequential(nn.Linear(256, width), nn.SiLU(), nn.Linear(width, width))
        self.blocks = nn.ModuleList(Block(width, config.heads) for _ in range(config.depth))
        self.final_modulation = nn.Linear(width, 2 * width)
        self.final = nn.Linear(width, config.latent_channels * area)
        for layer in (self.final_modulation, self.final):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        for table in self.embed_slots:
            nn.init.normal_(table.weight, std=0.5)  # type: ignore[arg-type]
        cosine, sine = _rotary_turns(config)
        self.register_buffer("turn_cos", cosine, persistent=False)
        self.register_buffer("turn_sin", sine, persistent=False)

    def forward(
        self,
        latents: Float[Tensor, "B C t h w"],
        sigmas: Float[Tensor, " B"],
        slots: Int64[Tensor, "B S"],
        rays: Float[Tensor, "B 12 t h w"],
    ) -> Float[Tensor, "B C t h w"]:
        """Predicted velocity (B, C, t, h, w).

        Args:
            latents: noisy whitened latents.
            sigmas: noise level of each sample, 0 is data and 1 is noise.
            slots: value index + 1 of each slot, UNKNOWN where nothing is said.
            rays: from `model.rays.plucker_rays`.
        """
        said = torch.stack([table(slots[:, i]) for i, table in enumerate(self.embed_slots)], dim=1)
        condition = self.embed_sigma(_sinusoid(sigmas)) + self.embed_slot_condition(said.mean(1) * said.shape[1] ** 0.5)
        condition = functional.silu(condition)
        video = self.embed_latents(self._tokens(latents)) + self.embed_rays(self._tokens(rays))
        tokens = torch.cat([video, said], dim=1)
        for block in self.blocks:
            tokens = block(tokens, condition, (self.turn_cos, self.turn_sin))
        shift, scale = self.final_modulation(condition)[:, None].chunk(2, dim=-1)
        return self._untokens(self.final(_normed(tokens[:, : video.shape[1]]) * (1 + scale) + shift))

    def _tokens(self, grid: Float[Tensor, "B K t h w"]) -> Float[Tensor, "B N P"]:
        batch, channels = grid.shape[:2]
        (time, rows, columns), side = self.config.token_grid, self.config.patch
        cells = grid.reshape(batch, channels, time, rows, side, columns, side)
        return cells.permute(0, 2, 3, 5, 1, 4, 6).reshape(batch, time * rows * columns, -1)

    def _untokens(self, tokens: Float[Tensor, "B N P"]) -> Float[Tensor, "B C t h w"]:
        (time, rows, columns), side = self.config.token_grid, self.config.patch
        cells = tokens.reshape(len(tokens), time, rows, columns, -1, side, side).permute(0, 4, 1, 2, 5, 3, 6)
        return cells.reshape(len(tokens), -1, *self.config.latent_size)


def slot_indices(slots: SlotTable, values: dict[str, str | None]) -> Int64[Tensor, " S"]:
    """What `Dit` is fed for these slot values, (S,); a missing or unknown value is UNKNOWN."""
    row = [1 + known.index(value) if (value := values.get(name)) in known else UNKNOWN for name, known in slots]
    return torch.tensor(row, dtype=torch.int64)


def _normed(tokens: Tensor) -> Tensor:
    return functional.layer_norm(tokens, tokens.shape[-1:], eps=1e-6)


def _sinusoid(sigmas: Float[Tensor, " B"]) -> Float[Tensor, "B 256"]:
    frequencies = torch.exp(-math.log(10_000.0) * torch.arange(128, device=sigmas.device) / 128)
    angles = 1_000.0 * sigmas[:, None] * frequencies
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


def _rotate(vectors: Float[Tensor, "B H N d"], turns: tuple[Tensor, Tensor]) -> Float[Tensor, "B H N d"]:
    cosine, sine = turns
    left, right = vectors.chunk(2, dim=-1)
    return vectors * cosine + torch.cat([-right, left], dim=-1) * sine


def _rotary_turns(config: DitConfig) -> tuple[Tensor, Tensor]:
    """Cosine and sine (N + S, d): pairs are shared out among time, height, width; slot tokens do not turn."""
    pairs = config.width // config.heads // 2
    of_time = pairs // 4
    of_rows = (pairs - of_time) // 2
    shares = (of_time, of_rows, pairs - of_time - of_rows)
    axes = torch.meshgrid(*(torch.arange(n, dtype=torch.float32) for n in config.token_grid), indexing="ij")
    angles = [
        axis.reshape(-1, 1) * math.pi / 2 * 100.0 ** (-torch.arange(share, dtype=torch.float32) / share)
        for axis, share in zip(axes, shares, strict=True)
    ]
    grid = torch.cat(angles, dim=-1)
    grid = torch.cat([grid, torch.zeros(len(config.slots), pairs)])
    grid = torch.cat([grid, grid], dim=-1)
    return grid.cos(), grid.sin()
