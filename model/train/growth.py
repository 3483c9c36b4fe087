"""Wider networks that begin as a trained narrower one: what is new starts at zero (Net2Net, arXiv 1511.05641).

A run of hours is not thrown away because the latents get more channels: the first channels stay what they were, and the
transformer trained on them goes on.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from model.dit import Dit, DitConfig
from model.errors import ModelError
from model.pca import whitened_pca
from model.vae import Vae, VaeConfig


@torch.no_grad()
def grown_dit(trained: Dit, config: DitConfig) -> Dit:
    """A transformer of `config`, perhaps of more latent channels, that predicts what `trained` does for the first ones.

    Raises:
        ModelError: `config` differs in more than that, or has fewer channels.
    """
    held = trained.config
    if replace(config, latent_channels=held.latent_channels) != held or config.latent_channels < held.latent_channels:
        raise ModelError(f"weights to start from have another architecture or other slots: {held}; expected {config}")
    dit = Dit(config)
    _copy_leading(trained, dit)
    return dit


@torch.no_grad()
def grown_vae(trained: Vae, config: VaeConfig, clips: Float[Tensor, "N 4 T H W"]) -> Vae:
    """A VAE of `config`, perhaps of more channels and blocks, that decodes what `trained` does; not whitened yet.

    New channels read the principal components of what `trained` loses of `clips`; the decoder does not look at them
    until it is trained to.

    Raises:
        ModelError: `config` differs in more than that, or has less of one.
    """
    held = trained.config
    growing = ("latent_channels", "encoder_blocks", "decoder_blocks")
    smaller = [name for name in growing if getattr(config, name) < getattr(held, name)]
    if smaller or replace(config, **{name: getattr(held, name) for name in growing}) != held:
        raise ModelError(f"weights to start from have another architecture: {held}; expected {config}")
    vae = Vae(config)
    blank = {name: tensor.clone() for name, tensor in vae.state_dict().items() if name in _WHITENING}
    _copy_leading(trained, vae)
    vae.load_state_dict({**vae.state_dict(), **blank})
    new = config.latent_channels - held.latent_channels
    if new:
        lost = [trained.to_patches(clip - trained.decode_raw(trained.encode_raw(clip))) for clip in clips[:, None]]
        firsts, groups = zip(*lost, strict=True)
        _read_lost(vae.project_first, torch.cat(firsts).flatten(0, -2), new)
        _read_lost(vae.project_group, torch.cat(groups).flatten(0, -2), new)
    return vae


_WHITENING = ("latent_mean", "whiten", "unwhiten")


def _read_lost(project: nn.Linear, lost: Float[Tensor, "N P"], new: int) -> None:
    basis = whitened_pca(lost, new)
    project.weight[-new:] = basis.analysis
    project.bias[-new:] = -basis.analysis @ basis.mean


def _copy_leading(trained: nn.Module, wider: nn.Module) -> None:
    """Put the tensors of `trained` into the leading corner of those of `wider`; the rest of these becomes zero."""
    state = wider.state_dict()
    for name, tensor in trained.state_dict().items():
        if state[name].shape != tensor.shape:
            state[name].zero_()
        state[name][tuple(slice(length) for length in tensor.shape)] = tensor
    wider.load_state_dict(state)
