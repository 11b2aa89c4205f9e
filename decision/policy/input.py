"""The policy input document and the key under which evaluations of equal input may be shared. Pure.

The document is one canonical JSON object (sorted keys, UTF-8, no spaces) made of fragments that are encoded once where
they are known: the principal per session, the resource per database, the statement per analysis. Only the context is
encoded per request.

The key is a digest of everything in the document that the active bundle can read (`Reads`). Context fields that no rule
reads are left out, so that two requests which differ in time or session only share one evaluation.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import orjson

from decision.model.policy import Context, Phase, Resource
from decision.model.principal import Principal

CONTEXT_FIELDS = (
    "approval",
    "client",
    "counters",
    "counters_behind",
    "enforcement_point",
    "intent",
    "session",
    "ticket",
    "time",
    "transaction_status",
)

_SORTED = orjson.OPT_SORT_KEYS
MAX_CONTEXTS = 4_096  # written out and kept


@dataclass(frozen=True, slots=True)
class Reads:
    """The context fields that a bundle can read. `tag` stands in every key, so that an engine can tell a key that was
    made for another bundle's reads."""

    context: frozenset[str] = frozenset(CONTEXT_FIELDS)

    @property
    def tag(self) -> bytes:
        return _tag(self.context)

    @property
    def counters(self) -> bool:
        return "counters" in self.context or "counters_behind" in self.context


@functools.cache
def _tag(context: frozenset[str]) -> bytes:
    bits = sum(1 << index for index, name in enumerate(CONTEXT_FIELDS) if name in context)
    return bits.to_bytes(2, "big")


READS_EVERYTHING = Reads()


def principal_json(principal: Principal) -> bytes:
    """The principal with its chain flattened: `on_behalf_of` holds everyone behind it, nearest first, and each of them
    has an empty one. Policies are evaluated for every member of the chain as `input.principal`."""
    me, *behind = [_member(member) for member in principal.chain()]
    return orjson.dumps({**me, "on_behalf_of": behind}, option=_SORTED)


def _member(principal: Principal) -> dict[str, object]:
    proof = principal.authentication
    return {
        "issuer": principal.issuer,
        "subject": principal.subject,
        "kind": principal.kind.value,
        "email": principal.email,
        "groups": sorted(set(principal.groups)),
        "on_behalf_of": [],
        "authentication": {"method": proof.method, "amr": list(proof.amr), "time": proof.time_unix},
    }


def resource_json(resource: Resource) -> bytes:
    document = {
        "database": resource.database,
        "engine": resource.engine,
        "environment": resource.environment.value,
        "labels": dict(resource.labels),
    }
    return orjson.dumps(document, option=_SORTED)


def context_document(context: Context) -> dict[str, object]:
    """The context as policies see it; `approval` only where a grant fits this very message, `counters_behind` only
    where there are any."""
    client = context.client
    document: dict[str, object] = {
        "session": context.session_id,
        "time": context.time_unix,
        "intent": context.intent,
        "ticket": context.ticket,
        "client": {
            "address": client.address,
            "application": client.application,
            "protocol": client.protocol,
            "tls": client.tls,
        },
        "enforcement_point": context.enforcement_point,
        "transaction_status": context.transaction_status,
        "counters": dict(context.counters),
    }
    if context.counters_behind:
        document["counters_behind"] = [
            {"issuer": issuer, "subject": subject, "counters": dict(figures)}
            for issuer, subject, figures in context.counters_behind
        ]
    if context.approval is not None:
        grant = context.approval
        document["approval"] = {
            "approval_id": grant.approval_id,
            "rules": list(grant.rules),
            "approvers": list(grant.approvers),
        }
    return document


class InputBuilder:
    """Builds input documents and their keys. `reads` is the active bundle's, or a call that gives it: after a hot
    reload the next document is keyed for the new bundle."""

    def __init__(self, reads: Reads | Callable[[], Reads] = READS_EVERYTHING) -> None:
        self._reads = reads
        self._contexts: dict[int, tuple[Context, Reads, bytes, bytes]] = {}

    @property
    def reads(self) -> Reads:
        """What the active bundle reads."""
        return self._reads if isinstance(self._reads, Reads) else self._reads()

    def build(
        self,
        phase: Phase,
        principal_json: bytes,
        action: str,
        resource_json: bytes,
        statement_json: bytes,
        context: Context,
    ) -> tuple[bytes, bytes]:
        """The document and its key. The `*_json` are canonical fragments; an empty `statement_json` (session and
        approval phase) leaves `statement` out."""
        reads = self.reads
        whole, read = self._context(context, reads)
        before = b'{"action":%b,"context":' % orjson.dumps(action)
        after = b',"phase":%b,"principal":%b,"resource":%b%b}' % (
            orjson.dumps(phase.value),
            principal_json,
            resource_json,
            b',"statement":' + statement_json if statement_json else b"",
        )
        # The context stands in the key by the fields that are read. The lengths say where each part ends.
        lengths = b"%d %d %d:" % (len(read), len(before), len(after))
        digest = hashlib.blake2b(lengths, digest_size=24, person=b"airlock.input")
        for part in (read, before, after):
            digest.update(part)
        return b"".join((before, whole, after)), reads.tag + digest.digest()

    def _context(self, context: Context, reads: Reads) -> tuple[bytes, bytes]:
        """The context as JSON, whole and by the fields that are read. A session hands in the same object for as long
        as its context stays the same; it is kept alive here, so its id is its own."""
        known = self._contexts.get(id(context))
        if known is not None and known[0] is context and known[1] == reads:
            return known[2], known[3]
        fields = context_document(context)
        whole = orjson.dumps(fields, option=_SORTED)
        read = orjson.dumps({name: fields[name] for name in fields if name in reads.context}, option=_SORTED)
        if len(self._contexts) >= MAX_CONTEXTS:
            self._contexts.clear()
        self._contexts[id(context)] = (context, reads, whole, read)
        return whole, read
