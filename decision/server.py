"""The gRPC shell of the decision service: listens, authenticates, bounds, and hands every call to a DecisionPort."""

from __future__ import annotations

import logging

import grpc
import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from decision.endpoint import read_file
from decision.erasure import TextOffice
from decision.model.errors import SettingsError
from decision.model.ports import DecisionPort
from decision.server_auth import AuthenticationInterceptor, Authenticator
from decision.server_gate import Gate, Owners
from decision.server_handlers import ApprovalHandlers, DecisionHandlers
from decision.server_settings import ServerSettings
from decision.server_texts import TextHandlers
from decision.wire.gen import (
    approvals_pb2,
    approvals_pb2_grpc,
    decision_pb2,
    decision_pb2_grpc,
    texts_pb2,
    texts_pb2_grpc,
)

LOG = logging.getLogger(__name__)

SERVICES = tuple(
    file.services_by_name[name].full_name
    for file, name in (
        (decision_pb2.DESCRIPTOR, "DecisionService"),
        (approvals_pb2.DESCRIPTOR, "ApprovalService"),
        (texts_pb2.DESCRIPTOR, "TextService"),
    )
)


class DecisionServer:
    """One listening decision service. Works on asyncio's loop and on uvloop.

    `await start()` gives the port; `await stop()` first says NOT_SERVING, then refuses new calls, lets those that run
    end within the settings' grace, and waits for decisions that have begun.
    """

    def __init__(self, port: DecisionPort, settings: ServerSettings, texts: TextOffice | None = None) -> None:
        """`texts` answers TextService; without it that is not implemented.

        Raises SettingsError for what must not listen or can't be read.
        """
        settings.check()
        self._settings = settings
        self._gate = Gate(port, settings.max_in_flight)
        authenticator = Authenticator(settings)
        self._credentials = _credentials(settings)
        self._server = grpc.aio.server(
            interceptors=[AuthenticationInterceptor(authenticator)] if settings.authenticates else [],
            options=_options(settings),
            maximum_concurrent_rpcs=settings.max_calls,
        )
        self._health = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        decision_pb2_grpc.add_DecisionServiceServicer_to_server(  # type: ignore[no-untyped-call]
            DecisionHandlers(port, settings, authenticator, self._gate, Owners()), self._server
        )
        approvals_pb2_grpc.add_ApprovalServiceServicer_to_server(  # type: ignore[no-untyped-call]
            ApprovalHandlers(port, self._gate), self._server
        )
        if texts is not None:
            texts_pb2_grpc.add_TextServiceServicer_to_server(  # type: ignore[no-untyped-call]
                TextHandlers(texts, self._gate), self._server
            )
        if settings.reflection:
            names = (*SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME)
            reflection.enable_server_reflection(names, self._server)
        self.bound_port = 0

    @property
    def target(self) -> str:
        """What a client on this machine connects to."""
        return _address(self._settings.host, self.bound_port)

    async def start(self) -> int:
        """Listen; the port that was bound. Raises SettingsError where the address can't be had."""
        address = _address(self._settings.host, self._settings.port)
        try:
            if self._credentials is None:
                self.bound_port = self._server.add_insecure_port(address)
            else:
                self.bound_port = self._server.add_secure_port(address, self._credentials)
        except RuntimeError as error:
            raise SettingsError(f"the decision service can't listen on {address}", hint="is it in use?") from error
        if not self.bound_port:
            raise SettingsError(f"the decision service can't listen on {address}", hint="is it in use?")
        await self._server.start()
        await self.serving(True)
        LOG.info("decision service listens", extra={"address": self.target, "tls": self._settings.tls})
        return self.bound_port

    async def serving(self, yes: bool) -> None:
        """What health checks are told; the composition says no when the journal is poisoned."""
        state = health_pb2.HealthCheckResponse.SERVING if yes else health_pb2.HealthCheckResponse.NOT_SERVING
        for name in ("", *SERVICES):
            await self._health.set(name, state)

    async def stop(self) -> None:
        await self._health.enter_graceful_shutdown()
        await self._server.stop(self._settings.grace_s)
        await self._gate.drain(self._settings.grace_s)

    async def wait(self) -> None:
        """Until the server has stopped."""
        await self._server.wait_for_termination()


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host and not host.startswith("[") else f"{host}:{port}"


def _options(settings: ServerSettings) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        ("grpc.max_send_message_length", settings.max_message_bytes),
        ("grpc.so_reuseport", 0),  # a second process on the port is a mistake, not load balancing
        ("grpc.max_concurrent_streams", settings.max_calls),
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
        ("grpc.keepalive_permit_without_calls", 1),
    ]


def _credentials(settings: ServerSettings) -> grpc.ServerCredentials | None:
    if settings.certificate_file is None or settings.key_file is None:
        return None
    pair = (
        read_file(settings.key_file, "grpc.key_file"),
        read_file(settings.certificate_file, "grpc.certificate_file"),
    )
    authority = None
    if settings.client_ca_file is not None:
        authority = read_file(settings.client_ca_file, "grpc.client_ca_file")
    return grpc.ssl_server_credentials([pair], authority, require_client_auth=authority is not None)
