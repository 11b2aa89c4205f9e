"""Columns are tagged by their names and types, in several languages, and not by what is only near them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from decision.model.catalog import CatalogColumn, CatalogRelation, CatalogSnapshot
from decision.model.facts import RelationKind
from enforcement.masking.classify import Finding, classify, findings, with_findings, words


def snapshot(table: str, *columns: tuple[str, str], schema: str = "public") -> CatalogSnapshot:
    made = tuple(CatalogColumn(name, number, 0, kind) for number, (name, kind) in enumerate(columns, 1))
    return CatalogSnapshot(
        "shop", 180000, "v1", relations=(CatalogRelation(schema, table, 1, RelationKind.TABLE, made),)
    )


def tags(table: str, name: str, kind: str = "text") -> tuple[str, ...]:
    return classify(snapshot(table, (name, kind))).relations[0].columns[0].tags


TAGGED = {
    "pii.email": ["email", "Email", "customerEmail", "e_mail", "email_address", "contact_email2", "emailAddress",
                  "work_email", "correo_electronico", "courriel", "E-Mail-Adresse", "backup_mail", "email_id"],
    "pii.phone": ["phone", "phone_number", "mobile_phone", "telefon", "Telefonnummer", "teléfono", "téléphone",
                  "homePhone", "fax"],
    "pii.name": ["first_name", "lastName", "fullname", "surname", "Vorname", "nachname", "prénom", "apellidos",
                  "cognome",
                 "achternaam", "cardholder"],
    "pii.address": ["street", "address_line_1", "billing_address", "Straße", "hausnummer", "dirección",
                  "zip_code", "plz",
                    "indirizzo"],
    "pii.national_id": ["ssn", "social_security_number", "passport_no", "tax_id", "codice_fiscale", "cpf", "steuer_id"],
    "pii.card": ["card_number", "credit_card", "cc_number", "cvv", "Kreditkartennummer"],
    "pii.iban": ["iban", "bank_account", "kontonummer", "routing_number"],
    "secret.password": ["password", "password_hash", "pwd", "encrypted_password", "mot_de_passe", "contraseña"],
    "secret.token": ["api_key", "access_token", "refreshToken", "client_secret", "key_hash", "session_token", "secret"],
    "secret.key": ["private_key", "ssh_key"],
}  # fmt: skip


@pytest.mark.parametrize(("tag", "name"), [(tag, name) for tag, names in TAGGED.items() for name in names])
def test_a_telling_name_is_tagged(tag: str, name: str) -> None:
    """In snake_case, camelCase, with accents, as part of a longer name."""
    assert tags("things", name) == (tag,)


@pytest.mark.parametrize(("name", "kind", "tag"), [
    ("date_of_birth", "date", "pii.birthdate"), ("geburtsdatum", "date", "pii.birthdate"), ("dob", "text",
    "pii.birthdate"),
    ("salary", "numeric(12,2)", "pii.salary"), ("gehalt", "integer", "pii.salary"), ("client_ip", "inet", "pii.ip"),
    ("phone", "bigint", "pii.phone"), ("emails", "text[]", "pii.email"), ("email", "citext", "pii.email"),
    ("email", "public.mail_address", "pii.email"), ("private_key", "bytea", "secret.key"),
])  # fmt: skip
def test_types_that_can_hold_it(name: str, kind: str, tag: str) -> None:
    """Numbers, dates, arrays, domains."""
    assert tags("things", name, kind) == (tag,)


@pytest.mark.parametrize(("table", "name", "kind"), [
    ("users", "email_verified", "boolean"), ("users", "email", "boolean"), ("users", "email_count", "integer"),
    ("users", "phone_type", "text"), ("users", "password_changed_at", "timestamp with time zone"),
    ("users", "id", "integer"), ("users", "created_at", "date"), ("products", "name", "text"), ("orders",
    "total", "numeric"),
    ("orders", "status", "text"), ("emails", "subject", "text"), ("products", "card_type", "text"),
    ("cities", "city", "text"), ("users", "email_opt_in", "boolean"), ("payments", "amount", "numeric"),
    ("things", "address_id", "bigint"), ("token_buckets", "token_count", "integer"), ("x", "panel", "text"),
])  # fmt: skip
def test_what_is_only_near_it_is_not_tagged(table: str, name: str, kind: str) -> None:
    """A flag, a count, a type, a time; a product's name."""
    assert tags(table, name, kind) == ()


@pytest.mark.parametrize(("table", "name", "tag"), [
    ("customers", "name", "pii.name"), ("Kunden", "ort", "pii.address"), ("employees", "notes", "pii"),
    ("user_profiles", "bio", "pii"), ("clientes", "nombre", "pii.name"),
])  # fmt: skip
def test_a_table_about_people_makes_plain_names_personal(table: str, name: str, tag: str) -> None:
    """`name` says something in `customers`, and nothing in `products`."""
    assert tags(table, name) == (tag,)


def test_findings_tell_their_evidence() -> None:
    """So that a person can judge them."""
    (found,) = findings(snapshot("customers", ("email_address", "text"), ("id", "integer")))
    assert (found.table, found.column, found.tag) == ("customers", "email_address", "pii.email")
    assert found.confidence > 0.9
    assert "email_address" in found.evidence


def test_system_schemas_are_left_alone() -> None:
    """`pg_authid.rolpassword` is not ours to tag; policies deny the table."""
    assert findings(snapshot("pg_user", ("password", "text"), schema="pg_catalog")) == ()


def test_tags_are_added_and_the_version_covers_them() -> None:
    """Decisions are cached by version: other tags, another version; the same, the same."""
    before = snapshot("customers", ("email", "text"), ("id", "integer"))
    column = replace(before.relations[0].columns[0], tags=("own",))
    relation = replace(before.relations[0], columns=(column, before.relations[0].columns[1]))
    before = replace(before, relations=(relation,))
    after = classify(before)
    assert after.relations[0].columns[0].tags == ("own", "pii.email")
    assert after.relations[0].columns[1].tags == ()
    assert after.version not in ("", before.version)
    assert after == classify(before)
    assert with_findings(before, ()).version != after.version


def test_weak_findings_give_no_tag() -> None:
    """What other detectors are not sure of."""
    weak = Finding("public", "customers", "email", "pii.email", 0.4, "")
    assert with_findings(snapshot("customers", ("email", "text")), [weak]).relations[0].columns[0].tags == ()


@pytest.mark.parametrize(("name", "parts"), [
    ("customerEMail2", ("customer", "e", "mail", "2")), ("HTTPServer", ("http", "server")), ("Straße", ("strasse",)),
    ("a__b-c", ("a", "b", "c")), ("", ()), ("日本", ()),
])  # fmt: skip
def test_names_are_cut_into_words(name: str, parts: tuple[str, ...]) -> None:
    """However they are written."""
    assert words(name) == parts
