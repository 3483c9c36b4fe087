"""The diffusion transformer: video tokens, asked about slots by cross-attention, adaLN-zero with a sigma per frame.

Sources: DiT (arXiv 2212.09748) for adaLN-zero, SiT (arXiv 2401.08740) for what it predicts, diffusion forcing
(arXiv 2407.01392) for noise levels per frame, shortcut models (arXiv 2410.12557) for the second noise level, ControlNet
(arXiv 2302.05543) for zero-initialised control, RoFormer (arXiv 2104.09864), QK-norm as in arXiv 2302.05442.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from model.control import CONTROL_CHANNELS, CONTROL_KINDS, CONTROL_NONE
from model.dit_block import PLAIN, Block, TypedLinear, bfloat_block, unit
from model.errors import InvalidSpec
from model.linear import trains_in_bfloat16
from model.rays import RAY_CHANNELS

UNKNOWN = 0
SINUSOIDS = 256
CONTROL_EVERY = 2
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

    @property
    def controlled_blocks(self) -> range:
        """The blocks before which control is added."""
        return range(0, self.depth, CONTROL_EVERY)


@dataclass(frozen=True, eq=False)
class Condition:
    """What the network is told about B clips besides their noisy latents.

    Attributes:
        slots: value index + 1 of each slot, UNKNOWN where nothing is said, (B, S).
        rays: from `model.rays.plucker_rays`, (B, 12, t, h, w).
        control: from `model.control.control_features`, (B, 64, t, h, w); None where no clip has control.
        control_kind: CONTROL_NONE, CONTROL_ROOM or CONTROL_OBJECTS of each clip, (B,); where it is CONTROL_NONE, its
            row of `control` is not looked at.
        starts: true where the first latent frame is that of a clip's first frame (one frame, not a group), (B,).
    """

    slots: Int64[Tensor, "B S"]
    rays: Float[Tensor, "B 12 t h w"]
    control: Float[Tensor, "B 64 t h w"] | None
    control_kind: Int64[Tensor, " B"]
    starts: Bool[Tensor, " B"]

    @staticmethod
    def plain(slots: Int64[Tensor, "B S"], rays: Float[Tensor, "B 12 t h w"]) -> Condition:
        """Slots and cameras of whole clips, without control."""
        count, device = len(slots), slots.device
        kinds = torch.full((count,), CONTROL_NONE, dtype=torch.int64, device=device)
        return Condition(slots, rays, None, kinds, torch.ones(count, dtype=torch.bool, device=device))

    def __len__(self) -> int:
        return len(self.slots)

    def to(self, device: torch.device | str) -> Condition:
        """The same on `device`."""
        control = None if self.control is None else self.control.to(device)
        kinds, starts = self.control_kind.to(device), self.starts.to(device)
        return Condition(self.slots.to(device), self.rays.to(device), control, kinds, starts)

    def rows(self, index: slice | Tensor) -> Condition:
        """The condition of some of the clips."""
        control = None if self.control is None else self.control[index]
        return Condition(self.slots[index], self.rays[index], control, self.control_kind[index], self.starts[index])

    def without_slots(self) -> Condition:
        """Nothing said, the same cameras and control: guidance's other branch."""
        silent = torch.full_like(self.slots, UNKNOWN)
        return Condition(silent, self.rays, self.control, self.control_kind, self.starts)

    def joined(self, other: Condition) -> Condition:
        """The clips of both, one after the other.

        Raises:
            InvalidSpec: only one of them has control.
        """
        if (self.control is None) != (other.control is None):
            raise InvalidSpec("conditions to join must both have control or both have none")
        control = None if self.control is None or other.control is None else torch.cat([self.control, other.control])
        return Condition(
            torch.cat([self.slots, other.slots]),
            torch.cat([self.rays, other.rays]),
            control,
            torch.cat([self.control_kind, other.control_kind]),
            torch.cat([self.starts, other.starts]),
        )


class Dit(nn.Module):
    """Velocity of noisy latents under slots, cameras and control (see `model/interpolant.py` for its meaning)."""

    turns: Tensor
    temperature: Tensor

    def __init__(self, config: DitConfig) -> None:
        super().__init__()
        self.config = config
        self.rough = False
        width, area = config.width, config.patch**2
        self.embed_latents = TypedLinear(config.latent_channels * area, width)
        self.embed_rays = TypedLinear(RAY_CHANNELS * area, width)
        self.embed_slots = nn.ModuleList(nn.Embedding(len(values) + 1, width) for _, values in config.slots)
        self.embed_slot_condition = nn.Linear(width, width)
        self.embed_sigma = _sigma_embedding(width)
        self.embed_interval = _sigma_embedding(width)
        self.embed_control_kind = nn.Embedding(CONTROL_KINDS, width)
        self.embed_start = nn.Embedding(2, width)
        self.slot_keys_values = TypedLinear(width, config.depth * 2 * width)
        self.control = nn.Sequential(
            TypedLinear(CONTROL_CHANNELS * area, width), nn.SiLU(), TypedLinear(width, width), nn.SiLU()
        )
        self.control_out = nn.ModuleList(TypedLinear(width, width) for _ in config.controlled_blocks)
        self.blocks = nn.ModuleList(Block(width, config.heads) for _ in range(config.depth))
        self.final_modulation = TypedLinear(width, 2 * width)
        self.final = TypedLinear(width, config.latent_channels * area)
        self.carry = nn.Parameter(torch.ones(config.latent_channels))
        last_of_interval = self.embed_interval[2]
        for layer in (self.final_modulation, self.final, last_of_interval, *self.control_out):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        for table in (*self.embed_slots, self.embed_control_kind, self.embed_start):
            nn.init.normal_(table.weight, std=0.5)
        self.register_buffer("temperature", torch.ones(config.latent_channels))
        self.register_buffer("turns", _rotary_turns(config), persistent=False)

    def forward(
        self,
        latents: Float[Tensor, "B C t h w"],
        sigmas: Float[Tensor, " B"] | Float[Tensor, "B t"],
        condition: Condition,
        sigma_next: Float[Tensor, " B"] | Float[Tensor, "B t"] | None = None,
    ) -> Float[Tensor, "B C t h w"]:
        """Predicted mean velocity (B, C, t, h, w) on the way from `sigmas` to `sigma_next`.

        Args:
            latents: noisy whitened latents.
            sigmas: noise level of each sample or of each latent frame, 0 is data and 1 is noise. A frame at 0 is
                given: it is what the others go on from.
            condition: slots, cameras, control.
            sigma_next: not above `sigmas`; None or equal to them is the velocity at `sigmas`.
        """
        kind = self._products()
        said = torch.stack([table(condition.slots[:, i]) for i, table in enumerate(self.embed_slots)], dim=1)
        told = self._frame_condition(sigmas, sigma_next, said, condition).to(kind)
        tokens = self.embed_latents(self._tokens(latents, kind)) + self.embed_rays(self._tokens(condition.rays, kind))
        tokens = tokens.to(latents.dtype)
        slots = self._slot_keys_values(said.to(kind))
        control = self._control(condition, kind)
        for index, block in enumerate(self.blocks):
            if index in control:
                rows, added = control[index]
                tokens = tokens.index_add(0, rows, added.to(tokens.dtype))
            tokens = block(tokens, told, slots[index], self.turns)
        shift, scale = self.final_modulation(told).to(tokens.dtype).unsqueeze(2).chunk(2, dim=-1)
        steps = PLAIN if kind == tokens.dtype else bfloat_block()
        flow = self._untokens(self.final(steps.modulated_norm(tokens, shift, scale)).to(latents.dtype))
        return flow + self._carried(latents, sigmas, sigma_next)

    def start_of(self, noise: Float[Tensor, "B C t h w"]) -> Float[Tensor, "B C t h w"]:
        """What sampling starts from: white noise, every channel at its temperature.

        A channel whose details hardly follow from what is told would fill a clip with grain at temperature 1; at 0 it
        takes its expected value.
        """
        return noise * self.temperature.to(noise).view(-1, 1, 1, 1)

    @contextmanager
    def rough_products(self) -> Iterator[None]:
        """Inside, products are taken as in training (bfloat16 where that is faster) though nothing is trained."""
        self.rough = True
        try:
            yield
        finally:
            self.rough = False

    def _carried(self, latents: Tensor, sigmas: Tensor, sigma_next: Tensor | None) -> Float[Tensor, "B C t h w"]:
        """What the noisy latents alone say of the velocity: all of it, were the data white noise.

        Without it a token would carry its own noise, patch x patch x C numbers, through a width that is no greater.
        """
        frames = self.config.latent_size[0]
        levels = _per_frame(sigmas, frames)
        ends = levels if sigma_next is None else _per_frame(sigma_next, frames)
        share = gaussian_velocity(levels, ends).to(latents.dtype)
        return self.carry.view(-1, 1, 1, 1) * share[:, None, :, None, None] * latents

    def _products(self) -> torch.dtype:
        weight = self.final.weight
        fast = self.rough or (self.training and torch.is_grad_enabled())
        if fast and weight.device.type == "cpu" and weight.dtype == torch.float32 and trains_in_bfloat16():
            return torch.bfloat16
        return weight.dtype

    def _frame_condition(
        self, sigmas: Tensor, sigma_next: Tensor | None, said: Tensor, condition: Condition
    ) -> Float[Tensor, "B t D"]:
        frames = self.config.latent_size[0]
        levels = _per_frame(sigmas, frames)
        length = torch.zeros_like(levels) if sigma_next is None else levels - _per_frame(sigma_next, frames)
        of_clip = self.embed_slot_condition(said.mean(1) * said.shape[1] ** 0.5)
        of_clip = of_clip + self.embed_control_kind(condition.control_kind)
        told = self.embed_sigma(_sinusoid(levels)) + self.embed_interval(_sinusoid(length)) + of_clip.unsqueeze(1)
        first = told[:, :1] + self.embed_start(condition.starts.long()).unsqueeze(1)
        return functional.silu(torch.cat([first, told[:, 1:]], dim=1))

    def _slot_keys_values(self, said: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Keys and values (B, H, S, d) for every block; they know nothing of sigma."""
        batch, count, width = said.shape
        heads, depth = self.config.heads, self.config.depth
        answers = self.slot_keys_values(said).view(batch, count, depth, 2, heads, width // heads)
        keys, values = answers.permute(2, 3, 0, 4, 1, 5).contiguous().unbind(1)
        return list(zip(unit(keys).unbind(), values.unbind(), strict=True))

    def _control(self, condition: Condition, kind: torch.dtype) -> dict[int, tuple[Tensor, Tensor]]:
        """By block: which clips have control (R,), and what is added to their tokens before it, (R, t, s, D)."""
        if condition.control is None:
            return {}
        rows = torch.nonzero(condition.control_kind != CONTROL_NONE)[:, 0]
        if not len(rows):
            return {}
        hidden = self.control(self._tokens(condition.control[rows], kind))
        layers = zip(self.config.controlled_blocks, self.control_out, strict=True)
        return {index: (rows, layer(hidden)) for index, layer in layers}

    def _tokens(self, grid: Float[Tensor, "B K t h w"], kind: torch.dtype) -> Float[Tensor, "B t s P"]:
        batch, channels = grid.shape[:2]
        (time, rows, columns), side = self.config.token_grid, self.config.patch
        cells = grid.to(kind).reshape(batch, channels, time, rows, side, columns, side)
        return cells.permute(0, 2, 3, 5, 1, 4, 6).reshape(batch, time, rows * columns, -1)

    def _untokens(self, tokens: Float[Tensor, "B t s P"]) -> Float[Tensor, "B C t h w"]:
        (time, rows, columns), side = self.config.token_grid, self.config.patch
        cells = tokens.reshape(len(tokens), time, rows, columns, -1, side, side).permute(0, 4, 1, 2, 5, 3, 6)
        return cells.reshape(len(tokens), -1, *self.config.latent_size)


def slot_indices(slots: SlotTable, values: dict[str, str | None]) -> Int64[Tensor, " S"]:
    """What `Dit` is fed for these slot values, (S,); a missing or unknown value is UNKNOWN."""
    row = [1 + known.index(value) if (value := values.get(name)) in known else UNKNOWN for name, known in slots]
    return torch.tensor(row, dtype=torch.int64)


def gaussian_velocity(sigmas: Float[Tensor, "B t"], sigma_next: Float[Tensor, "B t"]) -> Float[Tensor, "B t"]:
    """Mean velocity from `sigmas` to `sigma_next` over the noisy value, for data of mean 0 and deviation 1.

    On the linear path such a value has deviation s = sqrt((1 - sigma)^2 + sigma^2) and the flow only scales it, so the
    mean velocity is (1 - s_next / s) / (sigma - sigma_next); written so that equal levels divide nothing by zero.
    """
    deviation, after = (((1.0 - level) ** 2 + level**2).sqrt() for level in (sigmas, sigma_next))
    return 2.0 * (sigmas + sigma_next - 1.0) / ((deviation + after) * deviation)


def _sigma_embedding(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(SINUSOIDS, width), nn.SiLU(), nn.Linear(width, width))


def _per_frame(levels: Tensor, frames: int) -> Float[Tensor, "B t"]:
    return levels if levels.ndim == 2 else levels.unsqueeze(1).expand(-1, frames)


def _sinusoid(levels: Float[Tensor, "B t"]) -> Float[Tensor, "B t 256"]:
    half = SINUSOIDS // 2
    frequencies = torch.exp(-math.log(10_000.0) * torch.arange(half, device=levels.device) / half)
    angles = 1_000.0 * levels.unsqueeze(-1) * frequencies.to(levels.dtype)
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


def _rotary_turns(config: DitConfig) -> Float[Tensor, "2 N r"]:
    """Cosine and sine of the angle by which pairs of numbers turn; pairs go to time, height and width."""
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
    return torch.stack([grid.cos(), grid.sin()])
