"""How far from the gate a camera may stand: what the model can know of what such a camera sees. Imports no torch."""

from __future__ import annotations

import numpy as np

from clips.cameras import Cameras
from clips.dungeon.cells import room_cells, start_cells
from clips.errors import InvalidCameras
from model.errors import InvalidSpec
from model.spec_control import MAX_DEPTH_M, ControlKind

LARGEST_ROOM_M = (8.0, 4.0, 9.0)
"""Width, height and depth of the largest room that `clips.dungeon.scene` makes."""

FARTHEST_CAMERA_M = 20.0
"""From the gate, where no blockout or depth clip says what is there.

More than twice the depth of LARGEST_ROOM_M, so that weights trained on a studio's own halls may have larger rooms;
the camera paths of worlds end 11 m from the gate.
"""

_LIMITS_M = {
    ControlKind.NONE: FARTHEST_CAMERA_M,
    ControlKind.LAYOUT: FARTHEST_CAMERA_M,
    # A depth clip says what is seen, as far as one can say anything.
    ControlKind.DEPTH: MAX_DEPTH_M,
}
"""A blockout has its own limit: its cameras stand in it (`clips.dungeon.blockout.check_cameras`)."""


def check_reach(cameras: Cameras, control: ControlKind) -> None:
    """Refuse cameras that see nothing of what the model knows. Positions are of the gate frame: 0 is the gate.

    Raises:
        InvalidSpec: a camera stands farther from the gate than the kind of control allows; names the frames, the
            first one's position, the limit and the remedy.
    """
    limit_m = _LIMITS_M.get(control)
    if limit_m is None:
        return
    far = np.flatnonzero(np.linalg.norm(cameras.positions, axis=1) > limit_m)
    if len(far):
        where = (np.round(cameras.positions[far[0]], 3) + 0.0).tolist()
        raise InvalidSpec(
            f"cameras: with control {control} they must stand within {limit_m:g} m of the gate; frames "
            f"{far[:8].tolist()} do not, the first is at {where} m (positions are of the gate frame, whose origin is "
            f"the middle of the threshold; a blockout lets cameras stand anywhere in its room)"
        )


def outside_note(cameras: Cameras) -> str:
    """What to tell of cameras outside every room that the model was trained in; "" where all stand inside."""
    try:
        start_cells(room_cells(*LARGEST_ROOM_M), cameras)
    except InvalidCameras as error:
        size = "x".join(f"{part:g}" for part in LARGEST_ROOM_M)
        return f"outside what the shipped model knows (rooms of at most {size} m), so the picture is a guess: {error}"
    return ""
