import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import model.lora
from model.errors import ModelError, UnreadableCheckpoint, UnsupportedSpec
from model.generate import Generator
from model.lora import Lora, LoraConfig, WornLoras, target_layers, wearing
from model.lora_file import load_lora, save_lora
from model.spec import SegmentSpec

REVISION = "0123456789ab"
CONFIG = LoraConfig(rank=2, alpha=4.0, targets=("blocks.*",))


class TinyBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(6, 12)
        self.contract = nn.Linear(12, 6)
        self.modulation = nn.Linear(6, 6)
        self.norm = nn.LayerNorm(6)

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs + self.modulation(inputs) * self.contract(torch.tanh(self.qkv(self.norm(inputs))))


class TinyNetwork(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([TinyBlock(), TinyBlock()])
        self.final = nn.Linear(6, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        for block in self.blocks:
            inputs = block(inputs)
        return self.final(inputs)


LAYERS = ["blocks.0.qkv", "blocks.0.contract", "blocks.1.qkv", "blocks.1.contract"]


@pytest.fixture
def network() -> TinyNetwork:
    torch.manual_seed(5)
    return TinyNetwork().eval()


def _adapter(network: nn.Module, seed: int, config: LoraConfig = CONFIG, revision: str = REVISION) -> Lora:
    random = torch.Generator().manual_seed(seed)
    factors = {
        name: (
            torch.randn(config.rank, layer.in_features, generator=random).half().float(),
            torch.randn(layer.out_features, config.rank, generator=random).half().float(),
        )
        for name, layer in target_layers(network, config.targets).items()
    }
    return Lora(config, revision, factors, {"clips": 20})


@torch.no_grad()
def _output(network: nn.Module) -> Tensor:
    return network(torch.linspace(-1, 1, 24).view(4, 6))


def _bytes(network: nn.Module) -> dict[str, bytes]:
    return {name: tensor.numpy().tobytes() for name, tensor in network.state_dict().items()}


def test_patterns_choose_attention_and_mlp_and_leave_modulation_alone(network: TinyNetwork) -> None:
    assert list(target_layers(network, ("blocks.*",))) == LAYERS
    assert list(target_layers(network, ("*.qkv", "final"))) == ["blocks.0.qkv", "blocks.1.qkv", "final"]
    assert list(target_layers(network, ("blocks.1.modulation",))) == ["blocks.1.modulation"]


@pytest.mark.parametrize("pattern", ["heads.*", "blocks.0.norm", "*modulation"])
def test_a_pattern_that_chooses_nothing_is_refused_by_name(network: TinyNetwork, pattern: str) -> None:
    with pytest.raises(ModelError, match=r"chooses no linear layer; the network has blocks\.0\.qkv") as refused:
        target_layers(network, ("*.qkv", pattern))
    assert repr(pattern) in str(refused.value)


def test_wearing_adds_the_scaled_product(network: TinyNetwork) -> None:
    adapter = _adapter(network, 1)
    before = {name: layer.weight.clone() for name, layer in target_layers(network, CONFIG.targets).items()}
    WornLoras(network, REVISION).put_on("style", adapter, 0.5)
    for name, layer in target_layers(network, CONFIG.targets).items():
        down, up = adapter.factors[name]
        assert torch.allclose(layer.weight, before[name] + 0.5 * (4.0 / 2) * up @ down)


def test_taking_off_restores_every_byte(network: TinyNetwork) -> None:
    before, output = _bytes(network), _output(network).numpy().tobytes()
    worn = WornLoras(network, REVISION)
    worn.put_on("a", _adapter(network, 1), 0.7)
    assert _output(network).numpy().tobytes() != output
    worn.put_on("b", _adapter(network, 2, LoraConfig(3, 1.0, ("final", "*.qkv"))), -1.3)
    worn.set_weight("a", 0.1)
    worn.take_off("a")
    assert _bytes(network)["blocks.0.contract.weight"] == before["blocks.0.contract.weight"]
    assert _bytes(network)["final.weight"] != before["final.weight"]
    worn.take_off("b")
    assert _bytes(network) == before
    assert _output(network).numpy().tobytes() == output
    assert worn.weights == {}


def test_taking_off_restores_every_byte_of_the_transformer(small_dit: nn.Module) -> None:
    before = _bytes(small_dit)
    adapter = _adapter(small_dit, 3, LoraConfig(2, 4.0))
    assert {"embed_latents", "slot_keys_values", "blocks.0.qkv", "final"} <= set(adapter.factors)
    with wearing(small_dit, {"style": (adapter, 1.0)}, REVISION):
        during = _bytes(small_dit)
        assert {name for name in before if before[name] != during[name]} == {
            f"{name}.weight" for name in target_layers(small_dit)
        }
    assert _bytes(small_dit) == before


def _clip_bytes(generator: Generator, spec: SegmentSpec) -> bytes:
    generation = generator.begin(spec)
    generation.advance(spec.steps)
    clip = generation.finish()
    return clip.frames.tobytes() + clip.depth.tobytes()


def test_a_generated_clip_is_the_same_to_the_byte_once_the_adapter_is_off(
    generator: Generator, spec: SegmentSpec
) -> None:
    plain = _clip_bytes(generator, spec)
    generator.loras.put_on("style", _adapter(generator.dit, 4), 0.5)
    try:
        with pytest.raises(UnsupportedSpec, match="revision"):
            generator.begin(spec)
        worn = replace(spec, model_revision=generator.revision)
        assert worn.key() != spec.key()
        assert _clip_bytes(generator, worn) != plain
    finally:
        generator.loras.take_off_all()
    assert generator.revision == spec.model_revision
    assert _clip_bytes(generator, spec) == plain


def test_an_exception_inside_the_block_restores_every_byte(network: TinyNetwork) -> None:
    before, output = _bytes(network), _output(network).numpy().tobytes()
    with pytest.raises(KeyboardInterrupt), wearing(network, {"style": (_adapter(network, 1), 1.0)}, REVISION):
        raise KeyboardInterrupt
    assert _bytes(network) == before
    assert _output(network).numpy().tobytes() == output


def test_an_interruption_between_two_layers_can_still_be_taken_off(network: TinyNetwork) -> None:
    before = _bytes(network)
    worn = WornLoras(network, REVISION)

    class Interrupting(nn.Linear):
        armed = True

        def __setattr__(self, name: str, value: object) -> None:
            if name == "weight" and value is not None and "weight" in self._parameters and self.armed:
                raise KeyboardInterrupt
            super().__setattr__(name, value)

    layer = network.blocks[1].qkv
    layer.__class__ = Interrupting
    with pytest.raises(KeyboardInterrupt):
        worn.put_on("style", _adapter(network, 1))
    assert _bytes(network) != before
    Interrupting.armed = False
    worn.take_off_all()
    assert _bytes(network) == before


def test_a_failure_while_merging_changes_nothing(network: TinyNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    worn = WornLoras(network, REVISION)
    worn.put_on("a", _adapter(network, 1))
    before = _bytes(network)

    def exhausted(self: Lora, name: str) -> Tensor:
        if name == LAYERS[2]:
            raise MemoryError
        return torch.zeros(1)

    monkeypatch.setattr(model.lora.Lora, "change", exhausted)
    with pytest.raises(MemoryError):
        worn.put_on("b", _adapter(network, 2))
    assert _bytes(network) == before
    assert worn.weights == {"a": 1.0}


def test_several_at_once_are_the_sum_of_their_changes(network: TinyNetwork) -> None:
    first, second = _adapter(network, 1), _adapter(network, 2, LoraConfig(3, 1.5, CONFIG.targets))
    base = {name: layer.weight.clone() for name, layer in target_layers(network, CONFIG.targets).items()}
    worn = WornLoras(network, REVISION)
    worn.put_on("first", first, 0.8)
    worn.put_on("second", second, -0.3)
    assert worn.weights == {"first": 0.8, "second": -0.3}
    for name, layer in target_layers(network, CONFIG.targets).items():
        total = base[name] + 0.8 * first.change(name) - 0.3 * second.change(name)
        assert torch.allclose(layer.weight, total, atol=1e-6)


def test_weight_zero_is_the_base_to_the_byte(network: TinyNetwork) -> None:
    before = _bytes(network)
    worn = WornLoras(network, REVISION)
    worn.put_on("style", _adapter(network, 1), 0.0)
    assert _bytes(network) == before
    worn.set_weight("style", 1.0)
    changed = _bytes(network)
    assert changed != before
    worn.set_weight("style", 0.0)
    assert _bytes(network) == before
    worn.set_weight("style", 1.0)
    assert _bytes(network) == changed


def test_the_revision_names_what_is_worn(network: TinyNetwork) -> None:
    worn = WornLoras(network, REVISION)
    seen = [worn.revision]
    worn.put_on("style", _adapter(network, 1))
    seen.append(worn.revision)
    worn.set_weight("style", 0.5)
    seen.append(worn.revision)
    worn.take_off("style")
    assert worn.revision == REVISION == seen[0]
    worn.put_on("the same under another name", _adapter(network, 1))
    assert worn.revision == seen[1]
    assert len(set(seen)) == 3
    assert all(text.startswith(REVISION) for text in seen)


def test_another_base_is_refused_unless_forced(network: TinyNetwork) -> None:
    adapter = _adapter(network, 1, revision="ffffffffffff")
    before = _bytes(network)
    worn = WornLoras(network, REVISION)
    with pytest.raises(ModelError, match=f"trained on revision ffffffffffff, these weights are revision {REVISION}"):
        worn.put_on("style", adapter)
    assert _bytes(network) == before
    worn.put_on("style", adapter, any_base=True)
    assert _bytes(network) != before


def test_what_does_not_fit_is_refused_by_name_and_changes_nothing(network: TinyNetwork) -> None:
    good = _adapter(network, 1)
    before = _bytes(network)
    worn = WornLoras(network, REVISION)
    unknown: Mapping[str, tuple[Tensor, Tensor]] = {**good.factors, "blocks.9.qkv": good.factors["blocks.0.qkv"]}
    with pytest.raises(ModelError, match=r"changes layer 'blocks\.9\.qkv', which this network does not have"):
        worn.put_on("style", replace(good, factors=unknown))
    swapped = {**good.factors, "blocks.1.qkv": good.factors["blocks.1.contract"]}
    with pytest.raises(ModelError, match=r"layer 'blocks\.1\.qkv' is \(12, 6\).* change is \(6, 12\)"):
        worn.put_on("style", replace(good, factors=swapped))
    assert _bytes(network) == before
    worn.put_on("style", good)
    with pytest.raises(ModelError, match="'style' is already worn"):
        worn.put_on("style", good)
    with pytest.raises(ModelError, match="'other' is not worn; worn are style"):
        worn.take_off("other")


@pytest.mark.parametrize("weight", [float("nan"), float("inf"), 4.5, -100.0])
def test_weights_out_of_range_are_refused(network: TinyNetwork, weight: float) -> None:
    worn = WornLoras(network, REVISION)
    with pytest.raises(ModelError, match=r"weight of 'style' must be within \[-4, 4\]"):
        worn.put_on("style", _adapter(network, 1), weight)
    assert worn.weights == {}


@pytest.mark.parametrize(
    "fields", [{"rank": 0}, {"rank": 257}, {"alpha": 0.0}, {"alpha": float("nan")}, {"targets": ()}, {"targets": ("",)}]
)
def test_configurations_out_of_range_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ModelError, match="lora: "):
        LoraConfig(**fields)


def test_factors_that_make_no_adapter_are_refused(network: TinyNetwork) -> None:
    good = _adapter(network, 1)
    down, up = good.factors["blocks.0.qkv"]
    with pytest.raises(ModelError, match=r"blocks\.0\.qkv: expected factors of rank 2"):
        replace(good, factors={"blocks.0.qkv": (down[:1], up)})
    with pytest.raises(ModelError, match=r"blocks\.0\.qkv: factors must be finite"):
        replace(good, factors={"blocks.0.qkv": (down * float("nan"), up)})
    with pytest.raises(ModelError, match="at least one layer"):
        replace(good, factors={})


@pytest.fixture
def lora_file(network: TinyNetwork, tmp_path: Path) -> Path:
    save_lora(_adapter(network, 1), tmp_path / "style.safetensors")
    return tmp_path / "style.safetensors"


def _rewrite(path: Path, **changes: object) -> None:
    raw = path.read_bytes()
    metadata = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])["__metadata__"]
    header = {**json.loads(metadata["narthex"]), **changes}
    header = {name: value for name, value in header.items() if value is not None}
    save_file(load_file(path), path, {"narthex": json.dumps(header)})


def test_an_adapter_comes_back_as_it_was_written(network: TinyNetwork, lora_file: Path) -> None:
    written, read = _adapter(network, 1), load_lora(lora_file)
    assert read.config == written.config
    assert (read.base_revision, read.recipe) == (REVISION, {"clips": 20})
    assert read.factors.keys() == written.factors.keys()
    for name in LAYERS:
        assert torch.equal(read.change(name), written.change(name))
    assert read.digest() == written.digest() != _adapter(network, 2).digest()
    assert {tensor.dtype for tensor in load_file(lora_file).values()} == {torch.float16}
    assert [path.name for path in lora_file.parent.iterdir()] == [lora_file.name]


@pytest.mark.parametrize("kept", [0, 7, 200, -1])
def test_truncated_adapters_are_refused_by_name(lora_file: Path, kept: int) -> None:
    lora_file.write_bytes(lora_file.read_bytes()[:kept])
    with pytest.raises(UnreadableCheckpoint, match=r"style\.safetensors.*cut short"):
        load_lora(lora_file)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema_version": 9}, "adapter version 9, expected 1"),
        ({"kind": "dit"}, "holds a 'dit', expected a 'lora'"),
        ({"kind": None}, "metadata is damaged"),
        ({"rank": 3}, r"blocks\.0\.contract: expected factors of rank 3"),
        ({"rank": "many"}, "makes no adapter"),
        ({"alpha": None}, "makes no adapter"),
        ({"recipe": 7}, "makes no adapter"),
    ],
)
def test_headers_that_do_not_fit_are_refused(lora_file: Path, changes: dict[str, object], message: str) -> None:
    _rewrite(lora_file, **changes)
    with pytest.raises(UnreadableCheckpoint, match=message) as refused:
        load_lora(lora_file)
    assert "style.safetensors" in str(refused.value)


def test_files_with_bad_values_or_half_a_layer_are_refused(network: TinyNetwork, lora_file: Path) -> None:
    raw = lora_file.read_bytes()
    metadata = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])["__metadata__"]
    tensors = load_file(lora_file)
    poisoned = {name: tensor.clone() for name, tensor in tensors.items()}
    poisoned["blocks.1.qkv.lora_up"][3, 1] = float("nan")
    save_file(poisoned, lora_file, metadata)
    with pytest.raises(UnreadableCheckpoint, match=r"must be finite.*blocks\.1\.qkv\.lora_up"):
        load_lora(lora_file)
    del tensors["blocks.1.qkv.lora_up"]
    save_file(tensors, lora_file, metadata)
    with pytest.raises(UnreadableCheckpoint, match=r"blocks\.1\.qkv\.lora_down: a layer has two factors"):
        load_lora(lora_file)
    save_file(tensors, lora_file, {"format": "pt"})
    with pytest.raises(UnreadableCheckpoint, match="not an adapter of Narthex"):
        load_lora(lora_file)
    good = _adapter(network, 1)
    down, up = good.factors["blocks.0.qkv"]
    huge = replace(good, factors={**good.factors, "blocks.0.qkv": (down, up * 1e6)})
    with pytest.raises(UnreadableCheckpoint, match=r"blocks\.0\.qkv\.lora_up"):
        save_lora(huge, lora_file)
