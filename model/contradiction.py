"""Where a blockout contradicts the prompt that it goes with: solids that it lacks, things that stand still.

The network paints what the blockout has, so the words are not shown; whoever gave both should hear of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np

from clips.dungeon.attributes import Motion, Prop, Shape
from clips.dungeon.blockout import Graybox, Proxy, ProxyKind

SOLID_OF: dict[str, ProxyKind] = {
    Shape.ORB: ProxyKind.SPHERE,
    Shape.CUBE: ProxyKind.BOX,
    Shape.CRYSTAL: ProxyKind.OCTAHEDRON,
    Shape.CONE: ProxyKind.CONE,
    Prop.CRATE: ProxyKind.BOX,
    Prop.BARREL: ProxyKind.CYLINDER,
    Prop.PILLAR: ProxyKind.BOX,
    Prop.ALTAR: ProxyKind.BOX,
    Prop.OBELISK: ProxyKind.BOX,
}
"""The solid that each thing had in the blockouts of training, as `clips.dungeon.graybox.graybox_of` makes them."""

_STILL_M = 1e-3
"""A proxy whose middle and turns change by less stands still."""


def contradiction(graybox: Graybox, slots: Mapping[str, str | None]) -> str:
    """One line on how the blockout contradicts the words of a prompt; "" where it does not.

    A blockout of the bare room contradicts nothing: the network adds what the prompt names. Solids that the prompt
    does not name contradict nothing either, unless it says that there is nothing else.
    """
    if not graybox.proxies:
        return ""
    found = [*_missing(graybox, slots), *_too_many(graybox, slots), *_motion(graybox, slots)]
    if not found:
        return ""
    has = ", ".join(f"{count} {kind}" for kind, count in sorted(_kinds(graybox).items()))
    return f"the blockout contradicts the prompt: {'; '.join(found)} (its solids: {has}); the blockout is what is made"


def _kinds(graybox: Graybox) -> Counter[str]:
    return Counter(str(proxy.kind) for proxy in graybox.proxies)


def _missing(graybox: Graybox, slots: Mapping[str, str | None]) -> list[str]:
    """The things that the prompt names and that no solid is left for."""
    left, found = _kinds(graybox), []
    for slot in ("shape", "prop"):
        word = slots.get(slot)
        solid = SOLID_OF.get(word) if word is not None else None
        if solid is None:
            continue
        if left[solid] == 0:
            found.append(f"no {solid} for the {word}")
        left[solid] -= 1
    return found


def _too_many(graybox: Graybox, slots: Mapping[str, str | None]) -> list[str]:
    """Whether there is more than one solid where the prompt says that there is nothing but the object."""
    more = len(graybox.proxies) > 1 and slots.get("prop") == Prop.NONE
    return [f"{len(graybox.proxies)} solids where nothing else shall be"] if more else []


def _motion(graybox: Graybox, slots: Mapping[str, str | None]) -> list[str]:
    """Whether something moves that shall not, or nothing that shall."""
    word = slots.get("motion")
    if word is None:
        return []
    moves = any(_moves(proxy) for proxy in graybox.proxies)
    if moves == (word != Motion.STILL):
        return []
    return ["a solid moves where all is still"] if moves else [f"no solid moves, and the object shall {word}"]


def _moves(proxy: Proxy) -> bool:
    return max(float(np.ptp(part, axis=0).max()) for part in (proxy.centers, proxy.rotations)) > _STILL_M
