"""Generates the Python stubs of `proto/airlock/v1` into `decision/wire/gen`; needs grpcio-tools (development).

    python -m decision.wire.generate            write the stubs
    python -m decision.wire.generate --check    exit 1 and name the stale files, write nothing

The stubs are committed, so that a user needs no compiler. protoc's own layout would claim the import package
`airlock.v1`, which collides with the program's `airlock`; the modules are therefore flat in `decision.wire.gen` and
import each other from there. The descriptors keep their contract names (`airlock/v1/decision.proto`).
"""

from __future__ import annotations

import re
import sys
import tempfile
from importlib import resources
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROTO = ROOT / "proto"
OUTPUT = Path(__file__).resolve().parent / "gen"
INIT = '"""Generated from proto/airlock/v1 by `python -m decision.wire.generate`. Do not edit."""\n'
_IMPORT = re.compile(r"^from airlock\.v1 import ", re.MULTILINE)


def render() -> dict[str, str]:
    """The stubs as {file name: text}. Raises RuntimeError if protoc refuses the contract."""
    from grpc_tools import protoc

    sources = sorted(path.relative_to(PROTO).as_posix() for path in (PROTO / "airlock" / "v1").glob("*.proto"))
    with tempfile.TemporaryDirectory() as folder:
        include = str(resources.files("grpc_tools") / "_proto")
        outputs = [f"--{kind}_out={folder}" for kind in ("python", "pyi", "grpc_python")]
        status = protoc.main(["protoc", f"-I{PROTO}", f"-I{include}", *outputs, *sources])
        if status:
            raise RuntimeError(f"protoc refused proto/airlock/v1 (exit {status}); its message is on standard error")
        files = {"__init__.py": INIT}
        for path in sorted((Path(folder) / "airlock" / "v1").iterdir()):
            text = path.read_text()
            if path.name.endswith("_grpc.py") and "class " not in text:
                continue  # no service in that file
            files[path.name] = _IMPORT.sub("from decision.wire.gen import ", text)
    return files


def stale() -> list[str]:
    """Names of committed stubs that differ from what the contract generates, missing and surplus ones included."""
    wanted = render()
    present = {path.name for path in OUTPUT.glob("*.py*") if path.is_file()}
    differing = {name for name, text in wanted.items() if name not in present or (OUTPUT / name).read_text() != text}
    return sorted(differing | (present - set(wanted)))


def main(arguments: list[str]) -> int:
    if arguments == ["--check"]:
        names = stale()
        for name in names:
            sys.stderr.write(f"decision/wire/gen/{name} is not current: run python -m decision.wire.generate\n")
        return 1 if names else 0
    OUTPUT.mkdir(exist_ok=True)
    files = render()
    for path in OUTPUT.glob("*.py*"):
        if path.name not in files:
            path.unlink()
    for name, text in files.items():
        (OUTPUT / name).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
