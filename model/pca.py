"""Whitened principal components of patches: where the VAE's projections start."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, eq=False)
class PatchBasis:
    """A linear code of patches with unit covariance.

    Attributes:
        mean: mean patch, (P,).
        analysis: patch to code, (C, P).
        synthesis: code to patch, (P, C); analysis @ synthesis is the identity.
    """

    mean: Float[Tensor, " P"]
    analysis: Float[Tensor, "C P"]
    synthesis: Float[Tensor, "P C"]

    def encode(self, patches: Float[Tensor, "N P"]) -> Float[Tensor, "N C"]:
        """Codes (N, C) with mean 0 and unit covariance over the patches that made this basis."""
        return (patches - self.mean) @ self.analysis.T

    def decode(self, codes: Float[Tensor, "N C"]) -> Float[Tensor, "N P"]:
        """The patches nearest to the codes."""
        return codes @ self.synthesis.T + self.mean

    def turned_towards(self, patches: Float[Tensor, "N P"], target: Float[Tensor, "N C"]) -> PatchBasis:
        """This basis after the rotation that brings its codes of `patches` nearest to `target` (Procrustes).

        A rotation keeps the covariance at one and the reconstruction as it was.
        """
        left, _, right = torch.linalg.svd(self.encode(patches).T @ target)
        turn = left @ right
        return PatchBasis(self.mean, turn.T @ self.analysis, self.synthesis @ turn)


def whitened_pca(patches: Float[Tensor, "N P"], components: int) -> PatchBasis:
    """The first `components` principal components of `patches`, scaled to unit variance (float64 inside)."""
    wide = patches.double()
    mean = wide.mean(0)
    centred = wide - mean
    values, vectors = torch.linalg.eigh(centred.T @ centred / len(wide))
    top = vectors[:, -components:].flip(-1)
    deviation = values[-components:].flip(-1).clamp_min(1e-8).sqrt()
    analysis = (top / deviation).T
    return PatchBasis(mean.float(), analysis.float().contiguous(), (top * deviation).float().contiguous())
