"""Clients of Kafka from our settings: kafka-python's producer, consumer and admin, and what aiokafka and Faust need.

All of them sign in alike, never create a topic by asking for it, and say what fails as errors of ours.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import socket
import ssl
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import kafka.errors as errors
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.net.compat import KafkaNetClient
from kafka.net.sasl.oauth import AbstractTokenProvider

from decision.model.errors import KafkaUnavailable, SettingsError, TopicRefused
from ingest.kafka_settings import KafkaSettings

T = TypeVar("T")

BOOTSTRAP_MS = 5_000
IDLE_S = 10.0
"""So long nothing came: then a reader asks whether the brokers are there at all, which its `poll` never says."""
LOOK_S = 1.0
_FOR_EVER_MS = 2**31 - 1
_LINGER_MS = 5

_REFUSED = (
    errors.SaslAuthenticationFailedError,
    errors.UnsupportedSaslMechanismError,
    errors.IllegalSaslStateError,
    errors.ClusterAuthorizationFailedError,
    errors.GroupAuthorizationFailedError,
    errors.TopicAuthorizationFailedError,
    errors.TransactionalIdAuthorizationFailedError,
)


def producer(settings: KafkaSettings, **more: Any) -> KafkaProducer:
    """Idempotent, every copy in sync acknowledges, nothing is given up while it is away: an event ends in Kafka or in
    an exception that says why it never will. Raises KafkaUnavailable, SettingsError."""
    options = {
        "acks": "all",
        "enable_idempotence": True,
        "compression_type": None if settings.compression == "none" else settings.compression,
        "batch_size": settings.batch_bytes,
        "linger_ms": _LINGER_MS,
        "delivery_timeout_ms": _FOR_EVER_MS,
        "max_block_ms": BOOTSTRAP_MS,
        "max_request_size": 4 * settings.shape.message_bytes,
        "allow_auto_create_topics": False,
        "metrics_enabled": False,
        **more,
    }
    with said(settings):
        return _made(KafkaProducer, **connection(settings), **options)


def abandon(client: KafkaProducer, patience_s: float = 5.0) -> None:
    """End a producer together with all that it has not delivered: its own `close` would first wait for that, and leave
    its thread running when the wait is too long."""
    client._sender.force_close()
    with contextlib.suppress(errors.KafkaError):
        client.close(timeout=patience_s)


def consumer(settings: KafkaSettings, *topics: str, **more: Any) -> KafkaConsumer:
    """Commits nothing by itself and begins at the beginning: who reads keeps its own positions, or names a `group_id`.
    Raises KafkaUnavailable, SettingsError."""
    options = {
        "auto_offset_reset": "earliest",
        "enable_auto_commit": False,
        "allow_auto_create_topics": False,
        "isolation_level": "read_uncommitted",
        "metrics_enabled": False,
        **more,
    }
    with said(settings):
        return _made(KafkaConsumer, *topics, **connection(settings), **options)


@contextlib.contextmanager
def admin(settings: KafkaSettings, **more: Any) -> Iterator[KafkaAdminClient]:
    """Raises KafkaUnavailable, SettingsError; what is asked inside raises them too, and TopicRefused."""
    with said(settings):
        client = _made(KafkaAdminClient, **connection(settings), **more)
        try:
            yield client
        finally:
            client.close()


def _made(make: Callable[..., T], *arguments: Any, **options: Any) -> T:
    """What `make` makes. Where it fails, because no broker answers, kafka-python would leave a thread and its sockets
    behind each time: an outage of an hour would end in a process without file descriptors."""
    begun: list[Any] = []

    def network(*given: Any, **named: Any) -> Any:
        begun.append(KafkaNetClient(*given, **named))
        return begun[-1]

    try:
        return make(*arguments, **options, kafka_client=network)
    except BaseException as error:
        refusals = [refusal for one in begun for refusal in one._manager._auth_failures.values()]
        for one in begun:
            one.close()
            one._net.stop()
        begun.clear()
        gc.collect()  # the rest of them are cycles
        if refusals and isinstance(error, errors.KafkaTimeoutError):
            raise refusals[0] from error  # it tried until the end of its time, and says only that
        raise


def connection(settings: KafkaSettings) -> dict[str, Any]:
    """The options of kafka-python that say where the brokers are and how we sign in. Raises SettingsError."""
    settings.demand()
    options: dict[str, Any] = {
        "bootstrap_servers": list(settings.bootstrap_servers),
        "client_id": settings.client_id,
        "security_protocol": settings.security_protocol,
        "request_timeout_ms": int(settings.request_timeout_s * 1000),
        "reconnect_backoff_ms": 100,
        "reconnect_backoff_max_ms": 2_000,
        "bootstrap_timeout_ms": BOOTSTRAP_MS,
    }
    if settings.tls:
        options["ssl_context"] = tls_context(settings)
    if settings.sasl:
        options["sasl_mechanism"] = settings.sasl_mechanism
        if settings.sasl_mechanism == "OAUTHBEARER":
            options["sasl_oauth_token_provider"] = FileTokens(settings)
        else:
            options["sasl_plain_username"] = settings.username
            options["sasl_plain_password"] = settings.password()
    return options


def tls_context(settings: KafkaSettings) -> ssl.SSLContext:
    """TLS 1.2 or later, the brokers' names checked. Raises SettingsError for files that can't be used."""
    try:
        context = ssl.create_default_context(cafile=None if settings.ca_file is None else str(settings.ca_file))
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if settings.certificate_file is not None and settings.key_file is not None:
            context.load_cert_chain(settings.certificate_file, settings.key_file)
    except (OSError, ssl.SSLError) as error:
        said_by = getattr(error, "strerror", "") or getattr(error, "reason", "") or type(error).__name__
        raise SettingsError(
            f"the certificates of [kafka] can't be used ({said_by})",
            hint="check ca_file, certificate_file and key_file: PEM, readable, and belonging together",
        ) from None
    return context


class FileTokens(AbstractTokenProvider):  # type: ignore[misc]
    """The token that stands in the file now: whoever renews it writes the file anew."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings

    def token(self) -> str:
        return self._settings.token()


@contextlib.contextmanager
def said(settings: KafkaSettings) -> Iterator[None]:
    """What kafka-python raises, as KafkaUnavailable (a broker that is away or refuses us) or TopicRefused."""
    servers = ", ".join(settings.bootstrap_servers)
    try:
        yield
    except _REFUSED as error:
        raise KafkaUnavailable(
            f"Kafka at {servers} refuses us: {why(error)}", hint="check sasl_mechanism, the credentials and the ACLs"
        ) from error
    except (errors.UnknownTopicOrPartitionError, errors.InvalidTopicError) as error:
        raise TopicRefused(f"a topic is missing: {why(error)}", hint="airlock kafka topics create") from error
    except errors.KafkaError as error:
        reason = why(error) if not isinstance(error, errors.KafkaTimeoutError) else unreached(settings) or why(error)
        raise KafkaUnavailable(
            f"Kafka at {servers} can't be used: {reason}",
            hint="check [kafka] bootstrap_servers, the network and the brokers",
        ) from error
    except OSError as error:
        raise KafkaUnavailable(
            f"Kafka at {servers} can't be reached: {error.strerror or type(error).__name__}",
            hint="check [kafka] bootstrap_servers and the network",
        ) from error


def unreached(settings: KafkaSettings) -> str:
    """Why it waited in vain, which is all that kafka-python says: of the first broker that can't be connected to, or
    what is left then; empty where nothing is known."""
    context = tls_context(settings) if settings.tls else None
    for server in settings.bootstrap_servers:
        host, _, port = server.rpartition(":")
        try:
            with socket.create_connection((host.strip("[]"), int(port)), LOOK_S) as plain:
                if context is not None:
                    context.wrap_socket(plain, server_hostname=host.strip("[]")).close()
        except ssl.SSLCertVerificationError as error:
            return f"the certificate of {server} is not trusted ({error.verify_message})"
        except OSError as error:
            return f"{server}: {error.strerror or error}"
    return "it answers and then ends the connection: it may refuse the credentials" if settings.sasl else ""


def why(error: BaseException) -> str:
    """In a few words: kafka-python's messages repeat whole requests."""
    if isinstance(error, errors.KafkaTimeoutError):
        return "no answer in time"
    name = type(error).__name__.removesuffix("Error")
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name).strip()


def quiet() -> None:
    """Have kafka-python log only what ends it: while a broker is away it would repeat that many times a second."""
    logging.getLogger("kafka").setLevel(logging.CRITICAL)


def aiokafka_options(settings: KafkaSettings) -> dict[str, Any]:
    """The options of aiokafka's clients for the same. Raises SettingsError."""
    known = connection(settings)
    options = {
        "bootstrap_servers": known["bootstrap_servers"],
        "client_id": settings.client_id,
        "security_protocol": settings.security_protocol,
        "request_timeout_ms": known["request_timeout_ms"],
    }
    for key in ("ssl_context", "sasl_mechanism", "sasl_plain_username", "sasl_plain_password"):
        if key in known:
            options[key] = known[key]
    if "sasl_oauth_token_provider" in known:
        options["sasl_oauth_token_provider"] = _asynchronous_tokens(settings)
    return options


def faust_options(settings: KafkaSettings) -> dict[str, Any]:
    """`broker` and `broker_credentials` of a Faust app for the same. Raises SettingsError."""
    from faust import auth

    settings.demand()
    options: dict[str, Any] = {"broker": [f"kafka://{server}" for server in settings.bootstrap_servers]}
    context = tls_context(settings) if settings.tls else None
    if settings.sasl and settings.sasl_mechanism == "OAUTHBEARER":
        tokens = _asynchronous_tokens(settings)
        options["broker_credentials"] = auth.OAuthCredentials(oauth_cb=tokens, ssl_context=context)
    elif settings.sasl:
        options["broker_credentials"] = auth.SASLCredentials(
            username=settings.username,
            password=settings.password(),
            mechanism=settings.sasl_mechanism,
            ssl_context=context,
        )
    elif context is not None:
        options["broker_credentials"] = auth.SSLCredentials(context)
    return options


def _asynchronous_tokens(settings: KafkaSettings) -> Any:
    from aiokafka.abc import AbstractTokenProvider as Tokens

    class AsynchronousTokens(Tokens):  # type: ignore[misc]
        async def token(self) -> str:
            return settings.token()

    return AsynchronousTokens()
