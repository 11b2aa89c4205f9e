"""docker-compose.yml follows the specification and uses nothing that does not exist."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import click
import jsonschema
import psycopg
import pytest
import yaml

from airlock.demo.shop import FULL
from airlock.main import cli
from airlock.settings import load_settings

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
OURS = {name: one for name, one in COMPOSE["services"].items() if "build" in one}


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What tools/compose_secrets.py makes."""
    spec = importlib.util.spec_from_file_location("compose_secrets", ROOT / "tools" / "compose_secrets.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    folder = tmp_path_factory.mktemp("secrets") / "made"
    module.make(folder)
    return folder


def test_it_follows_the_compose_specification(compose_schema: Path) -> None:
    """The specification's own schema takes it."""
    schema = json.loads(compose_schema.read_text())
    jsonschema.validators.validator_for(schema)(schema).validate(COMPOSE)


def test_the_schema_refuses_a_mistake(compose_schema: Path) -> None:
    """The validation is no decoration."""
    schema = json.loads(compose_schema.read_text())
    wrong = {**COMPOSE, "services": {**COMPOSE["services"], "proxy": {**OURS["proxy"], "healthchek": {}}}}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validators.validator_for(schema)(schema).validate(wrong)


@pytest.mark.parametrize("service", OURS)
def test_the_commands_and_flags_exist(service: str) -> None:
    """The command line takes what the service is started with."""
    group, context = cli, click.Context(cli, info_name="airlock")
    name, *arguments = OURS[service]["command"]
    command = group.get_command(context, name)
    if isinstance(command, click.Group) and arguments[0] in command.list_commands(context):
        name, *arguments = arguments
        command = command.get_command(context, name)
    assert command is not None
    command.make_context(name, list(arguments), parent=context)


@pytest.mark.parametrize("service", COMPOSE["services"])
def test_every_service_is_watched_and_closed(service: str) -> None:
    """Each has a health check, publishes on loopback only, and keeps secrets out of its environment."""
    one = COMPOSE["services"][service]
    assert one["healthcheck"]["test"][0] == "CMD"
    assert all(str(port).startswith("127.0.0.1:") for port in one.get("ports", []))
    assert [key for key in one.get("environment", {}) if re.search("PASSWORD|SECRET|TOKEN|KEY", key)] in (
        [],
        ["POSTGRES_PASSWORD_FILE"],
    )


def test_the_image_gets_what_it_copies() -> None:
    """Nothing that the Dockerfile copies is kept from it by .dockerignore."""
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = re.findall(r"^COPY (?!--)(.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert {name for line in copied for name in line.split()} <= let_in


def test_images_are_pinned() -> None:
    """No image floats, neither here nor in the Dockerfile."""
    images = [one["image"] for one in COMPOSE["services"].values()]
    images += re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert [image for image in images if not re.search(r":\d+\.\d+", image)] == []


def test_everything_mounted_is_there(secrets: Path) -> None:
    """Configs are in the repository, secrets are what the script makes, and both are declared where used."""
    for one in COMPOSE["configs"].values():
        assert (ROOT / one["file"]).is_file()
    for one in COMPOSE["secrets"].values():
        assert (secrets / Path(one["file"]).relative_to("deploy/secrets")).is_file()
    for one in COMPOSE["services"].values():
        assert set(one.get("secrets", [])) <= set(COMPOSE["secrets"])
        assert {config["source"] for config in one.get("configs", [])} <= set(COMPOSE["configs"])
        assert set(one.get("networks", [])) <= set(COMPOSE["networks"])


def test_the_settings_are_good(secrets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """deploy/airlock.toml is taken by both parts, with TLS and a token between them."""
    monkeypatch.delenv("AIRLOCK_DATA_DIR", raising=False)
    text = (ROOT / "deploy" / "airlock.toml").read_text()
    for name, one in COMPOSE["secrets"].items():
        text = text.replace(f"/run/secrets/{name}", str(secrets / Path(one["file"]).relative_to("deploy/secrets")))
    assert "/run/secrets" not in text
    file = tmp_path / "airlock.toml"
    file.write_text(text)
    settings = load_settings(file)
    settings.grpc.check()
    assert settings.grpc.tls and settings.grpc.authenticates
    assert settings.proxy.enforcement(settings.data_dir, settings.database).plaintext == "never"
    assert [token.read() for token in settings.grpc.tokens]


def test_the_shop_is_loaded_as_in_the_demo() -> None:
    """deploy/load-shop.sh gives the sizes of the full demo."""
    script = (ROOT / "deploy" / "load-shop.sh").read_text()
    found = {key: int(value) for key, value in re.findall(r"set_config\('shop\.(\w+)', '(\d+)'", script)}
    assert found == FULL.numbers()
    assert subprocess.run(["sh", "-n", ROOT / "deploy" / "load-shop.sh"], check=False).returncode == 0


def test_the_upstream_secret_is_a_connection_string(secrets: Path) -> None:
    """With the password that PostgreSQL is given."""
    known = psycopg.conninfo.conninfo_to_dict((secrets / "upstream_shop.dsn").read_text())
    assert known["password"] == (secrets / "postgres.password").read_text()
