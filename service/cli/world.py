"""`narthex world`: make, check and show worlds, and put them to a server."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.tree import Tree

from model.revision import DIT_FILE, VAE_FILE
from model.spec_control import Control, ControlKind
from model.supported import SupportedSize, supported_size
from service.cli.settings_options import AsJson, ConfigFile
from service.errors import InvalidInput
from service.ids import GateId
from service.play.forecast import GateForecast, forecast_gates
from service.play.session import new_session
from service.worlds.document import json_schema
from service.worlds.pack import packed
from service.worlds.sizes import ANY_SIZE, OF_THE_SHIPPED, SizeRule
from service.worlds.world import All, Gate, Requirement, Task, TaskDone, World
from service.worlds.yaml_file import load_world

world_app = typer.Typer(no_args_is_help=True, add_completion=False)
WorldFile = Annotated[Path, typer.Argument(help="A world file.", metavar="FILE")]
Weights = Annotated[
    Path | None, typer.Option(help="Folder of the server's weights; default: those that Narthex ships.")
]
STARTER = Path(__file__).parent.parent / "worlds" / "starter.yaml"
SCHEMA_NAME = "world.schema.json"


@world_app.callback()
def _group() -> None:
    """Worlds: task chains, gates and the content behind them, as YAML files."""


@world_app.command("init")
def init(
    place: Annotated[Path, typer.Argument(help="A folder, for DIR/world.yaml, or a file.", metavar="DIR")],
    force: Annotated[bool, typer.Option("--force", help="Write over files that are there.")] = False,
) -> None:
    """Write a commented example world, and the JSON Schema that editors check it with.

    Examples:

        narthex world init my-game

        narthex world init worlds/abbey.yaml
    """
    file = place if place.suffix in (".yaml", ".yml") else place / "world.yaml"
    schema = file.with_name(SCHEMA_NAME)
    if file.exists() and not force:
        raise _failed(f"{file} exists already; --force writes over it")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(STARTER.read_bytes())
    schema.write_text(_schema_text(), encoding="utf-8")
    typer.echo(f"wrote {file} and {schema}; next: narthex world show {file}")


@world_app.command("check")
def check(
    files: Annotated[list[Path], typer.Argument(help="World files.", metavar="FILE...")],
    weights: Weights = None,
    as_json: AsJson = False,
) -> None:
    """Name everything that is wrong with some worlds; exit 1 where anything is.

    Examples:

        narthex world check world.yaml

        narthex world check worlds/*.yaml --json

        narthex world check world.yaml --weights my-weights
    """
    sizes = OF_THE_SHIPPED if weights is None else SizeRule(_made_by(weights))
    results = [_checked(file, sizes) for file in files]
    if as_json:
        typer.echo(json.dumps({"ok": all(result["ok"] for result in results), "files": results}))
    for result in () if as_json else results:
        typer.echo(result["summary"] if result["ok"] else result["message"], err=not result["ok"])
    if not all(result["ok"] for result in results):
        raise typer.Exit(1)


@world_app.command("show")
def show(file: WorldFile, as_json: AsJson = False) -> None:
    """Show chains, tasks and gates, and when each gate is expected to open in a session that begins now.

    Examples:

        narthex world show world.yaml

        narthex world show world.yaml --json
    """
    world = _loaded(file)
    now_s = time.time()
    forecasts = forecast_gates(world, new_session(world, (), now_s), now_s)
    if as_json:
        typer.echo(json.dumps(_world_json(world, forecasts)))
    else:
        Console().print(_tree(world, forecasts))


@world_app.command("schema")
def schema() -> None:
    """Print the JSON Schema of world files, for editors.

    Examples:

        narthex world schema > world.schema.json

        # then, as the first line of a world: # yaml-language-server: $schema=world.schema.json
    """
    typer.echo(_schema_text(), nl=False)


@world_app.command("pack")
def pack(
    file: WorldFile,
    out: Annotated[Path, typer.Option("--out", help="The file to write.")],
) -> None:
    """Write placeholder and depth clips into a world, so that it can be put to a server as one file.

    Examples:

        narthex world pack world.yaml --out packed.yaml
    """
    try:
        result = packed(file.read_bytes(), str(file), file.parent)
    except (InvalidInput, OSError) as error:
        raise _failed(str(error)) from error
    out.write_bytes(result)
    typer.echo(f"wrote {out}: {len(result):,} bytes")


@world_app.command("put")
def put(
    file: WorldFile,
    server: Annotated[str, typer.Option(help="HOST:PORT of the server; default: that of the settings.")] = "",
    key: Annotated[str, typer.Option(help="Server key; default: the first of auth.server_keys.")] = "",
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Store a world on a running server, so that games can open sessions of it.

    Examples:

        narthex world put my-game/world.yaml

        narthex world put my-game/world.yaml --server 127.0.0.1:50710 --json
    """
    from service.cli.called_server import called_server
    from service.demo.world_file import put_world, read_world_file

    whole = read_world_file(file)
    with called_server(server, key, config) as channel:
        name = put_world(channel, whole, wait_for_server=False)
    facts = {"name": name, "revision": hashlib.sha256(whole.source).hexdigest(), "file": str(file)}
    typer.echo(json.dumps(facts) if as_json else f"put {file} as {name}; games open sessions of it by this name")


def _failed(message: str) -> typer.Exit:
    typer.echo(message, err=True)
    return typer.Exit(1)


def _loaded(file: Path) -> World:
    try:
        return load_world(file, ANY_SIZE)
    except InvalidInput as error:
        raise _failed(error.message) from error
    except OSError as error:
        raise _failed(f"{file}: cannot be read: {error.strerror or error}") from error


def _made_by(weights: Path) -> SupportedSize:
    made = supported_size(weights / VAE_FILE, weights / DIT_FILE)
    if made is None:
        raise _failed(f"--weights: got {weights}, expected a folder with Narthex's {VAE_FILE} and {DIT_FILE}")
    return made


def _checked(file: Path, sizes: SizeRule) -> dict[str, Any]:
    result: dict[str, Any] = {"file": str(file), "ok": False, "problems": []}
    try:
        world = load_world(file, sizes)
    except InvalidInput as error:
        problems = [{"field": problem.field, "message": problem.message} for problem in error.fields]
        return {**result, "problems": problems, "message": error.message}
    except OSError as error:
        message = f"{file}: cannot be read: {error.strerror or error}"
        return {**result, "problems": [{"field": "", "message": message}], "message": message}
    tasks = sum(len(chain.tasks) for chain in world.chains.values())
    parts = {"chain": len(world.chains), "task": tasks, "gate": len(world.gates)}
    counts = ", ".join(f"{count} {part}{'s' * (count != 1)}" for part, count in parts.items())
    return {**result, "ok": True, "world": world.world_id, "summary": f"{file}: ok: world {world.world_id}: {counts}"}


def _schema_text() -> str:
    return json.dumps(json_schema(), indent=2) + "\n"


def _tree(world: World, forecasts: Mapping[GateId, GateForecast]) -> Tree:
    tree = Tree(f"[bold]{escape(world.title)}[/] ({world.world_id})")
    for chain in world.chains.values():
        given_up = f", given up by {chain.abandon_chance:.0%}" if chain.abandon_chance else ""
        branch = tree.add(f"[bold]{escape(chain.title)}[/] (chain {chain.chain}{given_up})")
        for task in chain.tasks.values():
            branch.add(_task_text(task))
        for gate in world.gates_of[chain.chain]:
            leaf = branch.add(_gate_text(gate))
            forecast = forecasts[gate.gate]
            leaf.add(
                f"expected to open {forecast.p50_s:.0f} s (p50), {forecast.p90_s:.0f} s (p90) after the session "
                f"begins, reached with a chance of {forecast.reach_chance:.0%}"
            )
            leaf.add(escape(_content_text(gate)))
    return tree


def _task_text(task: Task) -> str:
    after = f" after {escape(_words(task.requires))}" if task.requires != All(()) else ""
    chance = f", taken by {task.chance:.0%}" if task.chance < 1 else ""
    duration = f"{task.duration.p50_s:g} s (p50), {task.duration.p90_s:g} s (p90)"
    return f"{escape(task.title)} [dim](task {task.task}{after}: {duration}{chance})[/]"


def _gate_text(gate: Gate) -> str:
    return f"[cyan]{escape(gate.title)}[/] [dim](gate {gate.gate}, opened by {escape(_words(gate.requires))})[/]"


def _content_text(gate: Gate) -> str:
    content = gate.content
    qualities = ", ".join(quality.name.lower() for quality in content.qualities)
    kind = content.variation.kind.value
    variation = f"pool of {content.variation.pool_size}" if kind == "pool" else kind
    size = f"{content.width_px}x{content.height_px}, {content.duration_s:.2f} s, {qualities}, {variation}"
    return f'"{content.prompt[:100]}" (seed {content.seed}, {size}, {_control_text(content.control)})'


def _control_text(control: Control) -> str:
    """What steers a content's picture, in words."""
    if control.graybox is not None:
        room, count = control.graybox, len(control.graybox.proxies)
        size = f"{room.width_m:g} x {room.height_m:g} x {room.depth_m:g} m"
        return f"blockout of {size} with {count} object{'s' * (count != 1)}"
    if control.depth is not None:
        return f"depth clip of {len(control.depth)} frames"
    return "layout sampled from the prompt" if control.kind is ControlKind.LAYOUT else "steered by the prompt alone"


def _words(requirement: Requirement, nested: bool = False) -> str:
    """A requirement in words: `a and (b or c)`."""
    if isinstance(requirement, TaskDone):
        return requirement.task
    word = " and " if isinstance(requirement, All) else " or "
    text = word.join(_words(part, nested=True) for part in requirement.parts) or "nothing"
    return f"({text})" if nested and len(requirement.parts) > 1 else text


def _requirement_json(requirement: Requirement) -> Any:
    if isinstance(requirement, TaskDone):
        return requirement.task
    kind = "all" if isinstance(requirement, All) else "any"
    return {kind: [_requirement_json(part) for part in requirement.parts]}


def _task_json(task: Task) -> dict[str, Any]:
    duration = {"p50_s": task.duration.p50_s, "p90_s": task.duration.p90_s}
    return {"title": task.title, "requires": _requirement_json(task.requires), **duration, "chance": task.chance}


def _world_json(world: World, forecasts: Mapping[GateId, GateForecast]) -> dict[str, Any]:
    chains = {
        chain.chain: {
            "title": chain.title,
            "abandon_chance": chain.abandon_chance,
            "tasks": {task.task: _task_json(task) for task in chain.tasks.values()},
        }
        for chain in world.chains.values()
    }
    gates = {gate.gate: _gate_json(gate, forecasts[gate.gate]) for gate in world.gates.values()}
    head = {"world": world.world_id, "title": world.title, "revision": world.revision}
    return {**head, "chains": chains, "gates": gates}


def _control_json(control: Control) -> dict[str, Any]:
    graybox = {"graybox": control.graybox.to_json()} if control.graybox is not None else {}
    depth = {"depth_shape": list(control.depth.shape)} if control.depth is not None else {}
    return {"kind": str(control.kind), **graybox, **depth}


def _gate_json(gate: Gate, forecast: GateForecast) -> dict[str, Any]:
    content = gate.content
    return {
        "title": gate.title,
        "chain": gate.chain,
        "requires": _requirement_json(gate.requires),
        "content": {
            "prompt": content.prompt,
            "seed": content.seed,
            "variation": content.variation.kind.value,
            "pool_size": content.variation.pool_size if content.variation.kind.value == "pool" else None,
            "frames": content.frames,
            "fps": content.fps,
            "size": [content.width_px, content.height_px],
            "qualities": [quality.name.lower() for quality in content.qualities],
            "own_placeholder": content.placeholder is not None,
            "control": _control_json(content.control),
        },
        "forecast": {
            "p50_s": round(forecast.p50_s, 3),
            "p90_s": round(forecast.p90_s, 3),
            "reach_chance": round(forecast.reach_chance, 4),
        },
    }
