"""What `narthex reconstruct` writes and reports besides the scene: envelope, levels, collision, graybox."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.errors import InvalidInput

if TYPE_CHECKING:
    import numpy as np

    from clips.clip import Clip
    from recon.export.glb import MeshFile
    from recon.mesh import Mesh
    from recon.scene import Scene4D

LevelsOption = Annotated[
    bool, typer.Option("--levels", help="Also write coarser levels of detail beside the scene: NAME.level1.4dgs, ...")
]
CollisionOption = Annotated[
    Path | None, typer.Option("--collision", help="Also write what to collide with: a .glb file.")
]
GrayboxFileOption = Annotated[
    Path | None,
    typer.Option("--graybox", help="Compare the scene with the level's own mesh, a .glb; --collision then writes it."),
]
ProxyOption = Annotated[
    bool, typer.Option("--proxy", help="With --graybox: --collision writes the reconstructed proxy all the same.")
]
SpawnOption = Annotated[
    str | None, typer.Option("--spawn", help="Where the way begins: X,Y,Z at the feet, gate frame; else node spawn.")
]
ExitOption = Annotated[
    str | None, typer.Option("--exit", help="Where the way shall lead: X,Y,Z at the feet; else the node exit.")
]


@dataclass(frozen=True)
class Outputs:
    """What was asked for besides the scene itself.

    Raises:
        InvalidInput: options do not go together, or a position is not three numbers; the message names the option.
    """

    levels: bool = False
    collision: Path | None = None
    graybox: Path | None = None
    proxy: bool = False
    spawn: str | None = None
    exit: str | None = None

    def __post_init__(self) -> None:
        for name in ("spawn", "exit"):
            text = getattr(self, name)
            if text is not None:
                _position(name, text)
                if self.graybox is None and self.collision is None:
                    raise InvalidInput(
                        f"--{name}: got {text!r} without --graybox or --collision, the meshes to walk on"
                    )
        if self.proxy and (self.graybox is None or self.collision is None):
            raise InvalidInput("--proxy goes with --graybox and --collision; without --graybox it is what is written")

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that will be written under the names that were given."""
        return () if self.collision is None else (self.collision,)

    def load_graybox(self) -> MeshFile | None:
        """The level's own mesh, None without one. Raises UnreadableScene; so ask before long work."""
        from recon.export.glb import read_glb

        return None if self.graybox is None else read_glb(self.graybox)


def envelope_facts(scene: Scene4D, clip: Clip, *, draft: bool) -> dict[str, str]:
    """The camera's envelope as metadata of a `.4dgs` file; the quick one where the scene is a draft."""
    from recon.envelope import ENVELOPE_KEY
    from recon.envelope_search import EnvelopeSettings, find_envelope

    settings = EnvelopeSettings.draft() if draft else EnvelopeSettings.full()
    return {ENVELOPE_KEY: find_envelope(scene, clip.cameras, clip.times, settings).to_json()}


def write_outputs(
    outputs: Outputs, graybox: MeshFile | None, scene: Scene4D, clip: Clip, out: Path, facts: dict[str, str]
) -> dict[str, Any]:
    """Write what was asked for; the report's lines on it.

    Args:
        graybox: what `outputs.load_graybox` gave.
        out: the scene's own file; levels are written beside it.
        facts: the scene's metadata, which its levels have too.

    Raises:
        OSError: a file cannot be written.
    """
    report: dict[str, Any] = {"envelope": _told_envelope(facts)}
    if outputs.levels:
        report["levels"] = _write_levels(scene, clip, out, facts)
    if outputs.collision is not None or graybox is not None:
        report |= _collision(outputs, graybox, scene, clip)
    return report


def tell_outputs(report: dict[str, Any]) -> list[str]:
    """The report of `write_outputs` as lines for people."""
    lines = []
    envelope = report.get("envelope")
    if envelope:
        lines.append(
            f"camera envelope: {envelope['widest_m']:.2f} m at its widest, {envelope['narrowest_m']:.2f} m at its "
            f"narrowest, {envelope['held']:.0%} of the views tried hold"
        )
    for level in report.get("levels", ()):
        lines.append(
            f"{level['out']}: level {level['level']}, {level['splats']} splats, {level['bytes']} bytes, "
            f"PSNR on the clip {level['psnr_db']:.1f} dB"
        )
    if "collision" in report:
        collision = report["collision"]
        lines.append(f"{collision['out']}: {collision['kind']}, {collision['triangles']} triangles")
    if "graybox" in report:
        told = report["graybox"]
        lines.append(f"graybox: depth differs by {told['median_m']:.3f} m (median), {told['p95_m']:.3f} m (95 %)")
    if "way" in report:
        way = report["way"]
        found = f"reachable in {way['length_m']:.1f} m" if way["reachable"] else f"not reachable: {way['reason']}"
        lines.append(f"exit from spawn: {found}")
    return lines


def psnr_db(rendered: np.ndarray, truth: np.ndarray) -> float:
    """Peak signal-to-noise ratio of uint8 pictures in dB; 99 when they are equal."""
    import numpy as np

    error = float(np.mean((rendered.astype(np.float64) - truth) ** 2))
    return float(10.0 * np.log10(255.0**2 / error)) if error > 0 else 99.0


def _told_envelope(facts: dict[str, str]) -> dict[str, float]:
    from recon.envelope import ENVELOPE_KEY, Envelope

    envelope = Envelope.from_json(facts[ENVELOPE_KEY])
    size = envelope.high_m - envelope.low_m
    return {"widest_m": float(size.max()), "narrowest_m": float(size.min()), "held": envelope.held}


def _write_levels(scene: Scene4D, clip: Clip, out: Path, facts: dict[str, str]) -> list[dict[str, Any]]:
    from recon.export.fourdgs_file import write_4dgs
    from recon.levels import levels_of
    from recon.raster import render_scene

    written = []
    for level in levels_of(scene, clip):
        if level.level == 0:
            continue
        path = out.with_name(f"{out.stem}.level{level.level}{out.suffix}")
        frames, _, _ = render_scene(level.scene, clip.cameras, clip.times)
        written.append(
            {
                "out": str(path),
                "level": level.level,
                "splats": len(level.scene),
                "bytes": write_4dgs(level.scene, path, {**facts, "level": str(level.level)}),
                "psnr_db": round(psnr_db(frames, clip.frames), 2),
            }
        )
    return written


def _collision(outputs: Outputs, graybox: MeshFile | None, scene: Scene4D, clip: Clip) -> dict[str, Any]:
    """The collider, written where that was asked for; the graybox compared; the way from spawn to exit."""
    from recon.collision import collision_proxy
    from recon.disagreement import depth_disagreement
    from recon.export.glb import write_glb

    report: dict[str, Any] = {}
    if graybox is None or outputs.proxy:
        proxy = collision_proxy(scene, clip.cameras)
        parts, kind, mesh = [(part.name, part.mesh) for part in proxy.parts], "proxy", proxy.mesh
    else:
        parts, kind, mesh = [("graybox", graybox.mesh)], "graybox", graybox.mesh
    if outputs.collision is not None:
        if not parts:
            raise InvalidInput(f"--collision {outputs.collision}: the scene has no surface to collide with")
        size = write_glb(parts, outputs.collision)
        told = {"out": str(outputs.collision), "kind": kind, "parts": len(parts), "triangles": len(mesh), "bytes": size}
        report["collision"] = told
    if graybox is not None:
        apart = depth_disagreement(scene, graybox.mesh, clip.cameras)
        report["graybox"] = {
            "median_m": _json_number(apart.median_m),
            "p95_m": _json_number(apart.p95_m),
            "share": round(apart.share, 4),
        }
    return report | _way(outputs, graybox, mesh)


def _way(outputs: Outputs, graybox: MeshFile | None, mesh: Mesh) -> dict[str, Any]:
    """Whether exit is reached from spawn, where both are known."""
    import numpy as np

    from recon.reachability import find_way

    named = {} if graybox is None else dict(graybox.places)
    ends = []
    for name, text in (("spawn", outputs.spawn), ("exit", outputs.exit)):
        place = named.get(name) if text is None else np.array(_position(name, text))
        if place is None:
            return {}
        ends.append(place)
    way = find_way(mesh, ends[0], ends[1])
    return {"way": {"reachable": way.reachable, "length_m": _json_number(way.length_m), "reason": way.reason}}


def _json_number(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None


def _position(name: str, text: str) -> tuple[float, float, float]:
    try:
        x, y, z = (float(part) for part in text.split(","))
    except ValueError:
        raise InvalidInput(f"--{name}: got {text!r}, allowed three numbers X,Y,Z in metres, such as 0,0,1.5") from None
    if not all(math.isfinite(value) for value in (x, y, z)):
        raise InvalidInput(f"--{name}: got {text!r}, allowed finite metres")
    return x, y, z
