"""Network weights as one safetensors file that carries its kind, configuration and data recipe."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from clips.atomic_file import replacing
from model.dit import Dit, DitConfig
from model.errors import InvalidSpec, UnreadableCheckpoint
from model.vae import Vae, VaeConfig

SCHEMA_VERSION = 1
HEADER_KEY = "narthex"
Recipe = dict[str, Any]
Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What one file holds.

    Attributes:
        kind: "vae" or "dit".
        config: the architecture, as a JSON object.
        recipe: which data trained it and how, as a JSON object.
        tensors: name to tensor, float32 once loaded.
    """

    kind: str
    config: Recipe
    recipe: Recipe
    tensors: dict[str, Tensor]


def save_checkpoint(network: Vae | Dit, recipe: Recipe, path: Path) -> None:
    """Write the network as fp16 (temporary file, fsync, rename: a crash leaves the old file or none).

    Raises:
        UnreadableCheckpoint: a weight is not finite, or too large for fp16.
    """
    kind = "vae" if isinstance(network, Vae) else "dit"
    tensors = {name: tensor.detach().half().contiguous() for name, tensor in network.state_dict().items()}
    _refuse_bad_values(tensors, path)
    header = {"schema_version": SCHEMA_VERSION, "kind": kind, "config": asdict(network.config), "recipe": recipe}
    # One key only: safetensors writes several in an order that differs from run to run.
    write_atomically(path, save(tensors, {HEADER_KEY: json.dumps(header, sort_keys=True)}))


def load_checkpoint(path: Path, kind: str) -> Checkpoint:
    """Read and check one file.

    Raises:
        UnreadableCheckpoint: missing, cut short, no checkpoint of Narthex, of another version or kind, or with
            values that are not finite; the message names the file and what is wrong.
    """
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(HEADER_KEY)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise UnreadableCheckpoint(f"{path}: missing, cut short or no safetensors file ({error})") from error
    header = _header(text, kind, path)
    _refuse_bad_values(tensors, path)
    floats = {name: tensor.float() for name, tensor in tensors.items()}
    return Checkpoint(kind, header["config"], header["recipe"], floats)


def load_vae(path: Path) -> Vae:
    """The VAE of a file, in evaluation mode. Raises UnreadableCheckpoint."""
    checkpoint = load_checkpoint(path, "vae")
    try:
        vae = Vae(VaeConfig(**checkpoint.config))
    except (TypeError, InvalidSpec) as error:
        raise UnreadableCheckpoint(f"{path}: its configuration makes no VAE ({error})") from error
    return _filled(vae, checkpoint, path)


def load_dit(path: Path) -> Dit:
    """The transformer of a file, in evaluation mode. Raises UnreadableCheckpoint."""
    checkpoint = load_checkpoint(path, "dit")
    try:
        dit = Dit(dit_config(checkpoint.config))
    except (TypeError, KeyError, ValueError, InvalidSpec) as error:
        raise UnreadableCheckpoint(f"{path}: its configuration makes no transformer ({error})") from error
    return _filled(dit, checkpoint, path)


def dit_config(fields: Recipe) -> DitConfig:
    """The configuration of a JSON object (lists become tuples)."""
    slots = tuple((str(name), tuple(values)) for name, values in fields["slots"])
    time, rows, columns = fields["latent_size"]
    return DitConfig(**{**fields, "slots": slots, "latent_size": (time, rows, columns)})


def write_atomically(path: Path, content: bytes) -> None:
    """Replace the file at `path` by `content`: a crash leaves the old file or the new one, whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial:
        partial.write_bytes(content)


def _header(text: str | None, kind: str, path: Path) -> Recipe:
    if text is None:
        raise UnreadableCheckpoint(f"{path}: not a checkpoint of Narthex (no {HEADER_KEY!r} in its metadata)")
    try:
        header: Recipe = json.loads(text)
        version, held, _, _ = (header[name] for name in ("schema_version", "kind", "config", "recipe"))
    except (ValueError, KeyError, TypeError) as error:
        raise UnreadableCheckpoint(f"{path}: its metadata is damaged ({error})") from error
    if version != SCHEMA_VERSION:
        raise UnreadableCheckpoint(f"{path}: checkpoint version {version}, expected {SCHEMA_VERSION}")
    if held != kind:
        raise UnreadableCheckpoint(f"{path}: holds a {held!r}, expected a {kind!r}")
    return header


def _filled(network: Network, checkpoint: Checkpoint, path: Path) -> Network:
    try:
        network.load_state_dict(checkpoint.tensors)
    except RuntimeError as error:
        raise UnreadableCheckpoint(f"{path}: weights do not fit its configuration ({error})") from error
    return network.eval().requires_grad_(False)


def _refuse_bad_values(tensors: dict[str, Tensor], path: Path) -> None:
    bad = [name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()]
    if bad:
        raise UnreadableCheckpoint(f"{path}: weights must be finite (fp16); these are not: {', '.join(bad[:5])}")
