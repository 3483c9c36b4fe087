import pytest
import torch

from model.errors import InvalidSpec
from model.pca import whitened_pca
from model.vae import DecoderMemory, Vae, VaeConfig

CONFIG = VaeConfig(6, width=16, encoder_blocks=2, decoder_blocks=3, patch_px=8, group_frames=4, detail_width=8)


def _clips(count: int = 6, frames: int = 9) -> torch.Tensor:
    random = torch.Generator().manual_seed(5)
    coarse = torch.randn(count, 4, frames, 4, 6, generator=random)
    size = (frames, 32, 48)
    return torch.nn.functional.interpolate(coarse, size=size, mode="trilinear", align_corners=False)


def test_shapes_of_latents_and_clips(small_vae: Vae) -> None:
    for frames, latent_frames in ((1, 1), (5, 2), (17, 5)):
        clip = torch.zeros(2, 4, frames, 32, 48)
        latents = small_vae.encode(clip)
        assert latents.shape == (2, 6, latent_frames, 4, 6)
        assert small_vae.decode(latents).shape == clip.shape


@pytest.mark.parametrize("shape", [(1, 4, 4, 32, 48), (1, 4, 5, 33, 48), (1, 3, 5, 32, 48)])
def test_clips_that_do_not_fit_the_patches_are_refused(small_vae: Vae, shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidSpec, match="vae"):
        small_vae.encode(torch.zeros(shape))


def test_patches_and_back_is_the_identity(small_vae: Vae) -> None:
    clip = _clips()
    assert torch.equal(small_vae.from_patches(*small_vae.to_patches(clip)), clip)


@torch.no_grad()
def test_later_frames_leave_earlier_latents_alone(small_vae: Vae) -> None:
    clip = _clips(frames=13)
    changed = clip.clone()
    changed[:, :, 5:] += 1.0
    before, after = small_vae.encode(clip), small_vae.encode(changed)
    assert torch.equal(before[:, :, :2], after[:, :, :2])
    assert (before[:, :, 2] - after[:, :, 2]).abs().max() > 1e-3


@torch.no_grad()
def test_earlier_frames_do_reach_later_latents(small_vae: Vae) -> None:
    clip = _clips(frames=13)
    changed = clip.clone()
    changed[:, :, 0] += 1.0
    assert (small_vae.encode(clip)[:, :, 1] - small_vae.encode(changed)[:, :, 1]).abs().max() > 1e-4


@torch.no_grad()
def test_later_latents_leave_earlier_decoded_frames_alone(small_vae: Vae) -> None:
    latents = small_vae.encode(_clips(frames=13))
    changed = latents.clone()
    changed[:, :, 2:] += 1.0
    before, after = small_vae.decode(latents), small_vae.decode(changed)
    assert torch.allclose(before[:, :, :5], after[:, :, :5], atol=1e-6)
    assert (before[:, :, 5:9] - after[:, :, 5:9]).abs().max() > 1e-3


@torch.no_grad()
def test_a_prefix_of_a_clip_codes_as_the_whole_does(small_vae: Vae) -> None:
    clip = _clips(frames=13)
    whole, prefix = small_vae.encode(clip), small_vae.encode(clip[:, :, :9])
    assert torch.allclose(whole[:, :, :3], prefix, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("lengths", [(1, 3), (2, 2), (3, 1), (1, 1, 1, 1), (4,)])
def test_decoding_in_chunks_equals_decoding_at_once(small_vae: Vae, lengths: tuple[int, ...]) -> None:
    latents = small_vae.encode(_clips(frames=13))
    memory, parts = None, []
    for part in torch.split(latents, list(lengths), dim=2):
        frames, memory = small_vae.decode_chunk(part, memory)
        parts.append(frames)
    assert torch.allclose(torch.cat(parts, dim=2), small_vae.decode(latents), atol=1e-5)


@torch.no_grad()
def test_a_chunk_without_its_memory_is_another_clip(small_vae: Vae) -> None:
    latents = small_vae.encode(_clips(frames=13))
    _, memory = small_vae.decode_chunk(latents[:, :, :2])
    frames, _ = small_vae.decode_chunk(latents[:, :, 2:], memory)
    still, _ = small_vae.decode_chunk(latents[:, :, 2:], DecoderMemory(tuple(map(torch.zeros_like, memory.features))))
    assert (frames - still).abs().max() > 1e-4


@torch.no_grad()
def test_new_refiner_is_the_pca_projection() -> None:
    vae = Vae(CONFIG)
    clip = _clips()
    vae.start_from_pca(clip)
    first, group = vae.to_patches(clip)
    raw = vae.encode_raw(clip)
    again_first, again_group = vae.to_patches(vae.decode_raw(raw))
    linear = first @ vae.project_first.weight.T + vae.project_first.bias
    assert torch.allclose(raw[:, :1], linear, atol=1e-5)
    basis = whitened_pca(group.flatten(0, -2), 6)
    expected = basis.decode(basis.encode(group.flatten(0, -2)))
    assert torch.allclose(again_group.flatten(0, -2), expected, atol=2e-3)
    assert (again_first - first).square().mean() < first.var()


@torch.no_grad()
def test_a_still_picture_has_alike_latents_in_first_frame_and_groups() -> None:
    still = _clips(40)[:, :, :1].expand(-1, -1, 9, -1, -1).contiguous()
    vae = Vae(CONFIG)
    vae.start_from_pca(still)
    raw = vae.encode_raw(still)
    assert (raw[:, 0] - raw[:, 1]).square().mean() < 0.05 * raw[:, 0].square().mean()


@torch.no_grad()
def test_whitening_whitens_and_is_undone_by_decoding(small_vae: Vae) -> None:
    vae = Vae(CONFIG)
    vae.start_from_pca(_clips())
    vae.decoder.load_state_dict({k: v + 0.01 for k, v in vae.decoder.state_dict().items()})
    clip = _clips(40)
    before = vae.decode(vae.encode(clip))
    vae.set_whitening(vae.encode_raw(clip))
    flat = vae.encode(clip).movedim(1, -1).flatten(0, -2)
    assert torch.allclose(flat.mean(0), torch.zeros(6), atol=1e-3)
    assert torch.allclose(flat.T @ flat / len(flat), torch.eye(6), atol=1e-2)
    assert torch.allclose(vae.decode(vae.encode(clip)), before, atol=1e-3)
