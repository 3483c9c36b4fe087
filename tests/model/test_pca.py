import torch

from model.pca import whitened_pca


def _patches(count: int = 400) -> torch.Tensor:
    random = torch.Generator().manual_seed(3)
    factors = torch.randn(count, 5, generator=random) * torch.tensor([5.0, 3.0, 2.0, 1.0, 0.5])
    return factors @ torch.randn(5, 12, generator=random) + torch.arange(12.0)


def test_codes_are_white() -> None:
    patches = _patches()
    codes = whitened_pca(patches, 4).encode(patches)
    assert torch.allclose(codes.mean(0), torch.zeros(4), atol=1e-4)
    assert torch.allclose(codes.T @ codes / len(codes), torch.eye(4), atol=1e-3)


def test_as_many_components_as_factors_reconstruct_exactly() -> None:
    patches = _patches()
    basis = whitened_pca(patches, 5)
    assert torch.allclose(basis.decode(basis.encode(patches)), patches, atol=1e-3)


def test_fewer_components_lose_exactly_the_smaller_variances() -> None:
    patches = _patches()
    basis = whitened_pca(patches, 3)
    lost = (basis.decode(basis.encode(patches)) - patches).square().sum(1).mean()
    centred = (patches - patches.mean(0)).double()
    variances = torch.linalg.eigvalsh(centred.T @ centred / len(patches))
    assert torch.isclose(lost.double(), variances[:-3].sum(), rtol=1e-3)


def test_turning_keeps_the_reconstruction_and_finds_a_rotation() -> None:
    patches = _patches()
    basis = whitened_pca(patches, 4)
    random = torch.Generator().manual_seed(4)
    rotation = torch.linalg.qr(torch.randn(4, 4, generator=random)).Q
    turned = basis.turned_towards(patches, basis.encode(patches) @ rotation)
    assert torch.allclose(turned.encode(patches), basis.encode(patches) @ rotation, atol=1e-3)
    assert torch.allclose(turned.decode(turned.encode(patches)), basis.decode(basis.encode(patches)), atol=1e-3)
