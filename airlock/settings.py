"""All settings: one airlock.toml, overridden by `AIRLOCK_*` variables, validated at start.

Each component has its own struct beside it; here they are put together. A variable names its key with two underscores
between levels: `AIRLOCK_GRPC__PORT=7443` is `port` in `[grpc]`. Errors name the file, the key and the remedy.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from airlock.metrics_settings import MetricsSettings
from analytics.settings import IcebergSettings, RetentionSettings
from console.settings import ConsoleSettings
from decision.config import DatabaseEntry, ServiceSettings
from decision.identity.settings import IssuerSettings
from decision.journal.log_settings import LogSettings
from decision.journal.settings import JournalSettings
from decision.model.errors import SettingsError
from decision.server_settings import ServerSettings
from decision.text_settings import TextSettings
from enforcement.config import EnforcementSettings, PointSettings, UpstreamDatabase
from ingest.alerts_settings import DetectionSettings
from ingest.kafka_settings import KafkaSettings

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
        """Raises SettingsError when there is no upstream, its file can't be read, or it is no connection string that
        can be kept to."""
        if (self.upstream is None) == (self.upstream_file is None):
            raise SettingsError(
                f"database {self.name!r} needs exactly one of upstream and upstream_file",
                hint='upstream = "postgresql://USER:PASSWORD@HOST:PORT/DB"',
            )
        if self.upstream is not None:
            return self._with(self.upstream)
        assert self.upstream_file is not None
        try:
            text = self.upstream_file.read_text().strip()
        except OSError as error:
            raise SettingsError(
                f"database {self.name!r}: {self.upstream_file} can't be read ({error.strerror})",
                hint="check upstream_file and its rights",
            ) from None
        return self._with(SecretStr(text))

    def _with(self, upstream: SecretStr) -> UpstreamDatabase:
        try:
            return UpstreamDatabase(name=self.name, upstream=upstream, catalog_dsn=self.catalog_dsn)
        except ValidationError as error:
            said = error.errors(include_url=False, include_input=False, include_context=False)[0]["msg"]
            raise SettingsError(
                f"database {self.name!r}: {said.removeprefix('Value error, ')}",
                hint=f"mend {'upstream_file' if self.upstream is None else 'upstream'} of this entry",
            ) from None


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


class ProxySettings(PointSettings):
    """The enforcement point: `listen` (HOST:PORT) is where PostgreSQL clients connect. Times are in seconds, sizes in
    bytes.

    `decision_service` (HOST:PORT) asks a decision service over gRPC instead of deciding in process, with the bearer
    token in `token_file`, or the certificate and key in `certificate_file` and `key_file`; `ca_file` is the authority
    of that service's own certificate.

    `plaintext`: clients without TLS are accepted `never`, on `loopback` only (where a token can't be overheard), or
    `always` (behind a proxy that does TLS). `tls_certificate` and `tls_key` (PEM): what clients are shown; without them
    a development certificate is made in the data folder.

    `max_connections` clients at once; `max_message_bytes` of one message, `max_queued_bytes` waiting for a slow peer,
    `max_unsent_reports` of executions waiting for the decision service. `login_timeout_s` for a client to sign in,
    `upstream_timeout_s` to connect to the database, `decision_timeout_s` for an answer; after that it is a denial.
    `hold_notice_s`: how often a client that waits for an approval is told so. `catalog_poll_s`: how often the catalog
    is looked at for changes. `report_grace_s`: how long the end waits for reports to be taken.
    """

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
            **{name: getattr(self, name) for name in PointSettings.model_fields},
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
    texts: TextSettings = TextSettings()
    identity: IdentityTable = IdentityTable()
    grpc: ServerSettings = ServerSettings()
    proxy: ProxySettings = ProxySettings()
    console: ConsoleSettings = ConsoleSettings()
    kafka: KafkaSettings = KafkaSettings()
    log: LogSettings = LogSettings()
    retention: RetentionSettings = RetentionSettings()
    iceberg: IcebergSettings = IcebergSettings()
    metrics: MetricsSettings = MetricsSettings()
    detections: DetectionSettings = DetectionSettings()

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
NOT_SETTINGS = frozenset(
    {"AIRLOCK_REQUIRE_ALL", "AIRLOCK_OPA", "AIRLOCK_NO_COMPILED", "AIRLOCK_TOKEN", "AIRLOCK_INGEST_NICE"}
)


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
            describe(error, chosen), hint="airlock config show --config /dev/null prints every key with its default"
        ) from None


def _check_variables(environment: Mapping[str, str]) -> None:
    """Refuse a variable that looks like a setting and is none: a misspelt protection must not be silently off."""
    known = {name.upper() for name in Settings.model_fields}
    for name in sorted(environment):
        if not name.startswith("AIRLOCK_") or name in NOT_SETTINGS:
            continue
        section = name.removeprefix("AIRLOCK_").split("__")[0]
        if section not in known:
            near = difflib.get_close_matches(section, known, n=1)
            raise SettingsError(
                f"the variable {name} is no setting"
                + (f"; did you mean AIRLOCK_{near[0]}{name.removeprefix(f'AIRLOCK_{section}')}?" if near else ""),
                hint=f"known sections: {', '.join(sorted(known))}",
            )


def describe(error: ValidationError, file: Path | None) -> str:
    """One line a mistake: where, which key, what is wrong. Values are not repeated: they may be secrets."""
    lines = []
    for item in error.errors(include_url=False, include_input=False, include_context=False):
        key = ".".join(str(part) for part in item["loc"]) or "settings"
        said = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            near = difflib.get_close_matches(str(item["loc"][-1]), keys_at(item["loc"][:-1]), n=1)
            said = "there is no such key" + (f"; did you mean {near[0]}?" if near else "")
        lines.append(f"{key}: {said}")
    return f"{file or 'the settings'}: " + "; ".join(lines)


def keys_at(place: Sequence[int | str]) -> list[str]:
    """The keys that the settings know at `place`, as pydantic names places: tables' names and entries' numbers."""
    model: type[BaseModel] = Settings
    for part in place:
        if isinstance(part, str):
            found = model.model_fields.get(part)
            inner = next((one for one in _models(found.annotation) if one), None) if found is not None else None
            if inner is None:
                return []
            model = inner
    return list(model.model_fields)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models in an annotation, as in `tuple[TokenEntry, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)


def split_address(text: str, key: str) -> tuple[str, int]:
    """`HOST:PORT` (also `[::1]:5432`) in its parts. Raises SettingsError."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65_535:
        raise SettingsError(f"{key}: {text!r} is no address", hint="write HOST:PORT, e.g. 127.0.0.1:6432")
    return host.strip("[]") or "127.0.0.1", int(port)
