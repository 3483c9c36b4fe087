"""`.4dgs`: the container that engines read, through PyPI `fourdgs` (Apache-2.0), model "gaussian-birth".

The only reader and writer of that format here. Files are in x right, y up, z towards the viewer, metres; colours
are sRGB-encoded display values, and the file says both.
"""

from __future__ import annotations

import math
import struct
import zlib
from pathlib import Path

import fourdgs
import numpy as np

from clips.atomic_file import replacing
from recon.errors import InvalidScene, UnreadableScene
from recon.export.axes import gate_to_rub
from recon.export.color import COLOR_SPACE, display_of_sh0, sh0_of_display
from recon.scene import TEMPORAL_CUTOFF, Scene4D

COORDINATE_SYSTEM = "y-up-right-handed"
FORMAT_VERSION = "fourdgs 0.6"
LIBRARY = "narthex"
_ALPHA_EDGE = 1e-3
_SH_LOW, _SH_HIGH = -4.0, 4.0
_RIGHT_HANDED, _UP_Y, _FORWARD_MINUS_Z, _METRE = 1, 1, 5, 1
_NO_SCENE = (
    fourdgs.FourdgsError,
    OSError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    OverflowError,
    MemoryError,
    EOFError,
    struct.error,
    zlib.error,
)


def encode_4dgs(scene: Scene4D, metadata: dict[str, str] | None = None) -> bytes:
    """The `.4dgs` file of `scene` as bytes.

    Values are quantized within the bounds that the file declares: 1/255 for colour and opacity, 5 % of the median
    scale for positions. Colours outside [0, 1] are clipped. `metadata` is written into the header beside
    `coordinate_system` and `color_space`.

    Raises:
        InvalidScene: SH coefficients do not make whole degrees, or a value is beyond what the container holds.
    """
    degree = _degree(scene)
    flipped = gate_to_rub(scene)
    gaussians = fourdgs.GaussianSet(
        positions=flipped.means,
        scales=np.exp(flipped.log_scales),
        rotations=flipped.quats[:, [1, 2, 3, 0]],
        colors=_rgba(flipped),
        motions=flipped.velocities,
        mu_t=flipped.time_centers,
        sigma_t=flipped.time_widths,
        win_lo=flipped.time_starts.astype(np.float64),
        win_hi=flipped.time_ends.astype(np.float64),
        sh=_sh_bytes(flipped.shN) if degree else None,
        sh_degree=degree,
    )
    options = fourdgs.WriteOptions(
        cutoff=TEMPORAL_CUTOFF,
        library=LIBRARY,
        metadata={**(metadata or {}), "coordinate_system": COORDINATE_SYSTEM, "color_space": COLOR_SPACE},
        provenance=fourdgs.Provenance(frames=[_frame()]),
    )
    sink = _Sink()
    try:
        fourdgs.write(sink, gaussians, float(scene.duration_s), options=options)
    except (fourdgs.FourdgsError, ValueError, OverflowError) as error:
        raise InvalidScene(f"the scene does not fit into a .4dgs file: {error}") from error
    return b"".join(sink.parts)


def decode_4dgs(data: bytes) -> Scene4D:
    """The scene in a `.4dgs` file's bytes, in the gate frame.

    Raises:
        UnreadableScene: not a `.4dgs` file, cut short, damaged, or of a model or version that is not understood.
    """
    try:
        read = fourdgs.read(bytes(data), recover_truncated=False)
        if read.truncated:
            raise UnreadableScene(f".4dgs data of {len(data)} bytes is cut short; fetch the file again")
        scene = gate_to_rub(_scene(read.gaussians, float(read.duration_sec)))
        declared = int(read.header.gaussian_count)
    except _NO_SCENE as error:
        text = f"{type(error).__name__}: {error}"
        raise UnreadableScene(f"not a readable .4dgs file ({text}); expected {FORMAT_VERSION}") from error
    except InvalidScene as error:
        raise UnreadableScene(f"the .4dgs file is whole but holds no scene: {error}") from error
    if declared != len(scene):
        raise UnreadableScene(f"the .4dgs file declares {declared} splats but holds {len(scene)}")
    return scene


def metadata_4dgs(data: bytes) -> dict[str, str]:
    """What the header of a `.4dgs` file's bytes says besides the splats: what `encode_4dgs` was given, and its axes.

    Raises:
        UnreadableScene: not a `.4dgs` file, or cut short.
    """
    try:
        attributes = fourdgs.read(bytes(data), recover_truncated=False).header.attributes
        return {str(name): str(value) for name, value in attributes.items()}
    except _NO_SCENE as error:
        raise UnreadableScene(f"not a readable .4dgs file ({error}); expected {FORMAT_VERSION}") from error


def write_4dgs(scene: Scene4D, path: Path, metadata: dict[str, str] | None = None) -> int:
    """Write `scene` to `path` (all or nothing); returns the number of bytes."""
    data = encode_4dgs(scene, metadata)
    with replacing(path) as partial:
        partial.write_bytes(data)
    return len(data)


def read_4dgs(path: Path) -> Scene4D:
    """The scene in the file at `path`.

    Raises:
        UnreadableScene: no such file, or what `decode_4dgs` refuses; the message names the file.
    """
    try:
        return decode_4dgs(path.read_bytes())
    except OSError as error:
        raise UnreadableScene(f"{path}: cannot be read ({error.strerror})") from error
    except UnreadableScene as error:
        raise UnreadableScene(f"{path}: {error}") from error


class _Sink:
    """Collects what the writer writes, in memory."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self.parts.append(data)
        return len(data)


def _frame() -> fourdgs.CoordinateFrame:
    return fourdgs.CoordinateFrame(
        name="gate",
        handedness=_RIGHT_HANDED,
        up_axis=_UP_Y,
        forward_axis=_FORWARD_MINUS_Z,
        length_unit=_METRE,
        metres_per_unit=1.0,
    )


def _degree(scene: Scene4D) -> int:
    degree = math.isqrt(scene.shN.shape[1] + 1) - 1
    if (degree + 1) ** 2 != scene.shN.shape[1] + 1 or degree > 3:
        raise InvalidScene(f"shN must hold 0, 3, 8 or 15 coefficients, got {scene.shN.shape[1]}")
    return degree


def _rgba(scene: Scene4D) -> np.ndarray:
    alpha = 1.0 / (1.0 + np.exp(-scene.logit_opacities.astype(np.float64)))
    rgb = np.clip(display_of_sh0(scene.sh0[:, 0]), 0.0, 1.0)
    return np.concatenate([rgb, alpha[:, None]], axis=1).astype(np.float32)


def _sh_bytes(shN: np.ndarray) -> np.ndarray:
    """Coefficients as bytes over [-4, 4], all of red, then green, then blue: (N, 3 * (K - 1))."""
    scaled = np.rint(
        (shN.transpose(0, 2, 1).reshape(len(shN), 3 * shN.shape[1]) - _SH_LOW) / (_SH_HIGH - _SH_LOW) * 255.0
    )
    return np.clip(scaled, 0, 255).astype(np.uint8)


def _scene(gaussians: fourdgs.GaussianSet, duration_s: float) -> Scene4D:
    count = gaussians.count
    colors = np.asarray(gaussians.colors, np.float64)
    alpha = np.clip(colors[:, 3], _ALPHA_EDGE, 1.0 - _ALPHA_EDGE)
    shN = np.zeros((count, 0, 3), np.float32)
    if gaussians.sh is not None and gaussians.sh_degree:
        values = np.asarray(gaussians.sh, np.float64) * ((_SH_HIGH - _SH_LOW) / 255.0) + _SH_LOW
        shN = values.reshape(count, 3, values.shape[1] // 3).transpose(0, 2, 1).astype(np.float32)
    with np.errstate(over="ignore"):
        return Scene4D(
            means=np.asarray(gaussians.positions, np.float32),
            quats=np.asarray(gaussians.rotations, np.float32)[:, [3, 0, 1, 2]],
            log_scales=np.log(np.maximum(gaussians.scales, 1e-12)).astype(np.float32),
            logit_opacities=np.log(alpha / (1.0 - alpha)).astype(np.float32),
            sh0=sh0_of_display(colors[:, :3])[:, None],
            shN=shN,
            velocities=np.asarray(gaussians.motions, np.float32),
            time_centers=np.asarray(gaussians.mu_t, np.float32),
            time_widths=np.asarray(gaussians.sigma_t, np.float32),
            time_starts=np.asarray(gaussians.win_lo, np.float32),
            time_ends=np.asarray(gaussians.win_hi, np.float32),
            duration_s=duration_s,
        )
