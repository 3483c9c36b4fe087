"""What a spec's control becomes: a blockout, its depth as the cameras see it, and what the network is fed of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float32

from clips.dungeon.blockout import Graybox, check_cameras
from clips.errors import InvalidCameras, InvalidRoom
from model.contradiction import contradiction
from model.control import CONTROL_NONE, CONTROL_OBJECTS, CONTROL_ROOM
from model.errors import InvalidSpec
from model.reach import check_reach, outside_note
from model.spec import SegmentSpec
from model.spec_control import ControlKind


@dataclass(frozen=True, eq=False)
class Steering:
    """What a segment was steered by; a record of it is kept with the segment.

    Attributes:
        kind: what it was in the end: none where no layout fits the cameras.
        graybox: the blockout, sampled or given; None without one.
        depth: what the cameras see of it, metres, (T, H, W), float32; None with kind none.
        words: slot to word of what a sampled layout drew or was told; empty for the other kinds.
        note: why it is not what the spec asked for, or what is doubtful of it; "" where all is well.
    """

    kind: ControlKind = ControlKind.NONE
    graybox: Graybox | None = None
    depth: Float32[np.ndarray, "T H W"] | None = None
    words: Mapping[str, str] = field(default_factory=dict)
    note: str = ""

    @property
    def network_kind(self) -> int:
        """`model.control`'s number for it: nothing, the room alone, or the room and its objects."""
        if self.depth is None:
            return CONTROL_NONE
        return CONTROL_ROOM if self.graybox is not None and not self.graybox.proxies else CONTROL_OBJECTS

    def to_json(self) -> dict[str, Any]:
        """The record: kind, the blockout where there is one, and the note where there is one."""
        record: dict[str, Any] = {"kind": str(self.kind)}
        if self.graybox is not None:
            record["graybox"] = self.graybox.to_json()
        return {**record, "note": self.note} if self.note else record


def steering_of(spec: SegmentSpec, slots: Mapping[str, str | None]) -> Steering:
    """What steers this spec; `slots` is what its prompt says. Deterministic.

    Raises:
        InvalidSpec: a camera stands outside the spec's own blockout or in one of its solids, or farther from the gate
            than `model.reach` allows.
    """
    check_reach(spec.cameras, spec.control.kind)
    control, times = spec.control, np.arange(len(spec.cameras)) / spec.fps
    if control.kind is ControlKind.LAYOUT:
        return _layout(spec, slots, times)
    if control.kind is ControlKind.NONE:
        return Steering(note=outside_note(spec.cameras))
    if control.graybox is None:
        return Steering(control.kind, None, control.depth)
    try:
        check_cameras(control.graybox, spec.cameras, times)
    except InvalidCameras as error:
        raise InvalidSpec(f"control: the cameras do not fit the blockout: {error}") from error
    note = contradiction(control.graybox, slots)
    return Steering(control.kind, control.graybox, _depth(control.graybox, spec, times), note=note)


def _layout(spec: SegmentSpec, slots: Mapping[str, str | None], times: np.ndarray) -> Steering:
    from model.layout import sample_layout  # noqa: PLC0415  physics and Numba take seconds to load

    try:
        layout = sample_layout(slots, spec.seed, spec.cameras, times)
    except (InvalidCameras, InvalidRoom) as error:
        return Steering(note=f"no layout fits these cameras, so none is used: {error}")
    return Steering(ControlKind.LAYOUT, layout.graybox, _depth(layout.graybox, spec, times), layout.words)


def _depth(graybox: Graybox, spec: SegmentSpec, times: np.ndarray) -> np.ndarray:
    from clips.dungeon.graybox import graybox_depth  # noqa: PLC0415  as above

    return graybox_depth(graybox, spec.cameras, times)
