"""English words of every slot value: canonical; said in captions; only read in prompts; only hints.

Words are lemmas (`crate`, not `crates`); verbs stand in their base form. The captions' words fit the captions'
grammar: lights are nouns ("lit by ..."), materials stand before a noun, motions are verbs.
"""

from __future__ import annotations

TABLE: dict[str, dict[str, tuple[str, ...]]] = {
    "light": {
        "torchlight": (
            "torchlight, torch",
            "candlelight, firelight",
            "torchlit, candle, candlelit, lantern, lanternlight, lamp, lamplight, lamplit, sconce, brazier, "
            "chandelier, crystal chandelier, table lamp",
        ),
        "moonlight": (
            "moonlight",
            "starlight",
            "moon, moonlit, moonbeam, moonshine, starlit, star, beam of moonlight",
            "night, nighttime, nocturnal, midnight, nightfall",
        ),
        "daylight": (
            "daylight",
            "sunlight",
            "daylit, sun, sunlit, sunbeam, sunshine, sunray, sunny, skylight, beam of sunlight, beam of daylight",
            "day, daytime, noon, midday, morning, bright, brightly lit",
        ),
        "ember": (
            "ember light, ember",
            "ember glow",
            "coal, glowing coal, cinder, smoulder, smolder, lava, magma, molten",
            "fire, fiery, flame, furnace, forge, hearth, fireplace, bonfire",
        ),
        "witchlight": (
            "witchlight, witch light",
            "magic light, ghost light",
            "witchlit, ghostlight, magelight, mage light, magical light, wisp, will-o-wisp, arcane, eldritch, spectral",
            "witch, magic, magical, ghost, ghostly, eerie, spooky, haunted, enchanted, supernatural",
        ),
    },
    "wall": {
        "stone": ("stone", "granite", "stony, stonework, rock, rocky, slate, ashlar", "cobblestone, cobble"),
        "brick": ("brick", "brickwork", "stonebrick", "masonry"),
        "wood": (
            "wood",
            "timber, oak",
            "wooden, wooded, timbered, oaken, pine, log, lumber, plank, planking, board, wood panelled, "
            "wood paneled, wood paneling, wood panelling, wood panel, wooden panel, wooden paneling, wooden panelling",
            "oak plank",
        ),
        "moss": ("moss", "ivy", "mossy, vine, overgrown, lichen", "jungle, foliage, leafy, leaf"),
        "sandstone": ("sandstone, sand stone", "limestone", "adobe", "sand, sandy, desert, egyptian"),
        "marble": ("marble", "white marble", "alabaster"),
    },
    "floor": {
        "flagstone": (
            "flagstone",
            "cobblestone",
            "cobble, cobbled, slab, paved, paving, paving stone, stone slab, flagged, stone, granite, slate, rock",
            "sandstone, limestone",
        ),
        "sand": ("sand", "desert sand", "sandy, dune", "beach"),
        "planks": (
            "plank, planks, board",
            "oak plank",
            "floorboard, planking, wood, wooden, timber, oak, oaken, pine, parquet, lumber",
        ),
        "tiles": (
            "tile, tiles",
            "mosaic",
            "tiled, tiling, checkerboard, checkered, chequered, ceramic, marble, white marble",
        ),
        "grass": ("grass", "turf", "grassy, lawn, meadow, sod", "moss, mossy"),
    },
    "ceiling": {
        "plaster": ("plaster", "stucco", "plastered, whitewashed plaster", "whitewashed"),
        "beams": (
            "beam, beams",
            "rafter",
            "beamed, raftered, joist, wooden beam, wood, wooden, timber, oak, oaken, pine, plank, oak plank, board",
        ),
        "rock": ("rock", "raw rock", "rocky, bedrock, stone, granite", "stalactite"),
        "coffers": ("coffer, coffers", "", "panelled coffer, coffered, caisson, coffering", "panelled, paneled, panel"),
    },
    "size": {
        "small": (
            "small",
            "tiny, little",
            "cramped, narrow, compact, smol, snug, poky, mini, minuscule, miniature, claustrophobic, pocket-sized",
            "low, tight, petite, teeny",
        ),
        "large": (
            "large",
            "big, huge, vast",
            "spacious, enormous, giant, gigantic, massive, immense, cavernous, roomy, sprawling, wide, grand, colossal",
            "great, high, tall, lofty, broad",
        ),
    },
    "color": {
        "red": ("red", "crimson, scarlet", "ruby, vermilion, maroon, reddish, blood-red, cherry"),
        "green": ("green", "emerald", "lime, jade, verdant, greenish, olive"),
        "blue": ("blue", "azure, sapphire", "navy, cobalt, ultramarine, bluish, indigo-blue"),
        "yellow": ("yellow", "golden", "gold, lemon, amber, yellowish, canary"),
        "purple": ("purple", "violet", "magenta, lilac, lavender, amethyst, indigo, mauve"),
        "cyan": ("cyan", "turquoise", "teal, aqua, aquamarine, blue-green"),
        "white": ("white", "ivory", "silver, silvery, snowy, snow-white, cream", "pale"),
        "orange": ("orange", "tangerine", "copper, apricot, pumpkin"),
    },
    "shape": {
        "orb": ("orb", "sphere, ball", "globe, bubble, pearl, spheroid, crystal ball, marble ball, spherical"),
        "cube": ("cube", "block", "dice, die, box, cubic"),
        "crystal": ("crystal", "gem, jewel", "gemstone, diamond, octahedron, shard"),
        "cone": ("cone", "", "pyramid, spike, conical"),
    },
    "motion": {
        "still": (
            "stand still, still",
            "rest, stay still, lie still",
            "motionless, static, stationary, unmoving, immobile, idle, at rest, standstill, stock-still, frozen",
            "stay put, never stir, not stir",
        ),
        "bounce": ("bounce", "hop, jump", "bouncy, leap, rebound, spring up, pogo"),
        "slide": ("slide", "glide", "slither, skate, skid", "sideways, side to side, back and forth, left and right"),
        "orbit": (
            "orbit",
            "circle, circle around",
            "turn in circle, go round, revolve, loop, whirl",
            "spin, rotate, turn, twirl, round and round",
        ),
        "hover": ("hover", "float, levitate", "hovering, bob, drift, weightless, afloat", "in midair, in mid-air"),
        "roll": ("roll", "roll about, roll along", "rolling, trundle"),
        "topple": ("topple", "tip over, fall over", "tumble, keel over, knock over, flip over, overturn, upend, tip"),
        "swing": (
            "swing",
            "sway, dangle",
            "pendulum, oscillate",
            "hang from a cord, hang from a chain, hang from a rope, on a cord, on a chain, on a rope, on a string, "
            "from a rope, to and fro",
        ),
    },
    "prop": {
        "none": (
            "no prop",
            "nothing else",
            "no furniture, otherwise empty, unfurnished, nothing against the wall, nothing against a wall, "
            "nothing by the wall, no decoration",
            "empty, bare",
        ),
        "crate": ("crate, wooden crate", "", "chest, wooden box, trunk"),
        "barrel": ("barrel", "cask", "keg, drum"),
        "pillar": ("pillar", "column", "colonnade", "post"),
        "altar": ("altar", "shrine", "", "table, pedestal, dais, plinth"),
        "obelisk": ("obelisk", "monolith", "stele", "statue"),
    },
}
