"""The development issuer and `airlock token`: real tokens, verified by the real verifier."""

from __future__ import annotations

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from click.testing import CliRunner

from airlock.commands.token import token
from airlock.issuer import ISSUER, MAX_TTL_S, DevelopmentIssuer
from decision.clock import SystemClock
from decision.identity.settings import IdentitySettings
from decision.identity.verifier import TokenVerifier
from decision.model.errors import CredentialInvalid, IssuerUnavailable, SettingsError
from decision.model.principal import Principal, PrincipalKind


def issuer(folder: Path) -> DevelopmentIssuer:
    return DevelopmentIssuer(folder, SystemClock())


async def verified(folder: Path, issued: str) -> Principal:
    settings = IdentitySettings(issuers=(issuer(folder).settings(),))
    return await TokenVerifier(settings, SystemClock()).verify(issued)


async def test_a_humans_token_proves_the_human(tmp_path: Path) -> None:
    """Subject, kind, groups and address."""
    made = issuer(tmp_path).issue("alice", groups=["dba", "dev"], email="alice@example.com")
    principal = await verified(tmp_path, made)
    assert (principal.issuer, principal.subject, principal.kind) == (ISSUER, "alice", PrincipalKind.HUMAN)
    assert (principal.groups, principal.email, principal.on_behalf_of) == (("dba", "dev"), "alice@example.com", ())


async def test_an_agents_token_has_its_human_behind_it(tmp_path: Path) -> None:
    """Each with their own groups."""
    made = issuer(tmp_path).issue(
        "bot", PrincipalKind.AGENT, groups=["agents"], on_behalf_of="alice", on_behalf_of_groups=["dba"]
    )
    principal = await verified(tmp_path, made)
    (human,) = principal.on_behalf_of
    assert (principal.subject, principal.kind, principal.groups) == ("bot", PrincipalKind.AGENT, ("agents",))
    assert (human.subject, human.kind, human.groups) == ("alice", PrincipalKind.HUMAN, ("dba",))


async def test_a_jobs_token_proves_a_service(tmp_path: Path) -> None:
    """CI jobs act for themselves, or for who started them."""
    alone = await verified(tmp_path, issuer(tmp_path).issue("ci/deploy", PrincipalKind.SERVICE))
    started = await verified(tmp_path, issuer(tmp_path).issue("ci/1", PrincipalKind.SERVICE, on_behalf_of="alice"))
    assert (alone.kind, alone.on_behalf_of) == (PrincipalKind.SERVICE, ())
    assert (started.kind, started.on_behalf_of[0].subject) == (PrincipalKind.SERVICE, "alice")


def test_only_the_owner_can_read_the_key_and_the_public_half_has_none_of_it(tmp_path: Path) -> None:
    """0600 and 0700; the JWKS file holds no private part."""
    made = issuer(tmp_path)
    made.issue("alice")
    assert stat.S_IMODE((tmp_path / "issuer" / "key.json").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "issuer").stat().st_mode) == 0o700
    (entry,) = json.loads(made.jwks_file.read_text())["keys"]
    assert "d" not in entry and entry["use"] == "sig"
    assert {path.name for path in (tmp_path / "issuer").iterdir()} == {"key.json", "jwks.json"}


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    """With the remedy."""
    issuer(tmp_path).issue("alice")
    (tmp_path / "issuer" / "key.json").chmod(0o644)
    with pytest.raises(SettingsError) as caught:
        issuer(tmp_path).issue("alice")
    assert "chmod 600" in caught.value.hint


def test_a_damaged_key_is_told_with_its_remedy(tmp_path: Path) -> None:
    """And nothing of it is quoted."""
    (tmp_path / "issuer").mkdir()
    key = tmp_path / "issuer" / "key.json"
    key.write_text('{"kty": "EC", "d": "broken"')
    key.chmod(0o600)
    with pytest.raises(SettingsError) as caught:
        issuer(tmp_path).issue("alice")
    assert "broken" not in str(caught.value) and "delete it" in caught.value.hint


async def test_many_processes_at_the_first_moment_share_one_key(tmp_path: Path) -> None:
    """Whoever is first makes it; every token verifies."""
    with ThreadPoolExecutor(8) as pool:
        tokens = list(pool.map(lambda number: issuer(tmp_path).issue(f"user-{number}"), range(8)))
    subjects = {(await verified(tmp_path, made)).subject for made in tokens}
    assert subjects == {f"user-{number}" for number in range(8)}


async def test_a_new_key_is_believed_without_a_restart_and_the_old_no_more(tmp_path: Path) -> None:
    """The verifier reads the JWKS file again when it has changed; without it the issuer is unavailable."""
    old = issuer(tmp_path).issue("alice")
    verifier = TokenVerifier(IdentitySettings(issuers=(issuer(tmp_path).settings(),)), SystemClock())
    assert (await verifier.verify(old)).subject == "alice"
    (tmp_path / "issuer" / "key.json").unlink()
    new = issuer(tmp_path).issue("bob")
    assert (await verifier.verify(new)).subject == "bob"
    with pytest.raises(CredentialInvalid):
        await verifier.verify(old)
    (tmp_path / "issuer" / "jwks.json").unlink()
    with pytest.raises(IssuerUnavailable):
        await verifier.verify(new)


@pytest.mark.parametrize(
    "arguments",
    [{"subject": ""}, {"ttl_s": 0}, {"ttl_s": MAX_TTL_S + 1}, {"on_behalf_of": "bob"}],
)
def test_tokens_that_make_no_sense_are_not_issued(tmp_path: Path, arguments: dict[str, object]) -> None:
    """No subject, no life, too long a life, a human on behalf of someone."""
    with pytest.raises(SettingsError):
        issuer(tmp_path).issue(**({"subject": "alice"} | arguments))  # type: ignore[arg-type]


async def test_the_command_prints_just_the_token(tmp_path: Path) -> None:
    """So that it can stand in a psql line."""
    arguments = [
        "--create",
        "--data-dir",
        str(tmp_path),
        "--subject",
        "bot",
        "--kind",
        "agent",
        "--groups",
        "agents, readers,",
    ]
    arguments += ["--on-behalf-of", "alice", "--on-behalf-of-groups", "dba", "--ttl", "15m", "--email", "b@example.com"]
    done = CliRunner().invoke(token, arguments)
    assert done.exit_code == 0 and done.output.count("\n") == 1
    principal = await verified(tmp_path, done.output.strip())
    assert (principal.groups, principal.email) == (("agents", "readers"), "b@example.com")
    assert principal.authentication.expires_unix - principal.authentication.time_unix == 900 + 30
    assert principal.on_behalf_of[0].groups == ("dba",)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--subject", "a", "--ttl", "soon"], "write 90s, 15m, 8h or 1d"),
        (["--subject", "a", "--ttl", "0s"], "no duration"),
        (["--subject", "a", "--ttl", "31d"], "1 to"),
        (["--subject", "a", "--on-behalf-of", "b"], "acts for nobody"),
        (["--subject", "a", "--kind", "root"], "human"),
        ([], "--subject"),
    ],
)
def test_the_command_says_what_is_wrong(tmp_path: Path, arguments: list[str], says: str) -> None:
    """Exit code not 0, and the way out."""
    done = CliRunner().invoke(token, ["--data-dir", str(tmp_path), *arguments])
    assert done.exit_code != 0 and says in f"{done.output} {done.exception}"
