"""Clips of the embedded model, to be reconstructed: there is no truth but the clip itself."""

from __future__ import annotations

import numpy as np

from clips.clip import Clip
from model.generate import SIGMA_SHIFT, Generator
from model.measure.generation import Blockout, Sampling, generate
from model.measure.scenes import ClipSize, SceneKind, make_scene
from model.revision import FULL_STEPS, GUIDANCE, GUIDANCE_INTERVAL, MAP_STEPS


def generated_clips(count: int, seed: int) -> list[Clip]:
    """`count` clips by the shipped weights, of held-out scenes; another seed has other scenes.

    They are told the true room's blockout, so the true object's motion mask tells about where they move.
    """
    generator = Generator.load()
    size = ClipSize(generator.supported.frames, generator.supported.width, generator.supported.height)
    scenes = [make_scene(SceneKind.HELD_OUT, seed * count + number, size) for number in range(count)]
    sampling = Sampling(FULL_STEPS, GUIDANCE, SIGMA_SHIFT, GUIDANCE_INTERVAL, mapped=FULL_STEPS <= MAP_STEPS)
    made = generate((generator.vae, generator.dit), scenes, Blockout.OBJECTS, sampling, seed * count)
    times = np.arange(size.frames, dtype=np.float64) / size.fps
    return [
        Clip(one.frames, one.depth, scene.cameras, times, scene.sample.clip.caption, scene.sample.clip.motion_mask)
        for one, scene in zip(made, scenes, strict=True)
    ]
