"""Networks of more latent channels that begin as a trained one of fewer (after Net2Net, arXiv 1511.05641).

A run of hours is not thrown away because the latents get more channels: the first channels stay what they were to the
bit of a rounding error, so the transformer trained on them goes on.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from model.dit import Dit, DitConfig
from model.errors import ModelError
from model.pca import PatchBasis, whitened_pca
from model.vae import Vae, VaeConfig


@torch.no_grad()
def grown_dit(trained: Dit, config: DitConfig) -> Dit:
    """A transformer of `config`, perhaps of more latent channels, that predicts what `trained` does for the first ones.

    For the new ones it predicts what their noisy values alone say, and samples start them without noise.

    Raises:
        ModelError: `config` differs in more than that, or has fewer channels.
    """
    held = trained.config
    if replace(config, latent_channels=held.latent_channels) != held or config.latent_channels < held.latent_channels:
        raise ModelError(f"weights to start from have another architecture or other slots: {held}; expected {config}")
    dit = Dit(config)
    _copy_leading(trained, dit)
    dit.carry[held.latent_channels :] = 1.0
    dit.temperature[held.latent_channels :] = 0.0
    return dit


@torch.no_grad()
def grown_vae(trained: Vae, config: VaeConfig, clips: Float[Tensor, "N 4 T H W"]) -> Vae:
    """A VAE of `config`, perhaps of more channels and decoder blocks, whose first latents are those of `trained`.

    New channels code the principal components of what `trained` loses of `clips`, less what its latents already tell
    of them, and the decoder puts those components back: if p(x) is the part of a patch that lies along them and y what
    `trained` decodes, it decodes y - p(y) + p(x).

    Raises:
        ModelError: `config` differs in more than that, or has less of one.
    """
    held = trained.config
    growing = ("latent_channels", "decoder_blocks")
    smaller = [name for name in growing if getattr(config, name) < getattr(held, name)]
    if smaller or replace(config, **{name: getattr(held, name) for name in growing}) != held:
        raise ModelError(f"weights to start from have another architecture: {held}; expected {config}")
    vae = Vae(config)
    _copy_leading(trained, vae)
    new = config.latent_channels - held.latent_channels
    if new:
        _code_the_lost(trained, vae, clips, new)
    return vae


@torch.no_grad()
def _code_the_lost(trained: Vae, vae: Vae, clips: Float[Tensor, "N 4 T H W"], new: int) -> None:
    old = trained.config.latent_channels
    raws, wholes, lost = _losses(trained, clips)
    bases = [whitened_pca(patches, new) for patches in lost]
    codes = torch.cat([basis.encode(patches) for basis, patches in zip(bases, wholes, strict=True)])
    told = _regression(raws, codes)
    for basis, project, unproject, head, write in (
        (bases[0], vae.project_first, vae.unproject_first, vae.head_first, vae.write_first),
        (bases[1], vae.project_group, vae.unproject_group, vae.head_group, vae.write_group),
    ):
        project.weight[old:] = basis.analysis - told @ project.weight[:old]
        project.bias[old:] = -basis.analysis @ basis.mean - told @ project.bias[:old]
        _put_back(basis, told, unproject, (head, _last_linear(write)))
    vae.encoder_head.weight[old:] = -told @ vae.encoder_head.weight[:old]
    vae.encoder_head.bias[old:] = -told @ vae.encoder_head.bias[:old]
    vae.set_whitening(torch.cat([vae.encode_raw(clip) for clip in clips[:, None]]), kept=old)


def _losses(trained: Vae, clips: Float[Tensor, "N 4 T H W"]) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """Raw latents (N, C) of all cells, then patches of first frames and of groups: whole, and what is lost of them."""
    of_first, of_group, parts = [], [], []
    for clip in clips[:, None]:
        raw = trained.encode_raw(clip)
        first, group = trained.to_patches(clip)
        lost_first, lost_group = trained.to_patches(clip - trained.decode_raw(raw))
        of_first.append(raw[:, :1].flatten(0, -2))
        of_group.append(raw[:, 1:].flatten(0, -2))
        parts.append([part.flatten(0, -2) for part in (first, group, lost_first, lost_group)])
    first, group, lost_first, lost_group = (torch.cat(list(part)) for part in zip(*parts, strict=True))
    return torch.cat(of_first + of_group), [first, group], [lost_first, lost_group]


def _last_linear(layers: nn.Sequential) -> nn.Linear:
    return [layer for layer in layers if isinstance(layer, nn.Linear)][-1]


def _regression(known: Float[Tensor, "N C"], wanted: Float[Tensor, "N K"]) -> Float[Tensor, "K C"]:
    """The linear map that tells most of `wanted` from `known`, both less their means (float64 inside)."""
    inputs, outputs = known.double(), wanted.double()
    inputs, outputs = inputs - inputs.mean(0), outputs - outputs.mean(0)
    told: Tensor = torch.linalg.solve(inputs.T @ inputs, inputs.T @ outputs)
    return told.T.float().contiguous()


def _put_back(basis: PatchBasis, told: Tensor, unproject: nn.Linear, others: tuple[nn.Linear, nn.Linear]) -> None:
    """Let the last layers write all but the basis' components, and those from the new channels."""
    old = told.shape[1]
    projector = basis.synthesis @ basis.analysis
    for layer in (unproject, *others):
        layer.weight.copy_(layer.weight - projector @ layer.weight)
        layer.bias.copy_(layer.bias - projector @ layer.bias)
    unproject.weight[:, :old] += basis.synthesis @ told
    unproject.weight[:, old:] = basis.synthesis
    unproject.bias.copy_(unproject.bias + projector @ basis.mean)


def _copy_leading(trained: nn.Module, wider: nn.Module) -> None:
    """Put the tensors of `trained` into the leading corner of those of `wider`; the rest of these becomes zero.

    What `trained` has no tensor of, new blocks of a decoder, stays as it began.
    """
    state = wider.state_dict()
    for name, tensor in trained.state_dict().items():
        if state[name].shape != tensor.shape:
            state[name].zero_()
        state[name][tuple(slice(length) for length in tensor.shape)] = tensor
    wider.load_state_dict(state)
