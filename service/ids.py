"""Identifiers. Bare ids inside the service; the API adds the collection (`sessions/...`) at its border."""

from __future__ import annotations

from typing import NewType

WorldId = NewType("WorldId", str)
SessionId = NewType("SessionId", str)
PlayerId = NewType("PlayerId", str)
ChainId = NewType("ChainId", str)
TaskId = NewType("TaskId", str)
GateId = NewType("GateId", str)
SegmentId = NewType("SegmentId", str)
SceneId = NewType("SceneId", str)
AssetId = NewType("AssetId", str)
JobId = NewType("JobId", str)
PinId = NewType("PinId", str)
