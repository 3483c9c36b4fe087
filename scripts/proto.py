"""Makes the Python stubs of the wire contract, and lints it.

    python scripts/proto.py generate        write protos/narthex/v1/*_pb2*.py
    python scripts/proto.py lint            buf lint, and buf breaking against protos/baseline.binpb
    python scripts/proto.py stale DIR       generate into DIR instead (a test compares it with the committed code)
    python scripts/proto.py baseline        accept the contract as it is now as the one not to break

Google's own .proto files come from the installed packages; `buf` works offline from PyPI's buf-bin.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"
BASELINE = PROTOS / "baseline.binpb"
GOOGLEAPIS = ROOT / ".build" / "googleapis"
NEEDED = ("google/longrunning", "google/rpc", "google/api")


def generate(out: Path) -> None:
    """Write messages, gRPC stubs and their type stubs below `out`, as protoc of the installed grpcio-tools does."""
    import grpc_tools
    from grpc_tools import protoc

    _copy_googleapis()
    sources = sorted(str(path.relative_to(PROTOS)) for path in PROTOS.glob("narthex/v1/*.proto"))
    out.mkdir(parents=True, exist_ok=True)
    plugins = {name: Path(sys.executable).parent / name for name in ("protoc-gen-mypy", "protoc-gen-mypy_grpc")}
    arguments = [
        "protoc",
        f"-I{PROTOS}",
        f"-I{GOOGLEAPIS}",
        f"-I{Path(grpc_tools.__file__).parent / '_proto'}",
        *(f"--plugin={name}={path}" for name, path in plugins.items()),
        f"--python_out={out}",
        f"--grpc_python_out={out}",
        f"--mypy_out=quiet:{out}",
        f"--mypy_grpc_out=quiet:{out}",
        *sources,
    ]
    if protoc.main(arguments) != 0:
        raise SystemExit("protoc failed; its messages are above")


def lint() -> None:
    """Run buf's linter, and compare the contract with the accepted baseline."""
    _copy_googleapis()
    buf = str(Path(sys.executable).parent / "buf")
    subprocess.run([buf, "lint"], cwd=ROOT, check=True)
    if BASELINE.exists():
        subprocess.run([buf, "breaking", "protos", "--against", str(BASELINE)], cwd=ROOT, check=True)


def accept_baseline() -> None:
    """Write the contract as it is now to `protos/baseline.binpb`."""
    _copy_googleapis()
    buf = str(Path(sys.executable).parent / "buf")
    subprocess.run([buf, "build", "protos", "--exclude-source-info", "-o", str(BASELINE)], cwd=ROOT, check=True)


def _copy_googleapis() -> None:
    import google.longrunning

    include = Path(next(iter(google.longrunning.__path__))).parent.parent
    shutil.rmtree(GOOGLEAPIS, ignore_errors=True)
    for folder in NEEDED:
        target = GOOGLEAPIS / folder
        target.mkdir(parents=True, exist_ok=True)
        for source in (include / folder).glob("*.proto"):
            # The package ships operations.proto under another name than the one its descriptor has.
            shutil.copyfile(source, target / source.name.replace("operations_proto", "operations"))


def main(arguments: list[str]) -> None:
    """Run the verb that the command line names."""
    match arguments:
        case ["generate"]:
            generate(PROTOS)
        case ["lint"]:
            lint()
        case ["stale", folder]:
            generate(Path(folder))
        case ["baseline"]:
            accept_baseline()
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
