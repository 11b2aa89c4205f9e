"""`airlock keys`: the keys under which the exact texts of statements are kept, and what goes when they go."""

from __future__ import annotations

import os
import re
from dataclasses import asdict
from pathlib import Path

import click

from airlock.commands.common import (
    ask_service,
    config_option,
    data_dir_option,
    format_option,
    show_rows,
    subject_option,
    token_for,
)
from decision.model.errors import SettingsError, VaultRefused

COLUMNS = ("month", "subject", "on_behalf_of", "issuer", "key_id", "wrapping")

groups_option = click.option(
    "--groups", default="privacy", show_default=True, metavar="G,…", help="Your groups, likewise."
)
reason_option = click.option("--reason", required=True, help="Why; it is recorded.")


@click.group("keys")
def keys() -> None:
    """Read, list and erase the exact texts of statements ([texts] statement_text = "encrypted").

    You are the principal of the token in AIRLOCK_TOKEN; without it, of one by the local development issuer. What you
    may do, the groups in texts.readers and texts.erasers say; each reading and each erasure is an event of its own.
    """


@keys.command("list")
@data_dir_option
@subject_option
@groups_option
@format_option
def list_(data_dir: Path, subject: str, groups: str, form: str) -> None:
    """The keys that are left: whose texts of which months can still be read."""
    token = token_for(data_dir, subject, groups)
    found = ask_service(data_dir, lambda port: port.text_keys(token))
    show_rows(COLUMNS, [asdict(key) for key in found], form, empty="no text is kept encrypted")


@keys.command("reveal")
@click.argument("decision_id")
@reason_option
@data_dir_option
@subject_option
@groups_option
def reveal(decision_id: str, reason: str, data_dir: Path, subject: str, groups: str) -> None:
    """The exact text of a decision's statement, from the audit store."""
    token = token_for(data_dir, subject, groups)
    sealed, digest = sealed_text(data_dir, decision_id)
    text = ask_service(data_dir, lambda port: port.reveal_text(token, decision_id, sealed, digest, reason))
    click.echo(text.decode("utf-8", "replace"))


@keys.command("erase")
@click.option("--principal", required=True, metavar="SUBJECT", help="Whose texts, those of who acted for it too.")
@click.option("--issuer", default="", help="Only that subject of this identity provider (default: of every one).")
@click.option("--before", required=True, metavar="YYYY-MM", help="All months before this one, in UTC.")
@reason_option
@click.option("--yes", is_flag=True, help="Don't ask.")
@data_dir_option
@subject_option
@groups_option
def erase(
    principal: str, issuer: str, before: str, reason: str, yes: bool, data_dir: Path, subject: str, groups: str
) -> None:
    """Throw away the keys of a principal's texts: nobody can read them any more, in no copy of the log.

    The log itself stays as it is and still verifies. Copies of the vault (backups of the data folder) hold the keys
    until `airlock keys rotate` has made them worthless.
    """
    month = month_before(before)
    if not yes:
        click.confirm(
            f"Erase the exact texts of {principal!r} of all months before {month}? They can't come back", abort=True
        )
    token = token_for(data_dir, subject, groups)
    gone = ask_service(data_dir, lambda port: port.erase_texts(token, principal, month, reason, issuer))
    months = "month" if gone == 1 else "months"
    click.echo(f"{gone} {months} of texts erased" if gone else f"there is no text of {principal} before {month}")


@keys.command("rotate")
@config_option
@click.option("--data-dir", metavar="DIR", help="Of this node (default: .airlock).")
def rotate(config: Path | None, data_dir: str | None) -> None:
    """Wrap all keys of texts under a new wrapping key, and remove the old one.

    The decision service may run meanwhile. Afterwards, copies of the vault from before are worth nothing: what was
    erased since is gone from them too. Back up the new wrapping key apart from the vault.
    """
    from airlock.settings import load_settings
    from airlock.vaults import vault_file, wrapping_key_file
    from decision.vault import Vault
    from decision.vault_wrapping import FileWrappings

    settings = load_settings(config, data_dir=data_dir)
    file = vault_file(settings.data_dir)
    if settings.texts.wrap_command:
        raise SettingsError(
            "the keys are wrapped by texts.wrap_command", hint="rotate the key in your key management service"
        )
    if not file.exists():
        raise VaultRefused(f"no text was ever kept encrypted in {settings.data_dir}", hint="name another --data-dir")
    key_file = wrapping_key_file(settings)
    wrappings = FileWrappings(key_file)
    vault = Vault(file, wrappings, os.urandom)
    try:
        count = vault.rotate(wrappings.begin(os.urandom(32)))
    finally:
        vault.close()
    wrappings.finish()
    click.echo(f"{count} keys wrapped anew; the new wrapping key is in {key_file}")


def month_before(text: str) -> str:
    """`2026-11`, or the first day of it, as a month. Raises click.BadParameter: keys are of whole months."""
    found = re.fullmatch(r"(\d{4}-(?:0[1-9]|1[0-2]))(?:-01)?", text)
    if found is None:
        raise click.BadParameter(
            f"{text!r} is no month: write 2026-11 for everything before 1 November 2026, in UTC (keys are of months)",
            param_hint="--before",
        )
    return found[1]


def sealed_text(data_dir: Path, decision_id: str) -> tuple[bytes, bytes]:
    """(sealed text, statement digest) of a decision in the audit store. Raises VaultRefused where there is none."""
    from analytics.query import CatalogReader
    from decision.model.events import StatementDecided
    from decision.wire.events import ProtobufEventCodec

    asked = (
        "SELECT e.raw FROM events e JOIN decisions d ON e.correlation_id = d.session_id AND e.time = d.time "
        "WHERE e.type = 'StatementDecided' AND d.decision_id = ?"
    )
    with CatalogReader(data_dir) as reader:
        rows = reader.ask(asked, (decision_id,)).rows
    payloads = [ProtobufEventCodec().decode(bytes(row[0]))[0].payload for row in rows]
    payload = next((p for p in payloads if isinstance(p, StatementDecided) and p.decision_id == decision_id), None)
    if payload is None:
        raise VaultRefused(f"there is no decision {decision_id} in {data_dir}", hint="the view decisions has them")
    if not payload.sealed_text:
        raise VaultRefused(
            f"the exact text of {decision_id} was not kept",
            hint='it is where [texts] statement_text = "encrypted", and the text is not too long for an event',
        )
    return payload.sealed_text, payload.statement_digest
