"""The words of a prompt that carry its grammar: nouns that materials are said of, negations, links, "
"silent words."""

from __future__ import annotations

from enum import Enum, auto


class Role(Enum):
    """What a term does in its sentence.

    MENTION names a slot's value; HEAD is a noun that something is said of; LINK joins a noun to what is said of it
    ("walls of stone", "the floor is sand"); ON leads from a thing to what it lies on ("tiles on the floor"); AND and OR
    join equals; BREAK parts phrases; END parts clauses; NEGATION rules out what follows; CONTRAST ends that; MOVES is
    motion of no special kind; SILENT says nothing; UNKNOWN is everything else.
    """

    MENTION = auto()
    HEAD = auto()
    LINK = auto()
    ON = auto()
    AND = auto()
    OR = auto()
    BREAK = auto()
    END = auto()
    NEGATION = auto()
    CONTRAST = auto()
    MOVES = auto()
    SILENT = auto()
    UNKNOWN = auto()


HEADS: dict[str, str] = {
    "wall": "wall, 墙壁, 墙, 墙面, 墙体, 壁, 四壁, 四周, 墙身",
    "floor": ("floor, ground, underfoot, flooring, pavement, below, 地板, 地面, 地, 地上, 脚下, 地下, 底下"),
    "ceiling": (
        "ceiling, roof, overhead, above, ceil, 天花板, 天花, 屋顶, 顶棚, 顶, 洞顶, 天顶, 穹顶, 头顶, 房顶, 顶上, "
        "顶部, 拱顶"
    ),
    "light": "light, lighting, lit, illumination, illuminate, 光, 光线, 光芒, 光亮, 照明, 微光, 光辉, 光照, 光里",
    "room": (
        "room, chamber, hall, cell, vault, crypt, dungeon, cave, cavern, cellar, corridor, hallway, chapel, shack, "
        "hut, building, courtyard, garden, "
        "arena, space, place, interior, tomb, temple, sanctum, den, closet, cabin, lair, grotto, castle, house, "
        "tower, "
        "basement, sanctuary, antechamber, tunnel, gallery, "
        "房间, 房, 屋子, 屋, 室, 厅, 大厅, 厅堂, 殿, 大殿, 密室, 地牢, 洞穴, 洞窟, 山洞, 墓室, 地窖, 厢房, 石窟, "
        "空间, 走廊, 牢房, 神殿, "
        "小屋, 暗室, 殿堂, 房子, 宫殿, 教堂, 地下室, 洞, "
        "花园, 庭院, 院子, 竞技场, 城堡, 墓穴, 坟墓, 隧道, 塔楼, 画廊"
    ),
    "object": "it, object, thing, one, something, toy, 物体, 东西, 它, 物件, 物",
    "door": "door, gate, doorway, gateway, 门, 大门, 门口",
}
"""Nouns that a material, a size or a colour may be said of; "object" is the free object where it is not named.

A door fills no slot, but many prompts have one: its red and its wood are neither the cube's nor the walls'.
"""

NEGATIONS = (
    "no, not, no longer, without, never, neither, nor, cannot, nothing, none, nowhere, hardly, lack, lacking, "
    "minus, free of, "
    "devoid of, instead of, rather than, other than, anything but, don't, dont, "
    "没有, 没, 无, 不, 不是, 并非, 并不, 并没有, 非, 别, 不要, 不用, 不带, 不含, 毫无, 勿, 不再, 绝不, 从不, "
    "未, 而不是, 不会, 不能, 不需要"
)
CONTRASTS = (
    "but, except, except for, instead, only, just, simply, rather, although, though, while, yet, however, 除了, "
    "而是, 但, 但是, 只, 只有, "
    "仅, 仅有, 不过, 可是, 却, 而"
)
NOT_NEGATIONS = (
    "nothing but, no longer than, not only, not just, never stop, not stop, no doubt, no matter, "
    "不停, 不停地, 不断, 不断地, 不住地, 不仅, 不但, 不时, 不知, 无限, 无比, 无数, 无声, 无声地, 特别, 不少, 非常, "
    "不已"
)
"""Phrases that hold a negation and rule nothing out."""

LINKS = (
    "of, in, from, is, are, be, was, were, being, been, am, with, that, which, who, has, have, having, as, for, "
    "to, "
    "use, used, using, become, look, seem, at, i, should, must, shall, will, would, may, can, "
    "是, 用, 由, 为, 有, 要, 呈, 长满, 爬满, 布满, 铺着, 铺满, 铺, 覆盖, 覆盖着, 长着, 都是, 全是, 上, 上面, 里, "
    "带, 带有, 均为, "
    "看起来, 发出, 发着, 闪着, 泛着, 长, 颜色是"
)
ONS = "on, upon, onto, along, across, cover"
ANDS = "and, plus, n, also, then, 和, 与, 及, 以及, 跟, 还有, 并, 同, 也, 还, 又, 并且, 加, 加上, 外加"
ORS = "or, 或, 或者, 还是"
BREAKS = (
    "by, over, under, underneath, beneath, between, behind, beside, near, next to, against, into, out, up, down, "
    "inside, "
    "within, through, past, around, round, among, amid, off, where, when, whose, a, an, the, this, these, those, "
    "there, "
    "his, her, my, your, their, our, its, some, any, every, each, w, so, because, if, like, toward, towards, "
    "about, after, "
    "before, during, until, alongside, amidst, opposite, beyond, upon which, across from, in front of, while, we, "
    "you, he, "
    "she, they, them, me, us, him, here, and then, "
    "在, 中, 下, 下面, 里面, 旁, 旁边, 之下, 之上, 之间, 之中, 映照, 映照着, 照亮, 照亮着, 照着, 照耀, 照耀着, "
    "照在, 照, 映着, 映红, 映, 照映, "
    "一个, 一颗, 一座, 一间, 一只, 一张, 一扇, 一块, 一根, 一枚, 一道, 一片, 一盏, 一把, 个, 颗, 座, 间, "
    "这, 那, 这个, 那个, "
    "放着, 放, 摆着, 摆放, 摆放着, "
    "立着, 站着, 立在, 位于, 从, 向, 朝, 对, 把, 被, 将, 让, 沿着, 沿, 到, 往, 一间屋子里, 挂在, 吊在, 悬在, 落在, "
    "洒在, 靠着, 倚着, 紧靠, "
    "背后, 后, 后面, 前, 前面, 面前, 一种, 一些, 每, 里头, 上方, 下方, 一侧, 身旁, 身边, 处, 洒进, 洒满"
)
MOVES = "move, motion, movement, moving, moves, stir, 移动, 运动, 走动, 动, 活动"
SILENTS = (
    "very, quite, really, too, much, many, more, most, all, both, such, own, same, again, ever, still life, "
    "stand, lie, sit, hang, stay, keep, put, place, set, lay, lean, rise, come, go, get, make, made, build, built, "
    "show, see, seen, give, gimme, want, need, add, please, pls, thx, ok, okay, let, do, does, did, done, say, "
    "find, contain, hold, full, fill, filled, cover with, covered, cover in, coat, surround, illuminated by, "
    "lead, reveal, stretch, span, run, pass, fall, pour, stream, spread, wait, begin, end, look like, consist, "
    "constructed, "
    "scene, picture, image, view, video, clip, camera, threshold, prompt, generate, create, "
    "render, "
    "corner, side, middle, center, centre, left, right, back, front, top, bottom, edge, end, way, place, part, "
    "slow, slowly, gently, gentle, quick, quickly, fast, softly, soft, steadily, calmly, quietly, lazily, "
    "endlessly, "
    "constantly, always, forever, perfectly, perfect, completely, entirely, everywhere, merely, nearby, away, "
    "forth, else, "
    "'s, s, t, thats, that's, it's, there's, here's, color, colour, colored, coloured, made of, built of, kind, "
    "sort, type, "
    "beam of light, ray of light, shaft of light, column of light, pillar of light, glow, shine, gleam, size, bit, "
    "lot, just a bit, up and down, single, lone, one of, hue, "
    "shade, wich, shape, shaped, floorplan, grow, pure, "
    "任何, 多, 太, 通明, 过, 既, 悬挂, 中的, 的, 地方, 了, 呢, 吧, 啊, 吗, 得, 之, 其, 很, 十分, 相当, 一起, 正在, 正, "
    "着, 是的, 做, 做的, 做成, 制成, "
    "建成, 砌成, 建造, 铺成, 造, 建, 打造, "
    "慢慢, 慢慢地, 缓缓, 缓缓地, 轻轻, 轻轻地, 来回, 空中, 半空, 半空中, 角落, 角落里, 中央, 中间, 中心, 左, 右, "
    "左边, 右边, 左右, 场景, 画面, 视频, "
    "请, 请给, 生成, 给, 给我, 来个, 来, 需要, 想, 想要, 我, 我要, 你, 门里, 靠墙, 墙边, 墙角, 边, "
    "角, 面, 内, 外, 成, 所, 充满, "
    "纯, 光滑, 干净, 以, 全, 都, 满, 可以, 能, 会, 应该, 一, 只见, 颜色, 形状, 样子, 子, 照射, 透过, 透, 进, 进来, "
    "亮, 发光, 闪光, 闪烁, "
    "起来, 上去, 下去, 过去, 过来, 去, 出, 出来, 当中, 那里, 这里, 整个, 静静的, 上空, 挂着, 吊着, 悬着, 站, "
    "立, 摆, 摆在, 放在, 地滚, 而又, "
    "漫, 笼罩, 之内, 如, 像, 似的, 一样, 一般, 般, 着的, 倒是, 一边, 周围, 四处, 到处, 处处, 来自, 底, 名, 块, 根, "
    "枚, 盏, 片, 道"
)
"""Words that say nothing of what a room looks like; every other unknown word is told to the caller."""

GLOWS = frozenset({"glow", "shine", "gleam", "发光", "闪光", "闪烁", "亮", "照射", "通明"})
"""The silent words of light: the free object glows as it is, but that something shall not glow is told."""

OTHERS = (
    "大象, 沙发, 沙漏, 木乃伊, 木偶, 木马, 草莓, 草药, 石像鬼, 石油, 浮雕, 倒影, 青铜, 黄铜, 金属, 金币, 银币, 地毯, "
    "地图, 火山, 转角, 弹弓"
)
"""Chinese words of things that the model does not know, whose characters by themselves it would: no sand in a sofa."""

IRREGULAR: dict[str, str] = {
    "swung": "swing",
    "swang": "swing",
    "slid": "slide",
    "hung": "hang",
    "lain": "lie",
    "lying": "lie",
    "lay": "lie",
    "stood": "stand",
    "sat": "sit",
    "leapt": "leap",
    "leaves": "leaf",
    "went": "go",
    "gone": "go",
    "dice": "dice",
    "spun": "spin",
    "froze": "frozen",
    "fell": "fall",
    "fallen": "fall",
    "grew": "grow",
    "grown": "grow",
    "isnt": "isn't",
    "bigger": "big",
    "biggest": "big",
    "larger": "large",
    "largest": "large",
    "smaller": "small",
    "smallest": "small",
    "tiniest": "tiny",
    "hugest": "huge",
    "arent": "aren't",
    "doesnt": "doesn't",
    "wont": "won't",
}

NATURAL: frozenset[tuple[str, str]] = frozenset(
    {
        ("crate", "wood"),
        ("barrel", "wood"),
        ("pillar", "stone"),
        ("altar", "stone"),
        ("obelisk", "stone"),
        ("moss", "green"),
        ("grass", "green"),
        ("brick", "red"),
        ("marble", "white"),
        ("sand", "yellow"),
        ("daylight", "yellow"),
        ("moonlight", "white"),
        ("witchlight", "green"),
        ("plaster", "white"),
    }
)
"""What a thing is made of, or its colour, where saying so tells nothing new: a wooden crate, green moss."""
