"""Starting the parts of a node on a host: decision service, gRPC, enforcement point."""

from __future__ import annotations

import os
import secrets
import socket
from pathlib import Path

from airlock.backbone import Backbone, begin_backbone
from airlock.compose import RunningService, private_folder, start_service
from airlock.host import Host
from airlock.metrics_handed import HandedSamples
from airlock.metrics_ingest import IngestSamples
from airlock.runtime import Address
from airlock.settings import DatabaseSettings, Settings
from decision.clock import SystemClock
from decision.config import DatabaseEntry
from decision.erasure import TextOffice
from decision.model.catalog import CatalogSnapshot
from decision.model.errors import SettingsError
from decision.model.ports import DecisionPort
from decision.server import DecisionServer
from decision.server_settings import ServerSettings, TokenEntry
from enforcement.catalog import read_catalog
from enforcement.masking.classify import classify
from enforcement.postgres.server import PostgresEnforcementPoint

LOCAL_CALLER = "local commands"


def local_token_file(data_dir: Path) -> Path:
    """The bearer token by which commands on this machine call the decision service; made on first use."""
    path = private_folder(data_dir / "keys") / "grpc.token"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_hex(32))
    return path


async def begin_service(
    host: Host, settings: Settings, databases: dict[str, DatabaseEntry], backbone: Backbone
) -> RunningService:
    """The decision service; a poisoned journal ends the process, which starts again through verification."""
    running = await start_service(settings, databases, host.fail, backbone.order, backbone.counters)
    host.stack.push_async_callback(running.close)
    await begin_backbone(host, backbone)
    host.measured += (running.service, running.journal, running.engine)
    host.measured += (HandedSamples(settings.data_dir), IngestSamples(settings.data_dir))
    return running


def cant_listen(who: str, address: object, option: str, error: OSError) -> SettingsError:
    """`option` is the one that takes a free port."""
    why = (error.strerror or str(error)).partition(" (while")[0]  # Python repeats the address there
    return SettingsError(
        f"{who} can't listen on {address} ({why})", hint=f"choose another address; {option} takes a free port"
    )


def check_free(address: Address, who: str, option: str) -> None:
    """Raise SettingsError where `address` can't be listened on: gRPC itself would say so in a log line of its own."""
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
    except OSError as error:
        raise cant_listen(who, address, option, error) from None


async def begin_grpc(host: Host, settings: Settings, port: DecisionPort, texts: TextOffice | None = None) -> Address:
    """The gRPC shell over `port` and the office of statement texts. Local commands may always call, by their token."""
    entry = TokenEntry(name=LOCAL_CALLER, token_file=local_token_file(settings.data_dir))
    own: ServerSettings = settings.grpc.model_copy(update={"tokens": (*settings.grpc.tokens, entry)})
    check_free(Address(own.host, own.port), "the decision service", "--grpc 127.0.0.1:0")
    server = DecisionServer(port, own, texts)
    bound = await server.start()
    host.stack.push_async_callback(server.stop)
    return Address(own.host, bound)


async def read_classified(dsn: str, database: str) -> CatalogSnapshot:
    """The catalog with the tags that detectors find; the settings' tags are put on by the decision service."""
    return classify(await read_catalog(dsn, database))


async def begin_proxy(
    host: Host, settings: Settings, databases: tuple[DatabaseSettings, ...], port: DecisionPort
) -> Address:
    """The enforcement point in front of `databases`. Raises SettingsError where it can't listen."""
    own = settings.proxy.enforcement(settings.data_dir, databases)
    proxy = PostgresEnforcementPoint(own, port, SystemClock(), os.urandom, read_catalog=read_classified)
    try:
        await proxy.start()
    except OSError as error:
        raise cant_listen("the enforcement point", settings.proxy.listen, "--listen 127.0.0.1:0", error) from None
    host.stack.push_async_callback(proxy.stop)
    host.measured.append(proxy)
    return Address(*proxy.address)
