"""Makes the picture of generated rooms in the README: `python scripts/rooms.py [PICTURE.webp] [--weights DIR]`.

Six prompts, one seed each, as a full segment of 33 frames with what steers it where nobody says otherwise: the
generated picture, below it the depth of the blockout that it was told (where it was told one) and the depth that it
has itself. Nothing is chosen by hand but the prompts; the seed is 0.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from clips.atomic_file import replacing  # noqa: E402
from clips.camera_path import CameraPath, PathKind  # noqa: E402
from clips.picture import depth_to_color  # noqa: E402
from model.generate import Generation, Generator  # noqa: E402
from model.revision import DEFAULT_CONTROL, FULL_STEPS, GUIDANCE, default_weights  # noqa: E402
from model.spec import SegmentSpec  # noqa: E402
from model.spec_control import Control, ControlKind  # noqa: E402

ROOMS = (
    ("bricks in torchlight, a blue orb rolls, a barrel", PathKind.WALK_IN),
    ("a mossy crypt in moonlight, a cyan crystal hovers", PathKind.ORBIT),
    ("marble walls, daylight, tiles, a red cube topples", PathKind.PAN),
    ("sandstone walls, embers, a purple cone, an altar", PathKind.SHAKE),
    ("a large wooden hall, witchlight, a white orb swings", PathKind.WALK_IN),
    ("stone walls, daylight, grass, a green cube bounces", PathKind.STILL),
)
COLUMNS = 3
FRAMES, FPS, SEED = 33, 8.0, 0
SIZE, SMALL = (264, 176), (130, 87)
GAP_PX, TEXT_PX = 4, 11
NEAR_M, FAR_M = 0.8, 8.0
BACKGROUND, INK = (24, 24, 28), (232, 232, 236)
CARD = (SIZE[0], TEXT_PX + 5 + SIZE[1] + GAP_PX + SMALL[1])
QUALITY = 62


def generation_of(generator: Generator, prompt: str, camera: PathKind) -> Generation:
    """The finished generation of a prompt."""
    size = generator.supported
    cameras = CameraPath(kind=camera).cameras(FRAMES, size.width, size.height)
    control = Control(ControlKind(DEFAULT_CONTROL))
    spec = SegmentSpec(prompt, SEED, cameras, FPS, FULL_STEPS, GUIDANCE, generator.revision, control)
    generation = generator.begin(spec)
    generation.advance(generation.steps_total)
    return generation


def card_of(generation: Generation) -> list[Image.Image]:
    """One picture a frame: prompt, colour, the told and the made depth."""
    clip, told = generation.finish(), generation.steering.depth
    blank = np.broadcast_to(np.array(BACKGROUND, np.uint8), clip.frames.shape)
    below = (blank if told is None else depth_to_color(told, NEAR_M, FAR_M), depth_to_color(clip.depth, NEAR_M, FAR_M))
    font = ImageFont.load_default(TEXT_PX)
    pictures = []
    for index, frame in enumerate(clip.frames):
        card = Image.new("RGB", CARD, BACKGROUND)
        ImageDraw.Draw(card).text((0, 0), generation.spec.prompt, fill=INK, font=font)
        card.paste(_resized(frame, SIZE), (0, TEXT_PX + 5))
        for place, depth in enumerate(below):
            card.paste(_resized(depth[index], SMALL), (place * (SIZE[0] - SMALL[0]), CARD[1] - SMALL[1]))
        pictures.append(card)
    return pictures


def on_one_sheet(cards: list[list[Image.Image]]) -> list[Image.Image]:
    """One picture a frame with all cards in rows of COLUMNS."""
    rows = -(-len(cards) // COLUMNS)
    step = (CARD[0] + 2 * GAP_PX, CARD[1] + 3 * GAP_PX)
    sheets = []
    for index in range(FRAMES):
        sheet = Image.new("RGB", (COLUMNS * step[0], rows * step[1]), BACKGROUND)
        for place, card in enumerate(cards):
            row, column = divmod(place, COLUMNS)
            sheet.paste(card[index], (GAP_PX + column * step[0], GAP_PX + row * step[1]))
        sheets.append(sheet)
    return sheets


def write_webp(pictures: list[Image.Image], path: Path) -> None:
    """Write an endless WebP; replaces `path` when whole."""
    duration_ms = round(1000 / FPS)
    with replacing(path) as partial:
        pictures[0].save(
            partial,
            format="WEBP",
            save_all=True,
            append_images=pictures[1:],
            duration=duration_ms,
            loop=0,
            quality=QUALITY,
            method=5,
        )


def _resized(picture: UInt8[np.ndarray, "H W 3"], size: tuple[int, int]) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(picture)).resize(size, Image.Resampling.BICUBIC)


def main() -> None:
    """Generate and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", type=Path, nargs="?", default=ROOT / "docs" / "rooms.webp")
    parser.add_argument("--weights", type=Path, default=default_weights(), help="folder of weights")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    generator = Generator.load(arguments.weights)
    generations = [generation_of(generator, *room) for room in ROOMS]
    write_webp(on_one_sheet([card_of(one) for one in generations]), arguments.picture)
    for generation in generations:
        unknown = ", ".join(generation.prompt.unknown_terms) or "nothing"
        print(f"{generation.spec.prompt}: steered by {generation.steering.kind}, not understood: {unknown}")
    print(f"{arguments.picture}: {arguments.picture.stat().st_size:,} bytes, revision {generator.revision}")


if __name__ == "__main__":
    main()
