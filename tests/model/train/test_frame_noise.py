import torch

from model.train.noise import sample_frame_noise, sample_sigmas

FRAMES = 5


def _noise(continued: bool, count: int = 4000) -> tuple[torch.Tensor, torch.Tensor]:
    noise = sample_frame_noise(torch.full((count,), continued), FRAMES, torch.Generator().manual_seed(0))
    return noise.sigmas, noise.given


def test_sigmas_cover_everything_and_mostly_the_middle() -> None:
    sigmas = sample_sigmas(20_000, torch.Generator().manual_seed(0))
    assert sigmas.min() > 0.0 and sigmas.max() < 1.0
    assert (sigmas < 0.02).any() and (sigmas > 0.98).any()
    assert 0.55 < float(sigmas.mean()) < 0.58


def test_given_frames_are_clean_come_first_and_leave_something_to_learn() -> None:
    for continued, share in ((False, 0.15), (True, 0.5)):
        sigmas, given = _noise(continued)
        assert torch.equal(sigmas == 0.0, given)
        assert abs(float(given.any(1).float().mean()) - share) < 0.02
        assert not given[:, -1].any()
        assert (given[:, 1:] <= given[:, :-1]).all()
        counts = given.sum(1)[given.any(1)]
        assert 0.8 < float((counts == 1).float().mean()) < 0.9
        assert counts.max() == FRAMES - 1


def test_frames_share_a_sigma_but_in_one_window_of_ten() -> None:
    sigmas, given = _noise(False)
    noisy = sigmas[~given.any(1)]
    apart = (noisy != noisy[:, :1]).any(1).float().mean()
    assert 0.08 < float(apart) < 0.12
    rest = sigmas[given.any(1)]
    assert (rest[:, -1:] == rest)[rest > 0].all()


def test_a_window_of_one_frame_is_never_given() -> None:
    noise = sample_frame_noise(torch.ones(50, dtype=torch.bool), 1, torch.Generator().manual_seed(0))
    assert not noise.given.any()
