"""OpenID Connect discovery: from an issuer's URL to the bytes of its JWKS document."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import httpx
import orjson

from decision.identity.settings import IssuerSettings, is_loopback, is_safe_url
from decision.model.errors import IssuerUnavailable

MAX_DOCUMENT_BYTES = 512 * 1024
# Not compressed, and read raw: a few compressed bytes can't become gigabytes here.
_HEADERS = {"accept": "application/json", "accept-encoding": "identity"}


def discover(settings: IssuerSettings) -> Callable[[], Awaitable[bytes]]:
    """A function that fetches the issuer's keys; it raises IssuerUnavailable. Redirects are not followed."""

    async def fetch() -> bytes:
        local = is_loopback(urlsplit(settings.issuer).hostname or "")
        async with httpx.AsyncClient(timeout=settings.timeout_s, follow_redirects=False, trust_env=not local) as client:
            url = settings.issuer.rstrip("/") + "/.well-known/openid-configuration"
            keys_url = _keys_url(await _get(client, url), settings.issuer)
            return await _get(client, keys_url)

    return fetch


def _keys_url(document: bytes, issuer: str) -> str:
    try:
        metadata = orjson.loads(document)
    except ValueError as error:
        raise IssuerUnavailable("the issuer's discovery document is no JSON", hint="check the issuer's URL") from error
    if not isinstance(metadata, dict) or metadata.get("issuer") != issuer:
        raise IssuerUnavailable(
            "the issuer's discovery document names another issuer", hint="write the issuer exactly as it names itself"
        )
    url = metadata.get("jwks_uri")
    if not isinstance(url, str) or not is_safe_url(url):
        raise IssuerUnavailable("the issuer's discovery document has no https address of keys (jwks_uri)")
    return url


async def _get(client: httpx.AsyncClient, url: str) -> bytes:
    """The body, at most MAX_DOCUMENT_BYTES. A chunk at a time, so that an endless answer ends here."""
    body = bytearray()
    try:
        async with client.stream("GET", url, headers=_HEADERS) as response:
            if response.status_code != httpx.codes.OK:
                raise IssuerUnavailable(f"the issuer answered {response.status_code} when asked for its keys")
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > MAX_DOCUMENT_BYTES:
                    raise IssuerUnavailable(f"the issuer's document is over {MAX_DOCUMENT_BYTES} bytes")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        reason = type(error).__name__
        raise IssuerUnavailable(f"the issuer can't be reached ({reason})", hint="check network and issuer") from error
    return bytes(body)
