"""The level: a hall, a red and a blue door with rooms behind, three keys, and a plate that opens the blue door.

y                  [red room]        [blue room]
^                  ---red door---    ---blue door---
|  +------+        |                       (plate) |
|  | red  |========|             hall              |== yellow door
|  | key  |        |             start             |
|  +------+        |                  +--passage---+
|  blue key                           |
+--> x                                +==== yellow key
"""

from __future__ import annotations

from dataclasses import dataclass

from examples.vizdoom.wad import Paint, Point, Room, Thing, Value, pwad, textmap

MAP_NAME = "MAP01"
UNITS_PER_M = 28.0
# Width and height of the doorway that the procedural rooms have, so that both frames meet: 2.0 m, 2.36 m.
DOOR_WIDTH = 56
DOOR_HEIGHT = 66
WALL_Y = 256
DOOR_SPEED = 24

PLAYER_START, RED_SKULL, YELLOW_SKULL, BLUE_SKULL = 1, 38, 39, 40
BLUE_TORCH, RED_TORCH, CANDELABRA, STONE_COLUMN, CANDLE = 44, 46, 35, 30, 34
LOCK_RED, LOCK_BLUE, LOCK_YELLOW = 129, 130, 131
DOOR_OPEN, DOOR_LOCKED_RAISE = 11, 13

STONE, ROUGH, TIMBER = "A-BRICK1", "STONE3", "WOOD1"
TILES, SLABS, PLANKS, COBBLES = "FLOOR4_8", "MFLR8_1", "FLAT5_2", "SLIME16"


@dataclass(frozen=True)
class Doorway:
    """Where a gate of the world stands in the level.

    Attributes:
        gate: id of the gate in world.yaml.
        x, y: middle of the threshold on the floor, map units; one looks north through the door.
        front_y: where the wall of the hall stands; the opening there is `width` wide and `height` high.
    """

    gate: str
    x: float
    y: float
    front_y: float = float(WALL_Y)
    width: float = float(DOOR_WIDTH)
    height: float = float(DOOR_HEIGHT)

    @property
    def leaf_y(self) -> float:
        """Where the door's leaf hangs."""
        return self.front_y + 16.0


RED_X, BLUE_X = -144, 144
DOORWAYS = {
    "red_gate": Doorway("red_gate", RED_X, WALL_Y + 32),
    "blue_gate": Doorway("blue_gate", BLUE_X, WALL_Y + 32),
}
KEYS: dict[str, Point] = {"RedSkull": (-640, -176), "BlueSkull": (-864, -176), "YellowSkull": (912, -352)}
START: Point = (0, -112)
PLATE = [(BLUE_X - 32, 144), (BLUE_X + 32, 144), (BLUE_X + 32, 184), (BLUE_X - 32, 184)]


def level() -> bytes:
    """The bytes of the level's PWAD."""
    return pwad(MAP_NAME, textmap(_rooms(), _things(), _paints()))


def _box(left: int, bottom: int, right: int, top: int) -> list[Point]:
    return [(left, bottom), (right, bottom), (right, top), (left, top)]


def _rooms() -> list[Room]:
    hall = Room(_box(-320, -160, 320, WALL_Y), 0, 136, STONE, TILES, PLANKS, 208, holes=[PLATE])
    plate = Room(PLATE, 4, 136, "STONE2", "FLOOR7_1", PLANKS, 232)
    passages = [
        Room(_box(-544, -48, -320, 48), 0, 104, ROUGH, COBBLES, PLANKS, 168),
        Room(_box(-736, -272, -544, 48), 0, 120, ROUGH, COBBLES, PLANKS, 160),
        Room(_box(-928, -240, -736, -112), 0, 96, ROUGH, COBBLES, PLANKS, 144),
        Room(_box(192, -416, 288, -160), 0, 104, TIMBER, PLANKS, PLANKS, 160),
        Room(_box(288, -416, 976, -304), 0, 104, TIMBER, PLANKS, PLANKS, 152),
    ]
    return [hall, plate, *passages, *_doorway(RED_X, 1), *_doorway(BLUE_X, 2), *_yellow_closet()]


def _doorway(x: int, tag: int) -> list[Room]:
    """The recess before a door, its leaf, and the room behind."""
    half = DOOR_WIDTH // 2
    recess = Room(_box(x - half, WALL_Y, x + half, WALL_Y + 16), 0, DOOR_HEIGHT, STONE, SLABS, SLABS, 216)
    leaf = Room(_box(x - half, WALL_Y + 16, x + half, WALL_Y + 32), 0, 0, "BIGDOOR6", SLABS, SLABS, 216, tag)
    room = Room(_box(x - 80, WALL_Y + 32, x + 80, WALL_Y + 208), 0, 88, "STONE2", SLABS, PLANKS, 144)
    return [recess, leaf, room]


def _yellow_closet() -> list[Room]:
    leaf = Room(_box(320, -32, 336, 64), 0, 0, "BIGDOOR6", SLABS, SLABS, 176, 3)
    return [leaf, Room(_box(336, -48, 480, 80), 0, 96, "STONE2", SLABS, PLANKS, 160)]


def _things() -> list[Thing]:
    things = [Thing(PLAYER_START, *START, 90)]
    things += [Thing(RED_SKULL, *KEYS["RedSkull"]), Thing(BLUE_SKULL, *KEYS["BlueSkull"])]
    things.append(Thing(YELLOW_SKULL, *KEYS["YellowSkull"]))
    for x, torch in ((RED_X, RED_TORCH), (BLUE_X, BLUE_TORCH)):
        things += [Thing(torch, x - 66, WALL_Y - 14), Thing(torch, x + 66, WALL_Y - 14)]
    things += [Thing(STONE_COLUMN, x, y) for x in (-292, 292) for y in (-132,)]
    things += [Thing(CANDELABRA, -712, -248), Thing(CANDELABRA, -712, 24), Thing(CANDELABRA, 216, -392)]
    things += [Thing(CANDLE, -640, -200), Thing(CANDLE, 912, -376), Thing(CANDELABRA, 0, 232)]
    return things


def _paints() -> list[Paint]:
    paints = [_plate_edge(index) for index in range(4)]
    for x, lock, jamb in ((RED_X, LOCK_RED, "DOORRED2"), (BLUE_X, LOCK_BLUE, "DOORBLU2")):
        paints += _door(x, lock, jamb)
    use: dict[str, Value] = {"special": DOOR_LOCKED_RAISE, "arg1": DOOR_SPEED, "arg3": LOCK_YELLOW}
    paints.append(Paint((320, -32), (320, 64), "BIGDOOR6", 16, 0, use | {"playeruse": True, "repeatspecial": True}))
    paints += [Paint((320, -48), (320, -32), "DOORYEL2"), Paint((320, 64), (320, 80), "DOORYEL2")]
    return paints


def _plate_edge(index: int) -> Paint:
    """Who steps over an edge of the plate opens the blue door: the shortcut."""
    open_blue: dict[str, Value] = {"special": DOOR_OPEN, "arg0": 2, "arg1": DOOR_SPEED, "playercross": True}
    return Paint(PLATE[index], PLATE[(index + 1) % 4], "STEP4", line=open_blue)


def _door(x: int, lock: int, jamb: str) -> list[Paint]:
    half, front = DOOR_WIDTH // 2, WALL_Y
    use: dict[str, Value] = {"special": DOOR_LOCKED_RAISE, "arg1": DOOR_SPEED, "arg3": lock}
    use |= {"playeruse": True, "repeatspecial": True}
    leaf = Paint((x - half, front + 16), (x + half, front + 16), "BIGDOOR6", 36, 0, use)
    back = Paint((x - half, front + 32), (x + half, front + 32), "BIGDOOR6", 36, 0)
    lintel = Paint((x - half, front), (x + half, front), "A-BRICK1")
    still: dict[str, Value] = {"dontpegbottom": True}
    inner = [
        Paint((side, low), (side, low + 16), texture, line=still)
        for side in (x - half, x + half)
        for low, texture in ((front, "METAL"), (front + 16, "DOORTRAK"))
    ]
    strips = [
        Paint((x - half - 16, front), (x - half, front), jamb, line=still),
        Paint((x + half, front), (x + half + 16, front), jamb, line=still),
    ]
    return [leaf, back, lintel, *inner, *strips]
