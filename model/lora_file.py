"""Adapters as files: safetensors in fp16 whose header says base revision, rank, alpha, layers and recipe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from model.checkpoint import write_atomically
from model.errors import ModelError, UnreadableCheckpoint
from model.lora import Factors, Lora, LoraConfig
from model.supported import HEADER_KEY

LORA_VERSION = 1
KIND = "lora"
DOWN, UP = ".lora_down", ".lora_up"
REMEDY = "copy it anew, or make one with `narthex train lora`"


def save_lora(lora: Lora, path: Path) -> None:
    """Write an adapter (temporary file, fsync, rename: a crash leaves the old file or none).

    Raises:
        UnreadableCheckpoint: a value is too large for fp16; the message names the layer.
        OSError: the folder cannot be written.
    """
    tensors: dict[str, Tensor] = {}
    for name, (down, up) in lora.factors.items():
        tensors[name + DOWN] = down.detach().half().contiguous()
        tensors[name + UP] = up.detach().half().contiguous()
    _refuse_bad_values(tensors, path)
    header = {
        "schema_version": LORA_VERSION,
        "kind": KIND,
        "base_revision": lora.base_revision,
        "rank": lora.config.rank,
        "alpha": lora.config.alpha,
        "targets": list(lora.config.targets),
        "recipe": dict(lora.recipe),
    }
    write_atomically(path, save(tensors, {HEADER_KEY: json.dumps(header, sort_keys=True)}))


def load_lora(path: Path) -> Lora:
    """The adapter of a file, its factors in float32.

    Raises:
        UnreadableCheckpoint: missing, a folder, cut short, no adapter of Narthex, of another version, with a layer that
            lacks one of its factors, or with values that are not finite; the message names the file and what is wrong.
    """
    if not path.is_file():
        raise UnreadableCheckpoint(f"{path}: {'is no file' if path.exists() else 'no such file'}; {REMEDY}")
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(HEADER_KEY)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise UnreadableCheckpoint(f"{path}: cut short or no safetensors file ({error}); {REMEDY}") from error
    header = _header(text, path)
    _refuse_bad_values(tensors, path)
    try:
        _check_kinds(header)
        config = LoraConfig(header["rank"], float(header["alpha"]), tuple(header["targets"]))
        return Lora(config, header["base_revision"], _pairs(tensors, path), dict(header["recipe"]))
    except (ModelError, ArithmeticError) as error:
        if isinstance(error, UnreadableCheckpoint):
            raise
        raise UnreadableCheckpoint(f"{path}: makes no adapter ({error}); {REMEDY}") from error


def _header(text: str | None, path: Path) -> dict[str, Any]:
    if text is None:
        raise UnreadableCheckpoint(f"{path}: not an adapter of Narthex (no {HEADER_KEY!r} in its metadata)")
    try:
        header: dict[str, Any] = json.loads(text)
        kind, version = header["kind"], header["schema_version"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UnreadableCheckpoint(f"{path}: its metadata is damaged ({error!r}); {REMEDY}") from error
    if kind != KIND:
        raise UnreadableCheckpoint(f"{path}: holds a {kind!r}, expected a {KIND!r}; give the file of the adapter")
    if version != LORA_VERSION:
        raise UnreadableCheckpoint(
            f"{path}: adapter version {version}, expected {LORA_VERSION}; {REMEDY}, with this Narthex"
        )
    return header


def _check_kinds(header: dict[str, Any]) -> None:
    """Raises ModelError for a field of the header that is missing or of another kind than `save_lora` writes."""
    for name, kinds, expected in (
        ("rank", int, "a whole number"),
        ("alpha", int | float, "a number"),
        ("targets", list, "a list of name patterns"),
        ("base_revision", str, "text"),
        ("recipe", dict, "an object"),
    ):
        value = header.get(name)
        if not isinstance(value, kinds) or isinstance(value, bool):
            raise ModelError(f"{name}: got {str(value)[:40]}, expected {expected}")
    if not all(isinstance(pattern, str) for pattern in header["targets"]):
        raise ModelError(f"targets: got {str(header['targets'])[:40]}, expected a list of name patterns")


def _pairs(tensors: dict[str, Tensor], path: Path) -> dict[str, Factors]:
    pairs: dict[str, Factors] = {}
    for name in tensors:
        layer = name.removesuffix(DOWN).removesuffix(UP)
        if layer == name or layer + DOWN not in tensors or layer + UP not in tensors:
            raise UnreadableCheckpoint(f"{path}: {name}: a layer has two factors, {DOWN} and {UP}; found one")
        pairs[layer] = tensors[layer + DOWN].float(), tensors[layer + UP].float()
    return pairs


def _refuse_bad_values(tensors: dict[str, Tensor], path: Path) -> None:
    bad = [name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()]
    if bad:
        raise UnreadableCheckpoint(f"{path}: factors must be finite (fp16); these are not: {', '.join(bad[:5])}")
