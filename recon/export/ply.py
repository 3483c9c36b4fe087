"""PLY: one instant of a scene as the binary 3DGS file that every splat viewer and editor opens.

Values are stored as 3DGS stores them: log scales, logit opacities, quaternions w,x,y,z, SH coefficients (all of
red, then green, then blue), axes x right, y down, z forward. Motion does not fit into that format; `.4dgs` holds it.
"""

from __future__ import annotations

from pathlib import Path

import gsply
import numpy as np

from clips.atomic_file import replacing
from recon.errors import InvalidScene, UnreadableScene
from recon.instant import scene_at
from recon.scene import Scene4D

_OPACITY_EDGE = 1e-4
_MAX_HEADER_BYTES = 65_536


def encode_ply(scene: Scene4D, time_s: float = 0.0) -> bytes:
    """The PLY file of the splats that are visible at `time_s` scene seconds, where they are then."""
    instant = scene_at(scene, time_s)
    count = len(instant.indices)
    rest = scene.shN[instant.indices].transpose(0, 2, 1).reshape(count, 3 * scene.shN.shape[1])
    opacities = np.clip(instant.opacities.astype(np.float64), _OPACITY_EDGE, 1.0 - _OPACITY_EDGE)
    columns = {
        ("x", "y", "z"): instant.means,
        ("f_dc_0", "f_dc_1", "f_dc_2"): scene.sh0[instant.indices, 0],
        tuple(f"f_rest_{i}" for i in range(rest.shape[1])): rest,
        ("opacity",): np.log(opacities / (1.0 - opacities))[:, None],
        ("scale_0", "scale_1", "scale_2"): scene.log_scales[instant.indices],
        ("rot_0", "rot_1", "rot_2", "rot_3"): instant.quats,
    }
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {count}"]
    header += [f"property float {name}" for names in columns for name in names]
    table = np.concatenate(list(columns.values()), axis=1).astype("<f4")
    return "\n".join([*header, "end_header", ""]).encode("ascii") + table.tobytes()


def write_ply(scene: Scene4D, path: Path, time_s: float = 0.0) -> int:
    """Write the scene at `time_s` to `path` (all or nothing); returns the number of bytes."""
    data = encode_ply(scene, time_s)
    with replacing(path) as partial:
        partial.write_bytes(data)
    return len(data)


def read_ply(path: Path) -> Scene4D:
    """The still scene in a 3DGS PLY file, plain or compressed, read by PyPI `gsply`.

    Raises:
        UnreadableScene: no such file, not a 3DGS PLY, or cut short; the message names the file.
    """
    try:
        _check_header(path)
        data = gsply.plyread(path)
        count = len(data.means)
        return Scene4D(
            means=_floats(data.means),
            quats=_unit(_floats(data.quats)),
            log_scales=_floats(data.scales),
            logit_opacities=_floats(data.opacities).reshape(count),
            sh0=_floats(data.sh0).reshape(count, 1, 3),
            shN=_floats(data.shN).reshape(count, np.size(data.shN) // max(3 * count, 1), 3),
            velocities=np.zeros((count, 3), np.float32),
            time_centers=np.zeros(count, np.float32),
            time_widths=np.full(count, np.inf, np.float32),
            time_starts=np.full(count, -np.inf, np.float32),
            time_ends=np.full(count, np.inf, np.float32),
            duration_s=0.0,
        )
    except (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError, InvalidScene) as error:
        raise UnreadableScene(f"{path}: not a readable 3DGS PLY file ({error})") from error


def _check_header(path: Path) -> None:
    """Refuse a file whose header does not end: gsply 0.4.6 would read on for ever."""
    with path.open("rb") as file:
        start = file.read(_MAX_HEADER_BYTES)
    if not start.startswith(b"ply") or b"\nend_header\n" not in start.replace(b"\r\n", b"\n"):
        raise UnreadableScene(f"{path}: not a PLY file, or cut short in its header")


def _floats(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values, np.float32)


def _unit(quats: np.ndarray) -> np.ndarray:
    return np.asarray(quats / np.maximum(np.linalg.norm(quats, axis=1, keepdims=True), 1e-12), np.float32)
