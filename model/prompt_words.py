"""The words that the prompt front end knows: each maps to what it means in a slot.

Keys are lower-case lemmas. A word with two meanings (a material of walls or of the floor) lists both; the first
is meant where the sentence does not say.
"""

from __future__ import annotations

Meanings = tuple[tuple[str, str], ...]
"""(slot, canonical value) pairs; the slots are those of `clips.dungeon.attributes.SLOTS`."""


def _words(slot: str, value: str, words: str) -> dict[str, Meanings]:
    return dict.fromkeys((value, *words.split()), ((slot, value),))


MEANINGS: dict[str, Meanings] = {
    **_words("light", "torchlight", "torch torchlit firelight candlelight candle lantern lamplight lamp sconce"),
    **_words("light", "moonlight", "moon moonlit moonbeam night nighttime starlight"),
    **_words("light", "daylight", "day daytime sun sunlight sunlit sunbeam sunshine noon bright"),
    **_words("light", "ember", "coal lava magma fire flame furnace forge glowing-coal hearth smoulder smolder"),
    **_words("light", "witchlight", "witch witchlit magic magical arcane ghostlight ghostly eerie spectral wisp"),
    **_words("wall", "brick", "brickwork masonry"),
    **_words("wall", "moss", "mossy overgrown ivy vine"),
    **_words("wall", "sandstone", "limestone desert"),
    **_words("floor", "sand", "sandy dune beach"),
    **_words("floor", "grass", "grassy lawn meadow turf"),
    **_words("floor", "flagstone", "cobble cobblestone cobbled paved paving slab"),
    **_words("floor", "tiles", "tile tiled checkerboard checkered chequered mosaic"),
    **_words("color", "red", "crimson scarlet ruby vermilion maroon"),
    **_words("color", "green", "emerald lime jade verdant"),
    **_words("color", "blue", "azure sapphire navy cobalt ultramarine"),
    **_words("color", "yellow", "golden gold lemon amber"),
    **_words("color", "purple", "violet magenta lilac lavender amethyst indigo"),
    **_words("color", "cyan", "teal turquoise aqua aquamarine"),
    **_words("color", "white", "ivory pale silver silvery snowy"),
    **_words("color", "orange", "tangerine copper"),
    **_words("shape", "orb", "sphere ball globe bubble pearl spheroid"),
    **_words("shape", "cube", "block dice die box"),
    **_words("shape", "crystal", "gem gemstone jewel diamond octahedron shard"),
    **_words("shape", "cone", "spike pyramid"),
    **_words("motion", "still", "motionless static rest idle stationary unmoving"),
    **_words("motion", "bounce", "bouncy hop jump leap"),
    **_words("motion", "slide", "glide sideways sway swing"),
    **_words("motion", "orbit", "circle circling revolve loop"),
    **_words("motion", "hover", "float levitate bob drift"),
    **_words("prop", "crate", "chest"),
    **_words("prop", "barrel", "cask keg drum"),
    **_words("prop", "pillar", "column post"),
    **_words("prop", "altar", "table shrine pedestal dais"),
    **_words("prop", "obelisk", "monolith stele statue"),
    "stone": (("wall", "stone"), ("floor", "flagstone")),
    "rock": (("wall", "stone"), ("floor", "flagstone")),
    "rocky": (("wall", "stone"), ("floor", "flagstone")),
    "granite": (("wall", "stone"), ("floor", "flagstone")),
    "wood": (("wall", "wood"), ("floor", "planks")),
    "wooden": (("wall", "wood"), ("floor", "planks")),
    "timber": (("wall", "wood"), ("floor", "planks")),
    "oak": (("wall", "wood"), ("floor", "planks")),
    "plank": (("floor", "planks"), ("wall", "wood")),
    "planks": (("floor", "planks"), ("wall", "wood")),
    "board": (("floor", "planks"), ("wall", "wood")),
    "floorboard": (("floor", "planks"),),
    "marble": (("wall", "marble"), ("floor", "tiles")),
}


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


EMPTY_PHRASES: tuple[tuple[str, ...], ...] = (
    ("no", "prop"),
    ("no", "furniture"),
    ("nothing", "else"),
    ("otherwise", "empty"),
)
"""Word sequences that say that nothing stands against a wall."""

WALL_HEADS = _set("wall room chamber hall ceiling cell vault crypt dungeon cave cellar cavern corridor")
FLOOR_HEADS = _set("floor ground underfoot flooring pavement")
LIGHT_HEADS = _set("light glow lighting shine lit")

STOP_WORDS = _set(
    """a an the of in on at by to from with without and or but that which who it its this these those there here is are
    was be been being has have having some one single small large big little old ancient behind beside between over
    under underneath above below near next against along across into out up down inside within lie stand move go come
    hang sit rest keep full filled contain made built cover covered see show scene picture view gate door doorway
    thing object something while as around round middle center centre corner back front left right side slowly
    slow gently quickly no nothing else only very dark dim"""
)
