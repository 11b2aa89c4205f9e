"""All settings: one airlock.toml, overridden by `AIRLOCK_*` variables, validated at start.

Each component has its own struct beside it; here they are put together. A variable names its key with two underscores
between levels: `AIRLOCK_GRPC__PORT=7443` is `port` in `[grpc]`. Errors name the file, the key and the remedy.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from console.settings import ConsoleSettings
from decision.config import DatabaseEntry, ServiceSettings
from decision.identity.settings import IssuerSettings
from decision.journal.settings import JournalSettings
from decision.model.errors import SettingsError
from decision.server_settings import ServerSettings
from enforcement.config import EnforcementSettings, UpstreamDatabase

DEFAULT_FILE = Path("airlock.toml")
SHIPPED_BUNDLES = (Path(__file__).parent / "rego", Path(__file__).parent.parent / "rego")


def shipped_bundle() -> Path:
    """The policy bundle that comes with Airlock: in the wheel beside this module, in a checkout at its top."""
    return next((path for path in SHIPPED_BUNDLES if (path / ".manifest").exists()), SHIPPED_BUNDLES[-1])


class DatabaseSettings(DatabaseEntry):
    """One `[[database]]`: what the decision service and the enforcement point know of it.

    `upstream` is the database's own connection string; or `upstream_file` names a file that holds it.
    """

    upstream: SecretStr | None = None
    upstream_file: Path | None = None
    catalog_dsn: SecretStr | None = None

    def entry(self) -> DatabaseEntry:
        own = DatabaseEntry.model_fields
        return DatabaseEntry(**{name: getattr(self, name) for name in own})

    def upstream_database(self) -> UpstreamDatabase:
        """Raises SettingsError when there is no upstream, or its file can't be read."""
        if (self.upstream is None) == (self.upstream_file is None):
            raise SettingsError(
                f"database {self.name!r} needs exactly one of upstream and upstream_file",
                hint='upstream = "postgresql://USER:PASSWORD@HOST:PORT/DB"',
            )
        if self.upstream is not None:
            return UpstreamDatabase(name=self.name, upstream=self.upstream, catalog_dsn=self.catalog_dsn)
        assert self.upstream_file is not None
        try:
            text = self.upstream_file.read_text().strip()
        except OSError as error:
            raise SettingsError(
                f"database {self.name!r}: {self.upstream_file} can't be read ({error.strerror})",
                hint="check upstream_file and its rights",
            ) from None
        return UpstreamDatabase(name=self.name, upstream=SecretStr(text), catalog_dsn=self.catalog_dsn)


class PolicySettings(BaseModel):
    """`bundle`: the folder of Rego and data (default: the one that comes with Airlock). `engine`: `embedded` evaluates
    in process, `opa` asks the OPA server at `opa_url`. `poll_s`: how often the folder is looked at for changes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bundle: Path = Field(default_factory=shipped_bundle)
    engine: Literal["embedded", "opa"] = "embedded"
    opa_url: str = "http://127.0.0.1:8181"
    timeout_s: float = Field(default=1.0, gt=0, le=30)
    poll_s: float = Field(default=1.0, gt=0)


class IdentityTable(BaseModel):
    """`issuers` are believed. `development_issuer`: also the one in the data folder, whose tokens `airlock token` makes
    (default: only when no other issuer is given)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    issuers: tuple[IssuerSettings, ...] = ()
    development_issuer: bool | None = None
    max_token_bytes: int = Field(default=16_384, ge=256, le=131_072)

    @property
    def with_development_issuer(self) -> bool:
        return not self.issuers if self.development_issuer is None else self.development_issuer


class ProxySettings(BaseModel):
    """`[proxy]`: the enforcement point. `decision_service` (HOST:PORT) asks a decision service over gRPC instead of
    deciding in process; its token is read from `token_file`, its certificate checked against `ca_file`."""

    model_config = ConfigDict(extra="allow", frozen=True)

    listen: str = "127.0.0.1:6432"
    decision_service: str = ""
    token_file: Path | None = None
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None

    def enforcement(self, data_dir: Path, databases: tuple[DatabaseSettings, ...]) -> EnforcementSettings:
        host, port = split_address(self.listen, "proxy.listen")
        return EnforcementSettings(
            data_dir=data_dir,
            listen_host=host,
            listen_port=port,
            databases=tuple(database.upstream_database() for database in databases),
            **(self.model_extra or {}),
        )


class Settings(BaseSettings):
    """Everything. `data_dir` holds the journal, the keys, the analytics store and the certificates of this node."""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        env_prefix="AIRLOCK_",
        env_nested_delimiter="__",
        nested_model_default_partial_update=True,
    )

    data_dir: Path = Path(".airlock")
    database: tuple[DatabaseSettings, ...] = ()
    decision: ServiceSettings = ServiceSettings()
    journal: JournalSettings = JournalSettings()
    policy: PolicySettings = Field(default_factory=PolicySettings)
    identity: IdentityTable = IdentityTable()
    grpc: ServerSettings = ServerSettings()
    proxy: ProxySettings = ProxySettings()
    console: ConsoleSettings = ConsoleSettings()

    @model_validator(mode="after")
    def _distinct(self) -> Settings:
        names = [database.name for database in self.database]
        if len(set(names)) != len(names):
            raise ValueError("two [[database]] entries have the same name")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The command line before variables before the file."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


# Variables of tools and tests that share the prefix and are no settings.
NOT_SETTINGS = frozenset({"AIRLOCK_REQUIRE_ALL", "AIRLOCK_OPA", "AIRLOCK_NO_COMPILED", "AIRLOCK_TOKEN"})


def load_settings(file: Path | None = None, **given: Any) -> Settings:
    """The settings of `file` (default: airlock.toml here, if there is one), of the environment and of `given`.

    Raises SettingsError naming file, key and remedy.
    """
    chosen = file or (DEFAULT_FILE if DEFAULT_FILE.exists() else None)
    if file is not None and not file.exists():
        raise SettingsError(f"there is no settings file {file}", hint="give another one by --config")

    _check_variables(os.environ)

    class Loaded(Settings):
        model_config = SettingsConfigDict(**{**Settings.model_config, "toml_file": chosen})

    try:
        return Loaded(**{key: value for key, value in given.items() if value is not None})
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{chosen} is no TOML: {error}", hint="see https://toml.io") from None
    except ValidationError as error:
        raise SettingsError(
            describe(error, chosen), hint="airlock config show prints every key with its default"
        ) from None


def _check_variables(environment: Mapping[str, str]) -> None:
    """Refuse a variable that looks like a setting and is none: a misspelt protection must not be silently off."""
    known = {name.upper() for name in Settings.model_fields}
    for name in sorted(environment):
        if not name.startswith("AIRLOCK_") or name in NOT_SETTINGS:
            continue
        section = name.removeprefix("AIRLOCK_").split("__")[0]
        if section not in known:
            raise SettingsError(
                f"the variable {name} is no setting", hint=f"known sections: {', '.join(sorted(known))}"
            )


def describe(error: ValidationError, file: Path | None) -> str:
    """One line a mistake: where, which key, what is wrong. Values are not repeated: they may be secrets."""
    lines = []
    for item in error.errors(include_url=False, include_input=False, include_context=False):
        key = ".".join(str(part) for part in item["loc"]) or "settings"
        lines.append(f"{key}: {item['msg']}")
    return f"{file or 'the settings'}: " + "; ".join(lines)


def split_address(text: str, key: str) -> tuple[str, int]:
    """`HOST:PORT` (also `[::1]:5432`) in its parts. Raises SettingsError."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65_535:
        raise SettingsError(f"{key}: {text!r} is no address", hint="write HOST:PORT, e.g. 127.0.0.1:6432")
    return host.strip("[]") or "127.0.0.1", int(port)
