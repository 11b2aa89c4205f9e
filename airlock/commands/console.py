"""`airlock console`: the pages for people."""

from __future__ import annotations

import secrets
from pathlib import Path

import click

from airlock.commands.common import connect_service
from airlock.commands.node import config_option, folder_option, log_option
from airlock.compose import identity_settings
from airlock.host import Host, run
from airlock.issuer import DevelopmentIssuer
from airlock.pages import address_of
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


async def begin_console(host: Host, settings: Settings, port: Approvals) -> Address:
    """Listen; the address is the one that was got."""
    at, number = split_address(settings.console.listen, "console.listen")
    clock = SystemClock()
    verifier = TokenVerifier(identity_settings(settings, DevelopmentIssuer(settings.data_dir, clock)), clock)
    audit = Audit(settings.data_dir)
    host.stack.push_async_callback(audit.close)
    app = make_app(settings.console, port, verifier.verify, audit, clock, lambda: secrets.token_urlsafe(32), host=at)
    server = ConsoleServer(app, settings.console, at, number)
    try:
        bound = await server.start()
    except OSError as error:
        raise SettingsError(
            f"console.listen: {settings.console.listen} can't be listened on ({error.strerror})",
            hint="stop what listens there, or choose another address by --listen",
        ) from None
    host.stack.push_async_callback(server.stop)
    return Address(at, bound)


@click.command("console")
@config_option
@folder_option
@click.option("--listen", metavar="HOST:PORT", help="Where browsers connect (default: 127.0.0.1:6480).")
@log_option
def console(config: Path | None, data_dir: str | None, listen: str | None) -> None:
    """Pages for people: what is decided as it happens, what waits for an approval, the last day at a glance.

    Sign in with a token. `airlock up` runs this by itself.
    """
    settings = load_settings(config, data_dir=data_dir)
    if listen is not None:
        own = settings.console.model_copy(update={"listen": listen})
        settings = settings.model_copy(update={"console": own})

    async def body(host: Host) -> None:
        port = service_of(settings)
        host.stack.push_async_callback(port.close)
        address = await begin_console(host, settings, port)
        click.echo(f"console on {address_of(settings, address)}; Ctrl-C ends it")

    run(body)
