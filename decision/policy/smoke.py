"""Documents that a new bundle must answer before it becomes active: one of each phase, and busy statements. Pure."""

from __future__ import annotations

from decision.model.policy import Context, Environment, Phase, Resource
from decision.model.principal import Principal, PrincipalKind
from decision.policy.input import InputBuilder, principal_json, resource_json

_HUMAN = Principal("https://smoke.invalid", "person", PrincipalKind.HUMAN, groups=("everyone",))
_AGENT = Principal("https://smoke.invalid", "agent", PrincipalKind.AGENT, on_behalf_of=(_HUMAN,))
_RESOURCE = resource_json(Resource("smoke", "postgres", Environment.PROD))
_CONTEXT = Context(session_id="smoke", time_unix=0)

_STATEMENT = (
    b'{"catalog_version":"","complete":true,"dialect":"postgres","multi_statement":false,"parser_version":"",'
    b'"statements":[{"columns":[{"column":"email","schema":"public","table":"customers","tags":["pii.email"],'
    b'"usage":["output","filter"]}],"estimated_rows":null,"files":[],"fingerprint":"","flags":["row_lock"],'
    b'"functions":[{"effects":["writes"],"name":"nextval","schema":"pg_catalog"}],"kinds":["select","update"],'
    b'"normalized_text":"","operations":[{"object_type":"table","objects":[{"name":"t","schema":"public"}],'
    b'"options":[],"verb":"drop"}],"output":[{"name":"email","opaque":false,"ordinal":1,"sources":[{"column":"email",'
    b'"schema":"public","table":"customers"}],"tags":["pii.email"],"transform":"identity"}],"parameter_count":0,'
    b'"predicate":{"always_true":false,"limit":null,"pinned":[],"pins_key":false,"present":true},"programs":[],'
    b'"relations":[{"access":["read","write"],"kind":"table","name":"customers","schema":"public","tags":["critical"],'
    b'"via":"direct"}],"settings":["work_mem"],"unresolved":[]}]}'
)


def _document(phase: Phase, principal: Principal, action: str, statement: bytes) -> bytes:
    return InputBuilder().build(phase, principal_json(principal), action, _RESOURCE, statement, _CONTEXT)[0]


SMOKE_DOCUMENTS: tuple[bytes, ...] = (
    _document(Phase.SESSION, _HUMAN, "connect", b""),
    _document(Phase.APPROVAL, _HUMAN, "approve", b""),
    _document(Phase.STATEMENT, _HUMAN, "query", _STATEMENT),
    _document(Phase.STATEMENT, _AGENT, "bind", _STATEMENT),
)
