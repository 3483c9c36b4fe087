"""The causal RGB-D 3D VAE: a PCA patch projection with a convolutional refiner around it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from model.errors import InvalidSpec
from model.linear import Linear
from model.pca import whitened_pca

CHANNELS = 4
ENCODER_PARTS = ("project_", "embed_first", "embed_group", "read_", "encoder", "latent_mean", "whiten")


@dataclass(frozen=True)
class VaeConfig:
    """Architecture of the VAE.

    Attributes:
        latent_channels: C of the latents (B, C, T, H, W).
        width: channels of the refiner at latent resolution.
        encoder_blocks, decoder_blocks: refiner blocks on each side.
        detail_width: hidden width of the layers that read and write the detail of a patch (edges, silhouettes).
        patch_px: side of a spatial patch; one latent cell covers patch_px x patch_px pixels.
        group_frames: frames in one latent frame after the first; the first frame has a latent of its own.

    Raises:
        InvalidSpec: a number is not positive, or width is not a multiple of 4.
    """

    latent_channels: int
    width: int
    encoder_blocks: int
    decoder_blocks: int
    patch_px: int
    group_frames: int
    detail_width: int

    def __post_init__(self) -> None:
        for field in ("latent_channels", "width", "patch_px", "group_frames", "detail_width"):
            if getattr(self, field) < 1:
                raise InvalidSpec(f"vae: {field} must be positive, got {getattr(self, field)}")
        if self.encoder_blocks < 0 or self.decoder_blocks < 0 or self.width % 4:
            raise InvalidSpec(f"vae: blocks must not be negative and width a multiple of 4, got {self}")

    def latent_frames(self, frames: int) -> int:
        """Latent frames of a clip of `frames` frames; InvalidSpec where the count is not 1 + k * group_frames."""
        if frames < 1 or (frames - 1) % self.group_frames:
            raise InvalidSpec(f"vae: frames must be 1 + a multiple of {self.group_frames}, got {frames}")
        return 1 + (frames - 1) // self.group_frames


class CausalShiftBlock(nn.Module):
    """ConvNeXt-like residual block over (B, T, H, W, D) that sees the frame before, never the frame after.

    A quarter of the channels comes from the previous latent frame (temporal shift, arXiv 1811.08383, causal form).
    The last layer starts at zero, so a new block is the identity (test_new_refiner_is_the_pca_projection).
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.shifted = width // 4
        self.depthwise = nn.Conv2d(width, width, 5, padding=2, groups=width)
        self.norm = nn.LayerNorm(width)
        self.expand = Linear(width, 3 * width)
        self.contract = Linear(3 * width, width)
        nn.init.zeros_(self.contract.weight)
        nn.init.zeros_(self.contract.bias)

    def forward(
        self, features: Float[Tensor, "B T H W D"], before: Float[Tensor, "B 1 H W D"] | None = None
    ) -> Float[Tensor, "B T H W D"]:
        """The features plus what this block adds; `before` is the latent frame before them, where there was one."""
        batch, time, height, width, depth = features.shape
        first = torch.zeros_like(features[:, :1]) if before is None else before
        earlier = torch.cat([first, features[:, :-1]], dim=1)
        mixed = torch.cat([earlier[..., : self.shifted], features[..., self.shifted :]], dim=-1)
        flat = mixed.reshape(batch * time, height, width, depth).permute(0, 3, 1, 2)
        spatial = self.depthwise(flat).permute(0, 2, 3, 1).reshape(features.shape)
        hidden = nn.functional.gelu(self.expand(self.norm(spatial)), approximate="tanh")
        added: Tensor = self.contract(hidden)
        return features + added


@dataclass(frozen=True, eq=False)
class DecoderMemory:
    """What a decoder remembers of the latents before: the last latent frame (B, 1, h, w, width) before each block."""

    features: tuple[Float[Tensor, "B 1 h w D"], ...]


class Vae(nn.Module):
    """RGB-D clips (B, 4, T, H, W) to whitened latents (B, C, 1 + (T-1)/4, H/8, W/8) and back.

    The posterior has one fixed variance (`model/train/vae.py` adds its noise), so encoding is its mean.
    """

    latent_mean: Tensor
    whiten: Tensor
    unwhiten: Tensor

    def __init__(self, config: VaeConfig) -> None:
        super().__init__()
        self.config = config
        latent, width = config.latent_channels, config.width
        first, group = self.patch_values(1), self.patch_values(config.group_frames)
        self.project_first = nn.Linear(first, latent)
        self.project_group = nn.Linear(group, latent)
        self.embed_first = Linear(first, width)
        self.embed_group = Linear(group, width)
        self.read_first = _detail(first, config.detail_width, width)
        self.read_group = _detail(group, config.detail_width, width)
        self.encoder = nn.Sequential(*(CausalShiftBlock(width) for _ in range(config.encoder_blocks)))
        self.encoder_head = _zero_linear(width, latent)
        self.embed_latent = Linear(latent, width)
        self.decoder = nn.Sequential(*(CausalShiftBlock(width) for _ in range(config.decoder_blocks)))
        self.unproject_first = nn.Linear(latent, first)
        self.unproject_group = nn.Linear(latent, group)
        self.head_first = _zero_linear(width, first)
        self.head_group = _zero_linear(width, group)
        self.write_first = _detail(width, config.detail_width, first)
        self.write_group = _detail(width, config.detail_width, group)
        self.register_buffer("latent_mean", torch.zeros(latent))
        self.register_buffer("whiten", torch.eye(latent))
        self.register_buffer("unwhiten", torch.eye(latent))

    @property
    def encoder_revision(self) -> str:
        """First 12 hex digits of a SHA-256 over what decides the latents: a decoder trained on keeps its latents."""
        hasher = hashlib.sha256(repr(replace(self.config, decoder_blocks=0)).encode())
        for name, tensor in sorted(self.state_dict().items()):
            if name.startswith(ENCODER_PARTS):
                hasher.update(name.encode() + tensor.detach().cpu().half().numpy().tobytes())
        return hasher.hexdigest()[:12]

    def patch_values(self, frames: int) -> int:
        """Numbers in one patch of `frames` frames."""
        return frames * self.config.patch_px**2 * CHANNELS

    def encode(self, rgbd: Float[Tensor, "B 4 T H W"]) -> Float[Tensor, "B C t h w"]:
        """Whitened latents of clips packed by `model.rgbd.pack_rgbd`."""
        raw = self.encode_raw(rgbd)
        return ((raw - self.latent_mean) @ self.whiten.T).movedim(-1, 1)

    def decode(self, latents: Float[Tensor, "B C t h w"]) -> Float[Tensor, "B 4 T H W"]:
        """Clips of whitened latents; a latent frame decides its own and later frames, no earlier ones."""
        return self.decode_raw(self._raw(latents))

    def decode_chunk(
        self, latents: Float[Tensor, "B C t h w"], memory: DecoderMemory | None = None
    ) -> tuple[Float[Tensor, "B 4 T H W"], DecoderMemory]:
        """The next frames of a clip, and what to give back for those after them.

        Chunks of any lengths, one after another, are the frames that `decode` makes of all latents at once: the
        memory of a long clip's decoding is that of a chunk.

        Args:
            memory: what the chunk before returned; None for a clip's beginning, whose first latent is one frame.
        """
        features, remembered = self.embed_latent(raw := self._raw(latents)), []
        for index, block in enumerate(self.decoder):
            remembered.append(features[:, -1:])
            features = block(features, None if memory is None else memory.features[index])
        return self._written(raw, features, begins=memory is None), DecoderMemory(tuple(remembered))

    def _raw(self, latents: Float[Tensor, "B C t h w"]) -> Float[Tensor, "B t h w C"]:
        return latents.movedim(1, -1) @ self.unwhiten.T + self.latent_mean

    def encode_raw(self, rgbd: Float[Tensor, "B 4 T H W"]) -> Float[Tensor, "B t h w C"]:
        """Latents before whitening, channels last, as training sees them.

        Raises:
            InvalidSpec: the number of frames or the picture's sides do not fit the patches.
        """
        first, group = self.to_patches(rgbd)
        projected = torch.cat([self.project_first(first), self.project_group(group)], dim=1)
        of_first = self.embed_first(first) + self.read_first(first)
        features = torch.cat([of_first, self.embed_group(group) + self.read_group(group)], dim=1)
        refined: Tensor = self.encoder_head(self.encoder(features))
        return projected + refined

    def decode_raw(self, raw: Float[Tensor, "B t h w C"]) -> Float[Tensor, "B 4 T H W"]:
        """Clips of latents before whitening."""
        return self._written(raw, self.decoder(self.embed_latent(raw)), begins=True)

    def _written(
        self, raw: Float[Tensor, "B t h w C"], features: Float[Tensor, "B t h w D"], *, begins: bool
    ) -> Float[Tensor, "B 4 T H W"]:
        """Frames of decoded features; where they begin a clip, the first latent frame is one frame alone."""
        single = 1 if begins else 0
        head, rest = features[:, :single], features[:, single:]
        first = self.unproject_first(raw[:, :single]) + self.head_first(head) + self.write_first(head)
        group = self.unproject_group(raw[:, single:]) + self.head_group(rest) + self.write_group(rest)
        return self.from_patches(first, group)

    def to_patches(self, rgbd: Float[Tensor, "B 4 T H W"]) -> tuple[Tensor, Tensor]:
        """Patches of the first frame (B, 1, h, w, 256) and of the groups after it (B, t-1, h, w, 1024)."""
        batch, channels, frames, height, width = rgbd.shape
        side, count = self.config.patch_px, self.config.group_frames
        groups = self.config.latent_frames(frames) - 1
        if height % side or width % side or channels != CHANNELS:
            raise InvalidSpec(f"vae: clips must be (B, 4, T, k*{side}, l*{side}), got {tuple(rgbd.shape)}")
        tiled = rgbd.reshape(batch, channels, frames, height // side, side, width // side, side)
        tiled = tiled.permute(0, 2, 3, 5, 1, 4, 6)
        first = tiled[:, :1].flatten(4)
        rest = tiled[:, 1:].reshape(batch, groups, count, *tiled.shape[2:])
        return first, rest.permute(0, 1, 3, 4, 2, 5, 6, 7).flatten(4)

    def from_patches(self, first: Tensor, group: Tensor) -> Float[Tensor, "B 4 T H W"]:
        """The inverse of `to_patches`."""
        batch, groups, rows, columns = group.shape[:4]
        side, count = self.config.patch_px, self.config.group_frames
        head = first.reshape(batch, first.shape[1], rows, columns, CHANNELS, side, side)
        rest = group.reshape(batch, groups, rows, columns, count, CHANNELS, side, side)
        rest = rest.permute(0, 1, 4, 2, 3, 5, 6, 7).reshape(batch, groups * count, *head.shape[2:])
        tiled = torch.cat([head, rest], dim=1)
        return tiled.permute(0, 4, 1, 2, 5, 3, 6).reshape(batch, CHANNELS, -1, rows * side, columns * side)

    @torch.no_grad()
    def start_from_pca(self, rgbd: Float[Tensor, "N 4 T H W"]) -> None:
        """Set both projections to whitened PCA of these clips, the groups' basis turned to match the first frame's.

        The turn (orthogonal Procrustes) makes a latent mean the same thing in the first frame and in later ones:
        a still picture has about the same latents in both.
        """
        count, latent = self.config.group_frames, self.config.latent_channels
        single, group = self.to_patches(rgbd[:, :, :1])[0], self.to_patches(rgbd)[1]
        middle = rgbd[:, :, 1 + count // 2 :: count].transpose(1, 2).flatten(0, 1).unsqueeze(2)
        middle = self.to_patches(middle)[0]
        still = whitened_pca(torch.cat([single, middle]).flatten(0, -2), latent)
        moving = whitened_pca(group.flatten(0, -2), latent)
        in_order = middle.reshape(-1, middle.shape[-1])
        moving = moving.turned_towards(group.flatten(0, -2), still.encode(in_order))
        for basis, project, unproject in (
            (still, self.project_first, self.unproject_first),
            (moving, self.project_group, self.unproject_group),
        ):
            project.weight.copy_(basis.analysis)
            project.bias.copy_(-basis.analysis @ basis.mean)
            unproject.weight.copy_(basis.synthesis)
            unproject.bias.copy_(basis.mean)

    @torch.no_grad()
    def set_whitening(self, raw: Float[Tensor, "N t h w C"], kept: int = 0) -> None:
        """Measure mean and covariance of raw latents, so that `encode` gives mean 0 and unit covariance.

        Args:
            raw: latents before whitening.
            kept: so many first channels stay whitened as they are; the others lose what these tell of them.
        """
        flat = raw.flatten(0, -2).double()
        mean = flat.mean(0)
        mean[:kept] = self.latent_mean[:kept].double()
        centred = flat - mean
        whiten = torch.eye(flat.shape[1], dtype=torch.float64)
        whiten[:kept, :kept] = self.whiten[:kept, :kept].double()
        known = centred @ whiten[:, :kept]
        told = torch.linalg.solve(known.T @ known, known.T @ centred[:, kept:]).T
        values, vectors = torch.linalg.eigh(torch.cov((centred[:, kept:] - known @ told.T).T, correction=0))
        root = vectors @ torch.diag(1.0 / values.clamp_min(1e-8).sqrt()) @ vectors.T
        whiten[kept:, :kept] = -root @ told @ whiten[:kept, :kept]
        whiten[kept:, kept:] = root
        self.latent_mean.copy_(mean)
        self.whiten.copy_(whiten)
        self.unwhiten.copy_(torch.linalg.inv(whiten))


def _detail(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    """What a linear layer cannot say of a patch: where an edge runs through it; zero before training."""
    return nn.Sequential(
        nn.LayerNorm(inputs), Linear(inputs, hidden), nn.GELU(approximate="tanh"), _zero_linear(hidden, outputs)
    )


def _zero_linear(inputs: int, outputs: int) -> Linear:
    linear = Linear(inputs, outputs)
    nn.init.zeros_(linear.weight)
    nn.init.zeros_(linear.bias)
    return linear
