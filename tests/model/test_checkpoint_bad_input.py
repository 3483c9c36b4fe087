"""Checkpoints that are damaged or made up: refused by name, with what is wrong and what to do, in bounded memory."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from model.checkpoint import load_dit, load_vae, save_checkpoint
from model.dit import Dit
from model.errors import UnreadableCheckpoint
from model.vae import Vae


@pytest.fixture
def vae_file(small_vae: Vae, tmp_path: Path) -> Path:
    path = tmp_path / "vae.safetensors"
    save_checkpoint(small_vae, {"clips": 12}, path)
    return path


def _rewritten(path: Path, config: Callable[[dict], object] = dict, weights: Callable[[dict], dict] = dict) -> Path:
    raw = path.read_bytes()
    metadata = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])["__metadata__"]
    header = json.loads(metadata["narthex"])
    header["config"] = config(header["config"])
    save_file(weights(load_file(path)), path, {"narthex": json.dumps(header)})
    return path


def _refusal(load: Callable[[Path], object], path: Path) -> str:
    with pytest.raises(UnreadableCheckpoint) as caught:
        load(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert "\n" not in text
    assert "narthex train" in text
    return text


@pytest.mark.parametrize("field", ["latent_channels", "width", "patch_px", "group_frames", "detail_width"])
@pytest.mark.parametrize("value", [1_000_000, 10**12])
def test_a_width_of_no_machine_is_refused_before_memory_is_used(vae_file: Path, field: str, value: int) -> None:
    said = _refusal(load_vae, _rewritten(vae_file, lambda config: {**config, field: value}))
    assert "its configuration makes no vae" in said


@pytest.mark.parametrize("field", ["encoder_blocks", "decoder_blocks"])
def test_more_blocks_than_weights_are_refused_at_once(vae_file: Path, field: str) -> None:
    said = _refusal(load_vae, _rewritten(vae_file, lambda config: {**config, field: 10**12}))
    assert f"{field}: got {10**12}" in said


def test_a_transformer_of_endless_depth_is_refused_at_once(small_dit: Dit, tmp_path: Path) -> None:
    path = tmp_path / "dit.safetensors"
    save_checkpoint(small_dit, {}, path)
    assert "depth: got 1000000000000" in _refusal(
        load_dit, _rewritten(path, lambda config: {**config, "depth": 10**12})
    )


@pytest.mark.parametrize(("value", "expected"), [(8.0, "a whole number"), (True, "a whole number"), (0, "too small")])
def test_numbers_of_no_architecture_are_refused_by_field(vae_file: Path, value: object, expected: str) -> None:
    said = _refusal(load_vae, _rewritten(vae_file, lambda config: {**config, "width": value}))
    assert f"width: got {value}" in said
    assert expected in said


def test_a_header_of_endless_depth_is_refused(vae_file: Path) -> None:
    save_file(load_file(vae_file), vae_file, {"narthex": "[" * 100_000})
    assert "its metadata is damaged (RecursionError" in _refusal(load_vae, vae_file)


def test_a_configuration_that_is_no_object_is_refused(vae_file: Path) -> None:
    assert "config must be an object" in _refusal(load_vae, _rewritten(vae_file, lambda _: ["width", 8]))


def test_missing_unknown_and_misshapen_weights_are_named_in_one_line(vae_file: Path) -> None:
    def changed(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        del tensors["whiten"]
        return {**tensors, "surplus": torch.zeros(2), "latent_mean": torch.zeros(77)}

    said = _refusal(load_vae, _rewritten(vae_file, weights=changed))
    assert "whiten is missing" in said
    assert "surplus is unknown" in said
    assert "latent_mean is (77,), expected" in said


def test_complex_weights_are_refused(vae_file: Path) -> None:
    said = _refusal(
        load_vae,
        _rewritten(vae_file, weights=lambda tensors: {**tensors, "whiten": tensors["whiten"].to(torch.complex64)}),
    )
    assert "real numbers" in said


def test_a_folder_and_a_missing_file_say_which_they_are(tmp_path: Path) -> None:
    assert "is no file" in _refusal(load_vae, tmp_path)
    assert "no such file" in _refusal(load_dit, tmp_path / "dit.safetensors")
