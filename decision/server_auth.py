"""Who calls: an enforcement point proves its name by a client certificate or a bearer token.

Certificates are verified by gRPC's TLS against the settings' authority before a call exists; here only the name is
read. Tokens are compared as SHA-256 digests in constant time, every entry each time. With neither configured (loopback
only) callers have no name.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import grpc
import grpc.aio

from decision.model.errors import SessionRefused
from decision.server_settings import ServerSettings

_OPEN = "/grpc.health.v1.Health/"
_BEARER = "bearer "


class Refused(Exception):
    """The caller is not authenticated; the text says why, never with what."""


class Authenticator:
    """The rule that the interceptor and the handlers share. Raises SettingsError for unusable tokens."""

    def __init__(self, settings: ServerSettings) -> None:
        self._mtls = settings.client_ca_file is not None
        self._names = frozenset(settings.client_names)
        self._tokens = [(entry.name, _digest(entry.read())) for entry in settings.tokens]
        self._databases = settings.databases

    def name(self, certificate: Mapping[str, Iterable[bytes]], metadata: Iterable[tuple[str, Any]] | None) -> str:
        """The caller's authenticated name, empty where nothing is configured. Raises Refused."""
        name = self._certificate_name(certificate) if self._mtls else ""
        if self._tokens:
            token_name = self._token_name(metadata)
            name = name or token_name
        return name

    def _certificate_name(self, certificate: Mapping[str, Iterable[bytes]]) -> str:
        alternative = [
            value.decode("utf-8", "replace") for value in certificate.get("x509_subject_alternative_name", ())
        ]
        common = [value.decode("utf-8", "replace") for value in certificate.get("x509_common_name", ())]
        shown = alternative or common
        if not shown:
            raise Refused("the client certificate names nobody")
        if not self._names:
            return shown[0]
        for name in shown:
            if name in self._names:
                return name
        raise Refused("the client certificate's name is not among grpc.client_names")

    def _token_name(self, metadata: Iterable[tuple[str, Any]] | None) -> str:
        values = [value for key, value in metadata or () if key == "authorization"]
        if len(values) != 1 or not isinstance(values[0], str) or values[0][: len(_BEARER)].lower() != _BEARER:
            raise Refused("a bearer token is needed (metadata: authorization)")
        shown = _digest(values[0][len(_BEARER) :].strip())
        found = ""
        for name, digest in self._tokens:
            if hmac.compare_digest(shown, digest):
                found = name
        if not found:
            raise Refused("the bearer token is not one of grpc.tokens")
        return found

    def check_database(self, name: str, database: str) -> None:
        """Raise SessionRefused where the caller of this name does not stand in front of `database`."""
        if self._databases and database not in self._databases.get(name, ()):
            raise SessionRefused(
                f"the enforcement point {name!r} does not stand in front of database {database!r}",
                hint="name the database for it in [grpc.databases] of the decision service",
            )

    def name_of(self, context: Any) -> str:
        """The name of who made the call of `context`. Raises Refused."""
        return self.name(context.auth_context() if self._mtls else {}, context.invocation_metadata())


class AuthenticationInterceptor(grpc.aio.ServerInterceptor):
    """Refuses every call of an unauthenticated caller with UNAUTHENTICATED, reflection included; health is open."""

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        handler = await continuation(handler_call_details)
        if handler is None or str(handler_call_details.method).startswith(_OPEN):
            return handler
        return _guarded(handler, self._authenticator)


def _guarded(handler: Any, authenticator: Authenticator) -> Any:
    """`handler`, entered only by authenticated callers. The certificate is known only once the call runs."""

    async def admit(context: Any) -> None:
        try:
            authenticator.name_of(context)
        except Refused as refused:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, str(refused))

    def single(inner: Any) -> Any:
        async def call(request: Any, context: Any) -> Any:
            await admit(context)
            return await inner(request, context)

        return call

    def streaming(inner: Any) -> Any:
        async def call(request: Any, context: Any) -> Any:
            await admit(context)
            async for answer in inner(request, context):
                yield answer

        return call

    kinds = {
        (False, False): ("unary_unary", grpc.unary_unary_rpc_method_handler, single),
        (True, False): ("stream_unary", grpc.stream_unary_rpc_method_handler, single),
        (False, True): ("unary_stream", grpc.unary_stream_rpc_method_handler, streaming),
        (True, True): ("stream_stream", grpc.stream_stream_rpc_method_handler, streaming),
    }
    attribute, make, wrap = kinds[bool(handler.request_streaming), bool(handler.response_streaming)]
    inner = getattr(handler, attribute)
    return make(wrap(inner), handler.request_deserializer, handler.response_serializer)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()
