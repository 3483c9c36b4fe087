import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from model.checkpoint import load_checkpoint, load_dit, load_vae, save_checkpoint
from model.dit import Dit
from model.errors import UnreadableCheckpoint
from model.revision import file_revision
from model.vae import Vae

RECIPE = {"clips": 12, "renderer": "clips.dungeon"}


@pytest.fixture
def vae_file(small_vae: Vae, tmp_path: Path) -> Path:
    path = tmp_path / "vae.safetensors"
    save_checkpoint(small_vae, RECIPE, path)
    return path


def _metadata(path: Path) -> dict[str, str]:
    raw = path.read_bytes()
    return json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])["__metadata__"]


def _with_header(path: Path, **changes: object) -> Path:
    header = {**json.loads(_metadata(path)["narthex"]), **changes}
    save_file(load_file(path), path, {"narthex": json.dumps(header)})
    return path


def test_networks_come_back_as_fp16_rounds_them(small_vae: Vae, small_dit: Dit, tmp_path: Path) -> None:
    for network, load in ((small_vae, load_vae), (small_dit, load_dit)):
        path = tmp_path / "network.safetensors"
        save_checkpoint(network, RECIPE, path)
        again = load(path)
        assert again.config == network.config
        assert not again.training
        for name, tensor in again.state_dict().items():
            assert tensor.dtype == torch.float32
            assert torch.equal(tensor, network.state_dict()[name].half().float()), name
        assert load_checkpoint(path, "vae" if load is load_vae else "dit").recipe == RECIPE


def test_saving_leaves_no_temporary_file_and_equal_bytes(small_vae: Vae, vae_file: Path) -> None:
    before = file_revision(vae_file)
    save_checkpoint(small_vae, RECIPE, vae_file)
    assert [path.name for path in vae_file.parent.iterdir()] == ["vae.safetensors"]
    assert file_revision(vae_file) == before
    assert len(before) == 12


def test_revision_changes_with_any_byte(vae_file: Path) -> None:
    before = file_revision(vae_file)
    _with_header(vae_file, recipe={})
    assert file_revision(vae_file) != before


@pytest.mark.parametrize("kept", [0, 7, 200, -1])
def test_truncated_files_are_refused_by_name(vae_file: Path, kept: int) -> None:
    vae_file.write_bytes(vae_file.read_bytes()[:kept])
    with pytest.raises(UnreadableCheckpoint, match=r"vae\.safetensors.*cut short"):
        load_vae(vae_file)


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UnreadableCheckpoint, match=r"nothing\.safetensors"):
        load_vae(tmp_path / "nothing.safetensors")
    with pytest.raises(UnreadableCheckpoint, match=r"nothing\.safetensors"):
        file_revision(tmp_path / "nothing.safetensors")


def test_another_version_is_refused(vae_file: Path) -> None:
    with pytest.raises(UnreadableCheckpoint, match="version 99, expected 1"):
        load_vae(_with_header(vae_file, schema_version=99))


def test_another_format_or_kind_is_refused(vae_file: Path) -> None:
    with pytest.raises(UnreadableCheckpoint, match="expected a 'dit'"):
        load_dit(vae_file)
    save_file(load_file(vae_file), vae_file, {"format": "pt"})
    with pytest.raises(UnreadableCheckpoint, match="not a checkpoint of Narthex"):
        load_vae(vae_file)
    save_file(load_file(vae_file), vae_file, {"narthex": "{"})
    with pytest.raises(UnreadableCheckpoint, match="metadata is damaged"):
        load_vae(vae_file)


@pytest.mark.parametrize("config", [{}, {"width": 8}, [], {"latent_channels": -1}])
def test_a_configuration_that_makes_no_network_is_refused(vae_file: Path, config: object) -> None:
    with pytest.raises(UnreadableCheckpoint, match=r"vae\.safetensors"):
        load_vae(_with_header(vae_file, config=config))


def test_weights_of_another_shape_are_refused(vae_file: Path) -> None:
    tensors = load_file(vae_file)
    header = _metadata(vae_file)
    tensors["latent_mean"] = torch.zeros(9, dtype=torch.float16)
    save_file(tensors, vae_file, header)
    with pytest.raises(UnreadableCheckpoint, match="do not fit"):
        load_vae(vae_file)


def test_not_a_number_is_refused_on_load_and_on_save(small_vae: Vae, vae_file: Path) -> None:
    tensors = load_file(vae_file)
    header = _metadata(vae_file)
    tensors["project_first.bias"][2] = float("nan")
    save_file(tensors, vae_file, header)
    with pytest.raises(UnreadableCheckpoint, match=r"project_first\.bias"):
        load_vae(vae_file)
    huge = Vae(small_vae.config)
    torch.nn.init.constant_(huge.project_first.bias, 1e6)
    with pytest.raises(UnreadableCheckpoint, match=r"project_first\.bias"):
        save_checkpoint(huge, RECIPE, vae_file)
