"""What a running instance tells others on this machine: `<data dir>/runtime.json`, and the lock beside it.

The file names addresses and process ids, no secret; commands such as `airlock demo` and `airlock approvals` read it.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from decision.model.errors import SettingsError

RUNTIME_FILE = "runtime.json"


@dataclass(frozen=True, slots=True)
class Address:
    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class RunningDatabase:
    name: str
    environment: str
    demo: bool = False


@dataclass(frozen=True, slots=True)
class Runtime:
    """`proxy`, `grpc` and `console` are None where this process has none. `grpc_token_file` holds the bearer token of
    local commands; `databases` are in the order of the settings."""

    pid: int
    command: str
    proxy: Address | None
    grpc: Address | None
    grpc_token_file: str
    databases: tuple[RunningDatabase, ...]
    version: str
    console: Address | None = None


def write_runtime(data_dir: Path, runtime: Runtime, name: str = RUNTIME_FILE) -> None:
    """Atomically: a reader finds the whole file or none."""
    staging = data_dir / f".{name}.{os.getpid()}"
    staging.write_text(json.dumps(asdict(runtime), indent=2) + "\n")
    staging.replace(data_dir / name)


def remove_runtime(data_dir: Path, name: str = RUNTIME_FILE) -> None:
    (data_dir / name).unlink(missing_ok=True)


def read_runtime(data_dir: Path, name: str = RUNTIME_FILE) -> Runtime:
    """Raises SettingsError when nothing runs there."""
    path = data_dir / name
    try:
        raw = json.loads(path.read_text())
        os.kill(int(raw["pid"]), 0)
    except (FileNotFoundError, ProcessLookupError):
        raise SettingsError(
            f"no Airlock runs on {data_dir}", hint="start it: make up (or airlock up), or name its folder by --data-dir"
        ) from None
    except PermissionError:
        pass  # it runs, as somebody else
    except (ValueError, KeyError) as error:
        raise SettingsError(f"{path} can't be read: {error}", hint="stop Airlock and start it again") from None
    return Runtime(
        pid=raw["pid"],
        command=raw["command"],
        proxy=Address(**raw["proxy"]) if raw["proxy"] else None,
        grpc=Address(**raw["grpc"]) if raw["grpc"] else None,
        grpc_token_file=raw["grpc_token_file"],
        databases=tuple(RunningDatabase(**one) for one in raw["databases"]),
        version=raw["version"],
        console=Address(**raw["console"]) if raw.get("console") else None,
    )


@contextmanager
def sole_instance(data_dir: Path, name: str) -> Iterator[None]:
    """Hold the lock of this role on the data folder. Raises SettingsError when another process has it, or
    when the folder can't be made or written to."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        lock = (data_dir / f"{name}.lock").open("a+")
    except OSError as error:
        raise SettingsError(
            f"the data folder {data_dir} can't be used ({error.strerror})", hint="choose another one by --data-dir"
        ) from None
    with lock as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SettingsError(
                f"another airlock {name} runs on {data_dir}", hint="stop it first, or choose another --data-dir"
            ) from None
        yield
