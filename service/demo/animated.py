"""The animated picture of the README, from a demo's door.mp4:

python -m service.demo.animated out/demo/door.mp4 docs/door.webp
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from clips.atomic_file import replacing
from clips.video import read_mp4

WIDTH = 560
EVERY = 1
MAX_BYTES = 3_000_000
QUALITIES = (70, 55, 40, 25)


def write_animated(video: Path, path: Path) -> int:
    """Writes an endless WebP of a video, smaller; its size in bytes, at most 3 MB.

    Raises:
        UnreadableClip: the video cannot be read.
        ValueError: it is too long for 3 MB.
    """
    frames, fps = read_mp4(video)
    height = round(frames.shape[1] * WIDTH / frames.shape[2])
    pictures = [Image.fromarray(frame).resize((WIDTH, height), Image.Resampling.LANCZOS) for frame in frames[::EVERY]]
    duration_ms = round(1000 * EVERY / fps)
    for quality in QUALITIES:
        with replacing(path) as partial:
            pictures[0].save(
                partial,
                format="WEBP",
                save_all=True,
                append_images=pictures[1:],
                duration=duration_ms,
                loop=0,
                quality=quality,
                method=5,
            )
        if path.stat().st_size <= MAX_BYTES:
            return path.stat().st_size
    raise ValueError(f"{video}: {len(pictures)} pictures do not fit into {MAX_BYTES} bytes; use a shorter video")


def main(arguments: Sequence[str]) -> int:
    """Writes the picture that the arguments name; 0, or 2 where they are wrong."""
    if len(arguments) != 2:
        print("usage: python -m service.demo.animated VIDEO.mp4 PICTURE.webp", file=sys.stderr)
        return 2
    size = write_animated(Path(arguments[0]), Path(arguments[1]))
    print(f"{arguments[1]}: {size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
