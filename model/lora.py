"""Low-rank adapters (LoRA, arXiv 2106.09685): what they are, and putting them on a network and taking them off.

An adapter gives a linear layer W the change (alpha / rank) * up @ down. `WornLoras` merges the changes into new
weights and leaves the base's own weights alone: inference costs nothing, and taking the adapters off hands the
layers back the very parameters that they had (test_taking_off_restores_every_byte).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from model.errors import ModelError

TARGETS: tuple[str, ...] = ("embed_latents", "slot_keys_values", "blocks.*", "final")
"""What of `model.dit.Dit` learns a style, by name pattern: the layers at both ends, where a new palette is one product
on the way in and one on the way out, the slots' keys and values, and attention and MLP of every block."""

NEVER: tuple[str, ...] = ("*modulation*",)
"""Linear layers that no pattern takes unless it names them to the letter: they scale and gate, they do not mix."""

MAX_RANK = 256
MAX_WEIGHT = 4.0
Factors = tuple[Float[Tensor, "r in"], Float[Tensor, "out r"]]
"""`down` and `up` of one layer."""


@dataclass(frozen=True)
class LoraConfig:
    """Which layers an adapter changes, and how strongly.

    Attributes:
        rank: of every change; at most MAX_RANK.
        alpha: every change is scaled by alpha / rank.
        targets: name patterns (as in `fnmatch`) of linear layers.

    Raises:
        ModelError: a number is out of range or there is no pattern.
    """

    rank: int = 8
    alpha: float = 16.0
    targets: tuple[str, ...] = TARGETS

    def __post_init__(self) -> None:
        if not 1 <= self.rank <= MAX_RANK:
            raise ModelError(f"lora: rank must be within [1, {MAX_RANK}], got {self.rank}")
        if not (math.isfinite(self.alpha) and 0 < self.alpha <= 1024):
            raise ModelError(f"lora: alpha must be within (0, 1024], got {self.alpha}")
        if not self.targets or not all(self.targets):
            raise ModelError(f"lora: targets must be name patterns, at least one, got {self.targets}")

    @property
    def scale(self) -> float:
        """What `up @ down` is multiplied by."""
        return self.alpha / self.rank


@dataclass(frozen=True, eq=False)
class Lora:
    """One trained adapter.

    Attributes:
        config: rank, alpha and the patterns that chose the layers.
        base_revision: the weights that it was trained on (`model.revision.weights_revision`).
        factors: layer name to (down (rank, in), up (out, rank)), float32.
        recipe: what trained it and what it gave, a JSON object.

    Raises:
        ModelError: a layer's factors are not of this rank, or a value is not finite; the message names the layer.
    """

    config: LoraConfig
    base_revision: str
    factors: Mapping[str, Factors]
    recipe: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.factors:
            raise ModelError("lora: an adapter needs at least one layer, got none")
        for name, (down, up) in self.factors.items():
            if down.ndim != 2 or up.ndim != 2 or down.shape[0] != self.config.rank or up.shape[1] != self.config.rank:
                got = f"{tuple(down.shape)} and {tuple(up.shape)}"
                raise ModelError(f"lora: {name}: expected factors of rank {self.config.rank}, got shapes {got}")
            if not (torch.isfinite(down).all() and torch.isfinite(up).all()):
                raise ModelError(f"lora: {name}: factors must be finite, some values are not")

    def change(self, name: str) -> Float[Tensor, "out in"]:
        """What the adapter adds to the weight of layer `name`, float32."""
        down, up = self.factors[name]
        return self.config.scale * (up.float() @ down.float())

    def digest(self) -> str:
        """First 12 hex digits of a SHA-256 over everything that decides what the adapter does."""
        hasher = hashlib.sha256(f"{self.base_revision} {self.config.scale:.9g}".encode())
        for name in sorted(self.factors):
            hasher.update(name.encode())
            for factor in self.factors[name]:
                hasher.update(factor.float().contiguous().numpy(force=True).tobytes())
        return hasher.hexdigest()[:12]


def target_layers(network: nn.Module, targets: tuple[str, ...] = TARGETS) -> dict[str, nn.Linear]:
    """The linear layers of `network` that the patterns choose, by name and in the network's order.

    Raises:
        ModelError: a pattern chooses no linear layer; the message names it.
    """
    layers = {name: module for name, module in network.named_modules() if isinstance(module, nn.Linear)}
    chosen: set[str] = set()
    for pattern in targets:
        found = {name for name in layers if fnmatchcase(name, pattern) and (pattern == name or not _never(name))}
        if not found:
            raise ModelError(f"lora: pattern {pattern!r} chooses no linear layer; the network has {_some(layers)}")
        chosen |= found
    return {name: layer for name, layer in layers.items() if name in chosen}


class WornLoras:
    """The adapters that one network wears: several at once add up, each with its own weight.

    The network's layers hold merged weights while it wears any; `state_dict` shows those.
    """

    def __init__(self, network: nn.Module, base_revision: str) -> None:
        self.base_revision = base_revision
        self._layers = {name: layer for name, layer in network.named_modules() if isinstance(layer, nn.Linear)}
        self._base: dict[str, Tensor] = {}
        self._worn: dict[str, tuple[Lora, float]] = {}

    @property
    def weights(self) -> dict[str, float]:
        """Name to weight of every adapter that is worn, in the order in which they were put on."""
        return {name: weight for name, (_, weight) in self._worn.items()}

    @property
    def revision(self) -> str:
        """Names these weights: the base's revision, and a digest of what is worn where anything is."""
        if not self._worn:
            return self.base_revision
        worn = ",".join(f"{lora.digest()}*{weight:.6g}" for lora, weight in self._worn.values())
        return f"{self.base_revision}+{hashlib.sha256(worn.encode()).hexdigest()[:12]}"

    def put_on(self, name: str, lora: Lora, weight: float = 1.0, *, any_base: bool = False) -> None:
        """Wear `lora` under `name`, its changes times `weight`.

        Raises:
            ModelError: the name is taken, the weight is out of range, the adapter was made for other weights (unless
                `any_base`), or for a layer that is not there or has another shape. Nothing is changed then.
        """
        if name in self._worn:
            raise ModelError(f"lora: {name!r} is already worn; take it off first or set its weight")
        if lora.base_revision != self.base_revision and not any_base:
            raise ModelError(
                f"lora: {name!r} was trained on revision {lora.base_revision}, these weights are revision "
                f"{self.base_revision}; train it again on them, or force it (what it does then, nobody has tested)"
            )
        _check_fit(name, lora, self._layers)
        self._wear({**self._worn, name: (lora, _checked_weight(name, weight))})

    def set_weight(self, name: str, weight: float) -> None:
        """Wear the adapter `name` with another weight. Raises ModelError where it is not worn or out of range."""
        lora, _ = self._found(name)
        self._wear({**self._worn, name: (lora, _checked_weight(name, weight))})

    def take_off(self, name: str) -> None:
        """Wear the adapter `name` no longer; with the last one gone every weight is the base's own again.

        Raises:
            ModelError: it is not worn.
        """
        self._found(name)
        self._wear({other: worn for other, worn in self._worn.items() if other != name})

    def take_off_all(self) -> None:
        """Hand every layer its own weight back."""
        self._wear({})

    def _found(self, name: str) -> tuple[Lora, float]:
        if name not in self._worn:
            raise ModelError(f"lora: {name!r} is not worn; worn are {_some(self._worn)}")
        return self._worn[name]

    def _wear(self, wanted: dict[str, tuple[Lora, float]]) -> None:
        """Make the layers wear exactly `wanted`; whatever fails, fails before the first layer is touched."""
        changed = {layer for lora, weight in wanted.values() if weight for layer in lora.factors}
        names = [layer for layer in self._layers if layer in changed]
        merged = {layer: self._merged(layer, wanted) for layer in names}
        # Remembered before the first layer changes: whoever interrupts this can still have everything taken off.
        self._base |= {layer: self._layers[layer].weight for layer in names if layer not in self._base}
        for layer, base in self._base.items():
            self._layers[layer].weight = merged.get(layer, base)
        self._base = {layer: base for layer, base in self._base.items() if layer in changed}
        self._worn = wanted

    def _merged(self, layer: str, wanted: dict[str, tuple[Lora, float]]) -> nn.Parameter:
        base = self._base.get(layer, self._layers[layer].weight)
        total = base.detach().clone()
        for lora, weight in wanted.values():
            if weight and layer in lora.factors:
                total += (weight * lora.change(layer)).to(total)
        return nn.Parameter(total, requires_grad=False)


@contextmanager
def wearing(
    network: nn.Module, loras: Mapping[str, tuple[Lora, float]], base_revision: str, *, any_base: bool = False
) -> Iterator[WornLoras]:
    """`network` wears adapters (name to adapter and weight) within the block and none after it, however it ends.

    Raises:
        ModelError: as `WornLoras.put_on`; none is worn then.
    """
    worn = WornLoras(network, base_revision)
    try:
        for name, (lora, weight) in loras.items():
            worn.put_on(name, lora, weight, any_base=any_base)
        yield worn
    finally:
        worn.take_off_all()


def _check_fit(name: str, lora: Lora, layers: Mapping[str, nn.Linear]) -> None:
    for layer, (down, up) in lora.factors.items():
        if layer not in layers:
            raise ModelError(f"lora: {name!r} changes layer {layer!r}, which this network does not have")
        got, expected = (up.shape[0], down.shape[1]), tuple(layers[layer].weight.shape)
        if got != expected:
            raise ModelError(f"lora: {name!r}: layer {layer!r} is {expected} (out, in), the adapter's change is {got}")


def _checked_weight(name: str, weight: float) -> float:
    if not (math.isfinite(weight) and abs(weight) <= MAX_WEIGHT):
        raise ModelError(f"lora: the weight of {name!r} must be within [-{MAX_WEIGHT:g}, {MAX_WEIGHT:g}], got {weight}")
    return float(weight)


def _never(name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in NEVER)


def _some(names: Mapping[str, object]) -> str:
    shown = ", ".join(list(names)[:6])
    return f"{shown}, and {len(names) - 6} more" if len(names) > 6 else shown or "none"
