"""Keys by discovery from a real HTTP issuer on loopback: caching, rotation, limits, outages."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey
from pydantic import ValidationError

from decision.identity.discovery import MAX_DOCUMENT_BYTES
from decision.identity.keys import RETRY_S
from decision.identity.settings import IdentitySettings, IssuerSettings, is_safe_url
from decision.identity.verifier import TokenVerifier
from decision.model.errors import CredentialInvalid, IssuerUnavailable

NOW = 1_800_000_000
KEYS_PATH = "/keys"


class HandClock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def time_unix_nano(self) -> int:
        return NOW * 1_000_000_000

    def monotonic_ns(self) -> int:
        return int(self.seconds * 1e9)


class Issuer:
    """An identity provider: answers by path, counts what it was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, bytes]] = {}
        self.location = ""
        self.asked: list[str] = []
        self.stalled = threading.Event()
        self.stall = False
        self.keys: dict[str, ECKey] = {}
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked.append(self.path)
                if issuer.stall:
                    issuer.stalled.wait(10)
                status, body = issuer.answers.get(self.path, (404, b""))
                self.send_response(status)
                if status in (301, 302):
                    self.send_header("location", issuer.location)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        self.describe()
        self.publish("first")

    def describe(self, **changes: Any) -> None:
        document = {"issuer": self.url, "jwks_uri": self.url + KEYS_PATH} | changes
        self.answers["/.well-known/openid-configuration"] = (200, json.dumps(document).encode())

    def publish(self, *names: str) -> None:
        self.keys |= {name: ECKey.generate_key("P-256") for name in names if name not in self.keys}
        entries = [{**self.keys[name].as_dict(private=False), "kid": name, "use": "sig"} for name in names]
        self.answers[KEYS_PATH] = (200, json.dumps({"keys": entries}).encode())

    def token(self, name: str = "first", key_id: str = "") -> str:
        claims = {"iss": self.url, "aud": "airlock", "sub": "alice", "exp": NOW + 600}
        return jwt.encode({"alg": "ES256", "kid": key_id or name}, claims, self.keys[name], algorithms=["ES256"])

    @property
    def fetches(self) -> int:
        return self.asked.count(KEYS_PATH)

    def close(self) -> None:
        self.stalled.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    made = Issuer()
    yield made
    made.close()


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


def verifier(issuer: Issuer, clock: HandClock, **settings: Any) -> TokenVerifier:
    entry = IssuerSettings(issuer=issuer.url, audience=("airlock",), **settings)
    return TokenVerifier(IdentitySettings(issuers=(entry,)), clock)


async def test_keys_are_found_by_discovery_and_kept(issuer: Issuer, clock: HandClock) -> None:
    """Many tokens, one fetch; also when they come at once."""
    verifies = verifier(issuer, clock)
    found = await asyncio.gather(*(verifies.verify(issuer.token()) for _ in range(20)))
    assert {principal.subject for principal in found} == {"alice"}
    assert issuer.fetches == 1


async def test_keys_past_their_time_are_fetched_again(issuer: Issuer, clock: HandClock) -> None:
    """A withdrawn key proves nothing after keys_ttl_s."""
    verifies = verifier(issuer, clock, keys_ttl_s=100)
    token = issuer.token()
    await verifies.verify(token)
    issuer.publish("second")
    await verifies.verify(token)
    clock.seconds += 101
    with pytest.raises(CredentialInvalid):
        await verifies.verify(token)
    assert issuer.fetches == 2


async def test_a_rotated_key_is_found_at_its_first_token(issuer: Issuer, clock: HandClock) -> None:
    """An unknown key id makes one fetch, once the last is refresh_interval_s old."""
    verifies = verifier(issuer, clock, refresh_interval_s=30)
    await verifies.verify(issuer.token())
    issuer.publish("first", "second")
    clock.seconds += 31
    assert (await verifies.verify(issuer.token("second"))).subject == "alice"
    assert issuer.fetches == 2


async def test_invented_key_ids_do_not_hammer_the_issuer(issuer: Issuer, clock: HandClock) -> None:
    """A hundred tokens with key ids of nobody: one fetch in the interval, at once or one by one."""
    verifies = verifier(issuer, clock, refresh_interval_s=30)
    await verifies.verify(issuer.token())
    clock.seconds += 31
    forged = [issuer.token(key_id=f"ghost-{number}") for number in range(50)]
    outcomes = await asyncio.gather(*(verifies.verify(token) for token in forged), return_exceptions=True)
    for token in forged:
        with pytest.raises(CredentialInvalid):
            await verifies.verify(token)
    assert all(isinstance(outcome, CredentialInvalid) for outcome in outcomes)
    assert issuer.fetches == 2


async def test_an_outage_is_bridged_with_the_keys_we_have_until_they_are_too_old(
    issuer: Issuer, clock: HandClock
) -> None:
    """Then IssuerUnavailable; and after repair it goes on."""
    verifies = verifier(issuer, clock, keys_ttl_s=100, keys_max_stale_s=200)
    token = issuer.token()
    await verifies.verify(token)
    working = issuer.answers[KEYS_PATH]
    issuer.answers[KEYS_PATH] = (503, b"")
    clock.seconds += 250
    assert (await verifies.verify(token)).subject == "alice"
    clock.seconds += 51
    with pytest.raises(IssuerUnavailable, match="too old"):
        await verifies.verify(token)
    issuer.answers[KEYS_PATH] = working
    clock.seconds += 31
    assert (await verifies.verify(token)).subject == "alice"


async def test_a_failing_issuer_is_asked_once_in_the_interval(issuer: Issuer, clock: HandClock) -> None:
    """Each token is refused as unavailable, not as invalid: it may well be good. Soon it is tried again."""
    working = issuer.answers[KEYS_PATH]
    issuer.answers[KEYS_PATH] = (500, b"")
    verifies = verifier(issuer, clock)
    for _ in range(5):
        with pytest.raises(IssuerUnavailable):
            await verifies.verify(issuer.token())
    assert issuer.fetches == 1
    issuer.answers[KEYS_PATH] = working
    clock.seconds += RETRY_S + 0.1
    assert (await verifies.verify(issuer.token())).subject == "alice"


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/.well-known/openid-configuration", 404, b""),
        ("/.well-known/openid-configuration", 200, b"<html>"),
        ("/.well-known/openid-configuration", 200, b"[]"),
        ("/.well-known/openid-configuration", 200, b'{"issuer": "https://other.example"}'),
        ("/.well-known/openid-configuration", 302, b""),
        (KEYS_PATH, 200, b"<html>"),
        (KEYS_PATH, 200, b'{"keys": 7}'),
        (KEYS_PATH, 200, b'{"keys": [' + b"{}," * 100 + b"{}]}"),
        (KEYS_PATH, 200, b" " * (MAX_DOCUMENT_BYTES + 1)),
        (KEYS_PATH, 302, b""),
    ],
)
async def test_an_issuer_that_answers_nonsense_is_unavailable(
    issuer: Issuer, clock: HandClock, path: str, status: int, body: bytes
) -> None:
    """Errors, other formats, endless documents and redirects are no keys."""
    issuer.location = issuer.url + "/elsewhere"
    issuer.answers["/elsewhere"] = issuer.answers[KEYS_PATH]
    issuer.answers[path] = (status, body)
    with pytest.raises(IssuerUnavailable):
        await verifier(issuer, clock).verify(issuer.token())
    assert "/elsewhere" not in issuer.asked


@pytest.mark.parametrize("url", ["http://keys.example/jwks", "file:///etc/passwd", "", 7, "https://u:p@keys.example/"])
async def test_keys_are_not_fetched_from_an_unsafe_address(issuer: Issuer, clock: HandClock, url: object) -> None:
    """jwks_uri must be https, or http on loopback, and carry no credentials."""
    issuer.describe(jwks_uri=url)
    with pytest.raises(IssuerUnavailable):
        await verifier(issuer, clock).verify(issuer.token())
    assert issuer.fetches == 0


async def test_an_issuer_that_does_not_answer_is_unavailable_in_time(issuer: Issuer, clock: HandClock) -> None:
    """The timeout of the settings, not for ever; a good token elsewhere would wait no longer."""
    issuer.stall = True
    async with asyncio.timeout(5):
        with pytest.raises(IssuerUnavailable):
            await verifier(issuer, clock, timeout_s=0.2).verify(issuer.token())


async def test_nobody_there_is_unavailable(clock: HandClock) -> None:
    """No connection at all."""
    gone = Issuer()
    gone.close()
    with pytest.raises(IssuerUnavailable):
        await verifier(gone, clock).verify(gone.token())


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("https://idp.example", True),
        ("https://idp.example:8443/realms/a", True),
        ("http://127.0.0.1:9000", True),
        ("http://localhost:9000", True),
        ("http://[::1]:9000", True),
        ("http://idp.example", False),
        ("http://127.0.0.1.evil.example", False),
        ("http://localhost.evil.example", False),
        ("https://user@idp.example", False),
        ("https://idp.example:99999", False),
        ("https://", False),
        ("urn:idp", False),
        ("https://[::1", False),
    ],
)
def test_only_https_is_safe_except_on_this_machine(url: str, safe: bool) -> None:
    """And names that only look like this machine are not it."""
    assert is_safe_url(url) is safe


@pytest.mark.parametrize(
    "settings",
    [
        {"issuer": "http://idp.example"},
        {"algorithms": ("HS256",)},
        {"algorithms": ("none",)},
        {"algorithms": ()},
        {"audience": ()},
        {"audience": ("",)},
        {"unknown": 1},
    ],
)
def test_settings_that_would_weaken_verification_are_refused(settings: dict[str, Any]) -> None:
    """Symmetric or no algorithms, no audience, keys over plain http."""
    with pytest.raises(ValidationError):
        IssuerSettings(**{"issuer": "https://idp.example", "audience": ("airlock",)} | settings)


def test_an_issuer_named_twice_is_refused() -> None:
    """Which settings would hold?"""
    entry = IssuerSettings(issuer="https://idp.example", audience=("airlock",))
    with pytest.raises(ValidationError, match="twice"):
        IdentitySettings(issuers=(entry, entry))
