"""An OPA server as the engine, through opa-python-client.

The bundle is ours: we upload it, under roots that carry its revision (`data.airlock_r_<revision>…`), and ask there. So
a decision always comes from the revision it names: an OPA that restarted empty, or that somebody else filled, answers
undefined, which denies (and makes us upload again). Several decision services may share one server, each on its own
revision.

The client is told to leave proxies and netrc alone, never to retry, and never to touch a policy's text (it would
rewrite rejected ones): policies are put by its session as they are. An answer without `result` is a denial.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import orjson
from opa_client.opa_async import AsyncOpaClient

from decision.model.decision import Evaluation
from decision.model.errors import (
    BundleRejected,
    PolicyError,
    PolicyTimeout,
    PolicyUnavailable,
    PolicyUndefined,
    SettingsError,
)
from decision.model.metrics import Histogram, Sample
from decision.model.ports import Clock
from decision.model.session import PolicyStatus
from decision.policy.bundle import Bundle
from decision.policy.embedded import CACHE_ENTRIES, MAX_DOCUMENT_BYTES, EvaluationCache
from decision.policy.evaluation import evaluation_of
from decision.policy.input import READS_EVERYTHING, Reads
from decision.policy.metrics import engine_samples

UPLOAD_TIMEOUT_S = 30.0
KEPT_REVISIONS = 2


def prefix_of(revision: str) -> str:
    return f"airlock_r_{revision[:32]}"


class OpaEngine:
    """PolicyEngine over an OPA server at `url`. `timeout_s` is the deadline of one evaluation, connection included.

    Plain HTTP is taken for loopback only, unless `allow_plain_http` says that the network is trusted. `token` is sent
    as a bearer token. Raises SettingsError for a `url` that won't do.
    """

    name = "opa"

    def __init__(
        self,
        url: str,
        clock: Clock,
        *,
        timeout_s: float = 1.0,
        token: str | None = None,
        allow_plain_http: bool = False,
        cache_entries: int = CACHE_ENTRIES,
        max_document_bytes: int = MAX_DOCUMENT_BYTES,
    ) -> None:
        parts = urlsplit(url)
        host = parts.hostname or ""
        if parts.scheme not in ("http", "https") or not host:
            raise SettingsError(f"policy.opa_url: {url!r} is no http or https URL", hint="http://127.0.0.1:8181")
        if parts.scheme == "http" and not allow_plain_http and host not in ("localhost", "127.0.0.1", "::1"):
            raise SettingsError(
                f"policy.opa_url: {host} would be asked without TLS",
                hint="use https, run OPA on this machine, or allow plain HTTP for a network you trust",
            )
        self._client: Any = AsyncOpaClient(
            host=f"[{host}]" if ":" in host else host,
            port=parts.port or (443 if parts.scheme == "https" else 80),
            ssl=parts.scheme == "https",
            token=token,
            retries=0,
            timeout=UPLOAD_TIMEOUT_S,
        )
        self._clock = clock
        self._timeout_s = timeout_s
        self._bundle: Bundle | None = None
        self._activated = 0
        self._rejected = ""
        self._cache = EvaluationCache(cache_entries)
        self._evaluated = Histogram()
        self._max_document_bytes = max_document_bytes
        self._uploaded: list[tuple[str, tuple[str, ...], tuple[str, ...]]] = []
        self._upload_lock = asyncio.Lock()
        self._repair: asyncio.Task[None] | None = None

    @property
    def bundle(self) -> Bundle | None:
        return self._bundle

    @property
    def reads(self) -> Reads:
        return READS_EVERYTHING if self._bundle is None else self._bundle.reads

    @property
    def cache(self) -> EvaluationCache:
        return self._cache

    async def check_health(self) -> bool:
        await self._open()
        return bool(await self._client.check_health())

    async def prepare(self, bundle: Bundle, documents: tuple[bytes, ...]) -> None:
        """Upload the bundle beside the active one and try it. Raises BundleRejected, or PolicyUnavailable."""
        await self._upload(bundle)
        for document in documents:
            try:
                await self._ask(bundle, document)
            except (PolicyUndefined, PolicyTimeout) as error:
                raise BundleRejected(f"the bundle fails its smoke test: {error.message}", hint=error.hint) from None

    async def activate(self, bundle: Bundle) -> None:
        """Make the bundle the one that is asked from now on. It was prepared before."""
        self._cache.clear()
        self._bundle = bundle
        self._activated = self._clock.time_unix_nano()
        self._rejected = ""
        with suppress(PolicyError, BundleRejected):
            await self._forget_old(bundle)

    def note_rejected(self, error: str) -> None:
        self._rejected = error

    async def evaluate(self, document: bytes, key: bytes = b"") -> Evaluation:
        bundle = self._bundle
        if bundle is None:
            raise PolicyUnavailable("no policy bundle is active", hint="airlock policy status")
        shared = key if key.startswith(bundle.reads.tag) and len(key) > len(bundle.reads.tag) else b""
        if shared and (found := self._cache.get(bundle.revision, shared)) is not None:
            return found
        if len(document) > self._max_document_bytes:
            raise PolicyTimeout(f"the statement's facts exceed {self._max_document_bytes} bytes", hint="split it up")
        started = self._clock.monotonic_ns()
        evaluation = await self._ask(bundle, document)
        self._evaluated.observe(self._clock.monotonic_ns() - started)
        if shared:
            self._cache.put(bundle.revision, shared, evaluation)
        return evaluation

    def status(self) -> PolicyStatus:
        bundle = self._bundle
        return PolicyStatus(
            engine=self.name,
            revision="" if bundle is None else bundle.revision,
            activated_unix_nano=self._activated,
            policies=() if bundle is None else bundle.policies,
            rejected=self._rejected,
        )

    def samples(self) -> Iterator[Sample]:
        """See decision.model.metrics."""
        return engine_samples(self._evaluated, self._cache.hits, self._cache.misses, self.status())

    async def close(self) -> None:
        self._bundle = None
        self._cache.clear()
        if self._repair is not None:
            self._repair.cancel()
            with suppress(asyncio.CancelledError):
                await self._repair
        await self._client.close_connection()

    async def _open(self) -> None:
        if self._client._session is None:
            await self._client._init_session()
            session: Any = self._client._session
            assert not session.trust_env  # no proxy variables, no netrc

    async def _ask(self, bundle: Bundle, document: bytes) -> Evaluation:
        path = f"data/{prefix_of(bundle.revision)}/airlock/decision"
        try:
            async with asyncio.timeout(self._timeout_s):
                status, answer = await self._call("POST", path, b'{"input":' + document + b"}")
        except TimeoutError:
            raise PolicyTimeout("the OPA server did not answer in time", hint="see policy.timeout_s") from None
        if status != 200:
            raise PolicyUndefined(f"the OPA server answered {status}", hint="see its log")
        if "result" not in answer:
            self._start_repair(bundle)
            raise PolicyUndefined(
                "the OPA server does not hold the active policy revision", hint="it is being uploaded again"
            )
        return evaluation_of(answer["result"], bundle.revision)

    async def _call(self, method: str, path: str, body: bytes = b"", kind: str = "application/json") -> Any:
        """(status, decoded answer). Raises PolicyUnavailable when the server can't be reached."""
        await self._open()
        url = f"{self._client.root_url}/{path}"
        try:
            async with self._client._request(method, url, data=body, headers={"Content-Type": kind}) as response:
                content = await response.read()
                decoded = orjson.loads(content) if content else {}
                return response.status, decoded if isinstance(decoded, dict) else {}
        except orjson.JSONDecodeError:
            raise PolicyUndefined("the OPA server's answer is no JSON") from None
        except aiohttp.ClientError as error:
            raise PolicyUnavailable(
                f"the OPA server can't be reached ({type(error).__name__})",
                hint="check policy.opa_url",
            ) from None

    def _start_repair(self, bundle: Bundle) -> None:
        if self._repair is None or self._repair.done():
            self._repair = asyncio.get_running_loop().create_task(self._repaired(bundle))

    async def _repaired(self, bundle: Bundle) -> None:
        with suppress(PolicyError, BundleRejected):
            await self._upload(bundle)

    async def _upload(self, bundle: Bundle) -> None:
        """Put data and modules under the revision's own roots. A module may need others first, and OPA compiles at
        every put: those refused are tried again until a round brings nothing."""
        prefix = prefix_of(bundle.revision)
        try:
            async with self._upload_lock, asyncio.timeout(UPLOAD_TIMEOUT_S):
                keys = await self._put_data(prefix, orjson.loads(bundle.data))
                order: list[str] = []
                waiting = [*bundle.rooted_modules(prefix)]
                while waiting:
                    refused: list[tuple[str, str]] = []
                    problem = ""
                    for path, source in waiting:
                        status, answer = await self._call(
                            "PUT", f"policies/{prefix}/{path}", source.encode(), "text/plain"
                        )
                        if status == 200:
                            order.append(f"{prefix}/{path}")
                        else:
                            refused.append((path, source))
                            problem = problem or f"{path}: {_first_error(answer)}"
                    if len(refused) == len(waiting):
                        raise BundleRejected(f"OPA refuses the bundle: {problem}".replace(f"{prefix}.", ""))
                    waiting = refused
        except TimeoutError:
            raise PolicyUnavailable("uploading the policy bundle to OPA took too long") from None
        self._uploaded = [entry for entry in self._uploaded if entry[0] != prefix]
        self._uploaded.append((prefix, tuple(order), keys))

    async def _put_data(self, prefix: str, data: Mapping[str, object]) -> tuple[str, ...]:
        for key, value in data.items():
            status, answer = await self._call("PUT", f"data/{prefix}/{key}", orjson.dumps(value))
            if status not in (204, 304):
                raise BundleRejected(f"OPA refuses the bundle's data: {_first_error(answer)}")
        return tuple(data)

    async def _forget_old(self, active: Bundle) -> None:
        """Remove our own revisions but the newest, so that the server does not grow with every reload."""
        keep = prefix_of(active.revision)
        old = [entry for entry in self._uploaded if entry[0] != keep]
        for entry in old[: max(0, len(old) - KEPT_REVISIONS + 1)]:
            for path in reversed(entry[1]):
                await self._call("DELETE", f"policies/{path}")
            for key in entry[2]:
                await self._call("DELETE", f"data/{entry[0]}/{key}")
            self._uploaded.remove(entry)


def _first_error(answer: Mapping[str, Any]) -> str:
    errors = answer.get("errors") or [answer]
    first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {}
    return str(first.get("message") or answer.get("message") or "no reason given")
