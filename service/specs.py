"""From a world's content to the model's SegmentSpec. Imports no torch."""

from __future__ import annotations

from model.revision import ModelInfo, read_model_info
from model.spec import SegmentSpec
from service.errors import InvalidInput
from service.quality import Quality
from service.worlds.world import Content

__all__ = ["ModelInfo", "read_model_info", "segment_spec"]


def segment_spec(content: Content, seed: int, quality: Quality, model: ModelInfo) -> SegmentSpec:
    """The spec of `content` with `seed` at DRAFT or FULL quality by the model at hand.

    Raises:
        InvalidInput: PLACEHOLDER, which no model makes.
        InvalidSpec: the content is not something that a spec can say.
    """
    steps = {Quality.DRAFT: model.draft_steps, Quality.FULL: model.full_steps}.get(quality)
    if steps is None:
        raise InvalidInput(f"a segment's quality must be DRAFT or FULL, got {quality.name}")
    return SegmentSpec(
        prompt=content.prompt,
        seed=seed,
        cameras=content.camera_path.cameras(content.frames, content.width_px, content.height_px),
        fps=content.fps,
        steps=steps,
        guidance=model.guidance,
        model_revision=model.revision,
        control=content.control,
    )
