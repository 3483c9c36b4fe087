"""What the autoencoder loses of clips that it never trained on."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from jaxtyping import Bool, Float32, UInt8

from model.rgbd import pack_rgbd, unpack_rgbd
from model.vae import Vae

RealClip = tuple[UInt8[np.ndarray, "T H W 3"], Float32[np.ndarray, "T H W"], Bool[np.ndarray, "T H W"]]
"""Frames, depth in metres and the mask of the free object of one real clip."""

LEAST_SQUARE = 1e-10


@torch.no_grad()
def reconstruction_figures(vae: Vae, clips: Iterable[RealClip]) -> dict[str, float]:
    """Figures of encoding and decoding: psnr_db, depth_abs_rel (both means over clips), object_psnr_db.

    The object's PSNR is that of the mean squared error over all pixels of all object masks' clips, each clip weighing
    the same; it is absent where no clip shows the object. Empty input gives no figures.
    """
    psnr, abs_rel, in_object = [], [], []
    for frames, depth, mask in clips:
        decoded, decoded_depth = unpack_rgbd(vae.decode(vae.encode(pack_rgbd(frames, depth)[None]))[0])
        error = (decoded.astype(np.float32) - frames) / 255.0
        true_depth = depth.astype(np.float32)
        psnr.append(_decibels(float(np.square(error).mean())))
        abs_rel.append(float((np.abs(decoded_depth - true_depth) / true_depth).mean()))
        if mask.any():
            in_object.append(float(np.square(error[mask]).mean()))
    figures = {}
    if psnr:
        figures = {"psnr_db": float(np.mean(psnr)), "depth_abs_rel": float(np.mean(abs_rel))}
    if in_object:
        figures["object_psnr_db"] = _decibels(float(np.mean(in_object)))
    return figures


def _decibels(mean_square: float) -> float:
    return float(-10.0 * np.log10(max(mean_square, LEAST_SQUARE)))
