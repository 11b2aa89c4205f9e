"""Tokens good and bad, as cases in tests/cases/identity/tokens.yaml."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import ECKey, OKPKey, RSAKey

from decision.identity.settings import ClaimNames, IdentitySettings, IssuerSettings, KindRule
from decision.identity.verifier import TokenVerifier
from decision.model.errors import CredentialInvalid, IdentityError
from decision.model.principal import Authentication, PrincipalKind

NOW = 1_800_000_000
ISSUER = "https://idp.example"
CASES = yaml.safe_load((Path(__file__).parents[1] / "cases" / "identity" / "tokens.yaml").read_text())

KEYS: dict[str, tuple[str, ECKey | RSAKey | OKPKey]] = {
    "issuer": ("ES256", ECKey.generate_key("P-256")),
    "rsa": ("RS256", RSAKey.generate_key(2048)),
    "ed25519": ("EdDSA", OKPKey.generate_key("Ed25519")),
    "stranger": ("ES256", ECKey.generate_key("P-256")),
}
GOOD = {
    "iss": ISSUER, "aud": "airlock", "sub": "alice", "iat": NOW - 60, "exp": NOW + 600, "auth_time": NOW - 90,
    "amr": ["pwd", "otp"], "email": "alice@example.com", "email_verified": True, "groups": ["dev", "dba", "dev"],
}  # fmt: skip


class FixedClock:
    def time_unix_nano(self) -> int:
        return NOW * 1_000_000_000

    def monotonic_ns(self) -> int:
        return 0


@pytest.fixture(scope="session")
def weak() -> RSAKey:
    with pytest.warns(match="2048"):
        return RSAKey.generate_key(1024)


@pytest.fixture(scope="session")
def verifier(tmp_path_factory: pytest.TempPathFactory, weak: RSAKey) -> TokenVerifier:
    path = tmp_path_factory.mktemp("issuer") / "jwks.json"
    published = {name: key for name, (_, key) in KEYS.items() if name != "stranger"} | {"weak-rsa": weak}
    entries = [{**key.as_dict(private=False), "kid": name} for name, key in published.items()]
    shared = {"kty": "oct", "k": _encode(b"secret" * 8), "kid": "issuer"}
    path.write_text(json.dumps({"keys": [shared, *entries]}))
    claims = ClaimNames(
        kind_rules=(
            KindRule(claim="grant", value="client_credentials", kind=PrincipalKind.SERVICE),
            KindRule(claim="realm.roles", value="robot", kind=PrincipalKind.AGENT),
        )
    )
    issuer = IssuerSettings(
        issuer=ISSUER, audience=("airlock",), jwks_file=path, algorithms=("RS256", "ES256", "EdDSA"), claims=claims
    )
    return TokenVerifier(IdentitySettings(issuers=(issuer,)), FixedClock())


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _merged(good: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    merged = dict(good)
    for name, value in changes.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, dict) and "$far" in value:
            merged[name] = NOW + value["$far"]
        else:
            merged[name] = None if isinstance(value, dict) and "$null" in value else value
    return merged


def build(case: dict[str, Any], weak: RSAKey) -> str:
    """The token of a case."""
    sign = case.get("sign", "issuer")
    algorithm, key = KEYS.get(sign, ("RS256", weak) if sign == "weak-rsa" else KEYS["issuer"])
    key_id = "weak-rsa" if sign == "weak-rsa" else sign if sign in KEYS and sign != "stranger" else "issuer"
    header = _merged({"alg": algorithm, "kid": key_id, "typ": "JWT"}, case.get("header", {}))
    payload = json.dumps(_merged(GOOD, case.get("claims", {}))).encode()
    signed = f"{_encode(json.dumps(header).encode())}.{_encode(payload)}"
    if sign == "none":
        return signed + "."
    if sign == "hmac-with-public-key":
        secret = KEYS["issuer"][1].as_pem(private=False)
        return f"{signed}.{_encode(hmac.digest(secret, signed.encode(), hashlib.sha256))}"
    made = jws.serialize_compact({"alg": algorithm}, b"", key, algorithms=[algorithm])
    assert made  # the library can sign with this key; now sign exactly our bytes, header and all
    model = jws.JWSRegistry(algorithms=[algorithm]).get_alg(algorithm)
    return f"{signed}.{_encode(model.sign(signed.encode(), key))}"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["note"])
@pytest.mark.filterwarnings("ignore:Key size")
async def test_a_token_proves_what_its_case_says(case: dict[str, Any], verifier: TokenVerifier, weak: RSAKey) -> None:
    """The principal of a good token; the error of a bad one, which never quotes the token."""
    token = case["token"].replace("{good}", build({}, weak)) if "token" in case else build(case, weak)
    wanted = case["want"]
    if isinstance(wanted, str):
        with pytest.raises(IdentityError) as caught:
            await verifier.verify(token)
        assert caught.value.code == wanted
        text = f"{caught.value.message} {caught.value.hint}"
        assert case.get("says", "") in text
        assert not any(part in text for part in token.split(".") if len(part) > 8)
        assert "evil" not in text and "admin" not in text
        return
    principal = await verifier.verify(token)
    for field, value in wanted.items():
        if field == "behind":
            assert [member.subject for member in principal.on_behalf_of] == value
        else:
            assert getattr(principal, field) == (tuple(value) if isinstance(value, list) else value)


def test_case_notes_are_unique() -> None:
    """A failing case is found by its note."""
    notes = [case["note"] for case in CASES]
    assert len(notes) == len(set(notes)) > 80


async def test_the_proof_is_kept_with_the_principal(verifier: TokenVerifier, weak: RSAKey) -> None:
    """Methods, moment and end of the proof; the end allows for the leeway that verification allows."""
    principal = await verifier.verify(build({}, weak))
    assert principal.authentication == Authentication("oidc", ("otp", "pwd"), NOW - 90, NOW + 630)


async def test_the_humans_data_stays_with_the_human(verifier: TokenVerifier, weak: RSAKey) -> None:
    """In a delegated token the top is the human's: the agent has neither its groups nor its address."""
    principal = await verifier.verify(build({"claims": {"act": {"sub": "bot"}}}, weak))
    (human,) = principal.on_behalf_of
    assert (principal.kind, principal.groups, principal.email) == (PrincipalKind.AGENT, (), "")
    assert (human.kind, human.groups, human.email) == (PrincipalKind.HUMAN, ("dba", "dev"), "alice@example.com")


@pytest.mark.parametrize("size", [16_384, 1_000_000])
async def test_a_huge_token_is_refused_unread(verifier: TokenVerifier, size: int) -> None:
    """By its length alone."""
    with pytest.raises(CredentialInvalid, match="over 16384 bytes"):
        await verifier.verify("a" * (size + 1))


async def test_nested_junk_is_malformed_not_a_crash(verifier: TokenVerifier) -> None:
    """Eight thousand brackets in header or payload."""
    deep = _encode(b"[" * 8_000)
    objects = _encode(b'{"a":' * 2000)
    for token in (f"{deep}.e30.AAAA", f"eyJhbGciOiJFUzI1NiJ9.{deep}.AAAA", f"{objects}.e30.AAAA"):
        with pytest.raises(CredentialInvalid, match="malformed"):
            await verifier.verify(token)


async def test_any_changed_character_breaks_the_token(verifier: TokenVerifier, weak: RSAKey) -> None:
    """Every character of a good token, replaced by another of the alphabet: never a principal.

    The last character of the signature may carry unused bits; a strict decoder refuses those too or they are the same
    signature, so it is left out here.
    """
    token = build({}, weak)
    for index in range(0, len(token) - 1, 3):
        changed = token[:index] + ("A" if token[index] != "A" else "B") + token[index + 1 :]
        with pytest.raises(IdentityError):
            await verifier.verify(changed)


@settings(max_examples=200, deadline=None, database=None)
@given(
    st.one_of(st.text(max_size=200), st.lists(st.text(st.sampled_from("eyJhbGciW10.{}-_"), max_size=40)).map(".".join))
)
def test_no_text_whatever_raises_anything_but_an_identity_error(text: str) -> None:
    """Fuzz: the verifier has no other way to fail."""
    import asyncio

    path = Path(__file__)  # never read: no such token gets as far as a key
    issuer = IssuerSettings(issuer=ISSUER, audience=("airlock",), jwks_file=path)
    with pytest.raises(IdentityError):
        asyncio.run(TokenVerifier(IdentitySettings(issuers=(issuer,)), FixedClock()).verify(text))
