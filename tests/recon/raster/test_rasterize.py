import numpy as np
import pytest

from recon.errors import InvalidScene
from recon.raster import rasterization
from recon.raster.blend import ALPHA_MAX, ALPHA_MIN, TRANSMITTANCE_MIN, collect_weights, front_to_back
from recon.raster.projection import project

WIDTH, HEIGHT = 37, 23


def gaussians(count: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "means": rng.normal(size=(count, 3)) * [1.0, 0.7, 1.0] + [0.0, 0.0, 4.0],
        "quats": rng.normal(size=(count, 4)),
        "scales": np.exp(rng.normal(size=(count, 3)) * 0.7 - 2.0),
        "opacities": rng.uniform(0.05, 1.0, count),
        "colors": rng.uniform(size=(count, 3)),
    }


def two_cameras() -> tuple[np.ndarray, np.ndarray]:
    viewmats = np.stack([np.eye(4), np.eye(4)])
    angle = 0.2
    viewmats[1, :3, :3] = [[np.cos(angle), 0, -np.sin(angle)], [0, 1, 0], [np.sin(angle), 0, np.cos(angle)]]
    viewmats[1, :3, 3] = [0.3, -0.1, 0.4]
    Ks = np.array([[[30.0, 0, 18.5], [0, 31.0, 11.0], [0, 0, 1]], [[25.0, 0, 17.0], [0, 25.0, 12.5], [0, 0, 1]]])
    return viewmats, Ks


def plain_covariance(quat: np.ndarray, scale: np.ndarray) -> np.ndarray:
    w, x, y, z = quat / np.linalg.norm(quat)
    rotation = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
    return rotation @ np.diag(scale**2) @ rotation.T


def plain_picture(g: dict[str, np.ndarray], viewmat: np.ndarray, K: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Colour and depth sums (H, W, 4) and alpha (H, W), float64, pixel by pixel over all Gaussians."""
    centers, conics, kept = [], [], []
    for mean, quat, scale in zip(g["means"], g["quats"], g["scales"], strict=True):
        x, y, z = viewmat[:3, :3] @ mean + viewmat[:3, 3]
        kept.append(z > 0.01)
        z = z if kept[-1] else 1.0
        fx, fy, cx, cy = K[0, 0], K[1, 1], K[0, 2], K[1, 2]
        tx = z * np.clip(x / z, -cx / fx - 0.15 * WIDTH / fx, (WIDTH - cx) / fx + 0.15 * WIDTH / fx)
        ty = z * np.clip(y / z, -cy / fy - 0.15 * HEIGHT / fy, (HEIGHT - cy) / fy + 0.15 * HEIGHT / fy)
        J = np.array([[fx / z, 0, -fx * tx / z**2], [0, fy / z, -fy * ty / z**2]]) @ viewmat[:3, :3]
        covariance = J @ plain_covariance(quat, scale) @ J.T + 0.3 * np.eye(2)
        centers.append((fx * x / z + cx, fy * y / z + cy, z))
        conics.append(np.linalg.inv(covariance))
    order = [i for i in np.argsort([c[2] for c in centers], kind="stable") if kept[i]]
    image, alpha = np.zeros((HEIGHT, WIDTH, 4)), np.zeros((HEIGHT, WIDTH))
    for row in range(HEIGHT):
        for column in range(WIDTH):
            T = 1.0
            for i in order:
                d = np.array([column + 0.5 - centers[i][0], row + 0.5 - centers[i][1]])
                a = min(ALPHA_MAX, g["opacities"][i] * np.exp(-0.5 * d @ conics[i] @ d))
                if a < ALPHA_MIN:
                    continue
                if T * (1 - a) <= TRANSMITTANCE_MIN:
                    break
                image[row, column] += T * a * np.append(g["colors"][i], centers[i][2])
                T *= 1 - a
            alpha[row, column] = 1 - T
    return image, alpha


def test_pictures_equal_the_slow_plain_reference() -> None:
    g = gaussians(40)
    viewmats, Ks = two_cameras()
    colors, alphas, info = rasterization(**g, viewmats=viewmats, Ks=Ks, width=WIDTH, height=HEIGHT, render_mode="RGB+D")
    assert colors.shape == (2, HEIGHT, WIDTH, 4) and alphas.shape == (2, HEIGHT, WIDTH, 1)
    assert info["means2d"].shape == (2, 40, 2)
    for camera in range(2):
        image, alpha = plain_picture(g, viewmats[camera], Ks[camera])
        np.testing.assert_allclose(colors[camera], image, atol=2e-5)
        np.testing.assert_allclose(alphas[camera, :, :, 0], alpha, atol=1e-5)


def test_projection_equals_gsplats_torch_implementation() -> None:
    torch = pytest.importorskip("torch")
    from gsplat.cuda._torch_impl import _fully_fused_projection, _quat_scale_to_covar_preci

    g = gaussians(500, seed=3)
    g["means"][:20, 2] -= 6.0
    viewmats, Ks = two_cameras()
    as_torch = {name: torch.tensor(value, dtype=torch.float64) for name, value in g.items()}
    covars, _ = _quat_scale_to_covar_preci(as_torch["quats"], as_torch["scales"], compute_preci=False)
    radii, means2d, depths, conics, _ = _fully_fused_projection(
        as_torch["means"], covars, torch.tensor(viewmats), torch.tensor(Ks), WIDTH, HEIGHT
    )
    for camera in range(2):
        ours = project(g["means"], g["quats"], g["scales"], viewmats[camera], Ks[camera], WIDTH, HEIGHT)
        seen = (radii[camera] > 0).all(-1).numpy()
        assert 0 < seen.sum() < len(seen)
        np.testing.assert_array_equal((ours.radii > 0).all(-1), seen)
        np.testing.assert_allclose(ours.means2d[seen], means2d[camera].numpy()[seen], rtol=1e-4, atol=1e-3)
        np.testing.assert_allclose(ours.depths[seen], depths[camera].numpy()[seen], rtol=1e-5)
        np.testing.assert_allclose(ours.conics[seen], conics[camera].numpy()[seen], rtol=2e-3, atol=1e-5)
        assert np.abs(ours.radii - radii[camera].numpy())[seen].max() <= 1


def test_bands_draw_the_same_picture_as_one_thread() -> None:
    g = gaussians(200, seed=1)
    viewmats, Ks = two_cameras()
    arguments = {**g, "viewmats": viewmats, "Ks": Ks, "width": WIDTH, "height": HEIGHT}
    one, _, _ = rasterization(**arguments)
    for threads in (2, 3, 64):
        many, _, _ = rasterization(**arguments, threads=threads)
        np.testing.assert_array_equal(one, many)


def test_render_modes_and_backgrounds_agree() -> None:
    g = gaussians(30, seed=2)
    viewmats, Ks = two_cameras()
    arguments = {**g, "viewmats": viewmats, "Ks": Ks, "width": WIDTH, "height": HEIGHT}
    rgb, alphas, _ = rasterization(**arguments)
    accumulated, _, _ = rasterization(**arguments, render_mode="D")
    expected, _, _ = rasterization(**arguments, render_mode="ED")
    both, _, _ = rasterization(**arguments, render_mode="RGB+ED")
    np.testing.assert_allclose(expected, accumulated / np.maximum(alphas, 1e-10), rtol=1e-6)
    np.testing.assert_array_equal(both, np.concatenate([rgb, expected], axis=-1))
    backgrounds = np.array([[0.2, 0.4, 0.6], [1.0, 0.0, 0.5]])
    filled, _, _ = rasterization(**arguments, backgrounds=backgrounds)
    np.testing.assert_allclose(filled, rgb + (1 - alphas) * backgrounds[:, None, None], atol=1e-6)


def test_more_than_three_channels_are_drawn_in_parts() -> None:
    g = gaussians(30, seed=4)
    viewmats, Ks = two_cameras()
    wide = np.concatenate([g["colors"], g["colors"][:, ::-1], g["colors"][:, :1]], axis=1)
    rgb, _, _ = rasterization(**g, viewmats=viewmats, Ks=Ks, width=WIDTH, height=HEIGHT)
    g["colors"] = wide
    drawn, _, _ = rasterization(**g, viewmats=viewmats, Ks=Ks, width=WIDTH, height=HEIGHT)
    np.testing.assert_array_equal(drawn, np.concatenate([rgb, rgb[..., ::-1], rgb[..., :1]], axis=-1))


def test_no_gaussians_draw_the_background() -> None:
    viewmats, Ks = two_cameras()
    colors, alphas, _ = rasterization(
        np.zeros((0, 3)), np.zeros((0, 4)), np.zeros((0, 3)), np.zeros(0), np.zeros((0, 3)),
        viewmats, Ks, 8, 6, backgrounds=np.full((2, 3), 0.25),
    )  # fmt: skip
    assert (colors == 0.25).all() and (alphas == 0).all()


def test_spherical_harmonics_equal_gsplats() -> None:
    torch = pytest.importorskip("torch")
    from gsplat.cuda._torch_impl import _spherical_harmonics

    from recon.spherical_harmonics import sh_colors

    rng = np.random.default_rng(5)
    directions, coefficients = rng.normal(size=(50, 3)), rng.normal(size=(50, 16, 3)) * 0.2
    for degree in range(4):
        theirs = _spherical_harmonics(degree, torch.tensor(directions), torch.tensor(coefficients)).numpy()
        np.testing.assert_allclose(sh_colors(degree, coefficients, directions), np.maximum(theirs + 0.5, 0), atol=1e-6)


def test_sh_colors_are_seen_from_the_camera() -> None:
    g = gaussians(1)
    g["means"][:] = [[0.0, 0.0, 3.0]]
    g["opacities"][:] = 0.9
    coefficients = np.zeros((1, 4, 3))
    coefficients[0, 2, 0] = 0.5
    g["colors"] = coefficients
    viewmats = np.stack([np.eye(4), np.diag([-1.0, 1.0, -1.0, 1.0])])
    viewmats[1, 2, 3] = 6.0
    Ks = np.repeat(two_cameras()[1][:1], 2, axis=0)
    colors, alphas, _ = rasterization(**g, viewmats=viewmats, Ks=Ks, width=WIDTH, height=HEIGHT, sh_degree=1)
    middle = colors[:, 11, 18] / alphas[:, 11, 18]
    np.testing.assert_allclose(middle[0, 0] - 0.5, 0.5 - middle[1, 0], atol=1e-5)
    assert middle[0, 0] > 0.7


def test_collected_weights_give_the_picture() -> None:
    g = gaussians(60, seed=6)
    viewmats, Ks = two_cameras()
    rgb, _, _ = rasterization(**g, viewmats=viewmats[:1], Ks=Ks[:1], width=WIDTH, height=HEIGHT)
    ellipses = project(g["means"], g["quats"], g["scales"], viewmats[0], Ks[0], WIDTH, HEIGHT, opacities=g["opacities"])
    seen = front_to_back(ellipses)

    def collect(capacity: int) -> tuple[int, np.ndarray, np.ndarray, np.ndarray]:
        pixels, splats = np.zeros(capacity, np.int32), np.zeros(capacity, np.int32)
        weights = np.zeros(capacity, np.float32)
        count = collect_weights(
            seen.geometry, seen.order, np.ones((HEIGHT, WIDTH), np.float32), pixels, splats, weights
        )
        return count, pixels, splats, weights

    count, *_ = collect(5)
    again, pixels, splats, weights = collect(count)
    assert again == count > 100
    picture = np.zeros((HEIGHT * WIDTH, 3))
    np.add.at(picture, pixels, weights[:, None] * g["colors"][splats])
    np.testing.assert_allclose(picture.reshape(HEIGHT, WIDTH, 3), rgb[0], atol=1e-5)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("quats", np.zeros((3, 3)), "quats must have shape"),
        ("opacities", np.zeros((3, 1)), "opacities must have shape"),
        ("colors", np.zeros((2, 3)), "colors must be"),
        ("viewmats", np.zeros((4, 4)), "viewmats and Ks"),
    ],
)
def test_wrong_shapes_are_named(name: str, value: np.ndarray, says: str) -> None:
    viewmats, Ks = two_cameras()
    arguments = {**gaussians(3), "viewmats": viewmats, "Ks": Ks, "width": WIDTH, "height": HEIGHT, name: value}
    with pytest.raises(InvalidScene, match=says):
        rasterization(**arguments)


def test_unknown_modes_and_degrees_are_refused() -> None:
    viewmats, Ks = two_cameras()
    arguments = {**gaussians(3), "viewmats": viewmats, "Ks": Ks, "width": WIDTH, "height": HEIGHT}
    with pytest.raises(InvalidScene, match="render_mode"):
        rasterization(**arguments, render_mode="RGBD")
    with pytest.raises(InvalidScene, match="sh_degree"):
        rasterization(**arguments, sh_degree=4)
