"""Network weights as one safetensors file that carries its kind, configuration and data recipe."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from clips.atomic_file import replacing
from model.dit import Dit, DitConfig
from model.errors import InvalidSpec, UnreadableCheckpoint
from model.supported import HEADER_KEY
from model.vae import Vae, VaeConfig

SCHEMA_VERSION = 1
REPEATED = ("depth", "encoder_blocks", "decoder_blocks", "fine_blocks", "coarse_blocks")
"""Fields of configurations that say how often something with weights of its own is repeated."""

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
    if not path.is_file():
        raise UnreadableCheckpoint(f"{path}: {'is no file' if path.exists() else 'no such file'}; {_remedy(kind)}")
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(HEADER_KEY)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise UnreadableCheckpoint(f"{path}: cut short or no safetensors file ({error}); {_remedy(kind)}") from error
    header = _header(text, kind, path)
    floats = {name: tensor.float() for name, tensor in tensors.items() if not tensor.is_complex()}
    if len(floats) < len(tensors):
        raise UnreadableCheckpoint(f"{path}: weights must be real numbers; {_remedy(kind)}")
    _refuse_bad_values(floats, path)
    return Checkpoint(kind, header["config"], header["recipe"], floats)


def load_vae(path: Path) -> Vae:
    """The VAE of a file, in evaluation mode. Raises UnreadableCheckpoint."""
    return network_of(load_checkpoint(path, "vae"), path, lambda config: Vae(VaeConfig(**config)))


def load_dit(path: Path) -> Dit:
    """The transformer of a file, in evaluation mode. Raises UnreadableCheckpoint."""
    return network_of(load_checkpoint(path, "dit"), path, lambda config: Dit(dit_config(config)))


def network_of(checkpoint: Checkpoint, path: Path, make: Callable[[Recipe], Network]) -> Network:
    """The network that `make` builds of a checkpoint's configuration, with its weights, in evaluation mode.

    Raises:
        UnreadableCheckpoint: the configuration makes no network, or one that the weights do not fit.
    """
    try:
        _refuse_wild(checkpoint)
        with _Bounded(sum(tensor.numel() for tensor in checkpoint.tensors.values())):
            network = make(checkpoint.config)
    except (TypeError, KeyError, ValueError, ArithmeticError, RuntimeError, InvalidSpec) as error:
        said = next(iter(str(error).splitlines()), type(error).__name__)[:200]
        what = f"its configuration makes no {checkpoint.kind} ({said})"
        raise UnreadableCheckpoint(f"{path}: {what}; {_remedy(checkpoint.kind)}") from error
    _refuse_other_shapes(checkpoint, network, path)
    network.load_state_dict(checkpoint.tensors)
    return network.eval().requires_grad_(False)


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


class _Bounded(TorchFunctionMode):
    """No tensor may be larger than a whole file: a damaged configuration may ask for more than any machine has.

    What is too large was reserved, not written to, when it is refused.
    """

    def __init__(self, values: int) -> None:
        super().__init__()
        self._values = values

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """What torch asks instead of each of its functions. Raises InvalidSpec."""
        made = func(*args, **(kwargs or {}))
        if isinstance(made, Tensor) and made.numel() > self._values:
            raise InvalidSpec(f"a weight of {made.numel()} values, but the file has {self._values} in all")
        return made


def _header(text: str | None, kind: str, path: Path) -> Recipe:
    if text is None:
        what = f"not a checkpoint of Narthex (no {HEADER_KEY!r} in its metadata)"
        raise UnreadableCheckpoint(f"{path}: {what}; {_remedy(kind)}")
    try:
        header: Recipe = json.loads(text)
        version, held, config, recipe = (header[name] for name in ("schema_version", "kind", "config", "recipe"))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UnreadableCheckpoint(f"{path}: its metadata is damaged ({error!r}); {_remedy(kind)}") from error
    if version != SCHEMA_VERSION:
        raise UnreadableCheckpoint(
            f"{path}: checkpoint version {version}, expected {SCHEMA_VERSION}; {_remedy(kind)}, with this Narthex"
        )
    if held != kind:
        raise UnreadableCheckpoint(f"{path}: holds a {held!r}, expected a {kind!r}; give the file of the {kind}")
    for name, value in (("config", config), ("recipe", recipe)):
        if not isinstance(value, dict):
            what = f"its metadata's {name} must be an object, got {str(value)[:40]!r}"
            raise UnreadableCheckpoint(f"{path}: {what}; {_remedy(kind)}")
    return header


def _remedy(kind: str) -> str:
    """What to do about a file that is of no use."""
    return f"copy it anew, or make one with `narthex train {kind}`"


def _refuse_wild(checkpoint: Checkpoint) -> None:
    """Raises InvalidSpec for numbers of no architecture, and more repeats than weights (building would not end)."""
    for name, value in checkpoint.config.items():
        if isinstance(value, bool | float):
            raise InvalidSpec(f"{name}: got {value}, expected a whole number")
        if isinstance(value, int) and value < (0 if name.endswith("_blocks") else 1):
            raise InvalidSpec(f"{name}: got {value}, which is too small")
        if name in REPEATED and isinstance(value, int) and value > len(checkpoint.tensors):
            raise InvalidSpec(f"{name}: got {value}, but the file has no more than {len(checkpoint.tensors)} weights")


def _refuse_other_shapes(checkpoint: Checkpoint, network: nn.Module, path: Path) -> None:
    """Raises UnreadableCheckpoint where names or shapes of the weights are not those of the network."""
    planned = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    held = {name: tuple(tensor.shape) for name, tensor in checkpoint.tensors.items()}
    wrong = [f"{name} is missing" for name in planned if name not in held]
    wrong += [f"{name} is unknown" for name in held if name not in planned]
    wrong += [
        f"{name} is {held[name]}, expected {shape}" for name, shape in planned.items() if held.get(name, shape) != shape
    ]
    if wrong:
        more = f", and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        what = f"weights do not fit its configuration: {', '.join(wrong[:3])}{more}"
        raise UnreadableCheckpoint(f"{path}: {what}; {_remedy(checkpoint.kind)}")


def _refuse_bad_values(tensors: dict[str, Tensor], path: Path) -> None:
    bad = [name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()]
    if bad:
        raise UnreadableCheckpoint(f"{path}: weights must be finite (fp16); these are not: {', '.join(bad[:5])}")
