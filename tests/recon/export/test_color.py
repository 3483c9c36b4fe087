import numpy as np

from recon.export.color import display_of_linear, display_of_sh0, linear_of_display, sh0_of_display


def test_display_and_sh_are_inverse() -> None:
    display = np.linspace(0, 1, 11)
    np.testing.assert_allclose(display_of_sh0(sh0_of_display(display)), display, atol=1e-6)
    np.testing.assert_allclose(sh0_of_display(np.array([0.5, 1.0])), [0.0, 0.5 / 0.28209479177], rtol=1e-6)


def test_display_and_linear_are_inverse_and_follow_the_standard() -> None:
    display = np.linspace(0, 1, 101)
    np.testing.assert_allclose(display_of_linear(linear_of_display(display)), display, atol=1e-6)
    np.testing.assert_allclose(
        linear_of_display(np.array([0.0, 0.04045, 0.5, 1.0])), [0, 0.0031308, 0.2140411, 1], atol=1e-6
    )
