"""The development issuer: signs tokens for people, agents and CI jobs, so that everything behind them is real.

For one machine. Whoever can read `<data dir>/issuer/key.json` can be anybody: it is made on first use, readable by
its owner only. The public half lies beside it as a JWKS file, which is all that the decision service is told.
"""

from __future__ import annotations

import json
import os
import stat
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from decision.identity.settings import IssuerSettings
from decision.model.errors import SettingsError
from decision.model.ports import Clock
from decision.model.principal import PrincipalKind

ISSUER = "urn:airlock:development"
AUDIENCE = "airlock"
ALGORITHM = "ES256"
KIND_CLAIM = "airlock_kind"
MAX_TTL_S = 30 * 24 * 3600


class DevelopmentIssuer:
    """An issuer in a folder of the data directory. Two processes may make it at the same moment: one key wins."""

    def __init__(
        self, data_dir: Path, clock: Clock, *, issuer: str = ISSUER, audience: str = AUDIENCE, make: bool = True
    ) -> None:
        """Without `make` its key has to be there already: nothing would believe the tokens of a new one."""
        self._make = make
        self._data_dir = data_dir
        self._folder = data_dir / "issuer"
        self._clock = clock
        self._issuer = issuer
        self._audience = audience
        self._key: ECKey | None = None

    @property
    def jwks_file(self) -> Path:
        return self._folder / "jwks.json"

    def settings(self) -> IssuerSettings:
        """How the decision service is told to believe this issuer; makes its key if there is none."""
        self._load()
        return IssuerSettings(
            issuer=self._issuer, audience=(self._audience,), algorithms=(ALGORITHM,), jwks_file=self.jwks_file
        )

    def issue(
        self,
        subject: str,
        kind: PrincipalKind = PrincipalKind.HUMAN,
        *,
        groups: Sequence[str] = (),
        email: str = "",
        on_behalf_of: str = "",
        on_behalf_of_groups: Sequence[str] = (),
        on_behalf_of_email: str = "",
        ttl_s: int = 8 * 3600,
    ) -> str:
        """A signed token for `subject`.

        With `on_behalf_of` it is a delegated token (RFC 8693): that human in `sub`, `subject` in `act`; `groups` and
        `email` remain the subject's, the human's have their own arguments. Raises SettingsError.
        """
        if not subject or not 0 < ttl_s <= MAX_TTL_S:
            raise SettingsError(f"a token needs a subject and a life of 1 to {MAX_TTL_S} seconds")
        if on_behalf_of and kind is PrincipalKind.HUMAN:
            raise SettingsError("a human acts for nobody", hint="use kind agent or service with on_behalf_of")
        me = _claims(subject, kind, groups, email)
        if on_behalf_of:
            human = _claims(on_behalf_of, PrincipalKind.HUMAN, on_behalf_of_groups, on_behalf_of_email)
            claims = human | {"act": me}
        else:
            claims = me
        now = self._clock.time_unix_nano() // 1_000_000_000
        claims |= {"iss": self._issuer, "aud": self._audience, "iat": now, "exp": now + ttl_s, "jti": uuid.uuid4().hex}
        key = self._load()
        return jwt.encode({"alg": ALGORITHM, "kid": key.kid}, claims, key, algorithms=[ALGORITHM])

    def _load(self) -> ECKey:
        """The key, made if there is none; the JWKS file is (re)written where it is missing or does not fit."""
        if self._key is None:
            path = self._folder / "key.json"
            if not self._make and not path.exists():
                raise SettingsError(
                    f"there is no development issuer in {self._data_dir}",
                    hint="name the folder that airlock up runs on by --data-dir; up (or token --create) makes one",
                )
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not path.exists():
                made = ECKey.generate_key("P-256", auto_kid=True)
                _create(path, json.dumps(made.as_dict(private=True)))
            self._key = _read(path)
            public = {**self._key.as_dict(private=False), "kid": self._key.kid, "use": "sig", "alg": ALGORITHM}
            document = json.dumps({"keys": [public]}, indent=1) + "\n"
            if not self.jwks_file.exists() or self.jwks_file.read_text() != document:
                _replace(self.jwks_file, document)
        return self._key


def _claims(subject: str, kind: PrincipalKind, groups: Sequence[str], email: str) -> dict[str, Any]:
    claims: dict[str, Any] = {"sub": subject, KIND_CLAIM: kind.value, "groups": sorted(set(groups))}
    return claims | ({"email": email} if email else {})


def _read(path: Path) -> ECKey:
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise SettingsError(f"{path} can be read by others", hint=f"chmod 600 {path}, or delete it for a new key")
        return ECKey.import_key(json.loads(path.read_text()))
    except (OSError, ValueError, JoseError) as error:
        raise SettingsError(f"{path} holds no usable key", hint="delete it: a new one is made") from error


def _create(path: Path, text: str) -> None:
    """Put `text` at `path`, readable by the owner only, unless another process was first."""
    temporary = _temporary(path, text)
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass
    finally:
        temporary.unlink()


def _replace(path: Path, text: str) -> None:
    temporary = _temporary(path, text)
    temporary.chmod(0o644)
    temporary.replace(path)


def _temporary(path: Path, text: str) -> Path:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{uuid.uuid4().hex}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    return temporary
