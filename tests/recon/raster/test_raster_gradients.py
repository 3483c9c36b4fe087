"""The differentiable rasterizer against a plain float64 picture, by central differences of every argument."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from recon.errors import InvalidScene
from recon.raster import rasterization as numpy_rasterization
from recon.raster.torch_raster import TorchMotion, rasterization

WIDTH, HEIGHT, TIME_S = 33, 21, 0.4
VIEWMAT = np.array(
    [[0.98, 0.02, -0.199, 0.1], [-0.01, 0.999, 0.05, -0.05], [0.199, -0.047, 0.979, 0.3], [0, 0, 0, 1.0]]
)
K = np.array([[30.0, 0.4, 17.0], [0, 31.0, 10.0], [0, 0, 1.0]])


@dataclass(frozen=True)
class Values:
    """Everything that a picture depends on, float64."""

    means: np.ndarray
    quats: np.ndarray
    scales: np.ndarray
    opacities: np.ndarray
    colors: np.ndarray
    velocities: np.ndarray
    time_centers: np.ndarray
    time_widths: np.ndarray


NAMES = tuple(Values.__dataclass_fields__)


def some_values(count: int = 25) -> Values:
    rng = np.random.default_rng(8)
    values = Values(
        means=rng.normal(size=(count, 3)) * [1.0, 0.7, 0.8] + [0.0, 0.0, 3.5],
        quats=rng.normal(size=(count, 4)),
        scales=np.exp(rng.normal(size=(count, 3)) * 0.5 - 1.7),
        opacities=rng.uniform(0.3, 0.9, count),
        colors=rng.uniform(size=(count, 3)),
        velocities=rng.normal(size=(count, 3)) * 0.5,
        time_centers=rng.uniform(0.0, 0.8, count),
        time_widths=rng.uniform(0.3, 1.0, count),
    )
    values.means[0] = [4.0, 0.3, 1.5]  # so far aside that its ellipse is that of the picture's margin
    values.scales[0] = 1.2
    values.time_widths[1] = np.inf
    return values


def plain_axes(quat: np.ndarray) -> np.ndarray:
    w, x, y, z = quat / np.linalg.norm(quat)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def plain_picture(v: Values) -> tuple[np.ndarray, np.ndarray]:
    """Colours and depth (H, W, 4) and alpha (H, W): one Gaussian after the other over the whole picture."""
    fx, skew, fy, cx, cy = K[0, 0], K[0, 1], K[1, 1], K[0, 2], K[1, 2]
    columns, rows = np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5)
    elapsed = TIME_S - v.time_centers
    centers = (v.means + v.velocities * elapsed[:, None]) @ VIEWMAT[:3, :3].T + VIEWMAT[:3, 3]
    opacities = v.opacities * np.exp(-0.5 * (elapsed / v.time_widths) ** 2)
    image, T = np.zeros((HEIGHT, WIDTH, 4)), np.ones((HEIGHT, WIDTH))
    open_ = np.ones((HEIGHT, WIDTH), bool)
    for i in np.argsort(centers[:, 2], kind="stable"):
        x, y, z = centers[i]
        tx = z * np.clip(x / z, -cx / fx - 0.15 * WIDTH / fx, (WIDTH - cx) / fx + 0.15 * WIDTH / fx)
        ty = z * np.clip(y / z, -cy / fy - 0.15 * HEIGHT / fy, (HEIGHT - cy) / fy + 0.15 * HEIGHT / fy)
        J = np.array([[fx / z, 0, -fx * tx / z**2], [0, fy / z, -fy * ty / z**2]]) @ VIEWMAT[:3, :3]
        M = J @ plain_axes(v.quats[i]) @ np.diag(v.scales[i])
        conic = np.linalg.inv(M @ M.T + 0.3 * np.eye(2))
        dx, dy = columns - ((fx * x + skew * y) / z + cx), rows - (fy * y / z + cy)
        power = 0.5 * (conic[0, 0] * dx * dx + conic[1, 1] * dy * dy) + conic[0, 1] * dx * dy
        alpha = np.minimum(0.999, opacities[i] * np.exp(-power))
        alpha[alpha < 1 / 255] = 0.0
        open_ &= T * (1 - alpha) > 1e-4
        alpha[~open_] = 0.0
        image += (T * alpha)[..., None] * np.append(v.colors[i], z)
        T *= 1 - alpha
    return image, 1 - T


def as_tensors(v: Values) -> dict[str, torch.Tensor]:
    return {name: torch.tensor(getattr(v, name), dtype=torch.float32, requires_grad=True) for name in NAMES}


def draw(t: dict[str, torch.Tensor], threads: int = 1, **options: object) -> tuple[torch.Tensor, torch.Tensor]:
    always = torch.full_like(t["time_centers"].detach(), torch.inf)
    motion = TorchMotion(t["velocities"], t["time_centers"], t["time_widths"], -always, always, TIME_S)
    picture, alpha, _ = rasterization(
        *(t[name] for name in NAMES[:5]), torch.tensor(VIEWMAT[None]), torch.tensor(K[None]), WIDTH, HEIGHT,
        motion=motion, threads=threads, **options,  # type: ignore[arg-type]
    )  # fmt: skip
    return picture[0], alpha[0, :, :, 0]


def weights_of_loss() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(9)
    return rng.normal(size=(HEIGHT, WIDTH, 4)), rng.normal(size=(HEIGHT, WIDTH))


def plain_loss(v: Values) -> float:
    by_image, by_alpha = weights_of_loss()
    image, alpha = plain_picture(v)
    return float((image * by_image).sum() + (alpha * by_alpha).sum())


def gradients(v: Values, threads: int = 1) -> dict[str, np.ndarray]:
    tensors = as_tensors(v)
    picture, alpha = draw(tensors, threads, render_mode="RGB+D")
    by_image, by_alpha = (torch.tensor(part, dtype=torch.float32) for part in weights_of_loss())
    torch.autograd.backward((picture * by_image).sum() + (alpha * by_alpha).sum())
    found = {}
    for name, tensor in tensors.items():
        assert tensor.grad is not None, name
        found[name] = tensor.grad.numpy()
    return found


def test_pictures_at_a_time_equal_the_plain_ones() -> None:
    values = some_values()
    with torch.no_grad():
        picture, alpha = draw(as_tensors(values), render_mode="RGB+D")
    image, opacity = plain_picture(values)
    np.testing.assert_allclose(picture.numpy(), image, atol=3e-5)
    np.testing.assert_allclose(alpha.numpy(), opacity, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_equal_central_differences_of_the_plain_picture(name: str) -> None:
    values = some_values()
    ours, array = gradients(values)[name], getattr(values, name)
    steps = np.random.default_rng(3).permutation(array.size)[:24]
    if name == "time_widths":
        steps = steps[steps != 1]  # an infinite width has no neighbours
    for index in steps:
        sides = []
        for sign in (1.0, -1.0):
            moved = array.copy()
            moved.flat[index] += sign * 1e-6
            sides.append(plain_loss(replace(values, **{name: moved})))
        expected = (sides[0] - sides[1]) / 2e-6
        assert ours.flat[index] == pytest.approx(expected, rel=2e-3, abs=2e-4 * float(np.abs(ours).max())), (
            name,
            index,
        )


def test_a_splat_that_never_fades_has_no_gradient_of_its_width() -> None:
    assert gradients(some_values())["time_widths"][1] == 0.0


def test_gradients_do_not_depend_on_the_number_of_threads() -> None:
    one, three = gradients(some_values()), gradients(some_values(), threads=3)
    for name in NAMES:
        np.testing.assert_allclose(three[name], one[name], rtol=1e-4, atol=1e-4 * np.abs(one[name]).max(), err_msg=name)


def test_splats_that_are_not_seen_have_no_gradient() -> None:
    values = some_values()
    values.means[2] = [0.0, 0.0, -5.0]
    values.time_centers[3], values.time_widths[3] = 30.0, 0.1
    found = gradients(values)
    for name in NAMES:
        assert np.abs(found[name][2:4]).max() == 0.0, name
        assert np.isfinite(found[name]).all()


@pytest.mark.parametrize("mode", ["RGB", "D", "ED", "RGB+D", "RGB+ED"])
def test_pictures_of_every_mode_equal_those_of_the_numpy_interface(mode: str) -> None:
    values = some_values()
    resting = {name: getattr(values, name) for name in NAMES[:5]}
    colors = np.concatenate([resting["colors"], resting["colors"][:, ::-1] ** 2], axis=1)
    resting["colors"] = colors
    cameras = {"viewmats": VIEWMAT[None], "Ks": K[None]}
    backgrounds = np.linspace(0.1, 0.6, 6)[None]
    options = {"width": WIDTH, "height": HEIGHT, "render_mode": mode}
    theirs, theirs_alpha, _ = numpy_rasterization(**resting, **cameras, **options, backgrounds=backgrounds)  # type: ignore[arg-type]
    tensors = {name: torch.tensor(array, dtype=torch.float32) for name, array in resting.items()}
    views = {name: torch.tensor(array) for name, array in cameras.items()}
    floor = torch.tensor(backgrounds, dtype=torch.float32)
    ours, ours_alpha, info = rasterization(**tensors, **views, **options, backgrounds=floor)  # type: ignore[arg-type]
    np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-6)
    np.testing.assert_allclose(ours_alpha.numpy(), theirs_alpha, atol=1e-6)
    assert info["means2d"].shape == (1, len(values.means), 2)


def test_gradients_of_spherical_harmonics_equal_autograd_through_gsplats() -> None:
    from gsplat.cuda._torch_impl import _spherical_harmonics

    values = some_values()
    random = np.random.default_rng(4).normal(size=(len(values.means), 16, 3)) * 0.2
    results = []
    for degree in (2, None):
        tensors = as_tensors(values)
        coefficients = torch.tensor(random, dtype=torch.float32, requires_grad=True)
        if degree is None:
            moved = tensors["means"] + tensors["velocities"] * (TIME_S - tensors["time_centers"])[:, None]
            position = torch.tensor(-VIEWMAT[:3, :3].T @ VIEWMAT[:3, 3], dtype=torch.float32)
            colors = (_spherical_harmonics(2, moved - position, coefficients[:, :9]) + 0.5).clamp_min(0.0)
        else:
            colors = coefficients
        picture, _ = draw({**tensors, "colors": colors}, sh_degree=degree, render_mode="RGB")
        torch.autograd.backward((picture * torch.tensor(weights_of_loss()[0][..., :3])).sum())
        assert coefficients.grad is not None and tensors["means"].grad is not None
        results.append((picture.detach(), coefficients.grad, tensors["means"].grad, tensors["velocities"].grad))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)


def test_wrong_shapes_are_named() -> None:
    tensors = as_tensors(some_values())
    with pytest.raises(InvalidScene, match=r"scales must have shape \(25, 3\)"):
        draw({**tensors, "scales": tensors["scales"][:, :2]})
    with pytest.raises(InvalidScene, match="render_mode"):
        draw(tensors, render_mode="RGBA")
