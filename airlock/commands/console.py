"""`airlock console`: the pages for people."""

from __future__ import annotations

import secrets
import socket
from pathlib import Path

import click

from airlock.commands.common import config_option, connect_service
from airlock.commands.node import folder_option, log_option
from airlock.compose import identity_settings
from airlock.host import Host, run
from airlock.issuer import DevelopmentIssuer
from airlock.pages import address_of, bound, listening
from airlock.runtime import Address, read_runtime
from airlock.settings import Settings, load_settings, split_address
from console.access import Approvals
from console.app import ConsoleServer, make_app
from console.audit import Audit
from decision.client import GrpcDecisionPort
from decision.client_settings import ClientSettings
from decision.clock import SystemClock
from decision.identity.verifier import TokenVerifier
from decision.model.errors import ServiceUnavailable, SettingsError
from decision.model.session import Approval


class LocalService:
    """The decision service that runs on a data folder, wherever it listens now."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._address: Address | None = None
        self._port: GrpcDecisionPort | None = None

    async def list_approvals(self, credential: str, *, include_closed: bool = False) -> list[Approval]:
        return await (await self._current()).list_approvals(credential, include_closed=include_closed)

    async def resolve_approval(self, credential: str, approval_id: str, *, grant: bool, reason: str) -> Approval:
        port = await self._current()
        return await port.resolve_approval(credential, approval_id, grant=grant, reason=reason)

    async def close(self) -> None:
        port, self._port = self._port, None
        if port is not None:
            await port.close()

    async def _current(self) -> GrpcDecisionPort:
        """Raises ServiceUnavailable while none runs."""
        try:
            address = read_runtime(self._data_dir).grpc
            if self._port is None or address != self._address:
                await self.close()
                self._port, self._address = connect_service(self._data_dir), address
        except SettingsError as error:
            raise ServiceUnavailable(error.message, hint=error.hint) from error
        return self._port


def service_of(settings: Settings) -> LocalService | GrpcDecisionPort:
    """The decision service that [console] names, else the one on the data folder."""
    own = settings.console
    if not own.decision_service:
        return LocalService(settings.data_dir)
    return GrpcDecisionPort(ClientSettings(target=own.decision_service, token_file=own.token_file, ca_file=own.ca_file))


async def begin_console(host: Host, settings: Settings, port: Approvals, listener: socket.socket) -> None:
    """Serve the pages on `listener`."""
    address = bound(listener)
    settings.console.check(address.host)
    clock = SystemClock()
    verifier = TokenVerifier(identity_settings(settings, DevelopmentIssuer(settings.data_dir, clock)), clock)
    audit = Audit(settings.data_dir)
    host.stack.push_async_callback(audit.close)
    app = make_app(
        settings.console, port, verifier.verify, audit, clock, lambda: secrets.token_urlsafe(32), host=address.host
    )
    server = ConsoleServer(app, settings.console, listener)
    await server.start()
    host.stack.push_async_callback(server.stop)


@click.command("console")
@config_option
@folder_option
@click.option("--listen", metavar="HOST:PORT", help="Where browsers connect (default: 127.0.0.1:6480).")
@click.option("--socket", "inherited", type=int, hidden=True, help="A socket that already listens there.")
@log_option
def console(config: Path | None, data_dir: str | None, listen: str | None, inherited: int | None) -> None:
    """Pages for people: what is decided as it happens, what waits for an approval, the last day at a glance.

    Sign in with a token. `airlock up` runs this by itself.
    """
    settings = load_settings(config, data_dir=data_dir)
    if listen is not None:
        own = settings.console.model_copy(update={"listen": listen})
        settings = settings.model_copy(update={"console": own})

    settings.console.check(split_address(settings.console.listen, "console.listen")[0])

    async def body(host: Host) -> None:
        port = service_of(settings)
        host.stack.push_async_callback(port.close)
        listener = (
            listening(settings.console.listen, exactly=True) if inherited is None else socket.socket(fileno=inherited)
        )
        host.stack.callback(listener.close)
        await begin_console(host, settings, port, listener)
        click.echo(f"console on {address_of(settings, bound(listener))}; Ctrl-C ends it")

    run(body)
